// SPDX-License-Identifier: GPL-2.0-only
/* Reaching a port of a VM's guest: client.h. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/rundir.h"
#include "lib/util.h"

/*
 * Where it is, and whose it must be: beside the control socket, and of the same user. In a user's
 * directory it may be a link to another VM's. Return: EXIT_*, with one line already printed.
 */
static int find_vsock(const char *vm, struct sockaddr_un *sa, struct ucred *owner)
{
	char path[PATH_MAX];
	int fd, code = client_connect(vm, &fd);
	bool found;

	if (code)
		return code;
	client_peer(fd, owner);
	/* the socket's own name may be relative to where the VM was started */
	found = strchr(vm, '/') ? snprintf(path, sizeof(path), "%s", vm) > 0 :
				  client_socket(fd, path, sizeof(path));
	close(fd);
	sa->sun_family = AF_UNIX;
	if (found && !kvmb_rundir_beside(path, ".vsock", sa->sun_path, sizeof(sa->sun_path)))
		return EXIT_OK;
	cli_error("VM \"%s\": its socket has no path", vm);
	return EXIT_FAILED;
}

/* "OK N", and nothing behind it. Return: 0, -ETIMEDOUT, -ECONNRESET, -EPROTO. */
static int read_ok(int fd)
{
	uint64_t end = kvmb_now_ms() + (uint64_t)client_patience() * 1000, now;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char line[32] = "";
	size_t len = 0;

	while (!len || line[len - 1] != '\n') {
		now = kvmb_now_ms();
		if (now >= end || poll(&p, 1, (int)(end - now)) <= 0)
			return -ETIMEDOUT;
		if (len == sizeof(line) - 1)
			return -EPROTO;
		if (recv(fd, line + len, 1, 0) <= 0)
			return -ECONNRESET;
		len++;
	}
	return strncmp(line, "OK ", 3) ? -EPROTO : 0;
}

static int say_no_port(const char *vm, uint32_t port, int err, const char *hint)
{
	if (err == -ENOENT)
		cli_error("VM \"%s\": it has no sockets: it was started with --vsock off, or by an "
			  "older kvmbus",
			  vm);
	else if (err == -ECONNRESET)
		cli_error("VM \"%s\": nobody listens on port %u in its guest%s%s", vm, port,
			  hint ? "; " : "", hint ? hint : "");
	else
		cli_error("VM \"%s\": port %u of its guest: %s", vm, port, strerror(-err));
	return err == -ETIMEDOUT ? EXIT_TIMEOUT : EXIT_FAILED;
}

int client_vsock(const char *vm, uint32_t port, const char *hint, int *out)
{
	struct timeval tv = { .tv_sec = client_patience() };
	struct sockaddr_un sa = { 0 };
	struct ucred owner, peer;
	int fd, n, err = 0, code = find_vsock(vm, &sa, &owner);
	char line[32];

	if (code)
		return code;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	n = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		err = -errno;
	else if (client_peer(fd, &peer) || peer.uid != owner.uid)
		err = -EACCES;
	else if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		err = -errno;
	if (!err)
		err = read_ok(fd);
	if (!err) {
		*out = fd;
		return EXIT_OK;
	}
	if (fd >= 0)
		close(fd);
	return say_no_port(vm, port, err, hint);
}
