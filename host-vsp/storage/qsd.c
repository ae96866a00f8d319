// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting, questioning and ending a qemu-storage-daemon.
 *
 * The NBD socket is made and bound by us and handed over listening, so connecting never
 * races with the daemon's start; its monitor is one end of a socket pair. The image is named
 * by JSON, so no file name can be taken for an option.
 *
 * Observed with 7.2 (Debian 12): with "backing": null the parent that a qcow2 header names is
 * still told in query-named-block-nodes; block_resize is refused while an export exists, and
 * an export keeps the size it had when it was added.
 *
 * Source: qemu-storage-daemon(1), qemu-storage-daemon-qmp-ref(7).
 */
#include "host-vsp/storage/qsd.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/loop.h"
#include "host-vsp/storage/vhdx_log.h"
#include "lib/log.h"
#include "lib/spawn.h"
#include "lib/util.h"

#define START_MS 10000u
#define ANSWER_MS 10000u
#define QUIT_MS 10000u
#define MAX_NODES (KVMB_DISK_MAX_BACKING + 1)

struct kvmb_qsd {
	char *nodes[2 * MAX_NODES]; /* --blockdev arguments, parents first */
	u32 num_nodes;
	u32 num_images;		/* the disk and its parents */
	bool has_parent[MAX_NODES]; /* by image: did the user name one */
	bool read_only, threads;
	char *vhdx;		/* path of an image of that format, else NULL: vhdx_log.h */
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path) - 8];
	struct sockaddr_un addr;
	pid_t pid;		/* 0 = none */
	int pidfd, listen_fd, qmp_fd, err_fd; /* -1 = none */
	char in[65536];		/* unread bytes of the monitor */
	size_t in_len;
	u32 exports;		/* how many were made, for their names */
};

/* ---- configuration ---- */

static const char *driver_of(const char *format)
{
	return !strcmp(format, "vhd") ? "vpc" : format;
}

static bool takes_backing(const char *format)
{
	return !strcmp(format, "qcow2") || !strcmp(format, "vmdk");
}

static void add_node(struct kvmb_qsd *q, json_t *o)
{
	kvmb_assert(q->num_nodes < ARRAY_SIZE(q->nodes));
	q->nodes[q->num_nodes++] = json_dumps(o, JSON_COMPACT);
	json_decref(o);
}

/* Image @i of the chain, 0 = the disk: its file and its format node. */
static void add_image(struct kvmb_qsd *q, u32 i, const char *path, const char *format, bool direct)
{
	bool ro = q->read_only || i, parent = q->has_parent[i];
	char file[16], node[16], below[16];
	json_t *o;

	snprintf(file, sizeof(file), "file%u", i);
	snprintf(node, sizeof(node), "image%u", i);
	snprintf(below, sizeof(below), "image%u", i + 1);
	add_node(q, json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:{s:b}}", "driver", "file", "node-name",
			      file, "filename", path, "aio", q->threads ? "threads" : "io_uring",
			      "read-only", ro, "discard", "unmap", "cache", "direct", direct));
	o = json_pack("{s:s, s:s, s:s, s:b}", "driver", driver_of(format), "node-name", node, "file", file,
		      "read-only", ro);
	if (strcmp(format, "raw"))
		json_object_set_new(o, "discard", json_string("unmap"));
	if (parent)
		json_object_set_new(o, "backing", json_string(below));
	else if (takes_backing(format))
		json_object_set_new(o, "backing", json_null());
	add_node(q, o);
}

static void free_nodes(struct kvmb_qsd *q)
{
	while (q->num_nodes)
		free(q->nodes[--q->num_nodes]);
}

static void build_nodes(struct kvmb_qsd *q, const struct kvmb_disk_spec *spec, const char *format)
{
	u32 i;

	for (i = spec->num_backing; i > 0; i--) {
		const char *p = spec->backing[i - 1];

		add_image(q, i, p, kvmb_disk_format_of(p), false);
	}
	add_image(q, 0, spec->path, format, spec->cache == KVMB_CACHE_NONE);
}

struct kvmb_qsd *kvmb_qsd_create(const struct kvmb_disk_spec *spec, const char *format, bool read_only)
{
	struct kvmb_qsd *q = kvmb_xzalloc(sizeof(*q));
	u32 i;

	q->pidfd = q->listen_fd = q->qmp_fd = q->err_fd = -1;
	q->read_only = read_only;
	q->num_images = spec->num_backing + 1;
	for (i = 0; i < spec->num_backing; i++)
		q->has_parent[i] = true;
	build_nodes(q, spec, format);
	if (!strcmp(format, "vhdx") && !read_only)
		q->vhdx = strdup(spec->path);
	snprintf(q->dir, sizeof(q->dir), "%s/qsd-XXXXXX", spec->run_dir ? spec->run_dir : "/tmp");
	return q;
}

/* ---- the monitor ---- */

/* One line of JSON within @ms. Return: new reference, NULL on time-out or end. */
static json_t *read_line(struct kvmb_qsd *q, u32 ms)
{
	u64 until = kvmb_now_ms() + ms, now;
	struct pollfd p = { .fd = q->qmp_fd, .events = POLLIN };
	json_t *o;
	char *nl;
	ssize_t n;

	while (!(nl = memchr(q->in, '\n', q->in_len))) {
		now = kvmb_now_ms();
		if (now >= until || q->in_len == sizeof(q->in) || poll(&p, 1, (int)(until - now)) <= 0)
			return NULL;
		n = read(q->qmp_fd, q->in + q->in_len, sizeof(q->in) - q->in_len);
		if (n <= 0)
			return NULL;
		q->in_len += (size_t)n;
	}
	o = json_loadb(q->in, (size_t)(nl - q->in), 0, NULL);
	q->in_len -= (size_t)(nl + 1 - q->in);
	memmove(q->in, nl + 1, q->in_len);
	return o;
}

/* Run a command. Return: its result (new reference), or NULL with @why. */
static json_t *command(struct kvmb_qsd *q, const char *name, json_t *args, char *why, size_t size)
{
	json_t *o = json_pack("{s:s, s:o}", "execute", name, "arguments", args ? args : json_object());
	char *s = json_dumps(o, JSON_COMPACT);
	json_t *answer, *result;
	bool sent = s && send(q->qmp_fd, s, strlen(s), MSG_NOSIGNAL) == (ssize_t)strlen(s) &&
		    send(q->qmp_fd, "\n", 1, MSG_NOSIGNAL) == 1;

	free(s);
	json_decref(o);
	while (sent && (answer = read_line(q, ANSWER_MS))) {
		result = json_incref(json_object_get(answer, "return"));
		o = json_object_get(answer, "error");
		if (o)
			snprintf(why, size, "%s", json_string_value(json_object_get(o, "desc")));
		json_decref(answer);
		if (result || o)
			return result;
	}
	snprintf(why, size, "its storage daemon does not answer");
	return NULL;
}

static int simple_command(struct kvmb_qsd *q, const char *name, json_t *args, char *why, size_t size)
{
	json_t *r = command(q, name, args, why, size);

	json_decref(r);
	return r ? 0 : -EIO;
}

/* ---- start ---- */

static int make_dir(struct kvmb_qsd *q)
{
	int n;

	if (q->addr.sun_family)
		return 0;
	if (!mkdtemp(q->dir))
		return -errno;
	q->addr.sun_family = AF_UNIX;
	n = snprintf(q->addr.sun_path, sizeof(q->addr.sun_path), "%s/nbd", q->dir);
	return n < (int)sizeof(q->addr.sun_path) ? 0 : -ENAMETOOLONG;
}

static int make_listener(struct kvmb_qsd *q)
{
	unlink(q->addr.sun_path);
	q->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (q->listen_fd < 0 || bind(q->listen_fd, (struct sockaddr *)&q->addr, sizeof(q->addr)) ||
	    listen(q->listen_fd, 16))
		return -errno;
	return 0;
}

static pid_t run_daemon(struct kvmb_qsd *q, int qmp_child, int err_child)
{
	const char *argv[8 + 2 * 2 * MAX_NODES + 8];
	int keep[2] = { q->listen_fd, qmp_child };
	char server[64], chardev[64], export[128];
	u32 n = 0, i;

	snprintf(server, sizeof(server), "addr.type=fd,addr.str=%d", q->listen_fd);
	snprintf(chardev, sizeof(chardev), "socket,id=q,fd=%d", qmp_child);
	snprintf(export, sizeof(export), "type=nbd,id=e%u,node-name=image0,name=disk,writable=%s",
		 q->exports, q->read_only ? "off" : "on");
	argv[n++] = "qemu-storage-daemon";
	for (i = 0; i < q->num_nodes; i++) {
		argv[n++] = "--blockdev";
		argv[n++] = q->nodes[i];
	}
	argv[n++] = "--nbd-server";
	argv[n++] = server;
	argv[n++] = "--export";
	argv[n++] = export;
	argv[n++] = "--chardev";
	argv[n++] = chardev;
	argv[n++] = "--monitor";
	argv[n++] = "chardev=q";
	argv[n] = NULL;
	return kvmb_spawn(argv, keep, 2, err_child);
}

/* What the daemon said last before it ended, without its name and the options around it. */
static void last_words(struct kvmb_qsd *q, char *why, size_t size)
{
	char buf[2048], *p, *line = buf;
	ssize_t n = read(q->err_fd, buf, sizeof(buf) - 1);
	int status = 0;

	if (q->pid && waitpid(q->pid, &status, WNOHANG) == q->pid)
		q->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		snprintf(why, size, "qemu-storage-daemon is not installed; try: apt install qemu-system-common");
		return;
	}
	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	while ((p = strstr(line, "}: ")) || (p = strstr(line, "daemon: ")))
		line = p + (p[0] == '}' ? 3 : 8);
	snprintf(why, size, "%s", *line ? line : "its storage daemon does not start");
}

/* Every image that names a parent must have had one named by the user. */
static int check_parents(struct kvmb_qsd *q, char *why, size_t size)
{
	json_t *nodes = command(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), why, size);
	json_t *node;
	size_t k;
	u32 i;
	int err = nodes ? 0 : -EIO;

	json_array_foreach(nodes, k, node) {
		const char *name = json_string_value(json_object_get(node, "node-name"));
		json_t *image = json_object_get(node, "image");
		const char *parent = json_string_value(json_object_get(image, "backing-filename"));

		if (!name || sscanf(name, "image%u", &i) != 1 || i >= q->num_images || !parent ||
		    q->has_parent[i])
			continue;
		snprintf(why, size, "it is an overlay of %.200s: name the parent, backing=FILE", parent);
		err = -EINVAL;
	}
	json_decref(nodes);
	return err;
}

static void close_fds(struct kvmb_qsd *q)
{
	int *fds[] = { &q->pidfd, &q->listen_fd, &q->qmp_fd, &q->err_fd };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int start_once(struct kvmb_qsd *q, char *why, size_t size)
{
	int qmp[2] = { -1, -1 }, err_pipe[2] = { -1, -1 }, err;
	json_t *greeting;

	err = make_dir(q);
	if (!err)
		err = make_listener(q);
	if (!err && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) ||
		     pipe2(err_pipe, O_CLOEXEC | O_NONBLOCK)))
		err = -errno;
	q->qmp_fd = qmp[0];
	q->err_fd = err_pipe[0];
	q->in_len = 0;
	if (!err) {
		q->pid = run_daemon(q, qmp[1], err_pipe[1]);
		if (q->pid < 0) {
			err = q->pid;
			q->pid = 0;
		}
	}
	if (qmp[1] >= 0)
		close(qmp[1]);
	if (err_pipe[1] >= 0)
		close(err_pipe[1]);
	if (err) {
		snprintf(why, size, "no storage daemon: %s", strerror(-err));
		return err;
	}
	q->pidfd = (int)syscall(SYS_pidfd_open, q->pid, 0);
	/* the greeting comes when everything on the command line has been opened */
	greeting = read_line(q, START_MS);
	if (!greeting) {
		last_words(q, why, size);
		return -EIO;
	}
	json_decref(greeting);
	err = simple_command(q, "qmp_capabilities", NULL, why, size);
	return err ? err : check_parents(q, why, size);
}

int kvmb_qsd_start(struct kvmb_qsd *q, char *why, size_t size)
{
	u32 i;
	int err;

	kvmb_qsd_kill(q);
	if (q->vhdx && kvmb_vhdx_drop_empty_log(q->vhdx) == 1)
		kvmb_info("storage", "%s: dropped a log without entries that a killed storage daemon left", q->vhdx);
	err = start_once(q, why, size);
	if (err && !q->threads && strstr(why, "io_uring")) {
		/* a kernel or a container without it: everything else is the same */
		kvmb_qsd_kill(q);
		q->threads = true;
		for (i = 0; i < q->num_nodes; i++) {
			char *p = strstr(q->nodes[i], "\"aio\":\"io_uring\"");

			if (p)
				memcpy(p, "\"aio\":\"threads\" ", 16);
		}
		err = start_once(q, why, size);
	}
	if (err)
		kvmb_qsd_kill(q);
	return err;
}

int kvmb_qsd_connect(struct kvmb_qsd *q)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&q->addr, sizeof(q->addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int kvmb_qsd_pidfd(const struct kvmb_qsd *q)
{
	return q->pidfd;
}

int kvmb_qsd_resize(struct kvmb_qsd *q, u64 bytes, char *why, size_t size)
{
	char id[16], again[128];
	int err, err2, tries = 0;

	snprintf(id, sizeof(id), "e%u", q->exports);
	err = simple_command(q, "block-export-del", json_pack("{s:s, s:s}", "id", id, "mode", "hard"), why,
			     size);
	if (err)
		return err;
	do { /* the export goes when its connections have gone: a moment later */
		if (tries)
			usleep(20000);
		err = simple_command(q, "block_resize", json_pack("{s:s, s:I}", "node-name", "image0",
								   "size", (json_int_t)bytes), why, size);
	} while (err && strstr(why, "Permission conflict") && ++tries < 50);
	snprintf(id, sizeof(id), "e%u", ++q->exports);
	err2 = simple_command(q, "block-export-add",
			      json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", id, "node-name",
					"image0", "name", "disk", "writable", !q->read_only),
			      err ? again : why, err ? sizeof(again) : size);
	return err ? err : err2;
}

/* ---- end ---- */

void kvmb_qsd_kill(struct kvmb_qsd *q)
{
	if (q->pid) {
		kill(q->pid, SIGKILL);
		waitpid(q->pid, NULL, 0);
		q->pid = 0;
	}
	close_fds(q);
}

void kvmb_qsd_destroy(struct kvmb_qsd *q)
{
	struct pollfd p = { .events = POLLIN };
	char why[128];

	if (!q)
		return;
	if (q->pid && q->qmp_fd >= 0) {
		p.fd = q->pidfd;
		if (!simple_command(q, "quit", NULL, why, sizeof(why)))
			poll(&p, 1, QUIT_MS);
	}
	kvmb_qsd_kill(q);
	if (q->addr.sun_family) {
		unlink(q->addr.sun_path);
		rmdir(q->dir);
	}
	free(q->vhdx);
	free_nodes(q);
	free(q);
}
