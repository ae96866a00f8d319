// SPDX-License-Identifier: GPL-2.0-only
/* Worker threads: start, stop, join. */
#include "host-vsp/worker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/util.h"

#define WORKER_STACK (256 * 1024)

static void *thread_main(void *arg)
{
	struct kvmb_worker *w = arg;

	kvmb_thread_enter(w->class, w->name);
	w->run(w->arg);
	return NULL;
}

int kvmb_worker_init(struct kvmb_worker *w)
{
	w->stopping = 0;
	w->started = false;
	w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return w->stop_fd < 0 ? -errno : 0;
}

int kvmb_worker_start(struct kvmb_worker *w, enum kvmb_thread_class class, const char *name,
		      void (*run)(void *arg), void *arg)
{
	sigset_t all, old;
	pthread_attr_t attr;
	int err;

	w->run = run;
	w->arg = arg;
	w->class = class;
	snprintf(w->name, sizeof(w->name), "%s", name);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, &attr, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		return -err;
	w->started = true;
	return 0;
}

void kvmb_worker_kick(struct kvmb_worker *w)
{
	uint64_t one = 1;

	if (write(w->stop_fd, &one, sizeof(one)) < 0)
		return; /* counter full: already readable */
}

void kvmb_worker_stop(struct kvmb_worker *w)
{
	__atomic_store_n(&w->stopping, 1, __ATOMIC_RELEASE);
	kvmb_worker_kick(w);
}

/* glibc has the call, and leaves it to us what to do without it. */
int kvmb_worker_wait(int epoll_fd, struct epoll_event *ev, int num, int64_t ns)
{
	const struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	int64_t ms = ns / 1000000 + (ns % 1000000 != 0);
	int n = epoll_pwait2(epoll_fd, ev, num, ns < 0 ? NULL : &ts, NULL);

	if (n >= 0 || errno != ENOSYS)
		return n;
	return epoll_pwait(epoll_fd, ev, num, ns < 0 ? -1 : (int)KVMB_MIN(ms, INT_MAX), NULL);
}

void kvmb_worker_join(struct kvmb_worker *w)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

void kvmb_worker_fini(struct kvmb_worker *w)
{
	kvmb_assert(!w->started);
	close(w->stop_fd);
	w->stop_fd = -1;
}
