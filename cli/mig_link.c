// SPDX-License-Identifier: GPL-2.0-only
/* Streams with a pump and without: mig_link.h. */
#include "cli/mig_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/mig_pump.h"
#include "lib/exits.h"
#include "lib/jail.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "vmm/confine.h"

#define END_S 15     /* MIG_PUMP_STUCK_MS, and what a slow host takes */
#define LINE_MS 1000 /* one line about strangers in that time */

/* ---- who connects ---- */

int mig_link_prepare(struct mig_link *l, const struct mig_address *a)
{
	char why[MIG_TLS_WHY];

	*l = (struct mig_link){ .address = a, .fd = -1, .tcp = -1, .plain = -1 };
	if (!a->tls || !mig_tls_init(&l->tls, a->tls, false, why))
		return EXIT_OK;
	cli_error("%s", why);
	return EXIT_FAILED;
}

static void *pump(void *arg)
{
	struct mig_link *l = arg;

	mig_pump_run(l->session, l->tcp, l->plain, l->why);
	shutdown(l->plain, SHUT_RDWR); /* the VM's process hears it, whatever is closed when */
	shutdown(l->tcp, SHUT_RDWR);
	return NULL;
}

/* A descriptor has no name: the other side is who has that address. */
static bool expect_peer(struct mig_link *l)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof(a);
	char host[80];

	if (l->address->kind == MIG_TCP)
		snprintf(host, sizeof(host), "%.*s", (int)strcspn(l->address->host, "%"),
			 l->address->host);
	else if (getpeername(l->tcp, (struct sockaddr *)&a, &len) ||
		 getnameinfo((struct sockaddr *)&a, len, host, sizeof(host), NULL, 0,
			     NI_NUMERICHOST) ||
		 a.ss_family == AF_UNIX)
		return false;
	host[strcspn(host, "%")] = 0;
	mig_tls_expect(&l->tls, host);
	return true;
}

/* Return: NULL, or why not. */
static const char *begin_tls(struct mig_link *l)
{
	if (!expect_peer(l))
		return "which host is it? TLS must know whom to expect";
	l->session = mig_tls_open(&l->tls, l->tcp);
	if (!l->session)
		return strerror(ENOMEM);
	return mig_tls_greet_for(l->session, l->tcp, MIG_LINK_GREET_MS, l->why) ? l->why : NULL;
}

static const char *begin_pump(struct mig_link *l)
{
	int sv[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
		return strerror(errno);
	l->fd = sv[0];
	l->plain = sv[1];
	err = pthread_create(&l->thread, NULL, pump, l);
	l->pumps = !err;
	return err ? strerror(err) : NULL;
}

int mig_link_connect(struct mig_link *l)
{
	const char *why;
	int fd = mig_connect(l->address);

	if (fd < 0)
		return EXIT_FAILED;
	if (!l->address->tls) {
		l->fd = fd;
		return EXIT_OK;
	}
	l->tcp = fd;
	why = begin_tls(l);
	if (!why)
		why = begin_pump(l);
	if (!why)
		return EXIT_OK;
	cli_error("%s: %s", l->address->text, why);
	mig_link_end(l);
	return EXIT_FAILED;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A VM's process that keeps the stream must not keep us. */
static void join_pump(struct mig_link *l)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	if (pthread_timedjoin_np(l->thread, NULL, &until)) {
		shutdown(l->tcp, SHUT_RDWR);
		shutdown(l->plain, SHUT_RDWR);
		pthread_join(l->thread, NULL);
	}
	l->pumps = false;
}

void mig_link_end(struct mig_link *l)
{
	close_fd(&l->fd);
	if (l->pumps)
		join_pump(l);
	mig_tls_close(l->session);
	l->session = NULL;
	close_fd(&l->plain);
	close_fd(&l->tcp);
	mig_tls_fini(&l->tls);
}

/* ---- who waits: the pump's own process ---- */

struct guest { /* he has not proved yet who he is */
	int fd;
	gnutls_session_t session; /* NULL = nobody */
	uint64_t until;
};

struct host {
	const struct mig_address *address;
	struct mig_tls tls;
	struct mig_door door;
	struct guest guests[MIG_LINK_GUESTS];
	int plain;
	uint64_t next_line; /* about strangers */
};

static void see_off(struct guest *g)
{
	mig_tls_close(g->session);
	close(g->fd);
	g->session = NULL;
}

/* A free place, or that of who has had the longest time. */
static struct guest *find_place(struct host *h)
{
	struct guest *g, *oldest = h->guests;

	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (!g->session)
			return g;
		if (g->until < oldest->until)
			oldest = g;
	}
	see_off(oldest);
	return oldest;
}

static void let_in(struct host *h, int fd)
{
	struct guest *g = find_place(h);

	*g = (struct guest){ .fd = fd,
			     .session = mig_tls_open(&h->tls, fd),
			     .until = kvmb_now_ms() + MIG_LINK_GREET_MS };
	if (!g->session)
		close(fd);
}

static void say_why(struct host *h, const char *why)
{
	uint64_t now = kvmb_now_ms();

	if (now < h->next_line)
		return;
	h->next_line = now + LINE_MS;
	cli_error("%s: somebody connected, and is not let in: %s", h->address->text, why);
}

/* Return: one who has proved who he is. */
static struct guest *hear_guests(struct host *h)
{
	char why[MIG_TLS_WHY];
	struct guest *g;
	int err;

	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (!g->session)
			continue;
		err = mig_tls_greet(g->session, why);
		if (!err)
			return g;
		if (err == -EAGAIN && kvmb_now_ms() < g->until)
			continue;
		say_why(h, err == -EAGAIN ? "he says nothing" : why);
		see_off(g);
	}
	return NULL;
}

/* Who waits for us, the door, and those who are in. Return: descriptors in @p. */
static nfds_t list_fds(const struct host *h, struct pollfd *p, int *ms)
{
	uint64_t now = kvmb_now_ms();
	const struct guest *g;
	nfds_t n = 0;
	int i;

	*ms = -1;
	p[n++] = (struct pollfd){ .fd = h->plain };
	for (i = 0; i < h->door.num; i++)
		p[n++] = (struct pollfd){ .fd = h->door.fds[i], .events = POLLIN };
	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (!g->session)
			continue;
		p[n++] = (struct pollfd){ .fd = g->fd, .events = mig_tls_events(g->session) };
		if (*ms < 0 || now + (uint64_t)*ms > g->until)
			*ms = g->until > now ? (int)(g->until - now) : 0;
	}
	return n;
}

/* Return: one who has proved who he is; NULL: nobody waits for him, or one line is printed. */
static struct guest *receive_guests(struct host *h)
{
	struct pollfd p[1 + MIG_TCP_MAX + MIG_LINK_GUESTS];
	struct guest *g = NULL;
	int i, fd, ms;

	while (!g) {
		nfds_t n = list_fds(h, p, &ms);

		if (poll(p, n, ms) < 0)
			continue;
		if (p[0].revents)
			return NULL;
		for (i = 0; i < h->door.num; i++) {
			fd = p[1 + i].revents ? mig_door_take(&h->door, i) : -1;
			if (fd == -2)
				return NULL;
			if (fd >= 0)
				let_in(h, fd);
		}
		g = hear_guests(h);
	}
	return g;
}

/* Who comes later is to hear it now, and not when the VM has come. */
static void see_off_others(struct host *h, const struct guest *in)
{
	struct guest *g;

	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (g->session && g != in)
			see_off(g);
	}
}

/* Of a connection that was inherited. */
static struct guest *greet_one(struct host *h)
{
	struct guest *g = h->guests;
	char why[MIG_TLS_WHY];
	int fd = mig_door_take(&h->door, 0);

	if (fd < 0)
		return NULL;
	let_in(h, fd);
	if (g->session && !mig_tls_greet_for(g->session, fd, MIG_LINK_GREET_MS, why))
		return g;
	say_why(h, g->session ? why : strerror(ENOMEM));
	return NULL;
}

/* What a stranger sends is read without rights. */
static bool confine_pump(const struct mig_address *a)
{
	unsigned int lacks = 0;
	uid_t user = geteuid() ? (uid_t)-1 : CONFINE_UID_BASE + (uid_t)getpid();
	char why[200];
	int listener = -1, err = confine_process(user, user, &lacks, why, sizeof(why));

	if (!err) {
		err = kvmb_jail_enter(-1, &listener, &lacks);
		snprintf(why, sizeof(why), "sandbox: seccomp: %s", strerror(-err));
	}
	if (listener >= 0)
		close(listener); /* nothing is executed */
	if (err)
		cli_error("%s: %s", a->text, why);
	return !err;
}

static void close_between(int from, int to)
{
	if (from <= to)
		syscall(SYS_close_range, (unsigned int)from, (unsigned int)to, 0);
}

/* The VM's terminal, what the shell left open: none of it is the pump's. It can still complain. */
static void keep_only(int a, int b)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int low = KVMB_MIN(a, b), high = a + b - low;

	if (b && null >= 0)
		dup2(null, STDIN_FILENO);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	close_between(STDERR_FILENO + 1, low - 1);
	close_between(KVMB_MAX(low, STDERR_FILENO) + 1, high - 1);
	close_between(KVMB_MAX(high, STDERR_FILENO) + 1, INT_MAX);
}

/* Return: the exit status of its process. */
static int serve(const struct mig_address *a, int plain)
{
	struct host h = { .address = a, .plain = plain };
	char why[MIG_TLS_WHY];
	struct guest *g;
	int err;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "kvmbus-tls");
	keep_only(plain, a->fd);
	if (mig_tls_init(&h.tls, a->tls, true, why)) {
		cli_error("%s", why);
		return EXIT_FAILED;
	}
	if (mig_door_open(&h.door, a) || !confine_pump(a))
		return EXIT_FAILED;
	g = h.door.connected ? greet_one(&h) : receive_guests(&h);
	if (!g)
		return EXIT_FAILED;
	mig_door_close(&h.door);
	see_off_others(&h, g);
	err = mig_pump_run(g->session, g->fd, plain, why);
	if (err)
		cli_error("%s: %s", a->text, err == -ENODATA ? "who connected hung up" : why);
	shutdown(plain, SHUT_RDWR);
	return EXIT_OK;
}

/* Nobody's child, so that the VM need not wait for it. */
static int fork_apart(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		pid = fork();
		if (pid)
			_exit(pid < 0);
		return 1;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

int mig_link_serve(const struct mig_address *a)
{
	int sv[2], child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv)) {
		cli_error("%s: %s", a->text, strerror(errno));
		return -1;
	}
	child = fork_apart();
	if (child < 0)
		cli_error("%s: %s", a->text, strerror(-child));
	if (child > 0) {
		close(sv[0]);
		_exit(serve(a, sv[1]));
	}
	close(sv[1]);
	mig_address_leave(a);
	if (child < 0) {
		close(sv[0]);
		return -1;
	}
	return sv[0];
}
