// SPDX-License-Identifier: GPL-2.0-only
/*
 * The PS/2 keyboard: 101 keys and those of later years, scan code sets 1 and 2.
 *
 * Sources: Microsoft, "Keyboard Scan Code Specification" 1.3a: appendices A (codes of keys) and C
 * (translation); see also ps2.h.
 */
#include <linux/input-event-codes.h>

#include "lib/util.h"
#include "machine/dev/ps2_priv.h"

#define EXTENDED 0x100u /* with 0xe0 in front */
#define RELEASED 0xf0u
#define SET_LEDS 0xedu
#define SELECT_SET 0xf0u
#define SET_RATE 0xf3u
#define PRESS_ROOM 64u /* that must be left for releases */

/* ---- codes ---- */

static const u16 set2_codes[] = {
	[KEY_ESC] = 0x76,
	[KEY_1] = 0x16,
	[KEY_2] = 0x1e,
	[KEY_3] = 0x26,
	[KEY_4] = 0x25,
	[KEY_5] = 0x2e,
	[KEY_6] = 0x36,
	[KEY_7] = 0x3d,
	[KEY_8] = 0x3e,
	[KEY_9] = 0x46,
	[KEY_0] = 0x45,
	[KEY_MINUS] = 0x4e,
	[KEY_EQUAL] = 0x55,
	[KEY_BACKSPACE] = 0x66,
	[KEY_TAB] = 0x0d,
	[KEY_Q] = 0x15,
	[KEY_W] = 0x1d,
	[KEY_E] = 0x24,
	[KEY_R] = 0x2d,
	[KEY_T] = 0x2c,
	[KEY_Y] = 0x35,
	[KEY_U] = 0x3c,
	[KEY_I] = 0x43,
	[KEY_O] = 0x44,
	[KEY_P] = 0x4d,
	[KEY_LEFTBRACE] = 0x54,
	[KEY_RIGHTBRACE] = 0x5b,
	[KEY_ENTER] = 0x5a,
	[KEY_LEFTCTRL] = 0x14,
	[KEY_A] = 0x1c,
	[KEY_S] = 0x1b,
	[KEY_D] = 0x23,
	[KEY_F] = 0x2b,
	[KEY_G] = 0x34,
	[KEY_H] = 0x33,
	[KEY_J] = 0x3b,
	[KEY_K] = 0x42,
	[KEY_L] = 0x4b,
	[KEY_SEMICOLON] = 0x4c,
	[KEY_APOSTROPHE] = 0x52,
	[KEY_GRAVE] = 0x0e,
	[KEY_LEFTSHIFT] = 0x12,
	[KEY_BACKSLASH] = 0x5d,
	[KEY_Z] = 0x1a,
	[KEY_X] = 0x22,
	[KEY_C] = 0x21,
	[KEY_V] = 0x2a,
	[KEY_B] = 0x32,
	[KEY_N] = 0x31,
	[KEY_M] = 0x3a,
	[KEY_COMMA] = 0x41,
	[KEY_DOT] = 0x49,
	[KEY_SLASH] = 0x4a,
	[KEY_RIGHTSHIFT] = 0x59,
	[KEY_KPASTERISK] = 0x7c,
	[KEY_LEFTALT] = 0x11,
	[KEY_SPACE] = 0x29,
	[KEY_CAPSLOCK] = 0x58,
	[KEY_F1] = 0x05,
	[KEY_F2] = 0x06,
	[KEY_F3] = 0x04,
	[KEY_F4] = 0x0c,
	[KEY_F5] = 0x03,
	[KEY_F6] = 0x0b,
	[KEY_F7] = 0x83,
	[KEY_F8] = 0x0a,
	[KEY_F9] = 0x01,
	[KEY_F10] = 0x09,
	[KEY_NUMLOCK] = 0x77,
	[KEY_SCROLLLOCK] = 0x7e,
	[KEY_KP7] = 0x6c,
	[KEY_KP8] = 0x75,
	[KEY_KP9] = 0x7d,
	[KEY_KPMINUS] = 0x7b,
	[KEY_KP4] = 0x6b,
	[KEY_KP5] = 0x73,
	[KEY_KP6] = 0x74,
	[KEY_KPPLUS] = 0x79,
	[KEY_KP1] = 0x69,
	[KEY_KP2] = 0x72,
	[KEY_KP3] = 0x7a,
	[KEY_KP0] = 0x70,
	[KEY_KPDOT] = 0x71,
	[KEY_102ND] = 0x61,
	[KEY_F11] = 0x78,
	[KEY_F12] = 0x07,
	[KEY_RO] = 0x51,
	[KEY_HENKAN] = 0x64,
	[KEY_MUHENKAN] = 0x67,
	[KEY_KATAKANAHIRAGANA] = 0x13,
	[KEY_YEN] = 0x6a,
	[KEY_KPEQUAL] = 0x0f,
	[KEY_KPCOMMA] = 0x6d,
	[KEY_KPENTER] = 0x15a,
	[KEY_RIGHTCTRL] = 0x114,
	[KEY_KPSLASH] = 0x14a,
	[KEY_RIGHTALT] = 0x111,
	[KEY_HOME] = 0x16c,
	[KEY_UP] = 0x175,
	[KEY_PAGEUP] = 0x17d,
	[KEY_LEFT] = 0x16b,
	[KEY_RIGHT] = 0x174,
	[KEY_END] = 0x169,
	[KEY_DOWN] = 0x172,
	[KEY_PAGEDOWN] = 0x17a,
	[KEY_INSERT] = 0x170,
	[KEY_DELETE] = 0x171,
	[KEY_MUTE] = 0x123,
	[KEY_VOLUMEDOWN] = 0x121,
	[KEY_VOLUMEUP] = 0x132,
	[KEY_POWER] = 0x137,
	[KEY_LEFTMETA] = 0x11f,
	[KEY_RIGHTMETA] = 0x127,
	[KEY_COMPOSE] = 0x12f,
	[KEY_SLEEP] = 0x13f,
	[KEY_WAKEUP] = 0x15e,
	[KEY_NEXTSONG] = 0x14d,
	[KEY_PLAYPAUSE] = 0x134,
	[KEY_PREVIOUSSONG] = 0x115,
	[KEY_STOPCD] = 0x13b,
	[KEY_CALC] = 0x12b,
	[KEY_MAIL] = 0x148,
	[KEY_HOMEPAGE] = 0x13a,
};

/* Of set 2 to set 1; from 0x85 on they are the same. */
static const u8 translated[0x85] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
	0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
	0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
	0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
	0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
	0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
	0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
	0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
	0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
};

u8 ps2_translate(u8 code)
{
	return code < sizeof(translated) ? translated[code] : code;
}

/* ---- keys ---- */

enum { MOD_LCTRL = 1, MOD_RCTRL = 2, MOD_LSHIFT = 4, MOD_RSHIFT = 8, MOD_LALT = 16, MOD_RALT = 32 };
#define MOD_CTRL (MOD_LCTRL | MOD_RCTRL)
#define MOD_SHIFT (MOD_LSHIFT | MOD_RSHIFT)
#define MOD_ALT (MOD_LALT | MOD_RALT)

enum { PRINT_ALONE, PRINT_SHIFTED, PRINT_ALT };

struct key_bytes { /* what one key says, in set 2 */
	u8 bytes[8];
	u32 num;
};

static void add_code(struct key_bytes *b, u32 code, bool down)
{
	if (code & EXTENDED)
		b->bytes[b->num++] = 0xe0;
	if (!down)
		b->bytes[b->num++] = RELEASED;
	b->bytes[b->num++] = (u8)code;
}

static u8 modifier_of(u32 code)
{
	switch (code) {
	case KEY_LEFTCTRL:
		return MOD_LCTRL;
	case KEY_RIGHTCTRL:
		return MOD_RCTRL;
	case KEY_LEFTSHIFT:
		return MOD_LSHIFT;
	case KEY_RIGHTSHIFT:
		return MOD_RSHIFT;
	case KEY_LEFTALT:
		return MOD_LALT;
	case KEY_RIGHTALT:
		return MOD_RALT;
	}
	return 0;
}

/* Print Screen brings a shift of its own, unless there is one; with Alt it is another key. */
static void add_print(struct ps2_keyboard *k, struct key_bytes *b, bool down)
{
	if (down)
		k->print = k->modifiers & MOD_ALT		 ? PRINT_ALT :
			   k->modifiers & (MOD_CTRL | MOD_SHIFT) ? PRINT_SHIFTED :
								   PRINT_ALONE;
	if (k->print == PRINT_ALT) {
		add_code(b, 0x84, down);
		return;
	}
	if (k->print == PRINT_ALONE && down)
		add_code(b, EXTENDED | 0x12, true);
	add_code(b, EXTENDED | 0x7c, down);
	if (k->print == PRINT_ALONE && !down)
		add_code(b, EXTENDED | 0x12, false);
}

/* Pause is pressed and released at once, and with Ctrl it is another key. */
static void add_pause(const struct ps2_keyboard *k, struct key_bytes *b, bool down)
{
	static const u8 pause[8] = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };

	if (!down)
		return;
	if (k->modifiers & MOD_CTRL) {
		add_code(b, EXTENDED | 0x7e, true);
		add_code(b, EXTENDED | 0x7e, false);
	} else {
		memcpy(b->bytes, pause, sizeof(pause));
		b->num = sizeof(pause);
	}
}

static void say_bytes(struct ps2_keyboard *k, const struct key_bytes *b)
{
	u8 release = 0;
	u32 i;

	for (i = 0; i < b->num; i++) {
		if (k->set == 2) {
			ps2_queue_put(&k->keys, b->bytes[i]);
		} else if (b->bytes[i] == RELEASED) {
			release = 0x80;
		} else {
			ps2_queue_put(&k->keys, ps2_translate(b->bytes[i]) | release);
			release = 0;
		}
	}
}

bool ps2_keyboard_key(struct ps2_keyboard *k, u32 code, bool down)
{
	struct key_bytes b = { .num = 0 };

	if (ps2_queue_room(&k->keys) < (down ? PRESS_ROOM : sizeof(b.bytes)))
		return false;
	k->modifiers =
		(u8)(down ? k->modifiers | modifier_of(code) : k->modifiers & ~modifier_of(code));
	if (code == KEY_SYSRQ)
		add_print(k, &b, down);
	else if (code == KEY_PAUSE)
		add_pause(k, &b, down);
	else if (code < ARRAY_SIZE(set2_codes) && set2_codes[code])
		add_code(&b, set2_codes[code], down);
	if (k->scanning)
		say_bytes(k, &b);
	return true;
}

/* ---- commands ---- */

static void set_defaults(struct ps2_keyboard *k, bool scanning)
{
	k->keys.num = 0;
	k->set = 2;
	k->scanning = scanning;
}

void ps2_keyboard_init(struct ps2_keyboard *k)
{
	memset(k, 0, sizeof(*k));
	set_defaults(k, true);
}

static void reply(struct ps2_keyboard *k, u8 byte)
{
	ps2_queue_put(&k->replies, byte);
}

static void take_parameter(struct ps2_keyboard *k, u8 command, u8 val)
{
	if (command == SELECT_SET && val > 2) {
		reply(k, PS2_RESEND);
		return;
	}
	reply(k, PS2_ACK);
	if (command == SET_LEDS)
		k->leds = val & 7;
	else if (command == SELECT_SET && !val)
		reply(k, k->set);
	else if (command == SELECT_SET)
		k->set = val;
}

static void keyboard_command(struct ps2_keyboard *k, u8 val)
{
	switch (val) {
	case SET_LEDS:
	case SELECT_SET:
	case SET_RATE:
		k->command = val;
		reply(k, PS2_ACK);
		break;
	case 0xee: /* echo */
		reply(k, val);
		break;
	case 0xf2: /* who are you */
		reply(k, PS2_ACK);
		reply(k, 0xab);
		reply(k, 0x83);
		break;
	case 0xf4:
		k->keys.num = 0;
		k->scanning = true;
		reply(k, PS2_ACK);
		break;
	case 0xf5:
	case 0xf6:
		set_defaults(k, val == 0xf6);
		reply(k, PS2_ACK);
		break;
	case 0xf7: /* of set 3: what keys do; others have nothing to change */
	case 0xf8:
	case 0xf9:
	case 0xfa:
		reply(k, PS2_ACK);
		break;
	case 0xfe:
		reply(k, k->last);
		break;
	case 0xff:
		set_defaults(k, true);
		k->leds = 0;
		reply(k, PS2_ACK);
		reply(k, 0xaa); /* passed its test */
		break;
	default:
		reply(k, PS2_RESEND);
	}
}

void ps2_keyboard_write(struct ps2_keyboard *k, u8 val)
{
	u8 command = k->command;

	k->command = PS2_NO_COMMAND;
	k->replies.num = 0;
	if (command != PS2_NO_COMMAND && val < 0x80)
		take_parameter(k, command, val);
	else
		keyboard_command(k, val);
}

bool ps2_keyboard_next(struct ps2_keyboard *k, u8 *byte)
{
	if (!ps2_queue_get(&k->replies, byte) && !ps2_queue_get(&k->keys, byte))
		return false;
	if (*byte != PS2_RESEND)
		k->last = *byte;
	return true;
}
