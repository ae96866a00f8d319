// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of block devices, from the kernel itself.
 *
 * libudev is no help here: it asks who the sender is in a user namespace, and reads files for that,
 * which a confined process cannot. What we want to know is in the kernel's own message, and does
 * not depend on the rules of udevd.
 *
 * Source: Linux lib/kobject_uevent.c: "ACTION@PATH", then KEY=VALUE strings, each with a NUL.
 */
#include "vmm/uevent.h"

#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/util.h"

#define GROUP_KERNEL 1u
#define EVENT_MAX 8192u /* the kernel's UEVENT_BUFFER_SIZE is 2048 */

struct uevent_watch {
	struct kvmb_loop *loop;
	const char *who;
	const struct uevent_listener *events;
	void *arg;
	bool listening;
	int fd; /* -1 = none */
	struct kvmb_watch *watch;
	char event[EVENT_MAX + 1];
};

/* Return: the value of @key in @event[@len], or NULL. */
static const char *value_of(const char *event, size_t len, const char *key)
{
	size_t n = strlen(key), at = 0;

	for (; at < len; at += strlen(event + at) + 1) {
		if (!strncmp(event + at, key, n) && event[at + n] == '=')
			return event + at + n + 1;
	}
	return NULL;
}

/* Return: bytes of one event of the kernel's, with a NUL behind; 0: there is none. */
static size_t next_event(struct uevent_watch *u)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { u->event, EVENT_MAX };
	struct msghdr m = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t n;

	do /* ENOBUFS: some were lost; what is here is still good */
		n = recvmsg(u->fd, &m, MSG_DONTWAIT);
	while ((n < 0 && (errno == EINTR || errno == ENOBUFS)) ||
	       (n >= 0 && (from.nl_pid || m.msg_flags & MSG_TRUNC)));
	if (n <= 0)
		return 0;
	u->event[n] = 0;
	return (size_t)n;
}

static void tell(struct uevent_watch *u, size_t len)
{
	const char *subsystem = value_of(u->event, len, "SUBSYSTEM");
	const char *action = value_of(u->event, len, "ACTION");
	const char *major = value_of(u->event, len, "MAJOR");
	const char *minor = value_of(u->event, len, "MINOR");
	dev_t dev;

	if (!subsystem || strcmp(subsystem, "block") || !action || !major || !minor)
		return;
	dev = makedev((unsigned int)strtoul(major, NULL, 10),
		      (unsigned int)strtoul(minor, NULL, 10));
	if (!strcmp(action, "remove"))
		u->events->gone(u->arg, dev);
	else if (!strcmp(action, "change"))
		u->events->changed(u->arg, dev);
}

static void on_uevent(void *arg, uint32_t events)
{
	struct uevent_watch *u = arg;
	size_t n;

	(void)events;
	while ((n = next_event(u)))
		tell(u, n);
}

struct uevent_watch *uevent_watch_create(struct kvmb_loop *loop, const char *who,
					 const struct uevent_listener *events, void *arg)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL };
	struct uevent_watch *u = kvmb_xzalloc(sizeof(*u));

	u->loop = loop;
	u->who = who;
	u->events = events;
	u->arg = arg;
	u->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (u->fd >= 0 && bind(u->fd, (const struct sockaddr *)&kernel, sizeof(kernel))) {
		close(u->fd);
		u->fd = -1;
	}
	return u;
}

void uevent_watch_listen(struct uevent_watch *u)
{
	if (!u || u->listening)
		return;
	u->listening = true;
	if (u->fd < 0) {
		kvmb_warn(u->who, "no device events; disks that vanish will not be noticed");
		return;
	}
	while (next_event(u)) /* what came before the first device is about others */
		;
	u->watch = kvmb_loop_add(u->loop, u->fd, EPOLLIN, on_uevent, u);
}

void uevent_watch_destroy(struct uevent_watch *u)
{
	if (!u)
		return;
	kvmb_loop_del(u->watch);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}
