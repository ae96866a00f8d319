// SPDX-License-Identifier: GPL-2.0-only
/* KVMB_RECIPE_PORTS in the keeper's process: sockets of the host that a guest connects to. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/keeper_priv.h"

/* At once: a socket of this host takes a connection, or does not. */
static int dial_port(const struct recipe *r, uint32_t port)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	int fd, err = 0;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s_%u", r->argv[0], port) >=
	    (int)sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		err = -errno;
	else if (peer.uid && peer.uid != geteuid())
		err = -EACCES; /* in a directory that others may write to, it is not meant */
	if (!err)
		return fd;
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
