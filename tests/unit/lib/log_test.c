// SPDX-License-Identifier: GPL-2.0-only
/* Log lines to a reader who reads, one who has stopped, and one who comes back; the rate limit. */
#include "lib/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/test.h"

static int ends[2], old;

static int setup(void **state)
{
	(void)state;
	old = dup(STDERR_FILENO);
	if (pipe(ends))
		return -1;
	dup2(ends[1], STDERR_FILENO);
	kvmb_log_set_level(KVMB_LOG_INFO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dup2(old, STDERR_FILENO);
	close(old);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* Everything that is in the pipe. */
static const char *said(void)
{
	static char buf[80000];
	size_t len = 0;
	ssize_t n;

	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while ((n = read(ends[0], buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	return buf;
}

static void a_line_has_a_prefix_and_one_end(void **state)
{
	char longer[2000];

	(void)state;
	kvmb_info("vm/net0", "%s %d", "frames", 7);
	kvmb_dbg("vm", "not at this level");
	kvmb_warn(NULL, "nobody's");
	assert_string_equal(said(), "kvmbus: vm/net0: frames 7\nkvmbus: nobody's\n");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	kvmb_err("vm", "%s", longer);
	assert_int_equal(strlen(said()), 511);
	assert_int_equal(said()[0], 0);
}

static void nobody_waits_for_a_reader(void **state)
{
	const char *s;
	int i;

	(void)state;
	for (i = 0; i < 5000; i++) /* a pipe holds 64 KiB */
		kvmb_err("vm", "line %d of many, each with some words in it", i);
	s = said();
	assert_ptr_equal(strstr(s, "kvmbus: vm: line 0 of"), s);
	assert_null(strstr(s, "line 4999"));
	assert_int_equal(s[strlen(s) - 1], '\n'); /* whole lines only */
	kvmb_err("vm", "again");
	s = said();
	assert_non_null(strstr(s, "lines of the log are lost"));
	assert_non_null(strstr(s, "\nkvmbus: vm: again\n"));
	kvmb_err("vm", "and again");
	assert_string_equal(said(), "kvmbus: vm: and again\n");
}

static void what_a_peer_can_cause_is_said_a_few_times(void **state)
{
	const char *p;
	int i, n = 0;

	(void)state;
	for (i = 0; i < 1000; i++)
		kvmb_warn_ratelimited("vm", "nonsense");
	for (p = said(); (p = strstr(p, "nonsense")); p++)
		n++;
	assert_int_equal(n, KVMB_RATELIMIT_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_line_has_a_prefix_and_one_end),
		T(nobody_waits_for_a_reader),
		T(what_a_peer_can_cause_is_said_a_few_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
