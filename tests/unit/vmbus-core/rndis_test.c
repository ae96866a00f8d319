// SPDX-License-Identifier: GPL-2.0-only
/* RNDIS data messages: tests/cases/rndis_cases.h in user space. */
#include "vmbus-core/env.h"
#include "tests/unit/test.h"
#include "tests/cases/rndis_cases.h"

#define T(name) cmocka_unit_test(name),
int main(void)
{
	const struct CMUnitTest tests[] = { RNDIS_CASES(T) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
