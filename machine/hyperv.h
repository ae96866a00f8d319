/* SPDX-License-Identifier: GPL-2.0-only */
/* What the test device needs of hyperv.c beyond vm.h. */
#ifndef KVMB_HYPERV_H
#define KVMB_HYPERV_H

#include "vmm/vm.h"

/**
 * hyperv_fill_slot() - Put a message into a SynIC slot without raising the SINT
 * @sint: 0..15; the slot must have no other writer
 * Return: 0; -EAGAIN when it is busy (MessagePending is set then) or the SynIC is off.
 */
int hyperv_fill_slot(struct vcpu *v, u32 sint, u32 type, const void *payload, u32 len);

/** hyperv_bind_event() - HvSignalEvent(@conn_id) increments @efd. Return: 0 or -errno. */
int hyperv_bind_event(struct vm *vm, u32 conn_id, int efd);
void hyperv_unbind_event(struct vm *vm, u32 conn_id);

#endif
