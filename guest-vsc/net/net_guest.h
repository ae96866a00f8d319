/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvmb_net: the header that its files share.
 *
 * DOC: Theory of operation
 *
 * A NIC has one queue per channel. A queue's interrupt only masks its ring and schedules NAPI. NAPI
 * is the only reader of everything that the host sends: frames, completions of our frames, answers
 * on the control path. Control requests come from process context, one at a time, and wait for
 * their answer with a limit.
 *
 * Two large buffers are shared with the host. The host writes to the receive buffer: we copy a
 * frame out of it once, check the copy, and give the section back. The send buffer consists of
 * sections: a small frame is copied there, so that the host sees nothing of the guest's memory but
 * the frame; a large frame is named by its pages.
 *
 * A change of MTU, queues or buffer sizes takes the device down to its closed channel and brings it
 * up again; then the host gets all settings again.
 *
 * A transaction id consists of a slot of the queue's table and a count of its uses. A completion
 * with any other id is dropped and counted.
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
#define NET_SLOTS 1024u		     /* frames of a queue that the host may have */
#define NET_RX_BUF 4640u	     /* the longest packet: 562 ranges */
#define NET_MAX_RANGES 562u
#define NET_HELD 32768u		     /* bytes of packets that wait for a poll with a budget */
#define NET_UNSHOWN_MAX 32u	     /* frames before the host is shown them, though more come */
#define NET_RSC_PARTS 64u	     /* of one coalesced frame */
#define NET_RESPONSE_MAX 4096u
#define NET_TABLE 128u		     /* RSS indirection, entries */
#define NET_KEY 40u
#define NET_MAX_MTU 65521u
#define NET_CONTROL_ID 0xfffffffffffffffeull /* no slot has it */
/*
 * Of a control message by its own id: a late completion of one must not free the next. Slots have
 * bit 63 clear
 */
#define NET_RNDIS_ID(id) (1ull << 63 | (id))
#define NET_NO_ANSWER 0xfffffffffffffffdull

/* seconds for an answer while the NIC runs: RTNL is held */
#define NET_REQUEST_S (KVMB_WAIT_S < 10 ? KVMB_WAIT_S : 10)
#define NET_STOP_S NET_REQUEST_S     /* for all that a stop asks of the host */
#define NET_STOP_PATIENCE (NET_STOP_S * KVMB_WAIT_SLICES / 2) /* of it, for RNDIS */
#define NET_SPEED_INTERVAL (10 * HZ) /* between two questions for the speed of the link */
#define NET_SPEED_PAUSE (600 * HZ)   /* after one that was not answered */
#define NET_LINK_INTERVAL (2 * HZ) /* between two changes of the link that users see, as in-tree */

struct net_nic;

/*
 * Counters of a queue. Sender and poller are often on two CPUs, so each writes its own cache
 * lines.
 */
struct net_stats {
	struct { /* xmit */
		u64 tx_packets, tx_bytes, tx_copied, tx_full;
		struct u64_stats_sync tx_sync;
	} ____cacheline_aligned_in_smp;
	struct { /* NAPI */
		u64 rx_packets, rx_bytes, rx_coalesced, rx_errors, rx_no_memory;
		u64 tx_failed;
		u64 bad_ids; /* completions of nothing */
		struct u64_stats_sync rx_sync;
	} ____cacheline_aligned_in_smp;
};

struct net_slot { /* a frame that the host has, or may have */
	struct sk_buff *skb;	/* NULL: it was copied to a section */
	u32 section;		/* of the send buffer, KVMB_NVSP_NO_SECTION: none */
	u32 use;		/* NET_SENT, a count of uses; clearing NET_SENT takes ownership */
};
#define NET_SENT 1u /* the host has it, or is about to */

/*
 * Fields that xmit writes, fields that NAPI writes and constant fields are on separate cache lines.
 * Both write only what they hand over: a slot, and its number in `free`.
 */
struct net_queue {
	struct net_nic *nic;
	struct kvmb_chan *ch;
	unsigned int index;

	/* out: xmit, under the transmit lock of the queue; net_data.c, take_slot() */
	u32 taken ____cacheline_aligned_in_smp; /* slots */
	u32 seen;		/* `given`, as it was when we last had to look */
	u32 unshown;		/* packets that the host has not been shown yet */
	bool shown;		/* the slot that was taken last has had its NET_SENT set */

	/* out: NAPI */
	u32 given ____cacheline_aligned_in_smp; /* slots */
	bool freed;		/* since it last looked whether the queue can be woken */

	/* out: both */
	u16 free[NET_SLOTS] ____cacheline_aligned_in_smp; /* a ring of the numbers of free slots */
	struct net_slot slots[NET_SLOTS] ____cacheline_aligned_in_smp;

	/* in: NAPI */
	struct napi_struct napi ____cacheline_aligned_in_smp;
	struct {
		const u8 *data[NET_RSC_PARTS]; /* in the receive buffer, checked */
		u32 len[NET_RSC_PARTS];
		u32 num, total;
		struct kvmb_rndis_frame first; /* its info counts for all */
		bool open;
	} rsc;
	struct page_frag frag;	/* where large frames' bytes go */
	u64 *done;		/* done[done_size]: completions that are still to be sent */
	u32 done_size, done_head, done_num;
	u32 held_len, held_at; /* packets that a poll without budget read and left, net_nvsp.c */
	u8 buf[NET_RX_BUF] __aligned(8);
	u8 held[NET_HELD] __aligned(8); /* held[held_len] */
	struct net_stats stats;
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
	bool opening;		/* sub_work is not through yet; RTNL */
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
	unsigned int patience;	/* for the answer to a request, slices of a wait; RTNL */
	/*
	 * held by NAPI from the look at an id to its completion: no answer to one request is taken
	 * for the next that begins meanwhile
	 */
	spinlock_t answer_lock;
	u32 rndis_id;		/* of the last request, 0: none; under answer_lock */
	bool rndis_up;		/* the host has agreed to RNDIS: there is something to halt */
	u32 response_len;
	u8 response[NET_RESPONSE_MAX];

	/* as reported by the host */
	struct kvmb_wire_ndis_offload caps;
	bool rsc_able;
	u32 speed_mbps;		/* 0: not told */
	atomic_long_t tx_dropped;
	u8 control[NET_RESPONSE_MAX + 64]; /* copy of a control message; the primary's NAPI */
	u16 send_table[KVMB_NVSP_TABLE_SIZE]; /* queue by hash */
	bool link, link_lost;	/* as it is; whether it was down since it was last shown */
	bool link_renewed;	/* others may know another place for our address: tell them */
	unsigned long speed_next; /* jiffies: not asked before */
	unsigned long link_shown; /* when a change was last, jiffies: one in NET_LINK_INTERVAL */
	struct delayed_work link_work, speed_work;
	struct work_struct filter_work, mtu_work;
	struct delayed_work sub_work;

	/* as set by the user */
	u8 rss_key[NET_KEY];
	u16 rss_table[NET_TABLE];
	bool up;		/* ndo_open was called; RTNL */
	bool closing;		/* under chan_lock */
	bool sending;		/* frames may go out; cleared before the queues' locks are taken */
	u32 epoch;		/* of the start; written under RTNL */
	struct mutex chan_lock;	/* sub-channels that open against a stop */
};

/* net_nvsp.c */

/**
 * kvmb_net_start() - Open the primary, agree on versions, share the buffers, start RNDIS
 * @nic: stopped
 *
 * Further queues follow later (kvmb_net_sub_work()).
 *
 * Return: 0; or -errno, and the NIC is stopped again. Context: RTNL, may sleep.
 */
int kvmb_net_start(struct net_nic *nic);

/**
 * kvmb_net_stop() - Take everything back from the host and close all channels
 * @nic: started or not
 *
 * All steps together take NET_STOP_S; what the host has not released by then is leaked.
 *
 * Context: RTNL, may sleep.
 */
void kvmb_net_stop(struct net_nic *nic);

/** kvmb_net_num_queues() - Queues that are open, or will be when all of them open. RTNL. */
u32 kvmb_net_num_queues(const struct net_nic *nic);

/** kvmb_net_sub_work() - The work sub_work: ask for sub-channels and use them. Takes RTNL. */
void kvmb_net_sub_work(struct work_struct *work);

/**
 * kvmb_net_send_rndis() - Send a control message by its pages
 * @nic: started
 * @msg: msg[len], on at most two pages; the host may read it until it completes the packet
 * @len: bytes
 *
 * Return: 0; -EMSGSIZE; else as kvmb_send(). Context: ctl_lock.
 */
int kvmb_net_send_rndis(struct net_nic *nic, void *msg, u32 len);

/* net_rndis.c; requests sleep, at most as long as nic->patience says */

/**
 * kvmb_rndis_start() - Start the RNDIS device and read its properties
 * @nic: has its buffers
 *
 * Return: 0; -EPROTO when the host's answers make no sense; -ETIMEDOUT. Context: RTNL.
 */
int kvmb_rndis_start(struct net_nic *nic);

/** kvmb_rndis_query_speed() - Ask for the link's speed; 0 when the host does not say. RTNL. */
void kvmb_rndis_query_speed(struct net_nic *nic);

/** kvmb_rndis_halt() - Stop frames and the RNDIS device, if it was started. RTNL. */
void kvmb_rndis_halt(struct net_nic *nic);

/** kvmb_rndis_set_filter() - Set KVMB_FILTER_*. Return: 0 or -errno. May sleep. */
int kvmb_rndis_set_filter(struct net_nic *nic, u32 filter);

/** kvmb_rndis_set_offload() - Enable what the host offers; RSC as @rsc. Return: 0 or -errno. */
int kvmb_rndis_set_offload(struct net_nic *nic, bool rsc);

/** kvmb_rndis_set_rss() - Send the RSS table and key. Return: 0 or -errno. RTNL. */
int kvmb_rndis_set_rss(struct net_nic *nic);

/** kvmb_rndis_set_mac() - Ask the host to use mac[6]. Return: 0 or -errno. RTNL. */
int kvmb_rndis_set_mac(struct net_nic *nic, const u8 *mac);

/**
 * kvmb_rndis_received() - Serve a control message: an answer, or an indication
 * @nic: the NIC
 * @msg: msg[len], private copy
 * @len: bytes
 *
 * Context: NAPI of the primary. Trust: @msg is host-controlled.
 */
void kvmb_rndis_received(struct net_nic *nic, const u8 *msg, u32 len);

/* net_data.c */

/** kvmb_net_xmit() - ndo_start_xmit. Context: the queue's transmit lock. */
netdev_tx_t kvmb_net_xmit(struct sk_buff *skb, struct net_device *ndev);

/**
 * kvmb_net_tx_done() - The host has completed a frame
 * @q:      its queue
 * @id:     transaction id, hostile
 * @m:      private copy of the completion
 * @len:    its bytes, hostile
 * @budget: of NAPI; 0 in netpoll
 *
 * Context: NAPI of the queue, or a poll without budget.
 */
void kvmb_net_tx_done(struct net_queue *q, u64 id, const struct kvmb_wire_nvsp *m, u32 len,
		      int budget);

/** kvmb_net_tx_wake() - Wake the queue if completions have made room. Context: NAPI. */
void kvmb_net_tx_wake(struct net_queue *q);

/** kvmb_net_tx_abort() - Free all frames of a closed channel: the host has none of them. */
void kvmb_net_tx_abort(struct net_queue *q);

/**
 * kvmb_net_receive() - Deliver the frames of one packet to the stack
 * @q:   the queue
 * @pkt: private copy
 *
 * Return: number of frames. Context: NAPI. Trust: @pkt and the receive buffer are host-controlled.
 */
u32 kvmb_net_receive(struct net_queue *q, const struct kvmb_pkt *pkt);

/** kvmb_net_flush_done() - Give sections back to the host. Return: true if none is left. NAPI. */
bool kvmb_net_flush_done(struct net_queue *q);

/* net_ethtool.c */
extern const struct ethtool_ops kvmb_net_ethtool_ops;

/* net_drv.c */

/**
 * kvmb_net_restart() - Change MTU, queues or buffer sizes: stop and start
 * @nic: the NIC
 * @cfg: new configuration
 * @mtu: new MTU
 *
 * If the host refuses, the NIC starts again with the old values.
 *
 * Return: 0; -errno of the host's refusal. Context: RTNL, may sleep.
 */
int kvmb_net_restart(struct net_nic *nic, const struct net_config *cfg, u32 mtu);

#endif
