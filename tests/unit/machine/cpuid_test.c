// SPDX-License-Identifier: GPL-2.0-only
/* What a CPU model is on two hosts whose kernels and caches differ. */
#include "machine/cpuid.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#include "lib/util.h"
#include "machine/vcpu.h"
#include "tests/unit/test.h"

#define KVM_FD 100
#define VCPU_FD 101
#define HYPERV 0x40000000u

static struct kvm_cpuid_entry2 leaves[64];
static u32 num;
static bool newer; /* the host's kernel tells more */
static u32 given;  /* leaves of the last KVM_SET_CPUID2 */
static struct machine m;
static struct vcpu vcpu;

static void add(u32 leaf, u32 sub, u32 a, u32 b, u32 c, u32 d)
{
	assert_true(num < ARRAY_SIZE(leaves));
	leaves[num++] = (struct kvm_cpuid_entry2){
		.function = leaf, .index = sub, .eax = a, .ebx = b, .ecx = c, .edx = d
	};
}

/* An AMD CPU with AVX2, PKU, SVM and XSAVE. */
static void describe_host(void)
{
	num = 0;
	add(0, 0, newer ? 0x20 : 0x16, 0x68747541, 0x444d4163, 0x69746e65);
	add(1, 0, 0x830f10, 0, 0xfffffffe, 0x178bfbff);
	add(2, 0, 1, 2, 3, newer);
	add(6, 0, newer ? 0x77 : 0x4, 2, 9, 0);
	add(7, 0, newer ? 2 : 0, 0xffffffff & ~(1u << 16), 0x18, newer ? 0x10 : 0);
	if (newer)
		add(7, 1, 0xff, 1, 2, 3);
	add(0xd, 0, newer ? 0x20207 : 0x207, 0xb00, 0xb00, newer);
	add(0xd, 1, newer ? 0x1f : 0xf, 0x340, 0x1800, 0);
	add(0xd, 2, 256, 576, 0, 0);
	add(0xd, 9, 8, 0xa80, 0, 0);
	if (newer)
		add(0xd, 17, 64, 0xac0, 2, 0);
	add(0xd, 11, 16, 0, 1, 0);
	if (newer)
		add(0x14, 0, 1, 2, 3, 4);
	add(HYPERV, 0, 0x40000001, 0x4b4d564b, 0, 0);
	add(0x80000000, 0, newer ? 0x80000022 : 0x8000001f, 0, 0, 0);
	add(0x80000001, 0, 0x830f10, 0, 0x75c237ff, 0x2fd3fbff);
	add(0x80000005, 0, 1, 2, newer ? 3 : 4, 5);
	add(0x80000006, 0, 1, 2, 3, newer);
	add(0x80000007, 0, newer, 0, 0, newer ? 0x7ff : 0x100);
	add(0x80000008, 0, 0x3030, newer ? 0xffffffff : 0, 0x7007, 0);
	add(0x8000000a, 0, 1, 8, 0, newer ? 0x1bcff : 0x119b9);
	add(0x8000001d, 0, newer, 0, 0, 0);
	if (newer)
		add(0x80000021, 0, 0x45, 0, 0, 0);
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_cpuid2 *c = arg;

	switch (request) {
	case KVM_GET_SUPPORTED_CPUID:
		assert_int_equal(fd, KVM_FD);
		memcpy(c->entries, leaves, num * sizeof(leaves[0]));
		c->nent = num;
		return 0;
	case KVM_GET_SUPPORTED_HV_CPUID:
		assert_int_equal(fd, VCPU_FD);
		c->nent = 1;
		c->entries[0] = (struct kvm_cpuid_entry2){ .function = HV_CPUID_FEATURES,
							   .eax = UINT32_MAX,
							   .ebx = newer ? UINT32_MAX : 0x30,
							   .edx = newer ? UINT32_MAX :
									  ~(1u << 4 | 1u << 14) };
		return 0;
	case KVM_SET_CPUID2:
		assert_int_equal(fd, VCPU_FD);
		given = c->nent;
		return 0;
	}
	fail_msg("unknown request %#lx", request);
	return -1;
}

static u64 memory_max; /* of dynamic memory */

static struct kvm_cpuid2 *model(const char *name, bool newer_kernel)
{
	struct kvm_cpuid2 *c;
	u32 i;

	free(m.cpuid_offer);
	m = (struct machine){ .kvm_fd = KVM_FD,
			      .cfg = { .cpus = 2, .cpu_model = name, .memory_max = memory_max } };
	newer = newer_kernel;
	describe_host();
	for (i = 0; i < 2; i++) {
		vcpu = (struct vcpu){ .machine = &m, .fd = VCPU_FD, .index = i };
		assert_int_equal(cpuid_apply(&vcpu), 0);
		c = vcpu.cpuid;
		if (!i)
			free(c);
	}
	return c;
}

/* Can vCPU 1 of such a VM go on where another one was built? Return: as cpuid_check_kept(). */
static int goes_on(const char *there, bool newer_there, const char *here, bool newer_here,
		   u32 leaf_no, const struct kvm_cpuid_entry2 *other, char why[160])
{
	struct kvm_cpuid2 *a = model(there, newer_there), *b;
	int err;
	u32 i;

	for (i = 0; other && i < a->nent; i++) {
		if (a->entries[i].function == leaf_no)
			a->entries[i] = *other;
	}
	b = model(here, newer_here);
	why[0] = 0;
	err = cpuid_check_kept(&vcpu, a->entries, a->nent, why, 160);
	assert_int_equal(!err, !why[0]);
	free(a);
	free(b);
	return err;
}

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *c, u32 n, u32 sub)
{
	u32 i;

	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function == n && c->entries[i].index == sub)
			return &c->entries[i];
	}
	return NULL;
}

static void level_is_the_same_whatever_the_kernel_tells(void **state)
{
	static const char *const names[] = { "x86-64-v1", "x86-64-v2", "x86-64-v3",
					     "x86-64-v3,+xsave", "x86-64-v2,-ssse3,+pclmulqdq" };
	struct kvm_cpuid2 *a, *b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		a = model(names[i], false);
		b = model(names[i], true);
		CHECK_ROW(a->nent, b->nent, i);
		assert_memory_equal(a->entries, b->entries, a->nent * sizeof(a->entries[0]));
		assert_null(leaf(a, 0x8000000a, 0));
		assert_null(leaf(a, 0x14, 0));
		assert_int_equal(leaf(a, 0, 0)->eax, 0xd);
		assert_int_equal(leaf(a, 1, 0)->eax, 0x830f10); /* the host's */
		free(a);
		free(b);
	}
}

static void host_is_what_the_kernel_tells(void **state)
{
	struct kvm_cpuid2 *a = model("host", false), *b = model("host", true);

	(void)state;
	assert_int_not_equal(a->nent, b->nent);
	assert_null(leaf(b, 0x8000000a, 0)); /* of SVM, which is off */
	assert_non_null(leaf(b, 0x80000021, 0));
	free(a);
	free(b);
	a = model("host,+svm", true);
	assert_int_equal(leaf(a, 0x8000000a, 0)->edx, 0x1bcff);
	free(a);
}

/* Registers of features that are off are not saved, and take no room. */
static void level_saves_what_its_features_are_for(void **state)
{
	struct kvm_cpuid2 *c = model("x86-64-v3,+xsave", true);

	(void)state;
	assert_int_equal(leaf(c, 0xd, 0)->eax, 7);
	assert_int_equal(leaf(c, 0xd, 0)->ecx, 832);
	assert_non_null(leaf(c, 0xd, 2));
	assert_null(leaf(c, 0xd, 9));
	assert_null(leaf(c, 0xd, 11));
	assert_null(leaf(c, 0xd, 17));
	free(c);
	c = model("x86-64-v3,+xsave,+pku", true);
	assert_int_equal(leaf(c, 0xd, 0)->eax, 0x207);
	assert_int_equal(leaf(c, 0xd, 0)->ecx, 0xa88);
	free(c);
}

/* What YMM registers are for is not there without them. */
static void nothing_is_left_that_needs_avx(void **state)
{
	struct kvm_cpuid2 *c = model("x86-64-v3,+xsave,-avx", true);

	(void)state;
	assert_int_equal(leaf(c, 0xd, 0)->eax, 3);
	assert_int_equal(leaf(c, 1, 0)->ecx & (1u << 12 | 1u << 28 | 1u << 29), 0);
	assert_int_equal(leaf(c, 7, 0)->ebx & 1u << 5, 0);
	free(c);
}

/* HTT without CmpLegacy says that they are threads of one core: APM volume 3 appendix E.5. */
static void cpus_of_amd_are_cores(void **state)
{
	static const char *const names[] = { "host", "x86-64-v2" };
	struct kvm_cpuid2 *c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		c = model(names[i], true);
		assert_true(leaf(c, 1, 0)->edx & 1u << 28);
		CHECK_ROW(leaf(c, 0x80000001, 0)->ecx & 2, 2, i);
		free(c);
	}
}

static void guest_sees_hyper_v_and_no_kvm(void **state)
{
	struct kvm_cpuid2 *c = model("host", false);

	(void)state;
	assert_int_equal(leaf(c, HYPERV, 0)->ebx, 0x7263694d); /* "Micr" */
	free(c);
}

static void vm_goes_on_where_all_that_it_had_is_there(void **state)
{
	static const struct {
		const char *there, *here;
		bool newer_there, newer_here;
		const char *why; /* NULL: it does */
	} rows[] = {
		{ "host", "host", false, false, NULL },
		{ "host", "host", false, true, NULL },
		{ "x86-64-v2", "x86-64-v2", true, false, NULL },
		{ "x86-64-v2", "x86-64-v2", false, true, NULL },
		{ "x86-64-v3,+xsave", "x86-64-v3,+xsave", true, false, NULL },
		/* the options of the VM are not what counts */
		{ "x86-64-v3,+xsave", "host", false, true, NULL },
		{ "host", "x86-64-v2", true, true, NULL },
		{ "host", "host", true, false, "lacks bit 0 of EAX in leaf 0x6.0" },
		{ "x86-64-v2,+svm", "x86-64-v2", true, true, NULL },
	};
	char why[160];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_ROW(goes_on(rows[i].there, rows[i].newer_there, rows[i].here,
				  rows[i].newer_here, 0, NULL, why),
			  rows[i].why ? -ENOTSUP : 0, i);
		if (rows[i].why && !strstr(why, rows[i].why))
			fail_msg("row %zu: %s", i, why);
	}
}

static void vm_of_another_cpu_is_refused(void **state)
{
	static const struct {
		struct kvm_cpuid_entry2 leaf;
		const char *why; /* NULL: it is taken */
	} rows[] = {
		{ { .function = 0,
		    .eax = 0xd,
		    .ebx = 0x756e6547,
		    .ecx = 0x6c65746e,
		    .edx = 0x49656e69 },
		  "another CPU: leaf 0x0.0" },
		{ { .function = 1, .eax = 0x50654, .ebx = 1u << 24 | 2u << 16 },
		  "another CPU: leaf 0x1.0" },
		{ { .function = 0x80000008, .eax = 0x3034, .ecx = 0x1001 },
		  "another CPU: leaf 0x80000008.0" },
		{ { .function = 0x80000008, .eax = 0x302c, .ecx = 0x1001 }, NULL },
		{ { .function = HV_CPUID_FEATURES, .eax = 1u << 13 },
		  "lacks bit 13 of EAX in leaf 0x40000003.0" },
		{ { .function = HV_CPUID_HINTS, .eax = HV_HINT_APIC_MSRS }, NULL },
		{ { .function = HV_CPUID_VENDOR, .eax = HV_CPUID_LIMITS, .ebx = 0x4b4d564b },
		  "leaf 0x40000000.0" },
		/* numbered as another vCPU */
		{ { .function = 1, .eax = 0x830f10, .ebx = 2u << 16 }, "leaf 0x1.0" },
		{ { .function = 0x80000007, .edx = 1u << 9 },
		  "lacks bit 9 of EDX in leaf 0x80000007" },
		{ { .function = 6, .eax = 4, .ecx = 77 }, NULL },
	};
	char why[160];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_ROW(goes_on("x86-64-v2", false, "x86-64-v2", false, rows[i].leaf.function,
				  &rows[i].leaf, why),
			  rows[i].why ? -ENOTSUP : 0, i);
		if (rows[i].why && !strstr(why, rows[i].why))
			fail_msg("row %zu: %s", i, why);
	}
}

/* Only where KVM passes it up, and the VM has a use for it. */
static void extended_hypercalls_are_of_dynamic_memory(void **state)
{
	static const struct {
		const char *model;
		bool newer, dynamic;
		u32 ebx;
	} rows[] = {
		{ "host", true, true, 0x100030 },   { "host", false, true, 0x30 },
		{ "host", true, false, 0x30 },	    { "x86-64-v3", true, true, 0x30 },
		{ "x86-64-v3", false, true, 0x30 },
	};
	struct kvm_cpuid2 *c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		memory_max = rows[i].dynamic ? 1 << 30 : 0;
		c = model(rows[i].model, rows[i].newer);
		CHECK_ROW(leaf(c, HV_CPUID_FEATURES, 0)->ebx, rows[i].ebx, i);
		free(c);
	}
	memory_max = 0;
}

static void kept_leaves_are_the_vcpus_own(void **state)
{
	struct kvm_cpuid2 *a = model("x86-64-v2", false), *b = model("host", false);

	(void)state;
	assert_int_equal(cpuid_keep(&vcpu, a), 0);
	assert_ptr_equal(vcpu.cpuid, a); /* b is freed */
	assert_int_equal(given, a->nent);
	(void)b;
	free(a);
}

static int teardown(void **state)
{
	(void)state;
	free(m.cpuid_offer);
	m.cpuid_offer = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(level_is_the_same_whatever_the_kernel_tells),
		cmocka_unit_test(host_is_what_the_kernel_tells),
		cmocka_unit_test(level_saves_what_its_features_are_for),
		cmocka_unit_test(nothing_is_left_that_needs_avx),
		cmocka_unit_test(cpus_of_amd_are_cores),
		cmocka_unit_test(guest_sees_hyper_v_and_no_kvm),
		cmocka_unit_test(vm_goes_on_where_all_that_it_had_is_there),
		cmocka_unit_test(vm_of_another_cpu_is_refused),
		cmocka_unit_test(extended_hypercalls_are_of_dynamic_memory),
		cmocka_unit_test(kept_leaves_are_the_vcpus_own),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
