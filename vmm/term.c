// SPDX-License-Identifier: GPL-2.0-only
/* Signals that end a VM; theory of operation: term.h. */
#include "vmm/term.h"

#include <signal.h>
#include <string.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/vm.h"

static const u8 moves[TERM_NUM_STATES] = {
	[TERM_QUIET] = 1 << TERM_ASKED | 1 << TERM_KILLED,
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

static void limit_reached(void *arg)
{
	struct term *t = arg;

	if (t->vm->state != VM_ENDED)
		kill_vm(t, t->sig, "the guest did not shut down in time");
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

static void first_signal(struct term *t, int sig)
{
	struct vm *vm = t->vm;
	const char *why_not = ask_guest(vm);

	t->sig = sig;
	if (why_not) {
		kill_vm(t, sig, why_not);
		return;
	}
	set_term_state(t, TERM_ASKED);
	vm->no_reboot = true; /* nor does it start again */
	kvmb_timer_set(&t->limit, (u64)vm->cfg.term_timeout_s * 1000);
	kvmb_warn(vm->cfg.name,
		  "SIG%s: asking the guest to shut down, up to %u s; again to kill it",
		  sigabbrev_np(sig), vm->cfg.term_timeout_s);
}

bool term_signal(struct term *t, int sig)
{
	switch (t->state) {
	case TERM_QUIET:
		first_signal(t, sig);
		return true;
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
