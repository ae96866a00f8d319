// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames out: from a guest's packet to the backend.
 *
 * A packet names a section of the guest's send buffer, or pages, or both; they become one list of
 * iovecs over guest memory. RNDIS headers, and the front of a frame as far as we parse or correct
 * it, are copied once and checked, and the copy is sent. The rest goes to the backend directly
 * from guest memory. No packet is completed before the backend has released its pages.
 */
#include "backend/iov.h"
#include "host-vsp/net/net_priv.h"
#include "lib/util.h"

#define MAX_RANGES 32u
#define MAX_RANGE_BYTES 131072u

static void drop_sent(struct net_queue *q, enum kvmb_net_drop why)
{
	net_count(&q->slot->stats.tx_dropped[why], 1);
}

/* The section that a packet names. Return: iovecs, *@len = bytes; -EPROTO. */
static int section_iov(struct net_queue *q, u32 section, u32 size, struct iovec *iov, u32 *len)
{
	const struct net_buf *b = &q->n->send;

	*len = size;
	if (!b->gpadl || !size || size > NET_SEND_SECTION ||
	    section >= (u64)b->num_pages * KVMB_PAGE_SIZE / NET_SEND_SECTION)
		return -EPROTO;
	return net_buf_iov(b, section * NET_SEND_SECTION, size, iov, NET_MAX_IOV);
}

static int pages_iov(struct net_queue *q, const struct kvmb_pkt *pkt, struct iovec *iov, int max,
		     u32 *len)
{
	struct kvmb_gparange_iter it;
	struct kvmb_gparange r;
	u64 gfns[32];
	int n = 0, k;
	u32 i;

	if (kvmb_pkt_gpa_ranges(pkt, MAX_RANGES, &it))
		return -EPROTO;
	while (!(k = kvmb_gparange_next(&it, &r))) {
		if (r.num_pages > ARRAY_SIZE(gfns) || r.byte_count > MAX_RANGE_BYTES)
			return -EPROTO;
		for (i = 0; i < r.num_pages; i++)
			gfns[i] = le64_to_cpu(r.pfns[i]);
		k = kvmb_gm_iov(q->gm, gfns, r.byte_offset, r.byte_count, iov + n,
				(unsigned int)(max - n));
		if (k < 0)
			return k;
		n += k;
		*len += r.byte_count;
	}
	return k == -EAGAIN ? n : k;
}

/* The bytes that an RNDIS packet covers. Return: iovecs in @iov[NET_MAX_IOV]; -errno. */
int net_tx_iov(struct net_queue *q, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m,
	       struct iovec *iov, u32 *len)
{
	u32 section = le32_to_cpu(m->u.rndis.section_index);
	int n = 0, k;

	*len = 0;
	if (section != KVMB_NVSP_NO_SECTION) {
		n = section_iov(q, section, le32_to_cpu(m->u.rndis.section_size), iov, len);
		if (n < 0)
			return n;
	}
	if (pkt->type == KVMB_PKT_GPA_DIRECT) {
		k = pages_iov(q, pkt, iov + n, NET_MAX_IOV - n, len);
		if (k < 0)
			return k;
		n += k;
	}
	return n;
}

void net_tx_commit(struct net_queue *q)
{
	struct kvmb_net_backend *b = q->n->backend;
	int err;

	if (!q->num_heads)
		return;
	q->num_heads = 0;
	kvmb_assert(net_owns_backend(q->n));
	err = b->ops->commit(b, q->index);
	if (err == -EAGAIN)
		q->full = true; /* the rest of it goes when the backend is writable */
	else if (err)
		net_backend_lost(q);
}

/*
 * The tag that leaves with the frame: by the guest's mark on a trunk, always the NIC's own on
 * an access port. Return: false when the frame must not leave.
 */
static bool choose_tag(const struct kvmb_net *n, const struct kvmb_rndis_frame *f, const u8 *head,
		       bool *tagged, u16 *tci)
{
	bool in_band = head[12] == 0x81 && head[13] == 0x00;

	*tagged = f->has_vlan;
	*tci = f->vlan_tci;
	if (!n->spec.vlan)
		return true;
	if (in_band || (f->has_vlan && f->vlan_tci & 0xfff))
		return false;
	*tagged = true; /* with the guest's priority, if it gave one */
	*tci = (u16)((f->has_vlan ? f->vlan_tci & 0xf000 : 0) | n->spec.vlan);
	return true;
}

static void insert_tag(struct net_tx_head *h, u32 *head_len, u16 tci)
{
	kvmb_assert(*head_len + NET_VLAN_LEN <= sizeof(h->bytes));
	memmove(h->bytes + 16, h->bytes + 12, *head_len - 12);
	h->bytes[12] = 0x81;
	h->bytes[13] = 0x00;
	h->bytes[14] = (u8)(tci >> 8);
	h->bytes[15] = (u8)tci;
	*head_len += NET_VLAN_LEN;
	if (h->vnet.hdr_len)
		h->vnet.hdr_len = (u16)(h->vnet.hdr_len + NET_VLAN_LEN);
	if (h->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		h->vnet.csum_start = (u16)(h->vnet.csum_start + NET_VLAN_LEN);
}

/* May this frame leave? Checks what is in the copy; counts what is refused. */
static bool allowed(struct net_queue *q, const struct kvmb_rndis_frame *f, struct net_tx_head *h,
		    u32 head_len)
{
	struct kvmb_net *n = q->n;
	u32 max = n->guest_mtu + NET_ETH_LEN + NET_VLAN_LEN;

	if (kvmb_offload_tx(h->bytes, head_len, f->data_len, &f->marks, &h->vnet) ||
	    (h->vnet.flags && !n->rndis.caps.offload)) {
		drop_sent(q, KVMB_DROP_MALFORMED);
		return false;
	}
	if (f->data_len > (h->vnet.gso_type ? NET_FRAME_MAX : max)) {
		drop_sent(q, KVMB_DROP_SIZE);
		return false;
	}
	if (!n->spec.mac_spoof && memcmp(h->bytes + 6, n->rndis.mac, 6)) {
		drop_sent(q, KVMB_DROP_SPOOFED);
		return false;
	}
	if (!net_link_up(n) || !net_owns_backend(n)) { /* then its cable is the twin's */
		drop_sent(q, KVMB_DROP_LINK);
		return false;
	}
	return true;
}

static void count_sent(struct net_queue *q, const struct net_tx_head *h, u32 len)
{
	struct kvmb_net_stats *st = &q->slot->stats;

	net_count(&st->tx_frames, 1);
	net_count(&st->tx_bytes, len);
	if (h->vnet.gso_type)
		net_count(&st->tx_segmented, 1);
	else if (h->vnet.flags)
		net_count(&st->tx_csum, 1);
}

static void pay(struct net_queue *q, u32 len)
{
	u64 now = kvmb_mono_ns(), wait = kvmb_throttle_take(&q->n->tx_rate, len, now);

	q->tx_ns = wait ? now + wait : 0;
}

/* One checked data message. Return: 0: done with, sent or dropped; -EAGAIN: the backend is full. */
static int send_frame(struct net_queue *q, const struct iovec *iov, int num, u64 off,
		      const struct kvmb_rndis_frame *f)
{
	struct kvmb_net_backend *b = q->n->backend;
	struct net_tx_head *h = &q->heads[q->num_heads];
	struct iovec out[NET_MAX_IOV + 2];
	u32 len = f->data_len, head_len, copied;
	bool tagged;
	int n, err;
	u16 tci;

	kvmb_assert(q->num_heads < NET_TX_HEADS && num <= NET_MAX_IOV);
	if (len < NET_ETH_LEN) {
		drop_sent(q, KVMB_DROP_SIZE);
		return 0;
	}
	copied = KVMB_MIN(len, f->marks.csum | f->marks.lso ? KVMB_OFFLOAD_HEAD_MAX : NET_ETH_LEN);
	kvmb_iov_read(iov, num, off, h->bytes, copied);
	head_len = copied;
	if (!allowed(q, f, h, head_len))
		return 0;
	if (!choose_tag(q->n, f, h->bytes, &tagged, &tci)) {
		drop_sent(q, KVMB_DROP_VLAN);
		return 0;
	}
	if (tagged)
		insert_tag(h, &head_len, tci);
	out[1] = (struct iovec){ h->bytes, head_len };
	n = 2 + kvmb_iov_slice(iov, num, off + copied, len - copied, out + 2);
	net_count(&q->slot->stats.backend_calls, 1);
	kvmb_assert(net_owns_backend(q->n));
	err = b->ops->send(b, q->index, &h->vnet, out, n, len - copied + head_len);
	if (err == -EAGAIN)
		return err;
	if (err) {
		if (err == -EPIPE)
			net_backend_lost(q);
		drop_sent(q, err == -EPIPE ? KVMB_DROP_LINK : KVMB_DROP_BACKEND);
		return 0;
	}
	count_sent(q, h, len);
	if (q->n->spec.rate)
		pay(q, len);
	if (++q->num_heads == NET_TX_HEADS)
		net_tx_commit(q);
	return 0;
}

/*
 * All data messages of one packet. Return: 0; -EAGAIN when the backend is full before anything
 * was sent, and does not hang: the packet stays in the ring. A packet that is wrong is completed
 * with a status.
 */
int net_tx(struct net_queue *q, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m)
{
	struct iovec iov[NET_MAX_IOV];
	u8 hdr[KVMB_RNDIS_HDR_COPY];
	struct kvmb_rndis_frame f;
	u32 len, off = 0, n, num_messages = 0, status = KVMB_NVSP_STAT_SUCCESS;
	int num = net_tx_iov(q, pkt, m, iov, &len);

	if (num < 0) {
		net_count(&q->io->stats.errors, 1);
		status = KVMB_NVSP_STAT_INVALID_RNDIS;
		len = 0;
	}
	while (off < len) {
		n = KVMB_MIN(len - off, (u32)sizeof(hdr));
		kvmb_iov_read(iov, num, off, hdr, n);
		/* sending more would keep this queue's lock from the others */
		if (num_messages++ == KVMB_RNDIS_PACKETS_MAX ||
		    kvmb_rndis_packet(hdr, n, len - off, &f)) {
			drop_sent(q, KVMB_DROP_MALFORMED);
			net_count(&q->io->stats.errors, 1);
			status = KVMB_NVSP_STAT_INVALID_RNDIS;
			break;
		}
		if (send_frame(q, iov, num, (u64)off + f.data_offset, &f)) {
			q->full = true;
			if (!off && !q->deaf)
				return -EAGAIN;
			/* it hangs, or later frames of a batch: as a full wire would */
			drop_sent(q, KVMB_DROP_BACKEND);
		}
		off += f.msg_len;
	}
	/* a guest's socket waits for pages, but not for a section that it copied to */
	net_complete_rndis(q, pkt->trans_id, status, pkt->type == KVMB_PKT_INBAND);
	return 0;
}
