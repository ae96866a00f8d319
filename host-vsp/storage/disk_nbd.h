/* SPDX-License-Identifier: GPL-2.0-only */
/* Disks behind an NBD server: an image format in a storage daemon of ours, or somebody's URI. */
#ifndef KVMB_DISK_NBD_H
#define KVMB_DISK_NBD_H

#include "host-vsp/storage/disk.h"

/**
 * kvmb_nbd_open() - Give @d its operations, size and capabilities
 * @d:    path, format, read_only, block are set; the rest of what a disk is, is set here
 * @spec: borrowed for this call alone
 *
 * Return: 0, or -errno with one phrase in @why and nothing left behind.
 */
int kvmb_nbd_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, char *why, size_t size);

#endif
