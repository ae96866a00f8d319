// SPDX-License-Identifier: GPL-2.0-only
/* A legacy NIC's thread, and its backend. Theory: legacy_nic.h. */
#include "vmm/legacy_nic.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backend/throttle.h"
#include "host-vsp/gm.h"
#include "host-vsp/net/net_offload.h"
#include "host-vsp/tuner.h"
#include "host-vsp/worker.h"
#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/pci.h"
#include "machine/dev/tulip.h"

#define RX_BUDGET 64u	    /* frames a turn */
#define RX_ROOM 2048u	    /* more than a frame may have */
#define RETRY_NS 5000000u   /* between two looks for a descriptor */
#define HOLD_NS 100000000u  /* for so long a frame waits for one */
#define DEAF_NS 1000000000u /* for so long frames wait for a backend that is full */
#define ADDRESSES 12u	    /* bytes in front of a tag */
#define TAG 4u

enum { ON_KICK, ON_BACKEND };

struct legacy_nic {
	char name[16];
	u8 mac[6];
	bool mac_spoof;
	u16 vlan;
	struct pci_bus *pci;
	struct tulip *tulip;
	void (*lost)(void *arg);
	void *arg;
	struct kvmb_worker worker;
	int epoll_fd;
	bool kicked; /* atomic: the thread has a kick that it has not seen */

	/* pauses: the main thread writes wanted, the thread stands; under lock to sleep on it */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	u32 wanted;  /* atomic: pauses that have not ended */
	bool stands; /* lock */

	/* the backend: with its lock, which is held around each call of it, and never for long */
	pthread_mutex_t backend_lock;
	struct kvmb_net_backend *b;
	bool has;      /* it is ours: legacy_nic_use() */
	bool link;     /* as the user wants it */
	u32 uses;      /* rises with each use: what the epoll told before is of another one */
	int watched;   /* descriptor in the epoll, -1 = none */
	u32 events;    /* that are watched there */
	bool readable; /* it may have a frame */
	bool full;     /* it takes nothing until it is writable */
	u64 deaf_ns;   /* full: when frames are dropped from on */

	/* the thread's */
	bool deaf;	  /* for so long now that frames are dropped */
	u8 held[RX_ROOM]; /* held[held_len]: waits for a descriptor */
	u32 held_len;	  /* 0 = none */
	u64 held_until, retry_ns;
	struct kvmb_throttle tx_rate, rx_rate;
	u64 tx_ns, rx_ns;	       /* when frames may move again, 0 = now */
	struct legacy_nic_stats stats; /* written by the thread alone, atomic */
};

static void count_up(u64 *counter, u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void lock_backend(struct legacy_nic *n)
{
	pthread_mutex_lock(&n->backend_lock);
	kvmb_assert(!n->has || kvmb_net_path(n->b) == KVMB_NET_EMULATED);
}

static void unlock_backend(struct legacy_nic *n)
{
	pthread_mutex_unlock(&n->backend_lock);
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

/* ---- whose the backend is; with its lock ---- */

static void show_link(struct legacy_nic *n)
{
	tulip_set_link(n->tulip, n->link && n->has);
}

static void unwatch(struct legacy_nic *n)
{
	if (n->watched >= 0)
		epoll_ctl(n->epoll_fd, EPOLL_CTL_DEL, n->watched, NULL);
	n->watched = -1;
}

static void drop_backend(struct legacy_nic *n)
{
	unwatch(n);
	n->has = n->readable = n->full = false;
	show_link(n);
}

static void backend_lost(struct legacy_nic *n)
{
	drop_backend(n);
	n->lost(n->arg);
}

void legacy_nic_use(struct legacy_nic *n)
{
	lock_backend(n);
	if (!n->has) {
		n->uses++;
		n->has = true;
		kvmb_assert(kvmb_net_path(n->b) == KVMB_NET_EMULATED);
		show_link(n);
	}
	unlock_backend(n);
}

void legacy_nic_let_go(struct legacy_nic *n)
{
	lock_backend(n);
	drop_backend(n);
	unlock_backend(n);
}

void legacy_nic_set_link(struct legacy_nic *n, bool up)
{
	lock_backend(n);
	n->link = up;
	show_link(n);
	unlock_backend(n);
}

/* ---- out ---- */

static void note_full(struct legacy_nic *n, bool full)
{
	if (full && !n->full)
		n->deaf_ns = kvmb_mono_ns() + DEAF_NS;
	n->full = full;
}

/* On an access VLAN with its tag. */
static int hand_over(struct legacy_nic *n, const u8 *frame, size_t len)
{
	u8 tag[TAG] = { 0x81, 0, (u8)(n->vlan >> 8), (u8)n->vlan };
	size_t front = n->vlan ? ADDRESSES : len, tag_len = n->vlan ? TAG : 0;
	struct virtio_net_hdr vnet = { 0 };
	struct iovec iov[4] = { { 0 },
				{ (void *)frame, front },
				{ tag, tag_len },
				{ (void *)(frame + front), len - front } };
	int err, later;

	err = n->b->ops->send(n->b, 0, &vnet, iov, n->vlan ? 4 : 2, len + tag_len);
	later = n->b->ops->commit(n->b, 0); /* the frame is the device's again when we return */
	note_full(n, err == -EAGAIN || later == -EAGAIN);
	err = later && later != -EAGAIN ? later : err;
	if (err == -EPIPE)
		backend_lost(n);
	return err;
}

static bool is_tagged(const u8 *frame)
{
	return frame[ADDRESSES] == 0x81 && !frame[ADDRESSES + 1];
}

static int send_checked(struct legacy_nic *n, const u8 *frame, size_t len)
{
	int err = -EPIPE;

	lock_backend(n);
	if (n->has && n->full)
		err = n->deaf ? -ENOBUFS : -EAGAIN;
	else if (n->has)
		err = hand_over(n, frame, len);
	unlock_backend(n);
	return err;
}

static void pay(struct kvmb_throttle *t, size_t len, u64 *again_ns)
{
	u64 now, wait;

	if (!kvmb_throttle_on(t))
		return;
	now = kvmb_mono_ns();
	wait = kvmb_throttle_take(t, len, now);
	*again_ns = wait ? now + wait : 0;
}

static int dev_send(void *arg, const void *frame, size_t len)
{
	struct legacy_nic *n = arg;
	int err;

	if (n->tx_ns)
		return -EAGAIN;
	if (!n->mac_spoof && memcmp((const u8 *)frame + 6, n->mac, 6)) {
		count_up(&n->stats.tx_spoofed, 1);
		return 0;
	}
	err = n->vlan && is_tagged(frame) ? -EPERM : send_checked(n, frame, len);
	if (!err) {
		count_up(&n->stats.tx_frames, 1);
		count_up(&n->stats.tx_bytes, len);
		pay(&n->tx_rate, len, &n->tx_ns);
	} else if (err != -EAGAIN) {
		count_up(&n->stats.tx_dropped, 1);
	}
	return err;
}

void legacy_nic_announce(struct legacy_nic *n, const void *frame, size_t len)
{
	lock_backend(n);
	if (n->has && n->link && !n->full)
		hand_over(n, frame, len);
	unlock_backend(n);
}

/* ---- in ---- */

/* Take the tag of an access VLAN out. Return: false: the frame is of another one. */
static bool untag(struct legacy_nic *n, u32 *len)
{
	u16 vid = (u16)((n->held[ADDRESSES + 2] << 8 | n->held[ADDRESSES + 3]) & 0xfff);

	if (!n->vlan)
		return true;
	if (*len < ADDRESSES + TAG || !is_tagged(n->held) || vid != n->vlan)
		return false;
	*len -= TAG;
	memmove(n->held + ADDRESSES, n->held + ADDRESSES + TAG, *len - ADDRESSES);
	return true;
}

/* Make a frame one that is whole and has its checksum. Return: false: it cannot be. */
static bool make_plain(struct legacy_nic *n, const struct virtio_net_hdr *vnet, u32 *len)
{
	struct iovec iov = { n->held, *len };
	u32 info;

	return vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE &&
	       !kvmb_offload_rx(vnet, &iov, 1, 0, *len, false, &info) && untag(n, len) &&
	       *len <= TULIP_MAX_FRAME;
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

/* With the backend's lock. Return: bytes in @n->held; 0: it is dropped; -EAGAIN. */
static ssize_t read_locked(struct legacy_nic *n, struct virtio_net_hdr *vnet)
{
	struct iovec iov[2] = { { 0 }, { n->held, sizeof(n->held) } };
	ssize_t len;

	if (!n->has || (!n->readable && !n->b->more))
		return -EAGAIN;
	len = n->b->ops->recv(n->b, 0, vnet, iov, 2);
	if (len >= 0 || len == -EMSGSIZE)
		return KVMB_MAX(len, 0);
	n->readable = false;
	if (len != -EAGAIN)
		backend_lost(n);
	return -EAGAIN;
}

/* Return: false: there is none. */
static bool read_frame(struct legacy_nic *n)
{
	struct virtio_net_hdr vnet = { 0 };
	ssize_t got;
	u32 len;

	lock_backend(n);
	got = read_locked(n, &vnet);
	unlock_backend(n);
	if (got < 0)
		return false;
	len = (u32)got;
	if (!len || !make_plain(n, &vnet, &len)) {
		count_up(&n->stats.rx_dropped, 1);
		return true;
	}
	n->held_len = len;
	n->held_until = 0;
	pay(&n->rx_rate, len, &n->rx_ns);
	return true;
}

/* Return: there may be more at once. */
static bool receive_some(struct legacy_nic *n)
{
	u32 i;

	for (i = 0; i < RX_BUDGET; i++) {
		if (n->held_len && !deliver_held(n))
			return false;
		if (n->rx_ns || !read_frame(n))
			return false;
	}
	return true;
}

/* ---- the thread ---- */

/* Return: false: it cannot be watched. */
static bool watch_for(struct legacy_nic *n, u32 events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (u64)n->uses << 8 | ON_BACKEND };
	int fd = n->b->fd[0], op = n->watched < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (fd < 0 || !events) {
		unwatch(n);
		return true;
	}
	if (n->watched == fd && n->events == events)
		return true;
	n->watched = fd;
	n->events = events;
	return !epoll_ctl(n->epoll_fd, op, fd, &ev);
}

static void watch_descriptor(struct legacy_nic *n)
{
	u32 events;

	lock_backend(n);
	events = (n->held_len || n->rx_ns ? 0 : (u32)EPOLLIN) | (n->full ? (u32)EPOLLOUT : 0);
	if (n->has && !watch_for(n, events))
		backend_lost(n);
	unlock_backend(n);
}

static void is_writable(struct legacy_nic *n)
{
	int err = n->b->ops->commit(n->b, 0);

	n->full = err == -EAGAIN;
	if (n->full)
		n->deaf_ns = kvmb_mono_ns() + DEAF_NS; /* it takes something */
	if (err && err != -EAGAIN)
		backend_lost(n);
}

static void backend_says(struct legacy_nic *n, const struct epoll_event *ev)
{
	lock_backend(n);
	if (n->has && ev->data.u64 >> 8 == n->uses) {
		if (ev->events & EPOLLOUT && n->full)
			is_writable(n);
		if (ev->events & EPOLLIN)
			n->readable = true;
		else if (ev->events & (EPOLLHUP | EPOLLERR) && n->has)
			backend_lost(n);
	}
	unlock_backend(n);
}

/* Until when there is nothing to do but wait; TULIP_NEVER. */
static u64 wait_until(struct legacy_nic *n, u64 next)
{
	if (n->held_len)
		next = KVMB_MIN(next, n->retry_ns);
	if (n->tx_ns)
		next = KVMB_MIN(next, n->tx_ns);
	if (n->rx_ns)
		next = KVMB_MIN(next, n->rx_ns);
	lock_backend(n);
	if (n->full && !n->deaf)
		next = KVMB_MIN(next, n->deaf_ns);
	unlock_backend(n);
	return next;
}

static void wait_for_events(struct legacy_nic *n, u64 until)
{
	u64 now = until && until != TULIP_NEVER ? kvmb_mono_ns() : 0;
	s64 ns = until == TULIP_NEVER ? -1 : until > now ? (s64)(until - now) : 0;
	struct epoll_event ev[2];
	int i, num;
	u64 kicks;

	num = kvmb_worker_wait(n->epoll_fd, ev, ARRAY_SIZE(ev), ns);
	for (i = 0; i < num; i++) {
		if ((ev[i].data.u64 & 0xff) == ON_BACKEND)
			backend_says(n, &ev[i]);
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
	lock_backend(n);
	if (n->full) /* it had no chance to say more */
		n->deaf_ns = kvmb_mono_ns() + DEAF_NS;
	unlock_backend(n);
	n->held_until = 0;
}

/* What waits for a while is over? */
static void look_at_the_clock(struct legacy_nic *n)
{
	bool full;
	u64 deaf_ns, now;

	lock_backend(n);
	full = n->full;
	deaf_ns = n->deaf_ns;
	unlock_backend(n);
	n->deaf = false;
	if (!full && !n->tx_ns && !n->rx_ns)
		return;
	now = kvmb_mono_ns();
	n->deaf = full && now >= deaf_ns;
	if (now >= n->tx_ns)
		n->tx_ns = 0;
	if (now >= n->rx_ns)
		n->rx_ns = 0;
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
		look_at_the_clock(n);
		next = tulip_work(n->tulip);
		more = receive_some(n);
		watch_descriptor(n);
		wait_for_events(n, more ? 0 : wait_until(n, next));
	}
}

void legacy_nic_ask(struct legacy_nic *n)
{
	__atomic_fetch_add(&n->wanted, 1, __ATOMIC_ACQ_REL);
	kvmb_worker_kick(&n->worker);
}

bool legacy_nic_stands(struct legacy_nic *n)
{
	bool stands;

	pthread_mutex_lock(&n->lock);
	stands = !n->worker.started || n->stands;
	pthread_mutex_unlock(&n->lock);
	return stands;
}

void legacy_nic_pause(struct legacy_nic *n)
{
	legacy_nic_ask(n);
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

struct legacy_nic *legacy_nic_create(const struct legacy_nic_spec *spec)
{
	struct legacy_nic *n = kvmb_xzalloc(sizeof(*n));

	snprintf(n->name, sizeof(n->name), "legacy%u", spec->index);
	memcpy(n->mac, spec->mac, sizeof(n->mac));
	n->mac_spoof = spec->mac_spoof;
	n->vlan = spec->vlan;
	n->tx_rate.bps = n->rx_rate.bps = spec->rate;
	n->pci = spec->pci;
	n->b = spec->backend;
	n->lost = spec->lost;
	n->arg = spec->arg;
	n->epoll_fd = n->worker.stop_fd = n->watched = -1;
	pthread_mutex_init(&n->lock, NULL);
	pthread_mutex_init(&n->backend_lock, NULL);
	pthread_cond_init(&n->changed, NULL);
	n->link = true;
	n->kicked = true; /* nobody is there to be kicked */
	n->tulip = make_tulip(n, spec);
	pci_add(n->pci, tulip_func(n->tulip));
	return n;
}

int legacy_nic_start(struct legacy_nic *n)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = ON_KICK };
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
	tulip_destroy(n->tulip);
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->backend_lock);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void legacy_nic_reset(struct legacy_nic *n)
{
	tulip_reset(n->tulip);
}

/* ---- saved VMs ---- */

/* Fields of the NIC. Numbers are never used again. */
enum {
	LEGACY_LINK = 1,  /* as the user wants it */
	LEGACY_TULIP = 2, /* group: tulip_state.c */
	LEGACY_ROM = 3,	  /* bytes; missing: it has none */
};

void legacy_nic_save(struct legacy_nic *n, struct kvmb_tlv_out *o)
{
	u32 len;
	const void *rom = tulip_rom(n->tulip, &len);

	kvmb_tlv_put(o, LEGACY_LINK, n->link);
	if (rom)
		kvmb_tlv_put_bytes(o, LEGACY_ROM, rom, len);
	kvmb_tlv_group(o, LEGACY_TULIP);
	tulip_save(n->tulip, o);
	kvmb_tlv_group_end(o);
}

/* What firmware finds there when the guest resets belongs to what the VM has in fw_cfg. */
static const void *load_rom(struct legacy_nic *n, struct kvmb_tlv *group)
{
	const void *bytes, *here;
	size_t len;
	u32 len_here;

	if (!kvmb_tlv_has(group, LEGACY_ROM))
		return NULL;
	bytes = kvmb_tlv_get_bytes(group, LEGACY_ROM, &len);
	here = tulip_rom(n->tulip, &len_here);
	if (!here || len != len_here)
		kvmb_tlv_refuse(group, LEGACY_ROM, "here it has none of this size");
	return bytes;
}

int legacy_nic_load(struct legacy_nic *n, struct kvmb_tlv *group)
{
	bool link = kvmb_tlv_get(group, LEGACY_LINK, 1);
	const void *rom = load_rom(n, group);
	struct kvmb_tlv dev;
	size_t pos = 0;
	int err;

	if (!kvmb_tlv_each(group, LEGACY_TULIP, &pos, &dev))
		kvmb_tlv_refuse(group, LEGACY_TULIP, "missing");
	err = kvmb_tlv_done(group);
	if (!err)
		err = tulip_load(n->tulip, &dev);
	if (err)
		return err;
	if (rom)
		tulip_set_rom(n->tulip, rom);
	if (n->b->ops->revive) /* another passt: as if the cable had been out for a moment */
		tulip_set_link(n->tulip, false);
	legacy_nic_set_link(n, link);
	return 0;
}

void legacy_nic_loaded(struct legacy_nic *n)
{
	tulip_loaded(n->tulip);
}

/* ---- for stats ---- */

void legacy_nic_get_stats(const struct legacy_nic *n, struct legacy_nic_stats *s)
{
	const u64 *from = (const u64 *)(const void *)&n->stats;
	u64 *to = (u64 *)(void *)s;
	size_t i;

	for (i = 0; i < sizeof(*s) / sizeof(u64); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
