// SPDX-License-Identifier: GPL-2.0-only
/* The directory of a backup: nothing is overwritten, nothing is left of one that failed. */
#include "cli/backup_dir.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "tests/unit/test.h"

#define BYTES (1u << 20)
#define ID "00112233445566778899aabbccddeeff"

static char top[64], path[2][96], said[400];
static struct backup_dir d[2];

void cli_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
}

static int setup(void **state)
{
	int i;

	(void)state;
	strcpy(top, "/tmp/kvmbus-backup-XXXXXX");
	assert_non_null(mkdtemp(top));
	for (i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%d", top, i);
		d[i] = (struct backup_dir){ .fd = -1 };
	}
	said[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	char command[100];
	int i;

	(void)state;
	for (i = 0; i < 2; i++)
		backup_dir_close(&d[i]);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static void make(int i)
{
	assert_int_equal(backup_dir_make(&d[i], path[i]), EXIT_OK);
	assert_int_equal(backup_dir_add(&d[i], 0, 0, BYTES), EXIT_OK);
	assert_int_equal(backup_dir_add(&d[i], 4, 1, BYTES), EXIT_OK);
}

static json_t *manifest_of(const char *id)
{
	return json_pack("{s:s, s:[{s:i, s:i}, {s:i, s:i}]}", "id", id, "disks", "controller", 0,
			 "lun", 0, "controller", 4, "lun", 1);
}

/* As the VM does it. */
static void fill(int i)
{
	assert_int_equal(ftruncate(d[i].files[0].fd, BYTES), 0);
	assert_int_equal(ftruncate(d[i].files[1].fd, BYTES), 0);
	assert_int_equal(pwrite(d[i].files[1].fd, "data", 4, 500000), 4);
}

static void finish(int i, const char *id)
{
	json_t *o = manifest_of(id);

	assert_int_equal(backup_dir_finish(&d[i], o), EXIT_OK);
	json_decref(o);
}

static bool exists(int i, const char *name)
{
	char file[160];

	snprintf(file, sizeof(file), "%s/%s", path[i], name);
	return !access(file, F_OK);
}

static void a_backup_has_files_and_a_manifest(void **state)
{
	char file[160];
	json_t *o, *disk;
	struct stat st;

	(void)state;
	make(0);
	assert_int_equal(stat(path[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	fill(0);
	assert_false(exists(0, "manifest.json"));
	finish(0, ID);
	assert_true(exists(0, "disk-0-0.raw") && exists(0, "disk-4-1.raw"));
	snprintf(file, sizeof(file), "%s/manifest.json", path[0]);
	o = json_load_file(file, 0, NULL);
	disk = json_array_get(json_object_get(o, "disks"), 1);
	assert_string_equal(json_string_value(json_object_get(disk, "file")), "disk-4-1.raw");
	assert_true(json_integer_value(json_object_get(disk, "used")) < BYTES); /* sparse */
	json_decref(o);
	backup_dir_undo(&d[0]); /* too late */
	assert_true(exists(0, "manifest.json") && exists(0, "disk-0-0.raw"));
}

static void what_exists_is_not_touched(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(mkdir(path[0], 0755), 0);
	assert_int_equal(backup_dir_make(&d[0], path[0]), EXIT_FAILED);
	assert_non_null(strstr(said, "File exists"));
	backup_dir_undo(&d[0]);
	assert_int_equal(stat(path[0], &st), 0);
	make(1);
	assert_int_equal(backup_dir_add(&d[1], 4, 1, BYTES), EXIT_FAILED);
	assert_int_equal(d[1].num, 2);
}

static void nothing_is_left_of_one_that_failed(void **state)
{
	struct stat st;

	(void)state;
	make(0);
	fill(0);
	backup_dir_undo(&d[0]);
	assert_int_equal(stat(path[0], &st), -1);
}

static void another_begins_with_a_copy(void **state)
{
	char id[BACKUP_DIR_ID] = "", bytes[4];

	(void)state;
	make(0);
	fill(0);
	finish(0, ID);
	make(1);
	assert_int_equal(backup_dir_fill(&d[1], path[0], id), EXIT_OK);
	assert_string_equal(id, ID);
	assert_int_equal(lseek(d[1].files[0].fd, 0, SEEK_END), BYTES);
	assert_int_equal(pread(d[1].files[1].fd, bytes, 4, 500000), 4);
	assert_memory_equal(bytes, "data", 4);
}

static void refused(const char *why)
{
	char id[BACKUP_DIR_ID] = "";

	said[0] = 0;
	assert_int_equal(backup_dir_fill(&d[1], path[0], id), EXIT_FAILED);
	if (!strstr(said, why))
		fail_msg("\"%s\" and not \"%s\"", said, why);
}

static void write_manifest_text(const char *text)
{
	char file[160];
	FILE *f;

	snprintf(file, sizeof(file), "%s/manifest.json", path[0]);
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void one_that_is_not_as_it_was_is_no_base(void **state)
{
	(void)state;
	make(1);
	refused("No such file");
	make(0);
	fill(0);
	refused("manifest.json: No such file"); /* it is not whole */
	finish(0, ID);
	assert_int_equal(pwrite(d[0].files[1].fd, "DATA", 4, 0), 4);
	assert_int_equal(futimens(d[0].files[1].fd, NULL), 0);
	refused("disk-4-1.raw: it was changed");
	write_manifest_text("{\"id\": \"x\"}");
	refused("no manifest");
	write_manifest_text("[]");
	refused("no manifest");
	write_manifest_text("{");
	refused("no manifest");
	write_manifest_text("{\"id\": \"" ID "\", \"disks\": [{\"controller\": 0, \"lun\": 7}]}");
	refused("disk 0:0 is not in it");
	write_manifest_text("{\"id\": \"" ID "\", \"disks\": 5}");
	refused("disk 0:0 is not in it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_backup_has_files_and_a_manifest, setup, teardown),
		cmocka_unit_test_setup_teardown(what_exists_is_not_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_one_that_failed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(another_begins_with_a_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_not_as_it_was_is_no_base, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
