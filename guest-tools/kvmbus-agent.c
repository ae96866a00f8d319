// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmbus-agent: runs commands of this VM's host (`kvmbus exec`).
 *
 * DOC: Theory of operation
 *
 * It listens on a port of AF_VSOCK, and takes connections of the host alone: whoever may run a VM
 * may do with it what he likes anyway. Each connection gets a process, which starts one command and
 * moves its streams: vmbus-core/proto/agent.h has the frames. Their sizes are checked like a
 * stranger's. The command runs as the agent's user, root, in a session of its own, in /.
 *
 * When the command has ended, what it has written is sent and then its status. Processes that it
 * leaves behind go on, and are not waited for.
 *
 * With --inetd it serves one connection, which is its standard input.
 *
 * Limits: MAX_SESSIONS at a time; no terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "vmbus-core/proto/agent.h"

#define MAX_SESSIONS 64
#define START_S 10 /* for START to come */
#define HEAD sizeof(struct kvmb_wire_agent)

struct stream { /* of the command's output */
	int fd; /* -1: it has ended */
	uint32_t type;
};

static struct session {
	int sock, stdin_fd, sig_fd;
	struct stream out[2];
	pid_t pid;  /* 0 = it has ended */
	int status; /* of wait() */
	size_t in_len, stdin_len, send_off, send_len;
	bool stdin_ends;			   /* once stdin_buf is written */
	char in[HEAD + KVMB_AGENT_FRAME];	   /* in[in_len]: of a frame that comes */
	char stdin_buf[KVMB_AGENT_WINDOW];	   /* stdin_buf[stdin_len] */
	char send[HEAD + KVMB_AGENT_FRAME + 4096]; /* send[send_off..send_len): frames that go */
} s;

/* ---- frames to the host ---- */

/* The command gets what a terminal's processes get when the line breaks. */
static void give_up(void)
{
	if (s.pid)
		kill(-s.pid, SIGHUP);
	_exit(1);
}

static size_t send_room(void)
{
	return sizeof(s.send) - s.send_len;
}

/* There is room for the small ones: who makes a large one has looked. */
static void put_frame(uint32_t type, const void *data, size_t size)
{
	struct kvmb_wire_agent h = { cpu_to_le32(type), cpu_to_le32((uint32_t)size) };

	if (send_room() < HEAD + size)
		give_up();
	memcpy(s.send + s.send_len, &h, HEAD);
	if (size)
		memcpy(s.send + s.send_len + HEAD, data, size);
	s.send_len += HEAD + size;
}

static void send_some(void)
{
	ssize_t n = send(s.sock, s.send + s.send_off, s.send_len - s.send_off,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		give_up();
	s.send_off += n > 0 ? (size_t)n : 0;
	if (s.send_off == s.send_len)
		s.send_off = s.send_len = 0;
}

/* ---- the command ---- */

static void set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* In the child: never returns. @said: a pipe that execvp() closes. */
static void become_command(char **argv, const int *in, const int *out, const int *err, int said)
{
	sigset_t none;
	int why, i;

	setsid();
	for (i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(in[0], 0);
	dup2(out[1], 1);
	dup2(err[1], 2);
	if (!getenv("PATH"))
		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	if (!getenv("HOME"))
		setenv("HOME", "/root", 1);
	execvp(argv[0], argv);
	why = errno;
	if (write(said, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

static void start_command(char **argv)
{
	int in[2], out[2], err[2], said[2], why = 0;
	ssize_t n;
	char text[300];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
	    pipe2(said, O_CLOEXEC))
		give_up();
	s.pid = fork();
	if (!s.pid)
		become_command(argv, in, out, err, said[1]);
	if (s.pid < 0) {
		s.pid = 0;
		give_up();
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(said[1]);
	do
		n = read(said[0], &why, sizeof(why));
	while (n < 0 && errno == EINTR);
	close(said[0]);
	if (n == sizeof(why)) {
		snprintf(text, sizeof(text), "%.200s: %s", argv[0], strerror(why));
		put_frame(KVMB_AGENT_ERROR, text, strlen(text));
	}
	s.stdin_fd = in[1];
	s.out[0] = (struct stream){ out[0], KVMB_AGENT_STDOUT };
	s.out[1] = (struct stream){ err[0], KVMB_AGENT_STDERR };
	set_nonblocking(s.stdin_fd);
	set_nonblocking(out[0]);
	set_nonblocking(err[0]);
}

/* ---- frames of the host ---- */

static void on_start(char *data, size_t size)
{
	static char *argv[KVMB_AGENT_MAX_ARGS + 1];
	struct kvmb_wire_agent_start w;
	char *p = data + sizeof(w), *end = data + size;
	uint32_t argc, i;

	if (s.out[0].type || size < sizeof(w))
		give_up();
	memcpy(&w, data, sizeof(w));
	argc = le32_to_cpu(w.argc);
	if (le32_to_cpu(w.version) != KVMB_AGENT_VERSION || !argc || argc > KVMB_AGENT_MAX_ARGS)
		give_up();
	for (i = 0; i < argc; i++) {
		char *nul = p < end ? memchr(p, 0, (size_t)(end - p)) : NULL;

		if (!nul)
			give_up();
		argv[i] = p;
		p = nul + 1;
	}
	if (p != end || !argv[0][0])
		give_up();
	alarm(0);
	start_command(argv);
}

/* Nobody reads it any more: it counts as read. */
static void drop_stdin(void)
{
	if (s.stdin_fd >= 0)
		close(s.stdin_fd);
	s.stdin_fd = -1;
}

static void say_taken(size_t n)
{
	__le32 w = cpu_to_le32((uint32_t)n);

	if (n)
		put_frame(KVMB_AGENT_TAKEN, &w, sizeof(w));
}

static void on_stdin(const char *data, size_t size)
{
	if (s.stdin_ends || size > sizeof(s.stdin_buf) - s.stdin_len)
		give_up(); /* more than was agreed */
	if (s.stdin_fd < 0) {
		say_taken(size);
		return;
	}
	memcpy(s.stdin_buf + s.stdin_len, data, size);
	s.stdin_len += size;
}

static void on_host_signal(const char *data, size_t size)
{
	__le32 w;
	uint32_t number;

	if (size != sizeof(w))
		give_up();
	memcpy(&w, data, sizeof(w));
	number = le32_to_cpu(w);
	if (number && number < 32 && s.pid)
		kill(-s.pid, (int)number);
}

static void on_frame(uint32_t type, char *data, size_t size)
{
	if (type == KVMB_AGENT_START)
		on_start(data, size);
	else if (!s.out[0].type)
		give_up();
	else if (type == KVMB_AGENT_STDIN)
		on_stdin(data, size);
	else if (type == KVMB_AGENT_STDIN_END)
		s.stdin_ends = true;
	else if (type == KVMB_AGENT_SIGNAL)
		on_host_signal(data, size);
	else
		give_up();
}

static void hear_host(void)
{
	ssize_t n = recv(s.sock, s.in + s.in_len, sizeof(s.in) - s.in_len, MSG_DONTWAIT);
	struct kvmb_wire_agent h;
	size_t size;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		give_up();
	s.in_len += (size_t)n;
	while (s.in_len >= HEAD) {
		memcpy(&h, s.in, HEAD);
		size = le32_to_cpu(h.size);
		if (size > KVMB_AGENT_FRAME)
			give_up();
		if (s.in_len < HEAD + size)
			return;
		on_frame(le32_to_cpu(h.type), s.in + HEAD, size);
		s.in_len -= HEAD + size;
		memmove(s.in, s.in + HEAD + size, s.in_len);
	}
}

/* ---- streams ---- */

static void feed_stdin(void)
{
	ssize_t n = write(s.stdin_fd, s.stdin_buf, s.stdin_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		say_taken(s.stdin_len);
		s.stdin_len = 0;
		drop_stdin();
		return;
	}
	say_taken((size_t)n);
	s.stdin_len -= (size_t)n;
	memmove(s.stdin_buf, s.stdin_buf + n, s.stdin_len);
}

/* As much as a frame takes. Return: false: there is nothing now. */
static bool pass_output(struct stream *o)
{
	static char buf[32768];
	ssize_t n;

	if (o->fd < 0 || send_room() < HEAD + sizeof(buf) + 1024)
		return false;
	n = read(o->fd, buf, sizeof(buf));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		close(o->fd);
		o->fd = -1;
		return false;
	}
	put_frame(o->type, buf, (size_t)n);
	return true;
}

static void reap(void)
{
	struct signalfd_siginfo si;

	while (read(s.sig_fd, &si, sizeof(si)) > 0)
		;
	if (s.pid && waitpid(s.pid, &s.status, WNOHANG) == s.pid)
		s.pid = 0;
}

/* The last words: all that it has written, and how it ended. */
static void finish_session(void)
{
	struct kvmb_wire_agent_exit w = {
		.signal = cpu_to_le32(WIFSIGNALED(s.status) ? (uint32_t)WTERMSIG(s.status) : 0),
		.status = cpu_to_le32(WIFEXITED(s.status) ? (uint32_t)WEXITSTATUS(s.status) : 0),
	};
	struct pollfd p = { .fd = s.sock, .events = POLLOUT };
	bool said = false;

	while (!said || s.send_len) {
		if (!said && !pass_output(&s.out[0]) && !pass_output(&s.out[1]) &&
		    send_room() > HEAD + 32768 + 1024) {
			put_frame(KVMB_AGENT_EXIT, &w, sizeof(w));
			said = true;
		}
		send_some();
		if (s.send_len)
			poll(&p, 1, -1);
	}
	shutdown(s.sock, SHUT_WR);
	_exit(0);
}

static void serve_once(void)
{
	struct pollfd p[5] = {
		{ .fd = s.sock,
		  .events =
			  (short)((send_room() > 1024 ? POLLIN : 0) | (s.send_len ? POLLOUT : 0)) },
		{ .fd = s.sig_fd, .events = POLLIN },
		{ .fd = s.stdin_len ? s.stdin_fd : -1, .events = POLLOUT },
		{ .fd = s.send_len ? -1 : s.out[0].fd, .events = POLLIN },
		{ .fd = s.send_len ? -1 : s.out[1].fd, .events = POLLIN },
	};

	if (poll(p, 5, -1) < 0)
		return;
	if (p[0].revents & ~POLLOUT && send_room() > 1024)
		hear_host();
	if (p[1].revents)
		reap();
	if (p[2].revents)
		feed_stdin();
	if (p[3].revents)
		pass_output(&s.out[0]);
	if (p[4].revents)
		pass_output(&s.out[1]);
	if (s.stdin_ends && !s.stdin_len)
		drop_stdin();
	if (s.send_len)
		send_some();
	if (s.out[0].type && !s.pid)
		finish_session();
}

static void run_session(int sock)
{
	sigset_t child;

	s.sock = sock;
	s.stdin_fd = s.out[0].fd = s.out[1].fd = -1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	s.sig_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	fcntl(sock, F_SETFD, FD_CLOEXEC);
	if (chdir("/") || s.sig_fd < 0)
		_exit(1);
	alarm(START_S);
	for (;;)
		serve_once();
}

/* ---- the listener ---- */

/* Linux before 5.5 tells nothing of a host that connects by Hyper-V's sockets. */
static bool is_host(const struct sockaddr_vm *a)
{
	return a->svm_cid == VMADDR_CID_HOST || a->svm_cid == VMADDR_CID_ANY;
}

static int listen_vsock(void)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK,
				 .svm_cid = VMADDR_CID_ANY,
				 .svm_port = KVMB_AGENT_PORT };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 128)) {
		fprintf(stderr, "kvmbus-agent: AF_VSOCK port %u: %s\n", KVMB_AGENT_PORT,
			strerror(errno));
		exit(1);
	}
	return fd;
}

static unsigned int count_ended(void)
{
	unsigned int n = 0;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		n++;
	return n;
}

static void on_child(int sig)
{
	(void)sig; /* accept() returns: count_ended() */
}

static void serve_all(void)
{
	const struct sigaction child = { .sa_handler = on_child };
	int fd = listen_vsock(), c;
	unsigned int sessions = 0;
	struct sockaddr_vm a;
	socklen_t len;
	pid_t pid;

	sigaction(SIGCHLD, &child, NULL);
	for (;;) {
		len = sizeof(a);
		c = accept4(fd, (struct sockaddr *)&a, &len, SOCK_CLOEXEC);
		sessions -= count_ended();
		if (c < 0 && errno != EINTR)
			sleep(1); /* no descriptors, no memory */
		if (c < 0)
			continue;
		pid = is_host(&a) && sessions < MAX_SESSIONS ? fork() : -1;
		if (!pid) {
			close(fd);
			run_session(c);
		}
		sessions += pid > 0;
		close(c);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--inetd"))
		run_session(0);
	if (argc != 1) {
		fprintf(stderr, "usage: kvmbus-agent [--inetd]\n"
				"Runs commands for this VM's host: kvmbus exec.\n");
		return 2;
	}
	serve_all();
}
