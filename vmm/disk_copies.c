// SPDX-License-Identifier: GPL-2.0-only
/* Disks whose content comes along with a VM: disk_copies.h. */
#include "vmm/disk_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "lib/keeper.h"
#include "lib/tlv.h"
#include "lib/util.h"

#define MOST (1ull << 60) /* bytes of a disk */

extern char **environ;

enum {		     /* of section COPY; never used again */
       COPY_DISK = 1 /* group, one each */
};

enum { /* of its group */
       COPY_DISK_CONTROLLER = 1,
       COPY_DISK_LUN = 2,
       COPY_DISK_BYTES = 3,
       COPY_DISK_USED = 4,
};

/* ---- the section ---- */

void disk_copies_put(const struct disk_copies *c, struct kvmb_tlv_out *o)
{
	u32 i;

	kvmb_tlv_begin(o, KVMB_SEC_COPY, 0, KVMB_TLV_CRITICAL);
	for (i = 0; i < c->num; i++) {
		kvmb_tlv_group(o, COPY_DISK);
		kvmb_tlv_put(o, COPY_DISK_CONTROLLER, c->disks[i].controller);
		kvmb_tlv_put(o, COPY_DISK_LUN, c->disks[i].lun);
		kvmb_tlv_put(o, COPY_DISK_BYTES, c->disks[i].bytes);
		kvmb_tlv_put(o, COPY_DISK_USED, c->disks[i].used);
		kvmb_tlv_group_end(o);
	}
	kvmb_tlv_end(o);
}

static const struct disk_copy *find_disk_copy(const struct disk_copies *c, u32 controller, u32 lun)
{
	u32 i;

	for (i = 0; i < c->num; i++) {
		if (c->disks[i].controller == controller && c->disks[i].lun == lun)
			return &c->disks[i];
	}
	return NULL;
}

static void get_disk(struct kvmb_tlv *g, struct disk_copies *c)
{
	struct disk_copy d = {
		.controller = (u32)kvmb_tlv_get(g, COPY_DISK_CONTROLLER,
						KVMB_STORAGE_MAX_CONTROLLERS - 1),
		.lun = (u32)kvmb_tlv_get(g, COPY_DISK_LUN, KVMB_STORAGE_MAX_LUNS - 1),
		.bytes = kvmb_tlv_get(g, COPY_DISK_BYTES, MOST),
		.used = kvmb_tlv_get(g, COPY_DISK_USED, MOST),
	};

	if (!d.bytes || d.bytes % KVMB_DISK_BLOCK)
		kvmb_tlv_refuse(g, COPY_DISK_BYTES, "no size of a disk");
	else if (find_disk_copy(c, d.controller, d.lun) || c->num == KVMB_MAX_DISKS)
		kvmb_tlv_refuse(g, COPY_DISK_LUN, "it is there twice");
	else
		c->disks[c->num++] = d;
}

int disk_copies_get(struct kvmb_tlv *t, struct disk_copies *c)
{
	struct kvmb_tlv g;
	size_t at = 0;

	c->num = 0;
	while (kvmb_tlv_each(t, COPY_DISK, &at, &g)) {
		get_disk(&g, c);
		kvmb_tlv_done(&g);
	}
	return kvmb_tlv_done(t);
}

/* ---- which ---- */

int disk_copies_can(const struct disk_config *dc, char *why, size_t size)
{
	struct stat st;

	if (!dc->spec.path || dc->spec.read_only || dc->spec.dvd ||
	    !strcmp(kvmb_disk_format_of(dc->spec.path), "nbd"))
		return 0;
	if (dc->spec.num_backing)
		snprintf(why, size, "it is an overlay, which is not copied; make one image of it");
	else if (!stat(dc->spec.path, &st) && S_ISBLK(st.st_mode))
		snprintf(why, size, "a device is not copied");
	else
		return 1;
	return -EINVAL;
}

int disk_copies_mark(const struct disk_copies *c, struct vm_config *cfg, char *why, size_t size)
{
	char text[100] = "";
	u32 i, found = 0;
	int can;

	for (i = 0; i < cfg->num_disks; i++) {
		struct disk_config *dc = &cfg->disks[i];

		/* a keeper's options say the place of each */
		if (dc->controller < 0 || dc->lun < 0 ||
		    !find_disk_copy(c, (u32)dc->controller, (u32)dc->lun))
			continue;
		can = disk_copies_can(dc, text, sizeof(text));
		if (can != 1) {
			snprintf(why, size, "disk %.200s: %s", dc->spec.path ? dc->spec.path : "",
				 can ? text : "only what can be written to is copied");
			return -EINVAL;
		}
		dc->spec.copied = true;
		dc->spec.unlocked = false;
		found++;
	}
	if (found == c->num)
		return 0;
	snprintf(why, size, "a disk that is to be copied is not among its options");
	return -EINVAL;
}

/* ---- files ---- */

/* What other disks will take there is not taken yet. Return: 0 or -ENOSPC; what cannot be asked
 * will show. */
static int check_space(const struct disk_copies *c, const struct disk_copy *d, const char *path)
{
	char dir[4096];
	struct statvfs v;
	u64 all = 0;
	u32 i;

	snprintf(dir, sizeof(dir), "%s", path);
	if (statvfs(dirname(dir), &v))
		return 0;
	for (i = 0; i < c->num && &c->disks[i] <= d; i++)
		all += c->disks[i].used;
	return all > (u64)v.f_bavail * v.f_frsize ? -ENOSPC : 0;
}

/* Its first line. */
static void read_words(int fd, char *words, size_t size)
{
	ssize_t n, len = 0;
	char drop[256];

	while ((n = read(fd, words + len, size - 1 - (size_t)len)) > 0)
		len += n;
	words[len] = 0;
	words[strcspn(words, "\n")] = 0;
	while (read(fd, drop, sizeof(drop)) > 0) /* or it would wait */
		;
}

static int await_tool(pid_t pid, const char *words, char *why, size_t size)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	snprintf(why, size, "it cannot be made: %.250s", words[0] ? words : "qemu-img failed");
	return -EIO;
}

/* The name is absolute, so it is neither an option nor a protocol to qemu-img. */
static int run_tool(const char *format, const char *path, u64 bytes, char *why, size_t size)
{
	char number[24], words[256] = "";
	bool vhd = !strcmp(format, "vhd");
	const char *argv[] = { "qemu-img",	     "create", "-q",   "-f",
			       vhd ? "vpc" : format, path,     number, vhd ? "-o" : NULL,
			       "force_size=on",	     NULL };
	posix_spawn_file_actions_t fa;
	int pipes[2], err;
	pid_t pid;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)bytes);
	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, pipes[1], STDERR_FILENO);
	err = -posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(pipes[1]);
	if (err)
		snprintf(why, size, "it cannot be made: qemu-img: %s", strerror(-err));
	else
		read_words(pipes[0], words, sizeof(words));
	close(pipes[0]);
	return err ? err : await_tool(pid, words, why, size);
}

/* From here on the keeper removes it, whatever becomes of us. */
static int fill(int fd, const struct disk_copy *d, const struct disk_config *dc, char *why,
		size_t size)
{
	const char *format = dc->spec.format ? dc->spec.format : kvmb_disk_format_of(dc->spec.path);
	int err = kvmb_keeper_adopt_file(fd, dc->spec.path, why, size);

	if (err) {
		unlink(dc->spec.path);
		return err;
	}
	if (strcmp(format, "raw"))
		return run_tool(format, dc->spec.path, d->bytes, why, size);
	if (!ftruncate(fd, (off_t)d->bytes))
		return 0;
	err = -errno;
	snprintf(why, size, "it cannot be made: %s", strerror(-err));
	return err;
}

int disk_copies_create(const struct disk_copies *c, const struct disk_config *dc, char *why,
		       size_t size)
{
	const struct disk_copy *d = find_disk_copy(c, (u32)dc->controller, (u32)dc->lun);
	int fd, err = check_space(c, d, dc->spec.path);

	if (err) {
		snprintf(why, size, "there is less space than it takes on the other side");
		return err;
	}
	fd = open(dc->spec.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		snprintf(why, size, "%s",
			 err == -EEXIST ? "it is there already, and nothing is overwritten; move "
					  "it away, or leave out --copy-storage" :
					  strerror(-err));
		return err;
	}
	err = fill(fd, d, dc, why, size);
	close(fd);
	return err;
}
