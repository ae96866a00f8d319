// SPDX-License-Identifier: GPL-2.0-only
/* What users say of booting, and what firmware is told. */
#include "vmm/boot_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"

#define DRIVE(channel, place) "/pci@i0cf8/ide@1,1/drive@" channel "/disk@" place "\n"
#define NIC "/pci@i0cf8/ethernet@3\n/pci@i0cf8/ethernet@6\n"

static struct vm_config cfg;

/*
 * Two disks, of which the second is on drive 3; a CD on drive 2; a disk on SCSI. Legacy NICs 3 and
 * 0, and others.
 */
static int setup(void **state)
{
	(void)state;
	cfg = (struct vm_config){ .num_disks = 4 };
	cfg.disks[0].controller = KVMB_STORAGE_IDE + 3;
	cfg.disks[1].controller = KVMB_STORAGE_IDE;
	cfg.disks[2].controller = KVMB_STORAGE_IDE + 2;
	cfg.disks[2].spec.dvd = true;
	cfg.disks[3].controller = 0;
	cfg.nics[0] = (struct nic_config){ .index = 3, .model = NIC_LEGACY };
	cfg.nics[1] = (struct nic_config){ .index = 4, .model = NIC_SYNTHETIC };
	cfg.nics[2] = (struct nic_config){ .index = 0, .model = NIC_AUTO };
	cfg.nics[3] = (struct nic_config){ .index = 1, .model = NIC_SYNTHETIC };
	cfg.num_nics = 4;
	return 0;
}

static void what_firmware_is_told(void **state)
{
	static const struct {
		const char *said, *told;
		bool menu;
	} rows[] = {
		{ NULL, DRIVE("0", "0") DRIVE("1", "1") DRIVE("1", "0") NIC, false },
		{ "cdrom", DRIVE("1", "0") DRIVE("0", "0") DRIVE("1", "1") NIC, false },
		{ "net,disk", NIC DRIVE("0", "0") DRIVE("1", "1") DRIVE("1", "0"), false },
		{ "menu", DRIVE("0", "0") DRIVE("1", "1") DRIVE("1", "0") NIC, true },
		{ "net,menu,cdrom", NIC DRIVE("1", "0") DRIVE("0", "0") DRIVE("1", "1"), true },
	};
	char said[40], *told;
	const char *word;
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(NULL);
		if (rows[i].said) {
			strcpy(said, rows[i].said);
			assert_int_equal(boot_order_parse(said, &cfg.boot, &word), 0);
		}
		told = boot_order_list(&cfg);
		assert_string_equal(told, rows[i].told);
		assert_int_equal(cfg.boot.menu, rows[i].menu);
		free(told);
	}
}

static void what_is_no_order(void **state)
{
	static const char *const rows[][2] = {
		{ "floppy", "floppy" }, { "disk,disk", "disk" }, { "", "" },
		{ "disk,", "" },	{ "menu,menu", "menu" }, { "Disk", "Disk" },
		{ "cdrom,net,x", "x" }
	};
	struct boot_order o = { .num = 77 };
	const char *word;
	char said[40];
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(said, rows[i][0]);
		assert_int_equal(boot_order_parse(said, &o, &word), -EINVAL);
		assert_string_equal(word, rows[i][1]);
		assert_int_equal(o.num, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup(what_firmware_is_told, setup),
					    cmocka_unit_test(what_is_no_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
