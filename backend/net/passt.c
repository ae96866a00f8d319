// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-mode networking: passt, at the other end of a stream socket.
 *
 * DOC: Theory of operation
 *
 * passt writes its process id (--pid) when it has bound its ports and is about to serve: that is
 * how we know that it is ready. lib/child.h supervises it. When passt dies, its connections are
 * lost, as when a router restarts. The guest gets the same address again, because passt uses the
 * host's.
 *
 * revive() never waits. The caller repeats it, and each call does the next step: drop the
 * socket, ask an old passt to end, start a new one, use the new socket. The child reports when
 * the next step is possible.
 *
 * We try to bind a forwarded port ourselves before passt starts. passt (2023-03) is content if
 * either IPv4 or IPv6 works, and when it reports that it could not bind, it does not say why.
 * passt has the same rights as we have: the same user starts it, and it binds before it drops
 * root's privileges.
 *
 * Source: passt(1), options --fd, --pid, -t, -u.
 */
#include "backend/net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/child.h"
#include "lib/util.h"

#define MAX_FORWARD 32u
#define READY_MS 10000u

struct passt {
	struct kvmb_stream s;
	struct kvmb_child child;
	unsigned int ready_ms;
	uint32_t mtu;
	int next_fd; /* our end of a new passt's socket until revive() takes it, -1 = none */
	char *forward[MAX_FORWARD + 1]; /* NULL-terminated, owned */
	void (*news)(void *arg, enum kvmb_net_backend_news news);
	void *arg;
};

static struct passt *passt_of(struct kvmb_net_backend *b)
{
	return container_of(b, struct passt, s.b);
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

/* ---- passt itself ---- */

static const char *const *make_argv(const struct passt *p, const char *fd, const char *mtu,
				    const char **argv)
{
	unsigned int n = 0, i;

	argv[n++] = "passt";
	argv[n++] = "--foreground";
	argv[n++] = "--quiet";
	argv[n++] = "--pid";
	argv[n++] = KVMB_CHILD_PID_FILE;
	argv[n++] = "--mtu";
	argv[n++] = mtu;
	argv[n++] = "--fd";
	argv[n++] = fd;
	for (i = 0; p->forward[i]; i++) {
		const char *f = p->forward[i];

		argv[n++] = strncmp(f, "udp:", 4) ? "-t" : "-u";
		argv[n++] = strncmp(f, "udp:", 4) && strncmp(f, "tcp:", 4) ? f : f + 4;
	}
	argv[n] = NULL;
	return argv;
}

/* Return: 0, *@ours = our end of its socket; or -errno with a reason in b.problem. */
static int start_passt(struct passt *p, int *ours)
{
	const char *argv[16 + 2 * MAX_FORWARD];
	char fd[16], mtu[16], *why = p->s.b.problem;
	unsigned int i;
	int sv[2], err = 0;

	for (i = 0; p->forward[i] && !err; i++)
		err = check_forward(p->forward[i], why);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv)) {
		err = -errno;
	} else {
		snprintf(fd, sizeof(fd), "%d", sv[1]);
		snprintf(mtu, sizeof(mtu), "%u", p->mtu);
		err = kvmb_child_start(&p->child, make_argv(p, fd, mtu, argv), &sv[1], 1,
				       p->ready_ms);
		close(sv[1]);
		if (!err)
			*ours = sv[0];
		else
			close(sv[0]);
	}
	if (err)
		snprintf(why, KVMB_NET_WHY, "cannot start passt: %s", strerror(-err));
	return err;
}

static void say_why(struct passt *p)
{
	char *why = p->s.b.problem;

	if (WIFEXITED(p->child.status) && WEXITSTATUS(p->child.status) == 127 && !p->child.words[0])
		snprintf(why, KVMB_NET_WHY,
			 "passt is not installed; try: apt install passt, or --nic none");
	else
		kvmb_child_why(&p->child, "passt", why, KVMB_NET_WHY);
}

static void drop_next(struct passt *p)
{
	if (p->next_fd >= 0)
		close(p->next_fd);
	p->next_fd = -1;
}

static void on_child(void *arg, enum kvmb_child_news news)
{
	struct passt *p = arg;

	if (news == KVMB_CHILD_IS_READY) {
		p->news(p->arg, KVMB_BACKEND_READY);
		return;
	}
	drop_next(p);
	if (news == KVMB_CHILD_FAILED || p->child.words[0] || WIFSIGNALED(p->child.status))
		say_why(p);
	p->news(p->arg, news == KVMB_CHILD_FAILED ? KVMB_BACKEND_REFUSED : KVMB_BACKEND_ENDED);
}

static int passt_revive(struct kvmb_net_backend *b)
{
	struct passt *p = passt_of(b);
	int err;

	kvmb_stream_drop(&p->s);
	if (p->child.state == KVMB_CHILD_READY && p->next_fd >= 0) {
		b->fd[0] = p->next_fd;
		p->next_fd = -1;
		b->problem[0] = 0;
		return 0;
	}
	if (p->child.state == KVMB_CHILD_READY) /* it has hung up, but is still there */
		kvmb_child_end(&p->child);
	if (p->child.state != KVMB_CHILD_NONE)
		return -EINPROGRESS;
	err = start_passt(p, &p->next_fd);
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
	unsigned int i;

	kvmb_stream_drop(&p->s);
	drop_next(p);
	kvmb_child_fini(&p->child);
	for (i = 0; p->forward[i]; i++)
		free(p->forward[i]);
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

struct kvmb_net_backend *kvmb_net_passt_open(const struct kvmb_passt_spec *spec,
					     struct kvmb_loop *loop, char *why)
{
	struct passt *p = kvmb_xzalloc(sizeof(*p));
	unsigned int i;

	p->s.b.ops = &passt_ops;
	p->s.b.num_queues = 1;
	p->s.b.fd[0] = p->next_fd = -1;
	p->mtu = p->s.b.mtu = spec->mtu;
	p->ready_ms = spec->ready_ms ? spec->ready_ms : READY_MS;
	p->news = ignore;
	for (i = 0; i < spec->num_forwards && i < MAX_FORWARD; i++)
		p->forward[i] = strdup(spec->forwards[i]);
	kvmb_child_init(&p->child, loop, on_child, p);
	p->child.noise = "Failed to send "; /* "... 47 bytes to syslog", where there is none */
	if (!start_passt(p, &p->s.b.fd[0]))
		return &p->s.b;
	snprintf(why, KVMB_NET_WHY, "%s", p->s.b.problem);
	passt_destroy(&p->s.b);
	return NULL;
}

int kvmb_net_passt_wait(struct kvmb_net_backend *b, char *why)
{
	struct passt *p = passt_of(b);
	int err = kvmb_child_wait_ready(&p->child);

	if (!err)
		return 0;
	say_why(p);
	snprintf(why, KVMB_NET_WHY, "%s", b->problem);
	return err;
}
