// SPDX-License-Identifier: GPL-2.0-only
/* Where a VM moves to: mig_address.h. */
#include "cli/mig_address.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/sock.h"

/* Return: the path, or NULL with one line printed. */
static const char *path_of(const char *address)
{
	if (!strncmp(address, "unix:", 5) && address[5] &&
	    strlen(address + 5) < sizeof(((struct sockaddr_un *)0)->sun_path))
		return address + 5;
	cli_error("address \"%s\": write unix:PATH; to another host, for example, ssh -L PATH:PATH "
		  "brings it",
		  address);
	return NULL;
}

/* Who is there gets a VM's memory, or says which options we carry out. */
static bool may_talk(int fd)
{
	struct ucred peer;

	return !client_peer(fd, &peer) && (!peer.uid || peer.uid == geteuid());
}

int mig_connect(const char *address)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = path_of(address);
	int fd;

	if (!path)
		return -1;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (may_talk(fd))
			return fd;
		errno = EACCES;
	}
	cli_error("%s: %s%s", address, strerror(errno),
		  errno == ENOENT || errno == ECONNREFUSED ?
			  "; start the other side first: kvmbus run --incoming" :
			  "");
	if (fd >= 0)
		close(fd);
	return -1;
}

int mig_accept(const char *address)
{
	const char *path = path_of(address);
	struct kvmb_listener l;
	char why[200];
	int fd = -1;

	if (!path)
		return -1;
	if (kvmb_listen_unix(&l, path, why, sizeof(why))) {
		cli_error("%s: %s", address, why);
		return -1;
	}
	while (fd < 0) {
		struct pollfd p = { .fd = l.fd, .events = POLLIN };

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			break;
		fd = kvmb_accept_unix(&l, 0);
		if (fd >= 0 && !may_talk(fd)) {
			close(fd);
			fd = -1;
		}
	}
	kvmb_unlisten_unix(&l);
	if (fd < 0)
		cli_error("%s: %s", address, strerror(errno));
	return fd ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3); /* 0 means none, later */
}
