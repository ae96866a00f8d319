/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Private to net/.
 *
 * DOC: Theory of operation
 *
 * A NIC has up to num_queues channels. Each has its own worker, which owns the channel's two rings
 * and the backend's queue of the same number. Everything on a frame's way belongs to one queue: no
 * lock and no counter is shared.
 *
 * State that the queues share (the guest's two buffers, addresses, filters, versions) is written
 * only by the primary channel's worker or the bus thread, with every queue's lock held. A worker
 * holds its own queue's lock for a turn, so the buffers stay the same for the whole turn, and
 * whoever removes a buffer knows that nobody is using it. Otherwise the lock is not contended.
 * Order: bus thread and primary take the locks by rising number; no other worker holds two.
 *
 * A busy worker releases its lock and takes it again at once; with a plain mutex it could do so
 * forever and starve the others. So everybody else announces that it waits and takes the lock
 * through the slot's gate, one after the other. The worker then ends its turn after the current
 * packet or frame, and goes through the gate as well; when nobody waits it need not.
 *
 * A receive section belongs to one queue at a time: the primary starts with all of them, and gives
 * each sub-channel its share when that is opened.
 */
#ifndef KVMB_NET_PRIV_H
#define KVMB_NET_PRIV_H

#include <pthread.h>

#include "backend/throttle.h"
#include "host-vsp/net/net.h"
#include "host-vsp/net/net_offload.h"
#include "host-vsp/tuner.h"
#include "host-vsp/worker.h"
#include "vmbus-core/proto/net.h"
#include "vmbus-core/rndis.h"

#define KVMB_RNDIS_REPLY_MAX 1024u
#define KVMB_RNDIS_REQUEST_MAX 4096u
#define KVMB_RNDIS_MULTICAST_MAX 32u
#define KVMB_RNDIS_PACKETS_MAX 8u /* data messages in one packet; announced to the guest */

#define NET_ETH_LEN 14u
#define NET_VLAN_LEN 4u
#define NET_HEAD_ROOM \
	(NET_ETH_LEN + NET_VLAN_LEN) /* of a received frame, filtered in a private copy */
#define NET_SEND_SECTION 6144u	     /* Hyper-V's size */
#define NET_FRAME_MAX 65550u	     /* 64 KiB less 1 of IP behind an Ethernet header */
#define NET_RX_HEAD KVMB_RNDIS_HEAD_MAX /* in front of a frame in its first section */
#define NET_RX_RANGES 64u	     /* of a transfer-page packet; Linux takes 562 */
#define NET_RX_PARTS 40u	     /* iovecs of one received frame */
#define NET_NO_SECTION 0xffffu
#define NET_NO_OWNER 0xffu /* of a section, while a saved NIC is loaded */
#define NET_SECTION_MAX \
	16384u /* bytes of a section: coalesced frames in 4 to 5 parts instead of 17 */
#define NET_BOUNCE_SIZE (NET_FRAME_MAX + NET_SECTION_MAX) /* a frame and the rest of a section */
#define NET_MAX_IOV 130
#define NET_TX_HEADS 64u	     /* frames between two commits */

/* ---- RNDIS: the device that the guest sees; net_rndis.c ---- */

struct kvmb_rndis_caps { /* what the NIC can do, by backend and negotiation */
	bool offload;	  /* checksums and segmentation */
	bool rsc;	  /* coalesced frames in */
	u32 max_mtu;	  /* for GEN_MAXIMUM_FRAME_SIZE */
	u32 num_queues;
	bool mac_change;  /* the guest may set its address */
};

struct kvmb_rss { /* as the guest set it; checked */
	bool on;
	u32 hash_types;
	u16 num_entries;  /* <= KVMB_NDIS_RSS_TABLE_MAX */
	u8 key_len;
	u8 key[KVMB_NDIS_RSS_KEY_MAX];
	u8 table[KVMB_NDIS_RSS_TABLE_MAX]; /* table[num_entries]: queue numbers */
};

enum kvmb_rndis_change { /* what a control message changed; bits */
	KVMB_CHANGED_FILTER = 1,
	KVMB_CHANGED_RSC = 2,
	KVMB_CHANGED_MAC = 4,
	KVMB_CHANGED_RSS = 8,
	KVMB_CHANGED_UP = 16,	/* INITIALIZE */
	KVMB_CHANGED_DOWN = 32, /* HALT */
};

struct kvmb_rndis { /* primary's worker writes with all locks; workers read with their own */
	struct kvmb_rndis_caps caps;
	u8 mac[6];		 /* in use */
	u8 permanent_mac[6];
	u32 packet_filter;	 /* KVMB_FILTER_*, 0: no frame is delivered */
	u32 num_multicast;
	u8 multicast[KVMB_RNDIS_MULTICAST_MAX][6];
	bool rsc4, rsc6;	 /* enabled by the guest */
	struct kvmb_rss rss;
	void (*get_stats)(void *arg, struct kvmb_net_stats *st); /* for counters' OIDs */
	void *stats_arg;
	bool link;		 /* as the guest knows it; primary's worker only */
};

/**
 * kvmb_rndis_control() - Answer one control message
 * @r:     device
 * @msg:   msg[len], private copy of the guest's message
 * @len:   bytes
 * @reply: reply[KVMB_RNDIS_REPLY_MAX]
 * @changed: set to KVMB_CHANGED_*
 *
 * Return: bytes of the reply, 0 when the message has none (HALT); -EPROTO when it is
 * malformed beyond answering. Trust: @msg is guest-controlled; no payload is ever an
 * address.
 */
int kvmb_rndis_control(struct kvmb_rndis *r, const u8 *msg, u32 len, u8 *reply, u32 *changed);

/** kvmb_rndis_indicate() - A message of link up or down. Return: bytes in @msg. */
int kvmb_rndis_indicate(bool link, u8 *msg);

/* ---- the NIC ---- */

enum net_state {
	NET_CLOSED,	/* expects NVSP INIT */
	NET_VERSIONED,	/* buffers come and go; expects RNDIS INITIALIZE */
	NET_UP,		/* frames flow; HALT leads back */
	NET_NUM_STATES
};

struct net_buf { /* a guest's send or receive buffer; under every queue's lock */
	struct kvmb_gpadl *gpadl; /* NULL = none */
	u32 id;			  /* the guest's handle of it */
	bool owed;		  /* loaded: there is only the handle yet */
	u8 **pages;		  /* pages[num_pages], host addresses; owned */
	u32 num_pages;
};

struct net_sections { /* of the receive buffer; a queue's worker touches those it owns */
	u32 size;  /* bytes, all alike */
	u32 num;   /* <= NET_NO_SECTION */
	u16 *next; /* next[num]: of a free list or of the packet it is in */
	u32 *id;   /* id[num]: transaction that the guest has, at its first section; 0 = none */
	u8 *owner; /* owner[num]: queue number; atomic */
};

struct net_queue;

struct net_slot { /* lives as long as the NIC, whether or not the queue is open */
	pthread_mutex_t lock;	/* see above: net_slot_lock() */
	pthread_mutex_t gate;	/* held only while waiting for lock */
	u32 waiting;		/* atomic: threads, other than the worker, that wait for lock */
	struct net_queue *q;	/* its open channel; bus thread writes under lock */
	struct kvmb_net_stats stats; /* the queue's worker writes */
};

struct kvmb_net {
	struct kvmb_net_spec spec; /* mtu: bus thread, atomic */
	char name[16];
	struct kvmb_net_backend *backend;
	struct kvmb_loop *loop;
	struct kvmb_bus *bus;	  /* NULL until it is offered */
	unsigned int num_queues;  /* min(backend's, spec's) */
	struct kvmb_chan *primary; /* its place on the bus, bus thread */
	struct net_slot *slots;	  /* slots[num_queues] */
	/* shared by the queues, see above */
	enum net_state state;	  /* net_state_to() */
	u32 version;		  /* KVMB_NVSP_V* */
	u32 guest_mtu;		  /* from NDIS_CONFIG, 0 = not said */
	u64 guest_caps;		  /* KVMB_NVSP_CAP_* */
	u32 num_subs;		  /* sub-channels granted */
	bool by_twin;		  /* the guest has switched its frames to the other NIC */
	struct kvmb_rndis rndis;
	struct net_buf recv, send;
	struct net_sections sec;
	u32 rx_epoch;		  /* atomic; rises when frames that waited so far are stale */
	/* either way */
	struct kvmb_throttle tx_rate, rx_rate;
	/* bus thread tells, workers look; atomic */
	bool link;
	bool backend_gone;	  /* a worker found it so */
	u32 backend_epoch;	  /* rises when the backend has new descriptors */
	/* bus thread */
	struct kvmb_work gone_work;
	struct kvmb_timer revive_timer, remove_timer, announce_timer;
	u32 announced;		  /* rounds of an announcement so far */
	struct kvmb_net_info told; /* what net_look() saw last; the rest is 0 */
	u64 link_ms;		  /* when the guest last had news of its link */
	u32 restarts;
	/* the backend is, as far as this thread knows: backend_gone is quicker */
	bool there;
	u64 born_ms;		  /* when the backend was last begun */
	u32 revive_ms;		  /* next pause before it is begun again */
	bool leaving;		  /* loaded: it was being removed */
	const struct kvmb_net_twin *twin; /* immutable once the VM runs; NULL: there is none */
	void *twin_arg;
	bool guest_stands;	  /* it sees nothing of what we tell it */
	bool remove_waits;	  /* until it goes on */
	void (*removed)(void *arg, struct kvmb_net *n);
	void *removed_arg;
};

struct net_rx_batch { /* a transfer-page packet in the making */
	struct kvmb_wire_xfer_pages h;
	struct kvmb_wire_xfer_range ranges[NET_RX_RANGES]; /* ranges[num] */
	u32 num;
	u16 first, last; /* chain of its sections */
	u32 frames, bytes;
	bool control;	 /* one RNDIS control message, not frames */
};

struct net_tx_head { /* the corrected front of a frame, until commit() */
	struct virtio_net_hdr vnet;
	u8 bytes[KVMB_OFFLOAD_HEAD_MAX + NET_VLAN_LEN];
};

/*
 * Whether a queue's worker stands still: vsp.h. Written under the queue's lock, so that the worker
 * can only report that it stands while it is asked to.
 *
 * GOES: it takes turns. Operations: net_pause() -> TO_STAND; a channel that is opened while the bus
 * is paused begins as STANDS.
 * TO_STAND: Operations: the worker, when nothing of its own is left in the rings -> STANDS.
 * STANDS: Caveats: it touches no ring, no guest memory, no backend, until it goes or is stopped.
 * From both, net_resume() -> GOES.
 */
enum net_pace { NET_GOES, NET_TO_STAND, NET_STANDS };

struct net_queue { /* an open channel; its worker, unless said otherwise */
	struct kvmb_net *n;
	struct net_slot *slot;
	unsigned int index;
	struct kvmb_chan *ch;
	struct kvmb_chan_io *io;
	struct kvmb_gm *gm;
	struct kvmb_worker worker;
	struct kvmb_tuner tuner;
	int epoll_fd;
	enum net_pace pace;
	bool joined;		/* bus thread: the worker has been waited for */
	bool stopping, failed;
	/* our second look at io->rx, behind a packet that has to wait; never released */
	struct kvmb_ring ahead;
	/* of io->rx that ahead has seen: completions there are dealt with; 0 = none */
	u32 ahead_bytes;
	/* such a packet, and what waits for sections: look again, there is no signal */
	bool hungry;

	/* the backend's queue */
	int backend_fd;		/* as in the epoll, -1 = none */
	u32 backend_events;	/* EPOLL*, watched for */
	u32 backend_epoch;
	bool readable;		/* it may have a frame */
	bool full;		/* it takes no more frames until it is writable */
	bool deaf;		/* for so long now that frames are dropped */
	u64 deaf_ns;		/* full: when it will be that; 0 = not set */

	/* out */
	u32 num_heads;		/* heads in use, frames not committed */
	u32 quiet;		/* completions put that may be published later */
	bool loud;		/* something put that must be published now */
	u64 now;		/* of this turn, 0 = not read yet: net_worker.c */
	u64 publish_ns, tx_ns;	/* when: publish at the latest; take frames again; 0 = not set */

	/* in */
	u16 free;		/* list of free sections, NET_NO_SECTION ends it */
	u32 num_free;
	u16 generation;		/* upper half of the next id: a second completion is recognised */
	u32 rx_epoch;
	u32 stale;		/* frames still to be thrown away, at most */
	u64 rx_ns;		/* when frames may come in again; 0 = now */
	u64 last_rx_ns;
	bool burst;		/* frames come close together: read until there is none */
	struct net_rx_batch batch;

	/* a completion that the ring had no room for; nothing else is taken meanwhile */
	bool held;
	u64 held_id;
	u32 held_len;		/* bytes of held_msg: all or none */
	struct kvmb_wire_nvsp held_msg;

	/* primary: what goes to the guest as RNDIS control messages */
	u8 reply[KVMB_RNDIS_REPLY_MAX];
	u32 reply_len;
	bool told_link;		/* the link as the guest was last told */
	u32 told_epoch;		/* and of which backend_epoch */

	struct net_tx_head heads[NET_TX_HEADS];
	u8 scratch[8192] __attribute__((aligned(8)));
	u8 *bounce;		/* bounce[NET_BOUNCE_SIZE], with an access VLAN */
};

static inline void net_count(u64 *counter, u64 n) /* one writer, any reader */
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Does somebody want the lock that the worker holds? Then it has done enough for now. */
static inline bool net_is_awaited(const struct net_queue *q)
{
	return __atomic_load_n(&q->slot->waiting, __ATOMIC_RELAXED);
}

static inline bool net_link_up(struct kvmb_net *n)
{
	return __atomic_load_n(&n->link, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&n->backend_gone, __ATOMIC_ACQUIRE);
}

/* Is the backend ours? It changes with every queue's lock. */
static inline bool net_owns_backend(const struct kvmb_net *n)
{
	return kvmb_net_path(n->backend) == KVMB_NET_SYNTHETIC;
}

/* net_nic.c: note what info tells. The primary's lock is held, or nobody has a thread so far. */
void net_look(struct kvmb_net *n);

/* net_queue.c: locks, buffers, completions */
void net_slot_enter(struct net_slot *s); /* its worker */
void net_slot_lock(struct net_slot *s);	 /* anybody else */
/* Likewise, unless its worker keeps it: it may wait for memory that this thread has to bring. */
bool net_slot_try(struct net_slot *s);
void net_slot_unlock(struct net_slot *s);
void net_lock_others(struct kvmb_net *n); /* primary's worker, which holds its own */
void net_unlock_others(struct kvmb_net *n, bool news);
void net_lock_all(struct kvmb_net *n); /* bus thread */
void net_unlock_all(struct kvmb_net *n);
void net_fail(struct net_queue *q, const char *why, int err);
void net_state_to(struct kvmb_net *n, enum net_state to); /* every lock held, or no channel open */
void net_backend_lost(struct net_queue *q); /* any worker */
/* The backend changes hands, if there is a twin. Every lock held, by the primary's worker or the
 * bus thread. */
void net_choose_owner(struct kvmb_net *n); /* something changed that decides it */
void net_give_backend(struct kvmb_net *n); /* the driver is gone */
void net_tell_backend(struct kvmb_net *n); /* what the guest takes, and its address; likewise */
/* 0 or -errno; every lock held */
int net_take_buffer(struct net_queue *q, struct net_buf *b, u32 id);
void net_drop_buffer(struct kvmb_bus *bus, struct net_buf *b);
int net_buf_iov(const struct net_buf *b, u32 off, u32 len, struct iovec *iov, int max);
/* NULL: without content */
void net_complete(struct net_queue *q, u64 id, const struct kvmb_wire_nvsp *m, bool quiet);
void net_complete_rndis(struct net_queue *q, u64 id, u32 status, bool quiet);
bool net_flush_held(struct net_queue *q);

/* net_vsp.c: the protocol */
int net_handle_packet(struct net_queue *q, const struct kvmb_pkt *pkt); /* 0; -EAGAIN: leave it */
void net_forget_guest(struct kvmb_net *n); /* every lock held, or no channel open */

/* net_chan.c: the life of channels */
extern const struct kvmb_vsp_ops net_vsp_ops;

/* net_tx.c: frames out */
int net_tx(struct net_queue *q, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m);
int net_tx_iov(struct net_queue *q, const struct kvmb_pkt *pkt, const struct kvmb_wire_nvsp *m,
	       struct iovec *iov, u32 *len);
void net_tx_commit(struct net_queue *q);

/* net_sections.c: the receive buffer */
int net_sections_create(struct kvmb_net *n);
int net_sections_alloc(struct net_sections *s); /* of s->num; nobody's */
void net_sections_destroy(struct kvmb_net *n);
void net_sections_take(struct net_queue *q, u32 num_queues);
void net_sections_return(struct net_queue *q);
bool net_sections_claim(struct net_sections *sec, u32 owner, const u64 *list, size_t num);
bool net_coalesced_fit(const struct kvmb_net *n);
u32 net_section_least(const struct kvmb_net *n);
u16 net_section_pop(struct net_queue *q);
u32 net_section_room(const struct kvmb_net *n);
int net_section_iov(const struct kvmb_net *n, u16 s, u32 off, u32 len, struct iovec *iov, int max);
void net_rx_completed(struct net_queue *q, u64 id);

/* net_rx.c: frames in, and control messages to the guest */
bool net_rx(struct net_queue *q);
bool net_rx_flush(struct net_queue *q);
void net_send_control(struct net_queue *q);
bool net_can_receive(struct net_queue *q);
bool net_hungry(const struct net_queue *q);

/* net_worker.c: a queue's thread */
int net_worker_init(struct net_queue *q); /* its descriptors: 0 or -errno */
void net_worker_fini(struct net_queue *q);
void net_worker_run(void *arg);
void net_skip_ahead(struct net_queue *q, u32 bytes); /* completions there are dealt with */

/* net_announce.c: telling the network where it is */
void net_announce_again(void *arg);

/* net_state_queue.c: what a channel has in hand */
void net_save_chan(struct kvmb_chan *ch, struct kvmb_tlv_out *o);
int net_load_chan(struct kvmb_chan *ch, struct kvmb_tlv *t);

#endif
