// SPDX-License-Identifier: GPL-2.0-only
/* Guest RAM that another process has made: only what nobody else can pull away is taken. */
#include "machine/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_memory_is_what_another_process_may_adopt),
		cmocka_unit_test(other_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
