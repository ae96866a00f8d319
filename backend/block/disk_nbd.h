/* SPDX-License-Identifier: GPL-2.0-only */
/* Disks behind an NBD server: an image format in a storage daemon of ours, or somebody's URI. */
#ifndef KVMB_DISK_NBD_H
#define KVMB_DISK_NBD_H

#include "backend/block/disk.h"

struct kvmb_qsd;

/**
 * kvmb_nbd_open() - Give @d its operations, size and capabilities
 * @d:    path, format, read_only, block are set; the rest of what a disk is, is set here
 * @spec: borrowed for this call alone
 * @qsd:  the storage daemon that is to serve the image, not started yet, taken also after a
 *        failure; NULL: the path is the URI of somebody's server
 *
 * Return: 0, or -errno with one phrase in @why and nothing left behind.
 */
int kvmb_nbd_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, struct kvmb_qsd *qsd, char *why,
		  size_t size);

#endif
