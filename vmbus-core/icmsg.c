// SPDX-License-Identifier: GPL-2.0-only
/* Framing and version negotiation of the integration services. */
#include "vmbus-core/icmsg.h"

#define PIPE_HDR 8u
#define PIPE_DATA 1u

static u32 get_version(struct kvmb_wire_ic_version v)
{
	return KVMB_IC_VERSION(le16_to_cpu(v.major), le16_to_cpu(v.minor));
}

static struct kvmb_wire_ic_version put_version(u32 v)
{
	struct kvmb_wire_ic_version w;

	w.major = cpu_to_le16((u16)(v >> 16));
	w.minor = cpu_to_le16((u16)v);
	return w;
}

u32 kvmb_icmsg_build(void *buf, const struct kvmb_icmsg *msg)
{
	struct kvmb_wire_icmsg w;
	u32 len = (u32)sizeof(w) + msg->size;

	memset(&w, 0, sizeof(w));
	w.pipe_type = cpu_to_le32(PIPE_DATA);
	w.pipe_size = cpu_to_le32(len - PIPE_HDR);
	w.framework = put_version(msg->framework);
	w.type = cpu_to_le16((u16)msg->type);
	w.message = put_version(msg->message);
	w.size = cpu_to_le16((u16)msg->size);
	w.status = cpu_to_le32(msg->status);
	w.transaction = msg->transaction;
	w.flags = msg->flags;
	memcpy(buf, &w, sizeof(w));
	if (msg->payload)
		memcpy((u8 *)buf + sizeof(w), msg->payload, msg->size);
	else
		memset((u8 *)buf + sizeof(w), 0, msg->size);
	return len;
}

int kvmb_icmsg_parse(const void *buf, u32 len, struct kvmb_icmsg *msg)
{
	struct kvmb_wire_icmsg w;
	u32 pipe;

	if (len < sizeof(w))
		return -EPROTO;
	memcpy(&w, buf, sizeof(w));
	pipe = le32_to_cpu(w.pipe_size);
	if (le32_to_cpu(w.pipe_type) != PIPE_DATA || pipe > len - PIPE_HDR ||
	    pipe < sizeof(w) - PIPE_HDR)
		return -EPROTO;
	msg->size = le16_to_cpu(w.size);
	if (msg->size > pipe - (sizeof(w) - PIPE_HDR))
		return -EPROTO;
	msg->type = le16_to_cpu(w.type);
	msg->framework = get_version(w.framework);
	msg->message = get_version(w.message);
	msg->status = le32_to_cpu(w.status);
	msg->transaction = w.transaction;
	msg->flags = w.flags;
	msg->payload = (const u8 *)buf + sizeof(w);
	return 0;
}

u32 kvmb_icmsg_build_negotiate(void *buf, const u32 *fw, u32 num_fw, const u32 *msg, u32 num_msg)
{
	struct kvmb_wire_ic_version v[2 * KVMB_IC_MAX_VERSIONS];
	struct kvmb_wire_ic_negotiate n;
	struct kvmb_icmsg m;
	u32 i, len, vlen;

	for (i = 0; i < num_fw; i++)
		v[i] = put_version(fw[i]);
	for (i = 0; i < num_msg; i++)
		v[num_fw + i] = put_version(msg[i]);
	vlen = (num_fw + num_msg) * (u32)sizeof(v[0]);

	memset(&m, 0, sizeof(m));
	m.type = KVMB_IC_NEGOTIATE;
	m.flags = KVMB_IC_F_TRANSACTION | KVMB_IC_F_REQUEST;
	m.size = (u32)sizeof(n) + vlen;
	len = kvmb_icmsg_build(buf, &m);

	n.framework_count = cpu_to_le16((u16)num_fw);
	n.message_count = cpu_to_le16((u16)num_msg);
	n.reserved = 0;
	memcpy((u8 *)buf + sizeof(struct kvmb_wire_icmsg), &n, sizeof(n));
	memcpy((u8 *)buf + sizeof(struct kvmb_wire_icmsg) + sizeof(n), v, vlen);
	return len;
}

int kvmb_icmsg_parse_negotiated(const struct kvmb_icmsg *msg, u32 *framework, u32 *message)
{
	struct kvmb_wire_ic_version v[2];
	struct kvmb_wire_ic_negotiate n;
	u32 fw, ms;

	if (msg->type != KVMB_IC_NEGOTIATE || msg->size < sizeof(n))
		return -EPROTO;
	memcpy(&n, msg->payload, sizeof(n));
	fw = le16_to_cpu(n.framework_count);
	ms = le16_to_cpu(n.message_count);
	if (!fw || !ms)
		return -EOPNOTSUPP;
	if (fw != 1 || ms != 1 || msg->size < sizeof(n) + sizeof(v))
		return -EPROTO;
	memcpy(v, msg->payload + sizeof(n), sizeof(v));
	*framework = get_version(v[0]);
	*message = get_version(v[1]);
	return 0;
}

#define MAX_COUNT 100u /* of versions, on the wire */

static u32 best_of(const u32 *ours, u32 num_ours, const u8 *theirs, u32 num)
{
	struct kvmb_wire_ic_version v;
	u32 i, j;

	for (i = 0; i < num_ours; i++) {
		for (j = 0; j < num; j++) {
			memcpy(&v, theirs + j * sizeof(v), sizeof(v));
			if (get_version(v) == ours[i])
				return ours[i];
		}
	}
	return 0;
}

int kvmb_icmsg_choose(const struct kvmb_icmsg *msg, const u32 *fw, u32 num_fw, const u32 *ver,
		      u32 num_ver, u32 *framework, u32 *message)
{
	struct kvmb_wire_ic_negotiate n;
	u32 nf, nm, f, m;
	const u8 *list;

	/* the answer needs room for two versions */
	if (msg->type != KVMB_IC_NEGOTIATE || msg->size < sizeof(n) + 2 * sizeof(n.versions[0]))
		return -EPROTO;
	memcpy(&n, msg->payload, sizeof(n));
	nf = le16_to_cpu(n.framework_count);
	nm = le16_to_cpu(n.message_count);
	if (nf > MAX_COUNT || nm > MAX_COUNT ||
	    (nf + nm) * sizeof(n.versions[0]) > msg->size - sizeof(n))
		return -EPROTO;
	list = msg->payload + sizeof(n);
	f = best_of(fw, num_fw, list, nf);
	m = best_of(ver, num_ver, list + nf * sizeof(n.versions[0]), nm);
	if (!f || !m)
		return -EOPNOTSUPP;
	*framework = f;
	*message = m;
	return 0;
}

void kvmb_icmsg_reply(void *buf, u32 status)
{
	struct kvmb_wire_icmsg w;

	memcpy(&w, buf, sizeof(w));
	w.status = cpu_to_le32(status);
	w.flags = KVMB_IC_F_TRANSACTION | KVMB_IC_F_RESPONSE;
	memcpy(buf, &w, sizeof(w));
}

void kvmb_icmsg_reply_negotiate(void *buf, u32 framework, u32 message)
{
	struct kvmb_wire_ic_negotiate n;
	struct kvmb_wire_ic_version v[2];
	struct kvmb_wire_icmsg w;

	kvmb_icmsg_reply(buf, KVMB_IC_STATUS_OK);
	memcpy(&w, buf, sizeof(w));
	w.size = cpu_to_le16((u16)(sizeof(n) + sizeof(v)));
	memcpy(buf, &w, sizeof(w));
	memset(&n, 0, sizeof(n));
	n.framework_count = cpu_to_le16(framework ? 1 : 0);
	n.message_count = n.framework_count;
	v[0] = put_version(framework);
	v[1] = put_version(message);
	memcpy((u8 *)buf + sizeof(w), &n, sizeof(n));
	memcpy((u8 *)buf + sizeof(w) + sizeof(n), v, sizeof(v));
}
