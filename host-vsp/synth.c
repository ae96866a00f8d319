// SPDX-License-Identifier: GPL-2.0-only
/* What synthetic keyboard, mouse and video share: synth.h. */
#include "host-vsp/synth.h"

#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "vmbus-core/proto/video.h"

#define MESSAGE_MAX 512u /* of what we send: bytes with its headers */

static const char *const state_names[] = { "no guest driver", "negotiating", "negotiating", "ready",
					   "failed" };
static_assert(ARRAY_SIZE(state_names) == KVMB_SYNTH_NUM_STATES, "one name a state");

#define TO(s) (1 << KVMB_SYNTH_##s)
static const u8 moves[KVMB_SYNTH_NUM_STATES] = {
	[KVMB_SYNTH_CLOSED] = TO(NEGOTIATING),
	[KVMB_SYNTH_NEGOTIATING] = TO(DESCRIBED) | TO(READY) | TO(FAILED) | TO(CLOSED),
	[KVMB_SYNTH_DESCRIBED] = TO(READY) | TO(FAILED) | TO(CLOSED),
	[KVMB_SYNTH_READY] = TO(NEGOTIATING) | TO(FAILED) | TO(CLOSED),
	[KVMB_SYNTH_FAILED] = TO(CLOSED),
};

void kvmb_synth_move(struct kvmb_synth *s, enum kvmb_synth_state to)
{
	if (to == s->state)
		return;
	kvmb_assert(moves[s->state] & (1 << to));
	s->state = to;
}

const char *kvmb_synth_state_name(const struct kvmb_synth *s)
{
	return state_names[s->state];
}

void kvmb_synth_failed(struct kvmb_loop_chan *c)
{
	struct kvmb_synth *s = container_of(c, struct kvmb_synth, chan);

	s->version = 0;
	kvmb_synth_move(s, KVMB_SYNTH_FAILED);
	s->ops->stopped(s);
}

/* ---- messages ---- */

const char *kvmb_synth_complete(struct kvmb_synth *s, const struct kvmb_pkt *pkt)
{
	if (!(pkt->flags & KVMB_PKT_FLAG_COMPLETE))
		return NULL;
	return kvmb_loop_chan_send(&s->chan, KVMB_PKT_COMPLETION, pkt->trans_id, NULL, 0) ?
		       "its ring is corrupt" :
		       NULL;
}

const char *kvmb_synth_parse(struct kvmb_synth *s, const struct kvmb_pkt *pkt,
			     struct kvmb_synth_msg *m)
{
	struct kvmb_wire_pipe_msg h;
	u32 bytes;

	if (pkt->type != KVMB_PKT_INBAND || pkt->payload_len < sizeof(h))
		return "a packet is no message";
	memcpy(&h, pkt->payload, sizeof(h));
	bytes = le32_to_cpu(h.pipe_size);
	if (le32_to_cpu(h.pipe_type) != KVMB_PIPE_DATA || bytes < 8 || bytes > pkt->payload_len - 8)
		return "a message is malformed";
	if (le32_to_cpu(h.size) > bytes)
		return "a message is longer than its packet";
	m->type = le32_to_cpu(h.type);
	m->body = pkt->payload + sizeof(h);
	m->len = bytes - 8;
	return kvmb_synth_complete(s, pkt);
}

int kvmb_synth_say(struct kvmb_synth *s, u32 type, const void *body, u32 len, u32 size)
{
	u8 buf[MESSAGE_MAX];
	struct kvmb_wire_pipe_msg h = { .pipe_type = cpu_to_le32(KVMB_PIPE_DATA),
					.pipe_size = cpu_to_le32(len + 8),
					.type = cpu_to_le32(type),
					.size = cpu_to_le32(size) };

	kvmb_assert(len <= sizeof(buf) - sizeof(h));
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), body, len);
	return kvmb_loop_chan_send(&s->chan, KVMB_PKT_INBAND, 0, buf, (u32)sizeof(h) + len);
}

/* ---- a channel's life ---- */

static int synth_open(struct kvmb_chan *ch)
{
	struct kvmb_synth *s = kvmb_chan_dev(ch);
	int err = kvmb_loop_chan_open(&s->chan, ch, &s->ops->chan);

	if (err)
		return err;
	s->version = 0;
	s->fresh = kvmb_chan_starts_paused(ch);
	kvmb_synth_move(s, KVMB_SYNTH_NEGOTIATING);
	return 0;
}

static void synth_close(struct kvmb_chan *ch)
{
	struct kvmb_synth *s = kvmb_chan_dev(ch);

	kvmb_synth_move(s, KVMB_SYNTH_CLOSED);
	s->fresh = false;
	s->ops->stopped(s);
	kvmb_loop_chan_close(&s->chan);
}

static void synth_resume(struct kvmb_chan *ch)
{
	struct kvmb_synth *s = kvmb_chan_dev(ch);

	s->fresh = false;
	if (s->chan.watch)
		kvmb_loop_chan_look(&s->chan);
}

static const struct kvmb_vsp_ops synth_vsp_ops = {
	.name = "synth",
	.open = synth_open,
	.close = synth_close,
	.resume = synth_resume,
};

void kvmb_synth_init(struct kvmb_synth *s, const struct kvmb_synth_ops *ops)
{
	*s = (struct kvmb_synth){ .ops = ops };
}

int kvmb_synth_offer(struct kvmb_synth *s, struct kvmb_bus *bus)
{
	struct kvmb_offer offer = {
		.type = s->ops->type,
		.instance = s->ops->instance,
		.flags = KVMB_OFFER_ENUMERATE | KVMB_OFFER_NAMED_PIPE,
		.mmio_megabytes = s->ops->mmio_megabytes,
		.pipe_mode = KVMB_PIPE_MODE_MESSAGE,
		.name = s->ops->name,
		.ops = &synth_vsp_ops,
		.dev = s,
	};

	return kvmb_bus_offer(bus, &offer, NULL);
}

/* ---- saving ---- */

void kvmb_synth_save(const struct kvmb_synth *s, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, KVMB_SYNTH_STATE, s->state);
	kvmb_tlv_put(o, KVMB_SYNTH_VERSION, s->version);
}

void kvmb_synth_load(struct kvmb_synth *s, struct kvmb_tlv *t, bool (*known)(u32 version))
{
	u32 state = (u32)kvmb_tlv_get(t, KVMB_SYNTH_STATE, KVMB_SYNTH_NUM_STATES - 1);
	u32 version = (u32)kvmb_tlv_get(t, KVMB_SYNTH_VERSION, UINT32_MAX);

	if ((state == KVMB_SYNTH_CLOSED) != !s->chan.ch)
		kvmb_tlv_refuse(t, KVMB_SYNTH_STATE, "it does not fit to that of the channel");
	if (state == KVMB_SYNTH_DESCRIBED && !s->ops->describes)
		kvmb_tlv_refuse(t, KVMB_SYNTH_STATE, "no such state");
	if ((state == KVMB_SYNTH_READY || state == KVMB_SYNTH_DESCRIBED) ? !known(version) :
									   version != 0)
		kvmb_tlv_refuse(t, KVMB_SYNTH_VERSION, "no such version");
	if (s->chan.ch && !s->fresh)
		kvmb_tlv_refuse(t, KVMB_SYNTH_STATE, "it comes too late, or twice");
	if (t->error->err)
		return;
	s->fresh = false;
	s->version = version;
	kvmb_synth_move(s, (enum kvmb_synth_state)state);
	if (state == KVMB_SYNTH_FAILED)
		kvmb_loop_chan_mute(&s->chan);
}
