/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests of a VM without drives on IDE and legacy NICs, at which nobody types. */
#ifndef KVMB_NO_IDE_H
#define KVMB_NO_IDE_H

#include "lib/util.h"
#include "tests/harness/no_legacy.h"
#include "vmm/disks_ide.h"
#include "vmm/input.h"

static inline u32 *keys_let_go(void) /* times that it was asked for */
{
	static u32 times;

	return &times;
}

void input_let_go(struct vm *vm)
{
	kvmb_assert(!vm->input);
	++*keys_let_go();
}

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
