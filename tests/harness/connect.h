/* SPDX-License-Identifier: GPL-2.0-only */
/* A client of a unix socket. */
#ifndef KVMB_CONNECT_H
#define KVMB_CONNECT_H

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/test.h"

static inline int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

#endif
