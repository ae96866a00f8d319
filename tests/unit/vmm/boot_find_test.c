// SPDX-License-Identifier: GPL-2.0-only
/* Disks and CDs as partitioning programs and installers make them, and as a guest can. */
#include "vmm/boot_find.h"

#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "tests/unit/test.h"

#define SIZE (256u << 10)

static u8 image[SIZE];
static u32 reads, there; /* bytes */

static bool read_image(void *arg, u64 offset, void *buf, u32 len)
{
	assert_ptr_equal(arg, image);
	assert_int_equal(offset % 4096, 0);
	assert_int_equal(len % 4096, 0);
	assert_true(++reads <= 3);
	memset(buf, 0, len);
	if (offset >= there)
		return false;
	memcpy(buf, image + offset, KVMB_MIN(len, there - offset));
	return true;
}

static enum boot_kind find(bool cd)
{
	struct boot_source s = { .read = read_image, .arg = image, .cd = cd };

	reads = 0;
	return boot_find(&s);
}

static int setup(void **state)
{
	(void)state;
	memset(image, 0, SIZE);
	there = SIZE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return 0;
}

static void put32(u32 at, u32 v)
{
	memcpy(image + at, &v, 4);
}

static void mbr(u32 n, u8 flag, u8 type)
{
	image[510] = 0x55;
	image[511] = 0xaa;
	image[446 + n * 16] = flag;
	image[446 + n * 16 + 4] = type;
}

static void gpt(u32 block, u32 at, u32 num, u32 size)
{
	mbr(0, 0, 0xee);
	memcpy(image + block, "EFI PART", 8);
	put32(block + 72, at);
	put32(block + 80, num);
	put32(block + 84, size);
}

static const char esp[] = "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
static const char bios_boot[] = "Hah!IdontNeedEFI";
static const char linux_fs[] = "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4";

static void entry(u32 at, const char *guid)
{
	memcpy(image + at, guid, 16);
}

static void esp_of_a_gpt_is_for_uefi(void **state)
{
	(void)state;
	gpt(512, 2, 128, 128);
	entry(1024, linux_fs);
	assert_int_equal(find(false), BOOT_NONE);
	entry(1024 + 128, esp);
	assert_int_equal(find(false), BOOT_UEFI);
	memset(image, 0x33, 200); /* Windows leaves code there */
	assert_int_equal(find(false), BOOT_UEFI);
	image[1024 + 48] = 1; /* required by the platform */
	assert_int_equal(find(false), BOOT_UEFI);
}

static void last_entry_counts(void **state)
{
	(void)state;
	gpt(512, 2, 128, 128);
	entry(1024 + 127 * 128, esp);
	assert_int_equal(find(false), BOOT_UEFI);
	put32(512 + 80, 127);
	assert_int_equal(find(false), BOOT_NONE);
}

static void blocks_of_4_kib(void **state)
{
	(void)state;
	gpt(4096, 2, 128, 128);
	entry(8192 + 5 * 128, esp);
	assert_int_equal(find(false), BOOT_UEFI);
}

static void what_is_for_a_bios_wins(void **state)
{
	(void)state;
	gpt(512, 2, 128, 128);
	entry(1024, esp);
	entry(1024 + 128, bios_boot); /* Debian's cloud images have both */
	assert_int_equal(find(false), BOOT_BIOS);
	entry(1024 + 128, linux_fs);
	image[1024 + 128 + 48] = 4; /* as syslinux wants it */
	assert_int_equal(find(false), BOOT_BIOS);
	image[1024 + 128 + 48] = 0;
	memcpy(image + 0x180, "GRUB", 4);
	assert_int_equal(find(false), BOOT_BIOS);
	memset(image, 0, 440);
	mbr(1, 0x80, 0x83); /* hybrid */
	assert_int_equal(find(false), BOOT_BIOS);
	mbr(1, 0, 0x83);
	assert_int_equal(find(false), BOOT_UEFI);
	mbr(0, 0x80, 0xee); /* some BIOSes wanted that */
	assert_int_equal(find(false), BOOT_UEFI);
}

static void disks_without_a_gpt(void **state)
{
	(void)state;
	assert_int_equal(find(false), BOOT_NONE);
	image[0] = 0xeb;
	assert_int_equal(find(false), BOOT_NONE); /* no boot sector */
	mbr(0, 0x80, 0x07);
	assert_int_equal(find(false), BOOT_BIOS);
	mbr(0, 0, 0);
	assert_int_equal(find(false), BOOT_BIOS); /* code, such as a superfloppy's */
	image[0] = 0;
	mbr(0, 0, 0xef);
	assert_int_equal(find(false), BOOT_UEFI); /* a stick for UEFI */
	gpt(512, 2, 128, 128);
	mbr(0, 0, 0x07); /* an old GPT below a new MBR */
	entry(1024, esp);
	assert_int_equal(find(false), BOOT_NONE);
}

static void hostile_tables(void **state)
{
	static const struct {
		u32 at, num, size;
	} rows[] = {
		{ 0xffffffff, 128, 128 },
		{ 2, 0xffffffff, 128 },
		{ 2, 128, 0xffffffff },
		{ 2, 128, 0 },
		{ 0, 128, 128 },
		{ 127, 0xffffffff, 4096 },
		{ 128, 128, 128 },
		{ 2, 0xffffffff, 4096 },
		{ 2, 128, 127 },
		{ 2, 0, 128 },
		{ 0x80000000, 1u << 31, 1 },
		{ 126, 128, 640 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		gpt(512, rows[i].at, rows[i].num, rows[i].size);
		put32(512 + 76, i & 1 ? 0x80000000 : 0);
		CHECK_ROW(find(false), BOOT_NONE, i);
	}
	memset(image, 0xff, SIZE);
	find(false);
	find(true);
}

static void short_disks(void **state)
{
	static const u32 sizes[] = { 0, 1, 511, 512, 513, 1024, 4096, 65535 };
	size_t i;

	(void)state;
	gpt(512, 2, 128, 128);
	entry(1024 + 100 * 128, esp);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		there = sizes[i];
		CHECK_ROW(find(false), sizes[i] > 1024 + 101 * 128 ? BOOT_UEFI : BOOT_NONE, i);
		CHECK_ROW(find(true), BOOT_NONE, i);
	}
}

/* ---- CDs ---- */

static u8 *catalog(u32 sector, u8 platform)
{
	u8 *c = image + sector * 2048;

	memcpy(image + 17 * 2048, "\0CD001\1EL TORITO SPECIFICATION", 30);
	put32(17 * 2048 + 0x47, sector);
	c[0] = 1;
	c[1] = platform;
	c[30] = 0x55;
	c[31] = 0xaa;
	c[32] = 0x88;
	return c;
}

static void cds_say_it_in_their_catalog(void **state)
{
	u8 *c;

	(void)state;
	assert_int_equal(find(true), BOOT_NONE);
	c = catalog(35, 0);
	assert_int_equal(find(true), BOOT_BIOS);
	c[64] = 0x91;
	c[65] = 0xef;
	assert_int_equal(find(true), BOOT_BIOS); /* as Debian's, which are for both */
	c[1] = 0xef;
	assert_int_equal(find(true), BOOT_UEFI);
	c[1] = 0;
	c[32] = 0; /* cannot be booted */
	assert_int_equal(find(true), BOOT_UEFI);
	c[30] = 0;
	assert_int_equal(find(true), BOOT_NONE);
	catalog(36, 0xef);
	assert_int_equal(find(true), BOOT_UEFI);
	assert_int_equal(find(false), BOOT_NONE);
	put32(17 * 2048 + 0x47, 0xffffffff);
	assert_int_equal(find(true), BOOT_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(esp_of_a_gpt_is_for_uefi),
		T(last_entry_counts),
		T(blocks_of_4_kib),
		T(what_is_for_a_bios_wins),
		T(disks_without_a_gpt),
		T(hostile_tables),
		T(short_disks),
		T(cds_say_it_in_their_catalog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
