// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model-specific registers of a saved vCPU: which there are, and the order in which KVM gets
 * them back.
 *
 *   GUEST_OS_ID             before HYPERCALL, which KVM ignores without
 *   SCONTROL, SIMP, SIEFP   before SINTs, and these before synthetic timers, which use them
 *   a timer's count         before its config: some kernels start the timer by themselves
 *   the TSC's deadline      last
 *
 * Sources: Linux arch/x86/kvm/hyperv.c kvm_hv_set_msr_pw(), synic_set_msr(), stimer_set_count().
 */
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/util.h"
#include "machine/vcpu_priv.h"

#define MAX_MSRS 2048u /* in a section; KVM knows about 500 */
#define TSC_DEADLINE 0x6e0u
#define FEATURE_CONTROL 0x3au

/* ---- which, and in what order ---- */

/* KVM has these, and neither lists them nor would a reset bring them back by itself. */
static const struct {
	u32 first, last;
} synic_msrs[] = {
	{ KVMB_MSR_SCONTROL, KVMB_MSR_SCONTROL },
	{ KVMB_MSR_SIEFP, KVMB_MSR_SIMP },
	{ KVMB_MSR_SINT0, KVMB_MSR_SINT0 + HV_NUM_SINTS - 1 },
	{ KVMB_MSR_STIMER0_CONFIG, KVMB_MSR_STIMER0_CONFIG + 2 * HV_NUM_STIMERS - 1 },
	{ KVMB_MSR_VP_ASSIST_PAGE, KVMB_MSR_VP_ASSIST_PAGE },
};

/* Of the whole VM, and so with vCPU 0. */
static const struct {
	u32 first, last;
} shared_msrs[] = {
	{ KVMB_MSR_GUEST_OS_ID, KVMB_MSR_HYPERCALL },
	{ KVMB_MSR_REFERENCE_TSC, KVMB_MSR_REFERENCE_TSC },
	{ KVMB_MSR_CRASH_P0, KVMB_MSR_CRASH_P0 + 4 },
	{ 0x40000106, 0x40000108 }, /* reenlightenment, TSC emulation */
	{ 0x40000118, 0x40000118 }, /* TSC_INVARIANT_CONTROL */
};

/*
 * Some kernels give these to guests whose CPUID does not tell of them; another kernel would not
 * take them back. Sources: AMD APM volume 2, 15.30.5 and 13.2.1; volume 3, appendix E.4.
 */
static const struct {
	u32 first, last, leaf, mask_ecx, mask_edx;
} features[] = {
	{ 0xc0000104, 0xc0000104, 0x8000000a, 0, 1u << 4 }, /* TSC ratio, of nested guests */
	{ 0xc0010200, 0xc001020b, 0x80000001, 1u << 23,
	  0 }, /* aliases of the first four, and two */
};

static enum msr_order order_of(u32 index)
{
	switch (index) {
	case FEATURE_CONTROL: /* before nested state */
		return MSRS_FIRST;
	case TSC_DEADLINE:
		return MSRS_DEADLINE;
	case KVMB_MSR_GUEST_OS_ID:
		return MSRS_OS_ID;
	case KVMB_MSR_HYPERCALL:
		return MSRS_HYPERCALL;
	case KVMB_MSR_SCONTROL:
		return MSRS_SCONTROL;
	case KVMB_MSR_SIMP:
	case KVMB_MSR_SIEFP:
		return MSRS_PAGES;
	case KVMB_MSR_SINT0 ... KVMB_MSR_SINT0 + HV_NUM_SINTS - 1:
		return MSRS_SINTS;
	case KVMB_MSR_STIMER0_CONFIG ... KVMB_MSR_STIMER0_CONFIG + 2 * HV_NUM_STIMERS - 1:
		return (index - KVMB_MSR_STIMER0_CONFIG) % 2 ? MSRS_COUNTS : MSRS_TIMERS;
	default:
		return index >= 0x40000000 && index < 0x40000200 ? MSRS_HYPERV : MSRS_PLAIN;
	}
}

static struct kvm_msr_entry *msr_in(const struct kvm_msrs *m, u32 index)
{
	u32 i;

	for (i = 0; i < m->nmsrs; i++) {
		if (m->entries[i].index == index)
			return (struct kvm_msr_entry *)&m->entries[i];
	}
	return NULL;
}

static bool is_shared(u32 index)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shared_msrs); i++) {
		if (index >= shared_msrs[i].first && index <= shared_msrs[i].last)
			return true;
	}
	return false;
}

/* Does CPUID tell of it, or need not? */
static bool is_announced(const struct kvm_cpuid2 *c, u32 index)
{
	bool announced = true;
	size_t i;
	u32 j;

	for (i = 0; i < ARRAY_SIZE(features) && announced; i++) {
		if (index < features[i].first || index > features[i].last)
			continue;
		announced = false;
		for (j = 0; j < c->nent && !announced; j++)
			announced = c->entries[j].function == features[i].leaf &&
				    (c->entries[j].ecx & features[i].mask_ecx ||
				     c->entries[j].edx & features[i].mask_edx);
	}
	return announced;
}

/* Those that are saved of this vCPU, without values: what a reset brings back, and the SynIC's. */
static struct kvm_msrs *saved_msrs(const struct vcpu *v, const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_msrs *on = v->on->msrs;
	struct kvm_msrs *m = vcpu_new_msrs(on->nmsrs + 64);
	u32 i, index;

	for (i = 0; i < on->nmsrs; i++) {
		index = on->entries[i].index;
		/* the VP index is the vCPU's, and no guest can change it */
		if (index != KVMB_MSR_VP_INDEX && !(v->index && is_shared(index)) &&
		    is_announced(cpuid, index))
			m->entries[m->nmsrs++].index = index;
	}
	for (i = 0; i < ARRAY_SIZE(synic_msrs); i++) {
		for (index = synic_msrs[i].first; index <= synic_msrs[i].last; index++) {
			if (!msr_in(m, index))
				m->entries[m->nmsrs++].index = index;
		}
	}
	return m;
}

/* ---- into the file and back ---- */

void vcpu_save_msrs(struct vcpu *v, struct kvmb_tlv_out *o, unsigned int field)
{
	struct kvm_msrs *all = saved_msrs(v, v->cpuid), *some = vcpu_new_msrs(VCPU_IO_MSRS);
	u64 *list = kvmb_xzalloc(2 * all->nmsrs * sizeof(*list));
	u32 i = 0, j, n, asked;
	size_t num = 0;

	while (i < all->nmsrs) {
		n = vcpu_some_msrs(v, KVM_GET_MSRS, all, i, some, &asked);
		for (j = 0; j < n; j++) {
			list[num++] = some->entries[j].index;
			list[num++] = some->entries[j].data;
		}
		i += n + (n < asked);
	}
	kvmb_tlv_put_list(o, field, list, num);
	free(all);
	free(some);
	free(list);
}

/*
 * A register that this KVM does not have is left out as long as it is zero: it was never used. All
 * others are wanted.
 */
static void load_msr(struct kvmb_tlv *t, unsigned int field, const struct kvm_msrs *known,
		     struct kvm_msrs *m, u64 index, u64 value)
{
	char why[80];

	if (index > UINT32_MAX || msr_in(m, (u32)index)) {
		kvmb_tlv_refuse(t, field, "a register is there twice, or is none");
	} else if (msr_in(known, (u32)index)) {
		m->entries[m->nmsrs++] =
			(struct kvm_msr_entry){ .index = (u32)index, .data = value };
	} else if (value) {
		snprintf(why, sizeof(why), "there is no register %#x here", (u32)index);
		kvmb_tlv_refuse(t, field, why);
	}
}

struct kvm_msrs *vcpu_load_msrs(struct vcpu *v, const struct kvm_cpuid2 *cpuid, struct kvmb_tlv *t,
				unsigned int field)
{
	struct kvm_msrs *known = saved_msrs(v, cpuid), *m = vcpu_new_msrs(known->nmsrs);
	size_t num, i;
	u64 *list = kvmb_tlv_get_list(t, field, (size_t)2 * MAX_MSRS, &num);

	if (num % 2)
		kvmb_tlv_refuse(t, field, "a register has no value");
	for (i = 0; i + 1 < num && !t->error->err; i += 2) {
		if (list[i] > UINT32_MAX || is_announced(cpuid, (u32)list[i]))
			load_msr(t, field, known, m, list[i], list[i + 1]);
	}
	free(list);
	free(known);
	return m;
}

u64 vcpu_msr(const struct kvm_msrs *m, u32 index)
{
	const struct kvm_msr_entry *e = msr_in(m, index);

	return e ? e->data : 0;
}

/* ---- giving them to KVM ---- */

/* Does the register have this value, although KVM refuses to write it? */
static bool has_value(struct vcpu *v, const struct kvm_msr_entry *e)
{
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} one = { .h.nmsrs = 1, .e.index = e->index };

	return ioctl(v->fd, KVM_GET_MSRS, &one) == 1 && one.e.data == e->data;
}

static void write_all(struct vcpu *v, const struct kvm_msrs *all, struct kvmb_tlv_error *e)
{
	struct kvm_msrs *some = vcpu_new_msrs(VCPU_IO_MSRS);
	u32 i = 0, n, asked;
	char what[32];

	while (i < all->nmsrs && !e->err) {
		n = vcpu_some_msrs(v, KVM_SET_MSRS, all, i, some, &asked);
		i += n;
		if (n == asked)
			continue;
		snprintf(what, sizeof(what), "register %#x", all->entries[i].index);
		if (!has_value(v, &all->entries[i]))
			vcpu_refused(v, what, -EINVAL, e);
		i++;
	}
	free(some);
}

void vcpu_apply_msrs(struct vcpu *v, const struct kvm_msrs *m, enum msr_order from,
		     enum msr_order to, struct kvmb_tlv_error *e)
{
	struct kvm_msrs *sorted = vcpu_new_msrs(m->nmsrs);
	u32 i, now;

	for (now = from; now <= to; now++) {
		for (i = 0; i < m->nmsrs; i++) {
			if (order_of(m->entries[i].index) == now)
				sorted->entries[sorted->nmsrs++] = m->entries[i];
		}
	}
	write_all(v, sorted, e);
	free(sorted);
}
