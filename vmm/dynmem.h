/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM's dynamic memory: its provider (host-vsp/memory/memory.h), and who sets what it is to have.
 *
 * A VM has it if `--memory` names bounds; any other is not even offered the device.
 */
#ifndef KVMB_DYNMEM_H
#define KVMB_DYNMEM_H

#include "vmm/reply.h"
#include "vmm/vm.h"

struct kvmb_tlv;
struct kvmb_tlv_out;

/**
 * dynmem_create() - Make it, if the VM has it, and put it into the table of services
 * @vm: memory is mapped, and there is a bus
 *
 * Return: 0 or -errno, logged.
 */
int dynmem_create(struct vm *vm);

/** dynmem_destroy() - The bus is destroyed, and nobody copies guest memory any more. */
void dynmem_destroy(struct vm *vm);

/** dynmem_rebooted() - The guest begins with what it had at first. Main thread, as all here. */
void dynmem_rebooted(struct vm *vm);

/** dynmem_info() - A new reference: docs/json.md, `dynamic_memory`; null of a VM without. */
json_t *dynmem_info(const struct vm *vm);

/** dynmem_show() - Answer with dynmem_info(). */
void dynmem_show(struct vm *vm, struct ctl_reply reply);

/**
 * dynmem_set() - What the guest is to have, and answer with dynmem_info()
 * @bytes: hostile; rounded down to whole pages
 */
void dynmem_set(struct vm *vm, u64 bytes, struct ctl_reply reply);

/** dynmem_save() - Section MEM_SERVICE; none of a VM without. The bus stands. */
void dynmem_save(const struct vm *vm, struct kvmb_tlv_out *o);

/** dynmem_load() - That section, hostile, after the bus's. Return: 0; -errno, and @t has why. */
int dynmem_load(struct vm *vm, struct kvmb_tlv *t);

#endif
