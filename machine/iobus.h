/* SPDX-License-Identifier: GPL-2.0-only */
/* Port I/O: ranges to devices. Unclaimed ports read all-ones and ignore writes. */
#ifndef KVMB_IOBUS_H
#define KVMB_IOBUS_H

#include "vmbus-core/env.h"

#define IOBUS_MAX_RANGES 16u

struct iobus_range {
	u16 base, len;
	/* @size is 1, 2 or 4; a read fills the low bytes of *@val. vCPU threads, concurrently. */
	void (*access)(void *dev, u16 offset, u32 size, bool write, u32 *val);
	void *dev;
};

struct iobus { /* immutable once the VM runs */
	struct iobus_range ranges[IOBUS_MAX_RANGES];
	u32 num;
};

void iobus_add(struct iobus *b, u16 base, u16 len,
	       void (*access)(void *dev, u16 offset, u32 size, bool write, u32 *val), void *dev);
void iobus_access(const struct iobus *b, u16 port, u32 size, bool write, void *data);

#endif
