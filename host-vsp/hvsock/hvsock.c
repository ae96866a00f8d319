// SPDX-License-Identifier: GPL-2.0-only
/* Connections on the bus thread: who wants one, offers, time limits, the end. */
#include "host-vsp/hvsock/hvsock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/hvsock/hvsock_priv.h"
#include "lib/log.h"
#include "lib/util.h"
#include "vmbus-core/proto/hvsock.h"

#define GREETING_MS 5000u /* for a client's line */
#define OFFER_MS 5000u	  /* for the guest to open: Linux does at once, or never */
#define MAX_DIALLING 32u  /* questions at a time; a guest asks again */
#define FIRST_PORT (KVMB_HVSOCK_MAX_LISTEN + 1)

/* ---- states ---- */

static const char *const state_names[] = { "greeting", "connecting", "waiting",
					   "offered",  "open",	     "ending" };
static_assert(ARRAY_SIZE(state_names) == HVS_NUM_STATES, "one name a state");

static const u8 moves[HVS_NUM_STATES] = {
	/* bit n: may go to state n */
	[HVS_GREETING] = 1 << HVS_WAITING | 1 << HVS_ENDING,
	[HVS_DIALLING] = 1 << HVS_WAITING | 1 << HVS_ENDING,
	[HVS_WAITING] = 1 << HVS_OFFERED | 1 << HVS_ENDING,
	[HVS_OFFERED] = 1 << HVS_OPEN | 1 << HVS_ENDING,
	[HVS_OPEN] = 1 << HVS_ENDING,
};

static void move_conn(struct hvs_conn *c, enum hvs_state to)
{
	kvmb_assert(moves[c->state] & 1 << to);
	kvmb_dbg(c->h->cfg.who, "socket %u: %s -> %s", c->port, state_names[c->state],
		 state_names[to]);
	c->state = to;
}

/* ---- time limits ---- */

static void arm_timer(struct kvmb_hvsock *h)
{
	u64 first = 0, now = kvmb_now_ms();
	const struct hvs_conn *c;

	for (c = h->conns; c; c = c->next) {
		if (c->deadline_ms && (!first || c->deadline_ms < first))
			first = c->deadline_ms;
	}
	if (first)
		kvmb_timer_set(&h->timer, first > now ? first - now : 0);
	else
		kvmb_timer_cancel(&h->timer);
}

static void set_deadline(struct hvs_conn *c, u64 ms)
{
	c->deadline_ms = ms ? kvmb_now_ms() + ms : 0;
	arm_timer(c->h);
}

/* ---- making and freeing ---- */

static struct hvs_conn *add_conn(struct kvmb_hvsock *h, enum hvs_state state)
{
	struct hvs_conn *c, **p;

	if (h->num == KVMB_HVSOCK_MAX) {
		kvmb_warn_ratelimited(h->cfg.who, "a socket is refused: there are %u already",
				      h->num);
		return NULL;
	}
	c = kvmb_xzalloc(sizeof(*c));
	c->h = h;
	c->state = state;
	c->fd = -1;
	for (p = &h->conns; *p; p = &(*p)->next)
		;
	*p = c;
	h->num++;
	return c;
}

static void drop_fd(struct hvs_conn *c)
{
	kvmb_loop_del(c->watch);
	c->watch = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void free_conn(struct hvs_conn *c)
{
	struct hvs_conn **p;

	for (p = &c->h->conns; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	c->h->num--;
	drop_fd(c);
	free(c);
}

/* Whatever it is at; @c may be gone afterwards. */
static void end_conn(struct hvs_conn *c)
{
	struct kvmb_chan *ch = c->ch;

	c->deadline_ms = 0;
	if (c->state == HVS_OPEN) {
		kvmb_bus_revoke(ch); /* the worker has the descriptor: conn_closed() */
		return;
	}
	if (!ch) {
		free_conn(c);
		return;
	}
	if (c->state != HVS_ENDING)
		move_conn(c, HVS_ENDING);
	drop_fd(c);
	kvmb_bus_revoke(ch); /* conn_released() follows */
}

/* ---- the channel ---- */

static void on_host_early(void *arg, uint32_t events);

static int watch_host(struct hvs_conn *c, u32 events)
{
	kvmb_loop_del(c->watch);
	c->watch = kvmb_loop_add(c->h->loop, c->fd, events, on_host_early, c);
	return c->watch ? 0 : -EMFILE;
}

/* What a client of other VMMs expects, too. */
static bool greet_back(const struct hvs_conn *c)
{
	char line[24];
	int len = snprintf(line, sizeof(line), "OK %u\n", c->peer_port);

	return send(c->fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) == len;
}

static int conn_open(struct kvmb_chan *ch)
{
	struct hvs_conn *c = kvmb_chan_dev(ch);
	int err;

	if (c->state != HVS_OFFERED)
		return -EBUSY;
	err = hvs_worker_start(c->h);
	if (!err && c->from_host && !greet_back(c))
		err = -EPIPE;
	if (err)
		return err;
	kvmb_loop_del(c->watch);
	c->watch = NULL;
	set_deadline(c, 0);
	move_conn(c, HVS_OPEN);
	c->io = kvmb_chan_io(ch);
	hvs_worker_wish(c, kvmb_chan_starts_paused(ch) ? HVS_STAND : HVS_RUN);
	return 0;
}

static void conn_close(struct kvmb_chan *ch)
{
	hvs_worker_wish(kvmb_chan_dev(ch), HVS_CLOSE);
}

/* The worker is off. A guest that has closed the channel has ended the connection, too. */
static void conn_closed(struct kvmb_chan *ch)
{
	struct hvs_conn *c = kvmb_chan_dev(ch);

	move_conn(c, HVS_ENDING);
	drop_fd(c);
	kvmb_bus_revoke(ch);
}

static void conn_pause(struct kvmb_chan *ch)
{
	hvs_worker_wish(kvmb_chan_dev(ch), HVS_STAND);
}

static void conn_resume(struct kvmb_chan *ch)
{
	hvs_worker_wish(kvmb_chan_dev(ch), HVS_RUN);
}

static void conn_released(struct kvmb_chan *ch)
{
	struct hvs_conn *c = kvmb_chan_dev(ch);

	kvmb_loop_post(c->h->loop, &c->h->work); /* one of the same ends may wait for it */
	free_conn(c);
}

static void conn_forgotten(struct kvmb_chan *ch)
{
	end_conn(kvmb_chan_dev(ch));
}

static const struct kvmb_vsp_ops conn_ops = {
	.name = "vsock",
	.transient = true,
	.open = conn_open,
	.close = conn_close,
	.closed = conn_closed,
	.pause = conn_pause,
	.resume = conn_resume,
	.released = conn_released,
	.forgotten = conn_forgotten,
};

/* ---- offers ---- */

static void refuse_guest(struct hvs_conn *c)
{
	if (!c->from_host && !kvmb_bus_paused(c->h->cfg.bus))
		kvmb_bus_refuse_socket(c->h->cfg.bus, &c->endpoint, &c->service);
	end_conn(c);
}

/* Of a guest that has come so far that it knows offers, and sockets. */
static void offer_conn(struct hvs_conn *c)
{
	const struct kvmb_wire_hvsock_user user = { .for_guest_accept = c->from_host,
						    .version = cpu_to_le32(1) };
	struct kvmb_offer o = { .type = c->service,
				.instance = c->endpoint,
				.flags = KVMB_OFFER_ENUMERATE | KVMB_OFFER_NAMED_PIPE |
					 KVMB_OFFER_HV_SOCK,
				.pipe_mode = KVMB_PIPE_MODE_BYTE,
				.name = "vsock",
				.ops = &conn_ops,
				.dev = c };
	struct kvmb_bus *bus = c->h->cfg.bus;

	if (kvmb_bus_paused(bus))
		return; /* WAITING */
	if (kvmb_bus_goes(bus, &c->service, &c->endpoint)) {
		if (!c->deadline_ms)
			set_deadline(c, OFFER_MS);
		return;
	}
	memcpy(o.user, &user, sizeof(user));
	if (kvmb_bus_version(bus) < KVMB_VERSION_WIN10 || kvmb_bus_offer(bus, &o, &c->ch)) {
		refuse_guest(c); /* none that knows sockets, or it has this connection already */
		return;
	}
	move_conn(c, HVS_OFFERED);
	if (!kvmb_chan_relid(c->ch)) {
		refuse_guest(c); /* nobody asks for offers, or there are too many channels */
		return;
	}
	set_deadline(c, OFFER_MS);
}

/* ---- the host connects ---- */

static bool port_in_use(const struct kvmb_hvsock *h, u32 port)
{
	const struct hvs_conn *c;

	for (c = h->conns; c; c = c->next) {
		if (c->from_host && c->peer_port == port)
			return true;
	}
	return false;
}

static u32 choose_port(struct kvmb_hvsock *h)
{
	u32 port;

	do {
		port = h->next_port;
		h->next_port = port == UINT32_MAX - 1 ? FIRST_PORT : port + 1;
	} while (port_in_use(h, port));
	return port;
}

/* Return: false: it is no request. */
static bool parse_line(const char *line, u32 *port)
{
	u64 n = 0;
	u32 i;

	if (strncmp(line, "CONNECT ", 8) || !line[8])
		return false;
	for (i = 8; line[i] >= '0' && line[i] <= '9' && n <= KVMB_HVSOCK_MAX_LISTEN; i++)
		n = n * 10 + (u64)(line[i] - '0');
	*port = (u32)n;
	return !line[i] && n <= KVMB_HVSOCK_MAX_LISTEN;
}

static void take_line(struct hvs_conn *c)
{
	if (!parse_line(c->line, &c->port)) {
		end_conn(c);
		return;
	}
	c->peer_port = choose_port(c->h);
	c->service = (struct kvmb_guid)KVMB_HVSOCK_GUID(c->port);
	c->endpoint = (struct kvmb_guid)KVMB_HVSOCK_GUID(c->peer_port);
	set_deadline(c, 0);
	move_conn(c, HVS_WAITING);
	if (watch_host(c, 0))
		end_conn(c);
	else
		offer_conn(c);
}

/* A byte at a time: what stands behind the line is the guest's. */
static void read_greeting(struct hvs_conn *c)
{
	ssize_t n;
	char b;

	while ((n = recv(c->fd, &b, 1, MSG_DONTWAIT)) == 1) {
		if (b == '\n') {
			c->line[c->line_len] = 0;
			take_line(c);
			return;
		}
		if (c->line_len == sizeof(c->line) - 1)
			break;
		c->line[c->line_len++] = b;
	}
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		end_conn(c);
}

/* Before the worker has it; behind the line only its end is of interest. */
static void on_host_early(void *arg, uint32_t events)
{
	struct hvs_conn *c = arg;

	if (c->state == HVS_GREETING && events & EPOLLIN)
		read_greeting(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		end_conn(c);
}

void kvmb_hvsock_take(struct kvmb_hvsock *h, int fd)
{
	struct hvs_conn *c = add_conn(h, HVS_GREETING);

	if (!c) {
		close(fd);
		return;
	}
	c->from_host = true;
	c->fd = fd;
	set_deadline(c, GREETING_MS);
	if (watch_host(c, EPOLLIN))
		end_conn(c);
}

/* ---- the guest connects ---- */

static void on_guest_connect(void *arg, const struct kvmb_guid *endpoint,
			     const struct kvmb_guid *service)
{
	struct kvmb_hvsock *h = arg;
	struct hvs_conn *c;
	u32 port, from;

	if (!kvmb_hvsock_port(service, &port) || !kvmb_hvsock_port(endpoint, &from) ||
	    port > KVMB_HVSOCK_MAX_LISTEN || h->dialling == MAX_DIALLING ||
	    !(c = add_conn(h, HVS_DIALLING))) {
		kvmb_bus_refuse_socket(h->cfg.bus, endpoint, service);
		return;
	}
	c->port = port;
	c->peer_port = from;
	c->service = *service;
	c->endpoint = *endpoint;
	if (h->cfg.dial(h->cfg.arg, port))
		refuse_guest(c);
	else
		h->dialling++;
}

bool kvmb_hvsock_dialled(struct kvmb_hvsock *h, int err, int fd)
{
	struct hvs_conn *c;

	for (c = h->conns; c && c->state != HVS_DIALLING; c = c->next)
		;
	if (!c) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	h->dialling--;
	c->fd = fd;
	if (!err && fd >= 0) {
		move_conn(c, HVS_WAITING);
		err = watch_host(c, 0);
	}
	if (err || fd < 0)
		refuse_guest(c);
	else
		offer_conn(c);
	return true;
}

/* ---- what happens later ---- */

static void on_deadline(void *arg)
{
	struct kvmb_hvsock *h = arg;
	struct hvs_conn *c, *next;
	u64 now = kvmb_now_ms();

	for (c = h->conns; c; c = next) {
		next = c->next;
		if (!c->deadline_ms || c->deadline_ms > now)
			continue;
		if (c->state != HVS_GREETING && kvmb_bus_paused(h->cfg.bus))
			c->deadline_ms = now + OFFER_MS; /* the guest has no chance to answer */
		else
			end_conn(c);
	}
	arm_timer(h);
}

static void offer_waiting(void *arg)
{
	struct kvmb_hvsock *h = arg;
	struct hvs_conn *c, *next;

	for (c = h->conns; c; c = next) {
		next = c->next;
		if (c->state == HVS_WAITING)
			offer_conn(c);
	}
}

/* The worker says that one is over; or one has gone. */
static void on_news(void *arg)
{
	struct kvmb_hvsock *h = arg;
	struct hvs_conn *c, *next;

	for (c = h->conns; c; c = next) {
		next = c->next;
		if (c->state == HVS_OPEN && __atomic_load_n(&c->over, __ATOMIC_ACQUIRE))
			end_conn(c);
	}
	offer_waiting(h);
}

/* ---- life ---- */

struct kvmb_hvsock *kvmb_hvsock_create(const struct kvmb_hvsock_config *cfg)
{
	struct kvmb_hvsock *h = kvmb_xzalloc(sizeof(*h));
	const struct kvmb_bus_sockets s = { .connect = on_guest_connect,
					    .resumed = offer_waiting,
					    .arg = h };

	h->cfg = *cfg;
	h->loop = kvmb_bus_loop(cfg->bus);
	h->next_port = FIRST_PORT;
	if (hvs_worker_init(h)) {
		free(h);
		return NULL;
	}
	kvmb_timer_init(&h->timer, h->loop, on_deadline, h);
	kvmb_work_init(&h->work, on_news, h);
	kvmb_bus_serve_sockets(cfg->bus, &s);
	return h;
}

void kvmb_hvsock_destroy(struct kvmb_hvsock *h)
{
	if (!h)
		return;
	hvs_worker_fini(h);
	kvmb_timer_cancel(&h->timer);
	kvmb_loop_unpost(h->loop, &h->work);
	while (h->conns)
		free_conn(h->conns);
	free(h);
}

void kvmb_hvsock_for_each(struct kvmb_hvsock *h,
			  void (*fn)(void *arg, const struct kvmb_hvsock_info *i), void *arg)
{
	struct hvs_conn *c;

	for (c = h->conns; c; c = c->next) {
		const struct kvmb_hvsock_info i = {
			.port = c->port,
			.peer_port = c->peer_port,
			.from_host = c->from_host,
			.state = state_names[c->state],
			.to_guest = __atomic_load_n(&c->to_guest, __ATOMIC_RELAXED),
			.to_host = __atomic_load_n(&c->to_host, __ATOMIC_RELAXED),
		};

		if (c->state != HVS_ENDING && c->state != HVS_GREETING)
			fn(arg, &i);
	}
}
