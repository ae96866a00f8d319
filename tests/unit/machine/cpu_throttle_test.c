// SPDX-License-Identifier: GPL-2.0-only
/* A guest that is slowed down: who rests, for how long, and that it ends. */
#include "machine/cpu_throttle.h"

#include <stdlib.h>

#include "machine/vcpu.h"
#include "tests/unit/test.h"

static struct machine m;
static struct vcpu vcpus[3];
static u32 kicks, rests, rested_ms;

void vcpu_kick(struct vcpu *v)
{
	assert_true(v >= vcpus && v < vcpus + m.cfg.cpus);
	kicks++;
}

void park_rest(struct park *p, uint32_t ms)
{
	assert_ptr_equal(p, &m.park);
	rests++;
	rested_ms = ms;
}

static int setup(void **state)
{
	u32 i;

	(void)state;
	m = (struct machine){ .loop = kvmb_loop_create(), .vcpus = vcpus, .cfg.cpus = 3 };
	for (i = 0; i < 3; i++)
		vcpus[i] = (struct vcpu){ .machine = &m, .index = i };
	cpu_throttle_init(&m);
	kicks = rests = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_timer_cancel(&m.throttle.timer);
	kvmb_loop_destroy(m.loop);
	return 0;
}

static void one_period(void)
{
	u32 before = kicks;

	while (kicks == before)
		kvmb_loop_once(m.loop, -1);
	assert_int_equal(kicks, before + 3);
}

static void vcpu_that_is_not_slowed_never_rests(void **state)
{
	(void)state;
	cpu_throttle_here(&vcpus[0]);
	assert_int_equal(rests, 0);
	machine_throttle(&m, 0);
	cpu_throttle_here(&vcpus[0]);
	assert_int_equal(rests, 0);
}

static void each_vcpu_rests_its_share_once_in_a_period(void **state)
{
	static const struct { u32 percent, ms; } rows[] = { { 20, 2 }, { 50, 10 }, { 90, 90 },
							    { 99, 990 } };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		rests = 0;
		machine_throttle(&m, rows[i].percent);
		one_period();
		cpu_throttle_here(&vcpus[1]);
		CHECK_ROW(rested_ms, rows[i].ms, i);
		cpu_throttle_here(&vcpus[1]);
		CHECK_ROW(rests, 1, i);
		cpu_throttle_here(&vcpus[2]);
		CHECK_ROW(rests, 2, i);
	}
}

static void it_goes_on_period_by_period_and_ends(void **state)
{
	int i;

	(void)state;
	machine_throttle(&m, 20);
	for (i = 0; i < 3; i++) {
		one_period();
		cpu_throttle_here(&vcpus[0]);
	}
	assert_int_equal(rests, 3);
	one_period();
	machine_throttle(&m, 0); /* what was due is not any more */
	cpu_throttle_here(&vcpus[0]);
	assert_int_equal(rests, 3);
	kvmb_loop_once(m.loop, 30);
	assert_int_equal(kicks, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vcpu_that_is_not_slowed_never_rests),
		T(each_vcpu_rests_its_share_once_in_a_period),
		T(it_goes_on_period_by_period_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
