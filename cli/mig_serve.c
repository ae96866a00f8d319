// SPDX-License-Identifier: GPL-2.0-only
/* Who waits for a VM, with a pump: mig_serve.h. */
#include "cli/mig_serve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/mig_apart.h"
#include "cli/mig_bundle.h"
#include "cli/mig_link.h"
#include "cli/mig_pump.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/util.h"

#define LINE_MS 1000 /* one line about strangers in that time */

struct guest {		      /* he has not proved yet who he is */
	struct mig_lane lane; /* .fd = -1: nobody */
	bool greeted;	      /* by TLS, if it must be */
	uint64_t until;
	uint8_t said[MIG_HELLO_LEN]; /* said[got] */
	size_t got;
};

struct host {
	const struct mig_address *address;
	struct mig_tls tls;
	struct mig_door door;
	struct guest guests[MIG_LINK_GUESTS];
	int plain;
	uint64_t next_line; /* about strangers */
	bool can_unpack;    /* libzstd is there */
	/* of the bundle, when the first has come */
	struct mig_hello wish; /* of the first, with the token of our answer */
	struct mig_lane lanes[MIG_LANES];
	unsigned int num; /* lanes that are there */
};

static void begin_host(struct host *h, const struct mig_address *a, int plain)
{
	size_t i;

	*h = (struct host){ .address = a, .plain = plain };
	for (i = 0; i < MIG_LINK_GUESTS; i++)
		h->guests[i].lane.fd = -1;
	for (i = 0; i < MIG_LANES; i++)
		h->lanes[i].fd = -1;
}

static bool is_there(const struct guest *g)
{
	return g->lane.fd >= 0;
}

static void see_off(struct guest *g)
{
	mig_lane_fini(&g->lane);
}

/* A free place, or that of who has had the longest time. */
static struct guest *find_place(struct host *h)
{
	struct guest *g, *oldest = h->guests;

	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (!is_there(g))
			return g;
		if (g->until < oldest->until)
			oldest = g;
	}
	see_off(oldest);
	return oldest;
}

/* Return: NULL: no memory, and he is gone. */
static struct guest *let_in(struct host *h, int fd)
{
	struct guest *g = find_place(h);

	*g = (struct guest){ .until = kvmb_now_ms() + MIG_LINK_GREET_MS,
			     .greeted = !h->address->tls };
	mig_lane_init(&g->lane, fd, h->address->tls ? mig_tls_open(&h->tls, fd) : NULL);
	if (g->lane.session || !h->address->tls)
		return g;
	see_off(g);
	return NULL;
}

static void say_why(struct host *h, const char *why)
{
	uint64_t now = kvmb_now_ms();

	if (now < h->next_line)
		return;
	h->next_line = now + LINE_MS;
	cli_error("%s: somebody connected, and is not let in: %s", h->address->text, why);
}

/* Of the one whom we wait for. Return: false. */
static bool fail(const struct host *h, const char *why)
{
	cli_error("%s: %s", h->address->text, why);
	return false;
}

/* ---- strangers: TLS, then as much of a greeting as is wanted ---- */

/* Takes what is there of his greeting. Return: 0: it is complete; -EAGAIN; -EPROTO with @why. */
static int hear_greeting(struct guest *g, size_t wanted, char *why)
{
	ssize_t n;

	while (g->got < wanted) {
		n = mig_lane_recv(&g->lane, g->said + g->got, wanted - g->got, why);
		if (!n)
			snprintf(why, MIG_TLS_WHY, "he hung up");
		if (n <= 0)
			return n == -EAGAIN ? -EAGAIN : -EPROTO;
		g->got += (size_t)n;
	}
	return 0;
}

static int hear_guest(struct guest *g, size_t wanted, char *why)
{
	int err = 0;

	if (!g->greeted)
		err = mig_tls_greet(g->lane.session, why);
	if (err)
		return err;
	g->greeted = true;
	return hear_greeting(g, wanted, why);
}

/* Return: one who has proved who he is, and said as much as is @wanted. */
static struct guest *hear_guests(struct host *h, size_t wanted)
{
	char why[MIG_TLS_WHY];
	struct guest *g;
	int err;

	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (!is_there(g))
			continue;
		err = hear_guest(g, wanted, why);
		if (!err)
			return g;
		if (err == -EAGAIN && kvmb_now_ms() < g->until)
			continue;
		say_why(h, err == -EAGAIN ? "he says nothing" : why);
		see_off(g);
	}
	return NULL;
}

/* Who waits for us, the first lane, the door, and those who are in. */
static nfds_t list_fds(const struct host *h, struct pollfd *p, uint64_t until, int *ms)
{
	uint64_t now = kvmb_now_ms(), end = until ? until : UINT64_MAX;
	const struct guest *g;
	nfds_t n = 0;
	int i;

	p[n++] = (struct pollfd){ .fd = h->plain };
	p[n++] = (struct pollfd){ .fd = h->num ? h->lanes[0].fd : -1, .events = POLLIN };
	for (i = 0; i < h->door.num; i++)
		p[n++] = (struct pollfd){ .fd = h->door.fds[i], .events = POLLIN };
	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (!is_there(g))
			continue;
		p[n++] = (struct pollfd){ .fd = g->lane.fd,
					  .events = g->greeted ? POLLIN :
								 mig_tls_events(g->lane.session) };
		end = KVMB_MIN(end, g->until);
	}
	*ms = end == UINT64_MAX ? -1 : end > now ? (int)(end - now) : 0;
	return n;
}

/* Once round. Return: false: there will be nobody, or nobody waits for him. */
static bool open_door(struct host *h, uint64_t until)
{
	struct pollfd p[2 + MIG_TCP_MAX + MIG_LINK_GUESTS];
	int i, fd, ms, num = h->door.num;
	nfds_t n = list_fds(h, p, until, &ms);

	if (poll(p, n, ms) < 0)
		return true;
	if (p[0].revents)
		return false;
	if (p[1].revents)
		return fail(h, "who connected hung up");
	for (i = 0; i < num; i++) {
		fd = p[2 + i].revents ? mig_door_take(&h->door, i) : -1;
		if (fd == -2)
			return false;
		if (fd >= 0)
			let_in(h, fd);
	}
	return true;
}

/* Return: one who has proved who he is; NULL: nobody waits for him, or one line is printed. */
static struct guest *receive_guest(struct host *h)
{
	struct guest *g = NULL;

	while (!g && open_door(h, 0))
		g = hear_guests(h, 0);
	return g;
}

/* Who comes later is to hear it now, and not when the VM has come. */
static void close_up(struct host *h, const struct guest *in)
{
	struct guest *g;

	mig_door_close(&h->door);
	for (g = h->guests; g < h->guests + MIG_LINK_GUESTS; g++) {
		if (g != in)
			see_off(g);
	}
}

/* Of a connection that was inherited. */
static struct guest *greet_one(struct host *h)
{
	char why[MIG_TLS_WHY];
	struct guest *g;
	int fd = mig_door_take(&h->door, 0);

	if (fd < 0)
		return NULL;
	g = let_in(h, fd);
	if (g && !mig_tls_greet_for(g->lane.session, fd, MIG_LINK_GREET_MS, why)) {
		g->greeted = true;
		return g;
	}
	say_why(h, g ? why : strerror(ENOMEM));
	return NULL;
}

/* ---- a bundle ---- */

static bool is_same(const uint8_t *a, const uint8_t *b)
{
	unsigned int differs = 0, i;

	for (i = 0; i < MIG_TOKEN_LEN; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

static bool belongs(const struct host *h, const struct mig_hello *hello)
{
	const struct mig_hello *w = &h->wish;

	return hello->lane && hello->num == w->num && hello->packs == w->packs &&
	       is_same(hello->token, w->token) && h->lanes[hello->lane].fd < 0;
}

/* A few bytes: what cannot be sent at once is sent to nobody. */
static bool answer(struct mig_lane *l, enum mig_answer a, const uint8_t *token)
{
	uint8_t bytes[MIG_ANSWER_LEN];
	char why[MIG_TLS_WHY];

	mig_answer_put(a, token, bytes);
	return mig_lane_send(l, bytes, sizeof(bytes), why) == sizeof(bytes);
}

/* The guest's place becomes free. */
static void take_lane(struct host *h, struct guest *g, unsigned int i)
{
	mig_lane_init(&h->lanes[i], g->lane.fd, g->lane.session);
	g->lane.fd = -1;
	h->num++;
}

static void judge_guest(struct host *h, struct guest *g)
{
	struct mig_hello hello;

	if (mig_hello_get(g->said, &hello) || !belongs(h, &hello)) {
		say_why(h, "he does not belong to who came first");
		see_off(g);
	} else if (!answer(&g->lane, MIG_ANSWER_OK, NULL)) {
		see_off(g);
	} else {
		take_lane(h, g, hello.lane);
	}
}

/* Return: are all there? Else one line is printed, or nobody waits for them. */
static bool gather(struct host *h)
{
	const uint64_t until = kvmb_now_ms() + MIG_LINK_GREET_MS;
	struct guest *g;

	while (h->num < h->wish.num) {
		if (kvmb_now_ms() >= until)
			return fail(h, "who connected does not bring all his connections");
		if (!open_door(h, until))
			return false;
		while ((g = hear_guests(h, MIG_HELLO_LEN)))
			judge_guest(h, g);
	}
	return true;
}

/* What the first one wishes: is it possible? */
static enum mig_answer judge_wish(const struct host *h)
{
	if (h->wish.packs && !h->can_unpack)
		return MIG_ANSWER_NO_ZSTD;
	return h->wish.num > 1 && !h->door.num ? MIG_ANSWER_ONE_LANE : MIG_ANSWER_OK;
}

/* He has said MIG_BUNDLE_GREETING, and has as long as anybody for the rest. */
static bool take_first(struct host *h, struct guest *g)
{
	const struct mig_lane_wait w = { .until = g->until, .stop = -1 };
	enum mig_answer a = MIG_ANSWER_BAD;
	char why[MIG_TLS_WHY];

	if (mig_lane_recv_all(&g->lane, g->said + g->got, sizeof(g->said) - g->got, &w, why))
		return fail(h, why);
	if (!mig_hello_get(g->said, &h->wish) && !h->wish.lane)
		a = judge_wish(h);
	if (a == MIG_ANSWER_OK && getrandom(h->wish.token, MIG_TOKEN_LEN, 0) != MIG_TOKEN_LEN)
		return fail(h, strerror(errno));
	if (!answer(&g->lane, a, a == MIG_ANSWER_OK ? h->wish.token : NULL))
		return fail(h, "who connected hung up");
	if (a != MIG_ANSWER_OK)
		return fail(h, a == MIG_ANSWER_NO_ZSTD ?
				       "who connected compresses, and here is no libzstd; on "
				       "Debian: apt install libzstd1" :
			       a == MIG_ANSWER_ONE_LANE ?
				       "who connected wants several connections, and here is one" :
				       "who connected is another version of kvmbus");
	take_lane(h, g, 0);
	return true;
}

static int run_bundle(struct host *h)
{
	const struct mig_bundle b = {
		.lanes = h->lanes, .num = h->num, .packs = h->wish.packs, .plain = h->plain
	};
	char why[MIG_TLS_WHY];
	int err = mig_bundle_run(&b, why);

	if (err)
		fail(h, err == -ENODATA ? "who connected hung up" : why);
	shutdown(h->plain, SHUT_RDWR);
	return EXIT_OK;
}

/* ---- the pump's process ---- */

static void load_zstd(struct host *h)
{
	char why[MIG_TLS_WHY];

	h->can_unpack = !kvmb_zstd_load(why, sizeof(why)); /* only who compresses cares */
}

enum kind { STREAM, BUNDLE, NOBODY };

/*
 * What the first bytes say. Who says something else than either greeting, or nothing, is the VM's
 * process's to judge.
 */
static enum kind hear_kind(struct host *h, struct guest *g)
{
	const uint64_t until = kvmb_now_ms() + MIG_LINK_GREET_MS;
	char why[MIG_TLS_WHY];
	int err;

	while ((err = hear_greeting(g, MIG_BUNDLE_GREETING_LEN, why)) == -EAGAIN) {
		struct pollfd p[2] = { { .fd = h->plain }, { .fd = g->lane.fd, .events = POLLIN } };
		uint64_t now = kvmb_now_ms();

		if (now >= until || memcmp(g->said, MIG_BUNDLE_GREETING, g->got))
			return STREAM;
		poll(p, 2, (int)(until - now));
		if (p[0].revents)
			return NOBODY;
	}
	if (!memcmp(g->said, MIG_BUNDLE_GREETING, MIG_BUNDLE_GREETING_LEN))
		return BUNDLE;
	if (!err || g->got)
		return STREAM;
	fail(h, !strcmp(why, "he hung up") ? "who connected hung up" : why);
	return NOBODY;
}

static int run_stream(struct host *h, struct guest *g)
{
	const struct mig_pump m = { .session = g->lane.session,
				    .tcp = g->lane.fd,
				    .plain = h->plain,
				    .first = g->said,
				    .first_len = g->got };
	char why[MIG_TLS_WHY];
	int err = mig_pump_run(&m, why);

	if (err)
		fail(h, err == -ENODATA ? "who connected hung up" : why);
	shutdown(h->plain, SHUT_RDWR);
	return EXIT_OK;
}

static int serve_guest(struct host *h, struct guest *g)
{
	enum kind kind = hear_kind(h, g);

	if (kind == BUNDLE) {
		g->until = kvmb_now_ms() + MIG_LINK_GREET_MS;
		if (!take_first(h, g) || !gather(h))
			kind = NOBODY;
	}
	if (kind == NOBODY)
		return EXIT_FAILED;
	close_up(h, kind == BUNDLE ? NULL : g); /* a lane has left its place */
	return kind == BUNDLE ? run_bundle(h) : run_stream(h, g);
}

/* Return: the exit status of its process. */
static int serve_tls(const struct mig_address *a, int plain)
{
	int keep[] = { plain, a->fd };
	char why[MIG_TLS_WHY];
	struct guest *g;
	struct host h;

	begin_host(&h, a, plain);
	prctl(PR_SET_NAME, "kvmbus-tls");
	mig_apart_keep(keep, ARRAY_SIZE(keep));
	if (mig_tls_init(&h.tls, a->tls, true, why)) {
		cli_error("%s", why);
		return EXIT_FAILED;
	}
	load_zstd(&h);
	if (mig_door_open(&h.door, a) || !mig_apart_confine(a->text))
		return EXIT_FAILED;
	g = h.door.connected ? greet_one(&h) : receive_guest(&h);
	return g ? serve_guest(&h, g) : EXIT_FAILED;
}

/* The door's socket and its path are the parent's; further connections come by TCP only. */
static void borrow_door(struct host *h, const struct mig_door *door)
{
	h->door = *door;
	h->door.path.fd = -1;
	if (door->address->kind == MIG_UNIX || door->connected)
		h->door.num = 0;
}

/* Whom it lets in is known before it gives up its rights: /proc says whose a connection is. */
static int serve_bundle(const struct mig_door *door, int fd, int plain)
{
	int keep[2 + MIG_TCP_MAX];
	struct guest *g;
	struct host h;

	begin_host(&h, door->address, plain);
	borrow_door(&h, door);
	prctl(PR_SET_NAME, "kvmbus-bundle");
	keep[0] = plain;
	keep[1] = fd;
	memcpy(keep + 2, h.door.fds, sizeof(h.door.fds[0]) * (size_t)h.door.num);
	mig_apart_keep(keep, 2 + h.door.num);
	load_zstd(&h);
	g = let_in(&h, fd);
	memcpy(g->said, MIG_BUNDLE_GREETING, MIG_BUNDLE_GREETING_LEN);
	g->got = MIG_BUNDLE_GREETING_LEN;
	if (!take_first(&h, g) || !gather(&h))
		return EXIT_FAILED;
	close_up(&h, NULL);
	return mig_apart_confine(h.address->text) ? run_bundle(&h) : EXIT_FAILED;
}

int mig_serve_tls(const struct mig_address *a)
{
	bool pump;
	int fd = mig_apart_fork(a, &pump);

	if (pump)
		_exit(serve_tls(a, fd));
	mig_address_leave(a);
	return fd;
}

int mig_serve_bundle(const struct mig_door *door, int fd)
{
	bool pump;
	int plain = mig_apart_fork(door->address, &pump);

	if (pump)
		_exit(serve_bundle(door, fd, plain));
	close(fd);
	return plain;
}
