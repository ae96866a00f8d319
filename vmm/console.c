// SPDX-License-Identifier: GPL-2.0-only
/* The far end of the serial port; theory of operation: console.h. */
#include "vmm/console.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/sock.h"
#include "lib/util.h"
#include "machine/dev/serial.h"
#include "vmm/console_file.h"
#include "vmm/sink.h"

#define OUTPUT_MS 2u
#define LAST_WORDS_MS 2000u

struct console {
	struct vm *vm;
	const struct console_watcher *watcher;
	void *watcher_arg;
	int out_fd, in_fd; /* -1 = none */
	struct sink *sink; /* a file's; then out_fd is -1 */
	struct kvmb_listener listener;
	struct kvmb_watch *in_watch, *listen_watch;
	bool escape;

	/* out */
	u64 cursor;	/* what has been passed on */
	bool told;	/* atomic: the main thread will look */
	struct kvmb_watch *out_watch; /* while its reader is too slow */
	struct kvmb_work out_work;
	struct kvmb_timer out_timer;

	/* in */
	u8 typed[256]; /* typed[num_typed]: read, and not yet taken by the guest */
	size_t num_typed;
	struct kvmb_work room_work;
};

/*
 * The terminal is the process's, not a VM's: who ends the process in a hurry restores it without a
 * console.
 */
static struct termios old_tty;
static bool tty_raw;

/* ---- out ---- */

/*
 * @fd may block (see open_again()): only what surely finds room is written. At most PIPE_BUF bytes.
 */
static ssize_t put_no_socket(int fd, const void *buf, size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) == 1)
		return write(fd, buf, n);
	errno = EAGAIN;
	return -1;
}

static ssize_t put_output(int fd, const void *buf, size_t n)
{
	ssize_t w = send(fd, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT);

	return w < 0 && errno == ENOTSOCK ? put_no_socket(fd, buf, n) : w;
}

bool console_pass(struct vm *vm, int fd, u64 *cursor)
{
	u8 buf[4096];
	u64 at = *cursor;
	ssize_t w;
	size_t n;

	while ((n = serial_read(vm->machine.serial, &at, buf, sizeof(buf)))) {
		w = put_output(fd, buf, n);
		if (!w || (w < 0 && errno != EINTR))
			/* a full disk or a gone reader must not stop the VM */
			return w < 0 && errno == EAGAIN;
		*cursor = at - n + (size_t)KVMB_MAX(w, 0);
		at = *cursor;
	}
	return false;
}

static void forget_room(struct console *c)
{
	kvmb_loop_del(c->out_watch);
	c->out_watch = NULL;
}

static void on_out_room(void *arg, uint32_t events);

static void write_out(struct console *c)
{
	bool full = c->out_fd >= 0 && console_pass(c->vm, c->out_fd, &c->cursor);

	if (c->sink)
		sink_wake(c->sink);
	if (!full)
		forget_room(c);
	else if (!c->out_watch)
		c->out_watch = kvmb_loop_add(c->vm->loop, c->out_fd, EPOLLOUT, on_out_room, c);
}

static void on_out_room(void *arg, uint32_t events)
{
	(void)events;
	write_out(arg);
}

/*
 * A reader that is only slow still gets the end; one that has stopped reading does not hold us up.
 */
static bool pass_all(struct console *c, u32 ms)
{
	u64 until = kvmb_now_ms() + ms, now;
	struct pollfd p = { .fd = c->out_fd, .events = POLLOUT };

	while (c->vm->machine.serial && c->out_fd >= 0 &&
	       console_pass(c->vm, c->out_fd, &c->cursor)) {
		now = kvmb_now_ms();
		if (now >= until || poll(&p, 1, (int)(until - now)) <= 0)
			return false;
	}
	return true;
}

static void last_words(struct console *c)
{
	if (c->sink && !sink_destroy(c->sink, LAST_WORDS_MS))
		kvmb_warn(c->vm->cfg.name,
			  "the end of the serial port's output could not be written in time");
	c->sink = NULL;
	pass_all(c, LAST_WORDS_MS);
}

void console_flush(struct console *c)
{
	/* what comes from here on tells again */
	__atomic_store_n(&c->told, false, __ATOMIC_SEQ_CST);
	kvmb_timer_cancel(&c->out_timer);
	write_out(c);
	c->watcher->output(c->watcher_arg);
}

bool console_drain(struct console *c, u32 ms)
{
	console_flush(c);
	return (!c->sink || sink_drain(c->sink, ms)) && pass_all(c, ms);
}

static void on_timer(void *arg)
{
	console_flush(arg);
}

static void on_out_work(void *arg)
{
	struct console *c = arg;

	kvmb_timer_set(&c->out_timer, OUTPUT_MS);
}

void console_output(void *console)
{
	struct console *c = console;

	if (!__atomic_exchange_n(&c->told, true, __ATOMIC_SEQ_CST))
		kvmb_loop_post(c->vm->loop, &c->out_work);
}

/* ---- in ---- */

/* Ctrl-A x ends the VM, Ctrl-A Ctrl-A sends one. */
static size_t filter_escape(struct console *c, u8 *buf, size_t n)
{
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		if (c->escape) {
			c->escape = false;
			if (buf[i] == 'x')
				vm_kill(c->vm);
			else
				buf[k++] = buf[i];
		} else if (tty_raw && buf[i] == 1) {
			c->escape = true;
		} else {
			buf[k++] = buf[i];
		}
	}
	return k;
}

static void stop_reading(struct console *c)
{
	kvmb_loop_del(c->in_watch);
	c->in_watch = NULL;
}

static void on_typed(void *arg, uint32_t events);

/* As much as the guest takes; nobody reads more meanwhile. */
static void type_in(struct console *c)
{
	serial_type(c->vm->machine.serial, c->typed, &c->num_typed);
	if (c->num_typed)
		stop_reading(c);
	else if (!c->in_watch)
		c->in_watch = kvmb_loop_add(c->vm->loop, c->in_fd, EPOLLIN, on_typed, c);
}

/* The one at the far end of the socket has gone, or has to. */
static void hang_up(struct console *c)
{
	stop_reading(c);
	forget_room(c);
	if (c->in_fd >= 0) {
		close(c->in_fd);
		close(c->out_fd);
	}
	c->in_fd = c->out_fd = -1;
	c->num_typed = 0;
}

static void on_typed(void *arg, uint32_t events)
{
	struct console *c = arg;
	ssize_t n = read(c->in_fd, c->typed, sizeof(c->typed));

	(void)events;
	if (n > 0) {
		c->num_typed = filter_escape(c, c->typed, (size_t)n);
		type_in(c);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	stop_reading(c); /* end of input is not the end of the VM */
	if (c->vm->cfg.serial == SERIAL_UNIX)
		hang_up(c);
}

static void on_room_work(void *arg)
{
	struct console *c = arg;

	if (c->num_typed)
		type_in(c);
	c->watcher->room(c->watcher_arg);
}

void console_room(void *console)
{
	struct console *c = console;

	kvmb_loop_post(c->vm->loop, &c->room_work);
}

/* ---- opening ---- */

static void on_console_connect(void *arg, uint32_t events)
{
	struct console *c = arg;
	int fd = kvmb_accept_unix(&c->listener, SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	hang_up(c); /* one at a time, the newest wins */
	c->in_fd = fd;
	c->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* its own, to be watched by itself */
	c->in_watch = kvmb_loop_add(c->vm->loop, fd, EPOLLIN, on_typed, c);
	write_out(c);
}

/*
 * Standard input or output that does not block, without a change to what others have open: a
 * terminal or a pipe is opened again. What cannot be (a file, a socket, the terminal of another
 * user's after su: see put_output()) stays as it is.
 */
static int open_again(int std, int mode)
{
	struct stat st;
	char path[32];
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", std);
	if (!fstat(std, &st) && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
		fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? std : fd;
}

static void raw_tty(void)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &old_tty))
		return;
	t = old_tty;
	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	tty_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

void console_restore_tty(void)
{
	if (tty_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &old_tty);
	tty_raw = false;
}

static int open_far_end(struct console *c, char *why, size_t size)
{
	const struct vm_config *cfg = &c->vm->cfg;

	switch (cfg->serial) {
	case SERIAL_NONE:
		break;
	case SERIAL_STDIO:
		c->out_fd = open_again(STDOUT_FILENO, O_WRONLY);
		c->in_fd = open_again(STDIN_FILENO, O_RDONLY);
		c->in_watch = kvmb_loop_add(c->vm->loop, c->in_fd, EPOLLIN, on_typed, c);
		break;
	case SERIAL_FILE:
		c->out_fd = console_open_file(cfg, why, size);
		if (c->out_fd < 0)
			return -1;
		break;
	case SERIAL_UNIX:
		if (cfg->handed ? kvmb_listen_unix_later(&c->listener, SOCK_STREAM,
							 cfg->serial_path, why, size) :
				  kvmb_listen_unix(&c->listener, cfg->serial_path, why, size))
			return -1;
		/* where there is no keeper we remove it ourselves */
		kvmb_keeper_adopt(&c->listener);
		c->listen_watch =
			kvmb_loop_add(c->vm->loop, c->listener.fd, EPOLLIN, on_console_connect, c);
		break;
	}
	return 0;
}

struct console *console_create(struct vm *vm, const struct console_watcher *w, void *arg, char *why,
			       size_t size)
{
	struct console *c = kvmb_xzalloc(sizeof(*c));

	c->vm = vm;
	c->watcher = w;
	c->watcher_arg = arg;
	c->out_fd = c->in_fd = c->listener.fd = -1;
	kvmb_work_init(&c->out_work, on_out_work, c);
	kvmb_work_init(&c->room_work, on_room_work, c);
	kvmb_timer_init(&c->out_timer, vm->loop, on_timer, c);
	if (!open_far_end(c, why, size))
		return c;
	console_destroy(c);
	return NULL;
}

static bool is_regular(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

/*
 * Ours begins empty, unless the VM goes on from elsewhere, and with it its output; standard output
 * is somebody else's, who decides how long it may become.
 */
static void start_sink(struct console *c)
{
	bool ours = c->vm->cfg.serial == SERIAL_FILE,
	     goes_on = c->vm->cfg.state || c->vm->cfg.incoming;
	int fd = ours ? c->out_fd : fcntl(c->out_fd, F_DUPFD_CLOEXEC, 0);

	if (ours && !goes_on && ftruncate(fd, 0))
		kvmb_warn(c->vm->cfg.name, "serial %s: it cannot be emptied: %s",
			  c->vm->cfg.serial_path, strerror(errno));
	c->out_fd = -1;
	c->sink = sink_create(c->vm->machine.serial, fd, ours ? SINK_LIMIT : 0);
	if (!c->sink)
		kvmb_warn(c->vm->cfg.name,
			  "no thread for the serial port's file; nothing will be written");
}

void console_start(struct console *c)
{
	if (c->vm->cfg.serial == SERIAL_STDIO)
		raw_tty(); /* not before: until here Ctrl-C ends a start that hangs */
	if (c->out_fd >= 0 && is_regular(c->out_fd))
		start_sink(c);
}

static void close_own(struct console *c)
{
	if (c->out_fd >= 0 && c->out_fd != STDOUT_FILENO)
		close(c->out_fd);
	if (c->in_fd >= 0 && c->in_fd != STDIN_FILENO)
		close(c->in_fd);
}

void console_destroy(struct console *c)
{
	if (!c)
		return;
	kvmb_loop_unpost(c->vm->loop, &c->out_work);
	kvmb_loop_unpost(c->vm->loop, &c->room_work);
	kvmb_timer_cancel(&c->out_timer);
	last_words(c);
	stop_reading(c);
	forget_room(c);
	kvmb_loop_del(c->listen_watch);
	if (c->vm->cfg.serial == SERIAL_STDIO)
		console_restore_tty();
	kvmb_unlisten_unix(&c->listener);
	if (c->vm->cfg.serial == SERIAL_UNIX)
		hang_up(c);
	else
		close_own(c);
	free(c);
}
