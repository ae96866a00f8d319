// SPDX-License-Identifier: GPL-2.0-only
/*
 * Offers and rescinds of channels, system sleep, unloading.
 *
 * DOC: Theory of operation
 *
 * A channel lives from its offer until it is both rescinded and closed; then the host gets its
 * number back (RELID_RELEASED).
 *
 * A rescind marks the channel at once (on msg_wq) and wakes everyone who waits for an answer about
 * it. Removing the device is work for dev_wq, in the order of the host's messages. dev_wq is
 * ordered, and the only place where channels are added to devices and removed from the list,
 * except for system sleep, when dev_wq is frozen.
 *
 * Until the host has made all its offers, they are only listed (kvmb.holding). If one is of a class
 * that we do not drive, we unload, and none of our devices has ever existed.
 *
 * Sources: Linux 6.1 drivers/hv/channel_mgmt.c; docs/protocol.md#3.8, #3.17 to #3.19.
 */
#include <linux/cpu.h>
#include <linux/slab.h>

#include "guest-vsc/bus/bus_priv.h"

/*
 * Classes of devices that only drivers in the kernel serve. One of them may be what this guest
 * boots from or is typed into, and the bus cannot be shared. GUIDs: Linux 6.1
 * include/linux/hyperv.h.
 */
static const struct {
	const char *name;
	struct kvmb_guid type;
} foreign_classes[] = {
	{ "vPCI",
	  KVMB_GUID(0x44c4f61d, 0x4444, 0x4400, 0x9d, 0x52, 0x80, 0x2e, 0x27, 0xed, 0xe1, 0x9f) },
	{ "Fibre Channel",
	  KVMB_GUID(0x2f9bcc4a, 0x0069, 0x4af3, 0xb7, 0x6b, 0x6f, 0xd0, 0xbe, 0x52, 0x8c, 0xda) },
	{ "a keyboard",
	  KVMB_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84) },
	{ "a mouse",
	  KVMB_GUID(0xcfa8b69e, 0x5b4a, 0x4cc0, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3, 0xf9, 0x5a) },
	{ "video",
	  KVMB_GUID(0xda0a7802, 0xe377, 0x4aac, 0x8e, 0x77, 0x05, 0x58, 0xeb, 0x10, 0x73, 0xf8) },
};

static const char *foreign_class(const struct kvmb_wire_offer *m)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(foreign_classes); i++) {
		if (kvmb_guid_equal(&m->type, &foreign_classes[i].type))
			return foreign_classes[i].name;
	}
	/* hv_sock: any GUID, and a flag */
	return le16_to_cpu(m->flags) & KVMB_OFFER_HV_SOCK ? "a socket" : NULL;
}

static void queue_dev_work(struct kvmb_chan *ch, struct work_struct *work)
{
	kref_get(&ch->ref);
	if (!queue_work(kvmb.dev_wq, work))
		kvmb_chan_put(ch); /* it is queued already */
}

/* ---- offers ---- */

void kvmb_chan_watch_subs(struct kvmb_chan *primary, void (*fn)(struct kvmb_chan *sub, void *ctx),
			  void *ctx)
{
	mutex_lock(&primary->sub_lock);
	primary->sub_changed = fn;
	primary->sub_ctx = ctx;
	mutex_unlock(&primary->sub_lock);
}
EXPORT_SYMBOL_GPL(kvmb_chan_watch_subs);

void kvmb_chan_unwatch_subs(struct kvmb_chan *primary)
{
	kvmb_chan_watch_subs(primary, NULL, NULL);
}
EXPORT_SYMBOL_GPL(kvmb_chan_unwatch_subs);

static void tell_driver(struct kvmb_chan *sub)
{
	struct kvmb_chan *primary = sub->primary;

	mutex_lock(&primary->sub_lock);
	if (primary->sub_changed)
		primary->sub_changed(sub, primary->sub_ctx);
	mutex_unlock(&primary->sub_lock);
}

static void add_work(struct work_struct *work)
{
	struct kvmb_chan *ch = container_of(work, struct kvmb_chan, add_work);
	struct kvmb_chan *primary = ch->primary;

	if (!kvmb_chan_gone(ch)) {
		if (!primary) {
			kvmb_device_add(ch);
		} else {
			ch->dev = primary->dev;
			kvmb_sysfs_add_chan(ch);
			tell_driver(ch);
		}
	}
	kvmb_chan_put(ch);
}

static void over_work(struct work_struct *work);

static struct kvmb_chan *find_primary(const struct kvmb_wire_offer *m)
{
	struct kvmb_chan *ch;

	lockdep_assert_held(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry) {
		if (!ch->primary && !kvmb_chan_gone(ch) && kvmb_guid_equal(&ch->type, &m->type) &&
		    kvmb_guid_equal(&ch->instance, &m->instance))
			return ch;
	}
	return NULL;
}

static void take_numbers(struct kvmb_chan *ch, const struct kvmb_wire_offer *m)
{
	ch->relid = le32_to_cpu(m->relid);
	ch->dedicated = false;
	ch->conn_id = KVMB_CONN_EVENT_OLD;
	if (kvmb.version >= KVMB_VERSION_WIN7) {
		ch->dedicated = le16_to_cpu(m->dedicated_interrupt) & 1;
		ch->conn_id = le32_to_cpu(m->connection_id) & HV_CONNECTION_ID_MASK;
	}
}

/*
 * A device that we had before we slept, with a number that nobody has. Return: whether it was one
 */
static bool woken(struct kvmb_chan *ch, const struct kvmb_wire_offer *m)
{
	if (!ch || ch->relid || le16_to_cpu(m->sub_channel_index) ||
	    rcu_access_pointer(kvmb.by_relid[le32_to_cpu(m->relid)]))
		return false;
	take_numbers(ch, m);
	rcu_assign_pointer(kvmb.by_relid[ch->relid], ch);
	return true;
}

void kvmb_chan_on_offer(const struct kvmb_wire_offer *m)
{
	u32 relid = le32_to_cpu(m->relid);
	struct kvmb_chan *ch, *primary;
	const char *why = NULL;
	bool held;

	if (!relid || relid > KVMB_MAX_RELID) {
		pr_warn_ratelimited("kvmbus: the host offers channel %u, which cannot be\n", relid);
		return;
	}
	ch = kzalloc(sizeof(*ch), GFP_KERNEL);
	if (!ch)
		return;
	kref_init(&ch->ref);
	INIT_LIST_HEAD(&ch->subs);
	INIT_LIST_HEAD(&ch->sub_entry);
	spin_lock_init(&ch->tx_lock);
	mutex_init(&ch->sub_lock);
	INIT_WORK(&ch->add_work, add_work);
	INIT_WORK(&ch->over_work, over_work);
	ch->type = m->type;
	ch->instance = m->instance;
	ch->index = le16_to_cpu(m->sub_channel_index);
	memcpy(ch->user, m->u.user, sizeof(ch->user));
	take_numbers(ch, m);

	mutex_lock(&kvmb.lock);
	primary = find_primary(m);
	if (woken(primary, m)) {
		mutex_unlock(&kvmb.lock);
		kfree(ch);
		return;
	}
	if (kvmb.unloading)
		why = "this driver is being unloaded";
	else if (!kvmb.version)
		why = "there is no connection yet";
	else if (rcu_access_pointer(kvmb.by_relid[relid]))
		why = "its number is in use";
	else if (!ch->index && primary)
		why = "its device is there already";
	else if (ch->index && !primary)
		why = "a sub-channel without a primary";
	if (!why) {
		if (ch->index) {
			kref_get(&primary->ref);
			ch->primary = primary;
			list_add_tail(&ch->sub_entry, &primary->subs);
		}
		/* below 2.4 all interrupts go where the messages go */
		ch->cpu = kvmb.version < KVMB_VERSION_WIN8 ? kvmb.connect_cpu :
							     kvmb_chan_choose_cpu(ch, nr_cpu_ids);
		ch->home_cpu = ch->cpu;
		list_add_tail(&ch->entry, &kvmb.chans);
		rcu_assign_pointer(kvmb.by_relid[relid], ch);
		if (foreign_class(m))
			kvmb.foreign = foreign_class(m);
	}
	held = kvmb.holding;
	mutex_unlock(&kvmb.lock);
	if (why) {
		pr_warn_ratelimited("kvmbus: offer of channel %u ignored: %s\n", relid, why);
		kfree(ch);
		return;
	}
	if (!held)
		queue_dev_work(ch, &ch->add_work);
}

/* We stay: what was offered before that was known becomes devices, in the order of its offers */
void kvmb_chan_take_held(void)
{
	struct kvmb_chan *ch;

	mutex_lock(&kvmb.lock);
	kvmb.holding = false;
	list_for_each_entry(ch, &kvmb.chans, entry)
		queue_dev_work(ch, &ch->add_work);
	mutex_unlock(&kvmb.lock);
}

/* ---- rescind ---- */

/* Off the table; the host may use the number again. */
static void release(struct kvmb_chan *ch)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(ch->relid) };

	kvmb_sysfs_del_chan(ch);
	mutex_lock(&kvmb.lock);
	if (ch->relid)
		rcu_assign_pointer(kvmb.by_relid[ch->relid], NULL);
	list_del_init(&ch->entry);
	list_del_init(&ch->sub_entry);
	mutex_unlock(&kvmb.lock);
	synchronize_rcu();
	if (!kvmb.unloading && ch->relid)
		kvmb_post_msg(KVMB_MSG_RELID_RELEASED, &m, sizeof(m), true);
	kvmb_chan_put(ch);
}

void kvmb_chan_release_if_over(struct kvmb_chan *ch)
{
	lockdep_assert_held(&kvmb.lock);
	if (ch->primary && kvmb_chan_gone(ch))
		queue_dev_work(ch, &ch->over_work);
}

static void over_work(struct work_struct *work)
{
	struct kvmb_chan *ch = container_of(work, struct kvmb_chan, over_work);
	bool known;

	mutex_lock(&kvmb.lock);
	known = ch->relid ? rcu_access_pointer(kvmb.by_relid[ch->relid]) == ch :
			    !list_empty(&ch->entry);
	mutex_unlock(&kvmb.lock);
	if (known && !ch->primary) {
		if (ch->dev)
			kvmb_device_del(ch->dev);
		release(ch);
	} else if (known && ch->state == KVMB_CHAN_OFFERED) {
		release(ch);
	} else if (known) { /* its driver closes it now, or when the primary goes */
		tell_driver(ch);
	}
	kvmb_chan_put(ch);
}

void kvmb_chan_on_rescind(u32 relid)
{
	struct kvmb_chan *ch = NULL;

	mutex_lock(&kvmb.lock);
	if (relid && relid <= KVMB_MAX_RELID)
		ch = rcu_dereference_protected(kvmb.by_relid[relid], lockdep_is_held(&kvmb.lock));
	if (ch && kvmb_chan_gone(ch))
		ch = NULL; /* twice */
	if (ch)
		kref_get(&ch->ref);
	mutex_unlock(&kvmb.lock);
	if (!ch) {
		pr_warn_ratelimited("kvmbus: the host takes back channel %u, which is not there\n",
				    relid);
		return;
	}
	kvmb_wake_rescinded(ch);
	queue_dev_work(ch, &ch->over_work);
	kvmb_chan_put(ch);
}

/* ---- sleep ---- */

/*
 * The connection ends, numbers mean nothing any more. Sub-channels end with it; primaries wait for
 * an offer of the same device. Return: -EBUSY when one is open.
 */
int kvmb_chan_forget_numbers(void)
{
	struct kvmb_chan *ch, *next;
	int err = 0;

	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry) {
		if (ch->state != KVMB_CHAN_OFFERED && !kvmb_chan_gone(ch))
			err = -EBUSY;
	}
	kvmb.unloading = !err; /* no offer is taken from here on, and no number given back */
	mutex_unlock(&kvmb.lock);
	if (err)
		return err;
	list_for_each_entry_safe(ch, next, &kvmb.chans, entry) {
		if (!ch->primary)
			continue;
		/*
		 * its add_work may wait on dev_wq, and must not open what will be somebody else's
		 * number
		 */
		kvmb_wake_rescinded(ch);
		release(ch);
	}
	/* dev_wq rests and no offer is taken: the list stays as it is */
	list_for_each_entry(ch, &kvmb.chans, entry) {
		kvmb_sysfs_del_chan(ch);
		mutex_lock(&kvmb.lock);
		rcu_assign_pointer(kvmb.by_relid[ch->relid], NULL);
		ch->relid = 0;
		mutex_unlock(&kvmb.lock);
	}
	synchronize_rcu();
	return 0;
}

/* After the new offers: who has no number was not among them */
void kvmb_chan_rescind_missing(void)
{
	struct kvmb_chan *ch, *next;

	/* dev_wq rests and offers only add: the list loses nothing meanwhile */
	list_for_each_entry_safe(ch, next, &kvmb.chans, entry) {
		if (ch->primary)
			continue;
		if (ch->relid) {
			if (ch->dev && !ch->kobj) /* a device that was there before */
				kvmb_sysfs_add_chan(ch);
		} else if (!kvmb_chan_gone(ch)) {
			kvmb_wake_rescinded(ch);
			queue_dev_work(ch, &ch->over_work);
		}
	}
}

/*
 * The module goes: devices first, then whatever is left of their channels. On dev_wq, which alone
 * adds and removes, so that a rescind that comes meanwhile waits its turn and then finds nothing
 * left to do.
 */
static void remove_all_work(struct work_struct *work)
{
	struct kvmb_chan *ch, *next;
	int primary;

	list_for_each_entry_safe(ch, next, &kvmb.chans, entry) {
		if (!ch->primary && ch->dev)
			kvmb_device_del(ch->dev);
	}
	for (primary = 0; primary < 2; primary++) {
		list_for_each_entry_safe(ch, next, &kvmb.chans, entry) {
			if ((!ch->primary) == primary)
				release(ch);
		}
	}
}

void kvmb_chan_remove_all(void)
{
	struct work_struct work;

	mutex_lock(&kvmb.lock);
	kvmb.unloading = true; /* offers that still come are not taken, so the list only shrinks */
	mutex_unlock(&kvmb.lock);
	INIT_WORK_ONSTACK(&work, remove_all_work);
	queue_work(kvmb.dev_wq, &work);
	flush_workqueue(kvmb.dev_wq); /* and what is queued behind it */
	destroy_work_on_stack(&work);
}
