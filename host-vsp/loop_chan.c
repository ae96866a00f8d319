// SPDX-License-Identifier: GPL-2.0-only
/* Channels that are served on the bus thread: loop_chan.h. */
#include "host-vsp/loop_chan.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/util.h"

#define BUDGET 64 /* packets per turn: no guest can monopolise the main thread */

static bool bus_stands(const struct kvmb_loop_chan *c)
{
	return kvmb_bus_paused(kvmb_chan_bus(c->ch));
}

bool kvmb_loop_chan_runs(const struct kvmb_loop_chan *c)
{
	return c->watch && !bus_stands(c);
}

u32 kvmb_loop_chan_unread(const struct kvmb_loop_chan *c)
{
	return kvmb_ring_used(&kvmb_chan_io(c->ch)->tx, true);
}

void kvmb_loop_chan_mute(struct kvmb_loop_chan *c)
{
	kvmb_loop_del(c->watch);
	c->watch = NULL;
}

void kvmb_loop_chan_hush(struct kvmb_loop_chan *c)
{
	kvmb_ring_mask(&kvmb_chan_io(c->ch)->rx);
}

void kvmb_loop_chan_fail(struct kvmb_loop_chan *c, const char *why, int err)
{
	kvmb_chan_fail(c->ch, why, err);
	kvmb_loop_chan_mute(c);
	if (c->ops->failed)
		c->ops->failed(c);
}

/* Ask to be told of room for @bytes. Return: true: it is there already. */
static bool want_room(struct kvmb_loop_chan *c, u32 bytes)
{
	bool there = kvmb_ring_want(&kvmb_chan_io(c->ch)->tx, bytes);

	c->wants = !there && bytes;
	return there;
}

bool kvmb_loop_chan_want(struct kvmb_loop_chan *c, u32 unread)
{
	return want_room(c, kvmb_chan_io(c->ch)->tx.size - unread);
}

int kvmb_loop_chan_send(struct kvmb_loop_chan *c, u16 type, u64 id, const void *payload, u32 len)
{
	struct kvmb_chan_io *io = kvmb_chan_io(c->ch);
	int err = kvmb_ring_put(&io->tx, type, 0, id, NULL, 0, payload, len);

	if (err == -EAGAIN && want_room(c, KVMB_MAX(len, 1u)))
		err = kvmb_ring_put(&io->tx, type, 0, id, NULL, 0, payload, len);
	if (!err && kvmb_chan_publish(c->ch) < 0)
		err = -EPROTO;
	if (err)
		return err;
	io->stats.packets_out++;
	kvmb_chan_signal(c->ch);
	return 0;
}

/* Return: false: the answers to a packet may not fit. We are told when they do. */
static bool has_room(struct kvmb_loop_chan *c)
{
	struct kvmb_ring *tx = &kvmb_chan_io(c->ch)->tx;
	u32 need = c->ops->answer_room;

	if (!need || tx->size - kvmb_ring_used(tx, true) > need)
		return true;
	return want_room(c, need);
}

/* Take what there is, and tell the guest how far we have read. Return: 0; -errno. */
static int drain(struct kvmb_loop_chan *c)
{
	struct kvmb_chan_io *io = kvmb_chan_io(c->ch);
	struct kvmb_pkt pkt;
	const char *why;
	int err = 0, n;

	for (n = 0; n < BUDGET && has_room(c); n++) {
		err = kvmb_ring_peek(&io->rx, c->buf, c->ops->packet_max, &pkt);
		if (err)
			break;
		io->stats.packets_in++;
		kvmb_ring_skip(&io->rx, &pkt);
		why = c->ops->packet(c, &pkt);
		if (why)
			kvmb_loop_chan_fail(c, why, -EPROTO);
		if (!c->watch)
			return 0; /* the rings are the guest's */
	}
	if (err && err != -EAGAIN)
		return err;
	err = kvmb_ring_release(&io->rx);
	if (err > 0)
		kvmb_chan_signal(c->ch);
	return KVMB_MIN(err, 0);
}

void kvmb_loop_chan_look(struct kvmb_loop_chan *c)
{
	struct kvmb_chan_io *io = kvmb_chan_io(c->ch);
	u64 one = 1;
	int err;

	if (c->wants)
		want_room(c, 0);
	if (c->ops->room)
		c->ops->room(c);
	if (!c->watch)
		return;
	err = drain(c);
	if (!c->watch)
		return;
	if (err) {
		kvmb_loop_chan_fail(c, "its ring is corrupt", err);
		return;
	}
	/*
	 * what came before our read index was visible came without a signal; others have their turn
	 * first. Without room for answers we wait for the guest
	 */
	if (kvmb_ring_unmask(&io->rx) && has_room(c) && write(io->signal_fd, &one, sizeof(one)) < 0)
		return; /* it is readable anyway */
}

static void on_signal(void *arg, uint32_t events)
{
	struct kvmb_loop_chan *c = arg;
	struct kvmb_chan_io *io = kvmb_chan_io(c->ch);
	u64 n;

	(void)events;
	if (read(io->signal_fd, &n, sizeof(n)) < 0)
		return;
	io->stats.wakes++;
	if (!bus_stands(c)) /* else resume() looks */
		kvmb_loop_chan_look(c);
}

int kvmb_loop_chan_open(struct kvmb_loop_chan *c, struct kvmb_chan *ch,
			const struct kvmb_loop_chan_ops *ops)
{
	kvmb_assert(!c->ch && ops->answer_room <= KVMB_PAGE_SIZE / 2);
	c->watch = kvmb_loop_add(kvmb_bus_loop(kvmb_chan_bus(ch)), kvmb_chan_io(ch)->signal_fd,
				 EPOLLIN, on_signal, c);
	if (!c->watch)
		return -ENOMEM;
	c->buf = kvmb_xzalloc(ops->packet_max);
	c->ops = ops;
	c->ch = ch;
	return 0;
}

void kvmb_loop_chan_drop(struct kvmb_loop_chan *c)
{
	kvmb_loop_chan_mute(c);
	free(c->buf);
	*c = (struct kvmb_loop_chan){ 0 };
}

void kvmb_loop_chan_close(struct kvmb_loop_chan *c)
{
	struct kvmb_chan *ch = c->ch;

	kvmb_loop_chan_drop(c);
	kvmb_chan_closed(ch);
}
