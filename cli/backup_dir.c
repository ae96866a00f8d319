// SPDX-License-Identifier: GPL-2.0-only
/* The directory that `kvmbus backup` makes: backup_dir.h. */
#include "cli/backup_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "lib/sparse.h"
#include "lib/util.h"

#define MANIFEST "manifest.json"
#define MANIFEST_NEW ".manifest.json.new"
#define MANIFEST_MAX (1u << 20) /* bytes */
#define COPY_PIECE (1u << 20)

static int blame(const char *dir, const char *name, int err)
{
	cli_error("%s%s%s: %s", dir, name ? "/" : "", name ? name : "", strerror(err));
	return EXIT_FAILED;
}

int backup_dir_make(struct backup_dir *d, const char *path)
{
	if (mkdir(path, 0700))
		return blame(path, NULL, errno);
	d->path = path;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->fd < 0 ? blame(path, NULL, errno) : EXIT_OK;
}

int backup_dir_add(struct backup_dir *d, uint32_t controller, uint32_t lun, uint64_t bytes)
{
	struct backup_file *f = &d->files[d->num];

	if (d->num == BACKUP_DIR_FILES) {
		cli_error("%s: a backup has at most %u disks", d->path, BACKUP_DIR_FILES);
		return EXIT_FAILED;
	}
	*f = (struct backup_file){ .controller = controller, .lun = lun, .bytes = bytes };
	snprintf(f->name, sizeof(f->name), "disk-%u-%u.raw", controller, lun);
	f->fd = openat(d->fd, f->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return blame(d->path, f->name, errno);
	d->num++;
	return EXIT_OK;
}

/* ---- an older one ---- */

static json_t *read_manifest(const char *base, int dir)
{
	int fd = openat(dir, MANIFEST, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(MANIFEST_MAX);
	json_error_t error;
	json_t *o = NULL;
	ssize_t n, len = 0;

	if (fd < 0) {
		blame(base, MANIFEST, errno);
		return NULL;
	}
	while (text && len < (ssize_t)MANIFEST_MAX &&
	       (n = read(fd, text + len, MANIFEST_MAX - (size_t)len)) > 0)
		len += n;
	close(fd);
	if (text)
		o = json_loadb(text, (size_t)len, 0, &error);
	free(text);
	if (!json_is_object(o)) {
		cli_error("%s/%s: this is no manifest of a backup", base, MANIFEST);
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *find_entry(json_t *manifest, const struct backup_file *f)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(manifest, "disks"), i, o)
	{
		if (json_integer_value(json_object_get(o, "controller")) == f->controller &&
		    json_integer_value(json_object_get(o, "lun")) == f->lun)
			return o;
	}
	return NULL;
}

static long long mtime_ns(const struct stat *st)
{
	return (long long)st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec;
}

static int copy_part(int from, int to, uint64_t at, uint64_t end, uint8_t *buf)
{
	ssize_t n, w, done;

	for (; at < end; at += (uint64_t)n) {
		n = pread(from, buf, KVMB_MIN(end - at, (uint64_t)COPY_PIECE), (off_t)at);
		if (n <= 0)
			return n ? -errno : 0;
		for (done = 0; done < n; done += w) {
			w = pwrite(to, buf + done, (size_t)(n - done), (off_t)at + done);
			if (w < 0)
				return -errno;
		}
	}
	return 0;
}

static int copy_sparse(int from, int to, uint64_t bytes)
{
	uint8_t *buf = malloc(COPY_PIECE);
	uint64_t pos, at, end;
	int err = buf ? 0 : -ENOMEM, more = 1;

	if (!err && ftruncate(to, (off_t)bytes))
		err = -errno;
	for (pos = 0; !err && more > 0; pos = end) {
		more = kvmb_next_data(from, pos, bytes, &at, &end);
		if (more < 0)
			err = more;
		else if (more)
			err = copy_part(from, to, at, end, buf);
	}
	free(buf);
	return err;
}

static int fill_file(struct backup_file *f, const char *base, int dir, json_t *entry)
{
	int fd = openat(dir, f->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), err = 0;
	struct stat st;

	if (fd < 0)
		return blame(base, f->name, errno);
	if (fstat(fd, &st))
		err = errno;
	else if ((uint64_t)st.st_size != f->bytes ||
		 json_integer_value(json_object_get(entry, "mtime_ns")) != mtime_ns(&st))
		err = ESTALE;
	else if (ioctl(f->fd, FICLONE, fd))
		err = -copy_sparse(fd, f->fd, f->bytes);
	close(fd);
	if (err == ESTALE)
		cli_error("%s/%s: it was changed since it was backed up, or its disk has another "
			  "size; make a full backup",
			  base, f->name);
	else if (err)
		blame(base, f->name, err);
	return err ? EXIT_FAILED : EXIT_OK;
}

static int fill_files(struct backup_dir *d, const char *base, int dir, json_t *manifest)
{
	int code = EXIT_OK;
	json_t *entry;
	uint32_t i;

	for (i = 0; i < d->num && !code; i++) {
		entry = find_entry(manifest, &d->files[i]);
		if (entry) {
			code = fill_file(&d->files[i], base, dir, entry);
			continue;
		}
		cli_error("%s: disk %u:%u is not in it; make a full backup", base,
			  d->files[i].controller, d->files[i].lun);
		code = EXIT_FAILED;
	}
	return code;
}

int backup_dir_fill(struct backup_dir *d, const char *base, char id[BACKUP_DIR_ID])
{
	int code = EXIT_FAILED, dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *s;
	json_t *o;

	if (dir < 0)
		return blame(base, NULL, errno);
	o = read_manifest(base, dir);
	s = json_string_value(json_object_get(o, "id"));
	if (o && (!s || strlen(s) != BACKUP_DIR_ID - 1)) {
		cli_error("%s/%s: this is no manifest of a backup", base, MANIFEST);
	} else if (o) {
		memcpy(id, s, BACKUP_DIR_ID);
		code = fill_files(d, base, dir, o);
	}
	json_decref(o);
	close(dir);
	return code;
}

/* ---- the end ---- */

static int write_text(int fd, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;

	for (; len; text += n, len -= (size_t)n) {
		n = write(fd, text, len);
		if (n < 0)
			return -errno;
	}
	return fsync(fd) ? -errno : 0;
}

static int write_manifest(struct backup_dir *d, const json_t *manifest)
{
	char *text = json_dumps(manifest, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	int fd, err;

	if (!text)
		return -ENOMEM;
	fd = openat(d->fd, MANIFEST_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : write_text(fd, text);
	if (!err)
		err = write_text(fd, "\n");
	if (fd >= 0)
		close(fd);
	free(text);
	if (!err && renameat(d->fd, MANIFEST_NEW, d->fd, MANIFEST))
		err = -errno;
	if (!err && fsync(d->fd))
		err = -errno;
	return err;
}

/* The directory's own name; a file system that cannot is no reason to throw the backup away. */
static void sync_parent(const struct backup_dir *d)
{
	int fd = openat(d->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

int backup_dir_finish(struct backup_dir *d, json_t *manifest)
{
	json_t *disks = json_object_get(manifest, "disks"), *o;
	struct stat st;
	int err;
	uint32_t i;

	for (i = 0; i < d->num; i++) {
		o = json_array_get(disks, i);
		if (fsync(d->files[i].fd) || fstat(d->files[i].fd, &st))
			return blame(d->path, d->files[i].name, errno);
		json_object_set_new(o, "file", json_string(d->files[i].name));
		json_object_set_new(o, "format", json_string("raw"));
		json_object_set_new(o, "used", json_integer((json_int_t)st.st_blocks * 512));
		json_object_set_new(o, "mtime_ns", json_integer(mtime_ns(&st)));
	}
	err = write_manifest(d, manifest);
	if (err)
		return blame(d->path, MANIFEST, -err);
	sync_parent(d);
	d->whole = true;
	return EXIT_OK;
}

/* Also on the thread that has heard a signal, while another one adds: names are enough. */
void backup_dir_undo(const struct backup_dir *d)
{
	uint32_t i;

	if (!d->path || d->whole)
		return;
	for (i = 0; i < d->num; i++)
		unlinkat(d->fd, d->files[i].name, 0);
	unlinkat(d->fd, MANIFEST_NEW, 0);
	unlinkat(d->fd, MANIFEST, 0);
	rmdir(d->path);
}

void backup_dir_close(struct backup_dir *d)
{
	uint32_t i;

	for (i = 0; i < d->num; i++)
		close(d->files[i].fd);
	if (d->path && d->fd >= 0)
		close(d->fd);
	d->num = 0;
	d->path = NULL;
}
