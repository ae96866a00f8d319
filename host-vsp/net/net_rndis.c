// SPDX-License-Identifier: GPL-2.0-only
/*
 * RNDIS: control messages with their OIDs, and the checks on data messages.
 *
 * OIDs are an allow-list: a get table of fixed values and a few setters. An OID nobody
 * listed is answered NOT SUPPORTED, and no payload is ever taken for an address
 * (CVE-2021-28476 was one that was).
 *
 * Offloads are not offered yet, so their capabilities are zero and per-packet info
 * other than the VLAN tag is checked and ignored.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/rndis_filter.c; protocol notes 6.4, 6.5.
 */
#include "host-vsp/net/net_priv.h"

#include "lib/util.h"

#define HDR ((u32)sizeof(struct kvmb_wire_rndis))
#define LINK_SPEED_100BPS 100000000u /* 10 Gbit/s */

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
	memcpy(q->out, p, len);
	q->len = len;
	return KVMB_RNDIS_STATUS_OK;
}

static u32 give_offload_caps(struct query *q)
{
	/* the guest's struct grew with NVSP; answer the size it asked for, all zero: no offload */
	u32 size = q->want >= KVMB_NDIS_OFFLOAD_SIZE_V6 ? KVMB_NDIS_OFFLOAD_SIZE_V6 :
		   q->want >= KVMB_NDIS_OFFLOAD_SIZE_V5 ? KVMB_NDIS_OFFLOAD_SIZE_V5 :
							    KVMB_NDIS_OFFLOAD_SIZE_V1;
	struct kvmb_wire_ndis_object h = { .type = KVMB_NDIS_OFFLOAD,
					   .revision = KVMB_NDIS_OFFLOAD_REV,
					   .size = cpu_to_le16((u16)size) };

	memset(q->out, 0, size);
	memcpy(q->out, &h, sizeof(h));
	q->len = size;
	return KVMB_RNDIS_STATUS_OK;
}

static u32 give_supported(struct query *q)
{
	static const u32 oids[] = {
		KVMB_OID_GEN_SUPPORTED_LIST, KVMB_OID_GEN_HARDWARE_STATUS,
		KVMB_OID_GEN_MEDIA_SUPPORTED, KVMB_OID_GEN_MEDIA_IN_USE,
		KVMB_OID_GEN_MAXIMUM_FRAME_SIZE, KVMB_OID_GEN_LINK_SPEED,
		KVMB_OID_GEN_VENDOR_ID, KVMB_OID_GEN_VENDOR_DESCRIPTION,
		KVMB_OID_GEN_CURRENT_PACKET_FILTER, KVMB_OID_GEN_MAXIMUM_TOTAL_SIZE,
		KVMB_OID_GEN_MEDIA_CONNECT_STATUS, KVMB_OID_802_3_PERMANENT_ADDRESS,
		KVMB_OID_802_3_CURRENT_ADDRESS,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(oids); i++)
		put32(q->out + 4 * i, oids[i]);
	q->len = sizeof(oids);
	return KVMB_RNDIS_STATUS_OK;
}

static u32 query_oid(struct query *q, u32 oid)
{
	static const char vendor[] = "kvmbus synthetic NIC";
	static const u16 friendly[] = { 'k', 'v', 'm', 'b', 'u', 's' };
	const struct kvmb_net_stats *st = q->r->stats;

	switch (oid) {
	case KVMB_OID_GEN_SUPPORTED_LIST:
		return give_supported(q);
	case KVMB_OID_GEN_HARDWARE_STATUS: /* ready */
	case KVMB_OID_GEN_MEDIA_SUPPORTED: /* 802.3 */
	case KVMB_OID_GEN_MEDIA_IN_USE:
	case KVMB_OID_GEN_MEDIA_CONNECT_STATUS: /* connected */
	case KVMB_OID_GEN_MAC_OPTIONS:
	case KVMB_OID_GEN_XMIT_ERROR:
	case KVMB_OID_GEN_RCV_ERROR:
		return give32(q, 0);
	case KVMB_OID_GEN_MAXIMUM_FRAME_SIZE:
	case KVMB_OID_GEN_CURRENT_LOOKAHEAD:
		return give32(q, KVMB_NET_MTU);
	case KVMB_OID_GEN_TRANSMIT_BLOCK_SIZE:
	case KVMB_OID_GEN_RECEIVE_BLOCK_SIZE:
	case KVMB_OID_GEN_MAXIMUM_TOTAL_SIZE:
		return give32(q, KVMB_NET_MTU + 14);
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
		return give32(q, q->r->packet_filter);
	case KVMB_OID_GEN_MAXIMUM_SEND_PACKETS:
		return give32(q, 8);
	case KVMB_OID_GEN_XMIT_OK:
		return give32(q, (u32)st->tx_frames);
	case KVMB_OID_GEN_RCV_OK:
		return give32(q, (u32)st->rx_frames);
	case KVMB_OID_GEN_RCV_NO_BUFFER:
		return give32(q, (u32)st->rx_dropped);
	case KVMB_OID_802_3_PERMANENT_ADDRESS:
	case KVMB_OID_802_3_CURRENT_ADDRESS:
		return give_bytes(q, q->r->mac, sizeof(q->r->mac));
	case KVMB_OID_802_3_MAXIMUM_LIST_SIZE:
		return give32(q, 32);
	case KVMB_OID_TCP_OFFLOAD_HW_CAPS:
		return give_offload_caps(q);
	default:
		return KVMB_RNDIS_STATUS_NOT_SUPPORTED;
	}
}

static u32 set_oid(struct kvmb_rndis *r, u32 oid, const u8 *in, u32 len)
{
	__le32 w;

	switch (oid) {
	case KVMB_OID_GEN_CURRENT_PACKET_FILTER:
		if (len < sizeof(w))
			return KVMB_RNDIS_STATUS_INVALID_LENGTH;
		memcpy(&w, in, sizeof(w));
		r->packet_filter = le32_to_cpu(w);
		return KVMB_RNDIS_STATUS_OK;
	case KVMB_OID_TCP_OFFLOAD_PARAMETERS:
		/* nothing was offered, so nothing can be switched on; Linux insists on success */
		return len < sizeof(struct kvmb_wire_ndis_object) ? KVMB_RNDIS_STATUS_INVALID_LENGTH :
								    KVMB_RNDIS_STATUS_OK;
	case KVMB_OID_802_3_MULTICAST_LIST:
		return len % 6 ? KVMB_RNDIS_STATUS_INVALID_LENGTH : KVMB_RNDIS_STATUS_OK;
	case KVMB_OID_GEN_CURRENT_LOOKAHEAD:
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

static int do_init(struct kvmb_rndis *r, const struct kvmb_wire_rndis_request *q, u8 *reply)
{
	struct kvmb_wire_rndis_init_complete c = {
		.id = q->id,
		.major = cpu_to_le32(1),
		.dev_flags = cpu_to_le32(1),
		.max_packets = cpu_to_le32(8),
		.max_transfer = cpu_to_le32(0xefffffff),
		.alignment = cpu_to_le32(3),
	};

	r->initialised = true;
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
	kvmb_assert(q.len <= q.max);
	c.status = cpu_to_le32(status);
	c.buf_len = cpu_to_le32(q.len);
	c.buf_offset = cpu_to_le32((u32)sizeof(c)); /* 16 even when empty: notes 6.4 */
	reply_header(reply, KVMB_RNDIS_QUERY, HDR + (u32)sizeof(c) + q.len);
	memcpy(reply + HDR, &c, sizeof(c));
	return (int)(HDR + sizeof(c) + q.len);
}

static int do_set(struct kvmb_rndis *r, const u8 *msg, u32 len,
		  const struct kvmb_wire_rndis_request *w, u8 *reply)
{
	struct kvmb_wire_rndis_set_complete c = { .id = w->id };
	u32 n, status;
	const u8 *in;

	in = info_buffer(msg, len, w, &n);
	status = in ? set_oid(r, le32_to_cpu(w->oid), in, n) : KVMB_RNDIS_STATUS_INVALID_LENGTH;
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

int kvmb_rndis_control(struct kvmb_rndis *r, const u8 *msg, u32 len, u8 *reply)
{
	struct kvmb_wire_rndis_request w = { 0 };
	struct kvmb_wire_rndis h;
	u32 type, msg_len, body;

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
		return do_init(r, &w, reply);
	case KVMB_RNDIS_HALT:
		r->initialised = false;
		r->packet_filter = 0;
		return 0;
	case KVMB_RNDIS_QUERY:
		return body < sizeof(w) ? -EPROTO : do_query(r, &w, reply);
	case KVMB_RNDIS_SET:
		return body < sizeof(w) ? -EPROTO : do_set(r, msg, msg_len, &w, reply);
	case KVMB_RNDIS_RESET:
	case KVMB_RNDIS_KEEPALIVE:
		return do_simple(type, &w, reply);
	default:
		return -EPROTO;
	}
}

/* Per-packet info: every entry inside its area, every step forward. */
static int parse_ppis(const u8 *p, u32 len, struct kvmb_rndis_frame *f)
{
	struct kvmb_wire_ppi ppi;
	u32 size, off, type;
	__le32 w;

	while (len) {
		if (len < sizeof(ppi))
			return -EPROTO;
		memcpy(&ppi, p, sizeof(ppi));
		size = le32_to_cpu(ppi.size);
		off = le32_to_cpu(ppi.offset);
		type = le32_to_cpu(ppi.type);
		if (size < sizeof(ppi) || size > len || off < sizeof(ppi) || off > size)
			return -EPROTO;
		if (type == KVMB_PPI_VLAN) {
			if (size - off < sizeof(w) || f->has_vlan)
				return -EPROTO;
			memcpy(&w, p + off, sizeof(w));
			f->has_vlan = true;
			/* wire: priority 2:0, CFI 3, VLAN id 15:4; a tag has them the other way round */
			f->vlan_tci = (u16)((le32_to_cpu(w) & 7) << 13 | (le32_to_cpu(w) & 8) << 9 |
					    (le32_to_cpu(w) >> 4 & 0xfff));
		} else if (type == KVMB_PPI_LSO) {
			return -EPROTO; /* never offered */
		}
		p += size;
		len -= size;
	}
	return 0;
}

int kvmb_rndis_packet(const u8 *hdr, u32 hdr_len, u32 avail, struct kvmb_rndis_frame *f)
{
	const u32 min = HDR + (u32)sizeof(struct kvmb_wire_rndis_packet);
	struct kvmb_wire_rndis_packet p;
	struct kvmb_wire_rndis h;
	u32 off, end, ppi_off, ppi_len, ppi_end;

	if (hdr_len < min || avail < min)
		return -EPROTO;
	memcpy(&h, hdr, sizeof(h));
	memcpy(&p, hdr + HDR, sizeof(p));
	memset(f, 0, sizeof(*f));
	f->msg_len = le32_to_cpu(h.len);
	if (le32_to_cpu(h.type) != KVMB_RNDIS_PACKET || f->msg_len < min || f->msg_len > avail)
		return -EPROTO;
	if (check_add_overflow(le32_to_cpu(p.data_offset), HDR, &off) ||
	    check_add_overflow(off, le32_to_cpu(p.data_len), &end) || off < min || end > f->msg_len)
		return -EPROTO;
	f->data_offset = off;
	f->data_len = le32_to_cpu(p.data_len);
	ppi_len = le32_to_cpu(p.ppi_len);
	if (!ppi_len)
		return 0;
	if (check_add_overflow(le32_to_cpu(p.ppi_offset), HDR, &ppi_off) ||
	    check_add_overflow(ppi_off, ppi_len, &ppi_end) || ppi_off < min || ppi_end > off ||
	    ppi_end > hdr_len)
		return -EPROTO;
	return parse_ppis(hdr + ppi_off, ppi_len, f);
}
