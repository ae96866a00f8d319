// SPDX-License-Identifier: GPL-2.0-only
/* console. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "lib/util.h"

/* Typed, and not yet taken: the guest may be slow or paused. As much as anybody pastes. */
static struct {
	char buf[1 << 20];
	size_t len;
} typed;

static struct termios old_tty;

/* Return: false: it ends here. */
static bool show_output(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf)), w, done;

	for (done = 0; done < n; done += w) {
		w = write(STDOUT_FILENO, buf + done, (size_t)(n - done));
		if (w < 0)
			return false;
	}
	return n > 0;
}

/*
 * A terminal is read even while the guest takes nothing, for its Ctrl-]; what is more than anybody
 * pastes is lost then. Return: false: no more will be typed.
 */
static bool take_keys(bool tty)
{
	char buf[4096], *esc;
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	size_t keep;

	if (n <= 0)
		return false;
	esc = tty ? memchr(buf, 0x1d, (size_t)n) : NULL; /* Ctrl-] */
	keep = KVMB_MIN(esc ? (size_t)(esc - buf) : (size_t)n, sizeof(typed.buf) - typed.len);
	memcpy(typed.buf + typed.len, buf, keep);
	typed.len += keep;
	return !esc;
}

/* Return: false: there is nobody any more. */
static bool pass_keys(int fd)
{
	ssize_t n = typed.len ? send(fd, typed.buf, typed.len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (n < 0)
		return errno == EAGAIN;
	typed.len -= (size_t)n;
	memmove(typed.buf, typed.buf + n, typed.len);
	return true;
}

static void bridge_console(int fd, bool tty)
{
	struct pollfd p[2] = { { .fd = fd }, { .events = POLLIN } };
	bool ended = false;

	for (;;) {
		p[0].events = typed.len ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = ended || (!tty && typed.len) ? -1 : STDIN_FILENO;
		if (poll(p, 2, -1) <= 0)
			return;
		if (p[0].revents & ~POLLOUT && !show_output(fd))
			return;
		if (p[1].revents && !take_keys(tty))
			ended = true; /* a script's input has ended: go on showing */
		if (!pass_keys(fd) || (ended && tty))
			return;
	}
}

/* Whatever ends this command, the terminal is as it was. */
static void restore_and_die(int sig)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &old_tty);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void make_raw(void)
{
	static const int signals[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE };
	struct termios raw;
	size_t i;

	tcgetattr(STDIN_FILENO, &old_tty);
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		if (signal(signals[i], restore_and_die) == SIG_IGN)
			signal(signals[i], SIG_IGN);
	}
	raw = old_tty;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

int cmd_console(struct cli_args *a)
{
	json_t *o = NULL;
	bool tty = isatty(STDIN_FILENO);
	int fd, err = client_connect(a->words[0], &fd);

	if (err)
		return err;
	err = client_ask_on(fd, a->words[0], "console", NULL, NULL, &o);
	json_decref(o);
	if (!err) {
		if (tty) {
			fprintf(stderr, "connected to %s; Ctrl-] leaves\n", a->words[0]);
			make_raw();
		}
		bridge_console(fd, tty);
		if (tty)
			tcsetattr(STDIN_FILENO, TCSANOW, &old_tty);
	}
	close(fd);
	return err;
}
