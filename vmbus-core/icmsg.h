/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Integration services: the framing and version negotiation that all of them share.
 *
 * A message is a pipe header (8 bytes), an IC header (20 bytes) and the service's payload.
 * The host starts with a negotiation; the guest answers every message by rewriting its
 * buffer.
 *
 * Sources: Linux 6.12 include/linux/hyperv.h struct icmsg_hdr, drivers/hv/channel_mgmt.c
 * vmbus_prep_negotiate_resp(); OpenVMM hyperv_ic_protocol.
 */
#ifndef KVMB_ICMSG_H
#define KVMB_ICMSG_H

#include "vmbus-core/env.h"

#define KVMB_IC_NEGOTIATE 0
#define KVMB_IC_HEARTBEAT 1
#define KVMB_IC_KVP 2
#define KVMB_IC_SHUTDOWN 3
#define KVMB_IC_TIMESYNC 4
#define KVMB_IC_VSS 5
#define KVMB_IC_FCOPY 7

#define KVMB_IC_F_TRANSACTION 1u
#define KVMB_IC_F_REQUEST 2u
#define KVMB_IC_F_RESPONSE 4u

#define KVMB_IC_STATUS_OK 0u
#define KVMB_IC_STATUS_FAIL 0x80004005u

#define KVMB_IC_VERSION(major, minor) (((u32)(major) << 16) | (u32)(minor))
#define KVMB_IC_FW_1 KVMB_IC_VERSION(1, 0)
#define KVMB_IC_FW_3 KVMB_IC_VERSION(3, 0)
#define KVMB_IC_MAX_VERSIONS 8u /* of ours; the wire allows 100 */

struct kvmb_wire_ic_version {
	__le16 major;
	__le16 minor;
};

struct kvmb_wire_icmsg {
	__le32 pipe_type;	/* 1: data */
	__le32 pipe_size;	/* bytes after these first 8 */
	struct kvmb_wire_ic_version framework;
	__le16 type;		/* KVMB_IC_* */
	struct kvmb_wire_ic_version message;
	__le16 size;		/* bytes after this 28-byte struct */
	__le32 status;
	u8 transaction;
	u8 flags;		/* KVMB_IC_F_* */
	__le16 reserved;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_icmsg) == 28, "vmbuspipe_hdr + icmsg_hdr");

struct kvmb_wire_ic_negotiate {
	__le16 framework_count;
	__le16 message_count;
	__le32 reserved;
	struct kvmb_wire_ic_version versions[]; /* frameworks first, then messages */
};
static_assert(sizeof(struct kvmb_wire_ic_negotiate) == 8, "icmsg_negotiate");

struct kvmb_icmsg { /* a checked private copy */
	u32 type;
	u32 framework; /* KVMB_IC_VERSION */
	u32 message;
	u32 status;
	u8 transaction;
	u8 flags;
	const u8 *payload; /* payload[size] */
	u32 size;
};

/**
 * kvmb_icmsg_build() - Write header and payload of a request
 * @buf:     room for sizeof(struct kvmb_wire_icmsg) + @msg->size bytes
 * @msg:     fields to write; payload may be NULL for zeroes
 *
 * Return: bytes written. Context: any.
 */
u32 kvmb_icmsg_build(void *buf, const struct kvmb_icmsg *msg);

/**
 * kvmb_icmsg_parse() - Check a message of the peer
 * @buf: private copy of the packet's payload
 * @len: bytes
 * @msg: filled on success, points into @buf
 *
 * Return: 0; -EPROTO when sizes do not fit. Trust: @buf is peer-controlled.
 */
int kvmb_icmsg_parse(const void *buf, u32 len, struct kvmb_icmsg *msg);

/**
 * kvmb_icmsg_build_negotiate() - The host's first message
 * @buf:      room for sizeof(struct kvmb_wire_icmsg) + 8 + 4 * (@num_fw + @num_msg)
 * @fw:       fw[num_fw], framework versions, best last
 * @num_fw:   <= KVMB_IC_MAX_VERSIONS
 * @msg:      msg[num_msg], message versions of the service
 * @num_msg:  <= KVMB_IC_MAX_VERSIONS
 *
 * Return: bytes written.
 */
u32 kvmb_icmsg_build_negotiate(void *buf, const u32 *fw, u32 num_fw, const u32 *msg, u32 num_msg);

/**
 * kvmb_icmsg_parse_negotiated() - Read the versions that the guest has chosen
 * @msg:       parsed answer of type KVMB_IC_NEGOTIATE
 * @framework: chosen framework version
 * @message:   chosen message version
 *
 * Return: 0; -EOPNOTSUPP when the guest found no common version (counts 0);
 * -EPROTO when it did not choose exactly one of each.
 */
int kvmb_icmsg_parse_negotiated(const struct kvmb_icmsg *msg, u32 *framework, u32 *message);

/**
 * kvmb_icmsg_choose() - The guest's part of a negotiation: the best versions that both know
 * @msg:       parsed message of type KVMB_IC_NEGOTIATE
 * @fw:        fw[num_fw], framework versions of ours, best first
 * @num_fw:    > 0
 * @ver:       ver[num_ver], message versions of ours, best first
 * @num_ver:   > 0
 * @framework: chosen framework version
 * @message:   chosen message version
 *
 * Return: 0; -EOPNOTSUPP when there is no common pair; -EPROTO when the counts are above 100
 * or more than the message holds. Trust: @msg is host-controlled. Source: Linux 6.1
 * drivers/hv/channel_mgmt.c vmbus_prep_negotiate_resp().
 */
int kvmb_icmsg_choose(const struct kvmb_icmsg *msg, const u32 *fw, u32 num_fw, const u32 *ver,
		      u32 num_ver, u32 *framework, u32 *message);

/**
 * kvmb_icmsg_reply() - Turn a request into its answer, in place
 * @buf:    private copy of the request, parsed before; its payload may have been rewritten
 * @status: KVMB_IC_STATUS_*
 *
 * The length does not change: hosts expect as many bytes as they sent.
 */
void kvmb_icmsg_reply(void *buf, u32 status);

/**
 * kvmb_icmsg_reply_negotiate() - Answer a negotiation in place
 * @buf:       private copy of the request, parsed before, holds at least 16 bytes of payload
 * @framework: chosen, or 0: nothing in common
 * @message:   likewise
 */
void kvmb_icmsg_reply_negotiate(void *buf, u32 framework, u32 message);

#endif
