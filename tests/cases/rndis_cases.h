/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RNDIS data messages: what is taken, what is made.
 *
 * One source, two runners: cmocka in user space (tests/unit/vmbus-core/rndis_test.c) and KUnit in the kernel
 * (tests/kunit/core_kunit.c). The includer has defined CASE() and the CHECKs: tests/unit/test.h, tests/kunit/kunit_case.h.
 */
#ifndef KVMB_RNDIS_CASES_H
#define KVMB_RNDIS_CASES_H

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
	{ 1, 124, 52, 64, 36, 16, 16, 0x1234, 12, 100, 128, 0 },	      /* a kind nobody knows: passed over */
	{ 2, 108, 36, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },		      /* no data message */
	{ 1, 108, 36, 64, 0, 0, 0, 0, 0, 43, 128, -EPROTO },		      /* less than a header was copied */
	{ 1, 43, 36, 0, 0, 0, 0, 0, 0, 100, 128, -EPROTO },		      /* shorter than its header */
	{ 1, 129, 36, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },		      /* longer than what came */
	{ 1, 108, 35, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },		      /* the frame lies in the header */
	{ 1, 108, 36, 65, 0, 0, 0, 0, 0, 100, 128, -EPROTO },		      /* the frame ends behind the message */
	{ 1, 108, 0xfffffff8, 64, 0, 0, 0, 0, 0, 100, 128, -EPROTO },	      /* sums that wrap */
	{ 1, 108, 36, 0xffffffff, 0, 0, 0, 0, 0, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 0xfffffff0, 16, 16, 6, 12, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 17, 16, 6, 12, 100, 128, -EPROTO },	      /* infos that reach into the frame */
	{ 1, 124, 52, 64, 35, 16, 16, 6, 12, 100, 128, -EPROTO },	      /* infos in the header */
	{ 1, 124, 52, 64, 36, 16, 0, 6, 12, 100, 128, -EPROTO },	      /* no step forward */
	{ 1, 124, 52, 64, 36, 16, 11, 6, 12, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 16, 17, 6, 12, 100, 128, -EPROTO },	      /* an info longer than all */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 11, 100, 128, -EPROTO },	      /* its value in its header */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 13, 100, 128, -EPROTO },	      /* its value cut off */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 17, 100, 128, -EPROTO },
	{ 1, 124, 52, 64, 36, 8, 16, 6, 12, 100, 128, -EPROTO },	      /* half an info */
	{ 1, 124, 52, 64, 36, 16, 16, 6, 12, 59, 128, -EPROTO },	      /* infos beyond the copy */
};

CASE(rndis_packet_takes_what_fits_and_nothing_else)
{
	struct kvmb_rndis_frame f;
	u8 buf[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rndis_table); i++) {
		const struct rndis_case *c = &rndis_table[i];
		struct kvmb_wire_rndis h = { cpu_to_le32(c->type), cpu_to_le32(c->msg_len) };
		struct kvmb_wire_rndis_packet p = {
			.data_offset = cpu_to_le32(c->data_offset), .data_len = cpu_to_le32(c->data_len),
			.ppi_offset = cpu_to_le32(c->ppi_offset), .ppi_len = cpu_to_le32(c->ppi_len),
		};
		struct kvmb_wire_ppi ppi = { cpu_to_le32(c->ppi_size), cpu_to_le32(c->ppi_type),
					     cpu_to_le32(c->ppi_data) };

		memset(buf, 0, sizeof(buf));
		memcpy(buf, &h, sizeof(h));
		memcpy(buf + sizeof(h), &p, sizeof(p));
		memcpy(buf + RNDIS_MIN, &ppi, sizeof(ppi));
		CHECK_ROW(kvmb_rndis_packet(buf, c->hdr_len, c->avail, &f), c->err, i);
		if (!c->err) {
			CHECK_EQ(f.data_offset, c->data_offset + 8);
			CHECK_EQ(f.data_len, c->data_len);
			CHECK_EQ(f.has_vlan, c->ppi_len && c->ppi_type == KVMB_PPI_VLAN);
		}
	}
}

CASE(rndis_packet_takes_no_info_twice)
{
	const struct kvmb_rndis_out o = { .data_len = 60, .has_vlan = true, .vlan_tci = 5, .has_hash = true, .hash = 7 };
	struct kvmb_rndis_frame f;
	u8 buf[KVMB_RNDIS_HEAD_MAX + 60] = { 0 };
	u32 n = kvmb_rndis_header(&o, buf);

	CHECK_EQ(kvmb_rndis_packet(buf, n, sizeof(buf), &f), 0);
	memcpy(buf + RNDIS_MIN + 16, buf + RNDIS_MIN, 16);
	CHECK_EQ(kvmb_rndis_packet(buf, n, sizeof(buf), &f), -EPROTO);
}

CASE(rndis_header_comes_back_as_it_went)
{
	static const struct kvmb_rndis_out outs[] = {
		{ .data_len = 60 },
		{ .data_len = 1514, .has_vlan = true, .vlan_tci = 0xefff },
		{ .data_len = 1514, .csum = KVMB_TX_CSUM_IPV4 | KVMB_TX_CSUM_TCP | 34u << 16 },
		{ .data_len = 65000, .lso = KVMB_LSO_V2 | 1448 | 34u << 20, .has_hash = true, .hash = 0xdeadbeef },
		{ .data_len = 1000, .data_offset = 256, .has_vlan = true, .vlan_tci = 0x3001, .rsc = KVMB_RSC_PART | KVMB_RSC_LAST },
		{ .data_len = 90, .has_vlan = true, .vlan_tci = 1, .has_hash = true, .hash = 1, .csum = 2, .rsc = 3 },
	};
	struct kvmb_rndis_frame f;
	u8 buf[KVMB_RNDIS_HEAD_MAX + 8];
	size_t i;
	u32 n;

	for (i = 0; i < ARRAY_SIZE(outs); i++) {
		const struct kvmb_rndis_out *o = &outs[i];

		memset(buf, 0xee, sizeof(buf));
		n = kvmb_rndis_header(o, buf);
		CHECK_EQ(n, kvmb_rndis_header_len(o));
		CHECK(n <= KVMB_RNDIS_HEAD_MAX);
		CHECK_EQ(buf[n], 0xee);
		CHECK_ROW(kvmb_rndis_packet(buf, n, 65536, &f), 0, i);
		CHECK_EQ(f.data_offset, o->data_offset ? o->data_offset : n);
		CHECK_EQ(f.data_len, o->data_len);
		CHECK_EQ(f.has_vlan, o->has_vlan);
		CHECK_EQ(f.vlan_tci, o->vlan_tci);
		CHECK_EQ(f.marks.csum, o->csum);
		CHECK_EQ(f.marks.lso, o->lso);
		CHECK_EQ(f.hash, o->hash);
		CHECK_EQ(f.rsc, o->rsc);
	}
}

CASE(rndis_vlan_tag_is_turned_as_the_wire_wants)
{
	const struct kvmb_rndis_out o = { .data_len = 60, .has_vlan = true, .vlan_tci = 0xb123 }; /* priority 5, DEI, VLAN 0x123 */
	u8 buf[KVMB_RNDIS_HEAD_MAX];

	CHECK_EQ(kvmb_rndis_header(&o, buf), 60);
	/* priority in bits 0 to 2, CFI in 3, the number above: Linux struct ndis_pkt_8021q_info */
	CHECK_EQ(buf[56], 0x3d);
	CHECK_EQ(buf[57], 0x12);
	CHECK_EQ(buf[58] | buf[59], 0);
}

#define RNDIS_CASES(X) \
	X(rndis_packet_takes_what_fits_and_nothing_else) \
	X(rndis_packet_takes_no_info_twice) \
	X(rndis_header_comes_back_as_it_went) \
	X(rndis_vlan_tag_is_turned_as_the_wire_wants)

#endif
