/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A helper program that an event loop looks after: whether it is ready, whether it lives, what it said last.
 *
 * DOC: Theory of operation
 *
 * Nothing here waits, but for the two functions that say so. A program's end is seen by its pidfd; one that
 * is told to end has KVMB_CHILD_GRACE_MS before it is killed, by a timer. Its standard error is a pipe of
 * ours, read line by line, so that it is never full: a line of nothing but digits is its process id and says
 * that it is ready (a program's --pid FILE with the file KVMB_CHILD_PID_FILE does that), others are kept
 * until the next, as the reason if it ends.
 */
#ifndef KVMB_CHILD_H
#define KVMB_CHILD_H

#include "lib/loop.h"

#include <stddef.h>
#include <sys/types.h>

#define KVMB_CHILD_GRACE_MS 500u
#define KVMB_CHILD_PID_FILE "/proc/self/fd/2"

enum kvmb_child_state {
	KVMB_CHILD_NONE,     /* start() -> STARTING */
	KVMB_CHILD_STARTING, /* says that it is ready -> READY; ends -> NONE; too late or end() -> ENDING */
	KVMB_CHILD_READY,    /* ends -> NONE; end() -> ENDING */
	KVMB_CHILD_ENDING,   /* told to end, then killed; ends -> NONE. One stuck in the kernel stays here */
};

enum kvmb_child_news {
	KVMB_CHILD_IS_READY,
	KVMB_CHILD_FAILED, /* it ended before it was ready, or was not in time: then it is ENDING, and ENDED follows */
	KVMB_CHILD_ENDED,
};

struct kvmb_child { /* embed it; loop thread only */
	enum kvmb_child_state state;
	pid_t pid;
	int pidfd, err_fd; /* -1 = none */
	int status;	   /* of wait(), once it has ended */
	struct kvmb_loop *loop;
	struct kvmb_watch *pid_watch, *err_watch;
	struct kvmb_timer timer; /* STARTING: until it must be ready; ENDING: until it is killed */
	const char *noise;	 /* lines that begin so say nothing; NULL = none */
	char line[256];		 /* line[line_len]: one that is not whole yet */
	size_t line_len;
	char words[256];	 /* its last line, printable ASCII; "" = it said nothing */
	void (*news)(void *arg, enum kvmb_child_news news);
	void *arg;
};

/**
 * kvmb_child_init() - No program yet
 * @news: called on the loop's thread when something happens; may end with kvmb_child_fini()
 */
void kvmb_child_init(struct kvmb_child *c, struct kvmb_loop *loop,
		     void (*news)(void *arg, enum kvmb_child_news news), void *arg);

/**
 * kvmb_child_start() - Start a program, in state NONE
 * @argv:     as for kvmb_spawn(), which says more
 * @keep:     keep[num], descriptors that it gets
 * @ready_ms: when it must be ready
 * Return: 0 or -errno.
 */
int kvmb_child_start(struct kvmb_child *c, const char *const *argv, const int *keep, int num,
		     unsigned int ready_ms);

/** kvmb_child_end() - Tell it to end; ENDED comes later. Nothing in states NONE and ENDING. */
void kvmb_child_end(struct kvmb_child *c);

/**
 * kvmb_child_wait_ready() - Before the loop runs: wait until it has left STARTING
 * No news is told. Return: 0, or -ECHILD: it ended, or -ETIMEDOUT.
 */
int kvmb_child_wait_ready(struct kvmb_child *c);

/**
 * kvmb_child_fini() - Have it ended, waiting for that up to twice KVMB_CHILD_GRACE_MS
 * One that is stuck in the kernel is left behind, killed.
 */
void kvmb_child_fini(struct kvmb_child *c);

/** kvmb_child_why() - One phrase about how it ended or why it is not ready. @name: of the program. */
void kvmb_child_why(const struct kvmb_child *c, const char *name, char *why, size_t size);

#endif
