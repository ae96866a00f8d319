// SPDX-License-Identifier: GPL-2.0-only
/* Reading a disk beside the guest: disk_read.h. */
#include "vmm/disk_read.h"

#include <time.h>
#include <unistd.h>

#include "lib/util.h"

#define LOOK_MS 200 /* how soon a cancellation is seen */

/* What direct I/O reads ends at a page, and the file before that. */
static int read_raw(const struct kvmb_disk *d, u8 *buf, u64 at, size_t len)
{
	size_t want = d->direct ? KVMB_ALIGN_UP(len, (size_t)DISK_READ_ALIGN) : len, have = 0;
	ssize_t n;

	while (have < len) {
		n = pread(d->fd, buf + have, want - have, (off_t)(at + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO; /* it became shorter */
		have += (size_t)n;
	}
	return 0;
}

struct read_req {
	struct kvmb_disk_req req;
	struct disk_reader *reader;
};

static void on_read(struct kvmb_disk_req *req)
{
	struct disk_reader *r = container_of(req, struct read_req, req)->reader;

	pthread_mutex_lock(&r->lock);
	r->answered = true;
	pthread_cond_signal(&r->cond);
	pthread_mutex_unlock(&r->lock);
}

static bool wait_a_little(struct disk_reader *r)
{
	struct timespec until;
	bool answered;

	clock_gettime(CLOCK_REALTIME, &until); /* its jumps do no harm here */
	until.tv_nsec += LOOK_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	pthread_mutex_lock(&r->lock);
	if (!r->answered)
		pthread_cond_timedwait(&r->cond, &r->lock, &until);
	answered = r->answered;
	pthread_mutex_unlock(&r->lock);
	return answered;
}

/* The request is on our stack: it is waited for, also when it was cancelled. */
static int read_other(struct disk_reader *r, struct kvmb_disk *d, u8 *buf, u64 at, size_t len,
		      int (*look)(void *arg), void *arg)
{
	struct iovec iov = { buf, len };
	struct read_req q = { .reader = r,
			      .req = { .io = KVMB_IO_READ,
				       .offset = at,
				       .length = len,
				       .iov = &iov,
				       .num_iov = 1,
				       .done = on_read } };
	int err = 0;

	r->answered = false;
	d->ops->submit(d, &q.req);
	while (!wait_a_little(r)) {
		if (err)
			continue;
		err = look(arg);
		if (err)
			d->ops->cancel(d, &q.req);
	}
	return err ? err : q.req.result;
}

void disk_reader_init(struct disk_reader *r)
{
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->cond, NULL);
	r->answered = false;
}

void disk_reader_fini(struct disk_reader *r)
{
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->cond);
}

int disk_read(struct disk_reader *r, struct kvmb_disk *d, u8 *buf, u64 at, size_t len,
	      int (*look)(void *arg), void *arg)
{
	return kvmb_disk_is_raw(d) ? read_raw(d, buf, at, len) :
				     read_other(r, d, buf, at, len, look, arg);
}
