/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host inside the guest's kernel: in the place of synic.c, it answers the bus and the VSCs as a
 * test's script says.
 *
 * DOC: Theory of operation
 *
 * What the guest posts is queued and handled on the host's own workqueue, never in the caller;
 * what the host says is given to the guest on a workqueue, as by the SynIC's work item, until the
 * bus stops its SynIC. Channel interrupts are real ones (irq_work). So locks, contexts and races
 * are those of the product.
 *
 * By itself the host behaves: it offers nothing, grants everything, maps the rings that it is
 * given. A script makes it refuse, lie or keep silent. What it maps it lets go before it says so,
 * or when it rescinds.
 */
#ifndef KVMB_SCRIPT_HOST_H
#define KVMB_SCRIPT_HOST_H

#include "guest-vsc/bus/bus.h"

#define HOST_RELIDS 64u

struct host_chan {
	u32 relid;
	bool open, offered;
	struct kvmb_ring rx, tx; /* guest to host; host to guest */
	void *rx_map, *tx_map;
	u32 gpadl;		 /* of the rings */
	u32 vp;			 /* that it interrupts: the last it was told */
	/* a packet of the guest, on the host's workqueue; may be NULL */
	void (*on_packet)(struct host_chan *c, const struct kvmb_pkt *pkt, void *ctx);
	void *ctx;
};

struct host_script {
	u32 max_version;  /* newest that it agrees to */
	u32 mute;	  /* bit KVMB_MSG_*: has no answer */
	u32 patience_s;	  /* how long the guest waits for what is not muted; 3 */
	/* bit KVMB_MSG_*: messages that stay on their way, either way, until host_go_on() */
	u32 hold;
	u32 open_status, gpadl_status, modify_status;
	u32 conn_id;	  /* that it tells for messages */
	u16 post_status;  /* what HvPostMessage says ... */
	u32 post_refused; /* ... so many times */
	/* before all else, on the host's workqueue; true: that was the answer */
	bool (*says)(u32 type, const u8 *msg, u32 len);
	/* it has the rings, and has not said so yet; on its workqueue */
	void (*opened)(struct host_chan *c);
	u64 ref_time;	  /* the reference counter, 100 ns */
};
extern struct host_script host_script;

/** host_prepare() - A well-behaved script; the bus is not started */
void host_prepare(void);
/** host_begin() - The same, and the bus connected to it. Return: 0; -EIO */
int host_begin(void);
/** host_end() - Every channel rescinded, the bus stopped */
void host_end(void);
/** host_reset() - Every channel rescinded; a well-behaved script again */
void host_reset(void);

/** host_say() - A message from the host, as it is */
void host_say(const void *msg, u32 len);
void host_offer(u32 relid, const struct kvmb_guid *type, u8 instance, u16 index);
void host_rescind(u32 relid);
/** host_slot_is_free() - Has the guest taken all that was said? A host waits for that. */
bool host_slot_is_free(void);

/** host_take_back() - Rescind, if it was offered and not rescinded since */
void host_take_back(u32 relid);
/**
 * host_await_held() - Until a message of host_script.hold is on its way. Return: whether there is
 * one
 */
bool host_await_held(void);
/** host_go_on() - Nothing is held any more; what was held arrives, in its order */
void host_go_on(void);
/** host_kick() - Interrupt of a channel, on this CPU */
void host_kick(u32 relid);
/** host_settle() - Until nobody has anything to do for the moment */
void host_settle(void);
/** host_seen() - Messages of this type that the guest has posted since the script began */
u32 host_seen(u32 type);
/** host_signals() - HvSignalEvent of any channel since the script began */
u32 host_signals(void);

/**
 * host_watch_full() - @fn is called in kvmb_send() that finds no room, with the channel's number;
 * NULL: no more
 */
void host_watch_full(void (*fn)(void *ctx, u32 relid));

/**
 * host_int_page() - The interrupt page that it was told of last, below 5.0. Its second half is for
 * it
 */
void *host_int_page(void);

struct host_chan *host_chan_of(u32 relid);
/** host_put() - A packet for the guest, and its interrupt. Return: as kvmb_ring_put() */
int host_put(struct host_chan *c, u16 type, u16 flags, u64 trans_id, const void *hdr, u32 hdr_len,
	     const void *payload, u32 len);
/**
 * host_map() - A buffer that the guest told of. Return: its memory until it is taken back, NULL:
 * no such list
 */
u8 *host_map(u32 gpadl, u32 *size);
/** host_copy() - Between @buf and the pages of a GPA-direct packet. Return: bytes */
u32 host_copy(const struct kvmb_pkt *pkt, void *buf, u32 size, bool to_guest);

#endif
