// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting, questioning and ending a qemu-storage-daemon.
 *
 * We make and bind the NBD socket and pass it to the daemon when it already listens, so that
 * connecting cannot race with the daemon's start. The monitor is one end of a socket pair. In
 * JSON the images are called /proc/self/fd/N: QEMU opens and locks them again under that name,
 * with its own flags, and the jail has a rule for each of these files and for no other.
 *
 * Before each start we check the headers (image.h). After it we ask the daemon which files it
 * has open; each must be one of ours.
 *
 * Observed with 7.2 (Debian 12): there is no add-fd. With "backing": null,
 * query-named-block-nodes still shows the parent that a qcow2 header names. block_resize is
 * refused while an export exists, and an export keeps the size that it had when it was added.
 * With aio=io_uring a read that the end of the file cuts short within a sector is sometimes not
 * continued, and then never completes.
 *
 * Source: qemu-storage-daemon(1), qemu-storage-daemon-qmp-ref(7).
 */
#include "backend/block/qsd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/block/image.h"
#include "backend/block/qsd_monitor.h"
#include "backend/block/vhdx_log.h"
#include "lib/jail.h"
#include "lib/log.h"
#include "lib/spawn.h"
#include "lib/util.h"

#define DAEMON "qemu-storage-daemon"
#define START_MS 10000u
#define QUIT_MS 10000u
#define KILL_MS 3000u
#define NAME_MAX_BYTES 200u /* of an image's name in a message */
#define FD_NAME "/proc/self/fd/"

struct image {
	int fd;
	char format[8];
	char name[NAME_MAX_BYTES];
};

struct kvmb_qsd {
	struct image images[KVMB_QSD_MAX_IMAGES]; /* images[num]: the disk and its parents */
	u32 num;
	char *nodes[2 * KVMB_QSD_MAX_IMAGES]; /* --blockdev arguments, parents first */
	u32 num_nodes;
	bool read_only, threads;
	char *run_dir;
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path) - 8]; /* made in there */
	struct sockaddr_un addr;
	pid_t pid;		/* 0 = none */
	int pidfd, listen_fd, err_fd; /* -1 = none */
	int stuck_fd;		/* of one that was left behind, -1 = none */
	struct kvmb_qsd_monitor mon;
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
static void add_image(struct kvmb_qsd *q, u32 i, bool direct)
{
	bool ro = q->read_only || i, parent = i + 1 < q->num;
	const char *format = q->images[i].format;
	char file[16], node[16], below[16], path[32];
	json_t *o;

	snprintf(file, sizeof(file), "file%u", i);
	snprintf(node, sizeof(node), "image%u", i);
	snprintf(below, sizeof(below), "image%u", i + 1);
	snprintf(path, sizeof(path), FD_NAME "%d", q->images[i].fd);
	add_node(q,
		 json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:{s:b}}", "driver", "file", "node-name",
			   file, "filename", path, "aio", q->threads ? "threads" : "io_uring",
			   "read-only", ro, "discard", "unmap", "cache", "direct", direct && !i));
	o = json_pack("{s:s, s:s, s:s, s:b}", "driver", driver_of(format), "node-name", node,
		      "file", file, "read-only", ro);
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

/* Where io_uring may wait for ever: see above. Direct I/O may read pages. */
static bool ends_within_a_sector(const struct kvmb_qsd_conf *conf)
{
	struct stat st;
	u32 i;

	for (i = 0; i < conf->num; i++) {
		if (!fstat(conf->images[i].fd, &st) && st.st_size % (conf->direct ? 4096 : 512))
			return true;
	}
	return false;
}

struct kvmb_qsd *kvmb_qsd_create(const struct kvmb_qsd_conf *conf)
{
	struct kvmb_qsd *q = kvmb_xzalloc(sizeof(*q));
	u32 i;

	kvmb_assert(conf->num && conf->num <= ARRAY_SIZE(q->images));
	q->pidfd = q->listen_fd = q->err_fd = q->stuck_fd = q->mon.fd = -1;
	q->read_only = conf->read_only;
	q->num = conf->num;
	q->threads = ends_within_a_sector(conf);
	for (i = 0; i < q->num; i++) {
		q->images[i].fd = conf->images[i].fd;
		snprintf(q->images[i].format, sizeof(q->images[i].format), "%s",
			 conf->images[i].format);
		snprintf(q->images[i].name, sizeof(q->images[i].name), "%s", conf->images[i].name);
	}
	for (i = q->num; i > 0; i--)
		add_image(q, i - 1, conf->direct);
	q->run_dir = strdup(conf->run_dir ? conf->run_dir : "/tmp");
	return q;
}

/* Which image of the chain a message is about, unless it is the disk itself. */
static int about(const struct kvmb_qsd *q, u32 i, int err, char *why, size_t size)
{
	char what[KVMB_DISK_WHY];

	if (err && i) {
		snprintf(what, sizeof(what), "%s", why);
		snprintf(why, size, "its parent %s: %s", q->images[i].name, what);
	}
	return err;
}

/* The daemon knows its files as /proc/self/fd/N; the user does not. */
static void name_images(const struct kvmb_qsd *q, char *why, size_t size)
{
	char what[KVMB_DISK_WHY + 64], *p, *end;
	unsigned long fd;
	u32 i;

	snprintf(what, sizeof(what), "%s", why);
	for (p = what; *p; p++) { /* what a message quotes may be the image's own words */
		if ((u8)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	while ((p = strstr(what, FD_NAME))) {
		fd = strtoul(p + strlen(FD_NAME), &end, 10);
		for (i = 0; i < q->num && q->images[i].fd != (int)fd; i++)
			;
		*p = 0;
		snprintf(why, size, "%s%s%s", what, i < q->num ? q->images[i].name : "a file", end);
		snprintf(what, sizeof(what), "%s", why);
	}
	snprintf(why, size, "%s", what);
}

/* ---- start ---- */

static int make_dir(struct kvmb_qsd *q)
{
	if (q->addr.sun_family)
		return 0;
	if (!q->run_dir ||
	    snprintf(q->dir, sizeof(q->dir), "%s/qsd-XXXXXX", q->run_dir) >= (int)sizeof(q->dir))
		return -ENAMETOOLONG;
	/* a VM with a control socket elsewhere has had no use for it so far */
	mkdir(q->run_dir, 0755);
	if (!mkdtemp(q->dir))
		return -errno;
	q->addr.sun_family = AF_UNIX;
	snprintf(q->addr.sun_path, sizeof(q->addr.sun_path), "%s/nbd", q->dir);
	return 0;
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

static pid_t spawn_daemon(struct kvmb_qsd *q, const char *const *argv, int qmp_child, int err_child)
{
	int keep[KVMB_QSD_MAX_IMAGES + 2], n = 0, jail = kvmb_jail_create(DAEMON);
	pid_t pid;
	u32 i;

	for (i = 0; i < q->num; i++) {
		keep[n++] = q->images[i].fd;
		kvmb_jail_allow(jail, q->images[i].fd, !i && !q->read_only);
	}
	keep[n++] = q->listen_fd;
	keep[n++] = qmp_child;
	pid = kvmb_spawn_in(jail, argv, keep, n, err_child);
	if (jail >= 0)
		close(jail);
	return pid;
}

static pid_t run_daemon(struct kvmb_qsd *q, int qmp_child, int err_child)
{
	const char *argv[8 + 2 * ARRAY_SIZE(q->nodes) + 8];
	char server[64], chardev[64], export[128];
	u32 n = 0, i;

	snprintf(server, sizeof(server), "addr.type=fd,addr.str=%d", q->listen_fd);
	snprintf(chardev, sizeof(chardev), "socket,id=q,fd=%d", qmp_child);
	snprintf(export, sizeof(export), "type=nbd,id=e%u,node-name=image0,name=disk,writable=%s",
		 q->exports, q->read_only ? "off" : "on");
	argv[n++] = DAEMON;
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
	return spawn_daemon(q, argv, qmp_child, err_child);
}

/* What the daemon said last before it ended, without its name and the options around it. */
static void last_words(struct kvmb_qsd *q, char *why, size_t size)
{
	struct pollfd ended = { .fd = q->pidfd, .events = POLLIN };
	char buf[2048], *p, *line = buf;
	ssize_t n = read(q->err_fd, buf, sizeof(buf) - 1);
	int status = 0;

	poll(&ended, 1, n < 0 ? 0 : 1000); /* its descriptors are closed a moment before */
	if (q->pid && waitpid(q->pid, &status, WNOHANG) == q->pid)
		q->pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		snprintf(why, size,
			 DAEMON " is not installed; try: apt install qemu-system-common");
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 126) {
		snprintf(why, size, "its storage daemon cannot be confined");
		return;
	}
	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
	while ((p = strstr(line, "}: ")) || (p = strstr(line, "daemon: ")))
		line = p + (p[0] == '}' ? 3 : 8);
	snprintf(why, size, "%s", *line ? line : "its storage daemon does not start");
}

/*
 * A node of the daemon's is a file or an image of ours, and an image has the parent that the user
 * named.
 */
static int check_node(struct kvmb_qsd *q, json_t *node, char *why, size_t size)
{
	const char *name = json_string_value(json_object_get(node, "node-name"));
	const char *file = json_string_value(json_object_get(node, "file"));
	const char *parent = json_string_value(
		json_object_get(json_object_get(node, "image"), "backing-filename"));
	char shown[KVMB_IMAGE_NAME], own[16];
	u32 i;

	for (i = 0; name && i < q->num; i++) {
		snprintf(own, sizeof(own), "file%u", i);
		if (!strcmp(name, own))
			return 0;
		snprintf(own, sizeof(own), "image%u", i);
		if (strcmp(name, own))
			continue;
		if (!parent || i + 1 < q->num)
			return 0;
		kvmb_image_quote(shown, (const u8 *)parent, strlen(parent), 1);
		return about(q, i, kvmb_image_overlay(shown, true, why, size), why, size);
	}
	file = file ? file : "";
	kvmb_image_quote(shown, (const u8 *)file, strlen(file), 1);
	snprintf(why, size, "it names another file, \"%s\", as its data, which kvmbus does not "
			    "open",
		 shown);
	return -EINVAL;
}

static int check_nodes(struct kvmb_qsd *q, char *why, size_t size)
{
	json_t *nodes = kvmb_qsd_command(&q->mon, "query-named-block-nodes",
					 json_pack("{s:b}", "flat", 1), why, size);
	json_t *node;
	size_t k;
	int err = nodes ? 0 : -EIO;

	json_array_foreach(nodes, k, node)
		err = err ? err : check_node(q, node, why, size);
	json_decref(nodes);
	return err;
}

/* Before a new daemon sees them; whoever made them may have changed them since. */
static int check_images(struct kvmb_qsd *q, char *why, size_t size)
{
	u32 i;
	int err = 0;

	for (i = 0; i < q->num && !err; i++)
		err = about(q, i,
			    kvmb_image_check(q->images[i].fd, q->images[i].format, i + 1 < q->num,
					     why, size),
			    why, size);
	return err;
}

static void close_fds(struct kvmb_qsd *q)
{
	int *fds[] = { &q->pidfd, &q->listen_fd, &q->mon.fd, &q->err_fd };
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

	err = make_dir(q);
	if (!err)
		err = make_listener(q);
	if (err) {
		snprintf(why, size, "no socket for its storage daemon in %s: %s",
			 q->run_dir ? q->run_dir : "", strerror(-err));
		return err;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, qmp) ||
	    pipe2(err_pipe, O_CLOEXEC | O_NONBLOCK))
		err = -errno;
	q->mon.fd = qmp[0];
	q->mon.in_len = 0;
	q->err_fd = err_pipe[0];
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
	err = kvmb_qsd_greeting(&q->mon, START_MS, why, size);
	if (err == -ETIMEDOUT || err == -EPIPE) {
		last_words(q, why, size);
		err = -EIO;
	}
	return err ? err : check_nodes(q, why, size);
}

static void use_threads(struct kvmb_qsd *q)
{
	u32 i;

	q->threads = true;
	for (i = 0; i < q->num_nodes; i++) {
		char *p = strstr(q->nodes[i], "\"aio\":\"io_uring\"");

		if (p)
			memcpy(p, "\"aio\":\"threads\" ", 16);
	}
}

/* One that could not be killed may still write, long after. */
static int former_is_gone(struct kvmb_qsd *q, char *why, size_t size)
{
	struct pollfd p = { .fd = q->stuck_fd, .events = POLLIN };

	if (q->stuck_fd < 0)
		return 0;
	if (poll(&p, 1, 0) <= 0) {
		snprintf(
			why, size,
			"its previous storage daemon has not ended: the host's storage does not "
			"answer");
		return -EBUSY;
	}
	close(q->stuck_fd);
	q->stuck_fd = -1;
	return 0;
}

int kvmb_qsd_start(struct kvmb_qsd *q, char *why, size_t size)
{
	int err;

	kvmb_qsd_kill(q);
	err = former_is_gone(q, why, size);
	if (!err)
		err = check_images(q, why, size);
	if (err)
		return err;
	if (!strcmp(q->images[0].format, "vhdx") && !q->read_only &&
	    kvmb_vhdx_drop_empty_log(q->images[0].fd, NULL) == 1)
		kvmb_info("storage",
			  "%s: removed an empty log that a killed storage daemon had left",
			  q->images[0].name);
	err = start_once(q, why, size);
	if (err && !q->threads && strstr(why, "io_uring")) {
		/* a kernel or a container without it: everything else is the same */
		kvmb_qsd_kill(q);
		use_threads(q);
		err = start_once(q, why, size);
	}
	if (err) {
		name_images(q, why, size);
		kvmb_qsd_kill(q);
	}
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
	err = kvmb_qsd_simple(&q->mon, "block-export-del",
			      json_pack("{s:s, s:s}", "id", id, "mode", "hard"), why, size);
	if (err)
		return err;
	do { /* the export goes when its connections have gone: a moment later */
		if (tries)
			usleep(20000);
		err = kvmb_qsd_simple(&q->mon, "block_resize",
				      json_pack("{s:s, s:I}", "node-name", "image0", "size",
						(json_int_t)bytes),
				      why, size);
	} while (err && strstr(why, "Permission conflict") && ++tries < 50);
	snprintf(id, sizeof(id), "e%u", ++q->exports);
	err2 = kvmb_qsd_simple(&q->mon, "block-export-add",
			       json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", id,
					 "node-name", "image0", "name", "disk", "writable",
					 !q->read_only),
			       err ? again : why, err ? sizeof(again) : size);
	if (err || err2)
		name_images(q, why, size);
	return err ? err : err2;
}

/* ---- end ---- */

void kvmb_qsd_kill(struct kvmb_qsd *q)
{
	if (q->pid && kvmb_spawn_kill(q->pid, KILL_MS)) {
		kvmb_warn(
			"storage",
			"%s: its storage daemon (process %d) cannot be killed and is left behind: "
			"the host's storage does not answer",
			q->images[0].name, (int)q->pid);
		q->stuck_fd = q->pidfd;
		q->pidfd = -1;
	}
	q->pid = 0;
	close_fds(q);
}

void kvmb_qsd_destroy(struct kvmb_qsd *q)
{
	struct pollfd p = { .events = POLLIN };
	char why[128];
	u32 i;

	if (!q)
		return;
	if (q->pid && q->mon.fd >= 0) {
		p.fd = q->pidfd;
		if (!kvmb_qsd_simple(&q->mon, "quit", NULL, why, sizeof(why)))
			poll(&p, 1, QUIT_MS);
	}
	kvmb_qsd_kill(q);
	if (q->addr.sun_family) {
		unlink(q->addr.sun_path);
		rmdir(q->dir);
	}
	for (i = 0; i < q->num; i++)
		close(q->images[i].fd);
	if (q->stuck_fd >= 0)
		close(q->stuck_fd);
	free_nodes(q);
	free(q->mon.in);
	free(q->run_dir);
	free(q);
}
