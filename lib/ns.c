// SPDX-License-Identifier: GPL-2.0-only
/* Entering namespaces; ns.h says who does. */
#include "lib/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int kvmb_ns_map_ids(uid_t uid, gid_t gid)
{
	int err = write_file("/proc/self/setgroups", "deny"), err2, err3;
	char map[48];

	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	err2 = write_file("/proc/self/gid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	err3 = write_file("/proc/self/uid_map", map);
	return err ? err : err2 ? err2 : err3;
}

int kvmb_ns_take_root(void)
{
	int err = 0;

	if (!syscall(SYS_pivot_root, ".", "."))
		err = umount2(".", MNT_DETACH);
	else
		err = mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".");
	return err || chdir("/") ? -errno : 0;
}
