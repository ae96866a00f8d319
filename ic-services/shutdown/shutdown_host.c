// SPDX-License-Identifier: GPL-2.0-only
/* Shutdown, host half. */
#include "ic-services/shutdown/shutdown_host.h"

#include "lib/util.h"
#include "vmbus-core/ictext.h"
#include "vmbus-core/proto/ic.h"

static void ready(struct kvmb_ic *ic)
{
	(void)ic; /* nothing to say until the administrator asks */
}

static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	struct kvmb_shutdown *s = container_of(ic, struct kvmb_shutdown, ic);

	if (!s->asked || msg->transaction != ic->transaction)
		return; /* the second answer, or that to a request that was given up */
	s->asked = false;
	s->status = msg->status;
	s->answered(s->arg, msg->status);
}

static void stopped(struct kvmb_ic *ic)
{
	container_of(ic, struct kvmb_shutdown, ic)->asked = false;
}

static const u32 versions[] = { KVMB_IC_VERSION(1, 0), KVMB_IC_VERSION(3, 0), KVMB_IC_VERSION(3, 1),
				KVMB_IC_VERSION(3, 2) };

static const struct kvmb_ic_ops shutdown_ops = {
	.name = "shutdown",
	.type = KVMB_SHUTDOWN_TYPE_GUID,
	.instance = KVMB_SHUTDOWN_INSTANCE_GUID,
	.message_type = KVMB_IC_SHUTDOWN,
	.versions = versions,
	.num_versions = ARRAY_SIZE(versions),
	.ready = ready,
	.reply = reply,
	.stopped = stopped,
};

void kvmb_shutdown_init(struct kvmb_shutdown *s, void (*answered)(void *arg, u32 status), void *arg)
{
	kvmb_ic_init(&s->ic, &shutdown_ops);
	s->answered = answered;
	s->arg = arg;
}

/* UTF-16LE, with a 0 at the end. */
static int put_message(struct kvmb_wire_shutdown *m, const char *text)
{
	int n = kvmb_ictext_put(text, (u32)strlen(text), m->message, sizeof(m->message));

	return n == -ENOSPC ? -E2BIG : KVMB_MIN(n, 0);
}

int kvmb_shutdown_ask(struct kvmb_shutdown *s, u32 flags, u32 timeout_s, const char *text)
{
	struct kvmb_wire_shutdown m = {
		.reason = cpu_to_le32(KVMB_SHUTDOWN_REASON_PLANNED),
		.timeout_s = cpu_to_le32(timeout_s),
		.flags = cpu_to_le32(flags),
	};
	int err = put_message(&m, text ? text : "kvmbus");

	if (err)
		return err;
	if (s->ic.state == KVMB_IC_READY && flags & KVMB_SHUTDOWN_HIBERNATE &&
	    s->ic.message < KVMB_IC_VERSION(3, 2))
		return -EOPNOTSUPP;
	if (s->asked && kvmb_now_ms() - s->asked_ms < KVMB_SHUTDOWN_ANSWER_MS)
		return -EAGAIN;
	s->ic.waiting = false; /* given up: its answer is no answer to this one */
	err = kvmb_ic_request(&s->ic, &m, sizeof(m), true);
	if (err)
		return err;
	s->asked = true;
	s->asked_ms = kvmb_now_ms();
	s->flags = flags;
	return 0;
}

int kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s)
{
	return kvmb_shutdown_ask(s, reboot ? KVMB_SHUTDOWN_RESTART : 0, timeout_s, NULL);
}
