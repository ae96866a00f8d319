/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A scripted host's disk controller, and what the tests of kvmb_storage do with it and with the
 * guest's disk.
 *
 * By itself it behaves: one disk of 256 blocks, each filled with its number. struct script_disk
 * says what it does otherwise.
 */
#ifndef KVMB_SCRIPT_DISK_H
#define KVMB_SCRIPT_DISK_H

#include <scsi/scsi.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>

#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"
#include "vmbus-core/proto/storage.h"

#define RELID 3u
#define MAX_SUBS 4u /* relids RELID + 1 and on */

struct script_disk {
	u16 newest;		/* version that it takes */
	u16 subs;		/* sub-channels that it has; offered when asked for */
	u32 max_transfer;	/* bytes; 0: 128 KiB */
	u32 mute_op;		/* enum kvmb_stor_op that has no answer, 0: none */
	u32 slow_op;		/* the next has it after 300 ms, 0: none */
	struct completion slow;	/* it has begun with slow_op */
	/* before an answer goes out; false: it does not */
	bool (*twist)(struct kvmb_wire_stor *p, u64 *id, u32 *len, u32 op, const u8 *cdb);
	u32 copies;		/* of each answer; 0 is 1 */
	u32 requests[16];	/* by operation */
	u32 cdbs[256];		/* EXECUTE_SRB, by the command's first byte */
	u32 came_by;		/* relid of the last READ */
	u64 read_id;		/* its transaction id */
	u8 data[64 << 10];
};
extern struct script_disk disk;

struct held_answer { /* that the host keeps for later */
	struct kvmb_wire_stor p;
	u64 id;			/* 0: none yet */
	u32 len;
};
extern struct held_answer disk_held;

int disk_init(struct kunit *test);
void disk_exit(struct kunit *test);

/** disk_offer() - Offer the controller */
void disk_offer(void);
/** disk_plug_in() - Offer the controller; it is probed, and scanned if that succeeded */
void disk_plug_in(void);
/** disk_host() - The guest's controller, NULL: none. The caller puts it */
struct Scsi_Host *disk_host(void);
/** disk_find() - LUN 0 of it */
struct scsi_device *disk_find(void);
/**
 * disk_read() - Read block @lba
 * @same: whether the data is that of the block
 * Return: as scsi_execute_req()
 */
int disk_read(struct scsi_device *sdev, u8 lba, bool *same);
/** disk_is_read() - Is it READ(10)? */
bool disk_is_read(const u8 *cdb, u32 op);
/** disk_wait() - Until *@word is at least @least, some seconds at most. Return: whether it is */
bool disk_wait(const u32 *word, u32 least);

/** disk_hold_next_read() - Its answer goes to disk_held, and nowhere until disk_give_held() */
void disk_hold_next_read(void);
void disk_give_held(void);

/* Threads: answers to no request, until it is stopped; the controller rescinded after 200 ms */
int disk_flood(void *unused);
int disk_rescind_soon(void *unused);

extern struct kunit_suite kvmb_storage_life_suite;

#endif
