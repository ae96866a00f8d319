// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state that a virtual CPU has at power-on, and its return to it.
 *
 * DOC: Theory of operation
 *
 * Which registers a CPU has depends on the host's CPU and kernel, so we do not list them. When a
 * vCPU has been made we save everything that KVM can save, and a reset writes it back. A register
 * that this host refuses to take back right after reading it is not state. The model-specific
 * registers are those of KVM's own list, and a few that older kernels have but do not list.
 * skipped[] has the exceptions, each with its reason.
 *
 * Time goes on: a reset does not set back the TSC, KVM's clock and Hyper-V's reference counter. But
 * it undoes what the guest has done to its TSC, for all CPUs alike, so that they agree.
 *
 * Source: Linux Documentation/virt/kvm/api.rst (KVM_GET_MSR_INDEX_LIST, KVM_GET_XSAVE2,
 * KVM_GET_NESTED_STATE, KVM_VCPU_TSC_OFFSET).
 */
#include "machine/vcpu.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/hyperv.h"
#include "machine/vcpu_priv.h"

#define XSAVE_MIN 4096u /* struct kvm_xsave as it once was */

static const struct { u32 first, last; } skipped[] = {
	{ 0x10, 0x10 },		    /* TSC: time goes on */
	{ 0x480, 0x492 },	    /* what VMX can do: no guest can change it */
	{ 0x40000003, 0x40000003 }, /* RESET: a command */
	{ 0x40000010, 0x40000010 }, /* VP_RUNTIME: a counter, of the thread that writes it */
	{ 0x40000020, 0x40000020 }, /* TIME_REF_COUNT: time goes on */
	{ 0x40000022, 0x40000023 }, /* frequencies: no guest can change them */
	{ KVMB_MSR_CRASH_CTL, KVMB_MSR_CRASH_CTL }, /* hyperv_vcpu_reset() says what we offer */
};

/* Kernels have these and do not all list them: DEBUGCTL, MTRRs, the deadline. */
static const struct { u32 first, last; } unlisted[] = {
	{ 0x1d9, 0x1d9 }, { 0x200, 0x20f }, { 0x250, 0x250 }, { 0x258, 0x259 }, { 0x268, 0x26f },
	{ 0x277, 0x277 }, { 0x2ff, 0x2ff }, { 0x6e0, 0x6e0 },
};

/* ---- model-specific registers ---- */

static bool is_skipped(u32 index)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(skipped); i++) {
		if (index >= skipped[i].first && index <= skipped[i].last)
			return true;
	}
	return false;
}

/*
 * Add @index with its value now, if it can be written back. One that is there already is not added
 * again.
 */
static void add_msr(struct vcpu *v, struct kvm_msrs *m, u32 index)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} one = { .h.nmsrs = 1, .e.index = index };
	u32 i;

	for (i = 0; i < m->nmsrs; i++) {
		if (m->entries[i].index == index)
			return;
	}
	if (!is_skipped(index) && ioctl(v->fd, KVM_GET_MSRS, &one) == 1 &&
	    ioctl(v->fd, KVM_SET_MSRS, &one) == 1)
		m->entries[m->nmsrs++] = one.e;
}

/* The first vCPU finds out which there are. */
static int find_msrs(struct vcpu *v)
{
	struct kvm_msr_list *l, probe = { 0 };
	size_t i, max = 0;
	u32 index;

	if (!ioctl(v->machine->kvm_fd, KVM_GET_MSR_INDEX_LIST, &probe) || errno != E2BIG)
		return -EIO;
	l = kvmb_xzalloc(sizeof(*l) + probe.nmsrs * sizeof(l->indices[0]));
	l->nmsrs = probe.nmsrs;
	if (ioctl(v->machine->kvm_fd, KVM_GET_MSR_INDEX_LIST, l)) {
		free(l);
		return -errno;
	}
	for (i = 0; i < ARRAY_SIZE(unlisted); i++)
		max += unlisted[i].last - unlisted[i].first + 1;
	v->on->msrs = kvmb_xzalloc(sizeof(struct kvm_msrs) +
				   (l->nmsrs + max) * sizeof(struct kvm_msr_entry));
	for (i = 0; i < l->nmsrs; i++)
		add_msr(v, v->on->msrs, l->indices[i]);
	for (i = 0; i < ARRAY_SIZE(unlisted); i++) {
		for (index = unlisted[i].first; index <= unlisted[i].last; index++)
			add_msr(v, v->on->msrs, index);
	}
	free(l);
	return 0;
}

u32 vcpu_some_msrs(struct vcpu *v, unsigned long request, const struct kvm_msrs *all, u32 from,
		   struct kvm_msrs *some, u32 *asked)
{
	int n;

	*asked = some->nmsrs = KVMB_MIN(all->nmsrs - from, VCPU_IO_MSRS);
	memcpy(some->entries, all->entries + from, some->nmsrs * sizeof(some->entries[0]));
	n = ioctl(v->fd, request, some);
	return (u32)KVMB_MAX(n, 0);
}

struct kvm_msrs *vcpu_new_msrs(u32 max)
{
	return kvmb_xzalloc(sizeof(struct kvm_msrs) + max * sizeof(struct kvm_msr_entry));
}

/*
 * The others have the same ones, with values of their own. One that this one does not have is left
 * out.
 */
static void copy_msrs(struct vcpu *v, const struct kvm_msrs *first)
{
	struct kvm_msrs *m = vcpu_new_msrs(first->nmsrs), *some = vcpu_new_msrs(VCPU_IO_MSRS);
	u32 i = 0, n, asked;

	v->on->msrs = m;
	while (i < first->nmsrs) {
		n = vcpu_some_msrs(v, KVM_GET_MSRS, first, i, some, &asked);
		memcpy(m->entries + m->nmsrs, some->entries, n * sizeof(m->entries[0]));
		m->nmsrs += n;
		i += n + (n < asked);
	}
	free(some);
}

/* What KVM refuses is said, and the rest is written all the same. */
static void write_msrs(struct vcpu *v)
{
	const struct kvm_msrs *all = v->on->msrs;
	struct kvm_msrs *some = vcpu_new_msrs(VCPU_IO_MSRS);
	u32 i = 0, n, asked;

	while (i < all->nmsrs) {
		n = vcpu_some_msrs(v, KVM_SET_MSRS, all, i, some, &asked);
		i += n;
		if (n == asked)
			continue;
		kvmb_warn_ratelimited(v->machine->name,
				      "vCPU %u: register %#x keeps what the guest wrote", v->index,
				      all->entries[i].index);
		i++;
	}
	free(some);
}

/* ---- time ---- */

int vcpu_tsc_offset(struct vcpu *v, unsigned long request, u64 *offset)
{
	struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
					.addr = (u64)(uintptr_t)offset };

	return ioctl(v->fd, request, &attr) ? -errno : 0;
}

int vcpu_shift_tsc(struct vcpu *v, u64 ticks)
{
	u64 offset;
	int err = vcpu_tsc_offset(v, KVM_GET_DEVICE_ATTR, &offset);

	if (err)
		return err;
	offset -= ticks;
	v->on->tsc_offset -= ticks;
	return vcpu_tsc_offset(v, KVM_SET_DEVICE_ATTR, &offset);
}

/* ---- the rest ---- */

static void save_xsave(struct vcpu *v)
{
	int size = ioctl(v->machine->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	v->on->get_xsave = size > 0 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE;
	v->on->xsave_size = (u32)KVMB_MAX(size, (int)XSAVE_MIN);
	v->on->xsave = kvmb_xzalloc(v->on->xsave_size);
	if (ioctl(v->fd, v->on->get_xsave, v->on->xsave) ||
	    ioctl(v->fd, KVM_SET_XSAVE, v->on->xsave)) {
		free(v->on->xsave);
		v->on->xsave = NULL;
	}
	v->on->has_xcrs = !ioctl(v->fd, KVM_GET_XCRS, &v->on->xcrs) && v->on->xcrs.nr_xcrs &&
			  !ioctl(v->fd, KVM_SET_XCRS, &v->on->xcrs);
}

static void save_nested(struct vcpu *v)
{
	int size = ioctl(v->machine->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE);

	if (size <= 0)
		return;
	v->on->nested_room = (u32)size;
	v->on->nested = kvmb_xzalloc((size_t)size);
	v->on->nested->size = (u32)size;
	if (ioctl(v->fd, KVM_GET_NESTED_STATE, v->on->nested) ||
	    ioctl(v->fd, KVM_SET_NESTED_STATE, v->on->nested)) {
		free(v->on->nested);
		v->on->nested = NULL;
	}
}

int vcpu_save_power_on(struct vcpu *v)
{
	struct vcpu_power_on *on = v->on = kvmb_xzalloc(sizeof(*on));

	if (ioctl(v->fd, KVM_GET_LAPIC, &on->lapic) || ioctl(v->fd, KVM_GET_SREGS, &on->sregs) ||
	    ioctl(v->fd, KVM_GET_FPU, &on->fpu) ||
	    ioctl(v->fd, KVM_GET_DEBUGREGS, &on->debugregs) ||
	    ioctl(v->fd, KVM_GET_VCPU_EVENTS, &on->events))
		return -errno;
	save_xsave(v);
	save_nested(v);
	on->has_tsc_offset = !vcpu_tsc_offset(v, KVM_GET_DEVICE_ATTR, &on->tsc_offset);
	if (!v->index)
		return find_msrs(v);
	copy_msrs(v, v->machine->vcpus[0].on->msrs);
	return 0;
}

void vcpu_free_power_on(struct vcpu *v)
{
	if (!v->on)
		return;
	free(v->on->xsave);
	free(v->on->nested);
	free(v->on->msrs);
	free(v->on);
	v->on = NULL;
}

int vcpu_reset(struct vcpu *v)
{
	struct kvm_mp_state mp = { v->index ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rip = 0xfff0, .rflags = 2 };
	struct vcpu_power_on *on = v->on, *first = v->machine->vcpus[0].on;
	int err;

	/* a guest's guest is left first: what follows is about the outer one */
	if (on->nested && ioctl(v->fd, KVM_SET_NESTED_STATE, on->nested))
		return -errno;
	err = hyperv_vcpu_reset(v);
	if (err)
		return err;
	if (ioctl(v->fd, KVM_SET_SREGS, &on->sregs) || ioctl(v->fd, KVM_SET_LAPIC, &on->lapic) ||
	    ioctl(v->fd, KVM_SET_FPU, &on->fpu))
		return -errno;
	if ((on->xsave && ioctl(v->fd, KVM_SET_XSAVE, on->xsave)) ||
	    (on->has_xcrs && ioctl(v->fd, KVM_SET_XCRS, &on->xcrs)))
		return -errno;
	write_msrs(v);
	if (on->has_tsc_offset && vcpu_tsc_offset(v, KVM_SET_DEVICE_ATTR, &first->tsc_offset))
		return -errno;
	if (ioctl(v->fd, KVM_SET_REGS, &regs) || ioctl(v->fd, KVM_SET_DEBUGREGS, &on->debugregs) ||
	    ioctl(v->fd, KVM_SET_VCPU_EVENTS, &on->events) || ioctl(v->fd, KVM_SET_MP_STATE, &mp))
		return -errno;
	return 0;
}
