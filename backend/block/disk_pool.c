// SPDX-License-Identifier: GPL-2.0-only
/* Threads that do a raw disk's I/O. Theory: disk_pool.h. */
#include "backend/block/disk_pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/thread.h"
#include "lib/util.h"

#define POOL_THREADS 4u
#define POOL_IDLE_S 10
#define POOL_STACK (128 * 1024)

struct pool {
	struct kvmb_disk *d;
	char name[16];			     /* of its threads */
	pthread_mutex_t lock;		     /* guards the rest */
	pthread_cond_t work;		     /* a request, or closing */
	pthread_cond_t none;		     /* threads has become 0 */
	struct kvmb_disk_req *queue, **tail; /* queue[queued]: nobody has taken them */
	u32 queued;
	u32 threads, idle; /* idle: those of threads that wait for work */
	bool closing;
	bool any_ended;
	pthread_t ended; /* the last one that did; not joined yet */
};

/* ---- a thread ---- */

/* Return: bytes moved, 0 of a request without data, or -errno. */
static int do_request(const struct kvmb_disk *d, const struct kvmb_disk_req *r)
{
	off_t at = (off_t)r->offset;
	ssize_t n;

	switch (r->io) {
	case KVMB_IO_READ:
		n = preadv2(d->fd, r->iov, r->num_iov, at, 0);
		break;
	case KVMB_IO_WRITE:
		n = pwritev2(d->fd, r->iov, r->num_iov, at, r->fua ? RWF_DSYNC : 0);
		break;
	case KVMB_IO_ZERO:
		return fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				 (off_t)r->length) ?
			       -errno :
			       0;
	default:
		return fdatasync(d->fd) ? -errno : 0;
	}
	if (n < 0)
		return -errno;
	return n ? (int)n : -EIO; /* the file became shorter */
}

static void wait_for_work(struct pool *p)
{
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += POOL_IDLE_S;
	p->idle++;
	while (!p->queue && !p->closing && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&p->work, &p->lock, &until);
	p->idle--;
}

static struct kvmb_disk_req *take_request(struct pool *p)
{
	struct kvmb_disk_req *r;

	if (!p->queue)
		wait_for_work(p);
	r = p->queue;
	if (!r)
		return NULL;
	p->queue = r->next;
	if (!p->queue)
		p->tail = &p->queue;
	p->queued--;
	return r;
}

static void *pool_main(void *arg)
{
	struct pool *p = arg;
	struct kvmb_disk_req *r;
	pthread_t before;
	bool any;

	kvmb_thread_enter(KVMB_THREAD_STORAGE, p->name);
	pthread_mutex_lock(&p->lock);
	while ((r = take_request(p))) {
		pthread_mutex_unlock(&p->lock);
		r->result = do_request(p->d, r);
		r->done(r);
		pthread_mutex_lock(&p->lock);
	}
	any = p->any_ended;
	before = p->ended;
	p->any_ended = true;
	p->ended = pthread_self();
	if (!--p->threads)
		pthread_cond_signal(&p->none);
	pthread_mutex_unlock(&p->lock);
	if (any)
		pthread_join(before, NULL);
	return NULL;
}

/* Without one more, those that are there do the work. Called with the lock held. */
static void start_thread(struct pool *p)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, POOL_STACK);
	if (!pthread_create(&t, &attr, pool_main, p))
		p->threads++;
	pthread_attr_destroy(&attr);
}

/* ---- what the disk offers ---- */

static struct pool *create_pool(struct kvmb_disk *d)
{
	const char *base = strrchr(d->path, '/');
	struct pool *p = calloc(1, sizeof(*p));
	pthread_condattr_t attr;

	if (!p)
		return NULL;
	p->d = d;
	p->tail = &p->queue;
	snprintf(p->name, sizeof(p->name), "disk %.10s", base ? base + 1 : d->path);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&p->none, NULL);
	return p;
}

static void free_pool(struct pool *p)
{
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->none);
	free(p);
}

/* Several channels may be the first. Return: NULL without memory. */
static struct pool *pool_of(struct kvmb_disk *d)
{
	struct pool *p = __atomic_load_n(&d->priv, __ATOMIC_ACQUIRE);
	void *other = NULL;

	if (p)
		return p;
	p = create_pool(d);
	if (!p || __atomic_compare_exchange_n(&d->priv, &other, (void *)p, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE))
		return p;
	free_pool(p);
	return other;
}

void kvmb_disk_pool_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	struct pool *p = pool_of(d);
	bool taken = false;

	if (p) {
		pthread_mutex_lock(&p->lock);
		if (p->queued >= p->idle && p->threads < POOL_THREADS)
			start_thread(p);
		taken = p->threads;
		if (taken) {
			r->next = NULL;
			*p->tail = r;
			p->tail = &r->next;
			p->queued++;
			pthread_cond_signal(&p->work);
		}
		pthread_mutex_unlock(&p->lock);
	}
	if (!taken) {
		r->result = -EAGAIN;
		r->done(r);
	}
}

void kvmb_disk_pool_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	struct pool *p = __atomic_load_n(&d->priv, __ATOMIC_ACQUIRE);
	struct kvmb_disk_req **at;
	bool found;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	for (at = &p->queue; *at && *at != r; at = &(*at)->next)
		;
	found = *at;
	if (found) {
		*at = r->next;
		if (!*at)
			p->tail = at;
		p->queued--;
	}
	pthread_mutex_unlock(&p->lock);
	if (found) {
		r->result = -ECANCELED;
		r->done(r);
	}
}

void kvmb_disk_pool_destroy(struct kvmb_disk *d)
{
	struct pool *p = d->priv;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	kvmb_assert(!p->queue);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	while (p->threads)
		pthread_cond_wait(&p->none, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (p->any_ended)
		pthread_join(p->ended, NULL);
	free_pool(p);
	d->priv = NULL;
}
