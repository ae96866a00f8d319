// SPDX-License-Identifier: GPL-2.0-only
/* Displays: display.h. */
#include "vmm/display.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/tuner.h"
#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "vmm/keys.h"
#include "vmm/screen.h"
#include "vmm/vm.h"

#define LOOK_MS 40u	  /* between two looks */
#define SLOW_LOOK_MS 200u /* the same when nothing has changed for QUIET_MS */
#define QUIET_MS 2000u
#define SHARE 5u  /* one part of so many of the main thread's time is for pictures */
#define BATCH 64u /* records at a time, and then others' turn for REST_MS */
#define REST_MS 10u
#define KEY_MS 50u   /* after a release: as in screen.c */
#define AGAIN_MS 20u /* the guest has taken none, or a held key repeats */
#define STANDS_MS 250u
#define CODES 256u /* keys have a lower code */

static_assert(DISPLAY_MAX_WIDTH == SCREEN_MAX_WIDTH, "for who looks");
static_assert(DISPLAY_MAX_HEIGHT == SCREEN_MAX_HEIGHT, "for who looks");

struct display {
	struct vm_displays *all;
	struct display *next;
	int sock, picture;
	struct kvmb_watch *watch;
	struct kvmb_timer rest;
	bool view_only;

	struct kvmb_timer look;
	bool looks;	/* it waits for a picture */
	bool has_drawn; /* one with this number */
	u64 serial;
	u64 next_ms;	/* not before that */
	u64 changed_ms; /* when something happened last */
	u32 width, height;

	u8 held[CODES / 8]; /* pressed by it, and not released */
	bool points;	    /* x, y are known */
	u32 x, y, buttons;
};

struct vm_displays {
	struct vm *vm;
	struct display *first;
	u32 num;
	u64 first_ms; /* no display has its first picture before */

	struct key_event queue[DISPLAY_QUEUE]; /* queue[num_keys] */
	u32 num_keys;
	u8 late[CODES / 8]; /* to be released when the queue is empty */
	u64 since_ms;	    /* the guest took a key last, or the queue was empty */
	struct kvmb_timer type;
};

static bool has_bit(const u8 *bits, u32 i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static void set_bit(u8 *bits, u32 i, bool to)
{
	bits[i / 8] = (u8)((bits[i / 8] & ~(1u << i % 8)) | (u32)to << i % 8);
}

/* ---- keys ---- */

static bool queue_key(struct vm_displays *all, u32 code, bool down)
{
	if (all->num_keys == DISPLAY_QUEUE)
		return false;
	if (!all->num_keys)
		all->since_ms = kvmb_now_ms();
	all->queue[all->num_keys++] = (struct key_event){ .code = (u16)code, .down = down };
	if (!all->type.due_ms)
		kvmb_timer_set(&all->type, 0);
	return true;
}

/* It gets there, sooner or later. */
static void release_key(struct vm_displays *all, u32 code)
{
	if (queue_key(all, code, false))
		return;
	set_bit(all->late, code, true);
}

static void queue_late(struct vm_displays *all)
{
	u32 i;

	for (i = 0; i < CODES && all->num_keys < DISPLAY_QUEUE; i++) {
		if (!has_bit(all->late, i))
			continue;
		set_bit(all->late, i, false);
		queue_key(all, i, false);
	}
}

/* The guest has not read its keyboard for long: what it gets then is not what is typed then. */
static void drop_presses(struct vm_displays *all)
{
	u32 i;

	for (i = 0; i < all->num_keys; i++)
		set_bit(all->late, all->queue[i].code, true);
	all->num_keys = 0;
	queue_late(all);
}

/* Return: milliseconds until the next try. */
static u32 type_some(struct vm_displays *all)
{
	struct ps2 *ps2 = gen1_ps2(all->vm->machine.gen1);
	struct key_event e;
	u32 num = 0;
	bool pace = false;

	while (num < all->num_keys && !pace) {
		e = all->queue[num];
		if (!ps2_key(ps2, e.code, e.down))
			break;
		pace = !e.down;
		num++;
	}
	if (num)
		all->since_ms = kvmb_now_ms();
	all->num_keys -= num;
	memmove(all->queue, all->queue + num, all->num_keys * sizeof(*all->queue));
	return pace ? KEY_MS : AGAIN_MS;
}

static void type_keys(void *arg)
{
	struct vm_displays *all = arg;
	u32 ms = STANDS_MS;

	if (!all->num_keys)
		queue_late(all);
	if (all->vm->state == VM_RUNNING && !all->vm->typing)
		ms = type_some(all);
	else
		all->since_ms = kvmb_now_ms();
	if (all->num_keys && kvmb_now_ms() - all->since_ms >= SCREEN_PATIENCE_MS) {
		drop_presses(all);
		all->since_ms = kvmb_now_ms();
		ms = STANDS_MS;
	}
	/* also when all is typed: the next one keeps its distance */
	kvmb_timer_cancel(&all->type);
	if (all->num_keys || ms == KEY_MS)
		kvmb_timer_set(&all->type, ms);
}

static void take_key(struct display *d, u32 code, bool down)
{
	if (!code || code >= CODES)
		return;
	if (down && queue_key(d->all, code, true)) {
		set_bit(d->held, code, true);
	} else if (!down && has_bit(d->held, code)) {
		set_bit(d->held, code, false);
		release_key(d->all, code);
	}
}

/* ---- mouse ---- */

static u32 ps2_buttons(u32 buttons)
{
	return (buttons & DISPLAY_LEFT ? PS2_LEFT : 0) |
	       (buttons & DISPLAY_MIDDLE ? PS2_MIDDLE : 0) |
	       (buttons & DISPLAY_RIGHT ? PS2_RIGHT : 0);
}

/* At an edge it goes on: display.h. */
static s32 movement(u32 from, u32 to, u32 size)
{
	s32 by = (s32)to - (s32)from;

	if (by < 0 && !to)
		return by - (s32)size;
	return by > 0 && to == size - 1 ? by + (s32)size : by;
}

static void move_pointer(struct display *d, u32 x, u32 y, u32 buttons)
{
	struct vm *vm = d->all->vm;
	u32 new = buttons & ~d->buttons;
	s32 dx = 0, dy = 0;

	if (!d->width || vm->state != VM_RUNNING)
		return;
	x = KVMB_MIN(x, d->width - 1);
	y = KVMB_MIN(y, d->height - 1);
	if (d->points) {
		dx = movement(d->x, x, d->width);
		dy = movement(d->y, y, d->height);
	}
	ps2_mouse(gen1_ps2(vm->machine.gen1), dx, dy,
		  !!(new &DISPLAY_WHEEL_UP) - !!(new &DISPLAY_WHEEL_DOWN), ps2_buttons(buttons));
	d->points = true;
	d->x = x;
	d->y = y;
	d->buttons = buttons;
}

/* ---- its end ---- */

static void release_all(struct display *d)
{
	u32 i;

	for (i = 0; i < CODES; i++) {
		if (has_bit(d->held, i))
			release_key(d->all, i);
	}
	if (ps2_buttons(d->buttons))
		ps2_mouse(gen1_ps2(d->all->vm->machine.gen1), 0, 0, 0, 0);
}

static void drop_display(struct display *d)
{
	struct display **p;

	for (p = &d->all->first; *p != d; p = &(*p)->next)
		;
	*p = d->next;
	d->all->num--;
	release_all(d);
	kvmb_timer_cancel(&d->look);
	kvmb_timer_cancel(&d->rest);
	kvmb_loop_del(d->watch);
	close(d->sock);
	close(d->picture);
	free(d);
}

/* ---- pictures ---- */

static int draw_picture(struct display *d)
{
	struct screen_image im = { 0 };
	struct display_picture say;
	int err = screen_draw(d->all->vm, d->picture, &im);

	if (err)
		return err;
	say = (struct display_picture){ .width = im.width, .height = im.height };
	if (d->width != im.width || d->height != im.height)
		d->points = false;
	d->width = im.width;
	d->height = im.height;
	d->looks = false;
	return send(d->sock, &say, sizeof(say), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(say) ?
		       0 :
		       -EPIPE;
}

static void look_later(struct display *d)
{
	u64 now = kvmb_now_ms(), ms = now - d->changed_ms < QUIET_MS ? LOOK_MS : SLOW_LOOK_MS;

	d->next_ms = KVMB_MAX(d->next_ms, now);
	kvmb_timer_set(&d->look, KVMB_MAX(ms, d->next_ms - now));
}

/* Since @began_ns we have looked at its screen: others' turn. */
static void took_time(struct display *d, u64 began_ns)
{
	u64 ns = kvmb_mono_ns() - began_ns, now = kvmb_now_ms();

	d->next_ms = now + ns * (SHARE * d->all->num - 1) / 1000000 + 1;
	if (!d->has_drawn) /* who leaves and comes again is as new */
		d->all->first_ms = now + ns * (SHARE - 1) / 1000000 + 1;
}

static void look_now(void *arg)
{
	struct display *d = arg;
	u64 began = kvmb_now_ms(), began_ns = kvmb_mono_ns(), serial;
	int err;

	if (!d->has_drawn && began < d->all->first_ms) {
		kvmb_timer_set(&d->look, d->all->first_ms - began);
		return;
	}
	serial = vga_serial(gen1_vga(d->all->vm->machine.gen1));
	if (d->has_drawn && serial == d->serial) {
		took_time(d, began_ns);
		look_later(d);
		return;
	}
	err = draw_picture(d);
	took_time(d, began_ns);
	if (err == -ENOMEM) {
		look_later(d);
		return;
	}
	if (err) {
		drop_display(d);
		return;
	}
	d->has_drawn = true;
	d->serial = serial;
	d->changed_ms = kvmb_now_ms();
	d->next_ms = KVMB_MAX(d->next_ms, began + LOOK_MS);
}

/* Something may change soon, or it asks for the first time. */
static void look_soon(struct display *d)
{
	u64 now = kvmb_now_ms();

	d->changed_ms = now;
	if (d->looks)
		kvmb_timer_set(&d->look, d->next_ms > now ? d->next_ms - now : 0);
}

/* ---- what it says ---- */

/* Return: false: that is nothing. */
static bool take_say(struct display *d, const struct display_say *s)
{
	u64 now = kvmb_now_ms();

	if (s->op == DISPLAY_LOOK) {
		d->looks = true;
		kvmb_timer_set(&d->look, d->next_ms > now ? d->next_ms - now : 0);
	} else if (s->op != DISPLAY_KEY && s->op != DISPLAY_POINTER) {
		return false;
	} else if (!d->view_only) {
		if (s->op == DISPLAY_KEY)
			take_key(d, s->a, s->b & 1);
		else
			move_pointer(d, s->a, s->b, s->c);
		look_soon(d);
	}
	return true;
}

static void on_rested(void *arg)
{
	struct display *d = arg;

	kvmb_loop_mod(d->watch, EPOLLIN);
}

static void on_display(void *arg, uint32_t events)
{
	struct display *d = arg;
	struct display_say s;
	ssize_t n = 0;
	u32 i;

	for (i = 0; i < BATCH; i++) {
		n = recv(d->sock, &s, sizeof(s), MSG_DONTWAIT | MSG_TRUNC);
		if (n != sizeof(s) || !take_say(d, &s))
			break;
	}
	if (i == BATCH && !(events & (EPOLLHUP | EPOLLERR))) {
		kvmb_loop_mod(d->watch, 0);
		kvmb_timer_set(&d->rest, REST_MS);
	} else if (i < BATCH && !(n < 0 && errno == EAGAIN)) {
		drop_display(d);
	}
}

/* ---- its beginning ---- */

static struct vm_displays *all_displays(struct vm *vm)
{
	if (vm->displays)
		return vm->displays;
	vm->displays = kvmb_xzalloc(sizeof(*vm->displays));
	vm->displays->vm = vm;
	kvmb_timer_init(&vm->displays->type, vm->loop, type_keys, vm->displays);
	return vm->displays;
}

/* Return: false: epoll does not take its socket. */
static bool add_display(struct vm *vm, int sock, int picture, bool view_only)
{
	struct vm_displays *all = all_displays(vm);
	struct display *d = kvmb_xzalloc(sizeof(*d));

	*d = (struct display){ .all = all,
			       .next = all->first,
			       .sock = sock,
			       .picture = picture,
			       .view_only = view_only };
	d->watch = kvmb_loop_add(vm->loop, sock, EPOLLIN, on_display, d);
	if (!d->watch) {
		free(d);
		return false;
	}
	kvmb_timer_init(&d->look, vm->loop, look_now, d);
	kvmb_timer_init(&d->rest, vm->loop, on_rested, d);
	all->first = d;
	all->num++;
	return true;
}

static bool is_seqpacket(int fd)
{
	socklen_t len = sizeof(int);
	int type = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

void display_add(struct vm *vm, int sock, int picture, bool view_only, struct ctl_reply reply)
{
	bool added = false;

	if (!screen_is_there(vm, reply))
		; /* answered */
	else if (!is_seqpacket(sock) || !screen_is_memory(picture))
		reply_refused(reply, "usage", "a socket and a memfd must come with the command");
	else if (vm->displays && vm->displays->num == DISPLAY_MAX)
		reply_refused(reply, "state", "%u look at its screen already", DISPLAY_MAX);
	else if (!(added = add_display(vm, sock, picture, view_only)))
		reply_refused(reply, "failed", "its socket cannot be watched");
	else
		reply_result(reply, json_object());
	if (added)
		return;
	close(sock);
	close(picture);
}

json_t *display_info(const struct vm *vm)
{
	return vm->machine.gen1 ?
		       json_pack("{s:i}", "viewers", vm->displays ? (int)vm->displays->num : 0) :
		       json_null();
}

void display_forget(struct vm *vm)
{
	struct vm_displays *all = vm->displays;

	if (!all)
		return;
	while (all->first)
		drop_display(all->first);
	kvmb_timer_cancel(&all->type);
	vm->displays = NULL;
	free(all);
}
