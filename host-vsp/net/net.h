/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The synthetic NIC (netvsp): create, offer, change, remove, statistics.
 *
 * DOC: NICs and their twins
 *
 * A NIC of a machine with firmware may have an emulated twin (vmm/legacy_nic.h): the same cable,
 * address and backend, and one of the two has them at a time. The twin has them from power-on. When
 * the guest's driver has initialised RNDIS and sets a packet filter, which is when it begins to
 * take frames, the primary channel's worker takes the backend away before it answers: with every
 * queue's lock held, so that no queue is in the middle of something, and the twin waits for
 * nothing (let_go()). When the primary channel has been closed, by the guest, a reset, a crash or
 * another kernel, the twin gets it back. A filter that is set to zero changes nothing: the driver
 * is still there. A guest that takes the twin for a VF of its synthetic NIC, as Linux did up to
 * 2018, says so by switching the data path, and has what it wants: docs/protocol.md#6.17.
 * kvmb_net_backend.path says whose it is, and both sides assert it.
 */
#ifndef KVMB_NET_H
#define KVMB_NET_H

#include "backend/net/backend.h"
#include "host-vsp/bus/bus.h"

#define KVMB_NET_MTU_MIN 68u	/* IPv4's */
#define KVMB_NET_MTU_DEFAULT 1500u
#define KVMB_NET_MTU_MAX 9000u

struct kvmb_net;

struct kvmb_net_spec {
	unsigned int index;	 /* determines the instance GUID and the name "net<index>" */
	u8 mac[6];
	u32 mtu;		 /* largest that the guest may set */
	unsigned int max_queues; /* that the guest can use: its CPUs; the backend may have fewer */
	/* access VLAN 1..4094: tagged outside, untagged for the guest; 0 = trunk */
	u16 vlan;
	bool mac_spoof;		 /* the guest may send from any address, and change its own */
	u64 rate;		 /* bytes per second in each direction, 0 = no limit */
};

/* Why frames were dropped. */
enum kvmb_net_drop {
	KVMB_DROP_MALFORMED, /* RNDIS or offload marks that make no sense */
	KVMB_DROP_SPOOFED,   /* out: from an address that is not the NIC's */
	KVMB_DROP_VLAN,	     /* a VLAN that is not the NIC's */
	KVMB_DROP_SIZE,	     /* shorter than a header, longer than the MTU allows */
	KVMB_DROP_LINK,	     /* out: the link is down or the network is gone */
	KVMB_DROP_BACKEND,   /* out: the backend refused it or was full */
	KVMB_DROP_FILTERED,  /* in: excluded by the guest's packet filter */
	KVMB_DROP_NUM
};
extern const char *const kvmb_net_drop_names[KVMB_DROP_NUM];

struct kvmb_net_stats { /* of a queue; frames and bytes as the guest sees them */
	u64 tx_frames, tx_bytes;
	u64 rx_frames, rx_bytes;
	u64 tx_segmented;  /* frames out with segmentation offload (LSO) */
	u64 tx_csum;	   /* frames out with checksum offload */
	u64 rx_coalesced;  /* frames in that were coalesced (RSC) */
	u64 rx_packets;	   /* ring packets that carried rx_frames */
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
	const char *problem;	   /* why the backend is gone; "" = not known, or it is there */
	u32 nvsp_version;	   /* 0 = not up */
	bool rsc, rss;		   /* coalesced frames go in; the guest set an RSS table */
	bool offered;		   /* the guest may have it as a synthetic NIC */
	bool emulated;		   /* its twin has the network now */
	struct kvmb_guid instance; /* of its offer */
};

/**
 * kvmb_net_create() - Make a NIC
 * @spec:    copied
 * @backend: owned from now on
 * @loop:    of the bus thread
 *
 * Return: never NULL. Context: bus thread, as for all functions here.
 */
struct kvmb_net *kvmb_net_create(const struct kvmb_net_spec *spec, struct kvmb_net_backend *backend,
				 struct kvmb_loop *loop);

struct kvmb_net_twin { /* the emulated NIC; see above. None may wait for a thread of the guest's */
	void (*use)(void *arg);	   /* the backend is there, and yours. With the primary's lock */
	void (*let_go)(void *arg); /* when it returns, you touch it no more. Any thread */
	/* Send a frame of the host's own, untagged, if you have the backend. Bus thread. */
	void (*announce)(void *arg, const void *frame, size_t len);
};

/**
 * kvmb_net_set_twin() - Share the NIC's backend with an emulated one, which has it to begin with
 * @n:    no channel was opened yet
 * @twin: must outlive the NIC, or NULL: there is none any more, and none had it. Then @n is at rest
 * @arg:  passed to @twin
 */
void kvmb_net_set_twin(struct kvmb_net *n, const struct kvmb_net_twin *twin, void *arg);

/** kvmb_net_twin_lost() - The twin has found that the backend has ended. Any thread. */
void kvmb_net_twin_lost(struct kvmb_net *n);

/** kvmb_net_offer() - Offer it on @bus. Return: as kvmb_bus_offer(). */
int kvmb_net_offer(struct kvmb_net *n, struct kvmb_bus *bus);

/**
 * kvmb_net_remove() - Remove it from the guest, even under traffic
 * @n:    the NIC
 * @done: called on the bus thread when nothing uses the NIC any more; destroy it then
 * @arg:  of @done
 */
void kvmb_net_remove(struct kvmb_net *n, void (*done)(void *arg, struct kvmb_net *n), void *arg);

/**
 * kvmb_net_guest_stands() - The VM is paused, or goes on
 *
 * A removal waits for the guest to see its cable pulled, which takes time in which it runs. Main
 * thread.
 */
void kvmb_net_guest_stands(struct kvmb_net *n, bool stands);

/** kvmb_net_destroy() - Free the NIC and its backend; its channels are at rest. NULL is fine. */
void kvmb_net_destroy(struct kvmb_net *n);

/** kvmb_net_set_link() - Set the link up or down, and report that to the guest. */
void kvmb_net_set_link(struct kvmb_net *n, bool up);

/**
 * kvmb_net_announce() - Tell the network that the NIC is here now
 * @n: one that has just been loaded, and goes on
 *
 * Sends a few frames from the guest's address within a second, so that switches learn where it is.
 * Does nothing for passt, or as long as the guest is not up or its link is down.
 */
void kvmb_net_announce(struct kvmb_net *n);

/**
 * kvmb_net_set_mtu() - Change the largest MTU; the guest sees it when it next starts the NIC
 * @n:   the NIC
 * @mtu: KVMB_NET_MTU_MIN .. KVMB_NET_MTU_MAX
 *
 * The host's interface is not touched: that is for who may.
 *
 * Return: 0; -EINVAL.
 */
int kvmb_net_set_mtu(struct kvmb_net *n, u32 mtu);

/** kvmb_net_backend() - What its frames go to; borrowed, its queues' descriptors, too. */
const struct kvmb_net_backend *kvmb_net_backend(const struct kvmb_net *n);

/** kvmb_net_shared_backend() - The same, for the twin: calls of it in use() .. let_go() only. */
struct kvmb_net_backend *kvmb_net_shared_backend(struct kvmb_net *n);

/** kvmb_net_get_info() - Copy what `kvmbus nic list` shows to @i; strings are borrowed. */
void kvmb_net_get_info(struct kvmb_net *n, struct kvmb_net_info *i);

/** kvmb_net_queue_stats() - Return: false when there is no such queue. */
bool kvmb_net_queue_stats(struct kvmb_net *n, unsigned int queue, struct kvmb_net_stats *st);

/** kvmb_net_get_stats() - The sums over all queues. */
void kvmb_net_get_stats(struct kvmb_net *n, struct kvmb_net_stats *st);

#endif
