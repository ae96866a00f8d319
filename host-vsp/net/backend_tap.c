// SPDX-License-Identifier: GPL-2.0-only
/* Frames through an existing tap interface; one system call a frame. */
#include "host-vsp/net/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/util.h"

static int tap_send(struct kvmb_net_backend *b, const struct iovec *iov, int num, size_t len)
{
	(void)len;
	return writev(b->fd, iov, num) < 0 ? -errno : 0;
}

static int tap_flush(struct kvmb_net_backend *b)
{
	(void)b;
	return 0; /* a frame goes whole or not at all */
}

static ssize_t tap_recv(struct kvmb_net_backend *b, const struct iovec *iov, int num)
{
	ssize_t n = readv(b->fd, iov, num);

	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	return n;
}

static void tap_destroy(struct kvmb_net_backend *b)
{
	close(b->fd);
	free(b);
}

static const struct kvmb_net_backend_ops tap_ops = {
	.kind = "tap",
	.send = tap_send,
	.flush = tap_flush,
	.recv = tap_recv,
	.destroy = tap_destroy,
};

static int tap_exists(const char *ifname)
{
	char path[64 + IFNAMSIZ];

	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", ifname);
	return access(path, F_OK) == 0;
}

struct kvmb_net_backend *kvmb_net_tap_open(const char *ifname, char *why, size_t why_size)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct kvmb_net_backend *b;
	int fd;

	if (strlen(ifname) >= IFNAMSIZ || !tap_exists(ifname)) {
		/* TUNSETIFF would make a new, unconnected one: not what was asked for */
		snprintf(why, why_size, "no such tap interface; try: ip tuntap add %.15s mode tap",
			 ifname);
		return NULL;
	}
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, why_size, "/dev/net/tun: %s", strerror(errno));
		return NULL;
	}
	memcpy(ifr.ifr_name, ifname, strlen(ifname));
	if (ioctl(fd, TUNSETIFF, &ifr)) {
		snprintf(why, why_size, "%s", errno == EBUSY ? "in use by another VM or program" :
							       strerror(errno));
		close(fd);
		return NULL;
	}
	b = kvmb_xzalloc(sizeof(*b));
	b->ops = &tap_ops;
	b->fd = fd;
	return b;
}
