/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk as it was at one moment, while it is written: copy before write. And what has changed
 * since the last such moment.
 *
 * DOC: Theory of operation
 *
 * A point begins while nobody writes (kvmb_bus_pause()). From then on a bit for each chunk says
 * that its old content is not saved yet. Who wants to write asks first, kvmb_disk_may_write(). If
 * the answer is no, the copier is told which chunks are wanted, and the writer waits and asks
 * again; the copier saves those first. So
 *
 *   copier  reads the chunk, saves it | clears its bit      Barrier P: the read before the bit
 *   writer                              sees it cleared | writes   Barrier P'
 *
 * Bits are only ever cleared: a writer that has seen its bits clear needs not look again, and a
 * copier that has seen none is done.
 *
 * A guest does not wait for a copier that hangs: when a write has waited for KVMB_POINT_PATIENCE_MS
 * and nothing was saved meanwhile, the point is broken: everybody may write, and what was saved is
 * worth nothing. The writers themselves look at the clock, each time when they ask; no thread is
 * needed for it.
 *
 * While there is no point, a write costs a load and a branch. The flag needs no fence, because it
 * is set while nobody writes, and who goes on afterwards has been told by a lock or a generation.
 * The bits stay until the disk is closed: a writer that is on its way may still look.
 *
 * What changed since the last point is the log of disk_dirty.h, which runs on between backups. It
 * belongs to the disk as it is open here: who closes it, restarts or moves the VM, has none.
 */
#ifndef KVMB_DISK_POINT_H
#define KVMB_DISK_POINT_H

#include <pthread.h>

#include "backend/block/disk.h"
#include "backend/block/disk_dirty.h"

#define KVMB_POINT_PATIENCE_MS 10000u	  /* of a writer, while nothing is saved */
#define KVMB_POINT_PATIENCE_MAX_MS 30000u /* and even if something is */
#define KVMB_POINT_RETRY_NS 1000000u	  /* a writer that may not asks again then */
#define KVMB_POINT_ID 33u		  /* 32 digits and an end */

struct kvmb_disk_bell { /* of a copier: somebody wants chunks */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool rung; /* under the lock */
};

/**
 * kvmb_disk_point_begin() - The disk as it is now is to be copied
 * @d:    nobody writes, and there is no point
 * @only: chunks that are wanted, only[chunks / 64, rounded up]; NULL = all
 * @bell: rung for chunks that are wanted first; borrowed until kvmb_disk_point_end()
 *
 * The disk must keep its size. Return: 0 or -ENOMEM. Context: main thread.
 */
int kvmb_disk_point_begin(struct kvmb_disk *d, const u64 *only, struct kvmb_disk_bell *bell);

/** kvmb_disk_point_end() - Everybody may write; fine if there is none. Context: any one thread. */
void kvmb_disk_point_end(struct kvmb_disk *d);

/** kvmb_disk_point_broken() - Did somebody write what was not saved? Any thread. */
bool kvmb_disk_point_broken(const struct kvmb_disk *d);

/**
 * kvmb_disk_point_next() - Chunks that are not saved yet
 * @from: where to look from
 * @max:  at most so many
 * @num:  set to how many there are together, 1 to @max
 *
 * Return: the first; kvmb_disk_chunks(): none from there on. Context: the copier.
 */
u64 kvmb_disk_point_next(struct kvmb_disk *d, u64 from, u64 max, u64 *num);

/** kvmb_disk_point_wanted() - Likewise, what a writer waits for. Return: false: nobody waits. */
bool kvmb_disk_point_wanted(struct kvmb_disk *d, u64 max, u64 *chunk, u64 *num);

/** kvmb_disk_point_saved() - These are saved, or need not be. Context: the copier. */
void kvmb_disk_point_saved(struct kvmb_disk *d, u64 chunk, u64 num);

/** kvmb_disk_point_ask() - kvmb_disk_may_write() while there is a point. */
bool kvmb_disk_point_ask(struct kvmb_disk *d, u64 offset, u64 length);

/**
 * kvmb_disk_may_write() - May this be written now?
 * @offset: bytes, with @length; what is beyond the disk's end does not count
 *
 * Return: false: ask again after KVMB_POINT_RETRY_NS. Context: any thread, before it is submitted.
 */
static inline bool kvmb_disk_may_write(struct kvmb_disk *d, u64 offset, u64 length)
{
	return !__builtin_expect(__atomic_load_n(&d->pointed, __ATOMIC_ACQUIRE), 0) ||
	       kvmb_disk_point_ask(d, offset, length);
}

/* ---- what has changed since; main thread ---- */

/**
 * kvmb_disk_since_take() - A point is taken: gather what has changed since the last good one
 * @d: nobody writes, and nobody else watches it
 *
 * From now on, changes count for the next one. Return: 0 or -errno of kvmb_disk_dirty_begin().
 */
int kvmb_disk_since_take(struct kvmb_disk *d);

/**
 * kvmb_disk_since_bits() - What that was
 * @id: of the point since which
 *
 * Return: bits[chunks / 64, rounded up], until the next call for @d; NULL: it is not known.
 */
const u64 *kvmb_disk_since_bits(const struct kvmb_disk *d, const char *id);

/** kvmb_disk_since_done() - What was taken is saved, as point @id. */
void kvmb_disk_since_done(struct kvmb_disk *d, const char *id);

/** kvmb_disk_since_forget() - Watch it no more; fine if it is not. */
void kvmb_disk_since_forget(struct kvmb_disk *d);

/** kvmb_disk_point_free() - The disk is closed. */
void kvmb_disk_point_free(struct kvmb_disk *d);

#endif
