// SPDX-License-Identifier: GPL-2.0-only
/*
 * A DVD-ROM drive: the commands that MMC adds to those of a disk.
 *
 * A medium has one finished session with one data track that fills it. A medium of up to 80
 * minutes of sectors reports itself as a CD-ROM, a larger one as a DVD-ROM.
 *
 * Sources: MMC-6 (READ TOC, GET CONFIGURATION, GET EVENT STATUS NOTIFICATION, READ DISC and
 * TRACK INFORMATION, READ DISC STRUCTURE, MECHANISM STATUS, mode page 2A).
 */
#include "host-vsp/storage/scsi_priv.h"

#define PROFILE_CD 0x0008u
#define PROFILE_DVD 0x0010u
#define CD_MAX_BLOCKS (80u * 60u * 75u)
#define LEAD_OUT 0xaau

u32 kvmb_scsi_dvd_profile(const struct kvmb_disk *d)
{
	if (!d)
		return 0;
	return kvmb_disk_blocks(d) > CD_MAX_BLOCKS ? PROFILE_DVD : PROFILE_CD;
}

/* An address as minute, second, frame, or as a block number. */
static void put_address(u8 *p, u32 block, bool msf)
{
	if (!msf) {
		put_be32(p, block);
		return;
	}
	block += 150;
	p[0] = 0;
	p[1] = (u8)(block / 75 / 60);
	p[2] = (u8)(block / 75 % 60);
	p[3] = (u8)(block % 75);
}

static u32 toc_entry(u8 *p, u8 track, u32 block, bool msf)
{
	p[1] = 0x14; /* ADR 1, data track */
	p[2] = track;
	put_address(p + 4, block, msf);
	return 8;
}

void kvmb_scsi_read_toc(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 format = cmd->cdb[2] & 0xf, from = cmd->cdb[6], *p = cmd->data;
	bool msf = cmd->cdb[1] & 2;
	u32 len = 4;

	(void)u;
	if (!format)
		format = cmd->cdb[9] >> 6; /* where SFF-8020 had it */
	if (format > 1 || (!format && from > 1 && from != LEAD_OUT)) {
		illegal_field(cmd);
		return;
	}
	p[2] = p[3] = 1; /* first and last track, or session */
	if (format == 1) { /* the last session begins with track 1 at 0 */
		len += toc_entry(p + len, 1, 0, msf);
	} else {
		if (from <= 1)
			len += toc_entry(p + len, 1, 0, msf);
		len += toc_entry(p + len, LEAD_OUT, clamp32(kvmb_disk_blocks(d)), msf);
	}
	put_be16(p, len - 2);
	give(cmd, len, get_be16(cmd->cdb + 7));
}

/* ---- GET CONFIGURATION ---- */

struct feature {
	u16 code;
	u8 flags; /* version, persistent, always current */
	u8 len;
	u8 data[12];
};

static const struct feature features[] = {
	{ 0x0000, 0x03, 8, { 0, PROFILE_DVD, 0, 0, 0, PROFILE_CD, 0, 0 } }, /* profiles */
	{ 0x0001, 0x0b, 8, { 0, 0, 0, 1, 0x01, 0, 0, 0 } },	 /* core: a SCSI interface */
	{ 0x0002, 0x07, 4, { 0x02, 0, 0, 0 } },			 /* morphing: operational events */
	{ 0x0003, 0x03, 4, { 0x39, 0, 0, 0 } },			 /* tray, eject, lock */
	{ 0x0010, 0x00, 8, { 0, 0, 8, 0, 0, 16, 0, 0 } },	 /* random readable, 2048 bytes */
	{ 0x001e, 0x08, 4, { 0, 0, 0, 0 } },			 /* CD read */
	{ 0x001f, 0x08, 4, { 0, 0, 0, 0 } },			 /* DVD read */
};

static u32 put_feature(const struct feature *f, u32 profile, u8 *p)
{
	bool current = f->flags & 1 || (f->code == 0x10 && profile) ||
		       (f->code == 0x1e && profile == PROFILE_CD) ||
		       (f->code == 0x1f && profile == PROFILE_DVD);

	kvmb_assert(f->len <= sizeof(f->data));
	put_be16(p, f->code);
	p[2] = (u8)((f->flags & ~1) | (f->flags & 1) | current);
	p[3] = f->len;
	memcpy(p + 4, f->data, f->len);
	if (!f->code) { /* which of the profiles is the medium's */
		p[4 + 2] = profile == PROFILE_DVD;
		p[4 + 6] = profile == PROFILE_CD;
	}
	return 4u + f->len;
}

void kvmb_scsi_get_configuration(struct kvmb_unit *u, struct kvmb_disk *d,
				 struct kvmb_scsi_cmd *cmd)
{
	u32 profile = kvmb_scsi_dvd_profile(d), from = get_be16(cmd->cdb + 2), len = 8, n;
	u8 wanted = cmd->cdb[1] & 3, *p = cmd->data;
	size_t i;

	(void)u;
	if (wanted == 3) {
		illegal_field(cmd);
		return;
	}
	put_be16(p + 6, profile);
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (wanted == 2 ? features[i].code != from : features[i].code < from)
			continue;
		n = put_feature(&features[i], profile, p + len);
		if (wanted != 1 || p[len + 2] & 1)
			len += n;
		else
			memset(p + len, 0, n);
	}
	put_be32(p, len - 4);
	give(cmd, len, get_be16(cmd->cdb + 7));
}

void kvmb_scsi_event_status(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 *p = cmd->data;

	if (!(cmd->cdb[1] & 1)) { /* asynchronous notification is not offered */
		illegal_field(cmd);
		return;
	}
	p[3] = 0x10; /* supported: media events */
	if (!(cmd->cdb[4] & 0x10)) {
		p[1] = 2;
		p[2] = 0x80; /* NEA: none of the classes asked for */
		give(cmd, 4, get_be16(cmd->cdb + 7));
		return;
	}
	p[1] = 6;
	p[2] = 4;
	p[4] = (u8)__atomic_exchange_n(&u->media_event, KVMB_MEDIA_NONE, __ATOMIC_ACQ_REL);
	p[5] = (u8)((d ? 2 : 0) | (__atomic_load_n(&u->tray_open, __ATOMIC_RELAXED) ? 1 : 0));
	give(cmd, 8, get_be16(cmd->cdb + 7));
}

/* ---- discs and tracks ---- */

void kvmb_scsi_disc_info(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 *p = cmd->data;

	(void)u, (void)d;
	if (cmd->cdb[1] & 7) { /* track and POW resources are a recorder's */
		illegal_field(cmd);
		return;
	}
	put_be16(p, 32);
	p[2] = 0x0e;			  /* last session complete, disc finished */
	/* first track, sessions, first and last track of the last */
	p[3] = p[4] = p[5] = p[6] = 1;
	p[7] = 0x20;			  /* unrestricted use */
	memset(p + 16, 0xff, 8);	  /* no next session */
	give(cmd, 34, get_be16(cmd->cdb + 7));
}

void kvmb_scsi_track_info(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u8 type = cmd->cdb[1] & 3, *p = cmd->data;
	u32 number = get_be32(cmd->cdb + 2), blocks = clamp32(kvmb_disk_blocks(d));

	(void)u;
	if (type == 3 || (type && number != 1) || (!type && number >= blocks)) {
		illegal_field(cmd);
		return;
	}
	put_be16(p, 34);
	p[2] = p[3] = 1; /* track, session */
	p[5] = 0x04;	 /* data track */
	p[6] = 0x41;	 /* reserved track, data mode 1 */
	put_be32(p + 24, blocks);
	give(cmd, 36, get_be16(cmd->cdb + 7));
}

void kvmb_scsi_mechanism(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	(void)d;
	cmd->data[1] = __atomic_load_n(&u->tray_open, __ATOMIC_RELAXED) ? 0x10 : 0;
	cmd->data[5] = 1; /* slots of a changer: this one */
	give(cmd, 8, get_be16(cmd->cdb + 8));
}

void kvmb_scsi_dvd_structure(struct kvmb_unit *u, struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd)
{
	u32 blocks = clamp32(kvmb_disk_blocks(d)), len;
	u8 *p = cmd->data;

	(void)u;
	if (cmd->cdb[1] & 0xf || cmd->cdb[7] > 1 || cmd->cdb[6]) {
		illegal_field(cmd);
		return;
	}
	if (kvmb_scsi_dvd_profile(d) != PROFILE_DVD) { /* cannot read medium: incompatible format */
		kvmb_scsi_sense(cmd, SENSE_ILLEGAL_REQUEST, 0x30, 0x02);
		return;
	}
	if (cmd->cdb[7]) { /* copyright: none */
		len = 4 + 4;
	} else { /* physical format of a DVD-ROM, one layer that begins at 0x30000 */
		p[4] = 0x01;
		p[5] = 0x0f; /* 120 mm, maximum rate not told */
		p[6] = 0x01;
		put_be32(p + 8, 0x30000);
		put_be32(p + 12, 0x30000 + blocks - 1);
		len = 4 + 2048;
	}
	put_be16(p, len - 2);
	give(cmd, len, get_be16(cmd->cdb + 8));
}

u32 kvmb_scsi_dvd_capabilities(const struct kvmb_unit *u, u8 *p, bool changeable)
{
	p[0] = 0x2a;
	p[1] = 0x12;
	if (changeable)
		return 20;
	p[2] = 0x0b; /* reads CD-R, CD-RW, DVD-ROM */
	p[4] = 0x70; /* mode 2 forms 1 and 2, multi-session */
	p[6] = (u8)(0x29 | /* tray, eject, lock */
		    (__atomic_load_n(&u->prevent, __ATOMIC_RELAXED) ? 0x02 : 0));
	put_be16(p + 8, 11080); /* 8x DVD in kB/s */
	put_be16(p + 12, 2048); /* buffer, kB */
	put_be16(p + 14, 11080);
	return 20;
}
