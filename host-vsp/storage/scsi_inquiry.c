// SPDX-License-Identifier: GPL-2.0-only
/*
 * INQUIRY with its pages of vital product data, and mode pages.
 *
 * A disk reports SPC-3, non-rotating, 4096-byte physical blocks. VPD page B2 is only listed if
 * the backend can give space back.
 *
 * Sources: SPC-3 (INQUIRY, VPD 00 80 83, MODE SENSE and SELECT, pages 0A and 1C), SBC-3
 * (VPD B0 B1 B2, pages 01 and 08).
 */
#include "host-vsp/storage/scsi_priv.h"

#define PDT_DISK 0x00u
#define PDT_DVD 0x05u

static void inquiry_absent(struct kvmb_scsi_cmd *cmd)
{
	/* real data: an error would look like a disk of zeroes (docs/protocol.md#5.5) */
	cmd->data[0] = 0x7f;
	cmd->data[2] = 5;
	cmd->data[3] = 2;
	cmd->data[4] = 31;
	give(cmd, 36, get_be16(cmd->cdb + 3));
}

static bool thin(const struct kvmb_disk *d)
{
	return d && d->can_zero && !d->read_only;
}

/* Which pages there are. Return: how many. */
static u32 page_list(const struct kvmb_unit *u, const struct kvmb_disk *d, u8 *p)
{
	u32 n = 0;

	p[n++] = 0x00;
	p[n++] = 0x80;
	p[n++] = 0x83;
	if (u->dvd)
		return n;
	p[n++] = 0xb0;
	p[n++] = 0xb1;
	if (thin(d))
		p[n++] = 0xb2;
	return n;
}

static u32 block_limits(const struct kvmb_disk *d, u8 *p)
{
	p[4] = 1;			   /* WSNZ: WRITE SAME of "0 = all" is not taken */
	put_be16(p + 6, 4096 / d->block);	   /* optimal granularity */
	put_be32(p + 8, KVMB_SCSI_MAX_TRANSFER / d->block);
	put_be32(p + 12, KVMB_SCSI_MAX_TRANSFER / d->block);
	if (thin(d)) {
		put_be32(p + 20, 0xffffffff); /* blocks of one UNMAP */
		put_be32(p + 24, KVMB_SCSI_MAX_EXTENTS);
		put_be32(p + 28, 4096 / d->block);
		put_be32(p + 32, 0x80000000); /* UGAVALID: aligned to 0 */
	}
	put_be64(p + 36, KVMB_SCSI_MAX_SAME / d->block);
	return 60;
}

static_assert(24 + sizeof(((struct kvmb_disk *)0)->serial) - 1 <= 0xff,
	      "a designator's length is a byte");

/* A designator that is the same wherever the disk is seen from. */
static u32 designators(const struct kvmb_unit *u, const struct kvmb_disk *d, u8 *p)
{
	u32 n = 4;

	if (d) { /* NAA, binary, of the logical unit */
		p[n] = 0x01;
		p[n + 1] = 0x03;
		p[n + 3] = 8;
		put_be64(p + n + 4, d->naa);
		n += 12;
	}
	/* T10 vendor id, ASCII: vendor, product, serial */
	p[n] = 0x02;
	p[n + 1] = 0x01;
	memcpy(p + n + 4, u->dvd ? "Msft    Virtual DVD-ROM " : "Msft    Virtual Disk    ", 24);
	p[n + 3] = 24;
	if (d) {
		memcpy(p + n + 28, d->serial, strlen(d->serial));
		p[n + 3] += (u8)strlen(d->serial);
	}
	return n + 4u + p[n + 3] - 4u;
}

static void vpd(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 page = cmd->cdb[2], pages[8], *p = cmd->data;
	u32 n = page_list(u, d, pages), len = 0;

	kvmb_assert(n <= sizeof(pages));
	if (!memchr(pages, page, n)) {
		illegal_field(cmd);
		return;
	}
	p[0] = u->dvd ? PDT_DVD : PDT_DISK;
	p[1] = page;
	switch (page) {
	case 0x00:
		memcpy(p + 4, pages, n);
		len = n;
		break;
	case 0x80:
		len = d ? (u32)strlen(d->serial) : 1;
		memcpy(p + 4, d ? d->serial : " ", len);
		break;
	case 0x83:
		len = designators(u, d, p);
		break;
	case 0xb0:
		len = block_limits(d, p);
		break;
	case 0xb1:
		put_be16(p + 4, 1); /* non-rotating */
		len = 60;
		break;
	case 0xb2:
		p[5] = 0xe4; /* LBPU, LBPWS, LBPWS10, LBPRZ: unmapped blocks read as zeroes */
		p[6] = 2;    /* thin */
		len = 4;
		break;
	}
	put_be16(p + 2, len);
	give(cmd, 4 + len, get_be16(cmd->cdb + 3));
}

void kvmb_scsi_inquiry(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 *p = cmd->data;

	if (!u) {
		inquiry_absent(cmd);
		return;
	}
	if (cmd->cdb[1] & 1) {
		vpd(u, d, cmd);
		return;
	}
	if (cmd->cdb[1] & 0xfe || cmd->cdb[2]) { /* a page code without EVPD */
		illegal_field(cmd);
		return;
	}
	p[0] = u->dvd ? PDT_DVD : PDT_DISK;
	p[1] = u->dvd ? 0x80 : 0; /* removable */
	p[2] = 5;		  /* SPC-3 */
	p[3] = 2;		  /* response data format */
	p[4] = 31;
	p[7] = 0x02; /* CmdQue */
	memcpy(p + 8, u->dvd ? "Msft    Virtual DVD-ROM 1.0 " : "Msft    Virtual Disk    1.0 ", 28);
	give(cmd, 36, get_be16(cmd->cdb + 3));
}

/* ---- mode pages ---- */

/* @changeable: a mask of what MODE SELECT may change instead of the values. Return: bytes. */
static u32 page_recovery(u8 *p, bool changeable)
{
	p[0] = 0x01;
	p[1] = 0x0a;
	p[2] = changeable ? 0 : 0xc0; /* AWRE, ARRE: bad blocks are the host's business */
	return 12;
}

static u32 page_caching(const struct kvmb_unit *u, u8 *p, bool changeable, bool defaults)
{
	bool on = changeable || defaults || __atomic_load_n(&u->wce, __ATOMIC_RELAXED);

	p[0] = 0x08;
	p[1] = 0x12;
	p[2] = on ? 0x04 : 0; /* WCE: flushes mean something */
	return 20;
}

static u32 page_control(u8 *p, bool changeable)
{
	p[0] = 0x0a;
	p[1] = 0x0a;
	p[3] = changeable ? 0 : 0x10; /* unrestricted reordering */
	return 12;
}

static u32 page_exceptions(u8 *p, bool changeable)
{
	p[0] = 0x1c;
	p[1] = 0x0a;
	p[2] = changeable ? 0 : 0x08; /* DEXCPT: no predictions of failure */
	return 12;
}

/* Mode pages that @page asks for. Return: bytes, 0 when there is no such page. */
static u32 mode_pages(const struct kvmb_unit *u, u8 *p, u8 page, u8 subpage, u8 control)
{
	bool all = page == 0x3f, changeable = control == 1;
	u32 n = 0;

	if (subpage && (subpage != 0xff || !all))
		return 0;
	if (page == 0x01 || all)
		n += page_recovery(p + n, changeable);
	if ((page == 0x08 || all) && !u->dvd)
		n += page_caching(u, p + n, changeable, control == 2);
	if ((page == 0x0a || all) && !u->dvd)
		n += page_control(p + n, changeable);
	if ((page == 0x1c || all) && !u->dvd)
		n += page_exceptions(p + n, changeable);
	if ((page == 0x2a || all) && u->dvd)
		n += kvmb_scsi_dvd_capabilities(u, p + n, changeable);
	return n;
}

/* The device-specific parameter of a disk: SBC-3 table "DEVICE-SPECIFIC PARAMETER field". */
static u8 device_parameter(const struct kvmb_unit *u, const struct kvmb_disk *d)
{
	return u->dvd ? 0 : (u8)((d->read_only ? 0x80 : 0) | 0x10); /* WP, DPOFUA */
}

void kvmb_scsi_mode_sense(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 page = cmd->cdb[2] & 0x3f, control = cmd->cdb[2] >> 6, *p = cmd->data;
	bool ten = cmd->cdb[0] == KVMB_SCSI_MODE_SENSE_10;
	u32 hdr = ten ? 8 : 4, bd = 0, len;

	if (control == 3) { /* saved values */
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, ASC_SAVING_UNSUPPORTED, 0);
		return;
	}
	if (!(cmd->cdb[1] & 0x08) && !u->dvd) { /* block descriptor unless disabled */
		put_be32(p + hdr, control == 1 ? 0 : clamp32(kvmb_disk_blocks(d)));
		put_be32(p + hdr + 4, control == 1 ? 0 : d->block);
		bd = 8;
	}
	len = mode_pages(u, p + hdr + bd, page, cmd->cdb[3], control);
	if (!len) {
		illegal_field(cmd);
		return;
	}
	len += hdr + bd;
	if (ten) {
		put_be16(p, len - 2);
		p[3] = device_parameter(u, d);
		put_be16(p + 6, bd);
		give(cmd, len, get_be16(cmd->cdb + 7));
	} else {
		p[0] = (u8)(len - 1);
		p[2] = device_parameter(u, d);
		p[3] = (u8)bd;
		give(cmd, len, cmd->cdb[4]);
	}
}

/* One page as the guest wants it, against what it is and may become. Return: false = refused. */
static bool select_page(struct kvmb_unit *u, const u8 *want, u32 len, bool *wce)
{
	u8 is[32] = { 0 }, mask[32] = { 0 }; /* the longest page has 20 bytes */
	u32 n, i;

	if (want[0] & 0x40 ||
	    (want[0] & 0x3f) == 0x3f) /* "all pages" is none that can be written */
		return false;
	n = mode_pages(u, is, want[0] & 0x3f, 0, 0);
	mode_pages(u, mask, want[0] & 0x3f, 0, 1);
	kvmb_assert(n <= sizeof(is));
	if (!n || want[1] != is[1] || n != len)
		return false;
	for (i = 2; i < n; i++) {
		if ((want[i] ^ is[i]) & ~mask[i])
			return false;
	}
	if (want[0] == 0x08)
		*wce = want[2] & 0x04;
	return true;
}

void kvmb_scsi_mode_select(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	bool ten = cmd->cdb[0] == KVMB_SCSI_MODE_SELECT_10,
	     wce = __atomic_load_n(&u->wce, __ATOMIC_RELAXED);
	u32 list = ten ? get_be16(cmd->cdb + 7) : cmd->cdb[4], hdr = ten ? 8 : 4, bd, at, len;
	const u8 *p = cmd->param;

	if (cmd->cdb[1] & 1) { /* SP: nothing can be saved */
		illegal_field(cmd);
		return;
	}
	if (!list)
		return;
	if (list < hdr || cmd->param_len < list) {
		param_too_short(cmd);
		return;
	}
	bd = ten ? get_be16(p + 6) : p[3];
	if ((bd && bd != 8) || hdr + bd > list) {
		illegal_param(cmd);
		return;
	}
	if (bd && (get_be32(p + hdr + 4) & 0xffffff) != d->block) { /* the block size is fixed */
		illegal_param(cmd);
		return;
	}
	for (at = hdr + bd; at < list; at += len) {
		if (list - at < 2 || list - at < p[at + 1] + 2u) {
			param_too_short(cmd);
			return;
		}
		len = p[at + 1] + 2u;
		if (!(cmd->cdb[1] & 0x10) || !select_page(u, p + at, len, &wce)) {
			illegal_param(cmd);
			return;
		}
	}
	__atomic_store_n(&u->wce, wce, __ATOMIC_RELAXED);
	/* what was acknowledged under a write cache must not stay there once the guest has none */
	if (!wce && !d->read_only)
		cmd->io = KVMB_IO_FLUSH;
}
