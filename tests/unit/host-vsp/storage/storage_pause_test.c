// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels that stand still in the middle of everything: nothing is lost, each request is answered
 * once, and while they stand nobody touches guest memory.
 */
#include "backend/block/disk_raw.h"
#include "host-vsp/storage/storage_priv.h"
#include "lib/util.h"
#include "tests/harness/storage_load.h"

/* It does not stand within @ms. */
static void assert_moving(u32 ms)
{
	u64 until = kvmb_now_ms() + ms;

	while (kvmb_now_ms() < until)
		kvmb_loop_once(f.loop, 1);
	assert_int_equal(stands, 0);
}

/* Everything that a provider might touch, from the rings to the last buffer. */
static u8 *copy_memory(void)
{
	size_t len = (f.next_gfn - c.first_gfn) << 12;
	u8 *copy = malloc(len);

	memcpy(copy, fake_ptr(&f, c.first_gfn << 12), len);
	return copy;
}

static void assert_untouched(u8 *copy)
{
	size_t len = (f.next_gfn - c.first_gfn) << 12;

	assert_memory_equal(copy, fake_ptr(&f, c.first_gfn << 12), len);
	free(copy);
}

/* Stand for a moment in which everybody else knocks. */
static void stand_a_while(void)
{
	u8 *copy = copy_memory();

	fake_signal(&f, &c);
	kvmb_storage_retry(s);
	usleep(rnd(200));
	kvmb_loop_once(f.loop, 0);
	assert_untouched(copy);
}

/* A thousand times; in every tenth the pause is taken back before it is done, or comes twice. */
static void pause_under_load(u32 rounds)
{
	u32 round;

	for (round = 0; round < rounds; round++) {
		send_some(1 + rnd(SLOTS));
		if (rnd(2))
			usleep(rnd(100));
		begin_pause();
		if (!rnd(10)) {
			kvmb_bus_resume(f.bus);
			begin_pause();
		}
		if (rnd(10)) {
			wait_stand();
			stand_a_while();
		}
		kvmb_bus_resume(f.bus);
		if (rnd(2))
			take_answers();
	}
	take_all_answers();
}

static struct kvmb_disk *raw_disk(bool direct)
{
	struct kvmb_disk *d = open_path(path, false, 0);

	d->direct = direct; /* only for us: all goes through the kernel's queue or threads */
	return d;
}

/* ---- under load ---- */

static void a_thousand_pauses_lose_nothing(void **state)
{
	u32 sum;

	(void)state;
	init();
	begin_load(0);
	pause_under_load(500);
	sum = answered;
	fake_rest(&f);
	fake_unmap(&c);
	kvmb_storage_detach(s, 0, on_gone, NULL);
	wait_gone();
	kvmb_disk_close(gone_disk);
	assert_int_equal(kvmb_storage_attach(s, raw_disk(true), false, 0), 0);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	begin_load(0);
	memset(fake_ptr(&f, base), 0, 4096);
	assert_int_equal(truncate(path, 0), 0); /* zeroes again */
	assert_int_equal(truncate(path, BLOCKS * 512), 0);
	pause_under_load(500);
	print_message("%u requests to a file through the page cache, %u through the queue\n", sum,
		      answered);
	assert_true(sum > 1000 && answered > 1000);
}

static void pauses_of_a_limited_disk_lose_nothing(void **state)
{
	(void)state;
	init();
	begin_load(0);
	kvmb_storage_set_limits(s, 0, 5000, -1);
	pause_under_load(200);
	print_message("%u requests, 5000 a second\n", answered);
	assert_true(answered > 200);
}

/* ---- who waits for whom ---- */

static u64 write_to(u8 lun, u64 gpa)
{
	return send_srb(&c, lun, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 8), 10, KVMB_SRB_DATA_OUT, gpa,
			4096);
}

static void assert_good(u64 id)
{
	struct kvmb_wire_stor a;

	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, KVMB_SRB_SUCCESS);
}

static void init_with(struct kvmb_disk *d)
{
	struct kvmb_wire_stor a;

	assert_int_equal(kvmb_storage_attach(s, d, false, 3), 0);
	init();
	srb_lun(0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a); /* "LUNs changed" */
}

static void a_pause_waits_for_what_the_disk_has(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, id, next;

	(void)state;
	init_with(slow_disk(0));
	id = write_to(3, gpa);
	wait_held(1);
	begin_pause();
	assert_moving(50);
	next = write_to(3, gpa); /* stays in the ring */
	assert_moving(50);
	assert_int_equal(slow.num, 1);
	finish_held(0);
	wait_stand();
	assert_int_equal(slow.num, 0);
	assert_int_equal(slow.cancels, 0);
	kvmb_bus_resume(f.bus);
	assert_good(id);
	wait_held(1);
	finish_held(0);
	assert_good(next);
}

static u32 stops;

static void on_stopped(void *arg, struct kvmb_storage *storage, unsigned int lun, int err)
{
	(void)arg, (void)storage, (void)lun, (void)err;
	stops++;
}

/* A write that failed waits for "go on": it may be said while the channel stands. */
static void what_is_held_back_is_tried_after_the_pause(void **state)
{
	static const struct kvmb_storage_events ev = { .stopped = on_stopped };
	u64 gpa = fake_alloc(&f, 1) << 12, id;

	(void)state;
	s->ev = &ev;
	init_with(slow_disk(KVMB_ON_ERROR_STOP));
	stops = 0;
	id = write_to(3, gpa);
	wait_held(1);
	begin_pause();
	finish_held(-EIO); /* fails during the pause */
	wait_stand();
	kvmb_loop_once(f.loop, 1);
	assert_int_equal(stops, 1);
	kvmb_storage_retry(s);
	usleep(20000);
	assert_int_equal(slow.num, 0);
	kvmb_bus_resume(f.bus);
	wait_held(1);
	finish_held(0);
	assert_good(id);
}

/* The first byte of the image. */
static u8 on_disk(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	u8 byte = 0xff;

	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	close(fd);
	return byte;
}

static void what_is_limited_waits_and_goes_on(void **state)
{
	u64 gpa = fake_alloc(&f, 2) << 12, a, b;

	(void)state;
	init();
	kvmb_storage_set_limits(s, 0, -1, 4);
	a = write_to(0, gpa);
	*(u8 *)fake_ptr(&f, gpa + 4096) = 7;
	b = write_to(0, gpa + 4096); /* in a thousand seconds */
	assert_good(a);
	pause_bus(); /* without waiting for that */
	kvmb_storage_set_limits(s, 0, 0, 0);
	usleep(20000);
	assert_int_equal(on_disk(), 0);
	kvmb_bus_resume(f.bus);
	assert_good(b);
	assert_int_equal(on_disk(), 7);
}

/* Its time comes while the channel stands. */
static void what_was_due_meanwhile_is_done_at_once(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, a, b;

	(void)state;
	init();
	kvmb_storage_set_limits(s, 0, -1, 4096 * 5);
	a = write_to(0, gpa);
	b = write_to(0, gpa); /* in a fifth of a second */
	assert_good(a);
	pause_bus();
	usleep(400000);
	assert_false(kvmb_ring_readable(&c.rx));
	kvmb_bus_resume(f.bus);
	assert_good(b);
}

/* Old packets that were written while it stood need no signal. */
static void the_ring_is_looked_at_at_once(void **state)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_EXECUTE_SRB) };
	struct kvmb_wire_stor a;

	(void)state;
	init();
	p.u.srb.cdb_length = 6;
	p.u.srb.data_in = KVMB_SRB_DATA_NONE;
	pause_bus();
	next_id++;
	assert_int_equal(kvmb_ring_put(&c.tx, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, next_id,
				       NULL, 0, &p, sizeof(p)),
			 0);
	assert_true(kvmb_ring_publish(&c.tx) >= 0); /* and no signal */
	usleep(20000);
	assert_false(kvmb_ring_readable(&c.rx));
	kvmb_bus_resume(f.bus);
	assert_int_equal(answer(&a, next_id), 0);
}

static void a_reset_under_way_is_finished_first(void **state)
{
	struct kvmb_wire_stor p = { .operation = cpu_to_le32(KVMB_STOR_RESET_BUS) }, a;
	u64 gpa = fake_alloc(&f, 1) << 12, id, reset;
	u8 *copy;

	(void)state;
	init_with(slow_disk(0));
	slow.deaf = true;
	id = write_to(3, gpa);
	wait_held(1);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, ++next_id, NULL,
				   0, &p, sizeof(p)),
			 0);
	reset = next_id;
	wait_cancels(1);
	begin_pause();
	assert_moving(50);
	finish_held(-ECANCELED);
	usleep(20000); /* it is the bus thread's turn */
	wait_stand();
	copy = copy_memory();
	usleep(20000);
	assert_untouched(copy); /* both answers were there before it stood */
	assert_int_equal(answer(&a, id), 0);
	assert_sense(&a, 0x0b, 0);
	assert_int_equal(answer(&a, reset), 0);
	kvmb_bus_resume(f.bus);
}

static void answers_without_room_wait_on(void **state)
{
	u8 buf[256] __attribute__((aligned(8)));
	u32 i, got = 0, sent = 0;
	struct kvmb_pkt pkt;
	u8 *copy;

	(void)state;
	init();
	while (kvmb_ring_used(&c.rx, false) + 4096 < c.rx.size) {
		for (i = 0; i < 50; i++, sent++)
			send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
		usleep(2000);
	}
	for (i = 0; i < 60; i++, sent++) /* more than fits */
		send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
	usleep(20000);
	pause_bus();
	copy = copy_memory();
	fake_signal(&f, &c);
	usleep(20000);
	assert_untouched(copy);
	/* the guest reads while it stands: nothing comes after */
	while (!kvmb_ring_peek(&c.rx, buf, sizeof(buf), &pkt)) {
		got += pkt.type == KVMB_PKT_COMPLETION;
		kvmb_ring_skip(&c.rx, &pkt);
		kvmb_ring_release(&c.rx);
	}
	assert_true(got < sent);
	kvmb_bus_resume(f.bus);
	while (got < sent && !fake_recv(&f, &c, buf, sizeof(buf), &pkt))
		got += pkt.type == KVMB_PKT_COMPLETION;
	assert_int_equal(got, sent);
	assert_false(kvmb_ring_readable(&c.rx));
}

/* ---- what goes on while it stands ---- */

static void a_unit_can_be_taken_away(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12, id;
	struct kvmb_wire_stor a;
	u8 *copy;

	(void)state;
	init_with(slow_disk(KVMB_ON_ERROR_STOP));
	id = write_to(3, gpa);
	wait_held(1);
	begin_pause();
	finish_held(-EIO);
	wait_stand();
	copy = copy_memory();
	assert_int_equal(kvmb_storage_detach(s, 3, on_gone, NULL), 0);
	wait_gone();
	kvmb_disk_close(gone_disk);
	usleep(20000);
	assert_untouched(copy);
	kvmb_bus_resume(f.bus);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, KVMB_SRB_INVALID_LUN);
}

static void the_vm_can_end(void **state)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	u8 *copy;

	(void)state;
	init_with(slow_disk(KVMB_ON_ERROR_STOP));
	write_to(3, gpa);
	wait_held(1);
	begin_pause();
	finish_held(-EIO);
	wait_stand();
	write_to(3, gpa);
	copy = copy_memory();
	fake_rest(&f);
	assert_untouched(copy);
	kvmb_bus_resume(f.bus);
	fake_unmap(&c);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	/* or before it stands */
	write_to(3, gpa);
	wait_held(1);
	begin_pause();
	fake_rest(&f);
	assert_int_equal(stands, 1);
	assert_int_equal(slow.cancels, 1);
	kvmb_bus_resume(f.bus);
}

static void a_channel_that_failed_stands(void **state)
{
	u64 junk = 0;

	(void)state;
	init();
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 0, 1, NULL, 0, &junk, sizeof(junk)), 0);
	usleep(20000);
	pause_bus();
	kvmb_bus_resume(f.bus);
	usleep(1000);
	pause_bus();
	kvmb_bus_resume(f.bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_thousand_pauses_lose_nothing),
		T(pauses_of_a_limited_disk_lose_nothing),
		T(a_pause_waits_for_what_the_disk_has),
		T(what_is_held_back_is_tried_after_the_pause),
		T(what_is_limited_waits_and_goes_on),
		T(what_was_due_meanwhile_is_done_at_once),
		T(the_ring_is_looked_at_at_once),
		T(a_reset_under_way_is_finished_first),
		T(answers_without_room_wait_on),
		T(a_unit_can_be_taken_away),
		T(the_vm_can_end),
		T(a_channel_that_failed_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
