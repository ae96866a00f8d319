// SPDX-License-Identifier: GPL-2.0-only
/* The IDE controller: ports, interrupts, resets, requests on their way. Theory: ide.h. */
#include "machine/dev/ide.h"

#include "lib/dirty_log.h"
#include "machine/dev/ide_priv.h"
#include "machine/iobus.h"

#define VENDOR_INTEL 0x8086u
#define DEVICE_PIIX3_IDE 0x7010u
#define CLASS_IDE 0x010180u /* both channels at the legacy ports; a bus master */
#define IDETIM 0x40u	    /* two bytes a channel; then SIDETIM */
#define IDETIM_DECODE 0x80u /* in the higher byte */

static const u16 moves[IDE_PHASES] = {
	/* from: 1 << to, beside resets */
	[IDE_IDLE] = 1u << IDE_PIO_IN | 1u << IDE_PIO_OUT | 1u << IDE_PACKET | 1u << IDE_DMA_WAIT |
		     1u << IDE_DUE | 1u << IDE_IDLE,
	[IDE_PIO_IN] = 1u << IDE_PIO_IN | 1u << IDE_DUE | 1u << IDE_IDLE,
	[IDE_PIO_OUT] = 1u << IDE_PIO_OUT | 1u << IDE_DUE,
	[IDE_PACKET] = 1u << IDE_PIO_IN | 1u << IDE_DMA_WAIT | 1u << IDE_DUE | 1u << IDE_IDLE,
	[IDE_DMA_WAIT] = 1u << IDE_DUE,
	[IDE_DUE] = 1u << IDE_PIO_IN | 1u << IDE_PIO_OUT | 1u << IDE_DMA_WAIT | 1u << IDE_DUE |
		    1u << IDE_IO | 1u << IDE_IDLE,
	[IDE_IO] = 1u << IDE_DUE | 1u << IDE_ABORT,
	[IDE_ABORT] = 1u << IDE_RESETTING,
	[IDE_RESETTING] = 1u << IDE_IDLE,
};

void ide_to(struct ide_drive *d, enum ide_phase to)
{
	kvmb_assert(moves[d->phase] >> to & 1 || (to == IDE_RESETTING && d->phase != IDE_IO));
	d->phase = to;
}

static struct ide_drive *chosen(struct ide_chan *c)
{
	return &c->drives[c->device & IDE_DEV ? 1 : 0];
}

static struct ide_drive *drive_of(struct ide *ide, u32 drive)
{
	kvmb_assert(drive < IDE_DRIVES);
	return &ide->chans[drive / 2].drives[drive % 2];
}

/* ---- interrupts ---- */

void ide_update_irq(struct ide_chan *c)
{
	bool level = chosen(c)->intrq && !(c->control & IDE_NIEN);

	if (level == c->line)
		return;
	c->line = level;
	if (level)
		c->bm.status |= IDE_BM_INTERRUPT;
	c->ide->cfg.set_irq(c->ide->cfg.irq_arg, c->index, level);
}

void ide_interrupt(struct ide_drive *d)
{
	d->intrq = true;
	ide_update_irq(d->chan);
}

static void no_interrupt(struct ide_drive *d)
{
	d->intrq = false;
	ide_update_irq(d->chan);
}

/* ---- resets ---- */

void ide_signature(struct ide_drive *d)
{
	memset(d->reg, 0, sizeof(d->reg));
	memset(d->hob, 0, sizeof(d->hob));
	d->reg[IDE_COUNT] = d->reg[IDE_LBA_LOW] = 1;
	d->reg[IDE_LBA_MID] = d->cfg.cd ? 0x14 : 0;
	d->reg[IDE_LBA_HIGH] = d->cfg.cd ? 0xeb : 0;
	d->error = 1; /* the diagnosis: passed */
	d->status = d->cfg.cd ? 0 : IDE_DRDY | IDE_DSC;
}

static void unlock_tray(struct ide_drive *d)
{
	if (d->locked)
		d->tell |= IDE_TELL_LOCK;
	d->locked = false;
}

void ide_power_on(struct ide_drive *d)
{
	d->heads = 16;
	d->sectors = 63;
	d->multiple = IDE_MULTIPLE;
	d->mode = 0;
	d->write_cache = !d->cfg.write_through;
	d->sense = (struct ide_sense){ 0 };
	d->attention = d->tray_open = false;
	d->media_event = 0;
	unlock_tray(d);
}

void ide_abandon(struct ide_drive *d)
{
	if (!d->present)
		return;
	d->intrq = d->held = false;
	if (d->phase == IDE_IO) {
		ide_to(d, IDE_ABORT);
		d->tell |= IDE_TELL_CANCEL;
	} else if (d->phase != IDE_ABORT) {
		ide_to(d, IDE_RESETTING);
	}
}

void ide_finish_reset(struct ide_chan *c)
{
	u32 i;

	if (c->control & IDE_SRST || c->drives[0].phase == IDE_ABORT ||
	    c->drives[1].phase == IDE_ABORT)
		return;
	for (i = 0; i < 2; i++) {
		if (c->drives[i].phase != IDE_RESETTING)
			continue;
		ide_to(&c->drives[i], IDE_IDLE);
		ide_signature(&c->drives[i]);
	}
}

static void write_control(struct ide_chan *c, u8 val)
{
	u8 old = c->control;

	c->control = val & (IDE_NIEN | IDE_SRST | IDE_HOB);
	if (val & IDE_SRST && !(old & IDE_SRST)) {
		c->device = 0xa0;
		ide_abandon(&c->drives[0]);
		ide_abandon(&c->drives[1]);
	}
	ide_finish_reset(c);
	ide_update_irq(c);
}

/* ---- ports ---- */

static u8 status_of(const struct ide_drive *d)
{
	switch (d->phase) {
	case IDE_IDLE:
		return d->status;
	case IDE_PIO_IN:
	case IDE_PIO_OUT:
	case IDE_PACKET:
	case IDE_DMA_WAIT:
		return IDE_DRDY | IDE_DSC | IDE_DRQ;
	default:
		return IDE_BSY;
	}
}

/* Does the drive take no new register values? */
static bool is_busy(const struct ide_drive *d)
{
	return d->present && d->phase != IDE_IDLE;
}

static u8 read_reg(struct ide_chan *c, u32 reg)
{
	struct ide_drive *d = chosen(c);

	if (!d->present)
		return 0;
	if (reg == 6)
		return c->device;
	if (reg == 7) {
		no_interrupt(d);
		return status_of(d);
	}
	if (reg == 1 && !(c->control & IDE_HOB))
		return d->error;
	return c->control & IDE_HOB ? d->hob[reg] : d->reg[reg];
}

static void diagnose(struct ide_chan *c)
{
	u32 i;

	c->device = 0xa0;
	for (i = 0; i < 2; i++) {
		if (c->drives[i].present)
			ide_signature(&c->drives[i]);
	}
	if (c->drives[0].present)
		ide_interrupt(&c->drives[0]);
}

static void write_command(struct ide_chan *c, u8 code)
{
	struct ide_drive *d = chosen(c);

	if (!d->present)
		return;
	if (code == 0x08 && d->cfg.cd) { /* DEVICE RESET: also of a drive that is busy */
		ide_abandon(d);
		ide_finish_reset(c);
		ide_update_irq(c);
		return;
	}
	if (is_busy(d))
		return;
	no_interrupt(d);
	if (code != 0x90)
		ide_ata_command(d, code);
	else if (!is_busy(&c->drives[0]) && !is_busy(&c->drives[1]))
		diagnose(c); /* EXECUTE DEVICE DIAGNOSTIC is for both */
	else
		ide_abort(d);
}

static void write_reg(struct ide_chan *c, u32 reg, u8 val)
{
	u32 i;

	if (reg == 7) {
		c->control &= (u8)~IDE_HOB;
		write_command(c, val);
		return;
	}
	if (is_busy(chosen(c)))
		return;
	c->control &= (u8)~IDE_HOB;
	if (reg == 6) {
		c->device = val | 0xa0;
		ide_update_irq(c);
		return;
	}
	for (i = 0; i < 2; i++) { /* both listen */
		c->drives[i].hob[reg] = c->drives[i].reg[reg];
		c->drives[i].reg[reg] = val;
	}
}

static bool has_work(const struct ide_chan *c)
{
	const struct ide_drive *a = &c->drives[0], *b = &c->drives[1];

	return a->phase == IDE_DUE || b->phase == IDE_DUE || a->tell || b->tell;
}

static bool is_decoded(const struct ide_chan *c)
{
	return __atomic_load_n(&c->ide->decoded, __ATOMIC_RELAXED) >> c->index & 1;
}

static void command_block(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct ide_chan *c = dev;
	bool work;
	u32 i;

	if (!is_decoded(c))
		return;
	pthread_mutex_lock(&c->lock);
	if (!offset) {
		ide_data(chosen(c), size, write, val);
	} else {
		for (i = 0; i < size && offset + i < 8; i++) { /* as an ISA bus splits it */
			if (write)
				write_reg(c, offset + i, (u8)(*val >> i * 8));
			else
				*val = (*val & ~(0xffu << i * 8)) | (u32)read_reg(c, offset + i)
									    << i * 8;
		}
	}
	work = has_work(c);
	pthread_mutex_unlock(&c->lock);
	if (work)
		ide_pump(c);
}

static void control_block(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct ide_chan *c = dev;
	bool work;

	(void)offset, (void)size;
	if (!is_decoded(c))
		return;
	pthread_mutex_lock(&c->lock);
	if (write)
		write_control(c, (u8)*val);
	else
		*val = (*val & ~0xffu) | (chosen(c)->present ? status_of(chosen(c)) : 0);
	work = has_work(c);
	pthread_mutex_unlock(&c->lock);
	if (work)
		ide_pump(c);
}

/* ---- requests on their way ---- */

static void pump_locked(struct ide_chan *c);

static void request_done(struct ide_io *io, int err)
{
	struct ide_drive *d = container_of(io, struct ide_drive, io);
	struct ide_chan *c = d->chan;

	if (io->op == IDE_READ) /* one that failed may have come half the way */
		kvmb_dirty_iov(io->iov, io->num_iov, io->length);
	pthread_mutex_lock(&c->lock);
	ide_piece_done(d, err);
	pump_locked(c);
}

/* Tell what @d has to tell; the lock is released meanwhile. */
static void tell_owner(struct ide_drive *d)
{
	const struct ide_drive_ops *ops = d->cfg.ops;
	u32 tell = d->tell;
	bool locked = d->locked, cancel;

	d->tell = 0;
	cancel = tell & IDE_TELL_CANCEL && ops->cancel &&
		 (d->phase == IDE_ABORT || (d->phase == IDE_IO && d->give_up));
	d->cancelled |= cancel;
	pthread_mutex_unlock(&d->chan->lock);
	if (cancel)
		ops->cancel(d->cfg.arg, &d->io);
	if (tell & IDE_TELL_LOCK && ops->lock)
		ops->lock(d->cfg.arg, locked);
	if (tell & IDE_TELL_EJECT && ops->eject)
		ops->eject(d->cfg.arg);
	pthread_mutex_lock(&d->chan->lock);
}

/* The lock is released while it submits. Return: false: there was nothing to do. */
static bool serve(struct ide_drive *d)
{
	if (d->tell) {
		tell_owner(d);
		return true;
	}
	if (d->phase != IDE_DUE || d->stop == IDE_HOLD || (d->held && d->stop != IDE_REFUSE))
		return false;
	if (ide_dma_await(d))
		return true;
	d->held = false;
	if (!ide_next_piece(d))
		return true;
	d->io.done = request_done;
	pthread_mutex_unlock(&d->chan->lock);
	d->cfg.ops->submit(d->cfg.arg, &d->io);
	pthread_mutex_lock(&d->chan->lock);
	return true;
}

struct waiter { /* somebody who waits for a drive to stop */
	void (*fn)(void *arg);
	void *arg;
	bool counted;
};

static struct waiter take_waiter(struct ide_drive *d)
{
	struct waiter w = { d->stopped, d->stopped_arg, d->counted };

	if (d->phase == IDE_IO || d->phase == IDE_ABORT || d->stop == IDE_GO)
		return (struct waiter){ 0 };
	d->stopped = NULL;
	d->counted = false;
	return w;
}

static void one_less(struct ide *ide)
{
	void (*fn)(void *arg) = ide->stopped;
	void *arg = ide->stopped_arg;

	if (!__atomic_sub_fetch(&ide->stopping, 1, __ATOMIC_ACQ_REL) && fn)
		fn(arg);
}

/*
 * Releases the lock, and touches the channel no more: once a request that is done has been seen
 * without the lock, whoever waited for it may destroy the controller.
 */
static void pump_locked(struct ide_chan *c)
{
	struct ide *ide = c->ide;
	struct waiter w[2];
	u32 i;

	if (c->pumping) { /* looks again before it leaves */
		pthread_mutex_unlock(&c->lock);
		return;
	}
	c->pumping = true;
	while (serve(&c->drives[0]) || serve(&c->drives[1]))
		;
	c->pumping = false;
	w[0] = take_waiter(&c->drives[0]);
	w[1] = take_waiter(&c->drives[1]);
	pthread_mutex_unlock(&c->lock);
	for (i = 0; i < 2; i++) {
		if (w[i].fn)
			w[i].fn(w[i].arg);
		if (w[i].counted)
			one_less(ide);
	}
}

void ide_pump(struct ide_chan *c)
{
	pthread_mutex_lock(&c->lock);
	pump_locked(c);
}

/* ---- stopping ---- */

void ide_stop_drive(struct ide *ide, u32 drive, enum ide_stop how, void (*done)(void *arg),
		    void *arg)
{
	struct ide_drive *d = drive_of(ide, drive);

	pthread_mutex_lock(&d->chan->lock);
	kvmb_assert(how != IDE_GO && !d->stopped);
	d->stop = how;
	d->stopped = done;
	d->stopped_arg = arg;
	pthread_mutex_unlock(&d->chan->lock);
	ide_pump(d->chan);
}

void ide_resume_drive(struct ide *ide, u32 drive)
{
	struct ide_drive *d = drive_of(ide, drive);

	pthread_mutex_lock(&d->chan->lock);
	kvmb_assert(!d->stopped && !d->counted);
	d->stop = IDE_GO;
	d->held = false;
	pthread_mutex_unlock(&d->chan->lock);
	ide_pump(d->chan);
}

void ide_stop(struct ide *ide, void (*done)(void *arg), void *arg)
{
	struct ide_drive *d;
	u32 i;

	kvmb_assert(!__atomic_load_n(&ide->stopping, __ATOMIC_ACQUIRE));
	ide->stopped = done;
	ide->stopped_arg = arg;
	__atomic_store_n(&ide->stopping, IDE_DRIVES + 1, __ATOMIC_RELEASE);
	for (i = 0; i < IDE_DRIVES; i++) {
		d = drive_of(ide, i);
		pthread_mutex_lock(&d->chan->lock);
		d->counted = true;
		if (d->stop == IDE_GO)
			d->stop = IDE_HOLD;
		pthread_mutex_unlock(&d->chan->lock);
		ide_pump(d->chan);
	}
	one_less(ide);
}

void ide_resume(struct ide *ide)
{
	struct ide_drive *d;
	bool held;
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++) {
		d = drive_of(ide, i);
		pthread_mutex_lock(&d->chan->lock);
		held = d->stop == IDE_HOLD;
		pthread_mutex_unlock(&d->chan->lock);
		if (held)
			ide_resume_drive(ide, i);
	}
}

void ide_retry(struct ide *ide, u32 drive)
{
	struct ide_drive *d = drive_of(ide, drive);

	pthread_mutex_lock(&d->chan->lock);
	d->held = false;
	d->retried = true;
	pump_locked(d->chan);
}

void ide_cancel(struct ide *ide, u32 drive)
{
	struct ide_drive *d = drive_of(ide, drive);

	pthread_mutex_lock(&d->chan->lock);
	if (d->phase == IDE_IO) {
		d->give_up = true;
		d->tell |= IDE_TELL_CANCEL;
	} else if (d->held) {
		d->held = false;
		ide_fail(d, IDE_FAIL_IO);
	}
	pthread_mutex_unlock(&d->chan->lock);
	ide_pump(d->chan);
}

/* ---- the medium ---- */

static void media_event(struct ide *ide, u32 drive, bool changed)
{
	struct ide_drive *d = drive_of(ide, drive);

	pthread_mutex_lock(&d->chan->lock);
	if (changed) {
		d->tray_open = false;
		d->attention = true;
		d->media_event = d->present && d->cfg.ops->bytes(d->cfg.arg) ? 2 : 3;
	} else {
		d->media_event = 1;
	}
	if (d->media_event == 3)
		unlock_tray(d); /* it was taken out by force */
	pump_locked(d->chan);
}

void ide_medium_changed(struct ide *ide, u32 drive)
{
	media_event(ide, drive, true);
}

void ide_eject_request(struct ide *ide, u32 drive)
{
	media_event(ide, drive, false);
}

void ide_get_stats(struct ide *ide, u32 drive, struct ide_stats *out)
{
	struct ide_drive *d = drive_of(ide, drive);

	pthread_mutex_lock(&d->chan->lock);
	*out = d->stats;
	pthread_mutex_unlock(&d->chan->lock);
}

/* ---- life ---- */

/* Also called with the bus's lock held. */
static void find_decoded(struct ide *ide)
{
	u32 i, decoded = 0;

	for (i = 0; i < 2; i++)
		decoded |= ide->func.config[IDETIM + i * 2 + 1] & IDETIM_DECODE ? 1u << i : 0;
	__atomic_store_n(&ide->decoded, decoded, __ATOMIC_RELAXED);
}

static void config_written(void *dev, u32 reg)
{
	(void)reg;
	find_decoded(dev);
}

void ide_loaded(struct ide *ide)
{
	u32 i;

	find_decoded(ide);
	for (i = 0; i < 2; i++) {
		pthread_mutex_lock(&ide->chans[i].lock);
		ide_update_irq(&ide->chans[i]);
		pump_locked(&ide->chans[i]);
	}
}

static void reset_chan(struct ide_chan *c)
{
	u32 i;

	pthread_mutex_lock(&c->lock);
	c->control = 0;
	c->device = 0xa0;
	ide_bm_reset(c);
	for (i = 0; i < 2; i++) {
		ide_power_on(&c->drives[i]);
		ide_abandon(&c->drives[i]);
	}
	ide_finish_reset(c);
	ide_update_irq(c);
	pthread_mutex_unlock(&c->lock);
	ide_pump(c);
}

void ide_reset(struct ide *ide)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		ide->func.config[IDETIM + i * 2] = 0;
		ide->func.config[IDETIM + i * 2 + 1] = IDETIM_DECODE;
		reset_chan(&ide->chans[i]);
	}
	ide->func.config[IDETIM + 4] = 0;
	find_decoded(ide);
}

static void init_chan(struct ide *ide, u32 i)
{
	struct ide_chan *c = &ide->chans[i];
	u32 n;

	c->ide = ide;
	c->index = i;
	pthread_mutex_init(&c->lock, NULL);
	for (n = 0; n < 2; n++) {
		c->drives[n].chan = c;
		c->drives[n].number = i * 2 + n;
	}
	iobus_add(ide->cfg.ports, i ? 0x170 : 0x1f0, 8, command_block, c);
	iobus_add(ide->cfg.ports, i ? 0x376 : 0x3f6, 1, control_block, c);
}

struct ide *ide_create(const struct ide_config *cfg)
{
	struct ide *ide = kvmb_xzalloc(sizeof(*ide));

	ide->cfg = *cfg;
	ide->func = (struct pci_func){
		.slot = cfg->slot,
		.number = cfg->number,
		.dev = ide,
		.bars[4] = { .size = 16, .io = true, .access = ide_bm_access },
		.written = config_written,
	};
	pci_func_init(&ide->func, VENDOR_INTEL, DEVICE_PIIX3_IDE, CLASS_IDE, 0);
	memset(ide->func.can_write + IDETIM, 0xff, 5);
	pci_add(cfg->pci, &ide->func);
	init_chan(ide, 0);
	init_chan(ide, 1);
	ide_reset(ide);
	return ide;
}

void ide_attach(struct ide *ide, u32 drive, const struct ide_drive_config *cfg)
{
	struct ide_drive *d = drive_of(ide, drive);

	kvmb_assert(!d->present);
	d->cfg = *cfg;
	if (!cfg->model[0])
		snprintf(d->cfg.model, sizeof(d->cfg.model), "Virtual %s", cfg->cd ? "CD" : "HD");
	d->buf = kvmb_xzalloc(IDE_BUFFER);
	d->present = true;
	ide_power_on(d);
	ide_signature(d);
}

void ide_destroy(struct ide *ide)
{
	u32 i;

	if (!ide)
		return;
	for (i = 0; i < IDE_DRIVES; i++) {
		kvmb_assert(drive_of(ide, i)->phase != IDE_IO &&
			    drive_of(ide, i)->phase != IDE_ABORT);
		free(drive_of(ide, i)->buf);
	}
	pthread_mutex_destroy(&ide->chans[0].lock);
	pthread_mutex_destroy(&ide->chans[1].lock);
	free(ide);
}
