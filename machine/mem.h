/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest RAM. */
#ifndef KVMB_MEM_H
#define KVMB_MEM_H

#define MEM_LOW_MAX 0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define MEM_HIGH_BASE 0x100000000ull

struct machine;

/**
 * mem_create() - Map cfg.memory bytes, register them with KVM, fill @m->gm
 * @m: has its vm_fd
 *
 * Return: 0 or -errno; mem_destroy() is due also after a failure. Context: main thread.
 */
int mem_create(struct machine *m);

/** mem_destroy() - Undo mem_create(). Context: main thread; no vCPU exists any more. */
void mem_destroy(struct machine *m);

#endif
