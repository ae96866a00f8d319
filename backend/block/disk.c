// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening disks from descriptors: which kind it is, and an image in a format.
 *
 * For an image in a format a storage daemon gets the descriptors, with those of the parents that
 * the user named (qsd.h). Nothing that an image names is opened (image.h). Names become descriptors
 * in disk_names.c; raw images are disk_raw.c, what both have in common is disk_file.c.
 */
#include "backend/block/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/disk_dirty.h"
#include "backend/block/disk_file.h"
#include "backend/block/disk_nbd.h"
#include "backend/block/disk_point.h"
#include "backend/block/disk_raw.h"
#include "backend/block/nbd_lib.h"
#include "backend/block/nbd_uri.h"
#include "backend/block/qsd.h"
#include "lib/util.h"

#define LOCK_BYTES_OURS 100 /* of an image in a daemon: bytes before the first of QEMU's */

static const struct {
	const char *ending, *format;
} endings[] = {
	{ ".vhd", "vhd" },     { ".vhdx", "vhdx" },   { ".avhdx", "vhdx" }, { ".avhd", "vhd" },
	{ ".qcow2", "qcow2" }, { ".qcow", "qcow2" },  { ".vmdk", "vmdk" },  { ".vdi", "vdi" },
};

bool kvmb_disk_is_uri(const char *path)
{
	return !strncmp(path, "nbd://", 6) || !strncmp(path, "nbd+unix://", 11) ||
	       !strncmp(path, "nbds://", 7) || !strncmp(path, "nbds+unix://", 12);
}

const char *kvmb_disk_format_of(const char *path)
{
	size_t len = strlen(path), i, n;

	if (kvmb_disk_is_uri(path))
		return "nbd";
	for (i = 0; i < ARRAY_SIZE(endings); i++) {
		n = strlen(endings[i].ending);
		if (len > n && !strcasecmp(path + len - n, endings[i].ending))
			return endings[i].format;
	}
	return "raw";
}

const char *kvmb_disk_spec_format(const struct kvmb_disk_spec *spec)
{
	return spec->format ? spec->format : kvmb_disk_format_of(spec->path);
}

int kvmb_disk_spec_check(const struct kvmb_disk_spec *spec, char *why, size_t size)
{
	if (!strcmp(kvmb_disk_spec_format(spec), "raw") && spec->num_backing)
		snprintf(why, size, "a raw image cannot have a parent; use a qcow2 overlay");
	else if (spec->format && kvmb_disk_is_uri(spec->path))
		snprintf(why, size, "format= is for files, not for what an NBD server exports");
	else
		return 0;
	return -EINVAL;
}

bool kvmb_disk_needs_keeper(const struct kvmb_disk_spec *spec)
{
	struct kvmb_nbd_uri u;

	if (kvmb_disk_is_uri(spec->path))
		return !kvmb_nbd_uri_parse(spec->path, &u) || !u.tls;
	return strcmp(kvmb_disk_spec_format(spec), "raw");
}

/* ---- descriptors, which any client of the control socket may have sent ---- */

/* A parent is only read; a raw image is used as it was opened, others are opened again. */
static bool is_open_for(int fd, bool write, bool raw, bool direct)
{
	int f = fcntl(fd, F_GETFL), mode = f & O_ACCMODE;

	if (f < 0 || f & O_PATH || mode == O_WRONLY || (write && mode != O_RDWR))
		return false;
	/* O_APPEND would write elsewhere, O_NONBLOCK means something to io_uring */
	return !raw || (f & (O_APPEND | O_NONBLOCK | O_DIRECT)) == (direct ? O_DIRECT : 0);
}

static int check_files(const struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
		       const struct kvmb_disk_files *files, char *why, size_t size)
{
	bool raw = !strcmp(d->format, "raw"), direct = raw && d->cache == KVMB_CACHE_NONE;
	u32 i, num = kvmb_disk_is_uri(d->path) ? 0 : 1 + spec->num_backing;
	struct stat st;

	if (files->num != num) {
		snprintf(why, size, "%u descriptors must come with its names, and %u did", num,
			 files->num);
		return -EBADF;
	}
	for (i = 0; i < num; i++) {
		if (fstat(files->fd[i], &st) ||
		    !(S_ISREG(st.st_mode) || (raw && S_ISBLK(st.st_mode))) ||
		    !is_open_for(files->fd[i], !i && !d->read_only, raw, direct))
			break;
	}
	if (kvmb_disk_is_uri(d->path) && !kvmb_disk_needs_keeper(spec) &&
	    kvmb_libnbd_is_sealed()) {
		snprintf(why, size, "a server with TLS needs a VM with --sandbox off");
		return -EPERM;
	}
	if (i == num && (files->channel || !kvmb_disk_needs_keeper(spec)))
		return 0;
	if (i == num)
		snprintf(why, size, "a channel to the keeper must come with it");
	else
		snprintf(why, size, "descriptor %u that came with it is not what its name needs",
			 i);
	return -EBADF;
}

void kvmb_disk_daemon_conf(const struct kvmb_disk_spec *spec, const struct kvmb_disk_files *files,
			   struct kvmb_qsd_conf *conf)
{
	u32 i;

	*conf = (struct kvmb_qsd_conf){ .read_only = spec->read_only || spec->dvd,
					.direct = spec->cache == KVMB_CACHE_NONE,
					.threads = files->threads,
					.run_dir = spec->run_dir,
					.num = files->num };
	for (i = 0; i < files->num; i++)
		conf->images[i] = (struct kvmb_qsd_image){
			files->fd[i],
			i ? kvmb_disk_format_of(spec->backing[i - 1]) : kvmb_disk_spec_format(spec),
			i ? spec->backing[i - 1] : spec->path,
		};
}

/* The daemon to be gets the files; the disk keeps its image, too, for its lock. */
static struct kvmb_qsd *daemon_for(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
				   struct kvmb_disk_files *files)
{
	struct kvmb_qsd_conf conf;
	struct kvmb_qsd *q;

	kvmb_disk_daemon_conf(spec, files, &conf);
	conf.images[0].fd = fcntl(d->lock_fd, F_DUPFD_CLOEXEC, 3);
	if (conf.images[0].fd < 0)
		return NULL;
	q = kvmb_qsd_create(&conf, files->channel);
	files->num = 0;
	files->channel = 0;
	return q;
}

static int open_daemon(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
		       struct kvmb_disk_files *files, char *why, size_t size)
{
	struct kvmb_qsd *qsd = NULL;
	struct stat st;
	int err, channel;

	if (kvmb_disk_is_uri(d->path)) {
		kvmb_disk_identify(d, spec, NULL);
		channel = files->channel;
		files->channel = 0;
		return kvmb_nbd_open(d, spec, NULL, channel, why, size);
	}
	d->lock_fd = files->fd[0];
	files->fd[0] = -1;
	/* one that is only read may be open in many processes */
	d->away = spec->unlocked && !d->read_only;
	err = d->away ? 0 : kvmb_disk_lock(d->lock_fd, d->read_only, LOCK_BYTES_OURS);
	if (err) {
		snprintf(why, size, "%s", err == -EBUSY ?
			 "it is in use by another VM or program (locked)" : strerror(-err));
		return err;
	}
	kvmb_disk_identify(d, spec, fstat(d->lock_fd, &st) ? NULL : &st);
	qsd = daemon_for(d, spec, files);
	return qsd ? kvmb_nbd_open(d, spec, qsd, 0, why, size) :
		     kvmb_disk_not_opened(errno, true, why, size);
}

static struct kvmb_disk *new_disk(const struct kvmb_disk_spec *spec)
{
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));

	d->ops = &kvmb_disk_raw_ops; /* until it is another kind */
	d->fd = d->lock_fd = -1;
	d->read_only = spec->read_only || spec->dvd;
	d->copied = spec->copied;
	d->cache = spec->cache;
	d->on_error = spec->on_error;
	d->block = spec->dvd ? KVMB_DVD_BLOCK : spec->block ? spec->block : KVMB_DISK_BLOCK;
	d->throttle.iops = spec->iops;
	d->throttle.bps = spec->bps;
	snprintf(d->path, sizeof(d->path), "%s", spec->path);
	snprintf(d->format, sizeof(d->format), "%s", kvmb_disk_spec_format(spec));
	return d;
}

int kvmb_disk_open(const struct kvmb_disk_spec *spec, struct kvmb_disk_files *files,
		   struct kvmb_disk **out, char *why, size_t why_size)
{
	struct kvmb_disk *d = new_disk(spec);
	int err = kvmb_disk_spec_check(spec, why, why_size);

	if (!err)
		err = check_files(d, spec, files, why, why_size);
	if (!err)
		err = !strcmp(d->format, "raw") ?
			      kvmb_disk_raw_open(d, spec, files, why, why_size) :
			      open_daemon(d, spec, files, why, why_size);
	kvmb_disk_files_close(files);
	if (err) {
		kvmb_disk_close(d);
		return err;
	}
	*out = d;
	return 0;
}

void kvmb_disk_seal(bool load)
{
	kvmb_libnbd_seal(load);
}

void kvmb_disk_owe(struct kvmb_disk *d, int err)
{
	__atomic_store_n(&d->owed, err, __ATOMIC_RELAXED);
}

int kvmb_disk_take_owed(struct kvmb_disk *d)
{
	return __atomic_exchange_n(&d->owed, 0, __ATOMIC_RELAXED);
}

int kvmb_disk_owes(const struct kvmb_disk *d)
{
	return __atomic_load_n(&d->owed, __ATOMIC_RELAXED);
}

bool kvmb_disk_holds_back(const struct kvmb_disk *d, enum kvmb_io io, bool owed, int err)
{
	if (io == KVMB_IO_FLUSH && (kvmb_disk_is_raw(d) || owed))
		return false;
	if (d->on_error == KVMB_ON_ERROR_DEFAULT)
		return err == -ENOSPC || err == -EDQUOT;
	return d->on_error == KVMB_ON_ERROR_STOP;
}

/* ---- moving to another process ---- */

void kvmb_disk_let_go(struct kvmb_disk *d)
{
	if (d->ops->let_go)
		d->ops->let_go(d);
}

int kvmb_disk_gone(struct kvmb_disk *d, char *why, size_t size)
{
	return d->ops->gone ? d->ops->gone(d, why, size) : 0;
}

void kvmb_disk_fetch_back(struct kvmb_disk *d)
{
	if (d->ops->fetch_back)
		d->ops->fetch_back(d);
}

int kvmb_disk_fetch(struct kvmb_disk *d, char *why, size_t size)
{
	int err;

	if (!d->away)
		return 0;
	kvmb_disk_forget_cache(d);
	if (kvmb_disk_was_written(d) > 0) { /* open_writes is not known yet */
		snprintf(why, size, "it was written since: it is too late");
		return -ESTALE;
	}
	err = d->ops->fetch(d, why, size);
	d->away = err;
	return err;
}

/* What is locked: -1 = nothing. */
static int file_of(const struct kvmb_disk *d)
{
	return kvmb_disk_is_raw(d) ? d->fd : d->lock_fd;
}

void kvmb_disk_give_up(struct kvmb_disk *d)
{
	if (file_of(d) >= 0)
		kvmb_disk_unlock(file_of(d));
}

/* From the server where there is one, and not from what this host remembers. */
static bool last_written(const struct kvmb_disk *d, struct timespec *when)
{
	struct statx st;

	if (statx(file_of(d), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_MTIME, &st))
		return false;
	*when = (struct timespec){ st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec };
	return true;
}

void kvmb_disk_note(struct kvmb_disk *d)
{
	if (file_of(d) < 0 || !last_written(d, &d->given_up))
		d->given_up.tv_nsec = -1; /* as no time is */
}

int kvmb_disk_take(struct kvmb_disk *d)
{
	if (file_of(d) < 0)
		return 0;
	return kvmb_disk_lock(file_of(d), d->read_only, kvmb_disk_is_raw(d) ? 0 : LOCK_BYTES_OURS);
}

int kvmb_disk_was_written(const struct kvmb_disk *d)
{
	struct timespec now;

	if (d->read_only)
		return 0;
	if (d->rdev || __atomic_load_n(&d->open_writes, __ATOMIC_RELAXED) ||
	    d->given_up.tv_nsec < 0 || !last_written(d, &now))
		return -ENODATA;
	return now.tv_sec != d->given_up.tv_sec || now.tv_nsec != d->given_up.tv_nsec;
}

void kvmb_disk_forget_cache(struct kvmb_disk *d)
{
	if (file_of(d) >= 0)
		posix_fadvise(file_of(d), 0, 0, POSIX_FADV_DONTNEED);
}

void kvmb_disk_close(struct kvmb_disk *d)
{
	if (!d)
		return;
	d->ops->close(d);
	if (d->lock_fd >= 0) {
		kvmb_disk_unlock(d->lock_fd);
		close(d->lock_fd);
	}
	kvmb_disk_point_free(d);
	kvmb_disk_dirty_free(d);
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
