// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames over a stream socket, each preceded by its length (4 bytes, big-endian).
 *
 * DOC: Theory of operation
 *
 * Outgoing frames are collected as iovecs over guest memory and sent with one system call. If
 * the socket takes only a part, the rest is copied to a buffer of our own and sent first the
 * next time. Incoming bytes are read in large pieces, so that one system call brings many
 * frames. They are then copied once more, which is cheaper than a call per frame to learn its
 * length.
 *
 * Source: passt(1); qemu's "-netdev stream" has the same framing.
 */
#include "backend/net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/util.h"

#define FRAME_MAX 65535u
#define SKIP_MAX 131072u /* longer than this is no frame: the other end has lost its way, or lies */

static int send_rest(struct kvmb_stream *s)
{
	ssize_t n;

	while (s->rest_off < s->rest_len) {
		n = send(s->b.fd[0], s->rest + s->rest_off, s->rest_len - s->rest_off,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? -EAGAIN : -EPIPE;
		s->rest_off += (size_t)n;
	}
	free(s->rest);
	s->rest = NULL;
	s->rest_off = s->rest_len = 0;
	return 0;
}

/* Keep what the socket did not take: @sent bytes of the batch are gone. */
static int keep_rest(struct kvmb_stream *s, size_t sent)
{
	unsigned int i;

	s->rest = malloc(s->batch_len - sent);
	if (!s->rest)
		return -EPIPE; /* half a frame is out: the stream is of no more use */
	for (i = 0; i < s->num_iov; i++) {
		size_t gone = KVMB_MIN(sent, s->batch[i].iov_len), n = s->batch[i].iov_len - gone;

		memcpy(s->rest + s->rest_len, (char *)s->batch[i].iov_base + gone, n);
		s->rest_len += n;
		sent -= gone;
	}
	return -EAGAIN;
}

int kvmb_stream_commit(struct kvmb_net_backend *b, unsigned int q)
{
	struct kvmb_stream *s = container_of(b, struct kvmb_stream, b);
	int err = send_rest(s);
	ssize_t n = 0;

	(void)q;
	if (!err && s->num_iov) {
		n = writev(b->fd[0], s->batch, (int)s->num_iov);
		if (n < 0 && errno != EAGAIN)
			err = -EPIPE;
		else if (n < 0 || (size_t)n < s->batch_len)
			err = keep_rest(s, n < 0 ? 0 : (size_t)n);
	}
	s->num_iov = s->num_frames = 0;
	s->batch_len = 0;
	return err;
}

int kvmb_stream_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		     struct iovec *iov, int num, size_t len)
{
	struct kvmb_stream *s = container_of(b, struct kvmb_stream, b);
	int err;

	(void)vnet;
	if (len > FRAME_MAX || num > KVMB_STREAM_BATCH_IOV)
		return -EMSGSIZE;
	if (s->rest)
		return -EAGAIN;
	if (s->num_frames == KVMB_STREAM_BATCH ||
	    s->num_iov + (unsigned int)num > KVMB_STREAM_BATCH_IOV) {
		err = kvmb_stream_commit(b, q);
		if (err)
			return err;
	}
	kvmb_assert(s->num_frames < KVMB_STREAM_BATCH); /* an empty batch always has room */
	s->words[s->num_frames] = htonl((uint32_t)len);
	iov[0] = (struct iovec){ &s->words[s->num_frames++], sizeof(s->words[0]) };
	memcpy(s->batch + s->num_iov, iov, (size_t)num * sizeof(*iov));
	s->num_iov += (unsigned int)num;
	s->batch_len += len + sizeof(s->words[0]);
	return 0;
}

static int fill(struct kvmb_stream *s)
{
	ssize_t n;

	if (s->in_off) {
		memmove(s->in, s->in + s->in_off, s->in_len - s->in_off);
		s->in_len -= s->in_off;
		s->in_off = 0;
	}
	n = recv(s->b.fd[0], s->in + s->in_len, sizeof(s->in) - s->in_len, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	if (!n)
		return -EPIPE;
	s->in_len += (size_t)n;
	return 0;
}

static size_t iov_bytes(const struct iovec *iov, int num)
{
	size_t n = 0;

	while (num--)
		n += iov[num].iov_len;
	return n;
}

ssize_t kvmb_stream_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			 struct iovec *iov, int num)
{
	struct kvmb_stream *s = container_of(b, struct kvmb_stream, b);
	size_t have, len, off, n;
	uint32_t word;
	int err;

	(void)q;
	memset(vnet, 0, sizeof(*vnet));
	iov++;
	num--;
	for (;;) {
		have = s->in_len - s->in_off;
		if (s->skip) {
			n = KVMB_MIN(s->skip, have);
			s->in_off += n;
			s->skip -= n;
			have -= n;
		}
		if (!s->skip && have >= sizeof(word)) {
			memcpy(&word, s->in + s->in_off, sizeof(word));
			len = ntohl(word);
			if (len > SKIP_MAX)
				return -EPIPE;
			if (len > iov_bytes(iov, num)) {
				s->in_off += sizeof(word);
				s->skip = len;
				s->b.more = s->in_len > s->in_off;
				return -EMSGSIZE;
			}
			if (have - sizeof(word) >= len)
				break;
		}
		s->b.more = false;
		err = fill(s);
		if (err)
			return err;
	}
	off = s->in_off + sizeof(word);
	s->in_off = off + len;
	for (have = len; have; iov++) {
		n = KVMB_MIN(have, iov->iov_len);
		memcpy(iov->iov_base, s->in + off, n);
		off += n;
		have -= n;
	}
	s->b.more = s->in_len > s->in_off;
	return (ssize_t)len;
}

void kvmb_stream_drop(struct kvmb_stream *s)
{
	if (s->b.fd[0] >= 0)
		close(s->b.fd[0]);
	s->b.fd[0] = -1;
	free(s->rest);
	s->rest = NULL;
	s->rest_off = s->rest_len = s->in_off = s->in_len = s->skip = s->batch_len = 0;
	s->num_iov = s->num_frames = 0;
	s->b.more = false;
}

static void stream_destroy(struct kvmb_net_backend *b)
{
	struct kvmb_stream *s = container_of(b, struct kvmb_stream, b);

	kvmb_stream_drop(s);
	free(s);
}

static const struct kvmb_net_backend_ops stream_ops = {
	.kind = "user",
	.send = kvmb_stream_send,
	.commit = kvmb_stream_commit,
	.recv = kvmb_stream_recv,
	.destroy = stream_destroy,
};

struct kvmb_net_backend *kvmb_net_stream_open(int fd)
{
	struct kvmb_stream *s = kvmb_xzalloc(sizeof(*s));

	s->b.ops = &stream_ops;
	s->b.num_queues = 1;
	s->b.fd[0] = fd;
	return &s->b;
}
