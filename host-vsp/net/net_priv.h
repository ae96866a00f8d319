/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by net/ alone: the RNDIS control layer under the NVSP protocol. */
#ifndef KVMB_NET_PRIV_H
#define KVMB_NET_PRIV_H

#include "host-vsp/net/net.h"
#include "vmbus-core/proto/net.h"
#include "vmbus-core/proto/rndis.h"

#define KVMB_NET_MTU 1500u
#define KVMB_NET_FRAME_MAX (KVMB_NET_MTU + 14u + 4u) /* Ethernet header, one VLAN tag */
#define KVMB_RNDIS_REPLY_MAX 1024u
#define KVMB_RNDIS_REQUEST_MAX 4096u

struct kvmb_rndis { /* the RNDIS device of one NIC; its channel's worker only */
	u8 mac[6];
	bool initialised;
	u32 packet_filter; /* 0: no frame is delivered */
	u32 nvsp_version;
	struct kvmb_net_stats *stats;
};

/**
 * kvmb_rndis_control() - Answer one control message
 * @r:     device
 * @msg:   msg[len], private copy of the guest's message
 * @len:   bytes
 * @reply: reply[KVMB_RNDIS_REPLY_MAX]
 *
 * Return: bytes of the reply, 0 when the message has none (HALT); -EPROTO when it is
 * malformed beyond answering. Trust: @msg is guest-controlled; no payload is ever an
 * address.
 */
int kvmb_rndis_control(struct kvmb_rndis *r, const u8 *msg, u32 len, u8 *reply);

struct kvmb_rndis_frame { /* one checked data message */
	u32 msg_len;	 /* of the whole message, to step to the next */
	u32 data_offset; /* from the message's start */
	u32 data_len;
	bool has_vlan;
	u16 vlan_tci;	 /* 802.1Q tag control information */
};

/**
 * kvmb_rndis_packet() - Check one data message
 * @hdr:     private copy of the message's first @hdr_len bytes
 * @hdr_len: bytes copied: as much of header and per-packet info as there is
 * @avail:   bytes from the message's start to the end of what the guest sent
 * @f:       result
 *
 * Return: 0; -EPROTO. Trust: @hdr is guest-controlled.
 */
int kvmb_rndis_packet(const u8 *hdr, u32 hdr_len, u32 avail, struct kvmb_rndis_frame *f);

#define KVMB_RNDIS_HDR_COPY 256u /* header (44) and every PPI that a guest may send us */

#endif
