/* SPDX-License-Identifier: GPL-2.0-only */
/* The synthetic NIC (netvsp): create, offer, change, statistics. */
#ifndef KVMB_NET_H
#define KVMB_NET_H

#include "backend/net/backend.h"
#include "host-vsp/bus/bus.h"

#define KVMB_NET_MTU_MIN 68u	/* IPv4's */
#define KVMB_NET_MTU_DEFAULT 1500u
#define KVMB_NET_MTU_MAX 9000u

struct kvmb_net;

struct kvmb_net_spec {
	unsigned int index;	 /* fixes the instance GUID and the name "net<index>" */
	u8 mac[6];
	u32 mtu;		 /* largest that the guest may set */
	unsigned int max_queues; /* of use to the guest: its CPUs; the backend may have fewer */
	u16 vlan;		 /* access VLAN 1..4094: tagged outside, untagged for the guest; 0 = trunk */
	bool mac_spoof;		 /* the guest may send from any address, and change its own */
	u64 rate;		 /* bytes a second each way, 0 = no limit */
};

/* Why frames were dropped. */
enum kvmb_net_drop {
	KVMB_DROP_MALFORMED, /* RNDIS or offload marks that contradict themselves */
	KVMB_DROP_SPOOFED,   /* out: from an address that is not the NIC's */
	KVMB_DROP_VLAN,	     /* a VLAN that is not the NIC's */
	KVMB_DROP_SIZE,	     /* shorter than a header, longer than the MTU allows */
	KVMB_DROP_LINK,	     /* out: the link is down or the network is gone */
	KVMB_DROP_BACKEND,   /* out: the backend refused it or was full */
	KVMB_DROP_FILTERED,  /* in: not what the guest's packet filter asks for */
	KVMB_DROP_NUM
};
extern const char *const kvmb_net_drop_names[KVMB_DROP_NUM];

struct kvmb_net_stats { /* of a queue; frames and bytes as the guest sees them */
	u64 tx_frames, tx_bytes;
	u64 rx_frames, rx_bytes;
	u64 tx_segmented;  /* frames out that were left to be cut (LSO) */
	u64 tx_csum;	   /* frames out whose checksum was left to do */
	u64 rx_coalesced;  /* frames in that stand for several (RSC) */
	u64 rx_packets;	   /* ring packets that brought rx_frames */
	u64 backend_calls; /* system calls that moved frames or looked for some */
	u64 tx_dropped[KVMB_DROP_NUM], rx_dropped[KVMB_DROP_NUM];
	u64 signals, wakes; /* of the channel that the queue has, or had last */
	bool open;
};

struct kvmb_net_info {
	unsigned int index;
	const char *kind, *detail; /* of the backend */
	u8 mac[6];		   /* in use */
	u32 mtu, guest_mtu;	   /* limit; what the guest has set, 0 = not up */
	unsigned int num_queues, open_queues;
	u16 vlan;
	bool link, mac_spoof, connected; /* connected: the backend is there */
	u64 rate;
	u32 restarts;		   /* of the backend */
	const char *problem;	   /* why the backend is not there, "" = nothing is known or nothing is wrong */
	u32 nvsp_version;	   /* 0 = not up */
	bool rsc, rss;		   /* coalesced frames go in; the guest set an RSS table */
};

/**
 * kvmb_net_create() - A NIC
 * @spec:    copied
 * @backend: owned from now on
 * @loop:    of the bus thread
 * Never NULL. Context: bus thread, as all functions here.
 */
struct kvmb_net *kvmb_net_create(const struct kvmb_net_spec *spec, struct kvmb_net_backend *backend,
				 struct kvmb_loop *loop);

/** kvmb_net_offer() - Show it to the guest. Return: as kvmb_bus_offer(). */
int kvmb_net_offer(struct kvmb_net *n, struct kvmb_bus *bus);

/**
 * kvmb_net_remove() - Take it from the guest, under traffic too
 * @done: called when nothing uses the NIC any more; destroy it then
 */
void kvmb_net_remove(struct kvmb_net *n, void (*done)(void *arg, struct kvmb_net *n), void *arg);

void kvmb_net_destroy(struct kvmb_net *n); /* its channels are at rest; NULL is fine */

/** kvmb_net_set_link() - Plug the cable in or out; the guest is told. */
void kvmb_net_set_link(struct kvmb_net *n, bool up);

/**
 * kvmb_net_set_mtu() - Change the largest MTU; the guest learns it when it next starts the NIC
 * Return: 0; -errno when the host's interface refuses it.
 */
int kvmb_net_set_mtu(struct kvmb_net *n, u32 mtu);

void kvmb_net_get_info(struct kvmb_net *n, struct kvmb_net_info *i);

/** kvmb_net_queue_stats() - Return: false when there is no such queue. */
bool kvmb_net_queue_stats(struct kvmb_net *n, unsigned int queue, struct kvmb_net_stats *st);

/** kvmb_net_get_stats() - All queues together. */
void kvmb_net_get_stats(struct kvmb_net *n, struct kvmb_net_stats *st);

#endif
