// SPDX-License-Identifier: GPL-2.0-only
/* Between a host and the guest's daemons: icdaemon.h. */
#include "vmbus-core/icdaemon.h"

#include "vmbus-core/icmsg.h"
#include "vmbus-core/ictext.h"

#define STATUS_NO_MORE 0x80070103u

/* ---- numbers as text: vmbus-core has no library ---- */

static u32 put_decimal(u64 n, char *out)
{
	char digits[20];
	u32 num = 0, i;

	do {
		digits[num++] = (char)('0' + (u32)(n - n / 10 * 10));
		n /= 10;
	} while (n);
	for (i = 0; i < num; i++)
		out[i] = digits[num - 1 - i];
	out[num] = 0;
	return num;
}

static u32 text_len(const char *s, u32 max)
{
	u32 n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

/* ---- data exchange, to the daemon ---- */

/* in[size] of UTF-16, size as the host says. Return: bytes with the end; 0: it does not fit. */
static u32 take_text(const u8 *in, u32 size, u32 max, char *out, u32 out_size)
{
	int n = size <= max ? kvmb_ictext_get(in, size, out, out_size) : -ENOSPC;

	return n < 0 ? 0 : (u32)n + 1;
}

/* Like the in-tree driver: numbers become strings, because the daemon keeps nothing else. */
static u32 take_value(const struct kvmb_wire_kvp_value *v, char *out)
{
	__le32 n32;
	__le64 n64;

	switch (le32_to_cpu(v->type)) {
	case KVMB_KVP_STRING:
		return take_text(v->value, le32_to_cpu(v->value_size), sizeof(v->value), out,
				 KVMB_KVP_VALUE_MAX);
	case KVMB_KVP_U32:
		memcpy(&n32, v->value, sizeof(n32));
		return put_decimal(le32_to_cpu(n32), out) + 1;
	case KVMB_KVP_U64_LINUX:
	case KVMB_KVP_U64:
		memcpy(&n64, v->value, sizeof(n64));
		return put_decimal(le64_to_cpu(n64), out) + 1;
	}
	return 0;
}

static int request_item(const struct kvmb_wire_kvp *w, struct kvmb_kvpd *out)
{
	struct kvmb_kvpd_value *v = &out->item;

	v->key_size = take_text(w->item.key, le32_to_cpu(w->item.key_size), sizeof(w->item.key),
				v->key, sizeof(v->key));
	if (w->operation == KVMB_KVP_SET) {
		v->type = KVMB_KVP_STRING;
		v->value_size = take_value(&w->item, v->value);
		return v->key_size > 1 && v->value_size ? 0 : -EINVAL;
	}
	v->value_size = sizeof(v->value); /* room: a daemon copies as many bytes */
	return v->key_size > 1 ? 0 : -EINVAL;
}

static int request_ip(const u8 *p, u32 size, struct kvmb_kvpd *out)
{
	const struct kvmb_wire_kvp_ip *w = (const void *)p; /* packed: no alignment */

	if (size < sizeof(*w))
		return -EINVAL;
	out->ip.family = w->family;
	out->ip.dhcp = w->dhcp;
	if (!take_text(w->adapter, sizeof(w->adapter), sizeof(w->adapter), out->ip.adapter,
		       sizeof(out->ip.adapter)))
		return -EINVAL;
	if (w->operation == KVMB_KVP_GET_IP)
		return 0;
	if (!take_text(w->addresses, sizeof(w->addresses), sizeof(w->addresses), out->ip.addresses,
		       sizeof(out->ip.addresses)) ||
	    !take_text(w->subnets, sizeof(w->subnets), sizeof(w->subnets), out->ip.subnets,
		       sizeof(out->ip.subnets)) ||
	    !take_text(w->gateways, sizeof(w->gateways), sizeof(w->gateways), out->ip.gateways,
		       sizeof(out->ip.gateways)) ||
	    !take_text(w->dns, sizeof(w->dns), sizeof(w->dns), out->ip.dns, sizeof(out->ip.dns)))
		return -EINVAL;
	return 0;
}

int kvmb_kvpd_request(const u8 *p, u32 size, struct kvmb_kvpd *out)
{
	const struct kvmb_wire_kvp *w = (const void *)p; /* packed: no alignment */

	memset(out, 0, sizeof(*out));
	if (size < 4)
		return -EPROTO;
	out->operation = w->operation;
	out->pool = w->pool;
	if (w->pool >= KVMB_KVP_POOLS) /* the daemon uses it as an index */
		return -EINVAL;
	if (w->operation == KVMB_KVP_GET_IP || w->operation == KVMB_KVP_SET_IP)
		return request_ip(p, size, out);
	if (size < sizeof(*w))
		return -EINVAL;
	switch (w->operation) {
	case KVMB_KVP_GET:
	case KVMB_KVP_SET:
		return request_item(w, out);
	case KVMB_KVP_DELETE:
		out->remove.key_size = take_text(w->remove.key, le32_to_cpu(w->remove.key_size),
						 sizeof(w->remove.key), out->remove.key,
						 sizeof(out->remove.key));
		return out->remove.key_size > 1 ? 0 : -EINVAL;
	case KVMB_KVP_ENUMERATE:
		out->each.index = le32_to_cpu(w->each.index);
		/* the daemon compares it as an int */
		return out->each.index >> 31 ? -EINVAL : 0;
	}
	return -EINVAL;
}

/* ---- data exchange, from the daemon ---- */

/*
 * A daemon's string for the host, cut where it has no room. Two units of what there is stay free,
 * as with the in-tree driver. Return: bytes with the end; 0: it is not UTF-8.
 */
static u32 give_text(const char *in, u32 max, u8 *out, u32 size)
{
	u32 len = text_len(in, max), most = size - 4;
	int n = kvmb_ictext_put(in, len, out, most);

	if (n == -ENOSPC) {
		for (len = most / 2 - 1; len && ((u8)in[len] & 0xc0) == 0x80; len--)
			; /* as many bytes are at most as many units */
		n = kvmb_ictext_put(in, len, out, most);
	}
	return n < 0 ? 0 : (u32)n;
}

static u32 reply_item(const struct kvmb_kvpd_value *in, bool key, struct kvmb_wire_kvp_value *v)
{
	u32 n = key ? give_text(in->key, sizeof(in->key), v->key, sizeof(v->key)) : 1;
	u32 m = give_text(in->value, sizeof(in->value), v->value, sizeof(v->value));

	if (!n || !m)
		return KVMB_IC_STATUS_FAIL;
	if (key)
		v->key_size = cpu_to_le32(n);
	v->value_size = cpu_to_le32(m);
	v->type = cpu_to_le32(KVMB_KVP_STRING);
	return KVMB_IC_STATUS_OK;
}

static u32 reply_ip(const struct kvmb_kvpd *in, struct kvmb_wire_kvp_ip *w)
{
	w->family = in->ip.family;
	w->dhcp = in->ip.dhcp;
	return give_text(in->ip.addresses, sizeof(in->ip.addresses), w->addresses,
			 sizeof(w->addresses)) &&
			       give_text(in->ip.subnets, sizeof(in->ip.subnets), w->subnets,
					 sizeof(w->subnets)) &&
			       give_text(in->ip.gateways, sizeof(in->ip.gateways), w->gateways,
					 sizeof(w->gateways)) &&
			       give_text(in->ip.dns, sizeof(in->ip.dns), w->dns, sizeof(w->dns)) ?
		       KVMB_IC_STATUS_OK :
		       KVMB_IC_STATUS_FAIL;
}

u32 kvmb_kvpd_reply(const struct kvmb_kvpd *in, bool legacy, u8 *p, u32 size)
{
	struct kvmb_wire_kvp *w = (void *)p;

	(void)size; /* kvmb_kvpd_request() has seen that there is room */
	if (legacy && w->operation == KVMB_KVP_ENUMERATE && !in->each.item.key[0])
		return STATUS_NO_MORE;
	if (!legacy && in->status)
		return in->status;
	switch (w->operation) {
	case KVMB_KVP_GET:
		return reply_item(&in->item, false, &w->item);
	case KVMB_KVP_ENUMERATE:
		return reply_item(&in->each.item, true, &w->each.item);
	case KVMB_KVP_GET_IP:
		return reply_ip(in, (void *)p);
	}
	return KVMB_IC_STATUS_OK;
}

/* ---- file copy ---- */

static int request_start(const struct kvmb_wire_fcopy_start *w, union kvmb_fcopyd *out)
{
	out->start.flags = le32_to_cpu(w->flags);
	out->start.size = le64_to_cpu(w->size);
	if (take_text(w->file, sizeof(w->file), sizeof(w->file), out->start.file,
		      KVMB_FCOPYD_NAME_MAX + 1) < 2 ||
	    take_text(w->path, sizeof(w->path), sizeof(w->path), out->start.path,
		      KVMB_FCOPYD_NAME_MAX + 1) < 2)
		return -EINVAL;
	return sizeof(out->start);
}

static int request_write(const struct kvmb_wire_fcopy_write *w, union kvmb_fcopyd *out)
{
	u32 n = le32_to_cpu(w->size);

	if (n > sizeof(w->data)) /* the daemon writes as many, whatever it has */
		return -EINVAL;
	out->write.offset = le64_to_cpu(w->offset);
	out->write.size = n;
	memcpy(out->write.data, w->data, n);
	return sizeof(out->write);
}

int kvmb_fcopyd_request(const u8 *p, u32 size, union kvmb_fcopyd *out)
{
	const struct kvmb_wire_fcopy *w = (const void *)p; /* packed: no alignment */

	memset(out, 0, sizeof(*out));
	if (size < sizeof(*w))
		return -EPROTO;
	out->operation = le32_to_cpu(w->operation);
	switch (out->operation) {
	case KVMB_FCOPY_START:
		return size < sizeof(struct kvmb_wire_fcopy_start) ?
			       -EINVAL :
			       request_start((const void *)p, out);
	case KVMB_FCOPY_WRITE:
		return size < sizeof(struct kvmb_wire_fcopy_write) ?
			       -EINVAL :
			       request_write((const void *)p, out);
	case KVMB_FCOPY_COMPLETE:
	case KVMB_FCOPY_CANCEL:
		return sizeof(*out); /* the in-tree driver sends all of it, whatever it is */
	}
	return -EINVAL;
}
