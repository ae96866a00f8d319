/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a VM without drives on IDE and legacy NICs. */
#ifndef KVMB_NO_IDE_H
#define KVMB_NO_IDE_H

#include "lib/util.h"
#include "tests/harness/no_legacy.h"
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

#endif
