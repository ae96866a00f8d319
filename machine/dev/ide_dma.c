// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus master: its registers, and tables of descriptors in guest memory.
 *
 * A descriptor is fetched when a piece needs it, once since START. What a piece leaves of it stays
 * in prds[], as numbers and not as pointers. The direction that the guest has set is not looked at:
 * the command has one.
 *
 * Sources: SFF-8038i, chapters 1 and 2; Intel 82371SB data sheet, BMICOM, BMISTA and BMIDTP.
 */
#include "host-vsp/gm.h"
#include "lib/dirty_log.h"
#include "machine/dev/ide_priv.h"

#define LAST 0x80000000u
#define KEPT 0x60u /* of the status: which drives can do DMA, for the guest's own use */

struct raw_prd { /* SFF-8038i, 1.2 */
	__le32 address;
	__le32 count; /* low 16 bits: bytes, 0 = 64 KiB; the highest: the last one */
};

/* ---- tables ---- */

/* Return: false: not RAM. */
static bool fetch_prd(struct ide_chan *c)
{
	const struct kvmb_gm *gm = c->ide->cfg.gm;
	struct ide_master *bm = &c->bm;
	struct raw_prd raw;
	struct ide_prd prd;

	if (kvmb_gm_read(gm, bm->next, &raw, sizeof(raw)))
		return false;
	prd.address = le32_to_cpu(raw.address) & ~1u;
	prd.length = le32_to_cpu(raw.count) & 0xfffe;
	if (!prd.length)
		prd.length = 65536;
	if (!kvmb_gm_ptr(gm, prd.address, prd.length))
		return false;
	bm->prds[bm->num++] = prd;
	bm->fetched++;
	bm->end = le32_to_cpu(raw.count) & LAST || bm->fetched == IDE_TABLE;
	bm->next = (bm->next & ~0xffffu) | ((bm->next + sizeof(raw)) & 0xffff); /* as the PIIX */
	return true;
}

static u32 bytes_fetched(const struct ide_master *bm)
{
	u32 i, have = 0;

	for (i = 0; i < bm->num; i++)
		have += bm->prds[i].length;
	return have;
}

/* Fetch until there are @want bytes, or no more. */
static bool fetch_prds(struct ide_chan *c, u32 want)
{
	struct ide_master *bm = &c->bm;
	u32 have = bytes_fetched(bm);

	while (have < want && !bm->end && bm->num < IDE_IOVS) {
		if (!fetch_prd(c))
			return false;
		have += bm->prds[bm->num - 1].length;
	}
	return true;
}

/* The first @bytes of the descriptors as d->iov; neighbours become one. */
static void fill_iov(struct ide_drive *d, u32 bytes)
{
	const struct ide_master *bm = &d->chan->bm;
	u32 i, n, num = 0;
	u8 *p;

	for (i = 0; bytes; i++, bytes -= n) {
		n = KVMB_MIN(bytes, bm->prds[i].length);
		p = __unshare(kvmb_gm_ptr(d->chan->ide->cfg.gm, bm->prds[i].address, n));
		kvmb_assert(p);
		if (num && p == (u8 *)d->iov[num - 1].iov_base + d->iov[num - 1].iov_len)
			d->iov[num - 1].iov_len += n;
		else
			d->iov[num++] = (struct iovec){ p, n };
	}
	d->io.iov = d->iov;
	d->io.num_iov = (int)num;
}

enum ide_table ide_dma_piece(struct ide_drive *d, u32 want, u32 unit)
{
	struct ide_chan *c = d->chan;
	u32 have;

	if (!pci_may_master(c->ide->cfg.pci, &c->ide->func) || !fetch_prds(c, want))
		return IDE_TABLE_BAD;
	have = KVMB_MIN(bytes_fetched(&c->bm), want);
	have -= have % unit;
	if (!have)
		return IDE_TABLE_SHORT;
	fill_iov(d, have);
	d->io.length = have;
	d->generation = c->bm.generation;
	return IDE_TABLE_OK;
}

void ide_dma_stop(struct ide_chan *c, bool error)
{
	c->bm.status &= (u8)~IDE_BM_ACTIVE;
	if (error)
		c->bm.status |= IDE_BM_ERROR;
	c->bm.num = 0;
}

void ide_dma_used(struct ide_drive *d, u32 bytes)
{
	struct ide_master *bm = &d->chan->bm;
	u32 i, n;

	for (i = 0; bytes; i++, bytes -= n) {
		kvmb_assert(i < bm->num);
		n = KVMB_MIN(bytes, bm->prds[i].length);
		bm->prds[i].address += n;
		bm->prds[i].length -= n;
	}
	i -= i && bm->prds[i - 1].length;
	bm->num -= i;
	memmove(bm->prds, bm->prds + i, bm->num * sizeof(bm->prds[0]));
	if (!bm->num && bm->end)
		ide_dma_stop(d->chan, false);
}

/* What the table leaves no room for is lost, and the drive waits, as with data of the medium. */
void ide_dma_copy(struct ide_drive *d)
{
	struct ide_command *cmd = &d->cmd;
	u32 have, left = cmd->filled - cmd->from;
	int i;

	switch (ide_dma_piece(d, left, 1)) {
	case IDE_TABLE_OK:
		break;
	case IDE_TABLE_SHORT:
		ide_dma_stop(d->chan, false);
		ide_to(d, IDE_DMA_WAIT);
		return;
	default:
		ide_dma_stop(d->chan, true);
		ide_fail(d, IDE_FAIL_DMA);
		return;
	}
	have = (u32)d->io.length;
	for (i = 0; i < d->io.num_iov; i++) {
		memcpy(d->iov[i].iov_base, d->buf + cmd->from, d->iov[i].iov_len);
		cmd->from += (u32)d->iov[i].iov_len;
	}
	kvmb_dirty_iov(d->iov, d->io.num_iov, have);
	ide_dma_used(d, have);
	if (cmd->from == cmd->filled)
		ide_atapi_end(d); /* nothing else answers by DMA */
}

/* ---- memory that comes later ---- */

#define AT_ONCE (IDE_IOVS * sizeof(struct raw_prd)) /* bytes of a table */

/* No lock held. */
static void touch_range(const struct kvmb_gm *gm, u64 from, u64 to)
{
	const u8 __shared *p;
	u64 page;

	for (page = from & ~(u64)(KVMB_PAGE_SIZE - 1); page < to; page += KVMB_PAGE_SIZE) {
		p = kvmb_gm_ptr(gm, page, 1);
		if (p)
			(void)*(const volatile u8 *)p;
	}
}

static void await_table(struct ide_chan *c)
{
	struct ide_master *bm = &c->bm;
	u64 window = bm->next & ~0xffffu, from = bm->next & 0xffff, to = from + AT_ONCE;

	bm->awaited_generation = bm->generation;
	bm->awaited_next = bm->next;
	bm->awaited_answer = false;
	pthread_mutex_unlock(&c->lock);
	touch_range(c->ide->cfg.gm, window + from, window + KVMB_MIN(to, 0x10000u));
	if (to > 0x10000) /* it goes on at the beginning: fetch_prd() */
		touch_range(c->ide->cfg.gm, window, window + to - 0x10000);
	pthread_mutex_lock(&c->lock);
}

/* Of a table that is there. Return: false: it leads nowhere, which ide_dma_copy() finds, too. */
static bool await_answer(struct ide_chan *c, u32 len)
{
	struct ide_master *bm = &c->bm;
	struct ide_prd to[IDE_CDB_REPLY / 2];
	u32 num, i;

	if (len > IDE_CDB_REPLY || !fetch_prds(c, len))
		return false;
	num = KVMB_MIN(bm->num, (u32)ARRAY_SIZE(to));
	memcpy(to, bm->prds, num * sizeof(to[0]));
	bm->awaited_next = bm->next;
	bm->awaited_answer = true;
	pthread_mutex_unlock(&c->lock);
	for (i = 0; i < num; i++)
		touch_range(c->ide->cfg.gm, to[i].address,
			    to[i].address + (u64)KVMB_MIN(to[i].length, len));
	pthread_mutex_lock(&c->lock);
	return true;
}

bool ide_dma_await(struct ide_drive *d)
{
	const struct ide_command *cmd = &d->cmd;
	struct ide_chan *c = d->chan;
	struct ide_master *bm = &c->bm;

	if (!cmd->dma || !__atomic_load_n(&c->ide->cfg.gm->lazy, __ATOMIC_ACQUIRE) ||
	    !pci_may_master(c->ide->cfg.pci, &c->ide->func))
		return false;
	if (bm->awaited_generation != bm->generation || bm->awaited_next != bm->next) {
		await_table(c);
		return true;
	}
	return cmd->from < cmd->filled && !bm->awaited_answer &&
	       await_answer(c, cmd->filled - cmd->from);
}

/* ---- moving ---- */

static void dirty_range(const struct ide_chan *c, u64 from, u64 to)
{
	const struct kvmb_gm *gm = c->ide->cfg.gm;
	u64 page;
	const void *p;

	for (page = from & ~(u64)(KVMB_PAGE_SIZE - 1); page < to; page += KVMB_PAGE_SIZE) {
		p = __unshare(kvmb_gm_ptr(gm, page, 1));
		if (p)
			kvmb_dirty(p, 1);
	}
}

/* A table does not leave its 64 KiB. An answer of the drive's own goes to its first bytes. */
static void dirty_table(struct ide_chan *c)
{
	struct ide_master *bm = &c->bm;
	u64 end = (bm->next & ~0xffffu) + 0x10000ull;
	u32 i;

	dirty_range(c, bm->next, end);
	for (i = 0; i < bm->num; i++)
		dirty_range(c, bm->prds[i].address, bm->prds[i].address + (u64)bm->prds[i].length);
}

void ide_dirty(struct ide *ide)
{
	u32 i, n;

	for (i = 0; i < 2; i++) {
		struct ide_chan *c = &ide->chans[i];

		pthread_mutex_lock(&c->lock);
		for (n = 0; n < 2; n++) {
			if (c->drives[n].phase == IDE_DUE && c->drives[n].cmd.dma)
				dirty_table(c);
		}
		pthread_mutex_unlock(&c->lock);
	}
}

/* ---- registers ---- */

static void start(struct ide_chan *c)
{
	struct ide_master *bm = &c->bm;
	u32 i;

	bm->next = bm->table;
	bm->fetched = bm->num = 0;
	bm->end = false;
	bm->generation++;
	bm->status |= IDE_BM_ACTIVE;
	for (i = 0; i < 2; i++) {
		if (c->drives[i].phase == IDE_DMA_WAIT)
			ide_to(&c->drives[i], IDE_DUE);
	}
}

/*
 * A request under way goes on when the guest stops the bus master: its drive is BSY until it is
 * done, and drivers wait for that, after a reset if for nothing else.
 */
static void write_bm_command(struct ide_chan *c, u8 val)
{
	u8 old = c->bm.command;

	c->bm.command = val & (IDE_BM_START | IDE_BM_TO_MEMORY);
	if (val & IDE_BM_START && !(old & IDE_BM_START))
		start(c);
	else if (!(val & IDE_BM_START))
		c->bm.status &= (u8)~IDE_BM_ACTIVE;
}

static void write_bm(struct ide_chan *c, u32 reg, u8 val)
{
	struct ide_master *bm = &c->bm;

	if (!reg) {
		write_bm_command(c, val);
	} else if (reg == 2) {
		bm->status &= (u8) ~(val & (IDE_BM_ERROR | IDE_BM_INTERRUPT));
		bm->status = (u8)((bm->status & ~KEPT) | (val & KEPT));
	} else if (reg >= 4) {
		bm->table = (bm->table & ~(0xffu << (reg - 4) * 8)) | (u32)val << (reg - 4) * 8;
		bm->table &= ~3u;
	}
}

static u8 read_bm(const struct ide_chan *c, u32 reg)
{
	if (!reg)
		return c->bm.command;
	if (reg == 2)
		return c->bm.status;
	return reg >= 4 ? (u8)(c->bm.table >> (reg - 4) * 8) : 0;
}

void ide_bm_access(void *dev, u32 offset, u32 size, bool write, u64 *val)
{
	struct ide *ide = dev;
	struct ide_chan *c;
	u32 i;

	for (i = 0; i < size && offset + i < 16; i++) {
		c = &ide->chans[(offset + i) / 8];
		pthread_mutex_lock(&c->lock);
		if (write)
			write_bm(c, (offset + i) % 8, (u8)(*val >> i * 8));
		else
			*val = (*val & ~(0xffull << i * 8)) | (u64)read_bm(c, (offset + i) % 8)
								      << i * 8;
		pthread_mutex_unlock(&c->lock);
		if (write && !((offset + i) % 8))
			ide_pump(c);
	}
}

void ide_bm_reset(struct ide_chan *c)
{
	struct ide_master *bm = &c->bm;

	bm->command = bm->status = 0;
	bm->table = bm->next = bm->fetched = bm->num = 0;
	bm->end = false;
	bm->generation++;
}
