/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VSS, host half: freeze the guest's file systems, and thaw them whatever happens.
 *
 * DOC: Theory of operation
 *
 *     IDLE -- freeze() --> CHECKING -- yes --> FREEZING -- done --> FROZEN
 *      ^                      |                   |                   |
 *      |   no, late, closed   |         no, late, |        thaw(),    |
 *      +----------------------+          closed,  v        too long   v
 *      +------- the guest has thawed ----------- THAWING <------------+
 *
 * From the moment a FREEZE was sent, the guest may be frozen, or will be later: also if it said
 * that it could not (an old daemon leaves what it has frozen), or said nothing. So each way out of
 * FREEZING and FROZEN leads through THAWING, and that is only left when the guest has answered a
 * THAW with success, or has been asked for KVMB_VSS_THAW_S. A THAW may be sent while a FREEZE is
 * not answered: a guest reads the next request when it has answered the last one, and Linux may
 * take 15 minutes for that.
 *
 * A THAW that was refused is asked for again: the guest's daemon may be gone, and come back. A
 * channel that closes in THAWING takes the THAW with it, so it is sent again on the next one. To a
 * guest that is not frozen a THAW does nothing.
 *
 * Only the answer to the last request counts; late, double and foreign ones are ignored.
 *
 * In a saved VM all of these are THAWING. So nobody is restored frozen.
 */
#ifndef KVMB_VSS_HOST_H
#define KVMB_VSS_HOST_H

#include "ic-services/ic_host.h"
#include "lib/loop.h"

#define KVMB_VSS_CHECK_MS 15000u
#define KVMB_VSS_FREEZE_MS 60000u /* then whoever wanted it gives up */
#define KVMB_VSS_FROZEN_MS 30000u /* without thaw() it thaws by itself */
#define KVMB_VSS_RETRY_MS 2000u	  /* pause before a THAW is asked for again: doubled, up to ... */
#define KVMB_VSS_RETRY_MAX_MS 32000u
#define KVMB_VSS_THAW_S 1800u

enum kvmb_vss_state {
	KVMB_VSS_IDLE,
	KVMB_VSS_CHECKING, /* HOT_BACKUP is sent */
	KVMB_VSS_FREEZING, /* FREEZE is sent */
	KVMB_VSS_FROZEN,
	KVMB_VSS_THAWING, /* a THAW is owed */
	KVMB_VSS_NUM_STATES
};

struct kvmb_vss { /* bus thread */
	struct kvmb_ic ic;
	enum kvmb_vss_state state; /* vss_to() */
	u8 expects;		   /* transaction whose answer counts; valid while sent */
	bool sent;		   /* a request of this state is with the guest */
	u32 pause_ms;		   /* THAWING: before the next try */
	u64 thaw_since_ms;	   /* THAWING: when it was owed first */
	struct kvmb_timer timer;
	void (*done)(void *arg, int err); /* of freeze(), until it has been called; NULL */
	void *arg;
	u64 freezes, thaws; /* that the guest has confirmed */
};

/** kvmb_vss_init() - Prepare, not offered; @loop is the bus thread's. */
void kvmb_vss_init(struct kvmb_vss *v, struct kvmb_loop *loop);

/**
 * kvmb_vss_freeze() - Have the guest freeze its file systems
 * @v:    the service
 * @done: called once, later, unless kvmb_vss_thaw() comes first: 0: it is frozen, call
 *        kvmb_vss_thaw() soon; -EOPNOTSUPP: it says that it cannot be backed up, as Linux does
 *        without its daemon; -EIO: it could not freeze; -ETIMEDOUT: it has not answered;
 *        -ECONNRESET: its driver has gone. After an error there is nothing to thaw.
 * @arg:  of @done
 *
 * Return: 0; and @done is not called: -ENOTCONN without a guest driver; -EBUSY while it is frozen,
 * or has not thawed from the last time; -EAGAIN: its ring is full. Context: bus thread.
 */
int kvmb_vss_freeze(struct kvmb_vss *v, void (*done)(void *arg, int err), void *arg);

/** kvmb_vss_frozen() - Has it been frozen without a break since done() said so? Bus thread. */
bool kvmb_vss_frozen(const struct kvmb_vss *v);

/** kvmb_vss_thaw() - Undo it, also before it is done; fine if there is nothing. Bus thread. */
void kvmb_vss_thaw(struct kvmb_vss *v);

/** kvmb_vss_state_name() - "idle", "checking", "freezing", "frozen", "thawing". */
const char *kvmb_vss_state_name(const struct kvmb_vss *v);

/** kvmb_vss_fini() - The VM ends: no timer fires any more. Bus thread. */
void kvmb_vss_fini(struct kvmb_vss *v);

/**
 * kvmb_vss_owe_thaw() - It was saved in the middle of a freeze: thaw when the guest runs
 *
 * Context: bus thread; loaded, and the bus does not go on yet.
 */
void kvmb_vss_owe_thaw(struct kvmb_vss *v);

#endif
