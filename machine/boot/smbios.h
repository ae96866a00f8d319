/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SMBIOS tables of a gen1 machine, which firmware puts into guest memory.
 *
 * Source: DMTF DSP0134 (SMBIOS 2.8): the entry point, structure types 0, 1, 3, 4, 16, 17, 19, 32.
 */
#ifndef KVMB_SMBIOS_H
#define KVMB_SMBIOS_H

#include "vmbus-core/env.h"

#define SMBIOS_ANCHOR_LEN 31u

struct machine_config;

struct smbios {
	u8 anchor[SMBIOS_ANCHOR_LEN]; /* firmware fills in the address and the checksums */
	u8 tables[8192];	      /* tables[len] */
	u32 len;
};

/** smbios_build() - Make the tables of a machine; @s is filled. Any thread. */
void smbios_build(const struct machine_config *cfg, struct smbios *s);

#endif
