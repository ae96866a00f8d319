// SPDX-License-Identifier: GPL-2.0-only
/* Limits; theory of operation: throttle.h. */
#include "backend/throttle.h"

#include "lib/util.h"

#define NS_PER_S 1000000000ull
/* No debt is larger: 146 years. The sum of a time, a debt and a cost stays below 2^64. */
#define DEBT_MAX_NS (1ull << 62)

static u64 take(u64 *empty, u64 cost, u64 now, u64 *moved)
{
	u64 old = __atomic_load_n(empty, __ATOMIC_RELAXED), from, to;

	do {
		from = KVMB_MAX(old, now);
		to = KVMB_MAX(from, KVMB_MIN(from + cost, now + DEBT_MAX_NS));
	} while (!__atomic_compare_exchange_n(empty, &old, to, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	*moved = to - from;
	return from > now + KVMB_THROTTLE_BURST_NS ? from - now - KVMB_THROTTLE_BURST_NS : 0;
}

u64 kvmb_throttle_charge(struct kvmb_throttle *t, u64 bytes, u64 now,
			 struct kvmb_throttle_cost *cost)
{
	u64 iops = __atomic_load_n(&t->iops, __ATOMIC_RELAXED);
	u64 bps = __atomic_load_n(&t->bps, __ATOMIC_RELAXED);
	u64 a = 0, b = 0;
	unsigned __int128 ns;

	*cost = (struct kvmb_throttle_cost){ 0 };
	if (iops)
		a = take(&t->op_empty, NS_PER_S / iops, now, &cost->op_ns);
	if (bps && bytes) {
		ns = (unsigned __int128)bytes * NS_PER_S / bps;
		b = take(&t->byte_empty, ns > DEBT_MAX_NS ? DEBT_MAX_NS : (u64)ns, now,
			 &cost->byte_ns);
	}
	return KVMB_MAX(a, b);
}

/* If the limits were changed since it was charged, there may be less than its cost. */
static void give(u64 *empty, u64 cost)
{
	u64 old = __atomic_load_n(empty, __ATOMIC_RELAXED);

	while (cost && !__atomic_compare_exchange_n(empty, &old, old - KVMB_MIN(old, cost), true,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void kvmb_throttle_give_back(struct kvmb_throttle *t, struct kvmb_throttle_cost *cost)
{
	give(&t->op_empty, cost->op_ns);
	give(&t->byte_empty, cost->byte_ns);
	*cost = (struct kvmb_throttle_cost){ 0 };
}

void kvmb_throttle_set(struct kvmb_throttle *t, u64 iops, u64 bps)
{
	__atomic_store_n(&t->iops, iops, __ATOMIC_RELAXED);
	__atomic_store_n(&t->bps, bps, __ATOMIC_RELAXED);
	__atomic_store_n(&t->op_empty, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&t->byte_empty, 0, __ATOMIC_RELAXED);
}
