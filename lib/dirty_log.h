/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages of guest memory that this process has written.
 *
 * DOC: Theory of operation
 *
 * While a VM is migrated, memory is copied again and again until little changes. KVM logs what the
 * guest and KVM itself write, but not what we write. One VM is one process, so there is one log of
 * the process, of one mapping of RAM.
 *
 * Who writes to guest memory says so afterwards: kvmb_dirty(). Who copies memory takes the log
 * first. So a page that is written while it is copied is copied once more.
 *
 *   writer  writes the page     | sets its bit          Barrier L: the write before the bit
 *   taker   exchanges the bits  | copies the page       Barrier L': the bits before the copy
 *
 * A bit is set even if it is set already: to look first, a writer would need a fence between its
 * write and the look, or it may see the bit just before the taker clears it, and the taker copies
 * the page before the write arrives.
 *
 * While no log is wanted, which is nearly always, kvmb_dirty() is a load and a branch that is not
 * taken. The processor may do that load before the write that it follows is visible to others. So
 * the thread that begins a log could set the flag, copy a page, and both writer and copy miss each
 * other. The fence that forbids it would cost each writer; instead kvmb_dirty_log_begin() makes
 * all processors that run a thread of ours execute one, by membarrier(): a writer that saw the flag
 * unset has then made its write visible, and what is written later sees the flag set.
 *
 * The bitmap stays when a log ends: a writer that is on its way may still set a bit.
 *
 * Who writes to guest memory, and where it is noted:
 *
 * - copies to a guest address: kvmb_gm_write(), kvmb_iov_write();
 * - data of a disk, whatever read it, and also after an error: io_result() in storage_io.c;
 * - the same on IDE: request_done() in ide.c, ide_dma_copy() in ide_dma.c;
 * - frames: receive_frame() in net_rx.c, and a checksum that is put into one: poke16() in
 *   net_offload.c;
 * - packets to the guest: kvmb_chan_publish(), which knows what is new;
 * - control pages of rings, and the interrupt page of old versions: they change all the time, so
 *   kvmb_bus_dirty() notes them when everything stands. What a guest takes back before that is
 *   noted then: kvmb_chan_release_rings(), leave_int_page() in bus.c;
 * - SynIC pages: likewise machine_dirty(), and use_synic() in hyperv.c;
 * - descriptors of the legacy NIC: give_back() in tulip_ring.c;
 * - a guest that starts anew: firmware_enter(), boot_load(), boot_elf_load(),
 *   write_page_tables(), acpi_build().
 *
 * Source: Linux, membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED.
 */
#ifndef KVMB_DIRTY_LOG_H
#define KVMB_DIRTY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define KVMB_DIRTY_SHIFT 12u /* pages of 4 KiB */

/* Internal: of kvmb_dirty_log_on(). */
extern bool kvmb_dirty_log_flag;

/**
 * kvmb_dirty_log_prepare() - Tell the kernel that this process will want fences
 * Return: 0; -errno when the kernel has none, and kvmb_dirty_log_begin() will say so, too.
 * Context: before there are other threads, when it is quick.
 */
int kvmb_dirty_log_prepare(void);

/** kvmb_dirty_fence() - Have each thread that runs execute a fence. Return: 0 or -errno. */
int kvmb_dirty_fence(void);

/**
 * kvmb_dirty_log_begin() - From here on, writes are noted
 * @ram: the mapping, whole pages; the same each time as long as others may write
 * @len: bytes
 *
 * All pages are clean. Whatever was written before and not noted is visible to the caller.
 *
 * Return: 0; -ENOMEM; -errno of membarrier(), when the kernel has no fences for us.
 * Context: one thread at a time begins, takes or ends.
 */
int kvmb_dirty_log_begin(const void *ram, size_t len);

/** kvmb_dirty_log_end() - Note nothing any more; fine without a log. Context: as above. */
void kvmb_dirty_log_end(void);

/**
 * kvmb_dirty_log_take() - Take notes over and forget them
 * @bits:  bit 0 is page @first; noted pages are added. Room for @num, rounded up to 64
 * @first: page of RAM, multiple of 64
 * @num:   pages
 *
 * Copy pages afterwards, not before. Context: as above; others go on writing.
 */
void kvmb_dirty_log_take(uint64_t *bits, size_t first, size_t num);

/** kvmb_dirty_log_note() - kvmb_dirty() while there is a log. */
void kvmb_dirty_log_note(const void *p, size_t len);

/** kvmb_dirty_iov_note() - kvmb_dirty_iov() while there is a log. */
void kvmb_dirty_iov_note(const struct iovec *iov, int num, size_t len);

/** kvmb_dirty_log_on() - After a write: must it be noted? Context: any thread. */
static inline bool kvmb_dirty_log_on(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the write comes first for the compiler, too */
	return __builtin_expect(__atomic_load_n(&kvmb_dirty_log_flag, __ATOMIC_ACQUIRE), 0);
}

/**
 * kvmb_dirty() - These bytes have been written
 * @p:   where; what is not in RAM does not count, so that a buffer of ours may be
 * @len: bytes
 *
 * Context: any thread, after the write.
 */
static inline void kvmb_dirty(const void *p, size_t len)
{
	if (kvmb_dirty_log_on())
		kvmb_dirty_log_note(p, len);
}

/** kvmb_dirty_iov() - The first @len bytes of iov[@num] have been written; see kvmb_dirty(). */
static inline void kvmb_dirty_iov(const struct iovec *iov, int num, size_t len)
{
	if (kvmb_dirty_log_on())
		kvmb_dirty_iov_note(iov, num, len);
}

#endif
