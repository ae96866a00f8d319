// SPDX-License-Identifier: GPL-2.0-only
/* Helper programs supervised by an event loop; theory of operation: child.h. */
#include "lib/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/spawn.h"
#include "lib/util.h"

static const unsigned char moves[] = {
	[KVMB_CHILD_NONE] = 1 << KVMB_CHILD_STARTING,
	[KVMB_CHILD_STARTING] = 1 << KVMB_CHILD_READY | 1 << KVMB_CHILD_NONE |
				1 << KVMB_CHILD_ENDING,
	[KVMB_CHILD_READY] = 1 << KVMB_CHILD_NONE | 1 << KVMB_CHILD_ENDING,
	[KVMB_CHILD_ENDING] = 1 << KVMB_CHILD_NONE,
};

static void set_state(struct kvmb_child *c, enum kvmb_child_state to)
{
	kvmb_assert(moves[c->state] & 1 << to);
	c->state = to;
}

/* ---- what it says ---- */

/* A whole line. Return: true when it says that the program is ready. */
static bool take_line(struct kvmb_child *c)
{
	size_t i;

	c->line[c->line_len] = 0;
	if (c->line_len && strspn(c->line, "0123456789") == c->line_len)
		return true;
	if (!c->line_len || (c->noise && !strncmp(c->line, c->noise, strlen(c->noise))))
		return false;
	for (i = 0; i < c->line_len; i++) /* it goes to terminals and into JSON */
		c->words[i] = c->line[i] >= ' ' && c->line[i] <= '~' ? c->line[i] : '?';
	c->words[i] = 0;
	return false;
}

/* Return: true when the program says that it is ready; false also at the end. */
static bool take_bytes(struct kvmb_child *c, const char *buf, size_t n)
{
	bool ready = false;
	size_t i;

	for (i = 0; i < n; i++) {
		if (buf[i] == '\n') {
			ready |= take_line(c);
			c->line_len = 0;
		} else if (c->line_len < sizeof(c->line) - 1) {
			c->line[c->line_len++] = buf[i];
		}
	}
	return ready;
}

/* Read what there is, at most some. Return: true when the program has become ready. */
static bool listen_to(struct kvmb_child *c)
{
	bool ready = false;
	char buf[4096];
	ssize_t n = 0;
	int i;

	for (i = 0; i < 16 && (n = read(c->err_fd, buf, sizeof(buf))) > 0; i++)
		ready |= take_bytes(c, buf, (size_t)n);
	if (!n) { /* nobody is left to write */
		kvmb_loop_del(c->err_watch);
		c->err_watch = NULL;
	}
	if (!ready || c->state != KVMB_CHILD_STARTING)
		return false;
	set_state(c, KVMB_CHILD_READY);
	kvmb_timer_cancel(&c->timer);
	c->words[0] = 0; /* what was said on the way is no reason for its end */
	return true;
}

static void on_words(void *arg, uint32_t events)
{
	struct kvmb_child *c = arg;

	(void)events;
	if (listen_to(c))
		c->news(c->arg, KVMB_CHILD_IS_READY);
}

/* ---- its end ---- */

static void release(struct kvmb_child *c)
{
	kvmb_timer_cancel(&c->timer);
	kvmb_loop_del(c->pid_watch);
	kvmb_loop_del(c->err_watch);
	c->pid_watch = c->err_watch = NULL;
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->err_fd >= 0)
		close(c->err_fd);
	c->pidfd = c->err_fd = -1;
	c->pid = 0;
}

/*
 * Return: true when it has ended: then it is as if there had been none, but for status and words.
 */
static bool reap(struct kvmb_child *c)
{
	if (waitpid(c->pid, &c->status, WNOHANG) != c->pid)
		return false;
	listen_to(c); /* its last words */
	if (c->line_len)
		take_line(c);
	release(c);
	set_state(c, KVMB_CHILD_NONE);
	return true;
}

static void on_end(void *arg, uint32_t events)
{
	struct kvmb_child *c = arg;
	bool starting = c->state == KVMB_CHILD_STARTING;

	(void)events;
	if (reap(c))
		c->news(c->arg, starting ? KVMB_CHILD_FAILED : KVMB_CHILD_ENDED);
}

static void begin_end(struct kvmb_child *c, int sig)
{
	set_state(c, KVMB_CHILD_ENDING);
	kill(c->pid, sig);
	kvmb_timer_set(&c->timer, KVMB_CHILD_GRACE_MS);
}

static void on_timer(void *arg)
{
	struct kvmb_child *c = arg;

	if (c->state == KVMB_CHILD_ENDING) {
		kill(c->pid, SIGKILL);
		return;
	}
	begin_end(c, SIGKILL);
	c->news(c->arg, KVMB_CHILD_FAILED);
}

/* ---- for its owner ---- */

void kvmb_child_init(struct kvmb_child *c, struct kvmb_loop *loop,
		     void (*news)(void *arg, enum kvmb_child_news news), void *arg)
{
	*c = (struct kvmb_child){
		.pidfd = -1, .err_fd = -1, .loop = loop, .news = news, .arg = arg
	};
	kvmb_timer_init(&c->timer, loop, on_timer, c);
}

static int watch(struct kvmb_child *c)
{
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd < 0)
		return -errno;
	c->pid_watch = kvmb_loop_add(c->loop, c->pidfd, EPOLLIN, on_end, c);
	c->err_watch = kvmb_loop_add(c->loop, c->err_fd, EPOLLIN, on_words, c);
	return c->pid_watch && c->err_watch ? 0 : -errno;
}

int kvmb_child_start(struct kvmb_child *c, const char *const *argv, const int *keep, int num,
		     unsigned int ready_ms)
{
	int err, p[2];

	kvmb_assert(c->state == KVMB_CHILD_NONE);
	if (pipe2(p, O_CLOEXEC))
		return -errno;
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	/* a program that has changed to another user opens its own standard error by name */
	fchmod(p[1], 0622);
	c->err_fd = p[0];
	c->line_len = 0;
	c->words[0] = 0;
	c->status = 0;
	c->pid = kvmb_spawn(argv, keep, num, p[1]);
	close(p[1]);
	err = c->pid < 0 ? (int)c->pid : watch(c);
	if (err) {
		if (c->pid > 0) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0); /* it has hardly begun */
		}
		release(c);
		return err;
	}
	set_state(c, KVMB_CHILD_STARTING);
	kvmb_timer_set(&c->timer, ready_ms);
	return 0;
}

void kvmb_child_end(struct kvmb_child *c)
{
	if (c->state == KVMB_CHILD_STARTING || c->state == KVMB_CHILD_READY)
		begin_end(c, SIGTERM);
}

/* Until it says something or ends, but no longer than @until. */
static void poll_child(const struct kvmb_child *c, uint64_t until)
{
	struct pollfd p[2] = { { .fd = c->pidfd, .events = POLLIN },
			       { .fd = c->err_watch ? c->err_fd : -1, .events = POLLIN } };
	uint64_t now = kvmb_now_ms();

	poll(p, 2, until > now ? (int)(until - now) : 0);
}

int kvmb_child_wait_ready(struct kvmb_child *c)
{
	while (c->state == KVMB_CHILD_STARTING) {
		if (kvmb_now_ms() >= c->timer.due_ms) {
			begin_end(c, SIGKILL);
			return -ETIMEDOUT;
		}
		poll_child(c, c->timer.due_ms);
		if (!listen_to(c))
			reap(c);
	}
	return c->state == KVMB_CHILD_READY ? 0 : -ECHILD;
}

void kvmb_child_fini(struct kvmb_child *c)
{
	const int signals[] = { SIGTERM, SIGKILL };
	uint64_t until;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals) && c->state != KVMB_CHILD_NONE; i++) {
		kill(c->pid, signals[i]);
		until = kvmb_now_ms() + KVMB_CHILD_GRACE_MS;
		while (!reap(c) && kvmb_now_ms() < until) {
			listen_to(c);
			poll_child(c, until);
		}
	}
	release(c);
}

void kvmb_child_why(const struct kvmb_child *c, const char *name, char *why, size_t size)
{
	if (c->words[0])
		snprintf(why, size, "%s: %s", name, c->words);
	else if (c->state != KVMB_CHILD_NONE)
		snprintf(why, size, "%s does not get ready", name);
	else if (WIFSIGNALED(c->status))
		snprintf(why, size, "%s was ended by signal %d", name, WTERMSIG(c->status));
	else
		snprintf(why, size, "%s ended with status %d", name, WEXITSTATUS(c->status));
}
