// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP for migrations: mig_tcp.h.
 *
 * Source: proc_net_tcp(5): a socket's line has its addresses, state, owner and inode. One that
 * nobody has accepted yet, or that is closed, has owner 0 and inode 0.
 */
#include "cli/mig_tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/loop.h"

#define LOOK_AGAIN_MS 10

bool mig_tcp_is_loopback(const struct sockaddr *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	if (a->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

void mig_tcp_tune(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },   { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 30 }, { IPPROTO_TCP, TCP_KEEPINTVL, 10 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
	};
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* ---- connecting and listening ---- */

static int make_socket(const struct addrinfo *a)
{
	return socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
}

static int finish_connect(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t until = kvmb_now_ms() + (uint64_t)ms, now;
	socklen_t len = sizeof(int);
	int err = 0;

	while (!poll(&p, 1, 0) || !p.revents) {
		now = kvmb_now_ms();
		if (now >= until)
			return -ETIMEDOUT;
		poll(&p, 1, (int)(until - now));
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return -errno;
	return -err;
}

static int connect_one(const struct addrinfo *a, int ms)
{
	int fd = make_socket(a), err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen))
		err = errno == EINPROGRESS ? finish_connect(fd, ms) : -errno;
	if (!err) {
		mig_tcp_tune(fd);
		return fd;
	}
	close(fd);
	return err;
}

int mig_tcp_connect(const struct addrinfo *found, int ms)
{
	int fd = -EHOSTUNREACH;

	for (; found && fd < 0; found = found->ai_next)
		fd = connect_one(found, ms);
	return fd;
}

static int listen_on(const struct addrinfo *a)
{
	const int one = 1;
	int fd = make_socket(a), err;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->ai_family == AF_INET6) /* 0.0.0.0 has a socket of its own */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, SOMAXCONN))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int mig_tcp_listen(const struct addrinfo *found, int *fds)
{
	int num = 0, fd, lacks = -EADDRNOTAVAIL;

	for (; found && num < MIG_TCP_MAX; found = found->ai_next) {
		fd = listen_on(found);
		if (fd >= 0) {
			fds[num++] = fd;
		} else if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
			lacks = fd;
		} else { /* another program would get some of the connections */
			while (num)
				close(fds[--num]);
			return fd;
		}
	}
	return num ? num : lacks;
}

/* ---- who is there ---- */

/* An IPv4 address in IPv6's clothes is one. */
static void undress(struct sockaddr_storage *a)
{
	struct sockaddr_in6 v6 = *(struct sockaddr_in6 *)a;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = v6.sin6_port };

	if (a->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
		return;
	memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], sizeof(v4.sin_addr));
	memcpy(a, &v4, sizeof(v4));
}

/* As /proc/net/tcp writes it. */
static void put_address(const struct sockaddr_storage *a, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
	const unsigned int *w = v6->sin6_addr.s6_addr32;

	if (a->ss_family == AF_INET)
		snprintf(text, size, "%08X:%04X", v4->sin_addr.s_addr, ntohs(v4->sin_port));
	else
		snprintf(text, size, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3],
			 ntohs(v6->sin6_port));
}

/* Return: 0 with *@uid, -ENOENT, -errno. */
static int find_owner(const char *file, const char *socket_is, uid_t *uid)
{
	FILE *f = fopen(file, "re");
	char line[512], *at;
	unsigned long inode;
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err && fgets(line, sizeof(line), f)) {
		at = strstr(line, socket_is);
		if (at &&
		    sscanf(at + strlen(socket_is), " %*x:%*x %*x:%*x %*x %u %*u %lu", uid,
			   &inode) == 2 &&
		    inode)
			err = 0;
	}
	fclose(f);
	return err;
}

int mig_tcp_peer(int fd, uid_t *uid, int ms)
{
	struct sockaddr_storage ours = { 0 }, peer = { 0 };
	socklen_t our_len = sizeof(ours), peer_len = sizeof(peer);
	char from[48], to[48], socket_is[120];
	uint64_t until = kvmb_now_ms() + (uint64_t)ms;
	int err;

	if (getsockname(fd, (struct sockaddr *)&ours, &our_len) ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len))
		return -errno;
	undress(&ours);
	undress(&peer);
	if (!mig_tcp_is_loopback((struct sockaddr *)&peer) ||
	    !mig_tcp_is_loopback((struct sockaddr *)&ours))
		return -EOPNOTSUPP;
	put_address(&peer, from, sizeof(from));
	put_address(&ours, to, sizeof(to));
	snprintf(socket_is, sizeof(socket_is), " %s %s 01", from, to); /* 01: established */
	for (;;) {
		err = find_owner(peer.ss_family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6",
				 socket_is, uid);
		if (err != -ENOENT || kvmb_now_ms() >= until)
			return err;
		poll(NULL, 0, LOOK_AGAIN_MS);
	}
}
