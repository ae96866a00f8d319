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

/* ---- text ---- */

/* The next code point of @*p, checked. Return: -EILSEQ. */
static s32 next_char(const u8 **p)
{
	static const u32 least[] = { 0, 0x80, 0x800, 0x10000 };
	const u8 *b = *p;
	u32 c, i, more = *b < 0x80 ? 0 : *b >= 0xf0 ? 3 : *b >= 0xe0 ? 2 : 1;

	if (*b >= 0xf8 || (*b >= 0x80 && *b < 0xc0))
		return -EILSEQ;
	c = more ? *b & (0x3fu >> more) : *b;
	for (i = 1; i <= more; i++) {
		if ((b[i] & 0xc0) != 0x80) /* the end of the text, too */
			return -EILSEQ;
		c = c << 6 | (b[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -EILSEQ;
	*p = b + more + 1;
	return (s32)c;
}

/* UTF-16LE, with a 0 at the end. */
static int put_message(struct kvmb_wire_shutdown *m, const char *text)
{
	const u8 *p = (const u8 *)text;
	__le16 units[2];
	size_t at = 0, n;
	s32 c;

	while (*p) {
		c = next_char(&p);
		if (c < 0)
			return c;
		n = c >= 0x10000 ? 2 : 1;
		units[0] = cpu_to_le16((u16)(n == 2 ? 0xd800 + ((c - 0x10000) >> 10) : c));
		units[1] = cpu_to_le16((u16)(0xdc00 + ((c - 0x10000) & 0x3ff)));
		if (at + (n + 1) * 2 > sizeof(m->message))
			return -E2BIG;
		memcpy(m->message + at, units, n * 2);
		at += n * 2;
	}
	return 0;
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
