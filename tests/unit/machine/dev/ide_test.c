// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks at the IDE controller, as drivers use them: Linux drivers/ata/libata-sff.c and ata_piix.c,
 * and firmware. Sources: T13 ATA/ATAPI-6; SFF-8038i; Intel 82371SB data sheet.
 */
#include <signal.h>

#include "tests/harness/ide_box.h"

#define TABLE 0x10000u
#define DISK 0u
#define SLAVE 1u
#define DISK_BYTES (32u << 20)

static int setup(void **state)
{
	(void)state;
	open_box();
	attach(DISK, DISK_BYTES, false, false);
	enable_master();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_box();
	return 0;
}

static u16 word(const u8 *id, u32 n)
{
	return (u16)(id[n * 2] | id[n * 2 + 1] << 8);
}

static void identify_disk_of(u32 base, u8 dev, u8 *id)
{
	issue28(base, dev, 0xec, 0, 0);
	pio_in(base, id, 1, 512);
	assert_int_equal(wait_ready(base), DRDY | DSC);
}

/* ---- the function ---- */

static void ide_is_function_1_of_a_piix3(void **state)
{
	(void)state;
	assert_int_equal(config_in(0, 4), 0x70108086);
	assert_int_equal(config_in(8, 4) >> 8, 0x010180);
	assert_int_equal(config_in(0x3d, 1), 0);
	config_out(0x20, 4, 0xffffffff);
	assert_int_equal(config_in(0x20, 4), 0xfffffff1);
	config_out(0x20, 4, BM);
	assert_int_equal(config_in(0x20, 4), BM | 1);
	assert_int_equal(config_in(0x40, 4), 0x80008000);
	config_out(0x40, 2, 0xe377);
	assert_int_equal(config_in(0x40, 4), 0x8000e377);
	config_out(0x44, 1, 0xff);
	assert_int_equal(config_in(0x44, 1), 0xff);
}

static void ports_are_there_while_decoded(void **state)
{
	(void)state;
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	config_out(0x40, 2, 0);
	assert_int_equal(alt_status(PRIMARY), 0xff);
	assert_int_equal(in(PRIMARY, 4), 0xffffffff);
	outb(PRIMARY + STATUS, 0xec);
	config_out(0x40, 2, 0x8000);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
}

/* ata_devchk(): which of two drives keeps what is written; an empty channel has none. */
static void only_drives_that_are_there_answer(void **state)
{
	u32 bases[] = { PRIMARY, SECONDARY }, i, dev;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (dev = 0; dev < 2; dev++) {
			outb(bases[i] + DEVICE, (u8)(0xa0 | dev << 4));
			outb(bases[i] + COUNT, 0x55);
			outb(bases[i] + LBA0, 0xaa);
			assert_int_equal(inb(bases[i] + COUNT), !i && !dev ? 0x55 : 0);
			assert_int_equal(inb(bases[i] + LBA0), !i && !dev ? 0xaa : 0);
			assert_int_equal(inb(bases[i] + DEVICE), !i && !dev ? 0xa0 : 0);
			assert_int_equal(alt_status(bases[i]), !i && !dev ? DRDY | DSC : 0);
			outb(bases[i] + STATUS, 0xec); /* nobody there: nothing happens */
			if (i || dev)
				assert_int_equal(in((u16)bases[i], 2), 0xffff);
			else
				wait_ready(bases[i]), outb(bases[i] + 0x206, 4),
					outb(bases[i] + 0x206, 0);
		}
	}
	assert_int_equal(raises[1], 0);
}

/* ---- IDENTIFY, settings ---- */

static void identify_says_what_the_disk_is(void **state)
{
	u8 id[512], sum = 0;
	u32 i;

	(void)state;
	identify_disk_of(PRIMARY, 0, id);
	assert_int_equal(raises[0], 1);
	assert_int_equal(word(id, 0), 0x40);
	assert_int_equal(word(id, 1), DISK_BYTES / 512 / 16 / 63);
	assert_memory_equal(id + 20, "VK103254769", 10); /* bytes of words are swapped */
	assert_memory_equal(id + 54, "iVtrau lDH  ", 12);
	assert_int_equal(word(id, 49) & 0x0300, 0x0300);
	assert_int_equal(word(id, 60) | word(id, 61) << 16, DISK_BYTES / 512);
	assert_int_equal(word(id, 100) | word(id, 101) << 16, DISK_BYTES / 512);
	assert_int_equal(word(id, 82) & 1, 0); /* no SMART */
	assert_int_equal(word(id, 83) & 0xf400, 0x7400);
	assert_int_equal(word(id, 88), 0x3f);
	assert_int_equal(word(id, 47), 0x8010);
	for (i = 0; i < 512; i++)
		sum = (u8)(sum + id[i]);
	assert_int_equal(sum, 0);
}

static void identify_of_a_huge_disk(void **state)
{
	u8 id[512];

	(void)state;
	attach(SLAVE, HUGE_BYTES, false, false);
	identify_disk_of(PRIMARY, 1, id);
	assert_int_equal(word(id, 1), 16383);
	assert_int_equal(word(id, 60) | (u32)word(id, 61) << 16, 0x0fffffff);
	assert_int_equal(word(id, 100) | (u64)word(id, 101) << 16 | (u64)word(id, 102) << 32,
			 HUGE_BYTES / 512);
	drives[SLAVE].bytes = DISK_BYTES; /* it may change */
	identify_disk_of(PRIMARY, 1, id);
	assert_int_equal(word(id, 100) | word(id, 101) << 16, DISK_BYTES / 512);
}

static void set_features(u8 feature, u8 count, u8 want)
{
	outb(PRIMARY + ERROR, feature);
	issue28(PRIMARY, 0, 0xef, 0, count);
	assert_int_equal(wait_ready(PRIMARY), want);
}

static void transfer_modes_are_remembered(void **state)
{
	u8 id[512];

	(void)state;
	set_features(3, 0x22, DRDY | DSC);
	identify_disk_of(PRIMARY, 0, id);
	assert_int_equal(word(id, 63), 0x0407);
	assert_int_equal(word(id, 88), 0x003f);
	set_features(3, 0x45, DRDY | DSC);
	identify_disk_of(PRIMARY, 0, id);
	assert_int_equal(word(id, 63), 0x0007);
	assert_int_equal(word(id, 88), 0x203f);
	set_features(3, 0x46, DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 4);
	set_features(3, 0x23, DRDY | DSC | ERR);
	set_features(0x77, 0, DRDY | DSC | ERR);
}

static void without_write_cache_each_write_is_stable(void **state)
{
	static u8 buf[512];
	u8 id[512];

	(void)state;
	identify_disk_of(PRIMARY, 0, id);
	assert_int_equal(word(id, 85) & 0x20, 0x20);
	set_features(0x82, 0, DRDY | DSC);
	assert_int_equal(drives[DISK].flushes, 1);
	identify_disk_of(PRIMARY, 0, id);
	assert_int_equal(word(id, 85) & 0x20, 0);
	issue28(PRIMARY, 0, 0x30, 1, 1);
	pio_out(PRIMARY, buf, 1, 512);
	wait_ready(PRIMARY);
	assert_int_equal(drives[DISK].fuas, 1);
	set_features(0x02, 0, DRDY | DSC);
	issue28(PRIMARY, 0, 0x30, 1, 1);
	pio_out(PRIMARY, buf, 1, 512);
	wait_ready(PRIMARY);
	assert_int_equal(drives[DISK].fuas, 1);
}

static void commands_without_data(void **state)
{
	static const u8 good[] = { 0x10, 0x1f, 0x70, 0x94, 0x95, 0x96, 0x97, 0x99,
				   0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0xe7, 0xea };
	static const u8 bad[] = { 0x00, 0x08, 0x22, 0xa0, 0xa1, 0xb0, 0xf9, 0xff, 0x06 };
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(good); i++) {
		issue28(PRIMARY, 0, good[i], 0, 0);
		assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
		assert_int_equal(raises[0], i + 1);
	}
	assert_int_equal(drives[DISK].flushes, 2);
	for (i = 0; i < sizeof(bad); i++) {
		issue28(PRIMARY, 0, bad[i], 0, 0);
		assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
		assert_int_equal(inb(PRIMARY + ERROR), 4);
	}
	issue28(PRIMARY, 0, 0xe5, 0, 0);
	wait_ready(PRIMARY);
	assert_int_equal(inb(PRIMARY + COUNT), 0xff);
}

static void native_max_is_the_last_sector(void **state)
{
	(void)state;
	issue28(PRIMARY, 0, 0xf8, 0, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	assert_int_equal(inb(PRIMARY + LBA0) | inb(PRIMARY + LBA1) << 8 | inb(PRIMARY + LBA2) << 16,
			 DISK_BYTES / 512 - 1);
	attach(SLAVE, HUGE_BYTES, false, false);
	issue48(PRIMARY, 1, 0x27, 0, 0);
	wait_ready(PRIMARY);
	assert_int_equal(inb(PRIMARY + LBA0), 0xff);
	outb(PRIMARY + 0x206, 0x80); /* what was there before: the higher bytes */
	assert_int_equal(inb(PRIMARY + LBA0), (HUGE_BYTES / 512 - 1) >> 24);
	outb(PRIMARY + 0x206, 0);
}

/* ---- PIO ---- */

static void pio_reads_sector_by_sector(void **state)
{
	static u8 buf[256 * 512];

	(void)state;
	lay_down(DISK, 77 * 512, sizeof(buf), 1);
	issue28(PRIMARY, 0, 0x20, 77, 3);
	pio_in(PRIMARY, buf, 3, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	is_pattern(buf, 3 * 512, 1);
	assert_int_equal(raises[0], 3);	  /* one a block, none at the end */
	issue28(PRIMARY, 0, 0x20, 77, 0); /* 0 = 256: more than the buffer has */
	pio_in(PRIMARY, buf, 256, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	is_pattern(buf, sizeof(buf), 1);
	assert_int_equal(drives[DISK].submits, 3);
}

static void pio_writes_sector_by_sector(void **state)
{
	static u8 buf[200 * 512];

	(void)state;
	fill_pattern(buf, sizeof(buf), 5);
	issue28(PRIMARY, 0, 0x30, 1000, 200);
	assert_int_equal(lines[0], 0); /* none for the first block */
	pio_out(PRIMARY, buf, 200, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	assert_int_equal(raises[0], 200);
	lies_there(DISK, 1000 * 512, sizeof(buf), 5);
	assert_int_equal(drives[DISK].submits, 2);
}

static void multiple_moves_several_sectors_a_block(void **state)
{
	static u8 buf[20 * 512];

	(void)state;
	issue28(PRIMARY, 0, 0xc6, 0, 8);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	fill_pattern(buf, sizeof(buf), 9);
	issue28(PRIMARY, 0, 0xc5, 300, 20);
	pio_out(PRIMARY, buf, 2, 8 * 512);
	pio_out(PRIMARY, buf + 16 * 512, 1, 4 * 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	assert_int_equal(raises[0], 4);
	lies_there(DISK, 300 * 512, sizeof(buf), 9);
	memset(buf, 0, sizeof(buf));
	issue48(PRIMARY, 0, 0x29, 300, 20);
	pio_in(PRIMARY, buf, 2, 8 * 512);
	pio_in(PRIMARY, buf + 16 * 512, 1, 4 * 512);
	is_pattern(buf, sizeof(buf), 9);
	issue28(PRIMARY, 0, 0xc6, 0, 3);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	issue28(PRIMARY, 0, 0xc6, 0, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	issue28(PRIMARY, 0, 0xc4, 0, 1);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
}

static void data_port_takes_any_width(void **state)
{
	u8 buf[512];
	u32 i, n = 0, v, size;

	(void)state;
	lay_down(DISK, 0, 512, 3);
	issue28(PRIMARY, 0, 0x20, 0, 1);
	wait_ready(PRIMARY);
	for (i = 0; n < 512; i++, n += size) {
		size = i % 3 ? 1u << i % 3 : 1;
		size = KVMB_MIN(size, 512 - n);
		size = size == 3 ? 2 : size;
		v = in(PRIMARY, size);
		memcpy(buf + n, &v, size);
	}
	is_pattern(buf, 512, 3);
	assert_int_equal(inb(PRIMARY + STATUS), DRDY | DSC);
	assert_int_equal(in(PRIMARY, 4), 0xffffffff);
}

static void chs_follows_the_translation(void **state)
{
	u8 buf[512];

	(void)state;
	lay_down(DISK, ((5 * 16 + 3) * 63 + 10) * 512, 512, 4);
	outb(PRIMARY + DEVICE, 0xa3);
	outb(PRIMARY + COUNT, 1);
	outb(PRIMARY + LBA0, 11);
	outb(PRIMARY + LBA1, 5);
	outb(PRIMARY + LBA2, 0);
	outb(PRIMARY + STATUS, 0x21);
	pio_in(PRIMARY, buf, 1, 512);
	is_pattern(buf, 512, 4);
	lay_down(DISK, ((5 * 8 + 3) * 32 + 10) * 512, 512, 6);
	outb(PRIMARY + DEVICE, 0xa7);
	outb(PRIMARY + COUNT, 32);
	outb(PRIMARY + STATUS, 0x91);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	outb(PRIMARY + DEVICE, 0xa3);
	outb(PRIMARY + COUNT, 1);
	outb(PRIMARY + STATUS, 0x20);
	pio_in(PRIMARY, buf, 1, 512);
	is_pattern(buf, 512, 6);
	outb(PRIMARY + LBA0, 33); /* no such sector */
	outb(PRIMARY + STATUS, 0x20);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 0x10);
	outb(PRIMARY + COUNT, 0);
	outb(PRIMARY + STATUS, 0x91);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
}

static void lba48_reaches_beyond_28_bits(void **state)
{
	u64 lba = 0x12345678ull;
	static u8 buf[512];

	(void)state;
	attach(SLAVE, HUGE_BYTES, false, false);
	fill_pattern(buf, 512, 11);
	issue48(PRIMARY, 1, 0x34, lba, 1);
	pio_out(PRIMARY, buf, 1, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	lies_there(SLAVE, lba * 512, 512, 11);
	memset(buf, 0, 512);
	issue48(PRIMARY, 1, 0x24, lba, 1);
	pio_in(PRIMARY, buf, 1, 512);
	is_pattern(buf, 512, 11);
	issue48(PRIMARY, 1, 0x24, HUGE_BYTES / 512 - 1, 2);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 0x10);
	issue48(PRIMARY, 1, 0x24, 0xffffffffffffull, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(drives[SLAVE].submits, 2);
}

static void verify_reads_and_tells_nothing(void **state)
{
	(void)state;
	issue28(PRIMARY, 0, 0x40, 0, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	assert_int_equal(raises[0], 1);
	assert_int_equal(drives[DISK].submits, 2);
	drives[DISK].bad_from = 100 * 512;
	drives[DISK].bad_to = 101 * 512;
	issue48(PRIMARY, 0, 0x42, 50, 100);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 0x40);
	assert_int_equal(inb(PRIMARY + LBA0), 100);
}

static void a_drive_is_busy_while_it_waits_for_the_backend(void **state)
{
	u8 buf[512];

	(void)state;
	lay_down(DISK, 512, 512, 2);
	drives[DISK].how = LATER;
	issue28(PRIMARY, 0, 0x20, 1, 1);
	assert_int_equal(alt_status(PRIMARY), BSY);
	outb(PRIMARY + LBA0, 0x77); /* ignored, as are further commands */
	outb(PRIMARY + STATUS, 0xec);
	outb(PRIMARY + DEVICE, 0xf0);
	assert_int_equal(in(PRIMARY, 2), 0xffff);
	assert_int_equal(lines[0], 0);
	finish(&drives[DISK]);
	assert_int_equal(lines[0], 1);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC | DRQ);
	assert_int_equal(lines[0], 1);
	assert_int_equal(inb(PRIMARY + STATUS), DRDY | DSC | DRQ);
	assert_int_equal(lines[0], 0);
	assert_int_equal(inb(PRIMARY + LBA0), 1);
	read_words(PRIMARY, buf, 512);
	is_pattern(buf, 512, 2);
}

static void read_error_names_the_sector_and_gives_those_before(void **state)
{
	static u8 buf[16 * 512];

	(void)state;
	lay_down(DISK, 1000 * 512, 10 * 512, 8);
	drives[DISK].bad_from = 1004 * 512;
	drives[DISK].bad_to = 1005 * 512;
	issue28(PRIMARY, 0, 0x20, 1000, 10);
	pio_in(PRIMARY, buf, 4, 512);
	is_pattern(buf, 4 * 512, 8);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 0x40);
	assert_int_equal(inb(PRIMARY + LBA0) | inb(PRIMARY + LBA1) << 8, 1004);
	issue28(PRIMARY, 0, 0xc4, 990, 30); /* 16 sectors a block */
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + LBA0) | inb(PRIMARY + LBA1) << 8, 1004);
	issue28(PRIMARY, 0, 0xc4, 980, 26);
	pio_in(PRIMARY, buf, 1, 16 * 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
}

static void write_and_flush_errors(void **state)
{
	static u8 buf[4 * 512];

	(void)state;
	drives[DISK].bad_from = 502 * 512;
	drives[DISK].bad_to = 503 * 512;
	fill_pattern(buf, sizeof(buf), 7);
	issue28(PRIMARY, 0, 0x30, 500, 4);
	pio_out(PRIMARY, buf, 4, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | DF | ERR);
	assert_int_equal(inb(PRIMARY + LBA0) | inb(PRIMARY + LBA1) << 8, 502);
	lies_there(DISK, 500 * 512, 2 * 512, 7);
	drives[DISK].err = -EIO;
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | DF | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 4);
	drives[DISK].err = 0;
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
}

static void read_only_disk_refuses_writes(void **state)
{
	static const u8 writes[] = { 0x30, 0x31, 0x34, 0x35, 0x39, 0x3d, 0xc5, 0xca, 0xce };
	u32 i;

	(void)state;
	attach(SLAVE, DISK_BYTES, false, true);
	for (i = 0; i < sizeof(writes); i++) {
		issue48(PRIMARY, 1, writes[i], 0, 1);
		assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
		assert_int_equal(inb(PRIMARY + ERROR), 4);
	}
	assert_int_equal(drives[SLAVE].submits, 0);
}

/* ---- interrupts ---- */

static void nien_holds_the_interrupt_back(void **state)
{
	(void)state;
	outb(PRIMARY + 0x206, 2);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(raises[0], 0);
	outb(PRIMARY + 0x206, 0);
	assert_int_equal(lines[0], 1);
	inb(PRIMARY + STATUS);
	assert_int_equal(lines[0], 0);
}

static void interrupts_are_of_the_drive_that_is_chosen(void **state)
{
	(void)state;
	attach(SLAVE, DISK_BYTES, false, false);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(lines[0], 1);
	outb(PRIMARY + DEVICE, 0xb0);
	assert_int_equal(lines[0], 0);
	outb(PRIMARY + DEVICE, 0xa0);
	assert_int_equal(lines[0], 1);
	inb(PRIMARY + STATUS);
	attach(2, DISK_BYTES, false, false);
	issue28(SECONDARY, 0, 0xe7, 0, 0);
	assert_int_equal(lines[0], 0);
	assert_int_equal(lines[1], 1);
}

/* ---- DMA ---- */

/* Three pieces that are scattered, one of them odd in length. */
static void scatter(u32 bytes)
{
	put_prd(TABLE, 0, 0x200000, 1024 + 2, false);
	put_prd(TABLE, 1, 0x300002, 510, false);
	put_prd(TABLE, 2, 0x400000, bytes - 1536, true);
}

static void dma_reads_over_scattered_memory(void **state)
{
	static u8 want[8192];
	u8 st;

	(void)state;
	lay_down(DISK, 4000 * 512, sizeof(want), 21);
	fill_pattern(want, sizeof(want), 21);
	scatter(sizeof(want));
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 4000, 16);
	assert_int_equal(drives[DISK].submits, 0); /* not started */
	bm_start(PRIMARY);
	assert_int_equal(lines[0], 1);
	assert_int_equal(bm_finish(PRIMARY, &st), 4);
	assert_int_equal(st, DRDY | DSC);
	assert_memory_equal(ram + 0x200000, want, 1026);
	assert_memory_equal(ram + 0x300002, want + 1026, 510);
	assert_memory_equal(ram + 0x400000, want + 1536, sizeof(want) - 1536);
	assert_int_equal(drives[DISK].submits, 1);
	assert_int_equal(drives[DISK].last_num_iov, 3);
	assert_int_equal(bm_status(PRIMARY), 0);
	assert_int_equal(ram[0x200000 + 1026], 0);
	assert_int_equal(ram[0x300001], 0);
}

/* ---- memory that comes when it is touched ---- */

static struct {
	u8 *page[4]; /* that have not come */
	u32 num, came;
	bool blocked; /* the lock was held meanwhile */
	sem_t touched, looked;
} later;

/* As the main thread does. */
static void *look_at_drives(void *arg)
{
	struct ide_stats s;

	(void)arg;
	while (!sem_wait(&later.touched)) {
		if (later.came == later.num)
			break;
		ide_get_stats(ide, DISK, &s);
		sem_post(&later.looked);
	}
	return NULL;
}

static void on_missing(int sig, siginfo_t *si, void *context)
{
	u8 *page = (u8 *)((uintptr_t)si->si_addr & ~(uintptr_t)4095);
	struct timespec until;
	u32 i;

	(void)context;
	for (i = 0; i < later.num && later.page[i] != page; i++)
		;
	if (i == later.num) { /* a fault of the test */
		signal(sig, SIG_DFL);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	sem_post(&later.touched);
	later.blocked |= sem_timedwait(&later.looked, &until) != 0;
	later.came++;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void comes_later(u32 gpa)
{
	later.page[later.num++] = ram + gpa;
	mprotect(ram + gpa, 4096, PROT_NONE);
}

/* The main thread takes the lock, and it is who brings memory when a link is mended. */
static void memory_that_comes_later_is_waited_for_without_the_lock(void **state)
{
	const u32 table = 0x1fff8; /* it wraps in its 64 KiB */
	struct sigaction sa = { .sa_sigaction = on_missing, .sa_flags = SA_SIGINFO }, old;
	pthread_t t;
	u8 st;

	(void)state;
	memset(&later, 0, sizeof(later));
	sem_init(&later.touched, 0, 0);
	sem_init(&later.looked, 0, 0);
	sigaction(SIGSEGV, &sa, &old);
	assert_int_equal(pthread_create(&t, NULL, look_at_drives, NULL), 0);
	lay_down(DISK, 0, 8192, 23);
	put_prd(table, 0, 0x200000, 4096, false);
	put_prd(TABLE, 0, 0x300000, 4096, true);
	gm_played->lazy = 1;
	comes_later(0x1f000);
	comes_later(TABLE);
	bm_setup(PRIMARY, table, true);
	issue28(PRIMARY, 0, 0xc8, 0, 16);
	bm_start(PRIMARY);
	assert_int_equal(bm_finish(PRIMARY, &st), 4);
	assert_int_equal(st, DRDY | DSC);
	gm_played->lazy = 0;
	assert_int_equal(later.came, 2);
	sem_post(&later.touched);
	pthread_join(t, NULL);
	sigaction(SIGSEGV, &old, NULL);
	assert_false(later.blocked);
	is_pattern(ram + 0x200000, 4096, 23);
	is_pattern(ram + 0x300000, 4096, 4096 + 23);
}

static void dma_writes_and_start_may_come_first(void **state)
{
	u8 st;

	(void)state;
	fill_pattern(ram + 0x200000, 4096, 22);
	put_prd(TABLE, 0, 0x200000, 4096, true);
	bm_setup(PRIMARY, TABLE, false);
	bm_start(PRIMARY);
	assert_int_equal(bm_status(PRIMARY), 1);
	issue48(PRIMARY, 0, 0x35, 123, 8);
	assert_int_equal(bm_finish(PRIMARY, &st), 4);
	assert_int_equal(st, DRDY | DSC);
	lies_there(DISK, 123 * 512, 4096, 22);
	bm_setup(PRIMARY, TABLE, false);
	issue48(PRIMARY, 0, 0x3d, 200, 8);
	bm_start(PRIMARY);
	bm_finish(PRIMARY, &st);
	assert_int_equal(drives[DISK].fuas, 1);
}

static void dma_of_the_largest_command(void **state)
{
	u32 i, num = 65536 * 512 / 65536;
	u8 st;

	(void)state;
	attach(SLAVE, HUGE_BYTES, false, false);
	lay_down(SLAVE, 0, 32u << 20, 1);
	for (i = 0; i < num; i++) /* all to the same place: 0 bytes are 64 KiB */
		put_prd(TABLE, i, 0x800000, 0, i == num - 1);
	bm_setup(PRIMARY, TABLE, true);
	issue48(PRIMARY, 1, 0x25, 0, 0);
	bm_start(PRIMARY);
	assert_int_equal(bm_finish(PRIMARY, &st), 4);
	assert_int_equal(st, DRDY | DSC);
	assert_int_equal(drives[SLAVE].submits, 16);
	assert_int_equal(drives[SLAVE].last_offset + drives[SLAVE].last_length, 32u << 20);
}

static void dma_over_the_smallest_descriptors(void **state)
{
	static u8 want[4096];
	u32 i;
	u8 st;

	(void)state;
	lay_down(DISK, 0, sizeof(want), 30);
	fill_pattern(want, sizeof(want), 30);
	for (i = 0; i < 2048; i++) /* every second word */
		put_prd(TABLE, i, 0x200000 + i * 4, 2, i == 2047);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 0, 8);
	bm_start(PRIMARY);
	assert_int_equal(bm_finish(PRIMARY, &st), 4);
	for (i = 0; i < 2048; i++)
		assert_memory_equal(ram + 0x200000 + i * 4, want + i * 2, 2);
	assert_int_equal(drives[DISK].submits, 2);
}

static void short_table_leaves_the_drive_waiting(void **state)
{
	(void)state;
	lay_down(DISK, 0, 1024, 31);
	put_prd(TABLE, 0, 0x200000, 512, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 0, 2);
	bm_start(PRIMARY);
	assert_int_equal(bm_status(PRIMARY), 0);
	assert_int_equal(lines[0], 0);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC | DRQ);
	is_pattern(ram + 0x200000, 512, 31);
	outb(PRIMARY + BM, 8);
	put_prd(TABLE, 0, 0x200200, 512, true); /* another table goes on */
	outb(bm_port(PRIMARY), 8);
	bm_start(PRIMARY);
	assert_int_equal(bm_finish(PRIMARY, NULL), 4);
	is_pattern(ram + 0x200000, 1024, 31);
}

static void long_table_stays_active(void **state)
{
	u8 st;

	(void)state;
	put_prd(TABLE, 0, 0x200000, 512, false);
	put_prd(TABLE, 1, 0x200200, 512, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 0, 1);
	bm_start(PRIMARY);
	assert_int_equal(bm_finish(PRIMARY, &st), 5);
	assert_int_equal(st, DRDY | DSC);
	assert_int_equal(bm_status(PRIMARY), 0);
}

static void hostile_tables_end_with_an_error(void **state)
{
	static const struct {
		u32 table, address, count;
	} rows[] = {
		{ TABLE, RAM, 512 },	   /* no memory */
		{ TABLE, RAM - 256, 512 }, /* half of it */
		{ TABLE, 0xfffffffe, 0 },  /* around the end */
		{ RAM, 0x200000, 512 },	   /* a table that is not there */
		{ 0xfffffffc, 0x200000, 512 },
	};
	u32 i;
	u8 st;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		put_prd(TABLE, 0, rows[i].address, rows[i].count, true);
		bm_setup(PRIMARY, rows[i].table, true);
		issue28(PRIMARY, 0, 0xc8, 0, 1);
		bm_start(PRIMARY);
		CHECK_ROW(bm_finish(PRIMARY, &st), 6, i);
		CHECK_ROW(st, DRDY | DSC | ERR, i);
		CHECK_ROW(bm_status(PRIMARY), 0, i);
	}
	assert_int_equal(drives[DISK].submits, 0);
}

/* Without an end it goes round its 64 KiB, once. */
static void endless_table_is_left_after_64k(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 8192; i++)
		put_prd(0x20000, i, 0x200000, 2, false);
	bm_setup(PRIMARY, 0x28000, true);
	issue28(PRIMARY, 0, 0xc8, 0, 0);
	bm_start(PRIMARY);
	assert_int_equal(bm_status(PRIMARY), 0);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC | DRQ);
	assert_int_equal(drives[DISK].submits, 8192 * 2 / 2048);
}

static void function_that_is_no_master_moves_nothing(void **state)
{
	u8 st;

	(void)state;
	config_out(4, 2, 1);
	put_prd(TABLE, 0, 0x200000, 512, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 0, 1);
	bm_start(PRIMARY);
	assert_int_equal(bm_finish(PRIMARY, &st), 6);
	assert_int_equal(drives[DISK].submits, 0);
}

static void dma_error_names_the_sector(void **state)
{
	u8 st;

	(void)state;
	drives[DISK].bad_from = 105 * 512;
	drives[DISK].bad_to = 106 * 512;
	put_prd(TABLE, 0, 0x200000, 8192, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 100, 16);
	bm_start(PRIMARY);
	bm_finish(PRIMARY, &st);
	assert_int_equal(st, DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 0x40);
	assert_int_equal(inb(PRIMARY + LBA0), 105);
}

static void stopped_master_does_not_tear_a_request(void **state)
{
	(void)state;
	drives[DISK].how = LATER;
	lay_down(DISK, 0, 512, 40);
	put_prd(TABLE, 0, 0x200000, 512, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 0, 1);
	bm_start(PRIMARY);
	outb(bm_port(PRIMARY), 0);
	assert_int_equal(bm_status(PRIMARY), 0);
	assert_int_equal(alt_status(PRIMARY), BSY);
	bm_start(PRIMARY); /* from the beginning of the table */
	finish(&drives[DISK]);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
	is_pattern(ram + 0x200000, 512, 40);
}

static void both_channels_move_from_threads(void **state)
{
	u32 round;
	u8 st;

	(void)state;
	attach(2, DISK_BYTES, false, false);
	drives[DISK].how = drives[2].how = THREAD;
	lay_down(DISK, 0, 65536, 50);
	lay_down(2, 0, 65536, 51);
	put_prd(TABLE, 0, 0x200000, 0, true);
	put_prd(TABLE + 0x8000, 0, 0x300000, 0, true);
	for (round = 0; round < 20; round++) {
		memset(ram + 0x200000, 0, 0x200000);
		bm_setup(PRIMARY, TABLE, true);
		bm_setup(SECONDARY, TABLE + 0x8000, true);
		issue28(PRIMARY, 0, 0xc8, 0, 128);
		issue28(SECONDARY, 0, 0xc8, 0, 128);
		bm_start(PRIMARY);
		bm_start(SECONDARY);
		assert_int_equal(bm_finish(PRIMARY, &st), 4);
		assert_int_equal(bm_finish(SECONDARY, &st), 4);
		is_pattern(ram + 0x200000, 65536, 50);
		is_pattern(ram + 0x300000, 65536, 51);
	}
}

static void bm_registers_in_any_width(void **state)
{
	(void)state;
	out(BM + 4, 4, 0xffffffff);
	assert_int_equal(in(BM + 4, 4), 0xfffffffc);
	out(BM + 5, 2, 0x1234);
	assert_int_equal(in(BM + 4, 4), 0xff1234fc);
	assert_int_equal(in(BM + 14, 4) >> 16, 0xffff); /* behind the end */
	outb(BM + 2, 0x60);
	assert_int_equal(bm_status(PRIMARY), 0x60);
	assert_int_equal(inb(BM + 1), 0);
	out(BM, 4, 0x00000008);
	assert_int_equal(inb(BM), 8);
}

/* ---- resets ---- */

static void srst(u32 base)
{
	outb(base + 0x206, 4);
	assert_int_equal(alt_status(base), BSY);
	outb(base + 0x206, 0);
}

static void soft_reset_shows_signatures(void **state)
{
	(void)state;
	attach(SLAVE, 1 << 20, true, true);
	outb(PRIMARY + DEVICE, 0xf5);
	srst(PRIMARY);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	assert_int_equal(inb(PRIMARY + ERROR), 1);
	assert_int_equal(inb(PRIMARY + COUNT), 1);
	assert_int_equal(inb(PRIMARY + LBA0), 1);
	assert_int_equal(inb(PRIMARY + LBA1), 0);
	assert_int_equal(inb(PRIMARY + LBA2), 0);
	outb(PRIMARY + DEVICE, 0xb0);
	assert_int_equal(alt_status(PRIMARY), 0);
	assert_int_equal(inb(PRIMARY + ERROR), 1);
	assert_int_equal(inb(PRIMARY + LBA1), 0x14);
	assert_int_equal(inb(PRIMARY + LBA2), 0xeb);
	outb(PRIMARY + STATUS, 0x90);
	assert_int_equal(lines[0], 1);
	assert_int_equal(inb(PRIMARY + DEVICE), 0xa0);
	assert_int_equal(inb(PRIMARY + STATUS), DRDY | DSC);
}

static void reset_in_the_middle_of_pio(void **state)
{
	u8 buf[512];

	(void)state;
	issue28(PRIMARY, 0, 0x20, 0, 2);
	read_words(PRIMARY, buf, 100);
	srst(PRIMARY);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	assert_int_equal(lines[0], 0);
	assert_int_equal(in(PRIMARY, 2), 0xffff);
	issue28(PRIMARY, 0, 0x30, 9, 2);
	write_words(PRIMARY, buf, 512);
	srst(PRIMARY);
	assert_int_equal(drives[DISK].submits, 1);
	identify_disk_of(PRIMARY, 0, buf);
}

static void reset_in_the_middle_of_a_request_waits_for_it(void **state)
{
	(void)state;
	attach(SLAVE, DISK_BYTES, false, false);
	drives[SLAVE].how = LATER;
	drives[SLAVE].deaf = true;
	put_prd(TABLE, 0, 0x200000, 512, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 1, 0xc8, 0, 1);
	bm_start(PRIMARY);
	srst(PRIMARY);
	assert_int_equal(drives[SLAVE].cancels, 1);
	assert_int_equal(alt_status(PRIMARY), BSY); /* drive 0 waits for drive 1 */
	finish(&drives[SLAVE]);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	assert_int_equal(lines[0], 0);
	drives[SLAVE].deaf = false;
	issue28(PRIMARY, 1, 0x20, 0, 1);
	srst(PRIMARY); /* this one ends by its cancel */
	assert_int_equal(drives[SLAVE].cancels, 2);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	assert_null(drives[SLAVE].pending);
}

static void cancel_that_comes_late_costs_nothing(void **state)
{
	u8 buf[512];

	(void)state;
	lay_down(DISK, 0, 512, 60);
	drives[DISK].how = LATER;
	drives[DISK].deaf = true;
	issue28(PRIMARY, 0, 0x20, 0, 1);
	srst(PRIMARY);
	finish(&drives[DISK]);
	issue28(PRIMARY, 0, 0x20, 0, 1);
	finish_err(&drives[DISK], -ECANCELED); /* was meant for the one before */
	finish(&drives[DISK]);
	pio_in(PRIMARY, buf, 1, 512);
	is_pattern(buf, 512, 60);
	issue28(PRIMARY, 0, 0x20, 0, 1);
	finish_err(&drives[DISK], -ECANCELED); /* nobody wanted that */
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
}

static void machine_reset_in_the_middle(void **state)
{
	u8 id[512];

	(void)state;
	set_features(3, 0x22, DRDY | DSC);
	drives[DISK].how = LATER;
	put_prd(TABLE, 0, 0x200000, 512, true);
	bm_setup(PRIMARY, TABLE, true);
	issue28(PRIMARY, 0, 0xc8, 0, 1);
	bm_start(PRIMARY);
	pci_reset(pci);
	ide_reset(ide);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	assert_int_equal(drives[DISK].cancels, 1);
	enable_master();
	assert_int_equal(in(BM, 4), 0);
	assert_int_equal(in(BM + 4, 4), 0);
	identify_disk_of(PRIMARY, 0, id);
	assert_int_equal(word(id, 63), 7);
}

/* ---- stopping ---- */

static void count_stop(void *arg)
{
	__atomic_fetch_add((u32 *)arg, 1, __ATOMIC_ACQ_REL);
}

static void stop_in_the_middle_keeps_the_command(void **state)
{
	static u8 buf[200 * 512];
	u32 stops = 0;

	(void)state;
	drives[DISK].how = LATER;
	lay_down(DISK, 0, sizeof(buf), 70);
	issue28(PRIMARY, 0, 0x20, 0, 200);
	ide_stop_drive(ide, DISK, IDE_HOLD, count_stop, &stops);
	assert_int_equal(stops, 0);
	finish(&drives[DISK]);
	assert_int_equal(stops, 1);
	pio_in(PRIMARY, buf, 128, 512); /* what was read is there */
	assert_int_equal(alt_status(PRIMARY), BSY);
	assert_null(drives[DISK].pending);
	ide_resume_drive(ide, DISK);
	finish(&drives[DISK]);
	pio_in(PRIMARY, buf + 128 * 512, 72, 512);
	is_pattern(buf, sizeof(buf), 70);
	assert_int_equal(stops, 1);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
}

static void refused_drive_never_sees_another_write(void **state)
{
	static u8 buf[512];
	u32 stops = 0, submits;
	u8 st;

	(void)state;
	drives[DISK].how = LATER;
	put_prd(TABLE, 0, 0x200000, 0, false);
	put_prd(TABLE, 1, 0x200000, 0, true);
	bm_setup(PRIMARY, TABLE, false);
	drives[DISK].bad_from = 0, drives[DISK].bad_to = 512; /* single sectors follow */
	issue28(PRIMARY, 0, 0xca, 0, 0);
	bm_start(PRIMARY);
	ide_stop_drive(ide, DISK, IDE_REFUSE, count_stop, &stops);
	assert_int_equal(stops, 0);
	finish(&drives[DISK]);
	assert_int_equal(stops, 1);
	bm_finish(PRIMARY, &st);
	assert_int_equal(st, DRDY | DSC | ERR);
	submits = drives[DISK].submits;
	issue28(PRIMARY, 0, 0x30, 0, 1);
	write_words(PRIMARY, buf, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	issue28(PRIMARY, 0, 0x20, 0, 1);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(drives[DISK].submits, submits);
	identify_disk_of(PRIMARY, 0, buf);
	ide_resume_drive(ide, DISK);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	finish(&drives[DISK]);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC);
}

static void all_drives_stop_and_go(void **state)
{
	u32 stops = 0, refused = 0;

	(void)state;
	attach(2, DISK_BYTES, false, false);
	drives[DISK].how = drives[2].how = LATER;
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	issue28(SECONDARY, 0, 0xe7, 0, 0);
	ide_stop_drive(ide, 2, IDE_REFUSE, count_stop, &refused);
	ide_stop(ide, count_stop, &stops);
	finish(&drives[DISK]);
	assert_int_equal(stops + refused, 0);
	finish(&drives[2]);
	assert_int_equal(stops, 1);
	assert_int_equal(refused, 1);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	assert_null(drives[DISK].pending);
	ide_resume(ide);
	finish(&drives[DISK]);
	issue28(SECONDARY, 0, 0xe7, 0, 0); /* this one is refused still */
	assert_int_equal(wait_ready(SECONDARY), DRDY | DSC | ERR);
	ide_stop(ide, count_stop, &stops);
	assert_int_equal(stops, 2);
}

static void cancelled_request_fails_its_command(void **state)
{
	(void)state;
	drives[DISK].how = LATER;
	issue28(PRIMARY, 0, 0x20, 3, 8);
	ide_cancel(ide, DISK);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(drives[DISK].submits, 1);
	ide_cancel(ide, DISK);
	assert_int_equal(drives[DISK].cancels, 1);
}

static void request_that_cannot_be_done_now_waits(void **state)
{
	u32 stops = 0;
	u8 buf[512];

	(void)state;
	lay_down(DISK, 3 * 512, 512, 90);
	drives[DISK].err = -EAGAIN;
	issue28(PRIMARY, 0, 0x20, 3, 1);
	assert_int_equal(alt_status(PRIMARY), BSY);
	ide_stop(ide, count_stop, &stops);
	assert_int_equal(stops, 1); /* it is no request under way */
	ide_retry(ide, DISK);
	assert_int_equal(drives[DISK].submits, 1);
	ide_resume(ide);
	assert_int_equal(drives[DISK].submits, 2);
	drives[DISK].err = 0;
	ide_retry(ide, DISK);
	pio_in(PRIMARY, buf, 1, 512);
	is_pattern(buf, 512, 90);
	drives[DISK].err = -EAGAIN;
	issue28(PRIMARY, 0, 0x20, 3, 1);
	srst(PRIMARY);
	assert_int_equal(alt_status(PRIMARY), DRDY | DSC);
	issue28(PRIMARY, 0, 0x20, 3, 1);
	ide_stop_drive(ide, DISK, IDE_REFUSE, NULL, NULL);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	ide_resume_drive(ide, DISK);
	issue28(PRIMARY, 0, 0x20, 3, 1);
	ide_cancel(ide, DISK);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
}

/* Stops and resets while threads answer: no request is lost, none comes twice. */
static void stops_race_with_answers(void **state)
{
	u32 round, stops = 0;
	u8 buf[512];

	(void)state;
	drives[DISK].how = THREAD;
	lay_down(DISK, 0, 512, 80);
	for (round = 1; round <= 200; round++) {
		issue28(PRIMARY, 0, 0x20, 0, 1);
		ide_stop_drive(ide, DISK, IDE_HOLD, count_stop, &stops);
		while (__atomic_load_n(&stops, __ATOMIC_ACQUIRE) != round)
			sched_yield();
		ide_resume_drive(ide, DISK);
		pio_in(PRIMARY, buf, 1, 512);
		is_pattern(buf, 512, 80);
		issue28(PRIMARY, 0, 0x20, 0, 8);
		outb(PRIMARY + 0x206, 4);
		outb(PRIMARY + 0x206, 0);
		wait_ready(PRIMARY);
	}
}

static void disk_that_shrinks_ends_its_command(void **state)
{
	static u8 buf[128 * 512];

	(void)state;
	issue28(PRIMARY, 0, 0x20, 0, 0);
	drives[DISK].bytes = 130 * 512;
	pio_in(PRIMARY, buf, 128, 512);
	assert_int_equal(wait_ready(PRIMARY), DRDY | DSC | ERR);
	assert_int_equal(inb(PRIMARY + ERROR), 0x10);
}

static void statistics_count_requests(void **state)
{
	struct ide_stats s;
	u8 buf[1024] = { 0 };

	(void)state;
	issue28(PRIMARY, 0, 0x20, 0, 2);
	pio_in(PRIMARY, buf, 2, 512);
	issue28(PRIMARY, 0, 0x30, 0, 1);
	pio_out(PRIMARY, buf, 1, 512);
	issue28(PRIMARY, 0, 0xe7, 0, 0);
	issue28(PRIMARY, 0, 0x20, 0x0ffffff, 1);
	ide_get_stats(ide, DISK, &s);
	assert_int_equal(s.reads, 1);
	assert_int_equal(s.read_bytes, 1024);
	assert_int_equal(s.writes, 1);
	assert_int_equal(s.written_bytes, 512);
	assert_int_equal(s.flushes, 1);
	assert_int_equal(s.errors, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ide_is_function_1_of_a_piix3),
		T(ports_are_there_while_decoded),
		T(only_drives_that_are_there_answer),
		T(identify_says_what_the_disk_is),
		T(identify_of_a_huge_disk),
		T(transfer_modes_are_remembered),
		T(without_write_cache_each_write_is_stable),
		T(commands_without_data),
		T(native_max_is_the_last_sector),
		T(pio_reads_sector_by_sector),
		T(pio_writes_sector_by_sector),
		T(multiple_moves_several_sectors_a_block),
		T(data_port_takes_any_width),
		T(chs_follows_the_translation),
		T(lba48_reaches_beyond_28_bits),
		T(verify_reads_and_tells_nothing),
		T(a_drive_is_busy_while_it_waits_for_the_backend),
		T(read_error_names_the_sector_and_gives_those_before),
		T(write_and_flush_errors),
		T(read_only_disk_refuses_writes),
		T(nien_holds_the_interrupt_back),
		T(interrupts_are_of_the_drive_that_is_chosen),
		T(dma_reads_over_scattered_memory),
		T(memory_that_comes_later_is_waited_for_without_the_lock),
		T(dma_writes_and_start_may_come_first),
		T(dma_of_the_largest_command),
		T(dma_over_the_smallest_descriptors),
		T(short_table_leaves_the_drive_waiting),
		T(long_table_stays_active),
		T(hostile_tables_end_with_an_error),
		T(endless_table_is_left_after_64k),
		T(function_that_is_no_master_moves_nothing),
		T(dma_error_names_the_sector),
		T(stopped_master_does_not_tear_a_request),
		T(both_channels_move_from_threads),
		T(bm_registers_in_any_width),
		T(soft_reset_shows_signatures),
		T(reset_in_the_middle_of_pio),
		T(reset_in_the_middle_of_a_request_waits_for_it),
		T(cancel_that_comes_late_costs_nothing),
		T(machine_reset_in_the_middle),
		T(stop_in_the_middle_keeps_the_command),
		T(refused_drive_never_sees_another_write),
		T(all_drives_stop_and_go),
		T(cancelled_request_fails_its_command),
		T(request_that_cannot_be_done_now_waits),
		T(stops_race_with_answers),
		T(disk_that_shrinks_ends_its_command),
		T(statistics_count_requests),
	};

	return cmocka_run_group_tests_name("ide", tests, NULL, NULL);
}
