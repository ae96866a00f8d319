// SPDX-License-Identifier: GPL-2.0-only
/*
 * RNDIS data messages: checking the peer's, building ours. Host and guest half use it.
 *
 * The parser of stock guests loops forever on a malformed per-packet info, so the messages that
 * are built here have one shape: complete entries, one after the other, then the data.
 *
 * Sources: Linux 6.12 drivers/net/hyperv/rndis_filter.c rndis_get_ppi(),
 * rndis_filter_receive_data(); docs/protocol.md#6.5.
 */
#include "vmbus-core/rndis.h"

#define HDR ((u32)sizeof(struct kvmb_wire_rndis))

/* wire: priority 2:0, CFI 3, VLAN id 15:4; a tag has them the other way round */
static u16 tci_of_ppi(u32 v)
{
	return (u16)((v & 7) << 13 | (v & 8) << 9 | (v >> 4 & 0xfff));
}

static u32 ppi_of_tci(u16 tci)
{
	return (u32)tci >> 13 | (tci >> 9 & 8) | (tci & 0xfffu) << 4;
}

static int take_ppi(struct kvmb_rndis_frame *f, u32 type, const u8 *p, u32 len)
{
	__le32 w;
	u32 bit, v;

	switch (type) {
	case KVMB_PPI_CHECKSUM:
	case KVMB_PPI_LSO:
	case KVMB_PPI_VLAN:
	case KVMB_PPI_HASH:
		bit = 1u << type;
		break;
	case KVMB_PPI_RSC:
		bit = 1u << 31;
		break;
	default:
		return 0; /* others say nothing to us */
	}
	if (len < sizeof(w) || f->seen & bit)
		return -EPROTO;
	f->seen |= bit;
	memcpy(&w, p, sizeof(w));
	v = le32_to_cpu(w);
	if (type == KVMB_PPI_CHECKSUM)
		f->marks.csum = v;
	else if (type == KVMB_PPI_LSO)
		f->marks.lso = v;
	else if (type == KVMB_PPI_HASH)
		f->hash = v;
	else if (type == KVMB_PPI_RSC)
		f->rsc = p[1];
	else
		f->vlan_tci = tci_of_ppi(v);
	f->has_vlan = f->seen & 1u << KVMB_PPI_VLAN;
	return 0;
}

/* Per-packet info: every entry inside its area, every step forward. */
static int parse_ppis(const u8 *p, u32 len, struct kvmb_rndis_frame *f)
{
	struct kvmb_wire_ppi ppi;
	u32 size, off;
	int err;

	while (len) {
		if (len < sizeof(ppi))
			return -EPROTO;
		memcpy(&ppi, p, sizeof(ppi));
		size = le32_to_cpu(ppi.size);
		off = le32_to_cpu(ppi.offset);
		if (size < sizeof(ppi) || size > len || off < sizeof(ppi) || off > size)
			return -EPROTO;
		err = take_ppi(f, le32_to_cpu(ppi.type), p + off, size - off);
		if (err)
			return err;
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

static u32 put_ppi(u8 *buf, u32 type, u32 v)
{
	struct kvmb_wire_ppi_u32 p = { { cpu_to_le32(sizeof(p)), cpu_to_le32(type),
					 cpu_to_le32(sizeof(p.h)) },
				       cpu_to_le32(v) };

	memcpy(buf, &p, sizeof(p));
	return sizeof(p);
}

static u32 put_rsc(u8 *buf, u8 flags)
{
	struct kvmb_wire_ppi_rsc p = { { cpu_to_le32(sizeof(p)), cpu_to_le32(KVMB_PPI_RSC),
					 cpu_to_le32(sizeof(p.h)) }, .version = 1, .flags = flags };

	memcpy(buf, &p, sizeof(p));
	return sizeof(p);
}

u32 kvmb_rndis_header_len(const struct kvmb_rndis_out *o)
{
	u32 num = (u32)o->has_hash + !!o->csum + !!o->lso + (u32)o->has_vlan + !!o->rsc;

	return HDR + (u32)sizeof(struct kvmb_wire_rndis_packet) +
	       num * (u32)sizeof(struct kvmb_wire_ppi_u32);
}

u32 kvmb_rndis_header(const struct kvmb_rndis_out *o, u8 *buf)
{
	struct {
		struct kvmb_wire_rndis h;
		struct kvmb_wire_rndis_packet p;
	} m = { .h = { cpu_to_le32(KVMB_RNDIS_PACKET), 0 } };
	u32 n = sizeof(m), data = o->data_offset;

	static_assert(sizeof(m) + 4 * sizeof(struct kvmb_wire_ppi_u32) <= KVMB_RNDIS_HEAD_MAX,
		      "all PPIs fit");
	if (o->has_hash)
		n += put_ppi(buf + n, KVMB_PPI_HASH, o->hash);
	if (o->csum)
		n += put_ppi(buf + n, KVMB_PPI_CHECKSUM, o->csum);
	if (o->lso)
		n += put_ppi(buf + n, KVMB_PPI_LSO, o->lso);
	if (o->has_vlan)
		n += put_ppi(buf + n, KVMB_PPI_VLAN, ppi_of_tci(o->vlan_tci));
	if (o->rsc)
		n += put_rsc(buf + n, o->rsc);
	if (n > sizeof(m)) {
		m.p.ppi_offset = cpu_to_le32((u32)sizeof(m.p));
		m.p.ppi_len = cpu_to_le32(n - (u32)sizeof(m));
	}
	if (!data)
		data = n;
	m.h.len = cpu_to_le32(data + o->data_len);
	m.p.data_offset = cpu_to_le32(data - HDR);
	m.p.data_len = cpu_to_le32(o->data_len);
	memcpy(buf, &m, sizeof(m));
	return n;
}
