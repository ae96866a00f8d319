// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's screen, keyboard and mouse without a VM: screen-vm SOCKET. The displays are the VMM's own
 * (vmm/display.c); the control socket knows "info", "display" and "screenshot" only.
 *
 * What reaches the devices is printed: "+30", "-30", "mouse DX DY DZ BUTTONS". The screen is grey;
 * a key that is pressed fills its upper left quarter with the colour 0x010101 * code, F1 makes it
 * 1024x768, F2 720x400. F12 ends the VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/input-event-codes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fdpass.h"
#include "lib/sock.h"
#include "lib/util.h"
#include "machine/dev/ps2.h"
#include "machine/dev/screen.h"
#include "machine/dev/vga.h"
#include "machine/gen1.h"
#include "vmm/display.h"
#include "tests/harness/no_synth.h"
#include "vmm/input.h"
#include "vmm/screen.h"
#include "vmm/vm.h"

static struct vm vm;
static u32 width = 720, height = 400, colour = 0x101010;
static u64 serial, looks;

/* ---- the machine ---- */

bool ps2_key(struct ps2 *p, u32 code, bool down)
{
	(void)p;
	printf("%c%u\n", down ? '+' : '-', code);
	if (!down)
		return true;
	serial++;
	colour = 0x010101 * code;
	width = code == KEY_F1 ? 1024 : code == KEY_F2 ? 720 : width;
	height = code == KEY_F1 ? 768 : code == KEY_F2 ? 400 : height;
	if (code == KEY_F12)
		kvmb_loop_stop(vm.loop);
	return true;
}

void ps2_mouse(struct ps2 *p, s32 dx, s32 dy, s32 dz, u32 buttons)
{
	(void)p;
	printf("mouse %d %d %d %u\n", dx, dy, dz, buttons);
}

u64 vga_serial(struct vga *v)
{
	(void)v;
	looks++;
	return serial;
}

int vga_screen(struct vga *v, struct screen_image *out)
{
	u32 x, y;

	(void)v;
	*out = (struct screen_image){ width, height, malloc(4ull * width * height) };
	for (y = 0; y < height; y++) {
		for (x = 0; x < width; x++)
			out->pixels[y * width + x] = x < width / 2 && y < height / 2 ? colour :
										       0x808080;
	}
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

/* ---- the control socket ---- */

static void answered(void *arg, json_t *result, const char *class, const char *why)
{
	json_t *o = result ? json_pack("{s:o}", "return", result) :
			     json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", why);

	json_dumpfd(o, *(int *)arg, JSON_COMPACT);
	json_decref(o);
	if (write(*(int *)arg, "\n", 1) != 1)
		perror("answer");
}

static void on_line(int fd, const char *line, size_t len, const int *fds, int num)
{
	const struct ctl_reply reply = { .fn = answered, .arg = &fd };
	json_t *o = json_loadb(line, len, JSON_DISABLE_EOF_CHECK, NULL);
	const char *what = json_string_value(json_object_get(o, "execute"));
	json_t *args = json_object_get(o, "arguments");

	if (what && !strcmp(what, "display") && num == 2)
		display_add(&vm, fds[0], fds[1], json_is_true(json_object_get(args, "view-only")),
			    reply);
	else if (what && !strcmp(what, "screenshot") && num == 1)
		screen_shot(&vm, fds[0], reply);
	else
		answered(&fd,
			 json_pack("{s:s, s:s, s:i, s:I, s:o}", "name", "screen", "state",
				   "running", "pid", (int)getpid(), "looks", (json_int_t)looks,
				   "screen", display_info(&vm)),
			 NULL, NULL);
	json_decref(o);
}

/* A command is one message, and a newline. */
static void on_client(void *arg, uint32_t events)
{
	int fd = (int)(intptr_t)arg, fds[KVMB_FDPASS_MAX], num = KVMB_FDPASS_MAX;
	char line[4096];
	ssize_t n = kvmb_recv_fds(fd, line, sizeof(line), fds, &num, MSG_DONTWAIT);

	(void)events;
	if (n <= 0 && n != -EAGAIN)
		close(fd); /* its watch goes with it; a leak of a few bytes */
	else if (n > 1)
		on_line(fd, line, (size_t)n, fds, num);
}

static void on_connect(void *arg, uint32_t events)
{
	int fd = kvmb_accept_unix(arg, SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		kvmb_loop_add(vm.loop, fd, EPOLLIN, on_client, (void *)(intptr_t)fd);
}

int main(int argc, char **argv)
{
	struct kvmb_listener l;
	char why[300];

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	vm = (struct vm){ .loop = kvmb_loop_create(), .state = VM_RUNNING };
	vm.machine.gen1 = (struct gen1 *)&vm;
	if (argc != 2 || kvmb_listen_unix(&l, argv[1], why, sizeof(why))) {
		fprintf(stderr, "%s\n", argc == 2 ? why : "which socket?");
		return 1;
	}
	kvmb_loop_add(vm.loop, l.fd, EPOLLIN, on_connect, &l);
	printf("up\n");
	kvmb_loop_run(vm.loop);
	display_forget(&vm);
	input_forget(&vm);
	kvmb_unlisten_unix(&l);
	return 0;
}
