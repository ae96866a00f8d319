// SPDX-License-Identifier: GPL-2.0-only
/* The subcommands that speak to a running VM over its control socket. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/client.h"
#include "vmm/cmd.h"
#include "vmm/ctl.h"

#define LIST_PATIENCE_S 3

struct args {
	const char *vm;
	bool json, reboot, watch;
	long timeout; /* seconds */
};

static int usage(const char *cmd, const char *what, const char *word)
{
	fprintf(stderr, "kvmbus %s: %s%s%s; see kvmbus --help\n", cmd, what, word ? " " : "",
		word ? word : "");
	return EXIT_USAGE;
}

static int parse(int argc, char **argv, bool wants_vm, struct args *a)
{
	char *end;
	int i;

	*a = (struct args){ .timeout = 60 };
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--json")) {
			a->json = true;
		} else if (!strcmp(argv[i], "--reboot") && !strcmp(argv[0], "stop")) {
			a->reboot = true;
		} else if (!strcmp(argv[i], "--watch") && !strcmp(argv[0], "stats")) {
			a->watch = true;
		} else if (!strcmp(argv[i], "--timeout") && !strcmp(argv[0], "stop")) {
			if (++i == argc)
				return usage(argv[0], "--timeout needs seconds", NULL);
			a->timeout = strtol(argv[i], &end, 10);
			if (*end || a->timeout < 0 || a->timeout > 86400)
				return usage(argv[0], "bad --timeout", argv[i]);
		} else if (argv[i][0] == '-' || a->vm || !wants_vm) {
			return usage(argv[0], "unexpected", argv[i]);
		} else {
			a->vm = argv[i];
		}
	}
	if (wants_vm && !a->vm)
		return usage(argv[0], "which VM?", NULL);
	return EXIT_OK;
}

/* ---- one exchange ---- */

/* @patience_s: how long each step may take, 0 = for ever */
static int connect_path(const char *path, long patience_s)
{
	struct timeval tv = { .tv_sec = patience_s };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && patience_s) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)); /* counts for connect(), too */
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	}
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A name, or the path of a socket given to run --control. */
static int connect_vm(const char *vm)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd = -1;

	if (strchr(vm, '/'))
		fd = connect_path(vm, 0);
	else if (!ctl_socket_path(vm, path, sizeof(path)))
		fd = connect_path(path, 0);
	if (fd < 0 && errno == EACCES)
		fprintf(stderr, "kvmbus: VM \"%s\": it belongs to another user\n", vm);
	else if (fd < 0)
		fprintf(stderr, "kvmbus: no VM \"%s\" is running; see: kvmbus list\n", vm);
	return fd;
}

static int send_command(int fd, const char *name, json_t *arguments)
{
	json_t *o = json_pack("{s:s}", "execute", name);
	char *s;
	int err;

	if (arguments)
		json_object_set_new(o, "arguments", arguments);
	s = json_dumps(o, JSON_COMPACT);
	err = dprintf(fd, "%s\n", s) < 0 ? -1 : 0;
	free(s);
	json_decref(o);
	return err;
}

/* One line; console bytes behind it stay in the socket. NULL: none came, errno says why, 0: they hung up. */
static json_t *read_answer(int fd)
{
	size_t len = 0, size = 65536;
	char *line = malloc(size), *end = NULL, *more;
	json_t *o = NULL;
	ssize_t n = 1;

	while (line && !end && n > 0) {
		if (len == size) {
			more = realloc(line, size *= 2);
			if (!more)
				break;
			line = more;
		}
		errno = 0;
		n = recv(fd, line + len, size - len, MSG_PEEK);
		end = n > 0 ? memchr(line + len, '\n', (size_t)n) : NULL;
		if (n > 0) /* what we have seen, up to the line's end */
			n = recv(fd, line + len, end ? (size_t)(end + 1 - line) - len : (size_t)n, 0);
		len += (size_t)KVMB_MAX(n, 0);
	}
	if (end)
		o = json_loadb(line, (size_t)(end - line), 0, NULL);
	free(line);
	return o;
}

static int report_error(const char *vm, json_t *answer)
{
	json_t *e = json_object_get(answer, "error");
	const char *class = json_string_value(json_object_get(e, "class"));
	const char *desc = json_string_value(json_object_get(e, "desc"));

	fprintf(stderr, "kvmbus: VM \"%s\": %s\n", vm, desc ? desc : "the connection was lost");
	if (class && !strcmp(class, "state"))
		return EXIT_STATE;
	if (class && !strcmp(class, "timeout"))
		return EXIT_TIMEOUT;
	return class && !strcmp(class, "usage") ? EXIT_USAGE : EXIT_FAILED;
}

/* Return: EXIT_*; *out = the "return" value, new reference. */
static int ask(int fd, const char *vm, const char *name, json_t *arguments, json_t **out)
{
	json_t *answer, *value;
	int code = EXIT_OK;

	send_command(fd, name, arguments);
	answer = read_answer(fd);
	value = json_object_get(answer, "return");
	if (value)
		*out = json_incref(value);
	else
		code = report_error(vm, answer);
	json_decref(answer);
	return code;
}

int client_ask(const char *vm, const char *name, json_t *arguments, json_t **out)
{
	int fd = connect_vm(vm), code;

	if (fd < 0) {
		json_decref(arguments);
		return EXIT_NO_VM;
	}
	code = ask(fd, vm, name, arguments, out);
	close(fd);
	return code;
}

void client_print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
}

/* ---- list, info ---- */

static const char *str(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static long long num(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* Return: what a VM says of itself; of one that is busy with something else its name; NULL: none is there. */
static json_t *info_by_socket(const char *path, const char *name, size_t len)
{
	int fd = connect_path(path, LIST_PATIENCE_S);
	bool busy = fd < 0 && errno == EAGAIN;
	json_t *info = NULL, *answer;

	if (fd >= 0) {
		send_command(fd, "info", NULL);
		answer = read_answer(fd);
		busy = !answer && errno == EAGAIN;
		info = json_incref(json_object_get(answer, "return"));
		json_decref(answer);
		close(fd);
	}
	return busy ? json_pack("{s:s%, s:s}", "name", name, len, "state", "busy") : info;
}

int cmd_list(int argc, char **argv)
{
	json_t *all = json_array(), *info;
	struct dirent *e;
	struct args a;
	char path[512];
	size_t i;
	DIR *d;
	int err = parse(argc, argv, false, &a);

	if (err)
		return err;
	d = opendir(ctl_runtime_dir());
	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len < 6 || strcmp(e->d_name + len - 5, ".sock"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", ctl_runtime_dir(), e->d_name);
		info = info_by_socket(path, e->d_name, len - 5);
		if (info)
			json_array_append_new(all, info);
	}
	if (d)
		closedir(d);
	if (a.json) {
		client_print_json(all);
	} else {
		printf("%-20s %-10s %8s %5s %8s  %-5s %s\n", "NAME", "STATE", "PID", "CPUS", "MEMORY",
		       "VMBUS", "HEARTBEAT");
		json_array_foreach(all, i, info) {
			json_t *hb = json_object_get(json_object_get(info, "integration"), "heartbeat");

			printf("%-20s %-10s %8lld %5lld %7lldM  %-5s %s\n", str(info, "name"),
			       str(info, "state"), num(info, "pid"), num(info, "cpus"),
			       num(info, "memory") >> 20, str(json_object_get(info, "vmbus"), "version"),
			       str(hb, "status"));
		}
	}
	json_decref(all);
	return EXIT_OK;
}

void client_print_disk(const char *prefix, json_t *x)
{
	printf("%s%lld:%lld %s", prefix, num(x, "controller"), num(x, "lun"),
	       json_is_string(json_object_get(x, "path")) ? str(x, "path") : "(empty)");
	if (num(x, "size"))
		printf(", %s, %lld MiB", str(x, "format"), num(x, "size") >> 20);
	printf("%s%s%s", !strcmp(str(x, "type"), "dvd") ? ", DVD" : "",
	       json_is_true(json_object_get(x, "read_only")) && strcmp(str(x, "type"), "dvd") ?
		       ", read-only" : "",
	       json_is_true(json_object_get(x, "locked")) ? ", locked by the guest" : "");
	if (json_object_get(x, "cache") && strcmp(str(x, "cache"), "writeback"))
		printf(", cache %s", str(x, "cache"));
	if (num(x, "iops"))
		printf(", at most %lld/s", num(x, "iops"));
	if (num(x, "bps"))
		printf(", at most %lld bytes/s", num(x, "bps"));
	if (json_object_get(x, "health") && strcmp(str(x, "health"), "ok"))
		printf(", %s", str(x, "health"));
	putchar('\n');
}

void client_print_nic(const char *prefix, json_t *x)
{
	printf("%snet%lld %s, %s%s%s, %s, MTU %lld", prefix, num(x, "index"), str(x, "mac"), str(x, "kind"),
	       *str(x, "interface") ? " " : "", str(x, "interface"), str(x, "link"),
	       num(x, "guest_mtu") ? num(x, "guest_mtu") : num(x, "mtu"));
	if (num(x, "queues") > 1)
		printf(", %lld of %lld queues", num(x, "open_queues"), num(x, "queues"));
	if (num(x, "vlan"))
		printf(", VLAN %lld", num(x, "vlan"));
	if (num(x, "rate"))
		printf(", at most %lld bytes/s", num(x, "rate"));
	if (json_is_true(json_object_get(x, "mac_spoof")))
		printf(", any address");
	if (num(x, "restarts"))
		printf(", restarted %lld times", num(x, "restarts"));
	putchar('\n');
}

static void print_info(json_t *o)
{
	json_t *v = json_object_get(o, "vmbus"), *ics = json_object_get(o, "integration"), *x;
	const char *key;
	size_t i;

	printf("Name:        %s\nState:       %s\nProcess:     %lld\nCPUs:        %lld (%s)\n"
	       "Memory:      %lld MiB\nUptime:      %lld s, boot %lld\nVMBus:       %s, version %s (at most %s)\n",
	       str(o, "name"), str(o, "state"), num(o, "pid"), num(o, "cpus"), str(o, "cpu_model"),
	       num(o, "memory") >> 20, num(o, "uptime_ms") / 1000, num(o, "boots"), str(v, "state"),
	       str(v, "version"), str(v, "max_version"));
	if (json_is_string(json_object_get(o, "stop_reason")))
		printf("Stopped by:  %s\n", str(o, "stop_reason"));
	json_object_foreach(ics, key, x) {
		printf("Service:     %-10s %s", key, json_is_true(json_object_get(x, "enabled")) ?
		       str(x, "state") : "off");
		if (json_is_string(json_object_get(x, "version")))
			printf(", version %s", str(x, "version"));
		if (json_object_get(x, "status"))
			printf(", %s, %lld beats", str(x, "status"), num(x, "beats"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(o, "disks"), i, x)
		client_print_disk("Disk:        ", x);
	json_array_foreach(json_object_get(o, "nics"), i, x)
		client_print_nic("NIC:         ", x);
	json_array_foreach(json_object_get(o, "channels"), i, x)
		printf("Channel:     %-3lld %-10s.%lld %-8s VP %lld  %s\n", num(x, "relid"), str(x, "name"),
		       num(x, "index"), str(x, "state"), num(x, "target_vp"), str(x, "instance"));
}

int cmd_info(int argc, char **argv)
{
	json_t *o = NULL;
	struct args a;
	int err = parse(argc, argv, true, &a);

	if (!err)
		err = client_ask(a.vm, "info", NULL, &o);
	if (err)
		return err;
	if (a.json)
		client_print_json(o);
	else
		print_info(o);
	json_decref(o);
	return EXIT_OK;
}

/* ---- stats ---- */

static void print_drops(json_t *drops)
{
	const char *key;
	json_t *v;

	json_object_foreach(drops, key, v) {
		if (json_integer_value(v))
			printf(" dropped_%s %lld", key, (long long)json_integer_value(v));
	}
}

static void print_row(const char *title, json_t *o)
{
	const char *key;
	json_t *v;

	printf("%-14s", title);
	json_object_foreach(o, key, v) {
		if (json_is_integer(v) && strcmp(key, "index") && strcmp(key, "lun") &&
		    strcmp(key, "controller"))
			printf(" %s %lld", key, (long long)json_integer_value(v));
		else if (json_is_object(v) && num(v, "max_us"))
			printf(" %s p50 %lld p99 %lld max %lld us", key, num(v, "p50_us"), num(v, "p99_us"),
			       num(v, "max_us"));
		else if (!strcmp(key, "drops"))
			print_drops(v);
	}
	putchar('\n');
}

static void print_queues(json_t *nic)
{
	json_t *queues = json_object_get(nic, "queues"), *q;
	char title[32];
	size_t i;

	json_array_foreach(queues, i, q) {
		if (!json_is_true(json_object_get(q, "open")) || json_array_size(queues) < 2)
			continue;
		snprintf(title, sizeof(title), "net%lld q%zu", num(nic, "index"), i);
		print_row(title, q);
	}
}

static void print_stats(json_t *o)
{
	static const struct { const char *list, *title; } rows[] = {
		{ "vcpus", "vcpu" }, { "channels", "" }, { "controllers", "scsi" }, { "disks", "disk" },
		{ "nics", "net" },
	};
	char title[32];
	size_t r, i;
	json_t *x;

	print_row("kvm", json_object_get(o, "kvm"));
	print_row("bus", json_object_get(o, "bus"));
	for (r = 0; r < ARRAY_SIZE(rows); r++) {
		json_array_foreach(json_object_get(o, rows[r].list), i, x) {
			if (json_object_get(x, "name"))
				snprintf(title, sizeof(title), "%.16s.%lld", str(x, "name"), num(x, "index"));
			else if (json_object_get(x, "lun"))
				snprintf(title, sizeof(title), "disk%lld:%lld", num(x, "controller"),
					 num(x, "lun"));
			else
				snprintf(title, sizeof(title), "%s%lld", rows[r].title,
					 json_object_get(x, "index") ? num(x, "index") : (long long)i);
			print_row(title, x);
			print_queues(x);
		}
	}
}

int cmd_stats(int argc, char **argv)
{
	json_t *o = NULL;
	struct args a;
	int err = parse(argc, argv, true, &a);

	if (err)
		return err;
	for (;;) {
		err = client_ask(a.vm, "stats", NULL, &o);
		if (err)
			return err;
		if (a.watch && !a.json && isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		if (a.json)
			client_print_json(o);
		else
			print_stats(o);
		json_decref(o);
		fflush(stdout);
		if (!a.watch)
			return EXIT_OK;
		sleep(1);
	}
}

/* ---- stop, kill, pause, resume ---- */

static int simple(int argc, char **argv, const char *command, json_t *(*arguments)(const struct args *))
{
	json_t *o = NULL;
	struct args a;
	int err = parse(argc, argv, true, &a);

	if (!err)
		err = client_ask(a.vm, command, arguments ? arguments(&a) : NULL, &o);
	if (!err && a.json)
		client_print_json(o);
	json_decref(o);
	return err;
}

static json_t *stop_arguments(const struct args *a)
{
	return json_pack("{s:b, s:i}", "reboot", a->reboot, "timeout", (int)a->timeout);
}

int cmd_stop(int argc, char **argv)
{
	return simple(argc, argv, "stop", stop_arguments);
}

int cmd_kill(int argc, char **argv)
{
	return simple(argc, argv, "kill", NULL);
}

int cmd_pause(int argc, char **argv)
{
	return simple(argc, argv, "pause", NULL);
}

int cmd_resume(int argc, char **argv)
{
	return simple(argc, argv, "resume", NULL);
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
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

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

int cmd_console(int argc, char **argv)
{
	struct termios old, raw;
	json_t *o = NULL;
	bool tty = isatty(STDIN_FILENO);
	struct args a;
	int fd, err = parse(argc, argv, true, &a);

	if (err)
		return err;
	fd = connect_vm(a.vm);
	if (fd < 0)
		return EXIT_NO_VM;
	err = ask(fd, a.vm, "console", NULL, &o);
	json_decref(o);
	if (!err) {
		if (tty) {
			fprintf(stderr, "connected to %s; Ctrl-] leaves\n", a.vm);
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
