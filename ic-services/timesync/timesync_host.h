/* SPDX-License-Identifier: GPL-2.0-only */
/* Time sync: the guest's clock follows the host's. */
#ifndef KVMB_TIMESYNC_HOST_H
#define KVMB_TIMESYNC_HOST_H

#include "ic-services/ic_host.h"

#define KVMB_TIMESYNC_PERIOD_MS 5000u

struct kvmb_timesync { /* bus thread */
	struct kvmb_ic ic;
	struct kvmb_timer timer;
	struct kvmb_vmm *vmm;
	u64 syncs, samples;
	bool paused;
	bool owed; /* a SYNC found no room in the ring */
};

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
