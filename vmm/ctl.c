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
 * Errors: {"error": {"class": "state|failed|timeout|usage", "desc": "..."}}.
 *
 * The socket is mode 0600: who may connect owns the VM.
 */
#include "vmm/ctl.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "vmm/console.h"
#include "vmm/dev/serial.h"
#include "vmm/disks.h"
#include "vmm/info.h"
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
	struct pending *pending; /* CLIENT_WAITING */
	u64 cursor;		 /* CLIENT_CONSOLE: what it has seen of the output */
	size_t len;
	char line[LINE_MAX_BYTES];
};

struct ctl {
	struct vm *vm;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct kvmb_watch *watch;
	struct client *clients;
	u32 num_clients;

	/* the --serial end */
	int out_fd, in_fd, listen_fd; /* -1 = none */
	struct kvmb_watch *in_watch, *listen_watch;
	u64 cursor;
	struct kvmb_work out_work;
	struct termios old_tty;
	bool tty_raw, escape;
};

const char *ctl_runtime_dir(void)
{
	static char dir[96];
	const char *x = getenv("XDG_RUNTIME_DIR");

	if (!dir[0])
		snprintf(dir, sizeof(dir), "%.80s/kvmbus", x && *x ? x : "/run");
	return dir;
}

int ctl_socket_path(const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/%s.sock", ctl_runtime_dir(), name);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

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
	kvmb_loop_del(c->watch);
	close(c->fd);
	free(c);
}

/* A client that does not read is dropped: nothing here ever waits for one. */
static bool send_bytes(struct client *c, const void *buf, size_t len)
{
	return send(c->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

static void send_json(struct client *c, json_t *o)
{
	char *s = json_dumps(o, JSON_COMPACT);
	size_t len = s ? strlen(s) : 0;

	if (s) {
		s[len] = '\n'; /* over the NUL */
		send_bytes(c, s, len + 1);
	}
	free(s);
	json_decref(o);
}

static void send_return(struct client *c, json_t *value)
{
	send_json(c, json_pack("{s:o}", "return", value));
}

static void send_error(struct client *c, const char *class, const char *desc)
{
	send_json(c, json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", desc));
}

/* ---- consoles ---- */

static void flush_out(struct ctl *ctl)
{
	u8 buf[4096];
	size_t n, done;
	ssize_t w;

	if (ctl->out_fd < 0)
		return;
	while ((n = serial_read(ctl->vm->serial, &ctl->cursor, buf, sizeof(buf)))) {
		for (done = 0; done < n; done += (size_t)w) {
			w = write(ctl->out_fd, buf + done, n - done);
			if (w < 0 && errno != EINTR && errno != EAGAIN)
				return; /* a full disk or a gone reader must not stop the VM */
			w = KVMB_MAX(w, 0);
		}
	}
}

static void flush_client(struct client *c)
{
	u8 buf[4096];
	u64 at = c->cursor;
	ssize_t w;
	size_t n;

	while ((n = serial_read(c->ctl->vm->serial, &at, buf, sizeof(buf)))) {
		w = send(c->fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (w < 0) {
			/* full: go on when it is writable again */
			kvmb_loop_mod(c->watch, EPOLLIN | EPOLLOUT);
			return;
		}
		c->cursor = at - n + (size_t)w;
		at = c->cursor;
	}
	kvmb_loop_mod(c->watch, EPOLLIN);
}

void ctl_flush_consoles(struct ctl *ctl)
{
	struct client *c;

	if (!ctl->vm->serial)
		return;
	flush_out(ctl);
	for (c = ctl->clients; c; c = c->next) {
		if (c->mode == CLIENT_CONSOLE)
			flush_client(c);
	}
}

static void out_work(void *arg)
{
	ctl_flush_consoles(arg);
}

void console_output(void *vm)
{
	struct ctl *ctl = ((struct vm *)vm)->ctl;

	kvmb_loop_post(((struct vm *)vm)->loop, &ctl->out_work);
}

/* Ctrl-A x ends the VM, Ctrl-A Ctrl-A sends one. */
static size_t filter_escape(struct ctl *ctl, u8 *buf, size_t n)
{
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (ctl->escape) {
			ctl->escape = false;
			if (buf[i] == 'x')
				vm_kill(ctl->vm);
			else
				buf[k++] = buf[i];
		} else if (ctl->tty_raw && buf[i] == 1) {
			ctl->escape = true;
		} else {
			buf[k++] = buf[i];
		}
	}
	return k;
}

static void on_input(void *arg, uint32_t events)
{
	struct ctl *ctl = arg;
	u8 buf[256];
	ssize_t n = read(ctl->in_fd, buf, sizeof(buf));

	(void)events;
	if (n > 0) {
		serial_input(ctl->vm->serial, buf, filter_escape(ctl, buf, (size_t)n));
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	kvmb_loop_del(ctl->in_watch); /* end of input is not the end of the VM */
	ctl->in_watch = NULL;
	if (ctl->vm->cfg.serial == SERIAL_UNIX) {
		close(ctl->in_fd);
		ctl->in_fd = ctl->out_fd = -1;
	}
}

static void on_serial_client(void *arg, uint32_t events)
{
	struct ctl *ctl = arg;
	int fd = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (ctl->in_fd >= 0) { /* one at a time, the newest wins */
		kvmb_loop_del(ctl->in_watch);
		close(ctl->in_fd);
	}
	ctl->in_fd = ctl->out_fd = fd;
	ctl->in_watch = kvmb_loop_add(ctl->vm->loop, fd, EPOLLIN, on_input, ctl);
	flush_out(ctl);
}

static void raw_tty(struct ctl *ctl)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &ctl->old_tty))
		return;
	t = ctl->old_tty;
	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	ctl->tty_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

static int listen_unix(const char *path, char *why, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, probe;
	mode_t old;

	if (strlen(path) >= sizeof(a.sun_path)) {
		snprintf(why, size, "socket %s: the path is too long", path);
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!connect(probe, (struct sockaddr *)&a, sizeof(a))) {
		close(probe);
		snprintf(why, size, "socket %s: in use by a running VM; choose another --name", path);
		return -1;
	}
	close(probe);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path); /* nobody listens: a crash left it */
	old = umask(0077);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8)) {
		snprintf(why, size, "socket %s: %s", path, strerror(errno));
		umask(old);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	umask(old);
	return fd;
}

static int open_serial(struct ctl *ctl, char *why, size_t size)
{
	const struct vm_config *cfg = &ctl->vm->cfg;

	switch (cfg->serial) {
	case SERIAL_NONE:
		break;
	case SERIAL_STDIO:
		ctl->out_fd = STDOUT_FILENO;
		ctl->in_fd = STDIN_FILENO;
		ctl->in_watch = kvmb_loop_add(ctl->vm->loop, ctl->in_fd, EPOLLIN, on_input, ctl);
		raw_tty(ctl);
		break;
	case SERIAL_FILE:
		ctl->out_fd = open(cfg->serial_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (ctl->out_fd < 0) {
			snprintf(why, size, "serial %s: %s", cfg->serial_path, strerror(errno));
			return -1;
		}
		break;
	case SERIAL_UNIX:
		ctl->listen_fd = listen_unix(cfg->serial_path, why, size);
		if (ctl->listen_fd < 0)
			return -1;
		ctl->listen_watch = kvmb_loop_add(ctl->vm->loop, ctl->listen_fd, EPOLLIN,
						  on_serial_client, ctl);
		break;
	}
	return 0;
}

static void close_serial(struct ctl *ctl)
{
	kvmb_loop_del(ctl->in_watch);
	kvmb_loop_del(ctl->listen_watch);
	if (ctl->tty_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &ctl->old_tty);
	if (ctl->listen_fd >= 0) {
		close(ctl->listen_fd);
		unlink(ctl->vm->cfg.serial_path);
	}
	if (ctl->vm->cfg.serial != SERIAL_STDIO && ctl->out_fd >= 0)
		close(ctl->out_fd);
}

/* ---- commands ---- */

static void stop_timed_out(void *arg)
{
	struct client *c = arg;

	c->mode = CLIENT_COMMANDS;
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

static struct pending *begin_pending(struct client *c)
{
	struct pending *p = kvmb_xzalloc(sizeof(*p));

	p->client = c;
	c->pending = p;
	c->mode = CLIENT_WAITING;
	return p;
}

/* A disks_reply and a nics_reply. */
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
	c->mode = CLIENT_COMMANDS;
	if (result)
		send_return(c, result);
	else
		send_error(c, class, why);
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
		  end_pending, begin_pending(c));
}

static void cmd_disk_remove(struct client *c, json_t *args)
{
	disks_remove(c->ctl->vm, arg_str(args, "disk"), end_pending, begin_pending(c));
}

static void cmd_disk_resize(struct client *c, json_t *args)
{
	disks_resize(c->ctl->vm, arg_str(args, "disk"), (u64)arg_num(args, "size", 0), end_pending,
		     begin_pending(c));
}

static void cmd_disk_eject(struct client *c, json_t *args)
{
	disks_eject(c->ctl->vm, arg_str(args, "disk"), json_is_true(json_object_get(args, "force")),
		    end_pending, begin_pending(c));
}

static void cmd_disk_insert(struct client *c, json_t *args)
{
	disks_insert(c->ctl->vm, arg_str(args, "disk"), arg_str(args, "spec"), end_pending,
		     begin_pending(c));
}

static void cmd_disk_limit(struct client *c, json_t *args)
{
	disks_limit(c->ctl->vm, arg_str(args, "disk"), arg_num(args, "iops", -1), arg_num(args, "bps", -1),
		    end_pending, begin_pending(c));
}

static void cmd_nic_list(struct client *c, json_t *args)
{
	(void)args;
	send_return(c, nics_list(c->ctl->vm));
}

static void cmd_nic_add(struct client *c, json_t *args)
{
	nics_add(c->ctl->vm, arg_str(args, "spec"), end_pending, begin_pending(c));
}

static void cmd_nic_remove(struct client *c, json_t *args)
{
	nics_remove(c->ctl->vm, arg_str(args, "nic"), end_pending, begin_pending(c));
}

static void cmd_nic_link(struct client *c, json_t *args)
{
	nics_link(c->ctl->vm, arg_str(args, "nic"), json_is_true(json_object_get(args, "up")), end_pending,
		  begin_pending(c));
}

static void cmd_nic_mtu(struct client *c, json_t *args)
{
	nics_mtu(c->ctl->vm, arg_str(args, "nic"), (u32)KVMB_MIN(arg_num(args, "mtu", 0), 65535), end_pending,
		 begin_pending(c));
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

static void on_client(void *arg, uint32_t events)
{
	struct client *c = arg;
	char *nl;
	ssize_t n;

	if (events & EPOLLOUT && c->mode == CLIENT_CONSOLE)
		flush_client(c);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	n = recv(c->fd, c->line + c->len, sizeof(c->line) - c->len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop_client(c);
		return;
	}
	c->len += (size_t)n;
	while (c->mode != CLIENT_CONSOLE && (nl = memchr(c->line, '\n', c->len))) {
		size_t len = (size_t)(nl - c->line);

		if (c->mode == CLIENT_COMMANDS)
			run_line(c, c->line, len);
		c->len -= len + 1;
		memmove(c->line, nl + 1, c->len);
	}
	if (c->mode == CLIENT_CONSOLE) {
		serial_input(c->ctl->vm->serial, (u8 *)c->line, c->len);
		c->len = 0;
	} else if (c->len == sizeof(c->line)) {
		drop_client(c); /* no command is that long */
	}
}

static void on_connect(void *arg, uint32_t events)
{
	struct ctl *ctl = arg;
	struct client *c;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (ctl->num_clients == MAX_CLIENTS) {
		close(fd);
		return;
	}
	c = kvmb_xzalloc(sizeof(*c));
	c->ctl = ctl;
	c->fd = fd;
	kvmb_timer_init(&c->timer, ctl->vm->loop, stop_timed_out, c);
	c->watch = kvmb_loop_add(ctl->vm->loop, fd, EPOLLIN, on_client, c);
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
		c->mode = CLIENT_COMMANDS;
		kvmb_timer_cancel(&c->timer);
	}
}

struct ctl *ctl_create(struct vm *vm, char *why, size_t size)
{
	struct ctl *ctl = kvmb_xzalloc(sizeof(*ctl));

	ctl->vm = vm;
	ctl->fd = ctl->out_fd = ctl->in_fd = ctl->listen_fd = -1;
	kvmb_work_init(&ctl->out_work, out_work, ctl);
	if (vm->cfg.control) {
		snprintf(ctl->path, sizeof(ctl->path), "%s", vm->cfg.control);
	} else {
		mkdir(ctl_runtime_dir(), 0755);
		if (ctl_socket_path(vm->cfg.name, ctl->path, sizeof(ctl->path))) {
			snprintf(why, size, "the name is too long");
			goto err;
		}
	}
	ctl->fd = listen_unix(ctl->path, why, size);
	if (ctl->fd < 0)
		goto err;
	if (open_serial(ctl, why, size))
		goto err;
	ctl->watch = kvmb_loop_add(vm->loop, ctl->fd, EPOLLIN, on_connect, ctl);
	return ctl;
err:
	ctl_destroy(ctl);
	return NULL;
}

void ctl_destroy(struct ctl *ctl)
{
	if (!ctl)
		return;
	while (ctl->clients)
		drop_client(ctl->clients);
	close_serial(ctl);
	kvmb_loop_del(ctl->watch);
	if (ctl->fd >= 0) {
		close(ctl->fd);
		unlink(ctl->path);
	}
	free(ctl);
}
