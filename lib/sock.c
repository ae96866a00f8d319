// SPDX-License-Identifier: GPL-2.0-only
/* Listening Unix sockets; the rules are in sock.h. */
#include "lib/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 10

struct lock {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	int fd;
};

static int refuse(const char *path, const char *because, char *why, size_t size)
{
	snprintf(why, size, "socket %s: %s", path, because);
	return -1;
}

/* ---- one at a time: a lock file, which its last user removes ---- */

static void close_lock(struct lock *k)
{
	close(k->fd);
	k->fd = -1;
}

/* Ours, and still the file of that name: its last user removes it before he lets go. */
static bool is_current(const struct lock *k)
{
	struct stat ours, named;

	return !fstat(k->fd, &ours) && !lstat(k->path, &named) && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

/* Another user could hold his own file's lock for ever. */
static bool is_trusted(const struct lock *k)
{
	struct stat st;

	return !fstat(k->fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid();
}

static int take_lock(struct lock *k, const char *path, char *why, size_t size)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000 };
	int left;

	snprintf(k->path, sizeof(k->path), "%s.lock", path);
	for (left = KVMB_SOCK_LOCK_MS / RETRY_MS; left; left--) {
		k->fd = open(k->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
		if (k->fd < 0)
			return refuse(path, strerror(errno), why, size);
		if (!is_trusted(k)) {
			close_lock(k);
			return refuse(path,
				      "its .lock file belongs to another user; choose another path",
				      why, size);
		}
		if (!flock(k->fd, LOCK_EX | LOCK_NB) && is_current(k))
			return 0;
		close_lock(k);
		nanosleep(&pause, NULL);
	}
	return refuse(path, "another VM is starting at this path and hangs; see its "
			    ".lock", why, size);
}

static void drop_lock(struct lock *k)
{
	unlink(k->path);
	close_lock(k);
}

/* ---- listening ---- */

static int check_path(const char *path, struct sockaddr_un *a, char *why, size_t size)
{
	struct stat st;

	if (!*path)
		return refuse(path, "the path is empty", why, size);
	if (*path == '@')
		return refuse(
			path,
			"an abstract socket would be open to every user; "
			"write ./ before a file's name",
			why, size);
	if (strlen(path) >= sizeof(a->sun_path))
		return refuse(path, "the path is too long", why, size);
	strcpy(a->sun_path, path);
	if (!lstat(path, &st) && !S_ISSOCK(st.st_mode))
		return refuse(path, "something else has that name, and is left alone",
			      why, size);
	return 0;
}

/* 0: nobody serves it. */
static int check_unused(const struct sockaddr_un *a, int type, char *why, size_t size)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = connect(fd, (const struct sockaddr *)a, sizeof(*a)) ? errno : 0;

	close(fd);
	if (!err || err == EAGAIN) /* EAGAIN: it is busy */
		return refuse(a->sun_path, "in use by a running VM; choose another --name", why,
			      size);
	if (err != ECONNREFUSED && err != ENOENT)
		return refuse(a->sun_path, strerror(err), why, size);
	return 0;
}

static int bind_private(int fd, const struct sockaddr_un *a)
{
	mode_t old = umask(0177);
	int err = bind(fd, (const struct sockaddr *)a, sizeof(*a));

	umask(old);
	return err ? err : listen(fd, 8);
}

/* Under the lock. */
static int replace(struct kvmb_listener *l, int type, const struct sockaddr_un *a, char *why,
		   size_t size)
{
	struct stat st;

	if (check_unused(a, type, why, size))
		return -1;
	unlink(a->sun_path); /* nobody listens: a crash left it */
	l->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0 || bind_private(l->fd, a) || lstat(a->sun_path, &st)) {
		refuse(a->sun_path, strerror(errno), why, size);
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
		return -1;
	}
	l->spare_fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	strcpy(l->path, a->sun_path);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	l->kept = false;
	l->later[0] = 0;
	return 0;
}

int kvmb_listen_unix_as(struct kvmb_listener *l, int type, const char *path, char *why, size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct lock lock;
	int err;

	l->fd = -1;
	if (check_path(path, &a, why, size) || take_lock(&lock, path, why, size))
		return -1;
	err = replace(l, type, &a, why, size);
	drop_lock(&lock);
	return err;
}

int kvmb_listen_unix(struct kvmb_listener *l, const char *path, char *why, size_t size)
{
	return kvmb_listen_unix_as(l, SOCK_STREAM, path, why, size);
}

int kvmb_listen_unix_later(struct kvmb_listener *l, int type, const char *path, char *why,
			   size_t size)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char now[sizeof(a.sun_path) + sizeof(KVMB_SOCK_NEW)];

	l->fd = -1;
	if (check_path(path, &a, why, size))
		return -1;
	snprintf(now, sizeof(now), "%s" KVMB_SOCK_NEW, path);
	if (kvmb_listen_unix_as(l, type, now, why, size))
		return -1;
	strcpy(l->later, path);
	return 0;
}

static bool is_socket(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	return !lstat(path, &st) && st.st_dev == dev && st.st_ino == ino;
}

int kvmb_rename_unix(const char *from, const char *to, dev_t dev, ino_t ino)
{
	char why[256];
	struct lock lock;
	int err = 0;

	if (!is_socket(from, dev, ino))
		return -ENOENT;
	if (take_lock(&lock, to, why, sizeof(why))) /* nobody removes it as its own just now */
		return -EBUSY;
	if (rename(from, to))
		err = -errno;
	drop_lock(&lock);
	return err;
}

int kvmb_remove_unix(const char *path, dev_t dev, ino_t ino)
{
	char why[256];
	struct lock lock;
	int err = 0;

	/* under the lock nobody replaces it between our look and our act */
	if (!is_socket(path, dev, ino))
		return -ENOENT;
	if (take_lock(&lock, path, why, sizeof(why)))
		return -EBUSY;
	if (!is_socket(path, dev, ino))
		err = -ENOENT;
	else if (unlink(path))
		err = -errno;
	drop_lock(&lock);
	return err;
}

static void hang_up_on_one(struct kvmb_listener *l)
{
	int fd;

	if (l->spare_fd < 0)
		return;
	close(l->spare_fd);
	fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	l->spare_fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
}

int kvmb_accept_unix(struct kvmb_listener *l, int flags)
{
	int fd = accept4(l->fd, NULL, NULL, flags | SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		hang_up_on_one(l);
	return fd;
}

void kvmb_unlisten_unix(struct kvmb_listener *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	/* before it is closed: a successor takes a path that nobody serves */
	if (!l->kept && !lstat(l->path, &st) && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
	close(l->fd);
	close(l->spare_fd);
	l->fd = l->spare_fd = -1;
}
