// SPDX-License-Identifier: GPL-2.0-only
/* Which signals a process that becomes a VM takes, from its first moment on. */
#include "vmm/run.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/exits.h"
#include "tests/unit/test.h"
#include "vmm/console.h"
#include "vmm/vm.h"

static int sent; /* while the VM is built */
static useconds_t takes_ms;

void console_restore_tty(void)
{
}

/* One that cannot be built, and takes its time. */
struct vm *vm_create(const struct vm_config *cfg)
{
	(void)cfg;
	kill(getpid(), sent);
	usleep(takes_ms * 1000);
	return NULL;
}

int vm_start(struct vm *vm)
{
	(void)vm;
	abort();
}

void vm_destroy(struct vm *vm)
{
	(void)vm;
	abort();
}

bool term_signal(struct term *t, int sig)
{
	(void)t, (void)sig;
	abort();
}

static int status_after(int sig, bool ignored)
{
	const struct vm_config cfg = { .name = "t" };
	int status;
	pid_t pid = fork();

	if (!pid) {
		sent = sig;
		takes_ms = ignored ? 300 : 30000;
		signal(sig, ignored ? SIG_IGN : SIG_DFL);
		_exit(run_vm(&cfg, false));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void signals_end_it(void **state)
{
	(void)state;
	assert_int_equal(status_after(SIGHUP, false), EXIT_KILLED);
	assert_int_equal(status_after(SIGINT, false), EXIT_KILLED);
	assert_int_equal(status_after(SIGTERM, false), EXIT_KILLED);
}

/* nohup(1) */
static void a_terminal_that_closes_may_be_ignored(void **state)
{
	(void)state;
	assert_int_equal(status_after(SIGHUP, true), EXIT_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_end_it),
		cmocka_unit_test(a_terminal_that_closes_may_be_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
