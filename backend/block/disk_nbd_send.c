// SPDX-License-Identifier: GPL-2.0-only
/* Requests at the NBD server: sending, answers, silence, blame. Theory: disk_nbd_priv.h. */
#include "backend/block/disk_nbd_priv.h"

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define MAX_SENT 64u /* requests at the server */
#define BLAME_MAX 4u /* ends of the server at one request, alone: NBD_DIED and NBD_STALLED count */

/* ---- answers ---- */

static void write_succeeded(struct nbd_disk *n, struct op *op)
{
	struct kvmb_disk_req *r = op->r;

	if (n->no_flush) { /* nothing would ever end its time in the log */
		nbdisk_tell(op, 0);
		nbdisk_kill(n, op);
		return;
	}
	op->state = OP_LOGGED;
	op->done_at = ++n->acks;
	if (op->fua && n->no_fua && r && !op->aborted) { /* the server cannot: a flush does it */
		op->r = NULL;
		if (!nbdisk_new_flush(n, r))
			nbdisk_finish(r, -ENOMEM);
		return;
	}
	nbdisk_tell(op, 0);
}

static void op_succeeded(struct nbd_disk *n, struct op *op)
{
	if (nbdisk_is_write(op)) {
		write_succeeded(n, op);
		return;
	}
	if (op->io == KVMB_IO_FLUSH)
		nbdisk_flush_succeeded(n, op);
	nbdisk_tell(op, 0);
	nbdisk_kill(n, op);
}

static void op_failed(struct nbd_disk *n, struct op *op, int err)
{
	static struct kvmb_ratelimit rl; /* a log has many thousand */

	if (op->own) {
		nbdisk_own_flush_failed(n, err);
		kvmb_warn_ratelimited(
			n->who, "its server fails to flush: %s; writes wait, and fail if this goes "
				"on",
			strerror(err));
	}
	if (op->done_at && kvmb_ratelimit_ok(&rl))
		kvmb_err(n->who, "an acknowledged write at %llu is lost: %s",
			 (unsigned long long)op->offset, strerror(err));
	nbdisk_tell(op, -err);
	nbdisk_kill(n, op);
}

static bool is_lost(int err)
{
	return err == ENOTCONN || err == ESHUTDOWN || err == EPIPE || err == ECONNRESET ||
	       err == ECONNABORTED || err == EBADF;
}

static void left_server(struct nbd_disk *n, const struct op *op)
{
	n->sent--;
	n->flushes -= op->io == KVMB_IO_FLUSH;
	n->aborting -= op->aborted;
	if (op->suspect)
		n->alone = false;
}

/* libnbd has the answer to a request. */
static int on_completion(void *arg, int *error)
{
	struct op *op = arg;
	struct nbd_disk *n = op->n;

	left_server(n, op);
	if (*error && is_lost(*error)) {
		n->lost = true; /* nbdisk_requeue() makes it wait for the next connection */
		return 1;
	}
	n->progress_ms = kvmb_now_ms();
	if (!op->done_at) /* what it takes a second time proves nothing */
		__atomic_store_n(&n->fruitless, 0, __ATOMIC_RELAXED);
	if (*error)
		op_failed(n, op, *error);
	else
		op_succeeded(n, op);
	return 1;
}

static int64_t call_libnbd(struct nbd_disk *n, struct op *op)
{
	nbd_completion_callback cb = { .callback = on_completion, .user_data = op };
	/* without FLUSH it is the only way to keep what a guest's flush promises */
	u32 fua = (op->fua || n->no_flush) && !n->no_fua ? LIBNBD_CMD_FLAG_FUA : 0;

	switch (op->io) {
	case KVMB_IO_READ:
		return libnbd.aio_pread(n->h, op->buf, op->length, op->offset, cb, 0);
	case KVMB_IO_WRITE:
		return libnbd.aio_pwrite(n->h, op->buf, op->length, op->offset, cb, fua);
	case KVMB_IO_ZERO:
		return libnbd.aio_zero(n->h, op->length, op->offset, cb, fua);
	default:
		return libnbd.aio_flush(n->h, cb, 0);
	}
}

static void send_op(struct nbd_disk *n, struct op *op)
{
	int err;

	op->state = OP_SENT;
	op->sent_ms = kvmb_now_ms();
	if (!n->sent++)
		n->progress_ms = op->sent_ms;
	n->flushes += op->io == KVMB_IO_FLUSH;
	n->alone = op->suspect;
	op->covers = n->acks;
	/* it was requested from an earlier server */
	if (op->io == KVMB_IO_FLUSH && n->no_flush) {
		left_server(n, op);
		op_succeeded(n, op);
		return;
	}
	if (call_libnbd(n, op) >= 0)
		return;
	err = libnbd.get_errno(); /* not taken: no callback will come */
	left_server(n, op);
	if (libnbd.aio_is_dead(n->h) || libnbd.aio_is_closed(n->h))
		n->lost = true;
	else /* the server never said that it can do such a thing */
		op_failed(n, op, err ? err : EIO);
}

/*
 * What was acknowledged comes first, one at a time, in order: later ones may overwrite earlier
 * ones.
 */
static bool replay(struct nbd_disk *n)
{
	struct op *op;

	while (n->replay_at && !n->sent && !n->lost) {
		for (op = n->replay_at; op && op->state != OP_REPLAY; op = op->next)
			;
		n->replay_at = op;
		if (op)
			send_op(n, op);
	}
	return n->replay_at;
}

/* Send what may be sent. Who was at the server when it ended is there alone the next time. */
void nbdisk_pump(struct nbd_disk *n)
{
	struct op *op;

	if (replay(n))
		return;
	while ((op = n->waiting) && n->sent < MAX_SENT && !n->lost) {
		if (n->sent && (n->alone || op->suspect))
			return;
		n->waiting = op->link;
		if (!n->waiting)
			n->waiting_tail = &n->waiting;
		send_op(n, op);
	}
}

bool nbdisk_is_stalled(struct nbd_disk *n, u64 now)
{
	u64 flush_ms = (u64)NBD_FLUSH_TIMES * n->stall_ms;
	struct op *op;

	if (!n->sent)
		return false;
	if (now - n->progress_ms >= (n->flushes ? flush_ms : n->stall_ms))
		return true;
	if (n->aborting && now >= n->abort_by_ms)
		return true;
	if (now - n->looked_ms < 1000)
		return false;
	n->looked_ms = now;
	for (op = n->ops; op; op = op->next) { /* others are answered, this one is not */
		if (op->state == OP_SENT && now - op->sent_ms >= flush_ms)
			return true;
	}
	return false;
}

/* ---- who did it ---- */

static void give_up(struct nbd_disk *n, struct op *op)
{
	static const char *const names[] = { [KVMB_IO_READ] = "read", [KVMB_IO_WRITE] = "write",
					     [KVMB_IO_FLUSH] = "flush", [KVMB_IO_ZERO] = "unmap" };

	kvmb_warn_ratelimited(n->who,
			      "a %s at %llu ends its server each time; that request fails",
			      names[op->io], (unsigned long long)op->offset);
	nbdisk_tell(op, -EIO);
	nbdisk_kill(n, op);
}

bool nbdisk_blame(struct nbd_disk *n, enum nbd_end how)
{
	struct op *op, *last = NULL;
	u32 num = 0;

	for (op = n->ops; op; op = op->next) {
		if (op->state != OP_SENT)
			continue;
		num++;
		last = op;
		op->suspect = !op->done_at;
		if (op->own)
			nbdisk_own_flush_failed(n, EIO);
	}
	if (num == 1 && !last->done_at && !last->own) {
		last->deaths += how;
		if (last->deaths >= BLAME_MAX)
			give_up(n, last);
	}
	return num;
}
