/* SPDX-License-Identifier: GPL-2.0-only */
/* Port I/O: dispatches ranges to devices. Unclaimed ports read all-ones and ignore writes. */
#ifndef KVMB_IOBUS_H
#define KVMB_IOBUS_H

#include "vmbus-core/env.h"

#define IOBUS_MAX_RANGES 32u

struct iobus_range {
	u16 base, len;
	/* @size is 1, 2 or 4; a read fills the low bytes of *@val. vCPU threads, concurrently. */
	void (*access)(void *dev, u16 offset, u32 size, bool write, u32 *val);
	void *dev;
};

struct iobus { /* immutable once the VM runs */
	struct iobus_range ranges[IOBUS_MAX_RANGES];
	u32 num;
	/* ports of PCI functions. It leaves *@val alone where nothing is. NULL = there are none */
	void (*other)(void *dev, u16 port, u32 size, bool write, u32 *val);
	void *other_dev;
};

/**
 * iobus_add() - Claim ports for a device
 * @b:      the VM does not run yet; at most IOBUS_MAX_RANGES ranges
 * @base:   first port
 * @len:    ports; ranges do not overlap
 * @access: as in struct iobus_range
 * @dev:    passed to @access
 */
void iobus_add(struct iobus *b, u16 base, u16 len,
	       void (*access)(void *dev, u16 offset, u32 size, bool write, u32 *val), void *dev);
/**
 * iobus_access() - Serve one access
 * @b:     immutable
 * @port:  first port, guest-controlled
 * @size:  1, 2 or 4 bytes
 * @write: else a read
 * @data:  data[size], read or written
 *
 * Context: any vCPU's thread.
 */
void iobus_access(const struct iobus *b, u16 port, u32 size, bool write, void *data);

#endif
