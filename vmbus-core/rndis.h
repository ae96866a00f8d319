/* SPDX-License-Identifier: GPL-2.0-only */
/* RNDIS data messages: parsing private copies, and building. Host and guest half use it. */
#ifndef KVMB_RNDIS_H
#define KVMB_RNDIS_H

#include "vmbus-core/proto/rndis.h"

#define KVMB_RNDIS_HDR_COPY 256u /* header (44) and every PPI that a peer may send us */
#define KVMB_RNDIS_HEAD_MAX 112u /* no kvmb_rndis_header() is longer */

struct kvmb_tx_marks { /* to the host: work to do; to the guest: csum, what was verified */
	u32 csum; /* KVMB_PPI_CHECKSUM, 0 = none */
	u32 lso;  /* KVMB_PPI_LSO, 0 = none */
};

struct kvmb_rndis_frame { /* one checked data message */
	u32 msg_len;	 /* of the whole message, to step to the next */
	u32 data_offset; /* from the message's start */
	u32 data_len;
	u32 seen;	 /* bit KVMB_PPI_*: this info was present; bit 31: RSC */
	bool has_vlan;
	u16 vlan_tci;	 /* 802.1Q tag control information */
	u32 hash;
	u8 rsc;		 /* KVMB_RSC_*, 0 = a frame by itself */
	struct kvmb_tx_marks marks;
};

/**
 * kvmb_rndis_packet() - Check one data message
 * @hdr:     private copy of the message's first @hdr_len bytes
 * @hdr_len: bytes copied: as much of header and per-packet info as there is
 * @avail:   bytes from the message's start to the end of what the peer sent
 * @f:       result
 *
 * Return: 0; -EPROTO when a length or offset does not fit, or a PPI does not step forward.
 * Context: any. Trust: @hdr is peer-controlled.
 */
int kvmb_rndis_packet(const u8 *hdr, u32 hdr_len, u32 avail, struct kvmb_rndis_frame *f);

struct kvmb_rndis_out { /* one data message, or one part of a coalesced frame */
	u32 data_offset; /* from the message's start; 0 = right behind the header */
	u32 data_len;
	bool has_vlan;
	u16 vlan_tci;
	u32 csum;	 /* KVMB_RX_CSUM_* or KVMB_TX_CSUM_*, 0 = none */
	u32 lso;	 /* KVMB_LSO_*, 0 = none */
	bool has_hash;
	u32 hash;
	u8 rsc;		 /* KVMB_RSC_*, 0 = a frame by itself */
};

/**
 * kvmb_rndis_header() - Write the RNDIS header and the per-packet info
 * @o:   what to describe
 * @buf: room for KVMB_RNDIS_HEAD_MAX bytes
 *
 * Return: bytes written, <= KVMB_RNDIS_HEAD_MAX. Context: any.
 */
u32 kvmb_rndis_header(const struct kvmb_rndis_out *o, u8 *buf);

/** kvmb_rndis_header_len() - The number of bytes that kvmb_rndis_header() will write for @o. */
u32 kvmb_rndis_header_len(const struct kvmb_rndis_out *o);

#endif
