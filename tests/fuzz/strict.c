// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into fuzz targets by FUZZ_STRICT=1: providers' threads run under the filters of a VM in
 * production (vmm/policy.h). A system call without a row ends the target, and is a finding.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/thread.h"
#include "vmm/policy.h"

static void *break_out(void *arg)
{
	kvmb_thread_enter(KVMB_THREAD_STORAGE, "break-out");
	syscall(SYS_getppid);
	return arg;
}

/* A filter that lets everything through would find nothing. */
static void check_filter(void)
{
	pthread_t t;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!freopen("/dev/null", "w", stderr) || pthread_create(&t, NULL, break_out, NULL))
			_exit(1);
		pthread_join(t, NULL);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return;
	fprintf(stderr, "strict: no filter: status %#x\n", status);
	abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char why[200];

	(void)argc, (void)argv;
	mallopt(M_ARENA_MAX, 1); /* as cli/cmd_run.c: other arenas grow by mprotect */
	if (policy_install(POLICY_STRICT, "fuzz", why, sizeof(why))) {
		fprintf(stderr, "strict: %s\n", why);
		abort();
	}
	check_filter();
	return 0;
}
