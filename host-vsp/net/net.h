/* SPDX-License-Identifier: GPL-2.0-only */
/* The synthetic NIC (netvsp): create, offer, statistics. */
#ifndef KVMB_NET_H
#define KVMB_NET_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/net/backend.h"

struct kvmb_net;

struct kvmb_net_stats { /* frames and bytes as the guest sees them */
	u64 tx_frames, tx_bytes, tx_dropped;
	u64 rx_frames, rx_bytes, rx_dropped;
};

/**
 * kvmb_net_create() - A NIC
 * @index:   number of the NIC, fixes the instance GUID and the name "net<index>"
 * @mac:     mac[6]
 * @backend: owned from now on
 */
struct kvmb_net *kvmb_net_create(unsigned int index, const u8 *mac,
				 struct kvmb_net_backend *backend);
int kvmb_net_offer(struct kvmb_net *n, struct kvmb_bus *bus);
void kvmb_net_destroy(struct kvmb_net *n); /* its channel is at rest */
void kvmb_net_get_stats(struct kvmb_net *n, struct kvmb_net_stats *st);
const u8 *kvmb_net_mac(const struct kvmb_net *n);
const char *kvmb_net_kind(const struct kvmb_net *n);

#endif
