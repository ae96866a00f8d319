// SPDX-License-Identifier: GPL-2.0-only
/* Pages that a guest does not need for now: mem_hint.h. */
#include "machine/mem_hint.h"

#include "lib/util.h"
#include "machine/machine.h"

#define COLD_DISCARD 2u	   /* of the kinds of hints the one that counts */
#define LIST_MOST 511u	   /* ranges that fit into a page */
#define RANGE_MOST 262144u /* pages: a gigabyte */

struct hint {
	__le64 kind;
	__le64 ranges[LIST_MOST];
};
static_assert(sizeof(struct hint) == KVMB_PAGE_SIZE, "hv_memory_hint, one page");

static u64 result(u16 status, u32 done)
{
	return (u64)done << 32 | status;
}

/* A range: 11 bits of how many more, one that says whether they are large, a frame. */
static void decode(u64 range, u64 *gfn, u64 *num)
{
	u64 pages = (range & 2047) + 1;

	if (!(range >> 11 & 1)) {
		*gfn = range >> 12;
		*num = pages;
	} else if (!(range >> 12 & 1)) { /* 2 MiB */
		*gfn = range >> 21 << 9;
		*num = pages << 9;
	} else {
		*gfn = range >> 21 << 9 & ~0x3ffffull;
		*num = pages << 18;
	}
}

/* Is all of it RAM? While memory comes from elsewhere, what is dropped would come again. */
static bool drop_range(struct machine *m, u64 gfn, u64 num)
{
	u64 page;

	if (num > RANGE_MOST || kvmb_gm_page(&m->gm, gfn, &page) < num)
		return false;
	if (__atomic_load_n(&m->gm.lazy, __ATOMIC_ACQUIRE))
		return true;
	if (!kvmb_gm_drop(&m->gm, page, num))
		__atomic_fetch_add(&m->hinted, num, __ATOMIC_RELAXED);
	return true;
}

u64 mem_hint(struct machine *m, u64 input, u64 gpa)
{
	u32 num = input >> 32 & 0xfff, at = input >> 48 & 0xfff;
	u64 gfn, pages, all = 0;
	struct hint h;

	if (input & 1u << 16 || !num || num > LIST_MOST || at >= num)
		return result(KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT, 0);
	if (gpa & 7 || (gpa & (KVMB_PAGE_SIZE - 1)) > KVMB_PAGE_SIZE - (num + 1) * 8)
		return result(KVMB_HV_STATUS_INVALID_ALIGNMENT, 0);
	if (kvmb_gm_read(&m->gm, gpa, &h, (num + 1) * 8))
		return result(KVMB_HV_STATUS_INVALID_PARAMETER, 0);
	if (le64_to_cpu(h.kind) != COLD_DISCARD)
		return result(KVMB_HV_STATUS_INVALID_PARAMETER, 0);
	while (at < num && all < MEM_HINT_MOST) {
		decode(le64_to_cpu(h.ranges[at]), &gfn, &pages);
		if (!drop_range(m, gfn, pages))
			return result(KVMB_HV_STATUS_INVALID_PARAMETER, at);
		all += pages;
		at++;
	}
	return result(KVMB_HV_STATUS_SUCCESS, at);
}

u64 mem_hint_pages(const struct machine *m)
{
	return __atomic_load_n(&m->hinted, __ATOMIC_RELAXED);
}
