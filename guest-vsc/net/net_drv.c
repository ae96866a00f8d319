// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmb_net: the network device. Theory of operation: net_guest.h.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "guest-vsc/compat/compat.h"
#include "guest-vsc/net/net_guest.h"

#define FILTER_NORMAL (KVMB_FILTER_DIRECTED | KVMB_FILTER_BROADCAST)

static struct net_nic *nic_of(struct net_device *ndev)
{
	return *(struct net_nic **)netdev_priv(ndev);
}

/* ---- filter, link ---- */

static u32 wanted_filter(const struct net_device *ndev)
{
	if (ndev->flags & IFF_PROMISC)
		return KVMB_FILTER_PROMISCUOUS;
	if (ndev->flags & IFF_ALLMULTI || !netdev_mc_empty((struct net_device *)ndev))
		return FILTER_NORMAL | KVMB_FILTER_ALL_MULTICAST;
	return FILTER_NORMAL;
}

static void filter_work(struct work_struct *work)
{
	struct net_nic *nic = container_of(work, struct net_nic, filter_work);

	rtnl_lock();
	if (nic->up && !nic->closing)
		kvmb_rndis_set_filter(nic, wanted_filter(nic->ndev));
	rtnl_unlock();
}

static void set_rx_mode(struct net_device *ndev)
{
	schedule_work(&nic_of(ndev)->filter_work); /* no waiting here */
}

static void show_link(struct net_nic *nic)
{
	if (READ_ONCE(nic->link)) {
		netif_carrier_on(nic->ndev);
		netif_tx_wake_all_queues(nic->ndev);
	} else {
		netif_carrier_off(nic->ndev);
		/* between batches of frames, not in one: kvmb_net_xmit() */
		netif_tx_disable(nic->ndev);
	}
}

/*
 * What the host said of the link since the last time. One change in NET_LINK_INTERVAL is shown, or
 * a host that goes on and on would have RTNL and every listener for itself; and a loss that is over
 * already is shown for as long, so that who asks for addresses sees it.
 */
static void link_work(struct work_struct *work)
{
	struct net_nic *nic = container_of(work, struct net_nic, link_work.work);
	unsigned long next = nic->link_shown + NET_LINK_INTERVAL;

	rtnl_lock();
	if (!nic->up || nic->closing)
		goto out;
	if (time_before(jiffies, next)) {
		schedule_delayed_work(&nic->link_work, next - jiffies);
		goto out;
	}
	nic->link_shown = jiffies;
	if (xchg(&nic->link_lost, false) && netif_carrier_ok(nic->ndev)) {
		netif_carrier_off(nic->ndev);
		netif_tx_disable(nic->ndev);
		schedule_delayed_work(&nic->link_work, NET_LINK_INTERVAL);
		goto out;
	}
	show_link(nic);
	if (xchg(&nic->link_renewed, false) && netif_carrier_ok(nic->ndev))
		/* gratuitous ARP and its like: switches learn where we are */
		__netdev_notify_peers(nic->ndev);
out:
	rtnl_unlock();
}

/*
 * The speed is for users to read, and no more. A host that speaks of it all the time and is slow to
 * answer has RTNL for a second in NET_SPEED_INTERVAL; one that does not answer has it for a second
 * in NET_SPEED_PAUSE.
 */
static void speed_work(struct work_struct *work)
{
	struct net_nic *nic = container_of(work, struct net_nic, speed_work.work);

	rtnl_lock();
	if (nic->up && !nic->closing && time_after_eq(jiffies, nic->speed_next)) {
		nic->patience = KVMB_WAIT_SLICES;
		kvmb_rndis_query_speed(nic);
		nic->patience = NET_REQUEST_S * KVMB_WAIT_SLICES;
	}
	rtnl_unlock();
}

/*
 * The host may be another, or take less than before: it would drop what is longer. Routes and
 * others learn of it by a proper change of the MTU, which starts the NIC once more.
 */
static void mtu_work(struct work_struct *work)
{
	struct net_nic *nic = container_of(work, struct net_nic, mtu_work);
	struct net_device *ndev = nic->ndev;

	rtnl_lock();
	if (!nic->closing && ndev->mtu > ndev->max_mtu) {
		netdev_warn(ndev, "the host takes an MTU of %u at most\n", ndev->max_mtu);
		dev_set_mtu(ndev, ndev->max_mtu);
	}
	rtnl_unlock();
}

/* ---- what the host can do ---- */

/* What depends on the host, which may be another after sleep */
#define OFFLOADS (NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM | NETIF_F_TSO | NETIF_F_TSO6 | \
		  NETIF_F_RXCSUM | NETIF_F_LRO)

static void set_capabilities(struct net_nic *nic)
{
	const struct kvmb_wire_ndis_offload *o = &nic->caps;
	const u32 tcp = KVMB_NDIS_CSUM_TCP | KVMB_NDIS_CSUM_TCP_OPTIONS;
	u32 ip4 = le32_to_cpu(o->csum.ip4_tx), ip6 = le32_to_cpu(o->csum.ip6_tx);
	struct net_device *ndev = nic->ndev;
	netdev_features_t f = NETIF_F_SG | NETIF_F_RXHASH;
	u32 lso = 0;

	/* one flag of Linux stands for TCP and UDP: both or none */
	if ((ip4 & (tcp | KVMB_NDIS_CSUM_UDP)) == (tcp | KVMB_NDIS_CSUM_UDP)) {
		f |= NETIF_F_IP_CSUM;
		if (le32_to_cpu(o->lsov2.ip4_encap) & KVMB_NDIS_ENCAP_802_3) {
			f |= NETIF_F_TSO;
			lso = le32_to_cpu(o->lsov2.ip4_max);
		}
	}
	if ((ip6 & (tcp | KVMB_NDIS_CSUM_UDP)) == (tcp | KVMB_NDIS_CSUM_UDP)) {
		f |= NETIF_F_IPV6_CSUM;
		if (le32_to_cpu(o->lsov2.ip6_encap) & KVMB_NDIS_ENCAP_802_3 &&
		    (le32_to_cpu(o->lsov2.ip6_options) & 5) == 5) {
			f |= NETIF_F_TSO6;
			lso = lso ? min(lso, le32_to_cpu(o->lsov2.ip6_max)) :
				    le32_to_cpu(o->lsov2.ip6_max);
		}
	}
	if (le32_to_cpu(o->csum.ip4_rx) & KVMB_NDIS_CSUM_TCP)
		f |= NETIF_F_RXCSUM;
	if (lso < 2 * ETH_DATA_LEN) /* not worth it, and 64 KiB would be too much */
		f &= ~NETIF_F_ALL_TSO;
	else
		netif_set_tso_max_size(ndev, min(lso, 65536u - ETH_HLEN - 20));
	ndev->vlan_features = (ndev->vlan_features & ~OFFLOADS) | f;
	ndev->hw_features = (ndev->hw_features & ~OFFLOADS) | f |
			    (nic->rsc_able ? NETIF_F_LRO : 0);
}

/* ---- up, down, another shape ---- */

static int net_open(struct net_device *ndev)
{
	struct net_nic *nic = nic_of(ndev);
	int err = kvmb_rndis_set_filter(nic, wanted_filter(ndev));

	if (err)
		return err;
	nic->up = true;
	netif_tx_start_all_queues(ndev);
	show_link(nic);
	return 0;
}

static int net_stop(struct net_device *ndev)
{
	struct net_nic *nic = nic_of(ndev);

	nic->up = false;
	netif_tx_disable(ndev);
	netif_carrier_off(ndev);
	if (kvmb_chan_gone(nic->dev->chan))
		return 0;
	/* a device that is removed sends nothing more to a host that does not answer this */
	if (kvmb_rndis_set_filter(nic, 0) == -ETIMEDOUT && kvmb_chan_limited(nic->dev->chan))
		kvmb_chan_fail(nic->dev->chan, "its host does not answer");
	return 0;
}

static int bring_up(struct net_nic *nic)
{
	int err = kvmb_net_start(nic);

	if (err)
		return err;
	set_capabilities(nic);
	netdev_update_features(nic->ndev);
	if (nic->ndev->mtu > nic->ndev->max_mtu)
		schedule_work(&nic->mtu_work);
	netif_set_real_num_tx_queues(nic->ndev, nic->num_queues);
	netif_set_real_num_rx_queues(nic->ndev, nic->num_queues);
	if (nic->ndev->addr_assign_type == NET_ADDR_SET)
		kvmb_rndis_set_mac(nic, nic->ndev->dev_addr);
	if (nic->up)
		kvmb_rndis_set_filter(nic, wanted_filter(nic->ndev));
	return 0;
}

/* Another MTU, number of queues or size of buffers; RTNL. When the host refuses, the old one. */
int kvmb_net_restart(struct net_nic *nic, const struct net_config *cfg, u32 mtu)
{
	struct net_device *ndev = nic->ndev;
	struct net_config old = nic->cfg;
	u32 old_mtu = ndev->mtu;
	int err, again;

	netif_device_detach(ndev);
	kvmb_net_stop(nic);
	nic->cfg = *cfg;
	ndev->mtu = mtu;
	err = bring_up(nic);
	if (err) {
		nic->cfg = old;
		ndev->mtu = old_mtu;
		again = bring_up(nic);
		if (again) {
			netdev_err(ndev, "does not come up again: %d\n", again);
			return err; /* detached until it is given back */
		}
	}
	netif_device_attach(ndev);
	if (nic->up)
		show_link(nic);
	return err;
}

static int change_mtu(struct net_device *ndev, int mtu)
{
	struct net_nic *nic = nic_of(ndev);

	return kvmb_net_restart(nic, &nic->cfg, mtu);
}

static int set_mac(struct net_device *ndev, void *p)
{
	struct net_nic *nic = nic_of(ndev);
	struct sockaddr *addr = p;
	int err = eth_prepare_mac_addr_change(ndev, p);

	if (err)
		return err;
	err = kvmb_rndis_set_mac(nic, addr->sa_data);
	if (!err)
		eth_commit_mac_addr_change(ndev, p);
	return err;
}

static u16 select_queue(struct net_device *ndev, struct sk_buff *skb, struct net_device *sb_dev)
{
	struct net_nic *nic = nic_of(ndev);
	const struct net_queue *q;
	u32 hash;
	u16 n;

	if (ndev->real_num_tx_queues < 2)
		return 0;
	hash = skb_get_hash(skb);
	n = READ_ONCE(nic->send_table[hash % KVMB_NVSP_TABLE_SIZE]) % ndev->real_num_tx_queues;
	q = READ_ONCE(nic->queues[n]); /* under RCU; the host may have taken its channel back */
	return q && kvmb_chan_usable(q->ch) ? n : 0;
}

static void get_stats(struct net_device *ndev, struct rtnl_link_stats64 *st)
{
	struct net_nic *nic = nic_of(ndev);
	unsigned int i, seq;

	rcu_read_lock(); /* a queue that closes waits for us */
	for (i = 0; i < NET_MAX_QUEUES; i++) {
		struct net_queue *q = READ_ONCE(nic->queues[i]);
		u64 packets, bytes;

		if (!q)
			continue;
		do {
			seq = kvmb_stats_begin(&q->stats.tx_sync);
			packets = q->stats.tx_packets;
			bytes = q->stats.tx_bytes;
		} while (kvmb_stats_retry(&q->stats.tx_sync, seq));
		st->tx_packets += packets;
		st->tx_bytes += bytes;
		do {
			seq = kvmb_stats_begin(&q->stats.rx_sync);
			packets = q->stats.rx_packets;
			bytes = q->stats.rx_bytes;
		} while (kvmb_stats_retry(&q->stats.rx_sync, seq));
		st->rx_packets += packets;
		st->rx_bytes += bytes;
		st->rx_errors += q->stats.rx_errors;
		st->rx_dropped += q->stats.rx_no_memory;
		st->tx_errors += q->stats.tx_failed;
	}
	rcu_read_unlock();
	st->tx_dropped = atomic_long_read(&nic->tx_dropped);
}

static int set_features(struct net_device *ndev, netdev_features_t features)
{
	struct net_nic *nic = nic_of(ndev);

	if (!((features ^ ndev->features) & NETIF_F_LRO))
		return 0;
	return kvmb_rndis_set_offload(nic, features & NETIF_F_LRO);
}

static netdev_features_t fix_features(struct net_device *ndev, netdev_features_t features)
{
	/* what a host before this could do is still wanted by the user, and is off meanwhile */
	return features & (ndev->hw_features | ~OFFLOADS);
}

static netdev_features_t features_check(struct sk_buff *skb, struct net_device *ndev,
					netdev_features_t features)
{
	/* an LSO mark has ten bits for the place of the TCP header */
	if (skb_is_gso(skb) && skb_transport_offset(skb) > 0x3ff)
		features &= ~NETIF_F_GSO_MASK;
	return vlan_features_check(skb, features);
}

static const struct net_device_ops net_ops = {
	.ndo_open = net_open,
	.ndo_stop = net_stop,
	.ndo_start_xmit = kvmb_net_xmit,
	.ndo_select_queue = select_queue,
	.ndo_get_stats64 = get_stats,
	.ndo_change_mtu = change_mtu,
	.ndo_set_mac_address = set_mac,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_set_rx_mode = set_rx_mode,
	.ndo_set_features = set_features,
	.ndo_fix_features = fix_features,
	.ndo_features_check = features_check,
};

/* ---- devices ---- */

static int net_probe(struct kvmb_device *dev)
{
	struct net_device *ndev;
	struct net_nic *nic = kvzalloc(sizeof(*nic), GFP_KERNEL);
	unsigned int i;
	int err;

	if (!nic)
		return -ENOMEM;
	ndev = alloc_etherdev_mq(sizeof(nic), NET_MAX_QUEUES);
	if (!ndev) {
		kvfree(nic);
		return -ENOMEM;
	}
	*(struct net_nic **)netdev_priv(ndev) = nic;
	SET_NETDEV_DEV(ndev, &dev->dev);
	dev_set_drvdata(&dev->dev, nic);
	nic->dev = dev;
	nic->ndev = ndev;
	nic->cfg.recv_size = NET_RECV_SIZE_DEFAULT;
	nic->cfg.send_size = NET_SEND_SIZE_DEFAULT;
	nic->cfg.num_queues = min(num_online_cpus(), NET_MAX_QUEUES);
	mutex_init(&nic->ctl_lock);
	spin_lock_init(&nic->answer_lock);
	mutex_init(&nic->chan_lock);
	init_completion(&nic->nvsp_done);
	init_completion(&nic->rndis_sent);
	init_completion(&nic->rndis_done);
	init_waitqueue_head(&nic->subs_wait);
	INIT_DELAYED_WORK(&nic->link_work, link_work);
	INIT_DELAYED_WORK(&nic->speed_work, speed_work);
	INIT_WORK(&nic->mtu_work, mtu_work);
	nic->link_shown = jiffies - NET_LINK_INTERVAL;
	INIT_WORK(&nic->filter_work, filter_work);
	INIT_DELAYED_WORK(&nic->sub_work, kvmb_net_sub_work);
	netdev_rss_key_fill(nic->rss_key, sizeof(nic->rss_key));
	for (i = 0; i < NET_TABLE; i++)
		nic->rss_table[i] = ethtool_rxfh_indir_default(i, nic->cfg.num_queues);
	ndev->netdev_ops = &net_ops;
	ndev->ethtool_ops = &kvmb_net_ethtool_ops;
	ndev->min_mtu = ETH_MIN_MTU;
	ndev->max_mtu = ETH_DATA_LEN;
	ndev->needed_headroom = KVMB_RNDIS_HEAD_MAX;
	netif_carrier_off(ndev);

	rtnl_lock(); /* sub-channels come after the registration */
	err = kvmb_net_start(nic);
	if (!err) {
		set_capabilities(nic);
		ndev->features |= (ndev->hw_features & ~NETIF_F_LRO) | NETIF_F_HW_VLAN_CTAG_TX |
				  NETIF_F_HW_VLAN_CTAG_RX;
		netif_set_real_num_tx_queues(ndev, 1);
		netif_set_real_num_rx_queues(ndev, 1);
		err = register_netdevice(ndev);
		if (err)
			kvmb_net_stop(nic);
	}
	rtnl_unlock();
	if (!err)
		return 0;
	dev_err(&dev->dev, "the NIC does not start: %d\n", err);
	cancel_delayed_work_sync(&nic->sub_work);
	cancel_delayed_work_sync(&nic->link_work);
	cancel_delayed_work_sync(&nic->speed_work);
	cancel_work_sync(&nic->mtu_work);
	free_netdev(ndev);
	kvfree(nic);
	return err;
}

static void net_remove(struct kvmb_device *dev)
{
	struct net_nic *nic = dev_get_drvdata(&dev->dev);
	struct net_device *ndev = nic->ndev;

	kvmb_chan_limit(dev->chan, NET_STOP_S); /* for who has RTNL, and for ndo_stop too */
	rtnl_lock();
	nic->patience = NET_STOP_PATIENCE;
	netif_device_detach(ndev);
	netif_tx_disable(ndev);
	unregister_netdevice(ndev);
	kvmb_net_stop(nic);
	rtnl_unlock();
	cancel_delayed_work_sync(&nic->sub_work);
	cancel_delayed_work_sync(&nic->link_work);
	cancel_delayed_work_sync(&nic->speed_work);
	cancel_work_sync(&nic->mtu_work);
	cancel_work_sync(&nic->filter_work);
	free_netdev(ndev);
	kvfree(nic);
}

static int net_suspend(struct kvmb_device *dev)
{
	struct net_nic *nic = dev_get_drvdata(&dev->dev);

	rtnl_lock();
	netif_device_detach(nic->ndev);
	kvmb_net_stop(nic);
	rtnl_unlock();
	cancel_delayed_work_sync(&nic->sub_work);
	return 0;
}

static int net_resume(struct kvmb_device *dev)
{
	struct net_nic *nic = dev_get_drvdata(&dev->dev);
	int err;

	rtnl_lock();
	err = bring_up(nic);
	if (!err) {
		netif_device_attach(nic->ndev);
		if (nic->up)
			show_link(nic);
	}
	rtnl_unlock();
	return err;
}

static const struct kvmb_guid net_types[] = { KVMB_NET_TYPE_GUID };

static struct kvmb_driver net_driver = {
	/* by it netplan, cloud-init and udev know a NIC of this bus; the module is kvmb_net */
	.name = "hv_netvsc",
	.types = net_types,
	.num_types = ARRAY_SIZE(net_types),
	.probe = net_probe,
	.remove = net_remove,
	.suspend = net_suspend,
	.resume = net_resume,
};

static int __init net_init(void)
{
	return kvmb_driver_register(&net_driver, THIS_MODULE);
}

static void __exit net_exit(void)
{
	kvmb_driver_unregister(&net_driver);
}

module_init(net_init);
module_exit(net_exit);
MODULE_ALIAS("kvmbus:635161f83edfc546913ff2d2f965ed0e"); /* proto/net.h, wire order */
MODULE_DESCRIPTION("kvmbus: synthetic NIC of a guest");
MODULE_LICENSE("GPL");
