// SPDX-License-Identifier: GPL-2.0-only
/* Which sections are taken: each section once, in order, of each device. The rooms are stubs. */
#include "vmm/restore.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/net/net_state.h"
#include "host-vsp/storage/storage_state.h"
#include "ic-services/ic_state.h"
#include "lib/log.h"
#include "lib/tlv.h"
#include "machine/machine_state.h"
#include "tests/harness/no_dynmem.h"
#include "tests/harness/no_legacy.h"
#include "tests/harness/no_input.h"
#include "tests/harness/no_synth.h"
#include "tests/unit/test.h"
#include "vmm/nics.h"
#include "vmm/state_file.h"
#include "vmm/vm_state.h"

#define RAM 4096u

static struct vm vm;
static u32 loads; /* of all rooms */
static bool restored;

/* ---- the rooms ---- */

static int count(void)
{
	loads++;
	return 0;
}

int machine_load(struct machine *m, struct kvmb_tlv *t)
{
	(void)m, (void)t;
	return count();
}

int machine_load_done(struct machine *m, struct kvmb_tlv_error *e)
{
	(void)m, (void)e;
	return 0;
}

int vm_state_load(struct vm *v, struct kvmb_tlv *t, bool *paused)
{
	(void)v, (void)t;
	*paused = false;
	return count();
}

int kvmb_storage_load(struct kvmb_storage *s, struct kvmb_tlv *t)
{
	(void)s, (void)t;
	return count();
}

int kvmb_net_load(struct kvmb_net *n, struct kvmb_tlv *t)
{
	(void)n, (void)t;
	return count();
}

int kvmb_bus_load(struct kvmb_bus *b, struct kvmb_tlv *t)
{
	(void)b, (void)t;
	return count();
}

int kvmb_ic_load(const struct kvmb_ic_services *s, struct kvmb_tlv *t)
{
	(void)s, (void)t;
	return count();
}

int services_load(struct vm *v, struct kvmb_tlv *t)
{
	(void)v, (void)t;
	return count();
}

void kvmb_bus_begin_load(struct kvmb_bus *b) { (void)b; }

struct kvmb_net *nics_net(const struct vm *v, u32 i)
{
	(void)v;
	return i ? NULL : (void *)&loads;
}

void vm_restored(struct vm *v, bool paused)
{
	(void)v, (void)paused;
	restored = true;
}

/* ---- files ---- */

static bool never(void *arg, u64 done, u64 total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

/* Controller 3 cannot be offered. */
struct kvmb_storage *disks_controller(struct vm *v, u32 c)
{
	if (!v->scsi[c] && c != 3)
		v->scsi[c] = (void *)&loads;
	return v->scsi[c];
}

/* @sections: tag and instance each, up to 0 0, which is the end. */
static int save(const u32 (*sections)[2])
{
	const struct state_file_progress p = { never, NULL };
	const struct state_file_wish wish = { .threads = 1 };
	char why[STATE_FILE_WHY];
	struct kvmb_tlv_out o = { 0 };
	int fd = memfd_create("state", 0);
	u32 i;

	for (i = 0; sections[i][0]; i++) {
		kvmb_tlv_begin(&o, (enum kvmb_section)sections[i][0], sections[i][1], 0);
		kvmb_tlv_end(&o);
	}
	assert_int_equal(state_file_write(fd, &vm.machine.gm, o.buf, o.len, &wish, &p, why), 0);
	assert_int_equal(state_file_complete(fd), 0);
	kvmb_tlv_out_fini(&o);
	return fd;
}

static int load(int fd)
{
	static struct state_file f;
	char why[STATE_FILE_WHY];

	loads = 0;
	restored = false;
	assert_int_equal(state_file_open(&f, fd, why), 0);
	vm.cfg.state = &f;
	return restore_loader.load(&vm);
}

static int restore(const u32 (*sections)[2])
{
	int err = load(save(sections));

	return err ? err : restore_loader.commit(&vm);
}

#define WHOLE                                                                                     \
	{ KVMB_SEC_VM, 0 }, { KVMB_SEC_MACHINE, 0 }, { KVMB_SEC_VCPU, 0 },                        \
		{ KVMB_SEC_VCPU, 1 }, { KVMB_SEC_STORAGE, 0 }, { KVMB_SEC_NET, 0 },               \
		{ KVMB_SEC_BUS, 0 }, { KVMB_SEC_IC, 1 }, { KVMB_SEC_IC, 2 }, { KVMB_SEC_IC, 3 },  \
		{ KVMB_SEC_END, 0 }, { 0, 0 }

static const u32 whole[][2] = { WHOLE };

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	kvmb_log_set_level(KVMB_LOG_ERR);
	vm.cfg.name = "t";
	vm.scsi[0] = (void *)&loads;
	vm.machine.gm.memfd = memfd_create("ram", 0);
	assert_int_equal(ftruncate(vm.machine.gm.memfd, RAM), 0);
	vm.machine.gm.num_regions = 1;
	vm.machine.gm.regions[0] = (struct kvmb_gm_region){
		.size = RAM,
		.hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, vm.machine.gm.memfd, 0)
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	munmap(vm.machine.gm.regions[0].hva, RAM);
	close(vm.machine.gm.memfd);
	return 0;
}

static void what_is_saved_is_loaded(void **state)
{
	(void)state;
	assert_int_equal(restore(whole), 0);
	assert_int_equal(loads, ARRAY_SIZE(whole) - 2);
	assert_true(restored);
}

/* A second bus, or a controller behind the bus, would be an assertion of theirs. */
static void a_section_that_is_there_twice_is_refused(void **state)
{
	u32 i, j, n = ARRAY_SIZE(whole);
	u32 more[ARRAY_SIZE(whole) + 1][2];

	(void)state;
	for (i = 0; i + 1 < n; i++) {
		for (j = i + 1; j < n; j++) { /* once more, before the one at @j */
			memcpy(more, whole, j * sizeof(more[0]));
			memcpy(more[j], whole[i], sizeof(more[0]));
			memcpy(more[j + 1], whole[j], (n - j) * sizeof(more[0]));
			assert_int_equal(restore((const u32(*)[2])more), -EPROTO);
			assert_false(restored);
		}
	}
}

static void each_section_is_needed(void **state)
{
	u32 less[ARRAY_SIZE(whole)][2], i, n = ARRAY_SIZE(whole);

	(void)state;
	for (i = 0; i + 1 < n; i++) {
		if (whole[i][0] == KVMB_SEC_VCPU)
			continue; /* machine_load_done() counts them */
		memcpy(less, whole, sizeof(less));
		memmove(less[i], less[i + 1], (n - i - 1) * sizeof(less[0]));
		assert_int_equal(restore((const u32(*)[2])less), -EPROTO);
		assert_false(restored);
	}
}

/* Its disks were removed, and no option says that it is there. */
static void a_controller_without_disks_comes_back(void **state)
{
	static const u32 more[][2] = { { KVMB_SEC_VM, 0 },
				       { KVMB_SEC_MACHINE, 0 },
				       { KVMB_SEC_VCPU, 0 },
				       { KVMB_SEC_VCPU, 1 },
				       { KVMB_SEC_STORAGE, 0 },
				       { KVMB_SEC_STORAGE, 2 },
				       { KVMB_SEC_NET, 0 },
				       { KVMB_SEC_BUS, 0 },
				       { KVMB_SEC_IC, 1 },
				       { KVMB_SEC_IC, 2 },
				       { KVMB_SEC_IC, 3 },
				       { KVMB_SEC_END, 0 },
				       { 0, 0 } };
	u32 wrong[ARRAY_SIZE(more)][2];

	(void)state;
	assert_int_equal(restore(more), 0);
	assert_non_null(vm.scsi[2]);
	assert_int_equal(loads, ARRAY_SIZE(more) - 2);
	memcpy(wrong, more, sizeof(more));
	wrong[5][1] = 3;
	vm.scsi[2] = NULL;
	assert_int_equal(restore((const u32(*)[2])wrong), -EPROTO);
	wrong[5][1] = KVMB_STORAGE_MAX_CONTROLLERS;
	assert_int_equal(restore((const u32(*)[2])wrong), -EPROTO);
}

static void one_that_cannot_start_leaves_its_file(void **state)
{
	int fd = save(whole), copy = dup(fd);

	(void)state;
	assert_int_equal(load(fd), 0);
	restore_loader.abort(&vm, "no vCPUs");
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(load(copy), 0);
	assert_int_equal(restore_loader.commit(&vm), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_saved_is_loaded),
		T(one_that_cannot_start_leaves_its_file),
		T(a_section_that_is_there_twice_is_refused),
		T(each_section_is_needed),
		T(a_controller_without_disks_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
