// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where sockets of VMs are made and looked for: a login, su or cron, root, a directory that is
 * another's.
 */
#include "lib/rundir.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define USER 54321

/* /run/user/UID, as far as the code under test can see; "" = logind made none */
static char user_run[40];
static uid_t user_run_owner;

/* lstat() with 64-bit offsets, as meson compiles it */
int __wrap_lstat64(const char *path, struct stat *st);
int __wrap_lstat64(const char *path, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFDIR | 0700;
	st->st_uid = user_run_owner;
	errno = ENOENT;
	return strcmp(path, user_run) ? -1 : 0;
}

static int setup(void **state)
{
	(void)state;
	user_run[0] = 0;
	user_run_owner = getuid();
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static void logind_made(uid_t uid)
{
	snprintf(user_run, sizeof(user_run), "/run/user/%u", (unsigned int)uid);
}

/* kvmb_rundir() decides once a process, and not as root where @user */
static const char *choice(bool user)
{
	static char dir[PATH_MAX];
	int p[2], status;
	ssize_t n;

	assert_int_equal(pipe(p), 0);
	if (!fork()) {
		if (user && !getuid()) {
			if (setuid(USER))
				_exit(1);
			user_run_owner = USER;
		}
		if (user_run[0])
			logind_made(getuid());
		n = write(p[1], kvmb_rundir(), strlen(kvmb_rundir()));
		_exit(n < 0);
	}
	wait(&status);
	assert_int_equal(status, 0);
	n = read(p[0], dir, sizeof(dir) - 1);
	dir[n > 0 ? n : 0] = 0;
	close(p[0]);
	close(p[1]);
	return dir;
}

static void rundir_of_a_session_is_its_own(void **state)
{
	struct kvmb_rundirs d;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/tmp/session", 1);
	kvmb_rundir_list(&d);
	assert_int_equal(d.num, 2);
	assert_string_equal(d.dir[0], "/tmp/session/kvmbus");
	assert_string_equal(d.dir[1], "/run/kvmbus");
	assert_string_equal(choice(true), "/tmp/session/kvmbus");
}

static void rundir_without_session_asks_logind(void **state)
{
	(void)state;
	logind_made(getuid());
	assert_true(!strncmp(choice(true), "/run/user/", 10));
	assert_non_null(strstr(choice(true), "/kvmbus"));
	user_run[0] = 0;
	assert_string_equal(choice(true), "/run/kvmbus");
}

static void rundir_list_has_three_and_none_twice(void **state)
{
	struct kvmb_rundirs d;
	char own[64];

	(void)state;
	logind_made(getuid());
	snprintf(own, sizeof(own), "%s/kvmbus", user_run);
	setenv("XDG_RUNTIME_DIR", "/tmp/session", 1);
	kvmb_rundir_list(&d);
	assert_int_equal(d.num, 3);
	assert_string_equal(d.dir[1], own);
	setenv("XDG_RUNTIME_DIR", user_run, 1);
	kvmb_rundir_list(&d);
	assert_int_equal(d.num, 2);
	assert_string_equal(d.dir[0], own);
}

static void rundir_of_another_user_is_refused(void **state)
{
	struct kvmb_rundirs d;

	(void)state;
	logind_made(getuid());
	user_run_owner = getuid() + 1;
	kvmb_rundir_list(&d);
	assert_int_equal(d.num, 1);
}

static void rundir_of_a_root_service_is_run(void **state)
{
	(void)state;
	if (getuid())
		skip();
	logind_made(0);
	assert_string_equal(choice(false), "/run/kvmbus");
}

static void rundir_relative_or_endless_variable_is_ignored(void **state)
{
	static char endless[PATH_MAX + 10];
	struct kvmb_rundirs d;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "run", 1);
	kvmb_rundir_list(&d);
	assert_int_equal(d.num, 1);
	memset(endless, 'a', sizeof(endless) - 1);
	endless[0] = '/';
	setenv("XDG_RUNTIME_DIR", endless, 1);
	kvmb_rundir_list(&d);
	assert_int_equal(d.num, 1);
}

static void rundir_make_failure_names_a_remedy(void **state)
{
	char why[256] = "";
	int status;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/proc/self", 1);
	if (!fork()) {
		if (kvmb_rundir_make(why, sizeof(why)) >= 0)
			_exit(1);
		_exit(!strstr(why, "/proc/self/kvmbus") || !strstr(why, "set XDG_RUNTIME_DIR"));
	}
	wait(&status);
	assert_int_equal(status, 0);
}

static void rundir_socket_name_too_long_is_refused(void **state)
{
	char path[20];

	(void)state;
	assert_int_equal(kvmb_rundir_socket("/run/kvmbus", "a", path, sizeof(path)), 0);
	assert_string_equal(path, "/run/kvmbus/a.sock");
	assert_int_equal(kvmb_rundir_socket("/run/kvmbus", "abc", path, sizeof(path)),
			 -ENAMETOOLONG);
}

static void rundir_beside_replaces_the_ending(void **state)
{
	char path[20];

	(void)state;
	assert_int_equal(kvmb_rundir_beside("/run/a.sock", ".vsock", path, sizeof(path)), 0);
	assert_string_equal(path, "/run/a.vsock");
	assert_int_equal(kvmb_rundir_beside("/run/a", ".vsock", path, sizeof(path)), 0);
	assert_string_equal(path, "/run/a.vsock");
	assert_int_equal(kvmb_rundir_beside("/run/abcdefgh.sock", ".vsock", path, sizeof(path)), 0);
	assert_int_equal(kvmb_rundir_beside("/run/abcdefghi.sock", ".vsock", path, sizeof(path)),
			 -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rundir_of_a_session_is_its_own),
		T(rundir_without_session_asks_logind),
		T(rundir_list_has_three_and_none_twice),
		T(rundir_of_another_user_is_refused),
		T(rundir_of_a_root_service_is_run),
		T(rundir_relative_or_endless_variable_is_ignored),
		T(rundir_make_failure_names_a_remedy),
		T(rundir_socket_name_too_long_is_refused),
		T(rundir_beside_replaces_the_ending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
