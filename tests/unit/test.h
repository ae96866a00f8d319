/* SPDX-License-Identifier: GPL-2.0-only */
/* cmocka and the headers that it wants before it; what tests/cases/ say in its words. */
#ifndef KVMB_TEST_H
#define KVMB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* a test with the file's own setup() and teardown() */
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define CASE(name) static void name(__attribute__((unused)) void **state)
#define CASE_FIXTURE (*state)
#define CHECK(c) assert_true(c)
#define CHECK_EQ(a, b) assert_int_equal(a, b)
#define CHECK_MEM(a, b, n) assert_memory_equal(a, b, n)
/* of a table: says which row it was */
#define CHECK_ROW(a, b, row)                                                              \
	do {                                                                              \
		long long kvmb_a = (a), kvmb_b = (b);                                     \
		if (kvmb_a != kvmb_b)                                                     \
			fail_msg("row %zu: %lld, not %lld", (size_t)(row), kvmb_a, kvmb_b); \
	} while (0)

#endif
