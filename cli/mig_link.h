/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stream to the other side, as the VM's process gets it: with --tls one end of a socket pair,
 * which a pump (cli/mig_pump.h) connects with TLS.
 *
 * DOC: Theory of operation
 *
 * On the source the pump is a thread of `kvmbus migrate`, which stays until the VM has moved. On
 * the target it is a process that is forked before this one becomes the VM. It reads the keys, so
 * that they are never in the VM's memory, opens the door, gives up all rights, and lets everybody
 * who connects prove who he is: each within MIG_LINK_GREET_MS, many at a time, so that who is slow
 * keeps nobody waiting. It ends with the connection, or with who waits for it.
 */
#ifndef KVMB_MIG_LINK_H
#define KVMB_MIG_LINK_H

#include <pthread.h>

#include "cli/mig_address.h"
#include "cli/mig_tls.h"

#ifndef MIG_LINK_GREET_MS /* tests have less */
#define MIG_LINK_GREET_MS 10000
#endif
#define MIG_LINK_GUESTS 32 /* who prove at a time who they are; one more, and the oldest goes */

struct mig_link { /* of who connects; mig_link_end() */
	const struct mig_address *address;
	struct mig_tls tls;
	int fd; /* the stream; -1 = none */
	/* with TLS, of the pump */
	gnutls_session_t session;
	int tcp, plain;
	pthread_t thread;
	bool pumps;	       /* the thread was begun */
	char why[MIG_TLS_WHY]; /* its result, when it has ended */
};

/**
 * mig_link_prepare() - Read the keys, with --tls
 * @a: borrowed
 *
 * Return: EXIT_OK; EXIT_FAILED with one line printed. Context: with the rights of who types.
 */
int mig_link_prepare(struct mig_link *l, const struct mig_address *a);

/** mig_link_connect() - Connect. Return: EXIT_OK with l->fd; EXIT_FAILED with one line printed. */
int mig_link_connect(struct mig_link *l);

/**
 * mig_link_end() - End it, when what was written is sent
 *
 * Twice is fine, and without mig_link_connect(). Afterwards l->why says why TLS broke, if it did.
 */
void mig_link_end(struct mig_link *l);

/**
 * mig_link_serve() - Begin a pump that waits for a connection
 * @a: with TLS
 *
 * What goes wrong there it prints itself, and hangs up.
 * Return: the stream, silent until somebody has proved who he is; -1 with one line printed.
 * Context: a process without threads.
 */
int mig_link_serve(const struct mig_address *a);

#endif
