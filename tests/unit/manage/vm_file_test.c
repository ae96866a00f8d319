// SPDX-License-Identifier: GPL-2.0-only
/* Files of VMs, written by people and programs, and by nobody who means well. */
#include "manage/vm_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"

static struct vm_file f;
static char why[300];

/* ---- a disk that fails ---- */

static int syncs_left = -1; /* then one fails; -1 = none */

int fsync(int fd)
{
	if (syncs_left < 0 || syncs_left--)
		return (int)syscall(SYS_fsync, fd);
	errno = EIO;
	return -1;
}

/* ---- reading ---- */

static int parse_n(const char *text, size_t len)
{
	vm_file_free(&f);
	why[0] = 0;
	return vm_file_parse("web.conf", text, len, &f, why, sizeof(why));
}

static int parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static int teardown(void **state)
{
	(void)state;
	vm_file_free(&f);
	return 0;
}

static int setup(void **state)
{
	return teardown(state);
}

static void check_value(size_t n, const char *key, const char *value, uint32_t line)
{
	assert_true(n < f.num);
	assert_string_equal(f.values[n].key, key);
	assert_string_equal(f.values[n].value, value);
	CHECK_EQ(f.values[n].line, line);
}

CASE(keys_values_and_comments_are_read_with_their_lines)
{
	CHECK_EQ(parse("# a VM\n\n[vm]\nname = web\n   memory=2G ; enough\n;cpus = 9\n"
		       "disk = a.img,lun=3\ndisk = b #1;2.img\r\nappend =\nx = a=b:c"),
		 0);
	CHECK_EQ(f.num, 6);
	check_value(0, "name", "web", 4);
	check_value(1, "memory", "2G", 5);
	check_value(2, "disk", "a.img,lun=3", 7);
	check_value(3, "disk", "b #1;2.img", 8);
	check_value(4, "append", "", 9);
	check_value(5, "x", "a=b:c", 10);
	CHECK_EQ(parse(""), 0);
	CHECK_EQ(f.num, 0);
	/* a VM's process does not keep it */
	assert_null(dlopen("libinih.so.1", RTLD_NOW | RTLD_NOLOAD));
	CHECK_EQ(parse("\xef\xbb\xbfname = x\n"), 0);
	check_value(0, "name", "x", 1);
}

/* libinih of Debian cuts a line at 199 bytes. */
CASE(value_of_any_length_is_read_whole)
{
	char text[VM_FILE_MAX_LINE + 100], value[VM_FILE_MAX_LINE];
	size_t len, i;

	for (len = 1; len < 1000; len++) {
		for (i = 0; i < len; i++)
			value[i] = "ab, #[=:x"[(i * 7 + len) % 9];
		value[0] = value[len - 1] = 'v';
		value[len] = 0;
		snprintf(text, sizeof(text), "one = 1\nkey = %s\ntwo = 2\n", value);
		CHECK_EQ(parse(text), 0);
		CHECK_EQ(f.num, 3);
		check_value(1, "key", value, 2);
		check_value(2, "two", "2", 3);
	}
	memset(value, 'z', sizeof(value) - 10);
	value[sizeof(value) - 10] = 0;
	snprintf(text, sizeof(text), "k = %s", value);
	CHECK_EQ(parse(text), 0);
	check_value(0, "k", value, 1);
}

CASE(what_is_no_line_of_ours_is_refused_with_its_number)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "name web\n", "web.conf:1: write KEY = VALUE" },
		{ "a = b\n= web\n", "web.conf:2: write KEY = VALUE" },
		{ "a = b\n\nname: web = x\n", "web.conf:3: write KEY = VALUE" },
		{ "x y = z\n", "web.conf:1: write KEY = VALUE" },
		{ "\xc3\xa4 = z\n", "web.conf:1: write KEY = VALUE" },
		{ "[vm\n", "web.conf:1: write KEY = VALUE" },
		{ "[vm] x = 1\n", "web.conf:1: write KEY = VALUE" },
		{ "[net]\nx = 1\n", "web.conf:2: it is in another section than [vm]" },
		{ "a = \x1b[31m\n", "web.conf:1: a control character; it must be text" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1\n",
		  "web.conf:1: write KEY = VALUE" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(parse(cases[i].text), -EINVAL);
		assert_string_equal(why, cases[i].why);
	}
	CHECK_EQ(parse_n("a = b\0c\n", 8), -EINVAL);
	/* nor is what a host that lost power may leave of a file */
	CHECK_EQ(parse_n("a = b\n\0\0\0\0", 10), -EINVAL);
	assert_string_equal(why, "web.conf:2: a control character; it must be text");
	CHECK_EQ(parse_n("\0disk = x\n", 10), -EINVAL);
}

CASE(line_that_is_too_long_is_refused)
{
	size_t len = VM_FILE_MAX_LINE + 10;
	char *text = malloc(len);

	memset(text, 'x', len);
	memcpy(text, "k = ", 4);
	CHECK_EQ(parse_n(text, len), -EINVAL);
	assert_string_equal(why, "web.conf:1: the line is too long");
	/* nowhere may such a value be cut */
	memset(text + 4, ' ', len - 4);
	text[500] = text[4] = 'x';
	CHECK_EQ(parse_n(text, 600), -EINVAL);
	assert_string_equal(why, "web.conf:1: libinih cannot hold such a line");
	free(text);
}

CASE(what_is_not_a_file_is_refused)
{
	CHECK(vm_file_read("/nosuch/file", &f, why, sizeof(why)) < 0);
	assert_string_equal(why, "/nosuch/file: No such file or directory");
	CHECK(vm_file_read("/", &f, why, sizeof(why)) < 0);
	assert_string_equal(why, "/: it is not a file");
	CHECK(vm_file_read("/dev/zero", &f, why, sizeof(why)) < 0);
	assert_string_equal(why, "/dev/zero: it is not a file");
}

/* Either a value is refused, or it is read as it was. */
CASE(what_is_written_is_read_again)
{
	static const char *const values[] = { "a",
					      "",
					      "a b",
					      "a;b",
					      "#",
					      "a # b",
					      "x,,y = z",
					      "[vm]",
					      "=",
					      "\xc3\xa4",
					      ",controller=4,lun=0" };
	static const char *const bad[] = { " a", "a ", "a ;b", ";", "a\nb", "\x7f", "a\tb\r" };
	char *text;
	size_t len, i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		FILE *out = open_memstream(&text, &len);

		vm_file_remark(out, "a\nremark = 1");
		CHECK_EQ(vm_file_put(out, "key", values[i]), 0);
		fclose(out);
		CHECK_EQ(parse_n(text, len), 0);
		CHECK_EQ(f.num, 1);
		check_value(0, "key", values[i], 2);
		free(text);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_EQ(vm_file_put(stdout, "key", bad[i]), -EINVAL);
}

CASE(file_appears_whole_and_replaces_nothing)
{
	char dir[] = "/tmp/vm_file.XXXXXX", path[64];
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	CHECK_EQ(vm_file_make(fd, "a.conf", "name = a\n", 9), 0);
	CHECK_EQ(vm_file_make(fd, "a.conf", "name = b\n", 9), -EEXIST);
	snprintf(path, sizeof(path), "%s/a.conf", dir);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(vm_file_read(path, &f, why, sizeof(why)), 0);
	check_value(0, "name", "a", 1);
	unlink(path);
	close(fd);
	rmdir(dir);
}

/* Whoever makes a VM takes its disks away then, and may try again. */
CASE(file_that_is_not_on_disk_is_not_there)
{
	char dir[] = "/tmp/kvmbus-vmfile-XXXXXX";
	int fd, i;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (i = 0; i < 2; i++) {
		syncs_left = i;
		CHECK_EQ(vm_file_make(fd, "a.conf", "name = a\n", 9), -EIO);
		CHECK(faccessat(fd, "a.conf", F_OK, 0));
	}
	CHECK_EQ(vm_file_make(fd, "a.conf", "name = a\n", 9), 0);
	unlinkat(fd, "a.conf", 0);
	close(fd);
	CHECK_EQ(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_values_and_comments_are_read_with_their_lines),
		T(value_of_any_length_is_read_whole),
		T(what_is_no_line_of_ours_is_refused_with_its_number),
		T(line_that_is_too_long_is_refused),
		T(what_is_not_a_file_is_refused),
		T(what_is_written_is_read_again),
		T(file_appears_whole_and_replaces_nothing),
		T(file_that_is_not_on_disk_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
