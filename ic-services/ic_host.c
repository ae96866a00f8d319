// SPDX-License-Identifier: GPL-2.0-only
/* Host half of the integration services: the part that all of them share. */
#include "ic-services/ic_host.h"

#include "lib/log.h"
#include "lib/util.h"

static const char *const state_names[] = { "no guest driver", "negotiating", "ready", "refused" };
static_assert(ARRAY_SIZE(state_names) == KVMB_IC_NUM_STATES, "one name a state");

static const u8 moves[KVMB_IC_NUM_STATES] = {
	[KVMB_IC_CLOSED] = 1 << KVMB_IC_NEGOTIATING,
	[KVMB_IC_NEGOTIATING] = 1 << KVMB_IC_READY | 1 << KVMB_IC_REFUSED | 1 << KVMB_IC_CLOSED,
	[KVMB_IC_READY] = 1 << KVMB_IC_REFUSED | 1 << KVMB_IC_CLOSED,
	[KVMB_IC_REFUSED] = 1 << KVMB_IC_CLOSED,
};

static void set_state(struct kvmb_ic *ic, enum kvmb_ic_state to)
{
	kvmb_assert(moves[ic->state] & (1 << to));
	ic->state = to;
}

const char *kvmb_ic_state_name(const struct kvmb_ic *ic)
{
	return ic->leaving && ic->state == KVMB_IC_CLOSED ? "leaving" : state_names[ic->state];
}

/* Versions are sorted, best last. */
static u32 num_offered(const struct kvmb_ic *ic, u32 max)
{
	u32 n = ic->ops->num_versions;

	while (max && n && ic->ops->versions[n - 1] > max)
		n--;
	return n;
}

bool kvmb_ic_knows(const struct kvmb_ic *ic, u32 message)
{
	u32 i;

	for (i = 0; i < num_offered(ic, ic->max); i++) {
		if (ic->ops->versions[i] == message)
			return true;
	}
	return false;
}

int kvmb_ic_limit(struct kvmb_ic *ic, u32 max)
{
	if (!num_offered(ic, max))
		return -EINVAL;
	ic->max = max;
	return 0;
}

static int send_packet(struct kvmb_ic *ic, const void *buf, u32 len)
{
	return kvmb_loop_chan_send(&ic->chan, KVMB_PKT_INBAND, 0, buf, len);
}

void kvmb_ic_hush(struct kvmb_ic *ic)
{
	if (kvmb_loop_chan_runs(&ic->chan))
		kvmb_loop_chan_hush(&ic->chan);
}

void kvmb_ic_look(struct kvmb_ic *ic)
{
	if (kvmb_loop_chan_runs(&ic->chan))
		kvmb_loop_chan_look(&ic->chan);
}

static const char *on_packet(struct kvmb_loop_chan *c, const struct kvmb_pkt *pkt)
{
	struct kvmb_ic *ic = container_of(c, struct kvmb_ic, chan);
	struct kvmb_icmsg msg;

	if (pkt->type != KVMB_PKT_INBAND || kvmb_icmsg_parse(pkt->payload, pkt->payload_len, &msg))
		return "a message is malformed";
	if (msg.type == KVMB_IC_NEGOTIATE && ic->state == KVMB_IC_NEGOTIATING) {
		if (kvmb_icmsg_parse_negotiated(&msg, &ic->framework, &ic->message))
			return "no common version";
		if (!kvmb_ic_knows(ic, ic->message))
			return "it chose a version that was not offered";
		ic->contact_ms = kvmb_now_ms();
		set_state(ic, KVMB_IC_READY);
		kvmb_dbg(kvmb_chan_name(c->ch), "version %u.%u", ic->message >> 16,
			 ic->message & 0xffff);
		ic->ops->ready(ic);
	} else if (msg.type == ic->ops->message_type && ic->state == KVMB_IC_READY &&
		   msg.flags & KVMB_IC_F_RESPONSE) {
		ic->waiting = false;
		ic->contact_ms = kvmb_now_ms();
		ic->ops->reply(ic, &msg);
	} else {
		kvmb_chan_io(c->ch)->stats.errors++; /* unasked-for: ignored, counted */
	}
	return NULL;
}

static void on_failed(struct kvmb_loop_chan *c)
{
	set_state(container_of(c, struct kvmb_ic, chan), KVMB_IC_REFUSED);
}

static const struct kvmb_loop_chan_ops chan_ops = { .packet_max = KVMB_IC_PACKET_MAX,
						    .packet = on_packet,
						    .failed = on_failed };

static int send_versions(struct kvmb_ic *ic)
{
	static const u32 frameworks[] = { KVMB_IC_FW_1, KVMB_IC_FW_3 };
	u8 buf[256];
	u32 len = kvmb_icmsg_build_negotiate(buf, frameworks, ARRAY_SIZE(frameworks),
					     ic->ops->versions, num_offered(ic, ic->max));

	return send_packet(ic, buf, len);
}

static int ic_open(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);
	int err = kvmb_loop_chan_open(&ic->chan, ch, &chan_ops);

	if (err)
		return err;
	ic->waiting = false;
	set_state(ic, KVMB_IC_NEGOTIATING);
	ic->unasked = kvmb_chan_starts_paused(ch);
	err = ic->unasked ? 0 : send_versions(ic);
	if (err) {
		kvmb_loop_chan_drop(&ic->chan);
		set_state(ic, KVMB_IC_CLOSED);
	}
	return err;
}

static void ic_close(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);

	set_state(ic, KVMB_IC_CLOSED);
	ic->ops->stopped(ic);
	kvmb_loop_chan_close(&ic->chan);
}

static void ic_resume(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);
	int err;

	if (!ic->chan.watch)
		return; /* given up */
	if (ic->unasked) {
		ic->unasked = false;
		err = send_versions(ic);
		if (err) {
			kvmb_loop_chan_fail(&ic->chan, "its ring is corrupt", err);
			return;
		}
	}
	kvmb_loop_chan_look(&ic->chan);
	if (ic->state == KVMB_IC_READY && ic->ops->resumed)
		ic->ops->resumed(ic);
}

void kvmb_ic_go_on(struct kvmb_ic *ic, enum kvmb_ic_state state)
{
	ic->unasked = false;
	if (state == ic->state)
		return;
	set_state(ic, state);
	if (state == KVMB_IC_REFUSED)
		kvmb_loop_chan_mute(&ic->chan);
}

/* Of a reset guest, too. */
static void ic_released(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);

	if (!--ic->leaving && ic->left)
		ic->left(ic->left_arg);
}

static const struct kvmb_vsp_ops ic_vsp_ops = {
	.name = "ic",
	.open = ic_open,
	.close = ic_close,
	.resume = ic_resume,
	.released = ic_released,
};

void kvmb_ic_init(struct kvmb_ic *ic, const struct kvmb_ic_ops *ops)
{
	memset(ic, 0, sizeof(*ic));
	ic->ops = ops;
}

int kvmb_ic_offer(struct kvmb_ic *ic, struct kvmb_bus *bus)
{
	struct kvmb_offer offer = {
		.type = ic->ops->type,
		.instance = ic->ops->instance,
		.flags = KVMB_OFFER_ENUMERATE | KVMB_OFFER_NAMED_PIPE,
		.pipe_mode = KVMB_PIPE_MODE_MESSAGE,
		.name = ic->ops->name,
		.ops = &ic_vsp_ops,
		.dev = ic,
	};

	return ic->primary ? 0 : kvmb_bus_offer(bus, &offer, &ic->primary);
}

void kvmb_ic_revoke(struct kvmb_ic *ic)
{
	struct kvmb_chan *ch = ic->primary;

	ic->primary = NULL;
	if (!ch)
		return;
	ic->leaving++;
	kvmb_bus_revoke(ch);
}

int kvmb_ic_request(struct kvmb_ic *ic, const void *payload, u32 len, bool reply)
{
	u8 buf[KVMB_IC_PACKET_MAX];
	struct kvmb_icmsg msg = {
		.type = ic->ops->message_type,
		.framework = ic->framework,
		.message = ic->message,
		.flags = KVMB_IC_F_TRANSACTION | KVMB_IC_F_REQUEST,
		.payload = payload,
		.size = len,
	};
	int err;

	if (ic->state != KVMB_IC_READY)
		return -ENOTCONN;
	if ((ic->waiting && reply) || !kvmb_loop_chan_runs(&ic->chan))
		return -EAGAIN;
	kvmb_assert(len <= sizeof(buf) - sizeof(struct kvmb_wire_icmsg));
	msg.transaction = ++ic->transaction;
	err = send_packet(ic, buf, kvmb_icmsg_build(buf, &msg));
	if (!err && reply)
		ic->waiting = true;
	return err;
}
