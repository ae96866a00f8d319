// SPDX-License-Identifier: GPL-2.0-only
/* VSS, host half. Theory of operation: vss_host.h. */
#include "ic-services/vss/vss_host.h"

#include "lib/log.h"
#include "lib/util.h"
#include "vmbus-core/proto/vss.h"

#define RESEND_MS 100u /* after a ring that was full, or a bus that stood */

static const char *const vss_state_names[] = { "idle", "checking", "freezing", "frozen",
					       "thawing" };
static_assert(ARRAY_SIZE(vss_state_names) == KVMB_VSS_NUM_STATES, "one name a state");

static const u8 vss_moves[KVMB_VSS_NUM_STATES] = {
	[KVMB_VSS_IDLE] = 1 << KVMB_VSS_CHECKING | 1 << KVMB_VSS_THAWING, /* loaded */
	[KVMB_VSS_CHECKING] = 1 << KVMB_VSS_FREEZING | 1 << KVMB_VSS_IDLE,
	[KVMB_VSS_FREEZING] = 1 << KVMB_VSS_FROZEN | 1 << KVMB_VSS_THAWING,
	[KVMB_VSS_FROZEN] = 1 << KVMB_VSS_THAWING,
	[KVMB_VSS_THAWING] = 1 << KVMB_VSS_IDLE,
};

static void vss_to(struct kvmb_vss *v, enum kvmb_vss_state to)
{
	kvmb_assert(vss_moves[v->state] & (1 << to));
	v->state = to;
	v->sent = false;
}

const char *kvmb_vss_state_name(const struct kvmb_vss *v)
{
	return vss_state_names[v->state];
}

/* ic->waiting does not count here: a THAW must not wait for the answer to a FREEZE. */
static int send_op(struct kvmb_vss *v, enum kvmb_vss_op op)
{
	struct kvmb_wire_vss m = { .operation = (u8)op };
	int err = kvmb_ic_request(&v->ic, &m, sizeof(m), false);

	v->sent = !err;
	v->expects = v->ic.transaction;
	return err;
}

static void tell_done(struct kvmb_vss *v, int err)
{
	void (*done)(void *arg, int err) = v->done;

	v->done = NULL;
	if (done)
		done(v->arg, err);
}

static void end_thaw(struct kvmb_vss *v)
{
	kvmb_timer_cancel(&v->timer);
	vss_to(v, KVMB_VSS_IDLE);
}

static void send_thaw(struct kvmb_vss *v)
{
	int err = send_op(v, KVMB_VSS_THAW);

	if (err == -EAGAIN)
		kvmb_timer_set(&v->timer, RESEND_MS);
	else
		kvmb_timer_cancel(&v->timer); /* its answer, or another channel, goes on */
}

static void begin_thaw(struct kvmb_vss *v)
{
	vss_to(v, KVMB_VSS_THAWING);
	v->pause_ms = KVMB_VSS_RETRY_MS;
	v->thaw_since_ms = kvmb_now_ms();
	send_thaw(v);
}

/* What was wanted does not come. */
static void give_up_freeze(struct kvmb_vss *v, int err)
{
	kvmb_timer_cancel(&v->timer);
	if (v->state == KVMB_VSS_CHECKING)
		vss_to(v, KVMB_VSS_IDLE);
	else
		begin_thaw(v);
	tell_done(v, err);
}

static void thaw_refused(struct kvmb_vss *v, u32 status)
{
	v->sent = false;
	if (kvmb_now_ms() - v->thaw_since_ms > KVMB_VSS_THAW_S * 1000ull) {
		kvmb_warn(v->ic.ops->name, "the guest does not thaw (0x%08x); given up", status);
		end_thaw(v);
		return;
	}
	kvmb_warn_ratelimited(v->ic.ops->name,
			      "the guest could not thaw (0x%08x); it is asked again", status);
	kvmb_timer_set(&v->timer, v->pause_ms);
	v->pause_ms = KVMB_MIN(v->pause_ms * 2, KVMB_VSS_RETRY_MAX_MS);
}

static void can_freeze(struct kvmb_vss *v)
{
	int err;

	vss_to(v, KVMB_VSS_FREEZING);
	err = send_op(v, KVMB_VSS_FREEZE);
	if (err) { /* its ring was empty a moment ago: a guest that plays */
		give_up_freeze(v, err);
		return;
	}
	kvmb_timer_set(&v->timer, KVMB_VSS_FREEZE_MS);
}

static void is_frozen(struct kvmb_vss *v)
{
	vss_to(v, KVMB_VSS_FROZEN);
	v->freezes++;
	kvmb_timer_set(&v->timer, KVMB_VSS_FROZEN_MS);
	tell_done(v, 0);
}

static void vss_reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	struct kvmb_vss *v = container_of(ic, struct kvmb_vss, ic);
	bool ok = msg->status == KVMB_IC_STATUS_OK;

	if (!v->sent || msg->transaction != v->expects)
		return; /* late, twice, or nobody's */
	v->sent = false;
	if (v->state == KVMB_VSS_CHECKING && ok)
		can_freeze(v);
	else if (v->state == KVMB_VSS_CHECKING)
		give_up_freeze(v, -EOPNOTSUPP);
	else if (v->state == KVMB_VSS_FREEZING && ok)
		is_frozen(v);
	else if (v->state == KVMB_VSS_FREEZING)
		give_up_freeze(v, -EIO);
	else if (v->state == KVMB_VSS_THAWING && !ok)
		thaw_refused(v, msg->status);
	else if (v->state == KVMB_VSS_THAWING)
		v->thaws++, end_thaw(v);
}

static void vss_timer(void *arg)
{
	struct kvmb_vss *v = arg;

	if (v->state == KVMB_VSS_CHECKING || v->state == KVMB_VSS_FREEZING) {
		give_up_freeze(v, -ETIMEDOUT);
	} else if (v->state == KVMB_VSS_FROZEN) {
		kvmb_warn(v->ic.ops->name, "the guest was frozen for too long, and is thawed");
		begin_thaw(v);
	} else if (v->state == KVMB_VSS_THAWING && !v->sent) {
		send_thaw(v);
	}
}

/* A channel of which we know nothing: what was owed on the last one is owed here. */
static void vss_ready(struct kvmb_ic *ic)
{
	struct kvmb_vss *v = container_of(ic, struct kvmb_vss, ic);

	if (v->state == KVMB_VSS_THAWING)
		send_thaw(v);
}

static void vss_stopped(struct kvmb_ic *ic)
{
	struct kvmb_vss *v = container_of(ic, struct kvmb_vss, ic);

	v->sent = false;
	if (v->state == KVMB_VSS_CHECKING || v->state == KVMB_VSS_FREEZING)
		give_up_freeze(v, -ECONNRESET);
	else if (v->state == KVMB_VSS_FROZEN)
		begin_thaw(v);
}

static void vss_resumed(struct kvmb_ic *ic)
{
	struct kvmb_vss *v = container_of(ic, struct kvmb_vss, ic);

	if (v->state == KVMB_VSS_THAWING && !v->sent)
		send_thaw(v);
}

static const u32 vss_versions[] = { KVMB_IC_VERSION(5, 0) };

static const struct kvmb_ic_ops vss_ops = {
	.name = "vss",
	.type = KVMB_VSS_TYPE_GUID,
	.instance = KVMB_VSS_INSTANCE_GUID,
	.message_type = KVMB_IC_VSS,
	.versions = vss_versions,
	.num_versions = ARRAY_SIZE(vss_versions),
	.ready = vss_ready,
	.reply = vss_reply,
	.stopped = vss_stopped,
	.resumed = vss_resumed,
};

void kvmb_vss_init(struct kvmb_vss *v, struct kvmb_loop *loop)
{
	memset(v, 0, sizeof(*v));
	kvmb_ic_init(&v->ic, &vss_ops);
	kvmb_timer_init(&v->timer, loop, vss_timer, v);
}

int kvmb_vss_freeze(struct kvmb_vss *v, void (*done)(void *arg, int err), void *arg)
{
	int err;

	if (v->ic.state != KVMB_IC_READY)
		return -ENOTCONN;
	if (v->state != KVMB_VSS_IDLE)
		return -EBUSY;
	vss_to(v, KVMB_VSS_CHECKING);
	err = send_op(v, KVMB_VSS_HOT_BACKUP);
	if (err) {
		vss_to(v, KVMB_VSS_IDLE);
		return err;
	}
	v->done = done;
	v->arg = arg;
	kvmb_timer_set(&v->timer, KVMB_VSS_CHECK_MS);
	return 0;
}

bool kvmb_vss_frozen(const struct kvmb_vss *v)
{
	return v->state == KVMB_VSS_FROZEN;
}

void kvmb_vss_thaw(struct kvmb_vss *v)
{
	v->done = NULL;
	if (v->state == KVMB_VSS_CHECKING) {
		kvmb_timer_cancel(&v->timer);
		vss_to(v, KVMB_VSS_IDLE);
	} else if (v->state == KVMB_VSS_FREEZING || v->state == KVMB_VSS_FROZEN) {
		kvmb_timer_cancel(&v->timer);
		begin_thaw(v);
	}
}

void kvmb_vss_fini(struct kvmb_vss *v)
{
	v->done = NULL;
	if (v->timer.fn)
		kvmb_timer_cancel(&v->timer);
}

void kvmb_vss_owe_thaw(struct kvmb_vss *v)
{
	if (v->state != KVMB_VSS_IDLE)
		return;
	vss_to(v, KVMB_VSS_THAWING);
	v->pause_ms = KVMB_VSS_RETRY_MS;
	v->thaw_since_ms = kvmb_now_ms();
}
