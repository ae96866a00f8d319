// SPDX-License-Identifier: GPL-2.0-only
/* The connection to an NBD server, and our storage daemon. Theory: disk_nbd_priv.h. */
#include "backend/block/disk_nbd_priv.h"

#include <poll.h>
#include <unistd.h>

#include "backend/block/nbd_uri.h"
#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define CONNECT_MS 10000u
#define BACKOFF_MAX_MS 2000u

static const u8 moves[NBD_NUM] = {
	[NBD_STARTING] = 1 << NBD_UP | 1 << NBD_WAITING | 1 << NBD_FAILED | 1 << NBD_GONE,
	[NBD_UP] = 1 << NBD_STARTING | 1 << NBD_WAITING | 1 << NBD_FAILED | 1 << NBD_GONE,
	[NBD_WAITING] = 1 << NBD_STARTING,
	[NBD_FAILED] = 1 << NBD_STARTING | 1 << NBD_UP,
	[NBD_GONE] = 1 << NBD_STARTING,
};

void nbdisk_set_state(struct nbd_disk *n, enum nbd_state to)
{
	kvmb_assert(moves[n->state] & (1 << to));
	__atomic_store_n(&n->state, (int)to, __ATOMIC_RELEASE);
}

void nbdisk_disconnect(struct nbd_disk *n)
{
	if (n->h)
		libnbd.close(n->h); /* calls on_completion() for what was under way */
	n->h = NULL;
	nbdisk_requeue(n);
}

/* Somebody kicked the thread while it connects. Return: 0; -ECANCELED: the disk is closed. */
static int serve_kick(struct nbd_disk *n)
{
	bool quit;
	u64 k;

	if (read(n->kick_fd, &k, sizeof(k)) < 0)
		return 0;
	pthread_mutex_lock(&n->lock);
	quit = n->quit;
	pthread_mutex_unlock(&n->lock);
	if (quit)
		return -ECANCELED;
	/* nobody need wait for a server that does not answer */
	nbdisk_serve_cancels(n);
	if (n->state == NBD_FAILED)
		nbdisk_take_submits(n);
	return 0;
}

/* ---- by way of the keeper ---- */

/* What the keeper says, if it does. Return: 0; -EAGAIN: nothing yet. */
static int hear_keeper(struct nbd_disk *n, struct kvmb_keeper_news *news)
{
	int err = kvmb_keeper_read(n->channel, news);

	if (err || news->what == KVMB_KEEPER_CONNECTED)
		return err;
	if (news->fd >= 0)
		close(news->fd);
	return -EAGAIN;
}

/* An answer that comes too late would be taken for the next one's. */
static int forget_answers(struct nbd_disk *n)
{
	struct kvmb_keeper_news news;
	int err;

	while (!(err = hear_keeper(n, &news))) {
		if (news.fd >= 0)
			close(news.fd);
	}
	return err == -EAGAIN ? 0 : err;
}

/* Return: a connected socket; -errno with @why. */
static int dial_server(struct nbd_disk *n, char *why, size_t size)
{
	struct pollfd p[2] = { { .fd = n->channel, .events = POLLIN },
			       { .fd = n->kick_fd, .events = POLLIN } };
	u64 until = kvmb_now_ms() + CONNECT_MS, now;
	struct kvmb_keeper_news news = { .words = "" };
	int err = forget_answers(n);

	if (!err)
		err = kvmb_keeper_ask(n->channel, KVMB_KEEPER_CONNECT);
	while (!err && (err = hear_keeper(n, &news)) == -EAGAIN) {
		now = kvmb_now_ms();
		if (now >= until)
			return -ETIMEDOUT;
		poll(p, 2, (int)(until - now));
		err = p[1].revents ? serve_kick(n) : 0;
	}
	err = err ? err : news.err;
	if (err)
		snprintf(why, size, "%.150s", news.words[0] ? news.words : strerror(-err));
	return err ? err : news.fd;
}

/* ---- the connection ---- */

/* Let libnbd work until @ready, the deadline, or the end of the disk. */
static int wait_connected(struct nbd_disk *n, struct nbd_handle *h)
{
	u64 until = kvmb_now_ms() + CONNECT_MS, now;
	struct pollfd p[2] = { { .fd = -1 }, { .fd = n->kick_fd, .events = POLLIN } };
	unsigned int dir;
	int err;

	while (!libnbd.aio_is_ready(h)) {
		now = kvmb_now_ms();
		if (libnbd.aio_is_dead(h) || libnbd.aio_is_closed(h))
			return -ECONNREFUSED;
		if (now >= until)
			return -ETIMEDOUT;
		dir = (unsigned int)libnbd.aio_get_direction(h);
		p[0].fd = libnbd.aio_get_fd(h);
		p[0].events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
				      (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
		poll(p, 2, (int)(until - now));
		err = p[1].revents ? serve_kick(n) : 0;
		if (err)
			return err;
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR) && dir & LIBNBD_AIO_DIRECTION_READ)
			libnbd.aio_notify_read(h);
		else if (p[0].revents & (POLLOUT | POLLHUP | POLLERR) &&
			 dir & LIBNBD_AIO_DIRECTION_WRITE)
			libnbd.aio_notify_write(h);
	}
	return 0;
}

/* What the server says of the disk, against what it must be. */
static int accept_server(struct nbd_disk *n, struct nbd_handle *h, char *why, size_t size)
{
	struct kvmb_disk *d = n->d;
	int64_t bytes = libnbd.get_size(h);
	u64 blocks = bytes > 0 ? (u64)bytes / d->block : 0;

	if (!blocks) {
		snprintf(why, size, "it is smaller than one block of %u bytes", d->block);
		return -EINVAL;
	}
	if (blocks < kvmb_disk_blocks(d)) {
		snprintf(why, size, "it is smaller than before the reconnect");
		return -EINVAL;
	}
	if (libnbd.get_block_size(h, LIBNBD_SIZE_MINIMUM) > (int64_t)d->block) {
		snprintf(why, size, "its server needs larger blocks than %u bytes; use block=4096",
			 d->block);
		return -EINVAL;
	}
	if (!d->read_only && libnbd.is_read_only(h) > 0) {
		snprintf(why, size, "the server exports it read-only; add ,ro");
		return -EROFS;
	}
	n->no_fua = libnbd.can_fua(h) <= 0;
	n->no_flush = libnbd.can_flush(h) <= 0;
	if (!n->met)
		d->can_zero = !d->read_only && libnbd.can_zero(h) > 0;
	n->met = true;
	__atomic_store_n(&d->blocks, blocks, __ATOMIC_RELAXED);
	return 0;
}

/* Begin to talk to the server. Return: 0; another: with @why, or libnbd has one. */
static int reach_server(struct nbd_disk *n, struct nbd_handle *h, char *why, size_t size)
{
	struct kvmb_nbd_uri u;
	int fd;

	if (!n->qsd && !n->channel) {
		libnbd.set_uri_allow_local_file(h, true); /* a file of keys that the user named */
		return libnbd.aio_connect_uri(h, n->d->path);
	}
	if (n->qsd) {
		fd = kvmb_qsd_connect(n->qsd);
		libnbd.set_export_name(h, "disk");
	} else {
		fd = dial_server(n, why, size);
		kvmb_nbd_uri_parse(n->d->path, &u);
		libnbd.set_export_name(h, u.export);
	}
	return fd < 0 ? fd : libnbd.aio_connect_socket(h, fd);
}

static int try_connect(struct nbd_disk *n, char *why, size_t size)
{
	struct nbd_handle *h = libnbd.create();
	char words[KVMB_DISK_WHY / 2] = "";
	int err;

	if (!h)
		return -ENOMEM;
	err = reach_server(n, h, words, sizeof(words));
	if (!err)
		err = wait_connected(n, h);
	nbdisk_kick(n); /* the kicks of requests that came meanwhile may have been used up */
	if (err) {
		snprintf(why, size, "no connection to its NBD server: %s", words[0] ? words :
			 libnbd.get_error() ? libnbd.get_error() : "it does not answer");
		err = err == -ECANCELED ? err : -EIO;
	} else {
		err = accept_server(n, h, why, size);
	}
	if (err) {
		libnbd.close(h);
		return err;
	}
	n->h = h;
	return 0;
}

static int bring_up(struct nbd_disk *n, char *why, size_t size)
{
	int err = 0;

	if (n->qsd && !kvmb_qsd_is_serving(n->qsd)) {
		/* it was to be the same daemon, and is another: what that one knew is lost */
		nbdisk_requeue(n);
		err = kvmb_qsd_start(n->qsd, why, size);
		__atomic_store_n(&n->d->open_writes, kvmb_qsd_open_writes(n->qsd),
				 __ATOMIC_RELAXED);
	}
	if (!err)
		err = try_connect(n, why, size);
	if (err && n->qsd)
		kvmb_qsd_kill(n->qsd);
	return err;
}

void nbdisk_report_opened(struct nbd_disk *n, int err, const char *why)
{
	pthread_mutex_lock(&n->lock);
	if (!n->opened) {
		n->opened = true;
		n->open_err = err;
		snprintf(n->why, sizeof(n->why), "%s", why);
		pthread_cond_broadcast(&n->cond);
	}
	pthread_mutex_unlock(&n->lock);
}

/*
 * When to try next: at once, then after pauses that grow until a connection was good for
 * NBD_STEADY_MS.
 */
static void back_off(struct nbd_disk *n, u64 now)
{
	n->retry_at_ms = now + n->backoff_ms;
	n->backoff_ms = KVMB_MIN(n->backoff_ms ? n->backoff_ms * 2 : 100, BACKOFF_MAX_MS);
}

static void came_up(struct nbd_disk *n, u64 now)
{
	if (n->failing_since_ms)
		kvmb_info(n->who, "its server answers again");
	n->failing_since_ms = 0;
	n->progress_ms = now;
	__atomic_store_n(&n->up_ms, now, __ATOMIC_RELAXED);
	nbdisk_set_state(n, NBD_UP);
}

int nbdisk_try(struct nbd_disk *n, char *why, size_t size)
{
	int err = bring_up(n, why, size);

	if (!err)
		came_up(n, kvmb_now_ms());
	return err;
}

void nbdisk_start(struct nbd_disk *n)
{
	char why[KVMB_DISK_WHY] = "";
	bool was_open = n->opened;
	u64 now;
	int err = bring_up(n, why, sizeof(why));

	now = kvmb_now_ms();
	if (!err && !was_open && n->no_flush && n->no_fua && !n->d->read_only)
		kvmb_warn(
			n->who,
			"its server cannot flush: acknowledged writes are lost if it or its host "
			"crashes");
	nbdisk_report_opened(n, err, why);
	if (!err) {
		came_up(n, now);
		return;
	}
	if (!n->failing_since_ms)
		n->failing_since_ms = now;
	back_off(n, now);
	if (n->state == NBD_FAILED)
		return;
	if (now - n->failing_since_ms < NBD_GIVE_UP_MS) {
		nbdisk_set_state(n, NBD_WAITING);
		return;
	}
	kvmb_warn_ratelimited(n->who, "its server cannot be reached: %s", why);
	nbdisk_set_state(n, NBD_FAILED);
	nbdisk_fail_waiting(n);
}

void nbdisk_forgive(struct nbd_disk *n)
{
	n->failing_since_ms = 0;
	n->backoff_ms = 0;
	__atomic_store_n(&n->fruitless, 0, __ATOMIC_RELAXED);
	nbdisk_forget_flushes(n);
}

void nbdisk_went_down(struct nbd_disk *n, const char *what, enum nbd_end how)
{
	u64 now = kvmb_now_ms(), good_until;

	kvmb_warn_ratelimited(n->who, "%s; %s it", what, n->qsd ? "restarting" : "reconnecting to");
	__atomic_fetch_add(&n->restarts, 1, __ATOMIC_RELAXED);
	if (n->qsd)
		kvmb_qsd_kill(n->qsd); /* first: until it has ended, what was sent may land */
	good_until = nbdisk_blame(n, how) ? n->progress_ms : now;
	nbdisk_disconnect(n);
	if (good_until - n->up_ms >= NBD_STEADY_MS) {
		n->backoff_ms = 0;
		__atomic_store_n(&n->fruitless, 0, __ATOMIC_RELAXED);
	}
	back_off(n, now);
	if (__atomic_add_fetch(&n->fruitless, how, __ATOMIC_RELAXED) < NBD_GIVE_UP_ENDS) {
		nbdisk_set_state(n, NBD_WAITING);
		return;
	}
	kvmb_warn_ratelimited(n->who, "its server no longer answers; requests fail");
	nbdisk_set_state(n, NBD_FAILED);
	nbdisk_fail_waiting(n);
}
