/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks behind the emulated IDE controller: its requests go to struct kvmb_disk.
 *
 * DOC: Theory of operation
 *
 * A drive has one request at a time. That of a raw disk is done by the drive's thread, with the
 * system calls of disk_pool.c; a pool would be made on a vCPU's thread, which may make none. Any
 * other disk gets it by its operations, on its own thread. A short transfer is continued.
 *
 * A request that has to wait (for the disk's limit, for memory, because on_error says stop) is
 * given back with -EAGAIN, and the drive submits it again when it is told to: by a timer of the
 * loop, or by ide_disks_retry(). So nothing is kept here while a drive is stopped, reset or saved.
 * What was paid for a request counts for the next one, if that is not larger: a guest that resets
 * its drive again and again gains nothing.
 *
 * A bounce buffer is used where the disk wants whole blocks and the guest has sectors (blocks of
 * 4096 bytes, direct I/O) and where guest memory is not aligned for direct I/O. A write of a part
 * of a block reads it first. Nobody writes the rest of it meanwhile, because one path to a disk is
 * live at any time.
 *
 * Limits: no counters beside the controller's (ide_get_stats()); a resize is seen at the guest's
 * next IDENTIFY DEVICE.
 */
#ifndef KVMB_IDE_DISKS_H
#define KVMB_IDE_DISKS_H

#include "vmbus-core/env.h"

struct ide;
struct ide_disks;
struct kvmb_disk;
struct kvmb_loop;

struct ide_disk_events { /* on the loop's thread */
	/* A request is held back, and the VM is to stop until ide_disks_retry(); @err: -errno */
	void (*stopped)(void *arg, u32 drive, int err);
	/* The guest has opened the tray of a CD drive. */
	void (*ejected)(void *arg, u32 drive);
};

/**
 * ide_disks_create() - Connect a controller with disks
 * @ide:    has no drives; destroyed before this
 * @name:   of the VM, for messages; borrowed
 * @loop:   borrowed
 * @events: borrowed; called with @arg
 * @arg:    of @events
 *
 * Return: never NULL. Context: loop's thread, as all here.
 */
struct ide_disks *ide_disks_create(struct ide *ide, const char *name, struct kvmb_loop *loop,
				   const struct ide_disk_events *events, void *arg);

/** ide_disks_destroy() - NULL is fine. The controller is gone; disks are the caller's to close. */
void ide_disks_destroy(struct ide_disks *all);

/**
 * ide_disks_attach() - Make a drive, with a thread
 * @all:   the VM does not run yet
 * @drive: of the controller, free
 * @dvd:   a CD drive, which may be empty
 * @d:     borrowed until it is replaced, or the controller is gone; NULL = no medium
 *
 * Return: 0 or -errno of pthread_create().
 */
int ide_disks_attach(struct ide_disks *all, u32 drive, bool dvd, struct kvmb_disk *d);

/**
 * ide_disks_set_medium() - Another CD, or none
 * @all:   the drive is stopped: ide_stop_drive()
 * @drive: a CD drive
 * @d:     as for ide_disks_attach(); the one before is not used any more
 */
void ide_disks_set_medium(struct ide_disks *all, u32 drive, struct kvmb_disk *d);

/** ide_disks_locked() - Has the guest locked the tray? */
bool ide_disks_locked(const struct ide_disks *all, u32 drive);

/** ide_disks_retry() - The VM goes on, or a limit was changed: try again what is held back. */
void ide_disks_retry(struct ide_disks *all);

#endif
