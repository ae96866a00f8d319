// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_net against a NIC that lies: start, frames, completions, unsolicited packets
 * (docs/threat-model.md#G02).
 */
#include <linux/delay.h>
#include <linux/ip.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/rtnetlink.h>
#include <net/checksum.h>

#include "tests/cases/rndis_table.h"

#include "guest-vsc/net/net_guest.h"
#include "tests/kunit/script_nic.h"

/* ---- start ---- */

CASE(a_nic_comes_and_frames_go_both_ways)
{
	static const u32 lens[] = { 60, 61, 1514, 300, 1000, 14 };
	struct net_device *ndev = nic_up();
	static u8 frame[1514];
	int before;
	size_t i;

	NEED(ndev);
	CHECK(ether_addr_equal(ndev->dev_addr, (const u8[]){ 0, 0x15, 0x5d, 1, 2, 3 }));
	CHECK(netif_carrier_ok(ndev));
	script_nic.echo = true;
	for (i = 0; i < 200; i++) {
		u32 len = lens[i % ARRAY_SIZE(lens)];

		before = atomic_read(&nic_heard.num);
		nic_make_frame(frame, len, ndev->dev_addr, host_mac, i);
		CHECK_EQ(nic_transmit(ndev, len, i), 0);
		CHECK(nic_heard_more(before));
		CHECK_EQ(nic_heard.len, len - ETH_HLEN);
		CHECK_EQ(nic_heard.sum, nic_sum(frame + ETH_HLEN, len - ETH_HLEN));
	}
	CHECK_EQ(atomic_read(&script_nic.frames), 200);
	host_settle();
	CHECK_EQ(atomic_read(&script_nic.given_back), atomic_read(&script_nic.given)); /* each section is the host's again */
	CHECK_EQ(nic_counter(ndev, "queue_0_bad_ids"), 0);
	CHECK_EQ(nic_counter(ndev, "queue_0_rx_errors"), 0);
	dev_put(ndev);
	nic_rescind();
	host_settle();
	ndev = nic_find();
	CHECK(!ndev);
}

CASE(every_version_of_the_protocol_is_spoken)
{
	static const u32 versions[] = { KVMB_NVSP_V1, KVMB_NVSP_V2, KVMB_NVSP_V4, KVMB_NVSP_V5, KVMB_NVSP_V6, KVMB_NVSP_V61 };
	struct net_device *ndev;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		script_nic.newest = versions[i];
		ndev = nic_up();
		NEED(ndev);
		CHECK(nic_still_hears(ndev));
		CHECK_EQ(nic_transmit(ndev, 100, 1), 0);
		dev_put(ndev);
		nic_take_out();
	}
	script_nic.newest = 1;
	nic_plug_in();
	ndev = nic_find();
	CHECK(!ndev);
}

CASE(a_start_that_is_lied_to_does_not_come_up)
{
	static const typeof(nic_lie) table[] = {
		{ KVMB_NVSP_INIT, 0, 77, 0 },
		{ KVMB_NVSP_INIT, 0, 0, 8 },
		{ KVMB_NVSP_INIT, 3, KVMB_NVSP_STAT_FAIL, 0 },
		/* receive buffer: type, status, sections, offset, size and number of parts */
		{ KVMB_NVSP_SEND_RECV_BUF, 0, KVMB_NVSP_SEND_SEND_BUF_COMPLETE, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 0, 0, 16 },
		{ KVMB_NVSP_SEND_RECV_BUF, 1, KVMB_NVSP_STAT_FAIL, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 2, 0, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 2, 2, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 3, 4096, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, 0, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, 67, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, 0xffffffff, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, SECTION + 1, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 5, 0, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 5, 0xffffffff, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 5, 0x100000, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 0, 1, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 0, 0, 8 },
		{ KVMB_NVSP_SEND_SEND_BUF, 1, KVMB_NVSP_STAT_BUSY, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, 0, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, 67, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, 0xffffffff, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, (1u << 20) + 1, 0 },
	};
	struct net_device *ndev;
	size_t i;

	script_nic.twist = nic_twist;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		nic_lie = table[i];
		nic_plug_in();
		ndev = nic_find();
		CHECK_ROW(!!ndev, false, i);
		if (ndev)
			dev_put(ndev);
		/* a NIC that never spoke RNDIS has no farewell to wait for */
		CHECK_ROW(script_nic.requests[KVMB_RNDIS_HALT] + script_nic.requests[KVMB_RNDIS_SET], 0, i);
		nic_take_out();
	}
}

CASE(a_silent_start_is_given_up)
{
	static const u32 nvsp[] = { KVMB_NVSP_INIT, KVMB_NVSP_SEND_RECV_BUF, KVMB_NVSP_SEND_SEND_BUF };
	static const u32 rndis[] = { KVMB_RNDIS_INIT, KVMB_RNDIS_QUERY };
	struct net_device *ndev;
	unsigned long begin;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nvsp) + ARRAY_SIZE(rndis); i++) {
		script_nic.mute = i < ARRAY_SIZE(nvsp) ? nvsp[i] : 0;
		script_nic.mute_rndis = i < ARRAY_SIZE(nvsp) ? 0 : rndis[i - ARRAY_SIZE(nvsp)];
		begin = jiffies;
		nic_plug_in();
		ndev = nic_find();
		CHECK_ROW(!!ndev, false, i);
		if (ndev)
			dev_put(ndev);
		CHECK_ROW(jiffies - begin < 60 * HZ, true, i);
		nic_take_out();
	}
}

static u32 lie_oid, lie_row;
static bool twist_rndis(u8 *msg, u32 *len, u32 type, u32 oid)
{
	__le32 *w = (__le32 *)msg; /* type, length, id, status, then of a query: length and offset of its information */

	if (lie_oid != (type == KVMB_RNDIS_INIT ? 0 : oid))
		return true;
	switch (lie_row) {
	case 0: w[2] = cpu_to_le32(le32_to_cpu(w[2]) + 1); break; /* nobody's */
	case 1: w[3] = cpu_to_le32(KVMB_RNDIS_STATUS_FAILURE); break;
	case 2: w[0] = cpu_to_le32(KVMB_RNDIS_COMPLETE | KVMB_RNDIS_RESET); break;
	case 3: w[1] = cpu_to_le32(*len + 4); break;
	case 4: w[1] = cpu_to_le32(8); break;
	case 5: w[1] = cpu_to_le32(0xffffffff); break;
	case 6: *len = 12; w[1] = cpu_to_le32(12); break;
	case 7: *len = 4; break;
	/* of queries alone */
	case 8: w[4] = cpu_to_le32(0xffffffff); break;
	case 9: w[5] = cpu_to_le32(0xfffffff0); break;
	case 10: w[5] = cpu_to_le32(0); break;
	case 11: w[5] = cpu_to_le32(*len); break;
	case 12: w[4] = cpu_to_le32(1000); break;
	case 13: w[4] = 0; break;
	case 14: memset(w + 6, 0, *len - 24); break;
	case 15: memset(w + 6, 0xff, *len - 24); break;
	}
	return true;
}
#define LIE_ROWS 16
#define LIE_ROWS_INIT 8

CASE(rndis_answers_that_lie_are_not_believed)
{
	static const struct { u32 oid; bool needed; } table[] = {
		{ 0, true }, /* INIT */
		{ KVMB_OID_802_3_PERMANENT_ADDRESS, true },
		{ KVMB_OID_GEN_MAXIMUM_FRAME_SIZE, false },
		{ KVMB_OID_TCP_OFFLOAD_HW_CAPS, false },
		{ KVMB_OID_GEN_RECEIVE_SCALE_CAPS, false },
	};
	struct net_device *ndev;
	size_t i;

	script_nic.twist_rndis = twist_rndis;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		lie_oid = table[i].oid;
		for (lie_row = 0; lie_row < (i ? LIE_ROWS : LIE_ROWS_INIT); lie_row++) {
			nic_plug_in();
			ndev = nic_find();
			if (table[i].needed)
				CHECK_ROW(!!ndev, false, 100 * i + lie_row);
			if (ndev) {
				CHECK(is_valid_ether_addr(ndev->dev_addr));
				CHECK(ndev->max_mtu >= ETH_MIN_MTU && ndev->max_mtu <= 65535);
				CHECK(ndev->real_num_rx_queues >= 1 && ndev->real_num_rx_queues <= 64);
				CHECK(ndev->tso_max_size <= 65536);
				dev_put(ndev);
			}
			nic_take_out();
		}
	}
}

/* ---- frames that lie ---- */

CASE(ranges_outside_the_buffer_are_not_read)
{
	struct net_device *ndev = nic_up();
	u64 before;
	size_t i;

	NEED(ndev);
	{
		const u32 size = script_nic.recv_size;
		const u32 table[][2] = {
			{ size, 100 }, { size - 50, 100 }, { 0, 0 }, { 0, 1 }, { 0, 7 }, { 0xffffffff, 1 }, { 0xfffffff0, 0xfffffff0 },
			{ 0, 0xffffffff }, { 0, size + 1 }, { 0x80000000, 0x80000000 }, { 1, size },
		};

		memset(script_nic.recv, 0, SECTION);
		for (i = 0; i < ARRAY_SIZE(table); i++) {
			before = nic_counter(ndev, "queue_0_rx_errors");
			nic_put_ranges(nic_chan(), KVMB_NVSP_RECV_BUF_ID, &table[i], 1);
			CHECK(nic_still_hears(ndev));
			CHECK_ROW(nic_counter(ndev, "queue_0_rx_errors"), before + 1, i);
		}
		before = nic_counter(ndev, "queue_0_rx_errors");
		nic_put_ranges(nic_chan(), 0xbeef, &table[0], 1); /* another set */
		nic_put_ranges(nic_chan(), KVMB_NVSP_RECV_BUF_ID, &table[0], 0);
		nic_put_ranges(nic_chan(), KVMB_NVSP_RECV_BUF_ID, &table[0], 0xffffffff);
		nic_put_ranges(nic_chan(), KVMB_NVSP_RECV_BUF_ID, &table[0], 1000);
		CHECK(nic_still_hears(ndev));
		CHECK_EQ(nic_counter(ndev, "queue_0_rx_errors"), before + 4);
	}
	dev_put(ndev);
}

CASE(messages_that_lie_are_counted)
{
	struct net_device *ndev = nic_up();
	static u8 buf[128];
	u64 before;
	size_t i;

	NEED(ndev);
	for (i = 0; i < ARRAY_SIZE(rndis_table); i++) {
		const struct rndis_case *c = &rndis_table[i];

		if (c->type != KVMB_RNDIS_PACKET || c->hdr_len != 100)
			continue; /* of short copies, which this driver does not make */
		rndis_case_message(c, buf, sizeof(buf));
		before = nic_counter(ndev, "queue_0_rx_errors");
		nic_say(nic_chan(), buf, c->avail);
		CHECK(nic_still_hears(ndev));
		CHECK_ROW(nic_counter(ndev, "queue_0_rx_errors"), before + !!c->err, i);
	}
	dev_put(ndev);
}

CASE(parts_of_coalesced_frames_that_do_not_fit_are_dropped)
{
	const u8 part = KVMB_RSC_PART, first = part | KVMB_RSC_FIRST, last = part | KVMB_RSC_LAST;
	struct net_device *ndev = nic_up();
	static u8 frame[9000];
	static struct {
		struct kvmb_rndis_out o;
		u32 len;
	} p[8];
	u32 r[8][2], n, i, row, num, good;
	int before;

	NEED(ndev);
	for (row = 0; row < 6; row++) {
		memset(p, 0, sizeof(p));
		num = 3;
		good = 0;
		for (i = 0; i < ARRAY_SIZE(p); i++) {
			p[i].o.rsc = i ? part : first;
			p[i].len = 100;
		}
		switch (row) {
		case 0: p[2].o.rsc = last; good = 1; break; /* as it should be */
		case 1: p[0].o.rsc = part; p[2].o.rsc = last; break; /* no first */
		case 2: break; /* no last */
		case 3: p[1].o.rsc = first; p[2].o.rsc = last; good = 1; break; /* two firsts: the second counts */
		case 4: p[0].len = 5; p[1].len = 5; p[2].len = 3; p[2].o.rsc = last; break; /* 13 bytes are no frame */
		case 5: for (i = 0; i < 8; i++) p[i].len = 8800; num = 8; p[7].o.rsc = last; break; /* more than 64 KiB */
		}
		before = atomic_read(&nic_heard.num);
		nic_make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 1);
		for (i = 0; i < num; i++) {
			u8 *to = script_nic.recv + i * 4 * SECTION;

			p[i].o.data_len = p[i].len;
			n = kvmb_rndis_header(&p[i].o, to);
			memcpy(to + n, frame, p[i].len);
			r[i][0] = i * 4 * SECTION;
			r[i][1] = n + p[i].len;
		}
		nic_put_ranges(nic_chan(), KVMB_NVSP_RECV_BUF_ID, r, num);
		script_nic.next = 100;
		CHECK(nic_still_hears(ndev));
		CHECK_ROW(atomic_read(&nic_heard.num) - before, good + 1, row);
	}
	/* all of its parts, one packet each: parts do not wait from one packet to the next */
	before = atomic_read(&nic_heard.num);
	for (i = 0; i < 70; i++) {
		struct kvmb_rndis_out o = { .rsc = i == 69 ? last : i ? part : first };

		nic_frame(nic_chan(), frame, 100, &o);
	}
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(atomic_read(&nic_heard.num) - before, 1);
	dev_put(ndev);
}

CASE(what_a_frame_says_of_itself_is_passed_on)
{
	const struct kvmb_rndis_out o = { .csum = KVMB_RX_CSUM_TCP_OK | KVMB_RX_CSUM_IP_OK, .has_vlan = true, .vlan_tci = 0x2007 };
	struct net_device *ndev = nic_up();
	u8 frame[100];
	int before = atomic_read(&nic_heard.num);

	NEED(ndev);
	nic_make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 5);
	nic_frame(nic_chan(), frame, sizeof(frame), NULL);
	CHECK(nic_heard_more(before));
	CHECK(!nic_heard.unnecessary);
	CHECK_EQ(nic_heard.tci, 0);
	/* a VLAN that nobody has: the frame is for another host, and the driver goes on */
	nic_frame(nic_chan(), frame, sizeof(frame), &o);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static int rewrite(void *arg)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 7);
	while (!kthread_should_stop()) { /* headers of the first sections, at any moment */
		u32 at = prandom_u32_state(&rnd) % 16 * SECTION + prandom_u32_state(&rnd) % 64;

		WRITE_ONCE(script_nic.recv[at], (u8)prandom_u32_state(&rnd));
		if (prandom_u32_state(&rnd) % 64 == 0)
			cond_resched();
	}
	return 0;
}

CASE(a_host_that_rewrites_what_it_sent_hurts_nobody)
{
	struct net_device *ndev = nic_up();
	struct task_struct *t;
	static u8 frame[1000];
	int i;

	NEED(ndev);
	t = kthread_run(rewrite, NULL, "kvmb_rewrite");
	NEED(!IS_ERR(t));
	nic_make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 5);
	for (i = 0; i < 3000; i++) {
		struct kvmb_rndis_out o = { .rsc = i & 1 ? KVMB_RSC_PART | (i & 2 ? KVMB_RSC_FIRST : KVMB_RSC_LAST) : 0 };

		if (script_nic.next >= 16)
			script_nic.next = 0;
		nic_frame(nic_chan(), frame, 60 + i % 900, &o);
		if (i % 100 == 0)
			host_settle();
	}
	kthread_stop(t);
	script_nic.next = 20;
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

/* ---- what the guest sent ---- */

CASE(completions_of_nothing_free_nothing)
{
	struct net_device *ndev = nic_up();
	u64 ids[] = { 0, 1, ~0ull, 0xfffffffffffffffdull, 0x100000000ull, 0x100000001ull, 1025, 0xffffffffull };
	__le32 done[2] = { cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE), cpu_to_le32(KVMB_NVSP_STAT_SUCCESS) };
	size_t i;

	NEED(ndev);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		host_put(nic_chan(), KVMB_PKT_COMPLETION, 0, ids[i], NULL, 0, done, sizeof(done));
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(nic_counter(ndev, "queue_0_bad_ids"), ARRAY_SIZE(ids));
	script_nic.copies = 3; /* each frame done three times */
	for (i = 0; i < 3000; i++) {
		CHECK_EQ(nic_transmit(ndev, 60 + i % 1400, i), 0);
		if (i % 64 == 0)
			host_settle();
	}
	host_settle();
	CHECK(nic_still_hears(ndev));
	CHECK(nic_counter(ndev, "queue_0_bad_ids") >= ARRAY_SIZE(ids) + 2 * 3000); /* the stack sent frames, too */
	CHECK_EQ(atomic_read(&script_nic.frames), 3000);
	script_nic.copies = 1;
	script_nic.done_status = KVMB_NVSP_STAT_FAIL;
	CHECK_EQ(nic_transmit(ndev, 100, 1), 0);
	host_settle();
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(nic_counter(ndev, "queue_0_tx_failed"), 1);
	dev_put(ndev);
}

CASE(frames_that_are_never_done_stop_the_queue_and_no_more)
{
	struct net_device *ndev = nic_up();
	u32 i;

	NEED(ndev);
	script_nic.xor_id = 1ull << 40; /* nobody's */
	for (i = 0; i < 3000; i++)
		nic_transmit(ndev, 100, i);
	host_settle();
	CHECK(netif_tx_queue_stopped(netdev_get_tx_queue(ndev, 0)));
	CHECK(nic_still_hears(ndev));
	script_nic.xor_id = 0;
	dev_put(ndev); /* the case's end takes the channel away: all of them are freed, or kmemleak says so */
}

/* ---- what comes by itself ---- */

CASE(a_table_of_queues_that_is_none_is_not_taken)
{
	static const u32 table[][3] = { /* count, offset, bytes of the message */
		{ 16, 40, 104 }, { 0, 40, 104 }, { 17, 40, 104 }, { 0xffffffff, 40, 104 }, { 16, 0xffffffff, 104 },
		{ 16, 41, 104 }, { 16, 0xfffffff8, 104 }, { 16, 12, 16 }, { 16, 40, 40 }, { 16, 12, 8 },
	};
	struct net_device *ndev = nic_up();
	struct kvmb_wire_nvsp_table m;
	size_t i;

	NEED(ndev);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		memset(&m, 0xff, sizeof(m));
		m.m.type = cpu_to_le32(KVMB_NVSP_SEND_INDIRECTION_TABLE);
		m.m.u.table.count = cpu_to_le32(table[i][0]);
		m.m.u.table.offset = cpu_to_le32(table[i][1]);
		host_put(nic_chan(), KVMB_PKT_INBAND, 0, 0, NULL, 0, &m, table[i][2]);
		CHECK(nic_still_hears(ndev));
		CHECK_EQ(nic_transmit(ndev, 100, i), 0); /* to a queue that there is */
	}
	host_settle();
	CHECK_EQ(atomic_read(&script_nic.frames), ARRAY_SIZE(table));
	dev_put(ndev);
}

static void indicate(u32 status, u32 len)
{
	struct {
		struct kvmb_wire_rndis h;
		struct kvmb_wire_rndis_indicate i;
	} m = { { cpu_to_le32(KVMB_RNDIS_INDICATE), cpu_to_le32(len) }, { cpu_to_le32(status) } };

	nic_say(nic_chan(), &m, len);
}

CASE(the_link_follows_the_host)
{
	struct net_device *ndev = nic_up();
	u32 i, down;

	NEED(ndev);
	for (i = 0; i < 100; i++) {
		indicate(i & 1 ? KVMB_RNDIS_INDICATE_CONNECT : KVMB_RNDIS_INDICATE_DISCONNECT, 20);
		indicate(0x40010013 + i, 20); /* something else */
		indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 12); /* half a message */
	}
	CHECK(nic_still_hears(ndev));
	for (i = 0; i < 10000 && !netif_carrier_ok(ndev); i++)
		msleep(2);
	CHECK(netif_carrier_ok(ndev));
	down = atomic_read(&ndev->carrier_down_count);
	rtnl_lock(); /* down and up before anybody can look */
	indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 20);
	indicate(KVMB_RNDIS_INDICATE_CONNECT, 20);
	msleep(100);
	rtnl_unlock();
	for (i = 0; i < 10000 && !(netif_carrier_ok(ndev) && atomic_read(&ndev->carrier_down_count) > down); i++)
		msleep(2);
	CHECK(netif_carrier_ok(ndev));
	CHECK_EQ(atomic_read(&ndev->carrier_down_count), down + 1);
	indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 20);
	for (i = 0; i < 10000 && netif_carrier_ok(ndev); i++)
		msleep(2);
	CHECK(!netif_carrier_ok(ndev));
	dev_put(ndev);
}

static struct { atomic_t num; bool good; } ip_heard;
static int hear_ip(struct sk_buff *skb, struct net_device *dev, struct packet_type *pt, struct net_device *orig)
{
	const struct iphdr *ip = (void *)skb->data;

	ip_heard.good = skb_headlen(skb) >= sizeof(*ip) && !ip_fast_csum(ip, ip->ihl);
	atomic_inc(&ip_heard.num);
	kfree_skb(skb);
	return 0;
}

CASE(coalesced_frame_gets_its_ip_checksum)
{
	/* what Hyper-V says of one: looked at and found good, but the field is not what it should be */
	static const struct { u32 csum; bool good; } table[] = {
		{ KVMB_RX_CSUM_IP_OK, false },
		{ KVMB_RX_CSUM_IP_OK | KVMB_RX_CSUM_IP_INVALID, true },
		{ KVMB_RX_CSUM_IP_INVALID, false }, /* nobody vouches for it */
	};
	struct packet_type pt = { .type = htons(ETH_P_IP), .func = hear_ip };
	struct net_device *ndev = nic_up();
	u8 frame[100] = { 0 };
	struct iphdr *ip = (void *)(frame + ETH_HLEN);
	u32 i, n, before;

	NEED(ndev);
	ether_addr_copy(frame, ndev->dev_addr);
	ether_addr_copy(frame + ETH_ALEN, host_mac);
	*(__be16 *)(frame + 2 * ETH_ALEN) = htons(ETH_P_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 9, .protocol = 253, .tot_len = htons(86), .check = 0x1234 };
	pt.dev = ndev;
	dev_add_pack(&pt);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		struct kvmb_rndis_out o = { .csum = table[i].csum };

		before = atomic_read(&ip_heard.num);
		nic_frame(nic_chan(), frame, sizeof(frame), &o);
		for (n = 0; n < 5000 && atomic_read(&ip_heard.num) == before; n++)
			msleep(2);
		CHECK_ROW(ip_heard.good, table[i].good, i);
	}
	dev_remove_pack(&pt);
	dev_put(ndev);
}

static atomic_t told_peers;
static int on_netdev(struct notifier_block *nb, unsigned long event, void *ptr)
{
	if (event == NETDEV_NOTIFY_PEERS)
		atomic_inc(&told_peers);
	return NOTIFY_DONE;
}

CASE(peers_learn_that_the_nic_was_moved)
{
	static const u32 says[] = { KVMB_RNDIS_INDICATE_CONNECT, KVMB_RNDIS_INDICATE_NETWORK_CHANGE };
	struct notifier_block nb = { .notifier_call = on_netdev };
	struct net_device *ndev = nic_up();
	u32 down, i, n;

	NEED(ndev);
	NEED(!register_netdevice_notifier(&nb));
	for (n = 0; n < ARRAY_SIZE(says); n++) {
		atomic_set(&told_peers, 0);
		down = atomic_read(&ndev->carrier_down_count);
		indicate(says[n], 20);
		for (i = 0; i < 5000 && !atomic_read(&told_peers); i++)
			msleep(2);
		CHECK_EQ(atomic_read(&told_peers), 1);
		CHECK(netif_carrier_ok(ndev));
		/* another network: who asked for an address sees the link go and come */
		CHECK_EQ(atomic_read(&ndev->carrier_down_count) - down, n);
	}
	unregister_netdevice_notifier(&nb);
	dev_put(ndev);
}

CASE(frame_leaves_with_interrupts_off)
{
	struct net_device *ndev = nic_up();
	struct netdev_queue *txq;
	unsigned long flags;
	struct sk_buff *skb;
	u32 i;

	NEED(ndev);
	for (i = 0; i < 50; i++) {
		skb = alloc_skb(256, GFP_KERNEL);
		NEED(skb);
		nic_make_frame(skb_put(skb, 100), 100, host_mac, ndev->dev_addr, i);
		skb->dev = ndev;
		skb_reset_mac_header(skb);
		skb_set_queue_mapping(skb, 0);
		txq = netdev_get_tx_queue(ndev, 0);
		local_irq_save(flags); /* as netconsole does; lockdep and the softirq code watch */
		__netif_tx_lock(txq, smp_processor_id());
		if (netdev_start_xmit(skb, ndev, txq, false) != NETDEV_TX_OK)
			kfree_skb(skb);
		__netif_tx_unlock(txq);
		CHECK(irqs_disabled());
		local_irq_restore(flags);
	}
	host_settle();
	CHECK_EQ(atomic_read(&script_nic.frames), 50);
	dev_put(ndev);
}

CASE(completions_before_the_frame_free_it_once)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE) };
	struct net_device *ndev = nic_up();
	u32 i, gen;

	NEED(ndev);
	/* ids can be guessed: slot, and how often it was used */
	for (i = 0; i < 300; i++) {
		for (gen = 1; gen < 4; gen++)
			host_put(nic_chan(), KVMB_PKT_COMPLETION, 0, (u64)gen << 32 | (i % 1024 + 1), NULL, 0, &m, 16);
		nic_transmit(ndev, i & 1 ? 100 : 1500, i);
	}
	host_settle();
	CHECK(nic_still_hears(ndev));
	for (i = 0; i < 2100; i++) /* each slot is still there, and only once */
		nic_transmit(ndev, 100, i);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static struct { struct net_queue *q; u64 id; u32 asked, answered; int rc; } early;

/* xmit, whose frame does not go out: the host answers it nevertheless, on another CPU, before xmit goes on */
static void no_room(void *ctx, u32 relid)
{
	struct net_queue *q = early.q;
	u32 n, i;

	if (relid != RELID || early.asked || smp_processor_id() != 1) /* the stack sends frames, too */
		return;
	n = q->free[(q->taken - 1) % NET_SLOTS];
	if (!q->slots[n].skb)
		return;
	early.id = (u64)q->slots[n].gen << 32 | (n + 1);
	WRITE_ONCE(early.asked, 1);
	for (i = 0; i < 5000000 && !READ_ONCE(early.answered); i++)
		udelay(1);
}

static int send_one(void *skb) /* past the queue, in which frames of the stack may stand before it */
{
	struct net_device *ndev = ((struct sk_buff *)skb)->dev;
	struct netdev_queue *txq = netdev_get_tx_queue(ndev, 0);

	__netif_tx_lock_bh(txq);
	WRITE_ONCE(early.rc, netdev_start_xmit(skb, ndev, txq, false));
	__netif_tx_unlock_bh(txq);
	return 0;
}

CASE(answer_to_a_frame_that_finds_no_room_frees_it_once)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE) };
	struct net_device *ndev = nic_up();
	struct host_chan *c = nic_chan();
	struct sk_buff *skb = alloc_skb(6000, GFP_KERNEL);
	struct task_struct *t;
	unsigned long flags;
	struct kvmb_chan *ch;
	u32 i, full;

	NEED(ndev && skb);
	skb_reserve(skb, LL_RESERVED_SPACE(ndev));
	/* more than a section: named by its pages */
	nic_make_frame(skb_put(skb, 5000), 5000, host_mac, ndev->dev_addr, 1);
	skb->dev = ndev;
	skb_reset_mac_header(skb);
	skb_set_queue_mapping(skb, 0);
	host_settle();
	netif_stop_queue(ndev); /* nor does the stack send meanwhile */
	memset(&early, 0, sizeof(early));
	early.rc = -1;
	early.q = (*(struct net_nic **)netdev_priv(ndev))->queues[0];
	ch = early.q->ch;
	/* the host says that it has read next to nothing of a full ring, as it may */
	spin_lock_irqsave(&ch->tx_lock, flags);
	full = (ch->tx.index + 8) % ch->tx.size;
	ch->tx.peer = full;
	WRITE_ONCE(c->rx.ctrl->read_index, cpu_to_le32(full));
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	set_cpus_allowed_ptr(current, cpumask_of(0));
	host_watch_full(no_room);
	t = kthread_create(send_one, skb, "kvmb_sender");
	NEED(!IS_ERR(t));
	kthread_bind(t, 1);
	wake_up_process(t);
	for (i = 0; i < 4000 && !READ_ONCE(early.asked); i++)
		msleep(1);
	CHECK(early.asked);
	host_put(c, KVMB_PKT_COMPLETION, 0, early.id, NULL, 0, &m, 16); /* its interrupt, and so NAPI, is on this CPU */
	msleep(50);
	WRITE_ONCE(c->rx.ctrl->read_index, cpu_to_le32(c->rx.index));
	WRITE_ONCE(early.answered, 1);
	host_watch_full(NULL);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	for (i = 0; i < 10000 && READ_ONCE(early.rc) == -1; i++)
		msleep(1);
	CHECK_EQ(early.rc, NETDEV_TX_OK); /* busy would be: send it again, what NAPI has freed */
	CHECK(nic_still_hears(ndev));
	for (i = 0; i < 2100; i++) { /* each slot is still there, and only once */
		nic_transmit(ndev, 100, i);
		if (i % 64 == 0)
			host_settle();
	}
	host_settle();
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(nic_counter(ndev, "queue_0_bad_ids"), 0); /* the one answer was to that frame */
	dev_put(ndev);
}

CASE(junk_of_every_kind_is_survived)
{
	struct net_device *ndev = nic_up();
	static u8 junk[4096];
	struct rnd_state rnd;
	u32 i, r[1][2];

	NEED(ndev);
	prandom_seed_state(&rnd, 20261126);
	for (i = 0; i < 10000; i++) {
		u32 kind = prandom_u32_state(&rnd) % 4, len = prandom_u32_state(&rnd) % 200;

		prandom_bytes_state(&rnd, junk, sizeof(junk));
		if (kind == 0) { /* any packet */
			host_put(nic_chan(), prandom_u32_state(&rnd) % 12, 0, prandom_u32_state(&rnd), junk, 8 * (len % 8), junk, len);
		} else { /* a message of a likely type with likely numbers */
			*(__le32 *)junk = cpu_to_le32(kind == 1 ? KVMB_RNDIS_PACKET : prandom_u32_state(&rnd) % 10 | (kind == 2 ? 0 : KVMB_RNDIS_COMPLETE));
			*(__le32 *)(junk + 4) = cpu_to_le32(len);
			if (prandom_u32_state(&rnd) & 1)
				memset(junk + 8, prandom_u32_state(&rnd) % 64, 36);
			r[0][0] = prandom_u32_state(&rnd) % 8 * SECTION;
			r[0][1] = prandom_u32_state(&rnd) % 8 ? len : prandom_u32_state(&rnd);
			memcpy(script_nic.recv + r[0][0], junk, len);
			nic_put_ranges(nic_chan(), KVMB_NVSP_RECV_BUF_ID, r, 1);
		}
		if (i % 128 == 0) { /* at the guest's pace */
			host_settle();
			msleep(10);
		}
	}
	host_settle();
	msleep(100);
	script_nic.next = 20;
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static struct kunit_case net_cases[] = {
	KUNIT_CASE(a_nic_comes_and_frames_go_both_ways),
	KUNIT_CASE(every_version_of_the_protocol_is_spoken),
	KUNIT_CASE(a_start_that_is_lied_to_does_not_come_up),
	KUNIT_CASE(a_silent_start_is_given_up),
	KUNIT_CASE(rndis_answers_that_lie_are_not_believed),
	KUNIT_CASE(ranges_outside_the_buffer_are_not_read),
	KUNIT_CASE(messages_that_lie_are_counted),
	KUNIT_CASE(parts_of_coalesced_frames_that_do_not_fit_are_dropped),
	KUNIT_CASE(what_a_frame_says_of_itself_is_passed_on),
	KUNIT_CASE(a_host_that_rewrites_what_it_sent_hurts_nobody),
	KUNIT_CASE(completions_of_nothing_free_nothing),
	KUNIT_CASE(frames_that_are_never_done_stop_the_queue_and_no_more),
	KUNIT_CASE(a_table_of_queues_that_is_none_is_not_taken),
	KUNIT_CASE(the_link_follows_the_host),
	KUNIT_CASE(coalesced_frame_gets_its_ip_checksum),
	KUNIT_CASE(peers_learn_that_the_nic_was_moved),
	KUNIT_CASE(frame_leaves_with_interrupts_off),
	KUNIT_CASE(completions_before_the_frame_free_it_once),
	KUNIT_CASE(answer_to_a_frame_that_finds_no_room_frees_it_once),
	KUNIT_CASE(junk_of_every_kind_is_survived),
	{}
};

static struct kunit_suite net_suite = { .name = "kvmb_net", .test_cases = net_cases, .init = nic_init, .exit = nic_exit };

kunit_test_suites(&net_suite, &kvmb_net_shape_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suite of kvmb_net");
MODULE_LICENSE("GPL");
