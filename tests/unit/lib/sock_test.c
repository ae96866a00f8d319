// SPDX-License-Identifier: GPL-2.0-only
/* A path to listen on: free, left behind, in use, or something else. */
#include "lib/sock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/test.h"

static char path[64], why[256];

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/kvmb-sock-%d", (int)getpid());
	why[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void a_new_one_is_its_owners_alone(void **state)
{
	struct stat st;
	int fd = kvmb_listen_unix(path, why, sizeof(why));

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
}

static void what_a_crash_left_is_replaced(void **state)
{
	int fd = kvmb_listen_unix(path, why, sizeof(why));

	(void)state;
	close(fd); /* and the name stays */
	assert_int_equal(access(path, F_OK), 0);
	fd = kvmb_listen_unix(path, why, sizeof(why));
	assert_true(fd >= 0);
	close(fd);
}

static void one_that_answers_is_not(void **state)
{
	int fd = kvmb_listen_unix(path, why, sizeof(why)), again;

	(void)state;
	again = kvmb_listen_unix(path, why, sizeof(why));
	assert_int_equal(again, -1);
	assert_non_null(strstr(why, "in use"));
	close(fd);
}

/* It answers nobody, but it is there: its queue of callers is full. */
static void one_that_is_too_busy_to_answer_is_not_either(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = kvmb_listen_unix(path, why, sizeof(why)), callers[64], i, n = 0;

	(void)state;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	for (i = 0; i < 64; i++) {
		callers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		n += !connect(callers[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	assert_true(n < 64);
	assert_int_equal(kvmb_listen_unix(path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "in use"));
	for (i = 0; i < 64; i++)
		close(callers[i]);
	close(fd);
}

static void a_file_is_left_alone(void **state)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	struct stat st;

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(kvmb_listen_unix(path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "left alone"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_size, 8);
}

static void a_path_that_cannot_be_is_said(void **state)
{
	char longer[200];

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(kvmb_listen_unix(longer, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "too long"));
	assert_int_equal(kvmb_listen_unix("/nonexistent/s", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_one_is_its_owners_alone),
		T(what_a_crash_left_is_replaced),
		T(one_that_answers_is_not),
		T(one_that_is_too_busy_to_answer_is_not_either),
		T(a_file_is_left_alone),
		T(a_path_that_cannot_be_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
