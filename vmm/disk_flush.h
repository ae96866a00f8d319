/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that was written to the VM's disks goes to stable storage.
 *
 * DOC: Theory of operation
 *
 * The guest flushes what it wants to outlive a loss of power, and with the power it loses its
 * memory, too. A saved VM keeps its memory: what it takes for written has to be as safe as that.
 *
 * A raw image's descriptor is duplicated and synced by the caller's thread, so the disk may be
 * closed meanwhile. Other disks get a request; nobody closes them during a save or a migration.
 *
 * When a flush fails and the VM goes on, we have taken an error that was the guest's: Linux tells
 * an open file of it once, and a duplicate is the same open file. So the guest's next flush fails.
 * Until then ours fail, too: the VM that goes on elsewhere has no such debts.
 */
#ifndef KVMB_DISK_FLUSH_H
#define KVMB_DISK_FLUSH_H

#include "vmm/state_file.h"
#include "vmm/vm.h"

struct disk_flush;

/** disk_flush_begin() - Begin; nobody writes to the disks. Main thread. */
struct disk_flush *disk_flush_begin(struct vm *vm);

/**
 * disk_flush_let_go() - Have images closed that must be, before another process opens them
 *
 * disk_flush_end() waits for that, too; whatever it returns, disk_locks_fetch_back() opens them
 * again. Context: any thread, before disk_flush_end().
 */
void disk_flush_let_go(struct disk_flush *f);

/** disk_flush_cancel() - Let disk_flush_end() return soon. Any thread, until @f is freed. */
void disk_flush_cancel(struct disk_flush *f);

/**
 * disk_flush_end() - Wait for it; once
 * @why: why[STATE_FILE_WHY], set when a disk failed
 *
 * A server that is dead is waited for until disk_flush_cancel().
 *
 * Return: 0; -ECANCELED; -errno of the first disk that failed. Context: a thread that may block.
 */
int disk_flush_end(struct disk_flush *f, char *why);

/**
 * disk_flush_free() - After disk_flush_end(); NULL is fine
 *
 * A disk that failed owes the guest its error: kvmb_disk_owe(). Context: main thread.
 */
void disk_flush_free(struct vm *vm, struct disk_flush *f);

#endif
