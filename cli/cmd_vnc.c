// SPDX-License-Identifier: GPL-2.0-only
/* `kvmbus vnc`: a VM's screen for VNC clients. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/mig_tcp.h"
#include "cli/vnc_client.h"
#include "cli/vnc_door.h"
#include "cli/vnc_lib.h"
#include "lib/exits.h"
#include "lib/util.h"

_Static_assert(VNC_DOOR_FDS >= MIG_TCP_MAX, "mig_tcp_listen() fills them");

#define UNIX "unix:"

struct place {		     /* where it listens */
	char path[PATH_MAX]; /* "" = TCP */
	char host[256], port[6];
	char text[PATH_MAX + 8]; /* for the user */
};

/* ---- what was typed ---- */

/* HOST:PORT, [IPV6]:PORT, :PORT */
static bool read_tcp(const char *s, struct place *p)
{
	const char *port = strrchr(s, ':');
	size_t len = port ? (size_t)(port - s) : 0;
	u32 number;

	if (!port || !opt_u32(port + 1, 1, 65535, &number))
		return false;
	if (*s == '[') {
		if (len < 2 || s[len - 1] != ']')
			return false;
		s++;
		len -= 2;
	} else if (memchr(s, ':', len)) {
		return false;
	}
	if (len >= sizeof(p->host))
		return false;
	snprintf(p->host, sizeof(p->host), "%.*s", (int)len, s);
	snprintf(p->port, sizeof(p->port), "%u", number);
	return true;
}

static int read_place(struct cli_args *a, struct place *p)
{
	const char *s = cli_text(a, "listen");

	if (!s)
		return EXIT_OK;
	snprintf(p->text, sizeof(p->text), "%s", s);
	if (!strncmp(s, UNIX, strlen(UNIX))) {
		snprintf(p->path, sizeof(p->path), "%s", s + strlen(UNIX));
		return *p->path ? EXIT_OK : cli_bad(a->cmd, "--listen %s: which path?", s);
	}
	if (!read_tcp(s, p))
		return cli_bad(a->cmd, "--listen \"%s\": write unix:PATH, HOST:PORT or [IPV6]:PORT",
			       s);
	if (cli_text(a, "password-file"))
		return EXIT_OK;
	return cli_bad(a->cmd,
		       "--listen %s: whoever reaches that port could use the VM; give "
		       "--password-file, or listen on unix:PATH and use ssh -L",
		       s);
}

/* The first line. Return: EXIT_*. */
static int read_password(struct cli_args *a, char *password, size_t size)
{
	const char *path = cli_text(a, "password-file");
	FILE *f = path ? fopen(path, "re") : NULL;
	char line[64] = "";
	bool got;

	if (!path)
		return EXIT_OK;
	if (!f) {
		cli_error("%s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	got = fgets(line, sizeof(line), f);
	fclose(f);
	line[strcspn(line, "\r\n")] = 0;
	if (!got || !*line || strlen(line) > VNC_PASSWORD_MAX) {
		cli_error("%s: a VNC password has 1 to %d characters, on the first line", path,
			  VNC_PASSWORD_MAX);
		return EXIT_FAILED;
	}
	snprintf(password, size, "%s", line);
	return EXIT_OK;
}

/* ---- where it listens ---- */

/* Beside the control socket, with .vnc in the place of .sock. */
static bool default_path(int control, const char *vm, struct place *p)
{
	char path[PATH_MAX];
	size_t len;

	/* the socket's own name may be relative to where the VM was started */
	if (strchr(vm, '/'))
		snprintf(path, sizeof(path), "%s", vm);
	else if (!client_socket(control, path, sizeof(path)))
		return false;
	len = strlen(path);
	if (len > 5 && !strcmp(path + len - 5, ".sock"))
		len -= 5;
	return snprintf(p->path, sizeof(p->path), "%.*s.vnc", (int)len, path) <
		       (int)sizeof(p->path) &&
	       snprintf(p->text, sizeof(p->text), UNIX "%s", p->path) < (int)sizeof(p->text);
}

static int listen_unix(const struct place *p, struct vnc_door *d)
{
	char why[300];

	if (kvmb_listen_unix(&d->path, p->path, why, sizeof(why))) {
		cli_error("%s: %s", p->text, why);
		return EXIT_FAILED;
	}
	d->fds[d->num++] = d->path.fd;
	return EXIT_OK;
}

static int listen_tcp(const struct place *p, struct vnc_door *d)
{
	const struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found;
	int err = getaddrinfo(*p->host ? p->host : NULL, p->port, &want, &found);

	if (err) {
		cli_error("%s: %s", p->text,
			  err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
		return EXIT_FAILED;
	}
	d->num = mig_tcp_listen(found, d->fds);
	freeaddrinfo(found);
	if (d->num > 0)
		return EXIT_OK;
	cli_error("%s: %s", p->text, strerror(-d->num));
	return EXIT_FAILED;
}

static void say_where(struct cli_args *a, const struct place *p)
{
	json_t *o = json_pack("{s:s}", "listen", p->text);
	char *text = cli_plain(p->text);

	if (cli_flag(a, "json"))
		client_show(o, true, NULL);
	else
		printf("%s\n", text);
	fflush(stdout);
	free(text);
	json_decref(o);
}

static int serve(struct cli_args *a, struct place *p, struct vnc_door *d)
{
	int code;

	if (!*p->text && !default_path(d->control, d->vm, p)) {
		cli_error("VM \"%s\": its socket has no path; give --listen", d->vm);
		return EXIT_FAILED;
	}
	code = *p->path ? listen_unix(p, d) : listen_tcp(p, d);
	if (code)
		return code;
	say_where(a, p);
	code = vnc_door_run(d);
	kvmb_unlisten_unix(&d->path);
	return code;
}

/* ---- the VM ---- */

/* Has it a screen? Everything else is asked for each client. Return: EXIT_*, and the name. */
static int ask_for_screen(const struct vnc_door *d, char *name, size_t size)
{
	json_t *o = NULL;
	int code = client_ask_on(d->control, d->vm, "info", NULL, NULL, &o);
	const char *said = json_string_value(json_object_get(o, "name"));

	snprintf(name, size, "%.60s - kvmbus", said ? said : d->vm);
	if (!code && json_is_null(json_object_get(o, "screen"))) {
		cli_error(
			"VM \"%s\": the VM has no screen: it was started with --kernel and without "
			"--video on",
			d->vm);
		code = EXIT_STATE;
	}
	json_decref(o);
	return code;
}

int cmd_vnc(struct cli_args *a)
{
	struct vnc_door d = { .vm = a->words[0],
			      .view_only = cli_flag(a, "view-only"),
			      .path.fd = -1 };
	char password[VNC_PASSWORD_MAX + 1] = "", name[80], why[300];
	static struct place p;
	int code = read_place(a, &p);

	if (!code)
		code = read_password(a, password, sizeof(password));
	if (!code && vnc_lib_load(why, sizeof(why))) {
		cli_error("vnc: %s", why);
		code = EXIT_FAILED;
	}
	if (!code)
		code = client_connect(d.vm, &d.control);
	if (code)
		return code;
	d.password = *password ? password : NULL;
	d.name = name;
	code = ask_for_screen(&d, name, sizeof(name));
	if (!code)
		code = client_as_owner(d.control, d.vm);
	if (!code)
		code = serve(a, &p, &d);
	close(d.control);
	return code;
}
