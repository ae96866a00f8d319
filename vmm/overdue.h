/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Logs where every thread stands when a reset or the end of a VM takes too long.
 *
 * DOC: Theory of operation
 *
 * A reset waits for vCPUs and devices, and the end of a VM for everything that is under way. The
 * cause of each wait should go away by itself. If it does not, nothing could report that, because
 * the main thread is the one that waits. So another thread watches the clock. It knows which step
 * the main thread is in, and learns from the kernel where each thread sleeps. It ends and repairs
 * nothing, because the operation that hangs may be a write that must not be lost.
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
	bool running;	      /* the thread exists; main thread */
	bool done;
	const char *who;      /* of log lines */
	const char *what, *step;
	uint32_t limit_ms;
	uint64_t begun_ms, report_ms; /* monotonic; time of the next report */
};

/**
 * overdue_begin() - Start watching
 * @o:        zeroed, or from an earlier use
 * @who:      log prefix
 * @what:     what is watched: "the reset"; static text
 * @limit_ms: report after this time, and again after six times as long
 *
 * Replaces an earlier call. If no thread can be made, nothing is watched. Context: main thread.
 */
void overdue_begin(struct overdue *o, const char *who, const char *what, uint32_t limit_ms);

/** overdue_step() - Record what the main thread waits for now; static text. Main thread. */
void overdue_step(struct overdue *o, const char *step);

/** overdue_end() - Stop watching; fine if nothing was started. Main thread. */
void overdue_end(struct overdue *o);

#endif
