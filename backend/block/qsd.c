// SPDX-License-Identifier: GPL-2.0-only
/*
 * A qemu-storage-daemon by way of the keeper (lib/keeper.h): its recipe, its monitor, its end.
 *
 * The keeper makes the listening NBD socket and passes it to the daemon when it already listens,
 * so that connecting cannot race with the daemon's start. All descriptors have fixed numbers, so
 * the arguments are the same at each start. In JSON the images are called /proc/self/fd/N: QEMU
 * opens and locks them again under that name, with its own flags, and the jail has a rule for
 * each of these files and for no other.
 *
 * The daemon starts without an image: the program's arguments are the same for all. It opens the
 * images over its monitor, so it can stand ready while another host still has them.
 *
 * Before an image is opened we check the headers (image.h). After it we ask the daemon which files
 * it has open; each must be one of ours.
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
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/block/image.h"
#include "backend/block/qsd_monitor.h"
#include "backend/block/vhdx_log.h"
#include "lib/bits.h"
#include "lib/jail.h"
#include "lib/keeper.h"
#include "lib/log.h"
#include "lib/util.h"

#define DAEMON "qemu-storage-daemon"
#define START_MS 60000u /* a host may be busy */
#define QUIT_MS 10000u
#define CLOSE_MS 1000u
#define ANSWER_MS 10000u    /* of the keeper, which kills for three seconds at most */
#define NAME_MAX_BYTES 200u /* of an image's name in a message */
#define FD_NAME "/proc/self/fd/"
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#define SOCKET_FD TEXT(KVMB_RECIPE_SOCKET)
#define MONITOR_FD TEXT(KVMB_RECIPE_MONITOR)

struct image {
	int fd;
	char format[8];
	char name[NAME_MAX_BYTES];
};

struct kvmb_qsd {
	struct image images[KVMB_QSD_MAX_IMAGES]; /* images[num]: the disk and its parents */
	u32 num;
	bool read_only, direct, threads;
	bool running; /* a daemon */
	bool serving; /* it has opened the images */
	bool open_writes;
	int channel; /* to the keeper */
	struct kvmb_qsd_monitor mon;
	u32 exports; /* how many the daemon has made, for their names */
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

/* Where io_uring may wait for ever: see above. Direct I/O may read pages. */
static bool ends_within_a_sector(const struct kvmb_qsd *q)
{
	struct stat st;
	u32 i;

	for (i = 0; i < q->num; i++) {
		if (!fstat(q->images[i].fd, &st) && st.st_size % (q->direct ? 4096 : 512))
			return true;
	}
	return false;
}

bool kvmb_qsd_has_uring(void)
{
	struct io_uring_params p = { 0 };
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
	char restricted = '0';

	if (fd >= 0) {
		if (read(fd, &restricted, 1) != 1)
			restricted = '0';
		close(fd);
	}
	fd = restricted == '0' ? (int)syscall(SYS_io_uring_setup, 1, &p) : -1;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int kvmb_qsd_recipe(const struct kvmb_qsd_conf *conf, char *why, size_t size)
{
	static const char *const argv[] = { DAEMON,
					    "--nbd-server",
					    "addr.type=fd,addr.str=" SOCKET_FD,
					    "--chardev",
					    "socket,id=q,fd=" MONITOR_FD,
					    "--monitor",
					    "chardev=q",
					    NULL };
	int files[KVMB_QSD_MAX_IMAGES];
	struct kvmb_recipe r = { .kind = KVMB_RECIPE_DAEMON,
				 .argv = argv,
				 .files = files,
				 .num_files = (int)conf->num,
				 .writable = !conf->read_only,
				 .run_dir = conf->run_dir };
	u32 i;

	kvmb_assert(conf->num && conf->num <= ARRAY_SIZE(files));
	for (i = 0; i < conf->num; i++)
		files[i] = conf->images[i].fd;
	return kvmb_keeper_register(&r, why, size);
}

struct kvmb_qsd *kvmb_qsd_create(const struct kvmb_qsd_conf *conf, int channel)
{
	struct kvmb_qsd *q = kvmb_xzalloc(sizeof(*q));
	u32 i;

	kvmb_assert(conf->num && conf->num <= ARRAY_SIZE(q->images));
	q->mon.fd = -1;
	q->channel = channel;
	q->read_only = conf->read_only;
	q->direct = conf->direct;
	q->threads = conf->threads;
	q->num = conf->num;
	for (i = 0; i < q->num; i++) {
		q->images[i].fd = conf->images[i].fd;
		snprintf(q->images[i].format, sizeof(q->images[i].format), "%s",
			 conf->images[i].format);
		snprintf(q->images[i].name, sizeof(q->images[i].name), "%s", conf->images[i].name);
	}
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
		i = (u32)fd - KVMB_RECIPE_FILES;
		*p = 0;
		snprintf(why, size, "%s%s%s", what, i < q->num ? q->images[i].name : "a file", end);
		snprintf(what, sizeof(what), "%s", why);
	}
	snprintf(why, size, "%s", what);
}

/* ---- what goes wrong ---- */

/* What the daemon said before it ended, without its name and the options around it. */
static void say_words(const char *words, char *why, size_t size)
{
	const char *p, *line = words;

	while ((p = strstr(line, "}: ")) || (p = strstr(line, "daemon: ")))
		line = p + (p[0] == '}' ? 3 : 8);
	snprintf(why, size, "%s", *line ? line : "its storage daemon does not start");
}

/* It does not answer: because it has ended, a moment ago? */
static void last_words(struct kvmb_qsd *q, char *why, size_t size)
{
	struct kvmb_keeper_news news;

	if (kvmb_keeper_wait(q->channel, KVMB_KEEPER_ENDED, &news, 1000))
		news.words[0] = 0;
	say_words(news.words, why, size);
}

static int no_daemon(int err, char *why, size_t size)
{
	if (err == -EACCES) /* a VM that was taken over tells it by its monitor what to open */
		snprintf(why, size,
			 "no storage daemon: it could open any file of its user, because this "
			 "host has neither namespaces for it nor Landlock; allow one of them, use "
			 "a raw image, or start the VM with --sandbox log");
	else if (err == -ENOENT)
		snprintf(why, size,
			 DAEMON " is not installed; try: apt install qemu-system-common");
	else if (err == -EPERM)
		snprintf(why, size, "its storage daemon cannot be confined");
	else if (err == -EBUSY) /* it may still write, long after */
		snprintf(why, size,
			 "its previous storage daemon has not ended: the host's storage does not "
			 "answer");
	else
		snprintf(why, size, "no storage daemon: %s", strerror(-err));
	return err;
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
		if (!i)
			q->open_writes = json_array_size(json_object_get(node, "dirty-bitmaps"));
		if (!parent || i + 1 < q->num)
			return 0;
		kvmb_image_quote(shown, (const u8 *)parent, strlen(parent), 1);
		return about(q, i, kvmb_image_overlay(shown, true, why, size), why, size);
	}
	file = file ? file : "";
	kvmb_image_quote(shown, (const u8 *)file, strlen(file), 1);
	snprintf(why, size,
		 "it names another file, \"%s\", as its data, which kvmbus does not "
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

	json_array_foreach(nodes, k, node) err = err ? err : check_node(q, node, why, size);
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

/* Return: 0 or -errno; @news has a descriptor, or -1. */
static int ask(const struct kvmb_qsd *q, enum kvmb_keeper_op op, enum kvmb_keeper_what answer,
	       struct kvmb_keeper_news *news)
{
	int err = kvmb_keeper_ask(q->channel, op);

	news->fd = -1;
	if (!err)
		err = kvmb_keeper_wait(q->channel, answer, news, ANSWER_MS);
	return err ? err : news->err;
}

#define NO_DAEMON_YET ~0u
static unsigned int jail_lacks = NO_DAEMON_YET; /* atomic: of the last one that was started */

bool kvmb_qsd_lacks(unsigned int *lacks)
{
	*lacks = __atomic_load_n(&jail_lacks, __ATOMIC_RELAXED);
	return *lacks != NO_DAEMON_YET;
}

/* One line when it is known, not one a daemon. */
static void tell_lacks(unsigned int lacks)
{
	char list[96];

	if (__atomic_exchange_n(&jail_lacks, lacks, __ATOMIC_RELAXED) == lacks)
		return;
	if (kvmb_bit_names(list, sizeof(list), lacks, kvmb_jail_lack_name)[0])
		kvmb_warn("storage", "sandbox: storage daemons are without: %s; this host lacks it",
			  list);
}

/* ---- its images ---- */

/* The file of image @i of the chain, 0 = the disk. */
static int add_file(struct kvmb_qsd *q, u32 i, bool threads, char *why, size_t size)
{
	char file[16], path[32];

	snprintf(file, sizeof(file), "file%u", i);
	snprintf(path, sizeof(path), FD_NAME "%u", KVMB_RECIPE_FILES + i);
	return kvmb_qsd_simple(&q->mon, "blockdev-add",
			       json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:{s:b}}", "driver",
					 "file", "node-name", file, "filename", path, "aio",
					 threads ? "threads" : "io_uring", "read-only",
					 q->read_only || i, "discard", "unmap", "cache", "direct",
					 q->direct && !i),
			       why, size);
}

/* Its format, on top of its file and its parent. */
static int add_format(struct kvmb_qsd *q, u32 i, char *why, size_t size)
{
	const char *format = q->images[i].format;
	char file[16], node[16], below[16];
	json_t *o;

	snprintf(file, sizeof(file), "file%u", i);
	snprintf(node, sizeof(node), "image%u", i);
	snprintf(below, sizeof(below), "image%u", i + 1);
	o = json_pack("{s:s, s:s, s:s, s:b}", "driver", driver_of(format), "node-name", node,
		      "file", file, "read-only", q->read_only || i);
	if (strcmp(format, "raw"))
		json_object_set_new(o, "discard", json_string("unmap"));
	if (i + 1 < q->num)
		json_object_set_new(o, "backing", json_string(below));
	else if (takes_backing(format))
		json_object_set_new(o, "backing", json_null());
	return kvmb_qsd_simple(&q->mon, "blockdev-add", o, why, size);
}

static int add_export(struct kvmb_qsd *q, char *why, size_t size)
{
	char id[16];

	snprintf(id, sizeof(id), "e%u", q->exports);
	return kvmb_qsd_simple(&q->mon, "block-export-add",
			       json_pack("{s:s, s:s, s:s, s:s, s:b}", "type", "nbd", "id", id,
					 "node-name", "image0", "name", "disk", "writable",
					 !q->read_only),
			       why, size);
}

static int add_images(struct kvmb_qsd *q, char *why, size_t size)
{
	bool threads = q->threads || ends_within_a_sector(q);
	int err = 0;
	u32 i;

	for (i = q->num; i > 0 && !err; i--) { /* parents first */
		err = add_file(q, i - 1, threads, why, size);
		if (!err)
			err = add_format(q, i - 1, why, size);
	}
	if (!err)
		err = check_nodes(q, why, size);
	return err ? err : add_export(q, why, size);
}

/* ---- start ---- */

static int start_daemon(struct kvmb_qsd *q, char *why, size_t size)
{
	struct kvmb_keeper_news news;
	int err = ask(q, KVMB_KEEPER_START, KVMB_KEEPER_STARTED, &news);

	q->mon.fd = news.fd;
	if (err)
		return no_daemon(err, why, size);
	tell_lacks(news.lacks);
	q->running = true;
	q->mon.in_len = 0;
	q->exports = 0;
	err = kvmb_qsd_greeting(&q->mon, START_MS, why, size);
	if (err == -ETIMEDOUT || err == -EPIPE) {
		last_words(q, why, size);
		err = -EIO;
	}
	return err;
}

int kvmb_qsd_prepare(struct kvmb_qsd *q, char *why, size_t size)
{
	int err;

	kvmb_qsd_kill(q);
	err = check_images(q, why, size);
	if (!err)
		err = start_daemon(q, why, size);
	if (err) {
		name_images(q, why, size);
		kvmb_qsd_kill(q);
	}
	return err;
}

static int open_images(struct kvmb_qsd *q, char *why, size_t size)
{
	int err = check_images(q, why, size);

	if (err)
		return err;
	if (!strcmp(q->images[0].format, "vhdx") && !q->read_only &&
	    kvmb_vhdx_drop_empty_log(q->images[0].fd, NULL) == 1)
		kvmb_info("storage",
			  "%s: removed an empty log that a killed storage daemon had left",
			  q->images[0].name);
	err = add_images(q, why, size);
	if (err)
		name_images(q, why, size);
	return err;
}

static int start_and_open(struct kvmb_qsd *q, char *why, size_t size)
{
	int err = kvmb_qsd_prepare(q, why, size);

	return err ? err : open_images(q, why, size);
}

int kvmb_qsd_start(struct kvmb_qsd *q, char *why, size_t size)
{
	bool prepared = q->running && !q->serving;
	int err = prepared ? open_images(q, why, size) : start_and_open(q, why, size);

	if (err && prepared) /* while it waited it may have died */
		err = start_and_open(q, why, size);
	if (err)
		kvmb_qsd_kill(q);
	q->serving = !err;
	return err;
}

int kvmb_qsd_connect(struct kvmb_qsd *q)
{
	struct kvmb_keeper_news news;
	int err = ask(q, KVMB_KEEPER_CONNECT, KVMB_KEEPER_CONNECTED, &news);

	return err ? err : news.fd;
}

bool kvmb_qsd_is_serving(const struct kvmb_qsd *q)
{
	return q->serving;
}

bool kvmb_qsd_open_writes(const struct kvmb_qsd *q)
{
	return q->open_writes;
}

int kvmb_qsd_channel(const struct kvmb_qsd *q)
{
	return q->channel;
}

bool kvmb_qsd_has_ended(struct kvmb_qsd *q)
{
	struct kvmb_keeper_news news;
	int err;

	while (!(err = kvmb_keeper_read(q->channel, &news))) {
		if (news.fd >= 0)
			close(news.fd); /* an answer that came too late */
		if (news.what == KVMB_KEEPER_ENDED)
			return true;
	}
	return err == -EPIPE;
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
	q->exports++;
	err2 = add_export(q, err ? again : why, err ? sizeof(again) : size);
	if (err || err2)
		name_images(q, why, size);
	return err ? err : err2;
}

/* ---- end ---- */

void kvmb_qsd_kill(struct kvmb_qsd *q)
{
	struct kvmb_keeper_news news;

	if (q->running && ask(q, KVMB_KEEPER_KILL, KVMB_KEEPER_KILLED, &news) == -ETIMEDOUT)
		kvmb_warn("storage",
			  "%s: its storage daemon cannot be killed and is left behind: "
			  "the host's storage does not answer",
			  q->images[0].name);
	q->running = q->serving = false;
	if (q->mon.fd >= 0)
		close(q->mon.fd);
	q->mon.fd = -1;
}

int kvmb_qsd_quit(struct kvmb_qsd *q)
{
	struct kvmb_keeper_news news;
	int err = -ESRCH;

	if (q->running && q->mon.fd >= 0) {
		/* it may end before it has answered */
		err = kvmb_qsd_say(&q->mon, "quit", NULL);
		if (!err)
			err = kvmb_keeper_wait(q->channel, KVMB_KEEPER_ENDED, &news, QUIT_MS);
		if (!err && news.status)
			err = -EIO;
	}
	kvmb_qsd_kill(q); /* says what cannot be killed: that keeps its files, and their locks */
	return err;
}

void kvmb_qsd_destroy(struct kvmb_qsd *q)
{
	u32 i;

	if (!q)
		return;
	kvmb_qsd_quit(q);
	kvmb_keeper_close(q->channel, CLOSE_MS);
	for (i = 0; i < q->num; i++)
		close(q->images[i].fd);
	free(q->mon.in);
	free(q);
}
