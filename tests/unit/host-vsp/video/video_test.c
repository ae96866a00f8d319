// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic video: versions, places of memory, pictures, what is asked for, guests that lie. */
#include "host-vsp/video/video.h"

#include "lib/log.h"
#include "tests/harness/synth_guest.h"
#include "tests/unit/test.h"

#define V35 KVMB_VIDEO_VERSION(3, 5)

static u32 *pixels, width, height;

static int setup(void **state)
{
	(void)state;
	synth_begin();
	synth_open(SYNTH_VIDEO, 64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(pixels);
	pixels = NULL;
	synth_end();
	return 0;
}

static const u8 *hears(u32 type)
{
	return synth_hears_message(SYNTH_VIDEO, type);
}

static bool silent(void)
{
	return !synth_hears(SYNTH_VIDEO);
}

static bool failed(void)
{
	return synth_failed(SYNTH_VIDEO);
}

static void anew(void)
{
	synth_close(SYNTH_VIDEO);
	assert_int_equal(box.mapped, 0);
	assert_false(kvmb_video_live(&box.video));
	synth_open(SYNTH_VIDEO, 64);
}

static void agree(u32 version)
{
	struct kvmb_wire_video_version_response r;
	const u8 *body;

	video_ask_version(version);
	body = hears(KVMB_VIDEO_VERSION_RESPONSE);
	assert_non_null(body);
	memcpy(&r, body, sizeof(r));
	assert_int_equal(le32_to_cpu(r.version), version);
	assert_true(r.accepted);
	assert_int_equal(r.outputs, 1);
}

static void expect_ack(u32 type, u64 context)
{
	struct kvmb_wire_video_ack a;
	const u8 *body = hears(type);

	assert_non_null(body);
	memcpy(&a, body, sizeof(a));
	assert_true(le64_to_cpu(a.context) == context);
}

static void expect_features(bool dirt)
{
	const u8 *body = hears(KVMB_VIDEO_FEATURES);

	assert_non_null(body);
	assert_int_equal(body[0], dirt);
	assert_int_equal(body[3], 1);
}

static void place(u64 gpa)
{
	video_locate(gpa, gpa + 1, true);
	expect_ack(KVMB_VIDEO_VRAM_ACK, gpa + 1);
	expect_features(box.video.watched);
}

static void show(u32 offset, u8 depth, u32 w, u32 h, u32 pitch)
{
	video_situate(offset, depth, w, h, pitch);
	expect_ack(KVMB_VIDEO_SITUATION_ACK, 3);
}

static int draw(void)
{
	free(pixels);
	pixels = NULL;
	return kvmb_video_draw(&box.video, &width, &height, &pixels);
}

/* ---- versions ---- */

static void video_agrees_to_versions_3_0_to_3_5(void **state)
{
	static const u32 others[] = { 0,
				      KVMB_VIDEO_VERSION(2, 0),
				      KVMB_VIDEO_VERSION(3, 6),
				      KVMB_VIDEO_VERSION(4, 0),
				      KVMB_VIDEO_VERSION(5, 3), /* the halves the other way */
				      ~0u };
	struct kvmb_wire_video_version_response r;
	const u8 *body;
	size_t i;
	u32 minor;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		video_ask_version(others[i]);
		body = hears(KVMB_VIDEO_VERSION_RESPONSE);
		assert_non_null(body);
		memcpy(&r, body, sizeof(r));
		CHECK_ROW(r.accepted, 0, i);
		CHECK_ROW(le32_to_cpu(r.version), V35, i);
		CHECK_ROW(box.video.synth.state, KVMB_SYNTH_NEGOTIATING, i);
	}
	for (minor = 0; minor <= 5; minor++) { /* also one after the other */
		agree(KVMB_VIDEO_VERSION(3, minor));
		assert_int_equal(box.video.synth.state, KVMB_SYNTH_READY);
		assert_true(silent());
	}
}

/* What a version has, and what not yet. */
static void video_messages_are_of_their_version(void **state)
{
	static const struct {
		u32 type, answer, minor;
	} later[] = {
		{ KVMB_VIDEO_BIOS_REQUEST, KVMB_VIDEO_BIOS_RESPONSE, 3 },
		{ KVMB_VIDEO_RESOLUTION_REQUEST, KVMB_VIDEO_RESOLUTION_RESPONSE, 4 },
		{ KVMB_VIDEO_CAPABILITY_REQUEST, KVMB_VIDEO_CAPABILITY_RESPONSE, 5 },
	};
	const u8 most = 64;
	size_t i;
	u32 minor;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(later); i++) {
		for (minor = 0; minor <= 5; minor++) {
			agree(KVMB_VIDEO_VERSION(3, minor));
			video_say(later[i].type, &most, 1);
			CHECK_ROW(failed(), minor < later[i].minor, i * 10 + minor);
			if (!failed())
				assert_non_null(hears(later[i].answer));
			anew();
		}
	}
}

static void video_new_version_forgets_the_picture(void **state)
{
	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	show(0, 32, 8, 8, 32);
	assert_true(kvmb_video_live(&box.video));
	agree(KVMB_VIDEO_VERSION(3, 2));
	assert_false(kvmb_video_live(&box.video));
	assert_int_equal(box.mapped, 0);
	show(0, 32, 8, 8, 32);
	assert_false(kvmb_video_live(&box.video)); /* its memory? */
	place(SYNTH_FREE);
	assert_true(kvmb_video_live(&box.video));
	video_ask_version(1);
	assert_int_equal(box.video.synth.state, KVMB_SYNTH_NEGOTIATING);
	assert_int_equal(box.mapped, 0);
}

/* ---- resolutions ---- */

static void video_offers_resolutions_that_fit(void **state)
{
	static const u8 asked[] = { 0, 1, 3, 64, 255 };
	struct kvmb_wire_video_resolutions r;
	u8 max, sum;
	size_t i, k;

	(void)state;
	agree(V35);
	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		const u8 *body;

		max = asked[i];
		video_say(KVMB_VIDEO_RESOLUTION_REQUEST, &max, 1);
		body = hears(KVMB_VIDEO_RESOLUTION_RESPONSE);
		assert_non_null(body);
		memcpy(&r, body, sizeof(r));
		assert_true(r.num <= max && (r.num == max || max > 9));
		assert_true(!r.num || r.preferred < r.num);
		for (k = 0; k < r.num; k++) {
			u16 wh[2];

			memcpy(wh, body + sizeof(r) + k * 4, 4);
			assert_true((u32)wh[0] * wh[1] * 4 <= KVMB_VIDEO_MEMORY && wh[0] >= 640);
			assert_true(k || (wh[0] == 1024 && wh[1] == 768));
		}
		for (sum = 0, k = 0; k < 128; k++)
			sum = (u8)(sum + r.edid[k]);
		assert_int_equal(sum, 0);
		assert_memory_equal(r.edid, "\x00\xff\xff\xff\xff\xff\xff\x00", 8);
	}
}

/* ---- where memory is ---- */

static void video_own_memory_fills_a_free_place(void **state)
{
	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	assert_true(box.mapped == SYNTH_FREE);
	place(SYNTH_FREE + (8u << 20)); /* it moves */
	assert_true(box.mapped == SYNTH_FREE + (8u << 20));
	show(4096, 32, 16, 2, 64);
	memset((u8 *)box.hva + 4096, 0xff, 64);
	((u32 *)box.hva)[1024 + 16] = cpu_to_le32(0x12345678);
	assert_int_equal(draw(), 0);
	assert_int_equal(width, 16);
	assert_int_equal(height, 2);
	assert_int_equal(pixels[15], 0xffffff);
	assert_int_equal(pixels[16], 0x345678);
	assert_int_equal(pixels[17], 0);
	video_locate(0, 9, false); /* it is nowhere */
	expect_ack(KVMB_VIDEO_VRAM_ACK, 9);
	assert_int_equal(box.mapped, 0);
	assert_int_equal(draw(), -ENODATA);
}

static void video_memory_of_the_card_is_looked_at(void **state)
{
	(void)state;
	agree(V35);
	place(SYNTH_CARD + 4096);
	assert_int_equal(box.mapped, 0);
	show(0, 32, 4, 1, 16);
	box.card[4096] = 0x7f;
	assert_int_equal(draw(), 0);
	assert_int_equal(pixels[0], 0x7f);
	box.card_at = SYNTH_CARD + (64u << 20); /* the guest moves its BAR */
	assert_false(kvmb_video_live(&box.video));
	assert_int_equal(draw(), -ENODATA);
	assert_true(!kvmb_video_serial(&box.video));
	box.card_at = SYNTH_CARD;
	assert_true(kvmb_video_live(&box.video));
	box.card_at = SYNTH_CARD - SYNTH_CARD_BYTES + 8192; /* half of the picture's line */
	show(4096 - 8, 32, 4, 1, 16);
	assert_int_equal(draw(), -ENODATA);
}

/* hyperv_fb with CMA. Pages that have not come are not waited for. */
static void video_memory_in_ram_is_looked_at(void **state)
{
	const u64 gpa = 16u << 20;

	(void)state;
	agree(V35);
	place(gpa);
	assert_int_equal(box.mapped, 0);
	show(64, 32, 4, 1, 16);
	*(u32 *)fake_ptr(&box.f, gpa + 64) = cpu_to_le32(0xabcdef);
	assert_int_equal(draw(), 0);
	assert_int_equal(pixels[0], 0xabcdef);
	box.f.gm.lazy = 1;
	assert_int_equal(draw(), -ENODATA);
	box.f.gm.lazy = 0;
	assert_int_equal(draw(), 0);
}

static void video_memory_is_nowhere_else(void **state)
{
	static const u64 places[] = {
		0xf0000000ull,				    /* no window */
		SYNTH_FREE + (60u << 20),		    /* reaches out of it */
		SYNTH_FREE + 1,				    /* no page */
		SYNTH_CARD + SYNTH_CARD_BYTES - (4u << 20), /* half on the card */
		FAKE_RAM / 2 - (4u << 20),		    /* half in RAM */
		~0ull,
		~0ull << 12,
		1ull << 53,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		agree(V35);
		video_locate(places[i], 1, true);
		CHECK_ROW(failed(), true, i);
		assert_int_equal(box.mapped, 0);
		anew();
	}
}

/* Each costs the main thread a while. */
static void video_memory_that_moves_without_end_costs_the_channel(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 3 * KVMB_VIDEO_MOVES; i++) { /* where it is: nothing moves */
		if (i % 10 == 0)
			agree(V35);
		video_locate(SYNTH_FREE, 1, true);
		synth_hear_all(SYNTH_VIDEO);
	}
	assert_false(failed());
	anew();
	agree(V35);
	for (i = 0; i < KVMB_VIDEO_MOVES; i++) {
		video_locate(SYNTH_FREE + (i & 1) * 4096, 1, true);
		synth_hear_all(SYNTH_VIDEO);
	}
	assert_false(failed());
	video_locate(SYNTH_FREE + 8192, 1, true);
	assert_true(failed());
	anew();
	agree(V35);
	place(SYNTH_FREE);
}

/* ---- pictures ---- */

static void video_draws_each_depth(void **state)
{
	static const struct {
		u8 depth, bytes;
		u32 value, rgb;
	} depths[] = {
		{ 16, 2, 0xf800, 0xff0000 },	 { 16, 2, 0x07e0, 0x00ff00 },
		{ 16, 2, 0x001f, 0x0000ff },	 { 24, 3, 0x123456, 0x123456 },
		{ 32, 4, 0xff123456, 0x123456 },
	};
	size_t i;
	u32 le;

	(void)state;
	agree(KVMB_VIDEO_VERSION(3, 0));
	place(SYNTH_FREE);
	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		show(0, depths[i].depth, 3, 2, 13);
		memset(box.hva, 0, 64);
		le = cpu_to_le32(depths[i].value);
		memcpy((u8 *)box.hva + 13 + 2 * depths[i].bytes, &le, depths[i].bytes);
		assert_int_equal(draw(), 0);
		CHECK_ROW(pixels[5], depths[i].rgb, i);
		CHECK_ROW(pixels[4], 0, i);
	}
}

static void video_largest_pictures_end_where_memory_does(void **state)
{
	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	show(KVMB_VIDEO_MEMORY - 4, 32, 1, 1, KVMB_VIDEO_MEMORY);
	assert_int_equal(draw(), 0);
	show(0, 16, 2560, 1600, 2560 * 2);
	assert_int_equal(draw(), 0);
	show(KVMB_VIDEO_MEMORY - 1920 * 1080 * 4, 32, 1920, 1080, 1920 * 4);
	assert_int_equal(draw(), 0);
	assert_int_equal(width, 1920);
	/* the last line needs no whole pitch */
	show(KVMB_VIDEO_MEMORY - 4096 - 4, 32, 1, 2, 4096);
	assert_int_equal(draw(), 0);
}

static void video_pictures_that_cannot_be_cost_the_channel(void **state)
{
	static const struct {
		u32 offset;
		u8 depth;
		u32 width, height, pitch;
	} bad[] = {
		{ 0, 8, 8, 8, 32 },
		{ 0, 0, 8, 8, 32 },
		{ 0, 255, 8, 8, 4096 },
		{ 0, 32, 0, 8, 32 },
		{ 0, 32, 8, 0, 32 },
		{ 0, 32, 2561, 1, 2561 * 4 },
		{ 0, 32, 1, 1601, 4 },
		{ 0, 32, 8, 8, 31 },
		{ 0, 32, 8, 8, 0 },
		{ 0, 32, ~0u, ~0u, ~0u },
		{ 0, 32, 1, 2, ~0u },
		{ 0, 32, 1920, 1200, 1920 * 4 },
		{ 0, 16, 2560, 1600, KVMB_VIDEO_MEMORY },
		{ KVMB_VIDEO_MEMORY, 32, 1, 1, 4 },
		{ KVMB_VIDEO_MEMORY - 3, 32, 1, 1, 4 },
		{ ~0u, 32, 1, 1, 4 },
		{ ~0u - 3, 32, 1, 1, 4 },
		{ KVMB_VIDEO_MEMORY - 1920 * 1080 * 4 + 1, 32, 1920, 1080, 1920 * 4 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		agree(V35);
		place(SYNTH_FREE);
		video_situate(bad[i].offset, bad[i].depth, bad[i].width, bad[i].height,
			      bad[i].pitch);
		CHECK_ROW(failed(), true, i);
		CHECK_ROW(draw(), -ENODATA, i);
		anew();
	}
}

static void video_is_live_while_the_picture_is_active(void **state)
{
	const struct kvmb_wire_video_situation off = { .context = cpu_to_le64(3), .outputs = 1 };

	(void)state;
	agree(V35);
	assert_false(kvmb_video_live(&box.video));
	show(0, 32, 8, 8, 32); /* before its place, as hyperv_drm without one */
	assert_false(kvmb_video_live(&box.video));
	place(SYNTH_FREE);
	assert_true(kvmb_video_live(&box.video));
	video_say(KVMB_VIDEO_SITUATION, &off, sizeof(off));
	expect_ack(KVMB_VIDEO_SITUATION_ACK, 3);
	assert_false(kvmb_video_live(&box.video));
	show(0, 32, 8, 8, 32);
	assert_true(kvmb_video_live(&box.video));
	anew();
}

static void video_reset_of_the_guest_ends_the_picture(void **state)
{
	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	show(0, 32, 8, 8, 32);
	fake_rest(&box.f);
	assert_int_equal(box.mapped, 0);
	assert_false(kvmb_video_live(&box.video));
	assert_int_equal(box.video.synth.state, KVMB_SYNTH_CLOSED);
}

/* ---- has it changed? ---- */

static void say_dirt(u8 num)
{
	const struct {
		struct kvmb_wire_video_dirt head;
		u8 rectangle[KVMB_VIDEO_RECTANGLE];
	} __attribute__((packed)) m = { { 0, num }, { 0 } };

	video_say(KVMB_VIDEO_DIRT, &m, sizeof(m));
}

static void video_serial_sees_what_nobody_said(void **state)
{
	u64 a, b;

	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	show(0, 32, 5, 3, 64);
	kvmb_video_serial(&box.video);
	a = kvmb_video_serial(&box.video); /* the first hash */
	assert_true(a == kvmb_video_serial(&box.video));
	((u8 *)box.hva)[2 * 64 + 5 * 4 - 1] ^= 1; /* the last byte of the last pixel */
	b = kvmb_video_serial(&box.video);
	assert_true(a != b);
	assert_true(b == kvmb_video_serial(&box.video));
	((u8 *)box.hva)[5 * 4] ^= 1; /* behind a line */
	assert_true(b == kvmb_video_serial(&box.video));
}

static void video_serial_takes_the_guest_at_its_word(void **state)
{
	u64 a, b, c;

	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	show(0, 32, 5, 3, 64);
	kvmb_video_serial(&box.video);
	a = kvmb_video_serial(&box.video);
	((u8 *)box.hva)[0] ^= 1;
	say_dirt(1);
	b = kvmb_video_serial(&box.video);
	assert_true(a != b);
	/* after the drawing it may change again, also back to what it was */
	((u8 *)box.hva)[0] ^= 1;
	c = kvmb_video_serial(&box.video);
	assert_true(b != c);
	assert_true(c == kvmb_video_serial(&box.video));
	say_dirt(0);
	assert_true(c == kvmb_video_serial(&box.video));
	show(0, 32, 5, 3, 128); /* other pixels */
	assert_true(c != kvmb_video_serial(&box.video));
}

static void video_asks_for_dirt_while_somebody_looks(void **state)
{
	(void)state;
	kvmb_video_watch(&box.video, true);
	agree(V35);
	assert_true(silent());
	place(SYNTH_FREE);
	kvmb_video_watch(&box.video, true);
	assert_true(silent());
	kvmb_video_watch(&box.video, false);
	expect_features(false);
	kvmb_video_watch(&box.video, true);
	expect_features(true);
	anew();
	kvmb_video_watch(&box.video, false);
	assert_true(silent());
}

static void nothing(void *arg)
{
	(void)arg;
}

static void video_tells_later_what_had_no_room(void **state)
{
	u32 i;

	(void)state;
	agree(V35);
	place(SYNTH_FREE);
	kvmb_bus_pause(box.f.bus, nothing, NULL);
	kvmb_video_watch(&box.video, true);
	assert_true(silent());
	kvmb_bus_resume(box.f.bus);
	expect_features(true);
	synth_close(SYNTH_VIDEO); /* a small ring */
	synth_open(SYNTH_VIDEO, 2);
	agree(V35);
	place(SYNTH_FREE);
	for (i = 0; i < 300; i++)
		kvmb_video_watch(&box.video, i % 2);
	assert_true(box.video.owes && box.video.watched);
	for (i = 0; i < 300 && box.video.owes; i++)
		assert_non_null(hears(KVMB_VIDEO_FEATURES));
	assert_true(i < 300);
	synth_hear_all(SYNTH_VIDEO);
	assert_int_equal(heard.payload[16], 1); /* the last word is the right one */
	assert_false(failed());
}

static void video_waits_for_room_for_answers(void **state)
{
	const u8 most = 64;
	u32 i, n = 0;

	(void)state;
	synth_close(SYNTH_VIDEO);
	synth_open(SYNTH_VIDEO, 2);
	agree(V35);
	for (i = 0; i < 60; i++)
		video_say(KVMB_VIDEO_RESOLUTION_REQUEST, &most, 1);
	assert_false(failed());
	while (hears(KVMB_VIDEO_RESOLUTION_RESPONSE))
		n++;
	assert_int_equal(n, 60);
}

/* ---- what is only checked ---- */

static void video_pointer_is_checked(void **state)
{
	struct kvmb_wire_video_position p = { .visible = 1, .x = cpu_to_le32(~0u) };
	struct kvmb_wire_video_shape s = {
		.part = 0xff, .argb = 1, .width = cpu_to_le32(96), .height = cpu_to_le32(96)
	};

	(void)state;
	agree(V35);
	video_say(KVMB_VIDEO_POINTER_POSITION, &p, sizeof(p));
	video_say(KVMB_VIDEO_POINTER_SHAPE, &s, sizeof(s));
	assert_true(silent() && !failed());
	s.height = cpu_to_le32(97);
	video_say(KVMB_VIDEO_POINTER_SHAPE, &s, sizeof(s));
	assert_true(failed());
	anew();
	agree(V35);
	p.output = 1;
	video_say(KVMB_VIDEO_POINTER_POSITION, &p, sizeof(p));
	assert_true(failed());
}

static void video_lies_cost_the_channel(void **state)
{
	static const u8 zeroes[64];
	static const struct {
		bool agreed;
		u32 type, len;
	} lies[] = {
		{ false, KVMB_VIDEO_VRAM_LOCATION, 17 }, /* no version yet */
		{ false, KVMB_VIDEO_SITUATION, 27 },
		{ false, KVMB_VIDEO_DIRT, 2 },
		{ false, KVMB_VIDEO_POINTER_POSITION, 10 },
		{ false, KVMB_VIDEO_RESOLUTION_REQUEST, 1 },
		{ false, KVMB_VIDEO_VERSION_REQUEST, 3 }, /* too short */
		{ true, KVMB_VIDEO_VRAM_LOCATION, 16 },
		{ true, KVMB_VIDEO_SITUATION, 26 },
		{ true, KVMB_VIDEO_POINTER_POSITION, 9 },
		{ true, KVMB_VIDEO_POINTER_SHAPE, 17 },
		{ true, KVMB_VIDEO_DIRT, 1 },
		{ true, KVMB_VIDEO_RESOLUTION_REQUEST, 0 },
		{ true, KVMB_VIDEO_SITUATION, 27 }, /* no output */
		{ true, 0, 8 },			    /* none, or ours */
		{ true, KVMB_VIDEO_VERSION_RESPONSE, 8 },
		{ true, KVMB_VIDEO_VRAM_ACK, 8 },
		{ true, KVMB_VIDEO_SITUATION_ACK, 8 },
		{ true, KVMB_VIDEO_FEATURES, 8 },
		{ true, KVMB_VIDEO_RESOLUTION_RESPONSE, 8 },
		{ true, KVMB_VIDEO_CAPABILITY_RESPONSE, 64 },
		{ true, 17, 8 },
		{ true, ~0u, 8 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		if (lies[i].agreed)
			agree(V35);
		video_say(lies[i].type, zeroes, lies[i].len);
		CHECK_ROW(failed(), true, i);
		CHECK_ROW(silent(), true, i);
		anew();
	}
	agree(V35);
	say_dirt(2); /* with one rectangle */
	assert_true(failed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(video_agrees_to_versions_3_0_to_3_5),
		T(video_messages_are_of_their_version),
		T(video_new_version_forgets_the_picture),
		T(video_offers_resolutions_that_fit),
		T(video_own_memory_fills_a_free_place),
		T(video_memory_of_the_card_is_looked_at),
		T(video_memory_in_ram_is_looked_at),
		T(video_memory_is_nowhere_else),
		T(video_memory_that_moves_without_end_costs_the_channel),
		T(video_draws_each_depth),
		T(video_largest_pictures_end_where_memory_does),
		T(video_pictures_that_cannot_be_cost_the_channel),
		T(video_is_live_while_the_picture_is_active),
		T(video_reset_of_the_guest_ends_the_picture),
		T(video_serial_sees_what_nobody_said),
		T(video_serial_takes_the_guest_at_its_word),
		T(video_asks_for_dirt_while_somebody_looks),
		T(video_tells_later_what_had_no_room),
		T(video_waits_for_room_for_answers),
		T(video_pointer_is_checked),
		T(video_lies_cost_the_channel),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
