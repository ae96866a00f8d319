// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time sync, guest half: sets the clock when the host says so, and otherwise records samples.
 *
 * DOC: Theory of operation
 *
 * The host sends its time, with the reference counter of that moment (4.0) or an upper bound for
 * the message's delay (1.0, 3.0). SYNC sets the clock, after boot and after a pause. SAMPLEs feed
 * the PTP clock "hyperv", which a time daemon may follow: it returns the last sample, extrapolated
 * by the reference counter, or an error when the sample is older than ten minutes.
 */
#include <linux/ptp_clock_kernel.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <clocksource/hyperv_timer.h>

#include "guest-vsc/compat/compat.h"
#include "ic-services/ic_guest.h"

#define STALE_100NS (600ull * 10000000)

static const u32 versions[] = { KVMB_IC_VERSION(4, 0), KVMB_IC_VERSION(3, 0),
				KVMB_IC_VERSION(1, 0) };

struct sample {
	spinlock_t lock;
	u64 host;	/* 100 ns since 1601, 0: none */
	u64 ref;	/* reference counter at that time */
	struct ptp_clock_info info;
	struct ptp_clock *clock; /* NULL: the kernel has none */
};

/* The host's time now. Return: 0, or -ESTALE */
static int host_now(struct sample *s, struct timespec64 *ts)
{
	unsigned long flags;
	u64 now, host;

	spin_lock_irqsave(&s->lock, flags);
	now = kvmb_ref_time();
	host = s->host ? s->host + (now - s->ref) : 0;
	if (now - s->ref > STALE_100NS)
		host = 0;
	spin_unlock_irqrestore(&s->lock, flags);
	if (host < HV_EPOCH_OFFSET_100NS)
		return -ESTALE;
	*ts = ns_to_timespec64((host - HV_EPOCH_OFFSET_100NS) * 100);
	return 0;
}

static s64 request(struct kvmb_ic *ic, u8 *p, u32 size)
{
	struct kvmb_wire_timesync_v4 v4;
	struct kvmb_wire_timesync_v1 v1;
	struct sample *s = ic->priv;
	struct timespec64 ts;
	unsigned long irq;
	u64 host, ref;
	u8 flags;

	if (ic->version >= KVMB_IC_VERSION(4, 0)) {
		if (size < offsetof(struct kvmb_wire_timesync_v4, leap))
			return -EPROTO;
		memset(&v4, 0, sizeof(v4));
		memcpy(&v4, p, min_t(u32, size, sizeof(v4)));
		host = le64_to_cpu(v4.parent_time);
		ref = le64_to_cpu(v4.ref_time);
		flags = v4.flags;
	} else {
		if (size < offsetof(struct kvmb_wire_timesync_v1, reserved))
			return -EPROTO;
		memset(&v1, 0, sizeof(v1));
		memcpy(&v1, p, min_t(u32, size, sizeof(v1)));
		host = le64_to_cpu(v1.parent_time);
		ref = kvmb_ref_time();
		flags = v1.flags;
	}
	if (!(flags & (KVMB_TIMESYNC_SYNC | KVMB_TIMESYNC_SAMPLE)))
		return KVMB_IC_STATUS_OK; /* a probe */
	if (ref > kvmb_ref_time())
		ref = kvmb_ref_time(); /* no sample from the future */
	spin_lock_irqsave(&s->lock, irq);
	s->host = host;
	s->ref = ref;
	spin_unlock_irqrestore(&s->lock, irq);
	if (flags & KVMB_TIMESYNC_SYNC && !host_now(s, &ts))
		do_settimeofday64(&ts);
	return KVMB_IC_STATUS_OK;
}

/* ---- the PTP clock ---- */

static int ptp_get(struct ptp_clock_info *info, struct timespec64 *ts)
{
	return host_now(container_of(info, struct sample, info), ts);
}

static int ptp_set(struct ptp_clock_info *info, const struct timespec64 *ts)
{
	return -EOPNOTSUPP;
}

static int ptp_adjfine(struct ptp_clock_info *info, long ppm)
{
	return -EOPNOTSUPP;
}

static int ptp_adjtime(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int ptp_enable(struct ptp_clock_info *info, struct ptp_clock_request *rq, int on)
{
	return -EOPNOTSUPP;
}

static int start(struct kvmb_ic *ic)
{
	struct sample *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	spin_lock_init(&s->lock);
	s->info = (struct ptp_clock_info){
		.owner = THIS_MODULE, .name = "hyperv", /* /dev/ptp_hyperv is made by this name */
		.gettime64 = ptp_get, .settime64 = ptp_set,
		.adjfine = ptp_adjfine, .adjtime = ptp_adjtime, .enable = ptp_enable,
	};
	s->clock = ptp_clock_register(&s->info, NULL);
	if (IS_ERR(s->clock))
		s->clock = NULL; /* the clock is set all the same */
	ic->priv = s;
	return 0;
}

static void stop(struct kvmb_ic *ic)
{
	struct sample *s = ic->priv;

	if (s->clock)
		ptp_clock_unregister(s->clock);
	kfree(s);
}

const struct kvmb_ic_service kvmb_timesync_service = {
	.name = "timesync",
	.type = KVMB_TIMESYNC_TYPE_GUID,
	.msg_type = KVMB_IC_TIMESYNC,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.start = start,
	.stop = stop,
	.request = request,
};
