// SPDX-License-Identifier: GPL-2.0-only
/* The bus through the fake VMM: contact, offers, page lists, channels, and guests that lie. */
#include "host-vsp/bus/bus_priv.h"

#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <unistd.h>

/* A provider that echoes nothing and closes when it is told, or later. */
struct echo {
	int opens, closes, released;
	bool late;		 /* keep the rings after close() */
	int refuse;
	struct kvmb_chan *ch;
};

static int echo_open(struct kvmb_chan *ch)
{
	struct echo *e = kvmb_chan_dev(ch);

	if (e->refuse)
		return e->refuse;
	e->opens++;
	e->ch = ch;
	return 0;
}

static void echo_close(struct kvmb_chan *ch)
{
	struct echo *e = kvmb_chan_dev(ch);

	e->closes++;
	if (!e->late)
		kvmb_chan_closed(ch);
}

static void echo_released(struct kvmb_chan *ch)
{
	((struct echo *)kvmb_chan_dev(ch))->released++;
}

static const struct kvmb_vsp_ops echo_ops = { "echo", echo_open, echo_close, NULL, echo_released };

static struct fake_vmm f;
static struct echo dev[3];
static struct kvmb_wire_offer offers[16];

static struct kvmb_chan *add_dev(int i)
{
	struct kvmb_offer o = { .type = KVMB_GUID(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), .name = "echo",
				.ops = &echo_ops, .dev = &dev[i] };
	struct kvmb_chan *ch;

	o.instance.b[0] = (u8)i;
	assert_int_equal(kvmb_bus_offer(f.bus, &o, &ch), 0);
	assert_int_equal(kvmb_bus_offer(f.bus, &o, NULL), -EEXIST);
	return ch;
}

static int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	memset(dev, 0, sizeof(dev));
	add_dev(0);
	add_dev(1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_fini(&f);
	return 0;
}

static u32 relid(int i)
{
	return le32_to_cpu(offers[i].relid);
}

static u32 connect_all(void)
{
	return fake_connect(&f, KVMB_VERSION_NEWEST, offers, ARRAY_SIZE(offers));
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void contact_accepts_listed_versions_up_to_the_cap(void **state)
{
	static const struct { u32 v; bool ok; } c[] = {
		{ KVMB_VERSION(6, 0), false }, { KVMB_VERSION(5, 3), true },  { KVMB_VERSION(5, 4), false },
		{ KVMB_VERSION(5, 0), true },  { KVMB_VERSION(4, 1), true },  { KVMB_VERSION(2, 4), true },
		{ KVMB_VERSION(1, 1), true },  { KVMB_VERSION(0, 13), true }, { KVMB_VERSION(0, 0), false },
		{ 0xffffffff, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(c); i++)
		assert_int_equal(fake_contact(&f, c[i].v), c[i].ok);
}

static void contact_honours_vmbus_max(void **state)
{
	struct fake_vmm old;

	(void)state;
	fake_init(&old, KVMB_VERSION_WIN7);
	assert_false(fake_contact(&old, KVMB_VERSION_WIN8));
	assert_true(fake_contact(&old, KVMB_VERSION_WIN7));
	fake_fini(&old);
}

static void version_response_tells_the_message_connection(void **state)
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

static void contact_before_5_0_needs_an_interrupt_page_only_below_2_4(void **state)
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

static void contact_to_a_vp_that_does_not_exist_is_ignored(void **state)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(KVMB_VERSION_NEWEST),
						.target_vp = cpu_to_le32(FAKE_VPS) };

	(void)state;
	fake_post(&f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	assert_null(fake_next(&f, KVMB_MSG_VERSION_RESPONSE));
}

static void offers_come_once_with_unique_relids(void **state)
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

static void messages_before_contact_are_ignored(void **state)
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

static void posts_are_refused_by_connection_type_and_length(void **state)
{
	u8 buf[256] = { 0 };

	(void)state;
	assert_int_equal(kvmb_bus_post(f.bus, 5, 1, buf, 16), KVMB_HV_STATUS_INVALID_CONNECTION_ID);
	assert_int_equal(kvmb_bus_post(f.bus, KVMB_CONN_MSG, 2, buf, 16), KVMB_HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(kvmb_bus_post(f.bus, KVMB_CONN_MSG, 1, buf, 241), KVMB_HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(kvmb_bus_post(f.bus, KVMB_CONN_MSG_OLD, 1, buf, 0), KVMB_HV_STATUS_SUCCESS);
}

static void flood_without_reading_is_bounded(void **state)
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
		busy += kvmb_bus_post(f.bus, KVMB_CONN_MSG, 1, buf, 28) == KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
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

static void gpadl_of_every_size_is_assembled(void **state)
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
	struct { struct kvmb_wire_gpadl_header h; __le32 bytes, offset; __le64 pfn; } __attribute__((packed)) m = {
		.bytes = cpu_to_le32(bytes), .offset = cpu_to_le32(offset), .pfn = cpu_to_le64(gfn) };
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

static void gpadl_lies_are_refused(void **state)
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
	assert_int_equal(post_header(r, 11, 1, 8192, 0, 100), 1);	      /* unfinished: no answer */
	assert_int_equal(fake_gpadl(&f, r, 50, 4, &id), 0);
	kvmb_bus_get_stats(f.bus, &st);
	assert_int_equal(st.gpadls, 3);
	assert_int_equal(st.gpadl_pages, 1 + 2 + 4);
}

static void a_hundred_thousand_unfinished_gpadls_meet_a_cap(void **state)
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

static void open_close_and_reopen(void **state)
{
	struct fake_chan c;
	int i, fds;

	(void)state;
	connect_all();
	for (i = 0; i < 3; i++) {
		assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
		assert_int_equal(dev[0].opens, i + 1);
		assert_true(f.conns[0].used);
		fake_close(&f, &c);
		assert_int_equal(dev[0].closes, i + 1);
		assert_false(f.conns[0].used);
	}
	fds = count_fds();
	for (i = 0; i < 200; i++) {
		f.next_gfn = 1000; /* the same pages again */
		assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
		fake_close(&f, &c);
	}
	assert_int_equal(count_fds(), fds);
}

static u32 try_open(u32 r, u32 gpadl, u32 down, u32 vp)
{
	struct kvmb_wire_open m = { .relid = cpu_to_le32(r), .open_id = cpu_to_le32(5),
				    .ring_gpadl = cpu_to_le32(gpadl), .target_vp = cpu_to_le32(vp),
				    .downstream_page = cpu_to_le32(down) };
	const struct kvmb_wire_open_result *res;

	fake_post(&f, KVMB_MSG_OPEN, &m, sizeof(m));
	res = fake_next(&f, KVMB_MSG_OPEN_RESULT);
	assert_true(!res || le32_to_cpu(res->open_id) == 5);
	return res ? le32_to_cpu(res->status) : 1;
}

static void open_lies_are_refused_and_leak_nothing(void **state)
{
	u32 id, small, other;
	int i, fds = 0;

	(void)state;
	connect_all();
	assert_int_equal(fake_gpadl(&f, relid(0), 100, 8, &id), 0);
	assert_int_equal(fake_gpadl(&f, relid(0), 200, 3, &small), 0);
	assert_int_equal(fake_gpadl(&f, relid(1), 300, 8, &other), 0);
	for (i = 0; i < 300; i++) {
		assert_int_equal(try_open(relid(0), id, 0, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), id, 1, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), id, 7, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), id, 8, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), id, 0xffffffff, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), id, 4, FAKE_VPS), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), small, 2, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), other, 4, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(relid(0), 12345, 4, 0), KVMB_STATUS_FAILED);
		assert_int_equal(try_open(99, id, 4, 0), KVMB_STATUS_FAILED);
		dev[0].refuse = -ENOMEM;
		assert_int_equal(try_open(relid(0), id, 4, 0), KVMB_STATUS_FAILED);
		dev[0].refuse = 0;
		if (i == 10)
			fds = count_fds();
	}
	assert_int_equal(count_fds(), fds);
	assert_int_equal(dev[0].opens, 0);
	assert_int_equal(try_open(relid(0), id, 4, KVMB_TARGET_VP_NONE), 0);
	assert_int_equal(try_open(relid(0), id, 4, 0), KVMB_STATUS_FAILED); /* open already */
	assert_int_equal(dev[0].opens, 1);
}

static void open_refuses_wild_ring_indices(void **state)
{
	u32 id;

	(void)state;
	connect_all();
	assert_int_equal(fake_gpadl(&f, relid(0), 100, 8, &id), 0);
	*(u32 *)((u8 *)fake_ptr(&f, 100 << 12) + 4) = 0x7fffff00; /* read_index of guest to host */
	assert_int_equal(try_open(relid(0), id, 4, 0), KVMB_STATUS_FAILED);
	*(u32 *)((u8 *)fake_ptr(&f, 100 << 12) + 4) = 0;
	*(u32 *)fake_ptr(&f, 104 << 12) = 3; /* write_index of host to guest */
	assert_int_equal(try_open(relid(0), id, 4, 0), KVMB_STATUS_FAILED);
	*(u32 *)fake_ptr(&f, 104 << 12) = 0;
	assert_int_equal(try_open(relid(0), id, 4, 0), 0);
}

/* A page list whose frames are no neighbours: the dearest to map. Return: its handle. */
static u32 scattered(u32 r, u32 pages)
{
	struct {
		struct kvmb_wire_gpadl_header h;
		__le32 bytes, offset;
		__le64 pfn[26];
	} __attribute__((packed)) m = { .bytes = cpu_to_le32(pages * KVMB_PAGE_SIZE) };
	u8 buf[240] __attribute__((aligned(8)));
	struct kvmb_wire_gpadl_body *b = (void *)buf;
	const struct kvmb_wire_gpadl_created *c;
	u32 i, n, id = f.next_gpadl++;

	m.h.relid = cpu_to_le32(r);
	m.h.gpadl = cpu_to_le32(id);
	m.h.range_count = cpu_to_le16(1);
	for (n = 0; n < 26; n++)
		m.pfn[n] = cpu_to_le64(20 + 2 * n);
	memcpy(buf, &m, sizeof(m));
	fake_post(&f, KVMB_MSG_GPADL_HEADER, buf, sizeof(m));
	while (n < pages) {
		memset(buf, 0, sizeof(buf));
		b->gpadl = cpu_to_le32(id);
		for (i = 0; i < 28 && n < pages; i++, n++)
			b->pfns[i] = cpu_to_le64(20 + 2 * (n % 4000));
		fake_post(&f, KVMB_MSG_GPADL_BODY, buf, 240);
	}
	c = fake_next(&f, KVMB_MSG_GPADL_CREATED);
	assert_true(c && !c->status);
	return id;
}

static u32 count_maps(void)
{
	FILE *m = fopen("/proc/self/maps", "re");
	u32 n = 0;
	int c;

	while ((c = fgetc(m)) != EOF)
		n += c == '\n';
	fclose(m);
	return n;
}

/* The kernel gives a process 65530 mappings, and a page that stands alone takes one, twice. */
static void rings_of_scattered_pages_leave_the_process_its_mappings(void **state)
{
	u32 before, opened = 0, i, id, sub[40] = { 0 };
	const struct kvmb_wire_offer *o;
	struct kvmb_wire_relid m;
	struct fake_chan c;

	(void)state;
	connect_all();
	assert_int_equal(try_open(relid(1), scattered(relid(1), KVMB_RING_MAX_PAGES + 28), 64, 0),
			 KVMB_STATUS_FAILED);
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	kvmb_chan_offer_subs(dev[0].ch, ARRAY_SIZE(sub));
	fake_run(&f);
	for (i = 0; i < ARRAY_SIZE(sub) && (o = fake_next(&f, KVMB_MSG_OFFER)); i++)
		sub[i] = le32_to_cpu(o->relid);
	assert_int_equal(i, ARRAY_SIZE(sub));
	before = count_maps();
	for (i = 0; i < ARRAY_SIZE(sub); i++) {
		id = scattered(sub[i], KVMB_RING_MAX_PAGES);
		opened += !try_open(sub[i], id, KVMB_RING_MAX_PAGES / 2, 0);
	}
	assert_in_range(opened, 8, ARRAY_SIZE(sub) - 1);
	assert_in_range(count_maps() - before, 8000, 33000);
	m.relid = cpu_to_le32(sub[0]);
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m)); /* what it gives back another may have */
	fake_run(&f);
	id = scattered(sub[39], KVMB_RING_MAX_PAGES);
	assert_int_equal(try_open(sub[39], id, KVMB_RING_MAX_PAGES / 2, 0), 0);
	fake_unmap(&c);
	fake_rest(&f);
	assert_in_range(count_maps(), 0, before);
}

/* Lines that @fn made us log. */
static u32 count_lines(void (*fn)(void))
{
	int old = dup(STDERR_FILENO), c;
	FILE *log = tmpfile();
	u32 n = 0;

	dup2(fileno(log), STDERR_FILENO);
	fn();
	dup2(old, STDERR_FILENO);
	close(old);
	rewind(log);
	while ((c = fgetc(log)) != EOF)
		n += c == '\n';
	fclose(log);
	return n;
}

/* Sub-channels again and again, whose numbers are never given back: threats.md X02. */
static void use_up_all_numbers(void)
{
	struct fake_chan c;
	u32 i;

	for (i = 0; i < 180; i++) {
		f.next_gfn = 1000;
		assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
		kvmb_chan_offer_subs(dev[0].ch, 15);
		fake_run(&f);
		fake_close(&f, &c);
	}
}

static void a_guest_that_hoards_numbers_does_not_fill_the_log(void **state)
{
	(void)state;
	connect_all();
	assert_in_range(count_lines(use_up_all_numbers), 1, KVMB_RATELIMIT_BURST);
}

/* The guest asks for sub-channels and closes; its provider sees the one after the bus has seen the other. */
static void a_wish_for_sub_channels_ends_with_its_channel(void **state)
{
	struct kvmb_wire_relid m;
	struct fake_chan c;

	(void)state;
	connect_all();
	m.relid = cpu_to_le32(relid(0));
	dev[0].late = true;
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m));
	kvmb_chan_offer_subs(dev[0].ch, 2);
	kvmb_chan_closed(dev[0].ch);
	dev[0].late = false;
	fake_run(&f);
	fake_unmap(&c);
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	kvmb_chan_offer_subs(dev[0].ch, 0); /* makes the bus look */
	fake_run(&f);
	assert_null(fake_next(&f, KVMB_MSG_OFFER));
	fake_unmap(&c);
}

static void teardown_waits_for_the_provider(void **state)
{
	struct kvmb_wire_relid m;
	struct fake_chan c;

	(void)state;
	connect_all();
	dev[0].late = true;
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	assert_false(fake_teardown(&f, relid(0), c.gpadl)); /* the ring is open */
	m.relid = cpu_to_le32(relid(0));
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m));
	assert_null(fake_next(&f, KVMB_MSG_GPADL_TORNDOWN));
	assert_int_equal(try_open(relid(0), c.gpadl, 4, 0), KVMB_STATUS_FAILED); /* closing */
	kvmb_chan_closed(dev[0].ch);
	fake_run(&f);
	assert_non_null(fake_next(&f, KVMB_MSG_GPADL_TORNDOWN));
	fake_unmap(&c);
}

static void unload_answers_last(void **state)
{
	struct fake_chan c;
	u8 m[8] = { 0 };

	(void)state;
	connect_all();
	dev[1].late = true;
	assert_int_equal(fake_open(&f, &c, relid(1), 4), 0);
	fake_post(&f, KVMB_MSG_UNLOAD, m, sizeof(m));
	assert_null(fake_next(&f, KVMB_MSG_UNLOAD_RESPONSE));
	assert_false(fake_contact(&f, KVMB_VERSION_NEWEST)); /* it waits in the queue */
	kvmb_chan_closed(dev[1].ch);
	fake_run(&f);
	assert_string_equal(kvmb_bus_state_name(f.bus), "connected"); /* by the waiting contact */
	f.next_msg = 0;
	assert_non_null(fake_next(&f, KVMB_MSG_UNLOAD_RESPONSE));
	fake_unmap(&c);
}

static void contact_while_open_resets_everything(void **state)
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

static void modify_moves_the_signal(void **state)
{
	struct kvmb_wire_modify m = { .target_vp = cpu_to_le32(2) };
	const struct kvmb_wire_modify_response *r;
	struct fake_chan c;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	kvmb_chan_signal(dev[0].ch);
	assert_int_equal(f.events[0][0], 1u << relid(0));
	m.relid = cpu_to_le32(relid(0));
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_MODIFY_RESPONSE);
	assert_true(r && !r->status);
	kvmb_chan_signal(dev[0].ch);
	assert_int_equal(f.events[2][0], 1u << relid(0));
	m.target_vp = cpu_to_le32(FAKE_VPS);
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_MODIFY_RESPONSE);
	assert_true(r && r->status);
	fake_close(&f, &c);
	fake_post(&f, KVMB_MSG_MODIFY, &m, sizeof(m));
	r = fake_next(&f, KVMB_MSG_MODIFY_RESPONSE);
	assert_true(r && r->status); /* not open any more */
}

static void rescind_closes_and_frees_after_release(void **state)
{
	struct kvmb_wire_relid m = { 0 };
	struct kvmb_chan *ch = add_dev(2);
	struct fake_chan c;

	(void)state;
	assert_int_equal(connect_all(), 3);
	assert_int_equal(fake_open(&f, &c, relid(2), 4), 0);
	kvmb_bus_revoke(ch);
	fake_run(&f);
	assert_non_null(fake_next(&f, KVMB_MSG_RESCIND));
	assert_int_equal(dev[2].closes, 1);
	m.relid = cpu_to_le32(relid(2));
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m)); /* crossed the rescind: no harm */
	assert_int_equal(try_open(relid(2), c.gpadl, 4, 0), 1);	/* no answer, as notes 3.9 ask */
	assert_true(fake_teardown(&f, relid(2), c.gpadl));
	assert_int_equal(dev[2].released, 0);
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
	assert_int_equal(dev[2].released, 1);
	assert_null(kvmb_chan_by_relid(f.bus, relid(2)));
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m)); /* twice: refused */
	m.relid = offers[0].relid;
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m)); /* of one not rescinded */
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	fake_unmap(&c);
}

static void rescind_while_the_provider_is_slow(void **state)
{
	struct kvmb_wire_relid m = { 0 };
	struct kvmb_chan *ch = add_dev(2);
	struct fake_chan c;

	(void)state;
	connect_all();
	dev[2].late = true;
	assert_int_equal(fake_open(&f, &c, relid(2), 4), 0);
	kvmb_bus_revoke(ch);
	m.relid = cpu_to_le32(relid(2));
	fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m)); /* the guest is quicker */
	assert_int_equal(dev[2].released, 0);
	kvmb_chan_closed(dev[2].ch);
	fake_run(&f);
	assert_int_equal(dev[2].released, 1);
	fake_unmap(&c);
}

static void sub_channels_are_offered_once_and_go_with_the_primary(void **state)
{
	struct kvmb_wire_offer sub[4];
	struct fake_chan c, s;
	const void *o;
	int n = 0;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	kvmb_chan_offer_subs(dev[0].ch, 2);
	kvmb_chan_offer_subs(dev[0].ch, 2);
	fake_run(&f);
	while (n < 4 && (o = fake_next(&f, KVMB_MSG_OFFER)))
		memcpy(&sub[n++], o, sizeof(sub[0]));
	assert_int_equal(n, 2);
	assert_int_equal(le16_to_cpu(sub[0].sub_channel_index), 1);
	assert_int_equal(le16_to_cpu(sub[1].sub_channel_index), 2);
	assert_memory_equal(&sub[0].instance, &offers[0].instance, 16);
	assert_int_equal(fake_open(&f, &s, le32_to_cpu(sub[1].relid), 4), 0);
	fake_close(&f, &s);
	fake_close(&f, &c);
	f.next_msg = 0;
	for (n = 0; fake_next(&f, KVMB_MSG_RESCIND); n++)
		;
	assert_int_equal(n, 2);
}

static u32 asked;

/* A vCPU that has the next question ready whenever it gets an answer */
static void ask_again(struct fake_vmm *v)
{
	struct kvmb_wire_open m = { .relid = cpu_to_le32(999) };
	struct kvmb_wire_msg h = { .type = cpu_to_le32(KVMB_MSG_OPEN) };

	memcpy(&m, &h, sizeof(h));
	if (asked++ < 10000) /* it would be for ever */
		assert_int_equal(kvmb_bus_post(v->bus, KVMB_CONN_MSG, HV_MSG_TYPE_CHANNEL, &m, sizeof(m)), 0);
}

static void on_time(void *arg)
{
	++*(u32 *)arg;
}

static void questions_without_end_leave_time_for_others(void **state)
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

static void every_message_in_every_state_is_survived(void **state)
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

static void old_guests_are_signalled_through_the_interrupt_page(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(contact_accepts_listed_versions_up_to_the_cap), T(contact_honours_vmbus_max),
		T(version_response_tells_the_message_connection),
		T(contact_before_5_0_needs_an_interrupt_page_only_below_2_4),
		T(contact_to_a_vp_that_does_not_exist_is_ignored), T(offers_come_once_with_unique_relids),
		T(messages_before_contact_are_ignored), T(posts_are_refused_by_connection_type_and_length),
		T(flood_without_reading_is_bounded), T(gpadl_of_every_size_is_assembled),
		T(gpadl_lies_are_refused), T(a_hundred_thousand_unfinished_gpadls_meet_a_cap),
		T(open_close_and_reopen), T(open_lies_are_refused_and_leak_nothing),
		T(rings_of_scattered_pages_leave_the_process_its_mappings),
		T(a_guest_that_hoards_numbers_does_not_fill_the_log), T(a_wish_for_sub_channels_ends_with_its_channel),
		T(open_refuses_wild_ring_indices), T(teardown_waits_for_the_provider), T(unload_answers_last),
		T(contact_while_open_resets_everything), T(modify_moves_the_signal),
		T(rescind_closes_and_frees_after_release), T(rescind_while_the_provider_is_slow),
		T(sub_channels_are_offered_once_and_go_with_the_primary),
		T(every_message_in_every_state_is_survived), T(questions_without_end_leave_time_for_others),
		T(old_guests_are_signalled_through_the_interrupt_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
