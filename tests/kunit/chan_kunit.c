// SPDX-License-Identifier: GPL-2.0-only
/* The guest's channels and page lists against the scripted host (docs/threat-model.md#G01). */
#include <linux/vmalloc.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

CASE(packets_go_there_and_back)
{
	static u8 buf[512] __aligned(8);
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 i;

	NEED(ch);
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	CHECK_EQ(ch->state, KVMB_CHAN_OPEN);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -EBUSY);
	host_chan_of(5)->on_packet = echo;
	for (i = 1; i <= 200; i++) {
		CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, i, NULL, 0, &i,
				   sizeof(i)),
			 0);
		host_settle();
		NEED(!kvmb_recv(ch, buf, sizeof(buf), &pkt));
		CHECK_EQ(pkt.trans_id, i);
		CHECK_MEM(pkt.payload, &i, sizeof(i));
	}
	CHECK_EQ(echoed, 200);
	CHECK_EQ(atomic_read(&calls), 200);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EAGAIN);
	kvmb_chan_close(ch);
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	host_settle();
	CHECK(!host_chan_of(5)->open);
	CHECK_EQ(host_seen(KVMB_MSG_CLOSE), 1);
	CHECK_EQ(host_seen(KVMB_MSG_GPADL_TEARDOWN), 1);
}

CASE(a_full_ring_costs_one_signal)
{
	struct kvmb_chan *ch = offered(5, 1);
	static u8 b[488];
	atomic_t calls = ATOMIC_INIT(0);
	u32 n = 0, before;

	NEED(ch && !kvmb_chan_open(ch, 2, NULL, 0, count_call, &calls));
	host_chan_of(5)->rx.ctrl->interrupt_mask = cpu_to_le32(1);
	before = host_signals();
	while (!kvmb_send(ch, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)))
		n++;
	CHECK_EQ(n, 7); /* 512 bytes each of 4096, never all */
	CHECK_EQ(host_signals(), before);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)), -EAGAIN);
	kvmb_chan_close(ch);
}

CASE(opening_reports_each_refusal_and_can_be_tried_again)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	host_script.gpadl_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -EIO);
	host_script.gpadl_status = 0;
	host_script.open_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -EIO);
	host_script.open_status = 0;
	host_script.mute = BIT(KVMB_MSG_OPEN);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -ETIMEDOUT);
	host_script.mute = BIT(KVMB_MSG_GPADL_HEADER);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -ETIMEDOUT);
	host_script.mute = 0;
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), 0);
	CHECK_EQ(kvmb_chan_open(ch, 1, NULL, 0, count_call, &calls), -EINVAL);
	kvmb_chan_close(ch);
}

static bool signals_first(u32 type, const u8 *msg, u32 len)
{
	if (type == KVMB_MSG_OPEN)
		host_kick(5);
	return false;
}

CASE(refused_channel_never_calls_back)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	/* who was called would read rings, later, that are unmapped when the host refuses */
	host_script.says = signals_first;
	host_script.open_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -EIO);
	CHECK_EQ(atomic_read(&calls), 0);
	/* but nothing that came before the answer is lost */
	host_script.says = NULL;
	host_script.open_status = 0;
	host_script.opened = speaks_first;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), 0);
	CHECK_EQ(atomic_read(&calls), 1);
	kvmb_chan_close(ch);
}

CASE(closed_channel_takes_no_packet)
{
	static u8 buf[512] __aligned(8);
	struct kvmb_chan *ch = offered(5, 1), *other = offered(6, 2);
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 word = 1;

	NEED(ch && other);
	/* never opened */
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), -ENODEV);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), 0);
	kvmb_chan_close(ch);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), -ENODEV);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -ENODEV);
	/* rings of the same size may lie where those of the closed one lay */
	NEED(!kvmb_chan_open(other, 3, NULL, 0, count_call, &calls));
	host_script.open_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -EIO);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), -ENODEV);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -ENODEV);
	CHECK_EQ(kvmb_ring_used(&other->tx, true), 0);
	kvmb_chan_close(other);
}

static bool says_too_much(u32 type, const u8 *msg, u32 len)
{
	struct kvmb_wire_gpadl_created g = { .h.type = cpu_to_le32(KVMB_MSG_GPADL_CREATED),
					     .status = cpu_to_le32(1) };
	struct kvmb_wire_open_result o = { .h.type = cpu_to_le32(KVMB_MSG_OPEN_RESULT),
					   .status = cpu_to_le32(1) };
	u32 i;

	for (i = 0; i < 3; i++) { /* answers to what nobody asked, all of them refusals */
		g.gpadl = cpu_to_le32(i ? 0xdead + i : 0);
		o.relid = cpu_to_le32(i ? 77 + i : 0);
		host_say(&g, sizeof(g));
		host_say(&o, sizeof(o));
	}
	return false;
}

CASE(answers_that_nobody_asked_for_change_nothing)
{
	struct kvmb_wire_open_result o = {
		.h.type = cpu_to_le32(KVMB_MSG_OPEN_RESULT),
		.relid = cpu_to_le32(5),
		.status = cpu_to_le32(1),
	};
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	host_script.says = says_too_much;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), 0);
	host_script.says = NULL;
	host_say(&o, sizeof(o)); /* the second answer to the same question */
	host_settle();
	CHECK_EQ(ch->state, KVMB_CHAN_OPEN);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &o, 8), 0);
	kvmb_chan_close(ch);
}

CASE(a_wild_ring_stops_its_channel_and_no_other)
{
	static u8 buf[256] __aligned(8);
	struct kvmb_chan *ch = offered(5, 1), *other = offered(6, 2);
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 w = 1;

	NEED(ch && other && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	NEED(!kvmb_chan_open(other, 3, NULL, 0, count_call, &calls));
	host_chan_of(5)->tx.ctrl->write_index = cpu_to_le32(0xfffffff8);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EPROTO);
	CHECK(ch->dead);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), -ENODEV);
	host_chan_of(5)->tx.ctrl->write_index = 0;
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EPROTO); /* dead stays dead */
	CHECK_EQ(kvmb_send(other, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), 0);
	kvmb_chan_close(ch);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls)); /* until it is opened again */
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EAGAIN);
	host_chan_of(5)->rx.ctrl->read_index = cpu_to_le32(12345);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), -EPROTO);
	kvmb_chan_close(ch);
	kvmb_chan_close(other);
}

CASE(a_long_page_list_arrives_whole)
{
	u32 size = 4 << 20, got = 0, i;
	struct kvmb_chan *ch = offered(5, 1);
	struct kvmb_gpadl g = { 0 };
	u8 *buf = vzalloc(size), *seen;

	NEED(ch && buf);
	for (i = 0; i < size; i += KVMB_PAGE_SIZE)
		*(u32 *)(buf + i) = i ^ 0x5a5a5a5a;
	NEED(!kvmb_gpadl_create(ch, buf, size, &g));
	seen = host_map(g.handle, &got);
	NEED(seen);
	CHECK_EQ(got, size);
	CHECK_MEM(seen, buf, size);
	CHECK_EQ(kvmb_gpadl_destroy(ch, &g), 0);
	CHECK_EQ(g.handle, 0);
	CHECK(!host_map(g.handle, &got));
	host_script.gpadl_status = 1;
	CHECK_EQ(kvmb_gpadl_create(ch, buf, size, &g), -EIO);
	host_script.gpadl_status = 0;
	NEED(!kvmb_gpadl_create(ch, buf, size, &g));
	host_script.mute = BIT(KVMB_MSG_GPADL_TEARDOWN);
	CHECK_EQ(kvmb_gpadl_destroy(ch, &g), -ETIMEDOUT); /* a caller leaks it then */
	host_script.mute = 0;
	host_settle();
	vfree(buf); /* this host keeps nothing */
}

static struct kunit_case chan_cases[] = {
	KUNIT_CASE(packets_go_there_and_back),
	KUNIT_CASE(a_full_ring_costs_one_signal),
	KUNIT_CASE(opening_reports_each_refusal_and_can_be_tried_again),
	KUNIT_CASE(refused_channel_never_calls_back),
	KUNIT_CASE(closed_channel_takes_no_packet),
	KUNIT_CASE(answers_that_nobody_asked_for_change_nothing),
	KUNIT_CASE(a_wild_ring_stops_its_channel_and_no_other),
	KUNIT_CASE(a_long_page_list_arrives_whole),
	{}
};

struct kunit_suite kvmb_chan_suite = {
	.name = "kvmb_chan",
	.test_cases = chan_cases,
	.init = bus_init,
	.exit = bus_exit,
};
