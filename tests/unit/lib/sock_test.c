// SPDX-License-Identifier: GPL-2.0-only
/* A path to listen on: free, left behind, in use, or something else. */
#include "lib/sock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness/connect.h"

static char path[64], why[256];
static struct kvmb_listener first, second;

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/kvmb-sock-%d", (int)getpid());
	why[0] = 0;
	first.fd = second.fd = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_unlisten_unix(&first);
	kvmb_unlisten_unix(&second);
	unlink(path);
	return 0;
}

static void sock_new_is_its_owners_alone(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(fcntl(first.fd, F_GETFL) & O_NONBLOCK);
	kvmb_unlisten_unix(&first);
	assert_int_equal(access(path, F_OK), -1);
}

/* A process that dies closes its socket, and the name stays. */
static void crash(struct kvmb_listener *l)
{
	close(l->fd);
	close(l->spare_fd);
	l->fd = -1;
}

static void sock_left_by_a_crash_is_replaced(void **state)
{
	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	crash(&first);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(kvmb_listen_unix(&second, path, why, sizeof(why)), 0);
}

static void sock_that_answers_is_kept(void **state)
{
	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	assert_int_equal(kvmb_listen_unix(&second, path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "in use"));
}

/* It answers nobody, but it is there: its queue of callers is full. */
static void sock_too_busy_to_answer_is_kept(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int callers[64], i, n = 0;

	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	for (i = 0; i < 64; i++) {
		callers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		n += !connect(callers[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	assert_true(n < 64);
	assert_int_equal(kvmb_listen_unix(&second, path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "in use"));
	for (i = 0; i < 64; i++)
		close(callers[i]);
}

static void sock_over_a_file_is_refused(void **state)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	struct stat st;

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(kvmb_listen_unix(&second, path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "left alone"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_size, 8);
}

static void sock_impossible_path_is_refused(void **state)
{
	char longer[200];

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	assert_int_equal(kvmb_listen_unix(&second, longer, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "too long"));
	assert_int_equal(kvmb_listen_unix(&second, "/nonexistent/s", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "No such file"));
}

/* An abstract socket has no mode: everybody on the machine could connect. */
static void sock_abstract_is_refused(void **state)
{
	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, "", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "empty"));
	assert_int_equal(kvmb_listen_unix(&first, "@kvmbus", why, sizeof(why)), -1);
	assert_non_null(strstr(why, "abstract"));
}

static void sock_unlisten_keeps_a_successor(void **state)
{
	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	unlink(path); /* as systemd-tmpfiles or an administrator would */
	assert_int_equal(kvmb_listen_unix(&second, path, why, sizeof(why)), 0);
	kvmb_unlisten_unix(&first);
	assert_int_equal(access(path, F_OK), 0);
}

#define STARTS 16

/*
 * One start of many at the same time. Its word is a byte: did it get the socket? It keeps it until
 * the end.
 */
static void start_one(int go, int said, int end)
{
	struct kvmb_listener l;
	char c;

	if (read(go, &c, 1) >= 0) {
		c = !kvmb_listen_unix(&l, path, why, sizeof(why));
		if (write(said, &c, 1) == 1 && read(end, &c, 1) >= 0)
			_exit(0);
	}
	_exit(1);
}

static bool is_reached(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bool reached;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	/* busy with the others */
	reached = !connect(fd, (struct sockaddr *)&sa, sizeof(sa)) || errno == EAGAIN;
	close(fd);
	return reached;
}

static void sock_many_starts_one_succeeds(void **state)
{
	int go[2], said[2], end[2], i, round, winners, reached = 0;
	char c;

	(void)state;
	for (round = 0; round < 60; round++) {
		assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
		crash(&first);
		assert_int_equal(pipe(go) | pipe(said) | pipe(end), 0);
		for (i = 0; i < STARTS; i++) {
			if (fork())
				continue;
			close(go[1]);
			close(end[1]);
			start_one(go[0], said[1], end[0]);
		}
		close(go[1]); /* all of them read its end */
		for (i = 0, winners = 0; i < STARTS; i++) {
			assert_int_equal(read(said[0], &c, 1), 1);
			winners += c;
		}
		reached += is_reached(); /* it is the one that clients get */
		close(end[1]);
		while (wait(NULL) > 0)
			;
		close(go[0]), close(said[0]), close(said[1]), close(end[0]);
		unlink(path);
		assert_int_equal(winners, 1);
		assert_int_equal(reached, round + 1);
	}
}

static void sock_accept_without_descriptor_hangs_up(void **state)
{
	struct pollfd p = { .events = POLLIN };
	struct rlimit old, r;
	int client, last;
	char c;

	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	client = connect_to(path);
	last = dup(0);
	close(last);
	getrlimit(RLIMIT_NOFILE, &old);
	r = old;
	r.rlim_cur = (rlim_t)last; /* the lowest free one */
	setrlimit(RLIMIT_NOFILE, &r);
	assert_int_equal(kvmb_accept_unix(&first, 0), -1);
	setrlimit(RLIMIT_NOFILE, &old);
	p.fd = first.fd;
	assert_int_equal(poll(&p, 1, 0), 0); /* its watch rests */
	assert_int_equal(recv(client, &c, 1, MSG_DONTWAIT), 0);
	close(client);
	client = connect_to(path); /* the next one is served */
	last = kvmb_accept_unix(&first, 0);
	assert_true(last >= 0);
	close(last);
	close(client);
}

static int is_of_test(const struct dirent *e)
{
	return !strncmp(e->d_name, path + strlen("/tmp/"), strlen(path + strlen("/tmp/")));
}

static void sock_tests_leave_no_file(void **state)
{
	struct dirent **names;
	int n;

	(void)state;
	assert_int_equal(kvmb_listen_unix(&first, path, why, sizeof(why)), 0);
	n = scandir("/tmp", &names, is_of_test, NULL);
	assert_int_equal(n, 1);
	free(names[0]);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sock_new_is_its_owners_alone),
		T(sock_left_by_a_crash_is_replaced),
		T(sock_that_answers_is_kept),
		T(sock_too_busy_to_answer_is_kept),
		T(sock_over_a_file_is_refused),
		T(sock_impossible_path_is_refused),
		T(sock_abstract_is_refused),
		T(sock_unlisten_keeps_a_successor),
		T(sock_many_starts_one_succeeds),
		T(sock_tests_leave_no_file),
		T(sock_accept_without_descriptor_hangs_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
