// SPDX-License-Identifier: GPL-2.0-only
/* Sparse memory and files: sparse.h. */
#include "lib/sparse.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"

#define PAGE 4096u

int kvmb_next_data(int fd, uint64_t at, uint64_t end, uint64_t *from, uint64_t *to)
{
	off_t data, hole;

	if (at >= end)
		return 0;
	data = lseek(fd, (off_t)at, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? 0 : -errno;
	if ((uint64_t)data >= end)
		return 0;
	hole = lseek(fd, data, SEEK_HOLE);
	*from = (uint64_t)data & ~(uint64_t)(PAGE - 1);
	*to = hole < 0 || (uint64_t)hole > end ? end : KVMB_ALIGN_UP((uint64_t)hole, PAGE);
	return 1;
}

bool kvmb_all_zero(const void *p, size_t len)
{
	const char *c = p;

	return !c[0] && !memcmp(c, c + 1, len - 1);
}
