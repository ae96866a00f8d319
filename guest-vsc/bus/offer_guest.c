// SPDX-License-Identifier: GPL-2.0-only
/*
 * How channels of the guest come and go: offers, rescinds, sleep, the module's end.
 *
 * DOC: Theory of operation
 *
 * A channel lives from its offer until it is both rescinded and closed; then the host gets its
 * number back (RELID_RELEASED).
 *
 * A rescind marks the channel at once (msg_wq) and wakes whoever waits for an answer about it;
 * taking the device away is work for dev_wq, in the order in which the host spoke.
 *
 * Sources: Linux 6.1 drivers/hv/channel_mgmt.c; protocol notes 3.6, 3.9, 3.10.
 */
#include <linux/cpu.h>
#include <linux/slab.h>

#include "guest-vsc/bus/bus_priv.h"

struct dev_work {
	struct work_struct work;
	struct kvmb_chan *ch; /* a reference */
};

/* ---- offers ---- */

static void queue_dev_work(struct kvmb_chan *ch, work_func_t fn)
{
	struct dev_work *w = kzalloc(sizeof(*w), GFP_KERNEL | __GFP_NOFAIL);

	kref_get(&ch->ref);
	w->ch = ch;
	INIT_WORK(&w->work, fn);
	queue_work(kvmb.dev_wq, &w->work);
}

static void add_work(struct work_struct *work)
{
	struct dev_work *w = container_of(work, struct dev_work, work);
	struct kvmb_chan *ch = w->ch, *primary = ch->primary;
	void (*fn)(struct kvmb_chan *, void *);

	if (!kvmb_chan_gone(ch)) {
		if (!primary) {
			kvmb_device_add(ch);
		} else {
			ch->dev = primary->dev;
			kvmb_sysfs_add_chan(ch);
			fn = READ_ONCE(primary->sub_offered);
			if (fn)
				fn(ch, primary->sub_ctx);
		}
	}
	kvmb_chan_put(ch);
	kfree(w);
}

static struct kvmb_chan *find_primary(const struct kvmb_wire_offer *m)
{
	struct kvmb_chan *ch;

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

/* A device that we had before we slept, with a number that nobody has. Return: whether it was one */
static bool woken(struct kvmb_chan *ch, const struct kvmb_wire_offer *m)
{
	if (!ch || ch->relid || le16_to_cpu(m->sub_channel_index) || rcu_access_pointer(kvmb.by_relid[le32_to_cpu(m->relid)]))
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
	else if (rcu_access_pointer(kvmb.by_relid[relid]))
		why = "its number is in use";
	else if (!ch->index && primary)
		why = "its device is there already";
	else if (ch->index && !primary)
		why = "a sub-channel without a primary";
	if (!why) {
		/* below 2.4 all interrupts go where the messages go */
		ch->cpu = kvmb.version < KVMB_VERSION_WIN8 ? kvmb.connect_cpu : kvmb_chan_next_cpu();
		if (ch->index) {
			kref_get(&primary->ref);
			ch->primary = primary;
			list_add_tail(&ch->sub_entry, &primary->subs);
		}
		list_add_tail(&ch->entry, &kvmb.chans);
		rcu_assign_pointer(kvmb.by_relid[relid], ch);
	}
	mutex_unlock(&kvmb.lock);
	if (why) {
		pr_warn_ratelimited("kvmbus: offer of channel %u ignored: %s\n", relid, why);
		kfree(ch);
		return;
	}
	queue_dev_work(ch, add_work);
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

static void rescind_work(struct work_struct *work);

void kvmb_chan_release_if_over(struct kvmb_chan *ch)
{
	if (ch->primary && kvmb_chan_gone(ch))
		queue_dev_work(ch, rescind_work);
}

static void rescind_work(struct work_struct *work)
{
	struct dev_work *w = container_of(work, struct dev_work, work);
	struct kvmb_chan *ch = w->ch;
	bool known;

	mutex_lock(&kvmb.lock);
	known = ch->relid ? rcu_access_pointer(kvmb.by_relid[ch->relid]) == ch : !list_empty(&ch->entry);
	mutex_unlock(&kvmb.lock);
	if (known && !ch->primary) {
		if (ch->dev)
			kvmb_device_del(ch->dev);
		release(ch);
	} else if (known && ch->state == KVMB_CHAN_OFFERED) {
		release(ch);
	} /* else its driver closes it when the primary goes, or by itself */
	kvmb_chan_put(ch);
	kfree(w);
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
		pr_warn_ratelimited("kvmbus: the host takes back channel %u, which is not there\n", relid);
		return;
	}
	kvmb_wake_rescinded(ch);
	queue_dev_work(ch, rescind_work);
	kvmb_chan_put(ch);
}

/* ---- sleep ---- */

/*
 * The connection ends, numbers mean nothing any more. Sub-channels end with it; primaries wait for an offer of the
 * same device. Return: -EBUSY when one is open.
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
		if (ch->primary)
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
			queue_dev_work(ch, rescind_work);
		}
	}
}

/* The module goes: devices first, then whatever is left of their channels. */
void kvmb_chan_remove_all(void)
{
	struct kvmb_chan *ch, *next;
	int primary;

	flush_workqueue(kvmb.dev_wq);
	list_for_each_entry_safe(ch, next, &kvmb.chans, entry) {
		if (!ch->primary && ch->dev)
			kvmb_device_del(ch->dev);
	}
	flush_workqueue(kvmb.dev_wq);
	for (primary = 0; primary < 2; primary++) {
		list_for_each_entry_safe(ch, next, &kvmb.chans, entry) {
			if ((!ch->primary) == primary)
				release(ch);
		}
	}
}
