// SPDX-License-Identifier: GPL-2.0-only
/* All disks are flushed, or one phrase says which was not; a flush that hangs can be ended. */
#include "vmm/disk_flush.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disks_priv.h"

static struct vm vm;
static struct kvmb_disk disks[2];
static struct kvmb_disk_req *waits; /* at a server that is dead */
static char why[STATE_FILE_WHY];

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v, (void)c;
	if (*lun == ARRAY_SIZE(disks))
		return false;
	*i = (struct kvmb_unit_info){ .disk = disks[*lun].path[0] ? &disks[*lun] : NULL };
	return true;
}

static void submit(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	assert_int_equal(r->io, KVMB_IO_FLUSH);
	waits = r;
}

static void answer(int result)
{
	struct kvmb_disk_req *r = waits;

	waits = NULL;
	r->result = result;
	r->done(r);
}

static void cancel(struct kvmb_disk *d, struct kvmb_disk_req *r)
{
	(void)d;
	assert_ptr_equal(r, waits);
	answer(-ECANCELED);
}

static bool let_go;
static int gone_err;
static u32 awaited;

static void on_let_go(struct kvmb_disk *d)
{
	(void)d;
	let_go = true;
}

static int on_gone(struct kvmb_disk *d, char *text, size_t size)
{
	(void)d;
	assert_true(let_go);
	awaited++;
	snprintf(text, size, "its daemon does not close it");
	return gone_err;
}

static const struct kvmb_disk_ops server = {
	.submit = submit, .cancel = cancel, .let_go = on_let_go, .gone = on_gone
};

static int setup(void **state)
{
	(void)state;
	memset(disks, 0, sizeof(disks));
	disks[0] = (struct kvmb_disk){ .fd = memfd_create("disk", 0), .path = "/raw" };
	strcpy(why, "said before");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(disks[0].fd);
	return 0;
}

static void add_server(void)
{
	disks[1] = (struct kvmb_disk){ .fd = -1, .path = "/served", .ops = &server };
}

static void *end_flush(void *arg)
{
	return (void *)(intptr_t)disk_flush_end(arg, why);
}

static void all_disks_are_waited_for(void **state)
{
	struct disk_flush *f;
	pthread_t t;
	void *err;

	(void)state;
	add_server();
	f = disk_flush_begin(&vm);
	assert_int_equal(pthread_create(&t, NULL, end_flush, f), 0);
	answer(0);
	pthread_join(t, &err);
	disk_flush_free(&vm, f);
	assert_null(err);
	assert_string_equal(why, "said before");
}

static void disk_that_fails_is_named(void **state)
{
	struct disk_flush *f;

	(void)state;
	add_server();
	f = disk_flush_begin(&vm);
	answer(-EIO);
	assert_int_equal(disk_flush_end(f, why), -EIO);
	disk_flush_free(&vm, f);
	assert_non_null(strstr(why, "disk /served"));
}

/* The VM goes on, and its guest must not believe that its writes are on the disk. */
static void guest_is_owed_an_error_that_it_did_not_hear(void **state)
{
	struct disk_flush *f;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(dup2(pipes[1], disks[0].fd), disks[0].fd); /* which cannot be synced */
	add_server();
	f = disk_flush_begin(&vm);
	answer(0);
	assert_int_equal(disk_flush_end(f, why), -EINVAL);
	disk_flush_free(&vm, f);
	close(pipes[0]), close(pipes[1]);
	assert_int_equal(kvmb_disk_take_owed(&disks[0]), -EINVAL);
	assert_int_equal(kvmb_disk_take_owed(&disks[0]), 0);
	assert_int_equal(kvmb_disk_take_owed(&disks[1]), 0);
}

/* Who tries again gets no further: elsewhere the guest would never hear of it. */
static void vm_that_is_owed_an_error_does_not_leave(void **state)
{
	struct disk_flush *f;

	(void)state;
	add_server();
	for (u32 i = 0; i < 2; i++) {
		kvmb_disk_owe(&disks[i], -EIO);
		f = disk_flush_begin(&vm);
		answer(0);
		assert_int_equal(disk_flush_end(f, why), -EIO);
		assert_non_null(strstr(why, disks[i].path));
		assert_int_equal(kvmb_disk_take_owed(&disks[i]), -EIO);
		disk_flush_free(&vm, f); /* the guest has heard it just before */
		assert_int_equal(kvmb_disk_take_owed(&disks[i]), 0);
	}
}

/* Who cancels has another reason, which is the one to be told. */
static void cancelled_flush_does_not_say_why(void **state)
{
	struct disk_flush *f = disk_flush_begin(&vm);

	(void)state;
	disk_flush_cancel(f);
	assert_int_equal(disk_flush_end(f, why), -ECANCELED);
	disk_flush_free(&vm, f);
	assert_int_equal(kvmb_disk_take_owed(&disks[0]), 0);
	assert_string_equal(why, "said before");
}

static void flush_that_hangs_can_be_cancelled(void **state)
{
	struct disk_flush *f;
	pthread_t t;
	void *err;

	(void)state;
	add_server();
	f = disk_flush_begin(&vm);
	assert_int_equal(pthread_create(&t, NULL, end_flush, f), 0);
	usleep(10000);
	disk_flush_cancel(f);
	pthread_join(t, &err);
	disk_flush_free(&vm, f);
	assert_int_equal((int)(intptr_t)err, -ECANCELED);
}

static int flush_and_let_go(int result)
{
	struct disk_flush *f;
	int err;

	add_server();
	let_go = false;
	awaited = 0;
	f = disk_flush_begin(&vm);
	disk_flush_let_go(f);
	assert_true(let_go); /* at once: it is closed while memory is sent */
	answer(result);
	err = disk_flush_end(f, why);
	disk_flush_free(&vm, f);
	return err;
}

/* Before another process opens it. */
static void image_that_moves_is_closed(void **state)
{
	(void)state;
	gone_err = 0;
	assert_int_equal(flush_and_let_go(0), 0);
	assert_int_equal(awaited, 1);
	assert_string_equal(why, "said before");
}

static void image_that_is_not_closed_is_named(void **state)
{
	(void)state;
	gone_err = -EIO;
	assert_int_equal(flush_and_let_go(0), -EIO);
	assert_string_equal(why, "disk /served: its daemon does not close it");
}

/* It would wait for what cannot be written. */
static void image_that_was_not_flushed_is_not_waited_for(void **state)
{
	(void)state;
	assert_int_equal(flush_and_let_go(-ENOSPC), -ENOSPC);
	assert_int_equal(awaited, 0);
	assert_non_null(strstr(why, "cannot be flushed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_disks_are_waited_for),
		T(disk_that_fails_is_named),
		T(guest_is_owed_an_error_that_it_did_not_hear),
		T(vm_that_is_owed_an_error_does_not_leave),
		T(cancelled_flush_does_not_say_why),
		T(flush_that_hangs_can_be_cancelled),
		T(image_that_moves_is_closed),
		T(image_that_is_not_closed_is_named),
		T(image_that_was_not_flushed_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
