/* SPDX-License-Identifier: GPL-2.0-only */
/* Heartbeat: is the guest's kernel alive? */
#ifndef KVMB_HEARTBEAT_HOST_H
#define KVMB_HEARTBEAT_HOST_H

#include "ic-services/ic_host.h"

#define KVMB_HEARTBEAT_PERIOD_MS 2000u
#define KVMB_HEARTBEAT_LOST_MS 10000u /* no answer for this long: lost */

struct kvmb_heartbeat { /* bus thread */
	struct kvmb_ic ic;
	struct kvmb_timer timer;
	u64 sequence;
	u64 beats;	   /* answers so far in this boot */
	u64 last_ms;	   /* kvmb_now_ms() of the last answer, 0 = none */
	bool paused;
};

/** kvmb_heartbeat_init() - Prepare, not offered; @loop is the bus thread's. */
void kvmb_heartbeat_init(struct kvmb_heartbeat *h, struct kvmb_loop *loop);

/** kvmb_heartbeat_status() - "ok", "lost-communication", "no-contact" or "paused". */
const char *kvmb_heartbeat_status(const struct kvmb_heartbeat *h);

/** kvmb_heartbeat_pause() - Stop or resume: a paused guest cannot answer and is not lost. */
void kvmb_heartbeat_pause(struct kvmb_heartbeat *h, bool paused);

#endif
