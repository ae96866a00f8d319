// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection: version, messages, waiting for answers, unload.
 *
 * DOC: Theory of operation
 *
 * Messages arrive one at a time on msg_wq and are only dispatched there: an answer wakes its
 * waiter; an offer or rescind changes the channel table and leaves the slow part (devices) to
 * dev_wq. So msg_wq never waits for the host, and every waiter gets its answer.
 *
 * An answer wakes the waiter that asked for this kind of message with this key. An answer that
 * nobody waits for is dropped: the host cannot make us act by sending unsolicited answers. A late
 * MODIFY_RESPONSE alone counts: it says where a channel's interrupts go (cpu_guest.c).
 *
 * Sources: Linux 6.1 drivers/hv/connection.c, channel_mgmt.c; docs/protocol.md#3.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/bus/kvmb_trace.h"
#include "guest-vsc/compat/compat.h"

#define POST_TRIES 100
#define UNLOAD_CRASH_S 100 /* as long as a stock kernel waits */

struct kvmb_state kvmb;

u32 kvmb_bus_protocol(void)
{
	return kvmb.version;
}
EXPORT_SYMBOL_GPL(kvmb_bus_protocol);

/* ---- sending ---- */

static int post(enum kvmb_msg type, void *msg, u32 len, bool may_sleep)
{
	struct kvmb_wire_msg h = { .type = cpu_to_le32(type) };
	unsigned int try, us = 1;
	u16 status;

	memcpy(msg, &h, sizeof(h));
	for (try = 0; try < POST_TRIES; try++) {
		status = kvmb_hv_post(kvmb.msg_conn, msg, len);
		if (status == KVMB_HV_STATUS_SUCCESS)
			return 0;
		if (status == KVMB_HV_STATUS_INVALID_CONNECTION_ID &&
		    type == KVMB_MSG_INITIATE_CONTACT)
			return -EOPNOTSUPP;
		if (status != KVMB_HV_STATUS_INSUFFICIENT_BUFFERS &&
		    status != KVMB_HV_STATUS_INVALID_CONNECTION_ID &&
		    status != 11 /* insufficient memory */)
			return -EINVAL;
		if (may_sleep)
			usleep_range(us, 2 * us);
		else
			udelay(us);
		us = min(us * 2, may_sleep ? 1u << 20 : 1000u);
	}
	return -EBUSY;
}

int kvmb_post_msg(enum kvmb_msg type, void *msg, u32 len, bool may_sleep)
{
	int err = post(type, msg, len, may_sleep);

	trace_chanmsg_tx(type, len, err);
	return err;
}

/* ---- waiting ---- */

void kvmb_wait_begin(struct kvmb_wait *w, enum kvmb_msg answer, u32 key, struct kvmb_chan *ch)
{
	unsigned long flags;

	w->answer = answer;
	w->key = key;
	w->ch = ch;
	w->err = 0;
	w->len = 0;
	init_completion(&w->done);
	spin_lock_irqsave(&kvmb.wait_lock, flags);
	list_add_tail(&w->entry, &kvmb.waits);
	if (ch && ch->gone) { /* gone is set before the waiters are woken, under this lock */
		w->err = -ENODEV;
		complete(&w->done);
	}
	spin_unlock_irqrestore(&kvmb.wait_lock, flags);
}

void kvmb_wait_cancel(struct kvmb_wait *w)
{
	unsigned long flags;

	spin_lock_irqsave(&kvmb.wait_lock, flags);
	list_del(&w->entry);
	spin_unlock_irqrestore(&kvmb.wait_lock, flags);
}

/*
 * In slices: to a guest that was paused, or not run for a while, the clock jumps. That is one
 * slice, and not the host's silence.
 */
static bool wait_for_answer(struct completion *done, struct kvmb_chan *ch, unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < seconds * KVMB_WAIT_SLICES && kvmb_chan_take_slice(ch); i++) {
		if (wait_for_completion_timeout(done, HZ / KVMB_WAIT_SLICES))
			return true;
	}
	return try_wait_for_completion(done);
}

int kvmb_wait_end(struct kvmb_wait *w, unsigned int seconds)
{
	bool done = wait_for_answer(&w->done, w->ch, seconds);

	kvmb_wait_cancel(w);
	if (w->len)
		return 0; /* an answer counts more than a rescind that came with it */
	return done ? w->err : -ETIMEDOUT;
}

int kvmb_ask(enum kvmb_msg type, void *msg, u32 len, enum kvmb_msg answer, u32 key,
	     struct kvmb_chan *ch, void *out, u32 size)
{
	struct kvmb_wait w;
	int err;

	kvmb_wait_begin(&w, answer, key, ch);
	err = kvmb_post_msg(type, msg, len, true);
	if (err) {
		kvmb_wait_cancel(&w);
		return err;
	}
	err = kvmb_wait_end(&w, KVMB_WAIT_S);
	if (!err)
		memcpy(out, w.buf, size);
	return err;
}

void kvmb_wake_rescinded(struct kvmb_chan *ch)
{
	struct kvmb_wait *w;
	unsigned long flags;

	spin_lock_irqsave(&kvmb.wait_lock, flags);
	WRITE_ONCE(ch->gone, true);
	list_for_each_entry(w, &kvmb.waits, entry) {
		if (w->ch == ch) {
			w->err = -ENODEV;
			complete(&w->done);
		}
	}
	spin_unlock_irqrestore(&kvmb.wait_lock, flags);
}

/* Return: whether somebody waited for it */
static bool answer(enum kvmb_msg type, u32 key, const void *msg, u32 len)
{
	struct kvmb_wait *w;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&kvmb.wait_lock, flags);
	list_for_each_entry(w, &kvmb.waits, entry) {
		if (w->answer != type || (w->key && w->key != key) || w->len)
			continue;
		w->len = min_t(u32, len, sizeof(w->buf));
		memcpy(w->buf, msg, w->len);
		complete(&w->done);
		found = true;
		break;
	}
	spin_unlock_irqrestore(&kvmb.wait_lock, flags);
	return found;
}

/* ---- what the host says ---- */

/* A private copy; 8-byte aligned */
void kvmb_on_message(const void *msg, u32 len)
{
	const struct kvmb_msg_info *info;
	const union {
		struct kvmb_wire_msg h;
		struct kvmb_wire_offer offer;
		struct kvmb_wire_relid relid;
		struct kvmb_wire_open_result opened;
		struct kvmb_wire_gpadl_created created;
		struct kvmb_wire_gpadl_torndown torndown;
		struct kvmb_wire_modify_response modified;
	} *m = msg;
	u32 type;

	if (len < sizeof(m->h))
		return;
	type = le32_to_cpu(m->h.type);
	info = kvmb_msg_info(type);
	if (info && (info->flags & KVMB_MSG_F_TO_HOST || len < info->min_size))
		info = NULL;
	trace_chanmsg_rx(type, len, info ? 0 : -EPROTO);
	if (!info) {
		pr_warn_ratelimited("kvmbus: message %u of %u bytes from the host ignored\n", type,
				    len);
		return;
	}
	switch (type) {
	case KVMB_MSG_OFFER:
		kvmb_chan_on_offer(&m->offer);
		break;
	case KVMB_MSG_RESCIND:
		kvmb_chan_on_rescind(le32_to_cpu(m->relid.relid));
		break;
	case KVMB_MSG_OPEN_RESULT:
		answer(type, le32_to_cpu(m->opened.relid), msg, len);
		break;
	case KVMB_MSG_GPADL_CREATED:
		answer(type, le32_to_cpu(m->created.gpadl), msg, len);
		break;
	case KVMB_MSG_GPADL_TORNDOWN:
		answer(type, le32_to_cpu(m->torndown.gpadl), msg, len);
		break;
	case KVMB_MSG_MODIFY_RESPONSE:
		if (!answer(type, le32_to_cpu(m->modified.relid), msg, len))
			kvmb_chan_on_late_modified(&m->modified);
		break;
	case KVMB_MSG_UNLOAD_RESPONSE:
		WRITE_ONCE(kvmb.unload_answered, true);
		fallthrough;
	default: /* VERSION_RESPONSE, UNLOAD_RESPONSE, ALL_OFFERS_DELIVERED: about the connection */
		answer(type, 0, msg, len);
	}
}

/* ---- contact ---- */

/* Return: 0 agreed; -EOPNOTSUPP try another; else there is nobody */
static int try_version(u32 version)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(version) };
	struct kvmb_wire_version_response r;
	int err;

	kvmb.msg_conn = version >= KVMB_VERSION_WIN10_V5 ? KVMB_CONN_MSG : KVMB_CONN_MSG_OLD;
	m.target_vp = cpu_to_le32(hv_cpu_number_to_vp_number(kvmb.connect_cpu));
	if (version >= KVMB_VERSION_WIN10_V5)
		m.interrupt_page = cpu_to_le64(HV_VMBUS_SINT); /* VTL 0 */
	else
		m.interrupt_page = cpu_to_le64(virt_to_phys(rcu_access_pointer(kvmb.int_page)));
	m.monitor_page1 = cpu_to_le64(virt_to_phys(kvmb.monitor_pages[0]));
	m.monitor_page2 = cpu_to_le64(virt_to_phys(kvmb.monitor_pages[1]));

	err = kvmb_ask(KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m), KVMB_MSG_VERSION_RESPONSE, 0, NULL,
		       &r, sizeof(r));
	if (err)
		return err;
	if (!r.supported)
		return -EOPNOTSUPP;
	if (version >= KVMB_VERSION_WIN10_V5)
		kvmb.msg_conn = le32_to_cpu(r.conn_id) & HV_CONNECTION_ID_MASK;
	kvmb.version = version;
	return 0;
}

static void free_shared_pages(void)
{
	void *int_page = rcu_replace_pointer(kvmb.int_page, NULL, true);

	synchronize_rcu(); /* interrupts and signals that may still have it are over */
	free_page((unsigned long)int_page);
	free_page((unsigned long)kvmb.monitor_pages[0]);
	free_page((unsigned long)kvmb.monitor_pages[1]);
	kvmb.monitor_pages[0] = NULL;
	kvmb.monitor_pages[1] = NULL;
}

static int connect(u32 max_version)
{
	int i, err = -EOPNOTSUPP;

	kvmb.max_version = max_version;
	rcu_assign_pointer(kvmb.int_page, (void *)get_zeroed_page(GFP_KERNEL));
	kvmb.monitor_pages[0] = (void *)get_zeroed_page(GFP_KERNEL);
	kvmb.monitor_pages[1] = (void *)get_zeroed_page(GFP_KERNEL);
	if (!rcu_access_pointer(kvmb.int_page) || !kvmb.monitor_pages[0] ||
	    !kvmb.monitor_pages[1]) {
		free_shared_pages();
		return -ENOMEM;
	}
	for (i = ARRAY_SIZE(kvmb_versions) - 1; i >= 0; i--) {
		if (kvmb_versions[i] > max_version)
			continue;
		err = try_version(kvmb_versions[i]);
		if (err != -EOPNOTSUPP)
			break;
	}
	if (err) {
		pr_err("kvmbus: no connection to the host: %s\n",
		       err == -EOPNOTSUPP ? "it speaks no version that we do" :
		       err == -ETIMEDOUT ? "it does not answer" : "it refuses messages");
		if (err == -ETIMEDOUT) { /* it may have them: leaked */
			RCU_INIT_POINTER(kvmb.int_page, NULL);
			kvmb.monitor_pages[0] = kvmb.monitor_pages[1] = NULL;
		}
		free_shared_pages();
		return err;
	}
	pr_info("kvmbus: connected, VMBus %u.%u\n", kvmb.version >> 16, kvmb.version & 0xffff);
	return 0;
}

/* @crash: one CPU is left, nothing sleeps */
void kvmb_disconnect(bool crash)
{
	struct kvmb_wire_msg m;
	struct kvmb_wait w;
	int i, err = 0;

	if (crash && !kvmb.version)
		return; /* the panic notifier was here before */
	kvmb.unloading = true;
	WRITE_ONCE(kvmb.unload_answered, false);
	/* UNLOAD has an answer since 3.0; older hosts forget us at the next contact */
	if (kvmb.version >= KVMB_VERSION_WIN8_1) {
		if (!crash)
			kvmb_wait_begin(&w, KVMB_MSG_UNLOAD_RESPONSE, 0, NULL);
		err = kvmb_post_msg(KVMB_MSG_UNLOAD, &m, sizeof(m), !crash);
		if (crash) {
			for (i = 0; !err && i < UNLOAD_CRASH_S * 100; i++) {
				/* a CPU that was stopped since may have taken it */
				if (READ_ONCE(kvmb.unload_answered) ||
				    kvmb_synic_poll_message(KVMB_MSG_UNLOAD_RESPONSE))
					break;
				mdelay(10);
			}
		} else if (err) {
			kvmb_wait_cancel(&w);
		} else {
			err = kvmb_wait_end(&w, KVMB_WAIT_S);
		}
	} else if (!crash && kvmb.version) {
		kvmb_post_msg(KVMB_MSG_UNLOAD, &m, sizeof(m), true);
	}
	if (err)
		pr_warn("kvmbus: the host does not answer our farewell\n");
	kvmb.version = 0;
	if (crash || err)
		return; /* the host may still use the pages */
	free_shared_pages();
}

/* ---- life ---- */

static void destroy_workqueues(void)
{
	cancel_delayed_work_sync(&kvmb.kick_work); /* the SynIC is off: no CPU goes any more */
	if (kvmb.msg_wq)
		destroy_workqueue(kvmb.msg_wq);
	if (kvmb.dev_wq)
		destroy_workqueue(kvmb.dev_wq);
	kvmb_cpu_table_fini(&kvmb.cpus);
}

/*
 * All offers, before any becomes a device. Return: 0, -ENODEV: there is one that we cannot serve,
 * or -errno
 */
static int look_at_offers(bool force)
{
	struct kvmb_wire_msg m, done;
	const char *foreign;
	int err;

	err = kvmb_ask(KVMB_MSG_REQUEST_OFFERS, &m, sizeof(m), KVMB_MSG_ALL_OFFERS_DELIVERED, 0,
		       NULL, &done, sizeof(done));
	if (err == -ETIMEDOUT) /* what was offered is there; nobody knows what is missing */
		pr_warn("kvmbus: the host does not say that it has offered all\n");
	else if (err)
		return err;
	mutex_lock(&kvmb.lock);
	foreign = kvmb.foreign;
	mutex_unlock(&kvmb.lock);
	if (foreign && !force) {
		pr_info("kvmbus: not loaded: the host offers %s, which only drivers in the kernel "
			"serve; force=1 loads it all the same\n",
			foreign);
		return -ENODEV;
	}
	kvmb_chan_take_held();
	return 0;
}

int kvmb_bus_start(u32 max_version, bool force)
{
	int err = -ENOMEM;

	memset(&kvmb, 0, sizeof(kvmb));
	mutex_init(&kvmb.lock);
	mutex_init(&kvmb.cpu_lock);
	/* before there is a version, with which offers are taken: nobody adds one twice */
	kvmb.holding = true;
	INIT_LIST_HEAD(&kvmb.chans);
	INIT_LIST_HEAD(&kvmb.waits);
	spin_lock_init(&kvmb.wait_lock);
	INIT_DELAYED_WORK(&kvmb.kick_work, kvmb_chan_kick_work);
	atomic_set(&kvmb.next_gpadl, 0xe1e0f); /* as others do; any number but 0 */
	kvmb.msg_wq =
		alloc_workqueue("kvmbus_msg", WQ_HIGHPRI | WQ_MEM_RECLAIM | KVMB_WQ_PERCPU, 0);
	kvmb.dev_wq = alloc_ordered_workqueue("kvmbus_dev", WQ_FREEZABLE);
	if (kvmb_cpu_table_init(&kvmb.cpus) || !kvmb.msg_wq || !kvmb.dev_wq)
		goto err_wq;
	err = kvmb_bus_type_register();
	if (err)
		goto err_wq;
	kvmb_debug_start();
	err = kvmb_synic_start();
	if (err)
		goto err_type;
	cpus_read_lock();
	kvmb.connect_cpu = cpumask_first(cpu_online_mask);
	cpus_read_unlock();
	err = connect(max_version);
	if (err)
		goto err_synic;
	err = look_at_offers(force);
	if (err) {
		kvmb_chan_remove_all();
		kvmb_disconnect(false);
		goto err_synic;
	}
	return 0;

err_synic:
	kvmb.version = 0;
	kvmb_synic_stop();
err_type:
	kvmb_debug_stop();
	kvmb_bus_type_unregister();
err_wq:
	destroy_workqueues();
	return err;
}

/* ---- sleep ---- */

/* Every driver has closed its channels. */
int kvmb_bus_sleep(void)
{
	int err = kvmb_chan_forget_numbers();

	if (err)
		return err;
	kvmb_disconnect(false);
	kvmb_synic_sleep();
	return 0;
}

/*
 * Whatever machine this is now: known devices get their new numbers, those that are missing are
 * gone.
 */
int kvmb_bus_wake(void)
{
	struct kvmb_wire_msg m, done;
	int err;

	kvmb_synic_wake();
	err = connect(kvmb.max_version);
	if (!err) {
		kvmb.unloading = false;
		err = kvmb_ask(KVMB_MSG_REQUEST_OFFERS, &m, sizeof(m),
			       KVMB_MSG_ALL_OFFERS_DELIVERED, 0, NULL, &done, sizeof(done));
	}
	/* dev_wq rests until tasks run again: nothing is added or removed before */
	kvmb_chan_rescind_missing();
	return err;
}

void kvmb_bus_stop(void)
{
	kvmb_chan_remove_all();
	kvmb_disconnect(false);
	kvmb_synic_stop();
	kvmb_debug_stop();
	destroy_workqueues();
	kvmb_bus_type_unregister();
}
