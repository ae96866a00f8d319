// SPDX-License-Identifier: GPL-2.0-only
/* Logging where a VM hangs; theory of operation: overdue.h. */
#include "vmm/overdue.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/thread.h"

#define AGAIN 6u /* times the limit until it is said again */
#define STACK (128 * 1024)
#define KEEPER_MS 1000u

static void report(const struct overdue *o, uint64_t now)
{
	int err;

	kvmb_warn(o->who,
		  "%s has taken %llu s and is not done: waiting for %s; "
		  "kill the process to end it. "
		  "Its threads:",
		  o->what, (unsigned long long)(now - o->begun_ms) / 1000, o->step);
	/* in our sandbox we may not even look for /proc; the keeper may */
	err = kvmb_keeper_log_threads(KEEPER_MS);
	if (err == -ENOTCONN)
		kvmb_log_threads(o->who, getpid());
	else if (err)
		kvmb_warn(o->who, "  the keeper does not tell them");
}

static void *thread_main(void *arg)
{
	struct overdue *o = arg;
	struct timespec until;
	uint64_t now;

	kvmb_thread_enter(KVMB_THREAD_OVERDUE, "overdue");
	pthread_mutex_lock(&o->lock);
	while (!o->done) {
		now = kvmb_now_ms();
		if (now >= o->report_ms) {
			report(o, now);
			o->report_ms = now + (uint64_t)o->limit_ms * AGAIN;
		}
		until.tv_sec = (time_t)(o->report_ms / 1000);
		until.tv_nsec = (long)(o->report_ms % 1000) * 1000000;
		pthread_cond_timedwait(&o->cond, &o->lock, &until);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

static void start_thread(struct overdue *o)
{
	pthread_condattr_t ca;
	pthread_attr_t attr;
	sigset_t all, old;

	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&o->cond, &ca);
	pthread_condattr_destroy(&ca);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	o->done = false;
	o->running = !pthread_create(&o->thread, &attr, thread_main, o);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
}

void overdue_begin(struct overdue *o, const char *who, const char *what, uint32_t limit_ms)
{
	if (o->running)
		pthread_mutex_lock(&o->lock);
	o->who = who;
	o->what = what;
	o->step = "its begin";
	o->limit_ms = limit_ms;
	o->begun_ms = kvmb_now_ms();
	o->report_ms = o->begun_ms + limit_ms;
	if (o->running) {
		pthread_cond_broadcast(&o->cond);
		pthread_mutex_unlock(&o->lock);
	} else {
		start_thread(o);
	}
}

void overdue_step(struct overdue *o, const char *step)
{
	if (!o->running)
		return;
	pthread_mutex_lock(&o->lock);
	o->step = step;
	pthread_mutex_unlock(&o->lock);
}

void overdue_end(struct overdue *o)
{
	if (!o->running)
		return;
	pthread_mutex_lock(&o->lock);
	o->done = true;
	pthread_cond_broadcast(&o->cond);
	pthread_mutex_unlock(&o->lock);
	pthread_join(o->thread, NULL);
	pthread_cond_destroy(&o->cond);
	pthread_mutex_destroy(&o->lock);
	o->running = false;
}
