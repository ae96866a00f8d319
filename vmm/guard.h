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
 */
#ifndef KVMB_GUARD_H
#define KVMB_GUARD_H

#include <pthread.h>

struct guard {
	const char *name; /* of the VM */
	int sig_fd;	  /* a signalfd, borrowed */
	int stop_fd;	  /* an eventfd: the thread is to end */
	pthread_t thread;
};

/**
 * guard_start() - From now on a signal ends the process, with EXIT_KILLED
 * @name:   of the VM
 * @sig_fd: a signalfd
 * Return: 0, or -errno.
 */
int guard_start(struct guard *g, const char *name, int sig_fd);

/** guard_stop() - Leave signals to the loop; not after a failed guard_start(). */
void guard_stop(struct guard *g);

/**
 * guard_end_process() - A signal that ends the process on the spot; does not return
 * @sig: for the message
 * Context: any thread.
 */
void guard_end_process(const char *name, int sig) __attribute__((noreturn));

#endif
