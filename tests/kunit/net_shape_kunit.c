// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_net: queues, MTU and rescind change under traffic (docs/threat-model.md#G02). */
#include <linux/delay.h>
#include <linux/ethtool.h>
#include <linux/kthread.h>
#include <linux/rtnetlink.h>

#include "guest-vsc/net/net_guest.h"
#include "tests/kunit/script_nic.h"

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
	script_nic.queues = MAX_SUBS + 1;
	script_nic.subs = cpus - 1;
	ndev = nic_up();
	NEED(ndev);
	CHECK(queues_become(ndev, cpus));
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
	nic_take_out();
	script_nic.subs = MAX_SUBS; /* more than were asked for */
	ndev = nic_up();
	NEED(ndev);
	CHECK(queues_become(ndev, cpus));
	host_settle();
	CHECK_EQ(ndev->real_num_tx_queues, cpus);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
	nic_take_out();
	script_nic.subs = 0; /* granted, and never offered */
	ndev = nic_up();
	NEED(ndev);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static int send_on(void *arg)
{
	struct net_device *ndev = arg;
	u32 n = 0;

	while (!kthread_should_stop()) {
		nic_transmit(ndev, 60 + n % 1400, n);
		if (n++ % 32 == 0)
			usleep_range(20, 200);
	}
	return 0;
}

/* Return: whether @num frames reach the host, the last by channel @relid */
static bool frames_come_by(struct net_device *ndev, u32 num, u32 relid)
{
	int before = atomic_read(&script_nic.frames), i;
	u32 n;

	for (n = 0; n < num; n++)
		nic_transmit(ndev, 200, n);
	for (i = 0; i < 1000 && atomic_read(&script_nic.frames) < before + (int)num; i++)
		msleep(2);
	return atomic_read(&script_nic.frames) == before + (int)num && script_nic.came_by == relid;
}

CASE(queue_that_is_taken_back_alone_is_made_up_for)
{
	struct net_device *ndev;
	struct net_nic *nic;
	u32 i;

	script_nic.queues = 2;
	script_nic.subs = 1;
	ndev = nic_up();
	NEED(ndev);
	NEED(queues_become(ndev, 2));
	nic = *(struct net_nic **)netdev_priv(ndev);
	for (i = 0; i < KVMB_NVSP_TABLE_SIZE; i++)
		WRITE_ONCE(nic->send_table[i], 1);
	CHECK(frames_come_by(ndev, 20, RELID + 1));
	host_take_back(RELID + 1);
	host_settle();
	CHECK(frames_come_by(ndev, 20, RELID));
	CHECK_EQ(host_seen(KVMB_MSG_RELID_RELEASED), 1); /* the host may use the number again */
	nic_offer_sub(RELID + 2, 1);
	host_settle();
	CHECK(host_chan_of(RELID + 2)->open);
	CHECK(frames_come_by(ndev, 20, RELID + 2));
	CHECK_EQ(ndev->real_num_tx_queues, 2);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

CASE(queue_comes_and_goes_under_traffic)
{
	struct task_struct *t;
	struct net_device *ndev;
	struct net_nic *nic;
	u32 i;

	script_nic.queues = 2;
	script_nic.subs = 1;
	script_nic.echo = true;
	ndev = nic_up();
	NEED(ndev);
	NEED(queues_become(ndev, 2));
	nic = *(struct net_nic **)netdev_priv(ndev);
	for (i = 0; i < KVMB_NVSP_TABLE_SIZE; i++)
		WRITE_ONCE(nic->send_table[i], i % 2);
	t = kthread_run(send_on, ndev, "kvmb_send");
	NEED(!IS_ERR(t));
	for (i = 0; i < 3; i++) {
		host_take_back(RELID + 1 + i);
		msleep(20);
		nic_offer_sub(RELID + 2 + i, 1);
		msleep(20);
	}
	kthread_stop(t);
	script_nic.echo = false;
	host_settle();
	CHECK(host_chan_of(RELID + 1 + i)->open);
	msleep(100); /* what is still on its way */
	CHECK(nic_still_hears(ndev));
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

	script_nic.queues = 0xffffffff;
	script_nic.twist = twist_subs;
	ndev = nic_up();
	NEED(ndev);
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(ndev->real_num_tx_queues, 1);
	dev_put(ndev);
}

CASE(the_shape_changes_under_traffic)
{
	struct task_struct *t;
	struct net_device *ndev;
	u32 i;

	script_nic.queues = 4;
	script_nic.subs = num_online_cpus() - 1;
	script_nic.mtu = 9000;
	script_nic.echo = true;
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
	script_nic.echo = false;
	host_settle();
	msleep(100); /* what is still on its way */
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

CASE(a_change_that_the_host_refuses_leaves_the_old_shape)
{
	struct net_device *ndev;

	script_nic.mtu = 9000;
	ndev = nic_up();
	NEED(ndev);
	nic_lie = (struct nic_lie){ KVMB_NVSP_INIT, 3, KVMB_NVSP_STAT_FAIL, 0 };
	script_nic.twist = nic_twist;
	rtnl_lock();
	CHECK(dev_set_mtu(ndev, 4000) != 0);
	rtnl_unlock();
	CHECK_EQ(ndev->mtu, 1500);
	script_nic.twist = NULL;
	dev_put(ndev); /* dead, and it goes without a crash */
}

CASE(nic_that_does_not_come_up_again_can_be_stopped)
{
	struct net_device *ndev;

	script_nic.mtu = 9000;
	ndev = nic_up();
	NEED(ndev);
	nic_lie = (struct nic_lie){ KVMB_NVSP_INIT, 3, KVMB_NVSP_STAT_FAIL, 0 };
	script_nic.twist = nic_twist;
	rtnl_lock();
	CHECK(dev_set_mtu(ndev, 4000) != 0);
	/*
	 * its channel is closed and was not rescinded: whatever is told the host now must not be
	 * written anywhere
	 */
	dev_close(ndev);
	CHECK(!netif_running(ndev));
	rtnl_unlock();
	script_nic.twist = NULL;
	dev_put(ndev);
}

CASE(a_rescind_under_traffic_is_survived)
{
	struct task_struct *t;
	struct net_device *ndev;
	u32 i;

	script_nic.echo = true;
	for (i = 0; i < 12; i++) {
		script_nic.queues = 1 + i % 3;
		script_nic.subs = script_nic.queues > 1 ? num_online_cpus() - 1 : 0;
		ndev = nic_up();
		NEED(ndev);
		t = kthread_run(send_on, ndev, "kvmb_send");
		NEED(!IS_ERR(t));
		msleep(5 + i * 3);
		nic_rescind();
		msleep(5);
		kthread_stop(t);
		dev_put(ndev);
		nic_take_out();
		ndev = nic_find();
		CHECK(!ndev);
	}
}

static int rescind_soon(void *arg)
{
	msleep(200);
	nic_rescind();
	return 0;
}

CASE(a_rescind_in_each_step_of_the_start_ends_it)
{
	static const u32 nvsp[] = { KVMB_NVSP_INIT, KVMB_NVSP_SEND_RECV_BUF,
				    KVMB_NVSP_SEND_SEND_BUF, KVMB_NVSP_SUBCHANNEL };
	static const u32 rndis[] = { KVMB_RNDIS_INIT, KVMB_RNDIS_QUERY, KVMB_RNDIS_SET };
	struct net_device *ndev;
	size_t i;

	script_nic.queues = 4;
	for (i = 0; i < ARRAY_SIZE(nvsp) + ARRAY_SIZE(rndis); i++) {
		script_nic.mute = i < ARRAY_SIZE(nvsp) ? nvsp[i] : 0;
		script_nic.mute_rndis = i < ARRAY_SIZE(nvsp) ? 0 : rndis[i - ARRAY_SIZE(nvsp)];
		kthread_run(rescind_soon, NULL, "kvmb_rescind");
		nic_plug_in();
		msleep(300);
		host_settle();
		ndev = nic_find();
		CHECK_ROW(!!ndev, false, i);
		if (ndev)
			dev_put(ndev);
		nic_take_out();
	}
}

/* ---- a host that is slow to answer, or does not ---- */

static u32 speed_asked;
static bool speed_mute;
static bool on_speed(u8 *msg, u32 *len, u32 type, u32 oid)
{
	if (type != KVMB_RNDIS_QUERY || oid != KVMB_OID_GEN_LINK_SPEED)
		return true;
	WRITE_ONCE(speed_asked, speed_asked + 1);
	return !speed_mute;
}

static void flood_of_speed(u32 num)
{
	const struct {
		struct kvmb_wire_rndis h;
		struct kvmb_wire_rndis_indicate i;
	} m = { { cpu_to_le32(KVMB_RNDIS_INDICATE), cpu_to_le32(sizeof(m)) },
		{ cpu_to_le32(KVMB_RNDIS_INDICATE_SPEED_CHANGE) } };
	u32 i;

	for (i = 0; i < num; i++)
		nic_say(nic_chan(), &m, sizeof(m));
	host_settle();
}

static bool speed_is_asked(u32 num)
{
	u32 i;

	for (i = 0; i < 10000 && READ_ONCE(speed_asked) < num; i++)
		msleep(2);
	return speed_asked >= num;
}

CASE(flood_of_speed_changes_is_one_question)
{
	struct net_device *ndev = nic_up();
	unsigned long first;
	struct net_nic *nic;
	u32 i;

	NEED(ndev);
	nic = *(struct net_nic **)netdev_priv(ndev);
	speed_asked = 0;
	speed_mute = false;
	script_nic.twist_rndis = on_speed;
	WRITE_ONCE(nic->speed_next, jiffies);
	first = jiffies;
	flood_of_speed(50);
	CHECK(speed_is_asked(1));
	for (i = 0; i < 10; i++) {
		flood_of_speed(20);
		msleep(500);
	}
	CHECK(speed_asked <= 1 + (jiffies - first) / NET_SPEED_INTERVAL);
	/* who does not answer is left alone for long: each question costs RTNL a second */
	rtnl_lock();
	cancel_delayed_work(&nic->speed_work);
	speed_mute = true;
	speed_asked = 0;
	WRITE_ONCE(nic->speed_next, jiffies);
	rtnl_unlock();
	flood_of_speed(1);
	CHECK(speed_is_asked(1));
	rtnl_lock(); /* the question is over */
	CHECK(time_after(nic->speed_next, jiffies + 2 * NET_SPEED_INTERVAL));
	rtnl_unlock();
	flood_of_speed(20);
	msleep(3000);
	CHECK_EQ(speed_asked, 1);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

CASE(stop_asks_a_silent_host_once)
{
	struct net_device *ndev;
	u32 torn;

	script_nic.mtu = 9000;
	ndev = nic_up();
	NEED(ndev);
	torn = host_seen(KVMB_MSG_GPADL_TEARDOWN);
	script_nic.mute_rndis = KVMB_RNDIS_SET;
	rtnl_lock();
	CHECK(dev_set_mtu(ndev, 4000) != 0);
	rtnl_unlock();
	CHECK_EQ(script_nic.requests[KVMB_RNDIS_HALT], 0);
	/* its bus answers, so nothing is leaked */
	CHECK(host_seen(KVMB_MSG_GPADL_TEARDOWN) >= torn + 3);
	script_nic.mute_rndis = 0;
	dev_put(ndev);
}

CASE(removal_asks_a_silent_host_once)
{
	struct net_device *ndev = nic_up();
	struct device *dev;
	u32 torn;

	NEED(ndev);
	dev = get_device(ndev->dev.parent);
	dev_put(ndev);
	host_settle();
	torn = host_seen(KVMB_MSG_GPADL_TEARDOWN);
	script_nic.mute_rndis = KVMB_RNDIS_SET;
	device_release_driver(dev); /* ndo_stop, then the stop of the channel */
	CHECK_EQ(script_nic.requests[KVMB_RNDIS_HALT], 0);
	CHECK_EQ(host_seen(KVMB_MSG_GPADL_TEARDOWN), torn + 3);
	script_nic.mute_rndis = 0;
	put_device(dev);
}

CASE(stop_of_many_queues_waits_once_for_a_silent_bus)
{
	struct ethtool_channels all = { .combined_count = MAX_SUBS };
	struct net_device *ndev;
	unsigned long begin;
	struct device *dev;

	script_nic.queues = script_nic.subs = MAX_SUBS;
	ndev = nic_up();
	NEED(ndev);
	rtnl_lock();
	CHECK_EQ(ndev->ethtool_ops->set_channels(ndev, &all), 0);
	rtnl_unlock();
	NEED(queues_become(ndev, MAX_SUBS));
	dev = get_device(ndev->dev.parent);
	dev_put(ndev);
	host_script.mute = BIT(KVMB_MSG_GPADL_TEARDOWN);
	begin = jiffies;
	device_release_driver(dev);
	/*
	 * two buffers and a pair of rings a queue: so many answers that do not come, each worth
	 * KVMB_WAIT_S by itself
	 */
	CHECK(jiffies - begin < (2 + MAX_SUBS) * KVMB_WAIT_S * HZ);
	host_script.mute = 0;
	put_device(dev);
}

static u32 grants;

/* Sub-channels are granted once between two starts, as hosts do */
static bool grant_once(struct kvmb_wire_nvsp *m, u32 *len, u32 type)
{
	if (type == KVMB_NVSP_INIT)
		grants = 0;
	if (type == KVMB_NVSP_SUBCHANNEL && grants++)
		m->u.subchannel_complete.status = cpu_to_le32(KVMB_NVSP_STAT_FAIL);
	return true;
}

CASE(two_changes_in_a_row_keep_the_queues)
{
	struct ethtool_channels two = { .combined_count = 2 };
	struct net_device *ndev;
	struct net_nic *nic;
	u32 i;

	script_nic.queues = 2;
	script_nic.subs = 1;
	script_nic.twist = grant_once;
	ndev = nic_up();
	NEED(ndev);
	NEED(queues_become(ndev, 2));
	nic = *(struct net_nic **)netdev_priv(ndev);
	rtnl_lock();
	for (i = 0; i < 2; i++) {
		CHECK_EQ(ndev->ethtool_ops->set_channels(ndev, &two), 0);
		msleep(200); /* its work begins, and waits for RTNL */
	}
	rtnl_unlock();
	CHECK(queues_become(ndev, 2));
	flush_delayed_work(&nic->sub_work); /* the second change's comes after the first one's */
	CHECK_EQ(grants, 1);
	CHECK_EQ(ndev->real_num_tx_queues, 2);
	CHECK_EQ(nic->num_queues, 2);
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static u32 told_channels(struct net_device *ndev)
{
	struct ethtool_channels c = { 0 };

	ndev->ethtool_ops->get_channels(ndev, &c);
	return c.combined_count;
}

CASE(channels_told_are_those_that_were_set)
{
	struct ethtool_channels one = { .combined_count = 1 }, two = { .combined_count = 2 };
	struct net_device *ndev;
	u32 i, n = 0;

	script_nic.queues = 4;
	script_nic.subs = 1;
	ndev = nic_up();
	NEED(ndev);
	NEED(queues_become(ndev, 2));
	for (i = 0; i < 5; i++) {
		rtnl_lock();
		CHECK_EQ(ndev->ethtool_ops->set_channels(ndev, i & 1 ? &two : &one), 0);
		CHECK_EQ(told_channels(ndev), i & 1 ? 2 : 1);
		rtnl_unlock();
	}
	script_nic.subs = 0; /* granted, and never offered: in the end it is known */
	rtnl_lock();
	CHECK_EQ(ndev->ethtool_ops->set_channels(ndev, &two), 0);
	CHECK_EQ(told_channels(ndev), 2);
	rtnl_unlock();
	for (i = 0; i < 600 && n != 1; i++) {
		msleep(100);
		rtnl_lock();
		n = told_channels(ndev);
		rtnl_unlock();
	}
	CHECK_EQ(n, 1);
	dev_put(ndev);
}

static bool no_offloads(u8 *msg, u32 *len, u32 type, u32 oid)
{
	const u32 from = HDR + sizeof(struct kvmb_wire_rndis_query_complete) +
			 sizeof(struct kvmb_wire_ndis_object);

	if (type == KVMB_RNDIS_QUERY && oid == KVMB_OID_TCP_OFFLOAD_HW_CAPS)
		memset(msg + from, 0, *len - from);
	return true;
}

CASE(offloads_are_those_of_the_host_after_sleep)
{
	const netdev_features_t of_host = NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM | NETIF_F_TSO |
					  NETIF_F_TSO6 | NETIF_F_RXCSUM;
	struct net_device *ndev = nic_up();
	struct kvmb_driver *drv;
	struct kvmb_device *dev;

	NEED(ndev);
	dev = to_kvmb_device(ndev->dev.parent);
	drv = container_of(dev->dev.driver, struct kvmb_driver, driver);
	CHECK_EQ(ndev->features & of_host, of_host);
	CHECK(ndev->hw_features & NETIF_F_LRO);
	CHECK_EQ(drv->suspend(dev), 0);
	script_nic.twist_rndis = no_offloads; /* it wakes on another */
	CHECK_EQ(drv->resume(dev), 0);
	CHECK_EQ(ndev->features & (of_host | NETIF_F_LRO), 0);
	CHECK_EQ(ndev->hw_features & (of_host | NETIF_F_LRO), 0);
	CHECK_EQ(ndev->vlan_features & of_host, 0);
	CHECK(ndev->features & NETIF_F_SG);
	CHECK(nic_still_hears(ndev));
	rtnl_lock();
	netdev_update_features(ndev); /* as after any other change: they stay off */
	rtnl_unlock();
	CHECK_EQ(ndev->features & of_host, 0);
	CHECK_EQ(drv->suspend(dev), 0);
	script_nic.twist_rndis = NULL;
	CHECK_EQ(drv->resume(dev), 0);
	CHECK_EQ(ndev->features & of_host, of_host); /* nobody switched them off */
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

/* A change that the driver makes itself, later. Return: what it is then */
static unsigned int mtu_becomes(struct net_device *ndev, unsigned int mtu)
{
	unsigned int i;

	for (i = 0; i < 1000 && READ_ONCE(ndev->mtu) != mtu; i++)
		msleep(10);
	rtnl_lock(); /* the NIC is up again */
	rtnl_unlock();
	return READ_ONCE(ndev->mtu);
}

CASE(mtu_is_no_more_than_the_host_takes_after_sleep)
{
	struct kvmb_driver *drv;
	struct kvmb_device *dev;
	struct net_device *ndev;

	script_nic.mtu = 9000;
	ndev = nic_up();
	NEED(ndev);
	dev = to_kvmb_device(ndev->dev.parent);
	drv = container_of(dev->dev.driver, struct kvmb_driver, driver);
	rtnl_lock();
	CHECK_EQ(dev_set_mtu(ndev, 9000), 0);
	rtnl_unlock();
	CHECK_EQ(ndev->mtu, 9000);
	CHECK_EQ(drv->suspend(dev), 0);
	script_nic.mtu = 1500; /* it wakes on another */
	CHECK_EQ(drv->resume(dev), 0);
	CHECK_EQ(mtu_becomes(ndev, 1500), 1500);
	CHECK_EQ(ndev->max_mtu, 1500);
	CHECK(nic_still_hears(ndev));
	CHECK_EQ(drv->suspend(dev), 0);
	script_nic.mtu = 9000;
	CHECK_EQ(drv->resume(dev), 0);
	CHECK_EQ(ndev->mtu, 1500);
	script_nic.mtu = 4000; /* less than it said before */
	rtnl_lock();
	dev_set_mtu(ndev, 8000);
	rtnl_unlock();
	CHECK_EQ(mtu_becomes(ndev, 4000), 4000);
	rtnl_lock();
	CHECK_EQ(dev_set_mtu(ndev, 3000), 0);
	rtnl_unlock();
	CHECK(nic_still_hears(ndev));
	dev_put(ndev);
}

static struct kunit_case shape_cases[] = {
	KUNIT_CASE(queues_are_opened_as_far_as_the_host_offers_them),
	KUNIT_CASE(queue_that_is_taken_back_alone_is_made_up_for),
	KUNIT_CASE(queue_comes_and_goes_under_traffic),
	KUNIT_CASE(a_grant_of_more_queues_than_asked_is_none),
	KUNIT_CASE(the_shape_changes_under_traffic),
	KUNIT_CASE(a_change_that_the_host_refuses_leaves_the_old_shape),
	KUNIT_CASE(nic_that_does_not_come_up_again_can_be_stopped),
	KUNIT_CASE(a_rescind_under_traffic_is_survived),
	KUNIT_CASE(a_rescind_in_each_step_of_the_start_ends_it),
	KUNIT_CASE(flood_of_speed_changes_is_one_question),
	KUNIT_CASE(stop_asks_a_silent_host_once),
	KUNIT_CASE(removal_asks_a_silent_host_once),
	KUNIT_CASE(stop_of_many_queues_waits_once_for_a_silent_bus),
	KUNIT_CASE(channels_told_are_those_that_were_set),
	KUNIT_CASE(two_changes_in_a_row_keep_the_queues),
	KUNIT_CASE(offloads_are_those_of_the_host_after_sleep),
	KUNIT_CASE(mtu_is_no_more_than_the_host_takes_after_sleep),
	{}
};

struct kunit_suite kvmb_net_shape_suite = {
	.name = "kvmb_net_shape",
	.test_cases = shape_cases,
	.init = nic_init,
	.exit = nic_exit,
};
