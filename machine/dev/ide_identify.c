// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a drive says about itself. SMART, security, host protected area, acoustic and power
 * management are not announced.
 *
 * Sources: T13 ATA/ATAPI-6 and -7, IDENTIFY DEVICE and IDENTIFY PACKET DEVICE; word 106: ATA-7;
 * Linux include/linux/ata.h.
 */
#include "machine/dev/ide_priv.h"

#define FIRMWARE "1.0"
#define VALID 0x4000u /* bit 14 of words that are meaningful */

/* Two characters a word, the first one in the higher byte; padded with spaces. */
static void put_text(u8 *buf, u32 word, u32 words, const char *text)
{
	u32 i;

	for (i = 0; i < words * 2; i++)
		buf[word * 2 + (i ^ 1)] = (u8)(*text ? *text++ : ' ');
}

static void put_long(u8 *buf, u32 word, u64 v, u32 words)
{
	u32 i;

	for (i = 0; i < words; i++)
		ide_put_word(buf, word + i, (u32)(v >> i * 16));
}

u32 ide_cylinders(const struct ide_drive *d)
{
	return (u32)KVMB_MIN(ide_sectors(d) / (16 * 63), 16383ull);
}

static void put_names(const struct ide_drive *d, u8 *buf)
{
	put_text(buf, 10, 10, d->cfg.serial);
	put_text(buf, 23, 4, FIRMWARE);
	put_text(buf, 27, 20, d->cfg.model);
}

/* Modes that there are, and the one that was set: multiword DMA, PIO, Ultra DMA. */
static void put_modes(const struct ide_drive *d, u8 *buf)
{
	u32 i, set = 0x100u << (d->mode & 7);

	ide_put_word(buf, 53, 7); /* words 54 to 58, 64 to 70, 88 are valid */
	ide_put_word(buf, 63, 0x07 | (d->mode >> 3 == 4 ? set : 0));
	ide_put_word(buf, 64, 3);
	for (i = 65; i <= 68; i++)
		ide_put_word(buf, i, 120); /* ns a cycle */
	ide_put_word(buf, 88, 0x3f | (d->mode >> 3 == 8 ? set : 0));
	ide_put_word(buf, 93, d->number & 1 ? 0x6b00 : 0x600b); /* 80 wires; which drive it is */
}

static void put_geometry(const struct ide_drive *d, u8 *buf)
{
	u64 size = ide_sectors(d);
	u32 cylinders = (u32)KVMB_MIN(size / ((u32)d->heads * d->sectors), 65535ull);

	ide_put_word(buf, 1, ide_cylinders(d));
	ide_put_word(buf, 3, 16);
	ide_put_word(buf, 6, 63);
	ide_put_word(buf, 54, cylinders);
	ide_put_word(buf, 55, d->heads);
	ide_put_word(buf, 56, d->sectors);
	put_long(buf, 57, (u64)cylinders * d->heads * d->sectors, 2);
	put_long(buf, 60, KVMB_MIN(size, 0x0fffffffull), 2);
	put_long(buf, 100, size, 4);
}

static void put_physical(const struct ide_drive *d, u8 *buf)
{
	u32 shift = 0;

	while (d->cfg.physical > IDE_SECTOR << shift && shift < 3)
		shift++;
	if (shift)
		ide_put_word(buf, 106, VALID | 0x2000 | shift);
}

static void identify_disk(const struct ide_drive *d, u8 *buf)
{
	ide_put_word(buf, 0, 0x0040); /* fixed */
	put_geometry(d, buf);
	ide_put_word(buf, 47, 0x8000 | IDE_MULTIPLE);
	ide_put_word(buf, 48, 1);      /* the data port takes 32 bits */
	ide_put_word(buf, 49, 0x0f00); /* LBA, DMA, IORDY */
	ide_put_word(buf, 50, VALID);
	ide_put_word(buf, 51, 0x0200);
	ide_put_word(buf, 59, d->multiple ? 0x100u | d->multiple : 0);
	ide_put_word(buf, 80, 0x00f0);	       /* ATA/ATAPI-4 to -7 */
	ide_put_word(buf, 82, 0x4028);	       /* NOP, write cache, power management */
	ide_put_word(buf, 83, VALID | 0x3400); /* FLUSH CACHE, EXT, LBA48 */
	ide_put_word(buf, 84, VALID | 0x0040); /* WRITE FUA */
	ide_put_word(buf, 85, 0x4008 | (d->write_cache ? 0x20 : 0));
	ide_put_word(buf, 86, 0x3400);
	ide_put_word(buf, 87, VALID | 0x0040);
	put_physical(d, buf);
}

static void identify_cd(u8 *buf)
{
	ide_put_word(buf, 0, 0x85c0); /* ATAPI CD, removable, packets of 12 bytes within 50 us */
	ide_put_word(buf, 49, 0x0b00);
	ide_put_word(buf, 50, VALID);
	ide_put_word(buf, 80, 0x00f0);
	ide_put_word(buf, 82, 0x4218); /* NOP, DEVICE RESET, PACKET, power management */
	ide_put_word(buf, 83, VALID);
	ide_put_word(buf, 84, VALID);
	ide_put_word(buf, 85, 0x4218);
	ide_put_word(buf, 87, VALID);
}

void ide_identify(const struct ide_drive *d, u8 *buf)
{
	u8 sum = 0xa5;
	u32 i;

	memset(buf, 0, IDE_SECTOR);
	put_names(d, buf);
	put_modes(d, buf);
	if (d->cfg.cd)
		identify_cd(buf);
	else
		identify_disk(d, buf);
	for (i = 0; i < 510; i++)
		sum = (u8)(sum + buf[i]);
	buf[510] = 0xa5; /* a checksum follows */
	buf[511] = (u8)-sum;
}
