// SPDX-License-Identifier: GPL-2.0-only
/* The life of a VM: start, pause, resume, reset, end. build.c makes its parts. */
#include "vmm/vm.h"

#include "host-vsp/bus/bus_state.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/util.h"

static const char *const state_names[] = { "created", "running", "paused", "resetting", "ended" };
static_assert(ARRAY_SIZE(state_names) == VM_NUM_STATES, "one name a state");

static const u8 moves[VM_NUM_STATES] = {
	[VM_CREATED] = 1 << VM_RUNNING | 1 << VM_ENDED,
	[VM_RUNNING] = 1 << VM_PAUSED | 1 << VM_RESETTING | 1 << VM_ENDED,
	[VM_PAUSED] = 1 << VM_RUNNING | 1 << VM_RESETTING | 1 << VM_ENDED,
	[VM_RESETTING] = 1 << VM_RUNNING | 1 << VM_PAUSED | 1 << VM_ENDED,
};

static void set_vm_state(struct vm *vm, enum vm_state to)
{
	kvmb_assert(moves[vm->state] & (1 << to));
	kvmb_dbg(vm->cfg.name, "VM %s -> %s", state_names[vm->state], state_names[to]);
	vm->state = to;
}

const char *vm_state_name(const struct vm *vm)
{
	return state_names[vm->state];
}

/*
 * While a request waits, serve_requests() is posted. The CPU that asked must not execute anything
 * before that, for example when a pause and a resume arrive in one piece.
 */
bool vm_request_waits(const struct vm *vm)
{
	return __atomic_load_n(&vm->want_reset, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&vm->want_crash, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&vm->want_poweroff, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&vm->want_error, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&vm->want_test_exit, __ATOMIC_SEQ_CST);
}

static void let_cpus_go(struct vm *vm)
{
	if (!vm_request_waits(vm))
		machine_go(&vm->machine);
}

/* ---- pause ---- */

static void tell_that_it_stands(struct vm *vm, bool stands)
{
	kvmb_heartbeat_pause(&vm->heartbeat, stands);
	kvmb_timesync_pause(&vm->timesync, stands);
	vm->listener->stands(vm, stands);
}

int vm_pause(struct vm *vm)
{
	if (vm->state != VM_RUNNING)
		return -EINVAL;
	machine_stand(&vm->machine);
	machine_stop_clock(&vm->machine);
	set_vm_state(vm, VM_PAUSED);
	tell_that_it_stands(vm, true);
	return 0;
}

bool vm_stop(struct vm *vm, const char *reason)
{
	if (vm->waits && vm->state == VM_RUNNING && !machine_try_stand(&vm->machine)) {
		snprintf(vm->stop_reason, sizeof(vm->stop_reason), "%s", reason);
		return true; /* vm_try_stop() goes on with it */
	}
	if (vm_pause(vm) && vm->state != VM_PAUSED)
		return false;
	snprintf(vm->stop_reason, sizeof(vm->stop_reason), "%s", reason);
	return true;
}

bool vm_try_stop(struct vm *vm, const char *reason)
{
	kvmb_assert(vm->state == VM_RUNNING);
	if (!machine_try_stand(&vm->machine) || vm_pause(vm))
		return false;
	if (reason != vm->stop_reason)
		snprintf(vm->stop_reason, sizeof(vm->stop_reason), "%s", reason);
	return true;
}

void vm_cut_off(struct vm *vm, bool cut_off)
{
	vm->cut_off = cut_off;
	/* something else may have asked for a stop meanwhile, with a reason, or for the end */
	if (!cut_off && vm->state == VM_RUNNING && !vm->stop_reason[0] && !vm->late_end)
		let_cpus_go(vm);
}

void vm_wait(struct vm *vm, bool waits)
{
	vm->waits = waits;
	if (!waits)
		vm_try_end(vm);
	if (!waits && vm_request_waits(vm))
		kvmb_loop_post(vm->loop, &vm->event_work);
}

static void forget_why_it_stopped(struct vm *vm)
{
	if (!vm->stop_reason[0])
		return;
	vm->stop_reason[0] = 0;
	vm->listener->resumed(vm);
}

int vm_resume(struct vm *vm)
{
	if (vm->state != VM_PAUSED)
		return -EINVAL;
	machine_start_clock(&vm->machine);
	set_vm_state(vm, VM_RUNNING);
	tell_that_it_stands(vm, false);
	let_cpus_go(vm);
	forget_why_it_stopped(vm);
	return 0;
}

/* ---- reset and end ---- */

static void end_vm(struct vm *vm, enum vm_end why, int exit_code);

static void finish_reset(void *arg)
{
	struct vm *vm = arg;

	if (vm->state == VM_ENDED)
		return;
	overdue_end(&vm->overdue);
	if (machine_reset(&vm->machine)) {
		kvmb_err(vm->cfg.name, "the guest cannot be started again");
		end_vm(vm, VM_END_ERROR, 1);
		return;
	}
	/* another vCPU's wish of the last life */
	__atomic_store_n(&vm->want_reset, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&vm->want_crash, 0, __ATOMIC_SEQ_CST);
	if (vm->reset_paused) { /* the administrator knows it as paused, so it stays paused */
		set_vm_state(vm, VM_PAUSED);
	} else {
		set_vm_state(vm, VM_RUNNING);
		kvmb_heartbeat_pause(&vm->heartbeat, false);
		kvmb_timesync_pause(&vm->timesync, false);
		let_cpus_go(vm);
	}
	vm->listener->rebooted(vm);
	if (vm->state == VM_PAUSED) /* why was in the last life */
		forget_why_it_stopped(vm);
}

static void settle_for_reset(void *arg)
{
	struct vm *vm = arg;

	vm->listener->settle(vm, finish_reset);
}

static void finish_end(void *arg)
{
	struct vm *vm = arg;

	vm->listener->ended(vm);
	kvmb_loop_stop(vm->loop);
}

static void settle_for_end(void *arg)
{
	struct vm *vm = arg;

	vm->listener->settle(vm, finish_end);
}

static void end_vm(struct vm *vm, enum vm_end why, int exit_code)
{
	if (vm->state == VM_ENDED)
		return;
	if (vm->held) {
		vm->held_end = why;
		return;
	}
	if (vm->cut_off) { /* nobody can be waited for */
		vm->listener->leave(vm);
		return;
	}
	if (vm->waits && !machine_try_stand(&vm->machine)) {
		vm->late_end = why;
		vm->exit_code = exit_code;
		return;
	}
	overdue_begin(&vm->overdue, vm->cfg.name, "the end of the VM", VM_OVERDUE_MS);
	overdue_step(&vm->overdue, "vCPUs to stand");
	machine_stand(&vm->machine);
	set_vm_state(vm, VM_ENDED);
	vm->end = why;
	vm->exit_code = exit_code;
	overdue_step(&vm->overdue, "devices to finish their requests");
	kvmb_bus_reset(vm->bus, settle_for_end, vm);
}

void vm_try_end(struct vm *vm)
{
	if (vm->late_end != VM_END_NONE)
		end_vm(vm, vm->late_end, vm->exit_code);
}

static void begin_reset(struct vm *vm)
{
	if (vm->no_reboot) {
		end_vm(vm, VM_END_POWEROFF, 0);
		return;
	}
	overdue_begin(&vm->overdue, vm->cfg.name, "the reset of the VM", VM_OVERDUE_MS);
	overdue_step(&vm->overdue, "vCPUs to stand");
	machine_stand(&vm->machine);
	vm->reset_paused = vm->state == VM_PAUSED; /* the wish to reset crossed the pause */
	set_vm_state(vm, VM_RESETTING);
	overdue_step(&vm->overdue, "devices to finish their requests");
	kvmb_bus_reset(vm->bus, settle_for_reset, vm);
}

int vm_reset(struct vm *vm)
{
	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return -EINVAL;
	__atomic_store_n(&vm->want_reset, 1, __ATOMIC_SEQ_CST);
	kvmb_loop_post(vm->loop, &vm->event_work);
	return 0;
}

void vm_kill(struct vm *vm)
{
	end_vm(vm, VM_END_KILLED, 0);
}

void vm_saved(struct vm *vm)
{
	end_vm(vm, VM_END_SAVED, 0);
}

void vm_hold(struct vm *vm)
{
	kvmb_assert(vm->state == VM_PAUSED);
	vm->held = true;
	vm->held_end = VM_END_NONE;
}

void vm_release(struct vm *vm)
{
	bool asked = vm->held && vm->held_end != VM_END_NONE;

	vm->held = false;
	if (asked)
		end_vm(vm, vm->held_end, 0);
}

void vm_handed_over(struct vm *vm)
{
	set_vm_state(vm, VM_ENDED);
	vm->end = VM_END_HANDED_OVER;
	kvmb_loop_stop(vm->loop);
}

/* The CPU that told of it stands, see on_request(). */
static void guest_crashed(struct vm *vm)
{
	if (vm->cfg.on_crash == ON_CRASH_POWEROFF) {
		kvmb_err(vm->cfg.name,
			 "the guest crashed; the VM ends because of --on-crash=poweroff");
		end_vm(vm, VM_END_CRASHED, 1);
	} else {
		vm_stop(vm, "guest crashed");
	}
}

static void serve_requests(void *arg)
{
	struct vm *vm = arg;
	bool reset;

	if (vm->waits)
		return;
	reset = __atomic_exchange_n(&vm->want_reset, 0, __ATOMIC_SEQ_CST);
	if (vm->state == VM_ENDED)
		return;
	if (__atomic_exchange_n(&vm->want_crash, 0, __ATOMIC_SEQ_CST))
		guest_crashed(vm); /* before a reset that another of its CPUs may want */
	if (vm->state == VM_ENDED)
		return; /* --on-crash=poweroff: an ended VM does not reset */
	if (__atomic_load_n(&vm->want_test_exit, __ATOMIC_SEQ_CST))
		end_vm(vm, VM_END_TEST_EXIT, vm->test_exit_code);
	else if (__atomic_load_n(&vm->want_error, __ATOMIC_SEQ_CST))
		end_vm(vm, VM_END_ERROR, 1);
	else if (__atomic_load_n(&vm->want_poweroff, __ATOMIC_SEQ_CST))
		end_vm(vm, VM_END_POWEROFF, 0);
	else if (reset && vm->state != VM_RESETTING)
		begin_reset(vm);
}

/* ---- what the machine calls up; vCPU threads ---- */

static void note_request(struct vm *vm, int *what)
{
	__atomic_store_n(what, 1, __ATOMIC_SEQ_CST);
	machine_hold(&vm->machine); /* the caller's vCPU executes no further instruction */
	kvmb_loop_post(vm->loop, &vm->event_work);
}

static void on_request(void *arg, enum machine_request what)
{
	struct vm *vm = arg;

	switch (what) {
	case MACHINE_RESET:
		note_request(vm, &vm->want_reset);
		break;
	case MACHINE_POWEROFF:
		note_request(vm, &vm->want_poweroff);
		break;
	case MACHINE_ERROR:
		note_request(vm, &vm->want_error);
		break;
	case MACHINE_CRASH:
		if (vm->cfg.on_crash !=
		    ON_CRASH_RESET) /* else the guest goes on, and resets if it wants */
			note_request(vm, &vm->want_crash);
		break;
	}
}

static void on_exit_asked(void *arg, int code)
{
	struct vm *vm = arg;

	vm->test_exit_code = code;
	note_request(vm, &vm->want_test_exit);
}

static u16 on_post(void *arg, u32 conn, u32 type, const void *payload, u32 len)
{
	struct vm *vm = arg;

	return kvmb_bus_post(vm->bus, conn, type, payload, len);
}

static void on_acked(void *arg)
{
	struct vm *vm = arg;

	kvmb_bus_message_acked(vm->bus);
}

const struct machine_ops vm_machine_ops = {
	.request = on_request,
	.exit = on_exit_asked,
	.post = on_post,
	.acked = on_acked,
};

/* ---- beginning ---- */

void vm_init(struct vm *vm, const struct vm_config *cfg, struct kvmb_loop *loop,
	     const struct vm_listener *l)
{
	vm->cfg = *cfg;
	vm->loop = loop;
	vm->listener = l;
	vm->no_reboot = cfg->no_reboot;
	kvmb_work_init(&vm->event_work, serve_requests, vm);
}

void vm_restored(struct vm *vm, bool paused)
{
	vm->begins_paused = paused;
}

/* As after a pause: its clock stands, as it was loaded, and vm_resume() sets it going. */
static void begin_paused(struct vm *vm)
{
	set_vm_state(vm, VM_PAUSED);
	tell_that_it_stands(vm, true);
}

static void go_on_loaded(struct vm *vm)
{
	kvmb_bus_resume(vm->bus);
	if (vm->begins_paused) {
		begin_paused(vm);
	} else {
		machine_start_clock(&vm->machine);
		tell_that_it_stands(vm, false); /* it was saved as paused */
		machine_go(&vm->machine);
	}
	vm->listener->restored(vm);
}

static void bus_is_empty(void *arg)
{
	kvmb_loop_stop(arg);
}

/* Channels that were loaded are open, and their threads run: the bus can only end without them. */
static void forget_loaded(struct vm *vm)
{
	kvmb_bus_reset(vm->bus, bus_is_empty, vm->loop);
	kvmb_loop_run(vm->loop);
}

static int start_machine(struct vm *vm, const struct vm_loader *from)
{
	int err = machine_start(&vm->machine);
	char why[96];

	if (err && from) {
		snprintf(why, sizeof(why), "its vCPUs cannot be started: %s", strerror(-err));
		from->abort(vm, why);
	}
	return err;
}

int vm_start(struct vm *vm, const struct vm_loader *from)
{
	int err = from ? from->load(vm) : machine_reset(&vm->machine);

	if (!err)
		err = start_machine(vm, from);
	if (!err && from)
		err = from->commit(vm);
	if (!err) {
		vm->listener->starting(vm);
		vm->started_ms = kvmb_now_ms();
	}
	if (err && from && !from->shares)
		forget_loaded(vm);
	if (err)
		return err;
	/* from here on the guest may have us do things */
	kvmb_thread_enter(KVMB_THREAD_MAIN, NULL);
	set_vm_state(vm, VM_RUNNING);
	if (from)
		go_on_loaded(vm);
	else
		machine_go(&vm->machine);
	return 0;
}
