/* SPDX-License-Identifier: GPL-2.0-only */
/* Guest RAM. */
#ifndef KVMB_MEM_H
#define KVMB_MEM_H

#define MEM_LOW_MAX 0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define MEM_HIGH_BASE 0x100000000ull

struct machine;

/** mem_create() - Map cfg.memory bytes and show them to KVM: fills @m->gm. Return: 0 or -errno. */
int mem_create(struct machine *m);
void mem_destroy(struct machine *m);

#endif
