/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Firmware: the ROM below 4 GiB that a gen1 machine begins in.
 *
 * DOC: Theory of operation
 *
 * The file ends at 4 GiB, where a CPU begins (its last 16 bytes), read-only for the guest. Its last
 * 128 KiB are below 1 MiB too, where old code looks for them. There they are a copy in RAM, which
 * the guest may change: firmware does so once it runs, and what a board would protect by its PAM
 * registers afterwards harms nobody but the guest. A reset copies them again.
 *
 * A VM that is restored or has moved keeps the firmware that it began with, from its state: what
 * runs below 1 MiB belongs to what is below 4 GiB. `kvmbus run` begins with the file's.
 */
#ifndef KVMB_FIRMWARE_H
#define KVMB_FIRMWARE_H

#include "machine/machine.h"

#define FIRMWARE_UNIT 4096u
#define FIRMWARE_MOST (8u << 20) /* VMBus's window begins at 0xf8000000 and ends far below */

struct firmware {
	const char *path; /* borrowed */
	u8 *rom;	  /* rom[len], mapped anonymously */
	u32 len;
};

/**
 * firmware_find() - What --firmware stands for
 * @name: "bios", "uefi", or a file's path; NULL = bios
 *
 * Return: a path, static or @name.
 */
const char *firmware_find(const char *name);

/**
 * firmware_find_vars() - Where the variables are that a new machine with a firmware begins with
 * @path: of the firmware
 * @buf:  buf[size], a path
 * @size: bytes
 *
 * Return: false: it is no firmware in two files, named as Debian's OVMF.
 */
bool firmware_find_vars(const char *path, char *buf, size_t size);

/**
 * firmware_find_vga() - Where the VGA BIOS is that goes with a firmware
 * @path: of the firmware
 * @buf:  buf[size]
 * @size: bytes
 *
 * Return: @buf, a path: beside the firmware when there is one, else where Debian has it.
 */
const char *firmware_find_vga(const char *path, char *buf, size_t size);

/**
 * firmware_open() - Read a ROM's file
 * @f:    filled on success
 * @path: of the file, borrowed
 * @unit: bytes: it is a multiple of them
 * @why:  why[size], on failure one line that names the file and the cause
 * @size: bytes
 *
 * Return: 0 or -errno. Context: may block on file I/O. Trust: the file is the administrator's.
 */
int firmware_open(struct firmware *f, const char *path, u32 unit, char *why, size_t size);

/** firmware_is_uefi() - Does it begin with a UEFI firmware volume, and not with a BIOS's code? */
bool firmware_is_uefi(const struct firmware *f);

/** firmware_close() - Free it; also one that was never opened. After the VM's end. */
void firmware_close(struct firmware *f);

/** firmware_map() - Show it to the guest below 4 GiB. Return: 0 or -errno. Main thread. */
int firmware_map(struct machine *m, const struct firmware *f);

/**
 * firmware_take() - Have another one, of a VM that began elsewhere
 * @m:     the VM does not run
 * @f:     mapped
 * @bytes: bytes[len]; whatever they are, only the guest runs them
 * @len:   a multiple of FIRMWARE_UNIT, at most FIRMWARE_MOST
 *
 * Return: 0 or -errno: then the VM has none. Context: main thread.
 */
int firmware_take(struct machine *m, struct firmware *f, const void *bytes, u32 len);

/** firmware_keep() - The same of one that is not mapped; @len may be anything, also 0. */
int firmware_keep(struct firmware *f, const void *bytes, u32 len);

/** firmware_enter() - Copy it below 1 MiB. vCPUs are in their power-on state. Main thread. */
void firmware_enter(struct machine *m, const struct firmware *f);

#endif
