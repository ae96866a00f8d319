// SPDX-License-Identifier: GPL-2.0-only
/* Control messages and IC framing: tests/cases/chanmsg_cases.h and icmsg_cases.h in user space. */
#include "vmbus-core/env.h"
#include "tests/unit/test.h"
#include "tests/cases/chanmsg_cases.h"
#include "tests/cases/icmsg_cases.h"

#define LISTED(name) cmocka_unit_test(name),
int main(void)
{
	const struct CMUnitTest tests[] = { CHANMSG_CASES(LISTED) ICMSG_CASES(LISTED) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
