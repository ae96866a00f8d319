// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory that comes later; theory of operation: mem_lazy.h. */
#include "machine/mem_lazy.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_source.h"
#include "machine/mem_uffd.h"

#define CHUNK (256u << 10) /* bytes between two looks at requests */
#define AGAIN_MS 1000
#define MAX_WAITING 4096u /* pages: more than there are threads, each of which waits for one */

struct mem_lazy {
	struct machine *m;
	int uffd;
	int wake;		   /* -1 before mem_lazy_begin() */
	struct mem_source *source; /* NULL before it; the thread's */
	u64 left;		   /* atomic: bytes that were not looked at, or not read */
	pthread_t thread;
	/* the thread's */
	u8 *buf;     /* buf[CHUNK] */
	u64 at;	     /* what lies before it has come, but for bad chunks */
	bool looked; /* at all of it */
	u64 *bad;    /* a bit a chunk that could not be read */
	u64 num_bad, next_bad;
	u64 waiting[MAX_WAITING]; /* pages that somebody waits for and that could not be read */
	u32 num_waiting;
	int ended; /* atomic: give up */
	pthread_mutex_t lock; /* guards the next line */
	bool runs;
	int failed; /* -errno: a page was made up for who waited */
};

/* ---- preparing ---- */

void mem_lazy_prepare(struct machine *m)
{
	if (m->uffd < 0 || mem_uffd_register(m, m->uffd))
		return;
	m->lazy = kvmb_xzalloc(sizeof(*m->lazy));
	*m->lazy = (struct mem_lazy){
		.m = m, .uffd = m->uffd, .wake = -1, .left = kvmb_gm_size(&m->gm)
	};
	m->uffd = -1;
	pthread_mutex_init(&m->lazy->lock, NULL);
}

/* ---- the thread ---- */

/* Return: 0; -errno: nothing was put where it could not be read. */
static int bring(struct mem_lazy *l, u64 at, u64 len)
{
	int err = l->source->ops->read(l->source, l->buf, at, len);

	return err ? err : mem_uffd_put(l->m, l->uffd, at, l->buf, len);
}

static int complain(struct mem_lazy *l, int err)
{
	kvmb_warn_ratelimited(l->m->name,
			      "guest memory cannot be read from where it was saved: %s; the "
			      "guest waits, and it is tried again",
			      strerror(-err));
	return err;
}

/* The VM does not run yet, and will not: whoever loads it need not wait. Return: was it so? */
static bool make_up(struct mem_lazy *l, u64 at, int err)
{
	bool made;

	pthread_mutex_lock(&l->lock);
	made = !l->runs;
	if (made) {
		memset(l->buf, 0, KVMB_PAGE_SIZE);
		made = !mem_uffd_put(l->m, l->uffd, at, l->buf, KVMB_PAGE_SIZE);
		l->failed = err;
	}
	pthread_mutex_unlock(&l->lock);
	return made;
}

/* What has data in [at, end). Return: 0 or -errno. */
static int bring_all(struct mem_lazy *l, u64 at, u64 end)
{
	u64 from, to;
	int err;

	while ((err = l->source->ops->next(l->source, at, &from, &to)) > 0 && from < end) {
		at = KVMB_MIN(to, end);
		err = bring(l, from, at - from);
		if (err)
			return err;
	}
	return KVMB_MIN(err, 0);
}

static void wait_for(struct mem_lazy *l, u64 at)
{
	u32 i;

	for (i = 0; i < l->num_waiting; i++) {
		if (l->waiting[i] == at)
			return;
	}
	l->waiting[l->num_waiting++] = at;
}

/* What costs as much as the page alone comes with it. */
static void serve_page(struct mem_lazy *l, u64 at)
{
	u64 grain = l->source->grain, begin = at - at % grain;
	int err = bring(l, at, KVMB_PAGE_SIZE);

	if (!err && grain > KVMB_PAGE_SIZE)
		bring_all(l, begin, KVMB_MIN(begin + grain, l->source->size));
	if (!err || make_up(l, at, err))
		return;
	complain(l, err);
	wait_for(l, at);
}

/* Who waits for a page. */
static void serve(struct mem_lazy *l)
{
	u64 at;

	while (l->num_waiting < MAX_WAITING && mem_uffd_fault(l->m, l->uffd, &at))
		serve_page(l, at);
}

static bool is_ended(const struct mem_lazy *l)
{
	return __atomic_load_n(&l->ended, __ATOMIC_RELAXED);
}

/* Each may take long to fail: others are served in between. */
static void serve_again(struct mem_lazy *l)
{
	u32 i;
	int err;

	for (i = l->num_waiting; i-- && !is_ended(l);) {
		err = bring(l, l->waiting[i], KVMB_PAGE_SIZE);
		if (err)
			complain(l, err);
		else
			l->waiting[i] = l->waiting[--l->num_waiting];
		serve(l);
	}
}

static void note_left(struct mem_lazy *l)
{
	__atomic_store_n(&l->left, l->source->size - l->at + l->num_bad * CHUNK, __ATOMIC_RELAXED);
}

static bool is_bad(const struct mem_lazy *l, u64 chunk)
{
	return l->bad[chunk / 64] & 1ull << chunk % 64;
}

/* Others need not wait for it: it is passed over, for now. */
static void note_bad(struct mem_lazy *l, u64 chunk)
{
	if (!is_bad(l, chunk))
		l->num_bad++;
	l->bad[chunk / 64] |= 1ull << chunk % 64;
}

/* One that could not be read. Return: 1; 0: that was all; -errno. */
static int step_again(struct mem_lazy *l)
{
	u64 chunks = (l->source->size + CHUNK - 1) / CHUNK, chunk = l->next_bad, begin;
	int err;

	while (!is_bad(l, chunk % chunks))
		chunk++;
	chunk %= chunks;
	l->next_bad = chunk + 1;
	begin = chunk * CHUNK;
	err = bring_all(l, begin, KVMB_MIN(begin + CHUNK, l->source->size));
	if (err)
		return err;
	l->bad[chunk / 64] &= ~(1ull << chunk % 64);
	l->num_bad--;
	return l->num_bad > 0;
}

/* The next piece in order, of one chunk. Return: 1; 0: that was all; -errno. */
static int step(struct mem_lazy *l)
{
	u64 from, to;
	int err;

	if (l->looked)
		return step_again(l);
	err = l->source->ops->next(l->source, l->at, &from, &to);
	if (!err)
		err = l->source->ops->check(l->source);
	if (err < 0)
		return err;
	if (!err) {
		l->at = l->source->size;
		l->looked = true;
		return l->num_bad > 0;
	}
	l->at = KVMB_MIN(to, from - from % CHUNK + CHUNK);
	err = bring(l, from, l->at - from);
	if (err)
		note_bad(l, from / CHUNK);
	return err ? err : 1;
}

/* Until somebody wants a page, the VM ends, or it is time to try again. */
static void rest(struct mem_lazy *l, u64 until)
{
	struct pollfd p[2] = { { .fd = l->wake, .events = POLLIN },
			       { .fd = l->uffd, .events = POLLIN } };
	u64 now = kvmb_now_ms();

	if (now < until)
		poll(p, l->num_waiting < MAX_WAITING ? 2 : 1, (int)(until - now));
}

static void *run(void *arg)
{
	struct mem_lazy *l = arg;
	u64 step_at = 0, again_at = 0;
	int err = 1;

	kvmb_thread_enter(KVMB_THREAD_JOB, "memory");
	while (err && !is_ended(l)) {
		serve(l);
		if (l->num_waiting && kvmb_now_ms() >= again_at) {
			serve_again(l);
			again_at = kvmb_now_ms() + AGAIN_MS;
		}
		if (step_at && kvmb_now_ms() < step_at) {
			rest(l, l->num_waiting ? KVMB_MIN(step_at, again_at) : step_at);
			continue;
		}
		err = step(l);
		note_left(l);
		step_at = err < 0 ? kvmb_now_ms() + AGAIN_MS : 0;
		if (err < 0)
			complain(l, err);
	}
	mem_uffd_unregister(l->m, l->uffd);
	return NULL;
}

/* ---- the main thread ---- */

static void free_lazy(struct machine *m)
{
	struct mem_lazy *l = m->lazy;

	m->lazy = NULL;
	close(l->uffd);
	mem_source_close(l->source);
	if (l->wake >= 0)
		close(l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l->bad);
	free(l->buf);
	free(l);
}

int mem_lazy_begin(struct machine *m, struct mem_source *source)
{
	struct mem_lazy *l = m->lazy;
	int err;

	if (!l)
		return -EOPNOTSUPP;
	kvmb_assert(source->size == kvmb_gm_size(&m->gm));
	l->wake = eventfd(0, EFD_CLOEXEC);
	l->buf = malloc(CHUNK);
	l->bad = calloc(source->size / CHUNK / 64 + 1, sizeof(*l->bad));
	l->source = source;
	err = l->wake < 0 || !l->buf || !l->bad ? -ENOMEM :
						  -pthread_create(&l->thread, NULL, run, l);
	if (!err)
		return 0;
	l->source = NULL; /* the caller's */
	mem_uffd_unregister(l->m, l->uffd);
	free_lazy(m);
	return err;
}

int mem_lazy_run(struct machine *m)
{
	struct mem_lazy *l = m->lazy;
	int err;

	if (!l)
		return 0;
	pthread_mutex_lock(&l->lock);
	l->runs = true;
	err = l->failed;
	pthread_mutex_unlock(&l->lock);
	return err;
}

u64 mem_lazy_left(const struct machine *m)
{
	return m->lazy ? __atomic_load_n(&m->lazy->left, __ATOMIC_RELAXED) : 0;
}

void mem_lazy_end(struct machine *m)
{
	const u64 one = 1;

	if (!m->lazy)
		return;
	if (!m->lazy->source) {
		mem_uffd_unregister(m, m->lazy->uffd);
	} else {
		__atomic_store_n(&m->lazy->ended, 1, __ATOMIC_RELAXED);
		if (write(m->lazy->wake, &one, sizeof(one)) != sizeof(one))
			kvmb_err(m->name, "eventfd: %s", strerror(errno));
		pthread_join(m->lazy->thread, NULL);
	}
	free_lazy(m);
}
