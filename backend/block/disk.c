// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening disks: which kind it is, and an image in a format.
 *
 * An image in a format is opened here, with the parents that the user named, and a storage daemon
 * gets the descriptors (qsd.h). Nothing that an image names is opened (image.h). Raw ones are
 * disk_raw.c, what both have in common is disk_file.c.
 */
#include "backend/block/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/disk_file.h"
#include "backend/block/disk_nbd.h"
#include "backend/block/disk_raw.h"
#include "backend/block/qsd.h"
#include "lib/util.h"

#define LOCK_BYTES_OURS 100 /* of an image in a daemon: bytes before the first of QEMU's */

static const struct {
	const char *ending, *format;
} endings[] = {
	{ ".vhd", "vhd" },     { ".vhdx", "vhdx" },   { ".avhdx", "vhdx" }, { ".avhd", "vhd" },
	{ ".qcow2", "qcow2" }, { ".qcow", "qcow2" },  { ".vmdk", "vmdk" },  { ".vdi", "vdi" },
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

/* A file that a storage daemon will be given. It may not stop us by being a pipe. */
static int open_file(const char *path, bool read_only, char *why, size_t size)
{
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return kvmb_disk_not_opened(errno, read_only, why, size);
	if (S_ISREG(st.st_mode))
		return fd;
	close(fd);
	snprintf(why, size, "an image format needs a regular file; this is %s",
		 S_ISDIR(st.st_mode) ? "a directory" :
		 S_ISBLK(st.st_mode) ? "a device; use it as raw" :
				       "something else");
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
static struct kvmb_qsd *daemon_for(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, int *err,
				   char *why, size_t size)
{
	struct kvmb_qsd_conf conf = { .read_only = d->read_only,
				      .direct = d->cache == KVMB_CACHE_NONE,
				      .run_dir = spec->run_dir };
	int channel = -1, fd = fcntl(d->lock_fd, F_DUPFD_CLOEXEC, 3);
	u32 i;

	*err = fd < 0 ? kvmb_disk_not_opened(errno, true, why, size) : 0;
	if (!*err)
		conf.images[conf.num++] = (struct kvmb_qsd_image){ fd, d->format, d->path };
	for (i = 0; i < spec->num_backing && !*err; i++) {
		fd = open_parent(spec->backing[i], why, size);
		if (fd < 0)
			*err = fd;
		else
			conf.images[conf.num++] =
				(struct kvmb_qsd_image){ fd, kvmb_disk_format_of(spec->backing[i]),
							 spec->backing[i] };
	}
	if (!*err)
		channel = kvmb_qsd_recipe(&conf, why, size);
	if (!*err && channel >= 0)
		return kvmb_qsd_create(&conf, channel);
	*err = *err ? *err : channel;
	while (conf.num)
		close(conf.images[--conf.num].fd);
	return NULL;
}

static int open_daemon(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, char *why,
		       size_t size)
{
	struct kvmb_qsd *qsd = NULL;
	struct stat st;
	int err;

	if (is_uri(spec->path)) {
		kvmb_disk_identify(d, spec, NULL);
		return kvmb_nbd_open(d, spec, NULL, why, size);
	}
	d->lock_fd = open_file(spec->path, d->read_only, why, size);
	if (d->lock_fd < 0)
		return d->lock_fd;
	err = kvmb_disk_lock(d->lock_fd, d->read_only, LOCK_BYTES_OURS);
	if (err) {
		snprintf(why, size, "%s", err == -EBUSY ?
			 "it is in use by another VM or program (locked)" : strerror(-err));
		return err;
	}
	kvmb_disk_identify(d, spec, fstat(d->lock_fd, &st) ? NULL : &st);
	qsd = daemon_for(d, spec, &err, why, size);
	return err ? err : kvmb_nbd_open(d, spec, qsd, why, size);
}

int kvmb_disk_open(const struct kvmb_disk_spec *spec, struct kvmb_disk **out, char *why,
		   size_t why_size)
{
	const char *format = spec->format ? spec->format : kvmb_disk_format_of(spec->path);
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));
	int err;

	d->ops = &kvmb_disk_raw_ops; /* until it is another kind */
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
		snprintf(why, why_size, "a raw image cannot have a parent; use a qcow2 overlay");
		err = -EINVAL;
	} else if (spec->format && is_uri(spec->path)) {
		snprintf(why, why_size, "format= is for files, not for what an NBD server exports");
		err = -EINVAL;
	} else if (!strcmp(format, "raw")) {
		struct kvmb_disk_spec s = *spec;

		s.read_only = d->read_only;
		err = kvmb_disk_raw_open(d, &s, why, why_size);
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
	d->ops->close(d);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
	free(d);
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
	return d->ops->resize(d, bytes, why, why_size);
}

const char *kvmb_disk_health(struct kvmb_disk *d)
{
	return d->ops->health(d);
}
