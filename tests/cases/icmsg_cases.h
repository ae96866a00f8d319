/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Framing and negotiation of the integration services.
 *
 * One source, two runners: cmocka in user space (tests/unit/vmbus-core/msg_test.c) and KUnit in the
 * kernel (tests/kunit/core_kunit.c). The includer has defined CASE() and the CHECKs:
 * tests/unit/test.h, tests/kunit/kunit_case.h.
 */
#ifndef KVMB_ICMSG_CASES_H
#define KVMB_ICMSG_CASES_H

#include "vmbus-core/icmsg.h"

CASE(icmsg_round_trip)
{
	static const u32 fw[] = { KVMB_IC_FW_1, KVMB_IC_FW_3 }, ms[] = { KVMB_IC_VERSION(4, 0) };
	struct kvmb_icmsg out = { .type = KVMB_IC_HEARTBEAT, .framework = KVMB_IC_FW_3,
				  .message = KVMB_IC_VERSION(3, 0), .transaction = 9, .flags = 3,
				  .payload = (const u8 *)"abcd", .size = 4 };
	u8 buf[128] = { 0 };
	/* if it cannot be parsed, which is said and no crash */
	struct kvmb_icmsg m = { .payload = buf };
	u32 len, f, v;

	len = kvmb_icmsg_build(buf, &out);
	CHECK_EQ(len, 32);
	CHECK_EQ(kvmb_icmsg_parse(buf, len, &m), 0);
	CHECK_EQ(m.message, KVMB_IC_VERSION(3, 0));
	CHECK_MEM(m.payload, "abcd", 4);
	CHECK_EQ(kvmb_icmsg_parse(buf, len - 1, &m), -EPROTO);

	len = kvmb_icmsg_build_negotiate(buf, fw, 2, ms, 1);
	CHECK_EQ(len, 28 + 8 + 12);
	CHECK_EQ(kvmb_icmsg_parse(buf, len, &m), 0);
	/* our own list is no answer: two frameworks are not a choice */
	CHECK_EQ(kvmb_icmsg_parse_negotiated(&m, &f, &v), -EPROTO);
	buf[28] = 1;
	CHECK_EQ(kvmb_icmsg_parse_negotiated(&m, &f, &v), 0);
	CHECK_EQ(f, KVMB_IC_FW_1);
	CHECK_EQ(v, KVMB_IC_FW_3); /* the next in the list, as the wire says */
	buf[28] = buf[30] = 0;
	CHECK_EQ(kvmb_icmsg_parse_negotiated(&m, &f, &v), -EOPNOTSUPP);
}

CASE(icmsg_parse_rejects_lying_sizes)
{
	struct kvmb_icmsg m, out = { .type = 1, .size = 8 };
	u8 buf[64];
	u32 len = kvmb_icmsg_build(buf, &out);

	buf[4] = 29; /* pipe size beyond the packet */
	CHECK_EQ(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
	buf[4] = 19;
	CHECK_EQ(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
	buf[4] = 28;
	buf[18] = 9; /* message size beyond the pipe's */
	CHECK_EQ(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
	buf[18] = 8;
	buf[0] = 2; /* not data */
	CHECK_EQ(kvmb_icmsg_parse(buf, len, &m), -EPROTO);
}

/* the negotiation of a Hyper-V heartbeat, by hand: frameworks 1.0, 3.0; messages 1.0, 3.0 */
static const u8 nego[] = {
	1, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0, 7, 3, 0, 0,
	2, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0,
};

CASE(icmsg_choose_takes_our_best_that_is_offered)
{
	static const u32 fw[] = { KVMB_IC_FW_3, KVMB_IC_FW_1 };
	static const u32 ver[] = { KVMB_IC_VERSION(4, 0), KVMB_IC_VERSION(3, 0),
				   KVMB_IC_VERSION(1, 0) };
	static const u32 none[] = { KVMB_IC_VERSION(9, 9) };
	u8 buf[sizeof(nego)];
	struct kvmb_icmsg m;
	u32 f = 0, v = 0;

	memcpy(buf, nego, sizeof(buf));
	CHECK_EQ(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	CHECK_EQ(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), 0);
	CHECK_EQ(f, KVMB_IC_FW_3);
	CHECK_EQ(v, KVMB_IC_VERSION(3, 0));
	f = v = 5;
	CHECK_EQ(kvmb_icmsg_choose(&m, fw, 2, none, 1, &f, &v), -EOPNOTSUPP);
	CHECK_EQ(kvmb_icmsg_choose(&m, none, 1, ver, 3, &f, &v), -EOPNOTSUPP);
	CHECK_EQ(f + v, 10); /* untouched */
	buf[28] = 3; /* one more than there are */
	CHECK_EQ(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), -EPROTO);
	buf[28] = buf[29] = 0xff;
	buf[30] = buf[31] = 0xff;
	CHECK_EQ(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), -EPROTO);
	memcpy(buf, nego, sizeof(buf));
	buf[18] = 15; /* no room for the answer */
	CHECK_EQ(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	CHECK_EQ(kvmb_icmsg_choose(&m, fw, 2, ver, 3, &f, &v), -EPROTO);
}

CASE(icmsg_reply_is_what_the_host_half_understands)
{
	u8 buf[sizeof(nego)];
	struct kvmb_icmsg m;
	u32 f, v;

	memcpy(buf, nego, sizeof(buf));
	kvmb_icmsg_reply_negotiate(buf, KVMB_IC_FW_3, KVMB_IC_VERSION(3, 2));
	CHECK_EQ(buf[4], 44);	/* the pipe's header stays */
	CHECK_EQ(buf[18], 16);	/* counts and two versions */
	CHECK_EQ(buf[24], 7);	/* the transaction's number too */
	CHECK_EQ(buf[25], 5);	/* transaction, response */
	CHECK_EQ(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	CHECK_EQ(kvmb_icmsg_parse_negotiated(&m, &f, &v), 0);
	CHECK_EQ(f, KVMB_IC_FW_3);
	CHECK_EQ(v, KVMB_IC_VERSION(3, 2));
	kvmb_icmsg_reply_negotiate(buf, 0, 0);
	CHECK_EQ(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	CHECK_EQ(kvmb_icmsg_parse_negotiated(&m, &f, &v), -EOPNOTSUPP);
	kvmb_icmsg_reply(buf, KVMB_IC_STATUS_FAIL);
	CHECK_EQ(kvmb_icmsg_parse(buf, sizeof(buf), &m), 0);
	CHECK_EQ(m.status, KVMB_IC_STATUS_FAIL);
}

#define ICMSG_CASES(X) \
	X(icmsg_round_trip) \
	X(icmsg_parse_rejects_lying_sizes) \
	X(icmsg_choose_takes_our_best_that_is_offered) \
	X(icmsg_reply_is_what_the_host_half_understands)

#endif
