// SPDX-License-Identifier: GPL-2.0-only
/* Page lists and channels of the scripted host. Theory of operation: script_host.h. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "tests/kunit/script_priv.h"

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

void host_on_gpadl_header(const u8 *msg, u32 len)
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

void host_on_gpadl_body(const u8 *msg, u32 len)
{
	struct host_gpadl *g =
		find_gpadl(le32_to_cpu(((const struct kvmb_wire_gpadl_body *)msg)->gpadl));
	u32 head = sizeof(struct kvmb_wire_gpadl_body);

	if (g)
		take_pfns(g, msg + head, len - head);
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

void host_let_go(struct host_chan *c)
{
	if (!c->open)
		return;
	c->open = false;
	vunmap(c->rx_map);
	vunmap(c->tx_map);
}

void host_on_open(const struct kvmb_wire_open *m)
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

	/* one that it took back meanwhile is nobody's any more, and so are the pages */
	if (host_script.mute & BIT(KVMB_MSG_OPEN) || !c->offered)
		return;
	if (!g || !down || down >= g->num || c->open)
		r.status = cpu_to_le32(KVMB_STATUS_FAILED);
	if (!r.status) {
		c->relid = relid;
		c->gpadl = g->handle;
		c->vp = le32_to_cpu(m->target_vp);
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

void host_signal_work(struct work_struct *work)
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
			host_let_go(&host.chans[i]);
	}
}

void host_on_teardown(const struct kvmb_wire_gpadl_teardown *m)
{
	struct kvmb_wire_gpadl_torndown r = {
		.h.type = cpu_to_le32(KVMB_MSG_GPADL_TORNDOWN),
		.gpadl = m->gpadl,
	};
	struct host_gpadl *g = find_gpadl(le32_to_cpu(m->gpadl));

	if (host_script.mute & BIT(KVMB_MSG_GPADL_TEARDOWN))
		return;
	let_go_all_of(le32_to_cpu(m->gpadl));
	if (g)
		drop_gpadl(g);
	host_say(&r, sizeof(r));
}

void host_forget_chans(void)
{
	struct host_gpadl *g, *next;
	u32 i;

	mutex_lock(&host.state);
	for (i = 0; i < HOST_RELIDS; i++) {
		host_let_go(&host.chans[i]);
		memset(&host.chans[i], 0, sizeof(host.chans[i]));
		host.chans[i].relid = i;
	}
	list_for_each_entry_safe(g, next, &host.gpadls, entry)
		drop_gpadl(g);
	mutex_unlock(&host.state);
}
