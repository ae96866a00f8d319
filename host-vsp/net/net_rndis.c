// SPDX-License-Identifier: GPL-2.0-only
/*
 * RNDIS control: the device that the guest sees, its OIDs, its answers.
 *
 * There is an allow-list of OIDs: a table of values to read and a few setters. Any other OID is
 * answered NOT SUPPORTED. A payload is never used as an address; CVE-2021-28476 was such a bug. A
 * setter checks everything before it changes anything.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/rndis_filter.c; docs/protocol.md#6.4.
 */
#include "host-vsp/net/net_priv.h"

#include "lib/util.h"

#define HDR ((u32)sizeof(struct kvmb_wire_rndis))
#define LINK_SPEED_100BPS 100000000u /* 10 Gbit/s */
#define LSO_MAX 65535u		     /* of IP; Linux takes less by itself */
#define LSO_IP6_EXTENSIONS 1u
#define LSO_IP6_TCP_OPTIONS 4u
#define MAC_OPTIONS 0xdu /* copies lookahead data, no loopback, packet priority */

struct query { /* one answer in the making */
	const struct kvmb_rndis *r;
	u32 want; /* bytes the guest has room for, hostile */
	u8 *out;
	u32 max;
	u32 len;
};

static void put32(u8 *p, u32 v)
{
	__le32 w = cpu_to_le32(v);

	memcpy(p, &w, sizeof(w));
}

static u32 give32(struct query *q, u32 v)
{
	put32(q->out, v);
	q->len = 4;
	return KVMB_RNDIS_STATUS_OK;
}

static u32 give_bytes(struct query *q, const void *p, u32 len)
{
	kvmb_assert(len <= q->max);
	memcpy(q->out, p, len);
	q->len = len;
	return KVMB_RNDIS_STATUS_OK;
}

static u32 give_offload_caps(struct query *q)
{
	/* the guest's struct grew with NVSP; answer the size it asked for */
	u32 size = q->want >= KVMB_NDIS_OFFLOAD_SIZE_V6 ? KVMB_NDIS_OFFLOAD_SIZE_V6 :
		   q->want >= KVMB_NDIS_OFFLOAD_SIZE_V5 ? KVMB_NDIS_OFFLOAD_SIZE_V5 :
							    KVMB_NDIS_OFFLOAD_SIZE_V1;
	const u32 both = KVMB_NDIS_CSUM_IP_OPTIONS | KVMB_NDIS_CSUM_TCP_OPTIONS |
			 KVMB_NDIS_CSUM_TCP | KVMB_NDIS_CSUM_UDP;
	struct kvmb_wire_ndis_offload o = { .h = { .type = KVMB_NDIS_OFFLOAD,
						   .revision = KVMB_NDIS_OFFLOAD_REV,
						   .size = cpu_to_le16((u16)size) } };

	if (q->r->caps.offload) {
		o.csum.ip4_tx_encap = o.csum.ip4_rx_encap = o.csum.ip6_tx_encap =
			o.csum.ip6_rx_encap = cpu_to_le32(KVMB_NDIS_ENCAP_802_3);
		o.csum.ip4_tx = cpu_to_le32(both | KVMB_NDIS_CSUM_IP_HEADER);
		o.csum.ip4_rx = o.csum.ip6_tx = o.csum.ip6_rx = cpu_to_le32(both);
		o.lsov2.ip4_encap = o.lsov2.ip6_encap = cpu_to_le32(KVMB_NDIS_ENCAP_802_3);
		o.lsov2.ip4_max = o.lsov2.ip6_max = cpu_to_le32(LSO_MAX);
		o.lsov2.ip4_min_segments = o.lsov2.ip6_min_segments = cpu_to_le32(2);
		o.lsov2.ip6_options = cpu_to_le32(LSO_IP6_EXTENSIONS | LSO_IP6_TCP_OPTIONS);
	}
	o.rsc_ip4 = o.rsc_ip6 = q->r->caps.rsc;
	static_assert(sizeof(o) == KVMB_NDIS_OFFLOAD_SIZE_V6, "the largest of the three");
	return give_bytes(q, &o, size);
}

static u32 give_rss_caps(struct query *q)
{
	struct kvmb_wire_ndis_rss_caps c = {
		.h = { KVMB_NDIS_RSS_CAPS, KVMB_NDIS_RSS_REV, cpu_to_le16(sizeof(c)) },
		.flags = cpu_to_le32(KVMB_NDIS_RSS_HASH_TOEPLITZ | KVMB_NDIS_RSS_HASH_TYPES),
		.num_vectors = cpu_to_le32(q->r->caps.num_queues),
		.num_queues = cpu_to_le32(q->r->caps.num_queues),
		.table_entries = cpu_to_le16(KVMB_NDIS_RSS_TABLE_MAX),
	};

	if (q->r->caps.num_queues < 2)
		return KVMB_RNDIS_STATUS_NOT_SUPPORTED;
	return give_bytes(q, &c, sizeof(c));
}

static u32 give_supported(struct query *q)
{
	static const u32 oids[] = {
		KVMB_OID_GEN_SUPPORTED_LIST, KVMB_OID_GEN_HARDWARE_STATUS,
		KVMB_OID_GEN_MEDIA_SUPPORTED, KVMB_OID_GEN_MEDIA_IN_USE,
		KVMB_OID_GEN_MAXIMUM_FRAME_SIZE, KVMB_OID_GEN_LINK_SPEED,
		KVMB_OID_GEN_TRANSMIT_BLOCK_SIZE, KVMB_OID_GEN_RECEIVE_BLOCK_SIZE,
		KVMB_OID_GEN_VENDOR_ID, KVMB_OID_GEN_VENDOR_DESCRIPTION,
		KVMB_OID_GEN_VENDOR_DRIVER_VERSION, KVMB_OID_GEN_CURRENT_PACKET_FILTER,
		KVMB_OID_GEN_CURRENT_LOOKAHEAD, KVMB_OID_GEN_MAXIMUM_TOTAL_SIZE,
		KVMB_OID_GEN_MAC_OPTIONS, KVMB_OID_GEN_MEDIA_CONNECT_STATUS,
		KVMB_OID_GEN_MAXIMUM_SEND_PACKETS, KVMB_OID_GEN_RECEIVE_SCALE_CAPS,
		KVMB_OID_GEN_RECEIVE_SCALE_PARAMS, KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER,
		KVMB_OID_GEN_FRIENDLY_NAME, KVMB_OID_GEN_XMIT_OK, KVMB_OID_GEN_RCV_OK,
		KVMB_OID_GEN_XMIT_ERROR, KVMB_OID_GEN_RCV_ERROR, KVMB_OID_GEN_RCV_NO_BUFFER,
		KVMB_OID_802_3_PERMANENT_ADDRESS, KVMB_OID_802_3_CURRENT_ADDRESS,
		KVMB_OID_802_3_MULTICAST_LIST, KVMB_OID_802_3_MAXIMUM_LIST_SIZE,
		KVMB_OID_802_3_RCV_ERROR_ALIGNMENT, KVMB_OID_802_3_XMIT_ONE_COLLISION,
		KVMB_OID_802_3_XMIT_MORE_COLLISIONS, KVMB_OID_TCP_OFFLOAD_PARAMETERS,
		KVMB_OID_TCP_OFFLOAD_HW_CAPS,
	};
	size_t i;

	kvmb_assert(sizeof(oids) <= q->max);
	for (i = 0; i < ARRAY_SIZE(oids); i++)
		put32(q->out + 4 * i, oids[i]);
	q->len = sizeof(oids);
	return KVMB_RNDIS_STATUS_OK;
}

static u64 sum_drops(const u64 *drops)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < KVMB_DROP_NUM; i++)
		sum += drops[i];
	return sum;
}

/* Counters are 32 bits; a guest that has room for 64 gets them. */
static u32 give_counter(struct query *q, u32 oid)
{
	struct kvmb_net_stats st = { 0 };
	__le64 w;
	u64 v;

	q->r->get_stats(q->r->stats_arg, &st);
	v = oid == KVMB_OID_GEN_XMIT_OK	   ? st.tx_frames :
	    oid == KVMB_OID_GEN_RCV_OK	   ? st.rx_frames :
	    oid == KVMB_OID_GEN_XMIT_ERROR ? sum_drops(st.tx_dropped) :
					     sum_drops(st.rx_dropped) -
						     st.rx_dropped[KVMB_DROP_FILTERED];
	if (q->want < sizeof(w))
		return give32(q, (u32)v);
	w = cpu_to_le64(v);
	return give_bytes(q, &w, sizeof(w));
}

static u32 query_oid(struct query *q, u32 oid)
{
	static const char vendor[] = "kvmbus synthetic NIC";
	static const u16 friendly[] = { 'k', 'v', 'm', 'b', 'u', 's' };
	const struct kvmb_rndis *r = q->r;

	switch (oid) {
	case KVMB_OID_GEN_SUPPORTED_LIST:
		return give_supported(q);
	case KVMB_OID_GEN_HARDWARE_STATUS: /* ready */
	case KVMB_OID_GEN_MEDIA_SUPPORTED: /* 802.3 */
	case KVMB_OID_GEN_MEDIA_IN_USE:
	case KVMB_OID_GEN_RCV_NO_BUFFER: /* frames wait in the backend instead */
	case KVMB_OID_802_3_RCV_ERROR_ALIGNMENT:
	case KVMB_OID_802_3_XMIT_ONE_COLLISION:
	case KVMB_OID_802_3_XMIT_MORE_COLLISIONS:
		return give32(q, 0);
	case KVMB_OID_GEN_MEDIA_CONNECT_STATUS:
		return give32(q, !r->link);
	case KVMB_OID_GEN_MAC_OPTIONS:
		return give32(q, MAC_OPTIONS);
	case KVMB_OID_GEN_MAXIMUM_FRAME_SIZE:
	case KVMB_OID_GEN_CURRENT_LOOKAHEAD:
		return give32(q, r->caps.max_mtu);
	case KVMB_OID_GEN_TRANSMIT_BLOCK_SIZE:
	case KVMB_OID_GEN_RECEIVE_BLOCK_SIZE:
	case KVMB_OID_GEN_MAXIMUM_TOTAL_SIZE:
		return give32(q, r->caps.max_mtu + NET_ETH_LEN);
	case KVMB_OID_GEN_LINK_SPEED:
		return give32(q, LINK_SPEED_100BPS);
	case KVMB_OID_GEN_VENDOR_ID:
		return give32(q, 0x5d1500); /* the OUI of the MAC, 00:15:5D */
	case KVMB_OID_GEN_VENDOR_DRIVER_VERSION:
		return give32(q, 0x10000);
	case KVMB_OID_GEN_VENDOR_DESCRIPTION:
		return give_bytes(q, vendor, sizeof(vendor));
	case KVMB_OID_GEN_FRIENDLY_NAME:
		return give_bytes(q, friendly, sizeof(friendly));
	case KVMB_OID_GEN_CURRENT_PACKET_FILTER:
		return give32(q, r->packet_filter);
	case KVMB_OID_GEN_MAXIMUM_SEND_PACKETS:
		return give32(q, KVMB_RNDIS_PACKETS_MAX);
	case KVMB_OID_GEN_XMIT_OK:
	case KVMB_OID_GEN_RCV_OK:
	case KVMB_OID_GEN_XMIT_ERROR:
	case KVMB_OID_GEN_RCV_ERROR:
		return give_counter(q, oid);
	case KVMB_OID_802_3_PERMANENT_ADDRESS:
		return give_bytes(q, r->permanent_mac, sizeof(r->permanent_mac));
	case KVMB_OID_802_3_CURRENT_ADDRESS:
		return give_bytes(q, r->mac, sizeof(r->mac));
	case KVMB_OID_802_3_MAXIMUM_LIST_SIZE:
		return give32(q, KVMB_RNDIS_MULTICAST_MAX);
	case KVMB_OID_802_3_MULTICAST_LIST:
		return give_bytes(q, r->multicast, r->num_multicast * 6);
	case KVMB_OID_TCP_OFFLOAD_HW_CAPS:
		return give_offload_caps(q);
	case KVMB_OID_GEN_RECEIVE_SCALE_CAPS:
		return give_rss_caps(q);
	default:
		return KVMB_RNDIS_STATUS_NOT_SUPPORTED;
	}
}

/* ---- setters: @in[len] lies in the message ---- */

static u32 set_filter(struct kvmb_rndis *r, const u8 *in, u32 len)
{
	__le32 w;

	if (len < sizeof(w))
		return KVMB_RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&w, in, sizeof(w));
	r->packet_filter = le32_to_cpu(w);
	return KVMB_RNDIS_STATUS_OK;
}

static u32 set_multicast(struct kvmb_rndis *r, const u8 *in, u32 len)
{
	if (len % 6 || len > sizeof(r->multicast))
		return KVMB_RNDIS_STATUS_INVALID_LENGTH;
	memcpy(r->multicast, in, len);
	r->num_multicast = len / 6;
	return KVMB_RNDIS_STATUS_OK;
}

/* Checksums and LSO work frame by frame, whatever is set here; RSC is ours to start. */
static u32 set_offload(struct kvmb_rndis *r, const u8 *in, u32 len)
{
	u8 rsc4 = 0, rsc6 = 0;

	if (len < sizeof(struct kvmb_wire_ndis_object))
		return KVMB_RNDIS_STATUS_INVALID_LENGTH;
	if (len > KVMB_NDIS_PARAM_RSC_IP6) {
		rsc4 = in[KVMB_NDIS_PARAM_RSC_IP4];
		rsc6 = in[KVMB_NDIS_PARAM_RSC_IP6];
	}
	if (rsc4 > KVMB_NDIS_PARAM_ON || rsc6 > KVMB_NDIS_PARAM_ON)
		return KVMB_RNDIS_STATUS_INVALID_DATA;
	if (rsc4)
		r->rsc4 = rsc4 == KVMB_NDIS_PARAM_ON && r->caps.rsc;
	if (rsc6)
		r->rsc6 = rsc6 == KVMB_NDIS_PARAM_ON && r->caps.rsc;
	return KVMB_RNDIS_STATUS_OK;
}

/* @off .. @off + @size of a parameter. Return: NULL when it is not all in @len bytes. */
static const u8 *part(const u8 *in, u32 len, u32 off, u32 size)
{
	u32 end;

	return check_add_overflow(off, size, &end) || end > len ? NULL : in + off;
}

/*
 * A NIC of one queue takes a table as well, of zeroes: `ethtool -X eth0 equal 1` in a guest of one
 * CPU sets one.
 */
static u32 set_rss(struct kvmb_rndis *r, const u8 *in, u32 len)
{
	struct kvmb_wire_ndis_rss_params p;
	struct kvmb_rss rss = { 0 };
	const u8 *table, *key;
	u32 i, size;
	__le32 w;

	if (len < sizeof(p))
		return KVMB_RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&p, in, sizeof(p));
	if (p.h.type != KVMB_NDIS_RSS_PARAMS || p.h.revision < KVMB_NDIS_RSS_REV ||
	    le16_to_cpu(p.h.size) < sizeof(p) || le16_to_cpu(p.h.size) > len)
		return KVMB_RNDIS_STATUS_INVALID_DATA;
	if (le16_to_cpu(p.flags) & KVMB_NDIS_RSS_DISABLE) {
		r->rss.on = false;
		return KVMB_RNDIS_STATUS_OK;
	}
	size = le16_to_cpu(p.table_size);
	rss.key_len = (u8)KVMB_MIN(le16_to_cpu(p.key_size), 255);
	table = part(in, len, le32_to_cpu(p.table_offset), size);
	key = part(in, len, le32_to_cpu(p.key_offset), rss.key_len);
	rss.num_entries = (u16)(size / sizeof(w));
	if (!table || !key || rss.key_len != KVMB_NDIS_RSS_KEY_MAX || !size ||
	    size > KVMB_NDIS_RSS_TABLE_MAX * sizeof(w) || (size & (size - 1)))
		return KVMB_RNDIS_STATUS_INVALID_DATA;
	for (i = 0; i < rss.num_entries; i++) {
		memcpy(&w, table + i * sizeof(w), sizeof(w));
		if (le32_to_cpu(w) >= r->caps.num_queues)
			return KVMB_RNDIS_STATUS_INVALID_DATA;
		rss.table[i] = (u8)le32_to_cpu(w);
	}
	memcpy(rss.key, key, rss.key_len);
	rss.hash_types = le32_to_cpu(p.hash_info) & KVMB_NDIS_RSS_HASH_TYPES;
	rss.on = true;
	r->rss = rss;
	return KVMB_RNDIS_STATUS_OK;
}

static int hex_digit(const u8 *utf16)
{
	u8 c = utf16[0];

	if (utf16[1])
		return -1;
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The one named parameter there is: "NetworkAddress", 12 hexadecimal digits. */
static u32 set_config(struct kvmb_rndis *r, const u8 *in, u32 len)
{
	static const char want[] = "NetworkAddress";
	struct kvmb_wire_rndis_config c;
	const u8 *name, *value;
	u8 mac[6];
	u32 i;

	if (len < sizeof(c))
		return KVMB_RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&c, in, sizeof(c));
	name = part(in, len, le32_to_cpu(c.name_offset), le32_to_cpu(c.name_len));
	value = part(in, len, le32_to_cpu(c.value_offset), le32_to_cpu(c.value_len));
	if (!name || !value || le32_to_cpu(c.name_len) != 2 * strlen(want) ||
	    le32_to_cpu(c.value_len) != 4 * sizeof(mac))
		return KVMB_RNDIS_STATUS_INVALID_DATA;
	for (i = 0; i < strlen(want); i++) {
		if (name[2 * i] != (u8)want[i] || name[2 * i + 1])
			return KVMB_RNDIS_STATUS_INVALID_DATA;
	}
	for (i = 0; i < 12; i++) {
		int d = hex_digit(value + 2 * i);

		if (d < 0)
			return KVMB_RNDIS_STATUS_INVALID_DATA;
		mac[i / 2] = (u8)(i & 1 ? mac[i / 2] | d : d << 4);
	}
	if (mac[0] & 1)
		return KVMB_RNDIS_STATUS_INVALID_DATA;
	if (!r->caps.mac_change && memcmp(mac, r->permanent_mac, sizeof(mac)))
		return KVMB_RNDIS_STATUS_NOT_SUPPORTED;
	memcpy(r->mac, mac, sizeof(mac));
	return KVMB_RNDIS_STATUS_OK;
}

static u32 set_oid(struct kvmb_rndis *r, u32 oid, const u8 *in, u32 len, u32 *changed)
{
	switch (oid) {
	case KVMB_OID_GEN_CURRENT_PACKET_FILTER:
		*changed = KVMB_CHANGED_FILTER;
		return set_filter(r, in, len);
	case KVMB_OID_802_3_MULTICAST_LIST:
		return set_multicast(r, in, len);
	case KVMB_OID_TCP_OFFLOAD_PARAMETERS:
		*changed = KVMB_CHANGED_RSC;
		return set_offload(r, in, len);
	case KVMB_OID_GEN_RECEIVE_SCALE_PARAMS:
		*changed = KVMB_CHANGED_RSS;
		return set_rss(r, in, len);
	case KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER:
		*changed = KVMB_CHANGED_MAC;
		return set_config(r, in, len);
	case KVMB_OID_GEN_CURRENT_LOOKAHEAD:
	case KVMB_OID_GEN_PROTOCOL_OPTIONS:
		return KVMB_RNDIS_STATUS_OK;
	default:
		return KVMB_RNDIS_STATUS_NOT_SUPPORTED;
	}
}

/* The information buffer of a QUERY or SET. Return: NULL when it leaves the message. */
static const u8 *info_buffer(const u8 *msg, u32 msg_len, const struct kvmb_wire_rndis_request *q,
			     u32 *len)
{
	u32 off = le32_to_cpu(q->buf_offset), n = le32_to_cpu(q->buf_len), end;

	*len = n;
	if (!n)
		return msg;
	if (check_add_overflow(off, n, &end) || check_add_overflow(end, HDR, &end) ||
	    end > msg_len || off < sizeof(*q))
		return NULL;
	return msg + HDR + off;
}

static void reply_header(u8 *reply, u32 type, u32 len)
{
	struct kvmb_wire_rndis h = { cpu_to_le32(type | KVMB_RNDIS_COMPLETE), cpu_to_le32(len) };

	memcpy(reply, &h, sizeof(h));
}

static int do_init(const struct kvmb_wire_rndis_request *q, u8 *reply)
{
	struct kvmb_wire_rndis_init_complete c = {
		.id = q->id,
		.major = cpu_to_le32(1),
		.dev_flags = cpu_to_le32(1),
		.max_packets = cpu_to_le32(KVMB_RNDIS_PACKETS_MAX),
		.max_transfer = cpu_to_le32(0xefffffff),
		.alignment = cpu_to_le32(3),
	};

	reply_header(reply, KVMB_RNDIS_INIT, HDR + sizeof(c));
	memcpy(reply + HDR, &c, sizeof(c));
	return (int)(HDR + sizeof(c));
}

static int do_query(struct kvmb_rndis *r, const struct kvmb_wire_rndis_request *w, u8 *reply)
{
	struct kvmb_wire_rndis_query_complete c = { .id = w->id };
	struct query q = { .r = r, .out = reply + HDR + sizeof(c) };
	u32 status;

	/* a length names what the guest wants back, not always bytes that it sends: only a hint */
	q.want = le32_to_cpu(w->buf_len);
	q.max = KVMB_RNDIS_REPLY_MAX - HDR - (u32)sizeof(c);
	status = query_oid(&q, le32_to_cpu(w->oid));
	c.status = cpu_to_le32(status);
	c.buf_len = cpu_to_le32(q.len);
	c.buf_offset = cpu_to_le32((u32)sizeof(c)); /* 16 even when empty: docs/protocol.md#6.4 */
	reply_header(reply, KVMB_RNDIS_QUERY, HDR + (u32)sizeof(c) + q.len);
	memcpy(reply + HDR, &c, sizeof(c));
	return (int)(HDR + sizeof(c) + q.len);
}

static int do_set(struct kvmb_rndis *r, const u8 *msg, u32 len,
		  const struct kvmb_wire_rndis_request *w, u8 *reply, u32 *changed)
{
	struct kvmb_wire_rndis_set_complete c = { .id = w->id };
	u32 n, status;
	const u8 *in;

	in = info_buffer(msg, len, w, &n);
	status = in ? set_oid(r, le32_to_cpu(w->oid), in, n, changed) :
		      KVMB_RNDIS_STATUS_INVALID_LENGTH;
	if (status)
		*changed = 0;
	c.status = cpu_to_le32(status);
	reply_header(reply, KVMB_RNDIS_SET, HDR + sizeof(c));
	memcpy(reply + HDR, &c, sizeof(c));
	return (int)(HDR + sizeof(c));
}

/* RESET and KEEPALIVE: {id or reserved} in, {status/id} out */
static int do_simple(u32 type, const struct kvmb_wire_rndis_request *w, u8 *reply)
{
	struct kvmb_wire_rndis_set_complete c = { 0 };

	if (type == KVMB_RNDIS_KEEPALIVE)
		c.id = w->id; /* {id, status}; RESET answers {status, addressing reset}: zeroes */
	reply_header(reply, type, HDR + sizeof(c));
	memcpy(reply + HDR, &c, sizeof(c));
	return (int)(HDR + sizeof(c));
}

int kvmb_rndis_control(struct kvmb_rndis *r, const u8 *msg, u32 len, u8 *reply, u32 *changed)
{
	struct kvmb_wire_rndis_request w = { 0 };
	struct kvmb_wire_rndis h;
	u32 type, msg_len, body;

	*changed = 0;
	if (len < HDR + sizeof(w.id))
		return -EPROTO;
	memcpy(&h, msg, sizeof(h));
	type = le32_to_cpu(h.type);
	msg_len = le32_to_cpu(h.len);
	if (msg_len > len || msg_len < HDR + sizeof(w.id))
		return -EPROTO;
	body = msg_len - HDR;
	memcpy(&w, msg + HDR, KVMB_MIN(body, (u32)sizeof(w)));

	switch (type) {
	case KVMB_RNDIS_INIT:
		*changed = KVMB_CHANGED_UP;
		return do_init(&w, reply);
	case KVMB_RNDIS_HALT:
		r->packet_filter = 0;
		*changed = KVMB_CHANGED_FILTER | KVMB_CHANGED_DOWN;
		return 0;
	case KVMB_RNDIS_QUERY:
		return body < sizeof(w) ? -EPROTO : do_query(r, &w, reply);
	case KVMB_RNDIS_SET:
		return body < sizeof(w) ? -EPROTO : do_set(r, msg, msg_len, &w, reply, changed);
	case KVMB_RNDIS_RESET:
	case KVMB_RNDIS_KEEPALIVE:
		return do_simple(type, &w, reply);
	default:
		return -EPROTO;
	}
}

int kvmb_rndis_indicate(bool link, u8 *msg)
{
	struct {
		struct kvmb_wire_rndis h;
		struct kvmb_wire_rndis_indicate i;
	} m = { .h = { cpu_to_le32(KVMB_RNDIS_INDICATE), cpu_to_le32(sizeof(m)) } };

	m.i.status =
		cpu_to_le32(link ? KVMB_RNDIS_INDICATE_CONNECT : KVMB_RNDIS_INDICATE_DISCONNECT);
	m.i.buf_offset = cpu_to_le32(sizeof(m.i));
	static_assert(sizeof(m) <= KVMB_RNDIS_REPLY_MAX, "it goes where answers go");
	memcpy(msg, &m, sizeof(m));
	return sizeof(m);
}
