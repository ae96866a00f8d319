// SPDX-License-Identifier: GPL-2.0-only
/* The serial port's far end: the reasons are in the header. */
#include "vmm/console.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "lib/sock.h"
#include "lib/util.h"
#include "vmm/ctl.h"
#include "vmm/dev/serial.h"

#define OUTPUT_MS 2u

struct console {
	struct vm *vm;
	int out_fd, in_fd, listen_fd; /* -1 = none */
	struct kvmb_watch *in_watch, *listen_watch;
	struct termios old_tty;
	bool tty_raw, escape;

	/* out */
	u64 cursor;	/* what has been passed on */
	bool told;	/* atomic: the main thread will look */
	struct kvmb_work out_work;
	struct kvmb_timer out_timer;

	/* in */
	u8 typed[256]; /* typed[num_typed]: read, and not yet taken by the guest */
	size_t num_typed;
	struct kvmb_work room_work;
};

/* ---- out ---- */

static void write_out(struct console *c)
{
	u8 buf[4096];
	size_t n, done;
	ssize_t w;

	if (c->out_fd < 0)
		return;
	while ((n = serial_read(c->vm->serial, &c->cursor, buf, sizeof(buf)))) {
		for (done = 0; done < n; done += (size_t)w) {
			w = write(c->out_fd, buf + done, n - done);
			if (w < 0 && errno != EINTR && errno != EAGAIN)
				return; /* a full disk or a gone reader must not stop the VM */
			w = KVMB_MAX(w, 0);
		}
	}
}

void console_flush(struct console *c)
{
	__atomic_store_n(&c->told, false, __ATOMIC_SEQ_CST); /* what comes from here on tells again */
	kvmb_timer_cancel(&c->out_timer);
	write_out(c);
	ctl_console_output(c->vm->ctl);
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

void console_output(void *vm)
{
	struct console *c = ((struct vm *)vm)->console;

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
		} else if (c->tty_raw && buf[i] == 1) {
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

static void on_input(void *arg, uint32_t events);

/* As much as the guest takes; nobody reads more meanwhile. */
static void type(struct console *c)
{
	size_t n = serial_input(c->vm->serial, c->typed, c->num_typed);

	c->num_typed -= n;
	memmove(c->typed, c->typed + n, c->num_typed);
	if (c->num_typed)
		stop_reading(c);
	else if (!c->in_watch)
		c->in_watch = kvmb_loop_add(c->vm->loop, c->in_fd, EPOLLIN, on_input, c);
}

static void on_input(void *arg, uint32_t events)
{
	struct console *c = arg;
	ssize_t n = read(c->in_fd, c->typed, sizeof(c->typed));

	(void)events;
	if (n > 0) {
		c->num_typed = filter_escape(c, c->typed, (size_t)n);
		type(c);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	stop_reading(c); /* end of input is not the end of the VM */
	if (c->vm->cfg.serial == SERIAL_UNIX) {
		close(c->in_fd);
		c->in_fd = c->out_fd = -1;
	}
}

static void on_room_work(void *arg)
{
	struct console *c = arg;

	if (c->num_typed)
		type(c);
	ctl_console_room(c->vm->ctl);
}

void console_room(void *vm)
{
	struct console *c = ((struct vm *)vm)->console;

	kvmb_loop_post(c->vm->loop, &c->room_work);
}

/* ---- opening ---- */

static void on_connect(void *arg, uint32_t events)
{
	struct console *c = arg;
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (c->in_fd >= 0) { /* one at a time, the newest wins */
		stop_reading(c);
		close(c->in_fd);
	}
	c->num_typed = 0;
	c->in_fd = c->out_fd = fd;
	c->in_watch = kvmb_loop_add(c->vm->loop, fd, EPOLLIN, on_input, c);
	write_out(c);
}

static void raw_tty(struct console *c)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &c->old_tty))
		return;
	t = c->old_tty;
	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	c->tty_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

static int open_far_end(struct console *c, char *why, size_t size)
{
	const struct vm_config *cfg = &c->vm->cfg;

	switch (cfg->serial) {
	case SERIAL_NONE:
		break;
	case SERIAL_STDIO:
		c->out_fd = STDOUT_FILENO;
		c->in_fd = STDIN_FILENO;
		c->in_watch = kvmb_loop_add(c->vm->loop, c->in_fd, EPOLLIN, on_input, c);
		raw_tty(c);
		break;
	case SERIAL_FILE:
		c->out_fd = open(cfg->serial_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (c->out_fd < 0) {
			snprintf(why, size, "serial %s: %s", cfg->serial_path, strerror(errno));
			return -1;
		}
		break;
	case SERIAL_UNIX:
		c->listen_fd = kvmb_listen_unix(cfg->serial_path, why, size);
		if (c->listen_fd < 0)
			return -1;
		c->listen_watch = kvmb_loop_add(c->vm->loop, c->listen_fd, EPOLLIN, on_connect, c);
		break;
	}
	return 0;
}

struct console *console_create(struct vm *vm, char *why, size_t size)
{
	struct console *c = kvmb_xzalloc(sizeof(*c));

	c->vm = vm;
	c->out_fd = c->in_fd = c->listen_fd = -1;
	kvmb_work_init(&c->out_work, on_out_work, c);
	kvmb_work_init(&c->room_work, on_room_work, c);
	kvmb_timer_init(&c->out_timer, vm->loop, on_timer, c);
	if (!open_far_end(c, why, size))
		return c;
	console_destroy(c);
	return NULL;
}

void console_destroy(struct console *c)
{
	if (!c)
		return;
	kvmb_loop_unpost(c->vm->loop, &c->out_work);
	kvmb_loop_unpost(c->vm->loop, &c->room_work);
	kvmb_timer_cancel(&c->out_timer);
	stop_reading(c);
	kvmb_loop_del(c->listen_watch);
	if (c->tty_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &c->old_tty);
	if (c->listen_fd >= 0) {
		close(c->listen_fd);
		unlink(c->vm->cfg.serial_path);
	}
	if (c->vm->cfg.serial != SERIAL_STDIO && c->out_fd >= 0)
		close(c->out_fd);
	free(c);
}
