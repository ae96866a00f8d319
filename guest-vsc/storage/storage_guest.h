/* SPDX-License-Identifier: GPL-2.0-only */
/* kvmb_storage: shared by its two files. */
#ifndef KVMB_STORAGE_GUEST_H
#define KVMB_STORAGE_GUEST_H

#include <linux/interrupt.h>
#include <scsi/scsi.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>

#include "guest-vsc/bus/bus.h"
#include "guest-vsc/storage/storage_map.h"
#include "vmbus-core/proto/storage.h"

#define STOR_RING_PAGES 33	  /* control page and 128 KiB, as stock guests */
#define STOR_MAX_TRANSFER (512u << 10)
#define STOR_MAX_PAGES (STOR_MAX_TRANSFER / KVMB_PAGE_SIZE + 1)
#define STOR_MAX_CHANNEL 7u	  /* addresses of units: channel (path), id (target), LUN */
#define STOR_MAX_IDS 2u
#define STOR_MAX_LUNS 255u
#define STOR_UNITS ((STOR_MAX_CHANNEL + 1) * STOR_MAX_IDS * 256)
#ifndef STOR_TIMEOUT_S
#define STOR_TIMEOUT_S 180	  /* of one request, and of each step of the start */
#endif
/* Transaction ids of requests that are no commands: above what commands have (see id_of()) */
#define STOR_ID_INIT 0xfffffffffffffffdull
#define STOR_ID_RESET 0xfffffffffffffffcull

struct stor_dev;

struct stor_chan {
	struct stor_dev *sd;
	struct kvmb_chan *ch;
	unsigned int index;	  /* of the sub-channel, 0: primary */
	struct tasklet_struct tasklet;
	bool closing;		  /* set before the tasklet is killed: no turn asks for one */
	struct rcu_head rcu;	  /* who sends may look at it until it has closed */
	u8 buf[256] __aligned(8); /* the tasklet's: one packet, 16 + 64 bytes */
};

/*
 * A tag's place. Not in the command: the SCSI layer clears that at each use, and frees all of them
 * when the last disk is removed, while a host may still answer.
 */
struct stor_slot {
	u64 out;  /* id of the command that the host has, 0: none; who clears it completes it */
	u32 uses; /* of the tag: tells a late answer from the one that we wait for */
};

struct stor_dev { /* private part of a Scsi_Host, and lives as long */
	struct kvmb_device *dev;
	struct Scsi_Host *host;
	bool live;		/* commands may be out: set last in probe, by store-release */
	bool ide;		/* one disk: controller and drive stand in the instance GUID */
	u16 version;		/* KVMB_STOR_V*, 0 before negotiation */
	u32 packet_size;	/* 64, or 48 before 5.1 */
	u32 max_transfer;	/* bytes, multiple of 4096, <= STOR_MAX_TRANSFER */
	u16 max_subs;		/* sub-channels that the host may give us */
	/* slots[nr_hw_queues * can_queue], from before live to the end of remove */
	struct stor_slot *slots;
	/* by sub-channel index; NULL: not open */
	struct stor_chan __rcu *chans[KVMB_STOR_MAX_CHANS];

	spinlock_t map_lock;	/* the three below: storage_map.h */
	u64 open;
	unsigned int chan_cpu[KVMB_STOR_MAX_CHANS];
	u8 *by_cpu;		/* by_cpu[nr_cpu_ids]; read without a lock */

	struct mutex step_lock;	/* one of start, stop, reset at a time */
	bool leaving;		/* remove or sleep has begun: a reset does not wait for ever */
	bool removed;		/* the channels are closed for good; under step_lock */
	struct completion step_done;
	struct kvmb_wire_stor step; /* request, then answer */

	struct workqueue_struct *wq; /* scan_work and unit_work; gone before this is */
	struct work_struct scan_work, unit_work;
	/* for unit_work, by address: what is not there, says the host; what has another size */
	DECLARE_BITMAP(units_gone, STOR_UNITS);
	DECLARE_BITMAP(units_changed, STOR_UNITS);
	u64 bad_answers;	/* of the host: unknown ids, wrong sizes */
};

struct stor_cmd { /* private part of a scsi_cmnd; queue_command() writes all that is sent */
	u8 chan;		/* index of the channel that it was sent on */
	struct kvmb_wire_stor pkt;
	struct {
		struct kvmb_wire_gpa_direct direct;
		struct kvmb_wire_gparange range;
		__le64 pfns[STOR_MAX_PAGES];
	} gpa;
};

/* storage_proto.c */

/**
 * kvmb_stor_start() - Open the primary and speak the protocol until commands may come
 * @sd: dev, host and ide are set
 * Return: 0 or -errno, and the channel is closed. Context: may sleep; step_lock is held.
 */
int kvmb_stor_start(struct stor_dev *sd);

/**
 * kvmb_stor_stop() - Close all channels; no callback and no tasklet runs any more
 * Return: 0; -ETIMEDOUT: the host did not answer, and may still write to what it was given.
 * Context: may sleep; step_lock is held.
 */
int kvmb_stor_stop(struct stor_dev *sd);

/**
 * kvmb_stor_step() - One request that is no command, and its answer in sd->step
 * Return: 0; -EIO when the host's status is not 0; -ENODEV; -ETIMEDOUT.
 * Context: may sleep; step_lock is held.
 */
int kvmb_stor_step(struct stor_dev *sd, enum kvmb_stor_op op, u64 id);

/* storage_drv.c */
void kvmb_stor_completed(struct stor_dev *sd, u64 id, const struct kvmb_wire_stor *answer);
void kvmb_stor_rescan(struct stor_dev *sd);

#endif
