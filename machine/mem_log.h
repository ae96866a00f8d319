/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages of guest memory change: KVM's log and ours (lib/dirty_log.h) in one.
 *
 * DOC: Theory of operation
 *
 * KVM write-protects pages and notes those that are written. A take reads the notes, and only then
 * forgets and protects again what it has read, in pieces, so that vCPUs that fault do not wait for
 * long. A page that is written in between is noted already, and copied after the take.
 *
 * A log can begin with all pages noted and none protected (KVM_DIRTY_LOG_INITIALLY_SET, Linux 5.7):
 * then its beginning takes no time, and the first take protects, in pieces. So that callers need
 * not care, the first take of each log has all pages, whatever the kernel can.
 *
 * Pages that change all the time are not noted at each write: machine_dirty() does that at the end.
 *
 * Source: Linux Documentation/virt/kvm/api.rst, KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG,
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2.
 */
#ifndef KVMB_MEM_LOG_H
#define KVMB_MEM_LOG_H

#include "vmbus-core/env.h"

struct machine;

struct machine_log {
	u64 features; /* KVM_DIRTY_LOG_* of this VM; 0 = reading the log forgets it */
	bool on;
	bool fresh; /* nothing was taken from it */
	u64 *slot;  /* slot[words of the largest region]: what is read from KVM */
};

/** machine_log_prepare() - Have KVM log in the best way it can. Main thread, the only one. */
void machine_log_prepare(struct machine *m);

/**
 * machine_log_begin() - Log from here on
 * @m: built; there is no log. vCPUs and providers may run
 *
 * Return: 0; -ENOMEM; -errno of the kernel: then there is no log. Context: main thread.
 */
int machine_log_begin(struct machine *m);

/**
 * machine_log_take() - Take what was written since the last take
 * @m:    with a log
 * @bits: one a page of 4 KiB, as it lies in the memory's file; such pages are added. Room for all
 *        of RAM
 *
 * The first take of a log has all pages. A page must be copied after the take that names it.
 *
 * Return: 0; -errno of KVM: what was taken is in @bits, the rest in the log.
 * Context: main thread or a job, one at a time; vCPUs and providers may run.
 */
int machine_log_take(struct machine *m, u64 *bits);

/** machine_log_end() - No log any more; fine without one. Main thread; nobody takes. */
void machine_log_end(struct machine *m);

/** machine_log_pages() - Pages of RAM, a multiple of 64: the bits of machine_log_take(). */
u64 machine_log_pages(const struct machine *m);

/**
 * machine_dirty() - Note what is written too often to be noted each time: SynIC pages
 *
 * And what must not come later: gen1_dirty().
 *
 * kvmb_bus_dirty() does the same for the bus. Context: main thread; before the last take, when
 * vCPUs and bus stand.
 */
void machine_dirty(struct machine *m);

#endif
