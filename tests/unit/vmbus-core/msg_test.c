// SPDX-License-Identifier: GPL-2.0-only
/* Control messages, GPA ranges and IC framing: the parsers of vmbus-core. */
#include "tests/unit/test.h"
#include "vmbus-core/chanmsg.h"
#include "vmbus-core/gparange.h"
#include "vmbus-core/icmsg.h"
#include "vmbus-core/pkt.h"

static void check_to_host_wants_the_whole_message(void **state)
{
	u8 buf[256] = { 0 };
	enum kvmb_msg type;
	u32 t;

	(void)state;
	for (t = 0; t < 40; t++) {
		const struct kvmb_msg_info *i = kvmb_msg_info(t);

		buf[0] = (u8)t;
		if (!i || !(i->flags & KVMB_MSG_F_TO_HOST)) {
			assert_int_equal(kvmb_msg_check_to_host(buf, 240, KVMB_VERSION_NEWEST, &type), -EOPNOTSUPP);
			continue;
		}
		assert_int_equal(kvmb_msg_check_to_host(buf, i->min_size, KVMB_VERSION_NEWEST, &type), 0);
		assert_int_equal(type, t);
		assert_int_equal(kvmb_msg_check_to_host(buf, i->min_size - 1u, KVMB_VERSION_NEWEST, &type), -EPROTO);
		assert_int_equal(kvmb_msg_check_to_host(buf, 241, KVMB_VERSION_NEWEST, &type), -EPROTO);
	}
	assert_int_equal(kvmb_msg_check_to_host(buf, 7, KVMB_VERSION_NEWEST, &type), -EPROTO);
	assert_int_equal(kvmb_msg_check_to_host(buf, 0, KVMB_VERSION_NEWEST, &type), -EPROTO);
}

static void check_to_host_knows_the_age_of_messages(void **state)
{
	u8 buf[240] = { KVMB_MSG_MODIFY };
	enum kvmb_msg type;

	(void)state;
	assert_int_equal(kvmb_msg_check_to_host(buf, 16, KVMB_VERSION_WIN10, &type), -EOPNOTSUPP);
	assert_int_equal(kvmb_msg_check_to_host(buf, 16, KVMB_VERSION_WIN10_RS3, &type), 0);
}

static void gparange_pages_counts_partial_pages(void **state)
{
	static const struct { u32 count, offset, pages; int err; } c[] = {
		{ 1, 0, 1, 0 },		 { 4096, 0, 1, 0 },	  { 4096, 1, 2, 0 },	   { 4097, 0, 2, 0 },
		{ 1, 4095, 1, 0 },	 { 2, 4095, 2, 0 },	  { 0, 0, 0, -EPROTO },	   { 1, 4096, 0, -EPROTO },
		{ 0xffffffff, 1, 0, -EPROTO }, { 0xffffffff, 0, 0x100000, 0 },
	};
	u32 pages;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		pages = 0;
		assert_int_equal(kvmb_gparange_pages(c[i].count, c[i].offset, &pages), c[i].err);
		if (!c[i].err)
			assert_int_equal(pages, c[i].pages);
	}
}

static struct kvmb_pkt gpa_packet(u64 *buf, u32 words, u32 count)
{
	struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_GPA_DIRECT), cpu_to_le16((u16)words),
				   cpu_to_le16((u16)(words + 1)), 0, 0 };
	struct kvmb_pkt pkt;

	memcpy(buf, &d, sizeof(d));
	buf[2] = (u64)count << 32 | 0x1234; /* the reserved half may hold garbage */
	assert_int_equal(kvmb_pkt_parse(buf, (words + 1) * 8, &pkt), 0);
	return pkt;
}

static void gpa_ranges_iterates_and_rejects_short_lists(void **state)
{
	u64 buf[16] = { 0 };
	struct kvmb_gparange_iter it;
	struct kvmb_gparange r;
	struct kvmb_pkt pkt;

	(void)state;
	buf[3] = 100ull | 10ull << 32; /* 100 bytes at offset 10 */
	buf[4] = 77;
	buf[5] = 8192ull;
	buf[6] = 1;
	buf[7] = 2;
	pkt = gpa_packet(buf, 8, 2);
	assert_int_equal(kvmb_pkt_gpa_ranges(&pkt, 2, &it), 0);
	assert_int_equal(kvmb_gparange_next(&it, &r), 0);
	assert_int_equal(r.byte_count, 100);
	assert_int_equal(r.byte_offset, 10);
	assert_int_equal(r.pfns[0], 77);
	assert_int_equal(kvmb_gparange_next(&it, &r), 0);
	assert_int_equal(r.num_pages, 2);
	assert_int_equal(kvmb_gparange_next(&it, &r), -EAGAIN);
	assert_int_equal(kvmb_pkt_gpa_ranges(&pkt, 1, &it), -EPROTO); /* more than wanted */

	pkt = gpa_packet(buf, 7, 2); /* the second list lost a frame */
	kvmb_pkt_gpa_ranges(&pkt, 2, &it);
	assert_int_equal(kvmb_gparange_next(&it, &r), 0);
	assert_int_equal(kvmb_gparange_next(&it, &r), -EPROTO);
	pkt = gpa_packet(buf, 8, 0);
	assert_int_equal(kvmb_pkt_gpa_ranges(&pkt, 8, &it), -EPROTO);
	pkt = gpa_packet(buf, 8, 3); /* promises a third */
	kvmb_pkt_gpa_ranges(&pkt, 8, &it);
	kvmb_gparange_next(&it, &r);
	kvmb_gparange_next(&it, &r);
	assert_int_equal(kvmb_gparange_next(&it, &r), -EPROTO);
}

static void xfer_ranges_must_fit_the_header(void **state)
{
	u64 buf[8] = { 0 };
	struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_XFER_PAGES), cpu_to_le16(4), cpu_to_le16(5), 0, 0 };
	const struct kvmb_wire_xfer_range *r;
	struct kvmb_pkt pkt;
	u32 n;
	u16 id;

	(void)state;
	memcpy(buf, &d, sizeof(d));
	buf[2] = 0xcafe | 1ull << 32;
	buf[3] = 5 | 6ull << 32;
	assert_int_equal(kvmb_pkt_parse(buf, 40, &pkt), 0);
	assert_int_equal(kvmb_pkt_xfer_ranges(&pkt, 8, &id, &r, &n), 0);
	assert_int_equal(id, 0xcafe);
	assert_int_equal(n, 1);
	assert_int_equal(r[0].byte_offset, 6);
	buf[2] = 0xcafe | 2ull << 32;
	assert_int_equal(kvmb_pkt_xfer_ranges(&pkt, 8, &id, &r, &n), -EPROTO);
}

static void icmsg_round_trip(void **state)
{
	static const u32 fw[] = { KVMB_IC_FW_1, KVMB_IC_FW_3 }, ms[] = { KVMB_IC_VERSION(4, 0) };
	struct kvmb_icmsg m, out = { .type = KVMB_IC_HEARTBEAT, .framework = KVMB_IC_FW_3,
				     .message = KVMB_IC_VERSION(3, 0), .transaction = 9, .flags = 3,
				     .payload = (const u8 *)"abcd", .size = 4 };
	u8 buf[128];
	u32 len, f, v;

	(void)state;
	len = kvmb_icmsg_build(buf, &out);
	assert_int_equal(len, 32);
	assert_int_equal(kvmb_icmsg_parse(buf, len, &m), 0);
	assert_int_equal(m.message, KVMB_IC_VERSION(3, 0));
	assert_memory_equal(m.payload, "abcd", 4);
	assert_int_equal(kvmb_icmsg_parse(buf, len - 1, &m), -EPROTO);

	len = kvmb_icmsg_build_negotiate(buf, fw, 2, ms, 1);
	assert_int_equal(len, 28 + 8 + 12);
	assert_int_equal(kvmb_icmsg_parse(buf, len, &m), 0);
	/* our own list is no answer: two frameworks are not a choice */
	assert_int_equal(kvmb_icmsg_parse_negotiated(&m, &f, &v), -EPROTO);
	buf[28] = 1;
	assert_int_equal(kvmb_icmsg_parse_negotiated(&m, &f, &v), 0);
	assert_int_equal(f, KVMB_IC_FW_1);
	assert_int_equal(v, KVMB_IC_FW_3); /* the next in the list, as the wire says */
	buf[28] = buf[30] = 0;
	assert_int_equal(kvmb_icmsg_parse_negotiated(&m, &f, &v), -EOPNOTSUPP);
}

static void icmsg_parse_rejects_lying_sizes(void **state)
{
	struct kvmb_icmsg m, out = { .type = 1, .size = 8 };
	u8 buf[64];
	u32 len = kvmb_icmsg_build(buf, &out);

	(void)state;
	buf[4] = 29; /* pipe size beyond the packet */
	assert_int_equal(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
	buf[4] = 19;
	assert_int_equal(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
	buf[4] = 28;
	buf[18] = 9; /* message size beyond the pipe's */
	assert_int_equal(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
	buf[18] = 8;
	buf[0] = 2; /* not data */
	assert_int_equal(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
}

/* the negotiation of a Hyper-V heartbeat, by hand: frameworks 1.0, 3.0; messages 1.0, 3.0 */
static const u8 nego[] = {
	1, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 7, 3, 0, 0,
	2, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0,
};

static void icmsg_choose_takes_our_best_that_is_offered(void **state)
{
	static const u32 fw[] = { KVMB_IC_FW_3, KVMB_IC_FW_1 };
	static const u32 ver[] = { KVMB_IC_VERSION(4, 0), KVMB_IC_VERSION(3, 0), KVMB_IC_VERSION(1, 0) };
	static const u32 none[] = { KVMB_IC_VERSION(9, 9) };
	u8 buf[sizeof(nego)];
	struct kvmb_icmsg m;
	u32 f = 0, v = 0;

	(void)state;
	memcpy(buf, nego, sizeof(buf));
	assert_int_equal(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	assert_int_equal(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), 0);
	assert_int_equal(f, KVMB_IC_FW_3);
	assert_int_equal(v, KVMB_IC_VERSION(3, 0));
	f = v = 5;
	assert_int_equal(kvmb_icmsg_choose(&m, fw, 2, none, 1, &f, &v), -EOPNOTSUPP);
	assert_int_equal(kvmb_icmsg_choose(&m, none, 1, ver, 3, &f, &v), -EOPNOTSUPP);
	assert_int_equal(f + v, 10); /* untouched */
	buf[28] = 3; /* one more than there are */
	assert_int_equal(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), -EPROTO);
	buf[28] = buf[29] = 0xff;
	buf[30] = buf[31] = 0xff;
	assert_int_equal(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), -EPROTO);
	memcpy(buf, nego, sizeof(buf));
	buf[18] = 15; /* no room for the answer */
	assert_int_equal(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	assert_int_equal(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), -EPROTO);
}

static void icmsg_reply_is_what_the_host_half_understands(void **state)
{
	u8 buf[sizeof(nego)];
	struct kvmb_icmsg m;
	u32 f, v;

	(void)state;
	memcpy(buf, nego, sizeof(buf));
	kvmb_icmsg_reply_negotiate(buf, KVMB_IC_FW_3, KVMB_IC_VERSION(3, 2));
	assert_int_equal(buf[4], 44);	/* the pipe's header stays */
	assert_int_equal(buf[18], 16);	/* counts and two versions */
	assert_int_equal(buf[24], 7);	/* the transaction's number too */
	assert_int_equal(buf[25], 5);	/* transaction, response */
	assert_int_equal(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	assert_int_equal(kvmb_icmsg_parse_negotiated(&m, &f, &v), 0);
	assert_int_equal(f, KVMB_IC_FW_3);
	assert_int_equal(v, KVMB_IC_VERSION(3, 2));
	kvmb_icmsg_reply_negotiate(buf, 0, 0);
	assert_int_equal(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	assert_int_equal(kvmb_icmsg_parse_negotiated(&m, &f, &v), -EOPNOTSUPP);
	kvmb_icmsg_reply(buf, KVMB_IC_STATUS_FAIL);
	assert_int_equal(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	assert_int_equal(m.status, KVMB_IC_STATUS_FAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_to_host_wants_the_whole_message),
		cmocka_unit_test(check_to_host_knows_the_age_of_messages),
		cmocka_unit_test(gparange_pages_counts_partial_pages),
		cmocka_unit_test(gpa_ranges_iterates_and_rejects_short_lists),
		cmocka_unit_test(xfer_ranges_must_fit_the_header),
		cmocka_unit_test(icmsg_round_trip),
		cmocka_unit_test(icmsg_parse_rejects_lying_sizes),
		cmocka_unit_test(icmsg_choose_takes_our_best_that_is_offered),
		cmocka_unit_test(icmsg_reply_is_what_the_host_half_understands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
