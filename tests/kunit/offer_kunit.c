// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offers and rescinds against the scripted host: wild ones, storms, sub-channels
 * (docs/threat-model.md#G01).
 */
#include <linux/delay.h>
#include <linux/prandom.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

CASE(a_rescind_ends_what_waits_for_the_host)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	kref_get(&ch->ref);
	host_rescind(5);
	host_settle();
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -ENODEV);
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
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -ENODEV);
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

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
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
	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
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
	for (i = 0; i < 20000; i++) { /* numbers in use, all of them */
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

/* ---- sub-channels ---- */

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

static struct kunit_case offer_cases[] = {
	KUNIT_CASE(a_rescind_ends_what_waits_for_the_host),
	KUNIT_CASE(a_rescind_instead_of_an_answer_ends_the_opening),
	KUNIT_CASE(a_rescinded_open_channel_takes_nothing_and_closes),
	KUNIT_CASE(offers_that_cannot_be_are_not_taken),
	KUNIT_CASE(a_storm_of_offers_ends_and_leaves_nothing),
	KUNIT_CASE(offer_and_rescind_may_follow_each_other_at_once),
	KUNIT_CASE(messages_of_every_kind_and_length_are_survived),
	KUNIT_CASE(sub_channel_watch_ends_before_its_owner),
	{}
};

struct kunit_suite kvmb_offer_suite = {
	.name = "kvmb_offer",
	.test_cases = offer_cases,
	.init = bus_init,
	.exit = bus_exit,
};
