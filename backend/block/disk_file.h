/* SPDX-License-Identifier: GPL-2.0-only */
/* What all disks that are files have in common. For disk*.c. */
#ifndef KVMB_DISK_FILE_H
#define KVMB_DISK_FILE_H

#include <sys/stat.h>

#include "backend/block/disk.h"

/**
 * kvmb_disk_lock() - Lock the first @len bytes, 0 = all
 * @read_only: others may read, too
 * Return: 0; -EBUSY: somebody else has it; another -errno.
 */
int kvmb_disk_lock(int fd, bool read_only, off_t len);

/** kvmb_disk_not_a_file() - Why neither a file nor a block device: a phrase. */
const char *kvmb_disk_not_a_file(const struct stat *st);

/**
 * kvmb_disk_not_opened() - Why a file could not be opened
 * @err: errno of it
 * Return: -@err, with a phrase in why[size].
 */
int kvmb_disk_not_opened(int err, bool read_only, char *why, size_t size);

/**
 * kvmb_disk_identify() - Serial number and designator, the same for the same file each time
 * @st: of the file, NULL: its path stands for it
 */
void kvmb_disk_identify(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
			const struct stat *st);

#endif
