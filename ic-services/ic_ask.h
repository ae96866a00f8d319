/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One question to a guest's integration service, with a time limit.
 *
 * DOC: Theory of operation
 *
 * A service that asks one thing at a time embeds this. The question goes out when the channel takes
 * it: the bus may be paused, or the guest may not have read the last one. Its answer is told from
 * others by the transaction: one that comes late, twice, or that nobody has asked for, is counted
 * and ignored. After the limit the asker hears so, and the next question goes out all the same; a
 * guest that still has the old one reads it first, and answers both.
 */
#ifndef KVMB_IC_ASK_H
#define KVMB_IC_ASK_H

#include "ic-services/ic_host.h"

struct kvmb_ic_ask;

/*
 * How a question ended. @err: 0: @msg is the answer, whatever its status; -ETIMEDOUT; -ENOTCONN:
 * the guest has closed the channel, or broken the protocol; @msg is NULL then. May ask again.
 */
typedef void (*kvmb_ic_ask_fn)(struct kvmb_ic_ask *a, int err, const struct kvmb_icmsg *msg);

struct kvmb_ic_ask { /* embed it; bus thread only */
	struct kvmb_ic *ic;
	struct kvmb_timer timer;
	kvmb_ic_ask_fn done; /* of the question that is asked; NULL = none */
	void *payload;	     /* payload[len], owned, until it is sent */
	u32 len;
	u64 until_ms;	/* kvmb_now_ms() of the limit */
	u8 transaction; /* once it is sent */
	bool sent;
	u64 stray; /* answers to nothing that is asked */
};

/** kvmb_ic_ask_init() - Prepare; @ic is of the same service, @loop the bus thread's. */
void kvmb_ic_ask_init(struct kvmb_ic_ask *a, struct kvmb_ic *ic, struct kvmb_loop *loop);

/**
 * kvmb_ic_ask() - Ask
 * @a:       nothing is asked now
 * @payload: payload[len], copied
 * @len:     bytes, as for kvmb_ic_request()
 * @ms:      limit
 * @done:    called once, later, but not by kvmb_ic_ask_drop()
 *
 * Return: 0; -ENOTCONN: the service is not ready; -EBUSY: something is asked already.
 */
int kvmb_ic_ask(struct kvmb_ic_ask *a, const void *payload, u32 len, u32 ms, kvmb_ic_ask_fn done);

/** kvmb_ic_ask_replied() - In reply(): hands @msg to who waits for it. */
void kvmb_ic_ask_replied(struct kvmb_ic_ask *a, const struct kvmb_icmsg *msg);

/** kvmb_ic_ask_stopped() - In stopped(): who waits hears -ENOTCONN. */
void kvmb_ic_ask_stopped(struct kvmb_ic_ask *a);

/** kvmb_ic_ask_resumed() - In resumed(): send what has waited for the bus. */
void kvmb_ic_ask_resumed(struct kvmb_ic_ask *a);

/** kvmb_ic_ask_drop() - Forget what is asked; its done() is not called. */
void kvmb_ic_ask_drop(struct kvmb_ic_ask *a);

/** kvmb_ic_status_text() - A guest's status in words; NULL: there are none for it. */
const char *kvmb_ic_status_text(u32 status);

#endif
