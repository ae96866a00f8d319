// SPDX-License-Identifier: GPL-2.0-only
/* A disk as it was at one moment: who may write, who comes first, and how long anybody waits. */
#include "backend/block/disk_point.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "tests/unit/test.h"

#define CHUNK KVMB_DISK_CHUNK
#define CHUNKS 130u /* three words, the last one not full, its last chunk not either */

static struct kvmb_disk d;
static struct kvmb_disk_bell bell = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
static u64 now_ms;

u64 __wrap_kvmb_now_ms(void);
u64 __wrap_kvmb_now_ms(void)
{
	return __atomic_load_n(&now_ms, __ATOMIC_RELAXED);
}

static int setup(void **state)
{
	(void)state;
	now_ms = 1000;
	bell.rung = false;
	d = (struct kvmb_disk){ .block = 512, .blocks = (u64)(CHUNKS - 1) * CHUNK / 512 + 1 };
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_disk_point_end(&d);
	kvmb_disk_point_free(&d);
	kvmb_disk_dirty_free(&d);
	return 0;
}

static bool may(u64 chunk, u64 chunks)
{
	return kvmb_disk_may_write(&d, chunk * CHUNK, chunks * CHUNK);
}

static void begin(const u64 *only)
{
	assert_int_equal(kvmb_disk_point_begin(&d, only, &bell), 0);
}

static void without_a_point_everybody_may_write(void **state)
{
	(void)state;
	assert_true(may(0, CHUNKS));
	begin(NULL);
	assert_false(may(0, 1));
	kvmb_disk_point_end(&d);
	assert_true(may(0, CHUNKS));
	kvmb_disk_point_end(&d); /* twice is fine */
}

static void write_waits_for_each_chunk_that_it_touches(void **state)
{
	(void)state;
	begin(NULL);
	kvmb_disk_point_saved(&d, 0, 64);
	assert_true(may(0, 64));
	assert_false(kvmb_disk_may_write(&d, 64ull * CHUNK - 1, 2));
	assert_true(kvmb_disk_may_write(&d, 64ull * CHUNK - 1, 1));
	kvmb_disk_point_saved(&d, 64, 1);
	assert_true(kvmb_disk_may_write(&d, 64ull * CHUNK - 1, 2));
	assert_false(may(0, CHUNKS));
	kvmb_disk_point_saved(&d, 65, CHUNKS);
	assert_true(may(0, CHUNKS));
	assert_false(kvmb_disk_point_broken(&d));
}

static void what_is_beyond_the_end_is_nobodys(void **state)
{
	(void)state;
	begin(NULL);
	assert_true(kvmb_disk_may_write(&d, (u64)CHUNKS * CHUNK, 512));
	assert_true(kvmb_disk_may_write(&d, ~0ull - 511, 512));
	assert_true(kvmb_disk_may_write(&d, 0, 0));
	assert_false(kvmb_disk_may_write(&d, (u64)(CHUNKS - 1) * CHUNK, ~0ull >> 1));
}

static void the_copier_finds_runs_and_ends(void **state)
{
	u64 num;

	(void)state;
	begin(NULL);
	assert_int_equal(kvmb_disk_point_next(&d, 0, 4, &num), 0);
	assert_int_equal(num, 4);
	kvmb_disk_point_saved(&d, 0, 62);
	kvmb_disk_point_saved(&d, 66, 60);
	assert_int_equal(kvmb_disk_point_next(&d, 0, 100, &num), 62);
	assert_int_equal(num, 4);
	assert_int_equal(kvmb_disk_point_next(&d, 66, 100, &num), 126);
	assert_int_equal(num, 4); /* not beyond the end */
	kvmb_disk_point_saved(&d, 62, CHUNKS);
	assert_int_equal(kvmb_disk_point_next(&d, 0, 100, &num), CHUNKS);
}

static void only_what_is_wanted_is_kept(void **state)
{
	u64 only[3] = { 1ull << 5, 0, ~0ull }, num; /* bits beyond the end, too */

	(void)state;
	begin(only);
	assert_true(may(0, 5));
	assert_false(may(5, 1));
	assert_int_equal(kvmb_disk_point_next(&d, 6, 9, &num), 128);
	assert_int_equal(num, 2);
}

static void who_waits_is_served_first(void **state)
{
	u64 chunk, num;

	(void)state;
	begin(NULL);
	assert_false(kvmb_disk_point_wanted(&d, 4, &chunk, &num));
	kvmb_disk_point_saved(&d, 100, 1);
	assert_false(may(100, 3));
	assert_true(bell.rung);
	assert_false(may(7, 1));
	assert_true(kvmb_disk_point_wanted(&d, 4, &chunk, &num));
	assert_int_equal(chunk, 101);
	assert_int_equal(num, 2);
	kvmb_disk_point_saved(&d, chunk, num);
	assert_true(kvmb_disk_point_wanted(&d, 4, &chunk, &num));
	assert_int_equal(chunk, 7);
	kvmb_disk_point_saved(&d, chunk, num);
	assert_false(kvmb_disk_point_wanted(&d, 4, &chunk, &num));
	assert_true(may(100, 3) && may(7, 1));
}

/* More writers than are remembered: those that found no room ask again. */
static void no_writer_is_forgotten(void **state)
{
	u64 chunk, num, i, left = CHUNKS;

	(void)state;
	begin(NULL);
	while (left) {
		for (i = left = 0; i < CHUNKS; i++)
			left += !may(i, 1);
		while (kvmb_disk_point_wanted(&d, 1, &chunk, &num))
			kvmb_disk_point_saved(&d, chunk, num);
	}
	assert_int_equal(kvmb_disk_point_next(&d, 0, 1, &num), CHUNKS);
}

static void a_copier_that_hangs_loses_its_point(void **state)
{
	(void)state;
	begin(NULL);
	assert_false(may(3, 1));
	now_ms += KVMB_POINT_PATIENCE_MS;
	assert_false(may(3, 1));
	kvmb_disk_point_saved(&d, 9, 1); /* it lives */
	now_ms += KVMB_POINT_PATIENCE_MS;
	assert_false(may(3, 1));
	now_ms++;
	assert_false(kvmb_disk_point_broken(&d));
	assert_true(may(3, 1));
	assert_true(kvmb_disk_point_broken(&d));
	assert_true(may(50, 1));
	kvmb_disk_point_end(&d);
	begin(NULL); /* another one begins anew */
	assert_false(kvmb_disk_point_broken(&d));
	assert_false(may(3, 1));
}

static void a_copier_that_is_slow_loses_it_later(void **state)
{
	u32 i;

	(void)state;
	begin(NULL);
	assert_false(may(3, 1));
	for (i = 0; i < KVMB_POINT_PATIENCE_MAX_MS / 1000; i++) {
		now_ms += 1000;
		kvmb_disk_point_saved(&d, 10 + i, 1);
		assert_false(may(3, 1));
	}
	now_ms++;
	assert_true(may(3, 1));
	assert_true(kvmb_disk_point_broken(&d));
}

static void a_disk_of_another_size_gets_another_point(void **state)
{
	u64 num;

	(void)state;
	begin(NULL);
	kvmb_disk_point_end(&d);
	d.blocks = 10 * CHUNK / 512;
	begin(NULL);
	assert_true(may(10, 1));
	kvmb_disk_point_saved(&d, 0, 10);
	assert_int_equal(kvmb_disk_point_next(&d, 0, 1, &num), 10);
}

/* ---- writers and a copier at once: a write never comes before the copy ---- */

static u8 *disk, *copy;
static u32 ends;

static void *write_all(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	u64 chunk;

	while (!__atomic_load_n(&ends, __ATOMIC_ACQUIRE)) {
		chunk = (u64)rand_r(&seed) % CHUNKS;
		if (may(chunk, 1))
			__atomic_store_n(&disk[chunk], 1, __ATOMIC_RELAXED);
		else
			usleep(100);
	}
	return NULL;
}

static void what_is_saved_is_what_was_there(void **state)
{
	static u8 a[CHUNKS], b[CHUNKS];
	pthread_t writers[2];
	u64 chunk = 0, num, w, n;
	u32 i;

	(void)state;
	memset(a, 0, sizeof(a));
	memset(b, 7, sizeof(b));
	disk = a;
	copy = b;
	ends = 0;
	begin(NULL);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_all,
						(void *)(uintptr_t)(i + 1)),
				 0);
	while ((chunk = kvmb_disk_point_next(&d, chunk, 1, &num)) < CHUNKS) {
		w = chunk;
		n = num;
		kvmb_disk_point_wanted(&d, 1, &w, &n);
		copy[w] = __atomic_load_n(&disk[w], __ATOMIC_RELAXED);
		usleep(100);
		kvmb_disk_point_saved(&d, w, n);
	}
	usleep(10000);
	__atomic_store_n(&ends, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	for (i = 0; i < CHUNKS; i++)
		assert_int_equal(copy[i], 0);
	assert_non_null(memchr(disk, 1, CHUNKS));
	assert_false(kvmb_disk_point_broken(&d));
}

/* ---- what has changed since ---- */

static void changes_count_from_one_point_to_the_next(void **state)
{
	const u64 *bits;

	(void)state;
	assert_null(kvmb_disk_since_bits(&d, "a"));
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	kvmb_disk_since_done(&d, "a");
	kvmb_disk_dirty(&d, 0, 1);
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	assert_null(kvmb_disk_since_bits(&d, "b"));
	bits = kvmb_disk_since_bits(&d, "a");
	assert_non_null(bits);
	assert_int_equal(bits[0], 1);
	kvmb_disk_dirty(&d, CHUNK, 1); /* after the second point */
	kvmb_disk_since_done(&d, "b");
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	bits = kvmb_disk_since_bits(&d, "b");
	assert_non_null(bits);
	assert_int_equal(bits[0], 2);
	assert_null(kvmb_disk_since_bits(&d, "a"));
}

/* A backup that failed: what it took is still a change since the last good one. */
static void what_was_taken_in_vain_is_not_lost(void **state)
{
	(void)state;
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	assert_null(kvmb_disk_since_bits(&d, "")); /* there never was a good one */
	kvmb_disk_since_done(&d, "a");
	kvmb_disk_dirty(&d, 0, 1);
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	kvmb_disk_dirty(&d, CHUNK, 1);
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	assert_int_equal(kvmb_disk_since_bits(&d, "a")[0], 3);
}

static void a_new_size_ends_what_is_known(void **state)
{
	(void)state;
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	kvmb_disk_since_done(&d, "a");
	d.blocks += CHUNK / 512;
	assert_null(kvmb_disk_since_bits(&d, "a"));
	assert_int_equal(kvmb_disk_since_take(&d), 0);
	assert_null(kvmb_disk_since_bits(&d, "a"));
	kvmb_disk_since_done(&d, "b");
	assert_non_null(kvmb_disk_since_bits(&d, "b"));
	kvmb_disk_since_forget(&d);
	assert_false(d.watched);
	assert_null(kvmb_disk_since_bits(&d, "b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_point_everybody_may_write, setup,
						teardown),
		cmocka_unit_test_setup_teardown(write_waits_for_each_chunk_that_it_touches, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_beyond_the_end_is_nobodys, setup, teardown),
		cmocka_unit_test_setup_teardown(the_copier_finds_runs_and_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_is_wanted_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(who_waits_is_served_first, setup, teardown),
		cmocka_unit_test_setup_teardown(no_writer_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copier_that_hangs_loses_its_point, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_copier_that_is_slow_loses_it_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_disk_of_another_size_gets_another_point, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_saved_is_what_was_there, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_count_from_one_point_to_the_next, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_taken_in_vain_is_not_lost, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_new_size_ends_what_is_known, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
