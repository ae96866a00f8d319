// SPDX-License-Identifier: GPL-2.0-only
/* The file of --serial file=; the rules are in console_file.h. */
#include "vmm/console_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/config.h"

static int refuse_file(const char *path, const char *because, char *why, size_t size)
{
	snprintf(why, size, "serial %s: %s", path, because);
	return -1;
}

static bool is_same_file(const char *path, const struct stat *file)
{
	struct stat st;

	return path && !stat(path, &st) && st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

static bool disk_uses(const struct disk_config *d, const struct stat *file)
{
	u32 i;

	for (i = 0; i < d->spec.num_backing; i++) {
		if (is_same_file(d->spec.backing[i], file))
			return true;
	}
	return is_same_file(d->spec.path, file);
}

/* What else of this VM the file is, NULL = nothing. */
static const char *other_use(const struct vm_config *cfg, const struct stat *file)
{
	u32 i;

	if (is_same_file(cfg->machine.kernel, file))
		return "it is this VM's kernel";
	if (is_same_file(cfg->machine.initrd, file))
		return "it is this VM's initrd";
	for (i = 0; i < cfg->num_disks; i++) {
		if (disk_uses(&cfg->disks[i], file))
			return "it is an image of this VM";
	}
	return NULL;
}

static int check_regular(int fd, const struct vm_config *cfg, const struct stat *st, char *why,
			 size_t size)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	const char *other = other_use(cfg, st);
	struct stat link;

	if (other)
		return refuse_file(cfg->serial_path, other, why, size);
	if (!lstat(cfg->serial_path, &link) && S_ISLNK(link.st_mode))
		return refuse_file(cfg->serial_path, "it is a symbolic link; name the file itself",
				   why, size);
	/*
	 * ENOLCK and the like: a file system without locks. A VM that comes from elsewhere may have
	 * it locked there.
	 */
	if (fcntl(fd, F_OFD_SETLK, &fl) && (errno == EACCES || errno == EAGAIN) && !cfg->incoming)
		return refuse_file(cfg->serial_path,
				   "it is in use by another VM or program (locked)", why, size);
	return 0;
}

static int check_kind(int fd, const struct vm_config *cfg, char *why, size_t size)
{
	struct stat st;

	if (fstat(fd, &st))
		return refuse_file(cfg->serial_path, strerror(errno), why, size);
	if (S_ISREG(st.st_mode))
		return check_regular(fd, cfg, &st, why, size);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		return 0;
	return refuse_file(cfg->serial_path, "it is neither a file, a pipe nor a terminal", why,
			   size);
}

int console_open_file(const struct vm_config *cfg, char *why, size_t size)
{
	const int flags = O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = open(cfg->serial_path, flags);

	if (fd < 0 && errno == ENOENT) /* O_EXCL: not where a dangling link leads */
		fd = open(cfg->serial_path, flags | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return refuse_file(cfg->serial_path,
			      errno == EEXIST ? "it is a dangling symbolic link" :
						strerror(errno),
			      why, size);
	if (!check_kind(fd, cfg, why, size))
		return fd;
	close(fd);
	return -1;
}
