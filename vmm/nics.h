/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM's NICs: those it starts with, and those that come, go and change while it runs. */
#ifndef KVMB_NICS_H
#define KVMB_NICS_H

#include <jansson.h>

#include "vmm/reply.h"
#include "vmm/vm.h"

/** nics_create() - Open and offer what the configuration names; says what went wrong. */
int nics_create(struct vm *vm);

/** nics_destroy() - After the bus: nothing uses them any more. */
void nics_destroy(struct vm *vm);

/** nics_list() - For info and list. */
json_t *nics_list(struct vm *vm);
json_t *nics_stats(struct vm *vm);

/*
 * Changes. @nic names one: "net0" or "0", or its address. A removal is answered when the guest
 * has let go; a NIC of kind user when its passt is ready or has failed. Main thread: passt ends
 * with the thread that started it.
 */
void nics_add(struct vm *vm, const char *spec, struct ctl_reply reply);
void nics_remove(struct vm *vm, const char *nic, struct ctl_reply reply);
void nics_link(struct vm *vm, const char *nic, bool up, struct ctl_reply reply);
void nics_mtu(struct vm *vm, const char *nic, u32 mtu, struct ctl_reply reply);

#endif
