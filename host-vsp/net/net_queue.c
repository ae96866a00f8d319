// SPDX-License-Identifier: GPL-2.0-only
/*
 * The base of a NIC's queue: locks, the guest's buffers, completions, failure.
 *
 * Protocol, frames, sections and worker call this file; it calls none of them. net_priv.h says who
 * may touch what, and in which order locks are taken.
 */
#include <unistd.h>

#include "host-vsp/net/net_priv.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define TRY_MS 50u /* a worker ends its turn after a packet or frame */

void net_fail(struct net_queue *q, const char *why, int err)
{
	if (q->failed)
		return;
	q->failed = true;
	kvmb_chan_fail(q->ch, why, err);
}

static const u8 moves[NET_NUM_STATES] = {
	[NET_CLOSED] = 1 << NET_VERSIONED,
	[NET_VERSIONED] = 1 << NET_UP | 1 << NET_CLOSED,
	[NET_UP] = 1 << NET_VERSIONED | 1 << NET_CLOSED,
};

void net_state_to(struct kvmb_net *n, enum net_state to)
{
	if (n->state == to)
		return;
	kvmb_assert(moves[n->state] & (1 << to));
	n->state = to;
}

static void note_lost(struct kvmb_net *n)
{
	if (!__atomic_exchange_n(&n->backend_gone, true, __ATOMIC_ACQ_REL))
		kvmb_loop_post(n->loop, &n->gone_work);
}

void net_backend_lost(struct net_queue *q)
{
	note_lost(q->n);
}

void kvmb_net_twin_lost(struct kvmb_net *n)
{
	note_lost(n);
}

/* ---- whose the backend is: net.h ---- */

static bool has_own_mac(const struct kvmb_net *n)
{
	return !memcmp(n->rndis.mac, n->rndis.permanent_mac, sizeof(n->rndis.mac));
}

void net_tell_backend(struct kvmb_net *n)
{
	const struct kvmb_net_backend_ops *ops = n->backend->ops;

	if (n->state == NET_UP && ops->set_offload)
		ops->set_offload(n->backend, true, n->rndis.rsc4, n->rndis.rsc6);
	if (!has_own_mac(n) && ops->set_mac)
		ops->set_mac(n->backend, n->rndis.mac);
}

/* Of the sub-channels that are open. */
static void use_queues(struct kvmb_net *n, u32 num, bool on)
{
	u32 i;

	for (i = 1; n->backend->ops->set_queue && i < num; i++) {
		if (n->slots[i].q)
			n->backend->ops->set_queue(n->backend, i, on);
	}
}

static void take_backend(struct kvmb_net *n)
{
	if (net_owns_backend(n))
		return;
	n->twin->let_go(n->twin_arg);
	kvmb_net_set_path(n->backend, KVMB_NET_SYNTHETIC);
	use_queues(n, n->num_subs + 1, true);
	net_tell_backend(n);
	kvmb_dbg(n->name, "the guest takes its network by VMBus");
}

void net_give_backend(struct kvmb_net *n)
{
	const struct kvmb_net_backend_ops *ops = n->backend->ops;

	if (!n->twin || !net_owns_backend(n))
		return;
	use_queues(n, n->num_queues, false);
	if (ops->set_offload)
		ops->set_offload(n->backend, false, false, false);
	if (!has_own_mac(n) && ops->set_mac)
		ops->set_mac(n->backend, n->rndis.permanent_mac);
	kvmb_net_set_path(n->backend, KVMB_NET_EMULATED);
	kvmb_dbg(n->name, "its network is the legacy NIC's again");
	if (!__atomic_load_n(&n->backend_gone, __ATOMIC_ACQUIRE))
		n->twin->use(n->twin_arg);
}

/* A filter that is zero decides nothing: net.h. */
void net_choose_owner(struct kvmb_net *n)
{
	if (n->twin && n->by_twin)
		net_give_backend(n);
	else if (n->twin && n->state == NET_UP && n->rndis.packet_filter)
		take_backend(n);
}

/* ---- locks; any thread ---- */

static void through_the_gate(struct net_slot *s)
{
	pthread_mutex_lock(&s->gate);
	pthread_mutex_lock(&s->lock);
	pthread_mutex_unlock(&s->gate);
}

void net_slot_enter(struct net_slot *s)
{
	if (__atomic_load_n(&s->waiting, __ATOMIC_RELAXED))
		through_the_gate(s);
	else
		pthread_mutex_lock(&s->lock);
}

void net_slot_lock(struct net_slot *s)
{
	__atomic_fetch_add(&s->waiting, 1, __ATOMIC_RELAXED);
	through_the_gate(s);
	__atomic_fetch_sub(&s->waiting, 1, __ATOMIC_RELAXED);
}

static bool try_until(pthread_mutex_t *lock, u64 until_ms)
{
	while (pthread_mutex_trylock(lock)) {
		if (kvmb_now_ms() >= until_ms)
			return false;
		usleep(100);
	}
	return true;
}

bool net_slot_try(struct net_slot *s)
{
	u64 until_ms = kvmb_now_ms() + TRY_MS;
	bool got;

	__atomic_fetch_add(&s->waiting, 1, __ATOMIC_RELAXED);
	got = try_until(&s->gate, until_ms);
	if (got) {
		got = try_until(&s->lock, until_ms);
		pthread_mutex_unlock(&s->gate);
	}
	__atomic_fetch_sub(&s->waiting, 1, __ATOMIC_RELAXED);
	return got;
}

void net_slot_unlock(struct net_slot *s)
{
	pthread_mutex_unlock(&s->lock);
}

void net_lock_others(struct kvmb_net *n) /* primary's worker, which holds its own */
{
	unsigned int i;

	for (i = 1; i < n->num_queues; i++)
		net_slot_lock(&n->slots[i]);
}

/* @news: what they sleep on may be another thing now: buffers, filters */
void net_unlock_others(struct kvmb_net *n, bool news)
{
	unsigned int i;

	for (i = 1; i < n->num_queues; i++) {
		if (news && n->slots[i].q)
			kvmb_worker_kick(&n->slots[i].q->worker);
		net_slot_unlock(&n->slots[i]);
	}
}

void net_lock_all(struct kvmb_net *n)
{
	net_slot_lock(&n->slots[0]);
	net_lock_others(n);
}

void net_unlock_all(struct kvmb_net *n)
{
	net_unlock_others(n, false);
	net_slot_unlock(&n->slots[0]);
}

/* ---- buffers ---- */

int net_take_buffer(struct net_queue *q, struct net_buf *b, u32 id)
{
	const u64 *gfns;
	u32 i;

	if (b->gpadl)
		return -EEXIST;
	b->gpadl = kvmb_gpadl_get(q->ch, id);
	if (!b->gpadl)
		return -ENOENT;
	b->id = id;
	b->owed = false;
	gfns = kvmb_gpadl_gfns(b->gpadl, &b->num_pages);
	b->pages = calloc(b->num_pages, sizeof(*b->pages));
	for (i = 0; b->pages && i < b->num_pages; i++) {
		b->pages[i] =
			__unshare(kvmb_gm_ptr(q->gm, gfns[i] * KVMB_PAGE_SIZE, KVMB_PAGE_SIZE));
		kvmb_assert(b->pages[i]); /* gpadl.c takes no other */
	}
	if (b->pages)
		return 0;
	kvmb_gpadl_put(kvmb_chan_bus(q->ch), b->gpadl);
	memset(b, 0, sizeof(*b));
	return -ENOMEM;
}

void net_drop_buffer(struct kvmb_bus *bus, struct net_buf *b)
{
	kvmb_gpadl_put(bus, b->gpadl);
	free(b->pages);
	memset(b, 0, sizeof(*b));
}

/**
 * net_buf_iov() - Part of a buffer as iovecs, neighbouring pages merged
 * Return: iovecs, -ENOSPC when @max is too small. @off + @len lies in the buffer.
 */
int net_buf_iov(const struct net_buf *b, u32 off, u32 len, struct iovec *iov, int max)
{
	int n = 0;

	kvmb_assert((u64)off + len <= (u64)b->num_pages * KVMB_PAGE_SIZE);
	while (len) {
		u8 *p = b->pages[off / KVMB_PAGE_SIZE] + off % KVMB_PAGE_SIZE;
		u32 part = KVMB_MIN(len, KVMB_PAGE_SIZE - off % KVMB_PAGE_SIZE);

		if (n && (u8 *)iov[n - 1].iov_base + iov[n - 1].iov_len == p) {
			iov[n - 1].iov_len += part;
		} else {
			if (n == max)
				return -ENOSPC;
			iov[n++] = (struct iovec){ p, part };
		}
		off += part;
		len -= part;
	}
	return n;
}

/* ---- completions ---- */

/* Put what is held. Return: true when the way is free again. */
bool net_flush_held(struct net_queue *q)
{
	int err;

	if (!q->held || q->failed)
		return !q->failed;
	do {
		err = kvmb_ring_put(&q->io->tx, KVMB_PKT_COMPLETION, 0, q->held_id, NULL, 0,
				    &q->held_msg, q->held_len);
	} while (err == -EAGAIN && kvmb_ring_want(&q->io->tx, q->held_len));
	if (err == -EAGAIN) {
		q->loud = true;
		return false; /* the guest signals when it has read that much */
	}
	if (err) {
		net_fail(q, "its ring's read index is out of range", err);
		return false;
	}
	kvmb_ring_want(&q->io->tx, 0);
	q->held = false;
	net_count(&q->io->stats.packets_out, 1);
	return true;
}

/* @quiet: the guest can wait for this one */
void net_complete(struct net_queue *q, u64 id, const struct kvmb_wire_nvsp *m, bool quiet)
{
	q->held = true;
	q->held_id = id;
	q->held_len = m ? sizeof(*m) : 0;
	if (m)
		q->held_msg = *m;
	if (quiet)
		q->quiet++;
	else
		q->loud = true;
	net_flush_held(q);
}

void net_complete_rndis(struct net_queue *q, u64 id, u32 status, bool quiet)
{
	struct kvmb_wire_nvsp m = { .type = cpu_to_le32(KVMB_NVSP_SEND_RNDIS_PKT_COMPLETE) };

	m.u.rndis_complete.status = cpu_to_le32(status);
	net_complete(q, id, &m, quiet);
}
