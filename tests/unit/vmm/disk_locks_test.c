// SPDX-License-Identifier: GPL-2.0-only
/* Disks that move: all or none; who can tell whether they were written. Disks are played here. */
#include "vmm/disk_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disks_priv.h"
#include "vmm/vars.h"

static struct vm vm;
static struct kvmb_disk disks[3]; /* raw, image, image */
static int fetch_err[3];
static bool is_open[3];
static char why[200];

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v, (void)c;
	if (*lun == ARRAY_SIZE(disks))
		return false;
	*i = (struct kvmb_unit_info){ .disk = disks[*lun].ops ? &disks[*lun] : NULL };
	return true;
}

static int on_fetch(struct kvmb_disk *d, char *text, size_t size)
{
	snprintf(text, size, "no daemon");
	is_open[d - disks] = !fetch_err[d - disks];
	return fetch_err[d - disks];
}

static void on_let_go(struct kvmb_disk *d)
{
	is_open[d - disks] = false;
}

static int on_gone(struct kvmb_disk *d, char *text, size_t size)
{
	(void)text, (void)size;
	assert_false(is_open[d - disks]);
	return 0;
}

static void on_fetch_back(struct kvmb_disk *d)
{
	is_open[d - disks] = true;
}

static const struct kvmb_disk_ops raw, image = {
	.fetch = on_fetch, .let_go = on_let_go, .gone = on_gone, .fetch_back = on_fetch_back
};

static int setup(void **state)
{
	u32 i;

	(void)state;
	memset(fetch_err, 0, sizeof(fetch_err));
	memset(is_open, 0, sizeof(is_open));
	disks[0] = (struct kvmb_disk){ .fd = memfd_create("raw", 0), .lock_fd = -1, .ops = &raw };
	for (i = 1; i < ARRAY_SIZE(disks); i++)
		disks[i] = (struct kvmb_disk){ .fd = -1,
					       .lock_fd = memfd_create("image", 0),
					       .ops = &image,
					       .away = true,
					       .path = "/i" };
	disk_locks_note(&vm);
	return 0;
}

static int teardown(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(disks); i++)
		close(KVMB_MAX(disks[i].fd, disks[i].lock_fd));
	return 0;
}

static void touch(u32 i)
{
	const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };

	assert_int_equal(futimens(KVMB_MAX(disks[i].fd, disks[i].lock_fd), times), 0);
}

static void all_images_are_opened_or_none(void **state)
{
	(void)state;
	fetch_err[2] = -EIO;
	assert_int_equal(disk_locks_fetch(&vm, why, sizeof(why)), -EIO);
	assert_string_equal(why, "disk /i: no daemon");
	assert_false(is_open[1] || is_open[2]);
	setup(state);
	assert_int_equal(disk_locks_fetch(&vm, why, sizeof(why)), 0);
	assert_true(is_open[1] && is_open[2]);
	assert_false(disks[1].away || disks[2].away);
	disk_locks_let_go(&vm);
	assert_false(is_open[1] || is_open[2]);
	disk_locks_fetch_back(&vm);
	assert_true(is_open[1] && is_open[2]);
}

/* Its tables of before would be used. */
static void image_that_was_written_since_is_not_opened(void **state)
{
	(void)state;
	touch(2);
	assert_int_equal(disk_locks_fetch(&vm, why, sizeof(why)), -ESTALE);
	assert_false(is_open[1] || is_open[2]);
}

static void one_that_was_written_tells_for_all(void **state)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(disks); i++) {
		assert_int_equal(disk_locks_tell(&vm), 0);
		touch(i);
		assert_int_equal(disk_locks_tell(&vm), -ESTALE);
		teardown(state);
		setup(state);
	}
	/* to open it is to write to it: that nobody wrote to another one proves nothing */
	disks[1].open_writes = true;
	assert_int_equal(disk_locks_tell(&vm), -ENODATA);
	touch(1);
	assert_int_equal(disk_locks_tell(&vm), -ENODATA);
	touch(2);
	assert_int_equal(disk_locks_tell(&vm), -ESTALE);
}

/* At a server there is nothing to lock, and nobody can tell. */
static void server_has_no_lock(void **state)
{
	(void)state;
	close(disks[1].lock_fd);
	disks[1].lock_fd = -1;
	assert_int_equal(disk_locks_take(&vm, why, sizeof(why)), 0);
	disk_locks_note(&vm);
	assert_int_equal(disk_locks_tell(&vm), -ENODATA);
	touch(0);
	assert_int_equal(disk_locks_tell(&vm), -ESTALE);
	disk_locks_give_up(&vm);
	disks[1].read_only = true;
	disk_locks_note(&vm);
	assert_int_equal(disk_locks_tell(&vm), 0);
}

static bool is_free(int fd)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[32];
	bool free;
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	assert_true(other >= 0);
	free = !fcntl(other, F_OFD_SETLK, &fl);
	close(other);
	return free;
}

/*
 * Each side has a file of its own: that nobody has written to ours, or that somebody has, and that
 * we get its lock, says nothing of who has the VM. A source would go on while the target runs.
 */
static void disk_that_is_copied_tells_nothing(void **state)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(disks); i++)
		disks[i].copied = true;
	assert_int_equal(disk_locks_take(&vm, why, sizeof(why)), 0);
	disk_locks_note(&vm);
	assert_int_equal(disk_locks_tell(&vm), -ENODATA);
	touch(0);
	assert_int_equal(disk_locks_tell(&vm), -ENODATA);
	/* nobody is to start another VM with it before that is known */
	disk_locks_give_up(&vm);
	assert_false(is_free(disks[0].fd));
	/* one that is shared and was written tells for all */
	disks[2].copied = false;
	assert_int_equal(disk_locks_tell(&vm), -ENODATA);
	touch(2);
	assert_int_equal(disk_locks_tell(&vm), -ESTALE);
	disk_locks_give_up(&vm);
	assert_true(is_free(disks[2].lock_fd));
	(void)state;
}

/* The file of the firmware's variables goes with the disks, or nothing goes. */
static void variables_go_with_the_disks(void **state)
{
	static const u8 fresh[4096];
	u8 content[4096];
	char path[] = "/tmp/kvmb-locks-XXXXXX/vars";
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int other, fd;

	(void)state;
	path[22] = 0;
	assert_non_null(mkdtemp(path));
	path[22] = '/';
	fd = vars_open(path, fresh, sizeof(fresh), false, why, sizeof(why));
	assert_true(fd >= 0);
	vm.vars = vars_create("t", fd, content, sizeof(content), why, sizeof(why));
	assert_non_null(vm.vars);
	other = open(path, O_RDWR);
	assert_int_equal(fcntl(other, F_OFD_SETLK, &fl), 0);
	assert_int_equal(disk_locks_take(&vm, why, sizeof(why)), -EBUSY);
	assert_string_equal(why, "the file of its firmware's variables: another VM uses it");
	assert_true(is_free(disks[0].fd));
	close(other);
	assert_int_equal(disk_locks_take(&vm, why, sizeof(why)), 0);
	assert_false(is_free(fd) || is_free(disks[0].fd));
	disk_locks_give_up(&vm);
	assert_true(is_free(fd) && is_free(disks[0].fd));
	assert_true(vars_destroy(vm.vars, 5000));
	vm.vars = NULL;
	unlink(path);
	path[22] = 0;
	rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_images_are_opened_or_none),
		T(image_that_was_written_since_is_not_opened),
		T(one_that_was_written_tells_for_all),
		T(server_has_no_lock),
		T(disk_that_is_copied_tells_nothing),
		T(variables_go_with_the_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
