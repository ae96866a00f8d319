// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts, offers and rescinds that never stop, against everything else. */
#include <linux/delay.h>
#include <linux/kthread.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

/* ---- races ---- */

static int kick_on(void *arg)
{
	while (!kthread_should_stop()) {
		host_kick(5);
		usleep_range(5, 50);
	}
	return 0;
}

CASE(interrupts_that_never_stop_do_not_meet_a_closed_channel)
{
	struct task_struct *t = kthread_run(kick_on, NULL, "kvmb_kick");
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t *calls;
	int i;

	NEED(!IS_ERR(t));
	NEED(ch);
	for (i = 0; i < 100; i++) {
		calls = kzalloc(sizeof(*calls), GFP_KERNEL);
		CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, calls), 0);
		kvmb_chan_close(ch);
		kfree(calls); /* KASAN sees a callback that comes later */
	}
	kthread_stop(t);
}

static int offer_and_rescind(void *arg)
{
	u32 *rounds = arg, n;

	while (!kthread_should_stop()) {
		n = READ_ONCE(*rounds) + 1;
		host_offer(5, &some_type, n & 0xff, 0);
		/* from too short to open it to long enough, on any machine */
		usleep_range(50, 1000 << n % 9);
		host_rescind(5);
		usleep_range(50, 500);
		WRITE_ONCE(*rounds, n);
	}
	return 0;
}

CASE(opening_and_sending_race_with_rescind)
{
	u32 rounds = 0;
	struct task_struct *kicks = kthread_run(kick_on, NULL, "kvmb_kick");
	struct task_struct *t = kthread_run(offer_and_rescind, &rounds, "kvmb_offers");
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_chan *ch;
	u32 opened = 0, gone = 0;
	u64 w = 1;

	NEED(!IS_ERR(t) && !IS_ERR(kicks));
	while ((opened <= 10 || gone <= 2) && READ_ONCE(rounds) < 2000) {
		mutex_lock(&kvmb.lock);
		ch = rcu_dereference_protected(kvmb.by_relid[5], lockdep_is_held(&kvmb.lock));
		if (ch)
			kref_get(&ch->ref);
		mutex_unlock(&kvmb.lock);
		if (!ch) {
			usleep_range(10, 50);
			continue;
		}
		if (!kvmb_chan_open(ch, 2, NULL, 0, count_call, &calls)) {
			opened++;
			while (!kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8))
				usleep_range(10, 20);
			gone += kvmb_chan_gone(ch);
			kvmb_chan_close(ch);
		}
		kvmb_chan_put(ch);
	}
	kthread_stop(t);
	kthread_stop(kicks);
	host_settle();
	CHECK(opened > 10);
	CHECK(gone > 2);
}

static int signal_all_the_time(void *arg)
{
	while (!kthread_should_stop()) {
		kvmb_chan_signal(arg);
		cond_resched();
	}
	return 0;
}

CASE(signals_race_with_the_end_of_the_connection)
{
	struct task_struct *t;
	struct kvmb_chan *ch;
	int i;

	CHECK_EQ(kvmb_bus_sleep(), 0);
	host_script.max_version = KVMB_VERSION_WS2008; /* signals look into the interrupt page */
	CHECK_EQ(kvmb_bus_wake(), 0);
	ch = offered(5, 1);
	NEED(ch);
	kref_get(&ch->ref);
	t = kthread_run(signal_all_the_time, ch, "kvmb_signals");
	NEED(!IS_ERR(t));
	for (i = 0; i < 50; i++) {
		CHECK_EQ(kvmb_bus_sleep(), 0);
		CHECK_EQ(kvmb_bus_wake(), 0);
	}
	kthread_stop(t);
	kvmb_chan_put(ch);
}

static int offer_all_the_time(void *arg)
{
	u32 n = 0;

	while (!kthread_should_stop()) {
		if (host_slot_is_free()) {
			host_offer(1 + n % 30, &some_type, 1 + n % 30, 0);
			n++;
		}
		usleep_range(10, 100);
	}
	return 0;
}

CASE(offers_that_come_while_the_bus_stops_are_left)
{
	struct task_struct *t;
	int i;

	for (i = 0; i < 10; i++) {
		t = kthread_run(offer_all_the_time, NULL, "kvmb_offers");
		NEED(!IS_ERR(t));
		msleep(20);
		kvmb_bus_stop();
		CHECK(list_empty(&kvmb.chans));
		kthread_stop(t);
		NEED(!host_begin());
	}
}

static int rescind_all_the_time(void *arg)
{
	u32 n = 0;

	while (!kthread_should_stop()) {
		if (host_slot_is_free())
			host_take_back(1 + n++ % 30);
		usleep_range(5, 50);
	}
	return 0;
}

CASE(rescinds_that_come_while_the_bus_stops_are_left)
{
	struct task_struct *t;
	u32 i, relid;

	for (i = 0; i < 4; i++) {
		for (relid = 1; relid <= 30; relid++)
			host_offer(relid, &some_type, relid, 0);
		host_settle();
		CHECK(num_chans() > 20);
		t = kthread_run(rescind_all_the_time, NULL, "kvmb_rescinds");
		NEED(!IS_ERR(t));
		kvmb_bus_stop();
		CHECK(list_empty(&kvmb.chans));
		kthread_stop(t);
		NEED(!host_begin());
	}
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE(interrupts_that_never_stop_do_not_meet_a_closed_channel),
	KUNIT_CASE(opening_and_sending_race_with_rescind),
	KUNIT_CASE(signals_race_with_the_end_of_the_connection),
	KUNIT_CASE(offers_that_come_while_the_bus_stops_are_left),
	KUNIT_CASE(rescinds_that_come_while_the_bus_stops_are_left),
	{}
};

struct kunit_suite kvmb_race_suite = {
	.name = "kvmb_race",
	.test_cases = race_cases,
	.init = bus_init,
	.exit = bus_exit,
};
