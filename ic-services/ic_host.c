// SPDX-License-Identifier: GPL-2.0-only
/* Host half of the integration services: the part that all of them share. */
#include "ic-services/ic_host.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"

#define BUDGET 64 /* packets per turn: no guest can monopolise the main thread */

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
	return state_names[ic->state];
}

static int send_packet(struct kvmb_ic *ic, const void *buf, u32 len)
{
	struct kvmb_chan_io *io = kvmb_chan_io(ic->ch);
	int err;

	err = kvmb_ring_put(&io->tx, KVMB_PKT_INBAND, 0, 0, NULL, 0, buf, len);
	if (!err && kvmb_chan_publish(ic->ch) < 0)
		err = -EPROTO;
	if (err)
		return err;
	io->stats.packets_out++;
	kvmb_chan_signal(ic->ch); /* always: see the theory of operation */
	return 0;
}

static void give_up(struct kvmb_ic *ic, const char *why, int err)
{
	set_state(ic, KVMB_IC_REFUSED);
	kvmb_chan_fail(ic->ch, why, err);
	kvmb_loop_del(ic->watch);
	ic->watch = NULL;
}

static void on_packet(struct kvmb_ic *ic, const struct kvmb_pkt *pkt)
{
	struct kvmb_icmsg msg;
	int err;

	if (pkt->type != KVMB_PKT_INBAND ||
	    kvmb_icmsg_parse(pkt->payload, pkt->payload_len, &msg)) {
		give_up(ic, "a message is malformed", -EPROTO);
		return;
	}
	if (msg.type == KVMB_IC_NEGOTIATE && ic->state == KVMB_IC_NEGOTIATING) {
		err = kvmb_icmsg_parse_negotiated(&msg, &ic->framework, &ic->message);
		if (err) {
			give_up(ic, "no common version", err);
			return;
		}
		set_state(ic, KVMB_IC_READY);
		kvmb_dbg(kvmb_chan_name(ic->ch), "version %u.%u", ic->message >> 16,
			 ic->message & 0xffff);
		ic->ops->ready(ic);
	} else if (msg.type == ic->ops->message_type && ic->state == KVMB_IC_READY &&
		   msg.flags & KVMB_IC_F_RESPONSE) {
		ic->waiting = false;
		ic->ops->reply(ic, &msg);
	} else {
		kvmb_chan_io(ic->ch)->stats.errors++; /* unasked-for: ignored, counted */
	}
}

/* Take what there is, and tell the guest how far we have read. Return: packets; -errno. */
static int drain(struct kvmb_ic *ic, struct kvmb_chan_io *io)
{
	u8 buf[KVMB_IC_PACKET_MAX] __attribute__((aligned(8)));
	struct kvmb_pkt pkt;
	int err, n = 0;

	while (!(err = kvmb_ring_peek(&io->rx, buf, sizeof(buf), &pkt))) {
		n++;
		io->stats.packets_in++;
		kvmb_ring_skip(&io->rx, &pkt);
		on_packet(ic, &pkt);
		if (!ic->watch)
			return n; /* given up */
		if (n == BUDGET)
			break;
	}
	if (err && err != -EAGAIN)
		return err;
	err = kvmb_ring_release(&io->rx);
	if (err > 0)
		kvmb_chan_signal(ic->ch);
	return err < 0 ? err : n;
}

static bool bus_stands(const struct kvmb_ic *ic)
{
	return kvmb_bus_paused(kvmb_chan_bus(ic->ch));
}

static void look_at_ring(struct kvmb_ic *ic)
{
	struct kvmb_chan_io *io = kvmb_chan_io(ic->ch);
	u64 one = 1;
	int taken = drain(ic, io);

	if (!ic->watch)
		return;
	if (taken < 0) {
		give_up(ic, "its ring is corrupt", taken);
		return;
	}
	/*
	 * what came before our read index was visible came without a signal; others have their turn
	 * first
	 */
	if (kvmb_ring_unmask(&io->rx) && write(io->signal_fd, &one, sizeof(one)) < 0)
		return; /* it is readable anyway */
}

static void on_signal(void *arg, uint32_t events)
{
	struct kvmb_ic *ic = arg;
	struct kvmb_chan_io *io = kvmb_chan_io(ic->ch);
	u64 n;

	(void)events;
	if (read(io->signal_fd, &n, sizeof(n)) < 0)
		return;
	io->stats.wakes++;
	if (!bus_stands(ic)) /* else ic_resume() looks */
		look_at_ring(ic);
}

static int send_versions(struct kvmb_ic *ic)
{
	static const u32 frameworks[] = { KVMB_IC_FW_1, KVMB_IC_FW_3 };
	u8 buf[256];
	u32 len = kvmb_icmsg_build_negotiate(buf, frameworks, ARRAY_SIZE(frameworks),
					     ic->ops->versions, ic->ops->num_versions);

	return send_packet(ic, buf, len);
}

static int ic_open(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);
	int err;

	ic->ch = ch;
	ic->waiting = false;
	ic->watch = kvmb_loop_add(kvmb_bus_loop(kvmb_chan_bus(ch)), kvmb_chan_io(ch)->signal_fd,
				  EPOLLIN, on_signal, ic);
	if (!ic->watch)
		return -ENOMEM;
	set_state(ic, KVMB_IC_NEGOTIATING);
	ic->unasked = kvmb_chan_starts_paused(ch);
	err = ic->unasked ? 0 : send_versions(ic);
	if (err) {
		kvmb_loop_del(ic->watch);
		ic->watch = NULL;
		set_state(ic, KVMB_IC_CLOSED);
	}
	return err;
}

static void ic_close(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);

	kvmb_loop_del(ic->watch);
	ic->watch = NULL;
	set_state(ic, KVMB_IC_CLOSED);
	ic->ops->stopped(ic);
	ic->ch = NULL;
	kvmb_chan_closed(ch);
}

static void ic_resume(struct kvmb_chan *ch)
{
	struct kvmb_ic *ic = kvmb_chan_dev(ch);
	int err;

	if (!ic->watch)
		return; /* given up */
	if (ic->unasked) {
		ic->unasked = false;
		err = send_versions(ic);
		if (err) {
			give_up(ic, "its ring is corrupt", err);
			return;
		}
	}
	look_at_ring(ic);
	if (ic->state == KVMB_IC_READY && ic->ops->resumed)
		ic->ops->resumed(ic);
}

void kvmb_ic_go_on(struct kvmb_ic *ic, enum kvmb_ic_state state)
{
	ic->unasked = false;
	if (state == ic->state)
		return;
	set_state(ic, state);
	if (state != KVMB_IC_REFUSED)
		return;
	kvmb_loop_del(ic->watch);
	ic->watch = NULL;
}

static const struct kvmb_vsp_ops ic_vsp_ops = {
	.name = "ic",
	.open = ic_open,
	.close = ic_close,
	.resume = ic_resume,
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

	return kvmb_bus_offer(bus, &offer, NULL);
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
	if ((ic->waiting && reply) || bus_stands(ic))
		return -EAGAIN;
	kvmb_assert(len <= sizeof(buf) - sizeof(struct kvmb_wire_icmsg));
	msg.transaction = ++ic->transaction;
	err = send_packet(ic, buf, kvmb_icmsg_build(buf, &msg));
	if (!err && reply)
		ic->waiting = true;
	return err;
}
