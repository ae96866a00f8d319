// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time sync, host half. After boot, after each resume and when the host's clock is set, we send
 * SYNC, and the guest steps its clock; otherwise a SAMPLE every five seconds, which it only
 * records. If the bus was paused, a SYNC is sent at once when it goes on.
 *
 * Linux reads one packet for each interrupt (docs/protocol.md#7.4), and two of ours may come as one
 * interrupt. Then it would be one packet behind for good, and before 4.0 set its clock to a time
 * that has passed. So nothing is sent while it has not read the last one: we interrupt it once more
 * and send a SYNC a second later.
 *
 * The kernel wakes us when the clock is set: a timer of CLOCK_REALTIME that never fires is
 * cancelled by it (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
 *
 * What a guest's clock says is not on the wire of 4.0, and Linux does not say it in older versions
 * either (docs/protocol.md#7.10). So we know when it was told to step, and how long its answer
 * took: its clock was off by less than that, if it obeyed.
 */
#include "ic-services/timesync/timesync_host.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

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

	if (kvmb_loop_chan_runs(&t->ic.chan) && kvmb_loop_chan_unread(&t->ic.chan)) {
		kvmb_chan_signal(t->ic.chan.ch);
		return -EAGAIN;
	}
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
	if (!t->owed) {
		t->syncs++;
		t->sync_ms = kvmb_now_ms();
		t->sync_number = t->ic.transaction;
		t->sync_due = true;
	}
	kvmb_timer_set(&t->timer, t->owed ? KVMB_TIMESYNC_RETRY_MS : KVMB_TIMESYNC_PERIOD_MS);
}

static void sample(void *arg)
{
	struct kvmb_timesync *t = arg;

	kvmb_ic_look(&t->ic);
	if (t->ic.state != KVMB_IC_READY)
		return; /* ready() starts us again */
	if (t->owed && !t->paused) {
		sync_now(t);
		return;
	}
	if (!t->paused && !send_time(t, KVMB_TIMESYNC_SAMPLE)) {
		t->samples++;
		kvmb_ic_hush(&t->ic); /* of a SYNC we want to know when it was answered */
	}
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

/* Before 4.0 there is room for the guest's time; 0: it says nothing. */
static void note_offset(struct kvmb_timesync *t, const struct kvmb_icmsg *msg)
{
	struct kvmb_wire_timesync_v1 v1 = { 0 };

	if (t->ic.message >= KVMB_IC_VERSION(4, 0) ||
	    msg->size < offsetof(struct kvmb_wire_timesync_v1, round_trip))
		return;
	memcpy(&v1, msg->payload, KVMB_MIN((size_t)msg->size, sizeof(v1)));
	if (!v1.child_time)
		return;
	t->has_offset = true;
	/* modulo 2^64: hostile, and only shown */
	t->offset_100ns = (s64)(le64_to_cpu(v1.child_time) - le64_to_cpu(v1.parent_time));
}

/* The guest returns the packet. */
static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	struct kvmb_timesync *t = container_of(ic, struct kvmb_timesync, ic);

	if (t->sync_due && msg->transaction == t->sync_number) {
		t->sync_due = false;
		t->answer_ms = (u32)KVMB_MIN(kvmb_now_ms() - t->sync_ms, (u64)UINT32_MAX);
	}
	note_offset(t, msg);
}

static void stopped(struct kvmb_ic *ic)
{
	struct kvmb_timesync *t = container_of(ic, struct kvmb_timesync, ic);

	t->owed = false; /* the next guest gets one of its own */
	t->sync_ms = 0;
	t->sync_due = t->has_offset = false;
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
	kvmb_ic_look(&t->ic); /* and have it tell us of the next answer */
	if (!paused && t->ic.state == KVMB_IC_READY)
		sync_now(t);
}

/* ---- steps of the host's clock ---- */

static void clock_stepped(void *arg, uint32_t events)
{
	struct kvmb_timesync *t = arg;
	u64 n;

	(void)events;
	if (read(t->clock_fd, &n, sizeof(n)) >= 0 || errno != ECANCELED)
		return; /* it has come to the end of time, or somebody was quicker */
	t->steps++;
	kvmb_ic_look(&t->ic);
	if (t->paused || t->ic.state != KVMB_IC_READY)
		return; /* it gets a SYNC when it goes on, or has come */
	sync_now(t);
}

int kvmb_timesync_watch(struct kvmb_timesync *t)
{
	const struct itimerspec never = { .it_value = { .tv_sec = (time_t)1 << 36 } };
	int err = 0;

	t->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->clock_fd < 0) {
		err = -errno;
		t->clock_fd = 0;
		return err;
	}
	if (timerfd_settime(t->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL))
		err = -errno;
	if (!err)
		t->clock = kvmb_loop_add(t->timer.loop, t->clock_fd, EPOLLIN, clock_stepped, t);
	if (!err && !t->clock)
		err = -ENOMEM;
	if (err)
		kvmb_timesync_unwatch(t);
	return err;
}

void kvmb_timesync_unwatch(struct kvmb_timesync *t)
{
	kvmb_loop_del(t->clock);
	t->clock = NULL;
	if (t->clock_fd > 0)
		close(t->clock_fd);
	t->clock_fd = 0;
}
