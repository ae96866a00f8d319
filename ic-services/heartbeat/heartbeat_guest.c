// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeat, guest half: return the sequence number plus one. */
#include "ic-services/ic_guest.h"

static const u32 versions[] = { KVMB_IC_VERSION(3, 0), KVMB_IC_VERSION(1, 0) };

static s64 beat(struct kvmb_ic *ic, u8 *p, u32 size)
{
	__le64 seq;

	if (size < sizeof(seq)) /* hosts send 8 to 40 bytes */
		return -EPROTO;
	memcpy(&seq, p, sizeof(seq));
	seq = cpu_to_le64(le64_to_cpu(seq) + 1);
	memcpy(p, &seq, sizeof(seq));
	return KVMB_IC_STATUS_OK;
}

const struct kvmb_ic_service kvmb_heartbeat_service = {
	.name = "heartbeat",
	.type = KVMB_HEARTBEAT_TYPE_GUID,
	.msg_type = KVMB_IC_HEARTBEAT,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.request = beat,
};
