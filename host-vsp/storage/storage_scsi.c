// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SCSI disk: one command in, a decision out.
 *
 * A disk says of itself: SPC-3, write cache on, 512-byte blocks of 4096-byte physical
 * ones, non-rotating. What is not here is answered ILLEGAL REQUEST with correct sense.
 *
 * Sources: SPC-3 (INQUIRY, MODE SENSE, REPORT LUNS, sense data), SBC-3 (block
 * commands, VPD B0/B1), protocol notes 5.4 for what stock guests ask.
 */
#include "host-vsp/storage/storage_priv.h"

#include <endian.h>

#include "lib/util.h"

#define SENSE_NOT_READY 0x02
#define SENSE_ILLEGAL_REQUEST 0x05
#define SENSE_DATA_PROTECT 0x07

#define ASC_INVALID_OPCODE 0x20
#define ASC_LBA_OUT_OF_RANGE 0x21
#define ASC_INVALID_FIELD 0x24
#define ASC_WRITE_PROTECTED 0x27

#define MAX_TRANSFER_BLOCKS 1024u /* VPD B0; equal to storvsp's max_transfer of 512 KiB */

static void put16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static void put32(u8 *p, u32 v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static void put64(u8 *p, u64 v)
{
	put32(p, (u32)(v >> 32));
	put32(p + 4, (u32)v);
}

static u32 get16(const u8 *p)
{
	return (u32)p[0] << 8 | p[1];
}

static u32 get32(const u8 *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static u64 get64(const u8 *p)
{
	return (u64)get32(p) << 32 | get32(p + 4);
}

void kvmb_scsi_sense(struct kvmb_scsi_cmd *cmd, u8 key, u8 asc, u8 ascq)
{
	memset(cmd->sense, 0, sizeof(cmd->sense));
	cmd->sense[0] = 0x70; /* current, fixed format */
	cmd->sense[2] = key;
	cmd->sense[7] = KVMB_SCSI_SENSE_LEN - 8;
	cmd->sense[12] = asc;
	cmd->sense[13] = ascq;
	cmd->status = KVMB_SCSI_STATUS_CHECK_CONDITION;
	cmd->io = KVMB_IO_NONE;
	cmd->data_len = 0;
}

static void illegal_field(struct kvmb_scsi_cmd *cmd)
{
	kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

/* Data of @len bytes stands in data[]; the guest gets what its allocation length allows. */
static void give(struct kvmb_scsi_cmd *cmd, u32 len, u32 alloc)
{
	cmd->data_len = KVMB_MIN(KVMB_MIN(len, alloc), cmd->buffer);
}

static void inquiry_absent(struct kvmb_scsi_cmd *cmd)
{
	/* real data, not an error: an error would look like a disk of zeroes (notes 5.3) */
	cmd->data[0] = 0x7f;
	cmd->data[2] = 5;
	cmd->data[3] = 2;
	cmd->data[4] = 31;
	give(cmd, 36, get16(cmd->cdb + 3));
}

static void inquiry_vpd(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	static const u8 pages[] = { 0x00, 0x80, 0x83, 0xb0, 0xb1 };
	u8 *p = cmd->data;
	u32 len;

	p[1] = cmd->cdb[2];
	switch (cmd->cdb[2]) {
	case 0x00:
		memcpy(p + 4, pages, sizeof(pages));
		len = sizeof(pages);
		break;
	case 0x80:
		len = (u32)strlen(d->serial);
		memcpy(p + 4, d->serial, len);
		break;
	case 0x83: /* one designator: NAA, binary, of the logical unit */
		p[4] = 0x01;
		p[5] = 0x03;
		p[7] = 8;
		put64(p + 8, d->naa);
		len = 12;
		break;
	case 0xb0:
		put16(p + 6, 8); /* optimal granularity: 4096 bytes */
		put32(p + 8, MAX_TRANSFER_BLOCKS);
		put32(p + 12, MAX_TRANSFER_BLOCKS);
		len = 60;
		break;
	case 0xb1:
		put16(p + 4, 1); /* non-rotating */
		len = 60;
		break;
	default:
		illegal_field(cmd);
		return;
	}
	put16(p + 2, len);
	give(cmd, 4 + len, get16(cmd->cdb + 3));
}

static void inquiry(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 *p = cmd->data;

	if (!d) {
		inquiry_absent(cmd);
		return;
	}
	if (cmd->cdb[1] & 1) {
		inquiry_vpd(d, cmd);
		return;
	}
	if (cmd->cdb[2]) { /* a page code without EVPD */
		illegal_field(cmd);
		return;
	}
	p[2] = 5; /* SPC-3 */
	p[3] = 2; /* response data format */
	p[4] = 31;
	p[7] = 0x02; /* CmdQue */
	memcpy(p + 8, "Msft    Virtual Disk    1.0 ", 28);
	give(cmd, 36, get16(cmd->cdb + 3));
}

/* Mode pages that @page asks for. Return: bytes, 0 when there is no such page. */
static u32 mode_pages(u8 *p, u8 page, u8 subpage, bool changeable)
{
	u32 n = 0;

	if (subpage && subpage != 0xff)
		return 0;
	if (page == 0x08 || page == 0x3f) { /* caching */
		p[n] = 0x08;
		p[n + 1] = 0x12;
		p[n + 2] = changeable ? 0 : 0x04; /* WCE: flushes mean something */
		n += 20;
	}
	if (page == 0x0a || page == 0x3f) { /* control */
		p[n] = 0x0a;
		p[n + 1] = 0x0a;
		p[n + 3] = changeable ? 0 : 0x10; /* unrestricted reordering */
		n += 12;
	}
	return n;
}

static void mode_sense(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd, bool ten)
{
	u8 page = cmd->cdb[2] & 0x3f, control = cmd->cdb[2] >> 6;
	u32 hdr = ten ? 8 : 4, bd = 0, len;
	u8 params = (u8)((d->read_only ? 0x80 : 0) | 0x10); /* WP, DPOFUA */
	u8 *p = cmd->data;

	if (control == 3) { /* saved values */
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, 0x39, 0);
		return;
	}
	if (!(cmd->cdb[1] & 0x08)) { /* block descriptor unless disabled */
		put32(p + hdr, d->blocks > 0xffffffff ? 0xffffffff : (u32)d->blocks);
		put32(p + hdr + 4, KVMB_DISK_BLOCK);
		bd = 8;
	}
	len = mode_pages(p + hdr + bd, page, cmd->cdb[3], control == 1);
	if (!len) {
		illegal_field(cmd);
		return;
	}
	len += hdr + bd;
	if (ten) {
		put16(p, len - 2);
		p[3] = params;
		put16(p + 6, bd);
		give(cmd, len, get16(cmd->cdb + 7));
	} else {
		p[0] = (u8)(len - 1);
		p[2] = params;
		p[3] = (u8)bd;
		give(cmd, len, cmd->cdb[4]);
	}
}

static void read_capacity_10(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	put32(cmd->data, d->blocks - 1 > 0xffffffff ? 0xffffffff : (u32)(d->blocks - 1));
	put32(cmd->data + 4, KVMB_DISK_BLOCK);
	give(cmd, 8, 8);
}

static void service_action_in(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	if ((cmd->cdb[1] & 0x1f) != 0x10) { /* READ CAPACITY (16) */
		illegal_field(cmd);
		return;
	}
	put64(cmd->data, d->blocks - 1);
	put32(cmd->data + 8, KVMB_DISK_BLOCK);
	cmd->data[13] = 3; /* 2^3 logical blocks a physical one */
	give(cmd, 32, get32(cmd->cdb + 10));
}

void kvmb_scsi_report_luns(struct kvmb_scsi_cmd *cmd, const bool *present)
{
	u32 i, n = 0, alloc = get32(cmd->cdb + 6);

	if (cmd->cdb[2] > 2 || alloc < 16) {
		illegal_field(cmd);
		return;
	}
	for (i = 0; i < 64; i++) {
		if (present[i])
			cmd->data[8 + 8 * n++ + 1] = (u8)i;
	}
	put32(cmd->data, 8 * n);
	give(cmd, 8 + 8 * n, alloc);
}

/* Range of a block command checked against the disk. Return: false with sense set. */
static bool check_range(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd, u64 lba, u64 blocks)
{
	if (lba > d->blocks || blocks > d->blocks - lba) {
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
		return false;
	}
	return true;
}

static void transfer(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd, bool write, u64 lba,
		     u64 blocks, u8 flags)
{
	if (write && d->read_only) {
		kvmb_scsi_sense(cmd, SENSE_DATA_PROTECT, ASC_WRITE_PROTECTED, 0);
		return;
	}
	if (flags & 0xe0) { /* protection information: we have none */
		illegal_field(cmd);
		return;
	}
	if (!check_range(d, cmd, lba, blocks))
		return;
	if (!blocks)
		return; /* nothing to move is no error */
	if (blocks * KVMB_DISK_BLOCK > cmd->buffer || (write ? cmd->from_device : cmd->to_device)) {
		illegal_field(cmd); /* the buffer disagrees with the command: never a short success */
		return;
	}
	cmd->io = write ? KVMB_IO_WRITE : KVMB_IO_READ;
	cmd->fua = write && (flags & 0x08);
	cmd->offset = lba * KVMB_DISK_BLOCK;
	cmd->length = (u32)(blocks * KVMB_DISK_BLOCK);
}

static void sync_cache(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd, u64 lba, u64 blocks)
{
	if (check_range(d, cmd, lba, blocks) && !d->read_only)
		cmd->io = KVMB_IO_FLUSH;
}

static void verify(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd, u64 lba, u64 blocks)
{
	if (cmd->cdb[1] & 0x06) /* BYTCHK: comparing is not offered */
		illegal_field(cmd);
	else
		check_range(d, cmd, lba, blocks);
}

static void request_sense(struct kvmb_scsi_cmd *cmd)
{
	cmd->data[0] = 0x70;
	cmd->data[7] = KVMB_SCSI_SENSE_LEN - 8;
	give(cmd, KVMB_SCSI_SENSE_LEN, cmd->cdb[4]);
}

void kvmb_scsi_execute(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	const u8 *c = cmd->cdb;

	cmd->status = KVMB_SCSI_STATUS_GOOD;
	cmd->io = KVMB_IO_NONE;
	cmd->data_len = 0;
	memset(cmd->data, 0, sizeof(cmd->data));
	if (c[0] == 0x12) {
		inquiry(d, cmd);
		return;
	}
	if (!d) { /* the caller answers absent LUNs in the protocol; this is a second belt */
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, 0x25, 0);
		return;
	}
	switch (c[0]) {
	case 0x00: /* TEST UNIT READY */
	case 0x1b: /* START STOP UNIT: always started */
	case 0x1e: /* PREVENT ALLOW MEDIUM REMOVAL: fixed */
		break;
	case 0x03:
		request_sense(cmd);
		break;
	case 0x1a:
		mode_sense(d, cmd, false);
		break;
	case 0x5a:
		mode_sense(d, cmd, true);
		break;
	case 0x25:
		read_capacity_10(d, cmd);
		break;
	case 0x9e:
		service_action_in(d, cmd);
		break;
	case 0x08: /* READ and WRITE (6): no flags, 0 means 256 blocks */
	case 0x0a:
		transfer(d, cmd, c[0] == 0x0a, get32(c) & 0x1fffff, c[4] ? c[4] : 256, 0);
		break;
	case 0x28:
	case 0x2a:
		transfer(d, cmd, c[0] == 0x2a, get32(c + 2), get16(c + 7), c[1]);
		break;
	case 0xa8:
	case 0xaa:
		transfer(d, cmd, c[0] == 0xaa, get32(c + 2), get32(c + 6), c[1]);
		break;
	case 0x88:
	case 0x8a:
		transfer(d, cmd, c[0] == 0x8a, get64(c + 2), get32(c + 10), c[1]);
		break;
	case 0x35:
		sync_cache(d, cmd, get32(c + 2), get16(c + 7));
		break;
	case 0x91:
		sync_cache(d, cmd, get64(c + 2), get32(c + 10));
		break;
	case 0x2f:
		verify(d, cmd, get32(c + 2), get16(c + 7));
		break;
	case 0x8f:
		verify(d, cmd, get64(c + 2), get32(c + 10));
		break;
	default:
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE, 0);
	}
}
