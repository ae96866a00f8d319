// SPDX-License-Identifier: GPL-2.0-only
/*
 * From names to descriptors: the only file of this folder that opens anything by name. The flags
 * that are chosen here are checked again where the descriptors are used (disk.c).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backend/block/disk_file.h"
#include "backend/block/nbd_uri.h"
#include "backend/block/qsd.h"
#include "lib/keeper.h"
#include "lib/util.h"

/* ---- a raw image or a device ---- */

static int open_flags(const struct kvmb_disk_spec *spec, bool read_only, bool device)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;

	if (spec->cache == KVMB_CACHE_NONE)
		flags |= O_DIRECT;
	if (device)
		flags |= O_EXCL; /* refused while it is mounted or held by another driver */
	return flags;
}

static int open_raw(const struct kvmb_disk_spec *spec, bool read_only, char *why, size_t size)
{
	struct stat st;
	bool there = !stat(spec->path, &st), device = there && S_ISBLK(st.st_mode);
	int fd, err;

	/*
	 * before it is opened: a pipe would not return, and O_NONBLOCK means something to io_uring
	 */
	if (there && !device && !S_ISREG(st.st_mode)) {
		snprintf(why, size, "%s", kvmb_disk_not_a_file(&st));
		return -EINVAL;
	}
	fd = open(spec->path, open_flags(spec, read_only, device));
	err = errno;
	if (fd >= 0)
		return fd;
	if (err == EINVAL && spec->cache == KVMB_CACHE_NONE)
		snprintf(why, size, "its file system does not support direct I/O; try "
				    "cache=writeback");
	else if (err == EBUSY)
		snprintf(why, size, "the device is mounted or in use");
	else
		return kvmb_disk_not_opened(err, read_only, why, size);
	return -err;
}

static bool device_can_zero(int fd)
{
	char path[96], line[32] = "";
	struct stat st;
	FILE *f;

	if (fstat(fd, &st) || !S_ISBLK(st.st_mode))
		return false;
	/* of a partition the queue is the whole disk's */
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/write_zeroes_max_bytes",
		 major(st.st_rdev), minor(st.st_rdev));
	f = fopen(path, "re");
	if (!f) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../queue/write_zeroes_max_bytes",
			 major(st.st_rdev), minor(st.st_rdev));
		f = fopen(path, "re");
	}
	if (f && !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return strtoull(line, NULL, 10) > 0;
}

/* ---- an image in a format ---- */

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

	if (kvmb_disk_is_uri(path))
		snprintf(what, sizeof(what), "a parent is a file, not a server");
	else
		fd = open_file(path, true, what, sizeof(what));
	if (fd < 0)
		snprintf(why, size, "backing=%.200s: %s", path, what);
	return fd;
}

/* Return: 0, or -errno with @why. */
static int keep_channel(struct kvmb_disk_files *out, int channel)
{
	if (channel > 0)
		out->channel = channel;
	return KVMB_MIN(channel, 0);
}

static int register_daemon(const struct kvmb_disk_spec *spec, struct kvmb_disk_files *out,
			   char *why, size_t size)
{
	struct kvmb_qsd_conf conf;

	out->threads = !kvmb_qsd_has_uring();
	kvmb_disk_daemon_conf(spec, out, &conf);
	return keep_channel(out, kvmb_qsd_recipe(&conf, why, size));
}

static int open_image(const struct kvmb_disk_spec *spec, bool read_only,
		      struct kvmb_disk_files *out, char *why, size_t size)
{
	u32 i;
	int fd = open_file(spec->path, read_only, why, size);

	for (i = 0; fd >= 0; i++) {
		out->fd[out->num++] = fd;
		if (i == spec->num_backing)
			return register_daemon(spec, out, why, size);
		fd = open_parent(spec->backing[i], why, size);
	}
	return fd;
}

/* ---- an NBD server ---- */

/* The keeper may be elsewhere. Return: false: it is too long. */
static bool make_absolute(struct kvmb_nbd_uri *u)
{
	char cwd[PATH_MAX], path[sizeof(u->path)];

	if (*u->path == '/')
		return true;
	if (!getcwd(cwd, sizeof(cwd)) ||
	    snprintf(path, sizeof(path), "%s/%s", cwd, u->path) >= (int)sizeof(path))
		return false;
	memcpy(u->path, path, sizeof(path));
	return true;
}

/* The server is connected to by the keeper, also after its connection was lost. */
static int open_server(const struct kvmb_disk_spec *spec, struct kvmb_disk_files *out, char *why,
		       size_t size)
{
	struct kvmb_nbd_uri u;
	const char *tcp[] = { "tcp", u.host, u.port, NULL }, *local[] = { "unix", u.path, NULL };
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_DIAL };

	if (!kvmb_nbd_uri_parse(spec->path, &u) || (u.local && !make_absolute(&u))) {
		snprintf(why, size,
			 "write nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=FILE");
		return -EINVAL;
	}
	if (u.tls) /* keys are files, and libnbd opens them */
		return 0;
	r.argv = u.local ? local : tcp;
	return keep_channel(out, kvmb_keeper_register(&r, why, size));
}

int kvmb_disk_resolve(const struct kvmb_disk_spec *spec, struct kvmb_disk_files *out, char *why,
		      size_t why_size)
{
	bool read_only = spec->read_only || spec->dvd;
	struct kvmb_disk_files f = { 0 };
	int err = kvmb_disk_spec_check(spec, why, why_size), fd;

	if (!err && !strcmp(kvmb_disk_spec_format(spec), "raw")) {
		fd = open_raw(spec, read_only, why, why_size);
		err = KVMB_MIN(fd, 0);
		f.can_zero = !err && device_can_zero(fd);
		if (!err)
			f.fd[f.num++] = fd;
	} else if (!err && kvmb_disk_is_uri(spec->path)) {
		err = open_server(spec, &f, why, why_size);
	} else if (!err) {
		err = open_image(spec, read_only, &f, why, why_size);
	}
	if (err)
		kvmb_disk_files_close(&f);
	else
		*out = f;
	return err;
}

/* Not exclusively, as a device is opened otherwise: the other process has it. */
static bool is_same(const struct kvmb_disk_spec *spec, int fd)
{
	bool read_only = spec->read_only || spec->dvd;
	int own = open(spec->path, (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC);
	struct stat ours, theirs;
	bool same;

	if (own < 0)
		return false;
	same = !fstat(own, &ours) && !fstat(fd, &theirs) && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino && (ours.st_mode & S_IFMT) == (theirs.st_mode & S_IFMT);
	close(own);
	errno = same ? 0 : ESTALE;
	return same;
}

int kvmb_disk_adopt(const struct kvmb_disk_spec *spec, int fd, struct kvmb_disk_files *out,
		    char *why, size_t why_size)
{
	int err = kvmb_disk_spec_check(spec, why, why_size);

	if (err)
		return err;
	if (strcmp(kvmb_disk_spec_format(spec), "raw")) {
		snprintf(why, why_size, "only raw files and devices can be handed over yet");
		return -EOPNOTSUPP;
	}
	if (!is_same(spec, fd)) {
		err = -errno;
		snprintf(why, why_size, "%s",
			 err == -ESTALE ? "it is not the file that the VM has open" :
					  strerror(-err));
		return err;
	}
	*out = (struct kvmb_disk_files){ .fd = { fd }, .num = 1 };
	out->can_zero = device_can_zero(fd);
	return 0;
}

void kvmb_disk_files_close(struct kvmb_disk_files *files)
{
	while (files->num) {
		if (files->fd[--files->num] >= 0)
			close(files->fd[files->num]);
	}
	if (files->channel > 0)
		close(files->channel);
	files->channel = 0;
}
