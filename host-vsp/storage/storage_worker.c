// SPDX-License-Identifier: GPL-2.0-only
/*
 * The thread of a storage channel: it has one io_uring and sleeps in one place.
 *
 * DOC: Theory of operation
 *
 * A worker owns its channel's rings and an io_uring. The guest's signal and the worker's own
 * kick are multishot polls in the same io_uring, so the worker sleeps in exactly one place, and
 * one system call both submits and waits.
 *
 * Each turn of the loop reaps completions, does what the bus thread wants, drains the ring into
 * new requests, issues them together, publishes answers with at most one signal, and submits.
 * The worker sleeps only after a turn that did nothing. The tuner decides how it waits, and it
 * sleeps at most until the first waiting request is due (storage_wait.c). Requests that the
 * kernel refuses, for lack of memory for instance, wait as well, so the worker never spins.
 *
 * While it stands (storage_priv.h, about a pause), a turn serves kicks and sleeps again.
 *
 * On a host without io_uring the worker sleeps in ppoll() on the same two descriptors, and
 * threads of the disk complete requests with a kick.
 */
#include <poll.h>
#include <unistd.h>

#include "host-vsp/storage/storage_priv.h"
#include "lib/util.h"

static struct stor_req *take_req(struct stor_chan *sc)
{
	struct stor_req *r = sc->free;

	if (r) {
		sc->free = r->next;
	} else {
		if (sc->allocated == STOR_MAX_REQUESTS)
			return NULL;
		r = stor_new_req(sc);
		if (!r) {
			sc->starved = true;
			stor_wake_at(sc, stor_now(sc) + STOR_RETRY_NS);
			return NULL;
		}
		sc->all[sc->allocated++] = r;
	}
	stor_req_to(r, REQ_TAKEN);
	return r;
}

static bool quiescing(const struct stor_chan *sc)
{
	return sc->q_seen != sc->q_acked;
}

static bool accepting(const struct stor_chan *sc)
{
	return !sc->stopping && !sc->failed && !sc->answers && !sc->reset && !quiescing(sc) &&
	       !sc->pausing && !sc->gated && sc->bounced < STOR_BOUNCE_MAX &&
	       (sc->free || (sc->allocated < STOR_MAX_REQUESTS && !sc->starved));
}

static bool drain(struct stor_chan *sc)
{
	struct kvmb_pkt pkt;
	struct stor_req *r;
	u32 n = 0;
	int err;

	while (accepting(sc)) {
		err = kvmb_ring_peek(&sc->io->rx, sc->scratch, sizeof(sc->scratch), &pkt);
		if (err) {
			if (err != -EAGAIN)
				stor_fail(sc, "its ring is corrupt", err);
			break;
		}
		r = take_req(sc);
		if (!r)
			break;
		n++;
		stor_handle_packet(sc, &pkt, r);
		kvmb_ring_skip(&sc->io->rx, &pkt);
	}
	sc->io->stats.packets_in += n;
	sc->taken += n;
	return n;
}

/* Poll @fd until the end; try again later if the kernel does not take it now. */
static void arm_poll(struct stor_chan *sc, int fd, u64 tag)
{
	struct io_uring_sqe *sqe = stor_sqe(sc);

	if (!sqe) {
		sc->to_arm |= 1ull << tag;
		stor_wake_at(sc, stor_now(sc) + STOR_RETRY_NS);
		return;
	}
	sc->to_arm &= ~(1ull << tag);
	sc->armed |= 1ull << tag;
	if (sc->one_shot & 1ull << tag)
		io_uring_prep_poll_add(sqe, fd, POLLIN);
	else
		io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, tag);
}

static void note_poll(struct stor_chan *sc, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data <= STOR_UD_KICK && !(cqe->flags & IORING_CQE_F_MORE))
		sc->armed &= ~(1ull << cqe->user_data);
}

/*
 * A poll has said something. It ends when completions overflow, when it cannot be, and on an
 * old kernel each time; then what was said must be read, or the next one says it again.
 */
static void rearm(struct stor_chan *sc, const struct io_uring_cqe *cqe, int fd)
{
	u64 bit = 1ull << cqe->user_data, n;
	bool try_one_shot = cqe->res == -EINVAL && !(sc->one_shot & bit);

	if (sc->armed & bit)
		return; /* it goes on */
	if (try_one_shot)
		sc->one_shot |= bit;
	else if (sc->one_shot & bit && read(fd, &n, sizeof(n)) < 0)
		n = 0; /* it was read already */
	if (cqe->res >= 0 || try_one_shot) {
		arm_poll(sc, fd, cqe->user_data);
		return;
	}
	sc->to_arm |= bit;
	stor_wake_at(sc, stor_now(sc) + STOR_RETRY_NS);
}

/* Something other than the guest wants us. */
static void on_kick(struct stor_chan *sc)
{
	u64 n;

	if (read(sc->worker.stop_fd, &n, sizeof(n)) < 0)
		n = 0; /* it was read already */
	if (__atomic_load_n(&sc->worker.stopping, __ATOMIC_ACQUIRE) && !sc->stopping) {
		sc->stopping = true;
		stor_cancel_at_disks(sc, ~0ull); /* nobody waits for them any more */
		stor_drop_waiting(sc, ~0ull);	 /* and of the limit they take nothing */
	}
	stor_disks_done(sc);
}

static bool any_done(struct stor_chan *sc)
{
	return __atomic_load_n(&sc->done_list, __ATOMIC_RELAXED);
}

/*
 * Without a ring: what has come? A turn that follows no sleep asks the kernel for nothing; what
 * the bus thread wants is seen by its generations.
 */
static bool look_around(struct stor_chan *sc)
{
	bool stop = __atomic_load_n(&sc->worker.stopping, __ATOMIC_RELAXED) && !sc->stopping;
	bool kicked = sc->heard & 1ull << STOR_UD_KICK || stop || any_done(sc);
	bool signalled = sc->heard & 1ull << STOR_UD_SIGNAL;
	u64 n;

	sc->heard = 0;
	if (signalled) {
		sc->io->stats.wakes++;
		if (read(sc->io->signal_fd, &n, sizeof(n)) < 0)
			n = 0; /* it was read already */
	}
	if (kicked)
		on_kick(sc);
	return kicked || signalled;
}

static bool reap(struct stor_chan *sc)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;
	bool kicked = false;

	if (!sc->uring_ok)
		return look_around(sc);
	io_uring_for_each_cqe(&sc->uring, head, cqe) {
		n++;
		note_poll(sc, cqe);
		switch (cqe->user_data) {
		case STOR_UD_SIGNAL:
			sc->io->stats.wakes++;
			if (!sc->stopping)
				rearm(sc, cqe, sc->io->signal_fd);
			break;
		case STOR_UD_KICK:
			kicked = true;
			rearm(sc, cqe, sc->worker.stop_fd);
			break;
		case LIBURING_UDATA_TIMEOUT: /* of our sleep, on kernels before 5.11 */
			break;
		default:
			stor_uring_done(sc, io_uring_cqe_get_data(cqe), cqe->res);
		}
	}
	if (n)
		io_uring_cq_advance(&sc->uring, n);
	if (kicked)
		on_kick(sc);
	return n > 0;
}

/* What waited for a time: has it come? */
static void on_time(struct stor_chan *sc)
{
	if (sc->wake_ns == STOR_NEVER || stor_now(sc) < sc->wake_ns)
		return;
	sc->wake_ns = STOR_NEVER;
	sc->starved = false;
	if (sc->to_arm & 1ull << STOR_UD_SIGNAL)
		arm_poll(sc, sc->io->signal_fd, STOR_UD_SIGNAL);
	if (sc->to_arm & 1ull << STOR_UD_KICK)
		arm_poll(sc, sc->worker.stop_fd, STOR_UD_KICK);
	if (!sc->pausing)
		stor_run_delayed(sc, stor_issue_due);
}

static bool busy_with(const struct stor_chan *sc, u64 luns)
{
	u32 i;

	for (i = 0; i < KVMB_STORAGE_MAX_LUNS; i++) {
		if (luns >> i & 1 && sc->busy[i])
			return true;
	}
	return false;
}

/* Our part of a quiesce: storage_priv.h. */
static void serve_quiesce(struct stor_chan *sc)
{
	struct kvmb_storage *s = sc->s;
	u32 gen = __atomic_load_n(&s->q_gen, __ATOMIC_ACQUIRE);

	if (gen != sc->q_seen) {
		sc->q_seen = gen;
		stor_cancel_at_disks(sc, s->q_luns);
	}
	if (!quiescing(sc))
		return;
	stor_drop_waiting(sc, s->q_luns);
	if (busy_with(sc, s->q_luns))
		return;
	if (s->q_luns != ~0ull)
		stor_forget_slots(sc, s->q_luns);
	__atomic_store_n(&sc->q_acked, gen, __ATOMIC_RELEASE);
	kvmb_loop_post(s->loop, &s->work);
}

static void answer_reset(struct stor_chan *sc)
{
	struct stor_req *r = sc->reset;

	if (!r || __atomic_load_n(&sc->reset_state, __ATOMIC_ACQUIRE) != STOR_RESET_DONE)
		return;
	sc->reset = NULL;
	__atomic_store_n(&sc->reset_state, STOR_RESET_NONE, __ATOMIC_RELAXED);
	stor_answer(sc, r);
}

static void serve_retry(struct stor_chan *sc)
{
	u32 gen = __atomic_load_n(&sc->s->retry_gen, __ATOMIC_ACQUIRE);

	if (gen == sc->retry_seen || sc->pausing)
		return;
	sc->retry_seen = gen;
	stor_retry_held(sc, stor_issue);
}

static void serve_limits(struct stor_chan *sc)
{
	u32 gen = __atomic_load_n(&sc->s->limit_gen, __ATOMIC_ACQUIRE);

	if (gen == sc->limit_seen || sc->pausing)
		return;
	sc->limit_seen = gen;
	stor_charge_again(sc, stor_issue_due);
}

/* Give space back, show answers; at most one signal each way. */
static void publish(struct stor_chan *sc)
{
	int want;

	if (sc->failed || sc->standing)
		return;
	stor_flush_answers(sc);
	stor_send_enumerate(sc);
	want = kvmb_ring_release(&sc->io->rx);
	if (want > 0)
		kvmb_chan_signal(sc->ch);
	if (want < 0 || kvmb_chan_flush(sc->ch))
		stor_fail(sc, "a ring index is out of range", -EPROTO);
}

/* Does the bus thread want us to stand still, or to go on? */
static void look_at_pause(struct stor_chan *sc)
{
	u32 gen = __atomic_load_n(&sc->pause_gen, __ATOMIC_ACQUIRE);

	if (gen == sc->pause_seen)
		return;
	sc->pause_seen = gen;
	sc->pausing = gen & 1;
	if (sc->pausing) {
		if (sc->standing) /* we never noticed that we might have gone on */
			kvmb_chan_paused(sc->ch);
		return;
	}
	if (sc->standing)
		kvmb_ring_mask(&sc->io->rx);
	sc->standing = false;
	stor_adopt_loaded(sc);
	stor_wake_at(sc, 0); /* some of what is delayed is due */
}

/* Has the emulated drive let go of our disk? */
static void look_at_twin(struct stor_chan *sc)
{
	if (sc->gated && __atomic_load_n(&sc->s->taken, __ATOMIC_ACQUIRE))
		sc->gated = false;
}

/* The end of a turn: is there nothing left that we would touch? What waits may wait. */
static void stand_still(struct stor_chan *sc)
{
	if (!sc->pausing || sc->standing || sc->inflight || sc->reset || quiescing(sc))
		return;
	sc->standing = true;
	kvmb_chan_paused(sc->ch);
}

/* Look for a while before sleeping. Return: true when something came. */
static bool poll_a_while(struct stor_chan *sc)
{
	u64 until = kvmb_mono_ns() + KVMB_POLL_NS;

	do {
		if (kvmb_ring_readable(&sc->io->rx) ||
		    (sc->uring_ok ? io_uring_cq_ready(&sc->uring) : any_done(sc)))
			return true;
		__builtin_ia32_pause();
	} while (kvmb_mono_ns() < until);
	return false;
}

/* The kernel could not: leave it alone for a moment, unless something completes. */
static void pause_after(struct stor_chan *sc, int err)
{
	struct pollfd p = { .fd = sc->uring.ring_fd, .events = POLLIN };

	if (err < 0 && err != -ETIME && err != -EINTR)
		poll(&p, 1, (int)(STOR_RETRY_NS / 1000000));
}

static void submit(struct stor_chan *sc)
{
	int err = io_uring_submit(&sc->uring);

	stor_count(&sc->io_submits, 1);
	pause_after(sc, err);
}

/* Until a completion comes, or wake_ns. */
static void sleep_in_uring(struct stor_chan *sc)
{
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;
	u64 now, ns;
	int err;

	if (sc->wake_ns == STOR_NEVER) {
		err = io_uring_submit_and_wait(&sc->uring, 1);
	} else {
		now = kvmb_mono_ns();
		if (now >= sc->wake_ns)
			return;
		ns = sc->wake_ns - now;
		ts = (struct __kernel_timespec){ .tv_sec = (long long)(ns / 1000000000u),
						 .tv_nsec = (long long)(ns % 1000000000u) };
		err = io_uring_submit_and_wait_timeout(&sc->uring, &cqe, 1, &ts, NULL);
	}
	stor_count(&sc->io_submits, 1);
	pause_after(sc, err);
}

/* The same without a ring. */
static void sleep_in_poll(struct stor_chan *sc)
{
	struct pollfd p[2] = { { .fd = sc->worker.stop_fd, .events = POLLIN },
			       { .fd = sc->io->signal_fd, .events = POLLIN } };
	struct timespec ts;
	u64 now, ns;

	if (sc->wake_ns == STOR_NEVER) {
		ppoll(p, ARRAY_SIZE(p), NULL, NULL);
	} else {
		now = kvmb_mono_ns();
		if (now >= sc->wake_ns)
			return;
		ns = sc->wake_ns - now;
		ts = (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u),
					.tv_nsec = (long)(ns % 1000000000u) };
		ppoll(p, ARRAY_SIZE(p), &ts, NULL);
	}
	sc->heard = (p[0].revents ? 1ull << STOR_UD_KICK : 0) |
		    (p[1].revents ? 1ull << STOR_UD_SIGNAL : 0);
}

static void sleep_until_news(struct stor_chan *sc)
{
	kvmb_tuner_note(&sc->tuner, sc->taken);
	sc->taken = 0;
	if (accepting(sc)) {
		if (sc->tuner.mode == KVMB_WAIT_POLL && poll_a_while(sc))
			return;
		/* ask for signals, look once more, sleep */
		if (kvmb_ring_unmask(&sc->io->rx)) {
			kvmb_ring_mask(&sc->io->rx);
			return;
		}
	}
	if (sc->uring_ok)
		sleep_in_uring(sc);
	else
		sleep_in_poll(sc);
	if (accepting(sc))
		kvmb_ring_mask(&sc->io->rx);
}

static void remove_poll(struct stor_chan *sc, u64 tag, u64 *asked)
{
	u64 bit = 1ull << tag;
	struct io_uring_sqe *sqe = sc->armed & bit & ~*asked ? stor_sqe(sc) : NULL;

	if (!sqe)
		return;
	io_uring_prep_poll_remove(sqe, tag);
	io_uring_sqe_set_data64(sqe, STOR_UD_REMOVE | tag);
	*asked |= bit;
}

static void note_removal(struct stor_chan *sc, const struct io_uring_cqe *cqe, u64 *asked)
{
	u64 bit;

	if ((cqe->user_data & ~3ull) != STOR_UD_REMOVE)
		return;
	bit = 1ull << (cqe->user_data & 3);
	*asked &= ~bit;
	if (cqe->res == -ENOENT) /* it has ended by itself */
		sc->armed &= ~bit;
}

/* The ring will be another channel's: its polls must have ended, its slots be empty. */
static void leave_ring(struct stor_chan *sc)
{
	struct io_uring_cqe *cqe;
	u64 asked = 0;

	while (sc->armed || asked) {
		remove_poll(sc, STOR_UD_SIGNAL, &asked);
		remove_poll(sc, STOR_UD_KICK, &asked);
		pause_after(sc, io_uring_submit_and_wait(&sc->uring, 1));
		while (!io_uring_peek_cqe(&sc->uring, &cqe)) {
			note_poll(sc, cqe);
			note_removal(sc, cqe, &asked);
			io_uring_cqe_seen(&sc->uring, cqe);
		}
	}
	stor_forget_slots(sc, ~0ull);
}

void stor_worker_run(void *arg)
{
	struct stor_chan *sc = arg;
	bool progress;

	kvmb_tuner_init(&sc->tuner);
	if (sc->uring_ok) {
		arm_poll(sc, sc->io->signal_fd, STOR_UD_SIGNAL);
		arm_poll(sc, sc->worker.stop_fd, STOR_UD_KICK);
	}
	if (!sc->standing)
		kvmb_ring_mask(&sc->io->rx);
	while (!sc->stopping || sc->inflight) {
		sc->now = 0;
		progress = reap(sc);
		look_at_twin(sc);
		look_at_pause(sc);
		on_time(sc);
		serve_retry(sc);
		serve_limits(sc);
		serve_quiesce(sc);
		answer_reset(sc);
		progress |= drain(sc);
		stor_issue_ready(sc);
		publish(sc);
		if (sc->ready)
			continue; /* what an answer on the spot left over */
		stand_still(sc);
		if (sc->uring_ok && io_uring_sq_ready(&sc->uring))
			submit(sc);
		else if (!progress)
			sleep_until_news(sc);
	}
	if (sc->uring_ok)
		leave_ring(sc);
	kvmb_chan_closed(sc->ch);
}
