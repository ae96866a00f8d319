// SPDX-License-Identifier: GPL-2.0-only
/* An IDE controller is saved in the middle of everything, goes on elsewhere, and refuses lies. */
#include "lib/dirty_log.h"
#include "tests/harness/ide_box.h"
#include "tests/harness/tlv_mutate.h"

#define TABLE 0x10000u
#define DISK_BYTES (4u << 20)

static struct kvmb_tlv_error error;

static int setup(void **state)
{
	(void)state;
	open_box();
	attach(0, DISK_BYTES, false, false);
	attach(3, DISK_BYTES, true, true);
	enable_master();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_box();
	return 0;
}

static void save(struct kvmb_tlv_out *o)
{
	memset(o, 0, sizeof(*o));
	ide_stop(ide, NULL, NULL);
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	ide_save(ide, o);
	kvmb_tlv_end(o);
	assert_false(o->failed);
}

/* Drives keep their content; all else is new. */
static void make_anew(void)
{
	struct ide_drive_config cfg = { .ops = &box_ops };

	close_controller();
	make_controller();
	cfg.arg = &drives[0];
	ide_attach(ide, 0, &cfg);
	cfg.arg = &drives[3];
	cfg.cd = cfg.read_only = true;
	ide_attach(ide, 3, &cfg);
	enable_master();
}

static int load_from(const u8 *buf, size_t len)
{
	struct kvmb_tlv t;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	assert_int_equal(kvmb_tlv_next(buf, len, &pos, &t, &error), 0);
	return ide_load(ide, &t);
}

/* Save, forget, load, go on. */
static void move_house(void)
{
	struct kvmb_tlv_out o;

	save(&o);
	make_anew();
	assert_int_equal(load_from(o.buf, o.len), 0);
	ide_loaded(ide);
	ide_resume(ide);
	kvmb_tlv_out_fini(&o);
}

static void pio_goes_on_after_a_load(void **state)
{
	static u8 buf[200 * 512];

	(void)state;
	lay_down(0, 0, sizeof(buf), 1);
	issue28(PRIMARY, 0, 0x20, 0, 200);
	pio_in(PRIMARY, buf, 10, 512);
	read_words(PRIMARY, buf + 10 * 512, 100);
	move_house();
	read_words(PRIMARY, buf + 10 * 512 + 100, 412);
	pio_in(PRIMARY, buf + 11 * 512, 189, 512);
	is_pattern(buf, sizeof(buf), 1);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
}

static void writing_goes_on_after_a_load(void **state)
{
	static u8 buf[200 * 512];

	(void)state;
	fill_pattern(buf, sizeof(buf), 2);
	issue48(PRIMARY, 0, 0x34, 7, 200);
	pio_out(PRIMARY, buf, 150, 512);
	write_words(PRIMARY, buf + 150 * 512, 20);
	move_house();
	write_words(PRIMARY, buf + 150 * 512 + 20, 492);
	pio_out(PRIMARY, buf + 151 * 512, 49, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	lies_there(0, 7 * 512, sizeof(buf), 2);
}

/* The second piece of a transfer is due, in the middle of a descriptor. */
static void dma_goes_on_after_a_load(void **state)
{
	u8 st;

	(void)state;
	fill_pattern(ram + 0x200000, 65536, 3);
	put_prd(TABLE, 0, 0x200000, 60000, false);
	put_prd(TABLE, 1, 0x200000 + 60000, 5536, true);
	drives[0].how = LATER;
	drives[0].bad_from = 127 * 512;
	drives[0].bad_to = 128 * 512;
	bm_setup(PRIMARY, TABLE, false);
	issue28(PRIMARY, 0, 0xca, 0, 128);
	bm_start(PRIMARY);
	finish(&drives[0]); /* fails: in single sectors now */
	finish(&drives[0]);
	ide_stop(ide, NULL, NULL);
	finish(&drives[0]);
	drives[0].how = AT_ONCE;
	drives[0].bad_to = 0;
	memset(ram + TABLE, 0xff, 8); /* fetched before, not looked at again */
	assert_int_equal(alt_status(PRIMARY), BSY);
	move_house();
	assert_int_equal(bm_finish(PRIMARY, &st), 4);
	assert_int_equal(st, DRDY | DSC);
	lies_there(0, 0, 65536, 3);
}

static void interrupt_and_settings_survive(void **state)
{
	u8 id[512];

	(void)state;
	outb(PRIMARY + ERROR, 3);
	issue28(PRIMARY, 0, 0xef, 0, 0x42);
	assert_int_equal(lines[0], 1);
	config_out(0x42, 2, 0); /* of the bus, not of this */
	move_house();
	assert_int_equal(lines[0], 1);
	assert_int_equal(inb(PRIMARY + STATUS), DRDY | DSC);
	issue28(PRIMARY, 0, 0xec, 0, 0);
	pio_in(PRIMARY, id, 1, 512);
	assert_int_equal(id[177], 4);
}

static void packet_half_sent_survives(void **state)
{
	static const u8 cdb[12] = { 0x12, 0, 0, 0, 96 };
	u8 buf[36];

	(void)state;
	ide_medium_changed(ide, 3);
	outb(SECONDARY + DEVICE, 0xb0);
	outb(SECONDARY + ERROR, 0);
	outb(SECONDARY + LBA1, 0);
	outb(SECONDARY + LBA2, 1);
	outb(SECONDARY + STATUS, 0xa0);
	write_words(SECONDARY, cdb, 6);
	move_house();
	write_words(SECONDARY, cdb + 6, 6);
	pio_in(SECONDARY, buf, 1, 36);
	assert_int_equal(buf[0], 5);
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC);
}

static void held_reset_survives(void **state)
{
	(void)state;
	outb(SECONDARY + 0x206, 4);
	move_house();
	outb(SECONDARY + DEVICE, 0xb0);
	assert_int_equal(alt_status(SECONDARY), BSY);
	outb(SECONDARY + 0x206, 0);
	assert_int_equal(alt_status(SECONDARY), 0);
	assert_int_equal(inb(SECONDARY + LBA2), 0xeb);
}

/* Who keeps the drive asks nobody but us whether its tray is locked. */
static void a_locked_tray_is_told_of_again(void **state)
{
	static const u8 cdb[12] = { 0x1e, 0, 0, 0, 1 };

	(void)state;
	outb(SECONDARY + DEVICE, 0xb0);
	outb(SECONDARY + STATUS, 0xa0);
	write_words(SECONDARY, cdb, 12);
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC);
	assert_int_equal(drives[3].locked, 1);
	drives[3].locked = -1; /* who keeps it there is new */
	move_house();
	assert_int_equal(drives[3].locked, 1);
}

/* What the main thread reads when the drive goes on is not left behind. */
static void tables_of_transfers_that_are_due_come_along(void **state)
{
	static u64 bits[RAM / 4096 / 64 + 1];
	u32 page = TABLE / 4096;

	(void)state;
	assert_int_equal(kvmb_dirty_log_prepare(), 0);
	put_prd(TABLE, 0, 0x200000, 4096, true);
	bm_setup(PRIMARY, TABLE, false);
	drives[0].how = LATER;
	drives[0].err = -EAGAIN;
	issue28(PRIMARY, 0, 0xca, 0, 8);
	bm_start(PRIMARY);
	ide_stop(ide, NULL, NULL);
	finish(&drives[0]);
	assert_int_equal(kvmb_dirty_log_begin(ram, RAM), 0);
	ide_dirty(ide);
	kvmb_dirty_log_take(bits, 0, RAM / 4096);
	kvmb_dirty_log_end();
	assert_true(bits[page / 64] >> page % 64 & 1);
	page = 0x200000 / 4096; /* fetched already: where its data goes */
	assert_true(bits[page / 64] >> page % 64 & 1);
	page = 0x300000 / 4096;
	assert_false(bits[page / 64] >> page % 64 & 1);
	drives[0].err = 0;
	drives[0].how = AT_ONCE;
}

/* ---- lies ---- */

static bool is_group(u32 path)
{
	return path == 1 || path == 0x10a;
}

/* Whatever was taken: a driver may do what it likes, and the drives can be stopped. */
static int load_spoilt(u8 *buf)
{
	struct kvmb_tlv_error first;
	size_t len = *(u32 *)(void *)(buf + 16) + TLV_HEADER;
	int err;
	u32 i;

	make_anew();
	tlv_fix_crc(buf, len);
	err = load_from(buf, len);
	first = error;
	free(buf);
	assert_int_equal(err == 0, !error.err);
	ide_loaded(ide);
	ide_resume(ide);
	for (i = 0; i < 200; i++)
		in(PRIMARY, 4), in(SECONDARY, 4);
	out(PRIMARY, 4, i), out(SECONDARY, 4, i);
	for (i = 1; i < 8; i++)
		inb(PRIMARY + i), inb(SECONDARY + i);
	bm_start(PRIMARY);
	bm_start(SECONDARY);
	outb(PRIMARY + 0x206, 4);
	outb(PRIMARY + 0x206, 0);
	ide_stop(ide, NULL, NULL);
	error = first;
	return err;
}

static void save_busy(struct kvmb_tlv_out *o)
{
	static const u8 cdb[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 4 };

	put_prd(TABLE, 0, 0x200000, 1000, false);
	put_prd(TABLE, 1, 0x200000 + 1000, 5536, true);
	bm_setup(PRIMARY, TABLE, false);
	drives[0].how = LATER;
	drives[0].err = -EIO;
	issue28(PRIMARY, 0, 0xca, 0, 8);
	bm_start(PRIMARY);
	ide_stop(ide, NULL, NULL);
	finish(&drives[0]);
	drives[0].how = AT_ONCE;
	drives[0].err = 0;
	ide_resume_drive(ide, 3);
	outb(SECONDARY + DEVICE, 0xb0);
	outb(SECONDARY + LBA2, 8);
	outb(SECONDARY + STATUS, 0xa0);
	write_words(SECONDARY, cdb, 12);
	save(o);
}

static void spoilt_fields_do_no_harm(void **state)
{
	struct kvmb_tlv_out o;
	static struct tlv_spots spots;

	(void)state;
	save_busy(&o);
	spots.num = 0;
	tlv_find_spots(o.buf, TLV_HEADER, o.len, 0, is_group, &spots);
	assert_in_range(spots.num, 60, 120);
	tlv_spoil_each(&o, &spots, load_spoilt);
	kvmb_tlv_out_fini(&o);
}

static void impossible_commands_are_refused(void **state)
{
	enum { D = 0x10a00 };
	static const struct tlv_row rows[] = {
		{ D | 1, 0, 1, "no such drive" },
		{ D | 2, 0, 1, "another kind" },
		{ D | 5, 0, 0x80, "at rest" },
		{ D | 8, 0, 9, "no such phase" },
		{ D | 8, 0, 3, "no command" },
		{ D | 8, 1, 6, "no command" },
		{ D | 9, 0, 0, "without sectors" },
		{ D | 11, 0, 3, "power of two" },
		{ D | 21, 0, 2, "no command" }, /* a flush of data */
		{ D | 21, 1, 1, "no command" }, /* a CD that is written */
		{ D | 24, 0, 513, "no command" },
		{ D | 25, 0, 0, "no command" },
		{ D | 26, 0, 1536, "no command" },
		{ D | 26, 1, 0, "no command" },
		{ D | 27, 1, 100, "no command" },
		{ D | 28, 1, 65536, "no command" },
		{ D | 29, 1, 8192, "no command" },
		{ D | 30, 1, 65536, "no command" },
		{ 0x107, 1, 8192, "too long" },
		{ 0x109, 0, (u64)512 << 32 | RAM, "not in memory" },
		{ 0x109, 0, 0x1000, "not in memory" },
	};
	static struct tlv_spots spots;
	struct kvmb_tlv_out o;

	(void)state;
	save_busy(&o);
	spots.num = 0;
	tlv_find_spots(o.buf, TLV_HEADER, o.len, 0, is_group, &spots);
	tlv_refuse_each(&o, &spots, load_spoilt, &error, rows, ARRAY_SIZE(rows));
	kvmb_tlv_out_fini(&o);
}

/* A write that was going to a disk, loaded where that disk is read-only. */
static void a_write_is_not_for_a_read_only_disk(void **state)
{
	struct ide_drive_config cfg = { .ops = &box_ops, .arg = &drives[0], .read_only = true };
	static u8 sector[512];
	struct kvmb_tlv_out o;

	(void)state;
	issue28(PRIMARY, 0, 0x30, 0, 1);
	write_words(PRIMARY, sector, 100);
	save(&o);
	close_controller();
	make_controller();
	ide_attach(ide, 0, &cfg);
	cfg = (struct ide_drive_config){
		.ops = &box_ops, .arg = &drives[3], .cd = true, .read_only = true
	};
	ide_attach(ide, 3, &cfg);
	assert_int_equal(load_from(o.buf, o.len), -EPROTO);
	assert_non_null(strstr(error.text, "no command"));
	kvmb_tlv_out_fini(&o);
}

/* A block of a disk is whole sectors: else a request that ends in the middle of one comes of it. */
static void a_block_of_half_a_sector_is_refused(void **state)
{
	enum { D = 0x10a00 };
	static const struct tlv_row rows[] = { { D | 30, 0, 100, "no command" } };
	static struct tlv_spots spots;
	struct kvmb_tlv_out o;

	(void)state;
	issue48(PRIMARY, 0, 0x34, 0, 300);
	save(&o);
	spots.num = 0;
	tlv_find_spots(o.buf, TLV_HEADER, o.len, 0, is_group, &spots);
	tlv_refuse_each(&o, &spots, load_spoilt, &error, rows, ARRAY_SIZE(rows));
	kvmb_tlv_out_fini(&o);
}

/* A guest cannot choose a drive while the other one is busy: both would use one table for DMA. */
static void a_busy_drive_is_the_chosen_one(void **state)
{
	struct ide_drive_config cfg = { .ops = &box_ops, .arg = &drives[1] };
	static struct tlv_spots spots;
	struct kvmb_tlv_out o;

	(void)state;
	attach(1, DISK_BYTES, false, false);
	put_prd(TABLE, 0, 0x200000, 4096, true);
	bm_setup(PRIMARY, TABLE, false);
	drives[0].how = LATER;
	issue28(PRIMARY, 0, 0xca, 0, 8);
	bm_start(PRIMARY);
	ide_stop(ide, NULL, NULL);
	finish_err(&drives[0], -EAGAIN);
	save(&o);
	spots.num = 0;
	tlv_find_spots(o.buf, TLV_HEADER, o.len, 0, is_group, &spots);
	tlv_set(o.buf, tlv_spot(&spots, 0x101, 0), 0xf0);
	tlv_fix_crc(o.buf, o.len);
	make_anew();
	ide_attach(ide, 1, &cfg);
	if (!load_from(o.buf, o.len)) {
		drives[1].how = LATER;
		ide_loaded(ide);
		ide_resume(ide);
		issue28(PRIMARY, 1, 0xca, 0, 8);
		finish(&drives[0]);
		finish(&drives[1]);
		fail_msg("it was taken");
	}
	assert_non_null(strstr(error.text, "drive that is not chosen"));
	drives[0].how = AT_ONCE;
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(tables_of_transfers_that_are_due_come_along),
		T(pio_goes_on_after_a_load),
		T(writing_goes_on_after_a_load),
		T(dma_goes_on_after_a_load),
		T(interrupt_and_settings_survive),
		T(packet_half_sent_survives),
		T(held_reset_survives),
		T(a_locked_tray_is_told_of_again),
		T(a_write_is_not_for_a_read_only_disk),
		T(a_block_of_half_a_sector_is_refused),
		T(a_busy_drive_is_the_chosen_one),
		T(spoilt_fields_do_no_harm),
		T(impossible_commands_are_refused),
	};

	return cmocka_run_group_tests_name("ide_state", tests, NULL, NULL);
}
