/* SPDX-License-Identifier: GPL-2.0-only */
/* CPU models, topology, Hyper-V leaves. */
#ifndef KVMB_CPUID_H
#define KVMB_CPUID_H

#include <stdbool.h>
#include <stddef.h>

struct vcpu;

/** cpuid_apply() - Give KVM the leaves of the machine's CPU model. Return: 0, or -errno with the reason logged. */
int cpuid_apply(struct vcpu *v);

/**
 * cpuid_check_model() - Is @model what --cpu takes, and can this host's CPU do it?
 * @why: why[size], on failure one phrase for the user
 * Return: 0 or -errno.
 */
int cpuid_check_model(const char *model, char *why, size_t size);

/** cpuid_host_is_tcg() - Are we ourselves in the lab? */
bool cpuid_host_is_tcg(void);

#endif
