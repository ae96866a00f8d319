/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest file copy: a file of the host becomes one of the guest.
 *
 * DOC: Theory of operation
 *
 * START names the file, WRITEs bring its bytes in order, COMPLETE ends it; the guest answers each
 * before the next one goes out. Who copies feeds the bytes, and hears when they are used up. Any
 * failure ends in a CANCEL, so that the guest removes what it has, and only then is the failure
 * told. Not every guest can cancel: the newer daemon of Linux keeps the file.
 *
 *     IDLE -> STARTING -> FEEDING <-> WRITING -> COMPLETING -> IDLE
 *                 |          |           |           |
 *                 +----------+-----------+-----------+--> CANCELLING -> IDLE
 */
#ifndef KVMB_FCOPY_HOST_H
#define KVMB_FCOPY_HOST_H

#include "ic-services/ic_ask.h"
#include "vmbus-core/proto/fcopy.h"

#define KVMB_FCOPY_LIMIT_MS 35000u /* an answer; Linux itself gives its daemon 30 s */
#define KVMB_FCOPY_CANCEL_MS 5000u
#define KVMB_FCOPY_NAME_MAX 255u /* bytes of path and name: Linux' first daemon cuts longer ones */

enum kvmb_fcopy_state {
	KVMB_FCOPY_IS_IDLE,
	KVMB_FCOPY_IS_STARTING,
	KVMB_FCOPY_IS_FEEDING, /* the next bytes have not come */
	KVMB_FCOPY_IS_WRITING,
	KVMB_FCOPY_IS_COMPLETING,
	KVMB_FCOPY_IS_CANCELLING,
	KVMB_FCOPY_NUM_STATES
};

struct kvmb_fcopy_file {
	const char *path, *name; /* of the guest; kvmb_fcopy_check() has taken them */
	u32 flags;		 /* KVMB_FCOPY_OVERWRITE, ... */
	u64 size;		 /* bytes */
};

struct kvmb_fcopy_ops {		  /* who copies; bus thread */
	void (*wants)(void *arg); /* more bytes: kvmb_fcopy_feed() or kvmb_fcopy_cancel() are due */
	/*
	 * It has ended: @err as of kvmb_kvp_result, or of kvmb_fcopy_cancel(); with 0 the guest's
	 * last word is @status. @kept: the guest may have kept a part of the file.
	 */
	void (*done)(void *arg, int err, u32 status, bool kept);
};

struct kvmb_fcopy { /* bus thread */
	struct kvmb_ic ic;
	struct kvmb_ic_ask ask;
	enum kvmb_fcopy_state state; /* fcopy_to() */
	const struct kvmb_fcopy_ops *ops;
	void *arg;
	u64 size, offset;  /* offset: what the guest has */
	const u8 *data;	   /* data[left], borrowed: what it has not got of the last feed */
	u32 left, sending; /* sending: bytes of the WRITE that is asked */
	int err;	   /* CANCELLING: why; what done() is told */
	u32 status;
	bool owes_cancel; /* a copy that another process began: the guest forgets it first */
};

/** kvmb_fcopy_init() - Prepare, not offered; @loop is the bus thread's. */
void kvmb_fcopy_init(struct kvmb_fcopy *f, struct kvmb_loop *loop);

/** kvmb_fcopy_fini() - Its channel is closed; a copy ends as one whose guest has gone. */
void kvmb_fcopy_fini(struct kvmb_fcopy *f);

/** kvmb_fcopy_check() - Can a guest have a file called so? Return: NULL; else one phrase. */
const char *kvmb_fcopy_check(const char *path, const char *name);

/**
 * kvmb_fcopy_start() - Begin
 * @file: copied
 * @ops:  of @arg, borrowed
 *
 * Return: 0: done() will be called, once and not before this returns; -ENOTCONN: the guest has no
 * service; -EBUSY: a copy is under way.
 */
int kvmb_fcopy_start(struct kvmb_fcopy *f, const struct kvmb_fcopy_file *file,
		     const struct kvmb_fcopy_ops *ops, void *arg);

/** kvmb_fcopy_feed() - data[len] comes next, len > 0; borrowed until wants() or done(). FEEDING. */
void kvmb_fcopy_feed(struct kvmb_fcopy *f, const void *data, u32 len);

/** kvmb_fcopy_cancel() - Give it up, because of @err; done() will be called. Fine at any time. */
void kvmb_fcopy_cancel(struct kvmb_fcopy *f, int err);

#endif
