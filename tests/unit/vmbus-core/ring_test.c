// SPDX-License-Identifier: GPL-2.0-only
/* The ring buffer: tests/cases/ring_cases.h in user space. */
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "vmbus-core/env.h"
#include "tests/unit/test.h"
#include "tests/cases/ring_cases.h"

static int setup(void **state)
{
	static struct ring_pair p;
	int fd = memfd_create("ring", 0);

	assert_int_equal(ftruncate(fd, KVMB_PAGE_SIZE + RING_SIZE), 0);
	p.ctrl = mmap(NULL, KVMB_PAGE_SIZE + 2 * RING_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p.data = p.ctrl + KVMB_PAGE_SIZE;
	mmap(p.ctrl, KVMB_PAGE_SIZE + RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
	     0);
	mmap(p.data + RING_SIZE, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
	     KVMB_PAGE_SIZE);
	close(fd);
	assert_int_equal(kvmb_ring_init(&p.w, p.ctrl, p.data, RING_SIZE, true), 0);
	assert_int_equal(kvmb_ring_init(&p.r, p.ctrl, p.data, RING_SIZE, false), 0);
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct ring_pair *p = *state;

	munmap(p->ctrl, KVMB_PAGE_SIZE + 2 * RING_SIZE);
	return 0;
}

#define LISTED(name) cmocka_unit_test_setup_teardown(name, setup, teardown),
int main(void)
{
	const struct CMUnitTest tests[] = { RING_CASES(LISTED) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
