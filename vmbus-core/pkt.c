// SPDX-License-Identifier: GPL-2.0-only
/* Ring packets: parsing private copies. */
#include "vmbus-core/pkt.h"

int kvmb_pkt_parse(const void *buf, u32 len, struct kvmb_pkt *pkt)
{
	const struct kvmb_wire_pkt *d = buf;
	u32 off;

	if (len < sizeof(*d) || (u32)le16_to_cpu(d->len8) * 8 != len)
		return -EPROTO;
	off = (u32)le16_to_cpu(d->offset8) * 8;
	if (off < sizeof(*d) || off > len)
		return -EPROTO;
	pkt->flags = le16_to_cpu(d->flags);
	if (pkt->flags & ~KVMB_PKT_FLAG_COMPLETE)
		return -EPROTO;
	pkt->type = le16_to_cpu(d->type);
	pkt->trans_id = le64_to_cpu(d->trans_id);
	pkt->len = len;
	pkt->hdr = (const u8 *)buf + sizeof(*d);
	pkt->hdr_len = off - (u32)sizeof(*d);
	pkt->payload = (const u8 *)buf + off;
	pkt->payload_len = len - off;
	return 0;
}

int kvmb_pkt_gpa_ranges(const struct kvmb_pkt *pkt, u32 max_ranges, struct kvmb_gparange_iter *it)
{
	const struct kvmb_wire_gpa_direct *h = (const void *)pkt->hdr;
	u32 count;

	if (pkt->type != KVMB_PKT_GPA_DIRECT || pkt->hdr_len < sizeof(*h))
		return -EPROTO;
	count = le32_to_cpu(h->range_count);
	if (!count || count > max_ranges)
		return -EPROTO;
	it->p = pkt->hdr + sizeof(*h);
	it->bytes = pkt->hdr_len - (u32)sizeof(*h);
	it->left = count;
	return 0;
}

int kvmb_pkt_xfer_ranges(const struct kvmb_pkt *pkt, u32 max_ranges, u16 *set_id,
			 const struct kvmb_wire_xfer_range **ranges, u32 *num)
{
	const struct kvmb_wire_xfer_pages *h = (const void *)pkt->hdr;
	u32 count;

	if (pkt->type != KVMB_PKT_XFER_PAGES || pkt->hdr_len < sizeof(*h))
		return -EPROTO;
	count = le32_to_cpu(h->range_count);
	if (!count || count > max_ranges ||
	    count > (pkt->hdr_len - sizeof(*h)) / sizeof(struct kvmb_wire_xfer_range))
		return -EPROTO;
	*set_id = le16_to_cpu(h->set_id);
	*ranges = (const void *)(pkt->hdr + sizeof(*h));
	*num = count;
	return 0;
}
