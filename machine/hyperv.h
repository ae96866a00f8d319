/* SPDX-License-Identifier: GPL-2.0-only */
/* Hyper-V on KVM: SynIC and hypercalls. Theory of operation: hyperv.c. */
#ifndef KVMB_HYPERV_H
#define KVMB_HYPERV_H

#include "machine/vcpu.h"

/**
 * hyperv_check() - Does this KVM have all capabilities that we need?
 * @kvm_fd: /dev/kvm
 * @why:    why[size], on failure one phrase that names what is missing
 * @size:   bytes
 *
 * Return: 0; -EOPNOTSUPP. Context: any.
 */
int hyperv_check(int kvm_fd, char *why, size_t size);

/** hyperv_fill_seam() - Fill @m->vmm, what host-vsp needs of a VMM. @m->gm may still be empty. */
void hyperv_fill_seam(struct machine *m);

/**
 * hyperv_vcpu_init() - Activate the SynIC of a vCPU and make its descriptors
 * @v: has its CPUID; no route leads to it yet
 *
 * Return: 0 or -errno; hyperv_vcpu_fini() is due also after a failure. Context: main thread.
 */
int hyperv_vcpu_init(struct vcpu *v);

/**
 * hyperv_vcpu_reset() - Set the Hyper-V registers of a vCPU to their power-on values
 * @v: stands
 *
 * Return: 0; -EIO when KVM refuses one. Context: main thread.
 */
int hyperv_vcpu_reset(struct vcpu *v);

/**
 * hyperv_vcpu_loaded() - Go on with the SynIC of a saved VM
 * @v:        stands; its registers are loaded
 * @control:  MSR SCONTROL
 * @msg_page: MSR SIMP
 * @evt_page: MSR SIEFP
 *
 * KVM says nothing when we set these registers ourselves. An interrupt that was on its way when the
 * VM was saved may be lost, so VMBus's is raised again if anything lies there for the guest.
 *
 * Context: main thread. Trust: the values and the pages are hostile.
 */
void hyperv_vcpu_loaded(struct vcpu *v, u64 control, u64 msg_page, u64 evt_page);

/** hyperv_dirty() - Note that we write to its SynIC pages (lib/dirty_log.h). Any thread. */
void hyperv_dirty(struct vcpu *v);

/** hyperv_vcpu_fini() - Undo hyperv_vcpu_init(). Context: main thread; its thread has ended. */
void hyperv_vcpu_fini(struct vcpu *v);

/** hyperv_exit() - Serve KVM_EXIT_HYPERV. The vCPU's thread. Trust: its fields are hostile. */
void hyperv_exit(struct vcpu *v);

/**
 * hyperv_fill_slot() - Put a message into a SynIC slot without raising the SINT
 * @v:       target
 * @sint:    0..15; the slot must have no other writer
 * @type:    message type, not 0
 * @payload: payload[len]
 * @len:     bytes, <= 240
 *
 * Return: 0; -EAGAIN when the slot is busy (then MessagePending is set) or the SynIC is off.
 */
int hyperv_fill_slot(struct vcpu *v, u32 sint, u32 type, const void *payload, u32 len);

/** hyperv_bind_event() - Let HvSignalEvent(@conn_id) increment @efd. Return: 0 or -errno. */
int hyperv_bind_event(struct machine *m, u32 conn_id, int efd);

/** hyperv_unbind_event() - Undo hyperv_bind_event(); no increment comes after it has returned. */
void hyperv_unbind_event(struct machine *m, u32 conn_id);

#endif
