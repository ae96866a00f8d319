// SPDX-License-Identifier: GPL-2.0-only
/* The synthetic mouse: mouse.h. */
#include "host-vsp/input/mouse.h"

#include <stdlib.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "vmbus-core/proto/input.h"

#define PACKET_MAX 512u
#define AHEAD (16u * 48u) /* bytes of reports that the guest has not read */

/* ---- what it is ---- */

/*
 * A pointer: three buttons, x and y where it is, a wheel that turns.
 * Source: USB-IF, HID 1.11, chapter 6.2.2; HID Usage Tables 1.12, chapters 4 and 12.
 */
static const u8 report_descriptor[] = {
	0x05, 0x01,	  /* usage page: generic desktop */
	0x09, 0x02,	  /* usage: mouse */
	0xa1, 0x01,	  /* application */
	0x09, 0x01,	  /*   usage: pointer */
	0xa1, 0x00,	  /*   physical */
	0x05, 0x09,	  /*     usage page: buttons */
	0x19, 0x01,	  /*     from 1 */
	0x29, 0x03,	  /*     to 3 */
	0x15, 0x00,	  /*     values from 0 */
	0x25, 0x01,	  /*     to 1 */
	0x75, 0x01,	  /*     of 1 bit */
	0x95, 0x03,	  /*     three of them */
	0x81, 0x02,	  /*     input: absolute */
	0x75, 0x05,	  /*     and 5 bits */
	0x95, 0x01,	  /*     once */
	0x81, 0x03,	  /*     input: constant */
	0x05, 0x01,	  /*     usage page: generic desktop */
	0x09, 0x30,	  /*     x */
	0x09, 0x31,	  /*     y */
	0x26, 0xff, 0x7f, /*     values to KVMB_MOUSE_MAX */
	0x75, 0x10,	  /*     of 16 bits */
	0x95, 0x02,	  /*     two of them */
	0x81, 0x02,	  /*     input: absolute */
	0x09, 0x38,	  /*     wheel */
	0x15, 0x81,	  /*     values from -127 */
	0x25, 0x7f,	  /*     to 127 */
	0x75, 0x08,	  /*     of 8 bits */
	0x95, 0x01,	  /*     once */
	0x81, 0x06,	  /*     input: relative */
	0xc0, 0xc0,
};

struct info { /* the message that describes it */
	struct kvmb_wire_mouse_info head;
	u8 report[sizeof(report_descriptor)];
} __attribute__((packed));

static void fill_info(struct info *i)
{
	*i = (struct info){
		.head = { .size = cpu_to_le32(32),
			  .vendor = cpu_to_le16(0x045e), /* as on Hyper-V: docs/protocol.md#9.5 */
			  .product = cpu_to_le16(0x0621),
			  .version = cpu_to_le16(1),
			  .hid = { .length = sizeof(struct kvmb_wire_hid_descriptor),
				   .type = 0x21,
				   .hid = cpu_to_le16(0x0101),
				   .num = 1,
				   .report_type = 0x22,
				   .report_length = cpu_to_le16(sizeof(report_descriptor)) } },
	};
	memcpy(i->report, report_descriptor, sizeof(report_descriptor));
}

/* ---- what the guest says ---- */

static const char *take_version(struct kvmb_mouse *m, const struct kvmb_synth_msg *msg)
{
	struct kvmb_wire_mouse_response r = { .version = cpu_to_le32(KVMB_MOUSE_VERSION) };
	struct kvmb_wire_mouse_request req;
	struct info info;
	int err;

	if (msg->len < sizeof(req))
		return "a request is too short";
	if (m->synth.state != KVMB_SYNTH_NEGOTIATING)
		return "a version was agreed already";
	memcpy(&req, msg->body, sizeof(req));
	r.approved = le32_to_cpu(req.version) == KVMB_MOUSE_VERSION;
	err = kvmb_synth_say(&m->synth, KVMB_MOUSE_RESPONSE, &r, sizeof(r), sizeof(r));
	if (!err && r.approved) {
		fill_info(&info);
		err = kvmb_synth_say(&m->synth, KVMB_MOUSE_INFO, &info, sizeof(info), sizeof(info));
	}
	if (err)
		return "its ring is corrupt";
	if (!r.approved)
		return NULL;
	m->synth.version = KVMB_MOUSE_VERSION;
	kvmb_synth_move(&m->synth, KVMB_SYNTH_DESCRIBED);
	return NULL;
}

static const char *mouse_packet(struct kvmb_loop_chan *c, const struct kvmb_pkt *pkt)
{
	struct kvmb_mouse *m = container_of(c, struct kvmb_mouse, synth.chan);
	struct kvmb_synth_msg msg;
	const char *why = kvmb_synth_parse(&m->synth, pkt, &msg);

	if (why)
		return why;
	if (msg.type == KVMB_MOUSE_REQUEST)
		return take_version(m, &msg);
	if (msg.type != KVMB_MOUSE_INFO_ACK)
		return "there is no such message";
	if (msg.len < 1)
		return "an acknowledgement is too short";
	if (m->synth.state != KVMB_SYNTH_DESCRIBED)
		return "nothing was to be acknowledged";
	kvmb_synth_move(&m->synth, KVMB_SYNTH_READY);
	return NULL;
}

/* ---- reports ---- */

bool kvmb_mouse_ready(const struct kvmb_mouse *m)
{
	return m->synth.state == KVMB_SYNTH_READY;
}

static int send_report(struct kvmb_mouse *m, const struct kvmb_mouse_report *r)
{
	const struct kvmb_wire_mouse_report w = { .buttons = r->buttons,
						  .x = cpu_to_le16(r->x),
						  .y = cpu_to_le16(r->y),
						  .wheel = (u8)r->wheel };

	return kvmb_synth_say(&m->synth, KVMB_MOUSE_REPORT, &w, sizeof(w), sizeof(w));
}

static void send_some(struct kvmb_mouse *m)
{
	u32 num = 0;
	int err = 0;

	while (num < m->num && !err && kvmb_loop_chan_unread(&m->synth.chan) < AHEAD) {
		err = send_report(m, &m->queue[num]);
		num += !err;
	}
	m->num -= num;
	memmove(m->queue, m->queue + num, m->num * sizeof(*m->queue));
	if (err && err != -EAGAIN)
		kvmb_loop_chan_fail(&m->synth.chan, "its ring is corrupt", err);
}

/* As many as the guest is ready to look at. It is called again when it has read on. */
static void send_queued(struct kvmb_mouse *m)
{
	if (!m->num || !kvmb_mouse_ready(m) || !kvmb_loop_chan_runs(&m->synth.chan))
		return;
	send_some(m);
	/* a guest that lies here is not waited for: the next report tries again */
	if (m->num && kvmb_loop_chan_want(&m->synth.chan, AHEAD))
		send_some(m);
}

static void mouse_room(struct kvmb_loop_chan *c)
{
	send_queued(container_of(c, struct kvmb_mouse, synth.chan));
}

static void queue_report(struct kvmb_mouse *m, const struct kvmb_mouse_report *r)
{
	struct kvmb_mouse_report *last = m->num ? &m->queue[m->num - 1] : NULL;
	s32 wheel = r->wheel;

	if (!last || (last->buttons != r->buttons && m->num < KVMB_MOUSE_QUEUE))
		last = &m->queue[m->num++];
	else
		wheel += last->wheel;
	*last = *r;
	last->wheel = KVMB_MAX(KVMB_MIN(wheel, 127), -127);
}

void kvmb_mouse_point(struct kvmb_mouse *m, const struct kvmb_mouse_report *r)
{
	kvmb_assert(r->x <= KVMB_MOUSE_MAX && r->y <= KVMB_MOUSE_MAX &&
		    !(r->buttons & ~KVMB_MOUSE_BUTTONS));
	if (!kvmb_mouse_ready(m))
		return;
	queue_report(m, r);
	send_queued(m);
}

/* ---- life ---- */

static void mouse_stopped(struct kvmb_synth *s)
{
	container_of(s, struct kvmb_mouse, synth)->num = 0;
}

static const struct kvmb_synth_ops mouse_ops = {
	.name = "mouse",
	.type = KVMB_MOUSE_TYPE_GUID,
	.instance = KVMB_MOUSE_INSTANCE_GUID,
	.describes = true,
	.chan = { .packet_max = PACKET_MAX,
		  .answer_room = 512,
		  .packet = mouse_packet,
		  .failed = kvmb_synth_failed,
		  .room = mouse_room },
	.stopped = mouse_stopped,
};

void kvmb_mouse_init(struct kvmb_mouse *m)
{
	/* what Linux "repairs" there is not to be found: docs/protocol.md#9.6 */
	static_assert(sizeof(report_descriptor) > 14, "for that");
	kvmb_assert(report_descriptor[14] != 0x25);
	memset(m, 0, sizeof(*m));
	kvmb_synth_init(&m->synth, &mouse_ops);
}

/* ---- saving ---- */

/* Numbers are never used again. */
enum { MOUSE_QUEUE = KVMB_SYNTH_OWN }; /* list: x, y << 16, buttons << 32, wheel << 40 */

static bool mouse_version(u32 version)
{
	return version == KVMB_MOUSE_VERSION;
}

void kvmb_mouse_save(const struct kvmb_mouse *m, struct kvmb_tlv_out *o)
{
	u64 list[KVMB_MOUSE_QUEUE];
	u32 i;

	for (i = 0; i < m->num; i++) {
		const struct kvmb_mouse_report *r = &m->queue[i];

		list[i] = r->x | (u64)r->y << 16 | (u64)r->buttons << 32 | (u64)(u8)r->wheel << 40;
	}
	kvmb_synth_save(&m->synth, o);
	kvmb_tlv_put_list(o, MOUSE_QUEUE, list, m->num);
}

static void load_queue(struct kvmb_mouse *m, struct kvmb_tlv *t)
{
	size_t num, i;
	u64 *list = kvmb_tlv_get_list(t, MOUSE_QUEUE, KVMB_MOUSE_QUEUE, &num);

	for (i = 0; i < num; i++) {
		u64 v = list[i];

		m->queue[i] = (struct kvmb_mouse_report){ .x = v & KVMB_MOUSE_MAX,
							  .y = v >> 16 & KVMB_MOUSE_MAX,
							  .buttons = v >> 32 & KVMB_MOUSE_BUTTONS,
							  .wheel = (int8_t)(v >> 40) };
	}
	m->num = (u32)num;
	free(list);
}

int kvmb_mouse_load(struct kvmb_mouse *m, struct kvmb_tlv *t)
{
	load_queue(m, t);
	kvmb_synth_load(&m->synth, t, mouse_version);
	if (!t->error->err && m->num && !kvmb_mouse_ready(m))
		kvmb_tlv_refuse(t, MOUSE_QUEUE, "nobody takes reports");
	return kvmb_tlv_done(t);
}
