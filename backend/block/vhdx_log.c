// SPDX-License-Identifier: GPL-2.0-only
/* An announced VHDX log without entries; what it does and why it is repaired: vhdx_log.h. */
#include "backend/block/vhdx_log.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/crc32c.h"

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

u32 kvmb_vhdx_checksum(const u8 *p, size_t len)
{
	static const u8 zero[4];
	u32 crc = kvmb_crc32c(~0u, p, 4);

	crc = kvmb_crc32c(crc, zero, 4);
	return ~kvmb_crc32c(crc, p + 8, len - 8);
}

static bool read_header(int fd, off_t at, u8 *buf)
{
	const struct header *h = (const void *)buf;

	return pread(fd, buf, SECTOR, at) == (ssize_t)SECTOR && !memcmp(h->signature, "head", 4) &&
	       le32_to_cpu(h->checksum) == kvmb_vhdx_checksum(buf, SECTOR);
}

/* The length of what claims to be an entry of this log, at sector @i; 0 when nothing does. */
static u32 entry_length(const u8 *log, u32 len, u32 i, const u8 *guid)
{
	struct entry e;
	u32 n;

	memcpy(&e, log + i, sizeof(e));
	n = le32_to_cpu(e.length);
	return memcmp(e.signature, "loge", 4) || memcmp(e.guid, guid, 16) || n % SECTOR || n > len ?
		       0 :
		       n;
}

/* Is it a whole one? @copy has room for it: it may go on at the log's start. */
static bool is_whole(const u8 *log, u32 len, u32 i, u32 n, u8 *copy)
{
	u32 k;

	for (k = 0; k < n; k += SECTOR)
		memcpy(copy + k, log + (i + k) % len, SECTOR);
	return le32_to_cpu(((const struct entry *)copy)->checksum) == kvmb_vhdx_checksum(copy, n);
}

/*
 * Entries do not overlap, so all of them together are no longer than the log. Who claims more
 * would have us add up each sector of the log as often as it has sectors.
 */
static bool no_entry(const u8 *log, u32 len, const u8 *guid, u8 *copy, u64 *work)
{
	u32 i, n;

	for (i = 0; i < len; i += SECTOR) {
		n = entry_length(log, len, i, guid);
		if (!n)
			continue;
		if (n > len - *work)
			return false; /* when in doubt it is the daemon's */
		*work += n;
		if (is_whole(log, len, i, n, copy))
			return false;
	}
	return true;
}

static int log_is_empty(int fd, const struct header *h, u64 *work)
{
	u32 len = le32_to_cpu(h->log_length);
	u64 at = le64_to_cpu(h->log_offset);
	u8 *log;
	int r;

	if (!len || len % SECTOR || len > LOG_MAX || at > INT64_MAX - LOG_MAX)
		return false;
	log = malloc(2 * (size_t)len);
	if (!log)
		return -ENOMEM;
	r = pread(fd, log, len, (off_t)at) == (ssize_t)len &&
	    no_entry(log, len, h->log_guid, log + len, work);
	free(log);
	return r;
}

int kvmb_vhdx_drop_empty_log(int fd, u64 *work)
{
	static const u8 none[16];
	u8 one[SECTOR], two[SECTOR], *now;
	struct header *h;
	bool first = read_header(fd, HEADER_1, one), second = read_header(fd, HEADER_2, two);
	u64 bytes = 0;
	int r;

	if (!work)
		work = &bytes;
	*work = 0;
	if (!first && !second)
		return 0;
	if (first && second)
		first = le64_to_cpu(((struct header *)one)->sequence) >=
			le64_to_cpu(((struct header *)two)->sequence);
	now = first ? one : two;
	h = (struct header *)now;
	if (!memcmp(h->log_guid, none, sizeof(none)))
		return 0;
	r = log_is_empty(fd, h, work);
	if (r <= 0)
		return r;
	/*
	 * as every change of a header: the other one, with a higher number, becomes the one that
	 * counts
	 */
	memset(h->log_guid, 0, sizeof(h->log_guid));
	h->sequence = cpu_to_le64(le64_to_cpu(h->sequence) + 1);
	h->checksum = cpu_to_le32(kvmb_vhdx_checksum(now, SECTOR));
	if (pwrite(fd, now, SECTOR, first ? HEADER_2 : HEADER_1) != (ssize_t)SECTOR ||
	    fdatasync(fd))
		return -EIO;
	return 1;
}
