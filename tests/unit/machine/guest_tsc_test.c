// SPDX-License-Identifier: GPL-2.0-only
/* A guest's TSC on a host of another rate, whose KVM is played: it scales as Linux does. */
#include "machine/guest_tsc.h"

#include <sys/ioctl.h>
#include <x86intrin.h>

#include "lib/util.h"
#include "machine/vcpu_priv.h"
#include "tests/unit/test.h"

#define CPUS 2u
#define FRACTION 48 /* bits of the factor, as on Intel's */

static struct machine m;
static struct vcpu vcpus[CPUS];
static u32 host_khz, told[CPUS], refuse;
static bool can_scale, no_offsets;
static u64 offsets[CPUS];

static u64 kvm_scales(u32 cpu, u64 host)
{
	u64 factor = (u64)(((unsigned __int128)told[cpu] << FRACTION) / host_khz);

	return told[cpu] ? (u64)((unsigned __int128)host * factor >> FRACTION) : host;
}

int vcpu_tsc_offset(struct vcpu *v, unsigned long request, u64 *offset)
{
	assert_int_equal(request, KVM_GET_DEVICE_ATTR);
	*offset = offsets[v->index];
	return no_offsets ? -ENXIO : 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_msrs *msrs = arg;

	switch (request) {
	case KVM_GET_TSC_KHZ:
		return (int)host_khz;
	case KVM_CHECK_EXTENSION:
		assert_int_equal((uintptr_t)arg, KVM_CAP_TSC_CONTROL);
		return can_scale;
	case KVM_SET_TSC_KHZ:
		if ((uintptr_t)arg == refuse) {
			errno = EINVAL;
			return -1;
		}
		told[fd] = (u32)(uintptr_t)arg;
		return 0;
	case KVM_GET_MSRS:
		assert_int_equal(msrs->entries[0].index, 0x10);
		msrs->entries[0].data = kvm_scales((u32)fd, __rdtsc()) + offsets[fd];
		return 1;
	}
	fail_msg("unknown request %#lx", request);
	return -1;
}

static int setup(void **state)
{
	u32 i;

	(void)state;
	host_khz = 2400000;
	can_scale = true;
	no_offsets = false;
	refuse = 0;
	m = (struct machine){ .cfg = { .cpus = CPUS }, .vcpus = vcpus };
	for (i = 0; i < CPUS; i++) {
		vcpus[i] = (struct vcpu){ .machine = &m, .index = i, .fd = (int)i };
		told[i] = 0;
		offsets[i] = 0ull - 123456789 * (i + 1);
	}
	return 0;
}

static void counter_of_the_same_rate_is_the_hosts(void **state)
{
	(void)state;
	guest_tsc_init(&m);
	assert_int_equal(m.tsc.khz, 2400000);
	assert_int_equal(guest_tsc_take(&m, 2400000), 0);
	assert_int_equal(guest_tsc_take(&m, 2400599), 0); /* 250 parts in a million */
	assert_int_equal(guest_tsc_take(&m, 0), 0);	  /* KVM did not know there */
	assert_int_equal(told[0] | told[1], 0);
	assert_int_equal(m.tsc.khz, 2400000);
	assert_int_equal(guest_tsc_at(&m.tsc, 77), 77);
}

static void counter_of_another_rate_is_scaled_where_the_cpu_can(void **state)
{
	static const u32 rates[] = { 1200000, 2401000, 3000000, 4800001 };
	u64 now, then;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		setup(state);
		guest_tsc_init(&m);
		assert_true(guest_tsc_fits(&m.tsc, rates[i]));
		assert_int_equal(guest_tsc_take(&m, rates[i]), 0);
		assert_int_equal(told[0], rates[i]);
		assert_int_equal(told[1], rates[i]);
		assert_int_equal(m.tsc.khz, rates[i]); /* what is saved, when it moves on */
		/* a millisecond after the reading, and before: within 100 us of what KVM says */
		now = m.tsc.host + host_khz;
		then = m.tsc.host - host_khz;
		assert_in_range(guest_tsc_at(&m.tsc, now) - kvm_scales(0, now) + rates[i] / 10, 0,
				rates[i] / 5);
		assert_in_range(guest_tsc_at(&m.tsc, then) - kvm_scales(0, then) + rates[i] / 10, 0,
				rates[i] / 5);
		assert_in_range(guest_tsc_at(&m.tsc, now) - guest_tsc_at(&m.tsc, then),
				2 * rates[i] - 2, 2 * rates[i] + 2);
	}
}

static void counter_is_not_scaled_where_the_cpu_cannot(void **state)
{
	(void)state;
	can_scale = false;
	guest_tsc_init(&m);
	assert_false(guest_tsc_fits(&m.tsc, 2401000));
	assert_true(guest_tsc_fits(&m.tsc, 2400500));
	host_khz = (u32)-1; /* KVM_GET_TSC_KHZ fails */
	guest_tsc_init(&m);
	assert_int_equal(m.tsc.khz, 0);
	assert_true(guest_tsc_fits(&m.tsc, 2401000)); /* nobody knows */
	assert_int_equal(guest_tsc_take(&m, 2401000), 0);
	assert_int_equal(told[0], 0);
}

static void rate_that_kvm_refuses_is_an_error(void **state)
{
	(void)state;
	guest_tsc_init(&m);
	refuse = 1;
	assert_int_equal(guest_tsc_take(&m, 1), -EINVAL);
	assert_int_equal(m.tsc.khz, 2400000);
}

/* The counter is read and written as it is there. */
static void kernel_without_offsets_scales_too(void **state)
{
	(void)state;
	no_offsets = true;
	guest_tsc_init(&m);
	assert_int_equal(guest_tsc_take(&m, 3000000), 0);
	assert_int_equal(told[1], 3000000);
	assert_false(m.tsc.scaled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(counter_of_the_same_rate_is_the_hosts, setup),
		cmocka_unit_test_setup(counter_of_another_rate_is_scaled_where_the_cpu_can, setup),
		cmocka_unit_test_setup(counter_is_not_scaled_where_the_cpu_cannot, setup),
		cmocka_unit_test_setup(rate_that_kvm_refuses_is_an_error, setup),
		cmocka_unit_test_setup(kernel_without_offsets_scales_too, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
