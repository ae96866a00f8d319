/* SPDX-License-Identifier: GPL-2.0-only */
/* The text of an imported VM's file. */
#ifndef KVMB_IMPORT_TEXT_H
#define KVMB_IMPORT_TEXT_H

#include <stddef.h>

struct import_vm;

/**
 * import_write_text() - Set @vm->text, and add lines about what cannot be as it was
 * @vm:  its name is chosen, its disks have their targets
 * @why: why[size], on failure one line
 *
 * Return: 0; -EINVAL: the name of a disk that stays where it is cannot be written.
 */
int import_write_text(struct import_vm *vm, char *why, size_t size);

#endif
