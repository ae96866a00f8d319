/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where UEFI firmware keeps its variables: a flash chip below its ROM.
 *
 * DOC: Theory of operation
 *
 * Debian's OVMF comes in two files that are one image, of which the guest sees the end below 4 GiB:
 * OVMF_CODE*.fd, and below it OVMF_VARS*.fd, which is the content of a new machine's chip. Firmware
 * that is one file has no chip, and forgets its variables at each reset.
 *
 * The chip's content lies in memory of this process. Who keeps it in a file (vmm/vars.h) sets it
 * before the VM runs, and is told of each change.
 */
#ifndef KVMB_FLASH_H
#define KVMB_FLASH_H

#include "machine/machine.h"

struct flash;
struct kvmb_tlv;
struct kvmb_tlv_error;
struct kvmb_tlv_out;

/* As in struct pflash_ops: on any thread, and none waits. */
struct flash_keeper {
	void (*changed)(void *arg, u32 block, const u8 *content);
	void (*settled)(void *arg);
	void *arg;
};

/**
 * flash_open() - Read the content of a new chip
 * @out:  set on success, also to NULL: this firmware has none
 * @rom:  path of the firmware
 * @why:  why[size], on failure one line that names the file and the cause
 * @size: bytes
 *
 * Return: 0 or -errno. Context: may block on file I/O.
 */
int flash_open(struct flash **out, const char *rom, char *why, size_t size);

/** flash_content() - Its content, content[*len], to be changed only before flash_build(). */
u8 *flash_content(struct flash *f, u32 *len);

/** flash_path() - Of the file that the content of a new chip is in. */
const char *flash_path(const struct flash *f);

/** flash_keep() - From now on @k, copied, is told of changes. Before flash_build(). */
void flash_keep(struct flash *f, const struct flash_keeper *k);

/**
 * flash_build() - Put the chip on the machine's bus, or leave room for one that flash_load() brings
 * @f:   of flash_open(); NULL: there is no chip
 * @m:   has a PCI bus
 * @end: guest physical address behind it: where the ROM begins
 *
 * Return: @f, or a new one.
 */
struct flash *flash_build(struct flash *f, struct machine *m, u64 end);

/** flash_reset() - Power-on state. Main thread; vCPUs stand. */
void flash_reset(struct flash *f);

/** flash_has_chip() - Is there something to save? */
bool flash_has_chip(const struct flash *f);

/** flash_save() - A group, if there is a chip. Main thread; vCPUs stand. */
void flash_save(struct flash *f, struct kvmb_tlv_out *o);

/**
 * flash_load() - What flash_save() wrote: also instead of a chip of another size, or of none
 * @f:     built; nothing has run
 * @end:   as of flash_build(), by now
 * @group: hostile; NULL: there was no chip
 * @error: where that is refused, if a file is to be kept
 *
 * Return: 0; -errno with one line in @error. Context: main thread.
 */
int flash_load(struct flash *f, u64 end, struct kvmb_tlv *group, struct kvmb_tlv_error *error);

/** flash_loaded() - All of the VM was loaded: who keeps the content is told of it. Main thread. */
void flash_loaded(struct flash *f);

/** flash_destroy() - NULL is fine. Main thread; no vCPU runs, and the VM has ended. */
void flash_destroy(struct flash *f);

#endif
