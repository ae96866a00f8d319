// SPDX-License-Identifier: GPL-2.0-only
/* Event loop over epoll. */
#include "lib/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/util.h"

struct kvmb_watch {
	struct kvmb_loop *loop;
	int fd;
	bool dead; /* deleted while its batch is served; freed after the batch */
	void (*fn)(void *arg, uint32_t events);
	void *arg;
	struct kvmb_watch *next_dead;
};

struct kvmb_loop {
	int epfd;
	int wakefd;
	struct kvmb_timer *timers; /* sorted by due_ms; loop thread only */
	struct kvmb_watch *dead;
	pthread_mutex_t lock;	 /* guards the next three */
	struct kvmb_work *head;
	struct kvmb_work **tail;
	bool stop;
};

uint64_t kvmb_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct kvmb_loop *kvmb_loop_create(void)
{
	struct kvmb_loop *l = kvmb_xzalloc(sizeof(*l));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	l->tail = &l->head;
	pthread_mutex_init(&l->lock, NULL);
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	l->wakefd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epfd < 0 || l->wakefd < 0 || epoll_ctl(l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev)) {
		kvmb_loop_destroy(l);
		return NULL;
	}
	return l;
}

static void free_dead(struct kvmb_loop *l)
{
	struct kvmb_watch *w;

	while ((w = l->dead)) {
		l->dead = w->next_dead;
		free(w);
	}
}

void kvmb_loop_destroy(struct kvmb_loop *l)
{
	if (!l)
		return;
	free_dead(l);
	if (l->epfd >= 0)
		close(l->epfd);
	if (l->wakefd >= 0)
		close(l->wakefd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void wake(struct kvmb_loop *l)
{
	uint64_t one = 1;

	/* EAGAIN means the counter is full, which wakes just as well */
	if (write(l->wakefd, &one, sizeof(one)) < 0)
		return;
}

/*
 * What is queued now. What that posts again has woken us again, and lets others have their turn
 * first.
 */
static void run_work(struct kvmb_loop *l)
{
	struct kvmb_work *w;
	uint64_t n;

	if (read(l->wakefd, &n, sizeof(n)) < 0)
		n = 0;
	pthread_mutex_lock(&l->lock);
	for (n = 0, w = l->head; w; w = w->next)
		n++;
	pthread_mutex_unlock(&l->lock);
	while (n--) {
		pthread_mutex_lock(&l->lock);
		w = l->head;
		if (w) {
			l->head = w->next;
			if (!l->head)
				l->tail = &l->head;
			w->queued = false;
		}
		pthread_mutex_unlock(&l->lock);
		if (!w)
			return;
		w->fn(w->arg);
	}
}

static void run_timers(struct kvmb_loop *l)
{
	uint64_t now = kvmb_now_ms();
	struct kvmb_timer *t;

	while ((t = l->timers) && t->due_ms <= now) {
		l->timers = t->next;
		t->due_ms = 0;
		t->fn(t->arg);
	}
}

int kvmb_loop_once(struct kvmb_loop *l, int timeout_ms)
{
	struct epoll_event ev[16];
	uint64_t now;
	int i, n;

	if (l->timers) {
		now = kvmb_now_ms();
		n = l->timers->due_ms > now ? (int)KVMB_MIN(l->timers->due_ms - now, 60000u) : 0;
		if (timeout_ms < 0 || n < timeout_ms)
			timeout_ms = n;
	}
	n = epoll_wait(l->epfd, ev, ARRAY_SIZE(ev), timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	for (i = 0; i < n; i++) {
		struct kvmb_watch *w = ev[i].data.ptr;

		if (!w)
			run_work(l);
		else if (!w->dead)
			w->fn(w->arg, ev[i].events);
	}
	run_timers(l);
	free_dead(l);
	return 0;
}

static bool should_stop(struct kvmb_loop *l)
{
	bool stop;

	pthread_mutex_lock(&l->lock);
	stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return stop;
}

int kvmb_loop_run(struct kvmb_loop *l)
{
	int err = 0;

	while (!err && !should_stop(l))
		err = kvmb_loop_once(l, -1);
	return err;
}

void kvmb_loop_stop(struct kvmb_loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_mutex_unlock(&l->lock);
	wake(l);
}

struct kvmb_watch *kvmb_loop_add(struct kvmb_loop *l, int fd, uint32_t events,
				 void (*fn)(void *arg, uint32_t events), void *arg)
{
	struct kvmb_watch *w = kvmb_xzalloc(sizeof(*w));
	struct epoll_event ev = { .events = events, .data.ptr = w };

	w->loop = l;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev)) {
		free(w);
		return NULL;
	}
	return w;
}

void kvmb_loop_mod(struct kvmb_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev);
}

void kvmb_loop_del(struct kvmb_watch *w)
{
	if (!w)
		return;
	epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	w->dead = true;
	w->next_dead = w->loop->dead;
	w->loop->dead = w;
}

void kvmb_work_init(struct kvmb_work *w, void (*fn)(void *arg), void *arg)
{
	w->fn = fn;
	w->arg = arg;
	w->next = NULL;
	w->queued = false;
}

void kvmb_loop_post(struct kvmb_loop *l, struct kvmb_work *w)
{
	bool was_queued;

	pthread_mutex_lock(&l->lock);
	was_queued = w->queued;
	if (!was_queued) {
		w->queued = true;
		w->next = NULL;
		*l->tail = w;
		l->tail = &w->next;
	}
	pthread_mutex_unlock(&l->lock);
	if (!was_queued)
		wake(l);
}

void kvmb_loop_unpost(struct kvmb_loop *l, struct kvmb_work *w)
{
	struct kvmb_work **p;

	pthread_mutex_lock(&l->lock);
	for (p = &l->head; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			if (!*p)
				l->tail = p;
			w->queued = false;
			break;
		}
	}
	pthread_mutex_unlock(&l->lock);
}

void kvmb_timer_init(struct kvmb_timer *t, struct kvmb_loop *l, void (*fn)(void *arg), void *arg)
{
	*t = (struct kvmb_timer){ .loop = l, .fn = fn, .arg = arg };
}

void kvmb_timer_cancel(struct kvmb_timer *t)
{
	struct kvmb_timer **p;

	for (p = &t->loop->timers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->due_ms = 0;
}

void kvmb_timer_set(struct kvmb_timer *t, uint64_t ms)
{
	struct kvmb_timer **p;

	kvmb_timer_cancel(t);
	t->due_ms = kvmb_now_ms() + ms;
	for (p = &t->loop->timers; *p && (*p)->due_ms <= t->due_ms; p = &(*p)->next)
		;
	t->next = *p;
	*p = t;
}
