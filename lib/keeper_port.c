// SPDX-License-Identifier: GPL-2.0-only
/* KVMB_RECIPE_PORTS in the keeper's process: sockets of the host that a guest connects to. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/keeper_priv.h"

static bool is_ours(uid_t uid)
{
	return !uid || uid == geteuid();
}

/*
 * The socket itself, and no link to one: where others may write to the directory, a link could lead
 * the guest to any socket that we may connect to. Return: an O_PATH descriptor, or -errno.
 */
static int open_port(const struct recipe *r, uint32_t port)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, err = 0;

	if (snprintf(path, sizeof(path), "%s_%u", r->argv[0], port) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISSOCK(st.st_mode))
		err = -ENOTSOCK;
	else if (!is_ours(st.st_uid))
		err = -EACCES;
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* At once: it takes a connection, or does not. By its inode, as keeper_helper.c does. */
static int dial_port(const struct recipe *r, uint32_t port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	int path = open_port(r, port), fd, err = 0;

	if (path < 0)
		return path;
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		err = -errno;
	else if (!is_ours(peer.uid))
		err = -EACCES;
	close(path);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

void keeper_connect_port(struct recipe *r, uint32_t port)
{
	int fd = dial_port(r, port);

	keeper_report(r, KVMB_KEEPER_CONNECTED, fd < 0 ? fd : 0, fd);
	if (fd >= 0)
		close(fd);
}
