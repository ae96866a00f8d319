// SPDX-License-Identifier: GPL-2.0-only
/* Several connections without TLS: how they meet, and who is not let in. */
#include "cli/mig_serve.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/mig_link.h"
#include "lib/exits.h"
#include "lib/fdpass.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "tests/harness/pump.h"
#include "tests/unit/test.h"

#define PUMP "kvmbus-bundle"

/* ---- what is around it ---- */

static char *said; /* said[1000], shared with pumps: last line */
static struct cli_args args;

static void note(const char *fmt, va_list ap)
{
	vsnprintf(said, 1000, fmt, ap);
}
void cli_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(fmt, ap);
	va_end(ap);
}
int cli_bad(const struct cli_command *cmd, const char *fmt, ...)
{
	va_list ap;

	(void)cmd;
	va_start(ap, fmt);
	note(fmt, ap);
	va_end(ap);
	return EXIT_USAGE;
}
bool cli_flag(const struct cli_args *a, const char *name)
{
	(void)a, (void)name;
	return false;
}
const char *cli_text(const struct cli_args *a, const char *name)
{
	(void)a, (void)name;
	return NULL;
}
int client_peer(int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) ? -errno : 0;
}

/* ---- both sides ---- */

static struct mig_address here, there;
static struct mig_door door;
static struct mig_link link_;
static int port, server, first; /* stream of who waits; the first connection of who is played */
static char text[80];
static uint8_t token[MIG_TOKEN_LEN];

static int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static int setup(void **state)
{
	(void)state;
	said[0] = 0;
	server = first = -1;
	port = free_port();
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port);
	assert_int_equal(mig_address_read(&args, text, true, &here), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &here), 0);
	assert_int_equal(mig_address_read(&args, text, false, &there), EXIT_OK);
	link_ = (struct mig_link){ .fd = -1, .plain = -1 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mig_link_end(&link_);
	if (server >= 0)
		close(server);
	if (first >= 0)
		close(first);
	mig_door_close(&door);
	mig_address_forget(&here);
	mig_address_forget(&there);
	expect_no_pump(PUMP, 10000); /* what it says would be taken for the next one's */
	return 0;
}

static bool comes(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) == 1;
}

static void say(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void hear(int fd, void *bytes, size_t len)
{
	uint8_t *to = bytes;

	while (len) {
		ssize_t n;

		assert_true(comes(fd, 10000));
		n = read(fd, to, len);
		assert_true(n > 0);
		to += n;
		len -= (size_t)n;
	}
}

static void expect(int fd, const char *words)
{
	char b[100] = "";

	hear(fd, b, strlen(words));
	assert_string_equal(b, words);
}

static void expect_end(int fd)
{
	char b[4096];
	ssize_t n;

	do {
		assert_true(comes(fd, 15000));
		n = read(fd, b, sizeof(b));
	} while (n > 0);
	assert_true(!n || errno == ECONNRESET);
}

/* As `run --incoming` does it, with one who has connected. */
static void take_bundle(void)
{
	int fd = mig_door_wait(&door);
	char greeting[MIG_BUNDLE_GREETING_LEN];

	assert_true(fd >= 0);
	hear(fd, greeting, sizeof(greeting));
	assert_memory_equal(greeting, MIG_BUNDLE_GREETING, sizeof(greeting));
	server = mig_serve_bundle(&door, fd);
	assert_true(server >= 0);
}

/*
 * Who waits is played by a process of his own: both sides fork their pumps, and TSan follows no
 * threads that a process begins which was forked beside a thread.
 */
static void connect_to_played(void)
{
	int pair[2], num = 1, status, code;
	pid_t pid;
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		take_bundle(); /* if it fails, nothing is sent */
		_exit(kvmb_send_fds(pair[1], "s", 1, &server, 1) != 1);
	}
	close(pair[1]);
	code = mig_link_connect(&link_);
	assert_int_equal(kvmb_recv_fds(pair[0], &c, 1, &server, &num, 0), 1);
	assert_int_equal(num, 1);
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	print_message("%s\n", said);
	assert_int_equal(code, EXIT_OK);
}

static void meet(unsigned int streams, bool packs)
{
	assert_int_equal(mig_link_prepare(&link_, &there, streams, packs), EXIT_OK);
	connect_to_played();
	said[0] = 0;
}

static void say_soon(const char *words)
{
	int tries;

	for (tries = 0; !strstr(said, words) && tries < 500; tries++)
		usleep(10000);
	print_message("server: %s\n", said);
	assert_non_null(strstr(said, words));
}

/* ---- what crosses ---- */

/* The other side may have it before who sent it has counted it. */
static void until_counted(int64_t bytes)
{
	uint64_t until = kvmb_now_ms() + 5000;

	while (mig_link_wire_bytes(&link_) != bytes && kvmb_now_ms() < until)
		usleep(10000);
	assert_int_equal(mig_link_wire_bytes(&link_), bytes);
}

static void words_cross_by_any_number_of_connections(void **state)
{
	static const unsigned int nums[] = { 1, 2, 4, 16 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nums); i++) {
		meet(nums[i], i != 1);
		say(link_.fd, "the VM", 6);
		expect(server, "the VM");
		say(server, "ready", 5);
		expect(link_.fd, "ready");
		until_counted(11 + 2 * MIG_RECORD_HEADER);
		mig_link_end(&link_);
		assert_string_equal(link_.why, "");
		expect_end(server);
		close(server);
		server = -1;
		expect_no_pump(PUMP, 5000);
		assert_string_equal(said, "");
		teardown(state);
		setup(state);
	}
}

static void inherited_listener_takes_several_too(void **state)
{
	char listener[40];
	int fd = dup(door.fds[0]);

	(void)state;
	mig_door_close(&door);
	mig_address_forget(&here);
	snprintf(listener, sizeof(listener), "fd:%d", fd);
	assert_int_equal(mig_address_read(&args, listener, true, &here), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &here), 0);
	assert_int_equal(mig_link_prepare(&link_, &there, 3, false), EXIT_OK);
	connect_to_played();
	say(link_.fd, "x", 1);
	expect(server, "x");
}

static void read_status(pid_t pid, const char *key, char *value, size_t size)
{
	char path[40], line[200];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	*value = 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			snprintf(value, size, "%s", line + strlen(key));
	}
	fclose(f);
}

/* What reads records and unpacks them. */
static void pump_has_neither_rights_nor_our_descriptors(void **state)
{
	uint64_t until = kvmb_now_ms() + 10000;
	char v[200];
	int pipes[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	meet(4, true);
	say(link_.fd, "x", 1);
	expect(server, "x"); /* it reads nothing before it is confined */
	pid = find_pump(PUMP);
	close(pipes[1]);
	expect_end(pipes[0]);
	close(pipes[0]);
	read_status(pid, "Seccomp:", v, sizeof(v));
	assert_int_equal(atoi(v), 2);
	read_status(pid, "CapEff:", v, sizeof(v));
	assert_int_equal(strtoull(v, NULL, 16), 0);
	read_status(pid, "NoNewPrivs:", v, sizeof(v));
	assert_int_equal(atoi(v), 1);
	read_status(pid, "Uid:", v, sizeof(v));
	assert_true(atoi(v) != 0);
	do /* a record may come by the first one before the others have begun */
		read_status(pid, "Threads:", v, sizeof(v));
	while (atoi(v) < 1 + 4 + 1 && kvmb_now_ms() < until && !usleep(10000));
	assert_in_range(atoi(v), 1 + 4 + 1, 1 + 4 + 1 + 1); /* TSan may have one of its own */
}

static void killed_pump_is_a_cut_link(void **state)
{
	(void)state;
	meet(3, false);
	say(link_.fd, "hello", 5);
	expect(server, "hello");
	assert_int_equal(kill(find_pump(PUMP), SIGKILL), 0);
	expect_end(server);
	expect_end(link_.fd);
	mig_link_end(&link_);
	assert_true(link_.why[0]);
}

static void pump_ends_with_who_waits(void **state)
{
	(void)state;
	meet(3, false);
	close(server);
	server = -1;
	expect_end(link_.fd);
	mig_link_end(&link_); /* as its client does, when it has heard that */
	expect_no_pump(PUMP, 5000);
}

/* ---- who is played ---- */

static int knock(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say_hello_as(int fd, struct mig_hello h)
{
	uint8_t bytes[MIG_HELLO_LEN];

	mig_hello_put(&h, bytes);
	say(fd, bytes, sizeof(bytes));
}

static int hear_answer_of(int fd, uint8_t *t)
{
	uint8_t bytes[MIG_ANSWER_LEN];

	hear(fd, bytes, sizeof(bytes));
	return mig_answer_get(bytes, t);
}

/* The first of @num connections, and it has the token. */
static void begin_bundle(uint8_t num)
{
	first = knock();
	say_hello_as(first, (struct mig_hello){ .num = num });
	take_bundle();
	assert_int_equal(hear_answer_of(first, token), MIG_ANSWER_OK);
}

static struct mig_hello lane(uint8_t i, uint8_t num)
{
	struct mig_hello h = { .lane = i, .num = num };

	memcpy(h.token, token, sizeof(token));
	return h;
}

static int join(uint8_t i, uint8_t num)
{
	uint8_t t[MIG_TOKEN_LEN];
	int fd = knock();

	say_hello_as(fd, lane(i, num));
	assert_int_equal(hear_answer_of(fd, t), MIG_ANSWER_OK);
	return fd;
}

/* One record with its number: the link is there. */
static void prove(int fd, uint8_t seq)
{
	const uint8_t r[MIG_RECORD_HEADER + 1] = {
		[0] = seq, [8] = 1, [12] = 1, [MIG_RECORD_HEADER] = 'x'
	};

	say(fd, r, sizeof(r));
	expect(server, "x");
}

static void refuse_lane(struct mig_hello h)
{
	int fd = knock();

	say_hello_as(fd, h);
	expect_end(fd);
	close(fd);
}

static void token_is_another_one_each_time(void **state)
{
	uint8_t before[MIG_TOKEN_LEN] = { 0 };
	int i;

	for (i = 0; i < 3; i++) {
		begin_bundle(2);
		assert_memory_not_equal(token, before, sizeof(token));
		memcpy(before, token, sizeof(token));
		teardown(state);
		setup(state);
	}
}

static void who_does_not_belong_is_refused_and_others_are_not(void **state)
{
	struct mig_hello h;
	unsigned int i;
	int a, b;

	(void)state;
	begin_bundle(3);
	for (i = 0; i < MIG_TOKEN_LEN; i += 5) { /* a bit of it is wrong */
		h = lane(1, 3);
		h.token[i] ^= 0x10;
		refuse_lane(h);
	}
	refuse_lane((struct mig_hello){ .lane = 1, .num = 3 });
	refuse_lane((struct mig_hello){ .lane = 0, .num = 3 }); /* another first one */
	refuse_lane(lane(0, 3));
	refuse_lane(lane(3, 3));
	refuse_lane(lane(1, 4));
	h = lane(1, 3);
	h.packs = true;
	refuse_lane(h);
	a = join(2, 3);
	refuse_lane(lane(2, 3)); /* it is there already */
	b = join(1, 3);
	prove(b, 0);
	prove(first, 1);
	prove(a, 2);
	close(a);
	close(b);
}

static void strangers_take_no_place(void **state)
{
	int fd[MIG_LINK_GUESTS + 4], a;
	size_t i;

	(void)state;
	begin_bundle(2);
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		fd[i] = knock();
	say(fd[1], "GET / HTTP/1.1\r\nHost: x\r\nAnd much more of it\r\n\r\n", 49);
	say(fd[2], MIG_BUNDLE_GREETING, 10);
	close(fd[3]);
	a = join(1, 2);
	prove(a, 0);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		if (i == 3)
			continue;
		expect_end(fd[i]); /* and nobody waits in vain */
		close(fd[i]);
	}
	close(a);
}

static void first_one_that_leaves_is_told_of(void **state)
{
	(void)state;
	begin_bundle(2);
	close(first);
	first = -1;
	expect_end(server);
	say_soon("hung up");
	expect_no_pump(PUMP, 5000);
}

/* So that the next one is heard. */
static void missing_connection_is_not_waited_for(void **state)
{
	uint64_t at = kvmb_now_ms();
	int a;

	(void)state;
	begin_bundle(3);
	a = join(1, 3);
	expect_end(server);
	assert_in_range(kvmb_now_ms() - at, MIG_LINK_GREET_MS - 50, MIG_LINK_GREET_MS + 3000);
	say_soon("all his connections");
	expect_end(first);
	expect_end(a);
	close(a);
	close(server);
	server = -1;
	expect_no_pump(PUMP, 5000);
	meet(2, true); /* the door is open */
	say(link_.fd, "x", 1);
	expect(server, "x");
}

static void greeting_that_stops_is_not_waited_for(void **state)
{
	(void)state;
	first = knock();
	say(first, MIG_BUNDLE_GREETING "\0\2", MIG_BUNDLE_GREETING_LEN + 2);
	take_bundle();
	expect_end(server);
	say_soon("in time");
	expect_end(first);
}

static void refuse_first(const uint8_t *bytes, int answer, const char *words)
{
	uint8_t t[MIG_TOKEN_LEN];

	first = knock();
	say(first, bytes, MIG_HELLO_LEN);
	take_bundle();
	assert_int_equal(hear_answer_of(first, t), answer);
	expect_end(first);
	expect_end(server);
	say_soon(words);
	close(first);
	close(server);
}

static void greeting_that_is_none_is_refused(void **state)
{
	static const struct {
		uint8_t at, value;
	} wrong[] = {
		{ 16, 1 },	       /* no first one */
		{ 17, 0 },	       /* no connections */
		{ 17, 17 },	       /* too many */
		{ 18, 2 },	       /* packed by something unknown */
		{ 19, 1 },  { 23, 1 }, /* reserved */
		{ 24, 1 },  { 39, 1 }, /* a token of which nobody knows */
	};
	struct mig_hello h = { .num = 2 };
	uint8_t bytes[MIG_HELLO_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		mig_hello_put(&h, bytes);
		bytes[wrong[i].at] = wrong[i].value;
		refuse_first(bytes, MIG_ANSWER_BAD, "another version");
	}
	first = server = -1;
}

static void path_has_one_connection(void **state)
{
	uint8_t bytes[MIG_HELLO_LEN], t[MIG_TOKEN_LEN];
	struct mig_hello h = { .num = 2 };
	struct mig_door path = { .address = &here, .connected = true };
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	mig_hello_put(&h, bytes);
	say(sv[0], bytes + MIG_BUNDLE_GREETING_LEN, MIG_HELLO_LEN - MIG_BUNDLE_GREETING_LEN);
	server = mig_serve_bundle(&path, sv[1]);
	assert_int_equal(hear_answer_of(sv[0], t), MIG_ANSWER_ONE_LANE);
	say_soon("here is one");
	close(sv[0]);
}

/* ---- who waits is played ---- */

/* Says so, and closes it. */
static void *answer_thread(void *arg)
{
	const uint8_t *bytes = arg;
	int fd = mig_door_wait(&door);
	char hello[MIG_HELLO_LEN];

	hear(fd, hello, bytes ? sizeof(hello) : MIG_BUNDLE_GREETING_LEN);
	if (bytes)
		say(fd, bytes, MIG_ANSWER_LEN);
	close(fd);
	return NULL;
}

static void connect_in_vain(const uint8_t *answer, const char *words)
{
	pthread_t t;

	pthread_create(&t, NULL, answer_thread, (void *)answer);
	assert_int_equal(mig_link_prepare(&link_, &there, 2, true), EXIT_OK);
	assert_int_equal(mig_link_connect(&link_), EXIT_FAILED);
	pthread_join(t, NULL);
	print_message("client: %s\n", said);
	assert_non_null(strstr(said, words));
}

static void refusals_are_told(void **state)
{
	uint8_t bytes[MIG_ANSWER_LEN] = { MIG_ANSWER_NO_ZSTD };

	(void)state;
	connect_in_vain(NULL, "it says there why"); /* an older one */
	connect_in_vain(bytes, "no libzstd");
	bytes[0] = MIG_ANSWER_ONE_LANE;
	connect_in_vain(bytes, "one connection only");
	bytes[0] = MIG_ANSWER_BAD;
	connect_in_vain(bytes, "another version");
	bytes[0] = 200;
	connect_in_vain(bytes, "no kvmbus");
	bytes[0] = MIG_ANSWER_OK;
	bytes[5] = 1;
	connect_in_vain(bytes, "no kvmbus");
}

static void silence_has_an_end(void **state)
{
	uint64_t at = kvmb_now_ms();

	(void)state;
	assert_int_equal(mig_link_prepare(&link_, &there, 1, true), EXIT_OK);
	mig_address_forget(&there);
	assert_int_equal(mig_address_read(&args, text, false, &there), EXIT_OK);
	here.insecure = there.insecure = true; /* nobody takes it: whose is it? */
	assert_int_equal(mig_link_connect(&link_), EXIT_FAILED);
	assert_in_range(kvmb_now_ms() - at, MIG_LINK_ANSWER_MS - 50, MIG_LINK_ANSWER_MS + 3000);
	assert_non_null(strstr(said, "in time"));
}

static void host_without_libzstd_says_so(void **state)
{
	struct mig_hello h = { .num = 1, .packs = true };
	uint8_t bytes[MIG_HELLO_LEN];

	(void)state;
	assert_int_equal(mig_link_prepare(&link_, &there, 2, true), EXIT_FAILED);
	print_message("%s\n", said);
	assert_non_null(strstr(said, "apt install libzstd1"));
	mig_hello_put(&h, bytes);
	refuse_first(bytes, MIG_ANSWER_NO_ZSTD, "apt install libzstd1");
	server = first = -1;
	meet(3, false); /* it needs none */
	say(link_.fd, "x", 1);
	expect(server, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(words_cross_by_any_number_of_connections),
		T(inherited_listener_takes_several_too),
		T(pump_has_neither_rights_nor_our_descriptors),
		T(killed_pump_is_a_cut_link),
		T(pump_ends_with_who_waits),
		T(token_is_another_one_each_time),
		T(who_does_not_belong_is_refused_and_others_are_not),
		T(strangers_take_no_place),
		T(first_one_that_leaves_is_told_of),
		T(missing_connection_is_not_waited_for),
		T(greeting_that_stops_is_not_waited_for),
		T(greeting_that_is_none_is_refused),
		T(path_has_one_connection),
		T(refusals_are_told),
		T(silence_has_an_end),
	};
	const struct CMUnitTest without[] = { T(host_without_libzstd_says_so) };

	alarm(300);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_IGN);
	said = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return NO_ZSTD ? cmocka_run_group_tests(without, NULL, NULL) :
			 cmocka_run_group_tests(tests, NULL, NULL);
}
