// SPDX-License-Identifier: GPL-2.0-only
/* Disks behind an NBD server: the operations, and the disk's thread. Theory: disk_nbd_priv.h. */
#include "backend/block/disk_nbd_priv.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/thread.h"
#include "lib/util.h"

#define STALL_S 30u

static const char *const health_names[] = { "restarting", "ok", "restarting", "failed", "moving" };
static_assert(ARRAY_SIZE(health_names) == NBD_NUM, "one word a state");

void nbdisk_kick(struct nbd_disk *n)
{
	u64 one = 1;

	if (write(n->kick_fd, &one, sizeof(one)) < 0)
		return; /* counter full: already readable */
}

/* ---- the thread ---- */

static void report_resized(struct nbd_disk *n, int err, const char *why)
{
	pthread_mutex_lock(&n->lock);
	n->resize_wanted = false;
	n->resize_done = true;
	n->resize_err = err;
	snprintf(n->why, sizeof(n->why), "%s", why);
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
}

static void do_resize(struct nbd_disk *n)
{
	char why[KVMB_DISK_WHY] = "";
	int err = 0;

	n->same_server = n->qsd;
	nbdisk_disconnect(n);
	nbdisk_set_state(n, NBD_STARTING);
	if (n->qsd)
		err = kvmb_qsd_resize(n->qsd, n->resize_bytes, why, sizeof(why));
	nbdisk_start(n);
	report_resized(n, err, why);
}

static void hung_up(struct nbd_disk *n)
{
	nbdisk_went_down(n, n->qsd ? "its storage daemon hung up" : "its server hung up", NBD_DIED);
}

/* How long poll() may sleep. */
static int patience(const struct nbd_disk *n, u64 now)
{
	u64 at = n->retry_at_ms;

	if (n->state == NBD_STARTING)
		return 0;
	if (n->state == NBD_GONE)
		return -1;
	if (n->state == NBD_UP) {
		at = n->sent ? n->progress_ms + n->stall_ms : now + 60000;
		if (n->sent &&
		    (at <= now || at > now + 1000)) /* nbdisk_is_stalled() has other clocks, too */
			at = now + 1000;
		if (n->aborting)
			at = KVMB_MIN(at, n->abort_by_ms);
		if (n->flush_at_ms > now)
			at = KVMB_MIN(at, n->flush_at_ms);
	}
	return at > now ? (int)(at - now) : 0;
}

static void wait_for_news(struct nbd_disk *n)
{
	struct pollfd p[3] = { { .fd = n->kick_fd, .events = POLLIN }, { .fd = -1 }, { .fd = -1 } };
	unsigned int dir = 0;
	u64 k, now = kvmb_now_ms();

	if (n->h) {
		dir = (unsigned int)libnbd.aio_get_direction(n->h);
		p[1].fd = libnbd.aio_get_fd(n->h);
		p[1].events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				      (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
	}
	if (n->state == NBD_UP && n->qsd)
		p[2] = (struct pollfd){ .fd = kvmb_qsd_channel(n->qsd), .events = POLLIN };
	poll(p, 3, patience(n, now));
	if (p[0].revents && read(n->kick_fd, &k, sizeof(k)) < 0)
		k = 0;
	if (!n->h || n->state != NBD_UP)
		return;
	if (p[1].revents & POLLIN)
		libnbd.aio_notify_read(n->h);
	else if (p[1].revents & POLLOUT)
		libnbd.aio_notify_write(n->h);
	else if (p[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		n->lost = true;
	if (libnbd.aio_is_dead(n->h) || libnbd.aio_is_closed(n->h))
		n->lost = true;
	if (p[2].revents && kvmb_qsd_has_ended(n->qsd))
		nbdisk_went_down(n, "its storage daemon ended", NBD_DIED);
	else if (n->lost)
		hung_up(n);
	else if (nbdisk_is_stalled(n, kvmb_now_ms()))
		nbdisk_went_down(n, n->qsd ? "its storage daemon stalled" : "its server stalled",
				 NBD_STALLED);
}

static void *thread_main(void *arg)
{
	struct nbd_disk *n = arg;
	bool quit = false, resize, retry;

	kvmb_thread_enter(KVMB_THREAD_DISK, "disk");
	if (n->state == NBD_GONE)
		nbdisk_prepare(n);
	else
		nbdisk_start(n);
	while (!quit) {
		pthread_mutex_lock(&n->lock);
		quit = n->quit;
		resize = n->resize_wanted;
		retry = n->retry;
		n->retry = false;
		pthread_mutex_unlock(&n->lock);
		nbdisk_serve_cancels(n);
		if (retry)
			nbdisk_forgive(n);
		if (n->state == NBD_FAILED && retry)
			nbdisk_set_state(n, NBD_STARTING);
		if (n->state == NBD_WAITING && (retry || kvmb_now_ms() >= n->retry_at_ms))
			nbdisk_set_state(n, NBD_STARTING);
		if (!quit && (n->state == NBD_STARTING ||
			      (n->state == NBD_FAILED && kvmb_now_ms() >= n->retry_at_ms)))
			nbdisk_start(n);
		nbdisk_take_submits(n);
		nbdisk_move(n);
		if (n->state == NBD_FAILED && resize)
			report_resized(n, -EIO, "its server is gone");
		else if (n->state == NBD_GONE && resize)
			report_resized(n, -EBUSY, "it is moving");
		else if (n->state == NBD_UP && resize && !n->sent)
			do_resize(n);
		else if (n->state == NBD_UP && !resize)
			nbdisk_pump(n);
		if (n->state == NBD_UP && n->lost)
			hung_up(n);
		else if (!quit)
			wait_for_news(n);
		nbdisk_trim(n);
	}
	return NULL;
}

/* ---- what the disk offers ---- */

static void nbd_submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	struct nbd_disk *n = d->priv;
	bool first;

	r->next = NULL;
	r->cancelled = false;
	pthread_mutex_lock(&n->lock);
	first = !n->submits;
	*n->submits_tail = r;
	n->submits_tail = &r->next;
	pthread_mutex_unlock(&n->lock);
	if (first)
		nbdisk_kick(n);
}

static void nbd_cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	struct nbd_disk *n = d->priv;

	pthread_mutex_lock(&n->lock);
	__atomic_store_n(&r->cancelled, true, __ATOMIC_RELEASE);
	n->any_cancel = true;
	pthread_mutex_unlock(&n->lock);
	nbdisk_kick(n);
}

static void nbd_retry(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	pthread_mutex_lock(&n->lock);
	n->retry = true;
	pthread_mutex_unlock(&n->lock);
	nbdisk_kick(n);
}

static int nbd_resize(struct kvmb_disk *d, u64 bytes, char *why, size_t size)
{
	struct nbd_disk *n = d->priv;
	u64 old = kvmb_disk_bytes(d);
	int err;

	if (bytes && !n->qsd) {
		snprintf(why, size, "the NBD server decides the size; do not give one");
		return -EINVAL;
	}
	if (!bytes && n->qsd)
		return 0; /* an image in our own daemon changes by us alone */
	if (bytes && bytes < old) {
		snprintf(why, size, "it has %llu bytes; shrinking would destroy data",
			 (unsigned long long)old);
		return -EINVAL;
	}
	pthread_mutex_lock(&n->lock);
	n->resize_bytes = bytes;
	n->resize_done = false;
	n->resize_wanted = true;
	nbdisk_kick(n);
	while (!n->resize_done && !n->quit)
		pthread_cond_wait(&n->cond, &n->lock);
	err = n->resize_done ? n->resize_err : -ECANCELED;
	snprintf(why, size, "%s", n->why);
	pthread_mutex_unlock(&n->lock);
	return err;
}

static const char *nbd_health(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;
	int state = __atomic_load_n(&n->state, __ATOMIC_ACQUIRE);
	u32 fruitless = __atomic_load_n(&n->fruitless, __ATOMIC_RELAXED);
	u64 up_ms = __atomic_load_n(&n->up_ms, __ATOMIC_RELAXED);

	/*
	 * a connection alone says nothing of a server whose last ones all ended without an answer
	 */
	if (state == NBD_UP && fruitless > NBD_DIED && kvmb_now_ms() - up_ms < NBD_STEADY_MS)
		state = fruitless < NBD_GIVE_UP_ENDS ? NBD_WAITING : NBD_FAILED;
	return health_names[state];
}

static u32 nbd_restarts(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	return __atomic_load_n(&n->restarts, __ATOMIC_RELAXED);
}

static void close_channel(int channel)
{
	if (channel > 0)
		close(channel);
}

static void nbd_disk_close(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	pthread_mutex_lock(&n->lock);
	n->quit = true;
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
	nbdisk_kick(n);
	pthread_join(n->thread, NULL);
	if (n->h)
		libnbd.aio_disconnect(n->h, 0); /* polite; nobody waits for it */
	nbdisk_disconnect(n);
	nbdisk_drop_all(n);
	kvmb_qsd_destroy(n->qsd);
	close_channel(n->channel);
	close(n->kick_fd);
	pthread_mutex_destroy(&n->lock);
	pthread_cond_destroy(&n->cond);
	free(n);
	d->priv = NULL;
}

static const struct kvmb_disk_ops nbd_ops = {
	.submit = nbd_submit,
	.cancel = nbd_cancel,
	.retry = nbd_retry,
	.resize = nbd_resize,
	.health = nbd_health,
	.restarts = nbd_restarts,
	.let_go = nbdisk_let_go,
	.gone = nbdisk_gone,
	.fetch_back = nbdisk_fetch_back,
	.fetch = nbdisk_fetch,
	.close = nbd_disk_close,
};

int kvmb_nbd_open(struct kvmb_disk *d, const struct kvmb_disk_spec *spec, struct kvmb_qsd *qsd,
		  int channel, char *why, size_t size)
{
	int err = kvmb_libnbd_load(why, size);
	const char *base = strrchr(d->path, '/');
	struct nbd_disk *n;

	if (err) {
		kvmb_qsd_destroy(qsd);
		close_channel(channel);
		return err;
	}
	n = kvmb_xzalloc(sizeof(*n));
	n->channel = channel;
	n->d = d;
	n->submits_tail = &n->submits;
	n->waiting_tail = &n->waiting;
	n->stall_ms = 1000 * (spec->timeout_s ? spec->timeout_s : STALL_S);
	snprintf(n->who, sizeof(n->who), "disk %.50s", base && base[1] ? base + 1 : d->path);
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->cond, NULL);
	n->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->qsd = qsd;
	d->priv = n;
	if (d->away) {
		n->state = NBD_GONE;
		n->let_go = n->gone = true;
	}
	err = n->kick_fd < 0 ? -errno : -pthread_create(&n->thread, NULL, thread_main, n);
	if (err) {
		snprintf(why, size, "cannot start a thread for it: %s", strerror(-err));
		kvmb_qsd_destroy(n->qsd);
		close_channel(channel);
		free(n);
		d->priv = NULL;
		return err;
	}
	d->ops = &nbd_ops;
	pthread_mutex_lock(&n->lock);
	while (!n->opened)
		pthread_cond_wait(&n->cond, &n->lock);
	err = n->open_err;
	snprintf(why, size, "%s", n->why);
	pthread_mutex_unlock(&n->lock);
	return err; /* the caller closes a disk that did not open */
}
