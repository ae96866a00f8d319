// SPDX-License-Identifier: GPL-2.0-only
/* How memory is shared among VMs: share.h. */
#include "cli/share.h"

#include "lib/util.h"

#define SPARE_PART 4	    /* of what a guest demands, for what comes next */
#define STILL (32ull << 20) /* a change of less is none, if all fits without it */

static bool makes_sense(const struct share_vm *v)
{
	return v->dynamic && v->min && v->min <= v->max && v->max <= SHARE_MOST;
}

static uint64_t within(uint64_t v, uint64_t min, uint64_t max)
{
	return KVMB_MIN(KVMB_MAX(v, min), max);
}

static uint64_t wanted(const struct share_vm *v)
{
	uint64_t demand = KVMB_MIN(v->demand, SHARE_MOST);

	if (!makes_sense(v))
		return KVMB_MIN(v->assigned, SHARE_MOST);
	if (!v->reports)
		return within(v->assigned, v->min, v->max);
	return within(KVMB_ALIGN_UP(demand + demand / SPARE_PART, SHARE_UNIT), v->min, v->max);
}

static uint64_t least(const struct share_vm *v)
{
	return makes_sense(v) ? v->min : wanted(v);
}

/* The part @have / @of of @bytes, in whole units. */
static uint64_t part(uint64_t bytes, uint64_t have, uint64_t of)
{
	return (uint64_t)((unsigned __int128)bytes * have / of) / SHARE_UNIT * SHARE_UNIT;
}

/* All of it fits. A target that would hardly move stays, if that fits, too. Return: the new sum. */
static uint64_t settle(struct share_vm *v, uint64_t all, uint64_t limit)
{
	uint64_t to = wanted(v), now = within(v->target, v->min, v->max);
	bool near = to < now + STILL && now < to + STILL;

	v->target = near && all - to + now <= limit ? now : to;
	return all - to + v->target;
}

uint64_t share_memory(struct share_vm *vms, size_t num, uint64_t limit)
{
	uint64_t all = 0, minima = 0, sum = 0;
	size_t i;

	for (i = 0; i < num; i++) {
		all += wanted(&vms[i]);
		minima += least(&vms[i]);
	}
	for (i = 0; i < num && all <= limit; i++) {
		if (makes_sense(&vms[i]))
			all = settle(&vms[i], all, limit);
	}
	if (all <= limit)
		return all;
	for (i = 0; i < num; i++) {
		struct share_vm *v = &vms[i];
		uint64_t to = least(v);

		if (limit > minima) /* and so @all > @minima */
			to += part(wanted(v) - to, limit - minima, all - minima);
		if (makes_sense(v))
			v->target = to;
		sum += to;
	}
	return sum;
}
