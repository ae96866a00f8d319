// SPDX-License-Identifier: GPL-2.0-only
/* fw_cfg as SeaBIOS reads it: src/fw/paravirt.c of SeaBIOS 1.16. */
#include "machine/dev/fw_cfg.h"

#include <string.h>

#include "lib/tlv.h"
#include "machine/iobus.h"
#include "tests/unit/test.h"

static struct iobus bus;
static struct fw_cfg *c;

static int setup(void **state)
{
	(void)state;
	bus = (struct iobus){ 0 };
	c = fw_cfg_create(&bus);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fw_cfg_destroy(c);
	return 0;
}

static void select_item(u16 key)
{
	iobus_access(&bus, 0x510, 2, true, &key);
}

static void take(void *buf, size_t len)
{
	u8 *p = buf;

	while (len--)
		iobus_access(&bus, 0x511, 1, false, p++);
}

static u32 take_be32(void)
{
	u8 b[4];

	take(b, sizeof(b));
	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

/* Return: the file's key, 0 when there is none. */
static u16 find(const char *name, u32 *len)
{
	char n[FW_CFG_NAME];
	u32 num, size;
	u8 key[4];

	select_item(0x19);
	for (num = take_be32(); num; num--) {
		size = take_be32();
		take(key, 4);
		take(n, sizeof(n));
		if (strcmp(n, name))
			continue;
		*len = size;
		return (u16)(key[0] << 8 | key[1]);
	}
	return 0;
}

static void firmware_finds_it_and_its_files(void **state)
{
	char text[8] = "";
	u32 len = 0;
	u8 two[2];

	(void)state;
	fw_cfg_put_file(c, "etc/one", "first", 5);
	fw_cfg_put_file(c, "etc/two", "second", 6);
	fw_cfg_put_file(c, "etc/one", "FIRST!!", 7); /* instead */
	fw_cfg_put16(c, FW_CFG_CPUS, 0x0102);
	select_item(0);
	take(text, 4);
	assert_string_equal(text, "QEMU");
	select_item(find("etc/one", &len));
	assert_int_equal(len, 7);
	take(text, 7);
	assert_string_equal(text, "FIRST!!");
	assert_int_equal(find("etc/three", &len), 0);
	select_item(FW_CFG_CPUS);
	take(two, 2);
	assert_int_equal(two[0], 2);
	assert_int_equal(two[1], 1);
}

/* SeaBIOS asks for items of older interfaces, with bit 15, and counts by what it reads. */
static void what_is_not_there_reads_as_zeroes(void **state)
{
	static const u16 keys[] = { 0x8000, 0x8001, 0x8002, 0x000d, 0x0021, 0x1234, 0xffff };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		select_item(keys[i]);
		assert_int_equal(take_be32(), 0);
	}
	select_item(0);
	take_be32();
	assert_int_equal(take_be32(), 0); /* behind its end */
}

static void odd_accesses_do_nothing(void **state)
{
	u32 v = 0x41414141, i;
	char text[5] = "";

	(void)state;
	select_item(0);
	for (i = 1; i <= 4; i *= 2) {
		iobus_access(&bus, 0x511, i, true, &v);
		if (i != 2)
			iobus_access(&bus, 0x510, i, true, &v);
		iobus_access(&bus, 0x510, i, false, &v);
	}
	iobus_access(&bus, 0x511, 4, false, &v);
	take(text, 4);
	assert_string_equal(text, "QEMU");
}

static void saved_in_the_middle_of_a_file_it_reads_on(void **state)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	char text[7] = "";
	struct kvmb_tlv t;
	size_t pos = 0;
	u32 len;

	fw_cfg_put_file(c, "etc/x", "abcdef", 6);
	select_item(find("etc/x", &len));
	take(text, 3);
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	fw_cfg_save(c, &o);
	kvmb_tlv_end(&o);
	teardown(state);
	setup(state);
	fw_cfg_put_file(c, "etc/x", "abcdef", 6);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_equal(fw_cfg_load(c, &t), 0);
	take(text + 3, 3);
	assert_string_equal(text, "abcdef");
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(firmware_finds_it_and_its_files),
		T(what_is_not_there_reads_as_zeroes),
		T(odd_accesses_do_nothing),
		T(saved_in_the_middle_of_a_file_it_reads_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
