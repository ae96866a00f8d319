/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which firmware a disk or CD was made for, by what is written at its beginning.
 *
 * DOC: Theory of operation
 *
 * A disk with an EFI system partition is started by UEFI firmware, unless something on it is there
 * for a BIOS only: a BIOS boot partition of GRUB, a partition that is marked for old firmware, an
 * active partition of a hybrid MBR, or GRUB in the first sector. Code in the first sector alone
 * says nothing: Windows puts some there whatever it is for. A disk without such a partition, but
 * with code, is for a BIOS. One that is empty says nothing, and the next drive is asked.
 *
 * A CD is for UEFI firmware if its boot catalog has entries for that and none for a BIOS.
 *
 * All of it is the guest's to write. Reading is bounded: three reads of one place each, and no
 * number in them leads to more than another bounded read.
 *
 * Sources: UEFI 2.10 chapters 5.2 (MBR) and 5.3 (GPT), 13.3.2 (El Torito for UEFI); GRUB manual,
 * "BIOS installation"; El Torito Bootable CD-ROM Format 1.0; ECMA-119.
 */
#ifndef KVMB_BOOT_FIND_H
#define KVMB_BOOT_FIND_H

#include "vmbus-core/env.h"

enum boot_kind { BOOT_NONE, BOOT_BIOS, BOOT_UEFI };

struct boot_source {
	/* Read buf[len] at @offset; both are multiples of 4096. Return: false: it is not there. */
	bool (*read)(void *arg, u64 offset, void *buf, u32 len);
	void *arg;
	bool cd;
};

/**
 * boot_find() - What does it say?
 * @s: hostile
 *
 * Return: BOOT_NONE: nothing. Context: blocks as @s->read does.
 */
enum boot_kind boot_find(const struct boot_source *s);

#endif
