/* SPDX-License-Identifier: GPL-2.0-only */
/* The integration services that every VM has: heartbeat, shutdown, time sync. */
#ifndef KVMB_BASICS_H
#define KVMB_BASICS_H

#include "vmm/vm.h"

/**
 * basics_create() - Make them, and put them into the table of services
 * @answered: with the VM and the guest's KVMB_IC_STATUS_*, when it has answered a shutdown
 *
 * Return: as services_add().
 */
int basics_create(struct vm *vm, void (*answered)(void *vm, u32 status));

/** basics_destroy() - Their channels are closed: let go of what they watch. */
void basics_destroy(struct vm *vm);

#endif
