/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest RAM. */
#ifndef KVMB_MEM_H
#define KVMB_MEM_H

#include "vmbus-core/env.h"

#define MEM_LOW_MAX 0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define MEM_HIGH_BASE 0x100000000ull
#define MEM_VGA_BASE 0xa0000ull /* of a machine with PCI: no RAM from here ... */
#define MEM_VGA_END 0xc0000ull	/* ... to here, but the file of RAM has it */

/* KVM's slots that are no RAM; those of RAM are the regions' indices */
#define MEM_SLOT_ROM 8u
#define MEM_SLOT_VIDEO 9u
#define MEM_SLOT_FLASH 10u
#define MEM_SLOT_SYNTH 11u /* synthetic video: vmm/synth.c */

struct machine;

/**
 * mem_open() - Make the file of cfg.memory bytes that holds the RAM, or take over another's
 * @m: configured
 *
 * Apart from mem_map(), because a file with huge pages needs a right that is given up between them.
 *
 * Return: 0 or -errno; mem_destroy() is due also after a failure. Context: main thread.
 */
int mem_open(struct machine *m);

/** mem_map() - Map it, register it with KVM, fill @m->gm. Return: 0 or -errno. Main thread. */
int mem_map(struct machine *m);

/**
 * mem_show() - Show memory of this process to the guest, or take it away
 * @m:    built
 * @slot: MEM_SLOT_*
 * @gpa:  guest physical, a multiple of 4096
 * @hva:  hva[@size], outlives what is shown
 * @size: bytes, a multiple of 4096; 0 = take away what is in @slot
 *
 * Return: 0; -EEXIST: something is there; -errno. Context: main thread; vCPUs may run.
 */
int mem_show(struct machine *m, u32 slot, u64 gpa, void *hva, u64 size);

/** mem_destroy() - Undo both. Context: main thread; no vCPU exists any more. */
void mem_destroy(struct machine *m);

#endif
