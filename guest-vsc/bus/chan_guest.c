// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels of the guest: open and close, ring I/O, CPUs. How they come and go: offer_guest.c.
 *
 * DOC: Theory of operation
 *
 * A ring is mapped as its control page and then its data twice, so that vmbus-core sees each packet
 * in one piece. If the host does not give a ring's page list back, the pages are leaked. The
 * interrupt looks channels up in a table by number, under RCU.
 *
 * Sources: Linux 6.1 drivers/hv/channel.c; docs/protocol.md#3, #4.
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "guest-vsc/bus/bus_priv.h"
#include "guest-vsc/bus/kvmb_trace.h"
#include "guest-vsc/compat/compat.h"

static const char *const state_names[] = { "offered", "opening", "open", "closing" };
static_assert(ARRAY_SIZE(state_names) == KVMB_CHAN_NUM, "one name a state");

#define TO(s) (1 << KVMB_CHAN_##s)
static const u8 moves[KVMB_CHAN_NUM] = {
	[KVMB_CHAN_OFFERED] = TO(OPENING),
	[KVMB_CHAN_OPENING] = TO(OPEN) | TO(OFFERED),
	[KVMB_CHAN_OPEN] = TO(CLOSING),
	[KVMB_CHAN_CLOSING] = TO(OFFERED),
};

static void set_state(struct kvmb_chan *ch, enum kvmb_chan_state to)
{
	lockdep_assert_held(&kvmb.lock);
	WARN_ON_ONCE(!(moves[ch->state] & (1 << to)));
	trace_chan_state(ch->relid, ch->state, to);
	ch->state = to;
}

const char *kvmb_chan_state_name(const struct kvmb_chan *ch)
{
	return ch->dead ? "dead" : kvmb_chan_gone(ch) ? "rescinded" : state_names[ch->state];
}

static void free_chan(struct kref *ref)
{
	struct kvmb_chan *ch = container_of(ref, struct kvmb_chan, ref);

	if (ch->primary)
		kvmb_chan_put(ch->primary);
	kfree(ch);
}

void kvmb_chan_put(struct kvmb_chan *ch)
{
	kref_put(&ch->ref, free_chan);
}

/* ---- ring I/O ---- */

void kvmb_chan_fail(struct kvmb_chan *ch, const char *why)
{
	if (READ_ONCE(ch->dead))
		return;
	WRITE_ONCE(ch->dead, true);
	pr_err_ratelimited("kvmbus: channel %u stopped: %s\n", ch->relid, why);
}
EXPORT_SYMBOL_GPL(kvmb_chan_fail);

/* Versions below 5.0: the page's second half is for the host */
static void flag_in_page(u32 relid)
{
	void *page;

	rcu_read_lock(); /* free_shared_pages() waits for us before it frees the page */
	page = rcu_dereference(kvmb.int_page);
	if (page)
		shared_set_bit(relid, page + KVMB_PAGE_SIZE / 2);
	rcu_read_unlock();
}

void kvmb_chan_signal(struct kvmb_chan *ch)
{
	ch->signals++;
	trace_ring_signal(ch->relid);
	if (!ch->dedicated)
		flag_in_page(ch->relid);
	kvmb_hv_signal(ch->conn_id);
}
EXPORT_SYMBOL_GPL(kvmb_chan_signal);

/*
 * After tx_lock. Not with interrupts off: a quick host has the answer ready when the hypercall
 * returns, and would have to wait for them, at the price of another exit.
 */
static int sent(struct kvmb_chan *ch, int err, int signal)
{
	if (signal > 0)
		kvmb_chan_signal(ch);
	if (err == -EAGAIN)
		trace_ring_full(ch->relid);
	if (err == -EPROTO || signal < 0) {
		kvmb_chan_fail(ch, "the read index of its ring is wild");
		return -EPROTO;
	}
	return err;
}

static bool cannot_send(const struct kvmb_chan *ch)
{
	return READ_ONCE(ch->dead) || kvmb_chan_gone(ch);
}

int kvmb_send(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *hdr, u32 hdr_len,
	      const void *payload, u32 len)
{
	unsigned long irq;
	int err, signal = 0;

	if (cannot_send(ch))
		return -ENODEV;
	spin_lock_irqsave(&ch->tx_lock, irq);
	if (!ch->tx_map) /* closed: the ring's pages may be another channel's by now */
		err = -ENODEV;
	else
		err = kvmb_ring_put(&ch->tx, type, flags, trans_id, hdr, hdr_len, payload, len);
	if (!err)
		signal = kvmb_ring_publish(&ch->tx);
	spin_unlock_irqrestore(&ch->tx_lock, irq);
	return sent(ch, err, signal);
}
EXPORT_SYMBOL_GPL(kvmb_send);

int kvmb_put(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *hdr, u32 hdr_len,
	     const void *payload, u32 len)
{
	unsigned long irq;
	int err = -ENODEV, signal = 0;

	if (cannot_send(ch))
		return -ENODEV;
	spin_lock_irqsave(&ch->tx_lock, irq);
	if (ch->tx_map)
		err = kvmb_ring_put(&ch->tx, type, flags, trans_id, hdr, hdr_len, payload, len);
	if (err == -EAGAIN) /* the host cannot make room by reading what it does not see */
		signal = kvmb_ring_publish(&ch->tx);
	spin_unlock_irqrestore(&ch->tx_lock, irq);
	return sent(ch, err, signal);
}
EXPORT_SYMBOL_GPL(kvmb_put);

int kvmb_flush(struct kvmb_chan *ch)
{
	unsigned long irq;
	int signal = 0;

	if (cannot_send(ch))
		return -ENODEV;
	spin_lock_irqsave(&ch->tx_lock, irq);
	if (ch->tx_map)
		signal = kvmb_ring_publish(&ch->tx);
	spin_unlock_irqrestore(&ch->tx_lock, irq);
	return sent(ch, 0, signal);
}
EXPORT_SYMBOL_GPL(kvmb_flush);

int kvmb_complete(struct kvmb_chan *ch, const u64 *ids, u32 num, const void *payload, u32 len)
{
	int err = -ENODEV, signal = 0;
	unsigned long irq;
	u32 n = 0;

	if (cannot_send(ch))
		return -ENODEV;
	spin_lock_irqsave(&ch->tx_lock, irq);
	if (ch->tx_map) {
		do
			err = kvmb_ring_put(&ch->tx, KVMB_PKT_COMPLETION, 0, ids[n], NULL, 0,
					    payload, len);
		while (!err && ++n < num);
		signal = kvmb_ring_publish(&ch->tx);
	}
	spin_unlock_irqrestore(&ch->tx_lock, irq);
	err = sent(ch, err, signal);
	return err && err != -EAGAIN ? err : (int)n;
}
EXPORT_SYMBOL_GPL(kvmb_complete);

/* This part of the ring: a host that waits for room does not wait for the end of a long batch */
#define GIVE_BACK_PART 4

static u32 not_given_back(const struct kvmb_ring *r)
{
	u32 wrapped = r->index < r->published ? r->size : 0;

	return wrapped + r->index - r->published;
}

bool kvmb_recv_done(struct kvmb_chan *ch)
{
	if (!READ_ONCE(ch->rx_map) || !not_given_back(&ch->rx))
		return false;
	if (kvmb_ring_release(&ch->rx) > 0)
		kvmb_chan_signal(ch);
	return true;
}
EXPORT_SYMBOL_GPL(kvmb_recv_done);

int kvmb_recv(struct kvmb_chan *ch, void *buf, u32 size, struct kvmb_pkt *pkt)
{
	int err;

	if (READ_ONCE(ch->dead))
		return -EPROTO;
	if (!READ_ONCE(ch->rx_map))
		/* closed; its one reader closed it, so it is not being unmapped now */
		return -ENODEV;
	err = kvmb_ring_peek(&ch->rx, buf, size, pkt);
	/*
	 * for what came since, the host took us for awake; the release has barrier D, and this
	 * look is after it
	 */
	if (err == -EAGAIN && kvmb_recv_done(ch))
		err = kvmb_ring_peek(&ch->rx, buf, size, pkt);
	if (!err) {
		kvmb_ring_skip(&ch->rx, pkt);
		if (not_given_back(&ch->rx) >= ch->rx.size / GIVE_BACK_PART)
			kvmb_recv_done(ch);
		return 0;
	}
	if (err != -EAGAIN)
		kvmb_chan_fail(ch, "a packet or an index of its ring is wild");
	return err;
}
EXPORT_SYMBOL_GPL(kvmb_recv);

/* ---- waiting for the host ---- */

void kvmb_chan_limit(struct kvmb_chan *primary, unsigned int seconds)
{
	WRITE_ONCE(primary->slices, seconds ? seconds * KVMB_WAIT_SLICES + 1 : 0);
}
EXPORT_SYMBOL_GPL(kvmb_chan_limit);

bool kvmb_chan_take_slice(struct kvmb_chan *ch)
{
	struct kvmb_chan *primary = ch && ch->primary ? ch->primary : ch;
	unsigned int n = primary ? READ_ONCE(primary->slices) : 0;

	/* two that wait at once may count one for two; a limit set or ended meanwhile stays so */
	if (n > 1)
		cmpxchg(&primary->slices, n, n - 1);
	return n != 1;
}

int kvmb_chan_wait_slices(struct kvmb_chan *ch, struct completion *done, unsigned int *slices)
{
	while (!try_wait_for_completion(done)) {
		if (kvmb_chan_gone(ch) || READ_ONCE(ch->dead))
			return -ENODEV;
		if (!*slices || !kvmb_chan_take_slice(ch))
			return -ETIMEDOUT;
		--*slices;
		if (wait_for_completion_timeout(done, HZ / KVMB_WAIT_SLICES))
			return 0;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(kvmb_chan_wait_slices);

int kvmb_chan_wait(struct kvmb_chan *ch, struct completion *done, unsigned int seconds)
{
	unsigned int slices = seconds * KVMB_WAIT_SLICES;

	return kvmb_chan_wait_slices(ch, done, &slices);
}
EXPORT_SYMBOL_GPL(kvmb_chan_wait);

/* Hard interrupt: the host signals channel @relid, a number of its choice within the table */
void kvmb_chan_interrupt(u32 relid)
{
	struct kvmb_chan *ch;
	void (*fn)(void *);

	rcu_read_lock();
	ch = rcu_dereference(kvmb.by_relid[relid]);
	if (ch) {
		fn = smp_load_acquire(&ch->callback);
		if (fn) {
			ch->interrupts++;
			fn(ch->callback_ctx);
		}
	}
	rcu_read_unlock();
}

/* ---- rings ---- */

/*
 * From here on kvmb_send() and kvmb_recv() find the channel closed. Drivers do call them then: the
 * network core stops a device whose restart failed, and disks get commands after a resume that the
 * host refused.
 */
static void set_maps(struct kvmb_chan *ch, void *tx_map, void *rx_map)
{
	unsigned long irq;

	spin_lock_irqsave(&ch->tx_lock, irq);
	ch->tx_map = tx_map;
	WRITE_ONCE(ch->rx_map, rx_map);
	spin_unlock_irqrestore(&ch->tx_lock, irq);
}

static void free_rings(struct kvmb_chan *ch, bool leak)
{
	void *tx_map = ch->tx_map, *rx_map = ch->rx_map;
	u32 i;

	set_maps(ch, NULL, NULL);
	vunmap(tx_map);
	vunmap(rx_map);
	for (i = 0; !leak && i < ch->num_pages; i++)
		__free_page(ch->pages[i]);
	if (leak)
		pr_warn("kvmbus: channel %u: the host keeps %u pages\n", ch->relid, ch->num_pages);
	kvfree(ch->pages);
	ch->pages = NULL;
	ch->num_pages = 0;
}

/* control page, data, data again */
static void *map_ring(struct page **pages, u32 num)
{
	struct page **all = kvmalloc_array(2 * num - 1, sizeof(*all), GFP_KERNEL);
	void *map;

	if (!all)
		return NULL;
	memcpy(all, pages, num * sizeof(*all));
	memcpy(all + num, pages + 1, (num - 1) * sizeof(*all));
	map = vmap(all, 2 * num - 1, VM_MAP, PAGE_KERNEL);
	kvfree(all);
	return map;
}

static int make_rings(struct kvmb_chan *ch, u32 pages)
{
	u32 size = (pages - 1) * KVMB_PAGE_SIZE;
	void *tx_map, *rx_map;

	ch->pages = kvcalloc(2 * pages, sizeof(*ch->pages), GFP_KERNEL);
	if (!ch->pages)
		return -ENOMEM;
	ch->down_page = pages;
	for (ch->num_pages = 0; ch->num_pages < 2 * pages; ch->num_pages++) {
		ch->pages[ch->num_pages] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!ch->pages[ch->num_pages])
			goto err_free;
	}
	tx_map = map_ring(ch->pages, pages);
	rx_map = map_ring(ch->pages + pages, pages);
	if (!tx_map || !rx_map)
		goto err_unmap;
	/* fresh pages: neither can fail */
	kvmb_ring_init(&ch->tx, __share(tx_map), __share(tx_map + KVMB_PAGE_SIZE), size, true);
	kvmb_ring_init(&ch->rx, __share(rx_map), __share(rx_map + KVMB_PAGE_SIZE), size, false);
	set_maps(ch, tx_map, rx_map);
	return 0;
err_unmap:
	vunmap(tx_map);
	vunmap(rx_map);
err_free:
	free_rings(ch, false);
	return -ENOMEM;
}

/* ---- open and close ---- */

static int ask_open(struct kvmb_chan *ch, unsigned int cpu, const void *user, u32 user_len)
{
	struct kvmb_wire_open m = { .relid = cpu_to_le32(ch->relid) };
	struct kvmb_wire_open_result r;
	int err;

	m.open_id = m.relid;
	m.ring_gpadl = cpu_to_le32(ch->ring_gpadl);
	m.target_vp = cpu_to_le32(hv_cpu_number_to_vp_number(cpu));
	m.downstream_page = cpu_to_le32(ch->down_page);
	if (user_len)
		memcpy(m.user, user, user_len);
	err = kvmb_ask(KVMB_MSG_OPEN, &m, sizeof(m), KVMB_MSG_OPEN_RESULT, ch->relid, ch,
		       &r, sizeof(r));
	if (err)
		return err;
	return le32_to_cpu(r.status) ? -EIO : 0;
}

/*
 * Once the state is OFFERED, the work of a rescind may free a sub-channel. It takes this lock
 * first, and after the lock nobody here touches @ch.
 */
static void to_offered(struct kvmb_chan *ch)
{
	mutex_lock(&kvmb.lock);
	set_state(ch, KVMB_CHAN_OFFERED);
	kvmb_chan_release_if_over(ch);
	mutex_unlock(&kvmb.lock);
}

/*
 * The host has agreed. Not earlier: what a callback starts reads the rings when it likes, and
 * where the host signals and then refuses they are unmapped. What it wrote and signalled before is
 * looked at now. @ch->cpu stays online.
 */
static void start_callback(struct kvmb_chan *ch, void (*callback)(void *), void *ctx)
{
	ch->callback_ctx = ctx;
	smp_store_release(&ch->callback, callback);
	shared_mb(); /* an interrupt that still found no callback came before we look */
	if (kvmb_ring_readable(&ch->rx))
		smp_call_function_single(ch->cpu, kvmb_chan_kick_here, (void *)(uintptr_t)ch->relid,
					 1);
}

/*
 * The CPU that OPEN names. If it goes offline from here on, it finds the channel and sets another
 */
static unsigned int first_cpu(struct kvmb_chan *ch)
{
	unsigned int cpu;

	cpus_read_lock();
	mutex_lock(&kvmb.lock);
	if (!cpu_online(ch->cpu))
		ch->cpu = kvmb_chan_choose_cpu(ch, nr_cpu_ids);
	cpu = ch->cpu;
	mutex_unlock(&kvmb.lock);
	cpus_read_unlock();
	return cpu;
}

/* Open, if *@told is still the CPU that we want. Return: whether it was; else *@told is that one */
static bool settle(struct kvmb_chan *ch, unsigned int *told, void (*callback)(void *), void *ctx)
{
	bool same;

	cpus_read_lock();
	mutex_lock(&kvmb.lock);
	same = ch->cpu == *told;
	*told = ch->cpu;
	if (same)
		set_state(ch, KVMB_CHAN_OPEN);
	mutex_unlock(&kvmb.lock);
	if (same)
		start_callback(ch, callback, ctx);
	cpus_read_unlock();
	return same;
}

/* No hot-plug lock while the host takes its time: a writer that waits for it stops everybody */
static int open_on_cpu(struct kvmb_chan *ch, const void *user, u32 user_len,
		       void (*callback)(void *), void *ctx)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(ch->relid) };
	unsigned int told = first_cpu(ch);
	bool moved = false;
	int err = ask_open(ch, told, user, user_len);

	if (err)
		return err;
	while (!settle(ch, &told, callback, ctx)) {
		moved = true;
		err = kvmb_chan_tell_cpu(ch, told);
		if (err) { /* its interrupts would go to a CPU that is not there */
			if (!kvmb_chan_gone(ch))
				kvmb_post_msg(KVMB_MSG_CLOSE, &m, sizeof(m), true);
			return err;
		}
	}
	if (moved)
		kvmb_chan_kick_later();
	return 0;
}

int kvmb_chan_open(struct kvmb_chan *ch, u32 pages, const void *user, u32 user_len,
		   void (*callback)(void *), void *ctx)
{
	int err;

	if (pages < 2 || user_len > 120)
		return -EINVAL;
	mutex_lock(&kvmb.lock);
	err = kvmb_chan_gone(ch) ? -ENODEV : ch->state != KVMB_CHAN_OFFERED ? -EBUSY : 0;
	if (!err) {
		set_state(ch, KVMB_CHAN_OPENING);
		ch->opens++;
		ch->moving = false;
	}
	mutex_unlock(&kvmb.lock);
	if (err)
		return err;

	ch->dead = false;
	err = make_rings(ch, pages);
	if (err)
		goto err_state;
	err = kvmb_gpadl_from_pages(ch, ch->pages, ch->num_pages, &ch->ring_gpadl);
	if (err) {
		free_rings(ch, err == -ETIMEDOUT);
		goto err_state;
	}
	err = open_on_cpu(ch, user, user_len, callback, ctx);
	if (err)
		goto err_free;
	return 0;

err_free:
	free_rings(ch, kvmb_gpadl_teardown(ch, ch->ring_gpadl) || err == -ETIMEDOUT);
err_state:
	to_offered(ch);
	return err;
}
EXPORT_SYMBOL_GPL(kvmb_chan_open);

void kvmb_chan_stop(struct kvmb_chan *ch)
{
	WRITE_ONCE(ch->callback, NULL);
	synchronize_rcu(); /* the interrupt that may still run it is over */
}
EXPORT_SYMBOL_GPL(kvmb_chan_stop);

int kvmb_chan_close(struct kvmb_chan *ch)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(ch->relid) };
	bool open;
	int err;

	mutex_lock(&kvmb.lock);
	open = ch->state == KVMB_CHAN_OPEN;
	if (open)
		set_state(ch, KVMB_CHAN_CLOSING);
	mutex_unlock(&kvmb.lock);
	if (!open)
		return 0;
	kvmb_chan_stop(ch);
	if (!kvmb_chan_gone(ch))
		kvmb_post_msg(KVMB_MSG_CLOSE, &m, sizeof(m), true);
	/* there is no answer to CLOSE: that to the teardown says that the host is off the rings */
	err = kvmb_gpadl_teardown(ch, ch->ring_gpadl);
	free_rings(ch, err != 0);
	ch->ring_gpadl = 0;
	to_offered(ch);
	return err ? -ETIMEDOUT : 0;
}
EXPORT_SYMBOL_GPL(kvmb_chan_close);
