/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Host half of every integration service: negotiation, one request at a time, answers.
 *
 * DOC: Theory of operation
 *
 * A service is a channel that is served on the bus thread. When the guest has opened it, we send
 * our list of versions; the guest's choice starts the service (ready()). From then on the service
 * sends one request at a time and gets the guest's answer (reply()). host-vsp/loop_chan.h has the
 * channel.
 *
 * While the bus is paused nobody here touches a ring: requests find no room, and answers wait until
 * the bus goes on.
 */
#ifndef KVMB_IC_HOST_H
#define KVMB_IC_HOST_H

#include "host-vsp/bus/bus.h"
#include "host-vsp/loop_chan.h"
#include "vmbus-core/icmsg.h"

#define KVMB_IC_PACKET_MAX 8192u /* the longest are of KVP: 7480 bytes */

struct kvmb_ic;

struct kvmb_ic_ops { /* const, one per service */
	const char *name; /* "heartbeat" */
	struct kvmb_guid type, instance;
	u32 message_type; /* KVMB_IC_* */
	const u32 *versions; /* versions[num_versions], message versions, best last */
	u32 num_versions;
	void (*ready)(struct kvmb_ic *ic);
	void (*reply)(struct kvmb_ic *ic, const struct kvmb_icmsg *msg);
	void (*stopped)(struct kvmb_ic *ic); /* the guest closed the channel */
	void (*resumed)(struct kvmb_ic *ic); /* ready, and the bus goes on; may be NULL */
};

enum kvmb_ic_state {
	KVMB_IC_CLOSED,	     /* no guest driver */
	KVMB_IC_NEGOTIATING, /* our list is sent */
	KVMB_IC_READY,
	KVMB_IC_REFUSED,     /* no common version, or the guest broke the protocol */
	KVMB_IC_NUM_STATES
};

struct kvmb_ic { /* embed it; bus thread only */
	const struct kvmb_ic_ops *ops;
	struct kvmb_loop_chan chan;
	struct kvmb_chan *primary; /* NULL = it is not offered */
	u32 leaving;		   /* channels that are revoked, and the guest has not released */
	void (*left)(void *arg);   /* @leaving has come to 0; NULL = nobody wants to know */
	void *left_arg;
	enum kvmb_ic_state state; /* set_state() in ic_host.c */
	u32 max;		/* version of messages at most, 0 = all; counts when it is opened */
	u64 contact_ms;		/* kvmb_now_ms() of the last message that was right, 0 = none */
	u32 framework, message; /* negotiated */
	u8 transaction;
	bool waiting;		/* a request is not answered yet */
	bool unasked;		/* opened while the bus was paused: our list is to be sent */
};

/** kvmb_ic_init() - Prepare @ic; @ops must outlive it. Nothing is offered yet. */
void kvmb_ic_init(struct kvmb_ic *ic, const struct kvmb_ic_ops *ops);

/**
 * kvmb_ic_offer() - Offer the service on @bus; fine if it is
 *
 * Also right after kvmb_ic_revoke(): the guest gets the offer when it has released the old channel.
 *
 * Return: as kvmb_bus_offer(). Context: bus thread, or before the VM runs.
 */
int kvmb_ic_offer(struct kvmb_ic *ic, struct kvmb_bus *bus);

/** kvmb_ic_revoke() - Take the service away from the guest; fine if it is. Bus thread. */
void kvmb_ic_revoke(struct kvmb_ic *ic);

/**
 * kvmb_ic_limit() - Offer no newer version of the service's messages than @max, 0 = all
 *
 * Counts when the guest opens the channel the next time.
 *
 * Return: 0; -EINVAL: no version is as old as that, and nothing has changed.
 */
int kvmb_ic_limit(struct kvmb_ic *ic, u32 max);

/** kvmb_ic_knows() - Is @message a version that we offer of this service's messages? */
bool kvmb_ic_knows(const struct kvmb_ic *ic, u32 message);

/**
 * kvmb_ic_request() - Send a request to the guest
 * @ic:      the service
 * @payload: payload[len]
 * @len:     bytes, at most KVMB_IC_PACKET_MAX with the header
 * @reply:   the guest will answer, and reply() will be called
 *
 * Return: 0; -EAGAIN when the ring is full, an answer is outstanding or the bus is paused; -EPROTO
 * when the guest's ring is corrupt; -ENOTCONN when the service is not ready. Context: bus thread.
 */
int kvmb_ic_request(struct kvmb_ic *ic, const void *payload, u32 len, bool reply);

/**
 * kvmb_ic_hush() - Whatever the guest answers can wait until kvmb_ic_look(): it need not wake us
 *
 * A service that asks at regular times looks before it asks again. Bus thread; fine in any state.
 */
void kvmb_ic_hush(struct kvmb_ic *ic);

/**
 * kvmb_ic_look() - Take what the guest has answered, if the bus is not paused
 *
 * The service may not be ready any more afterwards. Bus thread; not in a function of its ops.
 */
void kvmb_ic_look(struct kvmb_ic *ic);

/**
 * kvmb_ic_go_on() - A service that was just opened, on a paused bus, goes on where it was saved
 * @ic:    the service
 * @state: reached there; CLOSED only if it is closed here
 */
void kvmb_ic_go_on(struct kvmb_ic *ic, enum kvmb_ic_state state);

/** kvmb_ic_state_name() - "no guest driver", "negotiating", "ready", "refused", "leaving". */
const char *kvmb_ic_state_name(const struct kvmb_ic *ic);

#endif
