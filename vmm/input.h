/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is typed and pointed at, from whoever does it to whatever device the guest listens to.
 *
 * DOC: Theory of operation
 *
 * Keys go to the synthetic keyboard while the guest has a driver for it, else to the PS/2 keyboard,
 * and the pointer likewise. A key repeats and is let go where it was pressed, and buttons are let
 * go there: a driver that comes in between finds none stuck on the other device.
 *
 * Two wait while the guest does not take keys: a text of `kvmbus type`, one at a time, which goes
 * first; and a queue of INPUT_QUEUE presses and releases, which all displays share. After each
 * release the next key keeps a distance of INPUT_KEY_MS: a BIOS takes all at once, and keeps 15 for
 * its program. A guest that takes none for INPUT_PATIENCE_MS is given up: who types is told, and
 * presses are lost, of a text and of the queue, but no release of a key that was pressed. That is
 * also so when the queue is full. A text whose typist has gone is typed no further. While the VM
 * does not run the queue waits, a text does so for INPUT_PATIENCE_MS, and movements are lost.
 *
 * Who types and looks stays behind when a VM is saved or moves. So all that is down is let go
 * before; keys that the guest has no room for are in its state, and are let go when it goes on.
 *
 * Who points tells where on the picture. The synthetic mouse is absolute. A PS/2 mouse only knows
 * movements; what the guest makes of them is its own business, so the two drift apart. At an edge
 * of the picture the mouse goes on as far as the picture reaches, and they meet again.
 */
#ifndef KVMB_INPUT_H
#define KVMB_INPUT_H

#include "vmm/keys.h"
#include "vmm/reply.h"

struct kvmb_tlv;
struct kvmb_tlv_out;
struct vm;

#ifndef INPUT_PATIENCE_MS
#define INPUT_PATIENCE_MS 10000u
#endif
#define INPUT_KEY_MS 50u
#define INPUT_QUEUE 256u
#define INPUT_CODES 256u /* keys have a lower code */

/* Buttons of who points; of the wheel, a notch when they come down. */
#define INPUT_LEFT 1u
#define INPUT_MIDDLE 2u
#define INPUT_RIGHT 4u
#define INPUT_WHEEL_UP 8u
#define INPUT_WHEEL_DOWN 16u

struct input_codes { /* a set */
	u8 bits[INPUT_CODES / 8];
};

/** input_has() - Is @code in it? @code < INPUT_CODES */
static inline bool input_has(const struct input_codes *c, u32 code)
{
	return c->bits[code / 8] >> code % 8 & 1;
}

/** input_set() - Put @code into it, or take it out. @code < INPUT_CODES */
static inline void input_set(struct input_codes *c, u32 code, bool in)
{
	u8 bit = (u8)(1u << code % 8);

	c->bits[code / 8] = (u8)(in ? c->bits[code / 8] | bit : c->bits[code / 8] & ~bit);
}

struct input_pointer { /* where somebody pointed last; zeroed to begin with */
	bool known;    /* x, y */
	u32 x, y, buttons;
};

/**
 * input_type() - Type
 * @keys:  taken over
 * @reply: {} when the guest has taken the last one
 *
 * Context: main thread, as all here. Nobody types: input_types().
 */
void input_type(struct vm *vm, struct key_events keys, struct ctl_reply reply);

/** input_types() - Does somebody type? */
bool input_types(const struct vm *vm);

/** input_queue() - Queue a key; @code < INPUT_CODES. Return: false: the queue is full. */
bool input_queue(struct vm *vm, u32 code, bool down);

/** input_release() - Let go of a key: it gets there, sooner or later. */
void input_release(struct vm *vm, u32 code);

/**
 * input_point() - Somebody points
 * @p:       theirs
 * @x:       pixels from the left, hostile, as are @y and @buttons
 * @y:       pixels from above
 * @width:   of the picture, not 0
 * @height:  of the picture, not 0
 * @buttons: INPUT_* that are down
 */
void input_point(struct vm *vm, struct input_pointer *p, u32 x, u32 y, u32 width, u32 height,
		 u32 buttons);

/** input_unpoint() - They are gone: let go of their buttons. */
void input_unpoint(struct vm *vm, struct input_pointer *p);

/** input_let_go() - Let go of all that is down. The VM stands, its bus does not. */
void input_let_go(struct vm *vm);

/** input_save() - Section INPUT, if a key is down */
void input_save(const struct vm *vm, struct kvmb_tlv_out *o);

/** input_load() - That section, hostile. Return: 0; -errno, and @t->error has one line. */
int input_load(struct vm *vm, struct kvmb_tlv *t);

/** input_forget() - Nobody types any more. Before the machine is closed. */
void input_forget(struct vm *vm);

#endif
