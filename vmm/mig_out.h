/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving a VM to another process or host: the source's side of vmm/mig_stream.h.
 *
 * DOC: Theory of operation
 *
 * A thread sends memory while the VM runs: first every page that was ever touched, then, round by
 * round, those that were written since (machine/mem_log.h). When what is left can be sent within
 * the wanted downtime, the main thread stops vCPUs and bus, and a second thread sends the last
 * pages and the sections, and sees that the disks are flushed. When the target has loaded all of
 * it, the main thread gives up the disks' locks, and a third thread says GO and hears whether the
 * VM runs there.
 *
 * LIVE -> STOPPING -> LAST -> DECIDING -> the VM ends here, or goes on. Up to LAST the client's
 * end, a cancellation, and any failure lead back to a VM that goes on.
 *
 * With mig_out_wish.later the VM may stop after one round already. Then the rest of its memory goes
 * on from here when it runs there: SERVING in place of its end. vCPUs and bus stand for good, so
 * that memory does not change, and an end that is asked for waits (vm_hold()) until the thread that
 * sends has been stopped. The client may go. When the link breaks, it is BROKEN: nothing is lost as
 * long as this process lives, and mig_out_mend() goes on over another link.
 *
 * When nothing is heard after GO, it is ASKING for the locks for up to a minute. When nobody can
 * tell who has the VM, or somebody else has its disks, it stays UNDECIDED: vCPUs
 * and bus stand, because a provider that goes on would write to disks without their locks. The
 * administrator knows more: `kvmbus resume` takes the locks and has it go on, `kvmbus kill` ends
 * it. With memory that comes later it may be what a VM elsewhere waits for: mig_out_mend() asks.
 */
#ifndef KVMB_MIG_OUT_H
#define KVMB_MIG_OUT_H

#include "vmm/reply.h"
#include "vmm/vm.h"

struct mig_out_wish {
	u32 downtime_ms;    /* that the guest may stand */
	u32 timeout_s;	    /* give up when it does not get that far; 0 = never */
	u64 bandwidth;	    /* bytes a second while the guest runs; 0 = no limit */
	bool copy_storage;  /* the content of disks goes along: mig_disks.h */
	bool auto_converge; /* slow the guest down when that helps */
	bool later;	    /* move after one round, and send the rest when it runs there */
};

/**
 * mig_out_begin() - Move the VM, and end it here when it runs there
 * @vm:    running or paused
 * @peer:  stream socket to a target that is READY; taken over
 * @pipe:  reading end of the client's pipe; taken over. Its end: give up
 * @wish:  copied
 * @reply: when it is decided
 *
 * Context: main thread. Trust: the target is hostile.
 */
void mig_out_begin(struct vm *vm, int peer, int pipe, const struct mig_out_wish *wish,
		   struct ctl_reply reply);

/** mig_out_is_live() - Is its memory sent while it runs? It can be paused, resumed and stopped. */
bool mig_out_is_live(const struct vm *vm);

/** mig_out_is_undecided() - Does it stand until mig_out_resume(), or its end? */
bool mig_out_is_undecided(const struct vm *vm);

/**
 * mig_out_resume() - The administrator says that an undecided VM is here
 * @why: why[size], on failure one phrase
 *
 * Return: 0: it goes on; -ESTALE: its disks were written meanwhile, so that it never can; -EBUSY:
 * somebody else has a disk; -errno. Context: main thread.
 */
int mig_out_resume(struct vm *vm, char *why, size_t size);

/**
 * mig_out_serves() - Bytes that only this process has, and that a VM needs which runs elsewhere
 *
 * One of which nobody knows so far, or ever, whether it has moved may run there.
 *
 * Return: 0: there is none; a page at least as long as it has not said that all is there.
 */
u64 mig_out_serves(const struct vm *vm);

/** mig_out_runs_there() - Is it known to run elsewhere, and to need this process? */
bool mig_out_runs_there(const struct vm *vm);

/**
 * mig_out_mend() - Go on sending to where the VM runs
 * @peer: stream socket to there; taken over
 * @pipe: taken over
 * @reply: when all of it was sent, or the link has broken again
 *
 * Context: main thread. Trust: who is there may be a stranger.
 */
void mig_out_mend(struct vm *vm, int peer, int pipe, struct ctl_reply reply);

/** mig_out_info() - How far it is. Return: a new reference; JSON null: it is not being moved. */
json_t *mig_out_info(const struct vm *vm);

/** mig_out_cancel() - Give up a migration, if there is one and it is not decided. Main thread. */
void mig_out_cancel(struct vm *vm);

/** mig_out_destroy() - The VM ends: give up what is not decided. Main thread. */
void mig_out_destroy(struct vm *vm);

#endif
