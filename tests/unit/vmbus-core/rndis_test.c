// SPDX-License-Identifier: GPL-2.0-only
/* RNDIS data messages: tests/cases/rndis_cases.h in user space. */
#include "vmbus-core/env.h"
#include "tests/unit/test.h"
#include "tests/cases/rndis_cases.h"

#define LISTED(name) cmocka_unit_test(name),
int main(void)
{
	const struct CMUnitTest tests[] = { RNDIS_CASES(LISTED) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
