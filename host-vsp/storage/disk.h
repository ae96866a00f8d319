/* SPDX-License-Identifier: GPL-2.0-only */
/* A disk behind the SCSI target: a raw file or block device, opened and locked. */
#ifndef KVMB_DISK_H
#define KVMB_DISK_H

#include "vmbus-core/env.h"

#define KVMB_DISK_BLOCK 512u

struct kvmb_disk {
	int fd;
	bool read_only;
	u64 blocks;	 /* of KVMB_DISK_BLOCK bytes */
	char path[4096]; /* for messages and info */
	char serial[21]; /* unit serial number, derived from the file's identity */
	u64 naa;	 /* designator of VPD page 83 */

	/* counters, relaxed atomics: several workers serve one disk */
	u64 reads, writes, flushes, read_bytes, write_bytes, errors;
};

/**
 * kvmb_disk_open() - Open and lock an image
 * @path:      raw file or block device; its size is rounded down to whole blocks
 * @read_only: open without write access; shared with other readers
 * @out:       result
 * @why:       on failure, one phrase for the user that names the cause
 * @why_size:  room in @why
 *
 * The lock is an open-file-description lock, so a second start of the same image is
 * refused and a crash releases it. Return: 0 or -errno.
 */
int kvmb_disk_open(const char *path, bool read_only, struct kvmb_disk **out, char *why,
		   size_t why_size);

/** kvmb_disk_close() - NULL is fine. */
void kvmb_disk_close(struct kvmb_disk *d);

#endif
