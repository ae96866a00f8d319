/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to disk_nbd*.c.
 *
 * DOC: Theory of operation
 *
 * One thread per disk owns the connection, and the storage daemon if the disk is a local image.
 * Channels submit requests through a queue and get them back by a callback. The thread copies
 * the data, so a read or a flush can be cancelled at any moment without asking the server.
 *
 * The log. A daemon may die, be killed or hang. Writes that it had acknowledged but not flushed
 * are then lost, because an image format keeps its tables in memory. The guest does not notice
 * that death, so it must not lose a write that was acknowledged. Therefore every write stays on
 * a list (the log, in order of submission, acknowledged or not) until a flush that was sent
 * after its acknowledgement has succeeded. After a restart the log is replayed in order, one
 * write at a time, before anything else is sent; then unanswered requests are sent again.
 *
 * The log is bounded: at half of its limit we send a flush of our own, and at the limit writes
 * wait for it. The buffers of reads are bounded too; further reads wait in their channels. If
 * our flushes keep failing for NBD_GIVE_UP_MS, writes that find the log full fail, and reads
 * continue. For a server without FLUSH there is no log, because no write could ever leave it.
 * If that server takes FUA, every write is sent with it; if not, a warning at the start says
 * that what the server loses is lost.
 *
 * Cancelled writes. Once the guest has been told that a write is aborted, it may write there
 * again, and the old write must not overwrite the new one. A write that was not sent is dropped.
 * One that is at the server is reported when its answer has come, or when the connection has
 * ended, and it is not sent again. The wait is bounded: the connection is closed stall_ms after
 * the cancel, or after at most ABORT_MS for our own daemon, because other disks of the
 * controller wait meanwhile. Our own daemon is killed and reaped before the guest is told, so
 * no write of it can land later.
 *
 * Silence. If nothing progresses for stall_ms while requests are under way, the daemon is killed
 * and the connection dropped, and everything continues as after a death. A flush may take
 * NBD_FLUSH_TIMES as long, and so may the other requests during it: a host with much to write
 * back, or a slow disk, needs minutes; some servers do one thing at a time; and a flush that is
 * interrupted starts from the beginning. A single request may take that long while others are
 * answered.
 *
 * Blame. Requests that were at the server when it ended are sent one at a time the next time. A
 * request that was alone at the server's end BLAME_MAX times is answered with an error, because
 * it is the one that kills the server; the others continue. Pauses between tries grow. A new
 * connection does not shorten them; only NBD_STEADY_MS of a good one do. If the server ends
 * NBD_GIVE_UP_ENDS times without an answer in between (answers to a replay do not count), or
 * cannot be reached for NBD_GIVE_UP_MS, all requests fail. The channel decides what a failure
 * means to the guest (on_error, storage_io.c). Trying continues quietly, and retry() makes
 * requests wait again.
 *
 * Moving. When a VM moves, its image is closed here before the other side opens it. The daemon
 * ends: what it has is written, its file is closed, and nothing of it can land later. That waits
 * until all requests are answered and the log is empty, so nothing need be repeated elsewhere. A
 * disk that comes from elsewhere begins as GONE, with a daemon that has opened nothing yet.
 *
 * Limits: a server that we did not start may apply a write of a lost connection late: after our
 * replay, and after the guest was told that the write was aborted or failed. NBD has no way to
 * prevent or notice that. All we can do is wait stall_ms for the answer before we close the
 * connection.
 *
 * Files: disk_nbd.c, the disk as channels see it, and the thread; disk_nbd_log.c, operations and
 * their log; disk_nbd_send.c, what is at the server; disk_nbd_conn.c, the connection and the
 * daemon's life; disk_nbd_move.c, moving.
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
 * try succeeds, or somebody asks for a retry and requests wait again. GONE: another process may
 * have the image, so nobody here has it open; requests wait.
 */
enum nbd_state { NBD_STARTING, NBD_UP, NBD_WAITING, NBD_FAILED, NBD_GONE, NBD_NUM };

/*
 * WAITING: to be sent, on n->waiting. SENT: at the server. LOGGED: an acknowledged write, kept
 * for a replay. REPLAY: one that must be sent again, before anything else. DEAD: on n->dead.
 */
enum op_state { OP_WAITING, OP_SENT, OP_LOGGED, OP_REPLAY, OP_DEAD };

/* How a connection ended; the value is how much it counts against the requests on it. */
enum nbd_end { NBD_DIED = 1, NBD_STALLED = 2 };

#define NBD_GIVE_UP_MS 10000u	/* of trying; then requests fail */
#define NBD_GIVE_UP_ENDS 10u	/* the same, counted as struct nbd_disk's fruitless */
#define NBD_STEADY_MS 10000u	/* a connection that was good for so long makes up for all before */
#define NBD_FLUSH_TIMES 10u	/* a flush may take so many stall_ms */

struct op { /* the disk's thread only */
	struct op *prev, *next;	 /* n->ops, in order of submission */
	struct op *link;	 /* n->waiting or n->dead */
	struct nbd_disk *n;
	struct kvmb_disk_req *r; /* the request that waits; NULL = none, or answered already */
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
	int channel;		/* then: the keeper connects to it; 0 = libnbd does, with TLS */
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
	bool let_go; /* the image is to be closed, and stay so */
	bool gone;   /* it is, with gone_err */
	int gone_err;
	bool fetch_wanted, fetch_done;
	int fetch_err;
	char why[KVMB_DISK_WHY]; /* of open_err, resize_err, gone_err and fetch_err */

	int state;		/* atomic: health() reads it */
	u32 restarts;		/* atomic */
	/* atomic: enum nbd_end of connections since a request was answered, added up */
	u32 fruitless;
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
	/* 0 = the last one succeeded; when the next may be */
	u64 flush_fails_since_ms, flush_at_ms;
	u64 flush_failed_ms;	/* when the last one did that failed */
	u32 flush_pause_ms;
	bool lost;		/* the connection is gone */
	bool same_server;	/* reconnecting to one that has lost nothing */
	bool no_fua, no_flush;
	bool met;		/* a server has said what it can */
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
void nbdisk_kick(struct nbd_disk *n); /* the thread looks for requests; any thread */

/* disk_nbd_log.c; all on the disk's thread */
void nbdisk_take_submits(struct nbd_disk *n);
void nbdisk_serve_cancels(struct nbd_disk *n);
void nbdisk_tell(struct op *op, int result);  /* whoever waits; the operation itself may stay */
void nbdisk_kill(struct nbd_disk *n, struct op *op); /* not WAITING; freed by nbdisk_trim() */
/* let go of what a flush has covered, and of the dead */
void nbdisk_trim(struct nbd_disk *n);
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
/* the connection ends; was anything asked of it? */
bool nbdisk_blame(struct nbd_disk *n, enum nbd_end how);

/* disk_nbd_conn.c; all on the disk's thread */
void nbdisk_set_state(struct nbd_disk *n, enum nbd_state to);
void nbdisk_start(struct nbd_disk *n);
void nbdisk_disconnect(struct nbd_disk *n);
void nbdisk_went_down(struct nbd_disk *n, const char *what, enum nbd_end how);
void nbdisk_forgive(struct nbd_disk *n);      /* it may try as if nothing had been */
int nbdisk_try(struct nbd_disk *n, char *why, size_t size); /* once; 0: it is UP */
void nbdisk_report_opened(struct nbd_disk *n, int err, const char *why);

/* disk_nbd_move.c; on the disk's thread */
void nbdisk_prepare(struct nbd_disk *n); /* it begins as GONE */
void nbdisk_move(struct nbd_disk *n);	 /* close the image, or open it, if that is wanted */
/* the disk's operations */
void nbdisk_let_go(struct kvmb_disk *d);
int nbdisk_gone(struct kvmb_disk *d, char *why, size_t size);
void nbdisk_fetch_back(struct kvmb_disk *d);
int nbdisk_fetch(struct kvmb_disk *d, char *why, size_t size);

#endif
