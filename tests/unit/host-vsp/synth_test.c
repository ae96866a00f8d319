// SPDX-License-Identifier: GPL-2.0-only
/* Synthetic keyboard, mouse and video go on elsewhere, from each phase; states that lie. */
#include "host-vsp/synth.h"

#include <linux/input-event-codes.h>

#include "lib/log.h"
#include "tests/harness/synth_guest.h"
#include "tests/unit/test.h"

#define RAM_GPA (16ull << 20)

static struct kvmb_tlv_error error;

/* ---- a move ---- */

static struct {
	struct kvmb_tlv_out o;
	u8 *ram, *card;
	struct fake_chan c[SYNTH_NUM];
	bool is_open[SYNTH_NUM];
	u32 relid[SYNTH_NUM], next_gpadl;
	u64 next_gfn;
} file;

static void nothing(void *arg)
{
	(void)arg;
}

static void save_devices(void)
{
	struct kvmb_tlv_out *o = &file.o;

	kvmb_tlv_begin(o, KVMB_SEC_SYNTH, 0, 0);
	kvmb_tlv_group(o, 1);
	kvmb_keyboard_save(&box.keyboard, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, 2);
	kvmb_mouse_save(&box.mouse, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_group(o, 3);
	kvmb_video_save(&box.video, o);
	kvmb_tlv_group_end(o);
	kvmb_tlv_end(o);
}

static void save_bus(void)
{
	assert_true(kvmb_bus_stands(box.f.bus));
	kvmb_bus_save(box.f.bus, &file.o);
	file.next_gpadl = box.f.next_gpadl;
	file.next_gfn = box.f.next_gfn;
	file.ram = malloc(FAKE_RAM);
	file.card = box.card;
	memcpy(file.ram, box.f.view, FAKE_RAM);
	memcpy(file.c, box.c, sizeof(file.c));
	memcpy(file.is_open, box.is_open, sizeof(file.is_open));
	memcpy(file.relid, box.relid, sizeof(file.relid));
}

static void leave(void)
{
	u32 i;

	for (i = 0; i < SYNTH_NUM; i++) {
		if (box.is_open[i])
			fake_unmap(&box.c[i]);
		box.is_open[i] = false;
	}
	box.card = NULL; /* it comes along */
	synth_end();
}

/* The guest's view of its rings, in the new memory. */
static void take_rings(struct fake_chan *c)
{
	u64 gfns[256];
	u32 i;

	for (i = 0; i < c->pages; i++)
		gfns[i] = c->first_gfn + i;
	assert_int_equal(kvmb_gm_map_ring(&box.f.gm, gfns, c->down, &c->map_tx), 0);
	assert_int_equal(
		kvmb_gm_map_ring(&box.f.gm, gfns + c->down, c->pages - c->down, &c->map_rx), 0);
	c->tx.ctrl = c->map_tx.ctrl;
	c->tx.data = c->map_tx.data;
	c->rx.ctrl = c->map_rx.ctrl;
	c->rx.data = c->map_rx.data;
}

static int load_device(unsigned int field, struct kvmb_tlv *g)
{
	return field == 1 ? kvmb_keyboard_load(&box.keyboard, g) :
	       field == 2 ? kvmb_mouse_load(&box.mouse, g) :
			    kvmb_video_load(&box.video, g);
}

static void load_devices(struct kvmb_tlv *t)
{
	struct kvmb_tlv g;
	unsigned int field;
	size_t at;

	for (field = 1; field <= 3; field++) {
		at = 0;
		if (kvmb_tlv_each(t, field, &at, &g) && load_device(field, &g))
			return;
	}
}

static int arrive(void)
{
	struct kvmb_tlv t;
	size_t pos = 0;
	u32 i;

	memset(&error, 0, sizeof(error));
	synth_host_begin();
	munmap(box.card, SYNTH_CARD_BYTES);
	box.card = file.card;
	memcpy(box.f.view, file.ram, FAKE_RAM);
	memcpy(box.relid, file.relid, sizeof(file.relid));
	box.f.next_gpadl = file.next_gpadl;
	box.f.next_gfn = file.next_gfn;
	kvmb_bus_begin_load(box.f.bus);
	while (!error.err && !kvmb_tlv_next(file.o.buf, file.o.len, &pos, &t, &error)) {
		if (t.tag == KVMB_SEC_BUS)
			kvmb_bus_load(box.f.bus, &t);
		else
			load_devices(&t);
	}
	for (i = 0; i < SYNTH_NUM; i++) {
		box.c[i] = file.c[i];
		box.is_open[i] = file.is_open[i];
		if (box.is_open[i])
			take_rings(&box.c[i]);
	}
	return error.err;
}

static void forget_file(void)
{
	kvmb_tlv_out_fini(&file.o);
	free(file.ram);
	memset(&file, 0, sizeof(file));
}

static void pause_bus(void)
{
	kvmb_bus_pause(box.f.bus, nothing, NULL);
}

/* Of a bus that stands. */
static void move_on(void)
{
	save_bus();
	save_devices();
	leave();
	assert_int_equal(arrive(), 0);
	kvmb_bus_resume(box.f.bus);
	fake_run(&box.f);
	forget_file();
}

static void move(void)
{
	pause_bus();
	move_on();
}

static int setup(void **state)
{
	(void)state;
	synth_begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	forget_file();
	synth_end();
	return 0;
}

/* ---- each phase ---- */

static void synth_that_nobody_has_opened_moves(void **state)
{
	(void)state;
	move();
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	assert_true(kvmb_video_live(&box.video) && kvmb_keyboard_ready(&box.keyboard) &&
		    kvmb_mouse_ready(&box.mouse));
}

static void synth_moves_before_a_version_is_agreed(void **state)
{
	(void)state;
	synth_open_all();
	keyboard_ask_version(1); /* refused; the answers are not read */
	mouse_ask_version(1);
	video_ask_version(1);
	move();
	assert_int_equal(box.keyboard.synth.state, KVMB_SYNTH_NEGOTIATING);
	synth_hear_all(SYNTH_VIDEO);
	synth_ready_all(SYNTH_FREE);
	assert_true(kvmb_video_live(&box.video) && kvmb_keyboard_ready(&box.keyboard) &&
		    kvmb_mouse_ready(&box.mouse));
}

/* What the guest has said is in its ring, and nobody has looked at it. */
static void synth_moves_with_words_that_nobody_has_heard(void **state)
{
	(void)state;
	synth_open_all();
	pause_bus();
	synth_ready_all(SYNTH_FREE);
	assert_int_equal(box.video.synth.state, KVMB_SYNTH_NEGOTIATING);
	move_on();
	assert_true(kvmb_video_live(&box.video) && kvmb_keyboard_ready(&box.keyboard) &&
		    kvmb_mouse_ready(&box.mouse));
}

static void mouse_moves_before_it_is_acknowledged(void **state)
{
	const u8 ack = 0;

	(void)state;
	synth_open(SYNTH_MOUSE, 9);
	mouse_ask_version(KVMB_MOUSE_VERSION);
	move();
	assert_non_null(synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_RESPONSE));
	assert_non_null(synth_hears_message(SYNTH_MOUSE, KVMB_MOUSE_INFO));
	synth_say(SYNTH_MOUSE, KVMB_MOUSE_INFO_ACK, &ack, 1, 1);
	assert_true(kvmb_mouse_ready(&box.mouse));
}

static void move_in_the_midst_of_it(u64 gpa, u8 *memory)
{
	struct kvmb_mouse_report r = { 0 };
	u32 *pixels, width, height, i;

	synth_open_all();
	synth_ready_all(gpa);
	assert_true(kvmb_video_live(&box.video));
	memory = memory ? memory : box.hva;
	memory[3 * 256 + 63 * 4] = 0x42;
	synth_hear_all(SYNTH_KEYBOARD);
	synth_hear_all(SYNTH_MOUSE);
	for (i = 0; kvmb_keyboard_key(&box.keyboard, KEY_A, i % 2); i++)
		;
	for (i = 0; i < 100; i++) {
		r = (struct kvmb_mouse_report){ (u16)i, (u16)(2 * i), i & 1, i == 99 ? -3 : 0 };
		kvmb_mouse_point(&box.mouse, &r);
	}
	assert_true(box.mouse.num > 1);
	move();
	assert_true(kvmb_video_live(&box.video));
	assert_int_equal(kvmb_video_draw(&box.video, &width, &height, &pixels), 0);
	assert_int_equal(width, 64);
	assert_int_equal(pixels[3 * 64 + 63], 0x42);
	free(pixels);
	assert_false(kvmb_keyboard_key(&box.keyboard, KEY_B, true)); /* unread still */
	synth_hear_all(SYNTH_KEYBOARD);
	assert_true(kvmb_keyboard_key(&box.keyboard, KEY_B, true));
	while (synth_hears(SYNTH_MOUSE))
		;
	assert_int_equal(box.mouse.num, 0);
	assert_int_equal(heard.payload[16], 1); /* the last one */
	assert_int_equal(heard.payload[17], 99);
	assert_int_equal(heard.payload[19], 198);
	assert_int_equal((int8_t)heard.payload[21], -3);
}

static void synth_moves_in_the_midst_with_memory_of_its_own(void **state)
{
	(void)state;
	move_in_the_midst_of_it(SYNTH_FREE, NULL);
	assert_true(box.mapped == SYNTH_FREE);
	memset(box.hva, 0x55, 4);
	move(); /* and on */
	assert_int_equal(box.video.memory[0], 0x55);
}

static void synth_moves_in_the_midst_with_memory_of_the_card(void **state)
{
	(void)state;
	move_in_the_midst_of_it(SYNTH_CARD, box.card);
	assert_int_equal(box.mapped, 0);
}

static void synth_moves_in_the_midst_with_memory_in_ram(void **state)
{
	(void)state;
	move_in_the_midst_of_it(RAM_GPA, fake_ptr(&box.f, RAM_GPA));
	assert_int_equal(box.mapped, 0);
}

/* The guest has switched its BAR off, or moved it, since it said where the picture lies. */
static void video_of_a_card_that_is_away_moves(void **state)
{
	(void)state;
	synth_open_all();
	synth_ready_all(SYNTH_CARD);
	box.card_at = 0;
	assert_false(kvmb_video_live(&box.video));
	pause_bus();
	save_bus();
	save_devices();
	leave();
	box_card_at = 0;
	assert_int_equal(arrive(), 0);
	forget_file();
	kvmb_bus_resume(box.f.bus);
	assert_int_equal(box.mapped, 0);
	box.card_at = SYNTH_CARD;
	assert_true(kvmb_video_live(&box.video));
	synth_hear_all(SYNTH_VIDEO);
	video_locate(SYNTH_FREE, 1, true);
	box.card_at = SYNTH_FREE; /* over memory of ours: KVM shows that as before */
	box.video.memory[0] = 0x37;
	pause_bus();
	save_bus();
	save_devices();
	leave();
	box_card_at = SYNTH_FREE;
	assert_int_equal(arrive(), 0);
	forget_file();
	kvmb_bus_resume(box.f.bus);
	assert_true(box.mapped == SYNTH_FREE);
	assert_int_equal(box.video.memory[0], 0x37);
}

/* Its card is there first: nothing else can be, and a VM that was saved goes on. */
static void video_goes_where_the_card_is_already(void **state)
{
	(void)state;
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	pause_bus();
	save_bus();
	save_devices();
	leave();
	box_map_err = -EEXIST;
	assert_int_equal(arrive(), 0);
	box_map_err = 0;
	forget_file();
	kvmb_bus_resume(box.f.bus);
	assert_false(kvmb_video_live(&box.video));
	assert_int_equal(box.mapped, 0);
	synth_hear_all(SYNTH_VIDEO);
	video_locate(SYNTH_FREE, 1, true);
	assert_true(box.mapped == SYNTH_FREE);
}

static void synth_that_has_failed_stays_so(void **state)
{
	(void)state;
	synth_open_all();
	synth_send(SYNTH_KEYBOARD, 0, "nonsense", 8);
	synth_send(SYNTH_MOUSE, 0, "nonsense", 8);
	synth_send(SYNTH_VIDEO, 0, "nonsense", 8);
	move();
	synth_ready_all(SYNTH_FREE);
	assert_true(synth_failed(SYNTH_KEYBOARD) && synth_failed(SYNTH_MOUSE) &&
		    synth_failed(SYNTH_VIDEO));
	synth_close(SYNTH_VIDEO);
	synth_open(SYNTH_VIDEO, 64);
	video_ask_version(KVMB_VIDEO_VERSION(3, 5));
	assert_int_equal(box.video.synth.state, KVMB_SYNTH_READY);
}

/* Video owes the guest a word that it has no room for. */
static void video_owes_its_word_after_a_move(void **state)
{
	(void)state;
	synth_open_all();
	synth_ready_all(SYNTH_FREE);
	synth_hear_all(SYNTH_VIDEO);
	pause_bus();
	kvmb_video_watch(&box.video, true);
	assert_true(box.video.owes);
	move_on();
	assert_non_null(synth_hears_message(SYNTH_VIDEO, KVMB_VIDEO_FEATURES));
	assert_int_equal(heard.payload[16], 0); /* nobody looks there */
}

/* ---- states that lie ---- */

/* The state of a VM whose channels are open, with group @field from put(). */
static int arrive_with(unsigned int field, void (*put)(struct kvmb_tlv_out *o, size_t row),
		       size_t row)
{
	int err;

	synth_open_all();
	pause_bus();
	save_bus();
	kvmb_tlv_begin(&file.o, KVMB_SEC_SYNTH, 0, 0);
	kvmb_tlv_group(&file.o, field);
	put(&file.o, row);
	kvmb_tlv_group_end(&file.o);
	kvmb_tlv_end(&file.o);
	leave();
	err = arrive();
	kvmb_bus_resume(box.f.bus);
	forget_file();
	return err;
}

static const struct {
	u64 state, version, gpa, active, offset, depth, width, height, pitch, run_at, run, theirs;
	const char *why; /* NULL: it is right */
} videos[] = {
#define GOOD .state = 3, .version = 0x00050003, .gpa = SYNTH_FREE
#define SHOWS .active = 1, .depth = 32, .width = 8, .height = 8, .pitch = 32
	{ GOOD },
	{ GOOD, SHOWS },
	{ GOOD, SHOWS, .run = 4096 },
	{ .state = 1 },
	{ .state = 4 },
	{ .state = 0, .why = "does not fit" },
	{ .state = 2, .version = 0x00050003, .why = "no such state" },
	{ .state = 5, .why = "field 1" },
	{ .state = 3, .version = 0, .why = "no such version" },
	{ .state = 3, .version = 0x00060003, .why = "no such version" },
	{ .state = 1, .version = 0x00050003, .why = "no such version" },
	{ .state = 4, .version = 0x00050003, .why = "no such version" },
	{ .state = 1, .gpa = SYNTH_FREE, .why = "nobody has said where" },
	{ .state = 4, .gpa = SYNTH_FREE, .why = "nobody has said where" },
	{ .state = 1, SHOWS, .why = "nobody has said where" },
	{ .state = 3, .version = 0x00050003, .gpa = 0xf0000000, .why = "cannot be there" },
	{ .state = 3, .version = 0x00050003, .gpa = SYNTH_FREE + 1, .why = "cannot be there" },
	{ .state = 3, .version = 0x00050003, .gpa = ~0ull, .why = "cannot be there" },
	{ .state = 3, .version = 0x00050003, .gpa = 0xf0000000, .theirs = 1 },
	{ .state = 3, .version = 0x00050003, .gpa = 1, .theirs = 1, .why = "cannot be there" },
	{ .state = 3,
	  .version = 0x00050003,
	  .gpa = -4096ull,
	  .theirs = 1,
	  .why = "cannot be there" },
	{ GOOD, .theirs = 2, .why = "field" },
	{ .state = 1, .theirs = 1, .why = "field 25" },
	{ GOOD, .active = 2, .why = "field" },
	{ GOOD, .active = 1, .why = "cannot be" },
	{ GOOD, SHOWS, .offset = KVMB_VIDEO_MEMORY, .why = "cannot be" },
	{ GOOD, SHOWS, .offset = ~0ull, .why = "field" },
	{ GOOD, .active = 1, .depth = 8, .width = 8, .height = 8, .pitch = 32, .why = "cannot be" },
	{ GOOD, .active = 1, .depth = 32, .width = 8, .height = 8, .pitch = 31,
	  .why = "cannot be" },
	{ GOOD, .active = 1, .depth = 32, .width = 2561, .height = 8, .pitch = 9999,
	  .why = "field" },
	{ GOOD, SHOWS, .run = 8192, .run_at = KVMB_VIDEO_MEMORY - 4096, .why = "behind the end" },
	{ GOOD, SHOWS, .run = 4096, .run_at = KVMB_VIDEO_MEMORY, .why = "field" },
};

static void put_video(struct kvmb_tlv_out *o, size_t row)
{
	static const u8 zeroes[8192];

	kvmb_tlv_put(o, 1, videos[row].state);
	kvmb_tlv_put(o, 2, videos[row].version);
	if (videos[row].gpa)
		kvmb_tlv_put(o, 16, videos[row].gpa);
	kvmb_tlv_put(o, 17, videos[row].active);
	kvmb_tlv_put(o, 18, videos[row].offset);
	kvmb_tlv_put(o, 19, videos[row].depth);
	kvmb_tlv_put(o, 20, videos[row].width);
	kvmb_tlv_put(o, 21, videos[row].height);
	kvmb_tlv_put(o, 22, videos[row].pitch);
	kvmb_tlv_put(o, 23, 0);
	if (videos[row].theirs)
		kvmb_tlv_put(o, 25, videos[row].theirs);
	if (!videos[row].run)
		return;
	kvmb_tlv_group(o, 24);
	kvmb_tlv_put(o, 1, videos[row].run_at);
	kvmb_tlv_put_bytes(o, 2, zeroes, videos[row].run);
	kvmb_tlv_group_end(o);
}

static void video_states_that_lie_are_refused(void **state)
{
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(videos); i++) {
		err = arrive_with(3, put_video, i);
		CHECK_ROW(!err, !videos[i].why, i);
		if (videos[i].why && !strstr(error.text, videos[i].why))
			fail_msg("row %zu: %s", i, error.text);
		synth_end();
		synth_begin();
	}
}

static const struct {
	unsigned int device;
	u64 state, version, own;
	const char *why;
} inputs[] = {
	{ 1, 3, 0x10000, 7, NULL },
	{ 1, 1, 0, 0, NULL },
	{ 1, 3, 0x10001, 0, "no such version" },
	{ 1, 2, 0x10000, 0, "no such state" },
	{ 1, 3, 0x10000, 0x10000, "field 16" },
	{ 1, 0, 0, 0, "does not fit" },
	{ 2, 3, 0x20000, 3, NULL },
	{ 2, 2, 0x20000, 0, NULL },
	{ 2, 2, 0x20000, 1, "nobody takes reports" },
	{ 2, 1, 0, 1, "nobody takes reports" },
	{ 2, 3, 0x20000, 33, "field 16" },
	{ 2, 3, 0x30000, 0, "no such version" },
	{ 2, 6, 0x20000, 0, "field 1" },
};

static void put_input(struct kvmb_tlv_out *o, size_t row)
{
	u64 reports[64];

	kvmb_tlv_put(o, 1, inputs[row].state);
	kvmb_tlv_put(o, 2, inputs[row].version);
	memset(reports, 0xff, sizeof(reports)); /* whatever they say, they are reports */
	if (inputs[row].device == 1)
		kvmb_tlv_put(o, 16, inputs[row].own);
	else
		kvmb_tlv_put_list(o, 16, reports, inputs[row].own);
}

static void input_states_that_lie_are_refused(void **state)
{
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(inputs); i++) {
		err = arrive_with(inputs[i].device, put_input, i);
		CHECK_ROW(!err, !inputs[i].why, i);
		if (inputs[i].why && !strstr(error.text, inputs[i].why))
			fail_msg("row %zu: %s", i, error.text);
		synth_end();
		synth_begin();
	}
}

/* A section twice, or of a channel that runs already. */
static void synth_state_that_comes_late_is_refused(void **state)
{
	struct kvmb_tlv_out o = { 0 };
	struct kvmb_tlv_error e = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	(void)state;
	synth_open_all();
	kvmb_tlv_begin(&o, KVMB_SEC_SYNTH, 0, 0);
	kvmb_tlv_put(&o, 1, 3);
	kvmb_tlv_put(&o, 2, 0x10000);
	kvmb_tlv_put(&o, 16, 0);
	kvmb_tlv_end(&o);
	assert_int_equal(kvmb_tlv_next(o.buf, o.len, &pos, &t, &e), 0);
	assert_int_not_equal(kvmb_keyboard_load(&box.keyboard, &t), 0);
	assert_non_null(strstr(e.text, "too late"));
	assert_false(kvmb_keyboard_ready(&box.keyboard));
	kvmb_tlv_out_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(synth_that_nobody_has_opened_moves),
		T(synth_moves_before_a_version_is_agreed),
		T(synth_moves_with_words_that_nobody_has_heard),
		T(mouse_moves_before_it_is_acknowledged),
		T(synth_moves_in_the_midst_with_memory_of_its_own),
		T(synth_moves_in_the_midst_with_memory_of_the_card),
		T(synth_moves_in_the_midst_with_memory_in_ram),
		T(video_of_a_card_that_is_away_moves),
		T(video_goes_where_the_card_is_already),
		T(synth_that_has_failed_stays_so),
		T(video_owes_its_word_after_a_move),
		T(video_states_that_lie_are_refused),
		T(input_states_that_lie_are_refused),
		T(synth_state_that_comes_late_is_refused),
	};

	kvmb_log_set_level(KVMB_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
