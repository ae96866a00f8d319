// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which firmware a disk or CD was made for: any bytes in the places that count, of any size. Reads
 * are few, aligned, and of bounded length. One byte says what it is and how long; then patches:
 * two bytes of place, one of length, bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "vmm/boot_find.h"

#define SIZE (80u << 10)

static u8 image[SIZE];
static u32 there, reads;

static bool read_image(void *arg, u64 offset, void *buf, u32 len)
{
	(void)arg;
	if (offset % 4096 || len % 4096 || len > 65536 || ++reads > 3)
		abort();
	memset(buf, 0, len);
	if (offset >= there)
		return false;
	memcpy(buf, image + offset, KVMB_MIN(len, there - offset));
	return true;
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	struct boot_source s = { .read = read_image };
	size_t n;
	u32 at;

	memset(image, 0, SIZE);
	reads = 0;
	if (!left)
		return 0;
	s.cd = in[0] & 1;
	there = in[0] & 2 ? SIZE : (u32)in[0] * 400;
	for (in++, left--; left > 3; in += 3 + n, left -= 3 + n) {
		at = in[0] | (u32)in[1] << 8;
		n = KVMB_MIN(in[2], left - 3);
		memcpy(image + at, in + 3, KVMB_MIN(n, SIZE - at));
	}
	if (boot_find(&s) > BOOT_UEFI)
		abort();
	return 0;
}
