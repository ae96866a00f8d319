// SPDX-License-Identifier: GPL-2.0-only
/* The line that tells how far a VM's move is. */
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "tests/unit/test.h"

static struct progress_rate rate;
static char line[160];

json_t *client_try(const char *path, const char *name, int seconds)
{
	(void)path, (void)name, (void)seconds;
	return NULL;
}

bool client_find(const char *vm, char *path, size_t size)
{
	(void)vm, (void)path, (void)size;
	return false;
}

static void tell(const char *step, long long done, long long sent, long long round, long long dirty,
		 long long ms)
{
	json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "step", step, "total",
			      (json_int_t)1000, "done", (json_int_t)done, "sent", (json_int_t)sent,
			      "round", (json_int_t)round, "dirty", (json_int_t)dirty);

	assert_non_null(o);
	assert_ptr_equal(progress_line(o, &rate, ms, line, sizeof(line)), line);
	json_decref(o);
}

static int setup(void **state)
{
	(void)state;
	rate = (struct progress_rate){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return 0;
}

static void first_round_has_a_bar_and_a_rate(void **state)
{
	(void)state;
	tell("live", 0, 0, 0, 1000, 1000);
	assert_string_equal(line, "[........................]   0 %  0.0 KiB/s");
	tell("live", 500, 200000, 0, 1000, 2000);
	assert_string_equal(line, "[############............]  50 %  195 KiB/s");
	tell("live", 1000, 2400200000, 0, 1000, 3000);
	assert_string_equal(line, "[########################] 100 %  1.1 GiB/s");
}

static void later_rounds_tell_what_is_left(void **state)
{
	(void)state;
	tell("live", 1000, 0, 0, 1000, 1000);
	tell("live", 10, 5000000, 1, 15000000, 2000);
	assert_string_equal(line, "round 2: 14 MiB changed meanwhile, 4.8 MiB/s, 3 s");
	tell("last", 10, 6000000, 2, 300, 2100);
	assert_string_equal(line, "the guest stands; 5.7 MiB sent");
}

static void save_has_a_bar_and_a_rate(void **state)
{
	json_t *o = json_pack("{s:s, s:i, s:i}", "step", "writing", "total", 1000, "done", 0);

	(void)state;
	progress_line(o, &rate, 1000, line, sizeof(line));
	json_object_set_new(o, "done", json_integer(250));
	assert_string_equal(progress_line(o, &rate, 1500, line, sizeof(line)),
			    "[######..................]  25 %  0.5 KiB/s");
	json_decref(o);
}

/* A VM's process may be anybody's. */
static void lies_do_no_harm(void **state)
{
	json_t *o = json_pack("{s:i, s:s, s:I, s:I, s:n, s:I}", "step", 7, "total", "x", "done",
			      (json_int_t)-5, "sent", (json_int_t)INT64_MIN, "round", "dirty",
			      (json_int_t)INT64_MAX);

	(void)state;
	assert_non_null(o);
	progress_line(o, &rate, 1, line, sizeof(line));
	assert_string_equal(line, "[........................]   0 %  0.0 KiB/s");
	json_object_set_new(o, "round", json_integer(INT64_MAX));
	json_object_set_new(o, "total", json_integer(1));
	json_object_set_new(o, "done", json_integer(INT64_MAX));
	progress_line(o, &rate, 0, line, sizeof(line)); /* nor does a clock that goes back */
	assert_true(strlen(line) < sizeof(line));
	json_object_set_new(o, "round", json_integer(0));
	progress_line(o, &rate, 2, line, sizeof(line));
	assert_non_null(strstr(line, "[########################]"));
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_round_has_a_bar_and_a_rate),
		T(later_rounds_tell_what_is_left),
		T(save_has_a_bar_and_a_rate),
		T(lies_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
