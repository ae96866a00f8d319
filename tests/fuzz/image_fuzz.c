// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is read of an image's header before a storage daemon sees it, in every format; and of a
 * VHDX's log.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "backend/block/image.h"
#include "backend/block/vhdx_log.h"

static const char *const formats[] = { "qcow2", "vmdk", "vhd", "vhdx", "vdi", "raw" };

/*
 * A VHDX's parts lie far apart: of each so much from the input. Checksums are made right, or
 * nothing would go on.
 */
static void lay_out(int fd, const u8 *in, size_t len)
{
	static const struct { off_t at; size_t len, sum;
	} parts[] = {
		{ 0, 16, 0 },
		{ 65536, 96, 4096 },
		{ 131072, 96, 4096 },
		{ 196608, 128, 65536 },
		{ 1 << 20, 4096, 0 },
		{ 2 << 20, 512, 0 },
		{ (2 << 20) + 65536, 512, 0 },
	};
	static u8 buf[65536];
	size_t i, n;
	u32 sum;

	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		n = len < parts[i].len ? len : parts[i].len;
		memset(buf, 0, sizeof(buf));
		memcpy(buf, in, n);
		if (parts[i].sum) {
			sum = kvmb_vhdx_checksum(buf, parts[i].sum);
			memcpy(buf + 4, &sum, 4);
		}
		if (pwrite(fd, buf, parts[i].sum ? parts[i].sum : parts[i].len, parts[i].at) < 0)
			abort();
		in += n;
		len -= n;
	}
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t len);
int LLVMFuzzerTestOneInput(const u8 *in, size_t len)
{
	char why[KVMB_DISK_WHY] = "";
	const char *format;
	u64 work;
	size_t i;
	int fd, err;

	if (!len || len > 16384)
		return 0;
	format = formats[(in[0] & 0x7f) % (sizeof(formats) / sizeof(formats[0]))];
	fd = memfd_create("image", MFD_CLOEXEC);
	if (strcmp(format, "vhdx"))
		err = pwrite(fd, in + 1, len - 1, 0) < 0;
	else
		lay_out(fd, in + 1, len - 1);
	err = kvmb_image_check(fd, format, in[0] & 0x80, why, sizeof(why));
	if (err > 0 || (err && !why[0]) || (!err && why[0]))
		abort();
	for (i = 0; why[i]; i++) {
		if (why[i] < 0x20 || why[i] > 0x7e)
			abort();
	}
	if (!strcmp(format, "vhdx") && kvmb_vhdx_drop_empty_log(fd, &work) >= 0 && work > 64u << 20)
		abort();
	close(fd);
	return 0;
}
