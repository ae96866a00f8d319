/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a VM moves to: unix:PATH, tcp:HOST[:PORT], fd:N.
 *
 * DOC: Theory of operation
 *
 * Who is at the other end gets a VM's memory, or says which options we carry out. So he must be
 * root or our own user, which the kernel tells of a Unix socket and of a loopback connection.
 * Nobody tells it of another host: there certificates do (cli/mig_tls.h), or the user says that the
 * network is his own.
 */
#ifndef KVMB_MIG_ADDRESS_H
#define KVMB_MIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/mig_tcp.h"
#include "lib/sock.h"

struct addrinfo;
struct cli_args;

enum mig_kind { MIG_UNIX, MIG_TCP, MIG_FD };

struct mig_address {
	const char *text; /* as typed; borrowed */
	enum mig_kind kind;
	const char *path;	/* UNIX, in @text */
	char host[256];		/* TCP; "" = all addresses of this host */
	char port[6];		/* TCP */
	struct addrinfo *found; /* TCP: by the name; mig_address_forget() */
	int fd;			/* FD */
	const char *tls;	/* directory of certificates; NULL = no TLS */
	bool insecure;		/* the user takes whoever is there */
};

/**
 * mig_address_read() - What the user typed
 * @args:      command line; its --tls and --insecure count, and are borrowed
 * @text:      borrowed for as long as @a
 * @listening: it is where we wait, not where we connect to
 * @a:         filled; mig_address_forget(), also after a failure
 *
 * Return: EXIT_OK; EXIT_USAGE, EXIT_FAILED (a name that is not found) with one line printed.
 * Context: may wait for a name server.
 */
int mig_address_read(const struct cli_args *args, const char *text, bool listening,
		     struct mig_address *a);

/** mig_address_forget() - Free what it holds. */
void mig_address_forget(struct mig_address *a);

/** mig_address_leave() - Another process takes the inherited descriptor. */
void mig_address_leave(const struct mig_address *a);

/** mig_connect() - Connect, without TLS. Return: a stream socket; -1 with one line printed. */
int mig_connect(const struct mig_address *a);

/**
 * mig_connect_again() - Connect once more, to where @fd leads
 * @fd: of mig_connect(), by TCP
 *
 * Return: as mig_connect().
 */
int mig_connect_again(const struct mig_address *a, int fd);

struct mig_door { /* where we wait */
	const struct mig_address *address;
	struct kvmb_listener path; /* UNIX */
	int fds[MIG_TCP_MAX];	   /* fds[num] */
	int num;
	bool connected; /* fds[0] does not listen: it is the connection */
	bool open;	/* strangers may connect: what one says must not end the waiting */
};

/** mig_door_open() - Be ready for connections. Return: 0; -1 with one line printed. */
int mig_door_open(struct mig_door *d, const struct mig_address *a);

/**
 * mig_door_take() - Take a connection from fds[@i], which poll() has shown, or is the connection
 *
 * Return: a stream socket; -1 when there is none, or its owner may not talk; -2 with one line
 * printed: there will be none.
 */
int mig_door_take(struct mig_door *d, int i);

/**
 * mig_door_wait() - Wait for one who connects and may talk; others are hung up on
 *
 * Return: a stream socket; -1 with one line printed. Context: waits for ever.
 */
int mig_door_wait(struct mig_door *d);

/** mig_door_close() - The address is gone. Twice is fine. */
void mig_door_close(struct mig_door *d);

#endif
