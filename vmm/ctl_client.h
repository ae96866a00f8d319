/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client of the control socket: its lines, its answers, its console.
 *
 * DOC: Theory of operation
 *
 * Commands are served one at a time and in order: the next one when the previous one has been
 * answered and its answer is sent. We never wait for a client: output that its socket does not
 * take stays in @out, and input that arrives meanwhile stays in the socket, but for one line.
 *
 * Descriptors may come with a command's bytes (SCM_RIGHTS). They belong to the command in whose
 * line the first byte of their message is. The kernel joins a message with descriptors to what was
 * sent before, so we never read beyond the end of a line. We hold one message of them for a line,
 * at most KVMB_FDPASS_MAX; who sends more is dropped. A command takes those that it wants; the rest
 * are closed when it has been served, as are all when the client goes.
 *
 * A console starts as a command. After the command's answer, @line holds typed bytes that the guest
 * has not taken. While @line is full the client is not watched, because epoll would report its end
 * again and again.
 */
#ifndef KVMB_CTL_CLIENT_H
#define KVMB_CTL_CLIENT_H

#include "lib/loop.h"
#include "vmm/handover.h"
#include "vmm/reply.h"
#include "vmm/vm.h"

#define CTL_LINE_MAX 16384u /* bytes */

/*
 * COMMANDS: takes the next line. A command is answered at once or leads to another state.
 * WAITING: a change of disks or NICs is under way; its reply leads back to COMMANDS.
 * STOPPING, REBOOTING: the guest was asked to power off or restart, or the VM was killed. An event
 *   of the VM, or the timer, leads back to COMMANDS. A reset means success for REBOOTING and
 *   failure for STOPPING.
 * CONSOLE: raw bytes in both directions until the client hangs up.
 * GONE: it has hung up, but the guest has not taken all typed bytes. There is no watch; the client
 *   is dropped when the guest has taken them.
 * In any state a client that hangs up is dropped, except in CONSOLE with typed bytes left.
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
	/*
	 * One line: answers it, or moves the client to where the answer will come from. @fds came
	 * with it; those that are left are closed afterwards.
	 */
	void (*run_line)(struct ctl_client *c, const char *line, size_t len,
			 struct handover_fds *fds);
};

struct ctl_client { /* main thread */
	struct ctl_clients *all;
	struct ctl_client *next;
	int fd;
	struct kvmb_watch *watch; /* NULL: a console whose guest does not read */
	enum ctl_client_state state; /* ctl_client_to() */
	struct kvmb_timer timer; /* of a stop */
	struct kvmb_work lines;	 /* answered: look for the next command */
	struct ctl_pending *pending; /* WAITING: the reply's argument */
	char *out;		 /* out[out_off..out_len): of an answer, not sent yet; or NULL */
	size_t out_off, out_len;
	u64 cursor;		 /* CONSOLE: what it has seen of the output */
	bool blocked;		 /* CONSOLE: there is more, and its socket is full */
	bool half_closed;	 /* it sends no more commands, but still reads */
	struct handover_fds fds; /* of the command in @line */
	size_t len;
	char line[CTL_LINE_MAX]; /* line[len]: one line, or less; CONSOLE: typed */
};

/** ctl_client_add() - A new connection; owns @fd. */
void ctl_client_add(struct ctl_clients *all, int fd);

/** ctl_client_drop() - Hang up, and free it. */
void ctl_client_drop(struct ctl_client *c);

/** ctl_client_to() - Change a client's state; the only function that writes it. */
void ctl_client_to(struct ctl_client *c, enum ctl_client_state to);

/** ctl_client_stop() - Enter STOPPING or REBOOTING; after @ms answer that the guest did not. */
void ctl_client_stop(struct ctl_client *c, enum ctl_client_state to, u64 ms);

/** ctl_client_return() - Answer the current command; takes the reference to @value. */
void ctl_client_return(struct ctl_client *c, json_t *value);

/** ctl_client_error() - Answer the current command: @class and one sentence for the user. */
void ctl_client_error(struct ctl_client *c, const char *class, const char *desc);

/** ctl_client_reply() - Enter WAITING. Return: where the answer goes, even if the client leaves. */
struct ctl_reply ctl_client_reply(struct ctl_client *c);

/** ctl_client_done() - A deferred command has completed: accept the next one. */
void ctl_client_done(struct ctl_client *c);

/** ctl_client_console() - Give the client the console; the command has been answered. */
void ctl_client_console(struct ctl_client *c);

/** ctl_client_output() - Send new serial output to a client with the console. */
void ctl_client_output(struct ctl_client *c);

/** ctl_client_room() - The guest takes input again. May drop @c. */
void ctl_client_room(struct ctl_client *c);

#endif
