// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID: the requested CPU model, the topology, and the Hyper-V leaves.
 *
 * A model is a base and a list of changes: "host", "x86-64-v2,-sse4.2", "host,-xsave". The
 * bases are host (everything that KVM offers) and the four levels of the x86-64 psABI. A level is
 * the same on all hosts with CPUs of one family and model, whatever their kernel and caches, so use
 * one for VMs that will migrate. Family, model, name and width of addresses are the host's. A VM
 * that comes from elsewhere keeps what it had: cpuid_keep.c.
 *
 * The guest sees "Microsoft Hv" at 0x40000000 and no KVM leaves, because Linux takes the
 * hypervisor with the highest base that it recognises (docs/protocol.md#1.1).
 *
 * On a CPU emulated by TCG (the lab) "host" comes without xsave, because kernels of the 7.x
 * series do not survive TCG's emulation of it (docs/protocol.md#1.17).
 */
#include "machine/cpuid.h"

#include <cpuid.h>
#include <sys/ioctl.h>

#include "lib/log.h"
#include "lib/util.h"
#include "machine/vcpu.h"

enum reg { EAX, EBX, ECX, EDX };

static const struct feature {
	const char *name;
	u32 leaf, sub;
	enum reg reg;
	u8 bit;
	u8 level; /* psABI level that contains it, 0 = only in host */
} features[] = {
	{ "fpu", 1, 0, EDX, 0, 1 },
	{ "vme", 1, 0, EDX, 1, 1 },
	{ "de", 1, 0, EDX, 2, 1 },
	{ "pse", 1, 0, EDX, 3, 1 },
	{ "tsc", 1, 0, EDX, 4, 1 },
	{ "msr", 1, 0, EDX, 5, 1 },
	{ "pae", 1, 0, EDX, 6, 1 },
	{ "mce", 1, 0, EDX, 7, 1 },
	{ "cx8", 1, 0, EDX, 8, 1 },
	{ "apic", 1, 0, EDX, 9, 1 },
	{ "sep", 1, 0, EDX, 11, 1 },
	{ "mtrr", 1, 0, EDX, 12, 1 },
	{ "pge", 1, 0, EDX, 13, 1 },
	{ "mca", 1, 0, EDX, 14, 1 },
	{ "cmov", 1, 0, EDX, 15, 1 },
	{ "pat", 1, 0, EDX, 16, 1 },
	{ "pse36", 1, 0, EDX, 17, 1 },
	{ "clflush", 1, 0, EDX, 19, 1 },
	{ "mmx", 1, 0, EDX, 23, 1 },
	{ "fxsr", 1, 0, EDX, 24, 1 },
	{ "sse", 1, 0, EDX, 25, 1 },
	{ "sse2", 1, 0, EDX, 26, 1 },
	{ "ht", 1, 0, EDX, 28, 1 },
	{ "sse3", 1, 0, ECX, 0, 2 },
	{ "pclmulqdq", 1, 0, ECX, 1, 0 },
	{ "ssse3", 1, 0, ECX, 9, 2 },
	{ "fma", 1, 0, ECX, 12, 3 },
	{ "cx16", 1, 0, ECX, 13, 2 },
	{ "pcid", 1, 0, ECX, 17, 0 },
	{ "sse4.1", 1, 0, ECX, 19, 2 },
	{ "sse4.2", 1, 0, ECX, 20, 2 },
	{ "x2apic", 1, 0, ECX, 21, 1 },
	{ "movbe", 1, 0, ECX, 22, 3 },
	{ "popcnt", 1, 0, ECX, 23, 2 },
	{ "tsc-deadline", 1, 0, ECX, 24, 1 },
	{ "aes", 1, 0, ECX, 25, 0 },
	{ "xsave", 1, 0, ECX, 26, 3 },
	{ "avx", 1, 0, ECX, 28, 3 },
	{ "f16c", 1, 0, ECX, 29, 3 },
	{ "rdrand", 1, 0, ECX, 30, 0 },
	{ "fsgsbase", 7, 0, EBX, 0, 0 },
	{ "tsc-adjust", 7, 0, EBX, 1, 0 },
	{ "bmi1", 7, 0, EBX, 3, 3 },
	{ "avx2", 7, 0, EBX, 5, 3 },
	{ "smep", 7, 0, EBX, 7, 0 },
	{ "bmi2", 7, 0, EBX, 8, 3 },
	{ "erms", 7, 0, EBX, 9, 0 },
	{ "invpcid", 7, 0, EBX, 10, 0 },
	{ "avx512f", 7, 0, EBX, 16, 4 },
	{ "avx512dq", 7, 0, EBX, 17, 4 },
	{ "rdseed", 7, 0, EBX, 18, 0 },
	{ "adx", 7, 0, EBX, 19, 0 },
	{ "smap", 7, 0, EBX, 20, 0 },
	{ "clflushopt", 7, 0, EBX, 23, 0 },
	{ "clwb", 7, 0, EBX, 24, 0 },
	{ "avx512cd", 7, 0, EBX, 28, 4 },
	{ "sha-ni", 7, 0, EBX, 29, 0 },
	{ "avx512bw", 7, 0, EBX, 30, 4 },
	{ "avx512vl", 7, 0, EBX, 31, 4 },
	{ "umip", 7, 0, ECX, 2, 0 },
	{ "pku", 7, 0, ECX, 3, 0 },
	{ "shstk", 7, 0, ECX, 7, 0 },
	{ "vaes", 7, 0, ECX, 9, 0 },
	{ "vpclmulqdq", 7, 0, ECX, 10, 0 },
	{ "la57", 7, 0, ECX, 16, 0 },
	{ "rdpid", 7, 0, ECX, 22, 0 },
	{ "fsrm", 7, 0, EDX, 4, 0 },
	{ "ibt", 7, 0, EDX, 20, 0 },
	{ "lahf", 0x80000001, 0, ECX, 0, 2 },
	{ "svm", 0x80000001, 0, ECX, 2, 0 },
	{ "lzcnt", 0x80000001, 0, ECX, 5, 3 },
	{ "sse4a", 0x80000001, 0, ECX, 6, 0 },
	{ "syscall", 0x80000001, 0, EDX, 11, 1 },
	{ "nx", 0x80000001, 0, EDX, 20, 1 },
	{ "mmxext", 0x80000001, 0, EDX, 22, 0 },
	{ "pdpe1gb", 0x80000001, 0, EDX, 26, 0 },
	{ "rdtscp", 0x80000001, 0, EDX, 27, 0 },
	{ "lm", 0x80000001, 0, EDX, 29, 1 },
};

struct model {
	int level; /* 0 = host, else psABI level */
	bool off[ARRAY_SIZE(features)], on[ARRAY_SIZE(features)];
};

static int find_feature(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		if (strlen(features[i].name) == len && !memcmp(features[i].name, name, len))
			return (int)i;
	}
	return -1;
}

static int parse_model(const char *s, struct model *m, char *why, size_t size)
{
	static const char *const bases[] = { "host", "x86-64-v1", "x86-64-v2", "x86-64-v3",
					     "x86-64-v4" };
	size_t len = strcspn(s, ","), i;
	int f;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		if (strlen(bases[i]) == len && !memcmp(bases[i], s, len))
			break;
	}
	if (i == ARRAY_SIZE(bases)) {
		snprintf(why, size,
			 "unknown CPU model \"%.*s\"; try host or x86-64-v1 ... x86-64-v4",
			 (int)len, s);
		return -EINVAL;
	}
	m->level = (int)i;
	for (s += len; *s; s += len) {
		s++; /* the comma */
		len = strcspn(s, ",");
		f = len > 1 && (*s == '-' || *s == '+') ? find_feature(s + 1, len - 1) : -1;
		if (f < 0) {
			snprintf(why, size,
				 "bad CPU feature \"%.*s\"; write -NAME or +NAME, for example "
				 "host,-xsave",
				 (int)len, s);
			return -EINVAL;
		}
		(*s == '-' ? m->off : m->on)[f] = true;
	}
	return 0;
}

int cpuid_check_model(const char *model, char *why, size_t size)
{
	struct model m;

	return parse_model(model, &m, why, size);
}

/* Is the CPU that we run on emulated by TCG? Its own hypervisor leaf says so. */
bool cpuid_host_is_tcg(void)
{
	u32 a, b, c, d;

	__cpuid(0x40000000, a, b, c, d);
	return b == 0x54474354 && c == 0x43544743 && d == 0x47435447; /* "TCGTCGTCGTCG" */
}

static u32 *reg_of(struct kvm_cpuid_entry2 *e, enum reg r)
{
	return r == EAX ? &e->eax : r == EBX ? &e->ebx : r == ECX ? &e->ecx : &e->edx;
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *c, u32 leaf, u32 sub)
{
	u32 i;

	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function == leaf && c->entries[i].index == sub)
			return &c->entries[i];
	}
	return NULL;
}

static void add_leaf(struct kvm_cpuid2 *c, u32 leaf, u32 sub, bool indexed, u32 a, u32 b, u32 cx,
		     u32 d)
{
	kvmb_assert(c->nent < CPUID_MAX_LEAVES);
	c->entries[c->nent++] =
		(struct kvm_cpuid_entry2){ .function = leaf,
					   .index = sub,
					   .flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
					   .eax = a,
					   .ebx = b,
					   .ecx = cx,
					   .edx = d };
}

static void drop_leaf(struct kvm_cpuid2 *c, u32 first, u32 last)
{
	u32 i, n = 0;

	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function < first || c->entries[i].function > last)
			c->entries[n++] = c->entries[i];
	}
	c->nent = n;
}

static bool has(struct kvm_cpuid2 *c, const char *name)
{
	const struct feature *f = &features[find_feature(name, strlen(name))];
	struct kvm_cpuid_entry2 *e = find_leaf(c, f->leaf, f->sub);

	return e && *reg_of(e, f->reg) & 1u << f->bit;
}

static void turn_off(struct kvm_cpuid2 *c, const char *name)
{
	const struct feature *f = &features[find_feature(name, strlen(name))];
	struct kvm_cpuid_entry2 *e = find_leaf(c, f->leaf, f->sub);

	if (e)
		*reg_of(e, f->reg) &= ~(1u << f->bit);
}

static void clear_reg(struct kvm_cpuid2 *c, u32 leaf, u32 sub, enum reg r)
{
	struct kvm_cpuid_entry2 *e = find_leaf(c, leaf, sub);

	if (e)
		*reg_of(e, r) = 0;
}

/* Everything of a psABI level and nothing else in the feature words. */
static void apply_level(struct kvm_cpuid2 *c, const struct kvm_cpuid2 *host, int level)
{
	static const struct { u32 leaf, sub; enum reg r; } words[] = {
		{ 1, 0, ECX }, { 1, 0, EDX }, { 7, 0, EBX }, { 7, 0, ECX }, { 7, 0, EDX },
		{ 7, 1, EAX }, { 7, 1, EDX }, { 0x80000001, 0, ECX }, { 0x80000001, 0, EDX },
		{ 0x80000008, 0, EBX }, { 0xd, 1, EAX },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		clear_reg(c, words[i].leaf, words[i].sub, words[i].r);
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];
		struct kvm_cpuid_entry2 *e = find_leaf(c, f->leaf, f->sub);
		struct kvm_cpuid_entry2 *h = find_leaf((struct kvm_cpuid2 *)host, f->leaf, f->sub);

		if (f->level && f->level <= level && e && h)
			*reg_of(e, f->reg) |= *reg_of(h, f->reg) & 1u << f->bit;
	}
}

static void apply_model(struct kvm_cpuid2 *c, const struct model *m, const struct kvm_cpuid2 *host)
{
	size_t i;

	if (m->level)
		apply_level(c, host, m->level);
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];
		struct kvm_cpuid_entry2 *e = find_leaf(c, f->leaf, f->sub);
		struct kvm_cpuid_entry2 *h = find_leaf((struct kvm_cpuid2 *)host, f->leaf, f->sub);

		if (e && m->off[i])
			*reg_of(e, f->reg) &= ~(1u << f->bit);
		if (e && h && m->on[i])
			*reg_of(e, f->reg) |= *reg_of(h, f->reg) & 1u << f->bit;
	}
}

/* What cannot be without something that is off. */
static void fix_dependencies(struct kvm_cpuid2 *c)
{
	static const struct {
		const char *name, *needs;
	} deps[] = {
		/* what is needed comes before what needs it */
		{ "avx", "xsave" },	   { "pku", "xsave" },	      { "fma", "avx" },
		{ "f16c", "avx" },	   { "vaes", "avx" },	      { "vpclmulqdq", "avx" },
		{ "avx2", "avx" },	   { "avx512f", "avx2" },     { "avx512dq", "avx512f" },
		{ "avx512cd", "avx512f" }, { "avx512bw", "avx512f" }, { "avx512vl", "avx512f" },
	};
	size_t i;

	if (!has(c, "svm"))
		drop_leaf(c, 0x8000000a, 0x8000000a);
	if (!has(c, "xsave"))
		drop_leaf(c, 0xd, 0xd);
	for (i = 0; i < ARRAY_SIZE(deps); i++) {
		if (!has(c, deps[i].needs))
			turn_off(c, deps[i].name);
	}
}

/* ---- leaves of a level ---- */

static bool is_of_level(const struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case 0:
	case 1:
	case 0xd:
	case 0x80000000 ... 0x80000004:
	case 0x80000007:
	case 0x80000008:
		return true;
	case 7:
		return !e->index;
	}
	return false;
}

/* What XSAVE saves is what the features are for. */
static void set_xsave(struct kvm_cpuid2 *c)
{
	u32 mask = 3u | (has(c, "avx") ? 4u : 0) | (has(c, "avx512f") ? 0xe0u : 0) |
		   (has(c, "pku") ? 0x200u : 0);
	struct kvm_cpuid_entry2 *main = find_leaf(c, 0xd, 0), *e;
	u32 i, n = 0, size = 512 + 64;

	if (!main)
		return;
	main->eax &= mask;
	mask = main->eax;
	for (i = 0; i < c->nent; i++) {
		e = &c->entries[i];
		if (e->function == 0xd && e->index > 1) {
			if (e->index > 31 || !(mask >> e->index & 1))
				continue;
			size = KVMB_MAX(size, e->eax + e->ebx);
		} else if (e->function == 0xd && e->index == 1) {
			e->ebx = e->ecx = e->edx = 0;
		}
		c->entries[n++] = *e;
	}
	c->nent = n;
	main = find_leaf(c, 0xd, 0);
	main->edx = 0;
	main->ebx = main->ecx = size;
}

static bool is_amd(struct kvm_cpuid2 *c)
{
	struct kvm_cpuid_entry2 *e = find_leaf(c, 0, 0);

	return e && (e->ebx == 0x68747541 || e->ebx == 0x6f677948); /* "Auth", "Hygo" */
}

/*
 * Caches of no CPU in particular: 32 KiB each for data and code, 1 MiB, and 16 MiB. As Intel and
 * AMD tell of them (SDM volume 2 CPUID, leaf 4; APM volume 3 appendix E.4.4 and 5).
 */
static void set_caches(struct kvm_cpuid2 *c)
{
	static const struct {
		u32 type, ways, sets;
	} caches[] = { { 0x21, 8, 64 }, { 0x22, 8, 64 }, { 0x43, 16, 1024 }, { 0x63, 16, 16384 } };
	u32 i;

	if (is_amd(c)) {
		add_leaf(c, 0x80000005, 0, false, 0, 0, 32u << 24 | 8u << 16 | 0x140,
			 32u << 24 | 8u << 16 | 0x140);
		add_leaf(c, 0x80000006, 0, false, 0, 0, 1024u << 16 | 8u << 12 | 0x140,
			 32u << 18 | 8u << 12 | 0x140);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(caches); i++)
		add_leaf(c, 4, i, true, caches[i].type | 1u << 8, (caches[i].ways - 1) << 22 | 63,
			 caches[i].sets - 1, 0);
	add_leaf(c, 4, i, true, 0, 0, 0, 0);
}

/* Kernels and CPUs differ in what else they tell; a level has none of it. */
static void set_level_leaves(struct kvm_cpuid2 *c)
{
	struct kvm_cpuid_entry2 *e;
	u32 i, n = 0;

	for (i = 0; i < c->nent; i++) {
		if (is_of_level(&c->entries[i]))
			c->entries[n++] = c->entries[i];
	}
	c->nent = n;
	e = find_leaf(c, 0, 0);
	if (e)
		e->eax = 0xd;
	e = find_leaf(c, 7, 0);
	if (e)
		e->eax = 0;
	e = find_leaf(c, 0x80000000, 0);
	if (e)
		e->eax = 0x80000008;
	e = find_leaf(c, 0x80000007, 0);
	if (e)
		*e = (struct kvm_cpuid_entry2){ .function = 0x80000007, .edx = e->edx & 1u << 8 };
	e = find_leaf(c, 0x80000008, 0);
	if (e) { /* newer kernels tell more than the widths of addresses */
		e->eax &= 0xffff;
		e->edx = 0;
	}
	add_leaf(c, 6, 0, false, 4, 0, 0, 0); /* the LAPIC's timer runs always */
	set_xsave(c);
	set_caches(c);
}

static u32 log2_up(u32 v)
{
	u32 n = 0;

	while ((1u << n) < v)
		n++;
	return n;
}

/* One socket, one thread a core, x2APIC id = VP index. */
static void set_topology(struct kvm_cpuid2 *c, u32 id, u32 cpus)
{
	u32 i, shift = log2_up(cpus);

	for (i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		switch (e->function) {
		case 1:
			e->ebx = (e->ebx & 0xffff) | cpus << 16 | id << 24;
			e->ecx |= 1u << 31; /* a hypervisor is present */
			if (cpus == 1)
				e->edx &= ~(1u << 28);
			break;
		case 4: /* caches belong to one core */
			e->eax = (e->eax & 0x3fff) | (cpus - 1) << 26;
			break;
		case 0x80000001: /* CmpLegacy: cores, not threads, are what leaf 1 counts */
			if (is_amd(c))
				e->ecx = (e->ecx & ~2u) | (cpus > 1 ? 2u : 0);
			break;
		case 0x80000008:
			e->ecx = (e->ecx & ~0xf0ffu) | (cpus - 1) | shift << 12;
			break;
		case 0x8000001e:
			e->eax = id;
			e->ebx = (e->ebx & ~0xffffu) | id;
			e->ecx &= ~0x7ffu;
			break;
		}
	}
	drop_leaf(c, 0xb, 0xb);
	drop_leaf(c, 0x1f, 0x1f);
	add_leaf(c, 0xb, 0, true, 0, 1, 0x100, id);
	add_leaf(c, 0xb, 1, true, shift, cpus, 0x201, id);
	add_leaf(c, 0xb, 2, true, 0, 0, 2, id);
}

bool cpuid_apic_is_virtual(void)
{
	static const char *const params[] = { "/sys/module/kvm_intel/parameters/enable_apicv",
					      "/sys/module/kvm_amd/parameters/avic" };
	char c = 'N';
	size_t i;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(params) && (c == 'N' || c == '0'); i++) {
		f = fopen(params[i], "re");
		if (f && fread(&c, 1, 1, f) != 1)
			c = 'N';
		if (f)
			fclose(f);
	}
	return c != 'N' && c != '0';
}

/* Younger than Linux 5.10: a level has none of these. */
#define HV_FEAT_D_YOUNG (HV_FEAT_D_XMM_INPUT | HV_FEAT_D_EXT_GVA_RANGES)

static void set_hyperv(struct kvm_cpuid2 *c, const struct kvm_cpuid2 *offered,
		       const struct machine *m, int level)
{
	struct kvm_cpuid_entry2 *f = find_leaf((struct kvm_cpuid2 *)offered, HV_CPUID_FEATURES, 0);
	struct kvm_cpuid_entry2 *h = find_leaf((struct kvm_cpuid2 *)offered, HV_CPUID_HINTS, 0);
	u32 a = HV_FEAT_A_VP_RUNTIME | HV_FEAT_A_REF_COUNT | HV_FEAT_A_SYNIC | HV_FEAT_A_STIMER |
		HV_FEAT_A_APIC | HV_FEAT_A_HYPERCALL | HV_FEAT_A_VP_INDEX | HV_FEAT_A_RESET |
		HV_FEAT_A_REF_TSC | HV_FEAT_A_FREQUENCY;
	u32 d = HV_FEAT_D_XMM_INPUT | HV_FEAT_D_FREQUENCY | HV_FEAT_D_CRASH |
		HV_FEAT_D_EXT_GVA_RANGES | HV_FEAT_D_STIMER_DIRECT;
	u32 b = HV_FEAT_B_POST_MESSAGES | HV_FEAT_B_SIGNAL_EVENTS;
	u32 hints = HV_HINT_RELAXED_TIMING | HV_HINT_NO_AUTO_EOI;

	if (level)
		d &= ~HV_FEAT_D_YOUNG;
	/* free page reporting, where KVM passes it up: Linux 6.3 (docs/protocol.md#10.14) */
	if (m->cfg.memory_max && !level && f && f->ebx & HV_FEAT_B_EXTENDED)
		b |= HV_FEAT_B_EXTENDED;
	/*
	 * Where every EOI would exit, let the guest use the VP assist page: a bit there says that
	 * none is needed. With APICv or AVIC this would cost exits instead of saving them.
	 */
	if (!m->apic_virtual)
		hints |= HV_HINT_APIC_MSRS;
	if (m->cfg.cpus > 1)
		hints |= HV_HINT_REMOTE_TLB_FLUSH | HV_HINT_CLUSTER_IPI | HV_HINT_EX_MASKS;
	drop_leaf(c, 0x40000000, 0x4fffffff);
	add_leaf(c, HV_CPUID_VENDOR, 0, false, HV_CPUID_LIMITS, 0x7263694d, 0x666f736f, 0x76482074);
	add_leaf(c, HV_CPUID_INTERFACE, 0, false, 0x31237648, 0, 0, 0);
	/* build 20348 (Windows Server 2022), version 10.0 */
	add_leaf(c, HV_CPUID_VERSION, 0, false, 20348, 0x000a0000, 0, 0);
	add_leaf(c, HV_CPUID_FEATURES, 0, false, f ? a & f->eax : a, b, 0, f ? d & f->edx : d);
	add_leaf(c, HV_CPUID_HINTS, 0, false,
		 h ? hints & (h->eax | HV_HINT_NO_AUTO_EOI | HV_HINT_RELAXED_TIMING) : hints, 0xfff,
		 0, 0);
	add_leaf(c, HV_CPUID_LIMITS, 0, false, KVMB_MAX_CPUS, KVMB_MAX_CPUS, 0, 0);
}

static struct kvm_cpuid2 *fetch(int fd, unsigned long request)
{
	struct kvm_cpuid2 *c = kvmb_xzalloc(sizeof(*c) + CPUID_MAX_LEAVES * sizeof(c->entries[0]));

	c->nent = CPUID_MAX_LEAVES;
	if (ioctl(fd, request, c)) {
		free(c);
		return NULL;
	}
	return c;
}

/* All that a vCPU can have on this host, whatever the model: cpuid_keep.c. */
static void note_offer(struct machine *m, const struct kvm_cpuid2 *host,
		       const struct kvm_cpuid2 *hv)
{
	struct kvm_cpuid2 *c = kvmb_xzalloc(sizeof(*c) + CPUID_MAX_LEAVES * sizeof(c->entries[0]));
	struct kvm_cpuid_entry2 *hints;

	c->nent = host->nent;
	memcpy(c->entries, host->entries, host->nent * sizeof(c->entries[0]));
	set_hyperv(c, hv, m, 0);
	hints = find_leaf(c, HV_CPUID_HINTS, 0);
	hints->eax |= HV_HINT_APIC_MSRS; /* what it costs is another question */
	free(m->cpuid_offer);
	m->cpuid_offer = c;
}

const char *cpuid_feature_name(u32 leaf, u32 sub, u32 reg, u32 bit)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];

		if (f->leaf == leaf && f->sub == sub && f->reg == (enum reg)reg && f->bit == bit)
			return f->name;
	}
	return NULL;
}

int cpuid_apply(struct vcpu *v)
{
	struct machine *m = v->machine;
	struct kvm_cpuid2 *c = fetch(m->kvm_fd, KVM_GET_SUPPORTED_CPUID);
	struct kvm_cpuid2 *host = fetch(m->kvm_fd, KVM_GET_SUPPORTED_CPUID);
	struct kvm_cpuid2 *hv = fetch(v->fd, KVM_GET_SUPPORTED_HV_CPUID);
	struct model model;
	char why[160];
	int err = -ENOTSUP, i;

	if (!c || !host || !hv)
		goto out;
	err = parse_model(m->cfg.cpu_model, &model, why, sizeof(why));
	if (err)
		goto out;
	/* nested virtualisation and CET's IBT are off unless asked for: docs/protocol.md#1.16 */
	i = find_feature("svm", 3);
	model.off[i] = !model.on[i];
	i = find_feature("ibt", 3);
	model.off[i] = !model.on[i];
	i = find_feature("xsave", 5);
	if (cpuid_host_is_tcg() && !model.on[i])
		model.off[i] = true;
	apply_model(c, &model, host);
	fix_dependencies(c);
	if (model.level)
		set_level_leaves(c);
	set_topology(c, v->index, m->cfg.cpus);
	set_hyperv(c, hv, m, model.level);
	if (!v->index)
		note_offer(m, host, hv);
	err = ioctl(v->fd, KVM_SET_CPUID2, c) ? -errno : 0;
	if (!err) {
		v->cpuid = c;
		c = NULL;
	}
out:
	free(c);
	free(host);
	free(hv);
	return err;
}
