// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_net against a NIC that lies: start, unsolicited packets (docs/threat-model.md#G02).
 * Frames: net_rx_kunit.c, net_tx_kunit.c.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/rtnetlink.h>

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
	/* each section is the host's again */
	CHECK_EQ(atomic_read(&script_nic.given_back), atomic_read(&script_nic.given));
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
	static const u32 versions[] = { KVMB_NVSP_V1, KVMB_NVSP_V2, KVMB_NVSP_V4,
					KVMB_NVSP_V5, KVMB_NVSP_V6, KVMB_NVSP_V61 };
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
		CHECK_ROW(script_nic.requests[KVMB_RNDIS_HALT], 0, i);
		CHECK_ROW(script_nic.requests[KVMB_RNDIS_SET], 0, i);
		nic_take_out();
	}
}

CASE(a_silent_start_is_given_up)
{
	static const u32 nvsp[] = { KVMB_NVSP_INIT, KVMB_NVSP_SEND_RECV_BUF,
				    KVMB_NVSP_SEND_SEND_BUF };
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
	/* type, length, id, status, then of a query: length and offset of its information */
	__le32 *w = (__le32 *)msg;

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
				CHECK(ndev->real_num_rx_queues >= 1 &&
				      ndev->real_num_rx_queues <= 64);
				CHECK(ndev->tso_max_size <= 65536);
				dev_put(ndev);
			}
			nic_take_out();
		}
	}
}

/* ---- what comes by itself ---- */

CASE(a_table_of_queues_that_is_none_is_not_taken)
{
	static const u32 table[][3] = {
		/* count, offset, bytes of the message */
		{ 16, 40, 104 },	 { 0, 40, 104 },	  { 17, 40, 104 },
		{ 0xffffffff, 40, 104 }, { 16, 0xffffffff, 104 }, { 16, 41, 104 },
		{ 16, 0xfffffff8, 104 }, { 16, 12, 16 },	  { 16, 40, 40 },
		{ 16, 12, 8 },
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
	for (i = 0; i < 10000; i++) {
		if (netif_carrier_ok(ndev) && atomic_read(&ndev->carrier_down_count) > down)
			break;
		msleep(2);
	}
	CHECK(netif_carrier_ok(ndev));
	CHECK_EQ(atomic_read(&ndev->carrier_down_count), down + 1);
	indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 20);
	for (i = 0; i < 10000 && netif_carrier_ok(ndev); i++)
		msleep(2);
	CHECK(!netif_carrier_ok(ndev));
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
	static const u32 says[] = { KVMB_RNDIS_INDICATE_CONNECT,
				    KVMB_RNDIS_INDICATE_NETWORK_CHANGE };
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
			host_put(nic_chan(), prandom_u32_state(&rnd) % 12, 0,
				 prandom_u32_state(&rnd), junk, 8 * (len % 8), junk, len);
		} else { /* a message of a likely type with likely numbers */
			u32 type = prandom_u32_state(&rnd) % 10;

			if (kind != 2)
				type = kind == 1 ? KVMB_RNDIS_PACKET : type | KVMB_RNDIS_COMPLETE;
			*(__le32 *)junk = cpu_to_le32(type);
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
	KUNIT_CASE(a_table_of_queues_that_is_none_is_not_taken),
	KUNIT_CASE(the_link_follows_the_host),
	KUNIT_CASE(peers_learn_that_the_nic_was_moved),
	KUNIT_CASE(junk_of_every_kind_is_survived),
	{}
};

static struct kunit_suite net_suite = {
	.name = "kvmb_net", .test_cases = net_cases, .init = nic_init, .exit = nic_exit
};

kunit_test_suites(&net_suite, &kvmb_net_rx_suite, &kvmb_net_tx_suite, &kvmb_net_shape_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suite of kvmb_net");
MODULE_LICENSE("GPL");
