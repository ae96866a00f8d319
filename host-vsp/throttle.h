/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits of a disk or NIC: operations and bytes a second.
 *
 * DOC: Theory of operation
 *
 * A leaky bucket that keeps one number, the time at which it would be empty (GCRA). A
 * request moves that time on by its own cost and must wait for as long as the time lies
 * more than a burst ahead. Several channels share a disk, so the number moves by compare
 * and swap; a disk without limits touches nothing shared.
 */
#ifndef KVMB_THROTTLE_H
#define KVMB_THROTTLE_H

#include "vmbus-core/env.h"

#define KVMB_THROTTLE_BURST_NS 100000000ull /* a tenth of a second's worth may come at once */

struct kvmb_throttle {
	u64 iops, bps;		 /* 0 = no limit; atomic, may change while in use */
	u64 op_empty, byte_empty; /* ns, monotonic; atomic */
};

/**
 * kvmb_throttle_take() - Account for one request
 * @bytes: that it moves; 0 for a flush
 * @now:   monotonic ns
 *
 * Return: ns that the request must wait from @now, 0 = none. Any thread.
 */
u64 kvmb_throttle_take(struct kvmb_throttle *t, u64 bytes, u64 now);

static inline bool kvmb_throttle_on(const struct kvmb_throttle *t)
{
	return __atomic_load_n(&t->iops, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&t->bps, __ATOMIC_RELAXED);
}

#endif
