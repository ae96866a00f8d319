// SPDX-License-Identifier: GPL-2.0-only
/* Data and holes of a file: found whole, and an error is not a hole. */
#include "lib/sparse.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/test.h"

static void data_between_holes_is_found_in_whole_pages(void **state)
{
	int fd = memfd_create("sparse", MFD_CLOEXEC);
	uint64_t from, to;

	(void)state;
	assert_int_equal(ftruncate(fd, 10 * 4096), 0);
	assert_int_equal(pwrite(fd, "x", 1, 2 * 4096 + 100), 1);
	assert_int_equal(pwrite(fd, "x", 1, 9 * 4096), 1);
	assert_int_equal(kvmb_next_data(fd, 0, 10 * 4096, &from, &to), 1);
	assert_int_equal(from, 2 * 4096);
	assert_int_equal(to, 3 * 4096);
	assert_int_equal(kvmb_next_data(fd, to, 10 * 4096, &from, &to), 1);
	assert_int_equal(from, 9 * 4096);
	assert_int_equal(to, 10 * 4096);
	assert_int_equal(kvmb_next_data(fd, to, 10 * 4096, &from, &to), 0);
	assert_int_equal(kvmb_next_data(fd, 3 * 4096, 9 * 4096, &from, &to), 0); /* beyond @end */
	close(fd);
}

static void what_cannot_be_asked_is_no_hole(void **state)
{
	uint64_t from, to;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(kvmb_next_data(pipes[0], 0, 4096, &from, &to), -ESPIPE);
	assert_int_equal(kvmb_next_data(-1, 0, 4096, &from, &to), -EBADF);
	close(pipes[0]);
	close(pipes[1]);
}

static void one_byte_that_is_not_zero_is_seen_anywhere(void **state)
{
	unsigned char buf[64] = { 0 };
	size_t i, len;

	(void)state;
	for (len = 1; len <= sizeof(buf); len++) {
		assert_true(kvmb_all_zero(buf, len));
		for (i = 0; i < len; i++) {
			buf[i] = 1;
			assert_false(kvmb_all_zero(buf, len));
			buf[i] = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_between_holes_is_found_in_whole_pages),
		cmocka_unit_test(what_cannot_be_asked_is_no_hole),
		cmocka_unit_test(one_byte_that_is_not_zero_is_seen_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
