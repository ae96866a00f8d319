// SPDX-License-Identifier: GPL-2.0-only
/* Limits: requests are spaced out, what was not used is given back, and no sum wraps. */
#include "backend/throttle.h"
#include "tests/unit/test.h"

#define NOW 1000000000000ull

static void limits_space_requests_out(void **state)
{
	struct kvmb_throttle t = { .iops = 100 };
	u64 wait = 0;
	u32 i;

	(void)state;
	for (i = 0; i < 11; i++) /* a tenth of a second's worth, and the one that is due now */
		assert_int_equal(kvmb_throttle_take(&t, 4096, NOW), 0);
	for (i = 1; i <= 100; i++) {
		wait = kvmb_throttle_take(&t, 4096, NOW);
		assert_int_equal(wait, i * 10000000ull); /* 10 ms apart */
	}
	/* it empties with time */
	assert_int_equal(kvmb_throttle_take(&t, 0, NOW + 2000000000ull), 0);
	t = (struct kvmb_throttle){ .bps = 1 << 20 };
	assert_int_equal(kvmb_throttle_take(&t, 1 << 20, NOW), 0); /* one large request at once, */
	assert_int_equal(kvmb_throttle_take(&t, 512, NOW), 900000000ull); /* but it is paid for */
	assert_int_equal(kvmb_throttle_take(&t, 0, NOW), 0); /* a flush moves nothing */
}

/* The smallest limit and the largest requests: the wait grows, and never falls back to nothing. */
static void a_debt_never_wraps(void **state)
{
	struct kvmb_throttle t = { .bps = 1 };
	u64 wait, last = 0;
	u32 i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		wait = kvmb_throttle_take(&t, 512 * 1024, NOW);
		assert_true(wait >= last);
		last = wait;
	}
	assert_true(NOW + last > NOW);
}

/* Somebody who takes and gives back for ever leaves the others where they were. */
static void what_is_given_back_costs_nothing(void **state)
{
	struct kvmb_throttle t = { .iops = 10, .bps = 1000 };
	struct kvmb_throttle_cost cost[100];
	u64 before, wait = 0;
	u32 round, i;

	(void)state;
	kvmb_throttle_take(&t, 1000, NOW);
	before = kvmb_throttle_take(&t, 1000, NOW);
	for (round = 0; round < 1000; round++) {
		for (i = 0; i < 100; i++)
			wait = kvmb_throttle_charge(&t, 512 * 1024, NOW + round, &cost[i]);
		assert_true(wait > before);
		for (i = 0; i < 100; i++)
			kvmb_throttle_give_back(&t, &cost[i]);
		kvmb_throttle_give_back(&t, &cost[0]); /* nothing is left of it */
	}
	assert_int_equal(kvmb_throttle_take(&t, 1000, NOW), before + 1000000000ull);
}

/* At the largest debt there is, what is given back is what was taken. */
static void a_full_debt_gives_back_what_it_took(void **state)
{
	struct kvmb_throttle t = { .bps = 1 };
	struct kvmb_throttle_cost cost;
	u64 full;

	(void)state;
	while (kvmb_throttle_take(&t, 1ull << 40, NOW) < (1ull << 62) - KVMB_THROTTLE_BURST_NS)
		;
	full = t.byte_empty;
	kvmb_throttle_charge(&t, 1ull << 40, NOW, &cost);
	assert_int_equal(cost.byte_ns, 0);
	kvmb_throttle_give_back(&t, &cost);
	assert_int_equal(t.byte_empty, full);
}

static void new_limits_begin_afresh(void **state)
{
	struct kvmb_throttle t = { .bps = 1 };
	struct kvmb_throttle_cost cost;

	(void)state;
	kvmb_throttle_charge(&t, 512 * 1024, NOW, &cost);
	assert_true(kvmb_throttle_take(&t, 1, NOW));
	kvmb_throttle_set(&t, 100, 1 << 20);
	kvmb_throttle_give_back(&t, &cost); /* of the old limits: nothing is owed, and no more */
	assert_int_equal(kvmb_throttle_take(&t, 1 << 20, NOW), 0);
	assert_int_equal(kvmb_throttle_take(&t, 1, NOW), 900000000ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_space_requests_out), cmocka_unit_test(a_debt_never_wraps),
		cmocka_unit_test(what_is_given_back_costs_nothing),
		cmocka_unit_test(a_full_debt_gives_back_what_it_took),
		cmocka_unit_test(new_limits_begin_afresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
