// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-mode networking: passt over a stream socket, each frame preceded by its length
 * (4 bytes, big-endian).
 *
 * DOC: Theory of operation
 *
 * Frames out are collected as iovecs over guest memory and leave with one system call. A
 * stream may take half of them: the rest is kept in a buffer of our own and goes first.
 * Incoming bytes are read in large pieces, so that one system call brings many frames; from
 * there they are copied once more, which costs less than a call per frame to learn its length.
 *
 * passt that dies is started anew when the NIC asks. It gives the guest the same address again,
 * because it takes the host's; its connections are lost, as with a router that restarts.
 *
 * Source: passt(1), options --fd, -t, -u; qemu's "-netdev stream" has the same framing.
 */
#include "host-vsp/net/backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/spawn.h"
#include "lib/util.h"

#define IN_SIZE 262144u
#define FRAME_MAX 65535u
#define BATCH 32u	   /* frames a system call */
#define BATCH_IOV 512	   /* iovecs of a batch, less than IOV_MAX */
#define MAX_FORWARD 32u
#define START_MS 100u	   /* a passt that cannot start has ended by then */

struct passt { /* how to start it; forward[] NULL-terminated, owned */
	pid_t pid; /* 0 = not ours or not running */
	uint32_t mtu;
	char *forward[MAX_FORWARD + 1];
};

struct stream {
	struct kvmb_net_backend b;
	struct passt *passt; /* NULL = only a socket */
	struct iovec batch[BATCH_IOV];
	uint32_t words[BATCH]; /* lengths of the batch's frames, big-endian */
	unsigned int num_iov, num_frames;
	size_t batch_len;
	char *rest; /* rest[rest_off..rest_len): taken from the guest, not yet sent; owned */
	size_t rest_off, rest_len;
	char in[IN_SIZE];
	size_t in_off, in_len;
	size_t skip; /* bytes of an oversized frame still to be thrown away */
};

static int send_rest(struct stream *s)
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
static int keep_rest(struct stream *s, size_t sent)
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

static int stream_commit(struct kvmb_net_backend *b, unsigned int q)
{
	struct stream *s = container_of(b, struct stream, b);
	struct msghdr msg = { .msg_iov = s->batch, .msg_iovlen = s->num_iov };
	int err = send_rest(s);
	ssize_t n = 0;

	(void)q;
	if (!err && s->num_iov) {
		n = sendmsg(b->fd[0], &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			err = -EPIPE;
		else if (n < 0 || (size_t)n < s->batch_len)
			err = keep_rest(s, n < 0 ? 0 : (size_t)n);
	}
	s->num_iov = s->num_frames = 0;
	s->batch_len = 0;
	return err;
}

static int stream_send(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
		       struct iovec *iov, int num, size_t len)
{
	struct stream *s = container_of(b, struct stream, b);
	int err;

	(void)vnet;
	if (len > FRAME_MAX || num > BATCH_IOV)
		return -EMSGSIZE;
	if (s->rest)
		return -EAGAIN;
	if (s->num_frames == BATCH || s->num_iov + (unsigned int)num > BATCH_IOV) {
		err = stream_commit(b, q);
		if (err)
			return err;
	}
	s->words[s->num_frames] = htonl((uint32_t)len);
	iov[0] = (struct iovec){ &s->words[s->num_frames++], sizeof(s->words[0]) };
	memcpy(s->batch + s->num_iov, iov, (size_t)num * sizeof(*iov));
	s->num_iov += (unsigned int)num;
	s->batch_len += len + sizeof(s->words[0]);
	return 0;
}

static int fill(struct stream *s)
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

static ssize_t stream_recv(struct kvmb_net_backend *b, unsigned int q, struct virtio_net_hdr *vnet,
			   struct iovec *iov, int num)
{
	struct stream *s = container_of(b, struct stream, b);
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
			if (len > iov_bytes(iov, num)) {
				s->in_off += sizeof(word);
				s->skip = len;
				return -EMSGSIZE;
			}
			if (have - sizeof(word) >= len)
				break;
		}
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
	return (ssize_t)len;
}

static void drop_connection(struct stream *s)
{
	if (s->b.fd[0] >= 0)
		close(s->b.fd[0]);
	s->b.fd[0] = -1;
	free(s->rest);
	s->rest = NULL;
	s->rest_off = s->rest_len = s->in_off = s->in_len = s->skip = s->batch_len = 0;
	s->num_iov = s->num_frames = 0;
	if (s->passt && s->passt->pid > 0) {
		kill(s->passt->pid, SIGTERM);
		waitpid(s->passt->pid, NULL, 0);
		s->passt->pid = 0;
	}
}

static void stream_destroy(struct kvmb_net_backend *b)
{
	struct stream *s = container_of(b, struct stream, b);
	unsigned int i;

	drop_connection(s);
	for (i = 0; s->passt && s->passt->forward[i]; i++)
		free(s->passt->forward[i]);
	free(s->passt);
	free(s);
}

/* ---- passt itself ---- */

/* Return: 0, or -errno; -ENOENT when it is not installed, -ECHILD when it ended at once. */
static int start_passt(struct stream *s)
{
	const char *argv[16 + 2 * MAX_FORWARD];
	unsigned int n = 0, i;
	char fd[16], mtu[16];
	int sv[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -errno;
	snprintf(fd, sizeof(fd), "%d", sv[1]);
	snprintf(mtu, sizeof(mtu), "%u", s->passt->mtu);
	argv[n++] = "passt";
	argv[n++] = "--foreground";
	argv[n++] = "--quiet";
	argv[n++] = "--mtu";
	argv[n++] = mtu;
	argv[n++] = "--fd";
	argv[n++] = fd;
	for (i = 0; s->passt->forward[i]; i++) {
		const char *f = s->passt->forward[i];

		argv[n++] = strncmp(f, "udp:", 4) ? "-t" : "-u";
		argv[n++] = strncmp(f, "udp:", 4) && strncmp(f, "tcp:", 4) ? f : f + 4;
	}
	argv[n] = NULL;
	pid = kvmb_spawn(argv, &sv[1], 1, -1);
	close(sv[1]);
	usleep(START_MS * 1000);
	if (pid < 0 || waitpid(pid, &status, WNOHANG) == pid) {
		close(sv[0]);
		return pid < 0 ? (int)pid : WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : -ECHILD;
	}
	s->passt->pid = pid;
	s->b.fd[0] = sv[0];
	return 0;
}

static int stream_revive(struct kvmb_net_backend *b)
{
	struct stream *s = container_of(b, struct stream, b);

	drop_connection(s);
	return s->passt ? start_passt(s) : -ENOTCONN;
}

static const struct kvmb_net_backend_ops stream_ops = {
	.kind = "user",
	.send = stream_send,
	.commit = stream_commit,
	.recv = stream_recv,
	.revive = stream_revive,
	.destroy = stream_destroy,
};

struct kvmb_net_backend *kvmb_net_stream_open(int fd)
{
	struct stream *s = kvmb_xzalloc(sizeof(*s));

	s->b.ops = &stream_ops;
	s->b.num_queues = 1;
	s->b.fd[0] = fd;
	return &s->b;
}

struct kvmb_net_backend *kvmb_net_passt_open(const char *const *forward, unsigned int num,
					     uint32_t mtu, char *why)
{
	struct stream *s = container_of(kvmb_net_stream_open(-1), struct stream, b);
	unsigned int i;
	int err;

	s->passt = kvmb_xzalloc(sizeof(*s->passt));
	s->passt->mtu = s->b.mtu = mtu;
	for (i = 0; i < num && i < MAX_FORWARD; i++)
		s->passt->forward[i] = strdup(forward[i]);
	err = start_passt(s);
	if (!err)
		return &s->b;
	if (err == -ENOENT)
		snprintf(why, KVMB_NET_WHY, "passt is not installed; try: apt install passt, or --nic none");
	else if (err == -ECHILD)
		snprintf(why, KVMB_NET_WHY, "passt does not start (a forwarded port in use, or no interface "
			 "with a route; run it by hand to see), or use --nic none");
	else
		snprintf(why, KVMB_NET_WHY, "cannot start passt: %s", strerror(-err));
	stream_destroy(&s->b);
	return NULL;
}
