/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Make a bus and its providers stand still; save and load the bus.
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
 *
 * What is saved is what was agreed with the guest, and what waits: the connection, messages both
 * ways, page lists, channels with their numbers. Rings are not: they lie in guest memory, and
 * continue at the indices found there. Devices are not: a channel is found again by the type and
 * instance of its offer, so a process that loads is built with the same devices. Channels that
 * were open are opened as if the guest asked, with the same checks. One that was revoked is made
 * without its device, which is gone, until the guest gives its number back. So is one whose
 * provider is transient (vsp.h), and a RESCIND of it stands behind the messages that wait. A
 * device that the guest has not heard of is offered when the bus goes on.
 *
 * A signal that was given and not yet seen is lost with the old process. So kvmb_bus_resume()
 * signals each open channel once after a load, both ways.
 */
#ifndef KVMB_BUS_STATE_H
#define KVMB_BUS_STATE_H

#include "host-vsp/bus/bus.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

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

/** kvmb_bus_save() - Write the section KVMB_SEC_BUS of a bus that stands. Bus thread. */
void kvmb_bus_save(struct kvmb_bus *bus, struct kvmb_tlv_out *o);

/**
 * kvmb_bus_begin_load() - Stand still, to be loaded
 * @bus: new, with its devices, and no guest has run
 *
 * kvmb_bus_resume() ends it.
 */
void kvmb_bus_begin_load(struct kvmb_bus *bus);

/**
 * kvmb_bus_load() - Take over a saved guest
 * @bus: after kvmb_bus_begin_load(); guest memory and the devices' own sections are loaded
 * @t:   the section
 *
 * Nothing is written to guest memory before kvmb_bus_resume(): until then the guest may go on where
 * it was, in the same memory (vmm/upgrade_out.h).
 *
 * Return: 0; -errno, and @t->error says why: the bus may be reset and destroyed, not resumed.
 * Context: bus thread. Trust: everything in @t is hostile.
 */
int kvmb_bus_load(struct kvmb_bus *bus, struct kvmb_tlv *t);

#endif
