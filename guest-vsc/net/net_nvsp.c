// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVSP: version, the two buffers, sub-channels; a queue's channel and its NAPI.
 *
 * Sources: Linux 6.1 drivers/net/hyperv/netvsc.c; docs/protocol.md#6.1, #6.2.
 */
#include <linux/kmemleak.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "guest-vsc/compat/compat.h"
#include "guest-vsc/net/net_guest.h"

#define MIN_SECTION 68u
#define NET_POLL_MAX 2048 /* packets of one poll */

static const u32 versions[] = { KVMB_NVSP_V61, KVMB_NVSP_V6, KVMB_NVSP_V5,
				KVMB_NVSP_V4,  KVMB_NVSP_V2, KVMB_NVSP_V1 };

/* ---- the control path ---- */

static int send_nvsp(struct net_nic *nic, struct kvmb_wire_nvsp *m, bool answer)
{
	return kvmb_send(nic->dev->chan, KVMB_PKT_INBAND, answer ? KVMB_PKT_FLAG_COMPLETE : 0,
			 answer ? NET_CONTROL_ID : NET_NO_ANSWER, NULL, 0, m, sizeof(*m));
}

/* One request, one answer of type @want and at least @least bytes */
static int ask(struct net_nic *nic, struct kvmb_wire_nvsp *m, u32 want, u32 least)
{
	unsigned int slices = nic->patience;
	int err;

	mutex_lock(&nic->ctl_lock);
	reinit_completion(&nic->nvsp_done);
	nic->nvsp_answer_len = 0;
	err = send_nvsp(nic, m, true);
	if (!err)
		err = kvmb_chan_wait_slices(nic->dev->chan, &nic->nvsp_done, &slices);
	if (!err) {
		*m = nic->nvsp_answer;
		if (nic->nvsp_answer_len < least || le32_to_cpu(m->type) != want)
			err = -EPROTO;
	}
	mutex_unlock(&nic->ctl_lock);
	return err;
}

int kvmb_net_send_rndis(struct net_nic *nic, void *msg, u32 len)
{
	struct {
		struct kvmb_wire_gpa_direct d;
		struct kvmb_wire_gparange r;
		__le64 pfns[2];
	} h = { .d.range_count = cpu_to_le32(1), .r.byte_count = cpu_to_le32(len) };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u32 off = offset_in_page(msg), pages = (off + len + KVMB_PAGE_SIZE - 1) / KVMB_PAGE_SIZE;

	lockdep_assert_held(&nic->ctl_lock);
	if (pages > 2)
		return -EMSGSIZE;
	h.r.byte_offset = cpu_to_le32(off);
	h.pfns[0] = cpu_to_le64(virt_to_phys(msg) >> KVMB_PAGE_SHIFT);
	h.pfns[1] = cpu_to_le64(le64_to_cpu(h.pfns[0]) + 1);
	m.u.rndis.channel_type = cpu_to_le32(KVMB_NVSP_CHANNEL_CONTROL);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	return kvmb_send(nic->dev->chan, KVMB_PKT_GPA_DIRECT, KVMB_PKT_FLAG_COMPLETE,
			 NET_RNDIS_ID(nic->rndis_id), &h, sizeof(h.d) + sizeof(h.r) + pages * 8, &m,
			 sizeof(m));
}

/* ---- a queue ---- */

static void completion(struct net_queue *q, const struct kvmb_pkt *pkt, int budget)
{
	struct net_nic *nic = q->nic;
	struct kvmb_wire_nvsp m;
	u32 len = min_t(u32, pkt->payload_len, sizeof(m));

	memset(&m, 0, sizeof(m));
	memcpy(&m, pkt->payload, len);
	if (pkt->trans_id == NET_CONTROL_ID && !q->index) {
		nic->nvsp_answer = m;
		nic->nvsp_answer_len = len;
		complete(&nic->nvsp_done);
	} else if (pkt->trans_id >> 63 && !q->index) {
		spin_lock(&nic->answer_lock);
		if (pkt->trans_id == NET_RNDIS_ID(nic->rndis_id))
			complete(&nic->rndis_sent);
		else
			q->stats.bad_ids++;
		spin_unlock(&nic->answer_lock);
	} else {
		kvmb_net_tx_done(q, pkt->trans_id, &m, len, budget);
	}
}

static void inband(struct net_queue *q, const struct kvmb_pkt *pkt)
{
	struct net_nic *nic = q->nic;
	struct kvmb_wire_nvsp m;
	u32 off, i;
	__le32 w;

	if (pkt->payload_len < offsetof(struct kvmb_wire_nvsp, u) + sizeof(m.u.table))
		return;
	memset(&m, 0, sizeof(m));
	memcpy(&m, pkt->payload, min_t(u32, pkt->payload_len, sizeof(m)));
	if (le32_to_cpu(m.type) != KVMB_NVSP_SEND_INDIRECTION_TABLE)
		return; /* of VFs we have none */
	off = le32_to_cpu(m.u.table.offset);
	/* some hosts give a wrong offset; the table is at the end: docs/protocol.md#6.10 */
	if (nic->version <= KVMB_NVSP_V6 && pkt->payload_len >= sizeof(struct kvmb_wire_nvsp_table))
		off = sizeof(m);
	if (le32_to_cpu(m.u.table.count) != KVMB_NVSP_TABLE_SIZE || off > pkt->payload_len ||
	    pkt->payload_len - off < KVMB_NVSP_TABLE_SIZE * sizeof(w)) {
		pr_warn_ratelimited("kvmbus: a table of queues that is none\n");
		return;
	}
	for (i = 0; i < KVMB_NVSP_TABLE_SIZE; i++) {
		memcpy(&w, pkt->payload + off + i * sizeof(w), sizeof(w));
		WRITE_ONCE(nic->send_table[i], le32_to_cpu(w) % NET_MAX_QUEUES);
	}
}

/* Those that a poll without budget left come first. Return: as kvmb_recv() */
static int next_packet(struct net_queue *q, struct kvmb_pkt *pkt)
{
	const struct kvmb_wire_pkt *d = (const void *)(q->held + q->held_at);
	u32 len;

	if (likely(q->held_at == q->held_len)) {
		q->held_at = q->held_len = 0;
		return kvmb_recv(q->ch, q->buf, sizeof(q->buf), pkt);
	}
	len = le16_to_cpu(d->len8) * 8;
	q->held_at += len;
	return kvmb_pkt_parse(d, len, pkt); /* as it was found good before */
}

static void net_callback(void *ctx)
{
	struct net_queue *q = ctx;

	if (napi_schedule_prep(&q->napi)) {
		kvmb_ring_mask(&q->ch->rx);
		__napi_schedule_irqoff(&q->napi);
	}
}

/*
 * netpoll calls with interrupts off, to send the messages of the kernel: frames that came cannot be
 * delivered then, and nobody may be woken. But what we sent is taken back, or a burst would fill
 * the ring. The rest is kept for the next poll, in the order in which it came.
 *
 * That poll is scheduled here: a host that finds our read index behind what it has just written
 * takes us for awake, and does not signal.
 */
static void poll_sent(struct net_queue *q)
{
	struct kvmb_pkt pkt;
	int seen = 0;

	while (seen++ < NET_POLL_MAX && q->held_len + sizeof(q->buf) <= sizeof(q->held) &&
	       !kvmb_recv(q->ch, q->buf, sizeof(q->buf), &pkt)) {
		if (pkt.type == KVMB_PKT_COMPLETION && !(pkt.trans_id >> 63)) {
			completion(q, &pkt, 0);
			continue;
		}
		memcpy(q->held + q->held_len, q->buf, pkt.len);
		q->held_len += pkt.len;
	}
	kvmb_recv_done(q->ch);
	kvmb_net_tx_wake(q);
	if (q->held_len || (!READ_ONCE(q->ch->dead) && kvmb_ring_readable(&q->ch->rx)))
		net_callback(q);
}

/* Nothing is left. Return: whether something came since the last look */
static bool more_came(struct net_queue *q)
{
	return !READ_ONCE(q->ch->dead) && (kvmb_ring_unmask(&q->ch->rx) || q->done_num);
}

static int net_poll(struct napi_struct *napi, int budget)
{
	struct net_queue *q = container_of(napi, struct net_queue, napi);
	struct kvmb_pkt pkt;
	int work = 0, seen = 0;

	if (!budget) {
		/*
		 * it comes unasked; while a channel is being opened, its rings may be gone the next
		 * moment
		 */
		if (smp_load_acquire(&q->ch->callback))
			poll_sent(q);
		return 0;
	}
	/*
	 * a host that does not take what we give back may itself wait for room in its ring: that is
	 * read on, as long as there is a place to note what is to be given back
	 */
	if (!kvmb_net_flush_done(q) && q->done_num > q->done_size / 2)
		return budget;
	/*
	 * completions are no work, but a host that never stops sending them does not get this CPU
	 */
	while (work < budget && seen++ < NET_POLL_MAX && !next_packet(q, &pkt)) {
		if (pkt.type == KVMB_PKT_XFER_PAGES)
			work += max_t(u32, 1, kvmb_net_receive(q, &pkt));
		else if (pkt.type == KVMB_PKT_COMPLETION)
			completion(q, &pkt, budget);
		else if (pkt.type == KVMB_PKT_INBAND)
			inband(q, &pkt);
	}
	kvmb_net_flush_done(q);
	kvmb_net_tx_wake(q);
	if (work >= budget || seen > NET_POLL_MAX) {
		kvmb_recv_done(q->ch);
		return budget;
	}
	if (napi_complete_done(napi, work) && more_came(q) && napi_schedule_prep(napi)) {
		kvmb_ring_mask(&q->ch->rx);
		__napi_schedule(napi);
	}
	return work;
}

static void free_queue(struct net_queue *q)
{
	if (q->frag.page)
		put_page(q->frag.page);
	vfree(q->done);
	kvfree(q);
}

static int open_queue(struct net_nic *nic, struct kvmb_chan *ch, unsigned int index)
{
	struct net_queue *q = kvzalloc(sizeof(*q), GFP_KERNEL);
	u32 i;
	int err = -ENOMEM;

	if (index) /* the primary's: RTNL, and no other yet */
		lockdep_assert_held(&nic->chan_lock);
	if (!q)
		return -ENOMEM;
	q->nic = nic;
	q->ch = ch;
	q->index = index;
	u64_stats_init(&q->stats.tx_sync);
	u64_stats_init(&q->stats.rx_sync);
	for (i = 0; i < NET_SLOTS; i++) {
		q->free[i] = i;
		q->slots[i].section = KVMB_NVSP_NO_SECTION;
	}
	/* the host can have as many packets out as there are sections */
	q->done_size = NET_RECV_SIZE_DEFAULT / 1024;
	q->done = vmalloc(array_size(q->done_size, sizeof(*q->done)));
	if (!q->done)
		goto err_free;
	kvmb_napi_add(nic->ndev, &q->napi, net_poll);
	napi_enable(&q->napi);
	err = kvmb_chan_open(ch, NET_RING_PAGES, NULL, 0, net_callback, q);
	if (err)
		goto err_napi;
	/* not earlier: who sends looks into the rings, which are unmapped where the host refuses */
	smp_store_release(&nic->queues[index], q);
	return 0;
err_napi:
	napi_disable(&q->napi);
	netif_napi_del(&q->napi);
err_free:
	free_queue(q);
	return err;
}

static void close_queue(struct net_nic *nic, unsigned int index)
{
	struct net_queue *q = nic->queues[index];

	if (!q)
		return;
	WRITE_ONCE(nic->queues[index], NULL);
	synchronize_net(); /* select_queue(), xmit and statistics look at it and its channel */
	kvmb_chan_stop(q->ch);
	napi_disable(&q->napi);
	kvmb_chan_close(q->ch);
	kvmb_net_tx_abort(q);
	netif_napi_del(&q->napi);
	synchronize_net();
	free_queue(q);
}

/* ---- start ---- */

static int agree_on_version(struct net_nic *nic)
{
	struct kvmb_wire_nvsp m;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		memset(&m, 0, sizeof(m));
		m.type = cpu_to_le32(KVMB_NVSP_INIT);
		m.u.init.min_version = cpu_to_le32(versions[i]);
		m.u.init.max_version = cpu_to_le32(versions[i]);
		err = ask(nic, &m, KVMB_NVSP_INIT_COMPLETE, 16);
		if (err)
			return err;
		if (le32_to_cpu(m.u.init_complete.status) == KVMB_NVSP_STAT_SUCCESS) {
			nic->version = versions[i];
			return 0;
		}
	}
	return -EOPNOTSUPP;
}

static int say_ndis(struct net_nic *nic)
{
	struct kvmb_wire_nvsp m;
	__le32 ver[2] = { cpu_to_le32(6), cpu_to_le32(nic->version > KVMB_NVSP_V4 ? 30 : 1) };
	u64 caps = KVMB_NVSP_CAP_VLAN;
	int err;

	if (nic->version >= KVMB_NVSP_V2) {
		memset(&m, 0, sizeof(m));
		m.type = cpu_to_le32(KVMB_NVSP_SEND_NDIS_CONFIG);
		m.u.ndis_config.mtu = cpu_to_le32(nic->ndev->mtu + ETH_HLEN);
		if (nic->version >= KVMB_NVSP_V61)
			caps |= KVMB_NVSP_CAP_RSC;
		m.u.ndis_config.capabilities = cpu_to_le64(caps);
		err = send_nvsp(nic, &m, false);
		if (err)
			return err;
	}
	memset(&m, 0, sizeof(m));
	m.type = cpu_to_le32(KVMB_NVSP_SEND_NDIS_VER);
	memcpy(m.u.raw, ver, sizeof(ver));
	return send_nvsp(nic, &m, false);
}

/* It may be the host's for ever, so it must not be used again */
static void leak(void **buf)
{
	kmemleak_not_leak(*buf);
	*buf = NULL;
}

static int share(struct net_nic *nic, void **buf, u32 size, struct kvmb_gpadl *g)
{
	int err = kvmb_gpadl_create(nic->dev->chan, *buf, size, g);

	if (err == -ETIMEDOUT)
		leak(buf); /* the host may still take the list */
	return err;
}

static int give_recv(struct net_nic *nic)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RECV_BUF) };
	u32 size = nic->cfg.recv_size;
	int err;

	if (nic->version <= KVMB_NVSP_V2)
		size = min(size, 15u << 20); /* what such hosts take */
	nic->recv = vzalloc(size);
	if (!nic->recv)
		return -ENOMEM;
	err = share(nic, &nic->recv, size, &nic->recv_gpadl);
	if (err)
		return err;
	m.u.buf.gpadl = cpu_to_le32(nic->recv_gpadl.handle);
	m.u.buf.id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	err = ask(nic, &m, KVMB_NVSP_SEND_RECV_BUF_COMPLETE, 28);
	if (err)
		return err;
	nic->recv_told = true;
	nic->recv_section = le32_to_cpu(m.u.recv_buf_complete.sub_alloc_size);
	nic->recv_num = le32_to_cpu(m.u.recv_buf_complete.num_sub_allocs);
	if (le32_to_cpu(m.u.recv_buf_complete.status) != KVMB_NVSP_STAT_SUCCESS ||
	    le32_to_cpu(m.u.recv_buf_complete.num_sections) != 1 || m.u.recv_buf_complete.offset ||
	    nic->recv_section < MIN_SECTION || !nic->recv_num ||
	    (u64)nic->recv_section * nic->recv_num > size)
		return -EPROTO;
	return 0;
}

static int give_send(struct net_nic *nic)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_SEND_BUF) };
	u32 size = nic->cfg.send_size;
	int err;

	nic->send = vzalloc(size);
	if (!nic->send)
		return -ENOMEM;
	err = share(nic, &nic->send, size, &nic->send_gpadl);
	if (err)
		return err;
	m.u.buf.gpadl = cpu_to_le32(nic->send_gpadl.handle);
	err = ask(nic, &m, KVMB_NVSP_SEND_SEND_BUF_COMPLETE, 12);
	if (err)
		return err;
	nic->send_told = true;
	nic->send_section = le32_to_cpu(m.u.send_buf_complete.section_size);
	if (le32_to_cpu(m.u.send_buf_complete.status) != KVMB_NVSP_STAT_SUCCESS ||
	    nic->send_section < MIN_SECTION || nic->send_section > size)
		return -EPROTO;
	nic->send_num = size / nic->send_section;
	nic->send_map = bitmap_zalloc(nic->send_num, GFP_KERNEL);
	return nic->send_map ? 0 : -ENOMEM;
}

static void revoke_buffer(struct net_nic *nic, bool *told, u32 type, u16 id)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(type) };

	if (*told) {
		m.u.revoke.id = cpu_to_le16(id);
		send_nvsp(nic, &m, false);
		*told = false;
	}
}

/* Its list is taken back; the memory stays, for as long as queues may look into it */
static void take_back(struct net_nic *nic, struct kvmb_gpadl *g)
{
	if (g->handle && kvmb_gpadl_destroy(nic->dev->chan, g)) {
		netdev_warn(nic->ndev, "the host keeps a buffer\n");
		g->addr = NULL; /* leaked: it may still write there */
	}
}

static void free_buffer(struct net_nic *nic, void **buf, struct kvmb_gpadl *g)
{
	take_back(nic, g);
	if (g->size && !g->addr)
		leak(buf);
	memset(g, 0, sizeof(*g));
	vfree(*buf);
	*buf = NULL;
}

/* ---- sub-channels ---- */

/* Frames that wait for a queue that went are dropped; those that follow take the primary */
static void drop_queue(struct net_nic *nic, unsigned int index)
{
	struct netdev_queue *txq = netdev_get_tx_queue(nic->ndev, index);

	close_queue(nic, index);
	netdev_info(nic->ndev, "the host has taken queue %u back\n", index);
	if (READ_ONCE(nic->sending) && netif_carrier_ok(nic->ndev))
		netif_tx_wake_queue(txq);
}

/* Offered, or rescinded while it is open */
static void sub_changed(struct kvmb_chan *sub, void *ctx)
{
	struct net_nic *nic = ctx;
	struct net_queue *q;

	mutex_lock(&nic->chan_lock);
	q = sub->index < NET_MAX_QUEUES ? nic->queues[sub->index] : NULL;
	if (nic->closing || !sub->index)
		goto out; /* the stop closes it */
	if (kvmb_chan_gone(sub)) {
		if (q && q->ch == sub)
			drop_queue(nic, sub->index);
	} else if (sub->index < nic->want_queues && !q) {
		if (open_queue(nic, sub, sub->index))
			netdev_warn(nic->ndev, "queue %u does not open\n", sub->index);
	}
out:
	mutex_unlock(&nic->chan_lock);
	wake_up(&nic->subs_wait);
}

/* Without chan_lock: a waiter may not sleep here, and only looks whether they are there */
static u32 queues_open(struct net_nic *nic)
{
	u32 n = 0;

	while (n < nic->want_queues && READ_ONCE(nic->queues[n]))
		n++;
	return n;
}

/* Return: how many queues there will be when the host has offered what it grants */
static u32 ask_subs(struct net_nic *nic)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SUBCHANNEL) };
	u32 want = min3(nic->cfg.num_queues, nic->max_queues, NET_MAX_QUEUES), n;

	if (nic->version < KVMB_NVSP_V5 || want < 2)
		return 1;
	nic->want_queues = want; /* offers may come before the answer */
	kvmb_chan_watch_subs(nic->dev->chan, sub_changed, nic);
	m.u.subchannel.op = cpu_to_le32(KVMB_NVSP_SUBCHANNEL_ALLOCATE);
	m.u.subchannel.num = cpu_to_le32(want - 1);
	if (ask(nic, &m, KVMB_NVSP_SUBCHANNEL, 12) ||
	    le32_to_cpu(m.u.subchannel_complete.status) != KVMB_NVSP_STAT_SUCCESS)
		return 1;
	n = le32_to_cpu(m.u.subchannel_complete.num);
	return n > want - 1 ? 1 : n + 1;
}

/* That there are, or that there will be when all goes well: what was set is told at once; RTNL */
u32 kvmb_net_num_queues(const struct net_nic *nic)
{
	return nic->opening ? min3(nic->cfg.num_queues, nic->max_queues, NET_MAX_QUEUES) :
			      nic->num_queues;
}

/*
 * More queues. Their offers are handled by the bus's one worker, which may be waiting for RTNL
 * with another NIC: so this is a work of its own, and waits without RTNL.
 */
void kvmb_net_sub_work(struct work_struct *work)
{
	struct net_nic *nic = container_of(work, struct net_nic, sub_work.work);
	u32 epoch;

	rtnl_lock();
	epoch = nic->epoch;
	/*
	 * not opening: while an earlier run waited for RTNL there was another start, which queued
	 * this one, and that run did it all; a host grants sub-channels once
	 */
	if (nic->closing || !nic->opening) {
		rtnl_unlock();
		return;
	}
	nic->want_queues = ask_subs(nic);
	rtnl_unlock();
	/* a stop and the next start may both be over before this looks */
	wait_event_timeout(nic->subs_wait,
			   smp_load_acquire(&nic->closing) || READ_ONCE(nic->epoch) != epoch ||
				   queues_open(nic) >= nic->want_queues,
			   10 * HZ);
	rtnl_lock();
	if (!nic->closing && epoch == nic->epoch) {
		nic->num_queues = max(1u, queues_open(nic));
		netif_set_real_num_tx_queues(nic->ndev, nic->num_queues);
		netif_set_real_num_rx_queues(nic->ndev, nic->num_queues);
		if (nic->num_queues > 1 && kvmb_rndis_set_rss(nic))
			netdev_warn(nic->ndev, "the host takes no RSS table\n");
		nic->opening = false;
	}
	rtnl_unlock();
}

int kvmb_net_start(struct net_nic *nic)
{
	int err;

	ASSERT_RTNL();
	WRITE_ONCE(nic->epoch, nic->epoch + 1); /* before `closing`: kvmb_net_sub_work() */
	smp_store_release(&nic->closing, false);
	nic->rndis_up = false;
	nic->link = true;
	nic->num_queues = 1;
	nic->want_queues = 1;
	nic->opening = false;
	nic->patience = KVMB_WAIT_S * KVMB_WAIT_SLICES;
	memset(nic->send_table, 0, sizeof(nic->send_table));
	err = open_queue(nic, nic->dev->chan, 0);
	if (err)
		return err;
	err = agree_on_version(nic);
	if (!err)
		err = say_ndis(nic);
	if (!err)
		err = give_recv(nic);
	if (!err)
		err = give_send(nic);
	if (!err)
		err = kvmb_rndis_start(nic);
	if (err) {
		kvmb_net_stop(nic);
		return err;
	}
	nic->patience = NET_REQUEST_S * KVMB_WAIT_SLICES;
	nic->opening = true;
	smp_store_release(&nic->sending, true);
	/*
	 * waits while tasks are frozen, as dev_wq does: after an aborted hibernation no sub-channel
	 * would come in its time
	 */
	queue_delayed_work(system_freezable_wq, &nic->sub_work, 0);
	return 0;
}

/*
 * The other way round; what the host holds is taken back first. RTNL is held, so all steps have
 * NET_STOP_S together, of which a caller may have used some; what the host has not let go by then
 * is leaked.
 */
void kvmb_net_stop(struct net_nic *nic)
{
	int i;

	ASSERT_RTNL();
	if (!kvmb_chan_limited(nic->dev->chan))
		kvmb_chan_limit(nic->dev->chan, NET_STOP_S);
	mutex_lock(&nic->chan_lock);
	nic->closing = true;
	mutex_unlock(&nic->chan_lock);
	wake_up(&nic->subs_wait);
	/*
	 * after this no frame is on its way to a queue, whoever wakes one: xmit runs under the lock
	 * that this takes
	 */
	WRITE_ONCE(nic->sending, false);
	netif_tx_disable(nic->ndev);
	kvmb_chan_unwatch_subs(nic->dev->chan);
	if (nic->queues[0] && !kvmb_chan_gone(nic->dev->chan)) {
		kvmb_rndis_halt(nic);
		revoke_buffer(nic, &nic->recv_told, KVMB_NVSP_REVOKE_RECV_BUF,
			      KVMB_NVSP_RECV_BUF_ID);
		revoke_buffer(nic, &nic->send_told, KVMB_NVSP_REVOKE_SEND_BUF, 0);
	}
	nic->recv_told = nic->send_told = false;
	/* hosts below 4.0 want the lists back before the close: docs/protocol.md#6.11 */
	if (kvmb_bus_protocol() < KVMB_VERSION_WIN10) {
		take_back(nic, &nic->recv_gpadl);
		take_back(nic, &nic->send_gpadl);
	}
	for (i = NET_MAX_QUEUES - 1; i >= 0; i--)
		close_queue(nic, i);
	free_buffer(nic, &nic->recv, &nic->recv_gpadl);
	free_buffer(nic, &nic->send, &nic->send_gpadl);
	bitmap_free(nic->send_map);
	nic->send_map = NULL;
	nic->num_queues = 0;
	nic->opening = false;
	kvmb_chan_limit(nic->dev->chan, 0);
}
