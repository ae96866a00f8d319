/* SPDX-License-Identifier: GPL-2.0-only */
/* The disk driver, module kvmb_storage: what storage_drv.c and storage_proto.c share. */
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
#define STOR_MAX_CHANNEL 7u /* a unit's address: channel (path), id (target), LUN */
#define STOR_MAX_IDS 2u
#define STOR_MAX_LUNS 255u
#define STOR_UNITS ((STOR_MAX_CHANNEL + 1) * STOR_MAX_IDS * 256)
#ifndef STOR_TIMEOUT_S
#define STOR_TIMEOUT_S 180 /* limit of one request, and of each step of the start */
#endif
/* Set in the transaction ids of steps, clear in those of commands (give_to_host()) */
#define STOR_ID_STEP (1ull << 63)

struct stor_dev;

struct stor_chan {
	struct stor_dev *sd;
	struct kvmb_chan *ch;
	unsigned int index;	  /* of the sub-channel, 0: primary */
	struct tasklet_struct tasklet;
	bool closing;		  /* set before the tasklet is killed: it is not scheduled again */
	struct rcu_head rcu;	  /* a sender may hold a pointer to it while it closes */
	u8 buf[256] __aligned(8); /* used by the tasklet: one packet, 16 + 64 bytes */
};

/*
 * One per tag. It is not part of the command, because the SCSI layer clears a command at each use,
 * and frees all commands when the last disk is removed, while the host may still answer.
 */
struct stor_slot {
	/* id of the command at the host, 0: none. Whoever clears it completes the command */
	u64 out;
	u32 uses; /* how often the tag was used: tells a late answer from the current one */
};

struct stor_dev { /* private part of a Scsi_Host, and lives as long */
	struct kvmb_device *dev;
	struct Scsi_Host *host;
	bool live;		/* commands may be out: set last in probe, by store-release */
	bool ide;		/* one disk; the instance GUID names controller and drive */
	u16 version;		/* KVMB_STOR_V*, 0 before negotiation */
	u32 packet_size;	/* 64, or 48 before 5.1 */
	u32 max_transfer;	/* bytes, multiple of 4096, <= STOR_MAX_TRANSFER */
	u16 max_subs;		/* most sub-channels that the host gives us */
	/* slots[nr_hw_queues * can_queue]; allocated before live is set, freed when remove ends */
	struct stor_slot *slots;
	/* indexed by sub-channel; NULL: not open */
	struct stor_chan __rcu *chans[KVMB_STOR_MAX_CHANS];

	spinlock_t map_lock; /* protects the next three, see storage_map.h */
	u64 open;
	unsigned int chan_cpu[KVMB_STOR_MAX_CHANS];
	u8 *by_cpu;		/* by_cpu[nr_cpu_ids]; read without a lock */

	struct mutex step_lock; /* held by start, stop and reset */
	bool leaving; /* remove or sleep has begun: a reset no longer waits without limit */
	bool removed; /* the channels are closed and never reopened; under step_lock */
	struct completion step_done;
	struct kvmb_wire_stor step; /* request; then answer, under answer_lock */
	spinlock_t answer_lock;
	/* of the step that waits, 0: none. No two have the same: an answer may be late */
	u64 step_id; /* under answer_lock */
	u64 steps;   /* how many there were; under step_lock */

	struct workqueue_struct *wq; /* runs scan_work and unit_work; destroyed before this */
	struct work_struct scan_work, unit_work;
	/* for unit_work, by address: units that the host says are gone, or have another size */
	DECLARE_BITMAP(units_gone, STOR_UNITS);
	DECLARE_BITMAP(units_changed, STOR_UNITS);
	u64 bad_answers; /* answers with an unknown id or another operation */
};

struct stor_cmd { /* private part of a scsi_cmnd; queue_command() writes every byte sent */
	u8 chan;  /* index of the channel that carried it */
	struct kvmb_wire_stor pkt;
	struct {
		struct kvmb_wire_gpa_direct direct;
		struct kvmb_wire_gparange range;
		__le64 pfns[STOR_MAX_PAGES];
	} gpa;
};

/* storage_proto.c */

/**
 * kvmb_stor_start() - Open the primary channel and negotiate until commands may be sent
 * @sd: dev, host and ide are set
 *
 * Return: 0, or -errno with the channel closed. Context: may sleep; step_lock is held.
 */
int kvmb_stor_start(struct stor_dev *sd);

/**
 * kvmb_stor_stop() - Close all channels; afterwards no callback and no tasklet runs
 * @sd: started, or stopped already
 *
 * Return: 0; -ETIMEDOUT: the host did not answer, and may still write to the pages it was given.
 * Context: may sleep; step_lock is held.
 */
int kvmb_stor_stop(struct stor_dev *sd);

/**
 * kvmb_stor_step() - Send one request that is not a command, and wait for its answer
 * @sd: sd->step holds the payload of the request, and afterwards the answer
 * @op: the request
 *
 * Return: 0; -EIO when the host's status is not 0; -ENODEV: the device is gone or closed;
 * -ETIMEDOUT: no answer in STOR_TIMEOUT_S; or another -errno of kvmb_send().
 * Context: may sleep; step_lock is held. */
int kvmb_stor_step(struct stor_dev *sd, enum kvmb_stor_op op);

/* storage_drv.c */

/**
 * kvmb_stor_completed() - The host answered a command
 * @sd:     any state; before sd->live no command is out and every answer is a bad one
 * @id:     transaction id of the answer
 * @answer: a private copy of the packet
 *
 * Completes the command, or counts the answer in bad_answers.
 * Context: tasklet of a channel. Trust: @id and @answer are the host's, neither is trusted; an id
 * that belongs to no command at the host is ignored.
 */
void kvmb_stor_completed(struct stor_dev *sd, u64 id, const struct kvmb_wire_stor *answer);

/**
 * kvmb_stor_rescan() - The host says that the units of the controller have changed
 * @sd: any state; ignored before sd->live, because the first scan is still to come
 *
 * Queues one scan of all units, however often the host says it.
 * Context: tasklet of a channel; does not sleep.
 */
void kvmb_stor_rescan(struct stor_dev *sd);

#endif
