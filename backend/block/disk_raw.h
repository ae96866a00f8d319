/* SPDX-License-Identifier: GPL-2.0-only */
/* A raw file or block device. For disk.c. */
#ifndef KVMB_DISK_RAW_H
#define KVMB_DISK_RAW_H

#include "backend/block/disk.h"

/** kvmb_disk_raw_ops: of a raw disk, and of one that is not open yet. */
extern const struct kvmb_disk_ops kvmb_disk_raw_ops;

/**
 * kvmb_disk_raw_open() - Measure and lock
 * @d:     has kvmb_disk_raw_ops
 * @files: checked; the image is taken over
 * Return: 0, or -errno with one phrase in why[size]; what is open then is closed by
 * kvmb_disk_raw_ops.
 */
int kvmb_disk_raw_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
		       struct kvmb_disk_files *files, char *why, size_t size);

#endif
