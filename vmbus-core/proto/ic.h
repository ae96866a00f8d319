/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Integration services: payloads of heartbeat, shutdown and time sync, and the GUIDs.
 *
 * Sources: Linux 6.12 drivers/hv/hv_util.c, include/linux/hyperv.h; OpenVMM
 * hyperv_ic_protocol/src/{heartbeat,shutdown,timesync}.rs.
 */
#ifndef KVMB_PROTO_IC_H
#define KVMB_PROTO_IC_H

#include "vmbus-core/guid.h"

#define KVMB_HEARTBEAT_TYPE_GUID                                                             \
	KVMB_GUID(0x57164f39, 0x9115, 0x4e78, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d)
#define KVMB_HEARTBEAT_INSTANCE_GUID                                                         \
	KVMB_GUID(0xfd149e91, 0x82e0, 0x4a7d, 0xaf, 0xa6, 0x2a, 0x41, 0x66, 0xcb, 0xd7, 0xc0)
#define KVMB_SHUTDOWN_TYPE_GUID                                                              \
	KVMB_GUID(0x0e0b6031, 0x5213, 0x4934, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb)
#define KVMB_SHUTDOWN_INSTANCE_GUID                                                          \
	KVMB_GUID(0xb6650ff7, 0x33bc, 0x4840, 0x80, 0x48, 0xe0, 0x67, 0x67, 0x86, 0xf3, 0x93)
#define KVMB_TIMESYNC_TYPE_GUID                                                              \
	KVMB_GUID(0x9527e630, 0xd0ae, 0x497b, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf)
#define KVMB_TIMESYNC_INSTANCE_GUID                                                          \
	KVMB_GUID(0x2dd1ce17, 0x079e, 0x403c, 0xb3, 0x52, 0xa1, 0x92, 0x1e, 0xe2, 0x07, 0xee)

struct kvmb_wire_heartbeat {
	__le64 sequence; /* the guest answers with sequence + 1 */
	__le32 app_state; /* 3.x answers of Windows: 1 healthy, 2 critical; Linux leaves it */
	__le32 reserved[7];
};
static_assert(sizeof(struct kvmb_wire_heartbeat) == 40, "heartbeat_msg_data");

#define KVMB_SHUTDOWN_FORCE 1u
#define KVMB_SHUTDOWN_RESTART 2u
#define KVMB_SHUTDOWN_HIBERNATE 4u /* since 3.2: Linux 6.1 drivers/hv/hv_util.c */
#define KVMB_SHUTDOWN_REASON_PLANNED 0x80000000u
struct kvmb_wire_shutdown {
	__le32 reason;
	__le32 timeout_s;
	__le32 flags;	  /* KVMB_SHUTDOWN_* */
	u8 message[2048]; /* UTF-16; the guest wants all of it */
};
static_assert(sizeof(struct kvmb_wire_shutdown) == 2060, "shutdown_msg_data");

#define KVMB_TIMESYNC_PROBE 0u
#define KVMB_TIMESYNC_SYNC 1u
#define KVMB_TIMESYNC_SAMPLE 2u
struct kvmb_wire_timesync_v1 { /* 1.0 and 3.0 */
	__le64 parent_time; /* 100 ns since 1601-01-01 UTC */
	__le64 child_time;
	__le64 round_trip;
	u8 flags;
	u8 reserved[3];
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_timesync_v1) == 28, "ictimesync_data, padded");

struct kvmb_wire_timesync_v4 {
	__le64 parent_time;
	__le64 ref_time; /* reference counter when parent_time was read, 100 ns */
	u8 flags;
	u8 leap;
	u8 stratum;
	u8 reserved[5];
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_timesync_v4) == 24, "ictimesync_ref_data, padded");

#endif
