// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making what import_read() has read: import.h. Every new file has no name until all are whole, so
 * nothing is left of an import that does not come to its end, whatever ends it; but SIGKILL while
 * they get their names, which takes no time, leaves some of the disks.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/convert.h"
#include "manage/import.h"
#include "manage/import_text.h"
#include "manage/ovf.h"
#include "manage/vm_file.h"

struct make {
	const struct import_wish *w;
	struct import_vm *vm;
	int dir; /* -1 = of a dry run into a directory that is not there */
	bool made_dir;
	char path[PATH_MAX];	     /* of @dir, absolute */
	int files[IMPORT_MAX_DISKS]; /* what disks become; -1 = stays, or is not made yet */
	unsigned int named;	     /* of them, from the first on */
	const char *doing;	     /* the disk that is being made */
	char *why;
	size_t size;
};

static int fail_disk(struct make *m, const struct import_disk *d, int err, const char *what)
{
	snprintf(m->why, m->size, "disk \"%s\": %s", d->source, what);
	return err;
}

static int fail_path(struct make *m, const char *name, int err)
{
	snprintf(m->why, m->size, "%s%s%s: %s", m->path[0] ? m->path : m->w->dir, *name ? "/" : "",
		 name, err == -EEXIST ? "it exists, and nothing is overwritten" : strerror(-err));
	return err;
}

static bool tell_disk(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct make *m = arg;
	char text[200];

	snprintf(text, sizeof(text), "%s %.150s", what, m->doing);
	return m->w->tell(m->w->arg, text, done, total);
}

/* ---- the directory ---- */

static int open_dir(struct make *m)
{
	bool there = !access(m->w->dir, F_OK);

	if (!there && m->w->dry_run)
		return 0;
	if (!there && mkdir(m->w->dir, 0777))
		return fail_path(m, "", -errno);
	m->made_dir = !there;
	m->dir = open(m->w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dir < 0 || !realpath(m->w->dir, m->path))
		return fail_path(m, "", -errno);
	return 0;
}

static bool is_there(const struct make *m, const char *name)
{
	struct stat st;

	return m->dir >= 0 && !fstatat(m->dir, name, &st, AT_SYMLINK_NOFOLLOW);
}

static int open_nameless(struct make *m)
{
	int fd = openat(m->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? fail_path(m, "", -errno) : fd;
}

static int check_space(struct make *m, uint64_t needs)
{
	struct statvfs v;
	uint64_t has;

	if (fstatvfs(m->dir, &v))
		return 0;
	has = (uint64_t)v.f_bavail * v.f_frsize;
	if (has >= needs)
		return 0;
	snprintf(m->why, m->size, "%s: the disks need %llu MiB, and %llu MiB are free", m->path,
		 (unsigned long long)(needs >> 20), (unsigned long long)(has >> 20));
	return -ENOSPC;
}

/* ---- what is in an archive ---- */

static int unpack_disk(struct make *m, struct import_disk *d)
{
	char why[PROBE_WHY];
	int archive = open(m->vm->archive, O_RDONLY | O_CLOEXEC), fd, err;

	m->doing = d->source;
	if (archive < 0) {
		err = -errno;
		snprintf(m->why, m->size, "%s: %s", m->vm->archive, strerror(-err));
		return err;
	}
	fd = open_nameless(m);
	if (fd < 0) {
		close(archive);
		return fd;
	}
	err = ova_unpack(archive, d->source, fd, tell_disk, m, why, sizeof(why));
	close(archive);
	if (err == -EINTR)
		snprintf(why, sizeof(why), "interrupted");
	if (!err && !d->dvd)
		err = probe_image(fd, NULL, &d->chain.at[0], why, sizeof(why));
	if (!err && d->dvd)
		d->chain.at[0] = (struct probe_image){ .fd = fd, .format = "raw" };
	if (!err && d->chain.at[0].parent[0]) {
		err = -EINVAL;
		snprintf(why, sizeof(why), "it is an overlay of \"%.300s\"", d->chain.at[0].parent);
	}
	if (err) {
		close(fd);
		return fail_disk(m, d, err, why);
	}
	d->chain.num = 1;
	return 0;
}

/* A dry run does not unpack. Who packs a VMDK makes one for transport of it. */
static void guess_image(struct import_disk *d)
{
	static const char *const formats[] = { "vmdk", "vhdx", "vhd", "qcow2", "vdi" };
	const char *dot = strrchr(d->source, '.');
	size_t i;

	d->chain.at[0] = (struct probe_image){ .fd = -1, .format = "raw" };
	for (i = 0; dot && !d->dvd && i < ARRAY_SIZE(formats); i++) {
		if (!strcasecmp(dot + 1, formats[i]))
			d->chain.at[0].format = formats[i];
	}
	d->chain.at[0].stream = !strcmp(d->chain.at[0].format, "vmdk");
}

static void guess_images(struct import_vm *vm)
{
	char *text = import_text("%s; its disks were not looked at: formats are by their names",
				 vm->origin);
	unsigned int i;

	free(vm->origin);
	vm->origin = text;
	for (i = 0; i < vm->num_disks; i++) {
		if (vm->disks[i].packed)
			guess_image(&vm->disks[i]);
	}
}

static int unpack_disks(struct make *m)
{
	struct stat st;
	unsigned int i;
	int err;

	if (!m->vm->archive)
		return 0;
	if (m->w->dry_run) {
		guess_images(m->vm);
		return 0;
	}
	err = stat(m->vm->archive, &st) ? 0 : check_space(m, (uint64_t)st.st_size);
	for (i = 0; !err && i < m->vm->num_disks; i++) {
		if (m->vm->disks[i].packed)
			err = unpack_disk(m, &m->vm->disks[i]);
	}
	return err;
}

/* ---- what becomes of each ---- */

/* By another disk, or by what is beside them: NAME.conf, NAME.vars. */
static bool is_taken(const struct make *m, const struct import_disk *until, const char *name)
{
	size_t len = strlen(m->vm->name);
	const struct import_disk *d;

	if (!strncmp(name, m->vm->name, len) &&
	    (!strcmp(name + len, VM_FILE_SUFFIX) || !strcmp(name + len, ".vars")))
		return true;
	for (d = m->vm->disks; d < until; d++) {
		if (d->target && !strcmp(d->target, name))
			return true;
	}
	return false;
}

/* Of letters that mean nothing to anybody; the format's suffix if it is another than it was. */
static void name_target(struct make *m, struct import_disk *d)
{
	const char *base = probe_base_name(d->source);
	char stem[160], *p;
	bool same = !strcmp(d->format, d->chain.at[0].format);
	const char *dot = base ? strrchr(base, '.') : NULL;
	unsigned int n = 1;

	snprintf(stem, sizeof(stem), "%.*s", dot ? (int)(dot - base) : 150, base ? base : "disk");
	for (p = stem; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("._-+", *p))
			*p = '_';
	}
	if (!stem[0])
		strcpy(stem, "disk");
	else if (!isalnum((unsigned char)stem[0]))
		stem[0] = 'd';
	if (!dot || !same || strlen(dot) > 8 ||
	    strspn(dot + 1, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789") != strlen(dot + 1))
		dot = NULL;
	do {
		free(d->target);
		d->target = import_text("%s%s%.0u%s%s", stem, n > 1 ? "-" : "", n > 1 ? n : 0,
					dot ? "" : ".", dot ? dot : d->format);
		n++;
	} while (is_taken(m, d, d->target));
}

/* Whose content the disk has, too: the user should see it. */
static void lack_parents(struct import_vm *vm, const struct import_disk *d)
{
	char *names = import_text("%s", ""), *more;
	unsigned int i;

	for (i = 0; i + 1 < d->chain.num; i++) {
		more = import_text("%s, \"%s\"", names, d->chain.at[i].parent);
		free(names);
		names = more;
	}
	import_lack(vm, "the parents of disk \"%s\"%s: it is one whole image", d->source, names);
	free(names);
}

static int plan_disk(struct make *m, struct import_disk *d)
{
	const struct import_wish *w = m->w;
	enum import_mode mode = w->mode;

	if (!d->source || (!d->chain.num && !d->packed))
		return 0;
	if (d->packed && mode == IMPORT_IN_PLACE)
		return fail_disk(m, d, -EINVAL, "it is in an archive, and cannot stay there");
	if (d->chain.num > 1 && mode != IMPORT_CONVERT)
		return fail_disk(m, d, -EINVAL,
				 "it is an overlay; --convert FORMAT makes one whole "
				 "image of it and its parents");
	if (d->chain.at[0].stream && mode != IMPORT_CONVERT) {
		if (w->mode_said)
			return fail_disk(m, d, -EINVAL,
					 "it is a VMDK for transport, which cannot "
					 "be written to; --convert FORMAT");
		mode = IMPORT_CONVERT;
		import_lack(m->vm, "the format of disk \"%s\", which is for transport: it is qcow2",
			    d->source);
	}
	d->format = d->chain.at[0].format;
	if (mode == IMPORT_IN_PLACE)
		return 0;
	if (d->chain.num > 1)
		lack_parents(m->vm, d);
	if (mode == IMPORT_CONVERT && !d->dvd)
		d->format = w->format ? w->format : "qcow2";
	name_target(m, d);
	return is_there(m, d->target) ? fail_path(m, d->target, -EEXIST) : 0;
}

static int plan_disks(struct make *m)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < m->vm->num_disks; i++)
		err = plan_disk(m, &m->vm->disks[i]);
	return err;
}

/* A copy of blocks that are shared takes none; that shows when it is made. */
static uint64_t needs_of(const struct import_disk *d)
{
	struct stat st;

	if (!d->target || !d->chain.num)
		return 0;
	if (d->chain.num > 1 || strcmp(d->format, d->chain.at[0].format))
		return convert_needs(&d->chain);
	if (d->packed || fstat(d->chain.at[0].fd, &st))
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static int check_needs(struct make *m)
{
	uint64_t needs = 0;
	unsigned int i;

	for (i = 0; i < m->vm->num_disks; i++)
		needs += needs_of(&m->vm->disks[i]);
	return check_space(m, needs);
}

/* ---- making ---- */

static int make_disk(struct make *m, struct import_disk *d, int *file)
{
	struct convert_ear ear = { tell_disk, m };
	char why[PROBE_WHY];
	int err;

	if (!d->target)
		return 0;
	m->doing = d->target;
	if (d->packed && !strcmp(d->format, d->chain.at[0].format)) {
		*file = fcntl(d->chain.at[0].fd, F_DUPFD_CLOEXEC, 3); /* unpacked is made */
		return *file < 0 || fsync(*file) ? fail_path(m, d->target, -errno) : 0;
	}
	*file = open_nameless(m);
	if (*file < 0)
		return *file;
	if (d->chain.num == 1 && !strcmp(d->format, d->chain.at[0].format))
		err = convert_copy(d->chain.at[0].fd, *file, &ear, why, sizeof(why));
	else
		err = convert_chain(&d->chain, *file, d->format, m->dir, &ear, why, sizeof(why));
	return err ? fail_disk(m, d, err, why) : 0;
}

static int name_file(struct make *m, int file, const char *name)
{
	char self[32];

	if (file < 0)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	if (linkat(AT_FDCWD, self, m->dir, name, AT_SYMLINK_FOLLOW))
		return fail_path(m, name, -errno);
	return 0;
}

static int make_files(struct make *m)
{
	char *conf = import_text("%s%s", m->vm->name, VM_FILE_SUFFIX);
	struct import_disk *d = m->vm->disks;
	unsigned int i;
	int err = check_needs(m);

	for (i = 0; !err && i < m->vm->num_disks; i++)
		err = make_disk(m, &d[i], &m->files[i]);
	for (; !err && m->named < m->vm->num_disks; m->named += !err)
		err = name_file(m, m->files[m->named], d[m->named].target);
	if (!err) {
		err = vm_file_make(m->dir, conf, m->vm->text, strlen(m->vm->text));
		if (err)
			fail_path(m, conf, err);
	}
	if (!err)
		m->vm->file = import_path(m->path, conf);
	free(conf);
	return err;
}

/* What is there now was not before; but a name may have been given to another file since. */
static void unmake(struct make *m)
{
	struct stat ours, there;
	unsigned int i;

	for (i = 0; i < m->named; i++) {
		const char *name = m->vm->disks[i].target;

		if (m->files[i] >= 0 && !fstat(m->files[i], &ours) &&
		    !fstatat(m->dir, name, &there, AT_SYMLINK_NOFOLLOW) &&
		    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
			unlinkat(m->dir, name, 0);
	}
	if (m->made_dir)
		rmdir(m->w->dir);
}

/* The first disk is what it boots from. */
static void find_generation(struct make *m)
{
	enum probe_boot boot = PROBE_BOOT_NONE;
	unsigned int i;

	if (m->vm->generation)
		return;
	for (i = 0; i < m->vm->num_disks && boot == PROBE_BOOT_NONE; i++) {
		if (!m->vm->disks[i].dvd && m->vm->disks[i].chain.num)
			boot = probe_boot(&m->vm->disks[i].chain);
	}
	m->vm->generation = boot == PROBE_BOOT_UEFI ? 2 : boot == PROBE_BOOT_BIOS ? 1 : 0;
}

static int make_all(struct make *m)
{
	char *conf = import_text("%s%s", m->vm->name, VM_FILE_SUFFIX);
	int err = open_dir(m);

	if (!err && is_there(m, conf))
		err = fail_path(m, conf, -EEXIST);
	free(conf);
	if (!err)
		err = unpack_disks(m);
	if (!err)
		err = plan_disks(m);
	if (err)
		return err;
	find_generation(m);
	err = import_write_text(m->vm, m->why, m->size);
	return err || m->w->dry_run ? err : make_files(m);
}

int import_make(const struct import_wish *w, struct import_vm *vm, char *why, size_t size)
{
	struct make m = { .w = w, .vm = vm, .dir = -1, .why = why, .size = size };
	unsigned int i;
	int err;

	for (i = 0; i < IMPORT_MAX_DISKS; i++)
		m.files[i] = -1;
	err = make_all(&m);
	if (err)
		unmake(&m);
	for (i = 0; i < IMPORT_MAX_DISKS; i++) {
		if (m.files[i] >= 0)
			close(m.files[i]);
	}
	if (m.dir >= 0)
		close(m.dir);
	return err;
}
