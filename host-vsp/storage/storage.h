/* SPDX-License-Identifier: GPL-2.0-only */
/* The synthetic SCSI controller (storvsp): create, attach disks, offer, statistics. */
#ifndef KVMB_STORAGE_H
#define KVMB_STORAGE_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/storage/disk.h"

#define KVMB_STORAGE_MAX_CONTROLLERS 4u
#define KVMB_STORAGE_MAX_LUNS 64u

struct kvmb_storage;

/**
 * kvmb_storage_create() - A controller without disks
 * @index:        0 .. KVMB_STORAGE_MAX_CONTROLLERS - 1; fixes the instance GUID
 * @max_channels: sub-channels the guest may ask for
 */
struct kvmb_storage *kvmb_storage_create(unsigned int index, u16 max_channels);

/** kvmb_storage_attach() - Give a disk a LUN; @d is owned from now on. Return: 0, -EEXIST, -ENOSPC. */
int kvmb_storage_attach(struct kvmb_storage *s, struct kvmb_disk *d, unsigned int lun);

/** kvmb_storage_disk() - The disk at @lun, NULL when there is none. */
struct kvmb_disk *kvmb_storage_disk(struct kvmb_storage *s, unsigned int lun);

/** kvmb_storage_offer() - Offer the controller on @bus. */
int kvmb_storage_offer(struct kvmb_storage *s, struct kvmb_bus *bus);

/** kvmb_storage_destroy() - Closes the disks. Only when its channels are at rest. */
void kvmb_storage_destroy(struct kvmb_storage *s);

struct kvmb_storage_stats {
	u64 requests;
	u64 io_submits; /* io_uring_enter() calls */
};
void kvmb_storage_get_stats(struct kvmb_storage *s, struct kvmb_storage_stats *st);

#endif
