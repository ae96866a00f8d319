// SPDX-License-Identifier: GPL-2.0-only
/* Sending memory that changes: mig_memory.h. */
#include "vmm/mig_memory.h"

#include <stdlib.h>

#include "host-vsp/tuner.h"
#include "lib/loop.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_log.h"
#include "vmm/mig_disks.h"

#define PAGES_OF(bytes) ((bytes) / KVMB_PAGE_SIZE)
#define PAGES_AT_ONCE 16u /* that nobody has asked for: who asks does not wait for more */

/* percent of the guest's time */
#define SLOW_FIRST 20u
#define SLOW_MORE 10u
#define SLOW_MOST 99u

int mig_memory_init(struct mig_memory *m, struct machine *machine)
{
	*m = (struct mig_memory){ .machine = machine,
				  .pages = PAGES_OF(kvmb_gm_size(&machine->gm)) };
	m->bits = calloc((m->pages + 63) / 64, sizeof(*m->bits));
	m->copy = malloc(MIG_CHUNK);
	return m->bits && m->copy ? 0 : -ENOMEM;
}

void mig_memory_fini(struct mig_memory *m)
{
	free(m->bits);
	free(m->list);
	free(m->copy);
	kvmb_tlv_out_fini(&m->out);
	m->bits = m->list = NULL;
	m->copy = NULL;
}

/* ---- one section ---- */

static int send_section(struct mig_memory *m, struct mig_stream *s, u64 first, u64 pages, bool zero)
{
	struct kvmb_tlv_out *o = &m->out;

	o->len = 0;
	kvmb_tlv_begin(o, KVMB_SEC_MEMORY, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(o, MIG_MEM_FIRST, first);
	if (zero)
		kvmb_tlv_put(o, MIG_MEM_ZERO, pages);
	else
		kvmb_tlv_put_bytes(o, MIG_MEM_PAGES, m->copy, pages * KVMB_PAGE_SIZE);
	kvmb_tlv_end(o);
	m->burst += o->len;
	return o->failed ? -ENOMEM : mig_send(s, o->buf, o->len);
}

static u64 most_in_a_burst(const struct mig_memory *m)
{
	return m->bandwidth / (1000 / MIG_BURST_MS);
}

/* Bursts, because their rate is the link's, and not the limit's. */
static int keep_limit(struct mig_memory *m, struct mig_stream *s)
{
	u64 begin_ns = kvmb_mono_ns(), over_ms;
	int err;

	if (!m->bandwidth || m->burst < most_in_a_burst(m))
		return 0;
	over_ms = m->burst_ms + m->burst * 1000 / m->bandwidth;
	err = mig_pause(s, over_ms);
	m->paused_ns += kvmb_mono_ns() - begin_ns;
	m->burst_ms = kvmb_now_ms();
	m->burst = 0;
	return err;
}

static bool wanted(const struct mig_memory *m, u64 page)
{
	return m->bits[page / 64] >> page % 64 & 1;
}

/* One that the guest has given away is zero: to look at it would make it anew. */
static void copy_ram(const struct kvmb_gm *gm, u8 *to, u64 page)
{
	if (kvmb_gm_is_away(gm, page))
		memset(to, 0, KVMB_PAGE_SIZE);
	else
		memcpy(to, gm->regions[0].hva + page * KVMB_PAGE_SIZE, KVMB_PAGE_SIZE);
}

/*
 * Pages from @first on that are wanted, and all zero or all not; copied, because the guest goes on
 * writing: what is checked is what is sent. Return: how many, at least 1, at most @max; *@zero.
 */
static u64 gather(struct mig_memory *m, u64 first, u64 max, bool *zero)
{
	bool empty;
	u64 n;

	for (n = 0; n < max && first + n < m->pages && wanted(m, first + n); n++) {
		u8 *to = m->copy + n * KVMB_PAGE_SIZE;

		copy_ram(&m->machine->gm, to, first + n);
		empty = kvmb_all_zero(to, KVMB_PAGE_SIZE);
		if (n && empty != *zero)
			break;
		*zero = empty;
	}
	return n;
}

/* ---- one round ---- */

static u64 count(const struct mig_memory *m)
{
	u64 i, n = 0;

	for (i = 0; i < (m->pages + 63) / 64; i++)
		n += (u64)__builtin_popcountll(m->bits[i]);
	return n;
}

/* Send the pages of m->bits, which is empty afterwards. @again: they may have been sent before. */
static int send_round(struct mig_memory *m, struct mig_stream *s, bool again)
{
	u64 page, n;
	bool zero = false;
	int err = 0;

	for (page = 0; page < m->pages && !err; page += n) {
		n = 1;
		if (!m->bits[page / 64])
			n = 64 - page % 64;
		if (!wanted(m, page))
			continue;
		n = gather(m, page, PAGES_OF(MIG_CHUNK), &zero);
		if (!zero || again) /* the target's memory begins as zeroes */
			err = send_section(m, s, page, n, zero);
		if (!err)
			err = keep_limit(m, s);
		__atomic_store_n(&m->looked_at, (page + n) * KVMB_PAGE_SIZE, __ATOMIC_RELAXED);
	}
	memset(m->bits, 0, (m->pages + 63) / 64 * sizeof(*m->bits));
	return err;
}

/*
 * What was never touched has no memory, and is not looked at. The first take has all pages; from
 * there on the log tells what changes, so it comes before the first copy.
 */
static int want_all_touched(struct mig_memory *m)
{
	u64 at, from, to, end = m->pages * KVMB_PAGE_SIZE, page;
	int err = machine_log_take(m->machine, m->bits);

	memset(m->bits, 0, (m->pages + 63) / 64 * sizeof(*m->bits));
	for (at = 0; !err; at = to) {
		err = kvmb_next_data(m->machine->gm.memfd, at, end, &from, &to);
		if (err <= 0)
			return err;
		for (err = 0, page = PAGES_OF(from); page < PAGES_OF(to); page++)
			m->bits[page / 64] |= 1ull << page % 64;
	}
	return err;
}

/*
 * A round that leaves more than half of what it has sent is no progress. As QEMU's auto-converge:
 * after two of them a fifth of the guest's time is taken, then a tenth more each time.
 */
static void look_at_progress(struct mig_memory *m, const struct mig_pace *pace, u64 sent, u64 left)
{
	if (!pace->slow_down || m->rounds < 2 || left <= sent / 2 || ++m->stalled < 2)
		return;
	m->stalled = 0;
	m->slowed = m->slowed ? KVMB_MIN(m->slowed + SLOW_MORE, SLOW_MOST) : SLOW_FIRST;
	pace->slow_down(pace->arg, m->slowed);
}

/* ns that what is left takes when the guest stands, after a round that has sent so much. */
static double time_of_rest(const struct mig_memory *m, u64 left, u64 sent, u64 send_ns)
{
	double ns = (double)left * (double)(send_ns - m->paused_ns) / (double)(sent + 1);

	if (left <= most_in_a_burst(m) || !m->bandwidth)
		return ns;
	return KVMB_MAX(ns, (double)left * 1e9 / (double)m->bandwidth);
}

/* ---- disks ---- */

static int disks_sent(void *arg, struct mig_stream *s, u64 bytes)
{
	struct mig_memory *m = arg;

	m->burst += bytes;
	return keep_limit(m, s);
}

static int send_disks_first(struct mig_memory *m, struct mig_stream *s, char *why)
{
	const struct mig_disks_pace pace = { disks_sent, m };
	int err;

	if (!m->disks)
		return 0;
	err = mig_disks_first(m->disks, s, &pace, why);
	m->disks_left = err ? 0 : mig_disks_take(m->disks);
	return err;
}

static int send_both(struct mig_memory *m, struct mig_stream *s, char *why)
{
	const struct mig_disks_pace pace = { disks_sent, m };
	int err = m->disks ? mig_disks_send(m->disks, s, &pace, why) : 0;

	return err ? err : send_round(m, s, m->rounds > 0);
}

static int take_both(struct mig_memory *m)
{
	int err = machine_log_take(m->machine, m->bits);

	if (m->disks && !err)
		m->disks_left = mig_disks_take(m->disks);
	return err;
}

static u64 count_both(const struct mig_memory *m)
{
	return count(m) * KVMB_PAGE_SIZE + m->disks_left;
}

int mig_memory_live(struct mig_memory *m, struct mig_stream *s, const struct mig_pace *pace,
		    char *why)
{
	u64 until = pace->timeout_s ? kvmb_now_ms() + pace->timeout_s * 1000ull : 0;
	u64 begin_ns, send_ns, take_ns, sent, left;
	int err;

	s->deadline_ms = until;
	m->disks = pace->disks;
	m->bandwidth = pace->bandwidth;
	m->burst_ms = kvmb_now_ms();
	err = send_disks_first(m, s, why);
	if (!err)
		err = want_all_touched(m);
	while (!err) {
		begin_ns = kvmb_mono_ns();
		m->paused_ns = 0;
		sent = count_both(m); /* of RAM: zeroes take less, and will again */
		__atomic_store_n(&m->left, sent, __ATOMIC_RELAXED);
		err = send_both(m, s, why);
		send_ns = kvmb_mono_ns() - begin_ns;
		if (!err)
			err = take_both(m);
		if (err)
			break;
		__atomic_fetch_add(&m->rounds, 1, __ATOMIC_RELAXED);
		take_ns = kvmb_mono_ns() - begin_ns - send_ns;
		left = count_both(m);
		/* the last take, then what is left at the rate of this round */
		if (!left || (double)take_ns + time_of_rest(m, left, sent, send_ns) <=
				     (double)pace->downtime_ms * 1e6)
			break;
		m->later = pace->later;
		if (m->later)
			break;
		look_at_progress(m, pace, sent, left);
		if (until && kvmb_now_ms() >= until)
			err = -ETIMEDOUT;
	}
	s->deadline_ms = 0;
	m->bandwidth = 0;
	if (err != -ETIMEDOUT || !until || kvmb_now_ms() < until)
		return err;
	snprintf(why, MIG_WHY,
		 "after %u s the guest still changes memory%s faster than it can be sent in %u ms; "
		 "allow more downtime%s",
		 pace->timeout_s, pace->disks ? " or disks" : "", pace->downtime_ms,
		 pace->slow_down ? "" : ", or slow it down: --auto-converge");
	return -ETIME;
}

/* ---- what comes later ---- */

int mig_memory_keep(struct mig_memory *m)
{
	size_t words = (m->pages + 63) / 64;
	int err;

	m->list = calloc(words, sizeof(*m->list));
	if (!m->list)
		return -ENOMEM;
	err = machine_log_take(m->machine, m->bits);
	memcpy(m->list, m->bits, words * sizeof(*m->list));
	memset(m->bits, 0, words * sizeof(*m->bits));
	return err;
}

int mig_memory_soon(struct mig_memory *m)
{
	u64 i, words = (m->pages + 63) / 64;
	int err = machine_log_take(m->machine, m->bits);

	for (i = 0; i < words; i++) {
		m->bits[i] &= m->list[i];
		m->list[i] &= ~m->bits[i];
	}
	return err;
}

static int send_list(struct mig_memory *m, struct mig_stream *s)
{
	u64 i, n, words = (m->pages + 63) / 64;
	struct kvmb_tlv_out *o = &m->out;
	int err = 0;

	for (i = 0; i < words && !err; i += n) {
		n = KVMB_MIN(words - i, (u64)MIG_CHUNK / sizeof(*m->list));
		o->len = 0;
		kvmb_tlv_begin(o, KVMB_SEC_LATER, 0, KVMB_TLV_CRITICAL);
		kvmb_tlv_put(o, MIG_LATER_FIRST, i * 64);
		kvmb_tlv_put_bytes(o, MIG_LATER_BITS, m->list + i, n * sizeof(*m->list));
		kvmb_tlv_end(o);
		err = o->failed ? -ENOMEM : mig_send(s, o->buf, o->len);
	}
	return err;
}

/* The list's bits become those to be sent. */
void mig_memory_want(struct mig_memory *m, const u64 *want)
{
	memcpy(m->bits, want, (m->pages + 63) / 64 * sizeof(*m->bits));
	m->next = 0;
	__atomic_store_n(&m->kept, count(m), __ATOMIC_RELAXED);
}

int mig_memory_last(struct mig_memory *m, struct mig_stream *s, char *why)
{
	int err = m->disks ? mig_disks_last(m->disks, s, why) : 0;
	u64 i;

	if (!err)
		err = machine_log_take(m->machine, m->bits);
	for (i = 0; m->list && i < (m->pages + 63) / 64; i++)
		m->list[i] &= ~m->bits[i];
	if (!err)
		err = send_round(m, s, true);
	if (err || !m->list)
		return err;
	err = send_list(m, s);
	if (!err)
		mig_memory_want(m, m->list);
	return err;
}

/* @max: of pages that follow. Wanted is @page. */
static int give(struct mig_memory *m, struct mig_stream *s, u64 page, u64 max)
{
	bool zero = false;
	u64 n = gather(m, page, max, &zero), i;
	int err = send_section(m, s, page, n, zero);

	if (err)
		return err;
	for (i = page; i < page + n; i++)
		m->bits[i / 64] &= ~(1ull << i % 64);
	__atomic_fetch_sub(&m->kept, n, __ATOMIC_RELAXED);
	m->next = page + n;
	return 0;
}

/* Its neighbours are likely to be needed next: m->next. */
int mig_memory_give(struct mig_memory *m, struct mig_stream *s, u64 page)
{
	if (page >= m->pages || !(m->list[page / 64] >> page % 64 & 1))
		return -EINVAL;
	return wanted(m, page) ? give(m, s, page, 1) : 0;
}

static bool find_next(struct mig_memory *m)
{
	u64 page = m->next;

	while (page < m->pages && !wanted(m, page))
		page += m->bits[page / 64] >> page % 64 ? 1 : 64 - page % 64;
	m->next = page;
	return page < m->pages;
}

int mig_memory_give_next(struct mig_memory *m, struct mig_stream *s)
{
	if (!mig_memory_left(m))
		return 0;
	if (!find_next(m)) {
		m->next = 0;
		kvmb_assert(find_next(m));
	}
	return give(m, s, m->next, PAGES_AT_ONCE) ?: 1;
}

u64 mig_memory_left(const struct mig_memory *m)
{
	return __atomic_load_n(&m->kept, __ATOMIC_RELAXED);
}

int mig_memory_note(const struct mig_memory *m, u64 *want, u64 first, const u8 *bits, size_t len)
{
	u64 i, page;

	if (first >= m->pages)
		return -EINVAL;
	for (i = 0; i < len * 8ull; i++) {
		if (!(bits[i / 8] >> i % 8 & 1))
			continue;
		page = first + i;
		if (page >= m->pages || !(m->list[page / 64] >> page % 64 & 1))
			return -EINVAL;
		want[page / 64] |= 1ull << page % 64;
	}
	return 0;
}
