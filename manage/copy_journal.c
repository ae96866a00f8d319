// SPDX-License-Identifier: GPL-2.0-only
/* The journal of a copy: copy_journal.h. */
#include "manage/copy_journal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/io.h"
#include "lib/sparse.h"
#include "lib/util.h"
#include "manage/copier.h"

#define HEAD 4096u
#define MAGIC "kvmbcopy"
#define VERSION 1u
#define PAGE 512u /* of the bitmap that is written at once */

struct header {
	char magic[8];
	uint32_t version, grain; /* little-endian, as all */
	uint64_t bytes;
	char id[COPIER_ID]; /* ends with a 0 */
	uint32_t crc;	    /* of what is before */
} __attribute__((packed));

struct copy_journal {
	int fd;
	uint64_t grains, set;
	size_t len;	     /* of the bitmap */
	unsigned char *bits; /* bits[len] */
	size_t from, to;     /* what of it is not written yet; to 0 = nothing */
	int lost;	     /* -errno: some of what is marked never came to the target */
};

static void fill_header(struct header *h, uint64_t bytes, const char *id, uint32_t grain)
{
	*h = (struct header){ .version = htole32(VERSION),
			      .grain = htole32(grain),
			      .bytes = htole64(bytes) };
	memcpy(h->magic, MAGIC, sizeof(h->magic));
	snprintf(h->id, sizeof(h->id), "%s", id);
	h->crc = htole32(~kvmb_crc32c(~0u, h, offsetof(struct header, crc)));
}

static int begin_journal(struct copy_journal *j, const struct header *want)
{
	int err = ftruncate(j->fd, (off_t)(HEAD + j->len)) ? -errno : 0;

	if (!err)
		err = kvmb_pwrite_all(j->fd, want, sizeof(*want), 0);
	return !err && fsync(j->fd) ? -errno : err;
}

static int compare_header(const struct header *h, const struct header *want, char *why, size_t size)
{
	if (!memcmp(h, want, sizeof(*h)))
		return 0;
	if (memcmp(h->magic, want->magic, sizeof(h->magic)) || h->version != want->version ||
	    h->crc != htole32(~kvmb_crc32c(~0u, h, offsetof(struct header, crc))) ||
	    h->grain != want->grain || h->id[sizeof(h->id) - 1])
		snprintf(why, size, "is damaged, or no journal of a copy");
	else if (h->bytes != want->bytes)
		snprintf(why, size, "is of a disk of %llu bytes, and this one has %llu",
			 (unsigned long long)le64toh(h->bytes),
			 (unsigned long long)le64toh(want->bytes));
	else
		snprintf(why, size, "is of another disk (%s)", h->id);
	return -EEXIST;
}

/* Who began it was killed before it had a header: begin_journal(). There is no target yet. */
static bool is_begun(const struct copy_journal *j, off_t file_len)
{
	struct header h;

	return !file_len ||
	       (file_len == (off_t)(HEAD + j->len) && !kvmb_pread_all(j->fd, &h, sizeof(h), 0) &&
		kvmb_all_zero(&h, sizeof(h)));
}

static int resume_journal(struct copy_journal *j, off_t file_len, const struct header *want,
			  char *why, size_t size)
{
	struct header h;
	size_t i;
	int err = 0;

	if (file_len != (off_t)(HEAD + j->len) && file_len < (off_t)sizeof(h)) {
		snprintf(why, size, "is damaged, or no journal of a copy");
		return -EINVAL;
	}
	err = kvmb_pread_all(j->fd, &h, sizeof(h), 0);
	if (!err && compare_header(&h, want, why, size))
		return -EEXIST;
	if (!err)
		err = kvmb_pread_all(j->fd, j->bits, j->len, HEAD);
	if (err) {
		snprintf(why, size, "cannot be read: %s", strerror(-err));
		return err;
	}
	for (i = 0; i < j->grains; i++)
		j->set += copy_journal_has(j, i);
	return 0;
}

static int open_journal(struct copy_journal *j, int dir, const char *name,
			const struct header *want, bool *fresh, char *why, size_t size)
{
	struct stat st;
	int err = 0;

	j->fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (j->fd < 0 || fstat(j->fd, &st)) {
		snprintf(why, size, "%s", strerror(errno));
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, size, "is not a file");
		return -EINVAL;
	}
	if (flock(j->fd, LOCK_EX | LOCK_NB)) {
		snprintf(why, size, "is in use: another import copies");
		return -EBUSY;
	}
	if (fstat(j->fd, &st) || !st.st_nlink) { /* who had it has finished */
		snprintf(why, size, "is gone: another import has finished");
		return -EBUSY;
	}
	*fresh = is_begun(j, st.st_size);
	if (!*fresh)
		return resume_journal(j, st.st_size, want, why, size);
	err = begin_journal(j, want);
	if (err)
		snprintf(why, size, "%s", strerror(-err));
	return err;
}

struct copy_journal *copy_journal_open(int dir, const char *name, uint64_t bytes, const char *id,
				       uint32_t grain, bool *fresh, char *why, size_t size)
{
	struct copy_journal *j = kvmb_xzalloc(sizeof(*j));
	struct header want;

	fill_header(&want, bytes, id, grain);
	j->grains = (bytes + grain - 1) / grain;
	j->len = KVMB_ALIGN_UP((size_t)(j->grains + 7) / 8, PAGE);
	j->bits = calloc(1, j->len);
	if (j->bits && !open_journal(j, dir, name, &want, fresh, why, size))
		return j;
	if (!j->bits)
		snprintf(why, size, "no memory");
	copy_journal_close(j);
	return NULL;
}

bool copy_journal_has(const struct copy_journal *j, uint64_t n)
{
	return j->bits[n / 8] >> n % 8 & 1;
}

void copy_journal_mark(struct copy_journal *j, uint64_t n)
{
	size_t page = (size_t)(n / 8) / PAGE * PAGE;

	if (copy_journal_has(j, n))
		return;
	j->bits[n / 8] |= (unsigned char)(1u << n % 8);
	j->set++;
	j->from = j->to ? KVMB_MIN(j->from, page) : page;
	j->to = KVMB_MAX(j->to, page + PAGE);
}

uint64_t copy_journal_count(const struct copy_journal *j)
{
	return j->set;
}

int copy_journal_sync(struct copy_journal *j, int target)
{
	int err;

	if (j->lost || !j->to)
		return j->lost;
	if (fdatasync(target)) { /* the kernel has forgotten it, and says so once */
		j->lost = -errno;
		return j->lost;
	}
	err = kvmb_pwrite_all(j->fd, j->bits + j->from, j->to - j->from, HEAD + j->from);
	if (!err && fdatasync(j->fd))
		err = -errno;
	if (!err)
		j->to = 0;
	return err;
}

void copy_journal_close(struct copy_journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	free(j->bits);
	free(j);
}
