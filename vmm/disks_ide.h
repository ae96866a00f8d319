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

/**
 * disks_ide_keep() - Take the next place for @d, which is taken over; NULL: an empty drive
 *
 * There are IDE_DRIVES of them. Context: main thread, as all here.
 */
void disks_ide_keep(struct vm *vm, struct kvmb_disk *d, bool dvd);

/**
 * disks_ide_drive() - A drive that was kept
 * @n:   from 0 on
 * @dvd: result
 *
 * Return: false: there are not so many. *@d is NULL for an empty one, and borrowed.
 */
bool disks_ide_drive(const struct vm *vm, u32 n, struct kvmb_disk **d, bool *dvd);

/** disks_ide_connect() - The machine is built: give it its drives. Return: 0 or -errno. */
int disks_ide_connect(struct vm *vm);

/** disks_ide_retry() - The VM goes on: try again what was held back. */
void disks_ide_retry(struct vm *vm);

/** disks_ide_end() - Wait for requests, take all apart, close disks. No vCPU runs. */
void disks_ide_end(struct vm *vm);

#endif
