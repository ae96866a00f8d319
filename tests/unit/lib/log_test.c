// SPDX-License-Identifier: GPL-2.0-only
/* Log lines to a reader who reads, one who has stopped, and one who comes back; the rate limit. */
#include "lib/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/harness/patience.h"
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

static void log_line_has_prefix_and_one_end(void **state)
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

/* A file's name or a server's words: they pretend to be no line of ours, and move no terminal. */
static void log_line_with_newlines_stays_one(void **state)
{
	(void)state;
	kvmb_err("vm", "disk a\nkvmbus: all is well\r\033[2J\177\302\233m\303\251: gone\n");
	assert_string_equal(said(),
			    "kvmbus: vm: disk a?kvmbus: all is well??[2J???m\303\251: gone?\n");
}

static void log_to_a_stuck_reader_does_not_wait(void **state)
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
	assert_non_null(strstr(s, "lines of the log were lost"));
	assert_non_null(strstr(s, "\nkvmbus: vm: again\n"));
	kvmb_err("vm", "and again");
	assert_string_equal(said(), "kvmbus: vm: and again\n");
}

static void log_ratelimited_stops_after_a_few(void **state)
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

/* ---- journald ---- */

static char socket_path[64];

/*
 * Standard error as systemd makes it, and somebody who listens in journald's place; -1: nobody
 * does.
 */
static int make_journal(bool listens)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char stream[64];
	struct stat st;
	int fd = -1;

	snprintf(socket_path, sizeof(socket_path), "/tmp/kvmb-journal-%d", (int)getpid());
	unlink(socket_path);
	strcpy(a.sun_path, socket_path);
	if (listens) {
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	}
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	return fd;
}

static void no_journal(int fd)
{
	unsetenv("JOURNAL_STREAM");
	kvmb_log_open_journal(socket_path);
	if (fd >= 0)
		close(fd);
	unlink(socket_path);
}

/*
 * The value of a field of a datagram, as systemd's "Native Journal Protocol" says; NULL = not
 * there.
 */
static const char *field(const char *d, ssize_t n, const char *key)
{
	static char value[1025];
	const char *end = d + n, *nl;
	uint64_t len;
	bool found;

	while (d < end) {
		nl = memchr(d, '\n', (size_t)(end - d));
		assert_non_null(nl);
		found = (size_t)(nl - d) == strlen(key) && !memcmp(d, key, strlen(key));
		memcpy(&len, nl + 1, sizeof(len));
		assert_true(len < 1024 && nl + 9 + len < end && nl[9 + len] == '\n');
		memcpy(value, nl + 9, len);
		value[len] = 0;
		if (found)
			return value;
		d = nl + 10 + len;
	}
	return NULL;
}

static void log_to_journal_has_fields(void **state)
{
	char d[4096];
	int fd = make_journal(true);
	ssize_t n;

	(void)state;
	assert_true(kvmb_log_open_journal(socket_path));
	kvmb_err("vm1/net0", "two\nlines=%d", 7);
	n = recv(fd, d, sizeof(d), 0);
	assert_true(n > 0);
	assert_string_equal(field(d, n, "MESSAGE"), "vm1/net0: two\nlines=7");
	assert_string_equal(field(d, n, "PRIORITY"), "3");
	assert_string_equal(field(d, n, "SYSLOG_IDENTIFIER"), "kvmbus");
	assert_string_equal(field(d, n, "KVMBUS_VM"), "vm1");
	assert_string_equal(field(d, n, "KVMBUS_DEVICE"), "net0");
	kvmb_info("vm1", "up");
	n = recv(fd, d, sizeof(d), 0);
	assert_string_equal(field(d, n, "PRIORITY"), "6");
	assert_null(field(d, n, "KVMBUS_DEVICE"));
	kvmb_warn(NULL, "nobody's");
	n = recv(fd, d, sizeof(d), 0);
	assert_string_equal(field(d, n, "PRIORITY"), "4");
	assert_null(field(d, n, "KVMBUS_VM"));
	assert_string_equal(said(), "");
	no_journal(fd);
}

static void log_without_journal_prints_priority(void **state)
{
	int fd = make_journal(false);

	(void)state;
	kvmb_log_open_journal(socket_path);
	kvmb_warn("vm", "hot");
	assert_string_equal(said(), "<4>kvmbus: vm: hot\n");
	no_journal(fd);
}

/* The variable is inherited by what has its error output elsewhere. */
static void log_foreign_stream_is_no_journal(void **state)
{
	int fd = make_journal(true);
	char d[64];

	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	assert_false(kvmb_log_open_journal(socket_path));
	kvmb_warn("vm", "hot");
	assert_string_equal(said(), "kvmbus: vm: hot\n");
	assert_int_equal(recv(fd, d, sizeof(d), 0), -1);
	no_journal(fd);
}

static void log_to_a_stuck_journald_does_not_wait(void **state)
{
	char d[4096], last[4096] = "";
	int fd = make_journal(true), i;
	ssize_t n;

	(void)state;
	kvmb_log_open_journal(socket_path);
	alarm(PATIENCE_MS / 1000);
	for (i = 0; i < 5000; i++)
		kvmb_err("vm", "line %d", i);
	alarm(0);
	while ((n = recv(fd, d, sizeof(d), 0)) > 0)
		snprintf(last, sizeof(last), "%s", field(d, n, "MESSAGE"));
	assert_string_not_equal(last, "vm: line 4999");
	kvmb_err("vm", "again");
	n = recv(fd, d, sizeof(d), 0);
	assert_non_null(strstr(field(d, n, "MESSAGE"), "lines of the log were lost"));
	n = recv(fd, d, sizeof(d), 0);
	assert_string_equal(field(d, n, "MESSAGE"), "vm: again");
	no_journal(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(log_line_has_prefix_and_one_end),	T(log_line_with_newlines_stays_one),
		T(log_to_a_stuck_reader_does_not_wait), T(log_ratelimited_stops_after_a_few),
		T(log_to_journal_has_fields),		T(log_without_journal_prints_priority),
		T(log_foreign_stream_is_no_journal),	T(log_to_a_stuck_journald_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
