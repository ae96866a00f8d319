// SPDX-License-Identifier: GPL-2.0-only
/* Booting from the network: netboot.h. */
#include "machine/boot/netboot.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/util.h"

#define SETUP_MOST 0xc000u /* bytes: heap and stack are behind it in its segment */
#define PNP_HEADER 0x1au   /* where the ROM says where its own is */
#define PNP_LEN 32u
#define PNP_SUM 9u

/* netboot_rom.S; params: key, nothing, length of the setup part, length of all */
extern const u8 netboot_rom[], netboot_rom_end[], netboot_params[];

static u32 setup_len(const struct firmware *f)
{
	return (f->rom[0x1f1] ? f->rom[0x1f1] + 1u : 5u) * 512;
}

static bool is_program(const struct firmware *f, bool uefi)
{
	if (uefi)
		return f->len > 1024 && !memcmp(f->rom, "MZ", 2);
	return f->len > 1024 && !memcmp(f->rom + 0x202, "HdrS", 4) && setup_len(f) < f->len &&
	       setup_len(f) <= SETUP_MOST;
}

int netboot_open(struct firmware *f, const char *firmware, bool uefi, char *why, size_t size)
{
	const char *slash = strrchr(firmware, '/'), *name = uefi ? "ipxe.efi" : "ipxe.lkrn";
	char path[4096], reason[512];
	int err;

	snprintf(path, sizeof(path), "%.*s/%s", slash ? (int)(slash - firmware) : 1,
		 slash ? firmware : ".", name);
	if (access(path, R_OK))
		snprintf(path, sizeof(path), "/usr/lib/ipxe/%s", name);
	err = firmware_open(f, path, 1, reason, sizeof(reason));
	f->path = name;
	if (!err && f->len <= NETBOOT_MOST && is_program(f, uefi))
		return 0;
	snprintf(why, size, "--boot net: %.300s: %s%s", path,
		 err ? strerror(-err) : "it is no iPXE in the form that this firmware starts",
		 err == -ENOENT ? "; install the package ipxe" : "");
	firmware_close(f);
	return err ? err : -EINVAL;
}

static u8 missing_sum(const u8 *p, u32 len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return (u8)-sum;
}

void netboot_make_rom(u8 *rom, const struct firmware *program, u16 key)
{
	struct {
		__le16 key, none;
		__le32 setup, all;
	} params = { cpu_to_le16(key) };
	u32 pnp;

	kvmb_assert(netboot_rom_end - netboot_rom == NETBOOT_ROM_LEN);
	memcpy(rom, netboot_rom, NETBOOT_ROM_LEN);
	if (program) {
		params.setup = cpu_to_le32(setup_len(program));
		params.all = cpu_to_le32(program->len);
	}
	memcpy(rom + (netboot_params - netboot_rom), &params, sizeof(params));
	pnp = rom[PNP_HEADER];
	rom[pnp + PNP_SUM] = missing_sum(rom + pnp, PNP_LEN);
	rom[NETBOOT_ROM_LEN - 1] = missing_sum(rom, NETBOOT_ROM_LEN - 1);
}
