// SPDX-License-Identifier: GPL-2.0-only
/*
 * The NIC as the VMM sees it: create, offer, change, remove, query. Bus thread.
 *
 * If a backend dies and can be restarted (passt), we restart it: first at once, then after pauses
 * that grow from a second to half a minute, until one has lived for a while. Meanwhile the guest's
 * link is down. Nothing here waits for the backend: revive() returns, and news follows.
 */
#include "host-vsp/net/net_priv.h"
#include "lib/log.h"
#include "lib/util.h"

#define REVIVE_MIN_MS \
	1000u /* between the second start of a backend and the third; doubled from then on */
#define REVIVE_MAX_MS 30000u
#define LIVED_MS \
	10000u /* a backend that ends before it was so old is started more and more slowly */
#define UNPLUG_MS 500u	   /* for the guest to see its cable pulled */
#define LINK_NEWS_MS 2500u /* the same when it has had other news of late */

const char *const kvmb_net_drop_names[KVMB_DROP_NUM] = {
	[KVMB_DROP_MALFORMED] = "malformed", [KVMB_DROP_SPOOFED] = "spoofed",
	[KVMB_DROP_VLAN] = "vlan",	     [KVMB_DROP_SIZE] = "size",
	[KVMB_DROP_LINK] = "link",	     [KVMB_DROP_BACKEND] = "backend",
	[KVMB_DROP_FILTERED] = "filtered",
};

static void kick_all(struct kvmb_net *n)
{
	unsigned int i;

	for (i = 0; i < n->num_queues; i++) {
		if (n->slots[i].q) /* written by this thread alone */
			kvmb_worker_kick(&n->slots[i].q->worker);
	}
}

/* ---- a backend that is gone ---- */

static void revive_later(struct kvmb_net *n)
{
	kvmb_timer_set(&n->revive_timer, n->revive_ms);
	n->revive_ms = n->revive_ms ? KVMB_MIN(2 * n->revive_ms, REVIVE_MAX_MS) : REVIVE_MIN_MS;
}

static void refused(struct kvmb_net *n)
{
	revive_later(n);
	kvmb_warn_ratelimited(n->name, "the %s network cannot be restarted: %s; trying again",
			      n->backend->ops->kind, n->backend->problem);
}

static void revive(void *arg)
{
	struct kvmb_net *n = arg;
	int err;

	if (!net_slot_try(&n->slots[0])) {
		revive_later(n);
		return;
	}
	if (n->twin) /* the primary's worker may have given it back a moment ago */
		n->twin->let_go(n->twin_arg);
	err = n->backend->ops->revive(n->backend);
	if (!err) {
		n->restarts++;
		__atomic_fetch_add(&n->backend_epoch, 1, __ATOMIC_RELEASE);
		__atomic_store_n(&n->backend_gone, false, __ATOMIC_RELEASE);
		if (n->twin && !net_owns_backend(n))
			n->twin->use(n->twin_arg);
	}
	net_slot_unlock(&n->slots[0]);
	if (!err) {
		n->there = true;
		n->born_ms = kvmb_now_ms();
		kvmb_info(n->name, "the %s network is back", n->backend->ops->kind);
		kick_all(n);
	} else if (err != -EINPROGRESS) {
		refused(n);
	}
}

static void on_gone(void *arg)
{
	struct kvmb_net *n = arg;
	bool again = n->backend->ops->revive;

	n->there = false;
	if (n->twin) /* its guest's link is down */
		n->twin->let_go(n->twin_arg);
	kvmb_warn_ratelimited(n->name, "the %s network%s%s is gone%s%s; %s", n->backend->ops->kind,
			      n->backend->detail[0] ? " " : "", n->backend->detail,
			      n->backend->problem[0] ? ": " : "", n->backend->problem,
			      again ? "starting it again" : "the guest's link is down");
	kick_all(n);
	if (!again)
		return;
	if (kvmb_now_ms() - n->born_ms >= LIVED_MS)
		n->revive_ms = 0;
	revive_later(n);
}

static void on_news(void *arg, enum kvmb_net_backend_news news)
{
	struct kvmb_net *n = arg;

	if (n->there) {
		if (news != KVMB_BACKEND_ENDED)
			return;
		__atomic_store_n(&n->backend_gone, true, __ATOMIC_RELEASE);
		kvmb_loop_unpost(n->loop, &n->gone_work); /* a worker may have noticed, too */
		on_gone(n);
	} else if (news == KVMB_BACKEND_REFUSED) {
		refused(n);
	} else if (!n->revive_timer.due_ms) {
		revive(n);
	}
}

static void get_stats(void *arg, struct kvmb_net_stats *st)
{
	kvmb_net_get_stats(arg, st);
}

void net_look(struct kvmb_net *n)
{
	struct kvmb_net_info *i = &n->told;

	memcpy(i->mac, n->rndis.mac, sizeof(i->mac));
	i->mtu = n->spec.mtu;
	i->guest_mtu = n->state == NET_UP ? n->guest_mtu : 0;
	i->nvsp_version = n->version;
	i->rsc = n->rndis.rsc4 || n->rndis.rsc6;
	i->rss = n->rndis.rss.on;
}

static void revoke(void *arg)
{
	struct kvmb_net *n = arg;

	kvmb_bus_revoke(n->primary);
}

struct kvmb_net *kvmb_net_create(const struct kvmb_net_spec *spec, struct kvmb_net_backend *backend,
				 struct kvmb_loop *loop)
{
	struct kvmb_net *n = kvmb_xzalloc(sizeof(*n));
	unsigned int i;

	kvmb_assert(backend->num_queues && backend->num_queues <= KVMB_NET_MAX_QUEUES);
	n->spec = *spec;
	n->backend = backend;
	n->loop = loop;
	n->link = true;
	n->num_queues = KVMB_MAX(KVMB_MIN(spec->max_queues, backend->num_queues), 1u);
	n->slots = kvmb_xzalloc(n->num_queues * sizeof(*n->slots));
	for (i = 0; i < n->num_queues; i++) {
		pthread_mutex_init(&n->slots[i].lock, NULL);
		pthread_mutex_init(&n->slots[i].gate, NULL);
	}
	snprintf(n->name, sizeof(n->name), "net%u", spec->index);
	n->tx_rate.bps = n->rx_rate.bps = spec->rate;
	n->rndis.caps = (struct kvmb_rndis_caps){ .offload = backend->vnet, .max_mtu = spec->mtu,
						  .num_queues = n->num_queues,
						  .mac_change = spec->mac_spoof };
	memcpy(n->rndis.mac, spec->mac, sizeof(spec->mac));
	memcpy(n->rndis.permanent_mac, spec->mac, sizeof(spec->mac));
	net_look(n);
	n->rndis.get_stats = get_stats;
	n->rndis.stats_arg = n;
	kvmb_work_init(&n->gone_work, on_gone, n);
	kvmb_timer_init(&n->revive_timer, loop, revive, n);
	kvmb_timer_init(&n->remove_timer, loop, revoke, n);
	kvmb_timer_init(&n->announce_timer, loop, net_announce_again, n);
	n->there = true;
	n->born_ms = kvmb_now_ms();
	if (backend->ops->attach)
		backend->ops->attach(backend, on_news, n);
	return n;
}

void kvmb_net_set_twin(struct kvmb_net *n, const struct kvmb_net_twin *twin, void *arg)
{
	kvmb_assert(!twin || (!n->slots[0].q && n->state == NET_CLOSED));
	if (!twin && n->twin)
		n->twin->let_go(n->twin_arg);
	n->twin = twin;
	n->twin_arg = arg;
	kvmb_net_set_path(n->backend, twin ? KVMB_NET_EMULATED : KVMB_NET_SYNTHETIC);
	if (twin && n->there)
		twin->use(arg);
}

/* stable across restarts, so that a hibernated guest finds its NICs again */
static struct kvmb_guid instance_of(const struct kvmb_net *n)
{
	const struct kvmb_guid g = KVMB_GUID(0x6b766d62, 0x4e49, (u16)n->spec.index, 0x80, 0x01,
					     'n', 'e', 't', 0, 0, (u8)n->spec.index);

	return g;
}

int kvmb_net_offer(struct kvmb_net *n, struct kvmb_bus *bus)
{
	struct kvmb_offer offer = {
		.type = KVMB_NET_TYPE_GUID,
		.instance = instance_of(n),
		.flags = KVMB_OFFER_ENUMERATE,
		.name = n->name,
		.ops = &net_vsp_ops,
		.dev = n,
	};

	n->bus = bus;
	return kvmb_bus_offer(bus, &offer, &n->primary);
}

/*
 * First the cable, so that the guest stops sending: a packet sent between our last look and the
 * guest's notice of the rescind would never be completed, and Linux waits for it for ever. Linux
 * takes news of the link at once, but not twice within two seconds (netvsc_link_change()).
 */
void kvmb_net_remove(struct kvmb_net *n, void (*done)(void *arg, struct kvmb_net *n), void *arg)
{
	u64 since = kvmb_now_ms() - n->link_ms;

	n->removed = done;
	n->removed_arg = arg;
	if (!n->primary) {
		done(arg, n);
		return;
	}
	if (!n->slots[0].q) {
		revoke(n);
		return;
	}
	n->remove_waits = n->guest_stands;
	if (!n->remove_waits)
		kvmb_timer_set(&n->remove_timer,
			       since < LINK_NEWS_MS || !n->link ? LINK_NEWS_MS : UNPLUG_MS);
	kvmb_net_set_link(n, false);
}

void kvmb_net_guest_stands(struct kvmb_net *n, bool stands)
{
	n->guest_stands = stands;
	if (stands && n->remove_timer.due_ms) {
		kvmb_timer_cancel(&n->remove_timer);
		n->remove_waits = true;
	} else if (!stands && n->remove_waits) {
		n->remove_waits = false;
		kvmb_timer_set(&n->remove_timer, LINK_NEWS_MS);
	}
}

void kvmb_net_destroy(struct kvmb_net *n)
{
	unsigned int i;

	if (!n)
		return;
	kvmb_loop_unpost(n->loop, &n->gone_work);
	kvmb_timer_cancel(&n->revive_timer);
	kvmb_timer_cancel(&n->remove_timer);
	kvmb_timer_cancel(&n->announce_timer);
	n->backend->ops->destroy(n->backend);
	net_sections_destroy(n); /* loaded, and no channel was opened */
	for (i = 0; i < n->num_queues; i++) {
		pthread_mutex_destroy(&n->slots[i].lock);
		pthread_mutex_destroy(&n->slots[i].gate);
	}
	free(n->slots);
	free(n);
}

void kvmb_net_set_link(struct kvmb_net *n, bool up)
{
	if (n->link != up)
		n->link_ms = kvmb_now_ms();
	if (up && !n->link) /* what came while the cable was out did not come */
		__atomic_fetch_add(&n->rx_epoch, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&n->link, up, __ATOMIC_RELAXED);
	kick_all(n);
}

int kvmb_net_set_mtu(struct kvmb_net *n, u32 mtu)
{
	if (mtu < KVMB_NET_MTU_MIN || mtu > KVMB_NET_MTU_MAX)
		return -EINVAL;
	net_slot_lock(&n->slots[0]); /* only the primary's worker looks */
	__atomic_store_n(&n->spec.mtu, mtu, __ATOMIC_RELAXED);
	n->rndis.caps.max_mtu = mtu;
	net_slot_unlock(&n->slots[0]);
	return 0;
}

const struct kvmb_net_backend *kvmb_net_backend(const struct kvmb_net *n)
{
	return n->backend;
}

struct kvmb_net_backend *kvmb_net_shared_backend(struct kvmb_net *n)
{
	return n->backend;
}

/* A worker that waits for memory keeps its lock: then what was so when we last had it. */
void kvmb_net_get_info(struct kvmb_net *n, struct kvmb_net_info *i)
{
	unsigned int k;

	if (net_slot_try(&n->slots[0])) {
		net_look(n);
		net_slot_unlock(&n->slots[0]);
	}
	*i = n->told;
	i->index = n->spec.index;
	i->instance = instance_of(n);
	i->kind = n->backend->ops->kind;
	i->detail = n->backend->detail;
	i->num_queues = n->num_queues;
	i->vlan = n->spec.vlan;
	i->mac_spoof = n->spec.mac_spoof;
	i->rate = n->spec.rate;
	i->restarts = n->restarts;
	i->problem = n->backend->problem;
	i->link = __atomic_load_n(&n->link, __ATOMIC_RELAXED);
	i->connected = !__atomic_load_n(&n->backend_gone, __ATOMIC_ACQUIRE);
	i->offered = n->primary;
	i->emulated = !net_owns_backend(n);
	for (k = 0; k < n->num_queues; k++)
		i->open_queues += n->slots[k].q != NULL;
}

bool kvmb_net_queue_stats(struct kvmb_net *n, unsigned int queue, struct kvmb_net_stats *st)
{
	const u64 *from;
	u64 *to = (u64 *)(void *)st;
	size_t i;

	if (queue >= n->num_queues)
		return false;
	from = (const u64 *)(const void *)&n->slots[queue].stats;
	static_assert(offsetof(struct kvmb_net_stats, open) % sizeof(u64) == 0,
		      "counters come first");
	for (i = 0; i < offsetof(struct kvmb_net_stats, open) / sizeof(u64); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	st->open = __atomic_load_n(&n->slots[queue].stats.open, __ATOMIC_RELAXED);
	return true;
}

void kvmb_net_get_stats(struct kvmb_net *n, struct kvmb_net_stats *st)
{
	const size_t num = offsetof(struct kvmb_net_stats, open) / sizeof(u64);
	struct kvmb_net_stats one;
	unsigned int q;
	size_t i;

	memset(st, 0, sizeof(*st));
	for (q = 0; kvmb_net_queue_stats(n, q, &one); q++) {
		for (i = 0; i < num; i++)
			((u64 *)(void *)st)[i] += ((u64 *)(void *)&one)[i];
		st->open |= one.open;
	}
}
