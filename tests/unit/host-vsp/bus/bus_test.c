// SPDX-License-Identifier: GPL-2.0-only
/* The bus through the fake VMM: contact, offers, page lists, and guests that lie. */
#include "host-vsp/bus/bus_priv.h"

#include <unistd.h>

#include "tests/harness/bus_fixture.h"

static void bus_contact_accepts_listed_versions_up_to_the_cap(void **state)
{
	static const struct { u32 v; bool ok;
	} c[] = {
		{ KVMB_VERSION(6, 0), false }, { KVMB_VERSION(5, 3), true },
		{ KVMB_VERSION(5, 4), false }, { KVMB_VERSION(5, 0), true },
		{ KVMB_VERSION(4, 1), true },  { KVMB_VERSION(2, 4), true },
		{ KVMB_VERSION(1, 1), true },  { KVMB_VERSION(0, 13), true },
		{ KVMB_VERSION(0, 0), false }, { 0xffffffff, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(c); i++)
		assert_int_equal(fake_contact(&f, c[i].v), c[i].ok);
}

static void bus_contact_honours_vmbus_max(void **state)
{
	struct fake_vmm old;

	(void)state;
	fake_init(&old, KVMB_VERSION_WIN7);
	assert_false(fake_contact(&old, KVMB_VERSION_WIN8));
	assert_true(fake_contact(&old, KVMB_VERSION_WIN7));
	fake_fini(&old);
}

static void bus_version_response_tells_the_message_connection(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_NEWEST) };
	const struct kvmb_wire_version_response *r;

	(void)state;
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_VERSION_RESPONSE);
	assert_non_null(r);
	assert_int_equal(le32_to_cpu(r->conn_id), KVMB_CONN_MSG);
	assert_int_equal(f.log[(f.num_msgs - 1) % FAKE_LOG].len, 16);
}

static void bus_contact_below_2_4_needs_an_interrupt_page(void **state)
{
	struct kvmb_wire_initiate_contact m = { .interrupt_page = cpu_to_le64(0xdead000000ull) };
	const struct kvmb_wire_version_response *r;

	(void)state;
	m.version = cpu_to_le32(KVMB_VERSION_WIN7);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_VERSION_RESPONSE);
	assert_true(r && !r->supported);
	m.version = cpu_to_le32(KVMB_VERSION_WIN8);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_VERSION_RESPONSE);
	assert_true(r && r->supported);
}

static void bus_contact_to_no_vp_is_ignored(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_NEWEST),
						.target_vp = cpu_to_le32(FAKE_VPS) };

	(void)state;
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	assert_null(fake_next(&f, KVMB_MSG_VERSION_RESPONSE));
}

static void bus_offers_come_once_with_unique_relids(void **state)
{
	u8 m[8] = { 0 };

	(void)state;
	assert_int_equal(connect_all(), 2);
	assert_int_not_equal(relid(0), relid(1));
	assert_true(relid(0) >= 1 && relid(0) <= KVMB_MAX_RELID);
	assert_int_equal(le16_to_cpu(offers[0].dedicated_interrupt), 1);
	assert_int_equal(offers[0].monitor_allocated, 0);
	f.next_msg = 0;
	assert_non_null(fake_next(&f, KVMB_MSG_ALL_OFFERS_DELIVERED));
	fake_post(&f, KVMB_MSG_REQUEST_OFFERS, m, sizeof(m));
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
}

static void bus_messages_before_contact_are_ignored(void **state)
{
	u8 buf[240];
	u32 t;

	(void)state;
	for (t = 0; t < 64; t++) {
		memset(buf, 0xff, sizeof(buf));
		if (t == KVMB_MSG_INITIATE_CONTACT || t == KVMB_MSG_UNLOAD)
			continue;
		assert_int_equal(fake_post(&f, (enum kvmb_msg)t, buf, sizeof(buf)), 0);
	}
	assert_int_equal(f.num_msgs, 0);
}

static void bus_post_of_wrong_connection_type_length_is_refused(void **state)
{
	u8 buf[256] = { 0 };

	(void)state;
	assert_int_equal(kvmb_bus_post(f.bus, 5, 1, buf, 16), KVMB_HV_STATUS_INVALID_CONNECTION_ID);
	assert_int_equal(kvmb_bus_post(f.bus, KVMB_CONN_MSG, 2, buf, 16),
			 KVMB_HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(kvmb_bus_post(f.bus, KVMB_CONN_MSG, 1, buf, 241),
			 KVMB_HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(kvmb_bus_post(f.bus, KVMB_CONN_MSG_OLD, 1, buf, 0),
			 KVMB_HV_STATUS_SUCCESS);
}

static void bus_flood_without_reading_is_bounded(void **state)
{
	struct kvmb_wire_gpadl_header h = { 0 };
	u8 buf[240] __attribute__((aligned(8))) = { 0 };
	struct kvmb_bus_stats st;
	u32 i, busy = 0;

	(void)state;
	connect_all();
	f.slots_busy = true;
	h.h.type = cpu_to_le32(KVMB_MSG_GPADL_HEADER); /* each is refused with an answer */
	memcpy(buf, &h, sizeof(h));
	for (i = 0; i < 100000; i++)
		busy += kvmb_bus_post(f.bus, KVMB_CONN_MSG, 1, buf, 28) ==
			KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
	fake_run(&f);
	assert_true(busy >= 100000 - KVMB_RX_QUEUE);
	for (i = 0; i < 100000; i++) {
		kvmb_bus_post(f.bus, KVMB_CONN_MSG, 1, buf, 28);
		if (!(i % 64))
			kvmb_loop_once(f.loop, 0);
	}
	assert_true(f.bus->tx_len <= KVMB_TX_SOFT_LIMIT + 1);
	kvmb_bus_get_stats(f.bus, &st);
	assert_int_equal(st.gpadls, 0);
	f.slots_busy = false; /* and it goes on as if nothing had been */
	kvmb_bus_message_acked(f.bus);
	for (i = 0; i < 50; i++)
		fake_run(&f);
	assert_true(connect_all() == 2);
}

static void bus_gpadl_of_every_size_is_assembled(void **state)
{
	static const u32 sizes[] = { 1, 2, 25, 26, 27, 53, 54, 55, 82, 83, 512, 1024 };
	const u64 *gfns;
	u32 id, num, k;
	size_t i;

	(void)state;
	connect_all();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kvmb_chan *ch = kvmb_chan_by_relid(f.bus, relid(0));
		struct kvmb_gpadl *g;

		assert_int_equal(fake_gpadl(&f, relid(0), 100, sizes[i], &id), 0);
		g = kvmb_gpadl_get(ch, id);
		assert_non_null(g);
		gfns = kvmb_gpadl_gfns(g, &num);
		assert_int_equal(num, sizes[i]);
		for (k = 0; k < num; k++)
			assert_int_equal(gfns[k], 100 + k);
		kvmb_gpadl_put(f.bus, g);
		assert_true(fake_teardown(&f, relid(0), id));
		assert_false(fake_teardown(&f, relid(0), id)); /* twice */
	}
}

static u32 post_header(u32 r, u32 id, u32 count, u32 bytes, u32 offset, u64 gfn)
{
	struct {
		struct kvmb_wire_gpadl_header h;
		__le32 bytes, offset;
		__le64 pfn;
	} __attribute__((packed))
	m = { .bytes = cpu_to_le32(bytes), .offset = cpu_to_le32(offset), .pfn = cpu_to_le64(gfn) };
	u8 buf[240] __attribute__((aligned(8))) = { 0 };
	const struct kvmb_wire_gpadl_created *c;

	m.h.relid = cpu_to_le32(r);
	m.h.gpadl = cpu_to_le32(id);
	m.h.range_count = cpu_to_le16((u16)count);
	memcpy(buf, &m, sizeof(m));
	fake_post(&f, KVMB_MSG_GPADL_HEADER, buf, sizeof(m));
	c = fake_next(&f, KVMB_MSG_GPADL_CREATED);
	return c ? le32_to_cpu(c->status) : 1; /* 1: no answer, unfinished */
}

static void bus_gpadl_lies_are_refused(void **state)
{
	struct kvmb_bus_stats st;
	u32 r, id;

	(void)state;
	connect_all();
	r = relid(0);
	assert_int_equal(post_header(r, 9, 1, 4096, 0, 100), 0);
	assert_int_not_equal(post_header(r, 9, 1, 4096, 0, 100), 0);	      /* in use */
	assert_int_not_equal(post_header(r, 0, 1, 4096, 0, 100), 0);	      /* handle 0 */
	assert_int_not_equal(post_header(r, 10, 0, 4096, 0, 100), 0);	      /* no range */
	assert_int_not_equal(post_header(r, 10, 2, 4096, 0, 100), 0);	      /* two ranges */
	assert_int_not_equal(post_header(r, 10, 1, 0, 0, 100), 0);	      /* empty */
	assert_int_not_equal(post_header(r, 10, 1, 4095, 0, 100), 0);	      /* odd */
	assert_int_not_equal(post_header(r, 10, 1, 4096, 8, 100), 0);	      /* offset */
	assert_int_not_equal(post_header(r, 10, 1, 0xffffffff, 0, 100), 0);  /* huge and odd */
	assert_int_not_equal(post_header(r, 10, 1, 4096, 0, FAKE_RAM >> 12), 0); /* in the hole */
	assert_int_not_equal(post_header(r, 10, 1, 4096, 0, 1ull << 52), 0);
	assert_int_not_equal(post_header(r, 10, 1, 4096, 0, ~0ull), 0);
	assert_int_not_equal(post_header(77, 10, 1, 4096, 0, 100), 0);	      /* no such channel */
	/* unfinished: no answer */
	assert_int_equal(post_header(r, 11, 1, 8192, 0, 100), 1);
	assert_int_equal(fake_gpadl(&f, r, 50, 4, &id), 0);
	kvmb_bus_get_stats(f.bus, &st);
	assert_int_equal(st.gpadls, 3);
	assert_int_equal(st.gpadl_pages, 1 + 2 + 4);
}

static void bus_unfinished_gpadls_meet_a_cap(void **state)
{
	struct kvmb_bus_stats st;
	u32 i, refused = 0;

	(void)state;
	connect_all();
	for (i = 1; i <= 100000; i++)
		refused += post_header(relid(0), i, 1, 64 << 20, 0, 100) == KVMB_STATUS_FAILED;
	kvmb_bus_get_stats(f.bus, &st);
	assert_int_equal(st.gpadls, KVMB_GPADL_MAX_TOTAL_PAGES / (64 << 8));
	assert_int_equal(refused, 100000 - st.gpadls);
	assert_int_equal(connect_all(), 2); /* contact again: all of them are gone */
	kvmb_bus_get_stats(f.bus, &st);
	assert_int_equal(st.gpadls, 0);
	assert_int_equal(st.gpadl_pages, 0);
}

static void bus_unload_is_answered_last(void **state)
{
	struct kvmb_wire_initiate_contact contact = { .version = cpu_to_le32(KVMB_VERSION_NEWEST) };
	struct fake_chan c;
	u8 m[8] = { 0 };

	(void)state;
	connect_all();
	dev[1].late = true;
	assert_int_equal(fake_open(&f, &c, relid(1), 4), 0);
	fake_post(&f, KVMB_MSG_UNLOAD, m, sizeof(m));
	assert_null(fake_next(&f, KVMB_MSG_UNLOAD_RESPONSE));
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &contact,
		  sizeof(contact)); /* it waits in the queue */
	assert_null(fake_next(&f, KVMB_MSG_VERSION_RESPONSE));
	kvmb_chan_closed(dev[1].ch);
	fake_run(&f);
	assert_string_equal(kvmb_bus_state_name(f.bus), "connected"); /* by the waiting contact */
	f.next_msg = 0;
	assert_non_null(fake_next(&f, KVMB_MSG_UNLOAD_RESPONSE));
	fake_unmap(&c);
}

static void bus_contact_while_open_resets_everything(void **state)
{
	struct fake_chan c;
	u32 first;

	(void)state;
	connect_all();
	first = relid(0);
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	assert_int_equal(connect_all(), 2);
	assert_int_equal(dev[0].closes, 1);
	assert_int_equal(relid(0), first); /* stable order, stable numbers */
	fake_unmap(&c);
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	fake_unmap(&c);
}

static u32 asked;

/* A vCPU that has the next question ready whenever it gets an answer */
static void ask_again(struct fake_vmm *v)
{
	struct kvmb_wire_open m = { .relid = cpu_to_le32(999) };
	struct kvmb_wire_msg h = { .type = cpu_to_le32(KVMB_MSG_OPEN) };

	memcpy(&m, &h, sizeof(h));
	if (asked++ < 10000) /* it would be for ever */
		assert_int_equal(kvmb_bus_post(v->bus, KVMB_CONN_MSG, HV_MSG_TYPE_CHANNEL, &m,
					       sizeof(m)),
				 0);
}

static void on_time(void *arg)
{
	++*(u32 *)arg;
}

static void bus_endless_requests_leave_time_for_others(void **state)
{
	struct kvmb_timer timer;
	u32 i, fired = 0;

	(void)state;
	assert_int_equal(connect_all(), 2);
	kvmb_timer_init(&timer, f.loop, on_time, &fired);
	asked = 0;
	f.on_message = ask_again;
	ask_again(&f);
	for (i = 1; i <= 10; i++) {
		kvmb_timer_set(&timer, 0);
		kvmb_loop_once(f.loop, 100);
		assert_int_equal(fired, i);
		assert_true(asked <= i * 65);
	}
	while (asked < 10000)
		kvmb_loop_once(f.loop, 100);
	f.on_message = NULL;
	fake_run(&f);
	assert_int_equal(connect_all(), 2);
}

static void bus_every_message_in_every_state_is_survived(void **state)
{
	u8 buf[240] __attribute__((aligned(8)));
	struct fake_chan c;
	u32 t, phase, fill, r;

	(void)state;
	for (phase = 0; phase < 4; phase++) {
		for (t = 0; t < 40; t++) {
			for (fill = 0; fill < 3; fill++) {
				bool mapped = false;

				if (phase >= 1)
					assert_true(fake_contact(&f, KVMB_VERSION_NEWEST));
				r = 0;
				if (phase >= 2) {
					connect_all();
					r = relid(0);
				}
				f.next_gfn = 1000;
				if (phase >= 3)
					mapped = !fake_open(&f, &c, r, 4);
				memset(buf, fill == 0 ? 0 : fill == 1 ? 0xff : 1, sizeof(buf));
				if (fill == 2)
					memcpy(buf + 8, &r, 4);
				fake_post(&f, (enum kvmb_msg)t, buf, sizeof(buf));
				fake_run(&f);
				if (mapped) {
					fake_unmap(&c);
				}
			}
		}
	}
	assert_int_equal(connect_all(), 2);
	assert_int_equal(fake_open(&f, &c, relid(1), 4), 0);
	fake_close(&f, &c);
}

static void bus_old_guest_is_signalled_by_interrupt_page(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_WS2008) };
	u64 gpa = fake_alloc(&f, 1) << 12, one = 1, n = 0;
	struct fake_chan c;
	u8 req[8] = { 0 };
	u32 *page = fake_ptr(&f, gpa), i;

	(void)state;
	m.interrupt_page = cpu_to_le64(gpa);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	fake_post(&f, KVMB_MSG_REQUEST_OFFERS, req, sizeof(req));
	memcpy(offers, fake_next(&f, KVMB_MSG_OFFER), sizeof(offers[0]));
	assert_int_equal(offers[0].connection_id, 0); /* 0.13 has none */
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	kvmb_chan_signal(dev[0].ch);
	assert_int_equal(page[0], 1u << relid(0));
	assert_int_equal(f.events[0][0], 1); /* flag 0 */
	page[512] = 1u << relid(0);	     /* guest to host: its bit, then connection 2 */
	for (i = 0; i < FAKE_MAX_CONNS; i++)
		if (f.conns[i].used && f.conns[i].id == KVMB_CONN_EVENT_OLD)
			assert_int_equal(write(f.conns[i].fd, &one, 8), 8);
	fake_run(&f);
	assert_int_equal(page[512], 0);
	assert_int_equal(read(kvmb_chan_io(dev[0].ch)->signal_fd, &n, 8), 8);
	fake_close(&f, &c);
}

static void fill_conns(bool used)
{
	u32 i;

	for (i = 0; i < FAKE_MAX_CONNS; i++)
		f.conns[i] = (typeof(f.conns[i])){ .id = 0x10000 + i, .fd = -1, .used = used };
}

/* What could not be bound is tried again by the next contact, and not taken for bound. */
static void bus_bind_failure_next_contact_binds(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_WS2008) };
	const struct kvmb_wire_version_response *r;

	(void)state;
	m.interrupt_page = cpu_to_le64(fake_alloc(&f, 1) << 12);
	fill_conns(true);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_VERSION_RESPONSE);
	assert_false(r->supported);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_VERSION_RESPONSE);
	assert_false(r->supported);
	fill_conns(false);
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_VERSION_RESPONSE);
	assert_true(r->supported);
	assert_int_equal(f.conns[0].id, KVMB_CONN_EVENT_OLD);
}

static void note_reset(void *arg)
{
	*(bool *)arg = true;
}

/* The machine is reset while a second contact waits for a channel to close: that guest is gone. */
static void bus_reset_overtakes_contact_no_answer(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_NEWEST) };
	struct fake_chan c;
	bool done = false;

	(void)state;
	assert_int_equal(connect_all(), 2);
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dev[0].late = true;
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	kvmb_bus_reset(f.bus, note_reset, &done);
	fake_run(&f);
	assert_false(done);
	dev[0].late = false;
	kvmb_chan_closed(dev[0].ch);
	fake_run(&f);
	assert_true(done);
	assert_null(fake_next(&f, KVMB_MSG_VERSION_RESPONSE));
	assert_int_equal(f.bus->state, KVMB_CONN_DISCONNECTED);
	fake_unmap(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bus_contact_accepts_listed_versions_up_to_the_cap),
		T(bus_contact_honours_vmbus_max),
		T(bus_version_response_tells_the_message_connection),
		T(bus_contact_below_2_4_needs_an_interrupt_page),
		T(bus_contact_to_no_vp_is_ignored),
		T(bus_offers_come_once_with_unique_relids),
		T(bus_messages_before_contact_are_ignored),
		T(bus_post_of_wrong_connection_type_length_is_refused),
		T(bus_flood_without_reading_is_bounded),
		T(bus_gpadl_of_every_size_is_assembled),
		T(bus_gpadl_lies_are_refused),
		T(bus_unfinished_gpadls_meet_a_cap),
		T(bus_unload_is_answered_last),
		T(bus_contact_while_open_resets_everything),
		T(bus_every_message_in_every_state_is_survived),
		T(bus_endless_requests_leave_time_for_others),
		T(bus_old_guest_is_signalled_by_interrupt_page),
		T(bus_bind_failure_next_contact_binds),
		T(bus_reset_overtakes_contact_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
