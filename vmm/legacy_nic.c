// SPDX-License-Identifier: GPL-2.0-only
/* A legacy NIC's thread, and its backend. Theory: legacy_nic.h. */
#include "vmm/legacy_nic.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host-vsp/gm.h"
#include "host-vsp/net/net_offload.h"
#include "host-vsp/tuner.h"
#include "host-vsp/worker.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/pci.h"
#include "machine/dev/tulip.h"

#define RX_BUDGET 64u	    /* frames a turn */
#define RX_ROOM 2048u	    /* more than a frame may have */
#define RETRY_NS 5000000u   /* between two looks for a descriptor */
#define HOLD_NS 100000000u  /* for so long a frame waits for one */
#define DEAF_NS 1000000000u /* for so long frames wait for a backend that is full */
#define REVIVE_MIN_MS 1000u
#define REVIVE_MAX_MS 30000u
#define LIVED_MS 10000u /* a backend that ends earlier is begun more and more slowly */

enum { ON_KICK, ON_BACKEND };

struct legacy_nic {
	char name[16];
	u8 mac[6];
	bool mac_spoof;
	struct pci_bus *pci;
	struct tulip *tulip;
	struct kvmb_net_backend *b; /* the thread's; the main thread's while that stands */
	struct kvmb_loop *loop;
	struct kvmb_worker worker;
	int epoll_fd;
	bool kicked; /* atomic: the thread has a kick that it has not seen */

	/* pauses: the main thread writes wanted, the thread stands; under lock to sleep on it */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	u32 wanted;  /* atomic: pauses that have not ended */
	bool stands; /* lock */

	/* main thread */
	bool link;  /* as the user wants it */
	bool there; /* the backend is, as far as this thread knows */
	u32 restarts;
	u64 born_ms;
	u32 revive_ms; /* next pause before it is begun again */
	struct kvmb_work gone_work;
	struct kvmb_timer revive_timer;

	/* the thread's */
	bool gone;   /* atomic: the backend is; the main thread unsets it while the thread stands */
	int watched; /* descriptor in the epoll, -1 = none */
	u32 events;
	bool readable;	  /* the backend may have a frame */
	bool full;	  /* it takes nothing until it is writable */
	bool deaf;	  /* for so long now that frames are dropped */
	u64 deaf_ns;	  /* full: when it will be that */
	u8 held[RX_ROOM]; /* held[held_len]: waits for a descriptor */
	u32 held_len;	  /* 0 = none */
	u64 held_until, retry_ns;
	struct legacy_nic_stats stats; /* written by the thread alone, atomic */
};

static bool is_gone(const struct legacy_nic *n)
{
	return __atomic_load_n(&n->gone, __ATOMIC_ACQUIRE);
}

static void count_up(u64 *counter, u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* ---- what the device asks for; tulip.h says on which thread ---- */

static void dev_set_irq(void *arg, int level)
{
	struct legacy_nic *n = arg;

	pci_set_irq(n->pci, tulip_func(n->tulip), level);
}

static bool dev_may_master(void *arg)
{
	struct legacy_nic *n = arg;

	return pci_may_master(n->pci, tulip_func(n->tulip));
}

static void dev_kick(void *arg)
{
	struct legacy_nic *n = arg;

	if (!__atomic_exchange_n(&n->kicked, true, __ATOMIC_ACQ_REL))
		kvmb_worker_kick(&n->worker);
}

static u64 dev_now(void *arg)
{
	(void)arg;
	return kvmb_mono_ns();
}

/* ---- out ---- */

static void backend_lost(struct legacy_nic *n)
{
	if (!__atomic_exchange_n(&n->gone, true, __ATOMIC_ACQ_REL))
		kvmb_loop_post(n->loop, &n->gone_work);
}

static void note_full(struct legacy_nic *n, bool full)
{
	if (full && !n->full)
		n->deaf_ns = kvmb_mono_ns() + DEAF_NS;
	n->full = full;
}

static int hand_over(struct legacy_nic *n, const void *frame, size_t len)
{
	struct virtio_net_hdr vnet = { 0 };
	struct iovec iov[2] = { { 0 }, { (void *)frame, len } };
	int err = n->b->ops->send(n->b, 0, &vnet, iov, 2, len), later;

	later = n->b->ops->commit(n->b, 0); /* the frame is the device's again when we return */
	note_full(n, err == -EAGAIN || later == -EAGAIN);
	return later && later != -EAGAIN ? later : err;
}

static int dev_send(void *arg, const void *frame, size_t len)
{
	struct legacy_nic *n = arg;
	int err;

	if (!n->mac_spoof && memcmp((const u8 *)frame + 6, n->mac, 6)) {
		count_up(&n->stats.tx_spoofed, 1);
		return 0;
	}
	if (is_gone(n))
		err = -EPIPE;
	else if (n->full)
		err = n->deaf ? -ENOBUFS : -EAGAIN;
	else
		err = hand_over(n, frame, len);
	if (err == -EPIPE)
		backend_lost(n);
	if (!err) {
		count_up(&n->stats.tx_frames, 1);
		count_up(&n->stats.tx_bytes, len);
	} else if (err != -EAGAIN) {
		count_up(&n->stats.tx_dropped, 1);
	}
	return err;
}

/* ---- in ---- */

/* Make a frame one that is whole and has its checksum. Return: false: it cannot be. */
static bool make_plain(struct legacy_nic *n, const struct virtio_net_hdr *vnet, u32 len)
{
	struct iovec iov = { n->held, len };
	u32 info;

	return len <= TULIP_MAX_FRAME && vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE &&
	       !kvmb_offload_rx(vnet, &iov, 1, 0, len, false, &info);
}

/* Give the frame that is held to the device, or give up. Return: it is held no more. */
static bool deliver_held(struct legacy_nic *n)
{
	u64 now;

	if (!tulip_receive(n->tulip, n->held, n->held_len)) {
		count_up(&n->stats.rx_frames, 1);
		count_up(&n->stats.rx_bytes, n->held_len);
		n->held_len = 0;
		return true;
	}
	now = kvmb_mono_ns();
	if (!n->held_until)
		n->held_until = now + HOLD_NS;
	n->retry_ns = now + RETRY_NS;
	if (now < n->held_until)
		return false;
	tulip_missed(n->tulip);
	count_up(&n->stats.rx_missed, 1);
	n->held_len = 0;
	return true;
}

/* Return: 0: one was read; -errno of recv(). */
static int read_frame(struct legacy_nic *n)
{
	struct virtio_net_hdr vnet = { 0 };
	struct iovec iov[2] = { { 0 }, { n->held, sizeof(n->held) } };
	ssize_t len = n->b->ops->recv(n->b, 0, &vnet, iov, 2);

	if (len < 0 && len != -EMSGSIZE)
		return (int)len;
	if (len < 0 || !make_plain(n, &vnet, (u32)len)) {
		count_up(&n->stats.rx_dropped, 1);
		return 0;
	}
	n->held_len = (u32)len;
	n->held_until = 0;
	return 0;
}

/* Return: there may be more at once. */
static bool receive_some(struct legacy_nic *n)
{
	u32 i;
	int err;

	for (i = 0; i < RX_BUDGET; i++) {
		if (n->held_len && !deliver_held(n))
			return false;
		if (is_gone(n) || (!n->readable && !n->b->more))
			return false;
		err = read_frame(n);
		if (err && err != -EAGAIN)
			backend_lost(n);
		if (err)
			n->readable = false;
	}
	return true;
}

/* ---- the thread ---- */

static void watch_descriptor(struct legacy_nic *n)
{
	u32 events = (n->held_len ? 0 : (u32)EPOLLIN) | (n->full ? (u32)EPOLLOUT : 0);
	struct epoll_event ev = { .events = events, .data.u32 = ON_BACKEND };
	int fd = is_gone(n) ? -1 : n->b->fd[0];

	if (fd < 0)
		events = 0;
	if (n->watched >= 0 && (!events || n->watched != fd)) {
		epoll_ctl(n->epoll_fd, EPOLL_CTL_DEL, n->watched, NULL); /* it may be closed */
		n->watched = -1;
	}
	if (!events || (n->watched == fd && n->events == events))
		return;
	if (epoll_ctl(n->epoll_fd, n->watched < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev))
		backend_lost(n);
	n->watched = fd;
	n->events = events;
}

static void backend_says(struct legacy_nic *n, u32 events)
{
	int err;

	if (is_gone(n))
		return;
	if (events & EPOLLOUT && n->full) {
		err = n->b->ops->commit(n->b, 0);
		n->full = err == -EAGAIN;
		if (n->full)
			n->deaf_ns = kvmb_mono_ns() + DEAF_NS; /* it takes something */
		if (err && err != -EAGAIN)
			backend_lost(n);
	}
	if (events & EPOLLIN)
		n->readable = true;
	else if (events & (EPOLLHUP | EPOLLERR))
		backend_lost(n);
}

/* Until when there is nothing to do but wait; TULIP_NEVER. */
static u64 wait_until(const struct legacy_nic *n, u64 next)
{
	if (n->held_len)
		next = KVMB_MIN(next, n->retry_ns);
	if (n->full && !n->deaf)
		next = KVMB_MIN(next, n->deaf_ns);
	return next;
}

static void wait_for_events(struct legacy_nic *n, u64 until)
{
	u64 now = until && until != TULIP_NEVER ? kvmb_mono_ns() : 0;
	u64 ns = until > now ? until - now : 0, kicks;
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000),
			       .tv_nsec = (long)(ns % 1000000000) };
	struct epoll_event ev[2];
	int i, num;

	num = epoll_pwait2(n->epoll_fd, ev, ARRAY_SIZE(ev), until == TULIP_NEVER ? NULL : &ts,
			   NULL);
	for (i = 0; i < num; i++) {
		if (ev[i].data.u32 == ON_BACKEND)
			backend_says(n, ev[i].events);
		else if (read(n->worker.stop_fd, &kicks, sizeof(kicks)) >= 0)
			__atomic_store_n(&n->kicked, false, __ATOMIC_SEQ_CST);
	}
}

static void stand_still(struct legacy_nic *n)
{
	pthread_mutex_lock(&n->lock);
	n->stands = true;
	pthread_cond_broadcast(&n->changed);
	while (__atomic_load_n(&n->wanted, __ATOMIC_ACQUIRE))
		pthread_cond_wait(&n->changed, &n->lock);
	n->stands = false;
	pthread_mutex_unlock(&n->lock);
	if (n->full) /* it had no chance to say more */
		n->deaf_ns = kvmb_mono_ns() + DEAF_NS;
	n->held_until = 0;
}

static void legacy_run(void *arg)
{
	struct legacy_nic *n = arg;
	bool more;
	u64 next;

	while (!__atomic_load_n(&n->worker.stopping, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&n->wanted, __ATOMIC_ACQUIRE)) {
			stand_still(n);
			continue;
		}
		n->deaf = n->full && kvmb_mono_ns() >= n->deaf_ns;
		next = tulip_work(n->tulip);
		more = receive_some(n);
		watch_descriptor(n);
		wait_for_events(n, more ? 0 : wait_until(n, next));
	}
}

void legacy_nic_pause(struct legacy_nic *n)
{
	__atomic_fetch_add(&n->wanted, 1, __ATOMIC_ACQ_REL);
	kvmb_worker_kick(&n->worker);
	pthread_mutex_lock(&n->lock);
	while (n->worker.started && !n->stands)
		pthread_cond_wait(&n->changed, &n->lock);
	pthread_mutex_unlock(&n->lock);
}

void legacy_nic_resume(struct legacy_nic *n)
{
	pthread_mutex_lock(&n->lock);
	kvmb_assert(n->wanted);
	__atomic_fetch_sub(&n->wanted, 1, __ATOMIC_ACQ_REL);
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
}

/* ---- a backend that is gone; main thread ---- */

static void show_link(struct legacy_nic *n)
{
	tulip_set_link(n->tulip, n->link && n->there);
}

static void revive_backend_later(struct legacy_nic *n)
{
	kvmb_timer_set(&n->revive_timer, n->revive_ms);
	n->revive_ms = n->revive_ms ? KVMB_MIN(2 * n->revive_ms, REVIVE_MAX_MS) : REVIVE_MIN_MS;
}

static void backend_refused(struct legacy_nic *n)
{
	revive_backend_later(n);
	kvmb_warn_ratelimited(n->name, "the %s network cannot be restarted: %s; trying again",
			      n->b->ops->kind, n->b->problem);
}

static void backend_is_back(struct legacy_nic *n)
{
	n->there = true;
	n->restarts++;
	n->born_ms = kvmb_now_ms();
	show_link(n);
	kvmb_info(n->name, "the %s network is back", n->b->ops->kind);
}

static void revive_backend(void *arg)
{
	struct legacy_nic *n = arg;
	int err;

	legacy_nic_pause(n);
	err = n->b->ops->revive(n->b);
	if (!err) {
		n->full = n->readable = false;
		n->watched = -1; /* that one is closed, and so out of the epoll */
		__atomic_store_n(&n->gone, false, __ATOMIC_RELEASE);
	}
	legacy_nic_resume(n);
	if (!err)
		backend_is_back(n);
	else if (err != -EINPROGRESS)
		backend_refused(n);
}

static void on_backend_gone(void *arg)
{
	struct legacy_nic *n = arg;
	bool again = n->b->ops->revive;

	n->there = false;
	show_link(n);
	kvmb_warn_ratelimited(n->name, "the %s network%s%s is gone; %s", n->b->ops->kind,
			      n->b->problem[0] ? ": " : "", n->b->problem,
			      again ? "starting it again" : "the guest's link is down");
	if (!again)
		return;
	if (kvmb_now_ms() - n->born_ms >= LIVED_MS)
		n->revive_ms = 0;
	revive_backend_later(n);
}

static void on_backend_news(void *arg, enum kvmb_net_backend_news news)
{
	struct legacy_nic *n = arg;

	if (n->there && news == KVMB_BACKEND_ENDED) {
		__atomic_store_n(&n->gone, true, __ATOMIC_RELEASE);
		kvmb_loop_unpost(n->loop, &n->gone_work); /* the thread may have noticed, too */
		on_backend_gone(n);
	} else if (!n->there && news == KVMB_BACKEND_REFUSED) {
		backend_refused(n);
	} else if (!n->there && !n->revive_timer.due_ms) {
		revive_backend(n);
	}
}

/* ---- life; main thread ---- */

static struct tulip *make_tulip(struct legacy_nic *n, const struct legacy_nic_spec *spec)
{
	const struct tulip_ops ops = { .set_irq = dev_set_irq,
				       .may_master = dev_may_master,
				       .send = dev_send,
				       .kick = dev_kick,
				       .room = dev_kick,
				       .now = dev_now,
				       .arg = n };
	struct tulip_spec dev = { .slot = spec->slot,
				  .number = spec->number,
				  .index = spec->index,
				  .rom = spec->rom,
				  .rom_len = spec->rom_len,
				  .gm = spec->gm };

	memcpy(dev.mac, spec->mac, sizeof(dev.mac));
	return tulip_create(&dev, &ops);
}

struct legacy_nic *legacy_nic_create(const struct legacy_nic_spec *spec,
				     struct kvmb_net_backend *backend, struct kvmb_loop *loop)
{
	struct legacy_nic *n = kvmb_xzalloc(sizeof(*n));

	snprintf(n->name, sizeof(n->name), "legacy%u", spec->index);
	memcpy(n->mac, spec->mac, sizeof(n->mac));
	n->mac_spoof = spec->mac_spoof;
	n->pci = spec->pci;
	n->b = backend;
	n->loop = loop;
	n->epoll_fd = n->worker.stop_fd = n->watched = -1;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->changed, NULL);
	n->link = n->there = true;
	n->born_ms = kvmb_now_ms();
	kvmb_work_init(&n->gone_work, on_backend_gone, n);
	kvmb_timer_init(&n->revive_timer, loop, revive_backend, n);
	n->kicked = true; /* nobody is there to be kicked */
	n->tulip = make_tulip(n, spec);
	pci_add(n->pci, tulip_func(n->tulip));
	if (backend->ops->set_offload)
		backend->ops->set_offload(backend, false, false, false);
	if (backend->ops->attach)
		backend->ops->attach(backend, on_backend_news, n);
	return n;
}

int legacy_nic_start(struct legacy_nic *n)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = ON_KICK };
	int err = kvmb_worker_init(&n->worker);

	if (err)
		return err;
	n->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (n->epoll_fd < 0 || epoll_ctl(n->epoll_fd, EPOLL_CTL_ADD, n->worker.stop_fd, &ev))
		return -errno;
	__atomic_store_n(&n->kicked, false, __ATOMIC_SEQ_CST);
	return kvmb_worker_start(&n->worker, KVMB_THREAD_NET, n->name, legacy_run, n);
}

static void end_legacy_thread(struct legacy_nic *n)
{
	if (n->worker.stop_fd < 0)
		return;
	kvmb_worker_stop(&n->worker);
	pthread_mutex_lock(&n->lock);
	__atomic_store_n(&n->wanted, 0, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->lock);
	kvmb_worker_join(&n->worker);
	kvmb_worker_fini(&n->worker);
	if (n->epoll_fd >= 0)
		close(n->epoll_fd);
}

void legacy_nic_destroy(struct legacy_nic *n)
{
	if (!n)
		return;
	end_legacy_thread(n);
	kvmb_loop_unpost(n->loop, &n->gone_work);
	kvmb_timer_cancel(&n->revive_timer);
	n->b->ops->destroy(n->b);
	tulip_destroy(n->tulip);
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void legacy_nic_reset(struct legacy_nic *n)
{
	tulip_reset(n->tulip);
}

void legacy_nic_set_link(struct legacy_nic *n, bool up)
{
	n->link = up;
	show_link(n);
}

/* ---- saved VMs ---- */

/* Fields of the NIC. Numbers are never used again. */
enum {
	LEGACY_LINK = 1,  /* as the user wants it */
	LEGACY_TULIP = 2, /* group: tulip_state.c */
};

void legacy_nic_save(struct legacy_nic *n, struct kvmb_tlv_out *o)
{
	kvmb_tlv_put(o, LEGACY_LINK, n->link);
	kvmb_tlv_group(o, LEGACY_TULIP);
	tulip_save(n->tulip, o);
	kvmb_tlv_group_end(o);
}

int legacy_nic_load(struct legacy_nic *n, struct kvmb_tlv *group)
{
	bool link = kvmb_tlv_get(group, LEGACY_LINK, 1);
	struct kvmb_tlv dev;
	size_t pos = 0;
	int err;

	if (!kvmb_tlv_each(group, LEGACY_TULIP, &pos, &dev))
		kvmb_tlv_refuse(group, LEGACY_TULIP, "missing");
	err = kvmb_tlv_done(group);
	if (!err)
		err = tulip_load(n->tulip, &dev);
	if (!err)
		legacy_nic_set_link(n, link);
	return err;
}

void legacy_nic_loaded(struct legacy_nic *n)
{
	tulip_loaded(n->tulip);
}

/* ---- for info and stats ---- */

void legacy_nic_get_stats(const struct legacy_nic *n, struct legacy_nic_stats *s)
{
	const u64 *from = (const u64 *)(const void *)&n->stats;
	u64 *to = (u64 *)(void *)s;
	size_t i;

	for (i = 0; i < sizeof(*s) / sizeof(u64); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void legacy_nic_get_info(const struct legacy_nic *n, struct legacy_nic_info *i)
{
	*i = (struct legacy_nic_info){ .kind = n->b->ops->kind,
				       .detail = n->b->detail,
				       .problem = n->b->problem,
				       .link = n->link,
				       .connected = !is_gone(n),
				       .restarts = n->restarts };
	memcpy(i->mac, n->mac, sizeof(i->mac));
}
