// SPDX-License-Identifier: GPL-2.0-only
/* Where a VM moves to: mig_address.h. */
#include "cli/mig_address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/exits.h"
#include "lib/util.h"

#ifndef MIG_CONNECT_MS /* tests have less */
#define MIG_CONNECT_MS 10000 /* each address of a name */
#endif
#define FIRST_HANDED 3	 /* descriptor from systemd */

/* ---- what was typed ---- */

static bool read_host(const char *s, struct mig_address *a)
{
	const char *end = strrchr(s, ':'), *port = MIG_TCP_PORT;
	u32 number;
	size_t len;

	if (*s == '[') { /* an IPv6 address has colons of its own */
		len = strcspn(++s, "]");
		end = s[len] ? s + len + 1 : "x";
		if (*end && *end != ':')
			return false;
	} else {
		len = end ? (size_t)(end - s) : strlen(s);
		end = end ? end : "";
		if (memchr(s, ':', len))
			return false;
	}
	if (*end == ':')
		port = end + 1;
	if (len >= sizeof(a->host) || strlen(port) >= sizeof(a->port) ||
	    !opt_u32(port, 1, 65535, &number))
		return false;
	snprintf(a->host, sizeof(a->host), "%.*s", (int)len, s);
	snprintf(a->port, sizeof(a->port), "%s", port);
	return true;
}

static bool read_fd(const char *s, struct mig_address *a)
{
	u32 fd;

	if (!opt_u32(s, 0, 1u << 20, &fd) || fd == STDOUT_FILENO || fd == STDERR_FILENO)
		return false;
	a->fd = (int)fd;
	return true;
}

static bool read_text(const char *text, struct mig_address *a)
{
	if (!strncmp(text, "unix:", 5)) {
		a->kind = MIG_UNIX;
		a->path = text + 5;
		return *a->path && strlen(a->path) < sizeof(((struct sockaddr_un *)0)->sun_path);
	}
	a->kind = strncmp(text, "tcp:", 4) ? MIG_FD : MIG_TCP;
	if (a->kind == MIG_TCP)
		return read_host(text + 4, a);
	return !strncmp(text, "fd:", 3) && read_fd(text + 3, a);
}

static int find_host(struct mig_address *a, bool listening)
{
	const struct addrinfo want = { .ai_socktype = SOCK_STREAM,
				       .ai_flags = listening ? AI_PASSIVE : 0 };
	int err = getaddrinfo(*a->host ? a->host : NULL, a->port, &want, &a->found);

	if (!err)
		return EXIT_OK;
	cli_error("%s: %s", a->text, err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
	return EXIT_FAILED;
}

static bool all_loopback(const struct mig_address *a)
{
	const struct addrinfo *i;

	for (i = a->found; i; i = i->ai_next) {
		if (!mig_tcp_is_loopback(i->ai_addr))
			return false;
	}
	return true;
}

int mig_address_read(const struct cli_args *args, const char *text, bool listening,
		     struct mig_address *a)
{
	int code;

	*a = (struct mig_address){ .text = text,
				   .fd = -1,
				   .tls = cli_text(args, "tls"),
				   .insecure = cli_flag(args, "insecure") };
	if (!read_text(text, a))
		return cli_bad(args->cmd,
			       "address \"%s\": write unix:PATH, tcp:HOST:PORT, "
			       "tcp:[IPV6]:PORT or fd:N",
			       text);
	if (a->kind == MIG_UNIX && (a->insecure || a->tls))
		return cli_bad(args->cmd,
			       "--%s goes with tcp: and fd:", a->tls ? "tls" : "insecure");
	if (a->insecure && a->tls)
		return cli_bad(args->cmd, "--insecure goes without --tls");
	if (a->kind != MIG_TCP)
		return EXIT_OK;
	if (!*a->host && !listening)
		return cli_bad(args->cmd, "address \"%s\": which host?", text);
	code = find_host(a, listening);
	if (code == EXIT_OK && !a->tls && !a->insecure && !all_loopback(a))
		return cli_bad(args->cmd,
			       "%s: nothing protects the VM on the network there; --tls DIR does, "
			       "and ssh -L with unix:PATH; --insecure goes without",
			       text);
	return code;
}

void mig_address_forget(struct mig_address *a)
{
	if (a->found)
		freeaddrinfo(a->found);
	a->found = NULL;
}

/* ---- who is there ---- */

static int complain(const struct mig_address *a, const char *why)
{
	cli_error("%s: %s", a->text, why);
	return -1;
}

/* Return: NULL, or why he may not talk. */
static const char *why_not(const struct mig_address *a, int fd, int ms)
{
	struct ucred peer = { 0 };
	int domain = AF_UNSPEC, err;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len))
		return strerror(errno);
	if (a->tls || (domain != AF_UNIX && a->insecure))
		return NULL; /* who proves it by TLS may talk */
	if (domain == AF_UNIX)
		err = client_peer(fd, &peer);
	else if (domain == AF_INET || domain == AF_INET6)
		err = mig_tcp_peer(fd, &peer.uid, ms);
	else
		err = -EOPNOTSUPP;
	if (err == -EOPNOTSUPP)
		return "it leads to another host, and nothing protects the VM there; --tls DIR "
		       "does; --insecure goes without";
	if (err)
		return err == -ENOENT ? "nobody takes the connection" : strerror(-err);
	if (peer.uid && peer.uid != geteuid())
		return "who is there is neither root nor this user";
	return NULL;
}

/* ---- an inherited descriptor ---- */

/* Those that systemd hands over begin at 3, if they are for this process (sd_listen_fds(3)). */
static bool was_handed(int fd)
{
	const char *pid = getenv("LISTEN_PID"), *num = getenv("LISTEN_FDS");

	if (fd < FIRST_HANDED || !pid || !num || atol(pid) != getpid())
		return true;
	return fd < FIRST_HANDED + atoi(num);
}

/* With inetd, or StandardInput=socket, standard output may be the stream, too. */
static void leave_standard_fds(int fd)
{
	int i, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat ours = { 0 }, theirs;

	fstat(fd, &ours);
	for (i = 0; i <= STDERR_FILENO && null >= 0; i++) {
		if (!fstat(i, &theirs) && ours.st_dev == theirs.st_dev &&
		    ours.st_ino == theirs.st_ino)
			dup2(null, i);
	}
	if (null >= 0)
		close(null);
}

void mig_address_leave(const struct mig_address *a)
{
	if (a->kind != MIG_FD)
		return;
	leave_standard_fds(a->fd);
	if (a->fd > STDERR_FILENO)
		close(a->fd);
}

/* Return: a descriptor of our own, *@listens; -1 with one line printed. */
static int take_inherited(const struct mig_address *a, bool *listens)
{
	int type = 0, accepts = 0, fd;
	socklen_t len = sizeof(int);

	if (!was_handed(a->fd))
		return complain(a, "systemd hands over fewer descriptors (LISTEN_FDS)");
	if (getsockopt(a->fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM ||
	    getsockopt(a->fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len))
		return complain(a, fcntl(a->fd, F_GETFD) < 0 ? "no such descriptor was inherited" :
							       "it is no stream socket");
	fd = fcntl(a->fd, F_DUPFD_CLOEXEC, FIRST_HANDED);
	if (fd < 0)
		return complain(a, strerror(errno));
	mig_address_leave(a);
	*listens = accepts;
	return fd;
}

/* Return: the connection, non-blocking; -1 with one line printed, and it is closed. */
static int check_connected(const struct mig_address *a, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	const char *why = "it is not connected";

	if (!getpeername(fd, (struct sockaddr *)&peer, &len))
		why = why_not(a, fd, MIG_CONNECT_MS);
	if (!why) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		mig_tcp_tune(fd); /* fails on others */
		return fd;
	}
	close(fd);
	return complain(a, why);
}

/* ---- connecting ---- */

static int connect_unix(const struct mig_address *a)
{
	const struct timeval limit = { .tv_sec = MIG_CONNECT_MS / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	strcpy(addr.sun_path, a->path);
	/* one who accepts nobody, and others are before us: unix(7) has no other limit */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = errno == EAGAIN ? -ETIMEDOUT : -errno;
	close(fd);
	return err;
}

int mig_connect(const struct mig_address *a)
{
	bool listens = false;
	int fd;

	if (a->kind == MIG_FD)
		fd = take_inherited(a, &listens);
	else
		fd = a->kind == MIG_UNIX ? connect_unix(a) :
					   mig_tcp_connect(a->found, MIG_CONNECT_MS);
	if (a->kind == MIG_FD && fd < 0)
		return -1;
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		cli_error("%s: %s; start the other side first: kvmbus run --incoming", a->text,
			  strerror(-fd));
		return -1;
	}
	return fd < 0 ? complain(a, strerror(-fd)) : check_connected(a, fd);
}

int mig_connect_again(const struct mig_address *a, int fd)
{
	struct sockaddr_storage peer = { 0 };
	struct addrinfo same = { .ai_socktype = SOCK_STREAM,
				 .ai_addr = (struct sockaddr *)&peer,
				 .ai_addrlen = sizeof(peer) };

	if (getpeername(fd, same.ai_addr, &same.ai_addrlen))
		return complain(a, strerror(errno));
	same.ai_family = peer.ss_family;
	fd = mig_tcp_connect(&same, MIG_CONNECT_MS);
	return fd < 0 ? complain(a, strerror(-fd)) : check_connected(a, fd);
}

/* ---- waiting ---- */

static int open_unix(struct mig_door *d)
{
	char why[200];

	if (kvmb_listen_unix(&d->path, d->address->path, why, sizeof(why)))
		return complain(d->address, why);
	d->fds[d->num++] = d->path.fd;
	return 0;
}

static int open_inherited(struct mig_door *d)
{
	bool listens;
	int fd = take_inherited(d->address, &listens);

	if (fd < 0)
		return -1;
	d->fds[d->num++] = fd;
	d->connected = !listens;
	d->open = listens;
	return 0;
}

int mig_door_open(struct mig_door *d, const struct mig_address *a)
{
	*d = (struct mig_door){ .address = a, .path.fd = -1 };
	if (a->kind == MIG_UNIX)
		return open_unix(d);
	if (a->kind == MIG_FD)
		return open_inherited(d);
	d->num = mig_tcp_listen(a->found, d->fds);
	d->open = true;
	return d->num < 0 ? complain(a, strerror(-d->num)) : 0;
}

/* What a client did, or the network, is not our end. */
static bool is_passing(int err)
{
	return err != EMFILE && err != ENFILE && err != ENOBUFS && err != ENOMEM && err != EINVAL &&
	       err != EBADF;
}

/* Return: the first one that is ready; -1 with errno. */
static int wait_for_one(struct mig_door *d)
{
	struct pollfd p[MIG_TCP_MAX];
	int i;

	for (i = 0; i < d->num; i++)
		p[i] = (struct pollfd){ .fd = d->fds[i], .events = POLLIN };
	if (poll(p, (nfds_t)d->num, -1) < 0)
		return -1;
	for (i = 0; !p[i].revents; i++)
		;
	return i;
}

int mig_door_take(struct mig_door *d, int i)
{
	int fd;

	if (d->connected) {
		d->num = 0;
		fd = check_connected(d->address, d->fds[0]);
		return fd < 0 ? -2 : fd;
	}
	if (d->path.fd >= 0)
		fd = kvmb_accept_unix(&d->path, 0);
	else
		fd = accept4(d->fds[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 && !is_passing(errno)) {
		complain(d->address, strerror(errno));
		return -2;
	}
	if (fd >= 0 && why_not(d->address, fd, 0)) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		mig_tcp_tune(fd); /* fails on others */
	return fd;
}

int mig_door_wait(struct mig_door *d)
{
	int fd = -1, i = 0;

	while (fd == -1) {
		if (!d->connected)
			i = wait_for_one(d);
		if (i >= 0)
			fd = mig_door_take(d, i);
	}
	return fd < 0 ? -1 : fd;
}

void mig_door_close(struct mig_door *d)
{
	kvmb_unlisten_unix(&d->path);
	while (d->address->kind != MIG_UNIX && d->num > 0)
		close(d->fds[--d->num]);
	d->num = 0;
}
