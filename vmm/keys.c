// SPDX-License-Identifier: GPL-2.0-only
/* Keys by name, text as keys. */
#include "vmm/keys.h"

#include <stdlib.h>
#include <strings.h>
#include <linux/input-event-codes.h>

#include "lib/util.h"

static const struct {
	const char *name;
	u16 code;
} names_of_keys[] = {
	{ "ctrl", KEY_LEFTCTRL },
	{ "lctrl", KEY_LEFTCTRL },
	{ "rctrl", KEY_RIGHTCTRL },
	{ "control", KEY_LEFTCTRL },
	{ "alt", KEY_LEFTALT },
	{ "lalt", KEY_LEFTALT },
	{ "ralt", KEY_RIGHTALT },
	{ "altgr", KEY_RIGHTALT },
	{ "shift", KEY_LEFTSHIFT },
	{ "lshift", KEY_LEFTSHIFT },
	{ "rshift", KEY_RIGHTSHIFT },
	{ "win", KEY_LEFTMETA },
	{ "meta", KEY_LEFTMETA },
	{ "super", KEY_LEFTMETA },
	{ "rwin", KEY_RIGHTMETA },
	{ "menu", KEY_COMPOSE },
	{ "esc", KEY_ESC },
	{ "escape", KEY_ESC },
	{ "enter", KEY_ENTER },
	{ "return", KEY_ENTER },
	{ "ret", KEY_ENTER }, /* QEMU's name */
	{ "tab", KEY_TAB },
	{ "space", KEY_SPACE },
	{ "backspace", KEY_BACKSPACE },
	{ "del", KEY_DELETE },
	{ "delete", KEY_DELETE },
	{ "ins", KEY_INSERT },
	{ "insert", KEY_INSERT },
	{ "home", KEY_HOME },
	{ "end", KEY_END },
	{ "pageup", KEY_PAGEUP },
	{ "pgup", KEY_PAGEUP },
	{ "pagedown", KEY_PAGEDOWN },
	{ "pgdn", KEY_PAGEDOWN },
	{ "up", KEY_UP },
	{ "down", KEY_DOWN },
	{ "left", KEY_LEFT },
	{ "right", KEY_RIGHT },
	{ "capslock", KEY_CAPSLOCK },
	{ "numlock", KEY_NUMLOCK },
	{ "scrolllock", KEY_SCROLLLOCK },
	{ "print", KEY_SYSRQ },
	{ "sysrq", KEY_SYSRQ },
	{ "pause", KEY_PAUSE },
	{ "break", KEY_PAUSE },
	{ "power", KEY_POWER },
	{ "sleep", KEY_SLEEP },
	{ "f1", KEY_F1 },
	{ "f2", KEY_F2 },
	{ "f3", KEY_F3 },
	{ "f4", KEY_F4 },
	{ "f5", KEY_F5 },
	{ "f6", KEY_F6 },
	{ "f7", KEY_F7 },
	{ "f8", KEY_F8 },
	{ "f9", KEY_F9 },
	{ "f10", KEY_F10 },
	{ "f11", KEY_F11 },
	{ "f12", KEY_F12 },
	{ "minus", KEY_MINUS },
	{ "plus", KEY_EQUAL },
	{ "kp0", KEY_KP0 },
	{ "kp1", KEY_KP1 },
	{ "kp2", KEY_KP2 },
	{ "kp3", KEY_KP3 },
	{ "kp4", KEY_KP4 },
	{ "kp5", KEY_KP5 },
	{ "kp6", KEY_KP6 },
	{ "kp7", KEY_KP7 },
	{ "kp8", KEY_KP8 },
	{ "kp9", KEY_KP9 },
	{ "kpenter", KEY_KPENTER },
	{ "kpdot", KEY_KPDOT },
};

/* Rows of keys that follow each other in code: without and with shift. */
static const struct {
	u16 first;
	const char *plain, *shifted;
} rows_of_keys[] = {
	{ KEY_1, "1234567890-=\b\t", "!@#$%^&*()_+" },
	{ KEY_Q, "qwertyuiop[]\n", "QWERTYUIOP{}" },
	{ KEY_A, "asdfghjkl;'`", "ASDFGHJKL:\"~" },
	{ KEY_BACKSLASH, "\\zxcvbnm,./", "|ZXCVBNM<>?" },
	{ KEY_SPACE, " ", "" },
	{ KEY_ESC, "\033", "" },
};

u16 keys_of_char(char c, bool *shift)
{
	const char *at;
	u32 i;

	for (i = 0; c && i < ARRAY_SIZE(rows_of_keys); i++) {
		at = strchr(rows_of_keys[i].plain, c);
		*shift = !at;
		if (at)
			return (u16)(rows_of_keys[i].first + (at - rows_of_keys[i].plain));
		at = strchr(rows_of_keys[i].shifted, c);
		if (at)
			return (u16)(rows_of_keys[i].first + (at - rows_of_keys[i].shifted));
	}
	return 0;
}

static u16 key_of_name(const char *name, size_t len)
{
	bool shift;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(names_of_keys); i++) {
		if (!strncasecmp(names_of_keys[i].name, name, len) && !names_of_keys[i].name[len])
			return names_of_keys[i].code;
	}
	/* a character stands for the key that has it, be it with shift or not */
	return len == 1 && *name > ' ' ? keys_of_char(*name, &shift) : 0;
}

/* Where the name at @at ends: at '-' or '+', but for one that is a name itself. */
static size_t name_len(const char *at)
{
	return *at ? 1 + strcspn(at + 1, "-+") : 0;
}

static int parse_names(const char *names, u16 codes[KEYS_MAX_HELD], u32 *num, const char **wrong)
{
	const char *at = names;
	size_t len;

	for (*num = 0;; at += len + 1) {
		len = name_len(at);
		if (*num == KEYS_MAX_HELD)
			return -E2BIG;
		codes[*num] = key_of_name(at, len);
		if (!codes[(*num)++]) {
			*wrong = at;
			return -EINVAL;
		}
		if (!at[len])
			return 0;
	}
}

static void add_event(struct key_events *e, u16 code, bool down)
{
	e->list[e->num++] = (struct key_event){ code, down };
}

int keys_press(const char *names, struct key_events *out, const char **wrong)
{
	struct key_events e = { .num = 0 };
	u16 codes[KEYS_MAX_HELD];
	u32 num, i;
	int err = parse_names(names, codes, &num, wrong);

	if (err)
		return err;
	e.list = calloc(num * 2, sizeof(*e.list));
	if (!e.list)
		return -ENOMEM;
	for (i = 0; i < num; i++)
		add_event(&e, codes[i], true);
	while (i--)
		add_event(&e, codes[i], false);
	*out = e;
	return 0;
}

/* Return: false: it has no key. */
static bool add_char(struct key_events *e, char c)
{
	bool shift;
	u16 code = keys_of_char(c, &shift);

	if (!code)
		return false;
	if (shift)
		add_event(e, KEY_LEFTSHIFT, true);
	add_event(e, code, true);
	add_event(e, code, false);
	if (shift)
		add_event(e, KEY_LEFTSHIFT, false);
	return true;
}

int keys_type(const char *text, struct key_events *out, const char **wrong)
{
	struct key_events e = { .num = 0 };
	size_t len = strlen(text);
	const char *at;

	if (len > KEYS_MAX_TEXT)
		return -E2BIG;
	e.list = calloc(len * 4 + 1, sizeof(*e.list));
	if (!e.list)
		return -ENOMEM;
	for (at = text; *at; at++) {
		if (!add_char(&e, *at)) {
			free(e.list);
			*wrong = at;
			return -EINVAL;
		}
	}
	*out = e;
	return 0;
}
