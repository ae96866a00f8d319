/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by disk_nbd*.c alone.
 *
 * DOC: Theory of operation
 *
 * One thread per disk owns the connection, and the storage daemon if the disk is an image
 * of ours. Channels hand requests over in a queue and get them back by a callback. The
 * thread copies the data, so that whoever waits can be told "cancelled" at any moment
 * without asking the server.
 *
 * A daemon may die, be killed or hang, and what it had acknowledged but not flushed is then
 * lost: an image format keeps its tables in memory. The guest knows nothing of that death, so
 * it must not lose what it was told is written. Therefore every write stays on a list (the
 * log, in the order of submission, acknowledged or not) until a flush that was sent after its
 * acknowledgement has succeeded. After a restart the log is replayed, one by one and in
 * order, before anything else is sent; then unanswered requests are sent again. The log is
 * bounded: at half of its limit a flush of our own is sent, at the limit writes wait for it. So are
 * the buffers of reads: what is beyond waits with the channels.
 *
 * Nothing progresses for stall_ms with requests under way: the daemon is killed, the
 * connection dropped, and all goes on as after a death. A server that cannot be had for
 * GIVE_UP_MS makes requests fail; what the disk's on_error says of failures is the channel's
 * business (storage_io.c). Trying goes on quietly, and retry() makes requests wait again.
 *
 * Limits: a server that we did not start may apply a write of a lost connection late, after
 * our replay; NBD gives no way to prevent it.
 *
 * Files: disk_nbd.c, the disk as channels see it, and the thread; disk_nbd_log.c, operations and
 * their log; disk_nbd_conn.c, the connection and the daemon's life.
 *
 * Source: nbd_aio_pwrite(3) and relatives of libnbd 1.14; NBD protocol on FLUSH and FUA.
 */
#ifndef KVMB_DISK_NBD_PRIV_H
#define KVMB_DISK_NBD_PRIV_H

#include <pthread.h>

#include "host-vsp/storage/disk_nbd.h"
#include "host-vsp/storage/nbd_lib.h"
#include "host-vsp/storage/qsd.h"

/*
 * STARTING: no connection; start or connect now. UP: requests flow. WAITING: the last try
 * failed, the next comes at retry_at. FAILED: as WAITING, but requests fail; it stays until a
 * try succeeds, or somebody asks for a retry and requests wait again.
 */
enum nbd_state { NBD_STARTING, NBD_UP, NBD_WAITING, NBD_FAILED, NBD_NUM };

/*
 * WAITING: to be sent, on n->waiting. SENT: at the server. LOGGED: an acknowledged write, kept
 * for a replay. REPLAY: one that must be sent again, before anything else. DEAD: on n->dead.
 */
enum op_state { OP_WAITING, OP_SENT, OP_LOGGED, OP_REPLAY, OP_DEAD };

struct op { /* the disk's thread only */
	struct op *prev, *next;	 /* n->ops, in order of submission */
	struct op *link;	 /* n->waiting or n->dead */
	struct nbd_disk *n;
	struct kvmb_disk_req *r; /* who waits; NULL = nobody, or nobody any more */
	enum op_state state;
	enum kvmb_io io;
	bool fua;
	u64 offset, length;
	u8 *buf;		/* READ and WRITE: length bytes, malloc()ed */
	u64 done_at;		/* number of its acknowledgement, 0 = none yet */
	u64 covers;		/* FLUSH: acknowledgements up to here, when it was sent */
};

struct nbd_disk {
	struct kvmb_disk *d;
	struct kvmb_qsd *qsd;	/* NULL: the URI is somebody else's server */
	char who[64];		/* for the log */
	u32 stall_ms;
	pthread_t thread;
	int kick_fd;

	pthread_mutex_t lock;	/* guards the next lines */
	pthread_cond_t cond;	/* opened or resized */
	struct kvmb_disk_req *submits, **submits_tail;
	bool quit, retry, any_cancel;
	bool opened;		/* the first try is over, with open_err */
	int open_err;
	bool resize_wanted, resize_done;
	u64 resize_bytes;
	int resize_err;
	char why[KVMB_DISK_WHY]; /* of open_err and resize_err */

	int state;		/* atomic: health() reads it */
	u32 restarts;		/* atomic */

	/* the thread's own */
	struct nbd_handle *h;	/* NULL = not connected */
	struct op *ops, *last_op; /* in order of submission */
	struct op *waiting, **waiting_tail;
	struct op *dead;	/* freed between two calls of libnbd, not within one */
	struct op *replay_at;	/* where a replay stands, NULL = none is going on */
	u64 trim_to;		/* acknowledgements that a flush has covered */
	u32 sent;
	u64 acks;		/* acknowledgements of writes so far */
	u64 logged;		/* bytes of data in WAITING, SENT and LOGGED writes */
	u64 reading;		/* bytes of buffers of reads */
	bool flushing;		/* a flush of our own is under way */
	bool lost;		/* the connection is gone */
	bool same_server;	/* reconnecting to one that has lost nothing */
	bool no_fua, no_flush;
	u64 progress_ms;	/* when something last came back */
	u64 failing_since_ms, retry_at_ms;
	u32 backoff_ms;
};

/* disk_nbd_log.c; all on the disk's thread */
void nbdisk_take_submits(struct nbd_disk *n);
void nbdisk_serve_cancels(struct nbd_disk *n);
void nbdisk_pump(struct nbd_disk *n);	      /* send what may be sent */
void nbdisk_trim(struct nbd_disk *n);	      /* let go of what a flush has covered, and of the dead */
void nbdisk_requeue(struct nbd_disk *n);      /* the connection is closed */
void nbdisk_fail_waiting(struct nbd_disk *n); /* nobody can have an answer */
void nbdisk_drop_all(struct nbd_disk *n);     /* the disk is closed */

/* disk_nbd_conn.c; all on the disk's thread */
void nbdisk_set_state(struct nbd_disk *n, enum nbd_state to);
void nbdisk_start(struct nbd_disk *n);
void nbdisk_disconnect(struct nbd_disk *n);
void nbdisk_went_down(struct nbd_disk *n, const char *what);

#endif
