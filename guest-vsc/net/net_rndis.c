// SPDX-License-Identifier: GPL-2.0-only
/*
 * RNDIS control: requests to the host, its answers, its indications.
 *
 * There is one request at a time. It has its own page, which is freed when the host has completed
 * the packet that names it; if the host never does, the page is leaked. An answer is accepted only
 * if it has the request's number.
 *
 * Sources: Linux 6.1 drivers/net/hyperv/rndis_filter.c; docs/protocol.md#6.4.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "guest-vsc/compat/compat.h"
#include "guest-vsc/net/net_guest.h"

#define HDR ((u32)sizeof(struct kvmb_wire_rndis))

struct ctl_request { /* one page, shared with the host */
	struct kvmb_wire_rndis h;
	struct kvmb_wire_rndis_request q;
	u8 data[];
};

static void expect_answer(struct net_nic *nic, u32 id)
{
	spin_lock_bh(&nic->answer_lock);
	reinit_completion(&nic->rndis_sent);
	reinit_completion(&nic->rndis_done);
	nic->response_len = 0;
	nic->rndis_id = id;
	spin_unlock_bh(&nic->answer_lock);
}

/*
 * Send @r, of @len bytes, and wait for the answer in nic->response, in all not longer than
 * nic->patience. Consumes @r. Caller holds ctl_lock.
 */
static int converse(struct net_nic *nic, struct ctl_request *r, u32 type, u32 len, bool answered)
{
	unsigned int slices = nic->patience;
	u32 id = nic->rndis_id + 1;
	struct kvmb_wire_rndis h;
	bool sent;
	int err;

	lockdep_assert_held(&nic->ctl_lock);
	id += !id;
	r->h.type = cpu_to_le32(type);
	r->h.len = cpu_to_le32(len);
	r->q.id = cpu_to_le32(id);
	expect_answer(nic, id);
	err = kvmb_net_send_rndis(nic, r, len);
	if (err) {
		free_page((unsigned long)r);
		return err;
	}
	sent = !kvmb_chan_wait_slices(nic->dev->chan, &nic->rndis_sent, &slices);
	if (sent || kvmb_chan_gone(nic->dev->chan))
		free_page((unsigned long)r);
	if (!sent)
		return -ETIMEDOUT;
	if (!answered)
		return 0;
	err = kvmb_chan_wait_slices(nic->dev->chan, &nic->rndis_done, &slices);
	if (err)
		return err;
	memcpy(&h, nic->response, sizeof(h));
	return le32_to_cpu(h.type) == (type | KVMB_RNDIS_COMPLETE) ? 0 : -EPROTO;
}

static struct ctl_request *new_request(void)
{
	return (void *)get_zeroed_page(GFP_KERNEL);
}

/* @buf[@size]: at most so much of the answer. Return: bytes that the host gave, or -errno */
static int query(struct net_nic *nic, u32 oid, const void *in, u32 in_len, void *buf, u32 size)
{
	struct ctl_request *r = new_request();
	struct kvmb_wire_rndis_query_complete c;
	u32 off, len, end;
	int err;

	if (!r)
		return -ENOMEM;
	r->q.oid = cpu_to_le32(oid);
	r->q.buf_len = cpu_to_le32(in_len);
	r->q.buf_offset = cpu_to_le32(sizeof(r->q));
	if (in_len)
		memcpy(r->data, in, in_len);
	mutex_lock(&nic->ctl_lock);
	err = converse(nic, r, KVMB_RNDIS_QUERY, sizeof(*r) + in_len, true);
	if (err)
		goto out;
	err = -EPROTO;
	if (nic->response_len < HDR + sizeof(c))
		goto out;
	memcpy(&c, nic->response + HDR, sizeof(c));
	off = le32_to_cpu(c.buf_offset);
	len = le32_to_cpu(c.buf_len);
	if (c.status) {
		err = -EIO;
		goto out;
	}
	if (off < sizeof(c) || check_add_overflow(off, len, &end) || end > nic->response_len - HDR)
		goto out;
	len = min(len, size);
	memcpy(buf, nic->response + HDR + off, len);
	err = len;
out:
	mutex_unlock(&nic->ctl_lock);
	return err;
}

static int query_u32(struct net_nic *nic, u32 oid, u32 *v)
{
	__le32 w;
	int n = query(nic, oid, NULL, 0, &w, sizeof(w));

	if (n != sizeof(w))
		return n < 0 ? n : -EPROTO;
	*v = le32_to_cpu(w);
	return 0;
}

static int set(struct net_nic *nic, u32 oid, const void *data, u32 len)
{
	struct ctl_request *r = new_request();
	struct kvmb_wire_rndis_set_complete c;
	int err;

	if (!r)
		return -ENOMEM;
	if (len > PAGE_SIZE - sizeof(*r)) {
		free_page((unsigned long)r);
		return -EMSGSIZE;
	}
	r->q.oid = cpu_to_le32(oid);
	r->q.buf_len = cpu_to_le32(len);
	r->q.buf_offset = cpu_to_le32(sizeof(r->q));
	memcpy(r->data, data, len);
	mutex_lock(&nic->ctl_lock);
	err = converse(nic, r, KVMB_RNDIS_SET, sizeof(*r) + len, true);
	if (!err) {
		err = -EPROTO;
		if (nic->response_len >= HDR + sizeof(c)) {
			memcpy(&c, nic->response + HDR, sizeof(c));
			err = c.status ? -EIO : 0;
		}
	}
	mutex_unlock(&nic->ctl_lock);
	return err;
}

/* ---- what the host says; NAPI of the primary; @msg is private ---- */

static unsigned long ticks_until(unsigned long then)
{
	unsigned long now = jiffies;

	return time_after(then, now) ? then - now : 0;
}

static void indicated(struct net_nic *nic, const u8 *msg, u32 len)
{
	struct kvmb_wire_rndis_indicate i;

	if (len < HDR + sizeof(i))
		return;
	memcpy(&i, msg + HDR, sizeof(i));
	switch (le32_to_cpu(i.status)) {
	case KVMB_RNDIS_INDICATE_CONNECT: /* said once more to one that is up: it was moved */
		WRITE_ONCE(nic->link, true);
		WRITE_ONCE(nic->link_renewed, true);
		break;
	case KVMB_RNDIS_INDICATE_DISCONNECT:
		WRITE_ONCE(nic->link, false);
		WRITE_ONCE(nic->link_lost, true);
		break;
	case KVMB_RNDIS_INDICATE_NETWORK_CHANGE: /* addresses of the old one are of no use */
		WRITE_ONCE(nic->link_lost, true);
		WRITE_ONCE(nic->link_renewed, true);
		break;
	case KVMB_RNDIS_INDICATE_SPEED_CHANGE: /* one question for all that come before it */
		schedule_delayed_work(&nic->speed_work, ticks_until(READ_ONCE(nic->speed_next)));
		return;
	default:
		return;
	}
	schedule_delayed_work(&nic->link_work, 0);
}

static void answered(struct net_nic *nic, u32 id, const u8 *msg, u32 len)
{
	spin_lock(&nic->answer_lock);
	if (id == nic->rndis_id && !nic->response_len && len <= sizeof(nic->response)) {
		memcpy(nic->response, msg, len);
		nic->response_len = len;
		complete(&nic->rndis_done);
	}
	spin_unlock(&nic->answer_lock);
}

void kvmb_rndis_received(struct net_nic *nic, const u8 *msg, u32 len)
{
	struct kvmb_wire_rndis h;
	__le32 id;

	if (len < HDR + sizeof(id))
		return;
	memcpy(&h, msg, sizeof(h));
	memcpy(&id, msg + HDR, sizeof(id));
	if (le32_to_cpu(h.len) > len || le32_to_cpu(h.len) < HDR + sizeof(id))
		return;
	len = le32_to_cpu(h.len);
	if (le32_to_cpu(h.type) == KVMB_RNDIS_INDICATE) {
		indicated(nic, msg, len);
	} else if (le32_to_cpu(h.type) & KVMB_RNDIS_COMPLETE) {
		answered(nic, le32_to_cpu(id), msg, len);
	}
}

/* ---- settings ---- */

int kvmb_rndis_set_filter(struct net_nic *nic, u32 filter)
{
	__le32 w = cpu_to_le32(filter);

	return set(nic, KVMB_OID_GEN_CURRENT_PACKET_FILTER, &w, sizeof(w));
}

int kvmb_rndis_set_offload(struct net_nic *nic, bool rsc)
{
	/* NDIS_OFFLOAD_PARAMETERS: checksums both ways where offered, LSOv2 on; "no change" is 0 */
	u8 p[28] = { 0x80, 3, 28, 0 }; /* default object, revision 3 */
	u32 size = nic->version > KVMB_NVSP_V4 ? 28 : 22;

	if (size == 22) {
		p[1] = 2;
		p[2] = 22;
	}
	/* IPv4, TCP4, UDP4, TCP6, UDP6: transmit and receive */
	p[4] = p[5] = p[6] = p[7] = p[8] = 4;
	p[11] = p[12] = KVMB_NDIS_PARAM_ON;   /* LSOv2 for IPv4, IPv6 */
	if (nic->rsc_able)
		p[KVMB_NDIS_PARAM_RSC_IP4] = p[KVMB_NDIS_PARAM_RSC_IP6] =
			rsc ? KVMB_NDIS_PARAM_ON : KVMB_NDIS_PARAM_OFF;
	return set(nic, KVMB_OID_TCP_OFFLOAD_PARAMETERS, p, size);
}

int kvmb_rndis_set_rss(struct net_nic *nic)
{
	struct {
		struct kvmb_wire_ndis_rss_params p;
		__le32 table[NET_TABLE];
		u8 key[NET_KEY];
	} *m;
	u32 i;
	int err;

	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	m->p.h.type = KVMB_NDIS_RSS_PARAMS;
	m->p.h.revision = KVMB_NDIS_RSS_REV;
	m->p.h.size = cpu_to_le16(sizeof(m->p));
	m->p.hash_info = cpu_to_le32(KVMB_NDIS_RSS_HASH_TOEPLITZ | 0x1700);
	m->p.table_size = cpu_to_le16(sizeof(m->table));
	m->p.table_offset = cpu_to_le32(offsetof(typeof(*m), table));
	m->p.key_size = cpu_to_le16(NET_KEY);
	m->p.key_offset = cpu_to_le32(offsetof(typeof(*m), key));
	for (i = 0; i < NET_TABLE; i++)
		m->table[i] = cpu_to_le32(nic->rss_table[i] % nic->num_queues);
	memcpy(m->key, nic->rss_key, NET_KEY);
	err = set(nic, KVMB_OID_GEN_RECEIVE_SCALE_PARAMS, m, sizeof(*m));
	kfree(m);
	return err;
}

int kvmb_rndis_set_mac(struct net_nic *nic, const u8 *mac)
{
	static const char name[] = "NetworkAddress", hex[] = "0123456789abcdef";
	struct {
		struct kvmb_wire_rndis_config c;
		__le16 name[sizeof(name) - 1];
		__le16 value[2 * ETH_ALEN];
	} m;
	u32 i;

	memset(&m, 0, sizeof(m));
	m.c.name_offset = cpu_to_le32(offsetof(typeof(m), name));
	m.c.name_len = cpu_to_le32(sizeof(m.name));
	m.c.type = cpu_to_le32(2);
	m.c.value_offset = cpu_to_le32(offsetof(typeof(m), value));
	m.c.value_len = cpu_to_le32(sizeof(m.value));
	for (i = 0; i < ARRAY_SIZE(m.name); i++)
		m.name[i] = cpu_to_le16(name[i]);
	for (i = 0; i < 2 * ETH_ALEN; i++)
		m.value[i] = cpu_to_le16(hex[i & 1 ? mac[i / 2] & 15 : mac[i / 2] >> 4]);
	return set(nic, KVMB_OID_GEN_RNDIS_CONFIG_PARAMETER, &m, sizeof(m));
}

/* ---- start ---- */

static int init_device(struct net_nic *nic)
{
	struct kvmb_wire_rndis_init_complete c;
	struct ctl_request *r = new_request();
	u32 shift;
	int err;

	if (!r)
		return -ENOMEM;
	/*
	 * INIT: id, major, minor, largest transfer stand where a query has id, OID, length, offset
	 */
	r->q.oid = cpu_to_le32(1);
	r->q.buf_len = 0;
	r->q.buf_offset = cpu_to_le32(0x4000);
	mutex_lock(&nic->ctl_lock);
	err = converse(nic, r, KVMB_RNDIS_INIT, HDR + 16, true);
	if (!err && nic->response_len < HDR + sizeof(c))
		err = -EPROTO;
	if (!err) {
		memcpy(&c, nic->response + HDR, sizeof(c));
		shift = le32_to_cpu(c.alignment);
		nic->tx_align = shift < 8 ? 1u << shift : 8;
		err = c.status ? -EIO : 0;
		nic->rndis_up = !err;
	}
	mutex_unlock(&nic->ctl_lock);
	return err;
}

static int query_caps(struct net_nic *nic)
{
	struct kvmb_wire_ndis_offload *o = &nic->caps;
	u32 size = nic->version >= KVMB_NVSP_V5 ? KVMB_NDIS_OFFLOAD_SIZE_V6 :
		   nic->version == KVMB_NVSP_V4 ? KVMB_NDIS_OFFLOAD_SIZE_V5 :
						  KVMB_NDIS_OFFLOAD_SIZE_V1;
	struct kvmb_wire_ndis_object ask = { KVMB_NDIS_OFFLOAD, KVMB_NDIS_OFFLOAD_REV,
					     cpu_to_le16(size) };
	struct { struct kvmb_wire_ndis_object h; u8 rest[sizeof(*o) - 4]; } in = { .h = ask };
	int n;

	memset(o, 0, sizeof(*o));
	n = query(nic, KVMB_OID_TCP_OFFLOAD_HW_CAPS, &in, size, o, sizeof(*o));
	if (n < 0)
		return n;
	if (n < (int)KVMB_NDIS_OFFLOAD_SIZE_V1 || o->h.type != KVMB_NDIS_OFFLOAD ||
	    le16_to_cpu(o->h.size) > n)
		memset(o, 0, sizeof(*o)); /* a NIC without offloads */
	nic->rsc_able = nic->version >= KVMB_NVSP_V61 && o->rsc_ip4 && o->rsc_ip6;
	return 0;
}

static void query_queues(struct net_nic *nic)
{
	struct kvmb_wire_ndis_rss_caps c = {
		.h = { KVMB_NDIS_RSS_CAPS, KVMB_NDIS_RSS_REV, cpu_to_le16(sizeof(c)) },
	};

	nic->max_queues = 1;
	if (nic->version >= KVMB_NVSP_V5 &&
	    query(nic, KVMB_OID_GEN_RECEIVE_SCALE_CAPS, &c, sizeof(c), &c, sizeof(c)) == sizeof(c))
		nic->max_queues = clamp(le32_to_cpu(c.num_queues), 1u, NET_MAX_QUEUES);
}

void kvmb_rndis_query_speed(struct net_nic *nic)
{
	u32 v;
	int err = query_u32(nic, KVMB_OID_GEN_LINK_SPEED, &v);

	nic->speed_mbps = err ? 0 : v / 10000; /* from 100 bit/s */
	WRITE_ONCE(nic->speed_next,
		   jiffies + (err == -ETIMEDOUT ? NET_SPEED_PAUSE : NET_SPEED_INTERVAL));
}

int kvmb_rndis_start(struct net_nic *nic)
{
	u8 mac[ETH_ALEN];
	u32 v;
	int err;

	err = init_device(nic);
	if (err)
		return err;
	if (query(nic, KVMB_OID_802_3_PERMANENT_ADDRESS, NULL, 0, mac, ETH_ALEN) != ETH_ALEN ||
	    !is_valid_ether_addr(mac)) {
		netdev_err(nic->ndev, "the host gives no address\n");
		return -EPROTO;
	}
	ether_addr_copy(nic->ndev->perm_addr, mac);
	if (nic->ndev->reg_state == NETREG_UNINITIALIZED)
		kvmb_set_hw_addr(nic->ndev, mac);
	if (!query_u32(nic, KVMB_OID_GEN_MAXIMUM_FRAME_SIZE, &v) && v >= ETH_MIN_MTU)
		nic->ndev->max_mtu = min(v, NET_MAX_MTU);
	err = query_caps(nic);
	if (!err)
		err = kvmb_rndis_set_offload(nic, nic->ndev->features & NETIF_F_LRO);
	if (err)
		return err;
	if (!query_u32(nic, KVMB_OID_GEN_MEDIA_CONNECT_STATUS, &v))
		WRITE_ONCE(nic->link, !v);
	kvmb_rndis_query_speed(nic);
	query_queues(nic);
	return 0;
}

void kvmb_rndis_halt(struct net_nic *nic)
{
	struct ctl_request *r;
	int err;

	if (!nic->rndis_up)
		return;
	nic->rndis_up = false;
	nic->patience = NET_STOP_PATIENCE;
	err = kvmb_rndis_set_filter(nic, 0);
	if (err != -ETIMEDOUT) {
		r = new_request();
		if (!r)
			return;
		mutex_lock(&nic->ctl_lock);
		err = converse(nic, r, KVMB_RNDIS_HALT, HDR + 4, false);
		mutex_unlock(&nic->ctl_lock);
	}
	if (err == -ETIMEDOUT)
		kvmb_chan_fail(nic->dev->chan, "its host does not answer");
}
