/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of the IDE controller. Theory: ide.h. For ide*.c. */
#ifndef KVMB_IDE_PRIV_H
#define KVMB_IDE_PRIV_H

#include <pthread.h>

#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"

#define IDE_BUFFER 65536u    /* bytes of a drive's buffer */
#define IDE_IOVS 1024u	     /* what one preadv() takes */
#define IDE_PIECE (2u << 20) /* most bytes of a request */
#define IDE_TABLE 8192u	     /* descriptors in 64 KiB */
#define IDE_MULTIPLE 16u     /* most sectors of a block of READ MULTIPLE */
#define IDE_PACKET_LEN 12u
#define IDE_CDB_REPLY 256u /* longest answer to a packet command that is not data */

static_assert(IDE_IOVS * 2 >= IDE_CD_SECTOR, "a sector in the smallest pieces");
static_assert(!(IDE_BUFFER % (IDE_MULTIPLE * IDE_SECTOR)), "whole blocks");

/* status */
#define IDE_ERR 0x01u
#define IDE_DRQ 0x08u
#define IDE_DSC 0x10u
#define IDE_DF 0x20u
#define IDE_DRDY 0x40u
#define IDE_BSY 0x80u
/* error */
#define IDE_ABRT 0x04u
#define IDE_IDNF 0x10u
#define IDE_UNC 0x40u
/* device control */
#define IDE_NIEN 0x02u
#define IDE_SRST 0x04u
#define IDE_HOB 0x80u
/* device */
#define IDE_DEV 0x10u
#define IDE_LBA 0x40u
/* interrupt reason, of a packet command: in the sector count */
#define IDE_COD 0x01u
#define IDE_TO_HOST 0x02u
/* bus master */
#define IDE_BM_START 0x01u
#define IDE_BM_TO_MEMORY 0x08u
#define IDE_BM_ACTIVE 0x01u
#define IDE_BM_ERROR 0x02u
#define IDE_BM_INTERRUPT 0x04u

/* Registers of a drive that the guest writes, by offset: features .. LBA high. */
enum { IDE_FEATURES = 1, IDE_COUNT, IDE_LBA_LOW, IDE_LBA_MID, IDE_LBA_HIGH, IDE_REGS };

/*
 * What a drive does. One function writes it: ide_to(). "Idle" are those in which no command runs.
 */
enum ide_phase {
	/* Status is the last command's. A command begins: any of the next five. */
	IDE_IDLE,
	/* The guest reads buf[pos, block_end): then another block, DUE, or IDLE. */
	IDE_PIO_IN,
	/* The guest writes buf[pos, block_end): then another block, or DUE. */
	IDE_PIO_OUT,
	/* The guest writes a command block: then whatever that one does. */
	IDE_PACKET,
	/* The bus master has not started, or its table has ended: DUE once it starts. */
	IDE_DMA_WAIT,
	/* The next piece is to be done, by ide_pump(). If the drive is stopped it stays here. */
	IDE_DUE,
	/* A request is under way. ABORT when the guest resets. */
	IDE_IO,
	/* Its outcome does not count any more: RESETTING when it comes. */
	IDE_ABORT,
	/* Until neither SRST is set nor any drive of the channel is in ABORT: then IDLE. */
	IDE_RESETTING,
	IDE_PHASES
};

enum ide_fail { IDE_FAIL_IO, IDE_FAIL_RANGE, IDE_FAIL_REFUSED, IDE_FAIL_DMA };

enum ide_address { IDE_CHS, IDE_LBA28, IDE_LBA48 };

/* A drive has to tell its owner, without the lock. */
#define IDE_TELL_EJECT 1u
#define IDE_TELL_LOCK 2u
#define IDE_TELL_CANCEL 4u

struct ide_prd { /* of a descriptor, checked: RAM */
	u32 address, length;
};

struct ide_sense {
	u8 key, asc, ascq;
};

struct ide_command { /* that a drive executes; meaningless while IDLE */
	u8 code;
	enum ide_op op;
	bool dma;
	bool verify; /* a read whose data nobody wants */
	bool fua;
	bool narrow;		  /* single sectors, after an error */
	enum ide_address address; /* how errors are located */
	u64 offset, left;	  /* bytes of the medium that are not moved yet */
	u32 unit;		  /* most bytes of a block of PIO; 1 .. IDE_BUFFER */
	u32 filled;		  /* buf[filled] is to be moved; <= IDE_BUFFER */
	u32 from;		  /* buf[from, filled): to the medium, or to memory by DMA */
	u32 pos, block_end;	  /* of PIO */
};

struct ide_drive { /* under the channel's lock */
	struct ide_chan *chan;
	u32 number;   /* 0 .. IDE_DRIVES - 1 */
	bool present; /* with cfg: immutable once the VM runs */
	struct ide_drive_config cfg;

	u8 reg[IDE_REGS], hob[IDE_REGS]; /* hob: what was written before */
	u8 status, error;		 /* after a command */
	bool intrq;
	enum ide_phase phase;
	struct ide_command cmd;
	u8 *buf; /* buf[IDE_BUFFER]; the request's while IO or ABORT */

	/* settings */
	u16 heads, sectors; /* translation; 1 .. 16, 1 .. 255 */
	u8 multiple;	    /* sectors; 0 = READ MULTIPLE is off */
	u8 mode;	    /* of SET FEATURES: transfer mode */
	bool write_cache;

	/* of a CD drive */
	struct ide_sense sense;
	bool attention; /* the medium may have changed */
	bool tray_open, locked;
	u8 media_event; /* MMC-6: 1 = eject request, 2 = new medium, 3 = removed */

	/* the request */
	struct ide_io io;
	struct iovec iov[IDE_IOVS];
	u32 generation; /* of the table that iov is from */
	bool cancelled; /* cancel() was called; its -ECANCELED has not come yet */
	bool give_up;	/* ide_cancel(): that is an error */

	bool held;    /* -EAGAIN: DUE, and not submitted until ide_retry() */
	bool retried; /* while IO: that was called, before an -EAGAIN that may be on its way */

	enum ide_stop stop;
	void (*stopped)(void *arg); /* to be called; NULL = nobody waits */
	void *stopped_arg;
	bool counted; /* in ide->stopping */
	u32 tell;     /* IDE_TELL_* */
	struct ide_stats stats;
};

struct ide_master { /* bus master of a channel; its lock */
	u8 command, status;
	u32 table;
	u32 next;	/* guest physical: the next descriptor */
	u32 fetched;	/* since START; <= IDE_TABLE */
	bool end;	/* the last one is fetched */
	u32 generation; /* of START */
	u32 num;	/* prds[num] are fetched and not used */
	u32 awaited_generation, awaited_next; /* of a table that is in memory: ide_dma_await() */
	bool awaited_answer;		      /* and so is where an answer goes */
	struct ide_prd prds[IDE_IOVS];
};

struct ide_chan {
	struct ide *ide;
	u32 index;
	pthread_mutex_t lock; /* guards all below */
	u8 device;	      /* register: which drive, LBA, head */
	u8 control;
	bool line; /* interrupt is up */
	bool pumping;
	struct ide_master bm;
	struct ide_drive drives[2];
};

struct ide {
	struct ide_config cfg;
	struct pci_func func;
	u32 decoded; /* atomic: bit per channel whose ports are decoded */
	struct ide_chan chans[2];
	u32 stopping; /* of ide_stop(), atomic: drives that go, and one until all were asked */
	void (*stopped)(void *arg);
	void *stopped_arg;
};

static inline u32 ide_sector(const struct ide_drive *d)
{
	return d->cfg.cd ? IDE_CD_SECTOR : IDE_SECTOR;
}

/* Little-endian 16-bit words of IDENTIFY data. */
static inline void ide_put_word(u8 *buf, u32 word, u32 v)
{
	buf[word * 2] = (u8)v;
	buf[word * 2 + 1] = (u8)(v >> 8);
}

/* ---- ide.c: channel's lock held ---- */

/** ide_to() - Change the phase; only moves of the table there. */
void ide_to(struct ide_drive *d, enum ide_phase to);

/** ide_update_irq() - Tell the line what the selected drive wants. */
void ide_update_irq(struct ide_chan *c);

/** ide_interrupt() - The drive asserts INTRQ. */
void ide_interrupt(struct ide_drive *d);

/** ide_signature() - Registers of a drive that was reset. */
void ide_signature(struct ide_drive *d);

/** ide_abandon() - End what a drive does, for a reset: RESETTING, or ABORT and then that. */
void ide_abandon(struct ide_drive *d);

/** ide_finish_reset() - Drives in RESETTING become IDLE, if nothing holds them there. */
void ide_finish_reset(struct ide_chan *c);

/** ide_power_on() - Settings of a drive as at power-on. */
void ide_power_on(struct ide_drive *d);

/** ide_pump() - Submit what is due, tell what is to be told. No lock held. */
void ide_pump(struct ide_chan *c);

/* ---- ide_move.c: channel's lock held ---- */

/** ide_finish() - The command is done; @irq: with an interrupt */
void ide_finish(struct ide_drive *d, bool irq);

/** ide_fail() - The command has failed, at the sector where it stands. */
void ide_fail(struct ide_drive *d, enum ide_fail why);

/** ide_begin_in() - buf[cmd.filled] is there for the guest to read, or for its DMA. */
void ide_begin_in(struct ide_drive *d);

/** ide_begin_out() - Let the guest write the next block; @irq: with an interrupt */
void ide_begin_out(struct ide_drive *d, bool irq);

/** ide_begin_media() - Begin to move cmd.left bytes at cmd.offset. */
void ide_begin_media(struct ide_drive *d);

/** ide_data() - Access to the data port; bytes of @val that nobody moves stay. */
void ide_data(struct ide_drive *d, u32 size, bool write, u32 *val);

/** ide_next_piece() - Of a drive in DUE. Return: submit d->io; false: it has moved on. */
bool ide_next_piece(struct ide_drive *d);

/** ide_piece_done() - Its request is done: @err is 0 or -errno. */
void ide_piece_done(struct ide_drive *d, int err);

/* ---- ide_dma.c ---- */

/** ide_bm_access() - Bus master ports, of both channels; for struct pci_bar. No lock held. */
void ide_bm_access(void *dev, u32 offset, u32 size, bool write, u64 *val);

/** ide_bm_reset() - Power-on state. Lock held, as below. */
void ide_bm_reset(struct ide_chan *c);

/**
 * ide_dma_await() - Touch what the next piece needs of guest memory, without the lock
 *
 * Memory may have to come first (kvmb_gm.lazy), and the main thread takes the lock. Of a drive in
 * DUE; for ide_pump(). Return: true: the lock was released, look again; false: all is there.
 */
bool ide_dma_await(struct ide_drive *d);

enum ide_table { IDE_TABLE_OK, IDE_TABLE_SHORT, IDE_TABLE_BAD };

/**
 * ide_dma_piece() - Descriptors for the next bytes of a command, as d->iov
 * @d:    its bus master has started
 * @want: bytes
 * @unit: bytes, of which the piece is a multiple; at most IDE_CD_SECTOR
 *
 * Return: IDE_TABLE_OK with d->io's iov and length; IDE_TABLE_SHORT: not even @unit is left;
 * IDE_TABLE_BAD: not RAM, or the function may not be a bus master. Trust: the table is hostile.
 */
enum ide_table ide_dma_piece(struct ide_drive *d, u32 want, u32 unit);

/** ide_dma_used() - @bytes of the descriptors have been moved. */
void ide_dma_used(struct ide_drive *d, u32 bytes);

/** ide_dma_copy() - Move buf[cmd.from, cmd.filled) to guest memory; the command ends or waits. */
void ide_dma_copy(struct ide_drive *d);

/** ide_dma_stop() - The table has ended, or failed (@error). */
void ide_dma_stop(struct ide_chan *c, bool error);

/* ---- ide_ata.c, ide_identify.c, ide_atapi.c, ide_mmc.c: lock held ---- */

/** ide_ata_command() - The guest has written the command register; nothing runs. */
void ide_ata_command(struct ide_drive *d, u8 code);

/** ide_ata_put_lba() - Where an error is: @lba into the registers, as the command had it. */
void ide_ata_put_lba(struct ide_drive *d, u64 lba);

/** ide_abort() - The command is not known or makes no sense: ABRT. */
void ide_abort(struct ide_drive *d);

/** ide_identify() - Fill buf[512] of IDENTIFY DEVICE or IDENTIFY PACKET DEVICE. */
void ide_identify(const struct ide_drive *d, u8 *buf);

/** ide_cylinders() - Of the default translation, 16 heads and 63 sectors. */
u32 ide_cylinders(const struct ide_drive *d);

/** ide_sectors() - Of the medium, in units of ide_sector(). */
u64 ide_sectors(const struct ide_drive *d);

/** ide_atapi_packet() - The guest has written buf[IDE_PACKET_LEN]. */
void ide_atapi_packet(struct ide_drive *d);

/** ide_atapi_end() - A packet command has been done. */
void ide_atapi_end(struct ide_drive *d);

/** ide_atapi_fail() - It has not: sense data. */
void ide_atapi_fail(struct ide_drive *d, u8 key, u8 asc, u8 ascq);

/** ide_medium() - Blocks of the CD that is in the drive and reachable; 0 = none. */
u32 ide_medium(const struct ide_drive *d);

/**
 * ide_mmc_toc() - READ TOC, GET CONFIGURATION and the like: answers about the medium
 * @d:   a CD drive
 * @cdb: cdb[IDE_PACKET_LEN], a private copy
 * @p:   p[IDE_CDB_REPLY], zeroed
 *
 * Return: bytes; 0: invalid field in the command block. The same for those below.
 */
u32 ide_mmc_toc(struct ide_drive *d, const u8 *cdb, u8 *p);

/** ide_mmc_configuration() - GET CONFIGURATION. */
u32 ide_mmc_configuration(struct ide_drive *d, const u8 *cdb, u8 *p);

/** ide_mmc_event() - GET EVENT STATUS NOTIFICATION. */
u32 ide_mmc_event(struct ide_drive *d, const u8 *cdb, u8 *p);

/** ide_mmc_disc_info() - READ DISC INFORMATION. */
u32 ide_mmc_disc_info(struct ide_drive *d, const u8 *cdb, u8 *p);

/** ide_mmc_mechanism() - MECHANISM STATUS. */
u32 ide_mmc_mechanism(struct ide_drive *d, const u8 *cdb, u8 *p);

/** ide_mmc_pages() - Mode page @page (0x3f: all) at @p, @changeable: what can be. As above. */
u32 ide_mmc_pages(const struct ide_drive *d, u8 page, bool changeable, u8 *p);

#endif
