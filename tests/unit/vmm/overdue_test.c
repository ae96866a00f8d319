// SPDX-License-Identifier: GPL-2.0-only
/* What takes too long is said, with the step and the threads; what does not is not. */
#include "vmm/overdue.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "tests/harness/keeper.h"
#include "vmm/policy.h"

static struct overdue o;
static FILE *log_file;
static int old_stderr;
static char text[16384];

static int setup(void **state)
{
	(void)state;
	memset(&o, 0, sizeof(o));
	log_file = tmpfile();
	old_stderr = dup(STDERR_FILENO);
	dup2(fileno(log_file), STDERR_FILENO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	overdue_end(&o);
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	fclose(log_file);
	return 0;
}

static const char *logged(void)
{
	size_t n;

	rewind(log_file);
	n = fread(text, 1, sizeof(text) - 1, log_file);
	text[n] = 0;
	return text;
}

static const char *wait_for(const char *what)
{
	uint64_t until = kvmb_now_ms() + PATIENCE_MS;

	while (!strstr(logged(), what) && kvmb_now_ms() < until)
		usleep(5000);
	return strstr(text, what);
}

static void *sleeper(void *arg)
{
	sem_wait(arg);
	return NULL;
}

static void overdue_names_step_and_threads(void **state)
{
	pthread_t t;
	sem_t s;

	(void)state;
	sem_init(&s, 0, 0);
	pthread_create(&t, NULL, sleeper, &s);
	pthread_setname_np(t, "scsi9/3");
	overdue_begin(&o, "vm1", "the end of the VM", 30);
	overdue_step(&o, "disks");
	assert_non_null(wait_for(
		"vm1: the end of the VM has taken 0 s and is not done: "
			"waiting for disks; kill the process"));
	assert_non_null(wait_for("thread scsi9/3 ("));
	assert_null(strstr(logged(), "thread overdue"));
	overdue_end(&o);
	sem_post(&s);
	pthread_join(t, NULL);
	sem_destroy(&s);
}

static void overdue_repeats_with_the_new_step(void **state)
{
	(void)state;
	overdue_begin(&o, "vm1", "the reset", 20);
	overdue_step(&o, "vCPUs");
	assert_non_null(wait_for("waiting for vCPUs"));
	overdue_step(&o, "devices");
	assert_non_null(wait_for("waiting for devices"));
}

static void overdue_in_time_says_nothing(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		overdue_begin(&o, "vm1", "the reset", 60000);
		overdue_step(&o, "vCPUs");
		if (i % 2)
			/* the one in the middle of the other */
			overdue_begin(&o, "vm1", "the end of the VM", 60000);
		overdue_end(&o);
		overdue_end(&o);
	}
	assert_string_equal(logged(), "");
}

/* In its sandbox a VM's process cannot read its own /proc. */
static void overdue_asks_the_keeper(void **state)
{
	(void)state;
	start_keeper();
	assert_int_equal(kvmb_keeper_log_threads(PATIENCE_MS), 0);
	assert_non_null(strstr(logged(), "test:   thread vmm-overdue_tes ("));
	overdue_begin(&o, "vm1", "the end of the VM", 30);
	assert_non_null(wait_for("vm1: the end of the VM has taken"));
	overdue_end(&o);
	assert_null(strstr(logged(), "vm1:   thread")); /* by the keeper, not by itself */
	end_keeper();
}

static void kill_keeper(void)
{
	pid_t pid = find_keeper();

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The process lives, whether its keeper answers or has died. */
static void overdue_makes_no_call_that_is_not_allowed(void **state)
{
	int dead, status;
	char why[80];
	pid_t pid;

	(void)state;
	for (dead = 0; dead < 2; dead++) {
		pid = fork();
		if (!pid) {
			start_keeper();
			if (dead)
				kill_keeper();
			if (policy_install(POLICY_STRICT, "vm1", why, sizeof(why)))
				_exit(1);
			overdue_begin(&o, "vm1", "the end of the VM", 30);
			if (!wait_for(dead ? "the keeper does not" : "test:   thread "))
				_exit(2);
			overdue_step(&o, "disks"); /* and once more: it is still there */
			_exit(wait_for("waiting for disks") ? 0 : 3);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(overdue_names_step_and_threads),
		T(overdue_repeats_with_the_new_step),
		T(overdue_in_time_says_nothing),
		T(overdue_asks_the_keeper),
		T(overdue_makes_no_call_that_is_not_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
