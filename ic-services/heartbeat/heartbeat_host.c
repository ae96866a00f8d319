// SPDX-License-Identifier: GPL-2.0-only
/* Heartbeat, host half: sends a number every two seconds; the guest returns it plus one. */
#include "ic-services/heartbeat/heartbeat_host.h"

#include "lib/util.h"
#include "vmbus-core/proto/ic.h"

static void beat(void *arg)
{
	struct kvmb_heartbeat *h = arg;
	struct kvmb_wire_heartbeat m = { .sequence = cpu_to_le64(h->sequence) };

	if (!h->paused && kvmb_ic_request(&h->ic, &m, sizeof(m), true) == -ENOTCONN)
		return; /* the guest has gone: ready() starts us again */
	kvmb_timer_set(&h->timer, KVMB_HEARTBEAT_PERIOD_MS);
}

static void ready(struct kvmb_ic *ic)
{
	struct kvmb_heartbeat *h = container_of(ic, struct kvmb_heartbeat, ic);

	h->beats = 0;
	h->last_ms = kvmb_now_ms(); /* negotiating was a sign of life */
	beat(h);
}

static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	struct kvmb_heartbeat *h = container_of(ic, struct kvmb_heartbeat, ic);
	struct kvmb_wire_heartbeat m = { 0 };

	if (msg->size < sizeof(m.sequence))
		return;
	memcpy(&m, msg->payload, KVMB_MIN((size_t)msg->size, sizeof(m)));
	if (le64_to_cpu(m.sequence) != h->sequence + 1)
		return; /* an answer to something else is no sign of life */
	h->sequence = le64_to_cpu(m.sequence) + 1;
	h->beats++;
	h->last_ms = kvmb_now_ms();
}

static void stopped(struct kvmb_ic *ic)
{
	struct kvmb_heartbeat *h = container_of(ic, struct kvmb_heartbeat, ic);

	h->last_ms = 0;
	kvmb_timer_cancel(&h->timer);
}

static const u32 versions[] = { KVMB_IC_VERSION(1, 0), KVMB_IC_VERSION(3, 0) };

static const struct kvmb_ic_ops heartbeat_ops = {
	.name = "heartbeat",
	.type = KVMB_HEARTBEAT_TYPE_GUID,
	.instance = KVMB_HEARTBEAT_INSTANCE_GUID,
	.message_type = KVMB_IC_HEARTBEAT,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.ready = ready,
	.reply = reply,
	.stopped = stopped,
};

void kvmb_heartbeat_init(struct kvmb_heartbeat *h, struct kvmb_loop *loop)
{
	memset(h, 0, sizeof(*h));
	kvmb_ic_init(&h->ic, &heartbeat_ops);
	kvmb_timer_init(&h->timer, loop, beat, h);
}

const char *kvmb_heartbeat_status(const struct kvmb_heartbeat *h)
{
	if (h->ic.state != KVMB_IC_READY)
		return "no-contact";
	if (h->paused)
		return "paused";
	return kvmb_now_ms() - h->last_ms > KVMB_HEARTBEAT_LOST_MS ? "lost-communication" : "ok";
}

void kvmb_heartbeat_pause(struct kvmb_heartbeat *h, bool paused)
{
	h->paused = paused;
	if (!paused && h->last_ms)
		h->last_ms = kvmb_now_ms();
}
