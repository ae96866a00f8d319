/* SPDX-License-Identifier: GPL-2.0-only */
/* A guest's netvsc in a box, for the tests of net/: it negotiates, asks, sends and receives. */
#ifndef KVMB_NET_GUEST_H
#define KVMB_NET_GUEST_H

#include "host-vsp/net/net_priv.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

#define RECV_PAGES 64u
#define RECV_PAGES_LARGE 512u /* coalesced frames need so much */
#define SEND_PAGES 16u

static const u8 mac[6] = { 0, 0x15, 0x5d, 1, 2, 3 };
static struct fake_vmm f;
static struct kvmb_net *nic;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static u64 recv_gfn, send_gfn, ctl_gfn, next_id;
static u32 recv_gpadl, send_gpadl;
static u32 guest_filter = 0x2d; /* everything */
static u32 guest_caps, guest_mtu = 1500, recv_pages = RECV_PAGES;
static u32 ring_pages = 16; /* each way, with the page of the indices */

/* The NIC is offered, its channel open, the page lists are made; no word spoken yet. */
static void open_box(void)
{
	kvmb_net_offer(nic, f.bus);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), ring_pages), 0);
	recv_gfn = fake_alloc(&f, recv_pages);
	send_gfn = fake_alloc(&f, SEND_PAGES);
	ctl_gfn = fake_alloc(&f, 20);
	assert_int_equal(fake_gpadl(&f, c.relid, recv_gfn, recv_pages, &recv_gpadl), 0);
	assert_int_equal(fake_gpadl(&f, c.relid, send_gfn, SEND_PAGES, &send_gpadl), 0);
}

__attribute__((unused)) static void box(const struct kvmb_net_spec *spec,
					struct kvmb_net_backend *b)
{
	fake_init(&f, KVMB_VERSION_NEWEST);
	nic = kvmb_net_create(spec, b, f.loop);
	open_box();
}

__attribute__((unused)) static void unbox(void)
{
	fake_unmap(&c);
	fake_rest(&f);
	kvmb_net_destroy(nic);
	fake_fini(&f);
}

#define MAX_SUBS 8u
static struct fake_chan sub[MAX_SUBS]; /* sub[i]: channel i, from 1 on */

static int recv_on(struct fake_chan *ch, struct kvmb_pkt *pkt)
{
	static u8 buf[1024] __attribute__((aligned(8)));

	return fake_recv(&f, ch, buf, sizeof(buf), pkt);
}

static int recv_pkt(struct kvmb_pkt *pkt)
{
	return recv_on(&c, pkt);
}

/* Where nothing more may come. */
static inline int recv_if_any(struct kvmb_pkt *pkt)
{
	static u8 buf[1024] __attribute__((aligned(8)));

	return fake_recv_within(&f, &c, buf, sizeof(buf), pkt, 2000);
}

/* An NVSP request with an answer. */
static void ask(struct kvmb_wire_nvsp *m, enum kvmb_nvsp_type type)
{
	struct kvmb_pkt pkt;

	m->type = cpu_to_le32(type);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, m, sizeof(*m)),
			 0);
	assert_int_equal(recv_pkt(&pkt), 0);
	assert_int_equal(pkt.type, KVMB_PKT_COMPLETION);
	assert_int_equal(pkt.trans_id, next_id);
	assert_int_equal(pkt.payload_len, 40);
	memcpy(m, pkt.payload, sizeof(*m));
}

static u32 ask_init(u32 v)
{
	struct kvmb_wire_nvsp m = { 0 };

	m.u.init.min_version = m.u.init.max_version = cpu_to_le32(v);
	ask(&m, KVMB_NVSP_INIT);
	return le32_to_cpu(m.u.init_complete.status);
}

static u32 ask_recv_buf(u32 gpadl, struct kvmb_wire_nvsp *m)
{
	memset(m, 0, sizeof(*m));
	m->u.buf.gpadl = cpu_to_le32(gpadl);
	m->u.buf.id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	ask(m, KVMB_NVSP_SEND_RECV_BUF);
	return le32_to_cpu(m->u.recv_buf_complete.status);
}

static u32 ask_send_buf(u32 gpadl)
{
	struct kvmb_wire_nvsp m = { 0 };

	m.u.buf.gpadl = cpu_to_le32(gpadl);
	ask(&m, KVMB_NVSP_SEND_SEND_BUF);
	return le32_to_cpu(m.u.send_buf_complete.status);
}

static void complete_rx(const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE) };

	fake_send(&f, &c, KVMB_PKT_COMPLETION, 0, pkt->trans_id, NULL, 0, &m, 8);
}

/* Sends @len bytes at ctl_gfn as one RNDIS packet by pages. Return: status of its completion. */
static u32 send_pages(u32 channel, u32 len)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn[2]; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(len), 0 },
		{ cpu_to_le64(ctl_gfn), cpu_to_le64(ctl_gfn + 1) } };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	struct kvmb_pkt pkt;

	m.u.rndis.channel_type = cpu_to_le32(channel);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, len > 4096 ? 32 : 24, &m,
		  sizeof(m));
	assert_int_equal(recv_pkt(&pkt), 0);
	assert_int_equal(pkt.trans_id, next_id);
	memcpy(&m, pkt.payload, sizeof(m));
	assert_int_equal(le32_to_cpu(m.type), KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE);
	return le32_to_cpu(m.u.rndis_complete.status);
}

/* A received packet of one range. Return: pointer to its bytes in the receive buffer. */
static u8 *received(u32 channel, u32 *len)
{
	const struct kvmb_wire_xfer_range *r;
	struct kvmb_wire_nvsp m;
	struct kvmb_pkt pkt;
	u32 n;
	u16 id;

	if (recv_pkt(&pkt))
		return NULL;
	assert_int_equal(kvmb_pkt_xfer_ranges(&pkt, 1, &id, &r, &n), 0);
	assert_int_equal(id, KVMB_NVSP_RECV_BUF_ID);
	assert_int_equal(pkt.flags, KVMB_PKT_FLAG_COMPLETE);
	memcpy(&m, pkt.payload, 40);
	assert_int_equal(le32_to_cpu(m.u.rndis.channel_type), channel);
	*len = le32_to_cpu(r->byte_count);
	assert_true(le32_to_cpu(r->byte_offset) + *len <= recv_pages * 4096);
	complete_rx(&pkt);
	return (u8 *)fake_ptr(&f, recv_gfn << 12) + le32_to_cpu(r->byte_offset);
}

static u32 *rndis(u32 type, u32 len)
{
	u32 *p = fake_ptr(&f, ctl_gfn << 12);

	memset(p, 0, 8192);
	p[0] = type;
	p[1] = len;
	p[2] = 77; /* request id */
	return p;
}

static void bring_up(void)
{
	struct kvmb_wire_nvsp m, config = { .type = cpu_to_le32(KVMB_NVSP_SEND_NDIS_CONFIG) };
	u32 *p, len;
	u8 *r;

	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
	config.u.ndis_config.mtu = cpu_to_le32(guest_mtu + 14);
	config.u.ndis_config.capabilities = cpu_to_le64(guest_caps);
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, &config, sizeof(config));
	assert_int_equal(ask_recv_buf(recv_gpadl, &m), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(le32_to_cpu(m.u.recv_buf_complete.num_sections), 1);
	assert_int_equal(le32_to_cpu(m.u.recv_buf_complete.offset), 0);
	assert_true(le32_to_cpu(m.u.recv_buf_complete.sub_alloc_size) *
			    le32_to_cpu(m.u.recv_buf_complete.num_sub_allocs) <= recv_pages * 4096);
	assert_int_equal(ask_send_buf(send_gpadl), KVMB_NVSP_STAT_SUCCESS);
	p = rndis(KVMB_RNDIS_INIT, 24);
	p[3] = 1;
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 24), KVMB_NVSP_STAT_SUCCESS);
	r = received(KVMB_NVSP_CHANNEL_CONTROL, &len);
	assert_non_null(r);
	assert_int_equal(((u32 *)r)[0], KVMB_RNDIS_INIT | KVMB_RNDIS_COMPLETE);
	assert_int_equal(((u32 *)r)[2], 77);
	p = rndis(KVMB_RNDIS_SET, 32);
	p[3] = KVMB_OID_GEN_CURRENT_PACKET_FILTER;
	p[4] = 4;
	p[5] = 20;
	p[7] = guest_filter;
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 32), KVMB_NVSP_STAT_SUCCESS);
	r = received(KVMB_NVSP_CHANNEL_CONTROL, &len);
	assert_int_equal(((u32 *)r)[3], 0);
}

__attribute__((unused)) static u8 *query(u32 oid, u32 want, u32 *status, u32 *len)
{
	u32 *p = rndis(KVMB_RNDIS_QUERY, 28 + want), n;
	u8 *r;

	p[3] = oid;
	p[4] = want;
	p[5] = 20;
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 28 + want), KVMB_NVSP_STAT_SUCCESS);
	r = received(KVMB_NVSP_CHANNEL_CONTROL, &n);
	assert_non_null(r);
	*status = ((u32 *)r)[3];
	*len = ((u32 *)r)[4];
	assert_int_equal(((u32 *)r)[5], 16); /* Linux wants it, even when empty */
	assert_int_equal(n, 24 + *len);
	return r + 24;
}

__attribute__((unused)) static u32 *data_message(u32 frame)
{
	u32 *p = rndis(KVMB_RNDIS_PACKET, 44 + frame);

	p[2] = 36;
	p[3] = frame;
	memset(p + 11, 0xab, frame);
	return p;
}

/* Ask for @num sub-channels and open those that come. Return: how many. */
__attribute__((unused)) static u32 open_subs(u32 num)
{
	struct kvmb_wire_nvsp m = { 0 };
	const struct kvmb_wire_offer *o;
	u32 relid[MAX_SUBS], i, n;
	struct kvmb_pkt pkt;

	m.u.subchannel.op = cpu_to_le32(KVMB_NVSP_SUBCHANNEL_ALLOCATE);
	m.u.subchannel.num = cpu_to_le32(num);
	ask(&m, KVMB_NVSP_SUBCHANNEL);
	if (le32_to_cpu(m.u.subchannel_complete.status) != KVMB_NVSP_STAT_SUCCESS)
		return 0;
	n = le32_to_cpu(m.u.subchannel_complete.num);
	assert_int_equal(recv_pkt(&pkt), 0); /* the table that spreads flows */
	assert_int_equal(pkt.type, KVMB_PKT_INBAND);
	assert_int_equal(pkt.payload_len, 104);
	assert_int_equal(*(const u32 *)pkt.payload, KVMB_NVSP_SEND_INDIRECTION_TABLE);
	for (i = 0; i < 16; i++)
		assert_int_equal(((const u32 *)pkt.payload)[10 + i], i % (n + 1));
	for (i = 1; i <= n; i++) {
		o = fake_wait(&f, KVMB_MSG_OFFER);
		assert_non_null(o);
		assert_int_equal(le16_to_cpu(o->sub_channel_index), i);
		relid[i] = le32_to_cpu(o->relid);
	}
	for (i = 1; i <= n; i++)
		assert_int_equal(fake_open(&f, &sub[i], relid[i], 16), 0);
	return n;
}

#endif
