// SPDX-License-Identifier: GPL-2.0-only
/* Helper programs. */
#include "lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Between fork and exec of a threaded process: only calls that are safe in signal handlers. */
static void become(const char *const *argv, const int *keep, int num, int err_fd, pid_t parent)
{
	sigset_t none;
	int null, i;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127); /* it ended before the line above */
	for (i = 0; i < num; i++)
		fcntl(keep[i], F_SETFD, 0);
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(err_fd >= 0 ? err_fd : null, 2);
	}
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

pid_t kvmb_spawn(const char *const *argv, const int *keep, int num, int err_fd)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid)
		become(argv, keep, num, err_fd, parent);
	return pid < 0 ? -errno : pid;
}
