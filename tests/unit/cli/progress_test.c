// SPDX-License-Identifier: GPL-2.0-only
/* The line that tells how far a VM's move is. */
#include "cli/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

static struct progress_rate rate;
static char line[160];

static bool vm_answers; /* set while no thread runs */

json_t *client_try(const char *path, const char *name, int seconds)
{
	(void)path, (void)name, (void)seconds;
	if (!vm_answers)
		return NULL;
	return json_pack("{s:{s:s, s:i, s:i, s:i}}", "migration", "step", "live", "total", 1000,
			 "done", 500, "sent", 200);
}

bool client_find(const char *vm, char *path, size_t size)
{
	(void)vm, (void)path, (void)size;
	return true;
}

static void (*before_error)(void *arg);
static void *before_error_arg;

void cli_before_error(void (*fn)(void *arg), void *arg)
{
	before_error = fn;
	before_error_arg = arg;
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

/* ---- on a terminal ---- */

static int terminal, real_stderr;
static char text[4096]; /* text[len]: what came there */
static size_t len;

static void open_terminal(unsigned short columns)
{
	const struct winsize size = { .ws_row = 24, .ws_col = columns };
	int fd;

	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal));
	fd = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	dup2(fd, STDERR_FILENO);
	close(fd);
	len = 0;
}

/* Return: bytes that came within that time, in text[]. */
static size_t read_terminal(int ms)
{
	struct pollfd p = { .fd = terminal, .events = POLLIN };
	size_t before = len;
	ssize_t n;

	for (; poll(&p, 1, ms) == 1 && len < sizeof(text) - 1; ms = 0) {
		n = read(terminal, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = 0;
	return len - before;
}

/* Before what may fail, which is told on standard error. */
static void close_terminal(void)
{
	read_terminal(0);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(terminal);
}

static size_t longest_line(void)
{
	size_t longest = 0, n;
	const char *p;

	for (p = text; *p; p += n + (p[n] == '\r')) {
		n = strcspn(p, "\r");
		longest = n > longest ? n : longest;
	}
	return longest;
}

static void a_line_fits_the_terminal(void **state)
{
	static const struct {
		unsigned short columns;
		size_t longest;
	} rows[] = { { 30, 29 }, { 79, 78 }, { 200, 78 }, { 0, 78 }, { 1, 0 } };
	struct progress *p;
	size_t i;

	(void)state;
	vm_answers = true;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		open_terminal(rows[i].columns);
		p = progress_begin("vm", "migration", false);
		read_terminal(PATIENCE_MS);
		progress_end(p);
		close_terminal();
		assert_int_equal(longest_line(), rows[i].longest);
		if (rows[i].longest)
			assert_memory_equal(text, "\r[############....", 18);
	}
}

/* As when the VM refuses at once. */
static void a_line_that_was_not_drawn_is_not_cleared(void **state)
{
	struct progress *p;

	(void)state;
	vm_answers = false;
	open_terminal(80);
	p = progress_begin("vm", "migration", false);
	progress_end(p);
	close_terminal();
	assert_int_equal(len, 0);
}

static void an_error_finds_the_line_empty(void **state)
{
	struct progress *p;
	size_t drawn, cleared;
	bool asked;

	(void)state;
	vm_answers = true;
	open_terminal(30);
	p = progress_begin("vm", "migration", false);
	drawn = read_terminal(PATIENCE_MS);
	asked = before_error;
	if (asked)
		before_error(before_error_arg);
	cleared = read_terminal(0);
	progress_end(p);
	close_terminal();
	assert_true(asked && !before_error && drawn);
	assert_true(cleared > 30 && len == drawn + cleared); /* and nothing is drawn any more */
	assert_string_equal(text + len - 31, "\r                             \r");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_round_has_a_bar_and_a_rate), T(later_rounds_tell_what_is_left),
		T(save_has_a_bar_and_a_rate),	     T(lies_do_no_harm),
		T(a_line_fits_the_terminal),	     T(a_line_that_was_not_drawn_is_not_cleared),
		T(an_error_finds_the_line_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
