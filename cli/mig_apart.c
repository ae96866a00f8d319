// SPDX-License-Identifier: GPL-2.0-only
/* A process of its own for a pump: mig_apart.h. */
#include "cli/mig_apart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/jail.h"
#include "lib/util.h"
#include "vmm/confine.h"

/* Nobody's child, so that the VM need not wait for it. */
static int fork_apart(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		pid = fork();
		if (pid)
			_exit(pid < 0);
		return 1;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int mig_apart_fork(const struct mig_address *a, bool *pump)
{
	int sv[2], child;

	*pump = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv)) {
		cli_error("%s: %s", a->text, strerror(errno));
		return -1;
	}
	child = fork_apart();
	if (child < 0)
		cli_error("%s: %s", a->text, strerror(-child));
	*pump = child > 0;
	close(sv[child > 0 ? 0 : 1]);
	if (child > 0)
		signal(SIGPIPE, SIG_IGN);
	if (child >= 0)
		return sv[child];
	close(sv[0]);
	return -1;
}

bool mig_apart_confine(const char *text)
{
	unsigned int lacks = 0;
	uid_t user = geteuid() ? (uid_t)-1 : CONFINE_UID_BASE + (uid_t)getpid();
	char why[200];
	int listener = -1, err = confine_process(user, user, &lacks, why, sizeof(why));

	if (!err) {
		err = kvmb_jail_enter(-1, &listener, &lacks);
		snprintf(why, sizeof(why), "sandbox: seccomp: %s", strerror(-err));
	}
	if (listener >= 0)
		close(listener); /* nothing is executed */
	if (err)
		cli_error("%s: %s", text, why);
	return !err;
}

static void close_between(int from, int to)
{
	if (from <= to)
		syscall(SYS_close_range, (unsigned int)from, (unsigned int)to, 0);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void mig_apart_keep(int *keep, int num)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int from = STDERR_FILENO + 1, i;
	bool input = false;

	qsort(keep, (size_t)num, sizeof(*keep), by_number);
	for (i = 0; i < num; i++)
		input |= keep[i] == STDIN_FILENO;
	if (!input && null >= 0)
		dup2(null, STDIN_FILENO);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	for (i = 0; i < num; i++) {
		close_between(from, keep[i] - 1);
		from = KVMB_MAX(from, keep[i] + 1);
	}
	close_between(from, INT_MAX);
}
