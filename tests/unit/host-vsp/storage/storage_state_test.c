// SPDX-License-Identifier: GPL-2.0-only
/*
 * A controller moves into another process: the guest goes on without a word, each request is
 * answered once, and a hostile file harms nobody.
 */
#include "host-vsp/storage/storage_state.h"

#include "host-vsp/storage/storage_priv.h"
#include "lib/util.h"
#include "tests/harness/storage_load.h"
#include "tests/harness/tlv_mutate.h"

static struct kvmb_tlv_out saved; /* section storage, section bus */
static size_t bus_at;		  /* where that begins */
static struct kvmb_tlv_error error;

static u32 stops;

static void on_stopped(void *arg, struct kvmb_storage *storage, unsigned int lun, int err)
{
	(void)arg, (void)storage, (void)lun, (void)err;
	stops++;
}

static u32 ejects;

static void on_ejected(void *arg, struct kvmb_storage *storage, unsigned int lun)
{
	(void)arg;
	ejects++;
	kvmb_storage_set_medium(storage, lun, NULL, on_gone, NULL);
}

static const struct kvmb_storage_events events = { .stopped = on_stopped, .ejected = on_ejected };

/* ---- from one process into another ---- */

static void save_standing(void)
{
	memset(&saved, 0, sizeof(saved));
	kvmb_storage_save(s, &saved);
	bus_at = saved.len;
	kvmb_bus_save(f.bus, &saved);
	assert_false(saved.failed);
}

static void save_all(void)
{
	pause_bus();
	save_standing();
}

static void start(void (*attach)(void))
{
	fake_init(&f, KVMB_VERSION_NEWEST);
	rings = kvmb_rings_create(4, false);
	s = kvmb_storage_create(0, 3, rings, f.loop, &events, NULL);
	attach();
	assert_int_equal(kvmb_storage_offer(s, f.bus), 0);
}

static void stop(void)
{
	fake_rest(&f);
	kvmb_storage_destroy(s);
	kvmb_rings_destroy(rings);
	fake_fini(&f);
}

static int load(const u8 *buf, size_t len)
{
	struct kvmb_tlv t;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	kvmb_bus_begin_load(f.bus);
	assert_int_equal(kvmb_tlv_next(buf, len, &pos, &t, &error), 0);
	if (kvmb_storage_load(s, &t))
		return error.err;
	assert_int_equal(kvmb_tlv_next(buf, len, &pos, &t, &error), 0);
	return kvmb_bus_load(f.bus, &t);
}

/* The guest's side of a channel in the new process. */
static void remap(struct fake_chan *ch)
{
	u64 gfns[64];
	u32 i;

	fake_unmap(ch);
	for (i = 0; i < ch->pages; i++)
		gfns[i] = ch->first_gfn + i;
	i = ch->down;
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns, i, &ch->map_tx), 0);
	assert_int_equal(kvmb_gm_map_ring(&f.gm, gfns + i, ch->pages - i, &ch->map_rx), 0);
	kvmb_ring_init(&ch->tx, ch->map_tx.ctrl, ch->map_tx.data, ch->map_tx.size, true);
	kvmb_ring_init(&ch->rx, ch->map_rx.ctrl, ch->map_rx.data, ch->map_rx.size, false);
}

/* The old process ends, a new one has its memory and loads, but does not go on yet. */
static void move_to_new_process(void (*attach)(void))
{
	u64 next_gfn = f.next_gfn;
	u32 next_gpadl = f.next_gpadl;
	u8 *ram = malloc(next_gfn << 12);

	memcpy(ram, f.view, next_gfn << 12);
	stop();
	start(attach);
	memcpy(f.view, ram, next_gfn << 12);
	free(ram);
	f.next_gfn = next_gfn;
	f.next_gpadl = next_gpadl;
	if (load(saved.buf, saved.len))
		fail_msg("%s", error.text);
	remap(&c);
	kvmb_tlv_out_fini(&saved);
}

/* A unit's fields, looked at while no worker changes them. */
static struct kvmb_unit look_at(u32 lun)
{
	struct kvmb_unit u;

	pause_bus();
	u = s->luns[lun]->unit;
	kvmb_bus_resume(f.bus);
	return u;
}

/* ---- units ---- */

static void only_the_file(void)
{
	assert_int_equal(kvmb_storage_attach(s, open_path(path, false, 0), false, 0), 0);
}

static u64 limit; /* bytes a second */

static void limited_file(void)
{
	only_the_file();
	kvmb_storage_set_limits(s, 0, -1, (s64)limit);
}

static void direct_file(void)
{
	struct kvmb_disk *d = open_path(path, false, 0);

	d->direct = true; /* all goes through the kernel's queue or threads */
	assert_int_equal(kvmb_storage_attach(s, d, false, 0), 0);
}

static void file_and_slow(void)
{
	only_the_file();
	assert_int_equal(kvmb_storage_attach(s, slow_disk(KVMB_ON_ERROR_STOP), false, 3), 0);
}

static void file_and_dvd(void)
{
	only_the_file();
	assert_int_equal(kvmb_storage_attach(s, slow_disk(0), true, 5), 0);
	s->luns[5]->unit.disk->block = 2048;
	s->luns[5]->unit.disk->read_only = true;
}

/* The guest has a controller with these units, and knows them. */
static void begin_with(void (*attach)(void))
{
	stop();
	start(attach);
	fake_unmap(&c);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
	stops = ejects = 0;
}

/* ---- what the guest notices: nothing ---- */

static void a_guest_under_load_moves_and_loses_nothing(void **state)
{
	static void (*const attach[])(void) = { only_the_file, direct_file, limited_file };
	u32 round;

	(void)state;
	limit = 40u << 20;
	begin_with(only_the_file);
	begin_load(0);
	for (round = 0; round < 60; round++) {
		send_some(1 + rnd(SLOTS));
		usleep(rnd(100));
		save_all();
		move_to_new_process(attach[rnd(3)]);
		kvmb_bus_resume(f.bus);
		if (rnd(2))
			take_answers();
	}
	take_all_answers();
	print_message("%u requests, 60 processes\n", answered);
	assert_true(answered > 300);
}

/* What page @page of vital product data of unit 0 is. */
static void inquire(u8 page, u8 *to)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	struct kvmb_wire_stor a;

	assert_int_equal(srb(CDB(0x12, 1, page, 0, 255), 6, KVMB_SRB_DATA_IN, gpa, 255, &a), 1);
	memcpy(to, fake_ptr(&f, gpa), 255);
}

static u8 reserve(u8 action, u8 type, u64 key, u64 new_key, struct kvmb_wire_stor *a)
{
	u64 gpa = fake_alloc(&f, 1) << 12;
	u8 *p = fake_ptr(&f, gpa);
	u32 i;

	for (i = 0; i < 8; i++) {
		p[i] = (u8)(key >> (56 - 8 * i));
		p[8 + i] = (u8)(new_key >> (56 - 8 * i));
	}
	return srb(CDB(0x5f, action, type, 0, 0, 0, 0, 0, 24), 10, KVMB_SRB_DATA_OUT, gpa, 24, a);
}

/* The image is another file there, as on another host. */
static void the_disk_is_the_same_to_the_guest(void **state)
{
	u8 before[2][255], after[2][255], other[] = "/tmp/kvmbus-copy-XXXXXX";
	struct kvmb_wire_stor a;
	u64 gpa;
	u8 *p;

	(void)state;
	begin_with(only_the_file);
	gpa = fake_alloc(&f, 1) << 12;
	inquire(0x80, before[0]);
	inquire(0x83, before[1]);
	assert_int_equal(reserve(0, 0, 0, 0x1122334455667788, &a), 1);
	assert_int_equal(reserve(1, 3, 0x1122334455667788, 0, &a), 1);
	p = fake_ptr(&f, gpa); /* MODE SELECT: the cache is off */
	p[4] = 0x08;
	p[5] = 0x12;
	assert_int_equal(srb(CDB(0x15, 0x10, 0, 0, 24), 6, KVMB_SRB_DATA_OUT, gpa, 24, &a), 1);
	assert_int_equal(look_at(0).wce, 0);
	kvmb_unit_attention(&s->luns[0]->unit, KVMB_UA_MODE);
	save_all();
	close(mkstemp((char *)other));
	assert_int_equal(truncate((char *)other, BLOCKS * 512), 0);
	unlink(path);
	strcpy(path, (char *)other);
	move_to_new_process(only_the_file);
	kvmb_bus_resume(f.bus);
	inquire(0x80, after[0]); /* takes no attention */
	inquire(0x83, after[1]);
	assert_memory_equal(before, after, sizeof(before));
	srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	assert_sense(&a, 6, 0x2a);
	assert_int_equal(srb(CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0, &a), 1);
	assert_int_equal(look_at(0).wce, 0);
	/* the key is known, the reservation held */
	assert_int_not_equal(reserve(2, 3, 1, 0, &a), 1);
	assert_int_equal(look_at(0).pr.held, 1);
	assert_int_equal(reserve(2, 3, 0x1122334455667788, 0, &a), 1);
	assert_int_equal(look_at(0).pr.held, 0);
	assert_int_equal(look_at(0).pr.generation, 1);
}

static u64 write_to(u8 lun, u64 gpa, u32 len)
{
	return send_srb(&c, lun, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, (u8)(len / 512)), 10,
			KVMB_SRB_DATA_OUT, gpa, len);
}

static void assert_good(u64 id)
{
	struct kvmb_wire_stor a;

	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, KVMB_SRB_SUCCESS);
}

/* Failed before, and the VM was stopped for it: fails again, and then there is room. */
static void a_request_that_is_held_back_moves(void **state)
{
	u64 gpa, id, i;
	struct kvmb_disk_req *r;

	(void)state;
	begin_with(file_and_slow);
	gpa = (fake_alloc(&f, 4) << 12) + 512;
	for (i = 0; i < 8192; i++)
		((u8 *)fake_ptr(&f, gpa))[i] = (u8)(i * 7);
	id = write_to(3, gpa, 8192);
	wait_held(1);
	finish_held(-ENOSPC);
	while (!stops)
		kvmb_loop_once(f.loop, 1);
	save_all();
	move_to_new_process(file_and_slow);
	usleep(20000);
	assert_int_equal(slow.num, 0);
	kvmb_bus_resume(f.bus);
	wait_held(1);
	finish_held(-ENOSPC);
	while (stops < 2)
		kvmb_loop_once(f.loop, 1);
	kvmb_storage_retry(s);
	wait_held(1);
	r = slow.held[0];
	assert_int_equal(r->length, 8192);
	assert_memory_equal(r->iov[0].iov_base, fake_ptr(&f, gpa), r->iov[0].iov_len);
	finish_held(0);
	assert_good(id);
	pause_bus();
	assert_int_equal(s->chans->busy[3], 0);
	kvmb_bus_resume(f.bus);
}

static void a_request_that_waits_for_its_turn_moves(void **state)
{
	u64 gpa, a, b;
	u8 byte = 0;
	int fd;

	(void)state;
	limit = 4; /* bytes a second */
	begin_with(limited_file);
	gpa = fake_alloc(&f, 2) << 12;
	a = write_to(0, gpa, 4096);
	*(u8 *)fake_ptr(&f, gpa + 4096) = 7;
	b = write_to(0, gpa + 4096, 4096);
	assert_good(a);
	save_all();
	move_to_new_process(only_the_file);
	usleep(20000);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 0);
	kvmb_bus_resume(f.bus);
	assert_good(b);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 7);
	close(fd);
}

/* What waits in a sub-channel is answered there. */
static void a_request_of_a_sub_channel_moves(void **state)
{
	struct kvmb_wire_stor p = { 0 };
	const struct kvmb_wire_offer *o;
	u8 buf[256] __attribute__((aligned(8)));
	struct fake_chan sub;
	struct kvmb_pkt pkt;
	u64 id;

	(void)state;
	begin_with(file_and_slow);
	p.u.sub_channels = cpu_to_le16(1);
	assert_int_equal(ask(KVMB_STOR_CREATE_SUB_CHANNELS, &p), 0);
	o = fake_wait(&f, KVMB_MSG_OFFER);
	assert_int_equal(fake_open(&f, &sub, le32_to_cpu(o->relid), 8), 0);
	id = send_srb(&sub, 3, CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0);
	wait_held(1);
	finish_held(-EIO);
	save_all();
	move_to_new_process(file_and_slow);
	remap(&sub);
	kvmb_bus_resume(f.bus);
	wait_held(1);
	finish_held(0);
	assert_int_equal(fake_recv(&f, &sub, buf, sizeof(buf), &pkt), 0);
	assert_int_equal(pkt.trans_id, id);
	assert_good(send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0));
	fake_unmap(&sub);
}

/* It is taken away when all stand already, and saved before the bus thread hears of its end. */
static void a_unit_goes_while_all_stand(void **state)
{
	struct kvmb_wire_stor a;
	u64 id;

	(void)state;
	begin_with(file_and_slow);
	id = write_to(3, fake_alloc(&f, 1) << 12, 4096);
	wait_held(1);
	begin_pause();
	finish_held(-EIO);
	wait_stand();
	assert_int_equal(kvmb_storage_detach(s, 3, on_gone, NULL), 0);
	save_standing();
	wait_gone();
	kvmb_disk_close(gone_disk);
	move_to_new_process(only_the_file);
	kvmb_bus_resume(f.bus);
	assert_int_equal(answer(&a, id), 0);
	assert_int_equal(a.u.srb.srb_status, KVMB_SRB_INVALID_LUN);
}

/* Answers without room, and "look at the bus" behind them. */
static void answers_without_room_move(void **state)
{
	u8 buf[256] __attribute__((aligned(8)));
	u32 i, got = 0, news = 0, sent = 0;
	struct kvmb_pkt pkt;
	u64 first;

	(void)state;
	begin_with(only_the_file);
	first = next_id + 1;
	while (kvmb_ring_used(&c.rx, false) + 4096 < c.rx.size) {
		for (i = 0; i < 50; i++, sent++)
			send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
		usleep(2000);
	}
	for (i = 0; i < 60; i++, sent++)
		send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
	usleep(20000);
	kvmb_storage_attach(s, slow_disk(0), false, 3);
	save_all();
	assert_non_null(s->chans->answers);
	move_to_new_process(file_and_slow);
	kvmb_bus_resume(f.bus);
	while (got + news < sent + 1 && !fake_recv(&f, &c, buf, sizeof(buf), &pkt)) {
		if (is_enumerate(&pkt)) {
			news++;
		} else {
			assert_int_equal(pkt.trans_id, first + got);
			got++;
		}
	}
	assert_int_equal(got, sent);
	assert_int_equal(news, 1);
}

/* The guest pressed the button, and the bus thread had not yet heard of it. */
static void an_eject_is_not_forgotten(void **state)
{
	struct kvmb_wire_stor a;
	u64 id;

	(void)state;
	begin_with(file_and_dvd);
	srb_lun(5, CDB(0x1e, 0, 0, 0, 1), 6, KVMB_SRB_DATA_NONE, 0, 0, &a); /* locked */
	assert_int_equal(look_at(5).prevent, 1);
	save_all();
	move_to_new_process(file_and_dvd);
	assert_int_equal(s->luns[5]->unit.prevent, 1);
	kvmb_bus_resume(f.bus);
	srb_lun(5, CDB(0x1e, 0, 0, 0, 0), 6, KVMB_SRB_DATA_NONE, 0, 0, &a);
	id = send_srb(&c, 5, CDB(0x1b, 0, 0, 0, 2), 6, KVMB_SRB_DATA_NONE, 0, 0);
	while (!__atomic_load_n(&s->ejected, __ATOMIC_ACQUIRE))
		usleep(100);
	kvmb_loop_unpost(f.loop, &s->work);
	__atomic_store_n(&s->ejected, 0, __ATOMIC_RELEASE); /* it never came to that */
	save_all();
	assert_int_equal(s->luns[5]->unit.tray_open, 1);
	move_to_new_process(file_and_dvd);
	kvmb_bus_resume(f.bus);
	wait_gone();
	kvmb_disk_close(gone_disk);
	assert_int_equal(ejects, 1);
	assert_good(id);
}

/* The options that the next process is made from say nothing of that. */
static void a_medium_that_was_ejected_does_not_come_back(void **state)
{
	u64 id;

	(void)state;
	begin_with(file_and_dvd);
	id = send_srb(&c, 5, CDB(0x1b, 0, 0, 0, 2), 6, KVMB_SRB_DATA_NONE, 0, 0);
	wait_gone();
	kvmb_disk_close(gone_disk);
	assert_good(id);
	assert_null(s->luns[5]->unit.disk);
	save_all();
	move_to_new_process(file_and_dvd);
	gone_disk = NULL;
	kvmb_bus_resume(f.bus);
	wait_gone();
	assert_non_null(gone_disk);
	kvmb_disk_close(gone_disk);
	assert_null(s->luns[5]->unit.disk);
	assert_int_equal(s->luns[5]->unit.tray_open, 0);
}

static void a_channel_that_failed_stays_so(void **state)
{
	u8 buf[256] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	u64 junk = 0;

	(void)state;
	begin_with(only_the_file);
	assert_int_equal(fake_send(&f, &c, KVMB_PKT_INBAND, 0, 1, NULL, 0, &junk, sizeof(junk)), 0);
	usleep(20000);
	save_all();
	move_to_new_process(only_the_file);
	kvmb_bus_resume(f.bus);
	send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
	assert_int_equal(fake_recv_within(&f, &c, buf, sizeof(buf), &pkt, 50), -EAGAIN);
	fake_close(&f, &c); /* begins anew */
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
}

/* It ends, or is reset, without ever having gone on. */
static void what_was_loaded_need_not_go_on(void **state)
{
	u64 gpa;

	(void)state;
	begin_with(file_and_slow);
	gpa = fake_alloc(&f, 2) << 12;
	write_to(3, gpa, 4096);
	wait_held(1);
	finish_held(-EIO);
	save_all();
	move_to_new_process(file_and_slow);
	fake_rest(&f);
	kvmb_bus_resume(f.bus);
	assert_int_equal(slow.num, 0);
	fake_unmap(&c);
	assert_int_equal(fake_connect(&f, KVMB_VERSION_NEWEST, &offer, 1), 1);
	assert_int_equal(fake_open(&f, &c, le32_to_cpu(offer.relid), 8), 0);
	init();
}

/* ---- another disk ---- */

static u64 other_blocks;
static bool other_read_only, other_away;

static void other_disk(void)
{
	file_and_slow();
	s->luns[3]->unit.disk->away = other_away;
	s->luns[3]->unit.disk->blocks = other_blocks;
	s->luns[3]->unit.disk->read_only = other_read_only;
}

static int try_other(u64 blocks, bool read_only)
{
	int err;

	other_blocks = blocks;
	other_read_only = read_only;
	stop();
	start(other_disk);
	err = load(saved.buf, saved.len);
	return err;
}

static void a_disk_that_grew_is_news_and_others_are_refused(void **state)
{
	(void)state;
	begin_with(file_and_slow);
	save_all();
	assert_int_equal(try_other(4095, false), -EPROTO);
	assert_string_equal(error.text, "section storage 0: field 3: unit 3: it is smaller than it "
					"was");
	assert_int_equal(try_other(4096, true), -EPROTO);
	assert_non_null(strstr(error.text, "read-only"));
	assert_int_equal(try_other(5000, false), 0);
	assert_int_equal(s->luns[3]->unit.ua, 1u << KVMB_UA_CAPACITY);
	kvmb_bus_resume(f.bus);
	/* an image that its source has yet: its size is what the guest knows, and no news */
	other_away = true;
	assert_int_equal(try_other(0, false), 0);
	assert_int_equal(kvmb_disk_blocks(s->luns[3]->unit.disk), 4096);
	assert_int_equal(s->luns[3]->unit.ua, 0);
	kvmb_bus_resume(f.bus);
	other_away = false;
	stop();
	start(only_the_file);
	assert_int_equal(load(saved.buf, saved.len), -EPROTO);
	assert_non_null(strstr(error.text, "unit 3: this VM does not have it"));
	kvmb_tlv_out_fini(&saved);
	begin_with(only_the_file);
	save_all();
	stop();
	start(file_and_slow);
	assert_int_equal(load(saved.buf, saved.len), -EPROTO);
	assert_non_null(strstr(error.text, "unit 3: the saved VM did not have it"));
	kvmb_tlv_out_fini(&saved);
}

/* ---- who means harm ---- */

enum { P_UNIT = 3, P_CHAN = 8, P_PROVIDER = P_CHAN << 8 | 13 };

#define UNIT(field) (P_UNIT << 8 | (field))
#define PROVIDER(field) (P_PROVIDER << 8 | (field))
#define REQUEST(field) (PROVIDER(3) << 8 | (field))
#define ANSWER(field) (PROVIDER(4) << 8 | (field))

static bool is_group(uint32_t tags)
{
	return tags == P_UNIT || tags == P_CHAN || tags == P_PROVIDER || tags == PROVIDER(3) ||
	       tags == PROVIDER(4) || tags == 5 || tags == 6 || tags == 7;
}

static struct tlv_spots spots; /* of the storage section and of our part of the other */

/* A request that is held back, one without a buffer that waits, and an answer without room. */
static void make_sample(void)
{
	static struct tlv_spots all;
	u32 i;
	u64 gpa;

	begin_with(file_and_slow);
	gpa = fake_alloc(&f, 2) << 12;
	write_to(3, gpa, 8192);
	send_srb(&c, 3, CDB(0x35), 10, KVMB_SRB_DATA_NONE, 0, 0);
	wait_held(2);
	finish_held(-EIO);
	while (kvmb_ring_used(&c.rx, false) + 256 < c.rx.size) {
		for (i = 0; i < 60 && kvmb_ring_used(&c.tx, true) + 256 < c.tx.size; i++)
			send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
		usleep(2000);
	}
	for (i = 0; i < 3; i++)
		send_srb(&c, 0, CDB(0x00), 6, KVMB_SRB_DATA_NONE, 0, 0);
	usleep(20000);
	save_all();
	memset(&spots, 0, sizeof(spots));
	memset(&all, 0, sizeof(all));
	tlv_find_spots(saved.buf, TLV_HEADER, bus_at, 0, is_group, &spots);
	tlv_find_spots(saved.buf, bus_at + TLV_HEADER, saved.len, 0, is_group, &all);
	for (i = 0; i < all.num; i++) {
		if (all.spot[i].path == P_PROVIDER || all.spot[i].path >> 8 == P_PROVIDER ||
		    all.spot[i].path >> 16 == P_PROVIDER)
			spots.spot[spots.num++] = all.spot[i];
	}
	stop();
}

static int try_load(u8 *buf)
{
	int err;

	start(file_and_slow);
	slow.at_once = true;
	tlv_fix_crc(buf, bus_at);
	tlv_fix_crc(buf + bus_at, saved.len - bus_at);
	err = load(buf, saved.len);
	assert_int_equal(err, error.err);
	assert_int_equal(!error.text[0], !err);
	if (!err) {
		kvmb_bus_resume(f.bus);
		fake_run(&f);
	}
	stop();
	free(buf);
	return err;
}

static int end(void **state)
{
	kvmb_tlv_out_fini(&saved);
	start(file_and_slow);
	return teardown(state);
}

static void what_is_missing_is_noticed(void **state)
{
	const struct tlv_spot *sp;
	u32 i, num = 0;
	u8 *buf;

	(void)state;
	make_sample();
	assert_int_equal(try_load(tlv_copy(&saved)), 0);
	for (i = 0; i < spots.num; i++) {
		sp = &spots.spot[i];
		/* without its length a request has no buffer, and then says so by its answer */
		if ((sp->group && sp->path != P_PROVIDER) || sp->path == REQUEST(4))
			continue;
		buf = tlv_copy(&saved);
		tlv_lose(buf, sp);
		if (!try_load(buf))
			fail_msg("field %x is missing, and nobody says so", sp->path);
		num++;
	}
	print_message("%u fields, each missing once\n", num);
}

static void what_is_spoilt_harms_nobody(void **state)
{
	(void)state;
	make_sample();
	tlv_spoil_each(&saved, &spots, try_load);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct tlv_row rows[] = {
		{ 1, 0, 4, "the most is 3" },
		{ 1, 0, 1, "not one that may wait" },
		{ 2, 0, 0x0603, "not known" },
		{ 2, 0, 0x10000, "the most is" },
		{ UNIT(1), 0, 64, "the most is 63" },
		{ UNIT(1), 0, 3, "comes twice" },
		{ UNIT(1), 0, 7, "unit 7: this VM does not have it" },
		{ UNIT(2), 0, 1, "was a DVD" },
		{ UNIT(3), 0, 0, "was empty" },
		{ UNIT(4), 0, 32, "the most is 31" },
		{ UNIT(5), 0, 2, "the most is" },
		{ UNIT(8), 0, 4, "the most is" },
		{ UNIT(9), 0, 1, "be such a reservation" },
		{ UNIT(10), 0, 1, "be such a reservation" },
		{ UNIT(12), 0, 16, "the most is" },
		{ UNIT(14), 0, 0x0a31323334353637, "printable" },
		{ UNIT(14), 0, 0x0031323334353637, "no string" },
		{ UNIT(16), 0, 4096, "another size" },
		{ UNIT(17), 0, BLOCKS + 1, "smaller" },
		{ UNIT(18), 0, 1, "it was read-only" },
		{ PROVIDER(1), 0, 1, "channel that failed" },
		{ REQUEST(2), 0, 1, "may wait" },
		{ REQUEST(3), 0, 4096, "the most is" },
		{ REQUEST(3), 0, 1, "number of pages" },
		{ REQUEST(4), 0, 4096, "number of pages" },
		{ REQUEST(4), 0, KVMB_SCSI_MAX_TRANSFER + 1, "the most is" },
		{ REQUEST(5), 0, 1ull << 40, "outside RAM" },
		{ REQUEST(5), 0, UINT64_MAX, "outside RAM" },
	};

	(void)state;
	make_sample();
	tlv_refuse_each(&saved, &spots, try_load, &error, rows, ARRAY_SIZE(rows));
}

#define S(name) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_guest_under_load_moves_and_loses_nothing),
		T(the_disk_is_the_same_to_the_guest),
		T(a_request_that_is_held_back_moves),
		T(a_request_that_waits_for_its_turn_moves),
		T(a_request_of_a_sub_channel_moves),
		T(a_unit_goes_while_all_stand),
		T(answers_without_room_move),
		T(an_eject_is_not_forgotten),
		T(a_medium_that_was_ejected_does_not_come_back),
		T(a_channel_that_failed_stays_so),
		T(what_was_loaded_need_not_go_on),
		T(a_disk_that_grew_is_news_and_others_are_refused),
		S(what_is_missing_is_noticed),
		S(what_is_spoilt_harms_nobody),
		S(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
