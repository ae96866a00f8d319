// SPDX-License-Identifier: GPL-2.0-only
/* list, info, stats, stop, kill, pause, resume, console. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/loop.h"
#include "lib/util.h"
#include "vmm/cli.h"
#include "vmm/client.h"
#include "vmm/cmd.h"

#define LIST_PATIENCE_S 3
#define BOOT_POLL_US 500000

/* ---- list, info, stats ---- */

struct found {
	json_t *vms;
	char foreign[64]; /* one of another user */
	int num_foreign;
};

static void add_vm(void *arg, const char *path, const char *name)
{
	json_t *info = client_try(path, "info", LIST_PATIENCE_S);
	struct found *f = arg;

	if (info)
		json_array_append_new(f->vms, info);
	else if (errno == EAGAIN)
		json_array_append_new(f->vms,
				      json_pack("{s:s, s:s}", "name", name, "state", "busy"));
	else if (errno == EACCES && !f->num_foreign++)
		snprintf(f->foreign, sizeof(f->foreign), "%.60s", name);
}

int cmd_list(struct cli_args *a)
{
	struct found f = { .vms = json_array() };
	int code = client_each(add_vm, &f);

	client_show(f.vms, cli_flag(a, "json"), client_print_list);
	json_decref(f.vms);
	if (f.num_foreign && !code) {
		cli_error("not shown: %d of other users (%s%s)", f.num_foreign, f.foreign,
			  f.num_foreign > 1 ? ", ..." : "");
		code = EXIT_FAILED;
	}
	return code;
}

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

static int copy(int from, int to, bool keys)
{
	char buf[4096], *esc = NULL;
	ssize_t n = read(from, buf, sizeof(buf)), w, done;

	if (n <= 0)
		return -1;
	if (keys && isatty(from))
		esc = memchr(buf, 0x1d, (size_t)n); /* Ctrl-] */
	if (esc)
		n = esc - buf;
	for (done = 0; done < n; done += w) {
		w = write(to, buf + done, (size_t)(n - done));
		if (w < 0)
			return -1;
	}
	return esc ? -1 : 0;
}

static void bridge(int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = STDIN_FILENO, .events = POLLIN } };

	while (poll(p, 2, -1) > 0) {
		if (p[0].revents && copy(fd, STDOUT_FILENO, false))
			return;
		if (p[1].revents && copy(STDIN_FILENO, fd, true)) {
			if (isatty(STDIN_FILENO))
				return;
			p[1].fd = -1; /* a script's input has ended: go on showing */
		}
	}
}

int cmd_console(struct cli_args *a)
{
	struct termios old, raw;
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
			tcgetattr(STDIN_FILENO, &old);
			raw = old;
			cfmakeraw(&raw);
			tcsetattr(STDIN_FILENO, TCSANOW, &raw);
		}
		bridge(fd);
		if (tty)
			tcsetattr(STDIN_FILENO, TCSANOW, &old);
	}
	close(fd);
	return err;
}
