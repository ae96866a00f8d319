// SPDX-License-Identifier: GPL-2.0-only
/* What an import makes of names and numbers that a stranger chose. */
#include "manage/import.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"

static bool go_on(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg, (void)what, (void)done, (void)total;
	return true;
}

/* Anything on the stack that is no end of a string. */
static __attribute__((noinline)) void dirty_stack(void)
{
	char dirt[16384];

	memset(dirt, 'x', sizeof(dirt));
	__asm__ volatile("" : : "r"(dirt) : "memory");
}

/* Make a VM of one raw disk. Return: what it is called there, to free(). */
static char *target_of(const char *source)
{
	char dir[] = "/tmp/kvmbus-import-XXXXXX", why[IMPORT_WHY], *target;
	struct import_wish w = { .dir = dir, .mode = IMPORT_COPY, .tell = go_on };
	struct import_vm *vm = kvmb_xzalloc(sizeof(*vm));
	struct import_disk *d;
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_non_null(mkdtemp(dir));
	CHECK_EQ(write(fd, "disk", 4), 4);
	vm->name = strdup("vm");
	vm->origin = strdup("a test");
	vm->generation = 1;
	d = import_add_disk(vm, source, false);
	d->chain.at[0] = (struct probe_image){ .fd = fd, .format = "raw", .bytes = 4 };
	d->chain.num = 1;
	dirty_stack();
	if (import_make(&w, vm, why, sizeof(why)))
		fail_msg("%s: %s", source, why);
	target = strdup(d->target);
	CHECK_EQ(chdir(dir), 0);
	CHECK_EQ(unlink(target), 0);
	CHECK_EQ(unlink(vm->file), 0);
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(rmdir(dir), 0);
	import_free(vm);
	free(vm);
	return target;
}

CASE(targets_are_named_as_their_sources)
{
	static const struct {
		const char *source, *target;
	} rows[] = {
		{ "C:\\vms\\disk 1.raw", "disk_1.raw" },
		{ "../../etc/x.raw", "x.raw" },
		{ ".raw", "disk.raw" },
		{ ".", "disk.raw" },
		{ "..", "disk.raw" },
		{ "-rf.img", "drf.img" },
		{ "", "disk.raw" },
	};
	char *target;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		target = target_of(rows[i].source);
		if (strcmp(target, rows[i].target))
			fail_msg("%s: %s, not %s", rows[i].source, target, rows[i].target);
		free(target);
	}
}

/* `kvmbus run` takes no identifier of zeroes, so a file that has one starts nothing. */
CASE(an_identifier_of_zeroes_is_none)
{
	static const char *const ids[] = { "00000000-0000-0000-0000-000000000000",
					   "D7E792A2-CA61-4EBB-8502-DC1FA5FD3BAE" };
	struct import_wish w = { .dir = "/nowhere", .dry_run = true, .tell = go_on };
	struct import_vm *vm = kvmb_xzalloc(sizeof(*vm));
	char why[IMPORT_WHY];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		vm->name = strdup("vm");
		vm->origin = strdup("a test");
		vm->uuid = strdup(ids[i]);
		vm->generation = 1;
		CHECK_EQ(import_make(&w, vm, why, sizeof(why)), 0);
		CHECK_ROW(strstr(vm->text, "uuid = ") != NULL, i == 1, i);
		import_free(vm);
	}
	free(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_are_named_as_their_sources),
		cmocka_unit_test(an_identifier_of_zeroes_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
