// SPDX-License-Identifier: GPL-2.0-only
/* Disks on IDE: disks_ide.h. */
#include "vmm/disks_ide.h"

#include <pthread.h>

#include "backend/block/disk.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/gen1.h"
#include "vmm/ide_disks.h"

struct vm_ide {
	u32 num;
	struct {
		struct kvmb_disk *disk; /* owned; NULL = an empty drive */
		bool dvd;
	} drives[IDE_DRIVES]; /* drives[num] */
	struct ide_disks *glue;
};

void disks_ide_keep(struct vm *vm, struct kvmb_disk *d, bool dvd)
{
	u32 n;

	if (!vm->ide)
		vm->ide = kvmb_xzalloc(sizeof(*vm->ide));
	n = vm->ide->num++;
	kvmb_assert(n < IDE_DRIVES);
	vm->ide->drives[n].disk = d;
	vm->ide->drives[n].dvd = dvd;
}

bool disks_ide_drive(const struct vm *vm, u32 n, struct kvmb_disk **d, bool *dvd)
{
	if (!vm->ide || n >= vm->ide->num)
		return false;
	*d = vm->ide->drives[n].disk;
	*dvd = vm->ide->drives[n].dvd;
	return true;
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

/* ---- the end ---- */

struct wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void stopped(void *arg)
{
	struct wait *w = arg;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void stop_drives(struct ide *ide)
{
	struct wait w = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++)
		ide_cancel(ide, i);
	ide_stop(ide, stopped, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
}

void disks_ide_end(struct vm *vm)
{
	struct vm_ide *all = vm->ide;
	u32 i;

	if (!all)
		return;
	if (all->glue) {
		stop_drives(gen1_ide(vm->machine.gen1));
		gen1_end_ide(vm->machine.gen1);
		ide_disks_destroy(all->glue);
	}
	for (i = 0; i < all->num; i++)
		kvmb_disk_close(all->drives[i].disk);
	free(all);
	vm->ide = NULL;
}
