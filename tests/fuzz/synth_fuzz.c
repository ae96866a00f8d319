// SPDX-License-Identifier: GPL-2.0-only
/*
 * Synthetic keyboard, mouse and video: any messages in any order, any rings, while keys are typed,
 * pictures drawn, the graphics card moved and the bus paused; and states of any fields.
 */
#include "tests/fuzz/fuzz_bus.h"
#include "tests/harness/synth_guest.h"

static const u8 *in;
static size_t left;
static bool paused;

static u8 byte(void)
{
	return left ? left--, *in++ : 0;
}

static u32 word(void)
{
	u32 v = byte();

	return v | (u32)byte() << 8;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* ---- the guest ---- */

static void send_raw(u32 i)
{
	u32 n = byte();
	u8 how = byte();

	n = (u32)KVMB_MIN((size_t)n, left);
	fake_send(&box.f, &box.c[i], how & 1 ? KVMB_PKT_INBAND : how >> 1 & 15, how >> 5 & 1, how,
		  NULL, 0, in, n);
	in += n;
	left -= n;
}

/* One that is right, but for a byte at times. */
static void send_message(u32 i)
{
	static const u64 places[] = { SYNTH_FREE, SYNTH_CARD, 16u << 20, 0xf0000000, ~0ull };
	u8 body[64] = { 0 }, what = byte(), change = byte();
	u32 type = what % 18, len = 0, k;

	if (i == SYNTH_KEYBOARD) {
		keyboard_ask_version(KVMB_KEYBOARD_VERSION + (change & 1));
		return;
	}
	if (i == SYNTH_MOUSE) {
		memcpy(body, &(__le32){ cpu_to_le32(KVMB_MOUSE_VERSION) }, 4);
		synth_say(i, type & 3, body, 4, 4 + (change & 1));
		return;
	}
	if (type == KVMB_VIDEO_VERSION_REQUEST) {
		video_ask_version(KVMB_VIDEO_VERSION(3, change % 7));
	} else if (type == KVMB_VIDEO_VRAM_LOCATION) {
		video_locate(places[change % 5] + (u64)byte() * 4096, change, change & 0x60);
	} else if (type == KVMB_VIDEO_SITUATION) {
		u8 depth = change & 1 ? 32 : change & 2 ? 24 : change & 4 ? 16 : change;
		u32 w = word() % 2600, h = word() % 1700;

		video_situate(word() * 128, depth, w % 64, h % 64, (w + 1) * 4);
	} else {
		len = KVMB_MIN(byte() % 60u, (u32)left);
		for (k = 0; k < len; k++)
			body[k] = byte();
		video_say(type, body, len);
	}
}

static void corrupt_ring(u32 i)
{
	struct kvmb_wire_ring_ctrl *c = byte() & 1 ? __unshare(box.c[i].tx.ctrl) :
						     __unshare(box.c[i].rx.ctrl);
	u32 v = word() << (byte() & 16);

	__atomic_store_n(byte() & 1 ? &c->write_index : &c->read_index, cpu_to_le32(v),
			 __ATOMIC_RELAXED);
	fake_signal(&box.f, &box.c[i]);
}

/* ---- the host ---- */

static void check_picture(void)
{
	u32 w, h, *pixels;

	if (kvmb_video_draw(&box.video, &w, &h, &pixels)) {
		if (kvmb_video_live(&box.video) || kvmb_video_serial(&box.video))
			abort();
		return;
	}
	if (!w || !h || w > KVMB_VIDEO_MAX_WIDTH || h > KVMB_VIDEO_MAX_HEIGHT ||
	    pixels[(size_t)w * h - 1] >> 24 || !kvmb_video_serial(&box.video))
		abort();
	free(pixels);
}

static void act_host(void)
{
	struct kvmb_mouse_report r;
	u8 what = byte();

	switch (what & 7) {
	case 0:
		kvmb_keyboard_key(&box.keyboard, byte(), what & 8);
		break;
	case 1:
		r = (struct kvmb_mouse_report){ word() & KVMB_MOUSE_MAX, word() & KVMB_MOUSE_MAX,
						byte() & KVMB_MOUSE_BUTTONS, (what >> 3) - 16 };
		kvmb_mouse_point(&box.mouse, &r);
		break;
	case 2:
		kvmb_video_watch(&box.video, what & 8);
		break;
	case 3:
		box.card_at = what & 8 ? SYNTH_CARD + (u64)byte() * 4096 : 0;
		break;
	case 4:
		if (paused)
			kvmb_bus_resume(box.f.bus);
		else
			kvmb_bus_pause(box.f.bus, nothing, NULL);
		paused = !paused;
		break;
	default:
		check_picture();
	}
}

static void check_all(void)
{
	if (!!box.mapped != (box.video.place == KVMB_VIDEO_OWN) ||
	    (box.mapped && (box.mapped != box.video.gpa || box.hva != box.video.memory)) ||
	    box.mouse.num > KVMB_MOUSE_QUEUE ||
	    (box.video.place != KVMB_VIDEO_NOWHERE && box.video.synth.state != KVMB_SYNTH_READY))
		abort();
}

static void act(void)
{
	u8 what = byte();
	u32 i = (what >> 4) % SYNTH_NUM;

	if (!box.is_open[i]) {
		if (!paused)
			synth_open(i, what & 1 ? 2 : 9);
	} else if ((what & 15) < 4) {
		send_raw(i);
	} else if ((what & 15) < 8) {
		send_message(i);
	} else if ((what & 15) == 8) {
		synth_hears(i);
	} else if ((what & 15) == 9) {
		synth_hear_all(i);
	} else if ((what & 15) == 10 && !paused) {
		synth_close(i);
	} else if ((what & 15) == 11 && what & 64) {
		corrupt_ring(i);
	} else {
		act_host();
	}
	fake_run(&box.f);
	check_all();
}

/* ---- states ---- */

static void put_fields(struct kvmb_tlv_out *o)
{
	static const u8 data[8192];
	static const u64 values[] = { 0,       1,	3,	    4,		32,
				      64,      256,	SYNTH_FREE, SYNTH_CARD, 0x00050003,
				      0x10000, 0x20000, ~0ull };
	u32 n = byte() & 15;

	while (n--) {
		u8 field = byte(), v = byte();

		if (field & 64) {
			kvmb_tlv_group(o, field & 31 ? field & 31 : 1);
			kvmb_tlv_put(o, 1, (u64)v << 15);
			kvmb_tlv_put_bytes(o, 2, data, v * 32u);
			kvmb_tlv_group_end(o);
		} else if (field & 128) {
			kvmb_tlv_put_list(o, field & 31 ? field & 31 : 1, values, v % 13);
		} else {
			kvmb_tlv_put(o, field & 31 ? field & 31 : 1, values[v % 13]);
		}
	}
}

static void load_state(void)
{
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;
	u8 which = byte();
	u32 i;

	for (i = 0; i < SYNTH_NUM; i++) {
		synth_open(i, 9);
		synth_of[i]->fresh = which & 4; /* as if it was opened by a load */
	}
	kvmb_bus_pause(box.f.bus, nothing, NULL);
	paused = true;
	kvmb_tlv_begin(&o, KVMB_SEC_SYNTH, 0, 0);
	put_fields(&o);
	kvmb_tlv_end(&o);
	if (kvmb_tlv_next(o.buf, o.len, &pos, &t, &e))
		abort();
	if (which % 3 == 0)
		kvmb_keyboard_load(&box.keyboard, &t);
	else if (which % 3 == 1)
		kvmb_mouse_load(&box.mouse, &t);
	else
		kvmb_video_load(&box.video, &t);
	kvmb_tlv_out_fini(&o);
	if (e.err) /* the VM ends */
		left = 0;
	else
		check_all();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	fuzz_quiet();
	in = data;
	left = len;
	paused = false;
	synth_begin();
	if (byte() & 128)
		load_state();
	while (left)
		act();
	if (paused)
		kvmb_bus_resume(box.f.bus);
	synth_end();
	return 0;
}
