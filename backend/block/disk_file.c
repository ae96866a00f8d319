// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all disks that are files have in common: locks, identity, why one is refused.
 *
 * Locks: QEMU's tools lock single bytes from 100 to 163 and 200 to 263 of an image they
 * write or read (Linux OFD locks; QEMU 7.2 block/file-posix.c, RAID_LOCK...). A raw image is
 * ours alone, so we lock the whole file and thereby keep those tools out. An image that we
 * give to a storage daemon is locked there by the daemon; we hold a lock on the first bytes,
 * which keeps a second kvmbus out also while the daemon is being restarted.
 */
#include "backend/block/disk_file.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "lib/util.h"

int kvmb_disk_lock(int fd, bool read_only, off_t len)
{
	struct flock fl = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET,
			    .l_len = len };

	if (!fcntl(fd, F_OFD_SETLK, &fl))
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

void kvmb_disk_unlock(int fd)
{
	fcntl(fd, F_OFD_SETLK, &(struct flock){ .l_type = F_UNLCK, .l_whence = SEEK_SET });
}

const char *kvmb_disk_not_a_file(const struct stat *st)
{
	return S_ISDIR(st->st_mode) ? "it is a directory" :
				      "it is neither a file nor a block device";
}

/* FNV-1a: a stable name for the same file, not a secret */
static u64 hash_bytes(const void *buf, size_t len)
{
	const u8 *p = buf;
	u64 h = 0xcbf29ce484222325ull;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

void kvmb_disk_identify(struct kvmb_disk *d, const struct kvmb_disk_spec *spec,
			const struct stat *st)
{
	u64 words[2] = { st ? st->st_dev : 0, st ? st->st_ino : 0 };
	u64 h = st ? hash_bytes(words, sizeof(words)) : hash_bytes(d->path, strlen(d->path));
	size_t i;

	d->naa = 0x3000000000000000ull | h >> 4; /* NAA 3: locally assigned */
	if (spec->serial)
		snprintf(d->serial, sizeof(d->serial), "%.20s", spec->serial);
	else
		snprintf(d->serial, sizeof(d->serial), "%016llx", (unsigned long long)d->naa);
	for (i = 0; d->serial[i]; i++) { /* SCSI: printable ASCII */
		if (!isprint((unsigned char)d->serial[i]))
			d->serial[i] = '_';
	}
	if (spec->serial) /* two disks that somebody gave one serial number to are one disk */
		d->naa = 0x3000000000000000ull | hash_bytes(d->serial, strlen(d->serial)) >> 4;
}

int kvmb_disk_not_opened(int err, bool read_only, char *why, size_t size)
{
	bool may_not = err == EACCES || err == EROFS || err == EPERM;

	snprintf(why, size, "%s%s", strerror(err), !read_only && may_not ? "; try ,ro" : "");
	return -err;
}
