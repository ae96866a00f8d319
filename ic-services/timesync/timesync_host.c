// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time sync, host half. After boot and after each resume we send SYNC, and the guest steps its
 * clock; then we send a SAMPLE every five seconds, which it only records. If the ring is full, a
 * SYNC is sent later; if the bus was paused, at once when it goes on.
 */
#include "ic-services/timesync/timesync_host.h"

#include <time.h>

#include "lib/util.h"
#include "vmbus-core/proto/ic.h"

static u64 host_time_100ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (u64)ts.tv_sec * 10000000ull + (u64)ts.tv_nsec / 100 + HV_EPOCH_OFFSET_100NS;
}

/*
 * The guest adds what its reference counter has advanced since @ref to @time, so the two
 * must be read at the same moment. Reading the counter is a system call that may be
 * interrupted: keep the tightest of a few tries.
 */
static void sample_clocks(struct kvmb_vmm *v, u64 *time, u64 *ref)
{
	u64 best = ~0ull, before, after, r;
	int i;

	for (i = 0; i < 5; i++) {
		before = host_time_100ns();
		r = v->ops->ref_time(v);
		after = host_time_100ns();
		if (after - before < best) {
			best = after - before;
			*time = before + (after - before) / 2;
			*ref = r;
		}
	}
}

static int send_time(struct kvmb_timesync *t, u8 flags)
{
	struct kvmb_wire_timesync_v4 v4 = { .flags = flags, .stratum = 1 };
	struct kvmb_wire_timesync_v1 v1 = { .flags = flags };
	u64 time = 0, ref = 0;

	if (t->ic.message >= KVMB_IC_VERSION(4, 0)) {
		sample_clocks(t->vmm, &time, &ref);
		v4.parent_time = cpu_to_le64(time);
		v4.ref_time = cpu_to_le64(ref);
		return kvmb_ic_request(&t->ic, &v4, sizeof(v4), false);
	}
	v1.parent_time = cpu_to_le64(host_time_100ns());
	return kvmb_ic_request(&t->ic, &v1, sizeof(v1), false);
}

static void sync_now(struct kvmb_timesync *t)
{
	t->owed = send_time(t, KVMB_TIMESYNC_SYNC);
	if (!t->owed)
		t->syncs++;
	kvmb_timer_set(&t->timer, KVMB_TIMESYNC_PERIOD_MS);
}

static void sample(void *arg)
{
	struct kvmb_timesync *t = arg;

	if (t->owed && !t->paused) {
		sync_now(t);
		return;
	}
	if (!t->paused && !send_time(t, KVMB_TIMESYNC_SAMPLE))
		t->samples++;
	kvmb_timer_set(&t->timer, KVMB_TIMESYNC_PERIOD_MS);
}

static void ready(struct kvmb_ic *ic)
{
	sync_now(container_of(ic, struct kvmb_timesync, ic));
}

static void resumed(struct kvmb_ic *ic)
{
	struct kvmb_timesync *t = container_of(ic, struct kvmb_timesync, ic);

	if (t->owed && !t->paused)
		sync_now(t);
}

static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	(void)ic, (void)msg; /* the guest returns the packet; it says nothing new */
}

static void stopped(struct kvmb_ic *ic)
{
	struct kvmb_timesync *t = container_of(ic, struct kvmb_timesync, ic);

	t->owed = false; /* the next guest gets one of its own */
	kvmb_timer_cancel(&t->timer);
}

static const u32 versions[] = { KVMB_IC_VERSION(1, 0), KVMB_IC_VERSION(3, 0),
				KVMB_IC_VERSION(4, 0) };

static const struct kvmb_ic_ops timesync_ops = {
	.name = "timesync",
	.type = KVMB_TIMESYNC_TYPE_GUID,
	.instance = KVMB_TIMESYNC_INSTANCE_GUID,
	.message_type = KVMB_IC_TIMESYNC,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.ready = ready,
	.reply = reply,
	.stopped = stopped,
	.resumed = resumed,
};

void kvmb_timesync_init(struct kvmb_timesync *t, struct kvmb_loop *loop, struct kvmb_vmm *vmm)
{
	memset(t, 0, sizeof(*t));
	kvmb_ic_init(&t->ic, &timesync_ops);
	kvmb_timer_init(&t->timer, loop, sample, t);
	t->vmm = vmm;
}

void kvmb_timesync_pause(struct kvmb_timesync *t, bool paused)
{
	t->paused = paused;
	if (!paused && t->ic.state == KVMB_IC_READY)
		sync_now(t);
}
