// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving and loading the IDE controller. Drives are stopped, so a command that moves data stands
 * between two requests; what is due of it is due again after the load.
 */
#include "host-vsp/gm.h"
#include "lib/tlv.h"
#include "machine/dev/ide_priv.h"

/* Fields of the controller, a channel, a drive. Numbers are never used again. */
enum { STATE_CHANNEL = 1 }; /* a group each, the primary one first */

enum {
	CHAN_DEVICE = 1,
	CHAN_CONTROL = 2,
	CHAN_COMMAND = 3, /* bus master, up to CHAN_PRDS */
	CHAN_STATUS = 4,
	CHAN_TABLE = 5,
	CHAN_NEXT = 6,
	CHAN_FETCHED = 7,
	CHAN_END = 8,
	CHAN_PRDS = 9,	 /* address, and length << 32 */
	CHAN_DRIVE = 10, /* a group each */
};

enum {
	DRIVE_POSITION = 1, /* 0 = master */
	DRIVE_CD = 2,
	DRIVE_REGS = 3, /* features to LBA high */
	DRIVE_HOB = 4,
	DRIVE_STATUS = 5,
	DRIVE_ERROR = 6,
	DRIVE_INTRQ = 7,
	DRIVE_PHASE = 8,
	DRIVE_HEADS = 9,
	DRIVE_SECTORS = 10,
	DRIVE_MULTIPLE = 11,
	DRIVE_MODE = 12,
	DRIVE_WRITE_CACHE = 13,
	DRIVE_SENSE = 14, /* key, code, qualifier */
	DRIVE_ATTENTION = 15,
	DRIVE_TRAY_OPEN = 16,
	DRIVE_LOCKED = 17,
	DRIVE_EVENT = 18,
	DRIVE_SERIAL = 19, /* string: who it says it is, as is 32 */
	/* the command */
	DRIVE_CODE = 20,
	DRIVE_OP = 21,
	DRIVE_FLAGS = 22, /* COMMAND_* */
	DRIVE_ADDRESS = 23,
	DRIVE_OFFSET = 24,
	DRIVE_LEFT = 25,
	DRIVE_UNIT = 26,
	DRIVE_FILLED = 27,
	DRIVE_FROM = 28,
	DRIVE_POS = 29,
	DRIVE_BLOCK_END = 30,
	DRIVE_BUFFER = 31,   /* as far as it means anything */
	DRIVE_MODEL = 32,    /* string */
	DRIVE_PHYSICAL = 33, /* bytes of a physical sector; 0 = 512 */
};

#define COMMAND_DMA 1u
#define COMMAND_VERIFY 2u
#define COMMAND_FUA 4u
#define COMMAND_NARROW 8u

#define REGS_LEN (IDE_REGS - 1) /* there is no register 0 */
#define OFFSET_MAX (1ull << 57) /* 48 bits of sectors */

/* What ide_phase is called in a saved VM; those that are missing are never saved. */
static const u8 saved_phases[IDE_PHASES] = {
	[IDE_IDLE] = 1,	    [IDE_PIO_IN] = 2, [IDE_PIO_OUT] = 3,   [IDE_PACKET] = 4,
	[IDE_DMA_WAIT] = 5, [IDE_DUE] = 6,    [IDE_RESETTING] = 7,
};

enum ide_kind ide_kind(const struct ide *ide, u32 drive)
{
	const struct ide_drive *d = &ide->chans[drive / 2].drives[drive % 2];

	if (!d->present)
		return IDE_NONE;
	return d->cfg.cd ? IDE_CD : d->cfg.read_only ? IDE_READ_ONLY : IDE_DISK;
}

/* ---- saving ---- */

static u32 bytes_in_use(const struct ide_command *c)
{
	return KVMB_MAX(c->filled, c->pos);
}

static void save_command(const struct ide_drive *d, struct kvmb_tlv_out *o)
{
	const struct ide_command *c = &d->cmd;

	kvmb_tlv_put(o, DRIVE_CODE, c->code);
	kvmb_tlv_put(o, DRIVE_OP, c->op);
	kvmb_tlv_put(o, DRIVE_FLAGS,
		     (c->dma ? COMMAND_DMA : 0) | (c->verify ? COMMAND_VERIFY : 0) |
			     (c->fua ? COMMAND_FUA : 0) | (c->narrow ? COMMAND_NARROW : 0));
	kvmb_tlv_put(o, DRIVE_ADDRESS, c->address);
	kvmb_tlv_put(o, DRIVE_OFFSET, c->offset);
	kvmb_tlv_put(o, DRIVE_LEFT, c->left);
	kvmb_tlv_put(o, DRIVE_UNIT, c->unit);
	kvmb_tlv_put(o, DRIVE_FILLED, c->filled);
	kvmb_tlv_put(o, DRIVE_FROM, c->from);
	kvmb_tlv_put(o, DRIVE_POS, c->pos);
	kvmb_tlv_put(o, DRIVE_BLOCK_END, c->block_end);
	kvmb_tlv_put_bytes(o, DRIVE_BUFFER, d->buf, bytes_in_use(c));
}

static void save_drive(const struct ide_drive *d, struct kvmb_tlv_out *o)
{
	const u8 sense[] = { d->sense.key, d->sense.asc, d->sense.ascq };

	kvmb_assert(saved_phases[d->phase]);
	kvmb_tlv_group(o, CHAN_DRIVE);
	kvmb_tlv_put(o, DRIVE_POSITION, d->number % 2);
	kvmb_tlv_put(o, DRIVE_CD, d->cfg.cd);
	kvmb_tlv_put_bytes(o, DRIVE_REGS, d->reg + 1, REGS_LEN);
	kvmb_tlv_put_bytes(o, DRIVE_HOB, d->hob + 1, REGS_LEN);
	kvmb_tlv_put(o, DRIVE_STATUS, d->status);
	kvmb_tlv_put(o, DRIVE_ERROR, d->error);
	kvmb_tlv_put(o, DRIVE_INTRQ, d->intrq);
	kvmb_tlv_put(o, DRIVE_PHASE, saved_phases[d->phase]);
	kvmb_tlv_put(o, DRIVE_HEADS, d->heads);
	kvmb_tlv_put(o, DRIVE_SECTORS, d->sectors);
	kvmb_tlv_put(o, DRIVE_MULTIPLE, d->multiple);
	kvmb_tlv_put(o, DRIVE_MODE, d->mode);
	kvmb_tlv_put(o, DRIVE_WRITE_CACHE, d->write_cache);
	kvmb_tlv_put_bytes(o, DRIVE_SENSE, sense, sizeof(sense));
	kvmb_tlv_put(o, DRIVE_ATTENTION, d->attention);
	kvmb_tlv_put(o, DRIVE_TRAY_OPEN, d->tray_open);
	kvmb_tlv_put(o, DRIVE_LOCKED, d->locked);
	kvmb_tlv_put(o, DRIVE_EVENT, d->media_event);
	kvmb_tlv_put_str(o, DRIVE_SERIAL, d->cfg.serial);
	kvmb_tlv_put_str(o, DRIVE_MODEL, d->cfg.model);
	kvmb_tlv_put(o, DRIVE_PHYSICAL, d->cfg.physical);
	if (d->phase != IDE_IDLE && d->phase != IDE_RESETTING)
		save_command(d, o);
	kvmb_tlv_group_end(o);
}

static void save_chan(struct ide_chan *c, struct kvmb_tlv_out *o)
{
	const struct ide_master *bm = &c->bm;
	u64 prds[IDE_IOVS];
	u32 i;

	pthread_mutex_lock(&c->lock);
	for (i = 0; i < bm->num; i++)
		prds[i] = (u64)bm->prds[i].length << 32 | bm->prds[i].address;
	kvmb_tlv_group(o, STATE_CHANNEL);
	kvmb_tlv_put(o, CHAN_DEVICE, c->device);
	kvmb_tlv_put(o, CHAN_CONTROL, c->control);
	kvmb_tlv_put(o, CHAN_COMMAND, bm->command);
	kvmb_tlv_put(o, CHAN_STATUS, bm->status);
	kvmb_tlv_put(o, CHAN_TABLE, bm->table);
	kvmb_tlv_put(o, CHAN_NEXT, bm->next);
	kvmb_tlv_put(o, CHAN_FETCHED, bm->fetched);
	kvmb_tlv_put(o, CHAN_END, bm->end);
	kvmb_tlv_put_list(o, CHAN_PRDS, prds, bm->num);
	for (i = 0; i < 2; i++) {
		if (c->drives[i].present)
			save_drive(&c->drives[i], o);
	}
	kvmb_tlv_group_end(o);
	pthread_mutex_unlock(&c->lock);
}

void ide_save(struct ide *ide, struct kvmb_tlv_out *o)
{
	save_chan(&ide->chans[0], o);
	save_chan(&ide->chans[1], o);
}

/* ---- loading: into another controller first ---- */

static bool phase_of(u64 saved, enum ide_phase *phase)
{
	for (*phase = IDE_IDLE; *phase < IDE_PHASES; ++*phase) {
		if (saved && saved_phases[*phase] == saved)
			return true;
	}
	*phase = IDE_IDLE;
	return false;
}

/* A disk's block is a power of two of sectors, a CD's any number that fits. */
static bool unit_possible(const struct ide_drive *d, u32 unit)
{
	if (d->cfg.cd)
		return unit && unit <= IDE_BUFFER;
	return unit >= IDE_SECTOR && unit <= IDE_MULTIPLE * IDE_SECTOR && !(unit & (unit - 1));
}

/* Numbers that hold in every phase. */
static bool command_possible(const struct ide_drive *d)
{
	const struct ide_command *c = &d->cmd;
	u32 sector = ide_sector(d);

	return unit_possible(d, c->unit) && !(c->offset % sector) && !(c->left % sector) &&
	       c->from <= c->filled && c->pos <= c->block_end &&
	       (!d->cfg.cd || c->op == IDE_READ) && (c->op != IDE_FLUSH || !c->left) &&
	       (!d->cfg.read_only || c->op != IDE_WRITE);
}

static bool dma_possible(const struct ide_drive *d)
{
	const struct ide_command *c = &d->cmd;

	if (c->from < c->filled)
		return d->cfg.cd && !c->left;
	return c->left && !c->verify;
}

/* Of PIO. */
static bool due_possible(const struct ide_drive *d)
{
	const struct ide_command *c = &d->cmd;
	u32 rest = c->filled - c->from;

	switch (c->op) {
	case IDE_READ: /* half a block, if it is read in single sectors */
		return c->left && !(c->filled % ide_sector(d)) &&
		       (!c->filled || c->verify ||
			(c->narrow && !d->cfg.cd && c->filled < c->unit));
	case IDE_WRITE:
		return rest && rest <= c->left && !(rest % IDE_SECTOR);
	default:
		return true;
	}
}

static bool phase_possible(const struct ide_drive *d)
{
	const struct ide_command *c = &d->cmd;

	switch (d->phase) {
	case IDE_PIO_IN:
		return !c->dma && c->pos < c->block_end && c->block_end <= c->filled &&
		       (!c->left || c->op == IDE_READ);
	case IDE_PIO_OUT:
		return !c->dma && c->op == IDE_WRITE && c->pos < c->block_end &&
		       c->block_end <= c->left && !(c->block_end % IDE_SECTOR);
	case IDE_PACKET:
		return d->cfg.cd && c->code == 0xa0 && c->pos < c->block_end &&
		       c->block_end == IDE_PACKET_LEN;
	case IDE_DMA_WAIT:
		return c->dma && dma_possible(d);
	default:
		return c->dma ? dma_possible(d) : due_possible(d);
	}
}

static void load_command(struct ide_drive *d, struct kvmb_tlv *g)
{
	struct ide_command *c = &d->cmd;
	const u8 *bytes;
	size_t len;
	u32 flags;

	c->code = (u8)kvmb_tlv_get(g, DRIVE_CODE, 0xff);
	c->op = (enum ide_op)kvmb_tlv_get(g, DRIVE_OP, IDE_FLUSH);
	flags = (u32)kvmb_tlv_get(g, DRIVE_FLAGS, 15);
	c->dma = flags & COMMAND_DMA;
	c->verify = flags & COMMAND_VERIFY;
	c->fua = flags & COMMAND_FUA;
	c->narrow = flags & COMMAND_NARROW;
	c->address = (enum ide_address)kvmb_tlv_get(g, DRIVE_ADDRESS, IDE_LBA48);
	c->offset = kvmb_tlv_get(g, DRIVE_OFFSET, OFFSET_MAX);
	c->left = kvmb_tlv_get(g, DRIVE_LEFT, OFFSET_MAX);
	c->unit = (u32)kvmb_tlv_get(g, DRIVE_UNIT, IDE_BUFFER);
	c->filled = (u32)kvmb_tlv_get(g, DRIVE_FILLED, IDE_BUFFER);
	c->from = (u32)kvmb_tlv_get(g, DRIVE_FROM, IDE_BUFFER);
	c->pos = (u32)kvmb_tlv_get(g, DRIVE_POS, IDE_BUFFER);
	c->block_end = (u32)kvmb_tlv_get(g, DRIVE_BLOCK_END, IDE_BUFFER);
	bytes = kvmb_tlv_get_bytes(g, DRIVE_BUFFER, &len);
	if (!command_possible(d) || !phase_possible(d))
		kvmb_tlv_refuse(g, DRIVE_PHASE, "no command stands like that");
	else if (len != bytes_in_use(c))
		kvmb_tlv_refuse(g, DRIVE_BUFFER, "wrong length");
	else if (len)
		memcpy(d->buf, bytes, len);
}

static void load_settings(struct ide_drive *d, struct kvmb_tlv *g)
{
	u8 sense[3];

	d->heads = (u16)kvmb_tlv_get(g, DRIVE_HEADS, 16);
	d->sectors = (u16)kvmb_tlv_get(g, DRIVE_SECTORS, 255);
	d->multiple = (u8)kvmb_tlv_get(g, DRIVE_MULTIPLE, IDE_MULTIPLE);
	d->mode = (u8)kvmb_tlv_get(g, DRIVE_MODE, 0xff);
	d->write_cache = kvmb_tlv_get(g, DRIVE_WRITE_CACHE, 1);
	kvmb_tlv_copy(g, DRIVE_SENSE, sense, sizeof(sense));
	d->sense = (struct ide_sense){ sense[0], sense[1], sense[2] };
	d->attention = kvmb_tlv_get(g, DRIVE_ATTENTION, 1);
	d->tray_open = kvmb_tlv_get(g, DRIVE_TRAY_OPEN, 1);
	d->locked = kvmb_tlv_get(g, DRIVE_LOCKED, 1);
	d->media_event = (u8)kvmb_tlv_get(g, DRIVE_EVENT, 3);
	if (!d->heads || !d->sectors)
		kvmb_tlv_refuse(g, DRIVE_HEADS, "a disk without sectors");
	if (d->multiple & (d->multiple - 1))
		kvmb_tlv_refuse(g, DRIVE_MULTIPLE, "not a power of two");
}

static void load_text(struct kvmb_tlv *g, unsigned int field, char *to, size_t size)
{
	char *text = kvmb_tlv_get_str(g, field, size - 1), *p;

	for (p = text; p && *p; p++) {
		if (*p < ' ' || *p > '~')
			kvmb_tlv_refuse(g, field, "it is not printable");
	}
	if (text)
		snprintf(to, size, "%s", text);
	free(text);
}

/* A guest that finds another disk where one was gives it up. */
static void load_identity(struct ide_drive *d, struct kvmb_tlv *g)
{
	u32 physical = (u32)kvmb_tlv_get(g, DRIVE_PHYSICAL, 4096);

	load_text(g, DRIVE_SERIAL, d->cfg.serial, sizeof(d->cfg.serial));
	load_text(g, DRIVE_MODEL, d->cfg.model, sizeof(d->cfg.model));
	if (physical & (physical - 1) || (physical && physical < IDE_SECTOR))
		kvmb_tlv_refuse(g, DRIVE_PHYSICAL, "no size of a sector");
	d->cfg.physical = physical;
}

static void load_drive(struct ide_drive *d, struct kvmb_tlv *g, bool srst)
{
	if (kvmb_tlv_get(g, DRIVE_CD, 1) != d->cfg.cd)
		kvmb_tlv_refuse(g, DRIVE_CD, "another kind of drive");
	kvmb_tlv_copy(g, DRIVE_REGS, d->reg + 1, REGS_LEN);
	kvmb_tlv_copy(g, DRIVE_HOB, d->hob + 1, REGS_LEN);
	d->status = (u8)kvmb_tlv_get(g, DRIVE_STATUS, 0xff);
	d->error = (u8)kvmb_tlv_get(g, DRIVE_ERROR, 0xff);
	d->intrq = kvmb_tlv_get(g, DRIVE_INTRQ, 1);
	if (!phase_of(kvmb_tlv_get(g, DRIVE_PHASE, 0xff), &d->phase) ||
	    (d->phase == IDE_RESETTING) != srst)
		kvmb_tlv_refuse(g, DRIVE_PHASE, "no such phase");
	if (d->status & (IDE_BSY | IDE_DRQ))
		kvmb_tlv_refuse(g, DRIVE_STATUS, "of no drive at rest");
	load_settings(d, g);
	load_identity(d, g);
	if (d->phase != IDE_IDLE && d->phase != IDE_RESETTING)
		load_command(d, g);
}

/* Nobody can choose the other one meanwhile; and for DMA both have one table. */
static void check_chosen(const struct ide_chan *c, struct kvmb_tlv *g)
{
	const struct ide_drive *other = &c->drives[c->device & IDE_DEV ? 0 : 1];

	if (other->phase != IDE_IDLE && other->phase != IDE_RESETTING)
		kvmb_tlv_refuse(g, CHAN_DEVICE, "a command of a drive that is not chosen");
}

static void load_drives(struct ide_chan *c, struct kvmb_tlv *g)
{
	struct kvmb_tlv one;
	u32 seen = 0, n, i;
	size_t pos = 0;

	while (kvmb_tlv_each(g, CHAN_DRIVE, &pos, &one)) {
		n = (u32)kvmb_tlv_get(&one, DRIVE_POSITION, 1);
		if (seen >> n & 1 || !c->drives[n].present) {
			kvmb_tlv_refuse(&one, DRIVE_POSITION, "no such drive, or twice");
			return;
		}
		seen |= 1u << n;
		load_drive(&c->drives[n], &one, c->control & IDE_SRST);
		if (kvmb_tlv_done(&one))
			return;
	}
	for (i = 0; i < 2; i++) {
		if (c->drives[i].present && !(seen >> i & 1))
			kvmb_tlv_refuse(g, CHAN_DRIVE, "a drive is missing");
	}
}

static void load_prds(struct ide_chan *c, struct kvmb_tlv *g)
{
	struct ide_master *bm = &c->bm;
	size_t num, i;
	u64 *list = kvmb_tlv_get_list(g, CHAN_PRDS, IDE_IOVS, &num);

	for (i = 0; i < num; i++) {
		bm->prds[i].address = (u32)list[i];
		bm->prds[i].length = (u32)(list[i] >> 32);
		if (!bm->prds[i].length || bm->prds[i].length > 65536 ||
		    !kvmb_gm_ptr(c->ide->cfg.gm, bm->prds[i].address, bm->prds[i].length))
			kvmb_tlv_refuse(g, CHAN_PRDS, "not in memory");
	}
	bm->num = (u32)num;
	free(list);
}

static void load_chan(struct ide_chan *c, struct kvmb_tlv *g)
{
	struct ide_master *bm = &c->bm;

	c->device = (u8)kvmb_tlv_get(g, CHAN_DEVICE, 0xff);
	c->control = (u8)kvmb_tlv_get(g, CHAN_CONTROL, IDE_NIEN | IDE_SRST | IDE_HOB);
	bm->command = (u8)kvmb_tlv_get(g, CHAN_COMMAND, IDE_BM_START | IDE_BM_TO_MEMORY);
	bm->status = (u8)kvmb_tlv_get(g, CHAN_STATUS, 0x67);
	bm->table = (u32)kvmb_tlv_get(g, CHAN_TABLE, ~3u);
	bm->next = (u32)kvmb_tlv_get(g, CHAN_NEXT, ~3u);
	bm->fetched = (u32)kvmb_tlv_get(g, CHAN_FETCHED, IDE_TABLE);
	bm->end = kvmb_tlv_get(g, CHAN_END, 1);
	if (bm->fetched == IDE_TABLE && !bm->end)
		kvmb_tlv_refuse(g, CHAN_END, "a table that is too long");
	load_prds(c, g);
	load_drives(c, g);
	check_chosen(c, g);
}

/* ---- the controller takes it ---- */

static void take_drive(struct ide_drive *to, struct ide_drive *from)
{
	u8 *buf = to->buf;

	memcpy(to->reg, from->reg, sizeof(to->reg));
	memcpy(to->hob, from->hob, sizeof(to->hob));
	to->status = from->status;
	to->error = from->error;
	to->intrq = from->intrq;
	to->phase = from->phase; /* not a move: it comes from elsewhere */
	to->cmd = from->cmd;
	to->heads = from->heads;
	to->sectors = from->sectors;
	to->multiple = from->multiple;
	to->mode = from->mode;
	to->write_cache = from->write_cache;
	to->sense = from->sense;
	to->attention = from->attention;
	to->tray_open = from->tray_open;
	if (to->locked != from->locked)
		to->tell |= IDE_TELL_LOCK; /* ide_loaded() does */
	to->locked = from->locked;
	to->media_event = from->media_event;
	memcpy(to->cfg.serial, from->cfg.serial, sizeof(to->cfg.serial));
	memcpy(to->cfg.model, from->cfg.model, sizeof(to->cfg.model));
	to->cfg.physical = from->cfg.physical;
	if (to->stop == IDE_GO)
		to->stop = IDE_HOLD;
	to->buf = from->buf;
	from->buf = buf;
}

static void take_chan(struct ide_chan *to, struct ide_chan *from)
{
	u32 i;

	pthread_mutex_lock(&to->lock);
	to->device = from->device;
	to->control = from->control;
	from->bm.generation = to->bm.generation + 1;
	to->bm = from->bm;
	for (i = 0; i < 2; i++) {
		if (to->drives[i].present)
			take_drive(&to->drives[i], &from->drives[i]);
	}
	pthread_mutex_unlock(&to->lock);
}

/* With the same drives, and nothing else that is used here. */
static struct ide *make_copy(const struct ide *ide)
{
	struct ide *copy = kvmb_xzalloc(sizeof(*copy));
	u32 i;

	copy->cfg = ide->cfg;
	for (i = 0; i < IDE_DRIVES; i++) {
		const struct ide_drive *from = &ide->chans[i / 2].drives[i % 2];
		struct ide_drive *d = &copy->chans[i / 2].drives[i % 2];

		d->present = from->present;
		d->cfg = from->cfg;
		if (d->present)
			d->buf = kvmb_xzalloc(IDE_BUFFER);
	}
	copy->chans[0].ide = copy->chans[1].ide = copy;
	return copy;
}

static void free_copy(struct ide *copy)
{
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++)
		free(copy->chans[i / 2].drives[i % 2].buf);
	free(copy);
}

int ide_load(struct ide *ide, struct kvmb_tlv *group)
{
	struct ide *copy = make_copy(ide);
	struct kvmb_tlv g;
	size_t pos = 0;
	u32 n = 0;
	int err;

	while (kvmb_tlv_each(group, STATE_CHANNEL, &pos, &g)) {
		if (n == 2) {
			kvmb_tlv_refuse(group, STATE_CHANNEL, "more than two");
			break;
		}
		load_chan(&copy->chans[n++], &g);
		if (kvmb_tlv_done(&g))
			break;
	}
	if (n < 2)
		kvmb_tlv_refuse(group, STATE_CHANNEL, "less than two");
	err = kvmb_tlv_done(group);
	if (!err) {
		take_chan(&ide->chans[0], &copy->chans[0]);
		take_chan(&ide->chans[1], &copy->chans[1]);
	}
	free_copy(copy);
	return err;
}
