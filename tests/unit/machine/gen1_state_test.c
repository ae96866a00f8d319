// SPDX-License-Identifier: GPL-2.0-only
/*
 * A gen1 machine goes on in another process, on a host with other firmware, as firmware and GRUB
 * left it; and streams that lie. The devices are the real ones, KVM is played.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/log.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"
#include "machine/dev/vga.h"
#include "machine/gen1_priv.h"
#include "machine/irq.h"
#include "machine/mem.h"
#include "tests/harness/tlv_mutate.h"
#include "tests/unit/test.h"

#define RAM (4u << 20)
#define VIDEO_AT 0xfd000000u
#define BIOS_HERE 0x20000u
#define BIOS_THERE 0x30000u /* another version */
#define VGA_BIOS 0x8000u
#define DISK_BYTES (1u << 20)

static struct world { /* a host with one VM */
	struct machine m;
	struct kvm_userspace_memory_region slots[MEM_SLOT_VIDEO + 1];
	int lines[16];
	u8 *ram;
	char dir[40], bios[60], vga_bios[80];
} world[2]; /* 0: where it is saved, 1: where it is loaded */

static struct kvmb_tlv_out saved;
static struct kvmb_tlv_error error;

/* ---- what stands below ---- */

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_userspace_memory_region *r = arg;

	assert_int_equal(request, KVM_SET_USER_MEMORY_REGION);
	assert_in_range(r->slot, MEM_SLOT_ROM, MEM_SLOT_VIDEO);
	world[fd - 9000].slots[r->slot] = *r;
	return 0;
}

void irq_set_line(struct machine *m, u32 line, int level)
{
	world[m->vm_fd - 9000].lines[line] = level;
}

static void no_request(void *arg, enum machine_request what)
{
	(void)arg, (void)what;
}

static const struct machine_ops machine_ops = { .request = no_request };

static u64 disk_bytes(void *arg)
{
	(void)arg;
	return DISK_BYTES;
}

static void read_zeroes(void *arg, struct ide_io *io)
{
	int i;

	(void)arg;
	for (i = 0; i < io->num_iov; i++)
		memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	io->done(io, 0);
}

static const struct ide_drive_ops disk_ops = { .submit = read_zeroes, .bytes = disk_bytes };

/* ---- a VM ---- */

static void write_rom(const char *path, u32 len, u8 seed)
{
	u8 *rom = malloc(len);
	FILE *f = fopen(path, "w");
	u32 i;

	assert_true(rom && f);
	for (i = 0; i < len; i++)
		rom[i] = (u8)(i / 7 + seed);
	assert_int_equal(fwrite(rom, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	free(rom);
}

static void install(struct world *w, u32 bios, u32 vga_bios, u8 seed)
{
	strcpy(w->dir, "/tmp/kvmbus-gen1-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->bios, sizeof(w->bios), "%s/bios.bin", w->dir);
	snprintf(w->vga_bios, sizeof(w->vga_bios), "%s/vgabios-stdvga.bin", w->dir);
	write_rom(w->bios, bios, seed);
	write_rom(w->vga_bios, vga_bios, (u8)(seed + 1));
}

static void uninstall(struct world *w)
{
	unlink(w->bios);
	unlink(w->vga_bios);
	rmdir(w->dir);
}

static void attach(struct world *w, u32 drive, bool cd, const char *serial)
{
	struct ide_drive_config cfg = { .ops = &disk_ops, .cd = cd, .read_only = cd };

	snprintf(cfg.serial, sizeof(cfg.serial), "%s", serial);
	ide_attach(gen1_ide(w->m.gen1), drive, &cfg);
}

static void build(struct world *w, const char *serial)
{
	struct machine *m = &w->m;
	char why[512];

	memset(m, 0, sizeof(*m));
	memset(w->slots, 0, sizeof(w->slots));
	memset(w->lines, 0, sizeof(w->lines));
	m->name = "t";
	m->vm_fd = 9000 + (int)(w - world);
	m->ops = &machine_ops;
	m->cfg = (struct machine_config){
		.cpus = 2, .memory = RAM, .gen1 = true, .firmware = w->bios
	};
	w->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m->gm.num_regions = 2;
	m->gm.regions[0] = (struct kvmb_gm_region){ 0, MEM_VGA_BASE, 0, w->ram };
	m->gm.regions[1] = (struct kvmb_gm_region){ MEM_VGA_END, RAM - MEM_VGA_END, MEM_VGA_END,
						    w->ram + MEM_VGA_END };
	m->gen1 = gen1_open(m, why, sizeof(why));
	assert_non_null(m->gen1);
	assert_int_equal(gen1_build(m->gen1), 0);
	attach(w, 0, false, serial);
	attach(w, 2, true, "");
}

static void take_apart(struct world *w)
{
	ide_stop(gen1_ide(w->m.gen1), NULL, NULL);
	gen1_destroy(w->m.gen1);
	munmap(w->ram, RAM);
}

static void outb(struct world *w, u16 port, u8 v)
{
	iobus_access(&w->m.pio, port, 1, true, &v);
}

static void outw(struct world *w, u16 port, u16 v)
{
	iobus_access(&w->m.pio, port, 2, true, &v);
}

static u8 inb(struct world *w, u16 port)
{
	u8 v = 0;

	iobus_access(&w->m.pio, port, 1, false, &v);
	return v;
}

static void config(struct world *w, u32 slot, u32 func, u32 reg, u32 v)
{
	u32 address = 0x80000000u | slot << 11 | func << 8 | reg;

	iobus_access(&w->m.pio, 0xcf8, 4, true, &address);
	iobus_access(&w->m.pio, 0xcfc, 4, true, &v);
}

static u32 config_of(struct world *w, u32 slot, u32 func, u32 reg)
{
	u32 address = 0x80000000u | slot << 11 | func << 8 | reg, v = 0;

	iobus_access(&w->m.pio, 0xcf8, 4, true, &address);
	iobus_access(&w->m.pio, 0xcfc, 4, false, &v);
	return v;
}

static void says(struct world *w, const char *text)
{
	for (; *text; text++)
		outb(w, 0x402, (u8)*text);
}

static u8 *video(struct world *w)
{
	return (u8 *)(uintptr_t)w->slots[MEM_SLOT_VIDEO].userspace_addr;
}

/* As firmware leaves it, in the midst of what it does. */
static void live(struct world *w)
{
	u32 i;

	gen1_enter(w->m.gen1);
	config(w, 2, 0, 0x10, VIDEO_AT);
	config(w, 2, 0, 0x30, 0xfebe0001);
	config(w, 2, 0, 0x04, 3);
	config(w, 1, 0, 0x60, 0x0b0a0b0a);
	config(w, 0, 0, 0x58, 0x11331000);
	memcpy(video(w) + 5 * 4096, "GRUB", 5);
	says(w, "No bootable dev");
	outw(w, 0x510, 0x19); /* the directory */
	for (i = 0; i < 9; i++)
		inb(w, 0x511);
	/* the disk's interrupt is up */
	outb(w, 0x1f6, 0xa0);
	outb(w, 0x1f7, 0xec);
	outb(w, 0x64, 0x60); /* keyboard: both interrupts on */
	outb(w, 0x60, 0x03);
	outb(w, 0x3c2, 0x67);
	outb(w, 0x3d4, 0x0e);
	outb(w, 0x3d5, 0x5a);
	w->ram[0xf1234] ^= 0xff; /* firmware changes its own variables */
}

static void save(struct world *w)
{
	memset(&saved, 0, sizeof(saved));
	ide_stop(gen1_ide(w->m.gen1), NULL, NULL);
	kvmb_tlv_begin(&saved, KVMB_SEC_MACHINE, 0, 0);
	gen1_save(w->m.gen1, &saved);
	kvmb_tlv_end(&saved);
	assert_false(saved.failed);
}

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
	install(&world[0], BIOS_HERE, VGA_BIOS, 1);
	install(&world[1], BIOS_THERE, VGA_BIOS / 2, 9);
	build(&world[0], "one");
	build(&world[1], "another");
	live(&world[0]);
	save(&world[0]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	take_apart(&world[0]);
	take_apart(&world[1]);
	uninstall(&world[0]);
	uninstall(&world[1]);
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
	assert_int_equal(config_of(b, 2, 0, 0x10), VIDEO_AT | 8);
	assert_int_equal(config_of(b, 2, 0, 0x30), 0xfebe0001);
	assert_int_equal(config_of(b, 0, 0, 0x58), 0x11331000);
	assert_int_equal(b->slots[MEM_SLOT_VIDEO].guest_phys_addr, VIDEO_AT);
	assert_int_equal(b->slots[MEM_SLOT_VIDEO].memory_size, VGA_MEMORY);
	assert_string_equal((char *)video(b) + 5 * 4096, "GRUB");
	for (i = 0; i < 4; i++)
		assert_int_equal(b->m.pci->route[i], i % 2 ? 11 : 10);
	assert_int_equal(inb(b, 0x3d5), 0x5a);
	for (i = 0; i < 100; i++)
		assert_int_equal(inb(b, 0x511), inb(a, 0x511));
	assert_false(gen1_no_boot(b->m.gen1));
	says(b, "ice.\n");
	assert_true(gen1_no_boot(b->m.gen1));
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
			take_apart(w);
			build(w, "one");
		}
		vga_set_rom(gen1_vga(none->m.gen1), NULL, 0);
		assert_int_equal(firmware_keep(&none->m.gen1->vga_rom, NULL, 0), 0);
		gen1_enter(a->m.gen1);
		config(a, 2, 0, 0x30, 0xfebe0001);
		kvmb_tlv_out_fini(&saved);
		save(a);
		assert_int_equal(load(b, saved.buf, saved.len), 0);
		assert_int_equal(config_of(b, 2, 0, 0x30), from ? 0xfebe0001 : 0);
	}
}

static void gen1_is_saved_again_as_it_was(void **state)
{
	struct kvmb_tlv_out first = saved;

	(void)state;
	assert_int_equal(load(&world[1], saved.buf, saved.len), 0);
	gen1_loaded(world[1].m.gen1);
	save(&world[1]);
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
	struct ide_drive_config disk = { .ops = &disk_ops, .read_only = true };

	(void)state;
	assert_string_equal(match(), "");
	ide_attach(gen1_ide(world[1].m.gen1), 3, &disk);
	assert_non_null(strstr(match(), "IDE drive 3 was nothing, and is a read-only disk here"));
	attach(&world[0], 3, true, "");
	assert_non_null(strstr(match(), "IDE drive 3 was a CD drive, and is a read-only disk "
					"here"));
	assert_int_not_equal(load(&world[1], saved.buf, saved.len), 0);
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

	take_apart(w);
	build(w, "another");
	tlv_fix_crc(buf, stream_len(buf));
	err = load(w, buf, stream_len(buf));
	first = error;
	free(buf);
	if (!err) {
		gen1_loaded(w->m.gen1);
		ide_resume(gen1_ide(w->m.gen1));
		for (i = 0; i < 256; i += 4)
			config_of(w, 2, 0, i), config(w, 1, 1, i, ~0u);
		for (i = 0; i < 1000; i++)
			inb(w, 0x511);
		for (i = 0; i < 9; i++)
			inb(w, (u16)(0x1f0 + i)), inb(w, (u16)(0x170 + i));
		inb(w, 0x60);
		says(w, "\n");
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
		T(gen1_disk_calls_itself_as_it_did),
		T(gen1_keeps_the_firmware_that_it_began_with),
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
