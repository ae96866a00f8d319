/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Screen and keyboard of a VM, for clients of its control socket.
 *
 * DOC: Theory of operation
 *
 * A VM has one screen. It shows the synthetic picture while the guest's driver has one
 * (vmm/synth.h), else what the graphics card shows, and it is black where there is no card. A
 * picture is drawn when somebody asks, and written to a memfd that came with the command. How keys
 * get to the guest is in vmm/input.h; who types is answered when it has taken the last one.
 */
#ifndef KVMB_VMM_SCREEN_H
#define KVMB_VMM_SCREEN_H

#include "vmbus-core/env.h"
#include "vmm/reply.h"

struct screen_image;
struct vm;

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

/**
 * screen_serial() - Has the picture changed?
 *
 * Return: the same number as before, if nothing has; another one, if it may have.
 */
u64 screen_serial(struct vm *vm);

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

#endif
