// SPDX-License-Identifier: GPL-2.0-only
/*
 * User-mode networking: passt over a stream socket, each frame preceded by its length
 * (4 bytes, big-endian).
 *
 * A stream may take half a frame. The unsent rest is kept and goes first; until it is
 * gone send() answers -EAGAIN and the caller calls flush(). Incoming bytes are read in large pieces, so that one
 * system call brings many frames.
 *
 * Source: passt(1), option --fd; qemu's "-netdev stream" has the same framing.
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

#define IN_SIZE 65536u
#define FRAME_MAX 65535u
#define MAX_IOV 130

struct stream {
	struct kvmb_net_backend b;
	pid_t pid;		 /* of passt, 0 = not ours */
	char rest[FRAME_MAX + 4]; /* unsent tail of the last frame */
	size_t rest_off, rest_len;
	char in[IN_SIZE];
	size_t in_off, in_len;
	size_t skip;		 /* bytes of an oversized frame still to be thrown away */
};

static int send_rest(struct stream *s)
{
	ssize_t n;

	while (s->rest_off < s->rest_len) {
		n = send(s->b.fd, s->rest + s->rest_off, s->rest_len - s->rest_off,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN ? -EAGAIN : -EPIPE;
		s->rest_off += (size_t)n;
	}
	s->rest_off = s->rest_len = 0;
	return 0;
}

/* Keep what the socket did not take: @sent bytes of length word and frame are gone. */
static void keep_rest(struct stream *s, const struct iovec *iov, int num, size_t sent)
{
	int i;

	s->rest_off = s->rest_len = 0;
	for (i = 0; i < num; i++) {
		size_t gone = KVMB_MIN(sent, iov[i].iov_len);

		memcpy(s->rest + s->rest_len, (char *)iov[i].iov_base + gone, iov[i].iov_len - gone);
		s->rest_len += iov[i].iov_len - gone;
		sent -= gone;
	}
}

static int stream_send(struct kvmb_net_backend *b, const struct iovec *iov, int num, size_t len)
{
	struct stream *s = container_of(b, struct stream, b);
	uint32_t word = htonl((uint32_t)len);
	struct iovec v[MAX_IOV + 1];
	struct msghdr msg = { .msg_iov = v, .msg_iovlen = (size_t)num + 1 };
	ssize_t n;
	int err;

	if (len > FRAME_MAX || num > MAX_IOV)
		return -EMSGSIZE;
	err = send_rest(s);
	if (err)
		return err;
	v[0] = (struct iovec){ &word, sizeof(word) };
	memcpy(v + 1, iov, (size_t)num * sizeof(*iov));
	n = sendmsg(b->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	if ((size_t)n == len + sizeof(word))
		return 0;
	keep_rest(s, v, num + 1, (size_t)n);
	return 1;
}

static int stream_flush(struct kvmb_net_backend *b)
{
	return send_rest(container_of(b, struct stream, b));
}

static int fill(struct stream *s)
{
	ssize_t n;

	if (s->in_off) {
		memmove(s->in, s->in + s->in_off, s->in_len - s->in_off);
		s->in_len -= s->in_off;
		s->in_off = 0;
	}
	n = recv(s->b.fd, s->in + s->in_len, sizeof(s->in) - s->in_len, MSG_DONTWAIT);
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

static ssize_t stream_recv(struct kvmb_net_backend *b, const struct iovec *iov, int num)
{
	struct stream *s = container_of(b, struct stream, b);
	size_t have, len, off, n;
	uint32_t word;
	int err, i;

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
	for (i = 0, have = len; have; i++) {
		n = KVMB_MIN(have, iov[i].iov_len);
		memcpy(iov[i].iov_base, s->in + off, n);
		off += n;
		have -= n;
	}
	return (ssize_t)len;
}

static void stream_destroy(struct kvmb_net_backend *b)
{
	struct stream *s = container_of(b, struct stream, b);

	close(b->fd);
	if (s->pid) {
		kill(s->pid, SIGTERM);
		waitpid(s->pid, NULL, 0);
	}
	free(s);
}

static const struct kvmb_net_backend_ops stream_ops = {
	.kind = "user",
	.send = stream_send,
	.flush = stream_flush,
	.recv = stream_recv,
	.destroy = stream_destroy,
};

struct kvmb_net_backend *kvmb_net_stream_open(int fd)
{
	struct stream *s = kvmb_xzalloc(sizeof(*s));

	s->b.ops = &stream_ops;
	s->b.fd = fd;
	return &s->b;
}

struct kvmb_net_backend *kvmb_net_passt_open(char *why, size_t why_size)
{
	const char *argv[] = { "passt", "--foreground", "--quiet", "--mtu", "1500", "--fd", NULL, NULL };
	struct kvmb_net_backend *b;
	int sv[2], status;
	char num[16];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv)) {
		snprintf(why, why_size, "no socket: %s", strerror(errno));
		return NULL;
	}
	snprintf(num, sizeof(num), "%d", sv[1]);
	argv[6] = num;
	pid = kvmb_spawn(argv, &sv[1], 1, -1);
	close(sv[1]);
	/* a passt that cannot start ends at once: missing program, no interface with a route */
	usleep(100 * 1000);
	if (pid < 0 || waitpid(pid, &status, WNOHANG) == pid) {
		snprintf(why, why_size, pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127 ?
			 "passt is not installed; try: apt install passt, or --nic none" :
			 "passt does not start (run it by hand to see why), or use --nic none");
		close(sv[0]);
		return NULL;
	}
	b = kvmb_net_stream_open(sv[0]);
	container_of(b, struct stream, b)->pid = pid;
	return b;
}
