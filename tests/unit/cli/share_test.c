// SPDX-License-Identifier: GPL-2.0-only
/* Who gets how much memory. */
#include "cli/share.h"

#include "lib/util.h"
#include "tests/unit/test.h"

#define M (1ull << 20)
#define G (1ull << 30)

static struct share_vm vm(uint64_t min, uint64_t max, uint64_t demand)
{
	return (struct share_vm){ .dynamic = true,
				  .reports = true,
				  .min = min,
				  .max = max,
				  .assigned = max,
				  .demand = demand,
				  .target = max };
}

static void all_get_what_they_want_if_it_fits(void **state)
{
	struct share_vm vms[] = { vm(G, 8 * G, 2 * G),
				  vm(G, 8 * G, 100 * M),
				  vm(G, 2 * G, 6 * G),
				  { .assigned = 3 * G } };

	(void)state;
	assert_int_equal(share_memory(vms, 4, 32 * G), 2560 * M + G + 2 * G + 3 * G);
	assert_int_equal(vms[0].target, 2560 * M); /* and a quarter */
	assert_int_equal(vms[1].target, G);
	assert_int_equal(vms[2].target, 2 * G);
	assert_int_equal(vms[3].target, 0); /* nobody can ask it for anything */
}

static void what_is_scarce_is_shared_beyond_the_minima(void **state)
{
	struct share_vm vms[] = { vm(G, 9 * G, 8 * G), vm(G, 5 * G, 8 * G), vm(G, 5 * G, 1) };

	(void)state;
	/* 9, 5 and 1 GiB are wanted; of 12 beyond the minima there are 6 */
	assert_int_equal(share_memory(vms, 3, 9 * G), 9 * G);
	assert_int_equal(vms[0].target, 5 * G);
	assert_int_equal(vms[1].target, 3 * G);
	assert_int_equal(vms[2].target, G);
}

static void nobody_gets_less_than_the_minimum(void **state)
{
	struct share_vm vms[] = { vm(2 * G, 4 * G, 4 * G), vm(G, 4 * G, 4 * G) };

	(void)state;
	assert_int_equal(share_memory(vms, 2, G), 3 * G);
	assert_int_equal(vms[0].target, 2 * G);
	assert_int_equal(vms[1].target, G);
	assert_int_equal(share_memory(vms, 2, 3 * G), 3 * G);
	assert_int_equal(share_memory(vms, 0, 3 * G), 0);
}

static void target_that_hardly_moves_stays(void **state)
{
	struct share_vm v = vm(G, 8 * G, 2 * G);

	(void)state;
	v.target = 2560 * M - 31 * M;
	share_memory(&v, 1, 8 * G);
	assert_int_equal(v.target, 2529 * M);
	v.target = 2560 * M + 31 * M;
	share_memory(&v, 1, 8 * G);
	assert_int_equal(v.target, 2591 * M);
	share_memory(&v, 1, 2570 * M); /* unless it does not fit */
	assert_int_equal(v.target, 2560 * M);
	v.target = 2560 * M - 32 * M;
	share_memory(&v, 1, 8 * G);
	assert_int_equal(v.target, 2560 * M);
}

static void vm_that_does_not_report_keeps_what_it_has(void **state)
{
	struct share_vm v = vm(G, 8 * G, 0);

	(void)state;
	v.reports = false;
	v.assigned = v.target = 3 * G;
	assert_int_equal(share_memory(&v, 1, 8 * G), 3 * G);
	assert_int_equal(v.target, 3 * G);
	assert_int_equal(share_memory(&v, 1, 2 * G), 2 * G);
	assert_int_equal(v.target, 2 * G);
}

static void lies_harm_nobody_else(void **state)
{
	struct share_vm vms[] = { vm(G, 4 * G, ~0ull), vm(0, 4 * G, G), vm(3 * G, G, G),
				  vm(G, ~0ull, ~0ull), vm(G, 4 * G, G) };
	uint64_t old[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		vms[1 + i].assigned = G;
		old[i] = vms[1 + i].target;
	}
	assert_true(share_memory(vms, 5, 8 * G) <= 8 * G);
	assert_in_range(vms[0].target, G, 4 * G);
	assert_in_range(vms[4].target, G, 4 * G);
	for (i = 0; i < 3; i++)
		assert_int_equal(vms[1 + i].target, old[i]);
}

/* Whatever the numbers: within bounds, and within the limit if the minima are. */
static void any_numbers_keep_the_rules(void **state)
{
	struct share_vm vms[8];
	uint64_t seed = 1, limit, minima, sum;
	uint32_t round;
	size_t i;

	(void)state;
	for (round = 0; round < 20000; round++) {
		minima = 0;
		for (i = 0; i < ARRAY_SIZE(vms); i++) {
			uint64_t n[4];
			size_t k;

			for (k = 0; k < 4; k++) {
				seed = seed * 6364136223846793005ull + 1442695040888963407ull;
				n[k] = (seed >> 33) % (64 * 1024) * M;
			}
			vms[i] = vm(M + n[0] / 8, M + n[0] / 8 + n[1], n[2]);
			vms[i].target = n[3];
			minima += vms[i].min;
		}
		limit = (seed >> 20) % (512 * 1024) * M;
		sum = share_memory(vms, ARRAY_SIZE(vms), limit);
		if (minima <= limit)
			assert_true(sum <= limit);
		else
			assert_int_equal(sum, minima);
		for (i = 0; i < ARRAY_SIZE(vms); i++) {
			assert_in_range(vms[i].target, vms[i].min, vms[i].max);
			sum -= vms[i].target;
		}
		assert_int_equal(sum, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_get_what_they_want_if_it_fits),
		cmocka_unit_test(what_is_scarce_is_shared_beyond_the_minima),
		cmocka_unit_test(nobody_gets_less_than_the_minimum),
		cmocka_unit_test(target_that_hardly_moves_stays),
		cmocka_unit_test(vm_that_does_not_report_keeps_what_it_has),
		cmocka_unit_test(lies_harm_nobody_else),
		cmocka_unit_test(any_numbers_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
