// SPDX-License-Identifier: GPL-2.0-only
/* A VM's options lie with its keeper, and come back as they were. */
#include "vmm/vm_state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/keeper.h"
#include "lib/tlv.h"
#include "tests/harness/no_ide.h"
#include "tests/unit/test.h"
#include "vmm/state_file.h"

static int kept;
static char why[200];

static int setup(void **state)
{
	(void)state;
	kept = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(kept);
	return 0;
}

int kvmb_keeper_keep(int fd, char *text, size_t size)
{
	(void)text, (void)size;
	kept = dup(fd);
	return 0;
}

static void options_come_back_from_the_keeper(void **state)
{
	static char *args[] = { "run", "--disk=a file,with=options", "", "--name=\xff\xfe", NULL };
	const struct vm_state_config cfg = { .dir = "/some where", .args = args, .num_args = 4 };
	struct kvmb_tlv_error error = { 0 };
	struct vm_state_config c;
	static u8 buf[4096];
	struct kvmb_tlv t;
	size_t pos = 0;
	ssize_t n;
	int i;

	(void)state;
	assert_int_equal(vm_state_keep_config(&cfg, why, sizeof(why)), 0);
	n = pread(kept, buf, sizeof(buf), 0);
	assert_in_range(n, 1, sizeof(buf));
	assert_int_equal(kvmb_tlv_next(buf, sizeof(buf), &pos, &t, &error), 0); /* zeroes follow */
	assert_int_equal(t.tag, KVMB_SEC_CONFIG);
	assert_int_equal(vm_state_read_config(&t, &c), 0);
	assert_string_equal(c.dir, cfg.dir);
	assert_int_equal(c.num_args, cfg.num_args);
	for (i = 0; i < cfg.num_args; i++)
		assert_string_equal(c.args[i], args[i]);
	assert_null(c.args[c.num_args]);
	vm_state_free_config(&c);
}

/* The process that is sandboxed later may have kept a descriptor of it. */
static void nobody_changes_what_the_keeper_has(void **state)
{
	const struct vm_state_config cfg = { .dir = "/" };
	struct stat st;

	(void)state;
	assert_int_equal(vm_state_keep_config(&cfg, why, sizeof(why)), 0);
	assert_int_equal(fstat(kept, &st), 0);
	assert_int_equal(pwrite(kept, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(kept, 0), -1);
	assert_int_equal(ftruncate(kept, st.st_size + 1), -1);
}

static void options_longer_than_their_place_are_refused(void **state)
{
	static char word[STATE_FILE_CONFIG_MAX + 1];
	static char *args[] = { "run", word, NULL };
	const struct vm_state_config cfg = { .dir = "/", .args = args, .num_args = 2 };

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	assert_int_equal(vm_state_keep_config(&cfg, why, sizeof(why)), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(options_come_back_from_the_keeper),
		T(nobody_changes_what_the_keeper_has),
		T(options_longer_than_their_place_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
