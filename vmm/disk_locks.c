// SPDX-License-Identifier: GPL-2.0-only
/* Locks of images that move with a VM: disk_locks.h. */
#include "vmm/disk_locks.h"

#include "backend/block/disk.h"
#include "lib/util.h"
#include "vmm/disks_priv.h"
#include "vmm/vars.h"

static void for_all(struct vm *vm, void (*fn)(struct kvmb_disk *d))
{
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (i.disk)
			fn(i.disk);
	}
}

/* A file of our own stays locked: nobody else is to use it before it is known who has the VM. */
static void unlock(struct kvmb_disk *d)
{
	if (!d->copied)
		kvmb_disk_give_up(d);
}

void disk_locks_give_up(struct vm *vm)
{
	for_all(vm, unlock);
	vars_unlock(vm->vars);
}

int disk_locks_take(struct vm *vm, char *why, size_t size)
{
	struct kvmb_unit_info i;
	u32 c, lun;
	int err = 0;

	for_each_unit(vm, c, lun, &i) {
		err = i.disk ? kvmb_disk_take(i.disk) : 0;
		if (!err)
			continue;
		snprintf(why, size, "disk %.100s: %s", i.disk->path,
			 err == -EBUSY ? "another VM or program has locked it" : strerror(-err));
		disk_locks_give_up(vm);
		return err;
	}
	err = vars_lock(vm->vars);
	if (!err)
		return 0;
	snprintf(why, size, "the file of its firmware's variables: %s",
		 err == -EBUSY ? "another VM uses it" : strerror(-err));
	disk_locks_give_up(vm);
	return err;
}

int disk_locks_tell(struct vm *vm)
{
	int written, told = -ENODATA;
	struct kvmb_unit_info i;
	bool unsure = false;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (!i.disk || i.disk->read_only)
			continue;
		if (i.disk->copied) { /* what is written there is written elsewhere */
			unsure = true;
			continue;
		}
		written = kvmb_disk_was_written(i.disk);
		if (written > 0)
			return -ESTALE;
		if (!written)
			told = 0;
		else if (!kvmb_disk_is_raw(i.disk))
			unsure = true;
	}
	return unsure ? -ENODATA : told;
}

void disk_locks_note(struct vm *vm)
{
	for_all(vm, kvmb_disk_note);
}

/* What a daemon has read of its image it read after it was given up. */
static void forget_cache(struct kvmb_disk *d)
{
	if (kvmb_disk_is_raw(d) && !d->copied)
		kvmb_disk_forget_cache(d);
}

void disk_locks_forget_caches(struct vm *vm)
{
	for_all(vm, forget_cache);
}

/* ---- images ---- */

void disk_locks_fetch_back(struct vm *vm)
{
	for_all(vm, kvmb_disk_fetch_back);
}

int disk_locks_fetch(struct vm *vm, char *why, size_t size)
{
	char text[KVMB_DISK_WHY];
	struct kvmb_unit_info i;
	u32 c, lun;
	int err;

	for_each_unit(vm, c, lun, &i) {
		err = i.disk ? kvmb_disk_fetch(i.disk, text, sizeof(text)) : 0;
		if (!err)
			continue;
		snprintf(why, size, "disk %.60s: %.120s", i.disk->path, text);
		disk_locks_let_go(vm);
		return err;
	}
	return 0;
}

void disk_locks_let_go(struct vm *vm)
{
	char why[KVMB_DISK_WHY];
	struct kvmb_unit_info i;
	u32 c, lun;

	for_all(vm, kvmb_disk_let_go);
	for_each_unit(vm, c, lun, &i) {
		if (i.disk)
			kvmb_disk_gone(i.disk, why, sizeof(why));
	}
}
