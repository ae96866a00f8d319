// SPDX-License-Identifier: GPL-2.0-only
/* Operations at an NBD server, and the log of those that may have to be repeated: disk_nbd_priv.h. */
#include "host-vsp/storage/disk_nbd_priv.h"

#include "host-vsp/iov.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define LOG_LIMIT (32u << 20)	/* bytes of data in the log */
#define READ_LIMIT (32u << 20)	/* bytes of reads that are taken over */
#define MAX_SENT 64u		/* requests at the server */

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
	n->reading += op->io == KVMB_IO_READ ? op->length : 0;
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

void nbdisk_trim(struct nbd_disk *n)
{
	trim_log(n);
	bury(n);
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
		n->lost = true; /* nbdisk_requeue() makes it wait for the next connection */
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
		cookie = libnbd.aio_pread(n->h, op->buf, op->length, op->offset, cb, 0);
		break;
	case KVMB_IO_WRITE:
		cookie = libnbd.aio_pwrite(n->h, op->buf, op->length, op->offset, cb, fua);
		break;
	case KVMB_IO_ZERO:
		cookie = libnbd.aio_zero(n->h, op->length, op->offset, cb, fua);
		break;
	default:
		op->covers = n->acks;
		cookie = libnbd.aio_flush(n->h, cb, 0);
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
void nbdisk_pump(struct nbd_disk *n)
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

/* Take over what was handed in. It stays in the queue while the log is full, or many reads are under way. */
void nbdisk_take_submits(struct nbd_disk *n)
{
	struct kvmb_disk_req *r;

	for (;;) {
		if (n->state != NBD_FAILED && (!log_has_room(n) || n->reading >= READ_LIMIT))
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

void nbdisk_serve_cancels(struct nbd_disk *n)
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
void nbdisk_fail_waiting(struct nbd_disk *n)
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

/* Everything that was under way waits again; acknowledged writes are to be replayed. */
void nbdisk_requeue(struct nbd_disk *n)
{
	struct op *op;

	nbdisk_trim(n);
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
}

void nbdisk_drop_all(struct nbd_disk *n)
{
	struct op *op;

	while ((op = n->ops)) {
		kvmb_assert(!op->r); /* channels wait for their requests before they let go */
		kill_op(n, op);
	}
	bury(n);
}
