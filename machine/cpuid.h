/* SPDX-License-Identifier: GPL-2.0-only */
/* CPU models, topology, Hyper-V leaves. */
#ifndef KVMB_CPUID_H
#define KVMB_CPUID_H

#include <stdbool.h>
#include <stddef.h>

#include "vmbus-core/env.h"

struct kvm_cpuid2;
struct kvm_cpuid_entry2;
struct vcpu;

#define CPUID_MAX_LEAVES 256u

/**
 * cpuid_apply() - Set the CPUID of a vCPU: CPU model, topology, Hyper-V leaves
 * @v: has its descriptor; its thread has not started. Its cpuid is what was set
 *
 * Return: 0, or -errno with the reason logged. Context: main thread.
 */
int cpuid_apply(struct vcpu *v);

/**
 * cpuid_check_model() - Check a model as --cpu takes it
 * @model: "host", "x86-64-v2,-sse4.2", ...
 * @why:   why[size], on failure one phrase for the user
 * @size:  bytes
 *
 * Return: 0 or -errno. Context: any.
 */
int cpuid_check_model(const char *model, char *why, size_t size);

/**
 * cpuid_apic_is_virtual() - Does the CPU deliver and end interrupts without exits?
 *
 * Only parameters of KVM's modules tell, which are files. Context: before the VM is built.
 */
bool cpuid_apic_is_virtual(void);

/**
 * cpuid_feature_name() - What --cpu calls a bit
 * @reg: 0 EAX, 1 EBX, 2 ECX, 3 EDX
 *
 * Return: NULL: it has no name.
 */
const char *cpuid_feature_name(u32 leaf, u32 sub, u32 reg, u32 bit);

/* ---- cpuid_keep.c ---- */

/**
 * cpuid_check_kept() - Can a vCPU go on here with the leaves that it had elsewhere?
 * @v:      has those of this host
 * @leaves: leaves[num], hostile, but a private copy
 * @num:    at most CPUID_MAX_LEAVES
 * @why:    why[size], on failure one phrase
 * @size:   bytes
 *
 * Return: 0; -ENOTSUP. Context: any thread.
 */
int cpuid_check_kept(const struct vcpu *v, const struct kvm_cpuid_entry2 *leaves, u32 num,
		     char *why, size_t size);

/**
 * cpuid_keep() - Give a vCPU the leaves that it had elsewhere
 * @v:      has not run
 * @leaves: of cpuid_check_kept(); taken over on success
 *
 * Return: 0 or -errno: KVM does not take them. Context: main thread.
 */
int cpuid_keep(struct vcpu *v, struct kvm_cpuid2 *leaves);

/** cpuid_host_is_tcg() - Does this host run under QEMU's TCG, as the lab does? */
bool cpuid_host_is_tcg(void);

#endif
