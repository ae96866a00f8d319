/* SPDX-License-Identifier: GPL-2.0-only */
/* Helper programs as tests see them. */
#ifndef KVMB_DAEMON_H
#define KVMB_DAEMON_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

/* The process id of our (last) storage daemon, 0 = none. It is a child of our keeper's. */
static inline pid_t daemon_pid(void)
{
	char cmd[160], line[32] = "";
	FILE *f;

	snprintf(cmd, sizeof(cmd), "pgrep -P $(pgrep -P %d kvmbus-keeper) qemu-storage-d | tail -1",
		 (int)getpid());
	f = popen(cmd, "r");
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	pclose(f);
	return (pid_t)atoi(line);
}

/*
 * Somebody in whose hands @pid ends, and does not, with all that it has open: as in the kernel's,
 * when it waits for a dead server. To be let_go(). Return: 0 where this machine's users may not
 * trace (yama).
 */
static inline pid_t hold(pid_t pid)
{
	pid_t us;
	int p[2];
	char c;

	assert_int_equal(pipe(p), 0);
	us = fork();
	if (!us) {
		c = ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT) ? 'n' : 'y';
		if (write(p[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	if (c == 'y')
		return us;
	kill(us, SIGKILL);
	waitpid(us, NULL, 0);
	return 0;
}

static inline void let_go(pid_t holder)
{
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
}

#endif
