// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that wait: for the disk's limit, for a kernel that refuses them now, for a retry.
 *
 * DOC: Theory of operation
 *
 * A request that waits for a time is on chan->delayed, and chan->wake_ns is the earliest of
 * those times. The worker sleeps no longer than until then. There is no other timer, so a guest
 * that lets requests wait and cancels them leaves nothing behind in the kernel. A cancelled
 * request gives its share of the limit back.
 */
#include "host-vsp/storage/storage_priv.h"

#include "lib/util.h"

void stor_wake_at(struct stor_chan *sc, u64 ns)
{
	sc->wake_ns = KVMB_MIN(sc->wake_ns, ns);
}

void stor_delay(struct stor_chan *sc, struct stor_req *r, u64 ns)
{
	stor_req_to(r, REQ_DELAYED);
	r->due_ns = stor_now(sc) + ns;
	r->next = sc->delayed;
	sc->delayed = r;
	stor_wake_at(sc, r->due_ns);
}

void stor_hold(struct stor_chan *sc, struct stor_req *r, int err)
{
	stor_req_to(r, REQ_HELD);
	r->next = sc->held;
	sc->held = r;
	__atomic_store_n(&sc->s->stopped_err, err, __ATOMIC_RELAXED);
	__atomic_fetch_or(&sc->s->stopped, 1ull << r->lun, __ATOMIC_RELEASE);
	kvmb_loop_post(sc->s->loop, &sc->s->work);
}

/* Those of @list that are of @luns and due are taken out and handed to @fn. */
static void sweep_list(struct stor_chan *sc, struct stor_req **list, u64 luns, u64 due_before,
		  stor_issue_fn *fn)
{
	struct stor_req *r = *list, *next;

	*list = NULL; /* fn() may put it back */
	for (; r; r = next) {
		next = r->next;
		if (luns >> r->lun & 1 && r->due_ns <= due_before) {
			stor_req_to(r, REQ_TAKEN);
			fn(sc, r);
		} else {
			r->next = *list;
			*list = r;
		}
	}
}

static void drop_request(struct stor_chan *sc, struct stor_req *r)
{
	kvmb_throttle_give_back(&r->disk->throttle, &r->cost);
	stor_answer_gone(sc, r);
}

void stor_run_delayed(struct stor_chan *sc, stor_issue_fn *issue)
{
	struct stor_req *r;

	sweep_list(sc, &sc->delayed, ~0ull, stor_now(sc), issue);
	for (r = sc->delayed; r; r = r->next)
		stor_wake_at(sc, r->due_ns);
}

/*
 * All give back before one is charged: else the later ones would give back what the earlier are
 * charged now.
 */
void stor_charge_again(struct stor_chan *sc, stor_issue_fn *issue)
{
	struct stor_req *r = sc->delayed, *next, *charged = NULL, *keep = NULL;
	u64 wait;

	for (; r; r = next) {
		struct stor_req **to = r->cost.op_ns || r->cost.byte_ns ? &charged : &keep;

		next = r->next;
		kvmb_throttle_give_back(&r->disk->throttle, &r->cost);
		r->next = *to;
		*to = r;
	}
	sc->delayed = keep; /* those wait for something else */
	for (r = charged; r; r = next) {
		next = r->next;
		stor_req_to(r, REQ_TAKEN);
		wait = kvmb_throttle_charge(&r->disk->throttle, r->length, stor_now(sc), &r->cost);
		if (wait)
			stor_delay(sc, r, wait);
		else
			issue(sc, r);
	}
}

void stor_retry_held(struct stor_chan *sc, stor_issue_fn *issue)
{
	sweep_list(sc, &sc->held, ~0ull, ~0ull, issue);
}

void stor_drop_waiting(struct stor_chan *sc, u64 luns)
{
	sweep_list(sc, &sc->delayed, luns, ~0ull, drop_request);
	sweep_list(sc, &sc->held, luns, ~0ull, drop_request);
}
