// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each step of opening and closing a channel, met by each act that may come meanwhile.
 *
 * The step is held: the host keeps a message, or the driver rests. The act begins, and waits for
 * whatever it waits for. Then all go on. In which order they end is open; that the act ends, and
 * what there is afterwards, is not. Leaks are kmemleak's to find, at the end of the run.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "guest-vsc/bus/bus_priv.h"
#include "tests/kunit/bus_kunit.h"

#define RING_PAGES 20u /* of each ring: more page numbers than one message holds */
#define BUF_SIZE (64u * KVMB_PAGE_SIZE)
#define CHAN 5u
#define SUB 6u
#define OTHER 4u

enum step {
	STEP_OFFER,   /* offered, and not added to the bus yet */
	STEP_PROBE,   /* the driver has begun */
	STEP_HEADER,  /* the page list of its rings: begin, */
	STEP_BODY,    /* end, */
	STEP_CREATED, /* answer */
	STEP_OPEN,
	STEP_OPEN_RESULT,
	STEP_SUB_OFFER,
	STEP_SUB_OPEN,
	STEP_SUB_OPEN_RESULT,
	STEP_CLOSE, /* the driver is told to let go from here on */
	STEP_TEARDOWN,
	STEP_TORNDOWN,
};

enum act { ACT_RMMOD, ACT_UNBIND, ACT_RESCIND, ACT_CPU_OFF, ACT_BUS_STOP, ACT_NUM };

static const u32 held_at[] = {
	/* what follows a header must not overtake it */
	[STEP_HEADER] = BIT(KVMB_MSG_GPADL_HEADER) | BIT(KVMB_MSG_GPADL_BODY),
	[STEP_BODY] = BIT(KVMB_MSG_GPADL_BODY),
	[STEP_CREATED] = BIT(KVMB_MSG_GPADL_CREATED),
	[STEP_OPEN] = BIT(KVMB_MSG_OPEN),
	[STEP_OPEN_RESULT] = BIT(KVMB_MSG_OPEN_RESULT),
	[STEP_SUB_OPEN] = BIT(KVMB_MSG_OPEN),
	[STEP_SUB_OPEN_RESULT] = BIT(KVMB_MSG_OPEN_RESULT),
	[STEP_CLOSE] = BIT(KVMB_MSG_CLOSE),
	[STEP_TEARDOWN] = BIT(KVMB_MSG_GPADL_TEARDOWN),
	[STEP_TORNDOWN] = BIT(KVMB_MSG_GPADL_TORNDOWN),
};

/* ---- where the guest rests ---- */

struct gate {
	bool shut;
	struct completion reached, go_on;
};
static struct gate at_offer, at_probe, at_sub;

static void set_gate(struct gate *g, bool shut)
{
	init_completion(&g->reached);
	init_completion(&g->go_on);
	WRITE_ONCE(g->shut, shut);
}

static void pass(struct gate *g)
{
	if (!READ_ONCE(g->shut))
		return;
	complete(&g->reached);
	wait_for_completion(&g->go_on);
}

static void open_gate(struct gate *g)
{
	WRITE_ONCE(g->shut, false);
	complete_all(&g->go_on);
}

static void rest_on_dev_wq(struct work_struct *work)
{
	pass(&at_offer);
}

/* ---- a driver with a buffer and a sub-channel ---- */

struct step_dev {
	struct kvmb_chan *sub;
	struct kvmb_gpadl buf;
};
static const struct kvmb_guid step_type = KVMB_GUID(0x6b766d63, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
static atomic_t live; /* struct step_dev */
static bool refuses;

static void on_sub(struct kvmb_chan *sub, void *ctx)
{
	struct step_dev *sd = ctx;

	pass(&at_sub);
	if (!kvmb_chan_open(sub, RING_PAGES, NULL, 0, count_call, &watch.calls))
		sd->sub = sub;
}

static int start_device(struct step_dev *sd, struct kvmb_chan *ch)
{
	void *buf;
	int err = kvmb_chan_open(ch, RING_PAGES, NULL, 0, count_call, &watch.calls);

	if (err)
		return err;
	buf = vzalloc(BUF_SIZE);
	err = buf ? kvmb_gpadl_create(ch, buf, BUF_SIZE, &sd->buf) : -ENOMEM;
	if (err) {
		kvmb_chan_close(ch);
		vfree(buf); /* this host keeps nothing */
		return err;
	}
	kvmb_chan_watch_subs(ch, on_sub, sd);
	return 0;
}

static int step_probe(struct kvmb_device *dev)
{
	struct step_dev *sd;
	int err;

	if (refuses)
		return -ENODEV;
	pass(&at_probe);
	sd = kzalloc(sizeof(*sd), GFP_KERNEL);
	if (!sd)
		return -ENOMEM;
	dev_set_drvdata(&dev->dev, sd);
	err = start_device(sd, dev->chan);
	if (err)
		kfree(sd);
	else
		atomic_inc(&live);
	return err;
}

static void step_remove(struct kvmb_device *dev)
{
	struct step_dev *sd = dev_get_drvdata(&dev->dev);

	kvmb_chan_unwatch_subs(dev->chan);
	if (sd->sub)
		kvmb_chan_close(sd->sub);
	kvmb_gpadl_destroy(dev->chan, &sd->buf);
	kvmb_chan_close(dev->chan);
	vfree(sd->buf.addr);
	kfree(sd);
	atomic_dec(&live);
}

static struct kvmb_driver step_driver = {
	.name = "kvmb_step",
	.types = &step_type,
	.num_types = 1,
	.probe = step_probe,
	.remove = step_remove,
};

/* ---- a run ---- */

#define SAME(a, b) CHECK_ROW(a, b, run.row)

static struct {
	enum step step;
	enum act act;
	u32 row;	    /* what a failure is reported as: act, and 10 when bound by hand */
	struct device *dev; /* a reference; NULL: it is not there yet */
	bool registered;
	int act_err;
	struct work_struct act_work, bind_work, rest_work;
} run;

static void act_now(struct work_struct *work)
{
	switch (run.act) {
	case ACT_RMMOD:
		kvmb_driver_unregister(&step_driver);
		run.registered = false;
		break;
	case ACT_UNBIND:
		if (run.dev)
			device_release_driver(run.dev);
		break;
	case ACT_RESCIND:
		host_take_back(SUB);
		host_take_back(CHAN);
		break;
	case ACT_CPU_OFF:
		run.act_err = remove_cpu(1);
		break;
	default:
		kvmb_chan_remove_all();
	}
}

/* as by somebody who writes to bind or unbind in sysfs */
static void bind_now(struct work_struct *work)
{
	if (run.step < STEP_CLOSE)
		run.act_err |= device_attach(run.dev) < 0;
	else
		device_release_driver(run.dev);
}

static struct device *get_dev(void)
{
	struct kvmb_chan *ch = chan_of(CHAN);

	return ch && ch->dev ? get_device(&ch->dev->dev) : NULL;
}

static void offer_sub(void)
{
	host_offer(SUB, &step_type, 2, 1);
}

/* Until the step is held. @by_hand: not dev_wq probes, somebody else does */
static void go_to(struct kunit *test, bool by_hand)
{
	bool sub = run.step >= STEP_SUB_OFFER;

	/* what opens is to be on CPU 1, which can go */
	if (run.step < STEP_SUB_OFFER || run.step >= STEP_CLOSE)
		offered(OTHER, 1);
	refuses = by_hand;
	if (run.step == STEP_OFFER) {
		queue_work(kvmb.dev_wq, &run.rest_work);
		wait_for_completion(&at_offer.reached);
	}
	if (!sub && !by_hand)
		host_script.hold = held_at[run.step];
	host_offer(CHAN, &step_type, 2, 0);
	if (by_hand || sub)
		host_settle();
	refuses = false;
	if (run.step >= STEP_CLOSE) {
		offer_sub();
		host_settle();
		NEED(chan_of(SUB) && chan_of(SUB)->state == KVMB_CHAN_OPEN);
	}
	if (by_hand || sub)
		host_script.hold = run.step == STEP_SUB_OFFER ? 0 : held_at[run.step];
	run.dev = get_dev();
	if (sub && run.step < STEP_CLOSE)
		offer_sub();
	else if (by_hand || sub)
		queue_work(system_unbound_wq, &run.bind_work);

	if (run.step == STEP_PROBE)
		wait_for_completion(&at_probe.reached);
	else if (run.step == STEP_SUB_OFFER)
		wait_for_completion(&at_sub.reached);
	else if (run.step != STEP_OFFER)
		NEED(host_await_held());
	if (!run.dev)
		run.dev = get_dev();
}

static void all_go_on(void)
{
	open_gate(&at_offer);
	open_gate(&at_probe);
	open_gate(&at_sub);
	host_go_on();
	flush_work(&run.act_work);
	flush_work(&run.bind_work);
	flush_work(&run.rest_work);
	host_settle();
}

static void check_signalled(struct kunit *test, u32 relid)
{
	struct kvmb_chan *ch = chan_of(relid);

	NEED(ch);
	SAME(ch->state, KVMB_CHAN_OPEN);
	SAME(ch->cpu, 0);
	SAME(host_chan_of(relid)->vp, 0); /* CPU 1 is not there any more */
}

static void check_closed(struct kunit *test)
{
	u32 relid;

	for (relid = CHAN; relid <= SUB; relid++) {
		SAME(!host_chan_of(relid)->open, true);
		SAME(!chan_of(relid) || chan_of(relid)->state == KVMB_CHAN_OFFERED, true);
	}
	SAME(atomic_read(&live), 0);
}

static void check(struct kunit *test)
{
	SAME(run.act_err, 0);
	if (run.act == ACT_CPU_OFF && run.step < STEP_CLOSE) {
		check_signalled(test, CHAN);
		if (run.step >= STEP_SUB_OFFER)
			check_signalled(test, SUB);
	} else if (run.step != STEP_OFFER || run.act != ACT_UNBIND) { /* nothing to unbind there */
		check_closed(test);
	}
	if (run.act == ACT_RESCIND || run.act == ACT_BUS_STOP)
		SAME(!chan_of(CHAN) && !chan_of(SUB), true);
	if (run.act == ACT_RESCIND)
		SAME(host_seen(KVMB_MSG_RELID_RELEASED), run.step < STEP_SUB_OFFER ? 1 : 2);
}

static void meet(struct kunit *test, enum step step, enum act act, bool by_hand)
{
	memset(&run, 0, sizeof(run));
	run.step = step;
	run.act = act;
	run.row = 10 * by_hand + act;
	pr_info("steps: step %u, row %u\n", step, run.row);
	INIT_WORK(&run.act_work, act_now);
	INIT_WORK(&run.bind_work, bind_now);
	INIT_WORK(&run.rest_work, rest_on_dev_wq);
	set_gate(&at_offer, step == STEP_OFFER);
	set_gate(&at_probe, step == STEP_PROBE);
	set_gate(&at_sub, step == STEP_SUB_OFFER);
	NEED(!kvmb_driver_register(&step_driver, NULL));
	run.registered = true;
	go_to(test, by_hand);
	queue_work(system_unbound_wq, &run.act_work);
	if (act == ACT_CPU_OFF)
		flush_work(&run.act_work); /* it waits for nobody */
	else
		msleep(20);
	all_go_on();
	check(test);

	if (act == ACT_CPU_OFF)
		SAME(add_cpu(1), 0);
	if (run.registered)
		kvmb_driver_unregister(&step_driver);
	put_device(run.dev);
	SAME(atomic_read(&live), 0);
	host_end();
	SAME(list_empty(&kvmb.chans), true);
	NEED(!bus_init(test));
}

static void each_act(struct kunit *test, enum step step)
{
	enum act act;

	for (act = 0; act < ACT_NUM; act++) {
		meet(test, step, act, false);
		if (step >= STEP_PROBE && step <= STEP_OPEN_RESULT)
			meet(test, step, act, true);
	}
}

CASE(acts_at_offer_end_and_leave_nothing)
{
	each_act(test, STEP_OFFER);
}

CASE(acts_at_probe_end_and_leave_nothing)
{
	each_act(test, STEP_PROBE);
}

CASE(acts_at_gpadl_header_end_and_leave_nothing)
{
	each_act(test, STEP_HEADER);
}

CASE(acts_at_gpadl_body_end_and_leave_nothing)
{
	each_act(test, STEP_BODY);
}

CASE(acts_at_gpadl_created_end_and_leave_nothing)
{
	each_act(test, STEP_CREATED);
}

CASE(acts_at_open_end_and_leave_nothing)
{
	each_act(test, STEP_OPEN);
}

CASE(acts_at_open_result_end_and_leave_nothing)
{
	each_act(test, STEP_OPEN_RESULT);
}

CASE(acts_at_sub_offer_end_and_leave_nothing)
{
	each_act(test, STEP_SUB_OFFER);
}

CASE(acts_at_sub_open_end_and_leave_nothing)
{
	each_act(test, STEP_SUB_OPEN);
}

CASE(acts_at_sub_open_result_end_and_leave_nothing)
{
	each_act(test, STEP_SUB_OPEN_RESULT);
}

CASE(acts_at_close_end_and_leave_nothing)
{
	each_act(test, STEP_CLOSE);
}

CASE(acts_at_gpadl_teardown_end_and_leave_nothing)
{
	each_act(test, STEP_TEARDOWN);
}

CASE(acts_at_gpadl_torndown_end_and_leave_nothing)
{
	each_act(test, STEP_TORNDOWN);
}

static struct kunit_case steps_cases[] = { KUNIT_CASE(acts_at_offer_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_probe_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_gpadl_header_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_gpadl_body_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_gpadl_created_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_open_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_open_result_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_sub_offer_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_sub_open_end_and_leave_nothing),
					   KUNIT_CASE(
						   acts_at_sub_open_result_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_close_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_gpadl_teardown_end_and_leave_nothing),
					   KUNIT_CASE(acts_at_gpadl_torndown_end_and_leave_nothing),
					   {} };

struct kunit_suite kvmb_steps_suite = {
	.name = "kvmb_steps",
	.test_cases = steps_cases,
	.init = bus_init,
	.exit = bus_exit,
};
