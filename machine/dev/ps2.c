// SPDX-License-Identifier: GPL-2.0-only
/* The 8042 controller. Theory: ps2.h. */
#include "machine/dev/ps2.h"

#include <stdlib.h>

#include "lib/util.h"
#include "machine/dev/ps2_priv.h"

/* command byte */
#define CTR_KEYBOARD_IRQ 0x01u
#define CTR_AUX_IRQ 0x02u
#define CTR_SYSTEM 0x04u
#define CTR_KEYBOARD_OFF 0x10u
#define CTR_AUX_OFF 0x20u
#define CTR_TRANSLATE 0x40u

/* status */
#define STATUS_FULL 0x01u
#define STATUS_SYSTEM 0x04u
#define STATUS_COMMAND 0x08u
#define STATUS_UNLOCKED 0x10u
#define STATUS_AUX 0x20u

/* output port */
#define PORT_NO_RESET 0x01u
#define PORT_A20 0x02u
#define PORT_KEYBOARD_IRQ 0x10u
#define PORT_AUX_IRQ 0x20u

/* commands that take a byte */
#define WRITE_CTR 0x60u
#define WRITE_OUTPORT 0xd1u
#define WRITE_AS_KEYBOARD 0xd2u
#define WRITE_AS_AUX 0xd3u
#define WRITE_TO_AUX 0xd4u

#define RELEASE 0xf0u

/* ---- output buffer ---- */

static void put_lines(struct ps2 *p)
{
	bool keyboard = p->source == PS2_KEYBOARD || p->source == PS2_CONTROLLER;
	u8 lines = 0;

	if (keyboard && p->ctr & CTR_KEYBOARD_IRQ && !(p->ctr & CTR_KEYBOARD_OFF))
		lines |= 1;
	if (p->source == PS2_AUX && p->ctr & CTR_AUX_IRQ)
		lines |= 2;
	if ((lines ^ p->lines) & 1)
		p->ops.set_irq(p->ops.arg, PS2_KEYBOARD_IRQ, lines & 1);
	if ((lines ^ p->lines) & 2)
		p->ops.set_irq(p->ops.arg, PS2_MOUSE_IRQ, lines >> 1);
	p->lines = lines;
}

/* The keyboard's next byte, of set 1 if that is wanted: then a release has no byte of its own. */
static bool next_code(struct ps2 *p, u8 *byte)
{
	while (ps2_keyboard_next(&p->keyboard, byte)) {
		if (!(p->ctr & CTR_TRANSLATE))
			return true;
		if (*byte != RELEASE) {
			*byte = ps2_translate(*byte) | (p->release ? 0x80 : 0);
			p->release = false;
			return true;
		}
		p->release = true;
	}
	return false;
}

static void fill_output(struct ps2 *p)
{
	if (p->source != PS2_NOBODY)
		return;
	if (p->reply_as != PS2_NOBODY) {
		p->output = p->reply;
		p->source = p->reply_as;
		p->reply_as = PS2_NOBODY;
	} else if (!(p->ctr & CTR_KEYBOARD_OFF) && next_code(p, &p->output)) {
		p->source = PS2_KEYBOARD;
	} else if (!(p->ctr & CTR_AUX_OFF) && ps2_aux_next(&p->aux, &p->output)) {
		p->source = PS2_AUX;
	}
}

/* After anything that may have made or wanted bytes. */
static void go_on(struct ps2 *p)
{
	fill_output(p);
	put_lines(p);
}

/* An answer that nobody has read is replaced. */
static void answer(struct ps2 *p, u8 val, enum ps2_source as)
{
	p->reply = val;
	p->reply_as = as;
}

/* ---- ports ---- */

static u8 read_outport(const struct ps2 *p)
{
	u8 val = p->outport;

	if (p->source == PS2_AUX)
		val |= PORT_AUX_IRQ;
	else if (p->source != PS2_NOBODY)
		val |= PORT_KEYBOARD_IRQ;
	return val;
}

static void run_command(struct ps2 *p, u8 command)
{
	switch (command) {
	case 0x20:
		answer(p, p->ctr, PS2_CONTROLLER);
		break;
	case WRITE_CTR:
	case WRITE_OUTPORT:
	case WRITE_AS_KEYBOARD:
	case WRITE_AS_AUX:
	case WRITE_TO_AUX:
		p->command = command;
		break;
	case 0xa7:
		p->ctr |= CTR_AUX_OFF;
		break;
	case 0xa8:
		p->ctr &= (u8)~CTR_AUX_OFF;
		break;
	case 0xa9: /* tests of the ports: nothing is wrong */
	case 0xab:
		answer(p, 0, PS2_CONTROLLER);
		break;
	case 0xaa:
		p->tested = true;
		answer(p, 0x55, PS2_CONTROLLER);
		break;
	case 0xad:
		p->ctr |= CTR_KEYBOARD_OFF;
		break;
	case 0xae:
		p->ctr &= (u8)~CTR_KEYBOARD_OFF;
		break;
	case 0xc0: /* input port: the keyboard is not locked */
		answer(p, 0x80, PS2_CONTROLLER);
		break;
	case 0xd0:
		answer(p, read_outport(p), PS2_CONTROLLER);
		break;
	case 0xdd:
		p->outport &= (u8)~PORT_A20;
		break;
	case 0xdf:
		p->outport |= PORT_A20;
		break;
	}
}

static void write_ctr(struct ps2 *p, u8 val)
{
	p->ctr = val & 0x7f;
	if (val & CTR_SYSTEM)
		p->tested = true;
}

/* A byte that a command waits for; the keyboard's when there is none. */
static void take_data(struct ps2 *p, u8 val)
{
	u8 command = p->command;

	p->command = PS2_NO_COMMAND;
	switch (command) {
	case WRITE_CTR:
		write_ctr(p, val);
		break;
	case WRITE_OUTPORT:
		p->outport = (val & PORT_A20) | PORT_NO_RESET;
		break;
	case WRITE_AS_KEYBOARD:
		answer(p, val, PS2_KEYBOARD);
		break;
	case WRITE_AS_AUX:
		answer(p, val, PS2_AUX);
		break;
	case WRITE_TO_AUX:
		p->ctr &= (u8)~CTR_AUX_OFF; /* its clock runs again */
		ps2_aux_write(&p->aux, val);
		break;
	default:
		p->ctr &= (u8)~CTR_KEYBOARD_OFF;
		ps2_keyboard_write(&p->keyboard, val);
	}
}

/* Return: the guest pulls the line that resets the machine. */
static bool write_data(struct ps2 *p, u8 val)
{
	bool reset = p->command == WRITE_OUTPORT && !(val & PORT_NO_RESET);

	p->was_command = false;
	take_data(p, val);
	go_on(p);
	return reset;
}

static u8 read_data(struct ps2 *p)
{
	u8 val = p->output;

	p->source = PS2_NOBODY;
	put_lines(p); /* down, and up again for the next: an edge for each byte */
	go_on(p);
	return val;
}

void ps2_data_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct ps2 *p = dev;
	bool reset = false;

	(void)offset, (void)size;
	pthread_mutex_lock(&p->lock);
	if (write)
		reset = write_data(p, (u8)*val);
	else
		*val = read_data(p);
	pthread_mutex_unlock(&p->lock);
	if (reset)
		p->ops.reset(p->ops.arg);
}

static u8 read_status(const struct ps2 *p)
{
	return (u8)(STATUS_UNLOCKED | (p->source != PS2_NOBODY ? STATUS_FULL : 0) |
		    (p->source == PS2_AUX ? STATUS_AUX : 0) | (p->tested ? STATUS_SYSTEM : 0) |
		    (p->was_command ? STATUS_COMMAND : 0));
}

/* Return: as write_data(). */
static bool write_command(struct ps2 *p, u8 val)
{
	p->was_command = true;
	p->command = PS2_NO_COMMAND;
	run_command(p, val);
	go_on(p);
	return val >= 0xf0 && !(val & PORT_NO_RESET); /* pulses what is 0 */
}

void ps2_command_access(void *dev, u16 offset, u32 size, bool write, u32 *val)
{
	struct ps2 *p = dev;
	bool reset = false;

	(void)offset, (void)size;
	pthread_mutex_lock(&p->lock);
	if (write)
		reset = write_command(p, (u8)*val);
	else
		*val = read_status(p);
	pthread_mutex_unlock(&p->lock);
	if (reset)
		p->ops.reset(p->ops.arg);
}

/* ---- the user ---- */

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	bool taken;

	pthread_mutex_lock(&p->lock);
	taken = ps2_keyboard_key(&p->keyboard, code, down);
	go_on(p);
	pthread_mutex_unlock(&p->lock);
	return taken;
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	pthread_mutex_lock(&p->lock);
	ps2_aux_move(&p->aux, dx, dy, dz, buttons);
	go_on(p);
	pthread_mutex_unlock(&p->lock);
}

/* ---- life ---- */

static void power_up(struct ps2 *p)
{
	p->source = p->reply_as = PS2_NOBODY;
	p->ctr = CTR_KEYBOARD_IRQ | CTR_AUX_IRQ;
	p->outport = PORT_NO_RESET | PORT_A20;
	p->command = PS2_NO_COMMAND;
	p->output = p->reply = 0;
	p->was_command = p->tested = p->release = false;
	ps2_keyboard_init(&p->keyboard);
	ps2_aux_init(&p->aux);
}

void ps2_reset(struct ps2 *p)
{
	pthread_mutex_lock(&p->lock);
	power_up(p);
	put_lines(p);
	pthread_mutex_unlock(&p->lock);
}

void ps2_loaded(struct ps2 *p)
{
	pthread_mutex_lock(&p->lock);
	put_lines(p);
	pthread_mutex_unlock(&p->lock);
}

struct ps2 *ps2_create(const struct ps2_ops *ops)
{
	struct ps2 *p = kvmb_xzalloc(sizeof(*p));

	p->ops = *ops;
	pthread_mutex_init(&p->lock, NULL);
	power_up(p);
	return p;
}

void ps2_destroy(struct ps2 *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
