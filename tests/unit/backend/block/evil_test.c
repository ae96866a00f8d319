// SPDX-License-Identifier: GPL-2.0-only
/*
 * Images that name other files of the host (tests/harness/evil-images.py), opened as "run", "disk
 * add" and "insert" open them, with the real storage daemon. What they name is watched: nobody may
 * open it, nor connect to it.
 */
#include "tests/harness/evil.h"
#include "tests/harness/keeper.h"
#include "tests/harness/fast_clock.h"
#include "tests/harness/patience.h"

static int bad;

static void is_refused(const char *spec, const char *words)
{
	char why[KVMB_DISK_WHY];
	struct kvmb_disk *d;
	int err = open_spec(spec, &d, why);

	if (err >= 0 || strchr(why, '\n') || !strstr(why, words)) {
		print_error("%s: %d, \"%s\", not \"%s\"\n", spec, err, why, words);
		bad++;
	}
	kvmb_disk_close(d);
	if (victim_was_touched()) {
		print_error("%s: what it names was opened\n", spec);
		bad++;
	}
}

static void what_a_header_names_is_not_opened(void **state)
{
	(void)state;
	assert_true(for_each_case(is_refused) > 40);
	assert_int_equal(bad, 0);
	assert_int_equal(daemon_pid(), 0);
}

static void a_link_that_the_user_names_is_followed(void **state)
{
	char why[KVMB_DISK_WHY];
	struct kvmb_disk *d;

	(void)state;
	assert_int_equal(open_spec("goodlink.qcow2", &d, why), 0);
	assert_int_equal(kvmb_disk_bytes(d), 1 << 20);
	kvmb_disk_close(d);
}

/* A raw disk in whose first block its guest has written the header of an image. */
static void a_raw_disk_stays_raw_whatever_its_guest_wrote(void **state)
{
	char why[KVMB_DISK_WHY], magic[4];
	struct kvmb_disk *d;

	(void)state;
	assert_int_equal(open_spec("abs-qcow2.img", &d, why), -EINVAL);
	assert_non_null(strstr(why, "guest")); /* the hint says who may have written it */
	assert_int_equal(open_spec("abs-qcow2.img,format=raw", &d, why), 0);
	assert_int_equal(pread(d->fd, magic, 4, 0), 4);
	assert_memory_equal(magic, "QFI\xfb", 4);
	kvmb_disk_close(d);
	assert_false(victim_was_touched());
}

/* It was checked when it was opened; it is checked again before each new daemon sees it. */
static void an_image_that_turns_evil_is_not_given_to_a_new_daemon(void **state)
{
	char why[KVMB_DISK_WHY], cmd[256];
	struct kvmb_disk *d;
	u64 until;

	(void)state;
	assert_int_equal(open_spec("good.qcow2", &d, why), 0);
	snprintf(cmd, sizeof(cmd),
		 "dd if=%s/abs.qcow2 of=%s/good.qcow2 bs=64k count=1 conv=notrunc status=none", dir,
		 dir);
	assert_int_equal(system(cmd), 0);
	set_clock(5);
	kill(daemon_pid(), SIGKILL);
	until = real_ms() + PATIENCE_MS;
	while (strcmp(kvmb_disk_health(d), "failed") && real_ms() < until)
		usleep(10000);
	set_clock(1);
	assert_string_equal(kvmb_disk_health(d), "failed");
	assert_int_equal(daemon_pid(), 0);
	kvmb_disk_close(d);
	assert_false(victim_was_touched());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_header_names_is_not_opened),
		cmocka_unit_test(a_link_that_the_user_names_is_followed),
		cmocka_unit_test(a_raw_disk_stays_raw_whatever_its_guest_wrote),
		cmocka_unit_test(an_image_that_turns_evil_is_not_given_to_a_new_daemon),
	};

	if (system("qemu-storage-daemon --version >/dev/null 2>&1 && "
		"qemu-img --version >/dev/null 2>&1"))
		return 77;
	start_keeper();
	return cmocka_run_group_tests(tests, make_images, remove_images);
}
