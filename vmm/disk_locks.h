/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has the locks on its images has the VM: vmm/mig_stream.h. All of main thread. */
#ifndef KVMB_DISK_LOCKS_H
#define KVMB_DISK_LOCKS_H

#include "vmm/vm.h"

/** disk_locks_cannot_move() - Why its disks cannot move. Return: a phrase in why[size], or NULL. */
const char *disk_locks_cannot_move(struct vm *vm, char *why, size_t size);

/** disk_locks_note() - From here on disk_locks_tell() tells; nobody writes to them now. */
void disk_locks_note(struct vm *vm);

/** disk_locks_give_up() - Another process may take the disks; nobody writes to them. */
void disk_locks_give_up(struct vm *vm);

/**
 * disk_locks_take() - Lock all disks
 * @why: why[size], on failure one phrase, and none is locked
 *
 * Return: 0; -EBUSY: somebody else has one; -errno.
 */
int disk_locks_take(struct vm *vm, char *why, size_t size);

/**
 * disk_locks_tell() - Has anybody written to the disks since disk_locks_note()?
 *
 * Return: 0: nobody has; -ESTALE: somebody has; -ENODATA: nobody can tell, or there is no disk
 * whose lock would have kept anybody away.
 */
int disk_locks_tell(struct vm *vm);

/** disk_locks_forget_caches() - Another host may have written: read anew what was read so far. */
void disk_locks_forget_caches(struct vm *vm);

#endif
