// SPDX-License-Identifier: GPL-2.0-only
/* The log of our own writes: what is in it, and that nothing is lost between writers and taker. */
#include "lib/dirty_log.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"

#define PAGE 4096u
#define PAGES 1000u /* the last word is not full */
#define WORDS 16u
#define WRITERS 2u /* so few that they run at the same time everywhere */
#define LOGS 3000u
#define RACES 4000u

static uint8_t *ram;
static uint64_t bits[WORDS];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	/* a page more on each side: what is near RAM is not in it */
	ram = mmap(NULL, (PAGES + 2) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	if (ram == MAP_FAILED)
		return -1;
	ram += PAGE;
	memset(bits, 0, sizeof(bits));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_dirty_log_end();
	return munmap(ram - PAGE, (PAGES + 2) * PAGE);
}

static void begin(void)
{
	assert_int_equal(kvmb_dirty_log_begin(ram, PAGES * PAGE), 0);
}

static bool is_set(uint64_t page)
{
	return bits[page / 64] >> page % 64 & 1;
}

/* Exactly @first to @last are noted. */
static void check_noted(uint64_t first, uint64_t last)
{
	uint64_t i;

	memset(bits, 0, sizeof(bits));
	kvmb_dirty_log_take(bits, 0, PAGES);
	for (i = 0; i < WORDS * 64; i++) {
		if (is_set(i) != (i >= first && i <= last))
			fail_msg("page %u is %s", (unsigned int)i,
				 is_set(i) ? "noted" : "not noted");
	}
}

static void check_none(void)
{
	check_noted(1, 0);
}

static void notes_pages_that_are_touched(void **state)
{
	static const struct {
		uint32_t at, len, first, last;
	} rows[] = {
		{ 0, 1, 0, 0 },
		{ PAGE - 1, 1, 0, 0 },
		{ PAGE - 1, 2, 0, 1 },
		{ 63 * PAGE, PAGE, 63, 63 },
		{ 63 * PAGE, PAGE + 1, 63, 64 },
		{ 64 * PAGE, 64 * PAGE, 64, 127 },
		{ 5 * PAGE + 7, 130 * PAGE, 5, 135 },
		{ 0, PAGES * PAGE, 0, PAGES - 1 },
		{ (PAGES - 1) * PAGE, PAGE, PAGES - 1, PAGES - 1 },
		{ (PAGES - 1) * PAGE, 9 * PAGE, PAGES - 1, PAGES - 1 }, /* the rest is not RAM */
	};
	size_t i;

	(void)state;
	begin();
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		kvmb_dirty(ram + rows[i].at, rows[i].len);
		check_noted(rows[i].first, rows[i].last);
		check_none(); /* it was taken */
	}
}

static void what_is_not_ram_does_not_count(void **state)
{
	uint8_t ours[8];

	(void)state;
	begin();
	kvmb_dirty(ours, sizeof(ours));
	kvmb_dirty(ram - 1, 1);
	kvmb_dirty(ram + PAGES * PAGE, 1);
	kvmb_dirty(NULL, 1);
	kvmb_dirty(ram, 0);
	check_none();
}

static void notes_as_much_of_a_list_as_was_written(void **state)
{
	uint8_t ours[PAGE];
	struct iovec iov[] = { { ours, sizeof(ours) },
			       { ram + 70 * PAGE + 100, 0 },
			       { ram + 10 * PAGE, 2 * PAGE },
			       { ram + 12 * PAGE, PAGE } };

	(void)state;
	begin();
	kvmb_dirty_iov(iov, ARRAY_SIZE(iov), sizeof(ours));
	check_none();
	kvmb_dirty_iov(iov, ARRAY_SIZE(iov), sizeof(ours) + 1);
	check_noted(10, 10);
	kvmb_dirty_iov(iov, ARRAY_SIZE(iov), sizeof(ours) + 2 * PAGE + 1);
	check_noted(10, 12);
	kvmb_dirty_iov(iov, ARRAY_SIZE(iov), 100 * PAGE); /* longer than it is */
	check_noted(10, 12);
}

static void notes_nothing_without_a_log(void **state)
{
	(void)state;
	assert_false(kvmb_dirty_log_on());
	kvmb_dirty(ram, PAGE);
	begin();
	assert_true(kvmb_dirty_log_on());
	check_none();
	kvmb_dirty(ram, PAGE);
	kvmb_dirty_log_end();
	kvmb_dirty_log_end(); /* once more does no harm */
	kvmb_dirty(ram + PAGE, PAGE);
	kvmb_dirty_log_note(ram + 2 * PAGE, PAGE); /* it saw the flag before that */
	begin();
	check_none();
}

static void takes_the_range_that_is_asked_for(void **state)
{
	(void)state;
	begin();
	kvmb_dirty(ram, PAGES * PAGE);
	bits[13] = 1;
	bits[14] = 8;
	kvmb_dirty_log_take(bits, 128, PAGES - 128);
	assert_true(bits[0] == ~0ull && bits[13] == (1ull << 40) - 1 && bits[14] == 8);
	/* bit 0 is page 128 */
	check_noted(0, 127);
}

/* ---- threads ---- */

static uint32_t round_of[1 + WRITERS]; /* atomic; of the taker, then of each writer */

/* Go on when all of @first to @last have come to this @round. */
static void wait_for(uint32_t first, uint32_t last, uint32_t round)
{
	uint32_t i, spins = 0;

	for (i = first; i <= last; i++) {
		while (__atomic_load_n(&round_of[i], __ATOMIC_ACQUIRE) < round) {
			if (++spins > 30000)
				sched_yield();
		}
	}
}

static void come_to(uint32_t me, uint32_t round)
{
	__atomic_store_n(&round_of[me], round, __ATOMIC_RELEASE);
}

static uint32_t *word_of(uint8_t *memory, uint32_t page, uint32_t writer)
{
	return (uint32_t *)(memory + page * PAGE) + writer;
}

static void copy_page(uint8_t *copy, uint32_t page)
{
	uint32_t w;

	for (w = 0; w < WRITERS; w++)
		*word_of(copy, page, w) = __atomic_load_n(word_of(ram, page, w), __ATOMIC_RELAXED);
}

static void copy_noted(uint8_t *copy)
{
	uint32_t i;

	memset(bits, 0, sizeof(bits));
	kvmb_dirty_log_take(bits, 0, PAGES);
	for (i = 0; i < PAGES; i++) {
		if (is_set(i))
			copy_page(copy, i);
	}
}

static void check_copy(uint8_t *copy)
{
	uint32_t i, w;

	for (i = 0; i < PAGES; i++) {
		for (w = 0; w < WRITERS; w++)
			assert_int_equal(*word_of(copy, i, w), *word_of(ram, i, w));
	}
}

static void *write_each_page_once_a_round(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg, round, i, page;

	for (round = 1; round <= LOGS; round++) {
		wait_for(0, 0, round);
		come_to(1 + me, 2 * round);
		wait_for(1, WRITERS, 2 * round); /* they begin together */
		for (i = 0; i < PAGES; i++) {
			page = (i + me) % PAGES;
			__atomic_store_n(word_of(ram, page, me), round, __ATOMIC_RELAXED);
			kvmb_dirty(word_of(ram, page, me), 4);
		}
		come_to(1 + me, 2 * round + 1);
	}
	return NULL;
}

static bool all_have_come_to(uint32_t round)
{
	uint32_t w;

	for (w = 0; w < WRITERS; w++) {
		if (__atomic_load_n(&round_of[1 + w], __ATOMIC_ACQUIRE) < round)
			return false;
	}
	return true;
}

/* A page is written once by each writer, so that no later note makes up for one that is lost. */
static void nothing_is_lost_between_writers_and_taker(void **state)
{
	uint8_t *copy = calloc(PAGES, PAGE);
	pthread_t t[WRITERS];
	uint32_t w, round;

	(void)state;
	memset(round_of, 0, sizeof(round_of));
	begin();
	for (w = 0; w < WRITERS; w++)
		assert_int_equal(pthread_create(&t[w], NULL, write_each_page_once_a_round,
						(void *)(uintptr_t)w),
				 0);
	for (round = 1; round <= LOGS; round++) {
		come_to(0, round);
		while (!all_have_come_to(2 * round + 1)) {
			copy_noted(copy);
			usleep(20); /* writers first */
		}
		copy_noted(copy);
		check_copy(copy);
	}
	for (w = 0; w < WRITERS; w++)
		pthread_join(t[w], NULL);
	free(copy);
}

/* ---- a log that begins while a page is written ---- */

static void idle(int turns)
{
	while (turns-- > 0)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static int delay; /* atomic; of the writer, or if less than 0 of the taker: so that they meet */

static void *write_once_a_race(void *arg)
{
	uint32_t round, i;

	(void)arg;
	for (round = 1; round <= RACES; round++) {
		wait_for(0, 0, 2 * round);
		idle(__atomic_load_n(&delay, __ATOMIC_RELAXED));
		/* what the processor has to do first, so that it keeps the write for long */
		for (i = 1; i < 40; i++)
			__atomic_store_n(word_of(ram, i, 0), round, __ATOMIC_RELAXED);
		__atomic_store_n(word_of(ram, 0, 0), round, __ATOMIC_RELAXED);
		kvmb_dirty(ram, 4);
		come_to(1, round);
	}
	return NULL;
}

static void a_write_is_seen_or_noted_when_a_log_begins(void **state)
{
	uint32_t round, seen, noted = 0, i;
	pthread_t t;

	(void)state;
	memset(round_of, 0, sizeof(round_of));
	delay = 0;
	assert_int_equal(pthread_create(&t, NULL, write_once_a_race, NULL), 0);
	for (round = 1; round <= RACES; round++) {
		for (i = 1; i < 40; i++) /* now they are this processor's */
			(void)__atomic_load_n(word_of(ram, i, 0), __ATOMIC_RELAXED);
		come_to(0, 2 * round);
		idle(-delay);
		begin();
		seen = __atomic_load_n(word_of(ram, 0, 0), __ATOMIC_RELAXED);
		wait_for(1, 1, round);
		memset(bits, 0, sizeof(bits));
		kvmb_dirty_log_take(bits, 0, PAGES);
		kvmb_dirty_log_end();
		if (seen != round && !is_set(0))
			fail_msg("round %u: neither seen nor noted", round);
		noted += is_set(0);
		delay += is_set(0) ? -64 : 64;
	}
	pthread_join(t, NULL);
	print_message("noted in %u of %u rounds\n", noted, RACES); /* about half, on idle CPUs */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(notes_pages_that_are_touched),
		T(what_is_not_ram_does_not_count),
		T(notes_as_much_of_a_list_as_was_written),
		T(notes_nothing_without_a_log),
		T(takes_the_range_that_is_asked_for),
		T(nothing_is_lost_between_writers_and_taker),
		T(a_write_is_seen_or_noted_when_a_log_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
