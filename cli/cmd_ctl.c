// SPDX-License-Identifier: GPL-2.0-only
/* info, stats, stop, kill, pause, resume, console. */
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
#include "lib/exits.h"
#include "lib/loop.h"
#include "lib/util.h"

#define BOOT_POLL_US 500000

/* ---- info, stats ---- */

int cmd_info(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], "info", NULL, &o);

	if (!err)
		client_show(o, cli_flag(a, "json"), client_print_info);
	json_decref(o);
	return err;
}

/* @out: may be a log: one object a line */
static void show_watched(json_t *o, bool as_json)
{
	if (as_json) {
		json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		return;
	}
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[2J");
	client_show(o, false, client_print_stats);
}

int cmd_stats(struct cli_args *a)
{
	bool as_json = cli_flag(a, "json"), watch = cli_flag(a, "watch");
	json_t *o = NULL;
	int err;

	for (;;) {
		err = client_ask(a->words[0], "stats", NULL, &o);
		if (err)
			return err;
		if (watch)
			show_watched(o, as_json);
		else
			client_show(o, as_json, client_print_stats);
		json_decref(o);
		o = NULL;
		if (!watch || fflush(stdout) || ferror(stdout)) /* main() says why */
			return EXIT_OK;
		sleep(1);
	}
}

/* ---- stop, kill, pause, resume ---- */

static int simple(struct cli_args *a, const char *command, json_t *arguments)
{
	json_t *o = NULL;
	int err = client_ask(a->words[0], command, arguments, &o);

	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	return err;
}

/*
 * A guest that is booting has no shutdown service yet: wait for it, as long as the user waits for
 * the rest.
 * Return: EXIT_OK: there it is, or there is another reason why it cannot be stopped, which the VM
 * says best.
 */
static int await_service(const char *vm, uint64_t end)
{
	json_t *o, *service;
	const char *state;
	bool coming;
	int err;

	for (;;) {
		o = NULL;
		err = client_ask(vm, "info", NULL, &o);
		if (err)
			return err;
		service = json_object_get(json_object_get(o, "integration"), "shutdown");
		state = json_string_value(json_object_get(service, "state"));
		coming = json_is_true(json_object_get(service, "enabled")) && state &&
			 (!strcmp(state, "no guest driver") || !strcmp(state, "negotiating"));
		state = json_string_value(json_object_get(o, "state"));
		coming = coming && state && !strcmp(state, "running");
		json_decref(o);
		if (!coming)
			return EXIT_OK;
		if (kvmb_now_ms() >= end)
			break;
		usleep(BOOT_POLL_US);
	}
	cli_error(
		"VM \"%s\": the guest's shutdown service did not start in time; try: kvmbus kill %s",
		vm, vm);
	return EXIT_TIMEOUT;
}

int cmd_stop(struct cli_args *a)
{
	u32 timeout = cli_u32(a, "timeout");
	uint64_t now, end = kvmb_now_ms() + timeout * 1000ull;
	int err = await_service(a->words[0], end);

	if (err)
		return err;
	now = kvmb_now_ms();
	timeout = now < end ? (u32)((end - now + 999) / 1000) : 0;
	return simple(a, "stop",
		      json_pack("{s:b, s:i}", "reboot", cli_flag(a, "reboot"), "timeout",
				(int)timeout));
}

int cmd_kill(struct cli_args *a)
{
	json_t *o = NULL;
	int err = client_kill(a->words[0], &o);

	if (!err && cli_flag(a, "json"))
		client_show(o, true, NULL);
	json_decref(o);
	return err;
}

int cmd_pause(struct cli_args *a)
{
	return simple(a, "pause", NULL);
}

int cmd_resume(struct cli_args *a)
{
	return simple(a, "resume", NULL);
}

/* ---- console ---- */

/* Typed, and not yet taken: the guest may be slow or paused. As much as anybody pastes. */
static struct {
	char buf[1 << 20];
	size_t len;
} typed;

static struct termios old_tty;

/* Return: false: it ends here. */
static bool show(int fd)
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

static void bridge(int fd, bool tty)
{
	struct pollfd p[2] = { { .fd = fd }, { .events = POLLIN } };
	bool ended = false;

	for (;;) {
		p[0].events = typed.len ? POLLIN | POLLOUT : POLLIN;
		p[1].fd = ended || (!tty && typed.len) ? -1 : STDIN_FILENO;
		if (poll(p, 2, -1) <= 0)
			return;
		if (p[0].revents & ~POLLOUT && !show(fd))
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
	err = client_ask_on(fd, a->words[0], "console", NULL, &o);
	json_decref(o);
	if (!err) {
		if (tty) {
			fprintf(stderr, "connected to %s; Ctrl-] leaves\n", a->words[0]);
			make_raw();
		}
		bridge(fd, tty);
		if (tty)
			tcsetattr(STDIN_FILENO, TCSANOW, &old_tty);
	}
	close(fd);
	return err;
}
