// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel's worker when something is short: the disk's limit, the kernel's queue, memory, a
 * medium that hangs. Nothing grows, nothing spins, nothing is answered too early.
 */
#include <liburing.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "backend/block/disk_raw.h"
#include "lib/util.h"
#include "tests/harness/storage_guest.h"

/* ---- what the worker hands to the kernel ---- */

static u32 num_timeouts, num_fsyncs, num_polls; /* entries of that kind; atomic */
static int submit_err;	/* atomic: every submission fails with it */
static u32 submits;	/* atomic: attempts */
static int wait_err;	/* atomic: every wait without a time fails with it */
static u32 waits;	/* atomic: attempts */
static bool bad_polls;	/* atomic: the kernel cannot poll */
static bool old_kernel; /* atomic: it polls once at a time, as before 5.13 */

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring)
{
	int err = __atomic_load_n(&submit_err, __ATOMIC_ACQUIRE);
	unsigned int i, mask = *ring->sq.kring_mask;

	__atomic_fetch_add(&submits, 1, __ATOMIC_RELAXED);
	if (err)
		return err;
	for (i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe = &ring->sq.sqes[i & mask];
		u8 op = sqe->opcode;

		if (op == IORING_OP_POLL_ADD) {
			__atomic_fetch_add(&num_polls, 1, __ATOMIC_RELAXED);
			if (__atomic_load_n(&bad_polls, __ATOMIC_ACQUIRE))
				sqe->len = 1u << 31; /* no such flag */
			else if (__atomic_load_n(&old_kernel, __ATOMIC_ACQUIRE) && sqe->len)
				sqe->len = 1u << 31;
		}
		if (op == IORING_OP_TIMEOUT)
			__atomic_fetch_add(&num_timeouts, 1, __ATOMIC_RELAXED);
		if (op == IORING_OP_FSYNC)
			__atomic_fetch_add(&num_fsyncs, 1, __ATOMIC_RELAXED);
	}
	return __real_io_uring_submit(ring);
}

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int num);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int num);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int num)
{
	int err = __atomic_load_n(&wait_err, __ATOMIC_ACQUIRE);

	__atomic_fetch_add(&waits, 1, __ATOMIC_RELAXED);
	return err ? err : __real_io_uring_submit_and_wait(ring, num);
}

/* ---- and to the kernel without one ---- */

ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags)
{
	ssize_t n = __real_pwritev64v2(fd, iov, num, at, flags);

	/* a pipe has no offset: an io_uring leaves it out, a system call complains */
	return n < 0 && errno == ESPIPE ? writev(fd, iov, num) : n;
}

ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags)
{
	ssize_t n = __real_preadv64v2(fd, iov, num, at, flags);

	return n < 0 && errno == ESPIPE ? readv(fd, iov, num) : n;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	__atomic_fetch_add(&num_fsyncs, 1, __ATOMIC_RELAXED);
	return __real_fdatasync(fd);
}

static bool no_memory; /* atomic: malloc() has none */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return __atomic_load_n(&no_memory, __ATOMIC_ACQUIRE) ? NULL : __real_malloc(size);
}

/* Some tests are about the io_uring itself. Return: true where the host allows none. */
static bool needs_uring(void)
{
	if (kvmb_storage_uring(s))
		print_message("no io_uring here\n");
	return kvmb_storage_uring(s);
}

/* ---- the guest ---- */

static u64 loop_max_us; /* longest turn of the bus thread */

static void turn(void)
{
	struct timespec a, b;
	u64 us;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	kvmb_loop_once(f.loop, 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	us = (u64)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	loop_max_us = KVMB_MAX(loop_max_us, us);
}

/* Completions that come within @ms. Return: how many; the last is *last. */
static u32 collect(u32 want, u32 ms, u64 *last)
{
	u8 buf[256] __attribute__((aligned(8)));
	u64 until = kvmb_now_ms() + ms;
	struct kvmb_pkt pkt;
	u32 got = 0;

	while (got < want && kvmb_now_ms() < until) {
		turn();
		if (kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
			usleep(50);
			continue;
		}
		got += pkt.type == KVMB_PKT_COMPLETION;
		*last = pkt.trans_id;
		kvmb_ring_skip(&c.rx, &pkt);
		if (kvmb_ring_release(&c.rx) > 0)
			fake_signal(&f, &c);
	}
	return got;
}

static u64 send_reset(void)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_RESET_BUS) };

	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, ++next_id, NULL,
				   0, &p, sizeof(p)),
			 0);
	return next_id;
}

static u64 read_block(u8 lun, u64 gpa)
{
	return send_srb(&c, lun, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512);
}

static u64 cpu_ms(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (u64)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
	       (u64)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

/* io_uring requests of the whole machine; 0 where it does not say. For the figures only. */
static long kiocbs(void)
{
	char line[256];
	long n = 0;
	FILE *p = fopen("/proc/slabinfo", "re");

	while (p && fgets(line, sizeof(line), p))
		sscanf(line, "io_kiocb %ld", &n);
	if (p)
		fclose(p);
	return n;
}

/* Another raw disk; its file has no name any more. */
static char spare_path[] = "/tmp/kvmbus-spare-XXXXXX";

static struct kvmb_disk *spare_disk(enum kvmb_disk_cache cache)
{
	struct kvmb_disk_spec spec = { .path = spare_path, .cache = cache };
	char why[KVMB_DISK_WHY] = "";
	struct kvmb_disk *d = NULL;
	int fd;

	strcpy(spare_path, "/tmp/kvmbus-spare-XXXXXX");
	fd = mkstemp(spare_path);
	assert_int_equal(ftruncate(fd, BLOCKS * 512), 0);
	close(fd);
	assert_int_equal(open_named(&spec, &d, why, sizeof(why)), 0);
	unlink(spare_path);
	return d;
}

/*
 * A guest that resets its bus for ever on a limited disk: what it dropped costs nothing, and
 * nothing of it stays, neither in the kernel nor in the limit.
 */
static void a_reset_loop_on_a_limited_disk_leaves_nothing_behind(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, until, last, cpu, reset;
	struct kvmb_wire_stor a;
	long slab = kiocbs();
	u32 rounds = 0, i;

	(void)state;
	init();
	kvmb_storage_set_limits(s, 0, 10, -1);
	num_timeouts = 0;
	loop_max_us = 0;
	until = kvmb_now_ms() + 3000;
	while (kvmb_now_ms() < until) {
		for (i = 0; i < 100; i++)
			read_block(0, gpa);
		reset = send_reset();
		assert_int_equal(collect(101, PATIENCE_MS, &last), 101);
		assert_int_equal(last, reset);
		rounds++;
	}
	slab = kiocbs() - slab;
	/* one more, which waits: for about a tenth of a second, asleep */
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x29);
	for (i = 0; i < 3; i++)
		last = read_block(0, gpa);
	cpu = cpu_ms();
	i = collect(3, PATIENCE_MS, &last);
	cpu = cpu_ms() - cpu;
	print_message(
		"%u rounds of 100 reads and a reset: %u timeouts queued, io_kiocb %+ld, "
			"longest turn of the "
		"bus thread %llu us; then %u of 3 reads, %llu ms of CPU\n",
		rounds, num_timeouts, slab, (unsigned long long)loop_max_us, i,
		(unsigned long long)cpu);
	assert_int_equal(i, 3);
	assert_true(num_timeouts <= 1);
	assert_true(loop_max_us < 500000);
}

/* Somebody lifts a limit because the guest stands still: it goes on at once, not in two minutes. */
static void a_changed_limit_is_for_those_who_wait_too(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, last, begin;
	u32 i;

	(void)state;
	init();
	assert_false(kvmb_storage_set_limits(s, 5, 1, 1));
	assert_true(kvmb_storage_set_limits(s, 0, -1, 4));
	for (i = 0; i < 40; i++)
		read_block(0, gpa); /* each takes two minutes */
	assert_int_equal(collect(40, 300, &last), 1);
	assert_true(kvmb_storage_set_limits(s, 0, 0, 512 * 50));
	begin = kvmb_now_ms();
	i = collect(15, PATIENCE_MS,
		    &last); /* fifty a second, and a tenth of a second's worth at once */
	assert_int_equal(i, 15);
	assert_true(kvmb_now_ms() - begin >= (15 - 5 - 1) * 1000 / 50);
	assert_true(kvmb_storage_set_limits(s, 0, -1, 0));
	assert_int_equal(collect(39 - i, PATIENCE_MS, &last), 39 - i);
}

/* The kernel takes no more entries: the requests wait, and are done when it does. */
static void a_full_submission_queue_is_waited_for(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, last, before;
	struct kvmb_disk *d;
	u32 i, n;

	(void)state;
	if (needs_uring())
		skip();
	d = spare_disk(KVMB_CACHE_WRITEBACK);
	d->direct = true; /* nothing on the spot */
	kvmb_storage_attach(s, d, false, 3);
	init();
	__atomic_store_n(&submit_err, -EAGAIN, __ATOMIC_RELEASE);
	for (i = 0; i < 150; i++)
		read_block(3, gpa);
	assert_int_equal(collect(1, 50, &last), 0);
	__atomic_store_n(&submits, 0, __ATOMIC_RELEASE);
	before = cpu_ms();
	assert_int_equal(collect(1, 500, &last), 0);
	n = __atomic_load_n(&submits, __ATOMIC_ACQUIRE);
	print_message(
		"150 reads and a kernel that takes none: %u attempts, %llu ms of CPU in 500 ms\n",
		n, (unsigned long long)(cpu_ms() - before));
	__atomic_store_n(&submit_err, 0, __ATOMIC_RELEASE);
	assert_in_range(n, 1, 1000);
	assert_int_equal(collect(150, PATIENCE_MS, &last), 150);
}

/* It cannot wait, or not poll: all goes on, a little later, and nobody spins. */
static void a_kernel_that_cannot_is_left_alone(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a;
	u32 n;

	(void)state;
	if (needs_uring())
		skip();
	init();
	__atomic_store_n(&wait_err, -ENOMEM, __ATOMIC_RELEASE);
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a); /* out of its sleep */
	__atomic_store_n(&waits, 0, __ATOMIC_RELEASE);
	usleep(500000);
	n = __atomic_load_n(&waits, __ATOMIC_ACQUIRE);
	assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512, &a),
			 1);
	__atomic_store_n(&wait_err, 0, __ATOMIC_RELEASE);
	print_message("a kernel that cannot wait: %u attempts in 500 ms\n", n);
	assert_in_range(n, 1, 1000);

	fake_close(&f, &c);
	__atomic_store_n(&bad_polls, true, __ATOMIC_RELEASE);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	__atomic_store_n(&num_polls, 0, __ATOMIC_RELEASE);
	usleep(500000);
	n = __atomic_load_n(&num_polls, __ATOMIC_ACQUIRE);
	init(); /* it finds the guest's requests all the same */
	__atomic_store_n(&bad_polls, false, __ATOMIC_RELEASE);
	print_message("a kernel that cannot poll: %u attempts in 500 ms\n", n);
	assert_in_range(n, 1, 1000);
}

/*
 * Hosts before Linux 5.13 have polls that end with their first event: no storm, and no waiting
 * either.
 */
static void an_old_kernel_polls_once_at_a_time(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, begin;
	struct kvmb_wire_stor a;
	u32 i, n;

	(void)state;
	if (needs_uring())
		skip();
	fake_close(&f, &c);
	__atomic_store_n(&old_kernel, true, __ATOMIC_RELEASE);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	usleep(50000);
	__atomic_store_n(&num_polls, 0, __ATOMIC_RELEASE);
	usleep(200000);
	assert_int_equal(__atomic_load_n(&num_polls, __ATOMIC_ACQUIRE), 0); /* asleep */
	begin = kvmb_now_ms();
	for (i = 0; i < 200; i++)
		assert_int_equal(srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa,
				     512, &a),
				 1);
	n = (u32)(kvmb_now_ms() - begin);
	fake_close(&f, &c); /* a kick is seen, too */
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	__atomic_store_n(&old_kernel, false, __ATOMIC_RELEASE);
	print_message("200 reads with polls of one event: %u ms, %u polls\n", n,
		      __atomic_load_n(&num_polls, __ATOMIC_ACQUIRE));
	assert_in_range(n, 0, 10000);
}

static void without_memory_for_requests_nothing_spins(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, last, cpu;
	u32 i;

	(void)state;
	init();
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	/* those that exist are at the disk: the next one needs memory */
	__atomic_store_n(&no_memory, true, __ATOMIC_RELEASE);
	for (i = 0; i < 20; i++)
		send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	assert_int_equal(collect(1, 50, &last), 0);
	cpu = cpu_ms();
	usleep(500000);
	cpu = cpu_ms() - cpu;
	print_message("no memory for a request: %llu ms of CPU in 500 ms\n",
		      (unsigned long long)cpu);
	__atomic_store_n(&no_memory, false, __ATOMIC_RELEASE);
	assert_true(cpu < 200);
	wait_held(20);
	finish_held(0);
	assert_int_equal(collect(20, PATIENCE_MS, &last), 20);
}

/* Zeroes are a write like any other: on stable storage before the answer, of every unit's kind. */
static void zeroes_without_a_write_cache_are_synced(void **state)
{
	static const struct { u8 lun; u32 fsyncs; } rows[] = { { 3, 1 }, { 4, 0 } };
	u64 gpa = fake_alloc(&f, 1) << 12;
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_unit_stats st;
	struct kvmb_wire_stor a;
	size_t i;

	(void)state;
	kvmb_storage_attach(s, spare_disk(KVMB_CACHE_WRITETHROUGH), false, 3);
	kvmb_storage_attach(s, spare_disk(KVMB_CACHE_WRITEBACK), false, 4);
	init();
	p[1] = 38; /* two ranges of UNMAP */
	p[3] = 32;
	p[15] = 100, p[19] = 8;
	p[31] = 200, p[35] = 16;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		/* "LUNs changed" */
		srb_lun(rows[i].lun, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
		__atomic_store_n(&num_fsyncs, 0, __ATOMIC_RELEASE);
		assert_int_equal(srb_lun(rows[i].lun, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), 10,
					 KVMB_SRB_DATA_OUT, gpa, 40, &a),
				 1);
		CHECK_ROW(__atomic_load_n(&num_fsyncs, __ATOMIC_ACQUIRE), rows[i].fsyncs, i);
		/* WRITE SAME (16) without data */
		assert_int_equal(srb_lun(rows[i].lun,
					 CDB(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 64), 16,
					 KVMB_SRB_DATA_NONE, 0, 0, &a),
				 1);
		CHECK_ROW(__atomic_load_n(&num_fsyncs, __ATOMIC_ACQUIRE), 2 * rows[i].fsyncs, i);
		kvmb_storage_unit_stats(s, rows[i].lun, &st); /* counted as what the guest wanted */
		CHECK_ROW(st.ops[KVMB_KIND_OTHER], 2, i);
		CHECK_ROW(st.flushes, 0, i);
		CHECK_ROW(st.bytes[KVMB_KIND_OTHER], (8 + 16 + 64) * 512, i);
	}
}

/* ---- a raw disk that hangs: its file is a pipe ---- */

static int pipe_fds[2];

static struct kvmb_disk *pipe_disk(int fd)
{
	struct kvmb_disk *d = calloc(1, sizeof(*d));

	d->ops = &kvmb_disk_raw_ops;
	d->fd = fd;
	d->lock_fd = -1;
	d->block = 512;
	d->blocks = 4096;
	d->direct = true; /* through the kernel's queue, not on the spot */
	strcpy(d->path, "pipe");
	return d;
}

static void make_full_pipe(void)
{
	static u8 junk[4096];

	assert_int_equal(pipe(pipe_fds), 0);
	fcntl(pipe_fds[1], F_SETPIPE_SZ, 4096);
	assert_int_equal(write(pipe_fds[1], junk, 4096), 4096);
}

static void drain_pipe(void)
{
	static u8 junk[4096];

	assert_int_equal(read(pipe_fds[0], junk, 4096), 4096);
}

/* Whatever the kernel has may still reach the disk: only when it has is the reset done. */
static void a_reset_waits_for_a_write_that_the_kernel_has(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, last, write, reset;
	struct kvmb_wire_stor a;

	(void)state;
	make_full_pipe();
	kvmb_storage_attach(s, pipe_disk(pipe_fds[1]), false, 3);
	init();
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	write = send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa,
			 4096);
	assert_int_equal(collect(1, 100, &last), 0);
	reset = send_reset();
	assert_int_equal(collect(1, 300, &last), 0);
	drain_pipe();
	assert_int_equal(collect(1, 2000, &last), 1);
	assert_int_equal(last, write);
	assert_int_equal(collect(1, 2000, &last), 1);
	assert_int_equal(last, reset);
	drain_pipe(); /* the write is there, whole */
	close(pipe_fds[0]);
}

/* Without an io_uring four threads hang, and what waits for a thread is not at the kernel yet. */
static void a_reset_drops_what_no_thread_has_taken(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, last, reset;
	struct kvmb_wire_stor a;
	u32 i;

	(void)state;
	if (!kvmb_storage_uring(s))
		skip();
	make_full_pipe();
	kvmb_storage_attach(s, pipe_disk(pipe_fds[1]), false, 3);
	init();
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	for (i = 0; i < 6; i++)
		send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa,
			 4096);
	assert_int_equal(collect(1, 100, &last), 0);
	reset = send_reset();
	assert_int_equal(collect(2, PATIENCE_MS, &last), 2);
	assert_int_equal(collect(1, 300, &last), 0);
	for (i = 0; i < 5; i++)
		drain_pipe(); /* what was in it, and four writes */
	assert_int_equal(collect(5, PATIENCE_MS, &last), 5);
	assert_int_equal(last, reset);
	close(pipe_fds[0]);
}

/* Until the worker has taken all that the guest has sent. */
static void await_taken(const struct fake_chan *ch)
{
	const volatile u32 *index = ch->map_tx.ctrl; /* of the writer, of the reader */
	u64 until = kvmb_now_ms() + 10000;

	while (index[0] != index[1] && kvmb_now_ms() < until)
		usleep(1000);
	assert_int_equal(index[0], index[1]);
}

static void a_close_waits_for_a_write_that_the_kernel_has(void **state)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(c.relid) };
	u64 gpa = fake_alloc(&f, 1) << 12, last, until;

	(void)state;
	make_full_pipe();
	kvmb_storage_attach(s, pipe_disk(pipe_fds[1]), false, 3);
	init();
	send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096);
	await_taken(&c);
	assert_int_equal(collect(1, 100, &last), 0);
	fake_post(&f, KVMB_MSG_CLOSE, &m, sizeof(m));
	assert_false(fake_teardown(&f, c.relid, c.gpadl));
	for (until = kvmb_now_ms() + 300; kvmb_now_ms() < until;)
		kvmb_loop_once(f.loop, 10);
	assert_null(fake_next(&f, KVMB_MSG_GPADL_TORNDOWN));
	drain_pipe();
	assert_non_null(fake_wait(&f, KVMB_MSG_GPADL_TORNDOWN));
	drain_pipe();
	close(pipe_fds[0]);
}

/* ---- ejecting while somebody hangs ---- */

static u32 ejects;

static void on_ejected(void *arg, struct kvmb_storage *storage, unsigned int lun)
{
	(void)arg;
	ejects++;
	kvmb_storage_set_medium(storage, lun, NULL, on_gone, NULL);
}

/* A channel that hangs acknowledges nothing; the guest may eject as often as it likes meanwhile. */
static void ejecting_in_a_loop_takes_away_once(void **state)
{
	static const struct kvmb_storage_events events = { .ejected = on_ejected };
	struct kvmb_wire_stor p = { 0 }, a;
	const struct kvmb_wire_offer *o;
	struct fake_chan sub;
	u64 gpa, last;
	u32 i, status = 0;

	(void)state;
	fake_rest(&f);
	kvmb_storage_destroy(s);
	fake_fini(&f);
	fake_init(&f, KVMB_VERSION_NEWEST);
	assert_int_equal(pipe(pipe_fds), 0);
	s = kvmb_storage_create(0, 3, rings, f.loop, &events, NULL);
	kvmb_storage_attach(s, pipe_disk(pipe_fds[0]), true, 3);
	kvmb_storage_offer(s, f.bus);
	fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1);
	fake_unmap(&c);
	fake_open(&f, &c, le32_to_cpu(offer.relid), 8);
	gpa = fake_alloc(&f, 1) << 12;
	init();
	p.u.sub_channels = cpu_to_le16(1);
	assert_int_equal(ask(KVMB_STOR_CREATE_SUB_CHANNELS, &p), 0);
	o = fake_wait(&f, KVMB_MSG_OFFER);
	assert_non_null(o);
	assert_int_equal(fake_open(&f, &sub, le32_to_cpu(o->relid), 8), 0);
	/* hangs */
	send_srb(&sub, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512);
	await_taken(&sub);
	usleep(50000);
	ejects = 0;
	for (i = 0; i < 200; i++) {
		status |= srb_lun(3, CDB(0x1b, 0, 0, 0, 2), 6, KVMB_SRB_DATA_NONE, 0, 0, &a) ^ 1;
		collect(1, 1, &last);
	}
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	i = gone;
	assert_int_equal(write(pipe_fds[1], path, 1), 1); /* it goes on, and to its end */
	close(pipe_fds[1]);
	assert_int_equal(i, 0);
	assert_int_equal(status, 0);
	assert_int_equal(ejects, 1);
	assert_sense(&a, 2, 0x3a); /* empty, and its tray is in again */
	assert_int_equal(a.u.srb.u.sense[13], 1);
	wait_gone();
	kvmb_disk_close(gone_disk);
	fake_unmap(&sub);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_reset_loop_on_a_limited_disk_leaves_nothing_behind),
		T(a_changed_limit_is_for_those_who_wait_too),
		T(a_full_submission_queue_is_waited_for),
		T(a_kernel_that_cannot_is_left_alone),
		T(an_old_kernel_polls_once_at_a_time),
		T(without_memory_for_requests_nothing_spins),
		T(zeroes_without_a_write_cache_are_synced),
		T(a_reset_waits_for_a_write_that_the_kernel_has),
		T(a_reset_drops_what_no_thread_has_taken),
		T(a_close_waits_for_a_write_that_the_kernel_has),
		T(ejecting_in_a_loop_takes_away_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
