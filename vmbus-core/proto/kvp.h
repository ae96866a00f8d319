/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data exchange (KVP): messages behind the header of an integration service.
 *
 * Each request is answered in its own buffer, so it has the room that the answer needs. Strings are
 * UTF-16LE; sizes count bytes, with the terminator.
 *
 * Sources: Linux 6.12 include/uapi/linux/hyperv.h, drivers/hv/hv_kvp.c, tools/hv/hv_kvp_daemon.c;
 * OpenVMM hyperv_ic_protocol/src/kvp.rs (5.0).
 */
#ifndef KVMB_PROTO_KVP_H
#define KVMB_PROTO_KVP_H

#include "vmbus-core/guid.h"

#define KVMB_KVP_TYPE_GUID \
	KVMB_GUID(0xa9a0f4e7, 0x5a45, 0x4d96, 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6)
#define KVMB_KVP_INSTANCE_GUID \
	KVMB_GUID(0x242ff919, 0x07db, 0x4180, 0x9c, 0x2e, 0xb8, 0x6c, 0xb6, 0x8c, 0x8c, 0x55)

enum kvmb_kvp_operation {
	KVMB_KVP_GET,
	KVMB_KVP_SET,
	KVMB_KVP_DELETE,
	KVMB_KVP_ENUMERATE,
	KVMB_KVP_GET_IP, /* since 4.0 */
	KVMB_KVP_SET_IP, /* since 4.0 */
	KVMB_KVP_OPERATIONS
};

enum kvmb_kvp_pool {
	KVMB_KVP_EXTERNAL,	/* from the host's administrator to the guest */
	KVMB_KVP_GUEST,		/* from programs of the guest to the host */
	KVMB_KVP_AUTO,		/* what the guest's service says of itself */
	KVMB_KVP_AUTO_EXTERNAL, /* what the host says of itself */
	KVMB_KVP_AUTO_INTERNAL, /* never on the wire */
	KVMB_KVP_POOLS
};

enum kvmb_kvp_value_type {
	KVMB_KVP_STRING = 1,
	KVMB_KVP_EXPAND_STRING = 2,
	KVMB_KVP_U32 = 4,
	KVMB_KVP_U64_LINUX = 8, /* Linux' number for the next one */
	KVMB_KVP_U64 = 11,
};

#define KVMB_KVP_KEY_MAX 512u /* bytes on the wire */
#define KVMB_KVP_VALUE_MAX 2048u

struct kvmb_wire_kvp_value {
	__le32 type;	   /* enum kvmb_kvp_value_type */
	__le32 key_size;   /* bytes, with the terminator */
	__le32 value_size; /* likewise */
	u8 key[KVMB_KVP_KEY_MAX];
	u8 value[KVMB_KVP_VALUE_MAX];
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_kvp_value) == 2572, "hv_kvp_exchg_msg_value");

struct kvmb_wire_kvp {
	u8 operation; /* enum kvmb_kvp_operation */
	u8 pool;
	__le16 pad;
	union {
		struct kvmb_wire_kvp_value item; /* GET, SET */
		struct {
			__le32 key_size;
			u8 key[KVMB_KVP_KEY_MAX];
		} __attribute__((packed)) remove; /* DELETE */
		struct {
			__le32 index;
			struct kvmb_wire_kvp_value item;
		} __attribute__((packed)) each; /* ENUMERATE */
	};
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_kvp) == 2580, "hv_kvp_hdr and hv_kvp_msg_enumerate");

#define KVMB_KVP_IPV4 1u
#define KVMB_KVP_IPV6 2u

struct kvmb_wire_kvp_ip { /* of 4.0: there is no padding behind the two bytes of header */
	u8 operation;
	u8 pool;
	u8 adapter[256]; /* see docs/protocol.md#7.25 */
	u8 family;	 /* KVMB_KVP_IPV4 | KVMB_KVP_IPV6 */
	u8 dhcp;
	u8 addresses[2048]; /* lists are separated by ";" */
	u8 subnets[2048];   /* one an address: a mask, or "/64" */
	u8 gateways[1024];
	u8 dns[2048];
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_kvp_ip) == 7428, "hv_kvp_ip_msg");

#define KVMB_KVP_MAX_ADDRESSES 64u
#define KVMB_KVP_MAX_GATEWAYS 5u

struct kvmb_wire_kvp_ip_binary { /* of 5.0; addresses in network order */
	u8 operation;
	u8 pool;
	__le16 pad;
	__le32 num_ipv4, num_ipv6;
	__le32 num_gateways4, num_gateways6;
	__le32 num_dns4, num_dns6;
	u8 adapter[256];
	u8 family;
	u8 dhcp;
	__le16 pad2;
	u8 ipv4[KVMB_KVP_MAX_ADDRESSES][4];
	u8 ipv6[KVMB_KVP_MAX_ADDRESSES][16];
	u8 subnets4[KVMB_KVP_MAX_ADDRESSES][4];
	__le32 subnets6[KVMB_KVP_MAX_ADDRESSES]; /* lengths of prefixes */
	u8 gateways4[KVMB_KVP_MAX_GATEWAYS][4];
	u8 gateways6[KVMB_KVP_MAX_GATEWAYS][16];
	u8 dns4[KVMB_KVP_MAX_ADDRESSES][4];
	u8 dns6[KVMB_KVP_MAX_ADDRESSES][16];
	__le16 origins[2 * KVMB_KVP_MAX_ADDRESSES]; /* of IPv4's, then IPv6's */
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_kvp_ip_binary) <= sizeof(struct kvmb_wire_kvp_ip),
	      "it travels in the same message");

#endif
