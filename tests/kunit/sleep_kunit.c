// SPDX-License-Identifier: GPL-2.0-only
/* Channels across a sleep of the system. */
#include <linux/delay.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

/* ---- sleep ---- */

static bool offers_others(u32 type, const u8 *msg, u32 len)
{
	if (type == KVMB_MSG_REQUEST_OFFERS) {
		host_offer(6, &some_type, 1, 0); /* the one that was 5; 6 was another */
		host_offer(9, &some_type, 3, 0);
	}
	return false;
}

CASE(devices_are_found_again_after_a_sleep)
{
	static u8 buf[512] __aligned(8);
	struct kvmb_chan *stays = offered(5, 1), *goes = offered(6, 2), *sub, *comes;
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 w = 1;

	NEED(stays && goes);
	host_offer(7, &some_type, 1, 1);
	host_settle();
	sub = chan_of(7);
	NEED(sub);
	kref_get(&goes->ref);
	NEED(!kvmb_chan_open(stays, 3, NULL, 0, count_call, &calls));
	CHECK_EQ(kvmb_bus_sleep(), -EBUSY); /* a driver that did not close */
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_NEWEST);
	kvmb_chan_close(stays);
	CHECK_EQ(kvmb_bus_sleep(), 0);
	CHECK_EQ(kvmb_bus_protocol(), 0);
	CHECK_EQ(host_seen(KVMB_MSG_UNLOAD), 1);
	CHECK(!chan_of(5) && !chan_of(6) && !chan_of(7));
	CHECK_EQ(num_chans(), 2);	  /* sub-channels end with the connection */
	host_offer(20, &some_type, 9, 0); /* nobody listens */
	host_settle();
	CHECK(!chan_of(20));

	host_script.says = offers_others;
	host_script.max_version = KVMB_VERSION_WIN10_V5; /* another host */
	CHECK_EQ(kvmb_bus_wake(), 0);
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_WIN10_V5);
	CHECK(chan_of(6) == stays);
	CHECK(kvmb_chan_gone(goes));
	host_settle();
	comes = chan_of(9);
	NEED(comes);
	CHECK_EQ(num_chans(), 2);
	/* the new host knows nothing of the old numbers */
	CHECK_EQ(host_seen(KVMB_MSG_RELID_RELEASED), 0);
	kvmb_chan_put(goes);
	NEED(!kvmb_chan_open(stays, 3, NULL, 0, count_call, &calls));
	host_chan_of(6)->on_packet = echo;
	CHECK_EQ(kvmb_send(stays, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, 77, NULL, 0, &w,
			   sizeof(w)),
		 0);
	host_settle();
	NEED(!kvmb_recv(stays, buf, sizeof(buf), &pkt));
	CHECK_EQ(pkt.trans_id, 77);
	kvmb_chan_close(stays);
}

CASE(a_host_that_does_not_answer_after_a_sleep_has_no_devices)
{
	struct kvmb_chan *ch = offered(5, 1);

	NEED(ch);
	kref_get(&ch->ref);
	CHECK_EQ(kvmb_bus_sleep(), 0);
	host_script.mute = BIT(KVMB_MSG_INITIATE_CONTACT);
	CHECK_EQ(kvmb_bus_wake(), -ETIMEDOUT);
	CHECK(kvmb_chan_gone(ch));
	host_settle();
	CHECK_EQ(num_chans(), 0);
	kvmb_chan_put(ch);
}

static struct completion may_go_on;
static void rest(struct work_struct *work)
{
	wait_for_completion(&may_go_on);
}

CASE(sub_channel_that_slept_away_is_not_opened)
{
	struct kvmb_chan *ch = offered(5, 1);
	struct work_struct blocker;
	u32 i;

	NEED(ch);
	memset(&watch, 0, sizeof(watch));
	kvmb_chan_watch_subs(ch, open_sub, &watch);
	init_completion(&may_go_on);
	INIT_WORK_ONSTACK(&blocker, rest);
	queue_work(kvmb.dev_wq, &blocker); /* as while it is frozen */
	host_offer(6, &some_type, 1, 1);
	for (i = 0; i < 1000 && !chan_of(6); i++)
		msleep(1);
	NEED(chan_of(6));
	CHECK_EQ(kvmb_bus_sleep(), 0);
	CHECK(!chan_of(6));
	CHECK_EQ(kvmb_bus_wake(), 0); /* an aborted hibernation: the work is still there */
	complete(&may_go_on);
	host_settle();
	destroy_work_on_stack(&blocker);
	CHECK_EQ(atomic_read(&watch.calls), 0); /* its number may be somebody else's */
	CHECK_EQ(host_seen(KVMB_MSG_OPEN), 0);
}

static struct kunit_case sleep_cases[] = {
	KUNIT_CASE(devices_are_found_again_after_a_sleep),
	KUNIT_CASE(a_host_that_does_not_answer_after_a_sleep_has_no_devices),
	KUNIT_CASE(sub_channel_that_slept_away_is_not_opened),
	{}
};

struct kunit_suite kvmb_sleep_suite = {
	.name = "kvmb_sleep",
	.test_cases = sleep_cases,
	.init = bus_init,
	.exit = bus_exit,
};
