// SPDX-License-Identifier: GPL-2.0-only
/* Keysyms to keys: vnc_keys.h. */
#include "cli/vnc_keys.h"

#include <linux/input-event-codes.h>

#include "lib/util.h"
#include "vmm/keys.h"

/* Keys without a character, by keysym; from one on, in order. */
static const struct {
	uint32_t first;
	uint8_t num;
	uint16_t codes[16];
} ranges[] = {
	{ 0xff08, 2, { KEY_BACKSPACE, KEY_TAB } },
	{ 0xff0a, 1, { KEY_ENTER } }, /* Linefeed */
	{ 0xff0d, 1, { KEY_ENTER } },
	{ 0xff13, 3, { KEY_PAUSE, KEY_SCROLLLOCK, KEY_SYSRQ } },
	{ 0xff1b, 1, { KEY_ESC } },
	{ 0xff50,
	  8,
	  { KEY_HOME, KEY_LEFT, KEY_UP, KEY_RIGHT, KEY_DOWN, KEY_PAGEUP, KEY_PAGEDOWN, KEY_END } },
	{ 0xff61, 1, { KEY_SYSRQ } }, /* Print */
	{ 0xff63, 1, { KEY_INSERT } },
	{ 0xff67, 1, { KEY_COMPOSE } }, /* Menu */
	{ 0xff6b, 1, { KEY_PAUSE } },	/* Break */
	{ 0xff8d, 1, { KEY_KPENTER } },
	/* the keypad without Num Lock: the same as keys elsewhere, whatever the guest's is */
	{ 0xff95,
	  11,
	  { KEY_HOME, KEY_LEFT, KEY_UP, KEY_RIGHT, KEY_DOWN, KEY_PAGEUP, KEY_PAGEDOWN, KEY_END, 0,
	    KEY_INSERT, KEY_DELETE } },
	{ 0xffaa, 2, { KEY_KPASTERISK, KEY_KPPLUS } },
	{ 0xffad, 1, { KEY_KPMINUS } },
	{ 0xffaf, 1, { KEY_KPSLASH } },
	{ 0xffbe,
	  12,
	  { KEY_F1, KEY_F2, KEY_F3, KEY_F4, KEY_F5, KEY_F6, KEY_F7, KEY_F8, KEY_F9, KEY_F10,
	    KEY_F11, KEY_F12 } },
	{ 0xffe1, 4, { KEY_LEFTSHIFT, KEY_RIGHTSHIFT, KEY_LEFTCTRL, KEY_RIGHTCTRL } },
	{ 0xffe7,
	  6,
	  { KEY_LEFTMETA, KEY_RIGHTMETA, KEY_LEFTALT, KEY_RIGHTALT, KEY_LEFTMETA, KEY_RIGHTMETA } },
	{ 0xffff, 1, { KEY_DELETE } },
	{ 0xfe20, 1, { KEY_TAB } }, /* ISO_Left_Tab: shift is held */
};

/* The character that a keysym is; 0 = none that a US keyboard has. */
static char character_of(uint32_t keysym)
{
	if (keysym >= 0xffb0 && keysym <= 0xffb9) /* KP_0: digits, whatever the guest's Num Lock */
		return (char)('0' + keysym - 0xffb0);
	if (keysym == 0xffae || keysym == 0xffac) /* KP_Decimal, KP_Separator */
		return keysym == 0xffae ? '.' : ',';
	if (keysym == 0xffbd)
		return '=';
	if (keysym >> 24 == 1) /* Unicode */
		keysym &= 0xffffff;
	return keysym >= ' ' && keysym <= '~' ? (char)keysym : 0;
}

uint16_t vnc_key_code(uint32_t keysym, int *shift)
{
	char c = character_of(keysym);
	bool with = false;
	uint16_t code;
	size_t i;

	*shift = -1;
	if (c) {
		code = keys_of_char(c, &with);
		*shift = c == ' ' ? -1 : with;
		return code;
	}
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (keysym - ranges[i].first < ranges[i].num)
			return ranges[i].codes[keysym - ranges[i].first];
	}
	return 0;
}

static void set_shifts(const struct vnc_keys *k, bool down)
{
	if (k->left_shift)
		k->press(k->arg, KEY_LEFTSHIFT, down);
	if (k->right_shift)
		k->press(k->arg, KEY_RIGHTSHIFT, down);
}

static void press_shifted(const struct vnc_keys *k, uint16_t code)
{
	k->press(k->arg, KEY_LEFTSHIFT, true);
	k->press(k->arg, code, true);
	k->press(k->arg, KEY_LEFTSHIFT, false);
}

static void press_plain(const struct vnc_keys *k, uint16_t code)
{
	set_shifts(k, false);
	k->press(k->arg, code, true);
	set_shifts(k, true);
}

void vnc_key(struct vnc_keys *k, uint32_t keysym, bool down)
{
	int shift;
	uint16_t code = vnc_key_code(keysym, &shift);
	bool held = k->left_shift || k->right_shift;

	if (!code)
		return;
	if (code == KEY_LEFTSHIFT)
		k->left_shift = down;
	if (code == KEY_RIGHTSHIFT)
		k->right_shift = down;
	if (!down || shift < 0 || shift == held)
		k->press(k->arg, code, down);
	else if (shift)
		press_shifted(k, code);
	else
		press_plain(k, code);
}
