/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A helper program supervised by an event loop: is it ready, is it alive, what did it say last?
 *
 * DOC: Theory of operation
 *
 * Only two functions wait, and they say so. A pidfd reports the program's end. A program that is
 * asked to end is killed by a timer KVMB_CHILD_GRACE_MS later. Its standard error is our pipe,
 * which we read line by line so that it never fills up. A line of digits only is its process id
 * and means that it is ready; a program with an option "--pid FILE" prints that line when FILE is
 * KVMB_CHILD_PID_FILE. The last other line is kept: it is the reason if the program ends.
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
	KVMB_CHILD_STARTING, /* reports ready -> READY; ends -> NONE; too late or end() -> ENDING */
	KVMB_CHILD_READY,    /* ends -> NONE; end() -> ENDING */
	KVMB_CHILD_ENDING,   /* asked to end, then killed; ends -> NONE unless stuck */
};

enum kvmb_child_news {
	KVMB_CHILD_IS_READY,
	/* it ended before it was ready; or was not ready in time: now ENDING, and ENDED follows */
	KVMB_CHILD_FAILED,
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
	const char *noise;	 /* ignore lines that begin like this; NULL = none */
	char line[256];		 /* line[line_len]: not complete yet */
	size_t line_len;
	char words[256];	 /* its last line, printable ASCII; "" = it said nothing */
	void (*news)(void *arg, enum kvmb_child_news news);
	void *arg;
};

/**
 * kvmb_child_init() - Prepare, in state NONE: no program yet
 * @c:    zeroed or garbage
 * @loop: the loop that supervises it
 * @news: called on the loop's thread when something happens; may call kvmb_child_fini() last
 * @arg:  of @news
 */
void kvmb_child_init(struct kvmb_child *c, struct kvmb_loop *loop,
		     void (*news)(void *arg, enum kvmb_child_news news), void *arg);

/**
 * kvmb_child_start() - Start a program; the state is NONE
 * @c:        NONE before, STARTING after
 * @argv:     as for kvmb_spawn()
 * @keep:     keep[num], descriptors that it inherits
 * @num:      how many
 * @ready_ms: milliseconds that it has to get ready
 *
 * Return: 0, or -errno when no process or pipe could be made. Context: loop thread.
 */
int kvmb_child_start(struct kvmb_child *c, const char *const *argv, const int *keep, int num,
		     unsigned int ready_ms);

/** kvmb_child_end() - Ask it to end; ENDED comes later. Does nothing in states NONE and ENDING. */
void kvmb_child_end(struct kvmb_child *c);

/**
 * kvmb_child_wait_ready() - Wait until it has left STARTING, without calling news()
 *
 * Return: 0; -ECHILD when it has ended; -ETIMEDOUT. Context: before the loop runs.
 */
int kvmb_child_wait_ready(struct kvmb_child *c);

/**
 * kvmb_child_fini() - End it, and wait for that up to twice KVMB_CHILD_GRACE_MS
 *
 * A program that is stuck in the kernel is killed and left behind. Context: loop thread.
 */
void kvmb_child_fini(struct kvmb_child *c);

/**
 * kvmb_child_why() - One phrase: how it ended, or why it is not ready
 * @c:    any state
 * @name: of the program, for the phrase
 * @why:  why[size], result
 * @size: bytes
 */
void kvmb_child_why(const struct kvmb_child *c, const char *name, char *why, size_t size);

#endif
