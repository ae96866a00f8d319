// SPDX-License-Identifier: GPL-2.0-only
/* Guest RAM that another process has made: only what nobody else can pull away is taken. */
#include "machine/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/cpuid.h"
#include "machine/machine.h"
#include "tests/unit/test.h"

#define SIZE (4u << 20)

bool cpuid_host_is_tcg(void)
{
	return true;
}

/* Return: what mem_open() says of @fd, which it takes. */
static int adopt(int fd)
{
	struct machine m = { .cfg = { .memory = SIZE, .memory_fd = fd } };
	int err;

	assert_true(fd > 0);
	err = mem_open(&m);
	assert_int_equal(m.gm.memfd, fd);
	mem_destroy(&m);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	return err;
}

static int memory(off_t size, int seals)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void own_memory_is_what_another_process_may_adopt(void **state)
{
	struct machine m = { .cfg = { .memory = SIZE, .huge = HUGE_OFF } };
	int fd;

	(void)state;
	assert_int_equal(mem_open(&m), 0);
	fd = dup(m.gm.memfd);
	mem_destroy(&m);
	assert_int_equal(ftruncate(fd, 0), -1); /* nobody may */
	assert_int_equal(adopt(fd), 0);
}

static void other_files_are_refused(void **state)
{
	char path[] = "/tmp/kvmbus-mem-XXXXXX", sys[64];
	int fd, named = mkstemp(path);

	(void)state;
	assert_int_equal(adopt(memory(SIZE / 2, F_SEAL_SHRINK)), -EINVAL);
	assert_int_equal(adopt(memory(2 * SIZE, F_SEAL_SHRINK)), -EINVAL);
	assert_int_equal(adopt(memory(SIZE, F_SEAL_SHRINK | F_SEAL_WRITE)), -EINVAL);
	assert_int_equal(adopt(memory(SIZE, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE)), -EINVAL);
	fd = memory(SIZE, F_SEAL_SHRINK);
	snprintf(sys, sizeof(sys), "/proc/self/fd/%d", fd);
	assert_int_equal(adopt(open(sys, O_RDONLY | O_CLOEXEC)), -EINVAL);
	close(fd);
	assert_int_equal(ftruncate(named, SIZE), 0);
	assert_int_equal(adopt(named) < 0, 1); /* who has its name may shrink it */
	unlink(path);
	assert_int_equal(adopt(open("/dev/zero", O_RDWR | O_CLOEXEC)) < 0, 1);
}

/* ---- where it lies ---- */

#define FAKE_VM 5000
#define MIB (1ull << 20)
#define GIB (1ull << 30)

static struct kvm_userspace_memory_region slots[KVMB_GM_MAX_REGIONS];
static u32 num_slots;

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (fd != FAKE_VM)
		return __real_ioctl(fd, request, arg);
	assert_int_equal(request, KVM_SET_USER_MEMORY_REGION);
	assert_in_range(num_slots, 0, KVMB_GM_MAX_REGIONS - 1);
	memcpy(&slots[num_slots++], arg, sizeof(slots[0]));
	return 0;
}

static void memory_and_what_comes_later_have_their_slots(void **state)
{
	static const struct {
		u64 memory, max;
		bool gen1;
		struct {
			u64 base, size, offset;
		} slots[4];
		u64 hot, high; /* where, 0 = none; bytes of RAM from 4 GiB on */
	} rows[] = {
		{ GIB, 0, false, { { 0, GIB, 0 } }, 0, 0 },
		{ GIB, GIB, false, { { 0, GIB, 0 } }, 0, 0 },
		{ GIB,
		  3 * GIB + MIB,
		  false,
		  { { 0, GIB, 0 }, { 4 * GIB, 2 * GIB + 128 * MIB, GIB } },
		  4 * GIB,
		  0 },
		{ 3 * GIB + MIB,
		  4 * GIB,
		  false,
		  { { 0, 3 * GIB, 0 },
		    { 4 * GIB, MIB, 3 * GIB },
		    { 4 * GIB + 128 * MIB, GIB, 3 * GIB + 2 * MIB } },
		  4 * GIB + 128 * MIB,
		  MIB },
		{ 4 * GIB,
		  8 * GIB,
		  false, /* nothing between: a guest may use both as one */
		  { { 0, 3 * GIB, 0 }, { 4 * GIB, 5 * GIB, 3 * GIB } },
		  5 * GIB,
		  GIB },
		{ 5 * GIB,
		  0,
		  true,
		  { { 0, 0xa0000, 0 },
		    { 0xc0000, 3 * GIB - 0xc0000, 0xc0000 },
		    { 4 * GIB, 2 * GIB, 3 * GIB } },
		  0,
		  2 * GIB },
		{ 3 * GIB + MIB,
		  4 * GIB,
		  true,
		  { { 0, 0xa0000, 0 },
		    { 0xc0000, 3 * GIB - 0xc0000, 0xc0000 },
		    { 4 * GIB, MIB, 3 * GIB },
		    { 4 * GIB + 128 * MIB, GIB, 3 * GIB + 2 * MIB } },
		  4 * GIB + 128 * MIB,
		  MIB },
	};
	size_t i;
	u32 s;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct machine m = { .cfg = { .memory = rows[i].memory,
					      .memory_max = rows[i].max,
					      .gen1 = rows[i].gen1,
					      .huge = HUGE_OFF },
				     .vm_fd = FAKE_VM };

		num_slots = 0;
		assert_int_equal(mem_open(&m), 0);
		assert_int_equal(mem_map(&m), 0);
		for (s = 0; s < 4 && rows[i].slots[s].size; s++) {
			CHECK_ROW(slots[s].slot, s, i);
			CHECK_ROW(slots[s].guest_phys_addr, rows[i].slots[s].base, i);
			CHECK_ROW(slots[s].memory_size, rows[i].slots[s].size, i);
			CHECK_ROW(m.gm.regions[s].file_offset, rows[i].slots[s].offset, i);
			CHECK_ROW(m.gm.regions[s].hva - m.gm.regions[0].hva,
				  rows[i].slots[s].offset, i);
		}
		CHECK_ROW(num_slots, s, i);
		CHECK_ROW(m.hot.size ? m.hot.base : 0, rows[i].hot, i);
		CHECK_ROW(machine_high_ram(&m), rows[i].high, i);
		mem_destroy(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_memory_is_what_another_process_may_adopt),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test(memory_and_what_comes_later_have_their_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
