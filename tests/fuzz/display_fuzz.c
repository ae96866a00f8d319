// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VNC client's keys and a display's records, any of them, before a guest that reads its keyboard
 * now and then. When the viewer has gone and the guest reads on, no key is held that the viewer
 * pressed, and no button.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/vnc_keys.h"
#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "tests/harness/no_synth.h"
#include "vmm/display.h"
#include "vmm/input.h"
#include "vmm/vm.h"

static struct vm vm;
static u32 room, buttons;
static u8 held[256];
static u64 now_ms = 1, serial;

/* The clock goes as the input says: nothing waits. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	now->tv_sec = (time_t)(now_ms / 1000);
	now->tv_nsec = (long)(now_ms % 1000 * 1000000);
	return 0;
}

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	(void)p;
	if (!room)
		return false;
	room--;
	if (!code || code > 255)
		abort();
	held[code] = down;
	return true;
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 b)
{
	const s32 most = 2 * (s32)SCREEN_MAX_WIDTH;

	(void)p;
	if (dx > most || dx < -most || dy > most || dy < -most || dz > 1 || dz < -1 || b > 7)
		abort();
	buttons = b;
}

u64 vga_serial(struct vga *v)
{
	(void)v;
	return serial;
}

int vga_screen(struct vga *v, struct screen_image *out)
{
	(void)v;
	*out = (struct screen_image){ 8 + serial % 8, 4, calloc(16 * 4, 4) };
	return out->pixels ? 0 : -ENOMEM;
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

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	(void)arg, (void)class, (void)why;
	json_decref(result);
}

static void press(void *arg, uint16_t code, bool down)
{
	const struct display_say s = { DISPLAY_KEY, code, down, 0 };

	send(*(int *)arg, &s, sizeof(s), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void turn(u32 ms)
{
	now_ms += ms;
	kvmb_loop_once(vm.loop, 0);
}

static void act(struct vnc_keys *k, int sock, const u8 *in)
{
	static const u32 pages[4] = { 0, 0xff00, 0xfe00, 0x01000000 };
	const struct display_say s = { in[1] & 3, in[2], in[3], in[0] };
	struct display_picture p;

	switch (in[0] & 7) {
	case 0:
	case 1:
		vnc_key(k, pages[in[1] & 3] | in[2], in[3] & 1);
		break;
	case 2:
	case 3:
		send(sock, &s, sizeof(s) - (in[1] == 0xfc), MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 4:
		room = in[1];
		turn(in[2] * 8u);
		break;
	case 5:
		vm.state = in[1] & 1 ? VM_PAUSED : VM_RUNNING;
		turn(in[2]);
		break;
	case 6:
		serial += in[1] & 1;
		turn(40);
		if (recv(sock, &p, sizeof(p), MSG_DONTWAIT) == sizeof(p) &&
		    (p.width < 8 || p.width > 15 || p.height != 4))
			abort();
		break;
	default:
		turn(in[1]);
	}
}

/* More turns than any queue is long. */
static void drain(void)
{
	u32 i;

	vm.state = VM_RUNNING;
	for (i = 0; i < 4 * INPUT_QUEUE; i++) {
		room = 300;
		turn(300);
	}
	for (i = 0; i < 256; i++) {
		if (held[i])
			abort();
	}
	if (buttons)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *in, size_t left);
int LLVMFuzzerTestOneInput(const u8 *in, size_t left)
{
	const struct ctl_reply reply = { .fn = answered };
	struct vnc_keys keys = { .press = press };
	int sv[2];

	vm = (struct vm){ .loop = kvmb_loop_create(), .state = VM_RUNNING };
	vm.machine.gen1 = (struct gen1 *)&vm;
	memset(held, 0, sizeof(held));
	buttons = room = 0;
	if (!vm.loop || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv))
		abort();
	display_add(&vm, sv[1], memfd_create("f", MFD_ALLOW_SEALING), false, reply);
	keys.arg = &sv[0];
	for (; left >= 4; in += 4, left -= 4)
		act(&keys, sv[0], in);
	close(sv[0]);
	drain();
	display_forget(&vm);
	input_forget(&vm);
	kvmb_loop_destroy(vm.loop);
	return 0;
}
