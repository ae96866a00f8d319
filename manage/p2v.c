// SPDX-License-Identifier: GPL-2.0-only
/* Copying a disk of a machine: p2v.h. */
#include "manage/p2v.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/copier.h"
#include "manage/copy_journal.h"
#include "manage/import.h"
#include "manage/import_text.h"
#include "manage/vm_file.h"

struct p2v {
	const char *device;
	const struct import_wish *w;
	struct import_vm *vm;
	struct copier c;
	int ssh; /* a process; 0 = none */
	int dir;
	bool made_dir;
	char path[PATH_MAX];	       /* of @dir */
	char *conf, *target, *journal; /* names in it */
	const char *doing;
	char *why;
	size_t size;
};

static int fail_file(struct p2v *p, const char *name, int err)
{
	snprintf(p->why, p->size, "%s/%s: %s", p->path, name,
		 err == -EEXIST ? "it exists, and nothing is overwritten" : strerror(-err));
	return err;
}

static bool tell_copy(void *arg, uint64_t done, uint64_t total)
{
	struct p2v *p = arg;

	return p->w->tell(p->w->arg, p->doing, done, total);
}

/* ---- the source ---- */

static void check_in_use(struct p2v *p)
{
	int fd = open(p->device, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd >= 0)
		close(fd);
	else if (errno == EBUSY && !stat(p->device, &st) && S_ISBLK(st.st_mode))
		import_lack(p->vm, "what is written to %s while it is copied: it is in use",
			    p->device);
}

static int open_device(struct p2v *p)
{
	char why[PROBE_WHY];
	struct p2v_ssh s;

	if (!strncmp(p->device, "ssh:", 4)) {
		if (!p2v_parse(p->device, &s, p->why, p->size))
			return -EINVAL;
		p->c.source = p2v_connect(&s, &p->ssh, p->why, p->size);
		if (p->c.source)
			return 0;
		p->ssh = 0;
		return -EIO;
	}
	p->c.source = copy_file_open(p->device, why, sizeof(why));
	if (!p->c.source) {
		snprintf(p->why, p->size, "%s: %s", p->device, why);
		return -EIO;
	}
	check_in_use(p);
	return 0;
}

static void close_device(struct p2v *p)
{
	int status;

	if (p->c.source)
		p->c.source->ops->close(p->c.source);
	p->c.source = NULL;
	if (p->ssh > 0) { /* it has lost its other end; what it is still waiting for is nothing */
		kill(p->ssh, SIGTERM);
		waitpid(p->ssh, &status, 0);
	}
	p->ssh = 0;
}

/* ---- the target ---- */

static int open_p2v_dir(struct p2v *p)
{
	bool there = !access(p->w->dir, F_OK);
	struct stat st;

	if (!there && p->w->dry_run)
		return 0;
	p->made_dir = !there && !mkdir(p->w->dir, 0777);
	p->dir = open(p->w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0 || !realpath(p->w->dir, p->path)) {
		snprintf(p->why, p->size, "%s: %s", p->w->dir, strerror(errno));
		return -errno;
	}
	return !fstatat(p->dir, p->conf, &st, AT_SYMLINK_NOFOLLOW) ?
		       fail_file(p, p->conf, -EEXIST) :
		       0;
}

static int open_target_file(struct p2v *p, bool begun)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (begun ? O_NONBLOCK : O_CREAT | O_EXCL);
	struct stat st;

	p->c.fd = openat(p->dir, p->target, flags, 0600);
	/* it was interrupted before it made one, or somebody has taken it away since */
	if (p->c.fd < 0 && errno == ENOENT && !copy_journal_count(p->c.journal))
		p->c.fd = openat(p->dir, p->target, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
	if (p->c.fd < 0 && errno == ENOENT) {
		snprintf(p->why, p->size,
			 "%s/%s is gone, and its journal is there: remove %s/%s "
			 "to begin anew",
			 p->path, p->target, p->path, p->journal);
		return -ENOENT;
	}
	if (p->c.fd < 0)
		return fail_file(p, p->target, -errno);
	if (fstat(p->c.fd, &st) || !S_ISREG(st.st_mode))
		return fail_file(p, p->target, -EINVAL);
	if (!st.st_size && copy_journal_count(p->c.journal)) {
		snprintf(p->why, p->size,
			 "%s/%s is empty, and its journal says what is in it: remove %s/%s and "
			 "%s/%s to begin anew",
			 p->path, p->target, p->path, p->target, p->path, p->journal);
		return -EINVAL;
	}
	p->c.fresh = !st.st_blocks;
	/* what the journal says is copied would be holes */
	if (!st.st_size && copy_journal_count(p->c.journal)) {
		snprintf(p->why, p->size,
			 "%s/%s is empty, and its journal says that something is copied: "
			 "remove %s/%s and %s/%s to begin anew",
			 p->path, p->target, p->path, p->target, p->path, p->journal);
		return -EINVAL;
	}
	if (!st.st_size && ftruncate(p->c.fd, (off_t)p->c.source->bytes))
		return fail_file(p, p->target, -errno);
	if (st.st_size && (uint64_t)st.st_size != p->c.source->bytes) {
		snprintf(p->why, p->size, "%s/%s has another size than the disk", p->path,
			 p->target);
		return -EINVAL;
	}
	return 0;
}

static int open_copy(struct p2v *p)
{
	char why[PROBE_WHY];
	bool fresh = false;
	int err;

	p->c.journal = copy_journal_open(p->dir, p->journal, p->c.source->bytes, p->c.source->id,
					 COPIER_GRAIN, &fresh, why, sizeof(why));
	if (!p->c.journal) {
		snprintf(p->why, p->size, "%s/%s %s", p->path, p->journal, why);
		return -EINVAL;
	}
	err = open_target_file(p, !fresh);
	if (err && fresh)
		unlinkat(p->dir, p->journal, 0);
	return err;
}

static void say_unfinished(struct p2v *p, const char *why)
{
	uint64_t bytes = copy_journal_count(p->c.journal) * COPIER_GRAIN;

	snprintf(p->why, p->size, "%s: %s; %llu MiB are copied, and the same command goes on",
		 p->device, why, (unsigned long long)(bytes >> 20));
}

/* A journal in which all is copied would only have it compared again. */
static void say_different(struct p2v *p, const char *why)
{
	snprintf(p->why, p->size, "%s: %s; remove %s/%s and %s/%s to begin anew", p->device, why,
		 p->path, p->target, p->path, p->journal);
}

static int copy_disk(struct p2v *p)
{
	char why[PROBE_WHY];
	int err;

	p->doing = "copying";
	err = copier_run(&p->c, why, sizeof(why));
	if (!err && p->w->verify) {
		p->doing = "comparing";
		err = copier_verify(&p->c, why, sizeof(why));
		if (err == -ESTALE) {
			say_different(p, why);
			return err;
		}
	}
	if (err)
		say_unfinished(p, why);
	return err;
}

/* ---- the VM ---- */

static int write_vm(struct p2v *p)
{
	struct import_disk *d = import_add_disk(p->vm, p->device, false);
	int err;

	d->target = strdup(p->target);
	d->format = "raw";
	d->chain.num = 1;
	d->chain.at[0] =
		(struct probe_image){ .fd = fcntl(p->c.fd, F_DUPFD_CLOEXEC, 3), .format = "raw" };
	switch (p->w->dry_run ? PROBE_BOOT_NONE : probe_boot(&d->chain)) {
	case PROBE_BOOT_UEFI:
		p->vm->generation = 2;
		break;
	case PROBE_BOOT_BIOS:
		p->vm->generation = 1;
		break;
	case PROBE_BOOT_NONE:
		break;
	}
	err = import_write_text(p->vm, p->why, p->size);
	if (err || p->w->dry_run)
		return err;
	err = vm_file_make(p->dir, p->conf, p->vm->text, strlen(p->vm->text));
	if (err)
		return fail_file(p, p->conf, err);
	unlinkat(p->dir, p->journal, 0);
	p->vm->file = import_path(p->path, p->conf);
	return 0;
}

static int make_copy(struct p2v *p)
{
	int err = open_p2v_dir(p);

	if (!err)
		err = open_device(p);
	if (!err && !p->w->dry_run)
		err = open_copy(p);
	if (!err && !p->w->dry_run)
		err = copy_disk(p);
	close_device(p);
	return err ? err : write_vm(p);
}

int p2v_make(const char *device, const struct import_wish *w, struct import_vm *vm, char *why,
	     size_t size)
{
	struct p2v p = { .device = device, .w = w, .vm = vm, .dir = -1, .why = why, .size = size };
	int err;

	*vm = (struct import_vm){ 0 };
	vm->bare = true;
	vm->name = import_text("%s", w->name);
	vm->origin = import_text("the disk %s", device);
	p.conf = import_text("%s%s", w->name, VM_FILE_SUFFIX);
	p.target = import_text("%s.raw", w->name);
	p.journal = import_text("%s%s", p.target, COPY_JOURNAL_SUFFIX);
	p.c.fd = -1;
	p.c.tell = tell_copy;
	p.c.arg = &p;
	err = make_copy(&p);
	copy_journal_close(p.c.journal);
	if (p.c.fd >= 0)
		close(p.c.fd);
	if (p.dir >= 0)
		close(p.dir);
	if (err && p.made_dir)
		rmdir(w->dir); /* of something in it there is more to come */
	free(p.conf);
	free(p.target);
	free(p.journal);
	return err;
}
