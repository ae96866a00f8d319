// SPDX-License-Identifier: GPL-2.0-only
/* A .vmcx as its describers say that one is (tests/harness/vmcx.h), and damaged ones. */
#include "manage/vmcx_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manage/hyperv_config.h"
#include "manage/import.h"
#include "tests/harness/vmcx.h"
#include "tests/unit/test.h"

static struct vmcx_maker m;
static struct tree t;
static char why[200];

static int setup(void **state)
{
	u32 top, p, s, n, d;

	(void)state;
	vmcx_begin(&m);
	top = vmcx_node(&m, 0, "configuration");
	p = vmcx_node(&m, top, "properties");
	vmcx_text(&m, p, "name", "new one");
	vmcx_text(&m, p, "global_id", "AAAAAAAA-7C4A-4070-BA32-773D43B28A68");
	vmcx_number(&m, p, "subtype", 1);
	s = vmcx_node(&m, top, "settings");
	n = vmcx_node(&m, s, "processors");
	vmcx_number(&m, n, "count", 8);
	n = vmcx_node(&m, vmcx_node(&m, s, "memory"), "bank");
	vmcx_number(&m, n, "size", 2048);
	vmcx_bool(&m, n, "dynamic_memory_enabled", false);
	n = vmcx_node(&m, top, "_d422512d-0000-0000-0000-000000000001_");
	d = vmcx_node(&m, vmcx_node(&m, n, "controller0"), "drive0");
	vmcx_text(&m, d, "type", "VHD");
	vmcx_text_elsewhere(&m, d, "pathname", "C:\\vm\\system.vhdx");
	n = vmcx_node(&m, vmcx_node(&m, top, "manifest"), "vdev001");
	vmcx_text(&m, n, "device", "d422512d-2bf2-4752-809d-7b82b5fcb1b4");
	vmcx_text(&m, n, "instance", "D422512D-0000-0000-0000-000000000001");
	vmcx_end(&m);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&t);
	return 0;
}

static int read_it(size_t len)
{
	tree_free(&t);
	why[0] = 0;
	return vmcx_tree_read(m.data, len, &t, why, sizeof(why));
}

CASE(settings_are_those_that_were_written)
{
	struct import_vm *vm = calloc(1, sizeof(*vm));

	CHECK_EQ(read_it(m.len), 0);
	CHECK_EQ(hyperv_config_take(&t, vm, why, sizeof(why)), 0);
	assert_string_equal(vm->name, "new one");
	CHECK_EQ(vm->generation, 2);
	CHECK_EQ(vm->cpus, 8);
	CHECK_EQ(vm->memory_mib, 2048);
	CHECK_EQ(vm->num_disks, 1);
	assert_string_equal(vm->disks[0].source, "C:\\vm\\system.vhdx");
	CHECK_EQ(vm->disks[0].controller, 0);
	import_free(vm);
	free(vm);
}

CASE(what_nobody_has_described_is_refused)
{
	m.data[0x1000 + 10] ^= 1; /* the younger header's version */
	CHECK_EQ(read_it(m.len), -EINVAL);
	assert_string_equal(why, "it is of a version that nobody has described");
	m.data[0x1000 + 10] ^= 1;
	m.data[VMCX_LOG_AT + 8] = 1;
	CHECK_EQ(read_it(m.len), -EINVAL);
	assert_string_equal(why, "it was not closed: its log has changes");
	m.data[VMCX_LOG_AT + 8] = 0;
	CHECK_EQ(read_it(m.len), 0);
	CHECK_EQ(read_it(0), -EINVAL);
	assert_string_equal(why, "it is no .vmcx");
}

CASE(circles_of_parents_are_left_out)
{
	/* "configuration" becomes its own child, and all with it */
	u32 at = VMCX_KEYS_AT + 10;

	m.data[at + 6] = 1;
	m.data[at + 8] = 10;
	CHECK_EQ(read_it(m.len), -EINVAL);
	assert_string_equal(why, "it has no configuration");
}

CASE(damaged_files_are_refused_or_read)
{
	static u8 good[VMCX_MOST];
	size_t i, bit;

	memcpy(good, m.data, sizeof(good));
	for (i = 0; i < m.len; i++)
		read_it(i);
	for (i = 0; i < m.len; i++) {
		for (bit = 0; bit < 8; bit += 7) {
			m.data[i] ^= (u8)(1u << bit);
			read_it(m.len);
			m.data[i] = good[i];
		}
		m.data[i] = 0xff;
		read_it(m.len);
		m.data[i] = good[i];
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(settings_are_those_that_were_written),
		T(what_nobody_has_described_is_refused),
		T(circles_of_parents_are_left_out),
		T(damaged_files_are_refused_or_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
