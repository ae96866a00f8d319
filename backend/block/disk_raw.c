// SPDX-License-Identifier: GPL-2.0-only
/* A raw file or block device: a descriptor that the channel workers read and write themselves. */
#include "backend/block/disk_raw.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backend/block/disk_file.h"
#include "backend/block/disk_pool.h"
#include "lib/util.h"

/* What a format's first bytes are: to warn, never to decide. */
static const struct {
	const char *format, *magic;
	size_t len;
} magics[] = {
	{ "qcow2", "QFI\xfb", 4 }, { "vhdx", "vhdxfile", 8 }, { "vmdk", "KDMV", 4 },
	{ "vhd", "conectix", 8 }, /* a dynamic one has a copy of its footer in front */
};

static int measure(int fd, u64 *bytes, dev_t *rdev, const char **kind)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*bytes = (u64)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode)) {
		*rdev = st.st_rdev;
		return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
	}
	*kind = kvmb_disk_not_a_file(&st);
	return -EINVAL;
}

/* Can the file give space back and read zeroes there? Asked of a hole beyond its end. */
static bool file_can_zero(int fd, u64 bytes)
{
	return !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)KVMB_ALIGN_UP(bytes, 4096u), 4096);
}

/*
 * A raw image that begins like a format was named badly, or its guest has written that: to say "use
 * format=" alone would be to say "do what the guest wants".
 */
static int check_magic(int fd, const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	_Alignas(4096) char buf[4096] = { 0 }; /* direct I/O reads nothing less */
	size_t i;

	if (spec->format || spec->dvd || pread(fd, buf, sizeof(buf), 0) < 8)
		return 0;
	for (i = 0; i < ARRAY_SIZE(magics); i++) {
		if (memcmp(buf, magics[i].magic, magics[i].len))
			continue;
		snprintf(
			why, size,
			"it looks like a %s image; use format=raw if a guest has used it as a raw "
			"disk, because the guest may have written this, "
			"and format=%s only if it was made as one",
			magics[i].format, magics[i].format);
		return -EINVAL;
	}
	return 0;
}

/*
 * Which multiples of bytes this file takes directly: a device's logical block, or what its file
 * system makes of it. Tried rather than asked for: not every kernel and file system can tell.
 */
static u32 direct_unit(int fd)
{
	static const u32 units[] = { KVMB_DISK_BLOCK, 1024, 2048, 4096 };
	void *buf = aligned_alloc(4096, 4096);
	size_t i;

	for (i = 0; buf && i < ARRAY_SIZE(units); i++) {
		if (pread(fd, buf, units[i], 0) >= 0 || errno != EINVAL)
			break;
	}
	free(buf);
	return i < ARRAY_SIZE(units) ? units[i] : 0;
}

/* With direct I/O the guest's blocks must be no smaller than the storage's. */
static int fit_block(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	u32 unit = direct_unit(d->fd);
	bool large = unit && !(4096 % unit) && !spec->dvd; /* would large blocks do? */

	d->direct_unit = unit;
	if (unit && !(d->block % unit))
		return 0;
	if (large && !spec->block) {
		d->block = 4096;
		return 0;
	}
	snprintf(
		why, size,
		"its storage needs larger units for direct I/O than blocks of %u bytes; use "
		"%scache=writeback",
		d->block, large ? "block=4096 or " : "");
	return -EINVAL;
}

int kvmb_disk_raw_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
		       struct kvmb_disk_files *files, char *why, size_t size)
{
	const char *kind = NULL;
	u64 bytes = 0;
	struct stat st;
	int err;

	d->fd = files->fd[0];
	files->fd[0] = -1;
	err = measure(d->fd, &bytes, &d->rdev, &kind);
	if (err) {
		snprintf(why, size, "%s", kind ? kind : strerror(-err));
		return err;
	}
	err = check_magic(d->fd, spec, why, size);
	if (!err && spec->cache == KVMB_CACHE_NONE)
		err = fit_block(d, spec, why, size);
	if (err)
		return err;
	d->blocks = bytes / d->block;
	if (!d->blocks) {
		snprintf(why, size, "it is smaller than one block of %u bytes", d->block);
		return -EINVAL;
	}
	err = spec->unlocked ? 0 : kvmb_disk_lock(d->fd, d->read_only, 0);
	if (err) {
		snprintf(why, size, "%s", err == -EBUSY ?
			 "it is in use by another VM or program (locked)" : strerror(-err));
		return err;
	}
	d->direct = spec->cache == KVMB_CACHE_NONE;
	if (!d->read_only)
		d->can_zero = d->rdev ? files->can_zero : file_can_zero(d->fd, bytes);
	kvmb_disk_identify(d, spec, fstat(d->fd, &st) ? NULL : &st);
	return 0;
}

static int raw_resize(struct kvmb_disk *d, u64 bytes, char *why, size_t size)
{
	const char *kind = NULL;
	u64 now = 0;
	dev_t rdev;
	int err = measure(d->fd, &now, &rdev, &kind);

	if (err) {
		snprintf(why, size, "%s", kind ? kind : strerror(-err));
		return err;
	}
	if (bytes && bytes < now && !d->rdev) {
		snprintf(why, size, "it has %llu bytes; shrinking would destroy data",
			 (unsigned long long)now);
		return -EINVAL;
	}
	if (bytes && bytes != now && d->rdev) {
		snprintf(why, size, "resize the device itself first, then give no size");
		return -EINVAL;
	}
	if (bytes && ftruncate(d->fd, (off_t)bytes)) {
		err = -errno;
		snprintf(why, size, "%s", strerror(-err));
		return err;
	}
	now = bytes ? bytes : now;
	if (now / d->block < kvmb_disk_blocks(d) && !d->rdev) {
		snprintf(why, size, "it became smaller");
		return -EINVAL;
	}
	__atomic_store_n(&d->blocks, now / d->block, __ATOMIC_RELAXED);
	return 0;
}

/* Nothing is ever held back here. */
static void raw_retry(struct kvmb_disk *d)
{
	(void)d;
}

static const char *raw_health(struct kvmb_disk *d)
{
	(void)d;
	return "ok";
}

static u32 raw_restarts(struct kvmb_disk *d)
{
	(void)d;
	return 0;
}

static void raw_close(struct kvmb_disk *d)
{
	if (d->fd < 0)
		return;
	kvmb_disk_pool_destroy(d);
	kvmb_disk_unlock(d->fd);
	close(d->fd);
}

const struct kvmb_disk_ops kvmb_disk_raw_ops = {
	.submit = kvmb_disk_pool_submit, /* from channels without an io_uring */
	.cancel = kvmb_disk_pool_cancel,
	.retry = raw_retry,
	.resize = raw_resize,
	.health = raw_health,
	.restarts = raw_restarts,
	.close = raw_close,
};
