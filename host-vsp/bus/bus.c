// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connection: contact, version, offers, unload; queues of control messages.
 *
 * DOC: Theory of operation
 *
 * kvmb_bus_post() runs on a vCPU's thread: it copies the message into a bounded queue and
 * answers the hypercall. Everything else runs on the bus thread, one message at a time, so
 * there are no races in the control path. When a guest floods the queue, its posts are answered
 * with KVMB_HV_STATUS_INSUFFICIENT_BUFFERS, and guests retry on that. A guest that posts without
 * end gets its share of each turn of the bus thread, and no more.
 *
 * Answers are queued in order until the message slot of the connection's VP is free. While
 * that queue is long, no input is processed: a guest that never reads its messages costs a
 * bounded amount of memory.
 *
 * Disconnecting is asynchronous, because providers finish their I/O first. Input waits until
 * the last channel is at rest. Then the reason for disconnecting is served: UNLOAD, another
 * contact, or a reset.
 */
#include "host-vsp/bus/bus_priv.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/dirty_log.h"

static const char *const conn_names[] = { "disconnected", "connected", "offered",
					  "disconnecting" };
static_assert(ARRAY_SIZE(conn_names) == KVMB_CONN_NUM, "one name a state");

static const u8 conn_moves[KVMB_CONN_NUM] = { /* bit n: may go to state n */
	[KVMB_CONN_DISCONNECTED] = 1 << KVMB_CONN_CONNECTED | 1 << KVMB_CONN_DISCONNECTING,
	[KVMB_CONN_CONNECTED] = 1 << KVMB_CONN_OFFERED | 1 << KVMB_CONN_DISCONNECTING,
	[KVMB_CONN_OFFERED] = 1 << KVMB_CONN_DISCONNECTING,
	[KVMB_CONN_DISCONNECTING] = 1 << KVMB_CONN_DISCONNECTED,
};

static void set_conn_state(struct kvmb_bus *bus, enum kvmb_conn_state to)
{
	kvmb_assert(conn_moves[bus->state] & (1 << to));
	kvmb_dbg(bus->cfg.who, "bus %s -> %s", conn_names[bus->state], conn_names[to]);
	bus->state = to;
}

const char *kvmb_bus_state_name(const struct kvmb_bus *bus)
{
	return conn_names[bus->state];
}

struct kvmb_loop *kvmb_bus_loop(const struct kvmb_bus *bus)
{
	return bus->cfg.loop;
}

struct kvmb_vmm *kvmb_bus_vmm(const struct kvmb_bus *bus)
{
	return bus->cfg.vmm;
}

u32 kvmb_bus_version(const struct kvmb_bus *bus)
{
	return bus->version;
}

void kvmb_bus_refuse(struct kvmb_bus *bus, const char *what, const char *why)
{
	bus->stats.refused++;
	kvmb_warn_ratelimited(bus->cfg.who, "guest message %s refused: %s", what, why);
}

/* ---- answers ---- */

static void tx_pump(void *arg)
{
	struct kvmb_bus *bus = arg;
	struct kvmb_vmm *v = bus->cfg.vmm;
	struct kvmb_out_msg *m;

	while ((m = bus->tx_head)) {
		if (bus->pause == KVMB_PAUSE_DONE)
			return;
		if (v->ops->post_message(v, bus->target_vp, HV_MSG_TYPE_CHANNEL, m->buf, m->len))
			return; /* kvmb_bus_message_acked() brings us back */
		bus->tx_head = m->next;
		if (!bus->tx_head)
			bus->tx_tail = &bus->tx_head;
		bus->tx_len--;
		bus->stats.messages_out++;
		free(m);
	}
	kvmb_loop_post(bus->cfg.loop, &bus->rx_work); /* input may have waited for room */
}

static void tx_drop(struct kvmb_bus *bus)
{
	struct kvmb_out_msg *m;

	while ((m = bus->tx_head)) {
		bus->tx_head = m->next;
		free(m);
	}
	bus->tx_tail = &bus->tx_head;
	bus->tx_len = 0;
}

void kvmb_bus_queue(struct kvmb_bus *bus, const void *msg, u32 len)
{
	struct kvmb_out_msg *m = kvmb_xzalloc(sizeof(*m) + len);

	memcpy(m->buf, msg, len);
	m->len = len;
	*bus->tx_tail = m;
	bus->tx_tail = &m->next;
	bus->tx_len++;
}

void kvmb_bus_send(struct kvmb_bus *bus, enum kvmb_msg type, void *msg, u32 len)
{
	struct kvmb_wire_msg h = { .type = cpu_to_le32(type) };

	kvmb_assert(len >= sizeof(h) && len <= HV_MESSAGE_PAYLOAD_MAX);
	memcpy(msg, &h, sizeof(h));
	kvmb_bus_queue(bus, msg, len);
	kvmb_dbg(bus->cfg.who, "message to guest: %s", kvmb_msg_info(type)->name);
	tx_pump(bus);
}

void kvmb_bus_message_acked(struct kvmb_bus *bus)
{
	kvmb_loop_post(bus->cfg.loop, &bus->tx_work);
}

/* ---- version 0.13: one event connection, channels named in the interrupt page ---- */

void kvmb_bus_old_events(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;
	u64 n = 1;
	u32 *word;

	if (bus->old_event_fd < 0 || !bus->int_page || bus->pause != KVMB_PAUSE_NONE)
		return; /* the bits stay until kvmb_bus_resume() */
	for (ch = bus->chans; ch; ch = ch->next) {
		if (ch->state != KVMB_CHAN_OPEN || ch->relid >= 2048 * 8)
			continue;
		/* guest to host is the second half of the page */
		word = (u32 *)__unshare(bus->int_page) + 512 + ch->relid / 32;
		if (!(__atomic_fetch_and(word, ~(1u << ch->relid % 32), __ATOMIC_SEQ_CST) &
		      1u << ch->relid % 32))
			continue;
		n = 1;
		if (write(ch->io.signal_fd, &n, sizeof(n)) < 0)
			continue; /* counter full: already readable */
	}
}

static void old_event(void *arg, uint32_t events)
{
	struct kvmb_bus *bus = arg;
	u64 n;

	(void)events;
	if (read(bus->old_event_fd, &n, sizeof(n)) >= 0)
		kvmb_bus_old_events(bus);
}

static int old_event_start(struct kvmb_bus *bus)
{
	struct kvmb_vmm *v = bus->cfg.vmm;
	int fd, err;

	if (bus->old_event_fd >= 0)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = v->ops->bind_signal(v, KVMB_CONN_EVENT_OLD, fd);
	if (err) {
		close(fd);
		return err;
	}
	bus->old_event_fd = fd;
	bus->old_event_watch = kvmb_loop_add(bus->cfg.loop, fd, EPOLLIN, old_event, bus);
	return 0;
}

static void old_event_stop(struct kvmb_bus *bus)
{
	struct kvmb_vmm *v = bus->cfg.vmm;

	if (bus->old_event_fd < 0)
		return;
	v->ops->unbind_signal(v, KVMB_CONN_EVENT_OLD, bus->old_event_fd);
	kvmb_loop_del(bus->old_event_watch);
	close(bus->old_event_fd);
	bus->old_event_fd = -1;
}

/* ---- contact and version ---- */

static void send_version_response(struct kvmb_bus *bus, u32 version, bool ok)
{
	struct kvmb_wire_version_response m = { .supported = ok };

	/* always 16 bytes, even when refusing: docs/protocol.md#3.3 */
	m.conn_id = cpu_to_le32(version >= KVMB_VERSION_WIN10_V5 ? KVMB_CONN_MSG : version);
	kvmb_bus_send(bus, KVMB_MSG_VERSION_RESPONSE, &m, sizeof(m));
}

/* From now on it is the guest's. */
static void leave_int_page(struct kvmb_bus *bus)
{
	kvmb_dirty(__unshare(bus->int_page), KVMB_PAGE_SIZE);
	bus->int_page = NULL;
}

static void find_int_page(struct kvmb_bus *bus, gpa_t page)
{
	bus->int_gpa = page;
	bus->int_page = page % KVMB_PAGE_SIZE ?
				NULL :
				(u32 __shared *)kvmb_gm_ptr(bus->cfg.vmm->gm, page, KVMB_PAGE_SIZE);
}

static void do_contact(struct kvmb_bus *bus, const struct kvmb_wire_initiate_contact *m)
{
	u32 version = le32_to_cpu(m->version), vp = le32_to_cpu(m->target_vp);
	gpa_t page = le64_to_cpu(m->interrupt_page);
	bool ok;

	if (vp >= bus->cfg.vmm->num_vps) {
		kvmb_bus_refuse(bus, "INITIATE_CONTACT", "its target VP does not exist");
		return;
	}
	if (version < KVMB_VERSION_WIN8_1)
		vp = 0; /* the target counts from 3.0 on: docs/protocol.md#3.4 */
	bus->target_vp = vp;
	leave_int_page(bus);
	ok = kvmb_version_known(version) && version <= bus->cfg.max_version;
	if (ok && version < KVMB_VERSION_WIN10_V5) {
		find_int_page(bus, page);
		/* from 2.4 on the page is never used: a bad one harms nobody */
		if (!bus->int_page && version < KVMB_VERSION_WIN8) {
			kvmb_bus_refuse(bus, "INITIATE_CONTACT", "interrupt page outside RAM");
			ok = false;
		}
	}
	if (ok && version == KVMB_VERSION_WS2008 && old_event_start(bus)) {
		kvmb_err(bus->cfg.who, "no event connection for a 0.13 guest");
		ok = false;
	}
	if (ok) {
		bus->version = version;
		set_conn_state(bus, KVMB_CONN_CONNECTED);
		kvmb_info(bus->cfg.who, "guest connected, VMBus %u.%u", version >> 16,
			  version & 0xffff);
	}
	send_version_response(bus, version, ok);
}

const char *kvmb_bus_load_conn(struct kvmb_bus *bus, enum kvmb_conn_state state, u32 version,
			       gpa_t int_gpa)
{
	kvmb_assert(bus->state == KVMB_CONN_DISCONNECTED && state < KVMB_CONN_DISCONNECTING);
	if (state == KVMB_CONN_DISCONNECTED)
		return NULL;
	if (!kvmb_version_known(version) || version > bus->cfg.max_version)
		return "this version of VMBus is not offered";
	if (version < KVMB_VERSION_WIN10_V5)
		find_int_page(bus, int_gpa);
	if (version < KVMB_VERSION_WIN8 && !bus->int_page)
		return "the interrupt page is outside RAM";
	if (version == KVMB_VERSION_WS2008 && old_event_start(bus))
		return "no event connection for a 0.13 guest";
	bus->version = version;
	set_conn_state(bus, KVMB_CONN_CONNECTED);
	if (state == KVMB_CONN_OFFERED)
		set_conn_state(bus, KVMB_CONN_OFFERED);
	return NULL;
}

/* ---- disconnecting ---- */

static void begin_disconnect(struct kvmb_bus *bus, enum kvmb_after_disconnect after)
{
	set_conn_state(bus, KVMB_CONN_DISCONNECTING);
	bus->after = after;
	tx_drop(bus);
	kvmb_chan_begin_close_all(bus);
	kvmb_bus_progress(bus);
}

static void finish_reset(struct kvmb_bus *bus)
{
	bus->reset_pending = false;
	bus->target_vp = 0;
	pthread_mutex_lock(&bus->lock);
	bus->rx_len = 0;
	pthread_mutex_unlock(&bus->lock);
	bus->reset_done(bus->reset_arg);
}

static void finish_disconnect(struct kvmb_bus *bus)
{
	enum kvmb_after_disconnect after = bus->after;
	u8 empty[sizeof(struct kvmb_wire_msg)] = { 0 };

	kvmb_chan_hide_all(bus);
	kvmb_gpadl_drop_all(bus);
	old_event_stop(bus);
	tx_drop(bus);
	bus->version = 0;
	leave_int_page(bus);
	bus->after = KVMB_AFTER_NOTHING;
	set_conn_state(bus, KVMB_CONN_DISCONNECTED);

	if (bus->reset_pending) /* the guest that wanted something else afterwards is gone */
		finish_reset(bus);
	else if (after == KVMB_AFTER_UNLOAD)
		kvmb_bus_send(bus, KVMB_MSG_UNLOAD_RESPONSE, empty, sizeof(empty));
	else if (after == KVMB_AFTER_CONTACT)
		do_contact(bus, &bus->contact);
	kvmb_loop_post(bus->cfg.loop, &bus->rx_work);
}

void kvmb_bus_progress(struct kvmb_bus *bus)
{
	if (bus->state == KVMB_CONN_DISCONNECTING && kvmb_chan_all_at_rest(bus))
		finish_disconnect(bus);
	kvmb_bus_pause_progress(bus);
}

void kvmb_bus_reset(struct kvmb_bus *bus, void (*done)(void *arg), void *arg)
{
	bus->reset_done = done;
	bus->reset_arg = arg;
	bus->reset_pending = true;
	if (bus->state != KVMB_CONN_DISCONNECTING)
		begin_disconnect(bus, KVMB_AFTER_RESET);
}

/* ---- messages of the guest ---- */

static void on_initiate_contact(struct kvmb_bus *bus, const struct kvmb_wire_initiate_contact *m)
{
	if (bus->state == KVMB_CONN_DISCONNECTED) {
		do_contact(bus, m);
		return;
	}
	/* a guest that was reset or kexec'ed without UNLOAD: forget the old one first */
	bus->contact = *m;
	begin_disconnect(bus, KVMB_AFTER_CONTACT);
}

static void on_request_offers(struct kvmb_bus *bus)
{
	u8 empty[sizeof(struct kvmb_wire_msg)] = { 0 };
	struct kvmb_chan *ch;

	if (bus->state != KVMB_CONN_CONNECTED) {
		kvmb_bus_refuse(bus, "REQUEST_OFFERS", "offers were already requested");
		return;
	}
	set_conn_state(bus, KVMB_CONN_OFFERED);
	for (ch = bus->chans; ch; ch = ch->next) {
		if (!ch->index && !ch->going)
			kvmb_chan_send_offer(ch);
	}
	kvmb_bus_send(bus, KVMB_MSG_ALL_OFFERS_DELIVERED, empty, sizeof(empty));
}

void kvmb_bus_serve_sockets(struct kvmb_bus *bus, const struct kvmb_bus_sockets *s)
{
	bus->sockets = *s;
}

void kvmb_bus_refuse_socket(struct kvmb_bus *bus, const struct kvmb_guid *endpoint,
			    const struct kvmb_guid *service)
{
	struct kvmb_wire_tl_connect_result r = { .endpoint = *endpoint, .service = *service };

	if (bus->state != KVMB_CONN_OFFERED || bus->version < KVMB_VERSION_WIN10_RS3)
		return; /* it is gone; or no answer exists yet, and the guest times out */
	r.status = cpu_to_le32(KVMB_STATUS_CONNECTION_REFUSED);
	kvmb_bus_send(bus, KVMB_MSG_TL_CONNECT_RESULT, &r, sizeof(r));
}

static void on_tl_connect(struct kvmb_bus *bus, const struct kvmb_wire_tl_connect *m)
{
	if (bus->sockets.connect)
		bus->sockets.connect(bus->sockets.arg, &m->endpoint, &m->service);
	else
		kvmb_bus_refuse_socket(bus, &m->endpoint, &m->service);
}

/* buf is large enough for every message's struct; kvmb_msg_check_to_host() saw its length */
static void dispatch(struct kvmb_bus *bus, enum kvmb_msg type, const void *buf, u32 len)
{
	const struct kvmb_wire_relid *relid = buf;

	switch (type) {
	case KVMB_MSG_INITIATE_CONTACT:
		on_initiate_contact(bus, buf);
		break;
	case KVMB_MSG_REQUEST_OFFERS:
		on_request_offers(bus);
		break;
	case KVMB_MSG_UNLOAD:
		begin_disconnect(bus, KVMB_AFTER_UNLOAD);
		break;
	case KVMB_MSG_OPEN:
		kvmb_chan_on_open(bus, buf);
		break;
	case KVMB_MSG_CLOSE:
		kvmb_chan_on_close(bus, le32_to_cpu(relid->relid));
		break;
	case KVMB_MSG_RELID_RELEASED:
		kvmb_chan_on_released(bus, le32_to_cpu(relid->relid));
		break;
	case KVMB_MSG_MODIFY:
		kvmb_chan_on_modify(bus, buf);
		break;
	case KVMB_MSG_GPADL_HEADER:
		kvmb_gpadl_on_header(bus, buf, len);
		break;
	case KVMB_MSG_GPADL_BODY:
		kvmb_gpadl_on_body(bus, buf, len);
		break;
	case KVMB_MSG_GPADL_TEARDOWN:
		kvmb_gpadl_on_teardown(bus, buf);
		break;
	case KVMB_MSG_TL_CONNECT:
		on_tl_connect(bus, buf);
		break;
	default:
		kvmb_assert(!"a message to the host without a handler");
	}
}

static void handle(struct kvmb_bus *bus, const struct kvmb_in_msg *in)
{
	const struct kvmb_msg_info *info;
	enum kvmb_msg type;
	int err;

	bus->stats.messages_in++;
	/*
	 * before contact every message of the base protocol is well-formed, but only contact counts
	 */
	err = kvmb_msg_check_to_host(in->buf, in->len, bus->version ? bus->version : 1, &type);
	if (err) {
		kvmb_bus_refuse(bus, "of unknown kind",
				err == -EPROTO ? "its length is wrong" : "not in this version");
		return;
	}
	info = kvmb_msg_info(type);
	kvmb_dbg(bus->cfg.who, "message from guest: %s", info->name);
	if (bus->state == KVMB_CONN_DISCONNECTED && type != KVMB_MSG_INITIATE_CONTACT &&
	    type != KVMB_MSG_UNLOAD) {
		kvmb_bus_refuse(bus, info->name, "there was no contact");
		return;
	}
	if (bus->state == KVMB_CONN_CONNECTED && type != KVMB_MSG_INITIATE_CONTACT &&
	    type != KVMB_MSG_UNLOAD && type != KVMB_MSG_REQUEST_OFFERS) {
		kvmb_bus_refuse(bus, info->name, "offers were not requested");
		return;
	}
	dispatch(bus, type, in->buf, in->len);
}

static void rx_pump(void *arg)
{
	struct kvmb_bus *bus = arg;
	struct kvmb_in_msg in;
	u32 n;
	bool got;

	for (n = 0; bus->state != KVMB_CONN_DISCONNECTING && bus->pause == KVMB_PAUSE_NONE &&
		    bus->tx_len < KVMB_TX_SOFT_LIMIT;
	     n++) {
		if (n == KVMB_RX_BUDGET) {
			kvmb_loop_post(bus->cfg.loop, &bus->rx_work);
			return;
		}
		pthread_mutex_lock(&bus->lock);
		got = bus->rx_len > 0;
		if (got) {
			in = bus->rx[bus->rx_head];
			bus->rx_head = (bus->rx_head + 1) % KVMB_RX_QUEUE;
			bus->rx_len--;
		}
		pthread_mutex_unlock(&bus->lock);
		if (!got)
			return;
		handle(bus, &in);
	}
}

u16 kvmb_bus_post(struct kvmb_bus *bus, u32 conn_id, u32 type, const void *payload, u32 len)
{
	struct kvmb_in_msg *in;
	bool full;

	if (conn_id != KVMB_CONN_MSG && conn_id != KVMB_CONN_MSG_OLD)
		return KVMB_HV_STATUS_INVALID_CONNECTION_ID;
	if (type != HV_MSG_TYPE_CHANNEL || len > HV_MESSAGE_PAYLOAD_MAX)
		return KVMB_HV_STATUS_INVALID_PARAMETER;

	pthread_mutex_lock(&bus->lock);
	full = bus->rx_len == KVMB_RX_QUEUE;
	if (!full) {
		in = &bus->rx[(bus->rx_head + bus->rx_len++) % KVMB_RX_QUEUE];
		in->conn_id = conn_id;
		in->len = len;
		memset(in->buf, 0, sizeof(in->buf));
		memcpy(in->buf, payload, len);
	} else {
		bus->rx_busy++;
	}
	pthread_mutex_unlock(&bus->lock);
	if (full)
		return KVMB_HV_STATUS_INSUFFICIENT_BUFFERS;
	kvmb_loop_post(bus->cfg.loop, &bus->rx_work);
	return KVMB_HV_STATUS_SUCCESS;
}

/* ---- life ---- */

struct kvmb_bus *kvmb_bus_create(const struct kvmb_bus_config *cfg)
{
	struct kvmb_bus *bus = kvmb_xzalloc(sizeof(*bus));

	bus->cfg = *cfg;
	bus->old_event_fd = -1;
	bus->tx_tail = &bus->tx_head;
	pthread_mutex_init(&bus->lock, NULL);
	kvmb_work_init(&bus->rx_work, rx_pump, bus);
	kvmb_work_init(&bus->tx_work, tx_pump, bus);
	kvmb_work_init(&bus->chan_work, kvmb_chan_work, bus);
	return bus;
}

void kvmb_bus_destroy(struct kvmb_bus *bus)
{
	struct kvmb_chan *ch;

	if (!bus)
		return;
	kvmb_assert(bus->state == KVMB_CONN_DISCONNECTED);
	kvmb_loop_unpost(bus->cfg.loop, &bus->rx_work);
	kvmb_loop_unpost(bus->cfg.loop, &bus->tx_work);
	kvmb_loop_unpost(bus->cfg.loop, &bus->chan_work);
	while ((ch = bus->chans)) {
		bus->chans = ch->next;
		kvmb_chan_free(ch);
	}
	tx_drop(bus);
	kvmb_gpadl_drop_all(bus);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

void kvmb_bus_get_stats(struct kvmb_bus *bus, struct kvmb_bus_stats *st)
{
	*st = bus->stats;
	pthread_mutex_lock(&bus->lock);
	st->busy = bus->rx_busy;
	st->gpadls = bus->gpadl_count;
	st->gpadl_pages = bus->gpadl_pages;
	pthread_mutex_unlock(&bus->lock);
}
