// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket.
 *
 * DOC: Protocol
 *
 * One JSON object a line, shaped like QMP but not claiming to be it:
 *   {"execute": "info"}                       -> {"return": {...}}
 *   {"execute": "stop", "arguments": {...}}   -> {"return": {...}} when it has happened
 *   {"execute": "console"}                    -> {"return": {}}, then raw bytes both ways
 * Commands are served in their order: the next one when its predecessor has been answered. A client that
 * closes its sending half gets the answers to what it has asked.
 * Errors: {"error": {"class": "state|failed|timeout|usage", "desc": "..."}}.
 *
 * The socket is mode 0600: who may connect owns the VM.
 */
#include "vmm/ctl.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/rundir.h"
#include "lib/sock.h"
#include "lib/util.h"
#include "machine/dev/serial.h"
#include "vmm/console.h"
#include "vmm/disk_info.h"
#include "vmm/disks.h"
#include "vmm/info.h"
#include "vmm/json_text.h"
#include "vmm/nics.h"

#define LINE_MAX_BYTES 16384u
#define MAX_CLIENTS 32u

enum client_mode { CLIENT_COMMANDS, CLIENT_WAITING, CLIENT_STOPPING, CLIENT_REBOOTING, CLIENT_CONSOLE };

struct pending { /* an answer that comes later; outlives its client */
	struct client *client; /* NULL: it hung up */
};

struct client {
	struct ctl *ctl;
	struct client *next;
	int fd;
	struct kvmb_watch *watch;
	enum client_mode mode;
	struct kvmb_timer timer; /* of a stop */
	struct kvmb_work lines;	 /* an answer has been given: there may be a next command */
	struct pending *pending; /* CLIENT_WAITING */
	char *out;		 /* out[out_off..out_len): of an answer, found no room yet; NULL: nothing waits */
	size_t out_off, out_len;
	u64 cursor;		 /* CLIENT_CONSOLE: what it has seen of the output */
	bool blocked;		 /* there is more, and its socket is full */
	bool gone;		 /* hung up; what it has typed before still goes to the guest */
	bool asks_no_more;	 /* it has closed its half, and still listens */
	size_t len;
	char line[LINE_MAX_BYTES];
};

struct ctl {
	struct vm *vm;
	struct kvmb_listener listener;
	struct kvmb_watch *watch;
	struct client *clients;
	u32 num_clients;
};

/* ---- answers ---- */

static void drop_client(struct client *c)
{
	struct client **p;

	for (p = &c->ctl->clients; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	c->ctl->num_clients--;
	if (c->pending)
		c->pending->client = NULL;
	kvmb_timer_cancel(&c->timer);
	kvmb_loop_unpost(c->ctl->vm->loop, &c->lines);
	kvmb_loop_del(c->watch);
	close(c->fd);
	free(c->out);
	free(c);
}

static uint32_t client_events(const struct client *c)
{
	return (c->asks_no_more ? 0 : EPOLLIN) | (c->blocked || c->out ? EPOLLOUT : 0);
}

static void rewatch(struct client *c)
{
	if (c->watch)
		kvmb_loop_mod(c->watch, client_events(c));
}

/* As much of the answer as the socket takes; the rest goes when it takes more. Nothing here ever waits for a client. */
static void send_out(struct client *c)
{
	ssize_t n = 0;

	while (c->out_off < c->out_len && n >= 0) {
		n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL | MSG_DONTWAIT);
		c->out_off += (size_t)KVMB_MAX(n, 0);
	}
	if (c->out_off == c->out_len || errno != EAGAIN) { /* or it hung up, which epoll will say */
		free(c->out);
		c->out = NULL;
		c->out_off = c->out_len = 0;
	}
	rewatch(c);
}

/* Only one answer at a time: the next command waits until it is out, see run_lines(). */
static void send_json(struct client *c, json_t *o)
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

static void send_return(struct client *c, json_t *value)
{
	send_json(c, json_pack("{s:o}", "return", value));
}

static void send_error(struct client *c, const char *class, const char *desc)
{
	send_json(c, json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc", json_text(desc)));
}

/* A command that was answered later than it came is done with. */
static void next_command(struct client *c)
{
	c->mode = CLIENT_COMMANDS;
	kvmb_timer_cancel(&c->timer);
	kvmb_loop_post(c->ctl->vm->loop, &c->lines);
}

/* ---- consoles of clients ---- */

static void on_client(void *arg, uint32_t events);

static void watch_client(struct client *c)
{
	c->watch = kvmb_loop_add(c->ctl->vm->loop, c->fd, client_events(c), on_client, c);
}

static void flush_client(struct client *c)
{
	if (c->out)
		return; /* the answer comes first */
	c->blocked = console_pass(c->ctl->vm, c->fd, &c->cursor);
	rewatch(c);
}

void ctl_console_output(void *arg)
{
	struct ctl *ctl = arg;
	struct client *c;

	for (c = ctl->clients; c; c = c->next) {
		if (c->mode == CLIENT_CONSOLE)
			flush_client(c);
	}
}

/* What a client has typed, as much as the guest takes; it is not read while its buffer is full. */
static void type(struct client *c)
{
	serial_type(c->ctl->vm->machine.serial, (u8 *)c->line, &c->len);
	if (c->len < sizeof(c->line) && !c->watch && !c->gone) {
		watch_client(c);
	} else if (c->len == sizeof(c->line)) {
		kvmb_loop_del(c->watch); /* not merely fewer events: its end would be reported for ever */
		c->watch = NULL;
	}
}

void ctl_console_room(void *arg)
{
	struct ctl *ctl = arg;
	struct client *c, *next;

	for (c = ctl->clients; c; c = next) {
		next = c->next;
		if (c->mode == CLIENT_CONSOLE && c->len)
			type(c);
		if (c->gone && !c->len)
			drop_client(c);
	}
}

/* ---- commands ---- */

static void stop_timed_out(void *arg)
{
	struct client *c = arg;

	next_command(c);
	send_error(c, "timeout", "the guest did not stop in time; try: kvmbus kill");
}

static void cmd_stop(struct client *c, json_t *args)
{
	struct vm *vm = c->ctl->vm;
	bool reboot = json_is_true(json_object_get(args, "reboot"));
	json_t *t = json_object_get(args, "timeout");
	json_int_t timeout = json_is_integer(t) ? json_integer_value(t) : 60;
	int err;

	if (vm->state != VM_RUNNING) {
		send_error(c, "state", "the VM is not running; try: kvmbus resume, or kvmbus kill");
		return;
	}
	timeout = KVMB_MAX(KVMB_MIN(timeout, 86400), 0);
	err = kvmb_shutdown_request(&vm->shutdown, reboot, (u32)timeout);
	if (err) {
		send_error(c, "failed", err == -ENOTCONN ?
			   "the guest has no shutdown service; try: kvmbus kill" :
			   "the guest has not answered an earlier request; try: kvmbus kill");
		return;
	}
	c->mode = reboot ? CLIENT_REBOOTING : CLIENT_STOPPING;
	kvmb_timer_set(&c->timer, (u64)timeout * 1000);
}

static void cmd_pause(struct client *c, json_t *args)
{
	(void)args;
	if (vm_pause(c->ctl->vm))
		send_error(c, "state", "the VM is not running");
	else
		send_return(c, json_object());
}

static void cmd_resume(struct client *c, json_t *args)
{
	(void)args;
	if (vm_resume(c->ctl->vm))
		send_error(c, "state", "the VM is not paused");
	else
		send_return(c, json_object());
}

static void cmd_kill(struct client *c, json_t *args)
{
	(void)args;
	c->mode = CLIENT_STOPPING;
	vm_kill(c->ctl->vm);
}

static void cmd_info(struct client *c, json_t *args)
{
	(void)args;
	send_return(c, info_vm(c->ctl->vm));
}

static void cmd_stats(struct client *c, json_t *args)
{
	(void)args;
	send_return(c, info_stats(c->ctl->vm));
}

static void cmd_console(struct client *c, json_t *args)
{
	(void)args;
	send_return(c, json_object());
	c->mode = CLIENT_CONSOLE;
	flush_client(c); /* begins with the last 64 KiB */
}

/* ---- disks and NICs: the answer may come later ---- */

static void end_pending(void *arg, json_t *result, const char *class, const char *why)
{
	struct pending *p = arg;
	struct client *c = p->client;

	free(p);
	if (!c) {
		json_decref(result);
		return;
	}
	c->pending = NULL;
	next_command(c);
	if (result)
		send_return(c, result);
	else
		send_error(c, class, why);
}

static struct ctl_reply begin_pending(struct client *c)
{
	struct pending *p = kvmb_xzalloc(sizeof(*p));

	p->client = c;
	c->pending = p;
	c->mode = CLIENT_WAITING;
	return (struct ctl_reply){ end_pending, p };
}

static const char *arg_str(json_t *args, const char *key)
{
	const char *s = json_string_value(json_object_get(args, key));

	return s ? s : "";
}

static s64 arg_num(json_t *args, const char *key, s64 otherwise)
{
	json_t *n = json_object_get(args, key);

	return json_is_integer(n) && json_integer_value(n) >= 0 ? json_integer_value(n) : otherwise;
}

static void cmd_disk_list(struct client *c, json_t *args)
{
	(void)args;
	send_return(c, disks_list(c->ctl->vm));
}

static void cmd_disk_add(struct client *c, json_t *args)
{
	disks_add(c->ctl->vm, arg_str(args, "spec"), json_is_true(json_object_get(args, "dvd")),
		  begin_pending(c));
}

static void cmd_disk_remove(struct client *c, json_t *args)
{
	disks_remove(c->ctl->vm, arg_str(args, "disk"), begin_pending(c));
}

static void cmd_disk_resize(struct client *c, json_t *args)
{
	disks_resize(c->ctl->vm, arg_str(args, "disk"), (u64)arg_num(args, "size", 0), begin_pending(c));
}

static void cmd_disk_eject(struct client *c, json_t *args)
{
	disks_eject(c->ctl->vm, arg_str(args, "disk"), json_is_true(json_object_get(args, "force")),
		    begin_pending(c));
}

static void cmd_disk_insert(struct client *c, json_t *args)
{
	disks_insert(c->ctl->vm, arg_str(args, "disk"), arg_str(args, "spec"), begin_pending(c));
}

static void cmd_disk_limit(struct client *c, json_t *args)
{
	disks_limit(c->ctl->vm, arg_str(args, "disk"), arg_num(args, "iops", -1), arg_num(args, "bps", -1),
		    begin_pending(c));
}

static void cmd_nic_list(struct client *c, json_t *args)
{
	(void)args;
	send_return(c, nics_list(c->ctl->vm));
}

static void cmd_nic_add(struct client *c, json_t *args)
{
	nics_add(c->ctl->vm, arg_str(args, "spec"), begin_pending(c));
}

static void cmd_nic_remove(struct client *c, json_t *args)
{
	nics_remove(c->ctl->vm, arg_str(args, "nic"), begin_pending(c));
}

static void cmd_nic_link(struct client *c, json_t *args)
{
	nics_link(c->ctl->vm, arg_str(args, "nic"), json_is_true(json_object_get(args, "up")), begin_pending(c));
}

static void cmd_nic_mtu(struct client *c, json_t *args)
{
	nics_mtu(c->ctl->vm, arg_str(args, "nic"), (u32)KVMB_MIN(arg_num(args, "mtu", 0), 65535), begin_pending(c));
}

static const struct {
	const char *name;
	void (*fn)(struct client *c, json_t *args);
} commands[] = {
	{ "info", cmd_info },	  { "stats", cmd_stats }, { "stop", cmd_stop },	      { "kill", cmd_kill },
	{ "pause", cmd_pause }, { "resume", cmd_resume }, { "console", cmd_console },
	{ "disk-list", cmd_disk_list },	  { "disk-add", cmd_disk_add },
	{ "disk-remove", cmd_disk_remove }, { "disk-resize", cmd_disk_resize },
	{ "disk-eject", cmd_disk_eject }, { "disk-insert", cmd_disk_insert },
	{ "disk-limit", cmd_disk_limit }, { "nic-list", cmd_nic_list }, { "nic-add", cmd_nic_add },
	{ "nic-remove", cmd_nic_remove }, { "nic-link", cmd_nic_link }, { "nic-mtu", cmd_nic_mtu },
};

static void run_line(struct client *c, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	const char *name = json_string_value(json_object_get(o, "execute"));
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(name, commands[i].name)) {
			commands[i].fn(c, json_object_get(o, "arguments"));
			json_decref(o);
			return;
		}
	}
	send_error(c, "usage", name ? "unknown command" : "not a command: one JSON object a line");
	json_decref(o);
}

static bool is_free(const struct client *c)
{
	return c->mode == CLIENT_COMMANDS && !c->out;
}

/* Commands that have come whole, up to one whose answer takes time. May free @c. */
static void run_lines(void *arg)
{
	struct client *c = arg;
	size_t len;
	char *nl;

	while (is_free(c) && (nl = memchr(c->line, '\n', c->len))) {
		len = (size_t)(nl - c->line);
		run_line(c, c->line, len);
		c->len -= len + 1;
		memmove(c->line, nl + 1, c->len);
	}
	if (c->mode == CLIENT_CONSOLE)
		type(c);
	else if (c->len == sizeof(c->line) || (c->asks_no_more && is_free(c)))
		drop_client(c); /* no command is that long, nor so much to be asked before an answer */
}

static void on_client(void *arg, uint32_t events)
{
	struct client *c = arg;
	ssize_t n;

	if (events & EPOLLOUT && c->out) {
		send_out(c);
		if (!c->out)
			kvmb_loop_post(c->ctl->vm->loop, &c->lines);
	}
	if (events & EPOLLOUT && c->mode == CLIENT_CONSOLE)
		flush_client(c);
	if (c->asks_no_more && events & (EPOLLHUP | EPOLLERR)) {
		drop_client(c);
		return;
	}
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(c->fd, c->line + c->len, sizeof(c->line) - c->len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 && c->mode == CLIENT_CONSOLE && c->len) {
		kvmb_loop_del(c->watch);
		c->watch = NULL;
		c->gone = true;
		return;
	}
	if (!n && !(events & EPOLLHUP) && !is_free(c)) {
		c->asks_no_more = true;
		rewatch(c);
		return;
	}
	if (n <= 0) {
		drop_client(c);
		return;
	}
	c->len += (size_t)n;
	run_lines(c);
}

static void on_connect(void *arg, uint32_t events)
{
	struct ctl *ctl = arg;
	struct client *c, *next;
	int fd = kvmb_accept_unix(&ctl->listener, 0);

	(void)events;
	if (fd < 0)
		return;
	for (c = ctl->clients; c && ctl->num_clients == MAX_CLIENTS; c = next) {
		next = c->next;
		if (!c->watch) /* a console whose guest does not read */
			drop_client(c);
	}
	if (ctl->num_clients == MAX_CLIENTS) {
		close(fd);
		return;
	}
	c = kvmb_xzalloc(sizeof(*c));
	c->ctl = ctl;
	c->fd = fd;
	kvmb_timer_init(&c->timer, ctl->vm->loop, stop_timed_out, c);
	kvmb_work_init(&c->lines, run_lines, c);
	watch_client(c);
	c->next = ctl->clients;
	ctl->clients = c;
	ctl->num_clients++;
}

void ctl_notify(struct ctl *ctl, enum ctl_event e)
{
	struct client *c;

	for (c = ctl->clients; c; c = c->next) {
		bool stopping = c->mode == CLIENT_STOPPING, rebooting = c->mode == CLIENT_REBOOTING;

		if (!stopping && !rebooting)
			continue;
		if (e == CTL_EVENT_SHUTDOWN_REFUSED)
			send_error(c, "failed", "the guest refused to shut down");
		else if (e == CTL_EVENT_ENDED)
			send_return(c, json_pack("{s:s}", "state", "ended"));
		else if (rebooting)
			send_return(c, json_pack("{s:s}", "state", "rebooted"));
		else
			send_error(c, "failed", "the guest rebooted instead of powering off");
		next_command(c);
	}
}

/* The runtime directory is wanted in any case: sockets of storage daemons live there, too. */
static int listen_for(struct ctl *ctl, char *why, size_t size)
{
	const struct vm_config *cfg = &ctl->vm->cfg;
	char path[PATH_MAX];
	int err = kvmb_rundir_make(why, size);

	if (cfg->control)
		return kvmb_listen_unix(&ctl->listener, cfg->control, why, size);
	if (err)
		return err;
	if (kvmb_rundir_socket(kvmb_rundir(), cfg->name, path, sizeof(path))) {
		snprintf(why, size, "the name is too long");
		return -ENAMETOOLONG;
	}
	return kvmb_listen_unix(&ctl->listener, path, why, size);
}

struct ctl *ctl_create(struct vm *vm, char *why, size_t size)
{
	struct ctl *ctl = kvmb_xzalloc(sizeof(*ctl));

	ctl->vm = vm;
	ctl->listener.fd = -1;
	if (listen_for(ctl, why, size)) {
		ctl_destroy(ctl);
		return NULL;
	}
	ctl->watch = kvmb_loop_add(vm->loop, ctl->listener.fd, EPOLLIN, on_connect, ctl);
	return ctl;
}

void ctl_destroy(struct ctl *ctl)
{
	if (!ctl)
		return;
	while (ctl->clients)
		drop_client(ctl->clients);
	kvmb_loop_del(ctl->watch);
	kvmb_unlisten_unix(&ctl->listener);
	free(ctl);
}
