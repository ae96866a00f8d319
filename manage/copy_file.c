// SPDX-License-Identifier: GPL-2.0-only
/* A file or device of this host as the source of a copy: copier.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "manage/copier.h"
#include "manage/disk_id.h"

#define AHEAD (COPIER_SLOTS * COPIER_GRAIN)

struct file_source {
	struct copier_source s;
	int fd;
	bool holes; /* a file, which knows them */
};

static struct file_source *file_of(struct copier_source *s)
{
	return container_of(s, struct file_source, s);
}

static int begin_file(struct copier_source *s, struct copier_slot *slot)
{
	struct file_source *f = file_of(s);

	posix_fadvise(f->fd, (off_t)slot->at, AHEAD, POSIX_FADV_WILLNEED);
	slot->err = kvmb_pread_all(f->fd, slot->buf, slot->len, slot->at);
	slot->done = true;
	return 0;
}

static int wait_for_file(struct copier_source *s, int ms)
{
	(void)s;
	(void)ms;
	return 0;
}

static int look_at_file(struct copier_source *s, uint64_t at, uint64_t *end, bool *zero)
{
	uint64_t from, to;
	int more = file_of(s)->holes ? kvmb_next_data(file_of(s)->fd, at, s->bytes, &from, &to) :
				       -1;

	*zero = false;
	*end = s->bytes;
	if (more < 0) /* it cannot say */
		return 0;
	*zero = !more || from > at;
	*end = !more ? s->bytes : from > at ? from : to;
	return 0;
}

static void close_file(struct copier_source *s)
{
	close(file_of(s)->fd);
	free(file_of(s));
}

static const struct copier_ops file_ops = { begin_file, wait_for_file, look_at_file, close_file };

static int measure(struct file_source *f, const char *path, char *why, size_t size)
{
	struct stat st;

	if (fstat(f->fd, &st)) {
		snprintf(why, size, "%s", strerror(errno));
		return -errno;
	}
	f->holes = S_ISREG(st.st_mode);
	f->s.bytes = f->holes ? (uint64_t)st.st_size : 0;
	if (S_ISBLK(st.st_mode) && ioctl(f->fd, BLKGETSIZE64, &f->s.bytes)) {
		snprintf(why, size, "%s", strerror(errno));
		return -errno;
	}
	if (!f->holes && !S_ISBLK(st.st_mode)) {
		snprintf(why, size, "it is neither a block device nor a file");
		return -EINVAL;
	}
	if (!f->s.bytes || f->s.bytes > COPIER_MOST) {
		snprintf(why, size, f->s.bytes ? "it is too large" : "it is empty");
		return -EINVAL;
	}
	disk_id_local(f->fd, path, f->s.id, sizeof(f->s.id));
	return 0;
}

/* @fd is the source's from here on, also on failure. */
static struct copier_source *make_source(int fd, const char *path, char *why, size_t size)
{
	struct file_source *f = kvmb_xzalloc(sizeof(*f));

	f->s.ops = &file_ops;
	f->fd = fd;
	if (fd < 0)
		snprintf(why, size, "%s", strerror(errno));
	else if (!measure(f, path, why, size))
		return &f->s;
	if (fd >= 0)
		close(fd);
	free(f);
	return NULL;
}

struct copier_source *copy_file_open(const char *path, char *why, size_t size)
{
	return make_source(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), path, why, size);
}

struct copier_source *copy_file_take(int fd, const char *path, char *why, size_t size)
{
	return make_source(fcntl(fd, F_DUPFD_CLOEXEC, 3), path, why, size);
}
