/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest RAM. */
#ifndef KVMB_MEM_H
#define KVMB_MEM_H

#define MEM_LOW_MAX 0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define MEM_HIGH_BASE 0x100000000ull

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

/** mem_destroy() - Undo both. Context: main thread; no vCPU exists any more. */
void mem_destroy(struct machine *m);

#endif
