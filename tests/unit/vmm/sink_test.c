// SPDX-License-Identifier: GPL-2.0-only
/* Serial output into a file: all of it, and no more than the file may have. */
#include "vmm/sink.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/serial.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define LIMIT 100000u

static struct serial *serial;
static struct sink *s;
static char path[] = "/tmp/kvmb-sink-XXXXXX";
static int fd;
static u32 printed;

static void no_irq(void *arg, int level)
{
	(void)arg, (void)level;
}

static void no_news(void *arg)
{
	(void)arg;
}

static int setup(void **state)
{
	struct serial_ops ops = { .set_irq = no_irq, .output = no_news, .room = no_news };

	(void)state;
	strcpy(path, "/tmp/kvmb-sink-XXXXXX");
	fd = mkstemp(path);
	serial = serial_create(&ops);
	printed = 0;
	return fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	serial_destroy(serial);
	unlink(path);
	return 0;
}

static off_t length(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Lines of 16 bytes with a number. */
static void print_lines(u32 n)
{
	char line[32];
	u32 v, i;

	for (; n; n--) {
		snprintf(line, sizeof(line), "line %010u\n", printed++);
		for (i = 0; line[i]; i++) {
			v = (u8)line[i];
			serial_access(serial, 0, 1, true, &v);
		}
	}
	sink_wake(s);
}

static void wait_length(off_t want)
{
	int i;

	for (i = 0; length() != want && i < (int)PATIENCE_MS; i++)
		usleep(1000);
	assert_int_equal(length(), want);
}

/* Until the newest line is in the file, if it must; a moment otherwise. */
static void wait_newest(bool must)
{
	char want[32], got[16] = "";
	int i;

	snprintf(want, sizeof(want), "line %010u\n", printed - 1);
	for (i = 0; i < (must ? (int)PATIENCE_MS : 1) && memcmp(got, want, 16); i++) {
		usleep(1000);
		if (length() < 16 || pread(fd, got, 16, length() - 16) != 16)
			got[0] = 0;
	}
	assert_true(!must || !memcmp(got, want, 16));
}

static void sink_destroy_writes_the_rest(void **state)
{
	(void)state;
	s = sink_create(serial, fd, LIMIT);
	print_lines(100);
	wait_length(1600);
	print_lines(3000);
	assert_true(sink_destroy(s, PATIENCE_MS));
	assert_int_equal(length(), 3100 * 16);
}

/* Another process goes on behind it. */
static void sink_drain_waits_until_all_is_written(void **state)
{
	u32 i;

	(void)state;
	s = sink_create(serial, fd, LIMIT);
	for (i = 1; i <= 50; i++) {
		print_lines(50);
		assert_true(sink_drain(s, PATIENCE_MS));
		assert_int_equal(length(), i * 50 * 16);
	}
	assert_true(sink_drain(s, PATIENCE_MS)); /* nothing is left */
	assert_true(sink_destroy(s, PATIENCE_MS));
}

static void sink_at_its_limit_keeps_the_newest(void **state)
{
	static char got[LIMIT + 1];
	char last[32], *p, *line;
	u32 first, n, i;
	FILE *f;

	(void)state;
	s = sink_create(serial, fd, LIMIT);
	for (i = 0; i < 200; i++) {
		print_lines(100);
		wait_newest(i % 10 == 0); /* never more than the backlog */
		assert_in_range(length(), 0, LIMIT);
	}
	assert_true(sink_destroy(s, PATIENCE_MS));
	assert_in_range(length(), LIMIT / 2 - 4096, LIMIT);
	f = fopen(path, "r");
	n = (u32)fread(got, 1, LIMIT, f);
	fclose(f);
	snprintf(last, sizeof(last), "line %010u\n", printed - 1);
	assert_memory_equal(got + n - 16, last, 16);
	p = strstr(got, "older output was removed");
	assert_non_null(p);
	line = strstr(p, "\nline ") + 1; /* from the first whole line on none is missing */
	assert_int_equal(sscanf(line, "line %u", &first), 1);
	for (; line < got + n; line += 16) {
		snprintf(last, sizeof(last), "line %010u\n", first++);
		assert_memory_equal(line, last, 16);
	}
}

/* A full disk: what finds no room now does when there is some. */
static void sink_full_disk_is_tried_again(void **state)
{
	struct rlimit old, r;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	r = old;
	r.rlim_cur = 800;
	setrlimit(RLIMIT_FSIZE, &r);
	s = sink_create(serial, fd, 0);
	print_lines(100);
	wait_length(800);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_true(sink_destroy(s, PATIENCE_MS));
	assert_int_equal(length(), 1600);
}

static void sink_truncated_file_goes_on_at_its_end(void **state)
{
	(void)state;
	s = sink_create(serial, fd, LIMIT);
	print_lines(10);
	wait_length(160);
	assert_int_equal(truncate(path, 0), 0); /* logrotate's copytruncate */
	print_lines(1);
	wait_length(16);
	assert_true(sink_destroy(s, PATIENCE_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sink_destroy_writes_the_rest),	   T(sink_drain_waits_until_all_is_written),
		T(sink_at_its_limit_keeps_the_newest),	   T(sink_full_disk_is_tried_again),
		T(sink_truncated_file_goes_on_at_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
