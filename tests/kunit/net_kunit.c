// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_net against a NIC that a test scripts: threats class G02. Wire facts: vmbus-core/proto/{net,rndis}.h. */
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/prandom.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <net/net_namespace.h>

#include "tests/cases/rndis_table.h"
#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"
#include "vmbus-core/proto/net.h"
#include "vmbus-core/rndis.h"

#define RELID 7u
#define MAX_SUBS 8u
#define TEST_PROTO 0x88b5 /* local experimental EtherType: nobody else listens */
#define SECTION 4096u
#define HDR ((u32)sizeof(struct kvmb_wire_rndis))

static const struct kvmb_guid net_type = KVMB_NET_TYPE_GUID;
static const u8 host_mac[ETH_ALEN] = { 0, 0x15, 0x5d, 9, 9, 9 };

/* The NIC; what it does by itself is what a host does */
static struct {
	u32 newest;		/* NVSP version that it takes */
	u32 mute;		/* NVSP message without an answer, 0: none */
	u32 mute_rndis;		/* RNDIS request without one */
	/* before an answer goes out; false: it does not */
	bool (*twist)(struct kvmb_wire_nvsp *m, u32 *len, u32 type);
	bool (*twist_rndis)(u8 *msg, u32 *len, u32 type, u32 oid);
	bool echo;		/* frames come back */
	u32 copies;		/* of each completion of a frame; 0 is 1 */
	u64 xor_id;		/* of each completion of a frame */
	u32 done_status;	/* of each frame; 0: success */
	u32 queues;		/* that it has */
	u32 subs;		/* that it offers when asked, whatever it was asked */
	u32 mtu;

	u8 *recv, *send;	/* the guest's buffers, mapped */
	u32 recv_size, send_size, num, next;
	atomic_t frames, given, given_back; /* from the guest; packets to it; their completions */
	u32 requests[8];	/* RNDIS, by type */
	u8 msg[66000];		/* the last message, of the host's worker */
} vsp;
static DEFINE_MUTEX(vsp_lock); /* the host's worker against a test that speaks for the host: buffers, next */

/* ---- the host's half ---- */

static struct host_chan *chan(void)
{
	return host_chan_of(RELID);
}

/* A transfer-page packet of one range per entry */
static int put_ranges(struct host_chan *c, u16 set, const u32 (*r)[2], u32 num)
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
	atomic_inc(&vsp.given);
	return host_put(c, KVMB_PKT_XFER_PAGES, KVMB_PKT_FLAG_COMPLETE, 0x5000 + atomic_read(&vsp.given), &x,
			8 + 8 * min_t(u32, num, ARRAY_SIZE(x.r)), nvsp, sizeof(nvsp));
}

/* One RNDIS message through the next sections of the receive buffer; vsp_lock */
static void put_message(struct host_chan *c, const void *msg, u32 len)
{
	u32 sections = DIV_ROUND_UP(len, SECTION), r[1][2];

	if (!vsp.recv || sections > vsp.num)
		return;
	if (vsp.next + sections > vsp.num)
		vsp.next = 0;
	r[0][0] = vsp.next * SECTION;
	r[0][1] = len;
	memcpy(vsp.recv + r[0][0], msg, len);
	vsp.next += sections;
	put_ranges(c, KVMB_NVSP_RECV_BUF_ID, r, 1);
}

static void to_guest(struct host_chan *c, const void *msg, u32 len)
{
	mutex_lock(&vsp_lock);
	put_message(c, msg, len);
	mutex_unlock(&vsp_lock);
}

/* Return: length of the answer's information, which lies in @info; -1: no such OID */
static int query_answer(u32 oid, u8 *info)
{
	struct kvmb_wire_ndis_offload o = { .h = { KVMB_NDIS_OFFLOAD, KVMB_NDIS_OFFLOAD_REV, cpu_to_le16(sizeof(o)) } };
	struct kvmb_wire_ndis_rss_caps c = { .h = { KVMB_NDIS_RSS_CAPS, KVMB_NDIS_RSS_REV, cpu_to_le16(sizeof(c)) } };
	const u32 csum = KVMB_NDIS_CSUM_TCP | KVMB_NDIS_CSUM_TCP_OPTIONS | KVMB_NDIS_CSUM_UDP;
	__le32 w = 0;

	switch (oid) {
	case KVMB_OID_802_3_PERMANENT_ADDRESS:
		memcpy(info, (const u8[]){ 0, 0x15, 0x5d, 1, 2, 3 }, ETH_ALEN);
		return ETH_ALEN;
	case KVMB_OID_GEN_MAXIMUM_FRAME_SIZE:
		w = cpu_to_le32(vsp.mtu);
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
		c.num_queues = c.num_vectors = cpu_to_le32(vsp.queues);
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
	vsp.requests[type & 7]++;
	if (type == vsp.mute_rndis || type == KVMB_RNDIS_HALT)
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
	if (!vsp.twist_rndis || vsp.twist_rndis(a, &len, type, le32_to_cpu(q.oid)))
		put_message(c, a, len);
}

/* A frame with a header for the guest around it; vsp_lock */
static void put_frame(struct host_chan *c, const u8 *frame, u32 len, const struct kvmb_rndis_out *how)
{
	struct kvmb_rndis_out o = how ? *how : (struct kvmb_rndis_out){ 0 };
	static u8 m[66000];
	u32 n;

	o.data_len = len;
	n = kvmb_rndis_header(&o, m);
	memcpy(m + n, frame, len);
	put_message(c, m, n + len);
}

static void frame_to_guest(struct host_chan *c, const u8 *frame, u32 len, const struct kvmb_rndis_out *how)
{
	mutex_lock(&vsp_lock);
	put_frame(c, frame, len, how);
	mutex_unlock(&vsp_lock);
}

static void on_rndis(struct host_chan *c, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m)
{
	u32 section = le32_to_cpu(m->u.rndis.section_index), len = le32_to_cpu(m->u.rndis.section_size), i;
	__le32 done[2] = { cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE),
			   cpu_to_le32(vsp.done_status ?: KVMB_NVSP_STAT_SUCCESS) };
	bool control = le32_to_cpu(m->u.rndis.channel_type) == KVMB_NVSP_CHANNEL_CONTROL;
	struct kvmb_rndis_frame f;

	if (section == KVMB_NVSP_NO_SECTION)
		len = host_copy(pkt, vsp.msg, sizeof(vsp.msg), false);
	else if (vsp.send)
		memcpy(vsp.msg, vsp.send + section * SECTION, len);
	else
		return;
	for (i = 0; i < (control ? 1 : max(vsp.copies, 1u)); i++)
		host_put(c, KVMB_PKT_COMPLETION, 0, pkt->trans_id ^ (control ? 0 : vsp.xor_id), NULL, 0, done, sizeof(done));
	if (control) {
		on_control(c, vsp.msg);
	} else if (!kvmb_rndis_packet(vsp.msg, min(len, KVMB_RNDIS_HDR_COPY), len, &f) &&
		   vsp.msg[f.data_offset + 12] == TEST_PROTO >> 8) { /* not what the network stack sends by itself */
		atomic_inc(&vsp.frames);
		if (vsp.echo)
			put_frame(c, vsp.msg + f.data_offset, f.data_len, NULL);
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
	u32 type, len = sizeof(a), i;

	if (pkt->type == KVMB_PKT_COMPLETION) {
		atomic_inc(&vsp.given_back);
		return;
	}
	memcpy(&m, pkt->payload, min_t(u32, pkt->payload_len, sizeof(m)));
	type = le32_to_cpu(m.type);
	if (type == KVMB_NVSP_SEND_RNDIS_PKT) {
		on_rndis(c, pkt, &m);
		return;
	}
	if (type == vsp.mute || !(pkt->flags & KVMB_PKT_FLAG_COMPLETE))
		return;
	a.type = cpu_to_le32(type + 1);
	switch (type) {
	case KVMB_NVSP_INIT:
		a.u.init_complete.max_mdl_chain = cpu_to_le32(34);
		a.u.init_complete.status = cpu_to_le32(le32_to_cpu(m.u.init.max_version) <= vsp.newest ?
						       KVMB_NVSP_STAT_SUCCESS : KVMB_NVSP_STAT_TOO_NEW);
		break;
	case KVMB_NVSP_SEND_RECV_BUF:
		vsp.recv = host_map(le32_to_cpu(m.u.buf.gpadl), &vsp.recv_size);
		vsp.num = vsp.recv_size / SECTION;
		a.u.recv_buf_complete.status = cpu_to_le32(KVMB_NVSP_STAT_SUCCESS);
		a.u.recv_buf_complete.num_sections = cpu_to_le32(1);
		a.u.recv_buf_complete.sub_alloc_size = cpu_to_le32(SECTION);
		a.u.recv_buf_complete.num_sub_allocs = cpu_to_le32(vsp.num);
		break;
	case KVMB_NVSP_SEND_SEND_BUF:
		vsp.send = host_map(le32_to_cpu(m.u.buf.gpadl), &vsp.send_size);
		a.u.send_buf_complete.status = cpu_to_le32(KVMB_NVSP_STAT_SUCCESS);
		a.u.send_buf_complete.section_size = cpu_to_le32(SECTION);
		break;
	case KVMB_NVSP_SUBCHANNEL:
		a.type = m.type;
		a.u.subchannel_complete.status = cpu_to_le32(KVMB_NVSP_STAT_SUCCESS);
		a.u.subchannel_complete.num = m.u.subchannel.num;
		break;
	}
	if (!vsp.twist || vsp.twist(&a, &len, type))
		host_put(c, KVMB_PKT_COMPLETION, 0, pkt->trans_id, NULL, 0, &a, len);
	for (i = 1; type == KVMB_NVSP_SUBCHANNEL && i <= vsp.subs; i++) {
		host_chan_of(RELID + i)->on_packet = on_packet;
		host_offer(RELID + i, &net_type, 1, i);
	}
}

static void forget_buffers(void)
{
	mutex_lock(&vsp_lock);
	vsp.recv = vsp.send = NULL;
	mutex_unlock(&vsp_lock);
}

/* A host takes sub-channels away when their primary is closed; its buffers are the guest's again. */
static bool on_close(u32 type, const u8 *msg, u32 len)
{
	const struct kvmb_wire_relid *m = (const void *)msg;
	u32 i;

	if (type == KVMB_MSG_CLOSE && le32_to_cpu(m->relid) == RELID) {
		forget_buffers();
		for (i = 1; i <= vsp.subs; i++)
			host_take_back(RELID + i);
	}
	return false;
}

/* ---- helpers ---- */

static struct net_device *find_nic(void)
{
	struct net_device *ndev, *found = NULL;

	rtnl_lock();
	for_each_netdev(&init_net, ndev) {
		if (ndev->dev.parent && ndev->dev.parent->bus && !strcmp(ndev->dev.parent->bus->name, "kvmbus")) {
			dev_hold(ndev);
			found = ndev;
			break;
		}
	}
	rtnl_unlock();
	return found;
}

static void plug_in(void)
{
	chan()->on_packet = on_packet;
	host_offer(RELID, &net_type, 1, 0);
	host_settle();
}

/* The channel is taken back: what the host has mapped it leaves first */
static void rescind(void)
{
	forget_buffers();
	host_rescind(RELID);
}

static void take_out(void)
{
	rescind();
	host_settle();
	host_reset();
	host_script.says = on_close;
}

/* The NIC, up and running; NULL: it did not come */
static struct net_device *nic_up(void)
{
	struct net_device *ndev;
	int err;

	plug_in();
	ndev = find_nic();
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

static struct {
	atomic_t num;
	u32 len;
	u32 sum;
	bool unnecessary;
	u16 tci;
} heard;

static u32 sum_of(const u8 *p, u32 len)
{
	u32 s = 1, i;

	for (i = 0; i < len; i++)
		s = s * 31 + p[i];
	return s;
}

static int hear(struct sk_buff *skb, struct net_device *ndev, struct packet_type *pt, struct net_device *orig)
{
	heard.len = skb->len;
	if (!skb_linearize(skb))
		heard.sum = sum_of(skb->data, skb->len);
	heard.unnecessary = skb->ip_summed == CHECKSUM_UNNECESSARY;
	heard.tci = skb_vlan_tag_present(skb) ? skb_vlan_tag_get(skb) : 0;
	smp_mb__before_atomic(); /* the rest is there before it counts */
	atomic_inc(&heard.num);
	kfree_skb(skb);
	return 0;
}

static struct packet_type listener = { .type = cpu_to_be16(TEST_PROTO), .func = hear };

static bool heard_more_than(int before)
{
	int i;

	for (i = 0; i < 10000 && atomic_read(&heard.num) <= before; i++)
		msleep(2);
	return atomic_read(&heard.num) > before;
}

static void make_frame(u8 *frame, u32 len, const u8 *to, const u8 *from, u8 seed)
{
	u32 i;

	memcpy(frame, to, ETH_ALEN);
	memcpy(frame + ETH_ALEN, from, ETH_ALEN);
	frame[12] = TEST_PROTO >> 8;
	frame[13] = TEST_PROTO & 0xff;
	for (i = ETH_HLEN; i < len; i++)
		frame[i] = i * 7 + seed;
}

static int transmit(struct net_device *ndev, u32 len, u8 seed)
{
	struct sk_buff *skb = alloc_skb(LL_RESERVED_SPACE(ndev) + len, GFP_KERNEL);

	if (!skb)
		return -ENOMEM;
	skb_reserve(skb, LL_RESERVED_SPACE(ndev));
	skb_reset_mac_header(skb);
	make_frame(skb_put(skb, len), len, ndev->dev_addr, host_mac, seed);
	skb->protocol = cpu_to_be16(TEST_PROTO);
	skb_set_network_header(skb, ETH_HLEN);
	skb->dev = ndev;
	return dev_queue_xmit(skb);
}

/* A frame from the host that must arrive: what came before broke nothing */
static bool still_hears(struct net_device *ndev)
{
	static u8 frame[200];
	int before = atomic_read(&heard.num), i;

	make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 9);
	frame_to_guest(chan(), frame, sizeof(frame), NULL);
	for (i = 0; i < 10000; i++) { /* others may still be on their way before it */
		if (atomic_read(&heard.num) > before && heard.len == sizeof(frame) - ETH_HLEN &&
		    heard.sum == sum_of(frame + ETH_HLEN, sizeof(frame) - ETH_HLEN))
			return true;
		msleep(2);
	}
	return false;
}

static u64 counter(struct net_device *ndev, const char *name)
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

static int net_init(struct kunit *test)
{
	host_reset();
	memset(&vsp, 0, sizeof(vsp));
	vsp.newest = KVMB_NVSP_V61;
	vsp.queues = 1;
	vsp.mtu = 1500;
	host_script.says = on_close;
	dev_add_pack(&listener);
	return 0;
}

static void net_exit(struct kunit *test)
{
	dev_remove_pack(&listener);
	vsp.twist = NULL;
	vsp.twist_rndis = NULL;
	vsp.mute = vsp.mute_rndis = 0;
	take_out();
}

/* ---- start ---- */

CASE(a_nic_comes_and_frames_go_both_ways)
{
	static const u32 lens[] = { 60, 61, 1514, 300, 1000, 14 };
	struct net_device *ndev = nic_up();
	static u8 frame[1514];
	int before;
	size_t i;

	NEED(ndev);
	CHECK(ether_addr_equal(ndev->dev_addr, (const u8[]){ 0, 0x15, 0x5d, 1, 2, 3 }));
	CHECK(netif_carrier_ok(ndev));
	vsp.echo = true;
	for (i = 0; i < 200; i++) {
		u32 len = lens[i % ARRAY_SIZE(lens)];

		before = atomic_read(&heard.num);
		make_frame(frame, len, ndev->dev_addr, host_mac, i);
		CHECK_EQ(transmit(ndev, len, i), 0);
		CHECK(heard_more_than(before));
		CHECK_EQ(heard.len, len - ETH_HLEN);
		CHECK_EQ(heard.sum, sum_of(frame + ETH_HLEN, len - ETH_HLEN));
	}
	CHECK_EQ(atomic_read(&vsp.frames), 200);
	host_settle();
	CHECK_EQ(atomic_read(&vsp.given_back), atomic_read(&vsp.given)); /* each section is the host's again */
	CHECK_EQ(counter(ndev, "queue_0_bad_ids"), 0);
	CHECK_EQ(counter(ndev, "queue_0_rx_errors"), 0);
	dev_put(ndev);
	rescind();
	host_settle();
	ndev = find_nic();
	CHECK(!ndev);
}

CASE(every_version_of_the_protocol_is_spoken)
{
	static const u32 versions[] = { KVMB_NVSP_V1, KVMB_NVSP_V2, KVMB_NVSP_V4, KVMB_NVSP_V5, KVMB_NVSP_V6, KVMB_NVSP_V61 };
	struct net_device *ndev;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		vsp.newest = versions[i];
		ndev = nic_up();
		NEED(ndev);
		CHECK(still_hears(ndev));
		CHECK_EQ(transmit(ndev, 100, 1), 0);
		dev_put(ndev);
		take_out();
	}
	vsp.newest = 1;
	plug_in();
	ndev = find_nic();
	CHECK(!ndev);
}

static struct {
	u32 type;     /* of the question */
	u32 at, word; /* the answer's 32-bit word [at] becomes word */
	u32 len;      /* of the answer, 0: as it is */
} lie;

static bool twist_start(struct kvmb_wire_nvsp *m, u32 *len, u32 type)
{
	__le32 *w = (void *)m;

	if (type != lie.type)
		return true;
	if (lie.len)
		*len = lie.len;
	else
		w[lie.at] = cpu_to_le32(lie.word);
	return true;
}

CASE(a_start_that_is_lied_to_does_not_come_up)
{
	static const typeof(lie) table[] = {
		{ KVMB_NVSP_INIT, 0, 77, 0 },
		{ KVMB_NVSP_INIT, 0, 0, 8 },
		{ KVMB_NVSP_INIT, 3, KVMB_NVSP_STAT_FAIL, 0 },
		/* receive buffer: type, status, sections, offset, size and number of parts */
		{ KVMB_NVSP_SEND_RECV_BUF, 0, KVMB_NVSP_SEND_SEND_BUF_COMPLETE, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 0, 0, 16 },
		{ KVMB_NVSP_SEND_RECV_BUF, 1, KVMB_NVSP_STAT_FAIL, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 2, 0, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 2, 2, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 3, 4096, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, 0, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, 67, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, 0xffffffff, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 4, SECTION + 1, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 5, 0, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 5, 0xffffffff, 0 },
		{ KVMB_NVSP_SEND_RECV_BUF, 5, 0x100000, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 0, 1, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 0, 0, 8 },
		{ KVMB_NVSP_SEND_SEND_BUF, 1, KVMB_NVSP_STAT_BUSY, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, 0, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, 67, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, 0xffffffff, 0 },
		{ KVMB_NVSP_SEND_SEND_BUF, 2, (1u << 20) + 1, 0 },
	};
	struct net_device *ndev;
	size_t i;

	vsp.twist = twist_start;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		lie = table[i];
		plug_in();
		ndev = find_nic();
		CHECK_ROW(!!ndev, false, i);
		if (ndev)
			dev_put(ndev);
		/* a NIC that never spoke RNDIS has no farewell to wait for */
		CHECK_ROW(vsp.requests[KVMB_RNDIS_HALT] + vsp.requests[KVMB_RNDIS_SET], 0, i);
		take_out();
	}
}

CASE(a_silent_start_is_given_up)
{
	static const u32 nvsp[] = { KVMB_NVSP_INIT, KVMB_NVSP_SEND_RECV_BUF, KVMB_NVSP_SEND_SEND_BUF };
	static const u32 rndis[] = { KVMB_RNDIS_INIT, KVMB_RNDIS_QUERY };
	struct net_device *ndev;
	unsigned long begin;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nvsp) + ARRAY_SIZE(rndis); i++) {
		vsp.mute = i < ARRAY_SIZE(nvsp) ? nvsp[i] : 0;
		vsp.mute_rndis = i < ARRAY_SIZE(nvsp) ? 0 : rndis[i - ARRAY_SIZE(nvsp)];
		begin = jiffies;
		plug_in();
		ndev = find_nic();
		CHECK_ROW(!!ndev, false, i);
		if (ndev)
			dev_put(ndev);
		CHECK_ROW(jiffies - begin < 60 * HZ, true, i);
		take_out();
	}
}

static u32 lie_oid, lie_row;
static bool twist_rndis(u8 *msg, u32 *len, u32 type, u32 oid)
{
	__le32 *w = (__le32 *)msg; /* type, length, id, status, then of a query: length and offset of its information */

	if (lie_oid != (type == KVMB_RNDIS_INIT ? 0 : oid))
		return true;
	switch (lie_row) {
	case 0: w[2] = cpu_to_le32(le32_to_cpu(w[2]) + 1); break; /* nobody's */
	case 1: w[3] = cpu_to_le32(KVMB_RNDIS_STATUS_FAILURE); break;
	case 2: w[0] = cpu_to_le32(KVMB_RNDIS_COMPLETE | KVMB_RNDIS_RESET); break;
	case 3: w[1] = cpu_to_le32(*len + 4); break;
	case 4: w[1] = cpu_to_le32(8); break;
	case 5: w[1] = cpu_to_le32(0xffffffff); break;
	case 6: *len = 12; w[1] = cpu_to_le32(12); break;
	case 7: *len = 4; break;
	/* of queries alone */
	case 8: w[4] = cpu_to_le32(0xffffffff); break;
	case 9: w[5] = cpu_to_le32(0xfffffff0); break;
	case 10: w[5] = cpu_to_le32(0); break;
	case 11: w[5] = cpu_to_le32(*len); break;
	case 12: w[4] = cpu_to_le32(1000); break;
	case 13: w[4] = 0; break;
	case 14: memset(w + 6, 0, *len - 24); break;
	case 15: memset(w + 6, 0xff, *len - 24); break;
	}
	return true;
}
#define LIE_ROWS 16
#define LIE_ROWS_INIT 8

CASE(rndis_answers_that_lie_are_not_believed)
{
	static const struct { u32 oid; bool needed; } table[] = {
		{ 0, true }, /* INIT */
		{ KVMB_OID_802_3_PERMANENT_ADDRESS, true },
		{ KVMB_OID_GEN_MAXIMUM_FRAME_SIZE, false },
		{ KVMB_OID_TCP_OFFLOAD_HW_CAPS, false },
		{ KVMB_OID_GEN_RECEIVE_SCALE_CAPS, false },
	};
	struct net_device *ndev;
	size_t i;

	vsp.twist_rndis = twist_rndis;
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		lie_oid = table[i].oid;
		for (lie_row = 0; lie_row < (i ? LIE_ROWS : LIE_ROWS_INIT); lie_row++) {
			plug_in();
			ndev = find_nic();
			if (table[i].needed)
				CHECK_ROW(!!ndev, false, 100 * i + lie_row);
			if (ndev) {
				CHECK(is_valid_ether_addr(ndev->dev_addr));
				CHECK(ndev->max_mtu >= ETH_MIN_MTU && ndev->max_mtu <= 65535);
				CHECK(ndev->real_num_rx_queues >= 1 && ndev->real_num_rx_queues <= 64);
				CHECK(ndev->tso_max_size <= 65536);
				dev_put(ndev);
			}
			take_out();
		}
	}
}

/* ---- frames that lie ---- */

CASE(ranges_outside_the_buffer_are_not_read)
{
	struct net_device *ndev = nic_up();
	u64 before;
	size_t i;

	NEED(ndev);
	{
		const u32 size = vsp.recv_size;
		const u32 table[][2] = {
			{ size, 100 }, { size - 50, 100 }, { 0, 0 }, { 0, 1 }, { 0, 7 }, { 0xffffffff, 1 }, { 0xfffffff0, 0xfffffff0 },
			{ 0, 0xffffffff }, { 0, size + 1 }, { 0x80000000, 0x80000000 }, { 1, size },
		};

		memset(vsp.recv, 0, SECTION);
		for (i = 0; i < ARRAY_SIZE(table); i++) {
			before = counter(ndev, "queue_0_rx_errors");
			put_ranges(chan(), KVMB_NVSP_RECV_BUF_ID, &table[i], 1);
			CHECK(still_hears(ndev));
			CHECK_ROW(counter(ndev, "queue_0_rx_errors"), before + 1, i);
		}
		before = counter(ndev, "queue_0_rx_errors");
		put_ranges(chan(), 0xbeef, &table[0], 1); /* another set */
		put_ranges(chan(), KVMB_NVSP_RECV_BUF_ID, &table[0], 0);
		put_ranges(chan(), KVMB_NVSP_RECV_BUF_ID, &table[0], 0xffffffff);
		put_ranges(chan(), KVMB_NVSP_RECV_BUF_ID, &table[0], 1000);
		CHECK(still_hears(ndev));
		CHECK_EQ(counter(ndev, "queue_0_rx_errors"), before + 4);
	}
	dev_put(ndev);
}

CASE(messages_that_lie_are_counted)
{
	struct net_device *ndev = nic_up();
	static u8 buf[128];
	u64 before;
	size_t i;

	NEED(ndev);
	for (i = 0; i < ARRAY_SIZE(rndis_table); i++) {
		const struct rndis_case *c = &rndis_table[i];

		if (c->type != KVMB_RNDIS_PACKET || c->hdr_len != 100)
			continue; /* of short copies, which this driver does not make */
		rndis_case_message(c, buf, sizeof(buf));
		before = counter(ndev, "queue_0_rx_errors");
		to_guest(chan(), buf, c->avail);
		CHECK(still_hears(ndev));
		CHECK_ROW(counter(ndev, "queue_0_rx_errors"), before + !!c->err, i);
	}
	dev_put(ndev);
}

CASE(parts_of_coalesced_frames_that_do_not_fit_are_dropped)
{
	const u8 part = KVMB_RSC_PART, first = part | KVMB_RSC_FIRST, last = part | KVMB_RSC_LAST;
	struct net_device *ndev = nic_up();
	static u8 frame[9000];
	static struct {
		struct kvmb_rndis_out o;
		u32 len;
	} p[8];
	u32 r[8][2], n, i, row, num, good;
	int before;

	NEED(ndev);
	for (row = 0; row < 6; row++) {
		memset(p, 0, sizeof(p));
		num = 3;
		good = 0;
		for (i = 0; i < ARRAY_SIZE(p); i++) {
			p[i].o.rsc = i ? part : first;
			p[i].len = 100;
		}
		switch (row) {
		case 0: p[2].o.rsc = last; good = 1; break; /* as it should be */
		case 1: p[0].o.rsc = part; p[2].o.rsc = last; break; /* no first */
		case 2: break; /* no last */
		case 3: p[1].o.rsc = first; p[2].o.rsc = last; good = 1; break; /* two firsts: the second counts */
		case 4: p[0].len = 5; p[1].len = 5; p[2].len = 3; p[2].o.rsc = last; break; /* 13 bytes are no frame */
		case 5: for (i = 0; i < 8; i++) p[i].len = 8800; num = 8; p[7].o.rsc = last; break; /* more than 64 KiB */
		}
		before = atomic_read(&heard.num);
		make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 1);
		for (i = 0; i < num; i++) {
			u8 *to = vsp.recv + i * 4 * SECTION;

			p[i].o.data_len = p[i].len;
			n = kvmb_rndis_header(&p[i].o, to);
			memcpy(to + n, frame, p[i].len);
			r[i][0] = i * 4 * SECTION;
			r[i][1] = n + p[i].len;
		}
		put_ranges(chan(), KVMB_NVSP_RECV_BUF_ID, r, num);
		vsp.next = 100;
		CHECK(still_hears(ndev));
		CHECK_ROW(atomic_read(&heard.num) - before, good + 1, row);
	}
	/* all of its parts, one packet each: parts do not wait from one packet to the next */
	before = atomic_read(&heard.num);
	for (i = 0; i < 70; i++) {
		struct kvmb_rndis_out o = { .rsc = i == 69 ? last : i ? part : first };

		frame_to_guest(chan(), frame, 100, &o);
	}
	CHECK(still_hears(ndev));
	CHECK_EQ(atomic_read(&heard.num) - before, 1);
	dev_put(ndev);
}

CASE(what_a_frame_says_of_itself_is_passed_on)
{
	const struct kvmb_rndis_out o = { .csum = KVMB_RX_CSUM_TCP_OK | KVMB_RX_CSUM_IP_OK, .has_vlan = true, .vlan_tci = 0x2007 };
	struct net_device *ndev = nic_up();
	u8 frame[100];
	int before = atomic_read(&heard.num);

	NEED(ndev);
	make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 5);
	frame_to_guest(chan(), frame, sizeof(frame), NULL);
	CHECK(heard_more_than(before));
	CHECK(!heard.unnecessary);
	CHECK_EQ(heard.tci, 0);
	/* a VLAN that nobody has: the frame is for another host, and the driver goes on */
	frame_to_guest(chan(), frame, sizeof(frame), &o);
	CHECK(still_hears(ndev));
	dev_put(ndev);
}

static int rewrite(void *arg)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 7);
	while (!kthread_should_stop()) { /* headers of the first sections, at any moment */
		u32 at = prandom_u32_state(&rnd) % 16 * SECTION + prandom_u32_state(&rnd) % 64;

		WRITE_ONCE(vsp.recv[at], (u8)prandom_u32_state(&rnd));
		if (prandom_u32_state(&rnd) % 64 == 0)
			cond_resched();
	}
	return 0;
}

CASE(a_host_that_rewrites_what_it_sent_hurts_nobody)
{
	struct net_device *ndev = nic_up();
	struct task_struct *t;
	static u8 frame[1000];
	int i;

	NEED(ndev);
	t = kthread_run(rewrite, NULL, "kvmb_rewrite");
	NEED(!IS_ERR(t));
	make_frame(frame, sizeof(frame), ndev->dev_addr, host_mac, 5);
	for (i = 0; i < 3000; i++) {
		struct kvmb_rndis_out o = { .rsc = i & 1 ? KVMB_RSC_PART | (i & 2 ? KVMB_RSC_FIRST : KVMB_RSC_LAST) : 0 };

		if (vsp.next >= 16)
			vsp.next = 0;
		frame_to_guest(chan(), frame, 60 + i % 900, &o);
		if (i % 100 == 0)
			host_settle();
	}
	kthread_stop(t);
	vsp.next = 20;
	CHECK(still_hears(ndev));
	dev_put(ndev);
}

/* ---- what the guest sent ---- */

CASE(completions_of_nothing_free_nothing)
{
	struct net_device *ndev = nic_up();
	u64 ids[] = { 0, 1, ~0ull, 0xfffffffffffffffdull, 0x100000000ull, 0x100000001ull, 1025, 0xffffffffull };
	__le32 done[2] = { cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE), cpu_to_le32(KVMB_NVSP_STAT_SUCCESS) };
	size_t i;

	NEED(ndev);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		host_put(chan(), KVMB_PKT_COMPLETION, 0, ids[i], NULL, 0, done, sizeof(done));
	CHECK(still_hears(ndev));
	CHECK_EQ(counter(ndev, "queue_0_bad_ids"), ARRAY_SIZE(ids));
	vsp.copies = 3; /* each frame done three times */
	for (i = 0; i < 3000; i++) {
		CHECK_EQ(transmit(ndev, 60 + i % 1400, i), 0);
		if (i % 64 == 0)
			host_settle();
	}
	host_settle();
	CHECK(still_hears(ndev));
	CHECK(counter(ndev, "queue_0_bad_ids") >= ARRAY_SIZE(ids) + 2 * 3000); /* the stack sent frames, too */
	CHECK_EQ(atomic_read(&vsp.frames), 3000);
	vsp.copies = 1;
	vsp.done_status = KVMB_NVSP_STAT_FAIL;
	CHECK_EQ(transmit(ndev, 100, 1), 0);
	host_settle();
	CHECK(still_hears(ndev));
	CHECK_EQ(counter(ndev, "queue_0_tx_failed"), 1);
	dev_put(ndev);
}

CASE(frames_that_are_never_done_stop_the_queue_and_no_more)
{
	struct net_device *ndev = nic_up();
	u32 i;

	NEED(ndev);
	vsp.xor_id = 1ull << 40; /* nobody's */
	for (i = 0; i < 3000; i++)
		transmit(ndev, 100, i);
	host_settle();
	CHECK(netif_tx_queue_stopped(netdev_get_tx_queue(ndev, 0)));
	CHECK(still_hears(ndev));
	vsp.xor_id = 0;
	dev_put(ndev); /* the case's end takes the channel away: all of them are freed, or kmemleak says so */
}

/* ---- what comes by itself ---- */

CASE(a_table_of_queues_that_is_none_is_not_taken)
{
	static const u32 table[][3] = { /* count, offset, bytes of the message */
		{ 16, 40, 104 }, { 0, 40, 104 }, { 17, 40, 104 }, { 0xffffffff, 40, 104 }, { 16, 0xffffffff, 104 },
		{ 16, 41, 104 }, { 16, 0xfffffff8, 104 }, { 16, 12, 16 }, { 16, 40, 40 }, { 16, 12, 8 },
	};
	struct net_device *ndev = nic_up();
	struct kvmb_wire_nvsp_table m;
	size_t i;

	NEED(ndev);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		memset(&m, 0xff, sizeof(m));
		m.m.type = cpu_to_le32(KVMB_NVSP_SEND_INDIRECTION_TABLE);
		m.m.u.table.count = cpu_to_le32(table[i][0]);
		m.m.u.table.offset = cpu_to_le32(table[i][1]);
		host_put(chan(), KVMB_PKT_INBAND, 0, 0, NULL, 0, &m, table[i][2]);
		CHECK(still_hears(ndev));
		CHECK_EQ(transmit(ndev, 100, i), 0); /* to a queue that there is */
	}
	host_settle();
	CHECK_EQ(atomic_read(&vsp.frames), ARRAY_SIZE(table));
	dev_put(ndev);
}

static void indicate(u32 status, u32 len)
{
	struct {
		struct kvmb_wire_rndis h;
		struct kvmb_wire_rndis_indicate i;
	} m = { { cpu_to_le32(KVMB_RNDIS_INDICATE), cpu_to_le32(len) }, { cpu_to_le32(status) } };

	to_guest(chan(), &m, len);
}

CASE(the_link_follows_the_host)
{
	struct net_device *ndev = nic_up();
	u32 i, down;

	NEED(ndev);
	for (i = 0; i < 100; i++) {
		indicate(i & 1 ? KVMB_RNDIS_INDICATE_CONNECT : KVMB_RNDIS_INDICATE_DISCONNECT, 20);
		indicate(0x40010013 + i, 20); /* something else */
		indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 12); /* half a message */
	}
	CHECK(still_hears(ndev));
	for (i = 0; i < 10000 && !netif_carrier_ok(ndev); i++)
		msleep(2);
	CHECK(netif_carrier_ok(ndev));
	down = atomic_read(&ndev->carrier_down_count);
	rtnl_lock(); /* down and up before anybody can look */
	indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 20);
	indicate(KVMB_RNDIS_INDICATE_CONNECT, 20);
	msleep(100);
	rtnl_unlock();
	for (i = 0; i < 10000 && !(netif_carrier_ok(ndev) && atomic_read(&ndev->carrier_down_count) > down); i++)
		msleep(2);
	CHECK(netif_carrier_ok(ndev));
	CHECK_EQ(atomic_read(&ndev->carrier_down_count), down + 1);
	indicate(KVMB_RNDIS_INDICATE_DISCONNECT, 20);
	for (i = 0; i < 10000 && netif_carrier_ok(ndev); i++)
		msleep(2);
	CHECK(!netif_carrier_ok(ndev));
	dev_put(ndev);
}

CASE(junk_of_every_kind_is_survived)
{
	struct net_device *ndev = nic_up();
	static u8 junk[4096];
	struct rnd_state rnd;
	u32 i, r[1][2];

	NEED(ndev);
	prandom_seed_state(&rnd, 20261126);
	for (i = 0; i < 10000; i++) {
		u32 kind = prandom_u32_state(&rnd) % 4, len = prandom_u32_state(&rnd) % 200;

		prandom_bytes_state(&rnd, junk, sizeof(junk));
		if (kind == 0) { /* any packet */
			host_put(chan(), prandom_u32_state(&rnd) % 12, 0, prandom_u32_state(&rnd), junk, 8 * (len % 8), junk, len);
		} else { /* a message of a likely type with likely numbers */
			*(__le32 *)junk = cpu_to_le32(kind == 1 ? KVMB_RNDIS_PACKET : prandom_u32_state(&rnd) % 10 | (kind == 2 ? 0 : KVMB_RNDIS_COMPLETE));
			*(__le32 *)(junk + 4) = cpu_to_le32(len);
			if (prandom_u32_state(&rnd) & 1)
				memset(junk + 8, prandom_u32_state(&rnd) % 64, 36);
			r[0][0] = prandom_u32_state(&rnd) % 8 * SECTION;
			r[0][1] = prandom_u32_state(&rnd) % 8 ? len : prandom_u32_state(&rnd);
			memcpy(vsp.recv + r[0][0], junk, len);
			put_ranges(chan(), KVMB_NVSP_RECV_BUF_ID, r, 1);
		}
		if (i % 128 == 0) { /* at the guest's pace */
			host_settle();
			msleep(10);
		}
	}
	host_settle();
	msleep(100);
	vsp.next = 20;
	CHECK(still_hears(ndev));
	dev_put(ndev);
}

/* ---- queues, changes, races ---- */

static bool queues_become(struct net_device *ndev, u32 num)
{
	u32 i;

	for (i = 0; i < 10000 && ndev->real_num_tx_queues != num; i++)
		msleep(2);
	return ndev->real_num_tx_queues == num;
}

CASE(queues_are_opened_as_far_as_the_host_offers_them)
{
	struct net_device *ndev;
	u32 cpus = num_online_cpus();

	NEED(cpus >= 2);
	vsp.queues = MAX_SUBS + 1;
	vsp.subs = cpus - 1;
	ndev = nic_up();
	NEED(ndev);
	CHECK(queues_become(ndev, cpus));
	CHECK(still_hears(ndev));
	dev_put(ndev);
	take_out();
	vsp.subs = MAX_SUBS; /* more than were asked for */
	ndev = nic_up();
	NEED(ndev);
	CHECK(queues_become(ndev, cpus));
	host_settle();
	CHECK_EQ(ndev->real_num_tx_queues, cpus);
	CHECK(still_hears(ndev));
	dev_put(ndev);
	take_out();
	vsp.subs = 0; /* granted, and never offered */
	ndev = nic_up();
	NEED(ndev);
	CHECK(still_hears(ndev));
	dev_put(ndev);
}

static bool twist_subs(struct kvmb_wire_nvsp *m, u32 *len, u32 type)
{
	if (type == KVMB_NVSP_SUBCHANNEL)
		m->u.subchannel_complete.num = cpu_to_le32(0xffffffff);
	return true;
}

CASE(a_grant_of_more_queues_than_asked_is_none)
{
	struct net_device *ndev;

	vsp.queues = 0xffffffff;
	vsp.twist = twist_subs;
	ndev = nic_up();
	NEED(ndev);
	CHECK(still_hears(ndev));
	CHECK_EQ(ndev->real_num_tx_queues, 1);
	dev_put(ndev);
}

static int send_on(void *arg)
{
	struct net_device *ndev = arg;
	u32 n = 0;

	while (!kthread_should_stop()) {
		transmit(ndev, 60 + n % 1400, n);
		if (n++ % 32 == 0)
			usleep_range(20, 200);
	}
	return 0;
}

CASE(the_shape_changes_under_traffic)
{
	struct task_struct *t;
	struct net_device *ndev;
	u32 i;

	vsp.queues = 4;
	vsp.subs = num_online_cpus() - 1;
	vsp.mtu = 9000;
	vsp.echo = true;
	ndev = nic_up();
	NEED(ndev);
	t = kthread_run(send_on, ndev, "kvmb_send");
	NEED(!IS_ERR(t));
	for (i = 0; i < 10; i++) {
		struct ethtool_channels c = { .combined_count = 1 + i % 2 };

		rtnl_lock();
		CHECK_EQ(dev_set_mtu(ndev, i & 1 ? 1500 : 9000), 0);
		CHECK_EQ(ndev->ethtool_ops->set_channels(ndev, &c), 0);
		rtnl_unlock();
		msleep(30);
	}
	kthread_stop(t);
	vsp.echo = false;
	host_settle();
	msleep(100); /* what is still on its way */
	CHECK(still_hears(ndev));
	dev_put(ndev);
}

CASE(a_change_that_the_host_refuses_leaves_the_old_shape)
{
	struct net_device *ndev;

	vsp.mtu = 9000;
	ndev = nic_up();
	NEED(ndev);
	lie = (typeof(lie)){ KVMB_NVSP_INIT, 3, KVMB_NVSP_STAT_FAIL, 0 };
	vsp.twist = twist_start;
	rtnl_lock();
	CHECK(dev_set_mtu(ndev, 4000) != 0);
	rtnl_unlock();
	CHECK_EQ(ndev->mtu, 1500);
	vsp.twist = NULL;
	dev_put(ndev); /* dead, and it goes without a crash */
}

CASE(a_rescind_under_traffic_is_survived)
{
	struct task_struct *t;
	struct net_device *ndev;
	u32 i;

	vsp.echo = true;
	for (i = 0; i < 12; i++) {
		vsp.queues = 1 + i % 3;
		vsp.subs = vsp.queues > 1 ? num_online_cpus() - 1 : 0;
		ndev = nic_up();
		NEED(ndev);
		t = kthread_run(send_on, ndev, "kvmb_send");
		NEED(!IS_ERR(t));
		msleep(5 + i * 3);
		rescind();
		msleep(5);
		kthread_stop(t);
		dev_put(ndev);
		take_out();
		ndev = find_nic();
		CHECK(!ndev);
	}
}

static int rescind_soon(void *arg)
{
	msleep(200);
	rescind();
	return 0;
}

CASE(a_rescind_in_each_step_of_the_start_ends_it)
{
	static const u32 nvsp[] = { KVMB_NVSP_INIT, KVMB_NVSP_SEND_RECV_BUF, KVMB_NVSP_SEND_SEND_BUF, KVMB_NVSP_SUBCHANNEL };
	static const u32 rndis[] = { KVMB_RNDIS_INIT, KVMB_RNDIS_QUERY, KVMB_RNDIS_SET };
	struct net_device *ndev;
	size_t i;

	vsp.queues = 4;
	for (i = 0; i < ARRAY_SIZE(nvsp) + ARRAY_SIZE(rndis); i++) {
		vsp.mute = i < ARRAY_SIZE(nvsp) ? nvsp[i] : 0;
		vsp.mute_rndis = i < ARRAY_SIZE(nvsp) ? 0 : rndis[i - ARRAY_SIZE(nvsp)];
		kthread_run(rescind_soon, NULL, "kvmb_rescind");
		plug_in();
		msleep(300);
		host_settle();
		ndev = find_nic();
		CHECK_ROW(!!ndev, false, i);
		if (ndev)
			dev_put(ndev);
		take_out();
	}
}

static struct kunit_case net_cases[] = {
	KUNIT_CASE(a_nic_comes_and_frames_go_both_ways),
	KUNIT_CASE(every_version_of_the_protocol_is_spoken),
	KUNIT_CASE(a_start_that_is_lied_to_does_not_come_up),
	KUNIT_CASE(a_silent_start_is_given_up),
	KUNIT_CASE(rndis_answers_that_lie_are_not_believed),
	KUNIT_CASE(ranges_outside_the_buffer_are_not_read),
	KUNIT_CASE(messages_that_lie_are_counted),
	KUNIT_CASE(parts_of_coalesced_frames_that_do_not_fit_are_dropped),
	KUNIT_CASE(what_a_frame_says_of_itself_is_passed_on),
	KUNIT_CASE(a_host_that_rewrites_what_it_sent_hurts_nobody),
	KUNIT_CASE(completions_of_nothing_free_nothing),
	KUNIT_CASE(frames_that_are_never_done_stop_the_queue_and_no_more),
	KUNIT_CASE(a_table_of_queues_that_is_none_is_not_taken),
	KUNIT_CASE(the_link_follows_the_host),
	KUNIT_CASE(junk_of_every_kind_is_survived),
	KUNIT_CASE(queues_are_opened_as_far_as_the_host_offers_them),
	KUNIT_CASE(a_grant_of_more_queues_than_asked_is_none),
	KUNIT_CASE(the_shape_changes_under_traffic),
	KUNIT_CASE(a_change_that_the_host_refuses_leaves_the_old_shape),
	KUNIT_CASE(a_rescind_under_traffic_is_survived),
	KUNIT_CASE(a_rescind_in_each_step_of_the_start_ends_it),
	{}
};

static struct kunit_suite net_suite = { .name = "kvmb_net", .test_cases = net_cases, .init = net_init, .exit = net_exit };
kunit_test_suite(net_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suite of kvmb_net");
MODULE_LICENSE("GPL");
