// SPDX-License-Identifier: GPL-2.0-only
/* Files of an export: folder.h. */
#include "manage/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manage/probe.h"

struct walk {
	bool (*fn)(void *arg, int at, const char *name, const char *path);
	void *arg;
	unsigned int seen;
	bool stop;
};

static int walk_dir(struct walk *w, int dir, const char *path, unsigned int depth);

static int walk_entry(struct walk *w, int dir, const char *name, const char *path,
		      unsigned int depth)
{
	char full[PATH_MAX];
	struct stat st;
	int sub, err;

	if (++w->seen > FOLDER_FILES)
		return -E2BIG;
	if (snprintf(full, sizeof(full), "%s%s%s", path, *path ? "/" : "", name) >=
		    (int)sizeof(full) ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISREG(st.st_mode)) {
		w->stop = !w->fn(w->arg, dir, name, full);
		return 0;
	}
	if (!S_ISDIR(st.st_mode) || depth == FOLDER_DEPTH)
		return 0;
	sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return 0;
	err = walk_dir(w, sub, full, depth + 1);
	close(sub);
	return err;
}

static int walk_dir(struct walk *w, int dir, const char *path, unsigned int depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && !w->stop && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = walk_entry(w, dir, e->d_name, path, depth);
	}
	closedir(d);
	return err;
}

int folder_walk(int dir, bool (*fn)(void *arg, int at, const char *name, const char *path),
		void *arg)
{
	struct walk w = { .fn = fn, .arg = arg };

	return walk_dir(&w, dir, "", 0);
}

struct search {
	const char *name;
	char path[PATH_MAX];
	unsigned int found;
	bool in_place; /* one in "Virtual Hard Disks" */
};

static bool look_at(void *arg, int at, const char *name, const char *path)
{
	struct search *s = arg;
	bool in_place = strcasestr(path, "Virtual Hard Disks/") != NULL;

	(void)at;
	if (strcasecmp(name, s->name) || (s->in_place && !in_place))
		return true;
	s->found = in_place && !s->in_place ? 1 : s->found + 1;
	s->in_place = in_place;
	strcpy(s->path, path);
	return true;
}

/* Each directory of the path anew, so that none of them is a link. */
int folder_open(int dir, const char *path)
{
	char name[NAME_MAX + 1];
	size_t len;
	int at = fcntl(dir, F_DUPFD_CLOEXEC, 3), next;

	while (at >= 0 && strchr(path, '/')) {
		len = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		path += len + 1;
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	if (at < 0)
		return -errno;
	next = openat(at, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (next < 0)
		next = -errno;
	close(at);
	return next;
}

int folder_find(int dir, const char *name, char *path, size_t size)
{
	struct search s = { .name = probe_base_name(name) };
	int err = s.name ? folder_walk(dir, look_at, &s) : -ENOENT;

	if (err)
		return err;
	if (s.found != 1)
		return s.found ? -ENOTUNIQ : -ENOENT;
	if (snprintf(path, size, "%s", s.path) >= (int)size)
		return -ENAMETOOLONG;
	return folder_open(dir, s.path);
}
