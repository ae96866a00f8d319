/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets of a ring: a 16-byte descriptor, a type-specific header, the payload, an
 * 8-byte trailer.
 *
 * All parsers here work on private copies made by kvmb_ring_peek(), never on shared
 * memory.
 *
 * Sources: Linux 6.12 include/linux/hyperv.h struct vmpacket_descriptor
 * and followers; OpenVMM vmbus_ring/src/lib.rs.
 */
#ifndef KVMB_PKT_H
#define KVMB_PKT_H

#include "vmbus-core/gparange.h"

#define KVMB_PKT_TRAILER 8u		 /* u64: low half 0, high half start offset */
#define KVMB_PKT_MAX_LEN (0xffffu * 8u)	 /* len8 is 16 bits */

#define KVMB_PKT_INBAND 6u
#define KVMB_PKT_XFER_PAGES 7u
#define KVMB_PKT_GPA_DIRECT 9u
#define KVMB_PKT_COMPLETION 11u
#define KVMB_PKT_FLAG_COMPLETE 1u	 /* the sender wants a completion */

struct kvmb_wire_pkt {
	__le16 type;
	__le16 offset8;	 /* bytes / 8 from here to the payload */
	__le16 len8;	 /* bytes / 8 of descriptor, header and payload */
	__le16 flags;
	__le64 trans_id;
};
static_assert(sizeof(struct kvmb_wire_pkt) == 16, "Linux vmpacket_descriptor");

/* Header of KVMB_PKT_GPA_DIRECT after the descriptor; GPA ranges follow */
struct kvmb_wire_gpa_direct {
	__le32 reserved; /* may hold garbage */
	__le32 range_count;
};
static_assert(sizeof(struct kvmb_wire_gpa_direct) == 8, "Linux vmdata_gpa_direct");

/* Header of KVMB_PKT_XFER_PAGES after the descriptor; range_count ranges follow */
struct kvmb_wire_xfer_pages {
	__le16 set_id;
	u8 sender_owns_set;
	u8 reserved;
	__le32 range_count;
};
static_assert(sizeof(struct kvmb_wire_xfer_pages) == 8, "Linux vmtransfer_page_packet_header");

struct kvmb_wire_xfer_range {
	__le32 byte_count;
	__le32 byte_offset;
};
static_assert(sizeof(struct kvmb_wire_xfer_range) == 8, "Linux vmtransfer_page_range");

struct kvmb_pkt {
	u16 type;
	u16 flags;
	u64 trans_id;
	u32 len;	   /* bytes of the whole packet, without trailer */
	const u8 *hdr;	   /* hdr[hdr_len]: between descriptor and payload */
	u32 hdr_len;
	const u8 *payload; /* payload[payload_len] */
	u32 payload_len;   /* multiple of 8: the wire pads */
};

/**
 * kvmb_pkt_parse() - Split a private copy of a packet
 * @buf: descriptor and all that follows, 8-byte aligned
 * @len: bytes in @buf, equal to the packet's own len8 * 8
 * @pkt: filled on success, points into @buf
 *
 * Return: 0; -EPROTO when lengths or flags are out of range.
 * Context: any. Trust: @buf is peer-controlled but private.
 */
int kvmb_pkt_parse(const void *buf, u32 len, struct kvmb_pkt *pkt);

/**
 * kvmb_pkt_gpa_ranges() - Start iterating the ranges of a GPA-direct packet
 * @pkt:        parsed packet
 * @max_ranges: most ranges the caller accepts
 * @it:         iterator, use with kvmb_gparange_next()
 *
 * Return: 0; -EPROTO when @pkt is of another type, has no range or more than
 * @max_ranges. Context: any. Trust: as kvmb_pkt_parse().
 */
int kvmb_pkt_gpa_ranges(const struct kvmb_pkt *pkt, u32 max_ranges, struct kvmb_gparange_iter *it);

/**
 * kvmb_pkt_xfer_ranges() - The ranges of a transfer-page packet
 * @pkt:        parsed packet
 * @max_ranges: most ranges the caller accepts
 * @set_id:     the page set that the ranges point into
 * @ranges:     ranges[*num], in @pkt's copy
 * @num:        how many
 *
 * Return: 0; -EPROTO when @pkt is of another type, has no range or more than @max_ranges.
 * Context: any. Trust: as kvmb_pkt_parse().
 */
int kvmb_pkt_xfer_ranges(const struct kvmb_pkt *pkt, u32 max_ranges, u16 *set_id,
			 const struct kvmb_wire_xfer_range **ranges, u32 *num);

#endif
