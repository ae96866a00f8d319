/* SPDX-License-Identifier: GPL-2.0-only */
/* What vcpu_state.c, vcpu_save.c and vcpu_msrs.c share: a vCPU's registers as KVM has them. */
#ifndef KVMB_VCPU_PRIV_H
#define KVMB_VCPU_PRIV_H

#include "lib/tlv.h"
#include "machine/vcpu.h"

#define VCPU_IO_MSRS 128u /* at once; KVM takes less than 256 (MAX_IO_MSRS) */

struct vcpu_power_on {
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_fpu fpu;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	bool has_xcrs;
	void *xsave; /* xsave[xsave_size]; NULL: a CPU without; fpu is all then */
	u32 xsave_size;
	unsigned long get_xsave;	 /* the request that reads so much */
	struct kvm_nested_state *nested; /* NULL: no nested virtualisation */
	u32 nested_room;		 /* bytes that it has at most */
	struct kvm_msrs *msrs; /* all that are state: readable, and take back what was read */
	u64 tsc_offset;	       /* from the host's TSC; pauses move it */
	bool has_tsc_offset;
};

/** vcpu_new_msrs() - An empty list with room for @max. Return: never NULL; free() it. */
struct kvm_msrs *vcpu_new_msrs(u32 max);

/**
 * vcpu_some_msrs() - Read or write those from all[@from] on, as many as KVM takes at once
 * @v:       stands
 * @request: KVM_GET_MSRS or KVM_SET_MSRS
 * @all:     registers
 * @from:    index in @all
 * @some:    room for VCPU_IO_MSRS; what was read is here
 * @asked:   set to how many were tried
 *
 * Return: how many it did: KVM stops at the first that it refuses.
 */
u32 vcpu_some_msrs(struct vcpu *v, unsigned long request, const struct kvm_msrs *all, u32 from,
		   struct kvm_msrs *some, u32 *asked);

/**
 * vcpu_tsc_offset() - Read or write how far the guest's TSC is ahead of the host's
 * @v:       stands
 * @request: KVM_GET_DEVICE_ATTR or KVM_SET_DEVICE_ATTR
 * @offset:  in or out, ticks
 *
 * Return: 0; -errno: a kernel before 5.16.
 */
int vcpu_tsc_offset(struct vcpu *v, unsigned long request, u64 *offset);

/** vcpu_refused() - "KVM does not take @what of vCPU ..." into @e, with @err, which is negative */
void vcpu_refused(struct vcpu *v, const char *what, int err, struct kvmb_tlv_error *e);

/* ---- vcpu_msrs.c ---- */

/* The order in which registers of a saved VM are written. */
enum msr_order {
	MSRS_FIRST, /* before all else: what nested state needs */
	MSRS_PLAIN,
	MSRS_OS_ID,
	MSRS_HYPERCALL,
	MSRS_HYPERV,
	MSRS_SCONTROL,
	MSRS_PAGES,
	MSRS_SINTS,
	MSRS_COUNTS,
	MSRS_TIMERS,
	MSRS_DEADLINE,
	MSRS_LAST = MSRS_DEADLINE
};

/** vcpu_save_msrs() - All that are state, as a list; one that @v lacks by now is left out */
void vcpu_save_msrs(struct vcpu *v, struct kvmb_tlv_out *o, unsigned int field);

/**
 * vcpu_load_msrs() - Such a list, hostile, of a vCPU that has, or will have, these leaves
 * Return: never NULL, also after an error; free() it.
 */
struct kvm_msrs *vcpu_load_msrs(struct vcpu *v, const struct kvm_cpuid2 *cpuid, struct kvmb_tlv *t,
				unsigned int field);

/** vcpu_msr() - The value of a register in a list; 0 if it is not there */
u64 vcpu_msr(const struct kvm_msrs *m, u32 index);

/**
 * vcpu_apply_msrs() - Write those of @m that are due between two points of the order
 * @v:    stands
 * @m:    of vcpu_load_msrs()
 * @from: first
 * @to:   last
 * @e:    nothing is done if there is an error already; names the first register that is refused
 */
void vcpu_apply_msrs(struct vcpu *v, const struct kvm_msrs *m, enum msr_order from,
		     enum msr_order to, struct kvmb_tlv_error *e);

#endif
