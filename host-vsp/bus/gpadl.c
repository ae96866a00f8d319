// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page lists (GPADLs): assembly from header and bodies, references, teardown.
 *
 * A header announces a list; the list is complete when its last frame number has arrived.
 * Each number is checked to be RAM when it arrives. Lists are reference-counted, and a teardown
 * is answered only when the count is zero, so that the guest may reuse the pages after the
 * answer.
 *
 * Limits: one page-aligned range per list, as Linux and Windows make them. At most
 * KVMB_GPADL_MAX_COUNT lists and KVMB_GPADL_MAX_TOTAL_PAGES frames, complete or announced.
 */
#include "host-vsp/bus/bus_priv.h"

static struct kvmb_gpadl **bucket_of(struct kvmb_bus *bus, u32 id)
{
	return &bus->gpadls[(id ^ id >> 8) % KVMB_GPADL_BUCKETS];
}

static struct kvmb_gpadl *find_gpadl(struct kvmb_bus *bus, u32 id)
{
	struct kvmb_gpadl *g;

	for (g = *bucket_of(bus, id); g; g = g->next) {
		if (g->id == id)
			return g;
	}
	return NULL;
}

static void unlink_free(struct kvmb_bus *bus, struct kvmb_gpadl *g)
{
	struct kvmb_gpadl **p;

	for (p = bucket_of(bus, g->id); *p != g; p = &(*p)->next)
		;
	*p = g->next;
	bus->gpadl_count--;
	bus->gpadl_pages -= g->num_pages;
	free(g);
}

static void send_created(struct kvmb_bus *bus, u32 relid, u32 id, u32 status)
{
	struct kvmb_wire_gpadl_created m = { .relid = cpu_to_le32(relid),
					     .gpadl = cpu_to_le32(id),
					     .status = cpu_to_le32(status) };

	kvmb_bus_send(bus, KVMB_MSG_GPADL_CREATED, &m, sizeof(m));
}

static void send_torndown(struct kvmb_bus *bus, u32 id)
{
	struct kvmb_wire_gpadl_torndown m = { .gpadl = cpu_to_le32(id) };

	kvmb_bus_send(bus, KVMB_MSG_GPADL_TORNDOWN, &m, sizeof(m));
}

/* @pfns stand at an odd place of the message: they are copied one by one. */
static const char *fill(struct kvmb_bus *bus, struct kvmb_gpadl *g, const void *pfns, u32 num)
{
	__le64 pfn;
	u64 gfn;
	u32 i;

	if (num > g->num_pages - g->filled)
		num = g->num_pages - g->filled; /* the last message may be padded */
	for (i = 0; i < num; i++) {
		memcpy(&pfn, (const u8 *)pfns + i * sizeof(pfn), sizeof(pfn));
		gfn = le64_to_cpu(pfn);
		if (!kvmb_gm_gfn_valid(bus->cfg.vmm->gm, gfn))
			return "a page is outside RAM";
		g->gfns[g->filled++] = gfn;
	}
	if (g->filled == g->num_pages)
		g->state = KVMB_GPADL_CREATED;
	return NULL;
}

/* An empty list. Return: NULL and *out, or why not. */
static const char *make_list(struct kvmb_bus *bus, u32 id, u32 relid, u32 pages,
			     struct kvmb_gpadl **out)
{
	struct kvmb_gpadl *g;

	if (!id || find_gpadl(bus, id))
		return "its handle is zero or in use";
	if (bus->gpadl_count >= KVMB_GPADL_MAX_COUNT ||
	    bus->gpadl_pages + pages > KVMB_GPADL_MAX_TOTAL_PAGES)
		return "too many pages are listed already";
	g = calloc(1, sizeof(*g) + (size_t)pages * sizeof(g->gfns[0]));
	if (!g)
		return "out of memory";
	g->id = id;
	g->relid = relid;
	g->num_pages = pages;
	g->next = *bucket_of(bus, id);
	*bucket_of(bus, id) = g;
	bus->gpadl_count++;
	bus->gpadl_pages += pages;
	*out = g;
	return NULL;
}

/* Checks a header and makes the list. Return: NULL and *out, or why not. */
static const char *begin(struct kvmb_bus *bus, const struct kvmb_wire_gpadl_header *h, u32 len,
			 struct kvmb_gpadl **out)
{
	struct kvmb_wire_gparange r;
	u32 relid = le32_to_cpu(h->relid), id = le32_to_cpu(h->gpadl);
	struct kvmb_chan *ch = kvmb_chan_by_relid(bus, relid);
	const char *why;
	u32 pages;

	memcpy(&r, h + 1, sizeof(r));
	if (!ch || ch->state == KVMB_CHAN_REVOKED || ch->state == KVMB_CHAN_REVOKING)
		return "its channel is not offered";
	if (le16_to_cpu(h->range_count) != 1)
		return "it does not have exactly one range";
	if (le32_to_cpu(r.byte_offset) || le32_to_cpu(r.byte_count) % KVMB_PAGE_SIZE ||
	    kvmb_gparange_pages(le32_to_cpu(r.byte_count), 0, &pages))
		return "its range is empty or not page-aligned";
	why = make_list(bus, id, relid, pages, out);
	return why ? why :
		     fill(bus, *out, (const u8 *)(h + 1) + sizeof(r),
			  (u32)((len - sizeof(*h) - sizeof(r)) / sizeof(u64)));
}

void kvmb_gpadl_on_header(struct kvmb_bus *bus, const void *buf, u32 len)
{
	const struct kvmb_wire_gpadl_header *h = buf;
	u32 relid = le32_to_cpu(h->relid), id = le32_to_cpu(h->gpadl);
	struct kvmb_gpadl *g = NULL;
	bool complete = false;
	const char *why;

	pthread_mutex_lock(&bus->lock);
	why = begin(bus, h, len, &g);
	if (why && g)
		unlink_free(bus, g);
	else if (!why)
		complete = g->state == KVMB_GPADL_CREATED;
	pthread_mutex_unlock(&bus->lock);

	if (why)
		kvmb_bus_refuse(bus, "GPADL_HEADER", why);
	if (why || complete)
		send_created(bus, relid, id, why ? KVMB_STATUS_FAILED : KVMB_STATUS_OK);
}

const char *kvmb_gpadl_load(struct kvmb_bus *bus, u32 id, u32 relid, u32 pages, const u64 *gfns,
			    u32 filled)
{
	struct kvmb_gpadl *g;
	const char *why;

	kvmb_assert(filled <= pages);
	pthread_mutex_lock(&bus->lock);
	why = make_list(bus, id, relid, pages, &g);
	for (; !why && g->filled < filled; g->filled++) {
		g->gfns[g->filled] = gfns[g->filled];
		if (!kvmb_gm_gfn_valid(bus->cfg.vmm->gm, gfns[g->filled]))
			why = "a page is outside RAM";
	}
	if (!why && filled == pages)
		g->state = KVMB_GPADL_CREATED;
	pthread_mutex_unlock(&bus->lock);
	return why;
}

void kvmb_gpadl_load_teardown(struct kvmb_bus *bus, u32 id)
{
	struct kvmb_gpadl *g;

	pthread_mutex_lock(&bus->lock);
	g = find_gpadl(bus, id);
	kvmb_assert(g && g->state == KVMB_GPADL_CREATED);
	g->state = KVMB_GPADL_TEARING;
	pthread_mutex_unlock(&bus->lock);
}

void kvmb_gpadl_on_body(struct kvmb_bus *bus, const void *buf, u32 len)
{
	const struct kvmb_wire_gpadl_body *b = buf;
	u32 id = le32_to_cpu(b->gpadl), relid = 0;
	const char *why = "there is no unfinished list of that handle";
	struct kvmb_gpadl *g;
	bool answer = false;

	pthread_mutex_lock(&bus->lock);
	g = find_gpadl(bus, id);
	if (g && g->state == KVMB_GPADL_ASSEMBLING) {
		relid = g->relid;
		why = fill(bus, g, b->pfns, (u32)((len - sizeof(*b)) / sizeof(b->pfns[0])));
		answer = why || g->state == KVMB_GPADL_CREATED;
		if (why)
			unlink_free(bus, g);
	}
	pthread_mutex_unlock(&bus->lock);

	if (why)
		kvmb_bus_refuse(bus, "GPADL_BODY", why);
	if (answer)
		send_created(bus, relid, id, why ? KVMB_STATUS_FAILED : KVMB_STATUS_OK);
}

void kvmb_gpadl_on_teardown(struct kvmb_bus *bus, const struct kvmb_wire_gpadl_teardown *m)
{
	u32 id = le32_to_cpu(m->gpadl);
	struct kvmb_gpadl *g;
	bool done = false, refused = false;

	pthread_mutex_lock(&bus->lock);
	g = find_gpadl(bus, id);
	if (!g || g->state == KVMB_GPADL_TEARING || g->relid != le32_to_cpu(m->relid)) {
		refused = true;
	} else if (g->refs) {
		g->state = KVMB_GPADL_TEARING;
	} else {
		unlink_free(bus, g);
		done = true;
	}
	pthread_mutex_unlock(&bus->lock);

	if (refused)
		kvmb_bus_refuse(bus, "GPADL_TEARDOWN", "there is no such list");
	if (done)
		send_torndown(bus, id);
}

void kvmb_gpadl_finish_teardowns(struct kvmb_bus *bus)
{
	struct kvmb_gpadl *g;
	u32 i, id = 0;

	for (;;) {
		pthread_mutex_lock(&bus->lock);
		for (i = 0, g = NULL; i < KVMB_GPADL_BUCKETS && !g; i++) {
			for (g = bus->gpadls[i]; g; g = g->next) {
				if (g->state == KVMB_GPADL_TEARING && !g->refs)
					break;
			}
		}
		if (g) {
			id = g->id;
			unlink_free(bus, g);
		}
		pthread_mutex_unlock(&bus->lock);
		if (!g)
			return;
		send_torndown(bus, id);
	}
}

static void drop(struct kvmb_bus *bus, u32 relid)
{
	struct kvmb_gpadl *g, *next;
	u32 i;

	pthread_mutex_lock(&bus->lock);
	for (i = 0; i < KVMB_GPADL_BUCKETS; i++) {
		for (g = bus->gpadls[i]; g; g = next) {
			next = g->next;
			if (relid && (g->relid != relid || g->refs))
				continue;
			kvmb_assert(!g->refs); /* every provider is off: kvmb_chan_all_at_rest() */
			unlink_free(bus, g);
		}
	}
	pthread_mutex_unlock(&bus->lock);
}

void kvmb_gpadl_drop_relid(struct kvmb_bus *bus, u32 relid)
{
	drop(bus, relid);
}

void kvmb_gpadl_drop_all(struct kvmb_bus *bus)
{
	drop(bus, 0);
}

struct kvmb_gpadl *kvmb_gpadl_get(struct kvmb_chan *ch, u32 id)
{
	struct kvmb_bus *bus = ch->bus;
	struct kvmb_gpadl *g;

	pthread_mutex_lock(&bus->lock);
	g = find_gpadl(bus, id);
	if (g && (g->state != KVMB_GPADL_CREATED || g->relid != ch->relid))
		g = NULL;
	if (g)
		g->refs++;
	pthread_mutex_unlock(&bus->lock);
	return g;
}

void kvmb_gpadl_put(struct kvmb_bus *bus, struct kvmb_gpadl *g)
{
	bool tear;

	if (!g)
		return;
	pthread_mutex_lock(&bus->lock);
	kvmb_assert(g->refs);
	tear = !--g->refs && g->state == KVMB_GPADL_TEARING;
	pthread_mutex_unlock(&bus->lock);
	if (tear)
		kvmb_loop_post(bus->cfg.loop, &bus->chan_work);
}

const u64 *kvmb_gpadl_gfns(const struct kvmb_gpadl *g, u32 *num)
{
	*num = g->num_pages;
	return g->gfns;
}
