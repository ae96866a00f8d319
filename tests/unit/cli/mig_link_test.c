// SPDX-License-Identifier: GPL-2.0-only
/* Streams through TLS: what crosses, who is let in, and what becomes of both ends when one goes. */
#include "cli/mig_link.h"
#include "cli/mig_serve.h"

#include <errno.h>
#include <fcntl.h>
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "tests/harness/certs.h"
#include "tests/harness/pump.h"
#include "tests/unit/test.h"

#define PUMP "kvmbus-tls"

/* ---- what is around it ---- */

static char *said; /* said[1000], shared with pumps: last line */
static const char *tls_dir;
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
	return tls_dir;
}
int client_peer(int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) ? -errno : 0;
}

/* ---- both sides ---- */

static char dir[] = "/tmp/mig_link_test.XXXXXX", sub[12][300];
static struct mig_address here, there;
static struct mig_link link_;
static int port, server; /* stream of who waits */
static char text[80];
static unsigned int streams = 1;
static bool packs;

/* A directory of its own with the CA of @ca, and what @w wants signed by @by. */
static const char *make_dir(size_t i, const char *ca, struct certs *by, struct certs_wish w)
{
	char command[800];

	snprintf(sub[i], sizeof(sub[i]), "%s/%zu", dir, i);
	snprintf(command, sizeof(command), "mkdir %s && cp %s/ca-cert.pem %s/", sub[i], ca, sub[i]);
	assert_int_equal(system(command), 0);
	w.dir = sub[i];
	certs_make(by, &w);
	return sub[i];
}

static const char *strange, *old, *misnamed, *nameless, *revoked, *misused; /* directories */
static const char *strange_client, *old_client, *misused_client, *trusting;

static int make_certs(void **state)
{
	const struct certs_wish s = {
		.server = true, .name = "localhost", .name2 = "127.0.0.1", .days = 5
	};
	struct certs_wish w = { .days = 5 };
	struct certs *ours, *other;
	char path[300];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/other", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	ours = certs_begin(dir);
	other = certs_begin(path);
	certs_make(ours, &s);
	certs_make(ours, &w);
	strange_client = make_dir(0, dir, other, w);
	w.days = -1;
	old_client = make_dir(1, dir, ours, w);
	w = (struct certs_wish){ .days = 5, .other_purpose = true };
	misused_client = make_dir(2, dir, ours, w);
	w = s;
	strange = make_dir(3, dir, other, w);
	w.days = -1;
	old = make_dir(4, dir, ours, w);
	w = s;
	w.other_purpose = true;
	misused = make_dir(5, dir, ours, w);
	w = s;
	w.name = "elsewhere";
	w.name2 = "127.0.0.2";
	misnamed = make_dir(6, dir, ours, w);
	w.name = w.name2 = NULL;
	nameless = make_dir(7, dir, ours, w);
	w = (struct certs_wish){ .days = 5, .revoke = true };
	revoked = make_dir(8, dir, ours, w); /* a client's, with the list that says so */
	w = s;
	w.dir = revoked;
	certs_make(ours, &w);
	trusting = make_dir(9, dir, ours, s); /* a server's that does not know the list */
	certs_end(ours);
	certs_end(other);
	return 0;
}

static int remove_certs(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

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
	tls_dir = dir;
	streams = 1;
	packs = false;
	port = free_port();
	server = -1;
	link_ = (struct mig_link){ .fd = -1, .plain = -1 };
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mig_link_end(&link_);
	if (server >= 0)
		close(server);
	mig_address_forget(&here);
	mig_address_forget(&there);
	return 0;
}

/* A pump that waits; returns when it listens. */
static void serve_from(const char *keys)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd, tries;

	tls_dir = keys;
	assert_int_equal(mig_address_read(&args, text, true, &here), EXIT_OK);
	server = mig_serve_tls(&here);
	assert_true(server >= 0);
	for (tries = 0; tries < 1000; tries++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (!connect(fd, (struct sockaddr *)&a, sizeof(a))) {
			close(fd); /* one who hangs up at once does not matter */
			return;
		}
		close(fd);
		usleep(10000);
	}
	fail();
}

static int connect_from(const char *keys)
{
	int err;

	mig_link_end(&link_);
	mig_address_forget(&there);
	tls_dir = keys;
	assert_int_equal(mig_address_read(&args, text, false, &there), EXIT_OK);
	err = mig_link_prepare(&link_, &there, streams, packs);
	return err ? err : mig_link_connect(&link_);
}

static void begin(void)
{
	serve_from(dir);
	assert_int_equal(connect_from(dir), EXIT_OK);
	said[0] = 0;
}

static bool comes(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) == 1;
}

static void expect(int fd, const char *words)
{
	char b[100] = "";
	size_t got = 0;

	while (got < strlen(words)) {
		ssize_t n;

		assert_true(comes(fd, 10000));
		n = read(fd, b + got, strlen(words) - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
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

static void say(int fd, const char *words)
{
	assert_int_equal(write(fd, words, strlen(words)), strlen(words));
}

/* ---- what crosses ---- */

#define MUCH (24u << 20)
static u8 *pattern;

static void *send_much(void *arg)
{
	int fd = *(int *)arg;
	size_t at = 0;

	while (at < MUCH) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		poll(&p, 1, -1);
		n = write(fd, pattern + at, KVMB_MIN((size_t)MUCH - at, (size_t)300001));
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno != EAGAIN)
			break;
	}
	return NULL;
}

struct hearer {
	int fd;
	u8 *to;
	size_t len;
};

static void *hear_much(void *arg)
{
	struct hearer *h = arg;
	ssize_t n = 1;

	while (h->len < MUCH && n) {
		if (!comes(h->fd, 20000))
			break;
		n = read(h->fd, h->to + h->len, MUCH - h->len);
		h->len += n > 0 ? (size_t)n : 0;
	}
	return NULL;
}

static void cross_both_ways(void)
{
	pthread_t t[4];
	struct hearer h[2];
	size_t i;

	pattern = kvmb_xzalloc(MUCH);
	for (i = 0; i < MUCH; i++)
		pattern[i] = (u8)(i * 2654435761u >> 13);
	begin();
	h[0] = (struct hearer){ .fd = server, .to = kvmb_xzalloc(MUCH) };
	h[1] = (struct hearer){ .fd = link_.fd, .to = kvmb_xzalloc(MUCH) };
	pthread_create(&t[0], NULL, send_much, &server);
	pthread_create(&t[1], NULL, send_much, &link_.fd);
	pthread_create(&t[2], NULL, hear_much, &h[0]);
	pthread_create(&t[3], NULL, hear_much, &h[1]);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < 2; i++) {
		assert_int_equal(h[i].len, MUCH);
		assert_memory_equal(h[i].to, pattern, MUCH);
		free(h[i].to);
	}
	free(pattern);
}

static void both_directions_cross_whole_at_once(void **state)
{
	(void)state;
	cross_both_ways();
	assert_int_equal(mig_link_wire_bytes(&link_), 2 * MUCH);
}

static void both_directions_cross_by_several_connections(void **state)
{
	(void)state;
	streams = 4;
	cross_both_ways();
	assert_true(mig_link_wire_bytes(&link_) > 2 * (int64_t)MUCH);
	teardown(state);
	setup(state);
	streams = 3;
	packs = true;
	cross_both_ways();
	print_message("packed: %lld of %u\n", (long long)mig_link_wire_bytes(&link_), 2 * MUCH);
	assert_true(mig_link_wire_bytes(&link_) < 2 * (int64_t)MUCH);
}

static void end_of_one_direction_is_passed_on(void **state)
{
	(void)state;
	begin();
	say(link_.fd, "that is all");
	shutdown(link_.fd, SHUT_WR);
	expect(server, "that is all");
	expect_end(server);
	say(server, "thank you");
	expect(link_.fd, "thank you");
	shutdown(server, SHUT_WR);
	expect_end(link_.fd);
	mig_link_end(&link_);
	assert_string_equal(link_.why, "");
}

/* What was written before close() arrives. */
static void last_words_arrive(void **state)
{
	int i;

	(void)state;
	begin();
	say(link_.fd, "x");
	expect(server, "x"); /* who hangs up before that waits for nobody any more */
	for (i = 0; i < 100; i++)
		say(server, "last words ");
	close(server);
	server = -1;
	for (i = 0; i < 100; i++)
		expect(link_.fd, "last words ");
	expect_end(link_.fd);
}

/* A target that refuses, in the middle of memory: it hangs up with all of that unread. */
static void last_words_arrive_while_the_other_side_writes(void **state)
{
	pthread_t t;
	int round;

	for (round = 0; round < 5; round++) {
		if (round)
			setup(state);
		pattern = kvmb_xzalloc(MUCH);
		begin();
		pthread_create(&t, NULL, send_much, &link_.fd);
		assert_true(comes(server, 10000));
		usleep(200000); /* all buffers are full */
		say(server, "refused");
		close(server);
		server = -1;
		expect(link_.fd, "refused");
		expect_end(link_.fd);
		pthread_join(t, NULL); /* it has an error */
		free(pattern);
		teardown(state);
	}
	setup(state);
}

static void who_does_not_read_is_waited_for(void **state)
{
	static u8 bytes[65536];
	size_t sent = 0;
	int idle = 0;
	ssize_t n;

	(void)state;
	begin();
	while (idle < 100 && sent < 256u << 20) {
		n = write(link_.fd, bytes, sizeof(bytes));
		if (n > 0)
			sent += (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		if (n < 0)
			usleep(10000);
	}
	assert_in_range(sent, 1, 64u << 20);
	while (sent) { /* and nothing of it is lost */
		assert_true(comes(server, 10000));
		n = read(server, bytes, sizeof(bytes));
		assert_true(n > 0);
		sent -= (size_t)n;
	}
	assert_false(comes(server, 100));
}

/* ---- ends ---- */

static void killed_pump_is_a_cut_link(void **state)
{
	(void)state;
	begin();
	say(link_.fd, "hello");
	expect(server, "hello");
	assert_int_equal(kill(find_pump(PUMP), SIGKILL), 0);
	expect_end(server);
	expect_end(link_.fd);
	mig_link_end(&link_);
	assert_true(link_.why[0]);
}

static void cut_connection_is_heard_on_both_sides(void **state)
{
	pthread_t t;

	(void)state;
	pattern = kvmb_xzalloc(MUCH);
	begin();
	pthread_create(&t, NULL, send_much, &link_.fd);
	assert_true(comes(server, 10000));
	shutdown(link_.lanes[0].fd, SHUT_RDWR);
	expect_end(server);
	pthread_join(t, NULL);
	expect_end(link_.fd);
	expect_no_pump(PUMP, 5000);
	free(pattern);
}

static void pump_ends_with_the_connection(void **state)
{
	(void)state;
	begin();
	say(link_.fd, "hello");
	expect(server, "hello");
	mig_link_end(&link_);
	expect_end(server);
	close(server);
	server = -1;
	expect_no_pump(PUMP, 5000);
	assert_string_equal(said, "");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it was never ours to wait for */
}

/* Nobody else would say why the waiting is over. */
static void who_hangs_up_without_a_word_is_told_of(void **state)
{
	(void)state;
	begin();
	mig_link_end(&link_);
	expect_end(server);
	close(server);
	server = -1;
	expect_no_pump(PUMP, 5000);
	assert_non_null(strstr(said, "hung up"));
}

static void pump_ends_with_who_waits(void **state)
{
	(void)state;
	serve_from(dir);
	assert_true(find_pump(PUMP) > 0);
	close(server);
	server = -1;
	expect_no_pump(PUMP, 5000);
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

static void pump_has_neither_rights_nor_our_descriptors(void **state)
{
	char v[200];
	int pipes[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	begin(); /* it lets nobody in before it is confined */
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
}

/* ---- who is let in ---- */

static void server_says_soon(const char *words)
{
	int tries;

	for (tries = 0; !strstr(said, words) && tries < 500; tries++)
		usleep(10000);
	print_message("server: %s\n", said);
	assert_non_null(strstr(said, words));
}

/* The client may have hung up by then, or hears it at the first look. */
static void refuse_client(const char *keys, const char *server_says)
{
	char b;

	said[0] = 0;
	usleep(1100000); /* a line a second */
	if (connect_from(keys) == EXIT_OK) {
		assert_true(comes(link_.fd, 10000));
		assert_int_equal(read(link_.fd, &b, 1), 0);
		mig_link_end(&link_);
		assert_true(link_.why[0]);
		print_message("client: %s\n", link_.why);
	}
	server_says_soon(server_says);
	assert_false(comes(server, 0)); /* not a byte, and not the end */
}

static void talk_plainly(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	usleep(1100000);
	said[0] = 0;
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	say(fd, "kvmbus stream 1\nand more that would be a section\n");
	expect_end(fd);
	close(fd);
	server_says_soon("TLS");
}

/* Each of them is refused, and the next one is heard. */
static void bad_clients_are_refused_and_a_good_one_is_not(void **state)
{
	(void)state;
	serve_from(dir);
	refuse_client(strange_client, "NOT trusted");
	refuse_client(old_client, "expired");
	refuse_client(misused_client, "purpose");
	talk_plainly();
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "the VM");
	expect(server, "the VM");
}

static void revoked_client_is_refused(void **state)
{
	char command[700];

	(void)state;
	snprintf(command, sizeof(command), "cp %s/server-*.pem %s/ && rm -f %s/ca-crl.pem", dir,
		 trusting, trusting);
	assert_int_equal(system(command), 0);
	serve_from(trusting); /* it does not know */
	assert_int_equal(connect_from(revoked), EXIT_OK);
	say(link_.fd, "the VM");
	expect(server, "the VM");
	teardown(state);
	setup(state);
	serve_from(revoked);
	refuse_client(revoked, "revoked");
}

static void refuse_server(const char *keys, const char *client_says)
{
	serve_from(keys);
	assert_int_equal(connect_from(dir), EXIT_FAILED);
	print_message("client: %s\n", said);
	assert_non_null(strstr(said, client_says));
	assert_false(comes(server, 0));
	close(server);
	server = -1;
	expect_no_pump(PUMP, 5000);
	teardown(NULL);
	setup(NULL);
}

static void bad_servers_are_refused(void **state)
{
	(void)state;
	refuse_server(strange, "NOT trusted");
	refuse_server(old, "expired");
	refuse_server(misused, "purpose");
	refuse_server(misnamed, "name");
	refuse_server(nameless, "name");
}

static void server_is_known_by_its_name_too(void **state)
{
	(void)state;
	serve_from(dir);
	snprintf(text, sizeof(text), "tcp:localhost:%d", port);
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "x");
	expect(server, "x");
}

static void *talk_no_tls(void *arg)
{
	int fd = *(int *)arg, c = accept(fd, NULL, NULL);

	say(c, "220 what is this\r\n");
	usleep(300000);
	close(c);
	return NULL;
}

static int listen_on_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 50), 0);
	return fd;
}

static void server_without_tls_is_refused(void **state)
{
	int fd = listen_on_port();
	pthread_t t;
	u64 at;

	(void)state;
	pthread_create(&t, NULL, talk_no_tls, &fd);
	assert_int_equal(connect_from(dir), EXIT_FAILED);
	assert_non_null(strstr(said, "TLS"));
	pthread_join(t, NULL);
	at = kvmb_now_ms(); /* nobody accepts now */
	assert_int_equal(connect_from(dir), EXIT_FAILED);
	assert_non_null(strstr(said, "in time"));
	assert_in_range(kvmb_now_ms() - at, MIG_LINK_GREET_MS - 50, MIG_LINK_GREET_MS + 3000);
	close(fd);
}

/* More than are let in at a time, and they say nothing. */
static void silent_strangers_keep_nobody_waiting(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd[MIG_LINK_GUESTS + 8];
	size_t i;
	u64 at;

	(void)state;
	serve_from(dir);
	a.sin_port = htons((uint16_t)port);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&a, sizeof(a)), 0);
	}
	assert_true(write(fd[ARRAY_SIZE(fd) - 1], "\x16\x03\x01", 3) == 3); /* a word too few */
	expect_end(fd[0]); /* its place was wanted */
	at = kvmb_now_ms();
	for (i = 1; i < ARRAY_SIZE(fd); i++)
		expect_end(fd[i]); /* its time is over */
	assert_in_range(kvmb_now_ms() - at, 0, MIG_LINK_GREET_MS + 3000);
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	for (i = 0; i < 5; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		connect(fd[i], (struct sockaddr *)&a, sizeof(a));
	}
	at = kvmb_now_ms();
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "x");
	expect(server, "x");
	assert_in_range(kvmb_now_ms() - at, 0, MIG_LINK_GREET_MS / 2);
	for (i = 0; i < 5; i++)
		close(fd[i]);
}

/* The VM that comes may need an hour: others are not to wait for it in vain. */
static void who_comes_too_late_is_told_at_once(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	u64 at;

	(void)state;
	serve_from(dir);
	a.sin_port = htons((uint16_t)port);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "x");
	expect(server, "x");
	at = kvmb_now_ms();
	expect_end(fd);
	assert_in_range(kvmb_now_ms() - at, 0, MIG_LINK_GREET_MS / 2);
	close(fd);
}

/* ---- descriptors ---- */

static void inherited_connection_is_protected_too(void **state)
{
	int fd = listen_on_port(), client, accepted;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };

	(void)state;
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	accepted = accept(fd, NULL, NULL);
	close(fd);
	snprintf(text, sizeof(text), "fd:%d", accepted);
	assert_int_equal(mig_address_read(&args, text, true, &here), EXIT_OK);
	server = mig_serve_tls(&here);
	assert_int_equal(fcntl(accepted, F_GETFD), -1);
	snprintf(text, sizeof(text), "fd:%d", client);
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "x");
	expect(server, "x");
}

static void inherited_listener_is_protected_too(void **state)
{
	int fd = listen_on_port();

	(void)state;
	snprintf(text, sizeof(text), "fd:%d", fd);
	assert_int_equal(mig_address_read(&args, text, true, &here), EXIT_OK);
	server = mig_serve_tls(&here);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port);
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "x");
	expect(server, "x");
	mig_link_end(&link_);
	assert_int_equal(connect_from(dir), EXIT_FAILED); /* the door is closed */
}

static void unix_descriptor_names_no_host(void **state)
{
	int sv[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	snprintf(text, sizeof(text), "fd:%d", sv[0]);
	assert_int_equal(connect_from(dir), EXIT_FAILED);
	assert_non_null(strstr(said, "which host"));
	close(sv[1]);
}

/* ---- the same by several connections ---- */

static void ends_and_cuts_are_the_same_by_several(void **state)
{
	static void (*const tests[])(void **) = {
		end_of_one_direction_is_passed_on,
		last_words_arrive,
		killed_pump_is_a_cut_link,
		cut_connection_is_heard_on_both_sides,
		pump_ends_with_the_connection,
		who_hangs_up_without_a_word_is_told_of,
		pump_has_neither_rights_nor_our_descriptors,
		server_is_known_by_its_name_too,
		who_comes_too_late_is_told_at_once,
		inherited_listener_is_protected_too,
	};
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(tests); i++) {
		print_message("%zu at %llu ms\n", i, (unsigned long long)kvmb_now_ms() % 1000000);
		streams = i & 1 ? 4 : 2;
		packs = i & 1;
		tests[i / 2](state);
		teardown(state);
		setup(state);
	}
}

/* Compressed, one connection will do. */
static void inherited_connection_may_be_packed(void **state)
{
	packs = true;
	inherited_connection_is_protected_too(state);
}

/* Whoever has no certificate is refused, whatever he knows: he is not even heard. */
static void stranger_is_no_lane(void **state)
{
	static const uint8_t hello[MIG_HELLO_LEN] = MIG_BUNDLE_GREETING "\1\2";
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd[3];
	size_t i;

	(void)state;
	serve_from(dir);
	a.sin_port = htons((uint16_t)port);
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(fd[i], (struct sockaddr *)&a, sizeof(a)), 0);
	}
	assert_int_equal(write(fd[0], hello, sizeof(hello)), sizeof(hello));
	streams = 8;
	assert_int_equal(connect_from(dir), EXIT_OK);
	say(link_.fd, "x");
	expect(server, "x");
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		expect_end(fd[i]);
		close(fd[i]);
	}
}

/* ---- keys ---- */

static void refuse_keys(const char *command, const char *why)
{
	char all[900];

	snprintf(all, sizeof(all), "rm -rf %s/k && mkdir %s/k && cp %s/*.pem %s/k && cd %s/k && %s",
		 dir, dir, dir, dir, dir, command);
	assert_int_equal(system(all), 0);
	snprintf(all, sizeof(all), "%s/k", dir);
	assert_int_equal(connect_from(all), EXIT_FAILED);
	print_message("%s\n", said);
	assert_non_null(strstr(said, why));
}

static void keys_that_are_none_are_refused(void **state)
{
	(void)state;
	refuse_keys("chmod 644 client-key.pem", "others can read");
	refuse_keys("chmod 604 client-key.pem", "others can read");
	refuse_keys("chmod 620 client-key.pem", "others can read or change");
	refuse_keys("rm client-key.pem", "client-key.pem: No such file");
	refuse_keys("rm client-cert.pem", "client-cert.pem: No such file");
	refuse_keys("rm ca-cert.pem", "ca-cert.pem: No such file");
	refuse_keys("rm ca-cert.pem; mkdir ca-cert.pem", "no such file");
	refuse_keys("echo junk >ca-cert.pem", "ca-cert.pem: ");
	refuse_keys("echo junk >ca-crl.pem", "ca-crl.pem: ");
	refuse_keys("cp server-key.pem client-key.pem", "client-cert.pem: ");
	refuse_keys("rm -rf ../k", "No such file");
	refuse_keys("chmod 640 client-key.pem; rm ca-cert.pem", "ca-cert.pem"); /* a group may */
}

static void server_without_keys_says_so_and_ends(void **state)
{
	(void)state;
	tls_dir = "/nonexistent";
	assert_int_equal(mig_address_read(&args, text, true, &here), EXIT_OK);
	server = mig_serve_tls(&here);
	expect_end(server);
	assert_non_null(strstr(said, "/nonexistent/ca-cert.pem: No such file"));
	expect_no_pump(PUMP, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_directions_cross_whole_at_once),
		T(both_directions_cross_by_several_connections),
		T(end_of_one_direction_is_passed_on),
		T(last_words_arrive),
		T(last_words_arrive_while_the_other_side_writes),
		T(who_does_not_read_is_waited_for),
		T(killed_pump_is_a_cut_link),
		T(cut_connection_is_heard_on_both_sides),
		T(pump_ends_with_the_connection),
		T(who_hangs_up_without_a_word_is_told_of),
		T(pump_ends_with_who_waits),
		T(pump_has_neither_rights_nor_our_descriptors),
		T(bad_clients_are_refused_and_a_good_one_is_not),
		T(revoked_client_is_refused),
		T(bad_servers_are_refused),
		T(server_is_known_by_its_name_too),
		T(server_without_tls_is_refused),
		T(silent_strangers_keep_nobody_waiting),
		T(who_comes_too_late_is_told_at_once),
		T(inherited_connection_is_protected_too),
		T(inherited_listener_is_protected_too),
		T(unix_descriptor_names_no_host),
		T(ends_and_cuts_are_the_same_by_several),
		T(inherited_connection_may_be_packed),
		T(stranger_is_no_lane),
		T(keys_that_are_none_are_refused),
		T(server_without_keys_says_so_and_ends),
	};

	alarm(300);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_IGN);
	said = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
