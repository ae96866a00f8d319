// SPDX-License-Identifier: GPL-2.0-only
/* A NIC is saved and goes on in another process; and loads what nobody has saved. */
#include "host-vsp/net/net_state.h"

#include "tests/harness/net_move.h"
#include "tests/harness/tlv_edit.h"

#define MOVES 40u

static int end(void **state)
{
	forget_file();
	ring_pages = 16;
	return teardown(state);
}

static void net_moves_lose_nothing(void **state)
{
	u32 i;

	(void)state;
	start(1);
	for (i = 0; i < MOVES; i++) {
		some_traffic();
		some_traffic();
		move();
		some_traffic();
		if (i % 4 == 0)
			wait_for_all();
	}
	wait_for_all();
	all_sections_come_back();
	there_was_traffic(MOVES / 2);
}

/* ---- a NIC that has its hands full ---- */

static const u8 groups[2][6] = { { 1, 0, 0x5e, 0, 0, 1 }, { 0x33, 0x33, 0, 0, 0, 1 } };
static const u8 key[40] = { 7 };

static void set_rss(void)
{
	const struct {
		struct kvmb_wire_ndis_rss_params p;
		u32 table[8];
		u8 key[40];
	} rss = {
		.p = { .h = { KVMB_NDIS_RSS_PARAMS, 2,
			      cpu_to_le16(sizeof(struct kvmb_wire_ndis_rss_params)) },
		       .hash_info = cpu_to_le32(0x101),
		       .table_size = cpu_to_le16(32),
		       .table_offset = cpu_to_le32(40),
		       .key_size = cpu_to_le16(40),
		       .key_offset = cpu_to_le32(72) },
		.table = { 0, 1, 2, 3, 0, 1, 2, 3 },
		.key = { 7 },
	};

	set_oid(KVMB_OID_GEN_RECEIVE_SCALE_PARAMS, &rss, sizeof(rss));
}

static int setup_full(void **state)
{
	ring_pages = 3; /* so that the primary's fills soon */
	recv_pages = RECV_PAGES_LARGE;
	return setup(state);
}

static void ask_without_listening(u32 oid)
{
	struct {
		struct kvmb_wire_gpa_direct g;
		struct kvmb_wire_gparange r;
		__le64 pfn;
	} h = { { 0, cpu_to_le32(1) }, { cpu_to_le32(28), 0 }, cpu_to_le64(ctl_gfn) };
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u32 *p = rndis(KVMB_RNDIS_QUERY, 28);

	p[3] = oid;
	m.u.rndis.channel_type = cpu_to_le32(KVMB_NVSP_CHANNEL_CONTROL);
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	assert_int_equal(
		fake_send(&f, &c, KVMB_PKT_GPA_DIRECT, 1, ++next_id, &h, 24, &m, sizeof(m)), 0);
}

static bool primary_has(bool (*what)(const struct net_queue *q))
{
	bool has;

	net_slot_lock(&nic->slots[0]);
	has = what(nic->slots[0].q);
	net_slot_unlock(&nic->slots[0]);
	return has;
}

static bool frames_wait(const struct net_queue *q)
{
	return q->batch.num;
}

static bool answers_wait(const struct net_queue *q)
{
	return q->held && q->reply_len;
}

static void wait_until(bool (*what)(const struct net_queue *q), bool (*step)(u32 q))
{
	int i;

	for (i = 0; i < (int)PATIENCE_MS && !primary_has(what); i++) {
		if (step)
			step(0);
		usleep(500);
	}
	assert_true(primary_has(what));
}

/* A packet for each frame, so that the ring is full before the sections are gone. */
static bool network_sends_one(u32 q)
{
	u64 had = counts().rx_frames;
	int i;

	network_sends(q);
	for (i = 0; i < (int)PATIENCE_MS && counts().rx_frames == had && !primary_has(frames_wait);
	     i++)
		usleep(200);
	return true;
}

/* Frames that found no room, behind them a completion, behind that an answer; it stands, saved. */
static void fill_hands(void)
{
	start(6);
	rsc_on();
	set_oid(KVMB_OID_802_3_MULTICAST_LIST, groups, sizeof(groups));
	set_rss();
	wait_until(frames_wait, network_sends_one);
	ask_without_listening(KVMB_OID_GEN_LINK_SPEED);
	wait_until(answers_wait, NULL);
	pause_all();
	save_to_file();
	end_process();
}

static void begin_with_file(void)
{
	assert_int_equal(begin_process(file.o.buf, file.o.len), 0);
	find_all_rings_again();
}

/* The next packet of the primary that is no frame. */
static void next_but_frames(struct kvmb_pkt *pkt)
{
	struct kvmb_wire_nvsp m;

	for (;;) {
		assert_int_equal(recv_pkt(pkt), 0);
		if (pkt->type != KVMB_PKT_XFER_PAGES)
			return;
		memcpy(&m, pkt->payload, sizeof(m));
		if (le32_to_cpu(m.u.rndis.channel_type) == KVMB_NVSP_CHANNEL_CONTROL)
			return;
		got_frames(0, pkt);
	}
}

static void net_full_hands_arrive_full(void **state)
{
	struct kvmb_tlv_out again = { 0 };
	struct kvmb_net_info info;
	struct kvmb_pkt pkt;
	size_t end_of_net;

	(void)state;
	fill_hands();
	begin_with_file();
	kvmb_net_save(nic, &again);
	end_of_net = tlv_section(file.o.buf, file.o.len, KVMB_SEC_BUS, 0);
	assert_int_equal(again.len, end_of_net);
	assert_memory_equal(again.buf, file.o.buf, end_of_net);
	kvmb_tlv_out_fini(&again);
	kvmb_net_get_info(nic, &info);
	assert_true(info.rsc && info.rss && info.link);
	assert_int_equal(info.open_queues, QUEUES);
	assert_memory_equal(nic->rndis.multicast, groups, sizeof(groups));
	assert_memory_equal(nic->rndis.rss.key, key, sizeof(key));
	kvmb_bus_resume(f.bus);
	next_but_frames(&pkt);
	assert_int_equal(pkt.type, KVMB_PKT_COMPLETION);
	assert_int_equal(pkt.trans_id, next_id);
	next_but_frames(&pkt);
	assert_int_equal(pkt.type, KVMB_PKT_XFER_PAGES); /* the answer */
	done_with(&c, &pkt);
	wait_for_all();
	all_sections_come_back();
}

static bool packet_waits(const struct net_queue *q)
{
	return q->full && kvmb_ring_readable(&q->io->rx);
}

static u32 spare; /* sections of the primary, without one that the guest has */

static bool looked_ahead(const struct net_queue *q)
{
	return q->ahead_bytes && q->num_free > spare;
}

static bool guest_sends_on(u32 q)
{
	guest_receives(q);
	return guest_sends(q);
}

/* It does not move: something else wakes the worker. */
static bool wake(u32 q)
{
	(void)q;
	kvmb_net_set_link(nic, true);
	return true;
}

/* Nobody takes the guest's frames, and its completions stand behind them. */
static void net_completions_that_were_seen_are_not_seen_twice(void **state)
{
	u16 generation;

	(void)state;
	start(9);
	network_sends(0);
	while (!num_kept)
		guest_receives(0);
	wait_until(packet_waits, guest_sends_on);
	spare = nic->slots[0].q->num_free;
	give_back(0);
	wait_until(looked_ahead, wake);
	pause_all();
	assert_true(looked_ahead(nic->slots[0].q));
	generation = nic->slots[0].q->generation;
	save_to_file();
	end_process();
	begin_with_file();
	assert_int_equal(nic->slots[0].q->generation, generation);
	kvmb_bus_resume(f.bus);
	wait_for_all();
	all_sections_come_back();
}

/* ---- changes of its owner's ---- */

static void net_changes_are_kept(void **state)
{
	struct kvmb_net_info info;

	(void)state;
	start(7);
	assert_int_equal(kvmb_net_set_mtu(nic, 1400), 0);
	kvmb_net_set_link(nic, false);
	usleep(10000);
	skip_all(&c); /* it was told */
	move();
	kvmb_net_get_info(nic, &info);
	assert_int_equal(info.mtu, 1400);
	assert_int_equal(info.guest_mtu, 1500); /* until it comes up again */
	assert_false(info.link);
	assert_false(kvmb_net_is_leaving(nic));
	kvmb_net_set_link(nic, true);
	wait_for_all();
}

static void gone(void *arg, struct kvmb_net *n)
{
	(void)arg, (void)n;
}

static void net_removal_is_remembered(void **state)
{
	(void)state;
	start(8);
	kvmb_net_remove(nic, gone, NULL);
	move();
	assert_true(kvmb_net_is_leaving(nic));
	move();
	assert_true(kvmb_net_is_leaving(nic));
}

/* ---- what nobody has saved ---- */

#define NET KVMB_SEC_NET
#define BUS KVMB_SEC_BUS
#define CHAN 8, 13 /* the primary's group in the section of the bus */

static bool refused(const u8 *p, size_t len)
{
	bool no = begin_process(p, len);

	end_process();
	return no;
}

/* Is the file refused when the bytes of a field are others, or (NULL) it is missing? */
static bool refused_with(u32 tag, const unsigned int *path, const void *bytes, u32 len)
{
	size_t size = file.o.len;
	u8 *p = malloc(size);
	struct tlv_at at;
	bool no;

	assert_non_null(p);
	memcpy(p, file.o.buf, size);
	at = tlv_path(p, size, tag, 0, path);
	tlv_replace(&p, &size, &at, bytes, len);
	no = refused(p, size);
	free(p);
	return no;
}

static void net_missing_fields_are_refused(void **state)
{
	static const struct {
		u32 tag;
		unsigned int path[6];
		bool optional;
	} fields[] = {
		{ NET, { 1 } },
		{ NET, { 2 } },
		{ NET, { 3 } },
		{ NET, { 4 } },
		{ NET, { 5 } },
		{ NET, { 6 } },
		{ NET, { 7 } },
		{ NET, { 8 } },
		{ NET, { 9 } },
		{ NET, { 10 } },
		{ NET, { 11 } },
		{ NET, { 12 } },
		{ NET, { 13 }, true },
		{ NET, { 14 } },
		{ NET, { 14, 1 } },
		{ NET, { 14, 2 } },
		{ NET, { 14, 3 } },
		{ NET, { 14, 4 } },
		{ NET, { 14, 5 } },
		{ NET, { 14, 6 } },
		{ NET, { 14, 7 }, true },
		{ NET, { 14, 7, 1 } },
		{ NET, { 14, 7, 2 } },
		{ NET, { 14, 7, 3 } },
		{ NET, { 15 } },
		{ NET, { 15, 1 } },
		{ NET, { 15, 2 } },
		{ NET, { 15, 3 }, true },
		{ NET, { 15, 3, 1 } },
		{ NET, { 15, 3, 2 } },
		{ NET, { 15, 3, 3 } },
		{ BUS, { CHAN, 1 } },
		{ BUS, { CHAN, 2 } },
		{ BUS, { CHAN, 3 } },
		{ BUS, { CHAN, 4 } },
		{ BUS, { CHAN, 5 }, true },
		{ BUS, { CHAN, 6 }, true },
		{ BUS, { CHAN, 7 } },
		{ BUS, { CHAN, 8 } },
		{ BUS, { CHAN, 5, 1 } },
		{ BUS, { CHAN, 5, 2 } },
		{ BUS, { CHAN, 5, 3 } },
		{ BUS, { CHAN, 5, 4 } },
		{ BUS, { CHAN, 5, 5 } },
		{ BUS, { CHAN, 6, 1 } },
		{ BUS, { CHAN, 6, 2 } },
	};
	bool no;
	u32 i;

	(void)state;
	fill_hands();
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		no = refused_with(fields[i].tag, fields[i].path, NULL, 0);
		if (no == fields[i].optional)
			print_message("field %u of the table\n", i);
		assert_int_equal(no, !fields[i].optional);
	}
	begin_with_file();
}

static void net_numbers_out_of_range_are_refused(void **state)
{
	static const struct {
		u32 tag;
		unsigned int path[6];
		u64 value;
	} fields[] = {
		{ NET, { 1 }, NET_NUM_STATES },
		{ NET, { 1 }, NET_CLOSED }, /* with buffers */
		{ NET, { 2 }, KVMB_NVSP_V61 + 1 },
		{ NET, { 3 }, KVMB_NET_MTU_MIN - 1 },
		{ NET, { 3 }, KVMB_NET_MTU_MAX + 1 },
		{ NET, { 3 }, KVMB_NET_MTU_MAX }, /* sections are too small for that */
		{ NET, { 5 }, 0 },
		{ NET, { 5 }, QUEUES + 1 },
		{ NET, { 5 }, QUEUES - 1 },
		{ NET, { 6 }, QUEUES },
		{ NET, { 6 }, 1 }, /* there are channels */
		{ NET, { 7 }, KVMB_NET_MTU_MIN - 1 },
		{ NET, { 7 }, KVMB_NET_MTU_MAX + 1 },
		{ NET, { 8 }, 2 },
		{ NET, { 9 }, 2 },
		{ NET, { 12 }, 1 },
		{ NET, { 12 }, 1ull << 32 },
		{ NET, { 13 }, 1 },
		{ NET, { 14, 1 }, 2 },
		{ NET, { 14, 2 }, 2 },
		{ NET, { 14, 2 }, 0 },
		{ NET, { 14, 3 }, 1ull << 32 },
		{ NET, { 14, 5 }, 2 },
		{ NET, { 14, 6 }, 2 },
		{ NET, { 14, 7, 1 }, 1ull << 32 },
		{ NET, { 15, 1 }, KVMB_RNDIS_REPLY_MAX - 1 },
		{ NET, { 15, 1 }, 1700 },
		{ NET, { 15, 1 }, NET_SECTION_MAX },
		{ NET, { 15, 1 }, NET_SECTION_MAX + 1 },
		{ NET, { 15, 2 }, 1 },
		{ NET, { 15, 2 }, 90 },
		{ NET, { 15, 2 }, 513 },
		{ NET, { 15, 2 }, NET_NO_SECTION },
		{ NET, { 15, 3, 1 }, 0 },
		{ NET, { 15, 3, 1 }, 0x1ffff },
		{ NET, { 15, 3, 2 }, QUEUES },
		{ BUS, { CHAN, 2 }, 65536 },
		{ BUS, { CHAN, 3 }, 2 * 4096 + 1 },
		{ BUS, { CHAN, 4 }, 2 },
		{ BUS, { CHAN, 8 }, 2 },
		{ BUS, { CHAN, 5, 3 }, 2 },
		{ BUS, { CHAN, 5, 4 }, NET_RX_RANGES + 1 },
		{ BUS, { CHAN, 5, 5 }, UINT32_MAX },
	};
	u32 i;

	(void)state;
	fill_hands();
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (refused_with(fields[i].tag, fields[i].path, &fields[i].value, 8))
			continue;
		print_message("number %u of the table\n", i);
		fail();
	}
	begin_with_file();
}

/* The list there is, with one number more. */
static bool refused_with_one_more(u32 tag, const unsigned int *path, u64 more)
{
	struct tlv_at at = tlv_path(file.o.buf, file.o.len, tag, 0, path);
	u8 *list = malloc(at.len + 8);
	bool no;

	assert_non_null(list);
	memcpy(list, file.o.buf + at.pos + TLV_FIELD_HEAD, at.len);
	memcpy(list + at.len, &more, 8);
	no = refused_with(tag, path, list, at.len + 8);
	free(list);
	return no;
}

static u64 first_of(u32 tag, const unsigned int *path)
{
	struct tlv_at at = tlv_path(file.o.buf, file.o.len, tag, 0, path);

	assert_true(at.len >= 8);
	return tlv_u64(file.o.buf + at.pos + TLV_FIELD_HEAD);
}

static void net_sections_belong_to_one(void **state)
{
	static const unsigned int packet[] = { 15, 3, 3, 0 }, batch[] = { CHAN, 5, 1, 0 },
				  at_hand[] = { CHAN, 1, 0 };
	const u64 in_packet = first_of(NET, packet), in_batch = first_of(BUS, batch),
		  is_free = first_of(BUS, at_hand);
	u64 none;

	(void)state;
	assert_true(refused_with_one_more(NET, packet, in_packet));
	assert_true(refused_with_one_more(NET, packet, is_free));
	assert_true(refused_with_one_more(NET, packet, 512));
	assert_true(refused_with_one_more(NET, packet, UINT64_MAX));
	assert_true(refused_with_one_more(BUS, at_hand, is_free));
	assert_true(refused_with_one_more(BUS, at_hand, in_packet));
	assert_true(refused_with_one_more(BUS, at_hand, in_batch));
	assert_true(refused_with_one_more(BUS, at_hand, 512));
	assert_true(refused_with_one_more(BUS, batch, is_free));
	assert_true(refused_with(NET, packet, &none, 0));
	assert_true(refused_with(BUS, batch, &none, 0));
}

static void net_bytes_out_of_range_are_refused(void **state)
{
	static const struct {
		u32 tag;
		unsigned int path[6];
		u32 len;
		u8 bytes[6];
	} fields[] = {
		{ NET, { 10 }, 5 },
		{ NET, { 10 }, 6, { 2, 3, 4, 5, 6, 7 } },
		{ NET, { 10 }, 7 },
		{ NET, { 11 }, 6, { 2, 3, 4, 5, 6, 7 } },
		{ NET, { 14, 4 }, 5 },
		{ NET, { 14, 4 }, 33 * 6 },
		{ NET, { 14, 7, 2 }, 39 },
		{ NET, { 14, 7, 2 }, 41 },
		{ NET, { 14, 7, 3 }, 0 },
		{ NET, { 14, 7, 3 }, 129 },
		{ NET, { 14, 7, 3 }, 4, { 0, 1, 2, QUEUES } },
		{ BUS, { CHAN, 6, 2 }, 39 },
		{ BUS, { CHAN, 6, 2 }, 41 },
		{ BUS, { CHAN, 7 }, KVMB_RNDIS_REPLY_MAX + 1 },
		{ BUS, { CHAN, 5, 2 }, 8 * NET_RX_RANGES }, /* lengths of zero */
		{ BUS, { CHAN, 5, 2 }, 8, { 1, 0x10 } },    /* behind the end */
	};
	static u8 buf[2048];
	u32 i;

	(void)state;
	fill_hands();
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, fields[i].bytes, sizeof(fields[i].bytes));
		if (refused_with(fields[i].tag, fields[i].path, buf, fields[i].len))
			continue;
		print_message("field %u of the table\n", i);
		fail();
	}
	net_sections_belong_to_one(state);
	begin_with_file();
}

static struct kvmb_ring guest_tx[QUEUES], guest_rx[QUEUES];

/* The guest, too, goes back to where it was when it was saved. */
static void rewind_guest(void)
{
	struct kvmb_ring *r;
	u32 q;

	for (q = 0; q < QUEUES; q++) {
		r = &chan(q)->tx;
		r->index = guest_tx[q].index;
		r->published = guest_tx[q].published;
		r->peer = guest_tx[q].peer;
		r = &chan(q)->rx;
		r->index = guest_rx[q].index;
		r->published = guest_rx[q].published;
		r->peer = guest_rx[q].peer;
	}
}

/* Whatever is taken must do to go on with. */
static void net_random_changes_do_no_harm(void **state)
{
	static const unsigned int provider[] = { CHAN, 0 };
	struct tlv_at at;
	u32 i, k, taken = 0;
	size_t pos, len;
	u8 *p;

	(void)state;
	fill_hands();
	for (i = 0; i < QUEUES; i++) {
		guest_tx[i] = chan(i)->tx;
		guest_rx[i] = chan(i)->rx;
	}
	len = file.o.len;
	p = malloc(len);
	assert_non_null(p);
	for (i = 0; i < 300; i++) {
		memcpy(p, file.o.buf, len);
		at = tlv_path(p, len, BUS, 0, provider);
		if (i & 1) {
			at.section = tlv_section(p, len, NET, 0);
			at.pos = at.section + TLV_SECTION_HEAD;
			at.len = (u32)tlv_u64(p + at.section + 16) - TLV_FIELD_HEAD;
		}
		for (k = rnd(3) + 1; k; k--) {
			pos = at.pos + TLV_FIELD_HEAD + rnd(at.len);
			p[pos] = rnd(2) ? (u8)rnd(256) : (u8)(p[pos] ^ 1u << rnd(8));
		}
		tlv_seal(p, at.section);
		if (!begin_process(p, len)) {
			taken++;
			find_all_rings_again();
			rewind_guest();
			kvmb_bus_resume(f.bus);
			network_sends(rnd(QUEUES));
			skip_all(&c);
			usleep(1000);
		}
		end_process();
	}
	free(p);
	assert_true(taken && taken < 300);
	begin_with_file();
}

#define S(name) cmocka_unit_test_setup_teardown(name, setup, end)
#define FULL(name) cmocka_unit_test_setup_teardown(name, setup_full, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(net_moves_lose_nothing),
		FULL(net_full_hands_arrive_full),
		S(net_completions_that_were_seen_are_not_seen_twice),
		S(net_changes_are_kept),
		S(net_removal_is_remembered),
		FULL(net_missing_fields_are_refused),
		FULL(net_numbers_out_of_range_are_refused),
		FULL(net_bytes_out_of_range_are_refused),
		FULL(net_random_changes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
