// SPDX-License-Identifier: GPL-2.0-only
/* Free page reporting: what is dropped, how far a call comes, and lists that lie. */
#include "machine/mem_hint.h"

#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/machine.h"
#include "tests/unit/test.h"

#define PAGES 66048u /* 258 MiB */
#define HIGH (1ull << 20)
#define LIST 0x3000u

static struct machine m;
static u8 *ram;

static int setup(void **state)
{
	u64 half = PAGES / 2 * KVMB_PAGE_SIZE;

	(void)state;
	memset(&m, 0, sizeof(m));
	m.gm.memfd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(m.gm.memfd, PAGES * (off_t)KVMB_PAGE_SIZE), 0);
	ram = mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_SHARED, m.gm.memfd, 0);
	assert_true(ram != MAP_FAILED);
	m.gm.num_regions = 2;
	m.gm.regions[0] = (struct kvmb_gm_region){ 0, half, 0, ram };
	m.gm.regions[1] = (struct kvmb_gm_region){ HIGH << 12, half, half, ram + half };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(ram, PAGES * (size_t)KVMB_PAGE_SIZE);
	close(m.gm.memfd);
	return 0;
}

static void put_list(u64 at, u64 kind, const u64 *ranges, u32 num)
{
	memcpy(ram + at, &kind, 8);
	memcpy(ram + at + 8, ranges, num * 8);
}

static u64 input(u32 num, u32 at)
{
	return 0x8003 | (u64)num << 32 | (u64)at << 48;
}

static u64 hint(const u64 *ranges, u32 num)
{
	put_list(LIST, 2, ranges, num);
	return mem_hint(&m, input(num, 0), LIST);
}

static u64 small(u64 gfn, u64 num)
{
	return gfn << 12 | (num - 1);
}

static u64 large(u64 gfn, u64 num)
{
	return gfn >> 9 << 21 | 1 << 11 | (num - 1);
}

static u8 *page(u64 gfn)
{
	return ram + (gfn >= HIGH ? gfn - HIGH + PAGES / 2 : gfn) * KVMB_PAGE_SIZE;
}

static void pages_that_are_not_needed_are_dropped(void **state)
{
	(void)state;
	*page(100) = *page(101) = *page(102) = *page(511) = *page(512) = *page(1535) = *page(1536) =
		1;
	*page(HIGH + 5) = *page(HIGH + 6) = 1;
	assert_int_equal(hint((const u64[]){ small(100, 2), large(512, 2), small(HIGH + 5, 1) }, 3),
			 3ull << 32);
	assert_true(!*page(100) && !*page(101) && *page(102));
	assert_true(*page(511) && !*page(512) && !*page(1535) && *page(1536));
	assert_true(!*page(HIGH + 5) && *page(HIGH + 6));
	assert_int_equal(mem_hint_pages(&m), 2 + 1024 + 1);
}

/* The vCPU stands meanwhile. */
static void call_drops_so_much_and_no_more(void **state)
{
	u64 ranges[100];
	u32 i;

	(void)state;
	for (i = 0; i < 100; i++)
		ranges[i] = large(512 + 512 * (i % 60), 2);
	assert_int_equal(hint(ranges, 100), 32ull << 32);
	assert_int_equal(mem_hint(&m, input(100, 32), LIST), 64ull << 32);
	assert_int_equal(mem_hint(&m, input(100, 64), LIST), 96ull << 32);
	assert_int_equal(mem_hint(&m, input(100, 96), LIST), 100ull << 32);
}

static void memory_that_comes_is_left_alone(void **state)
{
	(void)state;
	m.gm.lazy = 1;
	*page(100) = 1;
	assert_int_equal(hint((const u64[]){ small(100, 1) }, 1), 1ull << 32);
	assert_int_equal(*page(100), 1);
	assert_int_equal(mem_hint_pages(&m), 0);
}

static void lists_that_lie_are_refused(void **state)
{
	static const u64 bad[] = {
		PAGES / 2ull << 12, /* no RAM */
		(PAGES / 2ull - 1) << 12 | 1,
		~0ull,
		~0ull & ~4096ull,
		~0ull << 12,
		1ull << 11 | 1ull << 12, /* a gigabyte */
		1ull << 11 | 2047,	 /* 4 GiB */
	};
	size_t i;

	(void)state;
	*page(100) = 1;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_ROW(hint((const u64[]){ small(100, 1), bad[i] }, 2),
			  1ull << 32 | KVMB_HV_STATUS_INVALID_PARAMETER, i);
	put_list(LIST, 2, bad, 1);
	assert_int_equal(mem_hint(&m, input(0, 0), LIST), KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(mem_hint(&m, input(512, 0), LIST), KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(mem_hint(&m, input(1, 1), LIST), KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(mem_hint(&m, input(1, 0) | 1 << 16, LIST),
			 KVMB_HV_STATUS_INVALID_HYPERCALL_INPUT);
	assert_int_equal(mem_hint(&m, input(1, 0), LIST + 4), KVMB_HV_STATUS_INVALID_ALIGNMENT);
	assert_int_equal(mem_hint(&m, input(511, 0), LIST + 8), KVMB_HV_STATUS_INVALID_ALIGNMENT);
	assert_int_equal(mem_hint(&m, input(1, 0), ~7ull), KVMB_HV_STATUS_INVALID_ALIGNMENT);
	assert_int_equal(mem_hint(&m, input(1, 0), PAGES / 2ull << 12),
			 KVMB_HV_STATUS_INVALID_PARAMETER);
	put_list(LIST, 1, (const u64[]){ small(100, 1) }, 1);
	assert_int_equal(mem_hint(&m, input(1, 0), LIST), KVMB_HV_STATUS_INVALID_PARAMETER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pages_that_are_not_needed_are_dropped),
		T(call_drops_so_much_and_no_more),
		T(memory_that_comes_is_left_alone),
		T(lists_that_lie_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
