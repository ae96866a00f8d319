// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening and closing a NIC's channels. Bus thread.
 *
 * Who may touch what, and in which order locks are taken: net_priv.h.
 */
#include "host-vsp/net/net_priv.h"
#include "lib/util.h"

/*
 * Wait for a queue's worker and empty its place. Until that is empty the primary's worker may kick
 * this one.
 */
static void detach_queue(struct net_queue *q)
{
	struct kvmb_net *n = q->n;

	if (q->joined)
		return;
	kvmb_worker_stop(&q->worker);
	kvmb_worker_join(&q->worker);
	q->joined = true;
	net_lock_all(n);
	q->slot->q = NULL;
	q->slot->stats.open = false;
	if (q->index)
		net_sections_return(q);
	else
		net_forget_guest(n);
	/* with the locks: the primary's worker may be about to give the backend to the twin */
	if (n->backend->ops->set_queue && q->index && net_owns_backend(n))
		n->backend->ops->set_queue(n->backend, q->index, false);
	net_unlock_all(n);
	net_worker_fini(q);
}

static void free_queue(struct net_queue *q)
{
	free(q->bounce);
	free(q);
}

static struct net_queue *new_queue(struct kvmb_net *n, struct kvmb_chan *ch)
{
	struct net_queue *q = kvmb_xzalloc(sizeof(*q));

	q->n = n;
	q->index = kvmb_chan_index(ch);
	q->slot = &n->slots[q->index];
	q->ch = ch;
	q->io = kvmb_chan_io(ch);
	q->gm = kvmb_bus_vmm(kvmb_chan_bus(ch))->gm;
	q->pace = kvmb_chan_starts_paused(ch) ? NET_STANDS : NET_GOES;
	q->free = NET_NO_SECTION;
	q->backend_fd = -1;
	if (n->spec.vlan)
		q->bounce = kvmb_xzalloc(NET_BOUNCE_SIZE);
	return q;
}

static int net_open(struct kvmb_chan *ch)
{
	struct kvmb_net *n = kvmb_chan_dev(ch);
	unsigned int i = kvmb_chan_index(ch);
	struct net_queue *q;
	char name[16];
	int err;

	if (i >= n->num_queues)
		return -EPROTO;
	if (n->slots[i].q)
		/* a sub-channel of before, whose end is still being dealt with */
		detach_queue(n->slots[i].q);
	q = new_queue(n, ch);
	err = net_worker_init(q);
	if (err) {
		free_queue(q);
		return err;
	}
	net_lock_all(n);
	if (i > n->num_subs) {
		net_unlock_all(n);
		net_worker_fini(q);
		free_queue(q);
		return -EPROTO;
	}
	q->slot->q = q;
	q->slot->stats.open = true;
	if (i) {
		net_sections_take(q, n->num_subs + 1);
	} else {
		n->rndis.link = q->told_link = net_link_up(n);
		n->link_ms = kvmb_now_ms();
	}
	q->rx_epoch = __atomic_load_n(&n->rx_epoch, __ATOMIC_ACQUIRE);
	q->backend_epoch = q->told_epoch = __atomic_load_n(&n->backend_epoch, __ATOMIC_ACQUIRE);
	if (n->backend->ops->set_queue && i && net_owns_backend(n))
		n->backend->ops->set_queue(n->backend, i, true);
	net_unlock_all(n);
	snprintf(name, sizeof(name), "%.8s/%u", n->name, i);
	err = kvmb_worker_start(&q->worker, KVMB_THREAD_NET, name, net_worker_run, q);
	if (err) {
		detach_queue(q);
		free_queue(q);
		return err;
	}
	q->io->priv = q;
	return 0;
}

static void net_close(struct kvmb_chan *ch)
{
	struct net_queue *q = kvmb_chan_io(ch)->priv;

	kvmb_worker_stop(&q->worker);
}

static void set_pace(struct net_queue *q, enum net_pace pace)
{
	net_slot_lock(q->slot);
	q->pace = pace;
	net_slot_unlock(q->slot);
	kvmb_worker_kick(&q->worker);
}

static void net_pause(struct kvmb_chan *ch)
{
	set_pace(kvmb_chan_io(ch)->priv, NET_TO_STAND);
}

static void net_resume(struct kvmb_chan *ch)
{
	set_pace(kvmb_chan_io(ch)->priv, NET_GOES);
}

static void net_closed(struct kvmb_chan *ch)
{
	struct net_queue *q = kvmb_chan_io(ch)->priv;

	detach_queue(q);
	free_queue(q);
}

/*
 * No channel is open. The next guest, or the same one started again, looks for the address that it
 * was given.
 */
static void net_forgotten(struct kvmb_chan *ch)
{
	struct kvmb_net *n = kvmb_chan_dev(ch);

	if (!memcmp(n->rndis.mac, n->rndis.permanent_mac, sizeof(n->rndis.mac)))
		return;
	memcpy(n->rndis.mac, n->rndis.permanent_mac, sizeof(n->rndis.mac));
	if (n->backend->ops->set_mac && net_owns_backend(n))
		n->backend->ops->set_mac(n->backend, n->rndis.mac);
}

static void net_released(struct kvmb_chan *ch)
{
	struct kvmb_net *n = kvmb_chan_dev(ch);

	n->primary = NULL;
	if (n->removed)
		n->removed(n->removed_arg, n);
}

const struct kvmb_vsp_ops net_vsp_ops = {
	.name = "net",
	.open = net_open,
	.close = net_close,
	.closed = net_closed,
	.pause = net_pause,
	.resume = net_resume,
	.save = net_save_chan,
	.load = net_load_chan,
	.released = net_released,
	.forgotten = net_forgotten,
};
