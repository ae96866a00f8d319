// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID of a VM that comes from elsewhere: the guest has seen it, so it keeps it.
 *
 * What is a feature must be there: every bit that it had is one that this host's KVM can give a
 * guest, or one that we give every guest. What only describes is taken as it is, whether caches, a
 * name, or how far the leaves go. All else must be what this host says: how the vCPUs are
 * numbered, how registers are laid out, and leaves that we do not know.
 *
 * A bit that the host has and the VM had not is none of its business: KVM_SET_CPUID2 takes it away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/vcpu.h"

enum rule { AS_HERE, BITS, ANY, AT_MOST }; /* AT_MOST: lowest byte; the rest is free */

/* Rules of EAX, EBX, ECX, EDX. Sources: Intel SDM, AMD APM on CPUID; TLFS 2.4 */
static const struct leaf_rule {
	u32 first, last; /* leaves */
	u32 sub_first, sub_last;
	enum rule regs[4];
} rules[] = {
	{ 0, 0, 0, 0, { ANY, AS_HERE, AS_HERE, AS_HERE } },
	{ 1, 1, 0, 0, { AS_HERE, AS_HERE, BITS, BITS } },
	{ 2, 2, 0, 0, { ANY, ANY, ANY, ANY } }, /* caches */
	{ 4, 4, 0, UINT32_MAX, { ANY, ANY, ANY, ANY } },
	{ 5, 5, 0, 0, { ANY, ANY, ANY, ANY } }, /* MWAIT, which guests do not have */
	{ 6, 6, 0, 0, { BITS, ANY, ANY, ANY } },
	{ 7, 7, 0, 0, { ANY, BITS, BITS, BITS } },
	{ 7, 7, 1, UINT32_MAX, { BITS, BITS, BITS, BITS } },
	{ 0xd, 0xd, 0, 0, { BITS, ANY, ANY, BITS } },
	{ 0xd, 0xd, 1, 1, { BITS, ANY, BITS, BITS } },
	{ HV_CPUID_VENDOR, HV_CPUID_VENDOR, 0, 0, { ANY, AS_HERE, AS_HERE, AS_HERE } },
	{ HV_CPUID_VERSION, HV_CPUID_VERSION, 0, 0, { ANY, ANY, ANY, ANY } },
	{ HV_CPUID_FEATURES, HV_CPUID_FEATURES, 0, 0, { BITS, BITS, BITS, BITS } },
	{ HV_CPUID_HINTS, HV_CPUID_HINTS, 0, 0, { BITS, ANY, BITS, BITS } },
	{ HV_CPUID_LIMITS, HV_CPUID_LIMITS, 0, 0, { ANY, ANY, ANY, ANY } },
	{ 0x80000000, 0x80000000, 0, 0, { ANY, AS_HERE, AS_HERE, AS_HERE } },
	{ 0x80000001, 0x80000001, 0, 0, { AS_HERE, ANY, BITS, BITS } },
	{ 0x80000002, 0x80000006, 0, 0, { ANY, ANY, ANY, ANY } }, /* its name; caches */
	{ 0x80000007, 0x80000007, 0, 0, { BITS, BITS, BITS, BITS } },
	{ 0x80000008, 0x80000008, 0, 0, { AT_MOST, BITS, AS_HERE, ANY } },
	{ 0x8000000a, 0x8000000a, 0, 0, { ANY, ANY, ANY, BITS } },
	{ 0x8000001d, 0x8000001d, 0, UINT32_MAX, { ANY, ANY, ANY, ANY } }, /* caches */
	{ 0x80000021, 0x80000021, 0, 0, { BITS, ANY, BITS, BITS } },
};

static const struct leaf_rule *rule_of(const struct kvm_cpuid_entry2 *e)
{
	static const struct leaf_rule other = { .regs = { AS_HERE, AS_HERE, AS_HERE, AS_HERE } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct leaf_rule *r = &rules[i];

		if (e->function >= r->first && e->function <= r->last && e->index >= r->sub_first &&
		    e->index <= r->sub_last)
			return r;
	}
	return &other;
}

static u32 reg_value(const struct kvm_cpuid_entry2 *e, u32 reg)
{
	const u32 regs[4] = { e->eax, e->ebx, e->ecx, e->edx };

	return regs[reg];
}

/* Return: @other if there is no such leaf. */
static struct kvm_cpuid_entry2 leaf_in(const struct kvm_cpuid2 *c,
				       const struct kvm_cpuid_entry2 *like,
				       struct kvm_cpuid_entry2 other)
{
	u32 i;

	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function == like->function && c->entries[i].index == like->index)
			return c->entries[i];
	}
	return other;
}

static void say_bit(const struct kvm_cpuid_entry2 *e, u32 reg, u32 lacks, char *why, size_t size)
{
	static const char *const names[] = { "EAX", "EBX", "ECX", "EDX" };
	u32 bit = (u32)__builtin_ctz(lacks);
	const char *name = cpuid_feature_name(e->function, e->index, reg, bit);

	snprintf(why, size,
		 "this host's CPU or kernel lacks %s%sbit %u of %s in leaf 0x%" PRIx32 ".%" PRIu32
		 ", which it had; a VM with --cpu x86-64-v2 or the like can go further",
		 name ? name : "", name ? ", " : "", bit, names[reg], e->function, e->index);
}

/* Return: is it refused? */
static bool check_reg(enum rule rule, const struct kvm_cpuid_entry2 *theirs, u32 reg, u32 ours,
		      u32 offer, char *why, size_t size)
{
	u32 value = reg_value(theirs, reg), lacks = value & ~(ours | offer);
	bool bad = false;

	switch (rule) {
	case ANY:
		break;
	case BITS:
		if (lacks)
			say_bit(theirs, reg, lacks, why, size);
		return lacks;
	case AT_MOST:
		bad = (value & 0xff) > KVMB_MAX(ours & 0xff, offer & 0xff);
		break;
	case AS_HERE:
		bad = value != ours && value != offer;
	}
	if (bad)
		snprintf(why, size,
			 "it was on another CPU: leaf 0x%" PRIx32 ".%" PRIu32 " is not the same",
			 theirs->function, theirs->index);
	return bad;
}

int cpuid_check_kept(const struct vcpu *v, const struct kvm_cpuid_entry2 *leaves, u32 num,
		     char *why, size_t size)
{
	u32 i, reg;

	for (i = 0; i < num; i++) {
		const struct kvm_cpuid_entry2 *e = &leaves[i];
		struct kvm_cpuid_entry2 none = { 0 }, ours = leaf_in(v->cpuid, e, none);
		struct kvm_cpuid_entry2 offer = leaf_in(v->machine->cpuid_offer, e, ours);
		const struct leaf_rule *r = rule_of(e);

		for (reg = 0; reg < 4; reg++) {
			if (check_reg(r->regs[reg], e, reg, reg_value(&ours, reg),
				      reg_value(&offer, reg), why, size))
				return -ENOTSUP;
		}
	}
	return 0;
}

int cpuid_keep(struct vcpu *v, struct kvm_cpuid2 *leaves)
{
	if (ioctl(v->fd, KVM_SET_CPUID2, leaves))
		return -errno;
	free(v->cpuid);
	v->cpuid = leaves;
	return 0;
}
