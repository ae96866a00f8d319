/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by storage/ alone: the SCSI layer under the storvsp protocol. */
#ifndef KVMB_STORAGE_PRIV_H
#define KVMB_STORAGE_PRIV_H

#include "host-vsp/storage/disk.h"

#define KVMB_SCSI_STATUS_GOOD 0x00u
#define KVMB_SCSI_STATUS_CHECK_CONDITION 0x02u
#define KVMB_SCSI_SENSE_LEN 18u
#define KVMB_SCSI_DATA_MAX 1024u

enum kvmb_scsi_io { /* what is left to do after kvmb_scsi_execute() */
	KVMB_IO_NONE,
	KVMB_IO_READ,
	KVMB_IO_WRITE,
	KVMB_IO_FLUSH,
};

struct kvmb_scsi_cmd {
	const u8 *cdb;	  /* cdb[cdb_len], private copy, zero-padded to 16 */
	u32 cdb_len;
	u32 buffer;	  /* bytes of the guest's data buffer */
	bool to_device;	  /* the guest says the buffer holds data for us */
	bool from_device;

	u8 status;	  /* KVMB_SCSI_STATUS_* */
	u8 sense[KVMB_SCSI_SENSE_LEN];
	enum kvmb_scsi_io io;
	bool fua;	  /* with KVMB_IO_WRITE: on stable storage before the answer */
	u64 offset;	  /* bytes, with READ and WRITE */
	u32 length;	  /* bytes, with READ and WRITE; <= buffer */
	u32 data_len;	  /* bytes of data[] to give to the guest, <= buffer */
	u8 data[KVMB_SCSI_DATA_MAX];
};

/**
 * kvmb_scsi_execute() - Decide one command
 * @d:   the disk, NULL for an absent LUN (INQUIRY only)
 * @cmd: in: the first five fields; out: the rest
 *
 * Everything but data transfer is done on return. Context: any worker. Trust: the CDB
 * is guest-controlled.
 */
void kvmb_scsi_execute(const struct kvmb_disk *d, struct kvmb_scsi_cmd *cmd);

/** kvmb_scsi_report_luns() - REPORT LUNS over @present[64]. */
void kvmb_scsi_report_luns(struct kvmb_scsi_cmd *cmd, const bool *present);

/** kvmb_scsi_sense() - Make @cmd a CHECK CONDITION with fixed-format sense. */
void kvmb_scsi_sense(struct kvmb_scsi_cmd *cmd, u8 key, u8 asc, u8 ascq);

#endif
