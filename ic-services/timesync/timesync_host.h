/* SPDX-License-Identifier: GPL-2.0-only */
/* Time sync: the guest's clock follows the host's. */
#ifndef KVMB_TIMESYNC_HOST_H
#define KVMB_TIMESYNC_HOST_H

#include "ic-services/ic_host.h"

#define KVMB_TIMESYNC_PERIOD_MS 5000u
#define KVMB_TIMESYNC_RETRY_MS 1000u /* of a SYNC */

struct kvmb_timesync { /* bus thread */
	struct kvmb_ic ic;
	struct kvmb_timer timer;
	struct kvmb_vmm *vmm;
	u64 syncs, samples;
	bool paused;
	bool owed;	/* a SYNC could not be sent yet */
	u64 sync_ms;	/* kvmb_now_ms() of the last SYNC, 0 = none for this guest */
	u8 sync_number; /* its transaction */
	bool sync_due;	/* its answer is */
	u32 answer_ms;	/* how long the answer to it took, once it is not due */
	bool has_offset;
	s64 offset_100ns; /* guest's clock minus ours, of a guest that says it (1.0, 3.0) */
	u64 steps;	  /* of the host's clock */
	int clock_fd;	  /* timerfd, 0 = nobody watches the host's clock */
	struct kvmb_watch *clock;
};

/**
 * kvmb_timesync_watch() - Have a step of the host's clock passed on to the guest at once
 *
 * Return: 0 or -errno: the guest hears of a step by samples only. Context: bus thread, once, before
 * it is confined.
 */
int kvmb_timesync_watch(struct kvmb_timesync *t);

/** kvmb_timesync_unwatch() - No more; fine if nobody does. */
void kvmb_timesync_unwatch(struct kvmb_timesync *t);

/** kvmb_timesync_init() - Prepare, not offered; @loop is the bus thread's, @vmm has the counter. */
void kvmb_timesync_init(struct kvmb_timesync *t, struct kvmb_loop *loop, struct kvmb_vmm *vmm);

/**
 * kvmb_timesync_pause() - Stop or resume
 * @t:      the service
 * @paused: the VM is paused
 *
 * On resume the guest is told to step its clock, because it has not noticed the pause.
 */
void kvmb_timesync_pause(struct kvmb_timesync *t, bool paused);

#endif
