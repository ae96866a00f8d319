// SPDX-License-Identifier: GPL-2.0-only
/* A client of the control socket; theory of operation: ctl_client.h. */
#include "vmm/ctl_client.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/util.h"
#include "machine/dev/serial.h"
#include "vmm/console.h"
#include "vmm/json_text.h"

struct ctl_pending { /* an answer that comes later; outlives its client */
	struct ctl_client *client; /* NULL: it hung up */
};

/* ---- states ---- */

static const u8 moves[CLIENT_NUM_STATES] = {
	[CLIENT_COMMANDS] = 1 << CLIENT_WAITING | 1 << CLIENT_STOPPING | 1 << CLIENT_REBOOTING |
			    1 << CLIENT_CONSOLE,
	[CLIENT_WAITING] = 1 << CLIENT_COMMANDS,
	[CLIENT_STOPPING] = 1 << CLIENT_COMMANDS,
	[CLIENT_REBOOTING] = 1 << CLIENT_COMMANDS,
	[CLIENT_CONSOLE] = 1 << CLIENT_GONE,
};

void ctl_client_to(struct ctl_client *c, enum ctl_client_state to)
{
	kvmb_assert(moves[c->state] & (1 << to));
	c->state = to;
}

/* May it have its next command served? */
static bool is_free(const struct ctl_client *c)
{
	return c->state == CLIENT_COMMANDS && !c->out;
}

void ctl_client_drop(struct ctl_client *c)
{
	struct ctl_client **p;

	for (p = &c->all->first; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	c->all->num--;
	if (c->pending)
		c->pending->client = NULL;
	kvmb_timer_cancel(&c->timer);
	kvmb_loop_unpost(c->all->vm->loop, &c->lines);
	kvmb_loop_del(c->watch);
	handover_close(&c->fds);
	close(c->fd);
	free(c->out);
	free(c);
}

/* One line at a time, so that what comes with the next one is not taken for this one's. */
static bool may_read(const struct ctl_client *c)
{
	return c->state == CLIENT_CONSOLE || !c->len || c->line[c->len - 1] != '\n';
}

static uint32_t wanted_events(const struct ctl_client *c)
{
	return (c->half_closed || !may_read(c) ? 0 : EPOLLIN) |
	       (c->blocked || c->out ? EPOLLOUT : 0);
}

static void rewatch(struct ctl_client *c)
{
	if (c->watch)
		kvmb_loop_mod(c->watch, wanted_events(c));
}

static void on_client(void *arg, uint32_t events);

static void watch_client(struct ctl_client *c)
{
	c->watch = kvmb_loop_add(c->all->vm->loop, c->fd, wanted_events(c), on_client, c);
}

static void unwatch_client(struct ctl_client *c)
{
	kvmb_loop_del(c->watch);
	c->watch = NULL;
}

/* ---- answers ---- */

/*
 * As much of the answer as the socket takes; the rest goes when it takes more. Nothing here ever
 * waits for a client.
 */
static void send_out(struct ctl_client *c)
{
	ssize_t n = 0;

	while (c->out_off < c->out_len && n >= 0) {
		n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off,
			 MSG_NOSIGNAL | MSG_DONTWAIT);
		c->out_off += (size_t)KVMB_MAX(n, 0);
	}
	if (c->out_off == c->out_len || errno != EAGAIN) { /* or it hung up, which epoll will say */
		free(c->out);
		c->out = NULL;
		c->out_off = c->out_len = 0;
	}
	rewatch(c);
}

/* Only one answer at a time: the next command waits until it is out, see run_line(). */
static void send_json(struct ctl_client *c, json_t *o)
{
	kvmb_assert(!c->out);
	c->out = json_dumps(o, JSON_COMPACT);
	if (c->out) {
		c->out_len = strlen(c->out) + 1;
		c->out[c->out_len - 1] = '\n'; /* over the NUL */
		send_out(c);
	}
	json_decref(o);
}

void ctl_client_return(struct ctl_client *c, json_t *value)
{
	send_json(c, json_pack("{s:o}", "return", value));
}

void ctl_client_error(struct ctl_client *c, const char *class, const char *desc)
{
	send_json(c, json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc", json_text(desc)));
}

void ctl_client_done(struct ctl_client *c)
{
	ctl_client_to(c, CLIENT_COMMANDS);
	kvmb_timer_cancel(&c->timer);
	kvmb_loop_post(c->all->vm->loop, &c->lines);
}

static void timed_out(void *arg)
{
	struct ctl_client *c = arg;

	ctl_client_done(c);
	ctl_client_error(c, "timeout", "the guest did not stop in time; try: kvmbus kill");
}

void ctl_client_stop(struct ctl_client *c, enum ctl_client_state to, u64 ms)
{
	ctl_client_to(c, to);
	kvmb_timer_set(&c->timer, ms);
}

static void end_pending(void *arg, json_t *result, const char *class, const char *why)
{
	struct ctl_pending *p = arg;
	struct ctl_client *c = p->client;

	free(p);
	if (!c) {
		json_decref(result);
		return;
	}
	c->pending = NULL;
	ctl_client_done(c);
	if (result)
		ctl_client_return(c, result);
	else
		ctl_client_error(c, class, why);
}

static bool pending_is_gone(void *arg)
{
	return !((struct ctl_pending *)arg)->client;
}

struct ctl_reply ctl_client_reply(struct ctl_client *c)
{
	struct ctl_pending *p = kvmb_xzalloc(sizeof(*p));

	p->client = c;
	c->pending = p;
	ctl_client_to(c, CLIENT_WAITING);
	return (struct ctl_reply){ .fn = end_pending, .arg = p, .gone = pending_is_gone };
}

/* ---- the console ---- */

void ctl_client_output(struct ctl_client *c)
{
	if (c->state != CLIENT_CONSOLE || c->out)
		return; /* the answer comes first */
	c->blocked = console_pass(c->all->vm, c->fd, &c->cursor);
	rewatch(c);
}

void ctl_client_console(struct ctl_client *c)
{
	ctl_client_to(c, CLIENT_CONSOLE);
	handover_close(&c->fds); /* what comes now is typed */
	ctl_client_output(c); /* begins with the last 64 KiB */
}

/* What a client has typed, as much as the guest takes; it is not read while its buffer is full. */
static void pass_typed(struct ctl_client *c)
{
	serial_type(c->all->vm->machine.serial, (u8 *)c->line, &c->len);
	if (c->len == sizeof(c->line))
		unwatch_client(c); /* not merely fewer events: its end would be reported for ever */
	else if (!c->watch && c->state == CLIENT_CONSOLE)
		watch_client(c);
}

void ctl_client_room(struct ctl_client *c)
{
	if (c->state != CLIENT_CONSOLE && c->state != CLIENT_GONE)
		return;
	if (c->len)
		pass_typed(c);
	if (c->state == CLIENT_GONE && !c->len)
		ctl_client_drop(c);
}

/* ---- what it sends ---- */

/* The command, when it has come whole and the last one is answered. May free @c. */
static void run_line(void *arg)
{
	struct ctl_client *c = arg;
	struct handover_fds fds = c->fds;
	size_t len = c->len;

	if (is_free(c) && len && !may_read(c)) {
		c->fds.num = 0;
		c->len = 0;
		c->all->run_line(c, c->line, len - 1, &fds);
		handover_close(&fds);
	}
	if (c->state == CLIENT_CONSOLE || c->state == CLIENT_GONE)
		pass_typed(c);
	else if ((may_read(c) && c->len == sizeof(c->line)) || (c->half_closed && is_free(c)))
		ctl_client_drop(c); /* no command is that long */
	else
		rewatch(c);
}

/* It sends no more. @half: it still listens. */
static void input_ended(struct ctl_client *c, bool half)
{
	if (c->state == CLIENT_CONSOLE && c->len) {
		unwatch_client(c);
		ctl_client_to(c, CLIENT_GONE);
	} else if (half && !is_free(c)) {
		c->half_closed = true;
		rewatch(c);
	} else {
		ctl_client_drop(c);
	}
}

/* Up to the end of a line. Return: bytes, 0 at the end, -errno. */
static ssize_t next_bytes(struct ctl_client *c)
{
	char *at = c->line + c->len, *nl;
	ssize_t n = recv(c->fd, at, sizeof(c->line) - c->len, MSG_PEEK | MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 ? -errno : 0;
	nl = c->state == CLIENT_CONSOLE ? NULL : memchr(at, '\n', (size_t)n);
	return nl ? nl + 1 - at : n;
}

/* Bytes, and descriptors if it may send some now. Return: as kvmb_recv_fds(). */
static ssize_t receive(struct ctl_client *c)
{
	bool may = c->state != CLIENT_CONSOLE && !c->fds.num;
	int none[1], num = may ? KVMB_FDPASS_MAX : 0;
	ssize_t n = next_bytes(c);

	if (n > 0)
		n = kvmb_recv_fds(c->fd, c->line + c->len, (size_t)n, may ? c->fds.fd : none, &num,
				  MSG_DONTWAIT);
	else
		num = 0;
	if (may)
		c->fds.num = (u32)num;
	return n;
}

/* More descriptors than we take, or than this process has room for: it may have them back. */
static void refuse_fds(struct ctl_client *c)
{
	if (is_free(c))
		ctl_client_error(c, "usage",
				 "more descriptors came than the VM takes, or has room for");
	ctl_client_drop(c);
}

static void on_client_input(struct ctl_client *c, bool hung_up)
{
	ssize_t n = may_read(c) ? receive(c) : 0;

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n == -EMSGSIZE) {
		refuse_fds(c);
		return;
	}
	if (n <= 0) {
		input_ended(c, !n && !hung_up);
		return;
	}
	c->len += (size_t)n;
	run_line(c);
}

static void on_client_room(struct ctl_client *c)
{
	if (c->out) {
		send_out(c);
		if (!c->out)
			kvmb_loop_post(c->all->vm->loop, &c->lines);
	}
	ctl_client_output(c);
}

static void on_client(void *arg, uint32_t events)
{
	struct ctl_client *c = arg;
	bool hung_up = events & (EPOLLHUP | EPOLLERR);

	if (events & EPOLLOUT)
		on_client_room(c);
	if (hung_up && c->half_closed)
		ctl_client_drop(c);
	else if (hung_up || events & EPOLLIN)
		on_client_input(c, events & EPOLLHUP);
}

void ctl_client_add(struct ctl_clients *all, int fd)
{
	struct ctl_client *c = kvmb_xzalloc(sizeof(*c));

	c->all = all;
	c->fd = fd;
	kvmb_timer_init(&c->timer, all->vm->loop, timed_out, c);
	kvmb_work_init(&c->lines, run_line, c);
	watch_client(c);
	c->next = all->first;
	all->first = c;
	all->num++;
}
