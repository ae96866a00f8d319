// SPDX-License-Identifier: GPL-2.0-only
/* What the VM tells of its guest's crashes: unsigned numbers, when, and in which boot. */
#include "machine/crash.h"

#include <string.h>

#include "lib/log.h"
#include "tests/unit/test.h"

static struct crash_log c;

static int setup(void **state)
{
	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	crash_init(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	crash_fini(&c);
	return 0;
}

static void crash_none_is_null(void **state)
{
	json_t *o = crash_json(&c);

	(void)state;
	assert_true(json_is_null(o));
	json_decref(o);
}

static void crash_last_is_told_whole(void **state)
{
	static const u64 old[CRASH_PARAMS] = { 1, 2, 3, 4, 5 };
	static const u64 last[CRASH_PARAMS] = { 0, 0x8000000000060100ull, 0xffffffff81000000ull,
						~0ull, 7 };
	static const char *const want[CRASH_PARAMS] = { "0x0", "0x8000000000060100",
							"0xffffffff81000000", "0xffffffffffffffff",
							"0x7" };
	json_t *o, *p;
	time_t now;
	struct tm tm = { 0 };
	size_t i;

	(void)state;
	crash_report(&c, "t", 1, old);
	now = time(NULL);
	crash_report(&c, "t", 3, last);
	o = crash_json(&c);
	p = json_object_get(o, "parameters");
	assert_int_equal(json_array_size(p), CRASH_PARAMS);
	for (i = 0; i < CRASH_PARAMS; i++)
		assert_string_equal(json_string_value(json_array_get(p, i)), want[i]);
	assert_int_equal(json_integer_value(json_object_get(o, "boot")), 3);
	assert_int_equal(json_integer_value(json_object_get(o, "count")), 2);
	assert_string_equal(strptime(json_string_value(json_object_get(o, "time")),
				     "%Y-%m-%dT%H:%M:%SZ", &tm),
			    "");
	assert_in_range(timegm(&tm), now, time(NULL));
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(crash_none_is_null),
		T(crash_last_is_told_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
