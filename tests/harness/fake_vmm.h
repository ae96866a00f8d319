/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest in a box: fills vmm_if.h in memory, so that bus and providers run without KVM.
 *
 * The box has RAM (a real memfd, so that rings are mapped as in a VM), one message slot a
 * VP, event flags, and bound connections. A test plays the guest: it posts control
 * messages, reads the answers, makes page lists, opens channels and talks over rings.
 * Everything runs on the test's thread except providers' own workers.
 */
#ifndef KVMB_FAKE_VMM_H
#define KVMB_FAKE_VMM_H

#include <pthread.h>

#include "host-vsp/bus/bus.h"
#include "lib/loop.h"
#include "tests/harness/patience.h"

#define FAKE_VPS 4u
#define FAKE_MAX_CONNS 600u
#define FAKE_RAM (64u << 20)
#define FAKE_LOG 512u

struct fake_msg { /* a message that the guest received */
	u32 vp, len;
	u8 buf[HV_MESSAGE_PAYLOAD_MAX];
};

struct fake_vmm {
	struct kvmb_vmm vmm;
	struct kvmb_gm gm;
	/* the guest's own mapping: what it does there is no race of ours */
	u8 *view;
	struct kvmb_loop *loop;
	struct kvmb_bus *bus;
	bool slots_busy;	 /* the guest does not read its messages */
	struct fake_msg log[FAKE_LOG]; /* a ring; the oldest are overwritten */
	u32 num_msgs, next_msg;	 /* received, looked at */
	void (*on_message)(struct fake_vmm *f); /* what a vCPU does at once, NULL: nothing */
	struct { u32 id; int fd; bool used; } conns[FAKE_MAX_CONNS];
	pthread_mutex_t lock;	 /* guards events */
	u32 events[FAKE_VPS][2048 / 32];
	u64 num_events;
	u64 ref_time;
	u64 next_gfn;		 /* bump allocator of guest pages */
	u32 next_gpadl;
};

/* An open channel from the guest's side: its own ring halves over the same pages. */
struct fake_chan {
	u32 relid, gpadl, conn_id;
	u64 first_gfn;
	u32 pages, down;
	struct kvmb_gm_ring map_tx, map_rx; /* tx: guest to host */
	struct kvmb_ring tx, rx;
};

void fake_init(struct fake_vmm *f, u32 max_version);
/** fake_rest() - The guest is gone: no provider touches its memory any more. */
void fake_rest(struct fake_vmm *f);
void fake_fini(struct fake_vmm *f); /* at rest first */

/** fake_run() - Let the bus work until it is idle. */
void fake_run(struct fake_vmm *f);

/** fake_post() - Post a control message and let the bus work. Return: hypercall status. */
u16 fake_post(struct fake_vmm *f, enum kvmb_msg type, void *msg, u32 len);
u16 fake_post_raw(struct fake_vmm *f, const void *msg, u32 len);

/** fake_next() - Next message of @type among those not yet looked at; NULL when there is none. */
const void *fake_next(struct fake_vmm *f, enum kvmb_msg type);

/** fake_wait() - As fake_next(), waiting for a worker. */
const void *fake_wait(struct fake_vmm *f, enum kvmb_msg type);

bool fake_contact(struct fake_vmm *f, u32 version);
/** fake_connect() - Contact and offers. Return: number of offers; @offers[max] is filled. */
u32 fake_connect(struct fake_vmm *f, u32 version, struct kvmb_wire_offer *offers, u32 max);

u64 fake_alloc(struct fake_vmm *f, u32 pages);	    /* first gfn of zeroed pages */
void *fake_ptr(struct fake_vmm *f, u64 gpa);

/** fake_gpadl() - Make a page list of consecutive frames. Return: status of GPADL_CREATED. */
u32 fake_gpadl(struct fake_vmm *f, u32 relid, u64 first_gfn, u32 pages, u32 *id);
bool fake_teardown(struct fake_vmm *f, u32 relid, u32 id); /* was it answered by now? */

/** fake_open() - Ring, page list, open. Return: status of OPEN_RESULT. */
u32 fake_open(struct fake_vmm *f, struct fake_chan *c, u32 relid, u32 pages_each);
void fake_close(struct fake_vmm *f, struct fake_chan *c); /* CLOSE and teardown */
void fake_unmap(struct fake_chan *c); /* the guest's side alone: it vanishes without a word */

/** fake_send() - One packet, published; signals the host when it wants it. */
int fake_send(struct fake_vmm *f, struct fake_chan *c, u16 type, u16 flags, u64 id, const void *hdr,
	      u32 hdr_len, const void *payload, u32 len);
void fake_signal(struct fake_vmm *f, struct fake_chan *c);

/** fake_recv() - Next packet, waiting for a worker. Return: as kvmb_ring_peek(). */
int fake_recv(struct fake_vmm *f, struct fake_chan *c, void *buf, u32 size, struct kvmb_pkt *pkt);
int fake_recv_within(struct fake_vmm *f, struct fake_chan *c, void *buf, u32 size,
		     struct kvmb_pkt *pkt, u32 ms);

#endif
