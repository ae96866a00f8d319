// SPDX-License-Identifier: GPL-2.0-only
/* The options that a saved VM is made from follow its disks and NICs. */
#include "vmm/note.h"

#include <string.h>

#include "tests/unit/test.h"

static const u8 mac[6] = { 0, 0x15, 0x5d, 1, 2, 3 };
static struct vm_state_config c;

/* As the launcher leaves it. */
static int setup(void **state)
{
	static const char *const args[] = { "--name=web",
					    "--no-reboot",
					    "--disk=/a,,b,ro",
					    "--append=--disk=x,lun=9",
					    "--dvd=/cd.iso",
					    "--nic=user,forward=2222:22",
					    "--nic=tap=t0,mac=02:00:00:00:00:07" };
	static const u8 typed[6] = { 2, 0, 0, 0, 0, 7 };
	static struct vm_config cfg = { .dir = "/there",
					.args = args,
					.num_args = ARRAY_SIZE(args),
					.num_disks = 2,
					.num_nics = 2 };

	(void)state;
	cfg.disks[0] = (struct disk_config){ .controller = 0, .lun = 0 };
	cfg.disks[1] = (struct disk_config){ .controller = 0, .lun = 1 };
	cfg.nics[0] = (struct nic_config){ .index = 0 };
	cfg.nics[1] = (struct nic_config){ .index = 1 };
	memcpy(cfg.nics[0].mac, mac, 6);
	memcpy(cfg.nics[1].mac, typed, 6);
	note_create(&cfg, &c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vm_state_free_config(&c);
	return 0;
}

static int num(const char *word)
{
	int i, n = 0;

	for (i = 0; i < c.num_args; i++)
		n += !strcmp(c.args[i], word);
	assert_null(c.args[c.num_args]);
	return n;
}

static void has(const char *word)
{
	if (num(word) != 1)
		fail_msg("\"%s\" is there %d times", word, num(word));
}

static void places_and_addresses_are_said(void **state)
{
	(void)state;
	assert_int_equal(c.num_args, 8);
	assert_string_equal(c.args[0], "run");
	assert_string_equal(c.dir, "/there");
	has("--name=web");
	has("--no-reboot");
	has("--disk=/a,,b,ro,controller=0,lun=0");
	has("--append=--disk=x,lun=9"); /* not a disk */
	has("--dvd=/cd.iso,controller=0,lun=1");
	has("--nic=user,forward=2222:22,mac=00:15:5d:01:02:03,index=0");
	has("--nic=tap=t0,mac=02:00:00:00:00:07,index=1");
	assert_string_equal(note_name(&c), "web");
	assert_true(note_has_passt(&c));
}

/* Of a machine with firmware: who restores it must make the same PCI devices. */
static void models_are_said(void **state)
{
	static const char *const args[] = { "--name=web", "--nic=none", "--nic=none,model=auto",
					    "--nic=none,model=legacy" };
	struct vm_config cfg = { .dir = "/there",
				 .args = args,
				 .num_args = ARRAY_SIZE(args),
				 .num_nics = 3,
				 .machine.gen1 = true };

	(void)state;
	cfg.nics[0] = (struct nic_config){ .index = 0, .model = NIC_AUTO };
	cfg.nics[1] = (struct nic_config){ .index = 5, .model = NIC_SYNTHETIC };
	cfg.nics[2] = (struct nic_config){ .index = 1, .model = NIC_LEGACY };
	vm_state_free_config(&c);
	note_create(&cfg, &c);
	has("--nic=none,mac=00:00:00:00:00:00,index=0,model=auto");
	has("--nic=none,mac=00:00:00:00:00:00,index=5,model=synthetic");
	has("--nic=none,mac=00:00:00:00:00:00,index=1,model=legacy");
	/* what is added while it runs */
	assert_int_equal(note_add_nic(&c, "none,model=auto", 6, mac), 0);
	has("--nic=none,mac=00:15:5d:01:02:03,index=6,model=synthetic");
	assert_int_equal(note_add_nic(&c, "none", 7, mac), 0);
	has("--nic=none,mac=00:15:5d:01:02:03,index=7");
}

static void a_disk_comes_and_goes(void **state)
{
	(void)state;
	assert_int_equal(note_add_disk(&c, "/c.qcow2,controller=1", false, 1, 5), 0);
	has("--disk=/c.qcow2,controller=1,lun=5");
	assert_int_equal(note_remove_disk(&c, 0, 0), 0);
	assert_int_equal(num("--disk=/a,,b,ro,controller=0,lun=0"), 0);
	assert_int_equal(note_remove_disk(&c, 0, 0), -ENOENT);
	assert_int_equal(note_add_disk(&c, "/d", true, 0, 0), 0); /* its place is free */
	has("--dvd=/d,controller=0,lun=0");
	assert_int_equal(c.num_args, 9);
}

/* What the VM's process says is a number, and must be one that the user may mean. */
static void a_place_that_cannot_be_is_refused(void **state)
{
	(void)state;
	assert_int_equal(note_add_disk(&c, "/c", false, 0, 1), -EEXIST);
	assert_int_equal(note_add_disk(&c, "/c,lun=4", false, 0, 5), -EEXIST);
	assert_int_equal(note_add_disk(&c, "/c,controller=1", false, 0, 5), -EEXIST);
	assert_int_equal(note_add_disk(&c, "/c", false, 1, 5), -EEXIST); /* not asked for */
	assert_int_equal(note_add_nic(&c, "none", 1, mac), -EEXIST);
	assert_int_equal(note_add_nic(&c, "none,index=3", 2, mac), -EEXIST);
	assert_int_equal(c.num_args, 8);
}

static void a_medium_changes_in_a_drive_only(void **state)
{
	(void)state;
	assert_int_equal(note_set_medium(&c, 0, 1, NULL), 0);
	has("--dvd=empty,controller=0,lun=1");
	assert_int_equal(note_set_medium(&c, 0, 1, "/other.iso,timeout=3"), 0);
	has("--dvd=/other.iso,timeout=3,controller=0,lun=1");
	assert_int_equal(note_set_medium(&c, 0, 0, "/other.iso"),
			 -ENOENT); /* it would be written to */
	assert_int_equal(note_set_medium(&c, 2, 0, "/other.iso"), -ENOENT);
}

static void limits_are_said_once(void **state)
{
	(void)state;
	assert_int_equal(note_limit_disk(&c, 0, 0, 100, -1), 0);
	assert_int_equal(note_limit_disk(&c, 0, 0, 200, 4096), 0);
	has("--disk=/a,,b,ro,controller=0,lun=0,iops=200,bps=4096");
	assert_int_equal(note_limit_disk(&c, 0, 0, -1, 0), 0);
	has("--disk=/a,,b,ro,controller=0,lun=0,iops=200");
	assert_int_equal(note_limit_disk(&c, 3, 0, 1, 1), -ENOENT);
}

static void a_nic_comes_and_goes(void **state)
{
	(void)state;
	assert_int_equal(note_remove_nic(&c, 0), 0);
	assert_false(note_has_passt(&c));
	has("--nic=tap=t0,mac=02:00:00:00:00:07,index=1"); /* where it was */
	assert_int_equal(note_add_nic(&c, "none,mtu=9000", 0, mac), 0);
	has("--nic=none,mtu=9000,mac=00:15:5d:01:02:03,index=0");
	assert_int_equal(note_remove_nic(&c, 4), -ENOENT);
}

#define NOTE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTE(places_and_addresses_are_said),
		NOTE(models_are_said),
		NOTE(a_disk_comes_and_goes),
		NOTE(a_place_that_cannot_be_is_refused),
		NOTE(a_medium_changes_in_a_drive_only),
		NOTE(limits_are_said_once),
		NOTE(a_nic_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
