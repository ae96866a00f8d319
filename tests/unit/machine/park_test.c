// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that stand and go: stopped while they step, while they sleep, and by one of themselves.
 */
#include "machine/park.h"

#include <semaphore.h>

#include "tests/unit/test.h"

#define THREADS 4
#define ROUNDS 3000

static struct park park;
static pthread_t threads[THREADS];
static uint64_t steps[THREADS]; /* atomics */
static sem_t asleep;

static void no_kick(void *arg)
{
	(void)arg;
}

static void *stepper(void *arg)
{
	uint64_t *n = arg;

	while (park_here(&park, NULL, NULL))
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* What a guest does that powers off as soon as it is let go. */
static void *stopper(void *arg)
{
	uint64_t *n = arg;

	while (park_here(&park, NULL, NULL)) {
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
		park_ask(&park);
	}
	return NULL;
}

static void *sleeper(void *arg)
{
	uint64_t *n = arg;

	while (park_here(&park, NULL, NULL)) {
		sem_wait(&asleep);
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void wake_sleeper(void *arg)
{
	(void)arg;
	sem_post(&asleep);
}

static void begin(uint32_t num, void *(*first)(void *arg), void *(*others)(void *arg))
{
	uint32_t i;

	park_init(&park);
	for (i = 0; i < num; i++) {
		steps[i] = 0;
		assert_int_equal(pthread_create(&threads[i], NULL, i ? others : first, &steps[i]),
				 0);
	}
}

static void finish(uint32_t num)
{
	uint32_t i;

	park_quit(&park);
	for (i = 0; i < num; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(park.parked, 0);
	park_fini(&park);
}

static uint64_t load(uint32_t i)
{
	return __atomic_load_n(&steps[i], __ATOMIC_SEQ_CST);
}

static void park_all_stand_then_go_on(void **state)
{
	uint64_t before[THREADS];
	uint32_t i, k;

	(void)state;
	begin(THREADS, stepper, stepper);
	for (i = 0; i < 200; i++) {
		park_all(&park, THREADS, no_kick, NULL);
		assert_int_equal(park.parked, THREADS);
		for (k = 0; k < THREADS; k++)
			before[k] = load(k);
		sched_yield();
		for (k = 0; k < THREADS; k++)
			assert_int_equal(load(k), before[k]);
		park_go(&park);
		for (k = 0; k < THREADS; k++) {
			while (load(k) == before[k])
				sched_yield();
		}
	}
	finish(THREADS);
}

static void park_again_by_the_first_to_go(void **state)
{
	uint64_t before = 0;
	uint32_t i;

	(void)state;
	begin(1, stopper, NULL);
	for (i = 0; i < ROUNDS; i++) {
		park_all(&park, 1, no_kick, NULL);
		assert_true(load(0) <= before + 1); /* one step a round, no further one */
		before = load(0);
		park_go(&park);
	}
	finish(1);
}

static void park_again_before_others_woke(void **state)
{
	uint32_t i;

	(void)state;
	begin(THREADS, stopper, stepper);
	for (i = 0; i < ROUNDS; i++) {
		park_all(&park, THREADS, no_kick, NULL);
		assert_int_equal(park.parked, THREADS);
		park_go(&park);
	}
	finish(THREADS);
}

static void park_kicks_a_sleeper_until_it_stands(void **state)
{
	(void)state;
	sem_init(&asleep, 0, 0);
	begin(2, sleeper, stepper);
	park_all(&park, 2, wake_sleeper, NULL);
	assert_int_equal(park.parked, 2);
	finish(2);
	sem_destroy(&asleep);
}

static uint64_t open_steps; /* atomic: begun and not settled */

static void settle_step(void *arg)
{
	(void)arg;
	__atomic_store_n(&open_steps, 0, __ATOMIC_SEQ_CST);
}

static void *opener(void *arg)
{
	uint64_t *n = arg;

	while (park_here(&park, settle_step, NULL)) {
		__atomic_store_n(&open_steps, 1, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void park_settles_before_standing(void **state)
{
	uint32_t i;

	(void)state;
	begin(1, opener, NULL);
	for (i = 0; i < ROUNDS; i++) {
		park_all(&park, 1, no_kick, NULL);
		assert_int_equal(__atomic_load_n(&open_steps, __ATOMIC_SEQ_CST), 0);
		park_go(&park);
	}
	finish(1);
}

static void park_quit_ends_those_who_stand(void **state)
{
	uint64_t before;

	(void)state;
	begin(2, stepper, stepper);
	park_all(&park, 2, no_kick, NULL);
	before = load(0) + load(1);
	finish(2);
	assert_int_equal(load(0) + load(1), before);
}

static void *rester(void *arg)
{
	uint64_t *n = arg;

	while (park_here(&park, NULL, NULL)) {
		__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
		park_rest(&park, 1000000000); /* 11 days */
	}
	return NULL;
}

static void park_wakes_those_who_rest(void **state)
{
	uint32_t i;

	(void)state;
	begin(2, rester, rester);
	for (i = 1; i <= 100; i++) {
		while (load(0) < i || load(1) < i)
			sched_yield();
		park_all(&park, 2, no_kick, NULL);
		assert_int_equal(park.parked, 2);
		park_go(&park);
	}
	finish(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(park_all_stand_then_go_on),
		cmocka_unit_test(park_again_by_the_first_to_go),
		cmocka_unit_test(park_again_before_others_woke),
		cmocka_unit_test(park_kicks_a_sleeper_until_it_stands),
		cmocka_unit_test(park_settles_before_standing),
		cmocka_unit_test(park_wakes_those_who_rest),
		cmocka_unit_test(park_quit_ends_those_who_stand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
