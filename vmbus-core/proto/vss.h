/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VSS, the backup service: the host has the guest freeze its file systems and thaw them.
 *
 * Sources: Linux 6.12 include/uapi/linux/hyperv.h (operations, struct hv_vss_msg),
 * drivers/hv/hv_snapshot.c, tools/hv/hv_vss_daemon.c; Microsoft's VmIc headers for the instance.
 * Facts: docs/protocol.md, 7.35 on.
 */
#ifndef KVMB_PROTO_VSS_H
#define KVMB_PROTO_VSS_H

#include "vmbus-core/guid.h"

#define KVMB_VSS_TYPE_GUID \
	KVMB_GUID(0x35fa2e29, 0xea23, 0x4236, 0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40)
#define KVMB_VSS_INSTANCE_GUID \
	KVMB_GUID(0x2450ee40, 0x33bf, 0x4fbd, 0x89, 0x2e, 0x9f, 0xb0, 0x6e, 0x92, 0x14, 0xcf)

enum kvmb_vss_op {
	KVMB_VSS_CREATE = 0,
	KVMB_VSS_DELETE = 1,
	KVMB_VSS_HOT_BACKUP = 2, /* can you? */
	KVMB_VSS_GET_DM_INFO = 3,
	KVMB_VSS_BU_COMPLETE = 4,
	KVMB_VSS_FREEZE = 5, /* since 5.0, as the rest */
	KVMB_VSS_THAW = 6,
	KVMB_VSS_AUTO_RECOVER = 7,
	/* between a driver and its daemon in a Linux guest */
	KVMB_VSS_REGISTER = 128,
	KVMB_VSS_REGISTER1 = 129, /* the driver answers with the same number, 4 bytes */
};

#define KVMB_VSS_NO_AUTO_RECOVERY 5u /* of HOT_BACKUP's answer: what Linux says */

struct kvmb_wire_vss {
	u8 operation; /* KVMB_VSS_*; from a daemon the first 4 bytes are KVMB_IC_STATUS_* */
	u8 reserved[7];
	__le32 flags; /* of HOT_BACKUP's and GET_DM_INFO's answers */
};
static_assert(sizeof(struct kvmb_wire_vss) == 12, "hv_vss_msg");

#endif
