// SPDX-License-Identifier: GPL-2.0-only
/* Standing still and going on: bus_state.h explains. */
#include "host-vsp/bus/bus_state.h"

#include <unistd.h>

#include "host-vsp/bus/bus_priv.h"

static bool stands(const struct kvmb_chan *ch)
{
	switch (ch->state) {
	case KVMB_CHAN_HIDDEN:
	case KVMB_CHAN_OFFERED:
	case KVMB_CHAN_REVOKED:
		return true;
	case KVMB_CHAN_OPEN:
		/* without pause() it is on the bus thread, and looks at kvmb_bus_paused() */
		return ch->paused &&
		       (!ch->offer.ops->pause || __atomic_load_n(&ch->io_paused, __ATOMIC_ACQUIRE));
	default:
		return false;
	}
}

bool kvmb_bus_stands(const struct kvmb_bus *bus)
{
	const struct kvmb_chan *ch;

	if (bus->pause == KVMB_PAUSE_NONE || bus->state == KVMB_CONN_DISCONNECTING)
		return false;
	for (ch = bus->chans; ch; ch = ch->next) {
		if (!stands(ch))
			return false;
	}
	return true;
}

void kvmb_bus_pause_progress(struct kvmb_bus *bus)
{
	if (bus->pause != KVMB_PAUSE_ASKED || !kvmb_bus_stands(bus))
		return;
	bus->pause = KVMB_PAUSE_DONE;
	bus->pause_done(bus->pause_arg);
}

void kvmb_bus_pause(struct kvmb_bus *bus, void (*done)(void *arg), void *arg)
{
	struct kvmb_chan *ch;

	kvmb_assert(bus->pause == KVMB_PAUSE_NONE);
	bus->pause = KVMB_PAUSE_ASKED;
	bus->pause_done = done;
	bus->pause_arg = arg;
	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->state != KVMB_CHAN_OPEN)
			continue;
		ch->paused = true;
		/* what was said of an earlier pause; if that comes late, it stands all the same */
		__atomic_store_n(&ch->io_paused, 0, __ATOMIC_SEQ_CST);
		if (ch->offer.ops->pause)
			ch->offer.ops->pause(ch);
	}
	kvmb_bus_pause_progress(bus);
}

/*
 * It goes on here and nowhere else: rings are written to. Signals that nobody remembers are given
 * again, to both sides of each open channel.
 */
static void begin_loaded(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;
	u64 one = 1;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->state != KVMB_CHAN_OPEN)
			continue;
		kvmb_ring_announce(&ch->io.tx);
		kvmb_chan_signal(ch);
		if (write(ch->io.signal_fd, &one, sizeof(one)) < 0)
			continue; /* counter full: already readable */
	}
}

void kvmb_bus_begin_load(struct kvmb_bus *bus)
{
	kvmb_assert(bus->pause == KVMB_PAUSE_NONE && bus->state == KVMB_CONN_DISCONNECTED);
	bus->pause = KVMB_PAUSE_DONE;
	bus->loading = true;
}

void kvmb_bus_resume(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	kvmb_assert(bus->pause != KVMB_PAUSE_NONE);
	bus->pause = KVMB_PAUSE_NONE;
	if (bus->loading) /* first: counters of signals are the providers' once they go on */
		begin_loaded(bus);
	bus->loading = false;
	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->paused && ch->state == KVMB_CHAN_OPEN && ch->offer.ops->resume)
			ch->offer.ops->resume(ch);
		ch->paused = false;
	}
	kvmb_bus_old_events(bus);
	if (bus->sockets.resumed)
		bus->sockets.resumed(bus->sockets.arg);
	/* answers, messages and sub-channels that waited */
	kvmb_loop_post(bus->cfg.loop, &bus->tx_work);
	kvmb_loop_post(bus->cfg.loop, &bus->rx_work);
	kvmb_loop_post(bus->cfg.loop, &bus->chan_work);
}

bool kvmb_bus_paused(const struct kvmb_bus *bus)
{
	return bus->pause != KVMB_PAUSE_NONE;
}

bool kvmb_chan_starts_paused(const struct kvmb_chan *ch)
{
	return ch->paused;
}
