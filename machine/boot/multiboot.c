// SPDX-License-Identifier: GPL-2.0-only
/*
 * Multiboot-1 ELF32 images, the format of VMM unit tests.
 *
 * The image is entered in 32-bit protected mode without paging. Information, command line and the
 * module are placed after the image, page-aligned.
 *
 * Source: Multiboot Specification 0.6.96, chapters 3.1 (header), 3.2 (machine state),
 * 3.3 (information).
 */
#include <elf.h>
#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/mem.h"
#include "machine/vcpu.h"

#define HEADER_MAGIC 0x1badb002u
#define ENTRY_MAGIC 0x2badb002u

#define INFO_MEM 0x1u
#define INFO_CMDLINE 0x4u
#define INFO_MODS 0x8u
#define INFO_MMAP 0x40u

struct mb_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, rest[10];
};

struct mb_module { u32 start, end, string, reserved; };

struct mb_mmap {
	u32 size; /* of what follows */
	u64 addr, len;
	u32 type;
} __attribute__((packed));

bool boot_is_multiboot(const u8 *head, u64 len)
{
	const Elf32_Ehdr *e = (const void *)head;
	size_t i, end = KVMB_MIN(len, (u64)BOOT_HEAD);
	u32 w[3];

	if (len < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
	    e->e_ident[EI_CLASS] != ELFCLASS32 || e->e_machine != EM_386 || e->e_type != ET_EXEC)
		return false;
	for (i = 0; i + sizeof(w) <= end; i += 4) {
		memcpy(w, head + i, sizeof(w));
		if (w[0] == HEADER_MAGIC && w[0] + w[1] + w[2] == 0)
			return true;
	}
	return false;
}

static int load_segments(struct machine *m, const struct boot_image *b, u32 *end)
{
	const Elf32_Ehdr *e = (const void *)b->head;
	Elf32_Phdr ph;
	u64 off;
	int i, err;

	*end = 0;
	for (i = 0; i < e->e_phnum; i++) {
		off = e->e_phoff + (u64)i * sizeof(ph);
		if (off > b->kernel.len || b->kernel.len - off < sizeof(ph))
			return -ENOEXEC;
		err = boot_read(m, &b->kernel, off, &ph, sizeof(ph));
		if (err)
			return err;
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		err = boot_elf_load(m, b, ph.p_paddr, ph.p_offset, ph.p_filesz, ph.p_memsz);
		if (err)
			return err;
		*end = KVMB_MAX(*end, ph.p_paddr + ph.p_memsz);
	}
	return *end ? 0 : -ENOEXEC;
}

static u32 page_up(u32 v)
{
	return (v + KVMB_PAGE_SIZE - 1) & ~(KVMB_PAGE_SIZE - 1);
}

static int write_info(struct machine *m, const struct boot_image *b, u32 at, u32 *info_at)
{
	struct mb_info info = { .flags = INFO_MEM | INFO_CMDLINE | INFO_MODS, .mem_lower = 639 };
	struct mb_module mod = { 0 };
	struct mb_mmap map[2];
	char cmdline[4096];
	int n, err = 0;

	info.mem_upper = (u32)((m->gm.regions[0].size - BOOT_HIGH) >> 10);
	if (b->initrd.fd >= 0) {
		mod.start = page_up(at);
		mod.end = mod.start + (u32)b->initrd.len;
		err = boot_load(m, &b->initrd, mod.start);
		if (err)
			return err;
		at = mod.end;
	}
	at = page_up(at);
	*info_at = at;
	n = snprintf(cmdline, sizeof(cmdline), "%s%s%s", m->cfg.kernel, m->cfg.append ? " " : "",
		     m->cfg.append ? m->cfg.append : "");
	if (n >= (int)sizeof(cmdline))
		return -E2BIG;
	info.cmdline = at + 1024;
	err |= kvmb_gm_write(&m->gm, info.cmdline, cmdline, (size_t)n + 1);
	if (b->initrd.fd >= 0) {
		info.mods_count = 1;
		info.mods_addr = at + 512;
		mod.string = info.cmdline;
		err |= kvmb_gm_write(&m->gm, info.mods_addr, &mod, sizeof(mod));
	}
	if (machine_high_ram(m)) {
		map[0] = (struct mb_mmap){ 20, 0, m->gm.regions[0].size, 1 };
		map[1] = (struct mb_mmap){ 20, MEM_HIGH_BASE, machine_high_ram(m), 1 };
		info.flags |= INFO_MMAP;
		info.mmap_addr = at + 256;
		info.mmap_length = sizeof(map);
		err |= kvmb_gm_write(&m->gm, info.mmap_addr, map, sizeof(map));
	}
	err |= kvmb_gm_write(&m->gm, at, &info, sizeof(info));
	return err ? -EFBIG : 0;
}

static struct kvm_segment flat(u16 selector, u8 type)
{
	return (struct kvm_segment){ .selector = selector, .limit = 0xffffffff, .type = type,
				     .present = 1, .db = 1, .s = 1, .g = 1 };
}

static int set_multiboot_entry(struct vcpu *v, u32 entry, u32 info)
{
	static const u64 gdt[] = { 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
	struct kvm_regs r = { .rip = entry, .rax = ENTRY_MAGIC, .rbx = info, .rflags = 2 };
	struct kvm_sregs s;

	if (kvmb_gm_write(&v->machine->gm, BOOT_GDT, gdt, sizeof(gdt)) ||
	    ioctl(v->fd, KVM_GET_SREGS, &s))
		return -EFBIG;
	s.cs = flat(0x08, 0xb);
	s.ds = s.es = s.fs = s.gs = s.ss = flat(0x10, 0x3);
	s.gdt.base = BOOT_GDT;
	s.gdt.limit = sizeof(gdt) - 1;
	s.cr0 = 0x11; /* PE ET */
	if (ioctl(v->fd, KVM_SET_SREGS, &s) || ioctl(v->fd, KVM_SET_REGS, &r))
		return -errno;
	return 0;
}

int boot_multiboot(struct machine *m, const struct boot_image *b)
{
	u32 end, info;
	int err;

	err = load_segments(m, b, &end);
	if (!err)
		err = write_info(m, b, end, &info);
	if (!err) {
		acpi_build(m); /* the RSDP is found by its signature */
		err = set_multiboot_entry(&m->vcpus[0], ((const Elf32_Ehdr *)b->head)->e_entry,
					  info);
	}
	if (err && err != -ESTALE)
		kvmb_err(m->name, "kernel %s: %s", m->cfg.kernel,
			 err == -ENOEXEC ? "its ELF headers are broken" :
					   "it does not fit guest memory; try a larger --memory");
	return err;
}
