/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading a saved VM into the parts that its configuration has made: docs/migration.md. */
#ifndef KVMB_RESTORE_H
#define KVMB_RESTORE_H

struct vm;

/**
 * restore_load() - Instead of the power-on state: memory and state of a file
 * @vm: built, no vCPU has run; its configuration has the file
 *
 * The file is used up when this succeeds: the guest runs next.
 *
 * Return: 0, or -errno with one line logged: the VM ends, and the file may be used again. Context:
 * main thread. Trust: the file is hostile.
 */
int restore_load(struct vm *vm);

#endif
