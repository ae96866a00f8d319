/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps the variables of UEFI firmware in a file, on a thread of its own.
 *
 * DOC: Theory of operation
 *
 * The file is what the flash chip holds (machine/dev/pflash.h), as QEMU keeps it too. A vCPU's
 * thread that changes a block hands its content over and goes on; the thread writes it. Blocks are
 * written whole, and in the order of the changes: firmware prepares each change of its variables so
 * that it can be finished, or forgotten, wherever it is cut off. So whenever the process is killed,
 * the file is one that firmware understands.
 *
 * A block that changes again while it is the last that waits is not queued again: firmware writes
 * byte by byte. A guest that changes blocks faster than they can be written loses their order, not
 * their content: then all blocks are written once more, as they are by then.
 *
 * A VM that moves, or is handed over, may have one file on both sides. So the side that is to go on
 * opens it without its lock, and writes nothing before it runs. By then the other one has written
 * all that its guest has changed (vars_drain()), and gives up the lock with those of the disks
 * (vmm/disk_locks.h), or with its end (vmm/upgrade_in.c).
 *
 * A write that fails is tried again every second, and it is said once; after a flush that fails,
 * all blocks are. At the end what cannot be written is lost, and that is said too. If the thread
 * hangs then, it is left behind as that of vmm/sink.h.
 */
#ifndef KVMB_VARS_H
#define KVMB_VARS_H

#include "vmbus-core/env.h"

struct vars;

/**
 * vars_open() - Open a VM's file of variables and lock it, or make one
 * @path:  of the file
 * @fresh: fresh[len], what it holds when it is new
 * @len:   bytes, of any such file
 * @lock:  false: vars_lock() comes later
 * @why:   why[size], on failure one phrase
 * @size:  bytes
 *
 * A new file is there with all its content, or not at all. Nothing of an old one is read.
 *
 * Return: a descriptor; -EBUSY: another VM has it; another -errno. Context: may block on file I/O.
 */
int vars_open(const char *path, const u8 *fresh, u32 len, bool lock, char *why, size_t size);

/**
 * vars_create() - Read the variables, and keep them from now on
 * @name:    of the VM, for messages; borrowed
 * @fd:      of vars_open(); taken over, also on failure
 * @content: content[len], filled
 * @len:     as of vars_open()
 * @why:     why[size], on failure one phrase
 * @size:    bytes
 *
 * Return: NULL on failure. Context: main thread.
 */
struct vars *vars_create(const char *name, int fd, u8 *content, u32 len, char *why, size_t size);

/**
 * vars_changed() - A block has changed; for struct flash_keeper
 * @v:       struct vars
 * @block:   which one, of 4 KiB
 * @content: content[4096] now, copied
 *
 * Context: any thread, one at a time. Never waits for the file.
 */
void vars_changed(void *v, u32 block, const u8 *content);

/** vars_settled() - What has changed is whole for now: write it. As vars_changed(). */
void vars_settled(void *v);

/**
 * vars_drain() - Wait until all changes are in the file
 * @v:  nobody changes them; NULL is fine
 * @ms: longest wait
 *
 * Return: 0; -ETIMEDOUT. Context: a thread that may block.
 */
int vars_drain(struct vars *v, u32 ms);

/** vars_lock() - The file is ours. NULL is fine. Return: 0; -EBUSY: another VM has it; -errno. */
int vars_lock(struct vars *v);

/** vars_unlock() - It may be another process's from now on: after vars_drain(). NULL is fine. */
void vars_unlock(struct vars *v);

/**
 * vars_destroy() - Write what is left, and end the thread; NULL is fine
 * @ms: longest wait
 *
 * Return: false, and one line logged, when something is lost. No change comes any more.
 */
bool vars_destroy(struct vars *v, u32 ms);

#endif
