// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames in: from the backend to the guest's receive buffer; and control messages to the guest.
 *
 * DOC: Theory of operation
 *
 * The backend writes a frame directly into a free section of the receive buffer, after room for
 * its RNDIS header. Only the Ethernet header goes through a private copy, where we filter it and
 * remove its VLAN tag. A coalesced frame is spread over as many sections as it needs, with one
 * message for each, all in one packet (RSC). Frames that arrive together share a transfer-page
 * packet, so that the guest completes all of them at once.
 *
 * While too few sections are free, or the ring is full, we do not read the backend: frames wait
 * there.
 *
 * The longest coalesced frames are cut in two. Linux's netvsc puts a frame and some bytes of its
 * own into one allocation; if that exceeds 64 KiB, it takes 128 KiB, all of it cleared. The last
 * segment is sent as a frame of its own, and the guest's GRO joins the two again.
 *
 * On an access VLAN frames pass through a buffer of our own, because the guest must never see
 * frames of other VLANs.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/netvsc.c netvsc_receive(), rndis_filter.c
 * rndis_filter_receive_data(), netvsc_drv.c netvsc_alloc_recv_skb(); docs/protocol.md#6.3, #6.7.
 */
#include "backend/iov.h"
#include "host-vsp/net/net_priv.h"
#include "lib/dirty_log.h"
#include "lib/util.h"

#define RX_BUDGET 64		  /* frames a turn */
#define STALE_MAX 10000u	  /* frames that a backend may have kept from before */
#define BURST_NS 20000u		  /* frames closer than this come in bursts */
#define WHOLE_MAX (65536u - 512u) /* a longer coalesced frame is cut */
#define CUT_MSS_MAX 4096u	  /* unless its segments are so long: the rest is copied */

/* ---- to the guest ---- */

static void add_range(struct net_queue *q, u16 s, u32 len)
{
	struct net_rx_batch *b = &q->batch;
	struct net_sections *sec = &q->n->sec;

	kvmb_assert(b->num < NET_RX_RANGES && len <= sec->size);
	b->ranges[b->num].byte_count = cpu_to_le32(len);
	b->ranges[b->num].byte_offset = cpu_to_le32(s * sec->size);
	sec->next[s] = NET_NO_SECTION;
	if (b->num++)
		sec->next[b->last] = s;
	else
		b->first = s;
	b->last = s;
}

/* Put the packet in the making, if any. Return: true when the way is free. */
bool net_rx_flush(struct net_queue *q)
{
	struct net_rx_batch *b = &q->batch;
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u32 hdr_len, id;
	int err;

	if (!b->num)
		return true;
	if (q->held || q->failed)
		return false;
	m.u.rndis.channel_type = cpu_to_le32(b->control ? KVMB_NVSP_CHANNEL_CONTROL :
							   KVMB_NVSP_CHANNEL_DATA);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	b->h.set_id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	b->h.range_count = cpu_to_le32(b->num);
	hdr_len = (u32)(sizeof(b->h) + b->num * sizeof(b->ranges[0]));
	if (!++q->generation)
		q->generation = 1; /* an id is never 0 */
	id = (u32)q->generation << 16 | b->first;
	do {
		err = kvmb_ring_put(&q->io->tx, KVMB_PKT_XFER_PAGES, KVMB_PKT_FLAG_COMPLETE, id,
				    &b->h, hdr_len, &m, sizeof(m));
	} while (err == -EAGAIN && kvmb_ring_want(&q->io->tx, hdr_len + (u32)sizeof(m)));
	if (err == -EAGAIN)
		return false; /* the guest signals when it has read that much */
	if (err) {
		net_fail(q, "its ring's read index is out of range", err);
		return false;
	}
	kvmb_ring_want(&q->io->tx, 0);
	q->n->sec.id[b->first] = id;
	q->loud = true;
	net_count(&q->io->stats.packets_out, 1);
	if (!b->control) {
		net_count(&q->slot->stats.rx_packets, 1);
		net_count(&q->slot->stats.rx_frames, b->frames);
		net_count(&q->slot->stats.rx_bytes, b->bytes);
	}
	b->num = b->frames = b->bytes = 0;
	b->control = false;
	return true;
}

/* A restarted backend is another network: the guest must see its cable unplugged and plugged. */
static void tell_link(struct net_queue *q)
{
	bool up = net_link_up(q->n), same = q->told_epoch == q->backend_epoch;

	if (q->told_link == up && (same || !up))
		return;
	if (q->told_link)
		up = false;
	q->told_epoch = q->backend_epoch;
	q->told_link = q->n->rndis.link = up;
	q->reply_len = (u32)kvmb_rndis_indicate(up, q->reply);
}

/* The answer to a control message, then news of the link. Primary only. */
void net_send_control(struct net_queue *q)
{
	struct iovec iov[4];
	int num;
	u16 s;

	for (;;) {
		if (!q->reply_len && q->n->state == NET_UP && q->n->recv.gpadl)
			tell_link(q);
		if (!q->reply_len || q->failed || !q->n->recv.gpadl || !q->num_free ||
		    !net_rx_flush(q))
			return;
		s = net_section_pop(q);
		num = net_section_iov(q->n, s, 0, q->reply_len, iov, ARRAY_SIZE(iov));
		kvmb_assert(num > 0); /* REPLY_MAX lies on two pages at most */
		kvmb_iov_write(iov, num, q->reply, q->reply_len);
		add_range(q, s, q->reply_len);
		q->batch.control = true;
		q->reply_len = 0;
		net_rx_flush(q);
	}
}

/* ---- from the backend ---- */

struct rx_frame { /* one that has been read */
	struct virtio_net_hdr vnet;
	u8 head[NET_HEAD_ROOM]; /* its first bytes */
	u32 len;	    /* with them */
};

static bool coalescing(const struct kvmb_net *n)
{
	return n->rndis.rsc4 || n->rndis.rsc6;
}

static u32 sections_wanted(const struct kvmb_net *n)
{
	return coalescing(n) ? NET_FRAME_MAX / net_section_room(n) + 1 : 1;
}

/* With one for what may be cut off. */
static u32 sections_needed(const struct kvmb_net *n)
{
	return sections_wanted(n) + coalescing(n);
}

bool net_can_receive(struct net_queue *q)
{
	struct kvmb_net *n = q->n;

	return !q->failed && !q->stopping && !q->held && !q->batch.control && !q->rx_ns &&
	       n->recv.gpadl && n->rndis.packet_filter && net_link_up(n) && net_owns_backend(n) &&
	       q->num_free > sections_needed(n) + q->batch.num;
}

/* Would sections that the guest gives back be used at once? A full ring makes them worthless. */
bool net_hungry(const struct net_queue *q)
{
	const struct kvmb_net *n = q->n;

	return !q->failed && !q->held && n->recv.gpadl &&
	       (q->reply_len ||
		(n->rndis.packet_filter && q->num_free <= sections_needed(n) + q->batch.num));
}

/*
 * Room for a frame: its front to @f, the rest to free sections, which stay on the list, or to
 * the bounce buffer. Return: iovecs, *@room = bytes of them all.
 */
static int make_room(struct net_queue *q, struct rx_frame *f, struct iovec *iov, u32 *room)
{
	const struct kvmb_net *n = q->n;
	u32 want = sections_wanted(n), each = net_section_room(n);
	int num = 2, k;
	u16 s = q->free;

	iov[1] = (struct iovec){ f->head, sizeof(f->head) };
	if (q->bounce) {
		kvmb_assert(want * each <= NET_BOUNCE_SIZE);
		iov[2] = (struct iovec){ q->bounce, want * each };
		*room = (u32)sizeof(f->head) + want * each;
		return 3;
	}
	*room = (u32)sizeof(f->head);
	while (want-- && num < (int)NET_RX_PARTS) {
		k = net_section_iov(n, s, NET_RX_HEAD + NET_HEAD_ROOM, each, iov + num,
				    (int)NET_RX_PARTS - num);
		if (k < 0)
			break;
		num += k;
		*room += each;
		s = n->sec.next[s];
	}
	return num;
}

static bool wanted(const struct kvmb_rndis *r, const u8 *mac)
{
	static const u8 everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	u32 i;

	if (r->packet_filter & KVMB_FILTER_PROMISCUOUS)
		return true;
	if (!(mac[0] & 1))
		return r->packet_filter & KVMB_FILTER_DIRECTED &&
		       (!memcmp(mac, r->mac, 6) || !memcmp(mac, r->permanent_mac, 6));
	if (!memcmp(mac, everybody, 6))
		return r->packet_filter & KVMB_FILTER_BROADCAST;
	if (r->packet_filter & KVMB_FILTER_ALL_MULTICAST)
		return true;
	for (i = 0; r->packet_filter & KVMB_FILTER_MULTICAST && i < r->num_multicast; i++) {
		if (!memcmp(mac, r->multicast[i], 6))
			return true;
	}
	return false;
}

static void drop_received(struct net_queue *q, enum kvmb_net_drop why)
{
	net_count(&q->slot->stats.rx_dropped[why], 1);
}

/* Is it for the guest? Counts what is not. */
static bool accept_frame(struct net_queue *q, const struct rx_frame *f, u32 room, bool tagged)
{
	const struct kvmb_net *n = q->n;
	u16 vid = tagged ? (u16)((f->head[14] << 8 | f->head[15]) & 0xfff) : 0;
	u32 max = n->guest_mtu + NET_ETH_LEN + (tagged ? NET_VLAN_LEN : 0);

	if (f->len < NET_ETH_LEN || f->len >= room ||
	    (f->vnet.gso_type ? !coalescing(n) : f->len > max)) {
		drop_received(q, KVMB_DROP_SIZE);
		return false;
	}
	if (n->spec.vlan && vid != n->spec.vlan) {
		drop_received(q, KVMB_DROP_VLAN);
		return false;
	}
	if (!wanted(&n->rndis, f->head)) {
		drop_received(q, KVMB_DROP_FILTERED);
		return false;
	}
	return true;
}

/*
 * One section of a frame is filled: write its header in front, name it in the packet. @first
 * is the Ethernet header that comes before the section's bytes, in the first one only.
 */
static void describe(struct net_queue *q, struct kvmb_rndis_out *o, const u8 *first, u32 first_len)
{
	u8 buf[NET_RX_HEAD + NET_HEAD_ROOM] = { 0 };
	u16 s = net_section_pop(q);
	struct iovec iov[3];
	int num;

	kvmb_assert(kvmb_rndis_header_len(o) <= o->data_offset &&
		    o->data_offset + first_len <= sizeof(buf));
	kvmb_rndis_header(o, buf);
	memcpy(buf + o->data_offset, first, first_len);
	num = net_section_iov(q->n, s, 0, o->data_offset + first_len, iov, ARRAY_SIZE(iov));
	kvmb_assert(num > 0);
	kvmb_iov_write(iov, num, buf, o->data_offset + first_len);
	add_range(q, s, o->data_offset + o->data_len);
}

/*
 * From a buffer of ours, what follows the Ethernet header, to the sections that would have been
 * read into.
 */
static void unbounce(struct net_queue *q, const u8 *from, struct iovec *iov, int *num, u32 len)
{
	const struct kvmb_net *n = q->n;
	u32 off = 0, k;
	u16 s = q->free;
	int parts = 0, m;

	for (; off < len; off += k, s = n->sec.next[s]) {
		k = KVMB_MIN(len - off, net_section_room(n));
		m = net_section_iov(n, s, NET_RX_HEAD + NET_HEAD_ROOM, k, iov + parts,
				    (int)NET_RX_PARTS - parts);
		if (m < 0)
			break;
		kvmb_iov_write(iov + parts, m, from + off, k);
		parts += m;
	}
	*num = parts;
}

/*
 * @from: the frame behind its first NET_HEAD_ROOM bytes, in a buffer of ours; or NULL:
 * @iov:  it is already there
 */
static void deliver(struct net_queue *q, struct rx_frame *f, const u8 *from, struct iovec *iov,
		    int num, bool tagged)
{
	u32 rest = f->len > NET_HEAD_ROOM ? f->len - NET_HEAD_ROOM : 0, part, first_len, csum;
	struct kvmb_rndis_out o = { 0 };
	u8 first[NET_HEAD_ROOM];
	bool gso = f->vnet.gso_type;

	if (from)
		unbounce(q, from, iov, &num, rest);
	if (kvmb_offload_rx(&f->vnet, iov, num, NET_HEAD_ROOM, rest, gso, &csum)) {
		drop_received(q, KVMB_DROP_MALFORMED);
		return;
	}
	memcpy(first, f->head, sizeof(first));
	first_len = KVMB_MIN(f->len, NET_HEAD_ROOM);
	if (tagged) { /* the tag goes into a PPI, or is the access port's */
		o.has_vlan = !q->n->spec.vlan;
		o.vlan_tci = (u16)(f->head[14] << 8 | f->head[15]);
		memcpy(first + 12, f->head + 16, 2);
		first_len = NET_ETH_LEN;
	}
	o.csum = csum;
	do {
		part = KVMB_MIN(rest, net_section_room(q->n));
		rest -= part;
		o.data_offset = NET_RX_HEAD + NET_HEAD_ROOM - first_len;
		o.data_len = first_len + part;
		if (gso)
			o.rsc = (u8)(KVMB_RSC_PART | (first_len ? KVMB_RSC_FIRST : 0) |
				     (rest ? 0 : KVMB_RSC_LAST));
		describe(q, &o, first, first_len);
		o = (struct kvmb_rndis_out){ 0 };
		first_len = 0;
	} while (rest);
	q->batch.frames++;
	q->batch.bytes += f->len - (tagged ? NET_VLAN_LEN : 0);
	if (gso)
		net_count(&q->slot->stats.rx_coalesced, 1);
}

/*
 * Cut a frame that is too long for the guest's taste. Its end becomes @tail, the bytes behind
 * NET_HEAD_ROOM in q->scratch. Return: was it cut?
 */
static bool cut_coalesced(struct net_queue *q, struct rx_frame *f, const struct iovec *iov, int num,
		struct rx_frame *tail)
{
	u8 head[KVMB_OFFLOAD_HEAD_MAX], tail_head[KVMB_OFFLOAD_HEAD_MAX];
	u32 hdr, first, rest;

	if (f->len <= WHOLE_MAX || f->vnet.gso_size > CUT_MSS_MAX)
		return false;
	memcpy(head, f->head, NET_HEAD_ROOM);
	kvmb_iov_read(iov, num, 0, head + NET_HEAD_ROOM, sizeof(head) - NET_HEAD_ROOM);
	first = kvmb_offload_split(head, sizeof(head), f->len, f->vnet.gso_size, WHOLE_MAX,
				   tail_head, &hdr);
	rest = f->len - first;
	if (!first ||
	    hdr + rest - NET_HEAD_ROOM > KVMB_MIN(net_section_room(q->n), (u32)sizeof(q->scratch)))
		return false;
	tail->vnet = f->vnet;
	tail->len = hdr + rest;
	memcpy(tail->head, tail_head, NET_HEAD_ROOM);
	memcpy(q->scratch, tail_head + NET_HEAD_ROOM, hdr - NET_HEAD_ROOM);
	kvmb_iov_read(iov, num, first - NET_HEAD_ROOM, q->scratch + hdr - NET_HEAD_ROOM, rest);
	f->len = first;
	memcpy(f->head, head, NET_HEAD_ROOM);
	kvmb_iov_write(iov, num, head + NET_HEAD_ROOM, hdr - NET_HEAD_ROOM);
	return true;
}

/* One frame. Return: 0: there may be more; -errno. */
static int receive_frame(struct net_queue *q)
{
	struct kvmb_net_backend *b = q->n->backend;
	struct iovec iov[NET_RX_PARTS];
	struct rx_frame f, tail;
	bool tagged, more;
	ssize_t len;
	u32 room;
	int num;

	if (q->batch.num + sections_needed(q->n) > NET_RX_RANGES && !net_rx_flush(q))
		return -EBUSY;
	num = make_room(q, &f, iov, &room);
	net_count(&q->slot->stats.backend_calls, 1);
	kvmb_assert(net_owns_backend(q->n));
	len = b->ops->recv(b, q->index, &f.vnet, iov, num);
	if (len != -EAGAIN)
		kvmb_dirty_iov(iov + 1, num - 1, len < 0 ? room : (size_t)len);
	if (len == -EMSGSIZE) {
		drop_received(q, KVMB_DROP_SIZE);
		return 0;
	}
	if (len < 0)
		return (int)len;
	f.len = (u32)len;
	tagged = f.len >= NET_HEAD_ROOM && f.head[12] == 0x81 && f.head[13] == 0x00;
	if (accept_frame(q, &f, room, tagged)) {
		more = cut_coalesced(q, &f, iov + 2, num - 2, &tail);
		deliver(q, &f, q->bounce, iov + 2, num - 2, tagged);
		if (more)
			deliver(q, &tail, q->scratch, iov, 0, tagged);
	}
	if (q->n->spec.rate) {
		u64 now = kvmb_mono_ns(), wait = kvmb_throttle_take(&q->n->rx_rate, f.len, now);

		q->rx_ns = wait ? now + wait : 0;
	}
	return 0;
}

/*
 * What waited while the guest listened to nothing is of no more use to it. Return: true when all of
 * it is gone.
 */
static bool throw_away(struct net_queue *q)
{
	struct kvmb_net_backend *b = q->n->backend;
	struct virtio_net_hdr vnet;
	struct iovec iov[2];
	ssize_t len;
	int i;

	iov[1] = (struct iovec){ q->scratch, sizeof(q->scratch) };
	for (i = 0; i < RX_BUDGET && q->stale; i++, q->stale--) {
		kvmb_assert(net_owns_backend(q->n));
		len = b->ops->recv(b, q->index, &vnet, iov, 2);
		if (len < 0 && len != -EMSGSIZE) {
			q->stale = 0;
			break;
		}
		drop_received(q, KVMB_DROP_FILTERED);
	}
	return !q->stale;
}

/* Return: true when any frame came. */
bool net_rx(struct net_queue *q)
{
	u32 epoch = __atomic_load_n(&q->n->rx_epoch, __ATOMIC_ACQUIRE);
	int i, err = 0;
	u64 now;

	if (q->rx_ns && kvmb_mono_ns() >= q->rx_ns)
		q->rx_ns = 0;
	if (q->rx_epoch != epoch)
		q->stale = STALE_MAX;
	q->rx_epoch = epoch;
	if (!net_owns_backend(q->n)) {
		q->stale = 0;
		return q->readable = false;
	}
	if (q->stale && !q->stopping && net_link_up(q->n) && !throw_away(q))
		return q->readable = true;
	q->readable |= q->n->backend->more; /* frames in its buffer: the descriptor tells nothing */
	if (!q->readable || !net_can_receive(q))
		return false;
	for (i = 0; !err && i < RX_BUDGET && net_can_receive(q) && !(i && net_is_awaited(q)); i++) {
		err = receive_frame(q);
		if (!i && !q->burst && !err && !q->n->backend->more)
			break; /* the wait that follows tells as well whether there is more */
	}
	if (err == -EPIPE)
		net_backend_lost(q);
	if (err || (!q->burst && !q->n->backend->more))
		q->readable = false;
	if (!q->burst || (err && i <= 2)) {
		now = kvmb_mono_ns();
		q->burst = now - q->last_rx_ns < BURST_NS;
		q->last_rx_ns = now;
	}
	net_rx_flush(q);
	return i > (err != 0);
}
