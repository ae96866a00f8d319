// SPDX-License-Identifier: GPL-2.0-only
/* netvsp through the fake VMM: negotiation, OIDs, frames both ways over a socket, liars. */
#include "host-vsp/net/net.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/net_guest.h"

static int wire; /* the far end of the cable */

static int setup(void **state)
{
	struct kvmb_net_spec spec = { .mtu = 1500, .max_queues = 1, .mac_spoof = true };
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	wire = sv[1];
	memcpy(spec.mac, mac, sizeof(mac));
	box(&spec, kvmb_net_stream_open(sv[0]));
	return 0;
}

/* One page of ring for the host to write in, and sections that last for all frames of a test. */
static int setup_small_ring(void **state)
{
	ring_pages = 2;
	recv_pages = 1000;
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	ring_pages = 16;
	recv_pages = RECV_PAGES;
	unbox();
	close(wire);
	return 0;
}

static void net_init_accepts_stock_versions(void **state)
{
	(void)state;
	assert_int_equal(ask_init(0x70000), KVMB_NVSP_STAT_TOO_NEW);
	assert_int_equal(ask_init(0x20000), KVMB_NVSP_STAT_TOO_OLD);
	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(ask_init(KVMB_NVSP_V5), KVMB_NVSP_STAT_FAIL); /* twice */
}

static void net_buffers_are_taken_once_and_returned(void **state)
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

static void net_oids_of_linux_are_answered(void **state)
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

static void net_set_checks_its_buffer(void **state)
{
	static const struct { u32 len, off, status;
	} c2[] = {
		{ 4, 20, 0 },
		{ 4, 0xfffffff0, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 0xffffffff, 20, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 4, 24, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 4, 0, KVMB_RNDIS_STATUS_INVALID_LENGTH },
		{ 0, 0, KVMB_RNDIS_STATUS_INVALID_LENGTH },
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
		assert_int_equal(((u32 *)received(KVMB_NVSP_CHANNEL_CONTROL, &len))[3],
				 c2[i].status);
	}
	p = rndis(KVMB_RNDIS_SET, 36); /* a switch-internal OID that once held a pointer */
	p[3] = 0x10270;
	p[4] = 8;
	p[5] = 20;
	p[7] = 0xdeadbeef;
	send_pages(KVMB_NVSP_CHANNEL_CONTROL, 36);
	assert_int_equal(((u32 *)received(KVMB_NVSP_CHANNEL_CONTROL, &len))[3],
			 KVMB_RNDIS_STATUS_NOT_SUPPORTED);
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

static void net_tx_by_pages_and_by_section(void **state)
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

static void net_tx_vlan_tag_is_put_into_the_frame(void **state)
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

static void net_tx_rndis_lies_are_dropped(void **state)
{
	/* word index, value: each breaks one good message of 60 bytes */
	static const struct { u32 at, v;
	} lies[] = {
		{ 1, 0 },	   { 1, 8 },  { 1, 43 },	 { 1, 105 }, { 1, 0xffffffff },
		{ 1, 100 },	   { 0, 99 }, { 2, 0 },		 { 2, 35 },  { 2, 97 },
		{ 2, 0xffffffff }, { 3, 61 }, { 3, 0xffffffff }, { 8, 4 },   { 8, 0xffffffff },
	};
	size_t i;

	(void)state;
	bring_up();
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		data_message(60)[lies[i].at] = lies[i].v;
		assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 104),
				 KVMB_NVSP_STAT_INVALID_RNDIS);
	}
	data_message(60);
	/* junk behind */
	assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 109), KVMB_NVSP_STAT_INVALID_RNDIS);
	send(wire, "\0\0\0\0", 0, 0);
}

static void net_tx_ppi_lies_do_not_loop(void **state)
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
		assert_int_equal(send_pages(KVMB_NVSP_CHANNEL_DATA, 120),
				 KVMB_NVSP_STAT_INVALID_RNDIS);
	}
}

static void net_tx_section_out_of_range_is_refused(void **state)
{
	static const struct {
		u32 index, size;
	} lies[] = { { 10, 100 }, { 0, 0 }, { 0, 6145 }, { 0xfffffffe, 1 }, { 0x7fffffff, 6144 } };
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
		assert_int_equal(le32_to_cpu(a.u.rndis_complete.status),
				 KVMB_NVSP_STAT_INVALID_RNDIS);
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

static void net_rx_sections_return(void **state)
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

static u32 ranges(const struct kvmb_pkt *pkt)
{
	const struct kvmb_wire_xfer_range *r;
	u32 n;
	u16 id;

	assert_int_equal(kvmb_pkt_xfer_ranges(pkt, NET_RX_RANGES, &id, &r, &n), 0);
	return n;
}

/*
 * The host reads them with one call, and its descriptor does not tell of the second and third any
 * more.
 */
static void net_rx_frames_read_at_once_all_arrive(void **state)
{
	u8 buf[3 * 64] = { 0 };
	struct kvmb_pkt pkt;
	u32 i, n;

	(void)state;
	bring_up();
	for (i = 0; i < 3; i++)
		buf[i * 64 + 3] = 60;
	assert_int_equal(send(wire, buf, sizeof(buf), 0), sizeof(buf));
	for (n = 0; n < 3 && !recv_pkt(&pkt); n += ranges(&pkt))
		;
	assert_int_equal(n, 3);
}

/* The first is larger than any section; the one behind it came with the same read. */
static void net_rx_frame_behind_one_too_large_arrives(void **state)
{
	static u8 buf[4 + 3000 + 64];
	struct kvmb_pkt pkt;

	(void)state;
	bring_up();
	buf[2] = 3000 >> 8;
	buf[3] = 3000 & 0xff;
	buf[4 + 3000 + 3] = 60;
	assert_int_equal(send(wire, buf, sizeof(buf), 0), sizeof(buf));
	assert_int_equal(recv_pkt(&pkt), 0);
	assert_int_equal(ranges(&pkt), 1);
}

#define MANY 600u
#define MANY_LEN 20u

/* MANY frames in one piece, their numbers behind the Ethernet header. */
static void send_many(void)
{
	static u8 buf[MANY * (4 + MANY_LEN)];
	u32 i, len = htonl(MANY_LEN);

	for (i = 0; i < MANY; i++) {
		memcpy(buf + i * (4 + MANY_LEN), &len, sizeof(len));
		memcpy(buf + i * (4 + MANY_LEN) + 4 + NET_ETH_LEN, &i, sizeof(i));
	}
	assert_int_equal(send(wire, buf, sizeof(buf), 0), sizeof(buf));
}

/* The numbers of @pkt's frames continue at @next. Return: where the next packet's do. */
static u32 numbers_go_on(const struct kvmb_pkt *pkt, u32 next)
{
	const struct kvmb_wire_xfer_range *r;
	const u8 *m;
	u32 n, i, data, number;
	u16 id;

	assert_int_equal(kvmb_pkt_xfer_ranges(pkt, NET_RX_RANGES, &id, &r, &n), 0);
	for (i = 0; i < n; i++) {
		m = (u8 *)fake_ptr(&f, recv_gfn << 12) + le32_to_cpu(r[i].byte_offset);
		memcpy(&data, m + 8, sizeof(data));
		memcpy(&number, m + 8 + data + NET_ETH_LEN, sizeof(number));
		assert_int_equal(number, next++);
	}
	return next;
}

static bool host_wants_room(void)
{
	return __atomic_load_n(&c.rx.ctrl->pending_send_sz, __ATOMIC_ACQUIRE);
}

/*
 * The backend has read all of them when the ring is full, so its descriptor tells of nothing. Only
 * room in the ring wakes the host: the guest gives no section back.
 */
static void net_rx_frames_behind_a_full_ring_arrive(void **state)
{
	struct kvmb_net_stats st = { 0 };
	struct kvmb_pkt pkt;
	u32 n = 0, i;

	(void)state;
	bring_up();
	send_many();
	for (i = 0; i < PATIENCE_MS && !host_wants_room(); i++)
		usleep(1000);
	kvmb_net_get_stats(nic, &st);
	assert_in_range(st.rx_frames, 1, MANY - 1);
	while (n < MANY && !recv_pkt(&pkt))
		n = numbers_go_on(&pkt, n);
	assert_int_equal(n, MANY);
}

static void net_rx_false_completions_harm_only_the_guest(void **state)
{
	struct kvmb_net_stats st;
	struct kvmb_pkt pkt;
	u64 first = 0;
	u32 n = 0, of_first = 0, i;

	(void)state;
	bring_up();
	for (i = 0; i < 400; i++)
		put_on_wire(1, 60);
	while (!recv_if_any(&pkt)) { /* read, never complete */
		if (!n) {
			first = pkt.trans_id;
			of_first = ranges(&pkt);
		}
		n += ranges(&pkt);
	}
	kvmb_net_get_stats(nic, &st);
	assert_int_equal(st.rx_frames, n);
	/* what there are sections for, less a reserve */
	assert_true(n < RECV_PAGES * 4096 / 1632 && n > 90);
	pkt.trans_id = first;
	complete_rx(&pkt);
	complete_rx(&pkt); /* twice: counted, nothing given back twice */
	pkt.trans_id = 1u << 30;
	complete_rx(&pkt);
	for (i = 0; !recv_if_any(&pkt);)
		i += ranges(&pkt);
	assert_int_equal(i, of_first);
}

/*
 * What says that it is longer than any frame is no stream of frames; thrown away, it would keep the
 * queue's lock.
 */
static void net_rx_endless_frame_ends_the_backend(void **state)
{
	static const u8 endless[65536] = { 0xff, 0xff, 0xff, 0xff };
	struct kvmb_net_info info = { .connected = true };
	u32 i;

	(void)state;
	bring_up();
	for (i = 0; i < PATIENCE_MS && info.connected; i++) {
		send(wire, endless, sizeof(endless), MSG_DONTWAIT | MSG_NOSIGNAL);
		usleep(1000);
		kvmb_net_get_info(nic, &info);
	}
	assert_false(info.connected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(net_init_accepts_stock_versions),
		T(net_buffers_are_taken_once_and_returned),
		T(net_oids_of_linux_are_answered),
		T(net_set_checks_its_buffer),
		T(net_tx_by_pages_and_by_section),
		T(net_tx_vlan_tag_is_put_into_the_frame),
		T(net_tx_rndis_lies_are_dropped),
		T(net_tx_ppi_lies_do_not_loop),
		T(net_tx_section_out_of_range_is_refused),
		T(net_rx_sections_return),
		T(net_rx_frames_read_at_once_all_arrive),
		T(net_rx_frame_behind_one_too_large_arrives),
		cmocka_unit_test_setup_teardown(net_rx_frames_behind_a_full_ring_arrive,
						setup_small_ring, teardown),
		T(net_rx_false_completions_harm_only_the_guest),
		T(net_rx_endless_frame_ends_the_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
