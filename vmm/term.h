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
 * QUIET: no signal so far. Operations: the first signal -> ASKED or KILLED.
 * ASKED: the time limit runs, and a reset ends the VM (vm->no_reboot). Operations: another
 *   signal, or the limit -> KILLED; when the guest powers off, the VM ends in this state.
 * KILLED: vm_kill() was called, or the VM was ending already. This is final.
 */
enum term_state { TERM_QUIET, TERM_ASKED, TERM_KILLED, TERM_NUM_STATES };

struct term { /* main thread */
	struct vm *vm;
	enum term_state state; /* set_term_state() in term.c */
	int sig;	       /* the first one, for messages */
	struct kvmb_timer limit;
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
