/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals while the loop does not run.
 *
 * DOC: Theory of operation
 *
 * A VM is built and taken apart by plain calls that may wait: for a file on a server that is gone,
 * for a storage daemon. The signals that end a VM are blocked in all threads and come through a
 * descriptor, which nobody reads meanwhile. The guard is a thread that does: a signal then ends the
 * process at once. There is nothing to ask: either no guest has run yet, or it has ended.
 *
 * It also says what the threads of a VM that does not end are waiting for.
 */
#ifndef KVMB_GUARD_H
#define KVMB_GUARD_H

#include <pthread.h>

#define GUARD_REPORT_MS 30000 /* an end that takes longer is reported */

struct guard {
	const char *name; /* of the VM */
	int sig_fd;	  /* a signalfd, borrowed */
	int stop_fd;	  /* an eventfd: the thread is to end */
	int report_ms;	  /* -1 = no report */
	pthread_t thread;
};

/**
 * guard_start() - From now on a signal ends the process, with EXIT_KILLED
 * @name:      of the VM
 * @sig_fd:    a signalfd
 * @report_ms: when the threads are reported, -1 = never
 * Return: 0, or -errno.
 */
int guard_start(struct guard *g, const char *name, int sig_fd, int report_ms);

/** guard_stop() - Leave signals to the loop; not after a failed guard_start(). */
void guard_stop(struct guard *g);

/**
 * guard_end_process() - A signal that ends the process on the spot; does not return
 * @sig: for the message
 * Context: any thread.
 */
void guard_end_process(const char *name, int sig) __attribute__((noreturn));

#endif
