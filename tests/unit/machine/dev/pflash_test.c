// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flash as OVMF's driver uses it: edk2 OvmfPkg/QemuFlashFvbServicesRuntimeDxe/QemuFlash.c; and as a
 * guest does who wants something else.
 */
#include "machine/dev/pflash.h"

#include <stdlib.h>
#include <string.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/unit/test.h"

#define BLOCKS 5u
#define LEN (BLOCKS * PFLASH_BLOCK)

static u8 data[LEN];
static u8 kept[LEN]; /* what the keeper has been told */
static u32 told[4096], num_told, settled, shows;
static bool shown;
static struct pflash *p;

static void show(void *arg, bool there)
{
	assert_ptr_equal(arg, data);
	assert_int_not_equal(shown, there);
	shown = there;
	shows++;
}

static void changed(void *arg, u32 block, const u8 *content)
{
	assert_ptr_equal(arg, kept);
	assert_in_range(block, 0, BLOCKS - 1);
	memcpy(kept + block * PFLASH_BLOCK, content, PFLASH_BLOCK);
	if (num_told < ARRAY_SIZE(told))
		told[num_told++] = block;
}

static void set_settled(void *arg)
{
	assert_ptr_equal(arg, kept);
	settled++;
}

static const struct pflash_ops ops = {
	.show = show, .changed = changed, .settled = set_settled, .show_arg = data, .keep_arg = kept
};

static int setup(void **state)
{
	u32 i;

	(void)state;
	shown = false;
	for (i = 0; i < LEN; i++)
		data[i] = (u8)(i * 7 + i / PFLASH_BLOCK);
	memset(data, 0, 16); /* a firmware volume begins so */
	memcpy(kept, data, LEN);
	p = pflash_create(data, LEN, &ops);
	pflash_reset(p);
	num_told = settled = shows = 0;
	return !shown;
}

static int teardown(void **state)
{
	(void)state;
	pflash_destroy(p);
	return 0;
}

static u8 get(u32 at)
{
	u64 v = ~0ull;

	pflash_access(p, at, 1, false, &v);
	return (u8)v;
}

/* What a driver reads: memory, while it is mapped. */
static u8 see(u32 at)
{
	return shown ? data[at] : get(at);
}

static void put(u32 at, u8 val)
{
	u64 v = val;

	pflash_access(p, at, 1, true, &v);
}

static void driver_write(u32 at, const u8 *buf, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++) {
		put(at + i, 0x10);
		put(at + i, buf[i]);
	}
	put(at + len - 1, 0xff);
}

static void driver_erase(u32 at)
{
	put(at, 0x20);
	put(at, 0xd0);
}

static void ovmf_finds_flash(void **state)
{
	u8 old = see(0);

	(void)state;
	assert_int_equal(old, 0);
	put(0, 0x50);
	assert_int_equal(see(0), old); /* not RAM */
	put(0, 0x70);
	assert_int_equal(see(0), 0); /* not ROM, as the status is what was cleared */
	put(0, 0x10);
	put(0, old);
	put(0, 0x70);
	assert_int_equal(see(0) & 0x10, 0); /* can be written */
	put(0, 0xff);
	assert_true(shown);
	assert_int_equal(num_told, 0);
	assert_memory_equal(data, kept, LEN);
}

static void driver_writes_bytes(void **state)
{
	static const u8 buf[] = "variable";

	(void)state;
	driver_erase(2 * PFLASH_BLOCK + 100);
	driver_write(2 * PFLASH_BLOCK + 8, buf, sizeof(buf));
	assert_true(shown);
	assert_int_equal(shows, 2); /* away once, back once */
	assert_int_equal(settled, 1);
	assert_memory_equal(data + 2 * PFLASH_BLOCK + 8, buf, sizeof(buf));
	assert_int_equal(data[2 * PFLASH_BLOCK + 7], 0xff);
	assert_int_equal(data[3 * PFLASH_BLOCK - 1], 0xff);
	assert_int_equal(data[2 * PFLASH_BLOCK - 1], (u8)((2 * PFLASH_BLOCK - 1) * 7 + 1));
	assert_int_equal(data[3 * PFLASH_BLOCK], (u8)(3 * PFLASH_BLOCK * 7 + 3));
	assert_memory_equal(data, kept, LEN);
}

static void programming_only_clears_bits(void **state)
{
	u8 v = 0xf0;

	(void)state;
	driver_erase(PFLASH_BLOCK);
	driver_write(PFLASH_BLOCK, &v, 1);
	num_told = 0;
	v = 0x3c;
	driver_write(PFLASH_BLOCK, &v, 1);
	assert_int_equal(data[PFLASH_BLOCK], 0x30);
	assert_int_equal(num_told, 1);
	driver_write(PFLASH_BLOCK, &v, 1); /* nothing changes, nobody is told */
	assert_int_equal(num_told, 1);
}

static void changes_are_told_in_order(void **state)
{
	static const u32 order[] = { 4, 0, 4, 1 };
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(order); i++)
		driver_erase(order[i] * PFLASH_BLOCK + i);
	assert_int_equal(num_told, ARRAY_SIZE(order));
	assert_memory_equal(told, order, sizeof(order));
	assert_int_equal(settled, 0);
	put(0, 0xff);
	assert_int_equal(settled, 1);
	put(0, 0xff); /* it was there already */
	assert_int_equal(settled, 1);
}

static void status_follows_commands(void **state)
{
	(void)state;
	put(5, 0x70);
	assert_int_equal(get(1), 0x80);
	put(5, 0x20);
	put(5, 0x20); /* erases nothing */
	assert_int_equal(get(LEN - 1), 0xb0);
	assert_int_equal(num_told, 0);
	put(5, 0x50);
	assert_true(shown);
	put(5, 0x70);
	assert_int_equal(get(0), 0);
	driver_erase(0);
	assert_int_equal(get(0), 0x80);
	put(0, 0x40);
	assert_false(shown);
	put(0, 0xff); /* a byte of data */
	assert_int_equal(get(0), 0x80);
	put(0, 0x20);
	put(0, 0xff); /* gives it up */
	assert_true(shown);
}

static void chip_says_what_it_is(void **state)
{
	u32 blocks;

	(void)state;
	put(0, 0x90);
	assert_int_equal(get(0), 0x89);
	assert_int_equal(get(PFLASH_BLOCK + 2), 0); /* no block is locked */
	put(0x55, 0x98);
	assert_int_equal(get(0x10), 'Q');
	assert_int_equal(get(0x11), 'R');
	assert_int_equal(get(0x12), 'Y');
	assert_int_equal(get(0x13) | get(0x14) << 8, 1);
	assert_true(1u << get(0x27) >= LEN);
	assert_int_equal(get(0x2c), 1);
	blocks = (get(0x2d) | (u32)get(0x2e) << 8) + 1;
	assert_int_equal(blocks, BLOCKS);
	assert_int_equal((get(0x2f) | (u32)get(0x30) << 8) * 256, PFLASH_BLOCK);
	assert_int_equal(get(get(0x15)), 'P');
	assert_int_equal(get(0xfff), 0);
	put(0, 0xff);
	assert_int_equal(see(0x20), (u8)(0x20 * 7));
}

static void wide_accesses_are_cycles(void **state)
{
	u64 v = 0;

	(void)state;
	pflash_access(p, 64, 8, false, &v);
	assert_memory_equal(&v, data + 64, 8);
	v = 0xd020; /* an erasure */
	pflash_access(p, 3 * PFLASH_BLOCK, 2, true, &v);
	assert_int_equal(data[3 * PFLASH_BLOCK], 0xff);
	put(0, 0xff);
	v = 0;
	pflash_access(p, LEN - 2, 4, false, &v); /* reaches behind its end */
	assert_int_equal(v, 0xffff0000u | (u32)data[LEN - 1] << 8 | data[LEN - 2]);
	v = ~0ull;
	pflash_access(p, LEN - 1, 8, true, &v);
	pflash_access(p, 0xffffffff, 8, true, &v); /* no bus does this */
	assert_true(shown);
}

static void reset_shows_content(void **state)
{
	(void)state;
	put(0, 0x20);
	pflash_reset(p);
	assert_true(shown);
	put(0, 0xd0); /* is no second cycle any more */
	assert_int_equal(num_told, 0);
	put(0, 0x70);
	assert_int_equal(get(0), 0x80);
}

static void nobody_need_keep_it(void **state)
{
	const struct pflash_ops alone = { .show = show, .show_arg = data };

	(void)state;
	pflash_destroy(p);
	shown = false;
	p = pflash_create(data, LEN, &alone);
	pflash_reset(p);
	driver_erase(0);
	put(0, 0xff);
	assert_int_equal(data[0], 0xff);
	assert_int_equal(num_told, 0);
}

/* ---- saved VMs ---- */

static struct kvmb_tlv_out out;
static struct kvmb_tlv_error error;
static struct kvmb_tlv group;

static void save(void)
{
	kvmb_tlv_out_fini(&out);
	out = (struct kvmb_tlv_out){ 0 };
	kvmb_tlv_begin(&out, KVMB_SEC_MACHINE, 0, 0);
	pflash_save(p, &out);
	kvmb_tlv_end(&out);
}

static int load(void)
{
	size_t pos = 0;

	error = (struct kvmb_tlv_error){ 0 };
	assert_int_equal(kvmb_tlv_next(out.buf, out.len, &pos, &group, &error), 0);
	return pflash_load(p, &group);
}

static void goes_on_amid_a_command(void **state)
{
	u8 was[LEN];

	(void)state;
	driver_erase(PFLASH_BLOCK);
	put(4 * PFLASH_BLOCK, 0x20);
	save();
	memcpy(was, data, LEN);
	pflash_destroy(p);
	setup(NULL);
	assert_int_equal(load(), 0);
	assert_false(shown);
	assert_memory_equal(data, was, LEN);
	assert_int_equal(num_told, 0); /* the VM may be refused yet */
	pflash_loaded(p);
	assert_memory_equal(kept, was, LEN); /* the file has it, too */
	assert_int_equal(num_told, 1);
	assert_int_equal(told[0], 1);
	assert_int_equal(settled, 1);
	put(4 * PFLASH_BLOCK, 0xd0);
	assert_int_equal(data[4 * PFLASH_BLOCK], 0xff);
	assert_int_equal(num_told, 2);
	kvmb_tlv_out_fini(&out);
}

static void what_was_loaded_is_told_before_changes(void **state)
{
	(void)state;
	driver_erase(3 * PFLASH_BLOCK);
	save();
	pflash_destroy(p);
	setup(NULL);
	assert_int_equal(load(), 0);
	driver_erase(PFLASH_BLOCK); /* a vCPU was faster than who says that all is loaded */
	assert_int_equal(num_told, 2);
	assert_int_equal(told[0], 3);
	assert_int_equal(told[1], 1);
	pflash_loaded(p);
	assert_int_equal(num_told, 2);
	kvmb_tlv_out_fini(&out);
}

static void put_fields(u32 len, u64 mode, u64 first, u64 status)
{
	static const u8 zeroes[LEN + PFLASH_BLOCK];

	kvmb_tlv_out_fini(&out);
	out = (struct kvmb_tlv_out){ 0 };
	kvmb_tlv_begin(&out, KVMB_SEC_MACHINE, 0, 0);
	kvmb_tlv_put_bytes(&out, 1, zeroes, len);
	kvmb_tlv_put(&out, 2, mode);
	kvmb_tlv_put(&out, 3, first);
	kvmb_tlv_put(&out, 4, status);
	kvmb_tlv_end(&out);
}

static void hostile_states_are_refused(void **state)
{
	static const struct {
		u32 len;
		u64 mode, first, status;
	} bad[] = {
		{ LEN - PFLASH_BLOCK, 0, 0, 0x80 },
		{ LEN + PFLASH_BLOCK, 0, 0, 0x80 },
		{ 0, 0, 0, 0x80 },
		{ LEN, 4, 0, 0x80 },
		{ LEN, 1ull << 32, 0, 0x80 },
		{ LEN, 0, 0x20, 0x80 },
		{ LEN, 1, 0x50, 0x80 },
		{ LEN, 1, 0x120, 0x80 },
		{ LEN, 1, 0, 0x81 },
		{ LEN, 1, 0, 0x180 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		put_fields(bad[i].len, bad[i].mode, bad[i].first, bad[i].status);
		CHECK_ROW(load(), -EPROTO, i);
		CHECK_ROW(data[20], (u8)(20 * 7), i);
		CHECK_ROW(num_told, 0, i);
	}
	put_fields(LEN, 1, 0x20, 0x30);
	assert_int_equal(load(), 0);
	assert_int_equal(data[20], 0);
	kvmb_tlv_out_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ovmf_finds_flash),
		T(driver_writes_bytes),
		T(programming_only_clears_bits),
		T(changes_are_told_in_order),
		T(status_follows_commands),
		T(chip_says_what_it_is),
		T(wide_accesses_are_cycles),
		T(reset_shows_content),
		T(nobody_need_keep_it),
		T(goes_on_amid_a_command),
		T(what_was_loaded_is_told_before_changes),
		T(hostile_states_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
