/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a provider (VSP) sees of the bus, and what the bus asks of a provider.
 *
 * DOC: Theory of operation
 *
 * A provider gives the bus an offer. When the guest opens the channel the bus maps
 * the rings, binds an eventfd to the channel's connection id and calls open(); from
 * then on the provider owns both rings, on a thread of its choice, until it calls
 * kvmb_chan_closed(). close() only asks it to come to that point: requests in flight
 * are finished first, and only then does the guest get its pages back.
 *
 * Thread rules: open(), close(), closed(), forgotten() and released() run on the bus thread and must not
 * block on I/O. Functions marked [any] may be called from a provider's own thread.
 */
#ifndef KVMB_VSP_H
#define KVMB_VSP_H

#include "host-vsp/gm.h"
#include "lib/loop.h"
#include "vmbus-core/chanmsg.h"
#include "vmbus-core/ring.h"

struct kvmb_bus;
struct kvmb_chan;
struct kvmb_gpadl;

struct kvmb_vsp_ops { /* const, one per kind of device */
	const char *name;
	/* Rings are mapped. Return: 0, or -errno and the guest gets a failed open. */
	int (*open)(struct kvmb_chan *ch);
	/* Stop; call kvmb_chan_closed() when nothing of yours touches the rings any more. */
	void (*close)(struct kvmb_chan *ch);
	/* After kvmb_chan_closed(): join threads, free what open() made. May be NULL. */
	void (*closed)(struct kvmb_chan *ch);
	/* A revoked primary is gone from the guest's view; @ch is freed after return. May be NULL. */
	void (*released)(struct kvmb_chan *ch);
	/* A primary is at rest, and the guest that knew it was reset or unloaded its bus. May be NULL. */
	void (*forgotten)(struct kvmb_chan *ch);
};

struct kvmb_offer {
	struct kvmb_guid type;
	struct kvmb_guid instance;
	u16 flags;		/* KVMB_OFFER_* */
	u16 mmio_megabytes;
	u32 pipe_mode;		/* KVMB_PIPE_MODE_*, with KVMB_OFFER_NAMED_PIPE */
	const char *name;	/* "net0": for logs, info and stats; borrowed for good */
	const struct kvmb_vsp_ops *ops;
	void *dev;		/* the provider's instance */
};

struct kvmb_chan_stats { /* written by the owner of the rings, read by anyone */
	u64 packets_in;
	u64 packets_out;
	u64 wakes;   /* times the owner woke because the guest signalled */
	u64 signals; /* times we raised the guest's SINT */
	u64 errors;  /* malformed packets and broken protocol */
};

/* What a provider may touch of an open channel. Everything else is the bus's. */
struct kvmb_chan_io {
	struct kvmb_ring rx; /* guest to host; we read */
	struct kvmb_ring tx; /* host to guest; we write */
	int signal_fd;	     /* eventfd that HvSignalEvent increments, non-blocking */
	u8 user[120];	     /* user data of the guest's OPENCHANNEL */
	struct kvmb_chan_stats stats;
	void *priv;	     /* the provider's, per channel */
};

struct kvmb_chan_io *kvmb_chan_io(struct kvmb_chan *ch);
void *kvmb_chan_dev(const struct kvmb_chan *ch);
struct kvmb_bus *kvmb_chan_bus(const struct kvmb_chan *ch);
const char *kvmb_chan_name(const struct kvmb_chan *ch); /* "vm1/net0" */
u16 kvmb_chan_index(const struct kvmb_chan *ch);	/* 0 = primary */
u32 kvmb_chan_relid(const struct kvmb_chan *ch);
struct kvmb_loop *kvmb_bus_loop(const struct kvmb_bus *bus);
struct kvmb_vmm *kvmb_bus_vmm(const struct kvmb_bus *bus);
u32 kvmb_bus_version(const struct kvmb_bus *bus);

/** kvmb_chan_signal() - Interrupt the guest for this channel. [any] The hot path. */
void kvmb_chan_signal(struct kvmb_chan *ch);

/**
 * kvmb_chan_flush() - Publish what was put into the tx ring and signal if wanted [any]
 * Return: 0, or -EPROTO when the guest's index is invalid: fail the channel.
 */
int kvmb_chan_flush(struct kvmb_chan *ch);

/**
 * kvmb_chan_send() - One packet, visible and signalled at once [owner of the rings]
 * Return: as kvmb_ring_put(). For control paths; data paths batch.
 */
int kvmb_chan_send(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *payload,
		   u32 len);

/**
 * kvmb_chan_fail() - The guest broke the protocol of this channel [any]
 * @why: static text, logged rate-limited with @err
 *
 * The caller stops touching the rings but does not report the channel closed: that
 * happens when the guest closes it or goes away.
 */
void kvmb_chan_fail(struct kvmb_chan *ch, const char *why, int err);

/** kvmb_chan_closed() - The provider is off the rings, after close() or before it. [any] */
void kvmb_chan_closed(struct kvmb_chan *ch);

/**
 * kvmb_chan_offer_subs() - Offer sub-channels of an open primary [any]
 * @num: how many, indices 1..@num; a second call only adds what is missing
 */
void kvmb_chan_offer_subs(struct kvmb_chan *primary, u16 num);

/**
 * kvmb_gpadl_get() - Take a reference on a guest's page list [any]
 * @ch: channel that the list was made for
 * @id: the guest's handle, hostile
 *
 * Return: the list, pages valid until kvmb_gpadl_put(); a teardown asked meanwhile is
 * answered only then. NULL when there is no such complete list for this channel.
 */
struct kvmb_gpadl *kvmb_gpadl_get(struct kvmb_chan *ch, u32 id);
void kvmb_gpadl_put(struct kvmb_bus *bus, struct kvmb_gpadl *g); /* NULL is fine */
const u64 *kvmb_gpadl_gfns(const struct kvmb_gpadl *g, u32 *num);

#endif
