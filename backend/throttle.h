/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits of a disk or NIC: operations and bytes a second.
 *
 * DOC: Theory of operation
 *
 * A leaky bucket that stores one number: the time at which it will be empty (GCRA). Each
 * request advances that time by its own cost, and waits while the time is more than a burst
 * ahead. Several channels share a disk, so the number is updated by compare and swap; a disk
 * without limits touches nothing shared. A request that is cancelled while it waits gives its
 * cost back. Otherwise a guest that resets its disk again and again would advance the time
 * without end, and its disk would stop for as long.
 */
#ifndef KVMB_THROTTLE_H
#define KVMB_THROTTLE_H

#include "vmbus-core/env.h"

#define KVMB_THROTTLE_BURST_NS 100000000ull /* a burst: what the limit allows in 0.1 s */

struct kvmb_throttle {
	u64 iops, bps;		 /* 0 = no limit; atomic, changed by kvmb_throttle_set() */
	u64 op_empty, byte_empty; /* ns, monotonic; atomic */
};

struct kvmb_throttle_cost { /* of one request: how far it advanced the two times, ns */
	u64 op_ns, byte_ns;
};

/**
 * kvmb_throttle_charge() - Account for one request
 * @t:     of the disk or NIC
 * @bytes: bytes that it moves; 0 for a flush
 * @now:   monotonic ns
 * @cost:  result, for kvmb_throttle_give_back()
 *
 * Return: ns that the request must wait from @now, 0 = none; at most 2^62. Any thread.
 */
u64 kvmb_throttle_charge(struct kvmb_throttle *t, u64 bytes, u64 now,
			 struct kvmb_throttle_cost *cost);

/**
 * kvmb_throttle_give_back() - Undo the charge of a request that was cancelled while it waited
 * @t:    as charged
 * @cost: of kvmb_throttle_charge() on @t; zeroed
 *
 * Only before the wait is over: later the bucket may have been empty in between, and giving the
 * cost back would allow more than the limit. Any thread.
 */
void kvmb_throttle_give_back(struct kvmb_throttle *t, struct kvmb_throttle_cost *cost);

/**
 * kvmb_throttle_set() - Set new limits
 * @t:    of the disk or NIC
 * @iops: operations per second, 0 = no limit
 * @bps:  bytes per second, 0 = no limit
 *
 * Debt under the old limits is forgotten: at one byte per second it could be years. One thread
 * at a time; others may charge meanwhile.
 */
void kvmb_throttle_set(struct kvmb_throttle *t, u64 iops, u64 bps);

/** kvmb_throttle_take() - kvmb_throttle_charge() for a request that will not be cancelled. */
static inline u64 kvmb_throttle_take(struct kvmb_throttle *t, u64 bytes, u64 now)
{
	struct kvmb_throttle_cost cost;

	return kvmb_throttle_charge(t, bytes, now, &cost);
}

static inline bool kvmb_throttle_on(const struct kvmb_throttle *t)
{
	return __atomic_load_n(&t->iops, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&t->bps, __ATOMIC_RELAXED);
}

#endif
