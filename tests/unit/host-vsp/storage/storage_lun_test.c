// SPDX-License-Identifier: GPL-2.0-only
/* Units that come, go and change while a guest uses the controller. */
#include "tests/harness/storage_guest.h"

#include <stdio.h>

static void a_disk_comes_and_is_seen(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a;
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_disk *d;

	(void)state;
	init();
	enumerates = 0;
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a),
			 KVMB_SRB_INVALID_LUN);
	d = slow_disk(0);
	assert_int_equal(kvmb_storage_attach(s, d, false, 0), -EEXIST);
	assert_int_equal(kvmb_storage_attach(s, d, false, 64), -ENOSPC);
	assert_int_equal(kvmb_storage_attach(s, d, false, 3), 0);
	/* the unit that was there has an attention, the new one is simply there */
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x3f);
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	assert_int_equal(
		srb(CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 12, KVMB_SRB_DATA_IN, gpa, 256, &a), 1);
	assert_int_equal(p[3], 16);
	assert_int_equal(enumerates, 1);
}

/* A guest that looks as soon as it is told: whatever it was told of is to be seen. */
static bool watching, told_too_early;
static u32 told;

void __real_kvmb_worker_kick(struct kvmb_worker *w);
void __wrap_kvmb_worker_kick(struct kvmb_worker *w);
void __wrap_kvmb_worker_kick(struct kvmb_worker *w)
{
	struct kvmb_unit_info i;

	if (watching) {
		told++;
		told_too_early |= !kvmb_storage_unit(s, 3, &i);
	}
	__real_kvmb_worker_kick(w);
}

static void a_new_disk_is_there_before_the_guest_is_told(void **state)
{
	(void)state;
	init();
	told = 0;
	told_too_early = false;
	watching = true;
	assert_int_equal(kvmb_storage_attach(s, slow_disk(0), false, 3), 0);
	watching = false;
	assert_true(told);
	assert_false(told_too_early);
}

static void a_disk_goes_with_io_in_flight(void **state)
{
	u64 gpa = fake_alloc(&f, 4) << 12, id[3];
	struct kvmb_wire_stor a;
	int i;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	for (i = 0; i < 3; i++)
		id[i] = send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN,
				 gpa, 4096);
	wait_held(3);
	assert_int_equal(kvmb_storage_detach(s, 3, on_gone, NULL), 0);
	assert_int_equal(kvmb_storage_detach(s, 3, on_gone, NULL), -ENOENT);
	wait_gone();
	assert_ptr_not_equal(gone_disk, NULL);
	kvmb_disk_close(gone_disk);
	/* each answered, once: the unit is not there any more */
	for (i = 0; i < 3; i++) {
		u8 buf[256] __attribute__((aligned(8)));
		struct kvmb_pkt pkt;
		int k;

		do
			assert_int_equal(fake_recv(&f, &c, buf, sizeof(buf), &pkt), 0);
		while (is_enumerate(&pkt));
		for (k = 0; k < 3 && id[k] != pkt.trans_id; k++)
			;
		assert_true(k < 3);
		id[k] = 0;
		memcpy(&a, pkt.payload, sizeof(a));
		assert_int_equal(a.u.srb.srb_status, KVMB_SRB_INVALID_LUN);
	}
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a),
			 KVMB_SRB_INVALID_LUN);
	/* and the place is free for another */
	assert_int_equal(kvmb_storage_attach(s, slow_disk(0), false, 3), 0);
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
}

static void open_sub_channel(struct fake_chan *sub)
{
	struct kvmb_wire_stor p = { 0 };
	const struct kvmb_wire_offer *o;

	p.u.sub_channels = cpu_to_le16(1);
	assert_int_equal(ask(KVMB_STOR_CREATE_SUB_CHANNELS, &p), 0);
	o = fake_wait(&f, KVMB_MSG_OFFER);
	assert_non_null(o);
	assert_int_equal(fake_open(&f, sub, le32_to_cpu(o->relid), 8), 0);
}

static void a_reset_waits_for_all_channels(void **state)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_RESET_BUS) }, a;
	u8 buf[256] __attribute__((aligned(8)));
	u64 gpa = fake_alloc(&f, 4) << 12, here, there, reset;
	struct fake_chan sub;
	struct kvmb_pkt pkt;

	(void)state;
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	init();
	open_sub_channel(&sub);
	here = send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	there = send_srb(&sub, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_IN,
			 gpa + 4096, 4096);
	wait_held(2);
	reset = ++next_id;
	fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, reset, NULL, 0, &p, sizeof(p));
	/* the two are aborted, each on its own channel, and then the reset is answered */
	assert_int_equal(answer(&a, here), 0);
	assert_sense(&a, 0x0b, 0);
	assert_int_equal(fake_recv(&f, &sub, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(pkt.trans_id, there);
	assert_int_equal(answer(&a, reset), 0);
	assert_int_equal(a.status, 0);
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x29);
	assert_int_equal(srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	fake_unmap(&sub);
}

/*
 * A WRITE SAME is many writes at the disk, a few zeroings are many too. Whoever wants it gone
 * waits for the one that the server has, and the next is not begun.
 */
static void a_reset_stops_between_two_pieces(void **state)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_RESET_BUS) }, a;
	u64 gpa = fake_alloc(&f, 1) << 12, same, unmap, reset;
	u8 *list = fake_ptr(&f, gpa + 2048);
	struct kvmb_disk *d = slow_disk(0);

	(void)state;
	d->can_zero = true;
	slow.deaf = true;
	kvmb_storage_attach(s, d, false, 3);
	init();
	memset(fake_ptr(&f, gpa), 0x5a, 512);
	list[1] = 38;
	list[3] = 32;
	list[19] = list[35] = 8; /* two ranges of 8 blocks */
	same = send_srb(&c, 3, CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0), 16,
			KVMB_SRB_DATA_OUT, gpa, 512);
	wait_held(1);
	assert_int_equal(slow.held[0]->length, 65536); /* the first of eight */
	unmap = send_srb(&c, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40), 10, KVMB_SRB_DATA_OUT,
			 gpa + 2048, 40);
	wait_held(2);
	reset = ++next_id;
	fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, reset, NULL, 0, &p, sizeof(p));
	wait_cancels(2);
	finish_some(1, 0);
	assert_int_equal(answer(&a, unmap), 0);
	assert_sense(&a, 0x0b, 0);
	finish_some(1, 0);
	assert_int_equal(answer(&a, same), 0);
	assert_sense(&a, 0x0b, 0);
	assert_int_equal(answer(&a, reset), 0);
	wait_held(0);
}

static void a_medium_is_changed(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_disk *d = slow_disk(0);
	struct kvmb_wire_stor a;

	(void)state;
	d->block = 2048;
	kvmb_storage_attach(s, NULL, true, 3);
	init();
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 2, 0x3a);
	/* a disk, no drive */
	assert_int_equal(kvmb_storage_set_medium(s, 0, d, on_gone, NULL), -ENOENT);
	assert_int_equal(kvmb_storage_set_medium(s, 3, d, on_gone, NULL), 0);
	wait_gone();
	assert_null(gone_disk);
	srb_lun(3, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x28);
	send_srb(&c, 3, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2), 10, KVMB_SRB_DATA_IN, gpa, 4096);
	wait_held(1);
	assert_int_equal(kvmb_storage_set_medium(s, 3, NULL, on_gone, NULL), 0);
	wait_gone();
	assert_ptr_equal(gone_disk, d);
	assert_int_equal(answer(&a, next_id), 0); /* aborted; the next command says why */
	assert_sense(&a, 0x0b, 0);
	kvmb_disk_close(d);
	srb_lun(3, CDB(0x25), 10, KVMB_SRB_DATA_IN, gpa, 8, &a);
	assert_sense(&a, 2, 0x3a);
}

static void a_larger_disk_is_told(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	u8 *p = fake_ptr(&f, gpa);
	struct kvmb_wire_stor a;
	struct kvmb_unit_info i;
	char why[KVMB_DISK_WHY];

	(void)state;
	init();
	assert_true(kvmb_storage_unit(s, 0, &i));
	assert_int_equal(kvmb_disk_resize(i.disk, 4096 * 512 + 1, why, sizeof(why)), -EINVAL);
	assert_int_equal(kvmb_disk_resize(i.disk, 1024 * 512, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "destroy"));
	assert_int_equal(kvmb_disk_resize(i.disk, 4096 * 512, why, sizeof(why)), 0);
	kvmb_storage_capacity_changed(s, 0);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512, &a);
	assert_sense(&a, 6, 0x2a);
	srb(CDB(0x25), 10, KVMB_SRB_DATA_IN, gpa, 8, &a);
	assert_int_equal(p[2] << 8 | p[3], 4095);
	assert_int_equal(srb(CDB(0x2a, 0, 0, 0, 0x0f, 0xff, 0, 0, 1), 10, KVMB_SRB_DATA_OUT, gpa,
			     512, &a),
			 1);
}

/* "Look at the bus" messages, up to @most, within @ms. */
static u32 looks(u32 most, u32 ms)
{
	u64 until = kvmb_now_ms() + ms;
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u32 n = 0;

	while (n < most && kvmb_now_ms() < until) {
		kvmb_loop_once(f.loop, 5);
		if (kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt))
			continue;
		n += is_enumerate(&pkt);
		kvmb_ring_skip(&c.rx, &pkt);
		kvmb_ring_release(&c.rx);
	}
	return n;
}

/* A guest that uses the disk meets the news itself; only an idle one is asked to look. */
static void only_an_idle_guest_is_asked_to_look(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a;

	(void)state;
	init();
	enumerates = 0;
	kvmb_storage_capacity_changed(s, 0);
	srb(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 10, KVMB_SRB_DATA_IN, gpa, 512, &a);
	assert_sense(&a, 6, 0x2a);
	assert_int_equal(looks(1, 3000) + enumerates, 0);
	kvmb_storage_capacity_changed(s, 0);
	assert_int_equal(looks(1, PATIENCE_MS), 1);
	assert_int_equal(looks(1, 500), 0);
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x2a);
}

static void a_locked_image_is_refused(void **state)
{
	(void)state;
	open_path(path, false, -EBUSY);
	open_path(path, true, -EBUSY);
	open_path("/nonexistent", false, -ENOENT);
	open_path("/tmp", true, -EINVAL);
}

/* A pipe that nobody writes to would hold up whoever opens it. */
static void a_pipe_is_refused_at_once(void **state)
{
	char fifo[64];

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s-fifo", path);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	alarm(PATIENCE_MS / 1000);
	open_path(fifo, true, -EINVAL);
	open_path(fifo, false, -EINVAL);
	alarm(0);
	unlink(fifo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_disk_comes_and_is_seen), T(a_new_disk_is_there_before_the_guest_is_told),
		T(a_disk_goes_with_io_in_flight), T(a_reset_waits_for_all_channels),
		T(a_reset_stops_between_two_pieces), T(a_medium_is_changed),
		T(a_larger_disk_is_told), T(only_an_idle_guest_is_asked_to_look),
		T(a_locked_image_is_refused), T(a_pipe_is_refused_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
