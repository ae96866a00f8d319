// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU into a saved VM's file and back.
 *
 * DOC: Theory of operation
 *
 * As in vcpu_state.c, KVM's own structures are saved as they are, and those model-specific
 * registers that it can read and takes back. Loading has two steps. vcpu_load() reads a section,
 * which is hostile, and keeps it. vcpu_apply() gives it to KVM when everything has been read. What
 * KVM does with registers depends on others, so it goes by our order and never by that of the file:
 *
 *   SREGS (APIC base, EFER)   before LAPIC, whose layout they decide, and before nested state
 *   TSC                       before LAPIC and deadline, which are compared with it
 *   LAPIC                     before the deadline, which is ignored unless the timer wants one
 *   registers of vcpu_msrs.c  in their own order
 *   events, MP state          last: writing registers drops what is pending
 *
 * Reading has an order, too. KVM_GET_MP_STATE serves a pending INIT, which changes registers.
 * The deadline is read before the LAPIC: if it passes in between, it is there twice and not never.
 *
 * A TSC is saved as the value that the guest saw last, so no host's offset is in the file.
 *
 * The CPUID is compared: a VM goes on only where all leaves are the same, as its model makes them.
 *
 * Sources: Linux Documentation/virt/kvm/api.rst and devices/vcpu.rst (KVM_VCPU_TSC_OFFSET); Linux
 * arch/x86/kvm/lapic.c kvm_set_lapic_tscdeadline_msr(); QEMU target/i386/kvm/kvm.c
 * kvm_arch_get_registers(), kvm_arch_put_registers().
 */
#include "machine/vcpu_save.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/hyperv.h"
#include "machine/machine_match.h"
#include "machine/vcpu_priv.h"

/* Fields of a section KVMB_SEC_VCPU. Numbers are never used again. */
enum {
	VCPU_CPUID = 1,	    /* struct kvm_cpuid_entry2[], as it was set */
	VCPU_MP_STATE = 2,  /* struct kvm_mp_state */
	VCPU_EVENTS = 3,    /* struct kvm_vcpu_events */
	VCPU_REGS = 4,	    /* struct kvm_regs */
	VCPU_SREGS = 5,	    /* struct kvm_sregs */
	VCPU_SREGS2 = 6,    /* struct kvm_sregs2; optional, taken instead of the former */
	VCPU_FPU = 7,	    /* struct kvm_fpu */
	VCPU_XCRS = 8,	    /* struct kvm_xcrs; if the CPU has them */
	VCPU_DEBUGREGS = 9, /* struct kvm_debugregs */
	VCPU_LAPIC = 10,    /* struct kvm_lapic_state */
	VCPU_XSAVE = 11,    /* as KVM_GET_XSAVE2 has it; if the CPU has it */
	VCPU_NESTED = 12,   /* struct kvm_nested_state and its data; if the CPU has it */
	VCPU_MSRS = 13,	    /* list: index, value, index, value ... */
	VCPU_TSC = 14,	    /* what the guest saw last */
	VCPU_TSC_RESET =
		15, /* the same, if the guest had never written it: it goes on at a reset */
	VCPU_LATE_FLAGS = 16, /* list: event flags that were raised while the page was off */
};

#define TSC 0x10u

struct vcpu_image {
	struct kvm_mp_state mp;
	struct kvm_vcpu_events events;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	u32 has;	      /* bit n: field n was there */
	void *xsave, *nested; /* NULL: none */
	struct kvm_cpuid2 *cpuid; /* NULL: given to the vCPU */
	struct kvm_msrs *msrs;
	u64 tsc, tsc_reset;
	u32 late_flags[HV_EVENT_FLAGS_PER_SINT / 32];
};

/* What KVM reads and writes as one structure of fixed size, in the order of reading. */
static const struct part {
	unsigned int field;
	unsigned long get, set;
	size_t offset, size;
	const char *name;
} parts[] = {
#define PART(field, request, member)                                                              \
	{                                                                                         \
		field, KVM_GET_##request, KVM_SET_##request, offsetof(struct vcpu_image, member), \
			sizeof(((struct vcpu_image *)0)->member), #request                        \
	}
	PART(VCPU_MP_STATE, MP_STATE, mp), PART(VCPU_EVENTS, VCPU_EVENTS, events),
	PART(VCPU_REGS, REGS, regs),	   PART(VCPU_SREGS, SREGS, sregs),
	PART(VCPU_SREGS2, SREGS2, sregs2), PART(VCPU_FPU, FPU, fpu),
	PART(VCPU_XCRS, XCRS, xcrs),	   PART(VCPU_DEBUGREGS, DEBUGREGS, debugregs),
#undef PART
};
static const struct part lapic = { VCPU_LAPIC,
				   KVM_GET_LAPIC,
				   KVM_SET_LAPIC,
				   offsetof(struct vcpu_image, lapic),
				   sizeof(struct kvm_lapic_state),
				   "LAPIC" };

/* ---- saving ---- */

static bool has_part(const struct vcpu *v, const struct part *p)
{
	if (p->field == VCPU_SREGS2)
		return ioctl(v->machine->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SREGS2) > 0;
	return p->field != VCPU_XCRS || v->on->has_xcrs;
}

static int save_part(struct vcpu *v, const struct part *p, struct kvmb_tlv_out *o,
		     const char **failed)
{
	struct vcpu_image im = { 0 };
	u8 *at = (u8 *)&im + p->offset;

	if (!has_part(v, p))
		return 0;
	*failed = p->name;
	if (ioctl(v->fd, p->get, at))
		return -errno;
	kvmb_tlv_put_bytes(o, p->field, at, p->size);
	return 0;
}

static int put_xsave(struct vcpu *v, struct kvmb_tlv_out *o)
{
	u8 *buf = kvmb_xzalloc(v->on->xsave_size);
	int err = ioctl(v->fd, v->on->get_xsave, buf) ? -errno : 0;

	if (!err)
		kvmb_tlv_put_bytes(o, VCPU_XSAVE, buf, v->on->xsave_size);
	free(buf);
	return err;
}

static int put_nested(struct vcpu *v, struct kvmb_tlv_out *o)
{
	struct kvm_nested_state *n = kvmb_xzalloc(v->on->nested_room);
	int err;

	n->size = v->on->nested_room;
	err = ioctl(v->fd, KVM_GET_NESTED_STATE, n) ? -errno : 0;
	if (!err && n->size <= v->on->nested_room) {
		kvmb_tlv_put_bytes(o, VCPU_NESTED, n, n->size);
		kvmb_tlv_critical(o);
	}
	free(n);
	return err;
}

/* What the guest would have read when the clock was stopped. */
static int save_tsc(struct vcpu *v, struct kvmb_tlv_out *o)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} one = { .h.nmsrs = 1, .e.index = TSC };
	u64 offset, tsc, paused_at = guest_tsc_at(&v->machine->tsc, v->machine->paused_at_tsc);

	if (!vcpu_tsc_offset(v, KVM_GET_DEVICE_ATTR, &offset)) {
		tsc = paused_at + offset;
	} else { /* an old kernel: it goes on while the VM is paused */
		if (ioctl(v->fd, KVM_GET_MSRS, &one) != 1)
			return -EIO;
		tsc = one.e.data;
	}
	kvmb_tlv_put(o, VCPU_TSC, tsc);
	kvmb_tlv_put(o, VCPU_TSC_RESET,
		     v->on->has_tsc_offset ? paused_at + v->on->tsc_offset : tsc);
	return 0;
}

static void save_late_flags(struct vcpu *v, struct kvmb_tlv_out *o)
{
	u64 list[HV_EVENT_FLAGS_PER_SINT];
	u32 flag, word;
	size_t num = 0;

	for (flag = 0; flag < HV_EVENT_FLAGS_PER_SINT; flag++) {
		word = __atomic_load_n(&v->late_flags[flag / 32], __ATOMIC_SEQ_CST);
		if (word & 1u << flag % 32)
			list[num++] = flag;
	}
	kvmb_tlv_put_list(o, VCPU_LATE_FLAGS, list, num);
}

int vcpu_save(struct vcpu *v, struct kvmb_tlv_out *o, const char **failed)
{
	size_t i;
	int err = 0;

	kvmb_tlv_begin(o, KVMB_SEC_VCPU, v->index, KVMB_TLV_CRITICAL);
	machine_match_put_cpuid(v, o, VCPU_CPUID);
	for (i = 0; i < ARRAY_SIZE(parts) && !err; i++)
		err = save_part(v, &parts[i], o, failed);
	if (!err && v->on->xsave) {
		*failed = "XSAVE";
		err = put_xsave(v, o);
	}
	if (!err) {
		vcpu_save_msrs(v, o, VCPU_MSRS); /* before the LAPIC */
		err = save_part(v, &lapic, o, failed);
	}
	if (!err && v->on->nested) {
		*failed = "NESTED_STATE";
		err = put_nested(v, o);
	}
	if (!err) {
		*failed = "the time stamp counter";
		err = save_tsc(v, o);
	}
	save_late_flags(v, o);
	kvmb_tlv_end(o);
	return err;
}

/* ---- reading a section ---- */

static void load_part(struct vcpu *v, const struct part *p, struct kvmb_tlv *t)
{
	bool there = kvmb_tlv_has(t, p->field);

	if (!has_part(v, p) || (p->field == VCPU_SREGS2 && !there))
		return;
	kvmb_tlv_copy(t, p->field, (u8 *)v->image + p->offset, p->size);
	v->image->has |= 1u << p->field;
}

static void load_xsave(struct vcpu *v, struct kvmb_tlv *t)
{
	u32 size = v->on->xsave_size;

	if (!v->on->xsave) {
		if (kvmb_tlv_has(t, VCPU_XSAVE))
			kvmb_tlv_refuse(t, VCPU_XSAVE, "this CPU has none");
		return;
	}
	v->image->xsave = kvmb_xzalloc(size);
	kvmb_tlv_copy(t, VCPU_XSAVE, v->image->xsave, size);
}

static void load_nested(struct vcpu *v, struct kvmb_tlv *t)
{
	struct kvm_nested_state n;
	const u8 *p;
	size_t len;

	if (!v->on->nested) {
		if (kvmb_tlv_has(t, VCPU_NESTED))
			kvmb_tlv_refuse(t, VCPU_NESTED, "this KVM has none");
		return;
	}
	p = kvmb_tlv_get_bytes(t, VCPU_NESTED, &len);
	if (!p)
		return;
	if (len >= sizeof(n))
		memcpy(&n, p, sizeof(n));
	if (len < sizeof(n) || len > v->on->nested_room || n.size != len) {
		kvmb_tlv_refuse(t, VCPU_NESTED, "its size is wrong");
		return;
	}
	v->image->nested = kvmb_xzalloc(len);
	memcpy(v->image->nested, p, len);
}

static void load_late_flags(struct vcpu *v, struct kvmb_tlv *t)
{
	size_t num, i;
	u64 *list = kvmb_tlv_get_list(t, VCPU_LATE_FLAGS, HV_EVENT_FLAGS_PER_SINT, &num);

	for (i = 0; i < num; i++) {
		if (list[i] < HV_EVENT_FLAGS_PER_SINT)
			v->image->late_flags[list[i] / 32] |= 1u << list[i] % 32;
		else
			kvmb_tlv_refuse(t, VCPU_LATE_FLAGS, "there is no such flag");
	}
	free(list);
}

int vcpu_load(struct vcpu *v, struct kvmb_tlv *t)
{
	size_t i;

	if (v->image) {
		kvmb_tlv_refuse(t, VCPU_CPUID, "this vCPU is there twice");
		return t->error->err;
	}
	v->image = kvmb_xzalloc(sizeof(*v->image));
	v->image->cpuid = machine_match_take_cpuid(v, t, VCPU_CPUID);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		load_part(v, &parts[i], t);
	load_part(v, &lapic, t);
	load_xsave(v, t);
	load_nested(v, t);
	v->image->msrs =
		vcpu_load_msrs(v, v->image->cpuid ? v->image->cpuid : v->cpuid, t, VCPU_MSRS);
	v->image->tsc = kvmb_tlv_get(t, VCPU_TSC, UINT64_MAX);
	v->image->tsc_reset = kvmb_tlv_get(t, VCPU_TSC_RESET, UINT64_MAX);
	load_late_flags(v, t);
	return kvmb_tlv_done(t);
}

void vcpu_free_image(struct vcpu *v)
{
	if (!v->image)
		return;
	free(v->image->cpuid);
	free(v->image->xsave);
	free(v->image->nested);
	free(v->image->msrs);
	free(v->image);
	v->image = NULL;
}

/* ---- giving it to KVM; the first failure is kept, and nothing is tried after it ---- */

void vcpu_refused(struct vcpu *v, const char *what, int err, struct kvmb_tlv_error *e)
{
	e->err = err;
	snprintf(e->text, sizeof(e->text), "KVM does not take %s of vCPU %u: %s", what, v->index,
		 strerror(-err));
}

static void apply(struct vcpu *v, unsigned long request, void *p, const char *what,
		  struct kvmb_tlv_error *e)
{
	if (!e->err && p && ioctl(v->fd, request, p))
		vcpu_refused(v, what, -errno, e);
}

static void apply_part(struct vcpu *v, unsigned int field, struct kvmb_tlv_error *e)
{
	const struct part *p = field == VCPU_LAPIC ? &lapic : parts;

	if (!(v->image->has & 1u << field))
		return;
	while (p->field != field)
		p++;
	apply(v, p->set, (u8 *)v->image + p->offset, p->name, e);
}

static void apply_tsc(struct vcpu *v, struct kvmb_tlv_error *e)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} one = { .h.nmsrs = 1, .e = { .index = TSC, .data = v->image->tsc } };
	u64 paused_at = guest_tsc_at(&v->machine->tsc, v->machine->paused_at_tsc);
	u64 offset = v->image->tsc - paused_at;

	if (e->err)
		return;
	if (v->on->has_tsc_offset) {
		v->on->tsc_offset = v->image->tsc_reset - paused_at;
		if (vcpu_tsc_offset(v, KVM_SET_DEVICE_ATTR, &offset))
			vcpu_refused(v, "the time stamp counter", -EINVAL, e);
	} else if (ioctl(v->fd, KVM_SET_MSRS, &one) != 1) {
		vcpu_refused(v, "the time stamp counter", -EINVAL, e);
	}
}

/* First: what else KVM takes follows from it. */
static void apply_cpuid(struct vcpu *v, struct kvmb_tlv_error *e)
{
	int err = e->err ? 0 : cpuid_keep(v, v->image->cpuid);

	if (err)
		vcpu_refused(v, "the CPUID", err, e);
	else if (!e->err)
		v->image->cpuid = NULL;
}

int vcpu_apply(struct vcpu *v, struct kvmb_tlv_error *e)
{
	struct vcpu_image *im = v->image;
	int err;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(im->late_flags); i++) /* some may have been raised meanwhile */
		im->late_flags[i] |= __atomic_load_n(&v->late_flags[i], __ATOMIC_SEQ_CST);
	apply_cpuid(v, e);
	err = hyperv_vcpu_reset(v); /* says also what we offer */
	if (err)
		vcpu_refused(v, "the SynIC", err, e);
	vcpu_apply_msrs(v, im->msrs, MSRS_FIRST, MSRS_FIRST, e);
	apply_part(v, im->has & 1u << VCPU_SREGS2 ? VCPU_SREGS2 : VCPU_SREGS, e);
	apply(v, KVM_SET_NESTED_STATE, im->nested, "NESTED_STATE", e);
	apply_tsc(v, e);
	apply_part(v, VCPU_LAPIC, e);
	apply_part(v, VCPU_REGS, e);
	apply_part(v, VCPU_FPU, e);
	apply(v, KVM_SET_XSAVE, im->xsave, "XSAVE", e);
	apply_part(v, VCPU_XCRS, e);
	vcpu_apply_msrs(v, im->msrs, MSRS_PLAIN, MSRS_LAST, e);
	apply_part(v, VCPU_DEBUGREGS, e);
	apply_part(v, VCPU_EVENTS, e);
	apply_part(v, VCPU_MP_STATE, e);
	for (i = 0; i < ARRAY_SIZE(im->late_flags); i++)
		__atomic_fetch_or(&v->late_flags[i], im->late_flags[i], __ATOMIC_SEQ_CST);
	return e->err;
}

void vcpu_use_synic(struct vcpu *v)
{
	const struct kvm_msrs *m = v->image->msrs;

	hyperv_vcpu_loaded(v, vcpu_msr(m, KVMB_MSR_SCONTROL), vcpu_msr(m, KVMB_MSR_SIMP),
			   vcpu_msr(m, KVMB_MSR_SIEFP));
}
