// SPDX-License-Identifier: GPL-2.0-only
/* OVFs of two vendors, and hostile ones; archives around them. */
#include "manage/ovf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/import.h"
#include "tests/harness/import_sample.h"
#include "tests/unit/test.h"

static void take_sample(const char *name)
{
	size_t len;
	char *text = sample(name, &len);

	CHECK_EQ(ovf_take(text, len, vm, why, sizeof(why)), 0);
	free(text);
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

CASE(vm_of_vmware_keeps_what_we_have)
{
	take_sample("vmware.ovf");
	assert_string_equal(vm->name, "The VM");
	CHECK_EQ(vm->generation, 2);
	CHECK_EQ(vm->cpus, 2);
	CHECK_EQ(vm->memory_mib, 2048);
	CHECK_EQ(vm->num_disks, 2);
	CHECK(vm->disks[0].dvd);
	CHECK_EQ(vm->disks[0].controller, 6);
	assert_string_equal(vm->disks[1].source, "disk1.vmdk");
	CHECK_EQ(vm->disks[1].controller, 0);
	CHECK_EQ(vm->disks[1].lun, 0);
	assert_string_equal(vm->nics[0].mac, "00:50:56:01:02:03");
	assert_string_equal(vm->nics[0].network, "VM Network");
	CHECK(lacks("VmxNet3"));
	CHECK(lacks("lsilogic"));
	CHECK(lacks("Sound"));
	CHECK(lacks("AnnotationSection"));
}

CASE(vm_of_virtualbox_keeps_what_we_have)
{
	take_sample("virtualbox.ovf");
	assert_string_equal(vm->name, "box");
	CHECK_EQ(vm->generation, 1);
	CHECK_EQ(vm->memory_mib, 1024);
	CHECK_EQ(vm->num_disks, 2);
	CHECK_EQ(vm->disks[0].controller, 4);
	CHECK(vm->disks[1].dvd);
	CHECK_EQ(vm->disks[1].controller, 7);
	CHECK(lacks("E1000"));
}

static int take_with(const char *file, const char *disk)
{
	char text[4000];

	import_free(vm);
	snprintf(text, sizeof(text),
		 "<Envelope><References><File id='f' %s/></References><DiskSection>"
		 "<Disk diskId='d' %s/></DiskSection><VirtualSystem id='x'><VirtualHardwareSection>"
		 "<Item><ResourceType>17</ResourceType><HostResource>ovf:/disk/d</HostResource>"
		 "</Item></VirtualHardwareSection></VirtualSystem></Envelope>",
		 file, disk);
	return ovf_take(text, strlen(text), vm, why, sizeof(why));
}

CASE(names_that_leave_the_folder_are_refused)
{
	static const char *const files[] = { "href='/etc/passwd'",
					     "href='../x.vmdk'",
					     "href=''",
					     "href='a/b.vmdk'",
					     "href='..\\x'",
					     "href='..'",
					     "href='http://192.0.2.1/x.vmdk'",
					     "href='x.vmdk' compression='gzip'",
					     "href='x.vmdk' chunkSize='100'" };
	size_t i;

	CHECK_EQ(take_with("href='x.vmdk'", "fileRef='f'"), 0);
	CHECK_EQ(vm->num_disks, 1);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		CHECK_EQ(take_with(files[i], "fileRef='f'"), -EINVAL);
		CHECK_EQ(vm->num_disks, 0);
		assert_true(why[0]);
	}
	CHECK_EQ(take_with("href='x'", "fileRef='g'"), -EINVAL);
	CHECK_EQ(take_with("href='x'", "fileRef='f' parentRef='e'"), -EINVAL);
	CHECK_EQ(take_with("href='x'", "capacity='5'"), 0); /* an empty one */
	CHECK_EQ(vm->num_disks, 0);
	CHECK(lacks("the empty disk \"d\""));
}

CASE(memory_has_units_and_bounds)
{
	static const struct {
		const char *quantity, *units;
		uint64_t mib; /* 0 = it is refused */
	} cases[] = {
		{ "512", "byte * 2^20", 512 },
		{ "2", "byte * 2^30", 2048 },
		{ "2", "GigaBytes", 2048 },
		{ "1048576", "byte", 1 },
		{ "512", "", 512 },
		{ "512", "parsecs", 0 },
		{ "1", "byte * 2^60", 0 },
		{ "18446744073709551615", "byte * 2^20", 0 },
		{ "0", "byte * 2^20", 0 },
		{ "-1", "byte * 2^20", 0 },
		{ "1", "byte * 2^", 0 },
		{ "8796093022208", "byte * 2^30", 0 },
	};
	char text[1000];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		import_free(vm);
		snprintf(text, sizeof(text),
			 "<Envelope><VirtualSystem><VirtualHardwareSection><Item>"
			 "<ResourceType>4</ResourceType><AllocationUnits>%s</AllocationUnits>"
			 "<VirtualQuantity>%s</VirtualQuantity></Item></VirtualHardwareSection>"
			 "</VirtualSystem></Envelope>",
			 cases[i].units, cases[i].quantity);
		CHECK_EQ(ovf_take(text, strlen(text), vm, why, sizeof(why)), 0);
		CHECK_ROW((long long)vm->memory_mib, (long long)cases[i].mib, i);
		CHECK_ROW(lacks("size of memory"), !cases[i].mib, i);
	}
}

CASE(what_is_no_vm_is_refused)
{
	static const char *const texts[] = {
		"",
		"<",
		"<Envelope/>",
		"<Envelope><VirtualSystemCollection/></Envelope>",
		"<Envelope><VirtualSystem/></Envelope>",
		"\xff\xfe<",
		"<!DOCTYPE x><Envelope/>",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		import_free(vm);
		CHECK_EQ(ovf_take(texts[i], strlen(texts[i]), vm, why, sizeof(why)), -EINVAL);
		assert_true(why[0]);
	}
}

/* ---- archives ---- */

static size_t tar_entry(char *to, const char *name, char type, const char *data, size_t len,
			size_t said)
{
	unsigned int sum = 0, i;

	memset(to, 0, 512);
	snprintf(to, 100, "%s", name);
	strcpy(to + 100, "0000644");
	strcpy(to + 108, "0000000");
	strcpy(to + 116, "0000000");
	snprintf(to + 124, 12, "%011zo", said);
	strcpy(to + 136, "00000000000");
	to[156] = type;
	if (type != '0')
		strcpy(to + 157, "/etc/passwd");
	memcpy(to + 257, "ustar\00000", 8);
	memset(to + 148, ' ', 8);
	for (i = 0; i < 512; i++)
		sum += (unsigned char)to[i];
	snprintf(to + 148, 8, "%06o", sum);
	memcpy(to + 512, data, len);
	memset(to + 512 + len, 0, 512 - len % 512);
	return 512 + KVMB_ALIGN_UP(len, 512);
}

static int archive(const char *data, size_t len)
{
	int fd = memfd_create("ova", MFD_CLOEXEC);

	assert_int_equal(write(fd, data, len), (ssize_t)len);
	return fd;
}

static bool listen_to(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)what;
	(void)done;
	(void)total;
	return !arg;
}

CASE(files_of_an_archive_are_found_by_their_whole_name)
{
	char *tar = calloc(1, 100000), *text, got[20] = "";
	size_t n = 0, len;
	int fd, to = memfd_create("disk", MFD_CLOEXEC);

	n += tar_entry(tar + n, "../evil.ovf", '0', "no", 2, 2);
	n += tar_entry(tar + n, "/etc/x.ovf", '0', "no", 2, 2);
	n += tar_entry(tar + n, "link.ovf", '2', "", 0, 0);
	n += tar_entry(tar + n, "hard.ovf", '1', "", 0, 0);
	n += tar_entry(tar + n, "vm.OVF", '0', "<yes/>", 6, 6);
	n += tar_entry(tar + n, "d.vmdk", '0', "the disk", 8, 8);
	fd = archive(tar, n + 1024);
	CHECK(ova_is(fd));
	CHECK_EQ(ova_find_ovf(fd, &text, &len, why, sizeof(why)), 0);
	assert_string_equal(text, "<yes/>");
	free(text);
	CHECK_EQ(ova_unpack(fd, "d.vmdk", to, listen_to, NULL, why, sizeof(why)), 0);
	CHECK_EQ(pread(to, got, 20, 0), 8);
	assert_string_equal(got, "the disk");
	CHECK_EQ(ova_unpack(fd, "link.ovf", to, listen_to, NULL, why, sizeof(why)), -ENOENT);
	CHECK_EQ(ova_unpack(fd, "evil.ovf", to, listen_to, NULL, why, sizeof(why)), -ENOENT);
	CHECK_EQ(ova_unpack(fd, "d.vmdk", to, listen_to, vm, why, sizeof(why)), -EINTR);
	close(fd);
	close(to);
	free(tar);
}

CASE(damaged_archives_are_refused)
{
	char *tar = calloc(1, 100000), *text;
	size_t n, len;
	int fd, to = memfd_create("disk", MFD_CLOEXEC);

	n = tar_entry(tar, "d.vmdk", '0', "the disk", 8, 1000000); /* more than there is */
	fd = archive(tar, n);
	CHECK_EQ(ova_unpack(fd, "d.vmdk", to, listen_to, NULL, why, sizeof(why)), -EIO);
	close(fd);
	n = tar_entry(tar, "a.ovf", '0', "", 0, (size_t)IMPORT_TEXT + 1);
	fd = archive(tar, n);
	CHECK_EQ(ova_find_ovf(fd, &text, &len, why, sizeof(why)), -EINVAL);
	close(fd);
	tar[150] ^= 1; /* its checksum */
	fd = archive(tar, n);
	CHECK(ova_find_ovf(fd, &text, &len, why, sizeof(why)) < 0);
	close(fd);
	fd = archive("ustar", 5);
	CHECK(!ova_is(fd));
	close(fd);
	close(to);
	free(tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(vm_of_vmware_keeps_what_we_have),
		T(vm_of_virtualbox_keeps_what_we_have),
		T(names_that_leave_the_folder_are_refused),
		T(memory_has_units_and_bounds),
		T(what_is_no_vm_is_refused),
		T(files_of_an_archive_are_found_by_their_whole_name),
		T(damaged_archives_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
