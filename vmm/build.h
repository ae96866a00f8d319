/* SPDX-License-Identifier: GPL-2.0-only */
/* Building a VM from its parts, and taking it apart. */
#ifndef KVMB_BUILD_H
#define KVMB_BUILD_H

struct vm;
struct vm_config;

/**
 * vm_open() - Open everything of a VM that has a name; on failure print one line and clean up
 * @cfg: copied; its strings must outlive the VM
 *
 * Return: the VM, without a thread and without its parts; NULL on failure. Context: main thread,
 * before anything else.
 */
struct vm *vm_open(const struct vm_config *cfg);

/**
 * vm_build() - Build the parts from what is open
 *
 * Return: 0; else one line has been printed, and vm_destroy() is next. Context: main thread, once.
 */
int vm_build(struct vm *vm);

/** vm_destroy() - Wait for work under way and free the VM. Main thread; the loop does not run. */
void vm_destroy(struct vm *vm);

#endif
