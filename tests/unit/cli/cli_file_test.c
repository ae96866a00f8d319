// SPDX-License-Identifier: GPL-2.0-only
/* Options that a VM's file brings to `kvmbus run`: where names begin, what is typed besides. */
#include "cli/cli_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/exits.h"
#include "tests/unit/test.h"

static const struct opt_def options[] = { { "name", OPT_TEXT, "N" },
					  { "cpus", OPT_U32, "N", .min = 1, .max = 64 },
					  { "memory", OPT_TEXT, "SIZE" },
					  { "kernel", OPT_FILE, "F" },
					  { "firmware", OPT_TEXT, "F" },
					  { "append", OPT_TEXT, "S", .optional = true },
					  { "disk", OPT_TEXT, "F", .sub = opt_disk_options },
					  { "dvd", OPT_TEXT, "F", .sub = opt_disk_options },
					  { "nic", OPT_TEXT, "KIND" },
					  { "serial", OPT_TEXT, "S" },
					  { "config", OPT_FILE, "F" },
					  { "incoming", OPT_TEXT, "ADDRESS" },
					  { "no-reboot", OPT_FLAG },
					  { "json", OPT_FLAG },
					  { NULL } };

static int nothing(struct cli_args *a)
{
	(void)a;
	return 0;
}

const struct cli_command cli_commands[] = {
	{ "run", NULL, "", NULL, nothing, { { NULL } }, options }, { NULL }
};

void cli_help(FILE *f, const char *verb, const char *action)
{
	(void)f, (void)verb, (void)action;
}

static char dir[64], file[100], start[PATH_MAX], *words[16];
static struct cli_args a;

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/cli_file.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/vm.conf", dir);
	assert_non_null(getcwd(start, sizeof(start)));
	assert_int_equal(chdir("/usr"), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cli_free(&a);
	unlink(file);
	rmdir(dir);
	return chdir(start);
}

/* The words behind "run --config FILE". */
static int take(const char *text, int num, ...)
{
	FILE *f = fopen(file, "w");
	va_list ap;
	int i;

	assert_true(fputs(text, f) >= 0);
	fclose(f);
	cli_free(&a);
	words[0] = "run";
	words[1] = "--config";
	words[2] = file;
	va_start(ap, num);
	for (i = 0; i < num; i++)
		words[3 + i] = va_arg(ap, char *);
	va_end(ap);
	words[3 + num] = NULL;
	assert_int_equal(cli_parse(3 + num, words, &a), EXIT_OK);
	return cli_file_take(&a);
}

static void check(int n, const char *name, const char *value)
{
	char want[300];

	assert_true(n < a.num_given);
	assert_string_equal(a.given[n].opt->name, name);
	if (!value) {
		assert_null(a.given[n].value);
		return;
	}
	if (value[0] == '@') /* where the file is */
		snprintf(want, sizeof(want), "%s%s", dir, value + 1);
	else
		snprintf(want, sizeof(want), "%s", value);
	assert_string_equal(a.given[n].value, want);
}

CASE(names_begin_where_the_file_is)
{
	char want[300];

	CHECK_EQ(take("disk = a.vhd,format=vhd,backing=b.vhd\ndisk = /abs/c,, d.img,ro\n"
		      "dvd = empty,controller=6\ndvd = x.iso\nkernel = vmlinuz\nserial = file=log\n"
		      "firmware = uefi,vars=vm.vars\ndisk = nbd://host/x\n",
		      0),
		 EXIT_OK);
	snprintf(want, sizeof(want), "%s/a.vhd,format=vhd,backing=%s/b.vhd", dir, dir);
	check(0, "disk", want);
	check(1, "disk", "/abs/c,, d.img,ro");
	check(2, "dvd", "empty,controller=6");
	check(3, "dvd", "@/x.iso");
	check(4, "kernel", "@/vmlinuz");
	snprintf(want, sizeof(want), "file=%s/log", dir);
	check(5, "serial", want);
	snprintf(want, sizeof(want), "uefi,vars=%s/vm.vars", dir);
	check(6, "firmware", want);
	check(7, "disk", "nbd://host/x");
	CHECK_EQ(a.num_given, 8);
}

CASE(typed_options_add_or_replace)
{
	CHECK_EQ(take("name = web\ncpus = 2\ndisk = /a\nnic = user\nappend =\n", 4, "--cpus=4",
		      "--disk=b", "--append=quiet", "--name=other"),
		 EXIT_OK);
	CHECK_EQ(a.num_given, 6);
	check(0, "disk", "/a");
	check(1, "nic", "user");
	check(2, "cpus", "4");
	check(3, "disk", "b"); /* begins where the user is: run makes it absolute */
	check(4, "append", "quiet");
	check(5, "name", "other");
	assert_non_null(a.given[0].from);
	assert_null(a.given[2].from);
	CHECK(!cli_flag(&a, "config"));
}

CASE(flags_are_on_or_off)
{
	CHECK_EQ(take("no-reboot = yes\n", 0), EXIT_OK);
	check(0, "no-reboot", NULL);
	CHECK_EQ(take("no-reboot = Off\n", 0), EXIT_OK);
	CHECK_EQ(a.num_given, 0);
	CHECK_EQ(take("no-reboot = maybe\n", 0), EXIT_USAGE);
}

CASE(what_is_for_the_command_line_is_refused)
{
	CHECK_EQ(take("config = other.conf\n", 0), EXIT_USAGE);
	CHECK_EQ(take("incoming = fd:3\n", 0), EXIT_USAGE);
	CHECK_EQ(take("json = on\n", 0), EXIT_USAGE);
	CHECK_EQ(take("cpus = 65\n", 0), EXIT_USAGE);
	CHECK_EQ(take("kernel =\n", 0), EXIT_USAGE);
	CHECK_EQ(take("cpus 65\n", 0), EXIT_FAILED);
}

CASE(files_of_every_option_are_found)
{
	CHECK_EQ(take("kernel = vmlinuz\nfirmware = OVMF.fd,vars=v\nserial = unix=s\n"
		      "dvd = x.iso\ndvd = empty\nfirmware = BIOS\nserial = stdio\n",
		      0),
		 EXIT_OK);
	check(0, "kernel", "@/vmlinuz");
	assert_non_null(strstr(a.given[1].value, "/OVMF.fd,vars=/tmp/"));
	assert_int_equal(strncmp(a.given[2].value, "unix=/tmp/", 10), 0);
	check(3, "dvd", "@/x.iso");
	check(4, "dvd", "empty");
	check(5, "firmware", "@/BIOS"); /* as run has it, a file */
	check(6, "serial", "stdio");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(names_begin_where_the_file_is),
		T(typed_options_add_or_replace),
		T(flags_are_on_or_off),
		T(what_is_for_the_command_line_is_refused),
		T(files_of_every_option_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
