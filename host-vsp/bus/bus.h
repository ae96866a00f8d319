/* SPDX-License-Identifier: GPL-2.0-only */
/* The VMBus server: create it, offer and revoke devices, feed it messages, reset it. */
#ifndef KVMB_BUS_H
#define KVMB_BUS_H

#include "host-vsp/vmm_if.h"
#include "host-vsp/vsp.h"

struct kvmb_bus_config {
	struct kvmb_loop *loop; /* the bus thread is the thread that runs it */
	struct kvmb_vmm *vmm;
	u32 max_version;	/* KVMB_VERSION_*; newer ones are refused */
	const char *who;	/* log prefix; must outlive the bus */
};

struct kvmb_bus_stats { /* bus thread */
	u64 messages_in;
	u64 messages_out;
	u64 refused;	/* malformed, unexpected or unknown messages */
	u64 busy;	/* posts answered "no buffers" because a queue was full */
	u32 gpadls;
	u64 gpadl_pages;
};

/** kvmb_bus_create() - Make a bus without devices, disconnected. Return: never NULL. */
struct kvmb_bus *kvmb_bus_create(const struct kvmb_bus_config *cfg);

/**
 * kvmb_bus_destroy() - Free the bus and all channels
 *
 * Only after kvmb_bus_reset() has called its function, or if the guest never connected. NULL is
 * fine.
 */
void kvmb_bus_destroy(struct kvmb_bus *bus);

/**
 * kvmb_bus_offer() - Add a device; offer it at once if the guest has asked for offers
 * @bus:   the bus
 * @offer: copied; what it points to must outlive the bus
 * @out:   set to the primary channel on success; may be NULL
 *
 * The offer waits while the guest has not released a revoked device of the same type and instance.
 * If no relid is free, the device is logged and stays hidden until the guest connects again.
 *
 * Return: 0; -EEXIST when there is a device of the same type and instance.
 * Context: bus thread, or before the VM runs.
 */
int kvmb_bus_offer(struct kvmb_bus *bus, const struct kvmb_offer *offer, struct kvmb_chan **out);

/**
 * kvmb_bus_goes() - Has the guest still to release a device that was taken away?
 *
 * A Linux guest takes an offer of the same type and instance for a second one, and warns of it.
 * Context: bus thread.
 */
bool kvmb_bus_goes(const struct kvmb_bus *bus, const struct kvmb_guid *type,
		   const struct kvmb_guid *instance);

/**
 * kvmb_bus_revoke() - Take a device away: rescind it and its sub-channels
 * @primary: freed when the guest has released it, after released() of its ops
 *
 * Returns at once. The guest is told when the provider is off the rings. Context: bus thread.
 */
void kvmb_bus_revoke(struct kvmb_chan *primary);

struct kvmb_bus_sockets { /* who serves sockets of the guest: hvsock/hvsock.h */
	/*
	 * The guest wants a connection from its @endpoint to the host's @service, both hostile. The
	 * answer is an offer of that type and instance, or kvmb_bus_refuse_socket().
	 */
	void (*connect)(void *arg, const struct kvmb_guid *endpoint,
			const struct kvmb_guid *service);
	void (*resumed)(void *arg); /* the bus goes on after a pause */
	void *arg;
};

/** kvmb_bus_serve_sockets() - @s is copied. Until then connections are refused. Bus thread. */
void kvmb_bus_serve_sockets(struct kvmb_bus *bus, const struct kvmb_bus_sockets *s);

/**
 * kvmb_bus_refuse_socket() - Nobody listens there
 *
 * A guest older than VMBus 4.1 hears nothing. Linux ignores what it hears, and waits for its time
 * limit (docs/protocol.md#11.6). Context: bus thread, and the bus is not paused.
 */
void kvmb_bus_refuse_socket(struct kvmb_bus *bus, const struct kvmb_guid *endpoint,
			    const struct kvmb_guid *service);

/**
 * kvmb_bus_post() - Queue a message of the guest (HvPostMessage)
 * @bus:     the bus
 * @conn_id: connection the guest posted to
 * @type:    message type of the hypercall input
 * @payload: private copy
 * @len:     bytes, as the guest said
 *
 * Return: hypercall status KVMB_HV_STATUS_*; INSUFFICIENT_BUFFERS when the queue is full.
 * Context: any thread, does not block. Trust: all arguments are guest-controlled.
 */
u16 kvmb_bus_post(struct kvmb_bus *bus, u32 conn_id, u32 type, const void *payload, u32 len);

/** kvmb_bus_message_acked() - A message slot may be free again. Any thread. */
void kvmb_bus_message_acked(struct kvmb_bus *bus);

/**
 * kvmb_bus_reset() - Forget the guest, because the VM is reset or ends
 * @bus:  the bus
 * @done: called on the bus thread when no provider touches guest memory any more
 * @arg:  of @done
 *
 * Context: bus thread; @done may be called before this returns.
 */
void kvmb_bus_reset(struct kvmb_bus *bus, void (*done)(void *arg), void *arg);

/**
 * kvmb_bus_dirty() - Note what is written too often to be noted each time (lib/dirty_log.h)
 *
 * Control pages of open channels' rings, and the interrupt page. Context: bus thread; before the
 * last look at the log, when the bus stands.
 */
void kvmb_bus_dirty(struct kvmb_bus *bus);

/**
 * kvmb_bus_dirty_rings() - Note all pages of all rings, written or not
 *
 * Who loads the bus maps rings, and needs their pages at once (kvmb_gm.lazy). Context: as
 * kvmb_bus_dirty().
 */
void kvmb_bus_dirty_rings(struct kvmb_bus *bus);

/** kvmb_bus_get_stats() - Copy the bus's counters to @st. Bus thread. */
void kvmb_bus_get_stats(struct kvmb_bus *bus, struct kvmb_bus_stats *st);

/** kvmb_bus_state_name() - For info: "disconnected", "connected", "offered", ... */
const char *kvmb_bus_state_name(const struct kvmb_bus *bus);

struct kvmb_chan_info {
	const char *name; /* "net0" */
	u16 index;
	u32 relid;	  /* 0 = not offered */
	u32 target_vp;
	const char *state;
	struct kvmb_guid type, instance;
	struct kvmb_chan_stats stats;
	u32 rx_used, rx_size, tx_used, tx_size; /* bytes, 0 while closed */
};

/** kvmb_bus_for_each() - Visit every channel in offer order. Bus thread. */
void kvmb_bus_for_each(struct kvmb_bus *bus, void (*fn)(void *arg, const struct kvmb_chan_info *i),
		       void *arg);

#endif
