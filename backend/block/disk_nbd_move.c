// SPDX-License-Identifier: GPL-2.0-only
/* An image that moves with its VM: closed here, opened there. Theory: disk_nbd_priv.h. */
#include "backend/block/disk_nbd_priv.h"

#include <time.h>

#include "lib/util.h"

#define GONE_S 30 /* for the daemon to end, or to be killed; or to come up, to be asked */

/* ---- the thread ---- */

void nbdisk_prepare(struct nbd_disk *n)
{
	char why[KVMB_DISK_WHY] = "";
	int err = kvmb_qsd_prepare(n->qsd, why, sizeof(why));

	nbdisk_report_opened(n, err, why);
}

static void report_gone(struct nbd_disk *n, int err, const char *why)
{
	pthread_mutex_lock(&n->lock);
	n->gone = true;
	n->gone_err = err;
	if (err)
		snprintf(n->why, sizeof(n->why), "%s", why);
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
}

/* Nobody waits for anything, and nothing is in the log. */
static void close_image(struct nbd_disk *n)
{
	int err;

	libnbd.aio_disconnect(n->h, 0);
	nbdisk_disconnect(n);
	nbdisk_set_state(n, NBD_GONE);
	err = kvmb_qsd_quit(n->qsd);
	report_gone(n, err, err ? "its storage daemon does not close it in good order" : "");
}

static void fetch(struct nbd_disk *n)
{
	char why[KVMB_DISK_WHY] = "";
	int err;

	nbdisk_set_state(n, NBD_STARTING);
	err = nbdisk_try(n, why, sizeof(why));
	if (err)
		nbdisk_set_state(n, NBD_GONE);
	pthread_mutex_lock(&n->lock);
	n->fetch_wanted = false;
	n->fetch_done = true;
	n->fetch_err = err;
	n->let_go = err;
	snprintf(n->why, sizeof(n->why), "%s", why);
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
}

void nbdisk_move(struct nbd_disk *n)
{
	bool let_go, idle, fetches, tells;

	pthread_mutex_lock(&n->lock);
	let_go = n->let_go;
	fetches = n->fetch_wanted;
	tells = let_go && !n->gone;
	idle = !n->submits && !n->ops;
	pthread_mutex_unlock(&n->lock);
	if (n->state == NBD_GONE && fetches)
		fetch(n);
	else if (n->state == NBD_GONE && !let_go)
		nbdisk_set_state(n, NBD_STARTING);
	else if (n->state == NBD_GONE && tells)
		report_gone(n, 0, "");
	else if (n->state == NBD_UP && let_go && idle)
		close_image(n);
	else if (n->state == NBD_FAILED && tells)
		report_gone(n, -EIO, "its storage daemon does not start");
}

/* ---- what the disk offers ---- */

void nbdisk_let_go(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	if (!n->qsd || d->read_only)
		return;
	pthread_mutex_lock(&n->lock);
	n->let_go = true;
	n->gone = false;
	pthread_mutex_unlock(&n->lock);
	nbdisk_kick(n);
}

int nbdisk_gone(struct kvmb_disk *d, char *why, size_t size)
{
	struct nbd_disk *n = d->priv;
	struct timespec until;
	int err = 0;

	if (!n->qsd || d->read_only)
		return 0;
	clock_gettime(CLOCK_REALTIME, &until); /* its jumps do no harm here */
	until.tv_sec += GONE_S;
	pthread_mutex_lock(&n->lock);
	while (n->let_go && !n->gone && !err)
		err = -pthread_cond_timedwait(&n->cond, &n->lock, &until);
	if (err) {
		snprintf(why, size, "its storage daemon does not close it");
	} else {
		err = n->let_go ? n->gone_err : -ECANCELED;
		snprintf(why, size, "%s", err ? n->why : "");
	}
	pthread_mutex_unlock(&n->lock);
	return err;
}

void nbdisk_fetch_back(struct kvmb_disk *d)
{
	struct nbd_disk *n = d->priv;

	pthread_mutex_lock(&n->lock);
	n->let_go = false;
	pthread_cond_broadcast(&n->cond);
	pthread_mutex_unlock(&n->lock);
	nbdisk_kick(n);
}

int nbdisk_fetch(struct kvmb_disk *d, char *why, size_t size)
{
	struct nbd_disk *n = d->priv;
	int err;

	pthread_mutex_lock(&n->lock);
	n->fetch_wanted = true;
	n->fetch_done = false;
	nbdisk_kick(n);
	while (!n->fetch_done)
		pthread_cond_wait(&n->cond, &n->lock);
	err = n->fetch_err;
	snprintf(why, size, "%s", n->why);
	pthread_mutex_unlock(&n->lock);
	return err;
}
