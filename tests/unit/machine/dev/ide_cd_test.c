// SPDX-License-Identifier: GPL-2.0-only
/*
 * CD drives at the IDE controller, as firmware and drivers use them. Sources: SFF-8020i; MMC-6;
 * Linux drivers/ata/libata-scsi.c and drivers/scsi/sr.c for what is sent.
 */
#include "lib/be.h"
#include "tests/harness/ide_box.h"

#define TABLE 0x10000u
#define CD 2u
#define CD_BYTES (8u << 20)

static int setup(void **state)
{
	(void)state;
	open_box();
	attach(CD, CD_BYTES, true, true);
	enable_master();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_box();
	return 0;
}

static u8 reason(void)
{
	return inb(SECONDARY + COUNT);
}

static u32 block_len(void)
{
	return (u32)inb(SECONDARY + LBA2) << 8 | inb(SECONDARY + LBA1);
}

/* As atapi_send_cdb() has it. */
static void send_packet(const u8 *cdb, u32 limit, bool dma)
{
	outb(SECONDARY + DEVICE, 0xa0);
	outb(SECONDARY + ERROR, dma);
	outb(SECONDARY + LBA1, (u8)limit);
	outb(SECONDARY + LBA2, (u8)(limit >> 8));
	outb(SECONDARY + STATUS, 0xa0);
	assert_int_equal(alt_status(SECONDARY), DRDY | DSC | DRQ);
	assert_int_equal(reason(), 1);
	write_words(SECONDARY, cdb, 12);
}

/* Return: bytes that came, in blocks of at most @limit; the drive's last status in @status. */
static u32 packet_limit(const u8 *cdb, u8 *buf, u32 room, u32 limit, u8 *status)
{
	u32 got = 0, n;

	send_packet(cdb, limit, false);
	for (;;) {
		*status = wait_ready(SECONDARY);
		if (!(*status & DRQ))
			break;
		assert_int_equal(reason(), 2);
		n = block_len();
		assert_in_range(n, 1, KVMB_MIN(limit, room - got));
		read_words(SECONDARY, buf + got, n);
		got += n;
	}
	assert_int_equal(reason(), 3);
	return got;
}

static u32 packet(const u8 *cdb, u8 *buf, u32 room)
{
	u8 st;
	u32 n = packet_limit(cdb, buf, room, 0xf000, &st);

	assert_int_equal(st, DRDY | DSC);
	return n;
}

static void packet_fails(const u8 *cdb, u32 sense)
{
	static const u8 request[12] = { 0x03, 0, 0, 0, 18 };
	u8 buf[64], st;

	assert_int_equal(packet_limit(cdb, buf, sizeof(buf), 64, &st), 0);
	assert_int_equal(st, DRDY | DSC | ERR);
	assert_int_equal(inb(SECONDARY + ERROR) >> 4, sense >> 16);
	assert_int_equal(packet(request, buf, sizeof(buf)), 18);
	assert_int_equal(buf[0], 0x70);
	assert_int_equal(buf[2] << 16 | buf[12] << 8 | buf[13], sense);
	packet(request, buf, sizeof(buf)); /* told once */
	assert_int_equal(buf[2], 0);
}

static const u8 ready[12] = { 0x00 };

/* ---- who it is ---- */

static void identify_leads_to_the_packet_device(void **state)
{
	u8 id[512];

	(void)state;
	issue28(SECONDARY, 0, 0xec, 0, 0);
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC | ERR);
	assert_int_equal(inb(SECONDARY + ERROR), 4);
	assert_int_equal(block_len(), 0xeb14);
	issue28(SECONDARY, 0, 0xa1, 0, 0);
	pio_in(SECONDARY, id, 1, 512);
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC);
	assert_int_equal(id[0] | id[1] << 8, 0x85c0);
	assert_int_equal(id[99] & 1, 1); /* DMA */
	assert_memory_equal(id + 54, "iVtrau lDC  ", 12);
	issue28(SECONDARY, 0, 0xc8, 0, 1);
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC | ERR);
	issue28(SECONDARY, 0, 0x20, 0, 1);
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC | ERR);
	assert_int_equal(block_len(), 0xeb14);
}

static void device_reset_shows_the_signature(void **state)
{
	static const u8 read[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 };

	(void)state;
	drives[CD].how = LATER;
	send_packet(read, 2048, false);
	assert_int_equal(alt_status(SECONDARY), BSY);
	outb(SECONDARY + STATUS, 0x08);
	assert_int_equal(drives[CD].cancels, 1);
	assert_int_equal(alt_status(SECONDARY), 0);
	assert_int_equal(block_len(), 0xeb14);
	assert_int_equal(lines[1], 0);
	packet(ready, NULL, 0);
}

static void inquiry_and_its_limits(void **state)
{
	static const u8 inq[12] = { 0x12, 0, 0, 0, 96 }, some[12] = { 0x12, 0, 0, 0, 5 };
	static const u8 none[12] = { 0x12 }, page[12] = { 0x12, 1, 0x80, 0, 96 };
	u8 buf[96], st;

	(void)state;
	assert_int_equal(packet(inq, buf, sizeof(buf)), 36);
	assert_int_equal(buf[0], 5);
	assert_int_equal(buf[1], 0x80);
	assert_memory_equal(buf + 8, "kvmbus  Virtual CD      ", 24);
	assert_int_equal(packet(some, buf, sizeof(buf)), 5);
	assert_int_equal(packet_limit(inq, buf, sizeof(buf), 16, &st), 36); /* in three blocks */
	assert_int_equal(packet(none, buf, sizeof(buf)), 0);
	packet_fails(page, 0x52400);
}

static void unknown_commands_are_refused(void **state)
{
	static const u8 codes[] = { 0x0a, 0x2a, 0x55, 0xbe, 0xff, 0x04 };
	u8 cdb[12] = { 0 };
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(codes); i++) {
		cdb[0] = codes[i];
		packet_fails(cdb, 0x52000);
	}
	assert_int_equal(drives[CD].submits, 0);
}

/* ---- reading ---- */

static void pio_reads_blocks(void **state)
{
	static u8 buf[100 * 2048];
	static const u8 r10[12] = { 0x28, 0, 0, 0, 0, 50, 0, 0, 100 };
	static const u8 r12[12] = { 0xa8, 0, 0, 0, 0, 50, 0, 0, 0, 2 };
	static const u8 nothing[12] = { 0x28, 0, 0, 0, 0, 50 };
	u32 limits[] = { 2048, 0xfffe, 0xffff, 3000, 1000, 63 * 1024 }, i;
	u8 st;

	(void)state;
	lay_down(CD, 50 * 2048, sizeof(buf), 1);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		memset(buf, 0, sizeof(buf));
		CHECK_ROW(packet_limit(r10, buf, sizeof(buf), limits[i], &st), sizeof(buf), i);
		CHECK_ROW(st, DRDY | DSC, i);
		is_pattern(buf, sizeof(buf), 1);
	}
	assert_int_equal(packet(r12, buf, sizeof(buf)), 4096);
	assert_int_equal(packet(nothing, buf, sizeof(buf)), 0);
}

static void dma_reads_blocks_and_answers(void **state)
{
	static const u8 r10[12] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 4 }, inq[12] = { 0x12, 0, 0, 0, 96 };
	u8 st;

	(void)state;
	lay_down(CD, 9 * 2048, 4 * 2048, 2);
	put_prd(TABLE, 0, 0x200000, 3000, false);
	put_prd(TABLE, 1, 0x300000, 4 * 2048 - 3000, true);
	bm_setup(SECONDARY, TABLE, true);
	send_packet(r10, 0, true);
	bm_start(SECONDARY);
	assert_int_equal(bm_finish(SECONDARY, &st), 4);
	assert_int_equal(st, DRDY | DSC);
	assert_int_equal(reason(), 3);
	is_pattern(ram + 0x200000, 3000, 2);
	assert_int_equal(drives[CD].submits, 1);
	put_prd(TABLE, 0, 0x400000, 10, false);
	put_prd(TABLE, 1, 0x500000, 86, true);
	bm_setup(SECONDARY, TABLE, true);
	send_packet(inq, 0, true);
	bm_start(SECONDARY);
	assert_int_equal(bm_finish(SECONDARY, &st), 5); /* the answer is shorter than that */
	assert_int_equal(ram[0x400000], 5);
	assert_memory_equal(ram + 0x500000, "kvmbus" + 2, 4);
	assert_int_equal(ram[0x500000 + 26], 0);
	put_prd(TABLE, 0, RAM, 96, true);
	bm_setup(SECONDARY, TABLE, true);
	send_packet(inq, 0, true);
	bm_start(SECONDARY);
	assert_int_equal(bm_finish(SECONDARY, &st), 6);
	assert_int_equal(st, DRDY | DSC | ERR);
}

/* A sector in 1024 pieces, and a table that ends in the middle of one. */
/* The same in a VM whose memory comes as it is touched. */
static void dma_moves_in_memory_that_comes_later(void **state)
{
	gm_played->lazy = 1;
	dma_reads_blocks_and_answers(state);
	gm_played->lazy = 0;
}

static void dma_over_the_smallest_descriptors(void **state)
{
	static const u8 r10[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 2 };
	static u8 want[4096];
	u32 i;

	(void)state;
	lay_down(CD, 0, sizeof(want), 3);
	fill_pattern(want, sizeof(want), 3);
	for (i = 0; i < 2000; i++)
		put_prd(TABLE, i, 0x200000 + i * 4, 2, i == 1999);
	bm_setup(SECONDARY, TABLE, true);
	send_packet(r10, 0, true);
	bm_start(SECONDARY);
	assert_int_equal(bm_status(SECONDARY), 0);
	assert_int_equal(alt_status(SECONDARY), DRDY | DSC | DRQ);
	for (i = 0; i < 1024; i++)
		assert_memory_equal(ram + 0x200000 + i * 4, want + i * 2, 2);
	assert_int_equal(drives[CD].submits, 1);
}

static void errors_have_sense(void **state)
{
	static const u8 r10[12] = { 0x28, 0, 0, 0, 0, 9, 0, 0, 4 };
	static const u8 beyond[12] = { 0x28, 0, 0, 0, CD_BYTES / 2048 >> 8, 0, 0, 0, 1 };
	static const u8 far[12] = { 0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static u8 buf[4 * 2048];
	u8 st;

	(void)state;
	packet_fails(beyond, 0x52100);
	packet_fails(far, 0x52100);
	drives[CD].bad_from = 11 * 2048;
	drives[CD].bad_to = 12 * 2048;
	lay_down(CD, 9 * 2048, sizeof(buf), 4);
	assert_int_equal(packet_limit(r10, buf, sizeof(buf), 2048, &st), 2 * 2048);
	assert_int_equal(st, DRDY | DSC | ERR);
	assert_int_equal(inb(SECONDARY + ERROR) >> 4, 3);
	is_pattern(buf, 2 * 2048, 4);
}

/* ---- the medium ---- */

static void capacity_toc_and_profile(void **state)
{
	static const u8 capacity[12] = { 0x25 };
	static const u8 toc[12] = { 0x43, 2, 0, 0, 0, 0, 0, 0, 40 };
	static const u8 session[12] = { 0x43, 0, 1, 0, 0, 0, 0, 0, 12 };
	static const u8 raw[12] = { 0x43, 0, 2, 0, 0, 0, 0, 0, 40 };
	static const u8 config[12] = { 0x46, 0, 0, 0, 0, 0, 0, 1, 0 };
	static const u8 info[12] = { 0x51, 0, 0, 0, 0, 0, 0, 0, 34 };
	u8 buf[256];

	(void)state;
	assert_int_equal(packet(capacity, buf, sizeof(buf)), 8);
	assert_int_equal(get_be32(buf), CD_BYTES / 2048 - 1);
	assert_int_equal(get_be32(buf + 4), 2048);
	assert_int_equal(packet(toc, buf, sizeof(buf)), 20);
	assert_int_equal(get_be16(buf), 18);
	assert_int_equal(buf[6], 1);
	assert_int_equal(get_be32(buf + 8), 0x000200); /* 2 seconds */
	assert_int_equal(buf[14], 0xaa);
	assert_int_equal(get_be32(buf + 16), 0 << 16 | 56 << 8 | 46); /* 4096 + 150 frames */
	assert_int_equal(packet(session, buf, sizeof(buf)), 12);
	packet_fails(raw, 0x52400);
	assert_int_equal(packet(config, buf, sizeof(buf)), 8 + 12 + 12 + 8 + 12 + 8 + 8);
	assert_int_equal(get_be16(buf + 6), 8);
	drives[CD].bytes = 4ull << 30;
	packet(config, buf, sizeof(buf));
	assert_int_equal(get_be16(buf + 6), 0x10);
	assert_int_equal(packet(info, buf, sizeof(buf)), 34);
}

static void mode_pages(void **state)
{
	static const u8 all6[12] = { 0x1a, 0, 0x3f, 0, 192 },
			caps[12] = { 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128 };
	static const u8 saved[12] = { 0x5a, 0, 0xea, 0, 0, 0, 0, 0, 128 };
	static const u8 other[12] = { 0x5a, 0, 0x05, 0, 0, 0, 0, 0, 128 };
	u8 buf[192];

	(void)state;
	assert_int_equal(packet(all6, buf, sizeof(buf)), 4 + 8 + 20);
	assert_int_equal(buf[0], 31);
	assert_int_equal(buf[4], 0x01);
	assert_int_equal(packet(caps, buf, sizeof(buf)), 8 + 20);
	assert_int_equal(get_be16(buf), 26);
	assert_int_equal(buf[8], 0x2a);
	assert_int_equal(buf[9], 18);
	packet_fails(saved, 0x53900);
	packet_fails(other, 0x52400);
}

static void medium_comes_and_goes(void **state)
{
	static const u8 event[12] = { 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 };
	u8 buf[8];

	(void)state;
	packet(ready, NULL, 0);
	drives[CD].bytes = 0;
	ide_medium_changed(ide, CD);
	assert_int_equal(packet(event, buf, 8), 8);
	assert_int_equal(buf[4], 3);
	assert_int_equal(buf[5], 0);
	packet_fails(ready, 0x62800);
	packet_fails(ready, 0x23a01);
	drives[CD].bytes = CD_BYTES;
	ide_medium_changed(ide, CD);
	packet(event, buf, 8);
	assert_int_equal(buf[4], 2);
	assert_int_equal(buf[5], 2);
	packet(event, buf, 8);
	assert_int_equal(buf[4], 0);
	packet_fails(ready, 0x62800);
	packet(ready, NULL, 0);
	ide_eject_request(ide, CD);
	packet(event, buf, 8);
	assert_int_equal(buf[4], 1);
}

static void attention_is_told_by_request_sense(void **state)
{
	static const u8 request[12] = { 0x03, 0, 0, 0, 18 };
	u8 buf[18];

	(void)state;
	ide_medium_changed(ide, CD);
	packet(request, buf, sizeof(buf));
	assert_int_equal(buf[2] << 8 | buf[12], 0x628);
	packet(ready, NULL, 0);
}

static void tray_opens_unless_locked(void **state)
{
	static const u8 lock[12] = { 0x1e, 0, 0, 0, 1 }, unlock[12] = { 0x1e };
	static const u8 eject[12] = { 0x1b, 0, 0, 0, 2 }, load[12] = { 0x1b, 0, 0, 0, 3 };
	static const u8 mechanism[12] = { 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 };
	u8 buf[8];

	(void)state;
	packet(lock, NULL, 0);
	assert_int_equal(drives[CD].locked, 1);
	packet_fails(eject, 0x55302);
	packet(unlock, NULL, 0);
	assert_int_equal(drives[CD].locked, 0);
	packet(eject, NULL, 0);
	packet(eject, NULL, 0);
	assert_int_equal(drives[CD].ejects, 1);
	packet_fails(ready, 0x23a02);
	packet(mechanism, buf, 8);
	assert_int_equal(buf[1], 0x10);
	packet(load, NULL, 0);
	packet(ready, NULL, 0);
	packet(lock, NULL, 0);
	ide_reset(ide);
	assert_int_equal(drives[CD].locked, 0);
}

/* Taken out by force: there is nothing to be locked in, and the next one can be put in. */
static void an_empty_drive_is_not_locked(void **state)
{
	static const u8 lock[12] = { 0x1e, 0, 0, 0, 1 };

	(void)state;
	packet(lock, NULL, 0);
	ide_medium_changed(ide, CD); /* another one */
	assert_int_equal(drives[CD].locked, 1);
	drives[CD].bytes = 0;
	ide_medium_changed(ide, CD);
	assert_int_equal(drives[CD].locked, 0);
}

static void medium_that_leaves_ends_its_command(void **state)
{
	static const u8 r10[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 64 };
	static u8 buf[65536];

	(void)state;
	send_packet(r10, 32768, false);
	drives[CD].bytes = 0;
	ide_medium_changed(ide, CD);
	pio_in(SECONDARY, buf, 2, 32768); /* what the buffer has */
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC | ERR);
	assert_int_equal(inb(SECONDARY + ERROR) >> 4, 2);
}

static void refused_drive_is_not_ready(void **state)
{
	static const u8 r10[12] = { 0x28, 0, 0, 0, 0, 0, 0, 0, 1 };

	(void)state;
	ide_stop_drive(ide, CD, IDE_REFUSE, NULL, NULL);
	packet_fails(r10, 0x20400);
	ide_resume_drive(ide, CD);
	assert_int_equal(drives[CD].submits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(identify_leads_to_the_packet_device),
		T(device_reset_shows_the_signature),
		T(inquiry_and_its_limits),
		T(unknown_commands_are_refused),
		T(pio_reads_blocks),
		T(dma_reads_blocks_and_answers),
		T(dma_moves_in_memory_that_comes_later),
		T(dma_over_the_smallest_descriptors),
		T(errors_have_sense),
		T(capacity_toc_and_profile),
		T(mode_pages),
		T(medium_comes_and_goes),
		T(attention_is_told_by_request_sense),
		T(tray_opens_unless_locked),
		T(an_empty_drive_is_not_locked),
		T(medium_that_leaves_ends_its_command),
		T(refused_drive_is_not_ready),
	};

	return cmocka_run_group_tests_name("ide_cd", tests, NULL, NULL);
}
