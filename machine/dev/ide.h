/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IDE controller of a gen1 machine: function 1 of a PIIX3, four drives on two channels.
 *
 * DOC: Theory of operation
 *
 * What a drive holds comes by a table of operations. A drive has one request at a time, which is
 * BSY to the guest: submit() may answer at once or from any thread, and no vCPU waits for it.
 * Between requests a command is one of the phases of ide_priv.h, all of it under its channel's
 * lock. Callbacks come without the lock, but for set_irq() and bytes().
 *
 * A request that is due is submitted by ide_pump(), which one thread at a time does for a channel;
 * whoever finds it busy leaves. So an operation that answers before submit() returns causes a loop
 * and no recursion, and a command of many pieces has one request at any time.
 *
 * DMA goes directly between the drive and guest memory. Descriptors are fetched once each, checked,
 * and their copy is used: at most 8192 a transfer, which is the 64 KiB that a table may have, and
 * 1024 a request. Of them there are always enough for a whole sector, because none is shorter than
 * two bytes. A table that ends too early leaves the drive waiting, inactive and without an
 * interrupt; one that has more leaves it active with an interrupt, as the PIIX does. An address
 * that is not RAM ends the command: error bit, ABRT, an interrupt.
 *
 * Guest memory that has not come yet makes who touches it wait. No lock is held then: what a piece
 * reads of a table, and where an answer goes, is touched before.
 *
 * Data in PIO is read and written in pieces of up to 64 KiB, from which the guest's blocks are
 * served. A piece that fails is tried again in single sectors, so that the guest learns which one
 * is bad and gets those before it.
 *
 * A guest's reset waits, BSY, for the request under way, which is cancelled. The same is true of
 * ide_reset(), but memory must not be used for something else before: stop all drives first.
 *
 * Stopping: after ide_stop_drive() no request of the drive is under way and none will be submitted
 * until ide_resume_drive(). With IDE_HOLD the command that wants one waits, for saving; with
 * IDE_REFUSE it fails, and each further one, for a disk that its synthetic twin has. Drives are
 * stopped when they are saved, and so they are after ide_load().
 *
 * Writes to IDE_LATE_PORTS only fill registers. They may come late (machine/late.h), if they are
 * delivered before any other access to the controller. The last port also chooses the drive, and
 * with it whose interrupt is shown: a host that leaves a drive with one pending, and comes back to
 * wait for it, would wait for its own next access. With one command a channel none does.
 *
 * Limits: no overlapped commands, no SMART, no TRIM, no audio; a buffer that straddles two regions
 * of RAM is refused. A drive is read-only by ABRT of what writes, as ATA knows nothing better.
 *
 * Sources: Intel 82371SB (PIIX3) data sheet, function 1; SFF-8038i (bus master programming);
 * T13 ATA/ATAPI-6 and -7; SFF-8020i and MMC-6 (packet commands); Linux drivers/ata/libata-sff.c
 * and ata_piix.c for what drivers do.
 */
#ifndef KVMB_IDE_H
#define KVMB_IDE_H

#include <sys/uio.h>

#include "vmbus-core/env.h"

struct ide;
struct iobus;
struct kvmb_gm;
struct kvmb_tlv;
struct kvmb_tlv_out;
struct pci_bus;

#define IDE_DRIVES 4u /* two a channel: primary master, its slave, secondary master, its slave */
#define IDE_SECTOR 512u
#define IDE_CD_SECTOR 2048u
#define IDE_LATE_PORTS(channel) ((channel) ? 0x171u : 0x1f1u)
#define IDE_NUM_LATE_PORTS 6u

enum ide_op { IDE_READ, IDE_WRITE, IDE_FLUSH };

struct ide_io { /* a request; the controller's */
	enum ide_op op;
	bool fua;		 /* of a write: on stable storage before it is done */
	u64 offset, length;	 /* bytes, whole sectors within the medium; 0 of a flush */
	const struct iovec *iov; /* iov[num_iov], @length bytes in all; at most 2 MiB and 1024 */
	int num_iov;
	/*
	 * Once for each submit(); any thread, also in submit(), no lock held. @err: 0 or -errno.
	 * -EAGAIN: not now. The drive stays BSY until ide_retry(), and submits it again then. That
	 * is no request under way: it may be saved, reset and refused.
	 */
	void (*done)(struct ide_io *io, int err);
};

struct ide_drive_ops {
	/* Any thread; does not block. */
	void (*submit)(void *arg, struct ide_io *io);
	/*
	 * Make done() come soon, with -ECANCELED unless the request was done. It may come too
	 * late: for a request that is done by now, or for the next one. Any thread, while submit()
	 * or done() run elsewhere. NULL: requests are waited for.
	 */
	void (*cancel)(void *arg, struct ide_io *io);
	/* Size of the medium; 0 = no medium. Any thread, with the channel's lock held: be quick. */
	u64 (*bytes)(void *arg);
	/* The guest has opened the tray of a CD drive. Any thread; NULL = do not tell. */
	void (*eject)(void *arg);
	/* The guest has locked the tray, or no longer. Any thread; NULL = do not tell. */
	void (*lock)(void *arg, bool locked);
};

struct ide_drive_config {
	const struct ide_drive_ops *ops;
	void *arg;
	bool cd; /* ATAPI, else a disk */
	bool read_only;
	bool write_through; /* the guest finds the write cache off, and may turn it on */
	u32 physical;	    /* bytes of a disk's physical sector: 512, 1024, 2048, 4096; 0 = 512 */
	char serial[21];    /* shown to the guest */
	char model[41];	    /* empty: "Virtual HD" or "Virtual CD" */
};

struct ide_config {
	struct pci_bus *pci;
	struct iobus *ports;
	const struct kvmb_gm *gm;
	u8 slot, number; /* of the function: 1 and 1 */
	/* Interrupt 14 (channel 0) or 15. Any thread, also those that call done(); lock held. */
	void (*set_irq)(void *arg, u32 channel, int level);
	void *irq_arg;
};

enum ide_stop {
	IDE_GO,	    /* not stopped */
	IDE_HOLD,   /* commands wait */
	IDE_REFUSE, /* commands that need the medium fail */
};

struct ide_stats {			    /* of a drive, since its start */
	u64 reads, writes, flushes, errors; /* requests */
	u64 read_bytes, written_bytes;
};

/** ide_create() - Make a controller without drives and claim ports. Return: never NULL. */
struct ide *ide_create(const struct ide_config *cfg);

/** ide_destroy() - NULL is fine. All drives are stopped, no vCPU runs. */
void ide_destroy(struct ide *ide);

/**
 * ide_attach() - Connect a drive
 * @ide:   the VM does not run yet
 * @drive: below IDE_DRIVES, free so far
 * @cfg:   copied; its ops are borrowed
 */
void ide_attach(struct ide *ide, u32 drive, const struct ide_drive_config *cfg);

/**
 * ide_reset() - Power-on state
 *
 * Commands are forgotten; a CD's tray is closed and unlocked. Stopped drives stay so. Context: main
 * thread, vCPUs stand. A request that is under way may still write to guest memory: ide_stop()
 * first.
 */
void ide_reset(struct ide *ide);

/**
 * ide_stop_drive() - Have no request of a drive under way, and submit none
 * @ide:   the controller
 * @drive: connected or not
 * @how:   IDE_HOLD or IDE_REFUSE; may change from one to the other
 * @done:  called with @arg once it is so, perhaps before return, on any thread, without locks; it
 *         may not destroy the controller itself. NULL: do not tell. One at a time
 * @arg:   of @done
 *
 * Context: any thread; does not block. The request under way is not cancelled: ide_cancel().
 */
void ide_stop_drive(struct ide *ide, u32 drive, enum ide_stop how, void (*done)(void *arg),
		    void *arg);

/** ide_resume_drive() - Undo it, when it has been told; may submit. Any thread. */
void ide_resume_drive(struct ide *ide, u32 drive);

/** ide_stop() - IDE_HOLD of all drives that go; one call for all. As ide_stop_drive(). */
void ide_stop(struct ide *ide, void (*done)(void *arg), void *arg);

/** ide_resume() - Let all drives go that IDE_HOLD has stopped. As ide_resume_drive(). */
void ide_resume(struct ide *ide);

/** ide_retry() - Submit again what could not be done, or will be said so. Not in done(). */
void ide_retry(struct ide *ide, u32 drive);

/** ide_cancel() - Cancel a drive's request under way; its command fails. Any thread. */
void ide_cancel(struct ide *ide, u32 drive);

/**
 * ide_medium_changed() - A CD drive has another medium, or none; its tray closes
 *
 * A drive that is empty is not locked any more. Any thread.
 */
void ide_medium_changed(struct ide *ide, u32 drive);

/** ide_eject_request() - Tell the guest that somebody pressed a CD drive's button. Any thread. */
void ide_eject_request(struct ide *ide, u32 drive);

/** ide_get_stats() - Counters of a drive. Any thread. */
void ide_get_stats(struct ide *ide, u32 drive, struct ide_stats *out);

/**
 * ide_dirty() - Note memory that the main thread reads or writes when drives go on after a load
 *
 * Descriptors of transfers that are due. In a migration such pages must not come later
 * (machine/mem_post.h). Context: main thread; drives are stopped.
 */
void ide_dirty(struct ide *ide);

enum ide_kind { IDE_NONE, IDE_DISK, IDE_READ_ONLY, IDE_CD }; /* in saved VMs: never changed */

/** ide_kind() - What is connected there. Any thread, once the VM is built. */
enum ide_kind ide_kind(const struct ide *ide, u32 drive);

/** ide_save() - Registers, buffers, commands: a group. Drives are stopped. Main thread. */
void ide_save(struct ide *ide, struct kvmb_tlv_out *o);

/**
 * ide_load() - What ide_save() wrote
 * @ide:   new, with the same drives
 * @group: hostile
 *
 * Drives are stopped (IDE_HOLD) then, and call themselves as they did. The function's PCI registers
 * are the bus's to load.
 *
 * Return: 0; -errno with one line in @group->error: @ide is as before. Context: main thread.
 */
int ide_load(struct ide *ide, struct kvmb_tlv *group);

/**
 * ide_loaded() - Interrupt controllers and PCI registers are there: raise lines
 *
 * Tells which trays are locked. Main thread.
 */
void ide_loaded(struct ide *ide);

#endif
