/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Chunks of a disk that were written, while its content is copied elsewhere.
 *
 * DOC: Theory of operation
 *
 * Symmetrical to lib/dirty_log.h, which does it for memory. Who has written to a disk says so when
 * the write has ended, whatever came of it: kvmb_disk_dirty(). Who copies a disk takes the log
 * first, and reads afterwards. So of a write and a read that meet
 *
 *   writer  submits the write .. it ends | sets the bits
 *   copier                      takes the bits | reads the chunk
 *
 * either the write had ended before the read began, and is in what was read; or it ends later, and
 * its bits are set after the take, for the next one. What was read of a write under way may be old,
 * new or half of each; it is read again. To set the bits before the write is submitted, too, would
 * add nothing: a take that sees such a bit comes too early, and the one that counts is the one
 * after the end. The last take comes when no write is under way (kvmb_bus_pause()).
 *
 * A write ends for us when its answer is looked at (storage_io.c: io_result()), the one place that
 * all requests pass: those of an io_uring, of a disk's threads and of a storage daemon, those that
 * are done at once, each piece of a longer one, those that failed half the way, and those that were
 * cancelled, which are not done before they can have no further effect (disk.h).
 *
 * While nobody copies, a write costs a load and a branch. A writer whose load comes before the
 * copier begins has ended its write before, so it is in what is read. That it is visible by then is
 * what the fence of kvmb_disk_dirty_begin() sees to.
 *
 * A bitmap stays until its disk is closed: a writer that is on its way may still set a bit.
 */
#ifndef KVMB_DISK_DIRTY_H
#define KVMB_DISK_DIRTY_H

#include "backend/block/disk.h"

#define KVMB_DISK_CHUNK (64u << 10) /* bytes a bit */

/** kvmb_disk_chunks() - How many, the last one perhaps shorter. */
static inline u64 kvmb_disk_chunks(const struct kvmb_disk *d)
{
	return (kvmb_disk_bytes(d) + KVMB_DISK_CHUNK - 1) / KVMB_DISK_CHUNK;
}

/**
 * kvmb_disk_dirty_begin() - From here on, what is written is noted; nothing is so far
 *
 * The disk must keep its size. Return: 0; -ENOMEM; -errno of membarrier(). Context: one thread at a
 * time begins, takes or ends.
 */
int kvmb_disk_dirty_begin(struct kvmb_disk *d);

/** kvmb_disk_dirty_end() - Note nothing any more; fine if nothing is. Context: as above. */
void kvmb_disk_dirty_end(struct kvmb_disk *d);

/**
 * kvmb_disk_dirty_take() - Take notes over and forget them
 * @bits: bits[kvmb_disk_chunks(), rounded up to 64]; what is noted is added
 *
 * Read chunks afterwards, not before. Context: as above; others go on writing.
 */
void kvmb_disk_dirty_take(struct kvmb_disk *d, u64 *bits);

/** kvmb_disk_dirty_note() - kvmb_disk_dirty() while it is noted. */
void kvmb_disk_dirty_note(struct kvmb_disk *d, u64 offset, u64 length);

/** kvmb_disk_dirty_free() - The disk is closed. */
void kvmb_disk_dirty_free(struct kvmb_disk *d);

/**
 * kvmb_disk_dirty() - A write has ended, well or not
 * @offset: bytes, with @length; what is beyond the disk's end does not count
 *
 * Context: any thread.
 */
static inline void kvmb_disk_dirty(struct kvmb_disk *d, u64 offset, u64 length)
{
	if (__builtin_expect(__atomic_load_n(&d->watched, __ATOMIC_ACQUIRE), 0))
		kvmb_disk_dirty_note(d, offset, length);
}

#endif
