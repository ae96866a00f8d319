/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A channel that is served on the bus thread: what its provider does not want to do itself.
 *
 * DOC: Theory of operation
 *
 * For devices that say little. Their ring is read when the guest signals, a budget of packets a
 * turn, each a private copy. While the bus is paused nobody touches the ring; what has come
 * meanwhile is read at kvmb_loop_chan_look(), which belongs into resume().
 *
 * A packet is only handed over when the other ring has room for all that it may cause to be sent.
 * If the guest does not read its ring, ours stands until it does.
 *
 * Each packet that we send is signalled, even if the ring was not empty: guests read one packet
 * per interrupt at times (docs/protocol.md#7.4).
 */
#ifndef KVMB_LOOP_CHAN_H
#define KVMB_LOOP_CHAN_H

#include "host-vsp/vsp.h"

struct kvmb_loop_chan;

struct kvmb_loop_chan_ops { /* const, one per kind of device */
	u32 packet_max;	    /* bytes of the longest packet of a guest, a multiple of 8 */
	u32 answer_room;    /* bytes in a ring, at most half a page: of all answers to one packet */
	/* Take it. Return: NULL; or why the channel fails: static text. */
	const char *(*packet)(struct kvmb_loop_chan *c, const struct kvmb_pkt *pkt);
	/* The channel has failed: the guest broke the protocol. NULL: none. */
	void (*failed)(struct kvmb_loop_chan *c);
	/* The guest has signalled: it may have made room for what waits. NULL: none. */
	void (*room)(struct kvmb_loop_chan *c);
};

struct kvmb_loop_chan { /* embed it; bus thread only */
	const struct kvmb_loop_chan_ops *ops;
	struct kvmb_chan *ch;	  /* NULL while closed */
	struct kvmb_watch *watch; /* NULL: closed, or it has failed */
	void *buf;		  /* buf[packet_max] while it is open */
	bool wants;		  /* the guest was asked to tell of room */
};

/** kvmb_loop_chan_open() - In open(): serve @ch from now on. Return: 0 or -ENOMEM. */
int kvmb_loop_chan_open(struct kvmb_loop_chan *c, struct kvmb_chan *ch,
			const struct kvmb_loop_chan_ops *ops);

/** kvmb_loop_chan_drop() - In open(), which fails after all: undo kvmb_loop_chan_open(). */
void kvmb_loop_chan_drop(struct kvmb_loop_chan *c);

/** kvmb_loop_chan_close() - In close(), as its last: the rings are touched no more. */
void kvmb_loop_chan_close(struct kvmb_loop_chan *c);

/** kvmb_loop_chan_fail() - The guest broke the protocol; as kvmb_chan_fail(), then failed(). */
void kvmb_loop_chan_fail(struct kvmb_loop_chan *c, const char *why, int err);

/** kvmb_loop_chan_mute() - It had failed where it was saved: never look at its ring. */
void kvmb_loop_chan_mute(struct kvmb_loop_chan *c);

/** kvmb_loop_chan_look() - Read what there is, and tell room(). The bus is not paused. */
void kvmb_loop_chan_look(struct kvmb_loop_chan *c);

/**
 * kvmb_loop_chan_hush() - What the guest sends can wait until kvmb_loop_chan_look(): no signal
 * @c: it runs
 *
 * For who looks at times that he chooses; it saves a wake-up of this thread.
 */
void kvmb_loop_chan_hush(struct kvmb_loop_chan *c);

/** kvmb_loop_chan_runs() - May something be sent now: is it open, whole, and the bus not paused? */
bool kvmb_loop_chan_runs(const struct kvmb_loop_chan *c);

/** kvmb_loop_chan_unread() - Bytes that we have sent and the guest has not read; it runs. */
u32 kvmb_loop_chan_unread(const struct kvmb_loop_chan *c);

/**
 * kvmb_loop_chan_want() - Have room() called when the guest has read on
 * @c:      it runs
 * @unread: bytes, fewer than half a page
 *
 * Return: true: fewer than @unread bytes are unread already; room() is not called for it.
 */
bool kvmb_loop_chan_want(struct kvmb_loop_chan *c, u32 unread);

/**
 * kvmb_loop_chan_send() - Send a packet and signal
 * @c:       it runs, or is being opened
 * @type:    KVMB_PKT_INBAND, or KVMB_PKT_COMPLETION
 * @id:      transaction that is completed; 0
 * @payload: payload[len]
 * @len:     bytes
 *
 * Return: 0; -EAGAIN: no room, and room() will be called when the guest has made some; -EPROTO: its
 * index is invalid. Nothing was sent then.
 */
int kvmb_loop_chan_send(struct kvmb_loop_chan *c, u16 type, u64 id, const void *payload, u32 len);

#endif
