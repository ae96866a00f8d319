// SPDX-License-Identifier: GPL-2.0-only
/* Displays: pictures only when something changes, keys that are never stuck, hostile viewers. */
#include "vmm/display.h"

#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "tests/harness/no_synth.h"
#include "tests/harness/patience.h"
#include "tests/unit/test.h"
#include "vmm/input.h"
#include "vmm/screen.h"
#include "vmm/vm.h"

/* ---- the machine ---- */

static struct vm vm;
static char pressed[8000]; /* "+30-30": codes, in order */
static char moved[400];	   /* "1,2,0,4 ": dx, dy, dz, buttons */
static int room;	   /* keys that the guest still takes; -1 = any number */
static u64 serial;
static u32 looked, drawn, width, draw_ms, look_ms;

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	(void)p;
	if (!room)
		return false;
	room -= room > 0;
	sprintf(pressed + strlen(pressed), "%c%u", down ? '+' : '-', code);
	return true;
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	(void)p;
	if (strlen(moved) < sizeof(moved) - 50) /* no test looks at more */
		sprintf(moved + strlen(moved), "%d,%d,%d,%u ", dx, dy, dz, buttons);
}

u64 vga_serial(struct vga *v)
{
	(void)v;
	looked++;
	usleep(look_ms * 1000);
	return serial;
}

int vga_screen(struct vga *v, struct screen_image *out)
{
	(void)v;
	drawn++;
	usleep(draw_ms * 1000);
	*out = (struct screen_image){ width, 100, calloc(width * 100, sizeof(u32)) };
	out->pixels[0] = (u32)serial;
	return 0;
}

char *vga_text(struct vga *v)
{
	(void)v;
	return NULL;
}

struct vga *gen1_vga(struct gen1 *g)
{
	return (struct vga *)g;
}
struct ps2 *gen1_ps2(struct gen1 *g)
{
	return (struct ps2 *)g;
}

/* ---- who looks ---- */

static char answer[300];
static int mine, picture; /* our ends of the last display */

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	(void)arg;
	if (result)
		strcpy(answer, "{}");
	else
		snprintf(answer, sizeof(answer), "%s: %s", class, why);
	json_decref(result);
}

static const struct ctl_reply reply = { .fn = answered };

static void add(bool view_only)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	mine = sv[0];
	picture = memfd_create("t", MFD_ALLOW_SEALING);
	display_add(&vm, sv[1], dup(picture), view_only, reply);
}

static void say(u32 op, u32 a, u32 b, u32 c)
{
	const struct display_say s = { op, a, b, c };

	assert_int_equal(send(mine, &s, sizeof(s), MSG_NOSIGNAL), sizeof(s));
}

static void run_ms(u32 ms)
{
	u64 until = kvmb_now_ms() + ms;

	do
		kvmb_loop_once(vm.loop, 5);
	while (kvmb_now_ms() < until);
}

static bool got_picture(void)
{
	struct display_picture p;

	return recv(mine, &p, sizeof(p), MSG_DONTWAIT) == sizeof(p) && p.width == width &&
	       p.height == 100;
}

static bool await_picture(void)
{
	u64 until = kvmb_now_ms() + 10000;

	while (kvmb_now_ms() < until) {
		if (got_picture())
			return true;
		run_ms(1);
	}
	return false;
}

static void await_keys(const char *keys)
{
	u64 until = kvmb_now_ms() + 20000;

	while (strcmp(pressed, keys) && kvmb_now_ms() < until)
		run_ms(1);
	assert_string_equal(pressed, keys);
}

static u32 viewers(void)
{
	json_t *o = display_info(&vm);
	u32 n = (u32)json_integer_value(json_object_get(o, "viewers"));

	json_decref(o);
	return n;
}

static int setup(void **state)
{
	(void)state;
	vm = (struct vm){ .loop = kvmb_loop_create(), .state = VM_RUNNING };
	vm.machine.gen1 = (struct gen1 *)&vm;
	pressed[0] = moved[0] = answer[0] = 0;
	room = -1;
	serial = looked = drawn = draw_ms = look_ms = 0;
	width = 200;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	display_forget(&vm);
	input_forget(&vm);
	kvmb_loop_destroy(vm.loop);
	close(mine);
	close(picture);
	return 0;
}

/* ---- tests: pictures ---- */

static void picture_comes_once_and_when_it_changes(void **state)
{
	u32 rgb = 0;

	(void)state;
	serial = 7;
	add(false);
	assert_string_equal(answer, "{}");
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	assert_int_equal(pread(picture, &rgb, sizeof(rgb), 8), sizeof(rgb));
	assert_int_equal(rgb, 7);
	say(DISPLAY_LOOK, 0, 0, 0);
	run_ms(200);
	assert_false(got_picture());
	assert_int_equal(drawn, 1);
	serial++;
	assert_true(await_picture());
	assert_int_equal(drawn, 2);
}

static void nobody_waits_and_nothing_is_looked_at(void **state)
{
	u32 before;

	(void)state;
	add(false);
	run_ms(100);
	assert_int_equal(looked, 0);
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	before = looked;
	serial++;
	run_ms(200);
	assert_int_equal(looked, before);
}

/* However often it asks. */
static void pictures_come_at_most_25_times_a_second(void **state)
{
	u64 until = kvmb_now_ms() + 500;

	(void)state;
	add(false);
	while (kvmb_now_ms() < until) {
		serial++;
		say(DISPLAY_LOOK, 0, 0, 0);
		run_ms(1);
		got_picture();
	}
	assert_in_range(drawn, 1, 14);
}

static void screen_that_stands_is_looked_at_less(void **state)
{
	u32 before;

	(void)state;
	add(false);
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	say(DISPLAY_LOOK, 0, 0, 0);
	run_ms(2300);
	before = looked;
	run_ms(1000);
	assert_in_range(looked - before, 0, 6);
	say(DISPLAY_KEY, KEY_A, 1, 0); /* something will happen */
	before = looked;
	run_ms(500);
	assert_true(looked - before > 1);
}

/* A stranger at the VNC port: each of his connections has a display before it has a password. */
static void who_comes_again_and_again_has_his_share(void **state)
{
	u64 began = kvmb_now_ms(), ms;
	u32 i;

	(void)state;
	draw_ms = 40;
	for (i = 0; i < 8; i++) {
		add(false);
		say(DISPLAY_LOOK, 0, 0, 0);
		assert_true(await_picture());
		close(mine);
		close(picture);
		run_ms(1);
	}
	ms = kvmb_now_ms() - began;
	assert_true(ms >= 7 * 5 * draw_ms);
	mine = picture = -1;
}

/* Each movement may change something, and to see that all of the screen is read. */
static void a_busy_mouse_has_its_share(void **state)
{
	u64 began;
	u32 before;

	(void)state;
	add(false);
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	say(DISPLAY_LOOK, 0, 0, 0);
	look_ms = 8;
	before = looked;
	began = kvmb_now_ms();
	while (looked - before < 20 && kvmb_now_ms() - began < PATIENCE_MS) {
		say(DISPLAY_POINTER, 1, 1, 0);
		run_ms(1);
	}
	assert_int_equal(looked - before, 20);
	/* a look may have been due when it began */
	assert_true(kvmb_now_ms() - began >= 19 * 4 * look_ms);
}

/* ---- tests: keys ---- */

static void keys_come_in_order_and_at_a_pace(void **state)
{
	u64 began = kvmb_now_ms();

	(void)state;
	add(false);
	say(DISPLAY_KEY, 30, 1, 0);
	say(DISPLAY_KEY, 30, 0, 0);
	say(DISPLAY_KEY, 48, 1, 0);
	say(DISPLAY_KEY, 48, 0, 0);
	await_keys("+30-30+48-48");
	assert_true(kvmb_now_ms() - began >= 45);
}

static void viewer_that_leaves_lets_go_of_all(void **state)
{
	(void)state;
	add(false);
	say(DISPLAY_KEY, KEY_LEFTCTRL, 1, 0);
	say(DISPLAY_KEY, KEY_A, 1, 0);
	say(DISPLAY_KEY, KEY_A, 0, 0);
	say(DISPLAY_KEY, KEY_B, 1, 0);
	say(DISPLAY_KEY, KEY_C, 0, 0); /* which it does not hold */
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	say(DISPLAY_POINTER, 1, 1, DISPLAY_RIGHT);
	await_keys("+29+30-30+48");
	close(mine);
	await_keys("+29+30-30+48-29-48");
	assert_string_equal(moved, "0,0,0,2 0,0,0,0 ");
	assert_int_equal(viewers(), 0);
}

static void guest_that_reads_nothing_gets_releases_later(void **state)
{
	char *minus;
	u32 i;

	(void)state;
	room = 1;
	add(false);
	say(DISPLAY_KEY, KEY_LEFTSHIFT, 1, 0);
	await_keys("+42");
	for (i = 0; i < 2 * INPUT_QUEUE; i++) {
		say(DISPLAY_KEY, 2 + i % 9, 1, 0);
		if (i % 32 == 0)
			run_ms(20);
	}
	run_ms(50);
	say(DISPLAY_KEY, KEY_LEFTSHIFT, 0, 0); /* no place for it */
	run_ms(50);
	assert_string_equal(pressed, "+42");
	close(mine);
	run_ms(INPUT_PATIENCE_MS + 600);
	room = -1;
	run_ms(1500);
	minus = strchr(pressed, '-');
	assert_non_null(minus);
	assert_null(strchr(minus, '+')); /* what was not taken in time is not typed */
	assert_non_null(strstr(pressed, "-42"));
}

static void keys_wait_while_the_vm_stands(void **state)
{
	(void)state;
	vm.state = VM_PAUSED;
	add(false);
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture()); /* it can be looked at */
	say(DISPLAY_KEY, KEY_A, 1, 0);
	say(DISPLAY_POINTER, 1, 1, DISPLAY_LEFT);
	run_ms(INPUT_PATIENCE_MS + 300);
	assert_string_equal(pressed, "");
	assert_string_equal(moved, "");
	vm.state = VM_RUNNING;
	await_keys("+30");
}

/* ---- tests: the mouse ---- */

static void pointer_moves_the_mouse(void **state)
{
	(void)state;
	add(false);
	say(DISPLAY_POINTER, 5, 5, 0); /* on what picture? */
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	say(DISPLAY_POINTER, 50, 40, 0); /* from nowhere */
	say(DISPLAY_POINTER, 53, 38, DISPLAY_LEFT);
	say(DISPLAY_POINTER, 53, 38, DISPLAY_MIDDLE | DISPLAY_WHEEL_UP);
	say(DISPLAY_POINTER, 53, 38, DISPLAY_MIDDLE | DISPLAY_WHEEL_UP);
	say(DISPLAY_POINTER, 53, 38, DISPLAY_WHEEL_DOWN);
	run_ms(30);
	assert_string_equal(moved, "0,0,0,0 3,-2,0,1 0,0,1,4 0,0,0,4 0,0,-1,0 ");
	moved[0] = 0;
	say(DISPLAY_POINTER, ~0u, 0, 0); /* at edges it goes on */
	say(DISPLAY_POINTER, 198, 0, 0);
	run_ms(30);
	assert_string_equal(moved, "346,-138,0,0 -1,0,0,0 ");
}

/* ---- tests: who may ---- */

static void viewer_that_may_only_look_only_looks(void **state)
{
	(void)state;
	add(true);
	say(DISPLAY_LOOK, 0, 0, 0);
	assert_true(await_picture());
	say(DISPLAY_KEY, KEY_A, 1, 0);
	say(DISPLAY_POINTER, 1, 1, 1);
	run_ms(60);
	assert_string_equal(pressed, "");
	assert_string_equal(moved, "");
	assert_int_equal(viewers(), 1);
}

static void nonsense_ends_a_display(void **state)
{
	static const char big[100];
	static const struct display_say bad[] = { { 0, 0, 0, 0 },
						  { 4, 0, 0, 0 },
						  { ~0u, 0, 0, 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad) + 3; i++) {
		add(false);
		if (i < ARRAY_SIZE(bad))
			send(mine, &bad[i], sizeof(bad[i]), 0);
		else
			send(mine, big, i == 3 ? 15 : i == 4 ? 17 : 100, 0);
		run_ms(10);
		assert_int_equal(viewers(), 0);
		close(mine);
		close(picture);
	}
	add(false);
	for (i = 0; i < 0x400; i += 0x7f)
		say(DISPLAY_KEY, (u32)i << 6 | 0x10000, 1, 0); /* no key */
	say(DISPLAY_KEY, 0, 1, 0);
	run_ms(20);
	assert_string_equal(pressed, "");
	assert_int_equal(viewers(), 1);
}

static void flood_does_not_hold_the_loop(void **state)
{
	u64 began;
	u32 i;

	(void)state;
	add(false);
	for (i = 0; i < 200; i++) {
		const struct display_say s = { DISPLAY_POINTER, i, i, 0 };

		if (send(mine, &s, sizeof(s), MSG_DONTWAIT) < 0)
			break;
	}
	assert_true(i > 64);
	say(DISPLAY_LOOK, 0, 0, 0);
	began = kvmb_now_ms();
	kvmb_loop_once(vm.loop, 5);
	assert_false(got_picture()); /* a batch, and others' turn */
	assert_true(await_picture());
	assert_true(kvmb_now_ms() - began >= 10);
}

static void what_comes_with_the_command_is_checked(void **state)
{
	int pipes[2], sv[2], fd;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	fd = memfd_create("t", MFD_ALLOW_SEALING);
	display_add(&vm, pipes[0], fd, false, reply);
	assert_non_null(strstr(answer, "usage: a socket and a memfd"));
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(fcntl(pipes[0], F_GETFD), -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	answer[0] = 0;
	display_add(&vm, sv[0], pipes[1], false, reply);
	assert_non_null(strstr(answer, "usage: a socket and a memfd"));
	close(sv[1]);
	add(false);
	fcntl(picture, F_ADD_SEALS, F_SEAL_WRITE); /* nothing can be written there */
	say(DISPLAY_LOOK, 0, 0, 0);
	run_ms(60);
	assert_int_equal(viewers(), 0);
	vm.machine.gen1 = NULL;
	close(mine);
	close(picture);
	add(false);
	assert_non_null(strstr(answer, "no screen"));
	vm.machine.gen1 = (struct gen1 *)&vm;
}

static void nine_do_not_look_at_once(void **state)
{
	int socks[DISPLAY_MAX], pictures[DISPLAY_MAX];
	u32 i;

	(void)state;
	for (i = 0; i < DISPLAY_MAX; i++) {
		add(false);
		socks[i] = mine;
		pictures[i] = picture;
		assert_string_equal(answer, "{}");
	}
	add(false);
	assert_string_equal(answer, "state: 8 look at its screen already");
	close(mine);
	close(picture);
	close(socks[0]);
	run_ms(10);
	add(false);
	assert_string_equal(answer, "{}");
	for (i = 0; i < DISPLAY_MAX; i++) {
		if (i)
			close(socks[i]);
		close(pictures[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(picture_comes_once_and_when_it_changes),
		T(nobody_waits_and_nothing_is_looked_at),
		T(pictures_come_at_most_25_times_a_second),
		T(screen_that_stands_is_looked_at_less),
		T(who_comes_again_and_again_has_his_share),
		T(a_busy_mouse_has_its_share),
		T(keys_come_in_order_and_at_a_pace),
		T(viewer_that_leaves_lets_go_of_all),
		T(guest_that_reads_nothing_gets_releases_later),
		T(keys_wait_while_the_vm_stands),
		T(pointer_moves_the_mouse),
		T(viewer_that_may_only_look_only_looks),
		T(nonsense_ends_a_display),
		T(flood_does_not_hold_the_loop),
		T(what_comes_with_the_command_is_checked),
		T(nine_do_not_look_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
