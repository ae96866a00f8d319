// SPDX-License-Identifier: GPL-2.0-only
/* The synthetic mouse: what it says it is, reports, guests that do not read or lie. */
#include "host-vsp/input/mouse.h"

#include "lib/log.h"
#include "tests/harness/synth_guest.h"
#include "tests/unit/test.h"

static int setup(void **state)
{
	(void)state;
	synth_begin();
	synth_open(SYNTH_MOUSE, 9);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	synth_end();
	return 0;
}

static void expect_response(bool approved)
{
	struct kvmb_wire_mouse_response r;
	const u8 *body = synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_RESPONSE);

	assert_non_null(body);
	memcpy(&r, body, sizeof(r));
	assert_int_equal(r.approved, approved);
	assert_int_equal(le32_to_cpu(r.version), KVMB_MOUSE_VERSION);
	assert_true(heard.payload_len <= 24); /* Linux has no more room: docs/protocol.md#9.4 */
}

static void acknowledge(void)
{
	const u8 none = 0;

	synth_say(SYNTH_MOUSE, KVMB_MOUSE_INFO_ACK, &none, 1, 1);
}

static void negotiate(void)
{
	mouse_ask_version(KVMB_MOUSE_VERSION);
	expect_response(true);
	assert_non_null(synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_INFO));
	acknowledge();
	assert_true(kvmb_mouse_ready(&box.mouse));
}

static void point(u16 x, u16 y, u8 buttons, s32 wheel)
{
	const struct kvmb_mouse_report r = { x, y, buttons, wheel };

	kvmb_mouse_point(&box.mouse, &r);
}

static void expect_report(u16 x, u16 y, u8 buttons, s32 wheel)
{
	struct kvmb_wire_mouse_report w;
	const u8 *body = synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_REPORT);

	assert_non_null(body);
	memcpy(&w, body, sizeof(w));
	assert_int_equal(le16_to_cpu(w.x), x);
	assert_int_equal(le16_to_cpu(w.y), y);
	assert_int_equal(w.buttons, buttons);
	assert_int_equal((int8_t)w.wheel, wheel);
}

/* Bits of a report that a report descriptor describes, and its largest coordinate. */
static void read_descriptor(const u8 *p, u32 len, u32 *bits, u32 *most)
{
	u32 at, size = 0, count = 0, open = 0, v, n;

	*bits = *most = 0;
	for (at = 0; at < len; at += 1 + n) {
		n = (p[at] & 3) == 3 ? 4 : p[at] & 3;
		assert_true(at + 1 + n <= len);
		v = n > 0 ? p[at + 1] : 0;
		v |= n > 1 ? (u32)p[at + 2] << 8 : 0;
		switch (p[at] & 0xfc) {
		case 0x74: /* report size */
			size = v;
			break;
		case 0x94: /* report count */
			count = v;
			break;
		case 0x80: /* input */
			*bits += size * count;
			break;
		case 0x24: /* logical maximum */
			*most = KVMB_MAX(*most, v);
			break;
		case 0xa0: /* collection */
			open++;
			break;
		case 0xc0: /* its end */
			assert_true(open--);
			break;
		}
	}
	assert_int_equal(open, 0);
}

static void mouse_says_what_it_is(void **state)
{
	struct kvmb_wire_mouse_info i;
	struct kvmb_wire_pipe_msg h;
	const u8 *body;
	u32 bits, most, len;

	(void)state;
	mouse_ask_version(KVMB_MOUSE_VERSION);
	expect_response(true);
	assert_false(kvmb_mouse_ready(&box.mouse));
	body = synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_INFO);
	assert_non_null(body);
	memcpy(&h, heard.payload, sizeof(h));
	memcpy(&i, body, sizeof(i));
	len = le16_to_cpu(i.hid.report_length);
	assert_int_equal(le32_to_cpu(i.size), 32);
	assert_int_equal(i.hid.length, 9);
	assert_int_equal(i.hid.type, 0x21);
	assert_int_equal(i.hid.num, 1);
	assert_int_equal(i.hid.report_type, 0x22);
	assert_int_equal(le32_to_cpu(h.size), sizeof(i) + len);
	assert_int_equal(le32_to_cpu(h.pipe_size), 8 + sizeof(i) + len);
	body += sizeof(i);
	assert_int_not_equal(body[14], 0x25); /* docs/protocol.md#9.6 */
	read_descriptor(body, len, &bits, &most);
	assert_int_equal(bits, sizeof(struct kvmb_wire_mouse_report) * 8);
	assert_int_equal(most, KVMB_MOUSE_MAX);
	point(1, 1, 0, 0); /* nobody takes it */
	assert_false(synth_hears(SYNTH_MOUSE));
	acknowledge();
	assert_true(kvmb_mouse_ready(&box.mouse));
}

static void mouse_agrees_to_its_version_only(void **state)
{
	static const u32 others[] = { 0, 0x00010000, 0x00020001, 0x00000002, ~0u };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		mouse_ask_version(others[i]);
		expect_response(false);
		assert_false(synth_hears(SYNTH_MOUSE));
	}
	negotiate();
}

static void mouse_reports_where_it_is(void **state)
{
	(void)state;
	negotiate();
	point(0, 0, 0, 0);
	expect_report(0, 0, 0, 0);
	point(KVMB_MOUSE_MAX, 5, KVMB_MOUSE_LEFT | KVMB_MOUSE_MIDDLE, 1);
	expect_report(KVMB_MOUSE_MAX, 5, 5, 1);
	point(3, 4, 0, -1);
	expect_report(3, 4, 0, -1);
	assert_false(synth_hears(SYNTH_MOUSE));
}

/* Buttons come in order, movements between them are one, and wheels add up. */
static void mouse_keeps_what_the_guest_does_not_read(void **state)
{
	u32 i, reports = 0;

	(void)state;
	negotiate();
	for (i = 0; i < 1000; i++)
		point((u16)i, 0, 0, 1);
	assert_int_equal(box.mouse.num, 1);
	point(1000, 7, KVMB_MOUSE_LEFT, 0);
	point(1001, 7, KVMB_MOUSE_LEFT, 0);
	point(1002, 7, 0, 0);
	assert_int_equal(box.mouse.num, 3);
	while (box.mouse.num && synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_REPORT))
		reports++;
	assert_true(reports);
	while (synth_hears(SYNTH_MOUSE))
		if (kvmb_loop_chan_unread(&box.mouse.synth.chan) == 0)
			break;
	point(2000, 8, 0, 0);
	expect_report(2000, 8, 0, 0);
	assert_false(synth_failed(SYNTH_MOUSE));
}

static void mouse_ends_where_it_was_last(void **state)
{
	struct kvmb_wire_mouse_report w = { 0 };
	const u8 *body;
	u32 i, seen = 0, wheel = 0;

	(void)state;
	negotiate();
	for (i = 0; i < 5000; i++)
		point((u16)i, (u16)(i / 2), i % 2, i % 10 == 0);
	assert_int_equal(box.mouse.num, KVMB_MOUSE_QUEUE);
	point(77, 78, KVMB_MOUSE_RIGHT, 0);
	while ((body = synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_REPORT))) {
		memcpy(&w, body, sizeof(w));
		wheel += w.wheel;
		seen++;
	}
	assert_true(seen > KVMB_MOUSE_QUEUE && seen < 100);
	assert_int_equal(le16_to_cpu(w.x), 77);
	assert_int_equal(le16_to_cpu(w.y), 78);
	assert_int_equal(w.buttons, KVMB_MOUSE_RIGHT);
	assert_true(wheel > 100); /* bounded where a report cannot say more */
}

static void mouse_lies_cost_the_channel(void **state)
{
	static const struct {
		u32 ready; /* 0 nothing, 1 described, 2 ready */
		u32 words[5], len;
	} lies[] = {
		{ 0, { 1, 9, KVMB_MOUSE_INFO_ACK, 1, 0 }, 20 }, /* nothing to acknowledge */
		{ 2, { 1, 9, KVMB_MOUSE_INFO_ACK, 1, 0 }, 20 }, /* twice */
		{ 1, { 1, 12, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 }, /* again */
		{ 2, { 1, 12, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 },
		{ 0, { 1, 8, KVMB_MOUSE_REQUEST, 0, 0 }, 16 },	 /* no version in it */
		{ 1, { 1, 8, KVMB_MOUSE_INFO_ACK, 0, 0 }, 16 },	 /* no byte in it */
		{ 0, { 1, 12, KVMB_MOUSE_RESPONSE, 4, 0 }, 20 }, /* ours */
		{ 2, { 1, 12, KVMB_MOUSE_REPORT, 4, 0 }, 20 },
		{ 2, { 1, 12, 5, 4, 0 }, 20 },
		{ 2, { 1, 12, ~0u, 4, 0 }, 20 },
		{ 0, { 0, 12, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 }, /* no data */
		{ 0, { 2, 12, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 },
		{ 0, { 1, 17, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 }, /* longer */
		{ 0, { 1, ~0u, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 },
		{ 0, { 1, 7, KVMB_MOUSE_REQUEST, 4, KVMB_MOUSE_VERSION }, 20 }, /* shorter */
		{ 0, { 1, 12, KVMB_MOUSE_REQUEST, 13, KVMB_MOUSE_VERSION }, 20 },
		{ 0, { 1, 12, KVMB_MOUSE_REQUEST, ~0u, KVMB_MOUSE_VERSION }, 20 },
		{ 0, { 1, 12 }, 8 },
		{ 0, { 0 }, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		if (lies[i].ready)
			mouse_ask_version(KVMB_MOUSE_VERSION);
		if (lies[i].ready > 1)
			acknowledge();
		CHECK_ROW(synth_failed(SYNTH_MOUSE), false, i);
		synth_send(SYNTH_MOUSE, 0, lies[i].words, lies[i].len);
		CHECK_ROW(synth_failed(SYNTH_MOUSE), true, i);
		CHECK_ROW(kvmb_mouse_ready(&box.mouse), false, i);
		synth_close(SYNTH_MOUSE);
		synth_open(SYNTH_MOUSE, 9);
	}
	negotiate();
}

static void nothing(void *arg)
{
	(void)arg;
}

static void mouse_waits_for_the_bus(void **state)
{
	(void)state;
	negotiate();
	kvmb_bus_pause(box.f.bus, nothing, NULL);
	point(5, 6, 1, 0);
	assert_false(synth_hears(SYNTH_MOUSE));
	kvmb_bus_resume(box.f.bus);
	expect_report(5, 6, 1, 0);
	synth_close(SYNTH_MOUSE);
	point(9, 9, 0, 0);
	assert_int_equal(box.mouse.num, 0);
	synth_open(SYNTH_MOUSE, 9);
	negotiate();
	assert_false(synth_hears(SYNTH_MOUSE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(mouse_says_what_it_is),	 T(mouse_agrees_to_its_version_only),
		T(mouse_reports_where_it_is),	 T(mouse_keeps_what_the_guest_does_not_read),
		T(mouse_ends_where_it_was_last), T(mouse_lies_cost_the_channel),
		T(mouse_waits_for_the_bus),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
