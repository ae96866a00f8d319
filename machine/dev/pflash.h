/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parallel flash: memory that keeps what UEFI firmware calls its variables.
 *
 * DOC: Theory of operation
 *
 * A chip is read as memory. Its owner maps it for the guest, read-only, so that reads do not leave
 * the guest; a write does, and is a cycle of a command. While the chip answers with something else
 * than its content (its status, say) the owner takes the mapping away. Firmware writes one byte
 * after the other and asks for the content once at the end, so this happens twice for each of its
 * writes, not for each byte.
 *
 * To program a byte clears bits, to erase a block of 4 KiB sets them all. Both are done at once.
 * Each change is told to the owner, who keeps it: a block with its content after the change, and
 * "settled" when the guest reads the content again. Blocks are told in the order of the changes.
 * Firmware relies on that order: what it writes survives a loss of power at any point.
 *
 * A chip would say "ready" by bit 7 of its status all the time. This one, like QEMU's, clears that
 * bit too when the guest clears its status: OVMF's driver takes it for memory without it.
 *
 * Sources: Intel 28F640J3 data sheet (command set 0001: cycles, status, identifiers); JESD68.01
 * and Intel AP-646 (CFI query); edk2 OvmfPkg/QemuFlashFvbServicesRuntimeDxe/QemuFlash.c
 * QemuFlashDetected(); QEMU hw/block/pflash_cfi01.c pflash_write().
 */
#ifndef KVMB_PFLASH_H
#define KVMB_PFLASH_H

#include "vmbus-core/env.h"

struct kvmb_tlv;
struct kvmb_tlv_out;
struct pflash;

#define PFLASH_BLOCK 4096u     /* bytes that are erased together */
#define PFLASH_MOST (8u << 20) /* bytes of a chip */

/* All with the chip's lock held, on vCPUs' threads and the main thread. None waits. */
struct pflash_ops {
	/* Map the content for the guest, read-only, or take it away. */
	void (*show)(void *arg, bool there);
	/* Block @block has changed; content[PFLASH_BLOCK] now. NULL: nobody keeps it */
	void (*changed)(void *arg, u32 block, const u8 *content);
	/* What was changed is whole for now. NULL with changed() */
	void (*settled)(void *arg);
	void *show_arg, *keep_arg; /* of show(); of the others */
};

/**
 * pflash_create() - Make a chip; it is not mapped before pflash_reset()
 * @data: data[len], its content, borrowed; page aligned, because the owner maps it
 * @len:  bytes, a multiple of PFLASH_BLOCK up to PFLASH_MOST
 * @ops:  copied
 *
 * Return: never NULL.
 */
struct pflash *pflash_create(u8 *data, u32 len, const struct pflash_ops *ops);

/** pflash_destroy() - NULL is fine. No vCPU runs. */
void pflash_destroy(struct pflash *p);

/** pflash_reset() - Power-on state: it shows its content, which stays. Main thread; vCPUs stand. */
void pflash_reset(struct pflash *p);

/**
 * pflash_access() - An access by the guest, as of struct pci_bar
 * @dev:    the chip
 * @offset: into it, guest-controlled
 * @size:   1, 2, 4 or 8; a write is as many cycles of one byte each
 * @write:  else a read
 * @val:    a read fills the low bytes
 *
 * Context: any vCPU's thread. Trust: all of it is the guest's.
 */
void pflash_access(void *dev, u32 offset, u32 size, bool write, u64 *val);

/** pflash_save() - Content and the command under way: a group. Main thread; vCPUs stand. */
void pflash_save(struct pflash *p, struct kvmb_tlv_out *o);

/** pflash_saved_len() - Of the chip that was saved. Return: 0: no chip has that, or an error. */
u32 pflash_saved_len(struct kvmb_tlv *group);

/**
 * pflash_load() - What pflash_save() wrote
 * @p:     new, and of the same size
 * @group: hostile
 *
 * Of blocks that differ ops.changed() is told by pflash_loaded(), or before the guest's next
 * change: what is refused with other devices' state does not reach anybody's file.
 *
 * Return: 0; -errno with one line in @group->error: @p is as before. Context: main thread.
 */
int pflash_load(struct pflash *p, struct kvmb_tlv *group);

/** pflash_loaded() - All of the VM was loaded: tell of what has come. Main thread. */
void pflash_loaded(struct pflash *p);

#endif
