// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test devices: debug exit (0xf4), SynIC test port (0x3000), irq lines (0x2000 + n).
 *
 * If a message finds its slot busy, it is staged, one per (vCPU, SINT), and delivered when the
 * guest acknowledges; meanwhile the next post is answered "no buffers". An event connection sets
 * the flag with its own number.
 *
 * The test device also offers a class that none of our drivers serves, to test how our guest
 * modules react.
 */
#include "machine/dev/testdev.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host-vsp/bus/bus.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/hyperv.h"
#include "machine/irq.h"

#define EXIT_PORT 0xf4u
#define LINES_PORT 0x2000u
#define SYNIC_PORT 0x3000u
#define MAX_ROUTES 64u
#define NUM_CONNS 256u

enum op {
	OP_ROUTE_ADD = 1,
	OP_ROUTE_DEL,
	OP_RAISE,
	OP_MSG_ADD,
	OP_MSG_DEL,
	OP_EVT_ADD,
	OP_EVT_DEL
};

struct route {
	struct testdev *t;
	u32 refs, vp, sint;
	int gsi, irq_fd, ack_fd;
	struct kvmb_watch *watch;
	bool staged;
	u32 type, len;
	u8 payload[HV_MESSAGE_PAYLOAD_MAX];
};

struct conn {
	struct testdev *t;
	struct route *route;
	u32 id;
	int evt_fd; /* event connections, -1 else */
	struct kvmb_watch *watch;
	bool msg;
};

struct testdev {
	struct machine *machine;
	pthread_mutex_t lock; /* guards all below; taken by vCPU threads and the main thread */
	struct route routes[MAX_ROUTES];
	struct conn conns[NUM_CONNS];
};

static void raise_route(struct route *r)
{
	u64 one = 1;

	if (write(r->irq_fd, &one, sizeof(one)) < 0)
		return; /* counter full: on its way */
}

static void on_ack(void *arg, uint32_t events)
{
	struct route *r = arg;
	u64 n;

	(void)events;
	pthread_mutex_lock(&r->t->lock);
	if (r->refs && read(r->ack_fd, &n, sizeof(n)) == sizeof(n) && r->staged &&
	    !hyperv_fill_slot(&r->t->machine->vcpus[r->vp], r->sint, r->type, r->payload, r->len)) {
		r->staged = false;
		raise_route(r);
	}
	pthread_mutex_unlock(&r->t->lock);
}

static struct route *find_route(struct testdev *t, u32 vp, u32 sint)
{
	u32 i;

	for (i = 0; i < MAX_ROUTES; i++) {
		if (t->routes[i].refs && t->routes[i].vp == vp && t->routes[i].sint == sint)
			return &t->routes[i];
	}
	return NULL;
}

static struct route *get_route(struct testdev *t, u32 vp, u32 sint)
{
	struct route *r = find_route(t, vp, sint);
	u32 i;

	if (r) {
		r->refs++;
		return r;
	}
	for (i = 0; i < MAX_ROUTES && t->routes[i].refs; i++)
		;
	if (i == MAX_ROUTES || vp >= t->machine->cfg.cpus || sint >= HV_NUM_SINTS)
		return NULL;
	r = &t->routes[i];
	memset(r, 0, sizeof(*r));
	r->t = t;
	r->vp = vp;
	r->sint = sint;
	r->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->gsi = irq_add_sint_route(t->machine, vp, sint);
	if (r->gsi < 0 || irq_assign(t->machine, (u32)r->gsi, r->irq_fd, r->ack_fd)) {
		kvmb_err(t->machine->name, "test device: no route to vCPU %u SINT %u", vp, sint);
		if (r->gsi >= 0)
			irq_del_sint_route(t->machine, (u32)r->gsi);
		close(r->irq_fd);
		close(r->ack_fd);
		return NULL;
	}
	r->watch = kvmb_loop_add(t->machine->loop, r->ack_fd, EPOLLIN, on_ack, r);
	r->refs = 1;
	return r;
}

/*
 * Watches may only be deleted on the loop's thread, so a closed descriptor takes itself
 * out of epoll here and its watch is left to the end; tests make a handful.
 */
static void put_route(struct testdev *t, struct route *r)
{
	if (!r || --r->refs)
		return;
	irq_deassign(t->machine, (u32)r->gsi, r->irq_fd);
	irq_del_sint_route(t->machine, (u32)r->gsi);
	close(r->irq_fd);
	close(r->ack_fd);
}

static void on_event(void *arg, uint32_t events)
{
	struct conn *c = arg;
	struct vcpu *v;
	u8 *page;
	u32 *word;
	u64 n;

	(void)events;
	pthread_mutex_lock(&c->t->lock);
	if (c->route && c->evt_fd >= 0 && read(c->evt_fd, &n, sizeof(n)) == sizeof(n)) {
		v = &c->t->machine->vcpus[c->route->vp];
		page = __unshare(__atomic_load_n(&v->siefp, __ATOMIC_ACQUIRE));
		if (page) {
			word = (u32 *)(page + c->route->sint * 256) + c->id / 32;
			if (!(__atomic_fetch_or(word, 1u << c->id % 32, __ATOMIC_SEQ_CST) &
			      1u << c->id % 32))
				raise_route(c->route);
		}
	}
	pthread_mutex_unlock(&c->t->lock);
}

static void add_conn(struct testdev *t, u32 id, u32 vp, u32 sint, bool msg)
{
	struct conn *c = &t->conns[id];

	if (c->route || !(c->route = get_route(t, vp, sint)))
		return;
	c->t = t;
	c->id = id;
	c->msg = msg;
	c->evt_fd = -1;
	if (msg)
		return;
	c->evt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->watch = kvmb_loop_add(t->machine->loop, c->evt_fd, EPOLLIN, on_event, c);
	hyperv_bind_event(t->machine, id, c->evt_fd);
}

static void del_conn(struct testdev *t, u32 id, bool msg)
{
	struct conn *c = &t->conns[id];

	if (!c->route || c->msg != msg)
		return;
	if (!msg) {
		hyperv_unbind_event(t->machine, id);
		close(c->evt_fd);
		c->evt_fd = -1;
	}
	put_route(t, c->route);
	c->route = NULL;
}

static bool post(struct machine *m, u32 conn, u32 type, const void *payload, u32 len, u16 *status)
{
	struct testdev *t = m->testdev;
	struct conn *c = conn < NUM_CONNS ? &t->conns[conn] : NULL;
	struct route *r;
	bool ours;

	pthread_mutex_lock(&t->lock);
	ours = c && c->route && c->msg;
	if (ours) {
		r = c->route;
		*status = KVMB_HV_STATUS_SUCCESS;
		if (r->staged) {
			*status = KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
		} else if (!hyperv_fill_slot(&t->machine->vcpus[r->vp], r->sint, type, payload,
					     len)) {
			raise_route(r);
		} else {
			r->staged = true;
			r->type = type;
			r->len = len;
			memcpy(r->payload, payload, len);
		}
	}
	pthread_mutex_unlock(&t->lock);
	return ours;
}

static void synic_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct testdev *t = dev;
	u32 sint = *val & 0xff, vp = *val >> 8 & 0xff, op = *val >> 16 & 0xff, id = *val >> 24;
	struct route *r;

	if (!write || offset || size != 4)
		return;
	pthread_mutex_lock(&t->lock);
	switch ((enum op)op) {
	case OP_ROUTE_ADD:
		get_route(t, vp, sint);
		break;
	case OP_ROUTE_DEL:
		put_route(t, find_route(t, vp, sint));
		break;
	case OP_RAISE:
		r = find_route(t, vp, sint);
		if (r)
			raise_route(r);
		break;
	case OP_MSG_ADD:
	case OP_EVT_ADD:
		add_conn(t, id, vp, sint, op == OP_MSG_ADD);
		break;
	case OP_MSG_DEL:
	case OP_EVT_DEL:
		del_conn(t, id, op == OP_MSG_DEL);
		break;
	}
	pthread_mutex_unlock(&t->lock);
}

static void line_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct testdev *t = dev;

	(void)size;
	if (write)
		irq_set_line(t->machine, offset, (*val & 0xff) != 0);
}

static void exit_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct testdev *t = dev;

	(void)size;
	if (write && !offset)
		t->machine->ops->exit(t->machine->ops_arg, (int)*val);
}

/* ---- a device that no driver of ours serves ---- */

/* Opened it may be, by hyperv_keyboard; it never says a word. */
static int open_mute(struct kvmb_chan *ch)
{
	(void)ch;
	return 0;
}

static void nothing_to_close(struct kvmb_chan *ch)
{
	kvmb_chan_closed(ch);
}

static const struct kvmb_vsp_ops foreign_ops = { .name = "foreign",
						 .open = open_mute,
						 .close = nothing_to_close };

int testdev_offer(struct testdev *t, struct kvmb_bus *bus)
{
	/*
	 * a keyboard, as every generation 2 VM of Hyper-V has one: Linux 6.1 include/linux/hyperv.h
	 * HV_KBD_GUID
	 */
	struct kvmb_offer o = {
		.type = KVMB_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c,
				  0x76, 0x84),
		.instance = KVMB_GUID(0xd34b2567, 0xb9b6, 0x42b9, 0x87, 0x78, 0x0a, 0x4e, 0xc0,
				      0xb9, 0x55, 0xbf),
		.flags = KVMB_OFFER_ENUMERATE,
		.name = "keyboard",
		.ops = &foreign_ops,
		.dev = t,
	};

	return kvmb_bus_offer(bus, &o, NULL);
}

struct testdev *testdev_create(struct machine *m)
{
	struct testdev *t = kvmb_xzalloc(sizeof(*t));

	t->machine = m;
	m->post_hook = post;
	pthread_mutex_init(&t->lock, NULL);
	iobus_add(&m->pio, EXIT_PORT, 4, exit_access, t);
	iobus_add(&m->pio, LINES_PORT, IRQ_NUM_LINES, line_access, t);
	iobus_add(&m->pio, SYNIC_PORT, 4, synic_access, t);
	return t;
}

void testdev_destroy(struct testdev *t)
{
	u32 i;

	if (!t)
		return;
	for (i = 0; i < NUM_CONNS; i++)
		del_conn(t, i, t->conns[i].msg);
	for (i = 0; i < MAX_ROUTES; i++) {
		if (t->routes[i].refs) {
			t->routes[i].refs = 1;
			put_route(t, &t->routes[i]);
		}
		kvmb_loop_del(t->routes[i].watch);
	}
	for (i = 0; i < NUM_CONNS; i++)
		kvmb_loop_del(t->conns[i].watch);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
