/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SCSI target: takes one command and decides what to do. Used by storage/ and its tests.
 *
 * DOC: Theory of operation
 *
 * A logical unit (struct kvmb_unit) is a disk or a DVD drive. kvmb_scsi_execute() looks up the
 * operation in one table, which says which units support it, whether it writes, and how long its
 * command block is. The same table answers REPORT SUPPORTED OPERATION CODES, and makes a
 * read-only disk refuse every command that writes, so none can be forgotten. Commands without
 * data transfer are complete on return; for the others cmd->io says what remains to be done.
 *
 * Nothing here reads guest memory: command block and parameter list are private copies.
 *
 * Sources: SPC-3 and SPC-4, SBC-3, MMC-6; docs/protocol.md#5.5 to #5.8 for what stock guests
 * send.
 */
#ifndef KVMB_SCSI_H
#define KVMB_SCSI_H

#include <pthread.h>

#include "backend/block/disk.h"
#include "vmbus-core/proto/scsi.h"

#define KVMB_SCSI_SENSE_LEN 18u
#define KVMB_SCSI_CDB_MAX 16u
#define KVMB_SCSI_MAX_LUNS 64u	  /* of a controller */
#define KVMB_SCSI_BLOCK_MAX 4096u /* bytes of a logical block */
#define KVMB_SCSI_DATA_MAX 2560u  /* answers without data transfer: READ DVD STRUCTURE is 2052 */
#define KVMB_SCSI_PARAM_MAX 4608u /* parameter lists; UNMAP's is 8 + 16 * 256 */
#define KVMB_SCSI_MAX_EXTENTS 256u
#define KVMB_SCSI_MAX_TRANSFER (512u * 1024u) /* equal to storvsp's max_transfer */
#define KVMB_SCSI_MAX_SAME (64u << 20)	/* bytes of one WRITE SAME with a pattern */

/* Unit attentions, as bits of kvmb_unit.ua; the lowest is reported first. */
enum kvmb_ua {
	KVMB_UA_RESET,		/* 29/02 SCSI bus reset occurred */
	KVMB_UA_MEDIUM,		/* 28/00 medium may have changed */
	KVMB_UA_CAPACITY,	/* 2A/09 capacity data has changed */
	KVMB_UA_MODE,		/* 2A/01 mode parameters changed */
	KVMB_UA_LUNS,		/* 3F/0E reported LUNs data has changed */
	KVMB_UA_NUM
};

enum kvmb_media_event { /* MMC-6 table "Media Status Event Format": event codes */
	KVMB_MEDIA_NONE = 0,
	KVMB_MEDIA_EJECT_REQUEST = 1,
	KVMB_MEDIA_NEW = 2,
	KVMB_MEDIA_REMOVED = 3,
};

struct kvmb_reservation { /* there is one initiator: the guest */
	bool registered, held;
	u64 key;
	u8 type;	/* SPC-4 table "Persistent reservation type codes" */
	u32 generation; /* PRGENERATION */
};

struct kvmb_unit {
	bool dvd;
	struct kvmb_disk *disk; /* atomic; a DVD drive without medium: NULL */
	u32 ua;			/* atomic, 1 << enum kvmb_ua */
	int wce;		/* atomic: the guest may cache writes until it flushes */
	int prevent;		/* atomic: the guest has locked the medium in the drive */
	int tray_open;		/* atomic: the guest ejected; the medium is removed soon */
	int media_event;	/* atomic, enum kvmb_media_event */
	pthread_mutex_t lock;	/* guards the reservation */
	struct kvmb_reservation pr;
};

static_assert(8 + 16 * KVMB_SCSI_MAX_EXTENTS <= KVMB_SCSI_PARAM_MAX, "UNMAP's list");
static_assert(KVMB_SCSI_BLOCK_MAX <= KVMB_SCSI_PARAM_MAX, "WRITE SAME's block");
static_assert(8 + 8 * KVMB_SCSI_MAX_LUNS <= KVMB_SCSI_DATA_MAX, "REPORT LUNS");
static_assert(4 + KVMB_SCSI_CDB_MAX <= KVMB_SCSI_DATA_MAX, "one operation code");

struct kvmb_extent {
	u64 lba, blocks;
};

struct kvmb_scsi_cmd {
	const u8 *cdb;	  /* cdb[16], private copy, zero-padded */
	u32 cdb_len;
	u32 buffer;	  /* bytes of the guest's data buffer */
	bool to_device;	  /* the guest says that the buffer holds data for us */
	bool from_device;
	const u8 *param;  /* param[param_len], private copy; see kvmb_scsi_param_len() */
	u32 param_len;

	u8 status;	  /* KVMB_SCSI_STATUS_* */
	u8 sense[KVMB_SCSI_SENSE_LEN];
	struct kvmb_disk *disk; /* target of io; read once from the unit */
	enum kvmb_io io;
	bool fua;	  /* with WRITE, SAME, ZERO: on stable storage before the answer */
	bool eject;	  /* the guest wants the medium removed */
	u64 offset;	  /* bytes; READ, WRITE, VERIFY, SAME */
	u64 length;	  /* bytes; READ, WRITE and VERIFY: <= buffer */
	u32 num_extents;  /* with ZERO */
	struct kvmb_extent extents[KVMB_SCSI_MAX_EXTENTS];
	u32 data_len;	  /* bytes of data[] to give to the guest, <= buffer */
	u8 data[KVMB_SCSI_DATA_MAX];
};

/** kvmb_reservation_valid() - Can commands have led to it? For one that somebody else wrote. */
bool kvmb_reservation_valid(const struct kvmb_reservation *pr);

/**
 * kvmb_unit_init() - Prepare a unit
 * @u:   zeroed or garbage
 * @dvd: a DVD drive, else a disk
 * @d:   borrowed until kvmb_unit_fini(); NULL for an empty drive
 */
void kvmb_unit_init(struct kvmb_unit *u, bool dvd, struct kvmb_disk *d);

/** kvmb_unit_fini() - Undo kvmb_unit_init(); no command is running any more. */
void kvmb_unit_fini(struct kvmb_unit *u);

/** kvmb_unit_attention() - Report @what as a unit attention at the next command. Any thread. */
void kvmb_unit_attention(struct kvmb_unit *u, enum kvmb_ua what);

/**
 * kvmb_scsi_param_len() - How many bytes of the data buffer are a command's parameter list
 * @cdb: cdb[16], zero-padded
 *
 * Return: bytes, at most KVMB_SCSI_PARAM_MAX; 0 for commands without one.
 */
u32 kvmb_scsi_param_len(const u8 *cdb);

/**
 * kvmb_scsi_execute() - Check and decide one command
 * @u:   the unit; NULL for an absent one, which answers only INQUIRY
 * @cmd: in: the fields before status; out: the rest
 *
 * Context: any worker; takes u->lock for reservations. Trust: command block and parameter
 * list are guest-controlled.
 */
void kvmb_scsi_execute(struct kvmb_unit *u, struct kvmb_scsi_cmd *cmd);

/** kvmb_scsi_report_luns() - REPORT LUNS over @present[KVMB_SCSI_MAX_LUNS]. */
void kvmb_scsi_report_luns(struct kvmb_scsi_cmd *cmd, const bool *present);

/** kvmb_scsi_sense() - Make @cmd a CHECK CONDITION with fixed-format sense. */
void kvmb_scsi_sense(struct kvmb_scsi_cmd *cmd, u8 key, u8 asc, u8 ascq);

#endif
