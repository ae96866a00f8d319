// SPDX-License-Identifier: GPL-2.0-only
/* Dynamic memory: what a guest is asked, gives and gets; guests that lie or are silent. */
#include "host-vsp/memory/memory.h"

#include <sys/stat.h>

#include "lib/log.h"
#include "tests/harness/memory_guest.h"
#include "tests/unit/test.h"

static u64 later_ms; /* of the clock that the provider sees */

uint64_t __real_kvmb_now_ms(void);
uint64_t __wrap_kvmb_now_ms(void);
uint64_t __wrap_kvmb_now_ms(void)
{
	return __real_kvmb_now_ms() + later_ms;
}

static int setup(void **state)
{
	(void)state;
	later_ms = 0;
	dm_begin();
	dm_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dm_end();
	return 0;
}

/* ---- agreeing ---- */

static void expect_accepted(u16 type, bool yes)
{
	assert_int_equal(dm_hears(), type);
	assert_int_equal(heard.payload_len, sizeof(struct kvmb_wire_memory_accepted));
	assert_int_equal(heard_u32(4), box.id); /* that of the question */
	assert_int_equal(heard_u64(8), yes);
}

static void memory_agrees_to_three_versions(void **state)
{
	static const u32 good[] = { KVMB_MEMORY_VERSION_WIN10, KVMB_MEMORY_VERSION_WIN8,
				    KVMB_MEMORY_VERSION_WIN7 };
	static const u32 bad[] = { 0, 1, 0x00010001, 0x00020001, 0x00030000, ~0u };
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			dm_ask_version(bad[j]);
			expect_accepted(KVMB_MEMORY_VERSION_RESPONSE, false);
		}
		dm_ask_version(good[i]);
		expect_accepted(KVMB_MEMORY_VERSION_RESPONSE, true);
		assert_int_equal(box.m.state, KVMB_MEMORY_AGREED);
		dm_say_caps(DM_CAPS);
		expect_accepted(KVMB_MEMORY_CAPS_RESPONSE, true);
		assert_string_equal(kvmb_memory_state_name(&box.m), "ready");
		assert_int_equal(box.m.version, good[i]);
		assert_int_equal(dm_hears(), 0); /* it has only just begun */
		dm_report(700, 3000);
		assert_int_equal(dm_hears(),
				 good[i] == KVMB_MEMORY_VERSION_WIN7 ? 0 : KVMB_MEMORY_INFO);
		dm_close();
		assert_string_equal(kvmb_memory_state_name(&box.m), "no guest driver");
		dm_open();
	}
}

static void memory_tells_its_maximum(void **state)
{
	(void)state;
	dm_ask_version(KVMB_MEMORY_VERSION_WIN8);
	dm_hears();
	dm_say_caps(DM_CAPS);
	dm_hears();
	dm_report(1, 2);
	assert_int_equal(dm_hears(), KVMB_MEMORY_INFO);
	assert_int_equal(heard_u32(12), 16);
	assert_int_equal(heard_u32(16), KVMB_MEMORY_INFO_MAX_PAGES);
	assert_int_equal(heard_u32(20), 8);
	assert_int_equal(heard_u64(24), DM_RAM + DM_HOT);
	dm_report(1, 2);
	assert_int_equal(dm_hears(), 0); /* once */
}

/* Windows crashes when it is asked just after its start; one that reports has started. */
static void memory_leaves_a_guest_alone_at_first(void **state)
{
	(void)state;
	dm_ask_version(KVMB_MEMORY_VERSION_WIN7);
	dm_hears();
	dm_say_caps(DM_CAPS);
	dm_hears();
	kvmb_memory_set(&box.m, DM_RAM - 100);
	later_ms += KVMB_MEMORY_SETTLE_MS - 1000;
	kvmb_memory_set(&box.m, DM_RAM - 100);
	assert_int_equal(dm_hears(), 0);
	later_ms += 1001;
	kvmb_memory_set(&box.m, DM_RAM - 100);
	assert_int_equal(dm_hears(), KVMB_MEMORY_BALLOON_REQUEST);
}

static void memory_shows_what_the_guest_reports(void **state)
{
	(void)state;
	assert_int_equal(kvmb_memory_demand(&box.m), 0);
	dm_ready();
	assert_int_equal(box.m.available, 1000);
	assert_int_equal(kvmb_memory_demand(&box.m), 3000);
	kvmb_memory_set(&box.m, DM_RAM - 1000);
	dm_hears();
	dm_give_one(4096, 1000, false);
	dm_report(500, 4000); /* with what it has given away */
	assert_int_equal(kvmb_memory_demand(&box.m), 3000);
	dm_report(~0ull, ~0ull);
	assert_true(kvmb_memory_demand(&box.m) < 1ull << 41);
	dm_report(0, 5);
	assert_int_equal(kvmb_memory_demand(&box.m), 0);
	assert_false(dm_failed());
}

/* ---- giving and getting ---- */

static void expect_ask(u32 pages)
{
	assert_int_equal(dm_hears(), KVMB_MEMORY_BALLOON_REQUEST);
	assert_int_equal(heard_u32(8), pages);
}

static u64 used_pages(void)
{
	struct stat st;

	assert_int_equal(fstat(box.f.gm.memfd, &st), 0);
	return (u64)st.st_blocks * 512 / KVMB_PAGE_SIZE;
}

static void pages_that_are_given_away_are_the_hosts(void **state)
{
	u8 *ram = box.f.view;
	u64 before;

	(void)state;
	memset(ram + 4096 * KVMB_PAGE_SIZE, 0x5a, 3000 * KVMB_PAGE_SIZE);
	before = used_pages();
	dm_ready();
	assert_int_equal(kvmb_memory_set(&box.m, DM_RAM - 3000), 0);
	expect_ask(3000);
	dm_give_one(4096, 512, true);
	assert_int_equal(box.m.state, KVMB_MEMORY_BALLOONING);
	dm_give((const u64[]){ KVMB_MEMORY_RANGE(5000, 1), KVMB_MEMORY_RANGE(6000, 999), 0 }, 3,
		true);
	dm_give_one(4608, 100, false); /* fewer than asked for: the rest is asked for again */
	dm_rest();
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM - 1612);
	assert_int_equal(used_pages(), before - 1612);
	assert_int_equal(memory_drop_total(box.m.drop), 1612);
	assert_int_equal(ram[4096 * KVMB_PAGE_SIZE], 0);
	assert_int_equal(ram[4708 * KVMB_PAGE_SIZE], 0x5a);
	assert_int_equal(ram[5000 * KVMB_PAGE_SIZE], 0);
	assert_true(kvmb_gm_is_away(&box.f.gm, 6998) && !kvmb_gm_is_away(&box.f.gm, 6999));
	expect_ask(3000 - 1612);
}

static void pages_come_back_as_ranges(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 1000);
	expect_ask(1000);
	dm_give((const u64[]){ KVMB_MEMORY_RANGE(4500, 500), KVMB_MEMORY_RANGE(4000, 400) }, 2,
		true);
	dm_give_one(4400, 100, false);
	dm_rest();
	kvmb_memory_set(&box.m, DM_RAM - 300);
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
	assert_int_equal(heard_u32(8), 0); /* all that there is */
	assert_int_equal(heard_u32(12), 1);
	assert_int_equal(heard_u64(16), KVMB_MEMORY_RANGE(4000, 700)); /* neighbours are one */
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM - 300);
	assert_false(kvmb_gm_is_away(&box.f.gm, 4699));
	assert_true(kvmb_gm_is_away(&box.f.gm, 4700));
	kvmb_memory_set(&box.m, DM_RAM);
	assert_int_equal(dm_hears(), 0); /* one question at a time */
	dm_thank();
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
	assert_int_equal(heard_u64(16), KVMB_MEMORY_RANGE(4700, 300));
	dm_thank();
	assert_int_equal(box.m.ballooned, 0);
	assert_int_equal(dm_hears(), 0);
}

/* Single pages: as many as fit into a message, the others in the next. */
static void scattered_pages_come_back_in_parts(void **state)
{
	u64 ranges[500], back = 0;
	u32 i, n, parts = 0;

	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 1000);
	expect_ask(1000);
	for (n = 0; n < 2; n++) {
		for (i = 0; i < 500; i++)
			ranges[i] = KVMB_MEMORY_RANGE(4001 + 2 * (500 * n + i), 1);
		dm_give(ranges, 500, !n);
	}
	dm_rest();
	kvmb_memory_set(&box.m, DM_RAM);
	while (dm_hears() == KVMB_MEMORY_UNBALLOON_REQUEST) {
		assert_true(heard.payload_len <= 2048 && heard_u32(12));
		for (i = 0; i < heard_u32(12); i++)
			assert_int_equal(heard_u64(16 + 8 * i),
					 KVMB_MEMORY_RANGE(4001 + 2 * (back + i), 1));
		back += heard_u32(12);
		parts++;
		dm_thank();
	}
	assert_int_equal(back, 1000);
	assert_int_equal(parts, 4);
	assert_int_equal(box.m.ballooned, 0);
}

static void guest_that_gives_nothing_is_asked_later(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 10);
	expect_ask(10);
	dm_give(NULL, 0, false);
	dm_report(1, 2);
	assert_int_equal(dm_hears(), 0);
	assert_int_equal(box.m.refusals, 1);
	later_ms += KVMB_MEMORY_RETRY_MS;
	dm_report(1, 2);
	expect_ask(10);
	dm_give(NULL, 0, false);
	later_ms += KVMB_MEMORY_RETRY_MS;
	dm_report(1, 2);
	assert_int_equal(dm_hears(), 0); /* less and less often */
	later_ms += KVMB_MEMORY_RETRY_MS;
	dm_report(1, 2);
	expect_ask(10);
	dm_give(NULL, 0, false);
	kvmb_memory_set(&box.m, DM_RAM - 9); /* the administrator asks at once */
	expect_ask(9);
}

static void guest_that_cannot_is_not_asked(void **state)
{
	(void)state;
	dm_ask_version(KVMB_MEMORY_VERSION_WIN7);
	dm_hears();
	dm_say_caps(0);
	dm_hears();
	dm_report(1, 2);
	kvmb_memory_set(&box.m, DM_RAM - 10);
	kvmb_memory_set(&box.m, DM_RAM + DM_UNIT);
	assert_int_equal(dm_hears(), 0);
	assert_int_equal(kvmb_memory_set(&box.m, 15), -ERANGE);
	assert_int_equal(kvmb_memory_set(&box.m, DM_RAM + DM_HOT + 1), -ERANGE);
}

/* ---- more than it began with ---- */

static void expect_add(u64 first, u64 num)
{
	assert_int_equal(dm_hears(), KVMB_MEMORY_ADD_REQUEST);
	assert_int_equal(heard.payload_len, sizeof(struct kvmb_wire_memory_add)); /* no region */
	assert_int_equal(heard_u64(8), KVMB_MEMORY_RANGE(DM_HOT_GFN + first, num));
}

static void new_memory_comes_in_units_of_the_guest(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM + 100);
	expect_add(0, DM_UNIT);
	dm_say_added(DM_UNIT, 1);
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM + DM_UNIT);
	expect_ask(DM_UNIT - 100); /* what was too much */
	dm_give_one(DM_HOT_GFN + 24, DM_UNIT - 100, false);
	dm_rest();
	assert_int_equal(dm_hears(), 0);
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM + 100);
	assert_true(kvmb_gm_is_away(&box.f.gm, DM_RAM + 24));
	kvmb_memory_set(&box.m, DM_RAM + DM_HOT);
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
	assert_int_equal(heard_u64(16), KVMB_MEMORY_RANGE(DM_HOT_GFN + 24, DM_UNIT - 100));
	dm_thank();
	expect_add(DM_UNIT, DM_HOT - DM_UNIT);
	dm_say_added(DM_HOT - DM_UNIT, 1);
	assert_int_equal(dm_hears(), 0);
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM + DM_HOT);
}

static void new_memory_ends_where_the_guest_says(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM + DM_HOT);
	expect_add(0, DM_HOT);
	dm_say_added(0, 0); /* not now */
	assert_int_equal(dm_hears(), 0);
	later_ms += KVMB_MEMORY_RETRY_MS;
	dm_report(1, 2);
	expect_add(0, DM_HOT);
	dm_say_added(3 * DM_UNIT, 1); /* its bound */
	assert_int_equal(box.m.added, 3 * DM_UNIT);
	later_ms += KVMB_MEMORY_RETRY_MS;
	dm_report(1, 2);
	assert_int_equal(dm_hears(), 0);
	assert_false(dm_failed());
}

static void reset_takes_away_what_was_added(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM + DM_UNIT);
	expect_add(0, DM_UNIT);
	dm_say_added(DM_UNIT, 1);
	memset(box.f.view + FAKE_RAM / 2, 0x77, 64 * KVMB_PAGE_SIZE);
	dm_close();
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM + DM_UNIT); /* it has it still */
	kvmb_memory_reset(&box.m);
	assert_int_equal(kvmb_memory_assigned(&box.m), DM_RAM);
	assert_false(memory_drop_waits(box.m.drop)); /* the VM may go to another process */
	dm_open();
	dm_rest();
	assert_int_equal(box.f.view[FAKE_RAM / 2], 0);
	dm_ready();
	dm_report(1, 2);
	expect_add(0, DM_UNIT); /* the target stays */
}

/* ---- lies ---- */

static void lie_pages(void)
{
	dm_give_one(4000, 11, false);
}

static void lie_many_parts(void)
{
	dm_give_one(4000, 10, true);
	dm_give_one(4010, 1, false);
}

static void lie_twice(void)
{
	dm_give((const u64[]){ KVMB_MEMORY_RANGE(4000, 5), KVMB_MEMORY_RANGE(4004, 5) }, 2, false);
}

static void lie_no_ram(void)
{
	dm_give_one(DM_RAM, 1, false);
}

static void lie_over_the_end(void)
{
	dm_give_one(DM_RAM - 5, 6, false);
}

static void lie_far(void)
{
	dm_give_one((1ull << 40) - 1, 2, false);
}

static void lie_hot(void) /* that it was not told of */
{
	dm_give_one(DM_HOT_GFN, 1, false);
}

static void lie_list(void)
{
	struct kvmb_wire_memory_ballooned msg = {
		.h = dm_header(KVMB_MEMORY_BALLOON_RESPONSE, sizeof(msg)),
		.more_num = cpu_to_le32(1 << 1),
	};

	dm_send(&msg, sizeof(msg));
}

static void lie_long_list(void)
{
	struct kvmb_wire_memory_ballooned msg = {
		.h = dm_header(KVMB_MEMORY_BALLOON_RESPONSE, sizeof(msg)),
		.more_num = cpu_to_le32(~0u),
	};

	dm_send(&msg, sizeof(msg));
}

static void lie_thanks(void)
{
	dm_thank();
}

static void lie_added(void)
{
	dm_say_added(0, 1);
}

static void lie_version(void)
{
	dm_ask_version(KVMB_MEMORY_VERSION_WIN10);
}

static void lie_caps(void)
{
	dm_say_caps(0);
}

static void lie_short(void)
{
	const struct kvmb_wire_memory_header h = dm_header(KVMB_MEMORY_STATUS, sizeof(h));

	dm_send(&h, sizeof(h));
}

static void lie_size(void)
{
	const struct kvmb_wire_memory_header h = dm_header(KVMB_MEMORY_STATUS, 4);

	dm_send(&h, sizeof(h));
}

static void lie_longer(void)
{
	const struct kvmb_wire_memory_header h =
		dm_header(KVMB_MEMORY_STATUS, sizeof(struct kvmb_wire_memory_status));

	dm_send(&h, sizeof(h));
}

static void lie_ours(void)
{
	const struct kvmb_wire_memory_header h = dm_header(KVMB_MEMORY_INFO, sizeof(h));

	dm_send(&h, sizeof(h));
}

static void lie_type(void)
{
	const struct kvmb_wire_memory_header h = dm_header(0xffff, sizeof(h));

	dm_send(&h, sizeof(h));
}

static void lie_empty(void)
{
	dm_send("", 0);
}

static void lie_packet(void)
{
	fake_send(&box.f, &box.c, KVMB_PKT_COMPLETION, 0, 7, NULL, 0, heard_buf, 16);
	fake_run(&box.f);
}

static void memory_lies_cost_the_channel(void **state)
{
	static void (*const lies[])(void) = {
		lie_pages,  lie_many_parts, lie_twice, lie_no_ram,    lie_over_the_end,
		lie_far,    lie_hot,	    lie_list,  lie_long_list, lie_thanks,
		lie_added,  lie_version,    lie_caps,  lie_short,     lie_size,
		lie_longer, lie_ours,	    lie_type,  lie_empty,     lie_packet,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		dm_ready();
		kvmb_memory_set(&box.m, DM_RAM - 10);
		expect_ask(10);
		CHECK_ROW(dm_failed(), false, i);
		lies[i]();
		CHECK_ROW(dm_failed(), true, i);
		kvmb_memory_set(&box.m, DM_RAM);
		CHECK_ROW(dm_hears(), 0, i);
		dm_close();
		CHECK_ROW(kvmb_memory_assigned(&box.m), DM_RAM, i);
		dm_open();
	}
	dm_ready();
}

static void memory_that_is_unasked_costs_the_channel(void **state)
{
	(void)state;
	dm_ready();
	dm_give_one(4000, 1, false);
	assert_true(dm_failed());
	dm_close();
	dm_open();
	dm_report(1, 2); /* before anything is agreed */
	assert_true(dm_failed());
	dm_close();
	dm_open();
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM + DM_HOT);
	expect_add(0, DM_HOT);
	dm_say_added(DM_HOT + 1, 1);
	assert_true(dm_failed());
}

static void guest_that_is_silent_is_asked_once(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 10);
	expect_ask(10);
	later_ms += KVMB_MEMORY_LATE_MS;
	dm_report(1, 2);
	assert_true(box.m.late);
	kvmb_memory_set(&box.m, DM_RAM + 5);
	later_ms += 10 * KVMB_MEMORY_LATE_MS;
	dm_report(1, 2);
	assert_int_equal(dm_hears(), 0);
	dm_give_one(4000, 10, false); /* after all */
	assert_false(dm_failed());
	dm_rest();
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
}

/* ---- who stands, and who leaves ---- */

static void nothing(void *arg)
{
	*(bool *)arg = true;
}

static void give_much(void)
{
	memset(box.f.view + 1024 * KVMB_PAGE_SIZE, 1, 7000 * KVMB_PAGE_SIZE);
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 7000);
	expect_ask(7000);
	dm_give_one(1024, 7000, false);
}

static void memory_stands_while_the_bus_does(void **state)
{
	bool stands = false;
	u64 total;

	(void)state;
	give_much();
	kvmb_bus_pause(box.f.bus, nothing, &stands);
	while (!stands)
		kvmb_loop_once(box.f.loop, 1);
	total = memory_drop_total(box.m.drop);
	kvmb_memory_set(&box.m, DM_RAM);
	assert_int_equal(dm_hears(), 0);
	assert_int_equal(memory_drop_total(box.m.drop), total);
	kvmb_bus_resume(box.f.bus);
	dm_rest();
	assert_int_equal(memory_drop_total(box.m.drop), 7000);
	assert_int_equal(dm_hears(), KVMB_MEMORY_UNBALLOON_REQUEST);
}

/* Another driver, or kernel, may use the pages: nothing is dropped behind its back. */
static void nothing_is_away_of_who_has_closed(void **state)
{
	u8 *ram = box.f.view;

	(void)state;
	give_much();
	dm_close();
	assert_false(memory_drop_waits(box.m.drop));
	memset(ram + 1024 * KVMB_PAGE_SIZE, 2, 7000 * KVMB_PAGE_SIZE);
	dm_open();
	dm_rest();
	assert_int_equal(box.m.ballooned, 0);
	assert_false(kvmb_gm_is_away(&box.f.gm, 1024));
	assert_int_equal(ram[1024 * KVMB_PAGE_SIZE], 2);
	assert_int_equal(ram[8023 * KVMB_PAGE_SIZE], 2);
}

/* Memory may still come from a file: what is dropped then would come again. */
static void memory_waits_for_memory_that_comes(void **state)
{
	(void)state;
	dm_ready();
	box.f.gm.lazy = 1;
	kvmb_memory_set(&box.m, DM_RAM - 10);
	assert_int_equal(dm_hears(), 0);
	box.f.gm.lazy = 0;
	dm_report(1, 2);
	expect_ask(10);
}

/* Its own rings: the guest's loss. */
static void guest_may_give_away_its_ring(void **state)
{
	(void)state;
	dm_ready();
	kvmb_memory_set(&box.m, DM_RAM - 10);
	expect_ask(10);
	dm_give_one(box.c.first_gfn, 10, false);
	dm_rest();
	dm_report(1, 2);
	dm_hears();
	dm_close();
	dm_open();
	dm_ready();
	assert_false(dm_failed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_agrees_to_three_versions),
		T(memory_tells_its_maximum),
		T(memory_leaves_a_guest_alone_at_first),
		T(memory_shows_what_the_guest_reports),
		T(pages_that_are_given_away_are_the_hosts),
		T(pages_come_back_as_ranges),
		T(scattered_pages_come_back_in_parts),
		T(guest_that_gives_nothing_is_asked_later),
		T(guest_that_cannot_is_not_asked),
		T(new_memory_comes_in_units_of_the_guest),
		T(new_memory_ends_where_the_guest_says),
		T(reset_takes_away_what_was_added),
		T(memory_lies_cost_the_channel),
		T(memory_that_is_unasked_costs_the_channel),
		T(guest_that_is_silent_is_asked_once),
		T(memory_stands_while_the_bus_does),
		T(nothing_is_away_of_who_has_closed),
		T(memory_waits_for_memory_that_comes),
		T(guest_may_give_away_its_ring),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
