// SPDX-License-Identifier: GPL-2.0-only
/* The log: operations that may have to be repeated. Theory: disk_nbd_priv.h. */
#include "backend/block/disk_nbd_priv.h"

#include "backend/iov.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define LOG_LIMIT (32u << 20)	/* bytes of data in the log */
#define READ_LIMIT (32u << 20)	/* bytes of reads that are taken over */
#define ABORT_MS 5000u		/* our own daemon is given so long to answer an aborted write */
#define FLUSH_RETRY_MS 2000u	/* longest pause after a flush of our own that failed */

/* ---- operations ---- */

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
	n->reading += op->io == KVMB_IO_READ ? op->length : 0;
	make_waiting(n, op);
}

/* Not WAITING. It is taken off the list at once and freed by bury(). */
void nbdisk_kill(struct nbd_disk *n, struct op *op)
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
	n->reading -= op->io == KVMB_IO_READ ? op->length : 0;
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

/* Answer whoever waits, now; the operation itself may stay. */
void nbdisk_tell(struct op *op, int result)
{
	struct kvmb_disk_req *r = op->r;

	if (!r)
		return;
	op->r = NULL;
	/* whatever became of it: what follows it in a larger request must not be sent */
	if (op->aborted)
		result = -ECANCELED;
	op->aborted = false;
	if (op->io == KVMB_IO_READ && !result)
		kvmb_iov_write(r->iov, r->num_iov, op->buf, (u32)op->length);
	nbdisk_finish(r, result);
}

static void trim_log(struct nbd_disk *n)
{
	struct op *op, *next;

	for (op = n->trim_to ? n->ops : NULL; op; op = next) {
		next = op->next;
		if (op->state == OP_LOGGED && op->done_at <= n->trim_to)
			nbdisk_kill(n, op);
	}
	n->trim_to = 0;
}

void nbdisk_trim(struct nbd_disk *n)
{
	trim_log(n);
	bury(n);
}

struct op *nbdisk_new_flush(struct nbd_disk *n, struct kvmb_disk_req *r)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op) {
		op->io = KVMB_IO_FLUSH;
		op->r = r;
		op->own = !r;
		add_op(n, op);
	}
	return op;
}

/* ---- flushes of our own ---- */

void nbdisk_own_flush_failed(struct nbd_disk *n, int err)
{
	u64 now = kvmb_now_ms();

	n->flushing = false;
	n->flush_err = err;
	n->flush_failed_ms = now;
	if (!n->flush_fails_since_ms)
		n->flush_fails_since_ms = now;
	n->flush_pause_ms =
		KVMB_MIN(n->flush_pause_ms ? n->flush_pause_ms * 2 : 100, FLUSH_RETRY_MS);
	n->flush_at_ms = now + n->flush_pause_ms;
}

void nbdisk_flush_succeeded(struct nbd_disk *n, struct op *op)
{
	n->trim_to = KVMB_MAX(n->trim_to, op->covers);
	if (op->own)
		n->flushing = false;
	nbdisk_forget_flushes(n);
}

void nbdisk_forget_flushes(struct nbd_disk *n)
{
	n->flush_fails_since_ms = n->flush_at_ms = 0;
	n->flush_pause_ms = 0;
}

/* May the log grow? If not, a flush is on its way and writes wait. */
static bool log_has_room(struct nbd_disk *n)
{
	if (n->logged >= LOG_LIMIT / 2 && !n->flushing && !n->no_flush &&
	    kvmb_now_ms() >= n->flush_at_ms)
		n->flushing = nbdisk_new_flush(n, NULL);
	return n->logged < LOG_LIMIT;
}

/*
 * It is full, and nothing says that it will not stay so: a flush that is under way may yet succeed.
 */
static bool log_is_stuck(const struct nbd_disk *n)
{
	return n->logged >= LOG_LIMIT && n->flush_fails_since_ms &&
	       n->flush_failed_ms - n->flush_fails_since_ms >= NBD_GIVE_UP_MS;
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
		nbdisk_finish(r, -EIO);
		return;
	}
	if (log_is_stuck(n) && (r->io == KVMB_IO_WRITE || r->io == KVMB_IO_ZERO)) {
		nbdisk_finish(r, -n->flush_err);
		return;
	}
	op = make_op(r);
	if (!op) {
		nbdisk_finish(r, -ENOMEM);
		return;
	}
	op->r = r;
	add_op(n, op);
}

/*
 * Take over what was handed in. It stays in the queue while the log is full, or many reads are
 * under way.
 */
void nbdisk_take_submits(struct nbd_disk *n)
{
	struct kvmb_disk_req *r;

	for (;;) {
		if (n->state != NBD_FAILED &&
		    ((!log_has_room(n) && !log_is_stuck(n)) || n->reading >= READ_LIMIT))
			return;
		pthread_mutex_lock(&n->lock);
		/* a retry first: what comes after it must not fail as before it */
		r = n->retry ? NULL : n->submits;
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

static void cancel_submits(struct nbd_disk *n)
{
	struct kvmb_disk_req *r, *next, *gone = NULL, **p;

	pthread_mutex_lock(&n->lock);
	for (p = &n->submits; (r = *p);) {
		if (!r->cancelled) {
			p = &r->next;
			continue;
		}
		*p = r->next;
		r->next = gone;
		gone = r;
	}
	n->submits_tail = p;
	pthread_mutex_unlock(&n->lock);
	for (r = gone; r; r = next) {
		next = r->next;
		nbdisk_finish(r, -ECANCELED);
	}
}

static bool is_cancelled(const struct op *op)
{
	return op->r && __atomic_load_n(&op->r->cancelled, __ATOMIC_ACQUIRE);
}

static void cancel_waiting(struct nbd_disk *n)
{
	struct op *op, **p, *gone = NULL;

	for (p = &n->waiting; (op = *p);) {
		if (!is_cancelled(op)) {
			p = &op->link;
			continue;
		}
		*p = op->link;
		op->link = gone;
		gone = op;
	}
	n->waiting_tail = p;
	while ((op = gone)) {
		gone = op->link;
		nbdisk_tell(op, -ECANCELED);
		nbdisk_kill(n, op);
	}
}

static void cancel_sent(struct nbd_disk *n)
{
	struct op *op;

	for (op = n->ops; op; op = op->next) {
		if (op->state != OP_SENT || !is_cancelled(op) || op->aborted)
			continue;
		if (!nbdisk_is_write(op)) {
			nbdisk_tell(op, -ECANCELED);
			continue;
		}
		op->aborted = true;
		if (!n->aborting++)
			n->abort_by_ms = kvmb_now_ms() +
					 (n->qsd ? KVMB_MIN(n->stall_ms, ABORT_MS) : n->stall_ms);
	}
}

void nbdisk_serve_cancels(struct nbd_disk *n)
{
	bool any;

	pthread_mutex_lock(&n->lock);
	any = n->any_cancel;
	n->any_cancel = false;
	pthread_mutex_unlock(&n->lock);
	if (!any)
		return;
	cancel_submits(n);
	cancel_waiting(n);
	cancel_sent(n);
}

/* Fail everybody who waits. What was acknowledged stays in the log, for better days. */
void nbdisk_fail_waiting(struct nbd_disk *n)
{
	struct op *op, *next;

	for (op = n->ops; op; op = next) {
		next = op->next;
		if (op->done_at)
			continue;
		nbdisk_tell(op, -EIO);
		nbdisk_kill(n, op);
	}
	n->waiting = NULL;
	n->waiting_tail = &n->waiting;
	n->flushing = false;
	bury(n);
}

/*
 * Everything that was under way waits again; acknowledged writes are to be replayed. What nobody
 * waits for is dropped, and so is an aborted write: from here on it will not land by our doing.
 */
void nbdisk_requeue(struct nbd_disk *n)
{
	struct op *op, *next;

	trim_log(n);
	n->sent = n->flushes = n->aborting = 0;
	n->lost = n->alone = n->flushing = false;
	n->waiting = NULL;
	n->waiting_tail = &n->waiting;
	for (op = n->ops; op; op = next) {
		next = op->next;
		if (op->done_at) {
			op->state = n->same_server ? op->state : OP_REPLAY;
			continue;
		}
		if (op->aborted)
			nbdisk_tell(op, -ECANCELED);
		if (op->r)
			make_waiting(n, op);
		else
			nbdisk_kill(n, op);
	}
	bury(n);
	n->replay_at = n->ops;
	n->same_server = false;
}

void nbdisk_drop_all(struct nbd_disk *n)
{
	struct op *op;

	while ((op = n->ops)) {
		kvmb_assert(!op->r); /* channels wait for their requests before they let go */
		nbdisk_kill(n, op);
	}
	bury(n);
}
