/* SPDX-License-Identifier: GPL-2.0-only */
/* Building a VM from its parts, and taking it apart. */
#ifndef KVMB_BUILD_H
#define KVMB_BUILD_H

struct vm;
struct vm_config;

/**
 * vm_create() - Build the VM; on failure print one line and clean up
 * @cfg: copied; its strings must outlive the VM
 *
 * Return: the VM; NULL on failure. Context: main thread, before anything else.
 */
struct vm *vm_create(const struct vm_config *cfg);

/** vm_destroy() - Wait for work under way and free the VM. Main thread; the loop does not run. */
void vm_destroy(struct vm *vm);

#endif
