// SPDX-License-Identifier: GPL-2.0-only
/* Disks and NICs without a place of their own get one, and keep it when others go. */
#include "vmm/places.h"

#include <string.h>

#include "tests/unit/test.h"

static struct vm_config cfg;
static struct vm_names names;

static int setup(void **state)
{
	(void)state;
	memset(&names, 0, sizeof(names));
	cfg = (struct vm_config){ .name = "web" };
	return 0;
}

static void add_disk(int controller, int lun)
{
	cfg.disks[cfg.num_disks++] = (struct disk_config){ .controller = controller, .lun = lun };
}

static void is_at(u32 i, int controller, int lun)
{
	assert_int_equal(cfg.disks[i].controller, controller);
	assert_int_equal(cfg.disks[i].lun, lun);
}

static void disks_get_the_first_free_lun(void **state)
{
	(void)state;
	add_disk(-1, -1);
	add_disk(-1, 2);
	add_disk(1, -1);
	add_disk(-1, -1);
	add_disk(0, -1);
	places_settle(&cfg, &names);
	is_at(0, 0, 0);
	is_at(1, 0, 2);
	is_at(2, 1, 0);
	is_at(3, 0, 1);
	is_at(4, 0, 3);
}

static void one_disk_too_many_gets_no_lun(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i <= KVMB_STORAGE_MAX_LUNS; i++)
		add_disk(-1, -1);
	places_settle(&cfg, &names);
	is_at(KVMB_STORAGE_MAX_LUNS - 1, 0, (int)KVMB_STORAGE_MAX_LUNS - 1);
	is_at(KVMB_STORAGE_MAX_LUNS, 0, -1);
}

static void nics_get_index_and_address(void **state)
{
	static const u8 typed[6] = { 2, 0, 0, 0, 0, 9 }, its_own[6] = { 2, 0, 0, 0, 0, 5 };
	u8 first[6];

	(void)state;
	cfg.nics[0] = (struct nic_config){ .kind = NIC_TAP, .index = 1 };
	cfg.nics[1] = (struct nic_config){ .kind = NIC_USER, .index = -1 };
	cfg.nics[2] = (struct nic_config){ .kind = NIC_MACVTAP, .index = -1 };
	cfg.nics[3] = (struct nic_config){ .kind = NIC_NONE, .index = -1, .has_mac = true };
	memcpy(cfg.nics[3].mac, typed, 6);
	cfg.num_nics = 4;
	names.nics[2] = (struct kvmb_net_files){ .has_mac = true };
	memcpy(names.nics[2].mac, its_own, 6);
	places_settle(&cfg, &names);
	assert_int_equal(cfg.nics[0].index, 1);
	assert_int_equal(cfg.nics[1].index, 0);
	assert_int_equal(cfg.nics[2].index, 2);
	assert_int_equal(cfg.nics[3].index, 3);
	assert_true(cfg.nics[0].has_mac && cfg.nics[1].has_mac && cfg.nics[2].has_mac);
	assert_memory_equal(cfg.nics[0].mac, "\x00\x15\x5d", 3);
	assert_memory_not_equal(cfg.nics[0].mac, cfg.nics[1].mac, 6);
	assert_memory_equal(cfg.nics[2].mac, its_own, 6);
	assert_memory_equal(cfg.nics[3].mac, typed, 6);
	memcpy(first, cfg.nics[0].mac, 6);
	places_settle(&cfg, &names); /* again: nothing moves */
	assert_int_equal(cfg.nics[1].index, 0);
	assert_memory_equal(cfg.nics[0].mac, first, 6);
}

static void nics_get_a_model(void **state)
{
	static const struct {
		bool gen1;
		int from_elsewhere, index;
		enum nic_model asked, is;
	} rows[] = {
		{ true, 0, 0, NIC_UNSAID, NIC_AUTO },
		{ true, 0, 3, NIC_AUTO, NIC_AUTO },
		{ true, 0, 4, NIC_UNSAID, NIC_SYNTHETIC },
		{ true, 0, 1, NIC_LEGACY, NIC_LEGACY },
		{ true, 9, 0, NIC_UNSAID, NIC_SYNTHETIC },
		{ true, 9, 0, NIC_AUTO, NIC_AUTO },
		{ false, 0, 0, NIC_UNSAID, NIC_SYNTHETIC },
		{ false, 0, 0, NIC_AUTO, NIC_SYNTHETIC },
		{ true, 0, 0, NIC_SYNTHETIC, NIC_SYNTHETIC },
	};
	u32 i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(NULL);
		cfg.machine.gen1 = rows[i].gen1;
		cfg.incoming = rows[i].from_elsewhere;
		cfg.nics[0] = (struct nic_config){ .kind = NIC_NONE,
						   .index = rows[i].index,
						   .model = rows[i].asked };
		cfg.num_nics = 1;
		places_settle(&cfg, &names);
		assert_int_equal(cfg.nics[0].model, rows[i].is);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(disks_get_the_first_free_lun, setup),
		cmocka_unit_test_setup(one_disk_too_many_gets_no_lun, setup),
		cmocka_unit_test_setup(nics_get_index_and_address, setup),
		cmocka_unit_test_setup(nics_get_a_model, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
