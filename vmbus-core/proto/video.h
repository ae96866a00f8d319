/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic video: messages and GUIDs; and the headers of messages that it shares with the mouse.
 *
 * Sources: Linux 6.1 drivers/gpu/drm/hyperv/hyperv_drm_proto.c, drivers/video/fbdev/hyperv_fb.c;
 * OpenVMM vm/devices/uidevices/src/video/protocol.rs; docs/protocol.md#9.
 */
#ifndef KVMB_PROTO_VIDEO_H
#define KVMB_PROTO_VIDEO_H

#include "vmbus-core/guid.h"

#define KVMB_VIDEO_TYPE_GUID \
	KVMB_GUID(0xda0a7802, 0xe377, 0x4aac, 0x8e, 0x77, 0x05, 0x58, 0xeb, 0x10, 0x73, 0xf8)
#define KVMB_VIDEO_INSTANCE_GUID \
	KVMB_GUID(0x5620e0c7, 0x8062, 0x4dce, 0xae, 0xb7, 0x52, 0x0c, 0x7e, 0xf7, 0x61, 0x71)

#define KVMB_PIPE_DATA 1u

struct kvmb_wire_pipe_msg {
	__le32 pipe_type; /* KVMB_PIPE_DATA */
	__le32 pipe_size; /* bytes that follow this field's header: the next two and the body */
	__le32 type;
	__le32 size; /* mouse: of the body; video: with this header of 8 bytes */
};
static_assert(sizeof(struct kvmb_wire_pipe_msg) == 16, "pipe_msg_hdr, synthvid_msg_hdr");

/* minor in the upper half, unlike all others */
#define KVMB_VIDEO_VERSION(major, minor) ((u32)(minor) << 16 | (major))
#define KVMB_VIDEO_MAJOR(v) ((v)&0xffff)
#define KVMB_VIDEO_MINOR(v) ((v) >> 16)

enum {
	KVMB_VIDEO_VERSION_REQUEST = 1, /* guest */
	KVMB_VIDEO_VERSION_RESPONSE = 2,
	KVMB_VIDEO_VRAM_LOCATION = 3, /* guest */
	KVMB_VIDEO_VRAM_ACK = 4,
	KVMB_VIDEO_SITUATION = 5, /* guest */
	KVMB_VIDEO_SITUATION_ACK = 6,
	KVMB_VIDEO_POINTER_POSITION = 7, /* guest */
	KVMB_VIDEO_POINTER_SHAPE = 8,	 /* guest */
	KVMB_VIDEO_FEATURES = 9,
	KVMB_VIDEO_DIRT = 10,	      /* guest */
	KVMB_VIDEO_BIOS_REQUEST = 11, /* guest, from 3.3 on */
	KVMB_VIDEO_BIOS_RESPONSE = 12,
	KVMB_VIDEO_RESOLUTION_REQUEST = 13, /* guest, from 3.4 on */
	KVMB_VIDEO_RESOLUTION_RESPONSE = 14,
	KVMB_VIDEO_CAPABILITY_REQUEST = 15, /* guest, from 3.5 on */
	KVMB_VIDEO_CAPABILITY_RESPONSE = 16,
};

struct kvmb_wire_video_version {
	__le32 version;
};

struct kvmb_wire_video_version_response {
	__le32 version;
	u8 accepted; /* KVMB_VIDEO_ACCEPTED, 0 = no */
	u8 outputs;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_video_version_response) == 6, "synthvid_version_resp");
#define KVMB_VIDEO_ACCEPTED 2u /* OpenVMM ACCEPTED_WITH_VERSION_EXCHANGE; Linux: any but 0 */

struct kvmb_wire_video_location {
	__le64 context; /* to be returned */
	u8 specified;	/* 0: there is no memory any more */
	__le64 gpa;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_video_location) == 17, "synthvid_vram_location");

struct kvmb_wire_video_ack { /* of location and situation */
	__le64 context;
};

struct kvmb_wire_video_situation { /* of one output */
	__le64 context;
	u8 outputs;
	u8 active;
	__le32 offset;	      /* of the picture in video memory */
	u8 depth;	      /* bits of a pixel */
	__le32 width, height; /* pixels */
	__le32 pitch;	      /* bytes from one line to the next */
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_video_situation) == 9 + 18, "synthvid_situation_update");

struct kvmb_wire_video_position {
	u8 visible, output;
	__le32 x, y; /* signed */
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_video_position) == 10, "synthvid_pointer_position");

#define KVMB_VIDEO_POINTER_MAX 96u
struct kvmb_wire_video_shape { /* pixels follow */
	u8 part;	       /* 0xff: the last, or the only one */
	u8 argb;
	__le32 width, height, hot_x, hot_y;
} __attribute__((packed));
static_assert(sizeof(struct kvmb_wire_video_shape) == 18, "synthvid_pointer_shape without data");

struct kvmb_wire_video_features { /* what the host wants to hear of; 1 = yes */
	u8 dirt, pointer_position, pointer_shape, situation;
};

struct kvmb_wire_video_dirt { /* rectangles follow: left, top, right, bottom, of 4 bytes each */
	u8 output, num;
};
#define KVMB_VIDEO_RECTANGLE 16u

struct kvmb_wire_video_bios {
	__le32 stop_device; /* the guest may stop using the device */
	u8 reserved[12];
};
static_assert(sizeof(struct kvmb_wire_video_bios) == 16, "OpenVMM BiosInfoResponseMessage");

struct kvmb_wire_video_resolutions { /* resolutions follow: width, height, of 2 bytes each */
	u8 edid[128];
	u8 num, preferred; /* an index */
	u8 standard;
};
static_assert(sizeof(struct kvmb_wire_video_resolutions) == 131, "supported_resolution_resp");

struct kvmb_wire_video_capability {
	__le32 lock_on_disconnect;
	__le32 reserved[15];
};
static_assert(sizeof(struct kvmb_wire_video_capability) == 64, "OpenVMM CapabilityResponseMessage");

#endif
