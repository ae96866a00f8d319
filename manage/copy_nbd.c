// SPDX-License-Identifier: GPL-2.0-only
/* A disk at an NBD server as the source of a copy: copier.h. Source: libnbd(3); NBD protocol. */
#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/block/nbd_lib.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "manage/copier.h"
#include "manage/disk_id.h"

#define ALLOCATION "base:allocation" /* a meta context */
#define STATE_ZERO 2u		     /* of an extent in it: it reads as zeroes */
#define WINDOW (1u << 30)	     /* bytes that are asked about at once */
#define GREETING_MS 20000u
#define TICK_MS 200
#define GOODBYE_TICKS 5

struct nbd_source {
	struct copier_source s;
	struct nbd_handle *nbd;
	bool knows_zeroes;
	/* of the question about extents that is being asked */
	bool asked, answered;
	int status_err;
	uint64_t from, end;
	bool zero;
};

static struct nbd_source *nbd_of(struct copier_source *s)
{
	return container_of(s, struct nbd_source, s);
}

/* Return: -errno, never 0. */
static int fail_nbd(struct nbd_source *n)
{
	int err = libnbd.get_errno();
	const char *text = libnbd.get_error();

	snprintf(n->s.why, sizeof(n->s.why), "%s", text ? text : "the connection is gone");
	return err > 0 ? -err : -EIO;
}

static int read_done(void *arg, int *error)
{
	struct copier_slot *slot = arg;

	slot->err = *error > 0 ? -*error : *error;
	slot->done = true;
	return 1; /* libnbd forgets it */
}

static int begin_nbd(struct copier_source *s, struct copier_slot *slot)
{
	nbd_completion_callback cb = { .callback = read_done, .user_data = slot };

	if (libnbd.aio_pread(nbd_of(s)->nbd, slot->buf, slot->len, slot->at, cb, 0) >= 0)
		return 0;
	return fail_nbd(nbd_of(s));
}

static int wait_for_nbd(struct copier_source *s, int ms)
{
	struct nbd_source *n = nbd_of(s);

	if (libnbd.poll(n->nbd, ms) < 0)
		return fail_nbd(n);
	if (!libnbd.aio_is_dead(n->nbd) && !libnbd.aio_is_closed(n->nbd))
		return 0;
	snprintf(s->why, sizeof(s->why), "the connection is gone");
	return -ECONNRESET;
}

/* ---- what is zero ---- */

/* The first extents of one kind; any lengths are possible. */
static int take_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries,
			size_t num, int *error)
{
	struct nbd_source *n = arg;
	size_t i;

	if (*error || strcmp(context, ALLOCATION) || offset != n->from)
		return 0;
	for (i = 0; i + 1 < num; i += 2) {
		if (i && !(entries[i + 1] & STATE_ZERO) == n->zero)
			break;
		n->zero = entries[i + 1] & STATE_ZERO;
		n->end += entries[i];
	}
	return 0;
}

static int status_done(void *arg, int *error)
{
	struct nbd_source *n = arg;

	n->answered = true;
	n->status_err = *error;
	return 1;
}

/* A server that does not answer this is asked no more. */
static int look_at_nbd(struct copier_source *s, uint64_t at, uint64_t *end, bool *zero)
{
	struct nbd_source *n = nbd_of(s);
	nbd_extent_callback extents = { .callback = take_extents, .user_data = n };
	nbd_completion_callback done = { .callback = status_done, .user_data = n };
	uint64_t until = kvmb_now_ms() + COPIER_SILENT_MS;
	int err = 0;

	*end = s->bytes;
	*zero = false;
	if (!n->knows_zeroes)
		return 0;
	n->from = n->end = at;
	n->zero = n->answered = false;
	n->status_err = 0;
	if (libnbd.aio_block_status(n->nbd, KVMB_MIN(WINDOW, s->bytes - at), at, extents, done, 0) <
	    0)
		return fail_nbd(n);
	while (!err && !n->answered) {
		err = wait_for_nbd(s, TICK_MS);
		if (!err && kvmb_now_ms() > until)
			err = -ETIMEDOUT;
	}
	if (err)
		return err;
	if (n->status_err) {
		n->knows_zeroes = false;
		return 0;
	}
	*end = KVMB_MIN(n->end, s->bytes);
	*zero = n->zero;
	return 0;
}

/* A server that is only hung up on complains, and who watches ssh reads it. */
static void say_goodbye(struct nbd_handle *nbd)
{
	int i;

	if (!libnbd.aio_is_ready(nbd) || libnbd.aio_disconnect(nbd, 0) < 0)
		return;
	for (i = 0; i < GOODBYE_TICKS && !libnbd.aio_is_closed(nbd) && !libnbd.aio_is_dead(nbd);
	     i++) {
		if (libnbd.poll(nbd, TICK_MS) < 0)
			return;
	}
}

/* Callbacks come no more, so their slots may go. */
static void close_nbd(struct copier_source *s)
{
	say_goodbye(nbd_of(s)->nbd);
	libnbd.close(nbd_of(s)->nbd);
	free(nbd_of(s));
}

static const struct copier_ops nbd_ops = { begin_nbd, wait_for_nbd, look_at_nbd, close_nbd };

/* ---- connecting ---- */

static int greet_nbd(struct nbd_source *n, int fd)
{
	uint64_t until = kvmb_now_ms() + GREETING_MS;

	n->nbd = libnbd.create();
	if (!n->nbd) {
		close(fd);
		return fail_nbd(n);
	}
	if (libnbd.add_meta_context(n->nbd, ALLOCATION) < 0) {
		close(fd);
		return fail_nbd(n);
	}
	if (libnbd.aio_connect_socket(n->nbd, fd) < 0)
		return fail_nbd(n);
	while (!libnbd.aio_is_ready(n->nbd)) {
		if (libnbd.poll(n->nbd, TICK_MS) < 0)
			return fail_nbd(n);
		if (libnbd.aio_is_dead(n->nbd) || libnbd.aio_is_closed(n->nbd)) {
			snprintf(n->s.why, sizeof(n->s.why), "the connection is gone");
			return -ECONNRESET;
		}
		if (kvmb_now_ms() > until) {
			snprintf(n->s.why, sizeof(n->s.why), "it does not greet");
			return -ETIMEDOUT;
		}
	}
	return 0;
}

static int learn_size(struct nbd_source *n)
{
	int64_t bytes = libnbd.get_size(n->nbd);

	if (bytes < 0)
		return fail_nbd(n);
	if (!bytes || (uint64_t)bytes > COPIER_MOST) {
		snprintf(n->s.why, sizeof(n->s.why), "a disk of %lld bytes", (long long)bytes);
		return -EINVAL;
	}
	n->s.bytes = (uint64_t)bytes;
	n->knows_zeroes = libnbd.can_meta_context(n->nbd, ALLOCATION) > 0;
	return 0;
}

/* What is in its partition table is a part of what it is. */
static int learn_table(struct nbd_source *n)
{
	unsigned char head[1024] = { 0 };
	struct copier_slot slot = { .buf = head,
				    .len = (uint32_t)KVMB_MIN(n->s.bytes & ~511ull, 1024u) };
	uint64_t until = kvmb_now_ms() + GREETING_MS;
	int err = slot.len ? begin_nbd(&n->s, &slot) : 0;

	while (slot.len && !err && !slot.done) {
		err = wait_for_nbd(&n->s, TICK_MS);
		if (!err && kvmb_now_ms() > until)
			err = -ETIMEDOUT;
	}
	if (!err)
		err = slot.err;
	if (!err) {
		disk_id_add_table(n->s.id, sizeof(n->s.id), head);
		return 0;
	}
	libnbd.close(n->nbd); /* before @slot goes */
	n->nbd = NULL;
	return err;
}

struct copier_source *copy_nbd_open(int fd, const char *id, char *why, size_t size)
{
	struct nbd_source *n = kvmb_xzalloc(sizeof(*n));
	int err = kvmb_libnbd_load(why, size);

	n->s.ops = &nbd_ops;
	snprintf(n->s.id, sizeof(n->s.id), "%s", id);
	disk_id_plain(n->s.id);
	if (err) {
		close(fd);
		free(n);
		return NULL;
	}
	err = greet_nbd(n, fd);
	if (!err)
		err = learn_size(n);
	if (!err)
		err = learn_table(n);
	if (!err)
		return &n->s;
	snprintf(why, size, "%s", n->s.why[0] ? n->s.why : strerror(-err));
	if (n->nbd)
		libnbd.close(n->nbd);
	free(n);
	return NULL;
}
