/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM's NICs: those it starts with, and those that come, go and change while it runs. */
#ifndef KVMB_NICS_H
#define KVMB_NICS_H

#include <jansson.h>

#include "vmm/vm.h"

/** nics_create() - Open and offer what the configuration names; says what went wrong. */
int nics_create(struct vm *vm);

/** nics_destroy() - After the bus: nothing uses them any more. */
void nics_destroy(struct vm *vm);

/** nics_list() - For info and list. */
json_t *nics_list(struct vm *vm);
json_t *nics_stats(struct vm *vm);

/* The answer to a change: @result is a new reference, or NULL with @class and @why. */
typedef void nics_reply(void *arg, json_t *result, const char *class, const char *why);

/*
 * Changes. @nic names one: "net0" or "0", or its address. reply() comes exactly once, from
 * within the call, or later: of a removal, when the guest has let go; of a NIC of kind user,
 * when its passt is ready or has failed. Main thread: passt ends with the thread that started it.
 */
void nics_add(struct vm *vm, const char *spec, nics_reply *reply, void *arg);
void nics_remove(struct vm *vm, const char *nic, nics_reply *reply, void *arg);
void nics_link(struct vm *vm, const char *nic, bool up, nics_reply *reply, void *arg);
void nics_mtu(struct vm *vm, const char *nic, u32 mtu, nics_reply *reply, void *arg);

#endif
