// SPDX-License-Identifier: GPL-2.0-only
/* Shutdown, host half. */
#include "ic-services/shutdown/shutdown_host.h"

#include "lib/util.h"
#include "vmbus-core/proto/ic.h"

static void ready(struct kvmb_ic *ic)
{
	(void)ic; /* nothing to say until the administrator asks */
}

static void reply(struct kvmb_ic *ic, const struct kvmb_icmsg *msg)
{
	struct kvmb_shutdown *s = container_of(ic, struct kvmb_shutdown, ic);

	if (!s->asked)
		return;
	s->asked = false;
	s->answered(s->arg, msg->status);
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
	.stopped = ready,
};

void kvmb_shutdown_init(struct kvmb_shutdown *s, void (*answered)(void *arg, u32 status), void *arg)
{
	kvmb_ic_init(&s->ic, &shutdown_ops);
	s->answered = answered;
	s->arg = arg;
}

int kvmb_shutdown_request(struct kvmb_shutdown *s, bool reboot, u32 timeout_s)
{
	static const u16 text[] = { 'k', 'v', 'm', 'b', 'u', 's' };
	struct kvmb_wire_shutdown m = {
		.reason = cpu_to_le32(KVMB_SHUTDOWN_REASON_PLANNED),
		.timeout_s = cpu_to_le32(timeout_s),
		.flags = cpu_to_le32(reboot ? KVMB_SHUTDOWN_RESTART : 0),
	};
	int err;

	memcpy(m.message, text, sizeof(text));
	err = kvmb_ic_request(&s->ic, &m, sizeof(m), true);
	if (!err)
		s->asked = true;
	return err;
}
