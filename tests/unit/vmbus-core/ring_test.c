// SPDX-License-Identifier: GPL-2.0-only
/* The ring buffer against itself and against a peer that lies. */
#define _DEFAULT_SOURCE
#include "vmbus-core/ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/test.h"

#define SIZE 8192u

struct pair { /* one ring, seen from both sides */
	u8 *ctrl, *data;
	struct kvmb_ring w, r;
};

static int setup(void **state)
{
	static struct pair p;
	int fd = memfd_create("ring", 0);

	assert_int_equal(ftruncate(fd, KVMB_PAGE_SIZE + SIZE), 0);
	p.ctrl = mmap(NULL, KVMB_PAGE_SIZE + 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p.data = p.ctrl + KVMB_PAGE_SIZE;
	mmap(p.ctrl, KVMB_PAGE_SIZE + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	mmap(p.data + SIZE, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, KVMB_PAGE_SIZE);
	close(fd);
	assert_int_equal(kvmb_ring_init(&p.w, p.ctrl, p.data, SIZE, true), 0);
	assert_int_equal(kvmb_ring_init(&p.r, p.ctrl, p.data, SIZE, false), 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	munmap(p->ctrl, KVMB_PAGE_SIZE + 2 * SIZE);
	return 0;
}

static struct kvmb_wire_ring_ctrl *ctrl(struct pair *p)
{
	return (void *)p->ctrl;
}

static void carries_packets_of_all_sizes_across_the_wrap(void **state)
{
	struct pair *p = *state;
	u8 out[4096] __attribute__((aligned(8))), in[2048];
	struct kvmb_pkt pkt;
	u32 i, k;

	for (i = 0; i < 3000; i++) {
		u32 len = (i * 37) % sizeof(in);

		for (k = 0; k < len; k++)
			in[k] = (u8)(i + k);
		assert_int_equal(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, i & 1, i, NULL, 0, in, len), 0);
		assert_true(kvmb_ring_publish(&p->w) >= 0);
		assert_int_equal(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
		assert_int_equal(pkt.trans_id, i);
		assert_int_equal(pkt.flags, i & 1);
		assert_int_equal(pkt.payload_len, (len + 7) & ~7u);
		assert_memory_equal(pkt.payload, in, len);
		kvmb_ring_skip(&p->r, &pkt);
		assert_int_equal(kvmb_ring_release(&p->r), 0);
	}
	assert_int_equal(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EAGAIN);
}

static void writes_the_trailer_linux_skips(void **state)
{
	struct pair *p = *state;
	u64 trailer;
	u8 b = 7;

	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, &b, 1);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 2, NULL, 0, &b, 1);
	memcpy(&trailer, p->data + 32 + 24, 8); /* of the second: it began at 32 */
	assert_int_equal(trailer, (u64)32 << 32);
}

static void never_fills_up_completely(void **state)
{
	struct pair *p = *state;
	u8 b[104] = { 0 };
	u32 n = 0;

	while (!kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)))
		n++;
	assert_int_equal(n, SIZE / 128 - 1); /* 128 bytes each would fill it: one less fits */
	kvmb_ring_publish(&p->w);
	assert_int_not_equal(ctrl(p)->write_index, ctrl(p)->read_index);
}

static void signals_only_a_reader_that_had_caught_up(void **state)
{
	struct pair *p = *state;
	u8 b[8] = { 0 }, out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	assert_int_equal(kvmb_ring_publish(&p->w), 1);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 2, NULL, 0, b, 8);
	assert_int_equal(kvmb_ring_publish(&p->w), 0); /* it has not read the first */
	while (!kvmb_ring_peek(&p->r, out, sizeof(out), &pkt))
		kvmb_ring_skip(&p->r, &pkt);
	kvmb_ring_release(&p->r);
	kvmb_ring_mask(&p->r);
	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 3, NULL, 0, b, 8);
	assert_int_equal(kvmb_ring_publish(&p->w), 0); /* it looks anyway */
	assert_true(kvmb_ring_unmask(&p->r));	       /* and sees it before it sleeps */
	assert_int_equal(kvmb_ring_publish(&p->w), 0); /* nothing new */
}

static void batch_costs_one_signal(void **state)
{
	struct pair *p = *state;
	u8 b[8] = { 0 };
	int i;

	for (i = 0; i < 20; i++)
		assert_int_equal(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8), 0);
	assert_int_equal(kvmb_ring_publish(&p->w), 1);
	assert_int_equal(kvmb_ring_publish(&p->w), 0);
}

static void wakes_a_writer_that_waits_for_room(void **state)
{
	struct pair *p = *state;
	u8 b[1000] = { 0 }, out[1100] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	int signals = 0, n = 0;

	while (!kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, sizeof(b)))
		n++;
	kvmb_ring_publish(&p->w);
	assert_false(kvmb_ring_want(&p->w, sizeof(b)));
	while (n--) {
		assert_int_equal(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), 0);
		kvmb_ring_skip(&p->r, &pkt);
		signals += kvmb_ring_release(&p->r);
	}
	assert_int_equal(signals, 1);
	assert_true(kvmb_ring_want(&p->w, 0));
	assert_int_equal(ctrl(p)->pending_send_sz, 0);
}

static void peek_rejects_wild_write_index(void **state)
{
	static const u32 wild[] = { SIZE, SIZE + 8, 4, 0xfffffff8, 0x80000000, SIZE - 1 };
	struct pair *p = *state;
	u8 out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		ctrl(p)->write_index = cpu_to_le32(wild[i]);
		assert_int_equal(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EPROTO);
	}
}

static void put_and_publish_reject_wild_read_index(void **state)
{
	struct pair *p = *state;
	u8 b[8] = { 0 };
	int err = 0;

	kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	ctrl(p)->read_index = cpu_to_le32(SIZE);
	assert_int_equal(kvmb_ring_publish(&p->w), -EPROTO);
	while (!err) /* room runs out by the cached copy; then the index is fetched */
		err = kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, 8);
	assert_int_equal(err, -EPROTO);
}

static void peek_rejects_lying_lengths(void **state)
{
	static const struct { u16 offset8, len8; u32 written; int err; } cases[] = {
		{ 2, 0, 64, -EPROTO },	{ 2, 1, 64, -EPROTO },	   { 0, 3, 64, -EPROTO },
		{ 1, 3, 64, -EPROTO },	{ 4, 3, 64, -EPROTO },	   { 2, 8, 64, -EPROTO },
		{ 2, 7, 64, 0 },	{ 2, 0xffff, 64, -EPROTO }, { 2, 2, 16, -EPROTO },
		{ 2, 20, 256, -EMSGSIZE },
	};
	struct pair *p = *state;
	u8 out[128] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_INBAND), cpu_to_le16(cases[i].offset8),
					   cpu_to_le16(cases[i].len8), 0, 0 };

		memcpy(p->data, &d, sizeof(d));
		p->r.peer = 0;
		ctrl(p)->write_index = cpu_to_le32(cases[i].written);
		assert_int_equal(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), cases[i].err);
	}
}

static void peek_rejects_unknown_flags(void **state)
{
	struct kvmb_wire_pkt d = { cpu_to_le16(KVMB_PKT_INBAND), cpu_to_le16(2), cpu_to_le16(3),
				   cpu_to_le16(2), 0 };
	struct pair *p = *state;
	u8 out[64] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;

	memcpy(p->data, &d, sizeof(d));
	ctrl(p)->write_index = cpu_to_le32(32);
	assert_int_equal(kvmb_ring_peek(&p->r, out, sizeof(out), &pkt), -EPROTO);
}

static void init_rejects_bad_sizes(void **state)
{
	struct pair *p = *state;
	struct kvmb_ring r;

	assert_int_equal(kvmb_ring_init(&r, p->ctrl, p->data, 0, true), -EINVAL);
	assert_int_equal(kvmb_ring_init(&r, p->ctrl, p->data, 4095, true), -EINVAL);
	ctrl(p)->write_index = cpu_to_le32(SIZE);
	assert_int_equal(kvmb_ring_init(&r, p->ctrl, p->data, SIZE, true), -EPROTO);
}

static void put_refuses_what_never_fits(void **state)
{
	struct pair *p = *state;
	static u8 b[SIZE];

	assert_int_equal(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, NULL, 0, b, SIZE), -EMSGSIZE);
	assert_int_equal(kvmb_ring_put(&p->w, KVMB_PKT_INBAND, 0, 1, b, 12, b, 8), -EMSGSIZE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(carries_packets_of_all_sizes_across_the_wrap), T(writes_the_trailer_linux_skips),
		T(never_fills_up_completely), T(signals_only_a_reader_that_had_caught_up),
		T(batch_costs_one_signal), T(wakes_a_writer_that_waits_for_room),
		T(peek_rejects_wild_write_index), T(put_and_publish_reject_wild_read_index),
		T(peek_rejects_lying_lengths), T(peek_rejects_unknown_flags), T(init_rejects_bad_sizes),
		T(put_refuses_what_never_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
