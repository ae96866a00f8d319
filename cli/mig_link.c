// SPDX-License-Identifier: GPL-2.0-only
/* Who connects, with a pump and without: mig_link.h. */
#include "cli/mig_link.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/mig_bundle.h"
#include "cli/mig_pump.h"
#include "lib/exits.h"
#include "lib/loop.h"

#define END_S 15 /* MIG_PUMP_STUCK_MS, and what a slow host takes */

/* Does the stream go as records? */
static bool has_records(const struct mig_link *l)
{
	return l->streams > 1 || l->packs;
}

int mig_link_prepare(struct mig_link *l, const struct mig_address *a, unsigned int streams,
		     bool packs)
{
	char why[MIG_TLS_WHY];

	*l = (struct mig_link){
		.address = a, .streams = streams, .packs = packs, .fd = -1, .plain = -1
	};
	if (packs && kvmb_zstd_load(why, sizeof(why))) {
		cli_error("--compress zstd: %s", why);
		return EXIT_FAILED;
	}
	if (!a->tls || !mig_tls_init(&l->tls, a->tls, false, why))
		return EXIT_OK;
	cli_error("%s", why);
	return EXIT_FAILED;
}

int64_t mig_link_wire_bytes(const struct mig_link *l)
{
	return l->num ? (int64_t)__atomic_load_n(&l->wire, __ATOMIC_RELAXED) : -1;
}

/* ---- the pump ---- */

static void hang_up(struct mig_link *l)
{
	unsigned int i;

	shutdown(l->plain, SHUT_RDWR); /* the VM's process hears it, whatever is closed when */
	for (i = 0; i < l->num; i++)
		shutdown(l->lanes[i].fd, SHUT_RDWR);
}

static void *pump(void *arg)
{
	struct mig_link *l = arg;
	const struct mig_bundle bundle = { .lanes = l->lanes,
					   .num = l->num,
					   .spreads = true,
					   .packs = l->packs,
					   .plain = l->plain,
					   .wire = &l->wire };
	const struct mig_pump tls = { .session = l->lanes[0].session,
				      .tcp = l->lanes[0].fd,
				      .plain = l->plain,
				      .wire = &l->wire };

	if (has_records(l))
		mig_bundle_run(&bundle, l->why);
	else
		mig_pump_run(&tls, l->why);
	hang_up(l);
	return NULL;
}

static const char *begin_pump(struct mig_link *l)
{
	int sv[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv))
		return strerror(errno);
	l->fd = sv[0];
	l->plain = sv[1];
	err = pthread_create(&l->thread, NULL, pump, l);
	l->pumps = !err;
	return err ? strerror(err) : NULL;
}

/* ---- connections ---- */

/* A descriptor has no name: the other side is who has that address. */
static bool expect_peer(struct mig_link *l, int fd)
{
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof(a);
	char host[80];

	if (l->address->kind == MIG_TCP)
		snprintf(host, sizeof(host), "%.*s", (int)strcspn(l->address->host, "%"),
			 l->address->host);
	else if (getpeername(fd, (struct sockaddr *)&a, &len) ||
		 getnameinfo((struct sockaddr *)&a, len, host, sizeof(host), NULL, 0,
			     NI_NUMERICHOST) ||
		 a.ss_family == AF_UNIX)
		return false;
	host[strcspn(host, "%")] = 0;
	mig_tls_expect(&l->tls, host);
	return true;
}

/* @fd is the lane's. Return: NULL, or why not. */
static const char *add_lane(struct mig_link *l, int fd)
{
	struct mig_lane *lane = &l->lanes[l->num++];

	mig_lane_init(lane, fd, NULL);
	if (!l->address->tls)
		return NULL;
	if (l->num == 1 && !expect_peer(l, fd))
		return "which host is it? TLS must know whom to expect";
	lane->session = mig_tls_open(&l->tls, fd);
	if (!lane->session)
		return strerror(ENOMEM);
	return mig_tls_greet_for(lane->session, fd, MIG_LINK_GREET_MS, l->why) ? l->why : NULL;
}

static const char *say_hello(struct mig_link *l, unsigned int lane, const uint8_t *token)
{
	const struct mig_lane_wait w = { .until = kvmb_now_ms() + MIG_LINK_GREET_MS, .stop = -1 };
	struct mig_hello h = { .lane = (uint8_t)lane,
			       .num = (uint8_t)l->streams,
			       .packs = l->packs };
	uint8_t bytes[MIG_HELLO_LEN];

	if (token)
		memcpy(h.token, token, sizeof(h.token));
	mig_hello_put(&h, bytes);
	return mig_lane_send_all(&l->lanes[lane], bytes, sizeof(bytes), &w, l->why) ? l->why : NULL;
}

/* Of the first lane with @token, which is filled. */
static const char *hear_answer(struct mig_link *l, unsigned int lane, uint8_t *token)
{
	const struct mig_lane_wait w = { .until = kvmb_now_ms() + MIG_LINK_ANSWER_MS, .stop = -1 };
	uint8_t bytes[MIG_ANSWER_LEN];
	char why[MIG_TLS_WHY];
	int answer = mig_lane_recv_all(&l->lanes[lane], bytes, sizeof(bytes), &w, why);

	if (answer == -EPIPE) {
		snprintf(l->why, sizeof(l->why), "%.200s; it says there why", why);
		return l->why;
	}
	if (answer)
		return strcpy(l->why, why);
	answer = mig_answer_get(bytes, token);
	return answer == MIG_ANSWER_OK ? NULL : mig_answer_why(answer);
}

/* To the same host, whoever else has its name. All greet before the first answer is awaited. */
static const char *connect_others(struct mig_link *l, const uint8_t *token)
{
	uint8_t same[MIG_TOKEN_LEN];
	const char *why = NULL;
	unsigned int i;
	int fd;

	while (l->num < l->streams && !why) {
		fd = mig_connect_again(l->address, l->lanes[0].fd);
		if (fd < 0)
			return "";
		why = add_lane(l, fd);
		if (!why)
			why = say_hello(l, l->num - 1, token);
	}
	for (i = 1; i < l->streams && !why; i++)
		why = hear_answer(l, i, same);
	return why;
}

/* Return: NULL; why not; "": that was printed. */
static const char *begin_lanes(struct mig_link *l, int fd)
{
	const char *why = add_lane(l, fd);
	uint8_t token[MIG_TOKEN_LEN];

	if (why || !has_records(l))
		return why;
	why = say_hello(l, 0, NULL);
	if (!why)
		why = hear_answer(l, 0, token);
	return why ? why : connect_others(l, token);
}

int mig_link_connect(struct mig_link *l)
{
	const char *why;
	int fd = mig_connect(l->address);

	if (fd < 0)
		return EXIT_FAILED;
	if (!l->address->tls && !has_records(l)) {
		l->fd = fd;
		return EXIT_OK;
	}
	why = begin_lanes(l, fd);
	if (!why)
		why = begin_pump(l);
	if (!why)
		return EXIT_OK;
	if (*why)
		cli_error("%s: %s", l->address->text, why);
	mig_link_end(l);
	return EXIT_FAILED;
}

/* ---- the end ---- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* A VM's process that keeps the stream must not keep us. */
static void join_pump(struct mig_link *l)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += END_S;
	if (pthread_timedjoin_np(l->thread, NULL, &until)) {
		hang_up(l);
		pthread_join(l->thread, NULL);
	}
	l->pumps = false;
}

void mig_link_end(struct mig_link *l)
{
	close_fd(&l->fd);
	if (l->pumps)
		join_pump(l);
	while (l->num)
		mig_lane_fini(&l->lanes[--l->num]);
	close_fd(&l->plain);
	mig_tls_fini(&l->tls);
}
