// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks on IDE: disks_ide.h.
 *
 * The controller can only be told to go on when it has said that it stands, on any thread. So who
 * does not want to wait any longer leaves that to the main thread, which hears of it. Drives of a
 * VM that has ended never go on: its disks may be somebody else's.
 */
#include "vmm/disks_ide.h"

#include <pthread.h>
#include <stdlib.h>

#include "backend/block/disk.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/gen1.h"
#include "vmm/ide_disks.h"

/*
 * GO: drives go, or were loaded and stand.
 * ASKED: they were told to stand; heard() comes.
 * STANDS: they do.
 * CROSSED: as ASKED, and disks_ide_go_on() was called.
 */
enum ide_rest { IDE_REST_GO, IDE_REST_ASKED, IDE_REST_STANDS, IDE_REST_CROSSED };

struct vm_ide {
	struct vm *vm;
	u32 num;
	struct {
		struct kvmb_disk *disk; /* owned; NULL = an empty drive */
		bool dvd;
	} drives[IDE_DRIVES]; /* drives[num] */
	struct ide_disks *glue;
	/* main thread */
	enum ide_rest rest;
	struct kvmb_work heard;
	void (*done)(void *arg);
	void *arg;
	/* any thread */
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool stands; /* lock: what was asked for last is so */
};

static void drives_heard(void *arg);

static struct vm_ide *make_vm_ide(struct vm *vm)
{
	struct vm_ide *all = kvmb_xzalloc(sizeof(*all));

	all->vm = vm;
	kvmb_work_init(&all->heard, drives_heard, all);
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->cond, NULL);
	return all;
}

void disks_ide_keep(struct vm *vm, struct kvmb_disk *d, bool dvd)
{
	u32 n;

	if (!vm->ide)
		vm->ide = make_vm_ide(vm);
	n = vm->ide->num++;
	kvmb_assert(n < IDE_DRIVES);
	vm->ide->drives[n].disk = d;
	vm->ide->drives[n].dvd = dvd;
}

/* ---- what drives tell ---- */

static void drive_stopped(void *arg, u32 drive, int err)
{
	struct vm *vm = arg;
	struct kvmb_disk *d = vm->ide->drives[drive].disk;
	char reason[64];

	snprintf(reason, sizeof(reason), "ide%u: %s", drive, strerror(-err));
	if (!vm_stop(vm, reason))
		return; /* a reset, or the end: it drops the request */
	kvmb_err(vm->cfg.name, "paused: ide%u (%s): %s; remove the cause, then: kvmbus resume %s",
		 drive, d ? d->path : "empty", strerror(-err), vm->cfg.name);
}

static void drive_ejected(void *arg, u32 drive)
{
	struct vm *vm = arg;

	kvmb_info(vm->cfg.name, "ide%u: the guest has opened the tray", drive);
}

static const struct ide_disk_events ide_events = { .stopped = drive_stopped,
						   .ejected = drive_ejected };

int disks_ide_connect(struct vm *vm)
{
	struct vm_ide *all = vm->ide;
	int err = 0;
	u32 i;

	if (!all)
		return 0;
	all->glue = ide_disks_create(gen1_ide(vm->machine.gen1), vm->cfg.name, vm->loop,
				     &ide_events, vm);
	for (i = 0; i < all->num && !err; i++)
		err = ide_disks_attach(all->glue, i, all->drives[i].dvd, all->drives[i].disk);
	if (err)
		kvmb_err(vm->cfg.name, "ide%u: no thread: %s", i - 1, strerror(-err));
	return err;
}

void disks_ide_retry(struct vm *vm)
{
	if (vm->ide && vm->ide->glue)
		ide_disks_retry(vm->ide->glue);
}

bool disks_ide_each(const struct vm *vm, u32 *drive, struct kvmb_unit_info *i)
{
	const struct vm_ide *all = vm->ide;

	if (!all || *drive >= all->num)
		return false;
	*i = (struct kvmb_unit_info){ .disk = all->drives[*drive].disk,
				      .dvd = all->drives[*drive].dvd,
				      .locked = all->glue && all->drives[*drive].dvd &&
						ide_disks_locked(all->glue, *drive) };
	return true;
}

/* ---- standing still ---- */

/* Any thread; the last touch of @all, unless the main thread hears of it. */
static void drives_stopped(void *arg)
{
	struct vm_ide *all = arg;

	pthread_mutex_lock(&all->lock);
	all->stands = true;
	kvmb_loop_post(all->vm->loop, &all->heard);
	pthread_cond_signal(&all->cond);
	pthread_mutex_unlock(&all->lock);
}

static void ask_to_stand(struct vm_ide *all)
{
	all->rest = IDE_REST_ASKED;
	all->stands = false;
	ide_stop(gen1_ide(all->vm->machine.gen1), drives_stopped, all);
}

static void let_drives_go(struct vm_ide *all)
{
	if (all->vm->state == VM_ENDED)
		return;
	all->rest = IDE_REST_GO;
	ide_resume(gen1_ide(all->vm->machine.gen1));
}

static void drives_heard(void *arg)
{
	struct vm_ide *all = arg;

	if (all->rest == IDE_REST_CROSSED) {
		all->rest = IDE_REST_STANDS;
		let_drives_go(all);
	} else if (all->rest == IDE_REST_ASKED) {
		all->rest = IDE_REST_STANDS;
		all->done(all->arg);
	}
}

void disks_ide_rest(struct vm *vm, void (*done)(void *arg), void *arg)
{
	struct vm_ide *all = vm->ide;

	if (!all || !all->glue) {
		done(arg);
		return;
	}
	kvmb_assert(all->rest != IDE_REST_ASKED && all->rest != IDE_REST_STANDS);
	all->done = done;
	all->arg = arg;
	if (all->rest == IDE_REST_CROSSED)
		all->rest = IDE_REST_ASKED;
	else
		ask_to_stand(all);
}

void disks_ide_go_on(struct vm *vm)
{
	struct vm_ide *all = vm->ide;

	if (!all || !all->glue)
		return;
	if (all->rest == IDE_REST_ASKED)
		all->rest = IDE_REST_CROSSED;
	else if (all->rest != IDE_REST_CROSSED)
		let_drives_go(all);
}

/* ---- saved VMs ---- */

/* Fields. Numbers are never used again. */
enum { MEDIA_DRIVE = 1 }; /* a group each, in their order */

enum {
	MEDIUM_THERE = 1, /* 0: an empty drive; the rest is missing then */
	MEDIUM_BLOCK = 2, /* bytes */
	MEDIUM_BLOCKS = 3,
	MEDIUM_SERIAL = 4,
	MEDIUM_NAA = 5,
};

void disks_ide_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	struct kvmb_unit_info u;
	u32 i;

	for (i = 0; disks_ide_each(vm, &i, &u); i++) {
		kvmb_tlv_group(o, MEDIA_DRIVE);
		kvmb_tlv_put(o, MEDIUM_THERE, u.disk != NULL);
		if (u.disk) {
			kvmb_tlv_put(o, MEDIUM_BLOCK, u.disk->block);
			kvmb_tlv_put(o, MEDIUM_BLOCKS, kvmb_disk_blocks(u.disk));
			kvmb_tlv_put_str(o, MEDIUM_SERIAL, u.disk->serial);
			kvmb_tlv_put(o, MEDIUM_NAA, u.disk->naa);
		}
		kvmb_tlv_group_end(o);
	}
}

/* The size of one that another process still has open comes with the state. */
static const char *check_medium_size(struct kvmb_disk *d, u64 blocks)
{
	if (d->away) {
		if (!blocks || blocks > INT64_MAX / d->block)
			return "there is no disk of that size";
		__atomic_store_n(&d->blocks, blocks, __ATOMIC_RELAXED);
	}
	return blocks > kvmb_disk_blocks(d) ? "it is smaller than it was" : NULL;
}

static const char *load_medium(struct kvmb_disk *d, struct kvmb_tlv *g)
{
	u64 block = kvmb_tlv_get(g, MEDIUM_BLOCK, UINT32_MAX);
	u64 blocks = kvmb_tlv_get(g, MEDIUM_BLOCKS, UINT64_MAX);
	char *serial = kvmb_tlv_get_str(g, MEDIUM_SERIAL, sizeof(d->serial) - 1), *p;
	u64 naa = kvmb_tlv_get(g, MEDIUM_NAA, UINT64_MAX);
	const char *why = block == d->block ? NULL : "its blocks have another size";

	for (p = serial; p && *p; p++) {
		if (*p < ' ' || *p > '~')
			why = "its serial number is not printable";
	}
	if (!why && !g->error->err)
		why = check_medium_size(d, blocks);
	if (!why && !g->error->err) {
		snprintf(d->serial, sizeof(d->serial), "%s", serial);
		d->naa = naa;
	}
	free(serial);
	return why;
}

static const char *load_drive(struct kvmb_disk *d, struct kvmb_tlv *g)
{
	bool there = kvmb_tlv_get(g, MEDIUM_THERE, 1);

	if (there != (d != NULL))
		return there ? "it is empty, and had a medium" : "it has a medium, and was empty";
	return d ? load_medium(d, g) : NULL;
}

void disks_ide_load(struct vm *vm, struct kvmb_tlv *group)
{
	struct kvmb_unit_info u;
	const char *why = NULL;
	struct kvmb_tlv g;
	size_t pos = 0;
	char text[100];
	u32 i;

	for (i = 0; !why && kvmb_tlv_each(group, MEDIA_DRIVE, &pos, &g); i++) {
		why = disks_ide_each(vm, &i, &u) ? load_drive(u.disk, &g) :
						   "this VM does not have it";
		if (!why && kvmb_tlv_done(&g))
			return;
	}
	if (!why && !group->error->err && disks_ide_each(vm, &i, &u))
		why = "the saved VM did not have it", i++;
	if (why) {
		snprintf(text, sizeof(text), "IDE drive %u: %s", i - 1, why);
		kvmb_tlv_refuse(group, MEDIA_DRIVE, text);
	}
	kvmb_tlv_done(group);
}

/* ---- the end ---- */

static void stop_drives(struct vm_ide *all)
{
	struct ide *ide = gen1_ide(all->vm->machine.gen1);
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++)
		ide_cancel(ide, i);
	if (all->rest != IDE_REST_ASKED && all->rest != IDE_REST_CROSSED)
		ask_to_stand(all);
	pthread_mutex_lock(&all->lock);
	while (!all->stands)
		pthread_cond_wait(&all->cond, &all->lock);
	pthread_mutex_unlock(&all->lock);
	kvmb_loop_unpost(all->vm->loop, &all->heard);
}

void disks_ide_end(struct vm *vm)
{
	struct vm_ide *all = vm->ide;
	u32 i;

	if (!all)
		return;
	if (all->glue) {
		stop_drives(all);
		gen1_end_ide(vm->machine.gen1);
		ide_disks_destroy(all->glue);
	}
	for (i = 0; i < all->num; i++)
		kvmb_disk_close(all->drives[i].disk);
	pthread_mutex_destroy(&all->lock);
	pthread_cond_destroy(&all->cond);
	free(all);
	vm->ide = NULL;
}
