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
 * Interfaces are looked up, made and opened in tap_names.c; here are only their queues.
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

/* The device takes it from who has a queue of it, without another privilege. */
static int macvtap_set_mac(struct kvmb_net_backend *b, const uint8_t *mac)
{
	struct ifreq ifr = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };

	memcpy(ifr.ifr_hwaddr.sa_data, mac, 6);
	if (ioctl(b->fd[0], SIOCSIFHWADDR, &ifr))
		return -errno;
	memcpy(b->mac, mac, 6);
	return 0;
}

/* ---- opening ---- */

static const struct kvmb_net_backend_ops tap_ops = {
	.kind = "tap",
	.send = tap_send,
	.commit = tap_commit,
	.recv = tap_recv,
	.set_queue = tap_set_queue,
	.set_offload = tap_set_offload,
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
	.destroy = tap_destroy,
};

static const struct kvmb_net_backend_ops bridge_ops = {
	.kind = "bridge",
	.send = tap_send,
	.commit = tap_commit,
	.recv = tap_recv,
	.set_queue = tap_set_queue,
	.set_offload = tap_set_offload,
	.destroy = tap_destroy,
};

static struct kvmb_net_backend *new_backend(const struct kvmb_net_backend_ops *ops)
{
	struct kvmb_net_backend *b = kvmb_xzalloc(sizeof(*b));

	b->ops = ops;
	b->vnet = true;
	return b;
}

struct kvmb_net_backend *kvmb_net_tap_fds(const int *fds, unsigned int num)
{
	struct kvmb_net_backend *b = new_backend(&tap_ops);

	b->num_queues = num;
	memcpy(b->fd, fds, num * sizeof(*fds));
	return b;
}

static bool is_queue(int fd, char *name)
{
	const int want = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	int mode = fcntl(fd, F_GETFL);
	struct ifreq ifr;

	if (mode < 0 || !(mode & O_NONBLOCK) || ioctl(fd, TUNGETIFF, &ifr) ||
	    (ifr.ifr_flags & want) != want || (*name && strncmp(name, ifr.ifr_name, IFNAMSIZ)))
		return false;
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
	return true;
}

struct kvmb_net_backend *kvmb_net_tap_open(enum kvmb_net_tap kind, struct kvmb_net_files *files,
					   char *why)
{
	static const struct kvmb_net_backend_ops *const ops[] = {
		[KVMB_NET_TAP] = &tap_ops,
		[KVMB_NET_MACVTAP] = &macvtap_ops,
		[KVMB_NET_BRIDGE] = &bridge_ops,
	};
	struct kvmb_net_backend *b;
	char name[IFNAMSIZ] = "";
	unsigned int i;

	for (i = 0; i < files->num && is_queue(files->fd[i], name); i++)
		;
	if (!i || i < files->num) {
		snprintf(why, KVMB_NET_WHY,
			 "descriptor %u that came with it is not a queue of a tap", i);
		return NULL;
	}
	b = kvmb_net_tap_fds(files->fd, files->num);
	files->num = 0;
	b->ops = ops[kind];
	memcpy(b->detail, name, IFNAMSIZ);
	b->mtu = files->mtu;
	b->has_mac = kind == KVMB_NET_MACVTAP && files->has_mac;
	memcpy(b->mac, files->mac, sizeof(b->mac));
	for (i = 1; i < b->num_queues && !files->in_use; i++)
		tap_set_queue(b, i, false);
	if (!files->in_use)
		tap_set_offload(b, false, false, false);
	return b;
}
