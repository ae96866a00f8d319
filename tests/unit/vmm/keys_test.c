// SPDX-License-Identifier: GPL-2.0-only
/* Names of keys, text as keys. */
#include "vmm/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/input-event-codes.h>

#include "tests/unit/test.h"

static struct key_events e;
static const char *wrong;

static int teardown(void **state)
{
	(void)state;
	free(e.list);
	e.list = NULL;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	wrong = NULL;
	return 0;
}

static void event(size_t i, u16 code, bool down)
{
	assert_in_range(i + 1, 1, e.num);
	CHECK_ROW(e.list[i].code, code, i);
	CHECK_ROW(e.list[i].down, down, i);
}

static void keys_are_pressed_together(void **state)
{
	(void)state;
	assert_int_equal(keys_press("Ctrl-ALT+del", &e, &wrong), 0);
	assert_int_equal(e.num, 6);
	event(0, KEY_LEFTCTRL, true);
	event(1, KEY_LEFTALT, true);
	event(2, KEY_DELETE, true);
	event(3, KEY_DELETE, false);
	event(4, KEY_LEFTALT, false);
	event(5, KEY_LEFTCTRL, false);
}

static void keys_have_names(void **state)
{
	static const struct {
		const char *name;
		u16 code;
	} rows[] = {
		{ "f1", KEY_F1 },   { "F12", KEY_F12 }, { "enter", KEY_ENTER },
		{ "a", KEY_A },	    { "Z", KEY_Z },	{ "-", KEY_MINUS },
		{ "+", KEY_EQUAL }, { "0", KEY_0 },	{ "?", KEY_SLASH },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(keys_press(rows[i].name, &e, &wrong), 0);
		assert_int_equal(e.num, 2);
		CHECK_ROW(e.list[0].code, rows[i].code, i);
		free(e.list);
		e.list = NULL;
	}
	assert_int_equal(keys_press("ctrl--", &e, &wrong), 0);
	event(1, KEY_MINUS, true);
}

static void keys_wrong_names_are_shown(void **state)
{
	static const struct {
		const char *names;
		int err;
		size_t at;
	} rows[] = {
		{ "", -EINVAL, 0 },
		{ "f13", -EINVAL, 0 },
		{ "f", 0, 0 },
		{ "ctrl-hlp-x", -EINVAL, 5 },
		{ "ctrl-", -EINVAL, 5 },
		{ "ctr", -EINVAL, 0 },
		{ "\n", -EINVAL, 0 },
		{ "a-b-c-d-e-f-g-h", 0, 0 },
		{ "a-b-c-d-e-f-g-h-i", -E2BIG, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		CHECK_ROW(keys_press(rows[i].names, &e, &wrong), rows[i].err, i);
		if (rows[i].err == -EINVAL)
			CHECK_ROW(wrong - rows[i].names, (long long)rows[i].at, i);
		free(e.list);
		e.list = NULL;
	}
}

static void keys_type_text(void **state)
{
	(void)state;
	assert_int_equal(keys_type("aB\n", &e, &wrong), 0);
	assert_int_equal(e.num, 8);
	event(0, KEY_A, true);
	event(1, KEY_A, false);
	event(2, KEY_LEFTSHIFT, true);
	event(3, KEY_B, true);
	event(4, KEY_B, false);
	event(5, KEY_LEFTSHIFT, false);
	event(6, KEY_ENTER, true);
	event(7, KEY_ENTER, false);
}

/* The kernel's own table of a US keyboard, drivers/tty/vt/defkeymap.map, says the same of these. */
static void keys_type_every_character(void **state)
{
	static const char plain[] = "1234567890-=qwertyuiop[]asdfghjkl;'`\\zxcvbnm,./ \t\b\033";
	static const u8 codes[] = { 2,	3,  4,	5,  6,	7,  8,	9,  10, 11, 12, 13, 16,
				    17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 30, 31,
				    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 43, 44, 45,
				    46, 47, 48, 49, 50, 51, 52, 53, 57, 15, 14, 1 };
	char all[96];
	size_t i;

	(void)state;
	assert_int_equal(strlen(plain), sizeof(codes));
	assert_int_equal(keys_type(plain, &e, &wrong), 0);
	assert_int_equal(e.num, sizeof(codes) * 2);
	for (i = 0; i < sizeof(codes); i++)
		event(i * 2, codes[i], true);
	free(e.list);
	for (i = 0; i < 95; i++)
		all[i] = (char)(' ' + i);
	all[95] = 0;
	assert_int_equal(keys_type(all, &e, &wrong), 0);
	assert_int_equal(e.num, 48 * 2 + 47 * 4);
}

static void keys_type_refuses_others(void **state)
{
	static char many[KEYS_MAX_TEXT + 2];

	(void)state;
	assert_int_equal(keys_type("gr\xc3\xbc", &e, &wrong), -EINVAL);
	assert_string_equal(wrong, "\xc3\xbc");
	memset(many, 'x', sizeof(many) - 1);
	assert_int_equal(keys_type(many, &e, &wrong), -E2BIG);
	assert_int_equal(keys_type("", &e, &wrong), 0);
	assert_int_equal(e.num, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_are_pressed_together),  T(keys_have_names),
		T(keys_wrong_names_are_shown), T(keys_type_text),
		T(keys_type_every_character),  T(keys_type_refuses_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
