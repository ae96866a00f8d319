/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How threads in KVM_RUN are made to stand, and to go on.
 *
 * DOC: Theory of operation
 *
 * A thread calls park_here() between two steps, and stands in there while it has to. A step may
 * leave something unfinished that only the next step would complete; then the thread's settle()
 * completes it first, so that the state of a standing thread is whole.
 *
 * Stopping the threads waits until all stand. Letting them go does not wait: a thread that has not
 * woken up when the next stop comes still stands, and is counted as standing. Waiting until all
 * have left could take forever, because the first of them may stop the machine again at once.
 */
#ifndef KVMB_PARK_H
#define KVMB_PARK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct park {
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t cond;
	uint32_t parked;      /* threads that stand in park_here() */
	bool stop, quit;
};

/** park_init() - Prepare: no thread stands, and threads may run. */
void park_init(struct park *p);

/** park_fini() - Undo park_init(); no thread uses @p any more. */
void park_fini(struct park *p);

/** park_ask() - Let threads stand at their next park_here(); does not wait. Any thread. */
void park_ask(struct park *p);

/**
 * park_all() - Make all threads stand, and wait until they do
 * @p:    of the machine
 * @num:  threads
 * @kick: makes them come to park_here(); called with the lock held, repeatedly until all stand
 * @arg:  of @kick
 *
 * Context: a thread that does not park itself.
 */
void park_all(struct park *p, uint32_t num, void (*kick)(void *arg), void *arg);

/** park_try() - As park_all(), but kick once and do not wait. Return: true: all stand. */
bool park_try(struct park *p, uint32_t num, void (*kick)(void *arg), void *arg);

/** park_go() - Let them go on. Context: the thread that called park_all(). */
void park_go(struct park *p);

/**
 * park_rest() - Do nothing for a while, unless a stop is wanted or the thread should end
 * @p:  of the machine
 * @ms: milliseconds
 *
 * Context: between two steps, as park_here().
 */
void park_rest(struct park *p, uint32_t ms);

/** park_quit() - Every park_here() returns false from now on. */
void park_quit(struct park *p);

/**
 * park_here() - Stand while a stop is wanted
 * @p:      of the machine
 * @settle: completes what the last step left unfinished; called without the lock, before the thread
 *          counts as standing. NULL = nothing is ever unfinished
 * @arg:    of @settle
 *
 * Return: false when the thread should end.
 */
bool park_here(struct park *p, void (*settle)(void *arg), void *arg);

#endif
