/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks which files an image's header names, before a storage daemon opens the image.
 *
 * The author of an image writes its header: a stranger, or the guest of a raw disk that is now
 * called a qcow2. In several formats the header can name other files, or even servers, from
 * which the reader takes the disk's data, and QEMU's drivers open them. We refuse such an image,
 * unless it names a parent and the user has named one too.
 *
 * This is only the first line of defence: whoever can write the image may change it after our
 * check. Therefore the daemon is also confined (lib/jail.h), and asked afterwards which files it
 * has opened (qsd.c).
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
 * @has_parent: the user named a parent: the header may name one too, and we ignore its name
 * @why:        why[size], on failure one phrase for the user
 * @size:       bytes
 *
 * Return: 0; -EINVAL when the image names another file, is not of that format, or is so damaged
 * that we cannot tell; -errno of reading. Context: blocks on file I/O, reads at most 2 MiB.
 * Trust: everything in the file is hostile; @why quotes it in printable ASCII.
 */
int kvmb_image_check(int fd, const char *format, bool has_parent, char *why, size_t size);

/* private to image*.c */

/**
 * kvmb_image_quote() - Make a name from a header printable
 * @out:  out[KVMB_IMAGE_NAME]
 * @name: name[len], ends early at a 0
 * @len:  bytes
 * @step: bytes per character: 1, or 2 for UTF-16; @name is then its first low byte
 */
void kvmb_image_quote(char *out, const unsigned char *name, size_t len, size_t step);

/** kvmb_image_overlay() - Refuse an image because of its @parent; @why says so. Return: -EINVAL. */
int kvmb_image_overlay(const char *parent, bool can_name, char *why, size_t size);

/** kvmb_image_vhdx() - kvmb_image_check() for that format, image_vhdx.c. */
int kvmb_image_vhdx(int fd, char *why, size_t size);

#endif
