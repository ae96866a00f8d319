// SPDX-License-Identifier: GPL-2.0-only
/* Giving pages back to the host: memory_drop.h. */
#include "host-vsp/memory/memory_drop.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/util.h"

#define PIECE ((16u << 20) / KVMB_PAGE_SIZE) /* pages dropped in one go */

struct run {
	u64 page, num;
};

struct memory_drop {
	struct kvmb_loop *loop;
	const struct kvmb_gm *gm;
	const char *who;
	void (*rest)(void *arg);
	void *arg;
	struct kvmb_work work; /* posted when it has come to rest */
	pthread_t thread;
	bool started; /* bus thread */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t more;
	struct run *runs; /* runs[next..num), room for room */
	size_t next, num, room;
	u64 total;
	bool held, moving, quit;
};

/* ---- the thread ---- */

static bool may_move(const struct memory_drop *d)
{
	return !d->held && d->next < d->num;
}

/* Under the lock. Return: a piece off the front of the queue, which is not empty. */
static struct run take_piece(struct memory_drop *d)
{
	struct run *r = &d->runs[d->next], piece = { r->page, KVMB_MIN(r->num, (u64)PIECE) };

	r->page += piece.num;
	r->num -= piece.num;
	if (!r->num)
		d->next++;
	if (d->next == d->num)
		d->next = d->num = 0;
	return piece;
}

static void drop_piece(struct memory_drop *d, const struct run *piece)
{
	int err = kvmb_gm_drop(d->gm, piece->page, piece->num);

	if (err)
		kvmb_warn_ratelimited(d->who, "memory: %llu pages stay, which the guest gave: %s",
				      (unsigned long long)piece->num, strerror(-err));
}

static void *run_drops(void *arg)
{
	struct memory_drop *d = arg;
	struct run piece;

	kvmb_thread_enter(KVMB_THREAD_JOB, "balloon");
	pthread_mutex_lock(&d->lock);
	while (!d->quit) {
		if (!may_move(d)) {
			if (d->moving)
				kvmb_loop_post(d->loop, &d->work);
			d->moving = false;
			pthread_cond_wait(&d->more, &d->lock);
			continue;
		}
		d->moving = true;
		piece = take_piece(d);
		pthread_mutex_unlock(&d->lock);
		drop_piece(d, &piece);
		pthread_mutex_lock(&d->lock);
		d->total += piece.num;
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* ---- the bus thread ---- */

static void on_rest(void *arg)
{
	struct memory_drop *d = arg;

	if (!memory_drop_moves(d))
		d->rest(d->arg);
}

struct memory_drop *memory_drop_create(struct kvmb_loop *loop, const struct kvmb_gm *gm,
				       const char *who, void (*rest)(void *arg), void *arg)
{
	struct memory_drop *d = kvmb_xzalloc(sizeof(*d));

	d->loop = loop;
	d->gm = gm;
	d->who = who;
	d->rest = rest;
	d->arg = arg;
	kvmb_work_init(&d->work, on_rest, d);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->more, NULL);
	return d;
}

/* Room for one more. Return: false: there is no memory. */
static bool make_room(struct memory_drop *d)
{
	size_t room = d->room ? 2 * d->room : 512;
	struct run *runs;

	if (d->num < d->room)
		return true;
	runs = realloc(d->runs, room * sizeof(*runs));
	if (!runs)
		return false;
	d->runs = runs;
	d->room = room;
	return true;
}

static bool extends_last(const struct memory_drop *d, u64 page)
{
	const struct run *last = d->num > d->next ? &d->runs[d->num - 1] : NULL;

	return last && last->page + last->num == page;
}

static bool add_locked(struct memory_drop *d, u64 page, u64 num)
{
	u64 gfn;

	/* a run does not leave its region: kvmb_gm_frame() says how far that goes */
	if (extends_last(d, page) &&
	    kvmb_gm_frame(d->gm, d->runs[d->num - 1].page, &gfn) >= d->runs[d->num - 1].num + num) {
		d->runs[d->num - 1].num += num;
		return true;
	}
	if (!make_room(d))
		return false;
	d->runs[d->num++] = (struct run){ page, num };
	return true;
}

/* Without a thread or memory, nothing is lost but what the host would have got back. */
void memory_drop_add(struct memory_drop *d, u64 page, u64 num)
{
	bool added;

	if (!d->started) {
		d->started = !pthread_create(&d->thread, NULL, run_drops, d);
		if (!d->started) {
			kvmb_warn_ratelimited(d->who, "memory: no thread to give back pages");
			return;
		}
	}
	pthread_mutex_lock(&d->lock);
	added = add_locked(d, page, num);
	d->moving |= may_move(d);
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
	if (!added)
		kvmb_warn_ratelimited(d->who, "memory: pages stay, which the guest gave");
}

void memory_drop_hold(struct memory_drop *d)
{
	pthread_mutex_lock(&d->lock);
	d->held = true;
	pthread_mutex_unlock(&d->lock);
}

void memory_drop_go(struct memory_drop *d)
{
	pthread_mutex_lock(&d->lock);
	d->held = false;
	d->moving |= may_move(d);
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
}

void memory_drop_clear(struct memory_drop *d)
{
	pthread_mutex_lock(&d->lock);
	d->next = d->num = 0;
	pthread_mutex_unlock(&d->lock);
}

bool memory_drop_waits(struct memory_drop *d)
{
	bool waits;

	pthread_mutex_lock(&d->lock);
	waits = d->moving || d->next < d->num;
	pthread_mutex_unlock(&d->lock);
	return waits;
}

bool memory_drop_moves(struct memory_drop *d)
{
	bool moves;

	pthread_mutex_lock(&d->lock);
	moves = d->moving;
	pthread_mutex_unlock(&d->lock);
	return moves;
}

u64 memory_drop_total(struct memory_drop *d)
{
	u64 total;

	pthread_mutex_lock(&d->lock);
	total = d->total;
	pthread_mutex_unlock(&d->lock);
	return total;
}

void memory_drop_destroy(struct memory_drop *d)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->quit = true;
	pthread_cond_signal(&d->more);
	pthread_mutex_unlock(&d->lock);
	if (d->started)
		pthread_join(d->thread, NULL);
	kvmb_loop_unpost(d->loop, &d->work);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->more);
	free(d->runs);
	free(d);
}
