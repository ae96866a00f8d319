/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two hosts, each with a gen1 machine of real devices; KVM is played. Link it with --wrap=ioctl.
 * What firmware and a boot loader do to it: gen1_box_live().
 */
#ifndef KVMB_GEN1_BOX_H
#define KVMB_GEN1_BOX_H

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/dev/pci.h"
#include "machine/dev/rtc.h"
#include "machine/dev/vga.h"
#include "machine/gen1_priv.h"
#include "machine/irq.h"
#include "machine/mem.h"
#include "machine/vcpu.h"

#define BOX_RAM (4u << 20)
#define BOX_RUN_SIZE 12288u
#define BOX_LATE_PAGE 2
#define VIDEO_AT 0xfd000000u
#define BIOS_HERE 0x20000u
#define BIOS_THERE 0x30000u /* another version */
#define VGA_BIOS 0x8000u
#define DISK_BYTES (1u << 20)

static struct world { /* a host with one VM */
	struct machine m;
	struct kvm_userspace_memory_region slots[MEM_SLOT_FLASH + 1];
	int lines[16];
	u8 *ram;
	struct vcpu vcpu;
	struct kvm_coalesced_mmio_zone late[2]; /* ports to which writes are kept */
	u32 num_late;
	char dir[40], bios[60], vga_bios[80];
} world[2]; /* 0: where it is saved, 1: where it is loaded */

/* ---- what stands below ---- */

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_userspace_memory_region *r = arg;
	struct world *w = &world[fd - 9000];

	if (request == KVM_CHECK_EXTENSION)
		return BOX_LATE_PAGE;
	if (request == KVM_REGISTER_COALESCED_MMIO) {
		kvmb_assert(w->num_late < ARRAY_SIZE(w->late));
		memcpy(&w->late[w->num_late++], arg, sizeof(w->late[0]));
		return 0;
	}
	kvmb_assert(request == KVM_SET_USER_MEMORY_REGION);
	kvmb_assert(r->slot >= MEM_SLOT_ROM && r->slot <= MEM_SLOT_FLASH);
	w->slots[r->slot] = *r;
	return 0;
}

void irq_set_line(struct machine *m, u32 line, int level)
{
	world[m->vm_fd - 9000].lines[line] = level;
}

static inline void box_no_request(void *arg, enum machine_request what)
{
	(void)arg, (void)what;
}

static const struct machine_ops box_machine_ops = { .request = box_no_request };

static inline u64 box_disk_bytes(void *arg)
{
	(void)arg;
	return DISK_BYTES;
}

static inline void box_read_zeroes(void *arg, struct ide_io *io)
{
	int i;

	(void)arg;
	for (i = 0; i < io->num_iov; i++)
		memset(io->iov[i].iov_base, 0, io->iov[i].iov_len);
	io->done(io, 0);
}

static const struct ide_drive_ops box_disk_ops = { .submit = box_read_zeroes,
						   .bytes = box_disk_bytes };

/* ---- a VM ---- */

static inline void box_write_rom(const char *path, u32 len, u8 seed)
{
	u8 *rom = malloc(len);
	FILE *f = fopen(path, "w");
	u32 i;

	kvmb_assert(rom && f);
	for (i = 0; i < len; i++)
		rom[i] = (u8)(i / 7 + seed);
	kvmb_assert(fwrite(rom, 1, len, f) == len && !fclose(f));
	free(rom);
}

static inline void box_install(struct world *w, u32 bios, u32 vga_bios, u8 seed)
{
	strcpy(w->dir, "/tmp/kvmbus-gen1-XXXXXX");
	kvmb_assert(mkdtemp(w->dir));
	snprintf(w->bios, sizeof(w->bios), "%s/bios.bin", w->dir);
	snprintf(w->vga_bios, sizeof(w->vga_bios), "%s/vgabios-stdvga.bin", w->dir);
	box_write_rom(w->bios, bios, seed);
	box_write_rom(w->vga_bios, vga_bios, (u8)(seed + 1));
}

static inline void box_uninstall(struct world *w)
{
	unlink(w->bios);
	unlink(w->vga_bios);
	rmdir(w->dir);
}

static inline void box_attach(struct world *w, u32 drive, bool cd, const char *serial)
{
	struct ide_drive_config cfg = { .ops = &box_disk_ops, .cd = cd, .read_only = cd };

	snprintf(cfg.serial, sizeof(cfg.serial), "%s", serial);
	ide_attach(gen1_ide(w->m.gen1), drive, &cfg);
}

static inline void box_build(struct world *w, const char *serial)
{
	struct machine *m = &w->m;
	char why[512];

	memset(m, 0, sizeof(*m));
	memset(w->slots, 0, sizeof(w->slots));
	memset(w->lines, 0, sizeof(w->lines));
	w->num_late = 0;
	w->vcpu.run = kvmb_xzalloc(BOX_RUN_SIZE);
	m->vcpus = &w->vcpu;
	m->run_size = BOX_RUN_SIZE;
	m->name = "t";
	m->vm_fd = 9000 + (int)(w - world);
	m->ops = &box_machine_ops;
	m->cfg = (struct machine_config){
		.cpus = 2, .memory = BOX_RAM, .gen1 = true, .firmware = w->bios
	};
	w->ram = mmap(NULL, BOX_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m->gm.num_regions = 2;
	m->gm.regions[0] = (struct kvmb_gm_region){ 0, MEM_VGA_BASE, 0, w->ram };
	m->gm.regions[1] = (struct kvmb_gm_region){ MEM_VGA_END, BOX_RAM - MEM_VGA_END, MEM_VGA_END,
						    w->ram + MEM_VGA_END };
	m->rtc = rtc_create();
	m->gen1 = gen1_open(m, why, sizeof(why));
	kvmb_assert(m->gen1 && !gen1_build(m->gen1));
	box_attach(w, 0, false, serial);
	box_attach(w, 2, true, "");
}

static inline void box_take_apart(struct world *w)
{
	ide_stop(gen1_ide(w->m.gen1), NULL, NULL);
	gen1_destroy(w->m.gen1);
	rtc_destroy(w->m.rtc);
	free(w->vcpu.run);
	munmap(w->ram, BOX_RAM);
}

static inline void outb(struct world *w, u16 port, u8 v)
{
	iobus_access(&w->m.pio, port, 1, true, &v);
}

static inline void outw(struct world *w, u16 port, u16 v)
{
	iobus_access(&w->m.pio, port, 2, true, &v);
}

/* As KVM does without an exit. */
static inline void late_outb(struct world *w, u16 port, u8 v)
{
	struct kvm_coalesced_mmio_ring *ring = (void *)((u8 *)w->vcpu.run + BOX_LATE_PAGE * 4096u);

	ring->coalesced_mmio[ring->last] =
		(struct kvm_coalesced_mmio){ .phys_addr = port, .len = 1, .pio = 1, .data = { v } };
	ring->last++;
}

static inline u8 inb(struct world *w, u16 port)
{
	u8 v = 0;

	iobus_access(&w->m.pio, port, 1, false, &v);
	return v;
}

static inline void box_config(struct world *w, u32 slot, u32 func, u32 reg, u32 v)
{
	u32 address = 0x80000000u | slot << 11 | func << 8 | reg;

	iobus_access(&w->m.pio, 0xcf8, 4, true, &address);
	iobus_access(&w->m.pio, 0xcfc, 4, true, &v);
}

static inline u32 box_config_of(struct world *w, u32 slot, u32 func, u32 reg)
{
	u32 address = 0x80000000u | slot << 11 | func << 8 | reg, v = 0;

	iobus_access(&w->m.pio, 0xcf8, 4, true, &address);
	iobus_access(&w->m.pio, 0xcfc, 4, false, &v);
	return v;
}

static inline void box_says(struct world *w, const char *text)
{
	for (; *text; text++)
		outb(w, 0x402, (u8)*text);
}

static inline u8 *box_video(struct world *w)
{
	return (u8 *)(uintptr_t)w->slots[MEM_SLOT_VIDEO].userspace_addr;
}

/* As firmware leaves it, in the midst of what it does. */
static inline void gen1_box_live(struct world *w)
{
	u32 i;

	gen1_enter(w->m.gen1);
	box_config(w, 2, 0, 0x10, VIDEO_AT);
	box_config(w, 2, 0, 0x30, 0xfebe0001);
	box_config(w, 2, 0, 0x04, 3);
	box_config(w, 1, 0, 0x60, 0x0b0a0b0a);
	box_config(w, 0, 0, 0x58, 0x11331000);
	memcpy(box_video(w) + 5 * 4096, "GRUB", 5);
	box_says(w, "No bootable dev");
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

static inline void box_save(struct world *w, struct kvmb_tlv_out *o)
{
	memset(o, 0, sizeof(*o));
	ide_stop(gen1_ide(w->m.gen1), NULL, NULL);
	kvmb_tlv_begin(o, KVMB_SEC_MACHINE, 0, 0);
	gen1_save(w->m.gen1, o);
	kvmb_tlv_end(o);
	kvmb_assert(!o->failed);
}

#endif
