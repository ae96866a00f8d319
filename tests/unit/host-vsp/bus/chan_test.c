// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels through the fake VMM: open, close, modify, rescind, sub-channels, and guests that lie
 * about them.
 */
#include "host-vsp/bus/bus_priv.h"

#include <dirent.h>
#include <unistd.h>

#include "tests/harness/bus_fixture.h"

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void chan_open_close_and_reopen(void **state)
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

static void chan_open_lies_are_refused_and_leak_nothing(void **state)
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

static void chan_open_refuses_wild_ring_indices(void **state)
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
static void chan_scattered_rings_leave_mappings_for_others(void **state)
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
	assert_in_range(count_maps(), 0, before + 500); /* a sanitizer has its own */
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

/* Sub-channels again and again, whose numbers are never given back: docs/threat-model.md#X02. */
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

static void chan_hoarded_relids_do_not_fill_the_log(void **state)
{
	(void)state;
	connect_all();
	assert_in_range(count_lines(use_up_all_numbers), 1, KVMB_RATELIMIT_BURST);
}

/*
 * The guest asks for sub-channels and closes; its provider sees the one after the bus has seen the
 * other.
 */
static void chan_wish_for_subs_ends_with_its_channel(void **state)
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

static void chan_gpadl_teardown_waits_for_the_provider(void **state)
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

static void chan_modify_moves_the_signal(void **state)
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

static void chan_rescind_closes_and_frees_after_release(void **state)
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
	assert_int_equal(try_open(relid(2), c.gpadl, 4, 0), 1); /* docs/protocol.md#3.17 */
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

/* The guest would forget a second offer of what it still has: docs/protocol.md#7.9. */
static void chan_offer_waits_for_the_release_of_the_old_one(void **state)
{
	struct kvmb_chan *ch = add_dev(2);
	const struct kvmb_wire_offer *o;
	struct kvmb_wire_relid m;
	struct fake_chan c;
	u32 old;
	int i;

	(void)state;
	assert_int_equal(connect_all(), 3);
	old = relid(2);
	for (i = 0; i < 100; i++) {
		assert_int_equal(fake_open(&f, &c, old, 4), 0);
		kvmb_bus_revoke(ch);
		ch = add_dev(2);
		kvmb_bus_revoke(ch); /* the administrator cannot decide */
		ch = add_dev(2);
		fake_run(&f);
		assert_non_null(fake_next(&f, KVMB_MSG_RESCIND));
		assert_null(fake_next(&f, KVMB_MSG_OFFER));
		assert_int_equal(ch->relid, 0);
		assert_true(fake_teardown(&f, old, c.gpadl));
		fake_unmap(&c);
		m = (struct kvmb_wire_relid){ .relid = cpu_to_le32(old) };
		fake_post(&f, KVMB_MSG_RELID_RELEASED, &m, sizeof(m));
		o = fake_next(&f, KVMB_MSG_OFFER);
		assert_non_null(o);
		assert_int_equal(o->instance.b[0], 2);
		assert_null(fake_next(&f, KVMB_MSG_OFFER));
		old = le32_to_cpu(o->relid);
		assert_ptr_equal(kvmb_chan_by_relid(f.bus, old), ch);
	}
	assert_int_equal(dev[2].released, 200);
	assert_int_equal(dev[2].opens, 100);
}

/* One that goes without a word, and comes again, is offered what there is. */
static void chan_new_guest_gets_the_offer_that_waited(void **state)
{
	struct kvmb_chan *ch = add_dev(2);

	(void)state;
	connect_all();
	kvmb_bus_revoke(ch);
	ch = add_dev(2);
	fake_run(&f);
	assert_int_equal(ch->relid, 0);
	assert_int_equal(connect_all(), 3);
	assert_int_equal(dev[2].released, 1);
	assert_int_not_equal(ch->relid, 0);
}

static void chan_rescind_waits_for_a_slow_provider(void **state)
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

static void chan_subs_are_offered_once_and_go_with_the_primary(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(chan_open_close_and_reopen),
		T(chan_open_lies_are_refused_and_leak_nothing),
		T(chan_scattered_rings_leave_mappings_for_others),
		T(chan_hoarded_relids_do_not_fill_the_log),
		T(chan_wish_for_subs_ends_with_its_channel),
		T(chan_open_refuses_wild_ring_indices),
		T(chan_gpadl_teardown_waits_for_the_provider),
		T(chan_modify_moves_the_signal),
		T(chan_rescind_closes_and_frees_after_release),
		T(chan_offer_waits_for_the_release_of_the_old_one),
		T(chan_new_guest_gets_the_offer_that_waited),
		T(chan_rescind_waits_for_a_slow_provider),
		T(chan_subs_are_offered_once_and_go_with_the_primary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
