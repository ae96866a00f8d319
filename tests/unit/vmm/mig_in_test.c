// SPDX-License-Identifier: GPL-2.0-only
/* The target of a migration before a hostile source: pages in place, locks only after GO. */
#include "vmm/mig_in.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disk_locks.h"
#include "vmm/mig_stream.h"
#include "vmm/vm.h"
#include "vmm/vm_sections.h"

#define PAGES 8u
#define RAM (PAGES * KVMB_PAGE_SIZE)

static struct vm vm;
static struct mig_stream source;
static char why[MIG_WHY];
static size_t loaded; /* bytes of sections */
static int load_err, lock_err;
static u32 locks;

int vm_sections_load(struct vm *v, const void *sections, size_t len, char *text, size_t size)
{
	(void)v, (void)sections;
	loaded = len;
	if (load_err)
		snprintf(text, size, "section bus: no good");
	return load_err;
}

int disk_locks_take(struct vm *v, char *text, size_t size)
{
	(void)v;
	if (lock_err)
		snprintf(text, size, "disk d: locked");
	locks++;
	return lock_err;
}

void disk_locks_forget_caches(struct vm *v)
{
	(void)v;
}

static int setup(void **state)
{
	int sv[2];

	(void)state;
	kvmb_log_set_level(KVMB_LOG_ERR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	source = (struct mig_stream){ .fd = sv[0] };
	memset(&vm, 0, sizeof(vm));
	vm.cfg.name = "t";
	vm.cfg.incoming = sv[1];
	vm.cfg.machine.memory = RAM;
	vm.machine.gm.num_regions = 1;
	vm.machine.gm.memfd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(vm.machine.gm.memfd, RAM), 0);
	vm.machine.gm.regions[0] = (struct kvmb_gm_region){
		.size = RAM,
		.hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, vm.machine.gm.memfd, 0)
	};
	loaded = locks = 0;
	load_err = lock_err = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(vm.machine.gm.regions[0].hva, RAM);
	close(vm.machine.gm.memfd);
	close(source.fd);
	return 0;
}

static void send_pages(u64 first, const void *bytes, size_t len, u64 zero)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, KVMB_SEC_MEMORY, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_MEM_FIRST, first);
	if (bytes)
		kvmb_tlv_put_bytes(&o, MIG_MEM_PAGES, bytes, len);
	else
		kvmb_tlv_put(&o, MIG_MEM_ZERO, zero);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send(&source, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static void send_section(enum kvmb_section tag)
{
	struct kvmb_tlv_out o = { 0 };

	kvmb_tlv_begin(&o, tag, 0, 0);
	kvmb_tlv_end(&o);
	assert_int_equal(mig_send(&source, o.buf, o.len), 0);
	kvmb_tlv_out_fini(&o);
}

static void pages_and_sections_arrive(void **state)
{
	u8 two[2 * KVMB_PAGE_SIZE], *ram = vm.machine.gm.regions[0].hva;

	(void)state;
	memset(two, 7, sizeof(two));
	send_pages(0, two, sizeof(two), 0);
	send_pages(PAGES - 2, two, sizeof(two), 0);
	send_section(KVMB_SEC_VM);
	send_pages(PAGES - 1, NULL, 0, 1);
	send_section(KVMB_SEC_END);
	assert_int_equal(mig_in_loader.load(&vm), 0);
	assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
	assert_int_equal(loaded, 2 * KVMB_TLV_HEADER);
	assert_memory_equal(ram, two, sizeof(two));
	assert_memory_equal(ram + (PAGES - 2) * KVMB_PAGE_SIZE, two, KVMB_PAGE_SIZE);
	assert_int_equal(ram[(PAGES - 1) * KVMB_PAGE_SIZE], 0);
	assert_int_equal(ram[2 * KVMB_PAGE_SIZE], 0);
	assert_int_equal(locks, 0); /* they are the source's */
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(mig_in_loader.commit(&vm), 0);
	assert_int_equal(locks, 1);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), 0);
}

static void pages_that_the_vm_does_not_have_are_refused(void **state)
{
	static const struct {
		u64 first;
		size_t len;
		u64 zero;
	} rows[] = {
		{ PAGES, KVMB_PAGE_SIZE, 0 },
		{ PAGES - 1, 2 * KVMB_PAGE_SIZE, 0 },
		{ UINT64_MAX, KVMB_PAGE_SIZE, 0 },
		{ 1ull << 52, KVMB_PAGE_SIZE, 0 },
		{ 0, KVMB_PAGE_SIZE - 1, 0 },
		{ 0, 0, 0 },
		{ 0, 0, PAGES + 1 },
		{ 1, 0, PAGES },
		{ 0, 0, UINT64_MAX },
		{ UINT64_MAX, 0, 2 },
	};
	static u8 bytes[2 * KVMB_PAGE_SIZE];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		send_pages(rows[i].first, rows[i].len ? bytes : NULL, rows[i].len, rows[i].zero);
		send_section(KVMB_SEC_END);
		assert_int_equal(mig_in_loader.load(&vm), -EPROTO);
		assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
		assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
		assert_non_null(strstr(why, "section memory"));
		assert_int_equal(loaded, 0);
		teardown(state);
		setup(state);
	}
}

static void state_that_is_refused_is_told_of(void **state)
{
	(void)state;
	load_err = -EPROTO;
	send_section(KVMB_SEC_END);
	assert_int_equal(mig_in_loader.load(&vm), -EPROTO);
	assert_int_equal(mig_hear(&source, MIG_READY, why), 0);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), -ECONNREFUSED);
	assert_string_equal(why, "section bus: no good");
}

static void source_that_goes_before_go_leaves_its_locks_alone(void **state)
{
	(void)state;
	shutdown(source.fd, SHUT_WR);
	assert_int_equal(mig_in_loader.commit(&vm), -EPIPE);
	assert_int_equal(locks, 0);
}

static void disk_that_somebody_else_has_ends_it(void **state)
{
	(void)state;
	lock_err = -EBUSY;
	assert_int_equal(mig_say(&source, MIG_GO, NULL), 0);
	assert_int_equal(mig_in_loader.commit(&vm), -EBUSY);
	assert_int_equal(mig_hear(&source, MIG_LOADED, why), 0);
	assert_int_equal(mig_hear(&source, MIG_RUNNING, why), -ECONNREFUSED);
	assert_string_equal(why, "disk d: locked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pages_and_sections_arrive),
		T(pages_that_the_vm_does_not_have_are_refused),
		T(state_that_is_refused_is_told_of),
		T(source_that_goes_before_go_leaves_its_locks_alone),
		T(disk_that_somebody_else_has_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
