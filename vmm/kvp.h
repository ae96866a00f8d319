/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data exchange with the guest, as commands and as a part of info. docs/json.md has the fields.
 *
 * Trust: keys, values and addresses of the guest are hostile. What leaves here is UTF-8, and an
 * address is one.
 */
#ifndef KVMB_VMM_KVP_H
#define KVMB_VMM_KVP_H

#include <jansson.h>

#include "vmm/reply.h"
#include "vmm/vm.h"

/** kvp_create() - Make the service, and put it into the table. Return: as services_add(). */
int kvp_create(struct vm *vm);

/** kvp_destroy() - Its channel is closed, the bus may be gone; fine if it was never made. */
void kvp_destroy(struct vm *vm);

/** kvp_list() - Read all items and answer with them. Main thread, as all here. */
void kvp_list(struct vm *vm, struct ctl_reply reply);

/** kvp_set() - Set an item for the guest. */
void kvp_set(struct vm *vm, const char *key, const char *value, struct ctl_reply reply);

/** kvp_delete() - Delete one. */
void kvp_delete(struct vm *vm, const char *key, struct ctl_reply reply);

/** kvp_ip() - Ask for the addresses of a NIC, or set them if @args has some. */
void kvp_ip(struct vm *vm, json_t *args, struct ctl_reply reply);

#endif
