// SPDX-License-Identifier: GPL-2.0-only
/* The guest in a box. */
#include "tests/harness/fake_vmm.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/util.h"

static struct fake_vmm *to_fake(struct kvmb_vmm *v)
{
	return container_of(v, struct fake_vmm, vmm);
}

static int post_message(struct kvmb_vmm *v, u32 vp, u32 type, const void *payload, u32 len)
{
	struct fake_vmm *f = to_fake(v);
	struct fake_msg *m = &f->log[f->num_msgs % FAKE_LOG];

	kvmb_assert(type == HV_MSG_TYPE_CHANNEL && vp < FAKE_VPS && len <= sizeof(m->buf));
	if (f->slots_busy)
		return -EAGAIN;
	f->num_msgs++;
	m->vp = vp;
	m->len = len;
	memcpy(m->buf, payload, len);
	if (f->on_message)
		f->on_message(f);
	return 0;
}

static int bind_signal(struct kvmb_vmm *v, u32 conn_id, int efd)
{
	struct fake_vmm *f = to_fake(v);
	u32 i;

	for (i = 0; i < FAKE_MAX_CONNS && f->conns[i].used; i++)
		kvmb_assert(f->conns[i].id != conn_id);
	if (i == FAKE_MAX_CONNS)
		return -ENOSPC;
	f->conns[i].used = true;
	f->conns[i].id = conn_id;
	f->conns[i].fd = efd;
	return 0;
}

static void unbind_signal(struct kvmb_vmm *v, u32 conn_id, int efd)
{
	struct fake_vmm *f = to_fake(v);
	u32 i;

	for (i = 0; i < FAKE_MAX_CONNS; i++) {
		if (f->conns[i].used && f->conns[i].id == conn_id && f->conns[i].fd == efd) {
			f->conns[i].used = false;
			return;
		}
	}
	kvmb_assert(!"unbound what was not bound");
}

static void raise_event(struct kvmb_vmm *v, u32 vp, u32 flag)
{
	struct fake_vmm *f = to_fake(v);

	kvmb_assert(vp < FAKE_VPS && flag < 2048);
	pthread_mutex_lock(&f->lock);
	f->events[vp][flag / 32] |= 1u << flag % 32;
	f->num_events++;
	pthread_mutex_unlock(&f->lock);
}

static u64 ref_time(struct kvmb_vmm *v)
{
	return to_fake(v)->ref_time;
}

static const struct kvmb_vmm_ops ops = { post_message, bind_signal, unbind_signal, raise_event,
					 ref_time };

void fake_init(struct fake_vmm *f, u32 max_version)
{
	struct kvmb_bus_config cfg = { .vmm = &f->vmm, .max_version = max_version, .who = "test" };

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	f->gm.memfd = memfd_create("fake-ram", MFD_CLOEXEC);
	kvmb_assert(f->gm.memfd >= 0 && !ftruncate(f->gm.memfd, FAKE_RAM));
	/* a hole between two regions, as below 4 GiB: hostile runs may straddle it */
	f->gm.num_regions = 2;
	f->gm.regions[0] = (struct kvmb_gm_region){ 0, FAKE_RAM / 2, 0, NULL };
	f->gm.regions[1] = (struct kvmb_gm_region){ 1ull << 32, FAKE_RAM / 2, FAKE_RAM / 2, NULL };
	f->gm.regions[0].hva =
		mmap(NULL, FAKE_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, f->gm.memfd, 0);
	kvmb_assert(f->gm.regions[0].hva != MAP_FAILED);
	f->gm.regions[1].hva = f->gm.regions[0].hva + FAKE_RAM / 2;
	f->view = mmap(NULL, FAKE_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, f->gm.memfd, 0);
	kvmb_assert(f->view != MAP_FAILED);
	f->vmm.ops = &ops;
	f->vmm.gm = &f->gm;
	f->vmm.num_vps = FAKE_VPS;
	f->loop = kvmb_loop_create();
	f->next_gfn = 16;
	f->next_gpadl = 0xe1e10;
	cfg.loop = f->loop;
	f->bus = kvmb_bus_create(&cfg);
}

static void reset_done(void *arg)
{
	*(bool *)arg = true;
}

void fake_rest(struct fake_vmm *f)
{
	bool done = false;

	kvmb_bus_reset(f->bus, reset_done, &done);
	while (!done)
		kvmb_loop_once(f->loop, 10);
	fake_run(f);
}

void fake_fini(struct fake_vmm *f)
{
	fake_rest(f);
	kvmb_bus_destroy(f->bus);
	kvmb_loop_destroy(f->loop);
	munmap(f->gm.regions[0].hva, FAKE_RAM);
	munmap(f->view, FAKE_RAM);
	close(f->gm.memfd);
	pthread_mutex_destroy(&f->lock);
}

void fake_run(struct fake_vmm *f)
{
	int i;

	for (i = 0; i < 8; i++)
		kvmb_loop_once(f->loop, 0);
}

u16 fake_post_raw(struct fake_vmm *f, const void *msg, u32 len)
{
	u16 status = kvmb_bus_post(f->bus, KVMB_CONN_MSG, HV_MSG_TYPE_CHANNEL, msg, len);

	fake_run(f);
	return status;
}

u16 fake_post(struct fake_vmm *f, enum kvmb_msg type, void *msg, u32 len)
{
	struct kvmb_wire_msg h = { .type = cpu_to_le32(type) };

	memcpy(msg, &h, sizeof(h));
	return fake_post_raw(f, msg, len);
}

const void *fake_next(struct fake_vmm *f, enum kvmb_msg type)
{
	struct kvmb_wire_msg h;
	struct fake_msg *m;

	if (f->num_msgs - f->next_msg > FAKE_LOG)
		f->next_msg = f->num_msgs - FAKE_LOG;
	while (f->next_msg < f->num_msgs) {
		m = &f->log[f->next_msg++ % FAKE_LOG];
		memcpy(&h, m->buf, sizeof(h));
		if (le32_to_cpu(h.type) == type)
			return m->buf;
	}
	return NULL;
}

const void *fake_wait(struct fake_vmm *f, enum kvmb_msg type)
{
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	const void *m;

	while (!(m = fake_next(f, type)) && kvmb_now_ms() < until)
		kvmb_loop_once(f->loop, 5);
	return m;
}

bool fake_contact(struct fake_vmm *f, u32 version)
{
	struct kvmb_wire_initiate_contact m = { .version = cpu_to_le32(version) };
	const struct kvmb_wire_version_response *r;

	if (version < KVMB_VERSION_WIN10_V5)
		m.interrupt_page = cpu_to_le64(fake_alloc(f, 1) << KVMB_PAGE_SHIFT);
	f->next_msg = f->num_msgs; /* what came before is not the answer */
	fake_post(f, KVMB_MSG_INITIATE_CONTACT, &m, sizeof(m));
	r = fake_wait(f, KVMB_MSG_VERSION_RESPONSE);
	return r && r->supported;
}

u32 fake_connect(struct fake_vmm *f, u32 version, struct kvmb_wire_offer *offers, u32 max)
{
	u8 m[8] = { 0 };
	const void *o;
	u32 n = 0;

	if (!fake_contact(f, version))
		return 0;
	fake_post(f, KVMB_MSG_REQUEST_OFFERS, m, sizeof(m));
	while (n < max && (o = fake_next(f, KVMB_MSG_OFFER)))
		memcpy(&offers[n++], o, sizeof(*offers));
	return n;
}

u64 fake_alloc(struct fake_vmm *f, u32 pages)
{
	u64 gfn = f->next_gfn;

	kvmb_assert((gfn + pages) << KVMB_PAGE_SHIFT <= FAKE_RAM / 2);
	f->next_gfn += pages;
	memset(fake_ptr(f, gfn << KVMB_PAGE_SHIFT), 0, (size_t)pages << KVMB_PAGE_SHIFT);
	return gfn;
}

void *fake_ptr(struct fake_vmm *f, u64 gpa)
{
	u8 *p = __unshare(kvmb_gm_ptr(&f->gm, gpa, 1));

	return p ? f->view + (p - f->gm.regions[0].hva) : NULL;
}

u32 fake_gpadl(struct fake_vmm *f, u32 relid, u64 first_gfn, u32 pages, u32 *id)
{
	u8 buf[HV_MESSAGE_PAYLOAD_MAX] __attribute__((aligned(8))) = { 0 };
	struct kvmb_wire_gpadl_header *h = (void *)buf;
	struct kvmb_wire_gpadl_body *b = (void *)buf;
	struct kvmb_wire_gparange r = { 0 };
	__le64 pfn;
	const struct kvmb_wire_gpadl_created *created;
	u32 i, n = 0, in_msg;

	*id = f->next_gpadl++;
	h->relid = cpu_to_le32(relid);
	h->gpadl = cpu_to_le32(*id);
	h->range_count = cpu_to_le16(1);
	h->range_buflen = cpu_to_le16((u16)(8 + 8 * pages));
	r.byte_count = cpu_to_le32(pages * KVMB_PAGE_SIZE);
	memcpy(h + 1, &r, sizeof(r));
	in_msg = KVMB_MIN(pages, 26u);
	for (i = 0; i < in_msg; i++) {
		pfn = cpu_to_le64(first_gfn + n++);
		memcpy(buf + 28 + 8 * i, &pfn, sizeof(pfn));
	}
	fake_post(f, KVMB_MSG_GPADL_HEADER, buf, 28 + 8 * in_msg);
	while (n < pages) {
		memset(buf, 0, sizeof(buf));
		b->gpadl = cpu_to_le32(*id);
		in_msg = KVMB_MIN(pages - n, 28u);
		for (i = 0; i < in_msg; i++)
			b->pfns[i] = cpu_to_le64(first_gfn + n++);
		fake_post(f, KVMB_MSG_GPADL_BODY, buf, 16 + 8 * in_msg);
	}
	created = fake_next(f, KVMB_MSG_GPADL_CREATED);
	return created && le32_to_cpu(created->gpadl) == *id ? le32_to_cpu(created->status) : ~0u;
}

bool fake_teardown(struct fake_vmm *f, u32 relid, u32 id)
{
	struct kvmb_wire_gpadl_teardown m = { .relid = cpu_to_le32(relid),
					      .gpadl = cpu_to_le32(id) };
	const struct kvmb_wire_gpadl_torndown *t;

	fake_post(f, KVMB_MSG_GPADL_TEARDOWN, &m, sizeof(m));
	t = fake_next(f, KVMB_MSG_GPADL_TORNDOWN);
	return t && le32_to_cpu(t->gpadl) == id;
}

u32 fake_open(struct fake_vmm *f, struct fake_chan *c, u32 relid, u32 pages_each)
{
	struct kvmb_wire_open m = { .relid = cpu_to_le32(relid), .open_id = cpu_to_le32(relid) };
	const struct kvmb_wire_open_result *r;
	u64 gfns[1024];
	u32 i;

	kvmb_assert(2 * pages_each <= ARRAY_SIZE(gfns));
	memset(c, 0, sizeof(*c));
	c->relid = relid;
	c->conn_id = HV_VMBUS_SINT << 12 | relid;
	c->pages = 2 * pages_each;
	c->down = pages_each;
	c->first_gfn = fake_alloc(f, c->pages);
	if (fake_gpadl(f, relid, c->first_gfn, c->pages, &c->gpadl))
		return ~0u;
	for (i = 0; i < c->pages; i++)
		gfns[i] = c->first_gfn + i;
	kvmb_assert(!kvmb_gm_map_ring(&f->gm, gfns, c->down, &c->map_tx));
	kvmb_assert(!kvmb_gm_map_ring(&f->gm, gfns + c->down, c->pages - c->down, &c->map_rx));
	kvmb_ring_init(&c->tx, c->map_tx.ctrl, c->map_tx.data, c->map_tx.size, true);
	kvmb_ring_init(&c->rx, c->map_rx.ctrl, c->map_rx.data, c->map_rx.size, false);
	m.ring_gpadl = cpu_to_le32(c->gpadl);
	m.downstream_page = cpu_to_le32(c->down);
	fake_post(f, KVMB_MSG_OPEN, &m, sizeof(m));
	r = fake_wait(f, KVMB_MSG_OPEN_RESULT);
	return r && le32_to_cpu(r->relid) == relid ? le32_to_cpu(r->status) : ~0u;
}

void fake_close(struct fake_vmm *f, struct fake_chan *c)
{
	struct kvmb_wire_relid m = { .relid = cpu_to_le32(c->relid) };
	const struct kvmb_wire_gpadl_torndown *t = NULL;
	u64 until = kvmb_now_ms() + PATIENCE_MS;
	bool now;

	fake_post(f, KVMB_MSG_CLOSE, &m, sizeof(m));
	now = fake_teardown(f, c->relid, c->gpadl);
	while (!now && kvmb_now_ms() < until) {
		kvmb_loop_once(f->loop, 5);
		t = fake_next(f, KVMB_MSG_GPADL_TORNDOWN);
		now = t && le32_to_cpu(t->gpadl) == c->gpadl;
	}
	kvmb_assert(now);
	fake_unmap(c);
}

void fake_unmap(struct fake_chan *c)
{
	kvmb_gm_unmap_ring(&c->map_tx);
	kvmb_gm_unmap_ring(&c->map_rx);
}

void fake_signal(struct fake_vmm *f, struct fake_chan *c)
{
	u64 one = 1;
	u32 i;

	for (i = 0; i < FAKE_MAX_CONNS; i++) {
		if (f->conns[i].used && f->conns[i].id == c->conn_id &&
		    write(f->conns[i].fd, &one, sizeof(one)) < 0)
			return;
	}
}

int fake_send(struct fake_vmm *f, struct fake_chan *c, u16 type, u16 flags, u64 id, const void *hdr,
	      u32 hdr_len, const void *payload, u32 len)
{
	int err = kvmb_ring_put(&c->tx, type, flags, id, hdr, hdr_len, payload, len);

	if (!err && kvmb_ring_publish(&c->tx) > 0)
		fake_signal(f, c);
	return err;
}

int fake_recv(struct fake_vmm *f, struct fake_chan *c, void *buf, u32 size, struct kvmb_pkt *pkt)
{
	return fake_recv_within(f, c, buf, size, pkt, PATIENCE_MS);
}

int fake_recv_within(struct fake_vmm *f, struct fake_chan *c, void *buf, u32 size,
		     struct kvmb_pkt *pkt, u32 ms)
{
	u64 until = kvmb_now_ms() + ms;
	int err;

	while ((err = kvmb_ring_peek(&c->rx, buf, size, pkt)) == -EAGAIN && kvmb_now_ms() < until)
		kvmb_loop_once(f->loop, 1);
	if (err)
		return err;
	kvmb_ring_skip(&c->rx, pkt);
	if (kvmb_ring_release(&c->rx) > 0)
		fake_signal(f, c);
	return 0;
}
