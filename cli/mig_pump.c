// SPDX-License-Identifier: GPL-2.0-only
/* The pump between a plain socket and a TLS connection: mig_pump.h. */
#include "cli/mig_pump.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"

#define BUFFER (256u << 10)
#define RECORD 16384u /* that TLS sends at once */

/*
 * Operations: OPEN -> ENDING when its source has ended; -> OVER when the end was passed on, or can
 * not be. Caveats: ENDING reads no more, and its buffer goes out first.
 */
enum way_state { WAY_OPEN, WAY_ENDING, WAY_OVER };

struct way {
	enum way_state state;
	unsigned char *buf; /* buf[BUFFER] */
	size_t from, to;    /* in @buf: still to be written */
};

struct pump {
	gnutls_session_t s;
	int tcp, plain;
	struct way out; /* plain to TLS */
	struct way in;	/* TLS to plain */
	bool alone;	/* nobody is at the plain end any more */
	bool broken;	/* @s has failed: no use for it */
	bool heard;	/* something came by TLS */
	uint64_t until; /* when @alone: give up */
	uint64_t *wire;
	char *why;
};

static bool is_empty(const struct way *w)
{
	return w->from == w->to;
}

static void end_way(struct way *w)
{
	w->state = WAY_OVER;
	w->from = w->to = 0;
}

static void count_wire(struct pump *p, size_t n)
{
	if (p->wire)
		__atomic_fetch_add(p->wire, n, __ATOMIC_RELAXED);
}

/* ---- plain to TLS; each returns true when it has done something ---- */

static void leave_alone(struct pump *p)
{
	if (p->alone)
		return;
	p->alone = true;
	p->until = kvmb_now_ms() + MIG_PUMP_STUCK_MS;
	end_way(&p->in);
}

static bool read_plain(struct pump *p)
{
	struct way *w = &p->out;
	ssize_t n;

	if (w->state != WAY_OPEN || !is_empty(w))
		return false;
	n = recv(p->plain, w->buf, BUFFER, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		leave_alone(p);
	w->from = 0;
	w->to = n > 0 ? (size_t)n : 0;
	if (n <= 0)
		w->state = WAY_ENDING;
	return true;
}

/* Nobody at the plain end means that nobody asks any more. */
static void note_why(struct pump *p, int err)
{
	if (!p->alone && !*p->why)
		mig_tls_why(p->s, err, p->why);
}

/* The other direction goes on: it may bring last words. */
static void fail_out(struct pump *p, int err)
{
	end_way(&p->out);
	note_why(p, err);
}

static bool write_tls(struct pump *p)
{
	struct way *w = &p->out;
	ssize_t n;

	if (is_empty(w) || w->state == WAY_OVER)
		return false;
	n = gnutls.record_send(p->s, w->buf + w->from, KVMB_MIN(w->to - w->from, (size_t)RECORD));
	if (n < 0 && !gnutls.error_is_fatal((int)n))
		return false;
	if (n < 0) {
		fail_out(p, (int)n);
		return true;
	}
	w->from += (size_t)n;
	count_wire(p, (size_t)n);
	if (p->alone)
		p->until = kvmb_now_ms() + MIG_PUMP_STUCK_MS;
	return true;
}

static bool end_tls(struct pump *p)
{
	int err;

	if (p->out.state != WAY_ENDING || !is_empty(&p->out))
		return false;
	err = gnutls.bye(p->s, GNUTLS_SHUT_WR);
	if (err && !gnutls.error_is_fatal(err))
		return false;
	if (err)
		fail_out(p, err);
	end_way(&p->out);
	shutdown(p->tcp, SHUT_WR);
	if (p->alone)
		p->until = kvmb_now_ms() + MIG_PUMP_LINGER_MS;
	return true;
}

/* ---- TLS to plain ---- */

/* Also when nobody wants it: a connection that is closed with unread bytes loses what it sent. */
static bool read_tls(struct pump *p)
{
	struct way *w = &p->in;
	ssize_t n;

	if (p->broken || w->state == WAY_ENDING || !is_empty(w) ||
	    (w->state == WAY_OVER && !p->alone))
		return false;
	n = gnutls.record_recv(p->s, w->buf, BUFFER);
	if (n < 0 && !gnutls.error_is_fatal((int)n))
		return false;
	if (n <= 0) {
		p->broken = n < 0 || p->alone; /* or there is no more to wait for */
		if (n < 0)
			fail_out(p, (int)n);
		if (w->state == WAY_OPEN)
			w->state = WAY_ENDING;
		return true;
	}
	p->heard = true;
	count_wire(p, (size_t)n);
	if (w->state == WAY_OPEN) {
		w->from = 0;
		w->to = (size_t)n;
	}
	return true;
}

static bool write_plain(struct pump *p)
{
	struct way *w = &p->in;
	ssize_t n;

	if (is_empty(w))
		return false;
	n = send(p->plain, w->buf + w->from, w->to - w->from, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) /* what it wrote before is still to be sent */
		leave_alone(p);
	else
		w->from += (size_t)n;
	return true;
}

static bool end_plain(struct pump *p)
{
	if (p->in.state != WAY_ENDING || !is_empty(&p->in))
		return false;
	end_way(&p->in);
	shutdown(p->plain, SHUT_WR);
	return true;
}

/* ---- both ---- */

static bool all_arrived(const struct pump *p)
{
	int left = 0;

	return ioctl(p->tcp, SIOCOUTQ, &left) || !left;
}

static bool is_over(const struct pump *p)
{
	if (p->out.state == WAY_OVER && p->in.state == WAY_OVER)
		return p->broken || !p->alone || all_arrived(p) || kvmb_now_ms() >= p->until;
	return p->alone && kvmb_now_ms() >= p->until;
}

static void wait_for_either(struct pump *p)
{
	struct pollfd f[2] = { { .fd = p->tcp }, { .fd = p->alone ? -1 : p->plain } };
	bool reads = p->out.state == WAY_OPEN && is_empty(&p->out);

	if (!p->broken && is_empty(&p->in) && (p->in.state == WAY_OPEN || p->alone))
		f[0].events |= POLLIN;
	if (!is_empty(&p->out) || p->out.state == WAY_ENDING)
		f[0].events |= POLLOUT;
	if (f[0].events & POLLIN) /* reading was tried last, and may have something to send */
		f[0].events |= mig_tls_events(p->s);
	if (!f[0].events) /* else a connection that is cut would not let us sleep */
		f[0].fd = -1;
	if (reads)
		f[1].events |= POLLIN;
	if (!is_empty(&p->in))
		f[1].events |= POLLOUT;
	poll(f, 2, p->alone ? 20 : -1);
	if (f[1].revents & (POLLHUP | POLLERR) && !reads)
		leave_alone(p);
}

static bool move_something(struct pump *p)
{
	bool moved = read_plain(p);

	moved |= write_tls(p);
	moved |= end_tls(p);
	moved |= read_tls(p);
	moved |= write_plain(p);
	moved |= end_plain(p);
	return moved;
}

static void carry(struct pump *p, const struct mig_pump *m)
{
	if (m->first_len) {
		memcpy(p->in.buf, m->first, m->first_len);
		p->in.to = m->first_len;
		p->heard = true;
		count_wire(p, m->first_len);
	}
	while (!is_over(p)) {
		if (!move_something(p))
			wait_for_either(p);
	}
}

int mig_pump_run(const struct mig_pump *m, char *why)
{
	struct pump p = {
		.s = m->session, .tcp = m->tcp, .plain = m->plain, .wire = m->wire, .why = why
	};

	*why = 0;
	p.out.buf = malloc(BUFFER);
	p.in.buf = malloc(BUFFER);
	if (p.out.buf && p.in.buf)
		carry(&p, m);
	free(p.out.buf);
	free(p.in.buf);
	if (*why)
		return -EPROTO;
	return p.heard ? 0 : -ENODATA;
}
