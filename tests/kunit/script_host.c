// SPDX-License-Identifier: GPL-2.0-only
/* Theory of operation: script_host.h. Wire facts: docs/protocol.md#3, vmbus-core/chanmsg.h. */
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <asm/mshyperv.h>

#include "guest-vsc/bus/kvmb_trace.h"
#include "tests/kunit/script_priv.h"
#include "vmbus-core/icmsg.h"

struct note { /* a message on its way */
	struct list_head entry;
	u32 len;
	u8 buf[HV_MESSAGE_PAYLOAD_MAX] __aligned(8);
};

struct host_script host_script;
EXPORT_SYMBOL_GPL(host_script);

struct host_state host;

/* ---- what synic.c is to the bus ---- */

static int cpu_comes(unsigned int cpu)
{
	kvmb_cpu_comes(cpu);
	return 0;
}

static int cpu_goes(unsigned int cpu)
{
	int err = kvmb_cpu_goes(cpu);

	if (!err)
		kvmb_cpu_gone();
	return err;
}

int kvmb_synic_start(void)
{
	int err = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "kvmb_host:online", cpu_comes,
					    cpu_goes);

	if (err < 0)
		return err;
	host.hp_state = err;
	WRITE_ONCE(host.heard, true);
	return 0;
}

static struct note *next_note(struct list_head *list);

void kvmb_synic_stop(void)
{
	struct note *n;

	cpuhp_remove_state_nocalls(host.hp_state);
	WRITE_ONCE(host.heard, false);
	flush_workqueue(host.say_wq);
	while ((n = next_note(&host.said)))
		kfree(n);
}

void kvmb_synic_disable_this_cpu(void)
{
}

void kvmb_synic_sleep(void)
{
}

void kvmb_synic_wake(void)
{
}

bool kvmb_synic_taken(void)
{
	return false;
}

u64 kvmb_ref_time(void)
{
	return READ_ONCE(host_script.ref_time);
}
EXPORT_SYMBOL_GPL(kvmb_ref_time);

static struct note *new_note(const void *msg, u32 len)
{
	struct note *n = kmalloc(sizeof(*n), GFP_ATOMIC);

	if (n) {
		n->len = min_t(u32, len, sizeof(n->buf));
		memcpy(n->buf, msg, n->len);
	}
	return n;
}

static struct note *next_note(struct list_head *list)
{
	struct note *n;
	unsigned long flags;

	spin_lock_irqsave(&host.lock, flags);
	n = list_first_entry_or_null(list, struct note, entry);
	if (n)
		list_del(&n->entry);
	spin_unlock_irqrestore(&host.lock, flags);
	return n;
}

/* On its way in @list; or in @held, if the script holds such messages */
static void add_note(struct list_head *list, struct list_head *held, const void *msg, u32 len)
{
	struct note *n = new_note(msg, len);
	unsigned long flags;
	u32 type;

	if (!n)
		return;
	type = le32_to_cpu(*(__le32 *)n->buf);
	spin_lock_irqsave(&host.lock, flags);
	if (type < KVMB_MSG_NUM && host_script.hold & BIT(type))
		list = held;
	list_add_tail(&n->entry, list);
	spin_unlock_irqrestore(&host.lock, flags);
}

bool host_await_held(void)
{
	bool held = false;
	u32 i;

	for (i = 0; i < 20000 && !held; i++) {
		spin_lock_irq(&host.lock);
		held = !list_empty(&host.held_posted) || !list_empty(&host.held_said);
		spin_unlock_irq(&host.lock);
		if (!held)
			usleep_range(100, 1000);
	}
	return held;
}
EXPORT_SYMBOL_GPL(host_await_held);

void host_go_on(void)
{
	spin_lock_irq(&host.lock);
	host_script.hold = 0;
	list_splice_tail_init(&host.held_posted, &host.posted);
	list_splice_tail_init(&host.held_said, &host.said);
	spin_unlock_irq(&host.lock);
	queue_work(host.wq, &host.post_work);
	queue_work(host.say_wq, &host.say_work);
}
EXPORT_SYMBOL_GPL(host_go_on);

u16 kvmb_hv_post(u32 conn_id, const void *msg, u32 len)
{
	u32 type = le32_to_cpu(*(const __le32 *)msg);

	if (host_script.post_refused) {
		host_script.post_refused--;
		return host_script.post_status;
	}
	if (type < KVMB_MSG_NUM)
		host.seen[type]++;
	add_note(&host.posted, &host.held_posted, msg, len);
	queue_work(host.wq, &host.post_work);
	return KVMB_HV_STATUS_SUCCESS;
}

void kvmb_hv_signal(u32 conn_id)
{
	host.signals++;
	if (conn_id < HOST_RELIDS) {
		set_bit(conn_id, host.signalled);
		queue_work(host.wq, &host.signal_work);
	}
}

bool kvmb_synic_poll_message(u32 type)
{
	struct note *n;
	bool found = false;

	while (!found && (n = next_note(&host.said))) {
		found = le32_to_cpu(*(__le32 *)n->buf) == type;
		kfree(n);
	}
	return found;
}

/* ---- the host speaks ---- */

static void say_work(struct work_struct *work)
{
	struct note *n;

	while ((n = next_note(&host.said))) {
		if (READ_ONCE(host.heard))
			kvmb_on_message(n->buf, n->len);
		kfree(n);
		cond_resched(); /* a CPU has a moment between two interrupts */
	}
}

bool host_slot_is_free(void)
{
	bool empty;

	spin_lock_irq(&host.lock);
	empty = list_empty(&host.said);
	spin_unlock_irq(&host.lock);
	return empty;
}
EXPORT_SYMBOL_GPL(host_slot_is_free);

void host_say(const void *msg, u32 len)
{
	add_note(&host.said, &host.held_said, msg, len);
	queue_work(host.say_wq, &host.say_work);
}
EXPORT_SYMBOL_GPL(host_say);

void host_offer(u32 relid, const struct kvmb_guid *type, u8 instance, u16 index)
{
	struct kvmb_wire_offer m = {
		.h.type = cpu_to_le32(KVMB_MSG_OFFER), .type = *type, .relid = cpu_to_le32(relid),
		.sub_channel_index = cpu_to_le16(index), .connection_id = cpu_to_le32(relid),
		.dedicated_interrupt = cpu_to_le16(1),
	};

	m.instance.b[0] = instance;
	if (relid < HOST_RELIDS)
		host.chans[relid].offered = true;
	host_say(&m, sizeof(m));
}
EXPORT_SYMBOL_GPL(host_offer);

struct kick {
	struct irq_work irq;
	u32 relid;
};

static void kick_now(struct irq_work *irq)
{
	kvmb_chan_interrupt(container_of(irq, struct kick, irq)->relid);
}

void host_kick(u32 relid)
{
	struct kick k = { .relid = relid };

	init_irq_work(&k.irq, kick_now);
	k.irq = IRQ_WORK_INIT_HARD(kick_now);
	irq_work_queue(&k.irq);
	irq_work_sync(&k.irq);
}
EXPORT_SYMBOL_GPL(host_kick);

static bool is_host_worker(void)
{
	struct work_struct *w = current_work();

	return w && (w == &host.post_work || w == &host.signal_work);
}

void host_rescind(u32 relid)
{
	struct kvmb_wire_relid m = { .h.type = cpu_to_le32(KVMB_MSG_RESCIND),
				     .relid = cpu_to_le32(relid) };

	if (relid < HOST_RELIDS) {
		mutex_lock(&host.state);
		host_let_go(&host.chans[relid]);
		host.chans[relid].offered = false;
		mutex_unlock(&host.state);
		/* it may be at a packet whose pages are the guest's again after this */
		if (!is_host_worker())
			flush_workqueue(host.wq);
	}
	host_say(&m, sizeof(m));
}
EXPORT_SYMBOL_GPL(host_rescind);

void host_take_back(u32 relid)
{
	if (host.chans[relid].offered)
		host_rescind(relid);
}
EXPORT_SYMBOL_GPL(host_take_back);

/* ---- the host listens ---- */

static void on_contact(const struct kvmb_wire_initiate_contact *m)
{
	struct kvmb_wire_version_response r = {
		.h.type = cpu_to_le32(KVMB_MSG_VERSION_RESPONSE),
		.supported = le32_to_cpu(m->version) <= host_script.max_version,
		.conn_id = cpu_to_le32(host_script.conn_id),
	};

	/* a page since 5.0: no more */
	host.int_page = le32_to_cpu(m->version) < KVMB_VERSION_WIN10_V5 ?
				phys_to_virt(le64_to_cpu(m->interrupt_page)) :
				NULL;
	host_say(&r, sizeof(r));
}

void *host_int_page(void)
{
	return host.int_page;
}
EXPORT_SYMBOL_GPL(host_int_page);

static void on_modify(const struct kvmb_wire_modify *m)
{
	struct kvmb_wire_modify_response r = {
		.h.type = cpu_to_le32(KVMB_MSG_MODIFY_RESPONSE),
		.relid = m->relid,
		.status = cpu_to_le32(host_script.modify_status),
	};

	if (host_script.mute & BIT(KVMB_MSG_MODIFY))
		return;
	if (!r.status)
		host.chans[le32_to_cpu(m->relid) % HOST_RELIDS].vp = le32_to_cpu(m->target_vp);
	host_say(&r, sizeof(r));
}

static void on_post(u32 type, const u8 *msg, u32 len)
{
	static const u32 offers_done[2] = { KVMB_MSG_ALL_OFFERS_DELIVERED },
			 unloaded[2] = { KVMB_MSG_UNLOAD_RESPONSE };

	switch (type) {
	case KVMB_MSG_INITIATE_CONTACT:
		if (!(host_script.mute & BIT(type)))
			on_contact((const void *)msg);
		break;
	case KVMB_MSG_REQUEST_OFFERS:
		host_say(offers_done, sizeof(offers_done));
		break;
	case KVMB_MSG_UNLOAD:
		if (!(host_script.mute & BIT(type)))
			host_say(unloaded, sizeof(unloaded));
		break;
	case KVMB_MSG_GPADL_HEADER:
		host_on_gpadl_header(msg, len);
		break;
	case KVMB_MSG_GPADL_BODY:
		host_on_gpadl_body(msg, len);
		break;
	case KVMB_MSG_GPADL_TEARDOWN:
		host_on_teardown((const void *)msg);
		break;
	case KVMB_MSG_OPEN:
		host_on_open((const void *)msg);
		break;
	case KVMB_MSG_CLOSE:
		host_let_go(&host.chans[le32_to_cpu(((const struct kvmb_wire_relid *)msg)->relid) %
					HOST_RELIDS]);
		break;
	case KVMB_MSG_MODIFY:
		on_modify((const void *)msg);
		break;
	}
}

static void post_work(struct work_struct *work)
{
	struct note *n;
	u32 type;

	while ((n = next_note(&host.posted))) {
		type = le32_to_cpu(*(__le32 *)n->buf);
		if (!host_script.says || !host_script.says(type, n->buf, n->len)) {
			mutex_lock(&host.state);
			on_post(type, n->buf, n->len);
			mutex_unlock(&host.state);
		}
		kfree(n);
	}
}

/* what a host needs of vmbus-core, and the product's modules do not */
EXPORT_SYMBOL_GPL(kvmb_icmsg_build);
EXPORT_SYMBOL_GPL(kvmb_icmsg_build_negotiate);
EXPORT_SYMBOL_GPL(kvmb_icmsg_parse_negotiated);
EXPORT_SYMBOL_GPL(kvmb_ring_publish);
EXPORT_SYMBOL_GPL(kvmb_ring_put);

/* ---- life ---- */

u32 host_seen(u32 type)
{
	return host.seen[type];
}
EXPORT_SYMBOL_GPL(host_seen);

u32 host_signals(void)
{
	return host.signals;
}
EXPORT_SYMBOL_GPL(host_signals);

void host_watch_full(void (*fn)(void *ctx, u32 relid))
{
	static void (*watcher)(void *ctx, u32 relid);

	if (watcher)
		unregister_trace_ring_full(watcher, NULL);
	tracepoint_synchronize_unregister();
	watcher = fn;
	if (fn)
		WARN_ON(register_trace_ring_full(fn, NULL));
}
EXPORT_SYMBOL_GPL(host_watch_full);

void host_settle(void)
{
	int i;

	for (i = 0; i < 8; i++) { /* one hands on to the other */
		flush_workqueue(host.wq);
		flush_workqueue(host.say_wq);
		if (kvmb.dev_wq)
			flush_workqueue(kvmb.dev_wq);
	}
}
EXPORT_SYMBOL_GPL(host_settle);

unsigned int host_patience_s(void)
{
	return host_script.mute ? 1 : host_script.patience_s;
}
EXPORT_SYMBOL_GPL(host_patience_s);

static void behave(void)
{
	memset(&host_script, 0, sizeof(host_script));
	host_script.max_version = KVMB_VERSION_NEWEST;
	host_script.conn_id = KVMB_CONN_MSG;
	host_script.patience_s = 3;
	host_script.ref_time = 1000 * 10000000ull;
	memset(host.seen, 0, sizeof(host.seen));
	host.signals = 0;
}

static void rescind_all(void)
{
	u32 relid, list[HOST_RELIDS], n = 0;
	struct kvmb_chan *ch;

	mutex_lock(&kvmb.lock);
	list_for_each_entry(ch, &kvmb.chans, entry) {
		if (n < HOST_RELIDS && ch->primary) /* sub-channels first, as hosts do */
			list[n++] = ch->relid;
	}
	list_for_each_entry(ch, &kvmb.chans, entry) {
		if (n < HOST_RELIDS && !ch->primary)
			list[n++] = ch->relid;
	}
	mutex_unlock(&kvmb.lock);
	for (relid = 0; relid < n; relid++)
		host_rescind(list[relid]);
	host_settle();
}

void host_reset(void)
{
	host_script.says = NULL;
	host_script.mute = 0;
	host_go_on();
	host_settle();
	rescind_all();
	host_settle();
	host_forget_chans();
	behave();
}
EXPORT_SYMBOL_GPL(host_reset);

void host_prepare(void)
{
	static u32 *vp_index;
	unsigned int i;

	if (!host.wq) {
		host.wq = alloc_ordered_workqueue("kvmb_host", 0);
		host.say_wq = alloc_workqueue("kvmb_host_say", WQ_HIGHPRI, 0);
		INIT_WORK(&host.post_work, post_work);
		INIT_WORK(&host.signal_work, host_signal_work);
		INIT_WORK(&host.say_work, say_work);
		spin_lock_init(&host.lock);
		mutex_init(&host.state);
		INIT_LIST_HEAD(&host.posted);
		INIT_LIST_HEAD(&host.said);
		INIT_LIST_HEAD(&host.held_posted);
		INIT_LIST_HEAD(&host.held_said);
		INIT_LIST_HEAD(&host.gpadls);
		/* this kernel does not run on a hypervisor that would number its CPUs */
		vp_index = kcalloc(nr_cpu_ids, sizeof(*vp_index), GFP_KERNEL);
		for (i = 0; vp_index && i < nr_cpu_ids; i++)
			vp_index[i] = i;
		hv_vp_index = vp_index;
	}
	host_forget_chans();
	behave();
}
EXPORT_SYMBOL_GPL(host_prepare);

int host_begin(void)
{
	host_prepare();
	host.up = !kvmb_bus_start(KVMB_VERSION_NEWEST, false);
	return host.up ? 0 : -EIO;
}
EXPORT_SYMBOL_GPL(host_begin);

void host_end(void)
{
	if (!host.up)
		return;
	host_reset();
	kvmb_bus_stop();
	flush_workqueue(host.wq);
	host_forget_chans();
	behave();
	host.up = false;
}
EXPORT_SYMBOL_GPL(host_end);
