/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An NBD server that does what a test wants: a thread that speaks the fixed newstyle handshake and
 * simple replies on a Unix socket, one connection at a time, and holds a disk in memory.
 *
 * Source: NBD protocol, "Fixed newstyle negotiation", "Transmission phase".
 */
#ifndef KVMB_NBD_SERVER_H
#define KVMB_NBD_SERVER_H

#include <pthread.h>

#include "vmbus-core/env.h"

#define NBD_SRV_JOURNAL 8192u

enum nbd_srv_type { NBD_SRV_READ, NBD_SRV_WRITE, NBD_SRV_DISC, NBD_SRV_FLUSH, NBD_SRV_ZERO = 6 };

#define NBD_SRV_HAS_FLUSH (1u << 2) /* of the flags that the server announces */
#define NBD_SRV_HAS_FUA (1u << 3)
#define NBD_SRV_HAS_ZERO (1u << 6)

struct nbd_srv_req {
	u16 flags, type; /* as on the wire; type is an enum nbd_srv_type */
	u64 cookie, offset;
	u32 length;
	u8 *data;	 /* of a WRITE; the server's until it is answered */
};

enum nbd_srv_do { /* what becomes of a request; SRV_ERR + n: the wire's error n */
	SRV_GOOD,	  /* it is applied and answered */
	SRV_HOLD,	  /* it waits for nbd_srv_release(), which applies and answers it */
	SRV_HANGUP,
	SRV_WRONG_HANDLE, /* good but for the cookie */
	SRV_BAD_MAGIC,
	SRV_SHORT,	  /* half of an answer, then silence */
	SRV_LONG,	  /* an answer, then bytes that nobody asked for */
	SRV_ERR,
};

enum nbd_srv_hello { HELLO_GOOD, HELLO_SLOW, HELLO_SILENT, HELLO_GARBAGE, HELLO_HANGUP };

struct nbd_srv {
	char path[64];
	u64 bytes;
	u8 *disk;
	pthread_t thread;
	int listen_fd, fd, event_fd; /* the thread's; fd -1 = nobody is connected */
	u16 flags;			     /* announced; atomic: a test may change it */
	u32 min_block;		     /* announced, 0 = not */

	/* atomic: the test changes them while the thread runs */
	/* an enum nbd_srv_do; on the thread */
	u32 (*plan)(struct nbd_srv *s, const struct nbd_srv_req *q);
	int hello;		     /* enum nbd_srv_hello */
	int quit, release, drop;
	u32 connects, requests, flushes, held;

	pthread_mutex_t lock;	     /* guards the next */
	u8 journal[NBD_SRV_JOURNAL]; /* first byte of each WRITE that was applied, in order */
	u32 journaled;
	struct nbd_srv_req hold[64]; /* the thread's; hold[held] */
};

/** nbd_srv_start() - Listen at @path; set the other public fields of @s before, and zero the rest.
 */
void nbd_srv_start(struct nbd_srv *s, const char *path, u64 bytes, u16 flags);
void nbd_srv_stop(struct nbd_srv *s);

/** nbd_srv_plan() - From the next request on; NULL = all is good. */
void nbd_srv_plan(struct nbd_srv *s, u32 (*plan)(struct nbd_srv *s, const struct nbd_srv_req *q));

/** nbd_srv_release() - Apply and answer what is held, in order of arrival; waits until that is
 * done. */
void nbd_srv_release(struct nbd_srv *s);

/** nbd_srv_drop() - Hang up; what is held is not applied. Waits until that is done. */
void nbd_srv_drop(struct nbd_srv *s);

/** nbd_srv_wait() - Until *@counter is at least @n; fails the test after 20 s. */
void nbd_srv_wait(const u32 *counter, u32 n);

static inline u32 nbd_srv_count(const u32 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

#endif
