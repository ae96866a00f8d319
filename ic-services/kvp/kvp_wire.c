// SPDX-License-Identifier: GPL-2.0-only
/* Messages of data exchange: kvp_wire.h. */
#include "ic-services/kvp/kvp_wire.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "lib/util.h"
#include "vmbus-core/ictext.h"

/* ---- items ---- */

/* kvmb_kvp_check() has seen that it fits. */
static u32 put_string(const char *s, u8 *out, u32 size)
{
	int n = kvmb_ictext_put(s, (u32)strlen(s), out, size);

	kvmb_assert(n > 0);
	return (u32)n;
}

static void begin_message(union kvmb_kvp_message *m, enum kvmb_kvp_operation op,
			  enum kvmb_kvp_pool pool)
{
	memset(m, 0, sizeof(*m));
	m->kvp.operation = op;
	m->kvp.pool = pool;
}

u32 kvmb_kvp_put_set(union kvmb_kvp_message *m, const char *key, const char *value)
{
	struct kvmb_wire_kvp_value *v = &m->kvp.item;

	begin_message(m, KVMB_KVP_SET, KVMB_KVP_EXTERNAL);
	v->type = cpu_to_le32(KVMB_KVP_STRING);
	v->key_size = cpu_to_le32(put_string(key, v->key, sizeof(v->key)));
	v->value_size = cpu_to_le32(put_string(value, v->value, sizeof(v->value)));
	return sizeof(m->kvp);
}

u32 kvmb_kvp_put_delete(union kvmb_kvp_message *m, const char *key)
{
	begin_message(m, KVMB_KVP_DELETE, KVMB_KVP_EXTERNAL);
	m->kvp.remove.key_size =
		cpu_to_le32(put_string(key, m->kvp.remove.key, sizeof(m->kvp.remove.key)));
	return sizeof(m->kvp);
}

u32 kvmb_kvp_put_enumerate(union kvmb_kvp_message *m, enum kvmb_kvp_pool pool, u32 index)
{
	begin_message(m, KVMB_KVP_ENUMERATE, pool);
	m->kvp.each.index = cpu_to_le32(index);
	return sizeof(m->kvp);
}

/* @size: as the guest says, of in[max]. Return: was it a string? */
static bool get_string(const u8 *in, u32 size, u32 max, char *out)
{
	return size <= max && !(size & 1) && kvmb_ictext_get(in, size, out, KVMB_KVP_TEXT_MAX) >= 0;
}

static bool get_value(const struct kvmb_wire_kvp_value *v, char *out)
{
	u32 size = le32_to_cpu(v->value_size);
	__le32 n32;
	__le64 n64;

	switch (le32_to_cpu(v->type)) {
	case KVMB_KVP_STRING:
	case KVMB_KVP_EXPAND_STRING:
		return get_string(v->value, size, sizeof(v->value), out);
	case KVMB_KVP_U32:
		memcpy(&n32, v->value, sizeof(n32));
		snprintf(out, KVMB_KVP_TEXT_MAX, "%" PRIu32, le32_to_cpu(n32));
		return size == sizeof(n32);
	case KVMB_KVP_U64_LINUX:
	case KVMB_KVP_U64:
		memcpy(&n64, v->value, sizeof(n64));
		snprintf(out, KVMB_KVP_TEXT_MAX, "%" PRIu64, (uint64_t)le64_to_cpu(n64));
		return size == sizeof(n64);
	}
	return false;
}

int kvmb_kvp_get_item(const struct kvmb_icmsg *msg, char *key, char *value)
{
	struct kvmb_wire_kvp m;

	if (msg->size < sizeof(m))
		return -EPROTO;
	memcpy(&m, msg->payload, sizeof(m));
	return get_string(m.each.item.key, le32_to_cpu(m.each.item.key_size),
			  sizeof(m.each.item.key), key) &&
			       get_value(&m.each.item, value) ?
		       0 :
		       -ENOENT;
}

/* ---- addresses, as text: 4.0 ---- */

static int put_ip_text(struct kvmb_wire_kvp_ip *m, const struct kvmb_kvp_ip *ip)
{
	const struct {
		const char *s;
		u8 *out;
		u32 size;
	} parts[] = {
		{ ip->adapter, m->adapter, sizeof(m->adapter) },
		{ ip->addresses, m->addresses, sizeof(m->addresses) },
		{ ip->subnets, m->subnets, sizeof(m->subnets) },
		{ ip->gateways, m->gateways, sizeof(m->gateways) },
		{ ip->dns, m->dns, sizeof(m->dns) },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (kvmb_ictext_put(parts[i].s, (u32)strlen(parts[i].s), parts[i].out,
				    parts[i].size) < 0)
			return -EINVAL;
	}
	m->family = (u8)ip->family;
	m->dhcp = ip->dhcp;
	return sizeof(*m);
}

static int get_ip_text(const struct kvmb_wire_kvp_ip *m, struct kvmb_kvp_ip *ip)
{
	ip->family = m->family;
	ip->dhcp = m->dhcp;
	if (kvmb_ictext_get(m->addresses, sizeof(m->addresses), ip->addresses,
			    sizeof(ip->addresses)) < 0 ||
	    kvmb_ictext_get(m->subnets, sizeof(m->subnets), ip->subnets, sizeof(ip->subnets)) < 0 ||
	    kvmb_ictext_get(m->gateways, sizeof(m->gateways), ip->gateways, sizeof(ip->gateways)) <
		    0 ||
	    kvmb_ictext_get(m->dns, sizeof(m->dns), ip->dns, sizeof(ip->dns)) < 0)
		return -EPROTO;
	return 0;
}

/* ---- in binary: 5.0 ---- */

struct both { /* arrays of @max addresses */
	u8 (*v4)[4];
	u8 (*v6)[16];
	__le32 *num4, *num6;
	u32 max;
};

/* The next of a list. Return: false: there is none. */
static bool next_word(const char **list, char *word, size_t size)
{
	size_t n = strcspn(*list, ";");

	if (!**list)
		return false;
	snprintf(word, size, "%.*s", (int)KVMB_MIN(n, size - 1), *list);
	*list += n + ((*list)[n] == ';');
	return true;
}

static bool put_addresses(const char *list, const struct both *b)
{
	u32 n4 = 0, n6 = 0;
	char word[64];

	while (next_word(&list, word, sizeof(word))) {
		if (n4 < b->max && inet_pton(AF_INET, word, b->v4[n4]) == 1)
			n4++;
		else if (n6 < b->max && inet_pton(AF_INET6, word, b->v6[n6]) == 1)
			n6++;
		else
			return false;
	}
	*b->num4 = cpu_to_le32(n4);
	*b->num6 = cpu_to_le32(n6);
	return true;
}

static bool put_subnets(const char *list, struct kvmb_wire_kvp_ip_binary *m)
{
	u32 n4 = 0, n6 = 0;
	char word[64];

	while (next_word(&list, word, sizeof(word))) {
		if (*word == '/' && n6 < KVMB_KVP_MAX_ADDRESSES)
			m->subnets6[n6++] = cpu_to_le32((u32)strtoul(word + 1, NULL, 10));
		else if (n4 < KVMB_KVP_MAX_ADDRESSES &&
			 inet_pton(AF_INET, word, m->subnets4[n4]) == 1)
			n4++;
		else
			return false;
	}
	return n4 == le32_to_cpu(m->num_ipv4) && n6 == le32_to_cpu(m->num_ipv6);
}

/*
 * The wire structs are packed, so counts go through copies: @m is one of ours, and aligned, but the
 * compiler may not know.
 */
static int put_ip_binary(struct kvmb_wire_kvp_ip_binary *m, const struct kvmb_kvp_ip *ip)
{
	__le32 n[6] = { 0 };
	const struct both addresses = { m->ipv4, m->ipv6, &n[0], &n[1], KVMB_KVP_MAX_ADDRESSES };
	const struct both gateways = { m->gateways4, m->gateways6, &n[2], &n[3],
				       KVMB_KVP_MAX_GATEWAYS };
	const struct both dns = { m->dns4, m->dns6, &n[4], &n[5], KVMB_KVP_MAX_ADDRESSES };

	if (kvmb_ictext_put(ip->adapter, (u32)strlen(ip->adapter), m->adapter, sizeof(m->adapter)) <
		    0 ||
	    !put_addresses(ip->addresses, &addresses) || !put_addresses(ip->gateways, &gateways) ||
	    !put_addresses(ip->dns, &dns))
		return -EINVAL;
	m->num_ipv4 = n[0];
	m->num_ipv6 = n[1];
	m->num_gateways4 = n[2];
	m->num_gateways6 = n[3];
	m->num_dns4 = n[4];
	m->num_dns6 = n[5];
	m->family = (u8)ip->family;
	m->dhcp = ip->dhcp;
	return put_subnets(ip->subnets, m) ? (int)sizeof(struct kvmb_wire_kvp_ip) : -EINVAL;
}

static void add_word(char *list, const char *word)
{
	size_t n = strlen(list);

	snprintf(list + n, KVMB_KVP_TEXT_MAX - n, "%s%s", n ? ";" : "", word);
}

static bool get_addresses(const u8 (*v4)[4], u32 n4, const u8 (*v6)[16], u32 n6, u32 max,
			  char *list)
{
	char word[64];
	u32 i;

	*list = 0;
	if (n4 > max || n6 > max)
		return false;
	for (i = 0; i < n4; i++)
		add_word(list, inet_ntop(AF_INET, v4[i], word, sizeof(word)));
	for (i = 0; i < n6; i++)
		add_word(list, inet_ntop(AF_INET6, v6[i], word, sizeof(word)));
	return true;
}

static int get_ip_binary(const struct kvmb_wire_kvp_ip_binary *m, struct kvmb_kvp_ip *ip)
{
	u32 n4 = le32_to_cpu(m->num_ipv4), n6 = le32_to_cpu(m->num_ipv6), i;
	char word[64];

	ip->family = m->family;
	ip->dhcp = m->dhcp;
	if (!get_addresses(m->ipv4, n4, m->ipv6, n6, KVMB_KVP_MAX_ADDRESSES, ip->addresses) ||
	    !get_addresses(m->gateways4, le32_to_cpu(m->num_gateways4), m->gateways6,
			   le32_to_cpu(m->num_gateways6), KVMB_KVP_MAX_GATEWAYS, ip->gateways) ||
	    !get_addresses(m->dns4, le32_to_cpu(m->num_dns4), m->dns6, le32_to_cpu(m->num_dns6),
			   KVMB_KVP_MAX_ADDRESSES, ip->dns))
		return -EPROTO;
	get_addresses(m->subnets4, n4, NULL, 0, KVMB_KVP_MAX_ADDRESSES, ip->subnets);
	for (i = 0; i < n6; i++) {
		snprintf(word, sizeof(word), "/%u", le32_to_cpu(m->subnets6[i]));
		add_word(ip->subnets, word);
	}
	return 0;
}

/* ---- either ---- */

int kvmb_kvp_put_ip(union kvmb_kvp_message *m, u32 version, bool set, const struct kvmb_kvp_ip *ip)
{
	if (version < KVMB_IC_VERSION(4, 0))
		return -EOPNOTSUPP;
	begin_message(m, set ? KVMB_KVP_SET_IP : KVMB_KVP_GET_IP, KVMB_KVP_GUEST);
	return version < KVMB_IC_VERSION(5, 0) ? put_ip_text(&m->ip, ip) :
						 put_ip_binary(&m->binary, ip);
}

int kvmb_kvp_read_ip(const struct kvmb_icmsg *msg, u32 version, struct kvmb_kvp_ip *ip)
{
	union kvmb_kvp_message m;
	bool text = version < KVMB_IC_VERSION(5, 0);

	memset(ip, 0, sizeof(*ip));
	if (msg->size < (text ? sizeof(m.ip) : sizeof(m.binary)))
		return -EPROTO;
	memset(&m, 0, sizeof(m));
	memcpy(&m, msg->payload, KVMB_MIN((size_t)msg->size, sizeof(m)));
	return text ? get_ip_text(&m.ip, ip) : get_ip_binary(&m.binary, ip);
}
