// SPDX-License-Identifier: GPL-2.0-only
/* Which pages a guest has given away: bits, by the page of the file of RAM. */
#include <stdlib.h>

#include "host-vsp/memory/memory_drop.h"
#include "host-vsp/memory/memory_priv.h"
#include "lib/dirty_log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "vmbus-core/proto/memory.h"

#define WORD 64u
#define BLOCK 32768u /* pages of a group in a saved state: 4 KiB of bits */

u64 memory_pages(const struct kvmb_memory *m)
{
	return KVMB_MAX(m->spec.ram, m->spec.hot ? m->spec.hot_page + m->spec.hot : 0);
}

static u64 words_of(const struct kvmb_memory *m)
{
	return (memory_pages(m) + WORD - 1) / WORD;
}

/* ---- bits ---- */

/* Bits of the word of @page, from there on, at most @num. */
static u64 mask_of(u64 page, u64 num)
{
	u64 bit = page % WORD, most = KVMB_MIN(num, WORD - bit);

	return (most == WORD ? ~0ull : (1ull << most) - 1) << bit;
}

/* Others look at a word while it changes: kvmb_gm_is_away(). */
static void put_word(struct kvmb_memory *m, u64 page, u64 v)
{
	__atomic_store_n(&m->away[page / WORD], v, __ATOMIC_RELEASE);
}

static void set_bits(struct kvmb_memory *m, u64 page, u64 num, bool away)
{
	u64 mask, left, old;

	m->ballooned = away ? m->ballooned + num : m->ballooned - num;
	if (away)
		m->lowest = KVMB_MIN(m->lowest, page);
	for (left = num; left;
	     left -= (u64)__builtin_popcountll(mask), page += (u64)__builtin_popcountll(mask)) {
		mask = mask_of(page, left);
		old = m->away[page / WORD];
		put_word(m, page, away ? old | mask : old & ~mask);
	}
}

static bool any_bit(const struct kvmb_memory *m, u64 page, u64 num)
{
	u64 mask, n;

	for (; num; num -= n, page += n) {
		mask = mask_of(page, num);
		n = (u64)__builtin_popcountll(mask);
		if (m->away[page / WORD] & mask)
			return true;
	}
	return false;
}

/* The first page from @page on that is away, or that is not. Return: @end: there is none before. */
static u64 find_bit(const struct kvmb_memory *m, u64 page, u64 end, bool away)
{
	u64 v;

	while (page < end) {
		v = m->away[page / WORD];
		v = (away ? v : ~v) & ~0ull << page % WORD;
		if (v)
			return KVMB_MIN(page / WORD * WORD + (u64)__builtin_ctzll(v), end);
		page = (page / WORD + 1) * WORD;
	}
	return end;
}

/* The run of at most @most pages that are away from @*page on, in one region. Return: 0: none. */
static u64 next_run(const struct kvmb_memory *m, u64 *page, u64 most, u64 *gfn)
{
	u64 all = memory_pages(m), end, room;

	*page = find_bit(m, *page, all, true);
	if (*page == all)
		return 0;
	end = find_bit(m, *page, KVMB_MIN(all, *page + most), false);
	room = kvmb_gm_frame(m->spec.gm, *page, gfn);
	kvmb_assert(room); /* only RAM has been set */
	return KVMB_MIN(end - *page, room);
}

/* ---- what comes and goes ---- */

/* Has the guest these pages of the file? */
static bool is_told(const struct kvmb_memory *m, u64 page, u64 num)
{
	const struct kvmb_memory_spec *s = &m->spec;

	if (page < s->ram)
		return num <= s->ram - page ||
		       (s->hot && s->hot_page == s->ram && num <= s->ram + m->next - page);
	return s->hot && page >= s->hot_page && page - s->hot_page < m->next &&
	       num <= m->next - (page - s->hot_page);
}

const char *memory_away_add(struct kvmb_memory *m, u64 gfn, u64 num)
{
	u64 page;

	if (kvmb_gm_page(m->spec.gm, gfn, &page) < num || !is_told(m, page, num))
		return "it gives away pages that it does not have";
	if (any_bit(m, page, num))
		return "it gives away pages twice";
	set_bits(m, page, num, true);
	memory_drop_add(m->drop, page, num);
	return NULL;
}

static void note_changed(const struct kvmb_memory *m, u64 gfn, u64 num)
{
	const u8 __shared *p =
		kvmb_gm_ptr(m->spec.gm, gfn << KVMB_PAGE_SHIFT, num << KVMB_PAGE_SHIFT);

	kvmb_dirty(__unshare(p), num << KVMB_PAGE_SHIFT);
}

u32 memory_away_take(struct kvmb_memory *m, u64 *ranges, u32 max, u64 pages)
{
	u64 page = m->lowest, gfn = 0, num;
	u32 n;

	for (n = 0; n < max && pages; n++) {
		num = next_run(m, &page, KVMB_MIN(pages, (u64)KVMB_MEMORY_RANGE_MAX), &gfn);
		if (!num)
			break;
		set_bits(m, page, num, false);
		note_changed(m, gfn, num);
		ranges[n] = KVMB_MEMORY_RANGE(gfn, num);
		pages -= num;
		page += num;
	}
	m->lowest = page;
	return n;
}

void memory_away_back(struct kvmb_memory *m, const u64 *ranges, u32 num)
{
	u64 page;
	u32 i;

	for (i = 0; i < num; i++) {
		kvmb_gm_page(m->spec.gm, KVMB_MEMORY_RANGE_FIRST(ranges[i]), &page);
		set_bits(m, page, KVMB_MEMORY_RANGE_NUM(ranges[i]), true);
	}
}

void memory_away_forget(struct kvmb_memory *m)
{
	u64 i;

	for (i = m->lowest / WORD; m->ballooned && i < words_of(m); i++)
		put_word(m, i * WORD, 0);
	m->ballooned = 0;
	m->lowest = memory_pages(m);
}

void memory_away_drop(struct kvmb_memory *m)
{
	u64 page, gfn, num;

	for (page = m->lowest; (num = next_run(m, &page, memory_pages(m), &gfn)); page += num)
		memory_drop_add(m->drop, page, num);
	if (m->next < m->spec.hot)
		memory_drop_add(m->drop, m->spec.hot_page + m->next, m->spec.hot - m->next);
}

/* ---- saving: blocks of which something is away ---- */

enum {		     /* of a block; never used again */
       AWAY_AT = 1,  /* its first page, a multiple of BLOCK */
       AWAY_ALL = 2, /* pages, all away, from there on; or */
       AWAY_BITS = 3,
};

/* Pages of the block at @page. */
static u64 block_at(const struct kvmb_memory *m, u64 page)
{
	return KVMB_MIN((u64)BLOCK, memory_pages(m) - page);
}

void memory_away_save(const struct kvmb_memory *m, struct kvmb_tlv_out *o, unsigned int field)
{
	u64 all = memory_pages(m), page, num;

	for (page = find_bit(m, m->lowest, all, true); page < all;
	     page = find_bit(m, page + num, all, true)) {
		page -= page % BLOCK;
		num = block_at(m, page);
		kvmb_tlv_group(o, field);
		kvmb_tlv_put(o, AWAY_AT, page);
		if (find_bit(m, page, page + num, false) == page + num)
			kvmb_tlv_put(o, AWAY_ALL, num);
		else
			kvmb_tlv_put_bytes(o, AWAY_BITS, m->away + page / WORD,
					   (num + WORD - 1) / WORD * sizeof(u64));
		kvmb_tlv_group_end(o);
	}
}

/* Each page is RAM that the guest has. */
static bool is_right(const struct kvmb_memory *m, u64 page, u64 num)
{
	u64 gfn, room;

	for (; num; num -= room, page += room) {
		room = KVMB_MIN(kvmb_gm_frame(m->spec.gm, page, &gfn), num);
		if (!room || !is_told(m, page, room))
			return false;
	}
	return true;
}

/* The runs of one word of bits. */
static bool load_word(struct kvmb_memory *m, u64 page, u64 v)
{
	u64 first, num;

	while (v) {
		first = (u64)__builtin_ctzll(v);
		v >>= first;
		num = ~v ? (u64)__builtin_ctzll(~v) : WORD;
		if (!is_right(m, page + first, num))
			return false;
		set_bits(m, page + first, num, true);
		page += first + num;
		v = num == WORD ? 0 : v >> num;
	}
	return true;
}

static bool load_bits(struct kvmb_memory *m, struct kvmb_tlv *g, u64 at)
{
	size_t len, i;
	const u8 *bits = kvmb_tlv_get_bytes(g, AWAY_BITS, &len);
	u64 v;

	if (!bits || len != (block_at(m, at) + WORD - 1) / WORD * sizeof(v))
		return false;
	for (i = 0; i < len / sizeof(v); i++) {
		memcpy(&v, bits + i * sizeof(v), sizeof(v));
		v = le64_to_cpu((__force __le64)v);
		if (!load_word(m, at + i * WORD, v))
			return false;
	}
	return true;
}

static bool load_all(struct kvmb_memory *m, struct kvmb_tlv *g, u64 at)
{
	u64 num = kvmb_tlv_get(g, AWAY_ALL, BLOCK);

	if (num != block_at(m, at) || !is_right(m, at, num))
		return false;
	set_bits(m, at, num, true);
	return true;
}

void memory_away_load(struct kvmb_memory *m, struct kvmb_tlv *t, unsigned int field)
{
	u64 at, last = 0;
	struct kvmb_tlv g;
	size_t pos = 0;
	bool ok = true;

	while (ok && kvmb_tlv_each(t, field, &pos, &g)) {
		at = kvmb_tlv_get(&g, AWAY_AT, memory_pages(m) - 1);
		ok = at % BLOCK == 0 && at >= last; /* in order, so none comes twice */
		last = at + BLOCK;
		if (ok)
			ok = kvmb_tlv_has(&g, AWAY_ALL) ? load_all(m, &g, at) :
							  load_bits(m, &g, at);
		if (ok)
			ok = !kvmb_tlv_done(&g);
	}
	if (!ok)
		kvmb_tlv_refuse(t, field, "pages that the guest cannot have given away");
}
