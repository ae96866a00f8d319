// SPDX-License-Identifier: GPL-2.0-only
/* Which signals a process that becomes a VM takes, from its first moment on. */
#include "vmm/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/exits.h"
#include "tests/unit/test.h"
#include "vmm/console.h"
#include "vmm/names.h"
#include "vmm/vm.h"
#include "vmm/vm_state.h"

static int sent; /* while the VM is built */
static useconds_t takes_ms;

void console_restore_tty(void)
{
}

static struct vm one;
static bool in_open; /* when it is sent */

static void take_time(void)
{
	kill(getpid(), sent);
	usleep(takes_ms * 1000);
}

static int inherited; /* a descriptor that was open before; 0: not looked at */
enum { IT_WAS_CLOSED = 40, IT_STAYED, IT_WENT_EARLY };

static void is_still_open(void)
{
	if (inherited && fcntl(inherited, F_GETFD) < 0)
		_exit(IT_WENT_EARLY);
}

static void is_closed(void)
{
	if (inherited)
		_exit(fcntl(inherited, F_GETFD) < 0 ? IT_WAS_CLOSED : IT_STAYED);
}

struct vm *vm_open(const struct vm_config *cfg)
{
	(void)cfg;
	is_still_open();
	if (in_open)
		take_time();
	return in_open ? NULL : &one;
}

/* One that cannot be built, and takes its time. */
int vm_build(struct vm *vm)
{
	(void)vm;
	is_closed();
	take_time();
	return -EIO;
}

void places_settle(struct vm_config *cfg, const struct vm_names *names)
{
	(void)cfg, (void)names;
}

void note_create(const struct vm_config *cfg, struct vm_state_config *c)
{
	(void)cfg;
	*c = (struct vm_state_config){ 0 };
}

int vm_state_keep_config(const struct vm_state_config *c, char *why, size_t size)
{
	(void)c, (void)why, (void)size;
	return 0;
}

void vm_state_free_config(struct vm_state_config *c)
{
	(void)c;
}

void names_seal(const struct vm_config *cfg)
{
	(void)cfg;
	abort(); /* not confined */
}

const struct vm_loader restore_loader, mig_in_loader, upgrade_in_loader; /* nothing to restore */

int vm_start(struct vm *vm, const struct vm_loader *from)
{
	(void)vm, (void)from;
	abort();
}

void vm_destroy(struct vm *vm)
{
	assert_ptr_equal(vm, &one);
}

bool term_signal(struct term *t, int sig)
{
	(void)t, (void)sig;
	abort();
}

static int status_after(int sig, bool ignored)
{
	const struct vm_config cfg = { .name = "t", .sandbox = SANDBOX_OFF };
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

static void run_signals_end_the_vm(void **state)
{
	(void)state;
	assert_int_equal(status_after(SIGHUP, false), EXIT_KILLED);
	assert_int_equal(status_after(SIGINT, false), EXIT_KILLED);
	assert_int_equal(status_after(SIGTERM, false), EXIT_KILLED);
}

/* A file that does not open: only the default action ends a wait for a dead server. */
static void run_signals_end_an_open(void **state)
{
	(void)state;
	in_open = true;
	assert_int_equal(status_after(SIGHUP, false), -SIGHUP);
	assert_int_equal(status_after(SIGINT, false), -SIGINT);
	assert_int_equal(status_after(SIGTERM, false), -SIGTERM);
	assert_int_equal(status_after(SIGHUP, true), EXIT_FAILED);
	in_open = false;
}

/* nohup(1) */
static void run_ignored_hangup_ends_nothing(void **state)
{
	(void)state;
	assert_int_equal(status_after(SIGHUP, true), EXIT_FAILED);
}

/* An option may name it, and when all names are opened it is not the VM's. */
static void run_closes_what_a_shell_left_open(void **state)
{
	(void)state;
	inherited = fcntl(STDERR_FILENO, F_DUPFD, 77);
	assert_true(inherited >= 77);
	assert_int_equal(status_after(SIGHUP, true), IT_WAS_CLOSED);
	close(inherited);
	inherited = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_signals_end_the_vm),
		cmocka_unit_test(run_signals_end_an_open),
		cmocka_unit_test(run_ignored_hangup_ends_nothing),
		cmocka_unit_test(run_closes_what_a_shell_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
