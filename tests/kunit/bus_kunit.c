// SPDX-License-Identifier: GPL-2.0-only
/* The suites of the guest's bus against the scripted host, and what they share. */
#include <linux/module.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

const struct kvmb_guid some_type = KVMB_GUID(0x6b766d62, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

int bus_init(struct kunit *test)
{
	int err = host_begin();

	host_script.patience_s = 60; /* no case but those that mute the host waits in vain */
	return err;
}

void bus_exit(struct kunit *test)
{
	host_end();
}

struct kvmb_chan *chan_of(u32 relid)
{
	struct kvmb_chan *ch;

	rcu_read_lock();
	ch = rcu_dereference(kvmb.by_relid[relid]);
	rcu_read_unlock();
	return ch;
}

struct kvmb_chan *offered(u32 relid, u8 instance)
{
	host_offer(relid, &some_type, instance, 0);
	host_settle();
	return chan_of(relid);
}

u32 num_chans(void)
{
	struct kvmb_chan *ch;
	u32 n = 0;

	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry)
		n++;
	mutex_unlock(&kvmb.lock);
	return n;
}

void count_call(void *ctx)
{
	atomic_inc(ctx);
}

u64 echoed;
void echo(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	echoed = pkt->trans_id;
	host_put(c, KVMB_PKT_COMPLETION, 0, pkt->trans_id, NULL, 0, pkt->payload, pkt->payload_len);
}

void speaks_first(struct host_chan *c)
{
	kvmb_ring_put(&c->tx, KVMB_PKT_INBAND, 0, 1, NULL, 0, "too soon", 8);
	kvmb_ring_publish(&c->tx);
	host_kick(c->relid);
}

struct sub_watch watch;
void open_sub(struct kvmb_chan *sub, void *ctx)
{
	struct sub_watch *w = ctx;

	atomic_inc(&w->running);
	atomic_inc(&w->calls);
	w->sub = sub;
	w->err = kvmb_chan_open(sub, 3, NULL, 0, count_call, &w->calls);
	if (!w->err)
		kvmb_chan_close(sub);
	atomic_dec(&w->running);
}

extern struct kunit_suite kvmb_conn_suite, kvmb_chan_suite, kvmb_recv_suite, kvmb_offer_suite,
	kvmb_cpu_suite, kvmb_sleep_suite, kvmb_race_suite, kvmb_match_suite, kvmb_steps_suite;

kunit_test_suites(&kvmb_conn_suite, &kvmb_chan_suite, &kvmb_recv_suite, &kvmb_offer_suite,
		  &kvmb_cpu_suite, &kvmb_sleep_suite, &kvmb_race_suite, &kvmb_match_suite,
		  &kvmb_steps_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suites of the guest's bus, and the scripted host");
MODULE_LICENSE("GPL");
