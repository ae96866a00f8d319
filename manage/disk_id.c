// SPDX-License-Identifier: GPL-2.0-only
/* Telling disks apart: disk_id.h. MBR's signature and GPT's GUID: UEFI 2.10, 5.2.1 and 5.3.2. */
#include "manage/disk_id.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/util.h"

#define HEAD 1024u
#define SIGNATURE 440u /* of an MBR, 4 bytes */
#define GUID 568u      /* of a GPT in the second block of 512 bytes, 16 bytes */

static size_t put_hex(char *to, size_t size, const char *prefix, const unsigned char *p, size_t n)
{
	size_t len = (size_t)snprintf(to, size, "%s", prefix), i;

	for (i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(to + len, size - len, "%02x", p[i]);
	return KVMB_MIN(len, size - 1);
}

void disk_id_plain(char *text)
{
	for (; *text; text++) {
		if (*text < 0x21 || *text > 0x7e || *text == '"')
			*text = '_';
	}
}

void disk_id_add_table(char *id, size_t size, const unsigned char *head)
{
	size_t n = strlen(id);

	if (head[510] == 0x55 && head[511] == 0xaa)
		n += put_hex(id + n, size - n, ",mbr=", head + SIGNATURE, 4);
	if (!memcmp(head + 512, "EFI PART", 8))
		put_hex(id + n, size - n, ",gpt=", head + GUID, 16);
}

/* What the kernel knows of a device: its serial number, or the file of a loop device. */
static void add_attribute(char *id, size_t size, dev_t dev, const char *name)
{
	char path[PATH_MAX], text[128];
	size_t at = strlen(id);
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	disk_id_plain(text);
	snprintf(id + at, size - at, ",%s", text);
}

void disk_id_local(int fd, const char *path, char *id, size_t size)
{
	static const char *const names[] = { "serial",	    "wwid",	 "device/serial",
					     "device/wwid", "partition", "loop/backing_file" };
	unsigned char head[HEAD] = { 0 };
	char real[PATH_MAX];
	struct stat st;
	size_t i;

	if (fstat(fd, &st))
		memset(&st, 0, sizeof(st));
	snprintf(id, size, "%.300s", realpath(path, real) ? real : path);
	for (i = 0; S_ISBLK(st.st_mode) && i < ARRAY_SIZE(names); i++)
		add_attribute(id, size, st.st_rdev, names[i]);
	if (S_ISREG(st.st_mode))
		snprintf(id + strlen(id), size - strlen(id), ",inode=%llu",
			 (unsigned long long)st.st_ino);
	if (pread(fd, head, sizeof(head), 0) > 0)
		disk_id_add_table(id, size, head);
	disk_id_plain(id);
}
