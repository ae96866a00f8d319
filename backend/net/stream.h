/* SPDX-License-Identifier: GPL-2.0-only */
/* Frames over a stream socket; passt's backend embeds this. Used by backend/net alone. */
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

/** kvmb_stream_send() - The operation send of struct kvmb_net_backend_ops. */
int kvmb_stream_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		     struct iovec *iov, int num, size_t len);
/** kvmb_stream_commit() - The operation commit of struct kvmb_net_backend_ops. */
int kvmb_stream_commit(struct kvmb_net_backend *b, unsigned int q);
/** kvmb_stream_recv() - The operation recv of struct kvmb_net_backend_ops. */
ssize_t kvmb_stream_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			 struct iovec *iov, int num);

/** kvmb_stream_drop() - Close the socket and forget what is half sent or half read. */
void kvmb_stream_drop(struct kvmb_stream *s);

#endif
