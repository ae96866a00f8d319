/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames over a stream socket; backends on one embed this. Shared by net/ alone. */
#ifndef KVMB_NET_BACKEND_STREAM_H
#define KVMB_NET_BACKEND_STREAM_H

#include "backend/net/backend.h"

#define KVMB_STREAM_IN 262144u
#define KVMB_STREAM_BATCH 32u	   /* frames a system call */
#define KVMB_STREAM_BATCH_IOV 512 /* iovecs of a batch, less than IOV_MAX */

struct kvmb_stream { /* the queue's worker, and the bus thread with the queue's lock */
	struct kvmb_net_backend b;
	struct iovec batch[KVMB_STREAM_BATCH_IOV];
	uint32_t words[KVMB_STREAM_BATCH]; /* lengths of the batch's frames, big-endian */
	unsigned int num_iov, num_frames;
	size_t batch_len;
	char *rest; /* rest[rest_off..rest_len): taken from the guest, not yet sent; owned */
	size_t rest_off, rest_len;
	char in[KVMB_STREAM_IN];
	size_t in_off, in_len;
	size_t skip; /* bytes of an oversized frame still to be thrown away */
};

/* As in struct kvmb_net_backend_ops. */
int kvmb_stream_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		     struct iovec *iov, int num, size_t len);
int kvmb_stream_commit(struct kvmb_net_backend *b, unsigned int q);
ssize_t kvmb_stream_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			 struct iovec *iov, int num);

/** kvmb_stream_drop() - Close the socket and forget what is half sent or half read. */
void kvmb_stream_drop(struct kvmb_stream *s);

#endif
