// SPDX-License-Identifier: GPL-2.0-only
/* The synthetic keyboard before a guest that negotiates, reads, does not read, and lies. */
#include "host-vsp/input/keyboard.h"

#include <linux/input-event-codes.h>

#include "lib/log.h"
#include "tests/harness/synth_guest.h"
#include "tests/unit/test.h"

static int setup(void **state)
{
	(void)state;
	synth_begin();
	synth_open(SYNTH_KEYBOARD, 9);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	synth_end();
	return 0;
}

static void expect_response(u32 status)
{
	struct kvmb_wire_keyboard_response r;

	assert_true(synth_hears(SYNTH_KEYBOARD));
	assert_int_equal(heard.type, KVMB_PKT_COMPLETION); /* that was asked for */
	assert_int_equal(heard.trans_id, 7);
	assert_true(synth_hears(SYNTH_KEYBOARD));
	assert_int_equal(heard.type, KVMB_PKT_INBAND);
	assert_int_equal(heard.payload_len, sizeof(r));
	memcpy(&r, heard.payload, sizeof(r));
	assert_int_equal(le32_to_cpu(r.type), KVMB_KEYBOARD_RESPONSE);
	assert_int_equal(le32_to_cpu(r.status), status);
}

static void negotiate(void)
{
	keyboard_ask_version(KVMB_KEYBOARD_VERSION);
	expect_response(1);
	assert_true(kvmb_keyboard_ready(&box.keyboard));
}

static void expect_key(u16 make, u32 info)
{
	struct kvmb_wire_keystroke w;

	assert_true(synth_hears(SYNTH_KEYBOARD));
	assert_int_equal(heard.payload_len, 16); /* 12, padded */
	memcpy(&w, heard.payload, sizeof(w));
	assert_int_equal(le32_to_cpu(w.type), KVMB_KEYBOARD_EVENT);
	assert_int_equal(le16_to_cpu(w.make), make);
	assert_int_equal(le16_to_cpu(w.reserved), 0);
	assert_int_equal(le32_to_cpu(w.info), info);
}

static void keyboard_agrees_to_its_version_only(void **state)
{
	static const u32 others[] = { 0, 1, 0x00010001, 0x00020000, 0x00000001, ~0u };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		keyboard_ask_version(others[i]);
		expect_response(0);
		assert_false(kvmb_keyboard_ready(&box.keyboard));
		assert_false(kvmb_keyboard_key(&box.keyboard, KEY_A, true));
	}
	negotiate();
	assert_false(synth_hears(SYNTH_KEYBOARD));
}

static void keyboard_sends_codes_of_set_1(void **state)
{
	static const struct {
		u32 code;
		u16 make;
		u32 info;
	} keys[] = {
		{ KEY_ESC, 1, 0 },
		{ KEY_A, 0x1e, 0 },
		{ KEY_SPACE, 0x39, 0 },
		{ KEY_KPDOT, 0x53, 0 },
		{ KEY_102ND, 0x56, 0 },
		{ KEY_F12, 0x58, 0 },
		{ KEY_RIGHTALT, 0x38, KVMB_KEYSTROKE_E0 },
		{ KEY_UP, 0x48, KVMB_KEYSTROKE_E0 },
		{ KEY_DELETE, 0x53, KVMB_KEYSTROKE_E0 },
		{ KEY_KPENTER, 0x1c, KVMB_KEYSTROKE_E0 },
		{ KEY_SYSRQ, 0x37, KVMB_KEYSTROKE_E0 },
		{ KEY_LEFTMETA, 0x5b, KVMB_KEYSTROKE_E0 },
	};
	size_t i;

	(void)state;
	negotiate();
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_true(kvmb_keyboard_key(&box.keyboard, keys[i].code, true));
		assert_true(kvmb_keyboard_key(&box.keyboard, keys[i].code, false));
		expect_key(keys[i].make, keys[i].info);
		expect_key(keys[i].make, keys[i].info | KVMB_KEYSTROKE_BREAK);
	}
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_PAUSE, true));
	expect_key(0x1d, KVMB_KEYSTROKE_E1);
	expect_key(0x45, 0);
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_PAUSE, false));
	expect_key(0x1d, KVMB_KEYSTROKE_E1 | KVMB_KEYSTROKE_BREAK);
	expect_key(0x45, KVMB_KEYSTROKE_BREAK);
	/* none that it has */
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_ZENKAKUHANKAKU, true));
	assert_true(kvmb_keyboard_key(&box.keyboard, 250, true));
	assert_true(kvmb_keyboard_key(&box.keyboard, ~0u, true));
	assert_false(synth_hears(SYNTH_KEYBOARD));
}

static void keyboard_takes_no_more_than_the_guest_reads(void **state)
{
	u32 i;

	(void)state;
	negotiate();
	for (i = 0; i < 100 && kvmb_keyboard_key(&box.keyboard, KEY_A, i % 2); i++)
		;
	assert_int_equal(i, KVMB_KEYBOARD_AHEAD);
	expect_key(0x1e, KVMB_KEYSTROKE_BREAK);
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_B, true));
	assert_false(kvmb_keyboard_key(&box.keyboard, KEY_B, false));
	synth_hear_all(SYNTH_KEYBOARD);
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_B, false));
	assert_false(synth_failed(SYNTH_KEYBOARD));
}

static void keyboard_remembers_leds(void **state)
{
	const struct kvmb_wire_keyboard_leds w = { cpu_to_le32(KVMB_KEYBOARD_LEDS), cpu_to_le16(5),
						   0 };

	(void)state;
	negotiate();
	synth_send(SYNTH_KEYBOARD, 0, &w, sizeof(w));
	assert_int_equal(box.keyboard.leds, 5);
	assert_false(synth_hears(SYNTH_KEYBOARD));
	synth_close(SYNTH_KEYBOARD);
	assert_int_equal(box.keyboard.leds, 0);
}

static void keyboard_begins_anew_with_its_channel(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		negotiate();
		assert_true(kvmb_keyboard_key(&box.keyboard, KEY_A, true));
		synth_close(SYNTH_KEYBOARD);
		assert_false(kvmb_keyboard_ready(&box.keyboard));
		assert_false(kvmb_keyboard_key(&box.keyboard, KEY_A, false));
		assert_int_equal(box.keyboard.synth.state, KVMB_SYNTH_CLOSED);
		synth_open(SYNTH_KEYBOARD, 9);
	}
	negotiate();
	assert_false(synth_hears(SYNTH_KEYBOARD));
}

static void nothing(void *arg)
{
	(void)arg;
}

static void keyboard_stands_while_the_bus_does(void **state)
{
	const struct kvmb_wire_keyboard_leds w = { cpu_to_le32(KVMB_KEYBOARD_LEDS), cpu_to_le16(2),
						   0 };

	(void)state;
	negotiate();
	kvmb_bus_pause(box.f.bus, nothing, NULL);
	assert_true(kvmb_bus_stands(box.f.bus));
	assert_false(kvmb_keyboard_key(&box.keyboard, KEY_A, true));
	synth_send(SYNTH_KEYBOARD, 0, &w, sizeof(w));
	assert_int_equal(box.keyboard.leds, 0);
	kvmb_bus_resume(box.f.bus);
	assert_int_equal(box.keyboard.leds, 2);
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_A, true));
}

/* Each costs the channel, and nothing else. */
static void keyboard_lies_cost_the_channel(void **state)
{
	static const struct {
		bool ready;
		u16 type;
		u32 words[3], len;
	} lies[] = {
		{ false, KVMB_PKT_INBAND, { KVMB_KEYBOARD_LEDS, 1 }, 8 }, /* no version yet */
		{ true, KVMB_PKT_INBAND, { KVMB_KEYBOARD_REQUEST, 0x10000 }, 8 }, /* again */
		{ true, KVMB_PKT_INBAND, { KVMB_KEYBOARD_RESPONSE, 1 }, 8 },	  /* ours */
		{ true, KVMB_PKT_INBAND, { KVMB_KEYBOARD_EVENT, 1, 0 }, 12 },	  /* ours */
		{ true, KVMB_PKT_INBAND, { 0, 0 }, 8 },
		{ true, KVMB_PKT_INBAND, { ~0u, 0 }, 8 },
		{ true, KVMB_PKT_INBAND, { 0 }, 0 },
		{ false, KVMB_PKT_INBAND, { 0 }, 0 },
		{ true, KVMB_PKT_GPA_DIRECT, { KVMB_KEYBOARD_LEDS, 1 }, 8 },
		{ true, KVMB_PKT_COMPLETION, { KVMB_KEYBOARD_LEDS, 1 }, 8 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		if (lies[i].ready)
			negotiate();
		fake_send(&box.f, &box.c[SYNTH_KEYBOARD], lies[i].type, 0, 0, NULL, 0,
			  lies[i].words, lies[i].len);
		fake_run(&box.f);
		CHECK_ROW(synth_failed(SYNTH_KEYBOARD), true, i);
		CHECK_ROW(kvmb_keyboard_key(&box.keyboard, KEY_A, true), false, i);
		synth_close(SYNTH_KEYBOARD);
		synth_open(SYNTH_KEYBOARD, 9);
	}
	negotiate();
}

static void keyboard_whose_ring_lies_fails(void **state)
{
	struct kvmb_wire_ring_ctrl *ctrl;
	u32 i;

	(void)state;
	for (i = 0; i < 2; i++) {
		negotiate();
		ctrl = i ? __unshare(box.c[SYNTH_KEYBOARD].rx.ctrl) :
			   __unshare(box.c[SYNTH_KEYBOARD].tx.ctrl);
		if (i) /* where it has read */
			ctrl->read_index = cpu_to_le32(0x7ffffff8);
		else /* where it has written */
			ctrl->write_index = cpu_to_le32(3);
		if (i)
			kvmb_keyboard_key(&box.keyboard, KEY_A, true);
		else
			fake_signal(&box.f, &box.c[SYNTH_KEYBOARD]);
		fake_run(&box.f);
		assert_true(synth_failed(SYNTH_KEYBOARD));
		synth_close(SYNTH_KEYBOARD);
		synth_open(SYNTH_KEYBOARD, 9);
	}
}

/* Answers find no room: it is read on when there is some. */
static void keyboard_waits_for_room_for_answers(void **state)
{
	u32 i, heard_responses = 0;

	(void)state;
	synth_close(SYNTH_KEYBOARD);
	synth_open(SYNTH_KEYBOARD, 2); /* 4 KiB each way */
	for (i = 0; i < 100; i++)
		keyboard_ask_version(1);
	assert_false(synth_failed(SYNTH_KEYBOARD));
	while (synth_hears(SYNTH_KEYBOARD))
		heard_responses += heard.type == KVMB_PKT_INBAND;
	assert_int_equal(heard_responses, 100);
	assert_int_equal(((struct kvmb_wire_ring_ctrl *)__unshare(box.c[SYNTH_KEYBOARD].rx.ctrl))
				 ->pending_send_sz,
			 0);
	negotiate();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keyboard_agrees_to_its_version_only),
		T(keyboard_sends_codes_of_set_1),
		T(keyboard_takes_no_more_than_the_guest_reads),
		T(keyboard_remembers_leds),
		T(keyboard_begins_anew_with_its_channel),
		T(keyboard_stands_while_the_bus_does),
		T(keyboard_lies_cost_the_channel),
		T(keyboard_whose_ring_lies_fails),
		T(keyboard_waits_for_room_for_answers),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
