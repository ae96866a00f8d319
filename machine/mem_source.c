// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory in a file, one to one: mem_source.h. */
#include "machine/mem_source.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/sparse.h"
#include "lib/util.h"

#define CHUNK (1u << 20)

struct file {
	struct mem_source source;
	int fd;
	u64 offset;
};

static struct file *file_of(struct mem_source *s)
{
	return container_of(s, struct file, source);
}

static int file_read(struct mem_source *s, void *buf, u64 at, u64 len)
{
	const struct file *f = file_of(s);
	int err = kvmb_pread_all(f->fd, buf, len, f->offset + at);

	return err == -ENODATA ? -EIO : err;
}

static int file_next(struct mem_source *s, u64 at, u64 *from, u64 *to)
{
	const struct file *f = file_of(s);
	int err = kvmb_next_data(f->fd, f->offset + at, f->offset + s->size, from, to);

	if (err > 0) {
		*from -= f->offset;
		*to -= f->offset;
	}
	return err;
}

static int file_check(struct mem_source *s)
{
	const struct file *f = file_of(s);
	off_t end = lseek(f->fd, 0, SEEK_END);

	return end >= 0 && (u64)end >= f->offset + s->size ? 0 : -EIO;
}

static void file_close(struct mem_source *s)
{
	close(file_of(s)->fd);
	free(file_of(s));
}

static const struct mem_source_ops file_ops = {
	.read = file_read,
	.next = file_next,
	.check = file_check,
	.close = file_close,
};

struct mem_source *mem_source_file(int fd, u64 offset, u64 size)
{
	struct file *f = malloc(sizeof(*f));

	if (!f)
		return NULL;
	*f = (struct file){ .source = { &file_ops, size, KVMB_PAGE_SIZE },
			    .fd = fd,
			    .offset = offset };
	return &f->source;
}

int mem_source_fill(struct mem_source *s, u8 *ram)
{
	u64 at, from, to, n;
	int err;

	for (at = 0; (err = s->ops->next(s, at, &from, &to)) > 0; at = to) {
		for (; from < to; from += n) {
			n = KVMB_MIN(to - from, CHUNK);
			err = s->ops->read(s, ram + from, from, n);
			if (err)
				return err;
		}
	}
	return err ? err : s->ops->check(s);
}

void mem_source_close(struct mem_source *s)
{
	if (s)
		s->ops->close(s);
}
