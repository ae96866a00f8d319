/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keys by name, and text as keys of a US keyboard: for `kvmbus key` and `kvmbus type`.
 *
 * Codes are KEY_* of linux/input-event-codes.h.
 */
#ifndef KVMB_KEYS_H
#define KVMB_KEYS_H

#include "vmbus-core/env.h"

#define KEYS_MAX_HELD 8u	  /* keys that are pressed together */
#define KEYS_MAX_TEXT (64u << 10) /* characters that are typed at once */

struct key_event {
	u16 code;
	bool down;
};

struct key_events {
	struct key_event *list; /* list[num], in order; free() it */
	size_t num;
};

/**
 * keys_press() - Press keys together: in the order that they are named, released the other way
 * round
 * @names: "ctrl-alt-del", "f12", "a": split at '-' or '+', in any case
 * @out:   set on success
 * @wrong: set on -EINVAL: what of @names has no key begins here
 *
 * Return: 0; -EINVAL: a name that there is not, or none; -E2BIG: more than KEYS_MAX_HELD; -ENOMEM.
 */
int keys_press(const char *names, struct key_events *out, const char **wrong);

/**
 * keys_type() - Type text
 * @text:  printable ASCII, newline is Enter, tab, backspace, escape
 * @out:   set on success
 * @wrong: set on -EINVAL: the first character that has no key
 *
 * Return: 0; -EINVAL; -E2BIG: more than KEYS_MAX_TEXT; -ENOMEM.
 */
int keys_type(const char *text, struct key_events *out, const char **wrong);

/**
 * keys_of_char() - The key that has a character
 * @c:     as keys_type() takes it
 * @shift: set: with shift held
 *
 * Return: its code; 0: no key has it.
 */
u16 keys_of_char(char c, bool *shift);

#endif
