// SPDX-License-Identifier: GPL-2.0-only
/* Drives on IDE stand and go on, whatever crosses; what media they had. The chip is played. */
#include "vmm/disks_ide.h"

#include <string.h>

#include "backend/block/disk.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ide.h"
#include "machine/gen1.h"
#include "tests/unit/test.h"
#include "vmm/ide_disks.h"

static struct vm vm;
static void (*told)(void *arg); /* of ide_stop(): a request is under way */
static void *told_arg;
static bool busy, stands;
static u32 stops, resumes, dones, closed;

/* ---- the controller and its glue ---- */

struct ide *gen1_ide(struct gen1 *g)
{
	(void)g;
	return (struct ide *)(void *)&vm;
}

void gen1_end_ide(struct gen1 *g)
{
	(void)g;
	assert_true(stands);
}

void ide_stop(struct ide *ide, void (*done)(void *arg), void *arg)
{
	(void)ide;
	assert_null(told); /* once a time */
	stops++;
	if (busy) {
		told = done;
		told_arg = arg;
	} else {
		stands = true;
		done(arg);
	}
}

static void request_ends(void)
{
	void (*fn)(void *arg) = told;

	told = NULL;
	stands = true;
	fn(told_arg);
}

void ide_resume(struct ide *ide)
{
	(void)ide;
	assert_null(told); /* not before it has told */
	resumes++;
	stands = false;
}

void ide_cancel(struct ide *ide, u32 drive)
{
	(void)ide;
	if (!drive && told)
		request_ends();
	if (!drive)
		busy = false;
}

struct ide_disks *ide_disks_create(struct ide *ide, const char *name, struct kvmb_loop *loop,
				   const struct ide_disk_events *events, void *arg)
{
	(void)ide, (void)name, (void)loop, (void)events, (void)arg;
	return (struct ide_disks *)(void *)&stops;
}
int ide_disks_attach(struct ide_disks *all, u32 drive, bool dvd, struct kvmb_disk *d)
{
	(void)all, (void)drive, (void)dvd, (void)d;
	return 0;
}
void ide_disks_destroy(struct ide_disks *all)
{
	(void)all;
}
void ide_disks_retry(struct ide_disks *all)
{
	(void)all;
}
bool ide_disks_locked(const struct ide_disks *all, u32 drive)
{
	(void)all;
	return drive == 1;
}
bool vm_stop(struct vm *v, const char *reason)
{
	(void)v, (void)reason;
	return true;
}

/* ---- disks ---- */

static void close_disk(struct kvmb_disk *d)
{
	(void)d;
	closed++;
}

static const struct kvmb_disk_ops disk_ops = { .close = close_disk };

static struct kvmb_disk *make_disk(u64 blocks)
{
	struct kvmb_disk *d = kvmb_xzalloc(sizeof(*d));

	d->fd = d->lock_fd = -1;
	d->ops = &disk_ops;
	d->block = 512;
	d->blocks = blocks;
	strcpy(d->serial, "number");
	strcpy(d->path, "/d");
	return d;
}

static struct kvmb_disk *disk; /* drive 0; drive 1 is an empty CD drive */

static void build(struct vm *v, u64 blocks)
{
	v->cfg.name = "t";
	v->loop = kvmb_loop_create();
	disk = make_disk(blocks);
	disks_ide_keep(v, disk, false);
	disks_ide_keep(v, NULL, true);
	assert_int_equal(disks_ide_connect(v), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof(vm));
	told = NULL;
	busy = stands = false;
	stops = resumes = dones = closed = 0;
	build(&vm, 2048);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disks_ide_end(&vm);
	assert_null(vm.ide);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

static void done(void *arg)
{
	assert_ptr_equal(arg, &dones);
	assert_true(stands);
	dones++;
}

static void turn(void)
{
	kvmb_loop_once(vm.loop, 0);
}

/* ---- standing ---- */

static void drives_stand_when_their_request_is_done(void **state)
{
	(void)state;
	busy = true;
	disks_ide_rest(&vm, done, &dones);
	turn();
	assert_int_equal(dones, 0);
	request_ends();
	turn();
	assert_int_equal(dones, 1);
	disks_ide_go_on(&vm);
	assert_int_equal(resumes, 1);
}

/* Who does not wait any longer is not called, and drives go on when they can. */
static void going_on_crosses_the_end_of_a_request(void **state)
{
	(void)state;
	busy = true;
	disks_ide_rest(&vm, done, &dones);
	disks_ide_go_on(&vm);
	assert_int_equal(resumes, 0);
	request_ends();
	turn();
	assert_int_equal(dones, 0);
	assert_int_equal(resumes, 1);
	assert_false(stands);
}

static void another_wait_begins_before_the_first_is_over(void **state)
{
	(void)state;
	busy = true;
	disks_ide_rest(&vm, done, &dones);
	disks_ide_go_on(&vm);
	disks_ide_rest(&vm, done, &dones);
	assert_int_equal(stops, 1);
	request_ends();
	turn();
	assert_int_equal(dones, 1);
	assert_int_equal(resumes, 0);
	disks_ide_go_on(&vm);
	assert_int_equal(resumes, 1);
}

static void drives_of_a_vm_that_has_ended_stay(void **state)
{
	(void)state;
	disks_ide_rest(&vm, done, &dones);
	turn();
	vm.state = VM_ENDED;
	disks_ide_go_on(&vm);
	assert_int_equal(resumes, 0);
	teardown(NULL);
	setup(NULL);
	busy = true;
	disks_ide_rest(&vm, done, &dones);
	disks_ide_go_on(&vm);
	vm.state = VM_ENDED;
	request_ends();
	turn();
	assert_int_equal(resumes, 0);
}

static void end_comes_while_a_request_is_under_way(void **state)
{
	(void)state;
	busy = true;
	disks_ide_rest(&vm, done, &dones);
	disks_ide_end(&vm);
	assert_int_equal(dones, 0);
	assert_int_equal(stops, 1);
	assert_int_equal(closed, 1);
	kvmb_loop_destroy(vm.loop);
	setup(NULL);
}

static void vm_without_drives_stands_at_once(void **state)
{
	struct vm none = { .state = VM_PAUSED };

	(void)state;
	stands = true;
	disks_ide_rest(&none, done, &dones);
	assert_int_equal(dones, 1);
	disks_ide_go_on(&none);
	assert_int_equal(resumes, 0);
}

/* ---- media ---- */

static struct kvmb_tlv_error error;

static const char *load(const struct kvmb_tlv_out *o)
{
	struct kvmb_tlv t;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, &t, &error), 0);
	disks_ide_load(&vm, &t);
	return error.text;
}

static void save(struct kvmb_tlv_out *o)
{
	kvmb_tlv_begin(o, KVMB_SEC_VM, 0, 0);
	disks_ide_save(&vm, o);
	kvmb_tlv_end(o);
}

static void media_are_what_they_were(void **state)
{
	struct kvmb_tlv_out o = { 0 };

	(void)state;
	disk->naa = 77;
	save(&o);
	disk->naa = 1;
	strcpy(disk->serial, "other");
	assert_string_equal(load(&o), "");
	assert_string_equal(disk->serial, "number");
	assert_int_equal(disk->naa, 77);
	disk->blocks = 4096; /* it has grown */
	assert_string_equal(load(&o), "");
	disk->blocks = 2047;
	assert_non_null(strstr(load(&o), "IDE drive 0: it is smaller than it was"));
	disk->away = true; /* not open yet: that is what it must have */
	assert_string_equal(load(&o), "");
	assert_int_equal(disk->blocks, 2048);
	disk->block = 4096;
	assert_non_null(strstr(load(&o), "IDE drive 0: its blocks have another size"));
	kvmb_tlv_out_fini(&o);
}

static void group(struct kvmb_tlv_out *o, bool there, u64 block, u64 blocks, const char *serial)
{
	kvmb_tlv_group(o, 1);
	kvmb_tlv_put(o, 1, there);
	if (there) {
		kvmb_tlv_put(o, 2, block);
		kvmb_tlv_put(o, 3, blocks);
		kvmb_tlv_put_str(o, 4, serial);
		kvmb_tlv_put(o, 5, 0);
	}
	kvmb_tlv_group_end(o);
}

static void media_that_lie_are_refused(void **state)
{
	static const struct {
		u32 drives;
		bool there[3];
		u64 blocks;
		const char *serial, *why;
	} rows[] = {
		{ 2, { true }, 2048, "a", "" },
		{ 2, { false }, 2048, "a", "IDE drive 0: it has a medium, and was empty" },
		{ 2, { true, true }, 1, "a", "IDE drive 1: it is empty, and had a medium" },
		{ 1, { true }, 2048, "a", "IDE drive 1: the saved VM did not have it" },
		{ 3, { true }, 2048, "a", "IDE drive 2: this VM does not have it" },
		{ 2, { true }, ~0ull, "a", "IDE drive 0: it is smaller" },
		{ 2, { true }, 2048, "a\n", "IDE drive 0: its serial number is not printable" },
		{ 2, { true }, 2048, "123456789012345678901", "no string" },
	};
	struct kvmb_tlv_out o = { 0 };
	u32 i, n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		kvmb_tlv_begin(&o, KVMB_SEC_VM, 0, 0);
		for (n = 0; n < rows[i].drives; n++)
			group(&o, rows[i].there[n], 512, rows[i].blocks, rows[i].serial);
		kvmb_tlv_end(&o);
		if (!strstr(load(&o), rows[i].why) || !rows[i].why[0] != !error.err)
			fail_msg("row %u: %s", i, error.text);
		kvmb_tlv_out_fini(&o);
	}
	disk->away = true;
	kvmb_tlv_begin(&o, KVMB_SEC_VM, 0, 0);
	group(&o, true, 512, ~0ull, "a");
	kvmb_tlv_end(&o);
	assert_non_null(strstr(load(&o), "there is no disk of that size"));
	kvmb_tlv_out_fini(&o);
}

static void each_drive_is_found(void **state)
{
	struct kvmb_unit_info i;
	u32 drive = 0;

	(void)state;
	assert_true(disks_ide_each(&vm, &drive, &i));
	assert_ptr_equal(i.disk, disk);
	assert_false(i.dvd || i.locked);
	drive = 1;
	assert_true(disks_ide_each(&vm, &drive, &i));
	assert_true(!i.disk && i.dvd && i.locked);
	drive = 2;
	assert_false(disks_ide_each(&vm, &drive, &i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(drives_stand_when_their_request_is_done),
		T(going_on_crosses_the_end_of_a_request),
		T(another_wait_begins_before_the_first_is_over),
		T(drives_of_a_vm_that_has_ended_stay),
		T(end_comes_while_a_request_is_under_way),
		T(vm_without_drives_stands_at_once),
		T(media_are_what_they_were),
		T(media_that_lie_are_refused),
		T(each_drive_is_found),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
