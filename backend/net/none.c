// SPDX-License-Identifier: GPL-2.0-only
/* The backend of `--nic none`: drops what is sent, receives nothing. */
#include "backend/net/backend.h"

#include <errno.h>

#include "lib/util.h"

static int none_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		     struct iovec *iov, int num, size_t len)
{
	(void)b, (void)q, (void)vnet, (void)iov, (void)num, (void)len;
	return 0;
}

static int none_commit(struct kvmb_net_backend *b, unsigned int q)
{
	(void)b, (void)q;
	return 0;
}

static ssize_t none_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			 struct iovec *iov, int num)
{
	(void)b, (void)q, (void)vnet, (void)iov, (void)num;
	return -EAGAIN;
}

static void none_destroy(struct kvmb_net_backend *b)
{
	free(b);
}

static const struct kvmb_net_backend_ops none_ops = {
	.kind = "none",
	.send = none_send,
	.commit = none_commit,
	.recv = none_recv,
	.destroy = none_destroy,
};

struct kvmb_net_backend *kvmb_net_none_open(void)
{
	struct kvmb_net_backend *b = kvmb_xzalloc(sizeof(*b));

	b->ops = &none_ops;
	b->num_queues = 1;
	b->fd[0] = -1;
	return b;
}
