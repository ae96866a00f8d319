// SPDX-License-Identifier: GPL-2.0-only
/* Directories for the sockets of named VMs; which and why: rundir.h. */
#include "lib/rundir.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_DIR "/run/kvmbus"

/* $XDG_RUNTIME_DIR/kvmbus. The XDG specification says that a relative path is to be ignored. */
static bool session_dir(char *dir, size_t size)
{
	const char *x = getenv("XDG_RUNTIME_DIR");

	return x && *x == '/' && snprintf(dir, size, "%s/kvmbus", x) < (int)size;
}

/* What XDG_RUNTIME_DIR would be after a login; su, cron and units do not set it. */
static bool user_dir(char *dir, size_t size)
{
	struct stat st;
	int n = snprintf(dir, size, "/run/user/%u", (unsigned int)getuid());

	if (lstat(dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid != getuid())
		return false;
	snprintf(dir + n, size - (size_t)n, "/kvmbus");
	return true;
}

static void add(struct kvmb_rundirs *d, const char *dir)
{
	int i;

	for (i = 0; i < d->num; i++) {
		if (!strcmp(d->dir[i], dir))
			return;
	}
	strcpy(d->dir[d->num++], dir);
}

void kvmb_rundir_list(struct kvmb_rundirs *d)
{
	char dir[PATH_MAX];

	d->num = 0;
	if (session_dir(dir, sizeof(dir)))
		add(d, dir);
	if (user_dir(dir, sizeof(dir)))
		add(d, dir);
	add(d, SYSTEM_DIR);
}

const char *kvmb_rundir(void)
{
	static char dir[PATH_MAX];

	if (!dir[0] && !session_dir(dir, sizeof(dir)) && (!getuid() || !user_dir(dir, sizeof(dir))))
		strcpy(dir, SYSTEM_DIR);
	return dir;
}

int kvmb_rundir_make(char *why, size_t size)
{
	const char *dir = kvmb_rundir();
	int err = 0;

	if (mkdir(dir, 0755) && errno != EEXIST)
		err = -errno;
	else if (access(dir, W_OK | X_OK))
		err = -errno;
	if (err)
		snprintf(
			why, size,
			"no place for the VM's sockets: %s: %s; set XDG_RUNTIME_DIR to a directory "
			"of your own, for example by logging in instead of su",
			dir, strerror(-err));
	return err;
}

int kvmb_rundir_socket(const char *dir, const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/%s.sock", dir, name);

	return n < (int)size ? 0 : -ENAMETOOLONG;
}

int kvmb_rundir_beside(const char *control, const char *ending, char *path, size_t size)
{
	size_t len = strlen(control);

	if (len > 5 && !strcmp(control + len - 5, ".sock"))
		len -= 5;
	return snprintf(path, size, "%.*s%s", (int)len, control, ending) < (int)size ?
		       0 :
		       -ENAMETOOLONG;
}
