/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic NIC, inner layer: Remote NDIS messages.
 *
 * Offsets inside a message count from the start of its body, 8 bytes after the header.
 *
 * Sources: Linux 6.12 include/linux/rndis.h, drivers/net/hyperv/{hyperv_net.h,
 * rndis_filter.c}; OpenVMM netvsp/src/rndisprot.rs.
 */
#ifndef KVMB_PROTO_RNDIS_H
#define KVMB_PROTO_RNDIS_H

#include "vmbus-core/env.h"

#define KVMB_RNDIS_PACKET 1u
#define KVMB_RNDIS_INIT 2u
#define KVMB_RNDIS_HALT 3u
#define KVMB_RNDIS_QUERY 4u
#define KVMB_RNDIS_SET 5u
#define KVMB_RNDIS_RESET 6u
#define KVMB_RNDIS_INDICATE 7u
#define KVMB_RNDIS_KEEPALIVE 8u
#define KVMB_RNDIS_COMPLETE 0x80000000u /* or'ed into the request's type */

#define KVMB_RNDIS_STATUS_OK 0u
#define KVMB_RNDIS_STATUS_FAILURE 0xc0000001u
#define KVMB_RNDIS_STATUS_NOT_SUPPORTED 0xc00000bbu
#define KVMB_RNDIS_STATUS_INVALID_LENGTH 0xc0010014u
#define KVMB_RNDIS_STATUS_INVALID_OID 0xc0010017u
#define KVMB_RNDIS_STATUS_INVALID_DATA 0xc0010015u
#define KVMB_RNDIS_STATUS_RESOURCES 0xc000009au
#define KVMB_RNDIS_INDICATE_CONNECT 0x4001000bu
#define KVMB_RNDIS_INDICATE_DISCONNECT 0x4001000cu
#define KVMB_RNDIS_INDICATE_SPEED_CHANGE 0x40010013u
#define KVMB_RNDIS_INDICATE_NETWORK_CHANGE \
	0x40010018u /* another network behind the same link: Hyper-V after a migration */

#define KVMB_FILTER_DIRECTED 0x01u /* GEN_CURRENT_PACKET_FILTER */
#define KVMB_FILTER_MULTICAST 0x02u
#define KVMB_FILTER_ALL_MULTICAST 0x04u
#define KVMB_FILTER_BROADCAST 0x08u
#define KVMB_FILTER_PROMISCUOUS 0x20u

struct kvmb_wire_rndis {
	__le32 type;
	__le32 len; /* of the whole message */
};
static_assert(sizeof(struct kvmb_wire_rndis) == 8, "rndis_message header");

struct kvmb_wire_rndis_packet { /* body of KVMB_RNDIS_PACKET */
	__le32 data_offset;
	__le32 data_len;
	__le32 oob_offset;
	__le32 oob_len;
	__le32 oob_count;
	__le32 ppi_offset;
	__le32 ppi_len;
	__le32 vc_handle;
	__le32 reserved;
};
static_assert(sizeof(struct kvmb_wire_rndis_packet) == 36, "rndis_packet");

struct kvmb_wire_rndis_request { /* INIT: id, major, minor, max; QUERY and SET: below */
	__le32 id;
	__le32 oid;
	__le32 buf_len;
	__le32 buf_offset;
	__le32 vc_handle;
};
static_assert(sizeof(struct kvmb_wire_rndis_request) == 20, "rndis_query_request");

struct kvmb_wire_rndis_init_complete {
	__le32 id;
	__le32 status;
	__le32 major;
	__le32 minor;
	__le32 dev_flags; /* 1: connectionless */
	__le32 medium;	  /* 0: 802.3 */
	__le32 max_packets; /* per message */
	__le32 max_transfer;
	__le32 alignment; /* log2 */
	__le32 af_offset;
	__le32 af_size;
};
static_assert(sizeof(struct kvmb_wire_rndis_init_complete) == 44, "rndis_initialize_complete");

struct kvmb_wire_rndis_query_complete {
	__le32 id;
	__le32 status;
	__le32 buf_len;
	__le32 buf_offset; /* >= 16 */
};
static_assert(sizeof(struct kvmb_wire_rndis_query_complete) == 16, "rndis_query_complete");

struct kvmb_wire_rndis_set_complete {
	__le32 id;
	__le32 status;
};
static_assert(sizeof(struct kvmb_wire_rndis_set_complete) == 8, "rndis_set_complete");

struct kvmb_wire_rndis_indicate {
	__le32 status;
	__le32 buf_len;
	__le32 buf_offset;
};
static_assert(sizeof(struct kvmb_wire_rndis_indicate) == 12, "rndis_indicate_status");

struct kvmb_wire_ppi { /* per-packet info */
	__le32 size;   /* of header and data, multiple of 4 */
	__le32 type;   /* bit 31: internal */
	__le32 offset; /* of the data, from here */
};
static_assert(sizeof(struct kvmb_wire_ppi) == 12, "rndis_per_packet_info");
#define KVMB_PPI_CHECKSUM 0u
#define KVMB_PPI_LSO 2u
#define KVMB_PPI_VLAN 6u
#define KVMB_PPI_HASH 9u
#define KVMB_PPI_INTERNAL 0x80000000u
#define KVMB_PPI_RSC (1u | KVMB_PPI_INTERNAL) /* packet id */

/* KVMB_PPI_CHECKSUM to the host: what to compute */
#define KVMB_TX_CSUM_IPV4 (1u << 0)
#define KVMB_TX_CSUM_IPV6 (1u << 1)
#define KVMB_TX_CSUM_TCP (1u << 2)
#define KVMB_TX_CSUM_UDP (1u << 3)
#define KVMB_TX_CSUM_IP_HEADER (1u << 4)
#define KVMB_TX_CSUM_TCP_OFFSET(v) ((v) >> 16 & 0x3ff)
/* KVMB_PPI_CHECKSUM to the guest: what was verified */
#define KVMB_RX_CSUM_TCP_OK (1u << 3)
#define KVMB_RX_CSUM_UDP_OK (1u << 4)
#define KVMB_RX_CSUM_IP_OK (1u << 5)
#define KVMB_RX_CSUM_IP_INVALID (1u << 8) /* as below, of the IPv4 header */
#define KVMB_RX_CSUM_TCP_INVALID (1u << 7) /* good, but the field holds another value: coalesced */
/* KVMB_PPI_LSO */
#define KVMB_LSO_MSS(v) ((v) & 0xfffff)
#define KVMB_LSO_TCP_OFFSET(v) ((v) >> 20 & 0x3ff)
#define KVMB_LSO_V2 (1u << 30)
#define KVMB_LSO_IPV6 (1u << 31)

struct kvmb_wire_ppi_u32 { /* checksum, LSO, VLAN, hash */
	struct kvmb_wire_ppi h;
	__le32 value;
};
static_assert(sizeof(struct kvmb_wire_ppi_u32) == 16, "a PPI with 4 bytes");

struct kvmb_wire_ppi_rsc { /* this message is a part of a coalesced frame */
	struct kvmb_wire_ppi h;
	u8 version; /* 1 */
	u8 flags;   /* KVMB_RSC_* */
	__le16 id;
};
static_assert(sizeof(struct kvmb_wire_ppi_rsc) == 16, "rndis_pktinfo_id");
#define KVMB_RSC_PART 1u
#define KVMB_RSC_FIRST 2u
#define KVMB_RSC_LAST 4u

/* OIDs */
#define KVMB_OID_GEN_SUPPORTED_LIST 0x00010101u
#define KVMB_OID_GEN_HARDWARE_STATUS 0x00010102u
#define KVMB_OID_GEN_MEDIA_SUPPORTED 0x00010103u
#define KVMB_OID_GEN_MEDIA_IN_USE 0x00010104u
#define KVMB_OID_GEN_MAXIMUM_FRAME_SIZE 0x00010106u
#define KVMB_OID_GEN_LINK_SPEED 0x00010107u
#define KVMB_OID_GEN_TRANSMIT_BLOCK_SIZE 0x0001010au
#define KVMB_OID_GEN_RECEIVE_BLOCK_SIZE 0x0001010bu
#define KVMB_OID_GEN_VENDOR_ID 0x0001010cu
#define KVMB_OID_GEN_VENDOR_DESCRIPTION 0x0001010du
#define KVMB_OID_GEN_CURRENT_PACKET_FILTER 0x0001010eu
#define KVMB_OID_GEN_CURRENT_LOOKAHEAD 0x0001010fu
#define KVMB_OID_GEN_MAXIMUM_TOTAL_SIZE 0x00010111u
#define KVMB_OID_GEN_PROTOCOL_OPTIONS 0x00010112u
#define KVMB_OID_GEN_MAC_OPTIONS 0x00010113u
#define KVMB_OID_GEN_MEDIA_CONNECT_STATUS 0x00010114u
#define KVMB_OID_GEN_MAXIMUM_SEND_PACKETS 0x00010115u
#define KVMB_OID_GEN_VENDOR_DRIVER_VERSION 0x00010116u
#define KVMB_OID_GEN_RECEIVE_SCALE_CAPS 0x00010203u
#define KVMB_OID_GEN_RECEIVE_SCALE_PARAMS 0x00010204u
#define KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER 0x0001021bu
#define KVMB_OID_GEN_FRIENDLY_NAME 0x00020216u
#define KVMB_OID_GEN_XMIT_OK 0x00020101u
#define KVMB_OID_GEN_RCV_OK 0x00020102u
#define KVMB_OID_GEN_XMIT_ERROR 0x00020103u
#define KVMB_OID_GEN_RCV_ERROR 0x00020104u
#define KVMB_OID_GEN_RCV_NO_BUFFER 0x00020105u
#define KVMB_OID_802_3_PERMANENT_ADDRESS 0x01010101u
#define KVMB_OID_802_3_CURRENT_ADDRESS 0x01010102u
#define KVMB_OID_802_3_MULTICAST_LIST 0x01010103u
#define KVMB_OID_802_3_MAXIMUM_LIST_SIZE 0x01010104u
#define KVMB_OID_802_3_RCV_ERROR_ALIGNMENT 0x01020101u
#define KVMB_OID_802_3_XMIT_ONE_COLLISION 0x01020102u
#define KVMB_OID_802_3_XMIT_MORE_COLLISIONS 0x01020103u
#define KVMB_OID_TCP_OFFLOAD_PARAMETERS 0xfc01020cu
#define KVMB_OID_TCP_OFFLOAD_HW_CAPS 0xfc01020du

/* NDIS objects */
struct kvmb_wire_ndis_object {
	u8 type;
	u8 revision;
	__le16 size;
};
static_assert(sizeof(struct kvmb_wire_ndis_object) == 4, "ndis_obj_header");
#define KVMB_NDIS_OFFLOAD 0xa7u
#define KVMB_NDIS_OFFLOAD_REV 3u
#define KVMB_NDIS_OFFLOAD_SIZE_V6 156u
#define KVMB_NDIS_OFFLOAD_SIZE_V5 144u
#define KVMB_NDIS_OFFLOAD_SIZE_V1 112u

#define KVMB_NDIS_ENCAP_802_3 2u
#define KVMB_NDIS_CSUM_IP_OPTIONS 0x001u /* with IP options; for IPv6: extension headers */
#define KVMB_NDIS_CSUM_TCP_OPTIONS 0x004u
#define KVMB_NDIS_CSUM_TCP 0x010u
#define KVMB_NDIS_CSUM_UDP 0x040u
#define KVMB_NDIS_CSUM_IP_HEADER 0x100u

struct kvmb_wire_ndis_csum {
	__le32 ip4_tx_encap, ip4_tx, ip4_rx_encap, ip4_rx;
	__le32 ip6_tx_encap, ip6_tx, ip6_rx_encap, ip6_rx;
};
struct kvmb_wire_ndis_lsov2 {
	__le32 ip4_encap, ip4_max, ip4_min_segments;
	__le32 ip6_encap, ip6_max, ip6_min_segments;
	__le32 ip6_options; /* 1: extension headers, 4: TCP options */
};
struct kvmb_wire_ndis_offload { /* NDIS_OFFLOAD */
	struct kvmb_wire_ndis_object h;
	struct kvmb_wire_ndis_csum csum;
	u8 lsov1[16], ipsecv1[28];
	struct kvmb_wire_ndis_lsov2 lsov2;
	__le32 flags;
	u8 ipsecv2[32];
	u8 rsc_ip4, rsc_ip6, reserved[2]; /* from 6.30 on */
	u8 encap_gre[8];
};
static_assert(offsetof(struct kvmb_wire_ndis_offload, lsov2) == 80, "Linux ndis_offload");
static_assert(offsetof(struct kvmb_wire_ndis_offload, rsc_ip4) == KVMB_NDIS_OFFLOAD_SIZE_V5,
	      "likewise");
static_assert(sizeof(struct kvmb_wire_ndis_offload) == KVMB_NDIS_OFFLOAD_SIZE_V6, "likewise");

/* TCP_OFFLOAD_PARAMETERS: bytes; 0 = leave it, else 1 off, 2 on for these */
#define KVMB_NDIS_PARAM_RSC_IP4 22u
#define KVMB_NDIS_PARAM_RSC_IP6 23u
#define KVMB_NDIS_PARAM_OFF 1u
#define KVMB_NDIS_PARAM_ON 2u

#define KVMB_NDIS_RSS_CAPS 0x88u
#define KVMB_NDIS_RSS_PARAMS 0x89u
#define KVMB_NDIS_RSS_REV 2u
#define KVMB_NDIS_RSS_DISABLE 0x10u
#define KVMB_NDIS_RSS_HASH_TOEPLITZ 1u
#define KVMB_NDIS_RSS_HASH_TYPES 0x1700u /* IPv4, TCP/IPv4, IPv6, TCP/IPv6 */
#define KVMB_NDIS_RSS_KEY_MAX 40u
#define KVMB_NDIS_RSS_TABLE_MAX 128u

struct kvmb_wire_ndis_rss_caps { /* NDIS_RECEIVE_SCALE_CAPABILITIES */
	struct kvmb_wire_ndis_object h;
	__le32 flags;
	__le32 num_vectors;
	__le32 num_queues;
	__le16 table_entries;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_ndis_rss_caps) == 18, "Linux ndis_recv_scale_cap");

struct kvmb_wire_ndis_rss_params { /* NDIS_RECEIVE_SCALE_PARAMETERS; offsets from its start */
	struct kvmb_wire_ndis_object h;
	__le16 flags;
	__le16 base_cpu;
	__le32 hash_info;
	__le16 table_size; /* bytes */
	__le16 pad;
	__le32 table_offset;
	__le16 key_size;
	__le16 pad2;
	__le32 key_offset;
	__le32 masks_offset, num_masks, mask_size;
};
static_assert(sizeof(struct kvmb_wire_ndis_rss_params) == 40, "Linux ndis_recv_scale_param");

/* GEN_RNDIS_CONFIG_PARAMETER: a named value in UTF-16; offsets from its start */
struct kvmb_wire_rndis_config {
	__le32 name_offset, name_len;
	__le32 type; /* 2: string */
	__le32 value_offset, value_len;
};
static_assert(sizeof(struct kvmb_wire_rndis_config) == 20, "Linux rndis_config_parameter_info");

#endif
