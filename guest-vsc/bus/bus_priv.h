/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by guest-vsc/bus alone. */
#ifndef KVMB_GUEST_BUS_PRIV_H
#define KVMB_GUEST_BUS_PRIV_H

#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "guest-vsc/bus/bus.h"

#define KVMB_NUM_RELIDS (KVMB_MAX_RELID + 1)

/* Somebody waits for an answer. On its stack, in kvmb.waits while it waits. */
struct kvmb_wait {
	struct list_head entry;
	enum kvmb_msg answer;	/* message that ends the wait */
	u32 key;		/* relid or page list handle that it must name; 0: any */
	struct kvmb_chan *ch;	/* its rescind ends the wait too; may be NULL */
	struct completion done;
	int err;		/* -ENODEV after a rescind */
	u8 buf[64];		/* copy of the answer, as far as it fits */
	u32 len;
};

/* What speaks for and against a CPU as the target of one more channel of a device */
struct kvmb_cpu_use {
	bool online;   /* no other is chosen */
	bool isolated; /* the user keeps interrupts away from it: only where there is no other */
	u16 node;      /* of memory, < num_nodes */
	u16 of_device; /* channels of that device that it has */
	u16 of_all;    /* channels that it has */
};

struct kvmb_cpu_table {
	unsigned int num_cpus, num_nodes;
	struct kvmb_cpu_use *cpus; /* cpus[num_cpus] */
	u16 *of_node;		   /* of_node[num_nodes]: channels of the device; computed */
};

struct kvmb_state { /* one per kernel: there is one SynIC */
	u32 version;		/* negotiated; 0: no connection */
	u32 msg_conn;		/* connection id for messages */
	unsigned int connect_cpu; /* control messages come here */
	/* versions below 5.0: first half from the host, second half to it; NULL: not connected */
	void __rcu *int_page;
	void *monitor_pages[2];

	/* channel list, states, sysfs; never held while waiting for the host */
	struct mutex lock;
	/* one channel changes its CPU at a time; inside the CPU hot-plug lock */
	struct mutex cpu_lock;
	struct kvmb_cpu_table cpus; /* for the next choice; under lock */
	struct list_head chans;
	struct kvmb_chan __rcu *by_relid[KVMB_NUM_RELIDS];

	spinlock_t wait_lock;
	struct list_head waits;

	atomic_t next_gpadl;
	struct delayed_work kick_work;	/* a look at every channel, a while after a CPU went */
	struct workqueue_struct *msg_wq;  /* reads message slots; never waits for the host */
	/* ordered: adds and removes devices; may wait for msg_wq */
	struct workqueue_struct *dev_wq;
	/* the host has said that it forgot us; the crash path looks at it */
	bool unload_answered;
	/* offers are only listed: what they are decides whether we stay. Under lock */
	bool holding;
	/* a class that only in-tree drivers serve, of those offers; NULL: none. Under lock */
	const char *foreign;
	/* no offer is taken, no number given back: the host will forget all */
	bool unloading;
	u32 max_version;	/* that the user allows */
};
extern struct kvmb_state kvmb;

/* synic.c: MSRs, pages, hypercalls, the interrupt */
int kvmb_synic_start(void);
void kvmb_synic_stop(void);
void kvmb_synic_disable_this_cpu(void);
void kvmb_synic_sleep(void);
void kvmb_synic_wake(void);
bool kvmb_synic_taken(void);
u16 kvmb_hv_post(u32 conn_id, const void *msg, u32 len);
void kvmb_hv_signal(u32 conn_id);
bool kvmb_synic_poll_message(u32 type); /* crash path: look into every CPU's slot */

/* conn.c: life, contact, messages */
/* @force: stay where the host offers what we do not drive */
int kvmb_bus_start(u32 max_version, bool force);
void kvmb_bus_stop(void);
int kvmb_bus_sleep(void);
int kvmb_bus_wake(void);
int kvmb_post_msg(enum kvmb_msg type, void *msg, u32 len, bool may_sleep);
void kvmb_wait_begin(struct kvmb_wait *w, enum kvmb_msg answer, u32 key, struct kvmb_chan *ch);
int kvmb_wait_end(struct kvmb_wait *w, unsigned int seconds);
void kvmb_wait_cancel(struct kvmb_wait *w);
/*
 * Post @type and wait for @answer about @key, copied to out[@size], no more than its least size; 0
 * or -errno
 */
int kvmb_ask(enum kvmb_msg type, void *msg, u32 len, enum kvmb_msg answer, u32 key,
	     struct kvmb_chan *ch, void *out, u32 size);
void kvmb_wake_rescinded(struct kvmb_chan *ch);
void kvmb_on_message(const void *msg, u32 len);
void kvmb_disconnect(bool crash);

/* chan_guest.c: a channel's use */
void kvmb_chan_interrupt(u32 relid);
/*
 * A wait for @ch (NULL: for the bus) wants another slice. Return: false: kvmb_chan_limit() is
 * reached
 */
bool kvmb_chan_take_slice(struct kvmb_chan *ch);
void kvmb_chan_put(struct kvmb_chan *ch);
const char *kvmb_chan_state_name(const struct kvmb_chan *ch);

/* cpu_guest.c: which CPU a channel interrupts */
int kvmb_cpu_table_init(struct kvmb_cpu_table *t);
void kvmb_cpu_table_fini(struct kvmb_cpu_table *t);
/*
 * The best CPU for one more channel of a device: not an isolated one; of these one with the fewest
 * channels of the device, on the node that has the fewest of them, with the fewest of all.
 * Nothing but @t is looked at. Return: its number; num_cpus: none is online
 */
unsigned int kvmb_cpu_choose(struct kvmb_cpu_table *t);
/* The same for @ch as things are, @except excepted (nr_cpu_ids: none). Caller holds kvmb.lock */
unsigned int kvmb_chan_choose_cpu(const struct kvmb_chan *ch, unsigned int except);
/*
 * Caller holds cpu_lock, and keeps @cpu online. While it is being opened, the opener moves it.
 * Return: 0; -EBUSY: an earlier MODIFY has no answer yet; -EOPNOTSUPP; or as kvmb_ask()
 */
int kvmb_chan_set_cpu(struct kvmb_chan *ch, unsigned int cpu);
/* Tell the host. For the opener, and kvmb_chan_set_cpu() */
int kvmb_chan_tell_cpu(struct kvmb_chan *ch, unsigned int cpu);
/* The host's answer to a MODIFY for which nobody waits any more. On msg_wq */
void kvmb_chan_on_late_modified(const struct kvmb_wire_modify_response *m);
int kvmb_cpu_goes(unsigned int cpu); /* 0, or -EBUSY: it has to stay */
void kvmb_cpu_gone(void);	     /* its SynIC is off */
void kvmb_cpu_comes(unsigned int cpu);
void kvmb_chan_kick_here(void *relid);
void kvmb_chan_kick_later(void);
void kvmb_chan_kick_work(struct work_struct *work);

/* offer_guest.c: channels come and go */
void kvmb_chan_on_offer(const struct kvmb_wire_offer *m);
void kvmb_chan_on_rescind(u32 relid);
/*
 * A rescinded sub-channel that nobody has open is over; a primary when its device is gone. Caller
 * holds kvmb.lock
 */
void kvmb_chan_release_if_over(struct kvmb_chan *ch);
void kvmb_chan_remove_all(void);
void kvmb_chan_take_held(void);
int kvmb_chan_forget_numbers(void);
void kvmb_chan_rescind_missing(void);

/* gpadl_guest.c */
int kvmb_gpadl_from_pages(struct kvmb_chan *ch, struct page **pages, u32 num, u32 *handle);
int kvmb_gpadl_teardown(struct kvmb_chan *ch, u32 handle);

/* debug.c */
void kvmb_debug_start(void);
void kvmb_debug_stop(void);

/* match_guest.c: which driver a device gets */
bool kvmb_match(struct kvmb_device *dev, struct kvmb_driver *drv);
void kvmb_match_init(struct kvmb_driver *drv);
void kvmb_match_fini(struct kvmb_driver *drv);
extern const struct attribute_group *kvmb_driver_groups[], kvmb_override_group;

/* device.c: bus type, sysfs */
int kvmb_bus_type_register(void);
void kvmb_bus_type_unregister(void);
int kvmb_device_add(struct kvmb_chan *ch);
void kvmb_device_del(struct kvmb_device *dev);
int kvmb_sysfs_add_chan(struct kvmb_chan *ch);
void kvmb_sysfs_del_chan(struct kvmb_chan *ch);

#endif
