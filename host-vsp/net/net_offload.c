// SPDX-License-Identifier: GPL-2.0-only
/* Offloads; theory of operation: net_offload.h. */
#include "host-vsp/net/net_offload.h"

#include <arpa/inet.h>

#include "lib/be.h"
#include "lib/dirty_log.h"
#include "lib/util.h"
#include "vmbus-core/proto/rndis.h"

#define ETH_LEN 14u
#define IP_DF 0x4000 /* the packet's number says nothing then: RFC 6864, 4 */
#define IPV6_LEN 40u
#define TCP_LEN 20u
#define UDP_LEN 8u
#define TCP_CSUM_AT 16u
#define UDP_CSUM_AT 6u
#define MAX_EXTENSIONS 8u
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_URG 0x20
#define TCP_CWR 0x80

/* ---- checksums ---- */

u64 kvmb_csum_add(u64 sum, const void *p, size_t len)
{
	const u8 *b = p;
	u64 v;

	for (; len >= 8; len -= 8, b += 8) {
		memcpy(&v, b, 8);
		sum += v;
		sum += sum < v; /* the carry comes back in: 2^64 = 1 */
	}
	if (len) {
		v = 0;
		memcpy(&v, b, len);
		sum += v;
		sum += sum < v;
	}
	return sum;
}

u16 kvmb_csum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

static void put_csum(u8 *p, u16 v)
{
	memcpy(p, &v, 2);
}

static void fill_ip_csum(u8 *ip)
{
	put_csum(ip + 10, 0);
	put_csum(ip + 10, (u16)~kvmb_csum_fold(kvmb_csum_add(0, ip, (ip[0] & 15) * 4u)));
}

/* The field holds the pseudo-header's sum without the length (docs/protocol.md#6.6); add that. */
static void add_length(u8 *field, u32 l4_len)
{
	__be32 len = htonl(l4_len);

	put_csum(field,
		 kvmb_csum_fold(kvmb_csum_add(kvmb_csum_add(0, field, 2), &len, sizeof(len))));
}

/* ---- headers ---- */

static int parse_ipv4(const u8 *p, u32 len, struct kvmb_frame_headers *h)
{
	u32 ihl;

	if (len < h->l3 + 20u || p[h->l3] >> 4 != 4)
		return -EPROTO;
	ihl = (p[h->l3] & 15) * 4u;
	if (ihl < 20 || len < h->l3 + ihl)
		return -EPROTO;
	if (get_be16(p + h->l3 + 6) & 0x3fff)
		return 0; /* a fragment */
	h->l4_proto = p[h->l3 + 9];
	h->l4 = (u16)(h->l3 + ihl);
	return 0;
}

static int parse_ipv6(const u8 *p, u32 len, struct kvmb_frame_headers *h)
{
	u32 off = h->l3 + IPV6_LEN, i, size;
	u8 next;

	h->ipv6 = true;
	if (len < off || p[h->l3] >> 4 != 6)
		return -EPROTO;
	next = p[h->l3 + 6];
	for (i = 0; i < MAX_EXTENSIONS; i++) {
		if (next == 44) /* a fragment */
			return 0;
		if (next != 0 && next != 43 && next != 60) {
			h->l4_proto = next;
			h->l4 = (u16)off;
			return 0;
		}
		if (len < off + 8)
			return -EPROTO;
		size = (p[off + 1] + 1u) * 8;
		next = p[off];
		off += size;
		if (len < off)
			return -EPROTO;
	}
	return -EPROTO;
}

int kvmb_frame_parse(const u8 *p, u32 len, struct kvmb_frame_headers *h)
{
	u32 off = 12, tags = 0;

	memset(h, 0, sizeof(*h));
	if (len < ETH_LEN)
		return -EPROTO;
	for (h->ethertype = get_be16(p + off); h->ethertype == 0x8100 || h->ethertype == 0x88a8;
	     h->ethertype = get_be16(p + off)) {
		off += 4;
		if (++tags > 2 || len < off + 2)
			return -EPROTO;
	}
	h->l3 = (u16)(off + 2);
	if (h->ethertype == 0x0800)
		return parse_ipv4(p, len, h);
	if (h->ethertype == 0x86dd)
		return parse_ipv6(p, len, h);
	return 0;
}

/* ---- out ---- */

/* The guest's idea of where the TCP header is must be ours; 0 = it did not say. */
static bool tcp_at(const struct kvmb_frame_headers *h, u32 said)
{
	return h->l4 && h->l4_proto == 6 && (!said || said == h->l4);
}

/* Behind the TCP header; 0 = it leaves the copy. */
static u32 tcp_end(const u8 *head, u32 head_len, const struct kvmb_frame_headers *h)
{
	u32 end;

	if (head_len < h->l4 + TCP_LEN)
		return 0;
	end = h->l4 + (head[h->l4 + 12] >> 4) * 4u;
	return end < h->l4 + TCP_LEN || end > head_len ? 0 : end;
}

static void put_ip_len(u8 *head, const struct kvmb_frame_headers *h, u32 frame_len)
{
	u8 *ip = head + h->l3;

	if (h->ipv6) {
		put_be16(ip + 4, frame_len - h->l3 - IPV6_LEN);
	} else {
		put_be16(ip + 2, frame_len - h->l3);
		fill_ip_csum(ip);
	}
}

static int tx_lso(u8 *head, u32 head_len, u32 frame_len, u32 lso,
		  const struct kvmb_frame_headers *h, struct virtio_net_hdr *vnet)
{
	u32 mss = KVMB_LSO_MSS(lso), hdr;
	u8 *tcp = head + h->l4;

	if (!(lso & KVMB_LSO_V2) || !!(lso & KVMB_LSO_IPV6) != h->ipv6 ||
	    mss < KVMB_OFFLOAD_MIN_MSS || mss > 0xffff || !tcp_at(h, KVMB_LSO_TCP_OFFSET(lso)))
		return -EPROTO;
	hdr = tcp_end(head, head_len, h);
	if (!hdr || frame_len - h->l3 > 0xffff)
		return -EPROTO;
	put_ip_len(head, h, frame_len);
	add_length(tcp + TCP_CSUM_AT, frame_len - h->l4);
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = h->l4;
	vnet->csum_offset = TCP_CSUM_AT;
	vnet->hdr_len = (u16)hdr;
	if (frame_len - hdr > mss) { /* else it is one segment already */
		vnet->gso_type = h->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		if (tcp[13] & TCP_CWR) /* it belongs to the first segment only */
			vnet->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		vnet->gso_size = (u16)mss;
	}
	return 0;
}

static int tx_csum(u8 *head, u32 head_len, u32 csum, const struct kvmb_frame_headers *h,
		   struct virtio_net_hdr *vnet)
{
	u32 at;

	if (csum & KVMB_TX_CSUM_IP_HEADER) {
		if (h->ipv6 || h->ethertype != 0x0800)
			return -EPROTO;
		fill_ip_csum(head + h->l3);
	}
	if (csum & KVMB_TX_CSUM_TCP) {
		if (!tcp_at(h, KVMB_TX_CSUM_TCP_OFFSET(csum)))
			return -EPROTO;
		at = TCP_CSUM_AT;
	} else if (csum & KVMB_TX_CSUM_UDP) {
		if (!h->l4 || h->l4_proto != 17)
			return -EPROTO;
		at = UDP_CSUM_AT;
	} else {
		return 0;
	}
	if (head_len < h->l4 + at + 2)
		return -EPROTO;
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = h->l4;
	vnet->csum_offset = (u16)at;
	return 0;
}

int kvmb_offload_tx(u8 *head, u32 head_len, u32 frame_len, const struct kvmb_tx_marks *m,
		    struct virtio_net_hdr *vnet)
{
	struct kvmb_frame_headers h;

	memset(vnet, 0, sizeof(*vnet));
	if (!m->lso && !m->csum)
		return 0;
	if (kvmb_frame_parse(head, head_len, &h))
		return -EPROTO;
	return m->lso ? tx_lso(head, head_len, frame_len, m->lso, &h, vnet) :
			tx_csum(head, head_len, m->csum, &h, vnet);
}

/* ---- in ---- */

/* Sum of the bytes from @off on. A piece that starts at an odd place counts byte-swapped. */
static u16 sum_iov(const struct iovec *iov, int num, u32 off, u32 len)
{
	u32 done = 0, n;
	u64 sum = 0;
	u16 s;
	int i;

	for (i = 0; i < num && len; i++) {
		if (off >= iov[i].iov_len) {
			off -= (u32)iov[i].iov_len;
			continue;
		}
		n = (u32)KVMB_MIN((size_t)len, iov[i].iov_len - off);
		s = kvmb_csum_fold(kvmb_csum_add(0, (u8 *)iov[i].iov_base + off, n));
		sum += done & 1 ? (u16)(s << 8 | s >> 8) : s;
		done += n;
		len -= n;
		off = 0;
	}
	return kvmb_csum_fold(sum);
}

static void poke16(const struct iovec *iov, int num, u32 off, u16 v)
{
	u8 b[2];
	int i, k;

	memcpy(b, &v, 2);
	for (k = 0; k < 2; k++) {
		u32 at = off + (u32)k;

		for (i = 0; i < num; at -= (u32)iov[i].iov_len, i++) {
			if (at < iov[i].iov_len) {
				((u8 *)iov[i].iov_base)[at] = b[k];
				kvmb_dirty((u8 *)iov[i].iov_base + at, 1);
				break;
			}
		}
	}
}

int kvmb_offload_rx(const struct virtio_net_hdr *vnet, const struct iovec *iov, int num, u32 skip,
		    u32 len, bool coalesced, u32 *info)
{
	u32 start = vnet->csum_start, at = start + vnet->csum_offset;
	u16 sum;

	*info = 0;
	if (vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID &&
	    !(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		*info = KVMB_RX_CSUM_TCP_OK | KVMB_RX_CSUM_UDP_OK;
		return 0;
	}
	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (start < skip || start - skip >= len || at + 2 > skip + len)
		return -EPROTO;
	*info = vnet->csum_offset == UDP_CSUM_AT ? KVMB_RX_CSUM_UDP_OK : KVMB_RX_CSUM_TCP_OK;
	if (coalesced) {
		*info |= KVMB_RX_CSUM_TCP_INVALID;
		return 0;
	}
	/* the field holds the pseudo-header's sum, so it takes part */
	sum = (u16)~sum_iov(iov, num, start - skip, len - (start - skip));
	if (!sum && vnet->csum_offset == UDP_CSUM_AT)
		sum = 0xffff; /* 0 says "none" in UDP */
	poke16(iov, num, at - skip, sum);
	return 0;
}

u32 kvmb_offload_split(u8 *head, u32 head_len, u32 len, u32 mss, u32 max, u8 *tail, u32 *hdr_len)
{
	struct kvmb_frame_headers h;
	u32 hdr, segments, first, said;
	u8 *tcp;

	if (kvmb_frame_parse(head, head_len, &h) || !tcp_at(&h, 0))
		return 0;
	hdr = tcp_end(head, head_len, &h);
	tcp = head + h.l4;
	said = h.ipv6 ? get_be16(head + h.l3 + 4) + IPV6_LEN : get_be16(head + h.l3 + 2);
	if (!hdr || tcp[13] & (TCP_SYN | TCP_RST | TCP_URG) || said != len - h.l3 || len <= max ||
	    !mss || hdr + mss > max)
		return 0;
	segments = (max - hdr) / mss;
	first = hdr + segments * mss;
	memcpy(tail, head, hdr);
	/*
	 * where it matters, as if each segment had been a packet; else equal, so that the guest may
	 * join the two again
	 */
	if (!h.ipv6 && !(get_be16(head + h.l3 + 6) & IP_DF))
		put_be16(tail + h.l3 + 4, get_be16(head + h.l3 + 4) + segments);
	put_ip_len(head, &h, first);
	put_ip_len(tail, &h, hdr + len - first);
	tcp[13] &= (u8)~(TCP_FIN | TCP_PSH);
	tcp = tail + h.l4;
	tcp[13] &= (u8)~TCP_CWR;
	put_be32(tcp + 4, get_be32(tcp + 4) + segments * mss);
	*hdr_len = hdr;
	return first;
}
