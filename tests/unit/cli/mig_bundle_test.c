// SPDX-License-Identifier: GPL-2.0-only
/* Records on several connections: what crosses, who lies, and what becomes of both ends. */
#include "cli/mig_bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/mig_pump.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "tests/unit/test.h"

/* ---- a pump in a thread ---- */

struct side {
	struct mig_lane lanes[MIG_LANES];
	struct mig_bundle b;
	int end; /* of the VM's process */
	int err;
	char why[MIG_TLS_WHY];
	uint64_t wire;
	pthread_t thread;
	bool runs;
};

static struct side source, target;
static int peer[MIG_LANES]; /* other ends of lanes, where a side is played */

/* Its process ends behind it, which closes what it has. */
static void *run_side(void *arg)
{
	struct side *s = arg;
	unsigned int i;

	s->err = mig_bundle_run(&s->b, s->why);
	close(s->b.plain);
	for (i = 0; i < s->b.num; i++)
		shutdown(s->lanes[i].fd, SHUT_RDWR);
	return NULL;
}

static void begin_side(struct side *s, unsigned int num, bool spreads, bool packs)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	s->end = sv[0];
	s->wire = 0;
	s->b = (struct mig_bundle){ .lanes = s->lanes,
				    .num = num,
				    .spreads = spreads,
				    .packs = packs,
				    .plain = sv[1],
				    .wire = &s->wire };
	assert_int_equal(pthread_create(&s->thread, NULL, run_side, s), 0);
	s->runs = true;
}

/* Its pump ends by itself. */
static void join_side(struct side *s)
{
	if (s->runs)
		pthread_join(s->thread, NULL);
	s->runs = false;
}

static void end_side(struct side *s)
{
	unsigned int i;

	if (s->end >= 0)
		close(s->end);
	s->end = -1;
	join_side(s);
	for (i = 0; i < s->b.num; i++)
		mig_lane_fini(&s->lanes[i]);
	s->b.num = 0;
}

static void make_pair(int *sv)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
}

/* Both sides are pumps. */
static void begin_both(unsigned int num, bool packs)
{
	unsigned int i;
	int sv[2];

	for (i = 0; i < num; i++) {
		make_pair(sv);
		mig_lane_init(&source.lanes[i], sv[0], NULL);
		mig_lane_init(&target.lanes[i], sv[1], NULL);
	}
	begin_side(&source, num, true, packs);
	begin_side(&target, num, false, packs);
}

/* The other side of @s is played. */
static void begin_one(struct side *s, unsigned int num, bool packs)
{
	unsigned int i;
	int sv[2];

	for (i = 0; i < num; i++) {
		make_pair(sv);
		mig_lane_init(&s->lanes[i], sv[0], NULL);
		peer[i] = sv[1];
	}
	begin_side(s, num, s == &source, packs);
}

static void close_peer(unsigned int i)
{
	if (peer[i] >= 0)
		close(peer[i]);
	peer[i] = -1;
}

static int teardown(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < MIG_LANES; i++)
		close_peer(i);
	end_side(&source);
	end_side(&target);
	return 0;
}

static int setup(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < MIG_LANES; i++)
		peer[i] = -1;
	source.end = target.end = -1;
	return 0;
}

/* ---- talking ---- */

static bool comes(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) == 1;
}

static void say(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n) {
		assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 10000),
				 1);
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			n = 0;
		assert_true(n >= 0);
	}
}

static void expect_bytes(int fd, const void *bytes, size_t len)
{
	char *b = malloc(len + 1);
	size_t got = 0;

	while (got < len) {
		ssize_t n;

		assert_true(comes(fd, 10000));
		n = read(fd, b + got, len - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_memory_equal(b, bytes, len);
	free(b);
}

static void expect(int fd, const char *words)
{
	expect_bytes(fd, words, strlen(words));
}

/* Return: how many bytes came before it. */
static size_t expect_end(int fd)
{
	char b[4096];
	size_t all = 0;
	ssize_t n;

	do {
		assert_true(comes(fd, 15000));
		n = read(fd, b, sizeof(b));
		all += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	assert_true(!n || errno == ECONNRESET);
	return all;
}

/* ---- what crosses ---- */

#define MUCH (8u << 20)
static uint8_t *pattern;

/* Half of it can be packed. */
static void make_pattern(void)
{
	uint32_t x = 1;
	size_t i;

	pattern = kvmb_xzalloc(MUCH);
	for (i = 0; i < MUCH; i++) {
		x = x * 1664525u + 1013904223u;
		pattern[i] = i >> 16 & 1 ? (uint8_t)(x >> 24) : (uint8_t)(i >> 12);
	}
}

static void *send_much(void *arg)
{
	int fd = *(int *)arg;
	size_t at = 0;

	while (at < MUCH) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		poll(&p, 1, -1);
		n = send(fd, pattern + at, KVMB_MIN((size_t)MUCH - at, (size_t)300001),
			 MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EAGAIN)
			break;
	}
	return NULL;
}

struct hearer {
	int fd;
	uint8_t *to;
	size_t len;
};

/* Until MUCH, or the end. */
static void *hear_much(void *arg)
{
	struct hearer *h = arg;
	ssize_t n = 1;

	while (h->len < MUCH && n) {
		if (!comes(h->fd, 20000))
			break;
		n = read(h->fd, h->to + h->len, MUCH - h->len);
		if (n < 0 && errno != EAGAIN)
			break;
		h->len += n > 0 ? (size_t)n : 0;
	}
	return NULL;
}

static uint64_t wire_of(const struct side *s)
{
	return __atomic_load_n(&s->wire, __ATOMIC_RELAXED);
}

static void cross(unsigned int num, bool packs)
{
	pthread_t t[4];
	struct hearer h[2];
	uint64_t wire;
	int i;

	begin_both(num, packs);
	h[0] = (struct hearer){ .fd = target.end, .to = kvmb_xzalloc(MUCH) };
	h[1] = (struct hearer){ .fd = source.end, .to = kvmb_xzalloc(MUCH) };
	pthread_create(&t[0], NULL, send_much, &source.end);
	pthread_create(&t[1], NULL, send_much, &target.end);
	pthread_create(&t[2], NULL, hear_much, &h[0]);
	pthread_create(&t[3], NULL, hear_much, &h[1]);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 2; i++) {
		assert_int_equal(h[i].len, MUCH);
		assert_memory_equal(h[i].to, pattern, MUCH);
		free(h[i].to);
	}
	wire = wire_of(&source);
	print_message("%u connections%s: %llu bytes for 2 x %u\n", num, packs ? ", packed" : "",
		      (unsigned long long)wire, MUCH);
	/* that way half of it is shorter by nine tenths at least; nothing else is */
	assert_true(packs ? wire < 2ull * MUCH - MUCH * 4 / 10 : wire > 2ull * MUCH);
	assert_true(wire < 2ull * MUCH + MUCH / 20);
	end_side(&source);
	end_side(&target);
	assert_string_equal(source.why, "");
	assert_string_equal(target.why, "");
	assert_int_equal(source.wire, target.wire);
}

static void both_directions_cross_whole_at_once(void **state)
{
	static const unsigned int nums[] = { 1, 2, 5, 16 };
	size_t i;

	(void)state;
	make_pattern();
	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		cross(nums[i], false);
		cross(nums[i], true);
	}
	free(pattern);
}

/* Nothing waits for more: each word is a record, and there is no other byte. */
static void word_goes_out_at_once(void **state)
{
	int i;

	(void)state;
	begin_both(4, true);
	for (i = 0; i < 300; i++) {
		say(source.end, "w", 1);
		expect(target.end, "w");
		say(target.end, "v", 1);
		expect(source.end, "v");
	}
	assert_int_equal(wire_of(&source), 600 * (MIG_RECORD_HEADER + 1));
}

static void end_of_one_direction_is_passed_on(void **state)
{
	unsigned int num;

	(void)state;
	for (num = 1; num <= 3; num += 2) {
		begin_both(num, true);
		say(source.end, "that is all", 11);
		shutdown(source.end, SHUT_WR);
		expect(target.end, "that is all");
		assert_int_equal(expect_end(target.end), 0);
		say(target.end, "thank you", 9);
		expect(source.end, "thank you");
		shutdown(target.end, SHUT_WR);
		assert_int_equal(expect_end(source.end), 0);
		end_side(&source);
		end_side(&target);
		assert_int_equal(source.err, 0);
		assert_int_equal(target.err, 0);
	}
}

/* And the other way round: who answers ends first. */
static void end_of_the_answers_is_passed_on(void **state)
{
	(void)state;
	begin_both(3, false);
	say(target.end, "no more", 7);
	shutdown(target.end, SHUT_WR);
	expect(source.end, "no more");
	assert_int_equal(expect_end(source.end), 0);
	say(source.end, "but here", 8);
	expect(target.end, "but here");
	shutdown(source.end, SHUT_WR);
	assert_int_equal(expect_end(target.end), 0);
}

/* What was written before close() arrives, also while the other side writes and nobody reads. */
static void last_words_arrive(void **state)
{
	pthread_t t;
	int round;

	(void)state;
	make_pattern();
	for (round = 0; round < 5; round++) {
		begin_both(4, round & 1);
		pthread_create(&t, NULL, send_much, &source.end);
		assert_true(comes(target.end, 10000));
		usleep(100000); /* all buffers are full */
		say(target.end, "refused", 7);
		close(target.end);
		target.end = -1;
		expect(source.end, "refused");
		expect_end(source.end);
		shutdown(source.end, SHUT_RDWR);
		pthread_join(t, NULL); /* it has an error */
		end_side(&source);
		end_side(&target);
	}
	free(pattern);
}

/* All of it, although who wrote it has gone. */
static void much_that_was_written_before_close_arrives(void **state)
{
	struct hearer h;
	pthread_t t;

	(void)state;
	make_pattern();
	begin_both(4, true);
	h = (struct hearer){ .fd = target.end, .to = kvmb_xzalloc(MUCH) };
	pthread_create(&t, NULL, hear_much, &h);
	send_much(&source.end);
	close(source.end);
	source.end = -1;
	pthread_join(t, NULL);
	assert_int_equal(h.len, MUCH);
	assert_memory_equal(h.to, pattern, MUCH);
	assert_int_equal(expect_end(target.end), 0);
	free(h.to);
	free(pattern);
}

static void who_does_not_read_is_waited_for(void **state)
{
	static uint8_t bytes[65536];
	size_t sent = 0;
	int idle = 0;
	ssize_t n;

	(void)state;
	begin_both(4, false);
	while (idle < 50 && sent < 256u << 20) {
		n = write(source.end, bytes, sizeof(bytes));
		if (n > 0)
			sent += (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		if (n < 0)
			usleep(10000);
	}
	assert_in_range(sent, 1, 32u << 20);
	while (sent) { /* and nothing of it is lost */
		assert_true(comes(target.end, 10000));
		n = read(target.end, bytes, sizeof(bytes));
		assert_true(n > 0);
		sent -= (size_t)n;
	}
	assert_false(comes(target.end, 100));
}

/* ---- between the two: a lane that is slow, or breaks ---- */

struct relay {
	int from, to;
	size_t carried;
	bool slow;
};

static void set_waiting(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static void *relay_thread(void *arg)
{
	struct relay *r = arg;
	char b[4096];
	ssize_t n;

	while ((n = read(r->from, b, r->slow ? 512 : sizeof(b))) > 0) {
		if (send(r->to, b, (size_t)n, MSG_NOSIGNAL) != n)
			break;
		r->carried += (size_t)n;
		if (r->slow)
			usleep(1000);
	}
	shutdown(r->to, SHUT_WR);
	return NULL;
}

/* Half a megabyte a second, and others as fast as can be: the stream does not go by its pace. */
static void slow_lane_gets_less_to_do(void **state)
{
	struct relay r[4][2];
	pthread_t t[4][2], sender;
	struct hearer h;
	int a[2], b[2];
	unsigned int i;

	(void)state;
	make_pattern();
	for (i = 0; i < 4; i++) {
		make_pair(a);
		make_pair(b);
		set_waiting(a[1]);
		set_waiting(b[1]);
		mig_lane_init(&source.lanes[i], a[0], NULL);
		mig_lane_init(&target.lanes[i], b[0], NULL);
		r[i][0] = (struct relay){ .from = a[1], .to = b[1], .slow = i == 2 };
		r[i][1] = (struct relay){ .from = b[1], .to = a[1] };
		pthread_create(&t[i][0], NULL, relay_thread, &r[i][0]);
		pthread_create(&t[i][1], NULL, relay_thread, &r[i][1]);
	}
	begin_side(&source, 4, true, false);
	begin_side(&target, 4, false, false);
	h = (struct hearer){ .fd = target.end, .to = kvmb_xzalloc(MUCH) };
	pthread_create(&sender, NULL, send_much, &source.end);
	hear_much(&h);
	pthread_join(sender, NULL);
	assert_int_equal(h.len, MUCH);
	assert_memory_equal(h.to, pattern, MUCH);
	end_side(&source);
	end_side(&target);
	for (i = 0; i < 4; i++) {
		pthread_join(t[i][0], NULL);
		pthread_join(t[i][1], NULL);
		close(r[i][0].from);
		close(r[i][0].to);
		print_message("connection %u: %zu bytes\n", i, r[i][0].carried);
	}
	assert_true(r[2][0].carried * 2 < r[0][0].carried + r[1][0].carried + r[3][0].carried);
	free(h.to);
	free(pattern);
}

/* What arrived is a beginning of what was sent, and everybody hears that there is no more. */
static void cut_lane_cuts_the_link(void **state)
{
	unsigned int round, seed = 12345;
	struct hearer h;
	pthread_t t[2];

	(void)state;
	make_pattern();
	h.to = kvmb_xzalloc(MUCH);
	for (round = 0; round < 40; round++) {
		begin_both(4, round & 1);
		h = (struct hearer){ .fd = target.end, .to = h.to };
		pthread_create(&t[0], NULL, send_much, &source.end);
		pthread_create(&t[1], NULL, hear_much, &h);
		usleep((unsigned int)rand_r(&seed) % 8000);
		shutdown(target.lanes[round % 4].fd, SHUT_RDWR);
		pthread_join(t[1], NULL);
		assert_memory_equal(h.to, pattern, h.len);
		expect_end(source.end);
		pthread_join(t[0], NULL);
		if (h.len < MUCH) {
			join_side(&source);
			join_side(&target);
			assert_int_equal(source.err, -EPROTO);
			assert_int_equal(target.err, -EPROTO);
		}
		end_side(&source);
		end_side(&target);
	}
	free(h.to);
	free(pattern);
}

/* Nothing moves: the cut is heard all the same. */
static void cut_is_heard_while_nothing_is_said(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		begin_both(3, false);
		say(source.end, "x", 1);
		expect(target.end, "x");
		shutdown(source.lanes[i].fd, SHUT_RDWR);
		expect_end(target.end);
		expect_end(source.end);
		end_side(&source);
		end_side(&target);
		assert_int_equal(target.err, -EPROTO);
		assert_string_equal(target.why, "a connection was cut");
		assert_true(source.err == -EPROTO && source.why[0]);
	}
}

/* ---- one who lies ---- */

static uint8_t zeros[MIG_RECORD_RAW];

static void put(uint8_t *to, uint64_t v, size_t len)
{
	memcpy(to, &v, len); /* this is a little-endian machine */
}

static void header(unsigned int lane, uint64_t seq, uint32_t raw, uint32_t packed, uint32_t flags)
{
	uint8_t h[MIG_RECORD_HEADER] = { 0 };

	put(h, seq, 8);
	put(h + 8, raw, 4);
	put(h + 12, packed, 4);
	put(h + 16, flags, 4);
	say(peer[lane], h, sizeof(h));
}

static void record(unsigned int lane, uint64_t seq, const char *bytes)
{
	header(lane, seq, (uint32_t)strlen(bytes), (uint32_t)strlen(bytes), 0);
	say(peer[lane], bytes, strlen(bytes));
}

static void end(unsigned int lane, uint64_t seq)
{
	header(lane, seq, 0, 0, MIG_RECORD_END);
}

/* zeros[@len], which says that it is zeros[@told]. */
static void packed_record(unsigned int lane, uint64_t seq, uint32_t len, uint32_t told)
{
	struct mig_packer pk;
	uint64_t n;

	assert_int_equal(mig_packer_init(&pk, true), 0);
	memset(pk.raw, 0, len);
	n = mig_pack(&pk, seq, len);
	put(pk.record + 8, told, 4);
	say(peer[lane], pk.record, n);
	mig_packer_fini(&pk);
}

static void lie_again(void)
{
	record(0, 0, "a"), record(0, 0, "a");
}
static void lie_back(void)
{
	record(0, 0, "a"), record(0, 1, "b"), record(0, 0, "c");
}
static void lie_twice(void)
{
	record(0, 0, "a"), expect(target.end, "a"), record(1, 0, "b");
}
static void lie_gap(void)
{
	record(0, 1, "a"), record(1, 2, "b"), record(2, 3, "c");
}
static void lie_gap_end(void)
{
	record(0, 1, "a"), end(1, 5), end(2, 5);
}
static void lie_total(void)
{
	record(0, 0, "a"), end(0, 1), end(1, 2), end(2, 1);
}
static void lie_more_than_came(void)
{
	record(0, 0, "a"), end(0, 2), end(1, 2), end(2, 2);
}
static void lie_early_end(void)
{
	record(0, 0, "a"), end(0, 0);
}
static void lie_behind(void)
{
	record(0, 0, "a"), end(0, 1), record(0, 2, "b");
}
static void lie_two_ends(void)
{
	end(0, 0), end(0, 1);
}
static void lie_huge_number(void)
{
	record(0, 1ull << 63, "a");
}
static void lie_last_number(void)
{
	record(0, UINT64_MAX, "a");
}
static void lie_long(void)
{
	header(0, 0, MIG_RECORD_RAW + 1, MIG_RECORD_RAW + 1, 0);
}
static void lie_very_long(void)
{
	header(0, 0, UINT32_MAX, UINT32_MAX, 0);
}
static void lie_empty(void)
{
	header(0, 0, 0, 0, 0);
}
static void lie_short(void)
{
	header(0, 0, 5, 4, 0);
}
static void lie_longer(void)
{
	header(0, 0, 4, 5, 0);
}
static void lie_flags(void)
{
	header(0, 0, 1, 1, 4);
}
static void lie_end_bytes(void)
{
	header(0, 0, 1, 1, MIG_RECORD_END);
}
static void lie_end_raw(void)
{
	header(0, 0, 1, 0, MIG_RECORD_END);
}
static void lie_end_packed(void)
{
	header(0, 0, 0, 0, MIG_RECORD_END | MIG_RECORD_PACKED);
}
static void lie_packed_none(void)
{
	header(0, 0, 5, 0, MIG_RECORD_PACKED);
}
static void lie_packed_same(void)
{
	header(0, 0, 5, 5, MIG_RECORD_PACKED);
}
static void lie_packed_long(void)
{
	header(0, 0, MIG_RECORD_RAW, UINT32_MAX, MIG_RECORD_PACKED);
}
static void lie_reserved(void)
{
	uint8_t h[MIG_RECORD_HEADER] = { [8] = 1, [12] = 1, [20] = 1 };

	say(peer[0], h, sizeof(h));
}
static void lie_garbage(void)
{
	header(0, 0, 100, 50, MIG_RECORD_PACKED);
	say(peer[0], "this is no frame of zstd, whatever it may look like", 50);
}
static void lie_less(void)
{
	packed_record(0, 0, 4096, 4097);
}
static void lie_more(void)
{
	packed_record(0, 0, 65536, 65535);
}
static void lie_bomb(void)
{
	packed_record(0, 0, MIG_RECORD_RAW, 100);
}
static void lie_cut_header(void)
{
	say(peer[1], zeros, 10), close_peer(1);
}
static void lie_cut_body(void)
{
	header(1, 0, 10, 10, 0), say(peer[1], zeros, 9), close_peer(1);
}
static void lie_cut_between(void)
{
	record(1, 0, "a"), close_peer(1);
}
static void lie_cut_at_once(void)
{
	close_peer(2);
}
static void lie_cut_while_held(void)
{
	record(0, 1, "b"), usleep(20000), close_peer(1);
}

static const struct {
	void (*tell)(void);
	const char *why;
	bool plain; /* nothing may be packed */
} lies[] = {
	{ lie_again, "out of order", false },
	{ lie_back, "out of order", false },
	{ lie_twice, "twice", false },
	{ lie_gap, "leaves a record out", false },
	{ lie_gap_end, "leaves a record", false },
	{ lie_total, "at two places", false },
	{ lie_more_than_came, "leaves a", false },
	{ lie_early_end, "out of order", false },
	{ lie_behind, "behind the end", false },
	{ lie_two_ends, "behind the end", false },
	{ lie_huge_number, "out of order", false },
	{ lie_last_number, "out of ord", false },
	{ lie_long, "too long, or empty", false },
	{ lie_very_long, "too long, or", false },
	{ lie_empty, "too long, or empty", false },
	{ lie_short, "wrong length", false },
	{ lie_longer, "wrong length", false },
	{ lie_flags, "unknown kind", false },
	{ lie_reserved, "unknown kind", false },
	{ lie_end_bytes, "end with bytes", false },
	{ lie_end_raw, "end with bytes", false },
	{ lie_end_packed, "end with byte", false },
	{ lie_packed_none, "wrong length", false },
	{ lie_packed_same, "wrong length", false },
	{ lie_packed_long, "wrong length", false },
	{ lie_garbage, "cannot be unpacked", false },
	{ lie_less, "of another size", false },
	{ lie_more, "cannot be unpacked", false },
	{ lie_bomb, "cannot be unpacked", false },
	{ lie_less, "that is packed", true },
	{ lie_cut_header, "was cut", false },
	{ lie_cut_body, "was cut", false },
	{ lie_cut_between, "was cut", false },
	{ lie_cut_at_once, "was cut", false },
	{ lie_cut_while_held, "was cut", false },
};

static void lie_cuts_the_link_and_is_told(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		begin_one(&target, 3, !lies[i].plain);
		lies[i].tell();
		join_side(&target);
		print_message("%zu: %s\n", i, target.why);
		assert_int_equal(target.err, -EPROTO);
		assert_non_null(strstr(target.why, lies[i].why));
		expect_end(target.end);
		teardown(state);
		setup(state);
	}
}

/* Order is kept, whatever order they come in, and by a byte at a time. */
static void records_are_put_in_order(void **state)
{
	uint8_t h[MIG_RECORD_HEADER] = { [8] = 1, [12] = 1 };
	size_t i;

	(void)state;
	begin_one(&target, 3, true);
	record(2, 2, "three ");
	record(1, 1, "two ");
	packed_record(2, 4, 4096, 4096);
	assert_false(comes(target.end, 100));
	record(0, 0, "one ");
	expect(target.end, "one two three ");
	assert_false(comes(target.end, 100));
	put(h, 3, 8);
	for (i = 0; i < sizeof(h); i++)
		say(peer[0], h + i, 1);
	say(peer[0], "4", 1);
	expect(target.end, "4");
	expect_bytes(target.end, zeros, 4096);
	end(0, 5);
	end(2, 5);
	assert_false(comes(target.end, 100)); /* the third may have something yet */
	end(1, 5);
	assert_int_equal(expect_end(target.end), 0);
	say(target.end, "thanks", 6);
	assert_true(comes(peer[0], 10000));
}

/* A record that is missing: what comes meanwhile waits in sockets, not in our memory. */
static void reorder_buffer_is_one_record_a_lane(void **state)
{
	size_t sent = 0;
	uint64_t seq = 1;
	uint8_t h[MIG_RECORD_HEADER] = { 0 };
	ssize_t n;

	(void)state;
	begin_one(&target, 2, false);
	put(h + 8, MIG_RECORD_RAW, 4);
	put(h + 12, MIG_RECORD_RAW, 4);
	for (;;) { /* until nobody takes any for a while */
		static uint8_t b[MIG_RECORD_HEADER + MIG_RECORD_RAW];
		size_t at = 0;

		put(h, seq++, 8);
		memcpy(b, h, sizeof(h));
		while (at < sizeof(b) &&
		       poll(&(struct pollfd){ .fd = peer[1], .events = POLLOUT }, 1, 300) == 1) {
			n = send(peer[1], b + at, sizeof(b) - at, MSG_NOSIGNAL);
			assert_true(n > 0);
			at += (size_t)n;
			sent += (size_t)n;
		}
		if (at < sizeof(b))
			break;
	}
	print_message("%zu bytes were taken\n", sent);
	assert_in_range(sent, MIG_RECORD_RAW, 4u << 20);
	assert_false(comes(target.end, 0));
}

/* ---- answers: who has connected hears a liar, too ---- */

static void answers_are_never_packed(void **state)
{
	(void)state;
	begin_one(&source, 2, true);
	packed_record(0, 0, 4096, 4096);
	join_side(&source);
	assert_non_null(strstr(source.why, "that is packed"));
	expect_end(source.end);
}

static void bytes_on_a_silent_lane_are_a_lie(void **state)
{
	unsigned int i;

	(void)state;
	begin_one(&source, 3, false);
	say(source.end, "hello", 5);
	say(peer[1], "x", 1);
	expect_end(source.end); /* which takes as long as last words may */
	for (i = 0; i < 3; i++)
		close_peer(i);
	end_side(&source);
	assert_non_null(strstr(source.why, "out of turn"));
}

/* A target that ends closes its connections in any order: what it said last counts. */
static void last_words_arrive_though_another_lane_broke(void **state)
{
	(void)state;
	begin_one(&source, 3, false);
	say(source.end, "hello", 5);
	close_peer(2);
	usleep(100000);
	record(0, 0, "running");
	expect(source.end, "running");
	end(0, 1);
	assert_int_equal(expect_end(source.end), 0);
}

static void nobody_at_the_end_and_nobody_who_takes_is_an_end(void **state)
{
	uint64_t at;

	(void)state;
	make_pattern();
	begin_one(&source, 2, false);
	say(source.end, pattern, 100000);
	close(source.end);
	source.end = -1;
	at = kvmb_now_ms();
	join_side(&source);
	assert_in_range(kvmb_now_ms() - at, 0, MIG_PUMP_STUCK_MS + MIG_PUMP_LINGER_MS + 2000);
	free(pattern);
}

static void silence_is_told(void **state)
{
	unsigned int i;

	(void)state;
	begin_one(&target, 2, false);
	for (i = 0; i < 2; i++)
		end(i, 0);
	assert_int_equal(expect_end(target.end), 0);
	end_side(&target);
	assert_int_equal(target.err, -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_directions_cross_whole_at_once),
		T(word_goes_out_at_once),
		T(end_of_one_direction_is_passed_on),
		T(end_of_the_answers_is_passed_on),
		T(last_words_arrive),
		T(much_that_was_written_before_close_arrives),
		T(who_does_not_read_is_waited_for),
		T(slow_lane_gets_less_to_do),
		T(cut_lane_cuts_the_link),
		T(cut_is_heard_while_nothing_is_said),
		T(lie_cuts_the_link_and_is_told),
		T(records_are_put_in_order),
		T(reorder_buffer_is_one_record_a_lane),
		T(answers_are_never_packed),
		T(bytes_on_a_silent_lane_are_a_lie),
		T(last_words_arrive_though_another_lane_broke),
		T(nobody_at_the_end_and_nobody_who_takes_is_an_end),
		T(silence_is_told),
	};
	char why[200];

	alarm(300);
	signal(SIGPIPE, SIG_IGN);
	if (kvmb_zstd_load(why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
