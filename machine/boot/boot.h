/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest starts with: a Linux kernel or a multiboot-1 image. */
#ifndef KVMB_BOOT_H
#define KVMB_BOOT_H

#include "machine/machine.h"

#define BOOT_HEAD 8192u /* where a multiboot header must be found; the other headers are shorter */

/* Read, never mapped: a mapped file that somebody cuts off is SIGBUS. */
struct boot_file {
	const char *what, *path;
	int fd;	 /* -1 = none */
	u64 len; /* when it was opened; what is there later is seen by boot_read() */
};

struct boot_image {
	struct boot_file kernel, initrd;
	u8 head[BOOT_HEAD]; /* of the kernel, zeros behind its end */
	enum boot_kind { BOOT_BZIMAGE, BOOT_ELF64, BOOT_MULTIBOOT } kind;
};

/**
 * boot_open() - Open and recognise what --kernel and --initrd name
 * @why: on failure, one line that names the file and the cause
 * Return: the image, NULL on failure. Both files are untrusted.
 */
struct boot_image *boot_open(const struct machine_config *cfg, char *why, size_t size);
void boot_close(struct boot_image *b);

/** boot_enter() - Load into guest memory, set vCPU 0 to the entry point. Return: 0 or -errno. */
int boot_enter(struct machine *m);

/* linux.c, multiboot.c */
int boot_linux(struct machine *m, const struct boot_image *b);
int boot_multiboot(struct machine *m, const struct boot_image *b);
bool boot_is_multiboot(const u8 *head, u64 len);

/**
 * boot_read() - @len bytes of the file at @offset, into our memory or the guest's
 * Return: 0; -ESTALE, logged, when they are not there any more or cannot be read. What @buf holds then is undefined.
 */
int boot_read(const struct machine *m, const struct boot_file *f, u64 offset, void *buf, u64 len);

/** boot_load() - The whole file into guest memory at @paddr. Return: 0; -ESTALE, logged; -EFBIG outside guest RAM. */
int boot_load(struct machine *m, const struct boot_file *f, u64 paddr);

/**
 * boot_elf_load() - Read one loadable segment, zero its tail
 * Return: 0; -ENOEXEC when it lies outside the file; -EFAULT outside guest RAM; -ESTALE, logged, as boot_read().
 */
int boot_elf_load(struct machine *m, const struct boot_image *b, u64 paddr, u64 offset, u64 filesz,
		  u64 memsz);

/** acpi_build() - ACPI tables into guest memory. Return: address of the RSDP, 0 on failure. */
u64 acpi_build(struct machine *m);

#define BOOT_GDT 0x500u
#define BOOT_ZERO_PAGE 0x7000u
#define BOOT_PAGE_TABLES 0x9000u /* 6 pages */
#define BOOT_CMDLINE 0x20000u
#define BOOT_EBDA 0x9fc00u	 /* conventional memory ends here */
#define BOOT_ACPI 0xe0000u	 /* ACPI tables, to 1 MiB */
#define BOOT_HIGH 0x100000u

#endif
