/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames on both sides of a NIC in a box: sockets that stand for a tap's queues, and a guest's data
 * messages.
 */
#ifndef KVMB_NET_WIRE_H
#define KVMB_NET_WIRE_H

#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/net_guest.h"

#define QUEUES 4u
#define HDR ((u32)sizeof(struct virtio_net_hdr))

static int far[QUEUES]; /* the network's end of each queue */

static inline void make(struct kvmb_net_spec spec)
{
	int near[QUEUES], sv[2];
	u32 i;

	for (i = 0; i < QUEUES; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv), 0);
		near[i] = sv[0];
		far[i] = sv[1];
	}
	memcpy(spec.mac, mac, sizeof(mac));
	guest_caps = KVMB_NVSP_CAP_RSC;
	guest_filter = 0x0d;
	guest_mtu = spec.mtu;
	box(&spec, kvmb_net_tap_fds(near, QUEUES));
}

static inline int setup(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 1500, .max_queues = QUEUES });
	return 0;
}

static inline int setup_large(void **state)
{
	recv_pages = RECV_PAGES_LARGE;
	return setup(state);
}

static inline int teardown(void **state)
{
	u32 i;

	(void)state;
	recv_pages = RECV_PAGES;
	for (i = 1; i < MAX_SUBS; i++) {
		fake_unmap(&sub[i]);
		memset(&sub[i], 0, sizeof(sub[i]));
	}
	unbox();
	for (i = 0; i < QUEUES; i++)
		close(far[i]);
	return 0;
}

/* ---- the network's side ---- */

/* Next frame that left by @q, @vnet before it. Return: its bytes, 0 = none came. */
static inline u32 left(u32 q, struct virtio_net_hdr *vnet, u8 *buf, u32 size)
{
	struct iovec iov[2] = { { vnet, HDR }, { buf, size } };
	ssize_t n = -1;
	int i;

	for (i = 0; i < (int)PATIENCE_MS && n < 0; i++) {
		n = readv(far[q], iov, 2);
		if (n < 0)
			usleep(1000);
	}
	return n < 0 ? 0 : (u32)n - HDR;
}

static inline void arrive(u32 q, const struct virtio_net_hdr *vnet, const void *frame, u32 len)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)vnet, HDR },
				{ (void *)(uintptr_t)frame, len } };

	assert_int_equal(writev(far[q], iov, 2), HDR + len);
}

static const struct virtio_net_hdr plain;
static const struct virtio_net_hdr coalesced = { /* of TCP/IPv4 */
						 .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						 .hdr_len = 54,
						 .gso_size = 1448,
						 .csum_start = 34,
						 .csum_offset = 16
};

/* A TCP/IPv4 frame for the guest, or from it, with @payload bytes that count up. */
static inline u32 tcp4(u8 *p, const u8 *to, const u8 *from, u32 payload)
{
	u32 i, total = 40 + payload;

	memset(p, 0, 54);
	memcpy(p, to, 6);
	memcpy(p + 6, from, 6);
	p[12] = 0x08;
	p[14] = 0x45;
	p[16] = (u8)(total >> 8);
	p[17] = (u8)total;
	p[22] = 64;
	p[23] = 6;
	p[26] = p[30] = 10;
	p[29] = 1;
	p[33] = 2;
	p[46] = 0x50;
	p[47] = 0x10;
	for (i = 0; i < payload; i++)
		p[54 + i] = (u8)(i * 7 + (i >> 8));
	return 54 + payload;
}

static const u8 other[6] = { 2, 0, 0, 0, 0, 9 };

/* ---- the guest's side ---- */

/* A data message with one PPI of 4 bytes, NO_PPI = none, in front of @frame. Return: bytes. */
#define NO_PPI 0xffffffffu
static inline u32 message(u32 ppi, u32 value, const u8 *frame, u32 len)
{
	u32 extra = ppi == NO_PPI ? 0 : 16, *p = fake_ptr(&f, ctl_gfn << 12);

	memset(p, 0, 64);
	p[0] = KVMB_RNDIS_PACKET;
	p[1] = 44 + extra + len;
	p[2] = 36 + extra;
	p[3] = len;
	if (extra) {
		p[7] = 36;
		p[8] = 16;
		p[11] = 16;
		p[12] = ppi;
		p[13] = 12;
		p[14] = value;
	}
	memcpy((u8 *)p + 44 + extra, frame, len);
	return 44 + extra + len;
}

/* @len bytes at ctl_gfn as one packet of pages on @ch. */
static inline void post(struct fake_chan *ch, u32 len)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn[20]; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(len), 0 }, { 0 } };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u32 pages = (len + 4095) / 4096, i;

	for (i = 0; i < pages; i++)
		h.pfn[i] = cpu_to_le64(ctl_gfn + i);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	assert_int_equal(fake_send(&f, ch, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, 16 + 8 * pages,
				   &m, sizeof(m)),
			 0);
}

static inline u32 status_on(struct fake_chan *ch)
{
	struct kvmb_wire_nvsp m;
	struct kvmb_pkt pkt;

	assert_int_equal(recv_on(ch, &pkt), 0);
	assert_int_equal(pkt.type, KVMB_PKT_COMPLETION);
	memcpy(&m, pkt.payload, sizeof(m));
	return le32_to_cpu(m.u.rndis_complete.status);
}

static inline void set_oid(u32 oid, const void *value, u32 len)
{
	u32 *p = rndis(KVMB_RNDIS_SET, 28 + len), n;

	p[3] = oid;
	p[4] = len;
	p[5] = 20;
	memcpy(p + 7, value, len);
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 28 + len), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(((u32 *)received(KVMB_NVSP_CHANNEL_CONTROL, &n))[3], 0);
}

static inline void rsc_on(void)
{
	u8 params[32] = { KVMB_NDIS_OFFLOAD };

	params[KVMB_NDIS_PARAM_RSC_IP4] = params[KVMB_NDIS_PARAM_RSC_IP6] = KVMB_NDIS_PARAM_ON;
	set_oid(KVMB_OID_TCP_OFFLOAD_PARAMETERS, params, sizeof(params));
}

static inline void done_with(struct fake_chan *ch, const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE) };

	fake_send(&f, ch, KVMB_PKT_COMPLETION, 0, pkt->trans_id, NULL, 0, &m, 8);
}

/* What came meanwhile: completions of frames, frames, answers. */
static inline void skip_all(struct fake_chan *ch)
{
	static u8 buf[1024] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	while (!kvmb_ring_peek(&ch->rx, buf, sizeof(buf), &pkt)) {
		kvmb_ring_skip(&ch->rx, &pkt);
		kvmb_ring_release(&ch->rx);
		if (pkt.type == KVMB_PKT_XFER_PAGES)
			done_with(ch, &pkt);
	}
}

struct got { /* a frame as the guest puts it together */
	u32 len, parts, csum;
	bool has_vlan, first, last, rsc;
	u16 vlan;
	u8 bytes[70000];
};

static inline void take_message(struct got *g, const u8 *m)
{
	const u32 *p = (const u32 *)(const void *)m, *ppi;
	u32 at = p[7] + 8, end = at + p[8];

	assert_int_equal(p[0], KVMB_RNDIS_PACKET);
	assert_true(p[2] + 8 + p[3] <= p[1]);
	for (; p[8] && at < end; at += ppi[0]) {
		ppi = (const u32 *)(const void *)(m + at);
		assert_int_equal(ppi[0], 16);
		assert_int_equal(ppi[2], 12);
		if (ppi[1] == KVMB_PPI_CHECKSUM) {
			g->csum = ppi[3];
		} else if (ppi[1] == KVMB_PPI_VLAN) {
			g->has_vlan = true;
			g->vlan = (u16)(ppi[3] >> 4 & 0xfff);
		} else {
			assert_int_equal(ppi[1], KVMB_PPI_RSC);
			g->rsc = true;
			g->first |= ppi[3] >> 8 & KVMB_RSC_FIRST;
			g->last |= ppi[3] >> 8 & KVMB_RSC_LAST;
		}
	}
	memcpy(g->bytes + g->len, m + 8 + p[2], p[3]);
	g->len += p[3];
	g->parts++;
}

/*
 * A whole packet: of one frame, or with @second of one or two coalesced ones. Return: frames; 0:
 * none came.
 */
static inline u32 frames_on(struct fake_chan *ch, struct got *g, struct got *second)
{
	const struct kvmb_wire_xfer_range *r;
	struct kvmb_pkt pkt;
	u32 n, i, frames = 1;
	u16 id;

	memset(g, 0, offsetof(struct got, bytes));
	if (recv_on(ch, &pkt))
		return 0;
	assert_int_equal(kvmb_pkt_xfer_ranges(&pkt, NET_RX_RANGES, &id, &r, &n), 0);
	for (i = 0; i < n; i++) {
		if (g->last && second) {
			assert_int_equal(++frames, 2);
			g = second;
			memset(g, 0, offsetof(struct got, bytes));
		}
		take_message(g, (u8 *)fake_ptr(&f, recv_gfn << 12) + le32_to_cpu(r[i].byte_offset));
	}
	done_with(ch, &pkt);
	return frames;
}

static inline bool frame_on(struct fake_chan *ch, struct got *g)
{
	return frames_on(ch, g, NULL);
}

static inline struct kvmb_net_stats counts(void)
{
	struct kvmb_net_stats st;

	kvmb_net_get_stats(nic, &st);
	return st;
}

/* Until so many frames that came in were dropped. */
static inline void dropped_by(enum kvmb_net_drop why, u64 n)
{
	int i;

	for (i = 0; i < (int)PATIENCE_MS && counts().rx_dropped[why] < n; i++)
		usleep(1000);
	assert_int_equal(counts().rx_dropped[why], n);
}

#define LARGE(name) cmocka_unit_test_setup_teardown(name, setup_large, teardown)

#endif
