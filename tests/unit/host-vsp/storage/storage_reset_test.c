// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets, and a channel's end, while a scripted NBD server has a write: nothing lands after they
 * are over.
 */
#include <dlfcn.h>

#include "lib/util.h"
#include "tests/harness/keeper.h"
#include "tests/harness/nbd_server.h"
#include "tests/harness/storage_guest.h"

#define ABORTED 0x0b /* sense key */

static struct nbd_srv srv;
static u64 gpa;

static u32 hold_letter_a(struct nbd_srv *sv, const struct nbd_srv_req *q)
{
	(void)sv;
	return q->type == NBD_SRV_WRITE && q->data[0] == 'A' ? SRV_HOLD : SRV_GOOD;
}

/* Unit 3 is at a server that has the guest's write of 'A', and keeps it. Return: the write. */
static u64 start_write(u32 timeout_s)
{
	struct kvmb_disk_spec spec = { .timeout_s = timeout_s };
	char why[KVMB_DISK_WHY], uri[128], name[64];
	struct kvmb_wire_stor a;
	struct kvmb_disk *d;
	u64 id;

	srv = (struct nbd_srv){ 0 };
	snprintf(name, sizeof(name), "%.40s.nbd", path);
	nbd_srv_start(&srv, name, 1 << 20, NBD_SRV_HAS_FLUSH);
	nbd_srv_plan(&srv, hold_letter_a);
	snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", name);
	spec.path = uri;
	assert_int_equal(open_named(&spec, &d, why, sizeof(why)), 0);
	assert_int_equal(kvmb_storage_attach(s, d, false, 3), 0);
	init();
	/* and with it comes "look at the bus" */
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	gpa = fake_alloc(&f, 2) << 12;
	memset(fake_ptr(&f, gpa), 'A', 4096);
	id = send_srb(&c, 3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa, 4096);
	nbd_srv_wait(&srv.held, 1);
	return id;
}

/*
 * The guest writes 'B' there, which is acknowledged; the server loses us; it is 'B' that is read.
 */
static void a_later_write_stays(void)
{
	struct kvmb_wire_stor a;

	nbd_srv_plan(&srv, NULL);
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a); /* "it was reset", if it was */
	memset(fake_ptr(&f, gpa), 'B', 4096);
	assert_int_equal(srb_lun(3, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa,
				 4096, &a),
			 1);
	nbd_srv_drop(&srv);
	memset(fake_ptr(&f, gpa), 0, 4096);
	assert_int_equal(srb_lun(3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa,
				 4096, &a),
			 1);
	assert_int_equal(*(u8 *)fake_ptr(&f, gpa), 'B');
}

/* Nothing comes for @ms, and the main loop goes round all the time. */
static void assert_silence(u32 ms)
{
	u8 buf[256] __attribute__((aligned(8)));
	u64 until = kvmb_now_ms() + ms, slowest = 0, begin;
	struct kvmb_pkt pkt;

	while (kvmb_now_ms() < until) {
		begin = unqueued_ms();
		assert_int_equal(kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt), -EAGAIN);
		kvmb_loop_once(f.loop, 1);
		slowest = KVMB_MAX(slowest, unqueued_ms() - begin);
	}
	assert_in_range(slowest, 0, 500); /* waiting for a daemon would take seconds */
}

static u64 send_reset(enum kvmb_stor_op op)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(op) };

	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, ++next_id, NULL,
				   0, &p, sizeof(p)),
			 0);
	return next_id;
}

static void a_reset_waits_for_a_write_at_the_server(void **state)
{
	u64 write = start_write(0), reset = send_reset(KVMB_STOR_RESET_LUN);
	struct kvmb_wire_stor a;

	(void)state;
	assert_silence(300);
	nbd_srv_release(&srv);
	assert_int_equal(answer(&a, write), 0);
	assert_sense(&a, ABORTED, 0);
	assert_int_equal(answer(&a, reset), 0);
	assert_int_equal(a.status, 0);
	a_later_write_stays();
}

static void a_reset_waits_so_long_and_no_longer(void **state)
{
	u64 write = start_write(2), reset = send_reset(KVMB_STOR_RESET_BUS);
	struct kvmb_wire_stor a;

	(void)state;
	assert_silence(700);
	assert_int_equal(answer(&a, write), 0);
	assert_sense(&a, ABORTED, 0);
	assert_int_equal(answer(&a, reset), 0);
	a_later_write_stays();
	assert_int_equal(srv.journal[0], 'B'); /* 'A' never came */
}

static void a_channel_closes_when_its_write_cannot_land_any_more(void **state)
{
	u64 begin;

	(void)state;
	start_write(1);
	begin = kvmb_now_ms();
	fake_close(&f, &c);
	assert_true(kvmb_now_ms() - begin >= 800);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	a_later_write_stays();
	assert_int_equal(srv.journal[0], 'B');
}

/* The guest is reset as a whole, and another one begins. */
static void a_machine_reset_waits_for_a_write_at_the_server(void **state)
{
	u64 begin;

	(void)state;
	start_write(1);
	fake_unmap(&c);
	begin = kvmb_now_ms();
	fake_rest(&f);
	assert_true(kvmb_now_ms() - begin >= 800);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	a_later_write_stays();
	assert_int_equal(srv.journal[0], 'B');
}

static int stop_server(void **state)
{
	int err = teardown(state); /* closes the disk */

	nbd_srv_stop(&srv);
	return err;
}

#define R(name) cmocka_unit_test_setup_teardown(name, setup, stop_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		R(a_reset_waits_for_a_write_at_the_server), R(a_reset_waits_so_long_and_no_longer),
		R(a_channel_closes_when_its_write_cannot_land_any_more),
		R(a_machine_reset_waits_for_a_write_at_the_server),
	};

	if (!dlopen("libnbd.so.0", RTLD_NOW | RTLD_LOCAL))
		return 77; /* meson's word for "skipped" */
	start_keeper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
