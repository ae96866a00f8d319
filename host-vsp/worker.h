/* SPDX-License-Identifier: GPL-2.0-only */
/* A provider's thread for one channel. */
#ifndef KVMB_WORKER_H
#define KVMB_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "lib/thread.h"

struct kvmb_worker { /* embed it; all but stop and kick on one thread */
	pthread_t thread;
	int stop_fd;  /* eventfd: readable when stopped or kicked; valid from init to fini */
	int stopping; /* atomic: set by kvmb_worker_stop() */
	void (*run)(void *arg);
	void *arg;
	enum kvmb_thread_class class;
	char name[16];
	bool started;
};

/** kvmb_worker_init() - Make stop_fd; the worker may be kicked from now on. Return: 0 or -errno. */
int kvmb_worker_init(struct kvmb_worker *w);

/**
 * kvmb_worker_start() - Run @run(@arg) on a thread of its own
 * @class: of the thread
 * @name:  at most 15 characters, shown by ps
 *
 * Signals are blocked in the thread. Return: 0 or -errno.
 */
int kvmb_worker_start(struct kvmb_worker *w, enum kvmb_thread_class class, const char *name,
		      void (*run)(void *arg), void *arg);

/** kvmb_worker_stop() - Set stopping and make stop_fd readable; does not wait. Any thread. */
void kvmb_worker_stop(struct kvmb_worker *w);

/** kvmb_worker_kick() - Wake the worker: stop_fd gets readable. Any thread, from init to fini. */
void kvmb_worker_kick(struct kvmb_worker *w);

/**
 * kvmb_worker_wait() - epoll_wait() with nanoseconds
 * @ev: ev[num]
 * @ns: to wait for; negative = for ever. A kernel before 5.11 makes whole milliseconds of them
 *
 * Return: events; -1 with errno. Context: the worker.
 */
int kvmb_worker_wait(int epoll_fd, struct epoll_event *ev, int num, int64_t ns);

/** kvmb_worker_join() - Wait until run() has returned. The worker may still be kicked. */
void kvmb_worker_join(struct kvmb_worker *w);

/**
 * kvmb_worker_fini() - Close stop_fd
 *
 * Nobody may kick the worker any more: the descriptor's number may soon mean another file.
 */
void kvmb_worker_fini(struct kvmb_worker *w);

#endif
