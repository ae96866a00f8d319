/* SPDX-License-Identifier: GPL-2.0-only */
/* CPU models, topology, Hyper-V leaves. */
#ifndef KVMB_CPUID_H
#define KVMB_CPUID_H

#include <stdbool.h>
#include <stddef.h>

struct vcpu;

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

/** cpuid_host_is_tcg() - Does this host run under QEMU's TCG, as the lab does? */
bool cpuid_host_is_tcg(void);

#endif
