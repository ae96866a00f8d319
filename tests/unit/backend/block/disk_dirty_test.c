// SPDX-License-Identifier: GPL-2.0-only
/* Writes that are noted: each of them, the last chunk, and while somebody copies the disk. */
#include "backend/block/disk_dirty.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/dirty_log.h"
#include "tests/unit/test.h"

#define CHUNK KVMB_DISK_CHUNK
#define CHUNKS 130u /* three words, the last one not full */

static struct kvmb_disk d;
static u64 bits[(CHUNKS + 63) / 64];

static int setup(void **state)
{
	(void)state;
	memset(bits, 0, sizeof(bits));
	d = (struct kvmb_disk){ .block = 512, .blocks = (u64)(CHUNKS - 1) * CHUNK / 512 + 1 };
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	assert_int_equal(kvmb_disk_dirty_begin(&d), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_disk_dirty_end(&d);
	kvmb_disk_dirty_free(&d);
	return 0;
}

static u64 taken(void)
{
	u64 i, n = 0;

	memset(bits, 0, sizeof(bits));
	kvmb_disk_dirty_take(&d, bits);
	for (i = 0; i < CHUNKS; i++)
		n += bits[i / 64] >> i % 64 & 1;
	return n;
}

static bool has(u64 chunk)
{
	return bits[chunk / 64] >> chunk % 64 & 1;
}

static void each_chunk_of_a_write_is_noted_once(void **state)
{
	(void)state;
	assert_int_equal(kvmb_disk_chunks(&d), CHUNKS);
	assert_int_equal(taken(), 0);
	kvmb_disk_dirty(&d, CHUNK - 1, 2);
	assert_int_equal(taken(), 2);
	assert_true(has(0) && has(1));
	assert_int_equal(taken(), 0);
	kvmb_disk_dirty(&d, 60ull * CHUNK, 10 * CHUNK); /* over the end of a word */
	kvmb_disk_dirty(&d, 61ull * CHUNK, 1);
	assert_int_equal(taken(), 10);
	assert_true(has(60) && has(69) && !has(59) && !has(70));
	kvmb_disk_dirty(&d, 0, kvmb_disk_bytes(&d));
	assert_int_equal(taken(), CHUNKS);
}

static void what_is_beyond_the_end_does_not_count(void **state)
{
	(void)state;
	kvmb_disk_dirty(&d, 5, 0);
	kvmb_disk_dirty(&d, (u64)CHUNKS * CHUNK, 512);
	kvmb_disk_dirty(&d, UINT64_MAX, 512);
	kvmb_disk_dirty(&d, UINT64_MAX - 100, UINT64_MAX);
	assert_int_equal(taken(), 0);
	kvmb_disk_dirty(&d, kvmb_disk_bytes(&d) - 512, UINT64_MAX);
	assert_int_equal(taken(), 1);
	assert_true(has(CHUNKS - 1));
}

static void disk_that_has_grown_has_more_chunks(void **state)
{
	u64 more[4] = { 0 };

	(void)state;
	kvmb_disk_dirty(&d, 0, 1);
	kvmb_disk_dirty_end(&d);
	kvmb_disk_dirty(&d, CHUNK, 1);
	d.blocks = 200 * CHUNK / 512;
	assert_int_equal(kvmb_disk_dirty_begin(&d), 0);
	kvmb_disk_dirty(&d, 199ull * CHUNK, 1);
	kvmb_disk_dirty_take(&d, more);
	assert_true(!more[0] && !more[1] && !more[2] && more[3] == 1ull << 199 % 64);
}

static void nothing_of_the_last_time_is_left(void **state)
{
	(void)state;
	kvmb_disk_dirty(&d, 0, 1);
	kvmb_disk_dirty_end(&d);
	assert_int_equal(kvmb_disk_dirty_begin(&d), 0);
	assert_int_equal(taken(), 0);
}

/* ---- a worker and a copier ---- */

#define WRITES 40000u

static int file;

/* Writes a number into a chunk, each time a larger one, and says so when it is there. */
static void *be_a_worker(void *arg)
{
	u64 mine = (u64)(uintptr_t)arg, i, at;

	for (i = 1; i <= WRITES; i++) {
		at = (mine + 4 * (i % 8)) * CHUNK;
		if (pwrite(file, &i, sizeof(i), (off_t)at) != sizeof(i))
			return arg;
		kvmb_disk_dirty(&d, at, sizeof(i));
	}
	return NULL;
}

static void copy_what_was_written(u64 *copy)
{
	u64 i;

	memset(bits, 0, sizeof(bits));
	kvmb_disk_dirty_take(&d, bits);
	for (i = 0; i < 32; i++) {
		if (has(i))
			assert_int_equal(pread(file, &copy[i], sizeof(u64), (off_t)(i * CHUNK)),
					 sizeof(u64));
	}
}

static void copy_is_the_disk_when_nobody_writes_any_more(void **state)
{
	u64 copy[32] = { 0 }, now, i, worker;
	pthread_t threads[4];
	void *failed;

	(void)state;
	file = memfd_create("disk", 0);
	for (worker = 0; worker < 4; worker++)
		assert_int_equal(pthread_create(&threads[worker], NULL, be_a_worker,
						(void *)(uintptr_t)worker),
				 0);
	for (i = 0; i < 2000; i++)
		copy_what_was_written(copy);
	for (worker = 0; worker < 4; worker++) {
		pthread_join(threads[worker], &failed);
		assert_null(failed);
	}
	copy_what_was_written(copy);
	for (i = 0; i < 32; i++) {
		assert_int_equal(pread(file, &now, sizeof(now), (off_t)(i * CHUNK)), sizeof(now));
		assert_int_equal(copy[i], now);
		assert_in_range(now, WRITES - 7, WRITES);
	}
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(each_chunk_of_a_write_is_noted_once),
		T(what_is_beyond_the_end_does_not_count),
		T(disk_that_has_grown_has_more_chunks),
		T(nothing_of_the_last_time_is_left),
		T(copy_is_the_disk_when_nobody_writes_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
