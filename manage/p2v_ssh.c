// SPDX-License-Identifier: GPL-2.0-only
/* A disk of another host, by ssh: p2v.h. Source: nbdkit(1) -s; qemu-nbd(8) --fork; ssh(1). */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/copier.h"
#include "manage/import.h"
#include "manage/p2v.h"

#define HELLO "kvmbus-disk "
#define HELLO_MS 120000 /* somebody types a password */
#define END_MS 5000

/*
 * What the shell over there does; $d is the disk. The first line is ours, and then NBD begins.
 * nbdkit speaks on standard input and output by itself.
 */
static const char script[] =
	"PATH=$PATH:/usr/sbin:/sbin; "
	"[ -r \"$d\" ] || { echo \"kvmbus-fail $d: cannot be read\"; exit 1; }; "
	"n=$(basename \"$(readlink -f \"$d\")\"); "
	"i=$(cat /etc/machine-id /sys/class/block/\"$n\"/serial /sys/class/block/\"$n\"/wwid "
	"/sys/class/block/\"$n\"/device/serial /sys/class/block/\"$n\"/device/wwid 2>/dev/null | "
	"tr -c 'A-Za-z0-9.\\n' _ | tr '\\n' ,); "
	"if command -v nbdkit >/dev/null; then "
	"echo \"" HELLO "$i\"; exec nbdkit -s -r file \"file=$d\"; fi; "
	"r='nc -U'; ! command -v socat >/dev/null || r='socat - UNIX-CONNECT:'; "
	"if command -v qemu-nbd >/dev/null && command -v \"${r%% *}\" >/dev/null; then "
	"t=$(mktemp -d) && trap 'rm -rf \"$t\"' EXIT && "
	"qemu-nbd --fork -r -f raw -k \"$t/s\" -- \"$d\" >/dev/null </dev/null && "
	"echo \"" HELLO "$i\" && "
	"case $r in nc*) nc -U \"$t/s\";; *) socat - UNIX-CONNECT:\"$t/s\";; esac; exit; fi; "
	"echo 'kvmbus-fail it has neither nbdkit, nor qemu-nbd with socat or nc'; exit 1";

static bool good_host(const char *s)
{
	size_t i;

	for (i = 0; s[i]; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("._-@%[]:", s[i]))
			return false;
	}
	return i && s[0] != '-' && s[0] != '@' && s[i - 1] != '@';
}

/* "HOST:22", "[::1]:22", "user@HOST". */
static bool split_port(struct p2v_ssh *s)
{
	char *colon = strrchr(s->target, ':'), *at, *bracket = strchr(s->target, ']');
	size_t len;
	uint64_t port;

	if (colon && (!bracket || colon > bracket)) {
		if (!import_number(colon + 1, 65535, &port) || !port)
			return false;
		snprintf(s->port, sizeof(s->port), "%u", (unsigned int)port);
		*colon = 0;
	}
	at = strchr(s->target, '@');
	at = at ? at + 1 : s->target;
	len = strlen(at);
	if (*at == '[' && at[len - 1] == ']') { /* ssh wants a bare address */
		at[len - 1] = 0;
		memmove(at, at + 1, len - 1);
	}
	return *at && *at != '-';
}

bool p2v_parse(const char *url, struct p2v_ssh *s, char *why, size_t size)
{
	const char *path = strncmp(url, "ssh://", 6) ? NULL : strchr(url + 6, '/'), *p;

	*s = (struct p2v_ssh){ 0 };
	snprintf(why, size, "%s: write ssh://[USER@]HOST[:PORT]/PATH", url);
	if (!path || !path[1] || (size_t)(path - url) - 6 >= sizeof(s->target) ||
	    strlen(path) >= sizeof(s->path))
		return false;
	snprintf(s->target, sizeof(s->target), "%.*s", (int)(path - url) - 6, url + 6);
	strcpy(s->path, path);
	for (p = path; *p; p++) {
		if (iscntrl((unsigned char)*p))
			return false;
	}
	return good_host(s->target) && split_port(s);
}

/* In single quotes; one in it is written '\''. */
static char *quote(const char *before, const char *text)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	kvmb_assert(f);
	fprintf(f, "%s'", before);
	for (; *text; text++)
		fputs(*text == '\'' ? "'\\''" : (char[]){ *text, 0 }, f);
	fputc('\'', f);
	kvmb_assert(!fclose(f));
	return out;
}

/* Whatever shell the user has over there, sh runs it. */
static char *command_of(const char *path)
{
	char *disk = quote("d=", path), *all = NULL, *command;

	kvmb_assert(asprintf(&all, "%s; %s", disk, script) > 0);
	command = quote("exec sh -c ", all);
	free(disk);
	free(all);
	return command;
}

static int start_ssh(const struct p2v_ssh *s, int *pid)
{
	const char *ssh = getenv("KVMBUS_SSH"), *argv[16] = { ssh && *ssh ? ssh : "ssh", "-T" };
	char *command = command_of(s->path);
	int pair[2], n = 2;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		free(command);
		return -errno;
	}
	if (s->port[0]) {
		argv[n++] = "-p";
		argv[n++] = s->port;
	}
	argv[n++] = "--";
	argv[n++] = s->target;
	argv[n++] = command;
	*pid = fork();
	if (!*pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "kvmbus: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	free(command);
	close(pair[1]);
	if (*pid > 0)
		return pair[0];
	close(pair[0]);
	return -errno;
}

/* One line, byte by byte: what follows is libnbd's. Return: false, and "": it does not come. */
static bool read_hello(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < size - 1 && poll(&p, 1, HELLO_MS) == 1 && read(fd, line + n, 1) == 1) {
		if (line[n] == '\n') {
			line[n] = 0;
			return true;
		}
		n++;
	}
	line[0] = 0;
	return false;
}

/* Return: its status; -1: it had to be killed. */
static int wait_for_ssh(int pid)
{
	int status, ms;

	for (ms = 0; ms < END_MS; ms += 50) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		usleep(50000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

struct copier_source *p2v_connect(const struct p2v_ssh *s, int *pid, char *why, size_t size)
{
	char line[400], what[200], *id;
	int fd = start_ssh(s, pid);
	struct copier_source *source = NULL;

	if (fd < 0) {
		snprintf(why, size, "%s: ssh: %s", s->target, strerror(-fd));
		return NULL;
	}
	if (read_hello(fd, line, sizeof(line)) && !strncmp(line, HELLO, strlen(HELLO))) {
		id = import_text("ssh://%s%s,%s", s->target, s->path, line + strlen(HELLO));
		source = copy_nbd_open(fd, id, what, sizeof(what));
		free(id);
		if (!source)
			snprintf(why, size, "%s: the NBD server there: %s", s->target, what);
	} else {
		close(fd);
		if (!strncmp(line, "kvmbus-fail ", 12)) {
			id = import_text("%s", line + 12);
			snprintf(why, size, "%s: %s", s->target, id);
			free(id);
		} else {
			snprintf(why, size, "%s: ssh has not reached it, or it has no shell",
				 s->target);
		}
	}
	if (!source)
		wait_for_ssh(*pid);
	return source;
}
