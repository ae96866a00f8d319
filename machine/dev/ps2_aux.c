// SPDX-License-Identifier: GPL-2.0-only
/* The PS/2 mouse. It has a wheel for those who know how to ask. Sources are in ps2.h. */
#include "lib/util.h"
#include "machine/dev/ps2_priv.h"

#define SET_RESOLUTION 0xe8u
#define SET_SAMPLES 0xf3u
#define RESET 0xffu
#define END_WRAP 0xecu
#define WHEEL_ID 3u
#define PACKETS_MAX 64u /* bytes that may wait; the rest is added up */

/* ---- movement ---- */

static s32 limited(s32 v, s32 max)
{
	return v > max ? max : v < -max ? -max : v;
}

static s32 travelled(s32 so_far, s32 more)
{
	return limited(so_far + limited(more, PS2_TRAVEL), PS2_TRAVEL);
}

/* Up to four bytes: what has moved so far, or as much of it as a packet can say. */
static void put_packet(struct ps2_aux *m, struct ps2_queue *q)
{
	s32 dx = limited(m->dx, 255), dy = limited(m->dy, 255), dz = limited(m->dz, 7);
	s32 up = -dy; /* is positive on the wire */

	ps2_queue_put(q, (u8)(m->buttons | 8 | (dx < 0 ? 0x10 : 0) | (up < 0 ? 0x20 : 0)));
	ps2_queue_put(q, (u8)dx);
	ps2_queue_put(q, (u8)up);
	if (m->id == WHEEL_ID)
		ps2_queue_put(q, (u8)-dz); /* towards the user is positive */
	m->dx -= dx;
	m->dy -= dy;
	m->dz -= dz;
	m->sent = m->buttons;
}

static void report_moves(struct ps2_aux *m)
{
	if (m->id != WHEEL_ID)
		m->dz = 0;
	while (m->reporting && !m->remote && !m->wrap && m->packets.num + 4 <= PACKETS_MAX &&
	       (m->dx || m->dy || m->dz || m->buttons != m->sent))
		put_packet(m, &m->packets);
}

void ps2_aux_move(struct ps2_aux *m, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	m->buttons = buttons & (PS2_LEFT | PS2_RIGHT | PS2_MIDDLE);
	if (!m->reporting && !m->remote) {
		m->sent = m->buttons;
		return;
	}
	m->dx = travelled(m->dx, dx);
	m->dy = travelled(m->dy, dy);
	m->dz = travelled(m->dz, dz);
	report_moves(m);
}

/* ---- commands ---- */

static void stand_still(struct ps2_aux *m)
{
	m->packets.num = 0;
	m->dx = m->dy = m->dz = 0;
	m->sent = m->buttons;
}

static void aux_defaults(struct ps2_aux *m)
{
	m->reporting = m->remote = m->wrap = m->scaling = 0;
	m->rate = 100;
	m->resolution = 2;
	stand_still(m);
}

void ps2_aux_init(struct ps2_aux *m)
{
	memset(m, 0, sizeof(*m));
	aux_defaults(m);
}

static void aux_reply(struct ps2_aux *m, u8 byte)
{
	ps2_queue_put(&m->replies, byte);
}

static void put_status(struct ps2_aux *m)
{
	u8 b = m->buttons;

	aux_reply(m, (u8)((m->remote ? 0x40 : 0) | (m->reporting ? 0x20 : 0) |
			  (m->scaling ? 0x10 : 0) | (b & PS2_LEFT ? 4 : 0) |
			  (b & PS2_MIDDLE ? 2 : 0) | (b & PS2_RIGHT ? 1 : 0)));
	aux_reply(m, m->resolution);
	aux_reply(m, m->rate);
}

static void set_samples(struct ps2_aux *m, u8 rate)
{
	static const u8 wheel[3] = { 200, 100, 80 };

	m->rate = rate;
	memmove(m->knock, m->knock + 1, 2);
	m->knock[2] = rate;
	if (!memcmp(m->knock, wheel, 3))
		m->id = WHEEL_ID;
}

static void take_value(struct ps2_aux *m, u8 command, u8 val)
{
	aux_reply(m, PS2_ACK);
	if (command == SET_RESOLUTION)
		m->resolution = val & 3;
	else
		set_samples(m, val);
}

/* Commands that only set something. Return: false: it is none. */
static bool set_command(struct ps2_aux *m, u8 val)
{
	switch (val) {
	case 0xe6:
	case 0xe7:
		m->scaling = val & 1;
		break;
	case SET_RESOLUTION:
	case SET_SAMPLES:
		m->command = val;
		break;
	case 0xea:
	case 0xf0:
		m->remote = val == 0xf0;
		break;
	case END_WRAP:
	case 0xee:
		m->wrap = val == 0xee;
		break;
	case 0xf4:
	case 0xf5:
		m->reporting = val == 0xf4;
		break;
	case 0xf6:
		aux_defaults(m);
		break;
	default:
		return false;
	}
	aux_reply(m, PS2_ACK);
	return true;
}

static void aux_command(struct ps2_aux *m, u8 val)
{
	if (val == PS2_RESEND) {
		aux_reply(m, m->last);
		return;
	}
	if (val != 0xeb)
		stand_still(m);
	if (set_command(m, val))
		return;
	aux_reply(m,
		  val == 0xe9 || val == 0xeb || val == 0xf2 || val == RESET ? PS2_ACK : PS2_RESEND);
	switch (val) {
	case 0xe9:
		put_status(m);
		break;
	case 0xeb:
		put_packet(m, &m->replies);
		break;
	case 0xf2:
		aux_reply(m, m->id);
		break;
	case RESET:
		aux_defaults(m);
		m->id = 0;
		aux_reply(m, 0xaa);
		aux_reply(m, m->id);
		break;
	}
}

void ps2_aux_write(struct ps2_aux *m, u8 val)
{
	u8 command = m->command;

	m->command = PS2_NO_COMMAND;
	m->replies.num = 0;
	if (m->wrap && val != RESET && val != END_WRAP)
		aux_reply(m, val);
	else if (command != PS2_NO_COMMAND)
		take_value(m, command, val);
	else
		aux_command(m, val);
}

bool ps2_aux_next(struct ps2_aux *m, u8 *byte)
{
	if (!ps2_queue_get(&m->replies, byte) && !ps2_queue_get(&m->packets, byte))
		return false;
	if (*byte != PS2_RESEND)
		m->last = *byte;
	report_moves(m);
	return true;
}
