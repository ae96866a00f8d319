/* SPDX-License-Identifier: GPL-2.0-only */
/* Private to disks.c, disk_*.c and upgrade_out.c: what the VM remembers about its disks. */
#ifndef KVMB_DISKS_PRIV_H
#define KVMB_DISKS_PRIV_H

#include "vmm/vm.h"

struct vm_disks { /* main thread */
	struct disk_job *jobs;	    /* those with a thread */
	struct kvmb_disk *resizing; /* by a job, NULL = none: it must not be removed meanwhile */
};

/* The unit at *c:*lun, or the next after it. Return: false: there is none. */
bool disks_each_unit(struct vm *vm, u32 *c, u32 *lun, struct kvmb_unit_info *i);

/* Has the guest locked its CD in? */
bool disks_tray_locked(struct vm *vm, u32 c, const struct kvmb_unit_info *i);

#define for_each_unit(vm, c, lun, i) \
	for ((c) = (lun) = 0; disks_each_unit(vm, &(c), &(lun), i); (lun)++)

#endif
