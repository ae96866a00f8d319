/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client of the control socket: its lines, its answers, its console.
 *
 * DOC: Theory of operation
 *
 * Commands are served in their order, one at a time: the next when its predecessor has been
 * answered and the answer is out. Nothing here waits for a client; what its socket does not take
 * stays in @out, and what it sends meanwhile stays in @line and then in the socket.
 *
 * A console begins as a command. From its answer on @line holds what was typed and the guest has
 * not taken, and the client is not watched while that is full: its end would be reported for ever.
 */
#ifndef KVMB_CTL_CLIENT_H
#define KVMB_CTL_CLIENT_H

#include "lib/loop.h"
#include "vmm/reply.h"
#include "vmm/vm.h"

#define CTL_LINE_MAX 16384u /* bytes */

/*
 * COMMANDS: takes the next line; a command is answered at once or leads to one of the others.
 * WAITING: a change of disks or NICs is under way; its reply leads back.
 * STOPPING, REBOOTING: the guest was asked to power off or to restart, or the VM was killed. What
 * happens to the VM, or the timer, leads back; a reset is what REBOOTING wanted and STOPPING did not.
 * CONSOLE: raw bytes both ways until it hangs up. GONE: it did, and the guest has not taken all that
 * was typed; there is no watch, and it is dropped when the guest has.
 * In each of them a client that hangs up is dropped, but for CONSOLE with something typed.
 */
enum ctl_client_state {
	CLIENT_COMMANDS,
	CLIENT_WAITING,
	CLIENT_STOPPING,
	CLIENT_REBOOTING,
	CLIENT_CONSOLE,
	CLIENT_GONE,
	CLIENT_NUM_STATES
};

struct ctl_client;

struct ctl_clients { /* main thread */
	struct vm *vm;
	struct ctl_client *first;
	u32 num;
	/* One line: answers it, or moves the client to where the answer will come from. */
	void (*run_line)(struct ctl_client *c, const char *line, size_t len);
};

struct ctl_client { /* main thread */
	struct ctl_clients *all;
	struct ctl_client *next;
	int fd;
	struct kvmb_watch *watch; /* NULL: a console whose guest does not read */
	enum ctl_client_state state; /* ctl_client_to() */
	struct kvmb_timer timer; /* of a stop */
	struct kvmb_work lines;	 /* an answer has been given: there may be a next command */
	struct ctl_pending *pending; /* WAITING: the reply's argument */
	char *out;		 /* out[out_off..out_len): of an answer, found no room yet; NULL: nothing waits */
	size_t out_off, out_len;
	u64 cursor;		 /* CONSOLE: what it has seen of the output */
	bool blocked;		 /* CONSOLE: there is more, and its socket is full */
	bool half_closed;	 /* it asks no more, and still listens */
	size_t len;
	char line[CTL_LINE_MAX]; /* line[len] */
};

/** ctl_client_add() - A new connection; owns @fd. */
void ctl_client_add(struct ctl_clients *all, int fd);

/** ctl_client_drop() - Hang up, and free it. */
void ctl_client_drop(struct ctl_client *c);

/** ctl_client_to() - The one writer of a client's state */
void ctl_client_to(struct ctl_client *c, enum ctl_client_state to);

/** ctl_client_stop() - @to STOPPING or REBOOTING, for @ms at most: then it is told that the guest did not. */
void ctl_client_stop(struct ctl_client *c, enum ctl_client_state to, u64 ms);

/** ctl_client_return(), ctl_client_error() - The answer to the command at hand; takes the reference. */
void ctl_client_return(struct ctl_client *c, json_t *value);
void ctl_client_error(struct ctl_client *c, const char *class, const char *desc);

/** ctl_client_reply() - WAITING: where the answer of a change goes, whether the client is still there or not. */
struct ctl_reply ctl_client_reply(struct ctl_client *c);

/** ctl_client_done() - The command that was waited for has been answered: the next may come. */
void ctl_client_done(struct ctl_client *c);

/** ctl_client_console() - From here on it has the console; its answer has been given. */
void ctl_client_console(struct ctl_client *c);

/** ctl_client_output() - Show a console new serial output. */
void ctl_client_output(struct ctl_client *c);

/** ctl_client_room() - The guest takes input again. May drop @c. */
void ctl_client_room(struct ctl_client *c);

#endif
