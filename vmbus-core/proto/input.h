/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic keyboard and mouse: messages and GUIDs.
 *
 * A keyboard's message is the packet's payload. A mouse's has a pipe header and a header of its own
 * in front, as video's (proto/video.h): docs/protocol.md#9.1, #9.4.
 *
 * Sources: Linux 6.1 drivers/input/serio/hyperv-keyboard.c, drivers/hid/hid-hyperv.c; OpenVMM
 * vm/devices/uidevices/src/{keyboard,mouse}/protocol.rs; USB-IF, "Device Class Definition for Human
 * Interface Devices (HID)" 1.11, chapter 6.2.
 */
#ifndef KVMB_PROTO_INPUT_H
#define KVMB_PROTO_INPUT_H

#include "vmbus-core/guid.h"

#define KVMB_KEYBOARD_TYPE_GUID \
	KVMB_GUID(0xf912ad6d, 0x2b17, 0x48ea, 0xbd, 0x65, 0xf9, 0x27, 0xa6, 0x1c, 0x76, 0x84)
#define KVMB_KEYBOARD_INSTANCE_GUID \
	KVMB_GUID(0xd34b2567, 0xb9b6, 0x42b9, 0x87, 0x78, 0x0a, 0x4e, 0xc0, 0xb9, 0x55, 0xbf)
#define KVMB_MOUSE_TYPE_GUID \
	KVMB_GUID(0xcfa8b69e, 0x5b4a, 0x4cc0, 0xb9, 0x8b, 0x8b, 0xa1, 0xa1, 0xf3, 0xf9, 0x5a)
#define KVMB_MOUSE_INSTANCE_GUID \
	KVMB_GUID(0x58f75a6d, 0xd949, 0x4320, 0x99, 0xe1, 0xa2, 0xa2, 0x57, 0x6d, 0x58, 0x1c)

/* ---- keyboard ---- */

#define KVMB_KEYBOARD_VERSION 0x00010000u /* major in the upper half */

enum {
	KVMB_KEYBOARD_REQUEST = 1,  /* guest */
	KVMB_KEYBOARD_RESPONSE = 2, /* host */
	KVMB_KEYBOARD_EVENT = 3,    /* host */
	KVMB_KEYBOARD_LEDS = 4,	    /* guest */
};

struct kvmb_wire_keyboard_request {
	__le32 type;
	__le32 version;
};
static_assert(sizeof(struct kvmb_wire_keyboard_request) == 8, "synth_kbd_protocol_request");

struct kvmb_wire_keyboard_response {
	__le32 type;
	__le32 status; /* bit 0: accepted */
};
static_assert(sizeof(struct kvmb_wire_keyboard_response) == 8, "synth_kbd_protocol_response");

#define KVMB_KEYSTROKE_UNICODE 1u /* the code is a character: we send none */
#define KVMB_KEYSTROKE_BREAK 2u
#define KVMB_KEYSTROKE_E0 4u
#define KVMB_KEYSTROKE_E1 8u
struct kvmb_wire_keystroke {
	__le32 type;
	__le16 make; /* of scan code set 1 */
	__le16 reserved;
	__le32 info; /* KVMB_KEYSTROKE_* */
};
static_assert(sizeof(struct kvmb_wire_keystroke) == 12, "synth_kbd_keystroke");

struct kvmb_wire_keyboard_leds {
	__le32 type;
	__le16 leds; /* bit 0 scroll lock, 1 num lock, 2 caps lock */
	__le16 reserved;
};
static_assert(sizeof(struct kvmb_wire_keyboard_leds) == 8, "OpenVMM MessageLedIndicatorsState");

/* ---- mouse: behind struct kvmb_wire_pipe_msg of proto/video.h, whose size is the body's ---- */

#define KVMB_MOUSE_VERSION 0x00020000u

enum {
	KVMB_MOUSE_REQUEST = 0,	 /* guest */
	KVMB_MOUSE_RESPONSE = 1, /* host */
	KVMB_MOUSE_INFO = 2,	 /* host */
	KVMB_MOUSE_INFO_ACK = 3, /* guest; a byte */
	KVMB_MOUSE_REPORT = 4,	 /* host */
};

struct kvmb_wire_mouse_request {
	__le32 version;
};
static_assert(sizeof(struct kvmb_wire_mouse_request) == 4, "synthhid_protocol_request");

struct kvmb_wire_mouse_response {
	__le32 version;
	u8 approved;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_mouse_response) == 5, "synthhid_protocol_response");

struct kvmb_wire_hid_descriptor { /* HID 1.11, 6.2.1 */
	u8 length, type;
	__le16 hid; /* version, in BCD */
	u8 country, num;
	u8 report_type;
	__le16 report_length;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_hid_descriptor) == 9, "hid_descriptor");

struct kvmb_wire_mouse_info { /* the report descriptor follows */
	__le32 size;	      /* of the next fields with this one */
	__le16 vendor, product, version;
	__le16 reserved[11];
	struct kvmb_wire_hid_descriptor hid;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_mouse_info) == 32 + 9, "hv_input_dev_info, hid_descriptor");

struct kvmb_wire_mouse_report { /* as our report descriptor says */
	u8 buttons;		/* bit 0 left, 1 right, 2 middle */
	__le16 x, y;		/* 0 to KVMB_MOUSE_MAX: from edge to edge of the screen */
	u8 wheel;		/* signed: notches away from the user */
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_mouse_report) == 6, "host-vsp/input/mouse.c");

#define KVMB_MOUSE_MAX 0x7fffu

#endif
