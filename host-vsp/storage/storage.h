/* SPDX-License-Identifier: GPL-2.0-only */
/* The synthetic SCSI controller (storvsp): create, disks come and go, statistics. */
#ifndef KVMB_STORAGE_H
#define KVMB_STORAGE_H

#include "backend/block/disk.h"
#include "host-vsp/bus/bus.h"

#define KVMB_STORAGE_MAX_CONTROLLERS 4u
#define KVMB_STORAGE_MAX_LUNS 64u
#define KVMB_LATENCY_BUCKETS 96u

struct kvmb_storage;

struct kvmb_storage_events { /* called on the bus thread */
	/* I/O failed and waits for kvmb_storage_retry(): the VM should be paused. */
	void (*stopped)(void *arg, struct kvmb_storage *s, unsigned int lun, int err);
	/* The guest ejected its DVD: kvmb_storage_set_medium(NULL) should follow. */
	void (*ejected)(void *arg, struct kvmb_storage *s, unsigned int lun);
};

/**
 * kvmb_storage_create() - A controller without disks
 * @index:        0 .. KVMB_STORAGE_MAX_CONTROLLERS - 1; fixes the instance GUID
 * @max_channels: sub-channels the guest may ask for
 * @loop:         the bus thread's
 * @ev:           borrowed for good; @arg is handed to it
 */
struct kvmb_storage *kvmb_storage_create(unsigned int index, u16 max_channels,
					 struct kvmb_loop *loop,
					 const struct kvmb_storage_events *ev, void *arg);

/** kvmb_storage_offer() - Offer the controller on @bus, at once if the guest is there. */
int kvmb_storage_offer(struct kvmb_storage *s, struct kvmb_bus *bus);

/** kvmb_storage_destroy() - Closes the disks. Only when its channels are at rest. */
void kvmb_storage_destroy(struct kvmb_storage *s);

unsigned int kvmb_storage_index(const struct kvmb_storage *s);

/*
 * Disks come and go while the guest runs. All of these are for the bus thread. A change that
 * takes something away is done when every channel has let go of it; then done() is called,
 * on the bus thread, and gets the disk back, which nobody touches any more.
 */
typedef void kvmb_storage_done(void *arg, struct kvmb_disk *d);

/**
 * kvmb_storage_attach() - A unit appears
 * @d:   owned by the controller on success; NULL for an empty DVD drive
 * @lun: 0 .. KVMB_STORAGE_MAX_LUNS - 1
 * Return: 0; -EEXIST taken; -EBUSY its predecessor is still going; -ENOSPC beyond the last.
 */
int kvmb_storage_attach(struct kvmb_storage *s, struct kvmb_disk *d, bool dvd, unsigned int lun);

/** kvmb_storage_detach() - A unit goes. Return: 0 and done() will come; -ENOENT. */
int kvmb_storage_detach(struct kvmb_storage *s, unsigned int lun, kvmb_storage_done *done,
			void *arg);

/**
 * kvmb_storage_set_medium() - Change what is in a DVD drive
 * @d: owned by the controller on success; NULL = nothing
 * Return: 0 and done() will come with the old one (which may be NULL); -ENOENT no such drive.
 */
int kvmb_storage_set_medium(struct kvmb_storage *s, unsigned int lun, struct kvmb_disk *d,
			    kvmb_storage_done *done, void *arg);

/** kvmb_storage_ask_eject() - Tell the guest that somebody pressed the button. */
void kvmb_storage_ask_eject(struct kvmb_storage *s, unsigned int lun);

/** kvmb_storage_capacity_changed() - After kvmb_disk_resize(): tell the guest. */
void kvmb_storage_capacity_changed(struct kvmb_storage *s, unsigned int lun);

/**
 * kvmb_storage_set_limits() - Change a disk's limits, for requests that wait as well
 * @iops: operations a second, 0 = no limit, -1 = as it is
 * @bps:  bytes a second, likewise
 * Return: false when there is no disk at @lun. Bus thread.
 */
bool kvmb_storage_set_limits(struct kvmb_storage *s, unsigned int lun, s64 iops, s64 bps);

/** kvmb_storage_retry() - Do again what failed and was held back. */
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
 * Return: microseconds, the upper edge of its bucket (which is at most a quarter wide); 0
 * without a sample.
 */
u64 kvmb_latency_us(const u64 *h, unsigned int permille);

struct kvmb_storage_stats {
	u64 requests;	/* SRBs taken from the guest */
	u64 io_submits; /* io_uring_enter() calls */
	u64 inline_ios; /* reads and writes done on the spot */
	u32 channels;	/* open now */
};
void kvmb_storage_get_stats(struct kvmb_storage *s, struct kvmb_storage_stats *st);

#endif
