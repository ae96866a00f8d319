// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a CD drive tells of itself and its medium: one session, one data track that fills it. Up to
 * 80 minutes of sectors it is a CD-ROM, else a DVD-ROM; as with the synthetic drive (scsi_dvd.c).
 *
 * Sources: MMC-6 (READ TOC, GET CONFIGURATION, GET EVENT STATUS NOTIFICATION, READ DISC
 * INFORMATION, MECHANISM STATUS); MMC-3, mode page 2A.
 */
#include "lib/be.h"
#include "machine/dev/ide_priv.h"

#define PROFILE_CD 0x0008u
#define PROFILE_DVD 0x0010u
#define CD_BLOCKS (80u * 60u * 75u) /* most that a CD has */
#define LEAD_OUT 0xaau

static u32 profile_of(const struct ide_drive *d)
{
	u32 blocks = ide_medium(d);

	return !blocks ? 0 : blocks > CD_BLOCKS ? PROFILE_DVD : PROFILE_CD;
}

/* ---- table of contents ---- */

static void put_address(u8 *p, u32 block, bool msf)
{
	if (!msf) {
		put_be32(p, block);
		return;
	}
	block += 150;
	p[1] = (u8)(block / 75 / 60);
	p[2] = (u8)(block / 75 % 60);
	p[3] = (u8)(block % 75);
}

static u32 put_track(u8 *p, u8 track, u32 block, bool msf)
{
	p[1] = 0x14; /* data track */
	p[2] = track;
	put_address(p + 4, block, msf);
	return 8;
}

u32 ide_mmc_toc(struct ide_drive *d, const u8 *cdb, u8 *p)
{
	u8 format = cdb[2] & 15, from = cdb[6];
	bool msf = cdb[1] & 2;
	u32 len = 4;

	if (!format)
		format = cdb[9] >> 6; /* where SFF-8020i has it */
	if (format > 1 || (!format && from > 1 && from != LEAD_OUT))
		return 0;
	p[2] = p[3] = 1; /* first and last track, or session */
	if (format || from <= 1)
		len += put_track(p + len, 1, 0, msf);
	if (!format)
		len += put_track(p + len, LEAD_OUT, ide_medium(d), msf);
	put_be16(p, len - 2);
	return len;
}

/* ---- features ---- */

struct mmc_feature {
	u16 code;
	u8 flags; /* version << 2, persistent, current */
	u8 len;
	u8 data[8];
};

static const struct mmc_feature mmc_features[] = {
	{ 0x0000, 0x03, 8, { 0, PROFILE_DVD, 0, 0, 0, PROFILE_CD, 0, 0 } },
	{ 0x0001, 0x0b, 8, { 0, 0, 0, 2, 0x01, 0, 0, 0 } }, /* core: ATAPI */
	{ 0x0003, 0x03, 4, { 0x29, 0, 0, 0 } },		    /* a tray that ejects and locks */
	{ 0x0010, 0x00, 8, { 0, 0, 8, 0, 0, 16, 0, 0 } },   /* random readable, 2048 bytes */
	{ 0x001e, 0x08, 4, { 0 } },			    /* CD read */
	{ 0x001f, 0x08, 4, { 0 } },			    /* DVD read */
};

static bool is_current(const struct mmc_feature *f, u32 profile)
{
	return f->flags & 1 || (f->code == 0x10 && profile) ||
	       (f->code == 0x1e && profile == PROFILE_CD) ||
	       (f->code == 0x1f && profile == PROFILE_DVD);
}

static u32 put_mmc_feature(u8 *p, const struct mmc_feature *f, u32 profile)
{
	put_be16(p, f->code);
	p[2] = (u8)(f->flags | is_current(f, profile));
	p[3] = f->len;
	memcpy(p + 4, f->data, f->len);
	if (!f->code) { /* which profile is the medium's */
		p[6] = profile == PROFILE_DVD;
		p[10] = profile == PROFILE_CD;
	}
	return 4u + f->len;
}

u32 ide_mmc_configuration(struct ide_drive *d, const u8 *cdb, u8 *p)
{
	u32 profile = profile_of(d), from = get_be16(cdb + 2), len = 8, i;
	u8 wanted = cdb[1] & 3;

	if (wanted == 3)
		return 0;
	for (i = 0; i < ARRAY_SIZE(mmc_features); i++) {
		const struct mmc_feature *f = &mmc_features[i];

		if ((wanted == 2 ? f->code != from : f->code < from) ||
		    (wanted == 1 && !is_current(f, profile)))
			continue;
		len += put_mmc_feature(p + len, f, profile);
	}
	put_be32(p, len - 4);
	put_be16(p + 6, profile);
	return len;
}

/* ---- state ---- */

u32 ide_mmc_event(struct ide_drive *d, const u8 *cdb, u8 *p)
{
	if (!(cdb[1] & 1)) /* only if asked, not by itself */
		return 0;
	p[3] = 0x10; /* there are media events */
	if (!(cdb[4] & 0x10)) {
		p[1] = 2;
		p[2] = 0x80; /* none of the classes asked for */
		return 4;
	}
	p[1] = 6;
	p[2] = 4;
	p[4] = d->media_event;
	p[5] = (u8)((ide_medium(d) ? 2 : 0) | (d->tray_open ? 1 : 0));
	d->media_event = 0;
	return 8;
}

u32 ide_mmc_disc_info(struct ide_drive *d, const u8 *cdb, u8 *p)
{
	(void)d;
	if (cdb[1] & 7) /* what a recorder has */
		return 0;
	put_be16(p, 32);
	p[2] = 0x0e;		       /* last session complete, disc finished */
	p[3] = p[4] = p[5] = p[6] = 1; /* track, sessions, first and last track of the last */
	p[7] = 0x20;		       /* unrestricted use */
	memset(p + 16, 0xff, 8);       /* no next session */
	return 34;
}

u32 ide_mmc_mechanism(struct ide_drive *d, const u8 *cdb, u8 *p)
{
	(void)cdb;
	p[1] = d->tray_open ? 0x10 : 0;
	p[5] = 1; /* of a changer's slots */
	return 8;
}

static void put_capabilities(const struct ide_drive *d, u8 *p)
{
	p[2] = 0x0b;				 /* reads CD-R, CD-RW, DVD-ROM */
	p[4] = 0x70;				 /* mode 2 forms 1 and 2, multi-session */
	p[6] = (u8)(0x29 | (d->locked ? 2 : 0)); /* tray, eject, lock */
	put_be16(p + 8, 11080);			 /* kB/s */
	put_be16(p + 12, 64);			 /* kB of buffer */
	put_be16(p + 14, 11080);
}

u32 ide_mmc_pages(const struct ide_drive *d, u8 page, bool changeable, u8 *p)
{
	static const u8 codes[] = { 0x01, 0x2a };
	static const u8 lengths[] = { 8, 20 };
	u32 i, len = 0;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		if (page != codes[i] && page != 0x3f)
			continue;
		p[len] = codes[i];
		p[len + 1] = lengths[i] - 2;
		if (codes[i] == 0x2a && !changeable)
			put_capabilities(d, p + len);
		len += lengths[i];
	}
	return len;
}
