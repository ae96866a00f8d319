// SPDX-License-Identifier: GPL-2.0-only
/* What a VNC client presses, and what the guest's US layout makes of the keys that it gets. */
#include "cli/vnc_keys.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/test.h"
#include "vmm/keys.h"

static char pressed[400]; /* "+30-30": codes, in order */
static struct vnc_keys keys;

static void press(void *arg, uint16_t code, bool down)
{
	assert_ptr_equal(arg, &keys);
	sprintf(pressed + strlen(pressed), "%c%u", down ? '+' : '-', code);
}

static int setup(void **state)
{
	(void)state;
	pressed[0] = 0;
	keys = (struct vnc_keys){ .press = press, .arg = &keys };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return 0;
}

static void key(uint32_t keysym, bool down)
{
	vnc_key(&keys, keysym, down);
}

static void tap(uint32_t keysym)
{
	key(keysym, true);
	key(keysym, false);
}

#define SHIFT_L 0xffe1
#define SHIFT_R 0xffe2

/* ---- tests ---- */

static void every_ascii_character_has_its_key(void **state)
{
	uint32_t c;
	bool with;
	int shift;

	(void)state;
	for (c = ' '; c <= '~'; c++) {
		assert_int_not_equal(vnc_key_code(c, &shift), 0);
		assert_int_equal(vnc_key_code(c, &shift), keys_of_char((char)c, &with));
		if (c != ' ')
			assert_int_equal(shift, with);
		assert_int_equal(vnc_key_code(0x01000000 | c, &shift),
				 keys_of_char((char)c, &with));
	}
}

static void named_keys_are_where_they_are(void **state)
{
	static const struct {
		uint32_t keysym, code;
	} table[] = {
		{ 0xff08, KEY_BACKSPACE }, { 0xff09, KEY_TAB },	       { 0xff0d, KEY_ENTER },
		{ 0xff13, KEY_PAUSE },	   { 0xff14, KEY_SCROLLLOCK }, { 0xff1b, KEY_ESC },
		{ 0xff50, KEY_HOME },	   { 0xff51, KEY_LEFT },       { 0xff52, KEY_UP },
		{ 0xff53, KEY_RIGHT },	   { 0xff54, KEY_DOWN },       { 0xff55, KEY_PAGEUP },
		{ 0xff56, KEY_PAGEDOWN },  { 0xff57, KEY_END },	       { 0xff61, KEY_SYSRQ },
		{ 0xff63, KEY_INSERT },	   { 0xff67, KEY_COMPOSE },    { 0xff8d, KEY_KPENTER },
		{ 0xff95, KEY_HOME },	   { 0xff9c, KEY_END },	       { 0xff9e, KEY_INSERT },
		{ 0xff9f, KEY_DELETE },	   { 0xffaa, KEY_KPASTERISK }, { 0xffab, KEY_KPPLUS },
		{ 0xffad, KEY_KPMINUS },   { 0xffaf, KEY_KPSLASH },    { 0xffb0, KEY_0 },
		{ 0xffb9, KEY_9 },	   { 0xffae, KEY_DOT },	       { 0xffbe, KEY_F1 },
		{ 0xffc9, KEY_F12 },	   { 0xffe1, KEY_LEFTSHIFT },  { 0xffe2, KEY_RIGHTSHIFT },
		{ 0xffe3, KEY_LEFTCTRL },  { 0xffe4, KEY_RIGHTCTRL },  { 0xffe7, KEY_LEFTMETA },
		{ 0xffe9, KEY_LEFTALT },   { 0xffea, KEY_RIGHTALT },   { 0xffeb, KEY_LEFTMETA },
		{ 0xffec, KEY_RIGHTMETA }, { 0xffff, KEY_DELETE },     { 0xfe20, KEY_TAB },
	};
	int shift;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		CHECK_ROW(vnc_key_code(table[i].keysym, &shift), table[i].code, i);
}

static void what_no_us_keyboard_has_does_nothing(void **state)
{
	/* locks are the client's: vnc_keys.h */
	static const uint32_t none[] = {
		0,	   1,	      0x1f,	 0x7f,	 0xe4,	 0xff,	 0xfe03,
		0xff7f,	   0xffe5,    0xff9d,	 0xffed, 0xfe50, 0xffca, 0xffac + 0x10000,
		0x10000e4, 0x100001f, 0x2000041, ~0u
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(none) / sizeof(*none); i++) {
		tap(none[i]);
		assert_string_equal(pressed, "");
	}
}

static void capital_is_one_with_shift_or_without(void **state)
{
	(void)state;
	tap('A');
	assert_string_equal(pressed, "+42+30-42-30");
	pressed[0] = 0;
	key(SHIFT_R, true);
	tap('A');
	key(SHIFT_R, false);
	assert_string_equal(pressed, "+54+30-30-54");
	pressed[0] = 0;
	tap('a'); /* shift is not held any more */
	assert_string_equal(pressed, "+30-30");
}

/* On a German keyboard '/' is shift and 7: the guest must not see '?'. */
static void shift_of_another_layout_is_let_go(void **state)
{
	(void)state;
	key(SHIFT_L, true);
	tap('/');
	tap(0xff51); /* shift and an arrow: marks text */
	key(SHIFT_L, false);
	assert_string_equal(pressed, "+42-42+53+42-53+105-105-42");
	pressed[0] = 0;
	key(SHIFT_L, true);
	key(SHIFT_R, true);
	key('1', true);
	assert_string_equal(pressed, "+42+54-42-54+2+42+54");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_ascii_character_has_its_key),	 T(named_keys_are_where_they_are),
		T(what_no_us_keyboard_has_does_nothing), T(capital_is_one_with_shift_or_without),
		T(shift_of_another_layout_is_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
