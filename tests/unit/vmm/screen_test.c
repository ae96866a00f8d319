// SPDX-License-Identifier: GPL-2.0-only
/* Typing at the pace of a guest, and pictures for clients that may send anything. */
#include "vmm/screen.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "tests/harness/no_synth.h"
#include "tests/unit/test.h"
#include "vmm/input.h"
#include "vmm/vm.h"

/* ---- the machine ---- */

static struct vm vm;
static char pressed[400]; /* "+30-30": codes, in order */
static int room;	  /* keys that the guest still takes; -1 = any number */
static u64 pressed_ms[40];
static u32 presses;

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	(void)p;
	if (!room)
		return false;
	room -= room > 0;
	sprintf(pressed + strlen(pressed), "%c%u", down ? '+' : '-', code);
	if (down)
		pressed_ms[presses++] = kvmb_now_ms();
	return true;
}

int vga_screen(struct vga *v, struct screen_image *out)
{
	u32 i;

	(void)v;
	*out = (struct screen_image){ 3, 2, calloc(6, sizeof(u32)) };
	for (i = 0; i < 6; i++)
		out->pixels[i] = 0x010203 * (i + 1);
	return 0;
}

static const char *text;

u64 vga_serial(struct vga *v)
{
	(void)v;
	fail();
	return 0;
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	(void)p, (void)dx, (void)dy, (void)dz, (void)buttons;
	fail();
}

char *vga_text(struct vga *v)
{
	(void)v;
	return text ? strdup(text) : NULL;
}

struct vga *gen1_vga(struct gen1 *g)
{
	return (struct vga *)g;
}
struct ps2 *gen1_ps2(struct gen1 *g)
{
	return (struct ps2 *)g;
}

/* ---- who asks ---- */

static char answer[300];
static u32 answers;

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	char *s = result ? json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	(void)arg;
	answers++;
	snprintf(answer, sizeof(answer), "%s", s ? s : class);
	if (!s)
		snprintf(answer, sizeof(answer), "%s: %s", class, why);
	free(s);
	json_decref(result);
}

static const struct ctl_reply reply = { .fn = answered };

static int setup(void **state)
{
	(void)state;
	vm = (struct vm){ .loop = kvmb_loop_create(), .state = VM_RUNNING };
	vm.machine.gen1 = (struct gen1 *)&vm;
	pressed[0] = answer[0] = 0;
	presses = answers = 0;
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

static void await_answer(void)
{
	u64 until = kvmb_now_ms() + 10000;

	while (!answers && kvmb_now_ms() < until)
		kvmb_loop_once(vm.loop, 10);
	assert_int_equal(answers, 1);
}

/* ---- tests ---- */

static void keys_are_held_together(void **state)
{
	(void)state;
	screen_key(&vm, "ctrl-alt-del", reply);
	await_answer();
	assert_string_equal(answer, "{}");
	assert_string_equal(pressed, "+29+56+111-111-56-29");
}

/* A BIOS keeps 15 keys, and drops what comes then. */
static void text_comes_no_faster_than_a_bios_takes_it(void **state)
{
	u32 i;

	(void)state;
	screen_type(&vm, "abab", reply);
	assert_int_equal(answers, 0);
	await_answer();
	assert_string_equal(pressed, "+30-30+48-48+30-30+48-48");
	for (i = 1; i < 4; i++)
		assert_true(pressed_ms[i] - pressed_ms[i - 1] >= 45);
}

static void keys_wait_while_the_guest_takes_none(void **state)
{
	(void)state;
	room = 1;
	screen_type(&vm, "a", reply);
	kvmb_loop_once(vm.loop, 100);
	assert_string_equal(pressed, "+30");
	assert_int_equal(answers, 0);
	screen_type(&vm, "b", reply); /* one at a time */
	assert_string_equal(answer, "state: somebody else types; try again");
	answers = 0;
	room = -1;
	await_answer();
	assert_string_equal(pressed, "+30-30");
}

static void guest_that_takes_none_is_given_up(void **state)
{
	(void)state;
	room = 0;
	screen_type(&vm, "a", reply);
	await_answer();
	assert_string_equal(answer, "failed: the guest does not read its keyboard");
	answers = 0;
	room = -1;
	screen_type(&vm, "b", reply);
	await_answer();
	assert_string_equal(pressed, "+48-48");
}

static void who_types_is_answered_when_the_vm_ends(void **state)
{
	(void)state;
	room = 0;
	screen_type(&vm, "a", reply);
	input_forget(&vm);
	assert_string_equal(answer, "state: the VM has ended");
	assert_int_equal(answers, 1);
}

static void what_has_no_key_is_refused(void **state)
{
	(void)state;
	screen_type(&vm, "a\xc3\xa4", reply);
	assert_non_null(strstr(answer, "usage: there is no key for"));
	screen_key(&vm, "ctrl-nothing", reply);
	assert_non_null(strstr(answer, "usage: there is no key for"));
	screen_key(&vm, "", reply);
	assert_non_null(strstr(answer, "usage: "));
	assert_string_equal(pressed, "");
	vm.state = VM_PAUSED;
	screen_type(&vm, "a", reply);
	assert_string_equal(answer, "state: the VM is not running");
	vm.machine.gen1 = NULL;
	screen_type(&vm, "a", reply);
	assert_non_null(strstr(answer, "no screen"));
}

static void picture_is_in_the_memfd(void **state)
{
	int fd = memfd_create("t", MFD_ALLOW_SEALING), mine = dup(fd);
	u32 got[8];

	(void)state;
	screen_shot(&vm, fd, reply);
	assert_string_equal(answer, "{\"height\":2,\"width\":3}");
	assert_int_equal(pread(mine, got, sizeof(got), 0), sizeof(got));
	assert_int_equal(got[0], 3);
	assert_int_equal(got[1], 2);
	assert_int_equal(got[7], 0x010203 * 6);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was taken over */
	close(mine);
}

static void file_that_is_no_memfd_is_refused(void **state)
{
	int pipes[2], sealed = memfd_create("t", MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	screen_shot(&vm, pipes[1], reply);
	assert_non_null(strstr(answer, "usage: a memfd"));
	close(pipes[0]);
	screen_shot(&vm, open("/dev/null", O_WRONLY), reply);
	assert_non_null(strstr(answer, "usage: a memfd"));
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	screen_shot(&vm, sealed, reply);
	assert_non_null(strstr(answer, "failed: no picture"));
}

static void text_comes_as_lines(void **state)
{
	(void)state;
	text = "one\n\ntwo\n";
	screen_text(&vm, reply);
	assert_string_equal(answer, "{\"lines\":[\"one\",\"\",\"two\"]}");
	text = NULL;
	screen_text(&vm, reply);
	assert_non_null(strstr(answer, "state: the screen shows graphics"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(keys_are_held_together),
		T(text_comes_no_faster_than_a_bios_takes_it),
		T(keys_wait_while_the_guest_takes_none),
		T(guest_that_takes_none_is_given_up),
		T(who_types_is_answered_when_the_vm_ends),
		T(what_has_no_key_is_refused),
		T(picture_is_in_the_memfd),
		T(file_that_is_no_memfd_is_refused),
		T(text_comes_as_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
