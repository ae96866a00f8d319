/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What should not take long, and does: the log then says where every thread stands.
 *
 * DOC: Theory of operation
 *
 * A reset waits for vCPUs and for devices, and the end of a VM for everything that was ever begun. Each of
 * these waits has a cause that goes away by itself, and when one does not, nothing in the process could say
 * so: the main thread is the one that waits. So a thread of its own looks at the clock. It knows the step that
 * the main thread is in, and the rest the kernel knows: what each thread sleeps in. Nothing is ended or
 * repaired, because what hangs may be the one write that must not be lost.
 */
#ifndef KVMB_OVERDUE_H
#define KVMB_OVERDUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct overdue { /* embed it, zeroed */
	pthread_mutex_t lock; /* guards the rest, while there is a thread */
	pthread_cond_t cond;
	pthread_t thread;
	bool running;	      /* there is one; main thread */
	bool done;
	const char *who;      /* of log lines */
	const char *what, *step;
	uint32_t limit_ms;
	uint64_t begun_ms, report_ms; /* monotonic; when to speak next */
};

/**
 * overdue_begin() - From here on the clock runs
 * @who:      log prefix
 * @what:     is late: "the reset"; static text
 * @limit_ms: so much is not late; it is said then, and again after six times as long
 *
 * Begins afresh when something else is under way. Without a thread nothing is watched. Context: main thread.
 */
void overdue_begin(struct overdue *o, const char *who, const char *what, uint32_t limit_ms);

/** overdue_step() - What is waited for now; static text. Main thread. */
void overdue_step(struct overdue *o, const char *step);

/** overdue_end() - It is done; fine when nothing was begun. Main thread. */
void overdue_end(struct overdue *o);

#endif
