// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gen1 machine in saved VMs.
 *
 * DOC: Theory of operation
 *
 * RAM below 1 MiB, with the copy of the firmware that runs there, is in memory as all other. What
 * goes with it comes along: both ROMs and all that firmware reads of fw_cfg. So a VM that is saved
 * while firmware runs finds the same bytes on a host that has another version of SeaBIOS or of
 * kvmbus, and its resets lead into the firmware that it has always had.
 *
 * Video memory is in the state, not in memory: it is copied while the guest stands. It has 16 MiB,
 * of which few are ever not zero. PAM and SMRAM registers, interrupt routes and where video memory
 * is mapped are PCI registers, or follow from them.
 */
#include "lib/log.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/fw_cfg.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"
#include "machine/dev/ps2.h"
#include "machine/dev/vga.h"
#include "machine/gen1_priv.h"
#include "machine/late.h"
#include "machine/mem.h"

/* Fields. Numbers are never used again. */
enum {
	GEN1_ROM = 1,	  /* the firmware, below 4 GiB */
	GEN1_VGA_ROM = 2, /* empty: there is none */
	GEN1_NO_BOOT = 3, /* 1: firmware has said that nothing can be booted */
	GEN1_SAYS = 4,	  /* bytes of a line that it has not ended */
	GEN1_FW_CFG = 5,  /* groups: of the devices */
	GEN1_PCI = 6,
	GEN1_IDE = 7,
	GEN1_VGA = 8,
	GEN1_PS2 = 9,
	GEN1_FLASH = 10, /* missing: it has none */
};

/* Fields of what must be the same. Numbers are never used again. */
enum {
	MATCH_DRIVES = 1, /* list: of each place on IDE, ide_kind() */
	MATCH_PCI = 2,	  /* list: pci_list() */
};

/* ---- saving ---- */

void gen1_save(struct gen1 *g, struct kvmb_tlv_out *o)
{
	late_deliver(g->machine->late);
	kvmb_tlv_put_bytes(o, GEN1_ROM, g->rom.rom, g->rom.len);
	kvmb_tlv_put_bytes(o, GEN1_VGA_ROM, g->vga_rom.rom, g->vga_rom.len);
	kvmb_tlv_put(o, GEN1_NO_BOOT, gen1_no_boot(g));
	pthread_mutex_lock(&g->lock);
	kvmb_tlv_put_bytes(o, GEN1_SAYS, g->line, g->line_len);
	pthread_mutex_unlock(&g->lock);
	kvmb_tlv_group(o, GEN1_FW_CFG);
	fw_cfg_save(g->fw_cfg, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, GEN1_PCI);
	pci_save(g->pci, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, GEN1_IDE);
	ide_save(g->ide, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, GEN1_VGA);
	vga_save(g->vga, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, GEN1_PS2);
	ps2_save(g->ps2, o);
	kvmb_tlv_group_end(o);
	if (!flash_has_chip(g->flash))
		return;
	kvmb_tlv_group(o, GEN1_FLASH);
	flash_save(g->flash, o);
	kvmb_tlv_group_end(o);
}

/* ---- loading ---- */

static void load_rom(struct gen1 *g, struct kvmb_tlv *group)
{
	size_t len;
	const u8 *rom = kvmb_tlv_get_bytes(group, GEN1_ROM, &len);
	int err;

	if (group->error->err)
		return;
	if (!len || len % FIRMWARE_UNIT || len > FIRMWARE_MOST) {
		kvmb_tlv_refuse(group, GEN1_ROM, "it is no firmware");
		return;
	}
	if (len == g->rom.len && !memcmp(rom, g->rom.rom, len))
		return;
	kvmb_info(g->machine->name, "it goes on with the firmware that it began with, not with %s",
		  g->rom.path);
	err = firmware_take(g->machine, &g->rom, rom, (u32)len);
	if (err)
		kvmb_tlv_refuse(group, GEN1_ROM, strerror(-err));
}

/* Before its registers, of which one is where the ROM is. */
static void load_vga_rom(struct gen1 *g, struct kvmb_tlv *group)
{
	size_t len;
	const u8 *rom = kvmb_tlv_get_bytes(group, GEN1_VGA_ROM, &len);
	int err;

	if (group->error->err)
		return;
	if (len > VGA_ROM_SIZE) {
		kvmb_tlv_refuse(group, GEN1_VGA_ROM, "it is longer than its place");
		return;
	}
	err = firmware_keep(&g->vga_rom, rom, (u32)len);
	if (err)
		kvmb_tlv_refuse(group, GEN1_VGA_ROM, strerror(-err));
	else
		vga_set_rom(g->vga, rom, len);
}

static void load_says(struct gen1 *g, struct kvmb_tlv *group)
{
	bool no_boot = kvmb_tlv_get(group, GEN1_NO_BOOT, 1);
	size_t len, i;
	const u8 *says = kvmb_tlv_get_bytes(group, GEN1_SAYS, &len);

	for (i = 0; i < len && says[i] >= ' ' && says[i] < 127; i++)
		;
	if (i < len || len >= GEN1_LINE)
		kvmb_tlv_refuse(group, GEN1_SAYS, "it is no part of a line");
	if (group->error->err)
		return;
	if (len)
		memcpy(g->line, says, len);
	g->line_len = (u32)len;
	__atomic_store_n(&g->no_boot, no_boot, __ATOMIC_RELAXED);
}

static bool find_device(struct kvmb_tlv *group, unsigned int field, struct kvmb_tlv *dev)
{
	size_t pos = 0;

	if (group->error->err)
		return false;
	if (kvmb_tlv_each(group, field, &pos, dev))
		return true;
	kvmb_tlv_refuse(group, field, "it is missing");
	return false;
}

/* Below the ROM, which has been loaded. */
static void load_flash(struct gen1 *g, struct kvmb_tlv *group)
{
	struct kvmb_tlv dev;
	size_t pos = 0;
	bool there = !group->error->err && kvmb_tlv_each(group, GEN1_FLASH, &pos, &dev);

	flash_load(g->flash, MEM_HIGH_BASE - g->rom.len, there ? &dev : NULL, group->error);
}

int gen1_load(struct gen1 *g, struct kvmb_tlv *group)
{
	struct kvmb_tlv dev;

	load_rom(g, group);
	load_flash(g, group);
	load_vga_rom(g, group);
	load_says(g, group);
	if (find_device(group, GEN1_FW_CFG, &dev))
		fw_cfg_load(g->fw_cfg, &dev);
	if (find_device(group, GEN1_PCI, &dev))
		pci_load(g->pci, &dev);
	vga_renamed(g->vga);
	if (find_device(group, GEN1_IDE, &dev))
		ide_load(g->ide, &dev);
	if (find_device(group, GEN1_VGA, &dev))
		vga_load(g->vga, &dev);
	if (find_device(group, GEN1_PS2, &dev))
		ps2_load(g->ps2, &dev);
	return kvmb_tlv_done(group);
}

void gen1_loaded(struct gen1 *g)
{
	ide_loaded(g->ide);
	ps2_loaded(g->ps2);
}

void gen1_dirty(struct gen1 *g)
{
	ide_dirty(g->ide);
}

/* ---- what must be the same ---- */

static void list_kinds(const struct gen1 *g, u64 kinds[IDE_DRIVES])
{
	u32 i;

	for (i = 0; i < IDE_DRIVES; i++)
		kinds[i] = ide_kind(g->ide, i);
}

void gen1_match_put(const struct gen1 *g, struct kvmb_tlv_out *o)
{
	u64 kinds[IDE_DRIVES], funcs[PCI_FUNCS];

	list_kinds(g, kinds);
	kvmb_tlv_put_list(o, MATCH_DRIVES, kinds, IDE_DRIVES);
	kvmb_tlv_put_list(o, MATCH_PCI, funcs, pci_list(g->pci, funcs));
}

static void check_drives(const struct gen1 *g, struct kvmb_tlv *group)
{
	static const char *const names[] = { "nothing", "a disk", "a read-only disk",
					     "a CD drive" };
	u64 here[IDE_DRIVES], *there;
	char why[100];
	size_t num, i;

	list_kinds(g, here);
	there = kvmb_tlv_get_list(group, MATCH_DRIVES, IDE_DRIVES, &num);
	for (i = 0; i < num && there[i] < ARRAY_SIZE(names) && there[i] == here[i]; i++)
		;
	if (num != IDE_DRIVES || (i < num && there[i] >= ARRAY_SIZE(names)))
		kvmb_tlv_refuse(group, MATCH_DRIVES, "these are no drives");
	else if (i < num) {
		snprintf(why, sizeof(why), "IDE drive %zu was %s, and is %s here", i,
			 names[there[i]], names[here[i]]);
		kvmb_tlv_refuse(group, MATCH_DRIVES, why);
	}
	free(there);
}

static void check_pci(const struct gen1 *g, struct kvmb_tlv *group)
{
	u64 here[PCI_FUNCS], *there;
	size_t num, len = pci_list(g->pci, here);

	there = kvmb_tlv_get_list(group, MATCH_PCI, PCI_FUNCS, &num);
	if (num != len || (num && memcmp(there, here, num * sizeof(*here))))
		kvmb_tlv_refuse(group, MATCH_PCI, "it had other devices on its PCI bus");
	free(there);
}

void gen1_match_check(const struct gen1 *g, struct kvmb_tlv *group)
{
	check_drives(g, group);
	check_pci(g, group);
	kvmb_tlv_done(group);
}
