/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest starts with: a Linux kernel or a multiboot-1 image. */
#ifndef KVMB_BOOT_H
#define KVMB_BOOT_H

#include "vmm/vm.h"

struct boot_image {
	int kernel_fd, initrd_fd; /* -1 = none */
	u8 *kernel, *initrd;	  /* mapped private copies of the files, read-only */
	size_t kernel_len, initrd_len;
	enum boot_kind { BOOT_BZIMAGE, BOOT_ELF64, BOOT_MULTIBOOT } kind;
};

/**
 * boot_open() - Open and recognise what --kernel and --initrd name
 * @why: on failure, one line that names the file and the cause
 * Return: the image, NULL on failure. Both files are untrusted.
 */
struct boot_image *boot_open(const struct vm_config *cfg, char *why, size_t size);
void boot_close(struct boot_image *b);

/** boot_enter() - Load into guest memory, set vCPU 0 to the entry point. Return: 0 or -errno. */
int boot_enter(struct vm *vm);

/* linux.c, multiboot.c */
int boot_linux(struct vm *vm, const struct boot_image *b);
int boot_multiboot(struct vm *vm, const struct boot_image *b);
bool boot_is_multiboot(const u8 *image, size_t len);

/**
 * boot_elf_load() - Copy one loadable segment, zero its tail
 * Return: 0; -ENOEXEC when it lies outside the file; -EFAULT outside guest RAM.
 */
int boot_elf_load(struct vm *vm, const struct boot_image *b, u64 paddr, u64 offset, u64 filesz,
		  u64 memsz);

/** acpi_build() - ACPI tables into guest memory. Return: address of the RSDP, 0 on failure. */
u64 acpi_build(struct vm *vm);

#define BOOT_GDT 0x500u
#define BOOT_ZERO_PAGE 0x7000u
#define BOOT_PAGE_TABLES 0x9000u /* 6 pages */
#define BOOT_CMDLINE 0x20000u
#define BOOT_EBDA 0x9fc00u	 /* conventional memory ends here */
#define BOOT_ACPI 0xe0000u	 /* ACPI tables, to 1 MiB */
#define BOOT_HIGH 0x100000u

#endif
