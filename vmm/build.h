/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM's parts: made one after the other, and taken apart. */
#ifndef KVMB_BUILD_H
#define KVMB_BUILD_H

struct vm;
struct vm_config;

/**
 * vm_create() - Make the VM; prints one line and cleans up on failure
 * @cfg: copied; its strings are borrowed as long as the VM lives
 * Return: the VM, NULL on failure. Context: main thread, before anything else.
 */
struct vm *vm_create(const struct vm_config *cfg);

/** vm_destroy() - Wait for all that was begun, and free it. Context: main thread; the loop does not run. */
void vm_destroy(struct vm *vm);

#endif
