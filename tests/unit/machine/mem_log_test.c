// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of changed memory on a KVM that the test plays: it protects and notes pages as the real
 * one does, so that a page that the log forgets is missing in the copy.
 */
#include "machine/mem_log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/dirty_log.h"
#include "lib/util.h"
#include "machine/hyperv.h"
#include "machine/machine.h"
#include "tests/harness/no_gen1.h"
#include "tests/unit/test.h"

#define LOW_PAGES (129u << 8) /* three pieces, the last one short */
#define HIGH_PAGES 256u
#define PAGES (LOW_PAGES + HIGH_PAGES)
#define HIGH_BASE 0x100000000ull
#define BOTH (KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)

/* ---- KVM ---- */

static struct slot {
	u32 first, pages; /* in the file */
	bool log;
	u64 bits[LOW_PAGES / 64];
} slots[2] = { { .first = 0, .pages = LOW_PAGES }, { .first = LOW_PAGES, .pages = HIGH_PAGES } };

static struct {
	u64 can, enabled; /* KVM_DIRTY_LOG_* */
	unsigned long refuse;
	u32 refuse_slot;
	u32 gets, clears;
	bool busy; /* the guest writes while the log is read */
} kvm;

static bool writable[PAGES];
static u8 ram[PAGES], copy[PAGES]; /* a byte is what a page has in it */
static u64 bits[PAGES / 64];
static struct machine m;
static struct vcpu vcpus[2];

static bool take_bit(u64 *b, u32 page)
{
	u64 mask = 1ull << page % 64, had = b[page / 64] & mask;

	b[page / 64] &= ~mask;
	return had;
}

static void guest_writes(u32 page)
{
	struct slot *s = &slots[page >= LOW_PAGES];

	ram[page]++;
	if (writable[page])
		return;
	writable[page] = true;
	if (s->log)
		s->bits[(page - s->first) / 64] |= 1ull << (page - s->first) % 64;
}

static int set_slot(const struct kvm_userspace_memory_region *r)
{
	struct slot *s = &slots[r->slot];
	bool on = r->flags & KVM_MEM_LOG_DIRTY_PAGES;
	bool all = kvm.enabled & KVM_DIRTY_LOG_INITIALLY_SET;

	/* nothing but the flag may change while a guest runs */
	assert_int_equal(r->guest_phys_addr, r->slot ? HIGH_BASE : 0);
	assert_int_equal(r->memory_size, (u64)s->pages * KVMB_PAGE_SIZE);
	assert_ptr_equal((void *)(uintptr_t)r->userspace_addr, m.gm.regions[r->slot].hva);
	s->log = on;
	memset(s->bits, on && all ? 0xff : 0, sizeof(s->bits));
	memset(writable + s->first, !on || all, s->pages);
	return 0;
}

static int get_log(const struct kvm_dirty_log *l)
{
	struct slot *s = &slots[l->slot];
	u32 i;

	kvm.gets++;
	if (!s->log)
		return ENOENT;
	memcpy(l->dirty_bitmap, s->bits, s->pages / 8);
	for (i = 0; i < s->pages && !kvm.enabled; i++) {
		if (take_bit(s->bits, i))
			writable[s->first + i] = false;
	}
	if (kvm.busy) {
		guest_writes(s->first + 3);
		guest_writes(s->first + 64 + kvm.gets % 64);
	}
	return 0;
}

/* Source of the limits: Linux 6.1 virt/kvm/kvm_main.c kvm_clear_dirty_log_protect(). */
static int clear_log(const struct kvm_clear_dirty_log *l)
{
	struct slot *s = &slots[l->slot];
	u64 *asked = l->dirty_bitmap;
	u64 i, page, any = 0;

	kvm.clears++;
	if (!kvm.enabled || !s->log)
		return ENOENT;
	if (l->first_page & 63 || l->first_page > s->pages ||
	    l->num_pages > s->pages - l->first_page ||
	    (l->num_pages < s->pages - l->first_page && l->num_pages & 63))
		return EINVAL;
	assert_true(l->num_pages <= 16384); /* so much a time: vCPUs wait */
	for (i = 0; i < l->num_pages; i++) {
		page = l->first_page + i;
		any |= asked[i / 64];
		if (asked[i / 64] >> i % 64 & 1 && take_bit(s->bits, (u32)page))
			writable[s->first + page] = false;
	}
	assert_true(any); /* it costs a lock of the whole VM */
	return 0;
}

static int enable(const struct kvm_enable_cap *c)
{
	assert_int_equal(c->cap, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	assert_int_equal(c->args[0] & ~kvm.can, 0);
	kvm.enabled = c->args[0];
	return 0;
}

static int serve(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
		return set_slot(arg);
	case KVM_GET_DIRTY_LOG:
		return get_log(arg);
	case KVM_CLEAR_DIRTY_LOG:
		return clear_log(arg);
	case KVM_ENABLE_CAP:
		return enable(arg);
	default:
		fail_msg("unknown request %#lx", request);
		return 0;
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	assert_int_equal(fd, 77);
	if (request == KVM_CHECK_EXTENSION) {
		assert_int_equal((uintptr_t)arg, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
		return (int)kvm.can;
	}
	/* all of them begin with the slot, except that one */
	if (request == kvm.refuse && (request == KVM_ENABLE_CAP || *(u32 *)arg == kvm.refuse_slot))
		errno = EINVAL;
	else
		errno = serve(request, arg);
	return errno ? -1 : 0;
}

/* ---- the rest of the machine ---- */

void hyperv_dirty(struct vcpu *v)
{
	kvmb_dirty(m.gm.regions[0].hva + v->index * KVMB_PAGE_SIZE, 1);
}

static int setup(void **state)
{
	size_t len = (size_t)PAGES * KVMB_PAGE_SIZE;
	u8 *hva = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u32 i;

	(void)state;
	memset(&kvm, 0, sizeof(kvm));
	memset(&m, 0, sizeof(m));
	memset(ram, 0, sizeof(ram));
	memset(copy, 0, sizeof(copy));
	memset(writable, 1, sizeof(writable));
	slots[0].log = slots[1].log = false;
	m.name = "t";
	m.vm_fd = 77;
	m.cfg.cpus = ARRAY_SIZE(vcpus);
	m.vcpus = vcpus;
	for (i = 0; i < ARRAY_SIZE(vcpus); i++)
		vcpus[i].index = 4 * i;
	m.gm.num_regions = 2;
	m.gm.regions[0] = (struct kvmb_gm_region){ 0, LOW_PAGES * KVMB_PAGE_SIZE, 0, hva };
	m.gm.regions[1] = (struct kvmb_gm_region){ HIGH_BASE, HIGH_PAGES * KVMB_PAGE_SIZE,
						   LOW_PAGES * KVMB_PAGE_SIZE,
						   hva + LOW_PAGES * KVMB_PAGE_SIZE };
	return hva == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	machine_log_end(&m);
	return munmap(m.gm.regions[0].hva, (size_t)PAGES * KVMB_PAGE_SIZE);
}

static void prepare(u64 can)
{
	kvm.can = can;
	machine_log_prepare(&m);
	assert_int_equal(machine_log_pages(&m), PAGES);
}

/* We write. */
static void host_writes(u32 page)
{
	ram[page]++;
	kvmb_dirty(m.gm.regions[0].hva + (size_t)page * KVMB_PAGE_SIZE, 8);
}

static int take(void)
{
	memset(bits, 0, sizeof(bits));
	return machine_log_take(&m, bits);
}

static bool has(u32 page)
{
	return bits[page / 64] >> page % 64 & 1;
}

static u32 copy_taken(void)
{
	u32 i, n = 0;

	for (i = 0; i < PAGES; i++) {
		if (has(i)) {
			copy[i] = ram[i];
			n++;
		}
	}
	return n;
}

/* ---- tests ---- */

static void first_take_has_all(u64 can)
{
	prepare(can);
	assert_int_equal(machine_log_begin(&m), 0);
	guest_writes(5);
	assert_int_equal(take(), 0);
	assert_int_equal(copy_taken(), PAGES);
	assert_memory_equal(copy, ram, PAGES);
	assert_int_equal(take(), 0);
	assert_int_equal(copy_taken(), 0);
	assert_int_equal(kvm.gets, 4);
	/* what has no bit is not asked for */
	assert_int_equal(kvm.clears, can & KVM_DIRTY_LOG_INITIALLY_SET ? 4 : can ? 1 : 0);
}

static void first_take_has_all_on_a_new_kernel(void **state)
{
	(void)state;
	first_take_has_all(BOTH);
}

static void first_take_has_all_before_5_7(void **state)
{
	(void)state;
	first_take_has_all(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
}

static void first_take_has_all_before_5_2(void **state)
{
	(void)state;
	first_take_has_all(0);
}

static void pages_lie_as_in_the_file(void **state)
{
	(void)state;
	prepare(BOTH);
	assert_int_equal(machine_log_begin(&m), 0);
	assert_int_equal(take(), 0);
	guest_writes(0);
	guest_writes(LOW_PAGES - 1);
	host_writes(16384);
	host_writes(LOW_PAGES);
	guest_writes(PAGES - 1);
	assert_int_equal(take(), 0);
	assert_true(has(0) && has(LOW_PAGES - 1) && has(16384) && has(LOW_PAGES) && has(PAGES - 1));
	assert_int_equal(copy_taken(), 5);
	/* they are added to what the caller has */
	memset(bits, 0, sizeof(bits));
	bits[1] = 2;
	guest_writes(1);
	assert_int_equal(machine_log_take(&m, bits), 0);
	assert_true(bits[0] == 2 && bits[1] == 2);
}

/* Guest and host write before, between and during takes. */
static void nothing_is_lost(u64 can)
{
	u32 round, i, seed = 1, page;

	prepare(can);
	kvm.busy = true;
	assert_int_equal(machine_log_begin(&m), 0);
	for (round = 0; round < 200; round++) {
		for (i = 0; i < 50; i++) {
			seed = seed * 1664525 + 1013904223;
			page = (seed >> 8) % PAGES;
			if (seed & 0x80)
				guest_writes(page);
			else
				host_writes(page);
		}
		kvm.busy = round < 199; /* the last take is that of a guest that stands */
		assert_int_equal(take(), 0);
		copy_taken();
	}
	assert_memory_equal(copy, ram, PAGES);
}

static void nothing_is_lost_on_a_new_kernel(void **state)
{
	(void)state;
	nothing_is_lost(BOTH);
}

static void nothing_is_lost_before_5_7(void **state)
{
	(void)state;
	nothing_is_lost(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
}

static void nothing_is_lost_before_5_2(void **state)
{
	(void)state;
	nothing_is_lost(0);
}

static void asks_for_no_more_than_it_knows(void **state)
{
	(void)state;
	prepare(BOTH | 0x100); /* of a kernel to come */
	assert_int_equal(kvm.enabled, BOTH);
	assert_int_equal(m.log.features, BOTH);
}

static void a_kernel_that_refuses_is_one_that_cannot(void **state)
{
	(void)state;
	kvm.refuse = KVM_ENABLE_CAP;
	prepare(BOTH);
	assert_int_equal(m.log.features, 0);
	assert_int_equal(machine_log_begin(&m), 0);
	guest_writes(9);
	assert_int_equal(take(), 0);
	guest_writes(10);
	assert_int_equal(take(), 0);
	assert_int_equal(copy_taken(), 1);
	assert_int_equal(kvm.clears, 0);
}

static void a_log_that_cannot_begin_is_none(void **state)
{
	(void)state;
	prepare(BOTH);
	kvm.refuse = KVM_SET_USER_MEMORY_REGION;
	kvm.refuse_slot = 1;
	assert_int_equal(machine_log_begin(&m), -EINVAL);
	assert_false(slots[0].log || slots[1].log);
	assert_false(kvmb_dirty_log_on());
	kvm.refuse = 0;
	assert_int_equal(machine_log_begin(&m), 0);
	assert_true(slots[0].log && slots[1].log);
}

static void what_fails_is_not_lost(void **state)
{
	static const unsigned long requests[] = { KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG };
	u32 i;

	(void)state;
	prepare(BOTH);
	assert_int_equal(machine_log_begin(&m), 0);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		kvm.refuse = requests[i];
		kvm.refuse_slot = 1;
		guest_writes(7);
		guest_writes(LOW_PAGES + 7);
		host_writes(LOW_PAGES + 9);
		assert_int_equal(take(), -EINVAL);
		copy_taken();
		kvm.refuse = 0;
		assert_int_equal(take(), 0);
		assert_true(i || copy_taken() == PAGES); /* the first one that works has all */
		copy_taken();
		assert_memory_equal(copy, ram, PAGES);
	}
}

static void ends_and_begins_again(void **state)
{
	(void)state;
	machine_log_end(&m); /* there is none */
	prepare(BOTH);
	assert_int_equal(machine_log_begin(&m), 0);
	guest_writes(1);
	host_writes(2);
	machine_log_end(&m);
	assert_false(slots[0].log || slots[1].log);
	assert_false(kvmb_dirty_log_on());
	assert_int_equal(machine_log_begin(&m), 0);
	assert_int_equal(take(), 0);
	assert_int_equal(copy_taken(), PAGES);
	assert_int_equal(take(), 0);
	assert_int_equal(copy_taken(), 0);
}

static void notes_pages_of_each_vcpu(void **state)
{
	(void)state;
	prepare(BOTH);
	machine_dirty(&m); /* no log: nothing to note */
	assert_int_equal(machine_log_begin(&m), 0);
	assert_int_equal(take(), 0);
	machine_dirty(&m);
	assert_int_equal(take(), 0);
	assert_true(has(0) && has(4));
	assert_int_equal(copy_taken(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(first_take_has_all_on_a_new_kernel),
		T(first_take_has_all_before_5_7),
		T(first_take_has_all_before_5_2),
		T(pages_lie_as_in_the_file),
		T(nothing_is_lost_on_a_new_kernel),
		T(nothing_is_lost_before_5_7),
		T(nothing_is_lost_before_5_2),
		T(asks_for_no_more_than_it_knows),
		T(a_kernel_that_refuses_is_one_that_cannot),
		T(a_log_that_cannot_begin_is_none),
		T(what_fails_is_not_lost),
		T(ends_and_begins_again),
		T(notes_pages_of_each_vcpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
