// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels: offer, open, close, modify, rescind, release.
 *
 * bus_priv.h describes the states. Everything here runs on the bus thread; what a provider may
 * call from its own thread is in chan_io.c.
 */
#include "host-vsp/bus/bus_priv.h"

#include <sys/eventfd.h>
#include <unistd.h>

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

static void set_chan_state(struct kvmb_chan *ch, enum kvmb_chan_state to)
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

static u32 take_relid(struct kvmb_bus *bus)
{
	u32 r;

	for (r = 1; r <= KVMB_MAX_RELID; r++) {
		if (!(bus->relids[r / 8] & 1 << r % 8)) {
			bus->relids[r / 8] |= (u8)(1 << r % 8);
			return r;
		}
	}
	return 0;
}

static void give_relid(struct kvmb_chan *ch)
{
	ch->bus->relids[ch->relid / 8] &= (u8)~(1 << ch->relid % 8);
	ch->relid = 0;
}

void kvmb_chan_send_offer(struct kvmb_chan *ch)
{
	struct kvmb_wire_offer m = { .type = ch->offer.type, .instance = ch->offer.instance };

	ch->relid = take_relid(ch->bus);
	if (!ch->relid) {
		kvmb_warn_ratelimited(ch->name, "not offered: all %u channel numbers are in use",
				      KVMB_MAX_RELID);
		return;
	}
	ch->conn_id = HV_VMBUS_SINT << 12 | ch->relid; /* unique; OpenVMM's formula */
	m.flags = cpu_to_le16(ch->offer.flags);
	m.mmio_megabytes = cpu_to_le16(ch->offer.mmio_megabytes);
	m.u.pipe.mode = cpu_to_le32(ch->offer.pipe_mode);
	m.sub_channel_index = cpu_to_le16(ch->index);
	m.relid = cpu_to_le32(ch->relid);
	m.monitor_id = 0xff; /* none: the guest signals by hypercall */
	if (ch->bus->version >= KVMB_VERSION_WIN7) {
		m.dedicated_interrupt = cpu_to_le16(1);
		m.connection_id = cpu_to_le32(ch->conn_id);
	}
	set_chan_state(ch, KVMB_CHAN_OFFERED);
	kvmb_bus_send(ch->bus, KVMB_MSG_OFFER, &m, sizeof(m));
}

static struct kvmb_chan *add_chan(struct kvmb_bus *bus, const struct kvmb_offer *offer,
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

int kvmb_bus_offer(struct kvmb_bus *bus, const struct kvmb_offer *offer, struct kvmb_chan **out)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (!ch->going && kvmb_guid_equal(&ch->offer.type, &offer->type) &&
		    kvmb_guid_equal(&ch->offer.instance, &offer->instance))
			return -EEXIST;
	}
	ch = add_chan(bus, offer, NULL, 0);
	if (bus->state == KVMB_CONN_OFFERED)
		kvmb_chan_send_offer(ch);
	if (out)
		*out = ch;
	return 0;
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

/* ---- open ---- */

static void send_open_result(struct kvmb_bus *bus, const struct kvmb_wire_open *m, u32 status)
{
	struct kvmb_wire_open_result r = { .relid = m->relid, .open_id = m->open_id };

	r.status = cpu_to_le32(status);
	kvmb_bus_send(bus, KVMB_MSG_OPEN_RESULT, &r, sizeof(r));
}

static u32 count_maps(const struct kvmb_chan *ch, u32 down)
{
	u32 num;
	const u64 *gfns = kvmb_gpadl_gfns(ch->ring_gpadl, &num);

	return kvmb_gm_ring_maps(gfns, down) + kvmb_gm_ring_maps(gfns + down, num - down);
}

static int map_rings(struct kvmb_chan *ch, u32 down)
{
	struct kvmb_gm *gm = ch->bus->cfg.vmm->gm;
	const u64 *gfns;
	u32 num;
	int err;

	gfns = kvmb_gpadl_gfns(ch->ring_gpadl, &num);
	ch->maps = count_maps(ch, down);
	ch->bus->ring_maps += ch->maps;
	err = kvmb_gm_map_ring(gm, gfns, down, &ch->map_rx);
	if (err)
		return err;
	err = kvmb_gm_map_ring(gm, gfns + down, num - down, &ch->map_tx);
	if (err)
		return err;
	err = kvmb_ring_init(&ch->io.rx, ch->map_rx.ctrl, ch->map_rx.data, ch->map_rx.size, false);
	if (err)
		return err;
	return kvmb_ring_init(&ch->io.tx, ch->map_tx.ctrl, ch->map_tx.data, ch->map_tx.size, true);
}

static void release_rings(struct kvmb_chan *ch)
{
	struct kvmb_vmm *v = ch->bus->cfg.vmm;

	if (ch->io.signal_fd >= 0) {
		if (ch->bus->version != KVMB_VERSION_WS2008)
			v->ops->unbind_signal(v, ch->conn_id, ch->io.signal_fd);
		close(ch->io.signal_fd);
		ch->io.signal_fd = -1;
	}
	kvmb_gm_unmap_ring(&ch->map_rx);
	kvmb_gm_unmap_ring(&ch->map_tx);
	ch->bus->ring_maps -= ch->maps;
	ch->maps = 0;
	kvmb_gpadl_put(ch->bus, ch->ring_gpadl);
	ch->ring_gpadl = NULL;
}

/*
 * Nobody is on the rings yet, so what was wanted is a wish of the channel's last life. At its end
 * is too early: a provider may still wish while it closes.
 */
static void want_no_subs(struct kvmb_chan *primary)
{
	pthread_mutex_lock(&primary->bus->lock);
	primary->subs_wanted = 0;
	pthread_mutex_unlock(&primary->bus->lock);
}

static int start_chan(struct kvmb_chan *ch, const struct kvmb_wire_open *m, u32 down)
{
	struct kvmb_vmm *v = ch->bus->cfg.vmm;
	int err;

	memset(&ch->io, 0, sizeof(ch->io));
	memcpy(ch->io.user, m->user, sizeof(ch->io.user));
	ch->io_done = 0;
	ch->io_paused = 0;
	ch->paused = kvmb_bus_paused(ch->bus);
	ch->failed = 0;
	want_no_subs(ch);
	ch->io.signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ch->io.signal_fd < 0)
		return -errno;
	err = map_rings(ch, down);
	/* 0.13 has one event connection for all: bus.c old_event() */
	if (!err && ch->bus->version != KVMB_VERSION_WS2008)
		err = v->ops->bind_signal(v, ch->conn_id, ch->io.signal_fd);
	if (err) {
		close(ch->io.signal_fd);
		ch->io.signal_fd = -1;
		return err;
	}
	/* the guest may signal from here on; it set up its callback before it asked */
	return ch->offer.ops->open(ch);
}

/* Return: NULL, or why the guest may not open this */
static const char *check_open(struct kvmb_bus *bus, const struct kvmb_wire_open *m,
			      struct kvmb_chan *ch, u32 *down)
{
	u32 vp = le32_to_cpu(m->target_vp), num;

	if (vp >= bus->cfg.vmm->num_vps && vp != KVMB_TARGET_VP_NONE)
		return "its target VP does not exist";
	ch->ring_gpadl = kvmb_gpadl_get(ch, le32_to_cpu(m->ring_gpadl));
	if (!ch->ring_gpadl)
		return "its ring's page list does not exist";
	kvmb_gpadl_gfns(ch->ring_gpadl, &num);
	*down = le32_to_cpu(m->downstream_page);
	if (num > KVMB_RING_MAX_PAGES)
		return "its ring is too large";
	if (*down < 2 || num < 4 || *down > num - 2)
		return "a ring has fewer than two pages";
	if (count_maps(ch, *down) > KVMB_RING_MAX_MAPS - bus->ring_maps)
		return "all open rings together have too many pages that are not contiguous";
	return NULL;
}

void kvmb_chan_on_open(struct kvmb_bus *bus, const struct kvmb_wire_open *m)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, le32_to_cpu(m->relid));
	u32 vp = le32_to_cpu(m->target_vp), down = 0;
	const char *why;
	int err;

	if (ch && (ch->state == KVMB_CHAN_REVOKED || ch->state == KVMB_CHAN_REVOKING)) {
		kvmb_bus_refuse(bus, "OPEN", "the channel was rescinded");
		return; /* the guest's rescind handler wakes the opener */
	}
	if (!ch || ch->state != KVMB_CHAN_OFFERED) {
		kvmb_bus_refuse(bus, "OPEN", ch ? "the channel is open" : "no such channel");
		send_open_result(bus, m, KVMB_STATUS_FAILED);
		return;
	}
	why = check_open(bus, m, ch, &down);
	if (!why) {
		pthread_mutex_lock(&ch->target_lock);
		/* per-channel targets came with 2.4; before, everything goes to one VP */
		ch->int_page = bus->version < KVMB_VERSION_WIN8 ? bus->int_page : NULL;
		ch->target_vp = ch->int_page ? bus->target_vp : vp;
		pthread_mutex_unlock(&ch->target_lock);
		err = start_chan(ch, m, down);
		if (err) {
			why = "the device could not start";
			kvmb_warn_ratelimited(ch->name, "cannot open the channel: %s",
					      strerror(-err));
		}
	}
	if (why) {
		kvmb_bus_refuse(bus, "OPEN", why);
		release_rings(ch);
		send_open_result(bus, m, KVMB_STATUS_FAILED);
		return;
	}
	set_chan_state(ch, KVMB_CHAN_OPEN);
	send_open_result(bus, m, KVMB_STATUS_OK);
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
	set_chan_state(ch, KVMB_CHAN_CLOSING);
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
		set_chan_state(ch, KVMB_CHAN_REVOKED);
		if (bus->state != KVMB_CONN_DISCONNECTING) /* the guest has no channels then */
			send_rescind(ch);
		break; /* its page lists stay: the guest may be waiting for a TORNDOWN */
	case KVMB_CHAN_OPEN:
		set_chan_state(ch, KVMB_CHAN_REVOKING);
		/* the guest gets its answer when nobody touches its memory any more */
		ch->offer.ops->close(ch);
		break;
	case KVMB_CHAN_CLOSING:
		set_chan_state(ch, KVMB_CHAN_REVOKING);
		break;
	default:
		kvmb_assert(!"revoked twice");
	}
}

void kvmb_chan_on_released(struct kvmb_bus *bus, u32 relid)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, relid);

	if (ch && ch->state == KVMB_CHAN_REVOKING) {
		set_chan_state(ch, KVMB_CHAN_RELEASING);
	} else if (ch && ch->state == KVMB_CHAN_REVOKED) {
		kvmb_gpadl_drop_relid(bus, relid);
		set_chan_state(ch, KVMB_CHAN_HIDDEN);
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
	release_rings(ch);
	if (ch->state == KVMB_CHAN_CLOSING) {
		set_chan_state(ch, KVMB_CHAN_OFFERED);
	} else if (ch->state == KVMB_CHAN_REVOKING) {
		set_chan_state(ch, KVMB_CHAN_REVOKED);
		if (ch->bus->state != KVMB_CONN_DISCONNECTING)
			send_rescind(ch);
	} else {
		kvmb_gpadl_drop_relid(ch->bus, ch->relid);
		set_chan_state(ch, KVMB_CHAN_HIDDEN);
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
		ch = add_chan(bus, &primary->offer, primary, ++have);
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
			set_chan_state(ch, KVMB_CHAN_CLOSING);
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
		set_chan_state(ch, KVMB_CHAN_HIDDEN);
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
