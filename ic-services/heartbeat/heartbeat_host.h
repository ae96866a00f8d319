/* SPDX-License-Identifier: GPL-2.0-only */
/* Heartbeat: is the guest's kernel alive? */
#ifndef KVMB_HEARTBEAT_HOST_H
#define KVMB_HEARTBEAT_HOST_H

#include "ic-services/ic_host.h"

#define KVMB_HEARTBEAT_PERIOD_MS 2000u
#define KVMB_HEARTBEAT_LOST_MS 10000u /* no answer for this long: lost */

/*
 * NO_CONTACT: there is no driver, or it has agreed on no version yet.
 * OK: it has answered, or its time to answer is not over.
 * LOST: it is over. Operations: a right answer -> OK.
 */
enum kvmb_heartbeat_state {
	KVMB_HEARTBEAT_NO_CONTACT,
	KVMB_HEARTBEAT_OK,
	KVMB_HEARTBEAT_LOST,
	KVMB_HEARTBEAT_NUM_STATES
};

struct kvmb_heartbeat { /* bus thread */
	struct kvmb_ic ic;
	struct kvmb_timer timer;
	enum kvmb_heartbeat_state state; /* set_heartbeat() in heartbeat_host.c */
	u64 sequence;
	u64 beats;	   /* answers so far in this boot */
	u64 last_ms;	   /* kvmb_now_ms() when the guest's time to answer began, 0 = never */
	u64 tick_ms;	   /* kvmb_now_ms() when we looked last */
	u32 lost_ms;	   /* how much time it has: KVMB_HEARTBEAT_LOST_MS */
	u32 app_state;	   /* of the guest's applications, as it says: 1 healthy, 2 critical */
	u64 losses;	   /* times that it became LOST */
	bool paused;
	/* the next three may be NULL */
	void (*changed)(void *arg, enum kvmb_heartbeat_state from); /* @state is another one */
	bool (*excused)(void *arg); /* the guest cannot answer now, for no fault of its own */
	void *arg;
};

/** kvmb_heartbeat_init() - Prepare, not offered; @loop is the bus thread's. */
void kvmb_heartbeat_init(struct kvmb_heartbeat *h, struct kvmb_loop *loop);

/** kvmb_heartbeat_status() - "ok", "lost-communication", "no-contact", "paused" or "disabled". */
const char *kvmb_heartbeat_status(const struct kvmb_heartbeat *h);

/**
 * kvmb_heartbeat_pause() - Stop or resume: a paused guest cannot answer and is not lost
 *
 * Afterwards it has all of its time again. The same after anything else that kept us from asking:
 * a bus that stood, this process stopped, the host asleep.
 */
void kvmb_heartbeat_pause(struct kvmb_heartbeat *h, bool paused);

/** kvmb_heartbeat_go_on() - It was loaded, and is ready: the guest has all of its time. */
void kvmb_heartbeat_go_on(struct kvmb_heartbeat *h);

#endif
