// SPDX-License-Identifier: GPL-2.0-only
/* Taking VNC clients, each in a process: vnc_door.h. */
#include "cli/vnc_door.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/mig_apart.h"
#include "cli/mig_tcp.h"
#include "cli/vnc_client.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "vmm/handover.h"

#define MEMORY \
	((rlim_t)1 << 30) /* of a client's process: screens have 16 MiB, the library several */

struct doorman {
	struct vnc_door *d;
	int signals;
	int life[2];	 /* a pipe: hung up when we are gone */
	sigset_t before; /* of the process, as it came */
	int num;	 /* clients */
	uint64_t rest_until;
};

/* ---- a client's process ---- */

struct ends { /* of a display */
	int ours, vms, picture;
};

static void limit_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
	const struct rlimit most = { MEMORY, MEMORY };

	setrlimit(RLIMIT_DATA, &most);
#endif
}

static void become_client(const struct doorman *m, int sock, const struct ends *e)
{
	const struct vnc_client c = { .sock = sock,
				      .display = e->ours,
				      .picture = e->picture,
				      .door = m->life[0],
				      .name = m->d->name,
				      .password = m->d->password };
	int keep[] = { sock, e->ours, e->picture, m->life[0] };

	sigprocmask(SIG_SETMASK, &m->before, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "kvmbus-vnc");
	mig_apart_keep(keep, ARRAY_SIZE(keep));
	limit_memory();
	if (!mig_apart_confine("vnc"))
		_exit(EXIT_FAILED);
	_exit(vnc_client_run(&c) ? EXIT_FAILED : EXIT_OK);
}

/* ---- taking one in ---- */

/* Return: false: the VM has none for it, and that was printed. */
static bool ask_for_display(const struct vnc_door *d, const struct ends *e)
{
	struct handover_fds fds = { .fd = { e->vms, e->picture }, .num = 2 };
	json_t *o = NULL;
	int code = client_ask_on(d->control, d->vm, "display",
				 json_pack("{s:b}", "view-only", d->view_only), &fds, &o);

	json_decref(o);
	return code == EXIT_OK;
}

static bool make_ends(struct ends *e)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return false;
	*e = (struct ends){ .ours = sv[0], .vms = sv[1] };
	e->picture = memfd_create("kvmbus-vnc", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (e->picture >= 0)
		return true;
	close(sv[0]);
	close(sv[1]);
	return false;
}

static void take_client(struct doorman *m, int sock)
{
	struct ends e;
	pid_t pid;

	if (m->num == VNC_DOOR_CLIENTS || !make_ends(&e))
		return;
	if (ask_for_display(m->d, &e)) {
		pid = fork();
		if (!pid)
			become_client(m, sock, &e);
		if (pid < 0)
			cli_error("vnc: %s", strerror(errno));
		m->num += pid > 0;
	}
	close(e.ours);
	close(e.vms);
	close(e.picture);
}

static void answer_door(struct doorman *m, int fd)
{
	struct kvmb_listener *path = &m->d->path;
	int sock = path->fd >= 0 ? kvmb_accept_unix(path, 0) :
				   accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (sock < 0)
		return;
	mig_tcp_tune(sock); /* fails on others */
	take_client(m, sock);
	close(sock);
}

/* ---- its life ---- */

static void count_out(struct doorman *m, int status)
{
	m->num--;
	if (!WIFSIGNALED(status))
		return;
	cli_error("vnc: the process of a client died of signal %d (%s)", WTERMSIG(status),
		  strsignal(WTERMSIG(status)));
	m->rest_until = kvmb_now_ms() + VNC_DOOR_REST_MS;
}

/* Return: false: one that ends the door. */
static bool take_signal(struct doorman *m)
{
	struct signalfd_siginfo si;
	int status;

	if (read(m->signals, &si, sizeof(si)) != sizeof(si))
		return true;
	if (si.ssi_signo != SIGCHLD)
		return false;
	while (waitpid(-1, &status, WNOHANG) > 0)
		count_out(m, status);
	return true;
}

/* Return: false: it is over. */
static bool watch_door(struct doorman *m)
{
	struct pollfd p[2 + VNC_DOOR_FDS] = { { .fd = m->signals, .events = POLLIN },
					      { .fd = m->d->control, .events = POLLIN } };
	uint64_t now = kvmb_now_ms();
	bool rests = now < m->rest_until;
	int i;

	for (i = 0; i < m->d->num; i++)
		p[2 + i] = (struct pollfd){ .fd = rests ? -1 : m->d->fds[i], .events = POLLIN };
	if (poll(p, 2 + (nfds_t)m->d->num, rests ? (int)(m->rest_until - now) : -1) < 0)
		return errno == EINTR;
	if (p[1].revents) /* it says nothing unasked */
		return false;
	if (p[0].revents && !take_signal(m))
		return false;
	for (i = 0; i < m->d->num; i++) {
		if (p[2 + i].revents)
			answer_door(m, m->d->fds[i]);
	}
	return true;
}

int vnc_door_run(struct vnc_door *d)
{
	static const int taken[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP };
	struct doorman m = { .d = d };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	sigprocmask(SIG_BLOCK, &set, &m.before);
	m.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (m.signals < 0 || pipe2(m.life, O_CLOEXEC)) {
		cli_error("vnc: %s", strerror(errno));
		return EXIT_FAILED;
	}
	while (watch_door(&m))
		;
	close(m.signals);
	close(m.life[0]);
	close(m.life[1]); /* and they end */
	return EXIT_OK;
}
