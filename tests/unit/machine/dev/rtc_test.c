// SPDX-License-Identifier: GPL-2.0-only
/* CMOS memory as firmware reads sizes from it; interrupts, on a clock of the test's own. */
#include "machine/dev/rtc.h"

#include <errno.h>
#include <time.h>

#include "lib/loop.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/unit/test.h"

#define BEGIN_S 1600000000 /* 12:26:40, a Sunday */

static struct kvmb_loop *loop;
static struct rtc *r;
static u64 now_us; /* since BEGIN_S, of both clocks */
static int level, edges;

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	*t = (struct timespec){ .tv_sec = (time_t)(now_us / 1000000) +
					  (id == CLOCK_REALTIME ? BEGIN_S : 1),
				.tv_nsec = (long)(now_us % 1000000) * 1000 };
	return 0;
}

time_t __wrap_time(time_t *t)
{
	(void)t;
	return (time_t)(BEGIN_S + now_us / 1000000);
}

static void on_irq(void *arg, int to)
{
	assert_ptr_equal(arg, &level);
	edges += to && !level;
	level = to;
}

static int setup(void **state)
{
	(void)state;
	now_us = 0;
	level = edges = 0;
	loop = kvmb_loop_create();
	r = rtc_create();
	rtc_connect(r, loop, on_irq, &level);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rtc_destroy(r);
	kvmb_loop_destroy(loop);
	return 0;
}

static void pass_us(u64 us)
{
	u64 until = now_us + us;

	for (; now_us < until; now_us += 500)
		kvmb_loop_once(loop, 0);
	kvmb_loop_once(loop, 0);
}

static void put(u8 reg, u8 val)
{
	u32 v = reg;

	rtc_access(r, 0, 1, true, &v);
	v = val;
	rtc_access(r, 1, 1, true, &v);
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

/* ---- interrupts ---- */

/* As SeaBIOS waits in INT 15h, function 86h; without it such a guest waits for ever. */
static void periods_interrupt(void **state)
{
	u32 i;

	(void)state;
	put(0x0a, 0x26); /* 1024 Hz */
	pass_us(10000);
	assert_int_equal(edges, 0); /* nobody wants them */
	assert_int_equal(cmos(0x0c), 0x40);
	put(0x0b, 0x42);
	for (i = 1; i <= 100; i++) {
		pass_us(2000);
		assert_true(level);
		assert_in_range(cmos(0x0c), 0xc0, 0xc1);
	}
	assert_in_range(edges, 100, 101);
	put(0x0b, 0x02);
	cmos(0x0c);
	pass_us(10000);
	assert_int_equal(level, 0);
}

/* As Windows keeps its time. */
static void periods_that_were_missed_are_made_up_for(void **state)
{
	u32 num = 0;

	(void)state;
	put(0x0a, 0x2a); /* 64 Hz */
	put(0x0b, 0x42);
	pass_us(500000); /* it reads nothing */
	assert_int_equal(edges, 1);
	while (level) {
		assert_int_equal(cmos(0x0c), 0xc0);
		num++;
	}
	assert_int_equal(num, 32);
	assert_int_equal(edges, 32);
	pass_us(3600ull * 1000000); /* a pause is no time of the guest's */
	for (num = 0; level; num++)
		cmos(0x0c);
	assert_in_range(num, 64, 65);
}

static void divider_and_rate_can_stop_it(void **state)
{
	(void)state;
	put(0x0b, 0x42);
	put(0x0a, 0x20); /* no rate */
	pass_us(100000);
	put(0x0a, 0x76); /* held in reset */
	pass_us(100000);
	assert_int_equal(edges, 0);
	put(0x0a, 0x2f); /* 2 Hz */
	pass_us(499000);
	assert_int_equal(edges, 0);
	pass_us(3000);
	assert_int_equal(edges, 1);
}

/* As Linux has it: hwclock waits for it when it wants a second's beginning. */
static void alarm_interrupts(void **state)
{
	(void)state;
	now_us = 300000;
	put(0x0a, 0x20);
	put(1, 0x45); /* 12:26:45 */
	put(3, 0x26);
	put(5, 0x12);
	cmos(0x0c);
	put(0x0b, 0x22);
	pass_us(4600000);
	assert_int_equal(edges, 0);
	pass_us(200000);
	assert_int_equal(edges, 1);
	assert_int_equal(cmos(0x0c), 0xb0);
	assert_int_equal(level, 0);
	put(1, 0xff); /* every second */
	put(3, 0xc0);
	put(5, 0xc0);
	pass_us(3000000);
	assert_int_equal(edges, 2); /* it has not been read */
	cmos(0x0c);
	pass_us(1000000);
	assert_int_equal(edges, 3);
}

static void updates_interrupt(void **state)
{
	(void)state;
	put(0x0b, 0x12);
	pass_us(999000);
	assert_int_equal(edges, 0);
	pass_us(3000);
	assert_int_equal(edges, 1);
	assert_int_equal(cmos(0x0c) & 0xb0, 0x90);
	put(0x0b, 0x92); /* while time is set there are none */
	assert_int_equal(cmos(0x0b), 0x82);
	put(0x0b, 0x12);
	cmos(0x0c);
	pass_us(1100000);
	assert_int_equal(edges, 2);
}

static void reset_ends_interrupts(void **state)
{
	(void)state;
	put(0x0b, 0x72);
	pass_us(2000);
	assert_int_equal(level, 1);
	rtc_reset(r);
	assert_int_equal(level, 0);
	assert_int_equal(cmos(0x0b), 0x02);
	pass_us(2000000);
	assert_int_equal(edges, 1);
}

static void time_in_twelve_hours(void **state)
{
	(void)state;
	put(0x0b, 0x80);
	put(4, 0x81); /* one in the afternoon */
	put(0x0b, 0);
	assert_int_equal(cmos(4), 0x81);
	put(0x0b, 0x02);
	assert_int_equal(cmos(4), 0x13);
	put(0x0b, 0x80);
	put(4, 0x12); /* midnight */
	put(0x0b, 0);
	put(0x0b, 0x02);
	assert_int_equal(cmos(4), 0);
}

static int move_to_another(bool other_b)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	rtc_save(r, &o);
	kvmb_tlv_end(&o);
	rtc_destroy(r);
	level = edges = 0;
	r = rtc_create();
	rtc_connect(r, loop, on_irq, &level);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	if (other_b) /* flags of interrupts that are off */
		o.buf[KVMB_TLV_HEADER + 8 + 8 + 8 + 0x0b] = 2;
	err = rtc_load(r, &t);
	assert_int_equal(edges, 0);
	if (!err)
		rtc_loaded(r);
	kvmb_tlv_out_fini(&o);
	return err;
}

static void interrupts_go_on_in_a_saved_vm(void **state)
{
	(void)state;
	put(0x0a, 0x2a);
	put(0x0b, 0x42);
	pass_us(20000);
	assert_int_equal(move_to_another(false), 0);
	assert_int_equal(level, 1);
	assert_int_equal(cmos(0x0c), 0xc0);
	pass_us(20000);
	assert_int_equal(edges, 2);
	assert_int_equal(move_to_another(true), -EPROTO);
	put(0x0b, 0x02);
	pass_us(20000); /* there are flags, which an older version would refuse */
	assert_int_equal(move_to_another(false), 0);
	assert_int_equal(cmos(0x0c), 0);
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
		put(0x0b, 0x80 | rows[i].mode);
		put(0, 0);
		put(2, 0x10);
		put(4, rows[i].hour);
		put(0x0b, rows[i].mode);
		CHECK_ROW(cmos(4), rows[i].hour, i);
		put(0x0b, 0x02);
		CHECK_ROW(cmos(4), rows[i].as_24, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sizes_of_memory),
		T(guest_cannot_keep_another_size),
		T(periods_interrupt),
		T(periods_that_were_missed_are_made_up_for),
		T(divider_and_rate_can_stop_it),
		T(alarm_interrupts),
		T(updates_interrupt),
		T(reset_ends_interrupts),
		T(time_in_twelve_hours),
		T(interrupts_go_on_in_a_saved_vm),
		T(clock_is_set_as_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
