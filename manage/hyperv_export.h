/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The folder that Hyper-V's Export leaves: "Virtual Machines" with GUID.xml, GUID.exp or GUID.vmcx,
 * "Virtual Hard Disks", "Snapshots".
 *
 * Sources: Microsoft, "Hyper-V R2 Import/Export" 1 and 2 (virtualization team blog, 2009);
 * "Understanding where your virtual machine files are" (Virtual PC Guy, 2010).
 */
#ifndef KVMB_HYPERV_EXPORT_H
#define KVMB_HYPERV_EXPORT_H

#include <stddef.h>

struct import_vm;

/**
 * hyperv_export_read() - Read what the folder says of its VM; its disks are only named
 * @dir:  descriptor of the folder
 * @file: the one description that is meant, by its name; NULL = there must be one only
 * @vm:   filled
 * @why:  why[size], on failure one line
 *
 * A .vmcx that cannot be read gets a line, and the disks in the folder are taken.
 *
 * Return: 0; -ENOENT: it is no such folder; -errno. Trust: hostile.
 */
int hyperv_export_read(int dir, const char *file, struct import_vm *vm, char *why, size_t size);

/** hyperv_text_take() - The same of a description alone: @name is the file's. */
int hyperv_text_take(const char *name, const char *text, size_t len, struct import_vm *vm,
		     char *why, size_t size);

#endif
