// SPDX-License-Identifier: GPL-2.0-only
/* Locks of images that move with a VM: disk_locks.h. */
#include "vmm/disk_locks.h"

#include <fcntl.h>

#include "lib/util.h"
#include "vmm/disks_priv.h"

const char *disk_locks_cannot_move(struct vm *vm, char *why, size_t size)
{
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (!i.disk || i.disk->fd >= 0)
			continue;
		snprintf(why, size, "disk %.100s: only raw files and devices can move yet",
			 i.disk->path);
		return why;
	}
	return NULL;
}

static void for_all(struct vm *vm, void (*fn)(struct kvmb_disk *d))
{
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (i.disk)
			fn(i.disk);
	}
}

void disk_locks_give_up(struct vm *vm)
{
	for_all(vm, kvmb_disk_give_up);
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
	return 0;
}

int disk_locks_tell(struct vm *vm)
{
	int written, told = -ENODATA;
	struct kvmb_unit_info i;
	u32 c, lun;

	for_each_unit(vm, c, lun, &i) {
		if (!i.disk || i.disk->read_only)
			continue;
		written = kvmb_disk_was_written(i.disk);
		if (written > 0)
			return -ESTALE;
		if (!written)
			told = 0;
	}
	return told;
}

void disk_locks_note(struct vm *vm)
{
	for_all(vm, kvmb_disk_note);
}

static void forget_cache(struct kvmb_disk *d)
{
	posix_fadvise(d->fd, 0, 0, POSIX_FADV_DONTNEED);
}

void disk_locks_forget_caches(struct vm *vm)
{
	for_all(vm, forget_cache);
}
