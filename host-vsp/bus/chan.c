// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels: offer, close, modify, rescind, release; chan_open.c opens them.
 *
 * bus_priv.h describes the states. Everything here runs on the bus thread; what a provider may
 * call from its own thread is in chan_io.c.
 */
#include "host-vsp/bus/bus_priv.h"

static const char *const state_names[] = { "hidden",   "offered", "open",      "closing",
					   "revoking", "revoked", "releasing" };
static_assert(ARRAY_SIZE(state_names) == KVMB_CHAN_NUM, "one name a state");

#define TO(s) (1 << KVMB_CHAN_##s)
static const u8 moves[KVMB_CHAN_NUM] = {
	[KVMB_CHAN_HIDDEN] = TO(OFFERED),
	[KVMB_CHAN_OFFERED] = TO(OPEN) | TO(REVOKED) | TO(HIDDEN),
	[KVMB_CHAN_OPEN] = TO(CLOSING) | TO(REVOKING),
	[KVMB_CHAN_CLOSING] = TO(OFFERED) | TO(REVOKING),
	[KVMB_CHAN_REVOKING] = TO(REVOKED) | TO(RELEASING),
	[KVMB_CHAN_REVOKED] = TO(HIDDEN),
	[KVMB_CHAN_RELEASING] = TO(HIDDEN),
};

const char *kvmb_chan_state_name(enum kvmb_chan_state s)
{
	return state_names[s];
}

void kvmb_chan_set_state(struct kvmb_chan *ch, enum kvmb_chan_state to)
{
	/* our bug if it fires: the handlers refused illegal requests of the guest */
	kvmb_assert(moves[ch->state] & (1 << to));
	kvmb_dbg(ch->name, "channel %u %s -> %s", ch->relid, state_names[ch->state],
		 state_names[to]);
	ch->state = to;
}

static bool on_rings(const struct kvmb_chan *ch)
{
	return ch->state == KVMB_CHAN_OPEN || ch->state == KVMB_CHAN_CLOSING ||
	       ch->state == KVMB_CHAN_REVOKING || ch->state == KVMB_CHAN_RELEASING;
}

/* ---- relids and offers ---- */

struct kvmb_chan *kvmb_chan_by_relid(struct kvmb_bus *bus, u32 relid)
{
	struct kvmb_chan *ch;

	if (!relid)
		return NULL;
	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->relid == relid)
			return ch;
	}
	return NULL;
}

bool kvmb_chan_take_relid(struct kvmb_chan *ch, u32 relid)
{
	u8 *byte = &ch->bus->relids[relid / 8], bit = (u8)(1 << relid % 8);

	kvmb_assert(relid && relid <= KVMB_MAX_RELID && !ch->relid);
	if (*byte & bit)
		return false;
	*byte |= bit;
	ch->relid = relid;
	ch->conn_id = HV_VMBUS_SINT << 12 | relid; /* unique; OpenVMM's formula */
	return true;
}

static void give_relid(struct kvmb_chan *ch)
{
	ch->bus->relids[ch->relid / 8] &= (u8)~(1 << ch->relid % 8);
	ch->relid = 0;
}

void kvmb_chan_send_offer(struct kvmb_chan *ch)
{
	struct kvmb_wire_offer m = { .type = ch->offer.type, .instance = ch->offer.instance };
	u32 r;

	for (r = 1; r <= KVMB_MAX_RELID && !kvmb_chan_take_relid(ch, r); r++)
		;
	if (!ch->relid) {
		kvmb_warn_ratelimited(ch->name, "not offered: all %u channel numbers are in use",
				      KVMB_MAX_RELID);
		return;
	}
	m.flags = cpu_to_le16(ch->offer.flags);
	m.mmio_megabytes = cpu_to_le16(ch->offer.mmio_megabytes);
	if (ch->offer.flags & KVMB_OFFER_NAMED_PIPE) {
		m.u.pipe.mode = cpu_to_le32(ch->offer.pipe_mode);
		memcpy(m.u.pipe.user, ch->offer.user, sizeof(ch->offer.user));
	} else {
		memcpy(m.u.user, ch->offer.user, sizeof(ch->offer.user));
	}
	m.sub_channel_index = cpu_to_le16(ch->index);
	m.relid = cpu_to_le32(ch->relid);
	m.monitor_id = 0xff; /* none: the guest signals by hypercall */
	if (ch->bus->version >= KVMB_VERSION_WIN7) {
		m.dedicated_interrupt = cpu_to_le16(1);
		m.connection_id = cpu_to_le32(ch->conn_id);
	}
	kvmb_chan_set_state(ch, KVMB_CHAN_OFFERED);
	kvmb_bus_send(ch->bus, KVMB_MSG_OFFER, &m, sizeof(m));
}

struct kvmb_chan *kvmb_chan_add(struct kvmb_bus *bus, const struct kvmb_offer *offer,
				struct kvmb_chan *primary, u16 index)
{
	struct kvmb_chan *ch = kvmb_xzalloc(sizeof(*ch)), **p;

	ch->bus = bus;
	ch->offer = *offer;
	ch->primary = primary;
	ch->index = index;
	ch->io.signal_fd = -1;
	pthread_mutex_init(&ch->target_lock, NULL);
	if (index)
		snprintf(ch->name, sizeof(ch->name), "%s/%s ch%u", bus->cfg.who, offer->name,
			 index);
	else
		snprintf(ch->name, sizeof(ch->name), "%s/%s", bus->cfg.who, offer->name);
	for (p = &bus->chans; *p; p = &(*p)->next)
		;
	*p = ch;
	return ch;
}

static bool same_device(const struct kvmb_chan *a, const struct kvmb_chan *b)
{
	return a->index == b->index && kvmb_guid_equal(&a->offer.type, &b->offer.type) &&
	       kvmb_guid_equal(&a->offer.instance, &b->offer.instance);
}

bool kvmb_chan_must_wait(const struct kvmb_chan *ch)
{
	const struct kvmb_chan *old;

	for (old = ch->bus->chans; old; old = old->next) {
		if (old->going && old->relid && same_device(old, ch))
			return true;
	}
	return false;
}

/* @old has left the list. */
static void offer_successor(const struct kvmb_chan *old)
{
	struct kvmb_chan *ch;

	for (ch = old->bus->chans; ch && old->bus->state == KVMB_CONN_OFFERED; ch = ch->next) {
		if (ch->state == KVMB_CHAN_HIDDEN && !ch->going && same_device(old, ch) &&
		    !kvmb_chan_must_wait(ch))
			kvmb_chan_send_offer(ch);
	}
}

int kvmb_bus_offer(struct kvmb_bus *bus, const struct kvmb_offer *offer, struct kvmb_chan **out)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (!ch->going && kvmb_guid_equal(&ch->offer.type, &offer->type) &&
		    kvmb_guid_equal(&ch->offer.instance, &offer->instance))
			return -EEXIST;
	}
	ch = kvmb_chan_add(bus, offer, NULL, 0);
	if (bus->state == KVMB_CONN_OFFERED && !kvmb_chan_must_wait(ch))
		kvmb_chan_send_offer(ch);
	if (out)
		*out = ch;
	return 0;
}

bool kvmb_bus_goes(const struct kvmb_bus *bus, const struct kvmb_guid *type,
		   const struct kvmb_guid *instance)
{
	const struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->going && ch->relid && kvmb_guid_equal(&ch->offer.type, type) &&
		    kvmb_guid_equal(&ch->offer.instance, instance))
			return true;
	}
	return false;
}

void kvmb_chan_free(struct kvmb_chan *ch)
{
	pthread_mutex_destroy(&ch->target_lock);
	free(ch);
}

static void remove_chan(struct kvmb_chan *ch)
{
	struct kvmb_chan **p;

	for (p = &ch->bus->chans; *p != ch; p = &(*p)->next)
		;
	*p = ch->next;
	if (!ch->index && ch->offer.ops->released)
		ch->offer.ops->released(ch);
	if (!ch->index)
		offer_successor(ch);
	kvmb_chan_free(ch);
}

static bool has_subs(const struct kvmb_chan *primary)
{
	struct kvmb_chan *ch;

	for (ch = primary->bus->chans; ch; ch = ch->next) {
		if (ch->primary == primary)
			return true;
	}
	return false;
}

/* Sub-channels first: a provider's device lasts until all of its channels are gone. */
static void remove_gone(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch, *next;
	int primary;

	for (primary = 0; primary < 2; primary++) {
		for (ch = bus->chans; ch; ch = next) {
			next = ch->next;
			if (ch->going && ch->state == KVMB_CHAN_HIDDEN &&
			    (ch->index == 0) == primary && !(primary && has_subs(ch)))
				remove_chan(ch);
		}
	}
}

/* ---- close, modify, rescind, release ---- */

static void remove_subs(struct kvmb_chan *primary)
{
	struct kvmb_chan *ch, *next;

	for (ch = primary->bus->chans; ch; ch = next) {
		next = ch->next;
		/* the guest forgets sub-channels when it closes the primary, after a rescind */
		if (ch->primary == primary && !ch->going)
			kvmb_bus_revoke(ch);
	}
}

void kvmb_chan_on_close(struct kvmb_bus *bus, u32 relid)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, relid);

	if (!ch || ch->state != KVMB_CHAN_OPEN) {
		/* a close that crossed our rescind is no mistake of the guest */
		if (!ch || ch->state == KVMB_CHAN_OFFERED || ch->state == KVMB_CHAN_CLOSING)
			kvmb_bus_refuse(bus, "CLOSE", "the channel is not open");
		return;
	}
	kvmb_chan_set_state(ch, KVMB_CHAN_CLOSING);
	ch->offer.ops->close(ch);
	if (!ch->index)
		remove_subs(ch);
}

void kvmb_chan_on_modify(struct kvmb_bus *bus, const struct kvmb_wire_modify *m)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, le32_to_cpu(m->relid));
	struct kvmb_wire_modify_response r = { .relid = m->relid };
	u32 vp = le32_to_cpu(m->target_vp);
	bool ok = ch && ch->state == KVMB_CHAN_OPEN &&
		  (vp < bus->cfg.vmm->num_vps || vp == KVMB_TARGET_VP_NONE);

	if (ok) {
		/* once we hold the lock no signal to the old VP is on its way */
		pthread_mutex_lock(&ch->target_lock);
		ch->target_vp = vp;
		pthread_mutex_unlock(&ch->target_lock);
	} else {
		kvmb_bus_refuse(bus, "MODIFY", "no such open channel or VP");
	}
	if (bus->version < KVMB_VERSION_IRON)
		return; /* no answer before 5.3 */
	r.status = cpu_to_le32(ok ? KVMB_STATUS_OK : KVMB_STATUS_FAILED);
	kvmb_bus_send(bus, KVMB_MSG_MODIFY_RESPONSE, &r, sizeof(r));
}

static void send_rescind(struct kvmb_chan *ch)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(ch->relid) };

	kvmb_bus_send(ch->bus, KVMB_MSG_RESCIND, &m, sizeof(m));
}

void kvmb_bus_revoke(struct kvmb_chan *ch)
{
	struct kvmb_bus *bus = ch->bus;

	if (ch->going)
		return;
	ch->going = true;
	if (!ch->index)
		remove_subs(ch);
	switch (ch->state) {
	case KVMB_CHAN_HIDDEN:
		kvmb_loop_post(bus->cfg.loop, &bus->chan_work);
		break;
	case KVMB_CHAN_OFFERED:
		kvmb_chan_set_state(ch, KVMB_CHAN_REVOKED);
		if (bus->state != KVMB_CONN_DISCONNECTING) /* the guest has no channels then */
			send_rescind(ch);
		break; /* its page lists stay: the guest may be waiting for a TORNDOWN */
	case KVMB_CHAN_OPEN:
		kvmb_chan_set_state(ch, KVMB_CHAN_REVOKING);
		/* the guest gets its answer when nobody touches its memory any more */
		ch->offer.ops->close(ch);
		break;
	case KVMB_CHAN_CLOSING:
		kvmb_chan_set_state(ch, KVMB_CHAN_REVOKING);
		break;
	default:
		kvmb_assert(!"revoked twice");
	}
}

void kvmb_chan_on_released(struct kvmb_bus *bus, u32 relid)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, relid);

	if (ch && ch->state == KVMB_CHAN_REVOKING) {
		kvmb_chan_set_state(ch, KVMB_CHAN_RELEASING);
	} else if (ch && ch->state == KVMB_CHAN_REVOKED) {
		kvmb_gpadl_drop_relid(bus, relid);
		kvmb_chan_set_state(ch, KVMB_CHAN_HIDDEN);
		give_relid(ch);
		kvmb_loop_post(bus->cfg.loop, &bus->chan_work);
	} else {
		kvmb_bus_refuse(bus, "RELID_RELEASED", "the channel was not rescinded");
	}
}

/* ---- coming to rest ---- */

static void at_rest(struct kvmb_chan *ch)
{
	if (ch->offer.ops->closed)
		ch->offer.ops->closed(ch);
	kvmb_chan_release_rings(ch);
	if (ch->state == KVMB_CHAN_CLOSING) {
		kvmb_chan_set_state(ch, KVMB_CHAN_OFFERED);
	} else if (ch->state == KVMB_CHAN_REVOKING) {
		kvmb_chan_set_state(ch, KVMB_CHAN_REVOKED);
		if (ch->bus->state != KVMB_CONN_DISCONNECTING)
			send_rescind(ch);
	} else {
		kvmb_gpadl_drop_relid(ch->bus, ch->relid);
		kvmb_chan_set_state(ch, KVMB_CHAN_HIDDEN);
		give_relid(ch);
	}
}

static void offer_missing_subs(struct kvmb_chan *primary)
{
	struct kvmb_bus *bus = primary->bus;
	struct kvmb_chan *ch;
	u16 have = 0, want;

	if (bus->state != KVMB_CONN_OFFERED || bus->pause != KVMB_PAUSE_NONE)
		return;
	pthread_mutex_lock(&bus->lock);
	want = primary->subs_wanted;
	pthread_mutex_unlock(&bus->lock);
	for (ch = bus->chans; ch && want; ch = ch->next) {
		if (ch->primary == primary && !ch->going)
			have = KVMB_MAX(have, ch->index);
	}
	while (have < want) {
		ch = kvmb_chan_add(bus, &primary->offer, primary, ++have);
		kvmb_chan_send_offer(ch);
	}
}

/* Posted whenever a channel may have come to rest, wants sub-channels or may be freed. */
void kvmb_chan_work(void *arg)
{
	struct kvmb_bus *bus = arg;
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (on_rings(ch) && ch->state != KVMB_CHAN_OPEN &&
		    __atomic_load_n(&ch->io_done, __ATOMIC_ACQUIRE))
			at_rest(ch);
		if (!ch->index && ch->state == KVMB_CHAN_OPEN)
			offer_missing_subs(ch);
	}
	kvmb_gpadl_finish_teardowns(bus);
	remove_gone(bus);
	kvmb_bus_progress(bus);
}

void kvmb_chan_begin_close_all(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->state == KVMB_CHAN_OPEN) {
			kvmb_chan_set_state(ch, KVMB_CHAN_CLOSING);
			ch->offer.ops->close(ch);
		}
	}
}

bool kvmb_chan_all_at_rest(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (on_rings(ch))
			return false;
	}
	return true;
}

/* The connection is over: no channel is known to the guest, sub-channels exist no more. */
void kvmb_chan_hide_all(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->index)
			ch->going = true;
		if (ch->state == KVMB_CHAN_HIDDEN)
			continue;
		if (!ch->index && ch->offer.ops->forgotten)
			ch->offer.ops->forgotten(ch);
		kvmb_chan_set_state(ch, KVMB_CHAN_HIDDEN);
		give_relid(ch);
	}
	remove_gone(bus);
}

void kvmb_bus_for_each(struct kvmb_bus *bus, void (*fn)(void *arg, const struct kvmb_chan_info *i),
		       void *arg)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		struct kvmb_chan_info i = {
			.name = ch->offer.name, .index = ch->index, .relid = ch->relid,
			.target_vp = ch->target_vp, .type = ch->offer.type,
			.instance = ch->offer.instance, .stats = ch->io.stats,
			.state = ch->state == KVMB_CHAN_OPEN && ch->failed ? "failed" :
									     state_names[ch->state],
		};

		if (ch->state == KVMB_CHAN_OPEN) {
			i.rx_used = kvmb_ring_used(&ch->io.rx, false);
			i.tx_used = kvmb_ring_used(&ch->io.tx, true);
			i.rx_size = ch->io.rx.size;
			i.tx_size = ch->io.tx.size;
		}
		fn(arg, &i);
	}
}
