/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Synthetic keyboard, mouse and video before a guest that a test plays. Of its MMIO, one place is
 * free, and one is a graphics card's.
 */
#ifndef KVMB_SYNTH_GUEST_H
#define KVMB_SYNTH_GUEST_H

#include <stdlib.h>
#include <sys/mman.h>

#include "host-vsp/bus/bus_state.h"
#include "host-vsp/input/keyboard.h"
#include "host-vsp/input/mouse.h"
#include "host-vsp/video/video.h"
#include "lib/tlv.h"
#include "lib/util.h"
#include "tests/harness/fake_vmm.h"
#include "vmbus-core/proto/input.h"
#include "vmbus-core/proto/video.h"

#define SYNTH_FREE 0xf8000000ull /* 64 MiB from here on */
#define SYNTH_CARD 0xe0000000ull
#define SYNTH_CARD_BYTES (16u << 20)

enum { SYNTH_KEYBOARD, SYNTH_MOUSE, SYNTH_VIDEO, SYNTH_NUM };

static struct synth_box {
	struct fake_vmm f;
	struct kvmb_keyboard keyboard;
	struct kvmb_mouse mouse;
	struct kvmb_video video;
	struct fake_chan c[SYNTH_NUM];
	bool is_open[SYNTH_NUM];
	u32 relid[SYNTH_NUM];
	u64 mapped; /* where video's memory is, 0 = nowhere */
	void *hva;
	u8 *card;
	u64 card_at; /* 0 = nowhere */
} box;

static u64 box_card_at = SYNTH_CARD; /* of the next host */
static int box_map_err;		     /* what map() says, 0 = it maps */

static struct kvmb_synth *const synth_of[SYNTH_NUM] = { &box.keyboard.synth, &box.mouse.synth,
							&box.video.synth };

/* ---- what a VMM does ---- */

static inline int box_map(void *arg, u64 gpa, void *hva, u64 size)
{
	kvmb_assert(arg == &box && !box.mapped && size == KVMB_VIDEO_MEMORY);
	if (gpa < SYNTH_FREE || gpa + size > SYNTH_FREE + (64u << 20))
		return -EADDRNOTAVAIL;
	if (box_map_err)
		return box_map_err;
	box.mapped = gpa;
	box.hva = hva;
	return 0;
}

static inline void box_unmap(void *arg)
{
	kvmb_assert(arg == &box && box.mapped);
	box.mapped = 0;
}

static inline const u8 *box_find(void *arg, u64 gpa, u64 len)
{
	kvmb_assert(arg == &box);
	if (!box.card_at || gpa < box.card_at || gpa - box.card_at > SYNTH_CARD_BYTES ||
	    len > SYNTH_CARD_BYTES - (gpa - box.card_at))
		return NULL;
	return box.card + (gpa - box.card_at);
}

/* ---- a host and its guest ---- */

/* Its devices, before a guest. */
static inline void synth_host_begin(void)
{
	const struct kvmb_video_ops ops = {
		.map = box_map, .unmap = box_unmap, .find = box_find, .arg = &box
	};

	memset(&box, 0, sizeof(box));
	fake_init(&box.f, KVMB_VERSION_NEWEST);
	box.card = mmap(NULL, SYNTH_CARD_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	box.card_at = box_card_at;
	box_card_at = SYNTH_CARD;
	kvmb_keyboard_init(&box.keyboard);
	kvmb_mouse_init(&box.mouse);
	kvmb_assert(box.card != MAP_FAILED && !kvmb_video_create(&box.video, &ops));
	kvmb_synth_offer(&box.keyboard.synth, box.f.bus);
	kvmb_synth_offer(&box.mouse.synth, box.f.bus);
	kvmb_synth_offer(&box.video.synth, box.f.bus);
}

static inline void synth_begin(void)
{
	struct kvmb_wire_offer o[SYNTH_NUM];
	u32 i;

	synth_host_begin();
	kvmb_assert(fake_connect(&box.f, KVMB_VERSION_NEWEST, o, SYNTH_NUM) == SYNTH_NUM);
	for (i = 0; i < SYNTH_NUM; i++)
		box.relid[i] = le32_to_cpu(o[i].relid);
}

static inline void synth_end(void)
{
	u32 i;

	for (i = 0; i < SYNTH_NUM; i++) {
		if (box.is_open[i])
			fake_unmap(&box.c[i]);
	}
	fake_fini(&box.f);
	kvmb_assert(!box.mapped);
	kvmb_video_fini(&box.video);
	if (box.card)
		munmap(box.card, SYNTH_CARD_BYTES);
}

static inline void synth_open(u32 i, u32 pages)
{
	kvmb_assert(!fake_open(&box.f, &box.c[i], box.relid[i], pages));
	box.is_open[i] = true;
}

static inline void synth_close(u32 i)
{
	fake_close(&box.f, &box.c[i]);
	box.is_open[i] = false;
}

/* ---- what the guest says ---- */

static inline void synth_send(u32 i, u16 flags, const void *payload, u32 len)
{
	fake_send(&box.f, &box.c[i], KVMB_PKT_INBAND, flags, 7, NULL, 0, payload, len);
	fake_run(&box.f);
}

/* A message of mouse or video; its header says @size of the body. */
static inline void synth_say(u32 i, u32 type, const void *body, u32 len, u32 size)
{
	u8 buf[1024];
	struct kvmb_wire_pipe_msg h = { .pipe_type = cpu_to_le32(KVMB_PIPE_DATA),
					.pipe_size = cpu_to_le32(len + 8),
					.type = cpu_to_le32(type),
					.size = cpu_to_le32(size) };

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), body, len);
	synth_send(i, 0, buf, (u32)sizeof(h) + len);
}

/* The same of video, whose header counts itself. */
static inline void video_say(u32 type, const void *body, u32 len)
{
	synth_say(SYNTH_VIDEO, type, body, len, len + 8);
}

static inline void video_ask_version(u32 version)
{
	const __le32 v = cpu_to_le32(version);

	video_say(KVMB_VIDEO_VERSION_REQUEST, &v, sizeof(v));
}

static inline void video_locate(u64 gpa, u64 context, bool specified)
{
	const struct kvmb_wire_video_location w = { .context = cpu_to_le64(context),
						    .specified = specified,
						    .gpa = cpu_to_le64(gpa) };

	video_say(KVMB_VIDEO_VRAM_LOCATION, &w, sizeof(w));
}

static inline void video_situate(u32 offset, u8 depth, u32 width, u32 height, u32 pitch)
{
	const struct kvmb_wire_video_situation w = { .context = cpu_to_le64(3),
						     .outputs = 1,
						     .active = 1,
						     .offset = cpu_to_le32(offset),
						     .depth = depth,
						     .width = cpu_to_le32(width),
						     .height = cpu_to_le32(height),
						     .pitch = cpu_to_le32(pitch) };

	video_say(KVMB_VIDEO_SITUATION, &w, sizeof(w));
}

static inline void keyboard_ask_version(u32 version)
{
	const struct kvmb_wire_keyboard_request r = { cpu_to_le32(KVMB_KEYBOARD_REQUEST),
						      cpu_to_le32(version) };

	synth_send(SYNTH_KEYBOARD, KVMB_PKT_FLAG_COMPLETE, &r, sizeof(r));
}

static inline void mouse_ask_version(u32 version)
{
	const __le32 v = cpu_to_le32(version);

	synth_say(SYNTH_MOUSE, KVMB_MOUSE_REQUEST, &v, sizeof(v), sizeof(v));
}

/* ---- what it hears ---- */

static u8 heard_buf[8192] __attribute__((aligned(8)));
static struct kvmb_pkt heard;

/* Return: false: nothing is there. */
static inline bool synth_hears(u32 i)
{
	struct fake_chan *c = &box.c[i];

	fake_run(&box.f);
	if (kvmb_ring_peek(&c->rx, heard_buf, sizeof(heard_buf), &heard))
		return false;
	kvmb_ring_skip(&c->rx, &heard);
	if (kvmb_ring_release(&c->rx) > 0)
		fake_signal(&box.f, c);
	return true;
}

/* The next message of mouse or video. Return: its body; NULL: there is none, or of another type. */
static inline const u8 *synth_hears_message(u32 i, u32 type)
{
	struct kvmb_wire_pipe_msg h;

	if (!synth_hears(i) || heard.type != KVMB_PKT_INBAND)
		return NULL;
	memcpy(&h, heard.payload, sizeof(h));
	if (le32_to_cpu(h.pipe_type) != KVMB_PIPE_DATA || le32_to_cpu(h.type) != type)
		return NULL;
	return heard.payload + sizeof(h);
}

static inline void synth_hear_all(u32 i)
{
	while (synth_hears(i))
		;
}

static inline bool synth_failed(u32 i)
{
	return synth_of[i]->state == KVMB_SYNTH_FAILED;
}

/* ---- all of it at once, as stock drivers do ---- */

static inline void synth_open_all(void)
{
	synth_open(SYNTH_KEYBOARD, 9);
	synth_open(SYNTH_MOUSE, 9);
	synth_open(SYNTH_VIDEO, 64);
}

static inline void synth_ready_all(u64 gpa)
{
	const u8 ack = 0;

	keyboard_ask_version(KVMB_KEYBOARD_VERSION);
	mouse_ask_version(KVMB_MOUSE_VERSION);
	synth_say(SYNTH_MOUSE, KVMB_MOUSE_INFO_ACK, &ack, 1, 1);
	video_ask_version(KVMB_VIDEO_VERSION(3, 5));
	video_locate(gpa, 1, true);
	video_situate(0, 32, 64, 4, 256);
}

#endif
