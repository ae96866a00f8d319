// SPDX-License-Identifier: GPL-2.0-only
/* Keyboard, mouse and their controller in saved VMs. */
#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ps2_priv.h"

/* Fields of the controller. Numbers are never used again. */
enum {
	PS2_CTR = 1,
	PS2_OUTPORT = 2,
	PS2_COMMAND = 3,
	PS2_OUTPUT = 4,
	PS2_SOURCE = 5,
	PS2_REPLY = 6,
	PS2_REPLY_AS = 7,
	PS2_WAS_COMMAND = 8,
	PS2_TESTED = 9,
	PS2_RELEASE = 10,
	PS2_KEYBOARD_GROUP = 11,
	PS2_AUX_GROUP = 12,
};

/* of the keyboard */
enum {
	KEYBOARD_KEYS = 1,
	KEYBOARD_REPLIES = 2,
	KEYBOARD_COMMAND = 3,
	KEYBOARD_SET = 4,
	KEYBOARD_SCANNING = 5,
	KEYBOARD_LEDS = 6,
	KEYBOARD_LAST = 7,
	KEYBOARD_MODIFIERS = 8,
	KEYBOARD_PRINT = 9,
};

/* of the mouse */
enum {
	AUX_PACKETS = 1,
	AUX_REPLIES = 2,
	AUX_COMMAND = 3,
	AUX_REPORTING = 4,
	AUX_REMOTE = 5,
	AUX_WRAP = 6,
	AUX_SCALING = 7,
	AUX_RATE = 8,
	AUX_RESOLUTION = 9,
	AUX_ID = 10,
	AUX_KNOCK = 11, /* 3 bytes */
	AUX_LAST = 12,
	AUX_DX = 13, /* and PS2_TRAVEL; as the next two */
	AUX_DY = 14,
	AUX_DZ = 15,
	AUX_BUTTONS = 16,
	AUX_SENT = 17,
};

/* A byte of one of the structs, its field, the most that it may be. */
struct byte_field {
	u8 field;
	u8 max;
	u16 offset;
};

#define OFFSET(name) offsetof(struct ps2, name)
static const struct byte_field controller_bytes[] = {
	{ PS2_CTR, 0x7f, OFFSET(ctr) },
	{ PS2_OUTPORT, 3, OFFSET(outport) },
	{ PS2_COMMAND, 0xd4, OFFSET(command) },
	{ PS2_OUTPUT, 0xff, OFFSET(output) },
	{ PS2_SOURCE, PS2_SOURCES - 1, OFFSET(source) },
	{ PS2_REPLY, 0xff, OFFSET(reply) },
	{ PS2_REPLY_AS, PS2_SOURCES - 1, OFFSET(reply_as) },
	{ PS2_WAS_COMMAND, 1, OFFSET(was_command) },
	{ PS2_TESTED, 1, OFFSET(tested) },
	{ PS2_RELEASE, 1, OFFSET(release) },
};

static const struct byte_field keyboard_bytes[] = {
	{ KEYBOARD_COMMAND, 0xf3, OFFSET(keyboard.command) },
	{ KEYBOARD_SET, 2, OFFSET(keyboard.set) },
	{ KEYBOARD_SCANNING, 1, OFFSET(keyboard.scanning) },
	{ KEYBOARD_LEDS, 7, OFFSET(keyboard.leds) },
	{ KEYBOARD_LAST, 0xff, OFFSET(keyboard.last) },
	{ KEYBOARD_MODIFIERS, 0x3f, OFFSET(keyboard.modifiers) },
	{ KEYBOARD_PRINT, 2, OFFSET(keyboard.print) },
};

static const struct byte_field aux_bytes[] = {
	{ AUX_COMMAND, 0xf3, OFFSET(aux.command) },
	{ AUX_REPORTING, 1, OFFSET(aux.reporting) },
	{ AUX_REMOTE, 1, OFFSET(aux.remote) },
	{ AUX_WRAP, 1, OFFSET(aux.wrap) },
	{ AUX_SCALING, 1, OFFSET(aux.scaling) },
	{ AUX_RATE, 0xff, OFFSET(aux.rate) },
	{ AUX_RESOLUTION, 3, OFFSET(aux.resolution) },
	{ AUX_ID, 3, OFFSET(aux.id) },
	{ AUX_LAST, 0xff, OFFSET(aux.last) },
	{ AUX_BUTTONS, 7, OFFSET(aux.buttons) },
	{ AUX_SENT, 7, OFFSET(aux.sent) },
};

/* ---- saving ---- */

static void put_byte_fields(struct kvmb_tlv_out *o, const struct ps2 *p, const struct byte_field *f,
			    size_t num)
{
	size_t i;

	for (i = 0; i < num; i++)
		kvmb_tlv_put(o, f[i].field, ((const u8 *)p)[f[i].offset]);
}

static void put_queue(struct kvmb_tlv_out *o, u32 field, const struct ps2_queue *q)
{
	kvmb_tlv_put_bytes(o, field, q->bytes, q->num);
}

static void put_travel(struct kvmb_tlv_out *o, u32 field, s32 counts)
{
	kvmb_tlv_put(o, field, (u64)(counts + PS2_TRAVEL));
}

static void save_aux(const struct ps2 *p, struct kvmb_tlv_out *o)
{
	put_byte_fields(o, p, aux_bytes, ARRAY_SIZE(aux_bytes));
	put_queue(o, AUX_PACKETS, &p->aux.packets);
	put_queue(o, AUX_REPLIES, &p->aux.replies);
	kvmb_tlv_put_bytes(o, AUX_KNOCK, p->aux.knock, 3);
	put_travel(o, AUX_DX, p->aux.dx);
	put_travel(o, AUX_DY, p->aux.dy);
	put_travel(o, AUX_DZ, p->aux.dz);
}

void ps2_save(struct ps2 *p, struct kvmb_tlv_out *o)
{
	pthread_mutex_lock(&p->lock);
	put_byte_fields(o, p, controller_bytes, ARRAY_SIZE(controller_bytes));
	kvmb_tlv_group(o, PS2_KEYBOARD_GROUP);
	put_byte_fields(o, p, keyboard_bytes, ARRAY_SIZE(keyboard_bytes));
	put_queue(o, KEYBOARD_KEYS, &p->keyboard.keys);
	put_queue(o, KEYBOARD_REPLIES, &p->keyboard.replies);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, PS2_AUX_GROUP);
	save_aux(p, o);
	kvmb_tlv_group_end(o);
	pthread_mutex_unlock(&p->lock);
}

/* ---- loading ---- */

static void get_byte_fields(struct kvmb_tlv *t, struct ps2 *p, const struct byte_field *f,
			    size_t num)
{
	size_t i;

	for (i = 0; i < num; i++)
		((u8 *)p)[f[i].offset] = (u8)kvmb_tlv_get(t, f[i].field, f[i].max);
}

static void get_queue(struct kvmb_tlv *t, u32 field, struct ps2_queue *q)
{
	size_t len;
	const u8 *bytes = kvmb_tlv_get_bytes(t, field, &len);

	if (len > PS2_QUEUE) {
		kvmb_tlv_refuse(t, field, "more than it has room for");
		return;
	}
	if (len)
		memcpy(q->bytes, bytes, len);
	q->num = (u32)len;
}

static s32 get_travel(struct kvmb_tlv *t, u32 field)
{
	return (s32)kvmb_tlv_get(t, field, 2 * PS2_TRAVEL) - PS2_TRAVEL;
}

static int load_keyboard(struct ps2 *p, struct kvmb_tlv *t)
{
	get_byte_fields(t, p, keyboard_bytes, ARRAY_SIZE(keyboard_bytes));
	get_queue(t, KEYBOARD_KEYS, &p->keyboard.keys);
	get_queue(t, KEYBOARD_REPLIES, &p->keyboard.replies);
	if (!p->keyboard.set)
		kvmb_tlv_refuse(t, KEYBOARD_SET, "no keyboard has that");
	return kvmb_tlv_done(t);
}

static int load_aux(struct ps2 *p, struct kvmb_tlv *t)
{
	get_byte_fields(t, p, aux_bytes, ARRAY_SIZE(aux_bytes));
	get_queue(t, AUX_PACKETS, &p->aux.packets);
	get_queue(t, AUX_REPLIES, &p->aux.replies);
	kvmb_tlv_copy(t, AUX_KNOCK, p->aux.knock, 3);
	p->aux.dx = get_travel(t, AUX_DX);
	p->aux.dy = get_travel(t, AUX_DY);
	p->aux.dz = get_travel(t, AUX_DZ);
	return kvmb_tlv_done(t);
}

/* A group that must be there. */
static void load_group(struct ps2 *p, struct kvmb_tlv *t, u32 field,
		       int (*load)(struct ps2 *p, struct kvmb_tlv *t))
{
	struct kvmb_tlv group;
	size_t pos = 0;

	if (kvmb_tlv_each(t, field, &pos, &group))
		load(p, &group);
	else
		kvmb_tlv_refuse(t, field, "is missing");
}

int ps2_load(struct ps2 *p, struct kvmb_tlv *group)
{
	struct ps2 *new = kvmb_xzalloc(sizeof(*new));
	int err;

	get_byte_fields(group, new, controller_bytes, ARRAY_SIZE(controller_bytes));
	load_group(new, group, PS2_KEYBOARD_GROUP, load_keyboard);
	load_group(new, group, PS2_AUX_GROUP, load_aux);
	err = kvmb_tlv_done(group);
	if (!err) {
		pthread_mutex_lock(&p->lock);
		memcpy(&p->ctr, &new->ctr, sizeof(*p) - offsetof(struct ps2, ctr));
		pthread_mutex_unlock(&p->lock);
	}
	free(new);
	return err;
}
