// SPDX-License-Identifier: GPL-2.0-only
/* Reading and writing all of it: io.h. */
#include "lib/io.h"

#include <errno.h>
#include <unistd.h>

int kvmb_pread_all(int fd, void *buf, size_t len, uint64_t at)
{
	char *p = buf;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n, at += (uint64_t)n) {
		n = pread(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -ENODATA;
	}
	return 0;
}

int kvmb_pwrite_all(int fd, const void *buf, size_t len, uint64_t at)
{
	const char *p = buf;
	ssize_t n;

	for (; len; len -= (size_t)n, p += n, at += (uint64_t)n) {
		n = pwrite(fd, p, len, (off_t)at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}
