/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic NIC, outer layer: NVSP messages.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/hyperv_net.h; OpenVMM netvsp/src/protocol.rs.
 */
#ifndef KVMB_PROTO_NET_H
#define KVMB_PROTO_NET_H

#include "vmbus-core/guid.h"

#define KVMB_NET_TYPE_GUID                                                                   \
	KVMB_GUID(0xf8615163, 0xdf3e, 0x46c5, 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e)

#define KVMB_NVSP_V1 0x00002u
#define KVMB_NVSP_V2 0x30002u
#define KVMB_NVSP_V4 0x40000u
#define KVMB_NVSP_V5 0x50000u
#define KVMB_NVSP_V6 0x60000u
#define KVMB_NVSP_V61 0x60001u

enum kvmb_nvsp_type {
	KVMB_NVSP_INIT = 1,
	KVMB_NVSP_INIT_COMPLETE = 2,
	KVMB_NVSP_SEND_NDIS_VER = 100,
	KVMB_NVSP_SEND_RECV_BUF = 101,
	KVMB_NVSP_SEND_RECV_BUF_COMPLETE = 102,
	KVMB_NVSP_REVOKE_RECV_BUF = 103,
	KVMB_NVSP_SEND_SEND_BUF = 104,
	KVMB_NVSP_SEND_SEND_BUF_COMPLETE = 105,
	KVMB_NVSP_REVOKE_SEND_BUF = 106,
	KVMB_NVSP_SEND_RNDIS_PKT = 107,
	KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE = 108,
	KVMB_NVSP_SEND_NDIS_CONFIG = 125,
	KVMB_NVSP_SWITCH_DATA_PATH = 129,
	KVMB_NVSP_SUBCHANNEL = 133,
	KVMB_NVSP_SEND_INDIRECTION_TABLE = 134,
};

#define KVMB_NVSP_STAT_SUCCESS 1u
#define KVMB_NVSP_STAT_FAIL 2u
#define KVMB_NVSP_STAT_TOO_NEW 3u
#define KVMB_NVSP_STAT_TOO_OLD 4u
#define KVMB_NVSP_STAT_INVALID_RNDIS 5u
#define KVMB_NVSP_STAT_BUSY 6u
#define KVMB_NVSP_STAT_UNSUPPORTED 7u

#define KVMB_NVSP_CHANNEL_DATA 0u
#define KVMB_NVSP_CHANNEL_CONTROL 1u
#define KVMB_NVSP_NO_SECTION 0xffffffffu
#define KVMB_NVSP_PATH_VF 1u /* frames go by another NIC of the same address; 0: by this one */
#define KVMB_NVSP_RECV_BUF_ID 0xcafeu
#define KVMB_NVSP_SUBCHANNEL_ALLOCATE 1u
#define KVMB_NVSP_TABLE_SIZE 16u	 /* Linux takes no other count */
#define KVMB_NVSP_CAP_VLAN (1ull << 3)	 /* ndis_config capabilities */
#define KVMB_NVSP_CAP_RSC (1ull << 7)

struct kvmb_wire_nvsp {
	__le32 type; /* enum kvmb_nvsp_type */
	union {
		struct {
			__le32 min_version;
			__le32 max_version;
		} init;
		struct {
			__le32 version;	    /* V1 only; others ignore it */
			__le32 max_mdl_chain;
			__le32 status;
		} init_complete;
		struct {
			__le32 gpadl;
			__le16 id;
		} __attribute__((packed)) buf; /* SEND_RECV_BUF, SEND_SEND_BUF */
		struct {
			__le16 id;
		} revoke;
		struct {
			__le32 status;
			__le32 num_sections; /* Linux wants exactly 1 ... */
			__le32 offset;	     /* ... at offset 0 */
			__le32 sub_alloc_size;
			__le32 num_sub_allocs;
			__le32 end_offset;
		} recv_buf_complete;
		struct {
			__le32 status;
			__le32 section_size;
		} send_buf_complete;
		struct {
			__le32 channel_type;
			__le32 section_index;
			__le32 section_size;
		} rndis;
		struct {
			__le32 status;
		} rndis_complete;
		struct {
			__le32 mtu; /* with the Ethernet header */
			__le32 reserved;
			__le64 capabilities;
		} __attribute__((packed)) ndis_config;
		struct {
			__le32 op; /* 1: allocate */
			__le32 num;
		} subchannel;
		struct {
			__le32 status;
			__le32 num;
		} subchannel_complete;
		struct {
			__le32 path; /* KVMB_NVSP_PATH_* */
		} data_path;
		struct {
			__le32 count;
			__le32 offset; /* of the table, from the message's start */
		} table;
		u8 raw[36];
	} u;
};
static_assert(sizeof(struct kvmb_wire_nvsp) == 40, "nvsp_message of 6.x guests");

/* KVMB_NVSP_SEND_INDIRECTION_TABLE: a whole message, then the table: docs/protocol.md#6.10 */
struct kvmb_wire_nvsp_table {
	struct kvmb_wire_nvsp m;
	__le32 channel[KVMB_NVSP_TABLE_SIZE]; /* index of the channel for frames of this hash */
};
static_assert(sizeof(struct kvmb_wire_nvsp_table) == 104, "Linux nvsp_5_send_indirect_table");

#endif
