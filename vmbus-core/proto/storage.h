/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic SCSI (storvsp/storvsc), on the wire.
 *
 * Sources: Linux 6.12 drivers/scsi/storvsc_drv.c; OpenVMM storvsp_protocol.
 */
#ifndef KVMB_PROTO_STORAGE_H
#define KVMB_PROTO_STORAGE_H

#include "vmbus-core/guid.h"

#define KVMB_SCSI_TYPE_GUID                                                                  \
	KVMB_GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f)

#define KVMB_IDE_TYPE_GUID                                                                   \
	KVMB_GUID(0x32412632, 0x86cb, 0x44a2, 0x9b, 0x5c, 0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5)

enum kvmb_stor_op {
	KVMB_STOR_COMPLETE_IO = 1,
	KVMB_STOR_REMOVE_DEVICE = 2,
	KVMB_STOR_EXECUTE_SRB = 3,
	KVMB_STOR_RESET_LUN = 4,
	KVMB_STOR_RESET_ADAPTER = 5,
	KVMB_STOR_RESET_BUS = 6,
	KVMB_STOR_BEGIN_INIT = 7,
	KVMB_STOR_END_INIT = 8,
	KVMB_STOR_QUERY_VERSION = 9,
	KVMB_STOR_QUERY_PROPERTIES = 10,
	KVMB_STOR_ENUMERATE_BUS = 11,
	KVMB_STOR_FCHBA_DATA = 12,
	KVMB_STOR_CREATE_SUB_CHANNELS = 13,
};

#define KVMB_STOR_V2_0 0x0200u
#define KVMB_STOR_V4_2 0x0402u
#define KVMB_STOR_V5_1 0x0501u
#define KVMB_STOR_V6_0 0x0600u
#define KVMB_STOR_V6_2 0x0602u

#define KVMB_STOR_STATUS_OK 0u
#define KVMB_STOR_STATUS_REVISION_MISMATCH 0xc0000059u
#define KVMB_STOR_STATUS_INVALID_STATE 0xc0000184u
#define KVMB_STOR_STATUS_INVALID_REQUEST 0xc0000010u
#define KVMB_STOR_STATUS_INVALID_LUN 0xc00000c0u
#define KVMB_STOR_STATUS_DATA_OVERRUN 0x80000005u
#define KVMB_STOR_STATUS_ERROR 0xc0000185u

#define KVMB_SRB_SUCCESS 0x01u
#define KVMB_SRB_ABORTED 0x02u
#define KVMB_SRB_ERROR 0x04u
#define KVMB_SRB_INVALID_REQUEST 0x06u
#define KVMB_SRB_DATA_OVERRUN 0x12u
#define KVMB_SRB_INVALID_LUN 0x20u
#define KVMB_SRB_AUTOSENSE_VALID 0x80u

#define KVMB_SRB_DATA_OUT 0u /* to the device */
#define KVMB_SRB_DATA_IN 1u  /* from the device */
#define KVMB_SRB_DATA_NONE 2u

#define KVMB_STOR_SENSE_SIZE 20u
#define KVMB_STOR_CDB_SIZE 16u

struct kvmb_wire_srb {
	__le16 length;
	u8 srb_status;
	u8 scsi_status;
	u8 port;
	u8 path;
	u8 target;
	u8 lun;
	u8 cdb_length;	 /* <= 16 */
	u8 sense_length; /* in: room; out: bytes */
	u8 data_in;	 /* KVMB_SRB_DATA_* */
	u8 reserved;
	__le32 transfer_length; /* in: wanted; out: done */
	union {
		u8 cdb[KVMB_STOR_CDB_SIZE];
		u8 sense[KVMB_STOR_SENSE_SIZE]; /* overwrites the CDB */
	} u;
	/* from here on since 5.1 (Windows 8) */
	__le16 reserved2;
	u8 queue_tag;
	u8 queue_action;
	__le32 flags;
	__le32 timeout_s;
	__le32 sort_key;
};
static_assert(sizeof(struct kvmb_wire_srb) == 52, "vmscsi_request");

struct kvmb_wire_stor_properties {
	__le32 reserved1;
	__le16 max_sub_channels;
	__le16 reserved2;
	__le32 flags; /* 1: multi-channel */
	__le32 max_transfer; /* bytes */
	__le64 reserved3;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_stor_properties) == 24, "vmstorage_channel_properties");
#define KVMB_STOR_MULTI_CHANNEL 1u

struct kvmb_wire_stor {
	__le32 operation; /* enum kvmb_stor_op */
	__le32 flags;	  /* 1: completion requested */
	__le32 status;	  /* NTSTATUS, from the host */
	union {
		struct kvmb_wire_srb srb;
		struct kvmb_wire_stor_properties properties;
		struct {
			__le16 major_minor;
			__le16 revision;
		} version;
		__le16 sub_channels;
		u8 raw[52];
	} u;
};
static_assert(sizeof(struct kvmb_wire_stor) == 64, "vstor_packet since 5.1");
#define KVMB_STOR_SIZE_OLD 48u /* vstor_packet of 2.0 and 4.2: SRB of 36 bytes */

#endif
