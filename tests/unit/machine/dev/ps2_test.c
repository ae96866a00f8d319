// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keyboard and mouse as drivers use them: SeaBIOS src/hw/ps2port.c, Linux 6.1
 * drivers/input/serio/i8042.c, keyboard/atkbd.c and mouse/psmouse-base.c.
 */
#include "machine/dev/ps2.h"

#include <errno.h>
#include <string.h>
#include <linux/input-event-codes.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/unit/test.h"

#define FULL 0x01u
#define AUX 0x20u

static struct ps2 *p;
static int lines[16];
static u32 edges[16], resets;

static void set_irq(void *arg, u32 irq, int level)
{
	assert_ptr_equal(arg, &p);
	assert_true(irq == 1 || irq == 12);
	assert_int_not_equal(lines[irq], level);
	lines[irq] = level;
	edges[irq] += (u32)level;
}

static void reset(void *arg)
{
	(void)arg;
	resets++;
}

static const struct ps2_ops ops = { .set_irq = set_irq, .reset = reset, .arg = &p };

static int setup(void **state)
{
	(void)state;
	memset(lines, 0, sizeof(lines));
	memset(edges, 0, sizeof(edges));
	resets = 0;
	p = ps2_create(&ops);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ps2_destroy(p);
	return 0;
}

static void data(u8 val)
{
	u32 v = val;

	ps2_data_access(p, 0, 1, true, &v);
}

static u8 get(void)
{
	u32 v = 0;

	ps2_data_access(p, 0, 1, false, &v);
	return (u8)v;
}

static void command(u8 val)
{
	u32 v = val;

	ps2_command_access(p, 0, 1, true, &v);
}

static u8 status(void)
{
	u32 v = 0;

	ps2_command_access(p, 0, 1, false, &v);
	return (u8)v;
}

static void set_ctr(u8 val)
{
	command(0x60);
	data(val);
}

static u8 get_ctr(void)
{
	command(0x20);
	return get();
}

static void aux(u8 val)
{
	command(0xd4);
	data(val);
}

/* The next bytes are these, of the keyboard or of the mouse, and no more. */
static void says(const char *bytes, size_t num, u8 from)
{
	size_t i;

	for (i = 0; i < num; i++) {
		assert_int_equal(status() & (FULL | AUX), FULL | from);
		CHECK_ROW(get(), (u8)bytes[i], i);
	}
	assert_int_equal(status() & FULL, 0);
}

#define KEYBOARD_SAYS(s) says(s, sizeof(s) - 1, 0)
#define MOUSE_SAYS(s) says(s, sizeof(s) - 1, AUX)

/* ---- controller ---- */

static void ps2_controller_starts_as_seabios_wants(void **state)
{
	(void)state;
	assert_int_equal(status(), 0x10);
	command(0xad);
	command(0xa7);
	command(0xaa);
	KEYBOARD_SAYS("\x55");
	assert_int_equal(status() & 4, 4); /* passed its test */
	command(0xab);
	KEYBOARD_SAYS("\x00");
	set_ctr(0x30);
	set_ctr(0x20);
	data(0xff);
	KEYBOARD_SAYS("\xfa\xaa");
	assert_int_equal(edges[1], 0);
	set_ctr(0x20);
	data(0xf5);
	KEYBOARD_SAYS("\xfa");
	data(0xf0);
	KEYBOARD_SAYS("\xfa");
	data(0x02);
	KEYBOARD_SAYS("\xfa");
	set_ctr(0x61);
	data(0xf4);
	assert_int_equal(lines[1], 1);
	KEYBOARD_SAYS("\xfa");
	ps2_key(p, KEY_A, true);
	assert_int_equal(edges[1], 2);
	KEYBOARD_SAYS("\x1e");
	assert_int_equal(lines[1], 0);
}

static void ps2_controller_ports_are_enabled_and_disabled(void **state)
{
	(void)state;
	command(0xa7);
	assert_int_equal(get_ctr() & 0x20, 0x20);
	command(0xa8);
	assert_int_equal(get_ctr() & 0x20, 0);
	command(0xad);
	assert_int_equal(get_ctr() & 0x10, 0x10);
	ps2_key(p, KEY_A, true);
	assert_int_equal(status() & FULL, 0);
	assert_int_equal(lines[1], 0);
	command(0xae);
	KEYBOARD_SAYS("\x1c");
	command(0xad);
	data(0xee); /* what is written to the keyboard starts its clock */
	KEYBOARD_SAYS("\xee");
	assert_int_equal(get_ctr() & 0x10, 0);
}

/* i8042_check_aux(), i8042_check_mux() */
static void ps2_controller_loops_back(void **state)
{
	(void)state;
	set_ctr(0x61);
	command(0xd3);
	data(0x5a);
	assert_int_equal(lines[12], 0);
	MOUSE_SAYS("\x5a");
	set_ctr(0x43);
	command(0xd3);
	data(0xa5);
	assert_int_equal(lines[12], 1);
	MOUSE_SAYS("\xa5");
	assert_int_equal(lines[12], 0);
	command(0xd3);
	data(0xa4);
	MOUSE_SAYS("\xa4"); /* a multiplexer would say its version */
	command(0xd2);
	data(0x1e);
	assert_int_equal(lines[1], 1);
	KEYBOARD_SAYS("\x1e"); /* it is not translated */
	command(0xa9);
	KEYBOARD_SAYS("\x00");
}

static void ps2_controller_resets_the_machine(void **state)
{
	(void)state;
	command(0xfe);
	assert_int_equal(resets, 1);
	command(0xff); /* pulses nothing */
	command(0xd1);
	data(0xdf);
	assert_int_equal(resets, 1);
	command(0xd0);
	assert_int_equal(get() & 3, 3);
	command(0xd1);
	data(0xdd);
	command(0xd0);
	assert_int_equal(get() & 3, 1); /* A20 is off, for who looks */
	command(0xdf);
	command(0xd0);
	assert_int_equal(get() & 3, 3);
	command(0xd1);
	data(0x02);
	assert_int_equal(resets, 2);
	assert_int_equal(status() & 8, 0);
	command(0x99);
	assert_int_equal(status() & 9, 8);
}

static void ps2_controller_gives_one_byte_an_interrupt(void **state)
{
	(void)state;
	ps2_key(p, KEY_A, true);
	ps2_key(p, KEY_A, false);
	ps2_key(p, KEY_B, true);
	assert_int_equal(edges[1], 1);
	get();
	assert_int_equal(edges[1], 2);
	get();
	get();
	get();
	assert_int_equal(edges[1], 4);
	assert_int_equal(lines[1], 0);
	assert_int_equal(get(), 0x32); /* the last one stays */
}

/* ---- keyboard ---- */

/* atkbd_probe(), atkbd_activate() */
static void ps2_keyboard_answers(void **state)
{
	(void)state;
	data(0xf2);
	KEYBOARD_SAYS("\xfa\xab\x83");
	data(0xed);
	KEYBOARD_SAYS("\xfa");
	data(0x02);
	KEYBOARD_SAYS("\xfa");
	data(0xf3);
	KEYBOARD_SAYS("\xfa");
	data(0x00);
	KEYBOARD_SAYS("\xfa");
	data(0xed);
	KEYBOARD_SAYS("\xfa");
	data(0xf4); /* no LEDs: another command */
	KEYBOARD_SAYS("\xfa");
	data(0xf0);
	KEYBOARD_SAYS("\xfa");
	data(0x03);
	KEYBOARD_SAYS("\xfe");
	data(0xf0);
	KEYBOARD_SAYS("\xfa");
	data(0x00);
	KEYBOARD_SAYS("\xfa\x02");
	data(0xfe);
	KEYBOARD_SAYS("\x02");
	data(0xee);
	KEYBOARD_SAYS("\xee");
	data(0xe1);
	KEYBOARD_SAYS("\xfe");
	data(0xff);
	KEYBOARD_SAYS("\xfa\xaa");
	set_ctr(0x43);
	data(0xf2);
	KEYBOARD_SAYS("\xfa\xab\x41"); /* translated */
}

static void press(u32 code)
{
	assert_true(ps2_key(p, code, true));
	assert_true(ps2_key(p, code, false));
}

static void ps2_keyboard_has_set_2(void **state)
{
	(void)state;
	press(KEY_ENTER);
	KEYBOARD_SAYS("\x5a\xf0\x5a");
	press(KEY_F7);
	KEYBOARD_SAYS("\x83\xf0\x83");
	press(KEY_DELETE);
	KEYBOARD_SAYS("\xe0\x71\xe0\xf0\x71");
	press(KEY_PAUSE);
	KEYBOARD_SAYS("\xe1\x14\x77\xe1\xf0\x14\xf0\x77");
	press(KEY_SYSRQ);
	KEYBOARD_SAYS("\xe0\x12\xe0\x7c\xe0\xf0\x7c\xe0\xf0\x12");
	press(KEY_BRIGHTNESSUP); /* has none */
	press(0xffffffff);
	KEYBOARD_SAYS("");
}

static void ps2_keyboard_has_keys_that_depend(void **state)
{
	(void)state;
	ps2_key(p, KEY_RIGHTALT, true);
	KEYBOARD_SAYS("\xe0\x11");
	press(KEY_SYSRQ);
	KEYBOARD_SAYS("\x84\xf0\x84");
	ps2_key(p, KEY_RIGHTALT, false);
	ps2_key(p, KEY_LEFTCTRL, true);
	KEYBOARD_SAYS("\xe0\xf0\x11\x14");
	press(KEY_PAUSE);
	KEYBOARD_SAYS("\xe0\x7e\xe0\xf0\x7e");
	ps2_key(p, KEY_SYSRQ, true);
	ps2_key(p, KEY_LEFTCTRL, false); /* its release is as its press was */
	ps2_key(p, KEY_SYSRQ, false);
	KEYBOARD_SAYS("\xe0\x7c\xf0\x14\xe0\xf0\x7c");
}

static void ps2_keyboard_is_translated(void **state)
{
	(void)state;
	set_ctr(0x41);
	press(KEY_ENTER);
	KEYBOARD_SAYS("\x1c\x9c");
	press(KEY_F7);
	KEYBOARD_SAYS("\x41\xc1");
	press(KEY_F12);
	KEYBOARD_SAYS("\x58\xd8");
	press(KEY_UP);
	KEYBOARD_SAYS("\xe0\x48\xe0\xc8");
	press(KEY_PAUSE);
	KEYBOARD_SAYS("\xe1\x1d\x45\xe1\x9d\xc5");
	ps2_key(p, KEY_LEFTALT, true);
	press(KEY_SYSRQ);
	KEYBOARD_SAYS("\x38\x54\xd4");
}

static void ps2_keyboard_has_set_1(void **state)
{
	(void)state;
	data(0xf0);
	get();
	data(0x01);
	KEYBOARD_SAYS("\xfa");
	press(KEY_ESC);
	press(KEY_RIGHTCTRL);
	KEYBOARD_SAYS("\x01\x81\xe0\x1d\xe0\x9d");
}

/* The main keys of set 1 are Linux's numbers: IBM numbered the PC's keys, Linux took that. */
static void ps2_keyboard_codes_are_the_pcs(void **state)
{
	u32 code;

	(void)state;
	set_ctr(0x41);
	for (code = KEY_ESC; code <= KEY_KPDOT; code++) {
		press(code);
		CHECK_ROW(get(), code, code);
		CHECK_ROW(get(), code | 0x80, code);
	}
	assert_int_equal(status() & FULL, 0);
}

static void ps2_keyboard_is_silent_when_told(void **state)
{
	(void)state;
	data(0xf5);
	KEYBOARD_SAYS("\xfa");
	press(KEY_A);
	assert_int_equal(status() & FULL, 0);
	data(0xf4);
	KEYBOARD_SAYS("\xfa");
	press(KEY_A);
	KEYBOARD_SAYS("\x1c\xf0\x1c");
}

static void ps2_keyboard_answers_before_what_was_typed(void **state)
{
	(void)state;
	ps2_key(p, KEY_A, true);
	ps2_key(p, KEY_B, true);
	assert_int_equal(get(), 0x1c);
	ps2_key(p, KEY_C, true);
	data(0xed);
	assert_int_equal(get(), 0x32); /* was in the buffer */
	assert_int_equal(get(), 0xfa);
	assert_int_equal(get(), 0x21);
}

static void ps2_keyboard_keeps_room_for_releases(void **state)
{
	u32 i, n;

	(void)state;
	for (i = 0; ps2_key(p, KEY_UP, true); i++)
		assert_in_range(i, 0, 200);
	for (n = 0; n < 8; n++)
		assert_true(ps2_key(p, KEY_UP, false));
	for (n = 0; ps2_key(p, KEY_UP, false); n++)
		assert_in_range(n, 0, 200);
	for (; i; i--) {
		assert_int_equal(get(), 0xe0);
		assert_int_equal(get(), 0x75);
	}
	assert_true(ps2_key(p, KEY_UP, true));
}

/* ---- mouse ---- */

/* psmouse_probe(), intellimouse_detect() */
static void ps2_mouse_is_found_with_its_wheel(void **state)
{
	static const u8 knock[3] = { 200, 100, 80 };
	u32 i;

	(void)state;
	aux(0xff);
	MOUSE_SAYS("\xfa\xaa\x00");
	aux(0xf2);
	MOUSE_SAYS("\xfa\x00");
	for (i = 0; i < 3; i++) {
		aux(0xf3);
		MOUSE_SAYS("\xfa");
		aux(knock[i]);
		MOUSE_SAYS("\xfa");
	}
	aux(0xf2);
	MOUSE_SAYS("\xfa\x03");
	aux(0xe8);
	MOUSE_SAYS("\xfa");
	aux(0x03);
	MOUSE_SAYS("\xfa");
	aux(0xe7);
	MOUSE_SAYS("\xfa");
	aux(0xf4);
	MOUSE_SAYS("\xfa");
	ps2_mouse(p, 0, 0, 0, PS2_RIGHT);
	MOUSE_SAYS("\x0a\x00\x00\x00");
	aux(0xe9);
	MOUSE_SAYS("\xfa\x31\x03\x50");
	ps2_mouse(p, 0, 0, 2, 0);
	MOUSE_SAYS("\x08\x00\x00\xfe");
	aux(0xe1); /* a pointing stick's */
	MOUSE_SAYS("\xfe");
	aux(0xff);
	MOUSE_SAYS("\xfa\xaa\x00");
}

static void ps2_mouse_moves(void **state)
{
	(void)state;
	ps2_mouse(p, 9, 9, 9, PS2_LEFT); /* nobody has asked */
	assert_int_equal(status() & FULL, 0);
	aux(0xf4);
	MOUSE_SAYS("\xfa");
	assert_int_equal(lines[12], 0);
	ps2_mouse(p, 5, -3, 0, PS2_LEFT);
	assert_int_equal(lines[12], 1);
	MOUSE_SAYS("\x09\x05\x03");
	ps2_mouse(p, -5, 3, 1, PS2_MIDDLE);
	MOUSE_SAYS("\x3c\xfb\xfd");
	ps2_mouse(p, 300, 0, 0, PS2_MIDDLE);
	MOUSE_SAYS("\x0c\xff\x00\x0c\x2d\x00");
	ps2_mouse(p, 0, 0, 0, PS2_MIDDLE); /* nothing new */
	assert_int_equal(status() & FULL, 0);
	aux(0xf5);
	MOUSE_SAYS("\xfa");
	ps2_mouse(p, 1, 1, 0, 0);
	assert_int_equal(status() & FULL, 0);
}

static void ps2_mouse_adds_up_what_is_not_read(void **state)
{
	s32 x = 0;
	u32 i, flags, num;

	(void)state;
	aux(0xf4);
	get();
	for (i = 0; i < 1000; i++)
		ps2_mouse(p, 2, 0, 0, 0);
	ps2_mouse(p, 2147483647, -2147483647 - 1, 0, 0);
	for (num = 0; status() & FULL; num++) {
		flags = get();
		assert_true(flags & 8);
		x += (s32)get() - (flags & 0x10 ? 256 : 0);
		get();
	}
	assert_in_range(num, 20, 100);
	assert_in_range(x, 8192, 8192 + 64); /* and what was a packet already */
}

static void ps2_mouse_is_asked(void **state)
{
	(void)state;
	aux(0xf0);
	MOUSE_SAYS("\xfa");
	ps2_mouse(p, 7, 8, 0, 0);
	assert_int_equal(status() & FULL, 0);
	aux(0xeb);
	MOUSE_SAYS("\xfa\x28\x07\xf8");
	aux(0xeb);
	MOUSE_SAYS("\xfa\x08\x00\x00");
	aux(0xea);
	MOUSE_SAYS("\xfa");
	aux(0xee);
	MOUSE_SAYS("\xfa");
	aux(0xf4);
	MOUSE_SAYS("\xf4");
	aux(0xec);
	MOUSE_SAYS("\xfa");
	aux(0xe9);
	MOUSE_SAYS("\xfa\x00\x02\x64");
}

static void ps2_both_speak_in_turn(void **state)
{
	(void)state;
	aux(0xf4);
	get();
	ps2_mouse(p, 1, 0, 0, 0);
	ps2_key(p, KEY_A, true);
	assert_int_equal(status() & AUX, AUX);
	assert_int_equal(get(), 8);
	assert_int_equal(status() & AUX, 0); /* the keyboard first */
	assert_int_equal(get(), 0x1c);
	MOUSE_SAYS("\x01\x00");
	assert_int_equal(edges[12], 4);
	assert_int_equal(edges[1], 1);
}

static void ps2_resets(void **state)
{
	(void)state;
	ps2_key(p, KEY_A, true);
	set_ctr(0x43);
	ps2_reset(p);
	assert_int_equal(lines[1], 0);
	assert_int_equal(status(), 0x10);
	assert_int_equal(get_ctr(), 3);
}

/* ---- saved VMs ---- */

static struct kvmb_tlv_error error;

static int load_from(struct ps2 *to, struct kvmb_tlv_out *o)
{
	struct kvmb_tlv section;
	size_t pos = 0;

	memset(&error, 0, sizeof(error));
	kvmb_tlv_end(o);
	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, &section, &error), 0);
	return ps2_load(to, &section);
}

static void ps2_is_saved_and_loaded(void **state)
{
	struct kvmb_tlv_out o = { 0 };

	(void)state;
	set_ctr(0x43);
	aux(0xf4);
	assert_int_equal(get(), 0xfa);
	press(KEY_UP);
	ps2_mouse(p, -1000, 5, 0, PS2_LEFT);
	assert_int_equal(get(), 0xe0);
	command(0x60); /* its parameter comes later */
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	ps2_save(p, &o);
	ps2_destroy(p);
	memset(lines, 0, sizeof(lines));
	p = ps2_create(&ops);
	assert_int_equal(load_from(p, &o), 0);
	assert_int_equal(lines[1], 0);
	ps2_loaded(p);
	assert_int_equal(lines[1], 1);
	data(0x43);
	assert_int_equal(get(), 0x48);
	assert_int_equal(get(), 0xe0);
	assert_int_equal(get(), 0xc8);
	MOUSE_SAYS("\x39\x01\xfb\x19\x01\x00\x19\x01\x00\x19\x15\x00");
	kvmb_tlv_out_fini(&o);
}

static void ps2_refuses_wrong_state(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	static const u8 many[257];

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	assert_int_equal(load_from(p, &o), -EPROTO);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	kvmb_tlv_put(&o, 5, 5); /* source: there is no such one */
	ps2_save(p, &o);
	assert_int_equal(load_from(p, &o), -EPROTO);
	kvmb_tlv_out_fini(&o);
	kvmb_tlv_begin(&o, KVMB_SEC_MACHINE, 0, 0);
	kvmb_tlv_group(&o, 11);
	kvmb_tlv_put_bytes(&o, 1, many, sizeof(many));
	kvmb_tlv_group_end(&o);
	ps2_save(p, &o);
	assert_int_equal(load_from(p, &o), -EPROTO);
	kvmb_tlv_out_fini(&o);
	assert_int_equal(get_ctr(), 3); /* as before */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(ps2_controller_starts_as_seabios_wants),
		T(ps2_controller_ports_are_enabled_and_disabled),
		T(ps2_controller_loops_back),
		T(ps2_controller_resets_the_machine),
		T(ps2_controller_gives_one_byte_an_interrupt),
		T(ps2_keyboard_answers),
		T(ps2_keyboard_has_set_2),
		T(ps2_keyboard_has_keys_that_depend),
		T(ps2_keyboard_is_translated),
		T(ps2_keyboard_has_set_1),
		T(ps2_keyboard_codes_are_the_pcs),
		T(ps2_keyboard_is_silent_when_told),
		T(ps2_keyboard_answers_before_what_was_typed),
		T(ps2_keyboard_keeps_room_for_releases),
		T(ps2_mouse_is_found_with_its_wheel),
		T(ps2_mouse_moves),
		T(ps2_mouse_adds_up_what_is_not_read),
		T(ps2_mouse_is_asked),
		T(ps2_both_speak_in_turn),
		T(ps2_resets),
		T(ps2_is_saved_and_loaded),
		T(ps2_refuses_wrong_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
