// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue's thread.
 *
 * DOC: Theory of operation
 *
 * One turn, with the queue's lock held: take the guest's packets, read the backend's frames, make
 * the backend release the pages it was given, publish to the guest with at most one signal.
 * Between turns the thread sleeps on the guest's signal, the backend's descriptor and the bus
 * thread's kick; the tuner decides how. The guest's signal is watched edge-triggered, so that we
 * need not read it.
 *
 * The guest can wait for the completion of a frame that it has copied into its send buffer: all
 * that it gets back is the section. Such completions are batched: published with the next urgent
 * packet, once QUIET_MAX are pending, or after QUIET_NS. Publishing each one would cost an
 * interrupt per frame.
 *
 * A packet that has to wait (for room in the backend, for the rate limit, for a section for its
 * answer) stays in the ring, and the packets behind it wait too. Completions must not wait: they
 * free the sections that frames and answers need, perhaps for the very answer of that packet. So
 * a second reader runs ahead and handles only completions; the first reader skips them when it
 * gets there. A guest that writes behind a waiting packet sends no signal (ring.h), so while
 * sections are short the ring is polled by a timer.
 *
 * A pause comes with a kick. Between two turns the worker then makes everything visible that it
 * has put into the rings, and sleeps on the kick alone. What waits (a packet in the ring, an answer
 * without a section, a completion without room) waits on; a turn looks at all of it.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "host-vsp/net/net_priv.h"
#include "lib/log.h"
#include "lib/util.h"

#define TX_BUDGET 64	   /* packets a turn */
#define QUIET_MAX 16u	   /* completions that may wait */
#define QUIET_NS 500000u   /* for so long */
#define POLL_STEP_NS 2000u /* between two looks at the descriptors while polling the ring */
#define AHEAD_BUDGET 1024  /* packets a turn that are looked at behind one that waits */
#define HUNGRY_NS 1000000u /* between two looks for completions behind it */
#define DEAF_NS 1000000000u /* a backend that takes nothing for so long may never do */

enum { UD_SIGNAL, UD_KICK, UD_BACKEND };

enum drained { RING_EMPTY, RING_BLOCKED, RING_MORE };

/*
 * Without a receive buffer an answer has no place to go to, and what stands behind may be the
 * buffer.
 */
static bool accepting(const struct net_queue *q)
{
	return !q->stopping && !q->failed && !q->held && (!q->full || q->deaf) && !q->tx_ns &&
	       !(q->reply_len && q->n->recv.gpadl);
}

static u32 size_in_ring(const struct kvmb_pkt *pkt)
{
	return pkt->len + KVMB_PKT_TRAILER;
}

/*
 * Deal with the completions that stand behind a packet which waits. What is wrong there is left for
 * the first reader to find. Return: true when there is more to look at.
 */
static bool look_ahead(struct net_queue *q)
{
	struct kvmb_pkt pkt;
	u32 i;

	if (!q->ahead_bytes)
		q->ahead = q->io->rx;
	for (i = 0; i < AHEAD_BUDGET; i++) {
		if (kvmb_ring_peek(&q->ahead, q->scratch, sizeof(q->scratch), &pkt))
			return false;
		if (pkt.type == KVMB_PKT_COMPLETION)
			net_rx_completed(q, pkt.trans_id);
		kvmb_ring_skip(&q->ahead, &pkt);
		q->ahead_bytes += size_in_ring(&pkt);
		if (net_is_awaited(q))
			break;
	}
	return true;
}

/*
 * Another process has dealt with the completions in the next @bytes. What cannot be read there is
 * left to the first reader: a completion that is seen twice is unknown the second time.
 */
void net_skip_ahead(struct net_queue *q, u32 bytes)
{
	struct kvmb_pkt pkt;

	q->ahead = q->io->rx;
	q->ahead_bytes = 0;
	while (q->ahead_bytes < bytes &&
	       !kvmb_ring_peek(&q->ahead, q->scratch, sizeof(q->scratch), &pkt)) {
		kvmb_ring_skip(&q->ahead, &pkt);
		q->ahead_bytes += size_in_ring(&pkt);
	}
}

/*
 * Go past a packet. A guest that changed it since it was looked at ahead of time harms itself
 * alone.
 */
static void pass(struct net_queue *q, const struct kvmb_pkt *pkt)
{
	u32 size = size_in_ring(pkt);

	kvmb_ring_skip(&q->io->rx, pkt);
	q->ahead_bytes = q->ahead_bytes >= size ? q->ahead_bytes - size : 0;
}

static enum drained drain(struct net_queue *q, u32 *taken)
{
	struct kvmb_pkt pkt;
	bool seen;
	u32 n;
	int err;

	for (n = 0; n < TX_BUDGET && !q->failed; n++) {
		if (n && net_is_awaited(q)) {
			*taken = n;
			return RING_MORE;
		}
		err = kvmb_ring_peek(&q->io->rx, q->scratch, sizeof(q->scratch), &pkt);
		if (err && err != -EAGAIN)
			net_fail(q, "its ring is corrupt", err);
		if (err)
			break;
		seen = pkt.type == KVMB_PKT_COMPLETION && q->ahead_bytes;
		if ((pkt.type != KVMB_PKT_COMPLETION && !accepting(q)) ||
		    (!seen && net_handle_packet(q, &pkt))) {
			*taken = n;
			return look_ahead(q) ? RING_MORE : RING_BLOCKED;
		}
		pass(q, &pkt);
	}
	*taken = n;
	return n == TX_BUDGET ? RING_MORE : RING_EMPTY;
}

/* ---- time ---- */

static u64 now_of(struct net_queue *q)
{
	if (!q->now)
		q->now = kvmb_mono_ns();
	return q->now;
}

/* ---- what the guest sees ---- */

static void publish(struct net_queue *q)
{
	int want;
	u64 now;

	if (q->failed)
		return;
	want = kvmb_ring_release(&q->io->rx);
	if (want < 0) {
		net_fail(q, "a ring index is out of range", -EPROTO);
		return;
	}
	if (want)
		kvmb_chan_signal(q->ch);
	if (!q->loud && !q->quiet)
		return;
	if (!q->loud && q->quiet < QUIET_MAX) {
		now = now_of(q);
		if (!q->publish_ns)
			q->publish_ns = now + QUIET_NS;
		if (now < q->publish_ns)
			return;
	}
	q->loud = false;
	q->quiet = 0;
	q->publish_ns = 0;
	if (kvmb_chan_flush(q->ch))
		net_fail(q, "a ring index is out of range", -EPROTO);
}

static void show_stats(struct net_queue *q)
{
	struct kvmb_net_stats *st = &q->slot->stats;

	__atomic_store_n(&st->signals, q->io->stats.signals, __ATOMIC_RELAXED);
	__atomic_store_n(&st->wakes, q->io->stats.wakes, __ATOMIC_RELAXED);
}

/* ---- the backend's descriptor ---- */

/* After a restart of the backend its descriptor is another. */
static void renew_backend(struct net_queue *q)
{
	u32 epoch = __atomic_load_n(&q->n->backend_epoch, __ATOMIC_ACQUIRE);

	if (epoch == q->backend_epoch)
		return;
	q->backend_epoch = epoch; /* the old descriptor is closed, and so out of the epoll */
	q->backend_fd = -1;
	q->backend_events = 0;
	q->full = q->readable = false;
	q->num_heads = 0;
}

static void watch_backend(struct net_queue *q)
{
	u32 events = (net_can_receive(q) ? (u32)EPOLLIN : 0) | (q->full ? (u32)EPOLLOUT : 0);
	struct epoll_event ev = { .events = events, .data.u32 = UD_BACKEND };
	int fd = q->n->backend->fd[q->index], op;

	/* one that is gone reports that for ever, asked or not */
	if (fd < 0 || q->failed || !net_owns_backend(q->n) ||
	    __atomic_load_n(&q->n->backend_gone, __ATOMIC_ACQUIRE)) {
		events = 0;
		fd = q->backend_fd;
	}
	if (events == q->backend_events || fd < 0)
		return;
	op = !events ? EPOLL_CTL_DEL : q->backend_fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	q->backend_fd = events ? fd : -1;
	q->backend_events = events;
	if (epoll_ctl(q->epoll_fd, op, fd, &ev) && op != EPOLL_CTL_DEL)
		net_backend_lost(q);
}

/* Until the next turn watches it again. */
static void ignore_backend(struct net_queue *q)
{
	if (q->backend_fd >= 0)
		epoll_ctl(q->epoll_fd, EPOLL_CTL_DEL, q->backend_fd, NULL);
	q->backend_fd = -1;
	q->backend_events = 0;
}

static void on_backend(struct net_queue *q, u32 events)
{
	struct kvmb_net_backend *b = q->n->backend;
	int err;

	if (__atomic_load_n(&q->n->backend_epoch, __ATOMIC_ACQUIRE) != q->backend_epoch ||
	    !net_owns_backend(q->n))
		return; /* that was news of a descriptor which is closed, or not ours */
	if (events & EPOLLOUT && q->full) {
		err = b->ops->commit(b, q->index);
		q->full = err == -EAGAIN;
		q->deaf_ns = 0; /* it has taken something */
		if (err && err != -EAGAIN)
			net_backend_lost(q);
	}
	if (events & EPOLLIN)
		q->readable = true;
	else if (events & (EPOLLHUP | EPOLLERR))
		net_backend_lost(q);
}

/*
 * A backend that takes nothing for a while hangs, and may do so for ever. Then frames are lost, as
 * on any wire: the guest's control messages stand behind them, and the guest may hold locks of its
 * own until they are answered.
 */
static void judge_backend(struct net_queue *q)
{
	if (!q->full)
		q->deaf_ns = 0;
	q->deaf = q->deaf_ns && kvmb_mono_ns() >= q->deaf_ns;
}

/* ---- standing still ---- */

/* What the worker has done is done for the guest, too: nothing stays behind the rings' indices. */
static void settle(struct net_queue *q)
{
	net_tx_commit(q);
	net_rx_flush(q);
	q->loud |= q->quiet;
	publish(q);
	show_stats(q);
}

/* Sleep as long as the bus thread wants it. Called, and returns, with the lock held. */
static void stand(struct net_queue *q)
{
	struct epoll_event ev[3];
	u64 kicks;

	ignore_backend(q);
	while (q->pace != NET_GOES && !q->stopping) {
		if (q->pace == NET_TO_STAND) {
			settle(q);
			q->pace = NET_STANDS;
			kvmb_chan_paused(q->ch);
		}
		net_slot_unlock(q->slot);
		kvmb_worker_wait(q->epoll_fd, ev, ARRAY_SIZE(ev), -1);
		net_slot_enter(q->slot);
		if (read(q->worker.stop_fd, &kicks, sizeof(kicks)) < 0)
			continue; /* the guest's signal: a turn will look */
		q->stopping = __atomic_load_n(&q->worker.stopping, __ATOMIC_ACQUIRE);
	}
	q->deaf_ns = 0; /* a backend that was full had no chance to say more */
}

/* ---- waiting ---- */

/* Serve what the descriptors say; wait up to @ns for something, -1 = for ever. Return: any? */
static bool wait_for_news(struct net_queue *q, s64 ns)
{
	struct epoll_event ev[3];
	u64 kicks;
	int n, i;

	n = kvmb_worker_wait(q->epoll_fd, ev, ARRAY_SIZE(ev), ns);
	net_slot_enter(q->slot);
	for (i = 0; i < n; i++) {
		if (ev[i].data.u32 == UD_SIGNAL)
			net_count(&q->io->stats.wakes, 1);
		else if (ev[i].data.u32 == UD_BACKEND)
			on_backend(q, ev[i].events);
		else if (read(q->worker.stop_fd, &kicks, sizeof(kicks)) < 0)
			continue; /* somebody's news, which a turn sees */
	}
	if (__atomic_load_n(&q->worker.stopping, __ATOMIC_ACQUIRE))
		q->stopping = true;
	if (q->pace != NET_GOES)
		stand(q);
	net_slot_unlock(q->slot);
	return n > 0;
}

/* Until when nothing can be done but wait; -1 = for ever. */
static s64 longest_wait(struct net_queue *q)
{
	u64 first = q->publish_ns, now;

	if (q->tx_ns && (!first || q->tx_ns < first))
		first = q->tx_ns;
	if (q->rx_ns && (!first || q->rx_ns < first))
		first = q->rx_ns;
	if (q->deaf_ns && !q->deaf && (!first || q->deaf_ns < first))
		first = q->deaf_ns;
	if (!first && !q->hungry)
		return -1;
	now = now_of(q);
	if (q->hungry && (!first || first > now + HUNGRY_NS))
		return HUNGRY_NS;
	return first > now ? (s64)(first - now) : 0;
}

/* Look for a while before sleeping. Return: true when something came. */
static bool poll_a_while(struct net_queue *q)
{
	u64 now = kvmb_mono_ns(), until = now + KVMB_POLL_NS, look = now + POLL_STEP_NS;

	do {
		if (kvmb_ring_readable(&q->io->rx))
			return true;
		__builtin_ia32_pause();
		now = kvmb_mono_ns();
		if (now >= look) {
			if (wait_for_news(q, 0))
				return true;
			look = kvmb_mono_ns() + POLL_STEP_NS;
		}
	} while (now < until);
	return false;
}

static void sleep_until_news(struct net_queue *q, enum drained ring)
{
	bool ask = ring == RING_EMPTY && !q->failed;

	if (ask && q->tuner.mode == KVMB_WAIT_POLL) {
		if (poll_a_while(q))
			return;
		q->now = 0;
	}
	/* ask for signals, look once more, sleep; a packet that has to wait needs no signal */
	if (ask && kvmb_ring_unmask(&q->io->rx)) {
		kvmb_ring_mask(&q->io->rx);
		return;
	}
	wait_for_news(q, longest_wait(q));
	if (ask)
		kvmb_ring_mask(&q->io->rx);
}

/* ---- turns ---- */

static enum drained turn(struct net_queue *q, u32 *work)
{
	enum drained ring;
	u32 taken, frames = (u32)q->slot->stats.rx_frames;
	bool more;

	net_slot_enter(q->slot);
	q->now = 0;
	renew_backend(q);
	/*
	 * what is gone may never say that it takes more: on a dead wire frames are lost, and
	 * nothing waits
	 */
	if (q->full &&
	    (__atomic_load_n(&q->n->backend_gone, __ATOMIC_ACQUIRE) || !net_owns_backend(q->n)))
		q->full = false;
	judge_backend(q);
	if (q->tx_ns && kvmb_mono_ns() >= q->tx_ns)
		q->tx_ns = 0;
	net_flush_held(q);
	if (!q->index)
		net_send_control(q);
	ring = drain(q, &taken);
	net_count(&q->io->stats.packets_in, taken);
	if (q->reply_len) { /* a completion may have brought the section that it waited for */
		net_send_control(q);
		if (ring == RING_BLOCKED && accepting(q))
			ring = RING_MORE;
	}
	net_rx_flush(q); /* what the ring had no room for: the guest has told that it has read */
	more = net_rx(q);
	net_tx_commit(q);
	publish(q);
	if (q->full && !q->deaf_ns)
		q->deaf_ns = kvmb_mono_ns() + DEAF_NS;
	watch_backend(q);
	show_stats(q);
	*work = taken + (u32)q->slot->stats.rx_frames - frames;
	q->hungry = ring == RING_BLOCKED && net_hungry(q);
	net_slot_unlock(q->slot);
	return more && q->readable ? RING_MORE : ring;
}

static int watch(struct net_queue *q, int fd, u32 events, u32 ud)
{
	struct epoll_event ev = { .events = events, .data.u32 = ud };

	return epoll_ctl(q->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

/*
 * The last act. A guest whose NIC is taken away waits for every packet that it has sent (Linux
 * rndis_filter_halt_device()), so what is left in the ring is completed as it is.
 */
static void finish(struct net_queue *q)
{
	struct kvmb_pkt pkt;
	u32 n;

	net_slot_enter(q->slot);
	net_tx_commit(q);
	for (n = 0; n < q->io->rx.size && net_flush_held(q); n += pkt.len) {
		if (kvmb_ring_peek(&q->io->rx, q->scratch, sizeof(q->scratch), &pkt))
			break;
		if (pkt.type != KVMB_PKT_COMPLETION && pkt.flags & KVMB_PKT_FLAG_COMPLETE)
			net_complete_rndis(q, pkt.trans_id, KVMB_NVSP_STAT_FAIL, false);
		kvmb_ring_skip(&q->io->rx, &pkt);
	}
	q->loud |= q->quiet;
	publish(q);
	show_stats(q);
	net_slot_unlock(q->slot);
}

int net_worker_init(struct net_queue *q)
{
	int err = kvmb_worker_init(&q->worker);

	if (err)
		return err;
	q->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (q->epoll_fd >= 0 && !watch(q, q->io->signal_fd, EPOLLIN | EPOLLET, UD_SIGNAL) &&
	    !watch(q, q->worker.stop_fd, EPOLLIN, UD_KICK))
		return 0;
	err = -errno;
	net_worker_fini(q);
	return err;
}

void net_worker_fini(struct net_queue *q)
{
	if (q->epoll_fd >= 0)
		close(q->epoll_fd);
	q->epoll_fd = -1;
	kvmb_worker_fini(&q->worker);
}

void net_worker_run(void *arg)
{
	struct net_queue *q = arg;
	enum drained ring;
	u32 work;

	kvmb_tuner_init(&q->tuner);
	net_slot_enter(q->slot);
	if (q->pace != NET_GOES) /* opened so */
		stand(q);
	net_slot_unlock(q->slot);
	kvmb_ring_mask(&q->io->rx);
	while (!q->stopping) {
		ring = turn(q, &work);
		if (work)
			kvmb_tuner_note(&q->tuner, work);
		if (ring == RING_MORE)
			wait_for_news(q, 0);
		else
			sleep_until_news(q, ring);
	}
	if (!q->failed)
		finish(q);
	kvmb_chan_closed(q->ch);
}
