/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request layer that stands where the channels are, for tests of disks with operations:
 * disk_nbd*_test.c.
 */
#ifndef KVMB_DISK_IO_H
#define KVMB_DISK_IO_H

#include <semaphore.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "lib/log.h"
#include "lib/util.h"
#include "tests/harness/fast_clock.h"
#include "tests/harness/open_named.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define BLOCK 4096u
#define BLOCKS 4096u /* 16 MiB */

static char dir[64];
static struct kvmb_disk *d;

struct io {
	struct kvmb_disk_req r;
	struct iovec iov;
	u8 buf[BLOCK];
	sem_t done;
};

static inline void on_done(struct kvmb_disk_req *r)
{
	sem_post(&container_of(r, struct io, r)->done);
}

static inline void start_io(struct io *io, enum kvmb_io what, u64 block)
{
	io->iov = (struct iovec){ io->buf, BLOCK };
	io->r = (struct kvmb_disk_req){ .io = what,
					.offset = block * BLOCK,
					.length = BLOCK,
					.iov = &io->iov,
					.num_iov = 1,
					.done = on_done };
	if (what == KVMB_IO_FLUSH)
		io->r.length = io->r.offset = 0;
	sem_init(&io->done, 0, 0);
	d->ops->submit(d, &io->r);
}

static inline int wait_io(struct io *io)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_MS / 1000;
	if (sem_timedwait(&io->done, &until))
		return -ETIME;
	return io->r.result;
}

static inline int do_io(struct io *io, enum kvmb_io what, u64 block)
{
	start_io(io, what, block);
	return wait_io(io);
}

static inline void sh(const char *fmt, const char *a, const char *b)
{
	char cmd[2048];

	snprintf(cmd, sizeof(cmd), fmt, dir, a, dir, b);
	assert_int_equal(system(cmd), 0);
}

static inline int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmbus-nbd-XXXXXX");
	assert_non_null(mkdtemp(dir));
	d = NULL;
	return 0;
}

static inline int teardown(void **state)
{
	char cmd[128];

	(void)state;
	kvmb_disk_close(d);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	return system(cmd);
}

static inline int open_as(const char *name, struct kvmb_disk_spec *spec, char *why)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	spec->path = path;
	spec->run_dir = dir;
	why[0] = 0;
	return open_named(spec, &d, why, KVMB_DISK_WHY);
}

static inline void wait_health(const char *want)
{
	u64 until = real_ms() + PATIENCE_MS;

	while (strcmp(kvmb_disk_health(d), want) && real_ms() < until)
		usleep(10000);
	assert_string_equal(kvmb_disk_health(d), want);
}

static inline void fill(u8 *buf, u64 block, u32 version)
{
	u32 i;

	for (i = 0; i < BLOCK; i += 8) {
		u64 v = block << 32 | version << 16 | i;

		memcpy(buf + i, &v, 8);
	}
}

#endif
