/* SPDX-License-Identifier: GPL-2.0-only */
/* Which firmware a VM begins in, when its options do not say: its drives do (boot_find.h). */
#ifndef KVMB_BOOT_CHOOSE_H
#define KVMB_BOOT_CHOOSE_H

#include "vmm/vm.h"

/**
 * boot_choose() - Ask the drives on IDE, in their order, and set the machine's firmware
 * @vm: its disks are open, and its machine is not built
 *
 * A VM that goes on from a state has its firmware in it, so nothing is asked.
 *
 * Return: 0, or -errno with one line logged. Context: main thread; blocks while disks are read.
 */
int boot_choose(struct vm *vm);

#endif
