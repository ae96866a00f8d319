// SPDX-License-Identifier: GPL-2.0-only
/* Signals while the loop does not run; theory of operation: guard.h. */
#include "vmm/guard.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/exits.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/util.h"
#include "vmm/console.h"

void guard_end_process(const char *name, int sig)
{
	kvmb_warn(name, "SIG%s: ended at once", sigabbrev_np(sig));
	console_restore_tty();
	_exit(EXIT_KILLED);
}

void guard_leave(const char *name, const char *why)
{
	kvmb_warn(name, "%s", why);
	console_restore_tty();
	_exit(EXIT_KILLED);
}

static void *watch_signals(void *arg)
{
	struct guard *g = arg;
	struct pollfd p[] = { { .fd = g->stop_fd, .events = POLLIN },
			      { .fd = g->sig_fd, .events = POLLIN } };
	struct signalfd_siginfo si;

	kvmb_thread_enter(KVMB_THREAD_GUARD, "guard");
	for (;;) {
		poll(p, 2, -1);
		if (p[0].revents)
			return NULL;
		if (p[1].revents && read(g->sig_fd, &si, sizeof(si)) == sizeof(si))
			guard_end_process(g->name, (int)si.ssi_signo);
	}
}

int guard_start(struct guard *g, const char *name, int sig_fd)
{
	int err;

	*g = (struct guard){ .name = name, .sig_fd = sig_fd };
	g->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (g->stop_fd < 0)
		return -errno;
	err = pthread_create(&g->thread, NULL, watch_signals, g);
	if (err)
		close(g->stop_fd);
	return -err;
}

void guard_stop(struct guard *g)
{
	eventfd_write(g->stop_fd, 1);
	pthread_join(g->thread, NULL);
	close(g->stop_fd);
}
