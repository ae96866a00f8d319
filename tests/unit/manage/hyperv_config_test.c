// SPDX-License-Identifier: GPL-2.0-only
/* Settings of Hyper-V's VMs: those of tests/data/import, and what no host would write. */
#include "manage/hyperv_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/hyperv_export.h"
#include "manage/import.h"
#include "manage/tree.h"
#include "manage/xml_tree.h"
#include "tests/harness/import_sample.h"
#include "tests/unit/test.h"
#include "vmm/config.h"

static void take_sample(const char *name)
{
	size_t len;
	char *text = sample(name, &len);
	int err = hyperv_text_take(name, text, len, vm, why, sizeof(why));

	free(text);
	if (err)
		fail_msg("%s: %s", name, why);
}

static bool lacks(const char *what)
{
	unsigned int i;

	for (i = 0; i < vm->num_lacks; i++) {
		if (strstr(vm->lacks[i], what))
			return true;
	}
	return false;
}

static void check_disk(unsigned int n, const char *source, bool dvd, int controller, int lun)
{
	assert_true(n < vm->num_disks);
	if (source)
		assert_string_equal(vm->disks[n].source, source);
	else
		assert_null(vm->disks[n].source);
	CHECK_EQ(vm->disks[n].dvd, dvd);
	CHECK_EQ(vm->disks[n].controller, controller);
	CHECK_EQ(vm->disks[n].lun, lun);
}

static void check_2008r2(void)
{
	assert_string_equal(vm->name, "Web server");
	assert_string_equal(vm->uuid, "0AA394FA-7C4A-4070-BA32-773D43B28A68");
	CHECK_EQ(vm->generation, 1);
	CHECK_EQ(vm->cpus, 2);
	CHECK_EQ(vm->memory_mib, 1536);
	assert_string_equal(vm->boot, "cdrom,disk,net");
	CHECK(!vm->ic_off[0] && vm->ic_off[1] && !vm->ic_off[2]);
	CHECK_EQ(vm->num_disks, 4);
	check_disk(0, "D:\\VMs\\web\\Virtual Hard Disks\\System.vhd", false, 4, 0);
	check_disk(1, "C:\\ISO\\tools.iso", true, 6, 0);
	check_disk(2, "D:\\VMs\\web\\Virtual Hard Disks\\Data, 1.vhd", false, 7, 0);
	check_disk(3, "E:\\logs.vhd", false, 0, 5);
	CHECK_EQ(vm->num_nics, 1);
	assert_string_equal(vm->nics[0].mac, "00:15:5d:01:07:dc");
	assert_non_null(vm->nics[0].network);
}

CASE(vm_of_2008_r2_keeps_all_that_we_have)
{
	take_sample("2008r2.xml");
	check_2008r2();
}

CASE(what_we_do_not_have_is_said_by_name)
{
	take_sample("2008r2.xml");
	CHECK(lacks("notes: Ask Ann"));
	CHECK(lacks("limit of the processors (50000)"));
	CHECK(!lacks("Mouse"));
	CHECK(lacks("Key-Value Pair"));
	CHECK(lacks("COM1 to \"\\\\.\\pipe\\web\""));
	CHECK(lacks("Num Lock"));
	CHECK(lacks("host starts: the VM starts"));
	CHECK(lacks("host stops: the VM is saved"));
	CHECK_EQ(vm->num_lacks, 7);
}

CASE(utf16_of_either_order_is_read)
{
	size_t len, i;
	char *text = sample("2008r2.xml", &len), *wide = malloc(2 * len + 2);
	int big;

	for (big = 0; big < 2; big++) {
		wide[big] = (char)0xff;
		wide[1 - big] = (char)0xfe;
		for (i = 0; i < len; i++) {
			wide[2 + 2 * i + big] = text[i];
			wide[2 + 2 * i + 1 - big] = 0;
		}
		import_free(vm);
		CHECK_EQ(hyperv_text_take("x.xml", wide, 2 * len + 2, vm, why, sizeof(why)), 0);
		check_2008r2();
	}
	/* half of the text */
	import_free(vm);
	CHECK_EQ(hyperv_text_take("x.xml", wide, len, vm, why, sizeof(why)), -EINVAL);
	free(wide);
	free(text);
}

CASE(vm_of_2012_r2_keeps_its_generation_and_controllers)
{
	take_sample("2012r2.xml");
	assert_string_equal(vm->name, "db");
	CHECK_EQ(vm->generation, 2);
	CHECK_EQ(vm->cpus, 4);
	CHECK_EQ(vm->memory_mib, 4096);
	CHECK_EQ(vm->num_disks, 3);
	check_disk(0, "C:\\ClusterStorage\\Volume1\\db\\db.vhdx", false, 0, 0);
	check_disk(1, NULL, true, 0, 1);
	check_disk(2, "C:\\ClusterStorage\\Volume1\\db\\data.vhdx", false, 0, 2);
	assert_string_equal(vm->nics[0].network, "Virtual External Switch");
	CHECK(lacks("Secure Boot"));
	CHECK(lacks("dynamic memory (512 to 1048576 MiB)"));
	CHECK(lacks("2 checkpoints"));
	CHECK(lacks("Synthetic Fibre Channel Adapter"));
	CHECK(lacks("I/O limits of disk \"data.vhdx\""));
}

CASE(export_of_wmi_instances_is_read)
{
	take_sample("2008r2.exp");
	assert_string_equal(vm->name, "old");
	assert_string_equal(vm->uuid, "1C2BCB5B-37C1-4940-92B0-79BE7292D6B0");
	CHECK_EQ(vm->generation, 1);
	CHECK_EQ(vm->cpus, 4);
	CHECK_EQ(vm->memory_mib, 768);
	assert_string_equal(vm->boot, "disk,cdrom,net");
	CHECK_EQ(vm->num_disks, 3);
	check_disk(0, "C:\\vm\\System.vhd", false, 4, 0);
	check_disk(1, NULL, true, 6, 0);
	check_disk(2, "C:\\vm\\logs.vhd", false, 0, 3);
	CHECK_EQ(vm->num_nics, 2);
	assert_string_equal(vm->nics[0].mac, "00:15:5d:01:07:de");
	assert_string_equal(vm->nics[1].mac, "");
	assert_null(vm->nics[1].network);
	CHECK(!lacks("legacy network adapter") && !lacks("Mouse"));
	CHECK(lacks("Microsoft Serial Port"));
}

/* As the command makes them of NICs: vmm/places.c. */
CASE(first_four_nics_are_legacy_nics_as_well)
{
	unsigned int i;

	static_assert(LEGACY_NICS == 4, "import.c");
	for (i = 0; i < LEGACY_NICS; i++) {
		import_add_nic(vm, NULL);
		import_legacy_nic(vm);
		CHECK_EQ(vm->num_lacks, 0);
	}
	import_add_nic(vm, NULL);
	import_legacy_nic(vm);
	CHECK(lacks("legacy network adapter 5"));
}

/* Every beginning of a file, and every byte of it another one: a VM, or one line. */
CASE(damaged_files_are_refused_or_read)
{
	static const char *const names[] = { "2008r2.xml", "2012r2.xml", "2008r2.exp" };
	size_t len, i, n;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		char *text = sample(names[i], &len);

		for (n = 0; n < len; n += 37) {
			import_free(vm);
			if (!hyperv_text_take(names[i], text, n, vm, why, sizeof(why)))
				fail_msg("%s: %zu bytes of it are a VM", names[i], n);
			assert_true(why[0]);
		}
		for (n = 0; n < len; n += 29) {
			char was = text[n];

			import_free(vm);
			text[n] = "<>&\"\0x"[n % 6];
			hyperv_text_take(names[i], text, len, vm, why, sizeof(why));
			text[n] = was;
		}
		free(text);
	}
}

static int refuse(const char *text)
{
	import_free(vm);
	why[0] = 0;
	return hyperv_text_take("x.xml", text, strlen(text), vm, why, sizeof(why));
}

CASE(entities_end_it_before_they_are_expanded)
{
	static const char bomb[] =
		"<?xml version=\"1.0\"?><!DOCTYPE configuration [<!ENTITY a \"aaaaaaaaa\">"
		"<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">"
		"<!ENTITY d \"&c;&c;&c;&c;&c;&c;\"><!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;\">]>"
		"<configuration><properties><name>&e;</name></properties><settings/>"
		"</configuration>";
	static const char outside[] =
		"<!DOCTYPE x [<!ENTITY p SYSTEM \"file:///etc/passwd\">]>"
		"<configuration><properties><name>&p;</name></properties><settings/>"
		"</configuration>";
	static const char remote[] =
		"<!DOCTYPE x SYSTEM \"http://192.0.2.1/x.dtd\"><configuration/>";

	CHECK_EQ(refuse(bomb), -EINVAL);
	assert_string_equal(why, "it has a document type, which no export has");
	CHECK_EQ(refuse(outside), -EINVAL);
	assert_string_equal(why, "it has a document type, which no export has");
	CHECK_EQ(refuse(remote), -EINVAL);
	assert_string_equal(why, "it has a document type, which no export has");
	assert_null(vm->name);
	/* without one there are none but the five of XML */
	CHECK_EQ(refuse("<configuration><properties><name>&p;</name></properties></configuration>"),
		 -EINVAL);
}

CASE(trees_of_any_size_have_a_limit)
{
	size_t size = 900000, n = 0;
	char *text = malloc(size + 100);

	while (n < size)
		n += (size_t)sprintf(text + n, "<a>");
	CHECK_EQ(refuse(text), -EINVAL);
	assert_string_equal(why, "it is too deep");
	n = (size_t)sprintf(text, "<configuration>");
	while (n < size)
		n += (size_t)sprintf(text + n, "<a/>");
	strcpy(text + n, "</configuration>");
	CHECK_EQ(refuse(text), -EINVAL);
	assert_string_equal(why, "it is too large");
	free(text);
	CHECK_EQ(refuse(""), -EINVAL);
	CHECK_EQ(refuse("<other/>"), -EINVAL);
	assert_string_equal(why, "it has no settings of a VM");
	CHECK_EQ(refuse("<configuration><settings/></configuration>"), -EINVAL);
}

#define VM(properties, rest)                                                    \
	"<configuration><properties>" properties "</properties><settings>" rest \
	"</settings></configuration>"

CASE(values_out_of_bounds_are_said_and_left_out)
{
	CHECK_EQ(refuse(VM("<name>x</name><subtype>7</subtype>",
			   "<processors><count>99999999999999999999</count></processors>"
			   "<memory><bank><size>-5</size></bank></memory>")),
		 0);
	CHECK_EQ(vm->cpus, 0);
	CHECK_EQ(vm->memory_mib, 0);
	CHECK_EQ(vm->generation, 1);
	CHECK(lacks("number of processors"));
	CHECK(lacks("size of memory"));
	CHECK_EQ(refuse(VM("", "<processors><count>240</count></processors>")), 0);
	CHECK_EQ(vm->cpus, 64);
	CHECK(lacks("240 processors: 64 at most"));
}

CASE(too_many_disks_and_adapters_are_said)
{
	char *text = malloc(1 << 20);
	size_t n = (size_t)sprintf(text, "<configuration><properties/><settings/>");
	int i;

	for (i = 0; i < 120; i++)
		n += (size_t)sprintf(text + n,
				     "<_d7a36e9b-9256-4f0d-be2c-3a1388%06d_><ChannelInstanceGuid/>"
				     "<MacAddress>00155D%06d</MacAddress>"
				     "</_d7a36e9b-9256-4f0d-be2c-3a1388%06d_>"
				     "<_e7a36e9b-9256-4f0d-be2c-3a1388%06d_><ChannelInstanceGuid/>"
				     "<controller0><drive0><type>VHD</type><pathname>%d</pathname>"
				     "</drive0></controller0>"
				     "</_e7a36e9b-9256-4f0d-be2c-3a1388%06d_>",
				     i, i, i, i, i, i);
	strcpy(text + n, "</configuration>");
	CHECK_EQ(refuse(text), 0);
	CHECK_EQ(vm->num_nics, IMPORT_MAX_NICS);
	CHECK_EQ(vm->num_disks, IMPORT_MAX_DISKS);
	CHECK(lacks("SCSI controller 4, location 0"));
	CHECK(lacks("a VM has 64 disks at most"));
	CHECK_EQ(vm->num_lacks, IMPORT_MAX_LACKS);
	assert_string_equal(vm->lacks[IMPORT_MAX_LACKS - 1], "more than can be listed here");
	free(text);
}

CASE(control_characters_do_not_reach_a_terminal)
{
	CHECK_EQ(refuse(VM("<name>a&#10;b&#9;c</name><notes>x&#13;</notes>", "")), 0);
	assert_string_equal(vm->name, "a?b?c");
}

CASE(many_instances_are_refused)
{
	char *text = malloc(1 << 20);
	size_t n = (size_t)sprintf(text, "<D>");
	int i;

	for (i = 0; i < 1500; i++)
		n += (size_t)sprintf(text + n, "<INSTANCE CLASSNAME=\"x\"/>");
	strcpy(text + n, "</D>");
	CHECK_EQ(refuse(text), -EINVAL);
	assert_string_equal(why, "it has more than 1000 devices");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vm_of_2008_r2_keeps_all_that_we_have),
		T(what_we_do_not_have_is_said_by_name),
		T(utf16_of_either_order_is_read),
		T(vm_of_2012_r2_keeps_its_generation_and_controllers),
		T(export_of_wmi_instances_is_read),
		T(first_four_nics_are_legacy_nics_as_well),
		T(damaged_files_are_refused_or_read),
		T(entities_end_it_before_they_are_expanded),
		T(trees_of_any_size_have_a_limit),
		T(values_out_of_bounds_are_said_and_left_out),
		T(too_many_disks_and_adapters_are_said),
		T(control_characters_do_not_reach_a_terminal),
		T(many_instances_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
