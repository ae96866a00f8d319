// SPDX-License-Identifier: GPL-2.0-only
/* Landlock rules for helper programs; jail.h says what they cover and why. */
#include "lib/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"

/* ---- Landlock: the ABI, of which the headers that we are built with may know less ---- */

enum { /* rights on files, by the ABI that brought them */
	LL_EXECUTE = 1 << 0,
	LL_WRITE_FILE = 1 << 1,
	LL_READ_FILE = 1 << 2,
	LL_READ_DIR = 1 << 3,
	LL_ABI_1 = (1 << 13) - 1,
	LL_REFER = 1 << 13,	/* 2 */
	LL_TRUNCATE = 1 << 14,	/* 3 */
	LL_IOCTL_DEV = 1 << 15, /* 5 */
};

#define LL_TCP 3u    /* 4: bind and connect */
#define LL_SCOPES 3u /* 6: abstract sockets, signals */
#define LL_RULE_PATH 1

struct ll_ruleset {
	uint64_t files, net, scoped;
};

struct ll_path {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	return abi < 0 ? -errno : (int)abi;
}

static uint64_t known_rights(int abi)
{
	return LL_ABI_1 | (abi >= 2 ? LL_REFER : 0) | (abi >= 3 ? LL_TRUNCATE : 0) |
	       (abi >= 5 ? LL_IOCTL_DEV : 0);
}

static int add_rule(int jail, int fd, uint64_t rights)
{
	struct ll_path p = { rights & known_rights(landlock_abi()), fd };

	return syscall(SYS_landlock_add_rule, jail, LL_RULE_PATH, &p, 0) ? -errno : 0;
}

/* What is not there needs no rule. */
static void allow_path(int jail, const char *path, uint64_t rights)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && !S_ISDIR(st.st_mode))
		rights &= ~(uint64_t)LL_READ_DIR;
	add_rule(jail, fd, rights);
	close(fd);
}

bool kvmb_jail_find_program(const char *program, char *path)
{
	const char *dirs = getenv("PATH"), *end;
	char name[PATH_MAX];

	if (strchr(program, '/'))
		return realpath(program, path);
	for (; dirs && *dirs; dirs = *end ? end + 1 : end) {
		end = strchrnul(dirs, ':');
		if (snprintf(name, sizeof(name), "%.*s/%s", (int)(end - dirs), dirs, program) <
			    (int)sizeof(name) &&
		    !access(name, X_OK) && realpath(name, path))
			return true;
	}
	return false;
}

bool kvmb_jail_lib_dir(const char *program, unsigned int i, char *dir, size_t size)
{
	static const char *const libs[] = { "lib", "lib64" };
	char path[PATH_MAX], *slash;
	int up;

	if (i >= ARRAY_SIZE(libs))
		return false;
	snprintf(path, sizeof(path), "%s", program);
	for (up = 0; up < 2; up++) {
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			return false;
		*slash = 0;
	}
	snprintf(dir, size, "%s/%s", path, libs[i]);
	return true;
}

static void allow_program(int jail, const char *program)
{
	char path[PATH_MAX], dir[PATH_MAX + 8];
	unsigned int i;

	if (!kvmb_jail_find_program(program, path))
		return;
	allow_path(jail, path, LL_EXECUTE | LL_READ_FILE);
	for (i = 0; kvmb_jail_lib_dir(path, i, dir, sizeof(dir)); i++)
		allow_path(jail, dir, LL_EXECUTE | LL_READ_FILE | LL_READ_DIR);
}

/* Not compiled in, not enabled, or behind a container's filter: it will not come. */
static bool is_missing(int err)
{
	return err == -ENOSYS || err == -EOPNOTSUPP || err == -EPERM;
}

/* A jail without rules. Return: a descriptor, -EOPNOTSUPP on a kernel without Landlock, -errno. */
int kvmb_jail_create_empty(void)
{
	struct ll_ruleset r = { 0 };
	int abi = landlock_abi(), jail;
	size_t size = offsetof(struct ll_ruleset, net);

	if (abi >= 0) {
		r.files = known_rights(abi);
		r.net = abi >= 4 ? LL_TCP : 0;
		r.scoped = abi >= 6 ? LL_SCOPES : 0;
		size = abi >= 6 ? sizeof(r) : abi >= 4 ? offsetof(struct ll_ruleset, scoped) : size;
		jail = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
		if (jail >= 0)
			return jail;
		abi = -errno;
	}
	return is_missing(abi) ? -EOPNOTSUPP : abi;
}

int kvmb_jail_create(const char *program)
{
	static const char *const trees[] = { "/usr", "/lib", "/lib64", "/nix/store", "/gnu/store" };
	static const char *const files[] = { "/etc/ld.so.cache", "/etc/ld.so.preload" };
	int jail = kvmb_jail_create_empty();
	size_t i;

	if (jail < 0)
		return jail;
	for (i = 0; i < ARRAY_SIZE(trees); i++)
		allow_path(jail, trees[i], LL_EXECUTE | LL_READ_FILE | LL_READ_DIR);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		allow_path(jail, files[i], LL_READ_FILE);
	allow_path(jail, "/dev/null", LL_READ_FILE | LL_WRITE_FILE);
	if (program)
		allow_program(jail, program);
	return jail;
}

int kvmb_jail_allow(int jail, int fd, bool write)
{
	return jail < 0 ? 0 : add_rule(jail, fd, LL_READ_FILE | LL_IOCTL_DEV |
				       (write ? LL_WRITE_FILE | LL_TRUNCATE : 0));
}
