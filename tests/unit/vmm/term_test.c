// SPDX-License-Identifier: GPL-2.0-only
/* Every state and signal: who is asked, who is killed, and that a guest has its time. */
#include "vmm/term.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/vm.h"

static struct vm vm;
static u32 asked, told_s, killed;
static int answer; /* of the shutdown service */

void vm_kill(struct vm *v)
{
	killed++;
	v->state = VM_ENDED;
}

int __wrap_kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s);
int __wrap_kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s)
{
	(void)s;
	assert_false(reboot);
	asked++;
	told_s = timeout_s;
	return answer;
}

static u32 cancelled;

void save_cancel(struct vm *v)
{
	cancelled += v->save != NULL;
}

void mig_out_cancel(struct vm *v)
{
	cancelled += v->migration != NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm.loop = kvmb_loop_create();
	vm.cfg.name = "t";
	vm.cfg.term_timeout_s = 30;
	vm.state = VM_RUNNING;
	asked = told_s = killed = cancelled = 0;
	answer = 0;
	kvmb_log_set_level(KVMB_LOG_ERR);
	vm.term = term_create(&vm);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	term_destroy(vm.term);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static void term_first_signal_asks_second_kills(void **state)
{
	static const int sigs[] = { SIGTERM, SIGINT };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sigs); i++) {
		assert_true(term_signal(vm.term, sigs[i]));
		assert_int_equal(asked, 1);
		assert_int_equal(told_s, 30);
		assert_int_equal(killed, 0);
		assert_true(vm.no_reboot);
		assert_true(term_signal(vm.term, SIGTERM));
		assert_int_equal(asked, 1);
		assert_int_equal(killed, 1);
		assert_int_equal(vm.term->state, TERM_KILLED);
		teardown(state);
		setup(state);
	}
}

/* A terminal that closes sends it from the kernel and from the shell. */
static void term_hangup_only_asks(void **state)
{
	(void)state;
	assert_true(term_signal(vm.term, SIGHUP));
	assert_true(term_signal(vm.term, SIGHUP));
	assert_int_equal(asked, 1);
	assert_int_equal(killed, 0);
	assert_true(term_signal(vm.term, SIGTERM));
	assert_int_equal(killed, 1);
	assert_true(term_signal(vm.term, SIGHUP));
}

static void term_timeout_kills(void **state)
{
	u64 begin = kvmb_now_ms();

	(void)state;
	vm.cfg.term_timeout_s = 1;
	term_signal(vm.term, SIGTERM);
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(killed, 0);
	while (!killed)
		kvmb_loop_once(vm.loop, 2000);
	assert_true(kvmb_now_ms() - begin >= 1000);
}

static void loop_for(u32 ms)
{
	u64 end = kvmb_now_ms() + ms;

	while (kvmb_now_ms() < end)
		kvmb_loop_once(vm.loop, 10);
}

/* The guest is asked when it can hear. */
static void term_gives_up_a_save_first(void **state)
{
	(void)state;
	vm.save = (void *)&vm;
	vm.state = VM_PAUSED;
	assert_true(term_signal(vm.term, SIGTERM));
	assert_true(term_signal(vm.term, SIGHUP));
	loop_for(200);
	assert_int_equal(cancelled, 1);
	assert_int_equal(asked + killed, 0);
	vm.save = NULL;
	vm.state = VM_RUNNING;
	while (!asked)
		kvmb_loop_once(vm.loop, 2000);
	assert_int_equal(killed, 0);
	assert_int_equal(vm.term->state, TERM_ASKED);
}

static void term_gives_up_a_migration_first(void **state)
{
	(void)state;
	vm.migration = (void *)&vm;
	assert_true(term_signal(vm.term, SIGTERM));
	assert_int_equal(cancelled, 1);
	assert_int_equal(asked + killed, 0);
	assert_true(term_signal(vm.term, SIGTERM)); /* not that patient */
	assert_int_equal(killed, 1);
	loop_for(200);
	assert_int_equal(asked, 0);
}

static void term_too_late_for_a_save_lets_it_end(void **state)
{
	(void)state;
	vm.save = (void *)&vm;
	vm.state = VM_PAUSED;
	term_signal(vm.term, SIGTERM);
	vm.state = VM_ENDED; /* vm_saved() */
	loop_for(200);
	assert_int_equal(asked + killed, 0);
	assert_true(term_signal(vm.term, SIGTERM));
	assert_false(term_signal(vm.term, SIGTERM)); /* it hangs */
}

static void term_waits_for_a_migration_as_long_as_for_a_guest(void **state)
{
	(void)state;
	vm.cfg.term_timeout_s = 1;
	vm.migration = (void *)&vm; /* who has the VM is undecided, for example */
	term_signal(vm.term, SIGTERM);
	loop_for(500);
	assert_int_equal(killed, 0);
	while (!killed)
		kvmb_loop_once(vm.loop, 2000);
	assert_int_equal(asked, 0);
}

static void term_kill_does_not_wait_for_a_save(void **state)
{
	(void)state;
	vm.cfg.on_term = ON_TERM_KILL;
	vm.save = (void *)&vm;
	term_signal(vm.term, SIGTERM);
	assert_int_equal(killed, 1);
}

static void term_refusal_keeps_the_timeout(void **state)
{
	(void)state;
	term_refused(vm.term, 0x80004005); /* the answer to a `kvmbus stop` */
	assert_int_equal(vm.term->state, TERM_QUIET);
	term_signal(vm.term, SIGTERM);
	term_refused(vm.term, 0x8007045b);
	assert_int_equal(killed, 0);
	assert_true(vm.no_reboot);
}

static void term_during_a_stop_waits(void **state)
{
	(void)state;
	answer = -EAGAIN;
	term_signal(vm.term, SIGTERM);
	assert_int_equal(killed, 0);
	assert_true(vm.no_reboot);
}

static void term_nobody_to_ask_kills_at_once(void **state)
{
	static const struct {
		enum vm_state state;
		enum on_term on_term;
		int answer;
		u32 asked;
	} rows[] = {
		{ VM_RUNNING, ON_TERM_KILL, 0, 0 },
		{ VM_RUNNING, ON_TERM_SHUTDOWN, -ENOTCONN, 1 },
		{ VM_PAUSED, ON_TERM_SHUTDOWN, 0, 0 },
		{ VM_RESETTING, ON_TERM_SHUTDOWN, 0, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		vm.state = rows[i].state;
		vm.cfg.on_term = rows[i].on_term;
		answer = rows[i].answer;
		assert_true(term_signal(vm.term, SIGTERM));
		CHECK_ROW(asked, rows[i].asked, i);
		CHECK_ROW(killed, 1, i);
		teardown(state);
		setup(state);
	}
}

/*
 * A VM that is ending, whatever ends it, is not killed once more; who insists may end the process.
 */
static void term_during_the_end_waits(void **state)
{
	vm.state = VM_ENDED;
	assert_true(term_signal(vm.term, SIGTERM)); /* may have crossed the end */
	assert_true(term_signal(vm.term, SIGHUP));
	assert_false(term_signal(vm.term, SIGTERM));
	assert_int_equal(asked + killed, 0);

	teardown(state);
	setup(state);
	vm.cfg.term_timeout_s = 0;
	term_signal(vm.term, SIGTERM);
	vm.state = VM_ENDED; /* the guest powered off, and a provider takes its time */
	kvmb_loop_once(vm.loop, 10);
	assert_true(term_signal(vm.term, SIGINT));
	assert_int_equal(killed, 0);
	assert_false(term_signal(vm.term, SIGINT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(term_first_signal_asks_second_kills),
		T(term_hangup_only_asks),
		T(term_timeout_kills),
		T(term_gives_up_a_save_first),
		T(term_gives_up_a_migration_first),
		T(term_too_late_for_a_save_lets_it_end),
		T(term_waits_for_a_migration_as_long_as_for_a_guest),
		T(term_kill_does_not_wait_for_a_save),
		T(term_refusal_keeps_the_timeout),
		T(term_during_a_stop_waits),
		T(term_nobody_to_ask_kills_at_once),
		T(term_during_the_end_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
