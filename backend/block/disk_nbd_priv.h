/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by disk_nbd*.c alone.
 *
 * DOC: Theory of operation
 *
 * One thread per disk owns the connection, and the storage daemon if the disk is an image of
 * ours. Channels hand requests over in a queue and get them back by a callback. The thread copies
 * the data, so that whoever waits for a read or a flush can be told "cancelled" at any moment
 * without asking the server.
 *
 * A daemon may die, be killed or hang, and what it had acknowledged but not flushed is then lost:
 * an image format keeps its tables in memory. The guest knows nothing of that death, so it must
 * not lose what it was told is written. Therefore every write stays on a list (the log, in the
 * order of submission, acknowledged or not) until a flush that was sent after its acknowledgement
 * has succeeded. After a restart the log is replayed, one by one and in order, before anything
 * else is sent; then unanswered requests are sent again. The log is bounded: at half of its limit
 * a flush of our own is sent, at the limit writes wait for it. So are the buffers of reads: what
 * is beyond waits with the channels. Flushes of our own that go on failing for NBD_GIVE_UP_MS
 * make writes fail that find the log full; reads go on. A server without FLUSH has no log:
 * nothing would ever end a write's time in it. If it takes FUA, every write is sent with that; if
 * not, what it loses is lost, which is said when it is opened.
 *
 * A cancelled write is another matter: once the guest was told that it is aborted it may write
 * there anew, and the old one must not land on top. One that was not sent is dropped. One that is
 * at the server is told when its answer is there, or when the connection has ended, after which
 * it is not sent again. That bounds the wait: the connection is ended stall_ms after the cancel,
 * to our own daemon after ABORT_MS at most, because other disks of the controller wait meanwhile.
 * Our own daemon is killed and reaped before anybody is told, so nothing of it lands later, for
 * certain.
 *
 * Nothing progresses for stall_ms with requests under way: the daemon is killed, the connection
 * dropped, and all goes on as after a death. A flush may take NBD_FLUSH_TIMES as long, and while
 * it does so may the rest: a host that has much to write back, or a slow disk, needs minutes,
 * some servers do one thing after the other, and a flush that is cut off begins again. One
 * request may take that long while others are answered.
 *
 * What was at the server when it ended goes there one by one the next time. A request that was
 * alone at the end of its server BLAME_MAX times is answered with an error: it is the one that
 * kills it, and others go on. Between tries there are pauses that grow; a connection makes them
 * no shorter, only NBD_STEADY_MS of a good one do. Servers that end NBD_GIVE_UP_ENDS times
 * without one answer in between (to a replay does not count), or that cannot be had for
 * NBD_GIVE_UP_MS, make all requests fail; what the disk's on_error says of failures is the
 * channel's business (storage_io.c). Trying goes on quietly, and retry() makes requests wait
 * again.
 *
 * Limits: a server that we did not start may apply a write of a lost connection late: after our
 * replay, and after the guest was told that the write is aborted or has failed. NBD gives no way
 * to prevent or to notice it. What we do is wait for the answer for stall_ms before we give the
 * connection up.
 *
 * Files: disk_nbd.c, the disk as channels see it, and the thread; disk_nbd_log.c, operations and
 * their log; disk_nbd_send.c, what is at the server; disk_nbd_conn.c, the connection and the
 * daemon's life.
 *
 * Source: nbd_aio_pwrite(3) and relatives of libnbd 1.14; NBD protocol on FLUSH and FUA.
 */
#ifndef KVMB_DISK_NBD_PRIV_H
#define KVMB_DISK_NBD_PRIV_H

#include <pthread.h>

#include "backend/block/disk_nbd.h"
#include "backend/block/nbd_lib.h"
#include "backend/block/qsd.h"

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

/* How a connection ended, and how much that says against what was asked of it. */
enum nbd_end { NBD_DIED = 1, NBD_STALLED = 2 };

#define NBD_GIVE_UP_MS 10000u	/* of trying; then requests fail */
#define NBD_GIVE_UP_ENDS 10u	/* the same, counted as struct nbd_disk's fruitless */
#define NBD_STEADY_MS 10000u	/* a connection that was good for so long makes up for all before */
#define NBD_FLUSH_TIMES 10u	/* a flush may take so many stall_ms */

struct op { /* the disk's thread only */
	struct op *prev, *next;	 /* n->ops, in order of submission */
	struct op *link;	 /* n->waiting or n->dead */
	struct nbd_disk *n;
	struct kvmb_disk_req *r; /* who waits; NULL = nobody, or nobody any more */
	enum op_state state;
	enum kvmb_io io;
	bool fua;
	bool own;		/* a FLUSH that we want ourselves */
	bool aborted;		/* a WRITE or ZERO that was cancelled while it was SENT */
	bool suspect;		/* it was SENT when a connection ended */
	u32 deaths;		/* enum nbd_end of connections that it was alone on, added up */
	u64 sent_ms;
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
	u32 fruitless;		/* atomic: enum nbd_end of connections since a request was answered, added up */
	u64 up_ms;		/* atomic: when the connection was made */

	/* the thread's own */
	struct nbd_handle *h;	/* NULL = not connected */
	struct op *ops, *last_op; /* in order of submission */
	struct op *waiting, **waiting_tail;
	struct op *dead;	/* freed between two calls of libnbd, not within one */
	struct op *replay_at;	/* where a replay stands, NULL = none is going on */
	u64 trim_to;		/* acknowledgements that a flush has covered */
	u32 sent, flushes;	/* requests at the server; FLUSHes of them */
	u32 aborting;		/* aborted writes of them */
	u64 abort_by_ms;	/* when those must have been answered */
	bool alone;		/* a suspect is at the server */
	u64 acks;		/* acknowledgements of writes so far */
	u64 logged;		/* bytes of data in WAITING, SENT and LOGGED writes */
	u64 reading;		/* bytes of buffers of reads */
	bool flushing;		/* a flush of our own is under way */
	int flush_err;		/* of the last one, errno */
	u64 flush_fails_since_ms, flush_at_ms; /* 0 = the last one succeeded; when the next may be */
	u64 flush_failed_ms;	/* when the last one did that failed */
	u32 flush_pause_ms;
	bool lost;		/* the connection is gone */
	bool same_server;	/* reconnecting to one that has lost nothing */
	bool no_fua, no_flush;
	u64 progress_ms;	/* when something last came back */
	u64 looked_ms;		/* for one that is passed over */
	u64 failing_since_ms, retry_at_ms;
	u32 backoff_ms;
};

static inline bool nbdisk_is_write(const struct op *op)
{
	return op->io == KVMB_IO_WRITE || op->io == KVMB_IO_ZERO;
}

static inline void nbdisk_finish(struct kvmb_disk_req *r, int result)
{
	r->result = result;
	r->done(r);
}

/* disk_nbd.c */
void nbdisk_kick(struct nbd_disk *n); /* the thread looks at what is asked of it; any thread */

/* disk_nbd_log.c; all on the disk's thread */
void nbdisk_take_submits(struct nbd_disk *n);
void nbdisk_serve_cancels(struct nbd_disk *n);
void nbdisk_tell(struct op *op, int result);  /* whoever waits; the operation itself may stay */
void nbdisk_kill(struct nbd_disk *n, struct op *op); /* not WAITING; freed by nbdisk_trim() */
void nbdisk_trim(struct nbd_disk *n);	      /* let go of what a flush has covered, and of the dead */
void nbdisk_requeue(struct nbd_disk *n);      /* the connection is closed */
void nbdisk_fail_waiting(struct nbd_disk *n); /* nobody can have an answer */
void nbdisk_drop_all(struct nbd_disk *n);     /* the disk is closed */
struct op *nbdisk_new_flush(struct nbd_disk *n, struct kvmb_disk_req *r); /* NULL without memory */
void nbdisk_flush_succeeded(struct nbd_disk *n, struct op *op);
void nbdisk_own_flush_failed(struct nbd_disk *n, int err);
void nbdisk_forget_flushes(struct nbd_disk *n); /* that failed */

/* disk_nbd_send.c; all on the disk's thread */
void nbdisk_pump(struct nbd_disk *n);	      /* send what may be sent */
bool nbdisk_is_stalled(struct nbd_disk *n, u64 now);
bool nbdisk_blame(struct nbd_disk *n, enum nbd_end how); /* the connection ends; was anything asked of it? */

/* disk_nbd_conn.c; all on the disk's thread */
void nbdisk_set_state(struct nbd_disk *n, enum nbd_state to);
void nbdisk_start(struct nbd_disk *n);
void nbdisk_disconnect(struct nbd_disk *n);
void nbdisk_went_down(struct nbd_disk *n, const char *what, enum nbd_end how);
void nbdisk_forgive(struct nbd_disk *n);      /* it may try as if nothing had been */

#endif
