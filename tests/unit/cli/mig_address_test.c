// SPDX-License-Identifier: GPL-2.0-only
/* Where a VM moves to: addresses, who may talk, and strangers at the door. */
#include "cli/mig_address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cli_config.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/mig_link.h"
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disk_copies.h"
#include "vmm/mig_stream.h"

/* ---- what is around it ---- */

static char said[1000]; /* last line */
static bool insecure;
static struct cli_args args;

static void note(const char *fmt, va_list ap)
{
	vsnprintf(said, sizeof(said), fmt, ap);
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
	(void)a;
	return !strcmp(name, "insecure") && insecure;
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

static int became = -1; /* stream of who became the VM */
static size_t config_len;
static u32 num_copies; /* disks that come along */

int cli_run_config(const char *from, const void *config, size_t len, struct state_file *state,
		   int incoming, const struct disk_copies *copies, struct vm_handed *handed)
{
	(void)from, (void)config, (void)state, (void)handed;
	config_len = len;
	num_copies = copies ? copies->num : 0;
	became = incoming;
	return EXIT_OK;
}

static struct mig_address address;
static char text[80];

static int setup(void **state)
{
	(void)state;
	said[0] = 0;
	insecure = false;
	became = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mig_address_forget(&address);
	return 0;
}

static int read_it(const char *s, bool listening)
{
	mig_address_forget(&address);
	return mig_address_read(&args, s, listening, &address);
}

static int free_port(int family)
{
	struct sockaddr_in6 a = { .sin6_family = (sa_family_t)family };
	socklen_t len = sizeof(a);
	int fd = socket(family, SOCK_STREAM, 0), port;

	len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(a);
	if (bind(fd, (struct sockaddr *)&a, len) || getsockname(fd, (struct sockaddr *)&a, &len))
		skip();
	port = ntohs(a.sin6_port); /* where sin_port is */
	close(fd);
	return port;
}

/* ---- what is typed ---- */

static void addresses_are_read(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} tcp[] = {
		{ "tcp:127.0.0.1", "127.0.0.1", "6600" }, { "tcp:127.0.0.1:77", "127.0.0.1", "77" },
		{ "tcp:[::1]", "::1", "6600" },		  { "tcp:[::1]:65535", "::1", "65535" },
		{ "tcp:localhost:1", "localhost", "1" },
	};
	static const char *const bad[] = {
		"",	   "tcp",	"unix:",	"tcp:a:0",  "tcp:a:65536",   "tcp:a:http",
		"tcp:a:",  "tcp:::1",	"tcp:::1:6600", "tcp:[::1", "tcp:[::1]6600", "tcp:[::1]:",
		"fd:",	   "fd:1",	"fd:2",		"fd:-1",    "fd:x",	     "fd:3x",
		"udp:a:1", "host:6600", "/a/path",	"tcp:a:1:2"
	};
	char longest[400];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tcp); i++) {
		assert_int_equal(read_it(tcp[i].text, false), EXIT_OK);
		assert_int_equal(address.kind, MIG_TCP);
		assert_string_equal(address.host, tcp[i].host);
		assert_string_equal(address.port, tcp[i].port);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(read_it(bad[i], false), EXIT_USAGE);
		assert_non_null(strstr(said, "write unix:PATH, tcp:HOST:PORT"));
	}
	assert_int_equal(read_it("unix:/a:b", false), EXIT_OK);
	assert_string_equal(address.path, "/a:b");
	assert_int_equal(read_it("fd:0", false), EXIT_OK);
	assert_int_equal(address.fd, 0);
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	memcpy(longest, "unix:", 5);
	assert_int_equal(read_it(longest, false), EXIT_USAGE);
	memcpy(longest, "tcp:x", 5);
	assert_int_equal(read_it(longest, false), EXIT_USAGE);
}

/* Without the user's word only what stays in this host is fine. */
static void network_needs_a_word_of_the_user(void **state)
{
	static const struct {
		const char *text;
		bool listening;
	} rows[] = { { "tcp:192.0.2.1", false }, { "tcp:[2001:db8::1]:7", false },
		     { "tcp::6600", true },	 { "tcp:0.0.0.0:6600", true },
		     { "tcp:[::]:6600", true },	 { "tcp:192.0.2.1", true } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		insecure = false;
		assert_int_equal(read_it(rows[i].text, rows[i].listening), EXIT_USAGE);
		assert_non_null(strstr(said, "--insecure"));
		insecure = true;
		assert_int_equal(read_it(rows[i].text, rows[i].listening), EXIT_OK);
	}
	insecure = false;
	assert_int_equal(read_it("tcp:127.3.2.1:5", true), EXIT_OK);
	assert_int_equal(read_it("tcp:localhost:5", true), EXIT_OK);
	assert_int_equal(read_it("tcp::6600", false), EXIT_USAGE);
	assert_non_null(strstr(said, "which host"));
	insecure = true;
	assert_int_equal(read_it("unix:/x", false), EXIT_USAGE);
}

static void name_that_is_none_is_said(void **state)
{
	(void)state;
	assert_int_equal(read_it("tcp:no host has this name:1", false), EXIT_FAILED);
	assert_non_null(strstr(said, "no host has this name"));
}

/* ---- connections ---- */

static int option(int fd, int level, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	getsockopt(fd, level, name, &v, &len);
	return v;
}

struct caller { /* connects when the other side waits */
	struct mig_address a;
	pthread_t thread;
	int fd;
};

static void *call(void *arg)
{
	struct caller *c = arg;

	c->fd = mig_connect(&c->a);
	return NULL;
}

static void begin_call(struct caller *c, const char *s)
{
	assert_int_equal(mig_address_read(&args, s, false, &c->a), EXIT_OK);
	assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

static void end_call(struct caller *c)
{
	pthread_join(c->thread, NULL);
	mig_address_forget(&c->a);
}

static void meet(const char *listen_at, const char *connect_to)
{
	struct mig_door door;
	struct caller c;
	char b[2];
	int fd;

	assert_int_equal(read_it(listen_at, true), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &address), 0);
	begin_call(&c, connect_to);
	fd = mig_door_wait(&door);
	end_call(&c);
	mig_door_close(&door);
	assert_true(fd > 2 && c.fd > 2);
	assert_int_equal(write(c.fd, "x", 1), 1);
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 5000), 1);
	assert_int_equal(read(fd, b, 2), 1);
	if (address.kind == MIG_TCP) {
		assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
		assert_int_equal(option(c.fd, IPPROTO_TCP, TCP_NODELAY), 1);
		assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(option(c.fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(c.fd, F_GETFL) & O_NONBLOCK);
	}
	close(fd);
	close(c.fd);
}

static void both_sides_meet(void **state)
{
	char other[80];
	int port;

	(void)state;
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port = free_port(AF_INET));
	meet(text, text);
	meet(text, text); /* at once: what is left of the first does not keep the address */
	snprintf(other, sizeof(other), "tcp:localhost:%d", port);
	meet(other, text);
	insecure = true;
	snprintf(other, sizeof(other), "tcp::%d", port);
	meet(other, text);
	insecure = false;
	unlink("mig_address_test.sock");
	meet("unix:mig_address_test.sock", "unix:mig_address_test.sock");
	assert_int_not_equal(access("mig_address_test.sock", F_OK), 0);
}

static void both_sides_meet_by_ipv6(void **state)
{
	char other[80];
	int port = free_port(AF_INET6);

	(void)state;
	snprintf(text, sizeof(text), "tcp:[::1]:%d", port);
	meet(text, text);
	insecure = true;
	snprintf(other, sizeof(other), "tcp::%d", port);
	meet(other, text);
}

static void nobody_there_is_said(void **state)
{
	(void)state;
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", free_port(AF_INET));
	assert_int_equal(read_it(text, false), EXIT_OK);
	assert_int_equal(mig_connect(&address), -1);
	assert_non_null(strstr(said, "start the other side first"));
	assert_int_equal(read_it("unix:/nonexistent/socket", false), EXIT_OK);
	assert_int_equal(mig_connect(&address), -1);
	assert_non_null(strstr(said, "start the other side first"));
}

static int listen_here(struct sockaddr_in *a, int backlog)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	getsockname(fd, (struct sockaddr *)a, &len);
	return fd;
}

/* He accepts nobody, and his queue is full: the kernel would let us wait for ever. */
static void connecting_to_a_path_has_a_limit(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), more[4];
	size_t i;
	u64 begin;

	(void)state;
	strcpy(a.sun_path, "mig_address_test.sock");
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 0), 0);
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		more[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(more[i], (struct sockaddr *)&a, sizeof(a));
	}
	assert_int_equal(read_it("unix:mig_address_test.sock", false), EXIT_OK);
	alarm(20); /* the test's end */
	begin = kvmb_now_ms();
	assert_int_equal(mig_connect(&address), -1);
	assert_in_range(kvmb_now_ms() - begin, MIG_CONNECT_MS - 50, MIG_CONNECT_MS + 3000);
	alarm(0);
	assert_non_null(strstr(said, strerror(ETIMEDOUT)));
	for (i = 0; i < ARRAY_SIZE(more); i++)
		close(more[i]);
	close(fd);
	unlink(a.sun_path);
}

/* Its queue is full, so that the kernel drops what comes. */
static void connecting_has_a_limit(void **state)
{
	struct sockaddr_in a;
	int fd = listen_here(&a, 0), more[4];
	struct addrinfo found = { .ai_family = AF_INET,
				  .ai_addr = (struct sockaddr *)&a,
				  .ai_addrlen = sizeof(a) };
	u64 begin;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		more[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(more[i], (struct sockaddr *)&a, sizeof(a));
	}
	begin = kvmb_now_ms();
	assert_int_equal(mig_tcp_connect(&found, 300), -ETIMEDOUT);
	assert_in_range(kvmb_now_ms() - begin, 290, 3000);
	for (i = 0; i < ARRAY_SIZE(more); i++)
		close(more[i]);
	close(fd);
}

static void address_in_use_is_refused_whole(void **state)
{
	struct sockaddr_in a;
	int fd = listen_here(&a, 1);
	struct mig_door door;

	(void)state;
	snprintf(text, sizeof(text), "tcp:localhost:%d", ntohs(a.sin_port));
	assert_int_equal(read_it(text, true), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &address), -1);
	assert_non_null(strstr(said, "in use"));
	close(fd);
}

/* ---- who is there ---- */

/* A connection whose owner nobody knows must not be taken for root's. */
static void owner_of_a_connection_is_known_while_it_is_one(void **state)
{
	struct sockaddr_in a;
	int fd = listen_here(&a, 1), client = socket(AF_INET, SOCK_STREAM, 0), server;
	uid_t uid = 12345;

	(void)state;
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(mig_tcp_peer(client, &uid, 30), -ENOENT); /* nobody has accepted it */
	server = accept(fd, NULL, NULL);
	assert_int_equal(mig_tcp_peer(client, &uid, 0), 0);
	assert_int_equal(uid, geteuid());
	uid = 12345;
	assert_int_equal(mig_tcp_peer(server, &uid, 0), 0);
	assert_int_equal(uid, geteuid());
	close(client);
	assert_int_equal(mig_tcp_peer(server, &uid, 0), -ENOENT);
	close(server);
	close(fd);
}

/* As another user: connects to @a, or accepts one from @fd, and stays. */
static pid_t stranger(const struct sockaddr_in *a, int fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (setuid(65534))
		_exit(1);
	if (fd < 0) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		connect(fd, (const struct sockaddr *)a, sizeof(*a));
	} else { /* a listening socket of its own: @fd only says where */
		accept(fd, NULL, NULL);
	}
	pause();
	_exit(0);
}

static void another_user_is_hung_up_on(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct mig_door door;
	struct caller c;
	pid_t pid;
	int fd;

	(void)state;
	if (geteuid())
		skip();
	a.sin_port = htons((uint16_t)free_port(AF_INET));
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(read_it(text, true), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &address), 0);
	pid = stranger(&a, -1);
	poll(&(struct pollfd){ .fd = door.fds[0], .events = POLLIN }, 1, 5000);
	begin_call(&c, text);
	fd = mig_door_wait(&door);
	end_call(&c);
	assert_true(fd >= 0 && c.fd >= 0);
	assert_int_equal(write(c.fd, "us", 2), 2); /* it is this one that was taken */
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 5000), 1);
	close(fd);
	close(c.fd);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	mig_door_close(&door);
}

static void another_user_who_waits_gets_nothing(void **state)
{
	struct sockaddr_in a;
	int fd = listen_here(&a, 1);
	pid_t pid;

	(void)state;
	if (geteuid())
		skip();
	pid = stranger(NULL, fd); /* accepts: the connection is his */
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(read_it(text, false), EXIT_OK);
	assert_int_equal(mig_connect(&address), -1);
	assert_non_null(strstr(said, "neither root nor this user"));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
}

/* ---- inherited descriptors ---- */

static int refuse_fd(int fd)
{
	struct mig_door door;

	snprintf(text, sizeof(text), "fd:%d", fd);
	assert_int_equal(read_it(text, false), EXIT_OK);
	said[0] = 0;
	assert_int_equal(mig_connect(&address), -1);
	assert_true(said[0]);
	assert_int_equal(mig_door_open(&door, &address) || mig_door_wait(&door) >= 0, 1);
	return 0;
}

static void descriptor_that_is_no_stream_is_refused(void **state)
{
	int pipes[2], dgram = socket(AF_UNIX, SOCK_DGRAM, 0);
	int packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	refuse_fd(987);
	assert_non_null(strstr(said, "no such descriptor"));
	refuse_fd(pipes[0]);
	assert_non_null(strstr(said, "no stream socket"));
	refuse_fd(dgram);
	refuse_fd(packets);
	close(pipes[0]);
	close(pipes[1]);
	close(dgram);
	close(packets);
}

static void descriptor_that_leads_nowhere_is_refused(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	snprintf(text, sizeof(text), "fd:%d", fd);
	assert_int_equal(read_it(text, false), EXIT_OK);
	assert_int_equal(mig_connect(&address), -1);
	assert_non_null(strstr(said, "not connected"));
}

static void connected_descriptor_is_the_stream(void **state)
{
	struct mig_door door;
	int sv[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	snprintf(text, sizeof(text), "fd:%d", sv[0]);
	assert_int_equal(read_it(text, true), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &address), 0);
	assert_false(door.open);
	fd = mig_door_wait(&door);
	mig_door_close(&door);
	assert_true(fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	assert_int_equal(fcntl(sv[0], F_GETFD), -1); /* taken over */
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	close(sv[1]);
}

/* A .socket unit with Accept=no. */
static void listening_descriptor_is_waited_on(void **state)
{
	struct sockaddr_in a;
	struct mig_door door;
	struct caller c;
	int listener = listen_here(&a, 5), fd;
	char other[80];

	(void)state;
	snprintf(text, sizeof(text), "fd:%d", listener);
	snprintf(other, sizeof(other), "tcp:127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(read_it(text, true), EXIT_OK);
	assert_int_equal(mig_door_open(&door, &address), 0);
	begin_call(&c, other);
	fd = mig_door_wait(&door);
	end_call(&c);
	assert_true(fd >= 0 && c.fd >= 0);
	close(fd);
	close(c.fd);
	mig_door_close(&door);
	assert_int_equal(read_it(other, false), EXIT_OK);
	assert_int_equal(mig_connect(&address), -1); /* nobody listens any more */
}

static void set_listen(pid_t pid, const char *num)
{
	char s[20];

	snprintf(s, sizeof(s), "%d", (int)pid);
	setenv("LISTEN_PID", s, 1);
	setenv("LISTEN_FDS", num, 1);
}

static void what_systemd_says_counts_for_its_process(void **state)
{
	int sv[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(dup2(sv[0], 60), 60);
	assert_int_equal(read_it("fd:60", false), EXIT_OK);
	set_listen(getpid(), "57"); /* 3 to 59 */
	assert_int_equal(mig_connect(&address), -1);
	assert_non_null(strstr(said, "LISTEN_FDS"));
	set_listen(getppid(), "57");
	fd = mig_connect(&address);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(dup2(sv[0], 60), 60);
	set_listen(getpid(), "58");
	fd = mig_connect(&address);
	assert_true(fd >= 0);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	close(fd);
	close(sv[0]);
	close(sv[1]);
}

/* inetd: what is printed must not get into the stream. */
static void standard_descriptors_are_not_the_stream(void **state)
{
	int sv[2], status;
	char b[16];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	pid = fork();
	if (!pid) {
		dup2(sv[0], 0);
		dup2(sv[0], 1);
		close(sv[0]);
		read_it("fd:0", false);
		status = mig_connect(&address);
		if (status < 3 || write(1, "printed", 7) != 7 || write(status, "sent", 4) != 4)
			_exit(1);
		_exit(read(0, b, 1)); /* end of file */
	}
	close(sv[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(sv[1], b, sizeof(b)), 4);
	assert_memory_equal(b, "sent", 4);
	close(sv[1]);
}

/* ---- the door ---- */

static void *wait_for_vm(void *arg)
{
	(void)arg;
	assert_int_equal(cmd_incoming(&args, text), EXIT_OK);
	return NULL;
}

static int knock(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), tries;

	for (tries = 0; connect(fd, (struct sockaddr *)&a, sizeof(a)) && tries < 500; tries++)
		usleep(10000);
	return fd;
}

/* One who hangs up, one who says something else, one who says nothing: the VM comes after them. */
static void strangers_do_not_end_the_waiting(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	int port = free_port(AF_INET), fd, silent;
	pthread_t t;

	(void)state;
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port);
	assert_int_equal(pthread_create(&t, NULL, wait_for_vm, NULL), 0);
	close(knock(port));
	fd = knock(port);
	assert_true(write(fd, "GET / HTTP/1.1\r\n\r\n", 18) > 0);
	silent = knock(port);
	kvmb_tlv_begin(&o, KVMB_SEC_CONFIG, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_end(&o);
	close(fd);
	fd = knock(port);
	assert_int_equal(write(fd, MIG_GREETING, strlen(MIG_GREETING)), strlen(MIG_GREETING));
	assert_int_equal(write(fd, o.buf, o.len), o.len);
	pthread_join(t, NULL);
	assert_true(became > 2);
	assert_int_equal(config_len, o.len);
	close(became);
	close(fd);
	close(silent);
	kvmb_tlv_out_fini(&o);
}

static void send_config(int fd)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_CONFIG, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_end(&o);
	assert_int_equal(write(fd, MIG_GREETING, strlen(MIG_GREETING)), strlen(MIG_GREETING));
	assert_int_equal(write(fd, o.buf, o.len), o.len);
	kvmb_tlv_out_fini(&o);
}

static void connect_link(struct mig_link *l, unsigned int streams, bool packs)
{
	assert_int_equal(mig_link_prepare(l, &address, streams, packs), EXIT_OK);
	if (mig_link_connect(l) != EXIT_OK)
		fail_msg("%s", said);
}

/* The waiting side forks, and what it forks has our end as well until it closes it or has ended. */
static void hang_up(int fd)
{
	shutdown(fd, SHUT_RDWR);
	close(fd);
}

/* One who brings no VM, one who greets wrongly, one who does not come whole; then a VM. */
static void vm_comes_as_records_after_strangers(void **state)
{
	uint8_t hello[MIG_HELLO_LEN], answer[MIG_ANSWER_LEN];
	const struct mig_hello h = { .num = 2 };
	int port = free_port(AF_INET), fd;
	struct mig_link l;
	pthread_t t;

	(void)state;
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port);
	assert_int_equal(pthread_create(&t, NULL, wait_for_vm, NULL), 0);
	fd = knock(port);
	mig_hello_put(&h, hello);
	hello[20] = 1;
	assert_int_equal(write(fd, hello, sizeof(hello)), sizeof(hello));
	assert_int_equal(read(fd, answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(answer[0], MIG_ANSWER_BAD);
	hang_up(fd);
	fd = knock(port);
	mig_hello_put(&h, hello);
	assert_int_equal(write(fd, hello, sizeof(hello)), sizeof(hello));
	assert_int_equal(read(fd, answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(answer[0], MIG_ANSWER_OK);
	hang_up(fd);
	assert_int_equal(read_it(text, false), EXIT_OK);
	connect_link(&l, 3, true);
	assert_int_equal(write(l.fd, MIG_BUNDLE_GREETING, 16), 16); /* a bundle in a bundle */
	assert_true(poll(&(struct pollfd){ .fd = l.fd, .events = POLLIN }, 1, 10000) == 1);
	mig_link_end(&l);
	connect_link(&l, 3, true);
	send_config(l.fd);
	pthread_join(t, NULL);
	assert_true(became > 2);
	assert_int_equal(config_len, KVMB_TLV_HEADER);
	assert_int_equal(write(became, "ready", 5), 5);
	assert_true(poll(&(struct pollfd){ .fd = l.fd, .events = POLLIN }, 1, 10000) == 1);
	assert_int_equal(read(l.fd, answer, 5), 5);
	assert_memory_equal(answer, "ready", 5);
	close(became);
	mig_link_end(&l);
}

/* A path: one connection, compressed. */
static void vm_comes_packed_by_a_path(void **state)
{
	struct mig_link l;
	pthread_t t;
	int tries;

	(void)state;
	snprintf(text, sizeof(text), "unix:/tmp/mig_address_test.%d", (int)getpid());
	assert_int_equal(pthread_create(&t, NULL, wait_for_vm, NULL), 0);
	for (tries = 0; access(text + 5, F_OK) && tries < 500; tries++)
		usleep(10000);
	assert_int_equal(read_it(text, false), EXIT_OK);
	connect_link(&l, 1, true);
	send_config(l.fd);
	pthread_join(t, NULL);
	assert_true(became > 2);
	assert_int_equal(config_len, KVMB_TLV_HEADER);
	close(became);
	mig_link_end(&l);
	assert_int_equal(access(text + 5, F_OK), -1);
}

/* One says which disks come along, and hangs up; the next brings one, and no more than that. */
static void disks_that_come_along_are_those_of_who_is_let_in(void **state)
{
	struct disk_copies two = { .num = 2,
				   .disks = { { .bytes = 512 }, { .lun = 1, .bytes = 512 } } };
	struct kvmb_tlv_out o = { 0 }, config = { 0 };
	int port = free_port(AF_INET), fd;
	pthread_t t;

	(void)state;
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port);
	assert_int_equal(pthread_create(&t, NULL, wait_for_vm, NULL), 0);
	disk_copies_put(&two, &o);
	fd = knock(port);
	assert_int_equal(write(fd, MIG_GREETING, strlen(MIG_GREETING)), strlen(MIG_GREETING));
	assert_int_equal(write(fd, o.buf, o.len), o.len);
	close(fd);
	kvmb_tlv_out_fini(&o);
	two.num = 1;
	disk_copies_put(&two, &o);
	kvmb_tlv_begin(&config, KVMB_SEC_CONFIG, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_end(&config);
	fd = knock(port);
	assert_int_equal(write(fd, MIG_GREETING, strlen(MIG_GREETING)), strlen(MIG_GREETING));
	assert_int_equal(write(fd, o.buf, o.len), o.len);
	assert_int_equal(write(fd, config.buf, config.len), config.len);
	pthread_join(t, NULL);
	assert_int_equal(num_copies, 1);
	assert_int_equal(config_len, config.len);
	close(became);
	close(fd);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_out_fini(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses_are_read),
		T(network_needs_a_word_of_the_user),
		T(name_that_is_none_is_said),
		T(both_sides_meet),
		T(both_sides_meet_by_ipv6),
		T(nobody_there_is_said),
		T(connecting_has_a_limit),
		T(connecting_to_a_path_has_a_limit),
		T(address_in_use_is_refused_whole),
		T(owner_of_a_connection_is_known_while_it_is_one),
		T(another_user_is_hung_up_on),
		T(another_user_who_waits_gets_nothing),
		T(descriptor_that_is_no_stream_is_refused),
		T(descriptor_that_leads_nowhere_is_refused),
		T(connected_descriptor_is_the_stream),
		T(listening_descriptor_is_waited_on),
		T(what_systemd_says_counts_for_its_process),
		T(standard_descriptors_are_not_the_stream),
		T(strangers_do_not_end_the_waiting),
		T(disks_that_come_along_are_those_of_who_is_let_in),
		T(vm_comes_as_records_after_strangers),
		T(vm_comes_packed_by_a_path),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
