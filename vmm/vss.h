/* SPDX-License-Identifier: GPL-2.0-only */
/* The backup service (VSS) of a VM: when it is there, and what info says of it. */
#ifndef KVMB_VSS_H
#define KVMB_VSS_H

#include "vmm/vm.h"

/**
 * vss_create() - Make it, and put it into the table of services
 *
 * With a bus older than VMBus 3.0 it is made, and not in the table: docs/protocol.md#7.42.
 *
 * Return: 0 or -errno, logged. Context: main thread, as a step of vm_build(); the bus is there.
 */
int vss_create(struct vm *vm);

#endif
