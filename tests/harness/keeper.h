/* SPDX-License-Identifier: GPL-2.0-only */
/* The keeper of a test's process, and programs of the tests' own under the names that it starts. */
#ifndef KVMB_TEST_KEEPER_H
#define KVMB_TEST_KEEPER_H

#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

/* Before the first thread. Programs are looked up in the PATH of now. */
static inline void start_keeper(void)
{
	char why[256] = "";

	if (kvmb_keeper_start("test", false, why, sizeof(why)))
		fail_msg("%s", why);
}

/* It is the only child, if there is one. */
static inline pid_t look_for_keeper(void)
{
	char path[64], pids[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	if (!fgets(pids, sizeof(pids), f))
		pids[0] = 0;
	fclose(f);
	return (pid_t)atol(pids);
}

static inline pid_t find_keeper(void)
{
	pid_t pid = look_for_keeper();

	assert_true(pid > 0);
	return pid;
}

/* It would wait for our end, which is far away, and kill us. */
static inline void end_keeper(void)
{
	pid_t pid = look_for_keeper();

	kvmb_keeper_end(PATIENCE_MS);
	if (!pid)
		return;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* From now on @name is the program @as of the build, which stands beside this test. */
static inline void stand_in(const char *where, const char *name, const char *as)
{
	char self[PATH_MAX], target[2 * PATH_MAX], link[2 * PATH_MAX], path[3 * PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	snprintf(target, sizeof(target), "%s/%s", dirname(self), as);
	snprintf(link, sizeof(link), "%s/%s", where, name);
	assert_int_equal(symlink(target, link), 0);
	snprintf(path, sizeof(path), "%s:%s", where, getenv("PATH"));
	setenv("PATH", path, 1);
}

#endif
