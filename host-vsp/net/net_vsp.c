// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netvsp protocol: negotiation, the guest's buffers, sub-channels.
 *
 * DOC: Theory of operation
 *
 * State that the queues share arrives on the primary channel, and changes with every queue's lock
 * held (net_priv.h says who may hold which). Sub-channels carry only frames and completions;
 * anything else stops the channel.
 *
 * We hold a reference on the page lists of the guest's buffers. If the guest tears one down while
 * it is in use, it gets the answer when the buffer has been revoked or the channel is closed. A
 * second buffer is refused while there is one: CVE-2017-0075 was the replacement of a buffer in
 * use.
 *
 * Sub-channels are granted once, as many as the backend has queues. Then the guest gets a table
 * that spreads its flows over them.
 *
 * Limits: a data packet has at most 32 ranges. UDP segmentation is not offered, because the
 * revision of NDIS_OFFLOAD that Linux understands (3) has no field for it.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/netvsc.c; docs/protocol.md#6.
 */
#include "backend/iov.h"
#include "host-vsp/net/net_priv.h"
#include "lib/log.h"
#include "lib/util.h"

/* ---- buffers ---- */

static void drop_recv_buffer(struct kvmb_net *n)
{
	unsigned int i;

	for (i = 0; i < n->num_queues; i++) {
		struct net_queue *q = n->slots[i].q;

		if (q) {
			q->free = NET_NO_SECTION;
			q->num_free = 0;
			memset(&q->batch, 0, sizeof(q->batch));
		}
	}
	net_drop_buffer(n->bus, &n->recv);
	net_sections_destroy(n);
}

/* ---- NVSP requests; every lock held ---- */

static u32 on_init(struct kvmb_net *n, const struct kvmb_wire_nvsp *m)
{
	static const u32 known[] = { KVMB_NVSP_V1, KVMB_NVSP_V2, KVMB_NVSP_V4,
				     KVMB_NVSP_V5, KVMB_NVSP_V6, KVMB_NVSP_V61 };
	u32 lo = le32_to_cpu(m->u.init.min_version), hi = le32_to_cpu(m->u.init.max_version);
	size_t i;

	if (n->state != NET_CLOSED)
		return KVMB_NVSP_STAT_FAIL;
	for (i = ARRAY_SIZE(known); i--;) {
		if (known[i] >= lo && known[i] <= hi) {
			n->version = known[i];
			/* until it says */
			n->guest_mtu = KVMB_MIN(KVMB_NET_MTU_DEFAULT, n->spec.mtu);
			net_state_to(n, NET_VERSIONED);
			return KVMB_NVSP_STAT_SUCCESS;
		}
	}
	return lo > KVMB_NVSP_V61 ? KVMB_NVSP_STAT_TOO_NEW : KVMB_NVSP_STAT_TOO_OLD;
}

static void on_config(struct kvmb_net *n, const struct kvmb_wire_nvsp *m)
{
	u32 mtu = le32_to_cpu(m->u.ndis_config.mtu);
	u32 limit = __atomic_load_n(&n->spec.mtu, __ATOMIC_RELAXED);

	if (n->state == NET_CLOSED || n->recv.gpadl)
		return; /* sections of the size that was agreed are in use */
	mtu = mtu > NET_ETH_LEN ? mtu - NET_ETH_LEN : 0;
	n->guest_mtu = KVMB_MAX(KVMB_MIN(mtu, limit), KVMB_NET_MTU_MIN);
	n->guest_caps = le64_to_cpu(m->u.ndis_config.capabilities);
	n->rndis.caps.rsc = n->backend->vnet && n->version >= KVMB_NVSP_V61 &&
			    n->guest_caps & KVMB_NVSP_CAP_RSC;
}

static u32 on_recv_buf(struct net_queue *q, const struct kvmb_wire_nvsp *m)
{
	struct kvmb_net *n = q->n;
	unsigned int i;

	if (n->state == NET_CLOSED || le16_to_cpu(m->u.buf.id) != KVMB_NVSP_RECV_BUF_ID ||
	    net_take_buffer(q, &n->recv, le32_to_cpu(m->u.buf.gpadl)))
		return KVMB_NVSP_STAT_FAIL;
	if (net_sections_create(n)) {
		net_drop_buffer(n->bus, &n->recv);
		return KVMB_NVSP_STAT_FAIL;
	}
	if (!net_coalesced_fit(n)) {
		n->rndis.caps.rsc = n->rndis.rsc4 = n->rndis.rsc6 = false;
		if (n->state == NET_UP && n->backend->ops->set_offload && net_owns_backend(n))
			n->backend->ops->set_offload(n->backend, true, false, false);
	}
	q->free = 0;
	q->num_free = n->sec.num;
	for (i = 1; i < n->num_queues; i++) {
		if (n->slots[i].q)
			net_sections_take(n->slots[i].q, n->num_subs + 1);
	}
	return KVMB_NVSP_STAT_SUCCESS;
}

static u32 on_send_buf(struct net_queue *q, const struct kvmb_wire_nvsp *m)
{
	if (q->n->state == NET_CLOSED ||
	    net_take_buffer(q, &q->n->send, le32_to_cpu(m->u.buf.gpadl)))
		return KVMB_NVSP_STAT_FAIL;
	return KVMB_NVSP_STAT_SUCCESS;
}

static u32 on_subchannel(struct kvmb_net *n, const struct kvmb_wire_nvsp *m)
{
	u32 num = le32_to_cpu(m->u.subchannel.num);

	if (n->version < KVMB_NVSP_V5 || !n->recv.gpadl || n->num_subs || !num ||
	    n->num_queues < 2 || le32_to_cpu(m->u.subchannel.op) != KVMB_NVSP_SUBCHANNEL_ALLOCATE)
		return KVMB_NVSP_STAT_FAIL;
	n->num_subs = KVMB_MIN(num, n->num_queues - 1);
	return KVMB_NVSP_STAT_SUCCESS;
}

/*
 * Return: true when the completion has content, which is @a. The others are completed without, and
 * only if the guest asks for it: docs/protocol.md#6.12.
 */
static bool nvsp_request(struct net_queue *q, const struct kvmb_wire_nvsp *m,
			 struct kvmb_wire_nvsp *a)
{
	struct kvmb_net *n = q->n;
	u32 st;

	switch (le32_to_cpu(m->type)) {
	case KVMB_NVSP_INIT:
		a->type = cpu_to_le32(KVMB_NVSP_INIT_COMPLETE);
		a->u.init_complete.status = cpu_to_le32(on_init(n, m));
		a->u.init_complete.version =
			cpu_to_le32(n->version == KVMB_NVSP_V1 ? KVMB_NVSP_V1 : 0xffffffff);
		a->u.init_complete.max_mdl_chain = cpu_to_le32(34);
		return true;
	case KVMB_NVSP_SEND_RECV_BUF:
		a->type = cpu_to_le32(KVMB_NVSP_SEND_RECV_BUF_COMPLETE);
		a->u.recv_buf_complete.status = cpu_to_le32(on_recv_buf(q, m));
		a->u.recv_buf_complete.num_sections = cpu_to_le32(1);
		a->u.recv_buf_complete.sub_alloc_size = cpu_to_le32(n->sec.size);
		a->u.recv_buf_complete.num_sub_allocs = cpu_to_le32(n->sec.num);
		a->u.recv_buf_complete.end_offset = cpu_to_le32(n->sec.num * n->sec.size);
		return true;
	case KVMB_NVSP_SEND_SEND_BUF:
		a->type = cpu_to_le32(KVMB_NVSP_SEND_SEND_BUF_COMPLETE);
		a->u.send_buf_complete.status = cpu_to_le32(on_send_buf(q, m));
		a->u.send_buf_complete.section_size = cpu_to_le32(NET_SEND_SECTION);
		return true;
	case KVMB_NVSP_SUBCHANNEL:
		a->type = cpu_to_le32(KVMB_NVSP_SUBCHANNEL);
		st = on_subchannel(n, m);
		a->u.subchannel_complete.status = cpu_to_le32(st);
		a->u.subchannel_complete.num =
			cpu_to_le32(st == KVMB_NVSP_STAT_SUCCESS ? n->num_subs : 0);
		return true;
	case KVMB_NVSP_SWITCH_DATA_PATH: /* a guest that takes the twin for a VF: #6.17 */
		n->by_twin = n->twin && le32_to_cpu(m->u.data_path.path) == KVMB_NVSP_PATH_VF;
		net_choose_owner(n);
		return false;
	case KVMB_NVSP_REVOKE_RECV_BUF:
		drop_recv_buffer(n);
		return false;
	case KVMB_NVSP_REVOKE_SEND_BUF:
		net_drop_buffer(n->bus, &n->send);
		return false;
	case KVMB_NVSP_SEND_NDIS_CONFIG:
		on_config(n, m);
		return false;
	case KVMB_NVSP_SEND_NDIS_VER:
		return false;
	default:
		net_count(&q->io->stats.errors, 1);
		return false;
	}
}

/* The answer is out: now the channels it promised, and which flows go where. */
static void offer_subs(struct net_queue *q)
{
	struct kvmb_wire_nvsp_table t = {
		.m.type = cpu_to_le32(KVMB_NVSP_SEND_INDIRECTION_TABLE),
		.m.u.table = { cpu_to_le32(KVMB_NVSP_TABLE_SIZE), cpu_to_le32(sizeof(t.m)) },
	};
	u32 i;

	net_tx_commit(q);
	kvmb_chan_flush(q->ch);
	kvmb_chan_offer_subs(q->ch, (u16)q->n->num_subs);
	for (i = 0; i < KVMB_NVSP_TABLE_SIZE; i++)
		t.channel[i] = cpu_to_le32(i % (q->n->num_subs + 1));
	/* without room it stays as the guest makes it, which does as well */
	if (!q->held && !kvmb_ring_put(&q->io->tx, KVMB_PKT_INBAND, 0, 0, NULL, 0, &t, sizeof(t))) {
		q->loud = true;
		net_count(&q->io->stats.packets_out, 1);
	}
}

static void handle_nvsp(struct net_queue *q, const struct kvmb_pkt *pkt,
			const struct kvmb_wire_nvsp *m)
{
	struct kvmb_wire_nvsp a = { 0 };
	u32 had = q->n->num_subs;
	bool answer;

	if (q->index) {
		net_fail(q, "a request of the protocol came on a sub-channel", -EPROTO);
		return;
	}
	net_tx_commit(q); /* what it changes may be a buffer that frames are taken from */
	net_lock_others(q->n);
	answer = nvsp_request(q, m, &a);
	net_unlock_others(q->n, true);
	if (pkt->flags & KVMB_PKT_FLAG_COMPLETE)
		net_complete(q, pkt->trans_id, answer ? &a : NULL, false);
	if (!had && q->n->num_subs)
		offer_subs(q);
	net_send_control(q); /* what had to wait for a buffer */
}

/* ---- RNDIS ---- */

static void tell_of_change(struct kvmb_net *n, u32 changed)
{
	const struct kvmb_net_backend_ops *ops = n->backend->ops;

	if (changed & KVMB_CHANGED_RSC && ops->set_offload)
		ops->set_offload(n->backend, true, n->rndis.rsc4, n->rndis.rsc6);
	if (changed & KVMB_CHANGED_MAC && ops->set_mac)
		ops->set_mac(n->backend, n->rndis.mac);
}

static void rndis_changed(struct kvmb_net *n, u32 changed, u32 old_filter)
{
	const struct kvmb_net_backend_ops *ops = n->backend->ops;

	if (changed & KVMB_CHANGED_UP) {
		if (n->state != NET_UP && ops->set_offload && net_owns_backend(n))
			ops->set_offload(n->backend, true, false, false);
		net_state_to(n, NET_UP);
	}
	if (changed & KVMB_CHANGED_DOWN)
		net_state_to(n, NET_VERSIONED);
	if (changed & KVMB_CHANGED_FILTER && !old_filter && n->rndis.packet_filter)
		__atomic_fetch_add(&n->rx_epoch, 1, __ATOMIC_RELEASE);
	if (net_owns_backend(n))
		tell_of_change(n, changed);
	else
		net_choose_owner(n);
}

static void on_control(struct net_queue *q, const struct kvmb_pkt *pkt,
		       const struct kvmb_wire_nvsp *m)
{
	struct kvmb_net *n = q->n;
	struct iovec iov[NET_MAX_IOV];
	u8 msg[KVMB_RNDIS_REQUEST_MAX];
	u32 len = 0, changed, old_filter = n->rndis.packet_filter;
	int num, r = -EPROTO;

	num = n->state != NET_CLOSED && !q->index ? net_tx_iov(q, pkt, m, iov, &len) : -EPROTO;
	len = KVMB_MIN(len, (u32)sizeof(msg));
	if (num >= 0) {
		kvmb_iov_read(iov, num, 0, msg, len);
		net_tx_commit(q);
		net_lock_others(n);
		r = kvmb_rndis_control(&n->rndis, msg, len, q->reply, &changed);
		rndis_changed(n, changed, old_filter);
		net_unlock_others(n, changed);
	}
	if (r < 0)
		net_count(&q->io->stats.errors, 1);
	/* complete first; the answer comes as a received packet: docs/protocol.md#6.4 */
	net_complete_rndis(q, pkt->trans_id,
			   r < 0 ? KVMB_NVSP_STAT_INVALID_RNDIS : KVMB_NVSP_STAT_SUCCESS, false);
	if (r > 0) {
		q->reply_len = (u32)r;
		net_send_control(q);
	}
}

/* One packet of the guest. Return: 0; -EAGAIN: leave it in the ring for now. */
int net_handle_packet(struct net_queue *q, const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_nvsp m = { 0 };

	if (pkt->type == KVMB_PKT_COMPLETION) {
		net_rx_completed(q, pkt->trans_id);
		return 0;
	}
	if ((pkt->type != KVMB_PKT_INBAND && pkt->type != KVMB_PKT_GPA_DIRECT) ||
	    pkt->payload_len < sizeof(m.type)) {
		net_fail(q, "a packet is of the wrong type or too short", -EPROTO);
		return 0;
	}
	memcpy(&m, pkt->payload, KVMB_MIN(pkt->payload_len, (u32)sizeof(m)));
	if (le32_to_cpu(m.type) != KVMB_NVSP_SEND_RNDIS_PKT) {
		handle_nvsp(q, pkt, &m);
		return 0;
	}
	if (le32_to_cpu(m.u.rndis.channel_type) == KVMB_NVSP_CHANNEL_CONTROL) {
		on_control(q, pkt, &m);
		return 0;
	}
	if (q->n->state == NET_UP)
		return net_tx(q, pkt, &m);
	net_complete_rndis(q, pkt->trans_id, KVMB_NVSP_STAT_FAIL, false);
	return 0;
}

/* ---- restart of the guest's driver ---- */

/* The guest's driver starts again from the beginning. Every lock held. */
void net_forget_guest(struct kvmb_net *n)
{
	drop_recv_buffer(n);
	net_drop_buffer(n->bus, &n->send);
	net_state_to(n, NET_CLOSED);
	n->version = n->guest_mtu = n->num_subs = 0;
	n->guest_caps = 0;
	n->rndis.rsc4 = n->rndis.rsc6 = n->rndis.rss.on = false;
	n->rndis.caps.rsc = false;
	n->rndis.packet_filter = n->rndis.num_multicast = 0;
	n->by_twin = false;
	if (!n->twin && n->backend->ops->set_offload)
		n->backend->ops->set_offload(n->backend, false, false, false);
	net_give_backend(n);
}
