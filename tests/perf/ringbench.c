// SPDX-License-Identifier: GPL-2.0-only
/*
 * ringbench [RUNS]: the ring of vmbus-core natively, two threads on two cores that poll.
 *
 * Beside it a cache line bounced between the cores, the physical limit of any exchange.
 * Median (lowest..highest) of RUNS; ratios within one invocation are what counts.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmbus-core/ring.h"

#define RING_SIZE (512u * 1024u)
#define MAX_RUNS 31

struct one { /* a ring with its two ends */
	struct kvmb_ring w, r;
};

struct bench {
	struct one there, back;
	u32 len;
	u64 count;
	bool pingpong;
};

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void relax(void)
{
	__builtin_ia32_pause();
}

static void make(struct one *o)
{
	int fd = memfd_create("ring", 0), i;
	u8 *p = mmap(NULL, KVMB_PAGE_SIZE + 2 * RING_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);

	if (fd < 0 || ftruncate(fd, KVMB_PAGE_SIZE + RING_SIZE) || p == MAP_FAILED)
		exit(1);
	mmap(p, KVMB_PAGE_SIZE + RING_SIZE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0);
	mmap(p + KVMB_PAGE_SIZE + RING_SIZE, RING_SIZE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, KVMB_PAGE_SIZE);
	close(fd);
	i = kvmb_ring_init(&o->w, p, p + KVMB_PAGE_SIZE, RING_SIZE, true);
	i |= kvmb_ring_init(&o->r, p, p + KVMB_PAGE_SIZE, RING_SIZE, false);
	if (i)
		exit(1);
	kvmb_ring_mask(&o->r); /* both ends poll: no signals */
}

static void send_one(struct kvmb_ring *w, const void *buf, u32 len)
{
	while (kvmb_ring_put(w, KVMB_PKT_INBAND, 0, 1, NULL, 0, buf, len))
		relax();
	kvmb_ring_publish(w);
}

static void recv_one(struct kvmb_ring *r, void *buf, u32 size)
{
	struct kvmb_pkt pkt;

	while (kvmb_ring_peek(r, buf, size, &pkt))
		relax();
	kvmb_ring_skip(r, &pkt);
}

static void *far_end(void *arg)
{
	static u8 buf[131072] __attribute__((aligned(64)));
	struct bench *b = arg;
	u64 i;

	pin(1);
	for (i = 0; i < b->count; i++) {
		recv_one(&b->there.r, buf, sizeof(buf));
		/*
		 * space goes back in pieces, as a provider does after a batch, but before the ring
		 * is full
		 */
		if (b->pingpong || !(i & 15) || b->len > RING_SIZE / 64)
			kvmb_ring_release(&b->there.r);
		if (b->pingpong)
			send_one(&b->back.w, buf, b->len);
	}
	kvmb_ring_release(&b->there.r);
	return NULL;
}

static double run(u32 len, bool pingpong)
{
	static u8 buf[131072] __attribute__((aligned(64)));
	struct bench b = { .len = len, .pingpong = pingpong };
	pthread_t t;
	double begin;
	u64 i;

	b.count = len > 8192 ? 20000 : pingpong ? 100000 : 400000;
	make(&b.there);
	make(&b.back);
	pthread_create(&t, NULL, far_end, &b);
	begin = now_ns();
	for (i = 0; i < b.count; i++) {
		send_one(&b.there.w, buf, len);
		if (pingpong) {
			recv_one(&b.back.r, buf, sizeof(buf));
			kvmb_ring_release(&b.back.r);
		}
	}
	pthread_join(t, NULL);
	return (now_ns() - begin) / (double)b.count;
}

static volatile u64 line[2][8] __attribute__((aligned(64)));

static void *bounce(void *arg)
{
	u64 i, n = *(u64 *)arg;

	pin(1);
	for (i = 1; i <= n; i++) {
		while (line[0][0] != i)
			relax();
		line[1][0] = i;
	}
	return NULL;
}

static double cache_line(void)
{
	u64 i, n = 200000;
	pthread_t t;
	double begin;

	line[0][0] = line[1][0] = 0;
	pthread_create(&t, NULL, bounce, &n);
	begin = now_ns();
	for (i = 1; i <= n; i++) {
		line[0][0] = i;
		while (line[1][0] != i)
			relax();
	}
	pthread_join(t, NULL);
	return (now_ns() - begin) / (double)n;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void show(const char *what, u32 len, bool pingpong, int runs)
{
	double v[MAX_RUNS];
	int i;

	for (i = 0; i < runs; i++)
		v[i] = len ? run(len, pingpong) : cache_line();
	qsort(v, (size_t)runs, sizeof(v[0]), compare);
	printf("| %s | %u | %.1f (%.1f..%.1f) |\n", what, len, v[runs / 2], v[0], v[runs - 1]);
}

int main(int argc, char **argv)
{
	static const u32 sizes[] = { 64, 256, 1024, 4096, 16384, 65536 };
	int runs = argc > 1 ? atoi(argv[1]) : 5;
	size_t i;

	runs = runs < 1 ? 1 : runs > MAX_RUNS ? MAX_RUNS : runs;
	pin(0);
	printf("| what | bytes | ns |\n|---|---|---|\n");
	show("cache line, round trip", 0, false, runs);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		show("ring, per message", sizes[i], false, runs);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		show("ring, request and response", sizes[i], true, runs);
	return 0;
}
