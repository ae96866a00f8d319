// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux direct boot: bzImage or ELF vmlinux, entered in 64-bit mode.
 *
 * Source: Linux Documentation/arch/x86/boot.rst, "64-bit boot protocol" and the table of
 * the real-mode header; asm/bootparam.h for struct boot_params.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <sys/ioctl.h>

#include "lib/dirty_log.h"
#include "lib/log.h"
#include "lib/util.h"
#include "machine/boot/boot.h"
#include "machine/mem.h"
#include "machine/vcpu.h"

#define XLF_KERNEL_64_BIT 1u
#define ENTRY_64 0x200u
#define KERNEL_AT 0x1000000u /* where bzImages of the last decade prefer to be */

static int load_bzimage(struct machine *m, const struct boot_image *b, struct boot_params *bp,
			u64 *entry, u64 *end)
{
	const struct setup_header *h = (const void *)(b->head + 0x1f1);
	u64 setup = ((u64)(h->setup_sects ? h->setup_sects : 4) + 1) * 512,
	    len = b->kernel.len - setup;
	size_t hdr_end = 0x202 + (size_t)b->head[0x201];
	u64 at = h->pref_address ? h->pref_address : KERNEL_AT;

	if (h->version < 0x20c || !(h->xloadflags & XLF_KERNEL_64_BIT) || setup >= b->kernel.len) {
		kvmb_err(m->name, "kernel %s: no 64-bit entry point (boot protocol %x)",
			 m->cfg.kernel, h->version);
		return -ENOEXEC;
	}
	/* the kernel unpacks itself in place: the whole of init_size must be RAM */
	if (!kvmb_gm_ptr(&m->gm, at, KVMB_MAX((u64)h->init_size, len)))
		return -EFBIG;
	memcpy(&bp->hdr, h, KVMB_MIN(hdr_end - 0x1f1, sizeof(bp->hdr)));
	bp->hdr.code32_start = (u32)at;
	*entry = at + ENTRY_64;
	*end = at + KVMB_MAX((u64)h->init_size, len);
	return boot_elf_load(m, b, at, setup, len, len);
}

static int load_vmlinux(struct machine *m, const struct boot_image *b, struct boot_params *bp,
			u64 *entry, u64 *end)
{
	const Elf64_Ehdr *e = (const void *)b->head;
	Elf64_Phdr ph;
	u64 off;
	int i, err;

	*end = 0;
	for (i = 0; i < e->e_phnum; i++) {
		if (check_add_overflow(e->e_phoff, (u64)i * sizeof(ph), &off) ||
		    off > b->kernel.len || b->kernel.len - off < sizeof(ph))
			return -ENOEXEC;
		err = boot_read(m, &b->kernel, off, &ph, sizeof(ph));
		if (err)
			return err;
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		err = boot_elf_load(m, b, ph.p_paddr, ph.p_offset, ph.p_filesz, ph.p_memsz);
		if (err)
			return err == -EFAULT ? -EFBIG : err;
		*end = KVMB_MAX(*end, ph.p_paddr + ph.p_memsz);
	}
	if (!*end || !kvmb_gm_ptr(&m->gm, e->e_entry, 1))
		return -ENOEXEC;
	*entry = e->e_entry;
	bp->hdr.boot_flag = 0xaa55;
	bp->hdr.header = 0x53726448;
	bp->hdr.version = 0x20f;
	bp->hdr.kernel_alignment = 0x200000;
	bp->hdr.initrd_addr_max = 0x7fffffff;
	bp->hdr.cmdline_size = 2047;
	bp->hdr.loadflags = 1;
	return 0;
}

static int load_initrd(struct machine *m, const struct boot_image *b, struct boot_params *bp,
		       u64 kernel_end)
{
	u64 top = m->gm.regions[0].size, at;
	int err;

	if (b->initrd.fd < 0)
		return 0;
	top = KVMB_MIN(top, (u64)bp->hdr.initrd_addr_max + 1);
	if (b->initrd.len > top)
		return -EFBIG;
	at = (top - b->initrd.len) & ~(u64)(KVMB_PAGE_SIZE - 1);
	if (at < kernel_end)
		return -EFBIG;
	err = boot_load(m, &b->initrd, at);
	if (err)
		return err;
	bp->hdr.ramdisk_image = (u32)at;
	bp->hdr.ramdisk_size = (u32)b->initrd.len;
	return 0;
}

static void add_e820(struct boot_params *bp, u64 addr, u64 size, u32 type)
{
	bp->e820_table[bp->e820_entries++] = (struct boot_e820_entry){ addr, size, type };
}

static void fill_e820(struct machine *m, struct boot_params *bp)
{
	add_e820(bp, 0, BOOT_EBDA, 1);
	add_e820(bp, BOOT_EBDA, BOOT_HIGH - BOOT_EBDA, 2);
	add_e820(bp, BOOT_HIGH, m->gm.regions[0].size - BOOT_HIGH, 1);
	if (machine_high_ram(m))
		add_e820(bp, MEM_HIGH_BASE, machine_high_ram(m), 1);
}

/* Identity map of the first 4 GiB in 2 MiB pages. */
static int write_page_tables(struct machine *m)
{
	u64 *t = __unshare(kvmb_gm_ptr(&m->gm, BOOT_PAGE_TABLES, 6 * KVMB_PAGE_SIZE));
	u32 i;

	if (!t)
		return -EFBIG;
	memset(t, 0, 6 * KVMB_PAGE_SIZE);
	t[0] = (BOOT_PAGE_TABLES + 0x1000) | 3;
	for (i = 0; i < 4; i++)
		t[512 + i] = (BOOT_PAGE_TABLES + 0x2000 + i * 0x1000ull) | 3;
	for (i = 0; i < 4 * 512; i++)
		t[1024 + i] = ((u64)i << 21) | 0x83;
	kvmb_dirty(t, 6 * KVMB_PAGE_SIZE);
	return 0;
}

static struct kvm_segment segment(u16 selector, u8 type, bool code64)
{
	return (struct kvm_segment){ .selector = selector, .limit = 0xffffffff, .type = type,
				     .present = 1, .db = !code64, .s = 1, .l = code64, .g = 1 };
}

static int set_linux_entry(struct vcpu *v, u64 entry)
{
	static const u64 gdt[] = { 0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull };
	struct kvm_regs r = { .rip = entry, .rsi = BOOT_ZERO_PAGE, .rflags = 2 };
	struct kvm_sregs s;

	if (kvmb_gm_write(&v->machine->gm, BOOT_GDT, gdt, sizeof(gdt)) ||
	    ioctl(v->fd, KVM_GET_SREGS, &s))
		return -errno;
	s.cs = segment(0x10, 0xb, true);
	s.ds = s.es = s.fs = s.gs = s.ss = segment(0x18, 0x3, false);
	s.gdt.base = BOOT_GDT;
	s.gdt.limit = sizeof(gdt) - 1;
	s.cr0 = 0x80050033; /* PG AM WP NE ET MP PE */
	s.cr4 = 0x20;	    /* PAE */
	s.cr3 = BOOT_PAGE_TABLES;
	s.efer = 0x500;	    /* LMA LME */
	if (ioctl(v->fd, KVM_SET_SREGS, &s) || ioctl(v->fd, KVM_SET_REGS, &r))
		return -errno;
	return 0;
}

int boot_linux(struct machine *m, const struct boot_image *b)
{
	struct boot_params *bp = kvmb_xzalloc(sizeof(*bp));
	const char *append = m->cfg.append ? m->cfg.append : "";
	size_t len = strlen(append) + 1, max;
	u64 entry = 0, end = 0;
	int err;

	err = b->kind == BOOT_BZIMAGE ? load_bzimage(m, b, bp, &entry, &end) :
					load_vmlinux(m, b, bp, &entry, &end);
	if (!err)
		err = load_initrd(m, b, bp, end);
	if (err == -EFBIG)
		kvmb_err(m->name, "kernel and initrd do not fit %llu MiB of memory; try a larger "
			 "--memory", (unsigned long long)(m->cfg.memory >> 20));
	else if (err == -ENOEXEC && b->kind == BOOT_ELF64)
		kvmb_err(m->name, "kernel %s: its ELF headers are broken", m->cfg.kernel);
	if (err)
		goto out;
	max = bp->hdr.cmdline_size ? bp->hdr.cmdline_size : 255;
	if (len > max + 1) {
		kvmb_err(m->name, "--append has %zu bytes, the kernel takes %zu", len - 1, max);
		err = -E2BIG;
		goto out;
	}
	bp->hdr.type_of_loader = 0xff;
	bp->hdr.cmd_line_ptr = BOOT_CMDLINE;
	fill_e820(m, bp);
	bp->acpi_rsdp_addr = acpi_build(m);
	err = write_page_tables(m);
	if (!err)
		err = kvmb_gm_write(&m->gm, BOOT_CMDLINE, append, len);
	if (!err)
		err = kvmb_gm_write(&m->gm, BOOT_ZERO_PAGE, bp, sizeof(*bp));
	if (!err)
		err = set_linux_entry(&m->vcpus[0], entry);
out:
	free(bp);
	return err;
}
