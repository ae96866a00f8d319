/* SPDX-License-Identifier: GPL-2.0-only */
/* KUnit, and what tests/cases/ say in its words. */
#ifndef KVMB_KUNIT_CASE_H
#define KVMB_KUNIT_CASE_H

#include <kunit/test.h>

#define CASE(name) static void name(struct kunit *test)
#define CASE_FIXTURE (test->priv)
#define CHECK(c) KUNIT_EXPECT_TRUE(test, c)
#define CHECK_EQ(a, b) KUNIT_EXPECT_EQ(test, (s64)(a), (s64)(b))
#define CHECK_MEM(a, b, n) KUNIT_EXPECT_EQ(test, memcmp(a, b, n), 0)
#define CHECK_ROW(a, b, row) KUNIT_EXPECT_EQ_MSG(test, (s64)(a), (s64)(b), "row %zu", (size_t)(row))
/* no use in going on */
#define NEED(c) KUNIT_ASSERT_TRUE(test, c)

#endif
