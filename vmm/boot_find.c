// SPDX-License-Identifier: GPL-2.0-only
/* Partition tables and boot catalogs, as far as they say who starts a disk: boot_find.h. */
#include "vmm/boot_find.h"

#include <stdlib.h>

#include "lib/util.h"

#define UNIT 4096u
#define HEAD 65536u /* first bytes of a disk: MBR, and a GPT of 128 entries with its header */
#define CODE 440u   /* bytes of code in an MBR */
#define TABLE 446u
#define MBR_ENTRIES 4u

#define TYPE_GPT 0xeeu /* of an MBR's partition: the disk has a GPT */
#define TYPE_ESP 0xefu
#define ACTIVE 0x80u

#define GPT_MOST 128u	    /* entries that are looked at */
#define GPT_OLD_FIRMWARE 4u /* attribute: legacy BIOS bootable */

static const u8 guid_esp[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
				 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };
static const u8 guid_bios_boot[16] = { 0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e,
				       0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49 };

struct signs {
	bool gpt; /* the MBR says that there is one */
	bool esp, bios, code;
};

static u32 get32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static u64 get64(const u8 *p)
{
	return get32(p) | (u64)get32(p + 4) << 32;
}

/* ---- disks ---- */

static void read_mbr(const u8 *head, struct signs *s)
{
	u32 i;

	if (head[510] != 0x55 || head[511] != 0xaa)
		return;
	for (i = 0; i < CODE; i++)
		s->code |= head[i] != 0;
	s->bios |= memmem(head, CODE, "GRUB", 4) != NULL;
	for (i = 0; i < MBR_ENTRIES; i++) {
		const u8 *e = head + TABLE + i * 16;

		s->gpt |= e[4] == TYPE_GPT;
		s->esp |= e[4] == TYPE_ESP;
		s->bios |= e[0] == ACTIVE && e[4] && e[4] != TYPE_GPT && e[4] != TYPE_ESP;
	}
}

static void read_entry(const u8 *e, struct signs *s)
{
	if (!memcmp(e, guid_esp, sizeof(guid_esp)))
		s->esp = true;
	else if (!memcmp(e, guid_bios_boot, sizeof(guid_bios_boot)))
		s->bios = true;
	if (get64(e + 48) & GPT_OLD_FIRMWARE)
		s->bios = true;
}

/* Its header is in the second block, whatever a block is. Entries outside of @head do not count. */
static void read_gpt(const u8 *head, u32 block, struct signs *s)
{
	const u8 *h = head + block;
	u64 at = get64(h + 72);
	u32 num = KVMB_MIN(get32(h + 80), GPT_MOST), size = get32(h + 84), i;

	if (memcmp(h, "EFI PART", 8) || at < 2 || at >= HEAD / block || size < 128 || size > UNIT)
		return;
	at *= block;
	for (i = 0; i < num && at + (u64)(i + 1) * size <= HEAD; i++)
		read_entry(head + at + i * size, s);
}

static enum boot_kind find_on_disk(const u8 *head)
{
	struct signs s = { 0 };

	read_mbr(head, &s);
	if (s.gpt) {
		read_gpt(head, 512, &s);
		read_gpt(head, UNIT, &s);
	}
	if (s.esp && !s.bios)
		return BOOT_UEFI;
	return s.bios || s.code ? BOOT_BIOS : BOOT_NONE;
}

/* ---- CDs ---- */

#define SECTOR 2048u
#define BOOT_RECORD 17u /* sector */
#define PLATFORM_EFI 0xefu
#define ENTRIES (SECTOR / 32)

/* A section: one header, then as many entries as it says. */
static enum boot_kind read_catalog(const u8 *c)
{
	bool bios = false, efi = false;
	u32 i;

	if (c[0] != 1 || c[30] != 0x55 || c[31] != 0xaa)
		return BOOT_NONE;
	if (c[32] == 0x88 && c[1] == PLATFORM_EFI)
		efi = true;
	else if (c[32] == 0x88)
		bios = true;
	for (i = 2; i < ENTRIES; i++) {
		const u8 *h = c + i * 32;

		if (h[0] != 0x90 && h[0] != 0x91)
			continue;
		efi |= h[1] == PLATFORM_EFI;
		bios |= h[1] == 0;
	}
	return bios ? BOOT_BIOS : efi ? BOOT_UEFI : BOOT_NONE;
}

static enum boot_kind find_on_cd(const struct boot_source *s, const u8 *head)
{
	const u8 *r = head + BOOT_RECORD * SECTOR;
	u8 *c = aligned_alloc(UNIT, UNIT);
	enum boot_kind kind = BOOT_NONE;
	u64 at;

	if (!memcmp(r, "\0CD001\1EL TORITO SPECIFICATION", 30)) {
		at = (u64)get32(r + 0x47) * SECTOR;
		if (c && s->read(s->arg, at & ~(u64)(UNIT - 1), c, UNIT))
			kind = read_catalog(c + at % UNIT);
	}
	free(c);
	return kind;
}

enum boot_kind boot_find(const struct boot_source *s)
{
	u8 *head = aligned_alloc(UNIT, HEAD);
	enum boot_kind kind = BOOT_NONE;

	if (head && s->read(s->arg, 0, head, HEAD))
		kind = s->cd ? find_on_cd(s, head) : find_on_disk(head);
	free(head);
	return kind;
}
