/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event loop: file descriptors, timers and work posted from other threads.
 *
 * One thread runs a loop and calls everything that is registered with it. Nothing can monopolise
 * the thread: work that posts itself again runs after the descriptors and timers that are due.
 * Only kvmb_loop_post() and kvmb_loop_stop() may be called from other threads.
 */
#ifndef KVMB_LOOP_H
#define KVMB_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct kvmb_loop;
struct kvmb_watch;

struct kvmb_work { /* embed it; owned by its owner, linked while queued */
	void (*fn)(void *arg);
	void *arg;
	struct kvmb_work *next; /* under the loop's lock */
	bool queued;		/* under the loop's lock */
};

struct kvmb_timer { /* embed it */
	struct kvmb_loop *loop;
	void (*fn)(void *arg);
	void *arg;
	uint64_t due_ms; /* monotonic; 0 = not armed */
	struct kvmb_timer *next;
};

/** kvmb_loop_create() - Return: a loop; NULL when the system has no epoll or eventfd left. */
struct kvmb_loop *kvmb_loop_create(void);

/** kvmb_loop_destroy() - Free @l; NULL is fine. Nothing registered may be used any more. */
void kvmb_loop_destroy(struct kvmb_loop *l);

/**
 * kvmb_loop_run() - Serve until kvmb_loop_stop()
 * Return: 0, or -errno when epoll fails.
 */
int kvmb_loop_run(struct kvmb_loop *l);

/**
 * kvmb_loop_once() - Serve what is ready
 * @timeout_ms: longest wait; 0 = do not wait, -1 = until something happens
 *
 * Return: 0, or -errno when epoll fails.
 */
int kvmb_loop_once(struct kvmb_loop *l, int timeout_ms);

/** kvmb_loop_stop() - Make kvmb_loop_run() return. Any thread. */
void kvmb_loop_stop(struct kvmb_loop *l);

/**
 * kvmb_loop_add() - Watch a file descriptor
 * @fd:     borrowed until kvmb_loop_del()
 * @events: EPOLLIN, EPOLLOUT, ...
 * @fn:     called with the events that came; may delete its own watch
 *
 * Return: the watch; NULL when epoll refuses @fd.
 */
struct kvmb_watch *kvmb_loop_add(struct kvmb_loop *l, int fd, uint32_t events,
				 void (*fn)(void *arg, uint32_t events), void *arg);

/** kvmb_loop_mod() - Change the events of a watch. */
void kvmb_loop_mod(struct kvmb_watch *w, uint32_t events);

/** kvmb_loop_del() - Remove a watch; NULL is fine. Its function is not called after return. */
void kvmb_loop_del(struct kvmb_watch *w);

/**
 * kvmb_work_init() - Prepare @w for kvmb_loop_post()
 * @w:   embedded in its owner, not queued
 * @fn:  called on the loop's thread
 * @arg: of @fn
 */
void kvmb_work_init(struct kvmb_work *w, void (*fn)(void *arg), void *arg);

/** kvmb_loop_post() - Run @w on the loop's thread, once, soon. Any thread. */
void kvmb_loop_post(struct kvmb_loop *l, struct kvmb_work *w);

/** kvmb_loop_unpost() - Cancel @w if it has not run yet. Loop thread, or loop stopped. */
void kvmb_loop_unpost(struct kvmb_loop *l, struct kvmb_work *w);

/**
 * kvmb_timer_init() - Prepare a timer, not armed
 * @t:   embedded in its owner
 * @l:   the loop that fires it
 * @fn:  called on the loop's thread; may arm the timer again
 * @arg: of @fn
 */
void kvmb_timer_init(struct kvmb_timer *t, struct kvmb_loop *l, void (*fn)(void *arg), void *arg);

/** kvmb_timer_set() - Fire once in @ms milliseconds; replaces an earlier setting. Loop thread. */
void kvmb_timer_set(struct kvmb_timer *t, uint64_t ms);

/** kvmb_timer_cancel() - Disarm; the function is not called after return. Loop thread. */
void kvmb_timer_cancel(struct kvmb_timer *t);

/** kvmb_now_ms() - CLOCK_MONOTONIC in milliseconds. */
uint64_t kvmb_now_ms(void);

#endif
