/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface between the bus and a provider (VSP).
 *
 * DOC: Theory of operation
 *
 * A provider gives the bus an offer. When the guest opens the channel, the bus maps the rings,
 * binds an eventfd to the channel's connection id and calls open(). From then on the provider
 * owns both rings, on a thread of its choice, until it calls kvmb_chan_closed(). close() only
 * asks for that: the provider first finishes the requests in flight, and only then does the
 * guest get its pages back.
 *
 * Between open() and close() a channel may be paused: to save its state, or while the VM is
 * paused. pause() asks for it; the provider finishes what backends have in hand, publishes what it
 * has put into the rings, and says kvmb_chan_paused(). From then on it touches no guest memory and
 * no ring, and keeps what waits (a failed write that is held back, an answer without room).
 * resume() lets it go on: it looks at its rings at once, as after a signal. A channel that is
 * opened while the bus is paused begins paused: kvmb_chan_starts_paused().
 *
 * save() writes what a channel that stands has in hand: what cannot be had again from guest memory
 * or from the device's own section. load() gets it in another process, after an open() that began
 * paused and found the rings as the guest left them.
 *
 * Thread rules: all operations run on the bus thread and must not block on I/O. Functions marked
 * [any] may be called from a provider's own thread.
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
struct kvmb_tlv;
struct kvmb_tlv_out;

struct kvmb_vsp_ops { /* const, one per kind of device */
	const char *name;
	/*
	 * It does not outlive its process: a guest that goes on elsewhere hears there that the
	 * device was taken away, as if it had been revoked. Then save() and load() are NULL.
	 */
	bool transient;
	/* The rings are mapped. Return: 0, or -errno: the guest's open fails. */
	int (*open)(struct kvmb_chan *ch);
	/* Stop. Call kvmb_chan_closed() when you no longer touch the rings. */
	void (*close)(struct kvmb_chan *ch);
	/* After kvmb_chan_closed(): join threads, free what open() made. May be NULL. */
	void (*closed)(struct kvmb_chan *ch);
	/*
	 * Stand still: kvmb_chan_paused() when it does. Not twice without resume(); a resume() or a
	 * close() may come before it stands. NULL: a provider without a thread, which reads its
	 * ring on the bus thread and looks at kvmb_bus_paused() before it touches it.
	 */
	void (*pause)(struct kvmb_chan *ch);
	/* Go on. For a provider without a thread: look at the ring. May be NULL. */
	void (*resume)(struct kvmb_chan *ch);
	/* The channel stands: put its fields into the open group. NULL: there are none. */
	void (*save)(struct kvmb_chan *ch, struct kvmb_tlv_out *o);
	/*
	 * After open(), standing: take what save() has put into @group, all of it hostile.
	 * Return: 0; -errno, and kvmb_tlv_refuse() has said why. NULL if save() is.
	 */
	int (*load)(struct kvmb_chan *ch, struct kvmb_tlv *group);
	/* The guest has released a revoked primary; @ch is freed after return. May be NULL. */
	void (*released)(struct kvmb_chan *ch);
	/* The guest was reset or unloaded its bus; the primary is at rest. May be NULL. */
	void (*forgotten)(struct kvmb_chan *ch);
};

struct kvmb_offer {
	struct kvmb_guid type;
	struct kvmb_guid instance;
	u16 flags;		/* KVMB_OFFER_* */
	u16 mmio_megabytes;
	u32 pipe_mode;		/* KVMB_PIPE_MODE_*, with KVMB_OFFER_NAMED_PIPE */
	u8 user[16];		/* of the kind's own; with KVMB_OFFER_NAMED_PIPE behind the mode */
	const char *name;	/* "net0": for logs, info and stats; must outlive the bus */
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

/** kvmb_chan_io() - The provider's part of @ch: rings, signal, counters. [any] while it is open. */
struct kvmb_chan_io *kvmb_chan_io(struct kvmb_chan *ch);

/** kvmb_chan_dev() - The provider's instance, from the offer. [any] */
void *kvmb_chan_dev(const struct kvmb_chan *ch);

/** kvmb_chan_bus() - The bus of @ch. [any] */
struct kvmb_bus *kvmb_chan_bus(const struct kvmb_chan *ch);

/** kvmb_chan_name() - "vm1/net0", or "vm1/scsi0 ch2" of a sub-channel: for the log. [any] */
const char *kvmb_chan_name(const struct kvmb_chan *ch);

/** kvmb_chan_index() - 0 for a primary, else the sub-channel's index. [any] */
u16 kvmb_chan_index(const struct kvmb_chan *ch);

/** kvmb_chan_relid() - The number on the wire, 1 to 2047; 0 while not offered. Bus thread. */
u32 kvmb_chan_relid(const struct kvmb_chan *ch);

/** kvmb_bus_loop() - The loop of the bus thread. [any] */
struct kvmb_loop *kvmb_bus_loop(const struct kvmb_bus *bus);

/** kvmb_bus_vmm() - The VMM below the bus: guest memory, reference time. [any] */
struct kvmb_vmm *kvmb_bus_vmm(const struct kvmb_bus *bus);

/** kvmb_bus_version() - The agreed KVMB_VERSION_*, 0 before contact. [any], channel open. */
u32 kvmb_bus_version(const struct kvmb_bus *bus);

/** kvmb_chan_signal() - Interrupt the guest for this channel. [any] The hot path. */
void kvmb_chan_signal(struct kvmb_chan *ch);

/**
 * kvmb_chan_publish() - Publish what was put into the tx ring, for who signals in his own way
 * @ch: open channel; the caller owns its rings
 *
 * Return: as kvmb_ring_publish().
 */
int kvmb_chan_publish(struct kvmb_chan *ch);

/**
 * kvmb_chan_flush() - Publish what was put into the tx ring; signal if the guest wants it
 * @ch: open channel; the caller owns its rings
 *
 * Return: 0; -EPROTO when the guest's index is invalid: fail the channel.
 */
int kvmb_chan_flush(struct kvmb_chan *ch);

/**
 * kvmb_chan_send() - Write one packet, publish it and signal
 * @ch:       open channel; the caller owns its rings
 * @type:     KVMB_PKT_*
 * @flags:    KVMB_PKT_FLAG_*
 * @trans_id: opaque 64 bits that correlate request and completion
 * @payload:  payload[len]
 * @len:      bytes
 *
 * For control paths; data paths put several packets and flush once.
 *
 * Return: as kvmb_ring_put(), or kvmb_chan_flush().
 */
int kvmb_chan_send(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *payload,
		   u32 len);

/**
 * kvmb_chan_fail() - Report that the guest broke the protocol of this channel [any]
 * @ch:  open channel
 * @why: static text, logged at a limited rate together with @err
 * @err: negative errno
 *
 * The caller stops touching the rings. It does not report the channel closed yet; that happens
 * when the guest closes it or goes away.
 */
void kvmb_chan_fail(struct kvmb_chan *ch, const char *why, int err);

/** kvmb_chan_closed() - The provider no longer touches the rings. Before or after close(). [any] */
void kvmb_chan_closed(struct kvmb_chan *ch);

/** kvmb_chan_paused() - The provider stands still, as pause() has asked. [any] */
void kvmb_chan_paused(struct kvmb_chan *ch);

/** kvmb_chan_starts_paused() - In open(): begin as if pause() had been called and answered. */
bool kvmb_chan_starts_paused(const struct kvmb_chan *ch);

/** kvmb_bus_paused() - Is the bus paused, or about to be? Bus thread. */
bool kvmb_bus_paused(const struct kvmb_bus *bus);

/**
 * kvmb_chan_offer_subs() - Offer sub-channels of an open primary [any]
 * @primary: open channel
 * @num:     how many, with indices 1..@num; a second call only adds the missing ones
 */
void kvmb_chan_offer_subs(struct kvmb_chan *primary, u16 num);

/**
 * kvmb_gpadl_get() - Take a reference on a guest's page list [any]
 * @ch: channel that the list was made for
 * @id: the guest's handle, hostile
 *
 * Return: the list; its pages stay valid until kvmb_gpadl_put(), which also answers a teardown
 * that was requested meanwhile. NULL when this channel has no complete list of that handle.
 */
struct kvmb_gpadl *kvmb_gpadl_get(struct kvmb_chan *ch, u32 id);

/** kvmb_gpadl_put() - Drop a reference; NULL is fine. [any] */
void kvmb_gpadl_put(struct kvmb_bus *bus, struct kvmb_gpadl *g);

/**
 * kvmb_gpadl_gfns() - The frames of a page list [any, with a reference]
 * @g:   the list
 * @num: set to the number of frames
 *
 * Return: gfns[num], each checked to be RAM; valid as long as the reference.
 */
const u64 *kvmb_gpadl_gfns(const struct kvmb_gpadl *g, u32 *num);

#endif
