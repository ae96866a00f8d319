/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control path: the channel messages, as one table and as wire structs.
 *
 * A channel message travels in a SynIC message, so it has at most 240 bytes. Host and guest
 * half share the check here: it refuses a message that is shorter than its minimum, has an
 * unknown number, or is too new for the negotiated version.
 *
 * Sources: Linux 6.12 include/linux/hyperv.h struct vmbus_channel_*; OpenVMM
 * vmbus_core/src/protocol.rs. Sizes: docs/protocol.md#3.2.
 */
#ifndef KVMB_CHANMSG_H
#define KVMB_CHANMSG_H

#include "vmbus-core/guid.h"
#include "vmbus-core/hvdef.h"
#include "vmbus-core/version.h"

enum kvmb_msg {
	KVMB_MSG_INVALID = 0,
	KVMB_MSG_OFFER = 1,
	KVMB_MSG_RESCIND = 2,
	KVMB_MSG_REQUEST_OFFERS = 3,
	KVMB_MSG_ALL_OFFERS_DELIVERED = 4,
	KVMB_MSG_OPEN = 5,
	KVMB_MSG_OPEN_RESULT = 6,
	KVMB_MSG_CLOSE = 7,
	KVMB_MSG_GPADL_HEADER = 8,
	KVMB_MSG_GPADL_BODY = 9,
	KVMB_MSG_GPADL_CREATED = 10,
	KVMB_MSG_GPADL_TEARDOWN = 11,
	KVMB_MSG_GPADL_TORNDOWN = 12,
	KVMB_MSG_RELID_RELEASED = 13,
	KVMB_MSG_INITIATE_CONTACT = 14,
	KVMB_MSG_VERSION_RESPONSE = 15,
	KVMB_MSG_UNLOAD = 16,
	KVMB_MSG_UNLOAD_RESPONSE = 17,
	KVMB_MSG_TL_CONNECT = 21,
	KVMB_MSG_MODIFY = 22,
	KVMB_MSG_TL_CONNECT_RESULT = 23,
	KVMB_MSG_MODIFY_RESPONSE = 24,
	KVMB_MSG_NUM
};

#define KVMB_MSG_F_TO_HOST 1u

struct kvmb_msg_info {
	const char *name; /* for traces and logs; NULL = no such message */
	u32 min_version;  /* first version that has it */
	u16 min_size;	  /* bytes including the 8-byte header */
	u16 flags;	  /* KVMB_MSG_F_* */
};

#define KVMB_MAX_RELID 2047u	     /* 0 is reserved; Linux has 2048 event flags */
#define KVMB_STATUS_OK 0u
#define KVMB_STATUS_FAILED 0x8000ffffu /* E_UNEXPECTED, as OpenVMM answers */
#define KVMB_TARGET_VP_NONE 0xffffffffu /* OPEN: the guest wants no interrupts */

/* Connection ids for HvPostMessage: docs/protocol.md#3.1 */
#define KVMB_CONN_MSG_OLD 1u /* everything below 5.0 */
#define KVMB_CONN_MSG 4u     /* INITIATE_CONTACT and all after it from 5.0 on */
#define KVMB_CONN_EVENT_OLD 2u /* 0.13: one event connection for all channels */

/* Offer flags */
#define KVMB_OFFER_ENUMERATE 0x1u
#define KVMB_OFFER_NAMED_PIPE 0x10u
#define KVMB_OFFER_HV_SOCK 0x2000u /* a socket, of whatever type it says */
#define KVMB_PIPE_MODE_BYTE 0u
#define KVMB_PIPE_MODE_MESSAGE 4u

struct kvmb_wire_msg {
	__le32 type;
	__le32 pad;
};
static_assert(sizeof(struct kvmb_wire_msg) == 8, "vmbus_channel_message_header");

struct kvmb_wire_offer {
	struct kvmb_wire_msg h;
	struct kvmb_guid type;
	struct kvmb_guid instance;
	__le64 reserved[2];
	__le16 flags;
	__le16 mmio_megabytes;
	union {
		u8 user[120];
		struct {
			__le32 mode;
			u8 user[116];
		} __attribute__((packed)) pipe;
	} u;
	__le16 sub_channel_index;
	__le16 reserved2;
	__le32 relid;
	u8 monitor_id;
	/* bit 0; we never allocate: the guest then signals by hypercall */
	u8 monitor_allocated;
	__le16 dedicated_interrupt; /* bit 0; always set from 1.1 on */
	__le32 connection_id;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_offer) == 196, "vmbus_channel_offer_channel");

struct kvmb_wire_relid { /* RESCIND, CLOSE, RELID_RELEASED */
	struct kvmb_wire_msg h;
	__le32 relid;
};
static_assert(sizeof(struct kvmb_wire_relid) == 12, "vmbus_channel_relid_released");

struct kvmb_wire_open {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 open_id;
	__le32 ring_gpadl;
	__le32 target_vp;
	__le32 downstream_page; /* 4 KiB pages from the GPADL's start to the host-to-guest ring */
	u8 user[120];
};
static_assert(sizeof(struct kvmb_wire_open) == 148, "vmbus_channel_open_channel");

struct kvmb_wire_open_result {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 open_id;
	__le32 status;
};
static_assert(sizeof(struct kvmb_wire_open_result) == 20, "vmbus_channel_open_result");

struct kvmb_wire_gpadl_header {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 gpadl;
	__le16 range_buflen; /* truncated mod 65536 for long lists: never trusted */
	__le16 range_count;
	/* kvmb_wire_gparange follows, as much as fits */
};
static_assert(sizeof(struct kvmb_wire_gpadl_header) == 20, "vmbus_channel_gpadl_header");

struct kvmb_wire_gpadl_body {
	struct kvmb_wire_msg h;
	__le32 msg_number; /* Linux leaves it 0 */
	__le32 gpadl;
	__le64 pfns[];
};
static_assert(sizeof(struct kvmb_wire_gpadl_body) == 16, "vmbus_channel_gpadl_body");

struct kvmb_wire_gpadl_created {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 gpadl;
	__le32 status;
};
static_assert(sizeof(struct kvmb_wire_gpadl_created) == 20, "vmbus_channel_gpadl_created");

struct kvmb_wire_gpadl_teardown {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 gpadl;
};
static_assert(sizeof(struct kvmb_wire_gpadl_teardown) == 16, "vmbus_channel_gpadl_teardown");

struct kvmb_wire_gpadl_torndown {
	struct kvmb_wire_msg h;
	__le32 gpadl;
};
static_assert(sizeof(struct kvmb_wire_gpadl_torndown) == 12, "vmbus_channel_gpadl_torndown");

struct kvmb_wire_initiate_contact {
	struct kvmb_wire_msg h;
	__le32 version;
	__le32 target_vp;
	__le64 interrupt_page; /* < 5.0: gpa; >= 5.0: byte 0 SINT, byte 1 VTL */
	__le64 monitor_page1;
	__le64 monitor_page2;
};
static_assert(sizeof(struct kvmb_wire_initiate_contact) == 40, "vmbus_channel_initiate_contact");

struct kvmb_wire_version_response {
	struct kvmb_wire_msg h;
	u8 supported;
	u8 connection_state; /* 0 ok, 1 low resources, 2 failed */
	__le16 pad;
	__le32 conn_id; /* >= 5.0: message connection to use from now on; else the version */
};
static_assert(sizeof(struct kvmb_wire_version_response) == 16, "vmbus_channel_version_response");

struct kvmb_wire_modify {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 target_vp;
};
static_assert(sizeof(struct kvmb_wire_modify) == 16, "vmbus_channel_modifychannel");

struct kvmb_wire_modify_response {
	struct kvmb_wire_msg h;
	__le32 relid;
	__le32 status;
};
static_assert(sizeof(struct kvmb_wire_modify_response) == 16,
	      "vmbus_channel_modifychannel_response");

struct kvmb_wire_tl_connect {
	struct kvmb_wire_msg h;
	struct kvmb_guid endpoint;
	struct kvmb_guid service;
};
static_assert(sizeof(struct kvmb_wire_tl_connect) == 40, "vmbus_channel_tl_connect_request");

struct kvmb_wire_tl_connect_result {
	struct kvmb_wire_msg h;
	struct kvmb_guid endpoint;
	struct kvmb_guid service;
	__le32 status;
};
static_assert(sizeof(struct kvmb_wire_tl_connect_result) == 44, "OpenVMM TlConnectResult");
#define KVMB_STATUS_CONNECTION_REFUSED 0xc0000236u

/**
 * kvmb_msg_info() - Table row of a message number
 * @type: message number, peer-controlled
 *
 * Return: the row, NULL when there is no such message. Context: any.
 */
const struct kvmb_msg_info *kvmb_msg_info(u32 type);

/**
 * kvmb_msg_check_to_host() - May the host parse this message?
 * @buf:     private copy of the message
 * @len:     bytes, as the hypercall said
 * @version: negotiated version, 0 before contact
 * @type:    message number on success
 *
 * Return: 0; -EPROTO when it is shorter than its type needs or longer than 240 bytes;
 * -EOPNOTSUPP when the number is unknown, goes the other way, or is newer than @version.
 * Context: any. Trust: @buf and @len are guest-controlled.
 */
int kvmb_msg_check_to_host(const void *buf, u32 len, u32 version, enum kvmb_msg *type);

#endif
