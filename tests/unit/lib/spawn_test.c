// SPDX-License-Identifier: GPL-2.0-only
/* Helper programs: how long they live, how they are ended, and what they may open. */
#include "lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/jail.h"
#include "lib/loop.h"
#include "tests/harness/daemon.h"
#include "tests/harness/patience.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmbus-spawn-XXXXXX");
	return !mkdtemp(dir);
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static const char *const sleeper[] = { "sleep", "600", NULL };

/* Return: has it ended within @ms? */
static bool ends(pid_t pid, int ms)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool r;

	if (p.fd < 0)
		return errno == ESRCH;
	r = poll(&p, 1, ms) == 1;
	close(p.fd);
	return r;
}

/* Ends when the helper runs: a signal for its parent's death has been asked for by then. */
static void *spawn_and_end(void *arg)
{
	static const char *const says_so[] = { "sh", "-c", "echo here >&2; exec sleep 600", NULL };
	int p[2];
	char c;

	if (pipe2(p, O_CLOEXEC))
		return NULL;
	*(pid_t *)arg = kvmb_spawn(says_so, NULL, 0, p[1]);
	if (read(p[0], &c, 1) != 1)
		*(pid_t *)arg = 0;
	close(p[0]);
	close(p[1]);
	return NULL;
}

static void a_helper_outlives_the_thread_that_asked_for_it(void **state)
{
	pthread_t t;
	pid_t pid = 0;

	(void)state;
	pthread_create(&t, NULL, spawn_and_end, &pid);
	pthread_join(t, NULL);
	assert_true(pid > 0);
	assert_false(ends(pid, 500));
	assert_int_equal(kvmb_spawn_kill(pid, PATIENCE_MS), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1); /* reaped */
}

static void a_helper_ends_with_the_process(void **state)
{
	char line[32] = "";
	pid_t us, pid;
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	us = fork();
	if (!us) { /* main() below, in a process without the threads of this one */
		dup2(p[1], 1);
		execl("/proc/self/exe", "spawn_test", "spawn", (char *)NULL);
		_exit(1);
	}
	assert_true(read(p[0], line, sizeof(line) - 1) > 0);
	pid = (pid_t)atoi(line);
	assert_true(pid > 0);
	assert_false(ends(pid, 0));
	kill(us, SIGKILL);
	waitpid(us, NULL, 0);
	assert_true(ends(pid, PATIENCE_MS));
	close(p[0]);
	close(p[1]);
}

static void on_interrupt(int sig)
{
	(void)sig;
}

/*
 * A terminal's ^C and hang-up are for the VM, which has its guest shut down and needs its disks for
 * that.
 */
static void a_terminal_does_not_reach_a_helper(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		setpgid(0, 0); /* a job of a shell's */
		execl("/proc/self/exe", "spawn_test", "interrupt", (char *)NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* In that job. */
static int interrupt_job(void)
{
	pid_t pid;
	bool lives;
	int i;

	signal(SIGINT, on_interrupt);
	pid = kvmb_spawn(sleeper, NULL, 0, -1);
	/* fork() is done, and a little more */
	for (i = 0; i < 1000 && getpgid(pid) == getpgrp(); i++)
		usleep(10000);
	kill(0, SIGINT);
	lives = !ends(pid, 500);
	kvmb_spawn_kill(pid, PATIENCE_MS);
	return !lives;
}

static void a_helper_that_cannot_be_killed_is_left_behind(void **state)
{
	pid_t pid = kvmb_spawn(sleeper, NULL, 0, -1), holder = hold(pid);
	int i;

	(void)state;
	if (!holder) {
		kvmb_spawn_kill(pid, PATIENCE_MS);
		skip(); /* yama: this machine's users may not trace */
	}
	assert_int_equal(kvmb_spawn_kill(pid, 100), -ETIMEDOUT);
	assert_false(ends(pid, 0));
	let_go(holder);
	assert_true(ends(pid, PATIENCE_MS));
	for (i = 0; i < 1000 && !kill(pid, 0); i++) /* somebody reaps it, and it is not us */
		usleep(10000);
	assert_int_equal(kill(pid, 0), -1);
}

/* ---- the jail ---- */

/* Run @argv in a jail that allows @fd. Return: its exit status, what it says is in @out. */
static int run_in_jail(const char *const *argv, int fd, bool write_too, char *out, size_t size)
{
	int jail = kvmb_jail_create(NULL), p[2], status = -1;
	ssize_t n, len = 0;
	pid_t pid;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	if (fd >= 0)
		kvmb_jail_allow(jail, fd, write_too);
	pid = kvmb_spawn_in(jail, argv, &fd, fd >= 0, p[1]);
	close(p[1]);
	if (jail >= 0)
		close(jail);
	while ((n = read(p[0], out + len, size - 1 - (size_t)len)) > 0)
		len += n;
	out[len] = 0;
	close(p[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int shell(const char *line, int fd, bool write_too)
{
	const char *argv[] = { "sh", "-c", line, NULL };
	char out[256];

	return run_in_jail(argv, fd, write_too, out, sizeof(out));
}

static void a_jail_opens_what_was_given_and_nothing_by_name(void **state)
{
	char line[256], name[96];
	int fd, jail = kvmb_jail_create(NULL);

	(void)state;
	if (jail < 0)
		skip(); /* no Landlock here */
	close(jail);
	snprintf(name, sizeof(name), "%s/file", dir);
	fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "x\n", 2), 2);
	snprintf(line, sizeof(line), "read x <%s", name);
	assert_int_not_equal(shell(line, -1, false), 0);
	assert_int_equal(shell(line, fd, false), 0); /* given, so also by its name */
	snprintf(line, sizeof(line), "read x </proc/self/fd/%d", fd);
	assert_int_equal(shell(line, fd, false), 0);
	snprintf(line, sizeof(line), "echo y >>/proc/self/fd/%d", fd);
	assert_int_not_equal(shell(line, fd, false), 0);
	assert_int_equal(shell(line, fd, true), 0);
	snprintf(line, sizeof(line), "echo y >%s/new", dir);
	assert_int_not_equal(shell(line, fd, true), 0);
	assert_int_not_equal(shell("read x </etc/passwd", fd, true), 0);
	snprintf(line, sizeof(line), "%s/link", dir);
	assert_int_equal(symlink("/etc/passwd", line), 0);
	snprintf(line, sizeof(line), "read x <%s/link", dir);
	assert_int_not_equal(shell(line, fd, true), 0);
	assert_int_equal(shell("echo y >/dev/null", -1, false), 0);
	close(fd);
}

static void a_jail_has_no_new_sockets_and_no_privileges(void **state)
{
	static const char *const connects[] = { "python3", "-c",
						"import socket; socket.socket(socket.AF_UNIX)",
						NULL };
	static const char *const pairs[] = { "python3", "-c", "import socket; socket.socketpair()",
					     NULL };
	/* PR_GET_NO_NEW_PRIVS */
	static const char *const privs[] = { "python3", "-c",
					     "import ctypes, sys\n"
					     "sys.exit(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))",
					     NULL };
	char out[4096];

	(void)state;
	assert_int_equal(run_in_jail(pairs, -1, false, out, sizeof(out)), 0);
	assert_int_not_equal(run_in_jail(connects, -1, false, out, sizeof(out)), 0);
	assert_non_null(strstr(out, "Operation not permitted"));
	assert_int_equal(run_in_jail(privs, -1, false, out, sizeof(out)), 1);
}

/* What the kernel has not is done without; what it could have done, had there been room, is not. */
static void a_jail_that_could_not_be_made_lets_nobody_out(void **state)
{
	static const char *const nothing[] = { "true", NULL };
	struct rlimit old, none;
	int jail = kvmb_jail_create(NULL), no_room, status;
	pid_t pid;

	(void)state;
	assert_true(jail >= 0 || jail == -EOPNOTSUPP);
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ 0, old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	no_room = kvmb_jail_create(NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(no_room, jail < 0 ? -EOPNOTSUPP : -EMFILE);
	if (jail >= 0)
		close(jail);
	assert_int_equal(kvmb_spawn_in(-EMFILE, nothing, NULL, 0, -1), -EMFILE);
	pid = kvmb_spawn_in(-EOPNOTSUPP, nothing, NULL, 0, -1);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(a_helper_outlives_the_thread_that_asked_for_it),
		T(a_helper_ends_with_the_process),
		T(a_terminal_does_not_reach_a_helper),
		T(a_helper_that_cannot_be_killed_is_left_behind),
		T(a_jail_opens_what_was_given_and_nothing_by_name),
		T(a_jail_has_no_new_sockets_and_no_privileges),
		T(a_jail_that_could_not_be_made_lets_nobody_out),
	};

	if (argc > 1 && !strcmp(argv[1], "interrupt"))
		return interrupt_job();
	if (argc > 1) { /* for a_helper_ends_with_the_process */
		dprintf(1, "%d\n", (int)kvmb_spawn(sleeper, NULL, 0, -1));
		pause();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
