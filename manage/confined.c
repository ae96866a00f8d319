// SPDX-License-Identifier: GPL-2.0-only
/* A program in a jail, for a command that waits for it: confined.h. */
#include "manage/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/jail.h"
#include "lib/loop.h"
#include "lib/util.h"

#define ASK_MS 60000
#define BEGIN_MS 10000
#define MEMORY (4ull << 30) /* of addresses; its image may ask for what it likes */
#define MOST_FDS 1024
#define FIRST_FREE (CONFINED_FILES + CONFINED_MOST)

struct start {
	const char *const *argv;
	const struct confined_file *files;
	unsigned int num, lacks;
	char program[PATH_MAX];
	int jail, setup[2], out[2], err[2];
};

/* ---- the program's process ---- */

static void limit(int what, rlim_t most)
{
	struct rlimit r = { most, most };

	setrlimit((__rlimit_resource_t)what, &r);
}

static int above(int fd)
{
	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
}

/* What else is open, also from before us, is not for the program. */
static void leave_others(const struct start *s)
{
	int fd, from = (int)(CONFINED_FILES + s->num);

	for (fd = 3; fd < CONFINED_FILES; fd++)
		close(fd);
	if (!syscall(SYS_close_range, from, ~0u, CLOSE_RANGE_CLOEXEC))
		return;
	for (fd = from; fd < MOST_FDS; fd++) /* before Linux 5.11 */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void arrange_fds(struct start *s)
{
	int files[CONFINED_MOST], out = above(s->out[1]), err = above(s->err[1]), null;
	unsigned int i;

	s->setup[1] = above(s->setup[1]);
	s->jail = above(s->jail);
	for (i = 0; i < s->num; i++)
		files[i] = above(s->files[i].fd);
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(out, 1);
	dup2(err, 2);
	for (i = 0; i < s->num; i++)
		dup2(files[i], (int)(CONFINED_FILES + i));
	leave_others(s);
}

/* As a helper of a VM gives its listener to the keeper (lib/keeper_child.c). */
static void go_in(struct start *s)
{
	char *no_env[] = { NULL };
	int listener = -1, i;

	for (i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	setsid(); /* ^C is for who started it, and who will end it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	arrange_fds(s);
	kvmb_jail_enter_root(s->program, &s->lacks);
	limit(RLIMIT_AS, MEMORY);
	limit(RLIMIT_CORE, 0);
	if (kvmb_jail_enter(s->jail, &listener, &s->lacks) ||
	    kvmb_send_fds(s->setup[1], &s->lacks, sizeof(s->lacks), &listener, listener >= 0) < 0)
		_exit(126);
	if (listener >= 0)
		close(listener);
	execve(s->program, (char *const *)s->argv, no_env);
	_exit(127);
}

/* ---- ours ---- */

static bool let_begin(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	bool ok = poll(&p, 1, BEGIN_MS) == 1 && p.revents & POLLIN &&
		  !kvmb_jail_let_execute(listener);

	close(listener);
	return ok;
}

/* It says what this host lacks, and waits for its execve(). */
static int admit(struct start *s, struct confined *c, char *why, size_t size)
{
	int listener = -1, num = 1;
	ssize_t n = kvmb_recv_fds(s->setup[0], &s->lacks, sizeof(s->lacks), &listener, &num, 0);
	int err = n == sizeof(s->lacks) ? 0 : -EIO;

	if (err)
		snprintf(why, size, "%s cannot be confined", s->argv[0]);
	else if (kvmb_jail_opens_files(s->lacks)) {
		snprintf(why, size,
			 "this host has nothing to confine %s with (user namespaces or "
			 "Landlock), and it would read what a stranger wrote",
			 s->argv[0]);
		err = -EPERM;
	}
	if (!err && num == 1 && !let_begin(listener)) {
		snprintf(why, size, "%s did not start", s->argv[0]);
		err = -EIO;
	} else if (err && n > 0 && num == 1) {
		close(listener);
	}
	if (err)
		confined_end(c, true);
	return err;
}

static int make_jail(struct start *s, char *why, size_t size)
{
	unsigned int i;
	int err = 0;

	if (!kvmb_jail_find_program(s->argv[0], s->program)) {
		snprintf(why, size, "%s is missing; on Debian: apt install qemu-utils", s->argv[0]);
		return -ENOENT;
	}
	s->jail = kvmb_jail_create(s->program);
	if (s->jail < 0 && s->jail != -EOPNOTSUPP)
		err = s->jail;
	for (i = 0; !err && i < s->num; i++) {
		err = kvmb_jail_allow(s->jail, s->files[i].fd, s->files[i].write);
		if (err == -EBADFD) /* a memfd, which Landlock does not know */
			err = 0;
	}
	if (err)
		snprintf(why, size, "a jail for %s: %s", s->argv[0], strerror(-err));
	return err;
}

static void close_pair(int *pair)
{
	close(pair[0]);
	close(pair[1]);
}

static int make_pipes(struct start *s)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->setup))
		return -errno;
	if (!pipe2(s->out, O_CLOEXEC)) {
		if (!pipe2(s->err, O_CLOEXEC))
			return 0;
		close_pair(s->out);
	}
	close_pair(s->setup);
	return -errno;
}

int confined_start(struct confined *c, const char *const *argv, const struct confined_file *files,
		   unsigned int num, char *why, size_t size)
{
	struct start s = { .argv = argv, .files = files, .num = num };
	int err;

	kvmb_assert(num <= CONFINED_MOST);
	err = make_jail(&s, why, size);
	if (!err) {
		err = make_pipes(&s);
		if (err)
			snprintf(why, size, "%s", strerror(-err));
	}
	if (!err) {
		*c = (struct confined){ .out = s.out[0], .err = s.err[0] };
		fflush(NULL);
		c->pid = kvmb_jail_fork(&s.lacks);
		if (!c->pid)
			go_in(&s);
		close(s.setup[1]);
		close(s.out[1]);
		close(s.err[1]);
		err = admit(&s, c, why, size);
		close(s.setup[0]);
	}
	if (s.jail >= 0)
		close(s.jail);
	return err;
}

/* What it says last is what is wrong. */
static void hear(struct confined *c, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '\n' || text[i] == '\r') {
			c->said_len = 0;
			continue;
		}
		if (!c->said_len)
			memset(c->said, 0, sizeof(c->said));
		if (c->said_len < sizeof(c->said) - 1)
			c->said[c->said_len++] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	}
}

ssize_t confined_read(struct confined *c, void *buf, size_t size, int timeout_ms)
{
	struct pollfd p[2] = { { .fd = c->out, .events = POLLIN },
			       { .fd = c->err, .events = POLLIN } };
	char text[512];
	ssize_t n;

	if (poll(p, 2, timeout_ms) < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (p[1].revents) {
		n = read(c->err, text, sizeof(text));
		if (n > 0) {
			hear(c, text, (size_t)n);
		} else {
			close(c->err);
			c->err = -1;
		}
	}
	if (!p[0].revents)
		return -EAGAIN;
	n = read(c->out, buf, size);
	return n < 0 ? -errno : n;
}

int confined_end(struct confined *c, bool kill_it)
{
	char text[512];
	int status = 0;
	ssize_t n;

	if (c->pid > 0) {
		if (kill_it)
			kill(c->pid, SIGKILL);
		while (c->err >= 0 && (n = read(c->err, text, sizeof(text))) > 0)
			hear(c, text, (size_t)n);
		while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(c->out);
	if (c->err >= 0)
		close(c->err);
	c->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

int confined_ask(const char *const *argv, const struct confined_file *files, unsigned int num,
		 char *out, char *why, size_t size)
{
	uint64_t until = kvmb_now_ms() + ASK_MS;
	struct confined c;
	size_t len = 0;
	ssize_t n = 1;
	int err = confined_start(&c, argv, files, num, why, size);

	if (err)
		return err;
	while (n && len < CONFINED_OUT - 1 && kvmb_now_ms() < until) {
		n = confined_read(&c, out + len, CONFINED_OUT - 1 - len, 500);
		if (n > 0)
			len += (size_t)n;
		else if (n < 0 && n != -EAGAIN)
			break;
	}
	out[len] = 0;
	err = confined_end(&c, n != 0);
	if (!err)
		return 0;
	if (c.said[0]) /* with its name in front */
		snprintf(why, size, "%s", c.said);
	else
		snprintf(why, size, "%s %s", argv[0],
			 n ? "took too long, or said too much" : "failed");
	return -EIO;
}
