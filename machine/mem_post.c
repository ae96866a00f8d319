// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory of which some pages come later; theory of operation: mem_post.h. */
#include "machine/mem_post.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/sparse.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "machine/machine.h"
#include "machine/mem_uffd.h"

#define AT_ONCE (64u << 10) /* bytes of zeroes that are put by one call */

struct mem_post {
	struct machine *m;
	int uffd, wake;
	u64 pages;  /* of RAM */
	u64 *list;  /* list[pages / 64, rounded up], atomic words: what has not come */
	u64 *asked; /* likewise: pages that somebody waits for */
	u64 left;   /* atomic: pages on the list */
	u8 *zeroes; /* zeroes[AT_ONCE] */
	bool has_list;
	bool begun; /* the thread runs */
	int ended;  /* atomic: the thread ends */
	void (*want)(void *arg, u64 page);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	bool runs, given_up, registered;
};

static size_t words(const struct mem_post *p)
{
	return (p->pages + 63) / 64;
}

static bool is_set(const u64 *bits, u64 page)
{
	return __atomic_load_n(&bits[page / 64], __ATOMIC_ACQUIRE) >> page % 64 & 1;
}

static bool has_pages(const struct mem_post *p, u64 first, u64 num)
{
	return num && num <= p->pages && first <= p->pages - num;
}

/* ---- before it begins ---- */

void mem_post_prepare(struct machine *m)
{
	if (m->uffd < 0)
		return;
	m->post = kvmb_xzalloc(sizeof(*m->post));
	*m->post = (struct mem_post){
		.m = m, .uffd = m->uffd, .wake = -1, .pages = kvmb_gm_size(&m->gm) / KVMB_PAGE_SIZE
	};
	m->uffd = -1;
	pthread_mutex_init(&m->post->lock, NULL);
}

bool mem_post_can(const struct machine *m)
{
	return m->post;
}

int mem_post_expect(struct machine *m)
{
	struct mem_post *p = m->post;

	if (!p || p->list)
		return -EOPNOTSUPP;
	p->list = calloc(words(p), sizeof(*p->list));
	p->asked = calloc(words(p), sizeof(*p->asked));
	p->zeroes = calloc(1, AT_ONCE);
	p->wake = eventfd(0, EFD_CLOEXEC);
	if (!p->list || !p->asked || !p->zeroes || p->wake < 0)
		return -ENOMEM;
	mem_uffd_no_huge(m);
	return 0;
}

int mem_post_list(struct machine *m, u64 first, const u8 *bits, size_t len)
{
	struct mem_post *p = m->post;
	u64 i, page;

	if (!p || !p->list || p->begun || first % 64 || first >= p->pages)
		return -EINVAL;
	for (i = 0; i < len * 8ull; i++) {
		if (!(bits[i / 8] >> i % 8 & 1))
			continue;
		page = first + i;
		if (page >= p->pages || is_set(p->list, page))
			return -EINVAL;
		p->list[page / 64] |= 1ull << page % 64;
		p->left++;
	}
	p->has_list = true;
	return 0;
}

bool mem_post_has_list(const struct machine *m)
{
	return m->post && m->post->has_list;
}

/* The run of pages of the list from @page on. Return: how many, 0: there are none; *@first. */
static u64 next_run(const struct mem_post *p, u64 page, u64 *first)
{
	u64 end;

	while (page < p->pages && !is_set(p->list, page))
		page += p->list[page / 64] ? 1 : 64 - page % 64;
	*first = page;
	for (end = page; end < p->pages && is_set(p->list, end); end++)
		;
	return page < p->pages ? end - page : 0;
}

/* A page that stays would be seen as it was, and nobody would wait for it. */
static int drop(const struct mem_post *p)
{
	u64 first, num, from, to;
	int err;

	for (first = 0; (num = next_run(p, first, &first)); first += num) {
		if (madvise(mem_uffd_ram(p->m) + first * KVMB_PAGE_SIZE, num * KVMB_PAGE_SIZE,
			    MADV_REMOVE))
			return -errno;
		err = kvmb_next_data(p->m->gm.memfd, first * KVMB_PAGE_SIZE,
				     (first + num) * KVMB_PAGE_SIZE, &from, &to);
		if (err)
			return err < 0 ? err : -EBUSY;
	}
	return 0;
}

/* ---- the thread ---- */

/* What is not on the list, and missing, is zero. */
static void serve_fault(struct mem_post *p, u64 page)
{
	u64 bit = 1ull << page % 64;

	if (!is_set(p->list, page))
		mem_uffd_put(p->m, p->uffd, page * KVMB_PAGE_SIZE, p->zeroes, KVMB_PAGE_SIZE);
	else if (!(__atomic_fetch_or(&p->asked[page / 64], bit, __ATOMIC_SEQ_CST) & bit))
		p->want(p->arg, page);
}

static void *run_faults(void *arg)
{
	struct mem_post *p = arg;
	struct pollfd f[2] = { { .fd = p->uffd, .events = POLLIN },
			       { .fd = p->wake, .events = POLLIN } };
	u64 at;

	kvmb_thread_enter(KVMB_THREAD_JOB, "faults");
	while (!__atomic_load_n(&p->ended, __ATOMIC_RELAXED)) {
		if (poll(f, 2, -1) <= 0)
			continue;
		while (mem_uffd_fault(p->m, p->uffd, &at))
			serve_fault(p, at / KVMB_PAGE_SIZE);
	}
	return NULL;
}

int mem_post_begin(struct machine *m, void (*want)(void *arg, u64 page), void *arg)
{
	struct mem_post *p = m->post;
	int err = p && p->list ? drop(p) : -EOPNOTSUPP;

	if (!err)
		err = mem_uffd_register(m, p->uffd);
	if (err)
		return err;
	p->registered = true;
	p->want = want;
	p->arg = arg;
	err = -pthread_create(&p->thread, NULL, run_faults, p);
	p->begun = !err;
	if (err)
		mem_post_give_up(m);
	return err;
}

/* ---- who brings pages ---- */

static int check_pages(const struct mem_post *p, u64 page, u64 num)
{
	u64 i;

	if (!p->begun || !has_pages(p, page, num))
		return -EINVAL;
	for (i = 0; i < num; i++) {
		if (!is_set(p->list, page + i))
			return -EINVAL;
	}
	return 0;
}

static int put_zeroes(struct mem_post *p, u64 at, u64 len)
{
	int err = 0;
	u64 n;

	for (; len && !err; at += n, len -= n) {
		n = KVMB_MIN(len, (u64)AT_ONCE);
		err = mem_uffd_put(p->m, p->uffd, at, p->zeroes, n);
	}
	return err;
}

int mem_post_put(struct machine *m, u64 page, const void *bytes, u64 num)
{
	struct mem_post *p = m->post;
	u64 at = page * KVMB_PAGE_SIZE, len = num * KVMB_PAGE_SIZE;
	int err = check_pages(p, page, num);

	if (!err)
		err = bytes ? mem_uffd_put(m, p->uffd, at, bytes, len) : put_zeroes(p, at, len);
	if (err)
		return err;
	__atomic_fetch_sub(&p->left, num, __ATOMIC_RELAXED);
	for (; num; num--, page++)
		__atomic_fetch_and(&p->list[page / 64], ~(1ull << page % 64), __ATOMIC_RELEASE);
	return 0;
}

u64 mem_post_left(const struct machine *m)
{
	return m->post ? __atomic_load_n(&m->post->left, __ATOMIC_RELAXED) * KVMB_PAGE_SIZE : 0;
}

bool mem_post_missing(const struct machine *m, u64 first, u8 *bits, size_t len)
{
	const struct mem_post *p = m->post;
	u64 i;

	if (first >= p->pages)
		return false;
	memset(bits, 0, len);
	for (i = 0; i < len * 8ull && first + i < p->pages; i++) {
		if (is_set(p->list, first + i))
			bits[i / 8] |= (u8)(1u << i % 8);
	}
	return true;
}

void mem_post_ask_again(struct machine *m)
{
	struct mem_post *p = m->post;
	u64 page;

	for (page = 0; page < p->pages; page++) {
		if (is_set(p->asked, page) && is_set(p->list, page))
			p->want(p->arg, page);
	}
}

/* ---- who loads the VM ---- */

int mem_post_run(struct machine *m)
{
	struct mem_post *p = m->post;
	int err;

	pthread_mutex_lock(&p->lock);
	err = p->given_up ? -EPIPE : 0;
	p->runs = !err;
	pthread_mutex_unlock(&p->lock);
	return err;
}

/* With the lock. */
static void unregister(struct mem_post *p)
{
	if (p->registered)
		mem_uffd_unregister(p->m, p->uffd);
	p->registered = false;
}

bool mem_post_give_up(struct machine *m)
{
	struct mem_post *p = m->post;
	bool may;

	pthread_mutex_lock(&p->lock);
	may = !p->runs;
	if (may) {
		p->given_up = true;
		unregister(p);
	}
	pthread_mutex_unlock(&p->lock);
	return may;
}

void mem_post_done(struct machine *m)
{
	struct mem_post *p = m->post;

	kvmb_assert(!mem_post_left(m));
	pthread_mutex_lock(&p->lock);
	unregister(p);
	pthread_mutex_unlock(&p->lock);
}

static void end_thread(struct mem_post *p)
{
	const u64 one = 1;

	__atomic_store_n(&p->ended, 1, __ATOMIC_RELAXED);
	if (write(p->wake, &one, sizeof(one)) != sizeof(one))
		kvmb_err(p->m->name, "eventfd: %s", strerror(errno));
	pthread_join(p->thread, NULL);
}

void mem_post_end(struct machine *m)
{
	struct mem_post *p = m->post;

	if (!p)
		return;
	if (p->begun)
		end_thread(p);
	unregister(p);
	if (p->list) /* which need not have come */
		mem_uffd_huge(m);
	m->post = NULL;
	close(p->uffd);
	if (p->wake >= 0)
		close(p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->list);
	free(p->asked);
	free(p->zeroes);
	free(p);
}
