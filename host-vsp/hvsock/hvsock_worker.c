// SPDX-License-Identifier: GPL-2.0-only
/*
 * The thread that moves the data of all connections.
 *
 * DOC: Theory of operation
 *
 * A connection is active when something may be done for it: the guest has signalled, the host's
 * socket has changed, or its last turn had not come to an end. Each active one gets a turn of
 * bounded size, and then the others get theirs. All descriptors are watched edge-triggered, so a
 * connection that waits costs nothing, and one system call moves as many packets as fit HVS_BUF.
 *
 * To the host: packets are copied out and written; only those that the socket has taken are
 * released, and of the first that it has not taken a number of bytes is remembered. A guest that
 * changes such a packet meanwhile changes its own stream.
 *
 * To the guest: no more is read from the socket than the ring has room for. If that is little, we
 * ask the guest to tell when there is more (ring.h) and read nothing.
 *
 * What the bus thread wants comes in a list, with a kick. It is looked at after the events, because
 * a connection that is let go may be gone at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host-vsp/hvsock/hvsock_priv.h"
#include "host-vsp/tuner.h"
#include "lib/util.h"
#include "vmbus-core/proto/hvsock.h"

#define HVS_PACKETS 16u /* of the guest, written at once */
#define HVS_PIECES 4u	/* packets to the guest that are read at once */
#define HVS_HEAD ((u32)sizeof(struct kvmb_wire_hvsock))
#define HVS_PACKET_MAX ((u32)sizeof(struct kvmb_wire_pkt) + HVS_HEAD + KVMB_HVSOCK_MTU)
#define HVS_PIECE (HVS_HEAD + KVMB_HVSOCK_MTU)
#define HVS_BUF (128u << 10)
#define HVS_OVERHEAD ((u32)sizeof(struct kvmb_wire_pkt) + HVS_HEAD + KVMB_PKT_TRAILER)
#define HVS_CHUNK 4096u	    /* data that we want room for before we go on */
#define HVS_ROUNDS 4u	    /* of each way, in a turn */
#define HVS_GONE_MS 300000u /* for a guest to read what a client has left */
#define HVS_EVENTS 64

static_assert(HVS_PIECES * HVS_PIECE <= HVS_BUF, "room for all pieces");
static_assert(HVS_BUF >= 2 * HVS_PACKET_MAX, "room for a packet");

/* Of the address in an event's data. */
#define UD_SIGNAL 1ull

/* ---- over ---- */

static void say_over(struct hvs_conn *c)
{
	__atomic_store_n(&c->over, 1, __ATOMIC_RELEASE);
	c->active = false;
	kvmb_loop_post(c->h->loop, &c->h->work);
}

static bool is_over(const struct hvs_conn *c)
{
	return __atomic_load_n(&c->over, __ATOMIC_RELAXED);
}

static void fail_conn(struct hvs_conn *c, const char *why, int err)
{
	if (is_over(c))
		return;
	kvmb_chan_fail(c->ch, why, err);
	say_over(c);
}

static void add_to(u64 *counter, u64 n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static void host_hung_up(struct hvs_conn *c)
{
	if (!c->hung_up)
		c->gone_ms = kvmb_now_ms() + HVS_GONE_MS;
	c->hung_up = true;
}

/* ---- to the host ---- */

struct batch {
	struct kvmb_ring look; /* runs ahead of the ring's own index */
	struct iovec iov[HVS_PACKETS];
	u32 len[HVS_PACKETS]; /* of each packet, as in the ring */
	u32 num;
	bool end; /* behind them the guest says that there is no more */
	u32 end_len;
};

/* Return: NULL, or why not; *@size: bytes of data. */
static const char *check_packet(const struct kvmb_pkt *pkt, u32 *size)
{
	struct kvmb_wire_hvsock w;

	if (pkt->type != KVMB_PKT_INBAND || pkt->payload_len < sizeof(w))
		return "a packet of a socket is in-band, with a header";
	memcpy(&w, pkt->payload, sizeof(w));
	*size = le32_to_cpu(w.size);
	if (le32_to_cpu(w.type) != KVMB_HVSOCK_DATA || *size > KVMB_HVSOCK_MTU ||
	    pkt->payload_len - sizeof(w) != KVMB_ALIGN_UP(*size, 8u))
		return "a packet of a socket has another size than it says";
	return NULL;
}

/* What the guest has written, as much as the buffer takes. Return: false: it broke the protocol. */
static bool collect(struct hvs_conn *c, struct batch *b)
{
	u8 *buf = c->h->buf;
	struct kvmb_pkt pkt;
	const char *why;
	u32 used = 0, size, off;
	int err;

	b->look = c->io->rx;
	while (b->num < HVS_PACKETS && HVS_BUF - used >= HVS_PACKET_MAX) {
		err = kvmb_ring_peek(&b->look, buf + used, HVS_PACKET_MAX, &pkt);
		if (err == -EAGAIN)
			return true;
		why = err ? "its ring is corrupt" : check_packet(&pkt, &size);
		off = b->num ? 0 : c->done;
		if (!why && (c->guest_ended || (off && off >= size)))
			why = "a socket's packet changed, or came behind its end";
		if (why) {
			fail_conn(c, why, err ? err : -EPROTO);
			return false;
		}
		kvmb_ring_skip(&b->look, &pkt);
		if (!size) {
			b->end = true;
			b->end_len = pkt.len;
			return true;
		}
		b->iov[b->num].iov_base =
			buf + used + (pkt.payload - (buf + used)) + HVS_HEAD + off;
		b->iov[b->num].iov_len = size - off;
		b->len[b->num++] = pkt.len;
		used += pkt.len;
	}
	return true;
}

/* Return: bytes that are off our hands. */
static size_t write_batch(struct hvs_conn *c, const struct batch *b)
{
	size_t all = 0;
	ssize_t n;
	u32 i;

	for (i = 0; i < b->num; i++)
		all += b->iov[i].iov_len;
	if (c->deaf)
		return all;
	n = writev(c->fd, b->iov, (int)b->num);
	if (n >= 0)
		return (size_t)n;
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN) {
		c->writable = false;
		return 0;
	}
	c->deaf = true; /* it reads no more: as if it had read that */
	host_hung_up(c);
	return all;
}

/* Give back what was written. Return: all of it? */
static bool release_batch(struct hvs_conn *c, const struct batch *b, size_t written)
{
	struct kvmb_pkt pkt = { 0 };
	u32 i;

	c->io->rx.peer = b->look.peer; /* our index may pass what was known of the guest's */
	if (!c->deaf)
		add_to(&c->to_host, written);
	for (i = 0; i < b->num && written >= b->iov[i].iov_len; i++) {
		written -= b->iov[i].iov_len;
		pkt.len = b->len[i];
		kvmb_ring_skip(&c->io->rx, &pkt);
		c->done = 0;
		add_to(&c->io->stats.packets_in, 1);
	}
	if (i < b->num) {
		c->done += (u32)written;
		return false;
	}
	if (b->end) {
		pkt.len = b->end_len;
		kvmb_ring_skip(&c->io->rx, &pkt);
		add_to(&c->io->stats.packets_in, 1);
		c->guest_ended = true;
		shutdown(c->fd, SHUT_WR);
	}
	return true;
}

/* Return: is there more to do at once? */
static bool to_host(struct hvs_conn *c)
{
	struct batch b;
	size_t written;
	int want;

	b.num = 0;
	b.end = false;
	if ((!c->writable && !c->deaf) || !collect(c, &b) || (!b.num && !b.end))
		return false;
	written = b.num ? write_batch(c, &b) : 0;
	release_batch(c, &b, written);
	want = kvmb_ring_release(&c->io->rx);
	if (want > 0)
		kvmb_chan_signal(c->ch);
	else if (want < 0)
		fail_conn(c, "a ring index is out of range", want);
	return !is_over(c) && (c->writable || c->deaf);
}

/* ---- to the guest ---- */

/* Data that the ring takes now, beside the end of the stream; 0: too little to begin. */
static u32 tx_room(struct hvs_conn *c)
{
	const struct kvmb_ring *tx = &c->io->tx;
	u32 chunk = KVMB_MIN(HVS_CHUNK, tx->size / 4), free, most, tries;

	/* a guest that plays with its index finds nobody who waits for it here */
	for (tries = 0;; tries++) {
		free = tx->size - kvmb_ring_used(tx, true);
		/* a ring is never full, and the end has its place */
		most = free > 2 * HVS_OVERHEAD + 8 ? free - 2 * HVS_OVERHEAD - 8 : 0;
		if (most >= chunk)
			break;
		c->wants = true;
		if (!kvmb_ring_want(&c->io->tx, chunk + 2 * HVS_OVERHEAD + 8) || tries)
			return 0;
	}
	if (c->wants)
		kvmb_ring_want(&c->io->tx, 0);
	c->wants = false;
	/* each packet has its overhead, and its data is padded */
	return KVMB_MIN(most - most / KVMB_HVSOCK_MTU * (HVS_OVERHEAD + 8),
			HVS_PIECES * KVMB_HVSOCK_MTU);
}

/* Return: bytes read; 0: nothing is there, or it has ended. */
static u32 read_host(struct hvs_conn *c, u32 room)
{
	struct iovec iov[HVS_PIECES];
	u32 i, num = 0, left = room;
	ssize_t n;

	for (i = 0; i < HVS_PIECES && left; i++) {
		iov[i].iov_base = (u8 *)c->h->buf + i * HVS_PIECE + HVS_HEAD;
		iov[i].iov_len = KVMB_MIN(left, KVMB_HVSOCK_MTU);
		left -= (u32)iov[i].iov_len;
		num++;
	}
	n = readv(c->fd, iov, (int)num);
	if (n > 0)
		return (u32)n;
	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0 && errno == EAGAIN) {
		c->readable = false;
		return 0;
	}
	c->host_ended = true;
	if (n < 0)
		host_hung_up(c);
	return 0;
}

/* The ring had room for it. Return: false: the guest said something else before. */
static bool put_piece(struct hvs_conn *c, u8 *piece, u32 size)
{
	struct kvmb_wire_hvsock w = { cpu_to_le32(KVMB_HVSOCK_DATA), cpu_to_le32(size) };
	int err;

	memcpy(piece, &w, sizeof(w));
	err = kvmb_ring_put(&c->io->tx, KVMB_PKT_INBAND, 0, 0, NULL, 0, piece, HVS_HEAD + size);
	if (!err) {
		add_to(&c->io->stats.packets_out, 1);
		return true;
	}
	fail_conn(c, "a ring index went back", err == -EAGAIN ? -EPROTO : err);
	return false;
}

static bool put_all(struct hvs_conn *c, u32 num)
{
	u8 *buf = c->h->buf;
	u32 i, size;

	for (i = 0; i * KVMB_HVSOCK_MTU < num; i++) {
		size = KVMB_MIN(num - i * KVMB_HVSOCK_MTU, KVMB_HVSOCK_MTU);
		if (!put_piece(c, buf + i * HVS_PIECE, size))
			return false;
	}
	return true;
}

/* Return: is there more to do at once? */
static bool to_guest(struct hvs_conn *c)
{
	u32 room, num;

	if (c->told_guest || (!c->readable && !c->host_ended))
		return false;
	if (c->host_ended) {
		/* its place was left free by all that was written before */
		if (!put_piece(c, c->h->buf, 0))
			return false;
		c->told_guest = true;
		if (kvmb_chan_flush(c->ch))
			fail_conn(c, "a ring index is out of range", -EPROTO);
		return false;
	}
	room = tx_room(c);
	if (!room)
		return false;
	num = read_host(c, room);
	if (!num)
		return c->host_ended; /* tell the guest */
	if (!put_all(c, num))
		return false;
	add_to(&c->to_guest, num);
	if (c->hung_up)
		c->gone_ms = kvmb_now_ms() + HVS_GONE_MS;
	if (kvmb_chan_flush(c->ch)) {
		fail_conn(c, "a ring index is out of range", -EPROTO);
		return false;
	}
	return true;
}

/* ---- turns ---- */

/*
 * Before a connection rests. A guest need not signal while the host takes nothing. Return: there
 * is more after all.
 */
static bool ask_for_signals(struct hvs_conn *c)
{
	if (!c->writable && !c->deaf)
		return false;
	c->masked = false;
	if (!kvmb_ring_unmask(&c->io->rx))
		return false;
	kvmb_ring_mask(&c->io->rx);
	c->masked = true;
	return true;
}

static void take_turn(struct hvs_conn *c)
{
	bool in = true, out = true;
	u32 i;

	if (!c->masked)
		kvmb_ring_mask(&c->io->rx);
	c->masked = true;
	for (i = 0; i < HVS_ROUNDS && (in || out); i++) {
		in = in && to_host(c);
		out = out && !is_over(c) && to_guest(c);
		if (is_over(c))
			return;
	}
	if (c->told_guest && (c->guest_ended || c->hung_up))
		say_over(c);
	else if (!in && !out)
		c->active = ask_for_signals(c);
}

static void on_event(const struct epoll_event *e)
{
	struct hvs_conn *c = (void *)(uintptr_t)(e->data.u64 & ~UD_SIGNAL);

	if (e->data.u64 & UD_SIGNAL) {
		add_to(&c->io->stats.wakes, 1);
	} else {
		if (e->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			c->readable = true;
		if (e->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			c->writable = true;
		if (e->events & (EPOLLHUP | EPOLLERR))
			host_hung_up(c);
	}
	c->active = !c->stands && !is_over(c);
}

/* ---- wishes ---- */

static int watch_fd(struct hvs_conn *c, int fd, u32 events, u64 ud)
{
	struct epoll_event e = { .events = events, .data.u64 = (u64)(uintptr_t)c | ud };

	return epoll_ctl(c->h->epoll_fd, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static void begin_serving(struct hvs_conn *c)
{
	c->next_served = c->h->served;
	c->h->served = c;
	c->served = true;
	c->readable = c->writable = true; /* the first tries tell */
	if (watch_fd(c, c->io->signal_fd, EPOLLIN | EPOLLET, UD_SIGNAL) ||
	    watch_fd(c, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 0))
		say_over(c);
}

/* @c may be gone afterwards. */
static void let_go(struct hvs_conn *c)
{
	struct hvs_conn **p;

	if (c->served) {
		epoll_ctl(c->h->epoll_fd, EPOLL_CTL_DEL, c->io->signal_fd, NULL);
		epoll_ctl(c->h->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
		for (p = &c->h->served; *p != c; p = &(*p)->next_served)
			;
		*p = c->next_served;
		c->served = false;
	}
	kvmb_chan_closed(c->ch);
}

static void grant(struct hvs_conn *c, enum hvs_wish wish)
{
	if (wish == HVS_CLOSE) {
		let_go(c);
		return;
	}
	if (!c->served)
		begin_serving(c);
	/* between turns nothing stays behind the rings' indices */
	c->stands = wish == HVS_STAND;
	c->active = !c->stands && !is_over(c);
	if (c->stands)
		kvmb_chan_paused(c->ch);
}

static struct hvs_conn *next_wish(struct kvmb_hvsock *h, enum hvs_wish *wish)
{
	struct hvs_conn *c;

	pthread_mutex_lock(&h->lock);
	c = h->wishes;
	if (c) {
		h->wishes = c->next_wish;
		c->wished = false;
		*wish = c->wish;
	}
	pthread_mutex_unlock(&h->lock);
	return c;
}

void hvs_worker_wish(struct hvs_conn *c, enum hvs_wish wish)
{
	struct kvmb_hvsock *h = c->h;

	pthread_mutex_lock(&h->lock);
	c->wish = wish;
	if (!c->wished) {
		c->next_wish = h->wishes;
		h->wishes = c;
	}
	c->wished = true;
	pthread_mutex_unlock(&h->lock);
	kvmb_worker_kick(&h->worker);
}

/* ---- the thread ---- */

/* Return: milliseconds to sleep, -1 = until something happens. */
static int rest_ms(struct kvmb_hvsock *h)
{
	u64 first = 0, now;
	struct hvs_conn *c;

	for (c = h->served; c; c = c->next_served) {
		if (c->active)
			return 0;
		if (c->gone_ms && !is_over(c) && (!first || c->gone_ms < first))
			first = c->gone_ms;
	}
	if (!first)
		return -1;
	now = kvmb_now_ms();
	for (c = h->served; c; c = c->next_served) {
		if (c->gone_ms && c->gone_ms <= now && !is_over(c))
			say_over(c);
	}
	return first > now ? (int)(first - now) : 0;
}

static void sleep_until_event(struct kvmb_hvsock *h)
{
	struct epoll_event ev[HVS_EVENTS];
	bool kicked = false;
	enum hvs_wish wish;
	struct hvs_conn *c;
	int i, n = epoll_wait(h->epoll_fd, ev, HVS_EVENTS, rest_ms(h));
	u64 kicks;

	for (i = 0; i < n; i++) {
		if (ev[i].data.u64)
			on_event(&ev[i]);
		else
			kicked = read(h->worker.stop_fd, &kicks, sizeof(kicks)) > 0;
	}
	while (kicked && (c = next_wish(h, &wish)))
		grant(c, wish);
}

static void run_sockets(void *arg)
{
	struct kvmb_hvsock *h = arg;
	struct hvs_conn *c;

	while (!__atomic_load_n(&h->worker.stopping, __ATOMIC_ACQUIRE)) {
		for (c = h->served; c; c = c->next_served) {
			if (c->active)
				take_turn(c);
		}
		sleep_until_event(h);
	}
}

int hvs_worker_init(struct kvmb_hvsock *h)
{
	struct epoll_event e = { .events = EPOLLIN };
	int err = kvmb_worker_init(&h->worker);

	if (err)
		return err;
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll_fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->worker.stop_fd, &e)) {
		err = -errno;
		if (h->epoll_fd >= 0)
			close(h->epoll_fd);
		kvmb_worker_fini(&h->worker);
		return err;
	}
	pthread_mutex_init(&h->lock, NULL);
	return 0;
}

int hvs_worker_start(struct kvmb_hvsock *h)
{
	if (h->worker.started)
		return 0;
	if (!h->buf)
		h->buf = aligned_alloc(8, HVS_BUF);
	return h->buf ? kvmb_worker_start(&h->worker, KVMB_THREAD_SOCKET, "vsock", run_sockets, h) :
			-ENOMEM;
}

void hvs_worker_fini(struct kvmb_hvsock *h)
{
	kvmb_worker_stop(&h->worker);
	kvmb_worker_join(&h->worker);
	kvmb_worker_fini(&h->worker);
	close(h->epoll_fd);
	free(h->buf);
	pthread_mutex_destroy(&h->lock);
}
