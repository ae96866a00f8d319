// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-mode networking: passt, at the other end of a stream socket.
 *
 * DOC: Theory of operation
 *
 * The keeper (lib/keeper.h) starts passt and tells when it is ready: it has bound its ports, and
 * has confined itself. When passt dies, its connections are lost, as when a router restarts. The
 * guest gets the same address again, because passt uses the host's.
 *
 * revive() never waits. The caller repeats it, and each call does the next step: drop the
 * socket, have an old passt killed, start a new one, use the new socket. The keeper's channel,
 * which the loop watches, tells when the next step is possible.
 *
 * We try to bind a forwarded port ourselves before passt starts the first time. passt (2023-03)
 * is content if either IPv4 or IPv6 works, and when it reports that it could not bind, it does
 * not say why. passt has the same rights as whoever registers its recipe: the same user starts
 * it, and it binds before it drops root's privileges.
 *
 * Source: passt(1), options --fd, --pid, -t, -u.
 */
#include "backend/net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/loop.h"
#include "lib/util.h"

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define STREAM_FD TEXT(KVMB_RECIPE_SOCKET)
#define MAX_FORWARD 32u
#define KILL_MS 1000u	/* to wait for its end; the keeper goes on trying */
#define START_MS 20000u /* of the keeper, whose own limit is ready_ms */

enum passt_state {
	PASST_NONE,	/* revive() -> STARTING */
	PASST_STARTING, /* the keeper tells: it is ready -> READY; ended -> NONE */
	PASST_READY,	/* it ended -> NONE; it has hung up, and revive() -> ENDING */
	PASST_ENDING,	/* the keeper is to kill it; ended, or stuck -> NONE */
};

static const unsigned char moves[] = {
	[PASST_NONE] = 1 << PASST_STARTING,
	[PASST_STARTING] = 1 << PASST_READY | 1 << PASST_NONE,
	[PASST_READY] = 1 << PASST_ENDING | 1 << PASST_NONE,
	[PASST_ENDING] = 1 << PASST_NONE,
};

struct passt {
	struct kvmb_stream s;
	enum passt_state state;
	int channel;		  /* to the keeper */
	struct kvmb_watch *watch; /* NULL: the keeper is gone */
	int next_fd; /* our end of a new passt's socket until revive() takes it, -1 = none */
	bool used;   /* the first socket was given out: others are revive()'s to take */
	void (*news)(void *arg, enum kvmb_net_backend_news news);
	void *arg;
};

static struct passt *passt_of(struct kvmb_net_backend *b)
{
	return container_of(b, struct passt, s.b);
}

static void set_passt_state(struct passt *p, enum passt_state to)
{
	kvmb_assert(moves[p->state] & 1 << to);
	p->state = to;
}

/* ---- ports of this host ---- */

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* Could it be bound? Return: 0 or -errno. */
static int try_bind(const union address *a, int type)
{
	int fd = socket(a->sa.sa_family, type | SOCK_CLOEXEC, 0), one = 1, err = 0;

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	if (type == SOCK_STREAM) /* as passt: connections that ended a moment ago are no matter */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &a->sa, a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in)))
		err = -errno;
	close(fd);
	return err;
}

/*
 * @s: "[ADDRESS/]HOST_PORT:GUEST_PORT". What is no address is passt's to judge. Return: 0 or
 * -errno.
 */
static int try_forward(const char *s, int type, unsigned int *port)
{
	const char *slash = strchr(s, '/');
	union address v4 = { .in.sin_family = AF_INET }, v6 = { .in6.sin6_family = AF_INET6 };
	char host[64] = "";
	bool is4, is6;
	int err = 0;

	if (slash)
		snprintf(host, sizeof(host), "%.*s", (int)(slash - s), s);
	*port = (unsigned int)strtoul(slash ? slash + 1 : s, NULL, 10);
	is4 = !slash || inet_pton(AF_INET, host, &v4.in.sin_addr) == 1;
	is6 = !slash || inet_pton(AF_INET6, host, &v6.in6.sin6_addr) == 1;
	v4.in.sin_port = v6.in6.sin6_port = htons((uint16_t)*port);
	if (is4)
		err = try_bind(&v4, type);
	if (is6 && !err) {
		err = try_bind(&v6, type);
		if (!slash && err == -EADDRNOTAVAIL)
			err = 0; /* a host without IPv6 */
	}
	return err;
}

static int check_forward(const char *f, char *why)
{
	int type = strncmp(f, "udp:", 4) ? SOCK_STREAM : SOCK_DGRAM, err;
	const char *proto = type == SOCK_STREAM ? "TCP" : "UDP";
	unsigned int port;

	if (!strncmp(f, "udp:", 4) || !strncmp(f, "tcp:", 4))
		f += 4;
	err = try_forward(f, type, &port);
	if (err == -EACCES && port < 1024)
		snprintf(why, KVMB_NET_WHY,
			 "%s port %u of this host: %s; use 1024 or higher, or lower "
			 "net.ipv4.ip_unprivileged_port_start",
			 proto, port, strerror(-err));
	else if (err == -EADDRINUSE)
		snprintf(why, KVMB_NET_WHY, "%s port %u of this host is in use; choose another",
			 proto, port);
	else if (err)
		snprintf(why, KVMB_NET_WHY, "%s port %u of this host (%.80s): %s", proto, port, f,
			 strerror(-err));
	return err;
}

/* ---- its recipe ---- */

static void make_argv(const struct kvmb_passt_spec *spec, const char *mtu, const char **argv)
{
	static const char *const options[] = {
		"passt", "--foreground", "--quiet", "--pid", KVMB_RECIPE_PID_FILE,
		"--fd",	 STREAM_FD,	 "--mtu"
	};
	unsigned int n = 0, i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		argv[n++] = options[i];
	argv[n++] = mtu;
	for (i = 0; i < spec->num_forwards && i < MAX_FORWARD; i++) {
		const char *f = spec->forwards[i];

		argv[n++] = strncmp(f, "udp:", 4) ? "-t" : "-u";
		argv[n++] = strncmp(f, "udp:", 4) && strncmp(f, "tcp:", 4) ? f : f + 4;
	}
	argv[n] = NULL;
}

int kvmb_net_passt_recipe(const struct kvmb_passt_spec *spec, char *why)
{
	const char *argv[16 + 2 * MAX_FORWARD];
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_PASST,
				 .argv = argv,
				 .ready_ms = spec->ready_ms };
	unsigned int i;
	char mtu[16];
	int err;

	for (i = 0; i < spec->num_forwards; i++) {
		err = check_forward(spec->forwards[i], why);
		if (err)
			return err;
	}
	snprintf(mtu, sizeof(mtu), "%u", spec->mtu);
	make_argv(spec, mtu, argv);
	return kvmb_keeper_register(&r, why, KVMB_NET_WHY);
}

/* ---- passt itself ---- */

static int start_passt(struct passt *p)
{
	int err = p->watch ? kvmb_keeper_ask(p->channel, KVMB_KEEPER_START) : -EPIPE;

	if (!err)
		set_passt_state(p, PASST_STARTING);
	else
		snprintf(p->s.b.problem, KVMB_NET_WHY, "cannot start passt: its keeper has ended");
	return err;
}

static void say_why(struct passt *p, const struct kvmb_keeper_news *news)
{
	char *why = p->s.b.problem;

	if (news->what == KVMB_KEEPER_STARTED && news->err == -ENOENT)
		snprintf(why, KVMB_NET_WHY,
			 "passt is not installed; try: apt install passt, or --nic none");
	else if (news->err == -EPERM)
		snprintf(why, KVMB_NET_WHY,
			 "this passt does not confine itself (seccomp) and is not used; "
			 "install another version");
	else if (news->what == KVMB_KEEPER_STARTED)
		snprintf(why, KVMB_NET_WHY, "cannot start passt: %s", strerror(-news->err));
	else if (news->words[0])
		snprintf(why, KVMB_NET_WHY, "passt: %.200s", news->words);
	else if (news->err == -ETIME)
		snprintf(why, KVMB_NET_WHY, "passt does not get ready");
	else if (WIFSIGNALED(news->status))
		snprintf(why, KVMB_NET_WHY, "passt was ended by signal %d", WTERMSIG(news->status));
	else
		snprintf(why, KVMB_NET_WHY, "passt ended with status %d",
			 WEXITSTATUS(news->status));
}

static void drop_next(struct passt *p)
{
	if (p->next_fd >= 0)
		close(p->next_fd);
	p->next_fd = -1;
}

static void take_socket(struct passt *p, int fd)
{
	drop_next(p);
	if (p->used)
		p->next_fd = fd;
	else
		p->s.b.fd[0] = fd;
	p->used = true;
}

/* It has ended, or did not start. */
static enum kvmb_net_backend_news passt_gone(struct passt *p, const struct kvmb_keeper_news *news)
{
	bool refused = p->state == PASST_STARTING;

	drop_next(p);
	if (refused || news->words[0] || WIFSIGNALED(news->status))
		say_why(p, news);
	set_passt_state(p, PASST_NONE);
	return refused ? KVMB_BACKEND_REFUSED : KVMB_BACKEND_ENDED;
}

/* Return: whether there is something to tell. */
static bool hear_keeper(struct passt *p, const struct kvmb_keeper_news *k,
			enum kvmb_net_backend_news *tell)
{
	if (k->what == KVMB_KEEPER_STARTED && !k->err && p->state == PASST_STARTING) {
		take_socket(p, k->fd);
		return false;
	}
	if (k->fd >= 0)
		close(k->fd);
	if (k->what == KVMB_KEEPER_READY && p->state == PASST_STARTING) {
		set_passt_state(p, PASST_READY);
		*tell = KVMB_BACKEND_READY;
		return true;
	}
	if (k->what == KVMB_KEEPER_KILLED && p->state == PASST_ENDING) {
		set_passt_state(p, PASST_NONE);
		*tell = KVMB_BACKEND_ENDED;
		return true;
	}
	/* one that ended while we asked for it to be killed is reported twice: the answer counts */
	if ((k->what == KVMB_KEEPER_ENDED || k->what == KVMB_KEEPER_STARTED) &&
	    (p->state == PASST_STARTING || p->state == PASST_READY)) {
		*tell = passt_gone(p, k);
		return true;
	}
	return false;
}

static void on_keeper(void *arg, uint32_t events)
{
	struct kvmb_keeper_news k;
	enum kvmb_net_backend_news tell;
	struct passt *p = arg;
	int err = kvmb_keeper_read(p->channel, &k);

	(void)events;
	if (err == -EAGAIN)
		return;
	if (err) { /* passt went with it, and revive() will fail */
		kvmb_loop_del(p->watch);
		p->watch = NULL;
		k = (struct kvmb_keeper_news){
			.what = p->state == PASST_ENDING ? KVMB_KEEPER_KILLED : KVMB_KEEPER_ENDED,
			.fd = -1,
			.words = "its keeper has ended",
		};
	}
	if (hear_keeper(p, &k, &tell))
		p->news(p->arg, tell);
}

static int passt_revive(struct kvmb_net_backend *b)
{
	struct passt *p = passt_of(b);
	int err;

	kvmb_stream_drop(&p->s);
	if (p->state == PASST_READY && p->next_fd >= 0) {
		b->fd[0] = p->next_fd;
		p->next_fd = -1;
		b->problem[0] = 0;
		return 0;
	}
	/* it has hung up, but is still there */
	if (p->state == PASST_READY && !kvmb_keeper_ask(p->channel, KVMB_KEEPER_KILL))
		set_passt_state(p, PASST_ENDING);
	if (p->state != PASST_NONE)
		return -EINPROGRESS;
	err = start_passt(p);
	return err ? err : -EINPROGRESS;
}

static void ignore(void *arg, enum kvmb_net_backend_news news)
{
	(void)arg, (void)news;
}

static void passt_attach(struct kvmb_net_backend *b,
			 void (*news)(void *arg, enum kvmb_net_backend_news news), void *arg)
{
	passt_of(b)->news = news ? news : ignore;
	passt_of(b)->arg = arg;
}

static void passt_destroy(struct kvmb_net_backend *b)
{
	struct passt *p = passt_of(b);

	kvmb_stream_drop(&p->s);
	drop_next(p);
	kvmb_loop_del(p->watch);
	/* its ports are free when we return; the keeper goes on if that takes too long */
	kvmb_keeper_close(p->channel, KILL_MS);
	free(p);
}

static const struct kvmb_net_backend_ops passt_ops = {
	.kind = "user",
	.send = kvmb_stream_send,
	.commit = kvmb_stream_commit,
	.recv = kvmb_stream_recv,
	.revive = passt_revive,
	.attach = passt_attach,
	.destroy = passt_destroy,
};

struct kvmb_net_backend *kvmb_net_passt_create(int channel, uint32_t mtu, struct kvmb_loop *loop,
					       char *why)
{
	struct passt *p = kvmb_xzalloc(sizeof(*p));

	p->s.b.ops = &passt_ops;
	p->s.b.num_queues = 1;
	p->s.b.fd[0] = p->next_fd = -1;
	p->s.b.mtu = mtu;
	p->news = ignore;
	p->channel = channel;
	p->watch = kvmb_loop_add(loop, channel, EPOLLIN, on_keeper, p);
	if (p->watch && !start_passt(p))
		return &p->s.b;
	snprintf(why, KVMB_NET_WHY, "%s", p->watch ? p->s.b.problem : strerror(errno));
	passt_destroy(&p->s.b);
	return NULL;
}

int kvmb_net_passt_wait(struct kvmb_net_backend *b, char *why)
{
	struct passt *p = passt_of(b);
	struct pollfd w = { .fd = p->channel, .events = POLLIN };
	uint64_t until = kvmb_now_ms() + START_MS;
	enum kvmb_net_backend_news tell;
	struct kvmb_keeper_news k = { 0 };
	int err = 0;

	while (p->state == PASST_STARTING && kvmb_now_ms() < until && err != -EPIPE) {
		err = kvmb_keeper_read(p->channel, &k);
		if (!err)
			hear_keeper(p, &k, &tell);
		else if (err == -EAGAIN)
			poll(&w, 1, 1000);
	}
	if (p->state == PASST_READY)
		return 0;
	if (p->state == PASST_STARTING) { /* what it said last was no reason */
		k = (struct kvmb_keeper_news){ .what = KVMB_KEEPER_ENDED,
					       .err = err == -EPIPE ? -EPIPE : -ETIME };
		if (err == -EPIPE)
			strcpy(k.words, "its keeper has ended");
		say_why(p, &k);
	}
	snprintf(why, KVMB_NET_WHY, "%s", b->problem);
	return k.err == -ETIME ? -ETIMEDOUT : -ECHILD;
}
