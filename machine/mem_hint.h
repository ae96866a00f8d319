/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest does not need for now: free page reporting, by hypercall 0x8003.
 *
 * The pages stay the guest's, their content is of no use to it, and they are dropped from the file
 * of RAM. The guest may use them at any time, without a word, and finds zeroes. Each call drops
 * MEM_HINT_MOST pages at most, and says how far it has come: the vCPU stands meanwhile.
 *
 * Sources: Linux 6.12 drivers/hv/hv_balloon.c:hv_free_page_report, arch/x86/kvm/hyperv.c;
 * docs/protocol.md#10.14.
 */
#ifndef KVMB_MEM_HINT_H
#define KVMB_MEM_HINT_H

#include "vmbus-core/env.h"

#define MEM_HINT_MOST 32768u /* pages: 128 MiB, which take about 10 ms */

struct machine;

/**
 * mem_hint() - Serve HvExtCallMemoryHeatHint
 * @input: of the hypercall: how many ranges, and at which one it goes on; hostile
 * @gpa:   of the list, hostile
 *
 * Return: what the guest gets: a status, and above it how many ranges are done. Context: a vCPU's
 * thread.
 */
u64 mem_hint(struct machine *m, u64 input, u64 gpa);

/** mem_hint_pages() - Pages that were dropped so far. Any thread. */
u64 mem_hint_pages(const struct machine *m);

#endif
