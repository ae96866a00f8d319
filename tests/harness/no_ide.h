/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a VM without drives on IDE. */
#ifndef KVMB_NO_IDE_H
#define KVMB_NO_IDE_H

#include "lib/util.h"
#include "vmm/disks_ide.h"

void disks_ide_rest(struct vm *vm, void (*done)(void *arg), void *arg)
{
	kvmb_assert(!vm->ide);
	done(arg);
}

void disks_ide_go_on(struct vm *vm)
{
	kvmb_assert(!vm->ide);
}

bool disks_ide_each(const struct vm *vm, u32 *drive, struct kvmb_unit_info *i)
{
	(void)drive, (void)i;
	kvmb_assert(!vm->ide);
	return false;
}

void disks_ide_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	(void)vm, (void)o;
	kvmb_assert(false);
}

void disks_ide_load(struct vm *vm, struct kvmb_tlv *group)
{
	(void)vm, (void)group;
	kvmb_assert(false);
}

#endif
