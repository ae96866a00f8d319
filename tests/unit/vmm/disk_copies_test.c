// SPDX-License-Identifier: GPL-2.0-only
/* Files of disks that are copied: which, made but never overwritten, and removed by the keeper. */
#include "vmm/disk_copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/harness/keeper.h"
#include "tests/unit/test.h"

static char dir[] = "/tmp/kvmbus-copies-XXXXXX", path[100];
static struct vm_config cfg;
static struct disk_copies copies;
static char why[300];

static int setup(void **state)
{
	(void)state;
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/d", dir);
	cfg = (struct vm_config){ .num_disks = 1 };
	cfg.disks[0] = (struct disk_config){ .spec = { .path = path, .unlocked = true },
					     .controller = 0,
					     .lun = 2 };
	copies = (struct disk_copies){ .num = 1,
				       .disks = { { .lun = 2, .bytes = 1 << 20, .used = 4096 } } };
	why[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	end_keeper();
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static int create(void)
{
	assert_int_equal(disk_copies_mark(&copies, &cfg, why, sizeof(why)), 0);
	return disk_copies_create(&copies, &cfg.disks[0], why, sizeof(why));
}

static bool is_there(void)
{
	return !access(path, F_OK);
}

static void file_is_made_of_that_size_for_its_owner(void **state)
{
	struct stat st;

	(void)state;
	start_keeper();
	assert_int_equal(create(), 0);
	assert_true(cfg.disks[0].spec.copied);
	assert_false(cfg.disks[0].spec.unlocked); /* it is ours, and so is its lock */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_int_equal(st.st_mode & 07777, 0600);
	end_keeper();
	assert_false(is_there());
}

static void file_that_is_to_stay_stays(void **state)
{
	(void)state;
	start_keeper();
	assert_int_equal(create(), 0);
	assert_int_equal(kvmb_keeper_stay(PATIENCE_MS), 0);
	end_keeper();
	assert_true(is_there());
}

/* What somebody has put there is his. */
static void file_that_has_taken_its_place_is_not_removed(void **state)
{
	(void)state;
	start_keeper();
	assert_int_equal(create(), 0);
	unlink(path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	end_keeper();
	assert_true(is_there());
}

static void file_that_exists_is_not_used_however_empty(void **state)
{
	(void)state;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	start_keeper();
	assert_int_equal(create(), -EEXIST);
	assert_non_null(strstr(why, "nothing is overwritten"));
	end_keeper();
	assert_true(is_there());
	unlink(path);
	assert_int_equal(symlink("/nowhere", path), 0);
	start_keeper();
	assert_int_equal(create(), -EEXIST);
}

static void nothing_is_made_without_a_keeper_or_space(void **state)
{
	(void)state;
	assert_int_not_equal(create(), 0);
	assert_false(is_there());
	copies.disks[0].used = 1ull << 59;
	start_keeper();
	assert_int_equal(create(), -ENOSPC);
	assert_non_null(strstr(why, "less space"));
	assert_false(is_there());
}

static void image_is_made_in_its_format(void **state)
{
	char magic[8] = "";
	int fd;

	(void)state;
	if (system("qemu-img --version >/dev/null 2>&1"))
		skip();
	cfg.disks[0].spec.format = "qcow2";
	start_keeper();
	if (create())
		fail_msg("%s", why);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, magic, 4), 4);
	assert_memory_equal(magic, "QFI\xfb", 4);
	close(fd);
	end_keeper();
	cfg.disks[0].spec.format = "vmdk";
	copies.disks[0].bytes = 512; /* qemu-img says why it cannot */
	start_keeper();
	setenv("PATH", "/nowhere", 1);
	assert_int_not_equal(create(), 0);
	assert_non_null(strstr(why, "qemu-img"));
}

/* ---- which ---- */

static void only_writable_files_are_copied(void **state)
{
	struct disk_config dc = cfg.disks[0];
	char text[100];

	(void)state;
	assert_int_equal(disk_copies_can(&dc, text, sizeof(text)), 1);
	dc.spec.read_only = true;
	assert_int_equal(disk_copies_can(&dc, text, sizeof(text)), 0);
	dc = cfg.disks[0];
	dc.spec.dvd = true;
	assert_int_equal(disk_copies_can(&dc, text, sizeof(text)), 0);
	dc = cfg.disks[0];
	dc.spec.path = "nbd://host/e";
	assert_int_equal(disk_copies_can(&dc, text, sizeof(text)), 0);
	dc.spec.path = NULL;
	assert_int_equal(disk_copies_can(&dc, text, sizeof(text)), 0);
	dc = cfg.disks[0];
	dc.spec.num_backing = 1;
	assert_int_equal(disk_copies_can(&dc, text, sizeof(text)), -EINVAL);
	assert_non_null(strstr(text, "overlay"));
	cfg.disks[0].spec.read_only = true;
	assert_int_equal(disk_copies_mark(&copies, &cfg, why, sizeof(why)), -EINVAL);
	assert_false(cfg.disks[0].spec.copied);
	cfg.disks[0].spec.read_only = false;
	cfg.disks[0].lun = 3;
	assert_int_equal(disk_copies_mark(&copies, &cfg, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not among its options"));
}

/* ---- the section ---- */

static int get(const struct kvmb_tlv_out *o, struct disk_copies *out)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, &t, &error), 0);
	assert_int_equal(t.tag, KVMB_SEC_COPY);
	return disk_copies_get(&t, out);
}

static void section_says_what_was_put(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	struct disk_copies out;

	(void)state;
	copies.num = 2;
	copies.disks[1] = (struct disk_copy){ .controller = 3, .lun = 63, .bytes = 1ull << 50 };
	disk_copies_put(&copies, &o);
	assert_int_equal(get(&o, &out), 0);
	assert_int_equal(out.num, 2);
	assert_memory_equal(out.disks, copies.disks, 2 * sizeof(out.disks[0]));
	kvmb_tlv_out_fini(&o);
}

static void liar_is_refused(void **state)
{
	static const struct disk_copy lies[] = {
		{ .lun = 64, .bytes = 512 },
		{ .controller = KVMB_STORAGE_MAX_CONTROLLERS, .bytes = 512 },
		{ .bytes = 0 },
		{ .bytes = 511 },
		{ .bytes = (1ull << 60) + 512 },
		{ .bytes = 512, .used = UINT64_MAX },
		{ .lun = 2, .bytes = 512 }, /* twice */
	};
	struct disk_copies out;
	size_t i;

	(void)state;
	copies.num = 2;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		struct kvmb_tlv_out o = { 0 };

		copies.disks[1] = lies[i];
		disk_copies_put(&copies, &o);
		CHECK_ROW(get(&o, &out), -EPROTO, i);
		kvmb_tlv_out_fini(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(file_is_made_of_that_size_for_its_owner),
		T(file_that_is_to_stay_stays),
		T(file_that_has_taken_its_place_is_not_removed),
		T(file_that_exists_is_not_used_however_empty),
		T(nothing_is_made_without_a_keeper_or_space),
		T(only_writable_files_are_copied),
		T(section_says_what_was_put),
		T(liar_is_refused),
		T(image_is_made_in_its_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
