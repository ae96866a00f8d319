// SPDX-License-Identifier: GPL-2.0-only
/* What a source is, and where its disks are: import.h. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/folder.h"
#include "manage/hyperv_export.h"
#include "manage/import.h"
#include "manage/ovf.h"

#define PARENTS "Virtual Machines" /* descriptions of an export are one directory below it */

struct source {
	const struct import_wish *w;
	struct import_vm *vm;
	int fd;		     /* of what the user named */
	int dir;	     /* of the folder in which disks are; -1 = none */
	bool beside;	     /* parents are looked for in that directory, not below it */
	char path[PATH_MAX]; /* of that folder, absolute */
	char *why;
	size_t size;
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return n > s && !strcasecmp(name + n - s, suffix);
}

static int fail_source(struct source *s, int err)
{
	snprintf(s->why, s->size, "%s: %s", s->w->source, strerror(-err));
	return err;
}

/* "SOURCE: why", for what a reader has said. */
static int name_source(struct source *s, int err)
{
	char *said = err ? import_text("%s: %s", s->w->source, s->why) : NULL;

	if (said)
		snprintf(s->why, s->size, "%s", said);
	free(said);
	return err;
}

/* ---- disks ---- */

static int find_parent_file(struct source *s, const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (!s->beside)
		return folder_find(s->dir, name, path, sizeof(path));
	fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static bool is_in_chain(const struct probe_chain *c, int fd)
{
	struct stat a, b;
	unsigned int i;

	for (i = 0; i < c->num; i++) {
		if (!fstat(fd, &a) && !fstat(c->at[i].fd, &b) && a.st_dev == b.st_dev &&
		    a.st_ino == b.st_ino)
			return true;
	}
	return false;
}

static bool is_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

/* The image of @fd, which is taken over, and its parents. */
static int take_chain(struct source *s, struct import_disk *d, int fd, const char *format)
{
	struct probe_chain *c = &d->chain;
	char why[PROBE_WHY];
	const char *parent;
	int err = 0;

	while (!err) {
		if (!is_file(fd)) {
			snprintf(why, sizeof(why), "it is not a file");
			err = -EINVAL;
		} else if (c->num == PROBE_CHAIN || is_in_chain(c, fd)) {
			snprintf(why, sizeof(why), "its chain of parents has no end");
			err = -EINVAL;
		}
		if (!err)
			err = probe_image(fd, format, &c->at[c->num], why, sizeof(why));
		if (err) {
			close(fd);
			break;
		}
		parent = c->at[c->num++].parent;
		if (!*parent)
			break;
		format = NULL;
		fd = find_parent_file(s, parent);
		if (fd >= 0)
			continue;
		err = fd;
		snprintf(why, sizeof(why),
			 "it is an overlay of \"%.300s\", which is not in its "
			 "folder: %s",
			 parent, strerror(-err));
	}
	if (err)
		snprintf(s->why, s->size, "disk \"%s\": %s", d->source, why);
	return err;
}

/* A CD is what it is: no format is looked for in it. */
static int take_cd(struct source *s, struct import_disk *d, int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) {
		import_lack(s->vm, "the CD \"%s\", which is no image", d->source);
		close(fd);
		return 0;
	}
	d->chain.at[0] =
		(struct probe_image){ .fd = fd, .format = "raw", .bytes = (uint64_t)st.st_size };
	d->chain.num = 1;
	return 0;
}

static int find_disk(struct source *s, struct import_disk *d)
{
	char path[PATH_MAX];
	int fd = folder_find(s->dir, d->source, path, sizeof(path));

	if (fd < 0 && d->dvd) {
		import_lack(s->vm, "the CD \"%s\", which is not in the folder: the drive is empty",
			    d->source);
		return 0;
	}
	if (fd < 0) {
		snprintf(s->why, s->size, "disk \"%s\": %s", d->source,
			 fd == -ENOENT	 ? "it is not in the folder" :
			 fd == -ENOTUNIQ ? "several files in the folder have that name" :
					   strerror(-fd));
		return fd;
	}
	d->found = import_path(s->path, path);
	return d->dvd ? take_cd(s, d, fd) : take_chain(s, d, fd, NULL);
}

static int find_disks(struct source *s)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < s->vm->num_disks; i++) {
		if (s->vm->disks[i].source)
			err = find_disk(s, &s->vm->disks[i]);
	}
	return err;
}

/* ---- kinds of sources ---- */

/* The directory of a file, @up levels higher. */
static int open_dir_of(struct source *s, unsigned int up)
{
	char real[PATH_MAX], *slash;

	if (!realpath(s->w->source, real))
		return -errno;
	do {
		slash = strrchr(real, '/');
		slash[slash == real] = 0;
	} while (up--);
	snprintf(s->path, sizeof(s->path), "%s", real);
	s->dir = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->dir < 0 ? -errno : 0;
}

static int read_ovf_file(struct source *s, int fd)
{
	char *text = NULL;
	size_t len = 0;
	int err = import_take_text(fd, &text, &len);

	if (err)
		return fail_source(s, err);
	err = name_source(s, ovf_take(text, len, s->vm, s->why, s->size));
	free(text);
	if (!s->vm->origin)
		s->vm->origin = import_text("the OVF %s", s->w->source);
	return err ? err : find_disks(s);
}

struct one_ovf {
	char path[PATH_MAX];
	unsigned int num;
};

static bool note_ovf(void *arg, int at, const char *name, const char *path)
{
	struct one_ovf *o = arg;

	(void)at;
	if (has_suffix(name, ".ovf") && !o->num++)
		snprintf(o->path, sizeof(o->path), "%s", path);
	return true;
}

static int read_folder(struct source *s, const char *file)
{
	int err = hyperv_export_read(s->dir, file, s->vm, s->why, s->size);

	return err ? name_source(s, err) : find_disks(s);
}

static int read_directory(struct source *s)
{
	struct one_ovf *o = kvmb_xzalloc(sizeof(*o));
	int err, fd;

	s->dir = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
	if (s->dir < 0 || !realpath(s->w->source, s->path)) {
		free(o);
		return fail_source(s, -errno);
	}
	err = folder_walk(s->dir, note_ovf, o);
	if (err || !o->num) {
		err = read_folder(s, NULL);
	} else if (o->num > 1) {
		snprintf(s->why, s->size, "%s: it has %u VMs; name the description of one of them",
			 s->w->source, o->num);
		err = -EINVAL;
	} else {
		fd = folder_open(s->dir, o->path);
		err = fd < 0 ? fail_source(s, fd) : read_ovf_file(s, fd);
		if (fd >= 0)
			close(fd);
	}
	free(o);
	return err;
}

/* GUID.xml in "Virtual Machines" of an export, or beside its disks. */
static int read_hyperv_file(struct source *s)
{
	char real[PATH_MAX], *dir, *name;
	int err;

	if (!realpath(s->w->source, real))
		return fail_source(s, -errno);
	name = import_text("%s", probe_base_name(real));
	dir = dirname(real);
	err = open_dir_of(s, !strcasecmp(basename(dir), PARENTS));
	err = err ? fail_source(s, err) : read_folder(s, name);
	free(name);
	return err;
}

static int read_ova_file(struct source *s)
{
	char *text = NULL, real[PATH_MAX];
	unsigned int i;
	size_t len;
	int err = ova_find_ovf(s->fd, &text, &len, s->why, s->size);

	if (!err)
		err = ovf_take(text, len, s->vm, s->why, s->size);
	free(text);
	if (err)
		return name_source(s, err);
	if (!realpath(s->w->source, real))
		return fail_source(s, -errno);
	s->vm->archive = strdup(real);
	s->vm->origin = import_text("the OVA %s", s->w->source);
	for (i = 0; i < s->vm->num_disks; i++)
		s->vm->disks[i].packed = s->vm->disks[i].source;
	return 0;
}

static int read_image(struct source *s)
{
	struct import_disk *d = import_add_disk(s->vm, s->w->source, false);
	char real[PATH_MAX];
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3), err = open_dir_of(s, 0);

	if (err || fd < 0 || !realpath(s->w->source, real)) {
		if (fd >= 0)
			close(fd);
		return fail_source(s, err ? err : -errno);
	}
	s->beside = s->vm->bare = true;
	d->found = strdup(real);
	s->vm->origin = import_text("the image %s", real);
	return take_chain(s, d, fd, s->w->source_format);
}

static int read_source(struct source *s)
{
	const char *name = s->w->source;
	struct stat st;

	if (fstat(s->fd, &st))
		return fail_source(s, -errno);
	if (S_ISDIR(st.st_mode))
		return read_directory(s);
	if (!S_ISREG(st.st_mode)) {
		snprintf(s->why, s->size,
			 "%s: it is neither a file nor a folder; a disk of a host "
			 "is imported by --from-device",
			 name);
		return -EINVAL;
	}
	if (s->w->source_format)
		return read_image(s);
	if (has_suffix(name, ".ovf"))
		return open_dir_of(s, 0) ? fail_source(s, -errno) : read_ovf_file(s, s->fd);
	if (has_suffix(name, ".xml") || has_suffix(name, ".exp") || has_suffix(name, ".vmcx"))
		return read_hyperv_file(s);
	return ova_is(s->fd) ? read_ova_file(s) : read_image(s);
}

/* What names a VM: as `kvmbus run --name` takes it. */
static char *good_name_of(const char *name)
{
	char out[33];
	size_t n = 0;

	for (; *name && n < sizeof(out) - 1; name++) {
		if (((*name | 32) >= 'a' && (*name | 32) <= 'z') || (*name >= '0' && *name <= '9'))
			out[n++] = *name;
		else if (n && out[n - 1] != '-')
			out[n++] = strchr("_.", *name) ? *name : '-';
	}
	while (n && strchr("-_.", out[n - 1]))
		n--;
	out[n] = 0;
	return import_text("%s", n ? out : "vm");
}

static void choose_name(struct source *s)
{
	struct import_vm *vm = s->vm;
	char real[PATH_MAX], *name, *dot;
	const char *base;

	if (s->w->name) {
		free(vm->name);
		vm->name = import_text("%s", s->w->name);
		return;
	}
	if (!vm->name) {
		base = realpath(s->w->source, real) ? probe_base_name(real) : NULL;
		vm->name = import_text("%s", base ? base : "vm");
		dot = strrchr(vm->name, '.');
		if (dot && dot != vm->name)
			*dot = 0;
		name = good_name_of(vm->name);
	} else {
		name = good_name_of(vm->name);
		if (strcmp(name, vm->name))
			import_lack(vm, "its name \"%s\": it is %s here", vm->name, name);
	}
	free(vm->name);
	vm->name = name;
}

int import_read(const struct import_wish *w, struct import_vm *vm, char *why, size_t size)
{
	struct source s = { .w = w, .vm = vm, .dir = -1, .why = why, .size = size };
	int err;

	*vm = (struct import_vm){ 0 };
	s.fd = open(w->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	err = s.fd < 0 ? fail_source(&s, -errno) : read_source(&s);
	if (!err)
		choose_name(&s);
	if (s.fd >= 0)
		close(s.fd);
	if (s.dir >= 0)
		close(s.dir);
	return err;
}
