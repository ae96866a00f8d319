/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disks of a gen1 machine on its IDE controller: the first four whose place nobody has named, in
 * their order. All others are on SCSI controllers (disks.h).
 *
 * They are opened before the machine has devices, and closed when it has none any more, so they are
 * kept here in between.
 */
#ifndef KVMB_DISKS_IDE_H
#define KVMB_DISKS_IDE_H

#include "vmm/vm.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

/**
 * disks_ide_keep() - Take the next place for @d, which is taken over; NULL: an empty drive
 *
 * There are IDE_DRIVES of them. Context: main thread, as all here.
 */
void disks_ide_keep(struct vm *vm, struct kvmb_disk *d, bool dvd);

/** disks_ide_connect() - The machine is built: give it its drives. Return: 0 or -errno. */
int disks_ide_connect(struct vm *vm);

/** disks_ide_retry() - The VM goes on: try again what was held back. */
void disks_ide_retry(struct vm *vm);

/**
 * disks_ide_rest() - Have no request under way, and begin none
 * @done: called once on the main thread when it is so, unless disks_ide_go_on() comes first;
 *        perhaps before this returns
 * @arg:  of @done
 */
void disks_ide_rest(struct vm *vm, void (*done)(void *arg), void *arg);

/** disks_ide_go_on() - Undo it, also before it is done; or the VM was loaded, and goes on. */
void disks_ide_go_on(struct vm *vm);

/**
 * disks_ide_each() - The drives, as disks_each_image() has them
 * @drive: where to look, set to the one that was found
 */
bool disks_ide_each(const struct vm *vm, u32 *drive, struct kvmb_unit_info *i);

/** disks_ide_save() - Media of all drives: fields of the open group. */
void disks_ide_save(const struct vm *vm, struct kvmb_tlv_out *o);

/** disks_ide_load() - Refuse @group unless the same media are here. @group is hostile. */
void disks_ide_load(struct vm *vm, struct kvmb_tlv *group);

/** disks_ide_end() - Wait for requests, take all apart, close disks. No vCPU runs. */
void disks_ide_end(struct vm *vm);

#endif
