// SPDX-License-Identifier: GPL-2.0-only
/*
 * Values of the command line: sizes, words and what may have been meant, disks and NICs with
 * commas.
 */
#include "tests/unit/test.h"

#include <string.h>
#include <unistd.h>

#include "lib/util.h"
#include "vmm/opt.h"

static char why[300];

CASE(size_takes_units_and_refuses_the_rest)
{
	static const struct { const char *s; u64 v; bool ok;
	} rows[] = {
		{ "0", 0, true },
		{ "1", 1, true },
		{ "4k", 4096, true },
		{ "2MiB", 2u << 20, true },
		{ "16GB", 16ull << 30, true },
		{ "1T", 1ull << 40, true },
		{ "", 0, false },
		{ "-1", 0, false },
		{ "1.5G", 0, false },
		{ "0x10", 0, false },
		{ "1Q", 0, false },
		{ "16777216T", 0, false },
		{ "99999999999999999999", 0, false },
	};
	size_t i;
	u64 v;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		v = 0;
		CHECK_ROW(opt_size(rows[i].s, &v, NULL), rows[i].ok, i);
		CHECK_ROW(v, rows[i].v, i);
	}
}

CASE(mac_is_neither_zero_nor_a_group)
{
	u8 mac[6];

	CHECK(opt_mac("00:15:5d:01:02:ff", mac) && mac[5] == 0xff);
	CHECK(!opt_mac("00:00:00:00:00:00", mac));
	CHECK(!opt_mac("01:00:5e:00:00:01", mac));
	CHECK(!opt_mac("00:15:5d:01:02", mac));
	CHECK(!opt_mac("00:15:5d:01:02:0g", mac));
}

CASE(uuid_is_as_it_is_written_and_not_zero)
{
	static const u8 want[] = { 0xd7, 0xe7, 0x92, 0xa2, 0xca, 0x61, 0x4e, 0xbb,
				   0x85, 0x02, 0xdc, 0x1f, 0xa5, 0xfd, 0x3b, 0xae };
	u8 uuid[16];

	CHECK(opt_uuid("d7e792a2-ca61-4ebb-8502-DC1FA5FD3BAE", uuid));
	CHECK_MEM(uuid, want, 16);
	CHECK(!opt_uuid("00000000-0000-0000-0000-000000000000", uuid));
	CHECK(!opt_uuid("d7e792a2-ca61-4ebb-8502-dc1fa5fd3ba", uuid));
	CHECK(!opt_uuid("d7e792a2-ca61-4ebb-8502-dc1fa5fd3bae0", uuid));
	CHECK(!opt_uuid("d7e792a2xca61-4ebb-8502-dc1fa5fd3bae", uuid));
	CHECK(!opt_uuid("d7e792a2-ca61-4ebb-8502-dc1fa5fd3b-e", uuid));
}

CASE(similar_finds_slips_and_other_programs_words)
{
	CHECK_EQ(opt_distance("stop", "stop"), 0);
	CHECK_EQ(opt_distance("rnu", "run"), 1);
	CHECK_EQ(opt_distance("", "abc"), 3);
	CHECK_EQ(opt_distance("Stat", "stats"), 1);
	assert_string_equal(opt_similar(opt_disk_options, "readonly")->name, "ro");
	assert_string_equal(opt_similar(opt_disk_options, "cahce")->name, "cache");
	assert_string_equal(opt_similar(opt_disk_options, "cont")->name, "controller");
	CHECK(!opt_similar(opt_disk_options, "frobnicate"));
	CHECK(!opt_similar(opt_disk_options, ""));
}

CASE(disk_takes_commas_in_names_and_words_in_any_case)
{
	char s[] = "/a,,b.img,ro,format=VHDX,lun=3,backing=/p,,q,cache=None,iops=2k";
	struct disk_config dc;

	CHECK_EQ(opt_disk(s, false, &dc, why, sizeof(why)), 0);
	assert_string_equal(dc.spec.path, "/a,b.img");
	assert_string_equal(dc.spec.format, "vhdx");
	assert_string_equal(dc.spec.backing[0], "/p,q");
	CHECK(dc.spec.read_only && dc.lun == 3 && dc.controller == -1 && dc.spec.iops == 2048);
	CHECK_EQ(dc.spec.cache, KVMB_CACHE_NONE);
}

CASE(disk_refusals_say_what_would_be_right)
{
	static const struct { const char *spec, *says;
	} rows[] = {
		{ "", "no file named" },
		{ "a,b", "a comma in a file's name is written ,," },
		{ "a,lun=64", "must be 0 to 63" },
		{ "a,ro=on", "write only ro" },
		{ "a,lun", "write lun=N" },
		{ "a,cache=", "must be writeback" },
		{ "file=a", "without file=" },
		{ "ftp://a", "nbd:// URI" },
	};
	struct disk_config dc;
	char s[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(s, rows[i].spec);
		CHECK_ROW(opt_disk(s, false, &dc, why, sizeof(why)), -EINVAL, i);
		if (!strstr(why, rows[i].says))
			fail_msg("row %zu: %s", i, why);
	}
}

CASE(disk_absolute_is_the_same_disk_in_another_directory)
{
	char dir[] = "/tmp/a,bXXXXXX", want[200], escaped[40], *s;

	CHECK(mkdtemp(dir) && !chdir(dir));
	snprintf(escaped, sizeof(escaped), "/tmp/a,,b%s", dir + strlen("/tmp/a,b"));
	snprintf(want, sizeof(want), "%s/c,,d,ro,backing=%s/e,backing=/f,serial=g", escaped,
		 escaped);
	s = opt_disk_absolute("c,,d,ro,backing=e,backing=/f,serial=g", false);
	assert_string_equal(s, want);
	free(s);
	s = opt_disk_absolute("empty,lun=1", true);
	assert_string_equal(s, "empty,lun=1");
	free(s);
	s = opt_disk_absolute("empty,lun=1", false); /* a file of that name */
	snprintf(want, sizeof(want), "%s/empty,lun=1", escaped);
	assert_string_equal(s, want);
	free(s);
	s = opt_disk_absolute("./nbd://x", false);
	snprintf(want, sizeof(want), "%s/./nbd://x", escaped);
	assert_string_equal(s, want);
	free(s);
	s = opt_disk_absolute("nbd+unix:///x?socket=y,ro", false);
	assert_string_equal(s, "nbd+unix:///x?socket=y,ro");
	free(s);
	CHECK(!chdir("/") && !rmdir(dir));
}

CASE(disk_absolute_refuses_what_the_socket_does_not_take)
{
	char *s = malloc(20000);

	memset(s, 'x', 19999);
	s[19999] = 0;
	CHECK(!opt_disk_absolute(s, false));
	free(s);
}

CASE(nic_kinds_and_options)
{
	char user[] = "user,forward=udp:127.0.0.1/53:53,forward=2222:22,mtu=1500,mac-spoof=on";
	char tap[] = "tap=t0,vlan=7", bare[] = "tap", none[] = "none,forward=1:1",
	     far[] = "user,forward=22";
	char model[] = "none,model=legacy", no_model[] = "none,model=e1000";
	struct nic_config nc;

	CHECK_EQ(opt_nic(user, &nc, why, sizeof(why)), 0);
	CHECK(nc.kind == NIC_USER && nc.num_forwards == 2 && nc.mtu == 1500 && nc.mac_spoof);
	CHECK_EQ(opt_nic(tap, &nc, why, sizeof(why)), 0);
	CHECK(nc.kind == NIC_TAP && !strcmp(nc.ifname, "t0") && nc.vlan == 7);
	CHECK_EQ(opt_nic(model, &nc, why, sizeof(why)), 0);
	CHECK_EQ(nc.model, NIC_LEGACY);
	CHECK_EQ(opt_nic(no_model, &nc, why, sizeof(why)), -EINVAL);
	CHECK_EQ(opt_nic(bare, &nc, why, sizeof(why)), -EINVAL);
	CHECK_EQ(opt_nic(none, &nc, why, sizeof(why)), -EINVAL);
	CHECK_EQ(opt_nic(far, &nc, why, sizeof(why)), -EINVAL);
}

CASE(memory_is_mebibytes_or_has_a_unit)
{
	static const struct { const char *s; u64 v;
	} rows[] = {
		{ "512", 512ull << 20 },
		{ "4G", 4ull << 30 },
		{ "512M,huge=on", 512ull << 20 },
		{ "", 0 },
		{ "1", 0 },
		{ "1.5G", 0 },
		{ "16T", 0 },
		{ "17000K", 0 },
		{ "1G,huge=yes", 0 },
	};
	struct vm_config c;
	char s[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(s, rows[i].s);
		CHECK_ROW(opt_memory(s, &c, why, sizeof(why)), rows[i].v ? 0 : -EINVAL, i);
		if (rows[i].v)
			CHECK_ROW(c.machine.memory, rows[i].v, i);
	}
}

CASE(memory_has_bounds)
{
	static const struct {
		const char *s;
		u64 min, max; /* MiB; 0 = refused */
	} rows[] = {
		{ "2G,min=512M,max=8G", 512, 8192 },
		{ "2G,max=4096", 2048, 4096 },
		{ "2G,min=1G,huge=off", 1024, 2048 },
		{ "2G,min=2G,max=2G", 2048, 2048 },
		{ "2G,min=3G", 0, 0 },
		{ "2G,max=1G", 0, 0 },
		{ "2G,min=8M", 0, 0 },
		{ "2G,max=16T", 0, 0 },
		{ "2G,min=", 0, 0 },
		{ "2G,min", 0, 0 },
		{ "2G,max=1.5G", 0, 0 },
		{ "2G,max=2049K", 0, 0 },
	};
	struct vm_config c = { 0 };
	char s[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		strcpy(s, rows[i].s);
		CHECK_ROW(opt_memory(s, &c, why, sizeof(why)), rows[i].max ? 0 : -EINVAL, i);
		if (!rows[i].max)
			continue;
		CHECK_ROW(c.machine.memory, 2ull << 30, i);
		CHECK_ROW(c.machine.memory_min >> 20, rows[i].min, i);
		CHECK_ROW(c.machine.memory_max >> 20, rows[i].max, i);
	}
	strcpy(s, "1G"); /* typed again: nothing is left of the last one */
	CHECK_EQ(opt_memory(s, &c, why, sizeof(why)), 0);
	CHECK(!c.machine.memory_min && !c.machine.memory_max);
}

CASE(firmware_has_a_name_and_a_file)
{
	static const struct {
		const char *s, *firmware, *vars;
	} rows[] = {
		{ "uefi", "uefi", NULL },
		{ "uefi,vars=/a/b.fd", "uefi", "/a/b.fd" },
		{ "/x,,y/CODE.fd,vars=v,,w", "/x,y/CODE.fd", "v,w" },
		{ "", NULL, NULL },
		{ ",vars=x", NULL, NULL },
		{ "uefi,vars", NULL, NULL },
		{ "uefi,vars=", NULL, NULL },
		{ "uefi,var=x", NULL, NULL },
	};
	struct vm_config c;
	char s[40];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		c = (struct vm_config){ 0 };
		strcpy(s, rows[i].s);
		CHECK_ROW(opt_firmware(s, &c, why, sizeof(why)), rows[i].firmware ? 0 : -EINVAL, i);
		if (!rows[i].firmware)
			continue;
		CHECK_ROW(strcmp(c.machine.firmware, rows[i].firmware), 0, i);
		CHECK_ROW(rows[i].vars ? strcmp(c.vars, rows[i].vars) : c.vars != NULL, 0, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_takes_units_and_refuses_the_rest),
		cmocka_unit_test(mac_is_neither_zero_nor_a_group),
		cmocka_unit_test(uuid_is_as_it_is_written_and_not_zero),
		cmocka_unit_test(similar_finds_slips_and_other_programs_words),
		cmocka_unit_test(disk_takes_commas_in_names_and_words_in_any_case),
		cmocka_unit_test(disk_refusals_say_what_would_be_right),
		cmocka_unit_test(disk_absolute_is_the_same_disk_in_another_directory),
		cmocka_unit_test(disk_absolute_refuses_what_the_socket_does_not_take),
		cmocka_unit_test(nic_kinds_and_options),
		cmocka_unit_test(memory_is_mebibytes_or_has_a_unit),
		cmocka_unit_test(memory_has_bounds),
		cmocka_unit_test(firmware_has_a_name_and_a_file),
	};

	return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
