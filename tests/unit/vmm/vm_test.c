// SPDX-License-Identifier: GPL-2.0-only
/* What a VM does when several of its CPUs want something at once. The machine below is a stub. */
#include "vmm/vm.h"

#include <string.h>

#include "lib/log.h"
#include "tests/unit/test.h"
#include "vmm/overdue.h"

static struct vm vm;
static u32 bus_resets; /* also one at the VM's end */
static bool cpus_run;
/* What a CPU asks for while machine_stand() waits for it, once; NULL = nothing. */
static void (*last_word)(void);

/* ---- what stands below and beside vm.c ---- */

void machine_stand(struct machine *m)
{
	void (*ask)(void) = last_word;

	(void)m;
	last_word = NULL;
	if (ask)
		ask();
	cpus_run = false;
}

void machine_go(struct machine *m)
{
	(void)m;
	cpus_run = true;
}

static bool one_waits; /* a CPU sleeps in a page fault, and does not come to stand */

bool machine_try_stand(struct machine *m)
{
	(void)m;
	cpus_run = false;
	return !one_waits;
}

void machine_hold(struct machine *m) { (void)m; }
void machine_stop_clock(struct machine *m) { (void)m; }
void machine_start_clock(struct machine *m) { (void)m; }

static u32 machine_resets;

int machine_reset(struct machine *m)
{
	(void)m;
	machine_resets++;
	return 0;
}

static int start_err;

int machine_start(struct machine *m)
{
	(void)m;
	return start_err;
}

static void (*at_rest)(void *arg); /* of the last reset of the bus */

void __wrap_kvmb_bus_reset(struct kvmb_bus *bus, void (*done)(void *arg), void *arg)
{
	(void)bus;
	bus_resets++;
	at_rest = done;
	if (vm.state == VM_CREATED) /* its channels are closed at once */
		done(arg);
}

u16 __wrap_kvmb_bus_post(struct kvmb_bus *bus, u32 conn, u32 type, const void *payload, u32 len)
{
	(void)bus;
	(void)conn;
	(void)type;
	(void)payload;
	(void)len;
	return 0;
}

void __wrap_kvmb_bus_resume(struct kvmb_bus *bus) { (void)bus; }

void __wrap_kvmb_bus_message_acked(struct kvmb_bus *bus) { (void)bus; }

void overdue_begin(struct overdue *o, const char *who, const char *what, u32 limit_s)
{
	(void)o;
	(void)who;
	(void)what;
	(void)limit_s;
}

void overdue_step(struct overdue *o, const char *step)
{
	(void)o;
	(void)step;
}

void overdue_end(struct overdue *o) { (void)o; }

/* ---- the tests ---- */

static void ignore(struct vm *v) { (void)v; }

static u32 startings; /* in production the file of the serial port is emptied then */

static void count_starting(struct vm *v)
{
	(void)v;
	startings++;
}

/* Nobody may wait for it. */
static void fail_to_stand(void)
{
	fail();
}

static void check_standing(struct vm *v, bool stands)
{
	assert_int_equal(stands, v->state == VM_PAUSED);
}

/* devices beside the bus that take their time */
static void (*settling)(void *vm);
static bool settles_late;

static void settle(struct vm *v, void (*done)(void *vm))
{
	settling = done;
	if (!settles_late)
		done(v);
}

static u32 retries;

static void count_retry(struct vm *v)
{
	(void)v;
	retries++;
}

static u32 leavings;

static void count_leaving(struct vm *v)
{
	(void)v;
	leavings++;
}

static const struct vm_listener listener = { .starting = count_starting,
					     .stands = check_standing,
					     .resumed = count_retry,
					     .settle = settle,
					     .rebooted = ignore,
					     .restored = ignore,
					     .ended = ignore,
					     .leave = count_leaving };

static void start(enum on_crash on_crash)
{
	struct vm_config cfg;

	memset(&vm, 0, sizeof(vm));
	memset(&cfg, 0, sizeof(cfg));
	cfg.name = "t";
	cfg.on_crash = on_crash;
	kvmb_log_set_level(KVMB_LOG_ERR);
	bus_resets = retries = 0;
	last_word = NULL;
	vm_init(&vm, &cfg, kvmb_loop_create(), &listener);
	assert_int_equal(vm_start(&vm, NULL), 0);
}

static int teardown(void **state)
{
	(void)state;
	kvmb_loop_destroy(vm.loop);
	return 0;
}

/* Another process may run its guest: an end would close channels in that guest's memory. */
static void vm_on_hold_does_not_end_until_it_is_here_again(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	vm_pause(&vm);
	vm_hold(&vm);
	vm_kill(&vm);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_int_equal(bus_resets, 0);
	vm_release(&vm);
	assert_int_equal(vm.state, VM_ENDED);
	assert_int_equal(vm.end, VM_END_KILLED);
	assert_int_equal(bus_resets, 1);
}

static void vm_that_was_handed_over_touches_nothing(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	vm_pause(&vm);
	vm_hold(&vm);
	vm_kill(&vm);
	vm_handed_over(&vm);
	assert_int_equal(vm.end, VM_END_HANDED_OVER);
	vm_kill(&vm);
	assert_int_equal(vm.end, VM_END_HANDED_OVER);
	assert_int_equal(bus_resets, 0);
}

static int fails(struct vm *v)
{
	(void)v;
	return -EPIPE;
}

static void vm_whose_parts_are_shared_is_left_when_it_does_not_start(void **state)
{
	struct vm_loader from = { .load = fails, .shares = true };

	(void)state;
	start(ON_CRASH_RESET);
	vm.state = VM_CREATED;
	assert_int_equal(vm_start(&vm, &from), -EPIPE);
	assert_int_equal(bus_resets, 0);
	from.shares = false;
	assert_int_equal(vm_start(&vm, &from), -EPIPE);
	assert_int_equal(bus_resets, 1);
}

static void vm_crash_and_reset_at_once_end_it(void **state)
{
	(void)state;
	start(ON_CRASH_POWEROFF);
	vm_machine_ops.request(&vm, MACHINE_CRASH);
	vm_machine_ops.request(&vm, MACHINE_RESET);
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(vm.state, VM_ENDED);
	assert_int_equal(bus_resets, 1);
}

static void vm_reset_alone_resets(void **state)
{
	(void)state;
	start(ON_CRASH_POWEROFF);
	vm_machine_ops.request(&vm, MACHINE_RESET);
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(vm.state, VM_RESETTING);
	assert_int_equal(bus_resets, 1);
}

static void vm_reset_by_its_administrator_resets(void **state)
{
	(void)state;
	start(ON_CRASH_POWEROFF);
	assert_int_equal(vm_reset(&vm), 0);
	assert_int_equal(vm.state, VM_RUNNING); /* who asked for it may be answered first */
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(vm.state, VM_RESETTING);
	assert_int_equal(bus_resets, 1);
	assert_int_equal(vm_reset(&vm), -EINVAL);
	at_rest(&vm);
	assert_int_equal(vm.state, VM_RUNNING);
}

static void vm_that_is_paused_is_reset_and_stays_paused(void **state)
{
	(void)state;
	start(ON_CRASH_POWEROFF);
	assert_int_equal(vm_pause(&vm), 0);
	assert_int_equal(vm_reset(&vm), 0);
	kvmb_loop_once(vm.loop, 0);
	assert_int_equal(bus_resets, 1);
	at_rest(&vm);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_false(cpus_run);
}

/* What stopped it was of the guest that is gone; what waits for a retry is told of it. */
static void vm_that_was_stopped_forgets_why_when_it_is_reset(void **state)
{
	(void)state;
	start(ON_CRASH_PAUSE);
	assert_true(vm_stop(&vm, "guest crashed"));
	assert_int_equal(vm_reset(&vm), 0);
	kvmb_loop_once(vm.loop, 0);
	at_rest(&vm);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_string_equal(vm.stop_reason, "");
	assert_int_equal(retries, 1);
	assert_int_equal(vm_resume(&vm), 0);
	assert_int_equal(retries, 1);
	assert_true(cpus_run);
}

static void vm_reset_waits_for_devices_beside_the_bus(void **state)
{
	u32 begun;

	(void)state;
	settles_late = true;
	start(ON_CRASH_POWEROFF);
	begun = machine_resets;
	vm_machine_ops.request(&vm, MACHINE_RESET);
	kvmb_loop_once(vm.loop, 0);
	at_rest(&vm);
	assert_int_equal(vm.state, VM_RESETTING);
	assert_int_equal(machine_resets, begun);
	settles_late = false;
	settling(&vm);
	assert_int_equal(machine_resets, begun + 1);
	assert_int_equal(vm.state, VM_RUNNING);
}

static void ask_reset(void)
{
	vm_machine_ops.request(&vm, MACHINE_RESET);
}

static void ask_poweroff(void)
{
	vm_machine_ops.request(&vm, MACHINE_POWEROFF);
}

static void ask_error(void)
{
	vm_machine_ops.request(&vm, MACHINE_ERROR);
}

static void ask_crash(void)
{
	vm_machine_ops.request(&vm, MACHINE_CRASH);
}

static void ask_exit(void)
{
	vm_machine_ops.exit(&vm, 3);
}

/* Both commands came in one write: the loop serves no request between them. */
static void pause_and_resume(void (*ask)(void))
{
	start(ON_CRASH_PAUSE);
	last_word = ask;
	assert_int_equal(vm_pause(&vm), 0);
	assert_int_equal(vm_resume(&vm), 0);
	assert_int_equal(cpus_run, ask == NULL);
	kvmb_loop_once(vm.loop, 0);
}

static void vm_resume_keeps_a_cpu_that_asked_for_reset(void **state)
{
	(void)state;
	pause_and_resume(ask_reset);
	assert_int_equal(vm.state, VM_RESETTING);
	assert_false(cpus_run);
}

static void vm_resume_keeps_a_cpu_that_asked_for_an_end(void **state)
{
	void (*const asks[])(void) = { ask_poweroff, ask_error, ask_exit };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		if (i)
			teardown(state);
		pause_and_resume(asks[i]);
		assert_int_equal(vm.state, VM_ENDED);
		assert_false(cpus_run);
	}
}

static void vm_resume_keeps_a_cpu_that_crashed(void **state)
{
	(void)state;
	pause_and_resume(ask_crash);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_string_equal(vm.stop_reason, "guest crashed");
	assert_int_equal(vm_resume(&vm), 0); /* the crash has been served: now it goes on */
	assert_true(cpus_run);
}

static void vm_resume_without_request_runs(void **state)
{
	(void)state;
	pause_and_resume(NULL);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_true(cpus_run);
}

static bool begins_paused;

/* As kvmb_ic_load() leaves the services: a VM is paused when it is saved. */
static int load_saved(struct vm *v)
{
	v->heartbeat.paused = v->timesync.paused = true;
	vm_restored(v, begins_paused);
	return 0;
}

static int take(struct vm *v)
{
	(void)v;
	return 0;
}

static char aborted[96];

static void note_abort(struct vm *v, const char *why)
{
	(void)v;
	snprintf(aborted, sizeof(aborted), "%s", why);
}

static const struct vm_loader saved = { load_saved, take, note_abort };

static void start_restored(bool paused)
{
	struct vm_config cfg = { .name = "t" };

	memset(&vm, 0, sizeof(vm));
	begins_paused = paused;
	cpus_run = false;
	vm_init(&vm, &cfg, kvmb_loop_create(), &listener);
	assert_int_equal(vm_start(&vm, &saved), 0);
}

static void vm_restored_has_its_services_go_on(void **state)
{
	(void)state;
	start_restored(false);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_true(cpus_run);
	assert_false(vm.heartbeat.paused);
	assert_false(vm.timesync.paused);
}

static void vm_restored_as_paused_waits(void **state)
{
	(void)state;
	start_restored(true);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_false(cpus_run);
	assert_true(vm.timesync.paused);
	assert_int_equal(vm_resume(&vm), 0);
	assert_false(vm.timesync.paused);
}

static int fail_to_load(struct vm *v)
{
	(void)v;
	return -EPROTO;
}

/* kvmb_bus_destroy() asserts that no channel is open, and some may be. */
static void vm_that_cannot_be_restored_leaves_an_empty_bus(void **state)
{
	const struct vm_loader damaged = { fail_to_load, take, note_abort };
	const struct vm_loader elsewhere = { load_saved, fail_to_load, note_abort };
	struct vm_config cfg = { .name = "t" };

	(void)state;
	memset(&vm, 0, sizeof(vm));
	bus_resets = 0;
	vm_init(&vm, &cfg, kvmb_loop_create(), &listener);
	assert_int_equal(vm_start(&vm, &damaged), -EPROTO);
	assert_int_equal(bus_resets, 1);
	assert_int_equal(vm.state, VM_CREATED);
	kvmb_loop_destroy(vm.loop);
	/* and one that may not go on here after all */
	cpus_run = false;
	startings = 0;
	vm_init(&vm, &cfg, kvmb_loop_create(), &listener);
	assert_int_equal(vm_start(&vm, &elsewhere), -EPROTO);
	/* It goes on at its source, whose file of serial output must not have been emptied */
	assert_int_equal(startings, 0);
	assert_int_equal(bus_resets, 2);
	assert_false(cpus_run);
	assert_string_equal(aborted, ""); /* they have said why */
}

/* As when there are too many processes. */
static void vm_whose_vcpus_cannot_start_tells_where_it_came_from(void **state)
{
	struct vm_config cfg = { .name = "t" };

	(void)state;
	memset(&vm, 0, sizeof(vm));
	vm_init(&vm, &cfg, kvmb_loop_create(), &listener);
	start_err = -EAGAIN;
	assert_int_equal(vm_start(&vm, &saved), -EAGAIN);
	start_err = 0;
	assert_string_equal(aborted,
			    "its vCPUs cannot be started: Resource temporarily unavailable");
	assert_int_equal(vm.state, VM_CREATED);
}

/* What it needs has not come: a thread that waits for memory must not be waited for. */
static void vm_that_is_cut_off_waits_for_no_cpu(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	one_waits = true;
	vm_wait(&vm, true);
	vm_cut_off(&vm, true);
	assert_false(vm_try_stop(&vm, "memory"));
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(cpus_run);
	last_word = fail_to_stand;
	assert_true(vm_stop(&vm, "disk full")); /* a request fails meanwhile */
	assert_int_equal(vm.state, VM_RUNNING);
	leavings = 0;
	vm_kill(&vm);
	assert_int_equal(leavings, 1); /* the process ends, and wakes nobody */
	assert_int_equal(vm.state, VM_RUNNING);
	last_word = NULL;
	vm_cut_off(&vm, false);
	assert_false(cpus_run); /* because the disk is full */
	one_waits = false;
	assert_true(vm_try_stop(&vm, vm.stop_reason));
	assert_int_equal(vm.state, VM_PAUSED);
	assert_string_equal(vm.stop_reason, "disk full");
	assert_int_equal(vm_resume(&vm), 0);
	assert_true(cpus_run);
	vm_cut_off(&vm, true);
	assert_true(vm_try_stop(&vm, "memory"));
	assert_int_equal(vm.state, VM_PAUSED);
	assert_string_equal(vm.stop_reason, "memory");
	vm_cut_off(&vm, false);
	assert_int_equal(vm.state, VM_PAUSED);
	assert_int_equal(vm_resume(&vm), 0);
	vm_kill(&vm);
}

static void cpus_that_stand_go_on_when_it_is_over(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	one_waits = true;
	vm_cut_off(&vm, true);
	assert_false(vm_try_stop(&vm, "memory"));
	vm_cut_off(&vm, false);
	one_waits = false;
	assert_int_equal(vm.state, VM_RUNNING);
	assert_true(cpus_run);
	vm_kill(&vm);
}

/* A guest may ask for its reset before all of its memory has come. */
static void what_the_guest_asks_for_is_done_later(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	vm_wait(&vm, true);
	vm_machine_ops.request(&vm, MACHINE_RESET);
	assert_int_equal(kvmb_loop_once(vm.loop, 0), 0);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_int_equal(bus_resets, 0);
	vm_wait(&vm, false);
	assert_int_equal(kvmb_loop_once(vm.loop, 0), 0);
	assert_int_equal(vm.state, VM_RESETTING);
	vm_kill(&vm);
}

/* Killed while its memory comes: the link may break while a CPU is waited for. */
static void vm_that_waits_for_memory_is_killed_without_waiting(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	one_waits = true; /* its page has not come, and nobody says that it will */
	vm_wait(&vm, true);
	last_word = fail_to_stand; /* machine_stand() would wait for ever */
	vm_kill(&vm);
	vm_try_end(&vm);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_false(cpus_run);
	vm_cut_off(&vm, false); /* a link that was mended meanwhile */
	assert_false(cpus_run);
	leavings = 0;
	vm_cut_off(&vm, true);
	vm_try_end(&vm);
	assert_int_equal(leavings, 1);
	vm_cut_off(&vm, false);
	one_waits = false;
	last_word = NULL;
	vm_try_end(&vm);
	assert_int_equal(vm.state, VM_ENDED);
	assert_int_equal(vm.end, VM_END_KILLED);
	assert_int_equal(bus_resets, 1);
	vm_try_end(&vm);
	vm_wait(&vm, false);
	assert_int_equal(bus_resets, 1);
}

/* All has come before the CPU has been looked at again. */
static void end_that_was_put_off_comes_with_the_memory(void **state)
{
	(void)state;
	start(ON_CRASH_RESET);
	one_waits = true;
	vm_wait(&vm, true);
	vm_kill(&vm);
	assert_int_equal(vm.state, VM_RUNNING);
	vm_wait(&vm, false);
	assert_int_equal(vm.state, VM_ENDED);
	assert_int_equal(vm.end, VM_END_KILLED);
	one_waits = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(end_that_was_put_off_comes_with_the_memory, teardown),
		cmocka_unit_test_teardown(vm_that_waits_for_memory_is_killed_without_waiting,
					  teardown),
		cmocka_unit_test_teardown(vm_that_is_cut_off_waits_for_no_cpu, teardown),
		cmocka_unit_test_teardown(cpus_that_stand_go_on_when_it_is_over, teardown),
		cmocka_unit_test_teardown(what_the_guest_asks_for_is_done_later, teardown),
		cmocka_unit_test_teardown(vm_crash_and_reset_at_once_end_it, teardown),
		cmocka_unit_test_teardown(vm_reset_alone_resets, teardown),
		cmocka_unit_test_teardown(vm_reset_by_its_administrator_resets, teardown),
		cmocka_unit_test_teardown(vm_that_is_paused_is_reset_and_stays_paused, teardown),
		cmocka_unit_test_teardown(vm_that_was_stopped_forgets_why_when_it_is_reset,
					  teardown),
		cmocka_unit_test_teardown(vm_reset_waits_for_devices_beside_the_bus, teardown),
		cmocka_unit_test_teardown(vm_resume_keeps_a_cpu_that_asked_for_reset, teardown),
		cmocka_unit_test_teardown(vm_resume_keeps_a_cpu_that_asked_for_an_end, teardown),
		cmocka_unit_test_teardown(vm_resume_keeps_a_cpu_that_crashed, teardown),
		cmocka_unit_test_teardown(vm_resume_without_request_runs, teardown),
		cmocka_unit_test_teardown(vm_restored_has_its_services_go_on, teardown),
		cmocka_unit_test_teardown(vm_restored_as_paused_waits, teardown),
		cmocka_unit_test_teardown(vm_on_hold_does_not_end_until_it_is_here_again, teardown),
		cmocka_unit_test_teardown(vm_that_was_handed_over_touches_nothing, teardown),
		cmocka_unit_test_teardown(vm_whose_parts_are_shared_is_left_when_it_does_not_start,
					  teardown),
		cmocka_unit_test_teardown(vm_that_cannot_be_restored_leaves_an_empty_bus, teardown),
		cmocka_unit_test_teardown(vm_whose_vcpus_cannot_start_tells_where_it_came_from,
					  teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
