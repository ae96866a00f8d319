// SPDX-License-Identifier: GPL-2.0-only
/* netvsp through the fake VMM: negotiation, OIDs, frames both ways over a socket, liars. */
#include "host-vsp/net/net.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/net/net_priv.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

static const u8 mac[6] = { 0, 0x15, 0x5d, 1, 2, 3 };
static struct fake_vmm f;
static struct kvmb_net *nic;
static struct kvmb_wire_offer offer;
static struct fake_chan c;
static int wire; /* the far end of the cable */
static u64 recv_gfn, send_gfn, ctl_gfn, next_id;
static u32 recv_gpadl, send_gpadl;

static int setup(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	wire = sv[1];
	fake_init(&f, KVMB_VERSION_NEWEST);
	nic = kvmb_net_create(0, mac, kvmb_net_stream_open(sv[0]));
	kvmb_net_offer(nic, f.bus);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 16), 0);
	recv_gfn = fake_alloc(&f, 64);
	send_gfn = fake_alloc(&f, 16);
	ctl_gfn = fake_alloc(&f, 2);
	assert_int_equal(fake_gpadl(&f, c.relid, recv_gfn, 64, &recv_gpadl), 0);
	assert_int_equal(fake_gpadl(&f, c.relid, send_gfn, 16, &send_gpadl), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_unmap(&c);
	fake_fini(&f);
	kvmb_net_destroy(nic);
	close(wire);
	return 0;
}

static int recv_pkt(struct kvmb_pkt *pkt)
{
	static u8 buf[512] __attribute__((aligned(8)));

	return fake_recv(&f, &c, buf, sizeof(buf), pkt);
}

/* An NVSP request with an answer. */
static void ask(struct kvmb_wire_nvsp *m, enum kvmb_nvsp_type type)
{
	struct kvmb_pkt pkt;

	m->type = cpu_to_le32(type);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, m, sizeof(*m)), 0);
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
	fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, len > 4096 ? 32 : 24, &m, sizeof(m));
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
	assert_true(le32_to_cpu(r->byte_offset) + *len <= 64 * 4096);
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
	struct kvmb_wire_nvsp m;
	u32 *p, len, i;
	u8 *r;

	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(ask_recv_buf(recv_gpadl, &m), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(le32_to_cpu(m.u.recv_buf_complete.num_sections), 1);
	assert_int_equal(le32_to_cpu(m.u.recv_buf_complete.offset), 0);
	assert_true(le32_to_cpu(m.u.recv_buf_complete.sub_alloc_size) *
			    le32_to_cpu(m.u.recv_buf_complete.num_sub_allocs) <= 64 * 4096);
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
	p[7] = 9;
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_CONTROL, 32), KVMB_NVSP_STAT_SUCCESS);
	r = received(KVMB_NVSP_CHANNEL_CONTROL, &len);
	assert_int_equal(((u32 *)r)[3], 0);
	(void)i;
}

static u8 *query(u32 oid, u32 want, u32 *status, u32 *len)
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

static void init_accepts_what_stock_guests_offer(void **state)
{
	(void)state;
	assert_int_equal(ask_init(0x70000), KVMB_NVSP_STAT_TOO_NEW);
	assert_int_equal(ask_init(0x20000), KVMB_NVSP_STAT_TOO_OLD);
	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(ask_init(KVMB_NVSP_V5), KVMB_NVSP_STAT_FAIL); /* twice */
}

static void buffers_are_taken_once_and_can_be_torn_down_after_use(void **state)
{
	struct kvmb_wire_nvsp m;

	(void)state;
	assert_int_equal(ask_recv_buf(recv_gpadl, &m), KVMB_NVSP_STAT_FAIL); /* before INIT */
	ask_init(KVMB_NVSP_V61);
	assert_int_equal(ask_recv_buf(999, &m), KVMB_NVSP_STAT_FAIL);
	assert_int_equal(ask_recv_buf(recv_gpadl, &m), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(ask_recv_buf(send_gpadl, &m), KVMB_NVSP_STAT_FAIL); /* CVE-2017-0075 */
	assert_int_equal(ask_send_buf(send_gpadl), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(ask_send_buf(send_gpadl), KVMB_NVSP_STAT_FAIL);
	assert_false(fake_teardown(&f, c.relid, recv_gpadl)); /* in use: the answer waits */
	memset(&m, 0, sizeof(m));
	m.type = cpu_to_le32(KVMB_NVSP_REVOKE_RECV_BUF);
	m.u.revoke.id = cpu_to_le16(KVMB_NVSP_RECV_BUF_ID);
	fake_send(&f, &c, KVMB_PKT_INBAND, 0, 1, NULL, 0, &m, sizeof(m));
	assert_non_null(fake_wait(&f, KVMB_MSG_GPADL_TORNDOWN));
}

static void oids_that_linux_needs(void **state)
{
	u32 status, len;
	u8 *r;

	(void)state;
	bring_up();
	r = query(KVMB_OID_802_3_PERMANENT_ADDRESS, 0, &status, &len);
	assert_int_equal(status, 0);
	assert_int_equal(len, 6);
	assert_memory_equal(r, mac, 6);
	r = query(KVMB_OID_TCP_OFFLOAD_HW_CAPS, 156, &status, &len);
	assert_int_equal(status, 0);
	assert_int_equal(len, 156);
	assert_int_equal(r[0], KVMB_NDIS_OFFLOAD);
	assert_int_equal(r[2], 156);
	query(KVMB_OID_TCP_OFFLOAD_HW_CAPS, 1000, &status, &len);
	assert_int_equal(len, 156);
	query(0x10270, 32, &status, &len); /* CVE-2021-28476 */
	assert_int_equal(status, KVMB_RNDIS_STATUS_NOT_SUPPORTED);
	assert_int_equal(len, 0);
}

static void set_checks_its_buffer(void **state)
{
	static const struct { u32 len, off, status; } c2[] = {
		{ 4, 20, 0 }, { 4, 0xfffffff0, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 0xffffffff, 20, KVMB_RNDIS_STATUS_INVALID_LENGTH }, { 4, 24, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 4, 0, KVMB_RNDIS_STATUS_INVALID_LENGTH }, { 0, 0, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 2, 20, KVMB_RNDIS_STATUS_INVALID_LENGTH },
	};
	u32 *p, len;
	size_t i;

	(void)state;
	bring_up();
	for (i = 0; i < ARRAY_SIZE(c2); i++) {
		p = rndis(KVMB_RNDIS_SET, 32);
		p[3] = KVMB_OID_GEN_CURRENT_PACKET_FILTER;
		p[4] = c2[i].len;
		p[5] = c2[i].off;
		p[7] = 9;
		send_pages(KVMB_NVSP_CHANNEL_CONTROL, 32);
		assert_int_equal(((u32 *)received(KVMB_NVSP_CHANNEL_CONTROL, &len))[3], c2[i].status);
	}
	p = rndis(KVMB_RNDIS_SET, 36); /* a switch-internal OID that once held a pointer */
	p[3] = 0x10270;
	p[4] = 8;
	p[5] = 20;
	p[7] = 0xdeadbeef;
	send_pages(KVMB_NVSP_CHANNEL_CONTROL, 36);
	assert_int_equal(((u32 *)received(KVMB_NVSP_CHANNEL_CONTROL, &len))[3], KVMB_RNDIS_STATUS_NOT_SUPPORTED);
}

static u32 *data_message(u32 frame)
{
	u32 *p = rndis(KVMB_RNDIS_PACKET, 44 + frame);

	p[2] = 36;
	p[3] = frame;
	memset(p + 11, 0xab, frame);
	return p;
}

static u32 wire_frame(u8 *buf)
{
	u32 word, got = 0;

	if (recv(wire, &word, 4, MSG_WAITALL) != 4)
		return 0;
	word = ntohl(word);
	while (got < word)
		got += (u32)recv(wire, buf + got, word - got, 0);
	return word;
}

static void frames_go_out_by_pages_and_by_section(void **state)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u8 buf[4096], *sec;
	struct kvmb_pkt pkt;

	(void)state;
	bring_up();
	data_message(1514);
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 44 + 1514), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(wire_frame(buf), 1514);
	assert_int_equal(buf[1513], 0xab);
	sec = (u8 *)fake_ptr(&f, send_gfn << 12) + 6144; /* section 1: two messages in it */
	memcpy(sec, data_message(60), 104);
	memcpy(sec + 104, data_message(64), 108);
	m.u.rndis.section_index = cpu_to_le32(1);
	m.u.rndis.section_size = cpu_to_le32(212);
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
	assert_int_equal(recv_pkt(&pkt), 0);
	assert_int_equal(wire_frame(buf), 60);
	assert_int_equal(wire_frame(buf), 64);
}

static void a_vlan_tag_is_put_into_the_frame(void **state)
{
	u32 *p;
	u8 buf[4096];

	(void)state;
	bring_up();
	p = rndis(KVMB_RNDIS_PACKET, 44 + 16 + 60);
	p[2] = 36 + 16;
	p[3] = 60;
	p[7] = 36;
	p[8] = 16;
	p[11] = 16;
	p[12] = KVMB_PPI_VLAN;
	p[13] = 12;
	p[14] = 5 | 100 << 4; /* priority 5, VLAN 100 */
	memset(p + 15, 0x11, 60);
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 120), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(wire_frame(buf), 64);
	assert_int_equal(buf[12] << 8 | buf[13], 0x8100);
	assert_int_equal(buf[14] << 8 | buf[15], 5 << 13 | 100);
	assert_int_equal(buf[16], 0x11);
}

static void rndis_lies_are_dropped_with_a_status(void **state)
{
	/* word index, value: each breaks one good message of 60 bytes */
	static const struct { u32 at, v; } lies[] = {
		{ 1, 0 }, { 1, 8 }, { 1, 43 }, { 1, 105 }, { 1, 0xffffffff }, { 1, 100 }, { 0, 99 }, { 2, 0 },
		{ 2, 35 }, { 2, 97 }, { 2, 0xffffffff }, { 3, 61 }, { 3, 0xffffffff }, { 8, 4 }, { 8, 0xffffffff },
	};
	size_t i;

	(void)state;
	bring_up();
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		data_message(60)[lies[i].at] = lies[i].v;
		assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 104), KVMB_NVSP_STAT_INVALID_RNDIS);
	}
	data_message(60);
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 109), KVMB_NVSP_STAT_INVALID_RNDIS); /* junk behind */
	send(wire, "\0\0\0\0", 0, 0);
}

static void ppi_lies_do_not_loop(void **state)
{
	static const u32 sizes[] = { 0, 4, 11, 17, 0xffffffff };
	u32 *p;
	size_t i;

	(void)state;
	bring_up();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		p = rndis(KVMB_RNDIS_PACKET, 120);
		p[2] = 52;
		p[3] = 60;
		p[7] = 36;
		p[8] = 16;
		p[11] = sizes[i];
		p[13] = 12;
		assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 120), KVMB_NVSP_STAT_INVALID_RNDIS);
	}
}

static void sections_out_of_range_are_refused(void **state)
{
	static const struct { u32 index, size; } lies[] = { { 10, 100 }, { 0, 0 }, { 0, 6145 }, { 0xfffffffe, 1 },
							    { 0x7fffffff, 6144 } };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) }, a;
	struct kvmb_pkt pkt;
	size_t i;

	(void)state;
	bring_up();
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		m.u.rndis.section_index = cpu_to_le32(lies[i].index);
		m.u.rndis.section_size = cpu_to_le32(lies[i].size);
		fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
		assert_int_equal(recv_pkt(&pkt), 0);
		memcpy(&a, pkt.payload, sizeof(a));
		assert_int_equal(le32_to_cpu(a.u.rndis_complete.status), KVMB_NVSP_STAT_INVALID_RNDIS);
	}
}

static void put_on_wire(u8 fill, u32 len)
{
	u8 buf[2048];
	u32 word = htonl(len);

	memcpy(buf, &word, 4);
	memset(buf + 4, fill, len);
	assert_int_equal(send(wire, buf, len + 4, 0), len + 4);
}

static void frames_come_in_and_sections_return(void **state)
{
	u32 i, len, *r;

	(void)state;
	bring_up();
	for (i = 0; i < 1000; i++) { /* many times the number of sections */
		put_on_wire((u8)i, 60 + i);
		r = (u32 *)received(KVMB_NVSP_CHANNEL_DATA, &len);
		assert_non_null(r);
		assert_int_equal(r[0], KVMB_RNDIS_PACKET);
		assert_int_equal(r[3], 60 + i);
		assert_int_equal(((u8 *)r)[8 + r[2] + r[3] - 1], (u8)i);
	}
}

static void withheld_and_doubled_completions_cost_nobody_else(void **state)
{
	struct kvmb_net_stats st;
	struct kvmb_pkt pkt;
	u64 first = 0;
	u32 n = 0, i;

	(void)state;
	bring_up();
	for (i = 0; i < 400; i++)
		put_on_wire(1, 60);
	while (!recv_pkt(&pkt)) { /* read, never complete */
		if (!n++)
			first = pkt.trans_id;
	}
	kvmb_net_get_stats(nic, &st);
	assert_true(n < 64 * 4096 / 1728 && n > 100); /* what there are sections for, less the reserve */
	pkt.trans_id = first;
	complete_rx(&pkt);
	complete_rx(&pkt); /* twice: counted, nothing given back twice */
	pkt.trans_id = 1u << 30;
	complete_rx(&pkt);
	for (i = 0; !recv_pkt(&pkt); i++)
		;
	assert_int_equal(i, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(init_accepts_what_stock_guests_offer), T(buffers_are_taken_once_and_can_be_torn_down_after_use),
		T(oids_that_linux_needs), T(set_checks_its_buffer), T(frames_go_out_by_pages_and_by_section),
		T(a_vlan_tag_is_put_into_the_frame), T(rndis_lies_are_dropped_with_a_status),
		T(ppi_lies_do_not_loop), T(sections_out_of_range_are_refused),
		T(frames_come_in_and_sections_return), T(withheld_and_doubled_completions_cost_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
