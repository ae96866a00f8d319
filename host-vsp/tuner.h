/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a channel's worker waits for the guest: by measurement.
 *
 * DOC: Theory of operation
 *
 * A worker that has nothing to do can wait in three ways. Which one is best depends on how many
 * requests the guest keeps in flight, and on who else wants the CPUs:
 *
 *  WAKE   Sleep. The guest's signal wakes the thread, which usually preempts whatever runs.
 *         Best for one request at a time: on a busy host the answer is ready before the guest's
 *         CPU continues.
 *  BATCH  The same under SCHED_BATCH, whose wake-ups preempt nothing. On a busy host the guest
 *         keeps queueing until it has nothing left to do, and one wake-up then finds all
 *         requests. This is interrupt moderation without a timer.
 *  POLL   Look at the ring for up to 50 us before sleeping. The guest sees that we look and
 *         does not signal. This costs a CPU, so it must win by a larger margin, and it is never
 *         tried on a host with one CPU.
 *
 * The tuner counts requests in windows of 64 and compares how long the windows took. From time
 * to time it tries another way for one window, and keeps it if that was faster. The longer a way
 * does not pay, the more rarely it is tried. A trial of BATCH ends early if each wake-up finds
 * one request only. Guests with at most one request per millisecond stay at WAKE.
 *
 * Only the worker's own thread touches a tuner.
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
	/* KVMB_WAIT_NUM, less without a second CPU or without SCHED_BATCH */
	u32 num_ways;
	u32 count;		 /* requests in this window */
	u64 since_ns;		 /* start of this window */
	u64 best_ns;		 /* recent time per request with @best */
	u32 wait, backoff;	 /* windows until the next trial; how many there were last time */
	u32 next_trial;		 /* rotates through the ways */
	u32 wakes;		 /* wake-ups of this trial that found one request only */
	bool trying;
};

/** kvmb_tuner_init() - Start at WAKE. Context: the worker's own thread. */
void kvmb_tuner_init(struct kvmb_tuner *t);

/**
 * kvmb_tuner_note() - Count requests that were served
 * @t: the worker's tuner
 * @n: how many since the last call
 *
 * Context: the worker's own thread, whose scheduling class may be changed.
 */
void kvmb_tuner_note(struct kvmb_tuner *t, u32 n);

/** kvmb_mono_ns() - CLOCK_MONOTONIC. */
u64 kvmb_mono_ns(void);

#endif
