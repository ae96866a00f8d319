/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads for a raw disk's I/O, where there is no io_uring. For disk_raw.c.
 *
 * DOC: Theory of operation
 *
 * A host may forbid io_uring (Docker's seccomp filter, kernel.io_uring_disabled). Channels then
 * hand over what would have gone into their rings, and up to POOL_THREADS threads per disk do it
 * with the same system calls that io_uring would make. Threads are made when there are more
 * requests than idle threads, and end when they were idle for POOL_IDLE_S seconds, or with the
 * disk. Where nobody submits, nothing of this exists.
 *
 * Requests are not ordered, as in an io_uring: a flush covers the writes that have completed. A
 * request that no thread has taken yet can be cancelled. One that a thread has is at the kernel,
 * and nothing but its end makes done() come.
 *
 * An ended thread is joined by the next one that ends, and the last one by the disk's close, so
 * no stack outlives the disk.
 */
#ifndef KVMB_DISK_POOL_H
#define KVMB_DISK_POOL_H

#include "backend/block/disk.h"

/**
 * kvmb_disk_pool_submit() - Have a thread do a request, by the rules of kvmb_disk_ops.submit
 * @d: raw; its priv becomes the pool
 * @r: result may also be positive: the bytes of a READ or WRITE that moved; FUA counts for WRITE
 *
 * Without memory or a thread for it, done() is called at once, with -EAGAIN.
 */
void kvmb_disk_pool_submit(struct kvmb_disk *d, struct kvmb_disk_req *r);

/** kvmb_disk_pool_cancel() - Complete @r with -ECANCELED if no thread has taken it yet. */
void kvmb_disk_pool_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r);

/** kvmb_disk_pool_destroy() - End the threads. Nothing is submitted any more; all is done. */
void kvmb_disk_pool_destroy(struct kvmb_disk *d);

#endif
