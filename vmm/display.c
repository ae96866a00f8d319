// SPDX-License-Identifier: GPL-2.0-only
/* Displays: display.h. */
#include "vmm/display.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host-vsp/tuner.h"
#include "lib/util.h"
#include "machine/dev/screen.h"
#include "vmm/input.h"
#include "vmm/screen.h"
#include "vmm/synth.h"
#include "vmm/vm.h"

#define LOOK_MS 40u	  /* between two looks */
#define SLOW_LOOK_MS 200u /* the same when nothing has changed for QUIET_MS */
#define QUIET_MS 2000u
#define SHARE 5u  /* one part of so many of the main thread's time is for pictures */
#define BATCH 64u /* records at a time, and then others' turn for REST_MS */
#define REST_MS 10u

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

	struct input_codes held; /* pressed by it, and not released */
	struct input_pointer pointer;
};

struct vm_displays {
	struct vm *vm;
	struct display *first;
	u32 num;
	u64 first_ms; /* no display has its first picture before */
};

/* ---- keys ---- */

static void take_key(struct display *d, u32 code, bool down)
{
	if (!code || code >= INPUT_CODES)
		return;
	if (down && input_queue(d->all->vm, code, true)) {
		input_set(&d->held, code, true);
	} else if (!down && input_has(&d->held, code)) {
		input_set(&d->held, code, false);
		input_release(d->all->vm, code);
	}
}

/* ---- its end ---- */

static void release_all(struct display *d)
{
	u32 i;

	for (i = 0; i < INPUT_CODES; i++) {
		if (input_has(&d->held, i))
			input_release(d->all->vm, i);
	}
	input_unpoint(d->all->vm, &d->pointer);
}

static void drop_display(struct display *d)
{
	struct display **p;

	for (p = &d->all->first; *p != d; p = &(*p)->next)
		;
	*p = d->next;
	d->all->num--;
	if (!d->all->num)
		synth_watch(d->all->vm, false);
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
		d->pointer.known = false;
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
	serial = screen_serial(d->all->vm);
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
		else if (d->width)
			input_point(d->all->vm, &d->pointer, s->a, s->b, d->width, d->height, s->c);
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
	synth_watch(vm, true);
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
	const char *ps2 = vm->machine.gen1 ? "ps2" : NULL;

	if (!vm->machine.gen1 && !vm->synth)
		return json_null();
	return json_pack("{s:i, s:s, s:s?, s:s?}", "viewers",
			 vm->displays ? (int)vm->displays->num : 0, "source",
			 synth_shows(vm)  ? "synthetic" :
			 vm->machine.gen1 ? "vga" :
					    "blank",
			 "keyboard", synth_takes_keys(vm) ? "synthetic" : ps2, "pointer",
			 synth_takes_points(vm) ? "synthetic" : ps2);
}

void display_forget(struct vm *vm)
{
	struct vm_displays *all = vm->displays;

	if (!all)
		return;
	while (all->first)
		drop_display(all->first);
	vm->displays = NULL;
	free(all);
}
