/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The synthetic keyboard.
 *
 * A key is one message or two, with a scan code of set 1. What the guest has not read waits in its
 * ring, KVMB_KEYBOARD_AHEAD messages at most: then it takes no key, as a PS/2 keyboard whose guest
 * does not read. It may set LEDs, which nobody sees.
 */
#ifndef KVMB_KEYBOARD_H
#define KVMB_KEYBOARD_H

#include "host-vsp/synth.h"

#define KVMB_KEYBOARD_AHEAD 16u

struct kvmb_keyboard { /* bus thread */
	struct kvmb_synth synth;
	u16 leds; /* as the guest has set them: proto/input.h */
};

/** kvmb_keyboard_init() - Prepare it; kvmb_synth_offer() is next. */
void kvmb_keyboard_init(struct kvmb_keyboard *k);

/** kvmb_keyboard_ready() - Does the guest take keys by it? */
bool kvmb_keyboard_ready(const struct kvmb_keyboard *k);

/**
 * kvmb_keyboard_key() - Press or release a key
 * @k:    keyboard
 * @code: KEY_* of linux/input-event-codes.h; one that it does not have does nothing
 * @down: pressed; again while it is down: it repeats
 *
 * Return: false: not ready, or the guest has not read what was typed before; nothing happened.
 */
bool kvmb_keyboard_key(struct kvmb_keyboard *k, u32 code, bool down);

/** kvmb_keyboard_save() - Into the open group. The bus stands. */
void kvmb_keyboard_save(const struct kvmb_keyboard *k, struct kvmb_tlv_out *o);

/** kvmb_keyboard_load() - What that wrote, hostile. Return: 0; -errno, and @t->error says why. */
int kvmb_keyboard_load(struct kvmb_keyboard *k, struct kvmb_tlv *t);

#endif
