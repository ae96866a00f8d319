// SPDX-License-Identifier: GPL-2.0-only
/* A scripted NBD server: nbd_server.h. */
#include "tests/harness/nbd_server.h"

#include <endian.h>
#include <linux/types.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/harness/patience.h"

#define OPT_MAGIC 0x49484156454f5054ull
#define REPLY_MAGIC 0x3e889045565a9ull
#define OPT_ABORT 2u
#define OPT_GO 7u
#define REP_ACK 1u
#define REP_INFO 3u
#define REP_ERR_UNSUP 0x80000001u
#define REQUEST_MAGIC 0x25609513u
#define SIMPLE_MAGIC 0x67446698u

/* Not kvmb_now_ms(), which a test may make run faster. */
static u64 real_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

static void count(u32 *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
}

static bool get(struct nbd_srv *s, void *buf, size_t n)
{
	return !n || recv(s->fd, buf, n, MSG_WAITALL) == (ssize_t)n;
}

static bool put(struct nbd_srv *s, const void *buf, size_t n)
{
	const char *p = buf;
	ssize_t k;

	for (; n; p += k, n -= (size_t)k) {
		k = send(s->fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
	}
	return true;
}

static void hang_up(struct nbd_srv *s)
{
	u32 i;

	for (i = 0; i < s->held; i++)
		free(s->hold[i].data);
	__atomic_store_n(&s->held, 0, __ATOMIC_RELEASE);
	close(s->fd);
	s->fd = -1;
}

/* ---- handshake ---- */

struct option {
	__be64 magic;
	__be32 option, length;
} __attribute__((packed));

static bool reply_option(struct nbd_srv *s, __be32 option, u32 type, const void *data, u32 n)
{
	struct {
		__be64 magic;
		__be32 option, type, length;
	} __attribute__((packed)) r = { htobe64(REPLY_MAGIC), option, htobe32(type), htobe32(n) };

	return put(s, &r, sizeof(r)) && put(s, data, n);
}

static bool describe(struct nbd_srv *s, __be32 option)
{
	struct {
		__be16 type;
		__be64 bytes;
		__be16 flags;
	} __attribute__((packed)) export = {
		0, htobe64(s->bytes),
		htobe16((u16)(__atomic_load_n(&s->flags, __ATOMIC_ACQUIRE) | 1))
	};
	struct {
		__be16 type;
		__be32 min, preferred, max;
	} __attribute__((packed))
	block = { htobe16(3), htobe32(s->min_block), htobe32(65536), htobe32(32u << 20) };

	return reply_option(s, option, REP_INFO, &export, sizeof(export)) &&
	       (!s->min_block || reply_option(s, option, REP_INFO, &block, sizeof(block))) &&
	       reply_option(s, option, REP_ACK, NULL, 0);
}

static bool shake_hands(struct nbd_srv *s)
{
	static const char hello[] = "NBDMAGICIHAVEOPT\0\3";
	char data[4096];
	struct option o;
	u32 flags;

	if (!put(s, hello, 18) || !get(s, &flags, sizeof(flags)))
		return false;
	while (get(s, &o, sizeof(o)) && o.magic == htobe64(OPT_MAGIC) &&
	       be32toh(o.length) <= sizeof(data) && get(s, data, be32toh(o.length))) {
		if (be32toh(o.option) == OPT_GO)
			return describe(s, o.option);
		if (!reply_option(s, o.option,
				  be32toh(o.option) == OPT_ABORT ? REP_ACK : REP_ERR_UNSUP, NULL,
				  0))
			return false;
	}
	return false;
}

static void greet(struct nbd_srv *s)
{
	struct timeval patience = { .tv_sec = 5 };
	char junk[64];

	if (s->fd >= 0)
		hang_up(s);
	s->fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (s->fd < 0)
		return;
	count(&s->connects);
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	switch (__atomic_load_n(&s->hello, __ATOMIC_ACQUIRE)) {
	case HELLO_SILENT:
		return;
	case HELLO_GARBAGE:
		memset(junk, 0x5a, sizeof(junk));
		put(s, junk, sizeof(junk));
		return;
	case HELLO_HANGUP:
		shake_hands(s);
		hang_up(s);
		return;
	case HELLO_SLOW:
		usleep(500000);
		/* fallthrough */
	default:
		if (!shake_hands(s))
			hang_up(s);
	}
}

/* ---- requests ---- */

static void apply(struct nbd_srv *s, const struct nbd_srv_req *q)
{
	if (q->type == NBD_SRV_ZERO)
		memset(s->disk + q->offset, 0, q->length);
	if (q->type != NBD_SRV_WRITE)
		return;
	memcpy(s->disk + q->offset, q->data, q->length);
	pthread_mutex_lock(&s->lock);
	if (s->journaled < NBD_SRV_JOURNAL)
		s->journal[s->journaled++] = q->data[0];
	pthread_mutex_unlock(&s->lock);
}

static void reply(struct nbd_srv *s, const struct nbd_srv_req *q, u32 what)
{
	struct {
		__be32 magic, error;
		u64 cookie;
	} __attribute__((packed)) r = { htobe32(SIMPLE_MAGIC), 0, q->cookie };
	bool data = q->type == NBD_SRV_READ && what < SRV_ERR;
	size_t n = data ? q->length : 0;

	if (what >= SRV_ERR)
		r.error = htobe32(what - SRV_ERR);
	else
		apply(s, q);
	if (what == SRV_WRONG_HANDLE)
		r.cookie ^= htobe64(0xbad0000);
	if (what == SRV_BAD_MAGIC)
		r.magic = htobe32(0x12345678);
	if (what == SRV_SHORT) {
		put(s, &r, data ? sizeof(r) : sizeof(r) / 2);
		put(s, s->disk + q->offset, n / 2);
		return;
	}
	put(s, &r, sizeof(r));
	put(s, s->disk + q->offset, n);
	if (what == SRV_LONG)
		put(s, s->disk, 64);
}

static bool get_request(struct nbd_srv *s, struct nbd_srv_req *q)
{
	struct {
		__be32 magic;
		__be16 flags, type;
		u64 cookie;
		__be64 offset;
		__be32 length;
	} __attribute__((packed)) w;

	if (!get(s, &w, sizeof(w)) || w.magic != htobe32(REQUEST_MAGIC))
		return false;
	*q = (struct nbd_srv_req){ .flags = be16toh(w.flags),
				   .type = be16toh(w.type),
				   .cookie = w.cookie,
				   .offset = be64toh(w.offset),
				   .length = be32toh(w.length) };
	if (q->type == NBD_SRV_DISC || q->offset > s->bytes || q->length > s->bytes - q->offset)
		return false;
	if (q->type != NBD_SRV_WRITE)
		return true;
	q->data = malloc(q->length);
	return get(s, q->data, q->length);
}

static void serve(struct nbd_srv *s)
{
	u32 (*plan)(struct nbd_srv *, const struct nbd_srv_req *) =
		__atomic_load_n(&s->plan, __ATOMIC_ACQUIRE);
	struct nbd_srv_req q = { 0 };
	u32 what;

	if (!get_request(s, &q)) {
		free(q.data);
		hang_up(s);
		return;
	}
	count(&s->requests);
	if (q.type == NBD_SRV_FLUSH)
		count(&s->flushes);
	what = plan ? plan(s, &q) : SRV_GOOD;
	if (what == SRV_HOLD) {
		kvmb_assert(s->held < ARRAY_SIZE(s->hold));
		s->hold[s->held] = q;
		count(&s->held);
		return;
	}
	if (what == SRV_HANGUP)
		hang_up(s);
	else
		reply(s, &q, what);
	free(q.data);
}

static void release(struct nbd_srv *s)
{
	u32 i;

	for (i = 0; i < s->held; i++) {
		reply(s, &s->hold[i], SRV_GOOD);
		free(s->hold[i].data);
	}
	__atomic_store_n(&s->held, 0, __ATOMIC_RELEASE);
}

static void *thread_main(void *arg)
{
	struct nbd_srv *s = arg;
	u64 n;

	while (!__atomic_load_n(&s->quit, __ATOMIC_ACQUIRE)) {
		struct pollfd p[3] = { { .fd = s->event_fd, .events = POLLIN },
				       { .fd = s->listen_fd, .events = POLLIN },
				       { .fd = s->fd, .events = POLLIN } };

		poll(p, 3, -1);
		if (p[0].revents && read(s->event_fd, &n, sizeof(n)) < 0)
			continue;
		if (p[2].revents && __atomic_load_n(&s->hello, __ATOMIC_ACQUIRE) <= HELLO_SLOW)
			serve(s);
		else if (p[2].revents) /* it may say what it likes */
			hang_up(s);
		if (__atomic_load_n(&s->release, __ATOMIC_ACQUIRE))
			release(s);
		if (__atomic_load_n(&s->drop, __ATOMIC_ACQUIRE) && s->fd >= 0)
			hang_up(s);
		__atomic_store_n(&s->release, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&s->drop, 0, __ATOMIC_RELEASE);
		if (p[1].revents)
			greet(s);
	}
	if (s->fd >= 0)
		hang_up(s);
	return NULL;
}

/* ---- for the test ---- */

static void ask(struct nbd_srv *s, int *flag)
{
	u64 one = 1;

	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
	kvmb_assert(write(s->event_fd, &one, sizeof(one)) == sizeof(one));
}

void nbd_srv_start(struct nbd_srv *s, const char *path, u64 bytes, u16 flags)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(s->path, sizeof(s->path), "%s", path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	s->bytes = bytes;
	s->flags = flags;
	s->disk = calloc(1, bytes);
	pthread_mutex_init(&s->lock, NULL);
	s->fd = -1;
	s->event_fd = eventfd(0, EFD_CLOEXEC);
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	kvmb_assert(!bind(s->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) &&
		    !listen(s->listen_fd, 16));
	kvmb_assert(!pthread_create(&s->thread, NULL, thread_main, s));
}

void nbd_srv_stop(struct nbd_srv *s)
{
	ask(s, &s->quit);
	pthread_join(s->thread, NULL);
	close(s->listen_fd);
	close(s->event_fd);
	pthread_mutex_destroy(&s->lock);
	free(s->disk);
	unlink(s->path);
}

void nbd_srv_plan(struct nbd_srv *s, u32 (*plan)(struct nbd_srv *s, const struct nbd_srv_req *q))
{
	__atomic_store_n(&s->plan, plan, __ATOMIC_RELEASE);
}

static void ask_and_wait(struct nbd_srv *s, int *flag)
{
	u64 until = real_now_ms() + PATIENCE_MS;

	ask(s, flag);
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
		kvmb_assert(real_now_ms() < until);
		usleep(1000);
	}
}

void nbd_srv_release(struct nbd_srv *s)
{
	ask_and_wait(s, &s->release);
}

void nbd_srv_drop(struct nbd_srv *s)
{
	ask_and_wait(s, &s->drop);
}

void nbd_srv_wait(const u32 *counter, u32 n)
{
	u64 until = real_now_ms() + PATIENCE_MS;

	while (nbd_srv_count(counter) < n) {
		kvmb_assert(real_now_ms() < until);
		usleep(1000);
	}
}
