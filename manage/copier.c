// SPDX-License-Identifier: GPL-2.0-only
/* Copying a disk into a raw file: copier.h. */
#include "manage/copier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/loop.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "manage/copy_journal.h"

#define TICK_MS 200
#define DRAIN_MS 2000u
#define QUESTIONS 32u /* about a grain; then it is read, for who answers by bytes never ends */

struct run {
	struct copier *c;
	struct copier_slot slots[COPIER_SLOTS];
	uint64_t next, grains; /* the grain that is begun next */
	uint64_t known_to;     /* what look() said of what is behind @next holds until here */
	bool known_zero, verify;
	uint64_t done; /* bytes */
	uint32_t busy, unsynced;
	uint64_t synced_ms, answered_ms;
	char *why;
	size_t size;
};

static int fail_run(struct run *r, int err, const char *what)
{
	const struct copier_source *s = r->c->source;

	snprintf(r->why, r->size, "%s: %s", what, s->why[0] ? s->why : strerror(-err));
	return err;
}

static uint32_t bytes_of(const struct run *r, uint64_t n)
{
	return (uint32_t)KVMB_MIN(COPIER_GRAIN, r->c->source->bytes - n * COPIER_GRAIN);
}

static void mark_done(struct run *r, uint64_t n)
{
	r->done += bytes_of(r, n);
	if (r->verify || !r->c->journal)
		return;
	copy_journal_mark(r->c->journal, n);
	r->unsynced++;
}

/* ---- what is copied ---- */

/* A part of it may be left from before it was interrupted, or of a disk that was in use then. */
static int make_hole(struct run *r, uint64_t n)
{
	static const char zeroes[4096];
	uint64_t at = n * COPIER_GRAIN, end = at + bytes_of(r, n);
	int err = 0;

	if (r->c->fresh || !fallocate(r->c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      (off_t)at, (off_t)(end - at)))
		return 0;
	for (; !err && at < end; at += sizeof(zeroes))
		err = kvmb_pwrite_all(r->c->fd, zeroes, KVMB_MIN(sizeof(zeroes), end - at), at);
	return err;
}

static int compare(struct run *r, const void *data, uint64_t at, uint32_t len)
{
	unsigned char *ours = malloc(len);
	int err = ours ? kvmb_pread_all(r->c->fd, ours, len, at) : -ENOMEM;
	uint32_t i = 0;

	if (err) {
		fail_run(r, err, "reading the copy");
	} else if (memcmp(ours, data, len)) {
		while (ours[i] == ((const unsigned char *)data)[i])
			i++;
		snprintf(r->why, r->size, "source and copy differ at byte %llu",
			 (unsigned long long)at + i);
		err = -ESTALE;
	}
	free(ours);
	return err;
}

static int take_grain(struct run *r, const struct copier_slot *s)
{
	int err;

	if (r->verify)
		return compare(r, s->buf, s->at, s->len);
	if (kvmb_all_zero(s->buf, s->len))
		err = make_hole(r, s->at / COPIER_GRAIN);
	else
		err = kvmb_pwrite_all(r->c->fd, s->buf, s->len, s->at);
	if (err)
		snprintf(r->why, r->size, "writing the copy: %s", strerror(-err));
	return err;
}

static int take_zero(struct run *r, uint64_t n)
{
	static const char zeroes[COPIER_GRAIN];
	int err = r->verify ? compare(r, zeroes, n * COPIER_GRAIN, bytes_of(r, n)) :
			      make_hole(r, n);

	if (err && !r->verify)
		snprintf(r->why, r->size, "writing the copy: %s", strerror(-err));
	if (!err)
		mark_done(r, n);
	return err;
}

/* ---- what is read ---- */

/* Is the next grain zero, as far as the source knows? Return: 1, 0, or -errno. */
static int looks_zero(struct run *r)
{
	struct copier_source *s = r->c->source;
	uint64_t at = r->next * COPIER_GRAIN, end = at + bytes_of(r, r->next), to;
	uint32_t asked = 0;
	int err;

	if (!s->ops->look)
		return 0;
	while (r->known_to < end) {
		if (r->known_to > at && !r->known_zero)
			return 0;
		to = KVMB_MAX(r->known_to, at);
		err = s->ops->look(s, to, &r->known_to, &r->known_zero);
		if (err)
			return fail_run(r, err, "asking the source");
		if (r->known_to <= to || ++asked == QUESTIONS) { /* it said next to nothing */
			r->known_to = end;
			r->known_zero = false;
		}
	}
	return r->known_zero;
}

static int begin_read(struct run *r, struct copier_slot *s)
{
	int err;

	s->at = r->next * COPIER_GRAIN;
	s->len = bytes_of(r, r->next);
	s->busy = true;
	s->done = false;
	s->err = 0;
	err = r->c->source->ops->begin(r->c->source, s);
	if (err) {
		s->busy = false;
		return fail_run(r, err, "reading the source");
	}
	if (!r->busy++)
		r->answered_ms = kvmb_now_ms();
	r->next++;
	return 0;
}

static struct copier_slot *free_slot(struct run *r)
{
	uint32_t i;

	for (i = 0; i < COPIER_SLOTS; i++) {
		if (!r->slots[i].busy)
			return &r->slots[i];
	}
	return NULL;
}

/* Until a read is begun, or a whole window of zeroes is behind us: who waits wants to be told. */
static int begin_some(struct run *r)
{
	struct copier_slot *s = free_slot(r);
	uint32_t zeroes = 0;
	int zero, err = 0;

	while (!err && s && r->next < r->grains && zeroes < 1024) {
		if (!r->verify && r->c->journal && copy_journal_has(r->c->journal, r->next)) {
			r->next++;
			continue;
		}
		zero = looks_zero(r);
		if (zero < 0)
			return zero;
		if (zero) {
			err = take_zero(r, r->next++);
			zeroes++;
			continue;
		}
		err = begin_read(r, s);
		s = free_slot(r);
	}
	return err;
}

/* Return: 1: something was done; 0; -errno. */
static int take_some(struct run *r)
{
	struct copier_slot *s;
	int err, some = 0;

	for (s = r->slots; s < r->slots + COPIER_SLOTS; s++) {
		if (!s->busy || !s->done)
			continue;
		s->busy = false;
		r->busy--;
		r->answered_ms = kvmb_now_ms();
		err = s->err ? fail_run(r, s->err, "reading the source") : take_grain(r, s);
		if (err)
			return err;
		r->c->read += s->len;
		mark_done(r, s->at / COPIER_GRAIN);
		some = 1;
	}
	return some;
}

static int sync_journal(struct run *r)
{
	int err;

	if (!r->c->journal || r->verify)
		return 0;
	err = copy_journal_sync(r->c->journal, r->c->fd);
	if (err)
		snprintf(r->why, r->size, "writing the copy to disk: %s", strerror(-err));
	r->unsynced = 0;
	r->synced_ms = kvmb_now_ms();
	return err;
}

static int wait_some(struct run *r)
{
	struct copier_source *s = r->c->source;
	int err;

	if (!r->busy)
		return 0;
	err = s->ops->wait(s, TICK_MS);
	if (err)
		return fail_run(r, err, "reading the source");
	if (kvmb_now_ms() - r->answered_ms > COPIER_SILENT_MS) {
		snprintf(r->why, r->size, "reading the source: no answer for %u seconds",
			 COPIER_SILENT_MS / 1000);
		return -ETIMEDOUT;
	}
	return 0;
}

static int one_turn(struct run *r)
{
	int some, err = begin_some(r);

	some = err ? err : take_some(r);
	if (some < 0)
		return some;
	if (!some)
		err = wait_some(r);
	if (!err && (r->unsynced >= COPIER_SYNC_GRAINS ||
		     (r->unsynced && kvmb_now_ms() - r->synced_ms >= COPIER_SYNC_MS)))
		err = sync_journal(r);
	if (!err && !r->c->tell(r->c->arg, r->done, r->c->source->bytes)) {
		snprintf(r->why, r->size, "interrupted");
		err = -EINTR;
	}
	return err;
}

/* Told to stop: what is on its way counts, if it comes soon. */
static void drain(struct run *r)
{
	uint64_t until = kvmb_now_ms() + DRAIN_MS;
	int some = 0;

	while (r->busy && some >= 0 && kvmb_now_ms() < until) {
		some = take_some(r);
		if (!some && r->c->source->ops->wait(r->c->source, TICK_MS))
			break;
	}
}

static int run_copy(struct copier *c, bool verify, char *why, size_t size)
{
	struct run r = { .c = c, .verify = verify, .why = why, .size = size };
	uint64_t n;
	uint32_t i;
	int err = 0;

	c->source->why[0] = 0;
	r.grains = (c->source->bytes + COPIER_GRAIN - 1) / COPIER_GRAIN;
	r.synced_ms = kvmb_now_ms();
	for (n = 0; !verify && c->journal && n < r.grains; n++)
		r.done += copy_journal_has(c->journal, n) ? bytes_of(&r, n) : 0;
	for (i = 0; i < COPIER_SLOTS; i++) {
		r.slots[i].buf = aligned_alloc(4096, COPIER_GRAIN);
		kvmb_assert(r.slots[i].buf);
	}
	while (!err && (r.next < r.grains || r.busy))
		err = one_turn(&r);
	if (err == -EINTR) {
		drain(&r);
		snprintf(why, size, "interrupted");
	}
	if (err) {
		/* what is in flight may still be written to; what is copied counts */
		c->source->ops->close(c->source);
		c->source = NULL;
		if (c->journal && !verify)
			copy_journal_sync(c->journal, c->fd);
	} else {
		err = sync_journal(&r);
		if (!err && !verify && fdatasync(c->fd)) {
			err = -errno;
			snprintf(why, size, "writing the copy to disk: %s", strerror(-err));
		}
	}
	for (i = 0; i < COPIER_SLOTS; i++)
		free(r.slots[i].buf);
	return err;
}

int copier_run(struct copier *c, char *why, size_t size)
{
	return run_copy(c, false, why, size);
}

int copier_verify(struct copier *c, char *why, size_t size)
{
	return run_copy(c, true, why, size);
}
