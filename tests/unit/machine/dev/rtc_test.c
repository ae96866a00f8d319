// SPDX-License-Identifier: GPL-2.0-only
/* CMOS memory as firmware reads sizes from it, and the clock. */
#include "machine/dev/rtc.h"

#include "lib/util.h"
#include "tests/unit/test.h"

static struct rtc *r;

static int setup(void **state)
{
	(void)state;
	r = rtc_create();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rtc_destroy(r);
	return 0;
}

static u8 cmos(u8 reg)
{
	u32 v = reg;

	rtc_access(r, 0, 1, true, &v);
	rtc_access(r, 1, 1, false, &v);
	return (u8)v;
}

static u32 number(u8 reg, u32 bytes)
{
	u32 v = 0;

	while (bytes--)
		v = v << 8 | cmos((u8)(reg + bytes));
	return v;
}

static void sizes_of_memory(void **state)
{
	static const struct {
		u64 low, high;
		u32 kib, above_16m, above_4g;
	} rows[] = {
		{ 1ull << 20, 0, 0, 0, 0 },
		{ 16ull << 20, 0, 15 << 10, 0, 0 },
		{ 17ull << 20, 0, 16 << 10, 16, 0 },
		{ 256ull << 20, 0, 0xffff, 240 << 4, 0 },
		{ 3ull << 30, 1ull << 30, 0xffff, 3056 << 4, 1 << 14 },
		{ 3ull << 30, 1ull << 40, 0xffff, 3056 << 4, 0xffffff },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		rtc_set_memory(r, rows[i].low, rows[i].high);
		CHECK_ROW(number(0x15, 2), 640, i);
		CHECK_ROW(number(0x17, 2), rows[i].kib, i);
		CHECK_ROW(number(0x30, 2), rows[i].kib, i);
		CHECK_ROW(number(0x34, 2), rows[i].above_16m, i);
		CHECK_ROW(number(0x5b, 3), rows[i].above_4g, i);
	}
}

static void guest_cannot_keep_another_size(void **state)
{
	u32 v = 0x34;

	(void)state;
	rtc_set_memory(r, 256ull << 20, 0);
	rtc_access(r, 0, 1, true, &v);
	v = 0xaa;
	rtc_access(r, 1, 1, true, &v);
	assert_int_equal(cmos(0x34), 0xaa);
	rtc_set_memory(r, 256ull << 20, 0); /* as at each reset */
	assert_int_equal(number(0x34, 2), 240 << 4);
}

static void set_cmos(u8 reg, u8 to)
{
	u32 v = reg;

	rtc_access(r, 0, 1, true, &v);
	v = to;
	rtc_access(r, 1, 1, true, &v);
}

/* Of 12 or 24 hours, BCD or not: what is set is read. */
static void clock_is_set_as_it_is_read(void **state)
{
	static const struct {
		u8 mode, hour, as_24;
	} rows[] = {
		{ 0x02, 0x00, 0x00 }, { 0x02, 0x23, 0x23 }, { 0x06, 23, 0x23 },
		{ 0x00, 0x12, 0x00 }, { 0x00, 0x01, 0x01 }, { 0x00, 0x92, 0x12 },
		{ 0x00, 0x91, 0x23 }, { 0x04, 0x8b, 0x23 }, { 0x04, 0x0c, 0x00 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		set_cmos(0x0b, 0x80 | rows[i].mode);
		set_cmos(0, 0);
		set_cmos(2, 0x10);
		set_cmos(4, rows[i].hour);
		set_cmos(0x0b, rows[i].mode);
		CHECK_ROW(cmos(4), rows[i].hour, i);
		set_cmos(0x0b, 0x02);
		CHECK_ROW(cmos(4), rows[i].as_24, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes_of_memory),
		T(guest_cannot_keep_another_size),
		T(clock_is_set_as_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
