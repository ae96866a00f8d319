// SPDX-License-Identifier: GPL-2.0-only
/* Channels as providers see them: functions that may be called from any thread. */
#include "host-vsp/bus/bus_priv.h"
#include "lib/dirty_log.h"

struct kvmb_chan_io *kvmb_chan_io(struct kvmb_chan *ch)
{
	return &ch->io;
}

void *kvmb_chan_dev(const struct kvmb_chan *ch)
{
	return ch->offer.dev;
}

struct kvmb_bus *kvmb_chan_bus(const struct kvmb_chan *ch)
{
	return ch->bus;
}

const char *kvmb_chan_name(const struct kvmb_chan *ch)
{
	return ch->name;
}

u16 kvmb_chan_index(const struct kvmb_chan *ch)
{
	return ch->index;
}

u32 kvmb_chan_relid(const struct kvmb_chan *ch)
{
	return ch->relid;
}

void kvmb_chan_signal(struct kvmb_chan *ch)
{
	struct kvmb_vmm *v = ch->bus->cfg.vmm;
	u32 *word, bit = 1u << ch->relid % 32;

	ch->io.stats.signals++;
	pthread_mutex_lock(&ch->target_lock);
	if (ch->target_vp == KVMB_TARGET_VP_NONE) {
		; /* the guest polls */
	} else if (ch->int_page) {
		/* below 2.4: the channel's bit in the page, then flag 0 */
		word = (u32 *)__unshare(ch->int_page) + ch->relid / 32;
		__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
		v->ops->raise_event(v, ch->target_vp, 0);
	} else {
		v->ops->raise_event(v, ch->target_vp, ch->relid);
	}
	pthread_mutex_unlock(&ch->target_lock);
}

int kvmb_chan_publish(struct kvmb_chan *ch)
{
	u32 from = ch->io.tx.published;
	int r = kvmb_ring_publish(&ch->io.tx);

	if (kvmb_dirty_log_on())
		kvmb_chan_dirty_data(ch, from, ch->io.tx.published);
	return r;
}

int kvmb_chan_flush(struct kvmb_chan *ch)
{
	int r = kvmb_chan_publish(ch);

	if (r > 0)
		kvmb_chan_signal(ch);
	return r < 0 ? r : 0;
}

int kvmb_chan_send(struct kvmb_chan *ch, u16 type, u16 flags, u64 trans_id, const void *payload,
		   u32 len)
{
	int err = kvmb_ring_put(&ch->io.tx, type, flags, trans_id, NULL, 0, payload, len);

	if (err)
		return err;
	ch->io.stats.packets_out++;
	return kvmb_chan_flush(ch);
}

void kvmb_chan_fail(struct kvmb_chan *ch, const char *why, int err)
{
	ch->io.stats.errors++;
	__atomic_store_n(&ch->failed, 1, __ATOMIC_RELEASE);
	kvmb_warn_ratelimited(ch->name, "channel stopped: %s (%s)", why, strerror(-err));
}

void kvmb_chan_closed(struct kvmb_chan *ch)
{
	__atomic_store_n(&ch->io_done, 1, __ATOMIC_RELEASE);
	kvmb_loop_post(ch->bus->cfg.loop, &ch->bus->chan_work);
}

void kvmb_chan_paused(struct kvmb_chan *ch)
{
	__atomic_store_n(&ch->io_paused, 1, __ATOMIC_SEQ_CST);
	kvmb_loop_post(ch->bus->cfg.loop, &ch->bus->chan_work);
}

void kvmb_chan_offer_subs(struct kvmb_chan *primary, u16 num)
{
	pthread_mutex_lock(&primary->bus->lock);
	primary->subs_wanted = KVMB_MAX(primary->subs_wanted, num);
	pthread_mutex_unlock(&primary->bus->lock);
	kvmb_loop_post(primary->bus->cfg.loop, &primary->bus->chan_work);
}
