// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gen1 machine goes on in another process, on a host with other firmware, as firmware and GRUB
 * left it; and streams that lie.
 */
#include "lib/log.h"
#include "machine/late.h"
#include "tests/harness/gen1_box.h"
#include "tests/harness/tlv_mutate.h"
#include "tests/unit/test.h"

static struct kvmb_tlv_out saved;
static struct kvmb_tlv_error error;

static int load(struct world *w, const u8 *buf, size_t len)
{
	struct kvmb_tlv t;
	size_t pos = 0;
	int err;

	memset(&error, 0, sizeof(error));
	assert_int_equal(kvmb_tlv_next(buf, len, &pos, &t, &error), 0);
	err = gen1_load(w->m.gen1, &t);
	assert_int_equal(err, error.err);
	assert_int_equal(!err, !error.text[0]);
	return err;
}

static int setup(void **state)
{
	(void)state;
	box_install(&world[0], BIOS_HERE, VGA_BIOS, 1);
	box_install(&world[1], BIOS_THERE, VGA_BIOS / 2, 9);
	box_build(&world[0], "one");
	box_build(&world[1], "another");
	gen1_box_live(&world[0]);
	box_save(&world[0], &saved);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	box_take_apart(&world[0]);
	box_take_apart(&world[1]);
	box_uninstall(&world[0]);
	box_uninstall(&world[1]);
	kvmb_tlv_out_fini(&saved);
	return 0;
}

/* ---- it arrives ---- */

static void gen1_devices_go_on(void **state)
{
	struct world *a = &world[0], *b = &world[1];
	u32 i;

	(void)state;
	assert_int_equal(load(b, saved.buf, saved.len), 0);
	assert_int_equal(b->lines[14], 0); /* interrupt controllers come first */
	gen1_loaded(b->m.gen1);
	ide_resume(gen1_ide(b->m.gen1));
	ide_resume(gen1_ide(a->m.gen1));
	assert_int_equal(a->lines[14], 1);
	assert_int_equal(b->lines[14], 1);
	assert_int_equal(inb(b, 0x1f7), 0x58); /* DRQ: what the disk says of itself */
	assert_int_equal(b->lines[14], 0);
	assert_int_equal(box_config_of(b, 2, 0, 0x10), VIDEO_AT | 8);
	assert_int_equal(box_config_of(b, 2, 0, 0x30), 0xfebe0001);
	assert_int_equal(box_config_of(b, 0, 0, 0x58), 0x11331000);
	assert_int_equal(b->slots[MEM_SLOT_VIDEO].guest_phys_addr, VIDEO_AT);
	assert_int_equal(b->slots[MEM_SLOT_VIDEO].memory_size, VGA_MEMORY);
	assert_string_equal((char *)box_video(b) + 5 * 4096, "GRUB");
	for (i = 0; i < 4; i++)
		assert_int_equal(b->m.pci->route[i], i % 2 ? 11 : 10);
	assert_int_equal(inb(b, 0x3d5), 0x5a);
	for (i = 0; i < 100; i++)
		assert_int_equal(inb(b, 0x511), inb(a, 0x511));
	assert_false(gen1_no_boot(b->m.gen1));
	box_says(b, "ice.\n");
	assert_true(gen1_no_boot(b->m.gen1));
}

static void gen1_without_network_boot_has_no_rom_for_it(void **state)
{
	u32 len = 77;

	(void)state;
	assert_null(gen1_netboot_rom(world[0].m.gen1, &len));
	assert_int_equal(len, 0);
}

/* What KVM keeps is in a machine that is saved, and one that is reset is rid of it. */
static void gen1_has_what_kvm_keeps_before_it_is_saved_or_reset(void **state)
{
	struct world *a = &world[0], *b = &world[1];
	struct kvmb_tlv_out o;
	u32 i;

	(void)state;
	assert_int_equal(a->num_late, 2);
	for (i = 0; i < 2; i++) {
		assert_int_equal(a->late[i].addr, i ? 0x171 : 0x1f1);
		assert_int_equal(a->late[i].size, 6);
		assert_true(a->late[i].pio);
	}
	late_outb(a, 0x172, 0x77);
	late_outb(a, 0x173, 0x5a);
	box_save(a, &o);
	assert_int_equal(load(b, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
	assert_int_equal(inb(b, 0x172), 0x77);
	assert_int_equal(inb(b, 0x173), 0x5a);
	assert_int_equal(late_delivered(a->m.late), 2);
	late_outb(a, 0x172, 0x33);
	gen1_enter(a->m.gen1);
	assert_int_equal(late_delivered(a->m.late), 3);
	late_deliver(a->m.late);
	assert_int_equal(inb(a, 0x172), 1); /* as after power-on */
}

/* A guest that finds another disk where one was gives it up. */
static void gen1_disk_calls_itself_as_it_did(void **state)
{
	struct world *b = &world[1];
	u16 id[256];
	u32 i;

	(void)state;
	assert_int_equal(load(b, saved.buf, saved.len), 0);
	gen1_loaded(b->m.gen1);
	ide_resume(gen1_ide(b->m.gen1));
	for (i = 0; i < 256; i++)
		iobus_access(&b->m.pio, 0x1f0, 2, false, &id[i]);
	outb(b, 0x1f7, 0xec); /* and says so again */
	for (i = 0; i < 256; i++)
		iobus_access(&b->m.pio, 0x1f0, 2, false, &id[i]);
	assert_int_equal(id[10], 'o' << 8 | 'n');
	assert_int_equal(id[11] >> 8, 'e');
}

/* ---- the graphics card's name ---- */

#define QEMU_ID 0x11111234u
#define HYPERV_ID 0x53531414u

/* As a kvmbus of before has it. */
static void rename_vga(struct world *w, u32 id)
{
	struct pci_func *f = w->m.pci->funcs[0];
	u32 i;

	for (i = 0; f->slot != VGA_SLOT; i++)
		f = w->m.pci->funcs[i];
	pci_put16(f, 0, (u16)id);
	pci_put16(f, 2, (u16)(id >> 16));
	f->other_id = id == QEMU_ID ? HYPERV_ID : QEMU_ID;
}

/* A driver has found the card by it. */
static void gen1_graphics_card_keeps_its_name(void **state)
{
	struct world *a = &world[0], *b = &world[1];
	struct kvmb_tlv_out o;

	(void)state;
	assert_int_equal(box_config_of(a, VGA_SLOT, 0, 0), HYPERV_ID); /* with a BIOS */
	ide_resume(gen1_ide(a->m.gen1));
	rename_vga(a, QEMU_ID);
	box_save(a, &o);
	assert_int_equal(load(b, o.buf, o.len), 0);
	assert_int_equal(box_config_of(b, VGA_SLOT, 0, 0), QEMU_ID);
	gen1_loaded(b->m.gen1);
	ide_resume(gen1_ide(b->m.gen1));
	kvmb_tlv_out_fini(&o);
	box_save(b, &o); /* and again */
	box_take_apart(a);
	box_build(a, "one");
	assert_int_equal(load(a, o.buf, o.len), 0);
	assert_int_equal(box_config_of(a, VGA_SLOT, 0, 0), QEMU_ID);
	kvmb_tlv_out_fini(&o);
}

/* ---- UEFI firmware ---- */

#define CODE 0x4000u
#define VARS 0x3000u

/* The same host with firmware in two files instead. */
static void have_uefi(struct world *w, u32 code, u8 seed)
{
	char vars[80];

	box_take_apart(w);
	snprintf(vars, sizeof(vars), "%s/VARS.fd", w->dir);
	unlink(w->bios);
	snprintf(w->bios, sizeof(w->bios), "%s/CODE.fd", w->dir);
	box_write_rom(w->bios, code, seed);
	box_write_rom(vars, VARS, (u8)(seed + 1));
	box_build(w, "one");
	gen1_enter(w->m.gen1);
	unlink(vars);
}

static void erase_flash(struct world *w, u64 at)
{
	static const u8 cycles[] = { 0x20, 0xd0 };

	pci_memory(w->m.pci, at, 1, true, (void *)&cycles[0]);
	pci_memory(w->m.pci, at, 1, true, (void *)&cycles[1]);
}

static void gen1_variables_come_along(void **state)
{
	struct world *a = &world[0], *b = &world[1];
	struct kvm_userspace_memory_region *flash = &b->slots[MEM_SLOT_FLASH];
	const u64 base = MEM_HIGH_BASE - CODE - VARS;
	struct kvmb_tlv_out o;
	u8 v = 0xff;

	(void)state;
	have_uefi(a, CODE, 3);
	erase_flash(a, base + 0x1000);
	box_save(a, &o);
	assert_int_equal(load(b, o.buf, o.len), 0); /* which has a BIOS */
	assert_int_equal(flash->memory_size, 0);    /* its status is asked for */
	pci_memory(b->m.pci, base, 1, true, &v);
	assert_int_equal(flash->guest_phys_addr, base);
	assert_int_equal(flash->memory_size, VARS);
	assert_int_equal(*(u8 *)(uintptr_t)(flash->userspace_addr + 0x1800), 0xff);
	assert_memory_equal((u8 *)(uintptr_t)flash->userspace_addr,
			    (u8 *)(uintptr_t)a->slots[MEM_SLOT_FLASH].userspace_addr, VARS);
	gen1_enter(b->m.gen1);
	have_uefi(b, 2 * CODE, 5); /* another version, of another size */
	assert_int_equal(load(b, o.buf, o.len), 0);
	pci_memory(b->m.pci, base, 1, true, &v);
	assert_int_equal(flash->guest_phys_addr, base);
	assert_int_equal(load(b, saved.buf, saved.len), 0); /* one with a BIOS */
	assert_int_equal(flash->memory_size, 0);
	kvmb_tlv_out_fini(&o);
}

/* What runs below 1 MiB belongs to it: so it comes along, whatever is installed here. */
static void gen1_keeps_the_firmware_that_it_began_with(void **state)
{
	struct world *a = &world[0], *b = &world[1];
	struct kvm_userspace_memory_region *rom = &b->slots[MEM_SLOT_ROM];
	u64 v = ~0ull;

	(void)state;
	assert_int_equal(rom->memory_size, BIOS_THERE);
	assert_int_equal(load(b, saved.buf, saved.len), 0);
	assert_int_equal(rom->memory_size, BIOS_HERE);
	assert_int_equal(rom->guest_phys_addr, MEM_HIGH_BASE - BIOS_HERE);
	assert_int_equal(rom->flags, KVM_MEM_READONLY);
	assert_memory_equal((u8 *)(uintptr_t)rom->userspace_addr,
			    (u8 *)(uintptr_t)a->slots[MEM_SLOT_ROM].userspace_addr, BIOS_HERE);
	pci_memory(b->m.pci, 0xfebe0000 + VGA_BIOS - 8, 8, false, &v);
	assert_memory_equal(&v, a->m.gen1->vga_rom.rom + VGA_BIOS - 8, 8);
	gen1_enter(b->m.gen1); /* a reset */
	assert_memory_equal(b->ram + 0xe0000, a->m.gen1->rom.rom, BIOS_HERE);
}

/* Where only one of the hosts has a VGA BIOS. */
static void gen1_has_a_vga_bios_if_it_had_one(void **state)
{
	struct world *a = &world[0], *b = &world[1];
	int from;

	(void)state;
	for (from = 0; from < 2; from++) {
		struct world *none = from ? b : a, *w;

		for (w = world; w < world + 2; w++) {
			box_take_apart(w);
			box_build(w, "one");
		}
		vga_set_rom(gen1_vga(none->m.gen1), NULL, 0);
		assert_int_equal(firmware_keep(&none->m.gen1->vga_rom, NULL, 0), 0);
		gen1_enter(a->m.gen1);
		box_config(a, 2, 0, 0x30, 0xfebe0001);
		kvmb_tlv_out_fini(&saved);
		box_save(a, &saved);
		assert_int_equal(load(b, saved.buf, saved.len), 0);
		assert_int_equal(box_config_of(b, 2, 0, 0x30), from ? 0xfebe0001 : 0);
	}
}

static void gen1_is_saved_again_as_it_was(void **state)
{
	struct kvmb_tlv_out first = saved;

	(void)state;
	assert_int_equal(load(&world[1], saved.buf, saved.len), 0);
	gen1_loaded(world[1].m.gen1);
	box_save(&world[1], &saved);
	assert_int_equal(saved.len, first.len);
	assert_memory_equal(saved.buf, first.buf, first.len);
	kvmb_tlv_out_fini(&first);
}

/* ---- what must be the same ---- */

static const char *match(void)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	kvmb_tlv_begin(&o, KVMB_SEC_HOST, 0, 0);
	gen1_match_put(world[0].m.gen1, &o);
	kvmb_tlv_end(&o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	gen1_match_check(world[1].m.gen1, &t);
	kvmb_tlv_out_fini(&o);
	return error.err ? error.text : "";
}

static void other_drives_are_told_of_before_anything_moves(void **state)
{
	struct ide_drive_config disk = { .ops = &box_disk_ops, .read_only = true };

	(void)state;
	assert_string_equal(match(), "");
	ide_attach(gen1_ide(world[1].m.gen1), 3, &disk);
	assert_non_null(strstr(match(), "IDE drive 3 was nothing, and is a read-only disk here"));
	box_attach(&world[0], 3, true, "");
	assert_non_null(strstr(match(), "IDE drive 3 was a CD drive, and is a read-only disk "
					"here"));
	assert_int_not_equal(load(&world[1], saved.buf, saved.len), 0);
}

static void graphics_card_moves_by_either_name(void **state)
{
	(void)state;
	rename_vga(&world[0], QEMU_ID);
	assert_string_equal(match(), "");
	rename_vga(&world[1], QEMU_ID);
	assert_string_equal(match(), "");
	rename_vga(&world[0], HYPERV_ID);
	assert_string_equal(match(), "");
	rename_vga(&world[0], 0x00b81013); /* another card is none */
	world[0].m.pci->funcs[0]->other_id = 0;
	assert_non_null(strstr(match(), "it had other devices on its PCI bus"));
}

static void other_pci_devices_are_told_of_before_anything_moves(void **state)
{
	static struct pci_func nic;

	(void)state;
	nic = (struct pci_func){ .slot = 9, .dev = &nic };
	pci_func_init(&nic, 0x1011, 9, 0x020000, 0);
	pci_add(world[1].m.pci, &nic);
	assert_non_null(strstr(match(), "it had other devices on its PCI bus"));
	assert_int_not_equal(load(&world[1], saved.buf, saved.len), 0);
	assert_non_null(strstr(error.text, "PCI device 09.0: the saved VM did not have it"));
}

/* ---- lies ---- */

static bool is_group(u32 path)
{
	return path == 5 || path == 6 || path == 7 || path == 8 || path == 9 || path == 0x503 ||
	       path == 0x602 || path == 0x701 || path == 0x7010a || path == 0x819;
}

static size_t stream_len(const u8 *buf)
{
	return *(const u32 *)(const void *)(buf + 16) + TLV_HEADER;
}

/* Whatever was taken: the guest goes on, and is reset. */
static int load_lie(u8 *buf)
{
	struct world *w = &world[1];
	struct kvmb_tlv_error first;
	int err;
	u32 i;

	box_take_apart(w);
	box_build(w, "another");
	tlv_fix_crc(buf, stream_len(buf));
	err = load(w, buf, stream_len(buf));
	first = error;
	free(buf);
	if (!err) {
		gen1_loaded(w->m.gen1);
		ide_resume(gen1_ide(w->m.gen1));
		for (i = 0; i < 256; i += 4)
			box_config_of(w, 2, 0, i), box_config(w, 1, 1, i, ~0u);
		for (i = 0; i < 1000; i++)
			inb(w, 0x511);
		for (i = 0; i < 9; i++)
			inb(w, (u16)(0x1f0 + i)), inb(w, (u16)(0x170 + i));
		inb(w, 0x60);
		box_says(w, "\n");
		ide_stop(gen1_ide(w->m.gen1), NULL, NULL);
		gen1_enter(w->m.gen1);
	}
	error = first;
	return err;
}

static void gen1_streams_that_lie_do_no_harm(void **state)
{
	static struct tlv_spots spots;
	u8 *buf;
	u32 i;
	int way;

	(void)state;
	spots.num = 0;
	tlv_find_spots(saved.buf, TLV_HEADER, saved.len, 0, is_group, &spots);
	assert_in_range(spots.num, 100, TLV_MAX_SPOTS);
	for (i = 0; i < spots.num; i++) {
		for (way = 0; way < TLV_WAYS; way++) {
			buf = tlv_copy(&saved);
			tlv_spoil(buf, &spots.spot[i], way);
			load_lie(buf);
		}
	}
}

static void gen1_streams_that_cannot_be_are_refused(void **state)
{
	static const struct tlv_row rows[] = {
		{ 3, 0, 2, "field 3" },
		{ 0x501, 0, 0xffff, "field 1" },
		{ 0x50301, 0, 0x19, "no such item" },
		{ 0x50301, 1, 0, "no such item" },
		{ 0x50301, 4, 0x30, "no such item" },
		{ 0x601, 0, 1ull << 32, "field 1" },
		{ 0x60201, 1, 0, "PCI device 00.0: it comes twice" },
		{ 0x60201, 0, 77, "PCI device 09.5: this machine does not have it" },
		{ 0x60202, 0, 1, "another device is there" },
		{ 0x60203, 0, 16, "another size" },
		{ 0x7010a21, 0, 100, "size of a sector" },
	};
	static struct tlv_spots spots;
	u8 *buf;

	(void)state;
	spots.num = 0;
	tlv_find_spots(saved.buf, TLV_HEADER, saved.len, 0, is_group, &spots);
	tlv_refuse_each(&saved, &spots, load_lie, &error, rows, ARRAY_SIZE(rows));
	buf = tlv_copy(&saved);
	buf[tlv_spot(&spots, 4, 0)->at + TLV_FIELD] = '\n';
	assert_int_not_equal(load_lie(buf), 0);
	assert_non_null(strstr(error.text, "no part of a line"));
	buf = tlv_copy(&saved);
	tlv_lose(buf, tlv_spot(&spots, 9, 0));
	assert_int_not_equal(load_lie(buf), 0);
	assert_non_null(strstr(error.text, "field 9: it is missing"));
}

static void no_register_changes_that_a_guest_cannot_change(void **state)
{
	static struct tlv_spots spots;
	u8 *buf = tlv_copy(&saved);
	u32 i;

	(void)state;
	spots.num = 0;
	tlv_find_spots(saved.buf, TLV_HEADER, saved.len, 0, is_group, &spots);
	for (i = 0; i < world[0].m.pci->num; i++)
		memset(buf + tlv_spot(&spots, 0x60204, i)->at + TLV_FIELD, 0xff, 256);
	assert_int_equal(load_lie(buf), 0);
	for (i = 0; i < world[1].m.pci->num; i++) {
		struct pci_func *a = world[0].m.pci->funcs[i], *b = world[1].m.pci->funcs[i];
		u32 reg;

		for (reg = 0; reg < 256; reg++)
			assert_int_equal((a->config[reg] ^ b->config[reg]) & ~a->can_write[reg], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(gen1_devices_go_on),
		T(gen1_without_network_boot_has_no_rom_for_it),
		T(gen1_has_what_kvm_keeps_before_it_is_saved_or_reset),
		T(gen1_graphics_card_keeps_its_name),
		T(graphics_card_moves_by_either_name),
		T(gen1_disk_calls_itself_as_it_did),
		T(gen1_keeps_the_firmware_that_it_began_with),
		T(gen1_variables_come_along),
		T(gen1_has_a_vga_bios_if_it_had_one),
		T(gen1_is_saved_again_as_it_was),
		T(other_drives_are_told_of_before_anything_moves),
		T(other_pci_devices_are_told_of_before_anything_moves),
		T(gen1_streams_that_lie_do_no_harm),
		T(gen1_streams_that_cannot_be_are_refused),
		T(no_register_changes_that_a_guest_cannot_change),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
