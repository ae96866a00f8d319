// SPDX-License-Identifier: GPL-2.0-only
/* Files of an export's folder: found by their last name, and never outside of it. */
#include "manage/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/test.h"

static char dir[40], path[PATH_MAX], cmd[100];
static int fd;

static void make_file(const char *name)
{
	int f = openat(fd, name, O_CREAT | O_WRONLY | O_EXCL, 0600);

	assert_true(f >= 0);
	close(f);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/folder.XXXXXX");
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(fd, "Virtual Hard Disks", 0700), 0);
	assert_int_equal(mkdirat(fd, "other", 0700), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static int find(const char *name)
{
	int f = folder_find(fd, name, path, sizeof(path));

	if (f >= 0)
		close(f);
	return f >= 0 ? 0 : f;
}

CASE(last_part_of_a_name_counts_in_any_case)
{
	make_file("Virtual Hard Disks/System.VHD");
	CHECK_EQ(find("D:\\VMs\\web\\system.vhd"), 0);
	assert_string_equal(path, "Virtual Hard Disks/System.VHD");
	CHECK_EQ(find("../../etc/SYSTEM.vhd"), 0);
	CHECK_EQ(find("system"), -ENOENT);
	CHECK_EQ(find(""), -ENOENT);
	CHECK_EQ(find(".."), -ENOENT);
	CHECK_EQ(find("C:\\"), -ENOENT);
	CHECK_EQ(find("/etc/passwd"), -ENOENT);
}

CASE(links_are_not_followed)
{
	assert_int_equal(symlinkat("/etc/passwd", fd, "a.vhd"), 0);
	assert_int_equal(symlinkat("/etc", fd, "Virtual Hard Disks/etc"), 0);
	CHECK_EQ(find("a.vhd"), -ENOENT);
	CHECK_EQ(find("passwd"), -ENOENT);
	CHECK(folder_open(fd, "a.vhd") < 0);
	CHECK(folder_open(fd, "Virtual Hard Disks/etc/passwd") < 0);
	assert_int_equal(mkfifoat(fd, "b.vhd", 0600), 0);
	CHECK_EQ(find("b.vhd"), -ENOENT);
}

CASE(one_of_several_is_the_one_in_its_place)
{
	make_file("other/a.vhd");
	CHECK_EQ(find("a.vhd"), 0);
	make_file("a.vhd");
	CHECK_EQ(find("a.vhd"), -ENOTUNIQ);
	make_file("Virtual Hard Disks/a.vhd");
	CHECK_EQ(find("a.vhd"), 0);
	assert_string_equal(path, "Virtual Hard Disks/a.vhd");
	make_file("Virtual Hard Disks/A.vhd");
	CHECK_EQ(find("a.vhd"), -ENOTUNIQ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(last_part_of_a_name_counts_in_any_case),
		T(links_are_not_followed),
		T(one_of_several_is_the_one_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
