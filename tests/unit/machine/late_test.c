// SPDX-License-Identifier: GPL-2.0-only
/* Writes that KVM keeps, in a ring that the test fills: delivered once, in order, by any thread. */
#include "machine/late.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/util.h"
#include "machine/iobus.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"

#define PAGE 4096u
#define RING_PAGE 2
#define ENTRIES \
	((PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#define WRITES 20000u

static _Alignas(8) u8 run[3 * PAGE];
static struct kvm_coalesced_mmio_ring *const ring = (void *)&run[RING_PAGE * PAGE];
static struct kvm_coalesced_mmio_zone zone;
static int has_mmio, has_pio;
static struct iobus bus;
static struct late *late;
static u32 got[WRITES], num_got;
static bool writes_on; /* another vCPU does, meanwhile */

static bool kvm_keeps(u16 v);

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	assert_int_equal(fd, 7);
	if (request == KVM_CHECK_EXTENSION)
		return (uintptr_t)arg == KVM_CAP_COALESCED_PIO ? has_pio : has_mmio;
	assert_int_equal(request, KVM_REGISTER_COALESCED_MMIO);
	memcpy(&zone, arg, sizeof(zone));
	return 0;
}

static void take(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	(void)dev;
	assert_true(write);
	assert_in_range(offset, 0, 5);
	assert_int_equal(size, 2);
	assert_in_range(num_got, 0, WRITES - 1);
	got[num_got++] = *val;
	if (writes_on)
		kvm_keeps(0);
}

static int setup(void **state)
{
	(void)state;
	memset(run, 0, sizeof(run));
	memset(&bus, 0, sizeof(bus));
	num_got = 0;
	writes_on = false;
	has_mmio = RING_PAGE;
	has_pio = 1;
	iobus_add(&bus, 0x1f1, 6, take, NULL);
	late = late_create(7, run, sizeof(run), &bus);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	late_destroy(late);
	return 0;
}

/* Return: false: it is full, and KVM would exit. */
static bool kvm_keeps(u16 v)
{
	u32 last = ring->last;

	if ((last + 1) % ENTRIES == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE))
		return false;
	ring->coalesced_mmio[last] =
		(struct kvm_coalesced_mmio){ .phys_addr = 0x1f1u + v % 6, .len = 2, .pio = 1 };
	memcpy(ring->coalesced_mmio[last].data, &v, 2);
	__atomic_store_n(&ring->last, (last + 1) % (u32)ENTRIES, __ATOMIC_RELEASE);
	return true;
}

static void late_writes_come_once_and_in_order(void **state)
{
	u32 i, sent = 0, round;

	(void)state;
	late_add(late, 0x1f1, 6);
	assert_int_equal(zone.addr, 0x1f1);
	assert_int_equal(zone.size, 6);
	assert_int_equal(zone.pio, 1);
	for (round = 0; round < 7; round++) { /* round the ring */
		while (kvm_keeps((u16)sent))
			sent++;
		late_deliver(late);
		assert_int_equal(num_got, sent);
		late_deliver(late);
		assert_int_equal(num_got, sent);
	}
	assert_int_equal(sent, 7 * (ENTRIES - 1));
	for (i = 0; i < sent; i++)
		assert_int_equal(got[i], i);
	assert_int_equal(late_delivered(late), sent);
}

/* Who delivers does not do so for ever, and counts what it delivered. */
static void late_ends_while_another_vcpu_writes(void **state)
{
	(void)state;
	writes_on = true;
	while (kvm_keeps(0))
		;
	late_deliver(late);
	assert_int_equal(num_got, ENTRIES);
	assert_int_equal(late_delivered(late), num_got);
}

static void late_is_none_where_kvm_has_none(void **state)
{
	(void)state;
	has_pio = 0; /* before Linux 4.20 */
	assert_null(late_create(7, run, sizeof(run), &bus));
	has_pio = 1;
	has_mmio = 0;
	assert_null(late_create(7, run, sizeof(run), &bus));
	has_mmio = RING_PAGE + 1; /* outside of what is mapped */
	assert_null(late_create(7, run, sizeof(run), &bus));
	late_add(NULL, 0x1f1, 6);
	late_deliver(NULL);
	late_destroy(NULL);
	assert_int_equal(late_delivered(NULL), 0);
}

static void *play_kvm(void *arg)
{
	u32 i;

	for (i = 0; i < WRITES; i++) {
		while (!kvm_keeps((u16)i))
			late_deliver(late); /* what a vCPU does at the exit */
	}
	return arg;
}

static void *exit_often(void *arg)
{
	while (!__atomic_load_n((bool *)arg, __ATOMIC_ACQUIRE))
		late_deliver(late);
	return NULL;
}

static void late_writes_come_in_order_to_two_vcpus(void **state)
{
	pthread_t guest, other;
	bool end = false;
	u32 i;

	(void)state;
	assert_int_equal(pthread_create(&guest, NULL, play_kvm, NULL), 0);
	assert_int_equal(pthread_create(&other, NULL, exit_often, &end), 0);
	pthread_join(guest, NULL);
	late_deliver(late);
	assert_int_equal(num_got, WRITES); /* whoever delivered the last one, it has come by now */
	__atomic_store_n(&end, true, __ATOMIC_RELEASE);
	pthread_join(other, NULL);
	for (i = 0; i < WRITES; i++)
		assert_int_equal(got[i], i & 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(late_writes_come_once_and_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(late_ends_while_another_vcpu_writes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(late_is_none_where_kvm_has_none, setup, teardown),
		cmocka_unit_test_setup_teardown(late_writes_come_in_order_to_two_vcpus, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
