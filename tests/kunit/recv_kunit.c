// SPDX-License-Identifier: GPL-2.0-only
/* What a channel's ring costs: how often the host is shown an index, and signalled. */
#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"

#define RELID 5u
#define PAGES 5u /* a control page and 16 KiB */
#define RING_BYTES ((PAGES - 1) * KVMB_PAGE_SIZE)
#define PKT_BYTES 32u /* descriptor, 8 bytes of payload, trailer */
static_assert(PKT_BYTES == sizeof(struct kvmb_wire_pkt) + 8 + KVMB_PKT_TRAILER,
	      "what put() writes");

static const struct kvmb_guid some_type = KVMB_GUID(0x6b766d62, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11);

static int recv_init(struct kunit *test)
{
	return host_begin();
}

static void recv_exit(struct kunit *test)
{
	host_end();
}

static void nothing(void *ctx)
{
}

static struct kvmb_chan *open_chan(void)
{
	struct kvmb_chan *ch;

	host_offer(RELID, &some_type, 1, 0);
	host_settle();
	rcu_read_lock();
	ch = rcu_dereference(kvmb.by_relid[RELID]);
	rcu_read_unlock();
	return ch && !kvmb_chan_open(ch, PAGES, NULL, 0, nothing, NULL) ? ch : NULL;
}

/* Return: how many of @num the ring had room for */
static u32 host_puts(u32 num)
{
	static const u64 payload = 1;
	u32 n = 0;

	while (n < num &&
	       !host_put(host_chan_of(RELID), KVMB_PKT_INBAND, 0, n, NULL, 0, &payload, 8))
		n++;
	return n;
}

static u32 given_back(void)
{
	return le32_to_cpu(READ_ONCE(host_chan_of(RELID)->tx.ctrl->read_index));
}

static u32 shown(void)
{
	return le32_to_cpu(READ_ONCE(host_chan_of(RELID)->rx.ctrl->write_index));
}

static int take(struct kvmb_chan *ch)
{
	static u8 buf[64] __aligned(8);
	struct kvmb_pkt pkt;

	return kvmb_recv(ch, buf, sizeof(buf), &pkt);
}

/* Return: how often the host saw another read index */
static u32 take_all(struct kvmb_chan *ch, u32 *taken)
{
	u32 before = given_back(), changes = 0;
	int err;

	*taken = 0;
	do {
		err = take(ch);
		*taken += !err;
		changes += given_back() != before;
		before = given_back();
	} while (!err);
	return changes;
}

CASE(space_goes_back_a_batch_at_a_time)
{
	static const struct {
		u32 packets, changes;
	} table[] = {
		{ 1, 1 },
		{ 64, 1 },
		{ RING_BYTES / 4 / PKT_BYTES - 1, 1 },
		{ RING_BYTES / 4 / PKT_BYTES, 1 }, /* a quarter goes back at once, and is all */
		{ RING_BYTES / 4 / PKT_BYTES + 1, 2 },
		{ RING_BYTES * 3 / 4 / PKT_BYTES, 3 },
	};
	struct kvmb_chan *ch = open_chan();
	u32 taken, changes;
	size_t i;

	NEED(ch);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		CHECK_ROW(host_puts(table[i].packets), table[i].packets, i);
		changes = take_all(ch, &taken);
		CHECK_ROW(taken, table[i].packets, i);
		CHECK_ROW(changes, table[i].changes, i);
		/* who has been told that the ring is empty keeps nothing */
		CHECK_ROW(given_back(), ch->rx.index, i);
		CHECK(!kvmb_recv_done(ch));
	}
	kvmb_chan_close(ch);
}

CASE(who_stops_early_can_give_back)
{
	struct kvmb_chan *ch = open_chan();
	u32 before;

	NEED(ch);
	CHECK_EQ(host_puts(10), 10);
	before = given_back();
	CHECK_EQ(take(ch), 0);
	CHECK_EQ(take(ch), 0);
	CHECK_EQ(given_back(), before);
	CHECK(kvmb_recv_done(ch));
	CHECK_EQ(given_back(), before + 2 * PKT_BYTES);
	CHECK(!kvmb_recv_done(ch));
	kvmb_chan_close(ch);
	CHECK(!kvmb_recv_done(ch));
}

CASE(host_that_waits_for_room_is_signalled_within_a_batch)
{
	struct kvmb_chan *ch = open_chan();
	u32 before, n = 0, num;

	NEED(ch);
	num = host_puts(RING_BYTES);
	CHECK(num > RING_BYTES / PKT_BYTES - 2);
	CHECK(!kvmb_ring_want(&host_chan_of(RELID)->tx, 8));
	before = host_signals();
	while (host_signals() == before && !take(ch))
		n++;
	CHECK_EQ(host_signals(), before + 1);
	CHECK(n * PKT_BYTES <= RING_BYTES / 4);
	CHECK(host_puts(1) == 1); /* as it was told */
	while (!take(ch))
		n++;
	CHECK_EQ(n, num + 1);
	CHECK_EQ(host_signals(), before + 1); /* and not for each part */
	/* the rest of a batch, smaller than a part, counts as well */
	kvmb_ring_want(&host_chan_of(RELID)->tx, 0);
	num = host_puts(RING_BYTES);
	CHECK(!kvmb_ring_want(&host_chan_of(RELID)->tx, 8));
	before = host_signals();
	CHECK_EQ(take(ch), 0);
	CHECK_EQ(take(ch), 0);
	CHECK_EQ(host_signals(), before);
	CHECK(kvmb_recv_done(ch));
	CHECK_EQ(host_signals(), before + 1);
	kvmb_chan_close(ch);
}

static u32 heard;
static void hear(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	heard++;
}

CASE(packets_put_are_shown_together)
{
	struct kvmb_chan *ch = open_chan();
	u64 payload = 1;
	u32 before, signals, i;

	NEED(ch);
	host_chan_of(RELID)->on_packet = hear;
	heard = 0;
	before = shown();
	signals = host_signals();
	for (i = 0; i < 20; i++)
		CHECK_EQ(kvmb_put(ch, KVMB_PKT_INBAND, 0, i, NULL, 0, &payload, 8), 0);
	CHECK_EQ(shown(), before);
	CHECK_EQ(host_signals(), signals);
	CHECK_EQ(kvmb_flush(ch), 0);
	CHECK_EQ(shown(), before + 20 * PKT_BYTES);
	CHECK_EQ(host_signals(), signals + 1);
	CHECK_EQ(kvmb_flush(ch), 0); /* nothing more */
	CHECK_EQ(host_signals(), signals + 1);
	host_settle();
	CHECK_EQ(heard, 20);
	/* another's packet shows what was put before it */
	CHECK_EQ(kvmb_put(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &payload, 8), 0);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 2, NULL, 0, &payload, 8), 0);
	host_settle();
	CHECK_EQ(heard, 22);
	/* nor does a full ring keep it */
	for (i = 0; !kvmb_put(ch, KVMB_PKT_INBAND, 0, i, NULL, 0, &payload, 8); i++)
		NEED(i <= RING_BYTES);
	host_settle();
	CHECK_EQ(heard, 22 + i);
	kvmb_chan_close(ch);
	CHECK_EQ(kvmb_put(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &payload, 8), -ENODEV);
	CHECK_EQ(kvmb_flush(ch), 0);
}

CASE(completions_go_together_as_far_as_there_is_room)
{
	static u64 ids[RING_BYTES / PKT_BYTES + 9];
	struct kvmb_chan *ch = open_chan();
	u64 payload = 1;
	u32 before;
	int n;

	NEED(ch);
	host_chan_of(RELID)->on_packet = hear;
	heard = 0;
	before = host_signals();
	CHECK_EQ(kvmb_complete(ch, ids, 30, &payload, 8), 30);
	CHECK_EQ(host_signals(), before + 1);
	host_settle();
	CHECK_EQ(heard, 30);
	n = kvmb_complete(ch, ids, ARRAY_SIZE(ids), &payload, 8);
	CHECK(n > 0 && n < (int)ARRAY_SIZE(ids));
	host_settle();
	CHECK_EQ(heard, 30 + n);
	kvmb_chan_close(ch);
	CHECK_EQ(kvmb_complete(ch, ids, 1, &payload, 8), -ENODEV);
}

static struct kunit_case recv_cases[] = {
	KUNIT_CASE(space_goes_back_a_batch_at_a_time),
	KUNIT_CASE(who_stops_early_can_give_back),
	KUNIT_CASE(host_that_waits_for_room_is_signalled_within_a_batch),
	KUNIT_CASE(packets_put_are_shown_together),
	KUNIT_CASE(completions_go_together_as_far_as_there_is_room),
	{}
};

struct kunit_suite kvmb_recv_suite = {
	.name = "kvmb_recv",
	.test_cases = recv_cases,
	.init = recv_init,
	.exit = recv_exit,
};
