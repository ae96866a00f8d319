/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an image's header names, looked at before a storage daemon sees the image.
 *
 * A header is written by whoever made the image: a stranger, or the guest of a raw disk that
 * somebody now calls a qcow2. Formats let it name other files (and even servers) that the
 * reader is to open as the disk's data. QEMU's drivers do so; we refuse such an image unless
 * what it names is a parent, and the user has named one himself.
 *
 * This is a second opinion on a hostile file, and the first line only: who can write the
 * image may change it after we have looked. The daemon is therefore also confined
 * (lib/jail.h), and asked afterwards what it has opened (qsd.c).
 *
 * Sources: QEMU docs/interop/qcow2.txt; VMware Virtual Disk Format 1.1; Virtual Hard Disk Image
 * Format Specification 1.0; [MS-VHDX]. What QEMU 7.2 follows: block/qcow2.c:qcow2_do_open(),
 * block/vmdk.c:vmdk_open().
 */
#ifndef KVMB_IMAGE_H
#define KVMB_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#define KVMB_IMAGE_NAME 160 /* of a name in a header: more is cut off when it is shown */

/**
 * kvmb_image_check() - May a storage daemon open this image?
 * @fd:         the image; read by pread() alone, each part once
 * @format:     as kvmb_disk_format_of()
 * @has_parent: the user named one: then the header may name one too, and its name counts nothing
 * @why:        why[size], on failure one phrase for the user
 *
 * Return: 0; -EINVAL with @why when it names another file, is not of that format or is damaged so
 * far that this cannot be told; -errno of reading.
 * Context: blocks on file I/O, reads at most 2 MiB. Trust: everything in the file is hostile; what
 * @why quotes of it is printable ASCII.
 */
int kvmb_image_check(int fd, const char *format, bool has_parent, char *why, size_t size);

/* for image*.c alone */

/**
 * kvmb_image_quote() - A name from a header, fit to be shown
 * @out:  out[KVMB_IMAGE_NAME]
 * @name: name[len], ends early at a 0
 * @step: bytes of a character: 1, or 2 for UTF-16 of which @name is the low byte of the first
 */
void kvmb_image_quote(char *out, const unsigned char *name, size_t len, size_t step);

/** kvmb_image_overlay() - Refuse an image for its parent. Return: -EINVAL. */
int kvmb_image_overlay(const char *parent, bool can_name, char *why, size_t size);

/** kvmb_image_vhdx() - kvmb_image_check() for that format, image_vhdx.c. */
int kvmb_image_vhdx(int fd, char *why, size_t size);

#endif
