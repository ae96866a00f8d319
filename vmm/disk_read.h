/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading a disk beside the guest, on a thread that may wait: for who copies its content.
 *
 * A raw disk is read by its descriptor, any other by requests to its server, as the guest's.
 */
#ifndef KVMB_DISK_READ_H
#define KVMB_DISK_READ_H

#include <pthread.h>

#include "backend/block/disk.h"

#define DISK_READ_ALIGN 4096u /* whatever direct I/O wants */

struct disk_reader { /* of one thread; one read at a time */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool answered; /* under the lock: a request to a disk that is not raw */
};

/** disk_reader_init() - Prepare, zeroed or not. */
void disk_reader_init(struct disk_reader *r);

/** disk_reader_fini() - Undo it; nothing is being read. */
void disk_reader_fini(struct disk_reader *r);

/**
 * disk_read() - Read a part of a disk
 * @buf:  buf[len and DISK_READ_ALIGN], aligned to that
 * @at:   bytes, a multiple of the disk's blocks, as @len; inside the disk
 * @look: asked several times a second while a server does not answer: 0, or -errno to give up;
 *        called with @arg
 *
 * A server that is dead is waited for until then.
 *
 * Return: 0; -errno of the disk, or of @look. Context: a thread that may block.
 */
int disk_read(struct disk_reader *r, struct kvmb_disk *d, u8 *buf, u64 at, size_t len,
	      int (*look)(void *arg), void *arg);

#endif
