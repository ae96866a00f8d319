/* SPDX-License-Identifier: GPL-2.0-only */
/* Boot images: a Linux kernel or a multiboot-1 image. */
#ifndef KVMB_BOOT_H
#define KVMB_BOOT_H

#include "machine/machine.h"

#define BOOT_HEAD 8192u /* where a multiboot header must be found; the other headers are shorter */

/* Read, never mapped: if somebody truncates a mapped file, we get SIGBUS. */
struct boot_file {
	const char *what, *path;
	int fd;	 /* -1 = none */
	u64 len; /* when it was opened; boot_read() notices if it changes */
};

struct boot_image {
	struct boot_file kernel, initrd;
	u8 head[BOOT_HEAD]; /* of the kernel, zeros behind its end */
	enum boot_kind { BOOT_BZIMAGE, BOOT_ELF64, BOOT_MULTIBOOT } kind;
};

/**
 * boot_open() - Open the files of --kernel and --initrd and recognise their format
 * @cfg:  has their names
 * @why:  why[size], on failure one line that names the file and the cause
 * @size: bytes
 *
 * Return: the image; NULL on failure. Context: may block on file I/O. Trust: both files are
 * hostile.
 */
struct boot_image *boot_open(const struct machine_config *cfg, char *why, size_t size);

/** boot_close() - Close the files and free @b; NULL is fine. */
void boot_close(struct boot_image *b);

/**
 * boot_enter() - Load the image into guest memory and set vCPU 0 to its entry point
 * @m: vCPUs are in their power-on state and stand
 *
 * Return: 0, or -errno with the reason logged. Context: main thread.
 */
int boot_enter(struct machine *m);

/** boot_linux() - boot_enter() for a bzImage or an ELF vmlinux; linux.c. Return: as that. */
int boot_linux(struct machine *m, const struct boot_image *b);

/** boot_multiboot() - boot_enter() for a multiboot-1 image; multiboot.c. Return: as that. */
int boot_multiboot(struct machine *m, const struct boot_image *b);

/** boot_is_multiboot() - Is there a multiboot-1 header in head[@len]? Trust: @head is hostile. */
bool boot_is_multiboot(const u8 *head, u64 len);

/**
 * boot_read() - Read a part of a boot file, to our memory or the guest's
 * @m:      for the log
 * @f:      the file
 * @offset: bytes
 * @buf:    buf[len]; undefined after a failure
 * @len:    bytes
 *
 * Return: 0; -ESTALE, logged, when the bytes are gone or cannot be read.
 */
int boot_read(const struct machine *m, const struct boot_file *f, u64 offset, void *buf, u64 len);

/**
 * boot_load() - Read a whole boot file into guest memory
 * @m:     the machine
 * @f:     the file
 * @paddr: guest physical address
 *
 * Return: 0; -ESTALE, logged, as boot_read(); -EFBIG when it does not fit into guest RAM.
 */
int boot_load(struct machine *m, const struct boot_file *f, u64 paddr);

/**
 * boot_elf_load() - Load one ELF segment and zero its tail
 * @m:      the machine
 * @b:      the image
 * @paddr:  guest physical address, hostile
 * @offset: into the file, hostile
 * @filesz: bytes in the file, hostile
 * @memsz:  bytes in memory, hostile
 *
 * Return: 0; -ENOEXEC when the segment is outside the file; -EFAULT outside guest RAM; -ESTALE,
 * logged, as boot_read().
 */
int boot_elf_load(struct machine *m, const struct boot_image *b, u64 paddr, u64 offset, u64 filesz,
		  u64 memsz);

/** acpi_build() - Write ACPI tables to guest memory. Return: address of the RSDP, 0 on failure. */
u64 acpi_build(struct machine *m);

/**
 * acpi_has_mmio() - Is memory in the windows in which VMBus's drivers take what they need?
 * @gpa:  hostile, as is @size
 * @size: bytes
 */
bool acpi_has_mmio(const struct machine *m, u64 gpa, u64 size);

#define ACPI_RSDP_LEN 36u
#define ACPI_PCI_SLOTS 8u /* the slots 1 to 8 have interrupts */

struct acpi_files {		/* for firmware, which decides where they go */
	u8 rsdp[ACPI_RSDP_LEN]; /* pointers to tables at 16 (4 bytes) and 24 (8) */
	u8 tables[8192];	/* tables[tables_len] */
	u32 tables_len;
	struct acpi_link {
		u32 at;
		u8 size;
	} links[16]; /* links[num_links]: pointers in tables, as offsets into it */
	u32 num_links;
	struct acpi_sum {
		u32 at, len;
	} sums[8]; /* sums[num_sums]: tables with a checksum, in their byte 9 */
	u32 num_sums;
};

/** acpi_build_files() - Make the tables of a gen1 machine; @f is filled. Any thread. */
void acpi_build_files(struct machine *m, struct acpi_files *f);

#define BOOT_GDT 0x500u
#define BOOT_ZERO_PAGE 0x7000u
#define BOOT_PAGE_TABLES 0x9000u /* 6 pages */
#define BOOT_CMDLINE 0x20000u
#define BOOT_EBDA 0x9fc00u	 /* conventional memory ends here */
#define BOOT_ACPI 0xe0000u	 /* ACPI tables, to 1 MiB */
#define BOOT_HIGH 0x100000u

#endif
