// SPDX-License-Identifier: GPL-2.0-only
/* From who types and points to the guest's devices: input.h. */
#include "vmm/input.h"

#include <stdlib.h>

#include "lib/tlv.h"
#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/gen1.h"
#include "vmm/synth.h"
#include "vmm/vm.h"

#define AGAIN_MS 20u /* the guest has taken none */
#define STANDS_MS 250u

struct vm_input {
	struct vm *vm;
	struct kvmb_timer timer;
	u64 ready_ms; /* no key before */

	bool types; /* somebody does: */
	struct key_events keys;
	size_t at;
	u64 typed_ms; /* the guest took one of them last */
	struct ctl_reply reply;

	struct key_event queue[INPUT_QUEUE]; /* queue[num] */
	u32 num;
	struct input_codes late; /* to be released when the queue is empty */
	u64 since_ms;		 /* the guest took one of them last, or the queue was empty */

	struct input_codes on_synth;	/* down on the synthetic keyboard */
	struct input_codes on_ps2;	/* down on the PS/2 keyboard */
	u32 x, y, width, height;	/* that the synthetic mouse was told last */
	u32 synth_buttons, ps2_buttons; /* down there: PS2_LEFT, ... */
};

/* ---- keys to devices ---- */

static struct ps2 *ps2_of(const struct vm *vm)
{
	return vm->machine.gen1 ? gen1_ps2(vm->machine.gen1) : NULL;
}

static bool press_synth(struct vm_input *in, const struct key_event *e)
{
	if (!synth_key(in->vm, e->code, e->down))
		return false;
	input_set(&in->on_synth, e->code, e->down);
	return true;
}

static bool press_ps2(struct vm_input *in, struct ps2 *ps2, const struct key_event *e)
{
	if (!ps2_key(ps2, e->code, e->down))
		return false;
	input_set(&in->on_ps2, e->code, e->down);
	return true;
}

/* Return: false: the guest takes none now. */
static bool press(struct vm_input *in, const struct key_event *e)
{
	bool takes = synth_takes_keys(in->vm), was;
	struct ps2 *ps2 = ps2_of(in->vm);

	kvmb_assert(e->code < INPUT_CODES);
	was = input_has(&in->on_synth, e->code);
	if (was && !takes) { /* it went with the driver */
		input_set(&in->on_synth, e->code, false);
		if (!e->down)
			return true;
	}
	/* a key that repeats does so where it is down */
	if (takes && (was || (e->down && !input_has(&in->on_ps2, e->code))))
		return press_synth(in, e);
	if (ps2)
		return press_ps2(in, ps2, e);
	return !e->down; /* it was never pressed */
}

/* Keys up to the first release. Return: how many of list[@num] the guest took. */
static u32 press_some(struct vm_input *in, const struct key_event *list, size_t num)
{
	u32 n = 0;

	if (in->vm->state != VM_RUNNING || kvmb_now_ms() < in->ready_ms)
		return 0;
	while (n < num && press(in, &list[n])) {
		if (list[n++].down)
			continue;
		in->ready_ms = kvmb_now_ms() + INPUT_KEY_MS;
		break;
	}
	return n;
}

/* ---- a text ---- */

static struct ctl_reply end_typing(struct vm_input *in)
{
	in->types = false;
	free(in->keys.list);
	in->keys.list = NULL;
	return in->reply;
}

static bool typist_is_gone(const struct vm_input *in)
{
	return in->reply.gone && in->reply.gone(in->reply.arg);
}

/* Who types is given up: what is down of it is let go, what was pressed last first. */
static void let_typed_go(struct vm_input *in)
{
	struct input_codes seen = { { 0 } };
	size_t i;

	for (i = in->at; i--;) {
		const struct key_event *e = &in->keys.list[i];

		if (e->down && !input_has(&seen, e->code))
			input_release(in->vm, e->code);
		input_set(&seen, e->code, true);
	}
}

static void give_text_up(struct vm_input *in)
{
	let_typed_go(in);
	if (typist_is_gone(in))
		reply_refused(end_typing(in), "failed", "nobody waits for it");
	else if (in->vm->state == VM_RUNNING)
		reply_refused(end_typing(in), "failed", "the guest does not read its keyboard");
	else
		reply_refused(end_typing(in), "state",
			      "the VM was stopped before all of it was typed");
}

static void type_some(struct vm_input *in)
{
	u64 now = kvmb_now_ms();
	u32 num;

	if (typist_is_gone(in)) {
		give_text_up(in);
		return;
	}
	num = press_some(in, in->keys.list + in->at, in->keys.num - in->at);
	in->at += num;
	if (num)
		in->typed_ms = now;
	if (in->at == in->keys.num)
		reply_result(end_typing(in), json_object());
	else if (now - in->typed_ms >= INPUT_PATIENCE_MS)
		give_text_up(in);
}

/* ---- the queue ---- */

static void queue_late(struct vm_input *in)
{
	u32 i;

	for (i = 0; i < INPUT_CODES && in->num < INPUT_QUEUE; i++) {
		if (!input_has(&in->late, i))
			continue;
		input_set(&in->late, i, false);
		if (!in->num)
			in->since_ms = kvmb_now_ms();
		in->queue[in->num++] = (struct key_event){ .code = (u16)i };
	}
}

/* The guest has not read its keyboard for long: what it gets then is not what is typed then. */
static void drop_presses(struct vm_input *in)
{
	u32 i;

	for (i = 0; i < in->num; i++)
		input_set(&in->late, in->queue[i].code, true);
	in->num = 0;
	queue_late(in);
}

static void send_queued(struct vm_input *in)
{
	u64 now = kvmb_now_ms();
	u32 num;

	if (!in->num)
		queue_late(in);
	num = in->types ? 0 : press_some(in, in->queue, in->num);
	in->num -= num;
	memmove(in->queue, in->queue + num, in->num * sizeof(*in->queue));
	if (num || in->types || in->vm->state != VM_RUNNING) {
		in->since_ms = now;
	} else if (in->num && now - in->since_ms >= INPUT_PATIENCE_MS) {
		drop_presses(in);
		in->since_ms = now;
		in->ready_ms = now + STANDS_MS;
	}
}

/* ---- both ---- */

static void input_go(void *arg)
{
	struct vm_input *in = arg;
	u64 now;
	u32 ms;

	if (in->types)
		type_some(in);
	send_queued(in);
	if (!in->types && !in->num)
		return;
	now = kvmb_now_ms();
	ms = in->ready_ms > now ? (u32)(in->ready_ms - now) : AGAIN_MS;
	kvmb_timer_set(&in->timer, in->vm->state == VM_RUNNING ? ms : STANDS_MS);
}

static struct vm_input *input_of(struct vm *vm)
{
	if (vm->input)
		return vm->input;
	vm->input = kvmb_xzalloc(sizeof(*vm->input));
	vm->input->vm = vm;
	kvmb_timer_init(&vm->input->timer, vm->loop, input_go, vm->input);
	return vm->input;
}

bool input_types(const struct vm *vm)
{
	return vm->input && vm->input->types;
}

void input_type(struct vm *vm, struct key_events keys, struct ctl_reply reply)
{
	struct vm_input *in = input_of(vm);

	kvmb_assert(!in->types);
	in->types = true;
	in->keys = keys;
	in->at = 0;
	in->typed_ms = kvmb_now_ms();
	in->reply = reply;
	kvmb_timer_set(&in->timer, 0);
}

bool input_queue(struct vm *vm, u32 code, bool down)
{
	struct vm_input *in = input_of(vm);

	kvmb_assert(code < INPUT_CODES);
	if (in->num == INPUT_QUEUE)
		return false;
	if (!in->num)
		in->since_ms = kvmb_now_ms();
	in->queue[in->num++] = (struct key_event){ .code = (u16)code, .down = down };
	if (!in->timer.due_ms)
		kvmb_timer_set(&in->timer, 0);
	return true;
}

void input_release(struct vm *vm, u32 code)
{
	if (!input_queue(vm, code, false))
		input_set(&vm->input->late, code, true);
}

void input_forget(struct vm *vm)
{
	struct vm_input *in = vm->input;

	if (!in)
		return;
	if (in->types)
		reply_refused(end_typing(in), "state", "the VM has ended");
	kvmb_timer_cancel(&in->timer);
	vm->input = NULL;
	free(in);
}

/* ---- saved VMs ---- */

/* Fields of section INPUT. Numbers are never used again. */
enum { INPUT_DOWN = 1 }; /* list: codes of keys that are down, and INPUT_ON_SYNTH */

#define INPUT_ON_SYNTH 0x100u

void input_save(const struct vm *vm, struct kvmb_tlv_out *o)
{
	u64 list[2 * INPUT_CODES];
	u32 i, num = 0;

	for (i = 0; vm->input && i < INPUT_CODES; i++) {
		if (input_has(&vm->input->on_ps2, i))
			list[num++] = i;
		if (input_has(&vm->input->on_synth, i))
			list[num++] = INPUT_ON_SYNTH | i;
	}
	if (!num)
		return;
	kvmb_tlv_begin(o, KVMB_SEC_INPUT, 0, 0);
	kvmb_tlv_put_list(o, INPUT_DOWN, list, num);
	kvmb_tlv_end(o);
}

int input_load(struct vm *vm, struct kvmb_tlv *t)
{
	struct vm_input *in;
	size_t num, i;
	u64 *list = kvmb_tlv_get_list(t, INPUT_DOWN, (size_t)2 * INPUT_CODES, &num);
	int err;

	for (i = 0; i < num; i++) {
		if (list[i] >= INPUT_ON_SYNTH + INPUT_CODES)
			kvmb_tlv_refuse(t, INPUT_DOWN, "there is no such key");
	}
	err = kvmb_tlv_done(t);
	in = err || !num ? NULL : input_of(vm);
	for (i = 0; in && i < num; i++) {
		input_set(list[i] & INPUT_ON_SYNTH ? &in->on_synth : &in->on_ps2,
			  list[i] % INPUT_CODES, true);
		input_set(&in->late, list[i] % INPUT_CODES, true);
	}
	if (in)
		queue_late(in);
	if (in)
		kvmb_timer_set(&in->timer, STANDS_MS);
	free(list);
	return err;
}

/* ---- the pointer ---- */

static u32 device_buttons(u32 buttons)
{
	return (buttons & INPUT_LEFT ? PS2_LEFT : 0) | (buttons & INPUT_MIDDLE ? PS2_MIDDLE : 0) |
	       (buttons & INPUT_RIGHT ? PS2_RIGHT : 0);
}

/* At an edge it goes on: input.h. */
static s32 movement(u32 from, u32 to, u32 size)
{
	s32 by = (s32)to - (s32)from;

	if (by < 0 && !to)
		return by - (s32)size;
	return by > 0 && to == size - 1 ? by + (s32)size : by;
}

static void point_ps2(struct vm_input *in, s32 dx, s32 dy, s32 notches, u32 buttons)
{
	struct ps2 *ps2 = ps2_of(in->vm);

	in->ps2_buttons = buttons;
	if (ps2)
		ps2_mouse(ps2, dx, dy, notches, buttons);
}

static void point_synth(struct vm_input *in, s32 notches, u32 buttons)
{
	in->synth_buttons = buttons;
	synth_point(in->vm, in->x, in->y, in->width, in->height, notches, buttons);
}

/* A driver has come: what is down on the other device is let go there. */
static void leave_ps2(struct vm_input *in)
{
	if (in->ps2_buttons)
		point_ps2(in, 0, 0, 0, 0);
}

void input_point(struct vm *vm, struct input_pointer *p, u32 x, u32 y, u32 width, u32 height,
		 u32 buttons)
{
	struct vm_input *in = input_of(vm);
	u32 new = buttons & ~p->buttons;
	s32 notches = !!(new &INPUT_WHEEL_UP) - !!(new &INPUT_WHEEL_DOWN), dx = 0, dy = 0;

	if (vm->state != VM_RUNNING)
		return;
	x = KVMB_MIN(x, width - 1);
	y = KVMB_MIN(y, height - 1);
	if (p->known) {
		dx = movement(p->x, x, width);
		dy = movement(p->y, y, height);
	}
	*p = (struct input_pointer){ .known = true, .x = x, .y = y, .buttons = buttons };
	in->x = x;
	in->y = y;
	in->width = width;
	in->height = height;
	if (synth_takes_points(vm)) {
		leave_ps2(in);
		point_synth(in, notches, device_buttons(buttons));
	} else {
		in->synth_buttons = 0; /* they went with the driver */
		point_ps2(in, dx, dy, notches, device_buttons(buttons));
	}
}

void input_unpoint(struct vm *vm, struct input_pointer *p)
{
	struct vm_input *in = vm->input;

	if (!in || !device_buttons(p->buttons))
		return;
	p->buttons = 0;
	leave_ps2(in);
	if (in->synth_buttons && synth_takes_points(vm))
		point_synth(in, 0, 0);
	in->synth_buttons = 0;
}

/* ---- before it goes on elsewhere ---- */

void input_let_go(struct vm *vm)
{
	struct vm_input *in = vm->input;
	struct key_event e = { .down = false };
	u32 i;

	for (i = 0; in && i < INPUT_CODES; i++) {
		e.code = (u16)i;
		if (input_has(&in->on_synth, i))
			press(in, &e);
		if (input_has(&in->on_ps2, i))
			press(in, &e);
	}
	if (!in)
		return;
	leave_ps2(in);
	if (in->synth_buttons && synth_takes_points(vm))
		point_synth(in, 0, 0);
	in->synth_buttons = 0;
}
