/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring buffer against itself and against a peer that lies.
 *
 * One source, two runners: cmocka in user space (tests/unit/vmbus-core/ring_test.c) and KUnit in
 * the kernel (tests/kunit/core_kunit.c). The includer has defined CASE() and the CHECKs:
 * tests/unit/test.h, tests/kunit/kunit_case.h.
 */
#ifndef KVMB_RING_CASES_H
#define KVMB_RING_CASES_H

#include "vmbus-core/ring.h"

#define RING_SIZE 8192u

struct ring_pair { /* one ring, seen from both sides; its data mapped twice */
	u8 *ctrl, *data;
	struct kvmb_ring w, r;
};

static struct kvmb_wire_ring_ctrl *ctrl(struct ring_pair *p)
{
	return (void *)p->ctrl;
}

CASE(carries_packets_of_all_sizes_across_the_wrap)
{
	struct ring_pair *p = CASE_FIXTURE;
	static u8 out[4096] __attribute__((aligned(8))), in[2048];
	struct kvmb_pkt pkt;
	u32 i, k;

	for (i = 0; i < 3000; i++) {
		u32 len = (i * 37) % sizeof(in);

		for (k = 0; k < len; k++)
			in[k] = (u8)(i + k);
		CHECK_EQ(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, i & 1, i, NULL, 0, in, len), 0);
		CHECK(kvmb_ring_publish(&p->w) >= 0);
		CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
		CHECK_EQ(pkt.trans_id, i);
		CHECK_EQ(pkt.flags, i & 1);
		CHECK_EQ(pkt.payload_len, (len + 7) & ~7u);
		CHECK_MEM(pkt.payload, in, len);
		kvmb_ring_skip(&p->r, &pkt);
		CHECK_EQ(kvmb_ring_release(&p->r), 0);
	}
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EAGAIN);
}

CASE(writes_the_trailer_linux_skips)
{
	struct ring_pair *p = CASE_FIXTURE;
	u64 trailer;
	u8 b = 7;

	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, &b, 1);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 2, NULL, 0, &b, 1);
	memcpy(&trailer, p->data + 32 + 24, 8); /* of the second: it began at 32 */
	CHECK_EQ(trailer, (u64)32 << 32);
}

CASE(never_fills_up_completely)
{
	struct ring_pair *p = CASE_FIXTURE;
	u8 b[104] = { 0 };
	u32 n = 0;

	while (n < RING_SIZE && !kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)))
		n++;
	CHECK_EQ(n, RING_SIZE / 128 - 1); /* 128 bytes each would fill it: one less fits */
	kvmb_ring_publish(&p->w);
	CHECK(ctrl(p)->write_index != ctrl(p)->read_index);
}

CASE(signals_only_a_reader_that_had_caught_up)
{
	struct ring_pair *p = CASE_FIXTURE;
	u8 b[8] = { 0 }, out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	CHECK_EQ(kvmb_ring_publish(&p->w), 1);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 2, NULL, 0, b, 8);
	CHECK_EQ(kvmb_ring_publish(&p->w), 0); /* it has not read the first */
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
	kvmb_ring_skip(&p->r, &pkt);
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
	kvmb_ring_skip(&p->r, &pkt);
	kvmb_ring_release(&p->r);
	kvmb_ring_mask(&p->r);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 3, NULL, 0, b, 8);
	CHECK_EQ(kvmb_ring_publish(&p->w), 0); /* it looks anyway */
	CHECK(kvmb_ring_unmask(&p->r));	       /* and sees it before it sleeps */
	CHECK_EQ(kvmb_ring_publish(&p->w), 0); /* nothing new */
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
	kvmb_ring_skip(&p->r, &pkt);
	kvmb_ring_release(&p->r);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 4, NULL, 0, b, 8);
	CHECK_EQ(kvmb_ring_publish(&p->w), 1); /* unmasked: it is woken again */
}

CASE(batch_costs_one_signal)
{
	struct ring_pair *p = CASE_FIXTURE;
	u8 b[8] = { 0 };
	int i;

	for (i = 0; i < 20; i++)
		CHECK_EQ(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8), 0);
	CHECK_EQ(kvmb_ring_publish(&p->w), 1);
	CHECK_EQ(kvmb_ring_publish(&p->w), 0);
}

CASE(wakes_a_writer_that_waits_for_room)
{
	struct ring_pair *p = CASE_FIXTURE;
	static u8 b[1000], out[1100] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	int signals = 0, n = 0;

	while (n < (int)RING_SIZE &&
	       !kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, sizeof(b)))
		n++;
	kvmb_ring_publish(&p->w);
	CHECK(!kvmb_ring_want(&p->w, sizeof(b)));
	while (n-- > 0) {
		CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
		kvmb_ring_skip(&p->r, &pkt);
		signals += kvmb_ring_release(&p->r);
	}
	CHECK_EQ(signals, 1);
	CHECK(kvmb_ring_want(&p->w, 0));
	CHECK_EQ(ctrl(p)->pending_send_sz, 0);
}

CASE(peek_rejects_wild_write_index)
{
	static const u32 wild[] = { RING_SIZE,	RING_SIZE + 8, 4, 36, 0xfffffff8,
				    0x80000000, RING_SIZE - 1 };
	const struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_INBAND), cpu_to_le16(2),
					 cpu_to_le16(3), 0, 0 };
	struct ring_pair *p = CASE_FIXTURE;
	u8 out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	size_t i;

	memcpy(p->data, &d, sizeof(d)); /* nothing wrong with the packet */
	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		p->r.peer = p->r.index; /* it looks again */
		ctrl(p)->write_index = cpu_to_le32(wild[i]);
		CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EPROTO);
	}
}

CASE(put_and_publish_reject_wild_read_index)
{
	struct ring_pair *p = CASE_FIXTURE;
	u8 b[8] = { 0 };
	int err = 0, n = 0;

	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	ctrl(p)->read_index = cpu_to_le32(RING_SIZE);
	CHECK_EQ(kvmb_ring_publish(&p->w), -EPROTO);
	/* room runs out by the cached copy; then the index is fetched */
	while (!err && n++ < (int)RING_SIZE)
		err = kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	CHECK_EQ(err, -EPROTO);
}

CASE(peek_rejects_lying_lengths)
{
	static const struct { u16 offset8, len8; u32 written; int err; } cases[] = {
		{ 2, 0, 64, -EPROTO },	{ 2, 1, 64, -EPROTO },	   { 0, 3, 64, -EPROTO },
		{ 1, 3, 64, -EPROTO },	{ 4, 3, 64, -EPROTO },	   { 2, 8, 64, -EPROTO },
		{ 2, 7, 64, 0 },	{ 2, 0xffff, 64, -EPROTO }, { 2, 2, 16, -EPROTO },
		{ 2, 20, 256, -EMSGSIZE },
	};
	struct ring_pair *p = CASE_FIXTURE;
	u8 out[128] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_INBAND),
					   cpu_to_le16(cases[i].offset8),
					   cpu_to_le16(cases[i].len8), 0, 0 };

		memcpy(p->data, &d, sizeof(d));
		p->r.peer = 0;
		ctrl(p)->write_index = cpu_to_le32(cases[i].written);
		CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), cases[i].err);
	}
}

CASE(peek_rejects_unknown_flags)
{
	struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_INBAND), cpu_to_le16(2), cpu_to_le16(3),
				   cpu_to_le16(2), 0 };
	struct ring_pair *p = CASE_FIXTURE;
	u8 out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	memcpy(p->data, &d, sizeof(d));
	ctrl(p)->write_index = cpu_to_le32(32);
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EPROTO);
}

CASE(init_rejects_bad_sizes)
{
	struct ring_pair *p = CASE_FIXTURE;
	struct kvmb_ring r;

	CHECK_EQ(kvmb_ring_init(&r, p->ctrl, p->data, 0, true), -EINVAL);
	CHECK_EQ(kvmb_ring_init(&r, p->ctrl, p->data, 4095, true), -EINVAL);
	ctrl(p)->write_index = cpu_to_le32(RING_SIZE);
	CHECK_EQ(kvmb_ring_init(&r, p->ctrl, p->data, RING_SIZE, true), -EPROTO);
}

/* A channel that is restored: neither side knows more than what the control page says. */
CASE(init_of_a_writer_keeps_what_is_unread)
{
	struct ring_pair *p = CASE_FIXTURE;
	static u8 b[504];
	u8 out[640] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	struct kvmb_ring w;
	u32 i, n = 0;

	for (i = 0; i < 20; i++) { /* so that what is unread wraps */
		CHECK_EQ(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, n++, NULL, 0, b, sizeof(b)), 0);
		kvmb_ring_publish(&p->w);
		if (i < 12) {
			CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
			kvmb_ring_skip(&p->r, &pkt);
			kvmb_ring_release(&p->r);
		}
	}
	CHECK_EQ(kvmb_ring_init(&w, p->ctrl, p->data, RING_SIZE, true), 0);
	while (!kvmb_ring_put(&w, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)))
		n++;
	kvmb_ring_publish(&w);
	CHECK_EQ(n, 12 + (RING_SIZE - 1) / (sizeof(b) + 24));
	for (i = 12; i < n; i++) {
		CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
		CHECK_EQ(pkt.trans_id, i);
		kvmb_ring_skip(&p->r, &pkt);
	}
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EAGAIN);
}

CASE(init_of_a_writer_rejects_a_wild_read_index)
{
	struct ring_pair *p = CASE_FIXTURE;
	struct kvmb_ring w;

	ctrl(p)->read_index = cpu_to_le32(RING_SIZE + 8);
	CHECK_EQ(kvmb_ring_init(&w, p->ctrl, p->data, RING_SIZE, true), -EPROTO);
	ctrl(p)->read_index = cpu_to_le32(4);
	CHECK_EQ(kvmb_ring_init(&w, p->ctrl, p->data, RING_SIZE, true), -EPROTO);
}

CASE(put_refuses_what_never_fits)
{
	struct ring_pair *p = CASE_FIXTURE;
	static u8 b[RING_SIZE];

	CHECK_EQ(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, RING_SIZE), -EMSGSIZE);
	CHECK_EQ(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, b, 12, b, 8), -EMSGSIZE);
}

CASE(counts_what_is_not_released)
{
	struct ring_pair *p = CASE_FIXTURE;
	u8 b[8] = { 0 }, out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	CHECK(!kvmb_ring_readable(&p->r));
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 2, NULL, 0, b, 8);
	kvmb_ring_publish(&p->w);
	CHECK(kvmb_ring_readable(&p->r));
	CHECK_EQ(kvmb_ring_used(&p->w, true), 64);
	CHECK_EQ(kvmb_ring_used(&p->r, false), 64);
	CHECK_EQ(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
	kvmb_ring_skip(&p->r, &pkt);
	CHECK_EQ(kvmb_ring_release(&p->r), 0);
	CHECK_EQ(kvmb_ring_used(&p->w, true), 32);
	ctrl(p)->read_index = cpu_to_le32(RING_SIZE + 8);
	CHECK_EQ(kvmb_ring_used(&p->w, true), 0); /* a lie counts as nothing */
}

#define RING_CASES(X) \
	X(carries_packets_of_all_sizes_across_the_wrap) \
	X(writes_the_trailer_linux_skips) \
	X(never_fills_up_completely) \
	X(signals_only_a_reader_that_had_caught_up) \
	X(batch_costs_one_signal) \
	X(wakes_a_writer_that_waits_for_room) \
	X(peek_rejects_wild_write_index) \
	X(put_and_publish_reject_wild_read_index) \
	X(peek_rejects_lying_lengths) \
	X(peek_rejects_unknown_flags) \
	X(init_rejects_bad_sizes) \
	X(init_of_a_writer_keeps_what_is_unread) \
	X(init_of_a_writer_rejects_a_wild_read_index) \
	X(put_refuses_what_never_fits) \
	X(counts_what_is_not_released)

#endif
