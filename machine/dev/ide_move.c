// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data of a command on its way between the medium, the buffer, and the guest: by the data port, or
 * by the bus master. Theory: ide.h.
 *
 * Reading by PIO: a piece of the medium fills the buffer, the guest empties it block by block.
 * Writing: the guest fills it block by block; when no further block fits, or all is there, it is
 * written. A drive may say that a block is done before it is on the medium: an error comes with a
 * later block, or with the end of the command.
 *
 * Sources: T13 ATA/ATAPI-6, chapter 9 (protocols); Linux drivers/ata/libata-sff.c.
 */
#include "machine/dev/ide_priv.h"
#include "vmbus-core/proto/scsi.h"

/* ---- the end of a command ---- */

void ide_finish(struct ide_drive *d, bool irq)
{
	ide_to(d, IDE_IDLE);
	d->error = 0;
	d->status = IDE_DRDY | IDE_DSC;
	if (irq)
		ide_interrupt(d);
}

static void finish_with(struct ide_drive *d, u8 error, u8 status)
{
	ide_finish(d, false);
	d->error = error;
	d->status |= IDE_ERR | status;
	ide_interrupt(d);
}

void ide_abort(struct ide_drive *d)
{
	finish_with(d, IDE_ABRT, 0);
}

static void fail_cd(struct ide_drive *d, enum ide_fail why)
{
	switch (why) {
	case IDE_FAIL_IO:
		ide_atapi_fail(d, SENSE_MEDIUM_ERROR, ASC_READ_ERROR, 0);
		break;
	case IDE_FAIL_RANGE:
		if (ide_medium(d))
			ide_atapi_fail(d, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
		else
			ide_atapi_fail(d, SENSE_NOT_READY, 0x3a, 0); /* medium not present */
		break;
	case IDE_FAIL_REFUSED:
		ide_atapi_fail(d, SENSE_NOT_READY, 0x04, 0); /* cause not reportable */
		break;
	case IDE_FAIL_DMA:
		ide_atapi_fail(d, SENSE_ABORTED, 0x4b, 0); /* data phase error */
		break;
	}
}

void ide_fail(struct ide_drive *d, enum ide_fail why)
{
	d->stats.errors++;
	if (d->cfg.cd) {
		fail_cd(d, why);
		return;
	}
	if (why == IDE_FAIL_RANGE || (why == IDE_FAIL_IO && d->cmd.op != IDE_FLUSH))
		ide_ata_put_lba(d, d->cmd.offset / IDE_SECTOR);
	if (why == IDE_FAIL_RANGE)
		finish_with(d, IDE_IDNF, 0);
	else if (why != IDE_FAIL_IO)
		finish_with(d, IDE_ABRT, 0);
	else if (d->cmd.op == IDE_READ)
		finish_with(d, IDE_UNC, 0);
	else
		finish_with(d, IDE_ABRT, IDE_DF);
}

/* All data is moved. @irq: a disk's command ends with an interrupt; a packet command always */
static void end_command(struct ide_drive *d, bool irq)
{
	if (d->cfg.cd && d->cmd.code == 0xa0)
		ide_atapi_end(d);
	else
		ide_finish(d, irq);
}

/* ---- PIO ---- */

static void next_block_in(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;
	u32 n = KVMB_MIN(c->unit, c->filled - c->pos);

	c->block_end = c->pos + n;
	if (c->code == 0xa0) {
		d->reg[IDE_COUNT] = IDE_TO_HOST;
		d->reg[IDE_LBA_MID] = (u8)n;
		d->reg[IDE_LBA_HIGH] = (u8)(n >> 8);
	}
	ide_to(d, IDE_PIO_IN);
	ide_interrupt(d);
}

static void go_by_dma(struct ide_drive *d)
{
	bool started = d->chan->bm.command & IDE_BM_START && d->chan->bm.status & IDE_BM_ACTIVE;

	ide_to(d, started ? IDE_DUE : IDE_DMA_WAIT);
}

void ide_begin_in(struct ide_drive *d)
{
	d->cmd.pos = d->cmd.from = 0;
	if (d->cmd.dma)
		go_by_dma(d);
	else
		next_block_in(d);
}

void ide_begin_out(struct ide_drive *d, bool irq)
{
	struct ide_command *c = &d->cmd;

	c->block_end = c->pos + (u32)KVMB_MIN((u64)c->unit, c->left - c->pos);
	ide_to(d, IDE_PIO_OUT);
	if (irq)
		ide_interrupt(d);
}

void ide_begin_media(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;

	c->filled = c->from = c->pos = c->block_end = 0;
	c->narrow = false;
	if (c->dma)
		go_by_dma(d);
	else if (c->op == IDE_WRITE)
		ide_begin_out(d, false);
	else
		ide_to(d, IDE_DUE);
}

static void block_is_read(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;

	if (c->pos < c->filled) {
		next_block_in(d);
	} else if (c->left) {
		c->filled = c->pos = 0;
		ide_to(d, IDE_DUE);
	} else {
		end_command(d, false);
	}
}

static void block_is_written(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;

	if (c->pos < c->left && c->pos + c->unit <= IDE_BUFFER) {
		ide_begin_out(d, true);
		return;
	}
	c->filled = c->pos;
	c->from = 0;
	ide_to(d, IDE_DUE);
}

void ide_data(struct ide_drive *d, u32 size, bool write, u32 *val)
{
	struct ide_command *c = &d->cmd;
	bool in = d->phase == IDE_PIO_IN;

	if (write ? d->phase != IDE_PIO_OUT && d->phase != IDE_PACKET : !in)
		return;
	size = KVMB_MIN(size, c->block_end - c->pos);
	if (write)
		memcpy(d->buf + c->pos, val, size);
	else
		memcpy(val, d->buf + c->pos, size);
	c->pos += size;
	if (c->pos < c->block_end)
		return;
	if (in)
		block_is_read(d);
	else if (d->phase == IDE_PIO_OUT)
		block_is_written(d);
	else
		ide_atapi_packet(d);
}

/* ---- requests ---- */

/* A disk may have become smaller, or a medium been taken out, in the middle of a command. */
static bool in_range(const struct ide_drive *d, u64 bytes)
{
	u64 size = ide_sectors(d) * ide_sector(d);

	return d->cmd.offset <= size && bytes <= size - d->cmd.offset;
}

static void pio_piece(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;
	u32 n;

	if (c->op == IDE_READ) {
		if (c->verify)
			c->filled = 0;
		n = (u32)KVMB_MIN(c->left, (u64)(IDE_BUFFER - c->filled));
		d->iov[0].iov_base = d->buf + c->filled;
	} else {
		n = c->filled - c->from;
		d->iov[0].iov_base = d->buf + c->from;
	}
	if (c->narrow)
		n = KVMB_MIN(n, ide_sector(d));
	d->iov[0].iov_len = n;
	d->io.num_iov = 1;
	d->io.length = n;
}

/* Return: false: there is no piece; what that means is done. */
static bool dma_piece(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;
	u32 want = c->narrow ? ide_sector(d) : (u32)KVMB_MIN(c->left, (u64)IDE_PIECE);

	switch (ide_dma_piece(d, want, ide_sector(d))) {
	case IDE_TABLE_OK:
		return true;
	case IDE_TABLE_SHORT:
		ide_dma_stop(d->chan, false);
		ide_to(d, IDE_DMA_WAIT);
		return false;
	default:
		ide_dma_stop(d->chan, true);
		ide_fail(d, IDE_FAIL_DMA);
		return false;
	}
}

static bool media_piece(struct ide_drive *d)
{
	if (d->stop == IDE_REFUSE) {
		ide_fail(d, IDE_FAIL_REFUSED);
		return false;
	}
	d->io.iov = d->iov;
	d->io.num_iov = 0;
	d->io.length = 0;
	if (d->cmd.op != IDE_FLUSH && !d->cmd.dma)
		pio_piece(d);
	else if (d->cmd.op != IDE_FLUSH && !dma_piece(d))
		return false;
	if (!in_range(d, d->io.length)) {
		ide_fail(d, IDE_FAIL_RANGE);
		return false;
	}
	return true;
}

bool ide_next_piece(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;

	if (c->dma && c->from < c->filled) { /* an answer that is in the buffer */
		ide_dma_copy(d);
		return false;
	}
	if (!media_piece(d))
		return false;
	d->io.op = c->op;
	d->io.fua = c->op == IDE_WRITE && (c->fua || !d->write_cache);
	d->io.offset = c->op == IDE_FLUSH ? 0 : c->offset;
	d->give_up = d->retried = false;
	ide_to(d, IDE_IO);
	return true;
}

/* ---- their end ---- */

static void dma_moved(struct ide_drive *d, u32 bytes)
{
	if (d->generation == d->chan->bm.generation)
		ide_dma_used(d, bytes);
	if (d->cmd.left)
		go_by_dma(d);
	else
		end_command(d, true);
}

static void read_moved(struct ide_drive *d, u32 bytes)
{
	struct ide_command *c = &d->cmd;

	c->filled += bytes;
	/* a block has its full size also if it was read in single sectors */
	if (c->left && (c->verify || (c->narrow && !d->cfg.cd && c->filled % c->unit)))
		return;
	if (c->verify)
		ide_finish(d, true);
	else
		ide_begin_in(d);
}

static void write_moved(struct ide_drive *d, u32 bytes)
{
	struct ide_command *c = &d->cmd;

	c->from += bytes;
	if (c->from < c->filled)
		return;
	c->filled = c->from = c->pos = 0;
	if (c->left)
		ide_begin_out(d, true);
	else
		ide_finish(d, true);
}

static void count_piece(struct ide_drive *d)
{
	struct ide_stats *s = &d->stats;

	switch (d->cmd.op) {
	case IDE_READ:
		s->reads++;
		s->read_bytes += d->io.length;
		break;
	case IDE_WRITE:
		s->writes++;
		s->written_bytes += d->io.length;
		break;
	case IDE_FLUSH:
		s->flushes++;
		break;
	}
}

/* The drive is in DUE, and stays there if there is more to do. */
static void piece_moved(struct ide_drive *d)
{
	struct ide_command *c = &d->cmd;
	u32 bytes = (u32)d->io.length;

	count_piece(d);
	if (c->op == IDE_FLUSH) {
		ide_finish(d, true);
		return;
	}
	c->offset += bytes;
	c->left -= bytes;
	if (c->dma)
		dma_moved(d, bytes);
	else if (c->op == IDE_READ)
		read_moved(d, bytes);
	else
		write_moved(d, bytes);
}

void ide_piece_done(struct ide_drive *d, int err)
{
	bool late = err == -ECANCELED && d->cancelled && !d->give_up; /* meant the one before */

	if (err == -ECANCELED)
		d->cancelled = false;
	if (d->phase == IDE_ABORT) {
		ide_to(d, IDE_RESETTING);
		ide_finish_reset(d->chan);
		return;
	}
	ide_to(d, IDE_DUE);
	if (!err) {
		piece_moved(d);
	} else if (err == -EAGAIN) {
		d->held = !d->retried;
	} else if (d->io.length > ide_sector(d) && !d->give_up && !late) {
		d->cmd.narrow = true;
	} else if (!late) {
		ide_fail(d, IDE_FAIL_IO);
	}
}
