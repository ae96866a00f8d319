// SPDX-License-Identifier: GPL-2.0-only
/* kvmb_net: queues, MTU and rescind change under traffic (docs/threat-model.md#G02). */
#include <linux/delay.h>
#include <linux/ethtool.h>
#include <linux/kthread.h>
#include <linux/rtnetlink.h>

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
	/* its channel is closed and was not rescinded: whatever is told the host now must not be written anywhere */
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
	static const u32 nvsp[] = { KVMB_NVSP_INIT, KVMB_NVSP_SEND_RECV_BUF, KVMB_NVSP_SEND_SEND_BUF, KVMB_NVSP_SUBCHANNEL };
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

static struct kunit_case shape_cases[] = {
	KUNIT_CASE(queues_are_opened_as_far_as_the_host_offers_them),
	KUNIT_CASE(a_grant_of_more_queues_than_asked_is_none),
	KUNIT_CASE(the_shape_changes_under_traffic),
	KUNIT_CASE(a_change_that_the_host_refuses_leaves_the_old_shape),
	KUNIT_CASE(nic_that_does_not_come_up_again_can_be_stopped),
	KUNIT_CASE(a_rescind_under_traffic_is_survived),
	KUNIT_CASE(a_rescind_in_each_step_of_the_start_ends_it),
	{}
};

struct kunit_suite kvmb_net_shape_suite = { .name = "kvmb_net_shape", .test_cases = shape_cases, .init = nic_init,
					    .exit = nic_exit };
