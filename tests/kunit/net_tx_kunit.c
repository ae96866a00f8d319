// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_net: frames that the guest sends, and what the host says of them (docs/threat-model.md#G02).
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/rtnetlink.h>

#include "guest-vsc/net/net_guest.h"
#include "tests/kunit/script_nic.h"

static struct net_queue *queue_of(struct net_device *ndev)
{
	return (*(struct net_nic **)netdev_priv(ndev))->queues[0];
}

CASE(completions_of_nothing_free_nothing)
{
	struct net_device *ndev = nic_up();
	u64 ids[] = { 0,
		      1,
		      ~0ull,
		      0xfffffffffffffffdull,
		      0x100000000ull,
		      0x100000001ull,
		      1025,
		      0xffffffffull };
	__le32 done[2] = { cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE),
			   cpu_to_le32(KVMB_NVSP_STAT_SUCCESS) };
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
	/* the stack sent frames, too */
	CHECK(nic_counter(ndev, "queue_0_bad_ids") >= ARRAY_SIZE(ids) + 2 * 3000);
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
	/* the case's end takes the channel away: all of them are freed, or kmemleak says so */
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
			host_put(nic_chan(), KVMB_PKT_COMPLETION, 0,
				 (u64)gen << 32 | (i % 1024 + 1), NULL, 0, &m, 16);
		nic_transmit(ndev, i & 1 ? 100 : 1500, i);
	}
	host_settle();
	CHECK(nic_still_hears(ndev));
	for (i = 0; i < 2100; i++) /* each slot is still there, and only once */
		nic_transmit(ndev, 100, i);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static struct {
	struct net_queue *q;
	u64 id;
	u32 asked, answered;
	int rc;
} early;

/*
 * xmit, whose frame does not go out: the host answers it nevertheless, on another CPU, before xmit
 * goes on
 */
static void no_room(void *ctx, u32 relid)
{
	struct net_queue *q = early.q;
	u32 n, i;

	/* the stack sends frames, too */
	if (relid != RELID || early.asked || smp_processor_id() != 1)
		return;
	n = q->free[(q->taken - 1) % NET_SLOTS];
	if (!q->slots[n].skb)
		return;
	early.id = (u64)(q->slots[n].use >> 1) << 32 | (n + 1);
	WRITE_ONCE(early.asked, 1);
	for (i = 0; i < 5000000 && !READ_ONCE(early.answered); i++)
		udelay(1);
}

/* past the queue, in which frames of the stack may stand before it */
static int send_one(void *skb)
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
	early.q = queue_of(ndev);
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
	/* its interrupt, and so NAPI, is on this CPU */
	host_put(c, KVMB_PKT_COMPLETION, 0, early.id, NULL, 0, &m, 16);
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

/* ---- one signal for many ---- */

static struct sk_buff *frame_of(struct net_device *ndev, u32 len, gfp_t gfp)
{
	struct sk_buff *skb = alloc_skb(LL_RESERVED_SPACE(ndev) + len, gfp);

	if (!skb)
		return NULL;
	skb_reserve(skb, LL_RESERVED_SPACE(ndev));
	nic_make_frame(skb_put(skb, len), len, host_mac, ndev->dev_addr, 1);
	skb->dev = ndev;
	skb_reset_mac_header(skb);
	skb_set_queue_mapping(skb, 0);
	return skb;
}

/* To the driver itself, past the stack's queue, whose lock is held. Return: as ndo_start_xmit() */
static netdev_tx_t xmit(struct net_device *ndev, struct sk_buff *skb, bool more)
{
	struct netdev_queue *txq = netdev_get_tx_queue(ndev, 0);
	netdev_tx_t rc = skb ? netdev_start_xmit(skb, ndev, txq, more) : NETDEV_TX_BUSY;

	if (rc != NETDEV_TX_OK)
		kfree_skb(skb);
	return rc;
}

static netdev_tx_t xmit_len(struct net_device *ndev, u32 len, bool more)
{
	return xmit(ndev, frame_of(ndev, len, GFP_ATOMIC), more);
}

static bool all_shown(struct net_queue *q)
{
	return q->ch->tx.published == q->ch->tx.index;
}

CASE(frames_that_come_together_cost_one_signal)
{
	struct net_device *ndev = nic_up();
	struct netdev_queue *txq;
	struct net_queue *q;
	u32 signals, index, i;

	NEED(ndev);
	host_settle();
	q = queue_of(ndev);
	txq = netdev_get_tx_queue(ndev, 0);
	__netif_tx_lock_bh(txq);
	signals = host_signals();
	index = q->ch->tx.published;
	for (i = 0; i < 19; i++)
		CHECK_EQ(xmit_len(ndev, i & 1 ? 100 : 5000, true), NETDEV_TX_OK);
	CHECK_EQ(q->ch->tx.published, index);
	CHECK_EQ(host_signals(), signals);
	CHECK_EQ(xmit_len(ndev, 100, false), NETDEV_TX_OK);
	CHECK(all_shown(q));
	CHECK_EQ(host_signals(), signals + 1);
	__netif_tx_unlock_bh(txq);
	host_settle();
	CHECK_EQ(atomic_read(&script_nic.frames), 20);
	/* of an endless row the host sees something before its end */
	__netif_tx_lock_bh(txq);
	index = q->ch->tx.published;
	for (i = 0; i < NET_UNSHOWN_MAX; i++)
		CHECK_EQ(xmit_len(ndev, 100, true), NETDEV_TX_OK);
	CHECK(all_shown(q));
	CHECK(q->ch->tx.published != index);
	__netif_tx_unlock_bh(txq);
	host_settle();
	CHECK_EQ(atomic_read(&script_nic.frames), 20 + NET_UNSHOWN_MAX);
	dev_put(ndev);
}

CASE(queue_that_stops_leaves_no_frame_unshown)
{
	struct net_device *ndev = nic_up();
	struct netdev_queue *txq;
	struct net_queue *q;
	u32 i;

	NEED(ndev);
	script_nic.xor_id = 1ull << 40; /* nobody's: no slot comes back */
	host_settle();
	q = queue_of(ndev);
	txq = netdev_get_tx_queue(ndev, 0);
	__netif_tx_lock_bh(txq);
	for (i = 0; i < 2 * NET_SLOTS && !netif_tx_queue_stopped(txq); i++)
		CHECK_EQ(xmit_len(ndev, 100, true), NETDEV_TX_OK);
	CHECK(i < NET_SLOTS);
	CHECK(i % NET_UNSHOWN_MAX);
	CHECK(all_shown(q));
	/* who sends all the same is told so, and nothing is kept back */
	while (xmit_len(ndev, 100, true) == NETDEV_TX_OK)
		NEED(i++ < 2 * NET_SLOTS);
	CHECK(all_shown(q));
	__netif_tx_unlock_bh(txq);
	script_nic.xor_id = 0;
	dev_put(ndev);
}

CASE(frame_that_is_dropped_shows_those_before_it)
{
	struct net_device *ndev = nic_up();
	struct sk_buff *huge;
	struct netdev_queue *txq;
	struct net_queue *q;
	u64 dropped;

	NEED(ndev);
	huge = frame_of(ndev, 500000, GFP_KERNEL); /* of more pages than a packet can name */
	NEED(huge);
	host_settle();
	q = queue_of(ndev);
	txq = netdev_get_tx_queue(ndev, 0);
	__netif_tx_lock_bh(txq);
	dropped = atomic_long_read(&q->nic->tx_dropped);
	CHECK_EQ(xmit_len(ndev, 100, true), NETDEV_TX_OK);
	CHECK_EQ(xmit_len(ndev, 100, true), NETDEV_TX_OK);
	CHECK(!all_shown(q));
	CHECK_EQ(xmit(ndev, huge, false), NETDEV_TX_OK);
	CHECK_EQ(atomic_long_read(&q->nic->tx_dropped), dropped + 1);
	CHECK(all_shown(q));
	__netif_tx_unlock_bh(txq);
	host_settle();
	CHECK_EQ(atomic_read(&script_nic.frames), 2);
	dev_put(ndev);
}

/* ---- a queue that does not open ---- */

static struct {
	struct net_device *ndev;
	struct sk_buff *skb;
	u32 freed;
	netdev_tx_t rc;
} waiting;

static void count_freed(struct sk_buff *skb)
{
	waiting.freed++;
}

/* As when a frame that waited for the queue (pacing) is sent while that is opened again */
static bool refuses_after_a_frame(u32 type, const u8 *msg, u32 len)
{
	const struct kvmb_wire_open *m = (const void *)msg;
	struct kvmb_wire_open_result r = { .h.type = cpu_to_le32(KVMB_MSG_OPEN_RESULT) };
	struct netdev_queue *txq = netdev_get_tx_queue(waiting.ndev, 1);

	if (type != KVMB_MSG_OPEN || le32_to_cpu(m->relid) != RELID + 2)
		return false;
	__netif_tx_lock_bh(txq);
	waiting.rc = netdev_start_xmit(waiting.skb, waiting.ndev, txq, false);
	__netif_tx_unlock_bh(txq);
	r.relid = m->relid;
	r.open_id = m->open_id;
	r.status = cpu_to_le32(KVMB_STATUS_FAILED);
	host_say(&r, sizeof(r));
	return true;
}

CASE(frame_on_a_queue_that_does_not_open_is_freed)
{
	struct net_device *ndev;
	u32 i;

	script_nic.queues = 2;
	script_nic.subs = 1;
	ndev = nic_up();
	NEED(ndev);
	for (i = 0; i < 10000 && ndev->real_num_tx_queues != 2; i++)
		msleep(2);
	NEED(ndev->real_num_tx_queues == 2);
	host_take_back(RELID + 1);
	host_settle();
	memset(&waiting, 0, sizeof(waiting));
	waiting.rc = NETDEV_TX_BUSY;
	waiting.ndev = ndev;
	waiting.skb = frame_of(ndev, 5000, GFP_KERNEL); /* more than a section: it waits itself */
	NEED(waiting.skb);
	skb_set_queue_mapping(waiting.skb, 1);
	waiting.skb->destructor = count_freed;
	host_script.says = refuses_after_a_frame;
	nic_offer_sub(RELID + 2, 1);
	host_settle();
	CHECK_EQ(waiting.rc, NETDEV_TX_OK);
	CHECK_EQ(waiting.freed, 1);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

/* ---- netpoll ---- */

CASE(poll_without_budget_takes_what_was_sent_and_no_more)
{
	struct net_device *ndev = nic_up();
	struct netdev_queue *txq;
	struct net_queue *q;
	unsigned long flags;
	static u8 frame[300];
	u32 i, held;
	int before;

	NEED(ndev);
	host_settle();
	q = queue_of(ndev);
	txq = netdev_get_tx_queue(ndev, 0);
	nic_make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 1);
	before = atomic_read(&nic_heard.num);
	napi_disable(&q->napi);	 /* as if its softirq never came */
	for (i = 0; i < 10; i++) /* they come before the answers */
		nic_frame(nic_chan(), frame, 100 + i, NULL);
	__netif_tx_lock_bh(txq);
	for (i = 0; i < 2 * NET_SLOTS && !netif_tx_queue_stopped(txq); i++)
		xmit_len(ndev, 100, false);
	__netif_tx_unlock_bh(txq);
	host_settle();
	CHECK(netif_tx_queue_stopped(txq));
	local_irq_save(flags); /* as netpoll does */
	CHECK_EQ(q->napi.poll(&q->napi, 0), 0);
	CHECK(irqs_disabled());
	local_irq_restore(flags);
	CHECK(!netif_tx_queue_stopped(txq));
	CHECK_EQ(atomic_read(&nic_heard.num), before);
	/* many frames and no end: what there is no room for stays in the ring */
	for (i = 0; i < 1500; i++)
		nic_frame(nic_chan(), frame, 150, NULL);
	for (i = 0; i < 5; i++) {
		local_irq_save(flags);
		CHECK_EQ(q->napi.poll(&q->napi, 0), 0);
		local_irq_restore(flags);
	}
	held = READ_ONCE(q->held_len);
	CHECK(held <= NET_HELD && held > NET_HELD / 2);
	CHECK_EQ(atomic_read(&nic_heard.num), before);
	napi_enable(&q->napi);
	host_kick(RELID);
	CHECK(nic_heard_more(before + 1509));
	CHECK_EQ(atomic_read(&nic_heard.num), before + 1510);
	CHECK_EQ(nic_heard.len, 150 - ETH_HLEN);
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(nic_counter(ndev, "queue_0_bad_ids"), 0);
	CHECK_EQ(nic_counter(ndev, "queue_0_rx_errors"), 0);
	dev_put(ndev);
}

static struct {
	struct net_nic *nic;
	u32 polls, read;
} opening;

/* The host has the rings and has not said yet that it takes them: what it refuses is unmapped */
static void poll_too_early(struct host_chan *c)
{
	struct napi_struct *napi; /* as netpoll finds it */
	static const u64 payload = 1;
	struct net_queue *q;
	unsigned long flags;

	if (c->relid != RELID || list_empty(&opening.nic->ndev->napi_list))
		return;
	napi = list_first_entry(&opening.nic->ndev->napi_list, struct napi_struct, dev_list);
	q = container_of(napi, struct net_queue, napi);
	kvmb_ring_put(&c->tx, KVMB_PKT_COMPLETION, 0, 1, NULL, 0, &payload, 8);
	kvmb_ring_publish(&c->tx);
	local_irq_save(flags);
	opening.polls += !q->napi.poll(&q->napi, 0);
	local_irq_restore(flags);
	opening.read += q->ch->rx.index;
}

CASE(poll_without_budget_leaves_a_queue_that_is_not_open)
{
	struct net_device *ndev;
	u64 bad;

	script_nic.mtu = 9000;
	ndev = nic_up();
	NEED(ndev);
	memset(&opening, 0, sizeof(opening));
	opening.nic = *(struct net_nic **)netdev_priv(ndev);
	host_script.opened = poll_too_early;
	rtnl_lock();
	CHECK_EQ(dev_set_mtu(ndev, 4000), 0);
	rtnl_unlock();
	host_script.opened = NULL;
	CHECK_EQ(opening.polls, 1);
	CHECK_EQ(opening.read, 0);
	CHECK(nic_still_hears(ndev));
	bad = nic_counter(ndev, "queue_0_bad_ids");
	CHECK_EQ(bad, 1); /* it was read in its time */
	dev_put(ndev);
}

static struct kunit_case tx_cases[] = {
	KUNIT_CASE(completions_of_nothing_free_nothing),
	KUNIT_CASE(frames_that_are_never_done_stop_the_queue_and_no_more),
	KUNIT_CASE(frame_leaves_with_interrupts_off),
	KUNIT_CASE(completions_before_the_frame_free_it_once),
	KUNIT_CASE(answer_to_a_frame_that_finds_no_room_frees_it_once),
	KUNIT_CASE(frames_that_come_together_cost_one_signal),
	KUNIT_CASE(queue_that_stops_leaves_no_frame_unshown),
	KUNIT_CASE(frame_that_is_dropped_shows_those_before_it),
	KUNIT_CASE(frame_on_a_queue_that_does_not_open_is_freed),
	KUNIT_CASE(poll_without_budget_takes_what_was_sent_and_no_more),
	KUNIT_CASE(poll_without_budget_leaves_a_queue_that_is_not_open),
	{}
};

struct kunit_suite kvmb_net_tx_suite = {
	.name = "kvmb_net_tx",
	.test_cases = tx_cases,
	.init = nic_init,
	.exit = nic_exit,
};
