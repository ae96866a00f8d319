// SPDX-License-Identifier: GPL-2.0-only
/* netvsp and a guest that keeps what it is given, asks for what it can, or is short of room. */
#include "host-vsp/net/net.h"

#include <sys/resource.h>

#include "lib/util.h"
#include "tests/harness/net_wire.h"

#define SMALL_PAGES 2u /* a receive buffer of few sections */

static int setup_small(void **state)
{
	recv_pages = SMALL_PAGES;
	return setup(state);
}

static int setup_slow(void **state)
{
	(void)state;
	recv_pages = SMALL_PAGES;
	make((struct kvmb_net_spec){ .mtu = 1500, .max_queues = 1, .rate = 1 });
	return 0;
}

static int setup_13_pages(void **state)
{
	(void)state;
	recv_pages = 13;
	make((struct kvmb_net_spec){ .mtu = 68, .max_queues = 1 });
	return 0;
}

static int setup_spoof(void **state)
{
	(void)state;
	make((struct kvmb_net_spec){ .mtu = 1500, .max_queues = 1, .mac_spoof = true });
	return 0;
}

/* What came as a received packet, which the guest keeps. Return: its id, 0 = nothing came. */
static u64 kept_by(int (*recv)(struct kvmb_pkt *), u32 *off, u32 *len)
{
	const struct kvmb_wire_xfer_range *r;
	struct kvmb_pkt pkt;
	u32 n;
	u16 id;

	do {
		if (recv(&pkt))
			return 0;
	} while (pkt.type != KVMB_PKT_XFER_PAGES);
	assert_int_equal(kvmb_pkt_xfer_ranges(&pkt, 1, &id, &r, &n), 0);
	*off = le32_to_cpu(r->byte_offset);
	*len = le32_to_cpu(r->byte_count);
	return pkt.trans_id;
}

static u64 kept(u32 *off, u32 *len)
{
	return kept_by(recv_pkt, off, len);
}

static void post_query(u32 oid)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(28), 0 }, cpu_to_le64(ctl_gfn + 19) };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };

	memcpy(fake_ptr(&f, (ctl_gfn + 19) << 12),
	       (const u32[7]){ KVMB_RNDIS_QUERY, 28, 77, oid, 0, 20 }, 28);
	m.u.rndis.channel_type = cpu_to_le32(KVMB_NVSP_CHANNEL_CONTROL);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, sizeof(h), &m,
				   sizeof(m)),
			 0);
}

static void give_back(u64 id)
{
	struct kvmb_pkt pkt = { .trans_id = id };

	complete_rx(&pkt);
}

/* The answer to an OID may be longer than a small frame; every section must hold it. */
static void net_answers_fit_their_sections(void **state)
{
	u8 list[32 * 6] = { 1 };
	u32 off, len, n = 0, before = 0;

	(void)state;
	bring_up();
	set_oid(KVMB_OID_802_3_MULTICAST_LIST, list, sizeof(list));
	for (;; n++) {
		post_query(KVMB_OID_802_3_MULTICAST_LIST);
		if (!kept_by(recv_if_any, &off, &len))
			break;
		assert_int_equal(len, 24 + sizeof(list));
		assert_true(off + len <= recv_pages * 4096);
		/* none lies over the one before */
		assert_true(!n || off >= before + len || off + len <= before);
		before = off;
	}
	assert_true(n > 2);
}

/*
 * Every section is with the guest, an answer waits for one, a frame stands behind it in the ring,
 * and only then come the completions that would free some.
 */
static void net_completions_behind_a_waiting_packet_count(void **state)
{
	u64 ids[16];
	u8 frame[200];
	u32 off, len, n, i;

	(void)state;
	bring_up();
	for (n = 0; n < ARRAY_SIZE(ids); n++) {
		post_query(KVMB_OID_GEN_LINK_SPEED);
		ids[n] = kept_by(recv_if_any, &off, &len);
		if (!ids[n])
			break; /* this one's answer waits */
	}
	assert_true(n >= 2 && n < ARRAY_SIZE(ids));
	post(&c, message(NO_PPI, 0, frame, tcp4(frame, other, mac, 40)));
	post_query(KVMB_OID_GEN_LINK_SPEED); /* and one that cannot be answered at all */
	for (i = 0; i < n; i++)
		give_back(ids[i]);
	assert_int_not_equal(kept(&off, &len), 0);
	assert_int_not_equal(kept(&off, &len), 0);
	for (i = 0; i < PATIENCE_MS && !counts().tx_frames; i++)
		usleep(1000);
	assert_int_equal(counts().tx_frames, 1);
	assert_int_equal(counts().rx_dropped[KVMB_DROP_MALFORMED], 0);
}

/* The same, and what stands before the completions waits for the rate limit. */
static void net_rate_does_not_hold_completions_back(void **state)
{
	u64 ids[16];
	u8 frame[1200];
	u32 off, len, n, msg;

	(void)state;
	bring_up();
	for (n = 0; n < 5 && (post_query(KVMB_OID_GEN_LINK_SPEED), ids[n] = kept(&off, &len)); n++)
		;
	assert_int_equal(n, 5);
	msg = message(NO_PPI, 0, frame, tcp4(frame, other, mac, 1000));
	post(&c, msg); /* the next may leave in a quarter of an hour */
	post(&c, msg);
	post(&c, msg);
	usleep(20000);
	while (n)
		give_back(ids[--n]);
	kvmb_net_set_link(nic, false);
	assert_int_not_equal(kept(&off, &len), 0); /* the news of it needs a section */
}

/*
 * A completion that was asked for comes, whatever the message; one that was not asked for does not.
 */
static void net_completion_asked_for_comes(void **state)
{
	static const u32 types[] = { KVMB_NVSP_SEND_NDIS_VER,
				     KVMB_NVSP_SEND_NDIS_CONFIG,
				     KVMB_NVSP_SWITCH_DATA_PATH,
				     KVMB_NVSP_REVOKE_RECV_BUF,
				     KVMB_NVSP_REVOKE_SEND_BUF,
				     150,
				     0 };
	struct kvmb_wire_nvsp m = { 0 };
	struct kvmb_pkt pkt;
	u32 i;

	(void)state;
	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		m.type = cpu_to_le32(types[i]);
		fake_send(&f, &c, KVMB_PKT_INBAND, 0, 0, NULL, 0, &m, sizeof(m));
		fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
		assert_int_equal(recv_pkt(&pkt), 0);
		assert_int_equal(pkt.type, KVMB_PKT_COMPLETION);
		assert_int_equal(pkt.trans_id, next_id);
		assert_int_equal(pkt.payload_len, 0); /* docs/protocol.md#6.12 */
	}
}

static void set_address(const char *digits)
{
	u8 cfg[20 + 28 + 24] = { 0 };
	const u32 head[5] = { 20, 28, 2, 48, 24 };
	u32 i;

	memcpy(cfg, head, sizeof(head));
	for (i = 0; i < 14; i++)
		cfg[20 + 2 * i] = (u8)"NetworkAddress"[i];
	for (i = 0; i < 12; i++)
		cfg[48 + 2 * i] = (u8)digits[i];
	set_oid(KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER, cfg, sizeof(cfg));
}

static void was_reset(void *arg)
{
	*(bool *)arg = true;
}

static void net_guest_address_ends_with_a_reset(void **state)
{
	struct kvmb_net_info info;
	bool done = false;
	u32 i;

	(void)state;
	bring_up();
	set_address("0a0b0c0d0e0f");
	kvmb_net_get_info(nic, &info);
	assert_memory_equal(info.mac, "\x0a\x0b\x0c\x0d\x0e\x0f", 6);
	kvmb_bus_reset(f.bus, was_reset, &done);
	for (i = 0; i < 1000 && !done; i++)
		kvmb_loop_once(f.loop, 2);
	assert_true(done);
	kvmb_net_get_info(nic, &info);
	assert_memory_equal(info.mac, mac, 6);
}

/*
 * `ethtool -X` of a guest with one CPU sets a table of one queue (observed with stock 5.10):
 * net_rndis.c set_rss().
 */
static void net_rss_with_one_queue_is_accepted(void **state)
{
	struct { struct kvmb_wire_ndis_rss_params p; u32 table[8]; u8 key[40];
	} r = { .p = { .h = { KVMB_NDIS_RSS_PARAMS, 2,
			      cpu_to_le16(sizeof(struct kvmb_wire_ndis_rss_params)) },
		       .hash_info = cpu_to_le32(0x101),
		       .table_size = cpu_to_le16(32),
		       .table_offset = cpu_to_le32(40),
		       .key_size = cpu_to_le16(40),
		       .key_offset = cpu_to_le32(72) } };
	u32 *p, n;

	(void)state;
	bring_up();
	set_oid(KVMB_OID_GEN_RECEIVE_SCALE_PARAMS, &r, sizeof(r));
	r.table[7] = 1; /* of which there is none */
	p = rndis(KVMB_RNDIS_SET, 28 + sizeof(r));
	p[3] = KVMB_OID_GEN_RECEIVE_SCALE_PARAMS;
	p[4] = sizeof(r);
	p[5] = 20;
	memcpy(p + 7, &r, sizeof(r));
	send_pages(KVMB_NVSP_CHANNEL_CONTROL, 28 + sizeof(r));
	assert_int_equal(((u32 *)(void *)received(KVMB_NVSP_CHANNEL_CONTROL, &n))[3],
			 KVMB_RNDIS_STATUS_INVALID_DATA);
}

/* A channel that opens works; one for which there is no descriptor does not open. */
static void net_open_without_descriptors_fails(void **state)
{
	struct rlimit old, few;
	u32 i, err = 1;
	int lowest;

	(void)state;
	fake_close(&f, &c);
	lowest = dup(0);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &old);
	for (i = 0; err; i++) {
		few = (struct rlimit){ .rlim_cur = (rlim_t)lowest + i, .rlim_max = old.rlim_max };
		setrlimit(RLIMIT_NOFILE, &few);
		err = fake_open(&f, &c, le32_to_cpu(offer.relid), 16);
		if (err)
			fake_unmap(&c);
		assert_true(i < 20);
	}
	setrlimit(RLIMIT_NOFILE, &old);
	assert_true(i > 1);
	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
}

/*
 * While the primary's worker deals with requests that change what its others look at, and tells
 * them, they end, and their descriptors' numbers go to others. For TSan: close() against write().
 */
static void net_subs_close_under_control_traffic(void **state)
{
	struct { struct kvmb_wire_gpa_direct g; struct kvmb_wire_gparange r; __le64 pfn; } h = {
		{ 0, cpu_to_le32(1) }, { cpu_to_le32(32), 0 }, cpu_to_le64(ctl_gfn + 18) };
	const u32 set_filter[8] = {
		KVMB_RNDIS_SET, 32, 77, KVMB_OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0, 0x0d
	};
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u32 round, i, relid;

	(void)state;
	bring_up();
	assert_int_equal(open_subs(3), 3);
	memcpy(fake_ptr(&f, (ctl_gfn + 18) << 12), set_filter, sizeof(set_filter));
	m.u.rndis.channel_type = cpu_to_le32(KVMB_NVSP_CHANNEL_CONTROL);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	for (round = 0; round < 40; round++) {
		struct fake_chan *ch = &sub[1 + round % 3];

		for (i = 0; i < 30; i++)
			fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, 1u << 30, &h, sizeof(h), &m,
				  sizeof(m));
		relid = ch->relid;
		fake_close(&f, ch);
		for (i = 0; i < 30; i++)
			fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, 1u << 30, &h, sizeof(h), &m,
				  sizeof(m));
		f.next_gfn = ch->first_gfn; /* the box has no other use for the pages of its ring */
		assert_int_equal(fake_open(&f, ch, relid, 16), 0);
		skip_all(&c);
	}
}

#define EMPTY 44u   /* bytes of a message without a frame */
#define PER_RANGE 20u /* pages */

/* 32 ranges of the same pages, full of empty messages: as many as one packet can hold. */
static void post_empty_messages(void)
{
	struct {
		struct kvmb_wire_gpa_direct g;
		struct {
			struct kvmb_wire_gparange r;
			__le64 pfn[PER_RANGE];
		} part[32];
	} h;
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u32 i, k;

	memset(&h, 0, sizeof(h));
	h.g.range_count = cpu_to_le32(32);
	for (i = 0; i < 32; i++) {
		h.part[i].r.byte_count = cpu_to_le32(PER_RANGE * 4096 / EMPTY * EMPTY);
		for (k = 0; k < PER_RANGE; k++)
			h.part[i].pfn[k] = cpu_to_le64(ctl_gfn + k);
	}
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, sizeof(h), &m,
				   sizeof(m)),
			 0);
}

static u64 now_us(void)
{
	return kvmb_mono_ns() / 1000;
}

/*
 * We said how many messages a packet may hold; more would keep the queue's lock from the main
 * thread.
 */
static void net_tx_countless_messages_are_refused(void **state)
{
	u8 *p = fake_ptr(&f, ctl_gfn << 12);
	struct kvmb_net_info info;
	u64 start, longest = 0;
	u32 i;

	(void)state;
	bring_up();
	memset(p, 0, PER_RANGE * 4096);
	for (i = 0; i + EMPTY <= PER_RANGE * 4096; i += EMPTY)
		memcpy(p + i, (const u32[4]){ KVMB_RNDIS_PACKET, EMPTY, 36 }, 16);
	for (i = 0; i < 8; i++) {
		post_empty_messages();
		for (start = now_us(); now_us() - start < 200;)
			;
		start = now_us();
		kvmb_net_get_info(nic, &info);
		longest = KVMB_MAX(longest, now_us() - start);
	}
	print_message("the main thread waited for at most %llu us\n", (unsigned long long)longest);
	for (i = 0; i < 8; i++)
		assert_int_equal(status_on(&c), KVMB_NVSP_STAT_INVALID_RNDIS);
	assert_true(counts().tx_dropped[KVMB_DROP_SIZE] <= 8 * KVMB_RNDIS_PACKETS_MAX);
}

/*
 * The guest reads nothing until only @room bytes are left of its ring. Return: completions that it
 * has not read.
 */
static u32 fill_ring(u32 room)
{
	u8 frame[200];
	/* not its address: dropped */
	u32 n = 0, i, len = message(NO_PPI, 0, frame, tcp4(frame, mac, other, 40));

	for (; c.rx.size - kvmb_ring_used(&c.rx, false) > room; n++) {
		post(&c, len);
		for (i = 0; i < 50000 && kvmb_ring_used(&c.rx, false) < (n + 1) * 64; i++)
			usleep(100);
		assert_int_equal(kvmb_ring_used(&c.rx, false), (n + 1) * 64);
	}
	return n;
}

/* There is room for the packet's completion, but not for the answer: that comes when there is. */
static void net_answer_waits_for_room_in_the_ring(void **state)
{
	u8 frame[200];
	u32 off, len, n;
	struct got g;

	(void)state;
	bring_up();
	n = fill_ring(128);
	post_query(KVMB_OID_GEN_LINK_SPEED);
	usleep(20000);
	while (n--)
		assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	give_back(kept(&off, &len));
	assert_int_equal(len, 28);
	arrive(0, &plain, frame, tcp4(frame, mac, other, 40));
	assert_true(frame_on(&c, &g));
}

/* The same with a frame, when no other comes after it. */
static void net_rx_frame_waits_for_room_in_the_ring(void **state)
{
	u8 frame[200];
	struct got g;
	u32 n;

	(void)state;
	bring_up();
	n = fill_ring(64);
	arrive(0, &plain, frame, tcp4(frame, mac, other, 40));
	usleep(20000);
	while (n--)
		assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	assert_true(frame_on(&c, &g));
	assert_int_equal(g.len, 94);
}

/*
 * What cannot be answered yet, for lack of a receive buffer, does not keep the guest from giving
 * one.
 */
static void net_buffer_may_come_after_the_first_question(void **state)
{
	struct kvmb_wire_nvsp m;
	u32 off, len;

	(void)state;
	assert_int_equal(ask_init(KVMB_NVSP_V61), KVMB_NVSP_STAT_SUCCESS);
	post_query(KVMB_OID_GEN_LINK_SPEED);
	assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(ask_recv_buf(recv_gpadl, &m), KVMB_NVSP_STAT_SUCCESS);
	assert_int_not_equal(kept(&off, &len), 0);
}

/* Nor does news of the link while there is none, between two buffers. */
static void net_link_may_change_between_two_buffers(void **state)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_REVOKE_RECV_BUF) };
	struct kvmb_pkt pkt;
	u32 off, len;

	(void)state;
	bring_up();
	fake_send(&f, &c, KVMB_PKT_INBAND, 1, ++next_id, NULL, 0, &m, sizeof(m));
	assert_int_equal(recv_pkt(&pkt), 0);
	kvmb_net_set_link(nic, false);
	usleep(20000);
	assert_int_equal(ask_recv_buf(recv_gpadl, &m), KVMB_NVSP_STAT_SUCCESS);
	assert_int_not_equal(kept(&off, &len), 0);
}

static bool is_full(void)
{
	bool full;

	net_slot_lock(&nic->slots[0]);
	full = nic->slots[0].q->full;
	net_slot_unlock(&nic->slots[0]);
	return full;
}

/* Frames until the backend takes no more, and a question behind the one that waits. */
static void fill_backend(void)
{
	u8 frame[1200];
	u32 len = message(NO_PPI, 0, frame, tcp4(frame, other, mac, 1000));

	for (;;) {
		post(&c, len);
		while (!kvmb_ring_readable(&c.rx) && !is_full())
			usleep(100);
		if (is_full())
			break;
		assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	}
	post_query(KVMB_OID_GEN_LINK_SPEED);
}

static void both_are_completed(void)
{
	struct kvmb_pkt pkt;
	u32 completed = 0, tries;

	for (tries = 0; completed < 2 && tries < 10; tries++) /* news and answers come, too */
		completed += !recv_pkt(&pkt) && pkt.type == KVMB_PKT_COMPLETION;
	assert_int_equal(completed, 2);
}

/*
 * A backend that takes no more ends, and nobody hangs up (a child of passt's may have its socket):
 * nothing waits for it.
 */
static void net_backend_gone_completes_what_waits(void **state)
{
	(void)state;
	bring_up();
	fill_backend();
	__atomic_store_n(&nic->backend_gone, true, __ATOMIC_RELEASE); /* as net_nic.c on_news() */
	kvmb_net_set_link(nic, true);
	both_are_completed();
	assert_int_equal(counts().tx_dropped[KVMB_DROP_LINK], 1);
}

/* One that hangs: frames are lost, and questions answered. When it goes on, so do frames. */
static void net_backend_hang_does_not_hang_the_guest(void **state)
{
	struct virtio_net_hdr vnet;
	u8 buf[2048];
	u64 sent;

	(void)state;
	bring_up();
	fill_backend();
	both_are_completed();
	assert_int_equal(counts().tx_dropped[KVMB_DROP_BACKEND], 1);
	for (sent = counts().tx_frames; sent; sent--)
		assert_int_equal(left(0, &vnet, buf, sizeof(buf)), 1054);
	skip_all(&c);
	post(&c, message(NO_PPI, 0, buf, tcp4(buf, other, mac, 40)));
	assert_int_equal(status_on(&c), KVMB_NVSP_STAT_SUCCESS);
	assert_int_equal(left(0, &vnet, buf, sizeof(buf)), 94);
}

#define WITH(name, how) cmocka_unit_test_setup_teardown(name, how, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(net_answers_fit_their_sections, setup_13_pages),
		WITH(net_completions_behind_a_waiting_packet_count, setup_small),
		WITH(net_rate_does_not_hold_completions_back, setup_slow),
		T(net_completion_asked_for_comes),
		WITH(net_guest_address_ends_with_a_reset, setup_spoof),
		WITH(net_rss_with_one_queue_is_accepted, setup_spoof),
		T(net_open_without_descriptors_fails),
		T(net_subs_close_under_control_traffic),
		T(net_tx_countless_messages_are_refused),
		T(net_answer_waits_for_room_in_the_ring),
		T(net_rx_frame_waits_for_room_in_the_ring),
		T(net_buffer_may_come_after_the_first_question),
		T(net_link_may_change_between_two_buffers),
		T(net_backend_gone_completes_what_waits),
		T(net_backend_hang_does_not_hang_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
