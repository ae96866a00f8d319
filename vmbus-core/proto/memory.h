/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dynamic memory: messages and GUIDs. A message is the payload of an in-band packet.
 *
 * Sources: Linux 6.12 drivers/hv/hv_balloon.c; QEMU include/hw/hyperv/dynmem-proto.h;
 * docs/protocol.md#10.
 */
#ifndef KVMB_PROTO_MEMORY_H
#define KVMB_PROTO_MEMORY_H

#include "vmbus-core/guid.h"

#define KVMB_MEMORY_TYPE_GUID \
	KVMB_GUID(0x525074dc, 0x8985, 0x46e2, 0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02)
#define KVMB_MEMORY_INSTANCE_GUID \
	KVMB_GUID(0x1eccfd72, 0x4b41, 0x45ef, 0xb7, 0x3a, 0x4a, 0x6e, 0x44, 0xc1, 0x29, 0x24)

/* major in the upper half */
#define KVMB_MEMORY_VERSION_WIN7 0x00000003u
#define KVMB_MEMORY_VERSION_WIN8 0x00010000u
#define KVMB_MEMORY_VERSION_WIN10 0x00020000u

#define KVMB_MEMORY_MESSAGE_MAX 4096u /* bytes of a message to the guest: it has no more room */

enum {
	KVMB_MEMORY_VERSION_REQUEST = 1, /* guest */
	KVMB_MEMORY_VERSION_RESPONSE = 2,
	KVMB_MEMORY_CAPS_REPORT = 3, /* guest */
	KVMB_MEMORY_CAPS_RESPONSE = 4,
	KVMB_MEMORY_STATUS = 5, /* guest; once a second */
	KVMB_MEMORY_BALLOON_REQUEST = 6,
	KVMB_MEMORY_BALLOON_RESPONSE = 7, /* guest; one or more */
	KVMB_MEMORY_UNBALLOON_REQUEST = 8,
	KVMB_MEMORY_UNBALLOON_RESPONSE = 9, /* guest */
	KVMB_MEMORY_ADD_REQUEST = 10,
	KVMB_MEMORY_ADD_RESPONSE = 11, /* guest */
	KVMB_MEMORY_INFO = 12,	       /* from 1.0 on */
};

struct kvmb_wire_memory_header {
	__le16 type;
	__le16 size; /* bytes, with this header */
	__le32 id;   /* the guest numbers its messages; an answer has that of the question */
};
static_assert(sizeof(struct kvmb_wire_memory_header) == 8, "dm_header");

struct kvmb_wire_memory_version {
	struct kvmb_wire_memory_header h;
	__le32 version;
	__le32 last; /* bit 0: the guest knows no other one */
};
static_assert(sizeof(struct kvmb_wire_memory_version) == 16, "dm_version_request");

struct kvmb_wire_memory_accepted { /* of version and capabilities */
	struct kvmb_wire_memory_header h;
	__le64 accepted; /* bit 0 */
};
static_assert(sizeof(struct kvmb_wire_memory_accepted) == 16, "dm_version_response");

#define KVMB_MEMORY_CAN_BALLOON 1u
#define KVMB_MEMORY_CAN_ADD 2u
#define KVMB_MEMORY_ALIGN_SHIFT 2u /* 4 bits: logarithm of MiB */
#define KVMB_MEMORY_ALIGN_MASK 15u

struct kvmb_wire_memory_caps {
	struct kvmb_wire_memory_header h;
	__le64 caps; /* KVMB_MEMORY_CAN_* */
	__le64 min_pages;
	__le64 max_page;
};
static_assert(sizeof(struct kvmb_wire_memory_caps) == 32, "dm_capabilities");

struct kvmb_wire_memory_status {
	struct kvmb_wire_memory_header h;
	__le64 available; /* pages, as all here */
	__le64 committed; /* with what it has given away */
	__le64 page_file;
	__le64 zero_free;
	__le32 page_file_writes;
	__le32 io_diff;
};
static_assert(sizeof(struct kvmb_wire_memory_status) == 48, "dm_status");

/* A range: the first frame in 40 bits, above them how many. */
#define KVMB_MEMORY_RANGE(gfn, num) ((u64)(num) << 40 | (gfn))
#define KVMB_MEMORY_RANGE_FIRST(r) ((r) & ((1ull << 40) - 1))
#define KVMB_MEMORY_RANGE_NUM(r) ((r) >> 40)
#define KVMB_MEMORY_RANGE_MAX ((1u << 24) - 1)

struct kvmb_wire_memory_balloon {
	struct kvmb_wire_memory_header h;
	__le32 pages;
	__le32 reserved;
};
static_assert(sizeof(struct kvmb_wire_memory_balloon) == 16, "dm_balloon");

struct kvmb_wire_memory_ballooned { /* ranges follow */
	struct kvmb_wire_memory_header h;
	__le32 reserved;
	__le32 more_num; /* bit 0: more messages follow; bits 1 to 31: ranges */
};
static_assert(sizeof(struct kvmb_wire_memory_ballooned) == 16, "dm_balloon_response");

struct kvmb_wire_memory_unballoon { /* ranges follow */
	struct kvmb_wire_memory_header h;
	__le32 more; /* bit 0: more messages follow, and the guest answers the last one */
	__le32 num;
};
static_assert(sizeof(struct kvmb_wire_memory_unballoon) == 16, "dm_unballoon_request");

struct kvmb_wire_memory_add { /* a second range, a region, may follow; ours does not */
	struct kvmb_wire_memory_header h;
	__le64 range;
};
static_assert(sizeof(struct kvmb_wire_memory_add) == 16, "dm_hot_add");

struct kvmb_wire_memory_added {
	struct kvmb_wire_memory_header h;
	__le32 pages;
	__le32 result; /* 1: it is done, or will never be; 0: it may be tried again */
};
static_assert(sizeof(struct kvmb_wire_memory_added) == 16, "dm_hot_add_response");

#define KVMB_MEMORY_INFO_MAX_PAGES 0u

struct kvmb_wire_memory_info {
	struct kvmb_wire_memory_header h;
	__le32 reserved;
	__le32 info_size; /* of what follows */
	__le32 type;	  /* KVMB_MEMORY_INFO_* */
	__le32 data_size;
	__le64 max_pages;
};
static_assert(sizeof(struct kvmb_wire_memory_info) == 32, "dm_info_msg, dm_info_header");

#endif
