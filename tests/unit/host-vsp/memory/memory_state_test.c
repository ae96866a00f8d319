// SPDX-License-Identifier: GPL-2.0-only
/* Dynamic memory goes on elsewhere, from each phase; states that lie. */
#include "host-vsp/memory/memory.h"

#include "lib/log.h"
#include "tests/harness/memory_guest.h"
#include "tests/unit/test.h"

static struct kvmb_tlv_error error;

static struct {
	struct kvmb_tlv_out o;
	u8 *ram;
	struct fake_chan c;
	bool is_open;
	u32 relid, next_gpadl;
	u64 next_gfn;
} file;

static void stands(void *arg)
{
	*(bool *)arg = true;
}

static void save(void)
{
	bool done = false;

	kvmb_bus_pause(box.f.bus, stands, &done);
	while (!done)
		kvmb_loop_once(box.f.loop, 1);
	kvmb_bus_save(box.f.bus, &file.o);
	kvmb_tlv_begin(&file.o, KVMB_SEC_MEM_SERVICE, 0, KVMB_TLV_CRITICAL);
	kvmb_memory_save(&box.m, &file.o);
	kvmb_tlv_end(&file.o);
	file.next_gpadl = box.f.next_gpadl;
	file.next_gfn = box.f.next_gfn;
	file.ram = malloc(FAKE_RAM);
	memcpy(file.ram, box.f.view, FAKE_RAM);
	file.c = box.c;
	file.is_open = box.is_open;
	file.relid = box.relid;
	dm_end();
}

/* The guest's view of its rings, in the new memory. */
static void take_rings(struct fake_chan *c)
{
	u64 gfns[64];
	u32 i;

	for (i = 0; i < c->pages; i++)
		gfns[i] = c->first_gfn + i;
	assert_int_equal(kvmb_gm_map_ring(&box.f.gm, gfns, c->down, &c->map_tx), 0);
	assert_int_equal(
		kvmb_gm_map_ring(&box.f.gm, gfns + c->down, c->pages - c->down, &c->map_rx), 0);
	c->tx.ctrl = c->map_tx.ctrl;
	c->tx.data = c->map_tx.data;
	c->rx.ctrl = c->map_rx.ctrl;
	c->rx.data = c->map_rx.data;
}

static int load(void)
{
	struct kvmb_tlv t;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	dm_host_begin();
	memcpy(box.f.view, file.ram, FAKE_RAM); /* as a migration: also where nothing should be */
	box.relid = file.relid;
	box.f.next_gpadl = file.next_gpadl;
	box.f.next_gfn = file.next_gfn;
	kvmb_bus_begin_load(box.f.bus);
	while (!error.err && !kvmb_tlv_next(file.o.buf, file.o.len, &pos, &t, &error)) {
		if (t.tag == KVMB_SEC_BUS)
			kvmb_bus_load(box.f.bus, &t);
		else
			kvmb_memory_load(&box.m, &t);
	}
	box.c = file.c;
	box.is_open = file.is_open;
	if (box.is_open)
		take_rings(&box.c);
	return error.err;
}

static void forget_file(void)
{
	kvmb_tlv_out_fini(&file.o);
	free(file.ram);
	memset(&file, 0, sizeof(file));
}

static void move(void)
{
	save();
	memset(file.ram + 6000 * KVMB_PAGE_SIZE, 9, 10 * KVMB_PAGE_SIZE);
	assert_int_equal(load(), 0);
	kvmb_bus_resume(box.f.bus);
	dm_rest();
	forget_file();
}

static int setup(void **state)
{
	(void)state;
	dm_begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	forget_file();
	dm_end();
	return 0;
}

static void memory_moves_before_a_driver_comes(void **state)
{
	(void)state;
	kvmb_memory_set(&box.m, DM_RAM - 77);
	move();
	assert_int_equal(box.m.target, DM_RAM - 77);
	dm_open();
	dm_rest();
	dm_ready();
	dm_report(1, 2);
	assert_int_equal(box.m.state, KVMB_MEMORY_BALLOONING);
}

static void memory_moves_between_version_and_capabilities(void **state)
{
	(void)state;
	dm_open();
	move();
	dm_ask_version(KVMB_MEMORY_VERSION_WIN8);
	dm_hears();
	move();
	assert_int_equal(box.m.version, KVMB_MEMORY_VERSION_WIN8);
	dm_say_caps(DM_CAPS);
	dm_hears();
	dm_report(1, 2);
	assert_int_equal(dm_hears(), KVMB_MEMORY_INFO);
	move();
	dm_report(1, 2);
	assert_int_equal(dm_hears(), 0); /* told once */
	assert_int_equal(box.m.state, KVMB_MEMORY_READY);
}

static void memory_moves_in_each_question(void **state)
{
	(void)state;
	dm_open();
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 200);
	assert_int_equal(dm_hears(), KVMB_MEMORY_BALLOON_REQUEST);
	dm_give_one(6000, 100, true);
	move();
	assert_int_equal(box.m.state, KVMB_MEMORY_BALLOONING);
	assert_true(kvmb_gm_is_away(&box.f.gm, 6000));
	assert_int_equal(box.f.view[6000 * KVMB_PAGE_SIZE], 0); /* dropped here, too */
	dm_give_one(6100, 100, false);
	dm_rest();
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM - 200);
	kvmb_memory_set(&box.m, DM_RAM - 100);
	move(); /* with the request in its ring */
	assert_int_equal(box.m.state, KVMB_MEMORY_UNBALLOONING);
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
	assert_int_equal(heard_u64(16), KVMB_MEMORY_RANGE(6000, 100));
	dm_thank();
	kvmb_memory_set(&box.m, DM_RAM + DM_UNIT);
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
	dm_thank();
	assert_int_equal(dm_hears(), KVMB_MEMORY_ADD_REQUEST);
	move();
	dm_say_added(DM_UNIT, 1);
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM + DM_UNIT);
	move();
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM + DM_UNIT);
	assert_false(dm_failed());
}

static void memory_that_had_failed_stays_so(void **state)
{
	(void)state;
	dm_open();
	dm_thank();
	assert_true(dm_failed());
	move();
	assert_true(dm_failed());
	dm_report(1, 2);
	assert_int_equal(box.m.reports, 0);
	dm_close();
	dm_open();
	dm_ready();
}

static void pages_of_all_kinds_move(void **state)
{
	u64 ranges[300], n, all = 0;
	u32 i;

	(void)state;
	dm_open();
	dm_ready();
	kvmb_memory_set(&box.m, 16);
	dm_hears();
	for (i = 0; i < 300; i++) {
		n = i % 70 + 1;
		ranges[i] = KVMB_MEMORY_RANGE(200 + all + i, n);
		all += n;
		if (all + i > 7000)
			break;
	}
	dm_give(ranges, i, false);
	dm_rest();
	n = box.m.ballooned;
	move();
	assert_int_equal(box.m.ballooned, n);
	while (i--) {
		u64 first = KVMB_MEMORY_RANGE_FIRST(ranges[i]),
		    num = KVMB_MEMORY_RANGE_NUM(ranges[i]);

		CHECK_ROW(kvmb_gm_is_away(&box.f.gm, first), true, i);
		CHECK_ROW(kvmb_gm_is_away(&box.f.gm, first + num - 1), true, i);
		CHECK_ROW(kvmb_gm_is_away(&box.f.gm, first + num), false, i);
	}
}

/* ---- lies: a field of a good section is another number ---- */

static void put_state(const u64 *v)
{
	static const u8 bits[4096] = { 1 };
	u32 i;

	kvmb_tlv_begin(&file.o, KVMB_SEC_MEM_SERVICE, 0, 0);
	for (i = 1; i <= 15; i++)
		kvmb_tlv_put(&file.o, i, v[i]);
	if (v[16]) {
		kvmb_tlv_group(&file.o, 16);
		kvmb_tlv_put(&file.o, 1, v[17]);
		if (v[16] == 1)
			kvmb_tlv_put_bytes(&file.o, 3, bits, v[18]);
		else
			kvmb_tlv_put(&file.o, 2, v[18]);
		kvmb_tlv_group_end(&file.o);
	}
	kvmb_tlv_end(&file.o);
}

static int load_lie(const u64 *v)
{
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	memset(&error, 0, sizeof(error));
	put_state(v);
	assert_int_equal(kvmb_tlv_next(file.o.buf, file.o.len, &pos, &t, &error), 0);
	dm_end();
	dm_begin();
	err = kvmb_memory_load(&box.m, &t);
	kvmb_tlv_out_fini(&file.o);
	return err;
}

static void states_that_lie_are_refused(void **state)
{
	static const struct {
		u32 field;
		u64 v;
	} lies[] = {
		{ 1, DM_RAM + 1 },
		{ 2, 0 },
		{ 3, DM_HOT - 1 },
		{ 4, KVMB_MEMORY_READY },
		{ 4, KVMB_MEMORY_NUM_STATES },
		{ 5, KVMB_MEMORY_VERSION_WIN8 },
		{ 8, 1 },
		{ 9, DM_HOT + 1 },
		{ 10, 1 << 24 },
		{ 11, 1 << 24 },
		{ 12, 8 },
		{ 16, 1 },
		{ 16, 2 },
	};
	u64 good[19] = { 0, DM_RAM, DM_RAM, DM_HOT }, v[19];
	size_t i;

	(void)state;
	good[7] = DM_RAM;
	good[18] = 2048;
	assert_int_equal(load_lie(good), 0);
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		memcpy(v, good, sizeof(v));
		v[lies[i].field] = lies[i].v;
		CHECK_ROW(load_lie(v) < 0, true, i);
	}
}

/* Of an open channel, pages may be away: which ones is checked against RAM. */
static void pages_that_lie_are_refused(void **state)
{
	static const struct {
		u64 state, asked, next, kind, at, v;
		bool good;
	} rows[] = {
		{ KVMB_MEMORY_READY, 0, 0, 1, 0, 2048, true },
		{ KVMB_MEMORY_READY, 0, 0, 1, 0, 2047, false },
		{ KVMB_MEMORY_READY, 0, 0, 1, 0, 2056, false },
		{ KVMB_MEMORY_READY, 0, 0, 1, 0, 0, false },
		{ KVMB_MEMORY_READY, 0, 0, 1, 64, 2048, false },
		{ KVMB_MEMORY_READY, 0, 0, 1, 32768, 2048, false },
		{ KVMB_MEMORY_READY, 0, 0, 2, 0, 16384, false },      /* hot pages, not told of */
		{ KVMB_MEMORY_READY, 0, DM_HOT, 2, 0, 16384, false }, /* more than it has */
		{ KVMB_MEMORY_READY, 0, 0, 2, 0, 100, false },
		{ KVMB_MEMORY_BALLOONING, DM_RAM - 1, 0, 1, 0, 2048, true },
		{ KVMB_MEMORY_BALLOONING, DM_RAM, 0, 1, 0, 2048, false },
		{ KVMB_MEMORY_ADDING, 100, 99, 1, 0, 2048, false },
		{ KVMB_MEMORY_ADDING, 100, 100, 1, 0, 2048, true },
	};
	u64 v[19];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kvmb_tlv t;
		size_t pos = 0;

		memcpy(v,
		       (const u64[19]){ 0, DM_RAM, DM_RAM, DM_HOT, rows[i].state,
					KVMB_MEMORY_VERSION_WIN10, 3, DM_RAM, 0, rows[i].next,
					rows[i].asked, 0, 0, 0, 0, 0, rows[i].kind, rows[i].at,
					rows[i].v },
		       sizeof(v));
		put_state(v);
		memset(&error, 0, sizeof(error));
		assert_int_equal(kvmb_tlv_next(file.o.buf, file.o.len, &pos, &t, &error), 0);
		dm_open();
		box.m.fresh = true; /* as if a load had opened it */
		CHECK_ROW(!kvmb_memory_load(&box.m, &t), rows[i].good, i);
		kvmb_tlv_out_fini(&file.o);
		dm_end();
		dm_begin();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_moves_before_a_driver_comes),
		T(memory_moves_between_version_and_capabilities),
		T(memory_moves_in_each_question),
		T(memory_that_had_failed_stays_so),
		T(pages_of_all_kinds_move),
		T(states_that_lie_are_refused),
		T(pages_that_lie_are_refused),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
