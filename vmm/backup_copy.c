// SPDX-License-Identifier: GPL-2.0-only
/* Copying disks as they were at one moment: backup_copy.h. */
#include "vmm/backup_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/sparse.h"
#include "lib/util.h"

#define MAX_CHUNKS (BACKUP_PIECE / KVMB_DISK_CHUNK)
#define NAP_MS 200u /* how soon a cancellation is seen */

static_assert(!(BACKUP_PIECE % KVMB_DISK_CHUNK), "a piece has whole chunks");

int backup_copy_init(struct backup_copy *c, u32 num)
{
	disk_reader_init(&c->reader);
	pthread_mutex_init(&c->bell.lock, NULL);
	pthread_cond_init(&c->bell.cond, NULL);
	c->disks = calloc(num, sizeof(c->disks[0]));
	c->buf = aligned_alloc(DISK_READ_ALIGN, BACKUP_PIECE + DISK_READ_ALIGN);
	return c->disks && c->buf ? 0 : -ENOMEM;
}

void backup_copy_fini(struct backup_copy *c)
{
	u32 i;

	for (i = 0; i < c->num; i++) {
		if (c->disks[i].fd >= 0)
			close(c->disks[i].fd);
	}
	if (c->disks || c->buf) {
		disk_reader_fini(&c->reader);
		pthread_mutex_destroy(&c->bell.lock);
		pthread_cond_destroy(&c->bell.cond);
	}
	free(c->disks);
	free(c->buf);
	memset(c, 0, sizeof(*c));
}

static void ring(struct kvmb_disk_bell *b)
{
	pthread_mutex_lock(&b->lock);
	b->rung = true;
	pthread_cond_signal(&b->cond);
	pthread_mutex_unlock(&b->lock);
}

void backup_copy_cancel(struct backup_copy *c)
{
	__atomic_store_n(&c->cancelled, 1, __ATOMIC_RELAXED);
	ring(&c->bell);
}

static int is_given_up(void *arg)
{
	struct backup_copy *c = arg;

	return __atomic_load_n(&c->cancelled, __ATOMIC_RELAXED) ? -ECANCELED : 0;
}

/* ---- clones ---- */

/* What the kernel reports to us of earlier writes the guest must hear, too. */
static void settle(struct kvmb_disk *d)
{
	if (fdatasync(d->fd))
		kvmb_disk_owe(d, -errno);
}

static bool clone_disk(const struct backup_disk *b)
{
	return !ioctl(b->fd, FICLONE, b->d->fd);
}

int backup_copy_warm(struct backup_copy *c)
{
	u32 i;

	for (i = 0; i < c->num && !is_given_up(c); i++) {
		struct backup_disk *b = &c->disks[i];

		if (c->changes || !kvmb_disk_is_raw(b->d) || b->d->rdev || !clone_disk(b))
			continue;
		settle(b->d);
		b->clones = true;
	}
	return is_given_up(c);
}

/* ---- the moment ---- */

static int begin_disk(struct backup_copy *c, struct backup_disk *b, const char *base)
{
	const u64 *only = NULL;
	int err;

	if (kvmb_disk_bytes(b->d) != b->bytes) {
		snprintf(c->why, sizeof(c->why), "disk %u:%u has got another size", b->controller,
			 b->lun);
		return -ESTALE;
	}
	err = kvmb_disk_since_take(b->d);
	if (!err && c->changes) {
		only = kvmb_disk_since_bits(b->d, base);
		if (!only) {
			snprintf(c->why, sizeof(c->why),
				 "what changed on disk %u:%u is not known any more", b->controller,
				 b->lun);
			return -ESTALE;
		}
	}
	if (!err)
		err = kvmb_disk_point_begin(b->d, only, &c->bell);
	if (err)
		snprintf(c->why, sizeof(c->why), "disk %u:%u: its writes cannot be watched: %s",
			 b->controller, b->lun, strerror(-err));
	return err;
}

int backup_copy_begin(struct backup_copy *c, const char *base)
{
	int err = 0;
	u32 i;

	for (i = 0; i < c->num && !err; i++)
		err = begin_disk(c, &c->disks[i], base);
	if (err)
		backup_copy_end(c);
	return err;
}

void backup_copy_end(struct backup_copy *c)
{
	u32 i;

	for (i = 0; i < c->num; i++)
		kvmb_disk_point_end(c->disks[i].d);
}

/* ---- chunks ---- */

static u64 place_of_chunk(const struct backup_disk *b, u64 chunk)
{
	return KVMB_MIN(chunk * KVMB_DISK_CHUNK, b->bytes);
}

static int cannot_write(struct backup_copy *c, const struct backup_disk *b, int err)
{
	snprintf(c->why, sizeof(c->why), "the copy of disk %u:%u cannot be written: %s",
		 b->controller, b->lun, strerror(-err));
	return err;
}

static int write_part(int fd, const u8 *p, u64 at, size_t len)
{
	ssize_t n;

	while (len) {
		n = pwrite(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		at += (u64)n;
		len -= (size_t)n;
	}
	return 0;
}

/* A file that was empty has them; one that is older may have something else there. */
static int clear_part(struct backup_copy *c, const struct backup_disk *b, const u8 *p, u64 at,
		      size_t len)
{
	if (!c->changes)
		return 0;
	if (!fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
		return 0;
	return write_part(b->fd, p, at, len);
}

static size_t block_at(size_t at, size_t len)
{
	return KVMB_MIN(len - at, (size_t)DISK_READ_ALIGN);
}

/* What is in c->buf, in parts that are all zero or all not. */
static int write_copy(struct backup_copy *c, const struct backup_disk *b, u64 at, size_t len)
{
	size_t from, to;
	bool zero;
	int err = 0;

	for (from = 0; from < len && !err; from = to) {
		zero = kvmb_all_zero(c->buf + from, block_at(from, len));
		to = from + block_at(from, len);
		while (to < len && kvmb_all_zero(c->buf + to, block_at(to, len)) == zero)
			to += block_at(to, len);
		err = zero ? clear_part(c, b, c->buf + from, at + from, to - from) :
			     write_part(b->fd, c->buf + from, at + from, to - from);
	}
	return err ? cannot_write(c, b, err) : 0;
}

static int is_broken(struct backup_copy *c, const struct backup_disk *b)
{
	if (!kvmb_disk_point_broken(b->d))
		return 0;
	snprintf(c->why, sizeof(c->why),
		 "a write of the guest to disk %u:%u waited for too long: the copy is too slow",
		 b->controller, b->lun);
	return -ETIME;
}

static int copy_chunks(struct backup_copy *c, struct backup_disk *b, u64 chunk, u64 num)
{
	u64 at = place_of_chunk(b, chunk), len = place_of_chunk(b, chunk + num) - at;
	int err = is_given_up(c);

	if (!err)
		err = disk_read(&c->reader, b->d, c->buf, at, len, is_given_up, c);
	if (err) {
		if (err != -ECANCELED)
			snprintf(c->why, sizeof(c->why), "disk %u:%u cannot be read: %s",
				 b->controller, b->lun, strerror(-err));
		return err;
	}
	kvmb_disk_point_saved(b->d, chunk, 0); /* somebody is here: see its patience */
	err = write_copy(c, b, at, len);
	if (!err)
		err = is_broken(c, b); /* else it may be newer than the moment */
	if (err)
		return err;
	kvmb_disk_point_saved(b->d, chunk, num);
	b->copied += len;
	c->paced += len;
	__atomic_fetch_add(&c->done, len, __ATOMIC_RELAXED);
	return 0;
}

/* What writers wait for, of all disks. */
static int serve_wants(struct backup_copy *c)
{
	u64 chunk, num;
	u32 i;
	int err = 0;

	for (i = 0; i < c->num && !err; i++) {
		while (!err && !c->disks[i].cloned &&
		       kvmb_disk_point_wanted(c->disks[i].d, MAX_CHUNKS, &chunk, &num))
			err = copy_chunks(c, &c->disks[i], chunk, num);
	}
	return err;
}

/* ---- pace ---- */

static void nap(struct backup_copy *c, u64 ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until); /* its jumps do no harm here */
	until.tv_nsec += (long)ms * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	pthread_mutex_lock(&c->bell.lock);
	if (!c->bell.rung)
		pthread_cond_timedwait(&c->bell.cond, &c->bell.lock, &until);
	c->bell.rung = false;
	pthread_mutex_unlock(&c->bell.lock);
}

static int keep_pace(struct backup_copy *c)
{
	u64 due, now;
	int err;

	for (;;) {
		err = is_given_up(c);
		if (!err)
			err = serve_wants(c);
		if (err || !c->rate)
			return err;
		due = c->began_ms + c->paced / c->rate * 1000 + c->paced % c->rate * 1000 / c->rate;
		now = kvmb_now_ms();
		if (now >= due)
			return 0;
		nap(c, KVMB_MIN(due - now, (u64)NAP_MS));
	}
}

/* ---- all ---- */

/* What is a hole now was one then: nobody has written to a chunk that is not saved. */
static int skip_holes(struct backup_copy *c, struct backup_disk *b)
{
	u64 pos = 0, from, to, first, last;
	int err = 0, more = 1;

	if (c->changes || !kvmb_disk_is_raw(b->d))
		return 0;
	for (; more && !err; pos = to) {
		more = kvmb_next_data(b->d->fd, pos, b->bytes, &from, &to);
		if (more < 0)
			return 0; /* it cannot be asked: all of it is read */
		first = (pos + KVMB_DISK_CHUNK - 1) / KVMB_DISK_CHUNK;
		last = more ? from / KVMB_DISK_CHUNK : b->chunks;
		if (last > first)
			kvmb_disk_point_saved(b->d, first, last - first);
		err = is_given_up(c);
		if (!err)
			err = serve_wants(c);
	}
	return err;
}

static u64 bytes_left(const struct backup_disk *b)
{
	u64 chunk, num, sum = 0;

	for (chunk = 0; chunk < b->chunks; chunk += num) {
		chunk = kvmb_disk_point_next(b->d, chunk, b->chunks, &num);
		sum += num * KVMB_DISK_CHUNK;
	}
	return sum;
}

static int prepare_disk(struct backup_copy *c, struct backup_disk *b)
{
	if (b->clones && clone_disk(b)) {
		b->cloned = true;
		kvmb_disk_point_saved(b->d, 0, b->chunks);
		return is_broken(c, b);
	}
	if (!c->changes && (ftruncate(b->fd, 0) || ftruncate(b->fd, (off_t)b->bytes)))
		return cannot_write(c, b, -errno);
	return 0;
}

static int copy_disk(struct backup_copy *c, struct backup_disk *b)
{
	u64 chunk = 0, num;
	int err = 0;

	while (!err && !b->cloned) {
		err = keep_pace(c);
		chunk = kvmb_disk_point_next(b->d, chunk, MAX_CHUNKS, &num);
		if (chunk >= b->chunks)
			break;
		if (!err)
			err = copy_chunks(c, b, chunk, num);
	}
	return err ? err : is_broken(c, b);
}

static int copy_all(struct backup_copy *c)
{
	u64 total = 0;
	u32 i;
	int err = 0;

	for (i = 0; i < c->num && !err; i++)
		err = prepare_disk(c, &c->disks[i]);
	for (i = 0; i < c->num && !err; i++)
		err = skip_holes(c, &c->disks[i]);
	for (i = 0; i < c->num && !err; i++)
		total += bytes_left(&c->disks[i]);
	__atomic_store_n(&c->total, total + __atomic_load_n(&c->done, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
	c->began_ms = kvmb_now_ms();
	c->paced = 0;
	for (i = 0; i < c->num && !err; i++)
		err = copy_disk(c, &c->disks[i]);
	return err;
}

/* Here and not on the main thread: a network's file system may have much to do. */
static void close_files(struct backup_copy *c)
{
	u32 i;

	for (i = 0; i < c->num; i++) {
		close(c->disks[i].fd);
		c->disks[i].fd = -1;
	}
}

int backup_copy_run(struct backup_copy *c)
{
	int err = copy_all(c);
	u32 i;

	backup_copy_end(c);
	for (i = 0; i < c->num && !err; i++) {
		if (fdatasync(c->disks[i].fd))
			err = cannot_write(c, &c->disks[i], -errno);
		else
			err = is_given_up(c);
	}
	close_files(c);
	return err;
}
