// SPDX-License-Identifier: GPL-2.0-only
/* Signals that end a VM; theory of operation: term.h. */
#include "vmm/term.h"

#include <signal.h>
#include <string.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/mig_out.h"
#include "vmm/save.h"
#include "vmm/vm.h"

#define LOOK_MS 50u

static const u8 moves[TERM_NUM_STATES] = {
	[TERM_QUIET] = 1 << TERM_WAITING | 1 << TERM_ASKED | 1 << TERM_KILLED,
	[TERM_WAITING] = 1 << TERM_ASKED | 1 << TERM_KILLED,
	[TERM_ASKED] = 1 << TERM_KILLED,
};

static void set_term_state(struct term *t, enum term_state to)
{
	kvmb_assert(moves[t->state] & 1 << to);
	t->state = to;
}

static void kill_vm(struct term *t, int sig, const char *because)
{
	kvmb_timer_cancel(&t->limit);
	set_term_state(t, TERM_KILLED);
	if (t->vm->state == VM_ENDED) {
		kvmb_warn(t->vm->cfg.name,
			  "SIG%s: the VM is ending; again to end the process at once",
			  sigabbrev_np(sig));
		return;
	}
	kvmb_warn(t->vm->cfg.name, "SIG%s: killing the VM: %s", sigabbrev_np(sig), because);
	vm_kill(t->vm);
}

/* NULL: the guest has been asked, by us or by an administrator before us; else why it cannot be. */
static const char *ask_guest(struct vm *vm)
{
	if (vm->cfg.on_term == ON_TERM_KILL)
		return "as --on-term=kill says";
	if (vm->state != VM_RUNNING)
		return "it is not running, so its guest cannot be asked to shut down";
	if (kvmb_shutdown_request(&vm->shutdown, false, vm->cfg.term_timeout_s) == -ENOTCONN)
		return "its guest has no shutdown service";
	return NULL; /* -EAGAIN: an earlier request is unanswered */
}

static void ask_or_kill(struct term *t)
{
	struct vm *vm = t->vm;
	const char *why_not = ask_guest(vm);

	if (why_not) {
		kill_vm(t, t->sig, why_not);
		return;
	}
	set_term_state(t, TERM_ASKED);
	vm->no_reboot = true; /* nor does it start again */
	kvmb_timer_set(&t->limit, (u64)vm->cfg.term_timeout_s * 1000);
	kvmb_warn(vm->cfg.name,
		  "SIG%s: asking the guest to shut down, up to %u s; again to kill it",
		  sigabbrev_np(t->sig), vm->cfg.term_timeout_s);
}

static bool leaves(const struct vm *vm)
{
	return vm->save || vm->migration;
}

/* One that is saved, or runs elsewhere, ends by itself. */
static void look_again(struct term *t)
{
	if (t->vm->state == VM_ENDED)
		return;
	if (!leaves(t->vm))
		ask_or_kill(t);
	else if (kvmb_now_ms() < t->until_ms)
		kvmb_timer_set(&t->limit, LOOK_MS);
	else
		kill_vm(t, t->sig,
			t->vm->save ? "its save could not be given up" :
				      "its migration could not be given up");
}

static void limit_reached(void *arg)
{
	struct term *t = arg;

	if (t->state == TERM_WAITING)
		look_again(t);
	else if (t->vm->state != VM_ENDED)
		kill_vm(t, t->sig, "the guest did not shut down in time");
}

static void first_signal(struct term *t, int sig)
{
	struct vm *vm = t->vm;

	t->sig = sig;
	if (!leaves(vm) || vm->cfg.on_term == ON_TERM_KILL) {
		ask_or_kill(t);
		return;
	}
	kvmb_warn(vm->cfg.name, "SIG%s: giving up %s first; again to kill it", sigabbrev_np(sig),
		  vm->save ? "the save" : "the migration");
	set_term_state(t, TERM_WAITING);
	t->until_ms = kvmb_now_ms() + (u64)vm->cfg.term_timeout_s * 1000;
	save_cancel(vm);
	mig_out_cancel(vm);
	look_again(t);
}

bool term_signal(struct term *t, int sig)
{
	switch (t->state) {
	case TERM_QUIET:
		first_signal(t, sig);
		return true;
	case TERM_WAITING:
	case TERM_ASKED:
		if (sig != SIGHUP)
			kill_vm(t, sig, "the second signal");
		return true;
	default:
		return sig == SIGHUP;
	}
}

void term_refused(struct term *t, u32 status)
{
	if (t->state == TERM_ASKED)
		kvmb_warn(t->vm->cfg.name,
			  "the guest refuses to shut down (status %#x); it is killed at the "
			  "limit, or by another signal",
			  status);
}

struct term *term_create(struct vm *vm)
{
	struct term *t = kvmb_xzalloc(sizeof(*t));

	t->vm = vm;
	t->state = TERM_QUIET;
	kvmb_timer_init(&t->limit, vm->loop, limit_reached, t);
	return t;
}

void term_destroy(struct term *t)
{
	kvmb_timer_cancel(&t->limit);
	free(t);
}
