/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Make a bus and its providers stand still, to save their state.
 *
 * DOC: Theory of operation
 *
 * A pause takes no message of the guest any more: they wait in the queue. It asks the provider of
 * each open channel to stand still (vsp.h), and waits for channels that close, are revoked or
 * released, and for a disconnect that is under way. In the end every channel is hidden, offered,
 * revoked, or open with a provider that touches neither ring nor guest memory, and the bus itself
 * sends no message: nobody but vCPUs changes guest memory.
 *
 * The VM may be reset or end while its bus stands: channels close as ever.
 */
#ifndef KVMB_BUS_STATE_H
#define KVMB_BUS_STATE_H

#include "host-vsp/bus/bus.h"

/**
 * kvmb_bus_pause() - Stand still
 * @bus:  a bus that runs
 * @done: called once on the bus thread when it stands, unless kvmb_bus_resume() comes first
 * @arg:  of @done
 *
 * How long it takes depends on the backends: what they have in hand is waited for.
 *
 * Context: bus thread; @done may be called before this returns, and may not destroy the bus.
 */
void kvmb_bus_pause(struct kvmb_bus *bus, void (*done)(void *arg), void *arg);

/** kvmb_bus_resume() - Go on after kvmb_bus_pause(), also before it is done. Bus thread. */
void kvmb_bus_resume(struct kvmb_bus *bus);

/**
 * kvmb_bus_stands() - Do all stand still right now?
 *
 * False again when a channel closes after the pause was done, as long as its provider is not off
 * the rings. Context: bus thread.
 */
bool kvmb_bus_stands(const struct kvmb_bus *bus);

#endif
