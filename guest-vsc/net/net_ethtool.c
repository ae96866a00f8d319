// SPDX-License-Identifier: GPL-2.0-only
/* ethtool for kvmb_net: queues, rings, RSS, counters. All under RTNL. */
#include <linux/ethtool.h>
#include <linux/netdevice.h>

#include "guest-vsc/compat/compat.h"
#include "guest-vsc/net/net_guest.h"

#define RECV_MAX (31u << 20) /* what hosts take: docs/protocol.md#6.2 */
#define SEND_MAX (15u << 20)
#define BUF_MIN (128u << 10)

static const struct {
	char name[14]; /* with "queue_63_" in front it fits ETH_GSTRING_LEN */
	size_t off;
} counters[] = { /* of each queue */
	{ "tx_packets", offsetof(struct net_stats, tx_packets) },
	{ "tx_bytes", offsetof(struct net_stats, tx_bytes) },
	{ "tx_copied", offsetof(struct net_stats, tx_copied) },
	{ "tx_full", offsetof(struct net_stats, tx_full) },
	{ "tx_failed", offsetof(struct net_stats, tx_failed) },
	{ "rx_packets", offsetof(struct net_stats, rx_packets) },
	{ "rx_bytes", offsetof(struct net_stats, rx_bytes) },
	{ "rx_coalesced", offsetof(struct net_stats, rx_coalesced) },
	{ "rx_errors", offsetof(struct net_stats, rx_errors) },
	{ "rx_no_memory", offsetof(struct net_stats, rx_no_memory) },
	{ "bad_ids", offsetof(struct net_stats, bad_ids) },
};

static struct net_nic *nic_of(struct net_device *ndev)
{
	return *(struct net_nic **)netdev_priv(ndev);
}

static int get_sset_count(struct net_device *ndev, int set)
{
	return set == ETH_SS_STATS ? (int)(nic_of(ndev)->num_queues * ARRAY_SIZE(counters)) :
				     -EOPNOTSUPP;
}

static void get_strings(struct net_device *ndev, u32 set, u8 *data)
{
	unsigned int i, j;

	for (i = 0; i < nic_of(ndev)->num_queues; i++) {
		for (j = 0; j < ARRAY_SIZE(counters); j++, data += ETH_GSTRING_LEN)
			snprintf((char *)data, ETH_GSTRING_LEN, "queue_%u_%.14s", i,
				 counters[j].name);
	}
}

static void get_stats(struct net_device *ndev, struct ethtool_stats *st, u64 *data)
{
	struct net_nic *nic = nic_of(ndev);
	unsigned int i, j;

	rcu_read_lock(); /* a queue that the host takes back waits for us */
	for (i = 0; i < nic->num_queues; i++) {
		const struct net_queue *q = READ_ONCE(nic->queues[i]);

		for (j = 0; j < ARRAY_SIZE(counters); j++)
			*data++ = q ? *(u64 *)((u8 *)&q->stats + counters[j].off) : 0;
	}
	rcu_read_unlock();
}

static void get_channels(struct net_device *ndev, struct ethtool_channels *c)
{
	c->max_combined = nic_of(ndev)->max_queues;
	c->combined_count = kvmb_net_num_queues(nic_of(ndev));
}

static int set_channels(struct net_device *ndev, struct ethtool_channels *c)
{
	struct net_nic *nic = nic_of(ndev);
	struct net_config cfg = nic->cfg;
	unsigned int i;
	int err;

	if (!c->combined_count || c->combined_count > nic->max_queues || c->rx_count ||
	    c->tx_count || c->other_count)
		return -EINVAL;
	cfg.num_queues = c->combined_count;
	err = kvmb_net_restart(nic, &cfg, ndev->mtu);
	if (!err && !netif_is_rxfh_configured(ndev)) {
		for (i = 0; i < NET_TABLE; i++)
			nic->rss_table[i] = ethtool_rxfh_indir_default(i, cfg.num_queues);
	}
	return err;
}

static void fill_ring(struct net_nic *nic, struct ethtool_ringparam *r)
{
	r->rx_pending = nic->recv_num;
	r->tx_pending = nic->send_num;
	r->rx_max_pending = nic->recv_section ? RECV_MAX / nic->recv_section : 0;
	r->tx_max_pending = nic->send_section ? SEND_MAX / nic->send_section : 0;
}

static int change_ring(struct net_nic *nic, const struct ethtool_ringparam *r)
{
	struct net_config cfg = nic->cfg;

	if (!nic->recv_section || !nic->send_section)
		return -ENODEV;
	cfg.recv_size = clamp_t(u64,
				round_up((u64)r->rx_pending * nic->recv_section, KVMB_PAGE_SIZE),
				BUF_MIN, RECV_MAX);
	cfg.send_size = clamp_t(u64,
				round_up((u64)r->tx_pending * nic->send_section, KVMB_PAGE_SIZE),
				BUF_MIN, SEND_MAX);
	return kvmb_net_restart(nic, &cfg, nic->ndev->mtu);
}

#if KVMB_HAVE_RINGPARAM_EXTACK
static void get_ringparam(struct net_device *ndev, struct ethtool_ringparam *r,
			  struct kernel_ethtool_ringparam *kr, struct netlink_ext_ack *extack)
{
	fill_ring(nic_of(ndev), r);
}

static int set_ringparam(struct net_device *ndev, struct ethtool_ringparam *r,
			 struct kernel_ethtool_ringparam *kr, struct netlink_ext_ack *extack)
{
	return change_ring(nic_of(ndev), r);
}
#else
static void get_ringparam(struct net_device *ndev, struct ethtool_ringparam *r)
{
	fill_ring(nic_of(ndev), r);
}

static int set_ringparam(struct net_device *ndev, struct ethtool_ringparam *r)
{
	return change_ring(nic_of(ndev), r);
}
#endif

static u32 get_rxfh_indir_size(struct net_device *ndev)
{
	return NET_TABLE;
}

static u32 get_rxfh_key_size(struct net_device *ndev)
{
	return NET_KEY;
}

static void read_rss(struct net_nic *nic, u32 *indir, u8 *key)
{
	unsigned int i;

	for (i = 0; indir && i < NET_TABLE; i++)
		indir[i] = nic->rss_table[i];
	if (key)
		memcpy(key, nic->rss_key, NET_KEY);
}

static int write_rss(struct net_nic *nic, const u32 *indir, const u8 *key)
{
	unsigned int i;

	for (i = 0; indir && i < NET_TABLE; i++) {
		if (indir[i] >= kvmb_net_num_queues(nic))
			return -EINVAL;
	}
	for (i = 0; indir && i < NET_TABLE; i++)
		nic->rss_table[i] = indir[i];
	if (key)
		memcpy(nic->rss_key, key, NET_KEY);
	return nic->num_queues > 1 ? kvmb_rndis_set_rss(nic) : 0;
}

#if KVMB_HAVE_RXFH_PARAM
static int get_rxfh(struct net_device *ndev, struct ethtool_rxfh_param *p)
{
	p->hfunc = ETH_RSS_HASH_TOP;
	read_rss(nic_of(ndev), p->indir, p->key);
	return 0;
}

static int set_rxfh(struct net_device *ndev, struct ethtool_rxfh_param *p,
		    struct netlink_ext_ack *extack)
{
	if (p->hfunc != ETH_RSS_HASH_NO_CHANGE && p->hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	return write_rss(nic_of(ndev), p->indir, p->key);
}
#else
static int get_rxfh(struct net_device *ndev, u32 *indir, u8 *key, u8 *hfunc)
{
	if (hfunc)
		*hfunc = ETH_RSS_HASH_TOP;
	read_rss(nic_of(ndev), indir, key);
	return 0;
}

static int set_rxfh(struct net_device *ndev, const u32 *indir, const u8 *key, const u8 hfunc)
{
	if (hfunc != ETH_RSS_HASH_NO_CHANGE && hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	return write_rss(nic_of(ndev), indir, key);
}
#endif

static int get_rxnfc(struct net_device *ndev, struct ethtool_rxnfc *info, u32 *rules)
{
	if (info->cmd != ETHTOOL_GRXRINGS)
		return -EOPNOTSUPP;
	info->data = kvmb_net_num_queues(nic_of(ndev));
	return 0;
}

static int get_link_ksettings(struct net_device *ndev, struct ethtool_link_ksettings *cmd)
{
	cmd->base.speed = nic_of(ndev)->speed_mbps ? nic_of(ndev)->speed_mbps : (u32)SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_FULL;
	cmd->base.port = PORT_OTHER;
	return 0;
}

const struct ethtool_ops kvmb_net_ethtool_ops = {
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = get_link_ksettings,
	.get_sset_count = get_sset_count,
	.get_strings = get_strings,
	.get_ethtool_stats = get_stats,
	.get_channels = get_channels,
	.set_channels = set_channels,
	.get_ringparam = get_ringparam,
	.set_ringparam = set_ringparam,
	.get_rxfh_indir_size = get_rxfh_indir_size,
	.get_rxfh_key_size = get_rxfh_key_size,
	.get_rxfh = get_rxfh,
	.set_rxfh = set_rxfh,
	.get_rxnfc = get_rxnfc,
	.get_ts_info = ethtool_op_get_ts_info,
};
