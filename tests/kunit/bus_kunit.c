// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's channels and page lists against the scripted host (docs/threat-model.md#G01). The
 * connection: conn_kunit.c.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/vmalloc.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"

static const struct kvmb_guid some_type = KVMB_GUID(0x6b766d62, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);

static int chan_init(struct kunit *test)
{
	return host_begin();
}

static void chan_exit(struct kunit *test)
{
	host_end();
}

static struct kvmb_chan *chan_of(u32 relid)
{
	struct kvmb_chan *ch;

	rcu_read_lock();
	ch = rcu_dereference(kvmb.by_relid[relid]);
	rcu_read_unlock();
	return ch;
}

static struct kvmb_chan *offered(u32 relid, u8 instance)
{
	host_offer(relid, &some_type, instance, 0);
	host_settle();
	return chan_of(relid);
}

static u32 num_chans(void)
{
	struct kvmb_chan *ch;
	u32 n = 0;

	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry)
		n++;
	mutex_unlock(&kvmb.lock);
	return n;
}

static void count(void *ctx)
{
	atomic_inc(ctx);
}

static u64 echoed;
static void echo(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx)
{
	echoed = pkt->trans_id;
	host_put(c, KVMB_PKT_COMPLETION, 0, pkt->trans_id, NULL, 0, pkt->payload, pkt->payload_len);
}

CASE(packets_go_there_and_back)
{
	static u8 buf[512] __aligned(8);
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 i;

	NEED(ch);
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
	CHECK_EQ(ch->state, KVMB_CHAN_OPEN);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -EBUSY);
	host_chan_of(5)->on_packet = echo;
	for (i = 1; i <= 200; i++) {
		CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, KVMB_PKT_FLAG_COMPLETE, i, NULL, 0, &i,
				   sizeof(i)),
			 0);
		host_settle();
		NEED(!kvmb_recv(ch, buf, sizeof(buf), &pkt));
		CHECK_EQ(pkt.trans_id, i);
		CHECK_MEM(pkt.payload, &i, sizeof(i));
	}
	CHECK_EQ(echoed, 200);
	CHECK_EQ(atomic_read(&calls), 200);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EAGAIN);
	kvmb_chan_close(ch);
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	host_settle();
	CHECK(!host_chan_of(5)->open);
	CHECK_EQ(host_seen(KVMB_MSG_CLOSE), 1);
	CHECK_EQ(host_seen(KVMB_MSG_GPADL_TEARDOWN), 1);
}

CASE(a_full_ring_costs_one_signal)
{
	struct kvmb_chan *ch = offered(5, 1);
	static u8 b[488];
	atomic_t calls = ATOMIC_INIT(0);
	u32 n = 0, before;

	NEED(ch && !kvmb_chan_open(ch, 2, NULL, 0, count, &calls));
	host_chan_of(5)->rx.ctrl->interrupt_mask = cpu_to_le32(1);
	before = host_signals();
	while (!kvmb_send(ch, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)))
		n++;
	CHECK_EQ(n, 7); /* 512 bytes each of 4096, never all */
	CHECK_EQ(host_signals(), before);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, n, NULL, 0, b, sizeof(b)), -EAGAIN);
	kvmb_chan_close(ch);
}

CASE(opening_reports_each_refusal_and_can_be_tried_again)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	host_script.gpadl_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -EIO);
	host_script.gpadl_status = 0;
	host_script.open_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -EIO);
	host_script.open_status = 0;
	host_script.mute = BIT(KVMB_MSG_OPEN);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -ETIMEDOUT);
	host_script.mute = BIT(KVMB_MSG_GPADL_HEADER);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -ETIMEDOUT);
	host_script.mute = 0;
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), 0);
	CHECK_EQ(kvmb_chan_open(ch, 1, NULL, 0, count, &calls), -EINVAL);
	kvmb_chan_close(ch);
}

static bool signals_first(u32 type, const u8 *msg, u32 len)
{
	if (type == KVMB_MSG_OPEN)
		host_kick(5);
	return false;
}

static void speaks_first(struct host_chan *c)
{
	kvmb_ring_put(&c->tx, KVMB_PKT_INBAND, 0, 1, NULL, 0, "too soon", 8);
	kvmb_ring_publish(&c->tx);
	host_kick(c->relid);
}

CASE(refused_channel_never_calls_back)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	/* who was called would read rings, later, that are unmapped when the host refuses */
	host_script.says = signals_first;
	host_script.open_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -EIO);
	CHECK_EQ(atomic_read(&calls), 0);
	/* but nothing that came before the answer is lost */
	host_script.says = NULL;
	host_script.open_status = 0;
	host_script.opened = speaks_first;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), 0);
	CHECK_EQ(atomic_read(&calls), 1);
	kvmb_chan_close(ch);
}

CASE(closed_channel_takes_no_packet)
{
	static u8 buf[512] __aligned(8);
	struct kvmb_chan *ch = offered(5, 1), *other = offered(6, 2);
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 word = 1;

	NEED(ch && other);
	/* never opened */
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), -ENODEV);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), 0);
	kvmb_chan_close(ch);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), -ENODEV);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -ENODEV);
	/* rings of the same size may lie where those of the closed one lay */
	NEED(!kvmb_chan_open(other, 3, NULL, 0, count, &calls));
	host_script.open_status = KVMB_STATUS_FAILED;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -EIO);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &word, sizeof(word)), -ENODEV);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -ENODEV);
	CHECK_EQ(kvmb_ring_used(&other->tx, true), 0);
	kvmb_chan_close(other);
}

static bool says_too_much(u32 type, const u8 *msg, u32 len)
{
	struct kvmb_wire_gpadl_created g = { .h.type = cpu_to_le32(KVMB_MSG_GPADL_CREATED),
					     .status = cpu_to_le32(1) };
	struct kvmb_wire_open_result o = { .h.type = cpu_to_le32(KVMB_MSG_OPEN_RESULT),
					   .status = cpu_to_le32(1) };
	u32 i;

	for (i = 0; i < 3; i++) { /* answers to what nobody asked, all of them refusals */
		g.gpadl = cpu_to_le32(i ? 0xdead + i : 0);
		o.relid = cpu_to_le32(i ? 77 + i : 0);
		host_say(&g, sizeof(g));
		host_say(&o, sizeof(o));
	}
	return false;
}

CASE(answers_that_nobody_asked_for_change_nothing)
{
	struct kvmb_wire_open_result o = {
		.h.type = cpu_to_le32(KVMB_MSG_OPEN_RESULT),
		.relid = cpu_to_le32(5),
		.status = cpu_to_le32(1),
	};
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	host_script.says = says_too_much;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), 0);
	host_script.says = NULL;
	host_say(&o, sizeof(o)); /* the second answer to the same question */
	host_settle();
	CHECK_EQ(ch->state, KVMB_CHAN_OPEN);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &o, 8), 0);
	kvmb_chan_close(ch);
}

CASE(a_rescind_ends_what_waits_for_the_host)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	kref_get(&ch->ref);
	host_rescind(5);
	host_settle();
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -ENODEV);
	CHECK(!chan_of(5));
	CHECK_EQ(host_seen(KVMB_MSG_RELID_RELEASED), 1);
	kvmb_chan_put(ch);
}

static bool rescinds_instead(u32 type, const u8 *msg, u32 len)
{
	if (type != KVMB_MSG_OPEN)
		return false;
	host_rescind(5);
	return true;
}

CASE(a_rescind_instead_of_an_answer_ends_the_opening)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	kref_get(&ch->ref);
	host_script.says = rescinds_instead;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, &calls), -ENODEV);
	host_settle();
	CHECK(!chan_of(5));
	kvmb_chan_put(ch);
}

CASE(a_rescinded_open_channel_takes_nothing_and_closes)
{
	struct kvmb_chan *ch = offered(5, 1);
	struct completion never;
	atomic_t calls = ATOMIC_INIT(0);
	u64 w = 1;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
	kref_get(&ch->ref);
	host_rescind(5);
	host_rescind(5);
	host_settle();
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), -ENODEV);
	init_completion(&never);
	CHECK_EQ(kvmb_chan_wait(ch, &never, 5), -ENODEV);
	kvmb_chan_close(ch);
	CHECK_EQ(host_seen(KVMB_MSG_CLOSE), 0);
	CHECK_EQ(host_seen(KVMB_MSG_RELID_RELEASED), 1);
	kvmb_chan_put(ch);
	/* the number may be used again */
	ch = offered(5, 2);
	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
	kvmb_chan_close(ch);
}

CASE(offers_that_cannot_be_are_not_taken)
{
	static const u32 wild[] = { 0, 2048, 2049, 0x10000, 0x7fffffff, 0xffffffff };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wild); i++) {
		host_offer(wild[i], &some_type, 1, 0);
		host_rescind(wild[i]);
	}
	host_settle();
	CHECK_EQ(num_chans(), 0);
	host_offer(6, &some_type, 1, 3); /* a sub-channel of nothing */
	host_settle();
	CHECK_EQ(num_chans(), 0);
	host_offer(6, &some_type, 1, 0);
	host_offer(6, &some_type, 2, 0); /* the number is in use */
	host_offer(7, &some_type, 1, 0); /* the device is there */
	host_settle();
	CHECK_EQ(num_chans(), 1);
}

CASE(a_storm_of_offers_ends_and_leaves_nothing)
{
	u32 i;

	for (i = 1; i <= 300; i++)
		host_offer(i, &some_type, i > 255 ? i - 255 : i, i > 255);
	host_settle();
	CHECK_EQ(num_chans(), 300);
	for (i = 0; i < 100000; i++) { /* numbers in use, all of them */
		host_offer(i % 300 + 1, &some_type, 1, 0);
		if (i % 1000 == 0)
			host_settle();
	}
	host_settle();
	CHECK_EQ(num_chans(), 300);
	for (i = 300; i; i--)
		host_rescind(i);
	host_settle();
	CHECK_EQ(num_chans(), 0);
	CHECK_EQ(host_seen(KVMB_MSG_RELID_RELEASED), 300);
}

CASE(offer_and_rescind_may_follow_each_other_at_once)
{
	u32 i;

	for (i = 0; i < 500; i++) {
		host_offer(9, &some_type, i & 0xff, 0);
		host_rescind(9);
		if (i & 1)
			host_settle();
	}
	host_settle();
	CHECK_EQ(num_chans(), 0);
}

CASE(messages_of_every_kind_and_length_are_survived)
{
	struct rnd_state rnd;
	static u8 msg[HV_MESSAGE_PAYLOAD_MAX];
	u32 i, type;

	prandom_seed_state(&rnd, 20261124);
	for (i = 0; i < 20000; i++) {
		prandom_bytes_state(&rnd, msg, sizeof(msg));
		type = prandom_u32_state(&rnd) % 32;
		memcpy(msg, &type, 4);
		if (type == KVMB_MSG_OFFER || type == KVMB_MSG_RESCIND) { /* numbers that meet */
			memset(msg + (type == KVMB_MSG_OFFER ? 184 : 8), 0, 4);
			msg[type == KVMB_MSG_OFFER ? 184 : 8] = prandom_u32_state(&rnd) % 16;
			msg[180] &= 1;
			msg[181] = 0;
			memcpy(msg + 8, &some_type, type == KVMB_MSG_OFFER ? sizeof(some_type) : 0);
		}
		host_say(msg, prandom_u32_state(&rnd) % 8 ? 196 : prandom_u32_state(&rnd) % 241);
		if (i % 256 == 0)
			host_settle();
	}
	host_settle();
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_NEWEST);
	CHECK(num_chans() <= 16);
}

CASE(a_wild_ring_stops_its_channel_and_no_other)
{
	static u8 buf[256] __aligned(8);
	struct kvmb_chan *ch = offered(5, 1), *other = offered(6, 2);
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_pkt pkt;
	u64 w = 1;

	NEED(ch && other && !kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
	NEED(!kvmb_chan_open(other, 3, NULL, 0, count, &calls));
	host_chan_of(5)->tx.ctrl->write_index = cpu_to_le32(0xfffffff8);
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EPROTO);
	CHECK(ch->dead);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), -ENODEV);
	host_chan_of(5)->tx.ctrl->write_index = 0;
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EPROTO); /* dead stays dead */
	CHECK_EQ(kvmb_send(other, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), 0);
	kvmb_chan_close(ch);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count, &calls)); /* until it is opened again */
	CHECK_EQ(kvmb_recv(ch, buf, sizeof(buf), &pkt), -EAGAIN);
	host_chan_of(5)->rx.ctrl->read_index = cpu_to_le32(12345);
	CHECK_EQ(kvmb_send(ch, KVMB_PKT_INBAND, 0, 1, NULL, 0, &w, 8), -EPROTO);
	kvmb_chan_close(ch);
	kvmb_chan_close(other);
}

CASE(a_long_page_list_arrives_whole)
{
	u32 size = 4 << 20, got = 0, i;
	struct kvmb_chan *ch = offered(5, 1);
	struct kvmb_gpadl g = { 0 };
	u8 *buf = vzalloc(size), *seen;

	NEED(ch && buf);
	for (i = 0; i < size; i += KVMB_PAGE_SIZE)
		*(u32 *)(buf + i) = i ^ 0x5a5a5a5a;
	NEED(!kvmb_gpadl_create(ch, buf, size, &g));
	seen = host_map(g.handle, &got);
	NEED(seen);
	CHECK_EQ(got, size);
	CHECK_MEM(seen, buf, size);
	CHECK_EQ(kvmb_gpadl_destroy(ch, &g), 0);
	CHECK_EQ(g.handle, 0);
	CHECK(!host_map(g.handle, &got));
	host_script.gpadl_status = 1;
	CHECK_EQ(kvmb_gpadl_create(ch, buf, size, &g), -EIO);
	host_script.gpadl_status = 0;
	NEED(!kvmb_gpadl_create(ch, buf, size, &g));
	host_script.mute = BIT(KVMB_MSG_GPADL_TEARDOWN);
	CHECK_EQ(kvmb_gpadl_destroy(ch, &g), -ETIMEDOUT); /* a caller leaks it then */
	host_script.mute = 0;
	host_settle();
	vfree(buf); /* this host keeps nothing */
}

CASE(channels_move_to_another_cpu_as_the_host_allows)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
	cpu = !ch->cpu;
	cpus_read_lock();
	mutex_lock(&kvmb.cpu_lock);
	host_script.modify_status = 1;
	CHECK_EQ(kvmb_chan_set_cpu(ch, cpu), -EIO);
	host_script.modify_status = 0;
	host_script.mute = BIT(KVMB_MSG_MODIFY);
	CHECK_EQ(kvmb_chan_set_cpu(ch, cpu), -ETIMEDOUT);
	CHECK_EQ(ch->cpu, !cpu);
	host_script.mute = 0;
	CHECK_EQ(kvmb_chan_set_cpu(ch, cpu), 0);
	CHECK_EQ(ch->cpu, cpu);
	mutex_unlock(&kvmb.cpu_lock);
	cpus_read_unlock();
	kvmb_chan_close(ch);
}

CASE(channels_come_back_with_their_cpu)
{
	struct kvmb_chan *open = offered(5, 1), *closed;
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	host_offer(6, &some_type, 2, 0);
	host_offer(7, &some_type, 3, 0);
	host_settle();
	NEED(open && !kvmb_chan_open(open, 3, NULL, 0, count, &calls));
	cpu = open->cpu;
	closed = chan_of(7); /* in turn: of two CPUs the same as of 5 */
	NEED(closed && closed->cpu == cpu);
	cpus_read_lock();
	kvmb.connect_cpu = !cpu;
	CHECK_EQ(kvmb_cpu_goes(cpu), 0);
	CHECK(open->cpu != cpu && closed->cpu != cpu);
	CHECK_EQ(host_seen(KVMB_MSG_MODIFY), 1);
	kvmb_cpu_comes(cpu);
	cpus_read_unlock();
	CHECK_EQ(host_seen(KVMB_MSG_MODIFY), 2);
	CHECK_EQ(open->cpu, cpu);
	CHECK_EQ(closed->cpu, cpu);
	CHECK(chan_of(6)->cpu != cpu); /* it never was there */
	kvmb_chan_close(open);
}

CASE(channel_is_looked_at_again_after_its_cpu_went)
{
	static const u32 versions[] = { KVMB_VERSION_WIN10_V5, KVMB_VERSION_NEWEST };
	atomic_t calls = ATOMIC_INIT(0);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		struct kvmb_chan *ch;

		CHECK_EQ(kvmb_bus_sleep(), 0);
		host_script.max_version = versions[i];
		CHECK_EQ(kvmb_bus_wake(), 0);
		CHECK_EQ(kvmb_bus_protocol(), versions[i]);
		ch = offered(5, 1);
		NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count, &calls));
		atomic_set(&calls, 0);
		kvmb_cpu_gone();
		CHECK_EQ(atomic_read(&calls), 1);
		/* the host may have signalled the old CPU meanwhile, if it does not answer */
		flush_delayed_work(&kvmb.kick_work);
		CHECK_EQ(atomic_read(&calls), versions[i] < KVMB_VERSION_IRON ? 2 : 1);
		kvmb_chan_close(ch);
		host_take_back(5);
		host_settle();
	}
}

/* ---- sub-channels ---- */

static struct sub_watch {
	struct kvmb_chan *sub;
	atomic_t calls, running;
	int err;
} watch;

static void open_sub(struct kvmb_chan *sub, void *ctx)
{
	struct sub_watch *w = ctx;

	atomic_inc(&w->running);
	atomic_inc(&w->calls);
	w->sub = sub;
	w->err = kvmb_chan_open(sub, 3, NULL, 0, count, &w->calls);
	if (!w->err)
		kvmb_chan_close(sub);
	atomic_dec(&w->running);
}

CASE(sub_channel_watch_ends_before_its_owner)
{
	struct kvmb_chan *ch = offered(5, 1);
	u32 i;

	NEED(ch);
	memset(&watch, 0, sizeof(watch));
	host_script.mute = BIT(KVMB_MSG_OPEN); /* the answer takes its time: KVMB_WAIT_S */
	kvmb_chan_watch_subs(ch, open_sub, &watch);
	host_offer(6, &some_type, 1, 1);
	for (i = 0; i < 1000 && !atomic_read(&watch.running); i++)
		msleep(1);
	NEED(atomic_read(&watch.running));
	kvmb_chan_unwatch_subs(ch);
	CHECK_EQ(atomic_read(&watch.running), 0); /* its context may be freed now */
	CHECK_EQ(watch.err, -ETIMEDOUT);
	host_script.mute = 0;
	host_offer(7, &some_type, 1, 2);
	host_settle();
	CHECK_EQ(atomic_read(&watch.calls), 1);
}

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
	NEED(!kvmb_chan_open(stays, 3, NULL, 0, count, &calls));
	CHECK_EQ(kvmb_bus_sleep(), -EBUSY); /* a driver that did not close */
	CHECK_EQ(kvmb_bus_protocol(), KVMB_VERSION_NEWEST);
	kvmb_chan_close(stays);
	CHECK_EQ(kvmb_bus_sleep(), 0);
	CHECK_EQ(kvmb_bus_protocol(), 0);
	CHECK_EQ(host_seen(KVMB_MSG_UNLOAD), 1);
	CHECK(!chan_of(5) && !chan_of(6) && !chan_of(7));
	CHECK_EQ(num_chans(), 2); /* sub-channels end with the connection */
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
	NEED(!kvmb_chan_open(stays, 3, NULL, 0, count, &calls));
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
		CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count, calls), 0);
		kvmb_chan_close(ch);
		kfree(calls); /* KASAN sees a callback that comes later */
	}
	kthread_stop(t);
}

static int offer_and_rescind(void *arg)
{
	u8 n = 0;

	while (!kthread_should_stop()) {
		host_offer(5, &some_type, ++n, 0);
		usleep_range(50, 2000);
		host_rescind(5);
		usleep_range(50, 500);
	}
	return 0;
}

CASE(opening_and_sending_race_with_rescind)
{
	struct task_struct *kicks = kthread_run(kick_on, NULL, "kvmb_kick");
	struct task_struct *t = kthread_run(offer_and_rescind, NULL, "kvmb_offers");
	unsigned long end = jiffies + 100 * HZ;
	atomic_t calls = ATOMIC_INIT(0);
	struct kvmb_chan *ch;
	u32 opened = 0, gone = 0;
	u64 w = 1;

	NEED(!IS_ERR(t) && !IS_ERR(kicks));
	while ((opened <= 10 || gone <= 2) && time_before(jiffies, end)) {
		mutex_lock(&kvmb.lock);
		ch = rcu_dereference_protected(kvmb.by_relid[5], lockdep_is_held(&kvmb.lock));
		if (ch)
			kref_get(&ch->ref);
		mutex_unlock(&kvmb.lock);
		if (!ch)
			continue;
		if (!kvmb_chan_open(ch, 2, NULL, 0, count, &calls)) {
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

static int offer_all_the_time(void *arg)
{
	u32 n = 0;

	while (!kthread_should_stop()) {
		host_offer(1 + n % 30, &some_type, 1 + n % 30, 0);
		n++;
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

static struct kunit_case chan_cases[] = {
	KUNIT_CASE(packets_go_there_and_back),
	KUNIT_CASE(a_full_ring_costs_one_signal),
	KUNIT_CASE(opening_reports_each_refusal_and_can_be_tried_again),
	KUNIT_CASE(refused_channel_never_calls_back),
	KUNIT_CASE(closed_channel_takes_no_packet),
	KUNIT_CASE(answers_that_nobody_asked_for_change_nothing),
	KUNIT_CASE(a_rescind_ends_what_waits_for_the_host),
	KUNIT_CASE(a_rescind_instead_of_an_answer_ends_the_opening),
	KUNIT_CASE(a_rescinded_open_channel_takes_nothing_and_closes),
	KUNIT_CASE(offers_that_cannot_be_are_not_taken),
	KUNIT_CASE(a_storm_of_offers_ends_and_leaves_nothing),
	KUNIT_CASE(offer_and_rescind_may_follow_each_other_at_once),
	KUNIT_CASE(messages_of_every_kind_and_length_are_survived),
	KUNIT_CASE(a_wild_ring_stops_its_channel_and_no_other),
	KUNIT_CASE(a_long_page_list_arrives_whole),
	KUNIT_CASE(channels_move_to_another_cpu_as_the_host_allows),
	KUNIT_CASE(channels_come_back_with_their_cpu),
	KUNIT_CASE(channel_is_looked_at_again_after_its_cpu_went),
	KUNIT_CASE(sub_channel_watch_ends_before_its_owner),
	KUNIT_CASE(devices_are_found_again_after_a_sleep),
	KUNIT_CASE(a_host_that_does_not_answer_after_a_sleep_has_no_devices),
	KUNIT_CASE(sub_channel_that_slept_away_is_not_opened),
	KUNIT_CASE(interrupts_that_never_stop_do_not_meet_a_closed_channel),
	KUNIT_CASE(opening_and_sending_race_with_rescind),
	KUNIT_CASE(offers_that_come_while_the_bus_stops_are_left),
	KUNIT_CASE(rescinds_that_come_while_the_bus_stops_are_left),
	{}
};

static struct kunit_suite chan_suite = {
	.name = "kvmb_chan", .test_cases = chan_cases, .init = chan_init, .exit = chan_exit,
};
extern struct kunit_suite kvmb_conn_suite; /* conn_kunit.c */
extern struct kunit_suite kvmb_recv_suite; /* recv_kunit.c */

kunit_test_suites(&kvmb_conn_suite, &chan_suite, &kvmb_recv_suite);

MODULE_DESCRIPTION("kvmbus: KUnit suites of the guest's bus, and the scripted host");
MODULE_LICENSE("GPL");
