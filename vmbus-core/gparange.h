/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GPA ranges: {byte_count, byte_offset, page frame numbers}, as they stand in GPADL
 * messages and in GPA-direct packets.
 *
 * Source: Linux 6.12 include/linux/hyperv.h struct gpa_range.
 */
#ifndef KVMB_GPARANGE_H
#define KVMB_GPARANGE_H

#include "vmbus-core/env.h"

struct kvmb_wire_gparange {
	__le32 byte_count;
	__le32 byte_offset; /* into the first page */
	__le64 pfns[];	    /* 4 KiB frames covering offset .. offset + count */
};
static_assert(sizeof(struct kvmb_wire_gparange) == 8, "Linux gpa_range");

struct kvmb_gparange {
	u32 byte_count;	 /* > 0 */
	u32 byte_offset; /* < 4096 */
	u32 num_pages;
	const __le64 *pfns; /* pfns[num_pages], hostile numbers */
};

struct kvmb_gparange_iter {
	const u8 *p; /* next range, private copy */
	u32 bytes;   /* left at p */
	u32 left;    /* ranges still promised */
};

/**
 * kvmb_gparange_pages() - Frames that a range needs
 * @byte_count:  bytes of the range
 * @byte_offset: into the first frame
 * @pages:       result
 *
 * Return: 0; -EPROTO when the count is 0, the offset is not below 4096 or the sum
 * overflows. Trust: arguments are peer-controlled.
 */
int kvmb_gparange_pages(u32 byte_count, u32 byte_offset, u32 *pages);

/**
 * kvmb_gparange_next() - The next range
 * @it: iterator
 * @r:  filled on success; points into the private copy
 *
 * Return: 0; -EAGAIN after the last one; -EPROTO when a range is malformed or its
 * frame list is shorter than its length says.
 */
int kvmb_gparange_next(struct kvmb_gparange_iter *it, struct kvmb_gparange *r);

#endif
