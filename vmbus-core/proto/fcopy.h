/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest file copy: messages behind the header of an integration service.
 *
 * Sources: Linux 6.12 include/uapi/linux/hyperv.h, tools/hv/hv_fcopy_uio_daemon.c; Linux 6.1
 * drivers/hv/hv_fcopy.c, tools/hv/hv_fcopy_daemon.c.
 */
#ifndef KVMB_PROTO_FCOPY_H
#define KVMB_PROTO_FCOPY_H

#include "vmbus-core/guid.h"

#define KVMB_FCOPY_TYPE_GUID \
	KVMB_GUID(0x34d14be3, 0xdee4, 0x41c8, 0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92)
/* the newer daemon of Linux looks for this instance */
#define KVMB_FCOPY_INSTANCE_GUID \
	KVMB_GUID(0xeb765408, 0x105f, 0x49b6, 0xb4, 0xaa, 0xc1, 0x23, 0xb6, 0x4d, 0x17, 0xd4)

enum kvmb_fcopy_operation {
	KVMB_FCOPY_START,
	KVMB_FCOPY_WRITE,
	KVMB_FCOPY_COMPLETE,
	KVMB_FCOPY_CANCEL,
	KVMB_FCOPY_OPERATIONS
};

#define KVMB_FCOPY_OVERWRITE 1u
#define KVMB_FCOPY_MAKE_PATH 2u
#define KVMB_FCOPY_DATA 6144u /* bytes of a WRITE, at most */
#define KVMB_FCOPY_NAME_UNITS 260u

struct kvmb_wire_fcopy { /* all of COMPLETE and CANCEL */
	__le32 operation;
	u8 service[2][16];
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_fcopy) == 36, "hv_fcopy_hdr");

struct kvmb_wire_fcopy_start {
	struct kvmb_wire_fcopy h;
	u8 file[2 * KVMB_FCOPY_NAME_UNITS]; /* UTF-16LE */
	u8 path[2 * KVMB_FCOPY_NAME_UNITS];
	__le32 flags;
	__le64 size;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_fcopy_start) == 1088, "hv_start_fcopy");

struct kvmb_wire_fcopy_write {
	struct kvmb_wire_fcopy h;
	__le32 pad;
	__le64 offset;
	__le32 size;
	u8 data[KVMB_FCOPY_DATA];
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_fcopy_write) == 6196, "hv_do_fcopy");

#endif
