// SPDX-License-Identifier: GPL-2.0-only
/*
 * ATA commands. One table says which drives have a command and what it does.
 *
 * Sources: T13 ATA/ATAPI-6 and -7, chapter 6 (commands); ATA-4 for those that were dropped; Linux
 * include/linux/ata.h.
 */
#include "machine/dev/ide_priv.h"

/* whose commands */
#define HD 0x01u
#define CD 0x02u
/* how they move data */
#define EXT 0x04u
#define DMA 0x08u
#define MULTI 0x10u
#define VERIFY 0x20u
#define FUA 0x40u
#define WRITES 0x80u

#define LBA28_MAX 0x0fffffffull
#define NO_SECTOR (~0ull)

struct ata_command {
	void (*run)(struct ide_drive *d, u8 code, u8 flags);
	u8 flags;
};

u64 ide_sectors(const struct ide_drive *d)
{
	if (d->cfg.cd)
		return ide_medium(d);
	return KVMB_MIN(d->cfg.ops->bytes(d->cfg.arg) / IDE_SECTOR, (1ull << 48) - 1);
}

/* ---- addresses ---- */

static u64 lba28(const struct ide_drive *d)
{
	return (u64)(d->chan->device & 15) << 24 | (u64)d->reg[IDE_LBA_HIGH] << 16 |
	       (u64)d->reg[IDE_LBA_MID] << 8 | d->reg[IDE_LBA_LOW];
}

static u64 lba48(const struct ide_drive *d)
{
	return (u64)d->hob[IDE_LBA_HIGH] << 40 | (u64)d->hob[IDE_LBA_MID] << 32 |
	       (u64)d->hob[IDE_LBA_LOW] << 24 | (u64)d->reg[IDE_LBA_HIGH] << 16 |
	       (u64)d->reg[IDE_LBA_MID] << 8 | d->reg[IDE_LBA_LOW];
}

static u64 lba_of_chs(const struct ide_drive *d)
{
	u32 cylinder = (u32)d->reg[IDE_LBA_HIGH] << 8 | d->reg[IDE_LBA_MID];
	u32 head = d->chan->device & 15, sector = d->reg[IDE_LBA_LOW];

	if (!sector || sector > d->sectors || head >= d->heads)
		return NO_SECTOR;
	return ((u64)cylinder * d->heads + head) * d->sectors + sector - 1;
}

static void put_chs(struct ide_drive *d, u64 lba)
{
	u64 track = lba / d->sectors, cylinder = track / d->heads;

	d->reg[IDE_LBA_LOW] = (u8)(lba % d->sectors + 1);
	d->reg[IDE_LBA_MID] = (u8)cylinder;
	d->reg[IDE_LBA_HIGH] = (u8)(cylinder >> 8);
	d->chan->device = (u8)((d->chan->device & 0xf0) | track % d->heads);
}

void ide_ata_put_lba(struct ide_drive *d, u64 lba)
{
	u32 i;

	if (d->cmd.address == IDE_CHS) {
		put_chs(d, lba);
		return;
	}
	for (i = 0; i < 3; i++) {
		d->reg[IDE_LBA_LOW + i] = (u8)(lba >> i * 8);
		if (d->cmd.address == IDE_LBA48)
			d->hob[IDE_LBA_LOW + i] = (u8)(lba >> (24 + i * 8));
	}
	if (d->cmd.address == IDE_LBA28)
		d->chan->device = (u8)((d->chan->device & 0xf0) | (lba >> 24 & 15));
}

static u32 count_of(const struct ide_drive *d, bool ext)
{
	u32 n = d->reg[IDE_COUNT];

	if (!ext)
		return n ? n : 256;
	n |= (u32)d->hob[IDE_COUNT] << 8;
	return n ? n : 65536;
}

static u64 lba_of(struct ide_drive *d, bool ext)
{
	if (ext)
		d->cmd.address = IDE_LBA48;
	else
		d->cmd.address = d->chan->device & IDE_LBA ? IDE_LBA28 : IDE_CHS;
	return ext ? lba48(d) : d->chan->device & IDE_LBA ? lba28(d) : lba_of_chs(d);
}

/* ---- data ---- */

static void run_transfer(struct ide_drive *d, u8 code, u8 flags)
{
	u32 count = count_of(d, flags & EXT);
	u64 size = ide_sectors(d), lba = lba_of(d, flags & EXT);
	struct ide_command *c = &d->cmd;

	(void)code;
	c->op = flags & WRITES ? IDE_WRITE : IDE_READ;
	c->dma = flags & DMA;
	c->verify = flags & VERIFY;
	c->fua = flags & FUA;
	c->unit = flags & MULTI ? d->multiple * IDE_SECTOR : IDE_SECTOR;
	if (!c->unit || (flags & WRITES && d->cfg.read_only)) {
		ide_abort(d);
		return;
	}
	c->offset = KVMB_MIN(lba, size) * IDE_SECTOR; /* where it would fail */
	c->left = (u64)count * IDE_SECTOR;
	if (lba >= size || count > size - lba)
		ide_fail(d, IDE_FAIL_RANGE);
	else
		ide_begin_media(d);
}

static void run_flush(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	d->cmd = (struct ide_command){ .code = code, .op = IDE_FLUSH, .unit = IDE_SECTOR };
	ide_begin_media(d);
}

static void run_identify(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	ide_identify(d, d->buf);
	d->cmd.filled = IDE_SECTOR;
	d->cmd.unit = IDE_SECTOR;
	ide_begin_in(d);
}

/* ATA commands of data tell a driver that this is a packet device. */
static void run_not_here(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	ide_signature(d);
	ide_abort(d);
}

static void run_packet(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	if (d->reg[IDE_FEATURES] & 2) { /* overlapped */
		ide_abort(d);
		return;
	}
	d->cmd.dma = d->reg[IDE_FEATURES] & 1;
	d->cmd.block_end = IDE_PACKET_LEN;
	d->reg[IDE_COUNT] = IDE_COD;
	ide_to(d, IDE_PACKET);
}

/* ---- without data ---- */

static void run_nothing(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	ide_finish(d, true);
}

static void run_power_mode(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	d->reg[IDE_COUNT] = 0xff; /* active or idle */
	ide_finish(d, true);
}

static void run_parameters(struct ide_drive *d, u8 code, u8 flags)
{
	(void)code, (void)flags;
	if (!d->reg[IDE_COUNT]) {
		ide_abort(d);
		return;
	}
	d->sectors = d->reg[IDE_COUNT];
	d->heads = (u16)((d->chan->device & 15) + 1);
	ide_finish(d, true);
}

static void run_set_multiple(struct ide_drive *d, u8 code, u8 flags)
{
	u8 n = d->reg[IDE_COUNT];

	(void)code, (void)flags;
	if (n > IDE_MULTIPLE || n & (n - 1)) {
		ide_abort(d);
		return;
	}
	d->multiple = n;
	ide_finish(d, true);
}

static void run_native_max(struct ide_drive *d, u8 code, u8 flags)
{
	u64 size = ide_sectors(d), last = size ? size - 1 : 0;

	(void)code;
	if (!(flags & EXT) && !(d->chan->device & IDE_LBA)) {
		ide_abort(d);
		return;
	}
	lba_of(d, flags & EXT);
	ide_ata_put_lba(d, flags & EXT ? last : KVMB_MIN(last, LBA28_MAX - 1));
	ide_finish(d, true);
}

/* As ATA/ATAPI-6 numbers transfer modes. */
static bool mode_exists(u8 mode)
{
	if (mode < 2)
		return true;
	switch (mode >> 3) {
	case 1: /* PIO */
		return (mode & 7) <= 4;
	case 4: /* multiword DMA */
		return (mode & 7) <= 2;
	case 8: /* Ultra DMA */
		return (mode & 7) <= 5;
	default:
		return false;
	}
}

static void run_set_features(struct ide_drive *d, u8 code, u8 flags)
{
	switch (d->reg[IDE_FEATURES]) {
	case 0x02:
		d->write_cache = true;
		break;
	case 0x82:
		d->write_cache = false;
		if (!d->cfg.cd) { /* what is in it is written */
			run_flush(d, code, flags);
			return;
		}
		break;
	case 0x03:
		if (!mode_exists(d->reg[IDE_COUNT])) {
			ide_abort(d);
			return;
		}
		d->mode = d->reg[IDE_COUNT];
		break;
	case 0x55: /* no look-ahead, look-ahead */
	case 0xaa:
	case 0x66: /* keep settings after a reset, or not: we keep them */
	case 0xcc:
		break;
	default:
		ide_abort(d);
		return;
	}
	ide_finish(d, true);
}

/* ---- the table ---- */

static const struct ata_command commands[256] = {
	[0x20] = { run_transfer, HD },
	[0x21] = { run_transfer, HD },
	[0x24] = { run_transfer, HD | EXT },
	[0x25] = { run_transfer, HD | EXT | DMA },
	[0x27] = { run_native_max, HD | EXT },
	[0x29] = { run_transfer, HD | EXT | MULTI },
	[0x30] = { run_transfer, HD | WRITES },
	[0x31] = { run_transfer, HD | WRITES },
	[0x34] = { run_transfer, HD | WRITES | EXT },
	[0x35] = { run_transfer, HD | WRITES | EXT | DMA },
	[0x39] = { run_transfer, HD | WRITES | EXT | MULTI },
	[0x3d] = { run_transfer, HD | WRITES | EXT | DMA | FUA },
	[0x40] = { run_transfer, HD | VERIFY },
	[0x41] = { run_transfer, HD | VERIFY },
	[0x42] = { run_transfer, HD | EXT | VERIFY },
	[0x91] = { run_parameters, HD },
	[0x94] = { run_nothing, HD | CD }, /* 0x94 to 0x99: 0xe0 to 0xe6 of old */
	[0x95] = { run_nothing, HD | CD },
	[0x96] = { run_nothing, HD | CD },
	[0x97] = { run_nothing, HD | CD },
	[0x98] = { run_power_mode, HD | CD },
	[0x99] = { run_nothing, HD | CD },
	[0xa0] = { run_packet, CD },
	[0xa1] = { run_identify, CD },
	[0xc4] = { run_transfer, HD | MULTI },
	[0xc5] = { run_transfer, HD | WRITES | MULTI },
	[0xc6] = { run_set_multiple, HD },
	[0xc8] = { run_transfer, HD | DMA },
	[0xc9] = { run_transfer, HD | DMA },
	[0xca] = { run_transfer, HD | WRITES | DMA },
	[0xcb] = { run_transfer, HD | WRITES | DMA },
	[0xce] = { run_transfer, HD | WRITES | EXT | MULTI | FUA },
	[0xe0] = { run_nothing, HD | CD }, /* standby, idle: immediately, later */
	[0xe1] = { run_nothing, HD | CD },
	[0xe2] = { run_nothing, HD | CD },
	[0xe3] = { run_nothing, HD | CD },
	[0xe5] = { run_power_mode, HD | CD },
	[0xe6] = { run_nothing, HD | CD }, /* sleep: wakes up at once */
	[0xe7] = { run_flush, HD },
	[0xea] = { run_flush, HD | EXT },
	[0xec] = { run_identify, HD },
	[0xef] = { run_set_features, HD | CD },
	[0xf8] = { run_native_max, HD },
};

void ide_ata_command(struct ide_drive *d, u8 code)
{
	const struct ata_command *c = &commands[code];

	d->error = 0;
	d->cmd = (struct ide_command){ .code = code, .unit = IDE_SECTOR };
	if (c->run && c->flags & (d->cfg.cd ? CD : HD))
		c->run(d, code, c->flags);
	else if (d->cfg.cd && (code == 0xec || code == 0x20))
		run_not_here(d, code, 0);
	else if (!d->cfg.cd && ((code & 0xf0) == 0x10 || (code & 0xf0) == 0x70))
		run_nothing(d, code, 0); /* RECALIBRATE, SEEK */
	else
		ide_abort(d);
}
