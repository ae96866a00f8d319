/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keys of a VNC client as keys of a PC.
 *
 * DOC: Theory of operation
 *
 * A client says keysyms: which character or which key was pressed, by its own layout. The guest
 * gets keys, of which its layout makes characters again; it must have the US layout. Whether shift
 * belongs to a character is in the table, not with the client: 'A' may come with shift held or
 * without, and on other layouts shift is held for characters that need none here. So shift is
 * pressed or released for the moment in which a character's key goes down.
 *
 * Caps Lock and Num Lock are the client's: it says 'A' and KP_1 when they are on, so the guest gets
 * neither of them, nor the key that selects a third character (ISO_Level3_Shift).
 *
 * Sources: RFC 6143, 7.5.4; X.Org, X11/keysymdef.h, whose numbers are the protocol's.
 */
#ifndef KVMB_VNC_KEYS_H
#define KVMB_VNC_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct vnc_keys { /* zeroed at the beginning */
	/* KEY_* of linux/input-event-codes.h */
	void (*press)(void *arg, uint16_t code, bool down);
	void *arg;
	bool left_shift, right_shift; /* held by the client */
};

/**
 * vnc_key() - A key event of a client
 * @k:      of this client
 * @keysym: hostile; one that no US keyboard has does nothing
 * @down:   pressed, or pressed again because it repeats
 */
void vnc_key(struct vnc_keys *k, uint32_t keysym, bool down);

/**
 * vnc_key_code() - The key of a keysym
 * @shift: set to 0, 1: without, with shift; -1: it does not matter
 *
 * Return: its code; 0 = none.
 */
uint16_t vnc_key_code(uint32_t keysym, int *shift);

#endif
