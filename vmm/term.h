/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What SIGTERM, SIGINT and SIGHUP do to a running VM.
 *
 * DOC: Theory of operation
 *
 * The first signal asks the guest to shut down, as `kvmbus stop` does, and gives it a limit. A
 * second one, or the limit, kills the VM, and so does the first when there is nobody to ask: no
 * shutdown service in the guest, a VM that is paused or being reset, or --on-term=kill. A third
 * one, when the VM is to end but does not, ends the process.
 *
 * SIGHUP only ever asks: a terminal that closes may send it twice, once by the kernel and once by
 * the shell.
 *
 * A guest that reboots instead of powering off is done as well: it is not started again.
 */
#ifndef KVMB_TERM_H
#define KVMB_TERM_H

#include <stdbool.h>

#include "lib/loop.h"
#include "vmbus-core/env.h"

struct vm;

/*
 * QUIET: no signal so far; the first moves on to ASKED or KILLED. ASKED: the guest has its limit
 * (the timer runs); a reset ends the VM (vm->no_reboot). A signal or the limit moves on to KILLED, the guest's
 * power-off ends the VM in this state. KILLED: vm_kill() was called, or the VM was ending
 * already; for good.
 */
enum term_state { TERM_QUIET, TERM_ASKED, TERM_KILLED, TERM_NUM_STATES };

struct term { /* main thread */
	struct vm *vm;
	enum term_state state; /* set_state() in term.c */
	int sig;	       /* the first one, for messages */
	struct kvmb_timer limit;
};

/** term_create() - No signal so far. Never NULL. Context: main thread. */
struct term *term_create(struct vm *vm);

/** term_destroy() - The limit does not fire any more. Context: main thread. */
void term_destroy(struct term *t);

/**
 * term_signal() - A signal asks for the VM's end
 * @sig: SIGTERM, SIGINT or SIGHUP
 * Return: false when the VM was to end already and the process may end without further ado.
 */
bool term_signal(struct term *t, int sig);

/** term_refused() - The guest answered that it does not shut down; @status: KVMB_IC_STATUS_* */
void term_refused(struct term *t, u32 status);

#endif
