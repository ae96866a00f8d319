// SPDX-License-Identifier: GPL-2.0-only
/* Theory of operation: script_host.h. Wire facts: docs/protocol.md#3, vmbus-core/chanmsg.h. */
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/mshyperv.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/bus/kvmb_trace.h"
#include "tests/kunit/script_host.h"
#include "vmbus-core/icmsg.h"

struct note { /* a message on its way */
	struct list_head entry;
	u32 len;
	u8 buf[HV_MESSAGE_PAYLOAD_MAX] __aligned(8);
};

struct host_gpadl {
	struct list_head entry;
	u32 handle, num, got;
	struct page **pages; /* pages[num] */
	u8 *map;
};

struct host_script host_script;
EXPORT_SYMBOL_GPL(host_script);

static struct {
	bool up;
	bool heard;		/* the bus listens: between synic start and stop */
	struct workqueue_struct *wq, *say_wq;
	struct work_struct post_work, signal_work, say_work;
	spinlock_t lock;	/* lists, signalled */
	struct list_head posted, said;
	DECLARE_BITMAP(signalled, HOST_RELIDS);
	struct mutex state;	/* channels and page lists */
	struct list_head gpadls;
	struct host_chan chans[HOST_RELIDS];
	u32 seen[KVMB_MSG_NUM], signals;
	struct kvmb_guid type[HOST_RELIDS];
	u8 buf[16384] __aligned(8); /* the host's worker */
} host;

/* ---- what synic.c is to the bus ---- */

int kvmb_synic_start(void)
{
	WRITE_ONCE(host.heard, true);
	return 0;
}

static struct note *next_note(struct list_head *list);

void kvmb_synic_stop(void)
{
	struct note *n;

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

static void add_note(struct list_head *list, const void *msg, u32 len)
{
	struct note *n = new_note(msg, len);
	unsigned long flags;

	if (!n)
		return;
	spin_lock_irqsave(&host.lock, flags);
	list_add_tail(&n->entry, list);
	spin_unlock_irqrestore(&host.lock, flags);
}

u16 kvmb_hv_post(u32 conn_id, const void *msg, u32 len)
{
	u32 type = le32_to_cpu(*(const __le32 *)msg);

	if (host_script.post_refused) {
		host_script.post_refused--;
		return host_script.post_status;
	}
	if (type < KVMB_MSG_NUM)
		host.seen[type]++;
	add_note(&host.posted, msg, len);
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
	}
}

void host_say(const void *msg, u32 len)
{
	add_note(&host.said, msg, len);
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

/* ---- page lists ---- */

static struct host_gpadl *find_gpadl(u32 handle)
{
	struct host_gpadl *g;

	list_for_each_entry(g, &host.gpadls, entry) {
		if (g->handle == handle)
			return g;
	}
	return NULL;
}

static void drop_gpadl(struct host_gpadl *g)
{
	vunmap(g->map);
	list_del(&g->entry);
	kvfree(g->pages);
	kfree(g);
}

static void take_pfns(struct host_gpadl *g, const u8 *p, u32 len)
{
	u64 pfn;

	for (; len >= 8 && g->got < g->num; len -= 8, p += 8) {
		memcpy(&pfn, p, 8);
		g->pages[g->got++] = pfn_to_page(pfn);
	}
	if (g->got == g->num && !(host_script.mute & BIT(KVMB_MSG_GPADL_HEADER))) {
		struct kvmb_wire_gpadl_created m = {
			.h.type = cpu_to_le32(KVMB_MSG_GPADL_CREATED),
			.gpadl = cpu_to_le32(g->handle),
			.status = cpu_to_le32(host_script.gpadl_status),
		};

		if (host_script.gpadl_status)
			drop_gpadl(g);
		host_say(&m, sizeof(m));
	}
}

static void on_header(const u8 *msg, u32 len)
{
	const struct kvmb_wire_gpadl_header *m = (const void *)msg;
	struct kvmb_wire_gparange r;
	struct host_gpadl *g = kzalloc(sizeof(*g), GFP_KERNEL);

	if (!g)
		return;
	memcpy(&r, msg + sizeof(*m), sizeof(r));
	g->handle = le32_to_cpu(m->gpadl);
	g->num = le32_to_cpu(r.byte_count) / KVMB_PAGE_SIZE;
	g->pages = kvcalloc(g->num, sizeof(*g->pages), GFP_KERNEL);
	list_add_tail(&g->entry, &host.gpadls);
	take_pfns(g, msg + sizeof(*m) + sizeof(r), len - sizeof(*m) - sizeof(r));
}

u8 *host_map(u32 handle, u32 *size)
{
	struct host_gpadl *g;
	u8 *map = NULL;

	mutex_lock(&host.state);
	g = find_gpadl(handle);
	if (g) {
		if (!g->map)
			g->map = vmap(g->pages, g->num, VM_MAP, PAGE_KERNEL);
		map = g->map;
		*size = g->num * KVMB_PAGE_SIZE;
	}
	mutex_unlock(&host.state);
	return map;
}
EXPORT_SYMBOL_GPL(host_map);

u32 host_copy(const struct kvmb_pkt *pkt, void *buf, u32 size, bool to_guest)
{
	struct kvmb_gparange_iter it;
	struct kvmb_gparange r;
	u32 done = 0, i, n, off;

	if (kvmb_pkt_gpa_ranges(pkt, 32, &it))
		return 0;
	while (!kvmb_gparange_next(&it, &r)) {
		u32 left = r.byte_count;

		off = r.byte_offset;
		for (i = 0; i < r.num_pages && left; i++, off = 0) {
			u8 *page = pfn_to_kaddr(le64_to_cpu(r.pfns[i]));

			n = min3(left, KVMB_PAGE_SIZE - off, size - done);
			if (to_guest)
				memcpy(page + off, buf + done, n);
			else
				memcpy(buf + done, page + off, n);
			done += n;
			left -= n;
		}
	}
	return done;
}
EXPORT_SYMBOL_GPL(host_copy);

/* ---- channels ---- */

static void *map_ring(struct page **pages, u32 num)
{
	struct page **all = kcalloc(2 * num - 1, sizeof(*all), GFP_KERNEL);
	void *map;

	memcpy(all, pages, num * sizeof(*all));
	memcpy(all + num, pages + 1, (num - 1) * sizeof(*all));
	map = vmap(all, 2 * num - 1, VM_MAP, PAGE_KERNEL);
	kfree(all);
	return map;
}

static void let_go(struct host_chan *c)
{
	if (!c->open)
		return;
	c->open = false;
	vunmap(c->rx_map);
	vunmap(c->tx_map);
}

static void on_open(const struct kvmb_wire_open *m)
{
	u32 relid = le32_to_cpu(m->relid), down = le32_to_cpu(m->downstream_page);
	struct kvmb_wire_open_result r = {
		.h.type = cpu_to_le32(KVMB_MSG_OPEN_RESULT),
		.relid = m->relid,
		.open_id = m->open_id,
		.status = cpu_to_le32(host_script.open_status),
	};
	struct host_gpadl *g = find_gpadl(le32_to_cpu(m->ring_gpadl));
	struct host_chan *c = &host.chans[relid % HOST_RELIDS];

	if (host_script.mute & BIT(KVMB_MSG_OPEN))
		return;
	if (!g || !down || down >= g->num || c->open)
		r.status = cpu_to_le32(KVMB_STATUS_FAILED);
	if (!r.status) {
		c->relid = relid;
		c->gpadl = g->handle;
		c->rx_map = map_ring(g->pages, down);
		c->tx_map = map_ring(g->pages + down, g->num - down);
		kvmb_ring_init(&c->rx, c->rx_map, c->rx_map + KVMB_PAGE_SIZE,
			       (down - 1) * KVMB_PAGE_SIZE, false);
		kvmb_ring_init(&c->tx, c->tx_map, c->tx_map + KVMB_PAGE_SIZE,
			       (g->num - down - 1) * KVMB_PAGE_SIZE, true);
		c->open = true;
		if (host_script.opened)
			host_script.opened(c);
	}
	host_say(&r, sizeof(r));
}

struct host_chan *host_chan_of(u32 relid)
{
	return &host.chans[relid];
}
EXPORT_SYMBOL_GPL(host_chan_of);

int host_put(struct host_chan *c, u16 type, u16 flags, u64 trans_id, const void *hdr, u32 hdr_len,
	     const void *payload, u32 len)
{
	int err = -ENODEV;

	mutex_lock(&host.state);
	if (c->open) {
		err = kvmb_ring_put(&c->tx, type, flags, trans_id, hdr, hdr_len, payload, len);
		kvmb_ring_publish(&c->tx);
	}
	mutex_unlock(&host.state);
	host_kick(c->relid);
	return err;
}
EXPORT_SYMBOL_GPL(host_put);

static void signal_work(struct work_struct *work)
{
	struct kvmb_pkt pkt;
	struct host_chan *c;
	u32 i;
	int err;

	for (i = 0; i < HOST_RELIDS; i++) {
		if (!test_and_clear_bit(i, host.signalled))
			continue;
		c = &host.chans[i];
		for (;;) {
			mutex_lock(&host.state);
			err = c->open ? kvmb_ring_peek(&c->rx, host.buf, sizeof(host.buf), &pkt) :
					-ENODEV;
			if (!err) {
				kvmb_ring_skip(&c->rx, &pkt);
				kvmb_ring_release(&c->rx);
			}
			mutex_unlock(&host.state);
			if (err)
				break;
			if (c->on_packet)
				c->on_packet(c, &pkt, c->ctx);
		}
	}
}

static void let_go_all_of(u32 gpadl)
{
	u32 i;

	for (i = 0; i < HOST_RELIDS; i++) {
		if (host.chans[i].open && host.chans[i].gpadl == gpadl)
			let_go(&host.chans[i]);
	}
}

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
		let_go(&host.chans[relid]);
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

static void on_teardown(const struct kvmb_wire_gpadl_teardown *m)
{
	struct kvmb_wire_gpadl_torndown r = {
		.h.type = cpu_to_le32(KVMB_MSG_GPADL_TORNDOWN), .gpadl = m->gpadl,
	};
	struct host_gpadl *g = find_gpadl(le32_to_cpu(m->gpadl));

	if (host_script.mute & BIT(KVMB_MSG_GPADL_TEARDOWN))
		return;
	let_go_all_of(le32_to_cpu(m->gpadl));
	if (g)
		drop_gpadl(g);
	host_say(&r, sizeof(r));
}

static void on_contact(const struct kvmb_wire_initiate_contact *m)
{
	struct kvmb_wire_version_response r = {
		.h.type = cpu_to_le32(KVMB_MSG_VERSION_RESPONSE),
		.supported = le32_to_cpu(m->version) <= host_script.max_version,
		.conn_id = cpu_to_le32(host_script.conn_id),
	};

	host_say(&r, sizeof(r));
}

static void on_post(u32 type, const u8 *msg, u32 len)
{
	static const u32 offers_done[2] = { KVMB_MSG_ALL_OFFERS_DELIVERED },
			 unloaded[2] = { KVMB_MSG_UNLOAD_RESPONSE };
	struct kvmb_wire_modify_response mod = { .h.type = cpu_to_le32(KVMB_MSG_MODIFY_RESPONSE) };
	struct host_gpadl *g;

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
		on_header(msg, len);
		break;
	case KVMB_MSG_GPADL_BODY:
		g = find_gpadl(le32_to_cpu(((const struct kvmb_wire_gpadl_body *)msg)->gpadl));
		if (g)
			take_pfns(g, msg + sizeof(struct kvmb_wire_gpadl_body),
				  len - sizeof(struct kvmb_wire_gpadl_body));
		break;
	case KVMB_MSG_GPADL_TEARDOWN:
		on_teardown((const void *)msg);
		break;
	case KVMB_MSG_OPEN:
		on_open((const void *)msg);
		break;
	case KVMB_MSG_CLOSE:
		let_go(&host.chans[le32_to_cpu(((const struct kvmb_wire_relid *)msg)->relid) %
				   HOST_RELIDS]);
		break;
	case KVMB_MSG_MODIFY:
		mod.relid = ((const struct kvmb_wire_modify *)msg)->relid;
		mod.status = cpu_to_le32(host_script.modify_status);
		if (!(host_script.mute & BIT(type)))
			host_say(&mod, sizeof(mod));
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

static void behave(void)
{
	memset(&host_script, 0, sizeof(host_script));
	host_script.max_version = KVMB_VERSION_NEWEST;
	host_script.conn_id = KVMB_CONN_MSG;
	host_script.ref_time = 1000 * 10000000ull;
	memset(host.seen, 0, sizeof(host.seen));
	host.signals = 0;
}

static void forget(void)
{
	struct host_gpadl *g, *next;
	u32 i;

	mutex_lock(&host.state);
	for (i = 0; i < HOST_RELIDS; i++) {
		let_go(&host.chans[i]);
		memset(&host.chans[i], 0, sizeof(host.chans[i]));
		host.chans[i].relid = i;
	}
	list_for_each_entry_safe(g, next, &host.gpadls, entry)
		drop_gpadl(g);
	mutex_unlock(&host.state);
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
	host_settle();
	rescind_all();
	host_settle();
	forget();
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
		INIT_WORK(&host.signal_work, signal_work);
		INIT_WORK(&host.say_work, say_work);
		spin_lock_init(&host.lock);
		mutex_init(&host.state);
		INIT_LIST_HEAD(&host.posted);
		INIT_LIST_HEAD(&host.said);
		INIT_LIST_HEAD(&host.gpadls);
		/* this kernel does not run on a hypervisor that would number its CPUs */
		vp_index = kcalloc(nr_cpu_ids, sizeof(*vp_index), GFP_KERNEL);
		for (i = 0; vp_index && i < nr_cpu_ids; i++)
			vp_index[i] = i;
		hv_vp_index = vp_index;
	}
	forget();
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
	forget();
	behave();
	host.up = false;
}
EXPORT_SYMBOL_GPL(host_end);
