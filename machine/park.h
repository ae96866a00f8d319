/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How threads in KVM_RUN are made to stand, and to go on.
 *
 * DOC: Theory of operation
 *
 * A thread asks park_here() between two steps and stands in it while it must. A step may leave something open
 * that only the next one would finish; what the thread gives as settle() finishes it first, so that the state of
 * one that stands is whole.
 *
 * Whoever stops them waits until all stand; whoever lets them go does not wait: a thread that has not woken
 * yet when the next stop comes still stands, and is counted as one that does. (Waiting for all to
 * have left would be for ever when the first of them stops the machine again at once.)
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

/** park_init() - Nobody stands, and everybody may go. */
void park_init(struct park *p);
void park_fini(struct park *p);

/** park_ask() - Threads stand from their next park_here() on; does not wait. Any thread, one that parks too. */
void park_ask(struct park *p);

/**
 * park_all() - Make all threads stand
 * @num:  how many there are
 * @kick: makes them come to park_here(); called with the lock held, again until all stand
 *
 * Return: when @num threads stand. Context: a thread that does not park itself.
 */
void park_all(struct park *p, uint32_t num, void (*kick)(void *arg), void *arg);

/** park_go() - Let them go on. Context: the thread that called park_all(). */
void park_go(struct park *p);

/** park_quit() - Every park_here() returns false from now on. */
void park_quit(struct park *p);

/**
 * park_here() - Stand while it is so wanted
 * @settle: finishes what the last step left open; called without the lock, before the thread counts as one
 *          that stands; NULL: nothing ever is open
 *
 * Return: false when the thread should end.
 */
bool park_here(struct park *p, void (*settle)(void *arg), void *arg);

#endif
