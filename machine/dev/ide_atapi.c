// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet commands: a CD drive. Those that firmware, boot loaders and drivers of disks need; no
 * audio, nothing that writes.
 *
 * Sources: SFF-8020i; T13 ATA/ATAPI-6, PACKET; MMC-6; SPC-3.
 */
#include "lib/be.h"
#include "machine/dev/ide_priv.h"
#include "vmbus-core/proto/scsi.h"

#define MEDIUM 1u	  /* needs one */
#define ANY_TIME 2u	  /* a unit attention stays for later */
#define MAX_BLOCK 0xfffeu /* bytes of a block of PIO */

struct packet_command {
	u8 code, flags;
	void (*run)(struct ide_drive *d, const u8 *cdb);
};

/* ---- ends ---- */

void ide_atapi_end(struct ide_drive *d)
{
	d->reg[IDE_COUNT] = IDE_TO_HOST | IDE_COD;
	d->sense = (struct ide_sense){ 0 };
	ide_finish(d, true);
}

void ide_atapi_fail(struct ide_drive *d, u8 key, u8 asc, u8 ascq)
{
	d->sense = (struct ide_sense){ key, asc, ascq };
	d->reg[IDE_COUNT] = IDE_TO_HOST | IDE_COD;
	ide_finish(d, false);
	d->error = (u8)(key << 4 | (key == SENSE_ILLEGAL_REQUEST ? IDE_ABRT : 0));
	d->status |= IDE_ERR;
	ide_interrupt(d);
}

static void refuse_field(struct ide_drive *d)
{
	ide_atapi_fail(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

/* buf[len] is the answer, of which the guest wants @most bytes. 0: the command makes no sense. */
static void answer(struct ide_drive *d, u32 len, u32 most)
{
	kvmb_assert(len <= IDE_CDB_REPLY);
	if (!len) {
		refuse_field(d);
		return;
	}
	d->cmd.filled = KVMB_MIN(len, most);
	d->cmd.left = 0;
	if (d->cmd.filled)
		ide_begin_in(d);
	else
		ide_atapi_end(d);
}

u32 ide_medium(const struct ide_drive *d)
{
	if (d->tray_open)
		return 0;
	return (u32)KVMB_MIN(d->cfg.ops->bytes(d->cfg.arg) / IDE_CD_SECTOR, 0xffffffffull);
}

/* ---- commands of every device ---- */

static void end_well(struct ide_drive *d, const u8 *cdb)
{
	(void)cdb;
	ide_atapi_end(d);
}

static void request_sense(struct ide_drive *d, const u8 *cdb)
{
	struct ide_sense s = d->sense;

	if (!s.key && d->attention) {
		s = (struct ide_sense){ SENSE_UNIT_ATTENTION, 0x28, 0 };
		d->attention = false;
	}
	d->buf[0] = 0x70;
	d->buf[2] = s.key;
	d->buf[7] = 10;
	d->buf[12] = s.asc;
	d->buf[13] = s.ascq;
	answer(d, 18, cdb[4]);
}

static void inquiry(struct ide_drive *d, const u8 *cdb)
{
	char text[29];

	if (cdb[1] & 3 || cdb[2]) { /* pages of vital data */
		refuse_field(d);
		return;
	}
	d->buf[0] = 5;	  /* CD, DVD */
	d->buf[1] = 0x80; /* removable */
	d->buf[3] = 0x21; /* ATAPI */
	d->buf[4] = 31;
	snprintf(text, sizeof(text), "%-8s%-16.16s1.0 ", "kvmbus", d->cfg.model);
	memcpy(d->buf + 8, text, 28);
	answer(d, 36, cdb[4]);
}

/* ---- the tray ---- */

static void start_stop(struct ide_drive *d, const u8 *cdb)
{
	u8 how = cdb[4] & 3; /* 1: start or load, 2: move the tray */

	if (cdb[4] >> 4 || !(how & 2)) {
		ide_atapi_end(d);
		return;
	}
	if (how == 3) {
		d->tray_open = false;
	} else if (d->locked) {
		ide_atapi_fail(d, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, 2);
		return;
	} else if (!d->tray_open) {
		d->tray_open = true;
		d->tell |= IDE_TELL_EJECT;
	}
	ide_atapi_end(d);
}

static void prevent_removal(struct ide_drive *d, const u8 *cdb)
{
	bool locked = cdb[4] & 1;

	if (locked != d->locked)
		d->tell |= IDE_TELL_LOCK;
	d->locked = locked;
	ide_atapi_end(d);
}

/* ---- the medium ---- */

static void read_blocks(struct ide_drive *d, u64 lba, u64 count)
{
	u64 size = ide_medium(d);

	if (lba > size || count > size - lba) {
		ide_atapi_fail(d, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
		return;
	}
	if (!count) {
		ide_atapi_end(d);
		return;
	}
	d->cmd.op = IDE_READ;
	d->cmd.offset = lba * IDE_CD_SECTOR;
	d->cmd.left = count * IDE_CD_SECTOR;
	ide_begin_media(d);
}

static void read_cd_10(struct ide_drive *d, const u8 *cdb)
{
	read_blocks(d, get_be32(cdb + 2), get_be16(cdb + 7));
}

static void read_cd_12(struct ide_drive *d, const u8 *cdb)
{
	read_blocks(d, get_be32(cdb + 2), get_be32(cdb + 6));
}

static void read_capacity(struct ide_drive *d, const u8 *cdb)
{
	(void)cdb;
	put_be32(d->buf, ide_medium(d) - 1);
	put_be32(d->buf + 4, IDE_CD_SECTOR);
	answer(d, 8, 8);
}

static void answer_toc(struct ide_drive *d, const u8 *cdb)
{
	answer(d, ide_mmc_toc(d, cdb, d->buf), get_be16(cdb + 7));
}

static void answer_configuration(struct ide_drive *d, const u8 *cdb)
{
	answer(d, ide_mmc_configuration(d, cdb, d->buf), get_be16(cdb + 7));
}

static void answer_event(struct ide_drive *d, const u8 *cdb)
{
	answer(d, ide_mmc_event(d, cdb, d->buf), get_be16(cdb + 7));
}

static void answer_disc_info(struct ide_drive *d, const u8 *cdb)
{
	answer(d, ide_mmc_disc_info(d, cdb, d->buf), get_be16(cdb + 7));
}

static void answer_mechanism(struct ide_drive *d, const u8 *cdb)
{
	answer(d, ide_mmc_mechanism(d, cdb, d->buf), get_be16(cdb + 8));
}

/* ---- MODE SENSE ---- */

/* @header: bytes in front of the pages. Return: length of all; 0: no such page. */
static u32 mode_pages(struct ide_drive *d, const u8 *cdb, u32 header)
{
	u32 n = ide_mmc_pages(d, cdb[2] & 0x3f, cdb[2] >> 6 == 1, d->buf + header);

	return n ? n + header : 0;
}

static bool wants_saved(struct ide_drive *d, const u8 *cdb)
{
	if (cdb[2] >> 6 != 3)
		return false;
	ide_atapi_fail(d, SENSE_ILLEGAL_REQUEST, ASC_SAVING_UNSUPPORTED, 0);
	return true;
}

static u8 medium_type(const struct ide_drive *d)
{
	return d->tray_open ? 0x71 : ide_medium(d) ? 0x01 : 0x70;
}

static void mode_sense_6(struct ide_drive *d, const u8 *cdb)
{
	u32 len;

	if (wants_saved(d, cdb))
		return;
	len = mode_pages(d, cdb, 4);
	d->buf[0] = (u8)(len - 1);
	d->buf[1] = medium_type(d);
	answer(d, len, cdb[4]);
}

static void mode_sense_10(struct ide_drive *d, const u8 *cdb)
{
	u32 len;

	if (wants_saved(d, cdb))
		return;
	len = mode_pages(d, cdb, 8);
	put_be16(d->buf, len - 2);
	d->buf[2] = medium_type(d);
	answer(d, len, get_be16(cdb + 7));
}

/* ---- the table ---- */

static const struct packet_command commands_of_cd[] = {
	{ KVMB_SCSI_READ_10, MEDIUM, read_cd_10 },
	{ KVMB_SCSI_READ_12, MEDIUM, read_cd_12 },
	{ KVMB_SCSI_TEST_UNIT_READY, MEDIUM, end_well },
	{ KVMB_SCSI_REQUEST_SENSE, ANY_TIME, request_sense },
	{ KVMB_SCSI_INQUIRY, ANY_TIME, inquiry },
	{ KVMB_SCSI_MODE_SENSE_6, 0, mode_sense_6 },
	{ KVMB_SCSI_START_STOP_UNIT, 0, start_stop },
	{ KVMB_SCSI_PREVENT_ALLOW, 0, prevent_removal },
	{ KVMB_SCSI_READ_CAPACITY_10, MEDIUM, read_capacity },
	{ KVMB_SCSI_SEEK_10, MEDIUM, end_well },
	{ KVMB_SCSI_SYNC_CACHE_10, 0, end_well },
	{ KVMB_SCSI_READ_TOC, MEDIUM, answer_toc },
	{ KVMB_SCSI_GET_CONFIGURATION, ANY_TIME, answer_configuration },
	{ KVMB_SCSI_GET_EVENT_STATUS, ANY_TIME, answer_event },
	{ KVMB_SCSI_READ_DISC_INFO, MEDIUM, answer_disc_info },
	{ KVMB_SCSI_MODE_SENSE_10, 0, mode_sense_10 },
	{ KVMB_SCSI_SET_CD_SPEED, 0, end_well },
	{ KVMB_SCSI_MECHANISM_STATUS, 0, answer_mechanism },
};

static const struct packet_command *find_packet_command(u8 code)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(commands_of_cd); i++) {
		if (commands_of_cd[i].code == code)
			return &commands_of_cd[i];
	}
	return NULL;
}

/* A block of PIO has even length, unless it is the last one. */
static u32 block_limit(const struct ide_drive *d)
{
	u32 n = (u32)d->reg[IDE_LBA_HIGH] << 8 | d->reg[IDE_LBA_MID];

	return n > 1 ? KVMB_MIN(n & ~1u, MAX_BLOCK) : MAX_BLOCK;
}

void ide_atapi_packet(struct ide_drive *d)
{
	const struct packet_command *c;
	u8 cdb[IDE_PACKET_LEN];

	memcpy(cdb, d->buf, sizeof(cdb));
	memset(d->buf, 0, IDE_CDB_REPLY);
	d->cmd.pos = d->cmd.block_end = d->cmd.filled = 0;
	d->cmd.unit = block_limit(d);
	c = find_packet_command(cdb[0]);
	if (!c) {
		ide_atapi_fail(d, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE, 0);
	} else if (d->attention && !(c->flags & ANY_TIME)) {
		d->attention = false;
		ide_atapi_fail(d, SENSE_UNIT_ATTENTION, 0x28, 0); /* medium may have changed */
	} else if (c->flags & MEDIUM && !ide_medium(d)) {
		ide_atapi_fail(d, SENSE_NOT_READY, ASC_NO_MEDIUM, d->tray_open ? 2 : 1);
	} else {
		c->run(d, cdb);
	}
}
