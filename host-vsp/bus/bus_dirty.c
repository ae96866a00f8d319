// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of guest memory that bus and channels write, for lib/dirty_log.h. Rings are mapped
 * a second time, at addresses that the log does not know: their pages are found by the page list.
 */
#include "host-vsp/bus/bus_priv.h"
#include "lib/dirty_log.h"

/* Page @page of both rings, as the guest listed them. The list stays while the rings are mapped. */
static void note_ring_page(const struct kvmb_chan *ch, u32 page)
{
	const struct kvmb_gm *gm = ch->bus->cfg.vmm->gm;
	const u64 *gfns;
	u32 num;

	gfns = kvmb_gpadl_gfns(ch->ring_gpadl, &num);
	kvmb_dirty(__unshare(kvmb_gm_ptr(gm, gfns[page] << KVMB_PAGE_SHIFT, KVMB_PAGE_SIZE)),
		   KVMB_PAGE_SIZE);
}

void kvmb_chan_dirty_data(struct kvmb_chan *ch, u32 from, u32 to)
{
	u32 size = ch->map_tx.size, bytes = to >= from ? to - from : size - from + to, n;

	for (; bytes; bytes -= n, from = (from + n) % size) {
		n = KVMB_MIN(bytes, KVMB_PAGE_SIZE - from % KVMB_PAGE_SIZE);
		note_ring_page(ch, ch->down + 1 + from / KVMB_PAGE_SIZE);
	}
}

void kvmb_chan_dirty_ctrl(struct kvmb_chan *ch)
{
	if (!ch->map_tx.map)
		return;
	note_ring_page(ch, 0);
	note_ring_page(ch, ch->down);
}

void kvmb_bus_dirty_rings(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;
	u32 page, num;

	for (ch = bus->chans; ch; ch = ch->next) {
		if (!ch->map_tx.map)
			continue;
		kvmb_gpadl_gfns(ch->ring_gpadl, &num);
		for (page = 0; page < num; page++)
			note_ring_page(ch, page);
	}
}

void kvmb_bus_dirty(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	for (ch = bus->chans; ch; ch = ch->next)
		kvmb_chan_dirty_ctrl(ch);
	kvmb_dirty(__unshare(bus->int_page), KVMB_PAGE_SIZE);
}
