/* SPDX-License-Identifier: GPL-2.0-only */
/* All sections of a VM but its memory and its options: for a save and for a migration. */
#ifndef KVMB_VM_SECTIONS_H
#define KVMB_VM_SECTIONS_H

#include "vmm/vm.h"

struct kvmb_tlv_out;

/** vm_cannot_move() - Why the VM cannot be saved or moved now. Return: a phrase; NULL: it can. */
const char *vm_cannot_move(const struct vm *vm);

/**
 * vm_sections_put() - Write the sections, up to the end
 * @vm:         paused, and its bus stands
 * @was_paused: the administrator had paused it
 *
 * Return: 0; -EFBIG: nobody would read it; -errno. Context: main thread.
 */
int vm_sections_put(struct vm *vm, bool was_paused, struct kvmb_tlv_out *o);

/**
 * vm_sections_load() - Load them, instead of the power-on state
 * @vm:       built, with its memory loaded; no vCPU has run
 * @sections: sections[len], hostile
 * @why:      why[size], on failure one phrase
 *
 * Return: 0 or -errno: then the VM can only be ended.
 * Context: main thread, in load() of vm_start().
 */
int vm_sections_load(struct vm *vm, const void *sections, size_t len, char *why, size_t size);

#endif
