// SPDX-License-Identifier: GPL-2.0-only
/* A bus is saved and loaded: the guest notices nothing, and a hostile file harms nobody. */
#include "host-vsp/bus/bus_state.h"

#include <unistd.h>

#include "tests/harness/bus_fixture.h"
#include "tests/harness/tlv_mutate.h"

/* ---- a provider with a word to save ---- */

static u64 words[3], loaded[3];

static int dev_index(struct kvmb_chan *ch)
{
	return (int)((struct echo *)kvmb_chan_dev(ch) - dev);
}

static void echo_save(struct kvmb_chan *ch, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, 1, words[dev_index(ch)] + kvmb_chan_index(ch));
}

static int echo_load(struct kvmb_chan *ch, struct kvmb_tlv *group)
{
	assert_true(dev[dev_index(ch)].opened_paused);
	loaded[dev_index(ch)] = kvmb_tlv_get(group, 1, 1000);
	return kvmb_tlv_done(group);
}

static const struct kvmb_vsp_ops ops = { .name = "echo",
					 .open = echo_open,
					 .close = echo_close,
					 .pause = echo_pause,
					 .resume = echo_resume,
					 .save = echo_save,
					 .load = echo_load,
					 .released = echo_released };

/* ---- from one process into another ---- */

static struct kvmb_tlv_out saved;
static struct kvmb_tlv_error error;

static void on_done(void *arg)
{
	(void)arg;
}

static void save_bus(void)
{
	memset(&saved, 0, sizeof(saved));
	kvmb_bus_pause(f.bus, on_done, NULL);
	kvmb_bus_save(f.bus, &saved);
	assert_false(saved.failed);
}

/* A new process with devices 0 .. @num - 1. */
static void start(int num)
{
	int i;

	fake_init(&f, KVMB_VERSION_NEWEST);
	memset(dev, 0, sizeof(dev));
	memset(loaded, 0, sizeof(loaded));
	for (i = 0; i < num; i++)
		add_dev_with(i, &ops);
	kvmb_bus_begin_load(f.bus);
}

static int load(const u8 *buf, size_t len)
{
	struct kvmb_tlv t;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	assert_int_equal(kvmb_tlv_next(buf, len, &pos, &t, &error), 0);
	return kvmb_bus_load(f.bus, &t);
}

/* What the guest's side of a channel is after memory has moved. */
static void remap(struct fake_chan *c)
{
	u64 gfns[64];
	u32 i;

	fake_unmap(c);
	for (i = 0; i < c->pages; i++)
		gfns[i] = c->first_gfn + i;
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns, c->down, &c->map_tx), 0);
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns + c->down, c->pages - c->down, &c->map_rx),
			 0);
	kvmb_ring_init(&c->tx, c->map_tx.ctrl, c->map_tx.data, c->map_tx.size, true);
	kvmb_ring_init(&c->rx, c->map_rx.ctrl, c->map_rx.data, c->map_rx.size, false);
}

#define USED_RAM (4u << 20) /* all pages that a test here names */

/* The old process ends, a new one has its memory and loads. */
static void move_to_new_process(int num)
{
	u64 next_gfn = f.next_gfn;
	u32 next_gpadl = f.next_gpadl;
	u8 *ram = malloc(USED_RAM);

	assert_true(next_gfn << 12 <= USED_RAM);
	memcpy(ram, f.view, USED_RAM);
	fake_fini(&f);
	start(num);
	memcpy(f.view, ram, USED_RAM);
	free(ram);
	f.next_gfn = next_gfn;
	f.next_gpadl = next_gpadl;
	if (load(saved.buf, saved.len))
		fail_msg("%s", error.text);
	kvmb_tlv_out_fini(&saved);
}

static int begin(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	memset(dev, 0, sizeof(dev));
	add_dev_with(0, &ops);
	add_dev_with(1, &ops);
	words[0] = 100;
	words[1] = 200;
	return 0;
}

static int end(void **state)
{
	kvmb_tlv_out_fini(&saved);
	return teardown(state);
}

/* ---- what the guest sees ---- */

static void resume_bus(void)
{
	kvmb_bus_resume(f.bus);
	fake_run(&f);
}

static struct kvmb_chan *chan(u32 r)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(f.bus, r);

	assert_non_null(ch);
	return ch;
}

static void open_channels_go_on(void **state)
{
	struct kvmb_wire_modify m = { .target_vp = cpu_to_le32(2) };
	struct fake_chan c;
	struct kvmb_pkt pkt;
	u8 buf[256] __attribute__((aligned(8)));
	u64 n;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	m.relid = cpu_to_le32(relid(0));
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	assert_int_equal(kvmb_ring_put(&c.tx, KVMB_PKT_INBAND, 0, 7, NULL, 0, "question", 8), 0);
	kvmb_ring_publish(&c.tx);
	assert_int_equal(kvmb_chan_send(dev[0].ch, KVMB_PKT_INBAND, 0, 8, "answer..", 8), 0);
	save_bus();
	move_to_new_process(2);
	remap(&c);
	assert_int_equal(dev[0].opens, 1);
	assert_int_equal(loaded[0], 100);
	assert_int_equal(dev[1].opens, 0);
	assert_int_equal(f.num_events, 0);
	assert_string_equal(kvmb_bus_state_name(f.bus), "offered");
	resume_bus();
	assert_int_equal(dev[0].resumes, 1);
	/* whoever missed a signal has one now */
	assert_int_equal(f.events[2][0], 1u << relid(0));
	assert_int_equal(f.num_events, 1);
	assert_int_equal(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), 8);
	assert_int_equal(n, 1);
	assert_int_equal(f.num_msgs, 0); /* nothing is offered twice */
	assert_int_equal(kvmb_ring_peek(&kvmb_chan_io(dev[0].ch)->rx, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(pkt.trans_id, 7);
	assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(pkt.trans_id, 8);
	/* the guest's signal arrives, and its other device is there */
	fake_signal(&f, &c);
	assert_int_equal(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), 8);
	fake_close(&f, &c);
	assert_int_equal(dev[0].closes, 1);
	assert_int_equal(fake_open(&f, &c, relid(1), 4), 0);
	assert_false(dev[1].opened_paused);
	fake_close(&f, &c);
	/* numbers in use are not given to others */
	add_dev_with(2, &ops);
	assert_int_equal(chan(3)->offer.instance.b[0], 2);
}

static void subs_are_opened_again(void **state)
{
	struct fake_chan c, s;
	const struct kvmb_wire_offer *o;
	u32 subs[3];
	int n = 0;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	kvmb_chan_offer_subs(dev[0].ch, 2);
	fake_run(&f);
	while (n < 3 && (o = fake_next(&f, KVMB_MSG_OFFER)))
		subs[n++] = le32_to_cpu(o->relid);
	assert_int_equal(n, 2);
	assert_int_equal(fake_open(&f, &s, subs[1], 4), 0);
	kvmb_chan_fail(chan(subs[1]), "of a test", -EPROTO);
	save_bus();
	move_to_new_process(2);
	remap(&c);
	remap(&s);
	assert_int_equal(dev[0].opens, 2);
	assert_int_equal(loaded[0], 102);
	assert_int_equal(chan(subs[0])->state, KVMB_CHAN_OFFERED);
	assert_int_equal(chan(subs[1])->failed, 1);
	assert_int_equal(chan(relid(0))->failed, 0);
	assert_ptr_equal(chan(subs[1])->primary, chan(relid(0)));
	resume_bus();
	kvmb_chan_offer_subs(chan(relid(0)), 3);
	fake_run(&f);
	o = fake_next(&f, KVMB_MSG_OFFER);
	assert_int_equal(le16_to_cpu(o->sub_channel_index), 3);
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
	fake_close(&f, &s);
	fake_close(&f, &c); /* takes all three with it */
	for (f.next_msg = 0, n = 0; fake_next(&f, KVMB_MSG_RESCIND); n++)
		;
	assert_int_equal(n, 3);
}

/* Messages in both directions, in their order. */
static void messages_in_waiting_arrive(void **state)
{
	struct kvmb_wire_modify m = { 0 };
	const struct kvmb_wire_modify_response *r;
	struct fake_chan c;
	u32 i;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	m.relid = cpu_to_le32(relid(0));
	f.slots_busy = true;
	for (i = 0; i < 3; i++) {
		m.target_vp = cpu_to_le32(i == 1 ? 99 : 0); /* the second is refused */
		fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	}
	kvmb_bus_pause(f.bus, on_done, NULL);
	m.target_vp = cpu_to_le32(3);
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m)); /* waits in the queue */
	m.target_vp = cpu_to_le32(99);
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	kvmb_bus_resume(f.bus);
	save_bus();
	assert_int_equal(f.bus->tx_len, 3);
	assert_int_equal(f.bus->rx_len, 2);
	move_to_new_process(2);
	assert_int_equal(chan(relid(0))->target_vp, 0);
	resume_bus();
	for (i = 0; i < 5; i++) {
		r = fake_next(&f, KVMB_MSG_MODIFY_RESPONSE);
		assert_non_null(r);
		assert_int_equal(r->status != 0, i == 1 || i == 4);
	}
	assert_int_equal(chan(relid(0))->target_vp, 3);
	fake_unmap(&c);
}

static u32 begin_list(u32 r, u64 gfn, u32 pages)
{
	u8 buf[36] __attribute__((aligned(8))) = { 0 };
	struct kvmb_wire_gpadl_header *h = (void *)buf;
	struct kvmb_wire_gparange range = { cpu_to_le32(pages * KVMB_PAGE_SIZE), 0 };
	__le64 pfn = cpu_to_le64(gfn);

	h->relid = cpu_to_le32(r);
	h->gpadl = cpu_to_le32(f.next_gpadl);
	h->range_count = cpu_to_le16(1);
	memcpy(h + 1, &range, sizeof(range));
	memcpy(buf + 28, &pfn, sizeof(pfn));
	fake_post(&f, KVMB_MSG_GPADL_HEADER, buf, sizeof(buf));
	return f.next_gpadl++;
}

/* A list of which half is there, one that is in use and to be torn down, one that nobody uses. */
static void page_lists_keep_their_state(void **state)
{
	u8 buf[16 + 8] __attribute__((aligned(8))) = { 0 };
	struct kvmb_wire_gpadl_body *b = (void *)buf;
	const struct kvmb_wire_gpadl_created *created;
	struct kvmb_wire_relid m;
	u32 half, idle, num;
	struct fake_chan c;
	const u64 *gfns;
	struct kvmb_gpadl *g;

	(void)state;
	connect_all();
	m.relid = cpu_to_le32(relid(0));
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	assert_int_equal(fake_gpadl(&f, relid(1), 500, 40, &idle), 0);
	half = begin_list(relid(1), 600, 2);
	assert_false(fake_teardown(&f, relid(0), c.gpadl));
	save_bus();
	move_to_new_process(2);
	remap(&c);
	resume_bus();
	assert_int_equal(f.num_msgs, 0); /* it is in use */
	assert_int_equal(f.bus->gpadl_pages, 8 + 40 + 2);
	assert_null(kvmb_gpadl_get(chan(relid(1)), half));
	b->gpadl = cpu_to_le32(half);
	b->pfns[0] = cpu_to_le64(601);
	fake_post(&f, KVMB_MSG_GPADL_BODY, buf, sizeof(buf));
	created = fake_next(&f, KVMB_MSG_GPADL_CREATED);
	assert_true(created && !created->status);
	g = kvmb_gpadl_get(chan(relid(1)), half);
	gfns = kvmb_gpadl_gfns(g, &num);
	assert_int_equal(num, 2);
	assert_int_equal(gfns[0], 600);
	kvmb_gpadl_put(f.bus, g);
	assert_true(fake_teardown(&f, relid(1), idle));
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m));
	fake_run(&f);
	assert_non_null(fake_next(&f, KVMB_MSG_GPADL_TORNDOWN));
	fake_unmap(&c);
}

/* Nobody takes the reference again, so the teardown is due. */
static void a_list_without_its_user_is_torn_down(void **state)
{
	struct kvmb_gpadl *g;
	u32 id;

	(void)state;
	connect_all();
	assert_int_equal(fake_gpadl(&f, relid(0), 500, 2, &id), 0);
	g = kvmb_gpadl_get(chan(relid(0)), id);
	assert_false(fake_teardown(&f, relid(0), id));
	save_bus();
	kvmb_gpadl_put(f.bus, g);
	move_to_new_process(2);
	resume_bus();
	assert_non_null(fake_next(&f, KVMB_MSG_GPADL_TORNDOWN));
}

/* The device is gone, the guest has not given its number back; the device comes again meanwhile. */
static void a_revoked_number_stays_taken(void **state)
{
	struct kvmb_wire_relid m;
	const struct kvmb_wire_offer *o;
	struct fake_chan c;

	(void)state;
	connect_all();
	m.relid = cpu_to_le32(relid(1));
	assert_int_equal(fake_open(&f, &c, relid(1), 4), 0);
	kvmb_bus_revoke(chan(relid(1)));
	fake_run(&f);
	fake_unmap(&c);
	save_bus();
	move_to_new_process(1);
	resume_bus();
	assert_int_equal(f.num_msgs, 0);
	add_dev_with(1, &ops);
	assert_null(fake_next(&f, KVMB_MSG_OFFER)); /* docs/protocol.md#7.9 */
	assert_true(fake_teardown(&f, relid(1), c.gpadl));
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	o = fake_next(&f, KVMB_MSG_OFFER);
	assert_non_null(o);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(o->relid), 4), 0);
	assert_int_equal(dev[1].released, 0);
	fake_close(&f, &c);
}

/* The same, and the device is there when the process begins, as a service that is on again. */
static void an_offer_that_waited_waits_on(void **state)
{
	struct kvmb_wire_relid m;

	(void)state;
	connect_all();
	m.relid = cpu_to_le32(relid(1));
	kvmb_bus_revoke(chan(relid(1)));
	add_dev_with(1, &ops);
	fake_run(&f);
	save_bus();
	move_to_new_process(2);
	resume_bus();
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	assert_non_null(fake_next(&f, KVMB_MSG_OFFER));
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
}

static void a_reset_forgets_what_was_revoked(void **state)
{
	(void)state;
	connect_all();
	kvmb_bus_revoke(chan(relid(1)));
	save_bus();
	move_to_new_process(1);
	assert_non_null(f.bus->chans->next);
	fake_rest(&f);
	assert_null(f.bus->chans->next);
	resume_bus();
	assert_int_equal(connect_all(), 1);
}

static void a_new_device_is_offered(void **state)
{
	const struct kvmb_wire_offer *o;

	(void)state;
	connect_all();
	save_bus();
	move_to_new_process(3);
	assert_int_equal(f.num_msgs, 0);
	resume_bus();
	o = fake_next(&f, KVMB_MSG_OFFER);
	assert_int_equal(o->instance.b[0], 2);
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
}

/* 0.13 and 1.1: signals go through a page, and of 0.13 through one connection. */
static void old_guests_are_signalled_by_their_page(void **state)
{
	static const u32 versions[] = { KVMB_VERSION_WS2008, KVMB_VERSION_WIN7 };
	u64 gpa, n = 0, one = 1;
	struct fake_chan c;
	u32 *page;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		gpa = f.next_gfn << 12; /* fake_contact() takes it */
		assert_int_equal(fake_connect(&f, versions[i], offers, 2), 2);
		assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
		save_bus();
		move_to_new_process(2);
		remap(&c);
		page = fake_ptr(&f, gpa);
		CHECK_ROW(page[0], 0, i);
		page[512] = 1u << relid(0); /* an event that was on its way: 0.13 */
		resume_bus();
		CHECK_ROW(page[0], 1u << relid(0), i);
		CHECK_ROW(f.events[0][0], 1, i);
		CHECK_ROW(page[512], i ? 1u << relid(0) : 0, i);
		CHECK_ROW(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), 8, i);
		page[512] = 1u << relid(0);
		for (k = 0; k < FAKE_MAX_CONNS; k++)
			if (f.conns[k].used && f.conns[k].id == KVMB_CONN_EVENT_OLD)
				CHECK_ROW(write(f.conns[k].fd, &one, 8), 8, i);
		fake_signal(&f, &c);
		fake_run(&f);
		CHECK_ROW(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), 8, i);
		fake_close(&f, &c);
	}
}

static void a_guest_without_offers_is_loaded(void **state)
{
	u8 m[8] = { 0 };

	(void)state;
	save_bus();
	move_to_new_process(2);
	resume_bus();
	assert_true(fake_contact(&f, KVMB_VERSION_NEWEST));
	save_bus();
	move_to_new_process(2);
	resume_bus();
	assert_int_equal(kvmb_bus_version(f.bus), KVMB_VERSION_NEWEST);
	fake_post(&f, KVMB_MSG_REQUEST_OFFERS, m, sizeof(m));
	assert_non_null(fake_next(&f, KVMB_MSG_OFFER));
	assert_non_null(fake_next(&f, KVMB_MSG_OFFER));
	assert_non_null(fake_next(&f, KVMB_MSG_ALL_OFFERS_DELIVERED));
}

/* ---- who means harm ---- */

/* Fields as tlv_spot.path has them; the numbers are those of docs/migration.md. */
enum {
	P_STATE = 1,
	P_VERSION = 2,
	P_TARGET_VP = 3,
	P_INT_PAGE = 4,
	P_RX = 5,
	P_TX = 6,
	P_GPADL = 7,
	P_CHAN = 8,
	P_PROVIDER = P_CHAN << 8 | 13,
};

#define GPADL(field) (P_GPADL << 8 | (field))
#define CHAN(field) (P_CHAN << 8 | (field))

static bool is_group(uint32_t path)
{
	return path == P_RX || path == P_TX || path == P_GPADL || path == P_CHAN ||
	       path == P_PROVIDER;
}

static struct tlv_spots spots;

/* Two channels and a sub-channel, messages both ways, lists of each state. The process ends. */
static void make_sample(void)
{
	struct kvmb_wire_modify m = { 0 };
	struct fake_chan a, b;
	u32 id;

	assert_int_equal(fake_connect(&f, KVMB_VERSION_WIN8, offers, 2), 2);
	assert_int_equal(fake_open(&f, &a, relid(0), 4), 0);
	assert_int_equal(fake_open(&f, &b, relid(1), 4), 0);
	kvmb_chan_offer_subs(dev[0].ch, 1);
	fake_run(&f);
	assert_int_equal(fake_gpadl(&f, relid(0), 500, 3, &id), 0);
	begin_list(relid(1), 600, 2);
	fake_teardown(&f, relid(1), b.gpadl);
	f.slots_busy = true;
	kvmb_chan_offer_subs(dev[0].ch, 2);
	fake_run(&f);
	kvmb_bus_pause(f.bus, on_done, NULL);
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	kvmb_bus_save(f.bus, &saved);
	assert_false(saved.failed);
	memset(&spots, 0, sizeof(spots));
	tlv_find_spots(saved.buf, TLV_HEADER, saved.len, 0, is_group, &spots);
	fake_unmap(&a);
	fake_unmap(&b);
	kvmb_bus_resume(f.bus);
	fake_fini(&f);
}

/* Load @buf in a process of its own, go on if it is taken, and end. Return: what load said. */
static int try_load(u8 *buf)
{
	int err;

	start(2);
	tlv_fix_crc(buf, saved.len);
	err = load(buf, saved.len);
	assert_int_equal(err, error.err);
	assert_int_equal(!error.text[0], !err); /* says what is wrong */
	if (!err)
		resume_bus();
	fake_fini(&f);
	free(buf);
	return err;
}

static void what_is_missing_is_noticed(void **state)
{
	const struct tlv_spot *s;
	u32 i, refused = 0;
	u8 *buf;

	(void)state;
	make_sample();
	assert_int_equal(try_load(tlv_copy(&saved)), 0);
	for (i = 0; i < spots.num; i++) {
		s = &spots.spot[i];
		/* one message less, or one list that is in no ring, harms only its guest */
		if (s->group || s->path == P_INT_PAGE)
			continue;
		buf = tlv_copy(&saved);
		tlv_lose(buf, s);
		if (!try_load(buf))
			fail_msg("field %x is missing, and nobody says so", s->path);
		refused++;
	}
	print_message("%u fields, each missing once\n", refused);
	buf = tlv_copy(&saved);
	tlv_lose(buf, tlv_spot(&spots, P_PROVIDER, 0));
	assert_int_equal(try_load(buf), -EPROTO);
	start(2); /* for end() */
}

/* Whatever it is: taken or refused, and both ways the process goes on and ends in peace. */
static void what_is_spoilt_harms_nobody(void **state)
{
	(void)state;
	make_sample();
	tlv_spoil_each(&saved, &spots, try_load);
	start(2);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct tlv_row rows[] = {
		{ P_STATE, 0, 3, "the most is 2" },
		{ P_STATE, 0, 1, "without offers" },
		{ P_STATE, 0, 0, "without offers" },
		{ P_VERSION, 0, 0, "is not offered" },
		{ P_VERSION, 0, KVMB_VERSION(6, 0), "is not offered" },
		{ P_VERSION, 0, 1ull << 32, "the most is" },
		{ P_TARGET_VP, 0, FAKE_VPS, "the most is" },
		{ GPADL(1), 0, 0, "handle is zero" },
		{ GPADL(2), 0, 2048, "the most is" },
		{ GPADL(3), 0, 3, "the most is" },
		{ GPADL(4), 0, 0, "no list of at most 0" },
		{ GPADL(2), 0, 0, "cannot be" },
		{ GPADL(4), 0, KVMB_GPADL_MAX_TOTAL_PAGES, "of its pages" },
		{ GPADL(4), 0, KVMB_GPADL_MAX_TOTAL_PAGES + 1, "the most is" },
		{ GPADL(4), 0, 1, "no list of at most" },
		{ GPADL(5), 0, FAKE_RAM / 4096, "outside RAM" },
		{ GPADL(5), 0, UINT64_MAX, "outside RAM" },
		{ CHAN(2), 0, 77, "no such device" },
		{ CHAN(3), 0, 1, "nobody has asked" },
		{ CHAN(3), 2, 0, "comes twice" },
		{ CHAN(3), 2, 2, "comes twice" },
		{ CHAN(3), 2, 3, "nobody has asked" },
		{ CHAN(4), 0, 0, "never saved in this state" },
		{ CHAN(4), 0, 3, "never saved in this state" },
		{ CHAN(4), 0, 1, "nobody has asked" }, /* its sub-channels are left */
		{ CHAN(5), 0, 0, "has this number" },
		{ CHAN(5), 1, 1, "has this number" },
		{ CHAN(5), 0, 2048, "the most is" },
		{ CHAN(6), 0, KVMB_CONN_EVENT_OLD, "not the connection" },
		{ CHAN(7), 0, FAKE_VPS, "target VP" },
		{ CHAN(8), 0, 2, "the most is" },
		{ CHAN(9), 0, 2048, "the most is" },
		{ CHAN(11), 0, 1, "page list does not exist" },
		{ CHAN(12), 0, 0, "fewer than two pages" },
		{ CHAN(12), 0, 7, "fewer than two pages" },
		{ CHAN(12), 0, KVMB_RING_MAX_PAGES, "fewer than two pages" },
		{ CHAN(13) << 8 | 1, 0, 1001, "the most is" },
	};

	(void)state;
	make_sample();
	tlv_refuse_each(&saved, &spots, try_load, &error, rows, ARRAY_SIZE(rows));
	start(2);
}

/* More than a guest could ever have. */
static void what_is_too_much_is_refused(void **state)
{
	static const u64 gfn = 100;
	struct kvmb_tlv_out o;
	u32 kind, i;

	(void)state;
	fake_fini(&f);
	for (kind = P_RX; kind <= P_GPADL; kind++) {
		memset(&o, 0, sizeof(o));
		kvmb_tlv_begin(&o, KVMB_SEC_BUS, 0, 0);
		kvmb_tlv_put(&o, P_STATE, KVMB_CONN_OFFERED);
		kvmb_tlv_put(&o, P_VERSION, KVMB_VERSION_NEWEST);
		kvmb_tlv_put(&o, P_TARGET_VP, 0);
		for (i = 0; i < 20000; i++) {
			kvmb_tlv_group(&o, kind);
			kvmb_tlv_put(&o, 1, i + 1);
			kvmb_tlv_put(&o, 2, 1); /* or a message */
			kvmb_tlv_put(&o, 3, KVMB_GPADL_CREATED);
			kvmb_tlv_put(&o, 4, 1);
			kvmb_tlv_put_list(&o, 5, &gfn, 1);
			kvmb_tlv_group_end(&o);
		}
		kvmb_tlv_end(&o);
		start(2);
		CHECK_ROW(load(o.buf, o.len), -EPROTO, kind);
		assert_non_null(strstr(error.text, "too many"));
		fake_fini(&f);
		kvmb_tlv_out_fini(&o);
	}
	start(2);
}

#define S(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		S(open_channels_go_on),
		S(subs_are_opened_again),
		S(messages_in_waiting_arrive),
		S(page_lists_keep_their_state),
		S(a_list_without_its_user_is_torn_down),
		S(a_revoked_number_stays_taken),
		S(an_offer_that_waited_waits_on),
		S(a_reset_forgets_what_was_revoked),
		S(a_new_device_is_offered),
		S(old_guests_are_signalled_by_their_page),
		S(a_guest_without_offers_is_loaded),
		S(what_is_missing_is_noticed),
		S(what_is_spoilt_harms_nobody),
		S(what_cannot_be_is_refused),
		S(what_is_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
