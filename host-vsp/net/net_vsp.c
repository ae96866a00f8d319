// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netvsp protocol: NVSP negotiation, buffers, frames both ways.
 *
 * DOC: Theory of operation
 *
 * One worker owns the channel's rings, the backend and all state below. It sleeps in
 * an event loop on three things: the guest's signal, the backend's descriptor, the stop
 * request.
 *
 * Out: the guest's packet names a section of its send buffer and/or pages; both are
 * turned into one iovec list over guest memory. RNDIS headers are copied out and
 * checked; the frame itself goes to the backend from where it lies.
 *
 * In: the backend writes a frame straight into a free section of the guest's receive
 * buffer, behind room for the RNDIS header; a transfer-page packet tells the guest. The
 * section comes back with the guest's completion and only then is used again. When no
 * section is free, or the ring is full, the backend is not read: frames wait there.
 *
 * The buffers are page lists held by reference: a guest that tears one down while it
 * is in use gets the answer when it has been revoked or the channel is closed. A second
 * buffer is refused while there is one (CVE-2017-0075 was the replacement of a buffer
 * in use).
 *
 * Limits: one queue, no offloads, MTU 1500; a data packet has at most 32 ranges.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/netvsc.c; protocol notes 6.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "host-vsp/iov.h"
#include "host-vsp/net/net_priv.h"
#include "host-vsp/worker.h"
#include "lib/log.h"
#include "lib/util.h"

#define SUB_ALLOC 1728u	    /* receive section; Hyper-V's size */
#define SEND_SECTION 6144u  /* send section; Hyper-V's size */
#define MAX_SECTIONS 20480u /* 31 MiB / 1728 and some */
#define RNDIS_HDR 44u	    /* message and packet header in front of a received frame */
#define MAX_RANGES 32u
#define MAX_IOV 128
#define SCRATCH_SIZE 8192u
#define RX_BATCH 64
static_assert(RNDIS_HDR + KVMB_NET_FRAME_MAX <= SUB_ALLOC, "a frame fits a section");

enum net_state { /* worker only */
	NET_CLOSED,  /* expects NVSP INIT */
	NET_VERSIONED,
	NET_NUM
};

struct net_buf { /* a guest's send or receive buffer */
	struct kvmb_gpadl *gpadl;
	const u64 *gfns; /* gfns[num_pages] */
	u32 num_pages;
};

struct kvmb_net {
	struct kvmb_rndis rndis;
	struct kvmb_net_backend *backend;
	struct kvmb_net_stats stats;
	char name[16];
	unsigned int index;
};

struct net_chan {
	struct kvmb_net *n;
	struct kvmb_chan *ch;
	struct kvmb_chan_io *io;
	struct kvmb_gm *gm;
	struct kvmb_worker worker;
	struct kvmb_loop *loop;
	struct kvmb_watch *backend_watch;
	u32 backend_events;
	enum net_state state;
	u32 version;
	bool stopping, failed, backend_gone, backend_full;
	struct net_buf recv, send;
	u32 num_sections;
	u16 *free_sections; /* stack free_sections[num_free] */
	u32 num_free;
	u32 *section_id;    /* section_id[num_sections]: transaction that has it, 0 = free */
	u16 rx_sequence;    /* upper half of the next id: a second completion is recognised */

	/* what could not be put yet because the ring was full; input waits meanwhile */
	bool held;
	u64 held_id;
	u16 held_type;
	u32 held_len;	    /* bytes of the section, type XFER_PAGES */
	u32 held_channel;   /* KVMB_NVSP_CHANNEL_* */
	struct kvmb_wire_nvsp held_msg;

	u8 reply[KVMB_RNDIS_REPLY_MAX]; /* RNDIS answer that waits for a section */
	u32 reply_len;
	u8 scratch[SCRATCH_SIZE] __attribute__((aligned(8)));
};

static void fail(struct net_chan *nc, const char *why, int err)
{
	nc->failed = true;
	kvmb_chan_fail(nc->ch, why, err);
}

/* ---- buffers ---- */

static int take_buffer(struct net_chan *nc, struct net_buf *b, u32 id)
{
	if (b->gpadl)
		return -EEXIST;
	b->gpadl = kvmb_gpadl_get(nc->ch, id);
	if (!b->gpadl)
		return -ENOENT;
	b->gfns = kvmb_gpadl_gfns(b->gpadl, &b->num_pages);
	return 0;
}

static void drop_buffer(struct net_chan *nc, struct net_buf *b)
{
	kvmb_gpadl_put(kvmb_chan_bus(nc->ch), b->gpadl);
	memset(b, 0, sizeof(*b));
}

static void drop_recv_buffer(struct net_chan *nc)
{
	drop_buffer(nc, &nc->recv);
	free(nc->free_sections);
	free(nc->section_id);
	nc->free_sections = NULL;
	nc->section_id = NULL;
	nc->num_sections = nc->num_free = 0;
}

static int buffer_iov(struct net_chan *nc, const struct net_buf *b, u64 off, u32 len,
		      struct iovec *iov, unsigned int max)
{
	return kvmb_gm_iov(nc->gm, b->gfns, off, len, iov, max);
}

/* ---- to the guest ---- */

static int put_held(struct net_chan *nc)
{
	struct {
		struct kvmb_wire_xfer_pages h;
		struct kvmb_wire_xfer_range r;
	} x = { .h = { .set_id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID),
		       .range_count = cpu_to_le32(1) } };
	int err;

	if (nc->held_type == KVMB_PKT_XFER_PAGES) {
		x.r.byte_count = cpu_to_le32(nc->held_len);
		x.r.byte_offset = cpu_to_le32((u32)(nc->held_id & 0xffff) * SUB_ALLOC);
		err = kvmb_ring_put(&nc->io->tx, nc->held_type, KVMB_PKT_FLAG_COMPLETE, nc->held_id,
				    &x, sizeof(x), &nc->held_msg, sizeof(nc->held_msg));
	} else {
		err = kvmb_ring_put(&nc->io->tx, nc->held_type, 0, nc->held_id, NULL, 0,
				    &nc->held_msg, sizeof(nc->held_msg));
	}
	if (!err) {
		nc->held = false;
		nc->io->stats.packets_out++;
		if (nc->held_type == KVMB_PKT_XFER_PAGES && nc->held_channel == KVMB_NVSP_CHANNEL_DATA) {
			nc->n->stats.rx_frames++;
			nc->n->stats.rx_bytes += nc->held_len - RNDIS_HDR;
		}
	} else if (err != -EAGAIN) {
		fail(nc, "its ring's read index is wild", err);
	}
	return err;
}

/* Put what is held. Return: true when the way is free again. */
static bool flush_held(struct net_chan *nc)
{
	while (nc->held && !nc->failed) {
		if (!put_held(nc)) {
			kvmb_ring_want(&nc->io->tx, 0);
			break;
		}
		if (!nc->failed && !kvmb_ring_want(&nc->io->tx, sizeof(nc->held_msg) + 16))
			return false; /* the guest signals when it has read that much */
	}
	return !nc->failed;
}

static void complete(struct net_chan *nc, u64 id, const struct kvmb_wire_nvsp *m)
{
	nc->held = true;
	nc->held_type = KVMB_PKT_COMPLETION;
	nc->held_id = id;
	nc->held_msg = *m;
	flush_held(nc);
}

static void complete_rndis(struct net_chan *nc, u64 id, u32 status)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE) };

	m.u.rndis_complete.status = cpu_to_le32(status);
	complete(nc, id, &m);
}

/* Tell the guest of @len bytes in section @s. */
static void deliver(struct net_chan *nc, u16 s, u32 len, u32 channel)
{
	if (!++nc->rx_sequence)
		nc->rx_sequence = 1; /* an id is never 0 */
	nc->section_id[s] = (u32)nc->rx_sequence << 16 | s;
	memset(&nc->held_msg, 0, sizeof(nc->held_msg));
	nc->held_msg.type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT);
	nc->held_msg.u.rndis.channel_type = cpu_to_le32(channel);
	nc->held_msg.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	nc->held = true;
	nc->held_type = KVMB_PKT_XFER_PAGES;
	nc->held_id = nc->section_id[s];
	nc->held_len = len;
	nc->held_channel = channel;
	flush_held(nc);
}

static void send_reply(struct net_chan *nc)
{
	struct iovec iov[4];
	u16 s;
	int n;

	if (!nc->reply_len || nc->held || !nc->num_free)
		return;
	s = nc->free_sections[nc->num_free - 1];
	n = buffer_iov(nc, &nc->recv, (u64)s * SUB_ALLOC, nc->reply_len, iov, ARRAY_SIZE(iov));
	if (n < 0)
		return; /* cannot be: the section was checked when the buffer came */
	nc->num_free--;
	kvmb_iov_write(iov, n, nc->reply, nc->reply_len);
	deliver(nc, s, nc->reply_len, KVMB_NVSP_CHANNEL_CONTROL);
	nc->reply_len = 0;
}

static bool can_receive(const struct net_chan *nc)
{
	return !nc->failed && !nc->stopping && !nc->held && !nc->reply_len && nc->num_free > 1 &&
	       nc->n->rndis.packet_filter && !nc->backend_gone;
}

static void write_frame_header(const struct iovec *iov, int num, u32 frame)
{
	struct {
		struct kvmb_wire_rndis h;
		struct kvmb_wire_rndis_packet p;
	} m = { .h = { cpu_to_le32(KVMB_RNDIS_PACKET), cpu_to_le32(RNDIS_HDR + frame) } };

	static_assert(sizeof(m) == RNDIS_HDR, "header in front of a frame");
	m.p.data_offset = cpu_to_le32(RNDIS_HDR - (u32)sizeof(m.h));
	m.p.data_len = cpu_to_le32(frame);
	kvmb_iov_write(iov, num, &m, sizeof(m));
}

/* Frames from the backend into free sections. Return: true when any came. */
static bool receive(struct net_chan *nc)
{
	struct kvmb_net_backend *b = nc->n->backend;
	struct iovec iov[4], room[4];
	int i, n, m;
	ssize_t len;
	u16 s;

	for (i = 0; i < RX_BATCH && can_receive(nc); i++) {
		s = nc->free_sections[nc->num_free - 1];
		n = buffer_iov(nc, &nc->recv, (u64)s * SUB_ALLOC, SUB_ALLOC, iov, ARRAY_SIZE(iov));
		if (n < 0)
			break;
		m = kvmb_iov_slice(iov, n, RNDIS_HDR, KVMB_NET_FRAME_MAX, room);
		len = b->ops->recv(b, room, m);
		if (len == -EAGAIN)
			break;
		if (len == -EPIPE) {
			nc->backend_gone = true;
			kvmb_warn(kvmb_chan_name(nc->ch), "the %s network is gone", b->ops->kind);
			break;
		}
		if (len < 14) {
			nc->n->stats.rx_dropped++;
			continue;
		}
		nc->num_free--;
		write_frame_header(iov, n, (u32)len);
		deliver(nc, s, RNDIS_HDR + (u32)len, KVMB_NVSP_CHANNEL_DATA);
	}
	return i > 0;
}

/* ---- from the guest ---- */

static u32 on_init(struct net_chan *nc, const struct kvmb_wire_nvsp *m)
{
	static const u32 known[] = { KVMB_NVSP_V1, KVMB_NVSP_V2, KVMB_NVSP_V4,
				     KVMB_NVSP_V5, KVMB_NVSP_V6, KVMB_NVSP_V61 };
	u32 lo = le32_to_cpu(m->u.init.min_version), hi = le32_to_cpu(m->u.init.max_version);
	size_t i;

	if (nc->state != NET_CLOSED)
		return KVMB_NVSP_STAT_FAIL;
	for (i = ARRAY_SIZE(known); i--;) {
		if (known[i] >= lo && known[i] <= hi) {
			nc->version = known[i];
			nc->n->rndis.nvsp_version = known[i];
			nc->state = NET_VERSIONED;
			return KVMB_NVSP_STAT_SUCCESS;
		}
	}
	return lo > KVMB_NVSP_V61 ? KVMB_NVSP_STAT_TOO_NEW : KVMB_NVSP_STAT_TOO_OLD;
}

static u32 on_recv_buf(struct net_chan *nc, const struct kvmb_wire_nvsp *m)
{
	u32 i, num;

	if (nc->state != NET_VERSIONED || le16_to_cpu(m->u.buf.id) != KVMB_NVSP_RECV_BUF_ID ||
	    take_buffer(nc, &nc->recv, le32_to_cpu(m->u.buf.gpadl)))
		return KVMB_NVSP_STAT_FAIL;
	num = (u32)((u64)nc->recv.num_pages * KVMB_PAGE_SIZE / SUB_ALLOC);
	num = KVMB_MIN(num, MAX_SECTIONS);
	nc->free_sections = num ? calloc(num, sizeof(*nc->free_sections)) : NULL;
	nc->section_id = num ? calloc(num, sizeof(*nc->section_id)) : NULL;
	if (!nc->free_sections || !nc->section_id) {
		drop_recv_buffer(nc);
		return KVMB_NVSP_STAT_FAIL;
	}
	nc->num_sections = nc->num_free = num;
	for (i = 0; i < num; i++)
		nc->free_sections[i] = (u16)(num - 1 - i);
	return KVMB_NVSP_STAT_SUCCESS;
}

static u32 on_send_buf(struct net_chan *nc, const struct kvmb_wire_nvsp *m)
{
	if (nc->state != NET_VERSIONED ||
	    take_buffer(nc, &nc->send, le32_to_cpu(m->u.buf.gpadl)))
		return KVMB_NVSP_STAT_FAIL;
	return KVMB_NVSP_STAT_SUCCESS;
}

/* The bytes a RNDIS packet covers, as iovecs. Return: count, *len = bytes; -EPROTO. */
static int tx_iov(struct net_chan *nc, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m,
		  struct iovec *iov, u32 *len)
{
	u32 section = le32_to_cpu(m->u.rndis.section_index);
	u32 size = le32_to_cpu(m->u.rndis.section_size), i, total = 0;
	struct kvmb_gparange_iter it;
	struct kvmb_gparange r;
	u64 gfns[32];
	int n = 0, k;

	if (section != KVMB_NVSP_NO_SECTION) {
		if (!nc->send.gpadl || !size || size > SEND_SECTION ||
		    section >= (u64)nc->send.num_pages * KVMB_PAGE_SIZE / SEND_SECTION)
			return -EPROTO;
		n = buffer_iov(nc, &nc->send, (u64)section * SEND_SECTION, size, iov, MAX_IOV);
		if (n < 0)
			return n;
		total = size;
	}
	if (pkt->type == KVMB_PKT_GPA_DIRECT) {
		if (kvmb_pkt_gpa_ranges(pkt, MAX_RANGES, &it))
			return -EPROTO;
		while (!(k = kvmb_gparange_next(&it, &r))) {
			if (r.num_pages > ARRAY_SIZE(gfns) || r.byte_count > 131072)
				return -EPROTO;
			for (i = 0; i < r.num_pages; i++)
				gfns[i] = le64_to_cpu(r.pfns[i]);
			k = kvmb_gm_iov(nc->gm, gfns, r.byte_offset, r.byte_count, iov + n,
					(unsigned int)(MAX_IOV - n));
			if (k < 0)
				return k;
			n += k;
			total += r.byte_count;
		}
		if (k != -EAGAIN)
			return k;
	}
	*len = total;
	return n;
}

/* One checked frame to the backend. Return: 0, -EAGAIN when it is full, else dropped. */
static int send_frame(struct net_chan *nc, const struct iovec *iov, int num, u64 off,
		      const struct kvmb_rndis_frame *f)
{
	struct kvmb_net_backend *b = nc->n->backend;
	struct iovec out[MAX_IOV + 1];
	u8 head[16]; /* both addresses and an inserted tag */
	u32 len = f->data_len;
	int n = 0, err;

	if (len < 14 || len > KVMB_NET_FRAME_MAX || nc->backend_gone) {
		nc->n->stats.tx_dropped++;
		return 0;
	}
	if (f->has_vlan) {
		kvmb_iov_read(iov, num, off, head, 12);
		head[12] = 0x81;
		head[13] = 0x00;
		head[14] = (u8)(f->vlan_tci >> 8);
		head[15] = (u8)f->vlan_tci;
		out[n++] = (struct iovec){ head, sizeof(head) };
		n += kvmb_iov_slice(iov, num, off + 12, len - 12, out + n);
		len += 4;
	} else {
		n = kvmb_iov_slice(iov, num, off, len, out);
	}
	err = b->ops->send(b, out, n, len);
	if (err == -EAGAIN)
		return err;
	if (err > 0)
		nc->backend_full = true; /* the rest of it goes when the backend is writable */
	if (err < 0) {
		nc->n->stats.tx_dropped++;
	} else {
		nc->n->stats.tx_frames++;
		nc->n->stats.tx_bytes += len;
	}
	return 0;
}

/*
 * All data messages of one packet. Return: an NVSP status, or -EAGAIN when the backend
 * is full before anything was sent: the packet stays in the ring.
 */
static int send_frames(struct net_chan *nc, const struct iovec *iov, int num, u32 len)
{
	u8 hdr[KVMB_RNDIS_HDR_COPY];
	struct kvmb_rndis_frame f;
	u32 off = 0, n;

	while (off < len) {
		n = KVMB_MIN(len - off, (u32)sizeof(hdr));
		kvmb_iov_read(iov, num, off, hdr, n);
		if (kvmb_rndis_packet(hdr, n, len - off, &f)) {
			nc->n->stats.tx_dropped++;
			nc->io->stats.errors++;
			return KVMB_NVSP_STAT_INVALID_RNDIS;
		}
		if (send_frame(nc, iov, num, (u64)off + f.data_offset, &f)) {
			if (!off)
				return -EAGAIN;
			nc->n->stats.tx_dropped++; /* later frames of a batch: as a full wire would */
		}
		off += f.msg_len;
	}
	return KVMB_NVSP_STAT_SUCCESS;
}

static void on_control(struct net_chan *nc, const struct iovec *iov, int num, u32 len, u64 id)
{
	u8 msg[KVMB_RNDIS_REQUEST_MAX];
	u32 n = KVMB_MIN(len, (u32)sizeof(msg));
	int r;

	kvmb_iov_read(iov, num, 0, msg, n);
	r = kvmb_rndis_control(&nc->n->rndis, msg, n, nc->reply);
	/* the packet is completed first, the answer comes as a received packet: notes 6.4 */
	complete_rndis(nc, id, r < 0 ? KVMB_NVSP_STAT_INVALID_RNDIS : KVMB_NVSP_STAT_SUCCESS);
	if (r > 0) {
		nc->reply_len = (u32)r;
		send_reply(nc);
	}
}

/* Return: 0; -EAGAIN: leave it in the ring for now. */
static int on_rndis(struct net_chan *nc, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m)
{
	struct iovec iov[MAX_IOV];
	u32 len = 0;
	int num, st;

	num = nc->state == NET_VERSIONED ? tx_iov(nc, pkt, m, iov, &len) : -EPROTO;
	if (num < 0) {
		nc->io->stats.errors++;
		complete_rndis(nc, pkt->trans_id, KVMB_NVSP_STAT_INVALID_RNDIS);
		return 0;
	}
	if (le32_to_cpu(m->u.rndis.channel_type) == KVMB_NVSP_CHANNEL_CONTROL) {
		on_control(nc, iov, num, len, pkt->trans_id);
		return 0;
	}
	st = nc->n->rndis.initialised ? send_frames(nc, iov, num, len) : (int)KVMB_NVSP_STAT_FAIL;
	if (st == -EAGAIN)
		return st;
	complete_rndis(nc, pkt->trans_id, (u32)st);
	return 0;
}

/* Requests of the NVSP protocol that have an answer. Return: true when @a is one. */
static bool nvsp_request(struct net_chan *nc, const struct kvmb_wire_nvsp *m,
			 struct kvmb_wire_nvsp *a)
{
	switch (le32_to_cpu(m->type)) {
	case KVMB_NVSP_INIT:
		a->type = cpu_to_le32(KVMB_NVSP_INIT_COMPLETE);
		a->u.init_complete.status = cpu_to_le32(on_init(nc, m));
		a->u.init_complete.version =
			cpu_to_le32(nc->version == KVMB_NVSP_V1 ? KVMB_NVSP_V1 : 0xffffffff);
		a->u.init_complete.max_mdl_chain = cpu_to_le32(34);
		return true;
	case KVMB_NVSP_SEND_RECV_BUF:
		a->type = cpu_to_le32(KVMB_NVSP_SEND_RECV_BUF_COMPLETE);
		a->u.recv_buf_complete.status = cpu_to_le32(on_recv_buf(nc, m));
		a->u.recv_buf_complete.num_sections = cpu_to_le32(1);
		a->u.recv_buf_complete.sub_alloc_size = cpu_to_le32(SUB_ALLOC);
		a->u.recv_buf_complete.num_sub_allocs = cpu_to_le32(nc->num_sections);
		a->u.recv_buf_complete.end_offset = cpu_to_le32(nc->num_sections * SUB_ALLOC);
		return true;
	case KVMB_NVSP_SEND_SEND_BUF:
		a->type = cpu_to_le32(KVMB_NVSP_SEND_SEND_BUF_COMPLETE);
		a->u.send_buf_complete.status = cpu_to_le32(on_send_buf(nc, m));
		a->u.send_buf_complete.section_size = cpu_to_le32(SEND_SECTION);
		return true;
	case KVMB_NVSP_SUBCHANNEL:
		a->type = cpu_to_le32(KVMB_NVSP_SUBCHANNEL);
		a->u.subchannel_complete.status = cpu_to_le32(KVMB_NVSP_STAT_FAIL);
		return true;
	case KVMB_NVSP_SWITCH_DATA_PATH:
		return true; /* there is no VF: the synthetic path stays */
	case KVMB_NVSP_REVOKE_RECV_BUF:
		drop_recv_buffer(nc);
		return false;
	case KVMB_NVSP_REVOKE_SEND_BUF:
		drop_buffer(nc, &nc->send);
		return false;
	case KVMB_NVSP_SEND_NDIS_VER:
	case KVMB_NVSP_SEND_NDIS_CONFIG:
		return false;
	default:
		nc->io->stats.errors++;
		return false;
	}
}

static void on_completion(struct net_chan *nc, const struct kvmb_pkt *pkt)
{
	u64 id = pkt->trans_id;
	u16 s = (u16)id;

	if (!id || s >= nc->num_sections || nc->section_id[s] != id) {
		nc->io->stats.errors++; /* unknown, or twice: nothing to give back */
		return;
	}
	nc->section_id[s] = 0;
	nc->free_sections[nc->num_free++] = s;
}

/* Return: 0; -EAGAIN to leave the packet in the ring. */
static int handle_packet(struct net_chan *nc, const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_nvsp m = { 0 }, a = { 0 };

	if (pkt->type == KVMB_PKT_COMPLETION) {
		on_completion(nc, pkt);
		return 0;
	}
	if ((pkt->type != KVMB_PKT_INBAND && pkt->type != KVMB_PKT_GPA_DIRECT) ||
	    pkt->payload_len < sizeof(m.type)) {
		fail(nc, "a packet is of the wrong type or too short", -EPROTO);
		return 0;
	}
	memcpy(&m, pkt->payload, KVMB_MIN(pkt->payload_len, (u32)sizeof(m)));
	if (le32_to_cpu(m.type) == KVMB_NVSP_SEND_RNDIS_PKT)
		return on_rndis(nc, pkt, &m);
	if (nvsp_request(nc, &m, &a) && (pkt->flags & KVMB_PKT_FLAG_COMPLETE))
		complete(nc, pkt->trans_id, &a);
	return 0;
}

static bool accepting(const struct net_chan *nc)
{
	return !nc->stopping && !nc->failed && !nc->held && !nc->reply_len && !nc->backend_full;
}

static bool drain(struct net_chan *nc)
{
	struct kvmb_pkt pkt;
	bool any = false;
	int err;

	while (accepting(nc)) {
		err = kvmb_ring_peek(&nc->io->rx, nc->scratch, sizeof(nc->scratch), &pkt);
		if (err) {
			if (err != -EAGAIN)
				fail(nc, "its ring is corrupt", err);
			break;
		}
		if (handle_packet(nc, &pkt)) {
			nc->backend_full = true;
			break;
		}
		kvmb_ring_skip(&nc->io->rx, &pkt);
		nc->io->stats.packets_in++;
		any = true;
	}
	return any;
}

/*
 * While something is held back only completions may pass, or the two sides could wait
 * for each other: the guest's completions free the sections that a reply waits for.
 */
static bool drain_completions(struct net_chan *nc)
{
	struct kvmb_pkt pkt;
	bool any = false;

	while (!nc->failed && !nc->stopping && nc->reply_len &&
	       !kvmb_ring_peek(&nc->io->rx, nc->scratch, sizeof(nc->scratch), &pkt) &&
	       pkt.type == KVMB_PKT_COMPLETION) {
		on_completion(nc, &pkt);
		kvmb_ring_skip(&nc->io->rx, &pkt);
		any = true;
	}
	return any;
}

/* ---- the worker ---- */

static void on_signal(void *arg, uint32_t events)
{
	struct net_chan *nc = arg;
	u64 n;

	(void)events;
	if (read(nc->io->signal_fd, &n, sizeof(n)) == sizeof(n))
		nc->io->stats.wakes++;
}

static void on_backend(void *arg, uint32_t events)
{
	struct net_chan *nc = arg;

	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		nc->backend_full = nc->n->backend->ops->flush(nc->n->backend) == -EAGAIN;
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)) {
		nc->backend_gone = true;
		kvmb_warn(kvmb_chan_name(nc->ch), "the %s network is gone",
			  nc->n->backend->ops->kind);
	}
}

static void on_stop(void *arg, uint32_t events)
{
	struct net_chan *nc = arg;

	(void)events;
	nc->stopping = true;
}

static void watch_backend(struct net_chan *nc)
{
	u32 events = (can_receive(nc) ? (u32)EPOLLIN : 0) | (nc->backend_full ? (u32)EPOLLOUT : 0);

	if (!nc->backend_watch)
		return;
	if (nc->backend_gone) {
		kvmb_loop_del(nc->backend_watch);
		nc->backend_watch = NULL;
	} else if (events != nc->backend_events) {
		nc->backend_events = events;
		kvmb_loop_mod(nc->backend_watch, events);
	}
}

static void publish(struct net_chan *nc)
{
	int want;

	if (nc->failed)
		return;
	want = kvmb_ring_release(&nc->io->rx);
	if (want > 0)
		kvmb_chan_signal(nc->ch);
	if (want < 0 || kvmb_chan_flush(nc->ch))
		fail(nc, "a ring index is wild", -EPROTO);
}

static void run(void *arg)
{
	struct net_chan *nc = arg;
	struct kvmb_watch *sig, *stop;
	bool progress;

	sig = kvmb_loop_add(nc->loop, nc->io->signal_fd, EPOLLIN, on_signal, nc);
	stop = kvmb_loop_add(nc->loop, nc->worker.stop_fd, EPOLLIN, on_stop, nc);
	if (nc->n->backend->fd >= 0)
		nc->backend_watch = kvmb_loop_add(nc->loop, nc->n->backend->fd, 0, on_backend, nc);
	kvmb_ring_mask(&nc->io->rx);
	while (!nc->stopping) {
		progress = nc->held && flush_held(nc) && !nc->held;
		send_reply(nc);
		progress |= drain_completions(nc);
		progress |= drain(nc);
		progress |= receive(nc);
		publish(nc);
		watch_backend(nc);
		if (progress) {
			kvmb_loop_once(nc->loop, 0);
			continue;
		}
		if ((accepting(nc) || nc->reply_len) && !nc->failed &&
		    kvmb_ring_unmask(&nc->io->rx) && accepting(nc)) {
			kvmb_ring_mask(&nc->io->rx);
			continue;
		}
		kvmb_loop_once(nc->loop, -1);
		if (!nc->failed)
			kvmb_ring_mask(&nc->io->rx);
	}
	kvmb_loop_del(nc->backend_watch);
	kvmb_loop_del(sig);
	kvmb_loop_del(stop);
	kvmb_chan_closed(nc->ch);
}

static int net_open(struct kvmb_chan *ch)
{
	struct net_chan *nc;
	int err;

	if (kvmb_chan_index(ch))
		return -EPROTO; /* no sub-channel was offered */
	nc = kvmb_xzalloc(sizeof(*nc));
	nc->n = kvmb_chan_dev(ch);
	nc->ch = ch;
	nc->io = kvmb_chan_io(ch);
	nc->io->priv = nc;
	nc->gm = kvmb_bus_vmm(kvmb_chan_bus(ch))->gm;
	nc->n->rndis.initialised = false; /* a re-open starts the protocols afresh */
	nc->n->rndis.packet_filter = 0;
	nc->loop = kvmb_loop_create();
	err = nc->loop ? kvmb_worker_start(&nc->worker, nc->n->name, run, nc) : -ENOMEM;
	if (err) {
		kvmb_loop_destroy(nc->loop);
		free(nc);
	}
	return err;
}

static void net_close(struct kvmb_chan *ch)
{
	struct net_chan *nc = kvmb_chan_io(ch)->priv;

	kvmb_worker_stop(&nc->worker);
}

static void net_closed(struct kvmb_chan *ch)
{
	struct net_chan *nc = kvmb_chan_io(ch)->priv;

	kvmb_worker_join(&nc->worker);
	drop_recv_buffer(nc);
	drop_buffer(nc, &nc->send);
	kvmb_loop_destroy(nc->loop);
	free(nc);
}

static const struct kvmb_vsp_ops net_ops = {
	.name = "net",
	.open = net_open,
	.close = net_close,
	.closed = net_closed,
};

/* ---- the NIC ---- */

struct kvmb_net *kvmb_net_create(unsigned int index, const u8 *mac,
				 struct kvmb_net_backend *backend)
{
	struct kvmb_net *n = kvmb_xzalloc(sizeof(*n));

	memcpy(n->rndis.mac, mac, sizeof(n->rndis.mac));
	n->rndis.stats = &n->stats;
	n->backend = backend;
	n->index = index;
	snprintf(n->name, sizeof(n->name), "net%u", index);
	return n;
}

int kvmb_net_offer(struct kvmb_net *n, struct kvmb_bus *bus)
{
	struct kvmb_offer offer = {
		.type = KVMB_NET_TYPE_GUID,
		.instance = KVMB_GUID(0x6b766d62, 0x4e49, (u16)n->index, 0x80, 0x01, 'n', 'e', 't', 0,
				      0, (u8)n->index),
		.flags = KVMB_OFFER_ENUMERATE,
		.name = n->name,
		.ops = &net_ops,
		.dev = n,
	};

	return kvmb_bus_offer(bus, &offer, NULL);
}

void kvmb_net_get_stats(struct kvmb_net *n, struct kvmb_net_stats *st)
{
	*st = n->stats;
}

const u8 *kvmb_net_mac(const struct kvmb_net *n)
{
	return n->rndis.mac;
}

const char *kvmb_net_kind(const struct kvmb_net *n)
{
	return n->backend->ops->kind;
}

void kvmb_net_destroy(struct kvmb_net *n)
{
	if (!n)
		return;
	n->backend->ops->destroy(n->backend);
	free(n);
}
