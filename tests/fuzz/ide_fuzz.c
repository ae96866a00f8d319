// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IDE controller: the input is a list of accesses to its ports and to guest memory, of whole
 * commands, and of what its drives answer and when; with stops, resets, saves and loads between.
 */
#include <stdlib.h>

#include "host-vsp/gm.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"
#include "machine/irq.h"
#include "machine/machine.h"

#define RAM 0x20000u
#define BM 0xc000u
#define ACTIONS 400u /* most of one input */

struct drive {
	u64 bytes;
	bool at_once;
	struct ide_io *pending;
	bool fails;
};

static struct machine box;
static struct pci_bus *pci;
static struct ide *ide;
static struct drive drives[IDE_DRIVES];
static u32 stops_wanted, stops;

void irq_set_line(struct machine *m, u32 line, int level)
{
	(void)m, (void)line, (void)level;
}

static void set_irq(void *arg, u32 channel, int level)
{
	(void)arg;
	if (channel > 1 || (level & ~1))
		abort();
}

/* ---- drives ---- */

static void move(struct drive *d, const struct ide_io *io)
{
	volatile u8 sum = 0;
	u64 total = 0;
	size_t j;
	int i;

	if (io->op == IDE_FLUSH)
		return;
	if (!io->length || io->length > 2u << 20 || io->num_iov < 1 || io->num_iov > 1024 ||
	    io->length % IDE_SECTOR || io->offset % IDE_SECTOR)
		abort();
	(void)d;
	for (i = 0; i < io->num_iov; i++) {
		u8 *p = io->iov[i].iov_base;

		total += io->iov[i].iov_len;
		for (j = 0; j < io->iov[i].iov_len; j += 1021) {
			if (io->op == IDE_READ)
				p[j] = (u8)(io->offset + j);
			else
				sum = (u8)(sum + p[j]);
		}
		if (io->op == IDE_READ)
			p[io->iov[i].iov_len - 1] = 0;
	}
	if (total != io->length)
		abort();
}

static void answer(struct drive *d, struct ide_io *io, int err)
{
	d->pending = NULL;
	if (!err)
		move(d, io);
	io->done(io, err);
}

static void submit(void *arg, struct ide_io *io)
{
	struct drive *d = arg;

	if (d->pending)
		abort();
	d->pending = io;
	if (d->at_once)
		answer(d, io, d->fails ? -EIO : 0);
}

static void cancel(void *arg, struct ide_io *io)
{
	struct drive *d = arg;

	if (d->pending == io && !d->fails)
		answer(d, io, -ECANCELED);
}

static u64 bytes(void *arg)
{
	return ((struct drive *)arg)->bytes;
}

static const struct ide_drive_ops ops = { .submit = submit, .cancel = cancel, .bytes = bytes };

/* ---- the machine ---- */

static void connect(u32 n, bool cd)
{
	struct ide_drive_config cfg = { .ops = &ops, .arg = &drives[n], .cd = cd, .serial = "1" };

	ide_attach(ide, n, &cfg);
}

static void make(void)
{
	memset(&box.pio, 0, sizeof(box.pio));
	pci = pci_create(&box);
	ide = ide_create(&(struct ide_config){ .pci = pci,
					       .ports = &box.pio,
					       .gm = &box.gm,
					       .slot = 1,
					       .number = 1,
					       .set_irq = set_irq });
	connect(0, false);
	connect(1, true);
	connect(2, false);
}

static void out(u16 port, u32 size, u32 v)
{
	iobus_access(&box.pio, port, size, true, &v);
}

static void in(u16 port, u32 size)
{
	u32 v;

	iobus_access(&box.pio, port, size, false, &v);
}

static void config_out(u32 reg, u32 v)
{
	out(0xcf8, 4, 0x80000000u | 1u << 11 | 1u << 8 | (reg & 0xfc));
	out(0xcfc, 4, v);
}

static void enable(void)
{
	config_out(0x20, BM);
	config_out(4, 5);
}

static void answer_all(void)
{
	u32 i, rounds = 0;
	bool any = true;

	while (any) {
		any = false;
		if (rounds++ > 100000) /* no command takes so many requests */
			abort();
		for (i = 0; i < IDE_DRIVES; i++) {
			if (!drives[i].pending)
				continue;
			any = true;
			answer(&drives[i], drives[i].pending, 0);
		}
	}
}

static void on_stopped(void *arg)
{
	(void)arg;
	stops++;
}

static void stop_all(void)
{
	stops_wanted++;
	ide_stop(ide, on_stopped, NULL);
	answer_all();
	if (stops != stops_wanted)
		abort();
}

/* What was saved is always loaded; what is spoilt may be refused, and does no harm. */
static void save_and_load(u32 spoil, u8 with)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t = { .error = &error };
	int err;

	stop_all();
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	ide_save(ide, &o);
	kvmb_tlv_end(&o);
	ide_destroy(ide);
	pci_destroy(pci);
	make();
	enable();
	t.p = o.buf + KVMB_TLV_HEADER;
	t.len = o.len - KVMB_TLV_HEADER;
	o.buf[KVMB_TLV_HEADER + spoil % t.len] ^= with;
	err = ide_load(ide, &t);
	if (err && !with)
		abort();
	kvmb_tlv_out_fini(&o);
	ide_loaded(ide);
	ide_resume(ide);
}

/* ---- actions ---- */

struct action {
	u8 what, a, b, c;
	u32 v;
};

static u16 port_of(u8 n)
{
	if (n < 128)
		return (u16)((n & 64 ? 0x170 : 0x1f0) + (n & 7));
	if (n < 160)
		return n & 1 ? 0x376 : 0x3f6;
	return (u16)(BM + (n & 15));
}

/* A command with a table that was written by others. */
static void command(const struct action *x)
{
	u16 base = x->a & 1 ? 0x170 : 0x1f0, bm = x->a & 1 ? BM + 8 : BM;
	u32 i;

	out((u16)(bm + 4), 4, (x->v >> 16) & (RAM - 1));
	out(bm, 1, 8);
	out(base + 6, 1, x->a & 0x50);
	out(base + 1, 1, x->a >> 1 & 1);
	for (i = 0; i < 2; i++) {
		out(base + 2, 1, i ? x->c : 0);
		out(base + 3, 1, i ? x->v & 0xff : 0);
		out(base + 4, 1, x->v >> 8 & (i ? 0xff : 0));
		out(base + 5, 1, x->c & (i ? 0x0f : 0));
	}
	out(base + 7, 1, x->b);
	if (x->a & 4)
		out(bm, 1, 9);
}

/* A packet to the CD drive, by PIO or with a table. */
static void packet(const struct action *x)
{
	u8 cdb[12] = { x->b, x->v & 3, (u8)x->v, 0, (u8)(x->v >> 8), (u8)(x->v >> 16) };
	u32 i, word;

	cdb[8] = (u8)(x->v >> 8);
	cdb[9] = (u8)(x->v >> 24);
	out((u16)(BM + 4), 4, 0x1000);
	out(BM, 1, 8);
	out(0x1f6, 1, 0x10);
	out(0x1f1, 1, x->a & 1);
	out(0x1f4, 1, x->c);
	out(0x1f5, 1, x->a >> 4);
	out(0x1f7, 1, 0xa0);
	for (i = 0; i < sizeof(cdb); i += 4) {
		memcpy(&word, cdb + i, 4);
		out(0x1f0, 4, word);
	}
	if (x->a & 2)
		out(BM, 1, 9);
}

static void many_data(const struct action *x)
{
	u16 base = x->a & 1 ? 0x170 : 0x1f0;
	u32 i;

	for (i = 0; i < x->c * 8u; i++) {
		if (x->a & 2)
			out(base, 4, x->v);
		else
			in(base, 4);
	}
}

static void manage(const struct action *x)
{
	struct drive *d = &drives[x->b % 4];
	u32 n = x->b % 4;

	switch (x->a % 10) {
	case 9:
		ide_retry(ide, n);
		break;
	case 0:
		ide_cancel(ide, n);
		break;
	case 1:
		ide_medium_changed(ide, n);
		break;
	case 2:
		ide_eject_request(ide, n);
		break;
	case 3:
		pci_reset(pci);
		ide_reset(ide);
		enable();
		break;
	case 4:
		d->bytes = (u64)x->v * (x->c & 1 ? IDE_SECTOR * 1024u : 1);
		break;
	case 5:
		d->at_once = x->c & 1;
		d->fails = x->c & 2;
		break;
	case 6:
		stop_all();
		ide_stop_drive(ide, n, x->c & 1 ? IDE_REFUSE : IDE_HOLD, NULL, NULL);
		break;
	case 7:
		stop_all();
		ide_resume_drive(ide, n);
		ide_resume(ide);
		break;
	default:
		save_and_load(x->v, x->c & 1 ? x->b : 0);
	}
}

static void act(const struct action *x)
{
	static const u8 sizes[] = { 1, 2, 4, 1 };
	struct drive *d = &drives[x->b % 4];

	switch (x->what % 8) {
	case 0:
		out(port_of(x->a), sizes[x->b & 3], x->v);
		break;
	case 1:
		in(port_of(x->a), sizes[x->b & 3]);
		break;
	case 2:
		command(x);
		break;
	case 3:
		packet(x);
		break;
	case 4:
		many_data(x);
		break;
	case 5:
		if (d->pending)
			answer(d, d->pending, x->c & 1 ? -(int)(x->c >> 1) : 0);
		break;
	case 6: /* a word of a table */
		memcpy(box.gm.regions[0].hva + ((x->a << 8 | x->b) << 2 & (RAM - 4)), &x->v, 4);
		break;
	default:
		if (x->c & 0x80)
			config_out(x->a, x->v);
		else
			manage(x);
	}
}

int LLVMFuzzerTestOneInput(const u8 *in_bytes, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in_bytes, size_t left)
{
	struct action x;
	u32 n;

	if (!box.gm.num_regions) {
		box.gm.num_regions = 1;
		box.gm.regions[0] = (struct kvmb_gm_region){ 0, RAM, 0, malloc(RAM) };
	}
	memset(box.gm.regions[0].hva, 0, RAM);
	memset(drives, 0, sizeof(drives));
	drives[0].bytes = 1ull << 40;
	drives[1].bytes = 1u << 30;
	drives[2].bytes = 1u << 20;
	stops = stops_wanted = 0;
	make();
	enable();
	for (n = 0; n < ACTIONS && left >= sizeof(x); n++) {
		memcpy(&x, in_bytes, sizeof(x));
		in_bytes += sizeof(x);
		left -= sizeof(x);
		act(&x);
	}
	stop_all();
	ide_destroy(ide);
	pci_destroy(pci);
	return 0;
}
