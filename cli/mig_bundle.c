// SPDX-License-Identifier: GPL-2.0-only
/* The pump between a plain socket and records on several connections: mig_bundle.h. */
#include "cli/mig_bundle.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/mig_pump.h"
#include "lib/loop.h"
#include "lib/util.h"

#define LOOK_MS 20	/* while nobody is at the plain end */
#define NONE UINT64_MAX /* no record */

enum way_state { WAY_OPEN, WAY_ENDING, WAY_OVER };

struct pump;

struct worker { /* of a lane, in one direction */
	struct pump *p;
	struct mig_lane *lane;
	pthread_t thread;
	bool runs;
	uint64_t held; /* in: number of the record that waits for its turn, or NONE */
};

struct pump {
	const struct mig_bundle *b;
	int stop_out, stop_in; /* eventfds: readable when that direction is OVER */
	int changed;	       /* eventfd: the main thread looks again */

	pthread_mutex_t input; /* who takes from the plain end */
	uint64_t taken;	       /* under @input: records */

	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t turn;  /* @next or @alone has changed, or @in is OVER */
	enum way_state out, in;
	bool alone;	/* nobody is at the plain end any more */
	bool broken;	/* nothing can come by the lanes any more */
	bool heard;	/* something came by them */
	uint64_t until; /* give up then; 0 = never */
	char *why;	/* why[MIG_TLS_WHY] */
	struct worker outs[MIG_LANES], ins[MIG_LANES];
	unsigned int num_out, num_in;
	unsigned int out_left;	     /* lanes that have not sent END */
	unsigned int waiting, ended; /* lanes in */
	unsigned int closed;	     /* lanes in, after their END */
	uint64_t total;		     /* records, as the first END says */
	uint64_t next;		     /* number of the record that is to be written */
};

/* ---- states; under p->lock ---- */

static void wake_up(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void set_until(struct pump *p, uint64_t ms)
{
	p->until = kvmb_now_ms() + ms;
}

static void end_out(struct pump *p)
{
	p->out = WAY_OVER;
	wake_up(p->stop_out);
	wake_up(p->changed);
}

static void end_in(struct pump *p)
{
	p->in = WAY_OVER;
	pthread_cond_broadcast(&p->turn);
	wake_up(p->changed);
}

static void miss_plain(struct pump *p)
{
	if (p->alone)
		return;
	p->alone = true;
	set_until(p, p->out == WAY_OVER ? MIG_PUMP_LINGER_MS : MIG_PUMP_STUCK_MS);
	end_in(p);
}

/* Nobody at the plain end means that nobody asks any more. */
static void keep_why(struct pump *p, const char *why)
{
	if (!p->alone && !*p->why)
		snprintf(p->why, MIG_TLS_WHY, "%s", why);
}

/* Another lane than the one by which last words come may be what is broken. */
static void break_out(struct pump *p, const char *why)
{
	if (p->out == WAY_OVER)
		return;
	keep_why(p, why);
	if (p->ended == p->num_in)
		p->broken = true;
	if (p->num_in < p->b->num)
		set_until(p, MIG_PUMP_LINGER_MS);
	end_out(p);
}

static void cut_link(struct pump *p, const char *why)
{
	if (p->broken)
		return;
	keep_why(p, why);
	p->broken = true;
	wake_up(p->stop_in);
	end_in(p);
	end_out(p);
}

static void lock_pump(struct pump *p)
{
	pthread_mutex_lock(&p->lock);
}

static void unlock_pump(struct pump *p)
{
	pthread_mutex_unlock(&p->lock);
}

static void with_lock(struct pump *p, void (*act)(struct pump *p))
{
	lock_pump(p);
	act(p);
	unlock_pump(p);
}

static void with_why(struct pump *p, void (*act)(struct pump *p, const char *why), const char *why)
{
	lock_pump(p);
	act(p, why);
	unlock_pump(p);
}

static void count_bytes(struct pump *p, size_t n)
{
	if (p->b->wire)
		__atomic_fetch_add(p->b->wire, n, __ATOMIC_RELAXED);
}

/* ---- plain to lanes: a thread a lane ---- */

/* Return: bytes; 0: the end; -ECANCELED. */
static ssize_t take_plain(struct pump *p, uint8_t *to)
{
	const struct mig_lane_wait w = { .stop = p->stop_out };
	ssize_t n;

	for (;;) {
		if (mig_lane_wait(p->b->plain, POLLIN, &w))
			return -ECANCELED;
		n = recv(p->b->plain, to, MIG_RECORD_RAW, MSG_DONTWAIT);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR) { /* the others see an end */
			with_lock(p, miss_plain);
			return 0;
		}
	}
}

/* Who has the plain end takes one record's bytes and its number. */
static ssize_t take_record(struct pump *p, uint8_t *to, uint64_t *seq)
{
	ssize_t n;

	pthread_mutex_lock(&p->input);
	n = take_plain(p, to);
	*seq = p->taken;
	if (n > 0)
		p->taken++;
	pthread_mutex_unlock(&p->input);
	return n;
}

static void note_sent(struct pump *p, size_t bytes, bool end)
{
	count_bytes(p, bytes);
	lock_pump(p);
	if (p->alone && p->out != WAY_OVER)
		set_until(p, MIG_PUMP_STUCK_MS);
	if (end) {
		p->out = KVMB_MAX(p->out, WAY_ENDING);
		if (!--p->out_left && p->out != WAY_OVER) {
			if (p->alone)
				set_until(p, MIG_PUMP_LINGER_MS);
			end_out(p);
		}
	}
	unlock_pump(p);
}

/* Then nobody misses our END. */
static bool is_in_over(struct pump *p)
{
	bool over;

	lock_pump(p);
	over = p->in == WAY_OVER;
	unlock_pump(p);
	return over;
}

static void send_records(struct worker *w, struct mig_packer *pk)
{
	struct pump *p = w->p;
	const struct mig_lane_wait until_stop = { .stop = p->stop_out };
	char why[MIG_TLS_WHY];
	uint64_t seq;
	ssize_t n;
	size_t len;
	int err;

	do {
		n = take_record(p, pk->raw, &seq);
		if (n < 0)
			return;
		len = mig_pack(pk, seq, (size_t)n);
		err = mig_lane_send_all(w->lane, pk->record, len, &until_stop, why);
		if (err == -EPIPE)
			with_why(p, break_out, !n && is_in_over(p) ? "" : why);
		if (err)
			return;
		note_sent(p, len, !n);
	} while (n);
}

static void *out_thread(void *arg)
{
	struct worker *w = arg;
	struct mig_packer pk;

	if (mig_packer_init(&pk, w->p->b->packs && w->p->b->spreads)) {
		with_why(w->p, cut_link, strerror(ENOMEM));
		return NULL;
	}
	send_records(w, &pk);
	mig_packer_fini(&pk);
	return NULL;
}

/* ---- lanes to plain: a thread a lane ---- */

/* Under p->lock. Each lane has ended or holds a record, and none of these is next. */
static bool is_stuck(const struct pump *p)
{
	unsigned int i;

	if (p->waiting + p->ended < p->num_in)
		return false;
	for (i = 0; i < p->num_in; i++) {
		if (p->ins[i].held == p->next)
			return false;
	}
	return true;
}

/* Return: may it write? Else nobody wants it, or the link was cut. */
static bool await_turn(struct worker *w, uint64_t seq)
{
	struct pump *p = w->p;
	bool mine;

	lock_pump(p);
	w->held = seq;
	p->waiting++;
	while (p->in == WAY_OPEN && p->next < seq && !is_stuck(p))
		pthread_cond_wait(&p->turn, &p->lock);
	mine = p->in == WAY_OPEN && p->next == seq;
	if (p->in == WAY_OPEN && !mine)
		cut_link(p, p->next > seq ? "the other side sends a record twice" :
					    "the other side leaves a record out");
	w->held = NONE;
	p->waiting--;
	unlock_pump(p);
	return mine;
}

static void end_turn(struct pump *p)
{
	lock_pump(p);
	p->next++;
	pthread_cond_broadcast(&p->turn);
	unlock_pump(p);
}

/* Return: false: nobody wants it. */
static bool give_plain(struct pump *p, const uint8_t *bytes, size_t len)
{
	const struct mig_lane_wait w = { .stop = p->stop_in };
	ssize_t n;

	while (len) {
		n = send(p->b->plain, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (mig_lane_wait(p->b->plain, POLLOUT, &w))
				return false;
			continue;
		}
		if (n < 0) { /* what it wrote before is still to be sent */
			with_lock(p, miss_plain);
			return false;
		}
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Under p->lock. The last of all lanes: the plain end hears it. */
static void end_stream(struct pump *p)
{
	if (p->alone)
		p->broken = true; /* there is no more to wait for */
	if (p->in != WAY_OPEN)
		return;
	if (p->next != p->total) {
		cut_link(p, "the other side leaves a record out");
		return;
	}
	shutdown(p->b->plain, SHUT_WR);
	end_in(p);
}

static void end_lane(struct pump *p, uint64_t total)
{
	lock_pump(p);
	if (!p->ended++)
		p->total = total;
	if (p->total != total)
		cut_link(p, "the other side ends at two places");
	pthread_cond_broadcast(&p->turn); /* who waits in vain sees it */
	if (p->ended == p->num_in)
		end_stream(p);
	wake_up(p->changed);
	unlock_pump(p);
}

/* The other side has closed it after its END. */
static void close_lane(struct pump *p)
{
	if (++p->closed < p->num_in)
		return;
	p->broken = true;
	wake_up(p->changed);
}

/* Return: 0; -EPROTO with @why. */
static int take_one(struct worker *w, struct mig_reader *r, char *why)
{
	struct pump *p = w->p;
	const uint8_t *raw;
	bool wanted;

	if (r->now.flags & MIG_RECORD_END) {
		end_lane(p, r->now.seq);
		return 0;
	}
	lock_pump(p);
	p->heard = true;
	wanted = p->in == WAY_OPEN;
	unlock_pump(p);
	if (!wanted) /* read on: closing with unread bytes would lose what was sent */
		return 0;
	if (mig_reader_unpack(r, &raw, why, MIG_TLS_WHY))
		return -EPROTO;
	if (await_turn(w, r->now.seq) && give_plain(p, raw, r->now.raw))
		end_turn(p);
	return 0;
}

/* Return: bytes; 0: the end; -EPIPE with @why; -ECANCELED. */
static ssize_t read_lane(struct worker *w, uint8_t *to, size_t len, char *why)
{
	const struct mig_lane_wait until_stop = { .stop = w->p->stop_in };
	ssize_t n;

	while ((n = mig_lane_recv(w->lane, to, len, why)) == -EAGAIN) {
		if (mig_lane_wait(w->lane->fd, POLLIN, &until_stop))
			return -ECANCELED;
	}
	return n;
}

/* Return: 0: it ended in good order, or was stopped; -EPROTO with @why. */
static int receive_records(struct worker *w, struct mig_reader *r, char *why)
{
	uint8_t *to;
	ssize_t n;
	int got;

	for (;;) {
		size_t want = mig_reader_want(r, &to);

		n = read_lane(w, to, want, why);
		if (n == -ECANCELED)
			return 0;
		if (n <= 0 && mig_reader_may_end(r)) {
			with_lock(w->p, close_lane);
			return 0;
		}
		if (!n)
			snprintf(why, MIG_TLS_WHY, "a connection was cut");
		if (n <= 0)
			return -EPROTO;
		count_bytes(w->p, (size_t)n);
		got = mig_reader_took(r, (size_t)n, why, MIG_TLS_WHY);
		if (got > 0) {
			got = take_one(w, r, why);
			mig_reader_next(r);
		}
		if (got < 0)
			return got;
	}
}

static void *in_thread(void *arg)
{
	struct worker *w = arg;
	struct mig_reader r;
	char why[MIG_TLS_WHY] = "";

	if (mig_reader_init(&r, w->p->b->packs && !w->p->b->spreads)) {
		with_why(w->p, cut_link, strerror(ENOMEM));
		return NULL;
	}
	if (receive_records(w, &r, why))
		with_why(w->p, cut_link, why);
	mig_reader_fini(&r);
	return NULL;
}

/* ---- the main thread: who is there still, and how long is he waited for ---- */

static bool lanes_are_empty(const struct pump *p)
{
	unsigned int i;
	int left;

	for (i = 0; i < p->b->num; i++) {
		left = 0;
		if (!ioctl(p->b->lanes[i].fd, SIOCOUTQ, &left) && left)
			return false;
	}
	return true;
}

/* Under p->lock. */
static bool pump_is_over(const struct pump *p)
{
	const bool late = p->until && kvmb_now_ms() >= p->until;

	if (p->out == WAY_OVER && p->in == WAY_OVER)
		return p->broken || !p->alone || lanes_are_empty(p) || late;
	return late;
}

/* Lanes by which nothing is said to us: whoever closes one cuts the link. */
static void look_at_silent_lane(struct pump *p, unsigned int i, bool *watched)
{
	char why[MIG_TLS_WHY], byte;
	ssize_t n = mig_lane_recv(&p->b->lanes[i], &byte, 1, why);

	if (n == -EAGAIN)
		return;
	*watched = false;
	if (n >= 0)
		snprintf(why, sizeof(why), "%s",
			 n ? "the other side sends bytes out of turn" : "a connection was cut");
	with_why(p, break_out, why);
}

static void watch(struct pump *p, bool *watched)
{
	struct pollfd f[2 + MIG_LANES];
	unsigned int i;
	uint64_t n;
	bool dated;

	lock_pump(p);
	dated = p->until;
	f[0] = (struct pollfd){ .fd = p->alone ? -1 : p->b->plain };
	unlock_pump(p);
	f[1] = (struct pollfd){ .fd = p->changed, .events = POLLIN };
	for (i = 0; i < p->b->num; i++)
		f[2 + i] = (struct pollfd){ .fd = watched[i] ? p->b->lanes[i].fd : -1,
					    .events = POLLIN };
	poll(f, 2 + p->b->num, dated ? LOOK_MS : -1);
	if (f[0].revents & (POLLHUP | POLLERR))
		with_lock(p, miss_plain);
	if (f[1].revents && read(p->changed, &n, sizeof(n)) < 0)
		return;
	for (i = 0; i < p->b->num; i++) {
		if (f[2 + i].revents)
			look_at_silent_lane(p, i, &watched[i]);
	}
}

static void run_until_over(struct pump *p)
{
	bool watched[MIG_LANES] = { 0 }, over;
	unsigned int i;

	for (i = p->num_in; i < p->b->num; i++)
		watched[i] = true;
	for (;;) {
		lock_pump(p);
		over = pump_is_over(p);
		unlock_pump(p);
		if (over)
			return;
		watch(p, watched);
	}
}

/* ---- beginning and end ---- */

static int begin_workers(struct pump *p, struct worker *w, unsigned int num, void *(*run)(void *))
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < num && !err; i++) {
		w[i] = (struct worker){ .p = p, .lane = &p->b->lanes[i], .held = NONE };
		err = pthread_create(&w[i].thread, NULL, run, &w[i]);
		w[i].runs = !err;
	}
	return err;
}

static void join_workers(struct worker *w, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++) {
		if (w[i].runs)
			pthread_join(w[i].thread, NULL);
	}
}

static int make_pump(struct pump *p, const struct mig_bundle *b, char *why)
{
	*p = (struct pump){ .b = b,
			    .why = why,
			    .num_out = b->spreads ? b->num : 1,
			    .num_in = b->spreads ? 1 : b->num };
	p->out_left = p->num_out;
	p->stop_out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->stop_in = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&p->input, NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->turn, NULL);
	return p->stop_out < 0 || p->stop_in < 0 || p->changed < 0 ? errno : 0;
}

static void free_pump(struct pump *p)
{
	const int fds[] = { p->stop_out, p->stop_in, p->changed };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	pthread_cond_destroy(&p->turn);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->input);
}

static void stop_all(struct pump *p)
{
	lock_pump(p);
	p->broken = true;
	wake_up(p->stop_in);
	end_in(p);
	end_out(p);
	unlock_pump(p);
	join_workers(p->outs, p->num_out);
	join_workers(p->ins, p->num_in);
}

int mig_bundle_run(const struct mig_bundle *b, char *why)
{
	struct pump p;
	int err;

	*why = 0;
	err = make_pump(&p, b, why);
	if (!err)
		err = begin_workers(&p, p.ins, p.num_in, in_thread);
	if (!err)
		err = begin_workers(&p, p.outs, p.num_out, out_thread);
	if (!err)
		run_until_over(&p);
	else
		snprintf(why, MIG_TLS_WHY, "%s", strerror(err));
	stop_all(&p);
	free_pump(&p);
	if (*why)
		return -EPROTO;
	return p.heard ? 0 : -ENODATA;
}
