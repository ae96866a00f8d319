// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames through the kernel's taps: an existing tap, a macvtap, or a tap of our own on a bridge.
 *
 * DOC: Theory of operation
 *
 * Each frame is one read or write, with a virtio-net header in front, directly to or from guest
 * memory; the kernel copies it once. Thanks to the header, frames of up to 64 KiB stay whole:
 * they are segmented only where they leave through real hardware.
 *
 * A queue is another descriptor of the same interface. Queues that the guest does not use are
 * detached, so that the kernel gives them no frames. The kernel sends a flow's frames to the
 * queue that the flow's answers came from.
 *
 * Limits: one system call a frame. An io_uring would carry several per call, but a call is a
 * twentieth of what the kernel does for a frame; large frames are what saves calls here.
 *
 * Sources: Linux 6.1 drivers/net/tun.c, tap.c, include/uapi/linux/if_tun.h.
 */
#include "backend/net/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/util.h"

static int tap_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		    struct iovec *iov, int num, size_t len)
{
	(void)len;
	iov[0] = (struct iovec){ vnet, sizeof(*vnet) };
	if (writev(b->fd[q], iov, num) >= 0)
		return 0;
	return errno == EBADFD || errno == EBADF ? -EPIPE : -errno;
}

static int tap_commit(struct kvmb_net_backend *b, unsigned int q)
{
	(void)b, (void)q;
	return 0; /* a frame goes whole or not at all */
}

static ssize_t tap_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			struct iovec *iov, int num)
{
	ssize_t n;

	iov[0] = (struct iovec){ vnet, sizeof(*vnet) };
	n = readv(b->fd[q], iov, num);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	return n - (ssize_t)sizeof(*vnet);
}

static void tap_set_queue(struct kvmb_net_backend *b, unsigned int q, bool on)
{
	struct ifreq ifr = { .ifr_flags = (short)(on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE) };

	if (b->num_queues > 1)
		ioctl(b->fd[q], TUNSETQUEUE, &ifr); /* already so: fine */
}

static void tap_set_offload(struct kvmb_net_backend *b, bool csum, bool tso4, bool tso6)
{
	unsigned long f = 0;

	if (csum)
		f |= TUN_F_CSUM | (tso4 ? TUN_F_TSO4 : 0) | (tso6 ? TUN_F_TSO6 : 0);
	ioctl(b->fd[0], TUNSETOFFLOAD, f);
}

static void tap_destroy(struct kvmb_net_backend *b)
{
	unsigned int i;

	for (i = 0; i < b->num_queues; i++)
		close(b->fd[i]);
	free(b);
}

/* ---- the interface's own settings ---- */

static int if_ioctl(const char *ifname, unsigned long request, struct ifreq *ifr)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (s < 0)
		return -errno;
	strncpy(ifr->ifr_name, ifname, IFNAMSIZ - 1);
	if (ioctl(s, request, ifr))
		err = -errno;
	close(s);
	return err;
}

static int tap_set_mtu(struct kvmb_net_backend *b, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };
	int err = if_ioctl(b->detail, SIOCSIFMTU, &ifr);

	if (!err)
		b->mtu = mtu;
	return err;
}

static int macvtap_set_mac(struct kvmb_net_backend *b, const uint8_t *mac)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };
	int err;

	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	err = if_ioctl(b->detail, SIOCSIFHWADDR, &ifr);
	if (!err)
		memcpy(b->mac, mac, 6);
	return err;
}

static uint32_t get_mtu(const char *ifname)
{
	struct ifreq ifr = { 0 };

	return if_ioctl(ifname, SIOCGIFMTU, &ifr) ? 0 : (uint32_t)ifr.ifr_mtu;
}

static bool read_sysfs(const char *ifname, const char *what, char *buf, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%.15s/%s", ifname, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* ---- opening ---- */

static const struct kvmb_net_backend_ops tap_ops = {
	.kind = "tap",
	.send = tap_send,
	.commit = tap_commit,
	.recv = tap_recv,
	.set_queue = tap_set_queue,
	.set_offload = tap_set_offload,
	.set_mtu = tap_set_mtu,
	.destroy = tap_destroy,
};

static const struct kvmb_net_backend_ops macvtap_ops = {
	.kind = "macvtap",
	.send = tap_send,
	.commit = tap_commit,
	.recv = tap_recv,
	.set_queue = tap_set_queue,
	.set_offload = tap_set_offload,
	.set_mac = macvtap_set_mac,
	.set_mtu = tap_set_mtu,
	.destroy = tap_destroy,
};

static const struct kvmb_net_backend_ops bridge_ops = {
	.kind = "bridge",
	.send = tap_send,
	.commit = tap_commit,
	.recv = tap_recv,
	.set_queue = tap_set_queue,
	.set_offload = tap_set_offload,
	.set_mtu = tap_set_mtu,
	.destroy = tap_destroy,
};

static const char *reason(int err)
{
	switch (err) {
	case EBUSY:
		return "in use by another VM or program";
	case EPERM:
	case EACCES:
		return "not permitted; this needs CAP_NET_ADMIN, or an interface that belongs to "
		       "this user";
	default:
		return strerror(err);
	}
}

static struct kvmb_net_backend *new_backend(const struct kvmb_net_backend_ops *ops)
{
	struct kvmb_net_backend *b = kvmb_xzalloc(sizeof(*b));

	b->ops = ops;
	b->vnet = true;
	return b;
}

/*
 * One descriptor a queue, all of interface @name, which is completed when it has a %d. Unused
 * queues are detached. Return: 0 or -errno, and nothing is open.
 */
static int open_queues(struct kvmb_net_backend *b, const char *dev, char *name, unsigned int num,
		       bool multi)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
						  (multi ? IFF_MULTI_QUEUE : 0)) };
	int err;

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	for (b->num_queues = 0; b->num_queues < num; b->num_queues++) {
		int fd = open(dev, O_RDWR | O_NONBLOCK | O_CLOEXEC);

		b->fd[b->num_queues] = fd;
		if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr)) {
			err = -errno;
			if (fd >= 0)
				close(fd);
			while (b->num_queues)
				close(b->fd[--b->num_queues]);
			return err;
		}
	}
	memcpy(b->detail, ifr.ifr_name, IFNAMSIZ);
	for (num = 1; num < b->num_queues; num++)
		tap_set_queue(b, num, false);
	tap_set_offload(b, false, false, false);
	return 0;
}

static struct kvmb_net_backend *opened(struct kvmb_net_backend *b, int err, const char *dev,
				       char *why)
{
	if (!err) {
		b->mtu = get_mtu(b->detail);
		return b;
	}
	if (err == -ENOENT || err == -ENXIO)
		snprintf(why, KVMB_NET_WHY, "%s does not exist; try: modprobe tun", dev);
	else
		snprintf(why, KVMB_NET_WHY, "%s", reason(-err));
	free(b);
	return NULL;
}

struct kvmb_net_backend *kvmb_net_tap_open(const char *ifname, unsigned int num_queues,
					   unsigned int max, char *why)
{
	struct kvmb_net_backend *b;
	char flags[32], name[IFNAMSIZ] = "";
	bool multi;

	if (strlen(ifname) >= IFNAMSIZ || !read_sysfs(ifname, "tun_flags", flags, sizeof(flags))) {
		/* TUNSETIFF would create a new, unconnected one, which the user did not ask for */
		snprintf(why, KVMB_NET_WHY,
			 "no such tap interface; try: ip tuntap add %.15s mode tap "
			 "multi_queue, or --nic bridge=BRIDGE",
			 ifname);
		return NULL;
	}
	multi = strtoul(flags, NULL, 16) & IFF_MULTI_QUEUE;
	if (!num_queues)
		num_queues = multi ? max : 1;
	if (num_queues > 1 && !multi) {
		snprintf(why, KVMB_NET_WHY,
			 "it has only one queue; create it with: ip tuntap add %.15s mode tap "
			 "multi_queue",
			 ifname);
		return NULL;
	}
	memcpy(name, ifname, strlen(ifname));
	b = new_backend(&tap_ops);
	return opened(b, open_queues(b, "/dev/net/tun", name, num_queues, multi), "/dev/net/tun",
		      why);
}

struct kvmb_net_backend *kvmb_net_tap_fds(const int *fds, unsigned int num)
{
	struct kvmb_net_backend *b = new_backend(&tap_ops);

	b->num_queues = num;
	memcpy(b->fd, fds, num * sizeof(*fds));
	return b;
}

struct kvmb_net_backend *kvmb_net_macvtap_open(const char *ifname, unsigned int num_queues,
					       unsigned int max, char *why)
{
	unsigned int index = strlen(ifname) < IFNAMSIZ ? if_nametoindex(ifname) : 0, m[6], i;
	struct kvmb_net_backend *b;
	char dev[32], mac[32], name[IFNAMSIZ] = "";

	snprintf(dev, sizeof(dev), "/dev/tap%u", index);
	if (!index || access(dev, F_OK) || !read_sysfs(ifname, "address", mac, sizeof(mac))) {
		snprintf(why, KVMB_NET_WHY,
			 "no such macvtap interface; try: ip link add link eth0 name "
			 "%.15s type macvtap mode bridge",
			 ifname);
		return NULL;
	}
	memcpy(name, ifname, strlen(ifname));
	b = new_backend(&macvtap_ops);
	b = opened(b, open_queues(b, dev, name, num_queues ? num_queues : max, true), dev, why);
	if (!b)
		return NULL;
	memcpy(b->detail, name, sizeof(name));
	b->mtu = get_mtu(name);
	b->has_mac = sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3], &m[4],
			    &m[5]) == 6;
	for (i = 0; b->has_mac && i < 6; i++)
		b->mac[i] = (uint8_t)m[i];
	return b;
}

/* Put our new tap on the bridge. Return: 0 or -errno. */
static int plug_in(const char *tap, const char *bridge, uint32_t mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };
	int err = if_ioctl(tap, SIOCSIFMTU, &ifr);

	if (err)
		return err;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_ifindex = (int)if_nametoindex(tap);
	err = if_ioctl(bridge, SIOCBRADDIF, &ifr);
	if (err)
		return err;
	memset(&ifr, 0, sizeof(ifr));
	err = if_ioctl(tap, SIOCGIFFLAGS, &ifr);
	if (err)
		return err;
	ifr.ifr_flags |= IFF_UP;
	return if_ioctl(tap, SIOCSIFFLAGS, &ifr);
}

struct kvmb_net_backend *kvmb_net_bridge_open(const char *bridge, unsigned int num_queues,
					      unsigned int max, uint32_t mtu, char *why)
{
	struct kvmb_net_backend *b;
	char id[32], name[IFNAMSIZ] = "kvmb%d";
	int err;

	if (strlen(bridge) >= IFNAMSIZ || !read_sysfs(bridge, "bridge/bridge_id", id, sizeof(id))) {
		snprintf(why, KVMB_NET_WHY, "no such bridge; try: ip link add %.15s type bridge",
			 bridge);
		return NULL;
	}
	b = new_backend(&bridge_ops);
	b = opened(b, open_queues(b, "/dev/net/tun", name, num_queues ? num_queues : max, true),
		   "/dev/net/tun", why);
	if (!b)
		return NULL;
	if (!mtu)
		mtu = get_mtu(bridge);
	err = plug_in(b->detail, bridge, mtu);
	if (err) {
		snprintf(why, KVMB_NET_WHY, "cannot join the bridge: %s", reason(-err));
		tap_destroy(b);
		return NULL;
	}
	b->mtu = mtu;
	return b;
}
