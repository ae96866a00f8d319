// SPDX-License-Identifier: GPL-2.0-only
/* One connection of a migration, with TLS or without: mig_lane.h. */
#include "cli/mig_lane.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"

#define TLS_RECORD 16384u /* that TLS sends at once */

void mig_lane_init(struct mig_lane *l, int fd, gnutls_session_t session)
{
	*l = (struct mig_lane){ .fd = fd, .session = session };
	pthread_mutex_init(&l->lock, NULL);
}

void mig_lane_fini(struct mig_lane *l)
{
	if (l->fd < 0)
		return;
	mig_tls_close(l->session);
	close(l->fd);
	pthread_mutex_destroy(&l->lock);
	*l = (struct mig_lane){ .fd = -1 };
}

/* ---- without waiting ---- */

static ssize_t judge_plain(ssize_t n, char *why)
{
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	snprintf(why, MIG_TLS_WHY, "%s",
		 errno == ECONNRESET || errno == EPIPE ? "the other side hung up" :
							 strerror(errno));
	return -EPIPE;
}

static ssize_t judge_tls(struct mig_lane *l, ssize_t n, char *why)
{
	if (n >= 0)
		return n;
	if (!gnutls.error_is_fatal((int)n))
		return -EAGAIN;
	mig_tls_why(l->session, (int)n, why);
	return -EPIPE;
}

ssize_t mig_lane_send(struct mig_lane *l, const void *bytes, size_t len, char *why)
{
	ssize_t n;

	if (!l->session)
		return judge_plain(send(l->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL), why);
	pthread_mutex_lock(&l->lock);
	n = judge_tls(l, gnutls.record_send(l->session, bytes, KVMB_MIN(len, (size_t)TLS_RECORD)),
		      why);
	pthread_mutex_unlock(&l->lock);
	return n;
}

ssize_t mig_lane_recv(struct mig_lane *l, void *bytes, size_t len, char *why)
{
	ssize_t n;

	if (!l->session)
		return judge_plain(recv(l->fd, bytes, len, MSG_DONTWAIT), why);
	pthread_mutex_lock(&l->lock);
	n = judge_tls(l, gnutls.record_recv(l->session, bytes, len), why);
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* ---- with waiting ---- */

int mig_lane_wait(int fd, short events, const struct mig_lane_wait *w)
{
	struct pollfd p[2] = { { .fd = fd, .events = events },
			       { .fd = w->stop, .events = POLLIN } };
	uint64_t now = w->until ? kvmb_now_ms() : 0;

	if (w->until && now >= w->until)
		return -ETIMEDOUT;
	poll(p, 2, w->until ? (int)(w->until - now) : -1);
	return p[1].revents ? -ECANCELED : 0;
}

static int wait_for(struct mig_lane *l, short events, const struct mig_lane_wait *w, char *why)
{
	int err = mig_lane_wait(l->fd, events, w);

	if (err)
		snprintf(why, MIG_TLS_WHY, "%s",
			 err == -ETIMEDOUT ? "the other side does not answer in time" :
					     "it was given up");
	return err;
}

int mig_lane_send_all(struct mig_lane *l, const void *bytes, size_t len,
		      const struct mig_lane_wait *w, char *why)
{
	const char *p = bytes;
	ssize_t n;
	int err;

	while (len) {
		n = mig_lane_send(l, p, len, why);
		if (n == -EAGAIN) {
			err = wait_for(l, POLLOUT, w, why);
			if (err)
				return err;
			continue;
		}
		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int mig_lane_recv_all(struct mig_lane *l, void *bytes, size_t len, const struct mig_lane_wait *w,
		      char *why)
{
	char *p = bytes;
	ssize_t n;
	int err;

	while (len) {
		n = mig_lane_recv(l, p, len, why);
		if (n == -EAGAIN) {
			err = wait_for(l, POLLIN, w, why);
			if (err)
				return err;
			continue;
		}
		if (!n)
			snprintf(why, MIG_TLS_WHY, "the other side hung up");
		if (n <= 0)
			return -EPIPE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
