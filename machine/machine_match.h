/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must be the same on two hosts for a VM to go on: how the machine is built, the time stamp
 * counter, the CPU. It is in a saved state, and a migration asks before it sends a page.
 */
#ifndef KVMB_MACHINE_MATCH_H
#define KVMB_MACHINE_MATCH_H

#include "lib/tlv.h"
#include "machine/machine.h"

struct vcpu;

enum { /* fields of sections KVMB_SEC_MACHINE and KVMB_SEC_HOST; never used again */
       MACHINE_MATCH_CPUS = 1,
       MACHINE_MATCH_REGIONS = 2, /* list: base, bytes, base, bytes ... of guest memory */
       MACHINE_MATCH_TSC_KHZ = 3, /* 0: KVM does not know */
       MACHINE_MATCH_CPUID = 4,	  /* section HOST: of vCPU 0, struct kvm_cpuid_entry2[] */
       MACHINE_MATCH_GEN1 = 14,	  /* group, of a gen1 machine: gen1_state.c */
};

/** machine_match_put() - Fields 1 to 3, and 14, of the open section. Any thread; vCPUs may run. */
void machine_match_put(const struct machine *m, struct kvmb_tlv_out *o);

/** machine_match_check() - Refuse section @t when they are not the same here. @t is hostile. */
void machine_match_check(const struct machine *m, struct kvmb_tlv *t);

/** machine_match_put_cpuid() - The leaves of a vCPU as they were set, as field @field. */
void machine_match_put_cpuid(const struct vcpu *v, struct kvmb_tlv_out *o, unsigned int field);

/**
 * machine_match_take_cpuid() - The leaves that a vCPU had
 * @v:     would go on with them
 * @t:     hostile, has them as field @field
 *
 * Return: free() it; NULL: @t is refused, because @v cannot have them. Context: any thread.
 */
struct kvm_cpuid2 *machine_match_take_cpuid(const struct vcpu *v, struct kvmb_tlv *t,
					    unsigned int field);

/** machine_match_save() - Section KVMB_SEC_HOST. Any thread; vCPUs may run. */
void machine_match_save(const struct machine *m, struct kvmb_tlv_out *o);

/**
 * machine_match_load() - Can a VM of such a host go on here?
 * @m: built
 * @t: KVMB_SEC_HOST, hostile
 *
 * Return: 0; -EPROTO with one line in @t->error. Context: any thread.
 */
int machine_match_load(const struct machine *m, struct kvmb_tlv *t);

#endif
