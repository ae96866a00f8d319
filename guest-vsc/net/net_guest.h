/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmb_net: shared by its files.
 *
 * DOC: Theory of operation
 *
 * A NIC has a queue a channel. A queue's interrupt only masks its ring and schedules NAPI, and
 * everything that the host sends is read there, by one reader: frames, completions of ours,
 * answers on the control path. Control requests are made by process context, one at a time, and
 * wait for their answer with a limit.
 *
 * Two large buffers are shared with the host. The receive buffer is the host's to write: a frame
 * is copied out of it once and the copy is checked; then the section is given back. The send
 * buffer is cut into sections: a small frame is copied there, so that nothing of the guest's
 * memory but the frame is shown; a large one is named by its pages.
 *
 * What changes the shape (MTU, queues, buffer sizes) takes the device down to its closed channel
 * and brings it up again; settings that the host knew are told again.
 *
 * A transaction id is a slot of the queue's table and a count of its uses: a completion that
 * names another is dropped and counted.
 */
#ifndef KVMB_NET_GUEST_H
#define KVMB_NET_GUEST_H

#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/u64_stats_sync.h>

#include "guest-vsc/bus/bus.h"
#include "vmbus-core/proto/net.h"
#include "vmbus-core/rndis.h"

#define NET_MAX_QUEUES 64u
#define NET_RING_PAGES 129u	     /* control page and 512 KiB, as stock guests */
#define NET_RECV_SIZE_DEFAULT (16u << 20)
#define NET_SEND_SIZE_DEFAULT (1u << 20)
#define NET_SLOTS 1024u		     /* frames that the host has, a queue */
#define NET_RX_BUF 4640u	     /* the longest packet: 562 ranges */
#define NET_MAX_RANGES 562u
#define NET_RSC_PARTS 64u	     /* of one coalesced frame */
#define NET_RESPONSE_MAX 4096u
#define NET_TABLE 128u		     /* RSS indirection, entries */
#define NET_KEY 40u
#define NET_MAX_MTU 65521u
#define NET_CONTROL_ID 0xfffffffffffffffeull /* no slot has it */
/* Of a control message by its own id: a late completion of one must not free the next. Slots have bit 63 clear */
#define NET_RNDIS_ID(id) (1ull << 63 | (id))
#define NET_NO_ANSWER 0xfffffffffffffffdull

#define NET_LINK_INTERVAL (2 * HZ) /* between two changes of the link that users see, as in-tree */

struct net_nic;

struct net_stats { /* a queue's, one writer each way */
	u64 tx_packets, tx_bytes, tx_copied, tx_full, tx_failed;
	u64 rx_packets, rx_bytes, rx_coalesced, rx_errors, rx_no_memory;
	u64 bad_ids;		/* completions of nothing */
	struct u64_stats_sync tx_sync, rx_sync;
};

struct net_slot { /* a frame that the host has */
	struct sk_buff *skb;	/* NULL: it was copied to a section */
	u32 section;		/* of the send buffer, KVMB_NVSP_NO_SECTION: none */
	u32 gen;		/* grows with each use */
	unsigned long sent;	/* bit 0: the host has it, or is about to; who clears it owns the rest */
};

struct net_queue {
	struct net_nic *nic;
	struct kvmb_chan *ch;
	unsigned int index;
	struct napi_struct napi;

	/* out; a ring of the numbers of free slots: net_data.c, take_slot() */
	u16 free[NET_SLOTS];
	u32 taken;		/* xmit, under the transmit lock of the queue */
	u32 given;		/* NAPI */
	bool shown;		/* xmit: the slot that was taken last has had its `sent` set */
	struct net_slot slots[NET_SLOTS];

	/* in; NAPI */
	struct {
		const u8 *data[NET_RSC_PARTS]; /* in the receive buffer, checked */
		u32 len[NET_RSC_PARTS];
		u32 num, total;
		struct kvmb_rndis_frame first; /* its info counts for all */
		bool open;
	} rsc;
	struct page_frag frag;	/* where large frames' bytes go */
	u64 *done;		/* done[done_size]: completions that the ring had no room for */
	u32 done_size, done_head, done_num;
	struct net_stats stats;
	u8 buf[NET_RX_BUF] __aligned(8);
};

struct net_config { /* what the user asked for; RTNL */
	u32 recv_size, send_size; /* bytes */
	u32 num_queues;
};

struct net_nic {
	struct kvmb_device *dev;
	struct net_device *ndev;
	struct net_config cfg;
	u32 version;		/* KVMB_NVSP_V* */
	u32 max_queues;		/* that the host can do */
	u32 num_queues;		/* open, the primary's included */
	u32 want_queues;	/* granted by the host, not all open yet */
	struct net_queue *queues[NET_MAX_QUEUES]; /* queues[num_queues] */
	wait_queue_head_t subs_wait;

	void *recv, *send;	/* vmalloc */
	struct kvmb_gpadl recv_gpadl, send_gpadl;
	bool recv_told, send_told;
	u32 recv_section, recv_num; /* bytes of a section; how many */
	u32 send_section, send_num;
	unsigned long *send_map; /* bitmap of sections in use */
	u32 tx_align;		/* of messages, bytes */

	/* control path: one at a time under ctl_lock, answered by the primary's NAPI */
	struct mutex ctl_lock;
	struct completion nvsp_done, rndis_sent, rndis_done;
	struct kvmb_wire_nvsp nvsp_answer;
	u32 nvsp_answer_len;
	u32 rndis_id;		/* of the request that waits, 0: none */
	bool rndis_up;		/* the host has agreed to RNDIS: there is something to halt */
	u32 response_len;
	u8 response[NET_RESPONSE_MAX];

	/* what the host told */
	struct kvmb_wire_ndis_offload caps;
	bool rsc_able;
	u32 speed_mbps;		/* 0: not told */
	atomic_long_t tx_dropped;
	u8 control[NET_RESPONSE_MAX + 64]; /* copy of a control message; the primary's NAPI */
	u16 send_table[KVMB_NVSP_TABLE_SIZE]; /* queue by hash */
	bool link, link_lost;	/* as it is; whether it was down since it was last shown */
	bool link_renewed;	/* others may have learnt another place for our address: tell them */
	bool speed_changed;
	unsigned long link_shown; /* jiffies of the last change that was shown: one in NET_LINK_INTERVAL */
	struct delayed_work link_work;
	struct work_struct filter_work;
	struct delayed_work sub_work;

	/* what the user set */
	u8 rss_key[NET_KEY];
	u16 rss_table[NET_TABLE];
	bool up;		/* ndo_open was called; RTNL */
	bool closing;		/* under chan_lock */
	bool sending;		/* frames may go out; cleared before the queues' locks are taken to stop them */
	u32 epoch;		/* of the start; RTNL */
	struct mutex chan_lock;	/* sub-channels that open against a stop */
};

/* net_nvsp.c */
int kvmb_net_start(struct net_nic *nic);
void kvmb_net_stop(struct net_nic *nic);
void kvmb_net_sub_work(struct work_struct *work);
int kvmb_net_send_rndis(struct net_nic *nic, void *msg, u32 len); /* a control message; ctl_lock */

/* net_rndis.c */
int kvmb_rndis_start(struct net_nic *nic);
void kvmb_rndis_query_speed(struct net_nic *nic);
void kvmb_rndis_halt(struct net_nic *nic);
int kvmb_rndis_set_filter(struct net_nic *nic, u32 filter);
int kvmb_rndis_set_offload(struct net_nic *nic, bool rsc);
int kvmb_rndis_set_rss(struct net_nic *nic);
int kvmb_rndis_set_mac(struct net_nic *nic, const u8 *mac);
void kvmb_rndis_received(struct net_nic *nic, const u8 *msg, u32 len);

/* net_data.c */
netdev_tx_t kvmb_net_xmit(struct sk_buff *skb, struct net_device *ndev);
void kvmb_net_tx_done(struct net_queue *q, u64 id, const struct kvmb_wire_nvsp *m, u32 len);
void kvmb_net_tx_abort(struct net_queue *q);
u32 kvmb_net_receive(struct net_queue *q, const struct kvmb_pkt *pkt);
bool kvmb_net_flush_done(struct net_queue *q);

/* net_ethtool.c */
extern const struct ethtool_ops kvmb_net_ethtool_ops;

/* net_drv.c */
int kvmb_net_restart(struct net_nic *nic, const struct net_config *cfg, u32 mtu);

#endif
