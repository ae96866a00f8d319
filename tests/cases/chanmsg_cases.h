/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control messages, GPA ranges and packets: the parsers of vmbus-core.
 *
 * One source, two runners: cmocka in user space (tests/unit/vmbus-core/msg_test.c) and KUnit in the
 * kernel (tests/kunit/core_kunit.c). The includer has defined CASE() and the CHECKs:
 * tests/unit/test.h, tests/kunit/kunit_case.h.
 */
#ifndef KVMB_CHANMSG_CASES_H
#define KVMB_CHANMSG_CASES_H

#include "vmbus-core/chanmsg.h"
#include "vmbus-core/gparange.h"
#include "vmbus-core/pkt.h"

CASE(check_to_host_wants_the_whole_message)
{
	static const u32 nobodys[] = { 0, 18, 19, 20, 25, 0xffffffff };
	u8 buf[256] = { 0 };
	enum kvmb_msg type;
	u32 t;

	for (t = 0; t < 40; t++) {
		const struct kvmb_msg_info *i = kvmb_msg_info(t);

		buf[0] = (u8)t;
		if (!i || !(i->flags & KVMB_MSG_F_TO_HOST)) {
			CHECK_EQ(kvmb_msg_check_to_host(buf, 240, KVMB_VERSION_NEWEST, &type),
				 -EOPNOTSUPP);
			continue;
		}
		CHECK_EQ(kvmb_msg_check_to_host(buf, i->min_size, KVMB_VERSION_NEWEST, &type), 0);
		CHECK_EQ(type, t);
		CHECK_EQ(kvmb_msg_check_to_host(buf, i->min_size - 1u, KVMB_VERSION_NEWEST, &type),
			 -EPROTO);
		CHECK_EQ(kvmb_msg_check_to_host(buf, 241, KVMB_VERSION_NEWEST, &type), -EPROTO);
	}
	/* numbers that nobody has: Linux 6.12 hyperv.h enum vmbus_channel_message_type */
	for (t = 0; t < ARRAY_SIZE(nobodys); t++)
		CHECK(!kvmb_msg_info(nobodys[t]));
	CHECK_EQ(kvmb_msg_check_to_host(buf, 7, KVMB_VERSION_NEWEST, &type), -EPROTO);
	CHECK_EQ(kvmb_msg_check_to_host(buf, 0, KVMB_VERSION_NEWEST, &type), -EPROTO);
}

CASE(check_to_host_knows_the_age_of_messages)
{
	u8 buf[240] = { KVMB_MSG_MODIFY };
	enum kvmb_msg type;

	CHECK_EQ(kvmb_msg_check_to_host(buf, 16, KVMB_VERSION_WIN10, &type), -EOPNOTSUPP);
	CHECK_EQ(kvmb_msg_check_to_host(buf, 16, KVMB_VERSION_WIN10_RS3, &type), 0);
}

CASE(gparange_pages_counts_partial_pages)
{
	static const struct { u32 count, offset, pages; int err;
	} c[] = {
		{ 1, 0, 1, 0 },
		{ 4096, 0, 1, 0 },
		{ 4096, 1, 2, 0 },
		{ 4097, 0, 2, 0 },
		{ 1, 4095, 1, 0 },
		{ 2, 4095, 2, 0 },
		{ 0, 0, 0, -EPROTO },
		{ 1, 4096, 0, -EPROTO },
		{ 0xffffffff, 1, 0, -EPROTO },
		{ 0xffffffff, 0, 0x100000, 0 },
	};
	u32 pages;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		pages = 0;
		CHECK_EQ(kvmb_gparange_pages(c[i].count, c[i].offset, &pages), c[i].err);
		if (!c[i].err)
			CHECK_EQ(pages, c[i].pages);
	}
}

static struct kvmb_pkt gpa_packet(u64 *buf, u32 words, u32 count)
{
	struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_GPA_DIRECT), cpu_to_le16((u16)words),
				   cpu_to_le16((u16)(words + 1)), 0, 0 };
	struct kvmb_pkt pkt;

	memcpy(buf, &d, sizeof(d));
	buf[2] = (u64)count << 32 | 0x1234; /* the reserved half may hold garbage */
	memset(&pkt, 0, sizeof(pkt)); /* a type that no case takes, if it cannot be parsed */
	kvmb_pkt_parse(buf, (words + 1) * 8, &pkt);
	return pkt;
}

CASE(gpa_ranges_iterates_and_rejects_short_lists)
{
	u64 buf[16] = { 0 };
	struct kvmb_gparange_iter it;
	struct kvmb_gparange r;
	struct kvmb_pkt pkt;

	buf[3] = 100ull | 10ull << 32; /* 100 bytes at offset 10 */
	buf[4] = 77;
	buf[5] = 8192ull;
	buf[6] = 1;
	buf[7] = 2;
	pkt = gpa_packet(buf, 8, 2);
	CHECK_EQ(kvmb_pkt_gpa_ranges(&pkt, 2, &it), 0);
	CHECK_EQ(kvmb_gparange_next(&it, &r), 0);
	CHECK_EQ(r.byte_count, 100);
	CHECK_EQ(r.byte_offset, 10);
	CHECK_EQ(r.pfns[0], 77);
	CHECK_EQ(kvmb_gparange_next(&it, &r), 0);
	CHECK_EQ(r.num_pages, 2);
	CHECK_EQ(kvmb_gparange_next(&it, &r), -EAGAIN);
	CHECK_EQ(kvmb_pkt_gpa_ranges(&pkt, 1, &it), -EPROTO); /* more than wanted */

	pkt = gpa_packet(buf, 7, 2); /* the second list lost a frame */
	kvmb_pkt_gpa_ranges(&pkt, 2, &it);
	CHECK_EQ(kvmb_gparange_next(&it, &r), 0);
	CHECK_EQ(kvmb_gparange_next(&it, &r), -EPROTO);
	pkt = gpa_packet(buf, 8, 1);
	pkt.hdr_len = 0; /* a count that is not there */
	CHECK_EQ(kvmb_pkt_gpa_ranges(&pkt, 2, &it), -EPROTO);
	pkt = gpa_packet(buf, 8, 0);
	CHECK_EQ(kvmb_pkt_gpa_ranges(&pkt, 8, &it), -EPROTO);
	pkt = gpa_packet(buf, 8, 3); /* promises a third */
	kvmb_pkt_gpa_ranges(&pkt, 8, &it);
	kvmb_gparange_next(&it, &r);
	kvmb_gparange_next(&it, &r);
	CHECK_EQ(kvmb_gparange_next(&it, &r), -EPROTO);
}

CASE(xfer_ranges_must_fit_the_header)
{
	u64 buf[8] = { 0 };
	struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_XFER_PAGES), cpu_to_le16(4), cpu_to_le16(5),
				   0, 0 };
	const struct kvmb_wire_xfer_range *r;
	struct kvmb_pkt pkt;
	u32 n;
	u16 id;

	memcpy(buf, &d, sizeof(d));
	buf[2] = 0xcafe | 1ull << 32;
	buf[3] = 5 | 6ull << 32;
	CHECK_EQ(kvmb_pkt_parse(buf, 40, &pkt), 0);
	CHECK_EQ(kvmb_pkt_xfer_ranges(&pkt, 8, &id, &r, &n), 0);
	CHECK_EQ(id, 0xcafe);
	CHECK_EQ(n, 1);
	CHECK_EQ(r[0].byte_offset, 6);
	buf[2] = 0xcafe | 2ull << 32;
	CHECK_EQ(kvmb_pkt_xfer_ranges(&pkt, 8, &id, &r, &n), -EPROTO);
}

#define CHANMSG_CASES(X) \
	X(check_to_host_wants_the_whole_message) \
	X(check_to_host_knows_the_age_of_messages) \
	X(gparange_pages_counts_partial_pages) \
	X(gpa_ranges_iterates_and_rejects_short_lists) \
	X(xfer_ranges_must_fit_the_header)

#endif
