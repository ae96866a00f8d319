// SPDX-License-Identifier: GPL-2.0-only
/* The tuner: which trials it makes and when it gives one up. How fast a way is, no test can say. */
#include <sched.h>

#include "host-vsp/tuner.h"
#include "tests/unit/test.h"

/* Single requests until a trial of BATCH begins; never more than some windows. */
static void until_trial(struct kvmb_tuner *t)
{
	int i;

	for (i = 0; i < 64 * 1000 && !t->trying; i++)
		kvmb_tuner_note(t, 1);
	assert_true(t->trying);
	assert_int_equal(t->mode, KVMB_WAIT_BATCH);
}

static void batch_is_given_up_when_requests_come_alone(void **state)
{
	struct kvmb_tuner t;
	int i;

	(void)state;
	kvmb_tuner_init(&t);
	t.num_ways = KVMB_WAIT_POLL; /* as with one CPU: WAKE and BATCH */
	until_trial(&t);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	for (i = 0; i < 7; i++)
		kvmb_tuner_note(&t, 1);
	assert_true(t.trying);
	kvmb_tuner_note(&t, 0); /* a turn that served nothing is no wake-up of a request */
	assert_true(t.trying);
	kvmb_tuner_note(&t, 1);
	assert_false(t.trying);
	assert_int_equal(t.best, KVMB_WAIT_WAKE);
	assert_int_equal(t.mode, KVMB_WAIT_WAKE);
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void batch_is_tried_to_the_end_when_one_wake_finds_more(void **state)
{
	struct kvmb_tuner t;
	int i;

	(void)state;
	kvmb_tuner_init(&t);
	t.num_ways = KVMB_WAIT_POLL;
	until_trial(&t);
	kvmb_tuner_note(&t, 2);
	for (i = 0; i < 61; i++)
		kvmb_tuner_note(&t, 1);
	assert_true(t.trying); /* 63 of 64 */
	kvmb_tuner_note(&t, 1);
	assert_false(t.trying);
}

static void trials_get_rarer(void **state)
{
	struct kvmb_tuner t;
	u32 before;
	int i;

	(void)state;
	kvmb_tuner_init(&t);
	t.num_ways = KVMB_WAIT_POLL;
	until_trial(&t);
	before = t.backoff;
	for (i = 0; i < 8; i++)
		kvmb_tuner_note(&t, 1);
	assert_true(t.backoff > before);
	assert_int_equal(t.wait, t.backoff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_is_given_up_when_requests_come_alone),
		cmocka_unit_test(batch_is_tried_to_the_end_when_one_wake_finds_more),
		cmocka_unit_test(trials_get_rarer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
