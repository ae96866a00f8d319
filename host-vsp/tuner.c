// SPDX-License-Identifier: GPL-2.0-only
/* How a worker waits; theory of operation: tuner.h. */
#include "host-vsp/tuner.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "lib/util.h"

#define WINDOW 64u
#define ALONE 8u /* wakes of a BATCH trial that find one request each: there is nothing to batch */
#define MIN_BACKOFF 2u
#define MAX_BACKOFF 16u
#define SLOW_NS 1000000u /* a request's time from which on waiting is no matter */

/* percent of the best time that another way must stay below, to replace it */
static const u32 must_beat[KVMB_WAIT_NUM] = {
	[KVMB_WAIT_WAKE] = 100, [KVMB_WAIT_BATCH] = 95, [KVMB_WAIT_POLL] = 85,
};

u64 kvmb_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000ull + (u64)ts.tv_nsec;
}

/* Is there one CPU for us? Not sysconf(), which opens a file. */
static bool is_alone(void)
{
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
}

void kvmb_tuner_init(struct kvmb_tuner *t)
{
	*t = (struct kvmb_tuner){ .num_ways = KVMB_WAIT_POLL, .wait = MIN_BACKOFF,
				  .backoff = MIN_BACKOFF };
	if (!is_alone())
		t->num_ways = KVMB_WAIT_NUM;
}

static void set_mode(struct kvmb_tuner *t, enum kvmb_wait to)
{
	struct sched_param p = { 0 };
	bool was = t->mode == KVMB_WAIT_BATCH, is = to == KVMB_WAIT_BATCH;

	if (was != is && sched_setscheduler(0, is ? SCHED_BATCH : SCHED_OTHER, &p)) {
		t->num_ways = 1; /* a sandbox or a realtime class of the user's: leave it alone */
		to = KVMB_WAIT_WAKE;
	}
	t->mode = to;
}

static void begin_trial(struct kvmb_tuner *t)
{
	do {
		t->next_trial = (t->next_trial + 1) % t->num_ways;
	} while (t->next_trial == (u32)t->best);
	t->trying = true;
	t->wakes = 0;
	set_mode(t, (enum kvmb_wait)t->next_trial);
}

static void end_trial(struct kvmb_tuner *t, u64 ns)
{
	t->trying = false;
	if (ns * 100 < t->best_ns * must_beat[t->mode]) {
		t->best = t->mode;
		t->best_ns = ns;
		t->backoff = MIN_BACKOFF;
	} else {
		t->backoff = KVMB_MIN(t->backoff * 2, MAX_BACKOFF);
		set_mode(t, t->best);
	}
	t->wait = t->backoff;
}

static void window(struct kvmb_tuner *t, u64 ns)
{
	if (ns > SLOW_NS) { /* pauses between requests say nothing about how to wait */
		t->trying = false;
		t->best_ns = 0;
		t->best = KVMB_WAIT_WAKE;
		t->wait = t->backoff = MIN_BACKOFF;
		set_mode(t, KVMB_WAIT_WAKE);
		return;
	}
	if (t->trying) {
		end_trial(t, ns);
		return;
	}
	t->best_ns = t->best_ns ? (t->best_ns + ns) / 2 : ns;
	if (!--t->wait && t->num_ways > 1)
		begin_trial(t);
	else
		t->wait = KVMB_MAX(t->wait, 1u);
}

/* A guest that has one request at a time gains nothing by BATCH, and pays for each wake-up. */
static bool pointless(struct kvmb_tuner *t, u32 n)
{
	if (!t->trying || t->mode != KVMB_WAIT_BATCH || !n || t->wakes > ALONE)
		return false;
	t->wakes = n == 1 ? t->wakes + 1 : ALONE + 1; /* never again in this trial */
	return t->wakes == ALONE;
}

void kvmb_tuner_note(struct kvmb_tuner *t, u32 n)
{
	bool give_up = pointless(t, n);
	u64 now;

	t->count += n;
	if (t->count < WINDOW && !give_up)
		return;
	now = kvmb_mono_ns();
	if (give_up)
		end_trial(t, UINT64_MAX / 100);
	else if (t->since_ns)
		window(t, (now - t->since_ns) / t->count);
	t->since_ns = now;
	t->count = 0;
}
