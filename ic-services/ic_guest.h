/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest half of the integration services: one channel, one request at a time.
 *
 * DOC: Theory of operation
 *
 * The host asks, and the guest answers by rewriting the request. The channel's interrupt queues a
 * work item, which reads until the ring is empty. Each request is copied once, parsed, passed to
 * the service, and sent back with the same length and transaction id. A service may sleep.
 * Versions are negotiated each time the host asks.
 *
 * A malformed request is dropped and counted, and the channel goes on, because the next request
 * does not depend on it.
 */
#ifndef KVMB_IC_GUEST_H
#define KVMB_IC_GUEST_H

#include <linux/workqueue.h>

#include "guest-vsc/bus/bus.h"
#include "vmbus-core/icmsg.h"
#include "vmbus-core/proto/ic.h"

#define KVMB_IC_BUF 8192 /* the longest request: addresses of KVP, 7480 bytes; rings are 16 KiB */

struct kvmb_ic;
struct kvmb_ic_chardev;
struct kvmb_ic_chardev_ops;

struct kvmb_ic_service { /* const, one per kind */
	const char *name;
	struct kvmb_guid type;
	u32 msg_type;		/* KVMB_IC_* */
	const u32 *versions;	/* versions[num_versions], best first */
	u32 num_versions;
	u32 state; /* bytes of @priv, zeroed before start(); 0: it is the service's own affair */
	/* A daemon does the work: its device, whose functions get @priv. NULL: none. */
	const struct kvmb_ic_chardev_ops *daemon;
	bool awaits; /* no negotiation is answered before the daemon has had KVMB_IC_REGISTER_S */
	int (*start)(struct kvmb_ic *ic); /* may be NULL */
	void (*stop)(struct kvmb_ic *ic); /* no request is being handled; may be NULL */
	/*
	 * One request: @p is its payload, @size bytes in a private copy that may be rewritten.
	 * Return: KVMB_IC_STATUS_*, or -EPROTO: too short, no answer is sent.
	 */
	s64 (*request)(struct kvmb_ic *ic, u8 *p, u32 size);
	/* Called after the answer has been sent. May be NULL. */
	void (*answered)(struct kvmb_ic *ic);
};

struct kvmb_ic {
	const struct kvmb_ic_service *svc;
	struct kvmb_chan *ch;
	struct work_struct work;
	u32 framework, version;	/* negotiated, 0 before */
	u64 malformed;
	void *priv;		/* the service's */
	struct kvmb_ic_chardev *daemon; /* NULL: there is none */
	u8 buf[KVMB_IC_BUF] __aligned(8);
};

extern const struct kvmb_ic_service kvmb_fcopy_service;
extern const struct kvmb_ic_service kvmb_heartbeat_service;
extern const struct kvmb_ic_service kvmb_kvp_service;
extern const struct kvmb_ic_service kvmb_shutdown_service;
extern const struct kvmb_ic_service kvmb_timesync_service;
extern const struct kvmb_ic_service kvmb_vss_service;

#endif
