/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Displays: somebody looks at a VM's screen all the time, types, and moves its mouse.
 *
 * DOC: Theory of operation
 *
 * A display is a socket and a memfd that came with a command of the control socket. Who is at the
 * socket's other end can look, and press keys, and nothing else: a VNC server hands it to a process
 * that reads what strangers send (cli/vnc_door.h). With "view-only" it can look.
 *
 * It says records of struct display_say, one a message; anything else ends it. DISPLAY_LOOK waits
 * for a picture that differs from the last one: it is written into the memfd, as screen_shot()
 * does, and then answered with its size. Whether it differs is looked at 25 times a second, and 5
 * times when nothing has changed for a while. All displays together get a fifth of the main
 * thread's time. Without a DISPLAY_LOOK nothing is looked at.
 *
 * Keys and pointers of all displays go to the guest by vmm/input.h. A display that ends, however
 * that happens, releases the keys and buttons it holds.
 */
#ifndef KVMB_DISPLAY_H
#define KVMB_DISPLAY_H

#include "vmm/reply.h"
#include "vmbus-core/env.h"

struct vm;

#define DISPLAY_MAX 8u /* at a time */
#define DISPLAY_MAX_WIDTH 2560u
#define DISPLAY_MAX_HEIGHT 1600u

enum display_op {
	DISPLAY_LOOK = 1, /* answer with struct display_picture when the picture has changed */
	DISPLAY_KEY,	  /* a: KEY_* of linux/input-event-codes.h; b: 1 pressed, 0 released */
	DISPLAY_POINTER,  /* a, b: pixels from the left, from above; c: DISPLAY_* that are down */
};

/* as vmm/input.h has them */
#define DISPLAY_LEFT 1u
#define DISPLAY_MIDDLE 2u
#define DISPLAY_RIGHT 4u
#define DISPLAY_WHEEL_UP 8u /* a notch when it comes down */
#define DISPLAY_WHEEL_DOWN 16u

struct display_say { /* hostile */
	u32 op, a, b, c;
};

struct display_picture {
	u32 width, height; /* the memfd has it until the next DISPLAY_LOOK */
};

/**
 * display_add() - A display begins
 * @sock:      one end of a SOCK_SEQPACKET socket pair; like @picture hostile and taken over
 * @picture:   a memfd
 * @view_only: it can only look
 * @reply:     {}
 *
 * Context: main thread.
 */
void display_add(struct vm *vm, int sock, int picture, bool view_only, struct ctl_reply reply);

/** display_info() - Return: as docs/json.md has it; null of a VM without a screen. Main thread. */
json_t *display_info(const struct vm *vm);

/** display_forget() - All displays end. Main thread, before the machine is closed. */
void display_forget(struct vm *vm);

#endif
