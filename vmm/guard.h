/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals while the loop does not run.
 *
 * DOC: Theory of operation
 *
 * Building a VM and taking it apart are plain calls that may wait, for a storage daemon or for a
 * disk to be flushed. (While files are opened, signals are not blocked yet: run.c.) The signals
 * that end a VM are blocked in all threads and arrive through a descriptor, which the loop does not
 * read during that time. The guard is a thread that reads it: a signal then ends the process at
 * once. No guest has to be asked, because none has run yet or it has already ended.
 */
#ifndef KVMB_GUARD_H
#define KVMB_GUARD_H

#include <pthread.h>

struct guard {
	const char *name; /* of the VM */
	int sig_fd;	  /* a signalfd, borrowed */
	int stop_fd;	  /* an eventfd that ends the thread */
	pthread_t thread;
};

/**
 * guard_start() - Let a signal end the process from now on, with EXIT_KILLED
 * @g:      uninitialised
 * @name:   of the VM
 * @sig_fd: a signalfd
 *
 * Return: 0 or -errno. Context: main thread.
 */
int guard_start(struct guard *g, const char *name, int sig_fd);

/** guard_stop() - Leave signals to the loop; not after a failed guard_start(). */
void guard_stop(struct guard *g);

/**
 * guard_end_process() - End the process at once because of a signal; does not return
 * @name: of the VM
 * @sig:  for the message
 *
 * Context: any thread.
 */
void guard_end_process(const char *name, int sig) __attribute__((noreturn));

/** guard_leave() - End the process at once; @why is logged. Any thread; does not return. */
void guard_leave(const char *name, const char *why) __attribute__((noreturn));

#endif
