// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors over Unix sockets. Source: unix(7), cmsg(3). */
#include "lib/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/util.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * KVMB_FDPASS_MAX)];
};

ssize_t kvmb_send_fds(int sock, const void *buf, size_t len, const int *fds, int num)
{
	struct iovec iov = { (void *)buf, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control c = { 0 };
	struct cmsghdr *h;
	ssize_t n;

	kvmb_assert(num >= 0 && num <= KVMB_FDPASS_MAX);
	if (!num) { /* all threads of a VM may do this, and few the other */
		n = send(sock, buf, len, MSG_NOSIGNAL);
		return n < 0 ? -errno : n;
	}
	m.msg_control = c.room;
	m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)num);
	h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)num);
	memcpy(CMSG_DATA(h), fds, sizeof(int) * (size_t)num);
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Descriptors of one header: kept while there is room. Return: how many did not fit. */
static int keep_fds(struct cmsghdr *h, int *fds, int room, int *num)
{
	size_t i, n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd, lost = 0;

	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
		if (*num < room) {
			fds[(*num)++] = fd;
		} else {
			close(fd);
			lost++;
		}
	}
	return lost;
}

ssize_t kvmb_recv_fds(int sock, void *buf, size_t size, int *fds, int *num, int flags)
{
	struct iovec iov = { buf, size };
	union control c;
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = c.room,
			    .msg_controllen = sizeof(c.room) };
	int room = num ? *num : 0, got = 0, lost = 0;
	struct cmsghdr *h;
	ssize_t n;

	do
		n = recvmsg(sock, &m, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (num)
		*num = 0;
	if (n < 0)
		return -errno;
	for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			lost += keep_fds(h, fds, room, &got);
	}
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || (lost && num)) {
		while (got)
			close(fds[--got]);
		return -EMSGSIZE;
	}
	if (num)
		*num = got;
	return n;
}
