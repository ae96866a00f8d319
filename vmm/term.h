/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What SIGTERM, SIGINT and SIGHUP do to a running VM.
 *
 * DOC: Theory of operation
 *
 * The first signal asks the guest to shut down, as `kvmbus stop` does, and starts a time limit. A
 * second signal, or the limit, kills the VM. The first signal kills it at once if no guest can be
 * asked (no shutdown service, paused, being reset) or with --on-term=kill. If the VM does not end
 * after that, another signal ends the process.
 *
 * A VM that is being saved or moved cannot be asked. So that is given up first, unless it is too
 * late for that: then the VM ends here anyway.
 *
 * SIGHUP only ever asks, because a closing terminal may send it twice, once from the kernel and
 * once from the shell.
 *
 * If the guest reboots instead of powering off, it is not started again.
 */
#ifndef KVMB_TERM_H
#define KVMB_TERM_H

#include <stdbool.h>

#include "lib/loop.h"
#include "vmbus-core/env.h"

struct vm;

/*
 * QUIET: no signal so far. Operations: the first signal -> WAITING, ASKED or KILLED.
 * WAITING: a save or migration is being given up, and a timer looks whether it has been.
 *   Operations: it has -> ASKED or KILLED; another signal, or the time that the guest would have
 *   -> KILLED; the VM may end in this state.
 * ASKED: the time limit runs, and a reset ends the VM (vm->no_reboot). Operations: another
 *   signal, or the limit -> KILLED; when the guest powers off, the VM ends in this state.
 * KILLED: vm_kill() was called, or the VM was ending already. This is final.
 */
enum term_state { TERM_QUIET, TERM_WAITING, TERM_ASKED, TERM_KILLED, TERM_NUM_STATES };

struct term { /* main thread */
	struct vm *vm;
	enum term_state state; /* set_term_state() in term.c */
	int sig;	       /* the first one, for messages */
	struct kvmb_timer limit;
	u64 until_ms; /* WAITING: no longer */
};

/** term_create() - Start in QUIET. Return: never NULL. Context: main thread. */
struct term *term_create(struct vm *vm);

/** term_destroy() - Cancel the limit and free @t. Context: main thread. */
void term_destroy(struct term *t);

/**
 * term_signal() - Serve a signal
 * @t:   of the VM
 * @sig: SIGTERM, SIGINT or SIGHUP
 *
 * Return: false when the VM should have ended already: the process may end at once. Context: main
 * thread.
 */
bool term_signal(struct term *t, int sig);

/** term_refused() - The guest refuses to shut down, with KVMB_IC_STATUS_* @status. Main thread. */
void term_refused(struct term *t, u32 status);

#endif
