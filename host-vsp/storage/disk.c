// SPDX-License-Identifier: GPL-2.0-only
/* Opening, locking and measuring disk images. */
#include "host-vsp/storage/disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"

static int lock_image(int fd, bool read_only)
{
	struct flock fl = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &fl))
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

static int measure(int fd, u64 *bytes, const char **kind)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*bytes = (u64)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
	*kind = S_ISDIR(st.st_mode) ? "it is a directory" : "it is neither a file nor a block device";
	return -EINVAL;
}

/* FNV-1a: a stable name for the same file, not a secret */
static u64 hash_identity(const struct stat *st)
{
	u64 words[2] = { st->st_dev, st->st_ino }, h = 0xcbf29ce484222325ull;
	const u8 *p = (const u8 *)words;
	size_t i;

	for (i = 0; i < sizeof(words); i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

int kvmb_disk_open(const char *path, bool read_only, struct kvmb_disk **out, char *why,
		   size_t why_size)
{
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));
	const char *kind = NULL;
	struct stat st;
	u64 bytes = 0;
	int err;

	d->read_only = read_only;
	snprintf(d->path, sizeof(d->path), "%s", path);
	d->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (d->fd < 0) {
		err = -errno;
		snprintf(why, why_size, "%s%s", strerror(-err),
			 !read_only && (err == -EACCES || err == -EROFS) ? "; try ,ro" : "");
		goto err_free;
	}
	err = measure(d->fd, &bytes, &kind);
	if (err) {
		snprintf(why, why_size, "%s", kind ? kind : strerror(-err));
		goto err_close;
	}
	d->blocks = bytes / KVMB_DISK_BLOCK;
	if (!d->blocks) {
		err = -EINVAL;
		snprintf(why, why_size, "it is smaller than one block of 512 bytes");
		goto err_close;
	}
	err = lock_image(d->fd, read_only);
	if (err) {
		snprintf(why, why_size, "%s", err == -EBUSY ?
			 "it is in use by another VM or program (locked)" : strerror(-err));
		goto err_close;
	}
	if (!fstat(d->fd, &st))
		d->naa = 0x3000000000000000ull | hash_identity(&st) >> 4; /* NAA 3: locally assigned */
	snprintf(d->serial, sizeof(d->serial), "%016llx", (unsigned long long)d->naa);
	*out = d;
	return 0;

err_close:
	close(d->fd);
err_free:
	free(d);
	return err;
}

void kvmb_disk_close(struct kvmb_disk *d)
{
	if (!d)
		return;
	close(d->fd);
	free(d);
}
