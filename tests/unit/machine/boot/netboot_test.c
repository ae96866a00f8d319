// SPDX-License-Identifier: GPL-2.0-only
/* iPXE for firmware: which files are taken, and the option ROM that starts one. */
#include "machine/boot/netboot.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/test.h"

static char dir[40], firmware[60], path[80], why[600];

static void write_program(const char *name, const char *magic, u32 at, u8 setup, u32 len)
{
	u8 *p = calloc(1, len);
	FILE *f;

	assert_non_null(p);
	memcpy(p + at, magic, strlen(magic));
	p[0x1f1] = setup;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	fclose(f);
	free(p);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/kvmbus-netboot-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(firmware, sizeof(firmware), "%s/bios.bin", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(dir);
	return 0;
}

static int try_open(bool uefi)
{
	struct firmware f = { 0 };
	int err = netboot_open(&f, firmware, uefi, why, sizeof(why));

	assert_int_equal(!f.rom, !!err);
	firmware_close(&f);
	return err;
}

static void what_is_beside_firmware_is_taken(void **state)
{
	(void)state;
	write_program("ipxe.lkrn", "HdrS", 0x202, 5, 5000);
	assert_int_equal(try_open(false), 0);
	unlink(path);
	write_program("ipxe.efi", "MZ", 0, 0, 5000);
	assert_int_equal(try_open(true), 0);
}

static void what_firmware_cannot_start_is_refused(void **state)
{
	(void)state;
	write_program("ipxe.lkrn", "HdrS", 0x202, 9, 5000); /* no more than its setup part */
	assert_int_equal(try_open(false), -EINVAL);
	assert_non_null(strstr(why, "--boot net: "));
	assert_non_null(strstr(why, "ipxe.lkrn: it is no iPXE in the form"));
	write_program("ipxe.lkrn", "HdrS", 0x202, 200, 200000);
	assert_int_equal(try_open(false), -EINVAL);
	write_program("ipxe.lkrn", "MZ", 0, 5, 5000);
	assert_int_equal(try_open(false), -EINVAL);
	write_program("ipxe.lkrn", "HdrS", 0x202, 5, 700);
	assert_int_equal(try_open(false), -EINVAL);
	write_program("ipxe.lkrn", "HdrS", 0x202, 5, NETBOOT_MOST + 1);
	assert_int_equal(try_open(false), -EINVAL);
}

static u8 sum(const u8 *p, u32 len)
{
	u8 s = 0;

	while (len--)
		s = (u8)(s + *p++);
	return s;
}

/* What a BIOS looks at before it takes a ROM: SeaBIOS src/optionroms.c. */
static void a_bios_accepts_the_rom(void **state)
{
	u8 rom[NETBOOT_ROM_LEN], content[5000] = { 0 };
	struct firmware f = { .rom = content, .len = sizeof(content) };
	const u8 *pnp;
	u16 entry;

	(void)state;
	content[0x1f1] = 3;
	netboot_make_rom(rom, &f, 0x2b);
	assert_int_equal(rom[0], 0x55);
	assert_int_equal(rom[1], 0xaa);
	assert_int_equal(rom[2] * 512, sizeof(rom));
	assert_int_equal(sum(rom, sizeof(rom)), 0);
	assert_memory_equal(rom + rom[0x18], "PCIR\x11\x10\x09", 8);
	pnp = rom + rom[0x1a];
	assert_memory_equal(pnp, "$PnP\1\2", 6);
	assert_int_equal(sum(pnp, 32), 0);
	memcpy(&entry, pnp + 26, 2);
	assert_in_range(entry, 0x20, sizeof(rom) - 1);
	/* where the program is: key, setup part, all */
	assert_memory_equal(rom + 0x60, "\x2b\0\0\0\0\x08\0\0\x88\x13\0\0", 12);
	netboot_make_rom(rom, NULL, 0);
	assert_int_equal(sum(rom, sizeof(rom)), 0);
	assert_memory_equal(rom + 0x68, "\0\0\0\0", 4); /* it returns at once */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_beside_firmware_is_taken),
		T(what_firmware_cannot_start_is_refused),
		T(a_bios_accepts_the_rom),
	};

	return cmocka_run_group_tests_name("netboot", tests, NULL, NULL);
}
