/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The synthetic SCSI controller (storvsp): create it, attach and detach disks, statistics.
 *
 * DOC: IDE drives and their twins
 *
 * Controllers from KVMB_STORAGE_IDE on are one drive each, LUN 0, of the emulated IDE controller
 * (machine/dev/ide.h). A disk is offered to the guest as an IDE-accelerator channel, too, and has
 * one path at a time: when the guest opens the channel, the drive is asked to let go of the disk,
 * and the channel takes no packet before it has; when the channel has been closed, by the guest, a
 * reset, a crash or another kernel, the drive gets the disk back. A CD is not offered: guests drive
 * it as ATAPI. Who changes hands of a disk is struct kvmb_storage_twin; kvmb_disk.user says whose
 * it is, and both paths assert it.
 */
#ifndef KVMB_STORAGE_H
#define KVMB_STORAGE_H

#include "backend/block/disk.h"
#include "host-vsp/bus/bus.h"

#define KVMB_STORAGE_MAX_CONTROLLERS 8u
#define KVMB_STORAGE_IDE 4u /* the first IDE drive; below: SCSI controllers */
#define KVMB_STORAGE_MAX_LUNS 64u
#define KVMB_LATENCY_BUCKETS 96u

struct kvmb_rings;
struct kvmb_storage;

struct kvmb_storage_events { /* called on the bus thread */
	/* I/O has failed and waits for kvmb_storage_retry(): pause the VM. */
	void (*stopped)(void *arg, struct kvmb_storage *s, unsigned int lun, int err);
	/* The guest has ejected its DVD: call kvmb_storage_set_medium(NULL). */
	void (*ejected)(void *arg, struct kvmb_storage *s, unsigned int lun);
};

/**
 * kvmb_storage_create() - Make a controller without disks
 * @index:        0 .. KVMB_STORAGE_MAX_CONTROLLERS - 1; determines the instance GUID
 * @max_channels: most sub-channels that the guest may ask for
 * @rings:        storage_ring.h, outlives the controller; NULL = threads do its I/O
 * @loop:         the bus thread's
 * @ev:           must outlive the controller
 * @arg:          passed to @ev
 *
 * Return: never NULL. Context: bus thread.
 */
struct kvmb_storage *kvmb_storage_create(unsigned int index, u16 max_channels,
					 struct kvmb_rings *rings, struct kvmb_loop *loop,
					 const struct kvmb_storage_events *ev, void *arg);

struct kvmb_storage_twin { /* the emulated drive; called on the bus thread */
	/* The guest wants the channel: let go of the disk, then call kvmb_storage_taken(). */
	void (*take)(void *arg, struct kvmb_storage *s);
	/* No channel uses the disk any more; perhaps before kvmb_storage_taken() was called. */
	void (*give)(void *arg, struct kvmb_storage *s);
};

/**
 * kvmb_storage_set_twin() - Share the disk of an IDE drive with the emulated one
 * @s:    the controller, before it is offered
 * @twin: must outlive the controller
 * @arg:  passed to @twin
 */
void kvmb_storage_set_twin(struct kvmb_storage *s, const struct kvmb_storage_twin *twin, void *arg);

/** kvmb_storage_taken() - The drive has let go, as take() has asked. Bus thread. */
void kvmb_storage_taken(struct kvmb_storage *s);

/** kvmb_storage_offer() - kvmb_bus_offer() the controller on @bus. Return: as that. Bus thread. */
int kvmb_storage_offer(struct kvmb_storage *s, struct kvmb_bus *bus);

/** kvmb_storage_destroy() - Close the disks and free @s. Only when its channels are at rest. */
void kvmb_storage_destroy(struct kvmb_storage *s);

/** kvmb_storage_index() - The index that it was created with. Any thread. */
unsigned int kvmb_storage_index(const struct kvmb_storage *s);

/**
 * kvmb_storage_uring() - Can its raw disks use an io_uring?
 * Return: 0, or -errno: why the host allows none, so that threads do their I/O. Any thread.
 */
int kvmb_storage_uring(const struct kvmb_storage *s);

/*
 * Disks can be attached and detached while the guest runs, on the bus thread. A change that
 * takes something away is complete when no channel uses it any more. Then done() is called on
 * the bus thread and gets the disk back.
 */
typedef void kvmb_storage_done(void *arg, struct kvmb_disk *d);

/**
 * kvmb_storage_attach() - Add a unit
 * @s:   the controller
 * @d:   owned by the controller on success; NULL for an empty DVD drive
 * @dvd: a DVD drive
 * @lun: 0 .. KVMB_STORAGE_MAX_LUNS - 1
 *
 * Return: 0; -EEXIST when @lun is taken; -EBUSY while its predecessor is being detached; -ENOSPC
 * when @lun is out of range.
 */
int kvmb_storage_attach(struct kvmb_storage *s, struct kvmb_disk *d, bool dvd, unsigned int lun);

/** kvmb_storage_detach() - Remove a unit. Return: 0: @done will be called; -ENOENT: no unit. */
int kvmb_storage_detach(struct kvmb_storage *s, unsigned int lun, kvmb_storage_done *done,
			void *arg);

/**
 * kvmb_storage_set_medium() - Change the medium of a DVD drive
 * @s:    the controller
 * @lun:  of the drive
 * @d:    owned by the controller on success; NULL = none
 * @done: gets the old medium, which may be NULL
 * @arg:  of @done
 *
 * Return: 0: @done will be called; -ENOENT: no such drive.
 */
int kvmb_storage_set_medium(struct kvmb_storage *s, unsigned int lun, struct kvmb_disk *d,
			    kvmb_storage_done *done, void *arg);

/** kvmb_storage_ask_eject() - Report to the guest that the drive's eject button was pressed. */
void kvmb_storage_ask_eject(struct kvmb_storage *s, unsigned int lun);

/** kvmb_storage_capacity_changed() - Report a new size to the guest, after kvmb_disk_resize(). */
void kvmb_storage_capacity_changed(struct kvmb_storage *s, unsigned int lun);

/**
 * kvmb_storage_set_limits() - Change a disk's limits, also for requests that already wait
 * @s:    the controller
 * @lun:  of the disk
 * @iops: operations per second, 0 = no limit, -1 = unchanged
 * @bps:  bytes per second, likewise
 *
 * Return: false when there is no disk at @lun. Context: bus thread.
 */
bool kvmb_storage_set_limits(struct kvmb_storage *s, unsigned int lun, s64 iops, s64 bps);

/** kvmb_storage_retry() - Retry the requests that failed and were held back. Bus thread. */
void kvmb_storage_retry(struct kvmb_storage *s);

struct kvmb_unit_info {
	struct kvmb_disk *disk; /* NULL: an empty drive; valid until the next change */
	bool dvd, locked;	/* locked: the guest prevents removal */
};

/** kvmb_storage_unit() - Return: false when there is no unit at @lun. */
bool kvmb_storage_unit(struct kvmb_storage *s, unsigned int lun, struct kvmb_unit_info *i);

enum kvmb_io_kind { KVMB_KIND_READ, KVMB_KIND_WRITE, KVMB_KIND_OTHER, KVMB_KIND_NUM };

struct kvmb_unit_stats {
	u64 ops[KVMB_KIND_NUM];	  /* finished requests */
	u64 bytes[KVMB_KIND_NUM]; /* moved; OTHER: zeroed */
	u64 flushes;		  /* part of OTHER */
	u64 errors;		  /* answered with an error of the backend */
	u64 latency[KVMB_KIND_NUM][KVMB_LATENCY_BUCKETS]; /* counts; kvmb_latency_us() */
};

/** kvmb_storage_unit_stats() - Sums over all channels. Bus thread. */
void kvmb_storage_unit_stats(struct kvmb_storage *s, unsigned int lun, struct kvmb_unit_stats *st);

/**
 * kvmb_latency_us() - A percentile of a histogram
 * @h:        h[KVMB_LATENCY_BUCKETS]
 * @permille: 500 = median
 *
 * Return: microseconds: the upper edge of its bucket, which is at most a quarter wide; 0 without
 * a sample.
 */
u64 kvmb_latency_us(const u64 *h, unsigned int permille);

struct kvmb_storage_stats {
	u64 requests;	/* SRBs taken from the guest */
	u64 io_submits; /* io_uring_enter() calls; 0 without io_uring */
	u64 inline_ios; /* reads and writes done on the spot */
	u32 channels;	/* open now */
};
/** kvmb_storage_get_stats() - Copy the controller's counters, over all channels. Bus thread. */
void kvmb_storage_get_stats(struct kvmb_storage *s, struct kvmb_storage_stats *st);

#endif
