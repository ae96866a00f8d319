/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Screen and keyboard of a VM, for clients of its control socket.
 *
 * DOC: Theory of operation
 *
 * A picture is drawn when somebody asks, and written to a memfd that came with the command. Keys
 * wait here while the guest does not read its keyboard, and come no faster than 20 a second. Who
 * types is answered when the guest has taken the last one, or has taken none for
 * SCREEN_PATIENCE_MS. One types at a time.
 */
#ifndef KVMB_VMM_SCREEN_H
#define KVMB_VMM_SCREEN_H

#include "vmm/reply.h"

struct screen_image;
struct vm;

#ifndef SCREEN_PATIENCE_MS
#define SCREEN_PATIENCE_MS 10000u
#endif

/**
 * screen_shot() - Draw what the screen shows
 * @fd:    a memfd, of any content: width and height in pixels as u32, then pixels of u32, red << 16
 *         | green << 8 | blue. Hostile; taken over
 * @reply: {"width", "height"}
 *
 * Context: main thread.
 */
void screen_shot(struct vm *vm, int fd, struct ctl_reply reply);

/**
 * screen_draw() - The same, without an answer; the file stays the caller's
 * @size: width and height are set; no pixels
 *
 * Return: 0 or -errno.
 */
int screen_draw(struct vm *vm, int fd, struct screen_image *size);

/** screen_is_memory() - Is it a memfd? Nothing else is written to: a disk may take its time. */
bool screen_is_memory(int fd);

/** screen_is_there() - Has the VM a screen? Return: false: that was answered. */
bool screen_is_there(struct vm *vm, struct ctl_reply reply);

/** screen_text() - The same of a text mode, as {"lines"}. Main thread. */
void screen_text(struct vm *vm, struct ctl_reply reply);

/** screen_key() - Press keys, as keys_press() takes them. Main thread. */
void screen_key(struct vm *vm, const char *names, struct ctl_reply reply);

/** screen_type() - Type text, as keys_type() takes it. Main thread. */
void screen_type(struct vm *vm, const char *text, struct ctl_reply reply);

/** screen_forget() - Nobody types any more. Main thread, before the machine is closed. */
void screen_forget(struct vm *vm);

#endif
