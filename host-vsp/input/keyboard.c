// SPDX-License-Identifier: GPL-2.0-only
/*
 * The synthetic keyboard: keyboard.h.
 *
 * Source of the codes: Microsoft, "Keyboard Scan Code Specification" 1.3a, appendix A. Those of
 * Linux are the same as set 1 up to KEY_KPDOT: linux/input-event-codes.h.
 */
#include "host-vsp/input/keyboard.h"

#include <linux/input-event-codes.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "vmbus-core/proto/input.h"

#define PACKET_MAX 512u
#define EVENT_BYTES 40u /* of a keystroke in its ring */
#define E0 0x100u

/* ---- codes ---- */

static const u16 set1_codes[] = {
	[KEY_102ND] = 0x56,
	[KEY_F11] = 0x57,
	[KEY_F12] = 0x58,
	[KEY_RO] = 0x73,
	[KEY_HENKAN] = 0x79,
	[KEY_KATAKANAHIRAGANA] = 0x70,
	[KEY_MUHENKAN] = 0x7b,
	[KEY_KPENTER] = E0 | 0x1c,
	[KEY_RIGHTCTRL] = E0 | 0x1d,
	[KEY_KPSLASH] = E0 | 0x35,
	[KEY_SYSRQ] = E0 | 0x37,
	[KEY_RIGHTALT] = E0 | 0x38,
	[KEY_HOME] = E0 | 0x47,
	[KEY_UP] = E0 | 0x48,
	[KEY_PAGEUP] = E0 | 0x49,
	[KEY_LEFT] = E0 | 0x4b,
	[KEY_RIGHT] = E0 | 0x4d,
	[KEY_END] = E0 | 0x4f,
	[KEY_DOWN] = E0 | 0x50,
	[KEY_PAGEDOWN] = E0 | 0x51,
	[KEY_INSERT] = E0 | 0x52,
	[KEY_DELETE] = E0 | 0x53,
	[KEY_MUTE] = E0 | 0x20,
	[KEY_VOLUMEDOWN] = E0 | 0x2e,
	[KEY_VOLUMEUP] = E0 | 0x30,
	[KEY_POWER] = E0 | 0x5e,
	[KEY_KPEQUAL] = 0x59,
	[KEY_KPCOMMA] = 0x7e,
	[KEY_YEN] = 0x7d,
	[KEY_LEFTMETA] = E0 | 0x5b,
	[KEY_RIGHTMETA] = E0 | 0x5c,
	[KEY_COMPOSE] = E0 | 0x5d,
	[KEY_CALC] = E0 | 0x21,
	[KEY_SLEEP] = E0 | 0x5f,
	[KEY_WAKEUP] = E0 | 0x63,
	[KEY_MAIL] = E0 | 0x6c,
	[KEY_NEXTSONG] = E0 | 0x19,
	[KEY_PLAYPAUSE] = E0 | 0x22,
	[KEY_PREVIOUSSONG] = E0 | 0x10,
	[KEY_STOPCD] = E0 | 0x24,
	[KEY_HOMEPAGE] = E0 | 0x32,
};

/* Return: with E0; 0: there is no such key. */
static u16 set1_code(u32 code)
{
	if (code <= KEY_KPDOT)
		return (u16)code;
	return code < ARRAY_SIZE(set1_codes) ? set1_codes[code] : 0;
}

/* ---- what the guest says ---- */

static const char *take_request(struct kvmb_keyboard *k, const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_keyboard_response r = { .type = cpu_to_le32(KVMB_KEYBOARD_RESPONSE) };
	struct kvmb_wire_keyboard_request m;
	bool known;

	if (pkt->payload_len < sizeof(m))
		return "a request is too short";
	if (k->synth.state != KVMB_SYNTH_NEGOTIATING)
		return "a version was agreed already";
	memcpy(&m, pkt->payload, sizeof(m));
	known = le32_to_cpu(m.version) == KVMB_KEYBOARD_VERSION;
	r.status = cpu_to_le32(known);
	if (kvmb_loop_chan_send(&k->synth.chan, KVMB_PKT_INBAND, 0, &r, sizeof(r)))
		return "its ring is corrupt";
	if (!known)
		return NULL;
	k->synth.version = KVMB_KEYBOARD_VERSION;
	kvmb_synth_move(&k->synth, KVMB_SYNTH_READY);
	return NULL;
}

static const char *take_leds(struct kvmb_keyboard *k, const struct kvmb_pkt *pkt)
{
	struct kvmb_wire_keyboard_leds m;

	if (pkt->payload_len < sizeof(m))
		return "a message of LEDs is too short";
	if (k->synth.state != KVMB_SYNTH_READY)
		return "no version was agreed";
	memcpy(&m, pkt->payload, sizeof(m));
	k->leds = le16_to_cpu(m.leds);
	return NULL;
}

static const char *keyboard_packet(struct kvmb_loop_chan *c, const struct kvmb_pkt *pkt)
{
	struct kvmb_keyboard *k = container_of(c, struct kvmb_keyboard, synth.chan);
	const char *why;
	__le32 type;

	if (pkt->type != KVMB_PKT_INBAND || pkt->payload_len < sizeof(type))
		return "a packet is no message";
	why = kvmb_synth_complete(&k->synth, pkt);
	if (why)
		return why;
	memcpy(&type, pkt->payload, sizeof(type));
	switch (le32_to_cpu(type)) {
	case KVMB_KEYBOARD_REQUEST:
		return take_request(k, pkt);
	case KVMB_KEYBOARD_LEDS:
		return take_leds(k, pkt);
	}
	return "there is no such message";
}

static void keyboard_stopped(struct kvmb_synth *s)
{
	container_of(s, struct kvmb_keyboard, synth)->leds = 0;
}

static const struct kvmb_synth_ops keyboard_ops = {
	.name = "keyboard",
	.type = KVMB_KEYBOARD_TYPE_GUID,
	.instance = KVMB_KEYBOARD_INSTANCE_GUID,
	.chan = { .packet_max = PACKET_MAX,
		  .answer_room = 128,
		  .packet = keyboard_packet,
		  .failed = kvmb_synth_failed },
	.stopped = keyboard_stopped,
};

void kvmb_keyboard_init(struct kvmb_keyboard *k)
{
	memset(k, 0, sizeof(*k));
	kvmb_synth_init(&k->synth, &keyboard_ops);
}

/* ---- keys ---- */

bool kvmb_keyboard_ready(const struct kvmb_keyboard *k)
{
	return k->synth.state == KVMB_SYNTH_READY;
}

/* Return: false: it has failed. */
static bool send_code(struct kvmb_keyboard *k, u16 make, u32 info)
{
	struct kvmb_wire_keystroke m = { .type = cpu_to_le32(KVMB_KEYBOARD_EVENT),
					 .make = cpu_to_le16(make),
					 .info = cpu_to_le32(info) };
	int err = kvmb_loop_chan_send(&k->synth.chan, KVMB_PKT_INBAND, 0, &m, sizeof(m));

	if (err)
		kvmb_loop_chan_fail(&k->synth.chan, "its ring is corrupt", err);
	return !err;
}

bool kvmb_keyboard_key(struct kvmb_keyboard *k, u32 code, bool down)
{
	u32 brk = down ? 0 : KVMB_KEYSTROKE_BREAK;
	u16 make = set1_code(code);

	if (!kvmb_keyboard_ready(k) || !kvmb_loop_chan_runs(&k->synth.chan) ||
	    kvmb_loop_chan_unread(&k->synth.chan) >= KVMB_KEYBOARD_AHEAD * EVENT_BYTES)
		return false;
	if (code == KEY_PAUSE)
		return send_code(k, 0x1d, brk | KVMB_KEYSTROKE_E1) && send_code(k, 0x45, brk);
	return !make || send_code(k, make & 0x7f, brk | (make & E0 ? KVMB_KEYSTROKE_E0 : 0));
}

/* ---- saving ---- */

enum { KEYBOARD_LEDS = KVMB_SYNTH_OWN };

static bool keyboard_version(u32 version)
{
	return version == KVMB_KEYBOARD_VERSION;
}

void kvmb_keyboard_save(const struct kvmb_keyboard *k, struct kvmb_tlv_out *o)
{
	kvmb_synth_save(&k->synth, o);
	kvmb_tlv_put(o, KEYBOARD_LEDS, k->leds);
}

int kvmb_keyboard_load(struct kvmb_keyboard *k, struct kvmb_tlv *t)
{
	k->leds = (u16)kvmb_tlv_get(t, KEYBOARD_LEDS, UINT16_MAX);
	kvmb_synth_load(&k->synth, t, keyboard_version);
	return kvmb_tlv_done(t);
}
