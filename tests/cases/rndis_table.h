/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data messages, true and false: tests/cases/rndis_cases.h tries the parser on them,
 * tests/kunit/net_kunit.c the driver.
 */
#ifndef KVMB_RNDIS_TABLE_H
#define KVMB_RNDIS_TABLE_H

#include "vmbus-core/rndis.h"

#define RNDIS_MIN 44u /* header of a data message */

struct rndis_case { /* the numbers of one data message; offsets as on the wire, from byte 8 */
	u32 type, msg_len, data_offset, data_len, ppi_offset, ppi_len;
	u32 ppi_size, ppi_type, ppi_data; /* of the one info, when there is one */
	u32 hdr_len, avail;
	int err;
};

/* 128 bytes came, 100 of them are in the private copy, 64 bytes of frame */
static const struct rndis_case rndis_table[] = {
	{ 1, 108, 36, 64, 0, 0, 0, 0, 0, 100, 128, 0 },
	{ 1, 124, 52, 64, 36, 16, 16, KVMB_PPI_VLAN, 12, 100, 128, 0 },
	/* a kind nobody knows: passed over */
	{ 1, 124, 52, 64, 36, 16, 16, 0x1234, 12, 100, 128, 0 },
	{ 2, 108, 36, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },		      /* no data message */
	/* less than a header was copied */
	{ 1, 108, 36, 64, 0, 0, 0, 0, 0, 43, 128, -EPROTO },
	/* shorter than its header */
	{ 1, 43, 36, 0, 0, 0, 0, 0, 0, 100, 128, -EPROTO },
	/* longer than what came */
	{ 1, 129, 36, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },
	/* the frame lies in the header */
	{ 1, 108, 35, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },
	/* the frame ends behind the message */
	{ 1, 108, 36, 65, 0, 0, 0, 0, 0, 100, 128, -EPROTO },
	{ 1, 108, 0xfffffff8, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },	      /* sums that wrap */
	{ 1, 108, 36, 0xffffffff, 0, 0, 0, 0, 0, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 0xfffffff0, 16, 16, 6, 12, 100, 128, -EPROTO },
	/* infos that reach into the frame */
	{ 1, 124, 52, 64, 36, 17, 16, 6, 12, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 32, 32, 0x1234, 12, 100, 128, -EPROTO },
	/* infos in the header */
	{ 1, 124, 52, 64, 35, 16, 16, 6, 12, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 16, 0, 6, 12, 100, 128, -EPROTO },	      /* no step forward */
	{ 1, 124, 52, 64, 36, 16, 11, 6, 12, 100, 128, -EPROTO },
	/* an info longer than all */
	{ 1, 124, 52, 64, 36, 16, 17, 6, 12, 100, 128, -EPROTO },
	/* its value in its header */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 11, 100, 128, -EPROTO },
	/* its value cut off */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 13, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 16, 16, 6, 17, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 8, 16, 6, 12, 100, 128, -EPROTO },	      /* half an info */
	/* infos beyond the copy */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 12, 59, 128, -EPROTO },
};

/* The message of a row, in buf[size] with zeroes behind it */
static inline void rndis_case_message(const struct rndis_case *c, u8 *buf, u32 size)
{
	struct kvmb_wire_rndis h = { cpu_to_le32(c->type), cpu_to_le32(c->msg_len) };
	struct kvmb_wire_rndis_packet p = {
		.data_offset = cpu_to_le32(c->data_offset), .data_len = cpu_to_le32(c->data_len),
		.ppi_offset = cpu_to_le32(c->ppi_offset), .ppi_len = cpu_to_le32(c->ppi_len),
	};
	struct kvmb_wire_ppi ppi = { cpu_to_le32(c->ppi_size), cpu_to_le32(c->ppi_type),
				     cpu_to_le32(c->ppi_data) };

	memset(buf, 0, size);
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &p, sizeof(p));
	memcpy(buf + RNDIS_MIN, &ppi, sizeof(ppi));
}

#endif
