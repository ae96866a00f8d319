// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a device comes back as it was; only what is not zero is written; runs that lie. */
#include "lib/tlv_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define SIZE (1u << 20)
#define FIELD 9u

static uint8_t *memory, *back;
static int fd;
static struct kvmb_tlv_out out;
static struct kvmb_tlv_error error;

static int setup(void **state)
{
	(void)state;
	fd = memfd_create("t", 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(memory != MAP_FAILED);
	back = calloc(1, SIZE);
	memset(&out, 0, sizeof(out));
	memset(&error, 0, sizeof(error));
	kvmb_tlv_begin(&out, KVMB_SEC_MACHINE, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(memory, SIZE);
	close(fd);
	free(back);
	kvmb_tlv_out_fini(&out);
	return 0;
}

static bool load(void)
{
	struct kvmb_tlv t;
	size_t pos = 0;

	kvmb_tlv_end(&out);
	assert_int_equal(kvmb_tlv_next(out.buf, out.len, &pos, &t, &error), 0);
	if (!kvmb_tlv_get_memory(&t, FIELD, NULL, SIZE))
		return false;
	assert_true(kvmb_tlv_get_memory(&t, FIELD, back, SIZE));
	return !kvmb_tlv_done(&t);
}

static void memory_comes_back(void **state)
{
	(void)state;
	memory[0] = 1;
	memory[3 * 4096 + 5] = 2; /* a page alone */
	memset(memory + 8 * 4096, 3, 3 * 4096);
	memory[20 * 4096] = 0; /* touched, and zero */
	memory[SIZE - 1] = 4;
	kvmb_tlv_put_memory(&out, FIELD, fd, memory, SIZE);
	assert_true(out.len < 8 * 4096);
	assert_true(load());
	assert_memory_equal(back, memory, SIZE);
}

static void memory_without_holes_is_looked_at(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	memory[7 * 4096] = 1;
	kvmb_tlv_put_memory(&out, FIELD, pipes[0], memory, SIZE); /* which cannot be asked */
	close(pipes[0]);
	close(pipes[1]);
	assert_true(load());
	assert_memory_equal(back, memory, SIZE);
}

static void put_run(uint64_t at, size_t len)
{
	static const uint8_t bytes[8192];

	kvmb_tlv_group(&out, FIELD);
	kvmb_tlv_put(&out, 1, at);
	kvmb_tlv_put_bytes(&out, 2, bytes, len);
	kvmb_tlv_group_end(&out);
}

static void runs_outside_are_refused(void **state)
{
	static const struct {
		uint64_t at;
		size_t len;
		bool good;
	} runs[] = {
		{ 0, 0, true },	       { SIZE - 4096, 4096, true }, { SIZE - 4096, 4097, false },
		{ SIZE, 0, false },    { ~0ull, 1, false },	    { SIZE - 1, 1, true },
		{ SIZE - 1, 2, false }
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		put_run(runs[i].at, runs[i].len);
		CHECK_ROW(load(), runs[i].good, i);
		CHECK_ROW(error.err != 0, !runs[i].good, i);
		teardown(state);
		setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(memory_comes_back),
		T(memory_without_holes_is_looked_at),
		T(runs_outside_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
