/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RNDIS data messages: what is taken, what is made.
 *
 * One source, two runners: cmocka in user space (tests/unit/vmbus-core/rndis_test.c) and KUnit in
 * the kernel (tests/kunit/core_kunit.c). The includer has defined CASE() and the CHECKs:
 * tests/unit/test.h, tests/kunit/kunit_case.h.
 */
#ifndef KVMB_RNDIS_CASES_H
#define KVMB_RNDIS_CASES_H

#include "tests/cases/rndis_table.h"
#include "vmbus-core/rndis.h"

CASE(rndis_packet_takes_what_fits_and_nothing_else)
{
	struct kvmb_rndis_frame f;
	u8 buf[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rndis_table); i++) {
		const struct rndis_case *c = &rndis_table[i];

		rndis_case_message(c, buf, sizeof(buf));
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
	const struct kvmb_rndis_out o = {
		.data_len = 60, .has_vlan = true, .vlan_tci = 5, .has_hash = true, .hash = 7
	};
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
		{ .data_len = 65000,
		  .lso = KVMB_LSO_V2 | 1448 | 34u << 20,
		  .has_hash = true,
		  .hash = 0xdeadbeef },
		{ .data_len = 1000,
		  .data_offset = 256,
		  .has_vlan = true,
		  .vlan_tci = 0x3001,
		  .rsc = KVMB_RSC_PART | KVMB_RSC_LAST },
		{ .data_len = 90,
		  .has_vlan = true,
		  .vlan_tci = 1,
		  .has_hash = true,
		  .hash = 1,
		  .csum = 2,
		  .rsc = 3 },
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
	/* priority 5, DEI, VLAN 0x123 */
	const struct kvmb_rndis_out o = { .data_len = 60, .has_vlan = true, .vlan_tci = 0xb123 };
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
