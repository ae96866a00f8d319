// SPDX-License-Identifier: GPL-2.0-only
/*
 * Heartbeat, host half: sends a number every two seconds; the guest returns it plus one.
 *
 * While all is well, its answer is read with the next question, and costs no wake-up of its own.
 */
#include "ic-services/heartbeat/heartbeat_host.h"

#include "lib/util.h"
#include "vmbus-core/proto/ic.h"

static const u8 heartbeat_moves[KVMB_HEARTBEAT_NUM_STATES] = {
	[KVMB_HEARTBEAT_NO_CONTACT] = 1 << KVMB_HEARTBEAT_OK,
	[KVMB_HEARTBEAT_OK] = 1 << KVMB_HEARTBEAT_LOST | 1 << KVMB_HEARTBEAT_NO_CONTACT,
	[KVMB_HEARTBEAT_LOST] = 1 << KVMB_HEARTBEAT_OK | 1 << KVMB_HEARTBEAT_NO_CONTACT,
};

static void set_heartbeat(struct kvmb_heartbeat *h, enum kvmb_heartbeat_state to)
{
	enum kvmb_heartbeat_state from = h->state;

	if (from == to)
		return;
	kvmb_assert(heartbeat_moves[from] & (1 << to));
	h->state = to;
	h->losses += to == KVMB_HEARTBEAT_LOST;
	if (h->changed)
		h->changed(h->arg, from);
}

/* Its time begins anew. */
static void give_time(struct kvmb_heartbeat *h)
{
	h->last_ms = h->tick_ms = kvmb_now_ms();
}

static bool cannot_answer(const struct kvmb_heartbeat *h)
{
	return h->paused || !kvmb_loop_chan_runs(&h->ic.chan) || (h->excused && h->excused(h->arg));
}

/* Before the next question. */
static void judge(struct kvmb_heartbeat *h)
{
	u64 now = kvmb_now_ms();

	/* a gap: we have not asked, so the guest need not have answered */
	if (cannot_answer(h) || now - h->tick_ms > 2 * KVMB_HEARTBEAT_PERIOD_MS)
		give_time(h);
	h->tick_ms = now;
	if (now - h->last_ms > h->lost_ms)
		set_heartbeat(h, KVMB_HEARTBEAT_LOST);
}

static void ask(struct kvmb_heartbeat *h)
{
	struct kvmb_wire_heartbeat m = { .sequence = cpu_to_le64(h->sequence) };

	if (!h->paused)
		kvmb_ic_request(&h->ic, &m, sizeof(m), true);
	if (h->beats && h->state == KVMB_HEARTBEAT_OK) /* else news are welcome at once */
		kvmb_ic_hush(&h->ic);
	kvmb_timer_set(&h->timer, KVMB_HEARTBEAT_PERIOD_MS);
}

static void beat(void *arg)
{
	struct kvmb_heartbeat *h = arg;

	kvmb_ic_look(&h->ic);
	if (h->ic.state != KVMB_IC_READY) {
		/* it has broken the protocol; ready() starts us again */
		set_heartbeat(h, KVMB_HEARTBEAT_NO_CONTACT);
		return;
	}
	judge(h);
	ask(h);
}

static void ready(struct kvmb_ic *ic)
{
	struct kvmb_heartbeat *h = container_of(ic, struct kvmb_heartbeat, ic);

	h->beats = 0;
	h->app_state = 0;
	give_time(h); /* negotiating was a sign of life */
	set_heartbeat(h, KVMB_HEARTBEAT_OK);
	ask(h);
}

void kvmb_heartbeat_go_on(struct kvmb_heartbeat *h)
{
	give_time(h);
	set_heartbeat(h, KVMB_HEARTBEAT_OK);
	kvmb_timer_set(&h->timer, KVMB_HEARTBEAT_PERIOD_MS);
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
	h->app_state = le32_to_cpu(m.app_state); /* 0 where the answer is too short */
	h->beats++;
	h->last_ms = kvmb_now_ms();
	set_heartbeat(h, KVMB_HEARTBEAT_OK);
}

static void stopped(struct kvmb_ic *ic)
{
	struct kvmb_heartbeat *h = container_of(ic, struct kvmb_heartbeat, ic);

	h->last_ms = 0;
	kvmb_timer_cancel(&h->timer);
	set_heartbeat(h, KVMB_HEARTBEAT_NO_CONTACT);
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
	h->lost_ms = KVMB_HEARTBEAT_LOST_MS;
}

const char *kvmb_heartbeat_status(const struct kvmb_heartbeat *h)
{
	if (!h->ic.primary)
		return "disabled";
	if (h->ic.state != KVMB_IC_READY)
		return "no-contact";
	if (h->paused)
		return "paused";
	return h->state == KVMB_HEARTBEAT_LOST ? "lost-communication" : "ok";
}

void kvmb_heartbeat_pause(struct kvmb_heartbeat *h, bool paused)
{
	h->paused = paused;
	if (!paused && h->last_ms)
		give_time(h);
}
