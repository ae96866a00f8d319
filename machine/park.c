// SPDX-License-Identifier: GPL-2.0-only
/* Making threads stand; theory of operation: park.h. */
#include "machine/park.h"

#include <time.h>

#define KICK_AGAIN_NS 20000000 /* a kick can fall between two steps */

void park_init(struct park *p)
{
	pthread_condattr_t attr;

	*p = (struct park){ 0 };
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->cond, &attr);
	pthread_condattr_destroy(&attr);
}

void park_fini(struct park *p)
{
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->cond);
}

void park_ask(struct park *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->cond); /* who rests comes */
	pthread_mutex_unlock(&p->lock);
}

static struct timespec in_future(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / 1000000000);
	t.tv_nsec = (long)(ns % 1000000000);
	return t;
}

void park_all(struct park *p, uint32_t num, void (*kick)(void *arg), void *arg)
{
	struct timespec until;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->cond); /* who rests comes */
	while (p->parked < num) {
		kick(arg);
		until = in_future(KICK_AGAIN_NS);
		pthread_cond_timedwait(&p->cond, &p->lock, &until);
	}
	pthread_mutex_unlock(&p->lock);
}

bool park_try(struct park *p, uint32_t num, void (*kick)(void *arg), void *arg)
{
	bool all;

	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->cond); /* who rests comes */
	all = p->parked >= num;
	if (!all)
		kick(arg);
	pthread_mutex_unlock(&p->lock);
	return all;
}

void park_go(struct park *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = false;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

void park_rest(struct park *p, uint32_t ms)
{
	struct timespec until = in_future(ms * 1000000ull);

	pthread_mutex_lock(&p->lock);
	while (!p->stop && !p->quit && !pthread_cond_timedwait(&p->cond, &p->lock, &until))
		;
	pthread_mutex_unlock(&p->lock);
}

void park_quit(struct park *p)
{
	pthread_mutex_lock(&p->lock);
	p->quit = true;
	pthread_cond_broadcast(&p->cond);
	pthread_mutex_unlock(&p->lock);
}

bool park_here(struct park *p, void (*settle)(void *arg), void *arg)
{
	bool go;

	pthread_mutex_lock(&p->lock);
	if (p->stop && !p->quit && settle) {
		pthread_mutex_unlock(&p->lock);
		settle(arg);
		pthread_mutex_lock(&p->lock);
	}
	if (p->stop) {
		p->parked++;
		pthread_cond_broadcast(&p->cond);
		while (p->stop && !p->quit)
			pthread_cond_wait(&p->cond, &p->lock);
		p->parked--;
	}
	go = !p->quit;
	pthread_mutex_unlock(&p->lock);
	return go;
}
