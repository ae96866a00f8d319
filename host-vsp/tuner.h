/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a channel's worker waits for the guest: measured, not guessed.
 *
 * DOC: Theory of operation
 *
 * There are three ways for a worker that has nothing to do, and which is best depends on the
 * guest's depth of requests and on who else wants the CPUs:
 *
 *  WAKE   sleep; the guest's signal wakes the thread, which usually preempts whoever runs.
 *         Best for one request at a time: on a full host the answer is ready before the
 *         guest's CPU has gone on.
 *  BATCH  the same under SCHED_BATCH, whose wake-ups preempt nobody. On a full host the guest
 *         goes on queueing until it has nothing left to do, and one wake-up then finds all of
 *         it: what interrupt moderation does for a NIC, without a timer.
 *  POLL   look at the ring for up to 50 us before sleeping. The guest sees that we look and
 *         makes no signal. Costs a CPU, so it must win by more, and is never tried with one.
 *
 * The tuner counts requests in windows of 64 and compares the time that they took. Now and
 * then it tries another way for one window and stays with it if that was faster; what did
 * not pay is tried again ever more rarely. A trial of BATCH whose wake-ups find one request
 * each is given up after a few: there is nothing to batch. Slow guests (a request a millisecond or fewer)
 * are left at WAKE. Nothing but the worker's own thread touches a tuner.
 *
 * Source: sched(7) on SCHED_BATCH; Linux 6.1 kernel/sched/fair.c check_preempt_wakeup().
 */
#ifndef KVMB_TUNER_H
#define KVMB_TUNER_H

#include "vmbus-core/env.h"

#define KVMB_POLL_NS 50000u /* longest look before a sleep */

enum kvmb_wait { KVMB_WAIT_WAKE, KVMB_WAIT_BATCH, KVMB_WAIT_POLL, KVMB_WAIT_NUM };

struct kvmb_tuner {
	enum kvmb_wait mode;	 /* the way now */
	enum kvmb_wait best;	 /* the way that was fastest so far */
	u32 num_ways;		 /* KVMB_WAIT_NUM, less without a second CPU or without SCHED_BATCH */
	u32 count;		 /* requests in this window */
	u64 since_ns;		 /* start of this window */
	u64 best_ns;		 /* a request's time with @best, lately */
	u32 wait, backoff;	 /* windows until the next trial; how many it was last time */
	u32 next_trial;		 /* rotates through the ways */
	u32 wakes;		 /* of this trial that found one request each */
	bool trying;
};

void kvmb_tuner_init(struct kvmb_tuner *t);

/**
 * kvmb_tuner_note() - Requests were served
 * @n: how many, since the last call
 *
 * Context: the worker's own thread, whose scheduling class may be changed.
 */
void kvmb_tuner_note(struct kvmb_tuner *t, u32 n);

/** kvmb_mono_ns() - CLOCK_MONOTONIC. */
u64 kvmb_mono_ns(void);

#endif
