// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames: sent through sections or by their pages, received from the receive buffer.
 *
 * Sources: Linux 6.1 drivers/net/hyperv/{netvsc_drv.c,netvsc.c};
 * docs/protocol.md#6.3, #6.5 to #6.7.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ip6_checksum.h>

#include "guest-vsc/compat/compat.h"
#include "guest-vsc/net/net_guest.h"

#define MAX_TX_RANGES 32u
#define MAX_TX_PFNS (65536u / KVMB_PAGE_SIZE + 2 * MAX_TX_RANGES)
#define LINEAR 256u	   /* bytes of a large frame that lie in its head */
#define FRAME_MAX 65550u

/* ---- slots and sections ---- */

#if IS_ENABLED(CONFIG_SMP)
#define OTHER_LINE(a, b)                                                       \
	static_assert(offsetof(struct net_queue, a) / SMP_CACHE_BYTES !=       \
			      offsetof(struct net_queue, b) / SMP_CACHE_BYTES, \
		      "xmit and NAPI would pass one cache line to and fro")
OTHER_LINE(taken, given);
OTHER_LINE(taken, index);
OTHER_LINE(given, index);
OTHER_LINE(shown, given);
OTHER_LINE(stats.tx_sync, stats.rx_packets);
OTHER_LINE(stats.tx_packets, buf[NET_RX_BUF - 1]);
#endif

/*
 * Free slots are a ring of numbers: xmit alone takes, under the transmit lock; NAPI alone gives.
 * There is no lock between them, since xmit may run in a hard interrupt (netconsole) that
 * interrupted NAPI. Who clears NET_SENT of a slot owns what is in it: the host may answer a frame
 * that has not been sent yet.
 *
 * xmit looks at `given` only when those that it knows of are used up.
 */
static u32 slots_free(struct net_queue *q, bool look)
{
	if (look)
		q->seen = smp_load_acquire(&q->given);
	return NET_SLOTS - (q->taken - q->seen);
}

static int take_slot(struct net_queue *q)
{
	struct net_slot *s;
	u32 n;

	if (!slots_free(q, false) && !slots_free(q, true))
		return -1;
	n = q->free[q->taken % NET_SLOTS];
	WRITE_ONCE(q->taken, q->taken + 1);
	q->shown = false;
	s = &q->slots[n];
	WRITE_ONCE(s->use, s->use + 2);
	return n;
}

/*
 * The last one that was taken; nothing of it went out. NAPI does not write there before it has been
 * given all others
 */
static void untake_slot(struct net_queue *q)
{
	WRITE_ONCE(q->taken, q->taken - 1);
}

/* From here on NAPI may find the slot answered, and then has what is in it */
static void show_slot(struct net_queue *q, int slot)
{
	struct net_slot *s = &q->slots[slot];

	q->shown = true;
	smp_store_release(&s->use, s->use | NET_SENT); /* nobody else writes it until then */
}

/* Return: whether it was the @use'th use and sent, and now is ours */
static bool unshow_slot(struct net_slot *s, u32 use)
{
	return READ_ONCE(s->use) == (use | NET_SENT) &&
	       cmpxchg(&s->use, use | NET_SENT, use) == (use | NET_SENT);
}

static void give_section(struct net_queue *q, struct net_slot *s)
{
	if (s->section != KVMB_NVSP_NO_SECTION && q->nic->send_map)
		clear_bit_unlock(s->section, q->nic->send_map);
	s->section = KVMB_NVSP_NO_SECTION;
}

static u64 id_of(const struct net_queue *q, int slot)
{
	return (u64)(q->slots[slot].use >> 1) << 32 | (u32)(slot + 1);
}

/* NAPI, or alone; the caller has cleared NET_SENT. Return: the frame, to be freed */
static struct sk_buff *give_slot(struct net_queue *q, u32 n)
{
	struct net_slot *s = &q->slots[n];
	struct sk_buff *skb = s->skb;

	give_section(q, s);
	s->skb = NULL;
	q->free[q->given % NET_SLOTS] = n;
	smp_store_release(&q->given, q->given + 1);
	return skb;
}

static u32 take_section(struct net_queue *q)
{
	struct net_nic *nic = q->nic;
	u32 start = q->index * (nic->send_num / max(1u, nic->num_queues)), n;

	for (;;) {
		n = find_next_zero_bit(nic->send_map, nic->send_num, start);
		if (n >= nic->send_num) {
			if (!start)
				return KVMB_NVSP_NO_SECTION;
			start = 0;
			continue;
		}
		if (!test_and_set_bit_lock(n, nic->send_map))
			return n;
	}
}

static bool ring_low(const struct net_queue *q)
{
	return kvmb_ring_used(&q->ch->tx, true) > q->ch->tx.size / 10 * 9;
}

static struct netdev_queue *txq_of(struct net_queue *q)
{
	return netdev_get_tx_queue(q->nic->ndev, q->index);
}

static void stop_if_full(struct net_queue *q)
{
	struct netdev_queue *txq = txq_of(q);

	if ((slots_free(q, false) > 2 || slots_free(q, true) > 2) && !ring_low(q))
		return;
	netif_tx_stop_queue(txq);
	smp_mb(); /* the stop is visible before we look; pairs with kvmb_net_tx_wake() */
	if (slots_free(q, true) == NET_SLOTS) /* nothing is out whose completion could wake it */
		netif_tx_wake_queue(txq);
}

/* NAPI, after a number of kvmb_net_tx_done() */
void kvmb_net_tx_wake(struct net_queue *q)
{
	struct netdev_queue *txq = txq_of(q);
	u32 room;

	if (!q->freed)
		return;
	q->freed = false;
	smp_mb();
	if (likely(!netif_tx_queue_stopped(txq)) || READ_ONCE(q->nic->closing) ||
	    !netif_carrier_ok(q->nic->ndev))
		return;
	room = NET_SLOTS - (READ_ONCE(q->taken) - q->given);
	if (room == NET_SLOTS ||
	    (room > NET_SLOTS / 4 && kvmb_ring_used(&q->ch->tx, true) < q->ch->tx.size / 10 * 8))
		netif_tx_wake_queue(txq);
}

/* NAPI of the queue, or a poll without budget. The host says that it is done with a frame. */
void kvmb_net_tx_done(struct net_queue *q, u64 id, const struct kvmb_wire_nvsp *m, u32 len,
		      int budget)
{
	u32 n = (u32)id - 1, use = (u32)(id >> 32) << 1;
	struct sk_buff *skb;

	if (n >= NET_SLOTS || id >> 63 || !unshow_slot(&q->slots[n], use)) {
		q->stats.bad_ids++;
		return;
	}
	skb = give_slot(q, n);
	q->freed = true;
	if (len >= 8 && le32_to_cpu(m->type) == KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE &&
	    le32_to_cpu(m->u.rndis_complete.status) != KVMB_NVSP_STAT_SUCCESS)
		q->stats.tx_failed++;
	if (skb)
		napi_consume_skb(skb, budget);
}

/* The channel is closed: the host has none of these any more. */
void kvmb_net_tx_abort(struct net_queue *q)
{
	u32 n;

	for (n = 0; n < NET_SLOTS; n++) {
		if (unshow_slot(&q->slots[n], q->slots[n].use & ~NET_SENT))
			dev_kfree_skb(give_slot(q, n));
	}
}

/* ---- out ---- */

/* Return: 0, or -errno: drop it */
static int mark_lso(struct sk_buff *skb, struct kvmb_rndis_out *o)
{
	if (skb_cow_head(skb, KVMB_RNDIS_HEAD_MAX))
		return -ENOMEM;
	o->lso = KVMB_LSO_V2 | (skb_shinfo(skb)->gso_size & 0xfffff) |
		 (u32)skb_transport_offset(skb) << 20;
	if (skb->protocol == htons(ETH_P_IP)) {
		struct iphdr *ip = ip_hdr(skb);

		ip->tot_len = 0; /* NDIS leaves these to the host */
		ip->check = 0;
		tcp_hdr(skb)->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, 0, IPPROTO_TCP, 0);
	} else {
		struct ipv6hdr *ip = ipv6_hdr(skb);

		o->lso |= KVMB_LSO_IPV6;
		ip->payload_len = 0;
		tcp_hdr(skb)->check = ~csum_ipv6_magic(&ip->saddr, &ip->daddr, 0, IPPROTO_TCP, 0);
	}
	return 0;
}

static int mark_csum(struct sk_buff *skb, struct kvmb_rndis_out *o)
{
	u8 proto = 0;

	if (skb->protocol == htons(ETH_P_IP)) {
		o->csum = KVMB_TX_CSUM_IPV4;
		proto = ip_hdr(skb)->protocol;
	} else if (skb->protocol == htons(ETH_P_IPV6)) {
		o->csum = KVMB_TX_CSUM_IPV6;
		proto = ipv6_hdr(skb)->nexthdr;
	}
	if (proto == IPPROTO_TCP) {
		o->csum |= KVMB_TX_CSUM_TCP | (u32)skb_transport_offset(skb) << 16;
		return 0;
	}
	if (proto == IPPROTO_UDP) {
		o->csum |= KVMB_TX_CSUM_UDP | (u32)skb_transport_offset(skb) << 16;
		return 0;
	}
	o->csum = 0;
	return skb_checksum_help(skb);
}

static int send_copied(struct net_queue *q, struct sk_buff *skb, struct kvmb_rndis_out *o,
		       u32 section, int slot)
{
	struct net_nic *nic = q->nic;
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	u8 *to = nic->send + (size_t)section * nic->send_section;
	u32 n = kvmb_rndis_header(o, to);

	skb_copy_bits(skb, 0, to + n, skb->len);
	m.u.rndis.section_index = cpu_to_le32(section);
	m.u.rndis.section_size = cpu_to_le32(n + skb->len);
	q->slots[slot].section = section;
	show_slot(q, slot);
	return kvmb_put(q->ch, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, id_of(q, slot), NULL, 0, &m,
			sizeof(m));
}

struct ranges { /* header of a GPA-direct packet in the making */
	u8 buf[sizeof(struct kvmb_wire_gpa_direct) +
	       MAX_TX_RANGES * sizeof(struct kvmb_wire_gparange) +
	       MAX_TX_PFNS * sizeof(__le64)] __aligned(8);
	u32 len, num;
};

static int put_range(struct ranges *r, u64 pfn, u32 off, u32 len)
{
	struct kvmb_wire_gparange *w = (void *)(r->buf + r->len);
	u32 pages, i;

	pfn += off >> KVMB_PAGE_SHIFT;
	off &= KVMB_PAGE_SIZE - 1;
	pages = (off + len + KVMB_PAGE_SIZE - 1) >> KVMB_PAGE_SHIFT;
	if (r->num == MAX_TX_RANGES ||
	    r->len + sizeof(*w) + pages * sizeof(__le64) > sizeof(r->buf))
		return -EMSGSIZE;
	w->byte_count = cpu_to_le32(len);
	w->byte_offset = cpu_to_le32(off);
	for (i = 0; i < pages; i++)
		w->pfns[i] = cpu_to_le64(pfn + i);
	r->len += sizeof(*w) + pages * sizeof(__le64);
	r->num++;
	return 0;
}

static int send_pages(struct net_queue *q, struct sk_buff *skb, struct kvmb_rndis_out *o, int slot)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT) };
	struct kvmb_wire_gpa_direct d = { 0 };
	struct ranges r;
	u32 n = kvmb_rndis_header_len(o);
	u8 *head = skb->data - n; /* headroom, private since skb_cow_head() */
	int i, err;

	kvmb_rndis_header(o, head);
	r.len = sizeof(d);
	r.num = 0;
	err = put_range(&r, virt_to_phys(head) >> KVMB_PAGE_SHIFT, offset_in_page(head),
			n + skb_headlen(skb));
	for (i = 0; !err && i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *f = &skb_shinfo(skb)->frags[i];

		err = put_range(&r, page_to_pfn(skb_frag_page(f)), skb_frag_off(f),
				skb_frag_size(f));
	}
	if (err)
		return err;
	d.range_count = cpu_to_le32(r.num);
	memcpy(r.buf, &d, sizeof(d));
	m.u.rndis.section_index = cpu_to_le32(KVMB_NVSP_NO_SECTION);
	q->slots[slot].skb = skb;
	show_slot(q, slot);
	return kvmb_put(q->ch, KVMB_PKT_GPA_DIRECT, KVMB_PKT_FLAG_COMPLETE, id_of(q, slot), r.buf,
			r.len, &m, sizeof(m));
}

/*
 * It did not go out. Return: whether the slot is still ours, and with it the frame; else NAPI has
 * had both
 */
static bool unsend(struct net_queue *q, int slot)
{
	struct net_slot *s = &q->slots[slot];

	/* not by what is in it, which NAPI has taken out when it was quicker */
	if (q->shown && !unshow_slot(s, s->use & ~NET_SENT))
		return false;
	give_section(q, s);
	s->skb = NULL;
	untake_slot(q);
	return true;
}

static int describe(const struct net_nic *nic, struct sk_buff *skb, struct kvmb_rndis_out *o)
{
	o->data_len = skb->len;
	if (skb_vlan_tag_present(skb)) {
		o->has_vlan = true;
		o->vlan_tci = skb_vlan_tag_get(skb);
	}
	if (nic->num_queues > 1) {
		o->has_hash = true;
		o->hash = skb_get_hash_raw(skb);
	}
	if (skb_is_gso(skb))
		return mark_lso(skb, o);
	return skb->ip_summed == CHECKSUM_PARTIAL ? mark_csum(skb, o) : 0;
}

/* Into the ring, not shown yet. Return: 0; -EAGAIN: no room; -errno: drop it */
static int put_frame(struct net_queue *q, struct sk_buff *skb, struct kvmb_rndis_out *o,
		     bool *copied)
{
	u32 section = KVMB_NVSP_NO_SECTION;
	int slot = take_slot(q), err;

	if (slot < 0)
		return -EAGAIN;
	if (kvmb_rndis_header_len(o) + skb->len <= q->nic->send_section)
		section = take_section(q);
	*copied = section != KVMB_NVSP_NO_SECTION;
	if (*copied)
		err = send_copied(q, skb, o, section, slot);
	else if (skb_cow_head(skb, KVMB_RNDIS_HEAD_MAX))
		err = -ENOMEM;
	else
		err = send_pages(q, skb, o, slot);
	/* more pieces than a packet has ranges, which another try would not change */
	if (err == -EMSGSIZE && !skb_linearize(skb))
		err = send_pages(q, skb, o, slot);
	if (err && !unsend(q, slot))
		err = 0; /* a host that lies has answered it already */
	return err;
}

/* What was put is shown to the host, with one signal for all if it wants one */
static void show(struct net_queue *q)
{
	if (q->unshown) {
		q->unshown = 0;
		kvmb_flush(q->ch);
	}
}

netdev_tx_t kvmb_net_xmit(struct sk_buff *skb, struct net_device *ndev)
{
	struct net_nic *nic = *(struct net_nic **)netdev_priv(ndev);
	u16 index = skb_get_queue_mapping(skb);
	struct netdev_queue *txq = netdev_get_tx_queue(ndev, index);
	u32 len = skb->len, segs = max_t(u32, 1, skb_shinfo(skb)->gso_segs);
	bool copied = false, more = netdev_xmit_more();
	struct kvmb_rndis_out o = { 0 };
	struct net_queue *q;
	int err;

	/* it may be woken by a completion that comes while the NIC stops */
	if (unlikely(!smp_load_acquire(&nic->sending))) {
		netif_tx_stop_queue(txq);
		return NETDEV_TX_BUSY;
	}
	q = READ_ONCE(nic->queues[index]);
	if (unlikely(!q))
		goto drop;
	err = describe(nic, skb, &o);
	if (!err)
		err = put_frame(q, skb, &o, &copied);
	if (err == -EAGAIN)
		goto busy;
	if (err)
		goto drop;
	q->unshown++;
	u64_stats_update_begin(&q->stats.tx_sync);
	q->stats.tx_packets += segs;
	q->stats.tx_bytes += len;
	q->stats.tx_copied += copied;
	u64_stats_update_end(&q->stats.tx_sync);
	if (copied)
		dev_consume_skb_any(skb);
	stop_if_full(q);
	/*
	 * another follows, and is ours to send while the queue is not stopped: it is stopped under
	 * this lock only
	 */
	if (!more || q->unshown >= NET_UNSHOWN_MAX || netif_xmit_stopped(txq))
		show(q);
	return NETDEV_TX_OK;

busy:
	q->stats.tx_full++;
	netif_tx_stop_queue(txq);
	smp_mb();
	show(q);
	if (slots_free(q, true) == NET_SLOTS)
		netif_tx_wake_queue(txq);
	return NETDEV_TX_BUSY;
drop:
	atomic_long_inc(&nic->tx_dropped);
	dev_kfree_skb_any(skb);
	if (q && !more)
		show(q);
	return NETDEV_TX_OK;
}

/* ---- in ---- */

/*
 * A large frame's bytes go to pieces of the queue's page, 32 KiB where they can be had, single
 * pages where not: 64 KiB in one piece may not be had, and more than that takes 128.
 */
static struct sk_buff *new_skb(struct net_queue *q, u32 total)
{
	u32 linear = total <= 2 * PAGE_SIZE ? total : LINEAR, left = total - linear;
	struct sk_buff *skb = napi_alloc_skb(&q->napi, linear);
	struct page_frag *pf = &q->frag;

	if (skb)
		__skb_put(skb, linear); /* before there are fragments */
	while (skb && left) {
		u32 n = min_t(u32, left, PAGE_SIZE), at;
		struct page *page;

		if (skb_shinfo(skb)->nr_frags == MAX_SKB_FRAGS ||
		    !skb_page_frag_refill(n, pf, GFP_ATOMIC)) {
			kfree_skb(skb);
			return NULL;
		}
		n = min_t(u32, left, pf->size - pf->offset);
		page = pf->page;
		at = pf->offset;
		pf->offset += n;
		if (pf->offset == pf->size)
			pf->page = NULL; /* the last piece has our own reference */
		else
			get_page(page);
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, at, n, n);
		left -= n;
	}
	return skb;
}

/*
 * A host that coalesced frames vouches for their IP header, and leaves its checksum as it was in
 * the first
 */
static void fill_ip_csum(struct sk_buff *skb)
{
	struct iphdr *ip = (struct iphdr *)skb->data;

	if (skb->protocol != htons(ETH_P_IP) || skb_headlen(skb) < sizeof(*ip) || ip->ihl < 5 ||
	    skb_headlen(skb) < ip->ihl * 4u)
		return;
	ip->check = 0;
	ip->check = ip_fast_csum(ip, ip->ihl);
}

static void deliver(struct net_queue *q, const u8 *const *data, const u32 *len, u32 num, u32 total,
		    const struct kvmb_rndis_frame *f)
{
	struct net_device *ndev = q->nic->ndev;
	struct sk_buff *skb = new_skb(q, total);
	u32 i, off = 0;

	if (!skb) {
		q->stats.rx_no_memory++;
		return;
	}
	for (i = 0; i < num; i++) {
		skb_store_bits(skb, off, data[i], len[i]); /* the one copy; only it is looked at */
		off += len[i];
	}
	if (f->has_vlan)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), f->vlan_tci);
	skb_checksum_none_assert(skb);
	if (ndev->features & NETIF_F_RXCSUM &&
	    f->marks.csum & (KVMB_RX_CSUM_TCP_OK | KVMB_RX_CSUM_UDP_OK))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (f->seen & 1u << KVMB_PPI_HASH && ndev->features & NETIF_F_RXHASH)
		skb_set_hash(skb, f->hash, PKT_HASH_TYPE_L4);
	skb_record_rx_queue(skb, q->index);
	skb->protocol = eth_type_trans(skb, ndev);
	if (f->marks.csum & KVMB_RX_CSUM_IP_INVALID && f->marks.csum & KVMB_RX_CSUM_IP_OK)
		fill_ip_csum(skb);
	u64_stats_update_begin(&q->stats.rx_sync);
	q->stats.rx_packets++;
	q->stats.rx_bytes += total;
	q->stats.rx_coalesced += num > 1;
	u64_stats_update_end(&q->stats.rx_sync);
	napi_gro_receive(&q->napi, skb);
}

/* A part of a coalesced frame. Return: false when it fits nothing. */
static bool rsc_part(struct net_queue *q, const u8 *data, const struct kvmb_rndis_frame *f)
{
	if (f->rsc & KVMB_RSC_FIRST) {
		q->rsc.open = true;
		q->rsc.num = 0;
		q->rsc.total = 0;
		q->rsc.first = *f;
	}
	if (!q->rsc.open || q->rsc.num == NET_RSC_PARTS || f->data_len > FRAME_MAX - q->rsc.total) {
		q->rsc.open = false;
		return false;
	}
	q->rsc.data[q->rsc.num] = data;
	q->rsc.len[q->rsc.num++] = f->data_len;
	q->rsc.total += f->data_len;
	if (f->rsc & KVMB_RSC_LAST) {
		q->rsc.open = false;
		if (q->rsc.total < ETH_HLEN)
			return false;
		deliver(q, q->rsc.data, q->rsc.len, q->rsc.num, q->rsc.total, &q->rsc.first);
	}
	return true;
}

/*
 * One RNDIS message at @data, @len bytes, in the receive buffer. Return: false when it is broken.
 */
static bool message(struct net_queue *q, const u8 *data, u32 len)
{
	u8 hdr[KVMB_RNDIS_HDR_COPY];
	struct kvmb_rndis_frame f;
	u32 n = min_t(u32, len, sizeof(hdr));
	__le32 type;

	if (n < sizeof(struct kvmb_wire_rndis))
		return false;
	memcpy(hdr, data, n);
	memcpy(&type, hdr, sizeof(type));
	if (le32_to_cpu(type) != KVMB_RNDIS_PACKET) { /* control: through a private copy, whole */
		if (q->index || len > sizeof(q->nic->control))
			return false;
		memcpy(q->nic->control, data, len);
		kvmb_rndis_received(q->nic, q->nic->control, len);
		return true;
	}
	if (kvmb_rndis_packet(hdr, n, len, &f))
		return false;
	if (!netif_running(q->nic->ndev))
		return true;
	data += f.data_offset;
	if (f.rsc & KVMB_RSC_PART)
		return rsc_part(q, data, &f);
	if (f.data_len < ETH_HLEN || f.data_len > FRAME_MAX)
		return false;
	deliver(q, &data, &f.data_len, 1, f.data_len, &f);
	return true;
}

/* The host gets its sections back, many at a time. Return: true when nothing waits any more */
bool kvmb_net_flush_done(struct net_queue *q)
{
	static const __le32 m[2] = { cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE),
				     cpu_to_le32(KVMB_NVSP_STAT_SUCCESS) };
	u32 n;
	int put;

	while (q->done_num) {
		/* interrupts are off meanwhile */
		n = min3(q->done_num, q->done_size - q->done_head, 64u);
		put = kvmb_complete(q->ch, q->done + q->done_head, n, m, sizeof(m));
		if (put < 0)
			put = n; /* its host is gone, or will not be spoken to again */
		q->done_head = (q->done_head + put) % q->done_size;
		q->done_num -= put;
		if (put < (int)n)
			return false;
	}
	return true;
}

/* A packet of frames. Return: how many. */
u32 kvmb_net_receive(struct net_queue *q, const struct kvmb_pkt *pkt)
{
	const struct kvmb_wire_xfer_range *ranges;
	struct net_nic *nic = q->nic;
	u32 num, i, off, len, end;
	u16 set;

	if (kvmb_pkt_xfer_ranges(pkt, NET_MAX_RANGES, &set, &ranges, &num) ||
	    set != KVMB_NVSP_RECV_BUF_ID || pkt->payload_len < 8 || !nic->recv_num) {
		q->stats.rx_errors++;
		return 0;
	}
	q->rsc.open = false;
	for (i = 0; i < num; i++) {
		off = le32_to_cpu(ranges[i].byte_offset);
		len = le32_to_cpu(ranges[i].byte_count);
		if (check_add_overflow(off, len, &end) || end > nic->recv_gpadl.size ||
		    !message(q, nic->recv + off, len))
			q->stats.rx_errors++;
	}
	/*
	 * the parts of a frame lie in one packet: the host may write there again, and is told so
	 * after the batch
	 */
	if (q->done_num < q->done_size) {
		q->done[(q->done_head + q->done_num) % q->done_size] = pkt->trans_id;
		q->done_num++;
	} else {
		kvmb_chan_fail(q->ch, "more packets are out than there are sections");
	}
	return num;
}
