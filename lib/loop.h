/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event loop: file descriptors, timers and work posted from other threads.
 *
 * One thread runs a loop; everything registered is called on that thread. Nothing has it for itself:
 * work that posts itself again runs after descriptors and timers that are due. Only
 * kvmb_loop_post() and kvmb_loop_stop() may be called from elsewhere.
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

/** kvmb_loop_destroy() - Frees @l; NULL is fine. Nothing registered may be used after. */
void kvmb_loop_destroy(struct kvmb_loop *l);

/**
 * kvmb_loop_run() - Serve until kvmb_loop_stop()
 * Return: 0, or -errno when epoll fails.
 */
int kvmb_loop_run(struct kvmb_loop *l);

/**
 * kvmb_loop_once() - Serve what is ready
 * @timeout_ms: longest wait; 0 = do not wait, -1 = until something happens
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

/** kvmb_loop_del() - Forget a watch; NULL is fine. Not called again after return. */
void kvmb_loop_del(struct kvmb_watch *w);

void kvmb_work_init(struct kvmb_work *w, void (*fn)(void *arg), void *arg);

/** kvmb_loop_post() - Run @w on the loop's thread, once, soon. Any thread. */
void kvmb_loop_post(struct kvmb_loop *l, struct kvmb_work *w);

/** kvmb_loop_unpost() - Take @w back if it has not run. Loop thread, or loop stopped. */
void kvmb_loop_unpost(struct kvmb_loop *l, struct kvmb_work *w);

void kvmb_timer_init(struct kvmb_timer *t, struct kvmb_loop *l, void (*fn)(void *arg), void *arg);

/** kvmb_timer_set() - Fire once in @ms milliseconds, replacing an earlier setting. */
void kvmb_timer_set(struct kvmb_timer *t, uint64_t ms);

/** kvmb_timer_cancel() - Not called after return. */
void kvmb_timer_cancel(struct kvmb_timer *t);

/** kvmb_now_ms() - CLOCK_MONOTONIC in milliseconds. */
uint64_t kvmb_now_ms(void);

#endif
