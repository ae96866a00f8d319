/* SPDX-License-Identifier: GPL-2.0-only */
/* Hyper-V on KVM: SynIC and hypercalls; theory in hyperv.c. */
#ifndef KVMB_HYPERV_H
#define KVMB_HYPERV_H

#include "machine/vcpu.h"

/** hyperv_check() - Can this KVM do all that we need? Return: 0; -EOPNOTSUPP with one phrase in why[size]. */
int hyperv_check(int kvm_fd, char *why, size_t size);

/** hyperv_fill_seam() - @m->vmm: what host-vsp needs of us. @m->gm may still be empty. */
void hyperv_fill_seam(struct machine *m);

/** hyperv_vcpu_init() - SynIC and descriptors of a vCPU. Return: 0 or -errno. Context: main thread. */
int hyperv_vcpu_init(struct vcpu *v);

/** hyperv_vcpu_reset() - Its Hyper-V registers as at power-on. Return: 0 or -errno. Context: main thread, it stands. */
int hyperv_vcpu_reset(struct vcpu *v);
void hyperv_vcpu_fini(struct vcpu *v);

/** hyperv_exit() - KVM_EXIT_HYPERV. Context: the vCPU's thread. Trust: everything in it is the guest's. */
void hyperv_exit(struct vcpu *v);

/**
 * hyperv_fill_slot() - Put a message into a SynIC slot without raising the SINT
 * @sint: 0..15; the slot must have no other writer
 * Return: 0; -EAGAIN when it is busy (MessagePending is set then) or the SynIC is off.
 */
int hyperv_fill_slot(struct vcpu *v, u32 sint, u32 type, const void *payload, u32 len);

/** hyperv_bind_event() - HvSignalEvent(@conn_id) increments @efd. Return: 0 or -errno. */
int hyperv_bind_event(struct machine *m, u32 conn_id, int efd);
void hyperv_unbind_event(struct machine *m, u32 conn_id);

#endif
