/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of VHD as it takes to flatten a chain: a Hyper-V host that took a checkpoint leaves one,
 * an .avhd that has what changed since, and QEMU does not read such.
 *
 * Reading only; what is read becomes a raw image (copier.h: copy_vhd_open()). A child says the
 * identifier of its parent: one that is not that one is refused.
 *
 * Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0: hard disk footer, dynamic
 * disk header, block allocation table, differencing hard disks.
 */
#ifndef KVMB_VHD_H
#define KVMB_VHD_H

#include <stdbool.h>
#include <stddef.h>

/** vhd_has_footer() - Does the file end with the footer of a VHD? */
bool vhd_has_footer(int fd);

/**
 * vhd_parent_of() - Whose child is it?
 * @name: name[size]: set to the parent's name as UTF-8, "" of one that has none
 *
 * Return: 0; -EINVAL: it is damaged. Trust: hostile.
 */
int vhd_parent_of(int fd, char *name, size_t size);

#endif
