// SPDX-License-Identifier: GPL-2.0-only
/* Keys and pointers find the device that the guest listens to; drivers come and go meanwhile. */
#include "vmm/input.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <string.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/gen1.h"
#include "tests/unit/test.h"
#include "vmm/synth.h"
#include "vmm/vm.h"

/* ---- the machine ---- */

static struct vm vm;
static char said[8000]; /* "p+30 s-30 ": device, code; "p1,2,0,4 ", "s5/10,..." */
static bool has_keyboard, has_mouse;
static int room; /* keys that the guest still takes; -1 = any number */

static void note(const char *what)
{
	if (strlen(said) + strlen(what) < sizeof(said))
		strcat(said, what);
}

static bool take_key(char device, u32 code, bool down)
{
	char s[40];

	if (!room)
		return false;
	room -= room > 0;
	snprintf(s, sizeof(s), "%c%c%u ", device, down ? '+' : '-', code);
	note(s);
	return true;
}

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	assert_non_null(p);
	return take_key('p', code, down);
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	char s[80];

	assert_non_null(p);
	snprintf(s, sizeof(s), "p%d,%d,%d,%u ", dx, dy, dz, buttons);
	note(s);
}

bool synth_takes_keys(const struct vm *v)
{
	(void)v;
	return has_keyboard;
}

bool synth_key(struct vm *v, u32 code, bool down)
{
	(void)v;
	assert_true(has_keyboard);
	return take_key('s', code, down);
}

bool synth_takes_points(const struct vm *v)
{
	(void)v;
	return has_mouse;
}

void synth_point(struct vm *v, u32 x, u32 y, u32 width, u32 height, s32 notches, u32 buttons)
{
	char s[80];

	(void)v;
	assert_true(has_mouse);
	snprintf(s, sizeof(s), "s%u/%u,%u/%u,%d,%u ", x, width, y, height, notches, buttons);
	note(s);
}

struct ps2 *gen1_ps2(struct gen1 *g)
{
	return (struct ps2 *)g;
}

/* ---- the clock: it moves while the loop runs, so a machine that stalls fails nothing ---- */

#define TURN_MS 5
#define PATIENCE_TURNS 10000 /* only ends a test that hangs */

static u64 clock_ms = 1000;

u64 __wrap_kvmb_now_ms(void)
{
	return clock_ms;
}

static void take_turn(void)
{
	kvmb_loop_once(vm.loop, TURN_MS);
	clock_ms += TURN_MS;
}

/* ---- who types ---- */

static char answer[200];
static bool typist_is_away;

static bool is_away(void *arg)
{
	(void)arg;
	return typist_is_away;
}

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	(void)arg;
	if (result)
		strcpy(answer, "{}");
	else
		snprintf(answer, sizeof(answer), "%s: %s", class, why);
	json_decref(result);
}

static void type(const char *text)
{
	const struct ctl_reply reply = { .fn = answered, .gone = is_away };
	struct key_events keys;
	const char *wrong;

	answer[0] = 0;
	assert_int_equal(keys_type(text, &keys, &wrong), 0);
	input_type(&vm, keys, reply);
}

static void await(const char *what)
{
	int turns = PATIENCE_TURNS;

	while (strcmp(said, what) && turns--)
		take_turn();
	assert_string_equal(said, what);
	said[0] = 0;
}

static void run_ms(int ms)
{
	for (; ms > 0; ms -= TURN_MS)
		take_turn();
}

static int setup(void **state)
{
	(void)state;
	vm = (struct vm){ .loop = kvmb_loop_create(), .state = VM_RUNNING };
	vm.machine.gen1 = (struct gen1 *)&vm;
	said[0] = answer[0] = 0;
	has_keyboard = has_mouse = typist_is_away = false;
	room = -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	input_forget(&vm);
	kvmb_loop_destroy(vm.loop);
	return 0;
}

/* ---- keys ---- */

static void keys_go_where_a_driver_takes_them(void **state)
{
	(void)state;
	type("a");
	await("p+30 p-30 ");
	has_keyboard = true;
	type("b");
	await("s+48 s-48 ");
	has_keyboard = false;
	type("c");
	await("p+46 p-46 ");
	assert_string_equal(answer, "{}");
}

static void key_is_let_go_where_it_was_pressed(void **state)
{
	(void)state;
	input_queue(&vm, KEY_A, true);
	await("p+30 ");
	has_keyboard = true; /* its driver comes */
	input_queue(&vm, KEY_B, true);
	input_release(&vm, KEY_A);
	input_release(&vm, KEY_B);
	await("s+48 p-30 s-48 ");
	input_queue(&vm, KEY_C, true);
	await("s+46 ");
	has_keyboard = false; /* and goes, with its keys */
	input_release(&vm, KEY_C);
	input_queue(&vm, KEY_D, true);
	await("p+32 ");
	has_keyboard = true;
	input_queue(&vm, KEY_C, true);
	input_release(&vm, KEY_C);
	await("s+46 s-46 ");
}

/* Who types sends a press again and again while a key is down. */
static void key_that_repeats_is_let_go_where_it_was_pressed(void **state)
{
	(void)state;
	input_queue(&vm, KEY_A, true);
	await("p+30 ");
	has_keyboard = true; /* its driver comes */
	input_queue(&vm, KEY_A, true);
	input_release(&vm, KEY_A);
	await("p+30 p-30 ");
	input_queue(&vm, KEY_A, true);
	await("s+30 ");
	has_keyboard = false; /* and goes, with its keys */
	input_queue(&vm, KEY_A, true);
	input_release(&vm, KEY_A);
	await("p+30 p-30 ");
}

static void keys_wait_for_a_driver_where_there_is_no_ps2(void **state)
{
	(void)state;
	vm.machine.gen1 = NULL;
	input_queue(&vm, KEY_A, true);
	input_release(&vm, KEY_A);
	run_ms(100);
	assert_string_equal(said, "");
	has_keyboard = true;
	await("s+30 s-30 ");
	has_keyboard = false;
	type("a");
	run_ms((int)INPUT_PATIENCE_MS + 300);
	assert_string_equal(answer, "failed: the guest does not read its keyboard");
	assert_string_equal(said, "");
}

/* Of a key that nobody could press there is nothing to let go of. */
static void queue_is_empty_after_a_key_that_nobody_takes(void **state)
{
	u32 i;

	(void)state;
	vm.machine.gen1 = NULL;
	input_queue(&vm, KEY_A, true);
	input_release(&vm, KEY_A);
	run_ms(INPUT_PATIENCE_MS + 1000);
	for (i = 0; i < INPUT_QUEUE; i++)
		assert_true(input_queue(&vm, KEY_B, true));
}

static void text_goes_before_the_queue(void **state)
{
	u64 began = clock_ms;

	(void)state;
	input_queue(&vm, KEY_Z, true);
	type("ab");
	assert_true(input_types(&vm));
	await("p+30 p-30 p+48 p-48 p+44 ");
	assert_true(clock_ms - began >= 2 * INPUT_KEY_MS); /* one pace for both */
	assert_false(input_types(&vm));
}

/* Else what is typed next comes with shift. */
static void text_that_is_given_up_holds_no_key(void **state)
{
	(void)state;
	room = 2;
	type("A");
	await("p+42 p+30 ");
	room = 0;
	run_ms((int)INPUT_PATIENCE_MS + 300);
	assert_string_equal(answer, "failed: the guest does not read its keyboard");
	room = -1;
	await("p-30 p-42 ");
	room = 3;
	type("Ba");
	await("p+42 p+48 p-48 ");
	run_ms((int)INPUT_PATIENCE_MS + 300);
	room = -1;
	await("p-42 ");
	type("a");
	await("p+30 p-30 ");
	vm.state = VM_PAUSED; /* it is not the guest's fault */
	type("a");
	run_ms((int)INPUT_PATIENCE_MS + 300);
	assert_string_equal(answer, "state: the VM was stopped before all of it was typed");
	vm.state = VM_RUNNING;
}

static void queue_that_is_full_loses_presses_only(void **state)
{
	u32 i, releases = 0;
	const char *p;

	(void)state;
	room = 0;
	for (i = 0; i < INPUT_QUEUE; i++)
		assert_true(input_queue(&vm, 2 + i % 60, true));
	assert_false(input_queue(&vm, KEY_A, true));
	for (i = 0; i < 60; i++)
		input_release(&vm, 2 + i);
	run_ms((int)INPUT_PATIENCE_MS + 400); /* given up */
	room = -1;
	run_ms(60 * ((int)INPUT_KEY_MS + 20) + 1000);
	for (p = said; (p = strchr(p, 'p')); p++) {
		assert_int_equal(p[1], '-');
		releases++;
	}
	assert_int_equal(releases, 60);
}

static void vm_that_stands_gets_nothing(void **state)
{
	(void)state;
	has_keyboard = true;
	vm.state = VM_PAUSED;
	input_queue(&vm, KEY_A, true);
	run_ms((int)INPUT_PATIENCE_MS + 300);
	assert_string_equal(said, "");
	vm.state = VM_RUNNING;
	await("s+30 ");
}

/* `kvmbus type` was interrupted: it would go on for an hour, and keep everybody else away. */
static void text_ends_when_its_typist_has_gone(void **state)
{
	(void)state;
	room = 2;
	type("Ab");
	await("p+42 p+30 ");
	typist_is_away = true;
	room = -1;
	await("p-30 p-42 "); /* and no b */
	run_ms(1000);
	assert_string_equal(said, "");
	assert_false(input_types(&vm));
}

static void save_keys(struct kvmb_tlv_out *o)
{
	*o = (struct kvmb_tlv_out){ 0 };
	input_save(&vm, o);
	input_forget(&vm);
}

static int load_keys(const struct kvmb_tlv_out *o)
{
	struct kvmb_tlv_error error = { 0 };
	struct kvmb_tlv t;
	size_t pos = 0;

	assert_int_equal(kvmb_tlv_next(o->buf, o->len, &pos, &t, &error), 0);
	assert_int_equal(t.tag, KVMB_SEC_INPUT);
	return input_load(&vm, &t);
}

/* Who holds them stays behind. */
static void keys_are_let_go_when_a_saved_vm_goes_on(void **state)
{
	struct kvmb_tlv_out o;

	(void)state;
	input_queue(&vm, KEY_C, true);
	input_queue(&vm, KEY_A, true);
	await("p+46 p+30 ");
	has_keyboard = true;
	input_queue(&vm, KEY_B, true);
	input_release(&vm, KEY_C);
	await("s+48 p-46 ");
	save_keys(&o);
	vm.state = VM_CREATED;
	assert_int_equal(load_keys(&o), 0);
	run_ms(1000);
	assert_string_equal(said, "");
	vm.state = VM_RUNNING;
	await("p-30 s-48 ");
	run_ms(1000);
	assert_string_equal(said, "");
	kvmb_tlv_out_fini(&o);
	save_keys(&o);
	assert_int_equal(o.len, 0); /* none is down */
}

static void keys_that_no_keyboard_has_are_refused(void **state)
{
	const u64 list[] = { KEY_A, 0x200 };
	struct kvmb_tlv_out o = { 0 };

	(void)state;
	kvmb_tlv_begin(&o, KVMB_SEC_INPUT, 0, 0);
	kvmb_tlv_put_list(&o, 1, list, 2);
	kvmb_tlv_end(&o);
	assert_int_equal(load_keys(&o), -EPROTO);
	kvmb_tlv_out_fini(&o);
	run_ms(1000);
	assert_string_equal(said, "");
}

/* Who holds them stays behind. */
static void vm_that_is_saved_holds_no_key(void **state)
{
	struct input_pointer p = { 0 };

	(void)state;
	input_let_go(&vm); /* nobody has typed */
	input_queue(&vm, KEY_LEFTCTRL, true);
	input_queue(&vm, KEY_A, true);
	await("p+29 p+30 ");
	input_point(&vm, &p, 1, 2, 10, 10, INPUT_LEFT);
	await("p0,0,0,1 ");
	has_keyboard = has_mouse = true; /* their drivers come */
	input_queue(&vm, KEY_LEFTSHIFT, true);
	await("s+42 ");
	vm.state = VM_PAUSED;
	input_let_go(&vm);
	await("p-29 p-30 s-42 p0,0,0,0 ");
	vm.state = VM_RUNNING; /* it was given up */
	input_point(&vm, &p, 1, 2, 10, 10, INPUT_LEFT);
	await("s1/10,2/10,0,1 ");
	vm.state = VM_PAUSED;
	input_let_go(&vm);
	input_let_go(&vm);
	await("s1/10,2/10,0,0 ");
}

/* ---- the pointer ---- */

static void pointer_goes_where_a_driver_takes_it(void **state)
{
	struct input_pointer p = { 0 };

	(void)state;
	input_point(&vm, &p, 10, 20, 100, 50, 0);
	input_point(&vm, &p, 13, 18, 100, 50, INPUT_LEFT);
	await("p0,0,0,0 p3,-2,0,1 ");
	has_mouse = true;
	input_point(&vm, &p, 14, 18, 100, 50, INPUT_LEFT | INPUT_WHEEL_UP);
	await("p0,0,0,0 s14/100,18/50,1,1 "); /* let go there, held here */
	input_point(&vm, &p, 900, 900, 100, 50, INPUT_WHEEL_DOWN | INPUT_RIGHT);
	await("s99/100,49/50,-1,2 ");
	input_point(&vm, &p, 1, 1, 100, 50, INPUT_WHEEL_DOWN | INPUT_MIDDLE);
	await("s1/100,1/50,0,4 ");
	has_mouse = false;
	input_point(&vm, &p, 2, 1, 100, 50, 0);
	await("p1,0,0,0 ");
}

static void pointer_that_leaves_lets_go(void **state)
{
	struct input_pointer p = { 0 };

	(void)state;
	input_unpoint(&vm, &p); /* it has never pointed */
	has_mouse = true;
	input_point(&vm, &p, 1, 2, 10, 10, INPUT_LEFT);
	input_unpoint(&vm, &p);
	input_unpoint(&vm, &p);
	await("s1/10,2/10,0,1 s1/10,2/10,0,0 ");
	input_point(&vm, &p, 1, 2, 10, 10, INPUT_LEFT);
	has_mouse = false; /* with its buttons */
	input_unpoint(&vm, &p);
	await("s1/10,2/10,0,1 ");
	input_point(&vm, &p, 1, 2, 10, 10, INPUT_RIGHT);
	input_unpoint(&vm, &p);
	await("p0,0,0,2 p0,0,0,0 ");
	vm.machine.gen1 = NULL; /* no mouse at all */
	input_point(&vm, &p, 1, 2, 10, 10, INPUT_RIGHT);
	input_unpoint(&vm, &p);
	assert_string_equal(said, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_go_where_a_driver_takes_them),
		T(key_is_let_go_where_it_was_pressed),
		T(key_that_repeats_is_let_go_where_it_was_pressed),
		T(keys_wait_for_a_driver_where_there_is_no_ps2),
		T(queue_is_empty_after_a_key_that_nobody_takes),
		T(text_goes_before_the_queue),
		T(text_that_is_given_up_holds_no_key),
		T(queue_that_is_full_loses_presses_only),
		T(vm_that_stands_gets_nothing),
		T(text_ends_when_its_typist_has_gone),
		T(keys_are_let_go_when_a_saved_vm_goes_on),
		T(keys_that_no_keyboard_has_are_refused),
		T(vm_that_is_saved_holds_no_key),
		T(pointer_goes_where_a_driver_takes_it),
		T(pointer_that_leaves_lets_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
