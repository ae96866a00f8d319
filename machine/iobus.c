// SPDX-License-Identifier: GPL-2.0-only
/* Dispatch of port I/O. */
#include "machine/iobus.h"

#include "lib/util.h"

void iobus_add(struct iobus *b, u16 base, u16 len,
	       void (*access)(void *dev, u16 offset, u32 size, bool write, u32 *val), void *dev)
{
	kvmb_assert(b->num < IOBUS_MAX_RANGES);
	b->ranges[b->num++] = (struct iobus_range){ base, len, access, dev };
}

void iobus_access(const struct iobus *b, u16 port, u32 size, bool write, void *data)
{
	u32 val = 0xffffffff, i;

	if (write) {
		val = 0;
		memcpy(&val, data, size);
	}
	for (i = 0; i < b->num; i++) {
		const struct iobus_range *r = &b->ranges[i];

		if (port >= r->base && port - r->base < r->len) {
			r->access(r->dev, (u16)(port - r->base), size, write, &val);
			break;
		}
	}
	if (i == b->num && b->other)
		b->other(b->other_dev, port, size, write, &val);
	if (!write)
		memcpy(data, &val, size);
}
