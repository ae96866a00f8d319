/* SPDX-License-Identifier: GPL-2.0-only */
/* GUIDs as they travel: first three fields little-endian, last eight bytes as written. */
#ifndef KVMB_GUID_H
#define KVMB_GUID_H

#include "vmbus-core/env.h"

struct kvmb_guid {
	u8 b[16]; /* wire order */
};

/* KVMB_GUID(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, ...) reads like the printed form */
#define KVMB_GUID(a, b, c, d0, d1, d2, d3, d4, d5, d6, d7)                                   \
	{ { (u8)((a) & 0xff), (u8)(((a) >> 8) & 0xff), (u8)(((a) >> 16) & 0xff),             \
	    (u8)(((a) >> 24) & 0xff), (u8)((b) & 0xff), (u8)(((b) >> 8) & 0xff),             \
	    (u8)((c) & 0xff), (u8)(((c) >> 8) & 0xff), d0, d1, d2, d3, d4, d5, d6, d7 } }

#define KVMB_GUID_STR_SIZE 37 /* 36 characters and the NUL */

/**
 * kvmb_guid_equal() - Compare two GUIDs
 * @a: one
 * @b: the other
 *
 * Return: true when all 16 bytes are equal. Context: any.
 */
static inline bool kvmb_guid_equal(const struct kvmb_guid *a, const struct kvmb_guid *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

#endif
