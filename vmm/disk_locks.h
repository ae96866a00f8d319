/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disks of a VM that moves: who has the locks has the VM (vmm/mig_stream.h).
 *
 * DOC: Theory of operation
 *
 * A raw file or device stays open on both sides; its lock says who may use it.
 *
 * An image in a format has a storage daemon, which keeps tables of the file in memory and locks it
 * for itself. So it is never open on both sides. The target starts a daemon before READY, confined
 * and waiting, and checks the headers; the size comes with the state (storage_state.c), and is
 * checked against the image later. When the guest stands, the source flushes and ends its daemon
 * (disk_flush_let_go()): a thread waits for that, and the target's note of what the files are like
 * comes after it. At GO the target forgets what it has read of the files, opens the images, and
 * only then takes the locks: whoever has the locks can run. A target that cannot open one, or does
 * not get a lock, closes all again before it says so. Whenever the source goes on, its daemons are
 * started anew, and requests wait for them as after a daemon's death.
 *
 * To open an image that was closed in good order does not write to it, so the time of its last
 * write tells whether the guest ran. A daemon that could not be ended in good order stops the move.
 *
 * At an NBD server nothing is locked, and both sides are connected: a server that takes one client
 * at a time is missing at the target, before a page is sent. The source has flushed before GO.
 *
 * A disk whose content is copied (disk_copies.h) has a file on each side, locked by each. There who
 * has the locks has nothing but them: that a source gets its own says nothing of the target, nor
 * does a file of the source to which nobody has written. Such a disk is never given up, and nobody
 * can tell (-ENODATA): after a GO without an answer the VM stands until the administrator decides.
 *
 * The file of UEFI firmware's variables (vars.h) goes with the disks: one that both sides have
 * changes hands by its lock, and one on each side is locked by each.
 *
 * All of main thread, unless said otherwise. An NFS server that is mounted hard and dies after the
 * flush keeps it from everything else until it is back; `kvmbus kill` ends the VM. To ask on the
 * migration's thread would not help yet: its end waits for the thread, whose disks must stay open,
 * and `resume` of an undecided VM answers at once.
 */
#ifndef KVMB_DISK_LOCKS_H
#define KVMB_DISK_LOCKS_H

#include "vmm/vm.h"

/** disk_locks_note() - From here on disk_locks_tell() tells; nobody writes to them now. */
void disk_locks_note(struct vm *vm);

/** disk_locks_give_up() - Another process may take disks and variables; nobody writes to them. */
void disk_locks_give_up(struct vm *vm);

/**
 * disk_locks_take() - Lock all disks, and the variables
 * @why: why[size], on failure one phrase, and none is locked
 *
 * Return: 0; -EBUSY: somebody else has one; -errno.
 */
int disk_locks_take(struct vm *vm, char *why, size_t size);

/**
 * disk_locks_tell() - Has anybody written to the disks since disk_locks_note()?
 *
 * Return: 0: nobody has; -ESTALE: somebody has; -ENODATA: nobody can tell, there is no disk whose
 * lock would have kept anybody away, a server may have been written to, or one is copied.
 */
int disk_locks_tell(struct vm *vm);

/**
 * disk_locks_fetch() - Open the images that the source has closed; before disk_locks_take()
 * @why: why[size], on failure one phrase, and none is open
 *
 * Return: 0; -ESTALE: one was written since disk_locks_note(); -errno. Context: may wait, normally
 * for milliseconds.
 */
int disk_locks_fetch(struct vm *vm, char *why, size_t size);

/** disk_locks_let_go() - Close the images again, and wait for that: half a minute at most. */
void disk_locks_let_go(struct vm *vm);

/** disk_locks_fetch_back() - The VM goes on here: open what was closed. Does not wait. */
void disk_locks_fetch_back(struct vm *vm);

/** disk_locks_forget_caches() - Another host may have written: read anew what was read so far. */
void disk_locks_forget_caches(struct vm *vm);

#endif
