/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copying disks as they were at one moment into files, while the guest runs: the thread's part of
 * a backup (backup.h).
 *
 * Each file begins empty, and gets what is not zero; or it is a copy of the last backup, and gets
 * all chunks that have changed since, zeroes as holes. What a writer waits for
 * (backend/block/disk_point.h) comes first, and is not held up by the rate.
 *
 * Where the file system can, a raw disk is cloned: FICLONE takes the whole file at once, and the
 * point is over with it. To find that out, and to have little to do when it counts, it is cloned
 * once before the guest is frozen.
 */
#ifndef KVMB_BACKUP_COPY_H
#define KVMB_BACKUP_COPY_H

#include "backend/block/disk_point.h"
#include "vmm/disk_read.h"

#define BACKUP_PIECE (256u << 10) /* bytes that are read at once: whole chunks */
#define BACKUP_WHY 300u

struct backup_disk {
	struct kvmb_disk *d;
	u32 controller, lun;
	int fd;	     /* owned: the file; -1 = is closed */
	bool clones; /* FICLONE worked before */
	bool cloned; /* and when it counted */
	u64 chunks, bytes;
	u64 copied; /* bytes that were read */
};

struct backup_copy { /* zeroed to begin with */
	u32 num;
	struct backup_disk *disks; /* disks[num], owned */
	bool changes;		   /* the files are copies of an older backup */
	u64 rate;		   /* bytes a second; 0 = no limit */
	u64 done, total;	   /* atomics: bytes */
	int cancelled;		   /* atomic: give up soon */
	struct disk_reader reader;
	struct kvmb_disk_bell bell;
	u8 *buf;	     /* buf[BACKUP_PIECE and DISK_READ_ALIGN] */
	u64 began_ms, paced; /* of the rate: bytes since began_ms */
	char why[BACKUP_WHY];
};

/** backup_copy_init() - Room for @num disks. Return: 0 or -ENOMEM; backup_copy_fini() anyway. */
int backup_copy_init(struct backup_copy *c, u32 num);

/** backup_copy_fini() - Close files; no thread, no point. Zeroed is fine. */
void backup_copy_fini(struct backup_copy *c);

/**
 * backup_copy_warm() - Before the guest is frozen: which disks can be cloned?
 *
 * Return: 0; -ECANCELED. Context: a thread that may block.
 */
int backup_copy_warm(struct backup_copy *c);

/**
 * backup_copy_begin() - Nobody writes: this is the moment
 * @base: id of the point of the older backup, if @c->changes
 *
 * Return: 0, and there is a point of each disk; -errno with @c->why and none. Main thread.
 */
int backup_copy_begin(struct backup_copy *c, const char *base);

/** backup_copy_end() - Everybody may write; fine without a point, and twice. Any one thread. */
void backup_copy_end(struct backup_copy *c);

/**
 * backup_copy_run() - Copy all of it, and bring it to stable storage
 *
 * The points are over afterwards, well or not. Return: 0; -ECANCELED; -errno with @c->why.
 * Context: a thread that may block.
 */
int backup_copy_run(struct backup_copy *c);

/** backup_copy_cancel() - Make a run give up. Any thread. */
void backup_copy_cancel(struct backup_copy *c);

#endif
