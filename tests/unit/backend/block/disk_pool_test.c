// SPDX-License-Identifier: GPL-2.0-only
/* The threads of a raw disk: what they do, how many there are, what can be taken back. */
#include "backend/block/disk_pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"
#include "tests/harness/open_named.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define BYTES 65536

/* ---- a host that reads when it is told to, and has few threads ---- */

static u32 may_read = UINT32_MAX; /* under io_lock: so many reads may go on */
static u32 reading, most;	  /* reads under way, and the most of them at once */
static pthread_mutex_t io_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t io_news = PTHREAD_COND_INITIALIZER;
static bool no_threads; /* atomic */
static bool impatient;	/* atomic: idle threads wait a moment only */

ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int num, off_t at, int flags)
{
	pthread_mutex_lock(&io_lock);
	reading++;
	most = KVMB_MAX(most, reading);
	while (!may_read)
		pthread_cond_wait(&io_news, &io_lock);
	may_read -= may_read != UINT32_MAX;
	reading--;
	pthread_mutex_unlock(&io_lock);
	return __real_preadv64v2(fd, iov, num, at, flags);
}

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	return __atomic_load_n(&no_threads, __ATOMIC_ACQUIRE) ?
		       EAGAIN :
		       __real_pthread_create(t, attr, fn, arg);
}

int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	struct timespec soon;

	if (!__atomic_load_n(&impatient, __ATOMIC_ACQUIRE))
		return __real_pthread_cond_timedwait(c, m, t);
	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_nsec += 20000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	return __real_pthread_cond_timedwait(c, m, &soon);
}

static int last_flags; /* of a write */

ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int num, off_t at, int flags)
{
	__atomic_store_n(&last_flags, flags, __ATOMIC_RELAXED);
	return __real_pwritev64v2(fd, iov, num, at, flags);
}

static void let_read(u32 n)
{
	pthread_mutex_lock(&io_lock);
	may_read = n;
	pthread_cond_broadcast(&io_news);
	pthread_mutex_unlock(&io_lock);
}

static u32 reads_under_way(void)
{
	u32 n;

	pthread_mutex_lock(&io_lock);
	n = reading;
	pthread_mutex_unlock(&io_lock);
	return n;
}

/* ---- a disk and its requests ---- */

struct asked {
	struct kvmb_disk_req r;
	struct iovec iov;
	u8 buf[4096];
	u32 done; /* atomic: times */
};

static char path[32];
static struct kvmb_disk *d;
static struct asked a[64];
static bool fua; /* what is asked for has it */

static int setup(void **state)
{
	struct kvmb_disk_spec spec = { .path = path };
	char why[KVMB_DISK_WHY];
	int fd;

	(void)state;
	strcpy(path, "/tmp/kvmbus-pool-XXXXXX");
	fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	assert_int_equal(open_named(&spec, &d, why, sizeof(why)), 0);
	assert_null(d->priv); /* who submits nothing has no pool */
	memset(a, 0, sizeof(a));
	let_read(UINT32_MAX);
	most = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kvmb_disk_close(d);
	unlink(path);
	__atomic_store_n(&no_threads, false, __ATOMIC_RELEASE);
	__atomic_store_n(&impatient, false, __ATOMIC_RELEASE);
	return 0;
}

static void on_done(struct kvmb_disk_req *r)
{
	__atomic_fetch_add(&container_of(r, struct asked, r)->done, 1, __ATOMIC_RELEASE);
}

static void submit(struct asked *q, enum kvmb_io io, u64 offset, u32 length)
{
	q->iov = (struct iovec){ q->buf, length };
	q->done = 0;
	q->r = (struct kvmb_disk_req){ .io = io,
				       .fua = fua,
				       .offset = offset,
				       .length = length,
				       .iov = &q->iov,
				       .num_iov = 1,
				       .done = on_done };
	d->ops->submit(d, &q->r);
}

static u32 done(const struct asked *q)
{
	return __atomic_load_n(&q->done, __ATOMIC_ACQUIRE);
}

static int result_of(struct asked *q)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (!done(q) && kvmb_now_ms() < until)
		usleep(100);
	assert_int_equal(done(q), 1);
	return q->r.result;
}

static int ask(enum kvmb_io io, u64 offset, u32 length)
{
	submit(&a[0], io, offset, length);
	return result_of(&a[0]);
}

static void wait_reads(u32 n)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (reads_under_way() != n && kvmb_now_ms() < until)
		usleep(100);
	assert_int_equal(reads_under_way(), n);
}

/* Threads of this process that bear the disk's name. */
static u32 threads(void)
{
	struct dirent *e;
	char file[300], name[32];
	DIR *dir = opendir("/proc/self/task");
	u32 n = 0;
	FILE *f;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		snprintf(file, sizeof(file), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(file, "re");
		n += f && fgets(name, sizeof(name), f) && !strncmp(name, "disk kvmbus-poo", 15);
		if (f)
			fclose(f);
	}
	closedir(dir);
	return n;
}

static void wait_threads(u32 n)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;

	while (threads() != n && kvmb_now_ms() < until)
		usleep(1000);
	assert_int_equal(threads(), n);
}

/* ---- tests ---- */

static void data_goes_there_and_back(void **state)
{
	u8 zero[4096] = { 0 };

	(void)state;
	memset(a[0].buf, 0x5a, 4096);
	assert_int_equal(ask(KVMB_IO_WRITE, 8192, 4096), 4096);
	assert_int_equal(last_flags, 0);
	fua = true;
	assert_int_equal(ask(KVMB_IO_WRITE, 8192, 4096), 4096);
	fua = false;
	assert_int_equal(last_flags, RWF_DSYNC);
	assert_int_equal(ask(KVMB_IO_FLUSH, 0, 0), 0);
	memset(a[0].buf, 0, 4096);
	assert_int_equal(ask(KVMB_IO_READ, 8192, 4096), 4096);
	assert_int_equal(a[0].buf[4095], 0x5a);
	assert_int_equal(ask(KVMB_IO_ZERO, 8192, 4096), 0);
	assert_int_equal(ask(KVMB_IO_READ, 8192, 4096), 4096);
	assert_memory_equal(a[0].buf, zero, 4096);
}

static void a_short_transfer_says_how_much(void **state)
{
	(void)state;
	assert_int_equal(ask(KVMB_IO_READ, BYTES - 512, 4096), 512);
	assert_int_equal(ask(KVMB_IO_READ, BYTES, 4096), -EIO); /* nothing more will come */
}

static void an_error_is_reported(void **state)
{
	int fd = d->fd;

	(void)state;
	d->fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ask(KVMB_IO_WRITE, 0, 512), -ENOSPC);
	assert_int_equal(ask(KVMB_IO_READ, 0, 512), -EBADF);
	assert_int_equal(ask(KVMB_IO_FLUSH, 0, 0), -EINVAL);
	assert_true(ask(KVMB_IO_ZERO, 0, 512) < 0);
	close(d->fd);
	d->fd = fd;
}

static void four_at_once_and_the_rest_can_be_cancelled(void **state)
{
	u32 i, n = 0, taken = 0;

	(void)state;
	let_read(0);
	for (i = 0; i < 10; i++)
		submit(&a[i], KVMB_IO_READ, 0, 512);
	wait_reads(4);
	usleep(50000);
	assert_int_equal(threads(), 4);
	for (i = 0; i < 10; i++) {
		d->ops->cancel(d, &a[i].r);
		n += done(&a[i]); /* at once, or not at all */
	}
	assert_int_equal(n, 6);
	submit(&a[10], KVMB_IO_READ, 0, 512); /* the queue is whole after that */
	submit(&a[11], KVMB_IO_READ, 0, 512);
	d->ops->cancel(d, &a[11].r);
	submit(&a[12], KVMB_IO_READ, 0, 512);
	usleep(50000);
	assert_int_equal(reads_under_way(), 4); /* what the kernel has is waited for */
	let_read(UINT32_MAX);
	for (i = 0; i < 10; i++) {
		n = (u32)result_of(&a[i]);
		assert_true(n == 512 || (int)n == -ECANCELED);
		taken += n == 512;
	}
	assert_int_equal(taken, 4);
	assert_int_equal(result_of(&a[10]), 512);
	assert_int_equal(result_of(&a[11]), -ECANCELED);
	assert_int_equal(result_of(&a[12]), 512);
	assert_int_equal(most, 4);
}

static void one_at_a_time_needs_one_thread(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 20; i++) {
		assert_int_equal(ask(KVMB_IO_READ, 0, 512), 512);
		usleep(10000); /* it is idle again */
	}
	assert_int_equal(threads(), 1);
}

static void idle_threads_end_and_come_again(void **state)
{
	u32 round, i;

	(void)state;
	__atomic_store_n(&impatient, true, __ATOMIC_RELEASE);
	for (round = 0; round < 3; round++) {
		let_read(0);
		for (i = 0; i < 4; i++)
			submit(&a[i], KVMB_IO_READ, 0, 512);
		wait_reads(4);
		let_read(UINT32_MAX);
		for (i = 0; i < 4; i++)
			assert_int_equal(result_of(&a[i]), 512);
		wait_threads(0);
	}
}

static void without_a_thread_the_request_comes_back(void **state)
{
	(void)state;
	__atomic_store_n(&no_threads, true, __ATOMIC_RELEASE);
	submit(&a[0], KVMB_IO_READ, 0, 512);
	assert_int_equal(done(&a[0]), 1);
	assert_int_equal(a[0].r.result, -EAGAIN);
	__atomic_store_n(&no_threads, false, __ATOMIC_RELEASE);
	assert_int_equal(ask(KVMB_IO_READ, 0, 512), 512);

	/* with one there is no need for more */
	__atomic_store_n(&no_threads, true, __ATOMIC_RELEASE);
	let_read(0);
	submit(&a[0], KVMB_IO_READ, 0, 512);
	submit(&a[1], KVMB_IO_READ, 0, 512);
	wait_reads(1);
	let_read(UINT32_MAX);
	assert_int_equal(result_of(&a[0]), 512);
	assert_int_equal(result_of(&a[1]), 512);
}

static void *submit_many(void *arg)
{
	struct asked *q = arg;
	u32 round, i;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < 16; i++)
			submit(&q[i], i % 4 ? KVMB_IO_READ : KVMB_IO_WRITE, i * 4096, 4096);
		if (round % 8 == 0)
			d->ops->cancel(d, &q[15].r);
		for (i = 0; i < 16; i++) {
			int n = result_of(&q[i]);

			assert_true(n == 4096 || (n == -ECANCELED && i == 15));
		}
	}
	return NULL;
}

static void several_channels_share_it(void **state)
{
	pthread_t t[4];
	u32 i;

	(void)state;
	__atomic_store_n(&impatient, true, __ATOMIC_RELEASE);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, submit_many, &a[16 * i]), 0);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_in_range(most, 1, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(data_goes_there_and_back),
		T(a_short_transfer_says_how_much),
		T(an_error_is_reported),
		T(four_at_once_and_the_rest_can_be_cancelled),
		T(one_at_a_time_needs_one_thread),
		T(idle_threads_end_and_come_again),
		T(without_a_thread_the_request_comes_back),
		T(several_channels_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
