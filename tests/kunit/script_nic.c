// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scripted NIC: what it does is told in the header. Wire facts: vmbus-core/proto/{net,rndis}.h.
 */
#include "tests/kunit/script_nic.h"

#include <linux/delay.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <net/net_namespace.h>

static const struct kvmb_guid net_type = KVMB_NET_TYPE_GUID;
const u8 host_mac[ETH_ALEN] = { 0, 0x15, 0x5d, 9, 9, 9 };

struct script_nic script_nic;
/* the host's worker against a test that speaks for the host: buffers, next */
static DEFINE_MUTEX(vsp_lock);

/* ---- the host's half ---- */

struct host_chan *nic_chan(void)
{
	return host_chan_of(RELID);
}

int nic_put_ranges(struct host_chan *c, u16 set, const u32 (*r)[2], u32 num)
{
	static const __le32 nvsp[2] = { KVMB_NVSP_SEND_RNDIS_PKT, 0 };
	struct {
		struct kvmb_wire_xfer_pages h;
		struct kvmb_wire_xfer_range r[8];
	} x = { .h.set_id = cpu_to_le16(set), .h.range_count = cpu_to_le32(num) };
	u32 i;

	for (i = 0; i < num && i < ARRAY_SIZE(x.r); i++) {
		x.r[i].byte_offset = cpu_to_le32(r[i][0]);
		x.r[i].byte_count = cpu_to_le32(r[i][1]);
	}
	atomic_inc(&script_nic.given);
	return host_put(c, KVMB_PKT_XFER_PAGES, KVMB_PKT_FLAG_COMPLETE,
			0x5000 + atomic_read(&script_nic.given), &x,
			8 + 8 * min_t(u32, num, ARRAY_SIZE(x.r)), nvsp, sizeof(nvsp));
}

/* One RNDIS message through the next sections of the receive buffer; vsp_lock */
static void put_message(struct host_chan *c, const void *msg, u32 len)
{
	u32 sections = DIV_ROUND_UP(len, SECTION), r[1][2];

	if (!script_nic.recv || sections > script_nic.num)
		return;
	if (script_nic.next + sections > script_nic.num)
		script_nic.next = 0;
	r[0][0] = script_nic.next * SECTION;
	r[0][1] = len;
	memcpy(script_nic.recv + r[0][0], msg, len);
	script_nic.next += sections;
	nic_put_ranges(c, KVMB_NVSP_RECV_BUF_ID, r, 1);
}

void nic_say(struct host_chan *c, const void *msg, u32 len)
{
	mutex_lock(&vsp_lock);
	put_message(c, msg, len);
	mutex_unlock(&vsp_lock);
}

/* Return: length of the answer's information, which lies in @info; -1: no such OID */
static int query_answer(u32 oid, u8 *info)
{
	struct kvmb_wire_ndis_offload o = { .h = { KVMB_NDIS_OFFLOAD, KVMB_NDIS_OFFLOAD_REV,
						   cpu_to_le16(sizeof(o)) } };
	struct kvmb_wire_ndis_rss_caps c = { .h = { KVMB_NDIS_RSS_CAPS, KVMB_NDIS_RSS_REV,
						    cpu_to_le16(sizeof(c)) } };
	const u32 csum = KVMB_NDIS_CSUM_TCP | KVMB_NDIS_CSUM_TCP_OPTIONS | KVMB_NDIS_CSUM_UDP;
	__le32 w = 0;

	switch (oid) {
	case KVMB_OID_802_3_PERMANENT_ADDRESS:
		memcpy(info, (const u8[]){ 0, 0x15, 0x5d, 1, 2, 3 }, ETH_ALEN);
		return ETH_ALEN;
	case KVMB_OID_GEN_MAXIMUM_FRAME_SIZE:
		w = cpu_to_le32(script_nic.mtu);
		break;
	case KVMB_OID_GEN_MEDIA_CONNECT_STATUS:
		break;
	case KVMB_OID_GEN_LINK_SPEED:
		w = cpu_to_le32(100000000);
		break;
	case KVMB_OID_TCP_OFFLOAD_HW_CAPS:
		o.csum.ip4_tx = o.csum.ip6_tx = o.csum.ip4_rx = o.csum.ip6_rx = cpu_to_le32(csum);
		o.lsov2.ip4_encap = o.lsov2.ip6_encap = cpu_to_le32(KVMB_NDIS_ENCAP_802_3);
		o.lsov2.ip4_max = o.lsov2.ip6_max = cpu_to_le32(65536);
		o.lsov2.ip6_options = cpu_to_le32(5);
		o.rsc_ip4 = o.rsc_ip6 = 1;
		memcpy(info, &o, sizeof(o));
		return sizeof(o);
	case KVMB_OID_GEN_RECEIVE_SCALE_CAPS:
		c.num_queues = c.num_vectors = cpu_to_le32(script_nic.queues);
		c.table_entries = cpu_to_le16(128);
		memcpy(info, &c, sizeof(c));
		return sizeof(c);
	default:
		return -1;
	}
	memcpy(info, &w, sizeof(w));
	return sizeof(w);
}

static void on_control(struct host_chan *c, const u8 *msg)
{
	static u8 a[1024] __aligned(8); /* host.wq */
	struct kvmb_wire_rndis h, *ah = (void *)a;
	struct kvmb_wire_rndis_request q;
	struct kvmb_wire_rndis_init_complete *init = (void *)(a + HDR);
	struct kvmb_wire_rndis_query_complete *query = (void *)(a + HDR);
	u32 type, len;
	int n;

	memcpy(&h, msg, sizeof(h));
	memcpy(&q, msg + HDR, sizeof(q));
	type = le32_to_cpu(h.type);
	script_nic.requests[type & 7]++;
	if (type == script_nic.mute_rndis || type == KVMB_RNDIS_HALT)
		return;
	memset(a, 0, sizeof(a));
	query->id = q.id;
	switch (type) {
	case KVMB_RNDIS_INIT:
		init->major = cpu_to_le32(1);
		init->max_packets = cpu_to_le32(8);
		init->max_transfer = cpu_to_le32(0x4000);
		init->alignment = cpu_to_le32(3);
		len = HDR + sizeof(*init);
		break;
	case KVMB_RNDIS_QUERY:
		n = query_answer(le32_to_cpu(q.oid), a + HDR + sizeof(*query));
		if (n < 0)
			query->status = cpu_to_le32(KVMB_RNDIS_STATUS_NOT_SUPPORTED);
		query->buf_len = cpu_to_le32(max(n, 0));
		query->buf_offset = cpu_to_le32(sizeof(*query));
		len = HDR + sizeof(*query) + max(n, 0);
		break;
	default:
		len = HDR + sizeof(struct kvmb_wire_rndis_set_complete);
		break;
	}
	ah->type = cpu_to_le32(type | KVMB_RNDIS_COMPLETE);
	ah->len = cpu_to_le32(len);
	if (!script_nic.twist_rndis || script_nic.twist_rndis(a, &len, type, le32_to_cpu(q.oid)))
		put_message(c, a, len);
}

/* A frame with a header for the guest around it; vsp_lock */
static void put_frame(struct host_chan *c, const u8 *frame, u32 len,
		      const struct kvmb_rndis_out *how)
{
	struct kvmb_rndis_out o = how ? *how : (struct kvmb_rndis_out){ 0 };
	static u8 m[66000];
	u32 n;

	o.data_len = len;
	n = kvmb_rndis_header(&o, m);
	memcpy(m + n, frame, len);
	put_message(c, m, n + len);
}

void nic_frame(struct host_chan *c, const u8 *frame, u32 len, const struct kvmb_rndis_out *how)
{
	mutex_lock(&vsp_lock);
	put_frame(c, frame, len, how);
	mutex_unlock(&vsp_lock);
}

static void on_rndis(struct host_chan *c, const struct kvmb_pkt *pkt,
		     const struct kvmb_wire_nvsp *m)
{
	u32 section = le32_to_cpu(m->u.rndis.section_index);
	u32 len = le32_to_cpu(m->u.rndis.section_size), i;
	__le32 done[2] = { cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE),
			   cpu_to_le32(script_nic.done_status ?: KVMB_NVSP_STAT_SUCCESS) };
	bool control = le32_to_cpu(m->u.rndis.channel_type) == KVMB_NVSP_CHANNEL_CONTROL;
	struct kvmb_rndis_frame f;

	if (section == KVMB_NVSP_NO_SECTION)
		len = host_copy(pkt, script_nic.msg, sizeof(script_nic.msg), false);
	else if (script_nic.send)
		memcpy(script_nic.msg, script_nic.send + section * SECTION, len);
	else
		return;
	for (i = 0; i < (control ? 1 : max(script_nic.copies, 1u)); i++)
		host_put(c, KVMB_PKT_COMPLETION, 0,
			 pkt->trans_id ^ (control ? 0 : script_nic.xor_id), NULL, 0, done,
			 sizeof(done));
	if (control) {
		on_control(c, script_nic.msg);
	} else if (!kvmb_rndis_packet(script_nic.msg, min(len, KVMB_RNDIS_HDR_COPY), len, &f) &&
		   script_nic.msg[f.data_offset + 12] == TEST_PROTO >> 8) {
		/* not what the network stack sends by itself */
		script_nic.came_by = c->relid;
		atomic_inc(&script_nic.frames);
		if (script_nic.echo)
			put_frame(c, script_nic.msg + f.data_offset, f.data_len, NULL);
	}
}

static void on_nvsp(struct host_chan *c, const struct kvmb_pkt *pkt);

static void on_packet(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	mutex_lock(&vsp_lock);
	on_nvsp(c, pkt);
	mutex_unlock(&vsp_lock);
}

static void on_nvsp(struct host_chan *c, const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_nvsp m = { 0 }, a = { 0 };
	u32 type, len = sizeof(a), status, i;

	if (pkt->type == KVMB_PKT_COMPLETION) {
		atomic_inc(&script_nic.given_back);
		return;
	}
	memcpy(&m, pkt->payload, min_t(u32, pkt->payload_len, sizeof(m)));
	type = le32_to_cpu(m.type);
	if (type == KVMB_NVSP_SEND_RNDIS_PKT) {
		on_rndis(c, pkt, &m);
		return;
	}
	if (type == script_nic.mute || !(pkt->flags & KVMB_PKT_FLAG_COMPLETE))
		return;
	a.type = cpu_to_le32(type + 1);
	switch (type) {
	case KVMB_NVSP_INIT:
		a.u.init_complete.max_mdl_chain = cpu_to_le32(34);
		status = le32_to_cpu(m.u.init.max_version) <= script_nic.newest ?
				 KVMB_NVSP_STAT_SUCCESS :
				 KVMB_NVSP_STAT_TOO_NEW;
		a.u.init_complete.status = cpu_to_le32(status);
		break;
	case KVMB_NVSP_SEND_RECV_BUF:
		script_nic.recv = host_map(le32_to_cpu(m.u.buf.gpadl), &script_nic.recv_size);
		script_nic.num = script_nic.recv_size / SECTION;
		a.u.recv_buf_complete.status = cpu_to_le32(KVMB_NVSP_STAT_SUCCESS);
		a.u.recv_buf_complete.num_sections = cpu_to_le32(1);
		a.u.recv_buf_complete.sub_alloc_size = cpu_to_le32(SECTION);
		a.u.recv_buf_complete.num_sub_allocs = cpu_to_le32(script_nic.num);
		break;
	case KVMB_NVSP_SEND_SEND_BUF:
		script_nic.send = host_map(le32_to_cpu(m.u.buf.gpadl), &script_nic.send_size);
		a.u.send_buf_complete.status = cpu_to_le32(KVMB_NVSP_STAT_SUCCESS);
		a.u.send_buf_complete.section_size = cpu_to_le32(SECTION);
		break;
	case KVMB_NVSP_SUBCHANNEL:
		a.type = m.type;
		a.u.subchannel_complete.status = cpu_to_le32(KVMB_NVSP_STAT_SUCCESS);
		a.u.subchannel_complete.num = m.u.subchannel.num;
		break;
	}
	if (!script_nic.twist || script_nic.twist(&a, &len, type))
		host_put(c, KVMB_PKT_COMPLETION, 0, pkt->trans_id, NULL, 0, &a, len);
	for (i = 1; type == KVMB_NVSP_SUBCHANNEL && i <= script_nic.subs; i++)
		nic_offer_sub(RELID + i, i);
}

static void forget_buffers(void)
{
	mutex_lock(&vsp_lock);
	script_nic.recv = script_nic.send = NULL;
	mutex_unlock(&vsp_lock);
}

/*
 * A host takes sub-channels away when their primary is closed; its buffers are the guest's again.
 */
static bool on_close(u32 type, const u8 *msg, u32 len)
{
	const struct kvmb_wire_relid *m = (const void *)msg;
	u32 i;

	if (type == KVMB_MSG_CLOSE && le32_to_cpu(m->relid) == RELID) {
		forget_buffers();
		for (i = 1; i <= script_nic.subs; i++)
			host_take_back(RELID + i);
	}
	return false;
}

/* ---- helpers ---- */

struct net_device *nic_find(void)
{
	struct net_device *ndev, *found = NULL;

	rtnl_lock();
	for_each_netdev(&init_net, ndev) {
		if (ndev->dev.parent && ndev->dev.parent->bus &&
		    !strcmp(ndev->dev.parent->bus->name, "kvmbus")) {
			dev_hold(ndev);
			found = ndev;
			break;
		}
	}
	rtnl_unlock();
	return found;
}

void nic_plug_in(void)
{
	nic_chan()->on_packet = on_packet;
	host_offer(RELID, &net_type, 1, 0);
	host_settle();
}

void nic_offer_sub(u32 relid, u16 index)
{
	host_chan_of(relid)->on_packet = on_packet;
	host_offer(relid, &net_type, 1, index);
}

void nic_rescind(void)
{
	forget_buffers();
	host_rescind(RELID);
}

void nic_take_out(void)
{
	nic_rescind();
	host_settle();
	host_reset();
	host_script.says = on_close;
}

struct net_device *nic_up(void)
{
	struct net_device *ndev;
	int err;

	nic_plug_in();
	ndev = nic_find();
	if (!ndev)
		return NULL;
	rtnl_lock();
	err = dev_open(ndev, NULL);
	rtnl_unlock();
	if (err) {
		dev_put(ndev);
		return NULL;
	}
	return ndev;
}

struct nic_heard nic_heard;

u32 nic_sum(const u8 *p, u32 len)
{
	u32 s = 1, i;

	for (i = 0; i < len; i++)
		s = s * 31 + p[i];
	return s;
}

static int hear(struct sk_buff *skb, struct net_device *ndev, struct packet_type *pt,
		struct net_device *orig)
{
	nic_heard.len = skb->len;
	if (!skb_linearize(skb))
		nic_heard.sum = nic_sum(skb->data, skb->len);
	nic_heard.unnecessary = skb->ip_summed == CHECKSUM_UNNECESSARY;
	nic_heard.tci = skb_vlan_tag_present(skb) ? skb_vlan_tag_get(skb) : 0;
	smp_mb__before_atomic(); /* the rest is there before it counts */
	atomic_inc(&nic_heard.num);
	kfree_skb(skb);
	return 0;
}

static struct packet_type listener = { .type = cpu_to_be16(TEST_PROTO), .func = hear };

bool nic_heard_more(int before)
{
	int i;

	for (i = 0; i < 10000 && atomic_read(&nic_heard.num) <= before; i++)
		msleep(2);
	return atomic_read(&nic_heard.num) > before;
}

void nic_make_frame(u8 *frame, u32 len, const u8 *to, const u8 *from, u8 seed)
{
	u32 i;

	memcpy(frame, to, ETH_ALEN);
	memcpy(frame + ETH_ALEN, from, ETH_ALEN);
	frame[12] = TEST_PROTO >> 8;
	frame[13] = TEST_PROTO & 0xff;
	for (i = ETH_HLEN; i < len; i++)
		frame[i] = i * 7 + seed;
}

int nic_transmit(struct net_device *ndev, u32 len, u8 seed)
{
	struct sk_buff *skb = alloc_skb(LL_RESERVED_SPACE(ndev) + len, GFP_KERNEL);

	if (!skb)
		return -ENOMEM;
	skb_reserve(skb, LL_RESERVED_SPACE(ndev));
	skb_reset_mac_header(skb);
	nic_make_frame(skb_put(skb, len), len, ndev->dev_addr, host_mac, seed);
	skb->protocol = cpu_to_be16(TEST_PROTO);
	skb_set_network_header(skb, ETH_HLEN);
	skb->dev = ndev;
	return dev_queue_xmit(skb);
}

bool nic_still_hears(struct net_device *ndev)
{
	static u8 frame[200];
	int before = atomic_read(&nic_heard.num), i;

	nic_make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 9);
	nic_frame(nic_chan(), frame, sizeof(frame), NULL);
	for (i = 0; i < 10000; i++) { /* others may still be on their way before it */
		if (atomic_read(&nic_heard.num) > before &&
		    nic_heard.len == sizeof(frame) - ETH_HLEN &&
		    nic_heard.sum == nic_sum(frame + ETH_HLEN, sizeof(frame) - ETH_HLEN))
			return true;
		msleep(2);
	}
	return false;
}

u64 nic_counter(struct net_device *ndev, const char *name)
{
	const struct ethtool_ops *ops = ndev->ethtool_ops;
	u64 *data, v = ~0ull;
	u8 *names;
	int n, i;

	rtnl_lock();
	n = ops->get_sset_count(ndev, ETH_SS_STATS);
	data = kcalloc(n, sizeof(*data), GFP_KERNEL);
	names = kcalloc(n, ETH_GSTRING_LEN, GFP_KERNEL);
	if (data && names) {
		ops->get_strings(ndev, ETH_SS_STATS, names);
		ops->get_ethtool_stats(ndev, NULL, data);
		for (i = 0; i < n; i++) {
			if (!strcmp(names + i * ETH_GSTRING_LEN, name))
				v = data[i];
		}
	}
	rtnl_unlock();
	kfree(data);
	kfree(names);
	return v;
}

int nic_init(struct kunit *test)
{
	host_reset();
	memset(&script_nic, 0, sizeof(script_nic));
	script_nic.newest = KVMB_NVSP_V61;
	script_nic.queues = 1;
	script_nic.mtu = 1500;
	host_script.says = on_close;
	dev_add_pack(&listener);
	return 0;
}

void nic_exit(struct kunit *test)
{
	dev_remove_pack(&listener);
	script_nic.twist = NULL;
	script_nic.twist_rndis = NULL;
	script_nic.mute = script_nic.mute_rndis = 0;
	nic_take_out();
}

struct nic_lie nic_lie;

bool nic_twist(struct kvmb_wire_nvsp *m, u32 *len, u32 type)
{
	__le32 *w = (void *)m;

	if (type != nic_lie.type)
		return true;
	if (nic_lie.len)
		*len = nic_lie.len;
	else
		w[nic_lie.at] = cpu_to_le32(nic_lie.word);
	return true;
}
