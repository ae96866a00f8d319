/* SPDX-License-Identifier: GPL-2.0-only */
/* A bus with two devices and a guest in a box, for the tests of bus/. */
#ifndef KVMB_BUS_FIXTURE_H
#define KVMB_BUS_FIXTURE_H

#include "host-vsp/bus/bus_priv.h"
#include "tests/harness/fake_vmm.h"
#include "tests/unit/test.h"

/* A provider that echoes nothing and closes when it is told, or later. */
struct echo {
	int opens, closes, released, pauses, resumes;
	bool late;		 /* keep the rings after close() */
	bool slow;		 /* do not stand still at pause() */
	bool opened_paused;
	int refuse;
	struct kvmb_chan *ch;
};

static inline int echo_open(struct kvmb_chan *ch)
{
	struct echo *e = kvmb_chan_dev(ch);

	if (e->refuse)
		return e->refuse;
	e->opens++;
	e->opened_paused = kvmb_chan_starts_paused(ch);
	e->ch = ch;
	return 0;
}

static inline void echo_close(struct kvmb_chan *ch)
{
	struct echo *e = kvmb_chan_dev(ch);

	e->closes++;
	if (!e->late)
		kvmb_chan_closed(ch);
}

static inline void echo_released(struct kvmb_chan *ch)
{
	((struct echo *)kvmb_chan_dev(ch))->released++;
}

static inline void echo_pause(struct kvmb_chan *ch)
{
	struct echo *e = kvmb_chan_dev(ch);

	e->pauses++;
	if (!e->slow)
		kvmb_chan_paused(ch);
}

static inline void echo_resume(struct kvmb_chan *ch)
{
	((struct echo *)kvmb_chan_dev(ch))->resumes++;
}

static const struct kvmb_vsp_ops echo_ops = { .name = "echo",
					      .open = echo_open,
					      .close = echo_close,
					      .pause = echo_pause,
					      .resume = echo_resume,
					      .released = echo_released };

static struct fake_vmm f;
static struct echo dev[3];
static struct kvmb_wire_offer offers[16];

static inline struct kvmb_chan *add_dev_with(int i, const struct kvmb_vsp_ops *ops)
{
	struct kvmb_offer o = { .type = KVMB_GUID(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
				.name = "echo",
				.ops = ops,
				.dev = &dev[i] };
	struct kvmb_chan *ch;

	o.instance.b[0] = (u8)i;
	assert_int_equal(kvmb_bus_offer(f.bus, &o, &ch), 0);
	assert_int_equal(kvmb_bus_offer(f.bus, &o, NULL), -EEXIST);
	return ch;
}

static inline struct kvmb_chan *add_dev(int i)
{
	return add_dev_with(i, &echo_ops);
}

static inline int setup(void **state)
{
	(void)state;
	fake_init(&f, KVMB_VERSION_NEWEST);
	memset(dev, 0, sizeof(dev));
	add_dev(0);
	add_dev(1);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_fini(&f);
	return 0;
}

static inline u32 relid(int i)
{
	return le32_to_cpu(offers[i].relid);
}

static inline u32 connect_all(void)
{
	return fake_connect(&f, KVMB_VERSION_NEWEST, offers, ARRAY_SIZE(offers));
}

#endif
