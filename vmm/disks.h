/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM's disks: those it starts with, and those that come, go and change while it runs.
 *
 * A change is a job (disk_jobs.h), whose thread opens, resizes or closes; the main thread
 * attaches, detaches and answers.
 */
#ifndef KVMB_DISKS_H
#define KVMB_DISKS_H

#include "vmm/reply.h"
#include "vmm/vm.h"

struct vm_disks;

/** disks_create() - Open and attach what the configuration names; says what went wrong. */
int disks_create(struct vm *vm);

/**
 * disks_destroy() - Wait for jobs, close the disks, free the controllers
 *
 * Whoever waits for a change is told that the VM ended. Context: main thread; the bus is at rest, and may
 * be gone. Waits as long as the jobs under way take.
 */
void disks_destroy(struct vm *vm);

/* Changes. @disk names one: "CONTROLLER:LUN", its path, or its serial number. Main thread. */
void disks_add(struct vm *vm, const char *spec, bool dvd, struct ctl_reply reply);
void disks_remove(struct vm *vm, const char *disk, struct ctl_reply reply);
void disks_resize(struct vm *vm, const char *disk, u64 bytes, struct ctl_reply reply);
void disks_eject(struct vm *vm, const char *disk, bool force, struct ctl_reply reply);
void disks_insert(struct vm *vm, const char *disk, const char *spec, struct ctl_reply reply);
void disks_limit(struct vm *vm, const char *disk, s64 iops, s64 bps, struct ctl_reply reply);

/** disks_retry() - The VM goes on: do again what had failed. */
void disks_retry(struct vm *vm);

/**
 * disks_device_gone() - For udev_events: a block device has vanished; its disk leaves the guest
 * @vm: a struct vm. Context: main thread.
 */
void disks_device_gone(void *vm, dev_t dev);

/** disks_device_changed() - For udev_events: a block device may have a new size. Context: main thread. */
void disks_device_changed(void *vm, dev_t dev);

#endif
