// SPDX-License-Identifier: GPL-2.0-only
/* Content of disks from a source that lies: nothing is written but to a copied disk, inside it. */
#include "vmm/mig_disks_in.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/block/disk.h"
#include "lib/util.h"
#include "tests/unit/test.h"
#include "vmm/disks_priv.h"
#include "vmm/mig_disks.h"

#define BYTES (1u << 20)

/* at 0:0 one that is copied, 0:1 one that is not, 0:2 one that is read-only, 0:3 an empty drive */
static struct kvmb_disk disks[3];
static struct vm vm;
static struct mig_disks_in in;
static struct kvmb_tlv_out o;
static struct kvmb_tlv t;
static struct kvmb_tlv_error error;
static char why[MIG_WHY];

bool disks_each_unit(struct vm *v, u32 *c, u32 *lun, struct kvmb_unit_info *i)
{
	(void)v;
	if (*c || *lun > 3)
		return false;
	*i = (struct kvmb_unit_info){ .disk = *lun < 3 ? &disks[*lun] : NULL };
	return true;
}

static int setup(void **state)
{
	u32 i;

	(void)state;
	in = (struct mig_disks_in){ 0 };
	for (i = 0; i < 3; i++) {
		disks[i] = (struct kvmb_disk){ .fd = memfd_create("d", 0),
					       .lock_fd = -1,
					       .block = 512,
					       .blocks = BYTES / 512,
					       .path = "/d" };
		assert_int_equal(ftruncate(disks[i].fd, BYTES), 0);
	}
	disks[0].copied = disks[2].copied = true;
	disks[2].read_only = true;
	why[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	u32 i;

	(void)state;
	mig_disks_in_fini(&in);
	kvmb_tlv_out_fini(&o);
	for (i = 0; i < 3; i++)
		close(disks[i].fd);
	return 0;
}

static void begin(u64 controller, u64 lun)
{
	o.len = 0;
	kvmb_tlv_begin(&o, KVMB_SEC_DISK, 0, KVMB_TLV_CRITICAL);
	kvmb_tlv_put(&o, MIG_DISK_CONTROLLER, controller);
	kvmb_tlv_put(&o, MIG_DISK_LUN, lun);
}

static int take(void)
{
	size_t pos = 0;

	kvmb_tlv_end(&o);
	memset(&error, 0, sizeof(error));
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &error), 0);
	return mig_disks_in_take(&in, &vm, &t, why);
}

static int take_data(u64 controller, u64 lun, u64 offset, size_t len)
{
	static u8 bytes[2 * MIG_CHUNK];

	memset(bytes, 7, sizeof(bytes));
	begin(controller, lun);
	kvmb_tlv_put(&o, MIG_DISK_OFFSET, offset);
	kvmb_tlv_put_bytes(&o, MIG_DISK_DATA, bytes, len);
	return take();
}

static int take_zeroes(u64 offset, u64 len)
{
	begin(0, 0);
	kvmb_tlv_put(&o, MIG_DISK_OFFSET, offset);
	kvmb_tlv_put(&o, MIG_DISK_ZERO, len);
	return take();
}

static int take_all(u64 lun, u64 bytes)
{
	begin(0, lun);
	kvmb_tlv_put(&o, MIG_DISK_ALL, bytes);
	return take();
}

static bool is_untouched(void)
{
	u32 i;

	for (i = 0; i < 3; i++) {
		if (lseek(disks[i].fd, 0, SEEK_DATA) >= 0 ||
		    lseek(disks[i].fd, 0, SEEK_END) != BYTES)
			return false;
	}
	return true;
}

static void other_disks_are_not_written_to(void **state)
{
	static const struct {
		u64 controller, lun;
	} rows[] = { { 0, 1 }, { 0, 2 },  { 0, 3 },	     { 0, 4 },	       { 1, 0 },
		     { 4, 0 }, { 0, 64 }, { 0, UINT64_MAX }, { 1ull << 32, 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_ROW(take_data(rows[i].controller, rows[i].lun, 0, 512), -EPROTO, i);
	assert_true(is_untouched());
	assert_int_equal(take_all(1, BYTES), -EPROTO);
	assert_non_null(strstr(error.text, "section disk"));
}

static void what_the_disk_does_not_have_is_not_written(void **state)
{
	static const struct {
		u64 offset;
		size_t len;
	} rows[] = { { BYTES, 512 },
		     { BYTES - 512, 1024 },
		     { UINT64_MAX - 511, 512 },
		     { 1ull << 63, 512 },
		     { 0, 2 * MIG_CHUNK },
		     { 0, 0 },
		     { 1, 512 },
		     { 0, 511 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_ROW(take_data(0, 0, rows[i].offset, rows[i].len), -EPROTO, i);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_ROW(take_zeroes(rows[i].offset, rows[i].len), -EPROTO, i);
	assert_int_equal(take_zeroes(0, UINT64_MAX), -EPROTO);
	assert_true(is_untouched());
}

static void section_that_says_nothing_or_too_much_is_refused(void **state)
{
	(void)state;
	begin(0, 0);
	assert_int_equal(take(), -EPROTO);
	begin(0, 0);
	kvmb_tlv_put(&o, 200, 1); /* of a newer version */
	kvmb_tlv_critical(&o);
	kvmb_tlv_put(&o, MIG_DISK_ALL, BYTES);
	assert_int_equal(take(), -EOPNOTSUPP);
	assert_int_equal(mig_disks_in_finish(&in, &vm, why), -EPROTO);
	assert_true(is_untouched());
}

static void disk_is_complete_once_and_at_the_end(void **state)
{
	(void)state;
	disks[2].copied = false;
	assert_int_equal(mig_disks_in_finish(&in, &vm, why), -EPROTO);
	assert_string_equal(why, "disk /d did not come; is kvmbus older there?");
	assert_int_equal(take_all(0, BYTES + 512), -EPROTO); /* it was resized meanwhile */
	assert_int_equal(take_data(0, 0, BYTES - 512, 512), 0);
	assert_int_equal(take_all(0, BYTES), 0);
	assert_int_equal(take_all(0, BYTES), -EPROTO);
	assert_int_equal(take_data(0, 0, 0, 512), -EPROTO);
	assert_int_equal(mig_disks_in_finish(&in, &vm, why), 0);
	assert_int_equal(lseek(disks[0].fd, 0, SEEK_DATA), BYTES - 4096);
	mig_disks_in_settle(&vm);
	assert_false(disks[0].copied);
}

/* With and without a file that gives space back. */
static void zeroes_take_the_place_of_what_was_there(void **state)
{
	u8 byte;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		disks[0].can_zero = i;
		assert_int_equal(take_data(0, 0, 8192, 4096), 0);
		assert_int_equal(pread(disks[0].fd, &byte, 1, 9000), 1);
		assert_int_equal(byte, 7);
		assert_int_equal(take_zeroes(8192, 4096), 0);
		assert_int_equal(pread(disks[0].fd, &byte, 1, 9000), 1);
		assert_int_equal(byte, 0);
	}
}

static void disk_that_cannot_be_written_says_so(void **state)
{
	int fd = disks[0].fd, pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	disks[0].fd = pipes[1];
	assert_int_equal(take_data(0, 0, 0, 512), -ESPIPE);
	assert_string_equal(why, "disk /d cannot be written: Illegal seek");
	close(pipes[0]);
	close(pipes[1]);
	disks[0].fd = fd;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(other_disks_are_not_written_to),
		T(what_the_disk_does_not_have_is_not_written),
		T(section_that_says_nothing_or_too_much_is_refused),
		T(disk_is_complete_once_and_at_the_end),
		T(zeroes_take_the_place_of_what_was_there),
		T(disk_that_cannot_be_written_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
