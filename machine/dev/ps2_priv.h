/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the PS/2 controller, keyboard and mouse share. */
#ifndef KVMB_PS2_PRIV_H
#define KVMB_PS2_PRIV_H

#include <pthread.h>

#include "machine/dev/ps2.h"

#define PS2_QUEUE 256u
#define PS2_ACK 0xfau
#define PS2_RESEND 0xfeu
#define PS2_NO_COMMAND 0u /* no device has a command 0 */

struct ps2_queue {
	u8 bytes[PS2_QUEUE]; /* bytes[num], oldest first */
	u32 num;
};

struct ps2_keyboard {
	struct ps2_queue keys, replies;
	u8 command; /* that waits for its parameter; PS2_NO_COMMAND */
	u8 set;	    /* 1, 2 */
	u8 scanning;
	u8 leds;
	u8 last;      /* byte that was sent, for "resend" */
	u8 modifiers; /* ctrl, shift and alt that are down: bits of ps2_keyboard.c */
	u8 print;     /* how Print Screen was pressed */
};

#define PS2_TRAVEL 8192 /* most that is kept of a movement, counts */

struct ps2_aux { /* the mouse */
	struct ps2_queue packets, replies;
	u8 command;
	u8 reporting, remote, wrap, scaling;
	u8 rate, resolution;
	u8 id;	     /* 0; 3: it has a wheel */
	u8 knock[3]; /* the last rates */
	u8 last;
	s32 dx, dy, dz; /* not sent yet: -PS2_TRAVEL to PS2_TRAVEL */
	u8 buttons, sent;
};

enum ps2_source { PS2_NOBODY, PS2_CONTROLLER, PS2_KEYBOARD, PS2_AUX, PS2_SOURCES };

struct ps2 {
	pthread_mutex_t lock;
	struct ps2_ops ops;
	/* the rest is under lock */
	u8 ctr; /* the command byte */
	u8 outport;
	u8 command;	/* that waits for its parameter; PS2_NO_COMMAND */
	u8 output;	/* the byte that is or was in the buffer */
	u8 source;	/* of it; PS2_NOBODY = the buffer is empty */
	u8 reply;	/* the controller's next byte */
	u8 reply_as;	/* who it seems to be from; PS2_NOBODY = there is none */
	u8 was_command; /* status: the last byte was written to the command port */
	u8 tested;	/* status: it has passed its test */
	u8 release;	/* translation: the next code is a release */
	u8 lines;	/* bit 0: IRQ 1 is up; bit 1: IRQ 12 */
	struct ps2_keyboard keyboard;
	struct ps2_aux aux;
};

/** ps2_queue_room() - Return: bytes that it takes. */
static inline u32 ps2_queue_room(const struct ps2_queue *q)
{
	return PS2_QUEUE - q->num;
}

/** ps2_queue_put() - Add a byte, or do nothing when it is full. */
static inline void ps2_queue_put(struct ps2_queue *q, u8 byte)
{
	if (q->num < PS2_QUEUE)
		q->bytes[q->num++] = byte;
}

/** ps2_queue_get() - Return: false: it is empty. */
static inline bool ps2_queue_get(struct ps2_queue *q, u8 *byte)
{
	if (!q->num)
		return false;
	*byte = q->bytes[0];
	memmove(q->bytes, q->bytes + 1, --q->num);
	return true;
}

/* ---- ps2_keyboard.c; lock held ---- */

/** ps2_translate() - Return: the code of set 1 for one of set 2. */
u8 ps2_translate(u8 code);
/** ps2_keyboard_init() - Power-on state. */
void ps2_keyboard_init(struct ps2_keyboard *k);
/** ps2_keyboard_write() - A byte for it. */
void ps2_keyboard_write(struct ps2_keyboard *k, u8 val);
/** ps2_keyboard_next() - Return: false: it has nothing to say. */
bool ps2_keyboard_next(struct ps2_keyboard *k, u8 *byte);
/** ps2_keyboard_key() - As ps2_key(). */
bool ps2_keyboard_key(struct ps2_keyboard *k, u32 code, bool down);

/* ---- ps2_aux.c; lock held ---- */

/** ps2_aux_init() - Power-on state. */
void ps2_aux_init(struct ps2_aux *m);
/** ps2_aux_write() - A byte for it. */
void ps2_aux_write(struct ps2_aux *m, u8 val);
/** ps2_aux_next() - Return: false: it has nothing to say. */
bool ps2_aux_next(struct ps2_aux *m, u8 *byte);
/** ps2_aux_move() - As ps2_mouse(). */
void ps2_aux_move(struct ps2_aux *m, s32 dx, s32 dy, s32 dz, u32 buttons);

#endif
