// SPDX-License-Identifier: GPL-2.0-only
/* Namespaces of a program in the jail, and the files that it sees. Theory: jail.h. */
#include "lib/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/ns.h"
#include "lib/util.h"

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define ROOT "/dev" /* where the new root is mounted first: it is on every host */
#define OLD_ROOT_FLAGS "size=64k,nr_inodes=256,mode=0555"

/* ---- namespaces ---- */

static int fork_into(unsigned long flags)
{
	return (int)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
}

int kvmb_jail_fork(unsigned int *lacks)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int pid = uid ? -1 : fork_into(NAMESPACES);

	if (pid >= 0)
		return pid;
	pid = fork_into(NAMESPACES | CLONE_NEWUSER);
	if (!pid) {
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or its files in /proc belong to root */
		kvmb_ns_map_ids(uid, gid);
	}
	if (pid >= 0)
		return pid;
	*lacks |= KVMB_JAIL_NO_NAMESPACES;
	return fork_into(0);
}

/* ---- the root ---- */

struct place { /* something of the host that is seen in the jail */
	char path[PATH_MAX];
	int fd; /* O_PATH; -1: a symbolic link to target */
	char target[PATH_MAX];
	bool is_dir;
	unsigned int flags; /* MOUNT_ATTR_* */
};

#define MAX_PLACES 16

struct places {
	struct place at[MAX_PLACES];
	unsigned int num;
};

/* What is not there is not needed. */
static void add_place(struct places *all, const char *path, unsigned int flags)
{
	struct place *p = &all->at[all->num];
	struct stat st;
	ssize_t n;

	if (all->num == MAX_PLACES || lstat(path, &st) ||
	    snprintf(p->path, sizeof(p->path), "%s", path) >= (int)sizeof(p->path))
		return;
	p->fd = -1;
	p->flags = flags | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
	p->is_dir = S_ISDIR(st.st_mode);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, p->target, sizeof(p->target) - 1);
		if (n <= 0)
			return;
		p->target[n] = 0;
	} else {
		p->fd = open(path, O_PATH | O_CLOEXEC);
		if (p->fd < 0)
			return;
	}
	all->num++;
}

static void add_program(struct places *all, const char *program)
{
	char dir[PATH_MAX + 8];
	unsigned int i;

	if (!strncmp(program, "/usr/", 5))
		return;
	add_place(all, program, MOUNT_ATTR_NODEV);
	for (i = 0; kvmb_jail_lib_dir(program, i, dir, sizeof(dir)); i++)
		add_place(all, dir, MOUNT_ATTR_NODEV);
}

static void list_places(struct places *all, const char *program)
{
	static const char *const trees[] = { "/usr",
					     "/lib",
					     "/lib64",
					     "/nix/store",
					     "/gnu/store",
					     "/etc/ld.so.cache",
					     "/etc/ld.so.preload" };
	size_t i;

	all->num = 0;
	for (i = 0; i < ARRAY_SIZE(trees); i++)
		add_place(all, trees[i], MOUNT_ATTR_NODEV);
	add_place(all, "/dev/null", MOUNT_ATTR_NOEXEC);
	/* of this process, which does not change its id any more; no other process is seen */
	add_place(all, "/proc/self/fd", MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	add_program(all, program);
}

/* The directories above @path, below ROOT. */
static bool make_parents(char *path)
{
	char *p;

	for (p = path + sizeof(ROOT); (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			return false;
		*p = '/';
	}
	return true;
}

static bool make_target(const struct place *p, const char *path)
{
	int fd;

	if (p->is_dir)
		return !mkdir(path, 0755) || errno == EEXIST;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool bind_place(const struct place *p)
{
	struct mount_attr a = { .attr_set = p->flags };
	char path[PATH_MAX + 8], source[32];

	if (snprintf(path, sizeof(path), ROOT "%s", p->path) >= (int)sizeof(path) ||
	    !make_parents(path))
		return false;
	if (p->fd < 0)
		return !symlink(p->target, path) || errno == EEXIST;
	snprintf(source, sizeof(source), "/proc/self/fd/%d", p->fd);
	return make_target(p, path) && !mount(source, path, NULL, MS_BIND | MS_REC, NULL) &&
	       !syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &a, sizeof(a));
}

/* Until here the host's root is still ours, and stays so after a failure. */
static bool build_root(const char *program)
{
	static struct places all;
	unsigned int i;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	list_places(&all, program);
	if (mount("none", ROOT, "tmpfs", MS_NOSUID | MS_NODEV, OLD_ROOT_FLAGS))
		return false;
	for (i = 0; i < all.num; i++) {
		if (!bind_place(&all.at[i]))
			break;
	}
	if (i == all.num)
		return true;
	umount2(ROOT, MNT_DETACH);
	return false;
}

void kvmb_jail_enter_root(const char *program, unsigned int *lacks)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC };

	if (*lacks & KVMB_JAIL_NO_NAMESPACES || !build_root(program))
		*lacks |= KVMB_JAIL_NO_ROOT;
	else if (chdir(ROOT) || kvmb_ns_take_root() ||
		 syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &a, sizeof(a)))
		_exit(126); /* between two roots there is no way back */
}
