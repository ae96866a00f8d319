/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Booting from the network: iPXE, which drives the legacy NIC, handed to firmware by fw_cfg.
 *
 * DOC: Theory of operation
 *
 * Debian's iPXE comes as a program for a BIOS (ipxe.lkrn, in the form of a Linux kernel) and as one
 * for UEFI (ipxe.efi), both with drivers of all NICs; no package has an option ROM for a 21140.
 *
 * A BIOS finds our own small option ROM in the NIC (netboot_rom.S): an entry of its boot menu, in
 * its place in the order. It reads ipxe.lkrn out of a file of fw_cfg and starts it. When iPXE has
 * found nothing it says so by INT 18, and the BIOS goes on with the next device.
 *
 * OVMF has no driver for the NIC and asks no ROM of a BIOS. But it first starts what fw_cfg has as
 * a kernel, if there is something, so that ipxe.efi comes first or not at all. When it ends, OVMF
 * goes on with its own order.
 *
 * A saved VM has program and ROM in its state.
 */
#ifndef KVMB_NETBOOT_H
#define KVMB_NETBOOT_H

#include "machine/boot/firmware.h"

#define NETBOOT_ROM_LEN 2048u
#define NETBOOT_MOST (1u << 20) /* bytes of a program */

/**
 * netboot_open() - Read iPXE
 * @f:        filled on success
 * @firmware: path of the firmware that will start it: a program beside it comes first
 * @uefi:     which of the two
 * @why:      why[size], on failure one line
 * @size:     bytes
 *
 * Return: 0 or -errno. Context: may block on file I/O. Trust: the file is the administrator's.
 */
int netboot_open(struct firmware *f, const char *firmware, bool uefi, char *why, size_t size);

/**
 * netboot_make_rom() - The option ROM
 * @rom:     rom[NETBOOT_ROM_LEN]
 * @program: what it starts, of netboot_open() for a BIOS; NULL = it returns at once
 * @key:     of fw_cfg, where @program is
 */
void netboot_make_rom(u8 *rom, const struct firmware *program, u16 key);

#endif
