// SPDX-License-Identifier: GPL-2.0-only
/* The pages of a balloon: balloon_guest.h. */
#include <linux/log2.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "guest-vsc/balloon/balloon_guest.h"

#define FLOOR_LEAST (64ul << (20 - PAGE_SHIFT))
#define FLOOR_PART 16 /* of all memory, beside that */

/* A sixteenth and 64 MiB, but never more than half of what there is. */
unsigned long balloon_floor(void)
{
	unsigned long all = totalram_pages();

	return min(FLOOR_LEAST + all / FLOOR_PART, all / 2);
}

unsigned long balloon_committed(const struct kvmb_balloon *b)
{
	return vm_memory_committed() + READ_ONCE(b->num) + balloon_floor();
}

/* ---- away ---- */

static void mark_away(struct kvmb_balloon *b, struct page *page)
{
	__SetPageOffline(page);
	set_page_private(page, (unsigned long)b);
	list_add(&page->lru, &b->pages);
	adjust_managed_page_count(page, -1);
	WRITE_ONCE(b->num, b->num + 1);
}

static void give_to_system(struct kvmb_balloon *b, struct page *page)
{
	list_del(&page->lru);
	set_page_private(page, 0);
	__ClearPageOffline(page);
	adjust_managed_page_count(page, 1);
	__free_page(page);
	WRITE_ONCE(b->num, b->num - 1);
}

/* Add to the last range, if it follows. Return: false: there is no room. */
static bool put_range(struct balloon_answer *a, u32 *ranges, u64 gfn, u32 num)
{
	u64 last = *ranges ? le64_to_cpu(a->ranges[*ranges - 1]) : 0;
	u64 sum = KVMB_MEMORY_RANGE_NUM(last) + num;

	if (*ranges && KVMB_MEMORY_RANGE_FIRST(last) + KVMB_MEMORY_RANGE_NUM(last) == gfn &&
	    sum <= KVMB_MEMORY_RANGE_MAX) {
		a->ranges[*ranges - 1] =
			cpu_to_le64(KVMB_MEMORY_RANGE(KVMB_MEMORY_RANGE_FIRST(last), sum));
		return true;
	}
	if (*ranges == BALLOON_RANGES)
		return false;
	a->ranges[(*ranges)++] = cpu_to_le64(KVMB_MEMORY_RANGE(gfn, num));
	return true;
}

/* Not hard: who needs memory comes before us. */
static struct page *take_pages(unsigned int order)
{
	struct page *page =
		alloc_pages(GFP_HIGHUSER | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN, order);

	if (page && order)
		split_page(page, order);
	return page;
}

unsigned long balloon_fill(struct kvmb_balloon *b, unsigned long want, unsigned int *order)
{
	unsigned long got = 0, unit, i;
	struct page *page;
	u32 ranges = 0;

	while (got < want && !READ_ONCE(b->stopping)) {
		if (want - got < 1ul << *order)
			*order = 0;
		unit = 1ul << *order;
		page = take_pages(*order);
		if (!page && !*order)
			break;
		if (!page) {
			*order = 0;
			continue;
		}
		if (!put_range(b->answer, &ranges, page_to_pfn(page), unit)) {
			for (i = 0; i < unit; i++)
				__free_page(page + i);
			break;
		}
		for (i = 0; i < unit; i++)
			mark_away(b, page + i);
		got += unit;
		cond_resched();
	}
	b->answer->head.more_num = cpu_to_le32(ranges << 1);
	return got;
}

void balloon_unfill(struct kvmb_balloon *b)
{
	u32 i, num = le32_to_cpu(b->answer->head.more_num) >> 1;

	for (i = 0; i < num; i++) {
		u64 range = le64_to_cpu(b->answer->ranges[i]);

		balloon_release(b, KVMB_MEMORY_RANGE_FIRST(range), KVMB_MEMORY_RANGE_NUM(range));
	}
}

/* ---- back ---- */

/* Return: NULL: this page was not given away. */
static struct page *find_away(const struct kvmb_balloon *b, u64 gfn)
{
	struct page *page = gfn <= ULONG_MAX >> PAGE_SHIFT ? pfn_to_online_page(gfn) : NULL;

	return page && PageOffline(page) && page_private(page) == (unsigned long)b ? page : NULL;
}

int balloon_release(struct kvmb_balloon *b, u64 first, u64 num)
{
	struct page *page;
	u64 i;

	for (i = 0; i < num; i++) {
		page = find_away(b, first + i);
		if (!page)
			return -EPROTO;
		give_to_system(b, page);
		cond_resched();
	}
	return 0;
}

void balloon_release_all(struct kvmb_balloon *b)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &b->pages, lru) {
		give_to_system(b, page);
		cond_resched();
	}
}

/* ---- more ---- */

#ifdef CONFIG_MEMORY_HOTPLUG
unsigned int balloon_align(void)
{
	return ilog2(memory_block_size_bytes() >> 20);
}

/*
 * Whole blocks only: a host that wants less is told that nothing can be added, ever. Who puts the
 * blocks online is the administrator's choice (memhp_default_state=, udev).
 */
unsigned long balloon_add(struct kvmb_balloon *b, u64 first, u64 num)
{
	const u64 block = memory_block_size_bytes() >> PAGE_SHIFT;
	u64 done = 0;
	int err = 0;

	if (!num || first % block || num % block)
		err = -EINVAL;
	for (; !err && done < num && !READ_ONCE(b->stopping); done += err ? 0 : block)
		err = add_memory(memory_add_physaddr_to_nid(PFN_PHYS(first + done)),
				 PFN_PHYS(first + done), memory_block_size_bytes(), MHP_NONE);
	if (!err)
		return done;
	pr_warn_ratelimited("kvmbus: memory of the host at 0x%llx cannot be added: error %d\n",
			    PFN_PHYS(first + done), err);
	b->full = b->full || err != -ENOMEM;
	return done;
}
#else
unsigned int balloon_align(void)
{
	return 7;
}

unsigned long balloon_add(struct kvmb_balloon *b, u64 first, u64 num)
{
	b->full = true;
	return 0;
}
#endif
