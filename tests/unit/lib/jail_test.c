// SPDX-License-Identifier: GPL-2.0-only
/* The jail of helper programs: what they may open, and do. */
#include "lib/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmbus-jail-XXXXXX");
	return !mkdtemp(dir);
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
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
	pid = fork();
	if (!pid) {
		dup2(p[1], 2);
		if (fd >= 0)
			fcntl(fd, F_SETFD, 0);
		if (kvmb_jail_enter(jail))
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
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
	struct rlimit old, none;
	int jail = kvmb_jail_create(NULL), no_room;

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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_jail_opens_what_was_given_and_nothing_by_name),
		T(a_jail_has_no_new_sockets_and_no_privileges),
		T(a_jail_that_could_not_be_made_lets_nobody_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
