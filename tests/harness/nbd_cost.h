/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a bad server costs: connections, CPU, lines of log, time in submit(). For
 * disk_nbd_conn_test.c and disk_nbd_send_test.c.
 */
#ifndef KVMB_NBD_COST_H
#define KVMB_NBD_COST_H

#include <fcntl.h>

#include "tests/harness/nbd_disk.h"

#define POISON 7u /* block */

static inline bool poisoned(const struct nbd_srv_req *q)
{
	return q->type != NBD_SRV_FLUSH && q->offset == POISON * BLOCK;
}

static struct {
	u64 begin_ms, cpu_ms, slowest_us;
	u32 connects, answers;
	int log, stderr_fd;
} cost;

static inline void begin_cost(void)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/log", dir);
	fflush(stderr);
	cost.stderr_fd = dup(STDERR_FILENO);
	cost.log = open(path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND, 0600);
	dup2(cost.log, STDERR_FILENO);
	cost.begin_ms = kvmb_now_ms();
	cost.cpu_ms = cpu_ms();
	cost.connects = nbd_srv_count(&srv.connects);
	cost.slowest_us = cost.answers = 0;
}

static inline off_t end_log(void)
{
	off_t lines = lseek(cost.log, 0, SEEK_END);

	dup2(cost.stderr_fd, STDERR_FILENO);
	close(cost.stderr_fd);
	close(cost.log);
	cost.log = 0;
	return lines;
}

/* A test that failed on its way: what it said is in the log. */
static inline int cost_teardown(void **state)
{
	char buf[4096];
	ssize_t n = cost.log ? pread(cost.log, buf, sizeof(buf), 0) : 0;

	if (cost.log)
		end_log();
	if (n > 0 && write(STDERR_FILENO, buf, (size_t)n) < 0)
		return -1;
	return srv_teardown(state);
}

#define C(name) cmocka_unit_test_setup_teardown(name, setup, cost_teardown)

/* At most so much in the time since begin_cost(): a pause is two seconds at last. */
static inline void end_cost(const char *what, u32 max_connects)
{
	u64 ms = kvmb_now_ms() - cost.begin_ms, cpu = cpu_ms() - cost.cpu_ms;
	u32 connects = nbd_srv_count(&srv.connects) - cost.connects;
	off_t lines = end_log();

	print_message(
		"%s: %llu ms, %u answers, %u connections, %llu ms of CPU, "
			"%lld bytes of log, submit %llu us\n",
		what, (unsigned long long)ms, cost.answers, connects, (unsigned long long)cpu,
		(long long)lines, (unsigned long long)cost.slowest_us);
	/* those of a machine that takes its time */
	assert_in_range(connects, 0, max_connects + ms / 2000);
	assert_in_range(lines, 0, 2000 + ms);
	/* a storm takes all that there is */
	assert_in_range(cpu, 0, 300 + ms / fast_clock.rate / 5);
}

static inline void timed_start(struct io *io, enum kvmb_io what, u64 block)
{
	struct timespec a, b;
	u64 us;

	clock_gettime(CLOCK_MONOTONIC, &a);
	letter(io, what, block, 'A');
	clock_gettime(CLOCK_MONOTONIC, &b);
	us = (u64)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	cost.slowest_us = KVMB_MAX(cost.slowest_us, us);
}

/* A guest that asks again and again, eight at a time, for @ms; each is answered. */
static inline void insist(u32 ms, int expect)
{
	static struct io io[8];
	u64 until = kvmb_now_ms() + ms;
	u32 i;

	do {
		for (i = 0; i < ARRAY_SIZE(io); i++)
			timed_start(&io[i], i & 1 ? KVMB_IO_WRITE : KVMB_IO_READ, i);
		for (i = 0; i < ARRAY_SIZE(io); i++, cost.answers++)
			assert_int_equal(wait_io(&io[i]), expect);
		usleep(1000);
	} while (kvmb_now_ms() < until);
}

static inline void goes_on_as_if_nothing_was(void)
{
	static struct io io;

	__atomic_store_n(&srv.hello, HELLO_GOOD, __ATOMIC_RELEASE);
	nbd_srv_plan(&srv, NULL);
	d->ops->retry(d);
	wait_health("ok");
	assert_int_equal(write_letter(&io, 3, 'Z'), 0);
	assert_int_equal(read_letter(&io, 3), 'Z');
	assert_string_equal(kvmb_disk_health(d), "ok");
}

#endif
