// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening, locking and measuring disks.
 *
 * For an image format we open the image and the parents that the user named, and pass the
 * descriptors to a storage daemon (qsd.h). A file that only the image names is never opened
 * (image.h).
 *
 * Locks: QEMU's tools lock single bytes, 100 to 163 and 200 to 263, of an image that they read
 * or write (Linux OFD locks; QEMU 7.2 block/file-posix.c). A raw image is ours alone, so we lock
 * the whole file, which keeps those tools out. A storage daemon locks its image itself; we hold
 * a lock on the first bytes, which keeps out a second kvmbus even while the daemon restarts.
 */
#include "backend/block/disk.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/block/disk_nbd.h"
#include "backend/block/qsd.h"
#include "lib/util.h"

#define LOCK_BYTES_OURS 100 /* of an image in a daemon: bytes before the first of QEMU's */

static const struct {
	const char *ending, *format;
} endings[] = {
	{ ".vhd", "vhd" },     { ".vhdx", "vhdx" },   { ".avhdx", "vhdx" }, { ".avhd", "vhd" },
	{ ".qcow2", "qcow2" }, { ".qcow", "qcow2" },  { ".vmdk", "vmdk" },  { ".vdi", "vdi" },
};

/* What a format's first bytes are: to warn, never to decide. */
static const struct {
	const char *format, *magic;
	size_t len;
} magics[] = {
	{ "qcow2", "QFI\xfb", 4 }, { "vhdx", "vhdxfile", 8 }, { "vmdk", "KDMV", 4 },
	{ "vhd", "conectix", 8 }, /* a dynamic one has a copy of its footer in front */
};

static bool is_uri(const char *path)
{
	return !strncmp(path, "nbd://", 6) || !strncmp(path, "nbd+unix://", 11) ||
	       !strncmp(path, "nbds://", 7) || !strncmp(path, "nbds+unix://", 12);
}

const char *kvmb_disk_format_of(const char *path)
{
	size_t len = strlen(path), i, n;

	if (is_uri(path))
		return "nbd";
	for (i = 0; i < ARRAY_SIZE(endings); i++) {
		n = strlen(endings[i].ending);
		if (len > n && !strcasecmp(path + len - n, endings[i].ending))
			return endings[i].format;
	}
	return "raw";
}

static int lock_range(int fd, bool read_only, off_t len)
{
	struct flock fl = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
			    .l_len = len };

	if (!fcntl(fd, F_OFD_SETLK, &fl))
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

static const char *what_else(const struct stat *st)
{
	return S_ISDIR(st->st_mode) ? "it is a directory" : "it is neither a file nor a block device";
}

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
	*kind = what_else(&st);
	return -EINVAL;
}

/* FNV-1a: a stable name for the same file, not a secret */
static u64 hash_bytes(const void *buf, size_t len)
{
	const u8 *p = buf;
	u64 h = 0xcbf29ce484222325ull;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

static void identify(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, const struct stat *st)
{
	u64 words[2] = { st ? st->st_dev : 0, st ? st->st_ino : 0 };
	u64 h = st ? hash_bytes(words, sizeof(words)) : hash_bytes(d->path, strlen(d->path));
	size_t i;

	d->naa = 0x3000000000000000ull | h >> 4; /* NAA 3: locally assigned */
	if (spec->serial)
		snprintf(d->serial, sizeof(d->serial), "%.20s", spec->serial);
	else
		snprintf(d->serial, sizeof(d->serial), "%016llx", (unsigned long long)d->naa);
	for (i = 0; d->serial[i]; i++) { /* SCSI: printable ASCII */
		if (!isprint((unsigned char)d->serial[i]))
			d->serial[i] = '_';
	}
	if (spec->serial) /* two disks that somebody gave one serial number to are one disk */
		d->naa = 0x3000000000000000ull | hash_bytes(d->serial, strlen(d->serial)) >> 4;
}

/* Can the file give space back and read zeroes there? Asked of a hole beyond its end. */
static bool file_can_zero(int fd, u64 bytes)
{
	return !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)KVMB_ALIGN_UP(bytes, 4096u), 4096);
}

static bool device_can_zero(dev_t dev)
{
	char path[96], line[32] = "";
	FILE *f;

	/* of a partition the queue is the whole disk's */
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/write_zeroes_max_bytes", major(dev),
		 minor(dev));
	f = fopen(path, "re");
	if (!f) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../queue/write_zeroes_max_bytes",
			 major(dev), minor(dev));
		f = fopen(path, "re");
	}
	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return strtoull(line, NULL, 10) > 0;
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
		snprintf(why, size, "it begins like a %s image: say format=raw if a guest has used it as a raw disk, "
			 "because that guest may have written this; format=%s only if it was made as one",
			 magics[i].format, magics[i].format);
		return -EINVAL;
	}
	return 0;
}

static int open_flags(const struct kvmb_disk_spec *spec, bool device)
{
	int flags = (spec->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;

	if (spec->cache == KVMB_CACHE_NONE)
		flags |= O_DIRECT;
	if (device)
		flags |= O_EXCL; /* refused while it is mounted or held by another driver */
	return flags;
}

/* Why the file could not be opened. Return: -@err. */
static int not_opened(int err, bool read_only, char *why, size_t size)
{
	bool may_not = err == EACCES || err == EROFS || err == EPERM;

	snprintf(why, size, "%s%s", strerror(err), !read_only && may_not ? "; try ,ro" : "");
	return -err;
}

static int open_image(const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	struct stat st;
	bool there = !stat(spec->path, &st), device = there && S_ISBLK(st.st_mode);
	int fd, err;

	/* before it is opened: a pipe would not return, and O_NONBLOCK means something to io_uring */
	if (there && !device && !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s", what_else(&st));
		return -EINVAL;
	}
	fd = open(spec->path, open_flags(spec, device));
	err = errno;
	if (fd >= 0)
		return fd;
	if (err == EINVAL && spec->cache == KVMB_CACHE_NONE)
		snprintf(why, size, "its file system has no direct I/O; try cache=writeback");
	else if (err == EBUSY)
		snprintf(why, size, "the device is mounted or in use");
	else
		return not_opened(err, spec->read_only, why, size);
	return -err;
}

/*
 * Which multiples of bytes this file takes directly: a device's logical block, or what its file system
 * makes of it. Tried rather than asked for: not every kernel and file system can tell.
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
	snprintf(why, size, "its storage takes direct I/O in larger units than blocks of %u bytes: say %scache=writeback",
		 d->block, large ? "block=4096 or " : "");
	return -EINVAL;
}

static int open_raw(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	const char *kind = NULL;
	u64 bytes = 0;
	struct stat st;
	int err;

	d->fd = open_image(spec, why, size);
	if (d->fd < 0)
		return d->fd;
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
	err = lock_range(d->fd, d->read_only, 0);
	if (err) {
		snprintf(why, size, "%s", err == -EBUSY ?
			 "it is in use by another VM or program (locked)" : strerror(-err));
		return err;
	}
	d->direct = spec->cache == KVMB_CACHE_NONE;
	if (!d->read_only)
		d->can_zero = d->rdev ? device_can_zero(d->rdev) : file_can_zero(d->fd, bytes);
	identify(d, spec, fstat(d->fd, &st) ? NULL : &st);
	return 0;
}

/* A file that a storage daemon will be given. It may not stop us by being a pipe. */
static int open_file(const char *path, bool read_only, char *why, size_t size)
{
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return not_opened(errno, read_only, why, size);
	if (S_ISREG(st.st_mode))
		return fd;
	close(fd);
	snprintf(why, size, "an image in a format is a file; this is %s",
		 S_ISDIR(st.st_mode) ? "a directory" : S_ISBLK(st.st_mode) ? "a device: use it raw" : "none");
	return -EINVAL;
}

static int open_parent(const char *path, char *why, size_t size)
{
	char what[128];
	int fd = -EINVAL;

	if (is_uri(path))
		snprintf(what, sizeof(what), "a parent is a file, not a server");
	else
		fd = open_file(path, true, what, sizeof(what));
	if (fd < 0)
		snprintf(why, size, "backing=%.200s: %s", path, what);
	return fd;
}

/* The daemon to be, with what it may open. Return: NULL with *@err and @why. */
static struct kvmb_qsd *daemon_for(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, int *err, char *why,
				   size_t size)
{
	struct kvmb_qsd_conf conf = { .read_only = d->read_only, .direct = d->cache == KVMB_CACHE_NONE,
				      .run_dir = spec->run_dir };
	u32 i;
	int fd = fcntl(d->lock_fd, F_DUPFD_CLOEXEC, 3);

	*err = fd < 0 ? not_opened(errno, true, why, size) : 0;
	if (!*err)
		conf.images[conf.num++] = (struct kvmb_qsd_image){ fd, d->format, d->path };
	for (i = 0; i < spec->num_backing && !*err; i++) {
		fd = open_parent(spec->backing[i], why, size);
		if (fd < 0)
			*err = fd;
		else
			conf.images[conf.num++] = (struct kvmb_qsd_image){ fd, kvmb_disk_format_of(spec->backing[i]),
									   spec->backing[i] };
	}
	if (!*err)
		return kvmb_qsd_create(&conf);
	while (conf.num)
		close(conf.images[--conf.num].fd);
	return NULL;
}

static int open_daemon(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	struct kvmb_qsd *qsd = NULL;
	struct stat st;
	int err;

	if (is_uri(spec->path)) {
		identify(d, spec, NULL);
		return kvmb_nbd_open(d, spec, NULL, why, size);
	}
	d->lock_fd = open_file(spec->path, d->read_only, why, size);
	if (d->lock_fd < 0)
		return d->lock_fd;
	err = lock_range(d->lock_fd, d->read_only, LOCK_BYTES_OURS);
	if (err) {
		snprintf(why, size, "%s", err == -EBUSY ?
			 "it is in use by another VM or program (locked)" : strerror(-err));
		return err;
	}
	identify(d, spec, fstat(d->lock_fd, &st) ? NULL : &st);
	qsd = daemon_for(d, spec, &err, why, size);
	return err ? err : kvmb_nbd_open(d, spec, qsd, why, size);
}

int kvmb_disk_open(const struct kvmb_disk_spec *spec, struct kvmb_disk **out, char *why,
		   size_t why_size)
{
	const char *format = spec->format ? spec->format : kvmb_disk_format_of(spec->path);
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));
	int err;

	d->fd = d->lock_fd = -1;
	d->read_only = spec->read_only || spec->dvd;
	d->cache = spec->cache;
	d->on_error = spec->on_error;
	d->block = spec->dvd ? KVMB_DVD_BLOCK : spec->block ? spec->block : KVMB_DISK_BLOCK;
	d->throttle.iops = spec->iops;
	d->throttle.bps = spec->bps;
	snprintf(d->path, sizeof(d->path), "%s", spec->path);
	snprintf(d->format, sizeof(d->format), "%s", format);
	if (!strcmp(format, "raw") && spec->num_backing) {
		snprintf(why, why_size, "a raw image has no backing image; overlays are qcow2");
		err = -EINVAL;
	} else if (spec->format && is_uri(spec->path)) {
		snprintf(why, why_size, "format= is for files; what a server has is used as it is");
		err = -EINVAL;
	} else if (!strcmp(format, "raw")) {
		struct kvmb_disk_spec s = *spec;

		s.read_only = d->read_only;
		err = open_raw(d, &s, why, why_size);
	} else {
		err = open_daemon(d, spec, why, why_size);
	}
	if (err) {
		kvmb_disk_close(d);
		return err;
	}
	*out = d;
	return 0;
}

void kvmb_disk_close(struct kvmb_disk *d)
{
	if (!d)
		return;
	if (d->ops)
		d->ops->close(d);
	if (d->fd >= 0) {
		/* an io_uring that had it registered may let go of it later; the lock must not wait */
		fcntl(d->fd, F_OFD_SETLK, &(struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET });
		close(d->fd);
	}
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d);
}

static int resize_raw(struct kvmb_disk *d, u64 bytes, char *why, size_t size)
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
		snprintf(why, size, "it has %llu bytes; making it smaller would destroy data",
			 (unsigned long long)now);
		return -EINVAL;
	}
	if (bytes && bytes != now && d->rdev) {
		snprintf(why, size, "a device is resized by whoever made it; then give no size");
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

int kvmb_disk_resize(struct kvmb_disk *d, u64 bytes, char *why, size_t why_size)
{
	if (bytes % d->block) {
		snprintf(why, why_size, "the size must be a multiple of %u", d->block);
		return -EINVAL;
	}
	if (d->read_only && bytes) {
		snprintf(why, why_size, "it is read-only");
		return -EROFS;
	}
	if (!d->ops)
		return resize_raw(d, bytes, why, why_size);
	return d->ops->resize(d, bytes, why, why_size);
}

const char *kvmb_disk_health(struct kvmb_disk *d)
{
	return d->ops ? d->ops->health(d) : "ok";
}
