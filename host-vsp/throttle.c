// SPDX-License-Identifier: GPL-2.0-only
/* Limits: how it works is in the header. */
#include "host-vsp/throttle.h"

#include "lib/util.h"

#define NS_PER_S 1000000000ull

static u64 take(u64 *empty, u64 cost, u64 now)
{
	u64 old = __atomic_load_n(empty, __ATOMIC_RELAXED), from, to;

	do {
		from = KVMB_MAX(old, now);
		to = from + cost;
	} while (!__atomic_compare_exchange_n(empty, &old, to, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return from > now + KVMB_THROTTLE_BURST_NS ? from - now - KVMB_THROTTLE_BURST_NS : 0;
}

u64 kvmb_throttle_take(struct kvmb_throttle *t, u64 bytes, u64 now)
{
	u64 iops = __atomic_load_n(&t->iops, __ATOMIC_RELAXED);
	u64 bps = __atomic_load_n(&t->bps, __ATOMIC_RELAXED);
	u64 a = 0, b = 0;

	if (iops)
		a = take(&t->op_empty, NS_PER_S / iops, now);
	if (bps && bytes)
		b = take(&t->byte_empty,
			 (u64)((unsigned __int128)bytes * NS_PER_S / bps), now);
	return KVMB_MAX(a, b);
}
