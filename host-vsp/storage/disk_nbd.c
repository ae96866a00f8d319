// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks behind an NBD server, and how they survive the server's end.
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
 * bounded: at half of its limit a flush of our own is sent, at the limit writes wait for it.
 *
 * Nothing progresses for stall_ms with requests under way: the daemon is killed, the
 * connection dropped, and all goes on as after a death. A server that cannot be had for
 * GIVE_UP_MS makes requests fail; what the disk's on_error says of failures is the channel's
 * business (storage_io.c). Trying goes on quietly, and retry() makes requests wait again.
 *
 * Limits: a server that we did not start may apply a write of a lost connection late, after
 * our replay; NBD gives no way to prevent it.
 *
 * Source: nbd_aio_pwrite(3) and relatives of libnbd 1.14; NBD protocol on FLUSH and FUA.
 */
#include "host-vsp/storage/disk_nbd.h"

#include <libnbd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vsp/iov.h"
#include "host-vsp/storage/qsd.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define LOG_LIMIT (32u << 20)	/* bytes of data in the log */
#define MAX_SENT 64u		/* requests at the server */
#define STALL_S 30u
#define CONNECT_MS 10000u
#define GIVE_UP_MS 10000u
#define BACKOFF_MAX_MS 2000u

/*
 * STARTING: no connection; start or connect now. UP: requests flow. WAITING: the last try
 * failed, the next comes at retry_at. FAILED: as WAITING, but requests fail; it stays until a
 * try succeeds, or somebody asks for a retry and requests wait again.
 */
enum nbd_state { NBD_STARTING, NBD_UP, NBD_WAITING, NBD_FAILED, NBD_NUM };

static const char *const health_names[] = { "restarting", "ok", "restarting", "failed" };
static_assert(ARRAY_SIZE(health_names) == NBD_NUM, "one word a state");

static const u8 moves[NBD_NUM] = {
	[NBD_STARTING] = 1 << NBD_UP | 1 << NBD_WAITING | 1 << NBD_FAILED,
	[NBD_UP] = 1 << NBD_STARTING,
	[NBD_WAITING] = 1 << NBD_STARTING,
	[NBD_FAILED] = 1 << NBD_STARTING | 1 << NBD_UP,
};

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
	bool flushing;		/* a flush of our own is under way */
	bool lost;		/* the connection is gone */
	bool same_server;	/* reconnecting to one that has lost nothing */
	bool no_fua, no_flush;
	u64 progress_ms;	/* when something last came back */
	u64 failing_since_ms, retry_at_ms;
	u32 backoff_ms;
};

static void set_state(struct nbd_disk *n, enum nbd_state to)
{
	kvmb_assert(moves[n->state] & (1 << to));
	__atomic_store_n(&n->state, (int)to, __ATOMIC_RELEASE);
}

static void kick(struct nbd_disk *n)
{
	u64 one = 1;

	if (write(n->kick_fd, &one, sizeof(one)) < 0)
		return; /* counter full: already readable */
}

/* ---- operations ---- */

static void finish_req(struct kvmb_disk_req *r, int result)
{
	r->result = result;
	r->done(r);
}

static bool is_write(const struct op *op)
{
	return op->io == KVMB_IO_WRITE || op->io == KVMB_IO_ZERO;
}

static u64 weight(const struct op *op)
{
	return op->io == KVMB_IO_WRITE ? op->length : op->io == KVMB_IO_ZERO ? 64 : 0;
}

static void make_waiting(struct nbd_disk *n, struct op *op)
{
	op->state = OP_WAITING;
	op->link = NULL;
	*n->waiting_tail = op;
	n->waiting_tail = &op->link;
}

static void add_op(struct nbd_disk *n, struct op *op)
{
	op->n = n;
	op->prev = n->last_op;
	op->next = NULL;
	if (n->last_op)
		n->last_op->next = op;
	else
		n->ops = op;
	n->last_op = op;
	n->logged += weight(op);
	make_waiting(n, op);
}

/* Not WAITING. It is taken off the list at once and freed by bury(). */
static void kill_op(struct nbd_disk *n, struct op *op)
{
	if (op->prev)
		op->prev->next = op->next;
	else
		n->ops = op->next;
	if (op->next)
		op->next->prev = op->prev;
	else
		n->last_op = op->prev;
	if (n->replay_at == op)
		n->replay_at = op->next;
	n->logged -= weight(op);
	op->state = OP_DEAD;
	op->link = n->dead;
	n->dead = op;
}

static void bury(struct nbd_disk *n)
{
	struct op *op;

	while ((op = n->dead)) {
		n->dead = op->link;
		free(op->buf);
		free(op);
	}
}

/* Whoever waits is told, now; the operation itself may stay. */
static void tell(struct op *op, int result)
{
	struct kvmb_disk_req *r = op->r;

	if (!r)
		return;
	op->r = NULL;
	if (op->io == KVMB_IO_READ && !result)
		kvmb_iov_write(r->iov, r->num_iov, op->buf, (u32)op->length);
	finish_req(r, result);
}

static void trim_log(struct nbd_disk *n)
{
	struct op *op, *next;

	for (op = n->trim_to ? n->ops : NULL; op; op = next) {
		next = op->next;
		if (op->state == OP_LOGGED && op->done_at <= n->trim_to)
			kill_op(n, op);
	}
	n->trim_to = 0;
}

static struct op *new_flush(struct nbd_disk *n, struct kvmb_disk_req *r)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op) {
		op->io = KVMB_IO_FLUSH;
		op->r = r;
		add_op(n, op);
	}
	return op;
}

static void op_succeeded(struct nbd_disk *n, struct op *op)
{
	struct kvmb_disk_req *r;

	if (is_write(op)) {
		op->state = OP_LOGGED;
		op->done_at = ++n->acks;
		if (op->fua && n->no_fua && op->r) { /* the server cannot: a flush does it */
			r = op->r;
			op->r = NULL;
			if (!new_flush(n, r))
				finish_req(r, -ENOMEM);
			return;
		}
		tell(op, 0);
		return;
	}
	if (op->io == KVMB_IO_FLUSH) {
		n->trim_to = KVMB_MAX(n->trim_to, op->covers);
		if (!op->r)
			n->flushing = false;
	}
	tell(op, 0);
	kill_op(n, op);
}

static bool is_lost(int err)
{
	return err == ENOTCONN || err == ESHUTDOWN || err == EPIPE || err == ECONNRESET ||
	       err == ECONNABORTED || err == EBADF;
}

/* libnbd has the answer to a request. */
static int on_completion(void *arg, int *error)
{
	struct op *op = arg;
	struct nbd_disk *n = op->n;

	n->sent--;
	if (*error && is_lost(*error)) {
		n->lost = true; /* disconnect() makes it wait for the next connection */
		return 1;
	}
	n->progress_ms = kvmb_now_ms();
	if (!*error) {
		op_succeeded(n, op);
	} else {
		if (op->io == KVMB_IO_FLUSH && !op->r)
			n->flushing = false;
		if (op->done_at)
			kvmb_err(n->who, "an acknowledged write at %llu is lost: %s",
				 (unsigned long long)op->offset, strerror(*error));
		tell(op, -*error);
		kill_op(n, op);
	}
	return 1;
}

static void send_op(struct nbd_disk *n, struct op *op)
{
	nbd_completion_callback cb = { .callback = on_completion, .user_data = op };
	u32 fua = op->fua && !n->no_fua ? LIBNBD_CMD_FLAG_FUA : 0;
	int64_t cookie;

	op->state = OP_SENT;
	if (!n->sent++)
		n->progress_ms = kvmb_now_ms();
	switch (op->io) {
	case KVMB_IO_READ:
		cookie = nbd_aio_pread(n->h, op->buf, op->length, op->offset, cb, 0);
		break;
	case KVMB_IO_WRITE:
		cookie = nbd_aio_pwrite(n->h, op->buf, op->length, op->offset, cb, fua);
		break;
	case KVMB_IO_ZERO:
		cookie = nbd_aio_zero(n->h, op->length, op->offset, cb, fua);
		break;
	default:
		op->covers = n->acks;
		cookie = nbd_aio_flush(n->h, cb, 0);
	}
	if (cookie < 0) { /* not taken: no callback will come */
		n->sent--;
		n->lost = true;
	}
}

/* May the log grow? If not, a flush is on its way and writes wait. */
static bool log_has_room(struct nbd_disk *n)
{
	if (n->logged >= LOG_LIMIT / 2 && !n->flushing && !n->no_flush)
		n->flushing = new_flush(n, NULL);
	return n->logged < LOG_LIMIT || n->no_flush;
}

/* Send what may be sent. */
static void pump(struct nbd_disk *n)
{
	struct op *op;

	if (n->replay_at) { /* one at a time, in order: later ones may overwrite earlier ones */
		if (n->sent)
			return;
		for (op = n->replay_at; op && op->state != OP_REPLAY; op = op->next)
			;
		n->replay_at = op;
		if (op)
			send_op(n, op);
		if (op)
			return;
	}
	while ((op = n->waiting) && n->sent < MAX_SENT && !n->lost) {
		n->waiting = op->link;
		if (!n->waiting)
			n->waiting_tail = &n->waiting;
		send_op(n, op);
	}
}

/* ---- requests of the channels ---- */

static struct op *make_op(const struct kvmb_disk_req *r)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->io = r->io;
	op->fua = r->fua;
	op->offset = r->offset;
	op->length = r->length;
	if (r->io == KVMB_IO_READ || r->io == KVMB_IO_WRITE) {
		op->buf = malloc(op->length);
		if (!op->buf) {
			free(op);
			return NULL;
		}
	}
	if (r->io == KVMB_IO_WRITE)
		kvmb_iov_read(r->iov, r->num_iov, 0, op->buf, (u32)op->length);
	return op;
}

static void take(struct nbd_disk *n, struct kvmb_disk_req *r)
{
	struct op *op;

	if (n->state == NBD_FAILED) {
		finish_req(r, -EIO);
		return;
	}
	if (r->io == KVMB_IO_FLUSH && n->no_flush) {
		finish_req(r, 0);
		return;
	}
	op = make_op(r);
	if (!op) {
		finish_req(r, -ENOMEM);
		return;
	}
	op->r = r;
	add_op(n, op);
}

/* Take over what was handed in. Writes stay in the queue while the log is full. */
static void take_submits(struct nbd_disk *n)
{
	struct kvmb_disk_req *r;

	for (;;) {
		if (n->state != NBD_FAILED && !log_has_room(n))
			return;
		pthread_mutex_lock(&n->lock);
		r = n->submits;
		if (r) {
			n->submits = r->next;
			if (!n->submits)
				n->submits_tail = &n->submits;
		}
		pthread_mutex_unlock(&n->lock);
		if (!r)
			return;
		take(n, r);
	}
}

static void serve_cancels(struct nbd_disk *n)
{
	struct kvmb_disk_req *r, *next, *gone = NULL, **p;
	struct op *op;
	bool any;

	pthread_mutex_lock(&n->lock);
	any = n->any_cancel;
	n->any_cancel = false;
	for (p = &n->submits; any && (r = *p);) {
		if (!r->cancelled) {
			p = &r->next;
			continue;
		}
		*p = r->next;
		r->next = gone;
		gone = r;
	}
	if (any)
		n->submits_tail = p;
	pthread_mutex_unlock(&n->lock);
	for (r = gone; r; r = next) {
		next = r->next;
		finish_req(r, -ECANCELED);
	}
	for (op = any ? n->ops : NULL; op; op = op->next) {
		if (op->r && __atomic_load_n(&op->r->cancelled, __ATOMIC_ACQUIRE))
			tell(op, -ECANCELED);
	}
}

/* Fail everybody who waits. What was acknowledged stays in the log, for better days. */
static void fail_waiting(struct nbd_disk *n)
{
	struct op *op, *next;

	for (op = n->ops; op; op = next) {
		next = op->next;
		if (op->done_at)
			continue;
		tell(op, -EIO);
		kill_op(n, op);
	}
	n->waiting = NULL;
	n->waiting_tail = &n->waiting;
	n->flushing = false;
	bury(n);
}

/* ---- the connection ---- */

/* Everything that was under way waits again; acknowledged writes are to be replayed. */
static void disconnect(struct nbd_disk *n)
{
	struct op *op;

	if (n->h)
		nbd_close(n->h);
	n->h = NULL;
	bury(n);
	trim_log(n);
	n->sent = 0;
	n->lost = false;
	n->waiting = NULL;
	n->waiting_tail = &n->waiting;
	for (op = n->ops; op; op = op->next) {
		if (!op->done_at)
			make_waiting(n, op);
		else if (!n->same_server)
			op->state = OP_REPLAY;
	}
	n->replay_at = n->ops;
	n->same_server = false;
	bury(n);
}

/* Let libnbd work until @ready, the deadline, or the end of the disk. */
static int wait_connected(struct nbd_disk *n, struct nbd_handle *h)
{
	u64 until = kvmb_now_ms() + CONNECT_MS, now;
	struct pollfd p[2] = { { .fd = -1 }, { .fd = n->kick_fd, .events = POLLIN } };
	unsigned int dir;
	bool quit;
	u64 k;

	while (!nbd_aio_is_ready(h)) {
		now = kvmb_now_ms();
		if (nbd_aio_is_dead(h) || nbd_aio_is_closed(h))
			return -ECONNREFUSED;
		if (now >= until)
			return -ETIMEDOUT;
		dir = (unsigned int)nbd_aio_get_direction(h);
		p[0].fd = nbd_aio_get_fd(h);
		p[0].events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				      (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
		poll(p, 2, (int)(until - now));
		if (p[1].revents && read(n->kick_fd, &k, sizeof(k)) > 0) {
			pthread_mutex_lock(&n->lock);
			quit = n->quit;
			pthread_mutex_unlock(&n->lock);
			if (quit)
				return -ECANCELED;
		}
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR) && dir & LIBNBD_AIO_DIRECTION_READ)
			nbd_aio_notify_read(h);
		else if (p[0].revents & (POLLOUT | POLLHUP | POLLERR) && dir & LIBNBD_AIO_DIRECTION_WRITE)
			nbd_aio_notify_write(h);
	}
	return 0;
}

/* What the server says of the disk, against what it must be. */
static int accept_server(struct nbd_disk *n, struct nbd_handle *h, char *why, size_t size)
{
	struct kvmb_disk *d = n->d;
	int64_t bytes = nbd_get_size(h);
	u64 blocks = bytes > 0 ? (u64)bytes / d->block : 0;

	if (!blocks) {
		snprintf(why, size, "it is smaller than one block of %u bytes", d->block);
		return -EINVAL;
	}
	if (blocks < kvmb_disk_blocks(d)) {
		snprintf(why, size, "it came back smaller than it was");
		return -EINVAL;
	}
	if (!d->read_only && nbd_is_read_only(h) > 0) {
		snprintf(why, size, "the server has it read-only; try ,ro");
		return -EROFS;
	}
	n->no_fua = nbd_can_fua(h) <= 0;
	n->no_flush = nbd_can_flush(h) <= 0;
	if (!kvmb_disk_blocks(d))
		d->can_zero = !d->read_only && nbd_can_zero(h) > 0;
	__atomic_store_n(&d->blocks, blocks, __ATOMIC_RELAXED);
	return 0;
}

static int try_connect(struct nbd_disk *n, char *why, size_t size)
{
	struct nbd_handle *h = nbd_create();
	int fd, err;

	if (!h)
		return -ENOMEM;
	if (n->qsd) {
		fd = kvmb_qsd_connect(n->qsd);
		nbd_set_export_name(h, "disk");
		err = fd < 0 ? -1 : nbd_aio_connect_socket(h, fd);
	} else {
		nbd_set_uri_allow_local_file(h, true); /* a file of keys that the user named */
		err = nbd_aio_connect_uri(h, n->d->path);
	}
	if (!err)
		err = wait_connected(n, h);
	if (err) {
		snprintf(why, size, "no connection to its NBD server: %s",
			 nbd_get_error() ? nbd_get_error() : "it does not answer");
		err = err == -ECANCELED ? err : -EIO;
	} else {
		err = accept_server(n, h, why, size);
	}
	if (err) {
		nbd_close(h);
		return err;
	}
	n->h = h;
	return 0;
}

static int bring_up(struct nbd_disk *n, char *why, size_t size)
{
	int err = 0;

	if (n->qsd && kvmb_qsd_pidfd(n->qsd) < 0)
		err = kvmb_qsd_start(n->qsd, why, size);
	if (!err)
		err = try_connect(n, why, size);
	if (err && n->qsd)
		kvmb_qsd_kill(n->qsd);
	return err;
}

static void report_opened(struct nbd_disk *n, int err, const char *why)
{
	pthread_mutex_lock(&n->lock);
	if (!n->opened) {
		n->opened = true;
		n->open_err = err;
		snprintf(n->why, sizeof(n->why), "%s", why);
		pthread_cond_broadcast(&n->cond);
	}
	pthread_mutex_unlock(&n->lock);
}

static void start(struct nbd_disk *n)
{
	char why[KVMB_DISK_WHY] = "";
	u64 now;
	int err = bring_up(n, why, sizeof(why));

	now = kvmb_now_ms();
	report_opened(n, err, why);
	if (!err) {
		if (n->failing_since_ms)
			kvmb_info(n->who, "its server is back");
		n->failing_since_ms = 0;
		n->backoff_ms = 0;
		n->progress_ms = now;
		set_state(n, NBD_UP);
		return;
	}
	if (!n->failing_since_ms)
		n->failing_since_ms = now;
	n->backoff_ms = KVMB_MIN(n->backoff_ms ? n->backoff_ms * 2 : 100, BACKOFF_MAX_MS);
	n->retry_at_ms = now + n->backoff_ms;
	if (n->state == NBD_FAILED)
		return;
	if (now - n->failing_since_ms < GIVE_UP_MS) {
		set_state(n, NBD_WAITING);
		return;
	}
	kvmb_warn_ratelimited(n->who, "its server cannot be had: %s", why);
	set_state(n, NBD_FAILED);
	fail_waiting(n);
}

static void went_down(struct nbd_disk *n, const char *what)
{
	kvmb_warn_ratelimited(n->who, "%s; %s it", what, n->qsd ? "restarting" : "reconnecting to");
	__atomic_fetch_add(&n->restarts, 1, __ATOMIC_RELAXED);
	if (n->qsd)
		kvmb_qsd_kill(n->qsd); /* one that lost us, or hangs, is of no use */
	disconnect(n);
	set_state(n, NBD_STARTING);
}

/* ---- the thread ---- */

static void report_resized(struct nbd_disk *n, int err, const char *why)
{
	pthread_mutex_lock(&n->lock);
	n->resize_wanted = false;
	n->resize_done = true;
	n->resize_err = err;
	snprintf(n->why, sizeof(n->why), "%s", why);
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
}

static void do_resize(struct nbd_disk *n)
{
	char why[KVMB_DISK_WHY] = "";
	int err = 0;

	n->same_server = n->qsd;
	disconnect(n);
	set_state(n, NBD_STARTING);
	if (n->qsd)
		err = kvmb_qsd_resize(n->qsd, n->resize_bytes, why, sizeof(why));
	start(n);
	report_resized(n, err, why);
}

/* How long poll() may sleep. */
static int patience(const struct nbd_disk *n, u64 now)
{
	u64 at;

	if (n->state == NBD_STARTING)
		return 0;
	if (n->state == NBD_UP)
		at = n->sent ? n->progress_ms + n->stall_ms : now + 60000;
	else
		at = n->retry_at_ms;
	return at > now ? (int)(at - now) : 0;
}

static void wait_for_news(struct nbd_disk *n)
{
	struct pollfd p[3] = { { .fd = n->kick_fd, .events = POLLIN }, { .fd = -1 }, { .fd = -1 } };
	unsigned int dir = 0;
	u64 k, now = kvmb_now_ms();

	if (n->h) {
		dir = (unsigned int)nbd_aio_get_direction(n->h);
		p[1].fd = nbd_aio_get_fd(n->h);
		p[1].events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				      (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	}
	if (n->state == NBD_UP && n->qsd)
		p[2] = (struct pollfd){ .fd = kvmb_qsd_pidfd(n->qsd), .events = POLLIN };
	poll(p, 3, patience(n, now));
	if (p[0].revents && read(n->kick_fd, &k, sizeof(k)) < 0)
		k = 0;
	if (!n->h || n->state != NBD_UP)
		return;
	if (p[1].revents & POLLIN)
		nbd_aio_notify_read(n->h);
	else if (p[1].revents & POLLOUT)
		nbd_aio_notify_write(n->h);
	else if (p[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		n->lost = true;
	if (nbd_aio_is_dead(n->h) || nbd_aio_is_closed(n->h))
		n->lost = true;
	if (p[2].revents)
		went_down(n, "its storage daemon ended");
	else if (n->lost)
		went_down(n, n->qsd ? "its storage daemon hung up" : "its server hung up");
	else if (n->sent && kvmb_now_ms() - n->progress_ms >= n->stall_ms)
		went_down(n, n->qsd ? "its storage daemon stalled" : "its server stalled");
}

static void *thread_main(void *arg)
{
	struct nbd_disk *n = arg;
	bool quit = false, resize, retry;

	start(n);
	while (!quit) {
		pthread_mutex_lock(&n->lock);
		quit = n->quit;
		resize = n->resize_wanted;
		retry = n->retry;
		n->retry = false;
		pthread_mutex_unlock(&n->lock);
		serve_cancels(n);
		if (n->state == NBD_FAILED && retry) {
			n->failing_since_ms = 0;
			set_state(n, NBD_STARTING);
		}
		if (n->state == NBD_WAITING && (retry || kvmb_now_ms() >= n->retry_at_ms))
			set_state(n, NBD_STARTING);
		if (!quit && (n->state == NBD_STARTING ||
			      (n->state == NBD_FAILED && kvmb_now_ms() >= n->retry_at_ms)))
			start(n);
		take_submits(n);
		if (n->state == NBD_FAILED && resize)
			report_resized(n, -EIO, "its server is gone");
		else if (n->state == NBD_UP && resize && !n->sent)
			do_resize(n);
		else if (n->state == NBD_UP && !resize)
			pump(n);
		if (n->state == NBD_UP && n->lost)
			went_down(n, "its server hung up");
		else if (!quit)
			wait_for_news(n);
		trim_log(n);
		bury(n);
	}
	return NULL;
}

/* ---- what the disk offers ---- */

static void nbd_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	struct nbd_disk *n = d->priv;
	bool first;

	r->next = NULL;
	r->cancelled = false;
	pthread_mutex_lock(&n->lock);
	first = !n->submits;
	*n->submits_tail = r;
	n->submits_tail = &r->next;
	pthread_mutex_unlock(&n->lock);
	if (first)
		kick(n);
}

static void nbd_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	struct nbd_disk *n = d->priv;

	pthread_mutex_lock(&n->lock);
	__atomic_store_n(&r->cancelled, true, __ATOMIC_RELEASE);
	n->any_cancel = true;
	pthread_mutex_unlock(&n->lock);
	kick(n);
}

static void nbd_retry(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	pthread_mutex_lock(&n->lock);
	n->retry = true;
	pthread_mutex_unlock(&n->lock);
	kick(n);
}

static int nbd_resize(struct kvmb_disk *d, u64 bytes, char *why, size_t size)
{
	struct nbd_disk *n = d->priv;
	u64 old = kvmb_disk_bytes(d);
	int err;

	if (bytes && !n->qsd) {
		snprintf(why, size, "its server decides how large it is; give no size");
		return -EINVAL;
	}
	if (!bytes && n->qsd)
		return 0; /* an image in our own daemon changes by us alone */
	if (bytes && bytes < old) {
		snprintf(why, size, "it has %llu bytes; making it smaller would destroy data",
			 (unsigned long long)old);
		return -EINVAL;
	}
	pthread_mutex_lock(&n->lock);
	n->resize_bytes = bytes;
	n->resize_done = false;
	n->resize_wanted = true;
	kick(n);
	while (!n->resize_done && !n->quit)
		pthread_cond_wait(&n->cond, &n->lock);
	err = n->resize_done ? n->resize_err : -ECANCELED;
	snprintf(why, size, "%s", n->why);
	pthread_mutex_unlock(&n->lock);
	return err;
}

static const char *nbd_health(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	return health_names[__atomic_load_n(&n->state, __ATOMIC_ACQUIRE)];
}

static u32 nbd_restarts(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	return __atomic_load_n(&n->restarts, __ATOMIC_RELAXED);
}

static void nbd_disk_close(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;
	struct op *op;

	pthread_mutex_lock(&n->lock);
	n->quit = true;
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
	kick(n);
	pthread_join(n->thread, NULL);
	if (n->h)
		nbd_aio_disconnect(n->h, 0); /* polite; nobody waits for it */
	disconnect(n);
	while ((op = n->ops)) {
		kvmb_assert(!op->r); /* channels wait for their requests before they let go */
		kill_op(n, op);
	}
	bury(n);
	kvmb_qsd_destroy(n->qsd);
	close(n->kick_fd);
	pthread_mutex_destroy(&n->lock);
	pthread_cond_destroy(&n->cond);
	free(n);
	d->priv = NULL;
	d->ops = NULL;
}

static const struct kvmb_disk_ops nbd_ops = {
	.submit = nbd_submit,
	.cancel = nbd_cancel,
	.retry = nbd_retry,
	.resize = nbd_resize,
	.health = nbd_health,
	.restarts = nbd_restarts,
	.close = nbd_disk_close,
};

int kvmb_nbd_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	struct nbd_disk *n = kvmb_xzalloc(sizeof(*n));
	const char *base = strrchr(d->path, '/');
	int err;

	n->d = d;
	n->submits_tail = &n->submits;
	n->waiting_tail = &n->waiting;
	n->stall_ms = 1000 * (spec->timeout_s ? spec->timeout_s : STALL_S);
	snprintf(n->who, sizeof(n->who), "disk %.50s", base && base[1] ? base + 1 : d->path);
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->cond, NULL);
	n->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (strcmp(d->format, "nbd"))
		n->qsd = kvmb_qsd_create(spec, d->format, d->read_only);
	d->priv = n;
	err = n->kick_fd < 0 ? -errno : -pthread_create(&n->thread, NULL, thread_main, n);
	if (err) {
		snprintf(why, size, "no thread for it: %s", strerror(-err));
		kvmb_qsd_destroy(n->qsd);
		free(n);
		d->priv = NULL;
		return err;
	}
	d->ops = &nbd_ops;
	pthread_mutex_lock(&n->lock);
	while (!n->opened)
		pthread_cond_wait(&n->cond, &n->lock);
	err = n->open_err;
	snprintf(why, size, "%s", n->why);
	pthread_mutex_unlock(&n->lock);
	return err; /* the caller closes a disk that did not open */
}
