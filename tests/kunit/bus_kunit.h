/* SPDX-License-Identifier: GPL-2.0-only */
/* What the suites of the guest's bus share. */
#ifndef KVMB_BUS_KUNIT_H
#define KVMB_BUS_KUNIT_H

#include "tests/kunit/kunit_case.h"
#include "tests/kunit/script_host.h"

extern const struct kvmb_guid some_type;

/* a bus that is connected, for each case */
int bus_init(struct kunit *test);
void bus_exit(struct kunit *test);

struct kvmb_chan *chan_of(u32 relid);
/* A new primary channel, when its device was added. Return: NULL when it was not taken */
struct kvmb_chan *offered(u32 relid, u8 instance);
u32 num_chans(void);

/* callback that counts in its atomic_t */
void count_call(void *ctx);

/* on_packet of a host that sends everything back; echoed: the last id */
extern u64 echoed;
void echo(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx);

/* "opened" of a host that writes a packet and signals before it answers OPEN */
void speaks_first(struct host_chan *c);

/* Opens and closes each sub-channel; for kvmb_chan_watch_subs() with &watch */
struct sub_watch {
	struct kvmb_chan *sub;
	atomic_t calls, running;
	int err;
};
extern struct sub_watch watch;
void open_sub(struct kvmb_chan *sub, void *ctx);

#endif
