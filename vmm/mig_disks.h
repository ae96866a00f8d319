/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The content of disks, in a migration between hosts that share none: the source's side.
 *
 * DOC: Theory of operation
 *
 * As memory is sent (mig_memory.h): first all of it, while the guest runs, then, round by round
 * and together with memory, the chunks that were written since (backend/block/disk_dirty.h); the
 * rest when the guest stands. What a raw file has no space for is not read, and chunks of zeroes
 * are not sent the first time, because the target's files begin as zeroes; one now and then is, so
 * that neither side waits in silence.
 *
 * The content is what the guest sees, and not the file: an image in a format arrives as an image
 * of that format, with tables of its own. Raw files are read by their descriptors, others by
 * requests to their daemons, as the guest's.
 *
 * A section DISK has bytes of one disk, or says that a disk is complete: a target that has not
 * heard that of each disk that it was promised does not become the VM.
 *
 * The source keeps its files as they are when it ends, or goes on with them; the target's are no
 * use until it has said RUNNING. Which of them is the VM's disk nobody can tell from the files:
 * vmm/disk_locks.h.
 */
#ifndef KVMB_MIG_DISKS_H
#define KVMB_MIG_DISKS_H

#include "lib/tlv.h"
#include "vmm/disk_copies.h"
#include "vmm/disk_read.h"
#include "vmm/mig_stream.h"
#include "vmm/vm.h"

enum { /* of section DISK; never used again */
       MIG_DISK_CONTROLLER = 1,
       MIG_DISK_LUN = 2,
       MIG_DISK_OFFSET = 3, /* bytes */
       MIG_DISK_DATA = 4,   /* bytes from there on, MIG_CHUNK at most */
       MIG_DISK_ZERO = 5,   /* instead: how many have become zero */
       MIG_DISK_ALL = 6,    /* instead of 3 to 5: the disk is complete, and has so many bytes */
};

struct mig_disk {
	struct kvmb_disk *d;
	u32 controller, lun;
	u64 chunks;
	u64 *bits; /* bits[chunks / 64, rounded up]: to be sent */
};

struct mig_disks { /* zeroed to begin with; then of one thread at a time */
	u32 num;
	struct mig_disk *disks; /* disks[num] */
	struct kvmb_tlv_out out;
	u8 *copy;    /* copy[MIG_CHUNK and DISK_READ_ALIGN]: what is sent, while the guest writes */
	u64 total;   /* bytes of all disks */
	u64 done;    /* atomic, for info: of the first time */
	u64 sent;    /* atomic: bytes of sections */
	u64 sent_ms; /* when the last one was */
	struct disk_reader reader;
};

/* Who counts what is sent, and may wait. Return: 0 or -errno: to give up. */
struct mig_disks_pace {
	int (*sent)(void *arg, struct mig_stream *s, u64 bytes);
	void *arg;
};

/**
 * mig_disks_begin() - All disks that can be copied are, from here on
 * @why: why[size], on failure one phrase
 *
 * Their writes are noted, and they are marked as copied. Nobody may remove or resize them until
 * mig_disks_end(). Return: 0 or -errno. Context: main thread.
 */
int mig_disks_begin(struct mig_disks *m, struct vm *vm, char *why, size_t size);

/** mig_disks_end() - It is over, well or not; zeroed is fine. Main thread. */
void mig_disks_end(struct mig_disks *m);

/**
 * mig_disks_first() - Send everything once
 * @pace: as mig_disks_send()
 * @why:  why[MIG_WHY], set when a disk fails
 *
 * Return: as mig_send(); -EIO: a disk cannot be read. Context: a thread that may wait.
 */
int mig_disks_first(struct mig_disks *m, struct mig_stream *s, const struct mig_disks_pace *pace,
		    char *why);

/** mig_disks_take() - What was written since is to be sent. Return: bytes that are. */
u64 mig_disks_take(struct mig_disks *m);

/** mig_disks_send() - Send that. @pace: NULL = at once. Otherwise as mig_disks_first(). */
int mig_disks_send(struct mig_disks *m, struct mig_stream *s, const struct mig_disks_pace *pace,
		   char *why);

/** mig_disks_last() - Take and send what is left, and say so; nobody writes any more. */
int mig_disks_last(struct mig_disks *m, struct mig_stream *s, char *why);

#endif
