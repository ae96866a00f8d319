// SPDX-License-Identifier: GPL-2.0-only
/* The table of channel messages: names, least sizes, first versions. */
#include "vmbus-core/chanmsg.h"

#define HOST KVMB_MSG_F_TO_HOST
#define ANY 0
#define ROW(n, v, s, f) [KVMB_MSG_##n] = { #n, v, s, f }

/* clang-format off */
static const struct kvmb_msg_info msg_table[KVMB_MSG_NUM] = {
	ROW(OFFER,                ANY,                    196, 0),
	ROW(RESCIND,              ANY,                    12,  0),
	ROW(REQUEST_OFFERS,       ANY,                    8,   HOST),
	ROW(ALL_OFFERS_DELIVERED, ANY,                    8,   0),
	ROW(OPEN,                 ANY,                    148, HOST),
	ROW(OPEN_RESULT,          ANY,                    20,  0),
	ROW(CLOSE,                ANY,                    12,  HOST),
	ROW(GPADL_HEADER,         ANY,                    28,  HOST),
	ROW(GPADL_BODY,           ANY,                    16,  HOST),
	ROW(GPADL_CREATED,        ANY,                    20,  0),
	ROW(GPADL_TEARDOWN,       ANY,                    16,  HOST),
	ROW(GPADL_TORNDOWN,       ANY,                    12,  0),
	ROW(RELID_RELEASED,       ANY,                    12,  HOST),
	ROW(INITIATE_CONTACT,     ANY,                    40,  HOST),
	ROW(VERSION_RESPONSE,     ANY,                    16,  0),
	ROW(UNLOAD,               ANY,                    8,   HOST),
	ROW(UNLOAD_RESPONSE,      ANY,                    8,   0),
	ROW(TL_CONNECT,           KVMB_VERSION_WIN10,     40,  HOST),
	ROW(MODIFY,               KVMB_VERSION_WIN10_RS3, 16,  HOST),
	ROW(TL_CONNECT_RESULT,    KVMB_VERSION_WIN10_RS3, 44,  0),
	ROW(MODIFY_RESPONSE,      KVMB_VERSION_IRON,      16,  0),
};
/* clang-format on */

const struct kvmb_msg_info *kvmb_msg_info(u32 type)
{
	if (type >= KVMB_MSG_NUM || !msg_table[type].name)
		return NULL;
	return &msg_table[type];
}

int kvmb_msg_check_to_host(const void *buf, u32 len, u32 version, enum kvmb_msg *type)
{
	const struct kvmb_msg_info *info;
	struct kvmb_wire_msg h;
	u32 t;

	if (len < sizeof(h) || len > HV_MESSAGE_PAYLOAD_MAX)
		return -EPROTO;
	memcpy(&h, buf, sizeof(h));
	t = le32_to_cpu(h.type);
	info = kvmb_msg_info(t);
	if (!info || !(info->flags & KVMB_MSG_F_TO_HOST) || info->min_version > version)
		return -EOPNOTSUPP;
	if (len < info->min_size)
		return -EPROTO;
	*type = (enum kvmb_msg)t;
	return 0;
}
