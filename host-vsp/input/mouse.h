/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The synthetic mouse: a HID device with three buttons, a wheel, and absolute coordinates.
 *
 * The guest is told where the pointer is, from edge to edge of its screen, so the two do not drift
 * apart. Reports that have no room wait, KVMB_MOUSE_QUEUE at most: neighbours with the same buttons
 * become one, and when the queue is full, the last one has what was last.
 */
#ifndef KVMB_MOUSE_H
#define KVMB_MOUSE_H

#include "host-vsp/synth.h"

#define KVMB_MOUSE_LEFT 1u
#define KVMB_MOUSE_RIGHT 2u
#define KVMB_MOUSE_MIDDLE 4u
#define KVMB_MOUSE_BUTTONS 7u
#define KVMB_MOUSE_QUEUE 32u

struct kvmb_mouse_report {
	u16 x, y;   /* 0 to KVMB_MOUSE_MAX of proto/input.h */
	u8 buttons; /* all that are down: KVMB_MOUSE_* */
	s32 wheel;  /* notches away from the user, -127 to 127 */
};

struct kvmb_mouse { /* bus thread */
	struct kvmb_synth synth;
	struct kvmb_mouse_report queue[KVMB_MOUSE_QUEUE]; /* queue[num]: without room */
	u32 num;
};

/** kvmb_mouse_init() - Prepare it; kvmb_synth_offer() is next. */
void kvmb_mouse_init(struct kvmb_mouse *m);

/** kvmb_mouse_ready() - Does the guest take reports? */
bool kvmb_mouse_ready(const struct kvmb_mouse *m);

/** kvmb_mouse_point() - Where the pointer is now, and what is down; nothing unless it is ready. */
void kvmb_mouse_point(struct kvmb_mouse *m, const struct kvmb_mouse_report *r);

/** kvmb_mouse_save() - Into the open group. The bus stands. */
void kvmb_mouse_save(const struct kvmb_mouse *m, struct kvmb_tlv_out *o);

/** kvmb_mouse_load() - What that wrote, hostile. Return: 0; -errno, and @t->error says why. */
int kvmb_mouse_load(struct kvmb_mouse *m, struct kvmb_tlv *t);

#endif
