/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's VMBus as a driver (VSC) sees it: devices, drivers, channels.
 *
 * DOC: Theory of operation
 *
 * The host offers channels. A primary channel is a device on the bus type "kvmbus". The driver for
 * its type GUID opens the channel, speaks the device's protocol over the two rings, and may get
 * sub-channels of the same device later.
 *
 * The host is not trusted. kvmb_ring_peek() copies a packet out of the ring once and checks the
 * copy. A broken ring is marked dead (kvmb_chan_fail()), and its channel does no more I/O. Every
 * wait for the host has a time limit.
 *
 * The host may rescind a channel at any time. From then on kvmb_chan_gone() is true, waits end, and
 * the device is unregistered, which calls the driver's remove().
 *
 * When the system hibernates, drivers close their channels, and the bus disconnects from the host.
 * When it wakes, the bus connects again, finds its devices among the new offers by type and
 * instance (conn.c, kvmb_bus_wake()), and drivers open their channels again.
 *
 * Context: open, close, gpadl calls sleep. kvmb_send*() may be called anywhere. A channel's
 * callback runs in hard interrupt context on the channel's target CPU.
 */
#ifndef KVMB_GUEST_BUS_H
#define KVMB_GUEST_BUS_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "vmbus-core/chanmsg.h"
#include "vmbus-core/ring.h"

#ifndef KVMB_WAIT_S
#define KVMB_WAIT_S 60 /* for an answer of the host on the control path */
#endif
#define KVMB_WAIT_SLICES 4 /* per second: how often a wait checks whether to go on */

struct kvmb_chan;
struct kvmb_device;

/*
 * A channel, the guest's view.
 *
 * OFFERED: known, not open. Operations: kvmb_chan_open() -> OPENING.
 * OPENING: the ring's page list and the channel are being made. -> OPEN, or OFFERED on failure.
 * OPEN: rings are live; the callback may run. Operations: kvmb_chan_close() -> CLOSING.
 * CLOSING: the callback runs no more; pages are being taken back. -> OFFERED.
 * Caveats: `gone` is apart from the state: the host may rescind in any of them.
 */
enum kvmb_chan_state {
	KVMB_CHAN_OFFERED,
	KVMB_CHAN_OPENING,
	KVMB_CHAN_OPEN,
	KVMB_CHAN_CLOSING,
	KVMB_CHAN_NUM
};

/* Pages that the host may use: it knows them and has not confirmed their teardown. */
struct kvmb_gpadl {
	u32 handle;	/* 0: none */
	void *addr;	/* page-aligned, vmalloc */
	u32 size;	/* bytes, multiple of 4096 */
};

struct kvmb_chan {
	struct kref ref;
	struct kvmb_device *dev;	/* NULL until the device is registered */
	struct kvmb_chan *primary;	/* NULL: this is one */
	struct list_head subs;		/* of a primary: its sub-channels, bus lock */
	struct list_head sub_entry;	/* in primary->subs */
	struct list_head entry;		/* in the list of all channels, bus lock */

	/* immutable after the offer */
	struct kvmb_guid type, instance;
	u32 relid;			/* 1..2047 */
	u32 conn_id;			/* for HvSignalEvent */
	u16 index;			/* 0: primary */
	bool dedicated;			/* signals need no bit in the interrupt page */
	u8 user[120];			/* user data of the offer */

	enum kvmb_chan_state state;	/* one writer: set_state() in chan_guest.c; bus mutex */
	bool gone;			/* rescinded; once true, always true */
	bool dead;			/* the host broke the protocol of this channel */
	unsigned int cpu;		/* where we want interrupts; written under bus lock */
	unsigned int home_cpu;		/* ... again when it comes back online; under cpu_lock */
	/* MODIFY to moving_to has no answer yet: the host interrupts @cpu or that. Bus lock */
	bool moving;
	unsigned int moving_to;
	u32 opens;	     /* how often it was opened, bus lock */
	unsigned int slices; /* of a primary: 1 + those left to all its waits; 0: no limit */

	struct page **pages;		/* pages[num_pages]: tx ring, then rx ring */
	u32 num_pages;
	u32 down_page;			/* where the rx ring begins */
	void *tx_map, *rx_map;		/* NULL: closed. One writer, set_maps(), under tx_lock */
	u32 ring_gpadl;

	void (*callback)(void *ctx);	/* NULL: not open */
	void *callback_ctx;
	struct mutex sub_lock; /* of a primary: held around sub_changed() */
	void (*sub_changed)(struct kvmb_chan *sub, void *ctx); /* kvmb_chan_watch_subs() */
	void *sub_ctx;			/* under sub_lock */

	/* on dev_wq; each holds a reference while it is queued */
	struct work_struct add_work, over_work;

	/*
	 * who sends and who reads are often on two CPUs: what each writes has cache lines of its
	 * own
	 */
	struct kvmb_ring tx ____cacheline_aligned_in_smp; /* guest to host, under tx_lock */
	spinlock_t tx_lock;
	u64 signals;			/* counted without a lock: about */
	/* host to guest; its one reader is the driver */
	struct kvmb_ring rx ____cacheline_aligned_in_smp;
	u64 interrupts;			/* by its interrupt only */
	struct kobject *kobj ____cacheline_aligned_in_smp; /* channels/<relid> in sysfs */
};

struct kvmb_device {
	struct device dev;
	struct kvmb_chan *chan;		/* primary */
	struct kobject *chans_kobj;	/* "channels" */
	spinlock_t override_lock;
	char *override; /* its only driver; NULL: any. Under override_lock */
};
#define to_kvmb_device(d) container_of(d, struct kvmb_device, dev)

struct kvmb_driver {
	const char *name;
	const struct kvmb_guid *types;	/* types[num_types] that it drives */
	unsigned int num_types;
	int (*probe)(struct kvmb_device *dev);
	void (*remove)(struct kvmb_device *dev);
	void (*shutdown)(struct kvmb_device *dev); /* may be NULL */
	int (*suspend)(struct kvmb_device *dev); /* closes its channels: the connection ends */
	/* opens them again: the host may be another, the device is the same */
	int (*resume)(struct kvmb_device *dev);
	struct device_driver driver; /* the bus fills it, and what follows */
	struct list_head added;	     /* types that the user added, under added_lock */
	spinlock_t added_lock;
};

/*
 * Bus and drivers are modules of their own that share the structs above, and one of them may be
 * older: kvmb_bus in an initramfs, say. Kernels without MODVERSIONS would load them all the same.
 * So the symbol that every driver needs has a sum of the shared headers in its name, which Kbuild
 * gives.
 */
#ifndef KVMB_ABI
#define KVMB_ABI 0
#endif
#define kvmb_driver_register __PASTE(kvmb_driver_register_, KVMB_ABI)

/**
 * kvmb_driver_register() - Register a driver and probe the devices that it fits
 * @drv:   static
 * @owner: THIS_MODULE
 *
 * Return: 0 or -errno. Context: may sleep.
 */
int kvmb_driver_register(struct kvmb_driver *drv, struct module *owner);

/** kvmb_driver_unregister() - Remove a driver; calls remove() for its devices. May sleep. */
void kvmb_driver_unregister(struct kvmb_driver *drv);

/**
 * kvmb_ref_time() - The host's reference counter, 100 ns since the VM's start
 *
 * If the host has none: since boot. Context: any.
 */
u64 kvmb_ref_time(void);

/** kvmb_bus_protocol() - Negotiated version, major << 16 | minor */
u32 kvmb_bus_protocol(void);

/**
 * kvmb_chan_open() - Give the host two rings and start
 * @ch:       offered channel
 * @pages:    4 KiB pages of each ring, with its control page; >= 2
 * @user:     user data, may be NULL
 * @user_len: <= 120
 * @callback: called in interrupt context when the host signals
 * @ctx:      its argument
 *
 * The callback may run before this returns, but only if the host has agreed: never if this fails.
 *
 * Return: 0; -EBUSY when it is open; -ENODEV rescinded; -ETIMEDOUT; -EIO when the host refused;
 * -ENOMEM. Context: may sleep.
 */
int kvmb_chan_open(struct kvmb_chan *ch, u32 pages, const void *user, u32 user_len,
		   void (*callback)(void *), void *ctx);

/**
 * kvmb_chan_stop() - Stop callbacks: none runs any more when this returns
 *
 * The rings stay. kvmb_chan_close() calls this. A driver whose callback must not see it partly torn
 * down calls it earlier. Context: may sleep.
 */
void kvmb_chan_stop(struct kvmb_chan *ch);

/**
 * kvmb_chan_close() - Close a channel and take its pages back; sub-channels first
 *
 * Return: 0; -ETIMEDOUT when the host does not answer: it may still use the rings, so they are
 * leaked. Context: may sleep.
 */
int kvmb_chan_close(struct kvmb_chan *ch);

/**
 * kvmb_chan_watch_subs() - Get a call for each sub-channel that the host offers from now on, and
 * another when it is rescinded while open (kvmb_chan_gone() tells which)
 * @primary: channel of the caller's device
 * @fn:      called one at a time, on a workqueue of the bus; may open the sub-channel, or close it
 * @ctx:     its argument
 */
void kvmb_chan_watch_subs(struct kvmb_chan *primary, void (*fn)(struct kvmb_chan *sub, void *ctx),
			  void *ctx);

/**
 * kvmb_chan_unwatch_subs() - End kvmb_chan_watch_subs()
 *
 * No call of its function runs any more when this returns. Context: may sleep.
 */
void kvmb_chan_unwatch_subs(struct kvmb_chan *primary);

static inline bool kvmb_chan_gone(const struct kvmb_chan *ch)
{
	return READ_ONCE(ch->gone);
}

/** kvmb_chan_usable() - Is it open, and its host behaved? As far as one knows without a lock */
static inline bool kvmb_chan_usable(const struct kvmb_chan *ch)
{
	return READ_ONCE(ch->callback) && !READ_ONCE(ch->dead) && !kvmb_chan_gone(ch);
}

/**
 * kvmb_chan_fail() - The host broke the protocol: stop I/O on this channel, log one line
 *
 * Context: any.
 */
void kvmb_chan_fail(struct kvmb_chan *ch, const char *why);

/** kvmb_chan_signal() - HvSignalEvent for this channel. Any context. */
void kvmb_chan_signal(struct kvmb_chan *ch);

/**
 * kvmb_send() - Write one packet, publish it, and signal if the host wants it
 * @ch:       open channel
 * @type:     KVMB_PKT_*
 * @flags:    KVMB_PKT_FLAG_*
 * @trans_id: correlates the completion
 * @hdr:      type-specific header (page ranges), may be NULL
 * @hdr_len:  bytes, multiple of 8
 * @payload:  payload
 * @len:      bytes
 *
 * Return: 0; -EAGAIN when the ring is full; -ENODEV when closed, rescinded or dead; -EPROTO when
 * the host's index is out of range (then the channel is dead). Context: any.
 */
int kvmb_send(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *hdr, u32 hdr_len,
	      const void *payload, u32 len);

/**
 * kvmb_put() - kvmb_send() without publishing
 *
 * kvmb_flush() publishes the packet, and so does anything else that is sent on @ch. When the ring
 * is full, earlier packets are published.
 *
 * Return: as kvmb_send(). Context: any.
 */
int kvmb_put(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *hdr, u32 hdr_len,
	     const void *payload, u32 len);

/**
 * kvmb_flush() - Publish what was put, and signal if the host wants it
 *
 * Return: 0, or as kvmb_send(). Context: any.
 */
int kvmb_flush(struct kvmb_chan *ch);

/**
 * kvmb_complete() - Complete several packets with the same payload, and publish them together
 * @ch:      open channel
 * @ids:     ids[@num], of the packets
 * @num:     how many
 * @payload: of each
 * @len:     bytes
 *
 * Return: the number of completions that the ring had room for; -ENODEV, -EPROTO as kvmb_send().
 * Context: any.
 */
int kvmb_complete(struct kvmb_chan *ch, const u64 *ids, u32 num, const void *payload, u32 len);

/**
 * kvmb_recv() - Copy out the next packet
 * @ch:  open channel; the caller is its only reader
 * @buf: private copy
 * @size: of @buf
 * @pkt: describes the copy
 *
 * The space goes back to the host in batches: when the ring is empty, when a good part of it was
 * read, or by kvmb_recv_done(). A caller that reads until -EAGAIN has given everything back, and
 * the ring was checked once more after that.
 *
 * Return: 0; -EAGAIN when empty; -ENODEV when closed; -EPROTO or -EMSGSIZE and the channel is dead.
 * Context: any.
 */
int kvmb_recv(struct kvmb_chan *ch, void *buf, u32 size, struct kvmb_pkt *pkt);

/**
 * kvmb_recv_done() - Give space back, for a reader that stops before the ring is empty
 * @ch: as for kvmb_recv()
 *
 * Return: true if there was space to give back. Context: as kvmb_recv().
 */
bool kvmb_recv_done(struct kvmb_chan *ch);

/**
 * kvmb_gpadl_create() - Let the host use a buffer
 * @ch:   channel it belongs to
 * @addr: vmalloc'ed, page-aligned
 * @size: bytes, multiple of 4096
 * @g:    filled on success; the buffer must live until kvmb_gpadl_destroy() returns 0
 *
 * Return: 0; -EIO when the host refuses; -ENODEV when @ch is rescinded; -ENOMEM; -ETIMEDOUT: the
 * host may still use the buffer, so leak it. Context: may sleep.
 */
int kvmb_gpadl_create(struct kvmb_chan *ch, void *addr, u32 size, struct kvmb_gpadl *g);

/**
 * kvmb_gpadl_destroy() - Take a buffer back from the host
 *
 * Return: 0; -errno: the host may still use the buffer, so leak it. Context: may sleep.
 */
int kvmb_gpadl_destroy(struct kvmb_chan *ch, struct kvmb_gpadl *g);

/**
 * kvmb_chan_wait() - Wait for an answer over the ring, at most as long as the channel lives
 * @ch:      open channel
 * @done:    completed by the driver when the answer comes
 * @seconds: longest wait
 *
 * Return: 0; -ENODEV when rescinded or dead; -ETIMEDOUT. Context: may sleep.
 */
int kvmb_chan_wait(struct kvmb_chan *ch, struct completion *done, unsigned int seconds);

/**
 * kvmb_chan_wait_slices() - kvmb_chan_wait() with a limit that several waits share
 * @ch:     open channel
 * @done:   completed by the driver when the answer comes
 * @slices: what is left of the limit, KVMB_WAIT_SLICES per second; counted down
 *
 * Return: as kvmb_chan_wait(). Context: may sleep.
 */
int kvmb_chan_wait_slices(struct kvmb_chan *ch, struct completion *done, unsigned int *slices);

/**
 * kvmb_chan_limit() - Limit all waits for a channel and its sub-channels together
 * @primary: channel of the caller's device
 * @seconds: for all waits from now on; 0: no such limit any more, each wait has its own
 *
 * Waits under way are shortened too. A request that is not answered in time counts as never
 * answered: see kvmb_gpadl_destroy(), kvmb_chan_close().
 *
 * Context: any; one caller at a time.
 */
void kvmb_chan_limit(struct kvmb_chan *primary, unsigned int seconds);

/** kvmb_chan_limited() - Whether kvmb_chan_limit() has set one */
static inline bool kvmb_chan_limited(const struct kvmb_chan *primary)
{
	return READ_ONCE(primary->slices);
}

#endif
