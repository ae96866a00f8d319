/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to hvsock/: a connection, and who may touch what of it. */
#ifndef KVMB_HVSOCK_PRIV_H
#define KVMB_HVSOCK_PRIV_H

#include <pthread.h>

#include "host-vsp/hvsock/hvsock.h"
#include "host-vsp/worker.h"

/*
 * GREETING: a client of the host; its line has not come.
 * DIALLING: the guest has asked; dial() has not been answered. Caveats: it is answered in order,
 *   so it stays in the list until then.
 * WAITING: to be offered when the bus goes on, or when the guest has released its last connection
 *   of the same two ends.
 * OFFERED: until the guest opens it, or OFFER_MS are over.
 * OPEN: the worker moves its data; it has the descriptor.
 * ENDING: nobody is served any more; until the guest has released the channel.
 */
enum hvs_state {
	HVS_GREETING,
	HVS_DIALLING,
	HVS_WAITING,
	HVS_OFFERED,
	HVS_OPEN,
	HVS_ENDING,
	HVS_NUM_STATES
};

/* What the bus thread wants of the worker; CLOSE is the last. */
enum hvs_wish { HVS_RUN, HVS_STAND, HVS_CLOSE };

struct hvs_conn {
	/* bus thread */
	struct kvmb_hvsock *h;
	struct hvs_conn *next; /* h->conns */
	enum hvs_state state;  /* move_conn() */
	bool from_host;
	u32 port, peer_port;		    /* of who listens, of who connects */
	struct kvmb_guid service, endpoint; /* type and instance of the offer */
	u64 deadline_ms;		    /* 0 = none */
	struct kvmb_watch *watch;	    /* of fd, before OPEN */
	char line[32];			    /* line[line_len], of GREETING */
	u32 line_len;
	struct kvmb_chan *ch; /* from OFFERED on */
	int fd; /* -1 = none; only read between hvs_worker_wish() and kvmb_chan_closed() */

	/* under h->lock */
	enum hvs_wish wish;
	bool wished; /* in h->wishes */
	struct hvs_conn *next_wish;

	/* atomics: written by the worker */
	int over; /* rescind it */
	u64 to_guest, to_host;

	/* the worker's, until it calls kvmb_chan_closed() */
	struct hvs_conn *next_served; /* h->served */
	struct kvmb_chan_io *io;
	bool served, stands;
	bool active;		      /* there may be something to do */
	bool masked;		      /* the guest need not signal */
	bool readable, writable;      /* the host's socket, as far as is known */
	bool hung_up;		      /* the host's side is gone, or reads and writes no more */
	bool deaf;		      /* what the guest says cannot be delivered */
	bool host_ended, guest_ended; /* the end of its stream has been seen */
	bool told_guest; /* ... and passed on; of the guest's end that is one with seeing it */
	bool wants;	 /* the guest was asked to tell of room */
	u32 done;	 /* bytes of the ring's first packet that are written already */
	u64 gone_ms;	 /* it has hung up: by then what is left must have found room; 0 = not so */
};

struct kvmb_hvsock {
	struct kvmb_hvsock_config cfg;
	struct kvmb_loop *loop; /* of the bus, which goes first */
	struct hvs_conn *conns; /* oldest first */
	u32 num, dialling;
	u32 next_port; /* of the host, in a connection that it makes */
	struct kvmb_timer timer;
	struct kvmb_work work; /* a connection is over, or gone */

	struct kvmb_worker worker;
	int epoll_fd;
	pthread_mutex_t lock; /* guards wishes */
	struct hvs_conn *wishes;
	struct hvs_conn *served; /* the worker's */
	void *buf;		 /* the worker's: HVS_BUF */
};

/** hvs_worker_init() - Return: 0 or -errno, and nothing is left. */
int hvs_worker_init(struct kvmb_hvsock *h);

/** hvs_worker_fini() - End the thread; no connection is served. */
void hvs_worker_fini(struct kvmb_hvsock *h);

/** hvs_worker_start() - Start the thread, unless it runs. Return: 0 or -errno. */
int hvs_worker_start(struct kvmb_hvsock *h);

/** hvs_worker_wish() - Have the worker begin, stand, go on, or let go, which is the last. */
void hvs_worker_wish(struct hvs_conn *c, enum hvs_wish wish);

#endif
