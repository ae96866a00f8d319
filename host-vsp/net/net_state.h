/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a NIC, for another process: docs/migration.md.
 *
 * DOC: Theory of operation
 *
 * What the guest has agreed with the NIC is in the NIC's own section, and so is which sections of
 * the receive buffer the guest still holds. What a queue has in hand (free sections, an answer or a
 * completion that waits) is in the channel's group of the bus's section. Sections are named one by
 * one, never as links, so nothing that is read can be a loop, and none is taken twice.
 *
 * The NIC is loaded first. It keeps the handles of the guest's two buffers; when the bus has its
 * page lists again and loads the NIC's primary channel, that takes the references.
 *
 * Frames that wait in a backend are lost, as on a wire, and so are counters.
 */
#ifndef KVMB_NET_STATE_H
#define KVMB_NET_STATE_H

#include "host-vsp/net/net.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

/** kvmb_net_save() - Write the NIC's section; its bus stands. Bus thread. */
void kvmb_net_save(struct kvmb_net *n, struct kvmb_tlv_out *o);

/**
 * kvmb_net_load() - Take over what another process has saved
 * @n: just offered, with the same index, address and VLAN; its bus is paused and not loaded yet
 * @t: the section
 *
 * Return: 0; -errno, and @t's error says why: destroy the NIC. Context: bus thread. Trust: all of
 * @t is hostile.
 */
int kvmb_net_load(struct kvmb_net *n, struct kvmb_tlv *t);

/**
 * kvmb_net_load_owner() - The NIC had the network when it was saved, not its twin
 * @n: has a twin; before kvmb_net_load()
 *
 * Context: bus thread.
 */
void kvmb_net_load_owner(struct kvmb_net *n);

/**
 * kvmb_net_is_leaving() - Was it being removed when it was saved?
 *
 * Then call kvmb_net_remove() before the bus goes on, lest it be offered anew. Bus thread.
 */
bool kvmb_net_is_leaving(const struct kvmb_net *n);

#endif
