/* SPDX-License-Identifier: GPL-2.0-only */
/* Disks behind an NBD server: an image format in our storage daemon, or a URI of the user's. */
#ifndef KVMB_DISK_NBD_H
#define KVMB_DISK_NBD_H

#include "backend/block/disk.h"

struct kvmb_qsd;

/**
 * kvmb_nbd_open() - Give @d its operations, size and capabilities
 * @d:    path, format, read_only and block are set; all other members are set here
 * @spec: borrowed during this call
 * @qsd:  the storage daemon that will serve the image, not started yet; owned from now on, also
 *        after a failure. NULL: the path is the URI of a server that the user runs
 * @channel: to the keeper, who connects to that server; owned from now on. 0: libnbd connects
 * @why:  why[size], on failure one phrase for the user
 * @size: bytes
 *
 * Return: 0, or -errno with nothing left behind. Context: as kvmb_disk_open().
 */
int kvmb_nbd_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, struct kvmb_qsd *qsd,
		  int channel, char *why, size_t size);

#endif
