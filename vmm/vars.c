// SPDX-License-Identifier: GPL-2.0-only
/* The file of a VM's variables: vars.h. */
#include "vmm/vars.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/block/disk_file.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/util.h"

#define BLOCK 4096u
#define QUEUE 256u
#define GATHER_MS 100u /* so long a change that the guest has not settled may wait for more */
#define REST_MS 50u    /* between two flushes, whatever the guest does */
#define RETRY_MS 1000u

enum vars_state {
	VARS_RUNS,
	VARS_ENDING,	/* the thread writes what is left; for good but for the next two */
	VARS_DONE,	/* the thread does nothing any more */
	VARS_ABANDONED, /* nobody waits for the thread, which frees everything */
};

struct change {
	u32 block;
	u8 content[BLOCK];
};

struct vars {
	char name[64];
	int fd;
	u32 blocks;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t moved; /* there is more to do, or state has changed */
	enum vars_state state;
	u8 *image;	      /* image[blocks * BLOCK], what has been handed over */
	u32 rewrite;	      /* next block of all that are written once more; blocks = none */
	struct change *queue; /* queue[QUEUE], a ring */
	u32 head, num;
	bool settled; /* what is in the queue */
	bool failing; /* a write or flush failed, and no flush has succeeded since */
	bool busy;    /* the thread has a change, or flushes */
};

/* ---- opening ---- */

static int write_all_of(int fd, const u8 *p, u32 len)
{
	u32 done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(fd, p + done, len - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (u32)n;
	}
	return fdatasync(fd) ? -errno : 0;
}

/* A file gets its name when it is complete, so that nobody finds half of it. */
static int make_unnamed(const char *path, const u8 *fresh, u32 len)
{
	char dir[4096], proc[40];
	const char *slash = strrchr(path, '/');
	int fd, err;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -EOPNOTSUPP;
	err = write_all_of(fd, fresh, len);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (!err && linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		err = errno == EEXIST ? -EEXIST : -EOPNOTSUPP;
	close(fd);
	return err;
}

/* The same where files without a name are not known, as on NFS. */
static int make_renamed(const char *path, const u8 *fresh, u32 len)
{
	char tmp[4096];
	int fd, err;

	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write_all_of(fd, fresh, len);
	if (!err && link(tmp, path))
		err = -errno;
	if (err == -EPERM || err == -EOPNOTSUPP) /* a file system without links */
		err = rename(tmp, path) ? -errno : 0;
	unlink(tmp);
	close(fd);
	return err;
}

static int make_file(const char *path, const u8 *fresh, u32 len)
{
	int err = make_unnamed(path, fresh, len);

	if (err == -EOPNOTSUPP)
		err = make_renamed(path, fresh, len);
	return err == -EEXIST ? 0 : err; /* somebody was faster */
}

static int open_old(const char *path, u32 len, bool lock, char *why, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		err = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		snprintf(why, size, "it is no file");
		err = -EINVAL;
	} else if (st.st_size != (off_t)len) {
		snprintf(why, size, "it has %lld bytes, and this firmware's variables have %u",
			 (long long)st.st_size, len);
		err = -EINVAL;
	} else if (lock) {
		err = kvmb_disk_lock(fd, false, 0);
	}
	if (!err)
		return fd;
	close(fd);
	return err;
}

int vars_open(const char *path, const u8 *fresh, u32 len, bool lock, char *why, size_t size)
{
	int fd, err = 0;

	why[0] = 0;
	fd = open_old(path, len, lock, why, size);
	if (fd == -ENOENT) {
		err = make_file(path, fresh, len);
		fd = err ? err : open_old(path, len, lock, why, size);
	}
	if (fd < 0 && !why[0])
		snprintf(why, size, "%s", fd == -EBUSY ? "another VM uses it" : strerror(-fd));
	return fd;
}

/* ---- the thread ---- */

/* Lock held. */
static void wait_some(struct vars *v, u32 ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&v->moved, &v->lock, &until);
}

static bool has_more(const struct vars *v)
{
	return v->num || v->rewrite < v->blocks;
}

/* Lock held. Wait until there is something that is worth writing. Return: false at the end. */
static bool wait_for_work(struct vars *v)
{
	v->busy = false;
	pthread_cond_broadcast(&v->moved);
	while (!has_more(v) && v->state == VARS_RUNS)
		pthread_cond_wait(&v->moved, &v->lock);
	v->busy = true;
	if (v->num == 1 && !v->settled && v->state == VARS_RUNS)
		wait_some(v, GATHER_MS);
	return has_more(v) && v->state != VARS_ABANDONED;
}

/* Lock held. The older change stays in the queue until it is on the file. */
static void take_next(struct vars *v, struct change *c)
{
	if (v->rewrite < v->blocks) {
		c->block = v->rewrite;
		memcpy(c->content, v->image + (size_t)v->rewrite * BLOCK, BLOCK);
		v->rewrite++;
		return;
	}
	memcpy(c, &v->queue[v->head], sizeof(*c));
	v->head = (v->head + 1) % QUEUE;
	v->num--;
}

/* Page-aligned and a page long: whoever kills the process sees all of it or nothing. */
static int write_change(struct vars *v, const struct change *c)
{
	ssize_t n;

	do
		n = pwrite(v->fd, c->content, BLOCK, (off_t)c->block * BLOCK);
	while (n < 0 && errno == EINTR);
	return n == BLOCK ? 0 : n < 0 ? -errno : -ENOSPC;
}

static void say_result(struct vars *v, int err)
{
	bool was = v->failing;

	v->failing = err;
	if (err && !was)
		kvmb_err(v->name, "variables: they cannot be written: %s; trying again",
			 strerror(-err));
	else if (!err && was)
		kvmb_warn(v->name, "variables: they are written again");
}

/* Return: false: it is the end, and this change is lost. */
static bool insist(struct vars *v, const struct change *c)
{
	bool runs = true;
	int err;

	for (;;) {
		err = write_change(v, c);
		pthread_mutex_lock(&v->lock);
		if (err) /* that it is written shows when it is flushed */
			say_result(v, err);
		runs = v->state == VARS_RUNS;
		if (err && runs)
			wait_some(v, RETRY_MS);
		pthread_mutex_unlock(&v->lock);
		if (!err || !runs)
			return !err;
	}
}

static void flush_and_rest(struct vars *v)
{
	int err = fdatasync(v->fd) ? -errno : 0;

	pthread_mutex_lock(&v->lock);
	say_result(v, err);
	if (v->state == VARS_RUNS) {
		wait_some(v, err ? RETRY_MS : REST_MS);
		if (err) /* the kernel forgets what it could not write */
			v->rewrite = 0;
	}
	pthread_mutex_unlock(&v->lock);
}

static void free_vars(struct vars *v)
{
	close(v->fd);
	free(v->image);
	free(v->queue);
	pthread_cond_destroy(&v->moved);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static bool next_change(struct vars *v, struct change *c, bool *last)
{
	bool more;

	pthread_mutex_lock(&v->lock);
	more = wait_for_work(v);
	if (more)
		take_next(v, c);
	*last = !has_more(v);
	pthread_mutex_unlock(&v->lock);
	return more;
}

static void *vars_main(void *arg)
{
	struct vars *v = arg;
	bool last, whole = true, abandoned;
	struct change c;

	kvmb_thread_enter(KVMB_THREAD_SINK, "variables");
	while (whole && next_change(v, &c, &last)) {
		whole = insist(v, &c);
		if (whole && last)
			flush_and_rest(v);
	}
	pthread_mutex_lock(&v->lock);
	abandoned = v->state == VARS_ABANDONED;
	v->failing |= !whole;
	if (!abandoned)
		v->state = VARS_DONE;
	pthread_cond_broadcast(&v->moved);
	pthread_mutex_unlock(&v->lock);
	if (abandoned)
		free_vars(v);
	return NULL;
}

/* ---- who changes them ---- */

void vars_changed(void *arg, u32 block, const u8 *content)
{
	struct vars *v = arg;
	struct change *tail;

	kvmb_assert(block < v->blocks);
	pthread_mutex_lock(&v->lock);
	memcpy(v->image + (size_t)block * BLOCK, content, BLOCK);
	v->settled = false;
	tail = &v->queue[(v->head + v->num + QUEUE - 1) % QUEUE];
	if (v->num && tail->block == block) {
		memcpy(tail->content, content, BLOCK);
	} else if (v->num < QUEUE) {
		tail = &v->queue[(v->head + v->num++) % QUEUE];
		tail->block = block;
		memcpy(tail->content, content, BLOCK);
		pthread_cond_broadcast(&v->moved);
	} else {
		v->num = 0;
		v->rewrite = 0;
	}
	pthread_mutex_unlock(&v->lock);
}

void vars_settled(void *arg)
{
	struct vars *v = arg;

	pthread_mutex_lock(&v->lock);
	v->settled = true;
	if (has_more(v))
		pthread_cond_broadcast(&v->moved);
	pthread_mutex_unlock(&v->lock);
}

/* ---- whose the file is ---- */

static bool has_unwritten(const struct vars *v)
{
	return has_more(v) || v->busy;
}

int vars_drain(struct vars *v, u32 ms)
{
	u32 waited;
	bool left;

	if (!v)
		return 0;
	pthread_mutex_lock(&v->lock);
	v->settled = true;
	pthread_cond_broadcast(&v->moved);
	for (waited = 0; has_unwritten(v) && waited < ms; waited += 10)
		wait_some(v, 10);
	left = has_unwritten(v);
	pthread_mutex_unlock(&v->lock);
	return left ? -ETIMEDOUT : 0;
}

int vars_lock(struct vars *v)
{
	return v ? kvmb_disk_lock(v->fd, false, 0) : 0;
}

void vars_unlock(struct vars *v)
{
	if (v)
		kvmb_disk_unlock(v->fd);
}

/* ---- life ---- */

static int read_content(int fd, u8 *content, u32 len)
{
	u32 done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, content + done, len - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (u32)n;
	}
	return 0;
}

static struct vars *new_vars(const char *name, int fd, const u8 *content, u32 len)
{
	struct vars *v = kvmb_xzalloc(sizeof(*v));
	pthread_condattr_t attr;

	snprintf(v->name, sizeof(v->name), "%s", name);
	v->fd = fd;
	v->blocks = v->rewrite = len / BLOCK;
	v->image = kvmb_xzalloc(len);
	memcpy(v->image, content, len);
	v->queue = kvmb_xzalloc(QUEUE * sizeof(*v->queue));
	pthread_mutex_init(&v->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->moved, &attr);
	pthread_condattr_destroy(&attr);
	return v;
}

struct vars *vars_create(const char *name, int fd, u8 *content, u32 len, char *why, size_t size)
{
	int err = read_content(fd, content, len);
	struct vars *v;

	if (err) {
		snprintf(why, size, "%s", strerror(-err));
		close(fd);
		return NULL;
	}
	v = new_vars(name, fd, content, len);
	err = pthread_create(&v->thread, NULL, vars_main, v);
	if (!err)
		return v;
	snprintf(why, size, "no thread: %s", strerror(err));
	free_vars(v);
	return NULL;
}

static bool join_thread(struct vars *v, u32 ms)
{
	u32 waited;

	v->state = VARS_ENDING;
	pthread_cond_broadcast(&v->moved);
	for (waited = 0; v->state != VARS_DONE && waited < ms; waited += 10)
		wait_some(v, 10);
	return v->state == VARS_DONE;
}

bool vars_destroy(struct vars *v, u32 ms)
{
	bool done, whole;

	if (!v)
		return true;
	pthread_mutex_lock(&v->lock);
	done = join_thread(v, ms);
	whole = done && !v->failing;
	if (!whole)
		kvmb_err(v->name, "variables: the last changes are not in their file");
	if (!done) {
		v->state = VARS_ABANDONED;
		pthread_detach(v->thread);
	}
	pthread_mutex_unlock(&v->lock);
	if (done) {
		pthread_join(v->thread, NULL);
		free_vars(v);
	}
	return whole;
}
