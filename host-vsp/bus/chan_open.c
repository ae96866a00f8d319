// SPDX-License-Identifier: GPL-2.0-only
/* Opening a channel: its rings are mapped, its signal is bound, its provider begins. Bus thread. */
#include "host-vsp/bus/bus_priv.h"

#include <sys/eventfd.h>
#include <unistd.h>

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
	ch->down = down;
	ch->maps = count_maps(ch, down);
	ch->bus->ring_maps += ch->maps;
	err = kvmb_gm_map_ring(gm, gfns, down, &ch->map_rx);
	if (err)
		return err;
	err = kvmb_gm_map_ring(gm, gfns + down, num - down, &ch->map_tx);
	if (err)
		return err;
	err = kvmb_ring_join(&ch->io.rx, ch->map_rx.ctrl, ch->map_rx.data, ch->map_rx.size, false);
	if (!err)
		err = kvmb_ring_join(&ch->io.tx, ch->map_tx.ctrl, ch->map_tx.data, ch->map_tx.size,
				     true);
	if (!err && !ch->bus->loading) /* else when it goes on here: kvmb_bus_resume() */
		kvmb_ring_announce(&ch->io.tx);
	return err;
}

void kvmb_chan_release_rings(struct kvmb_chan *ch)
{
	struct kvmb_vmm *v = ch->bus->cfg.vmm;

	if (ch->io.signal_fd >= 0) {
		if (ch->bus->version != KVMB_VERSION_WS2008)
			v->ops->unbind_signal(v, ch->conn_id, ch->io.signal_fd);
		close(ch->io.signal_fd);
		ch->io.signal_fd = -1;
	}
	kvmb_chan_dirty_ctrl(ch); /* as at the end; from now on they are the guest's */
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

const char *kvmb_chan_open_as(struct kvmb_chan *ch, const struct kvmb_wire_open *m)
{
	struct kvmb_bus *bus = ch->bus;
	u32 vp = le32_to_cpu(m->target_vp), down = 0;
	const char *why = check_open(bus, m, ch, &down);
	int err;

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
	if (why)
		kvmb_chan_release_rings(ch);
	else
		kvmb_chan_set_state(ch, KVMB_CHAN_OPEN);
	return why;
}

void kvmb_chan_on_open(struct kvmb_bus *bus, const struct kvmb_wire_open *m)
{
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, le32_to_cpu(m->relid));
	const char *why;

	if (ch && (ch->state == KVMB_CHAN_REVOKED || ch->state == KVMB_CHAN_REVOKING)) {
		kvmb_bus_refuse(bus, "OPEN", "the channel was rescinded");
		return; /* the guest's rescind handler wakes the opener */
	}
	if (!ch)
		why = "no such channel";
	else if (ch->state != KVMB_CHAN_OFFERED)
		why = "the channel is open";
	else
		why = kvmb_chan_open_as(ch, m);
	if (why)
		kvmb_bus_refuse(bus, "OPEN", why);
	send_open_result(bus, m, why ? KVMB_STATUS_FAILED : KVMB_STATUS_OK);
}
