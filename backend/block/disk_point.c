// SPDX-License-Identifier: GPL-2.0-only
/* A disk as it was at one moment. Theory: disk_point.h. */
#include "backend/block/disk_point.h"

#include <stdlib.h>

#include "lib/loop.h"
#include "lib/util.h"

#define WORD 64u
#define WANTS 64u /* that are remembered; who finds no room asks again */

struct want {
	u64 chunk, num;
	u64 since_ms;
};

struct kvmb_disk_point {
	struct kvmb_disk_point *before; /* of another size; somebody may be on his way to it */
	u64 chunks;
	bool broken;	      /* atomic */
	pthread_mutex_t lock; /* guards the next four, and who clears bits */
	struct kvmb_disk_bell *bell;
	u64 saved_ms; /* when the copier was last seen */
	u32 num_wants;
	struct want wants[WANTS];
	u64 bits[]; /* atomic: bits[chunks / 64, rounded up], set: not saved */
};

struct kvmb_disk_since {
	u64 bytes;		/* of the disk when it began */
	char id[KVMB_POINT_ID]; /* of the last good point; "" = none */
	u64 bits[];
};

static u64 words_of(u64 chunks)
{
	return (chunks + WORD - 1) / WORD;
}

static struct kvmb_disk_point *point_of(const struct kvmb_disk *d)
{
	return __atomic_load_n(&d->point, __ATOMIC_ACQUIRE);
}

/* ---- its life ---- */

static struct kvmb_disk_point *make_point(struct kvmb_disk *d)
{
	u64 chunks = kvmb_disk_chunks(d);
	struct kvmb_disk_point *p = d->point;

	if (p && p->chunks == chunks)
		return p;
	p = calloc(1, sizeof(*p) + words_of(chunks) * sizeof(p->bits[0]));
	if (!p)
		return NULL;
	p->chunks = chunks;
	pthread_mutex_init(&p->lock, NULL);
	p->before = d->point;
	__atomic_store_n(&d->point, p, __ATOMIC_RELEASE);
	return p;
}

int kvmb_disk_point_begin(struct kvmb_disk *d, const u64 *only, struct kvmb_disk_bell *bell)
{
	struct kvmb_disk_point *p = make_point(d);
	u64 w;

	kvmb_assert(!d->pointed);
	if (!p)
		return -ENOMEM;
	pthread_mutex_lock(&p->lock);
	for (w = 0; w < words_of(p->chunks); w++)
		__atomic_store_n(&p->bits[w], only ? only[w] : ~0ull, __ATOMIC_RELAXED);
	if (p->chunks % WORD) /* none beyond the end */
		__atomic_fetch_and(&p->bits[p->chunks / WORD], (1ull << p->chunks % WORD) - 1,
				   __ATOMIC_RELAXED);
	p->bell = bell;
	p->num_wants = 0;
	__atomic_store_n(&p->broken, false, __ATOMIC_RELAXED);
	__atomic_store_n(&d->pointed, true, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void kvmb_disk_point_end(struct kvmb_disk *d)
{
	struct kvmb_disk_point *p = point_of(d);

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	__atomic_store_n(&d->pointed, false, __ATOMIC_SEQ_CST);
	p->bell = NULL;
	p->num_wants = 0;
	pthread_mutex_unlock(&p->lock);
}

bool kvmb_disk_point_broken(const struct kvmb_disk *d)
{
	const struct kvmb_disk_point *p = point_of(d);

	return p && __atomic_load_n(&p->broken, __ATOMIC_ACQUIRE);
}

/* ---- bits ---- */

/* The first chunk of [from, end) that is not saved; @end: none. Barrier P': before a write. */
static u64 next_set(const struct kvmb_disk_point *p, u64 from, u64 end)
{
	u64 word;

	while (from < end) {
		word = __atomic_load_n(&p->bits[from / WORD], __ATOMIC_ACQUIRE) >> from % WORD;
		if (word)
			return KVMB_MIN(from + (u64)__builtin_ctzll(word), end);
		from += WORD - from % WORD;
	}
	return end;
}

static u64 run_of(const struct kvmb_disk_point *p, u64 chunk, u64 end)
{
	u64 n = 1;

	while (chunk + n < end && next_set(p, chunk + n, chunk + n + 1) == chunk + n)
		n++;
	return n;
}

u64 kvmb_disk_point_next(struct kvmb_disk *d, u64 from, u64 max, u64 *num)
{
	struct kvmb_disk_point *p = point_of(d);
	u64 chunk = next_set(p, from, p->chunks);

	*num = chunk < p->chunks ? run_of(p, chunk, KVMB_MIN(chunk + max, p->chunks)) : 0;
	return chunk;
}

void kvmb_disk_point_saved(struct kvmb_disk *d, u64 chunk, u64 num)
{
	struct kvmb_disk_point *p = point_of(d);
	u64 end = KVMB_MIN(chunk + num, p->chunks), n;
	u32 i, keep = 0;

	pthread_mutex_lock(&p->lock);
	for (; chunk < end; chunk += n) {
		n = KVMB_MIN(WORD - chunk % WORD, end - chunk);
		/* Barrier P: what was read of the chunk comes before */
		__atomic_fetch_and(&p->bits[chunk / WORD],
				   ~((n == WORD ? ~0ull : (1ull << n) - 1) << chunk % WORD),
				   __ATOMIC_SEQ_CST);
	}
	for (i = 0; i < p->num_wants; i++) {
		const struct want *w = &p->wants[i];

		if (next_set(p, w->chunk, w->chunk + w->num) < w->chunk + w->num)
			p->wants[keep++] = *w;
	}
	p->num_wants = keep;
	p->saved_ms = kvmb_now_ms();
	pthread_mutex_unlock(&p->lock);
}

/* ---- writers ---- */

bool kvmb_disk_point_wanted(struct kvmb_disk *d, u64 max, u64 *chunk, u64 *num)
{
	struct kvmb_disk_point *p = point_of(d);
	struct want w = { 0 };
	bool any;

	pthread_mutex_lock(&p->lock);
	any = p->num_wants;
	if (any)
		w = p->wants[0];
	pthread_mutex_unlock(&p->lock);
	if (!any)
		return false;
	*chunk = next_set(p, w.chunk, w.chunk + w.num);
	*num = run_of(p, *chunk, KVMB_MIN(*chunk + max, w.chunk + w.num));
	return true;
}

static void ring_bell(struct kvmb_disk_bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->rung = true;
	pthread_cond_signal(&b->cond);
	pthread_mutex_unlock(&b->lock);
}

/* Under the lock. Return: has the first of them waited for too long? */
static bool note_want(struct kvmb_disk_point *p, u64 chunk, u64 end)
{
	u64 now = kvmb_now_ms(), since;
	u32 i;

	for (i = 0; i < p->num_wants; i++) {
		if (p->wants[i].chunk <= chunk && end <= p->wants[i].chunk + p->wants[i].num)
			break;
	}
	if (i == p->num_wants && i < WANTS)
		p->wants[p->num_wants++] = (struct want){ chunk, end - chunk, now };
	since = p->wants[0].since_ms;
	return now - since > KVMB_POINT_PATIENCE_MAX_MS ||
	       now - KVMB_MAX(since, p->saved_ms) > KVMB_POINT_PATIENCE_MS;
}

bool kvmb_disk_point_ask(struct kvmb_disk *d, u64 offset, u64 length)
{
	struct kvmb_disk_point *p = point_of(d);
	u64 end, chunk = offset / KVMB_DISK_CHUNK;
	bool may;

	if (!length || chunk >= p->chunks)
		return true;
	end = length > p->chunks * KVMB_DISK_CHUNK - offset ?
		      p->chunks :
		      (offset + length - 1) / KVMB_DISK_CHUNK + 1;
	chunk = next_set(p, chunk, end);
	if (chunk == end)
		return true;
	pthread_mutex_lock(&p->lock);
	chunk = next_set(p, chunk, end);
	may = !__atomic_load_n(&d->pointed, __ATOMIC_RELAXED) || chunk == end;
	if (!may && note_want(p, chunk, end)) {
		__atomic_store_n(&p->broken, true, __ATOMIC_RELEASE);
		__atomic_store_n(&d->pointed, false, __ATOMIC_SEQ_CST);
		may = true;
	}
	if (p->bell)
		ring_bell(p->bell);
	pthread_mutex_unlock(&p->lock);
	return may;
}

/* ---- what has changed since ---- */

static struct kvmb_disk_since *begin_since(struct kvmb_disk *d, int *err)
{
	struct kvmb_disk_since *s;

	kvmb_disk_since_forget(d);
	s = calloc(1, sizeof(*s) + words_of(kvmb_disk_chunks(d)) * sizeof(s->bits[0]));
	*err = s ? kvmb_disk_dirty_begin(d) : -ENOMEM;
	if (!*err) {
		s->bytes = kvmb_disk_bytes(d);
		return s;
	}
	free(s);
	return NULL;
}

int kvmb_disk_since_take(struct kvmb_disk *d)
{
	int err = 0;

	if (d->since && d->since->bytes == kvmb_disk_bytes(d))
		kvmb_disk_dirty_take(d, d->since->bits);
	else
		d->since = begin_since(d, &err);
	return err;
}

const u64 *kvmb_disk_since_bits(const struct kvmb_disk *d, const char *id)
{
	const struct kvmb_disk_since *s = d->since;

	if (!s || !s->id[0] || strcmp(s->id, id) || s->bytes != kvmb_disk_bytes(d))
		return NULL;
	return s->bits;
}

void kvmb_disk_since_done(struct kvmb_disk *d, const char *id)
{
	struct kvmb_disk_since *s = d->since;

	if (!s)
		return;
	memset(s->bits, 0,
	       words_of((s->bytes + KVMB_DISK_CHUNK - 1) / KVMB_DISK_CHUNK) * sizeof(s->bits[0]));
	snprintf(s->id, sizeof(s->id), "%s", id);
}

void kvmb_disk_since_forget(struct kvmb_disk *d)
{
	if (!d->since)
		return;
	kvmb_disk_dirty_end(d);
	free(d->since);
	d->since = NULL;
}

void kvmb_disk_point_free(struct kvmb_disk *d)
{
	struct kvmb_disk_point *p;

	kvmb_disk_since_forget(d);
	while ((p = d->point)) {
		d->point = p->before;
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
}
