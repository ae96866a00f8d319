// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_net: frames of a host that lies (docs/threat-model.md#G02). */
#include <linux/delay.h>
#include <linux/ip.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <net/checksum.h>

#include "tests/cases/rndis_table.h"

#include "guest-vsc/net/net_guest.h"
#include "tests/kunit/script_nic.h"

CASE(ranges_outside_the_buffer_are_not_read)
{
	struct net_device *ndev = nic_up();
	u64 before;
	size_t i;

	NEED(ndev);
	{
		const u32 size = script_nic.recv_size;
		const u32 table[][2] = {
			{ size, 100 },
			{ size - 50, 100 },
			{ 0, 0 },
			{ 0, 1 },
			{ 0, 7 },
			{ 0xffffffff, 1 },
			{ 0xfffffff0, 0xfffffff0 },
			{ 0, 0xffffffff },
			{ 0, size + 1 },
			{ 0x80000000, 0x80000000 },
			{ 1, size },
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
		case 0:
			p[2].o.rsc = last;
			good = 1;
			break; /* as it should be */
		case 1:
			p[0].o.rsc = part;
			p[2].o.rsc = last;
			break; /* no first */
		case 2:
			break; /* no last */
		case 3:	       /* two firsts: the second counts */
			p[1].o.rsc = first;
			p[2].o.rsc = last;
			good = 1;
			break;
		case 4: /* 13 bytes are no frame */
			p[0].len = 5;
			p[1].len = 5;
			p[2].len = 3;
			p[2].o.rsc = last;
			break;
		case 5: /* more than 64 KiB */
			for (i = 0; i < 8; i++)
				p[i].len = 8800;
			num = 8;
			p[7].o.rsc = last;
			break;
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
	const struct kvmb_rndis_out o = { .csum = KVMB_RX_CSUM_TCP_OK | KVMB_RX_CSUM_IP_OK,
					  .has_vlan = true,
					  .vlan_tci = 0x2007 };
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
		const u32 end = i & 2 ? KVMB_RSC_FIRST : KVMB_RSC_LAST;
		struct kvmb_rndis_out o = { .rsc = i & 1 ? KVMB_RSC_PART | end : 0 };

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

static struct {
	atomic_t num;
	bool good;
} ip_heard;
static int hear_ip(struct sk_buff *skb, struct net_device *dev, struct packet_type *pt,
		   struct net_device *orig)
{
	const struct iphdr *ip = (void *)skb->data;

	ip_heard.good = skb_headlen(skb) >= sizeof(*ip) && !ip_fast_csum(ip, ip->ihl);
	atomic_inc(&ip_heard.num);
	kfree_skb(skb);
	return 0;
}

CASE(coalesced_frame_gets_its_ip_checksum)
{
	/*
	 * what Hyper-V says of one: looked at and found good, but the field is not what it should
	 * be
	 */
	static const struct {
		u32 csum;
		bool good;
	} table[] = {
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
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.ttl = 9,
		.protocol = 253,
		.tot_len = htons(86),
		.check = 0x1234,
	};
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

CASE(frames_arrive_while_their_completions_find_no_room)
{
	struct net_device *ndev = nic_up();
	struct host_chan *c = nic_chan();
	static u8 frame[200];
	unsigned long flags;
	struct kvmb_chan *ch;
	int before, i;
	u32 full;

	NEED(ndev);
	ch = (*(struct net_nic **)netdev_priv(ndev))->dev->chan;
	nic_make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 9);
	host_settle();
	/* the host says that it has read next to nothing of a full ring, as it may */
	spin_lock_irqsave(&ch->tx_lock, flags);
	full = (ch->tx.index + 8) % ch->tx.size;
	ch->tx.peer = full;
	WRITE_ONCE(c->rx.ctrl->read_index, cpu_to_le32(full));
	spin_unlock_irqrestore(&ch->tx_lock, flags);
	for (i = 0; i < 3; i++) {
		before = atomic_read(&nic_heard.num);
		nic_frame(c, frame, sizeof(frame), NULL);
		CHECK_ROW(nic_heard_more(before), true, i);
	}
	WRITE_ONCE(c->rx.ctrl->read_index, cpu_to_le32(c->rx.index));
	CHECK(nic_still_hears(ndev));
	for (i = 0;
	     i < 5000 && atomic_read(&script_nic.given_back) < atomic_read(&script_nic.given); i++)
		msleep(2);
	CHECK_EQ(atomic_read(&script_nic.given_back), atomic_read(&script_nic.given));
	dev_put(ndev);
}

static struct kunit_case rx_cases[] = {
	KUNIT_CASE(frames_arrive_while_their_completions_find_no_room),
	KUNIT_CASE(ranges_outside_the_buffer_are_not_read),
	KUNIT_CASE(messages_that_lie_are_counted),
	KUNIT_CASE(parts_of_coalesced_frames_that_do_not_fit_are_dropped),
	KUNIT_CASE(what_a_frame_says_of_itself_is_passed_on),
	KUNIT_CASE(a_host_that_rewrites_what_it_sent_hurts_nobody),
	KUNIT_CASE(coalesced_frame_gets_its_ip_checksum),
	{}
};

struct kunit_suite kvmb_net_rx_suite = {
	.name = "kvmb_net_rx",
	.test_cases = rx_cases,
	.init = nic_init,
	.exit = nic_exit,
};
