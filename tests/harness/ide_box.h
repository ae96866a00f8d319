/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine that is played, with an IDE controller in it, and drives that answer at once, when
 * they are told to, or from a thread; and what drivers do to the controller. For ide*_test.c.
 */
#ifndef KVMB_IDE_BOX_H
#define KVMB_IDE_BOX_H

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "host-vsp/gm.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"
#include "machine/irq.h"
#include "machine/machine.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define RAM (16u << 20)
#define BM 0xc000u /* where the guest puts BAR 4 */
#define PRIMARY 0x1f0u
#define SECONDARY 0x170u
#define HUGE_BYTES (200ull << 30) /* beyond 28 bits of sectors */

enum { BSY = 0x80, DRDY = 0x40, DF = 0x20, DSC = 0x10, DRQ = 0x08, ERR = 0x01 };
enum { DATA, ERROR, COUNT, LBA0, LBA1, LBA2, DEVICE, STATUS };

enum answers { AT_ONCE, LATER, THREAD };

struct played {
	int fd; /* what is on it; -1 = not connected */
	u64 bytes;
	enum answers how;
	int err;	      /* of each request */
	u64 bad_from, bad_to; /* bytes that cannot be moved */
	bool no_cancel;
	bool deaf; /* cancel() comes, and does nothing */
	struct ide_io *pending;
	u32 submits, cancels, flushes, fuas, ejects;
	int locked; /* -1 = nobody said */
	u64 last_offset, last_length;
	int last_num_iov;
};

static struct machine machine_played;
static struct kvmb_gm *gm_played = &machine_played.gm;
static u8 *ram;
static struct pci_bus *pci;
static struct ide *ide;
static struct played drives[IDE_DRIVES];
static int lines[2];
static u32 raises[2];
static u32 movers; /* threads that there are */

void irq_set_line(struct machine *m, u32 line, int level)
{
	(void)m, (void)line, (void)level;
}

static void box_irq(void *arg, u32 channel, int level)
{
	(void)arg;
	__atomic_fetch_add(&raises[channel], level, __ATOMIC_RELAXED);
	__atomic_store_n(&lines[channel], level, __ATOMIC_RELEASE);
}

/* ---- drives ---- */

static inline int move(struct played *p, struct ide_io *io)
{
	ssize_t n;

	p->last_offset = io->offset;
	p->last_length = io->length;
	p->last_num_iov = io->num_iov;
	if (p->err)
		return p->err;
	if (io->op == IDE_FLUSH) {
		p->flushes++;
		return 0;
	}
	assert_true(io->length && io->offset + io->length <= p->bytes);
	if (io->offset < p->bad_to && io->offset + io->length > p->bad_from)
		return -EIO;
	p->fuas += io->fua;
	if (io->op == IDE_READ)
		n = preadv(p->fd, io->iov, io->num_iov, (off_t)io->offset);
	else
		n = pwritev(p->fd, io->iov, io->num_iov, (off_t)io->offset);
	assert_int_equal(n, io->length);
	return 0;
}

static inline void finish_one(struct played *p)
{
	struct ide_io *io = __atomic_exchange_n(&p->pending, NULL, __ATOMIC_ACQ_REL);

	if (io) /* not cancelled */
		io->done(io, move(p, io));
}

static void *mover(void *arg)
{
	finish_one(arg);
	__atomic_sub_fetch(&movers, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void box_submit(void *arg, struct ide_io *io)
{
	struct played *p = arg;
	pthread_attr_t attr;
	pthread_t t;

	__atomic_fetch_add(&p->submits, 1, __ATOMIC_RELAXED);
	assert_null(__atomic_load_n(&p->pending, __ATOMIC_ACQUIRE)); /* one at a time */
	if (p->how == AT_ONCE) {
		io->done(io, move(p, io));
		return;
	}
	__atomic_store_n(&p->pending, io, __ATOMIC_RELEASE);
	if (p->how == LATER)
		return;
	__atomic_add_fetch(&movers, 1, __ATOMIC_RELAXED);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	assert_int_equal(pthread_create(&t, &attr, mover, p), 0);
	pthread_attr_destroy(&attr);
}

/* Let the request that is kept be done. */
static inline void finish(struct played *p)
{
	assert_non_null(p->pending);
	finish_one(p);
}

static inline void finish_err(struct played *p, int err)
{
	struct ide_io *io = __atomic_exchange_n(&p->pending, NULL, __ATOMIC_ACQ_REL);

	assert_non_null(io);
	io->done(io, err);
}

static void box_cancel(void *arg, struct ide_io *io)
{
	struct played *p = arg;

	p->cancels++;
	if (!p->deaf && __atomic_compare_exchange_n(&p->pending, &io, NULL, false, __ATOMIC_ACQ_REL,
						    __ATOMIC_ACQUIRE))
		io->done(io, -ECANCELED);
}

static u64 box_bytes(void *arg)
{
	return ((struct played *)arg)->bytes;
}

static void box_eject(void *arg)
{
	((struct played *)arg)->ejects++;
}

static void box_lock(void *arg, bool locked)
{
	((struct played *)arg)->locked = locked;
}

static const struct ide_drive_ops box_ops = {
	.submit = box_submit,
	.cancel = box_cancel,
	.bytes = box_bytes,
	.eject = box_eject,
	.lock = box_lock,
};

static inline void attach(u32 n, u64 bytes, bool cd, bool read_only)
{
	struct ide_drive_config cfg = { .ops = &box_ops,
					.arg = &drives[n],
					.cd = cd,
					.read_only = read_only,
					.serial = "KV0123456789" };

	drives[n] = (struct played){ .fd = memfd_create("drive", MFD_CLOEXEC),
				     .bytes = bytes,
				     .locked = -1 };
	assert_int_equal(ftruncate(drives[n].fd, (off_t)bytes), 0);
	ide_attach(ide, n, &cfg);
}

/* ---- ports ---- */

static inline void out(u16 port, u32 size, u32 v)
{
	iobus_access(&machine_played.pio, port, size, true, &v);
}

static inline u32 in(u16 port, u32 size)
{
	u32 v = 0;

	iobus_access(&machine_played.pio, port, size, false, &v);
	return v;
}

static inline u8 inb(u32 port)
{
	return (u8)in((u16)port, 1);
}

static inline void outb(u32 port, u8 v)
{
	out((u16)port, 1, v);
}

static inline u8 alt_status(u32 base)
{
	return inb(base + 0x206);
}

static inline void config_out(u32 reg, u32 size, u32 v)
{
	out(0xcf8, 4, 0x80000000u | 1u << 11 | 1u << 8 | (reg & ~3u));
	out((u16)(0xcfc + (reg & 3)), size, v);
}

static inline u32 config_in(u32 reg, u32 size)
{
	out(0xcf8, 4, 0x80000000u | 1u << 11 | 1u << 8 | (reg & ~3u));
	return in((u16)(0xcfc + (reg & 3)), size);
}

/* ---- the machine ---- */

static inline void make_controller(void)
{
	memset(&machine_played.pio, 0, sizeof(machine_played.pio));
	pci = pci_create(&machine_played);
	ide = ide_create(&(struct ide_config){ .pci = pci,
					       .ports = &machine_played.pio,
					       .gm = gm_played,
					       .slot = 1,
					       .number = 1,
					       .set_irq = box_irq });
	memset(lines, 0, sizeof(lines));
	memset(raises, 0, sizeof(raises));
}

static inline void enable_master(void)
{
	config_out(0x20, 4, BM);
	config_out(4, 2, 5);
}

static inline void open_box(void)
{
	u32 i;

	machine_played.gm.memfd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(machine_played.gm.memfd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, machine_played.gm.memfd, 0);
	assert_true(ram != MAP_FAILED);
	machine_played.gm.num_regions = 1;
	machine_played.gm.regions[0] = (struct kvmb_gm_region){ 0, RAM, 0, ram };
	for (i = 0; i < IDE_DRIVES; i++)
		drives[i] = (struct played){ .fd = -1 };
	make_controller();
}

static inline void close_controller(void)
{
	while (__atomic_load_n(&movers, __ATOMIC_ACQUIRE))
		sched_yield();
	ide_destroy(ide);
	pci_destroy(pci);
}

static inline void close_box(void)
{
	u32 i;

	close_controller();
	for (i = 0; i < IDE_DRIVES; i++) {
		if (drives[i].fd >= 0)
			close(drives[i].fd);
	}
	munmap(ram, RAM);
	close(machine_played.gm.memfd);
}

/* ---- a driver ---- */

static inline void fill_pattern(u8 *p, size_t len, u32 seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (u8)((i + seed) * 2654435761u >> 13);
}

/* Something to read: a pattern on the medium. */
static inline void lay_down(u32 n, u64 offset, size_t len, u32 seed)
{
	u8 *buf = malloc(len);

	fill_pattern(buf, len, seed);
	assert_int_equal(pwrite(drives[n].fd, buf, len, (off_t)offset), len);
	free(buf);
}

static inline void lies_there(u32 n, u64 offset, size_t len, u32 seed)
{
	u8 *want = malloc(len), *is = malloc(len);

	fill_pattern(want, len, seed);
	assert_int_equal(pread(drives[n].fd, is, len, (off_t)offset), len);
	assert_memory_equal(is, want, len);
	free(want);
	free(is);
}

static inline void is_pattern(const u8 *p, size_t len, u32 seed)
{
	u8 *want = malloc(len);

	fill_pattern(want, len, seed);
	assert_memory_equal(p, want, len);
	free(want);
}

/* BSY goes; a thread may be at it. Return: status, read with the interrupt acknowledged. */
static inline u8 wait_ready(u32 base)
{
	struct timespec ms = { 0, 1000000 };
	u64 i;

	for (i = 0; alt_status(base) & BSY && i < PATIENCE_MS; i++)
		nanosleep(&ms, NULL);
	assert_false(alt_status(base) & BSY);
	return inb(base + STATUS);
}

/* As drivers of Linux have it: the device first, the command last. */
static inline void issue28(u32 base, u8 dev, u8 command, u32 lba, u8 count)
{
	outb(base + DEVICE, (u8)(0xe0 | dev << 4 | (lba >> 24 & 15)));
	outb(base + COUNT, count);
	outb(base + LBA0, (u8)lba);
	outb(base + LBA1, (u8)(lba >> 8));
	outb(base + LBA2, (u8)(lba >> 16));
	outb(base + STATUS, command);
}

static inline void issue48(u32 base, u8 dev, u8 command, u64 lba, u16 count)
{
	u32 i;

	outb(base + DEVICE, (u8)(0xe0 | dev << 4));
	outb(base + COUNT, (u8)(count >> 8));
	for (i = 0; i < 3; i++)
		outb(base + LBA0 + i, (u8)(lba >> (24 + i * 8)));
	outb(base + COUNT, (u8)count);
	for (i = 0; i < 3; i++)
		outb(base + LBA0 + i, (u8)(lba >> i * 8));
	outb(base + STATUS, command);
}

static inline void read_words(u32 base, u8 *p, u32 len)
{
	u32 v;

	for (; len >= 4; len -= 4, p += 4) {
		v = in((u16)base, 4);
		memcpy(p, &v, 4);
	}
	for (; len; len -= KVMB_MIN(len, 2u), p += 2) {
		v = in((u16)base, 2);
		memcpy(p, &v, KVMB_MIN(len, 2u));
	}
}

static inline void write_words(u32 base, const u8 *p, u32 len)
{
	u32 v;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&v, p, 4);
		out((u16)base, 4, v);
	}
	for (; len; len -= 2, p += 2) {
		v = 0;
		memcpy(&v, p, 2);
		out((u16)base, 2, v);
	}
}

/* @blocks blocks of @len bytes by PIO, each after its interrupt. */
static inline void pio_in(u32 base, u8 *p, u32 blocks, u32 len)
{
	for (; blocks; blocks--, p += len) {
		assert_int_equal(wait_ready(base) & (DRQ | ERR), DRQ);
		read_words(base, p, len);
	}
}

static inline void pio_out(u32 base, const u8 *p, u32 blocks, u32 len)
{
	for (; blocks; blocks--, p += len) {
		assert_int_equal(wait_ready(base) & (DRQ | ERR), DRQ);
		write_words(base, p, len);
	}
}

static inline u32 bm_port(u32 base)
{
	return BM + (base == SECONDARY ? 8 : 0);
}

/* A descriptor of the table at @table. */
static inline void put_prd(u32 table, u32 i, u32 address, u32 count, bool last)
{
	u32 v[2] = { address, (count & 0xffff) | (last ? 0x80000000u : 0) };

	memcpy(ram + table + i * 8, v, 8);
}

static inline void bm_setup(u32 base, u32 table, bool to_memory)
{
	out((u16)(bm_port(base) + 4), 4, table);
	outb(bm_port(base), to_memory ? 8 : 0);
	outb(bm_port(base) + 2, inb(bm_port(base) + 2) | 6);
}

static inline void bm_start(u32 base)
{
	outb(bm_port(base), inb(bm_port(base)) | 1);
}

static inline u8 bm_status(u32 base)
{
	return inb(bm_port(base) + 2);
}

/* As an interrupt handler of Linux has it. Return: the bus master's status, drive's in @status. */
static inline u8 bm_finish(u32 base, u8 *status)
{
	u8 host, st;

	st = wait_ready(base);
	host = bm_status(base);
	outb(bm_port(base), inb(bm_port(base)) & 8);
	outb(bm_port(base) + 2, host | 6);
	if (status)
		*status = st;
	return host;
}

#endif
