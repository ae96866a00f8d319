/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits of a disk or NIC: operations and bytes a second.
 *
 * DOC: Theory of operation
 *
 * A leaky bucket that keeps one number, the time at which it would be empty (GCRA). A
 * request moves that time on by its own cost and must wait for as long as the time lies
 * more than a burst ahead. Several channels share a disk, so the number moves by compare
 * and swap; a disk without limits touches nothing shared. A request that is given up while it
 * waits gives its cost back: else a guest that resets its disk again and again would push
 * that time ahead without end, and its disk would stand still for as long.
 */
#ifndef KVMB_THROTTLE_H
#define KVMB_THROTTLE_H

#include "vmbus-core/env.h"

#define KVMB_THROTTLE_BURST_NS 100000000ull /* a tenth of a second's worth may come at once */

struct kvmb_throttle {
	u64 iops, bps;		 /* 0 = no limit; atomic, changed by kvmb_throttle_set() */
	u64 op_empty, byte_empty; /* ns, monotonic; atomic */
};

struct kvmb_throttle_cost { /* of one request: by how much it moved the two times on, ns */
	u64 op_ns, byte_ns;
};

/**
 * kvmb_throttle_charge() - Account for one request
 * @bytes: that it moves; 0 for a flush
 * @now:   monotonic ns
 * @cost:  result, for kvmb_throttle_give_back()
 *
 * Return: ns that the request must wait from @now, 0 = none; at most 2^62. Any thread.
 */
u64 kvmb_throttle_charge(struct kvmb_throttle *t, u64 bytes, u64 now,
			 struct kvmb_throttle_cost *cost);

/**
 * kvmb_throttle_give_back() - A request that still waited will not be done
 * @cost: of kvmb_throttle_charge() on the same @t; becomes nothing
 *
 * Only while the wait that was asked for is not over: later the bucket may have been empty in
 * between, and the rest would be a present. Any thread.
 */
void kvmb_throttle_give_back(struct kvmb_throttle *t, struct kvmb_throttle_cost *cost);

/**
 * kvmb_throttle_set() - New limits, 0 = none
 *
 * What was used of the old ones is forgotten: at a byte a second it may be years. One thread
 * at a time; others may charge meanwhile.
 */
void kvmb_throttle_set(struct kvmb_throttle *t, u64 iops, u64 bps);

/** kvmb_throttle_take() - kvmb_throttle_charge() of what will certainly be done. */
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
