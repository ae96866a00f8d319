/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IDE drives of a gen1 machine, and who has their disks.
 *
 * DOC: Theory of operation
 *
 * Each drive is a controller of its own (host-vsp/storage/storage.h), which owns its disk or
 * medium. Here it is connected with the emulated drive, once the machine has one.
 *
 * A disk changes hands on the main thread, and only there:
 *
 *     EMULATED --take--> LEAVING --the drive has stopped--> SYNTHETIC --give--> EMULATED
 *
 * take() comes when the guest opens the channel. The drive is told to refuse what needs its disk,
 * and finishes what is under way. Then the disk's path is switched, and the channel reads its ring.
 * give() comes when the channel's worker has ended. One that comes in LEAVING is kept until the
 * drive has stopped; so is a take() after that.
 *
 * All drives stand while the VM is saved, and for a reset and the end. Then none of them goes,
 * whoever gets its disk back. The controller can only be told to go on when it has said, on any
 * thread, that it stands; so who does not want to wait any longer leaves that to the main thread,
 * which hears of it. Drives of a VM that has ended never go on: its disks may be somebody else's.
 */
#ifndef KVMB_DISKS_IDE_H
#define KVMB_DISKS_IDE_H

#include "host-vsp/storage/storage.h"
#include "vmm/vm.h"

/**
 * disks_ide_add() - Remember a drive that is made by disks_ide_connect()
 * @vm:  not built yet
 * @s:   its controller, from KVMB_STORAGE_IDE on, with a unit
 * @dvd: a CD drive, which is not offered on the bus; a disk's controller gets a twin
 * @ev:  borrowed; called with @vm for what the emulated drive tells
 *
 * Context: main thread, as all here.
 */
void disks_ide_add(struct vm *vm, struct kvmb_storage *s, bool dvd,
		   const struct kvmb_storage_events *ev);

/**
 * disks_ide_drive() - What is in a drive, before the machine is built
 * @n:    from 0 on
 * @disk: result, borrowed; NULL: nothing, or there is no such drive
 * @dvd:  result
 *
 * Return: false: there are not so many.
 */
bool disks_ide_drive(const struct vm *vm, u32 n, struct kvmb_disk **disk, bool *dvd);

/** disks_ide_connect() - The machine is built: give it its drives. Return: 0 or -errno. */
int disks_ide_connect(struct vm *vm);

/** disks_ide_retry() - The VM goes on, or a limit was changed: try again what was held back. */
void disks_ide_retry(struct vm *vm);

/**
 * disks_ide_rest() - Have no request under way, and begin none: for saving
 * @vm:   paused
 * @done: called once on the main thread when it is so, unless disks_ide_go_on() comes first;
 *        perhaps before this returns
 * @arg:  of @done
 */
void disks_ide_rest(struct vm *vm, void (*done)(void *arg), void *arg);

/** disks_ide_go_on() - Undo it, also before it is done; or the VM was loaded, and goes on. */
void disks_ide_go_on(struct vm *vm);

/**
 * disks_ide_settle() - The same for a reset and the end: what is under way is cancelled, where the
 * disk can
 * @vm:   its vCPUs stand, channels are closed
 * @done: called with @vm, perhaps before this returns
 */
void disks_ide_settle(struct vm *vm, void (*done)(void *vm));

/** disks_ide_settled() - The VM was reset: drives may go. Without a settle nothing happens. */
void disks_ide_settled(struct vm *vm);

/**
 * disks_ide_set_medium() - As kvmb_storage_set_medium(), of a CD drive on IDE
 *
 * Return: 0: @done will be called; -EBUSY: it is being changed.
 */
int disks_ide_set_medium(struct vm *vm, struct kvmb_storage *s, struct kvmb_disk *d,
			 kvmb_storage_done *done, void *arg);

/** disks_ide_locked() - Has the guest locked the CD in the emulated drive? */
bool disks_ide_locked(struct vm *vm, const struct kvmb_storage *s);

/** disks_ide_ask_eject() - Tell the guest that somebody pressed the drive's button. */
void disks_ide_ask_eject(struct vm *vm, const struct kvmb_storage *s);

/** disks_ide_path() - Who has the disk, for info: "ide" or "vmbus". */
const char *disks_ide_path(struct vm *vm, const struct kvmb_storage *s);

/**
 * disks_ide_end() - Take drives apart; disks stay with their controllers
 *
 * No vCPU runs, channels are closed. A request under way is cancelled, and waited for; after
 * disks_ide_settle() there is none.
 */
void disks_ide_end(struct vm *vm);

#endif
