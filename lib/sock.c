// SPDX-License-Identifier: GPL-2.0-only
/* Unix sockets to listen on: the reasons are in the header. */
#include "lib/sock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int kvmb_listen_unix(const char *path, char *why, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, probe;
	mode_t old;

	if (strlen(path) >= sizeof(a.sun_path)) {
		snprintf(why, size, "socket %s: the path is too long", path);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	if (!lstat(path, &st) && !S_ISSOCK(st.st_mode)) {
		snprintf(why, size, "socket %s: there is something else of that name, which is left alone", path);
		return -1;
	}
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (!connect(probe, (struct sockaddr *)&a, sizeof(a)) || errno == EAGAIN) { /* EAGAIN: it is busy */
		close(probe);
		snprintf(why, size, "socket %s: in use by a running VM; choose another --name", path);
		return -1;
	}
	if (errno != ECONNREFUSED && errno != ENOENT) { /* not one that nobody serves any more */
		snprintf(why, size, "socket %s: %s", path, strerror(errno));
		close(probe);
		return -1;
	}
	close(probe);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path); /* nobody listens: a crash left it */
	old = umask(0177);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8)) {
		snprintf(why, size, "socket %s: %s", path, strerror(errno));
		umask(old);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	umask(old);
	return fd;
}
