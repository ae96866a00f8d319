// SPDX-License-Identifier: GPL-2.0-only
/* What the log has of the writes of bus and channels, and of copies to the guest. */
#include "host-vsp/bus/bus_priv.h"

#include "backend/iov.h"
#include "tests/harness/bus_fixture.h"
#include "tests/harness/dirty.h"

static int end_log(void **state)
{
	dirty_end();
	return teardown(state);
}

#define D(name) cmocka_unit_test_setup_teardown(name, setup, end_log)

static void copies_to_the_guest_are_noted(void **state)
{
	u64 gfn = fake_alloc(&f, 4);
	u8 buf[2 * KVMB_PAGE_SIZE] = { 1 };
	struct iovec iov[2];

	(void)state;
	dirty_begin(&f);
	assert_int_equal(kvmb_gm_write(&f.gm, (gfn << 12) + 4090, buf, 12), 0);
	assert_int_equal(dirty_take(), 2);
	assert_true(dirty_has(gfn) && dirty_has(gfn + 1));
	assert_int_equal(kvmb_gm_write(&f.gm, FAKE_RAM / 2 - 1, buf, 2), -EFAULT);
	assert_int_equal(dirty_take(), 0);
	assert_int_equal(kvmb_gm_iov(&f.gm, &gfn, 0, 4096, iov, 1), 1);
	iov[1].iov_base = __unshare(kvmb_gm_ptr(&f.gm, (gfn + 2) << 12, 8192));
	iov[1].iov_len = 8192;
	kvmb_iov_write(iov, 2, buf, 4097);
	assert_int_equal(dirty_take(), 2);
	assert_true(dirty_has(gfn) && dirty_has(gfn + 2));
	kvmb_iov_write(iov, 2, buf, 4096);
	assert_int_equal(dirty_take(), 1);
}

static void packets_are_noted_and_nothing_else(void **state)
{
	u8 payload[1000], buf[2048] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	struct fake_chan c;
	u32 i, n;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dirty_begin(&f);
	for (i = 0; i < 100; i++) { /* several times round */
		memset(payload, (int)i + 1, sizeof(payload));
		assert_int_equal(kvmb_chan_send(dev[0].ch, KVMB_PKT_INBAND, 0, i, payload,
						sizeof(payload)),
				 0);
		n = dirty_take();
		assert_true(n == 1 || n == 2);
		/* what is not in this take has not changed since the last one */
		dirty_bits[c.first_gfn / 64] |= 1ull << c.first_gfn % 64; /* control pages */
		dirty_bits[(c.first_gfn + c.down) / 64] |= 1ull << (c.first_gfn + c.down) % 64;
		assert_int_equal(dirty_missing(&f, &c), 0);
		assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
		kvmb_ring_release(&c.rx);
		memcpy(dirty_before, f.view, FAKE_RAM / 16);
	}
	fake_close(&f, &c);
}

static void control_pages_are_noted_at_the_end(void **state)
{
	struct fake_chan c;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dirty_begin(&f);
	assert_int_equal(dirty_take(), 0);
	kvmb_bus_dirty(f.bus);
	assert_int_equal(dirty_take(), 2); /* of one channel: the other is not open */
	assert_true(dirty_has(c.first_gfn) && dirty_has(c.first_gfn + c.down));
	/* and when the guest takes them back */
	fake_close(&f, &c);
	assert_int_equal(dirty_take(), 2);
	assert_true(dirty_has(c.first_gfn) && dirty_has(c.first_gfn + c.down));
	kvmb_bus_dirty(f.bus);
	assert_int_equal(dirty_take(), 0);
}

static void what_was_put_before_the_log_is_noted(void **state)
{
	struct fake_chan c;
	u8 payload[5000] = { 7 };

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	assert_int_equal(kvmb_ring_put(&dev[0].ch->io.tx, KVMB_PKT_INBAND, 0, 1, NULL, 0, payload,
				       sizeof(payload)),
			 0);
	dirty_begin(&f);
	assert_int_equal(kvmb_chan_flush(dev[0].ch), 0);
	assert_int_equal(dirty_take(), 2);
	assert_true(dirty_has(c.first_gfn + c.down + 1) && dirty_has(c.first_gfn + c.down + 2));
	assert_int_equal(kvmb_chan_flush(dev[0].ch), 0); /* nothing new */
	assert_int_equal(dirty_take(), 0);
	fake_close(&f, &c);
}

/* Rings of frames that are no neighbours: 20, 22, 24 and so on. */
static void scattered_rings_are_found_by_their_list(void **state)
{
	struct {
		struct kvmb_wire_gpadl_header h;
		__le32 bytes, offset;
		__le64 pfn[8];
	} __attribute__((packed)) m = { .bytes = cpu_to_le32(8 * KVMB_PAGE_SIZE) };
	struct kvmb_wire_open o = { .ring_gpadl = cpu_to_le32(77),
				    .downstream_page = cpu_to_le32(4) };
	u8 buf[sizeof(m)] __attribute__((aligned(8))), payload[6000] = { 7 };
	u32 i;

	(void)state;
	connect_all();
	m.h.relid = o.relid = cpu_to_le32(relid(0));
	m.h.gpadl = cpu_to_le32(77);
	m.h.range_count = cpu_to_le16(1);
	for (i = 0; i < 8; i++)
		m.pfn[i] = cpu_to_le64(20 + 2 * i);
	memcpy(buf, &m, sizeof(m));
	fake_post(&f, KVMB_MSG_GPADL_HEADER, buf, sizeof(m));
	fake_post(&f, KVMB_MSG_OPEN, &o, sizeof(o));
	assert_int_equal(dev[0].opens, 1);
	dirty_begin(&f);
	assert_int_equal(kvmb_chan_send(dev[0].ch, KVMB_PKT_INBAND, 0, 1, payload, sizeof(payload)),
			 0);
	assert_int_equal(dirty_take(), 2);
	assert_true(dirty_has(30) && dirty_has(32));
	kvmb_bus_dirty(f.bus);
	assert_int_equal(dirty_take(), 2);
	assert_true(dirty_has(20) && dirty_has(28));
}

static void the_interrupt_page_of_old_guests_is_noted(void **state)
{
	struct fake_chan c;
	u64 page;

	(void)state;
	fake_connect(&f, KVMB_VERSION_WIN7, offers, ARRAY_SIZE(offers));
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	page = f.bus->int_gpa >> 12;
	assert_true(page);
	dirty_begin(&f);
	kvmb_chan_signal(dev[0].ch);
	assert_int_equal(dirty_take(), 0);
	kvmb_bus_dirty(f.bus);
	assert_int_equal(dirty_take(), 3);
	assert_true(dirty_has(page));
	fake_close(&f, &c);
	dirty_take();
	fake_rest(&f); /* the guest is gone, and somebody else uses the page */
	dirty_take();
	assert_true(dirty_has(page));
	kvmb_bus_dirty(f.bus);
	assert_int_equal(dirty_take(), 0);
}

/* Before who loads it maps them. */
static void all_pages_of_all_rings_are_noted(void **state)
{
	struct fake_chan c;
	u32 i;

	(void)state;
	connect_all();
	assert_int_equal(fake_open(&f, &c, relid(0), 4), 0);
	dirty_begin(&f);
	kvmb_bus_dirty_rings(f.bus);
	assert_int_equal(dirty_take(), 2 * c.down);
	for (i = 0; i < 2 * c.down; i++)
		assert_true(dirty_has(c.first_gfn + i));
	fake_close(&f, &c);
	fake_rest(&f);
	dirty_take();
	kvmb_bus_dirty_rings(f.bus);
	assert_int_equal(dirty_take(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		D(all_pages_of_all_rings_are_noted),
		D(copies_to_the_guest_are_noted),
		D(packets_are_noted_and_nothing_else),
		D(control_pages_are_noted_at_the_end),
		D(what_was_put_before_the_log_is_noted),
		D(scattered_rings_are_found_by_their_list),
		D(the_interrupt_page_of_old_guests_is_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
