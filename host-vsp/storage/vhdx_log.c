// SPDX-License-Identifier: GPL-2.0-only
/* An announced VHDX log without entries. What and why: vhdx_log.h. */
#include "host-vsp/storage/vhdx_log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmbus-core/env.h"

#define HEADER_1 65536
#define HEADER_2 131072
#define SECTOR 4096u
#define LOG_MAX (64u << 20) /* QEMU makes 1 MiB; more than this is not looked at */

struct header { /* its first bytes; the rest of the 4 KiB is reserved */
	u8 signature[4];
	__le32 checksum; /* CRC-32C of 4 KiB with this field zero */
	__le64 sequence;
	u8 file_guid[16], data_guid[16], log_guid[16]; /* zero: no log */
	__le16 log_version, version;
	__le32 log_length;
	__le64 log_offset;
} __attribute__((packed));
static_assert(sizeof(struct header) == 80, "MS-VHDX 2.2.2");

struct entry {
	u8 signature[4];
	__le32 checksum; /* CRC-32C of the entry with this field zero */
	__le32 length;	 /* bytes, multiple of 4096; may go on at the log's start */
	__le32 tail;
	__le64 sequence;
	__le32 descriptors, reserved;
	u8 guid[16];
} __attribute__((packed));
static_assert(sizeof(struct entry) == 48, "MS-VHDX 2.3.1.1, its first bytes");

static u32 crc32c(u32 crc, const u8 *p, size_t len)
{
	int bit;

	while (len--) {
		crc ^= *p++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* Checksum of @len bytes, those of the field at 4 taken as zero */
static u32 checksum(const u8 *p, size_t len)
{
	static const u8 zero[4];
	u32 crc = crc32c(~0u, p, 4);

	crc = crc32c(crc, zero, 4);
	return ~crc32c(crc, p + 8, len - 8);
}

static bool read_header(int fd, off_t at, u8 *buf)
{
	const struct header *h = (const void *)buf;

	return pread(fd, buf, SECTOR, at) == (ssize_t)SECTOR && !memcmp(h->signature, "head", 4) &&
	       le32_to_cpu(h->checksum) == checksum(buf, SECTOR);
}

/* Is a whole entry of this log at sector @i of log[@len]? */
static bool entry_at(const u8 *log, u32 len, u32 i, const u8 *guid)
{
	struct entry e;
	u8 *copy;
	u32 n, k;
	bool ok;

	memcpy(&e, log + i, sizeof(e));
	n = le32_to_cpu(e.length);
	if (memcmp(e.signature, "loge", 4) || memcmp(e.guid, guid, 16) || n % SECTOR || !n || n > len)
		return false;
	copy = malloc(n);
	if (!copy)
		return true; /* when in doubt it is the daemon's */
	for (k = 0; k < n; k += SECTOR)
		memcpy(copy + k, log + (i + k) % len, SECTOR);
	ok = le32_to_cpu(e.checksum) == checksum(copy, n);
	free(copy);
	return ok;
}

static int log_is_empty(int fd, const struct header *h)
{
	u32 len = le32_to_cpu(h->log_length), i;
	u64 at = le64_to_cpu(h->log_offset);
	bool found = false;
	u8 *log;

	if (!len || len % SECTOR || len > LOG_MAX || at > INT64_MAX - LOG_MAX)
		return false;
	log = malloc(len);
	if (!log)
		return -ENOMEM;
	if (pread(fd, log, len, (off_t)at) != (ssize_t)len) {
		free(log);
		return false;
	}
	for (i = 0; i < len && !found; i += SECTOR)
		found = entry_at(log, len, i, h->log_guid);
	free(log);
	return !found;
}

static int drop(int fd)
{
	static const u8 none[16];
	u8 one[SECTOR], two[SECTOR], *now;
	struct header *h;
	bool first = read_header(fd, HEADER_1, one), second = read_header(fd, HEADER_2, two);
	int r;

	if (!first && !second)
		return 0;
	if (first && second)
		first = le64_to_cpu(((struct header *)one)->sequence) >= le64_to_cpu(((struct header *)two)->sequence);
	now = first ? one : two;
	h = (struct header *)now;
	if (!memcmp(h->log_guid, none, sizeof(none)))
		return 0;
	r = log_is_empty(fd, h);
	if (r <= 0)
		return r;
	/* as every change of a header: the other one, with a higher number, becomes the one that counts */
	memset(h->log_guid, 0, sizeof(h->log_guid));
	h->sequence = cpu_to_le64(le64_to_cpu(h->sequence) + 1);
	h->checksum = cpu_to_le32(checksum(now, SECTOR));
	if (pwrite(fd, now, SECTOR, first ? HEADER_2 : HEADER_1) != (ssize_t)SECTOR || fdatasync(fd))
		return -EIO;
	return 1;
}

int kvmb_vhdx_drop_empty_log(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = drop(fd);
	close(fd);
	return r;
}
