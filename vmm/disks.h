/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM's disks: those that it starts with, and those that are added, removed or changed later.
 *
 * A change is a job (disk_jobs.h), whose thread opens, resizes or closes; the main thread
 * attaches, detaches and answers.
 */
#ifndef KVMB_DISKS_H
#define KVMB_DISKS_H

#include "vmm/reply.h"
#include "vmm/vm.h"

struct vm_disks;

/**
 * disks_create() - Open and attach the disks of the configuration
 *
 * Return: 0, or -errno with one line logged. Context: main thread, before the VM runs; may block.
 */
int disks_create(struct vm *vm);

/**
 * disks_destroy() - Wait for jobs, close the disks, free the controllers
 *
 * Changes under way are answered: the VM ended. This takes as long as their jobs take.
 *
 * Context: main thread; the bus is at rest, and may be gone.
 */
void disks_destroy(struct vm *vm);

/**
 * disks_controller() - A controller, which is made and offered if the VM has not got it
 * @c: below KVMB_STORAGE_MAX_CONTROLLERS
 *
 * Return: NULL: it cannot be offered. Context: main thread.
 */
struct kvmb_storage *disks_controller(struct vm *vm, u32 c);

/*
 * Changes, on the main thread. @disk names a disk: "CONTROLLER:LUN", its path, or its serial
 * number. The answer comes exactly once, perhaps before the function returns. @files: what the
 * names of @spec stand for, hostile; it is taken over if it is used.
 */

/** disks_add() - Open and attach a disk, or a DVD drive; @spec as for opt_disk(). */
void disks_add(struct vm *vm, const char *spec, bool dvd, struct kvmb_disk_files *files,
	       struct ctl_reply reply);

/** disks_remove() - Detach a disk; answered when its image is closed. */
void disks_remove(struct vm *vm, const char *disk, struct ctl_reply reply);

/** disks_resize() - Grow a disk to @bytes; 0 = read the size of its device again. */
void disks_resize(struct vm *vm, const char *disk, u64 bytes, struct ctl_reply reply);

/** disks_eject() - Remove a DVD's medium; with @force also from a locked drive. */
void disks_eject(struct vm *vm, const char *disk, bool force, struct ctl_reply reply);

/** disks_insert() - Put an image into a DVD drive; @spec as for opt_disk(). */
void disks_insert(struct vm *vm, const char *disk, const char *spec, struct kvmb_disk_files *files,
		  struct ctl_reply reply);

/** disks_limit() - Limit operations and bytes per second; 0 = no limit, -1 = unchanged. */
void disks_limit(struct vm *vm, const char *disk, s64 iops, s64 bps, struct ctl_reply reply);

/** disks_busy() - Is a disk being opened, resized or closed? Main thread. */
bool disks_busy(const struct vm *vm);

/** disks_retry() - The VM was resumed: retry the requests that failed. Main thread. */
void disks_retry(struct vm *vm);

/**
 * disks_device_gone() - uevent_listener.gone: a block device has vanished; remove its disk
 * @vm:  a struct vm
 * @dev: the device
 *
 * Context: main thread.
 */
void disks_device_gone(void *vm, dev_t dev);

/** disks_device_changed() - uevent_listener.changed: a device may have a new size. Main thread. */
void disks_device_changed(void *vm, dev_t dev);

#endif
