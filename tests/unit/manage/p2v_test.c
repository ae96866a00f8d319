// SPDX-License-Identifier: GPL-2.0-only
/* Copying a disk of this host into a VM: what is said when it does not come to its end. */
#include "manage/p2v.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "manage/import.h"
#include "tests/unit/test.h"

#define BYTES (2u << 20)

static char dir[] = "/tmp/kvmbus-p2v-XXXXXX", disk[100], vms[100], why[IMPORT_WHY];
static struct import_vm *vm;

/* A way to what is in the directory of the VM. */
static const char *in_vms(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", vms, name);
	return path;
}

static void write_at(const char *path, off_t at, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0 && pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text));
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(disk, sizeof(disk), "%s/disk", dir);
	snprintf(vms, sizeof(vms), "%s/vms", dir);
	write_at(disk, 0, "something");
	CHECK_EQ(truncate(disk, BYTES), 0);
	vm = kvmb_xzalloc(sizeof(*vm));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	import_free(vm);
	free(vm);
	unlink(in_vms("old.raw.journal"));
	unlink(in_vms("old.raw"));
	unlink(in_vms("old.conf"));
	rmdir(vms);
	unlink(disk);
	rmdir(dir);
	return 0;
}

/* @arg: at what to stop. */
static bool tell(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	return !arg || strcmp(what, arg) != 0;
}

static int import_disk_until(const char *what)
{
	struct import_wish w = {
		.dir = vms, .name = "old", .verify = true, .tell = tell, .arg = (void *)what
	};

	import_free(vm);
	snprintf(why, sizeof(why), "nothing was said");
	return p2v_make(disk, &w, vm, why, sizeof(why));
}

static bool says(const char *text)
{
	return strstr(why, text) != NULL;
}

CASE(disk_becomes_a_vm)
{
	struct stat st;

	CHECK_EQ(import_disk_until(NULL), 0);
	CHECK_EQ(stat(in_vms("old.raw"), &st), 0);
	CHECK_EQ(st.st_size, BYTES);
	assert_non_null(strstr(vm->text, "disk = old.raw,format=raw\n"));
	CHECK_EQ(vm->num_lacks, 0);
	CHECK(access(in_vms("old.raw.journal"), F_OK));
}

CASE(interrupted_import_says_so_and_goes_on)
{
	static const char *const steps[] = { "copying", "comparing" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		CHECK_EQ(import_disk_until(steps[i]), -EINTR);
		CHECK(says(disk) && says("interrupted") && says("the same command goes on"));
		CHECK(access(in_vms("old.conf"), F_OK));
		CHECK_EQ(access(in_vms("old.raw.journal"), F_OK), 0);
	}
	CHECK_EQ(import_disk_until(NULL), 0);
}

CASE(copy_that_differs_says_how_to_begin_anew)
{
	CHECK_EQ(import_disk_until("comparing"), -EINTR);
	write_at(disk, 1 << 20, "meanwhile");
	CHECK_EQ(import_disk_until(NULL), -ESTALE);
	CHECK(says("source and copy differ at byte 1048576"));
	CHECK(says("remove") && says(in_vms("old.raw.journal")));
	CHECK(access(in_vms("old.conf"), F_OK));
	unlink(in_vms("old.raw"));
	unlink(in_vms("old.raw.journal"));
	CHECK_EQ(import_disk_until(NULL), 0);
}

/* The journal says what is in it, and would have all of that be zeroes. */
CASE(copy_that_was_emptied_is_not_gone_on_with)
{
	struct stat st;

	CHECK_EQ(import_disk_until("comparing"), -EINTR);
	CHECK_EQ(truncate(in_vms("old.raw"), 0), 0);
	CHECK_EQ(import_disk_until(NULL), -EINVAL);
	CHECK(says("is empty") && says("remove") && says(in_vms("old.raw.journal")));
	CHECK_EQ(stat(in_vms("old.raw"), &st), 0);
	CHECK_EQ(st.st_size, 0);
	CHECK(access(in_vms("old.conf"), F_OK));
	unlink(in_vms("old.raw.journal"));
	unlink(in_vms("old.raw"));
	CHECK_EQ(import_disk_until(NULL), 0);
}

/* Killed, or without power, before the journal had its header. */
CASE(import_that_ended_at_its_beginning_goes_on)
{
	static const off_t lengths[] = { 0, 4096 + 512 };
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		mkdir(vms, 0700);
		fd = open(in_vms("old.raw.journal"), O_RDWR | O_CREAT | O_EXCL, 0600);
		CHECK(fd >= 0 && !ftruncate(fd, lengths[i]));
		close(fd);
		CHECK_EQ(import_disk_until("copying"), -EINTR);
		CHECK_EQ(import_disk_until(NULL), 0);
		CHECK(access(in_vms("old.raw.journal"), F_OK));
		unlink(in_vms("old.raw"));
		unlink(in_vms("old.conf"));
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(disk_becomes_a_vm),
		T(interrupted_import_says_so_and_goes_on),
		T(copy_that_differs_says_how_to_begin_anew),
		T(copy_that_was_emptied_is_not_gone_on_with),
		T(import_that_ended_at_its_beginning_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
