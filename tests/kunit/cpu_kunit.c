// SPDX-License-Identifier: GPL-2.0-only
/* Which CPU a channel interrupts, and CPUs that go offline. */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

/* ---- the choice ---- */

#define CPUS 8u

static struct kvmb_cpu_use uses[CPUS];
static u16 of_node[4];
static struct kvmb_cpu_table table = {
	.num_cpus = CPUS, .num_nodes = 4, .cpus = uses, .of_node = of_node
};

/* CPUs 0 to 3 on node 0, 4 to 7 on node 1, all online, nothing on any */
static void fresh_table(void)
{
	u32 i;

	memset(uses, 0, sizeof(uses));
	for (i = 0; i < CPUS; i++) {
		uses[i].online = true;
		uses[i].node = i / 4;
	}
}

static unsigned int take(void)
{
	unsigned int cpu = kvmb_cpu_choose(&table);

	if (cpu < CPUS) {
		uses[cpu].of_device++;
		uses[cpu].of_all++;
	}
	return cpu;
}

CASE(channels_of_a_device_share_no_cpu_while_one_is_free)
{
	u32 i, round;

	fresh_table();
	uses[0].of_all = 500; /* others have much there: a reason to come last, not to stay away */
	for (round = 1; round <= 3; round++) {
		for (i = 0; i < CPUS; i++)
			take();
		for (i = 0; i < CPUS; i++)
			CHECK_ROW(uses[i].of_device, round, i);
	}
}

CASE(channels_of_a_device_go_to_the_nodes_in_turn)
{
	u32 i;

	fresh_table();
	for (i = 0; i < CPUS; i++)
		CHECK_ROW(take() / 4, i % 2, i);
	fresh_table();
	/* a node of one CPU gets one, not half */
	uses[5].online = uses[6].online = uses[7].online = false;
	for (i = 0; i < 5; i++)
		take();
	CHECK_EQ(uses[4].of_device, 1);
}

CASE(channels_of_different_devices_spread_over_the_cpus)
{
	static const u8 load[CPUS] = { 3, 1, 2, 1, 4, 1, 0, 2 };
	u32 i;

	fresh_table();
	for (i = 0; i < CPUS; i++)
		uses[i].of_all = load[i];
	CHECK_EQ(kvmb_cpu_choose(&table), 6);
	uses[6].of_all = 1;
	CHECK_EQ(kvmb_cpu_choose(&table), 1); /* the first of the equal */
}

CASE(isolated_cpu_gets_a_channel_only_where_all_are)
{
	u32 i;

	fresh_table();
	for (i = 0; i < CPUS; i++)
		uses[i].isolated = i != 2 && i != 5;
	for (i = 0; i < 6; i++)
		take();
	CHECK_EQ(uses[2].of_device, 3);
	CHECK_EQ(uses[5].of_device, 3);
	uses[2].online = uses[5].online = false;
	CHECK_EQ(kvmb_cpu_choose(&table), 0);
}

CASE(cpu_that_is_offline_gets_no_channel)
{
	u32 i;

	fresh_table();
	for (i = 0; i < CPUS; i++)
		uses[i].online = i == 3;
	for (i = 0; i < 4; i++)
		CHECK_EQ(take(), 3);
	uses[3].online = false;
	CHECK_EQ(kvmb_cpu_choose(&table), CPUS);
}

CASE(sub_channel_goes_where_its_device_has_none)
{
	struct kvmb_chan *other = offered(4, 1), *ch = offered(5, 2);

	NEED(other && ch);
	CHECK_EQ(other->cpu, 0);
	CHECK_EQ(ch->cpu, 1);
	host_offer(6, &some_type, 2, 1);
	host_settle();
	NEED(chan_of(6));
	CHECK_EQ(chan_of(6)->cpu, 0);
	/* what was rescinded does not count any more */
	host_rescind(6);
	host_rescind(4);
	host_settle();
	CHECK_EQ(offered(7, 3)->cpu, 0);
}

/* ---- moves ---- */

CASE(channels_move_to_another_cpu_as_the_host_allows)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	cpu = !ch->cpu;
	cpus_read_lock();
	mutex_lock(&kvmb.cpu_lock);
	host_script.modify_status = 1;
	CHECK_EQ(kvmb_chan_set_cpu(ch, cpu), -EIO);
	CHECK_EQ(ch->cpu, !cpu);
	host_script.modify_status = 0;
	CHECK_EQ(kvmb_chan_set_cpu(ch, cpu), 0);
	CHECK_EQ(ch->cpu, cpu);
	mutex_unlock(&kvmb.cpu_lock);
	cpus_read_unlock();
	kvmb_chan_close(ch);
}

/* ---- an answer to MODIFY that is late ---- */

static int move(struct kvmb_chan *ch, unsigned int cpu)
{
	int err;

	cpus_read_lock(); /* as sysfs does */
	mutex_lock(&kvmb.cpu_lock);
	err = kvmb_chan_set_cpu(ch, cpu);
	mutex_unlock(&kvmb.cpu_lock);
	cpus_read_unlock();
	return err;
}

static int goes(unsigned int cpu)
{
	unsigned int connect_cpu = kvmb.connect_cpu;
	int err;

	cpus_read_lock();
	kvmb.connect_cpu = !cpu; /* only one that gets no messages may go */
	err = kvmb_cpu_goes(cpu);
	kvmb.connect_cpu = connect_cpu;
	cpus_read_unlock();
	return err;
}

static bool late_answer_comes(u32 type, const u8 *msg, u32 len)
{
	if (type == KVMB_MSG_MODIFY)
		host_go_on(); /* the answer to the one before, and then that to this one */
	return false;
}

CASE(late_answer_to_a_modify_answers_no_other)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	cpu = !ch->cpu;
	host_script.patience_s = 1;
	host_script.hold = BIT(KVMB_MSG_MODIFY_RESPONSE);
	CHECK_EQ(move(ch, cpu), -ETIMEDOUT);
	host_script.modify_status = 1;
	host_script.says = late_answer_comes;
	CHECK(move(ch, cpu) < 0); /* refused, and not what the late answer says */
	host_script.says = NULL;
	host_go_on();
	host_settle();
	CHECK_EQ(host_chan_of(5)->vp, cpu);
	CHECK_EQ(ch->cpu, cpu); /* the first was granted in the end */
	host_script.modify_status = 0;
	CHECK_EQ(move(ch, !cpu), 0);
	CHECK_EQ(host_chan_of(5)->vp, !cpu);
	kvmb_chan_close(ch);
}

CASE(both_cpus_stay_while_a_modify_is_unanswered)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	cpu = !ch->cpu;
	host_script.patience_s = 1;
	host_script.hold = BIT(KVMB_MSG_MODIFY_RESPONSE);
	CHECK_EQ(move(ch, cpu), -ETIMEDOUT);
	CHECK_EQ(goes(cpu), -EBUSY); /* where the interrupts already are */
	CHECK_EQ(goes(!cpu), -EBUSY);
	host_go_on();
	host_settle();
	CHECK_EQ(goes(!cpu), 0);
	CHECK_EQ(ch->cpu, cpu);
	CHECK_EQ(goes(cpu), 0); /* it moves again */
	CHECK_EQ(host_chan_of(5)->vp, !cpu);
	kvmb_chan_close(ch);
}

CASE(modify_without_an_answer_is_over_when_the_channel_is_opened_again)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	cpu = !ch->cpu;
	host_script.mute = BIT(KVMB_MSG_MODIFY);
	CHECK_EQ(move(ch, cpu), -ETIMEDOUT);
	host_script.mute = 0;
	kvmb_chan_close(ch);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	CHECK_EQ(move(ch, cpu), 0);
	CHECK_EQ(host_chan_of(5)->vp, cpu);
	kvmb_chan_close(ch);
}

static struct {
	struct kvmb_chan *ch;
	struct completion over;
	int err;
} mover;

static int move_it(void *unused)
{
	mover.err = move(mover.ch, !mover.ch->cpu);
	complete(&mover.over);
	return 0;
}

CASE(move_of_a_channel_that_is_opened_again_tells_the_host_again)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int cpu;

	NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	cpu = !ch->cpu;
	host_script.patience_s = 30;
	host_script.hold = BIT(KVMB_MSG_MODIFY_RESPONSE);
	mover.ch = ch;
	init_completion(&mover.over);
	NEED(!IS_ERR(kthread_run(move_it, NULL, "kvmb_mover")));
	CHECK(host_await_held());
	kvmb_chan_close(ch);
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls)); /* names the old CPU */
	host_go_on();
	wait_for_completion(&mover.over);
	CHECK_EQ(mover.err, 0);
	CHECK_EQ(ch->cpu, cpu);
	CHECK_EQ(host_chan_of(5)->vp, cpu);
	kvmb_chan_close(ch);
}

/* ---- moves while it opens ---- */

static int moved;
static bool moves_while_it_opens(u32 type, const u8 *msg, u32 len)
{
	struct kvmb_chan *ch;

	if (type != KVMB_MSG_OPEN)
		return false;
	ch = chan_of(5);
	WRITE_ONCE(moved, move(ch, !ch->cpu));
	return false;
}

CASE(cpu_set_while_channel_opens_is_told_after)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);
	unsigned int first;

	NEED(ch);
	first = ch->cpu;
	host_script.says = moves_while_it_opens;
	NEED(!kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
	CHECK_EQ(moved, 0);
	CHECK_EQ(ch->cpu, !first);
	CHECK_EQ(host_chan_of(5)->vp, ch->cpu); /* where the host sends its interrupts */
	CHECK_EQ(host_seen(KVMB_MSG_MODIFY), 1);
	kvmb_chan_close(ch);
}

CASE(open_fails_when_its_cpu_went_and_the_host_does_not_move_it)
{
	struct kvmb_chan *ch = offered(5, 1);
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch);
	host_script.says = moves_while_it_opens;
	host_script.modify_status = 1;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), -EIO);
	CHECK_EQ(ch->state, KVMB_CHAN_OFFERED);
	CHECK_EQ(host_seen(KVMB_MSG_CLOSE), 1);
	host_settle();
	CHECK(!host_chan_of(5)->open);
	CHECK_EQ(atomic_read(&calls), 0);
	host_script.says = NULL;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), 0);
	kvmb_chan_close(ch);
}

/* ---- a CPU goes while an OPEN is unanswered ---- */

static bool takes_its_cpu_away(u32 type, const u8 *msg, u32 len)
{
	/* returns when CPU 1 is offline: the answer to this OPEN comes after that, or never */
	if (type == KVMB_MSG_OPEN)
		WRITE_ONCE(moved, remove_cpu(1));
	return false;
}

static struct kvmb_chan *offered_on_cpu_1(void)
{
	offered(4, 1);
	return offered(5, 2); /* CPU 0 has one already */
}

CASE(cpu_goes_offline_while_an_open_is_unanswered)
{
	struct kvmb_chan *ch = offered_on_cpu_1();
	atomic_t calls = ATOMIC_INIT(0);

	NEED(ch && ch->cpu == 1);
	moved = 1;
	host_script.says = takes_its_cpu_away;
	host_script.opened = speaks_first; /* before it hears of the move: this interrupt is lost */
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), 0);
	CHECK_EQ(moved, 0);
	CHECK_EQ(ch->cpu, 0);
	CHECK_EQ(host_chan_of(5)->vp, 0);
	CHECK(atomic_read(&calls) >= 1);
	host_script.says = NULL;
	CHECK_EQ(add_cpu(1), 0);
	CHECK_EQ(ch->cpu, 1); /* it is back at home */
	CHECK_EQ(host_chan_of(5)->vp, 1);
	kvmb_chan_close(ch);
}

CASE(cpu_stays_when_a_host_cannot_move_what_opens_there)
{
	struct kvmb_chan *ch;
	atomic_t calls = ATOMIC_INIT(0);

	CHECK_EQ(kvmb_bus_sleep(), 0);
	host_script.max_version = KVMB_VERSION_WIN10;
	CHECK_EQ(kvmb_bus_wake(), 0);
	ch = offered_on_cpu_1();
	NEED(ch && ch->cpu == 1);
	moved = 0;
	host_script.says = takes_its_cpu_away;
	CHECK_EQ(kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls), 0);
	CHECK_EQ(moved, -EBUSY);
	CHECK_EQ(ch->cpu, 1);
	CHECK_EQ(host_chan_of(5)->vp, 1);
	host_script.says = NULL;
	CHECK_EQ(remove_cpu(1), -EBUSY); /* nor what is open */
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
	NEED(open && !kvmb_chan_open(open, 3, NULL, 0, count_call, &calls));
	cpu = open->cpu;
	closed = chan_of(7); /* CPU 0, CPU 1, and CPU 0 again */
	NEED(closed && closed->cpu == cpu);
	cpus_read_lock();
	kvmb.connect_cpu = !cpu; /* only one that gets no messages may go */
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
		NEED(ch && !kvmb_chan_open(ch, 3, NULL, 0, count_call, &calls));
		atomic_set(&calls, 0);
		kvmb_cpu_gone();
		CHECK_EQ(atomic_read(&calls), 1);
		/* a host that does not answer may have signalled the old CPU meanwhile */
		flush_delayed_work(&kvmb.kick_work);
		CHECK_EQ(atomic_read(&calls), versions[i] < KVMB_VERSION_IRON ? 2 : 1);
		kvmb_chan_close(ch);
		host_take_back(5);
		host_settle();
	}
}

static struct kunit_case cpu_cases[] = {
	KUNIT_CASE(channels_of_a_device_share_no_cpu_while_one_is_free),
	KUNIT_CASE(channels_of_a_device_go_to_the_nodes_in_turn),
	KUNIT_CASE(channels_of_different_devices_spread_over_the_cpus),
	KUNIT_CASE(isolated_cpu_gets_a_channel_only_where_all_are),
	KUNIT_CASE(cpu_that_is_offline_gets_no_channel),
	KUNIT_CASE(sub_channel_goes_where_its_device_has_none),
	KUNIT_CASE(channels_move_to_another_cpu_as_the_host_allows),
	KUNIT_CASE(late_answer_to_a_modify_answers_no_other),
	KUNIT_CASE(both_cpus_stay_while_a_modify_is_unanswered),
	KUNIT_CASE(modify_without_an_answer_is_over_when_the_channel_is_opened_again),
	KUNIT_CASE(move_of_a_channel_that_is_opened_again_tells_the_host_again),
	KUNIT_CASE(cpu_set_while_channel_opens_is_told_after),
	KUNIT_CASE(open_fails_when_its_cpu_went_and_the_host_does_not_move_it),
	KUNIT_CASE(cpu_goes_offline_while_an_open_is_unanswered),
	KUNIT_CASE(cpu_stays_when_a_host_cannot_move_what_opens_there),
	KUNIT_CASE(channels_come_back_with_their_cpu),
	KUNIT_CASE(channel_is_looked_at_again_after_its_cpu_went),
	{}
};

struct kunit_suite kvmb_cpu_suite = {
	.name = "kvmb_cpu",
	.test_cases = cpu_cases,
	.init = bus_init,
	.exit = bus_exit,
};
